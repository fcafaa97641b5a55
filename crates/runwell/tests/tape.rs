//! Recordings: whatever the host does happens again without it, and what differs is named.

use runwell::tape::{Divergence, Ending, LogError, Outcome, Replay, SharedLog, Stop};
use runwell::{
    AsContextMut, Caller, Config, Engine, Extern, ExternRef, Func, Instance, Linker, Memory,
    MemoryType, Module, Ref, ResourceLimiter, Result, Rooted, StateHash, Store, Trap, Val,
};
use std::io::Cursor;

const MODULE: &str = r#"(module $guest
    (import "host" "memory" (memory 1 10))
    (import "host" "fill" (func $fill (param i32 i32)))
    (import "host" "random" (func $random (result i64)))
    (import "host" "back" (func $back (param funcref i32) (result i32)))
    (import "host" "object" (func $object (result externref)))
    (import "host" "floats" (func $floats (param f32 f64) (result f64 f32)))
    (import "host" "fail" (func $fail (param i32)))
    (memory $own (export "own") 1)
    (table $table (export "table") 8 funcref)
    (table $objects (export "objects") 8 externref)
    (global $sum (export "sum") (mut i64) (i64.const 0))
    (elem declare func $callee $random)
    (func $start (global.set $sum (call $random)))
    (start $start)
    (func $callee (export "callee") (param i32) (result i32)
        (i64.store $own (i32.const 8) (call $random))
        (i32.add (local.get 0) (i32.load (i32.const 40000))))
    (func (export "run") (param $n i32) (result i64)
        (local $i i32) (local $f f32) (local $d f64)
        (loop $again
            (call $fill (i32.mul (local.get $i) (i32.const 777)) (i32.const 600))
            (i32.store $own (i32.const 20000) (call $back (ref.func $callee) (local.get $i)))
            (table.set $objects (i32.rem_u (local.get $i) (i32.const 8)) (call $object))
            (table.set $table (i32.const 1) (ref.func $random))
            (call $floats (f32.const 0.5) (f64.load (i32.const 0)))
            (local.set $f)
            (local.set $d)
            (f32.store $own (i32.const 30000) (local.get $f))
            (f64.store $own (i32.const 30008) (local.get $d))
            (global.set $sum (i64.add (global.get $sum) (call $random)))
            (drop (memory.grow $own (i32.const 1)))
            (br_if $again (i32.lt_u
                (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $n))))
        (global.get $sum))
    (func (export "trap") (param i32)
        (call $fill (i32.const 0) (i32.const 8))
        (call $fail (local.get 0))
        (unreachable))
    (func (export "grow") (param i32) (result i32) (memory.grow $own (local.get 0))))"#;

struct Host {
    seed: u64,
    pages: usize,
}

impl Host {
    /// Other numbers in every run.
    fn new() -> Host {
        use std::hash::{BuildHasher as _, Hasher as _};
        let seed = std::collections::hash_map::RandomState::new().build_hasher().finish();
        Host { seed, pages: 6 }
    }

    fn next(&mut self) -> u64 {
        self.seed = self.seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(99);
        self.seed ^ self.seed >> 29
    }
}

impl ResourceLimiter for Host {
    fn memory_growing(&mut self, _: usize, desired: usize, _: Option<usize>) -> Result<bool> {
        Ok(desired <= self.pages << 16 || self.next().is_multiple_of(2))
    }

    fn table_growing(&mut self, _: usize, _: usize, _: Option<usize>) -> Result<bool> {
        Ok(true)
    }
}

fn linker(engine: &Engine, memory: Memory, store: &mut Store<Host>) -> Result<Linker<Host>> {
    let mut linker = Linker::new(engine);
    linker.define(&*store, "host", "memory", memory)?;
    linker.func_wrap("host", "fill", move |mut caller: Caller<'_, Host>, at: u32, len: u32| {
        let (bytes, host) = memory.data_and_store_mut(&mut caller);
        let end = (at as usize + len as usize).min(bytes.len());
        bytes[at as usize..end].iter_mut().for_each(|byte| *byte = host.next() as u8);
    })?;
    linker.func_wrap("host", "random", |mut caller: Caller<'_, Host>| caller.data_mut().next())?;
    linker.func_wrap(
        "host",
        "back",
        move |mut caller: Caller<'_, Host>, func: Option<Func>, by: i32| -> Result<i32> {
            let random = caller.data_mut().next();
            memory.write(&mut caller, 40000, &random.to_le_bytes())?;
            if random.is_multiple_of(3) {
                memory.grow(&mut caller, 1).ok();
            }
            let func = func.expect("a function").typed::<i32, i32>(&caller)?;
            let result = func.call(&mut caller, by)?;
            let Some(Extern::Global(sum)) = caller.get_export("sum") else { return Ok(result) };
            let old = sum.get(&mut caller).unwrap_i64();
            sum.set(&mut caller, Val::I64(old ^ random as i64))?;
            let Some(Extern::Table(table)) = caller.get_export("table") else { return Ok(result) };
            let back = Func::wrap(&mut caller, || 5i64);
            table.set(&mut caller, random % 8, Ref::Func(Some(back)))?;
            table.grow(&mut caller, random % 3, Ref::Func(None))?;
            Ok(result ^ random as i32)
        },
    )?;
    linker.func_wrap(
        "host",
        "object",
        |mut caller: Caller<'_, Host>| -> Result<Option<Rooted<ExternRef>>> {
            if caller.data_mut().next().is_multiple_of(2) {
                return Ok(None);
            }
            Ok(Some(ExternRef::new(&mut caller, "object")?))
        },
    )?;
    linker.func_wrap("host", "floats", |mut caller: Caller<'_, Host>, a: f32, b: f64| {
        (b * caller.data_mut().next() as f64, a)
    })?;
    linker.func_wrap("host", "fail", |_: Caller<'_, Host>, how: i32| match how {
        0 => Ok(()),
        1 => Err(Trap::IntegerOverflow.into()),
        _ => Err(runwell::format_err!("the host has failed: {how}")),
    })?;
    Ok(linker)
}

/// Does a bit of everything in a store that is being recorded.
fn everything(engine: &Engine) -> Result<(SharedLog, StateHash)> {
    let log = SharedLog::default();
    let mut store = Store::new(engine, Host::new());
    store.record(log.clone())?;
    store.limiter(|host| host);
    if store.get_fuel().is_ok() {
        store.set_fuel(1_000_000)?;
    }
    let memory = Memory::new(&mut store, MemoryType::new(1, Some(10)))?;
    memory.write(&mut store, 5, b"before anything else")?;
    let linker = linker(engine, memory, &mut store)?;
    let module = Module::new(engine, MODULE)?;
    let instance = linker.instantiate(&mut store, &module)?;
    let run = instance.get_typed_func::<u32, u64>(&mut store, "run")?;
    run.call(&mut store, 20)?;
    memory.data_mut(&mut store)[50_000] = 7;
    if let Ok(fuel) = store.get_fuel() {
        store.set_fuel(fuel + 12345)?;
    }
    for how in 0..3 {
        let trap = instance.get_typed_func::<i32, ()>(&mut store, "trap")?;
        assert!(trap.call(&mut store, how).is_err());
    }
    let other = linker.instantiate(&mut store, &module)?;
    let run = other.get_typed_func::<u32, u64>(&mut store, "run")?;
    run.call(&mut store, 3)?;
    let grow = other.get_typed_func::<i32, i32>(&mut store, "grow")?;
    for _ in 0..10 {
        grow.call(&mut store, 2)?;
    }
    let table = other.get_table(&mut store, "table").expect("a table");
    runwell::Table::copy(&mut store, &table, 0, &table, 1, 2)?;
    let hash = store.finish_recording(b"a note")?;
    assert_eq!(hash, store.state_hash());
    // What happens now is not recorded any more.
    run.call(&mut store, 1)?;
    Ok((log, hash))
}

fn metered() -> Config {
    let mut config = Config::new();
    config.consume_fuel(true);
    config
}

fn replay(config: &Config, log: Vec<u8>) -> Result<Ending> {
    Replay::open(config, Cursor::new(log))?.run()
}

#[test]
fn everything_happens_again() -> Result<()> {
    let mut charged = metered();
    charged.charge_instantiation(true).charge_compilation(3);
    for config in [Config::new(), metered(), charged] {
        let (log, wanted) = everything(&Engine::new(&config)?)?;
        // In any way of compiling, metered or not.
        for again in [Config::new(), metered(), Config::new().optimize(false).clone()] {
            match replay(&again, log.bytes())? {
                Ending::Complete { hash, note, outcome: Some(Outcome::Values(_)) } => {
                    assert_eq!((hash, &note[..]), (wanted, &b"a note"[..]));
                }
                other => panic!("{other:?}"),
            }
        }
    }
    Ok(())
}

/// A recording that breaks off is replayed up to there, wherever that is.
#[test]
fn torn_recordings_are_replayed_to_their_end() -> Result<()> {
    let (log, _) = everything(&Engine::new(&metered())?)?;
    let log = log.bytes();
    let (mut last, mut stops) = (0, 0);
    for len in (0..log.len()).step_by(log.len() / 60) {
        let opened = Replay::open(&Config::new(), Cursor::new(log[..len].to_vec()));
        let Ok(mut replay) = opened else { continue };
        match replay.run()? {
            Ending::Stopped { stop: Stop::Cut { .. }, .. } => stops += 1,
            other => panic!("{len}: {other:?}"),
        }
        assert!(replay.calls() >= last);
        last = replay.calls();
    }
    assert!(stops > 50 && last > 100, "{stops} {last}");
    Ok(())
}

/// Whatever the bytes are, nothing worse than an error comes of them.
#[test]
fn damaged_recordings_do_no_harm() -> Result<()> {
    let (log, _) = everything(&Engine::new(&Config::new())?)?;
    let log = log.bytes();
    let module = log.windows(4).position(|bytes| bytes == b"\0asm").expect("the module");
    let behind = module + 1200;
    let mut seed = 5u64;
    let (mut refused, mut differed, mut other) = (0, 0, 0);
    for _ in 0..400 {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let at = behind + (seed >> 33) as usize % (log.len() - behind);
        let mut damaged = log.clone();
        damaged[at] ^= 1 << (seed >> 30 & 7);
        match replay(&Config::new(), damaged) {
            Err(error) if error.is::<LogError>() => refused += 1,
            Err(error) if error.is::<Divergence>() => differed += 1,
            _ => other += 1,
        }
    }
    // Most of the log is what was written into memories, whose bits the guest looks at, or the hash does.
    assert!(refused > 10 && differed > 10, "{refused} {differed} {other}");
    Ok(())
}

#[test]
fn stops_by_fuel_and_by_call() -> Result<()> {
    let text = r#"(module $m
        (import "host" "tick" (func $tick (param i32)))
        (memory (export "memory") 1)
        (global $i (export "i") (mut i32) (i32.const 0))
        (func $inner (call $tick (global.get $i)))
        (func (export "run")
            (loop
                (global.set $i (i32.add (global.get $i) (i32.const 1)))
                (i32.store (i32.mul (global.get $i) (i32.const 4)) (global.get $i))
                (call $inner)
                (br_if 0 (i32.lt_u (global.get $i) (i32.const 100))))))"#;
    for config in [Config::new(), metered()] {
        let engine = Engine::new(&config)?;
        let module = Module::new(&engine, text)?;
        let log = SharedLog::default();
        let mut store = Store::new(&engine, ());
        store.record(log.clone())?;
        let has_fuel = store.get_fuel().is_ok();
        if has_fuel {
            store.set_fuel(5000)?;
        }
        let mut linker = Linker::new(&engine);
        linker.func_wrap("host", "tick", |_: i32| {})?;
        let instance = linker.instantiate(&mut store, &module)?;
        instance.get_typed_func::<(), ()>(&mut store, "run")?.call(&mut store, ())?;
        let hash = store.finish_recording(b"")?;

        let mut last = 0;
        for units in [0, 1, 10, 100, 101, 102, 103, 500, 1000] {
            let mut replay = Replay::open(&metered(), Cursor::new(log.bytes()))?;
            replay.until_fuel(units)?;
            let Ending::Stopped { stop: Stop::Fuel { used }, backtrace } = replay.run()? else {
                panic!("{units}")
            };
            assert!(used <= units && units - used < 16, "{used} of {units}");
            let backtrace = backtrace.expect("frames");
            assert!(backtrace.frames().iter().any(|frame| frame.func_name() == Some("run")));
            let global = replay.globals()[0].get(replay.store()).unwrap_i32();
            assert!(global >= last && (global as u64) <= units / 10 + 1, "{global} {units}");
            last = global;
            let memory = replay.memories()[0];
            let stored = memory.data(replay.store())[global as usize * 4];
            assert!(stored == global as u8 || stored == 0, "{stored} {global}");
            if has_fuel {
                assert_eq!(replay.store().get_fuel()?, 5000 - used);
            }
        }
        let mut replay = Replay::open(&metered(), Cursor::new(log.bytes()))?;
        replay.until_fuel(1_000_000)?;
        assert!(matches!(replay.run()?, Ending::Complete { hash: found, .. } if found == hash));

        let mut replay = Replay::open(&Config::new(), Cursor::new(log.bytes()))?;
        assert_eq!(replay.until_fuel(5).is_err(), !has_fuel);
        let mut replay = Replay::open(&Config::new(), Cursor::new(log.bytes()))?;
        replay.until_call(42);
        let Ending::Stopped { stop: Stop::Call { number: 42 }, backtrace } = replay.run()? else {
            panic!("it was to stop")
        };
        let names: Vec<_> =
            backtrace.iter().flat_map(|b| b.frames()).map(|f| f.func_name()).collect();
        assert_eq!(names, [Some("inner"), Some("run")]);
        assert_eq!(replay.globals()[0].get(replay.store()).unwrap_i32(), 42);
        assert_eq!(replay.calls(), 42);
    }
    Ok(())
}

/// A host that does something to a replayed store that was not recorded.
#[test]
fn a_replay_that_differs_names_the_call() -> Result<()> {
    let engine = Engine::default();
    let module = Module::new(
        &engine,
        r#"(module
            (import "env" "one" (func $one (param i32)))
            (import "env" "two" (func $two (param i32 i64)))
            (func (export "run") (call $one (i32.const 1)) (call $two (i32.const -7) (i64.const 7))))"#,
    )?;
    let log = SharedLog::default();
    let mut store = Store::new(&engine, ());
    store.record(log.clone())?;
    let mut linker = Linker::new(&engine);
    linker.func_wrap("env", "one", |_: i32| {})?;
    linker.func_wrap("env", "two", |_: i32, _: i64| {})?;
    let instance = linker.instantiate(&mut store, &module)?;
    instance.get_typed_func::<(), ()>(&mut store, "run")?.call(&mut store, ())?;
    store.finish_recording(b"")?;
    // Another argument in the log stands for another one in the guest.
    let mut bytes = log.bytes();
    let at = bytes.windows(3).rposition(|bytes| bytes == [1, 7, 0]).expect("the i64") + 1;
    bytes[at] = 8;
    let error = replay(&Config::new(), bytes).expect_err("a difference");
    let found = error.downcast_ref::<Divergence>().expect("a divergence");
    assert_eq!(
        found.to_string(),
        "the replay differs at import call 2: expected a call of `env::two`(-7, 8), found a call of \
         `env::two`(-7, 7)"
    );
    assert_eq!(found.call, 2);
    Ok(())
}

#[test]
fn what_cannot_be_recorded_is_refused() -> Result<()> {
    let engine = Engine::default();
    let mut store = Store::new(&engine, ());
    let func = Func::wrap(&mut store, || {});
    assert!(store.record(SharedLog::default()).is_err());
    assert!(store.finish_recording(b"").is_err());
    func.call(&mut store, &[], &mut [])?;

    let mut store = Store::new(&engine, ());
    store.record(SharedLog::default())?;
    assert!(store.record(SharedLog::default()).is_err());

    /// A disk that is full after some bytes.
    struct Full(usize);
    impl std::io::Write for Full {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 = self.0.checked_sub(bytes.len()).ok_or(std::io::ErrorKind::StorageFull)?;
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut store = Store::new(&engine, ());
    store.record(Full(100))?;
    let func = Func::wrap(&mut store, || {});
    let ended = (0..100).find_map(|_| func.call(&mut store, &[], &mut []).err());
    assert!(format!("{:#}", ended.expect("an error")).contains("recording cannot be written"));
    Ok(())
}

#[test]
fn a_panic_of_the_host_ends_the_recording() -> Result<()> {
    let engine = Engine::default();
    let log = SharedLog::default();
    let mut store = Store::new(&engine, ());
    store.record(log.clone())?;
    let func = Func::wrap(&mut store, || -> () { panic!("of the host") });
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        func.call(store.as_context_mut(), &[], &mut [])
    }));
    assert!(caught.is_err());
    assert!(store.finish_recording(b"").is_err());
    let ending = replay(&Config::new(), log.bytes())?;
    assert!(matches!(ending, Ending::Stopped { stop: Stop::Panicked, .. }), "{ending:?}");
    Ok(())
}

#[test]
fn an_interrupted_guest_is_not_run_for_ever() -> Result<()> {
    let engine = Engine::default();
    let module = Module::new(
        &engine,
        r#"(module (import "env" "go" (func $go)) (func (export "spin") (call $go) (loop (br 0))))"#,
    )?;
    let log = SharedLog::default();
    let mut store = Store::new(&engine, ());
    store.record(log.clone())?;
    let handle = store.interrupt_handle()?;
    let go = Func::wrap(&mut store, move || {
        let handle = handle.clone();
        std::thread::spawn(move || while !handle.interrupt() {});
    });
    let instance = Instance::new(&mut store, &module, &[go.into()])?;
    let spin = instance.get_typed_func::<(), ()>(&mut store, "spin")?;
    assert!(spin.call(&mut store, ()).is_err());
    store.finish_recording(b"")?;
    let ending = replay(&Config::new(), log.bytes())?;
    // Either while the host function was running, or in the loop behind it.
    assert!(matches!(ending, Ending::Stopped { stop: Stop::Interrupted, .. }), "{ending:?}");
    Ok(())
}
