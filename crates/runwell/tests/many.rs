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

/// Instances of which the second memory is refused, one after the other in one store.
#[test]
fn refused_instances_leave_nothing_behind() {
    let _alone = alone();
    let engine = Engine::default();
    let module = Module::new(&engine, "(module (memory 1) (memory 2) (data (i32.const 0) \"x\"))");
    let module = module.unwrap();
    let limits = StoreLimitsBuilder::new().memory_size(65536).build();
    let mut store = Store::new(&engine, limits);
    store.limiter(|limits| limits);
    let mut once = || assert!(Instance::new(&mut store, &module, &[]).is_err());
    once();
    let (memory, space) = (resident(), reserved());
    (0..5_000).for_each(|_| once());
    let grown = resident().saturating_sub(memory);
    assert!(grown < 1 << 20, "{grown} bytes more in use");
    let grown = reserved().saturating_sub(space);
    assert!(grown < 64 << 20, "{grown} bytes more reserved");
}

/// Calls that wait for fuel or for an answer of the host keep a few frames each, not a stack each.
#[test]
fn a_hundred_thousand_suspended_guests() {
    const COUNT: i64 = 100_000;
    const DEEP: &str = r#"(module
        (import "host" "ask" (func $ask (param i64) (result i64)))
        (func $deep (export "deep") (param i64 i64) (result i64)
            (if (result i64) (i64.eqz (local.get 0))
                (then (call $ask (local.get 1)))
                (else (i64.add
                    (i64.mul (local.get 0) (local.get 1))
                    (call $deep (i64.sub (local.get 0) (i64.const 1)) (local.get 1)))))))"#;
    let _alone = alone();
    let engine = Engine::new(Config::new().consume_fuel(true)).unwrap();
    let mut linker = Linker::new(&engine);
    let ask = |_: Caller<'_, ()>, x: i64| -> Result<i64> { Err(Suspend::new(x).into()) };
    linker.func_wrap("host", "ask", ask).unwrap();
    let pre = linker.instantiate_pre(&Module::new(&engine, DEEP).unwrap()).unwrap();
    let (resident_before, reserved_before) = (resident(), reserved());
    let mut results = [Val::I64(0)];
    let mut all = Vec::new();
    for n in 0..COUNT {
        let mut store = Store::new(&engine, ());
        // Every other one gets as far as its second call only.
        store.set_fuel(if n % 2 == 0 { 1000 } else { 20 }).unwrap();
        let deep = pre.instantiate(&mut store).unwrap().get_func(&mut store, "deep").unwrap();
        let call = deep.call_resumable(&mut store, &[Val::I64(4), Val::I64(n)], &mut results);
        let ResumableCall::Suspended(call) = call.unwrap() else { panic!("{n} is finished") };
        assert_eq!(call.needs_fuel(), n % 2 == 1);
        all.push((n, store, call));
    }
    let each = (resident() - resident_before) / COUNT as usize;
    println!("{each} bytes per suspended guest");
    assert!(each < 24 << 10, "{each} bytes of memory per suspended guest");
    let space = reserved().saturating_sub(reserved_before) / COUNT as usize;
    assert!(space < 64 << 10, "{space} bytes of address space per suspended guest");
    // They go on on any thread, in any order.
    let rest = std::thread::spawn(move || {
        let mut results = [Val::I64(0)];
        for (n, mut store, mut call) in all.into_iter().rev() {
            if call.needs_fuel() {
                store.set_fuel(1000).unwrap();
                let next = call.resume(&mut store, &mut results).unwrap();
                let ResumableCall::Suspended(next) = next else { panic!("{n} has not asked") };
                call = next;
            }
            assert_eq!(call.request::<i64>(), Some(&n));
            let end = call.answer(&mut store, &[Val::I64(n + 7)], &mut results).unwrap();
            assert!(matches!(end, ResumableCall::Finished));
            assert_eq!(results[0].unwrap_i64(), 10 * n + n + 7);
        }
    });
    rest.join().unwrap();
}
