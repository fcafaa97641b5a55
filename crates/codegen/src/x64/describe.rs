//! The text of a machine instruction before it is encoded, without its operands.
//!
//! ```text
//! Alu.32 Add -2        operation, size in bits, kind, immediate
//! MovX L [vmctx + 8]   what is read and how, memory operand
//! Jcc b                condition
//! ```

use super::inst::{
    AluKind, Aux, BitKind, DIV_OVERFLOW, DIV_REM, DIV_SIGNED, DIV_ZERO, FKind, MOp, MovKind,
    ShiftKind, Src, TRUNC_64, TRUNC_SAT, TRUNC_SIGNED,
};
use crate::vcode::VInst;
use core::fmt::Write;
use runwell_abi::{LibCall, TrapCode};

/// Condition codes by number.
const CODES: [&str; 18] = [
    "o", "no", "b", "ae", "e", "ne", "be", "a", "s", "ns", "p", "np", "l", "ge", "le", "g", "feq",
    "fne",
];
/// What a memory operand starts at, by number.
const BASES: [&str; 8] = ["", "reg", "vmctx", "memory", "pool4", "pool8", "pool16", "slot"];

/// The text of `inst`.
pub(super) fn describe(inst: &VInst) -> String {
    let aux = Aux(inst.aux);
    let op = MOp::from_u16(inst.op);
    let mut text = format!("{op:?}");
    if has_size(op) {
        let _ = write!(text, ".{}", 8 << aux.size());
    }
    if let Some(kind) = kind(op, aux.kind()) {
        let _ = write!(text, " {kind}");
    }
    if matches!(op, MOp::SetCc | MOp::Cmov | MOp::FSelect | MOp::TrapCc | MOp::Jcc) {
        let _ = write!(text, " {}", CODES.get(aux.cc() as usize).unwrap_or(&"?"));
    }
    match BASES[aux.base() as usize] {
        "" if aux.index() == 0 => {}
        "pool4" => drop(write!(text, " [{:#x}]", inst.imm)),
        "pool8" | "pool16" => {
            let bits = u64::from(inst.imm as u32) | u64::from(inst.disp as u32) << 32;
            let twice = if aux.base() == 6 { " twice" } else { "" };
            let _ = write!(text, " [{bits:#x}{twice}]");
        }
        "slot" => drop(write!(text, " [slot {}]", inst.disp)),
        base => {
            let _ = write!(text, " [{base}");
            if aux.index() != 0 {
                let _ = write!(text, " + index*{}", 1 << aux.scale());
            }
            let _ = write!(text, " + {}]", inst.disp);
        }
    }
    let spread = Aux(inst.aux).spread();
    if spread != 0 && is_call(op) {
        let _ = write!(text, " with homes from {}", inst.disp);
    }
    match op {
        MOp::MovImm => {
            let bits = u64::from(inst.imm as u32) | u64::from(inst.disp as u32) << 32;
            let _ = write!(text, " {bits:#x}");
        }
        MOp::HomeMove => {
            let _ = write!(text, " {} from {} to {}", aux.count(), inst.disp, inst.imm);
        }
        MOp::HomeShift => drop(write!(text, " {} to {}", aux.count(), inst.imm)),
        MOp::HomeSelect => drop(write!(text, " {} or {}", inst.disp, inst.disp + 1)),
        MOp::HomePass => drop(write!(text, " {} from {}", aux.count(), inst.disp)),
        MOp::HomeTake => drop(write!(text, " {} to {}", aux.count(), inst.disp)),
        MOp::Callee => {
            if aux.src() == Src::Imm as u32 {
                let _ = write!(text, " element {}", inst.disp);
            }
            let _ = write!(text, " of table {} type {}", aux.table(), inst.imm);
        }
        MOp::Call | MOp::TailCall => drop(write!(text, " function {}", inst.imm as u32)),
        MOp::CallLib => {
            let helper = usize::try_from(inst.imm).ok().and_then(|at| LibCall::ALL.get(at));
            let _ = write!(text, " {}", helper.map_or("?", |helper| helper.name()));
        }
        MOp::Jmp => drop(write!(text, " edge {}", inst.imm)),
        MOp::Switch | MOp::TableAddr | MOp::JmpTable => {
            let _ = write!(text, " {} entries", inst.disp);
        }
        MOp::Rorx | MOp::ImulImm | MOp::Fuel | MOp::FuelBack | MOp::FuelFor => {
            let _ = write!(text, " {}", inst.imm);
        }
        _ if aux.src() == Src::Imm as u32 => drop(write!(text, " {}", inst.imm)),
        _ => {}
    }
    text
}

/// True for calls of functions.
fn is_call(op: MOp) -> bool {
    use MOp::{Call, CallImport, CallRef, TailCall, TailRef};
    matches!(op, Call | CallImport | CallRef | TailCall | TailRef)
}

/// True if the size field means something.
fn has_size(op: MOp) -> bool {
    match op {
        MOp::Add3
        | MOp::Alu
        | MOp::AluMem
        | MOp::Cmp
        | MOp::CmpMem
        | MOp::Test
        | MOp::TestMem
        | MOp::Bt
        | MOp::Imul
        | MOp::ImulImm
        | MOp::MulWide
        | MOp::Div
        | MOp::Shift
        | MOp::Shift3
        | MOp::Rorx
        | MOp::Neg
        | MOp::Not
        | MOp::Bits
        | MOp::Lea
        | MOp::Cmov
        | MOp::FAlu
        | MOp::FAlu3
        | MOp::FSqrt
        | MOp::FRound
        | MOp::FCmp
        | MOp::FMinMax
        | MOp::FCopysign
        | MOp::FCanon
        | MOp::FCanon3
        | MOp::CvtInt
        | MOp::CvtU64
        | MOp::Trunc
        | MOp::MovFromF
        | MOp::MovToF
        | MOp::Callee => true,
        MOp::Args
        | MOp::MovImm
        | MOp::MovX
        | MOp::Store
        | MOp::StoreCanon
        | MOp::SetCc
        | MOp::FSelect
        | MOp::FZero
        | MOp::Demote
        | MOp::Promote
        | MOp::TrapCc
        | MOp::Fuel
        | MOp::FuelBack
        | MOp::FuelFor
        | MOp::HomeSelect
        | MOp::HomeMove
        | MOp::HomeShift
        | MOp::HomePass
        | MOp::HomeTake
        | MOp::Jmp
        | MOp::Jcc
        | MOp::Switch
        | MOp::TableAddr
        | MOp::JmpTable
        | MOp::Ret
        | MOp::Ud2
        | MOp::Call
        | MOp::CallImport
        | MOp::CallRef
        | MOp::CallLib
        | MOp::TailCall
        | MOp::TailRef => false,
    }
}

/// The kind in words, of operations that have one.
fn kind(op: MOp, kind: u32) -> Option<String> {
    Some(match op {
        MOp::MovX | MOp::Store | MOp::StoreCanon | MOp::HomeSelect => {
            format!("{:?}", MovKind::from_u32(kind))
        }
        MOp::Alu | MOp::AluMem => {
            use AluKind::{Add, And, Or, Sub, Xor};
            of([Add, Or, And, Sub, Xor], kind, |k| k as u32)
        }
        MOp::Shift | MOp::Shift3 => {
            use ShiftKind::{Rol, Ror, Sar, Shl, Shr};
            of([Rol, Ror, Shl, Shr, Sar], kind, |k| k as u32)
        }
        MOp::Bits => {
            use BitKind::{Bsf, Bsr, Lzcnt, Popcnt, Tzcnt};
            of([Lzcnt, Tzcnt, Popcnt, Bsr, Bsf], kind, |k| k as u32)
        }
        MOp::FAlu | MOp::FAlu3 => {
            use FKind::{Add, And, Div, Mul, Sub, Xor};
            of([Add, Sub, Mul, Div, And, Xor], kind, |k| k as u32)
        }
        MOp::MulWide => if kind == 1 { "signed" } else { "unsigned" }.to_string(),
        MOp::Div => flags(
            &[
                (DIV_SIGNED, "signed"),
                (DIV_REM, "remainder"),
                (DIV_ZERO, "zero?"),
                (DIV_OVERFLOW, "overflow?"),
            ],
            kind,
        ),
        MOp::Trunc => {
            flags(&[(TRUNC_SIGNED, "signed"), (TRUNC_64, "to 64"), (TRUNC_SAT, "saturating")], kind)
        }
        MOp::FMinMax => if kind == 1 { "max" } else { "min" }.to_string(),
        MOp::FRound => format!("mode {kind}"),
        MOp::CvtInt => format!("from {}", 8u64 << (kind & 7)),
        MOp::TrapCc | MOp::Ud2 => {
            TrapCode::from_u8(kind as u8).map_or("?".to_string(), |code| format!("{code:?}"))
        }
        _ => return None,
    })
}

/// The name of the kind with this number.
fn of<K: Copy + core::fmt::Debug, const N: usize>(
    kinds: [K; N],
    kind: u32,
    number: fn(K) -> u32,
) -> String {
    let found = kinds.into_iter().find(|&k| number(k) == kind);
    found.map_or_else(|| format!("kind {kind}"), |k| format!("{k:?}"))
}

fn flags(names: &[(u32, &str)], bits: u32) -> String {
    let set = names.iter().filter(|&&(bit, _)| bits & bit != 0).map(|&(_, name)| name);
    set.collect::<Vec<_>>().join(" ")
}
