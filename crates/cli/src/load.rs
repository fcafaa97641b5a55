//! Reading modules from files: binary, text, or compiled before, told apart by what is in them.

use crate::args::{CacheArgs, Compiler, ImageKey};
use crate::fail::{Code, Failure, in_file, warn};
use crate::progress;
use runwell::{
    Cache, CacheConfig, CacheWarning, Config, Engine, ImageError, Module, Precompiled, Progress,
    Result,
};
use std::io::{ErrorKind, IsTerminal, Read};
use std::path::Path;
use std::sync::Arc;

/// A configuration with the options of the command line.
pub(crate) fn config(options: &Compiler) -> Config {
    let mut config = Config::new();
    config.compile_jobs(options.jobs).verify(options.verify).guarded_memories(!options.no_guards);
    config.consume_fuel(options.fuel.is_some());
    config.charge_instantiation(options.charge_instantiation);
    config.charge_compilation(options.charge_compilation);
    config.compile_budget(options.compile_budget.unwrap_or_default());
    config.compile_progress(Arc::new(Progress::default()));
    config
}

/// An engine with the options of the command line.
pub(crate) fn engine(options: &Compiler, configure: impl FnOnce(&mut Config)) -> Result<Engine> {
    let mut config = config(options);
    configure(&mut config);
    Engine::new(&config)
}

/// Makes an engine with `config` know the key of compiled modules.
pub(crate) fn image_key(config: &mut Config, options: &ImageKey) -> Result<()> {
    if let Some(file) = &options.image_key {
        config.image_key_file(file).map_err(|error| {
            let message = format!("--image-key {}: {error:#}", file.display());
            Failure::error(Code::Io, message)
        })?;
    }
    Ok(())
}

/// Makes an engine with `config` use the cache, unless it is switched off or there is no place.
pub(crate) fn cache(config: &mut Config, options: &CacheArgs) {
    if options.no_cache {
        return;
    }
    let mut cache = CacheConfig::new();
    let asked = options.cache_dir.is_some();
    if let Some(directory) = &options.cache_dir {
        cache.with_directory(directory);
    }
    cache.with_warnings(move |warning| {
        // Nobody asked for the default place, and many may not write there.
        let quiet = match warning {
            CacheWarning::Unusable { error, .. } => matches!(
                error.kind(),
                ErrorKind::PermissionDenied
                    | ErrorKind::ReadOnlyFilesystem
                    | ErrorKind::NotFound
                    | ErrorKind::NotADirectory
            ),
            CacheWarning::NoKey { .. } => true,
            _ => false,
        };
        if asked || !quiet {
            warn(&warning.to_string());
        }
    });
    // Without a home there is no place, and nobody asked for one.
    if let Ok(cache) = Cache::new(cache) {
        config.cache(Some(cache));
    }
}

/// The content of a file, or of standard input for `-`.
pub(crate) fn bytes(file: &Path) -> Result<Vec<u8>> {
    let name = file.display();
    let unreadable = |error: std::io::Error| {
        let hint = match error.kind() {
            ErrorKind::NotFound => near_command(file),
            _ => String::new(),
        };
        Failure::error(Code::Io, format!("{name}: cannot be read: {error}{hint}"))
    };
    let bytes = if file.as_os_str() == "-" {
        if std::io::stdin().is_terminal() {
            let message = "-: standard input is a terminal; name a file or redirect one";
            return Err(Failure::error(Code::Usage, message));
        }
        let mut bytes = Vec::new();
        std::io::stdin().lock().read_to_end(&mut bytes).map_err(unreadable)?;
        bytes
    } else {
        let metadata = std::fs::metadata(file).map_err(unreadable)?;
        if metadata.is_dir() {
            return Err(Failure::error(
                Code::Io,
                format!("{name}: is a directory; name a .wasm or .wat file"),
            ));
        }
        std::fs::read(file).map_err(unreadable)?
    };
    if bytes.is_empty() {
        return Err(Failure::error(Code::Invalid, format!("{name}: the file is empty")));
    }
    Ok(bytes)
}

/// A hint for what may be a mistyped command.
fn near_command(file: &Path) -> String {
    let names = crate::args::commands();
    let near = file.to_str().and_then(|name| crate::fail::near(name, names.iter().map(|n| &**n)));
    near.map_or_else(String::new, |near| format!("; did you mean the command `{near}`?"))
}

/// What a file holds.
enum Content {
    /// A module in the binary form.
    Module(Vec<u8>),
    /// A compiled module.
    Image(Vec<u8>),
}

fn content(file: &Path) -> Result<Content> {
    let bytes = bytes(file)?;
    let name = file.display();
    if bytes.starts_with(b"\0asm") {
        return Ok(Content::Module(bytes));
    }
    if Engine::detect_precompiled(&bytes) == Some(Precompiled::Module) {
        return Ok(Content::Image(bytes));
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
    let binary = runwell::text_to_binary(&bytes, Some(file))
        .map_err(|error| Failure::error(Code::Invalid, format!("{error}")))?;
    Ok(Content::Module(binary))
}

/// The binary form of the module in a file; of a compiled module, what it was made of.
pub(crate) fn binary(file: &Path) -> Result<Vec<u8>> {
    match content(file)? {
        Content::Module(bytes) => Ok(bytes),
        Content::Image(bytes) => match Module::wasm_in_image(&bytes) {
            Some(module) => Ok(module.to_vec()),
            None => Err(hopeless(file)),
        },
    }
}

/// The error for an image with nothing in it that could be compiled.
fn hopeless(file: &Path) -> runwell::Error {
    let message = format!(
        "{}: the compiled module is damaged, and so is the module in it; compile it again from its \
         source",
        file.display()
    );
    Failure::error(Code::Invalid, message)
}

/// The compiled module in a file, compiled now unless it was before.
pub(crate) fn module(engine: &Engine, file: &Path) -> Result<Module> {
    match content(file)? {
        Content::Module(bytes) => compiled(engine, &bytes, file),
        Content::Image(bytes) => from_image(engine, &bytes, file),
    }
}

fn compiled(engine: &Engine, bytes: &[u8], file: &Path) -> Result<Module> {
    progress::watch(engine, file, || Module::from_binary(engine, bytes))
        .map_err(|error| in_file(error, file))
}

fn from_image(engine: &Engine, bytes: &[u8], file: &Path) -> Result<Module> {
    let error = match Module::deserialize(engine, bytes) {
        Ok(module) => return Ok(module),
        Err(error) => error,
    };
    let Some(wasm) = Module::wasm_in_image(bytes) else { return Err(hopeless(file)) };
    let hint = match error.downcast_ref::<ImageError>() {
        Some(ImageError::Options) => " (--fuel or --no-guards)",
        Some(ImageError::Key) => " (--image-key names one)",
        _ => "",
    };
    warn(&format!("{}: {error:#}{hint}; the module in it is compiled again", file.display()));
    compiled(engine, wasm, file)
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
