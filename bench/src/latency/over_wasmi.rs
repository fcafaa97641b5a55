//! wasmi as a subject of the latencies. It has no images, and no instances that are prepared.

use std::path::Path;

use wasmi::Instance;
pub use wasmi::{Engine, Linker, Module, Store, Val};

use super::acts;

#[path = "program.rs"]
pub mod program;

pub type Result<T> = std::result::Result<T, wasmi::Error>;

/// A module with what it imports.
pub struct Pre(Linker<()>, Module);

impl Pre {
    pub fn instantiate(&self, store: &mut Store<()>) -> Result<Instance> {
        self.0.instantiate_and_start(store, &self.1)
    }
}

pub fn engine() -> Engine {
    let mut config = wasmi::Config::default();
    config.compilation_mode(wasmi::CompilationMode::Eager);
    Engine::new(&config)
}

pub fn prepare(linker: &Linker<()>, module: &Module) -> Result<Pre> {
    Ok(Pre(linker.clone(), module.clone()))
}

pub fn image(_: &Module) -> Option<Result<Vec<u8>>> {
    None
}

pub fn load(_: &Engine, _: &Path) -> Result<Module> {
    Err(wasmi::Error::new("wasmi has no images"))
}

pub fn write(_: &Path, _: &[u8]) -> Result<()> {
    Ok(())
}

pub fn binary(text: &str) -> Vec<u8> {
    wat::parse_str(text).expect("the measurement's own module is valid")
}
