//! A program written for wasmtime: host functions, memory, typed and untyped calls, limits, traps.
//!
//! The same file is compiled against wasmtime itself by the test of that name in `bench/`, so it
//! stays what it claims to be.

use wasmtime::error::Context as _;
use wasmtime::*;

struct State {
    log: Vec<String>,
    limits: StoreLimits,
}

const GUEST: &str = r#"
(module $guest
    (import "env" "log" (func $log (param i32 i32)))
    (import "env" "sum" (func $sum (param i64 i64) (result i64)))
    (import "env" "dynamic" (func $dynamic (param f64) (result f64)))
    (import "env" "counter" (global $counter (mut i32)))
    (import "env" "handle" (func $handle (param externref) (result externref)))
    (memory (export "memory") 1 10)
    (table (export "table") 4 funcref)
    (elem (i32.const 1) $double $trap)
    (data (i32.const 16) "hello from the guest")
    (func $double (param i32) (result i32)
        (i32.mul (local.get 0) (i32.const 2)))
    (func $trap (export "trap")
        (drop (i32.load (i32.const 1000000))))
    (func (export "greet")
        (call $log (i32.const 16) (i32.const 20))
        (global.set $counter (i32.add (global.get $counter) (i32.const 1))))
    (func (export "total") (param i64 i64 i64) (result i64 i64)
        (call $sum (local.get 0) (call $sum (local.get 1) (local.get 2)))
        (local.get 0))
    (func (export "half") (param f64) (result f64) (call $dynamic (local.get 0)))
    (func (export "echo") (param externref) (result externref) (call $handle (local.get 0)))
    (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))
    (func (export "forever") (call $forever))
    (func $forever (call $forever)))
"#;

fn host(engine: &Engine) -> Result<Linker<State>> {
    let mut linker: Linker<State> = Linker::new(engine);
    linker
        .func_wrap("env", "log", |mut caller: Caller<'_, State>, at: u32, len: u32| {
            let memory = match caller.get_export("memory") {
                Some(Extern::Memory(memory)) => memory,
                _ => bail!("failed to find host memory"),
            };
            let text = memory
                .data(&caller)
                .get(at as usize..)
                .and_then(|rest| rest.get(..len as usize))
                .ok_or_else(|| format_err!("pointer/length out of bounds"))?;
            let text = std::str::from_utf8(text)?.to_string();
            caller.data_mut().log.push(text);
            Ok(())
        })?
        .func_wrap("env", "sum", |a: i64, b: i64| -> i64 { a.wrapping_add(b) })?
        .func_wrap("env", "handle", |handle: Option<Rooted<ExternRef>>| handle)?;
    let ty = FuncType::new(engine, [ValType::F64], [ValType::F64]);
    linker.func_new("env", "dynamic", ty, |_caller, params, results| {
        results[0] = Val::F64((params[0].unwrap_f64() / 2.0).to_bits());
        Ok(())
    })?;
    Ok(linker)
}

pub(crate) fn run() -> Result<Vec<String>> {
    let mut config = Config::new();
    config.max_wasm_stack(512 << 10);
    let engine = Engine::new(&config)?;
    Module::validate(&engine, GUEST_BINARY)?;
    let module = Module::new(&engine, GUEST)?;
    let mut out = Vec::new();
    for import in module.imports() {
        out.push(format!("import {}.{}", import.module(), import.name()));
    }
    for export in module.exports() {
        let kind = match export.ty() {
            ExternType::Func(ty) => format!("{} -> {}", ty.params().len(), ty.results().len()),
            ExternType::Memory(ty) => format!("{}..{:?}", ty.minimum(), ty.maximum()),
            ExternType::Table(ty) => format!("{}..{:?}", ty.minimum(), ty.maximum()),
            ExternType::Global(ty) => format!("{:?}", ty.mutability()),
            _ => "something else".to_string(),
        };
        out.push(format!("export {} {kind}", export.name()));
    }

    let limits = StoreLimitsBuilder::new().memory_size(3 << 16).instances(2).build();
    let mut store = Store::new(&engine, State { log: Vec::new(), limits });
    store.limiter(|state| &mut state.limits);
    let mut linker = host(&engine)?;
    let unknown = linker.instantiate(&mut store, &module).unwrap_err();
    out.push(format!("unknown {}", unknown.downcast_ref::<UnknownImportError>().unwrap().name()));

    let counter_ty = GlobalType::new(ValType::I32, Mutability::Var);
    let counter = Global::new(&mut store, counter_ty, Val::I32(40))?;
    linker.define(&store, "env", "counter", counter)?;
    let pre = linker.instantiate_pre(&module)?;
    let instance = pre.instantiate(&mut store)?;

    let greet = instance.get_typed_func::<(), ()>(&mut store, "greet")?;
    greet.call(&mut store, ())?;
    greet.call(&mut store, ())?;
    out.push(format!("log {:?}", store.data().log));
    out.push(format!("counter {:?}", counter.get(&mut store).i32()));

    let total = instance.get_typed_func::<(i64, i64, i64), (i64, i64)>(&mut store, "total")?;
    out.push(format!("total {:?}", total.call(&mut store, (1, 2, 3))?));
    let half = instance.get_func(&mut store, "half").context("no export `half`")?;
    let mut results = [Val::null_func_ref()];
    half.call(&mut store, &[5.0f64.into()], &mut results)?;
    out.push(format!("half {}", results[0].unwrap_f64()));

    let echo = instance.get_typed_func::<Option<Rooted<ExternRef>>, Option<Rooted<ExternRef>>>(
        &mut store, "echo",
    )?;
    let handle = ExternRef::new(&mut store, "the host's")?;
    let back = echo.call(&mut store, Some(handle))?.context("null")?;
    let data = back.data(&store)?.and_then(|data| data.downcast_ref::<&str>());
    out.push(format!("echo {data:?}"));

    let memory = instance.get_memory(&mut store, "memory").context("no memory")?;
    memory.write(&mut store, 16, b"HELLO")?;
    let (bytes, state) = memory.data_and_store_mut(&mut store);
    state.log.push(String::from_utf8_lossy(&bytes[16..36]).into_owned());
    out.push(format!("memory {:?} {}", store.data().log.last(), memory.size(&store)));
    out.push(format!("outside {:?}", memory.write(&mut store, 65535, b"ab").is_err()));

    let grow = instance.get_typed_func::<u32, i32>(&mut store, "grow")?;
    let grown = [1, 1, 1].map(|pages| grow.call(&mut store, pages).ok());
    out.push(format!("grow {grown:?} {}", memory.data_size(&store)));
    out.push(format!("grow from outside {}", memory.grow(&mut store, 1).is_err()));

    let table = instance.get_table(&mut store, "table").context("no table")?;
    let double = match table.get(&mut store, 1) {
        Some(Ref::Func(Some(func))) => func.typed::<i32, i32>(&store)?,
        other => bail!("not a function: {other:?}"),
    };
    out.push(format!("double {}", double.call(&mut store, 21)?));
    out.push(format!("null {:?}", table.get(&mut store, 0).map(|element| element.is_null())));

    for name in ["trap", "forever"] {
        let func = instance.get_typed_func::<(), ()>(&mut store, name)?;
        let error = func.call(&mut store, ()).unwrap_err();
        let trap = error.downcast_ref::<Trap>().context("not a trap")?;
        let frames = error.downcast_ref::<WasmBacktrace>().map_or(&[][..], |trace| trace.frames());
        let first = frames.first().context("no frames")?;
        out.push(format!("{trap} in {:?} of {:?}", first.func_name(), first.module().name()));
    }

    let failing = Func::wrap(&mut store, |_: Caller<'_, State>| -> Result<()> {
        Err(std::io::Error::other("the host says no")).context("in a host function")
    });
    let error = failing.call(&mut store, &[], &mut []).unwrap_err();
    out.push(format!("{error} / {} / {}", error.root_cause(), error.is::<std::io::Error>()));
    let mismatch = instance.get_typed_func::<i32, i32>(&mut store, "greet").is_err();
    out.push(format!("mismatch {mismatch}"));
    pre.instantiate(&mut store)?;
    out.push(format!("third instance {}", pre.instantiate(&mut store).is_err()));

    let mut traps = Linker::new(&engine);
    traps.define_unknown_imports_as_traps(&module)?;
    let mut store = Store::new(&engine, ());
    let global = Global::new(&mut store, GlobalType::new(ValType::I32, Mutability::Var), 1.into())?;
    traps.define(&store, "env", "counter", global)?;
    let instance = traps.instantiate(&mut store, &module)?;
    let greet = instance.get_typed_func::<(), ()>(&mut store, "greet")?;
    let error = greet.call(&mut store, ()).unwrap_err();
    out.push(format!("stub {}", error.is::<UnknownImportError>()));
    Ok(out)
}

const GUEST_BINARY: &[u8] = b"\0asm\x01\0\0\0";
