//! runwell as a subject of `bench latency`, in a program of its own as all measurements of runwell are:
//! `runwell-bench-latency times|idle cpu|wall DIRECTORY`.

use std::path::Path;
use std::process::ExitCode;

use acts::Task;
use runwell::{Config, Engine, InstancePre, Linker, Module, Result, Store, Val};

#[path = "../../src/latency/acts.rs"]
mod acts;
#[path = "../../src/latency/program.rs"]
mod program;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let figures = || program::figures(&engine()?, &Task::parse(&args)?);
    match figures() {
        Ok(line) => {
            println!("{line}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

type Pre = InstancePre<()>;

fn engine() -> Result<Engine> {
    // A key of its own: the user's is not to be made by a measurement.
    Engine::new(Config::new().image_key(*b"a key for an example, not secret").compile_jobs(1))
}

fn prepare(linker: &Linker<()>, module: &Module) -> Result<Pre> {
    linker.instantiate_pre(module)
}

fn image(module: &Module) -> Option<Result<Vec<u8>>> {
    Some(module.serialize())
}

fn load(engine: &Engine, file: &Path) -> Result<Module> {
    Module::deserialize_file(engine, file)
}

fn write(file: &Path, bytes: &[u8]) -> Result<()> {
    Ok(std::fs::write(file, bytes)?)
}

fn binary(text: &str) -> Vec<u8> {
    wat::parse_str(text).expect("the measurement's own module is valid")
}
