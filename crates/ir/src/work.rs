//! The work meter: what compiling costs, in deterministic steps, and when it has cost enough.
//!
//! A step is one visit of one input-sized thing: an operator, an instruction, an operand, an edge,
//! a byte of output. Each loop over input-sized data charges one step per iteration, or a batch at
//! once. Steps are counted per pass, in release builds too, and never depend on time, threads or
//! addresses.
//!
//! A meter may have ceilings, see [`Shares`]. Each pass has a share of steps in proportion to the
//! size of its input; what earlier passes have left of theirs is added to it. With half of that
//! spent a pass that knows a cheaper way takes it ([`Work::is_spent`]), and counts that
//! ([`Work::fall_back`]); with all of it spent it stops ([`Work::check`]). A meter may also be stopped
//! from another thread ([`CancelToken`]).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A pass of the compiler, as far as the meter tells them apart.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Pass {
    /// Reading and validating everything of a module but its bodies.
    Parse,
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
    /// How many there are.
    pub const COUNT: usize = Pass::ALL.len();

    /// All passes in order, indexed by their discriminants.
    pub const ALL: [Pass; 9] = [
        Pass::Parse,
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
            Pass::Parse => "parse",
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

/// What a pass does with less because it would cost too much otherwise.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Fallback {
    /// Locals live in frame slots instead of in SSA values.
    Slots,
    /// From some point of a function on, values are made as the text says: not folded, not shared,
    /// not forwarded.
    Plain,
    /// At some blocks of a function, or from one on, few values may stay in registers between blocks.
    Lists,
    /// Merges of a function start with everything in memory.
    Merges,
}

impl Fallback {
    /// How many kinds there are.
    pub const COUNT: usize = Fallback::ALL.len();

    /// All kinds, indexed by their discriminants.
    pub const ALL: [Fallback; 4] =
        [Fallback::Slots, Fallback::Plain, Fallback::Lists, Fallback::Merges];

    /// The name in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Fallback::Slots => "locals in slots",
            Fallback::Plain => "values unshared",
            Fallback::Lists => "short live lists",
            Fallback::Merges => "merges in memory",
        }
    }
}

/// Steps spent, per pass.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default)]
pub struct Steps {
    spent: [u64; Pass::COUNT],
}

impl Steps {
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

    /// Steps spent by `pass` and those before it.
    #[inline]
    pub fn through(&self, pass: Pass) -> u64 {
        self.spent[..=pass as usize].iter().sum()
    }

    /// Adds what `other` has spent.
    pub fn add(&mut self, other: &Steps) {
        for (mine, theirs) in self.spent.iter_mut().zip(other.spent) {
            *mine += theirs;
        }
    }
}

/// How many steps each pass may spend: so many per unit of input, and so many besides.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Shares {
    /// Steps per unit of input, indexed by [`Pass`].
    pub per_unit: [u32; Pass::COUNT],
    /// Steps besides, indexed by [`Pass`].
    pub base: [u32; Pass::COUNT],
    /// Percent of what a pass and those before it may spend together, from which on it takes its
    /// cheaper way.
    pub cheaper_at: u32,
}

impl Shares {
    /// No steps for any pass.
    pub const NONE: Shares =
        Shares { per_unit: [0; Pass::COUNT], base: [0; Pass::COUNT], cheaper_at: 50 };
    /// No ceiling worth the name.
    pub const UNLIMITED: Shares = Shares {
        per_unit: [u32::MAX; Pass::COUNT],
        base: [u32::MAX; Pass::COUNT],
        cheaper_at: 100,
    };

    /// The share of `pass` of an input of `units`.
    pub const fn of(&self, pass: Pass, units: u64) -> u64 {
        (self.per_unit[pass as usize] as u64)
            .saturating_mul(units)
            .saturating_add(self.base[pass as usize] as u64)
    }

    /// The shares of `pass` and those before it.
    pub fn through(&self, pass: Pass, units: u64) -> u64 {
        let passes = &Pass::ALL[..=pass as usize];
        passes.iter().fold(0, |sum: u64, &pass| sum.saturating_add(self.of(pass, units)))
    }
}

/// Stops whoever watches it, from any thread. Clones are handles on the same one.
#[derive(Clone, Debug, Default)]
pub struct CancelToken(Arc<AtomicBool>);

impl CancelToken {
    /// A token that nobody has used yet.
    pub fn new() -> CancelToken {
        CancelToken::default()
    }

    /// Stops everybody who watches this token, now and later. There is no way back.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// True from the first call of [`CancelToken::cancel`] on.
    #[inline]
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Why a pass goes no further.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Stopped {
    /// Somebody said so.
    Cancelled,
    /// The passes up to this one have spent their shares.
    Spent {
        /// The pass.
        pass: Pass,
        /// What the passes up to it may spend.
        limit: u64,
    },
}

/// A meter: steps, ceilings, and whether to go on at all.
#[derive(Clone, Debug)]
pub struct Work {
    steps: Steps,
    /// Steps that a pass and those before it may spend before it takes its cheaper way, and at all.
    soft: [u64; Pass::COUNT],
    hard: [u64; Pass::COUNT],
    /// The size of the input for which the ceilings are.
    units: u64,
    fallbacks: [u32; Fallback::COUNT],
    cancel: Option<CancelToken>,
}

impl Default for Work {
    fn default() -> Work {
        Work::new()
    }
}

impl Work {
    /// A meter at zero, without ceilings.
    pub const fn new() -> Work {
        Work {
            steps: Steps { spent: [0; Pass::COUNT] },
            soft: [u64::MAX; Pass::COUNT],
            hard: [u64::MAX; Pass::COUNT],
            units: u64::MAX,
            fallbacks: [0; Fallback::COUNT],
            cancel: None,
        }
    }

    /// The same that stops when `cancel` says so.
    #[must_use]
    pub fn watching(cancel: Option<CancelToken>) -> Work {
        Work { cancel, ..Work::new() }
    }

    /// Goes back to zero. Ceilings and token stay.
    pub fn reset(&mut self) {
        self.steps = Steps::default();
        self.fallbacks = [0; Fallback::COUNT];
    }

    /// Sets the ceilings, for an input of `units`.
    pub fn limit(&mut self, shares: &Shares, units: u64) {
        self.units = units;
        let mut sum = 0u64;
        for pass in Pass::ALL {
            sum = sum.saturating_add(shares.of(pass, units));
            self.hard[pass as usize] = sum;
            self.soft[pass as usize] = match shares.cheaper_at {
                100.. => sum,
                percent => sum / 100 * u64::from(percent) + sum % 100 * u64::from(percent) / 100,
            };
        }
    }

    /// The size of the input, in the units of [`Work::limit`]: for what a pass may make of it besides
    /// steps. `u64::MAX` without ceilings.
    pub const fn units(&self) -> u64 {
        self.units
    }

    /// Charges `steps` to `pass`.
    #[inline]
    pub fn charge(&mut self, pass: Pass, steps: usize) {
        self.steps.charge(pass, steps);
    }

    /// Steps spent so far.
    pub const fn steps(&self) -> &Steps {
        &self.steps
    }

    /// Steps spent by `pass`.
    pub const fn spent(&self, pass: Pass) -> u64 {
        self.steps.spent(pass)
    }

    /// Steps spent by all passes.
    pub fn total(&self) -> u64 {
        self.steps.total()
    }

    /// True if `pass` should take its cheaper way from here on.
    #[inline]
    pub fn is_spent(&self, pass: Pass) -> bool {
        self.steps.through(pass) > self.soft[pass as usize]
    }

    /// Whether `pass` may go on. Loops that may be long ask every few thousand steps.
    ///
    /// # Errors
    /// When its share is spent, or somebody has cancelled.
    #[inline]
    pub fn check(&self, pass: Pass) -> Result<(), Stopped> {
        if self.cancel.as_ref().is_some_and(CancelToken::is_cancelled) {
            return Err(Stopped::Cancelled);
        }
        let limit = self.hard[pass as usize];
        if self.steps.through(pass) > limit {
            return Err(Stopped::Spent { pass, limit });
        }
        Ok(())
    }

    /// Counts `count` uses of a fallback.
    pub fn fall_back(&mut self, fallback: Fallback, count: u32) {
        let uses = &mut self.fallbacks[fallback as usize];
        *uses = uses.saturating_add(count);
    }

    /// Uses of fallbacks, indexed by [`Fallback`].
    pub const fn fallbacks(&self) -> &[u32; Fallback::COUNT] {
        &self.fallbacks
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_pass_leaves_the_next_one_may_use() {
        let mut shares = Shares::NONE;
        shares.per_unit[Pass::Scan as usize] = 10;
        shares.base[Pass::Scan as usize] = 4;
        shares.per_unit[Pass::Translate as usize] = 20;
        let mut work = Work::new();
        work.limit(&shares, 2);
        work.charge(Pass::Scan, 12);
        assert!(!work.is_spent(Pass::Scan));
        assert_eq!((work.units(), Work::new().units()), (2, u64::MAX));
        work.charge(Pass::Scan, 1);
        assert!(work.is_spent(Pass::Scan));
        assert_eq!(work.check(Pass::Scan), Ok(()));
        // Half of 24 and 40, less 13.
        work.charge(Pass::Translate, 19);
        assert!(!work.is_spent(Pass::Translate));
        work.charge(Pass::Translate, 32);
        assert!(work.is_spent(Pass::Translate));
        assert_eq!(work.check(Pass::Translate), Ok(()));
        work.charge(Pass::Translate, 1);
        let spent = Stopped::Spent { pass: Pass::Translate, limit: 64 };
        assert_eq!(work.check(Pass::Translate), Err(spent));
        work.reset();
        assert_eq!(work.check(Pass::Translate), Ok(()));
        assert_eq!(shares.through(Pass::Translate, 2), 64);
    }

    #[test]
    fn shares_saturate() {
        let mut work = Work::new();
        work.limit(&Shares::UNLIMITED, u64::MAX);
        work.charge(Pass::Emit, usize::MAX / 2);
        assert_eq!(work.check(Pass::Link), Ok(()));
        assert!(!work.is_spent(Pass::Emit));
    }

    #[test]
    fn a_token_stops_every_meter_that_watches_it() {
        let token = CancelToken::new();
        let works = [Work::watching(Some(token.clone())), Work::watching(Some(token.clone()))];
        assert!(works.iter().all(|work| work.check(Pass::Scan).is_ok()));
        token.cancel();
        assert!(works.iter().all(|work| work.check(Pass::Scan) == Err(Stopped::Cancelled)));
        assert_eq!(Work::new().check(Pass::Scan), Ok(()));
    }
}
