//! Reading modules from files.

use crate::args::Compiler;
use crate::fail::{Code, Failure, in_file};
use runwell::{Config, Engine, Module, Result};
use std::path::Path;

/// An engine with the options of the command line.
pub(crate) fn engine(options: &Compiler, configure: impl FnOnce(&mut Config)) -> Result<Engine> {
    let mut config = Config::new();
    config.compile_jobs(options.jobs).verify(options.verify).guarded_memories(!options.no_guards);
    config.consume_fuel(options.fuel.is_some());
    configure(&mut config);
    Engine::new(&config)
}

/// The content of a file.
pub(crate) fn bytes(file: &Path) -> Result<Vec<u8>> {
    let name = file.display();
    let metadata = std::fs::metadata(file)
        .map_err(|error| Failure::error(Code::Io, format!("{name}: cannot be read: {error}")))?;
    if metadata.is_dir() {
        return Err(Failure::error(
            Code::Io,
            format!("{name}: is a directory; name a .wasm or .wat file"),
        ));
    }
    let bytes = std::fs::read(file)
        .map_err(|error| Failure::error(Code::Io, format!("{name}: cannot be read: {error}")))?;
    if bytes.is_empty() {
        return Err(Failure::error(Code::Invalid, format!("{name}: the file is empty")));
    }
    Ok(bytes)
}

/// The binary form of the module in a file.
pub(crate) fn binary(file: &Path) -> Result<Vec<u8>> {
    let bytes = bytes(file)?;
    let name = file.display();
    if bytes.starts_with(b"\0asm") {
        return Ok(bytes);
    }
    // A text module begins with a parenthesis or a comment; anything else is not meant as one.
    let start = bytes.iter().find(|byte| !byte.is_ascii_whitespace());
    if !matches!(start, Some(b'(' | b';')) {
        let what = if bytes.starts_with(b"\x7fELF") {
            "a native program"
        } else if std::str::from_utf8(&bytes).is_ok() {
            "some other text"
        } else {
            "something else"
        };
        return Err(Failure::error(
            Code::Invalid,
            format!(
                "{name}: not a WebAssembly module, neither binary nor text, but {what}, at byte 0x0"
            ),
        ));
    }
    runwell::text_to_binary(&bytes, Some(file))
        .map_err(|error| Failure::error(Code::Invalid, format!("{error}")))
}

/// The compiled module in a file.
pub(crate) fn module(engine: &Engine, file: &Path) -> Result<Module> {
    let bytes = binary(file)?;
    Module::from_binary(engine, &bytes).map_err(|error| in_file(error, file))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{Command, Options};
    use clap::Parser;

    /// The compiler's options in a command line.
    fn compiler(args: &[&str]) -> Compiler {
        let args = ["runwell"].iter().chain(args).chain(&["file.wasm"]);
        match Options::try_parse_from(args).expect("a command line").command {
            Command::Run(run) => run.compiler,
            Command::Compile(compile) => compile.compiler,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn verify_runs_the_checkers() {
        let bytes = runwell::text_to_binary(b"(module (func) (func))", None).expect("a module");
        let checked = |args: &[&str]| {
            let engine = engine(&compiler(args), |_| {}).expect("an engine");
            let module = Module::from_binary(&engine, &bytes).expect("a module");
            (module.report().functions, module.report().checked)
        };
        for command in ["run", "compile"] {
            assert_eq!(checked(&[command, "--verify"]), (2, 2));
            assert_eq!(checked(&[command]), (2, 0));
        }
    }
}
