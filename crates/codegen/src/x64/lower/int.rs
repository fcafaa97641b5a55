//! Integer arithmetic.

use super::{
    RAX, RCX, RDX, Rhs, def_fixed, def_reg, def_tied, int_size, use_any, use_fixed, use_reg,
};
use crate::lower::Lower;
use crate::vcode::{Constraint, Operand, VReg};
use crate::x64::inst::{AluKind, Amode, Aux, Base, BitKind, MOp, MovKind, ShiftKind};
use runwell_abi::Features;
use runwell_ir::{Inst, Op, Type, Value};

/// `def = a kind b` in a's register.
fn alu(cx: &mut Lower<'_>, kind: AluKind, ty: Type, def: VReg, a: Value, b: Value) {
    let rhs = cx.rhs(b, ty);
    let left = cx.operand(a, ty);
    let aux = Aux::sized(int_size(ty)).with_kind(kind as u32);
    cx.op_rhs(MOp::Alu, aux, &[def_tied(def), use_reg(left)], rhs);
}

/// Orders the operands of a commutative operation: constants and loads to the right; otherwise the
/// one that dies to the left, where the result takes its place.
pub(super) fn commute(cx: &Lower<'_>, ty: Type, a: Value, b: Value) -> (Value, Value) {
    if a.is_const() {
        return (b, a);
    }
    if b.is_const() || cx.can_sink(b, ty) {
        return (a, b);
    }
    if cx.can_sink(a, ty) || (!cx.dies(a) && cx.dies(b)) {
        return (b, a);
    }
    (a, b)
}

/// A value as base, index and displacement of a `lea`.
struct Sum {
    base: Option<VReg>,
    index: Option<(VReg, u8)>,
    disp: i32,
}

/// `x << k` with k up to 3, used once: the operand and k.
fn scaled(cx: &Lower<'_>, value: Value) -> Option<(Value, u8)> {
    let (_, inst) = cx.single(value)?;
    let count = cx.const_bits(inst.vb())?;
    (inst.op == Op::Shl && count <= 3 && inst.va().is_inst()).then(|| (inst.va(), count as u8))
}

/// Finds a sum of three things, or of one scaled, that one `lea` replaces.
fn lea_sum(cx: &mut Lower<'_>, inst: &Inst) -> Option<Sum> {
    let ty = inst.ty;
    let (mut a, mut b) = (inst.va(), inst.vb());
    if a.is_const() || scaled(cx, a).is_some() {
        (a, b) = (b, a);
    }
    if let Some(disp) = cx.imm32(b, ty) {
        // (x + y) + c, (x + (y << k)) + c, (x << k) + c
        let (_, inner) = cx.single(a)?;
        if inner.op == Op::Add && inner.va().is_inst() && inner.vb().is_inst() {
            let (mut x, mut y) = (inner.va(), inner.vb());
            if scaled(cx, x).is_some() {
                (x, y) = (y, x);
            }
            let (y, scale) = scaled(cx, y).unwrap_or((y, 0));
            let (base, index) = (cx.operand(x, ty), cx.operand(y, ty));
            return Some(Sum { base: Some(base), index: Some((index, scale)), disp });
        }
        return None;
    }
    let (y, scale) = scaled(cx, b)?;
    if a.is_const() {
        return None;
    }
    // a is x + c or just x
    let mut disp = 0;
    if let Some((_, inner)) = cx.single(a)
        && inner.op == Op::Add
        && inner.va().is_inst()
        && let Some(c) = cx.imm32(inner.vb(), ty)
    {
        a = inner.va();
        disp = c;
    }
    let (base, index) = (cx.operand(a, ty), cx.operand(y, ty));
    Some(Sum { base: Some(base), index: Some((index, scale)), disp })
}

/// `def = address`, computed in the width of `ty`.
fn lea(cx: &mut Lower<'_>, ty: Type, def: VReg, sum: &Sum) {
    let base = sum.base.map_or(Base::None, Base::Reg);
    let amode = Amode { base, index: sum.index, disp: sum.disp, traps: false, low: 0 };
    cx.op_mem(MOp::Lea, Aux::sized(int_size(ty)), 0, &amode, &[def_reg(def)]);
}

pub(super) fn add(cx: &mut Lower<'_>, index: u32, inst: &Inst) {
    let def = cx.result(index);
    if let Some(sum) = lea_sum(cx, inst) {
        return lea(cx, inst.ty, def, &sum);
    }
    let (a, b) = commute(cx, inst.ty, inst.va(), inst.vb());
    add_values(cx, inst.ty, def, a, b);
}

/// `def = a + b`: in a's register if its value is not needed any more, else anywhere.
fn add_values(cx: &mut Lower<'_>, ty: Type, def: VReg, a: Value, b: Value) {
    if cx.dies(a) || cx.can_sink(b, ty) {
        return alu(cx, AluKind::Add, ty, def, a, b);
    }
    let aux = Aux::sized(int_size(ty));
    match cx.imm32(b, ty) {
        Some(imm) => add_imm(cx, ty, def, a, imm),
        None => {
            let (left, right) = (cx.operand(a, ty), cx.operand(b, ty));
            cx.op(MOp::Add3, aux, 0, &[def_reg(def), use_reg(left), use_reg(right)]);
        }
    }
}

/// `def = a + imm`.
fn add_imm(cx: &mut Lower<'_>, ty: Type, def: VReg, a: Value, imm: i32) {
    let dies = cx.dies(a);
    let left = cx.operand(a, ty);
    let aux = Aux::sized(int_size(ty));
    if dies {
        let aux = aux.with_kind(AluKind::Add as u32);
        cx.op_rhs(MOp::Alu, aux, &[def_tied(def), use_reg(left)], Rhs::Imm(imm));
    } else {
        cx.op_rhs(MOp::Add3, aux, &[def_reg(def), use_reg(left)], Rhs::Imm(imm));
    }
}

pub(super) fn sub(cx: &mut Lower<'_>, index: u32, inst: &Inst) {
    let def = cx.result(index);
    let (ty, a, b) = (inst.ty, inst.va(), inst.vb());
    if let Some(imm) = cx.imm32(b, ty).and_then(i32::checked_neg)
        && a.is_inst()
    {
        return add_imm(cx, ty, def, a, imm);
    }
    if cx.const_bits(a) == Some(0) {
        let source = cx.operand(b, ty);
        cx.op(MOp::Neg, Aux::sized(int_size(ty)), 0, &[def_tied(def), use_reg(source)]);
        return;
    }
    alu(cx, AluKind::Sub, ty, def, a, b);
}

pub(super) fn and(cx: &mut Lower<'_>, index: u32, inst: &Inst) {
    let def = cx.result(index);
    let ty = inst.ty;
    let (a, b) = commute(cx, ty, inst.va(), inst.vb());
    if let Some(mask) = cx.const_bits(b)
        && a.is_inst()
    {
        let kind = match mask {
            0xff => Some(MovKind::U8),
            0xffff => Some(MovKind::U16),
            0xffff_ffff => Some(MovKind::L),
            _ => None,
        };
        // A mask below 2^32 clears the upper half, as every 32-bit operation does.
        let source = if mask <= 0xffff_ffff { cx.low_half(a, ty) } else { cx.operand(a, ty) };
        if let Some(kind) = kind {
            return cx.mov(def, kind, Rhs::Reg(source));
        }
        if mask <= 0xffff_ffff {
            let aux = Aux::sized(2).with_kind(AluKind::And as u32);
            let rhs = Rhs::Imm(mask as u32 as i32);
            return cx.op_rhs(MOp::Alu, aux, &[def_tied(def), use_reg(source)], rhs);
        }
    }
    alu(cx, AluKind::And, ty, def, a, b);
}

pub(super) fn or_xor(cx: &mut Lower<'_>, index: u32, inst: &Inst) {
    let def = cx.result(index);
    let ty = inst.ty;
    let (a, b) = commute(cx, ty, inst.va(), inst.vb());
    let kind = if inst.op == Op::Or { AluKind::Or } else { AluKind::Xor };
    if inst.op == Op::Xor && cx.imm32(b, ty) == Some(-1) {
        let source = cx.operand(a, ty);
        cx.op(MOp::Not, Aux::sized(int_size(ty)), 0, &[def_tied(def), use_reg(source)]);
        return;
    }
    alu(cx, kind, ty, def, a, b);
}

pub(super) fn mul(cx: &mut Lower<'_>, index: u32, inst: &Inst) {
    let def = cx.result(index);
    let ty = inst.ty;
    let (a, b) = commute(cx, ty, inst.va(), inst.vb());
    let aux = Aux::sized(int_size(ty));
    if let Some(imm) = cx.imm32(b, ty) {
        return mul_imm(cx, ty, def, a, imm);
    }
    let rhs = cx.rhs(b, ty);
    let left = cx.operand(a, ty);
    cx.op_rhs(MOp::Imul, aux, &[def_tied(def), use_reg(left)], rhs);
}

/// `def = a * imm`.
pub(super) fn mul_imm(cx: &mut Lower<'_>, ty: Type, def: VReg, a: Value, imm: i32) {
    let aux = Aux::sized(int_size(ty));
    if matches!(imm, 3 | 5 | 9) {
        let scale = (imm as u32 - 1).trailing_zeros() as u8;
        let source = cx.operand(a, ty);
        return lea(
            cx,
            ty,
            def,
            &Sum { base: Some(source), index: Some((source, scale)), disp: 0 },
        );
    }
    let source = cx.operand(a, ty);
    let power = imm as u32;
    if imm > 0 && power.is_power_of_two() {
        let aux = aux.with_kind(ShiftKind::Shl as u32);
        let count = Rhs::Imm(power.trailing_zeros() as i32);
        return cx.op_rhs(MOp::Shift, aux, &[def_tied(def), use_reg(source)], count);
    }
    cx.op(MOp::ImulImm, aux, imm, &[def_reg(def), use_any(source)]);
}

pub(super) fn mul_high(cx: &mut Lower<'_>, index: u32, inst: &Inst) {
    let def = cx.result(index);
    let (a, b) = (cx.operand(inst.va(), inst.ty), cx.operand(inst.vb(), inst.ty));
    mul_wide(cx, inst.ty, inst.op == Op::MulHiS, def, a, b);
}

/// `def` = high half of `a * b`.
pub(super) fn mul_wide(cx: &mut Lower<'_>, ty: Type, signed: bool, def: VReg, a: VReg, b: VReg) {
    let low = cx.temp(ty);
    let aux = Aux::sized(int_size(ty)).with_kind(u32::from(signed));
    let operands = [def_fixed(low, RAX), def_fixed(def, RDX), use_fixed(a, RAX)];
    cx.op_rhs(MOp::MulWide, aux, &operands, Rhs::Reg(b));
}

pub(super) fn shift(cx: &mut Lower<'_>, index: u32, inst: &Inst) {
    let def = cx.result(index);
    let ty = inst.ty;
    let kind = match inst.op {
        Op::Shl => ShiftKind::Shl,
        Op::ShrS => ShiftKind::Sar,
        Op::ShrU => ShiftKind::Shr,
        Op::Rotl => ShiftKind::Rol,
        _ => ShiftKind::Ror,
    };
    let aux = Aux::sized(int_size(ty)).with_kind(kind as u32);
    let bmi2 = cx.env.target.features.has(Features::BMI2);
    if let Some(count) = cx.const_bits(inst.vb()) {
        let mask = if ty == Type::I32 { 31 } else { 63 };
        let count = (count & mask) as u32;
        shift_imm(cx, ty, def, inst.va(), kind, count);
        return;
    }
    if let Some(home) = cx.left_home(inst.va(), ty) {
        let count = shift_count(cx, inst.vb(), ty);
        let count = Operand::used_late(count, Constraint::Fixed(RCX));
        cx.op_mem(MOp::Shift, aux.with_left(1), 0, &home, &[def_reg(def), count]);
        return;
    }
    let source = cx.operand(inst.va(), ty);
    // The hardware takes the count modulo the width, too.
    let count = shift_count(cx, inst.vb(), ty);
    if bmi2 && matches!(kind, ShiftKind::Shl | ShiftKind::Shr | ShiftKind::Sar) {
        cx.op(MOp::Shift3, aux, 0, &[def_reg(def), use_any(source), use_reg(count)]);
    } else {
        cx.op(MOp::Shift, aux, 0, &[def_tied(def), use_reg(source), use_fixed(count, RCX)]);
    }
}

/// A register with the count in its low bits; a mask that the hardware applies anyway is left out.
fn shift_count(cx: &mut Lower<'_>, count: Value, ty: Type) -> VReg {
    let mask = if ty == Type::I32 { 31 } else { 63 };
    if let Some((_, inst)) = cx.nearby(count)
        && inst.op == Op::And
        && inst.va().is_inst()
        && cx.const_bits(inst.vb()).is_some_and(|m| m & mask == mask)
    {
        return cx.operand(inst.va(), ty);
    }
    cx.operand(count, ty)
}

/// `def = a kind count`.
pub(super) fn shift_imm(
    cx: &mut Lower<'_>,
    ty: Type,
    def: VReg,
    a: Value,
    kind: ShiftKind,
    count: u32,
) {
    let dies = cx.dies(a);
    let source = cx.operand(a, ty);
    shift_reg_imm(cx, ty, def, source, kind, count, dies);
}

/// `def = source kind count`.
pub(super) fn shift_reg_imm(
    cx: &mut Lower<'_>,
    ty: Type,
    def: VReg,
    source: VReg,
    kind: ShiftKind,
    count: u32,
    dies: bool,
) {
    let aux = Aux::sized(int_size(ty)).with_kind(kind as u32);
    let bmi2 = cx.env.target.features.has(Features::BMI2);
    if !dies && bmi2 && matches!(kind, ShiftKind::Rol | ShiftKind::Ror) {
        let width = if ty == Type::I32 { 32 } else { 64 };
        let right = if kind == ShiftKind::Ror { count } else { (width - count) & (width - 1) };
        cx.op(MOp::Rorx, aux, right as i32, &[def_reg(def), use_any(source)]);
        return;
    }
    if !dies && kind == ShiftKind::Shl && (1..=3).contains(&count) {
        let sum = Sum { base: None, index: Some((source, count as u8)), disp: 0 };
        // Shorter than a copy and a shift only with the register as its own base.
        if count == 1 {
            return lea(
                cx,
                ty,
                def,
                &Sum { base: Some(source), index: Some((source, 0)), disp: 0 },
            );
        }
        return lea(cx, ty, def, &sum);
    }
    let rhs = Rhs::Imm(count as i32);
    cx.op_rhs(MOp::Shift, aux, &[def_tied(def), use_reg(source)], rhs);
}

pub(super) fn bits(cx: &mut Lower<'_>, index: u32, inst: &Inst) {
    let def = cx.result(index);
    let features = cx.env.target.features;
    let kind = match inst.op {
        Op::Clz if features.has(Features::LZCNT) => BitKind::Lzcnt,
        Op::Clz => BitKind::Bsr,
        Op::Ctz if features.has(Features::BMI1) => BitKind::Tzcnt,
        Op::Ctz => BitKind::Bsf,
        _ => BitKind::Popcnt,
    };
    let rhs = match cx.sink(inst.va(), inst.ty) {
        Some(amode) => Rhs::Mem(amode),
        None => Rhs::Reg(cx.operand(inst.va(), inst.ty)),
    };
    let aux = Aux::sized(int_size(inst.ty)).with_kind(kind as u32);
    cx.op_rhs(MOp::Bits, aux, &[def_reg(def)], rhs);
}

pub(super) fn extend(cx: &mut Lower<'_>, index: u32, inst: &Inst) {
    let def = cx.result(index);
    let wide = inst.ty == Type::I64;
    let kind = match inst.op {
        Op::Extend8S if wide => MovKind::S8Q,
        Op::Extend8S => MovKind::S8,
        Op::Extend16S if wide => MovKind::S16Q,
        Op::Extend16S => MovKind::S16,
        Op::Extend32S | Op::ExtendS => MovKind::S32Q,
        _ => MovKind::L,
    };
    let source = inst.va();
    let load = match inst.op {
        Op::ExtendS => cx.sink(source, Type::I32),
        Op::Extend8S => cx.sink_narrow(source, 1),
        Op::Extend16S => cx.sink_narrow(source, 2),
        Op::Extend32S => cx.sink_narrow(source, 4),
        _ => None,
    };
    let rhs = match load {
        Some(amode) => Rhs::Mem(amode),
        None if inst.op == Op::ExtendS || inst.op == Op::ExtendU => Rhs::Reg(cx.low32(source)),
        None => Rhs::Reg(cx.operand(source, inst.ty)),
    };
    cx.mov(def, kind, rhs);
}

impl Lower<'_> {
    /// A register whose low half is that of `value`; extensions are looked through.
    fn low_half(&mut self, value: Value, ty: Type) -> VReg {
        if ty == Type::I64
            && let Some(inst) = self.func.def(value)
            && inst.op == Op::ExtendS
            && inst.va().is_inst()
            && self.wanted(value.index() as u32).is_none()
        {
            return self.low32(inst.va());
        }
        self.operand(value, ty)
    }
}
