//! Instances as bytes: the same state in another process, and nothing but an error for other bytes.

use runwell::{
    Config, Engine, ExternRef, Func, Instance, Linker, Module, Ref, Result, SnapshotError,
    StateHash, Store,
};

const MODULE: &str = r#"(module
    (import "host" "f" (func $f (param i32) (result i32)))
    (import "host" "k" (global $k i32))
    (memory 1 5)
    (memory $wide i64 2)
    (table $table (export "table") 3 40 funcref)
    (table $objects (export "objects") 1 externref)
    (global $i (mut i32) (i32.const 1))
    (global $l (mut i64) (i64.const -1))
    (global $d (mut f64) (f64.const 0.5))
    (global $g (export "g") (mut funcref) (ref.null func))
    (data $one "one")
    (data $two "two")
    (elem $e func $own $f)
    (func $own (param i32) (result i32) (i32.add (local.get 0) (global.get $i)))
    (type $t (func (param i32) (result i32)))
    (func $start (i32.store (i32.const 60000) (i32.const 1)))
    (start $start)
    (func (export "work")
        (global.set $i (i32.add (global.get $i) (global.get $k)))
        (global.set $d (f64.sqrt (global.get $d)))
        (global.set $g (ref.func $own))
        (drop (memory.grow (i32.const 1)))
        (i32.store offset=65536 (i32.const 12) (global.get $i))
        (i64.store $wide (i64.const 100000) (global.get $l))
        (table.init $table $e (i32.const 1) (i32.const 0) (i32.const 2))
        (drop (table.grow $table (ref.func $f) (i32.const 3)))
        (data.drop $one))
    (func (export "sum") (result i32)
        (i32.add
            (i32.add (i32.load offset=65536 (i32.const 12)) (i32.load (i32.const 60000)))
            (i32.add
                (call_indirect $table (type $t) (i32.const 5) (i32.const 1))
                (call_indirect $table (type $t) (i32.const 7) (i32.const 2)))))
    (func (export "drop") (elem.drop $e)))"#;

fn config(metered: bool) -> Config {
    let mut config = Config::new();
    config.consume_fuel(metered);
    config
}

fn linker(engine: &Engine, store: &mut Store<()>) -> Result<Linker<()>> {
    let mut linker = Linker::new(engine);
    linker.func_wrap("host", "f", |x: i32| x * 10)?;
    let ty = runwell::GlobalType::new(runwell::ValType::I32, runwell::Mutability::Const);
    let k = runwell::Global::new(&mut *store, ty, runwell::Val::I32(3))?;
    linker.define(&*store, "host", "k", k)?;
    Ok(linker)
}

/// A store in which the module has worked a little.
fn worked(engine: &Engine) -> Result<(Store<()>, Instance)> {
    let mut store = Store::new(engine, ());
    if store.get_fuel().is_ok() {
        store.set_fuel(1000)?;
    }
    let instance =
        linker(engine, &mut store)?.instantiate(&mut store, &Module::new(engine, MODULE)?)?;
    for _ in 0..2 {
        instance.get_typed_func::<(), ()>(&mut store, "work")?.call(&mut store, ())?;
    }
    Ok((store, instance))
}

fn restore(engine: &Engine, bytes: &[u8]) -> Result<(Store<()>, Instance)> {
    let mut store = Store::new(engine, ());
    let module = Module::new(engine, MODULE)?;
    let instance = linker(engine, &mut store)?.restore(&mut store, &module, bytes)?;
    Ok((store, instance))
}

fn sum(store: &mut Store<()>, instance: Instance) -> Result<i32> {
    instance.get_typed_func::<(), i32>(&mut *store, "sum")?.call(store, ())
}

fn refused(error: &runwell::Error) -> &SnapshotError {
    error.downcast_ref::<SnapshotError>().unwrap_or_else(|| panic!("{error:?}"))
}

#[test]
fn goes_on_where_it_was() -> Result<()> {
    for metered in [false, true] {
        let engine = Engine::new(&config(metered))?;
        let (mut store, instance) = worked(&engine)?;
        let bytes = instance.snapshot(&mut store)?;
        let hash = store.state_hash();
        // Taking one changes nothing, and it is the same when it is taken again.
        assert_eq!(instance.snapshot(&mut store)?, bytes);
        assert_eq!(store.state_hash(), hash);
        let (mut again, restored) = restore(&engine, &bytes)?;
        assert_eq!(again.state_hash(), hash);
        assert_eq!(restored.snapshot(&mut again)?, bytes);
        assert_eq!(sum(&mut again, restored)?, sum(&mut store, instance)?);
        for (store, instance) in [(&mut store, instance), (&mut again, restored)] {
            instance.get_typed_func::<(), ()>(&mut *store, "drop")?.call(&mut *store, ())?;
            assert!(
                instance.get_typed_func::<(), ()>(&mut *store, "work")?.call(store, ()).is_err()
            );
        }
        assert_eq!(again.state_hash(), store.state_hash());
        let other = Engine::new(&config(!metered))?;
        let error = restore(&other, &bytes).expect_err("an engine that counts differently");
        assert_eq!(refused(&error), &SnapshotError::Fuel);
    }
    Ok(())
}

const CHILD: &str = "RUNWELL_TEST_SNAPSHOT";

#[test]
fn in_another_process() -> Result<()> {
    let engine = Engine::default();
    if let Some(file) = std::env::var_os(CHILD) {
        let (mut store, _) = restore(&engine, &std::fs::read(file)?)?;
        println!("\nhash={}", store.state_hash());
        return Ok(());
    }
    let (mut store, instance) = worked(&engine)?;
    let file = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("instance.snapshot");
    std::fs::write(&file, instance.snapshot(&mut store)?)?;
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
fn what_cannot_be_carried_is_refused() -> Result<()> {
    let engine = Engine::default();
    let (mut store, instance) = worked(&engine)?;
    let holds = |store: &mut Store<()>| {
        let error = instance.snapshot(store).expect_err("something of the host's");
        assert!(matches!(refused(&error), SnapshotError::Holds(_)), "{error}");
    };
    let objects = instance.get_table(&mut store, "objects").expect("a table");
    let object = ExternRef::new(&mut store, 1)?;
    objects.set(&mut store, 0, Ref::Extern(Some(object)))?;
    holds(&mut store);
    objects.set(&mut store, 0, Ref::Extern(None))?;
    instance.snapshot(&mut store)?;
    let own = Func::wrap(&mut store, || {});
    let table = instance.get_table(&mut store, "table").expect("a table");
    table.set(&mut store, 0, Ref::Func(Some(own)))?;
    holds(&mut store);

    let (mut store, instance) = worked(&engine)?;
    let table = instance.get_table(&mut store, "table").expect("a table");
    let text = r#"(module (func (export "f")))"#;
    let other = Instance::new(&mut store, &Module::new(&engine, text)?, &[])?;
    let func = other.get_func(&mut store, "f");
    table.set(&mut store, 0, Ref::Func(func))?;
    let error = instance.snapshot(&mut store).expect_err("a function of another instance");
    assert!(matches!(refused(&error), SnapshotError::Holds(_)), "{error}");

    let memory = runwell::Memory::new(&mut store, runwell::MemoryType::new(1, None))?;
    let module = Module::new(&engine, r#"(module (import "" "" (memory 1)))"#)?;
    let instance = Instance::new(&mut store, &module, &[memory.into()])?;
    let error = instance.snapshot(&mut store).expect_err("an import");
    assert_eq!(refused(&error), &SnapshotError::Imports("memory"));

    // From inside of a call.
    let text = r#"(module (import "" "" (func)) (start 0))"#;
    let found = std::sync::Arc::new(std::sync::Mutex::new(None));
    let result = found.clone();
    let inside = Func::wrap(&mut store, move |mut caller: runwell::Caller<'_, ()>| {
        *result.lock().unwrap() = other.snapshot(&mut caller).err();
    });
    Instance::new(&mut store, &Module::new(&engine, text)?, &[inside.into()])?;
    let error = found.lock().unwrap().take().expect("an error");
    assert_eq!(refused(&error), &SnapshotError::Running);
    Ok(())
}

#[test]
fn other_bytes_are_refused() -> Result<()> {
    let engine = Engine::default();
    let (mut store, instance) = worked(&engine)?;
    let bytes = instance.snapshot(&mut store)?;
    let module = Module::new(&engine, MODULE)?;
    let mut fresh = Store::new(&engine, ());
    let linker = linker(&engine, &mut fresh)?;
    let mut refuse = |bytes: &[u8], with_hash: bool| {
        let mut bytes = bytes.to_vec();
        if with_hash {
            let content = bytes.len() - 32;
            let hash = *blake3::hash(&bytes[..content]).as_bytes();
            bytes[content..].copy_from_slice(&hash);
        }
        linker.restore(&mut fresh, &module, &bytes)
    };
    let is = |result: Result<Instance>| refused(&result.expect_err("an error")).clone();
    assert_eq!(is(refuse(b"", false)), SnapshotError::NotASnapshot);
    assert_eq!(is(refuse(&bytes[1..], false)), SnapshotError::NotASnapshot);
    let (version, target, hash) = (17, 18, 19 + std::env::consts::ARCH.len());
    let changed = |at: usize, to: u8| {
        let mut changed = bytes.clone();
        changed[at] = to;
        changed
    };
    assert_eq!(is(refuse(&changed(version, 9), true)), SnapshotError::Version(9));
    let other = changed(target + 1, b'y');
    assert!(matches!(is(refuse(&other, true)), SnapshotError::Target(_)));
    assert_eq!(is(refuse(&changed(hash, !bytes[hash]), true)), SnapshotError::Module);
    for len in (0..bytes.len()).step_by(97) {
        refuse(&bytes[..len], false).expect_err("cut off");
    }
    for at in (version..bytes.len()).step_by(61) {
        refuse(&changed(at, bytes[at] ^ 0x10), false).expect_err("changed");
    }
    Ok(())
}

/// Bytes that somebody made on purpose, with the right hash: whatever comes of them can be run.
#[test]
fn forged_bytes_do_no_harm() -> Result<()> {
    let engine = Engine::default();
    let (mut store, instance) = worked(&engine)?;
    let bytes = instance.snapshot(&mut store)?;
    let module = Module::new(&engine, MODULE)?;
    let head = 19 + std::env::consts::ARCH.len() + 32;
    let (mut seed, mut restored, mut refused) = (1u64, 0, 0);
    let interesting: Vec<usize> = (head..bytes.len() - 32)
        // Numbers, and not the content of pages.
        .filter(|&at| bytes[at] != 0 || at + 200 > bytes.len())
        .collect();
    for round in 0..1000 {
        let mut forged = bytes.clone();
        for _ in 0..=round % 3 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let at = interesting[(seed >> 33) as usize % interesting.len()];
            forged[at] = (seed >> 20) as u8;
        }
        let content = forged.len() - 32;
        let hash = *blake3::hash(&forged[..content]).as_bytes();
        forged[content..].copy_from_slice(&hash);
        let mut store = Store::new(&engine, ());
        let linker = linker(&engine, &mut store)?;
        match linker.restore(&mut store, &module, &forged) {
            Ok(instance) => {
                restored += 1;
                for export in ["sum", "work", "drop"] {
                    let func = instance.get_func(&mut store, export).expect("an export");
                    let mut results = vec![runwell::Val::I32(0); usize::from(export == "sum")];
                    _ = func.call(&mut store, &[], &mut results);
                }
                store.state_hash();
            }
            Err(_) => refused += 1,
        }
    }
    assert!(restored > 10 && refused > 10, "{restored} {refused}");
    Ok(())
}
