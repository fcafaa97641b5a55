//! wasmtime and wasmi, behind the command line that all engines have.

use std::process::ExitCode;

use anyhow::{Context, Result, anyhow, bail};

use crate::job::{self, Clock, Job, STACK, report_compile, report_run};

/// `bench peer ENGINE run|compile …`
///
/// # Errors
/// When the module cannot be read, compiled or linked.
pub fn command(args: &[String]) -> Result<ExitCode> {
    let [engine, verb, rest @ ..] = args else { bail!("peer: ENGINE run|compile FILE") };
    let (engine, verb, job) = (engine.clone(), verb.clone(), job::parse(rest)?);
    let thread = std::thread::Builder::new().stack_size(2 * STACK);
    let code = thread.spawn(move || work(&engine, &verb, &job))?.join();
    code.unwrap_or_else(|_| Err(anyhow!("the engine panicked")))
}

fn work(engine: &str, verb: &str, job: &Job) -> Result<ExitCode> {
    let bytes = std::fs::read(&job.file).with_context(|| format!("cannot read {}", job.file))?;
    match (engine, verb) {
        ("cranelift" | "winch", "compile") => {
            wasmtime_compile(engine, &bytes).map_err(|error| anyhow!("{error:#}"))
        }
        ("cranelift" | "winch", "run") => {
            wasmtime_run(engine, &bytes, job).map_err(|error| anyhow!("{error:#}"))
        }
        ("wasmi", "compile") => wasmi_compile(&bytes),
        ("wasmi", "run") => wasmi_run(&bytes, job),
        _ => bail!("peer: cannot {verb} with {engine}"),
    }
}

fn wasmtime_engine(name: &str) -> wasmtime::Result<wasmtime::Engine> {
    use wasmtime::{Config, Strategy};
    let mut config = Config::new();
    config.strategy(if name == "winch" { Strategy::Winch } else { Strategy::Cranelift });
    config.async_stack_size(2 * STACK);
    config.max_wasm_stack(STACK);
    wasmtime::Engine::new(&config)
}

fn wasmtime_compile(name: &str, bytes: &[u8]) -> wasmtime::Result<ExitCode> {
    use object::{Object, ObjectSection};
    let engine = wasmtime_engine(name)?;
    let clock = Clock::start();
    let artefact = engine.precompile_module(bytes)?;
    let spent = clock.spent();
    let text = object::File::parse(artefact.as_slice())?
        .section_by_name(".text")
        .map(|section| section.size());
    report_compile(bytes.len(), spent, text);
    Ok(ExitCode::SUCCESS)
}

fn wasmtime_run(name: &str, bytes: &[u8], job: &Job) -> wasmtime::Result<ExitCode> {
    use wasmtime_wasi::p1::{WasiP1Ctx, add_to_linker_sync};
    use wasmtime_wasi::{FsPerms, I32Exit, WasiCtxBuilder};
    let engine = wasmtime_engine(name)?;
    let clock = Clock::start();
    let module = wasmtime::Module::new(&engine, bytes)?;
    let compiled = clock.spent();
    let mut wasi = WasiCtxBuilder::new();
    wasi.inherit_stdio().arg(&job.file).args(&job.args).envs(&job.env);
    wasi.allow_blocking_current_thread(true);
    for (host, guest) in &job.dirs {
        wasi.preopened_dir(host, guest, FsPerms::ReadWrite)?;
    }
    let mut store = wasmtime::Store::new(&engine, wasi.build_p1());
    let mut linker = wasmtime::Linker::new(&engine);
    add_to_linker_sync(&mut linker, |wasi: &mut WasiP1Ctx| wasi)?;
    let instance = linker.instantiate(&mut store, &module)?;
    let start = instance.get_typed_func::<(), ()>(&mut store, "_start")?;
    let clock = Clock::start();
    let result = start.call(&mut store, ());
    let run = clock.spent();
    if job.stats {
        report_run(compiled, run);
    }
    match result {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(error) => match error.downcast_ref::<I32Exit>() {
            Some(exit) => Ok(ExitCode::from(exit.0 as u8)),
            None => {
                eprintln!("trap: {error:?}");
                Ok(ExitCode::from(134))
            }
        },
    }
}

fn wasmi_engine() -> wasmi::Engine {
    let mut config = wasmi::Config::default();
    config.compilation_mode(wasmi::CompilationMode::Eager);
    config.set_max_recursion_depth(1 << 20).set_max_stack_height(STACK);
    wasmi::Engine::new(&config)
}

fn wasmi_compile(bytes: &[u8]) -> Result<ExitCode> {
    let engine = wasmi_engine();
    let clock = Clock::start();
    let module = wasmi::Module::new(&engine, bytes)?;
    let spent = clock.spent();
    drop(module);
    report_compile(bytes.len(), spent, None);
    Ok(ExitCode::SUCCESS)
}

fn wasmi_run(bytes: &[u8], job: &Job) -> Result<ExitCode> {
    use wasmi_wasi::{Dir, WasiCtx, WasiCtxBuilder, ambient_authority};
    let engine = wasmi_engine();
    let clock = Clock::start();
    let module = wasmi::Module::new(&engine, bytes)?;
    let compiled = clock.spent();
    let mut wasi = WasiCtxBuilder::new();
    wasi.inherit_stdio().arg(&job.file)?.args(&job.args)?.envs(&job.env)?;
    for (host, guest) in &job.dirs {
        wasi.preopened_dir(Dir::open_ambient_dir(host, ambient_authority())?, guest)?;
    }
    let mut store = wasmi::Store::new(&engine, wasi.build());
    let mut linker = wasmi::Linker::new(&engine);
    wasmi_wasi::add_to_linker(&mut linker, |wasi: &mut WasiCtx| wasi)?;
    let instance = linker.instantiate_and_start(&mut store, &module)?;
    let start = instance.get_typed_func::<(), ()>(&store, "_start")?;
    let clock = Clock::start();
    let result = start.call(&mut store, ());
    let run = clock.spent();
    if job.stats {
        report_run(compiled, run);
    }
    match result {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(error) => match error.i32_exit_status() {
            Some(code) => Ok(ExitCode::from(code as u8)),
            None => {
                eprintln!("trap: {error}");
                Ok(ExitCode::from(134))
            }
        },
    }
}
