//! What is timed, written once: the engines' calls have the same names, and what differs is in the
//! module above, which names the engine.

use std::hint::black_box;
use std::path::Path;

use super::acts::{ALIVE, Act, Idle, Task, Timer, resident};
use super::{Engine, Linker, Module, Pre, Result, Store, Val, binary, image, load, prepare, write};

/// A small module as plug-ins are: a memory with data, a table, a global, a host function.
const SMALL: &str = r#"
(module
    (import "host" "next" (func $next (param i32) (result i32)))
    (memory (export "memory") 1)
    (data (i32.const 64) "some bytes that the guest starts with")
    (table 4 funcref) (elem (i32.const 1) $add)
    (global $n (mut i32) (i32.const 1))
    (func $add (export "add") (param i32 i32) (result i32)
        (i32.add (local.get 0) (local.get 1)))
    (func (export "touch") (i32.store (i32.const 0) (i32.const 1)))
    (func (export "dependent") (param i32) (result i32)
        (local i32)
        (loop $again
            (local.set 1 (call $next (local.get 1)))
            (br_if $again (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
        (local.get 1))
    (func (export "independent") (param i32) (result i32)
        (loop $again
            (drop (call $next (local.get 0)))
            (br_if $again (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
        (i32.const 0)))
"#;

/// Functions of the larger module, which has the smaller one's in it.
const FUNCTIONS: usize = 1000;

/// The larger module: as the small one, and a thousand functions, which are not called.
fn large() -> String {
    let mut text = SMALL.trim_end().strip_suffix(')').unwrap_or(SMALL).to_owned();
    for function in 0..FUNCTIONS {
        text += &format!(
            "(func (export \"f{function}\") (param i32 i32) (result i32)
                (loop $again
                    (i32.store offset={function} (i32.and (local.get 0) (i32.const 0xfffc))
                        (i32.mul (local.get 1) (i32.xor (local.get 0) (i32.const {function}))))
                    (local.set 1 (i32.add (local.get 1) (i32.load (i32.and (local.get 1) (i32.const 0xfffc)))))
                    (br_if $again (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
                (call $add (local.get 0) (local.get 1)))\n"
        );
    }
    text + ")"
}

const CALLS: u32 = 20_000;
/// Batches of each act; a batch is long enough for the clock, and short enough to be left in peace.
const BATCHES: usize = 25;

/// Nanoseconds that each of the `count` things took that `body` does, batch by batch.
fn batches(timer: Timer, count: u32, mut body: impl FnMut() -> Result<()>) -> Result<Vec<f64>> {
    let mut all = Vec::with_capacity(BATCHES);
    for _ in 0..BATCHES {
        let start = timer.now();
        body()?;
        all.push((timer.now() - start) * 1e9 / f64::from(count));
    }
    Ok(all)
}

fn linker(engine: &Engine) -> Result<Linker<()>> {
    let mut linker = Linker::new(engine);
    linker.func_wrap("host", "next", |x: i32| x.wrapping_add(1))?;
    Ok(linker)
}

/// Makes an instance in a store of its own and calls it.
fn call_once(engine: &Engine, pre: &Pre) -> Result<()> {
    let mut store = Store::new(engine, ());
    let instance = pre.instantiate(&mut store)?;
    let add = instance.get_typed_func::<(i32, i32), i32>(&mut store, "add")?;
    black_box(add.call(&mut store, (1, 2))?);
    Ok(())
}

/// Times every act that the engine can do. Images go to files in `dir`.
fn measure(engine: &Engine, timer: Timer, dir: &Path) -> Result<Vec<(Act, Vec<f64>)>> {
    let module = Module::new(engine, SMALL)?;
    let linker = linker(engine)?;
    let pre = prepare(&linker, &module)?;
    let mut out = Vec::new();

    let made = batches(timer, 200, || {
        for _ in 0..200 {
            let mut store = Store::new(engine, ());
            black_box(pre.instantiate(&mut store)?);
        }
        Ok(())
    })?;
    out.push((Act::Instantiate, made));
    let touched = batches(timer, 200, || {
        for _ in 0..200 {
            let mut store = Store::new(engine, ());
            let instance = pre.instantiate(&mut store)?;
            instance.get_typed_func::<(), ()>(&mut store, "touch")?.call(&mut store, ())?;
        }
        Ok(())
    })?;
    out.push((Act::InstantiateAndWrite, touched));

    calls(engine, timer, &pre, &mut out)?;

    for (text, count, compiled, loaded) in [
        (SMALL.to_owned(), 20, Act::CompiledCallSmall, Act::LoadedCallSmall),
        (large(), 1, Act::CompiledCallLarge, Act::LoadedCallLarge),
    ] {
        let wasm = binary(&text);
        let whole = batches(timer, count, || {
            for _ in 0..count {
                let module = Module::new(engine, &wasm)?;
                call_once(engine, &prepare(&linker, &module)?)?;
            }
            Ok(())
        })?;
        out.push((compiled, whole));
        let Some(bytes) = image(&Module::new(engine, &wasm)?) else { continue };
        let file = dir.join("latency.image");
        write(&file, &bytes?)?;
        let whole = batches(timer, count * 5, || {
            for _ in 0..count * 5 {
                let module = load(engine, &file)?;
                call_once(engine, &prepare(&linker, &module)?)?;
            }
            Ok(())
        })?;
        out.push((loaded, whole));
    }
    Ok(out)
}

/// Calls in both directions.
fn calls(engine: &Engine, timer: Timer, pre: &Pre, out: &mut Vec<(Act, Vec<f64>)>) -> Result<()> {
    let mut store = Store::new(engine, ());
    let instance = pre.instantiate(&mut store)?;
    let add = instance.get_typed_func::<(i32, i32), i32>(&mut store, "add")?;
    let typed = batches(timer, CALLS, || {
        for i in 0..CALLS as i32 {
            black_box(add.call(&mut store, (i, 1))?);
        }
        Ok(())
    })?;
    out.push((Act::TypedCall, typed));
    let add = instance.get_func(&mut store, "add").expect("the guest exports it");
    let untyped = batches(timer, CALLS, || {
        let mut results = [Val::I32(0)];
        for i in 0..CALLS as i32 {
            add.call(&mut store, &[Val::I32(i), Val::I32(1)], &mut results)?;
        }
        Ok(())
    })?;
    out.push((Act::UntypedCall, untyped));
    for (name, act) in [("dependent", Act::HostCall), ("independent", Act::HostCallIndependent)] {
        let many = instance.get_typed_func::<u32, i32>(&mut store, name)?;
        let many = batches(timer, CALLS, || {
            black_box(many.call(&mut store, CALLS)?);
            Ok(())
        })?;
        out.push((act, many));
    }
    Ok(())
}

/// What each of `count` instances takes, each in a store of its own, all alive, none called.
fn idle(engine: &Engine, count: usize) -> Result<Idle> {
    let module = Module::new(engine, SMALL)?;
    let pre = prepare(&linker(engine)?, &module)?;
    // What the engine sets up once is not the instances'.
    call_once(engine, &pre)?;
    let mut alive = Vec::with_capacity(count);
    let before = resident();
    for _ in 0..count {
        let mut store = Store::new(engine, ());
        let instance = pre.instantiate(&mut store)?;
        alive.push((store, instance));
    }
    let after = resident();
    black_box(&alive);
    let each = |after: u64, before: u64| after.saturating_sub(before) as f64 / count as f64;
    Ok(Idle { resident: each(after.0, before.0), tables: each(after.1, before.1) })
}

/// The figures of one task, as JSON.
///
/// # Errors
/// When the engine fails.
pub fn figures(engine: &Engine, task: &Task) -> anyhow::Result<String> {
    let say = |error| anyhow::anyhow!("{error:#}");
    Ok(if task.idle {
        serde_json::to_string(&idle(engine, ALIVE).map_err(say)?)?
    } else {
        serde_json::to_string(&measure(engine, task.timer, &task.dir).map_err(say)?)?
    })
}
