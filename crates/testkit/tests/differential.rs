//! Generated modules on machine code and by the meaning of the IR.
//!
//! Fixed seeds, so that a failure is one for everybody. `RUNWELL_FUZZ_COUNT` sets how many of each
//! kind, `RUNWELL_FUZZ_SEED` where they start, to look at one module again.

use runwell_abi::{Arch, Features};
use runwell_testkit::differential::Agreed;
use runwell_testkit::variants::{Variants, same_bytes};
use runwell_testkit::wide::{Program, Reference};
use runwell_testkit::{Nans, generate, program};

/// Instructions that the evaluator runs per call before a comparison is given up.
const STEPS: u64 = 400_000;

fn env(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Compares modules made from `count` seeds.
fn compare(count: u64, module: impl Fn(u64) -> Option<Vec<u8>>) -> Agreed {
    let count = env("RUNWELL_FUZZ_COUNT").unwrap_or(count);
    let first = env("RUNWELL_FUZZ_SEED").unwrap_or(1);
    let variants = Variants::new();
    let target = runwell_compiler::Target { arch: Arch::X64, features: Features::default() };
    let mut all = Agreed::default();
    let (mut modules, mut gave) = (0, 0);
    for seed in first..first + count {
        let Some(wasm) = module(seed) else { continue };
        modules += 1;
        match variants.compare(&wasm, seed, STEPS) {
            Ok(agreed) => {
                all += agreed;
                gave += u64::from(agreed.gave);
            }
            Err(error) => {
                let small = variants.reduce(&wasm, seed, STEPS);
                let text = wasmprinter::print_bytes(&small).expect("a valid module");
                let path = std::env::temp_dir().join(format!("runwell-{seed}.wat"));
                std::fs::write(&path, text).expect("the module can be kept");
                panic!("seed {seed}, reduced module in {}: {error}", path.display());
            }
        }
        if let Err(error) = same_bytes(&wasm, target) {
            panic!("seed {seed}: {error}");
        }
    }
    println!("{modules} modules, {all:?}, {gave} given up");
    assert!(gave * 10 <= modules, "{gave} of {modules} modules could not be followed");
    all
}

#[test]
fn modules_of_wasm_smith_mean_the_same_on_machine_code() {
    let agreed = compare(4_000, |seed| generate::from_seed(seed, Nans::Seen));
    assert!(agreed.returned > 3_000, "{agreed:?} is too little to tell");
}

#[test]
fn programs_mean_the_same_on_machine_code() {
    let agreed = compare(500, |seed| Some(program::module(seed, Nans::Seen)));
    assert!(agreed.returned > 3 * agreed.trapped, "{agreed:?}: most calls must come to an end");
}

/// Programs of `count` seeds whose longest lists have up to `most` values.
fn wide(count: u64, most: u64) -> Agreed {
    let count = env("RUNWELL_FUZZ_COUNT").unwrap_or(count);
    let first = env("RUNWELL_FUZZ_SEED").unwrap_or(1);
    let variants = Variants::new();
    let target = runwell_compiler::Target { arch: Arch::X64, features: Features::default() };
    let (mut all, mut gave) = (Agreed::default(), 0);
    for seed in first..first + count {
        let program = Program::from_seed(seed, most);
        let wasm = program.wasm();
        let mut reference = Reference::new(&program, STEPS);
        match variants.compare_with(&mut reference, &wasm, seed, 100 * STEPS) {
            Ok(agreed) => {
                all += agreed;
                gave += u64::from(agreed.gave);
            }
            Err(error) => {
                let path = std::env::temp_dir().join(format!("runwell-wide-{seed}.wasm"));
                std::fs::write(&path, &wasm).expect("the module can be kept");
                panic!("seed {seed}, module in {}: {error}", path.display());
            }
        }
        if let Err(error) = same_bytes(&wasm, target) {
            panic!("seed {seed}: {error}");
        }
    }
    println!("{count} programs, {all:?}, {gave} given up");
    assert!(gave * 10 <= count, "{gave} of {count} programs could not be followed");
    all
}

#[test]
fn wide_programs_mean_what_a_stack_machine_makes_of_them() {
    let agreed = wide(600, 40);
    assert!(agreed.returned > 3_000 && agreed.trapped == 0, "{agreed:?} is too little to tell");
}

#[test]
fn the_widest_programs_mean_what_a_stack_machine_makes_of_them() {
    let agreed = wide(25, 1000);
    assert!(agreed.returned > 100 && agreed.trapped == 0, "{agreed:?} is too little to tell");
}

/// What is put off in large functions comes in between, and is jumped over.
#[test]
fn large_functions_mean_the_same() {
    let variants = Variants::new();
    let mut all = Agreed::default();
    for name in ["op_trunc", "op_trunc_sat", "op_div", "op_min_max", "op_load_far", "dense_sat_u64"]
    {
        let wasm = (runwell_bombs::find(name).expect("a family").make)(48 << 10);
        for seed in 0..3 {
            match variants.compare(&wasm, seed, STEPS) {
                Ok(agreed) => all += agreed,
                Err(error) => panic!("{name}, seed {seed}: {error}"),
            }
        }
    }
    assert!(all.returned > 20 && all.trapped > 0, "{all:?} is too little to tell");
}
