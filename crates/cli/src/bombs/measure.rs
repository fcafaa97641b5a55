//! One module, compiled in a process of its own.
//!
//! So its peak of memory is its own, and nothing that an earlier module left in the allocator makes it
//! look small or fast: a process that compiles one module after the other finds memory that it has had
//! before, and a small module finds all of it in the cache. The child gets the module through standard
//! input and prints one line of figures.
//!
//! Time is that of the processor, so that other processes lengthen it little. A new process also has to
//! read the compiler's own code from the file, which would make small modules look slow; so where time is
//! measured, a small module of the same family is compiled before. Memory is measured without that, and
//! leaves out the pages of the executable.

use crate::compile::status;
use crate::output::print;
use runwell::{Config, Engine, Fallback, Module, Pass, Resource, Result};
use std::fmt::Write as _;
use std::io::{Read, Write};
use std::process::{Command, ExitCode, Stdio};
use std::str::FromStr;

/// Compilations of a module in a process that is to be warm.
const WARM_ROUNDS: usize = 8;

/// What compiling one module cost.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Figures {
    pub(super) bytes: usize,
    pub(super) micros: f64,
    pub(super) work: u64,
    pub(super) memory: u64,
    pub(super) code: u64,
    /// Steps of each pass.
    pub(super) passes: [u64; Pass::COUNT],
    /// Shares of its budgets that the worst function used.
    pub(super) shares: [f64; Resource::COUNT],
    /// Functions in which a fallback was taken.
    pub(super) fallbacks: [u32; Fallback::COUNT],
    /// Why it was refused, if it was.
    pub(super) refused: Option<String>,
}

impl Figures {
    /// What is known before anything is measured.
    pub(super) fn of(bytes: usize) -> Figures {
        Figures {
            bytes,
            micros: f64::INFINITY,
            work: 0,
            memory: 0,
            code: 0,
            passes: [0; Pass::COUNT],
            shares: [0.0; Resource::COUNT],
            fallbacks: [0; Fallback::COUNT],
            refused: None,
        }
    }

    /// `amount` for each byte of the module.
    pub(super) fn per_byte(&self, amount: f64) -> f64 {
        amount / self.bytes.max(1) as f64
    }

    /// Time, work, memory and code per byte.
    pub(super) fn columns(&self) -> [f64; 4] {
        [self.micros, self.work as f64, self.memory as f64, self.code as f64]
            .map(|amount| self.per_byte(amount))
    }

    /// The line that the child prints and the parent reads.
    fn to_line(&self) -> String {
        let Figures { bytes, micros, work, memory, code, .. } = self;
        let mut line = format!("{bytes} {micros} {work} {memory} {code}");
        self.passes.iter().for_each(|steps| _ = write!(line, " {steps}"));
        self.shares.iter().for_each(|share| _ = write!(line, " {share}"));
        self.fallbacks.iter().for_each(|count| _ = write!(line, " {count}"));
        let refused = self.refused.as_deref().unwrap_or("").replace('\n', " ");
        format!("{line} {refused}\n")
    }

    fn from_line(line: &str) -> Option<Figures> {
        fn all<'a, T: FromStr, const N: usize>(
            parts: &mut impl Iterator<Item = &'a str>,
        ) -> Option<[T; N]> {
            let list: Vec<T> = parts.take(N).map_while(|part| part.parse().ok()).collect();
            list.try_into().ok()
        }
        const NUMBERS: usize = 5 + Pass::COUNT + Resource::COUNT + Fallback::COUNT;
        let mut parts = line.trim_end_matches('\n').splitn(NUMBERS + 1, ' ');
        Some(Figures {
            bytes: parts.next()?.parse().ok()?,
            micros: parts.next()?.parse().ok()?,
            work: parts.next()?.parse().ok()?,
            memory: parts.next()?.parse().ok()?,
            code: parts.next()?.parse().ok()?,
            passes: all(&mut parts)?,
            shares: all(&mut parts)?,
            fallbacks: all(&mut parts)?,
            refused: parts.next().filter(|text| !text.is_empty()).map(str::to_string),
        })
    }
}

/// What a child is asked for.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) struct Way {
    /// With metering by fuel.
    pub(super) metered: bool,
    /// The least time of several compilations in the process, not that of the first.
    pub(super) warm: bool,
}

/// Compiles `module` in a process that compiles nothing else. Its time is that of a process that has yet
/// to read the compiler's code.
pub(super) fn alone(module: &[u8], way: Way) -> Result<Figures> {
    measure(&[], module, Way { warm: false, ..way })
}

/// Compiles `small` and then `module` in a process of its own. What it says of memory is no good.
pub(super) fn after(small: &[u8], module: &[u8], way: Way) -> Result<Figures> {
    measure(small, module, way)
}

fn measure(small: &[u8], module: &[u8], way: Way) -> Result<Figures> {
    let mut child = Command::new(std::env::current_exe()?)
        .args(["bombs", "--measure"])
        .args(way.metered.then_some("--metered"))
        .args(way.warm.then_some("--warm"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    if let Some(mut input) = child.stdin.take() {
        // A child that dies early does not read to the end; its exit says more.
        let _ = input
            .write_all(&(small.len() as u64).to_le_bytes())
            .and_then(|()| input.write_all(small))
            .and_then(|()| input.write_all(module));
    }
    let output = child.wait_with_output()?;
    let line = String::from_utf8_lossy(&output.stdout);
    Ok(Figures::from_line(&line).unwrap_or_else(|| Figures {
        refused: Some(format!("the compiler died, {}", output.status)),
        ..Figures::of(module.len())
    }))
}

/// The child: from standard input the length of a small module, that module, and the one that counts; a
/// line to standard output.
pub(super) fn child(way: Way) -> Result<ExitCode> {
    let mut input = std::io::stdin().lock();
    let mut len = [0; 8];
    input.read_exact(&mut len)?;
    let mut small = vec![0; u64::from_le_bytes(len) as usize];
    input.read_exact(&mut small)?;
    let mut bytes = Vec::new();
    input.read_to_end(&mut bytes)?;
    let mut config = Config::new();
    config.compile_jobs(1).consume_fuel(way.metered);
    let engine = Engine::new(&config)?;
    if !small.is_empty() {
        // What becomes of it is the business of another row.
        let _ = Module::from_binary(&engine, &small);
    }
    // What the process has needed so far is not the compiler's; where the kernel does not let the
    // mark be reset, it is the size of the module and little more.
    let _ = std::fs::write("/proc/self/clear_refs", "5");
    let before = status("RssAnon:");
    let mut figures = Figures::of(bytes.len());
    for round in 0..if way.warm { WARM_ROUNDS } else { 1 } {
        let clock = processor_time();
        let outcome = Module::from_binary(&engine, &bytes);
        figures.micros = figures.micros.min((processor_time() - clock) * 1e6);
        if round == 0 {
            figures.memory = status("VmHWM:").saturating_sub(status("RssFile:") + before);
        }
        match outcome {
            Ok(module) => {
                let report = module.report();
                figures.work = report.work.total();
                figures.code = report.code_bytes;
                figures.passes = Pass::ALL.map(|pass| report.work.spent(pass));
                figures.shares = report.worst.map(|worst| worst.share());
                figures.fallbacks = report.fallbacks;
            }
            Err(error) => figures.refused = Some(error.to_string()),
        }
    }
    print(&figures.to_line())?;
    Ok(ExitCode::SUCCESS)
}

/// Seconds that this thread has run.
fn processor_time() -> f64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    now.tv_sec as f64 + now.tv_nsec as f64 * 1e-9
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_as_written() {
        let mut one = Figures { micros: 0.5, work: 99, memory: 5, ..Figures::of(1234) };
        one.passes[2] = 7;
        one.shares[3] = 0.25;
        one.fallbacks[1] = 2;
        assert_eq!(Figures::from_line(&one.to_line()), Some(one.clone()));
        one.refused = Some("limit exceeded: it is".to_string());
        assert_eq!(Figures::from_line(&one.to_line()), Some(one));
        assert_eq!(Figures::from_line(""), None);
    }
}
