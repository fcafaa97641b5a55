//! Generated modules: nothing panics, and what comes out is well formed.

mod common;

use arbitrary::Unstructured;
use common::{noise, supported, translate_bytes};
use runwell_wasm::ErrorKind;
use wasm_smith::{Config, Module};

#[test]
fn supported_modules_translate() {
    let mut functions = 0;
    for seed in 0..400 {
        let bytes = noise(seed, 10_000);
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
        let bytes = noise(seed + 1000, 4000);
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
        let noise = noise(seed + 2000, 4000);
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
