//! One module on machine code and by the meaning of the IR: the same results, traps, memories and
//! globals.

use crate::Rng;
use crate::oracle::{Instance, Refused, is_plain};
use runwell::{Engine, Error, Linker, Module, Store, Trap, Val};
use runwell_abi::{TrapCode, Type};
use runwell_ir::eval::Stop;
use runwell_wasm::ExternKind;

/// Instructions the oracle runs per call before the comparison is given up.
const STEPS: u64 = 200_000;
/// Calls of each export.
const CALLS: usize = 3;

/// What comparing a module gave.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// This many calls were compared and agreed.
    Agreed(usize),
    /// The module or a call took too long or too deep a stack for the oracle; what came before agreed.
    Gave(usize),
}

fn same_trap(error: &Error, code: TrapCode) -> bool {
    let Some(trap) = error.downcast_ref::<Trap>() else { return false };
    let found = trap.to_string();
    // The public names differ from the codes' in words only.
    let wanted = match code {
        TrapCode::Unreachable => "unreachable",
        code => code.message(),
    };
    found.contains(wanted)
}

fn argument(rng: &mut Rng, ty: Type) -> u64 {
    let bits = match rng.next_u64() % 4 {
        0 => rng.next_u64() % 16,
        1 => (rng.next_u64() % 16).wrapping_neg(),
        2 => 1 << (rng.next_u64() % 64),
        _ => rng.next_u64(),
    };
    // A NaN's payload is the guest's to see; only canonical ones go in.
    match ty {
        Type::F32 if f32::from_bits(bits as u32).is_nan() => 0x7fc0_0000,
        Type::F64 if f64::from_bits(bits).is_nan() => 0x7ff8 << 48,
        _ if ty.bytes() == 4 => bits & 0xffff_ffff,
        _ => bits,
    }
}

fn val(ty: Type, bits: u64) -> Val {
    match ty {
        Type::I32 => Val::I32(bits as i32),
        Type::I64 => Val::I64(bits as i64),
        Type::F32 => Val::F32(bits as u32),
        _ => Val::F64(bits),
    }
}

fn bits(val: &Val) -> Option<u64> {
    match *val {
        Val::I32(v) => Some(u64::from(v as u32)),
        Val::I64(v) => Some(v as u64),
        Val::F32(v) => Some(u64::from(v)),
        Val::F64(v) => Some(v),
        _ => None,
    }
}

/// Two floats that are both NaN agree: which NaN an operation gives is not fixed yet.
fn same_bits(ty: Type, a: u64, b: u64) -> bool {
    let nan = |bits: u64| match ty {
        Type::F32 => f32::from_bits(bits as u32).is_nan(),
        Type::F64 => f64::from_bits(bits).is_nan(),
        _ => false,
    };
    a == b || (nan(a) && nan(b))
}

/// Runs `wasm`, a module without imports, both ways.
///
/// # Errors
/// The first difference.
pub fn compare(engine: &Engine, wasm: &[u8], seed: u64) -> Result<Verdict, String> {
    let module =
        Module::from_binary(engine, wasm).map_err(|error| format!("refused: {error:#}"))?;
    let mut store = Store::new(engine, ());
    let found = Linker::new(engine).instantiate(&mut store, &module);
    let mut oracle = match (Instance::new(wasm, STEPS), &found) {
        (Err(Refused::Start(Stop::Steps | Stop::Trap(TrapCode::StackOverflow))), _) => {
            return Ok(Verdict::Gave(0));
        }
        (Err(Refused::Start(Stop::Trap(code))), Err(error)) if same_trap(error, code) => {
            return Ok(Verdict::Agreed(0));
        }
        (Ok(oracle), Ok(_)) => oracle,
        (wanted, found) => {
            let wanted = wanted.map(|_| "an instance");
            let found = found.as_ref().map(|_| "an instance").map_err(|error| format!("{error:#}"));
            return Err(format!("instantiation: wanted {wanted:?}, found {found:?}"));
        }
    };
    let instance = found.map_err(|error| format!("{error:#}"))?;
    let mut rng = Rng(seed);
    let mut agreed = 0;
    let exports = oracle.info().exports.clone();
    let funcs: Vec<_> = exports.iter().filter(|e| e.kind == ExternKind::Func).collect();
    for number in 0..CALLS * funcs.len() {
        let export = funcs[number % funcs.len()];
        let sig = oracle.info().signature(export.index).clone();
        if !sig.params.iter().all(|&ty| is_plain(ty)) {
            continue;
        }
        let args: Vec<u64> = sig.params.iter().map(|&ty| argument(&mut rng, ty)).collect();
        let params: Vec<Val> = args.iter().zip(&sig.params).map(|(&b, &ty)| val(ty, b)).collect();
        let mut results = vec![Val::I32(0); sig.results.len()];
        let Some(func) = instance.get_func(&mut store, &export.name) else {
            return Err(format!("there is no export {}", export.name));
        };
        let wanted = oracle.call(&export.name, &args, STEPS);
        if let Err(Stop::Steps | Stop::Trap(TrapCode::StackOverflow)) = wanted {
            return Ok(Verdict::Gave(agreed));
        }
        let found = func.call(&mut store, &params, &mut results);
        let what = || format!("call {number} of `{}` with {args:x?}", export.name);
        match (&wanted, &found) {
            (Ok(wanted), Ok(())) => {
                for ((&wanted, found), &ty) in wanted.iter().zip(&results).zip(&sig.results) {
                    if let Some(found) = bits(found)
                        && !same_bits(ty, wanted, found)
                    {
                        return Err(format!("{}: wanted {wanted:#x}, found {found:#x}", what()));
                    }
                }
            }
            (Err(Stop::Trap(code)), Err(error)) if same_trap(error, *code) => {}
            _ => {
                let found = found.map_err(|error| format!("{error:#}"));
                return Err(format!("{}: wanted {wanted:x?}, found {found:?}", what()));
            }
        }
        state(&oracle, &mut store, instance).map_err(|error| format!("{}: {error}", what()))?;
        agreed += 1;
    }
    Ok(Verdict::Agreed(agreed))
}

/// Compares memories and globals; all are exported.
fn state(
    oracle: &Instance,
    store: &mut Store<()>,
    instance: runwell::Instance,
) -> Result<(), String> {
    for export in &oracle.info().exports {
        let index = export.index as usize;
        match export.kind {
            ExternKind::Memory => {
                let memory = instance.get_memory(&mut *store, &export.name);
                let memory = memory.ok_or("a memory is missing")?;
                let (wanted, found) = (oracle.memory(index), memory.data(&*store));
                if wanted.len() != found.len() {
                    let (wanted, found) = (wanted.len(), found.len());
                    return Err(format!("memory {index}: wanted {wanted} bytes, found {found}"));
                }
                if let Some(at) = wanted.iter().zip(found).position(|(a, b)| a != b) {
                    return Err(format!(
                        "memory {index} at {at:#x}: wanted {:#x}, found {:#x}",
                        wanted[at], found[at]
                    ));
                }
            }
            ExternKind::Global => {
                let ty = oracle.info().globals[index].ty;
                let global = instance.get_global(&mut *store, &export.name);
                let found = bits(&global.ok_or("a global is missing")?.get(&mut *store));
                if let (Some(wanted), Some(found)) = (oracle.global(index), found)
                    && !same_bits(ty, wanted, found)
                {
                    return Err(format!("global {index}: wanted {wanted:#x}, found {found:#x}"));
                }
            }
            _ => {}
        }
    }
    Ok(())
}
