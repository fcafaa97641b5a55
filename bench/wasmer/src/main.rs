//! wasmer with Cranelift and with Singlepass, behind the command line that all engines have
//! (`bench/src/job.rs`): `runwell-bench-wasmer wasmer-cranelift|wasmer-singlepass run|compile …`.
//!
//! Its programs get WASI from runwell's implementation, as wasmer's own brings a whole package manager.

#[path = "../../src/job.rs"]
mod job;
mod wasi;

use std::num::NonZero;
use std::process::ExitCode;

use anyhow::{Context, Result, anyhow, bail};
use job::{Clock, Job, STACK, report_compile, report_run};
use runwell_wasi::{I32Exit, WasiCtx};
use wasmer::sys::{Cranelift, EngineBuilder, Singlepass};
use wasmer::{Engine, FunctionEnv, Instance, Module, Store};

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let thread = std::thread::Builder::new().stack_size(2 * STACK);
    let done = thread.spawn(move || work(&args)).map(|thread| thread.join());
    match done {
        Ok(Ok(Ok(code))) => code,
        Ok(Ok(Err(error))) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
        Ok(Err(_)) => {
            eprintln!("error: the engine panicked");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("error: no thread: {error}");
            ExitCode::FAILURE
        }
    }
}

/// An engine that compiles on one thread, with defaults in all else.
fn engine(name: &str) -> Result<Engine> {
    let one = NonZero::<usize>::MIN;
    Ok(match name {
        "wasmer-cranelift" => {
            let mut compiler = Cranelift::new();
            compiler.num_threads(one);
            EngineBuilder::new(compiler).engine().into()
        }
        "wasmer-singlepass" => {
            let mut compiler = Singlepass::new();
            compiler.num_threads(one);
            EngineBuilder::new(compiler).engine().into()
        }
        other => bail!("no engine `{other}`"),
    })
}

fn work(args: &[String]) -> Result<ExitCode> {
    let [name, verb, rest @ ..] = args else { bail!("ENGINE run|compile FILE") };
    let job = job::parse(rest)?;
    let bytes = std::fs::read(&job.file).with_context(|| format!("cannot read {}", job.file))?;
    let engine = engine(name)?;
    match verb.as_str() {
        "compile" => {
            let clock = Clock::start();
            let module = Module::new(&engine, &bytes)?;
            let spent = clock.spent();
            drop(module);
            report_compile(bytes.len(), spent, None);
            Ok(ExitCode::SUCCESS)
        }
        "run" => run(engine, &bytes, &job),
        other => bail!("no command `{other}`"),
    }
}

fn context(job: &Job) -> Result<WasiCtx> {
    let mut wasi = WasiCtx::builder();
    wasi.inherit_stdio().real_clock().real_random().arg(&job.file).args(&job.args).envs(&job.env);
    for (host, guest) in &job.dirs {
        wasi.preopened_dir(host, guest)?;
    }
    Ok(wasi.build())
}

fn run(engine: Engine, bytes: &[u8], job: &Job) -> Result<ExitCode> {
    wasmer_vm::set_stack_size(STACK);
    let clock = Clock::start();
    let module = Module::new(&engine, bytes)?;
    let compiled = clock.spent();
    let mut store = Store::new(engine);
    let env = FunctionEnv::new(&mut store, wasi::Env { ctx: context(job)?, memory: None });
    let imports = wasi::imports(&mut store, &env);
    let instance = Instance::new(&mut store, &module, &imports)?;
    let memory = instance.exports.get_memory("memory")?.clone();
    env.as_mut(&mut store).memory = Some(memory);
    let start = instance.exports.get_typed_function::<(), ()>(&store, "_start")?;
    let clock = Clock::start();
    let result = start.call(&mut store);
    let spent = clock.spent();
    if job.stats {
        report_run(compiled, spent);
    }
    match result {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(error) => match error.downcast::<I32Exit>() {
            Ok(I32Exit(code)) => Ok(ExitCode::from(code as u8)),
            Err(trap) => {
                eprintln!("trap: {}", anyhow!(trap));
                Ok(ExitCode::from(134))
            }
        },
    }
}
