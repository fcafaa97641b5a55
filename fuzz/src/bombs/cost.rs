//! What compiling a module costs.

use runwell_abi::{Arch, Features, Schedule, Target};
use runwell_compiler::budget::name;
use runwell_compiler::{Error, Options, compile};
use rustix::time::{ClockId, clock_gettime};

/// Modules are looked at as if they were of so many bytes at least: the smallest for which runwell
/// promises a rate. What a few bytes cost once is no attack.
const LEAST_BYTES: usize = 16 << 10;
/// Memory that every module may take besides.
const MEMORY_BASE: u64 = 512 << 10;

/// How modules are compiled: what differs in the code that comes of the same operators.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) enum Way {
    /// As an engine does that was told nothing, on a processor without extensions.
    Plain,
    /// The same with fuel.
    Metered,
    /// With fuel and explicit checks of all memories, on a processor with all extensions.
    Checked,
}

impl Way {
    pub(super) const ALL: [Way; 3] = [Way::Plain, Way::Metered, Way::Checked];

    pub(super) fn name(self) -> &'static str {
        match self {
            Way::Plain => "plain",
            Way::Metered => "metered",
            Way::Checked => "checked",
        }
    }

    fn options(self) -> Options {
        // The same code on each machine.
        let features = if self == Way::Checked { Features(!0) } else { Features::default() };
        let mut options = Options::new(Target { arch: Arch::X64, features });
        options.jobs = 1;
        options.guarded_memories = self != Way::Checked;
        options.schedule = (self != Way::Plain).then(Schedule::default);
        options
    }
}

/// The figures of one module.
#[derive(Copy, Clone, Default, Debug)]
pub(super) struct Cost {
    pub(super) bytes: usize,
    pub(super) work: u64,
    pub(super) memory: u64,
    pub(super) code: u64,
    pub(super) nanos: f64,
    /// The largest part of a budget that a function used.
    pub(super) share: f64,
}

/// What is compared.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) enum Board {
    Work,
    Memory,
    Code,
    /// Parts of budgets: from a half on, passes take their cheaper ways.
    Share,
    Time,
    /// Time per unit of work: what is done and not charged.
    Slack,
}

impl Board {
    pub(super) const ALL: [Board; 6] =
        [Board::Work, Board::Memory, Board::Code, Board::Share, Board::Time, Board::Slack];

    pub(super) fn name(self) -> &'static str {
        match self {
            Board::Work => "work",
            Board::Memory => "memory",
            Board::Code => "code",
            Board::Share => "share",
            Board::Time => "time",
            Board::Slack => "slack",
        }
    }

    pub(super) fn unit(self) -> &'static str {
        match self {
            Board::Work => "steps per byte",
            Board::Memory => "bytes of memory per byte",
            Board::Code => "bytes of machine code per byte",
            Board::Share => "of a budget",
            Board::Time => "ns per byte",
            Board::Slack => "ns per step",
        }
    }

    /// True if it is the same on each machine and in each run.
    pub(super) fn counted(self) -> bool {
        !matches!(self, Board::Time | Board::Slack)
    }

    /// What runwell promises at the most, where it promises a figure.
    pub(super) fn bound(self) -> f64 {
        match self {
            Board::Memory => 200.0,
            Board::Code => 32.0,
            Board::Time => 1000.0,
            // Of a budget, all may be used; what wants more is refused.
            Board::Work | Board::Share | Board::Slack => f64::INFINITY,
        }
    }

    pub(super) fn score(self, cost: &Cost) -> f64 {
        let bytes = cost.bytes.max(LEAST_BYTES) as f64;
        match self {
            Board::Work => cost.work as f64 / bytes,
            Board::Memory => cost.memory.saturating_sub(MEMORY_BASE) as f64 / bytes,
            Board::Code => cost.code as f64 / bytes,
            Board::Share => cost.share,
            Board::Time => cost.nanos / bytes,
            Board::Slack => cost.nanos / (cost.work.max(LEAST_BYTES as u64) as f64),
        }
    }
}

/// What came of a module that the validator takes.
pub(super) enum Outcome {
    Cost(Cost),
    /// Refused by the limit of this name.
    Limit(&'static str),
    /// A bug.
    Fault(String),
}

/// True if a limit of this name is one on what compiling costs: nothing valid is to reach it.
pub(super) fn is_of_cost(limit: &str) -> bool {
    const COSTS: [&str; 6] = [
        name::MEMORY,
        name::CODE,
        name::MODULE_WORK,
        name::MODULE_CODE,
        name::MODULE_IMAGE,
        runwell_wasm::WORK,
    ];
    COSTS.contains(&limit)
}

fn thread_nanos() -> f64 {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    now.tv_sec as f64 * 1e9 + now.tv_nsec as f64
}

/// Compiles a module once.
pub(super) fn measure(module: &[u8], way: Way) -> Outcome {
    let options = way.options();
    let clock = thread_nanos();
    let (outcome, memory) =
        runwell_heap::peak(|| crate::case::quietly(|| compile(module, &options)));
    let nanos = thread_nanos() - clock;
    match outcome {
        Err(panic) => Outcome::Fault(format!("panic: {panic}")),
        Ok(Err(Error::Limit { name, .. })) => Outcome::Limit(name),
        Ok(Err(error)) => Outcome::Fault(error.to_string()),
        Ok(Ok(compiled)) => Outcome::Cost(Cost {
            bytes: module.len(),
            work: compiled.report.work.total(),
            memory: memory as u64,
            code: compiled.report.code_bytes,
            nanos,
            share: compiled.report.budgets().map(|(_, worst)| worst.share()).fold(0.0, f64::max),
        }),
    }
}

/// The same, with the shortest of several times.
pub(super) fn measure_again(module: &[u8], way: Way, mut cost: Cost, rounds: usize) -> Cost {
    for _ in 0..rounds {
        if let Outcome::Cost(again) = measure(module, way) {
            cost.nanos = cost.nanos.min(again.nanos);
        }
    }
    cost
}
