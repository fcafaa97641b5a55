//! The bound on every family of hostile modules, by counters alone.
//!
//! At growing sizes, work per byte must not grow, and memory and machine code per byte must stay
//! under what runwell promises. Memory is what the compiler has asked the allocator for, at the peak;
//! it is counted here, and the same on each machine.

use runwell_abi::{Arch, Features, Schedule, Target};
use runwell_bombs::families;
use runwell_compiler::{Error, Options, compile};
use std::collections::BTreeMap;

#[global_allocator]
static ALLOCATOR: runwell_heap::Counting = runwell_heap::Counting;

/// Sizes of the modules.
const SIZES: [usize; 3] = [16 << 10, 32 << 10, 64 << 10];
/// Growth of work per byte from one size to the next.
const DRIFT: f64 = 1.05;
/// Steps per byte that need not be the same at each size: sections cost two to three, and of some of
/// them a module may have only so much.
const FEW: f64 = 4.0;
/// Bytes of machine code per byte of module.
const CODE: f64 = 32.0;
/// Bytes of memory per byte of module, and what a small module may take besides: tables of the
/// compiler that do not depend on the module.
const MEMORY: f64 = 200.0;
const MEMORY_BASE: f64 = 512.0 * 1024.0;

/// The most of any budget that a function may use: where passes take their cheaper ways.
const SHARE: f64 = 0.5;

/// Families that do not keep the bound, and why. This table only ever gets shorter: a family that
/// keeps the bound must not be in it.
const KNOWN: &[(&str, &str)] = &[];

/// The same for metered code alone.
const KNOWN_METERED: &[(&str, &str)] = &[];

/// What is wrong with how a family is compiled, metered or not, at the first size where something is.
fn fault(make: fn(usize) -> Vec<u8>, metered: bool) -> Option<String> {
    // No optional instructions: the same code on each machine.
    let target = Target { arch: Arch::X64, features: Features::default() };
    let schedule = metered.then(Schedule::default);
    let options = Options { jobs: 1, schedule, ..Options::new(target) };
    let mut before = f64::INFINITY;
    for size in SIZES {
        let module = make(size);
        let bytes = module.len() as f64;
        let (outcome, memory) = runwell_heap::peak(|| compile(&module, &options));
        let report = match outcome {
            Ok(compiled) => compiled.report,
            Err(error @ Error::Limit { .. }) => return Some(error.to_string()),
            Err(error) => panic!("{error}"),
        };
        let memory = memory as f64;
        let work = report.work.total() as f64 / bytes;
        let code = report.code_bytes as f64 / bytes;
        if work > (before * DRIFT).max(FEW) {
            return Some(format!("{work:.2} steps per byte after {before:.2}, at {size}"));
        }
        if code > CODE {
            return Some(format!("{code:.1} bytes of code per byte, at {size}"));
        }
        if memory > MEMORY * bytes + MEMORY_BASE {
            let memory = memory / bytes;
            return Some(format!("{memory:.1} bytes of memory per byte, at {size}"));
        }
        for (resource, worst) in report.budgets() {
            if worst.share() > SHARE {
                let (name, share) = (resource.name(), 100.0 * worst.share());
                return Some(format!("{share:.0} % of the budget of {name}, at {size}"));
            }
        }
        before = work;
    }
    None
}

/// One test, since the count of memory is one of the whole process.
#[test]
fn every_family_keeps_the_bound() {
    let mut wrong = Vec::new();
    for metered in [false, true] {
        let also = if metered { KNOWN_METERED } else { &[] };
        let known: BTreeMap<&str, &str> = KNOWN.iter().chain(also).copied().collect();
        let way = if metered { "metered" } else { "plain" };
        for family in families() {
            let name = family.name;
            match (fault(family.make, metered), known.contains_key(name)) {
                (Some(fault), false) => wrong.push(format!("{name}, {way}: {fault}")),
                (Some(fault), true) => println!("known: {name}, {way}: {fault}"),
                (None, true) => wrong.push(format!("{name} is known no more, {way}, take it out")),
                _ => {}
            }
        }
        for name in known.keys() {
            if runwell_bombs::find(name).is_none() {
                wrong.push(format!("{name} is no family"));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}
