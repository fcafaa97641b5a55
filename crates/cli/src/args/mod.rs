//! The command line: one file for each command or family of commands, here what they share.

mod bombs;
mod compile;
mod help;
mod quote;
mod replay;
mod run;
mod session;
mod tools;

pub(crate) use bombs::Bombs;
pub(crate) use compile::{Compile, Validate};
pub(crate) use quote::Quote;
pub(crate) use replay::{Range, Replay};
pub(crate) use run::{Profile, Run};
pub(crate) use session::{Completions, Settings};
pub(crate) use tools::{Explore, Inspect, Objdump, Wast};

use crate::options_file::OptionsFile;
use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// A WebAssembly virtual machine for code you do not trust.
#[derive(Parser, Debug)]
#[command(
    name = "runwell",
    version,
    styles = help::STYLES,
    after_help = help::main(),
    max_term_width = 100
)]
pub(crate) struct Options {
    /// Take options from this file instead of runwell.toml in the current directory
    #[arg(long, global = true, value_name = "FILE", help_heading = "File of options")]
    pub(crate) config: Option<PathBuf>,
    /// Take options from the command line alone
    #[arg(long, global = true, help_heading = "File of options", conflicts_with = "config")]
    pub(crate) no_config: bool,
    /// The file of options that is in effect.
    #[arg(skip)]
    pub(crate) file: Option<OptionsFile>,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Runs a program, or one function of a module
    #[command(args_override_self = true, after_help = help::run())]
    Run(Box<Run>),
    /// Runs a recording again, without the host, and shows the state at its end or wherever it is to stop
    #[command(args_override_self = true, after_help = help::replay())]
    Replay(Replay),
    /// Compiles a module in full: to a file that runs, or to see what it costs
    #[command(args_override_self = true, after_help = help::compile())]
    Compile(Compile),
    /// Says what compiling a module costs at the most, without compiling it
    Quote(Quote),
    /// Checks whether a module is valid and can be compiled
    #[command(args_override_self = true)]
    Validate(Validate),
    /// Runs scripts in the format of the specification's tests
    #[command(args_override_self = true)]
    Wast(Wast),
    /// Prints what the compiler makes of one function
    #[command(args_override_self = true)]
    Inspect(Inspect),
    /// Prints machine code with what it was made of and where it may trap
    #[command(args_override_self = true)]
    Objdump(Objdump),
    /// Writes a page for a browser: Wasm, IR and machine code side by side
    #[command(args_override_self = true)]
    Explore(Explore),
    /// Compiles hostile modules and compares what they cost with what runwell promises
    #[command(args_override_self = true)]
    Bombs(Bombs),
    /// Prints what is in effect: options, processor, language, limits, fuel schedule
    #[command(args_override_self = true)]
    Settings(Settings),
    /// Prints a script that completes commands and flags in a shell
    #[command(after_help = help::completions())]
    Completions(Completions),
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
    /// With --fuel, charge for making instances: memory, tables, segments and all else that is there
    /// before the first operator
    #[arg(long)]
    pub(crate) charge_instantiation: bool,
    /// With --fuel, charge N units for each 1,024 steps that compiling is quoted at
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) charge_compilation: u64,
    /// Refuse modules whose compilation is quoted above this: work=N, memory=N and code=N, joined by
    /// commas, with k, m or g behind numbers
    #[arg(long, value_name = "BUDGET", value_parser = quote::budget)]
    pub(crate) compile_budget: Option<runwell::CompileBudget>,
    /// Compare each memory access with the memory's length instead of relying on guard pages
    #[arg(long)]
    pub(crate) no_guards: bool,
}

/// Where compiled modules are kept.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Cache of compiled modules")]
pub(crate) struct CacheArgs {
    /// Compile the module, whether it was compiled before or not, and do not keep it
    #[arg(long)]
    pub(crate) no_cache: bool,
    /// Keep compiled modules in this directory instead of ~/.cache/runwell/modules
    #[arg(long, value_name = "DIR")]
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
pub(crate) fn with_default_command(line: impl Iterator<Item = OsString>) -> Vec<OsString> {
    const OWN_FLAGS: [&str; 4] = ["-h", "--help", "-V", "--version"];
    let mut line: Vec<OsString> = line.collect();
    if let Some(at) = command_at(&line)
        && let Some(first) = line[at].to_str()
    {
        let is_file = Path::new(first).exists();
        let known = is_command(first) && !(is_file && line.len() == at + 1);
        if !known && !OWN_FLAGS.contains(&first) {
            line.insert(1, "run".into());
        }
    }
    line
}

/// Where the command is in a command line, behind flags that all commands have.
pub(crate) fn command_at(line: &[OsString]) -> Option<usize> {
    let mut at = 1;
    while let Some(arg) = line.get(at) {
        match arg.to_str() {
            Some("--config") => at += 2,
            Some("--no-config") => at += 1,
            Some(arg) if arg.starts_with("--config=") => at += 1,
            _ => return Some(at),
        }
    }
    None
}

/// True for the name of a command.
fn is_command(name: &str) -> bool {
    name == "help" || Options::command().find_subcommand(name).is_some()
}
