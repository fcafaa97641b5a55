//! The quote and the budget by the public interface.

use runwell::{
    CompileBudget, CompileError, Config, Engine, Instance, Linker, Module, Result, Schedule, Store,
    Trap,
};

/// A module of `count` functions, the third of which is much the largest.
fn module(count: usize) -> String {
    let small = "(func (param i32) (result i32) (i32.add (local.get 0) (i32.const 1)))";
    let mut text = String::from("(module (memory 1)");
    for number in 0..count {
        if number == 2 {
            text.push_str("(func (param i32)");
            text.push_str(&"(i32.store (local.get 0) (i32.load (local.get 0)))".repeat(500));
            text.push(')');
        } else {
            text.push_str(small);
        }
    }
    text + ")"
}

fn engine(configure: impl FnOnce(&mut Config)) -> Engine {
    let mut config = Config::new();
    config.image_key([7; 32]);
    configure(&mut config);
    Engine::new(&config).unwrap()
}

/// Name, figure, offset and function of a refusal.
fn refusal<T>(outcome: Result<T>) -> (&'static str, u64, usize, Option<u32>) {
    let error = outcome.err().expect("a refusal");
    match error.downcast_ref::<CompileError>() {
        Some(&CompileError::Limit { name, limit, offset, func }) => (name, limit, offset, func),
        _ => panic!("{error:?}"),
    }
}

#[test]
fn the_budget_names_the_function_that_exceeds_it_on_any_number_of_threads() {
    let text = module(200);
    let quote = Module::quote(&engine(|_| {}), &text).unwrap();
    let third = quote.functions[2];
    // The first two fit, the third does not.
    let sum: u64 = quote.functions[..2].iter().map(|func| func.work).sum();
    let own: u64 = quote.functions.iter().map(|func| func.work).sum();
    let work = quote.work - own + sum;
    for jobs in [1, 2, 5] {
        let engine = engine(|config| {
            let budget = CompileBudget { work, ..CompileBudget::UNLIMITED };
            config.compile_jobs(jobs).compile_budget(budget);
        });
        let found = refusal(Module::new(&engine, &text));
        assert_eq!(found, ("quoted compile work", work, third.offset as usize, Some(2)));
    }
    let budget = |of: &dyn Fn(&mut CompileBudget)| {
        let mut budget = CompileBudget::UNLIMITED;
        of(&mut budget);
        engine(|config| _ = config.compile_budget(budget))
    };
    let code = quote.code_bytes - 1;
    let (name, limit, _, func) =
        refusal(Module::new(&budget(&|budget| budget.code_bytes = code), &text));
    assert_eq!((name, limit, func), ("quoted bytes of machine code", code, Some(199)));
    let memory = quote.memory - 1;
    let (name, limit, _, func) =
        refusal(Module::new(&budget(&|budget| budget.memory = memory), &text));
    assert_eq!((name, limit, func), ("quoted compile memory", memory, Some(2)));
    let exact =
        CompileBudget { work: quote.work, memory: quote.memory, code_bytes: quote.code_bytes };
    let engine = engine(|config| _ = config.compile_budget(exact));
    assert_eq!(Module::new(&engine, &text).unwrap().compile_work(), quote.work);
}

#[test]
fn images_are_held_to_the_budget_too() {
    let text = module(10);
    let free = engine(|_| {});
    let module = Module::new(&free, &text).unwrap();
    let image = module.serialize().unwrap();
    let work = module.compile_work();
    assert_eq!(Module::deserialize(&free, &image).unwrap().compile_work(), work);
    let tight = engine(|config| {
        let budget = CompileBudget { work: work - 1, ..CompileBudget::UNLIMITED };
        config.compile_budget(budget);
    });
    assert!(Module::deserialize(&tight, &image).is_err());
    let (name, ..) = refusal(Module::from_image(&tight, &image));
    assert_eq!(name, "quoted compile work");
}

#[test]
fn what_is_wrong_outside_of_bodies_is_said_and_inside_is_not() {
    let engine = engine(|_| {});
    let error = Module::quote(&engine, b"\0asm\x01\0\0\0\x03\x02\x01\x00").unwrap_err();
    let compiled = Module::from_binary(&engine, b"\0asm\x01\0\0\0\x03\x02\x01\x00").unwrap_err();
    assert_eq!(error.to_string(), compiled.to_string());
    // A body that adds what is not there.
    let wrong = b"\0asm\x01\0\0\0\x01\x04\x01\x60\0\0\x03\x02\x01\0\x0a\x05\x01\x03\0\x6a\x0b";
    assert!(Module::from_binary(&engine, wrong).is_err());
    assert_eq!(Module::quote(&engine, wrong).unwrap().functions.len(), 1);
    // And one whose locals cannot be read.
    let wrong = b"\0asm\x01\0\0\0\x01\x04\x01\x60\0\0\x03\x02\x01\0\x0a\x05\x01\x03\xff\xff\xff";
    assert!(Module::quote(&engine, wrong).is_ok());
}

#[test]
fn instantiation_has_a_price() {
    let engine = engine(|_| {});
    let module = Module::new(
        &engine,
        r#"(module
            (import "m" "f" (func))
            (memory 3)
            (table 80 funcref)
            (global i32 (i32.const 7))
            (elem (i32.const 0) 0 0 0 0 0 0 0 0)
            (data (i32.const 0) "0123456789012345678901234567890123456789012345678901234567890123")
            (data "passive"))"#,
    )
    .unwrap();
    let cost = module.instantiation_cost();
    assert_eq!((cost.imports, cost.pages, cost.elements, cost.active), (1, 3, 80, 2));
    assert_eq!((cost.data_bytes, cost.segment_elements), (64, 8));
    let schedule = Schedule::default();
    // 1 import; memory, table, global, 3 segments; 3 offsets and values and 8 items; 3 pages; 10 and 1
    // for elements; 2 bulk operations; 1 for bytes.
    assert_eq!(cost.fuel(&schedule), 1 + 6 + 11 + 3 + 10 + 1 + 2 + 1);
    let all = module.admission_fuel(&schedule, 2);
    assert_eq!(all, 2 * module.compile_work().div_ceil(1024) + cost.fuel(&schedule));
}

#[test]
fn instances_are_charged_for_when_the_configuration_says_so() {
    let text = r#"(module
        (memory 3)
        (table 80 funcref)
        (data (i32.const 0) "some bytes")
        (func (export "f") (drop (i32.const 1))))"#;
    let charges = [(false, 0), (true, 0), (false, 7), (true, 7)];
    let mut seen = Vec::new();
    for ((made, price), guarded) in charges.into_iter().flat_map(|c| [(c, true), (c, false)]) {
        let engine = engine(|config| {
            config.consume_fuel(true).guarded_memories(guarded);
            config.charge_instantiation(made).charge_compilation(price);
        });
        let module = Module::new(&engine, text).unwrap();
        let mut store = Store::new(&engine, ());
        store.set_fuel(1 << 40).unwrap();
        let instance = Instance::new(&mut store, &module, &[]).unwrap();
        let charged = store.fuel_consumed().unwrap();
        assert_eq!(charged, (1 << 40) - store.get_fuel().unwrap());
        seen.push(charged);
        if guarded {
            let cost = module.instantiation_cost().fuel(&Schedule::default());
            let work = module.compile_work().div_ceil(1024);
            assert_eq!(charged, if made { cost } else { 0 } + price * work);
        }
        // Each instance pays, by way of a linker, too, and running costs what it always costs.
        instance.get_typed_func::<(), ()>(&mut store, "f").unwrap().call(&mut store, ()).unwrap();
        Linker::new(&engine).instantiate(&mut store, &module).unwrap();
        assert_eq!(store.fuel_consumed().unwrap(), 2 * charged + 1);
        // To the unit, and with nothing taken when it does not suffice.
        if charged > 0 {
            store.set_fuel(charged - 1).unwrap();
            let error = Instance::new(&mut store, &module, &[]).unwrap_err();
            assert_eq!(error.downcast_ref(), Some(&Trap::OutOfFuel));
            assert_eq!(store.get_fuel().unwrap(), charged - 1);
            store.set_fuel(charged).unwrap();
            Instance::new(&mut store, &module, &[]).unwrap();
            assert_eq!(store.get_fuel().unwrap(), 0);
        }
    }
    // The same with guard pages and without, and all different.
    assert!(seen.chunks(2).all(|pair| pair[0] == pair[1]));
    assert!(seen[0] == 0 && seen[2] > 0 && seen[4] > seen[2] && seen[6] == seen[2] + seen[4]);
    // Nothing is metered, so nothing is charged.
    let engine = engine(|config| _ = config.charge_instantiation(true).charge_compilation(9));
    let module = Module::new(&engine, text).unwrap();
    Instance::new(&mut Store::new(&engine, ()), &module, &[]).unwrap();
}
