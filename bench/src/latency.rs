//! What instantiating and calling cost, runwell beside wasmtime and wasmi, and what an instance that
//! does nothing takes of memory.
//!
//! Each subject is a process for each round, and rounds of the subjects alternate. In a process each
//! act is done in batches ([`acts`], `latency/program.rs`); the least time of all batches is reported, and the median of all beside it.

mod acts;
// The program is compiled once for each engine, on purpose.
#[allow(clippy::duplicate_mod)]
mod over_wasmi;
#[allow(clippy::duplicate_mod)]
mod over_wasmtime;

use std::fmt::Write;
use std::process::Command;

use anyhow::{Context, Result, anyhow, bail};
use serde::{Deserialize, Serialize};

use crate::Options;
use crate::{corpus, engine, process};
use acts::{ALIVE, Act, Idle, Task};

/// All acts, in the order of the table.
const ACTS: [(Act, &str); 10] = [
    (Act::Instantiate, "instance made in a store of its own, and dropped"),
    (Act::InstantiateAndWrite, "the same, and its memory written to"),
    (Act::TypedCall, "typed call of a guest function"),
    (Act::UntypedCall, "untyped call of a guest function"),
    (Act::HostCall, "call of a host function, each with the last one's result"),
    (Act::HostCallIndependent, "call of a host function, whose result is not used"),
    (Act::LoadedCallSmall, "first call, from an image in a file"),
    (Act::LoadedCallLarge, "first call, from an image of 1,000 functions"),
    (Act::CompiledCallSmall, "first call, from a module"),
    (Act::CompiledCallLarge, "first call, from a module of 1,000 functions"),
];

/// What is measured.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Subject {
    Runwell,
    OnDemand,
    Pooling,
    Wasmi,
}

impl Subject {
    const ALL: [Subject; 4] =
        [Subject::Runwell, Subject::OnDemand, Subject::Pooling, Subject::Wasmi];

    fn name(self) -> &'static str {
        match self {
            Subject::Runwell => "runwell",
            Subject::OnDemand => "on-demand",
            Subject::Pooling => "pooling",
            Subject::Wasmi => "wasmi",
        }
    }

    fn label(self) -> &'static str {
        match self {
            Subject::Runwell => "runwell",
            Subject::OnDemand => "wasmtime on demand",
            Subject::Pooling => "wasmtime pooling",
            Subject::Wasmi => "wasmi",
        }
    }
}

/// Everything about one subject.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Latencies {
    pub subject: Subject,
    /// Nanoseconds of each batch of all rounds.
    pub acts: Vec<(Act, Vec<f64>)>,
    pub idle: Vec<Idle>,
}

/// `bench subject NAME …`: one process of the measurement, of an engine that is in this program.
///
/// # Errors
/// When the engine fails.
pub fn subject(args: &[String]) -> Result<()> {
    let [name, rest @ ..] = args else { bail!("subject NAME {}", acts::USAGE) };
    let task = Task::parse(rest)?;
    let say = |error: wasmtime::Error| anyhow!("{error:#}");
    let line = match name.as_str() {
        "on-demand" => {
            over_wasmtime::program::figures(&over_wasmtime::on_demand().map_err(say)?, &task)
        }
        // One more than are alive: the one that is called first.
        "pooling" => {
            let engine = over_wasmtime::pooling(ALIVE as u32 + 1).map_err(say)?;
            over_wasmtime::program::figures(&engine, &task)
        }
        "wasmi" => over_wasmi::program::figures(&over_wasmi::engine(), &task),
        _ => bail!("no subject `{name}`"),
    };
    println!("{}", line?);
    Ok(())
}

fn one<T: for<'a> Deserialize<'a>>(options: &Options, subject: Subject, what: &str) -> Result<T> {
    let mut command = if subject == Subject::Runwell {
        Command::new(engine::RUNWELL_SUBJECT.path())
    } else {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["subject", subject.name()]);
        command
    };
    command.args([what, if options.cpu { "cpu" } else { "wall" }]);
    command.arg(corpus::root().join("target/bench/images").join(subject.name()));
    let done = process::run(&mut command)?;
    if done.code != 0 {
        bail!("{}: {}", subject.label(), String::from_utf8_lossy(&done.stderr).trim());
    }
    serde_json::from_slice(&done.stdout)
        .with_context(|| format!("{}: its figures", subject.label()))
}

/// Measures all subjects, in alternating rounds.
///
/// # Errors
/// When a process cannot be started, or an engine fails.
pub fn measure(options: &Options) -> Result<Vec<Latencies>> {
    engine::RUNWELL_SUBJECT.build()?;
    let mut all: Vec<Latencies> = Subject::ALL
        .iter()
        .map(|&subject| Latencies { subject, acts: vec![], idle: vec![] })
        .collect();
    for round in 0..options.runs {
        for latencies in &mut all {
            eprintln!("[{}/{}] {}", round + 1, options.runs, latencies.subject.label());
            let acts: Vec<(Act, Vec<f64>)> = one(options, latencies.subject, "times")?;
            for (act, batches) in acts {
                match latencies.acts.iter_mut().find(|(there, _)| *there == act) {
                    Some((_, all)) => all.extend(batches),
                    None => latencies.acts.push((act, batches)),
                }
            }
            latencies.idle.push(one(options, latencies.subject, "idle")?);
        }
    }
    Ok(all)
}

/// Nanoseconds with three digits that count, in the unit that fits.
fn time(nanoseconds: f64) -> String {
    let (value, unit) = match nanoseconds {
        n if n < 1e3 => (n, "ns"),
        n if n < 1e6 => (n / 1e3, "µs"),
        n => (n / 1e6, "ms"),
    };
    let digits = if value >= 100.0 {
        0
    } else if value >= 10.0 {
        1
    } else {
        2
    };
    format!("{value:.digits$} {unit}")
}

/// The least and the median.
fn summary(batches: &[f64]) -> Option<(f64, f64)> {
    let mut sorted = batches.to_vec();
    sorted.sort_by(f64::total_cmp);
    Some((*sorted.first()?, sorted[sorted.len() / 2]))
}

/// A line for each act: least times, medians in parentheses, and runwell's ratio to the better one of
/// wasmtime's allocators.
pub fn table(all: &[Latencies]) -> String {
    let mut out = String::from("|  |");
    for latencies in all {
        let _ = write!(out, " {} |", latencies.subject.label());
    }
    out += " runwell : wasmtime |\n|---|";
    out += &"---:|".repeat(all.len() + 1);
    out.push('\n');
    for (act, title) in ACTS {
        let of = |subject: Subject| {
            let latencies = all.iter().find(|latencies| latencies.subject == subject)?;
            let (_, batches) = latencies.acts.iter().find(|(there, _)| *there == act)?;
            summary(batches)
        };
        let _ = write!(out, "| {title} |");
        for latencies in all {
            let cell = of(latencies.subject).map_or("–".into(), |(least, median)| {
                format!("{} ({})", time(least), time(median))
            });
            let _ = write!(out, " {cell} |");
        }
        let theirs = [Subject::OnDemand, Subject::Pooling].into_iter().filter_map(of);
        let best = theirs.map(|(least, _)| least).min_by(f64::total_cmp);
        let ratio = of(Subject::Runwell).and_then(|(ours, _)| Some(ours / best?));
        let _ = writeln!(out, " {} |", ratio.map_or("–".into(), |ratio| format!("{ratio:.2}")));
    }
    out += &idle_line(all, "memory of an idle instance, KB", |idle| idle.resident);
    out += &idle_line(all, "the kernel's page tables for it, KB", |idle| idle.tables);
    out
}

fn idle_line(all: &[Latencies], title: &str, bytes: impl Fn(&Idle) -> f64) -> String {
    let of = |latencies: &Latencies| latencies.idle.iter().map(&bytes).min_by(f64::total_cmp);
    let mut out = format!("| {title} |");
    for latencies in all {
        let cell = of(latencies).map_or("–".into(), |bytes| format!("{:.2}", bytes / 1024.0));
        let _ = write!(out, " {cell} |");
    }
    let find = |subject: Subject| all.iter().find(|there| there.subject == subject).and_then(of);
    let best =
        [Subject::OnDemand, Subject::Pooling].into_iter().filter_map(find).min_by(f64::total_cmp);
    let ratio = find(Subject::Runwell).zip(best).map(|(ours, theirs)| ours / theirs);
    let _ = writeln!(out, " {} |", ratio.map_or("–".into(), |ratio| format!("{ratio:.2}")));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_the_unit_that_fits() {
        assert_eq!(time(4.321), "4.32 ns");
        assert_eq!(time(43_210.0), "43.2 µs");
        assert_eq!(time(432_100.0), "432 µs");
        assert_eq!(time(1.25e6), "1.25 ms");
    }

    #[test]
    fn the_table_has_least_median_and_ratio() {
        let of = |subject, batches: &[f64], resident| Latencies {
            subject,
            acts: vec![(Act::TypedCall, batches.to_vec())],
            idle: vec![Idle { resident, tables: 512.0 }],
        };
        let text = table(&[
            of(Subject::Runwell, &[9.0, 5.0, 6.0], 1024.0),
            of(Subject::OnDemand, &[10.0, 12.0, 14.0], 4096.0),
            of(Subject::Pooling, &[20.0, 22.0, 24.0], 2048.0),
        ]);
        let line = |start: &str| text.lines().find(|line| line.starts_with(start)).unwrap();
        assert_eq!(
            line("| typed call"),
            "| typed call of a guest function | 5.00 ns (6.00 ns) | 10.0 ns (12.0 ns) \
             | 20.0 ns (22.0 ns) | 0.50 |"
        );
        assert_eq!(
            line("| memory of an idle"),
            "| memory of an idle instance, KB | 1.00 | 4.00 | 2.00 | 0.50 |"
        );
        assert!(line("| untyped call").ends_with("| – | – | – | – |"));
    }
}
