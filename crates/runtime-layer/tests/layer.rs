//! Every object of the interface, used through the interface.

use anyhow::Result;
use wasm_runtime_layer::{
    AsContext, Engine, Extern, ExternRef, ExternType, Func, FuncType, Global, Imports, Instance,
    Memory, MemoryType, Module, Ref, RefType, Store, Table, TableType, Val, ValType,
};

type Backend = runwell_runtime_layer::Engine;

fn engine() -> Engine<Backend> {
    Engine::new(Backend::new(runwell::Engine::default()))
}

fn module(engine: &Engine<Backend>, text: &str) -> Module {
    Module::new(engine, &wat::parse_str(text).unwrap()).unwrap()
}

fn call(
    store: &mut Store<u32, Backend>,
    instance: &Instance,
    name: &str,
    args: &[Val],
    results: usize,
) -> Result<Vec<Val>> {
    let func = instance.get_export(&*store, name).and_then(|item| item.into_func()).unwrap();
    let mut given = vec![Val::I32(-1); results];
    func.call(store, args, &mut given)?;
    Ok(given)
}

#[test]
fn functions_of_the_host_see_values_and_the_store() {
    let engine = engine();
    let module = module(
        &engine,
        r#"(module
            (import "host" "swap" (func $swap (param i32 f64) (result f64 i32)))
            (import "host" "fail" (func $fail))
            (func (export "swap") (param i32 f64) (result f64 i32)
                (call $swap (local.get 0) (local.get 1)))
            (func (export "fail") (call $fail))
            (func (export "trap") unreachable))"#,
    );
    let mut store = Store::new(&engine, 0u32);
    let swap = Func::new(
        &mut store,
        FuncType::new([ValType::I32, ValType::F64], [ValType::F64, ValType::I32]),
        |mut store, args, results| {
            *store.data_mut() += 1;
            results.clone_from_slice(&[args[1].clone(), args[0].clone()]);
            Ok(())
        },
    );
    let fail = Func::new(&mut store, FuncType::new([], []), |_, _, _| anyhow::bail!("no"));
    assert_eq!(swap.ty(&store).params(), [ValType::I32, ValType::F64]);
    let mut imports = Imports::new();
    imports.define("host", "swap", Extern::Func(swap));
    assert!(Instance::new(&mut store, &module, &imports).is_err());
    imports.define("host", "fail", Extern::Func(fail));
    let instance = Instance::new(&mut store, &module, &imports).unwrap();
    let swapped = call(&mut store, &instance, "swap", &[Val::I32(7), Val::F64(0.5)], 2).unwrap();
    assert_eq!(swapped, [Val::F64(0.5), Val::I32(7)]);
    assert_eq!(*store.data(), 1);
    let error = call(&mut store, &instance, "fail", &[], 0).unwrap_err();
    assert_eq!(error.root_cause().to_string(), "no");
    let error = call(&mut store, &instance, "trap", &[], 0).unwrap_err();
    assert!(error.is::<runwell::Trap>());
    assert_eq!(store.into_data(), 1);
}

#[test]
fn modules_say_what_they_import_and_export() {
    let engine = engine();
    let module = module(
        &engine,
        r#"(module
            (import "a" "f" (func (param i64)))
            (import "a" "t" (table 2 5 externref))
            (memory (export "m") 1 4)
            (global (export "g") (mut f32) (f32.const 1))
            (func (export "h") (result funcref) (ref.null func)))"#,
    );
    let imports: Vec<_> = module.imports(&engine).collect();
    assert_eq!((imports[0].module, imports[0].name), ("a", "f"));
    let table = imports[1].ty.table().unwrap();
    let limits = (table.minimum(), table.maximum());
    assert_eq!((table.element(), limits), (RefType::ExternRef, (2, Some(5))));
    let names: Vec<_> = module.exports(&engine).map(|export| export.name).collect();
    assert_eq!(names, ["m", "g", "h"]);
    let Some(ExternType::Memory(memory)) = module.get_export(&engine, "m") else { panic!() };
    assert_eq!((memory.initial_pages(), memory.maximum_pages()), (1, Some(4)));
    let Some(ExternType::Global(global)) = module.get_export(&engine, "g") else { panic!() };
    assert_eq!((global.content(), global.mutable()), (ValType::F32, true));
    assert!(module.get_export(&engine, "absent").is_none());
    assert!(Module::new(&engine, b"nonsense").is_err());
}

#[test]
fn memories_tables_globals_and_references() {
    let engine = engine();
    let mut store = Store::new(&engine, 0u32);
    let memory = Memory::new(&mut store, MemoryType::new(1, Some(2))).unwrap();
    memory.write(&mut store, 65530, b"abcdef").unwrap();
    assert!(memory.write(&mut store, 65531, b"abcdef").is_err());
    let mut back = [0; 3];
    memory.read(&store, 65533, &mut back).unwrap();
    assert_eq!(&back, b"def");
    assert_eq!(memory.grow(&mut store, 1).unwrap(), 1);
    assert!(memory.grow(&mut store, 1).is_err());
    assert_eq!(memory.current_pages(&store), 2);
    assert_eq!(memory.ty(&store).maximum_pages(), Some(2));

    let object = ExternRef::new(&mut store, String::from("the host's"));
    let text: &String = object.downcast(store.as_context()).unwrap();
    assert_eq!(text, "the host's");
    let null = Ref::ExternRef(None);
    let table = Table::new(&mut store, TableType::new(RefType::ExternRef, 2, None), null).unwrap();
    table.set(&mut store, 1, Ref::ExternRef(Some(object.clone()))).unwrap();
    assert!(table.set(&mut store, 2, Ref::ExternRef(None)).is_err());
    assert!(table.set(&mut store, 0, Ref::FuncRef(None)).is_err());
    assert!(matches!(table.get(&mut store, 0), Some(Ref::ExternRef(None))));
    assert!(matches!(table.get(&mut store, 1), Some(Ref::ExternRef(Some(_)))));
    assert!(table.get(&mut store, 2).is_none());
    assert_eq!(table.grow(&mut store, 3, Ref::ExternRef(Some(object))).unwrap(), 2);
    assert_eq!((table.size(&store), table.ty(&store).minimum()), (5, 5));

    let global = Global::new(&mut store, Val::I64(1), true);
    global.set(&mut store, Val::I64(2)).unwrap();
    assert!(global.set(&mut store, Val::I32(2)).is_err());
    assert_eq!(global.get(&mut store), Val::I64(2));
    let constant = Global::new(&mut store, Val::F64(0.5), false);
    assert!(constant.set(&mut store, Val::F64(1.0)).is_err());
    assert!(!constant.ty(&store).mutable());

    let module = module(
        &engine,
        r#"(module
            (import "host" "memory" (memory 1))
            (import "host" "table" (table 1 externref))
            (import "host" "global" (global $g (mut i64)))
            (export "again" (memory 0))
            (func (export "run") (result i32 externref)
                (global.set $g (i64.const 9))
                (i32.store8 (i32.const 0) (i32.const 120))
                (memory.size) (table.get (i32.const 4))))"#,
    );
    let mut imports = Imports::new();
    let items = [
        ("memory".to_string(), Extern::Memory(memory.clone())),
        ("table".to_string(), Extern::Table(table)),
        ("global".to_string(), Extern::Global(global.clone())),
    ];
    imports.register_namespace("host", items);
    let instance = Instance::new(&mut store, &module, &imports).unwrap();
    let results = call(&mut store, &instance, "run", &[], 2).unwrap();
    assert_eq!(results[0], Val::I32(2));
    let Val::ExternRef(Some(found)) = &results[1] else { panic!("null") };
    let text: &String = found.downcast(store.as_context()).unwrap();
    assert_eq!(text, "the host's");
    assert!(found.downcast::<u8, _, Backend>(store.as_context()).is_err());
    assert_eq!(global.get(&mut store), Val::I64(9));
    let mut byte = [0];
    memory.read(&store, 0, &mut byte).unwrap();
    assert_eq!(byte, [120]);
    let mut names: Vec<String> = instance.exports(&store).map(|export| export.name).collect();
    names.sort();
    assert_eq!(names, ["again", "run"]);
    assert!(instance.get_export(&store, "nothing").is_none());
}
