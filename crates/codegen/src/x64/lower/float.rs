//! Floats.

use super::{Rhs, def_reg, def_tied, float_size, int_size, mov_kind, use_any, use_late, use_reg};
use crate::lower::Lower;
use crate::vcode::VReg;
use crate::x64::inst::{Amode, Aux, Base, FKind, MOp, MovKind, TRUNC_64, TRUNC_SAT, TRUNC_SIGNED};
use runwell_abi::Features;
use runwell_ir::{Const, Inst, Op, Type, Value};

/// A constant in the function's constant area.
pub(super) fn pool(value: Const) -> Amode {
    let (low, high) = (value.bits as u32 as i32, (value.bits >> 32) as u32 as i32);
    let base = match value.ty {
        Type::F32 => Base::Pool4,
        Type::F64 => Base::Pool8,
        _ => Base::Pool16,
    };
    Amode { base, index: None, disp: high, traps: false, low }
}

/// A 64-bit mask, twice.
fn mask(bits: u64) -> Amode {
    pool(Const { ty: Type::V128, bits: u128::from(bits) })
}

/// The right-hand side of a float operation.
pub(super) fn rhs(cx: &mut Lower<'_>, value: Value, ty: Type) -> Rhs {
    if let Some(c) = cx.func.as_const(value)
        && c.bits != 0
    {
        return Rhs::Mem(pool(c));
    }
    match cx.sink(value, ty) {
        Some(amode) => Rhs::Mem(amode),
        None => Rhs::Reg(cx.get(value)),
    }
}

/// `def = left op right`; with AVX, `left` may live on without a copy.
fn alu(cx: &mut Lower<'_>, aux: Aux, def: VReg, left: VReg, right: Rhs) {
    if cx.env.target.features.has(Features::AVX) {
        cx.op_rhs(MOp::FAlu3, aux, &[def_reg(def), use_reg(left)], right);
    } else {
        cx.op_rhs(MOp::FAlu, aux, &[def_tied(def), use_reg(left)], right);
    }
}

pub(super) fn binary(cx: &mut Lower<'_>, index: u32, inst: &Inst) {
    let def = cx.result(index);
    let (kind, commutes) = match inst.op {
        Op::FAdd => (FKind::Add, true),
        Op::FSub => (FKind::Sub, false),
        Op::FMul => (FKind::Mul, true),
        _ => (FKind::Div, false),
    };
    let (mut a, mut b) = (inst.va(), inst.vb());
    if commutes {
        (a, b) = super::int::commute(cx, inst.ty, a, b);
    }
    let right = rhs(cx, b, inst.ty);
    let left = cx.get(a);
    let aux = Aux::sized(float_size(inst.ty)).with_kind(kind as u32);
    alu(cx, aux, def, left, right);
}

pub(super) fn min_max(cx: &mut Lower<'_>, index: u32, inst: &Inst) {
    let def = cx.result(index);
    let (a, b) = super::int::commute(cx, inst.ty, inst.va(), inst.vb());
    let aux = Aux::sized(float_size(inst.ty)).with_kind(u32::from(inst.op == Op::FMax));
    // An operand that lies in the frame has cost no byte of Wasm.
    let (left, right) = if cx.can_sink(b, inst.ty) { (b, a) } else { (a, b) };
    if let Some(home) = cx.left_home(left, inst.ty) {
        let right = cx.get(right);
        let aux = aux.with_compact(1).with_left(1);
        return cx.op_mem(MOp::FMinMax, aux, 0, &home, &[def_reg(def), use_late(right)]);
    }
    let (left, right) = (cx.get(a), cx.get(b));
    cx.op(MOp::FMinMax, aux, 0, &[def_tied(def), use_reg(left), use_late(right)]);
}

pub(super) fn copysign(cx: &mut Lower<'_>, index: u32, inst: &Inst) {
    let def = cx.result(index);
    let aux = Aux::sized(float_size(inst.ty));
    // Homes are exact.
    if let Some(home) = cx.left_home(inst.va(), inst.ty) {
        let right = cx.get_exact(inst.vb());
        let operands = [def_reg(def), use_late(right)];
        return cx.op_mem(MOp::FCopysign, aux.with_left(1), 0, &home, &operands);
    }
    let (left, right) = (cx.get_exact(inst.va()), cx.get_exact(inst.vb()));
    cx.op(MOp::FCopysign, aux, 0, &[def_tied(def), use_reg(left), use_late(right)]);
}

pub(super) fn sign(cx: &mut Lower<'_>, index: u32, inst: &Inst) {
    let def = cx.result(index);
    // The absolute value of a NaN that is put right later is put right with it.
    let source = if inst.op == Op::FNeg { cx.get_exact(inst.va()) } else { cx.get(inst.va()) };
    let sign = if inst.ty == Type::F32 { 0x8000_0000_8000_0000 } else { 1u64 << 63 };
    let (kind, bits) = if inst.op == Op::FNeg { (FKind::Xor, sign) } else { (FKind::And, !sign) };
    let aux = Aux::sized(float_size(inst.ty)).with_kind(kind as u32);
    alu(cx, aux, def, source, Rhs::Mem(mask(bits)));
}

pub(super) fn unary(cx: &mut Lower<'_>, index: u32, inst: &Inst) {
    let def = cx.result(index);
    let source = match cx.sink(inst.va(), inst.ty) {
        Some(amode) => Rhs::Mem(amode),
        None => Rhs::Reg(cx.get(inst.va())),
    };
    // Bits 0 and 1: direction; bit 3: no precision exception. In `kind`: `imm` may be a constant.
    let mode = match inst.op {
        Op::FNearest => 8,
        Op::FFloor => 9,
        Op::FCeil => 10,
        _ => 11,
    };
    let aux = Aux::sized(float_size(inst.ty)).with_kind(mode);
    let op = if inst.op == Op::FSqrt { MOp::FSqrt } else { MOp::FRound };
    cx.op_rhs(op, aux, &[def_reg(def)], source);
}

/// The canonical NaN if `source` is a NaN, else `source`.
pub(in crate::x64) fn canon(cx: &mut Lower<'_>, def: VReg, source: VReg, ty: Type) {
    let aux = Aux::sized(float_size(ty));
    let features = cx.env.target.features;
    if features.has(Features::AVX) {
        let aux = aux.with_kind(u32::from(features.has(Features::AVX512DQ)));
        // Reading the constant again and again takes up what loops that load floats are short of.
        match cx.canonical(ty) {
            Some(nan) => {
                cx.op(MOp::FCanon3, aux, 0, &[def_reg(def), use_reg(source), use_any(nan)]);
            }
            None => cx.op(MOp::FCanon3, aux, 0, &[def_reg(def), use_reg(source)]),
        }
    } else {
        cx.op(MOp::FCanon, aux, 0, &[def_tied(def), use_reg(source)]);
    }
}

/// Makes the canonical NaNs that loops keep in registers, at the function's entry.
pub(in crate::x64) fn canonical(cx: &mut Lower<'_>) {
    for (ty, bits) in [(Type::F32, 0x7fc0_0000), (Type::F64, 0x7ff8 << 48)] {
        if let Some(vreg) = cx.wanted_canonical(ty) {
            cx.mov(vreg, MovKind::V128, Rhs::Mem(mask(bits)));
        }
    }
}

pub(super) fn truncate(cx: &mut Lower<'_>, index: u32, inst: &Inst) {
    let def = cx.result(index);
    let from = cx.func.value_type(inst.va());
    let source = cx.get(inst.va());
    let mut kind = 0;
    if matches!(inst.op, Op::TruncS | Op::TruncSatS) {
        kind |= TRUNC_SIGNED;
    }
    if inst.ty == Type::I64 {
        kind |= TRUNC_64;
    }
    if matches!(inst.op, Op::TruncSatS | Op::TruncSatU) {
        kind |= TRUNC_SAT;
    }
    let aux = Aux::sized(float_size(from)).with_kind(kind);
    cx.op(MOp::Trunc, aux, 0, &[def_reg(def), use_reg(source)]);
}

pub(super) fn convert(cx: &mut Lower<'_>, index: u32, inst: &Inst) {
    let def = cx.result(index);
    let from = cx.func.value_type(inst.va());
    let aux = Aux::sized(float_size(inst.ty));
    if inst.op == Op::ConvertS {
        let source = match cx.sink(inst.va(), from) {
            Some(amode) => Rhs::Mem(amode),
            None => Rhs::Reg(cx.operand(inst.va(), from)),
        };
        return cx.op_rhs(MOp::CvtInt, aux.with_kind(int_size(from)), &[def_reg(def)], source);
    }
    let source = cx.get(inst.va());
    if from == Type::I32 {
        // Zero-extended in its register, it is a non-negative 64-bit integer.
        cx.widen(source);
        cx.op(MOp::CvtInt, aux.with_kind(3), 0, &[def_reg(def), use_reg(source)]);
    } else {
        cx.op(MOp::CvtU64, aux, 0, &[def_reg(def), use_reg(source)]);
    }
}

pub(super) fn resize(cx: &mut Lower<'_>, index: u32, inst: &Inst) {
    let def = cx.result(index);
    let (op, from) =
        if inst.op == Op::Demote { (MOp::Demote, Type::F64) } else { (MOp::Promote, Type::F32) };
    let source = match cx.sink(inst.va(), from) {
        Some(amode) => Rhs::Mem(amode),
        None => Rhs::Reg(cx.get(inst.va())),
    };
    cx.op_rhs(op, Aux::default(), &[def_reg(def)], source);
}

pub(super) fn bitcast(cx: &mut Lower<'_>, index: u32, inst: &Inst) {
    let def = cx.result(index);
    let from = cx.func.value_type(inst.va());
    if let Some(amode) = cx.sink(inst.va(), from) {
        return cx.mov(def, mov_kind(inst.ty), Rhs::Mem(amode));
    }
    let source =
        if cx.is_loose(inst.va()) { cx.get_exact(inst.va()) } else { cx.operand(inst.va(), from) };
    match (from.is_float_class(), inst.ty.is_float_class()) {
        (true, false) => {
            let aux = Aux::sized(float_size(from));
            cx.op(MOp::MovFromF, aux, 0, &[def_reg(def), use_reg(source)]);
        }
        (false, true) => {
            let aux = Aux::sized(float_size(inst.ty));
            cx.op(MOp::MovToF, aux, 0, &[def_reg(def), use_reg(source)]);
        }
        _ => cx.mov(def, mov_kind(inst.ty), Rhs::Reg(source)),
    }
}
