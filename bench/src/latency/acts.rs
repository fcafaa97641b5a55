//! What is timed and how: the same for all engines, in whichever program they are.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

/// Something whose time is taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Act {
    Instantiate,
    InstantiateAndWrite,
    TypedCall,
    UntypedCall,
    HostCall,
    HostCallIndependent,
    LoadedCallSmall,
    LoadedCallLarge,
    CompiledCallSmall,
    CompiledCallLarge,
}

/// The clock of a measurement.
#[derive(Clone, Copy)]
pub struct Timer {
    cpu: bool,
    start: Instant,
}

impl Timer {
    /// Seconds, of this process or elapsed.
    pub fn now(self) -> f64 {
        if self.cpu { cpu() } else { self.start.elapsed().as_secs_f64() }
    }
}

/// Bytes that an instance takes while nobody calls it.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Idle {
    /// In memory.
    pub resident: f64,
    /// Page tables of the kernel.
    pub tables: f64,
}

/// Processor seconds of this process, all threads, user and system.
fn cpu() -> f64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a timespec of ours, which the call fills.
    unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut time) };
    time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
}

/// What a process of the measurement is asked for.
pub struct Task {
    pub timer: Timer,
    /// Memory of idle instances; else times.
    pub idle: bool,
    /// Where images go.
    pub dir: PathBuf,
}

/// The command line of [`Task::parse`].
pub const USAGE: &str = "times|idle cpu|wall DIRECTORY";

impl Task {
    /// # Errors
    /// When the arguments are not those of [`USAGE`], or the directory cannot be made.
    pub fn parse(args: &[String]) -> Result<Task> {
        let [what, clock, dir] = args else { bail!("usage: {USAGE}") };
        std::fs::create_dir_all(dir).with_context(|| format!("cannot make {dir}"))?;
        let timer = Timer { cpu: clock == "cpu", start: Instant::now() };
        Ok(Task { timer, idle: what == "idle", dir: dir.into() })
    }
}

/// Instances that are alive at once when the memory of each is taken.
pub const ALIVE: usize = 10_000;

/// Bytes of this process that are in memory, and of its page tables.
pub fn resident() -> (u64, u64) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim().trim_end_matches(" kB").parse::<u64>().ok()
    };
    (field("VmRSS:").unwrap_or(0) * 1024, field("VmPTE:").unwrap_or(0) * 1024)
}
