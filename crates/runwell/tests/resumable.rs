//! Calls that are suspended, by whom they can be resumed, and what host functions ask for.

use runwell::{
    Caller, Config, Engine, Instance, Linker, Module, Result, ResumableCall, Store, Suspend,
    SuspendedCall, Trap, Val,
};

const GUEST: &str = r#"(module
    (import "host" "ask" (func $ask (param i32) (result i64)))
    (func (export "numbers") (result i64)
        (i64.add (call $ask (i32.const 1)) (i64.mul (call $ask (i32.const 2)) (i64.const 100))))
    (func (export "reference") (result funcref) (local i32)
        (loop (br_if 0 (i32.lt_u
            (local.tee 0 (i32.add (local.get 0) (i32.const 1))) (i32.const 1000))))
        (ref.null func))
    (func (export "count") (result i64) (local i64)
        (loop (br_if 0 (i64.lt_u
            (local.tee 0 (i64.add (local.get 0) (i64.const 1))) (i64.const 1000))))
        (local.get 0)))"#;

fn store(engine: &Engine) -> (Store<()>, Instance) {
    let module = Module::new(engine, GUEST).unwrap();
    let mut store = Store::new(engine, ());
    let mut linker = Linker::new(engine);
    let ask = |_: Caller<'_, ()>, what: i32| -> Result<i64> { Err(Suspend::new(what).into()) };
    linker.func_wrap("host", "ask", ask).unwrap();
    let instance = linker.instantiate(&mut store, &module).unwrap();
    (store, instance)
}

fn metered() -> Engine {
    Engine::new(Config::new().consume_fuel(true)).unwrap()
}

fn begin(
    store: &mut Store<()>,
    instance: &Instance,
    name: &str,
    results: &mut [Val],
) -> SuspendedCall {
    let func = instance.get_func(&mut *store, name).unwrap();
    match func.call_resumable(&mut *store, &[], results).unwrap() {
        ResumableCall::Suspended(call) => call,
        ResumableCall::Finished => panic!("{name} finished"),
    }
}

#[test]
fn host_functions_suspend_and_are_answered() {
    for engine in [Engine::default(), metered()] {
        let (mut store, instance) = store(&engine);
        store.set_fuel(1000).ok();
        let mut results = [Val::I64(0)];
        let first = begin(&mut store, &instance, "numbers", &mut results);
        assert!(!first.needs_fuel() && first.request::<i32>() == Some(&1));
        let next = first.answer(&mut store, &[Val::I64(7)], &mut results).unwrap();
        let ResumableCall::Suspended(second) = next else { panic!("asks twice") };
        assert_eq!(second.request::<i32>(), Some(&2));
        let end = second.answer(&mut store, &[Val::I64(3)], &mut results).unwrap();
        assert!(matches!(end, ResumableCall::Finished));
        assert_eq!(results[0].unwrap_i64(), 307);
    }
}

#[test]
fn an_answer_of_another_type_is_refused() {
    let (mut store, instance) = store(&Engine::default());
    let mut results = [Val::I64(0)];
    let call = begin(&mut store, &instance, "numbers", &mut results);
    assert!(call.answer(&mut store, &[Val::I32(7)], &mut results).is_err());
    // It is still suspended, and nothing else runs until it is given up.
    let func = instance.get_func(&mut store, "count").unwrap();
    assert!(func.call(&mut store, &[], &mut results).is_err());
    store.cancel_suspended();
    func.call(&mut store, &[], &mut results).unwrap();
    assert_eq!(results[0].unwrap_i64(), 1000);
}

/// Results are read by the type of the call that was suspended, so a handle goes on with that one only.
#[test]
fn a_handle_goes_on_with_its_own_call_only() {
    let engine = metered();
    let ((mut one, of_one), (mut other, of_other)) = (store(&engine), store(&engine));
    one.set_fuel(100).unwrap();
    other.set_fuel(100).unwrap();
    let (mut reference, mut number) = ([Val::I64(0)], [Val::I64(0)]);
    // In another store.
    let call = begin(&mut one, &of_one, "reference", &mut reference);
    let counting = begin(&mut other, &of_other, "count", &mut number);
    other.set_fuel(1 << 20).unwrap();
    assert!(call.resume(&mut other, &mut reference).is_err());
    // A later call of the same store.
    one.cancel_suspended();
    one.set_fuel(100).unwrap();
    let stale = begin(&mut one, &of_one, "reference", &mut reference);
    one.cancel_suspended();
    let fresh = begin(&mut one, &of_one, "count", &mut number);
    one.set_fuel(1 << 20).unwrap();
    assert!(stale.resume(&mut one, &mut reference).is_err());
    for (call, store) in [(fresh, &mut one), (counting, &mut other)] {
        let end = call.resume(store, &mut number).unwrap();
        assert!(matches!(end, ResumableCall::Finished));
        assert_eq!(number[0].unwrap_i64(), 1000);
    }
}

/// A load outside of memory behind operators without effect: when it traps they are not paid for yet.
#[test]
fn a_trap_that_is_not_paid_for_waits_for_fuel() {
    const TRAPS: &str = r#"(module (memory 1) (global $g (mut i32) (i32.const 0))
        (func (export "late") (result i32)
            (i32.load (i32.add (i32.const -8) (i32.const 3))))
        (func (export "after") (result i32)
            (global.set $g (i32.const 1))
            (i32.div_u (i32.const 1) (i32.sub (global.get $g) (i32.const 1))))
        (func (export "set") (result i32) (global.get $g)))"#;
    let engine = metered();
    let module = Module::new(&engine, TRAPS).unwrap();
    // What each of them has executed when it traps, and what must be there for it to get that far.
    for (name, executed, trap) in
        [("late", 4, Trap::MemoryOutOfBounds), ("after", 7, Trap::IntegerDivisionByZero)]
    {
        for fuel in 0..10 {
            let mut store = Store::new(&engine, ());
            let instance = Instance::new(&mut store, &module, &[]).unwrap();
            store.set_fuel(fuel).unwrap();
            let mut results = [Val::I32(0)];
            let func = instance.get_func(&mut store, name).unwrap();
            let error = func.call(&mut store, &[], &mut results).unwrap_err();
            let found = *error.downcast_ref::<Trap>().unwrap();
            let left = store.get_fuel().unwrap();
            if fuel < executed {
                assert_eq!(found, Trap::OutOfFuel, "{name} with {fuel}");
            } else {
                assert_eq!((found, left), (trap, fuel - executed), "{name} with {fuel}");
            }

            // The same in slices of one unit.
            let mut store = Store::new(&engine, ());
            let instance = Instance::new(&mut store, &module, &[]).unwrap();
            store.set_fuel(fuel).unwrap();
            let func = instance.get_func(&mut store, name).unwrap();
            let (mut given, mut stops) = (fuel, 0);
            let mut call = func.call_resumable(&mut store, &[], &mut results);
            let trapped = loop {
                match call {
                    Ok(ResumableCall::Suspended(suspended)) => {
                        assert!(suspended.needs_fuel() && given < executed);
                        let left = store.get_fuel().unwrap();
                        store.set_fuel(left + 1).unwrap();
                        (given, stops) = (given + 1, stops + 1);
                        call = suspended.resume(&mut store, &mut results);
                    }
                    Ok(ResumableCall::Finished) => panic!("{name} finished"),
                    Err(error) => break *error.downcast_ref::<Trap>().unwrap(),
                }
            };
            assert_eq!(trapped, trap);
            assert_eq!(stops, u64::saturating_sub(executed, fuel));
            assert_eq!(given - store.get_fuel().unwrap(), executed);
            // The store is free again.
            store.set_fuel(100).unwrap();
            let set = instance.get_func(&mut store, "set").unwrap();
            set.call(&mut store, &[], &mut results).unwrap();
            assert_eq!(results[0].unwrap_i32(), i32::from(name == "after"));
        }
    }
}

#[test]
fn a_trap_that_waits_for_fuel_can_be_given_up() {
    let engine = metered();
    let text = r#"(module (memory 1) (func (export "f") (drop (i32.load (i32.const -8)))))"#;
    let module = Module::new(&engine, text).unwrap();
    let mut store = Store::new(&engine, ());
    let instance = Instance::new(&mut store, &module, &[]).unwrap();
    for _ in 0..3 {
        store.set_fuel(1).unwrap();
        begin(&mut store, &instance, "f", &mut []).cancel(&mut store);
        // Nothing of it comes up in the next call.
        store.set_fuel(2).unwrap();
        let func = instance.get_func(&mut store, "f").unwrap();
        let error = func.call_resumable(&mut store, &[], &mut []).unwrap_err();
        assert_eq!(error.downcast_ref::<Trap>(), Some(&Trap::MemoryOutOfBounds));
        assert_eq!(store.get_fuel().unwrap(), 0);
    }
}

/// Operators without effect are charged when something asks, so loops that only compute still pay for
/// each iteration, and what others can see is never ahead of its payment.
#[test]
fn effects_are_paid_for_before_they_happen() {
    const STORES: &str = r#"(module (memory (export "m") 1)
        (func (export "f") (param i32)
            (loop
                (br_if 1 (i32.eqz (local.get 0)))
                (i32.store (i32.const 0) (i32.add (i32.load (i32.const 0)) (i32.const 1)))
                (local.set 0 (i32.sub (local.get 0) (i32.const 1)))
                (br 0))))"#;
    let engine = metered();
    let module = Module::new(&engine, STORES).unwrap();
    let run = |fuel: u64| {
        let mut store = Store::new(&engine, ());
        let instance = Instance::new(&mut store, &module, &[]).unwrap();
        store.set_fuel(fuel).unwrap();
        let func = instance.get_func(&mut store, "f").unwrap();
        let done = func.call(&mut store, &[Val::I32(5)], &mut []).is_ok();
        let memory = instance.get_memory(&mut store, "m").unwrap();
        (done, memory.data(&store)[0], store.get_fuel().unwrap())
    };
    // An iteration is 14 operators that cost, the store the ninth of them; the last one leaves after 3.
    for fuel in 0..90 {
        let (done, stores, left) = run(fuel);
        assert_eq!(done, fuel >= 5 * 14 + 3, "with {fuel}");
        let paid = fuel - left;
        assert!(paid >= u64::from(stores) * 14 - if stores > 0 { 5 } else { 0 }, "with {fuel}");
        assert!(done || u64::from(stores) <= fuel / 9, "{stores} stores with {fuel}");
    }
}

/// What a guest may have read does not change while it waits for fuel, however it was compiled; where it
/// waits for an answer, everything may.
#[test]
fn nothing_changes_while_a_call_waits_for_fuel() {
    const TEXT: &str = r#"(module
        (import "host" "ask" (func $ask))
        (memory (export "memory") 1 9)
        (table (export "table") 2 9 funcref)
        (global (export "g") (mut i32) (i32.const 0))
        (func (export "spin") (loop (br_if 0 (i32.eqz (global.get 0)))))
        (func (export "ask") (call $ask) (loop (br_if 0 (i32.eqz (global.get 0))))))"#;
    const FILLS: &str = r#"(module (import "" "memory" (memory 1)) (data (i32.const 5) "x"))"#;
    const PUTS: &str = r#"(module (import "" "table" (table 1 funcref))
        (func $f) (elem (i32.const 0) $f))"#;
    const OWN: &str = r#"(module (import "" "memory" (memory 1)) (memory 1)
        (table 1 funcref) (func $f) (elem (i32.const 0) $f) (data (memory 1) (i32.const 0) "x"))"#;
    let engine = metered();
    let mut linker = Linker::new(&engine);
    linker.func_wrap("host", "ask", || -> Result<()> { Err(Suspend::new(()).into()) }).unwrap();
    let mut store = Store::new(&engine, ());
    let module = Module::new(&engine, TEXT).unwrap();
    let instance = linker.instantiate(&mut store, &module).unwrap();
    let memory = instance.get_memory(&mut store, "memory").unwrap();
    let table = instance.get_table(&mut store, "table").unwrap();
    let global = instance.get_global(&mut store, "g").unwrap();
    let mut names = Linker::<()>::new(&engine);
    names.define(&store, "", "memory", memory).unwrap();
    names.define(&store, "", "table", table).unwrap();
    let module = |text| Module::new(&engine, text).unwrap();
    let null = || runwell::Ref::Func(None);
    type Deed<'a> = (&'static str, Box<dyn Fn(&mut Store<()>) -> Result<()> + 'a>);
    let deeds: Vec<Deed<'_>> = vec![
        ("global", Box::new(|store| global.set(store, Val::I32(0)))),
        ("element", Box::new(|store| table.set(store, 0, null()))),
        ("elements", Box::new(|store| table.fill(store, 0, null(), 2))),
        ("copy", Box::new(|store| runwell::Table::copy(store, &table, 0, &table, 1, 1))),
        ("more elements", Box::new(|store| table.grow(store, 0, null()).map(|_| ()))),
        ("more pages", Box::new(|store| memory.grow(store, 0).map(|_| ()))),
        ("data", Box::new(|store| names.instantiate(store, &module(FILLS)).map(|_| ()))),
        ("references", Box::new(|store| names.instantiate(store, &module(PUTS)).map(|_| ()))),
    ];
    let mut none: [Val; 0] = [];
    for (name, waits_for_fuel) in [("spin", true), ("ask", false)] {
        store.set_fuel(10).unwrap();
        let func = instance.get_func(&mut store, name).unwrap();
        let ran = func.call_resumable(&mut store, &[], &mut none).unwrap();
        let ResumableCall::Suspended(call) = ran else { panic!("it waits") };
        assert_eq!(call.needs_fuel(), waits_for_fuel);
        for (what, deed) in &deeds {
            let done = deed(&mut store);
            assert_eq!(done.is_err(), waits_for_fuel, "{name}: {what}");
            if let Err(error) = done {
                assert!(error.to_string().contains("waits for fuel"), "{what}: {error}");
            }
        }
        names.instantiate(&mut store, &module(OWN)).unwrap();
        assert_eq!((memory.data(&store)[5] == b'x', memory.size(&store)), (!waits_for_fuel, 1));
        call.cancel(&mut store);
    }
    // Memories are handed out, which shows when the call is to go on.
    type Touch = fn(runwell::Memory, &mut Store<()>);
    let touches: [(Touch, bool); 5] = [
        (|memory, store| _ = memory.data(&*store)[0], false),
        (|memory, store| memory.read(&*store, 0, &mut [0; 4]).unwrap(), false),
        (|memory, store| memory.data_mut(&mut *store)[0] = 1, true),
        (|memory, store| _ = memory.data_and_store_mut(&mut *store), true),
        (|memory, store| memory.write(&mut *store, 0, b"1").unwrap(), true),
    ];
    let spin = instance.get_func(&mut store, "spin").unwrap();
    for (touch, gives_up) in touches {
        touch(memory, &mut store);
        let ran = spin.call_resumable(&mut store, &[], &mut none).unwrap();
        let ResumableCall::Suspended(call) = ran else { panic!("it waits") };
        touch(memory, &mut store);
        store.set_fuel(100).unwrap();
        match call.resume(&mut store, &mut none) {
            Ok(ResumableCall::Suspended(call)) => {
                assert!(!gives_up);
                call.cancel(&mut store);
            }
            Ok(ResumableCall::Finished) => panic!("it has no end"),
            Err(error) => assert!(gives_up && error.to_string().contains("given up"), "{error}"),
        }
        // The store is as any other.
        global.set(&mut store, Val::I32(1)).unwrap();
        store.set_fuel(100).unwrap();
        spin.call(&mut store, &[], &mut none).unwrap();
        global.set(&mut store, Val::I32(0)).unwrap();
        store.set_fuel(0).unwrap();
    }
}
