//! Many instances: at once, and one after the other.

use runwell::*;
use std::sync::{Mutex, MutexGuard, PoisonError};

const GUEST: &str = r#"
(module
    (import "host" "id" (func $id (result i32)))
    (memory (export "memory") 1)
    (data (i32.const 8) "data")
    (table 2 funcref) (elem (i32.const 0) $id)
    (global $calls (mut i32) (i32.const 0))
    (func (export "run") (result i32)
        (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
        (i32.store (i32.const 0) (i32.add (i32.load (i32.const 0)) (global.get $calls)))
        (i32.add (i32.load (i32.const 0)) (call_indirect (result i32) (i32.const 0)))))"#;

/// Each test measures the process or fills its address space, so only one runs at a time.
static ALONE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn pre(engine: &Engine) -> InstancePre<i32> {
    let mut linker = Linker::new(engine);
    linker.func_wrap("host", "id", |caller: Caller<'_, i32>| *caller.data()).unwrap();
    linker.instantiate_pre(&Module::new(engine, GUEST).unwrap()).unwrap()
}

/// Memory this process has in use, in bytes.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: usize = statm.split_whitespace().nth(1).unwrap().parse().unwrap();
    pages * 4096
}

/// Address space this process has, in bytes.
fn reserved() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: usize = statm.split_whitespace().next().unwrap().parse().unwrap();
    pages * 4096
}

fn run(store: &mut Store<i32>, instance: &Instance) -> i32 {
    let run = instance.get_typed_func::<(), i32>(&mut *store, "run").unwrap();
    run.call(store, ()).unwrap()
}

#[test]
fn ten_thousand_instances_live_at_once() {
    const COUNT: i32 = 10_000;
    let _alone = alone();
    let engine = Engine::default();
    let pre = pre(&engine);
    let before = resident();
    let mut all = Vec::new();
    for id in 0..COUNT {
        let mut store = Store::new(&engine, id * 10);
        let instance = pre.instantiate(&mut store).unwrap();
        all.push((store, instance));
    }
    let each = (resident() - before) / COUNT as usize;
    // Each has its own memory, global and store, in any order.
    for round in 1..=2 {
        for (store, instance) in all.iter_mut().rev() {
            let sum = round * (round + 1) / 2;
            assert_eq!(run(store, instance), store.data() + sum);
        }
    }
    println!("{each} bytes per instance that is idle");
    // A page of memory for the data, one for the table, the store's record and its lists.
    assert!(each < 64 << 10, "{each} bytes per instance");
}

#[test]
fn ten_thousand_instances_live_in_one_store() {
    let _alone = alone();
    let engine = Engine::default();
    let pre = pre(&engine);
    let mut store = Store::new(&engine, 5);
    let all: Vec<Instance> = (0..10_000).map(|_| pre.instantiate(&mut store).unwrap()).collect();
    for instance in all.iter().rev() {
        assert_eq!(run(&mut store, instance), 6);
    }
}

/// Instances one after the other, some that trap, some beside each other, and no growth.
fn in_turn(count: i32) {
    let _alone = alone();
    let engine = Engine::default();
    let pre = pre(&engine);
    let mut once = |id: i32| {
        let mut store = Store::new(&engine, id);
        let instance = pre.instantiate(&mut store).unwrap();
        assert_eq!(run(&mut store, &instance), id + 1);
        let mut inner = Store::new(&engine, -id);
        let other = pre.instantiate(&mut inner).unwrap();
        assert_eq!(run(&mut inner, &other), 1 - id);
        assert_eq!(run(&mut store, &instance), id + 3);
    };
    let warm = count / 10;
    (0..warm).for_each(&mut once);
    let (memory, space) = (resident(), reserved());
    (0..count - warm).for_each(&mut once);
    let grown = resident().saturating_sub(memory);
    assert!(grown < 2 << 20, "{grown} bytes more in use after {count} rounds");
    let grown = reserved().saturating_sub(space);
    assert!(grown < 64 << 20, "{grown} bytes more reserved after {count} rounds");
}

#[test]
fn a_million_in_turn_leave_nothing_behind() {
    in_turn(500_000);
}
