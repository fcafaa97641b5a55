//! Side-by-side measurements: runwell, wasmtime with Cranelift and with Winch, wasmi, the native build.
//!
//! A process for each measurement, engines interleaved within each round, the minimum of several
//! rounds. The peers run in this same program ([`peer`]), so that what is timed is alike: compiling one
//! module on one thread, or the call of `_start` alone. Times are of the processor by default, since a
//! machine that is used for something else disturbs them least.

mod corpus;
mod features;
mod measure;
mod peer;
mod profile;
mod report;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use measure::Engine;

const USAGE: &str = "\
usage: bench compile [OPTIONS] [FILTER]   compile time, memory and code size
       bench run     [OPTIONS] [FILTER]   run time
       bench all     [OPTIONS] [FILTER]   both, written to docs/benchmarks.md
       bench profile [OPTIONS] PROGRAM    instructions and cycles, runwell beside Cranelift
       bench features FILE…               what a module needs of an engine
       bench peer ENGINE run|compile …    an engine with runwell's command line

  --engines A,B     of runwell, cranelift, winch, wasmi, native   [all of them]
  --runs N          rounds; minima are reported                   [3]
  --variant V       base or full: the target's optional features  [full]
  --metric M        cpu or wall seconds                           [cpu]
  --runwell PATH    the runwell to measure                        [target/release/runwell]
  --json PATH       where the figures go                          [target/bench/results.json]

The corpus has to be there: cargo xtask corpus.
";

/// What the command line asked for.
pub struct Options {
    pub engines: Vec<Engine>,
    pub runs: usize,
    pub variant: String,
    pub cpu: bool,
    pub runwell: PathBuf,
    pub json: PathBuf,
    pub filter: String,
    /// The command line, to be named in the report.
    pub command: String,
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match dispatch(&args) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(args: &[String]) -> Result<ExitCode> {
    let Some((name, rest)) = args.split_first() else {
        print!("{USAGE}");
        return Ok(ExitCode::from(2));
    };
    match name.as_str() {
        "peer" => return peer::command(rest),
        "features" => features::command(rest)?,
        "compile" => {
            let options = parse(args)?;
            let results = measure::compile(&options)?;
            print!("{}", report::compile_table(&options, &results));
            report::write_json(&options, &results, &[])?;
        }
        "run" => {
            let options = parse(args)?;
            let results = measure::run(&options)?;
            print!("{}", report::run_table(&options, &results));
            report::write_json(&options, &[], &results)?;
        }
        "all" => {
            let options = parse(args)?;
            let compiled = measure::compile(&options)?;
            let run = measure::run(&options)?;
            print!("{}", report::compile_table(&options, &compiled));
            print!("{}", report::run_table(&options, &run));
            report::write_json(&options, &compiled, &run)?;
            report::write_markdown(&options, &compiled, &run)?;
        }
        "profile" => profile::command(&parse(args)?)?,
        _ => bail!("no command `{name}`\n\n{USAGE}"),
    }
    Ok(ExitCode::SUCCESS)
}

fn parse(args: &[String]) -> Result<Options> {
    let mut options = Options {
        engines: Engine::ALL.to_vec(),
        runs: 3,
        variant: "full".into(),
        cpu: true,
        runwell: corpus::root().join("target/release/runwell"),
        json: corpus::root().join("target/bench/results.json"),
        filter: String::new(),
        command: format!("bench {}", args.join(" ")),
    };
    let mut args = args[1..].iter();
    while let Some(arg) = args.next() {
        let mut value = || args.next().with_context(|| format!("{arg} needs a value"));
        match arg.as_str() {
            "--engines" => {
                options.engines = value()?.split(',').map(str::parse).collect::<Result<_>>()?;
            }
            "--runs" => options.runs = value()?.parse::<usize>().context("--runs")?.max(1),
            "--variant" => options.variant = value()?.clone(),
            "--metric" => {
                options.cpu = match value()?.as_str() {
                    "cpu" => true,
                    "wall" => false,
                    other => bail!("--metric {other}: cpu or wall"),
                };
            }
            "--runwell" => options.runwell = value()?.into(),
            "--json" => options.json = value()?.into(),
            other if other.starts_with('-') => bail!("no option `{other}`\n\n{USAGE}"),
            other => options.filter = other.into(),
        }
    }
    Ok(options)
}
