//! Constant folding, bit-exact, by the evaluator's own definition ([`runwell_ir::eval::scalar`]).
//!
//! Float arithmetic is not folded: its result could depend on the rounding mode of the thread that
//! compiles, and what a producer's optimiser left over is not worth a soft implementation.

use runwell_ir::eval::scalar;
pub(crate) use runwell_ir::eval::scalar::signed;
use runwell_ir::{Op, Type};

/// The result of a unary operation on a constant, if it can be known. `from` is the operand's type.
pub(crate) fn unary(op: Op, ty: Type, from: Type, a: u64) -> Option<u64> {
    let exact = match op {
        Op::Clz | Op::Ctz | Op::Popcnt | Op::Eqz => true,
        Op::Extend8S | Op::Extend16S | Op::Extend32S => true,
        Op::ExtendS | Op::ExtendU | Op::Wrap | Op::Bitcast | Op::FNeg | Op::FAbs => true,
        // Every i32 is an f64.
        Op::ConvertS | Op::ConvertU => ty == Type::F64 && from == Type::I32,
        _ => false,
    };
    if exact { scalar::unary(op, ty, from, a).ok() } else { None }
}

/// The result of a binary operation on constants of type `ty`, if it can be known and does not trap.
pub(crate) fn binary(op: Op, ty: Type, a: u64, b: u64) -> Option<u64> {
    if ty.is_int() || op == Op::FCopysign { scalar::binary(op, ty, a, b).ok() } else { None }
}
