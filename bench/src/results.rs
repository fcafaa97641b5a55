//! Everything that `bench all` measured, as a file: tables and the picture are made from it.

use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::engine::Engine;
use crate::latency::Latencies;
use crate::measure::{Row, SKIPPED, Sample};
use crate::{Options, corpus, engine, latency, measure};

/// The figures of one variant of the programs.
#[derive(Clone, Default, Debug, Serialize, Deserialize)]
pub struct Builds {
    pub variant: String,
    pub engines: Vec<Engine>,
    pub compile: Vec<Row>,
    pub run: Vec<Row>,
}

/// All figures.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Results {
    /// The command line without paths.
    pub command: String,
    pub machine: String,
    /// Runnable processes over the last minute, at the start and at the end.
    pub load: [f64; 2],
    /// Processor seconds; else elapsed ones.
    pub cpu: bool,
    pub runs: usize,
    pub main: Builds,
    /// The builds without optional features, for the engines that cannot do all of the main ones.
    pub base: Option<Builds>,
    pub latency: Vec<Latencies>,
}

/// Which parts to measure.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Part {
    Compile,
    Run,
    All,
}

impl Results {
    /// Measures.
    ///
    /// # Errors
    /// When there is no corpus, an engine cannot be had, or a process cannot be started.
    pub fn measure(options: &Options, part: Part) -> Result<Results> {
        engine::prepare(options)?;
        let start = load();
        let main = builds(options, part)?;
        let mut results = Results {
            command: options.command.clone(),
            machine: machine(),
            load: [start, start],
            cpu: options.cpu,
            runs: options.runs,
            main,
            base: None,
            latency: vec![],
        };
        if part == Part::All {
            let engines = results.need_base();
            if options.variant != "base" && !engines.is_empty() {
                let base = Options {
                    variant: "base".into(),
                    engines,
                    published: false,
                    ..options.clone()
                };
                results.base = Some(builds(&base, part)?);
            }
            results.latency = latency::measure(options)?;
        }
        results.load[1] = load();
        Ok(results)
    }

    /// Engines that failed at more than half of what they were to run, and the one to compare with.
    fn need_base(&self) -> Vec<Engine> {
        let fails = |&engine: &Engine| {
            let failures = self.main.run.iter().filter_map(|row| row.cell(engine));
            let (mut tried, mut failed) = (0, 0);
            for failure in failures.map(|cell| cell.failure.as_deref()) {
                tried += usize::from(failure != Some(SKIPPED));
                failed += usize::from(failure.is_some_and(|why| why != SKIPPED));
            }
            failed * 2 > tried
        };
        let mut engines: Vec<Engine> = self.main.engines.iter().copied().filter(fails).collect();
        if !engines.is_empty() {
            engines.insert(0, Engine::Cranelift);
        }
        engines
    }

    /// Reads what [`Results::write`] wrote.
    ///
    /// # Errors
    /// When there is no such file, or it is of another version of this program.
    pub fn read(path: &Path) -> Result<Results> {
        let bytes = std::fs::read(path)
            .with_context(|| format!("cannot read {}; run `bench all`", path.display()))?;
        serde_json::from_slice(&bytes).with_context(|| format!("{}", path.display()))
    }

    /// Writes every sample.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        std::fs::write(path, serde_json::to_vec_pretty(self)?)
            .with_context(|| format!("cannot write {}", path.display()))?;
        eprintln!("figures: {}", path.display());
        Ok(())
    }

    /// The time that was measured.
    pub fn time(&self, sample: &Sample) -> f64 {
        sample.time(self.cpu)
    }
}

fn builds(options: &Options, part: Part) -> Result<Builds> {
    let compile = if part == Part::Run { vec![] } else { measure::compile(options)? };
    let run = if part == Part::Compile { vec![] } else { measure::run(options)? };
    let (variant, engines) = (options.variant.clone(), options.engines.clone());
    Ok(Builds { variant, engines, compile, run })
}

/// The geometric mean; none of nothing.
pub fn geomean(values: &[f64]) -> Option<f64> {
    let positive: Vec<f64> = values.iter().copied().filter(|v| *v > 0.0).collect();
    if positive.is_empty() {
        return None;
    }
    Some((positive.iter().map(|v| v.ln()).sum::<f64>() / positive.len() as f64).exp())
}

/// The least of a figure; none where the engine failed.
pub fn best(row: &Row, engine: Engine, figure: impl Fn(&Sample) -> f64) -> Option<f64> {
    let cell = row.cell(engine)?;
    if cell.failure.is_some() { None } else { cell.min(figure) }
}

/// Ratios of an engine's least times to Cranelift's, of the rows in which both are.
pub fn ratios<'a>(
    rows: impl IntoIterator<Item = &'a Row>,
    engine: Engine,
    time: impl Fn(&Sample) -> f64 + Copy,
) -> Vec<f64> {
    rows.into_iter()
        .filter(|row| row.name != "(empty)")
        .filter_map(|row| Some(best(row, engine, time)? / best(row, Engine::Cranelift, time)?))
        .filter(|ratio| ratio.is_finite())
        .collect()
}

fn load() -> f64 {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().and_then(|first| first.parse().ok()).unwrap_or(0.0)
}

/// The machine that measures.
pub fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = text
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(':'))
        .map_or("x86-64", |(_, name)| name.trim());
    format!("{model}, {cores} cores")
}

/// A file of the documentation.
pub fn docs(name: &str) -> std::path::PathBuf {
    corpus::root().join("docs").join(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::Cell;

    #[test]
    fn engines_that_fail_get_the_base_builds_and_those_left_out_do_not() {
        let cell = |engine, failure: Option<&str>| Cell {
            engine,
            samples: vec![],
            failure: failure.map(str::to_owned),
        };
        let row = |name: &str| Row {
            name: name.into(),
            bytes: 8,
            cells: vec![
                cell(Engine::Cranelift, None),
                cell(Engine::Winch, Some("no tail calls")),
                cell(Engine::Wasmi, Some(SKIPPED)),
            ],
        };
        let results = Results {
            command: "bench all".into(),
            machine: String::new(),
            load: [0.0; 2],
            cpu: true,
            runs: 1,
            main: Builds {
                variant: "full".into(),
                engines: vec![Engine::Cranelift, Engine::Winch, Engine::Wasmi],
                compile: vec![],
                run: vec![row("a"), row("b")],
            },
            base: None,
            latency: vec![],
        };
        assert_eq!(results.need_base(), [Engine::Cranelift, Engine::Winch]);
    }
}
