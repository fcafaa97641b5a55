//! What can be chosen about a compilation.

use crate::budget::Budget;
use crate::quote::CompileBudget;
use runwell_abi::{Schedule, Target};
use runwell_opt::Passes;

/// What can be chosen about a compilation. All but `jobs`, `timing`, `costs` and
/// `compile_budget` determine the image.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Options {
    /// For which machine.
    pub target: Target,
    /// Run every checker on every function: the IR verifier after each pass and the symbolic check
    /// of register allocation. Slower; a failure is [`crate::Error::Bug`].
    pub verify: bool,
    /// 32-bit memories lie in 4 GiB reservations with guards, so that accesses need no check.
    pub guarded_memories: bool,
    /// Charge fuel by this schedule.
    pub schedule: Option<Schedule>,
    /// Which machine-independent rewrites are made.
    pub passes: Passes,
    /// Leave NaNs as the processor makes them. Only for measuring what it costs not to: what guests
    /// compute then depends on the processor and on the compiler.
    pub raw_nans: bool,
    /// What compiling may cost.
    pub budget: Budget,
    /// What compiling may cost by the quote; decides whether there is an image, not what is in it.
    pub compile_budget: CompileBudget,
    /// How many threads compile; 0 means as many as the machine has.
    pub jobs: usize,
    /// Measure the time of each pass (costs a few clock reads per function).
    pub timing: bool,
    /// Keep what each function cost, see [`crate::Report::costs`].
    pub costs: bool,
}

impl Options {
    /// The defaults for `target`.
    pub fn new(target: Target) -> Options {
        Options {
            target,
            verify: false,
            guarded_memories: true,
            schedule: None,
            passes: Passes::ALL,
            raw_nans: false,
            budget: Budget::DEFAULT,
            compile_budget: CompileBudget::UNLIMITED,
            jobs: 0,
            timing: false,
            costs: false,
        }
    }
}
