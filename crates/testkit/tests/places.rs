//! A trap is at the same place, operator by operator and frame by frame, whatever the compiler makes of the
//! text: with every rewrite and none, with memory accesses that are checked by the hardware and by code,
//! metered and not, on processors with few instructions. Also where that is not a trap's but fuel's.

use runwell::{Config, Engine, Instance, Module, Store, Trap, Val, WasmBacktrace};
use runwell_testkit::{Nans, generate, program};

fn engines() -> Vec<Engine> {
    let engine = |change: fn(&mut Config)| {
        let mut config = Config::new();
        config.compile_jobs(1);
        change(&mut config);
        Engine::new(&config).unwrap()
    };
    vec![
        engine(|_| {}),
        engine(|c| _ = c.optimize(false)),
        engine(|c| _ = c.guarded_memories(false)),
        engine(|c| _ = c.baseline_cpu(true)),
        engine(|c| _ = c.consume_fuel(true)),
        engine(|c| _ = c.consume_fuel(true).optimize(false).guarded_memories(false)),
        engine(|c| _ = c.consume_fuel(true).baseline_cpu(true)),
    ]
}

/// The frames of a trap: function and offset of the operator in the module.
type Place = (Trap, Vec<(u32, Option<usize>)>);

/// What an error of a guest says.
fn place(error: &runwell::Error) -> Option<Place> {
    let trap = *error.downcast_ref::<Trap>()?;
    let frames = error.downcast_ref::<WasmBacktrace>()?.frames();
    let frames = frames.iter().map(|frame| (frame.func_index(), frame.module_offset()));
    Some((trap, frames.collect()))
}

/// Where the calls of all exports trap, twice, with so much fuel for each, and what is left then.
fn places(engine: &Engine, wasm: &[u8], fuel: u64) -> Vec<(Option<Place>, Option<u64>)> {
    let module = Module::new(engine, wasm).expect("a valid module");
    let mut store = Store::new(engine, ());
    store.set_fuel(fuel).ok();
    let instance = match Instance::new(&mut store, &module, &[]) {
        Ok(instance) => instance,
        Err(error) => return vec![(place(&error), store.get_fuel().ok())],
    };
    let mut places = Vec::new();
    for export in module.exports().filter(|export| export.ty().func().is_some()) {
        let func = instance.get_func(&mut store, export.name()).expect("an export");
        let ty = func.ty(&store);
        let params: Option<Vec<Val>> = ty.params().map(|ty| Val::default_for_ty(&ty)).collect();
        let Some(params) = params else { continue };
        let mut results = vec![Val::I32(0); ty.results().len()];
        for _ in 0..2 {
            store.set_fuel(fuel).ok();
            let result = func.call(&mut store, &params, &mut results);
            places.push((result.err().and_then(|error| place(&error)), store.get_fuel().ok()));
        }
    }
    places
}

fn modules(seeds: u64) -> impl Iterator<Item = (u64, Vec<u8>)> {
    let smith = (1..seeds).filter_map(|seed| Some((seed, generate::from_seed(seed, Nans::Seen)?)));
    smith.chain((1..seeds / 15).map(|seed| (seed, program::module(seed, Nans::Seen))))
}

#[test]
fn traps_are_where_they_are() {
    let engines = engines();
    let (mut traps, mut frames) = (0, 0);
    for (seed, wasm) in modules(1200) {
        let places = |engine: &Engine| -> Vec<Option<Place>> {
            places(engine, &wasm, 1 << 40).into_iter().map(|(place, _)| place).collect()
        };
        let wanted = places(&engines[0]);
        for (number, engine) in engines.iter().enumerate().skip(1) {
            assert_eq!(places(engine), wanted, "seed {seed}, engine {number}");
        }
        traps += wanted.iter().flatten().count();
        frames += wanted.iter().flatten().map(|place| place.1.len()).sum::<usize>();
    }
    assert!(traps > 200 && frames > traps, "{traps} traps, {frames} frames");
}

/// Where fuel runs out is such a place, too.
#[test]
fn fuel_runs_out_where_it_does() {
    let engines = engines();
    let metered = &engines[4..];
    let mut stops = 0;
    for (seed, wasm) in modules(400) {
        for fuel in [3, 20, 100, 700] {
            let wanted = places(&metered[0], &wasm, fuel);
            for engine in &metered[1..] {
                assert_eq!(places(engine, &wasm, fuel), wanted, "seed {seed}, {fuel} units");
            }
            let places = wanted.iter().filter_map(|(place, _)| place.as_ref());
            stops += places.filter(|(trap, _)| *trap == Trap::OutOfFuel).count();
        }
    }
    assert!(stops > 500, "{stops} stops");
}
