//! The whole suite in every way that may make no difference: metered or not, on one compile thread and on
//! several, compiled and from the cache, with each rewrite of the optimiser left out and all of them, with
//! every fallback of the compiler taken, with explicit checks of memory accesses, on the oldest processor,
//! and on threads of the host that round and flush in other ways.
//!
//! Every directive must come to the same, bit by bit and word by word, with the same fuel left behind it,
//! and every script must leave the same state. Where the options are the same the machine code is, too.

mod common;

use runwell::{Cache, CacheConfig, Config, Engine, Passes};
use runwell_compiler::Budget;
use runwell_wast::{Trace, with_script};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Results that are not zero are flushed.
const FLUSH: u32 = 0x8000;
/// Operands that are not zero are taken for zero.
const DENORMALS: u32 = 0x40;
const DOWN: u32 = 0x2000;
const UP: u32 = 0x4000;
const TO_ZERO: u32 = 0x6000;
/// The default: all exceptions masked, to nearest.
const MXCSR: u32 = 0x1f80;

/// One way to run the suite.
struct Variant {
    name: &'static str,
    engine: Engine,
    /// What is set in the control register of the host's thread.
    mode: u32,
    /// It compiles with the same options as the first one, so the code has to be the same.
    same_code: bool,
}

fn config() -> Config {
    let mut config = Config::new();
    config.consume_fuel(true).compile_jobs(1).image_key([7; 32]);
    config
}

fn variant(name: &'static str, change: impl FnOnce(&mut Config) -> &mut Config) -> Variant {
    let mut config = config();
    let engine = Engine::new(change(&mut config)).expect("an engine");
    Variant { name, engine, mode: 0, same_code: false }
}

fn same_code(variant: Variant) -> Variant {
    Variant { same_code: true, ..variant }
}

fn in_mode(name: &'static str, mode: u32) -> Variant {
    Variant { mode, ..same_code(variant(name, |config| config)) }
}

fn without(name: &'static str, change: fn(&mut Passes) -> &mut bool) -> Variant {
    let mut passes = Passes::ALL;
    *change(&mut passes) = false;
    variant(name, |config| config.optimizer_passes(passes))
}

/// A handle on a cache in an empty directory.
fn cache(directory: &Path) -> Cache {
    let mut config = CacheConfig::new();
    config.with_directory(directory).with_file_count_soft_limit(1 << 20);
    config.with_warnings(|warning| panic!("{warning}"));
    Cache::new(config).expect("a cache")
}

fn variants(cold: &Cache, warm: &Cache) -> Vec<Variant> {
    let mut thrifty = Budget::DEFAULT;
    thrifty.passes.cheaper_at = 0;
    vec![
        // What all others are compared with.
        same_code(variant("cold", |config| config.cache(Some(cold.clone())))),
        same_code(variant("from the cache", |config| config.cache(Some(warm.clone())))),
        same_code(variant("three compile threads", |config| config.compile_jobs(3))),
        in_mode("flushing, rounding down", FLUSH | DOWN),
        in_mode("denormals as zero, rounding up", DENORMALS | UP),
        in_mode("flushing both, rounding to zero", FLUSH | DENORMALS | TO_ZERO),
        without("without simplification", |passes| &mut passes.simplify),
        without("without value numbering", |passes| &mut passes.number),
        without("without forwarding", |passes| &mut passes.forward),
        without("with redundant parameters", |passes| &mut passes.params),
        variant("not optimised", |config| config.optimize(false)),
        variant("every fallback taken", |config| config.compile_ceilings(thrifty)),
        variant("explicit checks, oldest processor", |config| {
            config.guarded_memories(false).baseline_cpu(true)
        }),
        variant("not metered", |config| config.consume_fuel(false)),
    ]
}

/// Runs `act` on a thread in this mode, which has to be as it was behind it.
fn within<R>(mode: u32, act: impl FnOnce() -> R) -> R {
    let set = |mode: u32| {
        // SAFETY: masks all exceptions; nothing here computes floats of its own.
        unsafe { std::arch::asm!("ldmxcsr [{}]", in(reg) &mode, options(nostack, readonly)) };
    };
    let wanted = MXCSR | mode;
    set(wanted);
    let result = act();
    let mut found = 0u32;
    // SAFETY: reads the control register.
    unsafe { std::arch::asm!("stmxcsr [{}]", in(reg) &mut found, options(nostack)) };
    set(MXCSR);
    // The low bits say what has happened meanwhile.
    assert_eq!(found & 0xffc0, wanted & 0xffc0, "the host's mode is its own again");
    result
}

/// What differs between two traces, of the first step that does.
fn difference(base: &Trace, other: &Trace, variant: &Variant) -> Option<String> {
    let metered = variant.engine.config().consumes_fuel();
    for (wanted, found) in base.steps.iter().zip(&other.steps) {
        let line = found.line;
        if (found.passed, &found.seen) != (wanted.passed, &wanted.seen) {
            return Some(format!("{line}: {:?}, but it was {:?}", found.seen, wanted.seen));
        }
        if metered && found.fuel != wanted.fuel {
            return Some(format!(
                "{line}: fuel left {:?}, but it was {:?}",
                found.fuel, wanted.fuel
            ));
        }
    }
    if base.steps.len() != other.steps.len() || base.images.len() != other.images.len() {
        return Some("another number of directives or modules".to_string());
    }
    if metered && base.state != other.state {
        return Some(format!("the state is {:?}, but it was {:?}", other.state, base.state));
    }
    if variant.same_code {
        let differs = base.images.iter().zip(&other.images).position(|(a, b)| a != b);
        return differs.map(|at| format!("the image of module {at} is another one"));
    }
    None
}

#[test]
fn nothing_makes_a_difference() {
    let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("matrix-cache");
    _ = std::fs::remove_dir_all(&directory);
    let (cold, warm) = (cache(&directory), cache(&directory));
    let variants = variants(&cold, &warm);
    let (scripts, next) = (common::scripts(), AtomicUsize::new(0));
    let (failures, directives) = (Mutex::new(String::new()), AtomicUsize::new(0));
    let modules = AtomicUsize::new(0);
    let work = || {
        while let Some((name, file)) = scripts.get(next.fetch_add(1, Ordering::Relaxed)) {
            let all = with_script(file.raw(), |script| {
                let trace = |variant: &Variant| {
                    let trace = within(variant.mode, || script.trace(&variant.engine));
                    trace.expect("what scripts import")
                };
                let (first, others) = variants.split_first().expect("there are some");
                let base = trace(first);
                directives.fetch_add(base.steps.len(), Ordering::Relaxed);
                modules.fetch_add(base.images.len(), Ordering::Relaxed);
                for variant in others {
                    if let Some(what) = difference(&base, &trace(variant), variant) {
                        let mut failures = failures.lock().expect("no panic");
                        let _ = writeln!(failures, "{}: {name}:{what}", variant.name);
                    }
                }
            });
            all.expect("a script");
        }
    };
    std::thread::scope(|scope| {
        (0..2).for_each(|_| _ = scope.spawn(work));
    });
    let failures = failures.into_inner().expect("no panic");
    assert!(failures.is_empty(), "{failures}");
    let (directives, modules) = (directives.into_inner(), modules.into_inner());
    println!("{directives} directives, {modules} modules, in {} ways", variants.len());
    assert!(directives > 50_000 && modules > 2_000, "{directives} {modules}");
    // The second way really was the cache's; what is not there is invalid.
    assert!(warm.cache_hits() >= modules, "{} hits", warm.cache_hits());
    std::fs::remove_dir_all(&directory).expect("the cache is removed");
}

/// Decimal fractions are rounded when a script is read, whatever the thread's mode is.
#[test]
fn scripts_are_read_in_any_mode() {
    let engine = Engine::default();
    let floats = ["v3/const", "v3/f32", "v3/f64", "v3/float_literals", "v3/float_exprs"];
    let mut read = 0;
    for (name, file) in common::scripts() {
        if !floats.contains(&name.trim_end_matches(".wast")) {
            continue;
        }
        let run = |mode| within(mode, || runwell_wast::run(&engine, file.raw()).expect("a script"));
        assert_eq!(run(0), run(TO_ZERO | FLUSH | DENORMALS), "{name}");
        read += 1;
    }
    assert_eq!(read, floats.len());
}
