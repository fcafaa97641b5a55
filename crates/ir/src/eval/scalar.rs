//! What pure operations compute: the one definition.
//!
//! Constant folding and the evaluator both read it. Values are bits, zero-extended to 64. Arithmetic
//! that gives a NaN gives the positive canonical one (WebAssembly's deterministic profile).

use crate::Op;
use runwell_abi::{TrapCode, Type};

/// `bits` cut to the width of `ty`.
fn truncate(ty: Type, bits: u64) -> u64 {
    if ty.bytes() == 4 { bits & 0xffff_ffff } else { bits }
}

/// `bits` of type `ty` as a signed number.
pub fn signed(ty: Type, bits: u64) -> i64 {
    if ty == Type::I32 { i64::from(bits as u32 as i32) } else { bits as i64 }
}

fn f32_bits(value: f32) -> u64 {
    u64::from(if value.is_nan() { 0x7fc0_0000 } else { value.to_bits() })
}

fn f64_bits(value: f64) -> u64 {
    if value.is_nan() { 0x7ff8 << 48 } else { value.to_bits() }
}

fn f32_of(bits: u64) -> f32 {
    f32::from_bits(bits as u32)
}

fn f64_of(bits: u64) -> f64 {
    f64::from_bits(bits)
}

/// A float of either width as a double, which loses nothing.
fn wide(from: Type, bits: u64) -> f64 {
    if from == Type::F32 { f64::from(f32_of(bits)) } else { f64_of(bits) }
}

fn truncate_float(ty: Type, signed: bool, value: f64) -> Result<u64, TrapCode> {
    if value.is_nan() {
        return Err(TrapCode::BadConversionToInteger);
    }
    let value = value.trunc();
    // Bounds are powers of two, so they are exact; the upper ones are exclusive.
    let (low, high) = match (ty, signed) {
        (Type::I32, true) => (-2f64.powi(31), 2f64.powi(31)),
        (Type::I32, false) => (0.0, 2f64.powi(32)),
        (_, true) => (-2f64.powi(63), 2f64.powi(63)),
        (_, false) => (0.0, 2f64.powi(64)),
    };
    if value < low || value >= high {
        return Err(TrapCode::IntegerOverflow);
    }
    Ok(truncate(ty, if signed { value as i64 as u64 } else { value as u64 }))
}

fn saturate_float(ty: Type, signed: bool, value: f64) -> u64 {
    match (ty, signed) {
        (Type::I32, true) => u64::from(value as i32 as u32),
        (Type::I32, false) => u64::from(value as u32),
        (_, true) => value as i64 as u64,
        (_, false) => value as u64,
    }
}

/// The result of a unary operation with controlling type `ty` on `a`, which has type `from`.
///
/// # Errors
/// When it traps.
///
/// # Panics
/// When the operation is not a pure unary one.
pub fn unary(op: Op, ty: Type, from: Type, a: u64) -> Result<u64, TrapCode> {
    let narrow = ty.bytes() == 4;
    let sign = 1u64 << (ty.bytes() * 8 - 1);
    let float = |f32_op: fn(f32) -> f32, f64_op: fn(f64) -> f64| {
        if narrow { f32_bits(f32_op(f32_of(a))) } else { f64_bits(f64_op(f64_of(a))) }
    };
    Ok(match op {
        Op::Clz if narrow => u64::from((a as u32).leading_zeros()),
        Op::Clz => u64::from(a.leading_zeros()),
        Op::Ctz if narrow => u64::from((a as u32).trailing_zeros()),
        Op::Ctz => u64::from(a.trailing_zeros()),
        Op::Popcnt => u64::from(a.count_ones()),
        Op::Extend8S => truncate(ty, i64::from(a as i8) as u64),
        Op::Extend16S => truncate(ty, i64::from(a as i16) as u64),
        Op::Extend32S | Op::ExtendS => i64::from(a as i32) as u64,
        Op::ExtendU | Op::Wrap => a & 0xffff_ffff,
        Op::Eqz => u64::from(a == 0),
        Op::Bitcast | Op::Copy => a,
        Op::FNeg => a ^ sign,
        Op::FAbs => a & !sign,
        Op::FSqrt => float(f32::sqrt, f64::sqrt),
        Op::FCeil => float(f32::ceil, f64::ceil),
        Op::FFloor => float(f32::floor, f64::floor),
        Op::FTrunc => float(f32::trunc, f64::trunc),
        Op::FNearest => float(f32::round_ties_even, f64::round_ties_even),
        Op::TruncS => truncate_float(ty, true, wide(from, a))?,
        Op::TruncU => truncate_float(ty, false, wide(from, a))?,
        Op::TruncSatS => saturate_float(ty, true, wide(from, a)),
        Op::TruncSatU => saturate_float(ty, false, wide(from, a)),
        Op::ConvertS if narrow => f32_bits(signed(from, a) as f32),
        Op::ConvertS => f64_bits(signed(from, a) as f64),
        Op::ConvertU if narrow => f32_bits(a as f32),
        Op::ConvertU => f64_bits(a as f64),
        Op::Demote => f32_bits(f64_of(a) as f32),
        Op::Promote => f64_bits(f64::from(f32_of(a))),
        _ => panic!("{} is no pure unary operation", op.info().name),
    })
}

fn minimum(a: f64, b: f64) -> f64 {
    if a.is_nan() || b.is_nan() {
        f64::NAN
    } else if a == b {
        if a.is_sign_negative() { a } else { b }
    } else if a < b {
        a
    } else {
        b
    }
}

fn maximum(a: f64, b: f64) -> f64 {
    -minimum(-a, -b)
}

fn float_binary(op: Op, narrow: bool, a: u64, b: u64) -> u64 {
    if narrow {
        let (x, y) = (f32_of(a), f32_of(b));
        return match op {
            Op::FAdd => f32_bits(x + y),
            Op::FSub => f32_bits(x - y),
            Op::FMul => f32_bits(x * y),
            Op::FDiv => f32_bits(x / y),
            Op::FMin => f32_bits(minimum(x.into(), y.into()) as f32),
            Op::FMax => f32_bits(maximum(x.into(), y.into()) as f32),
            Op::FEq => u64::from(x == y),
            Op::FNe => u64::from(x != y),
            Op::FLt => u64::from(x < y),
            Op::FGt => u64::from(x > y),
            Op::FLe => u64::from(x <= y),
            _ => u64::from(x >= y),
        };
    }
    let (x, y) = (f64_of(a), f64_of(b));
    match op {
        Op::FAdd => f64_bits(x + y),
        Op::FSub => f64_bits(x - y),
        Op::FMul => f64_bits(x * y),
        Op::FDiv => f64_bits(x / y),
        Op::FMin => f64_bits(minimum(x, y)),
        Op::FMax => f64_bits(maximum(x, y)),
        Op::FEq => u64::from(x == y),
        Op::FNe => u64::from(x != y),
        Op::FLt => u64::from(x < y),
        Op::FGt => u64::from(x > y),
        Op::FLe => u64::from(x <= y),
        _ => u64::from(x >= y),
    }
}

/// The result of a binary operation with controlling type `ty`.
///
/// # Errors
/// When it traps.
///
/// # Panics
/// When the operation is not a pure binary one.
pub fn binary(op: Op, ty: Type, a: u64, b: u64) -> Result<u64, TrapCode> {
    let width = ty.bytes() * 8;
    let narrow = ty.bytes() == 4;
    if op == Op::FCopysign {
        let sign = 1u64 << (width - 1);
        return Ok(a & !sign | b & sign);
    }
    if ty.is_float() {
        return Ok(float_binary(op, narrow, a, b));
    }
    let (sa, sb) = (signed(ty, a), signed(ty, b));
    let count = b as u32 & (width - 1);
    if matches!(op, Op::DivS | Op::DivU | Op::RemS | Op::RemU) && b == 0 {
        return Err(TrapCode::IntegerDivisionByZero);
    }
    let bits = match op {
        Op::Add => a.wrapping_add(b),
        Op::Sub => a.wrapping_sub(b),
        Op::Mul => a.wrapping_mul(b),
        Op::MulHiS if narrow => (sa.wrapping_mul(sb) >> 32) as u64,
        Op::MulHiS => ((i128::from(sa) * i128::from(sb)) >> 64) as u64,
        Op::MulHiU if narrow => (a * b) >> 32,
        Op::MulHiU => ((u128::from(a) * u128::from(b)) >> 64) as u64,
        Op::DivS if sb == -1 && a == 1 << (width - 1) => return Err(TrapCode::IntegerOverflow),
        Op::DivS => sa.wrapping_div(sb) as u64,
        Op::RemS => sa.wrapping_rem(sb) as u64,
        Op::DivU => a / b,
        Op::RemU => a % b,
        Op::And => a & b,
        Op::Or => a | b,
        Op::Xor => a ^ b,
        Op::Shl => a << count,
        Op::ShrS => (sa >> count) as u64,
        Op::ShrU => a >> count,
        Op::Rotl if narrow => u64::from((a as u32).rotate_left(count)),
        Op::Rotl => a.rotate_left(count),
        Op::Rotr if narrow => u64::from((a as u32).rotate_right(count)),
        Op::Rotr => a.rotate_right(count),
        Op::Eq => u64::from(a == b),
        Op::Ne => u64::from(a != b),
        Op::LtS => u64::from(sa < sb),
        Op::LtU => u64::from(a < b),
        Op::GtS => u64::from(sa > sb),
        Op::GtU => u64::from(a > b),
        Op::LeS => u64::from(sa <= sb),
        Op::LeU => u64::from(a <= b),
        Op::GeS => u64::from(sa >= sb),
        Op::GeU => u64::from(a >= b),
        _ => panic!("{} is no pure binary operation", op.info().name),
    };
    Ok(truncate(ty, bits))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn corners() {
        use TrapCode::*;
        let (i32, f32, f64) = (Type::I32, Type::F32, Type::F64);
        assert_eq!(binary(Op::DivS, i32, 0x8000_0000, 0xffff_ffff), Err(IntegerOverflow));
        assert_eq!(binary(Op::RemS, i32, 0x8000_0000, 0xffff_ffff), Ok(0));
        assert_eq!(binary(Op::DivU, i32, 7, 0), Err(IntegerDivisionByZero));
        assert_eq!(binary(Op::ShrS, i32, 0x8000_0000, 31), Ok(0xffff_ffff));
        assert_eq!(binary(Op::FMin, f32, 0, 0x8000_0000), Ok(0x8000_0000));
        assert_eq!(binary(Op::FMax, f32, 0x8000_0000, 0), Ok(0));
        assert_eq!(binary(Op::FDiv, f64, 0, 0), Ok(0x7ff8 << 48));
        let trunc = |v: f64| unary(Op::TruncS, i32, f64, v.to_bits());
        assert_eq!(trunc(-2147483648.9), Ok(0x8000_0000));
        assert_eq!(trunc(2147483648.0), Err(IntegerOverflow));
        assert_eq!(trunc(f64::NAN), Err(BadConversionToInteger));
        assert_eq!(unary(Op::TruncU, i32, f64, (-0.9f64).to_bits()), Ok(0));
        assert_eq!(unary(Op::TruncSatU, i32, f64, (-5.0f64).to_bits()), Ok(0));
        assert_eq!(unary(Op::ConvertU, f32, Type::I64, u64::MAX), Ok(0x5f80_0000));
    }
}
