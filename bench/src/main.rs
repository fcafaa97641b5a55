//! Side-by-side measurements: runwell, wasmtime with Cranelift and with Winch, wasmer, V8, wasmi, the
//! native build.
//!
//! A process for each measurement, engines interleaved within each round, the minimum of several
//! rounds. What is timed is alike for all: compiling one module on one thread, or the call of `_start`
//! alone; wasmtime and wasmi are in this same program ([`peer`]), V8 in npm's `node` ([`v8`]). Times are of the processor by default, since a machine that is used for something
//! else disturbs them least.

mod bombs;
mod bombs_plot;
mod corpus;
mod engine;
mod features;
mod job;
mod latency;
mod measure;
mod peer;
mod plot;
mod process;
mod profile;
mod report;
mod results;
mod v8;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use engine::Engine;
use results::{Part, Results};

const USAGE: &str = "\
usage: bench compile [OPTIONS] [FILTER]   compile time, memory and code size
       bench run     [OPTIONS] [FILTER]   run time
       bench latency [OPTIONS]            instantiating and calling, memory of idle instances
       bench all     [OPTIONS] [FILTER]   all of it, written to docs/benchmarks.md and .svg
       bench report  [--json PATH]        docs/benchmarks.md and .svg again, of what `all` measured
       bench plot    [--json PATH] [FILE] the picture alone               [docs/benchmarks.svg]
       bench bombs   [OPTIONS] [FAMILY…] hostile modules; --sizes A,B, --timeout SECONDS,
                                         --vs A,B: runwell and these, --report FILE.md
       bench profile [OPTIONS] PROGRAM    instructions and cycles, runwell beside Cranelift
       bench features FILE…               what a module needs of an engine
       bench peer ENGINE run|compile …    an engine with runwell's command line

  --engines A,B     of runwell, cranelift, winch, turbofan, liftoff, wasmi,
                    native                                          [all of them]
  --runs N          rounds; minima are reported                     [3]
  --variant V       base or full: the target's optional features    [full]
  --metric M        cpu or wall seconds                             [cpu]
  --skip NAME@ENGINE,…  leave out programs that have NAME in theirs, with that engine
  --runwell PATH    the runwell to measure                          [target/release/runwell]
  --json PATH       where the figures go                            [target/bench/results.json]

The corpus has to be there: cargo xtask corpus. V8 is fetched with npm when it is first needed.
";

/// What the command line asked for.
#[derive(Clone)]
pub struct Options {
    pub engines: Vec<Engine>,
    pub runs: usize,
    pub variant: String,
    pub cpu: bool,
    /// Parts of programs' names, and the engine with which these are not measured.
    pub skip: Vec<(String, Engine)>,
    /// Whether modules that others published are compiled too.
    pub published: bool,
    pub runwell: PathBuf,
    pub json: PathBuf,
    pub filter: String,
    /// The command line, to be named in the report: without paths.
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
        "bombs" => bombs::command(args)?,
        "features" => features::command(rest)?,
        "compile" => {
            let options = parse(args)?;
            let results = Results::measure(&options, Part::Compile)?;
            print!("{}", report::compile_tables(&results, &results.main));
            results.write(&options.json)?;
        }
        "run" => {
            let options = parse(args)?;
            let results = Results::measure(&options, Part::Run)?;
            print!("{}", report::run_tables(&results, &results.main));
            results.write(&options.json)?;
        }
        "latency" => print!("{}", latency::table(&latency::measure(&parse(args)?)?)),
        "all" => {
            let options = parse(args)?;
            let results = Results::measure(&options, Part::All)?;
            results.write(&options.json)?;
            report::write(&results)?;
        }
        "report" => report::write(&Results::read(&parse(args)?.json)?)?,
        "plot" => {
            let options = parse(args)?;
            let file = match options.filter.as_str() {
                "" => results::docs("benchmarks.svg"),
                file => file.into(),
            };
            plot::write(&Results::read(&options.json)?, &file)?;
        }
        "subject" => latency::subject(rest)?,
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
        command: format!("bench {}", args[0]),
        skip: vec![],
        published: true,
    };
    let mut args = args[1..].iter();
    while let Some(arg) = args.next() {
        let said = &mut options.command;
        let mut value = || {
            let value = args.next().with_context(|| format!("{arg} needs a value"))?;
            if !matches!(arg.as_str(), "--runwell" | "--json") {
                *said += &format!(" {arg} {value}");
            }
            anyhow::Ok(value)
        };
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
            "--skip" => {
                for part in value()?.split(',') {
                    let (name, engine) = part.split_once('@').context("--skip NAME@ENGINE")?;
                    options.skip.push((name.into(), engine.parse()?));
                }
            }
            "--runwell" => options.runwell = value()?.into(),
            "--json" => options.json = value()?.into(),
            other if other.starts_with('-') => bail!("no option `{other}`\n\n{USAGE}"),
            other => {
                options.command += &format!(" {other}");
                options.filter = other.into();
            }
        }
    }
    Ok(options)
}
