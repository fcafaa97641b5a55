//! What compiling a module costs.

use runwell_abi::{Arch, Features, Schedule, Target};
use runwell_compiler::budget::name;
use runwell_compiler::{Error, Options, Resource, compile};
use runwell_ir::work::Pass;
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
    /// Steps of each pass.
    pub(super) passes: [u64; Pass::COUNT],
    /// The largest part of each budget that a function used, in the order of `Resource::ALL`.
    pub(super) shares: [f64; Resource::COUNT],
}

/// What is compared.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) enum Board {
    Work,
    Memory,
    Code,
    Time,
    /// Time per unit of work: what is done and not charged.
    Slack,
    /// Work of one pass: what is much there need not be much of all.
    Pass(Pass),
    /// Part of a budget: from a half on, passes take their cheaper ways.
    Share(Resource),
}

impl Board {
    /// All of them, the ones about what is promised first.
    pub(super) fn all() -> Vec<Board> {
        let mut all = vec![Board::Work, Board::Memory, Board::Code, Board::Time, Board::Slack];
        all.extend(Pass::ALL.map(Board::Pass));
        all.extend(Resource::ALL.map(Board::Share));
        all
    }

    pub(super) fn name(self) -> String {
        match self {
            Board::Work => "work".into(),
            Board::Memory => "memory".into(),
            Board::Code => "code".into(),
            Board::Time => "time".into(),
            Board::Slack => "slack".into(),
            Board::Pass(pass) => format!("pass-{}", pass.name()),
            Board::Share(resource) => format!("share-{}", resource.name()),
        }
    }

    pub(super) fn unit(self) -> &'static str {
        match self {
            Board::Work | Board::Pass(_) => "steps per byte",
            Board::Memory => "bytes of memory per byte",
            Board::Code => "bytes of machine code per byte",
            Board::Time => "ns per byte",
            Board::Slack => "ns per step",
            Board::Share(_) => "of a budget",
        }
    }

    /// True if it is the same on each machine and in each run.
    pub(super) fn counted(self) -> bool {
        !matches!(self, Board::Time | Board::Slack)
    }

    /// True for what is part of another figure: fewer modules are kept for it.
    pub(super) fn is_part(self) -> bool {
        matches!(self, Board::Pass(_) | Board::Share(_))
    }

    /// What runwell promises at the most, where it promises a figure.
    pub(super) fn bound(self) -> f64 {
        match self {
            Board::Memory => 200.0,
            Board::Code => 32.0,
            Board::Time => 1000.0,
            // Of a budget, all may be used; what wants more is refused.
            Board::Work | Board::Slack | Board::Pass(_) | Board::Share(_) => f64::INFINITY,
        }
    }

    pub(super) fn score(self, cost: &Cost) -> f64 {
        let bytes = cost.bytes.max(LEAST_BYTES) as f64;
        match self {
            Board::Work => cost.work as f64 / bytes,
            Board::Memory => cost.memory.saturating_sub(MEMORY_BASE) as f64 / bytes,
            Board::Code => cost.code as f64 / bytes,
            Board::Time => cost.nanos / bytes,
            Board::Slack => cost.nanos / (cost.work.max(LEAST_BYTES as u64) as f64),
            Board::Pass(pass) => cost.passes[pass as usize] as f64 / bytes,
            Board::Share(resource) => {
                let at = Resource::ALL.iter().position(|&other| other == resource);
                cost.shares[at.unwrap_or(0)]
            }
        }
    }
}

/// What came of a module.
pub(super) enum Outcome {
    Cost(Cost),
    /// It is not valid, or uses what is not implemented.
    Refused(String),
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

/// Time that this thread has run, in nanoseconds.
pub(super) fn thread_nanos() -> f64 {
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
        Ok(Err(error @ (Error::Invalid { .. } | Error::Unsupported { .. }))) => {
            Outcome::Refused(error.to_string())
        }
        Ok(Err(error)) => Outcome::Fault(error.to_string()),
        Ok(Ok(compiled)) => Outcome::Cost(Cost {
            bytes: module.len(),
            work: compiled.report.work.total(),
            memory: memory as u64,
            code: compiled.report.code_bytes,
            nanos,
            passes: Pass::ALL.map(|pass| compiled.report.work.spent(pass)),
            shares: compiled.report.worst.map(|worst| worst.share()),
        }),
    }
}

/// The same, with the shortest of several times, as long as `wanted` says of it that it matters.
pub(super) fn measure_again(
    module: &[u8],
    way: Way,
    mut cost: Cost,
    rounds: usize,
    wanted: impl Fn(&Cost) -> bool,
) -> Cost {
    for _ in 0..rounds {
        if !wanted(&cost) {
            break;
        }
        if let Outcome::Cost(again) = measure(module, way) {
            cost.nanos = cost.nanos.min(again.nanos);
        }
    }
    cost
}
