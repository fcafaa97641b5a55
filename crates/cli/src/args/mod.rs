//! The command line: one file for each command or family of commands, here what they share.

mod bombs;
mod compile;
mod replay;
mod run;
mod tools;

pub(crate) use bombs::Bombs;
pub(crate) use compile::{Compile, Validate};
pub(crate) use replay::{Range, Replay};
pub(crate) use run::Run;
pub(crate) use tools::{Inspect, Wast};

use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};
use std::ffi::OsString;
use std::path::PathBuf;

/// A WebAssembly virtual machine for code you do not trust.
#[derive(Parser, Debug)]
#[command(
    name = "runwell",
    version,
    after_help = "`runwell FILE [ARGS]...` is short for `runwell run FILE [ARGS]...`.\n\n\
        Examples:\n  \
        runwell app.wasm one two\n  \
        runwell run --dir ./data::/data app.wasm\n  \
        runwell run --invoke fib fib.wat 30\n  \
        runwell run --real --record app.log app.wasm\n  \
        runwell replay app.log --until-fuel 1000000 --memory 0x400+64\n  \
        runwell compile app.wasm --stats=text\n\n\
        Exit codes: the guest's own; 2 usage, 3 invalid input, 4 unsupported or over a limit,\n\
        5 linking, 70 a bug in runwell, 74 input or output, 134 trap."
)]
pub(crate) struct Options {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Runs a program, or one function of a module
    Run(Box<Run>),
    /// Runs a recording again, without the host, and shows the state at its end or wherever it is to stop
    Replay(Replay),
    /// Compiles a module in full and says what it cost
    Compile(Compile),
    /// Checks whether a module is valid and can be compiled
    Validate(Validate),
    /// Runs scripts in the format of the specification's tests
    Wast(Wast),
    /// Prints what the compiler makes of one function
    Inspect(Inspect),
    /// Compiles hostile modules and compares what they cost with what runwell promises
    Bombs(Bombs),
}

/// Format of figures.
#[derive(ValueEnum, Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) enum Stats {
    /// One line of JSON.
    Json,
    /// For people.
    Text,
}

/// Where time or randomness comes from.
#[derive(ValueEnum, Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) enum Source {
    /// The same in every run.
    Virtual,
    /// The machine's.
    Real,
}

/// Options of all commands that compile.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Compiler")]
pub(crate) struct Compiler {
    /// Compile on N threads; 0 means as many as there are processors
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) jobs: usize,
    /// Run all checkers of the compiler on every function
    #[arg(long)]
    pub(crate) verify: bool,
    /// Meter the guest: each operator costs fuel, and it stops when N units are used up
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(..1 << 63))]
    pub(crate) fuel: Option<u64>,
    /// Compare each memory access with the memory's length instead of relying on guard pages
    #[arg(long)]
    pub(crate) no_guards: bool,
}

/// Where compiled modules are kept.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Cache of compiled modules")]
pub(crate) struct CacheArgs {
    /// Compile the module, whether it was compiled before or not
    #[arg(long)]
    pub(crate) no_cache: bool,
    /// Keep compiled modules in this directory instead of ~/.cache/runwell/modules
    #[arg(long, value_name = "DIR", conflicts_with = "no_cache")]
    pub(crate) cache_dir: Option<PathBuf>,
}

/// The key of compiled modules.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Cache of compiled modules")]
pub(crate) struct ImageKey {
    /// File with the key that compiled modules are sealed with; made when it is missing [default:
    /// ~/.local/share/runwell/image.key]
    #[arg(long, value_name = "FILE")]
    pub(crate) image_key: Option<PathBuf>,
}

/// Names of all commands.
pub(crate) fn commands() -> Vec<String> {
    Options::command().get_subcommands().map(|command| command.get_name().to_string()).collect()
}

/// Puts `run` in front of arguments that name no command, so that a bare file is run.
pub(crate) fn with_default_command(args: impl Iterator<Item = OsString>) -> Vec<OsString> {
    const OWN_FLAGS: [&str; 4] = ["-h", "--help", "-V", "--version"];
    let mut args: Vec<OsString> = args.collect();
    if let Some(first) = args.get(1).and_then(|first| first.to_str()) {
        let is_file = std::path::Path::new(first).exists();
        let known = is_command(first) && !(is_file && args.len() == 2);
        if !known && !OWN_FLAGS.contains(&first) {
            args.insert(1, "run".into());
        }
    }
    args
}

/// True for the name of a command.
fn is_command(name: &str) -> bool {
    name == "help" || Options::command().find_subcommand(name).is_some()
}
