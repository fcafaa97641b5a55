//! What happens in stores, followed: calls back and forth, traps, limiters, and where fuel or the stack is
//! used up.

use runwell::{
    AsContextMut, Caller, Config, Engine, Extern, Func, Instance, Linker, Module, OperatorClass,
    Ref, ResourceLimiter, Result, ResumableCall, Schedule, Store, Trap, Val,
};

const MODULE: &str = r#"(module
    (import "host" "back" (func $back (param funcref i32) (result i32)))
    (import "host" "object" (func $object (result externref)))
    (import "host" "fail" (func $fail))
    (memory (export "memory") 1 10)
    (table (export "table") 4 10 funcref)
    (table $objects 4 externref)
    (global $g (export "g") (mut i32) (i32.const 0))
    (elem (i32.const 0) $inner $back)
    (data (i32.const 100) "hello")
    (type $inner (func (param i32) (result i32)))
    (func $start (i32.store (i32.const 0) (i32.const 42)))
    (start $start)
    (func $inner (type $inner)
        (global.set $g (i32.add (global.get $g) (local.get 0)))
        (i32.mul (local.get 0) (i32.const 3)))
    (func (export "run") (param i32) (result i32)
        (table.set $objects (i32.const 1) (call $object))
        (drop (memory.grow (i32.const 1)))
        (i32.store8 offset=65530 (i32.const 0) (i32.const 7))
        (i32.add
            (call $back (ref.func $inner) (local.get 0))
            (call_indirect (type $inner) (i32.const 2) (i32.const 0))))
    (func (export "fail") (result i32) (call $fail) (i32.const 1))
    (func (export "trap") (param i32) (result i32) (i32.div_u (i32.const 1) (local.get 0)))
    (func $deep (export "deep") (result i32) (call $deep))
    (func (export "spin") (loop (br 0))))"#;

fn linker(engine: &Engine) -> Result<Linker<()>> {
    let mut linker = Linker::new(engine);
    linker.func_wrap(
        "host",
        "back",
        |mut caller: Caller<'_, ()>, func: Option<Func>, by: i32| -> Result<i32> {
            let Some(Extern::Memory(memory)) = caller.get_export("memory") else { return Ok(0) };
            let Some(Extern::Global(g)) = caller.get_export("g") else { return Ok(0) };
            let Some(Extern::Table(table)) = caller.get_export("table") else { return Ok(0) };
            memory.write(&mut caller, 65000, b"the host was here")?;
            memory.grow(&mut caller, 1)?;
            g.set(&mut caller, Val::I32(100))?;
            table.grow(&mut caller, 1, Ref::Func(func))?;
            let result =
                func.expect("a function").typed::<i32, i32>(&caller)?.call(&mut caller, by)?;
            memory.data_mut(&mut caller)[3] = 9;
            Ok(result)
        },
    )?;
    linker.func_wrap("host", "object", |mut caller: Caller<'_, ()>| {
        runwell::ExternRef::new(caller.as_context_mut(), 5).map(Some)
    })?;
    linker.func_wrap("host", "fail", || -> Result<()> { Err(runwell::format_err!("no")) })?;
    Ok(linker)
}

fn checked(config: &Config) -> Result<(Store<()>, Instance, runwell_crosscheck::Check)> {
    let engine = Engine::new(config)?;
    let module = Module::new(&engine, MODULE)?;
    let mut store = Store::new(&engine, ());
    if store.get_fuel().is_ok() {
        store.set_fuel(10_000)?;
    }
    let check = runwell_crosscheck::attach(&mut store)?;
    let instance = linker(&engine)?.instantiate(&mut store, &module)?;
    Ok((store, instance, check))
}

fn call(store: &mut Store<()>, instance: Instance, name: &str, args: &[Val]) -> Result<()> {
    let func = instance.get_func(&mut *store, name).expect("an export");
    let mut results = vec![Val::I32(0); func.ty(&*store).results().len()];
    func.call(store, args, &mut results)
}

#[test]
fn both_sides_go_on_after_everything() -> Result<()> {
    for metered in [false, true] {
        let mut config = Config::new();
        config.consume_fuel(metered);
        let (mut store, instance, check) = checked(&config)?;
        for n in 1..4 {
            call(&mut store, instance, "run", &[Val::I32(n)])?;
            assert!(call(&mut store, instance, "fail", &[]).is_err());
            assert!(call(&mut store, instance, "trap", &[Val::I32(0)]).is_err());
            call(&mut store, instance, "trap", &[Val::I32(n)])?;
        }
        // The start function; three times: two imports and a call back, a call of which the host was
        // asked, one that failed, one that trapped and one that did not.
        let summary = check.summary();
        assert_eq!((summary.ended, summary.difference), (None, None));
        assert_eq!(summary.compared, 1 + 3 * (2 + 1 + 1 + 2 + 1 + 1));
    }
    Ok(())
}

/// Where the fuel or the stack is used up, both have come to the same place, and go on together.
#[test]
fn what_is_used_up_is_followed() -> Result<()> {
    let mut metered = Config::new();
    metered.consume_fuel(true);
    for (config, name, trap) in [
        (Config::new(), "deep", Trap::StackOverflow),
        (metered.clone(), "deep", Trap::StackOverflow),
        (metered, "spin", Trap::OutOfFuel),
    ] {
        let (mut store, instance, check) = checked(&config)?;
        for n in 1..4 {
            if store.get_fuel().is_ok() {
                store.set_fuel(1_000_000)?;
            }
            let error = call(&mut store, instance, name, &[]).expect_err("a trap");
            assert_eq!(error.downcast_ref::<Trap>(), Some(&trap));
            if store.get_fuel().is_ok() {
                store.set_fuel(1_000)?;
            }
            call(&mut store, instance, "run", &[Val::I32(n)])?;
        }
        let summary = check.summary();
        assert_eq!((summary.ended, summary.difference), (None, None), "{name}");
        assert_eq!(summary.compared, 1 + 3 * (1 + 2 + 1 + 1));
    }
    Ok(())
}

/// A module that stores, sets globals and tables, calls itself, the host and another instance, grows, fills,
/// copies, divides and may trap, so that fuel can run out in each of these.
const BUSY: &str = r#"(module
    (import "host" "tick" (func $tick (param i32) (result i32)))
    (import "other" "step" (func $step (param i32) (result i32)))
    (memory (export "memory") 1 3)
    (table 3 5 funcref)
    (elem declare func $busy)
    (data $text "some text that is longer than one unit of fuel pays for, by a little more than that")
    (global $g (export "g") (mut i32) (i32.const 0))
    (func $busy (export "busy") (param $n i32) (result i32)
        (local $i i32) (local i64 i64 i64 i64 i64 i64 i64 i64)
        (if (i32.eqz (local.get $n)) (then (return (global.get $g))))
        (loop $again
            (global.set $g (i32.add (global.get $g) (local.get $n)))
            (i32.store offset=64 (i32.shl (local.get $i) (i32.const 2)) (global.get $g))
            (br_if $again (i32.lt_u
                (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $n))))
        (memory.init $text (i32.const 1000) (i32.const 0) (i32.const 80))
        (memory.copy (i32.const 2000) (i32.const 1000) (i32.mul (local.get $n) (i32.const 300)))
        (memory.fill (i32.const 9000) (local.get $n) (i32.const 1500))
        (drop (memory.grow (i32.const 1)))
        (drop (table.grow (ref.null func) (i32.const 1)))
        (table.set (i32.and (local.get $n) (i32.const 1)) (ref.func $busy))
        (drop (call $step (call $tick (local.get $n))))
        (i32.store (i32.const 0) (i32.div_u (i32.const 100) (i32.sub (local.get $n) (i32.const 2))))
        (call $busy (i32.sub (local.get $n) (i32.const 1))))
    (func (export "try") (param i32) (result i32) (call $tick (local.get 0))))"#;

const OTHER: &str = r#"(module
    (import "host" "tick" (func $tick (param i32) (result i32)))
    (memory 1) (global $n (mut i32) (i32.const 1))
    (func (export "step") (param i32) (result i32)
        (i32.store8 (local.get 0) (global.get $n))
        (global.set $n (i32.add (global.get $n) (call $tick (i32.const 0))))
        (global.get $n)))"#;

fn busy(config: &Config, fuel: u64) -> Result<(Store<u32>, Instance, runwell_crosscheck::Check)> {
    let engine = Engine::new(config)?;
    let mut store = Store::new(&engine, 0);
    store.set_fuel(fuel)?;
    let check = runwell_crosscheck::attach(&mut store)?;
    let mut linker = Linker::new(&engine);
    // Calls back with a part of the fuel, and does not mind if that does not suffice.
    linker.func_wrap("host", "tick", |mut caller: Caller<'_, u32>, n: i32| -> Result<i32> {
        *caller.data_mut() += 1;
        if let Some(Extern::Func(busy)) = caller.get_export("busy")
            && n > 5
        {
            let fuel = caller.get_fuel()?;
            caller.set_fuel(fuel / 2)?;
            let _ = busy.typed::<i32, i32>(&caller)?.call(&mut caller, n - 3);
            let left = caller.get_fuel()?;
            caller.set_fuel(left + fuel / 4)?;
        }
        Ok(n)
    })?;
    let other = linker.instantiate(&mut store, &Module::new(&engine, OTHER)?)?;
    linker.instance(&mut store, "other", other)?;
    let instance = linker.instantiate(&mut store, &Module::new(&engine, BUSY)?)?;
    Ok((store, instance, check))
}

fn call_busy(store: &mut Store<u32>, instance: Instance, name: &str, n: i32) -> Result<i32> {
    instance.get_typed_func::<i32, i32>(&mut *store, name)?.call(store, n)
}

/// Whatever the fuel suffices for, plain calls and calls that go on stop where the evaluator does.
#[test]
fn fuel_runs_out_anywhere() -> Result<()> {
    for optimize in [true, false] {
        let mut config = Config::new();
        config.consume_fuel(true).optimize(optimize);
        let (mut stops, mut compared) = (0, 0);
        for fuel in (0..700).step_by(if optimize { 1 } else { 3 }) {
            let (mut store, instance, check) = busy(&config, fuel)?;
            for (name, n) in [("busy", 4), ("try", 7), ("busy", 1), ("busy", 0)] {
                let result = call_busy(&mut store, instance, name, n);
                let trap = result.err().and_then(|error| error.downcast_ref::<Trap>().copied());
                stops += u32::from(trap == Some(Trap::OutOfFuel));
                let left = store.get_fuel()?;
                store.set_fuel(left + fuel / 5)?;
            }
            // The same in slices, one of which is given up.
            let func = instance.get_func(&mut store, "busy").expect("a function");
            let mut results = [Val::I32(0)];
            let mut ran = func.call_resumable(&mut store, &[Val::I32(3)], &mut results);
            for slice in 0..30 {
                let Ok(ResumableCall::Suspended(waits)) = ran else { break };
                stops += 1;
                let left = store.get_fuel()?;
                store.set_fuel(left + 1 + fuel / 9)?;
                if slice == 20 {
                    waits.cancel(&mut store);
                    break;
                }
                ran = waits.resume(&mut store, &mut results);
            }
            store.cancel_suspended();
            store.set_fuel(10_000)?;
            call_busy(&mut store, instance, "busy", 1)?;
            let summary = check.summary();
            assert_eq!((summary.ended, summary.difference), (None, None), "{fuel}");
            compared += summary.compared;
        }
        assert!(stops > 500 && compared > 3 * u64::from(stops), "{stops} of {compared}");
    }
    Ok(())
}

/// Guests that call each other, the host and other instances until their stack is used up, which they are
/// told; and tail calls that need none.
#[test]
fn stacks_that_are_used_up() -> Result<()> {
    const DEEP: &str = r#"(module
        (import "host" "again" (func $again (param i32) (result i32)))
        (import "other" "back" (func $back (param i32) (result i32)))
        (import "other" "hop" (func $hop (param i32) (result i32)))
        (type $t (func (param i32) (result i32)))
        (table (export "table") 1 funcref)
        (global $count (export "count") (mut i32) (i32.const 0))
        (func $run (export "run") (type $t)
            (global.set $count (i32.add (global.get $count) (i32.const 1)))
            (if (i32.eqz (i32.rem_u (global.get $count) (i32.const 7)))
                (then (return (i32.add (call $again (local.get 0)) (i32.const 1)))))
            (if (i32.eqz (i32.rem_u (global.get $count) (i32.const 5)))
                (then (return (i32.add (call $back (local.get 0)) (i32.const 1)))))
            (i32.add (call $run (local.get 0)) (i32.const 1)))
        (func (export "tail") (type $t)
            (if (i32.eqz (local.get 0)) (then (return (global.get $count))))
            (return_call $hop (i32.sub (local.get 0) (i32.const 1)))))"#;
    const OTHER: &str = r#"(module
        (type $t (func (param i32) (result i32)))
        (table (export "table") 2 funcref)
        (func (export "back") (type $t)
            (i32.add (call_indirect (type $t) (local.get 0) (i32.const 0)) (i32.const 1)))
        (func (export "hop") (type $t)
            (return_call_indirect (type $t) (local.get 0) (i32.const 1))))"#;
    let mut counts = Vec::new();
    for metered in [false, true] {
        let mut config = Config::new();
        config.consume_fuel(metered).max_wasm_stack(40_000);
        let engine = Engine::new(&config)?;
        let mut store = Store::new(&engine, ());
        if metered {
            store.set_fuel(1 << 40)?;
        }
        let check = runwell_crosscheck::attach(&mut store)?;
        let mut linker = Linker::new(&engine);
        linker.func_wrap("host", "again", |mut caller: Caller<'_, ()>, n: i32| -> Result<i32> {
            let Some(Extern::Func(run)) = caller.get_export("run") else { return Ok(0) };
            run.typed::<i32, i32>(&caller)?.call(&mut caller, n)
        })?;
        let other = linker.instantiate(&mut store, &Module::new(&engine, OTHER)?)?;
        linker.instance(&mut store, "other", other)?;
        let instance = linker.instantiate(&mut store, &Module::new(&engine, DEEP)?)?;
        let table = other.get_table(&mut store, "table").expect("a table");
        for (at, name) in [(0, "run"), (1, "tail")] {
            let func = instance.get_func(&mut store, name).expect("a function");
            table.set(&mut store, at, Ref::Func(Some(func)))?;
        }
        for _ in 0..3 {
            let run = instance.get_typed_func::<i32, i32>(&mut store, "run")?;
            let error = run.call(&mut store, 1).expect_err("no end");
            assert_eq!(error.downcast_ref::<Trap>(), Some(&Trap::StackOverflow));
            let tail = instance.get_typed_func::<i32, i32>(&mut store, "tail")?;
            counts.push(tail.call(&mut store, 100_000)?);
        }
        let summary = check.summary();
        assert_eq!((summary.ended, summary.difference), (None, None));
    }
    assert!(counts[0] > 50 && counts[..3] == counts[3..], "{counts:?}");
    Ok(())
}

/// A limiter that says yes, no, or that it cannot say.
struct Moody {
    asked: u32,
}

impl ResourceLimiter for Moody {
    fn memory_growing(&mut self, _: usize, _: usize, _: Option<usize>) -> Result<bool> {
        self.asked += u32::from(self.asked != 0);
        match self.asked % 5 {
            2 => Ok(false),
            4 => Err(runwell::format_err!("it cannot say")),
            _ => Ok(true),
        }
    }

    fn memory_grow_failed(&mut self, error: runwell::Error) -> Result<()> {
        if self.asked.is_multiple_of(3) { Err(error) } else { Ok(()) }
    }

    fn table_growing(&mut self, old: usize, new: usize, most: Option<usize>) -> Result<bool> {
        self.memory_growing(old, new, most)
    }

    fn instances(&self) -> usize {
        3
    }
}

#[test]
fn limiters_are_followed() -> Result<()> {
    const TEXT: &str = r#"(module
        (import "host" "grow" (func $grow))
        (memory (export "memory") 0 4) (table (export "table") 0 9 externref)
        (func (export "run") (param i32) (result i32)
            (i32.add
                (i32.mul (memory.grow (local.get 0)) (i32.const 100))
                (i32.add (table.grow (ref.null extern) (local.get 0))
                    (i32.add (call $host) (memory.grow (i32.const 9))))))
        (func $host (result i32) (call $grow) (memory.size)))"#;
    for metered in [false, true] {
        let mut config = Config::new();
        config.consume_fuel(metered);
        let engine = Engine::new(&config)?;
        let mut store = Store::new(&engine, Moody { asked: 0 });
        if metered {
            store.set_fuel(100_000)?;
        }
        let check = runwell_crosscheck::attach(&mut store)?;
        store.limiter(|limiter| limiter);
        let mut linker = Linker::new(&engine);
        linker.func_wrap("host", "grow", |mut caller: Caller<'_, Moody>| {
            let Some(Extern::Memory(memory)) = caller.get_export("memory") else { return };
            let Some(Extern::Table(table)) = caller.get_export("table") else { return };
            let _ = memory.grow(&mut caller, 1);
            let _ = table.grow(&mut caller, 2, Ref::Extern(None));
        })?;
        let module = Module::new(&engine, TEXT)?;
        let mut instances = Vec::new();
        let mut kinds = [0; 2];
        for n in 0..80 {
            // At first it says yes.
            store.data_mut().asked += u32::from(n > 5);
            // More than three cannot be had.
            instances.extend(linker.instantiate(&mut store, &module));
            let _ = runwell::Memory::new(&mut store, runwell::MemoryType::new(1, None));
            let Some(instance) = instances.get(n % 3) else { continue };
            let run = instance.get_typed_func::<i32, i32>(&mut store, "run")?;
            kinds[usize::from(run.call(&mut store, n as i32 % 4).is_ok())] += 1;
        }
        let summary = check.summary();
        assert_eq!((summary.ended, summary.difference), (None, None));
        assert!(kinds[0] > 5 && kinds[1] > 5 && instances.len() == 3, "{kinds:?}");
    }
    Ok(())
}

#[test]
fn a_schedule_with_effects_for_free_ends_it_where_fuel_runs_out() -> Result<()> {
    let mut config = Config::new();
    config.fuel_schedule(Schedule::default().with(OperatorClass::Store, 0)?);
    let (mut store, instance, check) = busy(&config, 500)?;
    call_busy(&mut store, instance, "busy", 0)?;
    assert_eq!(check.summary().ended, None);
    store.set_fuel(20)?;
    assert!(call_busy(&mut store, instance, "busy", 1).is_err());
    let summary = check.summary();
    assert!(
        summary.difference.is_none()
            && summary.ended.is_some_and(|why| why.contains("cost nothing"))
    );
    // The machine goes on alone.
    store.set_fuel(1000)?;
    call_busy(&mut store, instance, "busy", 1)?;
    Ok(())
}
