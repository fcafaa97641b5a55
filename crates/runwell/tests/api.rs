//! Properties of the API that are not about one object: what may cross threads, what misuse gets.

use runwell::*;
use std::panic::{AssertUnwindSafe, catch_unwind};

const fn send_and_sync<T: Send + Sync>() {}

const _: () = {
    send_and_sync::<Engine>();
    send_and_sync::<EngineWeak>();
    send_and_sync::<Config>();
    send_and_sync::<Module>();
    send_and_sync::<ModuleExport>();
    send_and_sync::<Linker<std::cell::Cell<u32>>>();
    send_and_sync::<InstancePre<std::cell::Cell<u32>>>();
    send_and_sync::<Store<u32>>();
    send_and_sync::<StoreContext<'_, u32>>();
    send_and_sync::<StoreContextMut<'_, u32>>();
    send_and_sync::<Instance>();
    send_and_sync::<Func>();
    send_and_sync::<TypedFunc<u32, (u64, f32)>>();
    send_and_sync::<Memory>();
    send_and_sync::<Table>();
    send_and_sync::<Global>();
    send_and_sync::<Extern>();
    send_and_sync::<Rooted<ExternRef>>();
    send_and_sync::<Val>();
    send_and_sync::<Caller<'_, u32>>();
    send_and_sync::<Ref>();
    send_and_sync::<FuncType>();
    send_and_sync::<ExternType>();
    send_and_sync::<Error>();
    send_and_sync::<Trap>();
    send_and_sync::<WasmBacktrace>();
    send_and_sync::<StoreLimits>();
    assert!(size_of::<Error>() == size_of::<usize>());
    assert!(size_of::<Result<()>>() == size_of::<usize>());
};

fn message(result: Result<impl Sized>) -> String {
    match result {
        Ok(_) => "no error".to_string(),
        Err(error) => format!("{error:#}"),
    }
}

/// What a panic says.
fn panic_of<R>(body: impl FnOnce() -> R) -> String {
    let payload = catch_unwind(AssertUnwindSafe(|| drop(body()))).expect_err("a panic");
    match payload.downcast::<String>() {
        Ok(text) => *text,
        Err(payload) => payload.downcast_ref::<&str>().map_or_else(String::new, |s| s.to_string()),
    }
}

#[test]
fn a_store_may_not_get_what_belongs_to_another() {
    let engine = Engine::default();
    let (mut a, mut b) = (Store::new(&engine, ()), Store::new(&engine, ()));
    let memory = Memory::new(&mut a, MemoryType::new(1, None)).unwrap();
    let func = Func::wrap(&mut a, || {});
    let handle = ExternRef::new(&mut a, 1u8).unwrap();
    let ty = TableType::new(RefType::FUNCREF, 1, None);
    let table = Table::new(&mut b, ty, Ref::Func(None)).unwrap();
    let module = Module::new(&engine, r#"(module (import "" "m" (memory 0)))"#).unwrap();

    for (wanted, said) in [
        ("Memory", panic_of(|| memory.size(&b))),
        ("Memory", panic_of(|| memory.data(&b).len())),
        ("Memory", panic_of(|| Instance::new(&mut b, &module, &[memory.into()]).is_ok())),
        ("Func", panic_of(|| func.call(&mut b, &[], &mut []).is_ok())),
        ("Func", panic_of(|| func.ty(&b))),
        ("Table", panic_of(|| table.get(&mut a, 0).is_some())),
    ] {
        assert!(said.contains(&format!("a {wanted} was used with another store")), "{said}");
    }
    for said in [
        message(table.set(&mut b, 0, func.into())),
        message(handle.data(&b)),
        message(handle.data_mut(&mut b)),
        message(Rooted::ref_eq(&b, &handle, &handle)),
        message(Val::from(func).ty(&b)),
        message(Val::from(handle).matches_ty(&b, &ValType::EXTERNREF)),
    ] {
        assert!(said.contains("another store"), "{said}");
    }
}

#[test]
fn an_engine_may_not_get_what_belongs_to_another() {
    let (a, b) = (Engine::default(), Engine::default());
    let module = Module::new(&a, r#"(module (import "" "f" (func)))"#).unwrap();
    let mut linker = Linker::new(&a);
    linker.func_wrap("", "f", || {}).unwrap();
    let mut store = Store::new(&b, ());
    let func = Func::wrap(&mut store, || {});
    assert!(message(Instance::new(&mut store, &module, &[func.into()])).contains("another engine"));
    assert!(message(linker.instantiate(&mut store, &module)).contains("another engine"));
    assert!(message(Linker::<()>::new(&b).instantiate_pre(&module)).contains("another engine"));
    assert!(panic_of(|| linker.get(&mut store, "", "f").is_ok()).contains("another engine"));
}

#[test]
fn an_engine_ends_with_its_last_handle() {
    let engine = Engine::default();
    let weak = engine.weak();
    let module = Module::new(&engine, "(module)").unwrap();
    drop(engine);
    assert!(weak.upgrade().is_some_and(|engine| Engine::same(&engine, module.engine())));
    drop(module);
    assert!(weak.upgrade().is_none());
}

#[test]
fn exports_are_found_by_name_and_by_number() {
    let engine = Engine::default();
    let mut text = "(module $m".to_string();
    for i in 0..300 {
        text += &format!(r#"(func (export "f{i}") (result i32) (i32.const {i}))"#);
    }
    let module = Module::new(&engine, text + ")").unwrap();
    let other = Module::new(&engine, r#"(module (func (export "f7")))"#).unwrap();
    let mut store = Store::new(&engine, ());
    let instance = Instance::new(&mut store, &module, &[]).unwrap();
    for i in [0, 7, 150, 299] {
        let name = format!("f{i}");
        let func = instance.get_typed_func::<(), i32>(&mut store, &name).unwrap();
        assert_eq!(func.call(&mut store, ()).unwrap(), i);
        let number = module.get_export_index(&name).unwrap();
        let by_number = instance.get_module_export(&mut store, &number).unwrap();
        assert_eq!(by_number.into_func(), Some(*func.func()));
    }
    assert!(module.get_export_index("f300").is_none());
    let foreign = other.get_export_index("f7").unwrap();
    assert!(instance.get_module_export(&mut store, &foreign).is_none());
    assert!(Module::same(instance.module(&store), &module));
    let names: Vec<_> = instance.exports(&mut store).map(|e| e.name().to_string()).collect();
    assert_eq!(names.len(), 300);
    assert_eq!(names[299], "f299");
}

#[test]
fn commands_run_in_instances_of_their_own_and_reactors_once() {
    let engine = Engine::default();
    let mut store = Store::new(&engine, ());
    let mut linker = Linker::new(&engine);
    let counting = |start: &str| {
        format!(
            r#"(module
                (global $n (mut i32) (i32.const 0))
                (func (export "{start}") (global.set $n (i32.add (global.get $n) (i32.const 1))))
                (func (export "next") (result i32)
                    (global.set $n (i32.add (global.get $n) (i32.const 1)))
                    (global.get $n)))"#
        )
    };
    let command = Module::new(&engine, counting("_start")).unwrap();
    let reactor = Module::new(&engine, counting("_initialize")).unwrap();
    linker.module(&mut store, "command", &command).unwrap();
    linker.module(&mut store, "reactor", &reactor).unwrap();
    let mut next = |module: &str| {
        let func = linker.get(&mut store, module, "next").unwrap().into_func().unwrap();
        func.typed::<(), i32>(&store).unwrap().call(&mut store, ()).unwrap()
    };
    assert_eq!([next("command"), next("command")], [1, 1]);
    assert_eq!([next("reactor"), next("reactor")], [2, 3]);

    let both =
        Module::new(&engine, r#"(module (func (export "_start")) (func (export "_initialize")))"#);
    assert!(linker.module(&mut store, "both", &both.unwrap()).is_err());
    let strange = Module::new(
        &engine,
        r#"(module (func (export "_start")) (global (export "g") i32 (i32.const 0)))"#,
    );
    let strange = strange.unwrap();
    assert!(message(linker.module(&mut store, "s", &strange)).contains("`g` is not a function"));
    linker.allow_shadowing(true).allow_unknown_exports(true);
    linker.module(&mut store, "s", &strange).unwrap();
    assert!(linker.get_default(&mut store, "s").is_ok());
}

#[test]
fn a_linker_lists_and_aliases_its_names() {
    let engine = Engine::default();
    let mut store = Store::new(&engine, ());
    let mut linker = Linker::new(&engine);
    linker.func_wrap("b", "f", || 1i32).unwrap();
    linker.func_wrap("a", "g", || 2i32).unwrap();
    let ty = GlobalType::new(ValType::I32, Mutability::Const);
    let global = Global::new(&mut store, ty, Val::I32(3)).unwrap();
    linker.define_name(&store, "n", global).unwrap();
    linker.alias_module("b", "c").unwrap();
    linker.alias("a", "g", "c", "g").unwrap();
    assert!(linker.alias("a", "absent", "x", "y").is_err());
    assert!(linker.alias("a", "g", "c", "g").is_err());
    let names: Vec<_> = linker.iter(&mut store).map(|(m, n, _)| format!("{m}.{n}")).collect();
    assert_eq!(names, [".n", "a.g", "b.f", "c.f", "c.g"]);
}

#[test]
fn unknown_imports_can_be_defaults() {
    let engine = Engine::default();
    let module = Module::new(
        &engine,
        r#"(module
            (import "x" "f" (func $f (param i32) (result i32 f64 externref)))
            (import "x" "g" (global $g i64))
            (import "x" "m" (memory 2 3))
            (import "x" "t" (table 5 funcref))
            (func (export "run") (result i32 f64 externref i64 i32 i32)
                (call $f (i32.const 1)) (global.get $g) (memory.size) (table.size 0)))"#,
    )
    .unwrap();
    let mut store = Store::new(&engine, ());
    let mut linker = Linker::new(&engine);
    linker.define_unknown_imports_as_default_values(&mut store, &module).unwrap();
    let instance = linker.instantiate(&mut store, &module).unwrap();
    let run = instance.get_func(&mut store, "run").unwrap();
    let mut results = vec![Val::I32(-1); 6];
    run.call(&mut store, &[], &mut results).unwrap();
    assert_eq!((results[0].i32(), results[1].f64()), (Some(0), Some(0.0)));
    assert!(results[2].unwrap_externref().is_none());
    assert_eq!((results[3].i64(), results[4].i32()), (Some(0), Some(2)));
    assert_eq!(results[5].i32(), Some(5));
}

#[test]
fn limits_count_and_speak_up_when_growing_fails() {
    let engine = Engine::default();
    let module = Module::new(
        &engine,
        r#"(module
            (memory 1 2) (table 1 2 funcref)
            (func (export "memory") (param i32) (result i32) (memory.grow (local.get 0)))
            (func (export "table") (param i32) (result i32)
                (table.grow (ref.null func) (local.get 0))))"#,
    )
    .unwrap();
    let limits = StoreLimitsBuilder::new().memories(1).tables(1).instances(5);
    let mut store = Store::new(&engine, limits.clone().build());
    store.limiter(|limits| limits);
    Instance::new(&mut store, &module, &[]).unwrap();
    let second = message(Instance::new(&mut store, &module, &[]));
    assert!(second.contains("memory count too high at 2"), "{second}");

    for (trap, expected) in [(false, Some(-1)), (true, None)] {
        let mut store = Store::new(
            &engine,
            limits.clone().trap_on_grow_failure(trap).table_elements(2).build(),
        );
        store.limiter(|limits| limits);
        let instance = Instance::new(&mut store, &module, &[]).unwrap();
        for name in ["memory", "table"] {
            let grow = instance.get_typed_func::<u32, i32>(&mut store, name).unwrap();
            assert_eq!(grow.call(&mut store, 1).unwrap(), 1);
            assert_eq!(grow.call(&mut store, 1).ok(), expected, "{name}");
        }
    }

    /// Allows everything, and turns every failure to grow into an error.
    struct Strict;
    impl ResourceLimiter for Strict {
        fn memory_growing(&mut self, _: usize, _: usize, _: Option<usize>) -> Result<bool> {
            Ok(true)
        }
        fn table_growing(&mut self, _: usize, _: usize, _: Option<usize>) -> Result<bool> {
            Ok(true)
        }
        fn memory_grow_failed(&mut self, error: Error) -> Result<()> {
            Err(error.context("strict about memories"))
        }
        fn table_grow_failed(&mut self, error: Error) -> Result<()> {
            Err(error.context("strict about tables"))
        }
    }
    let mut store = Store::new(&engine, Strict);
    store.limiter(|limiter| limiter);
    let instance = Instance::new(&mut store, &module, &[]).unwrap();
    for (name, what) in [("memory", "strict about memories"), ("table", "strict about tables")] {
        let grow = instance.get_typed_func::<u32, i32>(&mut store, name).unwrap();
        let said = message(grow.call(&mut store, 2));
        assert!(said.contains(what), "{said}");
    }
}

/// Two memories, a table and a global are made before the last table is refused.
#[test]
fn what_was_made_for_a_refused_instance_is_gone() {
    let engine = Engine::default();
    let refused = r#"(module (memory 3) (memory 1) (global (mut i32) (i32.const 7))
        (table 5 funcref) (table 100 funcref))"#;
    let refused = Module::new(&engine, refused).unwrap();
    let fits = r#"(module (memory (export "m") 1) (memory 2) (table (export "t") 5 funcref)
        (global (export "g") i32 (i32.const 9)) (data (i32.const 0) "x"))"#;
    let fits = Module::new(&engine, fits).unwrap();
    let limits = StoreLimitsBuilder::new().memories(4).tables(3).table_elements(50).build();
    let with = |refusals: usize| {
        let mut store = Store::new(&engine, limits.clone());
        store.limiter(|limits| limits);
        Instance::new(&mut store, &fits, &[]).unwrap();
        for _ in 0..refusals {
            let said = message(Instance::new(&mut store, &refused, &[]));
            assert!(said.contains("table minimum size of 100 elements"), "{said}");
        }
        let one_refused = store.state_hash();
        // There may be just as many memories.
        let instance = Instance::new(&mut store, &fits, &[]).unwrap();
        let memory = instance.get_memory(&mut store, "m").unwrap();
        assert_eq!((memory.size(&store), &memory.data(&store)[..2]), (1, &b"x\0"[..]));
        assert_eq!(instance.get_table(&mut store, "t").unwrap().size(&store), 5);
        assert_eq!(instance.get_global(&mut store, "g").unwrap().get(&mut store).i32(), Some(9));
        (one_refused, store.state_hash())
    };
    assert_eq!(with(0), with(3));
}

#[test]
fn a_host_function_sees_the_frames_below_it() {
    let engine = Engine::default();
    let module = Module::new(
        &engine,
        r#"(module $m (import "" "look" (func $look))
            (func $inner (call $look)) (func (export "outer") (call $inner)))"#,
    )
    .unwrap();
    let mut store = Store::new(&engine, Vec::new());
    let look = Func::wrap(&mut store, |mut caller: Caller<'_, Vec<String>>| {
        let trace = WasmBacktrace::capture(&caller);
        let names = trace.frames().iter().filter_map(|frame| frame.func_name());
        let names: Vec<String> = names.map(str::to_string).collect();
        *caller.data_mut() = names;
    });
    let instance = Instance::new(&mut store, &module, &[look.into()]).unwrap();
    instance.get_func(&mut store, "outer").unwrap().call(&mut store, &[], &mut []).unwrap();
    assert_eq!(store.data(), &["inner", "outer"]);
    assert!(WasmBacktrace::capture(&store).frames().is_empty());
}

#[test]
fn references_that_are_never_null_can_be_passed_and_not_be_missing() {
    let engine = Engine::default();
    let module = Module::new(
        &engine,
        r#"(module
            (func (export "f") (param funcref) (result i32) (ref.is_null (local.get 0)))
            (func (export "e") (param externref) (result externref) (local.get 0)))"#,
    )
    .unwrap();
    let mut store = Store::new(&engine, ());
    let instance = Instance::new(&mut store, &module, &[]).unwrap();
    let func = Func::wrap(&mut store, || {});
    let f = instance.get_typed_func::<Func, i32>(&mut store, "f").unwrap();
    assert_eq!(f.call(&mut store, func).unwrap(), 0);
    // Null may come back, so the result has to be able to say so.
    assert!(instance.get_typed_func::<(), Rooted<ExternRef>>(&mut store, "e").is_err());
    let e = instance
        .get_typed_func::<Rooted<ExternRef>, Option<Rooted<ExternRef>>>(&mut store, "e")
        .unwrap();
    let handle = ExternRef::new(&mut store, 5u16).unwrap();
    let back = e.call(&mut store, handle).unwrap().unwrap();
    assert!(Rooted::ref_eq(&store, &back, &handle).unwrap());

    // A host function that takes such references is of another type than funcref's.
    let strict = Func::wrap(&mut store, |_: Func| {});
    assert!(message(strict.call(&mut store, &[Val::FuncRef(None)], &mut [])).contains("mismatch"));
    strict.call(&mut store, &[func.into()], &mut []).unwrap();
}
