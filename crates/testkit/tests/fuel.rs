//! Fuel is what a plain count of operators gives, wherever the guest stops, and in slices of any size.

use runwell::{
    Config, Engine, Instance, Module, OperatorClass, ResumableCall, Schedule, Store, Trap, Val,
    ValType,
};
use runwell_testkit::count::{COUNTER, counting};
use runwell_testkit::{Rng, generate};

fn engine(schedule: Option<Schedule>, guarded: bool) -> Engine {
    let mut config = Config::new();
    config.parallel_compilation(false).guarded_memories(guarded).verify(true);
    if let Some(schedule) = schedule {
        config.fuel_schedule(schedule);
    }
    Engine::new(&config).unwrap()
}

fn argument(rng: &mut Rng, ty: ValType) -> Option<Val> {
    let bits = rng.next_u64() >> (rng.next_u64() % 64);
    Some(match ty {
        ValType::I32 => Val::I32(bits as i32),
        ValType::I64 => Val::I64(bits as i64),
        ValType::F32 => Val::F32((bits as f32).to_bits()),
        ValType::F64 => Val::F64((bits as f64).to_bits()),
        _ => return None,
    })
}

/// What can be seen of an instance: globals and memories.
fn state(store: &mut Store<()>, instance: &Instance) -> Vec<u8> {
    let mut state = Vec::new();
    let exports: Vec<_> =
        instance.exports(&mut *store).map(|e| (e.name().to_string(), e.into_extern())).collect();
    for (name, export) in exports {
        if name == COUNTER {
            continue;
        }
        if let Some(memory) = export.clone().into_memory() {
            state.extend_from_slice(memory.data(&*store));
        }
        if let Some(global) = export.into_global() {
            let value = global.get(&mut *store);
            if !matches!(value, Val::FuncRef(_) | Val::ExternRef(_)) {
                state.extend_from_slice(format!("{value:?}").as_bytes());
            }
        }
    }
    state
}

/// How a call ended: its results as text, or the trap.
type End = Result<String, Trap>;

struct Run {
    store: Store<()>,
    instance: Instance,
    /// What instantiation has used.
    used: u64,
}

const PLENTY: u64 = 1 << 62;

fn start(engine: &Engine, wasm: &[u8]) -> Option<Run> {
    let module = Module::new(engine, wasm).unwrap();
    let mut store = Store::new(engine, ());
    let metered = store.set_fuel(PLENTY).is_ok();
    let instance = Instance::new(&mut store, &module, &[]).ok()?;
    let used = if metered { PLENTY - store.get_fuel().unwrap() } else { 0 };
    Some(Run { store, instance, used })
}

impl Run {
    fn call(&mut self, name: &str, params: &[Val]) -> Option<End> {
        let func = self.instance.get_func(&mut self.store, name).unwrap();
        let mut results = vec![Val::I32(0); func.ty(&self.store).results().len()];
        match func.call(&mut self.store, params, &mut results) {
            Ok(()) => Some(Ok(format!("{results:?}"))),
            Err(error) => match error.downcast_ref::<Trap>() {
                // How deep guests may call depends on frames, which counting changes.
                Some(Trap::StackOverflow) => None,
                Some(&trap) => Some(Err(trap)),
                None => panic!("{error:#}"),
            },
        }
    }

    /// Calls with `first` units, then with `more` until it ends; the fuel left at last.
    fn call_in_slices(&mut self, name: &str, params: &[Val], first: u64, more: u64) -> (End, u64) {
        let func = self.instance.get_func(&mut self.store, name).unwrap();
        let mut results = vec![Val::I32(0); func.ty(&self.store).results().len()];
        self.store.set_fuel(first).unwrap();
        let mut call = func.call_resumable(&mut self.store, params, &mut results);
        let mut given = first;
        loop {
            match call {
                Ok(ResumableCall::Finished) => {
                    return (Ok(format!("{results:?}")), given - self.store.get_fuel().unwrap());
                }
                Ok(ResumableCall::Suspended(suspended)) => {
                    assert!(suspended.needs_fuel());
                    let left = self.store.get_fuel().unwrap();
                    assert!(left <= given);
                    self.store.set_fuel(left + more).unwrap();
                    given += more;
                    call = suspended.resume(&mut self.store, &mut results);
                }
                Err(error) => {
                    let trap = *error.downcast_ref::<Trap>().expect("a trap");
                    return (Err(trap), given - self.store.get_fuel().unwrap());
                }
            }
        }
    }
}

/// Compares everything for one module; the number of calls compared.
fn compare(wasm: &[u8], schedule: Schedule, rng: &mut Rng) -> usize {
    let guarded = rng.next_u64().is_multiple_of(2);
    let metered = engine(Some(schedule), guarded);
    let counted = engine(None, guarded);
    let (Some(mut run), Some(mut count)) =
        (start(&metered, wasm), start(&counted, &counting(wasm, schedule).unwrap()))
    else {
        return 0;
    };
    // Without exports nothing can be called.
    let Some(counter) = count.instance.get_global(&mut count.store, COUNTER) else { return 0 };
    let mut calls = 0;
    let names: Vec<String> = run
        .instance
        .exports(&mut run.store)
        .filter(|export| export.clone().into_extern().into_func().is_some())
        .map(|export| export.name().to_string())
        .collect();
    assert_eq!(run.used as i64, counter.get(&mut count.store).unwrap_i64(), "the start function");
    for name in names {
        let func = run.instance.get_func(&mut run.store, &name).unwrap();
        let ty = func.ty(&run.store);
        let Some(params) = ty.params().map(|ty| argument(rng, ty)).collect::<Option<Vec<_>>>()
        else {
            continue;
        };
        let before = counter.get(&mut count.store).unwrap_i64();
        run.store.set_fuel(PLENTY).unwrap();
        let Some(wanted) = count.call(&name, &params) else { return calls };
        let Some(end) = run.call(&name, &params) else { return calls };
        assert_eq!(format!("{end:?}"), format!("{wanted:?}"), "{name}");
        let used = PLENTY - run.store.get_fuel().unwrap();
        let executed = counter.get(&mut count.store).unwrap_i64() - before;
        assert_eq!(used as i64, executed, "{name} of {params:?}: {end:?}");
        let whole = state(&mut run.store, &run.instance);
        calls += 1;

        // Again in a fresh instance that is brought to the same state by the same calls: only the first
        // call is sliced, which is where all instances are alike.
        if calls > 1 {
            continue;
        }
        for first in [0, 1, used / 3, used / 2, used.saturating_sub(1), used, used + 1] {
            for more in [1 + used / 7, PLENTY] {
                let mut sliced = start(&metered, wasm).unwrap();
                let (end, spent) = sliced.call_in_slices(&name, &params, first, more);
                assert_eq!(format!("{end:?}"), format!("{wanted:?}"), "{name} from {first}");
                assert_eq!(spent, used, "{name} from {first} by {more}");
                assert_eq!(state(&mut sliced.store, &sliced.instance), whole);
            }
        }
        // One unit after the other, where that is not too long.
        if used < 300 {
            let mut sliced = start(&metered, wasm).unwrap();
            let (end, spent) = sliced.call_in_slices(&name, &params, 0, 1);
            assert_eq!((format!("{end:?}"), spent), (format!("{wanted:?}"), used));
            assert_eq!(state(&mut sliced.store, &sliced.instance), whole);
        }
    }
    calls
}

#[test]
fn fuel_is_a_count_of_operators() {
    let costly = Schedule::default()
        .with(OperatorClass::Load, 7)
        .and_then(|s| s.with(OperatorClass::Divide, 40))
        .and_then(|s| s.with(OperatorClass::Simple, 0))
        .and_then(|s| s.with(OperatorClass::Structure, 3))
        .and_then(|s| s.with(OperatorClass::Call, 60_000))
        .unwrap();
    let (mut calls, mut modules) = (0, 0);
    for seed in 0..2500 {
        let mut rng = Rng(seed);
        let bytes = rng.bytes(600 + 40 * (seed as usize % 80));
        let Some(wasm) = generate::module(&bytes) else { continue };
        let schedule = if seed % 3 == 0 { costly } else { Schedule::default() };
        // Shown when the test fails: the last one is the culprit.
        println!("seed {seed}");
        calls += compare(&wasm, schedule, &mut rng);
        modules += 1;
    }
    assert!(modules > 1000 && calls > 1500, "{calls} calls of {modules} modules");
}
