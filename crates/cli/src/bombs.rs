//! `runwell bombs`: what hostile modules cost.
//!
//! Each measurement is a process of its own, so that its peak of memory is its own, and nothing that
//! an earlier module left in the allocator makes a later one look small. The child gets the module
//! through standard input, compiles it once for the memory and then again for the time, on one
//! thread, and prints one line of figures. `--runs` makes several processes for each module. Time is that
//! of the processor, so that other processes lengthen it little; memory leaves out the pages of the
//! executable.

use crate::args::Bombs;
use crate::compile::status;
use crate::fail::{Code, Failure};
use crate::output::print;
use runwell::{Config, Engine, Fallback, Module, Pass, Resource, Result};
use runwell_bombs::{Family, families, find};
use std::fmt::Write as _;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::str::FromStr;
use std::time::{Duration, Instant};

/// What runwell promises at the most, per byte of module.
mod bound {
    /// Microseconds.
    pub(super) const TIME: f64 = 1.0;
    /// Bytes of memory, at the peak.
    pub(super) const MEMORY: f64 = 200.0;
    /// Bytes of machine code.
    pub(super) const CODE: f64 = 32.0;
    /// Growth of time from the second largest size to the largest, as an exponent.
    pub(super) const SLOPE: f64 = 1.05;
    /// Growth of work per byte from one size to the next.
    pub(super) const DRIFT: f64 = 1.05;
    /// Steps per byte that may change: sections cost two to three, bodies more.
    pub(super) const FEW: f64 = 4.0;
}

/// Compilations of a module: two at least, more while they are short.
const ROUNDS: u32 = 10;
const ENOUGH: Duration = Duration::from_millis(300);

/// What compiling one module cost.
#[derive(Clone, Debug, PartialEq)]
struct Figures {
    bytes: usize,
    micros: f64,
    work: u64,
    memory: u64,
    code: u64,
    /// Steps of each pass.
    passes: [u64; Pass::COUNT],
    /// Shares of its budgets that the worst function used.
    shares: [f64; Resource::COUNT],
    /// Functions in which a fallback was taken.
    fallbacks: [u32; Fallback::COUNT],
    /// Why it was refused, if it was.
    refused: Option<String>,
}

impl Figures {
    /// What is known before anything is measured.
    fn of(bytes: usize) -> Figures {
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

    fn per_byte(&self, amount: f64) -> f64 {
        amount / self.bytes.max(1) as f64
    }

    /// Time, work, memory and code per byte.
    fn columns(&self) -> [f64; 4] {
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

/// The command.
pub(crate) fn bombs(options: &Bombs) -> Result<ExitCode> {
    if options.measure {
        return child(options.metered);
    }
    let chosen = chosen(&options.families)?;
    if options.list {
        let width = chosen.iter().map(|family| family.name.len()).max().unwrap_or(0);
        for family in chosen {
            print(&format!("{:width$}  {}\n", family.name, family.attacks))?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(directory) = &options.emit {
        return emit(&chosen, &options.sizes, directory);
    }
    if !options.json {
        print(&format!(
            "{:<24} {:>8}  {:>8}  {:>9}  {:>9}  {:>8}  per byte of module; ! is over the bound\n",
            "family", "bytes", "µs", "work", "memory", "code"
        ))?;
    }
    let mut over = 0;
    let mut worst = Worst::default();
    for family in chosen {
        let mut row = Vec::new();
        for &size in &options.sizes {
            row.push(measure(&(family.make)(size), options)?);
        }
        let text = if options.json { json(family, &row) } else { text(family, &row) };
        print(&text)?;
        over += u32::from(is_over(&row));
        row.iter().for_each(|figures| worst.add(family.name, figures));
    }
    if !options.json {
        print(&worst.text())?;
    }
    Ok(if over == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The families that come nearest to what may be spent.
#[derive(Default)]
struct Worst {
    /// Per pass: steps per byte of module.
    passes: [(f64, &'static str); Pass::COUNT],
    /// Per budget: the share that a function used.
    shares: [(f64, &'static str); Resource::COUNT],
    /// Per fallback: modules that take it.
    fallbacks: [u32; Fallback::COUNT],
}

impl Worst {
    fn add(&mut self, family: &'static str, figures: &Figures) {
        let keep = |worst: &mut (f64, &'static str), new: f64| {
            if new > worst.0 {
                *worst = (new, family);
            }
        };
        for (worst, &steps) in self.passes.iter_mut().zip(&figures.passes) {
            keep(worst, figures.per_byte(steps as f64));
        }
        for (worst, &share) in self.shares.iter_mut().zip(&figures.shares) {
            keep(worst, share);
        }
        for (families, &functions) in self.fallbacks.iter_mut().zip(&figures.fallbacks) {
            *families += u32::from(functions > 0);
        }
    }

    fn text(&self) -> String {
        let mut out = format!("\n{:<10} {:>12}  most in family\n", "pass", "steps/byte");
        for (pass, (steps, family)) in Pass::ALL.iter().zip(self.passes) {
            let _ = writeln!(out, "{:<10} {steps:>12.2}  {family}", pass.name());
        }
        let _ = writeln!(out, "\n{:<10} {:>12}  most in family", "budget", "share");
        for (resource, (share, family)) in Resource::ALL.iter().zip(self.shares) {
            let _ = writeln!(out, "{:<10} {:>11.2}%  {family}", resource.name(), 100.0 * share);
        }
        let _ = writeln!(out, "\n{:<17} {:>8}", "fallback", "modules");
        for (fallback, modules) in Fallback::ALL.iter().zip(self.fallbacks) {
            let _ = writeln!(out, "{:<17} {modules:>8}", fallback.name());
        }
        out
    }
}

/// Writes the modules to files.
fn emit(families: &[&Family], sizes: &[usize], directory: &Path) -> Result<ExitCode> {
    for family in families {
        for &size in sizes {
            let file = directory.join(format!("{}-{size}.wasm", family.name));
            std::fs::write(&file, (family.make)(size)).map_err(|error| {
                let what = format!("{}: cannot be written: {error}", file.display());
                Failure::error(Code::Io, what)
            })?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The families asked for, or all.
fn chosen(names: &[String]) -> Result<Vec<&'static Family>> {
    if names.is_empty() {
        return Ok(families().collect());
    }
    let find = |name: &String| {
        find(name).ok_or_else(|| {
            let hint = match nearest(name) {
                Some(near) => format!("did you mean {near}?"),
                None => "`runwell bombs --list` names them".to_string(),
            };
            Failure::error(Code::Usage, format!("there is no family {name:?}; {hint}"))
        })
    };
    names.iter().map(find).collect()
}

/// The family whose name is most like `name`, if one is.
fn nearest(name: &str) -> Option<&'static str> {
    let rank = |family: &Family| {
        let contained = !name.is_empty() && family.name.contains(name);
        if contained { 0 } else { distance(name, family.name) }
    };
    let near = families().min_by_key(|family| rank(family))?;
    (rank(near) <= 1 + name.len() / 3).then_some(near.name)
}

/// Insertions, deletions and replacements from one word to another.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

/// Compiles `module` in a process of its own, as often as asked for: the least of what is measured counts.
fn measure(module: &[u8], options: &Bombs) -> Result<Figures> {
    let mut figures = measure_once(module, options.metered)?;
    for _ in 1..options.runs {
        let again = measure_once(module, options.metered)?;
        figures.micros = figures.micros.min(again.micros);
        figures.memory = figures.memory.min(again.memory);
    }
    Ok(figures)
}

fn measure_once(module: &[u8], metered: bool) -> Result<Figures> {
    let mut child = Command::new(std::env::current_exe()?)
        .args(["bombs", "--measure"])
        .args(metered.then_some("--metered"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    if let Some(mut input) = child.stdin.take() {
        // A child that dies early does not read to the end; its exit says more.
        let _ = input.write_all(module);
    }
    let output = child.wait_with_output()?;
    let line = String::from_utf8_lossy(&output.stdout);
    Ok(Figures::from_line(&line).unwrap_or_else(|| Figures {
        refused: Some(format!("the compiler died, {}", output.status)),
        ..Figures::of(module.len())
    }))
}

/// The child: a module from standard input, a line to standard output.
fn child(metered: bool) -> Result<ExitCode> {
    let mut bytes = Vec::new();
    std::io::stdin().lock().read_to_end(&mut bytes)?;
    let mut config = Config::new();
    config.compile_jobs(1).consume_fuel(metered);
    let engine = Engine::new(&config)?;
    // What the process has needed so far is not the compiler's; where the kernel does not let the
    // mark be reset, it is the size of the module and little more.
    let _ = std::fs::write("/proc/self/clear_refs", "5");
    let before = status("RssAnon:");
    let mut figures = Figures::of(bytes.len());
    let start = Instant::now();
    for round in 0..ROUNDS {
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
        if round > 0 && start.elapsed() > ENOUGH {
            break;
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

/// How time grows between the two largest modules, as an exponent.
fn slope(row: &[Figures]) -> Option<f64> {
    let mut sorted: Vec<&Figures> =
        row.iter().filter(|figures| figures.refused.is_none()).collect();
    sorted.sort_by_key(|figures| figures.bytes);
    let [.., small, large] = sorted.as_slice() else { return None };
    let size = (large.bytes as f64 / small.bytes as f64).ln();
    (size > 0.0).then(|| (large.micros / small.micros).ln() / size)
}

/// Which of time, work, memory and code of module `at` are over their bounds.
fn marks(row: &[Figures], at: usize) -> [bool; 4] {
    let [time, work, memory, code] = row[at].columns();
    let before = row[..at].iter().rev().find(|earlier| earlier.refused.is_none());
    let grows =
        before.is_some_and(|earlier| work > (earlier.columns()[1] * bound::DRIFT).max(bound::FEW));
    [time > bound::TIME, grows, memory > bound::MEMORY, code > bound::CODE]
}

fn is_over(row: &[Figures]) -> bool {
    row.iter().any(|figures| figures.refused.is_some())
        || (0..row.len()).any(|at| marks(row, at).contains(&true))
        || slope(row).is_some_and(|slope| slope > bound::SLOPE)
}

fn text(family: &Family, row: &[Figures]) -> String {
    let mut out = String::new();
    for (at, figures) in row.iter().enumerate() {
        let _ = write!(out, "{:<24} {:>8}", if at == 0 { family.name } else { "" }, figures.bytes);
        let [time, work, memory, code] = figures.columns();
        let [slow, grows, large, long] = marks(row, at).map(|over| if over { '!' } else { ' ' });
        let _ = write!(
            out,
            "  {time:>7.3}{slow}  {work:>8.2}{grows}  {memory:>8.1}{large}  {code:>7.2}{long}"
        );
        if let Some(why) = &figures.refused {
            let _ = write!(out, "  ! refused: {why}");
        }
        out.push('\n');
    }
    if let Some(slope) = slope(row) {
        let over = if slope > bound::SLOPE { " !" } else { "" };
        let _ = writeln!(out, "{:<24} slope {slope:.3}{over}", "");
    }
    out
}

fn json(family: &Family, row: &[Figures]) -> String {
    let number = |x: f64| if x.is_finite() { format!("{x:.4}") } else { "null".to_string() };
    let mut out = format!("{{\"family\":\"{}\",\"slope\":", family.name);
    out.push_str(&slope(row).map_or("null".to_string(), number));
    let _ = write!(out, ",\"over\":{},\"sizes\":[", is_over(row));
    for (at, figures) in row.iter().enumerate() {
        let [time, work, memory, code] = figures.columns().map(number);
        let comma = if at == 0 { "" } else { "," };
        let _ = write!(
            out,
            "{comma}{{\"bytes\":{},\"micros_per_byte\":{time},\"work_per_byte\":{work},\
             \"memory_per_byte\":{memory},\"code_per_byte\":{code},\"accepted\":{},\"over\":{}",
            figures.bytes,
            figures.refused.is_none(),
            marks(row, at).contains(&true),
        );
        for (pass, &steps) in Pass::ALL.iter().zip(&figures.passes) {
            let steps = number(figures.per_byte(steps as f64));
            let _ = write!(out, ",\"{}_per_byte\":{steps}", pass.name());
        }
        for (resource, &share) in Resource::ALL.iter().zip(&figures.shares) {
            let _ = write!(out, ",\"{}_share\":{}", resource.name(), number(share));
        }
        out.push('}');
    }
    out.push_str("]}\n");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(bytes: usize, micros: f64, work: u64) -> Figures {
        Figures { micros, work, ..Figures::of(bytes) }
    }

    #[test]
    fn lines_are_read_as_written() {
        let mut one = figures(1234, 0.5, 99);
        one.memory = 5;
        one.passes[2] = 7;
        one.shares[3] = 0.25;
        one.fallbacks[1] = 2;
        assert_eq!(Figures::from_line(&one.to_line()), Some(one.clone()));
        one.refused = Some("limit exceeded: it is".to_string());
        assert_eq!(Figures::from_line(&one.to_line()), Some(one));
        assert_eq!(Figures::from_line(""), None);
    }

    #[test]
    fn names_that_are_nearly_right() {
        assert_eq!(nearest("loop_nest_phy"), Some("loop_nest_phi"));
        assert_eq!(nearest("manypreds"), Some("manypreds_phi"));
        assert_eq!(nearest("zzzzzzzzzzzz"), None);
        assert_eq!(distance("kitten", "sitting"), 3);
    }

    #[test]
    fn what_is_over_is_marked() {
        let row = [figures(1000, 100.0, 10000), figures(4000, 1600.0, 43000)];
        assert_eq!(marks(&row, 1), [false, true, false, false]);
        assert!((slope(&row).unwrap() - 2.0).abs() < 1e-9);
        assert!(is_over(&row));
        let row = [figures(1000, 100.0, 10000), figures(4000, 400.0, 41000)];
        assert!(!is_over(&row));
        let row = [figures(1000, 1001.0, 1000)];
        assert!(is_over(&row) && slope(&row).is_none());
    }
}
