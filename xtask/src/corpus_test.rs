//! Runs every program of the corpus and compares standard output and exit code with the native build;
//! records and
//! replays some with everything of the host's; compiles the published modules in full.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::corpus::{self, manifest};
use crate::process::{self, cargo, finish, must, read};
use crate::{Result, target_dir};

/// Longer than any program takes on a slow machine with an engine that works.
const LIMIT: Duration = Duration::from_secs(300);

/// Programs that are recorded and replayed as well.
const RECORDED: [&str; 2] = ["sqlite", "quickjs"];

struct Options {
    /// One variant of each program, and no published modules.
    fast: bool,
    jobs: usize,
    /// The command line that stands for `runwell`.
    runwell: Option<Vec<String>>,
    filter: String,
}

fn parse(args: &[String]) -> Result<Options> {
    let mut options =
        Options { fast: false, jobs: process::jobs(), runwell: None, filter: String::new() };
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        let mut value =
            || args.next().cloned().ok_or_else(|| format!("corpus-test: {arg} needs a value"));
        match arg.as_str() {
            "--fast" => options.fast = true,
            "--jobs" => {
                options.jobs = value()?.parse().map_err(|e| format!("corpus-test: --jobs: {e}"))?;
            }
            "--runwell" => {
                options.runwell = Some(value()?.split_whitespace().map(String::from).collect());
            }
            other if other.starts_with('-') => {
                return Err(format!("corpus-test: no option `{other}`"));
            }
            other => options.filter = other.into(),
        }
    }
    Ok(options)
}

/// `cargo xtask corpus-test [--fast] [--jobs N] [--runwell CMD] [FILTER]`
pub(crate) fn command(args: &[String]) -> Result {
    let options = parse(args)?;
    corpus::make("")?;
    let runwell = match options.runwell {
        Some(command) => command,
        None => vec![build()?.display().to_string()],
    };

    let runs: Vec<_> = manifest::runs()?
        .into_iter()
        .filter(|run| run.name.contains(&options.filter))
        .filter(|run| !options.fast || run.variant == "full")
        .collect();
    let modules: Vec<_> = if options.fast { vec![] } else { manifest::modules()? }
        .into_iter()
        .filter(|(name, _)| name.contains(&options.filter))
        .collect();

    println!("{:<24} {:<8} {:>8}  result", "program", "variant", "seconds");
    let mut outcomes = process::parallel(&runs, options.jobs, |run| {
        let result = run_one(&runwell, run);
        report(&run.name, &run.variant, &result);
        result.is_ok()
    });
    let recorded: Vec<_> = runs
        .iter()
        .filter(|run| run.variant == "full" && RECORDED.iter().any(|of| run.name.starts_with(of)))
        .collect();
    outcomes.extend(process::parallel(&recorded, options.jobs, |run| {
        let result = replay_one(&runwell, run);
        report(&run.name, "replayed", &result);
        result.is_ok()
    }));
    outcomes.extend(process::parallel(&modules, 1, |(name, path)| {
        let result = compile_one(&runwell, path);
        report(name, "compiled", &result);
        result.is_ok()
    }));

    let failed = outcomes.iter().filter(|passed| !**passed).count();
    println!("{} passed, {failed} failed", outcomes.len() - failed);
    match (failed, outcomes.len()) {
        (0, 0) => Err("corpus-test: nothing matches the filter".into()),
        (0, _) => Ok(()),
        _ => Err("corpus-test: failures above; again: cargo xtask corpus-test NAME".into()),
    }
}

/// Builds runwell and says where it is.
pub(crate) fn build() -> Result<PathBuf> {
    must("building runwell", &mut cargo(&["build", "--release", "-p", "runwell-cli"]))?;
    Ok(target_dir().join("release/runwell"))
}

fn report(name: &str, variant: &str, result: &Result<f64>) {
    match result {
        Ok(seconds) => println!("{name:<24} {variant:<8} {seconds:>8.2}  ok"),
        Err(message) => println!("{name:<24} {variant:<8} {:>8}  FAILED: {message}", "-"),
    }
}

pub(crate) fn start(runwell: &[String]) -> Result<Command> {
    let (program, rest) = runwell.split_first().ok_or("corpus-test: --runwell is empty")?;
    let mut command = Command::new(program);
    command.args(rest);
    Ok(command)
}

/// The command that runs a program, with these options.
fn command_for(runwell: &[String], run: &manifest::Entry, options: &[&str]) -> Result<Command> {
    let mut command = start(runwell)?;
    // What is tested is the compiler.
    command.args(["run", "--no-cache"]).args(options);
    match run.mapped.as_str() {
        "-" => {}
        "scratch" => {
            let name = format!("{}-{}", run.name.replace('/', "-"), run.variant);
            let scratch = corpus::dir().join("scratch").join(name);
            std::fs::create_dir_all(&scratch)
                .map_err(|e| format!("cannot make {}: {e}", scratch.display()))?;
            command.arg("--dir").arg(format!("{}::/", scratch.display()));
        }
        host => _ = command.arg("--dir").arg(format!("{host}::/")),
    }
    command.arg(&run.wasm).args(&run.args);
    Ok(command)
}

/// Runs a program and compares; returns the seconds it took.
fn run_one(runwell: &[String], run: &manifest::Entry) -> Result<f64> {
    compare(run, finish(&mut command_for(runwell, run, &[])?, LIMIT)?)
}

/// Records a program with the host's clock, randomness, environment and files, and runs it again without
/// them; returns the seconds that took.
fn replay_one(runwell: &[String], run: &manifest::Entry) -> Result<f64> {
    let log = corpus::dir().join("scratch").join(format!("{}.log", run.name.replace('/', "-")));
    let log = log.to_str().ok_or("the path of the corpus is not UTF-8")?;
    let options = ["--real", "--hash", "--record", log];
    let recorded = finish(&mut command_for(runwell, run, &options)?, LIMIT)?;
    let state = state_of(&recorded)?;
    compare(run, recorded)?;
    let replayed = finish(&mut command_for(runwell, run, &["--hash", "--replay", log])?, LIMIT)?;
    if replayed.code != run.code {
        return Err(format!("replayed: exit code {}{}", replayed.code, said(&replayed.stderr)));
    }
    let again = state_of(&replayed)?;
    if again != state {
        return Err(format!("the state after recording is {state}, after replaying {again}"));
    }
    std::fs::remove_file(log).map_err(|e| format!("cannot remove {log}: {e}"))?;
    Ok(replayed.seconds)
}

/// The hash of the state that `--hash` prints.
fn state_of(done: &process::Finished) -> Result<String> {
    let text = String::from_utf8_lossy(&done.stderr);
    let state = text.lines().find_map(|line| line.strip_prefix("state: "));
    state.map(String::from).ok_or_else(|| format!("no hash of the state{}", said(&done.stderr)))
}

/// Compares what a run printed; returns the seconds it took.
fn compare(run: &manifest::Entry, done: process::Finished) -> Result<f64> {
    if done.stdout != read(&run.expect)? {
        let difference = difference(&read(&run.expect)?, &done.stdout);
        return Err(format!("{difference}{}", said(&done.stderr)));
    }
    if done.code != run.code {
        return Err(format!(
            "exit code {}, expected {}{}",
            done.code,
            run.code,
            said(&done.stderr)
        ));
    }
    Ok(done.seconds)
}

/// Compiles a module; returns the seconds it took.
fn compile_one(runwell: &[String], path: &Path) -> Result<f64> {
    let done = finish(start(runwell)?.arg("compile").arg(path).arg("--stats=json"), LIMIT)?;
    if done.code != 0 {
        return Err(format!("exit code {}{}", done.code, said(&done.stderr)));
    }
    Ok(done.seconds)
}

/// The first line in which the output is not the expected one.
fn difference(expected: &[u8], found: &[u8]) -> String {
    let (expected, found) = (String::from_utf8_lossy(expected), String::from_utf8_lossy(found));
    let (mut wanted, mut got) = (expected.lines(), found.lines());
    for number in 1.. {
        match (wanted.next(), got.next()) {
            (Some(w), Some(g)) if w == g => {}
            (None, None) => break,
            (w, g) => {
                let show = |line: Option<&str>| line.map_or("nothing".into(), |l| format!("`{l}`"));
                return format!("line {number} is {}, expected {}", show(g), show(w));
            }
        }
    }
    "line ends differ".into()
}

/// What a failed program said last, for the end of a message.
fn said(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    let lines: Vec<&str> = text.lines().take(4).collect();
    if lines.is_empty() { String::new() } else { format!("; it said: {}", lines.join(" / ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_the_line() {
        assert_eq!(difference(b"a\nb\n", b"a\nc\n"), "line 2 is `c`, expected `b`");
        assert_eq!(difference(b"a\n", b""), "line 1 is nothing, expected `a`");
    }
}
