//! Tables: a line per program, ratios to Cranelift, geometric means.

use std::fmt::Write;

use anyhow::{Context, Result};

use crate::engine::Engine;
use crate::measure::{LONG_SECONDS, Row, Sample};
use crate::results::{Builds, Results, best, docs, geomean, ratios};
use crate::{latency, plot, v8};

fn text(value: Option<f64>) -> String {
    match value {
        Some(value) if value >= 100.0 => format!("{value:.0}"),
        Some(value) if value >= 10.0 => format!("{value:.1}"),
        Some(value) if value >= 0.1 => format!("{value:.2}"),
        Some(value) => format!("{value:.3}"),
        None => "–".into(),
    }
}

/// A table of one figure: its values, in parentheses their ratios to Cranelift's, and the ratios'
/// geometric means with the number of programs that they are over.
fn table(
    engines: &[Engine],
    rows: &[&Row],
    figure: impl Fn(&Row, Engine) -> Option<f64>,
) -> String {
    let mut out = String::new();
    let mut head = format!("| {:<20} |", "program");
    let mut rule = format!("|{}|", "-".repeat(22));
    for engine in engines {
        let _ = write!(head, " {:>17} |", engine.name());
        rule += &format!("{}:|", "-".repeat(18));
    }
    let _ = writeln!(out, "{head}\n{rule}");
    let mut ratios: Vec<Vec<f64>> = vec![Vec::new(); engines.len()];
    for row in rows {
        let _ = write!(out, "| {:<20} |", row.name);
        let base = figure(row, Engine::Cranelift).filter(|base| *base > 0.0);
        for (ratios, &engine) in ratios.iter_mut().zip(engines) {
            let value = figure(row, engine);
            let ratio = value.zip(base).map(|(value, base)| value / base);
            let mut cell = text(value);
            if let Some(ratio) = ratio.filter(|_| engine != Engine::Cranelift) {
                cell += &format!(" ({})", text(Some(ratio)));
                ratios.push(ratio);
            }
            let _ = write!(out, " {cell:>17} |");
        }
        out.push('\n');
    }
    if ratios.iter().any(|ratios| !ratios.is_empty()) {
        let _ = write!(out, "| {:<20} |", "**geometric mean**");
        for (ratios, &engine) in ratios.iter().zip(engines) {
            let mean = match geomean(ratios) {
                Some(mean) => format!("**{}** of {}", text(Some(mean)), ratios.len()),
                None if engine == Engine::Cranelift => "1".into(),
                None => "–".into(),
            };
            let _ = write!(out, " {mean:>17} |");
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
pub fn compile_tables(results: &Results, builds: &Builds) -> String {
    let engines: Vec<Engine> =
        builds.engines.iter().copied().filter(|&e| e != Engine::Native).collect();
    let rows: Vec<&Row> = builds.compile.iter().filter(|row| row.name != "(empty)").collect();
    let time = |sample: &Sample| results.time(sample);
    let mut out = String::new();
    let _ = writeln!(out, "\n### Compile time, milliseconds, one thread\n");
    out += &table(&engines, &rows, |row, engine| Some(best(row, engine, time)? * 1e3));
    let _ = writeln!(out, "\n### Compile time, microseconds per byte of module\n");
    out += &table(&engines, &rows, |row, engine| {
        Some(best(row, engine, time)? * 1e6 / row.bytes as f64)
    });
    let _ = writeln!(out, "\n### Peak memory while compiling, over that of the empty module, MB\n");
    out += &table(&engines, &rows, |row, engine| {
        let peak = best(row, engine, |sample| sample.peak as f64)?;
        Some(((peak - baseline(&builds.compile, engine)) / 1e6).max(0.001))
    });
    let code = |row: &Row, engine| {
        let code = best(row, engine, |sample| sample.code.unwrap_or(0) as f64)?;
        (code > 0.0).then_some(code / row.bytes as f64)
    };
    let says = |engine: &Engine| rows.iter().any(|row| code(row, *engine).is_some());
    let coded: Vec<Engine> = engines.iter().copied().filter(says).collect();
    let _ = writeln!(out, "\n### Machine code, bytes per byte of module\n");
    out += &table(&coded, &rows, code);
    out + &failures(&builds.compile)
}

/// Run time.
pub fn run_tables(results: &Results, builds: &Builds) -> String {
    let time = |sample: &Sample| results.time(sample);
    let mut out = String::new();
    let _ = writeln!(out, "\n### Run time, seconds\n");
    let all: Vec<&Row> = builds.run.iter().collect();
    out += &table(&builds.engines, &all, |row, engine| best(row, engine, time));
    let (kernels, programs): (Vec<&Row>, Vec<&Row>) =
        all.iter().partition(|row| row.name.starts_with("k-"));
    for (what, rows) in [("kernels", kernels), ("programs", programs)] {
        let mut parts = Vec::new();
        for &engine in builds.engines.iter().filter(|&&e| e != Engine::Cranelift) {
            let ratios = ratios(rows.iter().copied(), engine, time);
            let worst = ratios.iter().copied().fold(0.0, f64::max);
            if let Some(mean) = geomean(&ratios) {
                parts.push(format!("{} {mean:.3} (worst {worst:.2})", engine.name()));
            }
        }
        if !parts.is_empty() {
            let _ = writeln!(out, "\nGeometric means over the {what}: {}.", parts.join(", "));
        }
    }
    out + &failures(&builds.run)
}

/// What could not be measured, and why: a mean is over what is there. What fails everywhere for the
/// same reason, but for names and numbers, is one line.
fn failures(rows: &[Row]) -> String {
    let mut groups: Vec<(Engine, String, &str, Vec<&str>)> = Vec::new();
    for row in rows {
        for cell in &row.cells {
            let Some(failure) = &cell.failure else { continue };
            let kind = kind(failure);
            match groups.iter_mut().find(|(engine, k, ..)| *engine == cell.engine && *k == kind) {
                Some((.., names)) => names.push(&row.name),
                None => groups.push((cell.engine, kind, failure, vec![&row.name])),
            }
        }
    }
    let mut out = String::new();
    for (engine, _, failure, names) in groups {
        let _ = match names.as_slice() {
            [name] => writeln!(out, "- {} {name}: {failure}", engine.name()),
            [first, rest @ ..] => writeln!(
                out,
                "- {}, {first} and {} others ({}): {failure}",
                engine.name(),
                rest.len(),
                rest.join(", ")
            ),
            [] => Ok(()),
        };
    }
    if out.is_empty() { out } else { format!("\nNot measured:\n\n{out}") }
}

/// A failure without what differs from program to program: everything up to the last colon, and the
/// place in the module.
fn kind(failure: &str) -> String {
    let reason = failure.rsplit_once(": ").map_or(failure, |(_, last)| last);
    reason.split(" (at offset").next().unwrap_or(reason).into()
}

/// Writes `docs/benchmarks.md` and its picture.
///
/// # Errors
/// When a file cannot be written.
pub fn write(results: &Results) -> Result<()> {
    let path = docs("benchmarks.md");
    std::fs::write(&path, markdown(results))
        .with_context(|| format!("cannot write {}", path.display()))?;
    eprintln!("report: {}", path.display());
    plot::write(results, &docs("benchmarks.svg"))
}

fn markdown(results: &Results) -> String {
    let minima = match results.runs {
        1 => "one round, so that single figures vary by some percent".to_owned(),
        rounds => format!(
            "minima of {rounds} rounds (of one for wasmi's run times and for compilations of over \
             {LONG_SECONDS:.0} s)"
        ),
    };
    let mut out = format!(
        "# Benchmarks\n\n\
         ![Compile time and run time of all engines](benchmarks.svg)\n\n\
         Side by side in one go, on one machine ({machine}): a process for each measurement, engines \
         interleaved, {minima}. Times are {metric}; {before:.1} processes wanted to run when it began \
         and {after:.1} when it ended, this one among them. Ratios, in parentheses, are to Cranelift, below 1 is \
         better than it.\n\n\
         The peers are pinned: wasmtime 48.0.8 with Cranelift and with Winch and wasmi 2.0.0 in \
         `bench/Cargo.toml`, wasmer 7.4.2 with Cranelift and with Singlepass in \
         `bench/wasmer/Cargo.toml`, V8 as it is in npm's `node` {node}. Each has its default options, \
         but that it compiles on one thread and everything before it runs; V8 thus with its \
         optimizing compiler, TurboFan, alone, or with its baseline compiler, Liftoff, alone \
         (`bench/src/v8.rs` has the flags), which is not what it does by default. V8's programs get WASI \
         from node, wasmer's from runwell, the others' from the crates that belong to them. The licence \
         of wasmer's Singlepass (BUSL) allows use other than in production only; nothing of runwell \
         depends on it.\n\n\
         The programs are those of `cargo xtask corpus`, WebAssembly and native builds by the same \
         compiler at `-O2`; `k-` marks the kernels of `corpus/kernels`. Native builds are for the \
         baseline x86-64, whose vector instructions the compiler uses.\n\n\
         ```sh\ncargo xtask corpus\ncargo build --release\n\
         cargo run --release --manifest-path bench/Cargo.toml -- {command}\n```\n",
        machine = results.machine,
        metric = if results.cpu { "processor seconds" } else { "elapsed seconds" },
        before = results.load[0],
        after = results.load[1],
        node = v8::VERSION,
        command = results.command.trim_start_matches("bench "),
    );
    out += "\n## Compiling\n";
    out += &compile_tables(results, &results.main);
    out += "\n## Running\n";
    out += &run_tables(results, &results.main);
    if let Some(base) = &results.base {
        out += "\n## Engines without tail calls\n\n\
                The programs above use tail calls, which some engines do not have. So those are measured, \
                beside Cranelift once more, with builds of the same programs for WebAssembly without its \
                optional features.\n";
        out += &compile_tables(results, base);
        out += &run_tables(results, base);
    }
    if !results.latency.is_empty() {
        out += "\n## Instantiating and calling\n\n\
                Least times of 25 batches in each round, medians in parentheses (`bench latency`, \
                `bench/src/latency/program.rs`). The module is a small one, as plug-ins are: a memory \
                with data, a table, a global, an imported function. The ratio is to the better one of \
                wasmtime's allocators. Memory is that of each of 10,000 instances alive at once, each in \
                its store, not called yet.\n\n";
        out += &latency::table(&results.latency);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::Cell;

    fn row(name: &str, cells: &[(Engine, f64)]) -> Row {
        let cell = |&(engine, cpu): &(Engine, f64)| Cell {
            engine,
            samples: vec![Sample { cpu, ..Sample::default() }],
            failure: None,
        };
        Row { name: name.into(), bytes: 1000, cells: cells.iter().map(cell).collect() }
    }

    #[test]
    fn ratios_stand_beside_the_values_and_their_mean_below() {
        let rows = [
            row("a", &[(Engine::Runwell, 1.0), (Engine::Cranelift, 2.0)]),
            row("b", &[(Engine::Runwell, 4.0), (Engine::Cranelift, 2.0)]),
        ];
        let text = table(
            &[Engine::Runwell, Engine::Cranelift],
            &rows.iter().collect::<Vec<_>>(),
            |row, engine| best(row, engine, |sample| sample.cpu),
        );
        let lines: Vec<String> = text
            .lines()
            .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
            .collect();
        assert_eq!(lines[2], "| a | 1.00 (0.50) | 2.00 |");
        assert_eq!(lines[3], "| b | 4.00 (2.00) | 2.00 |");
        assert_eq!(lines[4], "| **geometric mean** | **1.00** of 2 | 1 |");
    }

    #[test]
    fn alike_failures_are_one_line() {
        let mut rows = [row("a", &[(Engine::Winch, 1.0)]), row("b", &[(Engine::Winch, 1.0)])];
        rows[0].cells[0].failure = Some("error: f: no tail calls (at offset 0x9)".into());
        rows[1].cells[0].failure = Some("error: g: no tail calls (at offset 0x7)".into());
        assert_eq!(
            failures(&rows),
            "\nNot measured:\n\n\
             - winch, a and 1 others (b): error: f: no tail calls (at offset 0x9)\n"
        );
    }
}
