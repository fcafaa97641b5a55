//! What happens in stores, followed: calls back and forth, traps, and where the evaluator has to give up.

use runwell::{
    AsContextMut, Caller, Config, Engine, Extern, Func, Instance, Linker, Module, Ref, Result,
    Store, Trap, Val,
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

#[test]
fn what_the_evaluator_does_not_count_ends_it() -> Result<()> {
    let mut metered = Config::new();
    metered.consume_fuel(true);
    for (config, name, trap) in
        [(Config::new(), "deep", Trap::StackOverflow), (metered, "spin", Trap::OutOfFuel)]
    {
        let (mut store, instance, check) = checked(&config)?;
        let error = call(&mut store, instance, name, &[]).expect_err("a trap");
        assert_eq!(error.downcast_ref::<Trap>(), Some(&trap));
        let summary = check.summary();
        assert!(summary.ended.is_some() && summary.difference.is_none(), "{summary:?}");
        // The machine goes on alone.
        call(&mut store, instance, "trap", &[Val::I32(1)]).ok();
        assert_eq!(check.summary(), summary);
    }
    Ok(())
}
