//! The `runwell` command.
//!
//! Exit codes: the guest's own, 0 when all went well, and otherwise those of [`fail::Code`]. An error
//! is one line on standard error that says what was wrong, where, and what to do; a trap adds the
//! guest's backtrace.

#![forbid(unsafe_code)]

mod args;
mod bombs;
mod compile;
mod explore;
mod fail;
#[cfg(test)]
mod hostile;
mod inspect;
mod load;
mod objdump;
mod options_file;
mod output;
mod progress;
mod quote;
mod replay;
mod run;
mod settings;
mod state;
mod values;
mod wast;

use args::{Command, Options};
use runwell::Result;
use std::process::ExitCode;

/// Compiling large functions is work on large arrays.
#[cfg(not(test))]
#[global_allocator]
static ALLOCATOR: runwell_heap::LargePages = runwell_heap::LargePages;

/// Tests ask how much memory something takes.
#[cfg(test)]
#[global_allocator]
static ALLOCATOR: runwell_heap::Counting = runwell_heap::Counting;

fn main() -> ExitCode {
    let line = args::with_default_command(std::env::args_os());
    let outcome = options_file::parse(line).and_then(|options| dispatch(&options));
    outcome.unwrap_or_else(|error| fail::report(&error))
}

fn dispatch(options: &Options) -> Result<ExitCode> {
    match &options.command {
        Command::Run(options) => run::run(options),
        Command::Replay(options) => replay::replay(options),
        Command::Compile(options) => compile::compile(options),
        Command::Quote(options) => quote::quote(options),
        Command::Validate(options) => compile::validate(options),
        Command::Wast(options) => wast::wast(options),
        Command::Inspect(options) => inspect::inspect(options),
        Command::Objdump(options) => objdump::objdump(options),
        Command::Explore(options) => explore::explore(options),
        Command::Bombs(options) => bombs::bombs(options),
        Command::Settings(settings) => settings::settings(settings, options.file.as_ref()),
        Command::Completions(options) => settings::completions(options),
    }
}
