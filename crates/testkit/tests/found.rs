//! Modules that once were compiled wrongly, reduced. Each says what was wrong.

use runwell_testkit::variants::Variants;

/// Arguments that each module is called with.
const SEEDS: std::ops::Range<u64> = 0..16;

const STEPS: u64 = 400_000;

#[test]
fn what_was_found_stays_mended() {
    let variants = Variants::new();
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/found");
    let mut modules = 0;
    for entry in std::fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        let wasm = wat::parse_file(&path).unwrap_or_else(|error| panic!("{error}"));
        for seed in SEEDS {
            let agreed = variants.compare(&wasm, seed, STEPS);
            let agreed = agreed.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            assert!(!agreed.gave && agreed.returned + agreed.trapped > 0, "{}", path.display());
        }
        modules += 1;
    }
    assert!(modules > 0);
}
