//! A few bytes declare tables of ten million elements. Hashing a store and taking it down cost what is in
//! its tables, not what could be.

use runwell::{Engine, Instance, Linker, Module, Result, StateHash, Store};

/// Fifty tables, half a thousand million elements together.
const TABLES: usize = 50;

fn module(engine: &Engine) -> Result<Module> {
    let tables = "(table 10_000_000 funcref)".repeat(TABLES);
    Module::new(
        engine,
        format!(
            r#"(module (table $t 10_000_000 funcref) {tables}
            (func $f) (elem declare func $f)
            (func (export "set") (param i32) (table.set $t (local.get 0) (ref.func $f)))
            (func (export "clear") (param i32) (table.set $t (local.get 0) (ref.null func)))
            (func (export "call") (param i32) (call_indirect $t (local.get 0))))"#
        ),
    )
}

fn call(store: &mut Store<()>, instance: Instance, name: &str, at: i32) -> Result<()> {
    instance.get_typed_func::<i32, ()>(&mut *store, name)?.call(store, at)
}

fn hash(module: &Module, set: &[i32], clear: &[i32]) -> Result<StateHash> {
    let mut store = Store::new(module.engine(), ());
    let instance = Instance::new(&mut store, module, &[])?;
    set.iter().try_for_each(|&at| call(&mut store, instance, "set", at))?;
    clear.iter().try_for_each(|&at| call(&mut store, instance, "clear", at))?;
    Ok(store.state_hash())
}

#[test]
fn hashes_tell_where_elements_are() -> Result<()> {
    let module = module(&Engine::default())?;
    let none = hash(&module, &[], &[])?;
    let ends = [0, 511, 512, 5_000_000, 9_999_999];
    let mut seen = vec![none];
    for at in ends {
        let found = hash(&module, &[at], &[])?;
        assert!(!seen.contains(&found), "{at}");
        seen.push(found);
        assert_eq!(hash(&module, &[at], &[at])?, none, "{at}");
    }
    let all = hash(&module, &ends, &[])?;
    assert!(!seen.contains(&all));
    assert_eq!(hash(&module, &[9_999_999, 7, 512, 0, 5_000_000, 511], &[7])?, all);
    Ok(())
}

#[test]
fn snapshots_hold_what_is_in_tables() -> Result<()> {
    let engine = Engine::default();
    let module = module(&engine)?;
    let mut store = Store::new(&engine, ());
    let instance = Instance::new(&mut store, &module, &[])?;
    for at in [3, 4, 9_999_999] {
        call(&mut store, instance, "set", at)?;
    }
    let (one, whole) = (instance.snapshot(&mut store)?, store.snapshot()?);
    assert!(one.len() < 1000 && whole.len() < 1000, "{} and {}", one.len(), whole.len());

    let linker = Linker::new(&engine);
    for of_instance in [true, false] {
        let mut other = Store::new(&engine, ());
        let again = if of_instance {
            linker.restore(&mut other, &module, &one)?
        } else {
            linker.restore_store(&mut other, std::slice::from_ref(&module), &whole)?.instances[0]
        };
        assert_eq!(other.state_hash(), store.state_hash());
        call(&mut other, again, "call", 9_999_999)?;
        call(&mut other, again, "call", 5).expect_err("nothing there");
    }
    Ok(())
}
