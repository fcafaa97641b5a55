//! Translates every function of the modules named on the command line and prints what that took.
//!
//! `cargo run --release -p runwell-wasm --example translate -- FILE.wasm…`

use runwell_ir::Op;
use runwell_wasm::{Limits, Parsed, Translator};
use std::time::Instant;

fn main() {
    println!(
        "{:>24} {:>8} {:>10} {:>9} {:>9} {:>7} {:>7} {:>7} {:>7}",
        "module", "funcs", "code", "parse ms", "ms", "ns/op", "inst/op", "work/op", "demoted"
    );
    for path in std::env::args().skip(1) {
        if let Err(error) = measure(&path) {
            println!("{path}: {error}");
        }
    }
}

fn measure(path: &str) -> Result<(), Box<dyn std::error::Error>> {
    let bytes = std::fs::read(path)?;
    let start = Instant::now();
    let parsed = Parsed::parse(&bytes, &Limits::default())?;
    let parse = start.elapsed();
    let mut translator = Translator::new();
    let (mut best, mut operators, mut insts, mut slots) = (f64::MAX, 0u64, 0, 0);
    let mut work = 0;
    for _ in 0..3 {
        let before = translator.work().total();
        (operators, insts, slots) = (0, 0, 0);
        let start = Instant::now();
        for own in 0..parsed.info.bodies.len() {
            let func = translator.translate(&parsed.info, &parsed.validation, &bytes, own)?;
            insts += func.insts.iter().filter(|inst| inst.op != Op::Copy).count();
            slots += usize::from(!func.slots.is_empty());
            operators += u64::from(translator.operators());
        }
        best = best.min(start.elapsed().as_secs_f64());
        work = translator.work().total() - before;
    }
    let per_op = |x: f64| x / operators as f64;
    let name = std::path::Path::new(path).file_name().unwrap_or_default().to_string_lossy();
    println!(
        "{name:>24} {:>8} {:>10} {:>9.1} {:>9.1} {:>7.1} {:>7.2} {:>7.2} {slots:>7}",
        parsed.info.bodies.len(),
        parsed.info.code_bytes(),
        parse.as_secs_f64() * 1e3,
        best * 1e3,
        per_op(best * 1e9),
        per_op(insts as f64),
        per_op(work as f64),
    );
    Ok(())
}
