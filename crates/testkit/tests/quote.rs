//! The quote is never exceeded: not by hostile families, not by generated modules, metered or not, with
//! guard pages or without, and neither in work nor in machine code nor in memory.
//!
//! Memory is what the compiler has asked the allocator for, at the peak, on one thread.
//! `RUNWELL_FUZZ_COUNT` and `RUNWELL_FUZZ_SEED` choose more modules, or others.

use runwell_abi::{Arch, Features, Schedule, Target};
use runwell_bombs::families;
use runwell_compiler::{Error, Options, compile, quote};
use runwell_testkit::{Nans, Rng, generate, program, storm, wide};
use std::collections::BTreeMap;

#[global_allocator]
static ALLOCATOR: runwell_heap::Counting = runwell_heap::Counting;

/// The way number `number` to compile.
fn options(number: u64) -> Options {
    let features = if number & 4 == 0 { Features(!0) } else { Features::default() };
    let mut options = Options::new(Target { arch: Arch::X64, features });
    options.jobs = 1;
    options.schedule = (number & 1 != 0).then(Schedule::default);
    options.guarded_memories = number & 2 == 0;
    options
}

/// Ways that differ in what is quoted, and the processor without extensions.
const WAYS: u64 = 8;

/// Families whose quote is exceeded: what a byte of them becomes is more than the table of costs has for
/// it. This list only ever gets shorter: a family whose quotes hold must not be in it.
const EXCEEDED: &[&str] = &[
    "brtable_carries",
    "brtable_carries_consts",
    "brtable_carries_down",
    "brtable_carries_floats",
    "brtable_carries_new",
    "brtable_live",
    "brtable_live_few",
    "brtable_loops",
    "dense_call_float",
    "dense_call_indirect",
    "dense_clz",
    "dense_clz32",
    "dense_convert_u64",
    "dense_sat_u64",
    "dense_table_get",
];

/// The figures of the quote, and how close each came to being exceeded.
#[derive(Default)]
struct Closest {
    modules: u64,
    functions: u64,
    refused: u64,
    /// Truth in parts of the quote.
    shares: [(f64, String); 3],
    wrong: Vec<String>,
}

impl Closest {
    fn note(&mut self, figure: usize, what: &str, quoted: u64, actual: u64, name: &str) {
        let share = actual as f64 / quoted.max(1) as f64;
        if share > self.shares[figure].0 {
            self.shares[figure] = (share, name.to_string());
        }
        if actual > quoted && self.wrong.len() < 4000 {
            self.wrong.push(format!("{name}: {actual} {what}, quoted {quoted}"));
        }
    }

    fn module(&mut self, name: &str, module: &[u8], way: u64) {
        let options = options(way);
        let name = format!("{name}, way {way}");
        let quoted = match quote(module, &options) {
            Ok(quoted) => quoted,
            Err(error) => {
                // What cannot be quoted is not compiled either, for the same reason.
                assert_eq!(compile(module, &options).unwrap_err(), error, "{name}");
                self.refused += 1;
                return;
            }
        };
        let (outcome, memory) = runwell_heap::peak(|| compile(module, &options));
        self.note(2, "bytes of memory", quoted.memory, memory as u64, &name);
        let compiled = match outcome {
            Ok(compiled) => compiled,
            Err(Error::Limit { .. } | Error::Unrepresentable { .. }) => {
                self.refused += 1;
                return;
            }
            Err(error) => panic!("{name}: {error}"),
        };
        let (report, image) = (&compiled.report, &compiled.image);
        self.modules += 1;
        self.note(0, "steps", quoted.work, report.work.total(), &name);
        self.note(1, "bytes of code", quoted.code_bytes, report.code_bytes, &name);
        assert_eq!(image.funcs.len(), quoted.functions.len());
        for (func, quoted) in image.funcs.iter().zip(&quoted.functions) {
            self.functions += 1;
            let code = u64::from(func.end - func.start);
            let name = format!("{name}, function {}", quoted.func);
            self.note(1, "bytes of code", quoted.code_bytes, code, &name);
        }
        let sum: u64 = quoted.functions.iter().map(|func| func.work).sum();
        assert!(sum <= quoted.work, "{name}: functions are quoted more work than their module");
    }
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// One test, since the count of memory is one of the whole process.
#[test]
fn no_quote_is_exceeded() {
    let mut closest = Closest::default();
    for family in families() {
        for (size, ways) in [(200, WAYS), (3 << 10, 4), (16 << 10, 2)] {
            let module = (family.make)(size);
            for way in 0..ways {
                closest.module(&format!("{} of {size}", family.name), &module, way);
            }
        }
    }
    let (count, first) = (number("RUNWELL_FUZZ_COUNT", 1500), number("RUNWELL_FUZZ_SEED", 0));
    for seed in first..first + count {
        let way = Rng(seed).below(WAYS);
        closest.module(&format!("storm {seed}"), &storm::module(seed), way);
        if let Some(module) = generate::from_seed(seed, Nans::Seen) {
            closest.module(&format!("smith {seed}"), &module, way);
        }
        if seed % 4 == 0 {
            closest.module(&format!("program {seed}"), &program::module(seed, Nans::Seen), way);
            let most = if seed % 8 == 0 { 24 } else { 1000 };
            let module = wide::Program::from_seed(seed, most).wasm();
            closest.module(&format!("wide {seed}"), &module, way);
        }
    }
    let Closest { modules, functions, refused, shares, wrong } = closest;
    println!("{modules} modules, {functions} functions, {refused} modules refused");
    for (figure, (share, name)) in ["work", "code", "memory"].iter().zip(&shares) {
        println!("{figure}: {share:.3} of the quote at the most, by {name}");
    }
    // By family, or kind of generated module: how often, and the first one.
    let mut by_kind: BTreeMap<&str, (usize, &str)> = BTreeMap::new();
    for wrong in &wrong {
        let kind = wrong.split(' ').next().unwrap_or_default();
        by_kind.entry(kind).or_insert((0, wrong)).0 += 1;
    }
    let quoted: Vec<&str> =
        EXCEEDED.iter().copied().filter(|name| by_kind.remove(name).is_none()).collect();
    assert!(quoted.is_empty(), "these are quoted, take them out: {quoted:?}");
    let new = by_kind.values().map(|(count, first)| format!("{count} times: {first}"));
    let new: Vec<String> = new.collect();
    assert!(new.is_empty(), "\n{}", new.join("\n"));
    // A quote that nothing comes near is no use.
    assert!(shares.iter().all(|&(share, _)| share > 0.3));
}
