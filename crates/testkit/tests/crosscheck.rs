//! Generated modules, followed by the evaluator in step: whole states are compared after each call, exported
//! or not.

use runwell::{Config, Engine, Instance, Module, Store, Val};
use runwell_testkit::{Nans, generate, program};

/// Calls every export of a module once, and gives how often both were compared.
fn compare(engine: &Engine, wasm: &[u8], seed: u64) -> u64 {
    let module = Module::new(engine, wasm).expect("a valid module");
    let mut store = Store::new(engine, ());
    let check = runwell_crosscheck::attach(&mut store).expect("an empty store");
    let Ok(instance) = Instance::new(&mut store, &module, &[]) else {
        assert_eq!(check.summary().difference, None, "seed {seed}");
        return check.summary().compared;
    };
    for export in module.exports().filter(|export| export.ty().func().is_some()) {
        let func = instance.get_func(&mut store, export.name()).expect("an export");
        let ty = func.ty(&store);
        let params: Option<Vec<Val>> = ty.params().map(|ty| Val::default_for_ty(&ty)).collect();
        let Some(params) = params else { continue };
        let mut results = vec![Val::I32(0); ty.results().len()];
        let outcome = func.call(&mut store, &params, &mut results);
        let summary = check.summary();
        assert_eq!(summary.difference, None, "seed {seed}, {}: {outcome:?}", export.name());
        if summary.ended.is_some() {
            break;
        }
    }
    check.summary().compared
}

#[test]
fn generated_modules_do_not_differ() {
    let engine = Engine::new(Config::new().compile_jobs(1)).expect("an engine");
    let smith = (1..400).filter_map(|seed| Some((seed, generate::from_seed(seed, Nans::Seen)?)));
    let programs = (1..30).map(|seed| (seed, program::module(seed, Nans::Seen)));
    let compared: u64 =
        smith.chain(programs).map(|(seed, wasm)| compare(&engine, &wasm, seed)).sum();
    assert!(compared > 300, "{compared} comparisons are too little to tell");
}
