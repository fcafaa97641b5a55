//! The quote: upper bounds on what compiling a module costs, before it is compiled.
//!
//! A [`Survey`] counts what a body consists of, by the scan that translation itself begins with; a
//! table ([`table`]) says what each thing counted costs at the most, in steps, in bytes of machine code
//! and in bytes of memory. The sums are the quote: of each function, and with what belongs to the module
//! as a whole ([`module`]) of the module. They depend on the module's bytes and on two options (metering,
//! guard pages) and on nothing else, so that the same module is quoted the same on every machine.
//!
//! What is promised is that compiling never costs more. The tests hold the quote against what compiling
//! did cost, function by function, on hostile families, generated modules and real programs
//! (`testkit/tests/quote.rs`, `cargo xtask quote`), and each row of the table against the operator it is of.
//!
//! [`table::VERSION`] numbers the tables: figures may be charged to somebody, so a change of any of them,
//! or of what the scan counts, is a new version.
//!
//! # Complexity
//! O(bytes), a few nanoseconds each: at most a tenth of compiling.

mod calibrate;
mod module;
mod rows;
pub mod table;

pub use calibrate::Calibration;
pub use module::InstantiationCost;

use crate::error::Error;
use crate::options::Options;
use crate::schedule;
use runwell_wasm::survey::Survey;
use runwell_wasm::{Limits, Parsed};

/// Names of what a [`CompileBudget`] limits, in errors.
pub mod name {
    /// [`super::CompileBudget::work`].
    pub const WORK: &str = "quoted compile work";
    /// [`super::CompileBudget::memory`].
    pub const MEMORY: &str = "quoted compile memory";
    /// [`super::CompileBudget::code_bytes`].
    pub const CODE: &str = "quoted bytes of machine code";
}

/// What compiling may cost, by the quote. What is quoted above it is refused before anything is
/// compiled. The default is no limit.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Hash)]
pub struct CompileBudget {
    /// Steps of work, see [`Quote::work`].
    pub work: u64,
    /// Bytes of memory, see [`Quote::memory`].
    pub memory: u64,
    /// Bytes of machine code, see [`Quote::code_bytes`].
    pub code_bytes: u64,
}

impl Default for CompileBudget {
    fn default() -> CompileBudget {
        CompileBudget::UNLIMITED
    }
}

impl CompileBudget {
    /// No limit.
    pub const UNLIMITED: CompileBudget =
        CompileBudget { work: u64::MAX, memory: u64::MAX, code_bytes: u64::MAX };

    /// True if it limits something.
    pub fn is_limited(&self) -> bool {
        *self != CompileBudget::UNLIMITED
    }
}

/// Upper bounds for one function.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct FunctionQuote {
    /// Its index among all functions of the module, imported ones included.
    pub func: u32,
    /// Byte offset of its body in the module.
    pub offset: u32,
    /// Bytes of its body.
    pub body_bytes: u32,
    /// Steps of work.
    pub work: u64,
    /// Bytes of machine code, constants and jump tables included.
    pub code_bytes: u64,
    /// Bytes of memory that a thread needs while it compiles the function.
    pub memory: u64,
}

/// Upper bounds for a module.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Quote {
    /// Size of the module in bytes.
    pub module_bytes: u64,
    /// Steps of work, as [`crate::Report::work`] counts them.
    pub work: u64,
    /// Bytes of machine code, as [`crate::Report::code_bytes`] counts them.
    pub code_bytes: u64,
    /// Bytes of memory that compiling asks the allocator for, at the peak, on one thread. The module's
    /// own bytes are not among them.
    pub memory: u64,
    /// Bytes that each further thread adds to that at the most.
    pub memory_per_thread: u64,
    /// The functions that the module defines, in order.
    pub functions: Vec<FunctionQuote>,
}

impl Quote {
    /// Bytes of memory at the peak on this many threads, of which there is one at least.
    pub fn memory_on(&self, threads: u64) -> u64 {
        self.memory.saturating_add(self.memory_per_thread.saturating_mul(threads.saturating_sub(1)))
    }

    /// Checks the quote against a budget.
    ///
    /// # Errors
    /// [`Error::Limit`], with the function with which the sum goes over the budget; without one when
    /// that is over it before any function.
    fn fits(&self, budget: &CompileBudget) -> Result<(), Error> {
        type Figure = fn(&FunctionQuote) -> u64;
        let checks: [(_, u64, u64, Figure); 3] = [
            (name::WORK, budget.work, self.work, |func| func.work),
            (name::MEMORY, budget.memory, self.memory, |func| func.memory),
            (name::CODE, budget.code_bytes, self.code_bytes, |func| func.code_bytes),
        ];
        for (name, limit, quoted, of) in checks {
            if quoted <= limit {
                continue;
            }
            // What functions do not account for counts before them. Memory is used again from
            // function to function, so it is the largest one that matters.
            let at = if name == name::MEMORY {
                self.functions.iter().max_by_key(|func| (func.memory, std::cmp::Reverse(func.func)))
            } else {
                let own: u64 = self.functions.iter().map(of).sum();
                let mut sum = quoted - own;
                self.functions.iter().find(|func| {
                    sum += of(func);
                    sum > limit
                })
            };
            return Err(Error::Limit {
                name,
                limit,
                offset: at.map_or(0, |func| func.offset as usize),
                func: at.map(|func| func.func),
            });
        }
        Ok(())
    }
}

/// What compiling `bytes` with these options costs at the most.
///
/// Bodies are counted, not validated. Of one that is invalid, what can be read of it is quoted: the
/// compiler goes no further.
///
/// # Errors
/// When the module is invalid in what stands outside of bodies, or exceeds a limit there: compiling it
/// gives the same error.
///
/// # Complexity
/// O(bytes).
pub fn quote(bytes: &[u8], options: &Options) -> Result<Quote, Error> {
    Ok(of_parsed(bytes, &Parsed::parse(bytes, &Limits::default())?, options))
}

/// What each function that a module defines consists of, in order: what [`FunctionQuote`]s are computed from
/// by the rows of [`table::rows`]. For those who hold the tables against the truth.
///
/// # Errors
/// As [`quote`].
///
/// # Complexity
/// O(bytes).
pub fn counts(bytes: &[u8], options: &Options) -> Result<Vec<table::Counts>, Error> {
    let parsed = Parsed::parse(bytes, &Limits::default())?;
    let mut survey = Survey::new(&parsed.info);
    let count = |own| {
        let facts = survey.body(&parsed.info, bytes, own);
        table::Counts::of(&facts, options.guarded_memories)
    };
    Ok((0..parsed.info.bodies.len()).map(count).collect())
}

/// Refuses a module that is quoted above the budget of `options`.
pub(crate) fn check(bytes: &[u8], parsed: &Parsed, options: &Options) -> Result<(), Error> {
    if !options.compile_budget.is_limited() {
        return Ok(());
    }
    of_parsed(bytes, parsed, options).fits(&options.compile_budget)
}

fn of_parsed(bytes: &[u8], parsed: &Parsed, options: &Options) -> Quote {
    let table = table::Table::of(options.schedule.is_some());
    let info = &parsed.info;
    let mut survey = Survey::new(info);
    let mut functions = Vec::with_capacity(info.bodies.len());
    let mut sums = module::Sums::default();
    for (first, end) in schedule::batches(info.bodies.iter().map(|body| body.len())) {
        for own in first..end {
            let body = &info.bodies[own];
            let facts = survey.body(info, bytes, own);
            let cost = table.cost(&facts, options.guarded_memories);
            sums.add(&facts, &cost);
            functions.push(FunctionQuote {
                func: info.imported_funcs() + own as u32,
                offset: body.start,
                body_bytes: body.len() as u32,
                work: cost.work,
                code_bytes: cost.code,
                memory: cost.memory,
            });
        }
        sums.end_batch();
    }
    let mut total = sums.total(bytes.len() as u64, info, table);
    // Reading sections and names has a ceiling of its own.
    total.work += options.budget.module_parse.of(bytes.len() as u64);
    Quote {
        module_bytes: bytes.len() as u64,
        work: total.work,
        code_bytes: total.code,
        memory: total.memory,
        memory_per_thread: sums.per_thread(table),
        functions,
    }
}
