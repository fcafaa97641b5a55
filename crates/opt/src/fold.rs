//! Constant folding, bit-exact.
//!
//! Integer operations, comparisons and bit operations on floats are folded. Float arithmetic is not:
//! its result could depend on the rounding mode of the thread that compiles, and what a producer's
//! optimiser left over is not worth a soft implementation.

use runwell_ir::{Op, Type};

/// The bits of `bits` that a value of type `ty` has.
fn truncate(ty: Type, bits: u64) -> u64 {
    if ty.bytes() == 4 { bits & 0xffff_ffff } else { bits }
}

/// `bits` of type `ty` as a signed number.
pub(crate) fn signed(ty: Type, bits: u64) -> i64 {
    if ty == Type::I32 { i64::from(bits as u32 as i32) } else { bits as i64 }
}

/// The result of a unary operation on a constant, if it can be known. `from` is the operand's type.
pub(crate) fn unary(op: Op, ty: Type, from: Type, a: u64) -> Option<u64> {
    let width = ty.bytes() * 8;
    let sign = 1u64 << (width - 1);
    let bits = match op {
        Op::Clz if ty == Type::I32 => u64::from((a as u32).leading_zeros()),
        Op::Clz => u64::from(a.leading_zeros()),
        Op::Ctz if ty == Type::I32 => u64::from((a as u32).trailing_zeros()),
        Op::Ctz => u64::from(a.trailing_zeros()),
        Op::Popcnt => u64::from(a.count_ones()),
        Op::Extend8S => i64::from(a as i8) as u64,
        Op::Extend16S => i64::from(a as i16) as u64,
        Op::Extend32S | Op::ExtendS => i64::from(a as i32) as u64,
        Op::ExtendU | Op::Wrap => a & 0xffff_ffff,
        Op::Eqz => return Some(u64::from(a == 0)),
        Op::Bitcast => a,
        Op::FNeg => a ^ sign,
        Op::FAbs => a & !sign,
        // Every i32 is a f64.
        Op::ConvertS if ty == Type::F64 && from == Type::I32 => f64::from(a as i32).to_bits(),
        Op::ConvertU if ty == Type::F64 && from == Type::I32 => f64::from(a as u32).to_bits(),
        _ => return None,
    };
    Some(truncate(ty, bits))
}

/// The result of a binary operation on constants of type `ty`, if it can be known and does not trap.
pub(crate) fn binary(op: Op, ty: Type, a: u64, b: u64) -> Option<u64> {
    if ty == Type::F32 || ty == Type::F64 {
        let sign = 1u64 << (ty.bytes() * 8 - 1);
        return (op == Op::FCopysign).then_some(a & !sign | b & sign);
    }
    let (sa, sb) = (signed(ty, a), signed(ty, b));
    let width = ty.bytes() * 8;
    let count = b as u32 & (width - 1);
    let flag = |condition: bool| Some(u64::from(condition));
    let narrow = ty == Type::I32;
    let bits = match op {
        Op::Add => a.wrapping_add(b),
        Op::Sub => a.wrapping_sub(b),
        Op::Mul => a.wrapping_mul(b),
        Op::MulHiS if narrow => (sa.wrapping_mul(sb) >> 32) as u64,
        Op::MulHiS => ((i128::from(sa) * i128::from(sb)) >> 64) as u64,
        Op::MulHiU if narrow => (a * b) >> 32,
        Op::MulHiU => ((u128::from(a) * u128::from(b)) >> 64) as u64,
        Op::DivS if b != 0 => {
            let overflows = sb == -1 && a == 1 << (width - 1);
            if overflows {
                return None;
            }
            sa.wrapping_div(sb) as u64
        }
        Op::RemS if b != 0 => sa.wrapping_rem(sb) as u64,
        Op::DivU if b != 0 => a / b,
        Op::RemU if b != 0 => a % b,
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
        Op::Eq => return flag(a == b),
        Op::Ne => return flag(a != b),
        Op::LtS => return flag(sa < sb),
        Op::LtU => return flag(a < b),
        Op::GtS => return flag(sa > sb),
        Op::GtU => return flag(a > b),
        Op::LeS => return flag(sa <= sb),
        Op::LeU => return flag(a <= b),
        Op::GeS => return flag(sa >= sb),
        Op::GeU => return flag(a >= b),
        _ => return None,
    };
    Some(truncate(ty, bits))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn corners() {
        let i32 = Type::I32;
        assert_eq!(binary(Op::DivS, i32, 0x8000_0000, 0xffff_ffff), None);
        assert_eq!(binary(Op::RemS, i32, 0x8000_0000, 0xffff_ffff), Some(0));
        assert_eq!(binary(Op::DivS, i32, 7, 0xffff_fffe), Some(0xffff_fffd));
        assert_eq!(binary(Op::DivU, i32, 7, 0), None);
        assert_eq!(binary(Op::DivS, Type::I64, 1 << 63, u64::MAX), None);
        assert_eq!(binary(Op::RemS, Type::I64, 1 << 63, u64::MAX), Some(0));
        assert_eq!(binary(Op::ShrS, i32, 0x8000_0000, 31), Some(0xffff_ffff));
        assert_eq!(binary(Op::Shl, i32, 1, 33), Some(2));
        assert_eq!(binary(Op::Rotr, i32, 1, 1), Some(0x8000_0000));
        assert_eq!(binary(Op::MulHiS, i32, 0xffff_ffff, 2), Some(0xffff_ffff));
        assert_eq!(binary(Op::MulHiU, i32, 0xffff_ffff, 2), Some(1));
        assert_eq!(binary(Op::LtS, i32, 0xffff_ffff, 0), Some(1));
        assert_eq!(binary(Op::LtU, i32, 0xffff_ffff, 0), Some(0));
        assert_eq!(unary(Op::Extend8S, i32, i32, 0x80), Some(0xffff_ff80));
        assert_eq!(unary(Op::ExtendS, Type::I64, i32, 0x8000_0000), Some(0xffff_ffff_8000_0000));
        assert_eq!(unary(Op::Clz, i32, i32, 0), Some(32));
        assert_eq!(unary(Op::FNeg, Type::F32, Type::F32, 0), Some(0x8000_0000));
        assert_eq!(binary(Op::FAdd, Type::F32, 0, 0), None);
    }
}
