//! Several instances that share everything, with fuel and without: whole stores are compared.

use runwell::tape::{Event, Observer, View};
use runwell::{
    Caller, Config, Engine, Extern, Func, Global, GlobalType, Instance, Linker, Memory, MemoryType,
    Module, Mutability, Ref, RefType, Result, ResumableCall, Store, Suspend, Table, TableType,
    Trap, Val, ValType,
};
use runwell_crosscheck::{Check, Difference};

const LIBRARY: &str = r#"(module $library
    (import "host" "tick" (func $tick (param i32) (result i32)))
    (import "host" "memory" (memory $hosts 1 5))
    (memory $own (export "memory") 1 9)
    (table (export "table") 4 20 funcref)
    (global $count (export "count") (mut i64) (i64.const 0))
    (global (export "seven") i32 (i32.const 7))
    (type $t (func (param i32) (result i32)))
    (elem (i32.const 0) $step $tick)
    (func $step (export "step") (type $t)
        (global.set $count (i64.add (global.get $count) (i64.const 1)))
        (i32.store $own (i32.const 5000) (local.get 0))
        (i32.store8 $hosts (i32.const 9) (local.get 0))
        (i32.add (call $tick (local.get 0)) (i32.const 1)))
    ;; Calls what another instance has put into the table.
    (func (export "apply") (param i32 i32) (result i32)
        (call_indirect (type $t) (local.get 0) (local.get 1)))
    (func (export "deep") (param i32) (result i32)
        (if (result i32) (local.get 0)
            (then (return_call_indirect (type $t)
                (i32.sub (local.get 0) (i32.const 1)) (i32.const 3)))
            (else (i32.const 5)))))"#;

const PROGRAM: &str = r#"(module $program
    (import "library" "memory" (memory $theirs 1))
    (import "library" "table" (table $table 4 20 funcref))
    (import "library" "count" (global $count (mut i64)))
    (import "library" "seven" (global $seven i32))
    (import "library" "step" (func $step (param i32) (result i32)))
    (import "library" "apply" (func $apply (param i32 i32) (result i32)))
    (import "library" "deep" (func $deep (param i32) (result i32)))
    (import "host" "tick" (func $tick (param i32) (result i32)))
    (import "host" "slot" (global $slot (mut funcref)))
    (memory $mine (export "memory") 1)
    (global $sum (mut i32) (global.get $seven))
    (elem (i32.const 2) $double $down)
    (data $text "from the program")
    (data (memory $theirs) (i32.const 300) "written when it is made")
    (type $t (func (param i32) (result i32)))
    (func $start (global.set $sum (i32.add (global.get $sum) (call $tick (i32.const 1)))))
    (start $start)
    (func $double (type $t) (i32.mul (local.get 0) (i32.load $theirs (i32.const 5000))))
    (func $down (type $t) (return_call $deep (local.get 0)))
    (func (export "run") (param i32) (result i32)
        (global.set $slot (ref.func $double))
        (memory.init $theirs $text (i32.const 400) (i32.const 0) (i32.const 16))
        (memory.copy $mine $theirs (i32.const 0) (i32.const 290) (i32.const 200))
        (memory.fill $theirs (i32.const 600) (local.get 0) (i32.const 3000))
        (drop (table.grow $table (ref.func $down) (i32.const 1)))
        (drop (memory.grow $theirs (i32.const 1)))
        (global.set $sum (i32.add (global.get $sum) (call $step (local.get 0))))
        (global.set $sum (i32.add (global.get $sum) (call $apply (local.get 0) (i32.const 2))))
        (global.set $sum (i32.add (global.get $sum) (call $apply (local.get 0) (i32.const 1))))
        (i32.add (call $deep (i32.const 9)) (global.get $sum)))
    (func (export "trap") (param i32) (result i32)
        (drop (call $step (local.get 0)))
        ;; Another type than the element's.
        (drop (call_indirect $table (result i32) (i32.const 2)))
        (i32.const 0))
    (func (export "loop") (param i32) (result i32)
        (loop (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))) (local.get 0))
    (func (export "ask") (param i32) (result i32)
        (i32.add (call $tick (local.get 0)) (call $tick (i32.add (local.get 0) (i32.const 1))))))"#;

/// The hosts' data: whether its function suspends.
type Data = bool;

fn linker(engine: &Engine, store: &mut Store<Data>) -> Result<Linker<Data>> {
    let mut linker = Linker::new(engine);
    linker.func_wrap("host", "tick", |mut caller: Caller<'_, Data>, n: i32| -> Result<i32> {
        if *caller.data() {
            return Err(Suspend::new(n).into());
        }
        if n == 13 {
            return Err(Trap::IntegerOverflow.into());
        }
        // Calls back into whichever instance calls, and writes where it can.
        if let Some(Extern::Func(step)) = caller.get_export("step")
            && n > 2
        {
            step.typed::<i32, i32>(&caller)?.call(&mut caller, n / 2)?;
        }
        if let Some(Extern::Memory(memory)) = caller.get_export("memory") {
            memory.data_mut(&mut caller)[100] = n as u8;
        }
        Ok(n * 2)
    })?;
    let memory = Memory::new(&mut *store, MemoryType::new(2, Some(3)))?;
    linker.define(&*store, "host", "memory", memory)?;
    let ty = GlobalType::new(ValType::FUNCREF, Mutability::Var);
    let slot = Global::new(&mut *store, ty, Val::FuncRef(None))?;
    linker.define(&*store, "host", "slot", slot)?;
    // Nobody has any use for these, but they are there.
    Memory::new(&mut *store, MemoryType::new(9, Some(8))).expect_err("more than the most");
    Table::new(&mut *store, TableType::new(RefType::EXTERNREF, 2, None), Ref::Extern(None))?;
    Ok(linker)
}

/// Two programs that share one library.
fn linked(config: &Config) -> Result<(Store<Data>, [Instance; 2], Check)> {
    let engine = Engine::new(config)?;
    let mut store = Store::new(&engine, false);
    let check = runwell_crosscheck::attach(&mut store)?;
    let mut linker = linker(&engine, &mut store)?;
    if store.get_fuel().is_ok() {
        store.set_fuel(1_000_000)?;
    }
    linker.module(&mut store, "library", &Module::new(&engine, LIBRARY)?)?;
    let program = Module::new(&engine, PROGRAM)?;
    let one = linker.instantiate(&mut store, &program)?;
    let other = linker.instantiate(&mut store, &program)?;
    Ok((store, [one, other], check))
}

fn metered() -> Config {
    let mut config = Config::new();
    config.consume_fuel(true);
    config
}

fn call(store: &mut Store<Data>, instance: Instance, name: &str, n: i32) -> Result<i32> {
    instance.get_typed_func::<i32, i32>(&mut *store, name)?.call(store, n)
}

#[test]
fn instances_are_followed_together() -> Result<()> {
    for config in [Config::new(), metered()] {
        let (mut store, programs, check) = linked(&config)?;
        for n in 1..6 {
            for program in programs {
                call(&mut store, program, "run", n)?;
                assert!(call(&mut store, program, "trap", n).is_err());
                assert!(call(&mut store, program, "run", 13).is_err());
                call(&mut store, program, "loop", 100 * n)?;
            }
        }
        let summary = check.summary();
        assert_eq!((summary.ended, summary.difference), (None, None));
        assert!(summary.compared > 100, "{}", summary.compared);
    }
    Ok(())
}

/// An instance that is refused half-way is there all the same, for those that it has put something into.
#[test]
fn an_instance_that_traps_when_it_is_made_is_followed() -> Result<()> {
    for config in [Config::new(), metered()] {
        let (mut store, [program, _], check) = linked(&config)?;
        let engine = store.engine().clone();
        let mut again = Linker::new(&engine);
        let theirs = Memory::new(&mut store, MemoryType::new(1, None))?;
        again.define(&store, "", "memory", theirs)?;
        let text = r#"(module (import "" "memory" (memory 1))
            (data (i32.const 5) "written") (data (i32.const 65535) "outside"))"#;
        let error =
            again.instantiate(&mut store, &Module::new(&engine, text)?).expect_err("a trap");
        assert_eq!(error.downcast_ref::<Trap>(), Some(&Trap::MemoryOutOfBounds));
        let text = r#"(module (func $f unreachable) (start $f))"#;
        assert!(again.instantiate(&mut store, &Module::new(&engine, text)?).is_err());
        call(&mut store, program, "run", 3)?;
        let summary = check.summary();
        assert_eq!((summary.ended, summary.difference), (None, None));
    }
    Ok(())
}

#[test]
fn suspended_calls_are_followed() -> Result<()> {
    let (mut store, [program, other], check) = linked(&metered())?;
    // Slices of fuel: the evaluator goes on meanwhile, and is met again at the end.
    let func = program.get_func(&mut store, "loop").expect("a function");
    let mut results = [Val::I32(0)];
    store.set_fuel(50)?;
    let mut ran = func.call_resumable(&mut store, &[Val::I32(200)], &mut results)?;
    let mut slices = 0;
    while let ResumableCall::Suspended(waits) = ran {
        // What is called meanwhile fails.
        assert!(call(&mut store, other, "loop", 1).is_err());
        store.set_fuel(store.get_fuel()? + 77)?;
        ran = waits.resume(&mut store, &mut results)?;
        slices += 1;
    }
    assert!(slices > 5);
    store.set_fuel(1_000_000)?;
    // Answers, between which the host does this and that; and one that is given up.
    for answered in [0, 1, 2, 2] {
        *store.data_mut() = true;
        let func = program.get_func(&mut store, "ask").expect("a function");
        let mut ran = func.call_resumable(&mut store, &[Val::I32(5)], &mut results)?;
        for n in 0..answered {
            let ResumableCall::Suspended(waits) = ran else { panic!("it asks twice") };
            assert_eq!(waits.request::<i32>(), Some(&(5 + n)));
            let engine = store.engine().clone();
            let text = r#"(module (memory 1) (func $f (i32.store (i32.const 8) (i32.const 1))))"#;
            Instance::new(&mut store, &Module::new(&engine, text)?, &[])?;
            store.set_fuel(1000)?;
            ran = waits.answer(&mut store, &[Val::I32(n)], &mut results)?;
        }
        match ran {
            ResumableCall::Suspended(waits) => waits.cancel(&mut store),
            ResumableCall::Finished => assert_eq!(results[0].unwrap_i32(), 1),
        }
        // A call that cannot be suspended.
        assert!(call(&mut store, other, "ask", 1).is_err());
        *store.data_mut() = false;
        call(&mut store, other, "ask", 1)?;
    }
    let summary = check.summary();
    assert_eq!((summary.ended, summary.difference), (None, None));
    assert!(summary.compared > 15, "{}", summary.compared);
    Ok(())
}

/// Whatever is done meanwhile that can be done.
#[test]
fn what_is_done_while_a_call_waits_for_fuel_is_followed() -> Result<()> {
    let (mut store, [program, other], check) = linked(&metered())?;
    let func = program.get_func(&mut store, "loop").expect("a function");
    let mut results = [Val::I32(0)];
    for given_up in [false, true, false] {
        store.set_fuel(50)?;
        let ran = func.call_resumable(&mut store, &[Val::I32(200)], &mut results)?;
        let ResumableCall::Suspended(mut waits) = ran else { panic!("there is too little") };
        for n in 0..20 {
            let engine = store.engine().clone();
            let text = r#"(module (memory (data "is made")) (func (export "f")))"#;
            Instance::new(&mut store, &Module::new(&engine, text)?, &[])?;
            Memory::new(&mut store, MemoryType::new(1, None))?;
            let memory = other.get_memory(&mut store, "memory").expect("a memory");
            memory.grow(&mut store, 1).expect_err("it may have been read");
            assert_eq!(memory.data(&store).len(), 65536);
            if given_up && n == 3 {
                store.cancel_suspended();
            }
            store.set_fuel(store.get_fuel()? + 20)?;
            match waits.resume(&mut store, &mut results) {
                Ok(ResumableCall::Suspended(again)) => waits = again,
                ended => {
                    assert!(ended.is_err() == given_up);
                    break;
                }
            }
        }
        store.cancel_suspended();
        store.set_fuel(100_000)?;
        call(&mut store, program, "run", 3)?;
    }
    let summary = check.summary();
    assert_eq!((summary.ended, summary.difference), (None, None));
    assert!(summary.compared > 40, "{}", summary.compared);
    Ok(())
}

/// Somebody who tells the machine's fuel wrongly, in place of a machine that counts wrongly.
#[test]
fn fuel_that_differs_is_noticed() -> Result<()> {
    /// Takes what is left in one call, and passes on the rest.
    struct Thief(Box<dyn Observer>, u32);

    impl Observer for Thief {
        fn event(&mut self, event: &Event, view: &mut View<'_>) -> Result<()> {
            let mut event = event.clone();
            if let Event::HostCall { fuel: Some(left), .. } | Event::Done { fuel: Some(left), .. } =
                &mut event
            {
                self.1 += 1;
                if self.1 == 5 {
                    *left -= 1;
                }
            }
            self.0.event(&event, view)
        }
    }
    let engine = Engine::new(&metered())?;
    let mut store = Store::new(&engine, false);
    let (check, observer) = runwell_crosscheck::observer();
    store.observe(Thief(Box::new(observer), 0))?;
    let mut linker = linker(&engine, &mut store)?;
    store.set_fuel(1_000_000)?;
    linker.module(&mut store, "library", &Module::new(&engine, LIBRARY)?)?;
    let program = linker.instantiate(&mut store, &Module::new(&engine, PROGRAM)?)?;
    let error = (0..5).find_map(|n| call(&mut store, program, "run", n).err());
    let error = error.expect("a difference");
    let found = error.downcast_ref::<Difference>().expect("a difference");
    assert_eq!((&*found.what, &*found.at), ("the fuel used", "comparison 5, the end of a call"));
    assert_eq!(check.summary().difference.as_ref(), Some(found));
    Ok(())
}

/// References to functions of all kinds pass between instances and the host.
#[test]
fn functions_go_around() -> Result<()> {
    let engine = Engine::default();
    let mut store = Store::new(&engine, false);
    let check = runwell_crosscheck::attach(&mut store)?;
    let text = r#"(module
        (import "host" "pass" (func $pass (param funcref) (result funcref)))
        (table (export "table") 2 funcref)
        (elem declare func $own $pass)
        (func $own)
        (func (export "own") (result funcref) (call $pass (ref.func $own)))
        (func (export "host") (result funcref) (call $pass (ref.func $pass)))
        (func (export "set") (param funcref) (table.set (i32.const 1) (call $pass (local.get 0))))
        (func (export "call") (call_indirect (i32.const 1))))"#;
    let module = Module::new(&engine, text)?;
    let mut linker = Linker::new(&engine);
    linker.func_wrap("host", "pass", |func: Option<Func>| func)?;
    let one = linker.instantiate(&mut store, &module)?;
    let other = linker.instantiate(&mut store, &module)?;
    let mut funcs = vec![None, Some(Func::wrap(&mut store, || {}))];
    for name in ["own", "host"] {
        let func = one.get_typed_func::<(), Option<Func>>(&mut store, name)?;
        funcs.push(func.call(&mut store, ())?);
    }
    for func in funcs {
        let set = other.get_typed_func::<Option<Func>, ()>(&mut store, "set")?;
        set.call(&mut store, func)?;
        // Null, another type, or a call of the other instance or of the host.
        _ = other.get_typed_func::<(), ()>(&mut store, "call")?.call(&mut store, ());
        let table = one.get_table(&mut store, "table").expect("a table");
        table.set(&mut store, 0, Ref::Func(func))?;
    }
    let summary = check.summary();
    assert_eq!((summary.ended, summary.difference), (None, None));
    Ok(())
}
