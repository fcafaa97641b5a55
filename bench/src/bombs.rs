//! `bench bombs`: what hostile modules cost runwell and the others, side by side.
//!
//! Each module is compiled in a process of its own, on one thread, and stopped after so many seconds of
//! the processor. An engine that was stopped is not asked for the larger modules of the family. The
//! outcome is a table of microseconds per byte and a plot with a panel for each family.

use std::fmt::Write as _;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::Options;
use crate::bombs_plot::{Panel, Series, svg};
use crate::corpus;
use crate::engine::{self, Engine};
use crate::measure;
use crate::process;
use crate::results::machine;

/// What is measured unless families are named: one for each kind of product that compilers contain.
const FAMILIES: [&str; 12] = [
    "loop_nest_phi",
    "loop_nest_uses",
    "locals_rle_i32",
    "call_multi",
    "loop_params",
    "brtable_arity",
    "brtables_phi",
    "manypreds_phi",
    "stack_x_blocks",
    "calls_live",
    "chain_select",
    "tiny_funcs",
];

const SIZES: [usize; 5] = [4 << 10, 16 << 10, 64 << 10, 256 << 10, 1 << 20];

/// Memory that an engine may have: more ends it, and spares the machine.
const MEMORY_BYTES: u64 = 8 << 30;

/// What came of one module.
#[derive(Clone, PartialEq, Debug)]
enum Cell {
    /// Seconds.
    Done(f64),
    /// It was stopped after so many seconds.
    Stopped(f64),
    /// It was stopped with a smaller module.
    Skipped,
    /// It ended without an outcome.
    Failed(String),
}

/// Modules of a family.
struct Row {
    family: &'static str,
    attacks: &'static str,
    bytes: Vec<usize>,
    /// Per engine, per size.
    cells: Vec<Vec<Cell>>,
}

/// What the command line asked for besides [`Options`].
struct Wanted {
    families: Vec<&'static runwell_bombs::Family>,
    sizes: Vec<usize>,
    timeout: u64,
    report: Option<PathBuf>,
}

/// `bench bombs …`
///
/// # Errors
/// When a family is unknown, or a process cannot be started.
pub fn command(args: &[String]) -> Result<()> {
    let (wanted, mut options) = parse(args)?;
    options.engines.retain(|&engine| engine != Engine::Native);
    engine::prepare(&options)?;
    let directory = corpus::root().join("target/bench/bombs");
    std::fs::create_dir_all(&directory)?;
    let mut rows = Vec::new();
    for family in &wanted.families {
        rows.push(measure(family, &wanted, &options, &directory)?);
    }
    let table = table(&rows, &options);
    print!("{table}");
    if let Some(report) = &wanted.report {
        write(report, &table, &rows, &wanted, &options)?;
    }
    Ok(())
}

fn parse(args: &[String]) -> Result<(Wanted, Options)> {
    let mut wanted = Wanted { families: vec![], sizes: SIZES.to_vec(), timeout: 10, report: None };
    let mut others = vec!["bombs".to_string()];
    let mut rest = args[1..].iter();
    while let Some(arg) = rest.next() {
        let mut value = || rest.next().with_context(|| format!("{arg} needs a value"));
        match arg.as_str() {
            "--sizes" => {
                let sizes = value()?.split(',').map(str::parse).collect::<Result<_, _>>();
                wanted.sizes = sizes.context("--sizes")?;
            }
            "--timeout" => wanted.timeout = value()?.parse::<u64>().context("--timeout")?.max(1),
            "--report" => wanted.report = Some(value()?.into()),
            "--engines" | "--vs" => {
                let mut engines = value()?.clone();
                if arg == "--vs" {
                    engines.insert_str(0, "runwell,");
                }
                others.extend(["--engines".to_string(), engines]);
            }
            option if option.starts_with('-') => others.extend([arg.clone(), value()?.clone()]),
            family => wanted.families.push(find(family)?),
        }
    }
    if wanted.families.is_empty() {
        wanted.families = FAMILIES.into_iter().map(find).collect::<Result<_>>()?;
    }
    let mut options = crate::parse(&others)?;
    options.command = format!("bench {}", args.join(" "));
    Ok((wanted, options))
}

fn find(name: &str) -> Result<&'static runwell_bombs::Family> {
    runwell_bombs::find(name).with_context(|| format!("there is no family `{name}`"))
}

fn measure(
    family: &'static runwell_bombs::Family,
    wanted: &Wanted,
    options: &Options,
    directory: &Path,
) -> Result<Row> {
    let mut row = Row {
        family: family.name,
        attacks: family.attacks,
        bytes: vec![],
        cells: vec![vec![]; options.engines.len()],
    };
    for &size in &wanted.sizes {
        let module = (family.make)(size);
        let file = directory.join(format!("{}-{size}.wasm", family.name));
        std::fs::write(&file, &module)?;
        row.bytes.push(module.len());
        for (cells, &engine) in row.cells.iter_mut().zip(&options.engines) {
            let over = matches!(cells.last(), Some(Cell::Stopped(_) | Cell::Skipped));
            let cell =
                if over { Cell::Skipped } else { best(options, engine, &file, wanted.timeout)? };
            eprintln!("{} {} {}: {cell:?}", family.name, module.len(), engine.name());
            cells.push(cell);
        }
    }
    Ok(row)
}

/// The least of several rounds, of one where a round takes long.
fn best(options: &Options, engine: Engine, file: &Path, timeout: u64) -> Result<Cell> {
    let mut best = once(options, engine, file, timeout)?;
    for _ in 1..options.runs {
        let Cell::Done(seconds) = best else { break };
        if seconds > 1.0 {
            break;
        }
        if let Cell::Done(again) = once(options, engine, file, timeout)? {
            best = Cell::Done(seconds.min(again));
        }
    }
    Ok(best)
}

fn once(options: &Options, engine: Engine, file: &Path, timeout: u64) -> Result<Cell> {
    let mut command = engine.command(options)?;
    command.arg("compile").arg(file).arg("--stats=json").args(["--jobs", "1"]);
    limit(&mut command, timeout);
    let done = process::run(&mut command)?;
    if done.cpu >= timeout as f64 {
        return Ok(Cell::Stopped(timeout as f64));
    }
    if done.code != 0 {
        return Ok(Cell::Failed(measure::first_line(&done.stderr)));
    }
    Ok(Cell::Done(measure::sample(&done).time(options.cpu)))
}

/// Gives a process so many seconds of the processor and no more memory than is good for the others.
fn limit(command: &mut Command, seconds: u64) {
    let set = move || {
        let limits = [(libc::RLIMIT_CPU, seconds), (libc::RLIMIT_AS, MEMORY_BYTES)];
        for (resource, most) in limits {
            let limit = libc::rlimit { rlim_cur: most, rlim_max: most };
            // SAFETY: the pointer is to a limit of ours.
            if unsafe { libc::setrlimit(resource, &limit) } != 0 {
                return Err(std::io::Error::last_os_error());
            }
        }
        Ok(())
    };
    // SAFETY: between fork and exec the closure makes two system calls and allocates nothing.
    unsafe { command.pre_exec(set) };
}

fn text(cell: &Cell, bytes: usize) -> String {
    match cell {
        Cell::Done(seconds) => digits(seconds * 1e6 / bytes as f64),
        Cell::Stopped(seconds) => format!("> {}", digits(seconds * 1e6 / bytes as f64)),
        Cell::Skipped => "–".into(),
        Cell::Failed(_) => "refused".into(),
    }
}

/// A number with two or three digits that count.
fn digits(x: f64) -> String {
    match x {
        x if x >= 100.0 => format!("{x:.0}"),
        x if x >= 10.0 => format!("{x:.1}"),
        x if x >= 0.1 => format!("{x:.2}"),
        x => format!("{x:.3}"),
    }
}

/// Microseconds per byte.
fn table(rows: &[Row], options: &Options) -> String {
    let mut out = format!("| {:<16} | {:>8} |", "family", "bytes");
    options.engines.iter().for_each(|engine| _ = write!(out, " {:>10} |", engine.name()));
    out.push_str("\n|------------------|---------:|");
    options.engines.iter().for_each(|_| out.push_str("-----------:|"));
    out.push('\n');
    let mut failures = Vec::new();
    for row in rows {
        for (size, &bytes) in row.bytes.iter().enumerate() {
            let name = if size == 0 { row.family } else { "" };
            let _ = write!(out, "| {name:<16} | {bytes:>8} |");
            for cells in &row.cells {
                let _ = write!(out, " {:>10} |", text(&cells[size], bytes));
            }
            out.push('\n');
        }
        for (cells, engine) in row.cells.iter().zip(&options.engines) {
            if let Some(Cell::Failed(why)) =
                cells.iter().find(|cell| matches!(cell, Cell::Failed(_)))
            {
                failures.push(format!("- {} with {}: {why}", row.family, engine.name()));
            }
        }
    }
    if !failures.is_empty() {
        let _ = write!(out, "\nRefused:\n\n{}\n", failures.join("\n"));
    }
    out
}

fn panels(rows: &[Row], options: &Options) -> Vec<Panel> {
    let series = |row: &Row, engine: usize| {
        let mut series = Series::default();
        for (cell, &bytes) in row.cells[engine].iter().zip(&row.bytes) {
            match *cell {
                Cell::Done(seconds) => series.points.push((bytes as f64, seconds)),
                Cell::Stopped(seconds) => series.end = Some((bytes as f64, seconds)),
                Cell::Skipped | Cell::Failed(_) => {}
            }
        }
        series
    };
    let panel = |row: &Row| Panel {
        title: row.family.to_string(),
        series: (0..options.engines.len()).map(|engine| series(row, engine)).collect(),
    };
    rows.iter().map(panel).collect()
}

/// Writes the report and beside it the plot.
fn write(
    report: &Path,
    table: &str,
    rows: &[Row],
    wanted: &Wanted,
    options: &Options,
) -> Result<()> {
    let plot = report.with_extension("svg");
    let Some(name) = plot.file_name().and_then(|name| name.to_str()) else {
        bail!("{}: no file", report.display());
    };
    let names: Vec<&str> = options.engines.iter().map(|engine| engine.name()).collect();
    std::fs::write(&plot, svg(&panels(rows, options), &names))
        .with_context(|| format!("cannot write {}", plot.display()))?;
    let mut families = String::new();
    for row in rows {
        let _ = writeln!(families, "- `{}`: {}", row.family, row.attacks);
    }
    // The same wherever the checkout is.
    let root = format!("{}/", corpus::root().display());
    let command = options.command.trim_start_matches("bench ").replace(&root, "");
    let text = format!(
        "# Hostile modules, side by side\n\n\
         What it takes to compile modules that were made to blow up a compiler, in microseconds per \
         byte of module: one thread, {metric}, the least of {runs} rounds, on one machine \
         ({machine}). An engine was stopped after {timeout} s with one module (`>`), and then not asked \
         for the larger ones (`–`). The peers are those of [the benchmarks](benchmarks.md), each with its \
         default options.\n\n\
         ```sh\ncargo build --release\n\
         cargo run --release --manifest-path bench/Cargo.toml -- {command}\n```\n\n\
         ![Time against size, a panel for each family, both axes logarithmic]({name})\n\n\
         A line as steep as the dotted ones is in proportion to the module.\n\n{families}\n{table}",
        metric = if options.cpu { "processor seconds" } else { "elapsed seconds" },
        runs = options.runs,
        machine = machine(),
        timeout = wanted.timeout,
    );
    std::fs::write(report, text).with_context(|| format!("cannot write {}", report.display()))?;
    eprintln!("report: {} and {}", report.display(), plot.display());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_read_as_they_are_meant() {
        assert_eq!(text(&Cell::Done(0.25), 1_000_000), "0.25");
        assert_eq!(text(&Cell::Done(0.000_031), 1000), "0.031");
        assert_eq!(text(&Cell::Stopped(10.0), 10_000), "> 1000");
        assert_eq!(text(&Cell::Skipped, 1), "–");
        assert_eq!(text(&Cell::Failed(String::new()), 1), "refused");
    }

    #[test]
    fn families_to_measure_are_there() {
        assert!(FAMILIES.into_iter().all(|name| find(name).is_ok()));
    }
}
