//! Hardware counters of a program under runwell and under Cranelift, compiling taken off.
//!
//! Each engine runs the program and, apart from that, only compiles it; the difference is the run.

use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::Options;
use crate::corpus;
use crate::measure::{self, Engine};

const EVENTS: [&str; 5] =
    ["instructions:u", "cycles:u", "branches:u", "branch-misses:u", "L1-dcache-loads:u"];

/// Counts of one process, in the order of [`EVENTS`]; none where the machine does not count.
fn count(program: &Command, dir: &std::path::Path) -> Result<[Option<f64>; EVENTS.len()]> {
    let log = dir.join("perf.csv");
    let mut command = Command::new("perf");
    command.args(["stat", "-x,", "-e", &EVENTS.join(","), "-o"]).arg(&log).arg("--");
    command.arg(program.get_program()).args(program.get_args());
    let done = measure::process(&mut command).context("perf is needed for profiles")?;
    let text = std::fs::read_to_string(&log)
        .with_context(|| format!("perf said: {}", String::from_utf8_lossy(&done.stderr)))?;
    let mut counts = [None; EVENTS.len()];
    for line in text.lines() {
        let fields: Vec<&str> = line.split(',').collect();
        let Some(name) = fields.get(2) else { continue };
        if let Some(i) = EVENTS.iter().position(|event| event == name) {
            counts[i] = fields[0].parse().ok();
        }
    }
    Ok(counts)
}

/// `bench profile PROGRAM`
///
/// # Errors
/// When there is no such program, or no `perf`.
pub fn command(options: &Options) -> Result<()> {
    let runs = corpus::runs(&options.variant, &options.filter)?;
    if runs.is_empty() {
        bail!("no program matches `{}`", options.filter);
    }
    let dir = corpus::root().join("target/bench");
    std::fs::create_dir_all(dir.join("scratch/profile"))?;
    for run in &runs {
        println!("{}", run.name);
        let mut table = Vec::new();
        for which in [Engine::Runwell, Engine::Cranelift] {
            let mut command = measure::engine(options, which)?;
            command.arg("run");
            match run.mapped.as_str() {
                "-" => {}
                "scratch" => {
                    let scratch = dir.join("scratch/profile");
                    command.arg("--dir").arg(format!("{}::/", scratch.display()));
                }
                host => _ = command.arg("--dir").arg(format!("{host}::/")),
            }
            command.arg(&run.wasm).args(&run.args);
            let whole = count(&command, &dir)?;
            let mut command = measure::engine(options, which)?;
            command.arg("compile").arg(&run.wasm).args(["--stats=json"]);
            let compile = count(&command, &dir)?;
            table.push(std::array::from_fn::<_, { EVENTS.len() }, _>(|i| {
                Some((whole[i]? - compile[i]?).max(0.0))
            }));
        }
        println!("  {:<20} {:>16} {:>16} {:>8}", "", "runwell", "cranelift", "ratio");
        for (i, event) in EVENTS.iter().enumerate() {
            match (table[0][i], table[1][i]) {
                (Some(ours), Some(theirs)) => println!(
                    "  {event:<20} {ours:>16.0} {theirs:>16.0} {:>8.3}",
                    ours / theirs.max(1.0)
                ),
                _ => println!("  {event:<20} not counted on this machine"),
            }
        }
    }
    Ok(())
}
