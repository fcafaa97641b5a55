//! Everything that happens to a hostile module besides compiling it: it is kept, written as an image
//! and read back, its types and names are asked for, it is linked, instantiated, run into a trap, and
//! one of its functions is inspected.
//!
//! For each family and each of these, the memory that the process asks for and what comes out stay in
//! proportion to the module. They are counted, so figures are the same on each machine. Where a cost
//! can be seen in time only, it is processor time, and far from what is out of proportion.

use runwell::{
    Caller, Config, Engine, Extern, ExternType, FuncType, Linker, Module, Result, Store,
    StoreLimits, StoreLimitsBuilder, Val, ValType, WasmBacktrace,
};
use runwell_abi::{Arch, Features, Target};
use runwell_bombs::families;
use runwell_compiler::Options;
use runwell_compiler::inspect::{Which, inspect};
use rustix::time::{ClockId, clock_gettime};
use std::fmt::Write as _;
use std::sync::{Mutex, MutexGuard, PoisonError};

#[global_allocator]
static ALLOCATOR: runwell_heap::Counting = runwell_heap::Counting;

/// Memory and time are those of the process, so only one test runs at a time.
static ALONE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Families of operators that become so much machine code that images are larger than they may be, and
/// texts longer; see `tests/bombs.rs`. These lists only ever get shorter.
const LARGE_IMAGES: &[&str] = &[];
const LONG_TEXTS: &[&str] = &[];

/// What is wrong is so for the families known for it, each of them, and no others.
fn none_but(known: &[&str], wrong: &[String]) {
    let of = |name: &str, wrong: &str| wrong.split(':').next() == Some(name);
    for name in known {
        assert!(wrong.iter().any(|wrong| of(name, wrong)), "{name} is known no more, take it out");
    }
    let new = wrong.iter().filter(|wrong| !known.iter().any(|name| of(name, wrong)));
    let new: Vec<&str> = new.map(|wrong| &**wrong).collect();
    assert!(new.is_empty(), "\n{}", new.join("\n"));
}

/// Sizes of the modules.
const SIZES: [usize; 2] = [16 << 10, 64 << 10];
/// Growth of an amount per byte from one size to the next.
const DRIFT: f64 = 1.25;
/// What does not depend on the module, in bytes.
const BASE: f64 = 64.0 * 1024.0;

/// Something that is done, and its bound in bytes per byte of module.
struct Step {
    name: &'static str,
    bound: f64,
}

const KEPT: Step = Step { name: "bytes of memory that a module keeps", bound: 100.0 };
const IMAGE: Step = Step { name: "bytes of an image", bound: 64.0 };
const READ: Step = Step { name: "bytes of memory for reading an image", bound: 200.0 };
const ASKED: Step = Step { name: "bytes of memory for types and names", bound: 150.0 };
const INSTANCE: Step = Step { name: "bytes of memory for linking and instantiating", bound: 400.0 };

fn thread_seconds() -> f64 {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    now.tv_sec as f64 + now.tv_nsec as f64 * 1e-9
}

fn engine() -> Engine {
    Engine::new(Config::new().compile_jobs(1).consume_fuel(true)).unwrap()
}

fn limits() -> StoreLimits {
    StoreLimitsBuilder::new().memory_size(1 << 30).table_elements(1 << 20).build()
}

/// Types and names of everything that has one, and how many there are.
fn ask(module: &Module) -> usize {
    let imports = module.imports().filter(|import| import.ty().func().is_some()).count();
    let exports =
        module.exports().filter(|export| module.get_export(export.name()).is_some()).count();
    imports + exports + module.name().map_or(0, str::len)
}

/// Links a module to defaults, instantiates it within limits and calls what it exports, with little
/// fuel. Modules that ask for more than the limits are refused, which may cost no more.
fn instantiate(engine: &Engine, module: &Module) -> Result<()> {
    let mut store = Store::new(engine, limits());
    store.limiter(|limits| limits);
    store.set_fuel(100_000)?;
    let mut linker = Linker::new(engine);
    linker.define_unknown_imports_as_default_values(&mut store, module)?;
    let instance = linker.instantiate(&mut store, module)?;
    let first =
        module.exports().find_map(|export| Some((export.name(), export.ty().func()?.clone())));
    let Some((name, ty)) = first else { return Ok(()) };
    let Some(func) = instance.get_func(&mut store, name) else { return Ok(()) };
    let zero = |ty: ValType| match ty {
        ValType::I32 => Val::I32(0),
        ValType::I64 => Val::I64(0),
        ValType::F32 => Val::F32(0),
        ValType::F64 => Val::F64(0),
        _ => Val::FuncRef(None),
    };
    let params: Vec<Val> = ty.params().map(zero).collect();
    let mut results: Vec<Val> = ty.results().map(zero).collect();
    func.call(&mut store, &params, &mut results)
}

/// The amounts of one module, in the order of the steps; none if it is refused.
fn amounts(engine: &Engine, wasm: &[u8]) -> Vec<(&'static Step, usize)> {
    let before = runwell_heap::now();
    let Ok(module) = Module::from_binary(engine, wasm) else { return Vec::new() };
    let kept = runwell_heap::now() - before;
    let (_, asked) = runwell_heap::peak(|| ask(&module));
    let image = module.serialize().unwrap();
    let (loaded, read) = runwell_heap::peak(|| Module::deserialize(engine, &image));
    loaded.unwrap();
    let (_, instance) = runwell_heap::peak(|| instantiate(engine, &module).is_ok());
    vec![
        (&KEPT, kept),
        (&ASKED, asked),
        (&IMAGE, image.len()),
        (&READ, read),
        (&INSTANCE, instance),
    ]
}

#[test]
fn what_surrounds_compiling_is_in_proportion() {
    let _alone = alone();
    let engine = engine();
    let mut wrong = Vec::new();
    let mut worst: Vec<(&str, f64, &str)> = Vec::new();
    for family in families() {
        let mut before: Vec<f64> = Vec::new();
        for size in SIZES {
            let wasm = (family.make)(size);
            let mut now = Vec::new();
            for (step, amount) in amounts(&engine, &wasm) {
                let rate = (amount as f64 - BASE).max(0.0) / wasm.len() as f64;
                if rate > step.bound {
                    wrong.push(format!("{}: {rate:.1} {} at {size}", family.name, step.name));
                }
                // What does not depend on the module is in both sizes here.
                let all = amount as f64 / wasm.len() as f64;
                let earlier = before.get(now.len()).copied().unwrap_or(f64::INFINITY);
                if all > earlier * DRIFT {
                    let what = step.name;
                    wrong.push(format!("{}: {earlier:.1}, then {all:.1} {what}", family.name));
                }
                match worst.iter_mut().find(|(name, ..)| *name == step.name) {
                    None => worst.push((step.name, rate, family.name)),
                    Some(known) if known.1 < rate => *known = (step.name, rate, family.name),
                    Some(_) => {}
                }
                now.push(all);
            }
            before = now;
        }
    }
    let mut table = String::new();
    for (step, rate, family) in worst {
        let _ = writeln!(table, "{rate:8.1} {step} per byte of module: {family}");
    }
    println!("{table}");
    none_but(LARGE_IMAGES, &wrong);
}

/// Text is many times as long as a module, but not out of proportion, and neither is the time.
#[test]
fn an_inspection_is_in_proportion() {
    const TEXT: f64 = 600.0;
    let _alone = alone();
    let target = Target { arch: Arch::X64, features: Features::default() };
    let options = Options { jobs: 1, ..Options::new(target) };
    let once = |wasm: &[u8]| {
        let imported = Module::from_binary(&engine(), wasm).ok()?;
        let imported = imported.imports().filter(|import| import.ty().func().is_some()).count();
        let clock = thread_seconds();
        let seen = inspect(wasm, Which::Index(imported as u32), &options).ok()?;
        let seconds = thread_seconds() - clock;
        let text: usize = seen.sections.iter().map(|section| section.text.len()).sum();
        Some((text as f64 / wasm.len() as f64, seconds))
    };
    let mut wrong = Vec::new();
    for family in families() {
        let wasm = [2 << 10, 16 << 10].map(family.make);
        let (Some(small), Some(large)) = (once(&wasm[0]), once(&wasm[1])) else { continue };
        if large.0 > TEXT || (large.0 > 20.0 && large.0 > 2.5 * small.0) {
            wrong.push(format!("{}: {:.0}, then {:.0} of text", family.name, small.0, large.0));
        }
        let out_of_proportion = |small: f64, large: f64| large > 0.05 && large > 24.0 * small;
        if out_of_proportion(small.1, large.1) {
            // Once may have been a bad moment.
            let least = |wasm: &[u8]| {
                let some = (0..3).filter_map(|_| once(wasm));
                some.map(|(_, seconds)| seconds).fold(f64::INFINITY, f64::min)
            };
            let (small, large) = (least(&wasm[0]), least(&wasm[1]));
            if out_of_proportion(small, large) {
                wrong.push(format!("{}: {small} s, then {large} s", family.name));
            }
        }
    }
    none_but(LONG_TEXTS, &wrong);
}

/// Processor seconds of everything around compiling, for one module, the least of three.
fn seconds(engine: &Engine, wasm: &[u8]) -> Option<f64> {
    let module = Module::from_binary(engine, wasm).ok()?;
    let once = || {
        let clock = thread_seconds();
        ask(&module);
        let image = module.serialize().unwrap();
        Module::deserialize(engine, &image).unwrap();
        let _ = instantiate(engine, &module);
        thread_seconds() - clock
    };
    Some((0..3).map(|_| once()).fold(f64::INFINITY, f64::min))
}

/// A product of two counts takes 64 times as long for eight times the size.
#[test]
fn what_surrounds_compiling_takes_time_in_proportion() {
    let _alone = alone();
    let engine = engine();
    let mut slow = Vec::new();
    for family in families() {
        let (small, large) = ((family.make)(8 << 10), (family.make)(64 << 10));
        let Some(long) = seconds(&engine, &large) else { continue };
        let rate = long * 1e6 / large.len() as f64;
        // Where it is quick enough, growth does not matter, and is noise.
        if rate < 1.0 {
            continue;
        }
        let short = seconds(&engine, &small).unwrap_or(f64::INFINITY);
        println!("{}: {rate:.2} µs per byte, {:.1} times for 8 times", family.name, long / short);
        if long > 24.0 * short || rate > 25.0 {
            slow.push(format!("{}: {short} s, then {long} s", family.name));
        }
    }
    assert!(slow.is_empty(), "\n{}", slow.join("\n"));
}

/// Memories and tables that are larger than the store's limits are refused before anything is had,
/// and what fits is not touched before it is used.
#[test]
fn minimums_cost_nothing_until_they_are_used() {
    let _alone = alone();
    let engine = engine();
    let most = r#"(module (memory 65536) (memory 65536) (memory 65536) (memory 65536)
        (table 10000000 funcref) (table 10000000 funcref) (table 10000000 externref))"#;
    let module = Module::new(&engine, most).unwrap();
    let run = |limits: StoreLimits| {
        let mut store = Store::new(&engine, limits);
        store.limiter(|limits| limits);
        let (outcome, heap) = runwell_heap::peak(|| {
            Linker::new(&engine).instantiate(&mut store, &module).map(|_| ())
        });
        (outcome, heap, resident())
    };
    let before = resident();
    let (outcome, heap, after) = run(StoreLimits::default());
    outcome.unwrap();
    assert!(heap < 64 << 10, "{heap} bytes of the heap");
    assert!(after < before + (4 << 20), "{} bytes are touched", after - before);
    let (outcome, heap, _) = run(limits());
    let message = outcome.unwrap_err().to_string();
    assert!(
        message.contains("memory minimum size of 65536 pages exceeds memory limits"),
        "{message}"
    );
    assert!(heap < 64 << 10, "{heap} bytes of the heap");
}

fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

/// A guest at the bottom of its stack, again and again, and in functions with names as long as may be:
/// a trap costs what its backtrace holds, and that is a fixed number of frames without their names.
#[test]
fn backtraces_of_deep_recursion_are_short() {
    let _alone = alone();
    let engine = Engine::default();
    let name = "n".repeat(90_000);
    let text = format!(
        r#"(module $m (import "" "host" (func $host))
            (func ${name} (export "deep") (param i32)
                (if (local.get 0)
                    (then (call ${name} (i32.sub (local.get 0) (i32.const 1))))
                    (else (call $host)))))"#
    );
    let module = Module::new(&engine, &text).unwrap();
    let mut linker = Linker::<()>::new(&engine);
    linker
        .func_wrap("", "host", |caller: Caller<'_, ()>| -> Result<()> {
            let (trace, heap) = runwell_heap::peak(|| WasmBacktrace::capture(&caller));
            assert_eq!(trace.frames().len(), 64);
            assert!(heap < 16 << 10, "{heap} bytes for a backtrace");
            Err(runwell::Error::msg(format!("{} frames", trace.frames().len())))
        })
        .unwrap();
    let mut store = Store::new(&engine, ());
    let deep =
        linker.instantiate(&mut store, &module).unwrap().get_func(&mut store, "deep").unwrap();
    let mut call = |depth: i32| {
        let clock = thread_seconds();
        let (error, heap) =
            runwell_heap::peak(|| deep.call(&mut store, &[Val::I32(depth)], &mut []).unwrap_err());
        let seconds = thread_seconds() - clock;
        let frames = error.downcast_ref::<WasmBacktrace>().unwrap().frames();
        assert_eq!((frames.len(), frames[63].func_name()), (64, Some(&*name)));
        assert!(heap < 256 << 10, "{heap} bytes for an error");
        // Names are cut where they are shown.
        let message = format!("{error:?}");
        assert!(message.len() < 64 << 10, "{} bytes of message", message.len());
        seconds
    };
    call(100);
    // Once more with a full stack: that trap is the guest's own.
    assert!(call(i32::MAX) < 1.0);
}

/// Ten thousand imports, of which each is looked up by names that differ at the end only, from a
/// linker with as many names.
#[test]
fn linking_is_in_proportion_to_names() {
    let _alone = alone();
    let engine = Engine::default();
    let time = |count: usize| {
        let prefix = "p".repeat(40);
        let mut text = "(module".to_string();
        for i in 0..count {
            let _ = write!(text, r#"(import "{prefix}" "{prefix}{i}" (func (param i32)))"#);
        }
        text.push(')');
        let module = Module::new(&engine, &text).unwrap();
        let mut linker = Linker::<()>::new(&engine);
        let ty = FuncType::new(&engine, [ValType::I32], []);
        for i in 0..count {
            let name = format!("{prefix}{i}");
            linker.func_new(&prefix, &name, ty.clone(), |_, _, _| Ok(())).unwrap();
        }
        let pre = linker.instantiate_pre(&module).unwrap();
        let once = || {
            let clock = thread_seconds();
            linker.instantiate_pre(&module).unwrap();
            let mut store = Store::new(&engine, ());
            pre.instantiate(&mut store).unwrap();
            thread_seconds() - clock
        };
        (0..3).map(|_| once()).fold(f64::INFINITY, f64::min) / count as f64
    };
    let (few, many) = (time(1_000), time(10_000));
    assert!(many < 4.0 * few, "{:.2} µs, then {:.2} µs per import", few * 1e6, many * 1e6);
}

/// A call of two bytes, of a function whose name is as long as may be, does not list that name whole.
#[test]
fn listings_do_not_repeat_long_names() {
    let _alone = alone();
    let engine = Engine::default();
    let family = runwell_bombs::find("names_called").unwrap();
    let rate = |size: usize| {
        let wasm = (family.make)(size);
        let module = Module::from_binary(&engine, &wasm).unwrap();
        let caller = module.functions().next().unwrap();
        let range = caller.offset..caller.offset + caller.len;
        let lines = runwell::inspect::disassemble(&module, range);
        let text: usize = lines.iter().filter_map(|line| Some(line.text.as_ref()?.len())).sum();
        assert!(lines.len() > size / 8, "{} lines", lines.len());
        text as f64 / wasm.len() as f64
    };
    let (small, large) = (rate(16 << 10), rate(256 << 10));
    assert!(large < 400.0 && large < 2.5 * small, "{small:.0}, then {large:.0} of text");
}

/// An item of each kind under a name that nobody has, so that the error says so.
#[test]
fn errors_about_long_names_are_made_once() {
    let _alone = alone();
    let engine = Engine::default();
    let wasm = (runwell_bombs::find("imports_long_names").unwrap().make)(1 << 20);
    let module = Module::from_binary(&engine, &wasm).unwrap();
    let (error, heap) = runwell_heap::peak(|| {
        Linker::<()>::new(&engine).instantiate_pre(&module).err().unwrap().to_string()
    });
    assert!(error.contains("has not been defined"));
    assert!(heap < 4 * 65_536 + (64 << 10), "{heap} bytes");
    let item = module.imports().next().unwrap();
    assert!(matches!(item.ty(), ExternType::Func(_)));
    let mut store = Store::new(&engine, ());
    let wrong: Extern = runwell::Global::new(
        &mut store,
        runwell::GlobalType::new(ValType::I32, runwell::Mutability::Const),
        Val::I32(0),
    )
    .unwrap()
    .into();
    let imports = vec![wrong; module.imports().len()];
    let error = runwell::Instance::new(&mut store, &module, &imports).unwrap_err().to_string();
    assert!(error.contains("incompatible import type"));
}
