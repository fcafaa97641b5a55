//! Hashes of states: the same wherever and however a module runs, another one for every difference.

use runwell::{
    Config, Engine, ExternRef, Instance, Linker, Module, Ref, Result, StateHash, Store, Val,
};

/// Something of everything that a state consists of.
const MODULE: &str = r#"(module
    (import "host" "f" (func $f (param i32) (result i32)))
    (memory (export "memory") 2 10)
    (memory $wide i64 1)
    (table $funcs (export "funcs") 4 20 funcref)
    (table $objects (export "objects") 2 externref)
    (global $number (mut i32) (i32.const 5))
    (global $function (mut funcref) (ref.func $own))
    (global $float (export "float") (mut f64) (f64.const 1))
    (data $passive "passive")
    (data (i32.const 70000) "active")
    (elem $some func $own $f)
    (elem (i32.const 1) $own)
    (func $own (param i32) (result i32) (local.get 0))
    (func (export "store") (param i32 i32) (i32.store (local.get 0) (local.get 1)))
    (func (export "store-wide") (i64.store $wide (i64.const 9) (i64.const 1)))
    (func (export "grow") (drop (memory.grow (i32.const 1))))
    (func (export "table-grow") (drop (table.grow $funcs (ref.null func) (i32.const 1))))
    (func (export "table-own") (table.set $funcs (i32.const 0) (ref.func $own)))
    (func (export "table-host") (table.set $funcs (i32.const 0) (ref.func $f)))
    (func (export "table-init") (table.init $funcs $some (i32.const 2) (i32.const 0) (i32.const 2)))
    (func (export "data-drop") (data.drop $passive))
    (func (export "elem-drop") (elem.drop $some))
    (func (export "number") (global.set $number (i32.const 6)))
    (func (export "nan") (global.set $float (f64.div (f64.const 0) (f64.const 0))))
    (func (export "function") (global.set $function (ref.func $f)))
    )"#;

/// What may be done, each of which changes the state.
const DEEDS: [&str; 12] = [
    "store",
    "store-wide",
    "grow",
    "table-grow",
    "table-own",
    "table-host",
    "table-init",
    "data-drop",
    "elem-drop",
    "number",
    "nan",
    "function",
];

fn engine(config: &mut Config) -> Result<Engine> {
    Engine::new(config)
}

/// Runs what is named, in a new store.
fn state(engine: &Engine, deeds: &[&str]) -> Result<(Store<()>, Instance)> {
    let module = Module::new(engine, MODULE)?;
    let mut store = Store::new(engine, ());
    if store.get_fuel().is_ok() {
        store.set_fuel(1_000_000)?;
    }
    let mut linker = Linker::new(engine);
    linker.func_wrap("host", "f", |x: i32| x)?;
    let instance = linker.instantiate(&mut store, &module)?;
    for deed in deeds {
        let func = instance.get_func(&mut store, deed).expect("an export");
        let args: &[Val] = if *deed == "store" { &[Val::I32(1000), Val::I32(1)] } else { &[] };
        func.call(&mut store, args, &mut [])?;
    }
    Ok((store, instance))
}

fn hash(engine: &Engine, deeds: &[&str]) -> Result<StateHash> {
    Ok(state(engine, deeds)?.0.state_hash())
}

#[test]
fn every_difference_is_seen() -> Result<()> {
    let engine = engine(&mut Config::new())?;
    let mut hashes = vec![hash(&engine, &[])?];
    for deed in DEEDS {
        hashes.push(hash(&engine, &[deed])?);
    }
    let mut metered = Config::new();
    let metered = self::engine(metered.consume_fuel(true))?;
    hashes.push(hash(&metered, &[])?);
    let (mut store, _) = state(&metered, &[])?;
    store.set_fuel(999_999)?;
    hashes.push(store.state_hash());
    let count = hashes.len();
    hashes.sort();
    hashes.dedup();
    assert_eq!(hashes.len(), count);
    Ok(())
}

#[test]
fn what_the_host_does_is_seen() -> Result<()> {
    let engine = engine(&mut Config::new())?;
    let (mut store, instance) = state(&engine, &[])?;
    let mut last = store.state_hash();
    let mut changed = |store: &mut Store<()>| {
        let hash = store.state_hash();
        assert_ne!(hash, last);
        assert_eq!(hash, store.state_hash());
        last = hash;
    };
    let memory = instance.get_memory(&mut store, "memory").expect("a memory");
    memory.write(&mut store, 65536, &[1])?;
    changed(&mut store);
    memory.data_mut(&mut store)[131_071] = 1;
    changed(&mut store);
    memory.grow(&mut store, 3)?;
    changed(&mut store);
    let object = ExternRef::new(&mut store, 5u8)?;
    changed(&mut store);
    let objects = instance.get_table(&mut store, "objects").expect("a table");
    objects.set(&mut store, 1, Ref::Extern(Some(object)))?;
    changed(&mut store);
    let other = ExternRef::new(&mut store, 5u8)?;
    changed(&mut store);
    objects.set(&mut store, 1, Ref::Extern(Some(other)))?;
    changed(&mut store);
    let float = instance.get_global(&mut store, "float").expect("a global");
    float.set(&mut store, Val::F64(0))?;
    changed(&mut store);
    Ok(())
}

/// However code is compiled, and on every machine: the value is part of the promise, and changes only
/// with the first line of what is hashed.
#[test]
fn hashes_are_the_same_everywhere() -> Result<()> {
    let all: Vec<&str> = DEEDS.into_iter().filter(|deed| *deed != "elem-drop").collect();
    let mut first = None;
    for jobs in [1, 4] {
        for guarded in [true, false] {
            let mut config = Config::new();
            let engine = engine(config.compile_jobs(jobs).guarded_memories(guarded))?;
            let found = hash(&engine, &all)?;
            assert_eq!(*first.get_or_insert(found), found, "jobs {jobs}, guards {guarded}");
            // In another thread, in memory that was used before.
            let again = std::thread::scope(|scope| {
                scope.spawn(|| hash(&engine, &all)).join().expect("no panic")
            })?;
            assert_eq!(again, found);
        }
    }
    let wanted = "806e9a98bea80a84e8ef61ff0eec002a9f324c16c06cfcd5ae26acd5b5ba0a67";
    assert_eq!(first.map(|hash| hash.to_string()).as_deref(), Some(wanted));
    Ok(())
}

/// Hashing in between does not change what comes out: what is kept is what would be computed.
#[test]
fn hashing_again_is_hashing_anew() -> Result<()> {
    let engine = engine(&mut Config::new())?;
    let module = Module::new(&engine, MODULE)?;
    let mut linker = Linker::new(&engine);
    linker.func_wrap("host", "f", |x: i32| x)?;
    let mut seed = 1u64;
    let mut random = move |below: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % below
    };
    let (mut kept, mut written) = (Store::new(&engine, ()), Vec::new());
    let instance = linker.instantiate(&mut kept, &module)?;
    let store = instance.get_typed_func::<(u32, u32), ()>(&mut kept, "store")?;
    for round in 0..20 {
        for _ in 0..random(4) {
            // Zeros as well, which make pages empty again.
            let write = ((random(2) * 65536 + random(3) * 4096 + 4) as u32, random(2) as u32);
            store.call(&mut kept, write)?;
            written.push(write);
        }
        let found = kept.state_hash();
        let mut anew = Store::new(&engine, ());
        let instance = linker.instantiate(&mut anew, &module)?;
        let store = instance.get_typed_func::<(u32, u32), ()>(&mut anew, "store")?;
        for &write in &written {
            store.call(&mut anew, write)?;
        }
        assert_eq!(found, anew.state_hash(), "round {round}");
    }
    Ok(())
}

#[test]
fn hashes_are_text_and_back() {
    let hash = StateHash([0xa5; 32]);
    assert_eq!(hash.to_string().parse::<StateHash>().expect("a hash"), hash);
    for bad in ["", "a5", &"+1".repeat(32), &"é".repeat(32)] {
        assert!(bad.parse::<StateHash>().is_err(), "{bad}");
    }
}
