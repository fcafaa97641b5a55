//! `runwell run`.

use crate::args::{Profile, Run, Source, Stats};
use crate::fail::{self, Code, Failure, near};
use crate::{load, state, values};
use runwell::{
    Engine, Func, InterruptHandle, Linker, Module, ProfilingStrategy, Result, Store, Val,
};
use runwell_wasi::{I32Exit, WasiCtx, WasiCtxBuilder};
use std::fs::File;
use std::io::{self, ErrorKind, IoSlice, IsTerminal, Write};
use std::os::fd::AsFd;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

pub(crate) fn run(options: &Run) -> Result<ExitCode> {
    if let Some(recording) = &options.state.replay {
        let mut modules = vec![load::binary(&options.file)?];
        for preload in &options.preload {
            modules.push(load::binary(preload_file(preload)?.1)?);
        }
        return crate::replay::instead(recording, &options.compiler, &modules, options.state.hash);
    }
    let mut key = Ok(());
    let engine = load::engine(&options.compiler, |config| {
        load::cache(config, &options.cache);
        config.debug_info(options.debug_info);
        config.profiler(match options.profile {
            None => ProfilingStrategy::None,
            Some(Profile::Perfmap) => ProfilingStrategy::PerfMap,
            Some(Profile::Jitdump) => ProfilingStrategy::JitDump,
        });
        key = load::image_key(config, &options.image_key);
        if let Some(bytes) = options.max_wasm_stack {
            config.max_wasm_stack(bytes);
        }
    })?;
    key?;
    let start = Instant::now();
    let module = load::module(&engine, &options.file)?;
    let compiled = start.elapsed();
    let mut store = Store::new(&engine, context(options)?);
    let check = state::begin(&options.state, &mut store)?;
    if let Some(fuel) = options.compiler.fuel {
        store.set_fuel(fuel)?;
    }
    let mut linker = Linker::new(&engine);
    runwell_wasi::add_to_linker(&mut linker, |ctx| ctx)?;
    for preload in &options.preload {
        preloaded(&engine, &mut linker, &mut store, preload)?;
    }
    if let Some(seconds) = options.timeout {
        stop_after(seconds, store.interrupt_handle()?)?;
    }
    let (start, processor) = (Instant::now(), processor_time());
    let outcome = execute(options, &module, &linker, &mut store);
    if let Some(fuel) = options.compiler.fuel {
        let used = fuel - store.get_fuel()?;
        eprintln!("fuel: {used} of {fuel} units used");
    }
    let code = match &outcome {
        Ok(()) => 0,
        Err(error) => match error.downcast_ref::<I32Exit>() {
            Some(I32Exit(code)) => *code as u8,
            None => fail::code(error) as u8,
        },
    };
    state::ended(&options.state, &mut store, code)?;
    if let Some(check) = &check {
        state::checked(check);
    }
    if let Some(format) = options.stats {
        let run = (start.elapsed(), processor_time() - processor);
        print_times(format, compiled, run, &module);
    }
    match outcome {
        Err(error) if !error.is::<I32Exit>() => Err(error),
        _ => Ok(ExitCode::from(code)),
    }
}

/// Name and file of `--preload NAME=FILE`.
fn preload_file(preload: &str) -> Result<(&str, &Path)> {
    let parts = preload.split_once('=').map(|(name, file)| (name, Path::new(file)));
    parts.ok_or_else(|| {
        Failure::error(Code::Usage, format!("--preload {preload}: expected NAME=FILE"))
    })
}

fn preloaded(
    engine: &Engine,
    linker: &mut Linker<WasiCtx>,
    store: &mut Store<WasiCtx>,
    preload: &str,
) -> Result<()> {
    let (name, file) = preload_file(preload)?;
    let module = load::module(engine, file)?;
    linker.module(store, name, &module)?;
    Ok(())
}

fn context(options: &Run) -> Result<WasiCtx> {
    let mut builder = WasiCtxBuilder::new();
    builder.inherit_stdio();
    // Where it is closed, the guest finds that out itself.
    if let Ok(stdout) = io::stdout().as_fd().try_clone_to_owned()
        && !io::stdout().is_terminal()
    {
        builder.stdout(Piped(stdout.into()));
    }
    let argv0 = match &options.argv0 {
        Some(name) => name.clone(),
        None => options
            .file
            .file_name()
            .map_or_else(String::new, |name| name.to_string_lossy().into_owned()),
    };
    builder.arg(&argv0);
    if options.invoke.is_none() {
        for arg in &options.args {
            builder.arg(arg);
        }
    }
    if options.inherit_env || options.real {
        builder.inherit_env();
    }
    for setting in &options.env {
        match setting.split_once('=') {
            Some((name, value)) => {
                builder.env(name, value);
            }
            None => match std::env::var(setting) {
                Ok(value) => {
                    builder.env(setting, &value);
                }
                Err(error) => {
                    let message = format!("--env {setting}: {error}; give a value with NAME=VALUE");
                    return Err(Failure::error(Code::Usage, message));
                }
            },
        }
    }
    builder.virtual_ns_per_fuel(options.clock_rate);
    if options.clock == Source::Real || options.real {
        builder.real_clock();
    }
    if options.random == Source::Real || options.real {
        builder.real_random();
    }
    for dir in &options.dirs {
        let (host, guest) = dir.split_once("::").unwrap_or((dir, dir));
        builder.preopened_dir(host, guest).map_err(|error| {
            Failure::error(Code::Io, format!("--dir {dir}: cannot open `{host}`: {error}"))
        })?;
    }
    Ok(builder.build())
}

/// The host's standard output where it may be a pipe. Native programs end when the reader is gone,
/// most of them without knowing that there is such a thing, so the guest does the same.
struct Piped(File);

/// The exit code that a shell gives to a program which ended so.
const BROKEN_PIPE: i32 = 141;

impl Write for Piped {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(bytes)])
    }

    fn write_vectored(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        match self.0.write_vectored(parts) {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => std::process::exit(BROKEN_PIPE),
            done => done,
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn execute(
    options: &Run,
    module: &Module,
    linker: &Linker<WasiCtx>,
    store: &mut Store<WasiCtx>,
) -> Result<()> {
    let instance =
        linker.instantiate(&mut *store, module).map_err(|error| with_file(error, &options.file))?;
    let Some(name) = &options.invoke else {
        let start = instance.get_func(&mut *store, "_start");
        // Without a start of its own, a module has done all it does once it is instantiated.
        return match start {
            Some(start) => start.typed::<(), ()>(&*store)?.call(store, ()),
            None => Ok(()),
        };
    };
    if let Some(initialize) = instance.get_func(&mut *store, "_initialize") {
        initialize.typed::<(), ()>(&*store)?.call(&mut *store, ())?;
    }
    let Some(func) = instance.get_func(&mut *store, name) else {
        let names: Vec<&str> = module
            .exports()
            .filter(|export| export.ty().func().is_some())
            .map(|export| export.name())
            .collect();
        let hint = match near(name, names.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None if names.is_empty() => "there are none at all".to_string(),
            None => format!("there are: {}", shortened(&names)),
        };
        let file = options.file.display();
        let message = format!("{file}: there is no exported function `{name}`; {hint}");
        return Err(Failure::error(Code::Usage, message));
    };
    invoke(func, &options.args, store)
}

/// The first names of a list that may be long.
fn shortened(names: &[&str]) -> String {
    const SHOWN: usize = 20;
    let rest = names.len().saturating_sub(SHOWN);
    let shown = names[..names.len() - rest].join(", ");
    if rest == 0 { shown } else { format!("{shown} and {rest} more") }
}

fn invoke(func: Func, args: &[String], store: &mut Store<WasiCtx>) -> Result<()> {
    let ty = func.ty(&*store);
    if ty.params().len() != args.len() {
        let message = format!("the function takes {ty}, but {} arguments are given", args.len());
        return Err(Failure::error(Code::Usage, message));
    }
    let params = args
        .iter()
        .zip(ty.params())
        .map(|(text, ty)| values::parse(text, ty))
        .collect::<Result<Vec<Val>>>()?;
    let mut results = vec![Val::I32(0); ty.results().len()];
    func.call(store, &params, &mut results)?;
    for result in &results {
        crate::output::print(&format!("{}\n", values::show(result)))?;
    }
    Ok(())
}

fn with_file(error: runwell::Error, file: &Path) -> runwell::Error {
    let stops_guest = error.downcast_ref::<runwell::Trap>().is_some()
        || error.downcast_ref::<I32Exit>().is_some()
        || error.downcast_ref::<runwell::WasmBacktrace>().is_some();
    if stops_guest {
        return error;
    }
    Failure::error(Code::Link, format!("{}: {error:#}", file.display()))
}

/// Stops the guest when its time is over. The thread ends with the process.
fn stop_after(seconds: f64, guest: InterruptHandle) -> Result<()> {
    let Ok(time) = Duration::try_from_secs_f64(seconds) else {
        let message = format!("--timeout {seconds}: not a time");
        return Err(Failure::error(Code::Usage, message));
    };
    std::thread::spawn(move || {
        std::thread::sleep(time);
        // Between two calls of the command's own there is nothing to stop.
        while !guest.interrupt() {
            std::thread::sleep(Duration::from_millis(1));
        }
    });
    Ok(())
}

/// Time that the processor has spent on this thread, in seconds.
fn processor_time() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
}

fn print_times(format: Stats, compile: Duration, (run, cpu): (Duration, f64), module: &Module) {
    let (compile, run) = (compile.as_secs_f64(), run.as_secs_f64());
    let code_bytes = module.report().code_bytes;
    match format {
        Stats::Json => eprintln!(
            "{{\"compile_seconds\":{compile:.9},\"run_seconds\":{run:.9},\
             \"run_cpu_seconds\":{cpu:.9},\"code_bytes\":{code_bytes}}}"
        ),
        Stats::Text => eprintln!(
            "compiled in {:.3} ms ({code_bytes} bytes of machine code), ran {:.3} ms",
            compile * 1e3,
            run * 1e3
        ),
    }
}
