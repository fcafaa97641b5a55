//! Tables: a line per program, ratios to Cranelift, geometric means.

use std::fmt::Write;

use anyhow::{Context, Result};
use serde_json::json;

use crate::Options;
use crate::corpus;
use crate::measure::{Engine, Row, Sample};

/// The geometric mean; none of nothing.
fn geomean(values: &[f64]) -> Option<f64> {
    let positive: Vec<f64> = values.iter().copied().filter(|v| *v > 0.0).collect();
    if positive.is_empty() {
        return None;
    }
    Some((positive.iter().map(|v| v.ln()).sum::<f64>() / positive.len() as f64).exp())
}

fn best(row: &Row, engine: Engine, figure: impl Fn(&Sample) -> f64) -> Option<f64> {
    let cell = row.cell(engine)?;
    if cell.failure.is_some() { None } else { cell.min(figure) }
}

fn text(value: Option<f64>, unit: &str) -> String {
    match value {
        Some(value) if value >= 100.0 => format!("{value:.0}{unit}"),
        Some(value) if value >= 10.0 => format!("{value:.1}{unit}"),
        Some(value) if value >= 0.1 => format!("{value:.2}{unit}"),
        Some(value) => format!("{value:.3}{unit}"),
        None => "–".into(),
    }
}

/// A table of one figure: its values, ratios to Cranelift, and the ratios' geometric means.
fn table(
    engines: &[Engine],
    rows: &[Row],
    unit: &str,
    figure: impl Fn(&Row, Engine) -> Option<f64>,
) -> String {
    let mut out = String::new();
    let compared: Vec<Engine> =
        engines.iter().copied().filter(|&engine| engine != Engine::Cranelift).collect();
    let both = engines.contains(&Engine::Cranelift);
    let mut head = format!("| {:<22} |", "program");
    let mut rule = format!("|{}|", "-".repeat(24));
    for engine in engines {
        let _ = write!(head, " {:>10} |", engine.name());
        rule += &format!("{}:|", "-".repeat(11));
    }
    for engine in compared.iter().filter(|_| both) {
        let _ = write!(head, " {:>14} |", format!("{} ratio", engine.name()));
        rule += &format!("{}:|", "-".repeat(15));
    }
    let _ = writeln!(out, "{head}\n{rule}");
    let mut ratios: Vec<Vec<f64>> = vec![Vec::new(); compared.len()];
    for row in rows {
        let _ = write!(out, "| {:<22} |", row.name);
        for &engine in engines {
            let _ = write!(out, " {:>10} |", text(figure(row, engine), unit));
        }
        let base = figure(row, Engine::Cranelift).filter(|base| *base > 0.0);
        for (i, &engine) in compared.iter().enumerate().filter(|_| both) {
            let ratio = base.and_then(|base| Some(figure(row, engine)? / base));
            ratios[i].extend(ratio);
            let _ = write!(out, " {:>14} |", text(ratio, ""));
        }
        out.push('\n');
    }
    if both && !compared.is_empty() {
        let _ = write!(out, "| {:<22} |", "**geometric mean**");
        for _ in engines {
            let _ = write!(out, " {:>10} |", "");
        }
        for ratios in &ratios {
            let mean = format!("**{}** ({})", text(geomean(ratios), ""), ratios.len());
            let _ = write!(out, " {mean:>14} |");
        }
        out.push('\n');
    }
    out
}

/// What the process itself takes, which is not compiling: that of the empty module.
fn baseline(rows: &[Row], engine: Engine) -> f64 {
    rows.iter()
        .find(|row| row.name == "(empty)")
        .and_then(|row| best(row, engine, |sample| sample.peak as f64))
        .unwrap_or(0.0)
}

/// Compile time, peak memory and machine code.
pub fn compile_table(options: &Options, rows: &[Row]) -> String {
    let engines: Vec<Engine> =
        options.engines.iter().copied().filter(|&e| e != Engine::Native).collect();
    let programs: Vec<&Row> = rows.iter().filter(|row| row.name != "(empty)").collect();
    let programs: Vec<Row> = programs
        .into_iter()
        .map(|row| Row { name: row.name.clone(), bytes: row.bytes, cells: row.cells.clone() })
        .collect();
    let mut out = String::new();
    let _ = writeln!(out, "\n### Compile time, milliseconds, one thread\n");
    out += &table(&engines, &programs, "", |row, engine| {
        Some(best(row, engine, |sample| sample.time(options.cpu))? * 1e3)
    });
    let _ = writeln!(out, "\n### Compile time, microseconds per byte of module\n");
    out += &table(&engines, &programs, "", |row, engine| {
        Some(best(row, engine, |sample| sample.time(options.cpu))? * 1e6 / row.bytes as f64)
    });
    let _ = writeln!(out, "\n### Peak memory while compiling, over that of the empty module, MB\n");
    out += &table(&engines, &programs, "", |row, engine| {
        let peak = best(row, engine, |sample| sample.peak as f64)? - baseline(rows, engine);
        Some((peak / 1e6).max(0.001))
    });
    let _ = writeln!(out, "\n### Machine code, bytes per byte of module\n");
    let coded: Vec<Engine> = engines.iter().copied().filter(|&e| e != Engine::Wasmi).collect();
    out += &table(&coded, &programs, "", |row, engine| {
        let code = best(row, engine, |sample| sample.code.unwrap_or(0) as f64)?;
        (code > 0.0).then_some(code / row.bytes as f64)
    });
    out + &failures(rows)
}

/// Run time.
pub fn run_table(options: &Options, rows: &[Row]) -> String {
    let mut out = String::new();
    let _ = writeln!(out, "\n### Run time, seconds\n");
    out += &table(&options.engines, rows, "", |row, engine| {
        best(row, engine, |sample| sample.time(options.cpu))
    });
    let (kernels, programs): (Vec<&Row>, Vec<&Row>) =
        rows.iter().partition(|row| row.name.starts_with("k-"));
    for (what, rows) in [("kernels", kernels), ("programs", programs)] {
        let mut parts = Vec::new();
        for &engine in options.engines.iter().filter(|&&e| e != Engine::Cranelift) {
            let ratios: Vec<f64> = rows
                .iter()
                .filter_map(|row| {
                    let time = |engine| best(row, engine, |sample| sample.time(options.cpu));
                    Some(time(engine)? / time(Engine::Cranelift)?)
                })
                .collect();
            let worst = ratios.iter().copied().fold(0.0, f64::max);
            if let Some(mean) = geomean(&ratios) {
                parts.push(format!("{} {mean:.3} (worst {worst:.2})", engine.name()));
            }
        }
        if !parts.is_empty() {
            let _ = writeln!(out, "\nGeometric means over the {what}: {}.", parts.join(", "));
        }
    }
    out + &failures(rows)
}

/// What could not be measured, and why: a mean is over what is there.
fn failures(rows: &[Row]) -> String {
    let mut out = String::new();
    for row in rows {
        for cell in &row.cells {
            if let Some(failure) = &cell.failure {
                let _ = writeln!(out, "- {} with {}: {failure}", row.name, cell.engine.name());
            }
        }
    }
    if out.is_empty() { out } else { format!("\nNot measured:\n\n{out}") }
}

/// Writes every sample.
///
/// # Errors
/// When the file cannot be written.
pub fn write_json(options: &Options, compile: &[Row], run: &[Row]) -> Result<()> {
    if let Some(parent) = options.json.parent() {
        std::fs::create_dir_all(parent)?;
    }
    let medians = |rows: &[Row]| -> serde_json::Value {
        rows.iter()
            .map(|row| {
                let cells: serde_json::Map<String, serde_json::Value> = row
                    .cells
                    .iter()
                    .map(|cell| {
                        let time = |sample: &Sample| sample.time(options.cpu);
                        let figures = json!({"min": cell.min(time), "median": cell.median(time)});
                        (cell.engine.name().to_owned(), figures)
                    })
                    .collect();
                (row.name.clone(), serde_json::Value::Object(cells))
            })
            .collect::<serde_json::Map<_, _>>()
            .into()
    };
    let value = json!({
        "command": options.command,
        "metric": if options.cpu { "cpu" } else { "wall" },
        "variant": options.variant,
        "seconds": {"compile": medians(compile), "run": medians(run)},
        "compile": compile,
        "run": run,
    });
    std::fs::write(&options.json, serde_json::to_vec_pretty(&value)?)
        .with_context(|| format!("cannot write {}", options.json.display()))?;
    eprintln!("figures: {}", options.json.display());
    Ok(())
}

fn processor() -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = text
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(':'))
        .map_or("x86-64", |(_, name)| name.trim());
    format!("{model}, {cores} cores")
}

/// Writes `docs/benchmarks.md`.
///
/// # Errors
/// When the file cannot be written.
pub fn write_markdown(options: &Options, compile: &[Row], run: &[Row]) -> Result<()> {
    let path = corpus::root().join("docs/benchmarks.md");
    let command = options.command.trim_start_matches("bench ");
    let text = format!(
        "# Benchmarks\n\n\
         Side by side in one go, on one machine ({machine}): a process for each measurement, engines \
         interleaved, minima of {runs} rounds (of one for wasmi's run times). Times are {metric}. \
         Ratios are to Cranelift, below 1 is better than it. The peers are pinned in \
         `bench/Cargo.toml`: wasmtime 48.0.8 with Cranelift and with Winch, wasmi 2.0.0; each with \
         its default options. The programs are those of `cargo xtask corpus`, WebAssembly and native \
         builds by the same compiler at `-O2`; `k-` marks the kernels of `corpus/kernels`. Native \
         builds are for the baseline x86-64, whose vector instructions the compiler uses.\n\n\
         ```sh\ncargo xtask corpus\ncargo build --release\n\
         cargo run --release --manifest-path bench/Cargo.toml -- {command}\n```\n\n\
         ## Compiling\n{compiling}\n## Running\n{running}",
        machine = processor(),
        runs = options.runs,
        metric = if options.cpu { "processor seconds" } else { "elapsed seconds" },
        compiling = compile_table(options, compile),
        running = run_table(options, run),
    );
    std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    eprintln!("report: {}", path.display());
    Ok(())
}
