//! One process for each measurement, engines interleaved, several rounds.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Options;
use crate::corpus::{self, Run};
use crate::engine::Engine;
use crate::process::{self, Process};

/// The figures of one process.
#[derive(Clone, Copy, Default, Debug, Serialize, Deserialize)]
pub struct Sample {
    pub wall: f64,
    pub cpu: f64,
    /// Peak memory of the process in bytes.
    pub peak: u64,
    pub code: Option<u64>,
}

impl Sample {
    /// The time that the options ask for.
    pub fn time(&self, cpu: bool) -> f64 {
        if cpu { self.cpu } else { self.wall }
    }
}

/// The failure of a cell that was not to be measured.
pub const SKIPPED: &str = "left out of this measurement";

/// All that was measured of one program with one engine.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Cell {
    pub engine: Engine,
    pub samples: Vec<Sample>,
    /// Why there are none, or no more.
    pub failure: Option<String>,
}

impl Cell {
    /// The smallest of a figure over the samples.
    pub fn min(&self, figure: impl Fn(&Sample) -> f64) -> Option<f64> {
        self.samples.iter().map(figure).min_by(f64::total_cmp)
    }
}

/// A program's line of the table.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Row {
    pub name: String,
    /// Size of the module.
    pub bytes: u64,
    pub cells: Vec<Cell>,
}

impl Row {
    /// What was measured with an engine.
    pub fn cell(&self, engine: Engine) -> Option<&Cell> {
        self.cells.iter().find(|cell| cell.engine == engine)
    }
}

/// A module with nothing in it: what a process costs before it compiles anything.
fn empty() -> Result<PathBuf> {
    let path = corpus::root().join("target/bench/empty.wasm");
    std::fs::create_dir_all(corpus::root().join("target/bench"))?;
    std::fs::write(&path, b"\0asm\x01\0\0\0")?;
    Ok(path)
}

/// The last line that is a JSON object.
fn json(text: &[u8]) -> Option<Value> {
    let text = String::from_utf8_lossy(text);
    // An object may span lines; a line that is one by itself comes first.
    text.lines()
        .rev()
        .find_map(|line| serde_json::from_str(line).ok().filter(Value::is_object))
        .or_else(|| serde_json::from_str(&text).ok().filter(Value::is_object))
}

fn number(value: &Option<Value>, key: &str) -> Option<f64> {
    value.as_ref()?.get(key)?.as_f64()
}

/// Processor time of a part of a process that has one thread and states the part's elapsed time only:
/// it is no more than that, and no more than the process's own.
fn single_thread(stats: &Option<Value>, key: &str, done: &Process) -> f64 {
    number(stats, key).map_or(done.cpu, |wall| wall.min(done.cpu))
}

/// Compiles one module once.
fn compile_once(options: &Options, which: Engine, file: &Path) -> Result<Sample> {
    let mut command = which.command(options)?;
    command.args(["compile", "--stats=json", "--jobs", "1"]).arg(file);
    let done = process::run(&mut command)?;
    if done.code != 0 {
        bail!("{}", first_line(&done.stderr));
    }
    Ok(sample(&done))
}

/// The figures of a process that has compiled a module.
pub fn sample(done: &Process) -> Sample {
    let stats = json(&done.stdout).or_else(|| json(&done.stderr));
    Sample {
        wall: number(&stats, "seconds").unwrap_or(done.wall),
        cpu: number(&stats, "cpu_seconds").unwrap_or(single_thread(&stats, "seconds", done)),
        peak: done.peak,
        code: number(&stats, "code_bytes").map(|bytes| bytes as u64),
    }
}

/// The first line that says what went wrong; a list of causes follows it where there is one.
pub fn first_line(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    let line = text.lines().find(|line| !line.trim().is_empty()).unwrap_or("no message");
    line.chars().take(160).collect()
}

/// Compilations that take longer are measured in one round only.
pub const LONG_SECONDS: f64 = 5.0;

/// Measures how modules compile, with every engine but the native one.
///
/// # Errors
/// When there is no corpus, or a process cannot be started.
pub fn compile(options: &Options) -> Result<Vec<Row>> {
    let engines: Vec<Engine> =
        options.engines.iter().copied().filter(|&e| e != Engine::Native).collect();
    let empty = empty()?;
    let mut rows =
        vec![Row { name: "(empty)".into(), bytes: 8, cells: cells(options, &engines, "") }];
    let mut files = vec![empty];
    for module in corpus::modules(&options.variant, &options.filter, options.published)? {
        let bytes = std::fs::metadata(&module.path)?.len();
        let cells = cells(options, &engines, &module.name);
        rows.push(Row { name: module.name, bytes, cells });
        files.push(module.path);
    }
    for round in 0..options.runs {
        for (row, file) in rows.iter_mut().zip(&files) {
            for cell in row.cells.iter_mut().filter(|cell| cell.failure.is_none()) {
                // Whatever disturbs a long compilation is short beside it.
                if cell.samples.last().is_some_and(|last| last.wall > LONG_SECONDS) {
                    continue;
                }
                match compile_once(options, cell.engine, file) {
                    Ok(sample) => cell.samples.push(sample),
                    Err(error) => cell.failure = Some(format!("{error:#}")),
                }
            }
            progress(options, round, row);
        }
    }
    Ok(rows)
}

/// Runs one program once and checks what it prints.
fn run_once(options: &Options, which: Engine, run: &Run) -> Result<Sample> {
    let scratch = corpus::root().join("target/bench/scratch").join(which.name());
    std::fs::create_dir_all(&scratch)?;
    let dir = match run.mapped.as_str() {
        "-" => None,
        "scratch" => Some(scratch.to_string_lossy().into_owned()),
        host => Some(host.to_owned()),
    };
    let mut command;
    if which == Engine::Native {
        command = Command::new(&run.native);
        dir.iter().for_each(|dir| _ = command.current_dir(dir));
    } else {
        command = which.command(options)?;
        command.args(["run", "--stats=json", "--no-cache", "--jobs", "1"]);
        dir.iter().for_each(|dir| _ = command.arg("--dir").arg(format!("{dir}::/")));
        command.arg(&run.wasm);
    }
    command.args(&run.args);
    let done = process::run(&mut command)?;
    if done.code != run.code {
        bail!("exit code {}, expected {}: {}", done.code, run.code, first_line(&done.stderr));
    }
    if done.stdout != std::fs::read(&run.expect)? {
        bail!("wrong output");
    }
    if which == Engine::Native {
        return Ok(Sample { wall: done.wall, cpu: done.cpu, peak: done.peak, code: None });
    }
    let stats = json(&done.stderr);
    let wall = number(&stats, "run_seconds")
        .with_context(|| format!("{} said no run_seconds", which.name()))?;
    let cpu =
        number(&stats, "run_cpu_seconds").unwrap_or(single_thread(&stats, "run_seconds", &done));
    Ok(Sample { wall, cpu, peak: done.peak, code: None })
}

/// Measures how programs run.
///
/// # Errors
/// When there is no corpus, or a process cannot be started.
pub fn run(options: &Options) -> Result<Vec<Row>> {
    let runs = corpus::runs(&options.variant, &options.filter)?;
    let mut rows = Vec::new();
    for run in &runs {
        let bytes = std::fs::metadata(&run.wasm)?.len();
        let cells = cells(options, &options.engines, &run.name);
        rows.push(Row { name: run.name.clone(), bytes, cells });
    }
    for round in 0..options.runs {
        for (row, run) in rows.iter_mut().zip(&runs) {
            for cell in row.cells.iter_mut().filter(|cell| cell.failure.is_none()) {
                // One run of an interpreter tells enough: it takes as long as ten of the others.
                if cell.engine == Engine::Wasmi && round > 0 {
                    continue;
                }
                match run_once(options, cell.engine, run) {
                    Ok(sample) => cell.samples.push(sample),
                    Err(error) => cell.failure = Some(format!("{error:#}")),
                }
            }
            progress(options, round, row);
        }
    }
    Ok(rows)
}

/// Cells without samples; what `--skip` names has its reason already.
fn cells(options: &Options, engines: &[Engine], name: &str) -> Vec<Cell> {
    let skipped = |engine: Engine| {
        let named = |(part, which): &(String, Engine)| *which == engine && name.contains(part);
        options.skip.iter().any(named).then(|| SKIPPED.to_owned())
    };
    let cell = |&engine| Cell { engine, samples: vec![], failure: skipped(engine) };
    engines.iter().map(cell).collect()
}

/// One line a program and round on standard error.
fn progress(options: &Options, round: usize, row: &Row) {
    let mut line = format!("[{}/{}] {:<22}", round + 1, options.runs, row.name);
    for cell in &row.cells {
        let last = cell.samples.last().map(|sample| sample.time(options.cpu));
        match (&cell.failure, last) {
            (None, Some(seconds)) => line += &format!(" {} {seconds:.4}", cell.engine.name()),
            (Some(failure), _) if round == 0 => {
                line += &format!(" {} FAILED ({failure})", cell.engine.name());
            }
            _ => line += &format!(" {} -", cell.engine.name()),
        }
    }
    // Losing a progress line is nothing to stop for.
    let _ = writeln!(std::io::stderr(), "{line}");
}
