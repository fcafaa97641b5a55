//! Quotes held against what compiling does cost.
//!
//! Memory is what the compiler asks the allocator for, at the peak, on one thread: programs that want to
//! compare it install [`runwell_heap::Counting`].

use crate::chains;
use crate::sweep::{Case, Locals, MOST_COPIES};
use crate::{Nans, Rng, generate, program, storm, wide};
use runwell_abi::{Arch, Features, Schedule, Target};
use runwell_compiler::quote::{Quote, quote};
use runwell_compiler::{CompiledModule, Error, Options, compile};

/// Ways to compile that differ in what is quoted, each with the processor's extensions and without.
pub const WAYS: u64 = 8;

/// The way number `way` to compile: odd ones are metered.
pub fn options(way: u64) -> Options {
    let features = if way & 4 == 0 { Features(!0) } else { Features::default() };
    let mut options = Options::new(Target { arch: Arch::X64, features });
    options.jobs = 1;
    options.schedule = (way & 1 != 0).then(Schedule::default);
    options.guarded_memories = way & 2 == 0;
    options.costs = true;
    options
}

/// What is quoted of a module, and what it did cost.
pub struct Measured {
    /// The quote.
    pub quote: Quote,
    /// The module; none when a ceiling of the compiler refuses it.
    pub compiled: Option<CompiledModule>,
    /// Bytes of memory at the peak.
    pub memory: u64,
}

/// Compiles a module in a way. None when it cannot be quoted and is not compiled either, for the same
/// reason.
///
/// # Panics
/// When the two disagree, or the module is invalid.
pub fn measure(name: &str, module: &[u8], way: u64) -> Option<Measured> {
    let options = options(way);
    let quote = match quote(module, &options) {
        Ok(quote) => quote,
        Err(error) => {
            assert_eq!(compile(module, &options).unwrap_err(), error, "{name}");
            return None;
        }
    };
    let (outcome, memory) = runwell_heap::peak(|| compile(module, &options));
    let compiled = match outcome {
        Ok(compiled) => Some(compiled),
        Err(Error::Limit { .. } | Error::Unrepresentable { .. }) => None,
        Err(error) => panic!("{name}: {error}"),
    };
    Some(Measured { quote, compiled, memory: memory as u64 })
}

/// Generated modules that belong to a seed: their names, the modules, and ways to compile them.
pub fn generated(seed: u64) -> Vec<(String, Vec<u8>, u64)> {
    let way = Rng(seed).below(WAYS);
    let mut all = vec![(format!("storm {seed}"), storm::module(seed), way)];
    if let Some(module) = generate::from_seed(seed, Nans::Seen) {
        all.push((format!("smith {seed}"), module, way));
    }
    if seed.is_multiple_of(2) {
        let (name, chain) = chains::from_seed(seed);
        all.push((name, chain, way));
    }
    if seed.is_multiple_of(4) {
        all.push((format!("program {seed}"), program::module(seed, Nans::Seen), way));
        let most = if seed.is_multiple_of(8) { 24 } else { 1000 };
        all.push((format!("wide {seed}"), wide::Program::from_seed(seed, most).wasm(), way));
    }
    all
}

/// The figures of a quote.
pub const FIGURES: [&str; 3] = ["work", "code", "memory"];

/// How close quotes came to being exceeded, and where they were.
#[derive(Default)]
pub struct Closest {
    /// Modules compiled.
    pub modules: u64,
    /// Functions in them.
    pub functions: u64,
    /// Modules that were refused.
    pub refused: u64,
    /// The most that a truth was in parts of its quote, by [`FIGURES`].
    pub shares: [(f64, String); 3],
    /// What exceeded its quote, the first few hundred.
    pub wrong: Vec<String>,
    /// The first few modules that did.
    pub modules_wrong: Vec<Vec<u8>>,
}

impl Closest {
    fn note(&mut self, figure: usize, what: &str, quoted: u64, actual: u64, name: &str) {
        let share = actual as f64 / quoted.max(1) as f64;
        if share > self.shares[figure].0 {
            self.shares[figure] = (share, name.to_string());
        }
        if actual > quoted && self.wrong.len() < 400 {
            self.wrong.push(format!("{name}: {actual} {what}, quoted {quoted}"));
        }
    }

    /// Compares the quote of a module, and of each function in it, with the truth.
    ///
    /// # Panics
    /// When the module is invalid, or can be quoted and not compiled or the reverse.
    pub fn module(&mut self, name: &str, module: &[u8], way: u64) {
        let before = self.wrong.len();
        self.compare(name, module, way);
        if self.wrong.len() > before && self.modules_wrong.len() < 16 {
            self.modules_wrong.push(module.to_vec());
        }
    }

    fn compare(&mut self, name: &str, module: &[u8], way: u64) {
        let name = format!("{name}, way {way}");
        let Some(Measured { quote: quoted, compiled, memory }) = measure(&name, module, way) else {
            self.refused += 1;
            return;
        };
        self.note(2, "bytes of memory", quoted.memory, memory, &name);
        let Some(compiled) = compiled else {
            self.refused += 1;
            return;
        };
        let report = &compiled.report;
        self.modules += 1;
        self.note(0, "steps", quoted.work, report.work.total(), &name);
        self.note(1, "bytes of code", quoted.code_bytes, report.code_bytes, &name);
        assert_eq!(report.costs.len(), quoted.functions.len());
        for (cost, quoted) in report.costs.iter().zip(&quoted.functions) {
            self.functions += 1;
            let name = format!("{name}, function {}", quoted.func);
            self.note(0, "steps", quoted.work, cost.work, &name);
            self.note(1, "bytes of code", quoted.code_bytes, cost.code, &name);
        }
        let sum: u64 = quoted.functions.iter().map(|func| func.work).sum();
        assert!(sum <= quoted.work, "{name}: functions are quoted more work than their module");
    }

    /// Compares what one operator is quoted with what it costs: the difference that half of the copies
    /// of a case make. A function has room for a few operators that cost more; this has none.
    ///
    /// # Panics
    /// As [`Closest::module`].
    pub fn case(&mut self, case: &Case, way: u64) {
        self.copies(case, Locals::Many, way);
        self.copies(case, Locals::Few, way);
    }

    fn copies(&mut self, case: &Case, locals: Locals, way: u64) {
        let [few, many] = [MOST_COPIES / 2, MOST_COPIES].map(|copies| {
            let module = case.module(copies, locals);
            self.module(&format!("{copies} times {}, {locals:?}", case.name), &module, way);
            let measured = measure(&case.name, &module, way)?;
            let quoted = *measured.quote.functions.last()?;
            Some((quoted, *measured.compiled?.report.costs.last()?))
        });
        let (Some((few_quoted, few)), Some((many_quoted, many))) = (few, many) else {
            self.wrong.push(format!("{}: refused", case.name));
            return;
        };
        let name = format!("a copy of {}, {locals:?}, way {way}", case.name);
        // Where more copies are quoted less, locals have moved to slots, and only wholes can be compared.
        if let Some(work) = many_quoted.work.checked_sub(few_quoted.work) {
            self.note(0, "steps", work, many.work.saturating_sub(few.work), &name);
        }
        if let Some(code) = many_quoted.code_bytes.checked_sub(few_quoted.code_bytes) {
            self.note(1, "bytes of code", code, many.code.saturating_sub(few.code), &name);
        }
    }

    /// What was seen, in a few lines.
    pub fn summary(&self) -> String {
        let Closest { modules, functions, refused, shares, wrong, .. } = self;
        let mut text = format!(
            "{modules} modules, {functions} functions, {refused} modules refused, {} quotes exceeded\n",
            wrong.len()
        );
        for (figure, (share, name)) in FIGURES.iter().zip(shares) {
            text += &format!("{figure}: {share:.3} of the quote at the most, by {name}\n");
        }
        text
    }
}
