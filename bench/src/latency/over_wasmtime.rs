//! wasmtime as a subject of the latencies, with either of its allocators.

use std::path::Path;

use wasmtime::{Config, InstanceAllocationStrategy, InstancePre, PoolingAllocationConfig};
pub use wasmtime::{Engine, Linker, Module, Result, Store, Val};

use super::acts;

#[path = "program.rs"]
pub mod program;

pub type Pre = InstancePre<()>;

/// An engine that allocates each instance on demand.
pub fn on_demand() -> Result<Engine> {
    Engine::new(&Config::new())
}

/// An engine with a pool for `instances`, with the pool's defaults in all else.
pub fn pooling(instances: u32) -> Result<Engine> {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_core_instances(instances).total_memories(instances).total_tables(instances);
    let mut config = Config::new();
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    Engine::new(&config)
}

pub fn prepare(linker: &Linker<()>, module: &Module) -> Result<Pre> {
    linker.instantiate_pre(module)
}

pub fn image(module: &Module) -> Option<Result<Vec<u8>>> {
    Some(module.serialize())
}

pub fn load(engine: &Engine, file: &Path) -> Result<Module> {
    // SAFETY: the file is what `image` just gave, and nobody else writes to it.
    unsafe { Module::deserialize_file(engine, file) }
}

pub fn write(file: &Path, bytes: &[u8]) -> Result<()> {
    // A new file each time: an earlier one may still be mapped.
    let _ = std::fs::remove_file(file);
    Ok(std::fs::write(file, bytes)?)
}

pub fn binary(text: &str) -> Vec<u8> {
    wat::parse_str(text).expect("the measurement's own module is valid")
}
