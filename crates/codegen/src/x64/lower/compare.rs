//! Comparisons: into flags, for branches, conditional moves, traps and bits in registers.

use super::{Rhs, def_reg, def_tied, float, float_size, int_size, use_any, use_reg};
use crate::lower::Lower;
use crate::x64::inst::{Aux, MOp, Src, cc};
use runwell_ir::{Inst, Op, Type, Value};

/// How many negations and "is not zero" are looked through.
const CHAIN: usize = 4;

/// Emits what sets the flags for "`value`, an `I32`, is not zero" and returns the condition.
///
/// Everything else that the consumer needs has to be in registers already: constants may destroy
/// flags.
pub(super) fn condition(cx: &mut Lower<'_>, value: Value) -> u32 {
    let mut value = value;
    let mut flip = 0;
    for _ in 0..CHAIN {
        let Some((index, inst)) = cx.nearby(value) else { break };
        if inst.op.is_int_compare() || inst.op.is_float_compare() {
            cx.repeat(index);
        }
        match inst.op {
            Op::Eqz if inst.ty == Type::I32 => {
                flip ^= 1;
                value = inst.va();
            }
            Op::Eq if inst.ty == Type::I32 && cx.const_bits(inst.vb()) == Some(0) => {
                flip ^= 1;
                value = inst.va();
            }
            Op::Ne if inst.ty == Type::I32 && cx.const_bits(inst.vb()) == Some(0) => {
                value = inst.va();
            }
            op if op.is_int_compare() || op.is_float_compare() => {
                return compare(cx, &inst) ^ flip;
            }
            _ => break,
        }
    }
    zero_test(cx, Type::I32, value, cc::NE) ^ flip
}

/// Emits what sets the flags for a comparison and returns the condition.
pub(super) fn compare(cx: &mut Lower<'_>, inst: &Inst) -> u32 {
    let (a, b, ty) = (inst.va(), inst.vb(), inst.ty);
    let code = match inst.op {
        Op::Eqz => return negated(cx, ty, a),
        Op::Eq => cc::E,
        Op::Ne => cc::NE,
        Op::LtS => cc::L,
        Op::LtU => cc::B,
        Op::GtS => cc::G,
        Op::GtU => cc::A,
        Op::LeS => cc::LE,
        Op::LeU => cc::BE,
        Op::GeS => cc::GE,
        Op::GeU => cc::AE,
        // The unordered outcome sets carry and zero, so "above" and "above or equal" exclude it.
        Op::FEq => return float_flags(cx, a, b, ty, cc::FEQ),
        Op::FNe => return float_flags(cx, a, b, ty, cc::FNE),
        Op::FGt => return float_flags(cx, a, b, ty, cc::A),
        Op::FGe => return float_flags(cx, a, b, ty, cc::AE),
        Op::FLt => return float_flags(cx, b, a, ty, cc::A),
        _ => return float_flags(cx, b, a, ty, cc::AE),
    };
    int_flags(cx, ty, a, b, code)
}

/// Flags for "`value` is zero"; a chain of negations of `I32`s is followed.
fn negated(cx: &mut Lower<'_>, ty: Type, value: Value) -> u32 {
    if ty == Type::I32 { condition(cx, value) ^ 1 } else { zero_test(cx, ty, value, cc::E) }
}

fn float_flags(cx: &mut Lower<'_>, a: Value, b: Value, ty: Type, code: u32) -> u32 {
    let rhs = float::rhs(cx, b, ty);
    let left = cx.get(a);
    cx.op_rhs(MOp::FCmp, Aux::sized(float_size(ty)), &[use_reg(left)], rhs);
    code
}

/// Flags of `a - b`, or an equivalent, for the condition `code`.
fn int_flags(cx: &mut Lower<'_>, ty: Type, a: Value, b: Value, code: u32) -> u32 {
    let (mut a, mut b, mut code) = (a, b, code);
    if a.is_const() && !b.is_const() {
        (a, b) = (b, a);
        code = cc::swap(code);
    }
    let aux = Aux::sized(int_size(ty));
    if let Some(imm) = cx.imm32(b, ty) {
        if (0..=255).contains(&imm)
            && let Some(amode) = cx.sink_byte(a)
        {
            // Both sides are below 256, so the signed conditions are the unsigned ones.
            let code = match code {
                cc::L => cc::B,
                cc::G => cc::A,
                cc::LE => cc::BE,
                cc::GE => cc::AE,
                other => other,
            };
            cx.op_mem(MOp::CmpMem, Aux::sized(0).from(Src::Imm), imm, &amode, &[]);
            return code;
        }
        if imm == 0 && matches!(code, cc::E | cc::NE) {
            return zero_test(cx, ty, a, code);
        }
        if let Some(amode) = cx.sink(a, ty) {
            cx.op_mem(MOp::CmpMem, aux.from(Src::Imm), imm, &amode, &[]);
            return code;
        }
        let left = cx.operand(a, ty);
        if imm == 0 && matches!(code, cc::L | cc::GE) {
            let aux = aux.from(Src::Reg);
            cx.op(MOp::Test, aux, 0, &[use_reg(left), use_reg(left)]);
            return if code == cc::L { cc::S } else { cc::NS };
        }
        if imm == 0 && matches!(code, cc::G | cc::LE) {
            cx.op(MOp::Test, aux.from(Src::Reg), 0, &[use_reg(left), use_reg(left)]);
            return code;
        }
        cx.op(MOp::Cmp, aux.from(Src::Imm), imm, &[use_any(left)]);
        return code;
    }
    if let Some(amode) = cx.sink(b, ty) {
        let left = cx.operand(a, ty);
        cx.op_mem(MOp::Cmp, aux.from(Src::Mem), 0, &amode, &[use_reg(left)]);
        return code;
    }
    if let Some(amode) = cx.sink(a, ty) {
        let right = cx.operand(b, ty);
        cx.op_mem(MOp::CmpMem, aux.from(Src::Reg), 0, &amode, &[use_reg(right)]);
        return code;
    }
    let (left, right) = (cx.operand(a, ty), cx.operand(b, ty));
    cx.op(MOp::Cmp, aux.from(Src::Reg), 0, &[use_reg(left), use_any(right)]);
    code
}

/// Flags for `value == 0` (`code` E) or `value != 0` (NE).
fn zero_test(cx: &mut Lower<'_>, ty: Type, value: Value, code: u32) -> u32 {
    let aux = Aux::sized(int_size(ty));
    if let Some((_, inst)) = cx.single(value)
        && inst.op == Op::And
    {
        return and_test(cx, ty, &inst, code);
    }
    if let Some(amode) = cx.sink(value, ty) {
        cx.op_mem(MOp::CmpMem, aux.from(Src::Imm), 0, &amode, &[]);
        return code;
    }
    if let Some(amode) = cx.sink_byte(value) {
        cx.op_mem(MOp::CmpMem, Aux::sized(0).from(Src::Imm), 0, &amode, &[]);
        return code;
    }
    let left = cx.operand(value, ty);
    let aux = aux.from(Src::Reg).with_zero_only(1);
    cx.op(MOp::Test, aux, 0, &[use_reg(left), use_reg(left)]);
    code
}

/// Flags for `(a & b) == 0` or `!= 0`.
fn and_test(cx: &mut Lower<'_>, ty: Type, and: &Inst, code: u32) -> u32 {
    let (mut a, mut b) = (and.va(), and.vb());
    if a.is_const() {
        (a, b) = (b, a);
    }
    let aux = Aux::sized(int_size(ty));
    // The bit is in the carry flag: "below" if it is one.
    let bit_code = if code == cc::NE { cc::B } else { cc::AE };
    for (x, y) in [(a, b), (b, a)] {
        // x & (1 << n)
        if let Some((_, shl)) = cx.single(y)
            && shl.op == Op::Shl
            && cx.const_bits(shl.va()) == Some(1)
            && shl.vb().is_inst()
        {
            let (bits, number) = (cx.operand(x, ty), cx.operand(shl.vb(), ty));
            cx.op(MOp::Bt, aux.from(Src::Reg), 0, &[use_reg(bits), use_reg(number)]);
            return bit_code;
        }
    }
    if cx.const_bits(b) == Some(1)
        && let Some((_, shr)) = cx.single(a)
        && matches!(shr.op, Op::ShrU | Op::ShrS)
    {
        // (x >> n) & 1
        let bits = cx.operand(shr.va(), ty);
        match cx.const_bits(shr.vb()) {
            Some(count) => {
                let width = if ty == Type::I32 { 32 } else { 64 };
                let count = (count % width) as i32;
                if count < 31 {
                    let aux = Aux::sized(2).from(Src::Imm);
                    cx.op(MOp::Test, aux, 1 << count, &[use_reg(bits)]);
                    return code;
                }
                cx.op(MOp::Bt, aux.from(Src::Imm), count, &[use_reg(bits)]);
            }
            None => {
                let number = cx.operand(shr.vb(), ty);
                cx.op(MOp::Bt, aux.from(Src::Reg), 0, &[use_reg(bits), use_reg(number)]);
            }
        }
        return bit_code;
    }
    if let Some(mask) = cx.const_bits(b) {
        if (0..=255).contains(&mask)
            && let Some(amode) = cx.sink_byte(a)
        {
            let aux = Aux::sized(0).from(Src::Imm);
            cx.op_mem(MOp::TestMem, aux, mask as i32, &amode, &[]);
            return code;
        }
        if ty == Type::I64 && mask.is_power_of_two() && mask > 1 << 30 {
            let bits = cx.operand(a, ty);
            let number = mask.trailing_zeros() as i32;
            cx.op(MOp::Bt, aux.from(Src::Imm), number, &[use_reg(bits)]);
            return bit_code;
        }
    }
    if let Some(imm) = cx.imm32(b, ty) {
        if let Some(amode) = cx.sink(a, ty) {
            cx.op_mem(MOp::TestMem, aux.from(Src::Imm), imm, &amode, &[]);
            return code;
        }
        let bits = cx.operand(a, ty);
        // A mask without sign bit says the same of the low half alone.
        let aux = if imm >= 0 { Aux::sized(2) } else { aux };
        cx.op(MOp::Test, aux.from(Src::Imm), imm, &[use_reg(bits)]);
        return code;
    }
    let (left, right) = (cx.operand(a, ty), cx.operand(b, ty));
    cx.op(MOp::Test, aux.from(Src::Reg), 0, &[use_reg(left), use_reg(right)]);
    code
}

pub(super) fn select(cx: &mut Lower<'_>, index: u32, inst: &Inst) {
    let def = cx.result(index);
    let (ty, mut then, mut other) = (inst.ty, inst.vb(), inst.vc());
    if ty.is_float_class() {
        let (a, b) = if cx.is_loose(Value::inst(index as usize)) {
            (cx.get(then), cx.get(other))
        } else {
            (cx.get_exact(then), cx.get_exact(other))
        };
        let code = condition(cx, inst.va());
        let aux = Aux::sized(float_size(ty)).with_cc(code);
        return cx.op(MOp::FSelect, aux, 0, &[def_tied(def), use_reg(a), use_reg(b)]);
    }
    if ty.is_int() {
        // A condition as number.
        match (cx.const_bits(then), cx.const_bits(other)) {
            (Some(1), Some(0)) => {
                let code = condition(cx, inst.va());
                return cx.op(MOp::SetCc, Aux::default().with_cc(code), 0, &[def_reg(def)]);
            }
            (Some(0), Some(1)) => {
                let code = cc::invert(condition(cx, inst.va()));
                return cx.op(MOp::SetCc, Aux::default().with_cc(code), 0, &[def_reg(def)]);
            }
            _ => {}
        }
    }
    // The move overwrites the register of the value for "no": better one that dies.
    let swapped = !cx.dies(other) && cx.dies(then);
    if swapped {
        (then, other) = (other, then);
    }
    let (mut a, mut b) = (cx.get(then), cx.get(other));
    let mut code = condition(cx, inst.va());
    if swapped {
        code = cc::invert(code);
    }
    if code == cc::FEQ {
        // Two moves say "either flag", not "both".
        (a, b) = (b, a);
        code = cc::FNE;
    }
    let aux = Aux::sized(int_size(ty)).with_cc(code);
    cx.op_rhs(MOp::Cmov, aux, &[def_tied(def), use_reg(b)], Rhs::Reg(a));
}
