//! The command line that all engines have, and the figures that they report.
//!
//! `ENGINE run [--stats=json] [--dir HOST[::GUEST]]… [--env K=V]… FILE [ARGS…]` runs a WASI program and
//! passes its exit code through, 134 for a trap. With `--stats=json` it says on standard error how long
//! compiling and the call of `_start` took. `ENGINE compile FILE` compiles on one thread and prints the
//! figures on standard output.

use std::time::Instant;

use anyhow::{Context, Result, bail};
use serde_json::json;

/// Enough for programs that recurse deeply; the thread they run on has twice as much.
pub const STACK: usize = 64 << 20;

/// What the command line asked for.
pub struct Job {
    pub stats: bool,
    pub dirs: Vec<(String, String)>,
    pub env: Vec<(String, String)>,
    pub file: String,
    pub args: Vec<String>,
}

/// Wall and processor time of one thing.
#[derive(Clone, Copy)]
pub struct Spent {
    pub wall: f64,
    pub cpu: f64,
}

/// A clock that was started.
pub struct Clock(Instant, f64);

impl Clock {
    pub fn start() -> Clock {
        Clock(Instant::now(), cpu())
    }

    pub fn spent(&self) -> Spent {
        Spent { wall: self.0.elapsed().as_secs_f64(), cpu: cpu() - self.1 }
    }
}

/// Processor seconds of this process, all threads, user and system. Where the process has a limit of
/// processor time, the system counts those in ticks; so what this thread alone has used counts where
/// it is more.
pub fn cpu() -> f64 {
    let clock = |which| {
        let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: the pointer is to a timespec of ours, which the call fills.
        unsafe { libc::clock_gettime(which, &mut time) };
        time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
    };
    clock(libc::CLOCK_PROCESS_CPUTIME_ID).max(clock(libc::CLOCK_THREAD_CPUTIME_ID))
}

/// Parses what follows `run` or `compile`.
///
/// # Errors
/// When an option is none of those above, or the file is missing.
pub fn parse(args: &[String]) -> Result<Job> {
    let mut job =
        Job { stats: false, dirs: vec![], env: vec![], file: String::new(), args: vec![] };
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        let mut value = || args.next().with_context(|| format!("{arg} needs a value"));
        match arg.as_str() {
            "--stats=json" => job.stats = true,
            // None of them has one.
            "--no-cache" => {}
            "--jobs" => _ = value()?,
            "--dir" => {
                let value = value()?;
                let (host, guest) = value.split_once("::").unwrap_or((value, value));
                job.dirs.push((host.into(), guest.into()));
            }
            "--env" => {
                let (key, value) = value()?.split_once('=').context("--env K=V")?;
                job.env.push((key.into(), value.into()));
            }
            other if other.starts_with('-') => bail!("no option `{other}`"),
            file => {
                job.file = file.into();
                job.args = args.by_ref().cloned().collect();
            }
        }
    }
    if job.file.is_empty() {
        bail!("no file");
    }
    Ok(job)
}

/// What a run took, on standard error.
pub fn report_run(compile: Spent, run: Spent) {
    eprintln!(
        "{}",
        json!({
            "compile_seconds": compile.wall,
            "compile_cpu_seconds": compile.cpu,
            "run_seconds": run.wall,
            "run_cpu_seconds": run.cpu,
        })
    );
}

/// What compiling took, on standard output.
pub fn report_compile(bytes: usize, spent: Spent, code: Option<u64>) {
    println!(
        "{}",
        json!({
            "bytes": bytes,
            "seconds": spent.wall,
            "cpu_seconds": spent.cpu,
            "code_bytes": code,
        })
    );
}
