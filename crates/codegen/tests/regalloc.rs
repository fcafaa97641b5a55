//! Register allocation on random code: the symbolic checker and an interpreter must agree with it.

mod regalloc_gen;

use regalloc_gen::{Shape, env, random, run};
use runwell_codegen::regalloc::{Allocator, checker};
use runwell_ir::work::Work;

fn check(seed: u64, shape: Shape, allocator: &mut Allocator) {
    let code = random(seed, shape);
    let env = env();
    let mut work = Work::new();
    let out = allocator.run(&code, &env, &mut work).unwrap();
    if let Err(error) = checker::check(&code, out, &env) {
        panic!("seed {seed}: {error}");
    }
    for path in 0..4 {
        run(&code, out, &env, seed * 4 + path, 2000);
    }
}

fn seeds(range: core::ops::Range<u64>, shape: Shape) {
    let mut allocator = Allocator::new();
    for seed in range {
        check(seed, shape, &mut allocator);
    }
}

const MIXED: Shape = Shape { size: 150, calls: 6, fixed: 10, control: 12, reach: 20, params: 4 };

#[test]
fn straight_line() {
    seeds(0..1500, Shape { size: 60, control: 0, ..MIXED });
}

#[test]
fn small() {
    seeds(0..4000, Shape { size: 24, control: 20, ..MIXED });
}

#[test]
fn mixed() {
    seeds(0..2000, MIXED);
}

#[test]
fn high_pressure() {
    seeds(0..600, Shape { size: 300, reach: 120, params: 10, ..MIXED });
}

#[test]
fn many_params() {
    seeds(0..400, Shape { params: 40, control: 25, ..MIXED });
}

#[test]
fn many_calls() {
    seeds(0..800, Shape { calls: 30, ..MIXED });
}

#[test]
fn large() {
    seeds(0..30, Shape { size: 4000, ..MIXED });
}
