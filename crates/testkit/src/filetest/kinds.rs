//! The kinds of test.
//!
//! | kind | input | outcome |
//! |---|---|---|
//! | `wasm` | module | the IR of each function as the front end makes it |
//! | `opt` | IR | each function made again value by value: folded, numbered, forwarded |
//! | `verify` | IR | what the verifier says of each function |
//! | `eval` | module or IR | results or trap of each `; run: NAME(ARGUMENTS)`, by the meaning of the IR |
//! | `vcode` | module or IR | selected machine instructions of each function |
//! | `regalloc` | module or IR | the same after register allocation |
//! | `asm` | module or IR | machine code of each function |
//!
//! Whatever becomes an outcome has passed the verifier, and where machine code is made the checker of
//! register allocation. `opt` runs the function before and after on sample arguments and demands the
//! same results, traps and state; `eval` demands the same of machine code, when it is given a module.
//! `; guards: off` compiles for memories without guards. IR on its way to machine code lives in a module
//! with a memory, a 64-bit memory, a table of functions, eight globals, and all functions up to 15.

use super::Case;
use super::env::Surroundings;
use super::rebuild::rebuild;
use crate::Rng;
use crate::oracle::Instance;
use runwell::{Config, Engine, Linker, Module, Store, Trap, Val};
use runwell_abi::{Arch, Features, Target, TrapCode, Type, VmctxCounts, VmctxLayout};
use runwell_codegen::env::{MemoryPlan, ModuleEnv, TablePlan};
use runwell_codegen::{Codegen, Listing};
use runwell_compiler::{Options, Which, inspect};
use runwell_ir::eval::{self, Stop};
use runwell_ir::{Const, Function, Work, parse, print, verify};
use runwell_wasm::{ExternKind, Limits, Parsed, Translator};
use std::fmt::{Display, Write as _};

/// The kinds, in the order of the table above.
pub const KINDS: [&str; 7] = ["wasm", "opt", "verify", "eval", "vcode", "regalloc", "asm"];

/// Instructions that one run may take.
const STEPS: u64 = 1_000_000;

type Outcome = Result<String, String>;

/// Runs a test.
///
/// # Errors
/// When the input is not one for this kind, or a checker refuses what became of it.
pub fn run(case: &Case) -> Outcome {
    match (case.kind.as_str(), case.wat) {
        ("wasm", true) => wasm(case),
        ("opt", false) => opt(case),
        ("verify", false) => verified(case),
        ("eval", false) => eval_ir(case),
        ("eval", true) => eval_wat(case),
        ("vcode", true) => stage(case, "machine instructions"),
        ("regalloc", true) => stage(case, "after register allocation"),
        ("asm", true) => stage(case, "machine code"),
        ("vcode", false) => stage_ir(case, |listing| listing.selected),
        ("regalloc", false) => stage_ir(case, |listing| listing.allocated),
        ("asm", false) => stage_ir(case, |listing| listing.machine),
        (kind, _) if KINDS.contains(&kind) => {
            Err(format!("`{kind}` wants the other kind of input"))
        }
        (kind, _) => Err(format!("there is no kind `{kind}`, only {}", KINDS.join(", "))),
    }
}

fn text(error: impl Display) -> String {
    format!("{error:#}")
}

fn binary(case: &Case) -> Result<Vec<u8>, String> {
    wat::parse_str(&case.input).map_err(text)
}

fn functions(case: &Case) -> Result<Vec<Function>, String> {
    parse::functions(&case.input).map_err(text)
}

fn checked(func: &Function) -> Result<(), String> {
    verify::verify(func)
        .map_err(|error| format!("refused by the verifier: {error}\n{}", print::function(func)))
}

fn wasm(case: &Case) -> Outcome {
    let bytes = binary(case)?;
    let parsed = Parsed::parse(&bytes, &Limits::default()).map_err(text)?;
    let mut translator = Translator::new();
    let mut out = String::new();
    for own in 0..parsed.info.bodies.len() {
        let func = translator.translate(&parsed.info, &parsed.validation, &bytes, own);
        let func = func.map_err(text)?;
        checked(func)?;
        out.push_str(&print::without_offsets(func));
    }
    Ok(out)
}

fn opt(case: &Case) -> Outcome {
    let mut out = String::new();
    let funcs = functions(case)?;
    funcs.iter().try_for_each(checked)?;
    for func in &funcs {
        let made = rebuild(func);
        checked(&made)?;
        agree(&funcs, func, &made)?;
        out.push_str(&print::without_offsets(&made));
    }
    Ok(out)
}

/// How often a function is run before and after.
const SAMPLES: usize = 200;

/// Demands that `new` does what `old` does, among the functions `all`.
fn agree(all: &[Function], old: &Function, new: &Function) -> Result<(), String> {
    let plain = |ty: &Type| ty.is_int() || ty.is_float();
    if !old.signature().params.iter().all(plain) {
        return Ok(());
    }
    let others = || all.iter().filter(|func| func.index != old.index).cloned();
    let mut before = Surroundings::new(others().chain([old.clone()]));
    let mut after = Surroundings::new(others().chain([new.clone()]));
    let mut rng = Rng(old.insts.len() as u64);
    for _ in 0..SAMPLES {
        let params = old.signature().params.iter();
        let args: Vec<u64> = params.map(|&ty| sample(&mut rng, ty)).collect();
        let wanted = eval::run(&mut before, old.index, &args, STEPS);
        let found = eval::run(&mut after, old.index, &args, STEPS);
        if wanted != found {
            return Err(format!("{args:x?} gave {wanted:x?} before and {found:x?} after"));
        }
        if !before.same_state(&after) {
            return Err(format!("{args:x?} left another state after than before"));
        }
    }
    Ok(())
}

/// A value that rules are likely to get wrong.
fn sample(rng: &mut Rng, ty: Type) -> u64 {
    let corners = match ty {
        Type::F32 => [0, 0x8000_0000, 0x7fc0_0000, 0x7f80_0000, 0x3f80_0000, 0xffa0_0001],
        Type::F64 => [0, 1 << 63, 0x7ff8 << 48, 0x7ff0 << 48, 1.5f64.to_bits(), u64::MAX],
        _ => [0, 1, u64::MAX, 1 << 31, 1 << 63, 0x7fff_ffff],
    };
    let bits = match rng.next_u64() % 4 {
        0 => rng.next_u64(),
        1 => rng.next_u64() % 256,
        2 => 1 << (rng.next_u64() % 64),
        _ => corners[rng.next_u64() as usize % corners.len()],
    };
    if ty.bytes() == 4 { bits & 0xffff_ffff } else { bits }
}

fn verified(case: &Case) -> Outcome {
    let mut out = String::new();
    for func in functions(case)? {
        let said = verify::verify(&func).err().unwrap_or_else(|| "sound".to_string());
        let _ = writeln!(out, "f{}: {said}", func.index);
    }
    Ok(out)
}

/// `NAME(CONSTANTS)`.
fn call(text: &str) -> Result<(&str, Vec<Const>), String> {
    let split = text.strip_suffix(')').and_then(|text| text.split_once('('));
    let Some((name, args)) = split else {
        return Err(format!("`; run: {text}` is not NAME(ARGUMENTS)"));
    };
    Ok((name, parse::constants(args).map_err(text_in(text))?))
}

fn text_in<E: Display>(what: &str) -> impl FnOnce(E) -> String {
    move |error| format!("{what}: {error}")
}

fn bits(args: &[Const], params: &[Type]) -> Result<Vec<u64>, String> {
    if !args.iter().map(|arg| arg.ty).eq(params.iter().copied()) {
        return Err(format!("the arguments are not of types {params:?}"));
    }
    Ok(args.iter().map(|arg| arg.bits as u64).collect())
}

fn shown(done: &Result<Vec<u64>, Stop>, results: &[Type]) -> String {
    match done {
        Ok(values) => {
            let pairs = values.iter().zip(results);
            let values = pairs.map(|(&bits, &ty)| Const { ty, bits: bits.into() }.to_string());
            values.collect::<Vec<_>>().join(", ")
        }
        Err(Stop::Trap(code)) => format!("trap {code:?}"),
        Err(Stop::Steps) => "does not end".to_string(),
    }
}

fn eval_ir(case: &Case) -> Outcome {
    let funcs = functions(case)?;
    funcs.iter().try_for_each(checked)?;
    let mut surroundings = Surroundings::new(funcs.iter().cloned());
    let mut out = String::new();
    for run in case.values("run") {
        let (name, args) = call(run)?;
        let index = name.strip_prefix('f').and_then(|index| index.parse::<u32>().ok());
        let func = funcs.iter().find(|func| Some(func.index) == index);
        let func = func.ok_or_else(|| format!("there is no function `{name}`"))?;
        let args = bits(&args, &func.signature().params)?;
        let done = eval::run(&mut surroundings, func.index, &args, STEPS);
        let _ = writeln!(out, "{run}: {}", shown(&done, &func.signature().results));
    }
    Ok(out)
}

fn val(constant: &Const) -> Val {
    match constant.ty {
        Type::I32 => Val::I32(constant.bits as i32),
        Type::I64 => Val::I64(constant.bits as i64),
        Type::F32 => Val::F32(constant.bits as u32),
        _ => Val::F64(constant.bits as u64),
    }
}

fn val_bits(val: &Val) -> Option<u64> {
    match *val {
        Val::I32(value) => Some(u64::from(value as u32)),
        Val::I64(value) => Some(value as u64),
        Val::F32(bits) => Some(u64::from(bits)),
        Val::F64(bits) => Some(bits),
        _ => None,
    }
}

fn eval_wat(case: &Case) -> Outcome {
    let bytes = binary(case)?;
    let mut oracle = Instance::new(&bytes, STEPS).map_err(|refused| format!("{refused:?}"))?;
    let mut config = Config::new();
    config.verify(true).guarded_memories(guards(case));
    let engine = Engine::new(&config).map_err(text)?;
    let module = Module::from_binary(&engine, &bytes).map_err(text)?;
    let mut store = Store::new(&engine, ());
    let instance = Linker::new(&engine).instantiate(&mut store, &module).map_err(text)?;
    let mut out = String::new();
    for run in case.values("run") {
        let (name, args) = call(run)?;
        let export = oracle.info().export(name).filter(|export| export.kind == ExternKind::Func);
        let export = export.ok_or_else(|| format!("there is no export `{name}`"))?.index;
        let sig = oracle.info().signature(export).clone();
        let done = oracle.call(name, &bits(&args, &sig.params)?, STEPS);
        let wanted = shown(&done, &sig.results);

        let params: Vec<Val> = args.iter().map(val).collect();
        let mut results = vec![Val::I32(0); sig.results.len()];
        let func = instance.get_func(&mut store, name).ok_or("the export is missing")?;
        let found = match func.call(&mut store, &params, &mut results) {
            Ok(()) => {
                let bits: Option<Vec<u64>> = results.iter().map(val_bits).collect();
                bits.map_or(String::new(), |bits| shown(&Ok(bits), &sig.results))
            }
            Err(error) => match error.downcast_ref::<Trap>() {
                Some(trap) => format!("trap {}", trap_name(*trap)?),
                None => return Err(text(error)),
            },
        };
        if found != wanted {
            return Err(format!("{run}: the evaluator gives {wanted}, machine code {found}"));
        }
        let _ = writeln!(out, "{run}: {wanted}");
    }
    Ok(out)
}

/// The name of the trap code whose words a trap says.
fn trap_name(trap: Trap) -> Result<String, String> {
    let said = trap.to_string();
    // The longest, since one may be part of another.
    let codes = TrapCode::ALL.into_iter().filter(|code| said.contains(code.message()));
    let code = codes.max_by_key(|code| code.message().len());
    code.map(|code| format!("{code:?}")).ok_or_else(|| format!("an unknown trap: {said}"))
}

/// A machine without optional extensions, the same everywhere.
const TARGET: Target = Target { arch: Arch::X64, features: Features(0) };

fn guards(case: &Case) -> bool {
    !case.values("guards").any(|value| value == "off")
}

/// One stage of each function's way to machine code.
fn stage(case: &Case, title: &str) -> Outcome {
    let bytes = binary(case)?;
    let mut options = Options::new(TARGET);
    options.guarded_memories = guards(case);
    options.verify = true;
    let parsed = Parsed::parse(&bytes, &Limits::default()).map_err(text)?;
    let imported = parsed.info.imported_funcs();
    let mut out = String::new();
    for own in 0..parsed.info.bodies.len() as u32 {
        let func = imported + own;
        let inspection = inspect(&bytes, Which::Index(func), &options).map_err(text)?;
        let section = inspection.sections.iter().find(|section| section.title == title);
        let section = section.ok_or_else(|| format!("there is no stage `{title}`"))?;
        let _ = writeln!(out, "func {func}:\n{}", section.text.trim_end());
    }
    Ok(out)
}

fn stage_ir(case: &Case, section: fn(Listing) -> String) -> Outcome {
    const FUNCS: u32 = 16;
    let counts = VmctxCounts {
        memories: 2,
        own_tables: 1,
        own_globals: 8,
        escaped_funcs: FUNCS,
        types: FUNCS,
        ..VmctxCounts::default()
    };
    let memory = |memory64: bool| MemoryPlan {
        memory64,
        guarded: guards(case) && !memory64,
        min_bytes: 1 << 16,
    };
    let env = ModuleEnv {
        target: TARGET,
        layout: VmctxLayout::new(counts),
        memories: vec![memory(false), memory(true)],
        tables: vec![TablePlan { table64: false, element: Type::FuncRef }],
        imported_funcs: 0,
        escaped: (0..FUNCS).collect(),
        metered: false,
        raw_nans: false,
        tail_calls_leave: false,
    };
    let mut codegen = Codegen::new();
    let mut out = String::new();
    for func in functions(case)? {
        checked(&func)?;
        let done = codegen.inspect(&func, &env, &mut Work::new(), true);
        let (_, listing) = done.map_err(text)?;
        let _ = writeln!(out, "func {}:\n{}", func.index, section(listing).trim_end());
    }
    Ok(out)
}
