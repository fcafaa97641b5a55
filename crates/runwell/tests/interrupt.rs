//! Guests that are stopped by another thread.

use runwell::{Config, Engine, Instance, Linker, Module, Store, Trap, TypedFunc};
use std::time::{Duration, Instant};

const GUEST: &str = r#"(module
    (import "host" "sleep" (func $sleep))
    (memory 2000)
    (func (export "fills")
        (loop
            (memory.fill (i32.const 0) (i32.const 1) (i32.const 131072000))
            (memory.copy (i32.const 100) (i32.const 0) (i32.const 131000000))
            (br 0)))
    (func (export "spin") (loop (br 0)))
    (func $f (param i32) (result i32)
        (if (result i32) (local.get 0)
            (then (i32.add (call $f (i32.sub (local.get 0) (i32.const 1))) (i32.const 1)))
            (else (i32.const 0))))
    (func (export "calls") (loop (drop (call $f (i32.const 100))) (br 0)))
    (func (export "stores") (local i32)
        (loop
            (i32.store (i32.and (local.get 0) (i32.const 0xfffc)) (local.get 0))
            (local.set 0 (i32.add (local.get 0) (i32.const 1)))
            (br 0)))
    (func (export "sleeps") (loop (call $sleep) (br 0)))
    (func (export "once") (call $sleep)))"#;

fn store(metered: bool) -> (Store<u32>, Instance) {
    let engine = Engine::new(Config::new().consume_fuel(metered)).unwrap();
    let module = Module::new(&engine, GUEST).unwrap();
    let mut store = Store::new(&engine, 0);
    let mut linker = Linker::new(&engine);
    let sleep = |mut caller: runwell::Caller<'_, u32>| {
        std::thread::sleep(Duration::from_millis(2));
        *caller.data_mut() += 1;
    };
    linker.func_wrap("host", "sleep", sleep).unwrap();
    let instance = linker.instantiate(&mut store, &module).unwrap();
    (store, instance)
}

/// From when somebody asks to when the host has control again.
const SOON: Duration = Duration::from_millis(10);

#[test]
fn whatever_the_guest_does_it_stops_soon() {
    for metered in [false, true] {
        let (mut store, instance) = store(metered);
        let handle = store.interrupt_handle().unwrap();
        for name in ["spin", "calls", "stores", "sleeps", "fills"] {
            let func: TypedFunc<(), ()> = instance.get_typed_func(&mut store, name).unwrap();
            let mut times = Vec::new();
            for round in 0..20 {
                store.set_fuel(u64::MAX).ok();
                let handle = handle.clone();
                let stopper = std::thread::spawn(move || {
                    std::thread::sleep(Duration::from_micros(300 * round));
                    let asked = Instant::now();
                    while !handle.interrupt() {}
                    asked
                });
                let error = func.call(&mut store, ()).unwrap_err();
                let ended = Instant::now();
                assert_eq!(
                    error.downcast_ref::<Trap>(),
                    Some(&Trap::Interrupt),
                    "{name}: {error:#}"
                );
                times.push(ended.duration_since(stopper.join().unwrap()));
            }
            times.sort_unstable();
            // The median, since threads of a busy machine may wait longer than that for each other.
            assert!(times[times.len() / 2] < SOON, "{name}: {times:?}");
            assert!(times[times.len() - 1] < Duration::from_secs(5), "{name}: {times:?}");
            println!(
                "{name}, metered {metered}: {:?}, median {:?}",
                times[0],
                times[times.len() / 2]
            );
        }
        // The store is none the worse for it.
        let func: TypedFunc<(), ()> = instance.get_typed_func(&mut store, "once").unwrap();
        let before = *store.data();
        func.call(&mut store, ()).unwrap();
        assert_eq!(*store.data(), before + 1);
    }
}

#[test]
fn a_call_that_ends_by_itself_is_no_guest_stopped() {
    let (mut store, instance) = store(false);
    let handle = store.interrupt_handle().unwrap();
    assert!(!handle.interrupt());
    let func: TypedFunc<(), ()> = instance.get_typed_func(&mut store, "once").unwrap();
    // Interrupted while the host function sleeps, behind which the guest returns or is stopped.
    let stopper = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_micros(500));
        handle.interrupt()
    });
    let ended = func.call(&mut store, ()).is_ok();
    assert!(!(stopper.join().unwrap() && ended));
    // Nothing is left for the next call.
    func.call(&mut store, ()).unwrap();
}
