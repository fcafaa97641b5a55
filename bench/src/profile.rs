//! What a program executes under runwell and under Cranelift, compiling taken off.
//!
//! Each engine runs the program and, apart from that, only compiles it; the difference is the run.
//! Hardware counters say most, by `perf stat`. Where the machine has none to offer, valgrind counts
//! instructions and memory references, about fifty times slower than the program itself.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::Options;
use crate::corpus;
use crate::engine::Engine;
use crate::process;

/// Counts by name.
type Counts = Vec<(String, f64)>;

const EVENTS: &str = "instructions:u,cycles:u,branches:u,branch-misses:u,L1-dcache-loads:u";

fn under(tool: &[&str], log: &Path, program: &Command) -> Result<String> {
    let mut command = Command::new(tool[0]);
    command.args(&tool[1..]).arg(program.get_program()).args(program.get_args());
    // What an earlier process left there is not to be read.
    let _ = std::fs::remove_file(log);
    let done = process::run(&mut command).with_context(|| format!("{} is needed", tool[0]))?;
    std::fs::read_to_string(log)
        .with_context(|| format!("{} said: {}", tool[0], String::from_utf8_lossy(&done.stderr)))
}

/// Hardware counters; empty where there are none.
fn perf(log: &Path, program: &Command) -> Result<Counts> {
    let out = log.to_string_lossy();
    let text = under(&["perf", "stat", "-x,", "-e", EVENTS, "-o", &out, "--"], log, program)?;
    Ok(text
        .lines()
        .map(|line| line.split(',').collect::<Vec<_>>())
        .filter(|fields| fields.len() > 2)
        .filter_map(|fields| Some((fields[2].to_owned(), fields[0].parse().ok()?)))
        .collect())
}

/// Instructions, loads and stores.
fn valgrind(log: &Path, program: &Command) -> Result<Counts> {
    let out = format!("--log-file={}", log.display());
    let tool =
        ["valgrind", "--tool=cachegrind", "--cache-sim=yes", "--cachegrind-out-file=/dev/null"];
    let text = under(&[tool[0], tool[1], tool[2], tool[3], &out], log, program)?;
    let count = |text: &str| text.trim().replace(',', "").parse::<f64>().ok();
    let mut counts = Counts::new();
    for line in text.lines() {
        let line = line.split_once("== ").map_or(line, |(_, rest)| rest);
        if let Some(rest) =
            line.trim().strip_prefix("I refs:").or(line.trim().strip_prefix("I   refs:"))
        {
            counts.extend(count(rest).map(|n| ("instructions".into(), n)));
        } else if let Some(rest) =
            line.trim().strip_prefix("D refs:").or(line.trim().strip_prefix("D   refs:"))
        {
            // "total  (reads rd + writes wr)"
            let inside = rest.split_once('(').map_or("", |(_, inside)| inside);
            let mut parts = inside.trim_end_matches(')').split('+');
            let mut next = |unit: &str| count(parts.next()?.trim().trim_end_matches(unit));
            counts.extend(next("rd").map(|n| ("loads".into(), n)));
            counts.extend(next("wr").map(|n| ("stores".into(), n)));
        }
    }
    Ok(counts)
}

/// Counts of a run less those of compiling.
fn run_alone(options: &Options, which: Engine, run: &corpus::Run, dir: &Path) -> Result<Counts> {
    let mut whole = which.command(options)?;
    whole.args(["run", "--no-cache", "--jobs", "1"]);
    match run.mapped.as_str() {
        "-" => {}
        "scratch" => _ = whole.arg("--dir").arg(format!("{}::/", dir.join("scratch").display())),
        host => _ = whole.arg("--dir").arg(format!("{host}::/")),
    }
    whole.arg(&run.wasm).args(&run.args);
    let mut compile = which.command(options)?;
    compile.arg("compile").arg(&run.wasm).args(["--jobs", "1"]);
    let log = dir.join("counts.txt");
    let mut counter: fn(&Path, &Command) -> Result<Counts> = perf;
    let mut all = counter(&log, &whole).unwrap_or_default();
    if all.is_empty() {
        counter = valgrind;
        all = counter(&log, &whole)?;
    }
    let less = counter(&log, &compile)?;
    for (name, count) in &mut all {
        let taken = less.iter().find(|(other, _)| other == name).map_or(0.0, |(_, n)| *n);
        *count = (*count - taken).max(0.0);
    }
    Ok(all)
}

/// `bench profile PROGRAM`
///
/// # Errors
/// When there is no such program, or neither `perf` nor `valgrind`.
pub fn command(options: &Options) -> Result<()> {
    let runs = corpus::runs(&options.variant, &options.filter)?;
    if runs.is_empty() {
        bail!("no program matches `{}`", options.filter);
    }
    let dir = corpus::root().join("target/bench");
    std::fs::create_dir_all(dir.join("scratch"))?;
    for run in &runs {
        let ours = run_alone(options, Engine::Runwell, run, &dir)?;
        let theirs = run_alone(options, Engine::Cranelift, run, &dir)?;
        println!("{:<22} {:>16} {:>16} {:>8}", run.name, "runwell", "cranelift", "ratio");
        for (name, count) in &ours {
            let Some((_, other)) = theirs.iter().find(|(there, _)| there == name) else { continue };
            println!("  {name:<20} {count:>16.0} {other:>16.0} {:>8.3}", count / other.max(1.0));
        }
    }
    Ok(())
}
