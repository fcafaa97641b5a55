//! `runwell replay`, and `runwell run --replay`.

use crate::args::{Compiler, Range, Replay as Options};
use crate::fail::{Code, Failure};
use crate::output::print;
use crate::state::io_error;
use crate::{load, values};
use runwell::tape::{Divergence, Ending, LogError, Outcome, Replay, Stop};
use runwell::{ExternType, Global, Result, WasmBacktrace};
use std::fmt::Write as _;
use std::fs::File;
use std::path::Path;
use std::process::ExitCode;

fn open(file: &Path, compiler: &Compiler, meter: bool) -> Result<Replay> {
    let mut config = load::config(compiler);
    config.consume_fuel(meter);
    let from = File::open(file).map_err(|error| io_error(file, &error))?;
    Replay::open(&config, from).map_err(|error| refused(file, error))
}

/// Says which file an error is about.
fn refused(file: &Path, error: runwell::Error) -> runwell::Error {
    let code = match error.downcast_ref::<LogError>() {
        Some(LogError::Io(..)) => Code::Io,
        Some(_) => Code::Invalid,
        None if error.is::<Divergence>() => Code::Bug,
        None => Code::Link,
    };
    Failure::error(code, format!("{}: {error:#}", file.display()))
}

/// Runs a recording of these modules instead of the modules with the host.
pub(crate) fn instead(
    recording: &Path,
    compiler: &Compiler,
    modules: &[Vec<u8>],
    hash: bool,
) -> Result<ExitCode> {
    let mut replay = open(recording, compiler, false)?;
    replay.expect_modules(modules);
    let ending = replay.run().map_err(|error| refused(recording, error))?;
    match ending {
        Ending::Complete { hash: state, note, outcome } => {
            if let Some(Outcome::Trap(trap)) = outcome {
                eprintln!("error: {trap}");
            }
            eprintln!("replay: {} import calls, the same state", replay.calls());
            if hash {
                eprintln!("state: {state}");
            }
            Ok(ExitCode::from(note.first().copied().unwrap_or(0)))
        }
        Ending::Stopped { stop, backtrace } => {
            print_backtrace(backtrace.as_ref());
            let what = format!("after {} import calls: {stop}", replay.calls());
            Err(Failure::error(Code::Invalid, format!("{}: {what}", recording.display())))
        }
        _ => Err(Failure::error(Code::Bug, "the replay ended in a way that is not known here")),
    }
}

fn print_backtrace(backtrace: Option<&WasmBacktrace>) {
    if let Some(backtrace) = backtrace {
        eprintln!("{backtrace}");
    }
}

/// Runs a recording to where it is to stop, and shows the state.
pub(crate) fn replay(options: &Options) -> Result<ExitCode> {
    let mut replay = open(&options.file, &options.compiler, options.until_fuel.is_some())?;
    if let Some(units) = options.until_fuel {
        replay.until_fuel(units)?;
    }
    if let Some(number) = options.until_call {
        replay.until_call(number);
    }
    let ending = replay.run().map_err(|error| refused(&options.file, error))?;
    let mut text = String::new();
    let mut code = ExitCode::SUCCESS;
    match &ending {
        Ending::Complete { hash, note, outcome } => {
            _ = writeln!(text, "the end of the recording, with the state it had");
            if let Some(&code) = note.first() {
                _ = writeln!(text, "exit code: {code}");
            }
            match outcome {
                Some(Outcome::Trap(trap)) => _ = writeln!(text, "{trap}"),
                Some(Outcome::Error(message)) => _ = writeln!(text, "host: {message}"),
                _ => {}
            }
            _ = writeln!(text, "state: {hash}");
        }
        Ending::Stopped { stop, backtrace } => {
            if !matches!(stop, Stop::Fuel { .. } | Stop::Call { .. }) {
                code = ExitCode::from(Code::Invalid as u8);
            }
            _ = writeln!(text, "{stop}");
            if let Some(backtrace) = backtrace {
                _ = writeln!(text, "{backtrace}");
            }
        }
        _ => {}
    }
    _ = writeln!(text, "import calls: {}", replay.calls());
    show_globals(&mut replay, &mut text);
    show_memories(&mut replay, &options.memories, &mut text)?;
    print(&text)?;
    Ok(code)
}

/// The names under which globals are exported.
fn names(replay: &mut Replay, global: Global) -> Vec<String> {
    let mut names = Vec::new();
    for instance in replay.instances() {
        let module = instance.module(replay.store()).clone();
        for export in module.exports().filter(|e| matches!(e.ty(), ExternType::Global(_))) {
            if instance.get_global(replay.store(), export.name()) == Some(global) {
                names.push(export.name().to_string());
            }
        }
    }
    names
}

fn show_globals(replay: &mut Replay, text: &mut String) {
    for (number, global) in replay.globals().into_iter().enumerate() {
        let value = global.get(replay.store());
        let ty = global.ty(&*replay.store());
        let names = names(replay, global).join(", ");
        _ = writeln!(text, "global {number} {names}: {} = {}", ty.content(), values::show(&value));
    }
}

fn show_memories(replay: &mut Replay, ranges: &[Range], text: &mut String) -> Result<()> {
    let memories = replay.memories();
    for (number, memory) in memories.iter().enumerate() {
        _ = writeln!(text, "memory {number}: {} pages", memory.size(&*replay.store()));
    }
    for range in ranges {
        let Some(memory) = memories.get(range.memory) else {
            let message = format!("there is no memory {}", range.memory);
            return Err(Failure::error(Code::Usage, message));
        };
        let bytes = memory.data(&*replay.store());
        let start = usize::try_from(range.start).unwrap_or(usize::MAX).min(bytes.len());
        let len = usize::try_from(range.len).unwrap_or(usize::MAX).min(bytes.len() - start);
        hex_dump(&bytes[start..start + len], start, text);
    }
    Ok(())
}

/// Lines of 16 bytes, with addresses and what is ASCII.
fn hex_dump(bytes: &[u8], start: usize, text: &mut String) {
    for (line, at) in bytes.chunks(16).zip((start..).step_by(16)) {
        _ = write!(text, "{at:08x} ");
        for column in 0..16 {
            _ = match line.get(column) {
                Some(byte) => write!(text, " {byte:02x}"),
                None => write!(text, "   "),
            };
        }
        let ascii = line.iter().map(|&byte| match byte {
            b' '..=b'~' => char::from(byte),
            _ => '.',
        });
        _ = writeln!(text, "  {}", ascii.collect::<String>());
    }
}
