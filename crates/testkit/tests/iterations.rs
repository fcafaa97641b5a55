//! Do the steps that are charged keep up with what is executed?
//!
//! Run by `cargo xtask iterations`, which builds everything (the libraries that the compiler uses, too)
//! with the counters of source coverage: every region of code counts how often it was entered, loop
//! bodies and closures among them. Nobody has to remember to count, so a loop that somebody forgot to
//! charge shows. For every family of hostile modules, at two sizes, and for ordinary modules:
//!
//! - no region is entered more often than [`REGION`] times per step charged, all regions together no
//!   more than [`ALL`] times;
//! - from the smaller size to the larger one no region's count grows faster than the module, but for
//!   [`GROWTH`]. What is not linear is seen here whether or not it is charged.
//!
//! What this does not see: loops inside of the standard library, which comes without counters. Where
//! they call closures of ours (iterators, sorting by a key) they count, where they move bytes (copies,
//! fills, hashing, sorting of plain numbers) they do not.

mod counters;

use counters::Counts;
use runwell_abi::{Arch, Features, Target};
use runwell_bombs::families;
use runwell_compiler::{Options, compile};
use runwell_testkit::{Nans, generate, program};

/// Entries of one region per step. A register or operand may be looked at several times in one step.
const REGION: f64 = 16.0;
/// Entries of all regions per step.
const ALL: f64 = 160.0;
/// How much faster than the module's size a count may grow from one size to one four times as large.
const GROWTH: f64 = 1.3;
const SIZES: [usize; 2] = [16 << 10, 64 << 10];
/// Counts per byte, below which growth says nothing.
const RARE: f64 = 0.25;
/// Steps that a module costs at least: tables of the compiler that do not depend on it.
const BASE: u64 = 20_000;

/// Compiles a module: counts, steps, bytes; none when it is refused.
fn count(module: &[u8]) -> Option<(Counts, u64, f64)> {
    let target = Target { arch: Arch::X64, features: Features::default() };
    let options = Options { jobs: 1, ..Options::new(target) };
    counters::restart();
    let outcome = compile(module, &options);
    let counts = Counts::now();
    let steps = outcome.ok()?.report.work.total() + BASE;
    Some((counts, steps, module.len() as f64))
}

/// What is wrong between counts and steps.
fn faults(name: &str, counts: &Counts, steps: u64, wrong: &mut Vec<String>) {
    let all = counts.total() as f64 / steps as f64;
    if all > ALL {
        wrong.push(format!("{name}: {all:.1} entries of regions per step"));
    }
    let (region, most) = counts.most();
    let most = most as f64 / steps as f64;
    if most > REGION {
        let region = counters::name(region);
        wrong.push(format!("{name}: {most:.1} entries per step of a region of {region}"));
    }
    if std::env::var_os("RUNWELL_VERBOSE").is_some() {
        println!("{name:<24} {all:>7.1} {most:>7.2} {}", counters::name(region));
    }
}

#[test]
fn steps_keep_up() {
    let mut wrong = Vec::new();
    for family in families() {
        let mut before: Option<(Counts, f64)> = None;
        for size in SIZES {
            let module = (family.make)(size);
            // Once more, so that what grows once and is kept does not count.
            let _ = count(&module);
            let Some((counts, steps, bytes)) = count(&module) else { continue };
            faults(family.name, &counts, steps, &mut wrong);
            if let Some((small, small_bytes)) = &before {
                for (region, (few, many)) in small.pairs(&counts).enumerate() {
                    let (few, many) = (few as f64 / small_bytes, many as f64 / bytes);
                    if many > RARE && many > GROWTH * few {
                        let (name, region) = (family.name, counters::name(region));
                        let what = format!("{few:.2} and then {many:.2} entries per byte");
                        wrong.push(format!("{name}: {what} of a region of {region}"));
                    }
                }
            }
            before = Some((counts, bytes));
        }
    }
    for seed in 0..60 {
        let module = match seed % 2 {
            0 => Some(program::module(seed, Nans::Seen)),
            _ => generate::from_seed(seed, Nans::Seen),
        };
        if let Some((counts, steps, _)) = module.as_deref().and_then(count) {
            faults(&format!("module {seed}"), &counts, steps, &mut wrong);
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}
