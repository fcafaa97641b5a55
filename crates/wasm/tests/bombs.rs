//! Bodies made to blow up: work and size have to stay in proportion to the input.

mod common;

use runwell_wasm::{Limits, Parsed, Translator};

/// Steps and size of the IR for a module of one function.
fn cost(wat: &str) -> (u64, usize) {
    let bytes = wat::parse_str(wat).unwrap();
    let parsed = Parsed::parse(&bytes, &Limits::default()).unwrap();
    let mut translator = Translator::new();
    let func = translator.translate(&parsed.info, &parsed.validation, &bytes, 0).unwrap();
    let size = func.insts.len() + func.pool.len();
    if size < 20_000 {
        common::check(func);
    }
    (translator.work().total(), size)
}

/// Doubles an input three times; neither work nor size may grow much faster.
#[track_caller]
fn linear(make: impl Fn(usize) -> String) {
    let mut last = cost(&make(100));
    for n in [200, 400, 800] {
        let now = cost(&make(n));
        let steps = now.0 as f64 / last.0 as f64;
        let size = now.1 as f64 / last.1 as f64;
        assert!(steps < 2.2 && size < 2.2, "{n}: work x {steps:.2}, size x {size:.2}");
        last = now;
    }
}

fn locals(n: usize) -> String {
    format!("(param i32) (local {})", "i32 ".repeat(n))
}

fn use_all(n: usize) -> String {
    (1..=n).map(|x| format!("(i32.store (i32.const {x}) (local.get {x}))")).collect()
}

#[test]
fn many_exits_of_many_locals() {
    linear(|n| {
        let sets: String = (1..=n)
            .map(|x| format!("(local.set {x} (i32.const {x})) (br_if 0 (local.get 0))"))
            .collect();
        format!("(module (memory 1) (func {} (block {sets}) {}))", locals(n), use_all(n))
    });
}

#[test]
fn a_nest_of_loops_over_many_locals() {
    linear(|n| {
        let open = "(loop ".repeat(n);
        let body: String = (1..=n)
            .map(|x| format!("(local.set {x} (i32.add (local.get {x}) (i32.const 1)))"))
            .collect();
        let close = "(br_if 0 (local.get 0)))".repeat(n);
        format!("(module (memory 1) (func {} {open}{body}{close} {}))", locals(n), use_all(n))
    });
}

#[test]
fn a_nest_of_blocks_sets_one_local() {
    linear(|n| {
        let open: String =
            (0..n).map(|x| format!("(block (local.set 1 (i32.const {x}))")).collect();
        let exits: String = (0..n).map(|_| format!("(br_if {} (local.get 0))", n - 1)).collect();
        let close = ")".repeat(n);
        format!("(module (memory 1) (func {} {open}{exits}{close} {}))", locals(1), use_all(1))
    });
}

#[test]
fn a_nest_of_blocks_over_many_locals() {
    linear(|n| {
        let open = "(block ".repeat(n);
        let body: String = (1..=n).map(|x| format!("(local.set {x} (i32.const {x}))")).collect();
        let close = "(br_if 0 (local.get 0)))".repeat(n);
        format!("(module (memory 1) (func {} {open}{body}{close} {}))", locals(n), use_all(n))
    });
}

#[test]
fn many_tables_to_many_labels() {
    linear(|n| {
        let depth = 20;
        let labels: String = (0..n).map(|x| format!("{} ", x % depth)).collect();
        let sets: String = (1..=20).map(|x| format!("(local.set {x} (i32.const {x}))")).collect();
        let tables =
            format!("(if (local.get 0) (then (br_table {labels} (local.get 0))))").repeat(10);
        let (open, close) = ("(block ".repeat(depth + 1), ")".repeat(depth + 1));
        let locals = locals(20);
        format!("(module (memory 1) (func {locals} {open}{sets}{tables}{close} {}))", use_all(20))
    });
}

#[test]
fn dead_loops_in_a_nest() {
    linear(|n| {
        let open = "(loop ".repeat(n);
        let body: String =
            (0..n).map(|x| format!("(if (i32.const 0) (then (br {})))", x + 1)).collect();
        format!("(module (func {open}{body}{}))", ")".repeat(n))
    });
}

#[test]
fn nests_of_scopes_that_only_fall_through() {
    linear(|n| {
        let open = "(if (i32.const 1) (then ".repeat(n);
        let body: String = (1..=n).map(|x| format!("(local.set {x} (i32.const {x}))")).collect();
        let close = "))".repeat(n);
        format!("(module (memory 1) (func {} {open}{body}{close} {}))", locals(n), use_all(n))
    });
}

#[test]
fn wide_branches_cost_no_more_than_others() {
    let n = 900;
    let results = "i64 ".repeat(n);
    let values: String = (0..n).map(|x| format!("(i64.const {x})")).collect();
    let exits = |count: usize| {
        let exits = "(br_if 0 (local.get 0)) (br_if 1 (local.get 0))".repeat(count);
        let block = format!("(block (result {results}) {values} {exits})");
        cost(&format!("(module (func (param i32) (result {results}) {block}))")).0
    };
    let (few, many) = (exits(10), exits(1010));
    // A step for each 64 types, for the label and for what goes on; 15 for all the rest.
    let types = n as u64 / 64 * 2;
    assert!((many - few) / 2000 < 2 * types + 15, "{few} and {many} steps");
}

#[test]
fn nesting_is_no_recursion() {
    let nest = |n: usize| format!("(module (func {}{}))", "block ".repeat(n), "end ".repeat(n));
    cost(&nest(300_000));
}

#[test]
fn tables_of_labels_that_carry_values() {
    let labels = 50;
    let table = |n: usize| {
        let depths: String = (1..=labels).map(|depth| format!("{depth} ")).collect();
        let values: String = (0..8).map(|at| format!("(i32.const {})", n + at)).collect();
        format!("(if (local.get 0) (then {values} (br_table {depths} (local.get 0))))")
    };
    let make = |n: usize| {
        let open = "(block (result i32 i32 i32 i32 i32 i32 i32 i32) ".repeat(labels);
        let tables: String = (0..n).map(table).collect();
        let close = ") (return)".repeat(labels);
        format!(
            "(module (func (param i32) (result i32 i32 i32 i32 i32 i32 i32 i32) \
             {open}{tables} (unreachable) {close}))"
        )
    };
    linear(|n| make(n / 10));
    // Per entry of a table there is the edge and its place in the table, and not eight values.
    let (_, size) = cost(&make(80));
    assert!(size < 5 * 80 * labels, "{size}");
}
