//! The depth at which a guest runs out of stack is a function of its text: the one that
//! `runwell_abi::memory::frame_depth` says, whatever the compiler makes of the text.

use runwell::{Caller, Config, Engine, Func, Instance, Linker, Module, Store, Trap};
use runwell_abi::memory::{ACTIVATION_DEPTH_BYTES, frame_depth};
use runwell_testkit::Rng;
use std::fmt::Write;

/// Bytes of depth.
const STACK: usize = 64 << 10;

/// What stubs between host and guest may take of the limit.
const STUBS: u64 = 1024;

fn engines() -> Vec<Engine> {
    let engine = |change: fn(&mut Config)| {
        let mut config = Config::new();
        config.max_wasm_stack(STACK).compile_jobs(1).verify(true);
        change(&mut config);
        Engine::new(&config).unwrap()
    };
    vec![
        engine(|_| {}),
        engine(|c| {
            c.optimize(false);
        }),
        engine(|c| {
            c.guarded_memories(false).baseline_cpu(true);
        }),
        engine(|c| {
            c.consume_fuel(true);
        }),
        engine(|c| {
            c.consume_fuel(true).optimize(false).guarded_memories(false);
        }),
    ]
}

/// How often `run` was entered until the stack was exhausted. Twice, since what the first exhaustion
/// leaves behind must not be seen by the second.
fn depth(engine: &Engine, text: &str, what: &str) -> u64 {
    let module = Module::new(engine, text).unwrap_or_else(|e| panic!("{what}: {e:?}\n{text}"));
    let mut store = Store::new(engine, ());
    // An engine that does not meter refuses.
    let _ = store.set_fuel(1 << 40);
    let mut linker = Linker::new(engine);
    let again = |mut caller: Caller<'_, ()>, x: i32| -> runwell::Result<i32> {
        let run = caller.get_export("run").and_then(|e| e.into_func()).expect("an export");
        run.typed::<i32, i32>(&caller)?.call(&mut caller, x)
    };
    linker.func_wrap("host", "again", again).unwrap();
    // Another instance in between, whose function calls back what it is given.
    let other = "(module (type $t (func (param i32) (result i32)))
        (table (export \"t\") 1 funcref)
        (func (export \"back\") (type $t)
            (i32.add (call_indirect (type $t) (local.get 0) (i32.const 0)) (i32.const 1))))";
    let other = Module::new(engine, other).unwrap();
    let other = Instance::new(&mut store, &other, &[]).unwrap();
    linker.instance(&mut store, "other", other).unwrap();
    let instance = linker.instantiate(&mut store, &module).unwrap();
    let run: Func = instance.get_func(&mut store, "run").unwrap();
    other.get_table(&mut store, "t").unwrap().set(&mut store, 0, run.into()).unwrap();
    let run = run.typed::<i32, i32>(&store).unwrap();
    let mut depths = [0; 2];
    for depth in &mut depths {
        let error = run.call(&mut store, 5).unwrap_err();
        assert_eq!(error.downcast_ref::<Trap>(), Some(&Trap::StackOverflow), "{what}: {error:?}");
        let count = instance.get_global(&mut store, "count").unwrap();
        *depth = u64::from(count.get(&mut store).i32().unwrap() as u32);
        count.set(&mut store, runwell::Val::I32(0)).unwrap();
    }
    assert_eq!(depths[0], depths[1], "{what}");
    depths[0]
}

/// A module whose `run` counts its calls and then does `body`.
fn module(locals: &str, body: &str) -> String {
    format!(
        "(module
        (type $t (func (param i32) (result i32)))
        (import \"host\" \"again\" (func $again (type $t)))
        (import \"other\" \"back\" (func $back (type $t)))
        (memory 1)
        (global $count (export \"count\") (mut i32) (i32.const 0))
        (func $run (export \"run\") (type $t) {locals}
            (global.set $count (i32.add (global.get $count) (i32.const 1)))
            {body}))"
    )
}

/// All engines agree, and on what the rule says for frames that count `bytes` each.
fn same(text: &str, what: &str, bytes: Option<u64>) -> u64 {
    let depths: Vec<u64> = engines().iter().map(|engine| depth(engine, text, what)).collect();
    assert!(depths.iter().all(|&depth| depth == depths[0]), "{what}: {depths:?}\n{text}");
    if let Some(bytes) = bytes {
        let most = STACK as u64 / bytes;
        let least = (STACK as u64 - STUBS) / bytes;
        assert!((least..=most).contains(&depths[0]), "{what}: {depths:?} of {least} to {most}");
    }
    depths[0]
}

#[test]
fn plain_recursion_is_as_deep_as_the_rule_says() {
    // One local, three operands, 9 operators.
    let text = module("", "(i32.add (local.get 0) (call $run (local.get 0)))");
    same(&text, "plain", Some(frame_depth(1, 2, 9, true)));
    // Locals that are not mentioned count nothing, those that are 8 bytes each.
    let locals = "(local i64 i64 i64 i64 i64 i64 i64 i64)";
    let text = module(locals, "(i32.add (local.get 0) (call $run (local.get 0)))");
    same(&text, "unmentioned", Some(frame_depth(1, 2, 9, true)));
    let sets: String = (1..9).map(|n| format!("(local.set {n} (i64.const 1))")).collect();
    let text = module(locals, &format!("{sets} (i32.add (local.get 0) (call $run (local.get 0)))"));
    same(&text, "mentioned", Some(frame_depth(9, 2, 25, true)));
}

#[test]
fn a_call_that_is_never_made_counts_as_well() {
    let body = "(if (i32.const 0) (then (drop (call $run (i32.const 1)))))
        (i32.add (call $back (local.get 0)) (i32.const 1))";
    same(&module("", body), "through another instance", None);
    let body = "(i32.add (local.get 0) (call $again (local.get 0)))";
    let deep = same(&module("", body), "through the host", None);
    // To the byte: stubs between guests and host count nothing of their own.
    let frame = frame_depth(1, 2, 9, true);
    let most = (STACK as u64 + ACTIVATION_DEPTH_BYTES) / (ACTIVATION_DEPTH_BYTES + frame);
    assert_eq!(deep, most);
}

/// Values that are the same on both sides of the call, so that sharing keeps them all: such a frame
/// takes much more than it counts.
fn shared_values(count: u32, call: &str) -> String {
    let mut body = String::new();
    let store = |body: &mut String, n: u32| {
        writeln!(
            body,
            "(i32.store offset={} (i32.const 0) (i32.mul (local.get 0) (i32.const {})))",
            4 * n,
            2 * n + 3
        )
        .unwrap();
    };
    (0..count).for_each(|n| store(&mut body, n));
    writeln!(body, "(drop (call {call} (local.get 0)))").unwrap();
    (0..count).for_each(|n| store(&mut body, n));
    body.push_str("(i32.const 0)");
    body
}

#[test]
fn frames_that_take_more_than_they_count() {
    for count in [3, 10, 100, 700] {
        for call in ["$run", "$back", "$again"] {
            let text = module("", &shared_values(count, call));
            let rule = frame_depth(1, 3, 10 * u64::from(count) + 8, true);
            let what = format!("{count} shared values, {call}");
            same(&text, &what, (call == "$run").then_some(rule));
        }
    }
}

/// Values that come by the hundred have homes in the frame, which count as the operands they are.
#[test]
fn wide_recursion() {
    for wide in [9, 17, 100, 1000] {
        let many = "i32 ".repeat(wide);
        let gets =
            |from: usize| (from..wide).map(|n| format!("(local.get {n})")).collect::<String>();
        let last = wide - 1;
        let narrow = "(func $start (export \"run\") (type $t)";
        let zeros = "(i32.const 1)".repeat(wide);
        let bodies = [
            // Of all parameters the last is used.
            format!("(call $wide {zeros}) (i32.add (local.get {last}))"),
            // All are passed on.
            format!("{} (call $wide) (i32.add (local.get 0))", gets(0)),
            // Results by the hundred, kept across the call.
            format!("(call $give) {} (i32.add (call $wide {zeros}))", "(drop)".repeat(last)),
            format!("(call $give) (call $wide) (i32.add (local.get {last}))"),
        ];
        for body in bodies {
            let text = format!(
                "(module (type $t (func (param i32) (result i32)))
                (import \"host\" \"again\" (func $again (type $t)))
                (import \"other\" \"back\" (func $back (type $t)))
                (global $count (export \"count\") (mut i32) (i32.const 0))
                (func $give (result {many}) {zeros})
                (func $wide (param {many}) (result i32)
                    (global.set $count (i32.add (global.get $count) (i32.const 1)))
                    {body})
                {narrow} (call $wide {zeros})))"
            );
            same(&text, &format!("{wide} values: {body}"), None);
        }
    }
}

/// A body that keeps values in locals, on the operand stack and across arms that do not use them.
fn random_body(rng: &mut Rng) -> (String, String) {
    let locals = 1 + rng.next_u64() % 12;
    let declared = "i32 ".repeat(locals as usize);
    let mut body = String::new();
    let mut open = 0;
    for _ in 0..rng.next_u64() % 60 {
        let (to, from) = (rng.next_u64() % (locals + 1), rng.next_u64() % (locals + 1));
        let n = rng.next_u64() % 100;
        match rng.next_u64() % 8 {
            0..=2 => write!(
                body,
                "(local.set {to} (i32.mul (local.get {from}) (i32.const {n})))"
            ),
            3 => write!(
                body,
                "(i32.store offset={n} (i32.const 0) (i32.xor (local.get {from}) (i32.const {n})))"
            ),
            4 => {
                open += 1;
                write!(body, "(i32.add (local.get {from}) ")
            }
            5 => write!(
                body,
                "(if (i32.and (local.get {from}) (i32.const 1))
                   (then (local.set {to} (i32.add (local.get {to}) (i32.load offset={n} (i32.const 0)))))
                   (else (local.set {from} (i32.sub (local.get {from}) (local.get {to})))))"
            ),
            6 => write!(
                body,
                "(block (loop (local.set {to} (i32.shl (local.get {to}) (i32.const 1)))
                   (br_if 1 (i32.lt_u (local.get {to}) (i32.const 99)))
                   (br_if 0 (i32.and (local.get {to}) (i32.const {}))) ))",
                n & 6
            ),
            _ => write!(body, "(drop (call $run (local.get {from})))"),
        }
        .unwrap();
    }
    body.push_str("(call $run (local.get 0))");
    body.push_str(&")".repeat(open));
    (format!("(local {declared})"), body)
}

#[test]
fn generated_recursion_is_as_deep_in_every_variant() {
    let mut rng = Rng(0x00de_e913);
    for round in 0..60 {
        let (locals, body) = random_body(&mut rng);
        same(&module(&locals, &body), &format!("round {round}"), None);
    }
}
