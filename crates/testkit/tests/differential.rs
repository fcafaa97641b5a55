//! Generated modules on machine code and by the meaning of the IR.
//!
//! `RUNWELL_FUZZ_SECONDS` sets how long it runs; `RUNWELL_FUZZ_SEED` where it starts, to look at one
//! module again.

use runwell::{Config, Engine};
use runwell_testkit::differential::{Verdict, compare};
use runwell_testkit::{Rng, generate};
use std::time::{Duration, Instant};

fn env(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn machine_code_agrees_with_the_evaluator() {
    let seconds = env("RUNWELL_FUZZ_SECONDS").unwrap_or(20);
    let first = env("RUNWELL_FUZZ_SEED").unwrap_or(1);
    let engines = [(true, true), (false, false)].map(|(guards, verify)| {
        let mut config = Config::new();
        config.guarded_memories(guards).verify(verify).compile_jobs(1);
        Engine::new(&config).expect("an engine")
    });
    let end = Instant::now() + Duration::from_secs(seconds);
    let (mut modules, mut calls, mut gave) = (0, 0, 0);
    let mut seed = first;
    while Instant::now() < end {
        let mut rng = Rng(seed.wrapping_mul(0x2545_f491_4f6c_dd1d));
        let len = 200 + (rng.next_u64() % 4000) as usize;
        if let Some(wasm) = generate::module(&rng.bytes(len)) {
            modules += 1;
            for engine in &engines {
                match compare(engine, &wasm, seed) {
                    Ok(Verdict::Agreed(n)) => calls += n,
                    Ok(Verdict::Gave(n)) => {
                        calls += n;
                        gave += 1;
                    }
                    Err(error) => {
                        let path = std::env::temp_dir().join(format!("runwell-{seed}.wasm"));
                        std::fs::write(&path, &wasm).expect("the module can be kept");
                        panic!("seed {seed}, module in {}: {error}", path.display());
                    }
                }
            }
        }
        seed += 1;
    }
    println!("{modules} modules, {calls} calls agreed, {gave} runs given up");
    assert!(calls > 100, "the comparison must have compared something");
}
