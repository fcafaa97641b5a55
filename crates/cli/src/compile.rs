//! `runwell compile` and `runwell validate`.

use crate::args::{Compile, Stats, Validate};
use crate::fail::{Code, Failure, in_file};
use crate::output::{self, print};
use crate::{load, progress};
use runwell::{Module, Report, Result};
use std::fmt::Write as _;
use std::process::ExitCode;

pub(crate) fn compile(options: &Compile) -> Result<ExitCode> {
    let mut key = Ok(());
    let engine = load::engine(&options.compiler, |config| {
        config.compile_timing(options.stats.is_some());
        key = load::image_key(config, &options.image_key);
    })?;
    key?;
    // An image is compiled anew from what is in it.
    let bytes = load::binary(&options.file)?;
    let module = progress::watch(&engine, &options.file, || Module::from_binary(&engine, &bytes))
        .map_err(|error| in_file(error, &options.file))?;
    if let Some(to) = &options.output {
        let image = module.serialize().map_err(|error| {
            let message = format!("{error:#}; or name a file for it with --image-key");
            Failure::error(Code::Io, message)
        })?;
        output::write(to, &image)?;
    }
    let stats = match options.stats {
        Some(Stats::Json) => json(&module),
        Some(Stats::Text) => text(&module),
        None => return Ok(ExitCode::SUCCESS),
    };
    // Standard output is the image's where it goes there.
    match &options.output {
        Some(to) if to.as_os_str() == "-" => eprint!("{stats}"),
        _ => print(&stats)?,
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

/// The name of a function as a JSON string, or `null`.
fn json_name(module: &Module, func: u32) -> String {
    let Some(name) = module.function_name(func) else { return "null".to_string() };
    let mut out = String::from("\"");
    for c in name.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c.is_control() => _ = write!(out, "\\u{:04x}", c as u32),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

fn json(module: &Module) -> String {
    let report = module.report();
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
    out.push_str("],\"budgets\":[");
    for (i, (resource, worst)) in report.budgets().enumerate() {
        let _ = write!(
            out,
            "{}{{\"budget\":\"{}\",\"function\":{},\"name\":{},\"used\":{},\"limit\":{},\
             \"share\":{:.4}}}",
            if i == 0 { "" } else { "," },
            resource.name(),
            worst.func,
            json_name(module, worst.func),
            worst.used,
            worst.limit,
            worst.share(),
        );
    }
    out.push_str("],\"fallbacks\":[");
    for (i, (fallback, functions)) in report.fallbacks().enumerate() {
        let comma = if i == 0 { "" } else { "," };
        let name = fallback.name();
        let _ = write!(out, "{comma}{{\"fallback\":\"{name}\",\"functions\":{functions}}}");
    }
    out.push_str("]}\n");
    out
}

fn text(module: &Module) -> String {
    let report = module.report();
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
    let _ = writeln!(
        out,
        "\n{:<10} {:>10} {:>12} {:>12} {:>9}",
        "budget", "function", "used", "of", "share"
    );
    for (resource, worst) in report.budgets() {
        let _ = writeln!(
            out,
            "{:<10} {:>10} {:>12} {:>12} {:>8.2}%  {}",
            resource.name(),
            worst.func,
            worst.used,
            worst.limit,
            100.0 * worst.share(),
            module.function_name(worst.func).unwrap_or_default(),
        );
    }
    let taken: Vec<String> = report
        .fallbacks()
        .filter(|&(_, functions)| functions > 0)
        .map(|(fallback, functions)| format!("{} in {functions} functions", fallback.name()))
        .collect();
    let taken = if taken.is_empty() { "none".to_string() } else { taken.join(", ") };
    let _ = writeln!(out, "\nfallbacks: {taken}");
    out
}
