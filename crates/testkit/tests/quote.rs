//! The quote is never exceeded: not by hostile families, not by generated modules, metered or not, with
//! guard pages or without, and neither in work nor in machine code nor in memory. And not by any operator
//! where it costs most.
//!
//! Memory is what the compiler has asked the allocator for, at the peak, on one thread.
//! `RUNWELL_FUZZ_COUNT` and `RUNWELL_FUZZ_SEED` choose more modules, or others; `cargo xtask quote --fuzz`
//! does more in less time.

use runwell_bombs::families;
use runwell_testkit::chains;
use runwell_testkit::quotes::{Closest, WAYS, generated};
use runwell_testkit::sweep;

#[global_allocator]
static ALLOCATOR: runwell_heap::Counting = runwell_heap::Counting;

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
    let (count, first) = (number("RUNWELL_FUZZ_COUNT", 1000), number("RUNWELL_FUZZ_SEED", 0));
    for seed in first..first + count {
        for (name, module, way) in generated(seed) {
            closest.module(&name, &module, way);
        }
    }
    // Each operator in each of its shapes, with all extensions and with none.
    for (number, case) in sweep::cases().iter().enumerate() {
        for way in [0, 1, 6, 7] {
            // Guard pages matter to accesses only: the ways take turns elsewhere.
            if case.is_access() || number as u64 % 2 == way / 6 {
                closest.case(case, way);
            }
        }
    }
    for (name, module) in chains::singles() {
        (0..WAYS).for_each(|way| closest.module(&name, &module, way));
    }
    print!("{}", closest.summary());
    assert!(closest.wrong.is_empty(), "\n{}", closest.wrong.join("\n"));
    // A quote that nothing comes near is no use.
    assert!(closest.shares.iter().all(|&(share, _)| share > 0.3));
}
