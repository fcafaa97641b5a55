//! Fuzzing: generated modules on runwell and on others, and hostile bytes.
//!
//! `fuzz TARGET [--seconds N] [--seed S] [--jobs N] [--out DIRECTORY]`, and `--replay FILE` for an
//! input that was kept. Everything is made from seeds that count up from `S`, so that a run can be
//! repeated.
//!
//! `fuzz bombs [--seconds N] [--seed S] [--size BYTES] [--families NAME,NAME] [--out DIRECTORY]` searches
//! for modules that cost the compiler more than the known families of attacks do, and starts with the
//! families in whose name one of these stands. `fuzz bombs --replay FILE` says what one module costs.
//!
//! `fuzz quote [--seconds N] [--seed S] [--out DIRECTORY]` searches for functions that cost more than they are
//! quoted. With `--fit FILE,FILE` it makes tables that quote what it finds enough and these real modules
//! not too much, in `--rounds N` of so many seconds each.

#![forbid(unsafe_code)]

mod bombs;
mod case;
mod mutate;
#[cfg(feature = "peers")]
mod peers;
mod report;

use case::{Checker, Target};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

const USAGE: &str =
    "usage: fuzz TARGET [--seconds N] [--seed S] [--jobs N] [--out DIRECTORY] [--replay FILE]

targets:
  eval     generated modules: machine code, in several ways, and the meaning of the IR
  engines  generated modules: machine code, wasmi and wasmtime
  compile  damaged and random bytes through the compiler with every checker
  wat      damaged text through the text format and the compiler
  all      each of them in turn
  bombs    a search for modules that make the compiler slow or large, of at most --size bytes [32768],
           which starts with all families, or --families whose name contains one of these
  quote    a search for functions that cost more than they are quoted; with --fit and real modules, in
           --rounds of --seconds each, it fits the tables of the quote to what it finds";

/// What is allocated is counted, for the target `bombs`.
#[global_allocator]
static ALLOCATOR: runwell_heap::Counting = runwell_heap::Counting;

struct Arguments {
    targets: Vec<Target>,
    /// Target `quote`.
    quote: bool,
    seconds: u64,
    seed: u64,
    size: usize,
    families: Vec<String>,
    rounds: u64,
    fit: Vec<PathBuf>,
    jobs: usize,
    out: PathBuf,
    replay: Option<PathBuf>,
}

fn arguments() -> Result<Arguments, String> {
    let mut words = std::env::args().skip(1);
    let name = words.next().ok_or(USAGE)?;
    let targets = match Target::named(&name) {
        Some(target) => vec![target],
        None if name == "all" => Target::ALL.to_vec(),
        None if name == "bombs" || name == "quote" => Vec::new(),
        None => return Err(format!("there is no target {name}\n{USAGE}")),
    };
    let mut arguments = Arguments {
        targets,
        quote: name == "quote",
        seconds: 60,
        seed: 1,
        size: 32 << 10,
        families: Vec::new(),
        rounds: 1,
        fit: Vec::new(),
        jobs: 1,
        out: PathBuf::from("found"),
        replay: None,
    };
    while let Some(option) = words.next() {
        let value = words.next().ok_or_else(|| format!("{option} wants a value"))?;
        let number = || value.parse::<u64>().map_err(|error| format!("{option} {value}: {error}"));
        match option.as_str() {
            "--seconds" => arguments.seconds = number()?,
            "--seed" => arguments.seed = number()?,
            "--size" => arguments.size = number()?.max(16384) as usize,
            "--families" => arguments.families = value.split(',').map(str::to_string).collect(),
            "--rounds" => arguments.rounds = number()?,
            "--fit" => arguments.fit = value.split(',').map(PathBuf::from).collect(),
            "--jobs" => arguments.jobs = number()?.max(1) as usize,
            "--out" => arguments.out = value.into(),
            "--replay" => arguments.replay = Some(value.into()),
            _ => return Err(format!("there is no option {option}\n{USAGE}")),
        }
    }
    Ok(arguments)
}

fn main() -> ExitCode {
    let arguments = match arguments() {
        Ok(arguments) => arguments,
        Err(message) => {
            eprintln!("{message}");
            return ExitCode::from(2);
        }
    };
    case::keep_panics_quiet();
    if arguments.quote && arguments.replay.is_some() {
        eprintln!(
            "the target quote replays nothing: `runwell quote --check FILE` looks at one module"
        );
        return ExitCode::from(2);
    }
    if arguments.quote {
        return quote(arguments);
    }
    if arguments.targets.is_empty() {
        if let Some(file) = &arguments.replay {
            let module = std::fs::read(file).map_err(|error| error.to_string());
            return match module.and_then(|module| bombs::replay(&module)) {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => {
                    eprintln!("{}: {error}", file.display());
                    ExitCode::FAILURE
                }
            };
        }
        let time = Duration::from_secs(arguments.seconds);
        let (seed, size, families) = (arguments.seed, arguments.size, &arguments.families);
        return match bombs::search(time, (seed, size), families, &arguments.out) {
            Ok(0) => ExitCode::SUCCESS,
            Ok(_) => ExitCode::FAILURE,
            Err(error) => {
                eprintln!("{}: {error}", arguments.out.display());
                ExitCode::from(2)
            }
        };
    }
    if let Some(file) = &arguments.replay {
        return replay(&arguments, file);
    }
    if let Err(error) = std::fs::create_dir_all(&arguments.out) {
        eprintln!("{}: {error}", arguments.out.display());
        return ExitCode::from(2);
    }
    let time = Duration::from_secs(arguments.seconds / arguments.targets.len() as u64);
    let mut found = 0;
    for &target in &arguments.targets {
        found += report::run(target, time, arguments.seed, arguments.jobs, &arguments.out);
    }
    if found == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Target `quote`.
fn quote(arguments: Arguments) -> ExitCode {
    let plan = bombs::quote::Plan {
        time: Duration::from_secs(arguments.seconds),
        seed: arguments.seed,
        rounds: arguments.rounds,
        corpus: arguments.fit,
    };
    match bombs::quote::run(&plan, &arguments.out) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{}: {error}", arguments.out.display());
            ExitCode::from(2)
        }
    }
}

/// Checks one input again.
fn replay(arguments: &Arguments, file: &std::path::Path) -> ExitCode {
    let target = arguments.targets[0];
    let input = match std::fs::read(file) {
        Ok(input) if target == Target::Wat => input,
        Ok(input) => match runwell::text_to_binary(&input, Some(file)) {
            Ok(input) => input,
            Err(error) => {
                eprintln!("{error:#}");
                return ExitCode::from(2);
            }
        },
        Err(error) => {
            eprintln!("{}: {error}", file.display());
            return ExitCode::from(2);
        }
    };
    match Checker::new(target).check(&input, arguments.seed) {
        Ok(done) => {
            println!("nothing wrong: {done:?}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            println!("{error}");
            ExitCode::FAILURE
        }
    }
}
