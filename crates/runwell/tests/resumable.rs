//! Calls that are suspended, by whom they can be resumed, and what host functions ask for.

use runwell::{
    Caller, Config, Engine, Instance, Linker, Module, ResumableCall, Store, Suspend, SuspendedCall,
    Val,
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
    let ask =
        |_: Caller<'_, ()>, what: i32| -> runwell::Result<i64> { Err(Suspend::new(what).into()) };
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
