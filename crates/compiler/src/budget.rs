//! What compiling may cost: ceilings in proportion to the size of the input, in release builds too.
//!
//! The size of a function is the bytes of its body, that of a module its bytes. For both there are
//! ceilings on steps of work, memory and machine code, each so much per byte and so much besides.
//!
//! Every pass is linear by construction, and its documentation says why; the ceilings turn what is
//! said there into something that is enforced. When half of what a pass and those before it may spend
//! is spent, it takes its cheaper way if it has one ([`Fallback`]). What is over a ceiling is refused by
//! [`crate::Error::Limit`], which names the ceiling, the function and where it is. Figures are sums of
//! numbers that depend on one function each, added in the order of functions, so that neither threads
//! nor machines change what is refused or how.
//!
//! [`Fallback`]: runwell_ir::work::Fallback

use runwell_ir::work::{Pass, Shares, Steps};
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

/// An amount per unit of input, and an amount besides.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Ceiling {
    /// Per unit.
    pub per_unit: u64,
    /// Besides.
    pub base: u64,
}

impl Ceiling {
    /// The most for an input of `units`.
    pub const fn of(self, units: u64) -> u64 {
        self.per_unit.saturating_mul(units).saturating_add(self.base)
    }
}

/// All ceilings.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Budget {
    /// Steps that each pass may spend on a function, by bytes.
    pub passes: Shares,
    /// Bytes of data that the passes may make of a function, by bytes.
    pub memory: Ceiling,
    /// Bytes of machine code of a function, constants and jump tables included, by bytes.
    pub code: Ceiling,
    /// Steps that all passes may spend on a module, by bytes.
    pub module_work: Ceiling,
    /// Steps of them for everything but bodies.
    pub module_parse: Ceiling,
    /// Bytes of machine code of a module.
    pub module_code: Ceiling,
    /// Bytes of a module's machine code and the tables that belong to it.
    pub module_image: Ceiling,
}

const fn shares(of: [(Pass, u32, u32); 7]) -> Shares {
    let mut shares = Shares::NONE;
    let mut at = 0;
    while at < of.len() {
        let (pass, per_unit, base) = of[at];
        shares.per_unit[pass as usize] = per_unit;
        shares.base[pass as usize] = base;
        at += 1;
    }
    shares
}

impl Budget {
    /// The published ceilings. `docs/bounds.md` has them beside what is measured.
    pub const DEFAULT: Budget = Budget {
        passes: shares([
            (Pass::Scan, 20, 512),
            (Pass::Translate, 40, 2048),
            (Pass::Optimize, 20, 1024),
            (Pass::Lower, 60, 2048),
            (Pass::Liveness, 100, 2048),
            (Pass::Allocate, 100, 4096),
            (Pass::Emit, 60, 4096),
        ]),
        memory: Ceiling { per_unit: 800, base: 64 << 10 },
        code: Ceiling { per_unit: 64, base: 4 << 10 },
        module_work: Ceiling { per_unit: 400, base: 1 << 18 },
        module_parse: Ceiling { per_unit: 8, base: 1 << 12 },
        module_code: Ceiling { per_unit: 64, base: 64 << 10 },
        module_image: Ceiling { per_unit: 160, base: 128 << 10 },
    };
}

impl Default for Budget {
    fn default() -> Budget {
        Budget::DEFAULT
    }
}

/// Names of ceilings, in errors.
pub mod name {
    /// On what the passes make of a function.
    pub const MEMORY: &str = "bytes of memory for a function";
    /// On a function's code.
    pub const CODE: &str = "bytes of machine code of a function";
    /// On all steps.
    pub const MODULE_WORK: &str = "steps of work on the module";
    /// On all code.
    pub const MODULE_CODE: &str = "bytes of machine code of the module";
    /// On all code and tables.
    pub const MODULE_IMAGE: &str = "bytes of code and tables of the module";
}

/// What one function adds to its module.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Figures {
    pub(crate) work: u64,
    pub(crate) code: u64,
    pub(crate) image: u64,
}

/// A ceiling of the module is exceeded.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) struct Over {
    pub(crate) name: &'static str,
    pub(crate) limit: u64,
    /// The own function with which the sum went over it.
    pub(crate) own: usize,
}

/// Adds up what functions cost, in their order whatever the order in which they are compiled.
#[derive(Debug)]
pub(crate) struct Ledger {
    limits: [(&'static str, u64); 3],
    over: AtomicBool,
    sums: Mutex<Sums>,
}

#[derive(Debug, Default)]
struct Sums {
    sum: Figures,
    /// The next batch to be added, and its first function.
    batch: usize,
    own: usize,
    /// Batches that came too early.
    early: BTreeMap<usize, Vec<Figures>>,
    over: Option<Over>,
}

impl Ledger {
    /// For a module of `bytes`, on which `before` has been spent.
    pub(crate) fn new(budget: &Budget, bytes: u64, before: &Steps) -> Ledger {
        let sum = Figures { work: before.total(), ..Figures::default() };
        Ledger {
            limits: [
                (name::MODULE_WORK, budget.module_work.of(bytes)),
                (name::MODULE_CODE, budget.module_code.of(bytes)),
                (name::MODULE_IMAGE, budget.module_image.of(bytes)),
            ],
            over: AtomicBool::new(false),
            sums: Mutex::new(Sums { sum, ..Sums::default() }),
        }
    }

    /// True if a ceiling is exceeded, whatever else is still to come.
    pub(crate) fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    /// Adds the functions of a batch, when those before it have been added. O(functions), amortised.
    pub(crate) fn add(&self, batch: usize, figures: Vec<Figures>) {
        let Ok(mut sums) = self.sums.lock() else { return };
        sums.early.insert(batch, figures);
        while let Some(figures) = {
            let next = sums.batch;
            sums.early.remove(&next)
        } {
            for figures in &figures {
                let own = sums.own;
                let sum = &mut sums.sum;
                sum.work = sum.work.saturating_add(figures.work);
                sum.code = sum.code.saturating_add(figures.code);
                sum.image = sum.image.saturating_add(figures.image);
                let used = [sum.work, sum.code, sum.image];
                let excess = self.limits.iter().zip(used).find(|&(&(_, limit), used)| used > limit);
                if let (Some((&(name, limit), _)), None) = (excess, sums.over) {
                    sums.over = Some(Over { name, limit, own });
                    self.over.store(true, Ordering::Relaxed);
                }
                sums.own += 1;
            }
            sums.batch += 1;
        }
    }

    /// The ceiling that is exceeded, if one is.
    pub(crate) fn over(&self) -> Option<Over> {
        self.sums.lock().ok()?.over
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_batches_does_not_matter() {
        let batches: Vec<Vec<Figures>> = (0..6u64)
            .map(|batch| {
                (0..3).map(|i| Figures { work: batch * 3 + i, code: 1, image: 2 }).collect()
            })
            .collect();
        let budget = Budget { module_work: Ceiling { per_unit: 0, base: 60 }, ..Budget::DEFAULT };
        for order in [[0, 1, 2, 3, 4, 5], [5, 4, 3, 2, 1, 0], [1, 0, 5, 2, 4, 3]] {
            let ledger = Ledger::new(&budget, 0, &Steps::default());
            for batch in order {
                ledger.add(batch, batches[batch].clone());
            }
            // 0 + 1 + ... + 11 is 66.
            let over = Over { name: name::MODULE_WORK, limit: 60, own: 11 };
            assert_eq!(ledger.over(), Some(over));
            assert!(ledger.is_over());
        }
    }

    #[test]
    fn what_lies_behind_a_gap_does_not_count() {
        let budget = Budget { module_code: Ceiling { per_unit: 1, base: 0 }, ..Budget::DEFAULT };
        let ledger = Ledger::new(&budget, 10, &Steps::default());
        let one = |code| vec![Figures { work: 0, code, image: 0 }];
        ledger.add(2, one(100));
        ledger.add(0, one(10));
        assert!(!ledger.is_over() && ledger.over().is_none());
        ledger.add(1, one(0));
        assert_eq!(ledger.over().map(|over| (over.name, over.own)), Some((name::MODULE_CODE, 2)));
    }
}
