//! The work meter: what compiling costs, in deterministic steps.
//!
//! A step is one visit of one input-sized thing: an operator, an instruction, an operand, an edge,
//! a byte of output. Each loop over input-sized data charges one step per iteration, or a batch at
//! once. Steps are counted per pass, in release builds too, and never depend on time, threads or
//! addresses.

/// A pass of the compiler, as far as the meter tells them apart.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Pass {
    /// Facts about a body, collected before translation.
    Scan,
    /// Decoding, validation and SSA construction with folding and value numbering.
    Translate,
    /// Passes over the finished SSA function.
    Optimize,
    /// Instruction selection.
    Lower,
    /// Liveness and next uses.
    Liveness,
    /// Register allocation.
    Allocate,
    /// Encoding and layout.
    Emit,
    /// Concatenating functions and patching calls.
    Link,
}

impl Pass {
    /// All passes, indexed by their discriminants.
    pub const ALL: [Pass; 8] = [
        Pass::Scan,
        Pass::Translate,
        Pass::Optimize,
        Pass::Lower,
        Pass::Liveness,
        Pass::Allocate,
        Pass::Emit,
        Pass::Link,
    ];

    /// The name in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Pass::Scan => "scan",
            Pass::Translate => "translate",
            Pass::Optimize => "optimize",
            Pass::Lower => "lower",
            Pass::Liveness => "liveness",
            Pass::Allocate => "allocate",
            Pass::Emit => "emit",
            Pass::Link => "link",
        }
    }
}

/// Steps spent, per pass.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default)]
pub struct Work {
    spent: [u64; Pass::ALL.len()],
}

impl Work {
    /// A meter at zero.
    pub const fn new() -> Work {
        Work { spent: [0; Pass::ALL.len()] }
    }

    /// Charges `steps` to `pass`.
    #[inline]
    pub fn charge(&mut self, pass: Pass, steps: usize) {
        self.spent[pass as usize] += steps as u64;
    }

    /// Steps spent by `pass`.
    pub const fn spent(&self, pass: Pass) -> u64 {
        self.spent[pass as usize]
    }

    /// Steps spent by all passes.
    pub fn total(&self) -> u64 {
        self.spent.iter().sum()
    }

    /// What has been spent since `earlier`, a former state of this meter.
    #[must_use]
    pub fn since(&self, earlier: &Work) -> Work {
        let mut work = *self;
        for (mine, theirs) in work.spent.iter_mut().zip(earlier.spent) {
            *mine -= theirs;
        }
        work
    }

    /// Adds what `other` has spent.
    pub fn add(&mut self, other: &Work) {
        for (mine, theirs) in self.spent.iter_mut().zip(other.spent) {
            *mine += theirs;
        }
    }
}
