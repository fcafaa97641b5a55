//! `runwell quote`: what compiling a module costs at the most, before it is compiled.

use crate::args::Quote as Options;
use crate::compile::status;
use crate::fail::{Code, Failure, in_file};
use crate::load;
use crate::output::print;
use runwell::{Calibration, Engine, FunctionQuote, Module, QUOTE_VERSION, Quote, Result};
use std::fmt::Write as _;
use std::process::ExitCode;

/// What compiling did cost.
struct Truth {
    work: u64,
    code: u64,
    /// Growth of the process at its peak, which includes what is kept of the module; 0 where the kernel
    /// does not tell.
    memory: u64,
    seconds: f64,
}

/// One figure of the quote.
struct Line {
    name: &'static str,
    key: &'static str,
    quoted: u64,
    actual: Option<u64>,
}

impl Line {
    fn ratio(&self) -> Option<f64> {
        let actual = self.actual.filter(|&actual| actual > 0)?;
        Some(self.quoted as f64 / actual as f64)
    }

    /// True if the quote is wrong. Of memory the process has more than what is quoted.
    fn is_exceeded(&self) -> bool {
        self.key != "memory" && self.actual.is_some_and(|actual| actual > self.quoted)
    }
}

pub(crate) fn quote(options: &Options) -> Result<ExitCode> {
    let engine = load::engine(&options.compiler, |config| {
        if options.check {
            // The memory of one thread is what is quoted.
            config.compile_jobs(1);
        }
    })?;
    let bytes = load::binary(&options.file)?;
    let wrong = |error| in_file(error, &options.file);
    let quote = Module::quote(&engine, &bytes).map_err(wrong)?;
    let calibration = Calibration::of_this_machine();
    let truth = match options.check {
        true => Some(compile(&engine, &bytes).map_err(wrong)?),
        false => None,
    };
    let lines = lines(&quote, truth.as_ref());
    let largest = largest(&quote, options.functions.unwrap_or(0));
    print(&if options.json {
        json(&quote, &lines, truth.as_ref(), calibration, &largest)
    } else {
        text(&quote, &lines, truth.as_ref(), calibration, &largest)
    })?;
    if let Some(line) = lines.iter().find(|line| line.is_exceeded()) {
        let what = format!("{}: the quote of {} was exceeded", options.file.display(), line.name);
        return Err(Failure::error(Code::Bug, what));
    }
    Ok(ExitCode::SUCCESS)
}

fn compile(engine: &Engine, bytes: &[u8]) -> Result<Truth> {
    // Where the kernel does not let the mark be reset, memory is not compared.
    let reset = std::fs::write("/proc/self/clear_refs", "5").is_ok();
    let before = status("RssAnon:");
    let module = Module::from_binary(engine, bytes)?;
    let peak = status("VmHWM:").saturating_sub(status("RssFile:") + before);
    let report = module.report();
    Ok(Truth {
        work: report.work.total(),
        code: report.code_bytes,
        memory: if reset { peak } else { 0 },
        seconds: report.elapsed.as_secs_f64(),
    })
}

fn lines(quote: &Quote, truth: Option<&Truth>) -> [Line; 3] {
    let line = |name, key, quoted, of: fn(&Truth) -> u64| Line {
        name,
        key,
        quoted,
        actual: truth.map(of),
    };
    [
        line("work, steps", "work", quote.work, |truth| truth.work),
        line("machine code, bytes", "code_bytes", quote.code_bytes, |truth| truth.code),
        line("memory, bytes", "memory", quote.memory, |truth| truth.memory),
    ]
}

/// The functions that are quoted the most work.
fn largest(quote: &Quote, count: usize) -> Vec<FunctionQuote> {
    let mut functions = quote.functions.clone();
    functions.sort_by_key(|func| (std::cmp::Reverse(func.work), func.func));
    functions.truncate(count);
    functions
}

fn per_byte(amount: u64, bytes: u64) -> f64 {
    amount as f64 / bytes.max(1) as f64
}

fn text(
    quote: &Quote,
    lines: &[Line],
    truth: Option<&Truth>,
    calibration: Calibration,
    largest: &[FunctionQuote],
) -> String {
    let mut out = String::new();
    let bytes = quote.module_bytes;
    let _ = writeln!(out, "{bytes} bytes, {} functions\n", quote.functions.len());
    let _ = write!(out, "{:<22} {:>14} {:>9}", "at most", "", "per byte");
    let _ = writeln!(out, "{}", if truth.is_some() { "         actual    ratio" } else { "" });
    for line in lines {
        let _ = write!(
            out,
            "{:<22} {:>14} {:>9.2}",
            line.name,
            line.quoted,
            per_byte(line.quoted, bytes)
        );
        if let Some(actual) = line.actual {
            let _ = write!(out, " {actual:>14}");
        }
        if let Some(ratio) = line.ratio() {
            let _ = write!(out, " {ratio:>8.2}");
        }
        out.push('\n');
    }
    let _ = writeln!(
        out,
        "{:<22} {:>14} {:>9.2}",
        "  each further thread",
        quote.memory_per_thread,
        per_byte(quote.memory_per_thread, bytes)
    );
    let seconds = calibration.duration(quote.work).as_secs_f64();
    let _ = write!(
        out,
        "\nabout {:.3} ms on one thread of this machine, an estimate at {:.1} ns per step",
        seconds * 1e3,
        calibration.nanos_per_step()
    );
    if let Some(truth) = truth {
        let _ = write!(out, "; it took {:.3} ms", truth.seconds * 1e3);
    }
    out.push('\n');
    if !largest.is_empty() {
        let _ = writeln!(
            out,
            "\n{:>9} {:>10} {:>9} {:>12} {:>12} {:>12}",
            "function", "at", "bytes", "work", "code", "memory"
        );
    }
    for func in largest {
        let _ = writeln!(
            out,
            "{:>9} {:>#10x} {:>9} {:>12} {:>12} {:>12}",
            func.func, func.offset, func.body_bytes, func.work, func.code_bytes, func.memory
        );
    }
    out
}

fn json(
    quote: &Quote,
    lines: &[Line],
    truth: Option<&Truth>,
    calibration: Calibration,
    largest: &[FunctionQuote],
) -> String {
    let mut out = String::new();
    let _ = write!(
        out,
        "{{\"version\":{QUOTE_VERSION},\"bytes\":{},\"functions\":{}",
        quote.module_bytes,
        quote.functions.len()
    );
    for line in lines {
        let _ = write!(out, ",\"{}\":{}", line.key, line.quoted);
    }
    let _ = write!(
        out,
        ",\"memory_per_thread\":{},\"seconds_estimate\":{:.9}",
        quote.memory_per_thread,
        calibration.duration(quote.work).as_secs_f64()
    );
    if let Some(truth) = truth {
        let _ = write!(out, ",\"actual\":{{\"seconds\":{:.9}", truth.seconds);
        for line in lines {
            let _ = write!(out, ",\"{}\":{}", line.key, line.actual.unwrap_or(0));
        }
        out.push('}');
        for line in lines {
            if let Some(ratio) = line.ratio() {
                let _ = write!(out, ",\"{}_ratio\":{ratio:.4}", line.key);
            }
        }
    }
    if !largest.is_empty() {
        out.push_str(",\"largest\":[");
        for (i, func) in largest.iter().enumerate() {
            let _ = write!(
                out,
                "{}{{\"func\":{},\"offset\":{},\"bytes\":{},\"work\":{},\"code_bytes\":{},\
                 \"memory\":{}}}",
                if i == 0 { "" } else { "," },
                func.func,
                func.offset,
                func.body_bytes,
                func.work,
                func.code_bytes,
                func.memory
            );
        }
        out.push(']');
    }
    out.push_str("}\n");
    out
}
