//! Generated modules, followed by the evaluator in step: whole states are compared after each call, exported
//! or not, and so is the fuel that was used with a count of executed operators; alone, and linked with a
//! module that imports all they have.

use runwell::{Config, Engine, Instance, Linker, Module, Store, Val};
use runwell_testkit::{Nans, generate, program};
use wasm_encoder::reencode::{Reencode, RoundtripReencoder};
use wasm_encoder::{
    CodeSection, EntityType, ExportKind, ExportSection, Function, FunctionSection, ImportSection,
    Instruction, MemArg, MemArgTarget, TypeSection,
};
use wasmparser::types;

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

/// A module that imports all that `wasm` exports: each function is called by one that writes into each memory
/// first, and the others are there to be shared.
fn above(wasm: &[u8]) -> Vec<u8> {
    let mut types = TypeSection::new();
    let mut imports = ImportSection::new();
    let mut funcs = FunctionSection::new();
    let mut exports = ExportSection::new();
    let mut code = CodeSection::new();
    let mut validator = wasmparser::Validator::new_with_features(wasmparser::WasmFeatures::all());
    let known = validator.validate_all(wasm).expect("a valid module");
    let (mut memories, mut callees) = (Vec::new(), Vec::new());
    let known = known.as_ref();
    for (name, ty) in known.core_exports().expect("a module") {
        let ty = match ty {
            types::EntityType::Func(id) => {
                let ty = known[id].unwrap_func().clone();
                let ty = RoundtripReencoder.func_type(ty).expect("a type of functions");
                callees.push(ty.clone());
                types.ty().func_type(&ty);
                EntityType::Function(types.len() - 1)
            }
            types::EntityType::Memory(ty) => {
                memories.push(ty.memory64);
                EntityType::Memory(RoundtripReencoder.memory_type(ty).expect("a type"))
            }
            types::EntityType::Table(ty) => {
                EntityType::Table(RoundtripReencoder.table_type(ty).expect("a type"))
            }
            types::EntityType::Global(ty) => {
                EntityType::Global(RoundtripReencoder.global_type(ty).expect("a type"))
            }
            _ => continue,
        };
        imports.import("below", name, ty);
    }
    let imported = callees.len() as u32;
    for (index, ty) in (0..).zip(&callees) {
        let mut body = Function::new([]);
        for (memory, &is64) in (0..).zip(&memories) {
            let at = 8 * index;
            let address = match is64 {
                true => Instruction::I64Const(at),
                false => Instruction::I32Const(at as i32),
            };
            let memarg = MemArg {
                offset: 0,
                align: 0,
                target: MemArgTarget::Memory(memory),
                ordering: None,
            };
            body.instruction(&address).instruction(&address);
            body.instruction(&Instruction::I32Load(memarg)).instruction(&Instruction::I32Const(1));
            body.instruction(&Instruction::I32Add).instruction(&Instruction::I32Store(memarg));
        }
        (0..ty.params().len() as u32)
            .for_each(|at| _ = body.instruction(&Instruction::LocalGet(at)));
        // Called, and half of them in place of the caller.
        if index % 2 == 0 {
            body.instruction(&Instruction::Call(index as u32));
        } else {
            body.instruction(&Instruction::ReturnCall(index as u32));
        }
        body.instruction(&Instruction::End);
        code.function(&body);
        funcs.function(index as u32);
        exports.export(&index.to_string(), ExportKind::Func, imported + index as u32);
    }
    let mut module = wasm_encoder::Module::new();
    module.section(&types).section(&imports).section(&funcs).section(&exports).section(&code);
    module.finish()
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
