//! Algebraic rules, applied to an operation before it is emitted.
//!
//! A rule answers with an existing value or with another operation on existing values. Rules are
//! monotonic: they never make more instructions and operands only move towards definitions, so that
//! applying them again ends; [`RETRIES`] bounds it all the same. None changes a float's bits.

use crate::fold::{self, signed};
use runwell_ir::{Function, Inst, Op, Type, Value};

/// How often a rewritten operation is rewritten again.
pub(crate) const RETRIES: usize = 4;

/// What a rule makes of an operation.
pub(crate) enum Step {
    /// Nothing: emit it as it is.
    Keep,
    /// An existing value.
    Value(Value),
    /// A constant of this type.
    Const(Type, u64),
    /// Another unary operation.
    Unary(Op, Type, Value),
    /// Another binary operation.
    Binary(Op, Type, Value, Value),
    /// A binary operation with a constant on the right.
    BinaryConst(Op, Type, Value, u64),
    /// Another select.
    Select(Type, Value, Value, Value),
}

/// The bits of a constant.
fn bits(func: &Function, value: Value) -> Option<u64> {
    func.as_const(value).map(|constant| constant.bits as u64)
}

fn def(func: &Function, value: Value) -> Option<Inst> {
    func.def(value).copied()
}

/// The comparison that is true exactly where `op` is false.
fn invert(op: Op) -> Option<Op> {
    Some(match op {
        Op::Eq => Op::Ne,
        Op::Ne => Op::Eq,
        Op::LtS => Op::GeS,
        Op::LtU => Op::GeU,
        Op::GtS => Op::LeS,
        Op::GtU => Op::LeU,
        Op::LeS => Op::GtS,
        Op::LeU => Op::GtU,
        Op::GeS => Op::LtS,
        Op::GeU => Op::LtU,
        Op::FEq => Op::FNe,
        Op::FNe => Op::FEq,
        _ => return None,
    })
}

/// The comparison with its operands exchanged.
fn swap(op: Op) -> Option<Op> {
    Some(match op {
        Op::LtS => Op::GtS,
        Op::LtU => Op::GtU,
        Op::GtS => Op::LtS,
        Op::GtU => Op::LtU,
        Op::LeS => Op::GeS,
        Op::LeU => Op::GeU,
        Op::GeS => Op::LeS,
        Op::GeU => Op::LeU,
        _ => return None,
    })
}

fn is_compare(op: Op) -> bool {
    op.is_int_compare() || op.is_float_compare()
}

/// Bits that may be set in `value`.
fn possible_bits(func: &Function, value: Value) -> u64 {
    if let Some(bits) = bits(func, value) {
        return bits;
    }
    let Some(inst) = func.def(value) else { return u64::MAX };
    match inst.op {
        op if is_compare(op) => 1,
        Op::Load8U => 0xff,
        Op::Load16U => 0xffff,
        Op::Load32U | Op::ExtendU => 0xffff_ffff,
        Op::And => bits(func, inst.vb()).unwrap_or(u64::MAX),
        Op::ShrU => match bits(func, inst.vb()) {
            Some(count) if inst.ty == Type::I32 => 0xffff_ffff >> (count & 31),
            Some(count) => u64::MAX >> (count & 63),
            None => u64::MAX,
        },
        _ if inst.result_type() == Some(Type::I32) => 0xffff_ffff,
        _ => u64::MAX,
    }
}

/// The rule for a unary operation.
pub(crate) fn unary(func: &Function, op: Op, ty: Type, a: Value) -> Step {
    if let Some(constant) = func.as_const(a) {
        if constant.ty == Type::V128 {
            return Step::Keep;
        }
        let result = if op == Op::Eqz { Type::I32 } else { ty };
        return match fold::unary(op, ty, constant.ty, constant.bits as u64) {
            Some(bits) => Step::Const(result, bits),
            None => Step::Keep,
        };
    }
    let Some(inner) = def(func, a) else { return Step::Keep };
    match (op, inner.op) {
        (Op::Eqz, Op::Eqz) if inner.ty == Type::I32 || inner.ty == Type::I64 => {
            Step::BinaryConst(Op::Ne, inner.ty, inner.va(), 0)
        }
        (Op::Eqz, compare) if is_compare(compare) => match invert(compare) {
            Some(inverse) => Step::Binary(inverse, inner.ty, inner.va(), inner.vb()),
            None => Step::Keep,
        },
        (Op::Wrap, Op::ExtendS | Op::ExtendU) => Step::Value(inner.va()),
        (Op::Wrap, Op::Extend32S) => Step::Unary(Op::Wrap, ty, inner.va()),
        (Op::Wrap, Op::And) if bits(func, inner.vb()).is_some_and(|m| m as u32 == u32::MAX) => {
            Step::Unary(Op::Wrap, ty, inner.va())
        }
        (Op::ExtendS, _) if possible_bits(func, a) <= 0x7fff_ffff => {
            Step::Unary(Op::ExtendU, ty, a)
        }
        (Op::Extend8S, Op::Extend8S | Op::Load8S) if inner.ty == ty => Step::Value(a),
        (Op::Extend16S, Op::Extend8S | Op::Load8S | Op::Extend16S | Op::Load16S)
            if inner.ty == ty =>
        {
            Step::Value(a)
        }
        (Op::Extend32S, Op::ExtendS | Op::Extend32S | Op::Load32S) => Step::Value(a),
        (Op::Extend32S, Op::ExtendU) => Step::Unary(Op::ExtendS, ty, inner.va()),
        (Op::Extend8S, Op::And) if bits(func, inner.vb()).is_some_and(|m| m & 0xff == 0xff) => {
            Step::Unary(op, ty, inner.va())
        }
        (Op::Extend16S, Op::And)
            if bits(func, inner.vb()).is_some_and(|m| m & 0xffff == 0xffff) =>
        {
            Step::Unary(op, ty, inner.va())
        }
        (Op::FNeg, Op::FNeg) => Step::Value(inner.va()),
        (Op::FAbs, Op::FAbs) => Step::Value(a),
        (Op::FAbs, Op::FNeg) => Step::Unary(Op::FAbs, ty, inner.va()),
        (Op::Bitcast, Op::Bitcast) if func.value_type(inner.va()) == ty => Step::Value(inner.va()),
        _ => Step::Keep,
    }
}

/// The rule for a binary operation.
pub(crate) fn binary(func: &Function, op: Op, ty: Type, a: Value, b: Value) -> Step {
    let result = if is_compare(op) { Type::I32 } else { ty };
    match (bits(func, a), bits(func, b)) {
        (Some(x), Some(y)) => match fold::binary(op, ty, x, y) {
            Some(bits) => Step::Const(result, bits),
            None => Step::Keep,
        },
        (Some(_), None) if op.info().commutative => Step::Binary(op, ty, b, a),
        (Some(x), None) => match swap(op) {
            Some(swapped) => Step::Binary(swapped, ty, b, a),
            None => constant_left(op, ty, x),
        },
        (None, Some(y)) if ty.is_int() => constant_right(func, op, ty, a, y),
        _ => both_unknown(func, op, ty, a, b),
    }
}

/// A constant on the left of an operation whose operands cannot change places.
fn constant_left(op: Op, ty: Type, x: u64) -> Step {
    match op {
        Op::Shl | Op::ShrS | Op::ShrU | Op::Rotl | Op::Rotr if x == 0 => Step::Const(ty, 0),
        _ => Step::Keep,
    }
}

fn both_unknown(func: &Function, op: Op, ty: Type, a: Value, b: Value) -> Step {
    if a == b && !ty.is_float() {
        match op {
            Op::Sub | Op::Xor => return Step::Const(ty, 0),
            Op::And | Op::Or => return Step::Value(a),
            Op::Eq | Op::LeS | Op::LeU | Op::GeS | Op::GeU => return Step::Const(Type::I32, 1),
            Op::Ne | Op::LtS | Op::LtU | Op::GtS | Op::GtU => return Step::Const(Type::I32, 0),
            _ => {}
        }
    }
    // A count that is masked as the operation masks it anyway.
    if matches!(op, Op::Shl | Op::ShrS | Op::ShrU | Op::Rotl | Op::Rotr)
        && let Some(count) = def(func, b)
        && count.op == Op::And
        && let Some(mask) = bits(func, count.vb())
        && mask & u64::from(ty.bytes() * 8 - 1) == u64::from(ty.bytes() * 8 - 1)
    {
        return Step::Binary(op, ty, a, count.va());
    }
    Step::Keep
}

/// An integer operation with the constant `y` on the right.
fn constant_right(func: &Function, op: Op, ty: Type, a: Value, y: u64) -> Step {
    let width = u64::from(ty.bytes() * 8);
    let ones = if ty == Type::I32 { 0xffff_ffff } else { u64::MAX };
    let inner = def(func, a);
    // The inner operation of the same kind with a constant on its right.
    let same = |want: Op| {
        let inner = inner.filter(|inner| inner.op == want)?;
        Some((inner.va(), bits(func, inner.vb())?))
    };
    match op {
        Op::Add => match same(Op::Add) {
            _ if y == 0 => Step::Value(a),
            Some((x, c)) => Step::BinaryConst(Op::Add, ty, x, c.wrapping_add(y) & ones),
            None => Step::Keep,
        },
        Op::Sub if y == 0 => Step::Value(a),
        Op::Sub => Step::BinaryConst(Op::Add, ty, a, y.wrapping_neg() & ones),
        Op::Mul => match y {
            0 => Step::Const(ty, 0),
            1 => Step::Value(a),
            _ if y.is_power_of_two() => {
                Step::BinaryConst(Op::Shl, ty, a, u64::from(y.trailing_zeros()))
            }
            _ => Step::Keep,
        },
        Op::DivS | Op::DivU if y == 1 => Step::Value(a),
        Op::RemS | Op::RemU if y == 1 => Step::Const(ty, 0),
        Op::DivU if y.is_power_of_two() => {
            Step::BinaryConst(Op::ShrU, ty, a, u64::from(y.trailing_zeros()))
        }
        Op::RemU if y.is_power_of_two() => Step::BinaryConst(Op::And, ty, a, y - 1),
        Op::And => match same(Op::And) {
            _ if y == 0 => Step::Const(ty, 0),
            _ if possible_bits(func, a) & !y & ones == 0 => Step::Value(a),
            Some((x, c)) => Step::BinaryConst(Op::And, ty, x, c & y),
            None => Step::Keep,
        },
        Op::Or => match same(Op::Or) {
            _ if y == 0 => Step::Value(a),
            _ if y == ones => Step::Const(ty, ones),
            Some((x, c)) => Step::BinaryConst(Op::Or, ty, x, c | y),
            None => Step::Keep,
        },
        Op::Xor => match same(Op::Xor) {
            _ if y == 0 => Step::Value(a),
            Some((x, c)) => Step::BinaryConst(Op::Xor, ty, x, c ^ y),
            None => Step::Keep,
        },
        Op::Shl | Op::ShrS | Op::ShrU => {
            let count = y & (width - 1);
            match same(op) {
                _ if count == 0 => Step::Value(a),
                Some((x, c)) if (c & (width - 1)) + count < width => {
                    Step::BinaryConst(op, ty, x, (c & (width - 1)) + count)
                }
                _ => Step::Keep,
            }
        }
        Op::Rotl | Op::Rotr if y & (width - 1) == 0 => Step::Value(a),
        _ if op.is_int_compare() => compare_right(func, op, ty, a, y),
        _ => Step::Keep,
    }
}

/// An integer comparison with the constant `y`.
fn compare_right(func: &Function, op: Op, ty: Type, a: Value, y: u64) -> Step {
    let flag = |condition: bool| Step::Const(Type::I32, u64::from(condition));
    let possible = possible_bits(func, a);
    let truth = func.def(a).is_some_and(|inner| is_compare(inner.op)) && ty == Type::I32;
    match op {
        Op::Eq if y == 0 => Step::Unary(Op::Eqz, ty, a),
        Op::Eq if truth && y == 1 => Step::Value(a),
        Op::Ne if truth && y == 0 => Step::Value(a),
        Op::Ne if truth && y == 1 => Step::Unary(Op::Eqz, ty, a),
        Op::Eq if y & !possible != 0 => flag(false),
        Op::Ne if y & !possible != 0 => flag(true),
        Op::LtU if y == 0 => flag(false),
        Op::GeU if y == 0 => flag(true),
        Op::LtU if y == 1 => Step::Unary(Op::Eqz, ty, a),
        Op::GtU if y == 0 => Step::BinaryConst(Op::Ne, ty, a, 0),
        Op::LeU if y == 0 => Step::Unary(Op::Eqz, ty, a),
        Op::GeU if y == 1 => Step::BinaryConst(Op::Ne, ty, a, 0),
        Op::GtU if possible <= y => flag(false),
        Op::LeU if possible <= y => flag(true),
        // The sign bit is known to be clear.
        Op::LtS if y == 0 && signed(ty, possible) >= 0 => flag(false),
        Op::GeS if y == 0 && signed(ty, possible) >= 0 => flag(true),
        _ => Step::Keep,
    }
}

/// The rule for a select.
pub(crate) fn select(func: &Function, ty: Type, cond: Value, a: Value, b: Value) -> Step {
    if let Some(cond) = bits(func, cond) {
        return Step::Value(if cond as u32 != 0 { a } else { b });
    }
    if a == b {
        return Step::Value(a);
    }
    let Some(inner) = def(func, cond) else { return Step::Keep };
    match inner.op {
        Op::Eqz if inner.ty == Type::I32 => Step::Select(ty, inner.va(), b, a),
        Op::Ne if inner.ty == Type::I32 && bits(func, inner.vb()) == Some(0) => {
            Step::Select(ty, inner.va(), a, b)
        }
        op if is_compare(op)
            && ty == Type::I32
            && bits(func, a) == Some(1)
            && bits(func, b) == Some(0) =>
        {
            Step::Value(cond)
        }
        op if is_compare(op)
            && ty == Type::I32
            && bits(func, a) == Some(0)
            && bits(func, b) == Some(1) =>
        {
            Step::Unary(Op::Eqz, Type::I32, cond)
        }
        _ => Step::Keep,
    }
}
