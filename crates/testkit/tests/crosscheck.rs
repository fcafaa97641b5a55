//! Generated modules, followed by the evaluator in step: whole states are compared after each call, exported
//! or not, and so is the fuel that was used with a count of executed operators; alone, and linked with a
//! module that imports all they have.

use runwell::{Config, Engine, Instance, Linker, Module, Store, Val};
use runwell_testkit::linked::above;
use runwell_testkit::{Nans, generate, program};

/// Calls every export of an instance once.
fn call_all(store: &mut Store<()>, instance: Instance, module: &Module) {
    for export in module.exports().filter(|export| export.ty().func().is_some()) {
        let func = instance.get_func(&mut *store, export.name()).expect("an export");
        let ty = func.ty(&*store);
        let params: Option<Vec<Val>> = ty.params().map(|ty| Val::default_for_ty(&ty)).collect();
        let Some(params) = params else { continue };
        let mut results = vec![Val::I32(0); ty.results().len()];
        _ = func.call(&mut *store, &params, &mut results);
    }
}

/// Runs a module, with `above` linked to it, and gives how often both were compared.
fn compare(engine: &Engine, wasm: &[u8], above: Option<&[u8]>, seed: u64) -> u64 {
    let module = Module::new(engine, wasm).expect("a valid module");
    let mut store = Store::new(engine, ());
    let check = runwell_crosscheck::attach(&mut store).expect("an empty store");
    store.set_fuel(1 << 40).ok();
    if let Ok(instance) = Instance::new(&mut store, &module, &[]) {
        call_all(&mut store, instance, &module);
        if let Some(above) = above {
            let above = Module::new(engine, above).expect("a valid module");
            let mut linker = Linker::new(engine);
            linker.instance(&mut store, "below", instance).expect("names");
            let instance =
                linker.instantiate(&mut store, &above).expect("what it imports is there");
            call_all(&mut store, instance, &above);
            call_all(&mut store, instance, &above);
        }
    }
    let summary = check.summary();
    assert_eq!(summary.difference, None, "seed {seed}");
    summary.compared
}

#[test]
fn generated_modules_do_not_differ() {
    let mut compared = [0; 2];
    for (count, metered) in compared.iter_mut().zip([false, true]) {
        let config = Config::new().compile_jobs(1).consume_fuel(metered).clone();
        let engine = Engine::new(&config).expect("an engine");
        let smith =
            (1..800).filter_map(|seed| Some((seed, generate::from_seed(seed, Nans::Seen)?)));
        let programs = (1..40).map(|seed| (seed, program::module(seed, Nans::Seen)));
        for (seed, wasm) in smith.chain(programs) {
            *count += compare(&engine, &wasm, Some(&above(&wasm)), seed);
        }
    }
    assert!(compared.into_iter().all(|count| count > 800), "{compared:?} comparisons are too few");
}
