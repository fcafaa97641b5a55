//! `runwell compile` and `runwell validate`.

use crate::args::{Compile, Stats, Validate};
use crate::fail::in_file;
use crate::load;
use runwell::{Module, Report, Result};
use std::fmt::Write as _;
use std::io::{self, Write};
use std::process::ExitCode;

/// Prints to standard output. A reader that has gone away ends the command quietly.
pub(crate) fn print(text: &str) -> Result<()> {
    match io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => std::process::exit(0),
        done => Ok(done?),
    }
}

pub(crate) fn compile(options: &Compile) -> Result<ExitCode> {
    let engine = load::engine(&options.compiler, |config| {
        config.compile_timing(options.stats.is_some());
    })?;
    let module = load::module(&engine, &options.file)?;
    let report = module.report();
    match options.stats {
        Some(Stats::Json) => print(&json(report))?,
        Some(Stats::Text) => print(&text(report))?,
        None => {}
    }
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn validate(options: &Validate) -> Result<ExitCode> {
    let engine = load::engine(&options.compiler, |_| {})?;
    for file in &options.files {
        let bytes = load::binary(file)?;
        Module::validate(&engine, &bytes).map_err(|error| in_file(error, file))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The most memory this process has used so far, in bytes.
fn peak_memory() -> u64 {
    status("VmHWM:")
}

/// A number of bytes that the kernel keeps about this process; 0 where it keeps none.
pub(crate) fn status(field: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    let kib = line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}

fn per_byte(amount: f64, report: &Report) -> f64 {
    amount / (report.module_bytes as f64).max(1.0)
}

fn json(report: &Report) -> String {
    let mut out = String::new();
    let work = report.work.total();
    let _ = write!(
        out,
        "{{\"bytes\":{},\"functions\":{},\"checked\":{},\"seconds\":{:.9},\"work\":{work},\
         \"work_per_byte\":{:.4},\"code_bytes\":{},\"peak_memory\":{},\"passes\":[",
        report.module_bytes,
        report.functions,
        report.checked,
        report.elapsed.as_secs_f64(),
        per_byte(work as f64, report),
        report.code_bytes,
        peak_memory(),
    );
    for (i, pass) in report.passes().enumerate() {
        let _ = write!(
            out,
            "{}{{\"pass\":\"{}\",\"seconds\":{:.9},\"work\":{},\"work_per_byte\":{:.4},\
             \"largest_function_bytes\":{}}}",
            if i == 0 { "" } else { "," },
            pass.pass.name(),
            pass.time.as_secs_f64(),
            pass.work,
            per_byte(pass.work as f64, report),
            pass.peak_bytes,
        );
    }
    out.push_str("]}\n");
    out
}

fn text(report: &Report) -> String {
    let mut out = String::new();
    let work = report.work.total();
    let seconds = report.elapsed.as_secs_f64();
    let checked = if report.checked > 0 { " (all checked)" } else { "" };
    let _ = writeln!(
        out,
        "{} bytes, {} functions{checked}, {:.3} ms, {:.1} ns per byte\n\
         {} bytes of machine code, {:.2} per byte; peak memory of the process {:.1} MB\n",
        report.module_bytes,
        report.functions,
        seconds * 1e3,
        per_byte(seconds * 1e9, report),
        report.code_bytes,
        per_byte(report.code_bytes as f64, report),
        peak_memory() as f64 / 1e6,
    );
    let _ = writeln!(
        out,
        "{:<10} {:>10} {:>9} {:>12} {:>10} {:>16}",
        "pass", "ms", "ns/byte", "work", "work/byte", "largest function"
    );
    for pass in report.passes() {
        let _ = writeln!(
            out,
            "{:<10} {:>10.3} {:>9.2} {:>12} {:>10.3} {:>10} bytes",
            pass.pass.name(),
            pass.time.as_secs_f64() * 1e3,
            per_byte(pass.time.as_secs_f64() * 1e9, report),
            pass.work,
            per_byte(pass.work as f64, report),
            pass.peak_bytes,
        );
    }
    let _ = writeln!(
        out,
        "{:<10} {:>10} {:>9} {:>12} {:>10.3}",
        "total",
        "",
        "",
        work,
        per_byte(work as f64, report)
    );
    out
}
