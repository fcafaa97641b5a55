//! Validates every function of modules and prints what that takes, beside the library's validator.
//!
//! `cargo run --release -p runwell-wasm --example validate -- [--alone] FILE.wasm|FAMILY…`
//!
//! `FAMILY` stands for a megabyte of a family of hostile modules.
//! With `--alone` the library's validator, which may take half a minute for one, is left out.

use runwell_wasm::features::SUPPORTED;
use runwell_wasm::{Limits, Parsed, Translator};
use std::time::Instant;
use wasmparser::{FuncValidatorAllocations, Parser, ValidPayload, Validator};

/// Size of the modules of families.
const BYTES: usize = 1_000_000;

fn main() {
    let (flags, names): (Vec<String>, Vec<String>) =
        std::env::args().skip(1).partition(|arg| arg == "--alone");
    println!(
        "{:>24} {:>8} {:>10} {:>9} {:>10} {:>9} {:>10}  outcome",
        "module", "funcs", "code", "ms", "µs/byte", "steps/B", "library ms"
    );
    for name in names {
        let bytes = match runwell_bombs::find(&name) {
            Some(family) => (family.make)(BYTES),
            None => match std::fs::read(&name) {
                Ok(bytes) => bytes,
                Err(error) => {
                    println!("{name}: {error}");
                    continue;
                }
            },
        };
        if let Err(error) = measure(&name, &bytes, flags.is_empty()) {
            println!("{name}: {error}");
        }
    }
}

fn measure(name: &str, bytes: &[u8], beside: bool) -> Result<(), Box<dyn std::error::Error>> {
    let parsed = Parsed::parse(bytes, &Limits::default())?;
    let bodies = parsed.info.bodies.len();
    let (mut best, mut steps, mut outcome) = (f64::MAX, 0, Ok(()));
    for _ in 0..3 {
        let mut translator = Translator::new();
        let start = Instant::now();
        outcome = (0..bodies)
            .try_for_each(|own| translator.validate(&parsed.info, &parsed.validation, bytes, own));
        best = best.min(start.elapsed().as_secs_f64());
        steps = translator.work().total();
    }
    let code = parsed.info.code_bytes();
    let per_byte = |x: f64| x / bytes.len() as f64;
    let library = if beside { format!("{:.1}", library(bytes) * 1e3) } else { "-".into() };
    let name = std::path::Path::new(name).file_name().unwrap_or_default().to_string_lossy();
    println!(
        "{name:>24} {bodies:>8} {code:>10} {:>9.2} {:>10.4} {:>9.2} {library:>10}  {}",
        best * 1e3,
        per_byte(best * 1e6),
        per_byte(steps as f64),
        outcome.map_or_else(|error| error.to_string(), |()| "valid".into()),
    );
    Ok(())
}

/// Seconds that the library's validator takes for the bodies.
fn library(bytes: &[u8]) -> f64 {
    let mut validator = Validator::new_with_features(SUPPORTED);
    let mut parser = Parser::new(0);
    parser.set_features(SUPPORTED);
    let mut bodies = Vec::new();
    for payload in parser.parse_all(bytes).flatten() {
        if let Ok(ValidPayload::Func(func, body)) = validator.payload(&payload) {
            bodies.push((func, body));
        }
    }
    let mut allocations = FuncValidatorAllocations::default();
    let start = Instant::now();
    for (func, body) in bodies {
        let mut validator = func.into_validator(allocations);
        // A fault ends the function, as it does ours.
        let _ = validator.validate(&body);
        allocations = validator.into_allocations();
    }
    start.elapsed().as_secs_f64()
}
