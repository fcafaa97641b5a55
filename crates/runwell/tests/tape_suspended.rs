//! Recordings of calls that are suspended and go on: for fuel, for answers of the host, given up, and what the
//! host does meanwhile.

use runwell::tape::{Divergence, Ending, LogError, Replay, SharedLog, Stop};
use runwell::{
    Caller, Config, Engine, Extern, ExternRef, Func, Instance, Linker, Module, Result,
    ResumableCall, StateHash, Store, Suspend, SuspendedCall, Trap, Val,
};
use std::io::Cursor;

const MODULE: &str = r#"(module $guest
    (import "host" "ask" (func $ask (param i32) (result i64 externref f32)))
    (import "host" "back" (func $back (param funcref) (result i32)))
    (import "host" "note" (func $note (param i64)))
    (memory (export "memory") 1 20)
    (global $sum (export "sum") (mut i64) (i64.const 0))
    (table $objects (export "objects") 4 externref)
    (elem declare func $asks)
    (func $asks (export "asks") (param i32) (result i64)
        (local $object externref) (local $float f32)
        (call $ask (local.get 0))
        (local.set $float)
        (local.set $object)
        (table.set $objects (i32.rem_u (local.get 0) (i32.const 4)) (local.get $object))
        (f32.store (i32.const 64) (f32.mul (local.get $float) (f32.load (i32.const 64)))))
    (func (export "run") (param $n i32) (result i64)
        (local $i i32) (local $k i32)
        (loop $again
            (global.set $sum (i64.add (global.get $sum) (call $asks (local.get $i))))
            (local.set $k (i32.const 40))
            (loop $work
                (i32.store (i32.const 128)
                    (i32.add (i32.load (i32.const 128)) (i32.mul (local.get $k) (i32.const 7))))
                (br_if $work (local.tee $k (i32.sub (local.get $k) (i32.const 1)))))
            (call $note (i64.add (global.get $sum) (i64.load32_u (i32.const 128))))
            (drop (call $back (ref.func $asks)))
            (br_if $again (i32.lt_u
                (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $n))))
        (global.get $sum))
    (func (export "trap") (param i32) (result i64)
        (drop (drop (drop (call $ask (local.get 0)))))
        (unreachable))
    (func (export "spin") (loop (br 0))))"#;

/// Answers, in other numbers in every run.
struct Host {
    seed: u64,
}

impl Host {
    fn new() -> Host {
        use std::hash::{BuildHasher as _, Hasher as _};
        Host { seed: std::collections::hash_map::RandomState::new().build_hasher().finish() }
    }

    fn next(&mut self) -> u64 {
        self.seed = self.seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(99);
        self.seed ^ self.seed >> 29
    }
}

fn linker(engine: &Engine) -> Result<Linker<Host>> {
    let mut linker = Linker::<Host>::new(engine);
    let ty = Module::new(engine, MODULE)?
        .imports()
        .next()
        .and_then(|import| import.ty().func().cloned());
    linker.func_new("host", "ask", ty.expect("a function"), |mut caller, params, results| {
        let random = caller.data_mut().next();
        match random % 3 {
            // Answers at once.
            0 => {
                results[0] = Val::I64(random as i64);
                results[2] = Val::F32((random as f32).to_bits());
                Ok(())
            }
            _ => Err(Suspend::new(params[0].unwrap_i32()).into()),
        }
    })?;
    // A guest that is called by a host function cannot be suspended: that is an error, which the guest
    // around it does not get to see.
    linker.func_wrap("host", "back", |mut caller: Caller<'_, Host>, func: Option<Func>| {
        let func = func.expect("a function").typed::<i32, i64>(&caller)?;
        runwell::error::Ok(i32::from(func.call(&mut caller, 1).is_ok()))
    })?;
    linker.func_wrap("host", "note", |mut caller: Caller<'_, Host>, _: i64| {
        let Some(Extern::Memory(memory)) = caller.get_export("memory") else { return };
        let random = caller.data_mut().next();
        memory.data_mut(&mut caller)[300] = random as u8;
    })?;
    Ok(linker)
}

/// What the host does while a call waits, and the answer to it.
fn go_on(
    store: &mut Store<Host>,
    instance: Instance,
    call: SuspendedCall,
    results: &mut [Val],
) -> Result<ResumableCall> {
    let random = store.data_mut().next();
    // Nothing else runs meanwhile, which is an error that is recorded as any other.
    let spin = instance.get_func(&mut *store, "spin").expect("a function");
    assert!(spin.call(&mut *store, &[], &mut []).is_err());
    if call.needs_fuel() {
        let fuel = store.get_fuel()?;
        store.set_fuel(fuel + random % 300)?;
        return call.resume(store, results);
    }
    // Where a host function is waited for, everything may be changed.
    let memory = instance.get_memory(&mut *store, "memory").expect("a memory");
    memory.write(&mut *store, 400 + random as usize % 50, &random.to_le_bytes())?;
    if random.is_multiple_of(5) {
        memory.grow(&mut *store, 1).ok();
    }
    let sum = instance.get_global(&mut *store, "sum").expect("a global");
    let old = sum.get(&mut *store).unwrap_i64();
    sum.set(&mut *store, Val::I64(old ^ random as i64))?;
    assert!(call.request::<i32>().is_some());
    let object = match random % 2 {
        0 => None,
        _ => Some(ExternRef::new(&mut *store, "object")?),
    };
    let answer = [Val::I64(random as i64), Val::ExternRef(object), Val::F32(random as u32)];
    call.answer(store, &answer, results)
}

/// Calls to the end, and says how often it was suspended.
fn call(
    store: &mut Store<Host>,
    instance: Instance,
    name: &str,
    params: &[Val],
) -> (Result<i64>, u32) {
    let mut results = [Val::I64(0)];
    let func = instance.get_func(&mut *store, name).expect("a function");
    let mut ran = func.call_resumable(&mut *store, params, &mut results);
    let mut waits = 0;
    loop {
        match ran {
            Ok(ResumableCall::Finished) => return (Ok(results[0].unwrap_i64()), waits),
            Ok(ResumableCall::Suspended(suspended)) => {
                waits += 1;
                ran = go_on(store, instance, suspended, &mut results);
            }
            Err(error) => return (Err(error), waits),
        }
    }
}

fn metered() -> Config {
    let mut config = Config::new();
    config.consume_fuel(true);
    config
}

/// Records calls that are suspended in all ways.
fn everything(config: &Config) -> Result<(SharedLog, StateHash)> {
    let engine = Engine::new(config)?;
    let log = SharedLog::default();
    let mut store = Store::new(&engine, Host::new());
    store.record(log.clone())?;
    let has_fuel = store.get_fuel().is_ok();
    if has_fuel {
        store.set_fuel(100)?;
    }
    let instance = linker(&engine)?.instantiate(&mut store, &Module::new(&engine, MODULE)?)?;
    let (result, waits) = call(&mut store, instance, "run", &[Val::I32(20)]);
    result?;
    assert!(waits > if has_fuel { 20 } else { 3 }, "{waits}");
    for n in 0..4 {
        let (result, _) = call(&mut store, instance, "trap", &[Val::I32(n)]);
        let error = result.expect_err("a trap");
        assert_eq!(error.downcast_ref::<Trap>(), Some(&Trap::UnreachableCodeReached));
    }
    // Given up, in both ways.
    for n in 0..6 {
        let func = instance.get_func(&mut store, "asks").expect("a function");
        let mut results = [Val::I64(0)];
        if has_fuel {
            store.set_fuel(if n == 5 { 2 } else { 1000 })?;
        }
        match func.call_resumable(&mut store, &[Val::I32(n)], &mut results)? {
            ResumableCall::Suspended(call) if n % 2 == 0 => call.cancel(&mut store),
            ResumableCall::Suspended(_) => store.cancel_suspended(),
            ResumableCall::Finished => {}
        }
    }
    // By a call that cannot be suspended, where it is an error.
    for n in 0..6 {
        let func = instance.get_typed_func::<i32, i64>(&mut store, "asks")?;
        _ = func.call(&mut store, n);
    }
    let hash = store.finish_recording(b"suspended")?;
    Ok((log, hash))
}

fn replay(config: &Config, log: Vec<u8>) -> Result<Ending> {
    Replay::open(config, Cursor::new(log))?.run()
}

#[test]
fn suspended_calls_happen_again() -> Result<()> {
    for config in [Config::new(), metered()] {
        for _ in 0..5 {
            let (log, wanted) = everything(&config)?;
            for again in [Config::new(), metered(), Config::new().optimize(false).clone()] {
                match replay(&again, log.bytes())? {
                    Ending::Complete { hash, note, .. } => {
                        assert_eq!((hash, &note[..]), (wanted, &b"suspended"[..]));
                    }
                    other => panic!("{other:?}"),
                }
            }
        }
    }
    Ok(())
}

/// A recording that ends while a call waits.
#[test]
fn a_call_may_wait_for_ever() -> Result<()> {
    for config in [Config::new(), metered()] {
        let engine = Engine::new(&config)?;
        let log = SharedLog::default();
        let mut store = Store::new(&engine, Host::new());
        store.record(log.clone())?;
        let linker = linker(&engine)?;
        let instance = linker.instantiate(&mut store, &Module::new(&engine, MODULE)?)?;
        let func = instance.get_func(&mut store, "asks").expect("a function");
        let mut results = [Val::I64(0)];
        store.set_fuel(1000).ok();
        // Until the host asks for it.
        while let ResumableCall::Finished =
            func.call_resumable(&mut store, &[Val::I32(1)], &mut results)?
        {}
        let hash = store.finish_recording(b"")?;
        let ending = replay(&config, log.bytes())?;
        assert!(matches!(ending, Ending::Complete { hash: again, .. } if again == hash));
    }
    Ok(())
}

/// Going back in time ends inside of slices of any kind, at the same place as in one run.
#[test]
fn a_replay_stops_by_fuel_in_any_slice() -> Result<()> {
    for config in [Config::new(), metered()] {
        let (log, _) = everything(&config)?;
        let mut last = 0;
        for units in (0..4000).step_by(131) {
            let mut replay = Replay::open(&metered(), Cursor::new(log.bytes()))?;
            replay.until_fuel(units)?;
            let Ending::Stopped { stop: Stop::Fuel { used }, backtrace } = replay.run()? else {
                panic!("{units}")
            };
            assert!(used <= units && units - used < 40, "{used} of {units}");
            assert!(used >= last);
            last = used;
            assert!(!backtrace.expect("frames").frames().is_empty(), "{units}");
            // The store is as it was then, and nothing waits in it.
            replay.store().state_hash();
        }
    }
    Ok(())
}

#[test]
fn what_differs_behind_a_suspension_is_named() -> Result<()> {
    let engine = Engine::default();
    let text = r#"(module
        (import "env" "wait" (func $wait (result i64)))
        (import "env" "tell" (func $tell (param i64)))
        (func (export "run") (call $tell (i64.add (call $wait) (i64.const 1)))))"#;
    let log = SharedLog::default();
    let mut store = Store::new(&engine, ());
    store.record(log.clone())?;
    let mut linker = Linker::new(&engine);
    linker.func_wrap("env", "wait", || -> Result<i64> { Err(Suspend::new(()).into()) })?;
    linker.func_wrap("env", "tell", |_: i64| {})?;
    let instance = linker.instantiate(&mut store, &Module::new(&engine, text)?)?;
    let run = instance.get_func(&mut store, "run").expect("a function");
    let ResumableCall::Suspended(call) = run.call_resumable(&mut store, &[], &mut [])? else {
        panic!("it waits")
    };
    let end = call.answer(&mut store, &[Val::I64(6)], &mut [])?;
    assert!(matches!(end, ResumableCall::Finished));
    store.finish_recording(b"")?;
    let bytes = log.bytes();
    assert!(matches!(replay(&Config::new(), bytes.clone())?, Ending::Complete { .. }));
    // The answer, one value of type i64, another one in the log.
    let at = bytes.windows(4).rposition(|bytes| bytes == [25, 1, 1, 6]).expect("the answer") + 3;
    let mut other = bytes.clone();
    other[at] = 9;
    let error = replay(&Config::new(), other).expect_err("a difference");
    let found = error.downcast_ref::<Divergence>().expect("a divergence");
    assert_eq!(
        found.to_string(),
        "the replay differs at import call 2: expected a call of `env::tell`(7), found a call of \
         `env::tell`(10)"
    );
    // An answer of another type is damage.
    let mut other = bytes.clone();
    other[at - 1] = 3;
    assert!(replay(&Config::new(), other).expect_err("damage").is::<LogError>());
    Ok(())
}

/// Whatever the bytes are, nothing worse than an error comes of them.
#[test]
fn damaged_recordings_do_no_harm() -> Result<()> {
    let (log, _) = everything(&metered())?;
    let log = log.bytes();
    let module = log.windows(4).position(|bytes| bytes == b"\0asm").expect("the module");
    let behind = module + 700;
    let (mut seed, mut refused, mut differed) = (7u64, 0, 0);
    for _ in 0..600 {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let at = behind + (seed >> 33) as usize % (log.len() - behind);
        let mut damaged = log.clone();
        damaged[at] ^= 1 << (seed >> 30 & 7);
        match replay(&Config::new(), damaged) {
            Err(error) if error.is::<LogError>() => refused += 1,
            Err(error) if error.is::<Divergence>() => differed += 1,
            _ => {}
        }
    }
    assert!(refused > 10 && differed > 10, "{refused} {differed}");
    Ok(())
}
