//! Generated modules: nothing panics, and what comes out is well formed.

mod common;

use arbitrary::Unstructured;
use common::translate_bytes;
use runwell_wasm::ErrorKind;
use wasm_smith::{Config, Module};

/// A deterministic stream of bytes.
fn bytes(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..len)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 32) as u8
        })
        .collect()
}

fn supported() -> Config {
    Config {
        simd_enabled: false,
        relaxed_simd_enabled: false,
        exceptions_enabled: false,
        gc_enabled: false,
        reference_types_enabled: true,
        tail_call_enabled: true,
        memory64_enabled: true,
        extended_const_enabled: true,
        compact_imports_enabled: false,
        custom_page_sizes_enabled: false,
        wide_arithmetic_enabled: false,
        threads_enabled: false,
        shared_everything_threads_enabled: false,
        max_memories: 3,
        max_tables: 3,
        min_funcs: 3,
        max_instructions: 300,
        ..Config::default()
    }
}

#[test]
fn supported_modules_translate() {
    let mut functions = 0;
    for seed in 0..400 {
        let bytes = bytes(seed, 10_000);
        let mut source = Unstructured::new(&bytes);
        let Ok(module) = Module::new(supported(), &mut source) else { continue };
        let wasm = module.to_bytes();
        match translate_bytes(&wasm) {
            Ok(funcs) => functions += funcs.len(),
            Err(error) => panic!("seed {seed}: {error}"),
        }
    }
    assert!(functions > 400, "{functions}");
}

#[test]
fn other_modules_are_refused_by_name() {
    let mut refused = 0;
    for seed in 0..200 {
        let bytes = bytes(seed + 1000, 4000);
        let config = Config { max_instructions: 200, ..Config::default() };
        let Ok(module) = Module::new(config, &mut Unstructured::new(&bytes)) else { continue };
        if let Err(error) = translate_bytes(&module.to_bytes()) {
            refused += 1;
            match error.kind() {
                ErrorKind::Unsupported { proposal, .. } => {
                    assert_ne!(*proposal, "unknown", "{error}")
                }
                other => panic!("seed {seed}: {other:?}"),
            }
        }
    }
    assert!(refused > 20, "{refused}");
}

#[test]
fn damaged_modules_do_no_harm() {
    for seed in 0..300 {
        let noise = bytes(seed + 2000, 4000);
        let mut source = Unstructured::new(&noise);
        let Ok(module) = Module::new(supported(), &mut source) else { continue };
        let mut wasm = module.to_bytes();
        for at in 0..8 {
            let place = usize::from(noise[at]) << 8 | usize::from(noise[at + 8]);
            let len = wasm.len();
            wasm[place % len] = noise[at + 16];
        }
        let _ = translate_bytes(&wasm);
    }
}
