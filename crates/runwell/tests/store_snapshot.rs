//! Stores as bytes: instances that are linked together come back as they were, in another process as well.

use runwell::{
    Config, Engine, Extern, ExternRef, Func, Global, GlobalType, Instance, Linker, Memory,
    MemoryType, Module, Mutability, Ref, RefType, Restored, Result, SnapshotError, StateHash,
    Store, StoreLimits, StoreLimitsBuilder, Table, TableType, UnknownImportError, Val, ValType,
};

const LIBRARY: &str = r#"(module $library
    (import "host" "f" (func $f (param i32) (result i32)))
    (memory (export "memory") 1 20)
    (table (export "table") 2 30 funcref)
    (global $count (export "count") (mut i64) (i64.const 3))
    (global (export "constant") i32 (i32.const 5))
    (global (export "function") (mut funcref) (ref.null func))
    (type $t (func (param i32) (result i32)))
    (elem $e func $own $f)
    (data $d "library")
    (func $own (export "own") (param i32) (result i32)
        (global.set $count (i64.add (global.get $count) (i64.const 1)))
        (i32.add (local.get 0) (i32.wrap_i64 (global.get $count))))
    (func (export "fill") (table.init $e (i32.const 0) (i32.const 0) (i32.const 2)))
    (func (export "drop") (elem.drop $e) (data.drop $d))
    (func (export "at") (param i32 i32) (result i32)
        (call_indirect (type $t) (local.get 0) (local.get 1))))"#;

const PROGRAM: &str = r#"(module $program
    (import "library" "memory" (memory $theirs 3 20))
    (import "library" "table" (table $table 7 30 funcref))
    (import "library" "count" (global $count (mut i64)))
    (import "library" "constant" (global $constant i32))
    (import "library" "own" (func $theirs (param i32) (result i32)))
    (import "host" "memory" (memory $hosts 1))
    (import "host" "g" (func $g (param i32) (result i32)))
    (import "host" "offset" (global $offset i32))
    (import "host" "slot" (global $slot (mut funcref)))
    (import "host" "objects" (table $objects 1 externref))
    (memory $own i64 1 9)
    (table $mine 2 funcref)
    (global $from i32 (i32.add (global.get $constant) (global.get $offset)))
    (data (memory $theirs) (i32.const 70000) "active")
    (elem $some func $mine)
    (elem (table $mine) (i32.const 0) func $theirs)
    (func $mine (param i32) (result i32)
        (i32.store $hosts (i32.const 64) (local.get 0))
        (i32.add (call $g (local.get 0)) (global.get $from)))
    (func (export "work") (param i32) (result i32)
        (table.init $table $some (i32.const 5) (i32.const 0) (i32.const 1))
        (table.set $mine (i32.const 1) (ref.func $mine))
        (global.set $slot (ref.func $mine))
        (global.set $count (i64.mul (global.get $count) (i64.const 3)))
        (i32.store $theirs (i32.const 131072) (local.get 0))
        (i64.store $own (i64.const 5000) (global.get $count))
        (drop (memory.grow $own (i64.const 1)))
        (i32.add (call $theirs (local.get 0)) (call_indirect (param i32) (result i32)
            (local.get 0) (i32.const 5)))))"#;

fn engine(metered: bool) -> Result<Engine> {
    Engine::new(Config::new().consume_fuel(metered))
}

fn modules(engine: &Engine) -> Result<[Module; 2]> {
    Ok([Module::new(engine, LIBRARY)?, Module::new(engine, PROGRAM)?])
}

fn host(engine: &Engine) -> Result<Linker<()>> {
    let mut linker = Linker::new(engine);
    linker.func_wrap("host", "f", |x: i32| x.wrapping_mul(10))?;
    linker.func_wrap("host", "g", |x: i32| x.wrapping_sub(1))?;
    Ok(linker)
}

/// A store with instances that share everything, and have worked.
fn worked(engine: &Engine) -> Result<(Store<()>, [Instance; 3])> {
    let mut store = Store::new(engine, ());
    if store.get_fuel().is_ok() {
        store.set_fuel(100_000)?;
    }
    let [library, program] = modules(engine)?;
    let mut linker = host(engine)?;
    let unused = Memory::new(&mut store, MemoryType::new(2, Some(3)))?;
    unused.write(&mut store, 65_600, b"nobody imports this")?;
    let first = linker.instantiate(&mut store, &library)?;
    linker.instance(&mut store, "library", first)?;
    let memory = Memory::new(&mut store, MemoryType::new(1, None))?;
    memory.grow(&mut store, 2)?;
    linker.define(&store, "host", "memory", memory)?;
    let constant = GlobalType::new(ValType::I32, Mutability::Const);
    let offset = Global::new(&mut store, constant, Val::I32(7))?;
    linker.define(&store, "host", "offset", offset)?;
    let slot = GlobalType::new(ValType::FUNCREF, Mutability::Var);
    let slot = Global::new(&mut store, slot, Val::FuncRef(None))?;
    linker.define(&store, "host", "slot", slot)?;
    let objects = TableType::new(RefType::EXTERNREF, 1, Some(4));
    let objects = Table::new(&mut store, objects, Ref::Extern(None))?;
    linker.define(&store, "host", "objects", objects)?;
    // The library's memory and table are larger by now than its own module says, as the program wants it.
    let theirs = first.get_memory(&mut store, "memory").expect("a memory");
    theirs.grow(&mut store, 3)?;
    let theirs = first.get_table(&mut store, "table").expect("a table");
    theirs.grow(&mut store, 5, Ref::Func(None))?;
    let second = linker.instantiate(&mut store, &program)?;
    let third = linker.instantiate(&mut store, &library)?;
    for n in 0..3 {
        let work = second.get_typed_func::<i32, i32>(&mut store, "work")?;
        work.call(&mut store, n)?;
    }
    third.get_typed_func::<(), ()>(&mut store, "fill")?.call(&mut store, ())?;
    // A function of one instance in a global of another, which was made earlier.
    let func = second.get_func(&mut store, "work");
    let held = first.get_global(&mut store, "function").expect("a global");
    held.set(&mut store, Val::FuncRef(func))?;
    first.get_typed_func::<(), ()>(&mut store, "drop")?.call(&mut store, ())?;
    Ok((store, [first, second, third]))
}

fn restore(engine: &Engine, bytes: &[u8]) -> Result<(Store<()>, Restored)> {
    let mut store = Store::new(engine, ());
    let restored = host(engine)?.restore_store(&mut store, &modules(engine)?, bytes)?;
    Ok((store, restored))
}

/// Everything that the instances do with each other.
fn go_on(store: &mut Store<()>, [first, second, third]: [Instance; 3]) -> Vec<Result<i32, String>> {
    let mut results = Vec::new();
    for (instance, n) in [(first, 5), (first, 0), (third, 0), (third, 1), (first, 1)] {
        let at = instance.get_typed_func::<(i32, i32), i32>(&mut *store, "at").expect("a function");
        results.push(at.call(&mut *store, (100, n)).map_err(|error| format!("{error:#}")));
    }
    let work = second.get_typed_func::<i32, i32>(&mut *store, "work").expect("a function");
    results.push(work.call(&mut *store, 9).map_err(|error| format!("{error:#}")));
    let fill = first.get_typed_func::<(), ()>(&mut *store, "fill").expect("a function");
    assert!(fill.call(store, ()).is_err(), "the segment is dropped");
    results
}

fn refused(error: &runwell::Error) -> &SnapshotError {
    error.downcast_ref::<SnapshotError>().unwrap_or_else(|| panic!("{error:?}"))
}

#[test]
fn linked_instances_go_on_where_they_were() -> Result<()> {
    for metered in [false, true] {
        let engine = engine(metered)?;
        let (mut store, instances) = worked(&engine)?;
        let hash = store.state_hash();
        let bytes = store.snapshot()?;
        assert_eq!(store.snapshot()?, bytes);
        assert_eq!(store.state_hash(), hash);
        let (mut again, restored) = restore(&engine, &bytes)?;
        assert_eq!(again.state_hash(), hash);
        assert_eq!(again.snapshot()?, bytes);
        let [first, second, third] = restored.instances[..] else { panic!("{restored:?}") };
        let wanted = go_on(&mut store, instances);
        assert_eq!(go_on(&mut again, [first, second, third]), wanted);
        assert!(wanted.iter().filter(|result| result.is_ok()).count() >= 4, "{wanted:?}");
        assert_eq!(again.state_hash(), store.state_hash());
        // What the host made is there under its old number.
        let mut text = [0; 19];
        restored.memories[0].read(&again, 65_600, &mut text)?;
        assert_eq!(&text, b"nobody imports this");
        assert_eq!(restored.memories[0].ty(&again), MemoryType::new(2, Some(3)));
        assert_eq!((restored.tables.len(), restored.globals.len()), (4, 9));
        let memory = first.get_memory(&mut again, "memory");
        assert_eq!(memory, Some(restored.memories[1]));
        // The other way of counting is another state.
        let other = self::engine(!metered)?;
        assert_eq!(refused(&restore(&other, &bytes).expect_err("fuel")), &SnapshotError::Fuel);
    }
    Ok(())
}

/// It can be linked with again.
#[test]
fn new_instances_are_linked_with_restored_ones() -> Result<()> {
    let engine = engine(false)?;
    let (mut store, _) = worked(&engine)?;
    let (mut again, restored) = restore(&engine, &store.snapshot()?)?;
    let mut linker = host(&engine)?;
    linker.instance(&mut again, "library", restored.instances[0])?;
    let text = r#"(module (import "library" "own" (func $own (param i32) (result i32)))
        (func (export "run") (result i32) (call $own (i32.const 1))))"#;
    let instance = linker.instantiate(&mut again, &Module::new(&engine, text)?)?;
    let run = instance.get_typed_func::<(), i32>(&mut again, "run")?;
    let before = restored.instances[0].get_global(&mut again, "count").expect("a global");
    let before = before.get(&mut again).unwrap_i64();
    assert_eq!(i64::from(run.call(&mut again, ())?), before + 2);
    Ok(())
}

const CHILD: &str = "RUNWELL_TEST_STORE";

#[test]
fn in_another_process() -> Result<()> {
    let engine = engine(true)?;
    if let Some(file) = std::env::var_os(CHILD) {
        let (mut store, _) = restore(&engine, &std::fs::read(file)?)?;
        println!("\nhash={}", store.state_hash());
        return Ok(());
    }
    let (mut store, _) = worked(&engine)?;
    let file = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("store.snapshot");
    std::fs::write(&file, store.snapshot()?)?;
    let output = std::process::Command::new(std::env::current_exe()?)
        .args(["--exact", "in_another_process", "--nocapture"])
        .env(CHILD, &file)
        .output()?;
    let text = String::from_utf8(output.stdout)?;
    let hash = text.lines().find_map(|line| line.strip_prefix("hash=")).expect("a hash");
    assert_eq!(hash.parse::<StateHash>()?, store.state_hash());
    Ok(())
}

#[test]
fn an_empty_store_is_one_too() -> Result<()> {
    let engine = engine(false)?;
    let mut store = Store::new(&engine, ());
    let bytes = store.snapshot()?;
    let (mut again, restored) = restore(&engine, &bytes)?;
    assert!(restored.instances.is_empty());
    assert_eq!(again.state_hash(), store.state_hash());
    Ok(())
}

#[test]
fn what_cannot_be_carried_is_refused() -> Result<()> {
    let engine = engine(false)?;
    let holds = |store: &mut Store<()>, what: &str| {
        let error = store.snapshot().expect_err(what);
        assert!(matches!(refused(&error), SnapshotError::Holds(_)), "{error}");
        assert!(error.to_string().contains(what), "{error}");
    };
    let (mut store, [first, ..]) = worked(&engine)?;
    // A function that only the host has, as an element of a table.
    let own = Func::wrap(&mut store, || {});
    let table = first.get_table(&mut store, "table").expect("a table");
    table.set(&mut store, 0, Ref::Func(Some(own)))?;
    holds(&mut store, "a host function that no instance imports");
    let (mut store, _) = worked(&engine)?;
    ExternRef::new(&mut store, 1)?;
    holds(&mut store, "an object of the host's");

    // From inside of a call.
    let mut store = Store::new(&engine, ());
    let found = std::sync::Arc::new(std::sync::Mutex::new(None));
    let (result, snapshots) = (found.clone(), Module::new(&engine, "(module)")?);
    let inside = Func::wrap(&mut store, move |mut caller: runwell::Caller<'_, ()>| {
        let instance = Instance::new(&mut caller, &snapshots, &[]).expect("an instance");
        *result.lock().unwrap() = instance.snapshot(&mut caller).err();
    });
    let module = Module::new(&engine, r#"(module (import "" "" (func)) (start 0))"#)?;
    Instance::new(&mut store, &module, &[inside.into()])?;
    let error = found.lock().unwrap().take().expect("an error");
    assert_eq!(refused(&error), &SnapshotError::Running);
    Ok(())
}

#[test]
fn what_is_not_as_it_was_is_refused() -> Result<()> {
    let engine = engine(false)?;
    let (mut store, _) = worked(&engine)?;
    let bytes = store.snapshot()?;
    let [library, program] = modules(&engine)?;
    let all = [library.clone(), program];
    let into = |linker: &Linker<()>, store: &mut Store<()>, modules: &[Module]| {
        linker.restore_store(store, modules, &bytes).expect_err("an error")
    };
    let host = host(&engine)?;
    let mut fresh = Store::new(&engine, ());
    assert_eq!(refused(&into(&host, &mut fresh, &[library])), &SnapshotError::Module);
    assert_eq!(refused(&into(&host, &mut store, &all)), &SnapshotError::NotEmpty);
    let mut fresh = Store::new(&engine, ());
    let error = into(&Linker::new(&engine), &mut fresh, &all);
    assert_eq!(error.downcast_ref::<UnknownImportError>().map(|e| e.name()), Some("f"));
    // Of another type.
    let mut other = Linker::new(&engine);
    other.func_wrap("host", "f", |x: i64| x)?.func_wrap("host", "g", |x: i32| x)?;
    let error = into(&other, &mut Store::new(&engine, ()), &all);
    assert!(error.to_string().contains("incompatible import type for `host::f`"), "{error}");
    // Of another store.
    let mut other = Store::new(&engine, ());
    let func = Func::wrap(&mut other, |x: i32| x);
    let mut linker = Linker::new(&engine);
    linker.define(&other, "host", "f", func)?.func_wrap("host", "g", |x: i32| x)?;
    let error = into(&linker, &mut Store::new(&engine, ()), &all);
    assert!(error.to_string().contains("`host::f` has to be a host function"), "{error}");
    // In a store that is recorded, and in one with less room.
    let mut recorded = Store::new(&engine, ());
    recorded.record(runwell::tape::SharedLog::default())?;
    assert!(into(&host, &mut recorded, &all).to_string().contains("recorded"));
    let mut small = Store::new(&engine, StoreLimitsBuilder::new().memory_size(2 << 16).build());
    small.limiter(|limits| limits);
    let mut linker = Linker::<StoreLimits>::new(&engine);
    linker.func_wrap("host", "f", |x: i32| x)?.func_wrap("host", "g", |x: i32| x)?;
    let error = linker.restore_store(&mut small, &all, &bytes).expect_err("limits");
    assert!(error.to_string().contains("exceeds"), "{error}");
    // A snapshot of an instance is another thing, and the other way round.
    let instance = Instance::new(&mut fresh, &Module::new(&engine, "(module)")?, &[])?;
    let one = instance.snapshot(&mut fresh)?;
    let error = host.restore_store(Store::new(&engine, ()), &all, &one).expect_err("an instance's");
    assert_eq!(refused(&error), &SnapshotError::NotASnapshot);
    Ok(())
}

/// Cut off, changed, or made on purpose with the right hash: an error, or something that can be run.
#[test]
fn other_bytes_do_no_harm() -> Result<()> {
    let engine = engine(false)?;
    let (mut store, _) = worked(&engine)?;
    let bytes = store.snapshot()?;
    for len in (0..bytes.len()).step_by(397) {
        restore(&engine, &bytes[..len]).expect_err("cut off");
    }
    for at in (14..bytes.len()).step_by(397) {
        let mut changed = bytes.clone();
        changed[at] ^= 0x10;
        restore(&engine, &changed).expect_err("changed");
    }
    let interesting: Vec<usize> = (14..bytes.len() - 32).filter(|&at| bytes[at] != 0).collect();
    let (mut seed, mut made, mut not) = (1u64, 0, 0);
    for round in 0..1500 {
        let mut forged = bytes.clone();
        for _ in 0..=round % 3 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let at = interesting[(seed >> 33) as usize % interesting.len()];
            // Often something close by, which is more likely to fit.
            forged[at] = match seed >> 20 & 3 {
                0 => (seed >> 24) as u8,
                1 => forged[at].wrapping_add(1),
                _ => forged[at].wrapping_sub(1),
            };
        }
        let content = forged.len() - 32;
        let hash = *blake3::hash(&forged[..content]).as_bytes();
        forged[content..].copy_from_slice(&hash);
        match restore(&engine, &forged) {
            Ok((mut store, restored)) => {
                made += 1;
                for instance in restored.instances {
                    let exports: Vec<Extern> =
                        instance.exports(&mut store).map(|e| e.into_extern()).collect();
                    for func in exports.into_iter().filter_map(Extern::into_func) {
                        let ty = func.ty(&store);
                        let params: Vec<Val> = ty.params().map(|_| Val::I32(1)).collect();
                        let mut results = vec![Val::I32(0); ty.results().len()];
                        _ = func.call(&mut store, &params, &mut results);
                    }
                }
                store.state_hash();
            }
            Err(_) => not += 1,
        }
    }
    assert!(made > 10 && not > 10, "{made} {not}");
    Ok(())
}
