//! What instantiating and calling cost, in nanoseconds. `bench latency` measures this and more, beside
//! other engines.

use std::hint::black_box;
use std::time::Instant;
use wasmtime::*;

/// A small module as plug-ins are: a memory with data, a table, a global, a host function.
const GUEST: &str = r#"
(module
    (import "host" "next" (func $next (param i32) (result i32)))
    (memory (export "memory") 1)
    (data (i32.const 64) "some bytes that the guest starts with")
    (table 4 funcref) (elem (i32.const 1) $add)
    (global $n (mut i32) (i32.const 1))
    (func $add (export "add") (param i32 i32) (result i32)
        (i32.add (local.get 0) (local.get 1)))
    (func (export "touch") (i32.store (i32.const 0) (i32.const 1)))
    (func (export "loop") (param i32) (result i32)
        (local i32)
        (loop $again
            (local.set 1 (call $next (local.get 1)))
            (br_if $again (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
        (local.get 1)))
"#;

const CALLS: u32 = 10_000;
const BATCHES: u32 = 40;

/// The least time of one of many runs of `body`, which does something `count` times.
fn least(count: u32, mut body: impl FnMut() -> Result<()>) -> Result<f64> {
    let mut least = f64::INFINITY;
    for _ in 0..BATCHES {
        let start = Instant::now();
        body()?;
        least = least.min(start.elapsed().as_secs_f64());
    }
    Ok(least * 1e9 / f64::from(count))
}

pub(crate) fn measure(engine: &Engine) -> Result<Vec<(&'static str, f64)>> {
    let module = Module::new(engine, GUEST)?;
    let mut linker = Linker::new(engine);
    linker.func_wrap("host", "next", |x: i32| x.wrapping_add(1))?;
    let pre = linker.instantiate_pre(&module)?;
    let mut out = Vec::new();

    out.push((
        "store made and dropped",
        least(100, || {
            for _ in 0..100 {
                black_box(Store::new(engine, ()));
            }
            Ok(())
        })?,
    ));
    out.push((
        "store and instance made and dropped",
        least(100, || {
            for _ in 0..100 {
                let mut store = Store::new(engine, ());
                black_box(pre.instantiate(&mut store)?);
            }
            Ok(())
        })?,
    ));
    out.push((
        "the same, and its memory written to",
        least(100, || {
            for _ in 0..100 {
                let mut store = Store::new(engine, ());
                let instance = pre.instantiate(&mut store)?;
                instance.get_typed_func::<(), ()>(&mut store, "touch")?.call(&mut store, ())?;
            }
            Ok(())
        })?,
    ));

    let mut store = Store::new(engine, ());
    let instance = pre.instantiate(&mut store)?;
    let add = instance.get_typed_func::<(i32, i32), i32>(&mut store, "add")?;
    out.push((
        "typed call of a guest function",
        least(CALLS, || {
            for i in 0..CALLS as i32 {
                black_box(add.call(&mut store, (i, 1))?);
            }
            Ok(())
        })?,
    ));
    let untyped = *add.func();
    out.push((
        "untyped call of a guest function",
        least(CALLS, || {
            let mut results = [Val::I32(0)];
            for i in 0..CALLS as i32 {
                untyped.call(&mut store, &[Val::I32(i), Val::I32(1)], &mut results)?;
            }
            Ok(())
        })?,
    ));
    let many = instance.get_typed_func::<u32, i32>(&mut store, "loop")?;
    out.push((
        "call of a host function",
        least(CALLS, || {
            black_box(many.call(&mut store, CALLS)?);
            Ok(())
        })?,
    ));
    Ok(out)
}
