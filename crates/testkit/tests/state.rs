//! State in hand, on generated modules: alone, and with another one linked to them that shares all they have.
//!
//! A store that is taken down and made again, in the middle of what is called, goes on like the one it was
//! taken of. What was recorded, calls in slices of fuel among it, happens again, however the modules are
//! compiled the second time.

use runwell::tape::{Ending, Replay, SharedLog};
use runwell::{
    Config, Engine, Instance, Linker, Module, ResumableCall, StateHash, Store, Val, ValType,
};
use runwell_testkit::linked::above;
use runwell_testkit::{Nans, Rng, generate, program};
use std::io::Cursor;

/// Generated modules, each with one above it.
fn modules(smith: u64, programs: u64) -> impl Iterator<Item = (u64, [Vec<u8>; 2])> {
    let smith = (1..smith).filter_map(|seed| Some((seed, generate::from_seed(seed, Nans::Seen)?)));
    let programs = (1..programs).map(|seed| (seed, program::module(seed, Nans::Seen)));
    smith.chain(programs).map(|(seed, wasm)| {
        let above = above(&wasm);
        (seed, [wasm, above])
    })
}

fn argument(rng: &mut Rng, ty: ValType) -> Option<Val> {
    let bits = rng.next_u64() >> (rng.next_u64() % 64);
    Some(match ty {
        ValType::I32 => Val::I32(bits as i32),
        ValType::I64 => Val::I64(bits as i64),
        ValType::F32 => Val::F32(bits as u32),
        ValType::F64 => Val::F64(bits),
        ty => Val::default_for_ty(&ty)?,
    })
}

/// Makes both instances; none, where a segment or the start function traps.
fn instantiate(store: &mut Store<()>, modules: &[Module; 2]) -> Vec<Instance> {
    let Ok(below) = Instance::new(&mut *store, &modules[0], &[]) else { return Vec::new() };
    let mut linker = Linker::new(modules[0].engine());
    linker.instance(&mut *store, "below", below).expect("names");
    let above = linker.instantiate(store, &modules[1]).expect("what it imports is there");
    vec![below, above]
}

fn compile(engine: &Engine, wasm: &[Vec<u8>; 2]) -> [Module; 2] {
    wasm.each_ref().map(|wasm| Module::from_binary(engine, wasm).expect("a valid module"))
}

/// Calls an export of one of the instances, in slices of so much fuel if any is given, and says what came of
/// it; `None` when it cannot be called.
fn call(
    store: &mut Store<()>,
    instance: Instance,
    export: usize,
    rng: &mut Rng,
    slice: Option<u64>,
) -> Option<String> {
    let module = instance.module(&*store).clone();
    let funcs = module.exports().filter(|export| export.ty().func().is_some());
    let name = funcs.map(|export| export.name().to_string()).nth(export)?;
    let func = instance.get_func(&mut *store, &name).expect("an export");
    let ty = func.ty(&*store);
    let params = ty.params().map(|ty| argument(rng, ty)).collect::<Option<Vec<_>>>()?;
    let mut results = vec![Val::I32(0); ty.results().len()];
    let ended = match slice {
        None => func.call(&mut *store, &params, &mut results),
        Some(slice) => {
            store.set_fuel(slice).expect("it is metered");
            let mut ran = func.call_resumable(&mut *store, &params, &mut results);
            loop {
                match ran {
                    Ok(ResumableCall::Suspended(suspended)) => {
                        let left = store.get_fuel().expect("it is metered");
                        store.set_fuel(left + slice).expect("it is metered");
                        ran = suspended.resume(&mut *store, &mut results);
                    }
                    Ok(ResumableCall::Finished) => break Ok(()),
                    Err(error) => break Err(error),
                }
            }
        }
    };
    // References are names in a store.
    let shown = results.iter().map(|val| match val {
        Val::FuncRef(func) => format!("{}", func.is_some()),
        Val::ExternRef(object) => format!("{}", object.is_some()),
        val => format!("{val:?}"),
    });
    Some(match ended {
        Ok(()) => shown.collect::<Vec<_>>().join(","),
        Err(error) => format!("{error:#}"),
    })
}

/// Calls of exports of both, in turns.
const CALLS: usize = 6;

fn call_some(
    store: &mut Store<()>,
    instances: &[Instance],
    rng: &mut Rng,
    slice: Option<u64>,
) -> Vec<Option<String>> {
    let at = |number: usize| Some((*instances.get(number % 2)?, number / 2));
    let called = (0..CALLS).map(|number| {
        let (instance, export) = at(number)?;
        call(store, instance, export, rng, slice)
    });
    called.collect()
}

#[test]
fn stores_that_are_taken_down_go_on() {
    let mut restored = 0;
    for metered in [false, true] {
        let engine = Engine::new(Config::new().compile_jobs(1).consume_fuel(metered)).unwrap();
        for (seed, wasm) in modules(250, 15) {
            let modules = compile(&engine, &wasm);
            let mut store = Store::new(&engine, ());
            store.set_fuel(1 << 40).ok();
            // An instance that could not be filled is taken down as well.
            let instances = instantiate(&mut store, &modules);
            let mut rng = Rng(seed);
            call_some(&mut store, &instances, &mut rng, None);
            let bytes = store.snapshot().unwrap_or_else(|error| panic!("seed {seed}: {error:#}"));
            let mut again = Store::new(&engine, ());
            let found = Linker::new(&engine).restore_store(&mut again, &modules, &bytes);
            let found = found.unwrap_or_else(|error| panic!("seed {seed}: {error:#}")).instances;
            assert_eq!(again.state_hash(), store.state_hash(), "seed {seed}");
            let mut other = rng.clone();
            let wanted = call_some(&mut store, &instances, &mut rng, None);
            let found = call_some(&mut again, &found[..instances.len()], &mut other, None);
            assert_eq!(found, wanted, "seed {seed}");
            assert_eq!(again.state_hash(), store.state_hash(), "seed {seed}");
            restored += usize::from(!instances.is_empty());
        }
    }
    assert!(restored > 150, "{restored}");
}

/// Records calls in slices of fuel; the state at the end.
fn record(engine: &Engine, wasm: &[Vec<u8>; 2], seed: u64) -> (SharedLog, StateHash) {
    let modules = compile(engine, wasm);
    let log = SharedLog::default();
    let mut store = Store::new(engine, ());
    store.record(log.clone()).expect("an empty store");
    store.set_fuel(1 << 40).expect("it is metered");
    let instances = instantiate(&mut store, &modules);
    let mut rng = Rng(seed);
    for slice in [Some(300), Some(5000), None] {
        store.set_fuel(1 << 40).expect("it is metered");
        call_some(&mut store, &instances, &mut rng, slice);
    }
    let hash = store.finish_recording(b"").expect("a recording");
    (log, hash)
}

#[test]
fn recordings_happen_again() {
    let engine = Engine::new(Config::new().compile_jobs(1).consume_fuel(true)).unwrap();
    let plain = Config::new().compile_jobs(1).optimize(false).clone();
    let other = Config::new().compile_jobs(1).guarded_memories(false).baseline_cpu(true).clone();
    let mut replayed = 0;
    for (seed, wasm) in modules(90, 5) {
        let (log, wanted) = record(&engine, &wasm, seed);
        for config in [&plain, &other] {
            let mut replay = Replay::open(config, Cursor::new(log.bytes())).expect("a recording");
            match replay.run() {
                Ok(Ending::Complete { hash, .. }) => assert_eq!(hash, wanted, "seed {seed}"),
                other => panic!("seed {seed}: {other:?}"),
            }
        }
        replayed += 1;
    }
    assert!(replayed > 60, "{replayed}");
}
