//! Validation against the library's validator: bodies as wasm-smith makes them, and damaged ones.
//!
//! Which bodies are accepted has to agree, and where and how the first error is described.
//! `RUNWELL_FUZZ_COUNT` says how many damaged bodies to look at, `RUNWELL_FUZZ_SEED` which.

mod common;

use arbitrary::Unstructured;
use common::damage::{Damage, Pool};
use common::verdict::compare;
use common::{noise, supported};
use runwell_wasm::{Limits, Parsed, Translator};
use wasm_smith::{Config, Module};

/// How many bodies to damage, and the first seed.
fn count(usual: u64) -> (u64, u64) {
    let number = |name: &str| std::env::var(name).ok().map(|value| value.parse().unwrap());
    (number("RUNWELL_FUZZ_COUNT").unwrap_or(usual), number("RUNWELL_FUZZ_SEED").unwrap_or(0))
}

/// A module of wasm-smith with short functions.
fn module(seed: u64) -> Option<Vec<u8>> {
    let config = Config { max_instructions: 120, max_types: 12, min_types: 4, ..supported() };
    let source = noise(seed, 8000);
    let module = Module::new(config, &mut Unstructured::new(&source)).ok()?;
    Some(module.to_bytes())
}

#[test]
fn generated_bodies_are_valid() {
    let mut bodies = 0;
    for seed in 0..300 {
        let Some(wasm) = module(seed) else { continue };
        let parsed = Parsed::parse(&wasm, &Limits::default()).unwrap();
        let mut translator = Translator::new();
        for own in 0..parsed.info.bodies.len() {
            assert_eq!(compare(&mut translator, &parsed, &wasm, own), Ok(true), "seed {seed}");
            bodies += 1;
        }
    }
    assert!(bodies > 400, "{bodies}");
}

#[test]
fn damaged_bodies_get_the_same_verdict() {
    let (count, first) = count(4000);
    let (mut looked_at, mut valid, mut seed) = (0, 0, first);
    let mut translator = Translator::new();
    while looked_at < count {
        seed += 1;
        let Some(wasm) = module(seed) else { continue };
        let pool = Pool::new(&wasm);
        for round in 0..200.min(count - looked_at) {
            let mut damage = Damage::new(&pool, seed << 20 | round);
            let Some((wasm, own)) = damage.body() else { break };
            let parsed = Parsed::parse(&wasm, &Limits::default()).unwrap();
            match compare(&mut translator, &parsed, &wasm, own) {
                Ok(ok) => valid += u64::from(ok),
                Err(what) => panic!("seed {seed}, {round}: {what}"),
            }
            looked_at += 1;
        }
    }
    println!("{looked_at} damaged bodies, {valid} of them still valid, seeds {first} to {seed}");
    assert!(valid > count / 50 && valid < count / 2, "{valid} of {count} are valid");
}
