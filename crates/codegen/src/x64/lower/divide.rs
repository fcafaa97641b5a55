//! Division and remainder, by a variable and by a constant without a division.
//!
//! By a constant: powers of two are shifts, others a multiplication by a scaled reciprocal (Granlund
//! and Montgomery 1994; Warren, "Hacker's Delight", chapter 10). 32-bit dividends use a 64-bit
//! product, so that only 64-bit ones need the high half of a wide multiplication.

use super::int::{mul_wide, shift_reg_imm};
use super::{
    RAX, RDX, Rhs, def_fixed, def_reg, def_tied, int_size, use_any, use_fixed, use_late, use_reg,
};
use crate::lower::Lower;
use crate::vcode::VReg;
use crate::x64::inst::{
    AluKind, Amode, Aux, Base, DIV_OVERFLOW, DIV_REM, DIV_SIGNED, DIV_ZERO, MOp, MovKind, ShiftKind,
};
use runwell_ir::{Inst, Op, Type};

pub(super) fn divide(cx: &mut Lower<'_>, index: u32, inst: &Inst) {
    let signed = matches!(inst.op, Op::DivS | Op::RemS);
    let remainder = matches!(inst.op, Op::RemS | Op::RemU);
    let ty = inst.ty;
    if let Some(bits) = cx.const_bits(inst.vb()) {
        let divisor = if ty == Type::I64 {
            bits as i64
        } else if signed {
            i64::from(bits as u32 as i32)
        } else {
            i64::from(bits as u32)
        };
        if divisor != 0 && !(signed && divisor == -1) {
            let def = cx.result(index);
            let x = cx.get(inst.va());
            return by_constant(cx, ty, def, x, divisor, signed, remainder);
        }
    }
    let def = cx.result(index);
    let other = cx.temp(ty);
    let mut kind = DIV_ZERO;
    if signed {
        kind |= DIV_SIGNED | DIV_OVERFLOW;
    }
    if remainder {
        kind |= DIV_REM;
    }
    let (quotient, rest) = if remainder { (other, def) } else { (def, other) };
    let aux = Aux::sized(int_size(ty)).with_kind(kind);
    if let Some(home) = cx.left_home(inst.va(), ty) {
        let b = cx.operand(inst.vb(), ty);
        let operands = [def_fixed(quotient, RAX), def_fixed(rest, RDX), use_late(b)];
        return cx.op_mem(MOp::Div, aux.with_left(1), 0, &home, &operands);
    }
    let (a, b) = (cx.operand(inst.va(), ty), cx.operand(inst.vb(), ty));
    let operands = [def_fixed(quotient, RAX), def_fixed(rest, RDX), use_fixed(a, RAX), use_late(b)];
    cx.op(MOp::Div, aux, 0, &operands);
}

/// `def = x / divisor` or the remainder; neither zero nor, if signed, -1.
fn by_constant(
    cx: &mut Lower<'_>,
    ty: Type,
    def: VReg,
    x: VReg,
    divisor: i64,
    signed: bool,
    remainder: bool,
) {
    let magnitude = if signed { divisor.unsigned_abs() } else { divisor as u64 };
    if magnitude.is_power_of_two() {
        let shift = magnitude.trailing_zeros();
        if signed {
            return signed_power(cx, ty, def, x, divisor, shift, remainder);
        }
        if remainder {
            return mask(cx, ty, def, x, magnitude - 1);
        }
        return shift_by(cx, ty, def, x, ShiftKind::Shr, shift);
    }
    let quotient = if remainder { cx.temp(ty) } else { def };
    match (ty == Type::I32, signed) {
        (true, false) => unsigned32(cx, quotient, x, magnitude as u32),
        (true, true) => signed32(cx, quotient, x, divisor as i32),
        (false, false) => unsigned64(cx, quotient, x, magnitude),
        (false, true) => signed64(cx, quotient, x, divisor),
    }
    if remainder {
        // x - quotient * divisor
        let product = cx.temp(ty);
        let aux = Aux::sized(int_size(ty));
        match i32::try_from(divisor) {
            Ok(imm) => cx.op(MOp::ImulImm, aux, imm, &[def_reg(product), use_any(quotient)]),
            Err(_) if ty == Type::I32 => {
                let imm = divisor as u32 as i32;
                cx.op(MOp::ImulImm, aux, imm, &[def_reg(product), use_any(quotient)]);
            }
            Err(_) => {
                let factor = cx.imm64(ty, divisor as u64);
                let operands = [def_tied(product), use_reg(quotient)];
                cx.op_rhs(MOp::Imul, aux, &operands, Rhs::Reg(factor));
            }
        }
        alu(cx, ty, AluKind::Sub, def, x, Rhs::Reg(product));
    }
}

fn alu(cx: &mut Lower<'_>, ty: Type, kind: AluKind, def: VReg, a: VReg, b: Rhs) {
    let aux = Aux::sized(int_size(ty)).with_kind(kind as u32);
    cx.op_rhs(MOp::Alu, aux, &[def_tied(def), use_reg(a)], b);
}

fn shift_by(cx: &mut Lower<'_>, ty: Type, def: VReg, a: VReg, kind: ShiftKind, count: u32) {
    shift_reg_imm(cx, ty, def, a, kind, count, true);
}

fn shifted(cx: &mut Lower<'_>, ty: Type, a: VReg, kind: ShiftKind, count: u32) -> VReg {
    if count == 0 {
        return a;
    }
    let temp = cx.temp(ty);
    shift_by(cx, ty, temp, a, kind, count);
    temp
}

/// `def = x & bits`.
fn mask(cx: &mut Lower<'_>, ty: Type, def: VReg, x: VReg, bits: u64) {
    let bits_i = bits as i64;
    match i32::try_from(bits_i) {
        Ok(imm) => alu(cx, ty, AluKind::And, def, x, Rhs::Imm(imm)),
        Err(_) if ty == Type::I32 => {
            alu(cx, ty, AluKind::And, def, x, Rhs::Imm(bits as u32 as i32));
        }
        Err(_) => {
            let constant = cx.imm64(ty, bits);
            alu(cx, ty, AluKind::And, def, x, Rhs::Reg(constant));
        }
    }
}

/// By plus or minus 2^shift: adds 2^shift - 1 to a negative dividend, so that the shift rounds
/// towards zero.
fn signed_power(
    cx: &mut Lower<'_>,
    ty: Type,
    def: VReg,
    x: VReg,
    divisor: i64,
    shift: u32,
    remainder: bool,
) {
    let width = if ty == Type::I32 { 32 } else { 64 };
    if shift == 0 {
        // By 1; by -1 does not come here.
        if remainder {
            let zero = cx.imm64(ty, 0);
            return cx.mov(def, MovKind::Q, Rhs::Reg(zero));
        }
        let kind = if ty == Type::I32 { MovKind::L } else { MovKind::Q };
        return cx.mov(def, kind, Rhs::Reg(x));
    }
    let sign = if shift == 1 { x } else { shifted(cx, ty, x, ShiftKind::Sar, width - 1) };
    let bias = shifted(cx, ty, sign, ShiftKind::Shr, width - shift);
    let biased = cx.temp(ty);
    alu(cx, ty, AluKind::Add, biased, x, Rhs::Reg(bias));
    if remainder {
        // x - (biased with the low bits cleared)
        let multiple = cx.temp(ty);
        let low = if shift == 63 { i64::MAX as u64 } else { (1u64 << shift) - 1 };
        mask(cx, ty, multiple, biased, !low & if width == 32 { 0xffff_ffff } else { u64::MAX });
        return alu(cx, ty, AluKind::Sub, def, x, Rhs::Reg(multiple));
    }
    if divisor < 0 {
        let quotient = shifted(cx, ty, biased, ShiftKind::Sar, shift);
        let aux = Aux::sized(int_size(ty));
        return cx.op(MOp::Neg, aux, 0, &[def_tied(def), use_reg(quotient)]);
    }
    shift_by(cx, ty, def, biased, ShiftKind::Sar, shift);
}

/// `def = x / d`, d not a power of two.
fn unsigned32(cx: &mut Lower<'_>, def: VReg, x: VReg, d: u32) {
    // An I32 is zero-extended in its register; in a spill slot it has to be, too.
    cx.widen(x);
    let wide = x;
    // The smallest m = ceil(2^(32+s) / d) that is exact for all 32-bit dividends.
    let s = 31 - d.leading_zeros();
    let power = 1u64 << (32 + s);
    let m = power / u64::from(d) + 1;
    let excess = m * u64::from(d) - power;
    if excess <= 1 << s {
        let product = multiply(cx, wide, m);
        return shift_to(cx, def, product, ShiftKind::Shr, 32 + s);
    }
    if d.is_multiple_of(2) {
        // The dividend halved has 31 bits, for which a reciprocal of 32 bits is exact.
        let zeros = d.trailing_zeros();
        let half = shifted(cx, Type::I64, wide, ShiftKind::Shr, zeros);
        let odd = d >> zeros;
        let s = 31 - odd.leading_zeros();
        let power = 1u64 << (32 + s);
        let m = power / u64::from(odd) + 1;
        let excess = m * u64::from(odd) - power;
        if excess <= 1 << (s + zeros) {
            let product = multiply(cx, half, m);
            return shift_to(cx, def, product, ShiftKind::Shr, 32 + s);
        }
    }
    // floor(x * ceil(2^64 / d) / 2^64): the error, below x * d / 2^64 of a d-th, never counts.
    let reciprocal = cx.imm64(Type::I64, u64::MAX / u64::from(d) + 1);
    mul_wide(cx, Type::I64, false, def, wide, reciprocal);
}

/// A 64-bit product with a constant.
fn multiply(cx: &mut Lower<'_>, x: VReg, m: u64) -> VReg {
    let product = cx.temp(Type::I64);
    match i32::try_from(m as i64) {
        Ok(imm) => cx.op(MOp::ImulImm, Aux::sized(3), imm, &[def_reg(product), use_any(x)]),
        Err(_) => {
            let factor = cx.imm64(Type::I64, m);
            let operands = [def_tied(product), use_reg(factor)];
            cx.op_rhs(MOp::Imul, Aux::sized(3), &operands, Rhs::Reg(x));
        }
    }
    product
}

/// `def = a kind count` on 64 bits.
fn shift_to(cx: &mut Lower<'_>, def: VReg, a: VReg, kind: ShiftKind, count: u32) {
    shift_by(cx, Type::I64, def, a, kind, count);
}

/// The reciprocal and its shift for signed division by `d` in `width` bits: m = ceil(2^p / d) for
/// the smaller p that is exact for all dividends.
fn signed_reciprocal(d: u64, width: u32) -> (u128, u32) {
    let bits = 63 - d.leading_zeros();
    let reciprocal = |p: u32| (1u128 << p) / u128::from(d) + 1;
    let p = width + bits - 1;
    let m = reciprocal(p);
    // The error of m, at most d, times the largest dividend has to stay below 2^p.
    let excess = m.wrapping_mul(u128::from(d)).wrapping_sub(1u128 << p);
    if excess <= 1 << bits { (m, p) } else { (reciprocal(p + 1), p + 1) }
}

fn signed32(cx: &mut Lower<'_>, def: VReg, x: VReg, d: i32) {
    let wide = cx.temp(Type::I64);
    cx.mov(wide, MovKind::S32Q, Rhs::Reg(x));
    let (m, p) = signed_reciprocal(u64::from(d.unsigned_abs()), 32);
    let product = multiply(cx, wide, m as u64);
    let floor = shifted(cx, Type::I64, product, ShiftKind::Sar, p);
    round_up(cx, Type::I32, def, floor, x, d < 0);
}

/// `def` = floor + 1 if x is negative, that is, rounded towards zero; negated if `negate`.
fn round_up(cx: &mut Lower<'_>, ty: Type, def: VReg, floor: VReg, x: VReg, negate: bool) {
    let width = if ty == Type::I32 { 32 } else { 64 };
    if negate {
        // sign - floor, where the sign is 0 or -1
        let sign = shifted(cx, ty, x, ShiftKind::Sar, width - 1);
        return alu(cx, ty, AluKind::Sub, def, sign, Rhs::Reg(floor));
    }
    let sign = shifted(cx, ty, x, ShiftKind::Shr, width - 1);
    alu(cx, ty, AluKind::Add, def, floor, Rhs::Reg(sign));
}

fn signed64(cx: &mut Lower<'_>, def: VReg, x: VReg, d: i64) {
    let (m, p) = signed_reciprocal(d.unsigned_abs(), 64);
    // m has 64 bits; as a signed factor it is m - 2^64, made up for by adding x.
    let reciprocal = cx.imm64(Type::I64, m as u64);
    let mut high = cx.temp(Type::I64);
    mul_wide(cx, Type::I64, true, high, reciprocal, x);
    if m >> 63 != 0 {
        let sum = cx.temp(Type::I64);
        alu(cx, Type::I64, AluKind::Add, sum, high, Rhs::Reg(x));
        high = sum;
    }
    let floor = shifted(cx, Type::I64, high, ShiftKind::Sar, p - 64);
    round_up(cx, Type::I64, def, floor, x, d < 0);
}

fn unsigned64(cx: &mut Lower<'_>, def: VReg, x: VReg, d: u64) {
    let s = 63 - d.leading_zeros();
    let power = 1u128 << (64 + s);
    let m = power / u128::from(d) + 1;
    let excess = m * u128::from(d) - power;
    if excess <= 1 << s {
        let reciprocal = cx.imm64(Type::I64, m as u64);
        let high = cx.temp(Type::I64);
        mul_wide(cx, Type::I64, false, high, reciprocal, x);
        return shift_by(cx, Type::I64, def, high, ShiftKind::Shr, s);
    }
    if d.is_multiple_of(2) {
        let zeros = d.trailing_zeros();
        let odd = d >> zeros;
        let s = 63 - odd.leading_zeros();
        let power = 1u128 << (64 + s);
        let m = power / u128::from(odd) + 1;
        let excess = m * u128::from(odd) - power;
        if excess <= 1 << (s + zeros) {
            let half = shifted(cx, Type::I64, x, ShiftKind::Shr, zeros);
            let reciprocal = cx.imm64(Type::I64, m as u64);
            let high = cx.temp(Type::I64);
            mul_wide(cx, Type::I64, false, high, reciprocal, half);
            return shift_by(cx, Type::I64, def, high, ShiftKind::Shr, s);
        }
    }
    // A reciprocal of 65 bits: q = (((x - h) >> 1) + h) >> s with h = x * (m - 2^64) >> 64.
    // As d does not divide it, 2^(65+s), which may have 129 bits, can be counted from one below.
    let m = (power - 1 + power) / u128::from(d) + 1;
    let reciprocal = cx.imm64(Type::I64, m as u64);
    let high = cx.temp(Type::I64);
    mul_wide(cx, Type::I64, false, high, reciprocal, x);
    let rest = cx.temp(Type::I64);
    alu(cx, Type::I64, AluKind::Sub, rest, x, Rhs::Reg(high));
    let half = shifted(cx, Type::I64, rest, ShiftKind::Shr, 1);
    let sum = cx.temp(Type::I64);
    let amode =
        Amode { base: Base::Reg(half), index: Some((high, 0)), disp: 0, traps: false, low: 0 };
    cx.op_mem(MOp::Lea, Aux::sized(3), 0, &amode, &[def_reg(sum)]);
    shift_by(cx, Type::I64, def, sum, ShiftKind::Shr, s);
}
