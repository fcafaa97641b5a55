//! Validation against the library's validator: bodies as wasm-smith makes them, and damaged ones.
//!
//! Which bodies are accepted has to agree, and where and how the first error is described.
//! `RUNWELL_FUZZ_COUNT` says how many damaged bodies to look at, `RUNWELL_FUZZ_SEED` which.

mod common;

use arbitrary::Unstructured;
use common::damage::{Damage, Pool};
use common::verdict::{compare, compare_all};
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

/// What short bodies are made of, in [`around`].
const ALPHABET: [&[u8]; 46] = [
    &[0x41, 1],
    &[0x42, 1],
    &[0x43, 0, 0, 0, 0],
    &[0xd0, 0x70],
    &[0xd0, 0x6f],
    &[0xd2, 0],
    &[0x00],
    &[0x02, 0x40],
    &[0x02, 0x7f],
    &[0x02, 0x6f],
    &[0x02, 1],
    &[0x03, 0x40],
    &[0x03, 1],
    &[0x04, 0x40],
    &[0x04, 0x7f],
    &[0x04, 1],
    &[0x04, 2],
    &[0x05],
    &[0x0b],
    &[0x0c, 0],
    &[0x0c, 1],
    &[0x0d, 0],
    &[0x0d, 1],
    &[0x0e, 1, 0, 1],
    &[0x0e, 2, 0, 0, 0],
    &[0x0f],
    &[0x10, 1],
    &[0x10, 2],
    &[0x11, 1, 0],
    &[0x12, 1],
    &[0x12, 2],
    &[0x13, 2, 0],
    &[0x1a],
    &[0x1b],
    &[0x1c, 1, 0x7f],
    &[0x1c, 1, 0x70],
    &[0x20, 0],
    &[0x21, 0],
    &[0x22, 1],
    &[0x24, 0],
    &[0x26, 0],
    &[0x28, 2, 0],
    &[0x36, 2, 0],
    &[0x6a],
    &[0xad],
    &[0xd1],
];

/// A module of bodies of type `-> i32`. Types 1 and 2 are `i32 i32 -> i32` and `i32 -> i32 i64`, and
/// so are functions 1 and 2.
fn around(bodies: &[Vec<u8>]) -> Vec<u8> {
    use wasm_encoder::{CodeSection, FunctionSection, Module, RawSection};
    let mut functions = FunctionSection::new();
    let mut code = CodeSection::new();
    for ty in 0..3 {
        functions.function(ty);
        code.raw(&[0, 0x00, 0x0b]);
    }
    for body in bodies {
        functions.function(0);
        code.raw(body);
    }
    let raw = |id, data| RawSection { id, data };
    let types = [3, 0x60, 0, 1, 0x7f, 0x60, 2, 0x7f, 0x7f, 1, 0x7f, 0x60, 1, 0x7f, 2, 0x7f, 0x7e];
    let mut module = Module::new();
    module.section(&raw(1, &types)).section(&functions);
    module.section(&raw(4, &[1, 0x70, 0, 1])).section(&raw(5, &[1, 0, 1]));
    module.section(&raw(6, &[1, 0x7f, 1, 0x41, 0, 0x0b]));
    module.section(&raw(9, &[1, 3, 0, 1, 0])).section(&code);
    module.finish()
}

#[test]
fn all_short_bodies_get_the_same_verdict() {
    let mut bodies = Vec::new();
    let last = 0x0b;
    for a in ALPHABET {
        for b in ALPHABET {
            for c in ALPHABET {
                // Two locals, of types i32 and i64.
                let mut body = vec![2, 1, 0x7f, 1, 0x7e];
                [a, b, c].into_iter().for_each(|operator| body.extend(operator));
                body.push(last);
                bodies.push(body);
            }
        }
    }
    // The same behind what cannot be reached, and behind two operands.
    let mut first: Vec<&[u8]> = vec![&[], &[0x00], &[0x00, 0x1b]];
    first.extend([&[0x41, 1, 0x41, 1][..], &[0xd0, 0x70, 0xd0, 0x70]]);
    for first in first {
        let body = |body: &Vec<u8>| [&body[..5], first, &body[5..]].concat();
        let bodies: Vec<Vec<u8>> = bodies.iter().map(body).collect();
        let valid = compare_all(&around(&bodies)).unwrap();
        assert!(valid > 400 && valid < bodies.len() / 2, "{valid}");
    }
}

/// Operators that name entities, how many immediates of one byte they have, and how many operands.
const ENTITIES: [(&[u8], usize, usize); 28] = [
    (&[0x23], 1, 0),
    (&[0x24], 1, 1),
    (&[0x25], 1, 1),
    (&[0x26], 1, 2),
    // Offsets behind a memory's index: 1, 2^32 - 1, 2^32, 2^64 - 1. Alignments within and beyond.
    (&[0x28, 0x42], 1, 1),
    (&[0x28, 0x43], 1, 1),
    (&[0x31, 0x40], 1, 1),
    (&[0x31, 0x41], 1, 1),
    (&[0x36, 0x42], 1, 2),
    (&[0x3e, 0x42], 1, 2),
    (&[0x3e, 0x43], 1, 2),
    (&[0x3f], 1, 0),
    (&[0x40], 1, 1),
    (&[0xd2], 1, 0),
    (&[0xfc, 8], 2, 3),
    (&[0xfc, 9], 1, 0),
    (&[0xfc, 10], 2, 3),
    (&[0xfc, 11], 1, 3),
    (&[0xfc, 12], 2, 3),
    (&[0xfc, 13], 1, 0),
    (&[0xfc, 14], 2, 3),
    (&[0xfc, 15], 1, 2),
    (&[0xfc, 16], 1, 0),
    (&[0xfc, 17], 1, 3),
    (&[0x10], 1, 1),
    (&[0x11], 2, 1),
    (&[0x12], 1, 1),
    (&[0x13], 2, 1),
];

/// Offsets of accesses.
const OFFSETS: [&[u8]; 4] = [
    &[1],
    &[0xff, 0xff, 0xff, 0xff, 0x0f],
    &[0x80, 0x80, 0x80, 0x80, 0x10],
    &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1],
];

#[test]
fn entities_are_what_the_operators_ask_for() {
    let operands: [&[u8]; 4] = [&[0x41, 1], &[0x42, 1], &[0xd0, 0x70], &[0xd0, 0x6f]];
    let mut bodies = Vec::new();
    for (opcode, immediates, count) in ENTITIES {
        for indices in 0..6usize.pow(immediates as u32) {
            for choice in 0..operands.len().pow(count as u32) {
                let mut body = vec![0];
                (0..count).for_each(|at| body.extend(operands[choice >> (2 * at) & 3]));
                body.extend(opcode);
                body.push((indices % 6) as u8);
                if immediates == 2 {
                    body.push((indices / 6) as u8);
                }
                let none: &[&[u8]] = &[&[]];
                let offsets = if matches!(opcode[0], 0x28..=0x3e) { &OFFSETS } else { none };
                for &offset in offsets {
                    bodies.push([&body[..], offset, &[0x00, 0x0b]].concat());
                }
            }
        }
    }
    for data_count in [true, false] {
        let valid = compare_all(&entities(&bodies, data_count)).unwrap();
        assert!(valid > 100 && valid < bodies.len() / 5, "{valid} of {}", bodies.len());
    }
}

/// A module of bodies without parameters and results, with a few of all entities.
fn entities(bodies: &[Vec<u8>], data_count: bool) -> Vec<u8> {
    use wasm_encoder::{CodeSection, FunctionSection, Module, RawSection};
    let mut functions = FunctionSection::new();
    let mut code = CodeSection::new();
    for ty in 0..3 {
        functions.function(ty);
        code.raw(&[0, 0x00, 0x0b]);
    }
    for body in bodies {
        functions.function(0);
        code.raw(body);
    }
    let raw = |id, data| RawSection { id, data };
    let mut module = Module::new();
    // `->`, `i32 ->` and `-> i32`.
    let types = [3, 0x60, 0, 0, 0x60, 1, 0x7f, 0, 0x60, 0, 1, 0x7f];
    module.section(&raw(1, &types)).section(&functions);
    // Tables of functions, of other references, and both again with wide indices.
    let tables = [4, 0x70, 0, 1, 0x6f, 0, 1, 0x70, 4, 1, 0x6f, 4, 1];
    module.section(&raw(4, &tables)).section(&raw(5, &[3, 0, 1, 4, 1, 0, 1]));
    let globals = [
        &[4][..],
        &[0x7f, 1, 0x41, 0, 0x0b],
        &[0x7f, 0, 0x41, 0, 0x0b],
        &[0x7e, 1, 0x42, 0, 0x0b],
        &[0x6f, 1, 0xd0, 0x6f, 0x0b],
    ]
    .concat();
    module.section(&raw(6, &globals));
    // Passive: of functions, of other references, of functions by expressions. Declared: function 2.
    let elements = [
        &[4][..],
        &[1, 0, 1, 0],
        &[5, 0x6f, 1, 0xd0, 0x6f, 0x0b],
        &[5, 0x70, 1, 0xd0, 0x70, 0x0b],
        &[3, 0, 1, 2],
    ]
    .concat();
    module.section(&raw(9, &elements));
    if data_count {
        module.section(&raw(12, &[2]));
    }
    module.section(&code).section(&raw(11, &[2, 1, 1, 7, 1, 1, 7]));
    module.finish()
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
