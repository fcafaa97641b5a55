//! Generated modules, followed by the evaluator in step: whole states are compared after each call, exported
//! or not, and so is the fuel that was used with a count of executed operators; alone, and linked with a
//! module that imports all they have; with all the fuel and stack they want, and with so little of both that
//! calls end wherever these do.

use runwell::{Config, Engine, Instance, Linker, Module, Store, Trap, Val};
use runwell_testkit::linked::above;
use runwell_testkit::{Nans, Rng, generate, program};

/// How often calls ended for want of fuel, and of stack.
#[derive(Default, Debug)]
struct Wants {
    fuel: u32,
    stack: u32,
}

/// What guests get for each call.
struct Fuel {
    rng: Rng,
    /// The most, unless they get all they want.
    scarce: Option<u64>,
    wants: Wants,
}

impl Fuel {
    fn give(&mut self, store: &mut Store<()>) {
        let units = match self.scarce {
            Some(most) => self.rng.next_u64() % most,
            None => 1 << 40,
        };
        // An engine that does not meter refuses.
        store.set_fuel(units).ok();
    }

    fn ended(&mut self, result: runwell::Result<()>) {
        match result.err().and_then(|error| error.downcast_ref::<Trap>().copied()) {
            Some(Trap::OutOfFuel) => self.wants.fuel += 1,
            Some(Trap::StackOverflow) => self.wants.stack += 1,
            _ => {}
        }
    }
}

/// Calls every export of an instance once.
fn call_all(store: &mut Store<()>, instance: Instance, module: &Module, fuel: &mut Fuel) {
    for export in module.exports().filter(|export| export.ty().func().is_some()) {
        let func = instance.get_func(&mut *store, export.name()).expect("an export");
        let ty = func.ty(&*store);
        let params: Option<Vec<Val>> = ty.params().map(|ty| Val::default_for_ty(&ty)).collect();
        let Some(params) = params else { continue };
        let mut results = vec![Val::I32(0); ty.results().len()];
        fuel.give(store);
        let result = func.call(&mut *store, &params, &mut results);
        fuel.ended(result);
    }
}

/// Runs a module, with `above` linked to it, and gives how often both were compared.
fn compare(engine: &Engine, wasm: &[u8], above: Option<&[u8]>, seed: u64, fuel: &mut Fuel) -> u64 {
    let module = Module::new(engine, wasm).expect("a valid module");
    let mut store = Store::new(engine, ());
    let check = runwell_crosscheck::attach(&mut store).expect("an empty store");
    fuel.give(&mut store);
    if let Ok(instance) = Instance::new(&mut store, &module, &[]) {
        call_all(&mut store, instance, &module, fuel);
        if let Some(above) = above {
            let above = Module::new(engine, above).expect("a valid module");
            let mut linker = Linker::new(engine);
            linker.instance(&mut store, "below", instance).expect("names");
            store.set_fuel(1 << 40).ok();
            let instance =
                linker.instantiate(&mut store, &above).expect("what it imports is there");
            call_all(&mut store, instance, &above, fuel);
            call_all(&mut store, instance, &above, fuel);
        }
    }
    let summary = check.summary();
    assert_eq!(summary.difference, None, "seed {seed}");
    summary.compared
}

/// Follows generated modules in such an engine, where guests get at most so much fuel.
fn follow(config: &Config, seeds: u64, scarce: Option<u64>) -> (u64, Wants) {
    let engine = Engine::new(config).expect("an engine");
    let mut fuel = Fuel { rng: Rng(seeds), scarce, wants: Wants::default() };
    let smith = (1..seeds).filter_map(|seed| Some((seed, generate::from_seed(seed, Nans::Seen)?)));
    let programs = (1..seeds / 20).map(|seed| (seed, program::module(seed, Nans::Seen)));
    let compared = smith
        .chain(programs)
        .map(|(seed, wasm)| compare(&engine, &wasm, Some(&above(&wasm)), seed, &mut fuel))
        .sum();
    (compared, fuel.wants)
}

#[test]
fn generated_modules_do_not_differ() {
    for metered in [false, true] {
        let mut config = Config::new();
        config.compile_jobs(1).consume_fuel(metered);
        let (compared, _) = follow(&config, 800, None);
        assert!(compared > 800, "{compared} comparisons are too few");
    }
}

#[test]
fn generated_modules_do_not_differ_where_fuel_or_stack_is_scarce() {
    let mut config = Config::new();
    config.compile_jobs(1).max_wasm_stack(1 << 12).consume_fuel(true);
    for (optimize, most) in [(true, 60), (true, 1000), (false, 200)] {
        config.optimize(optimize);
        let (compared, wants) = follow(&config, 400, Some(most));
        assert!(compared > 400 && wants.fuel > 100, "{compared}: {wants:?}");
    }
    config.consume_fuel(false);
    let (compared, wants) = follow(&config, 400, None);
    assert!(compared > 400 && wants.stack > 5, "{compared}: {wants:?}");
}
