//! What pure operations compute, against formulations of the specification that share nothing with
//! the evaluator's: integers as mathematical numbers, floats on integers.

mod soft;

use runwell_ir::eval::scalar;
use runwell_ir::op::{Effect, OPS};
use runwell_ir::{Op, Shape, TrapCode, Type};
use soft::Num;

const INTS: [Type; 2] = [Type::I32, Type::I64];
const FLOATS: [Type; 2] = [Type::F32, Type::F64];

struct Rng(u64);

impl Rng {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

fn width(ty: Type) -> u32 {
    ty.bytes() * 8
}

fn cut(ty: Type, bits: u64) -> u64 {
    if ty.bytes() == 4 { bits & 0xffff_ffff } else { bits }
}

/// The number that bits mean when signed.
fn signed(ty: Type, bits: u64) -> i128 {
    let bits = i128::from(bits);
    if bits >> (width(ty) - 1) == 1 { bits - (1 << width(ty)) } else { bits }
}

/// The bits of a number, modulo the width.
fn wrapped(ty: Type, number: i128) -> u64 {
    number.rem_euclid(1 << width(ty)) as u64
}

fn ints(ty: Type) -> Vec<u64> {
    let mut all: Vec<u64> = vec![0, 1, 2, 3, 5, 7, 10, 100, 0x7f, 0x80, 0xff, 0x8000, 0xffff];
    for bit in 0..width(ty) {
        all.extend([1u64 << bit, (1u64 << bit).wrapping_sub(1), !(1u64 << bit)]);
    }
    let mut rng = Rng(99);
    all.extend((0..60).map(|_| rng.next()));
    all.extend((0..30).map(|_| (rng.next() % 200).wrapping_neg()));
    all.iter_mut().for_each(|bits| *bits = cut(ty, *bits));
    all.sort_unstable();
    all.dedup();
    all
}

fn floats(ty: Type) -> Vec<u64> {
    let (sign, one, infinity, least) = if ty == Type::F32 {
        (1 << 31, 0x3f80_0000, 0x7f80_0000, 0x0080_0000)
    } else {
        (1 << 63, 0x3ff0 << 48, 0x7ff0 << 48, 1 << 52)
    };
    let unit = if ty == Type::F32 { 23 } else { 52 };
    let mut all = vec![0, 1, 2, least - 1, least, least + 1, infinity - 1, infinity];
    all.extend([infinity + 1, soft::canonical_nan(ty), soft::canonical_nan(ty) + 5, sign - 1]);
    for exponent in [0, 1, 2, 5, 15, 22, 23, 24, 30, 31, 32, 33, 51, 52, 53, 62, 63, 64, 65, 100] {
        let power = one + (exponent << unit);
        let half = 1 << (unit - 1);
        all.extend([power - 1, power, power + 1, power + half, power + half + 1]);
        all.extend([one - (exponent << unit), one - (exponent << unit) + half]);
    }
    let mut rng = Rng(5);
    all.extend((0..60).map(|_| cut(ty, rng.next()) & (sign - 1)));
    let negative: Vec<u64> = all.iter().map(|bits| bits | sign).collect();
    all.extend(negative);
    all.sort_unstable();
    all.dedup();
    all
}

fn integer(op: Op, ty: Type, a: u64, b: u64) -> Result<u64, TrapCode> {
    let w = width(ty);
    let (sa, sb) = (signed(ty, a), signed(ty, b));
    let (ua, ub) = (i128::from(a), i128::from(b));
    let bit = |of: u64, at: u32| of >> (at % w) & 1;
    let count = (ub % i128::from(w)) as u32;
    let gather = |f: &dyn Fn(u32) -> u64| (0..w).map(|at| f(at) << at).sum::<u64>();
    let flag = |holds: bool| Ok(u64::from(holds));
    let divided = |x: i128, y: i128| {
        // Towards zero, by magnitudes.
        let quotient = (x.unsigned_abs() / y.unsigned_abs()) as i128;
        if (x < 0) == (y < 0) { quotient } else { -quotient }
    };
    let number = match op {
        Op::Add => ua + ub,
        Op::Sub => ua - ub,
        Op::Mul => (sa * sb).rem_euclid(1 << w),
        Op::MulHiS => (sa * sb) >> w,
        Op::MulHiU => ((a as u128 * b as u128) >> w) as i128,
        Op::DivS | Op::DivU | Op::RemS | Op::RemU if b == 0 => {
            return Err(TrapCode::IntegerDivisionByZero);
        }
        Op::DivS if divided(sa, sb) == 1 << (w - 1) => return Err(TrapCode::IntegerOverflow),
        Op::DivS => divided(sa, sb),
        Op::DivU => divided(ua, ub),
        Op::RemS => sa - sb * divided(sa, sb),
        Op::RemU => ua - ub * divided(ua, ub),
        Op::And => return Ok(gather(&|at| bit(a, at) * bit(b, at))),
        Op::Or => return Ok(gather(&|at| bit(a, at).max(bit(b, at)))),
        Op::Xor => return Ok(gather(&|at| u64::from(bit(a, at) != bit(b, at)))),
        Op::Shl => return Ok(gather(&|at| if at < count { 0 } else { bit(a, at - count) })),
        Op::ShrS => sa.div_euclid(1 << count),
        Op::ShrU => ua / (1 << count),
        Op::Rotl => return Ok(gather(&|at| bit(a, at + w - count))),
        Op::Rotr => return Ok(gather(&|at| bit(a, at + count))),
        Op::Eq => return flag(ua == ub),
        Op::Ne => return flag(ua != ub),
        Op::LtS => return flag(sa < sb),
        Op::LtU => return flag(ua < ub),
        Op::GtS => return flag(sa > sb),
        Op::GtU => return flag(ua > ub),
        Op::LeS => return flag(sa <= sb),
        Op::LeU => return flag(ua <= ub),
        Op::GeS => return flag(sa >= sb),
        Op::GeU => return flag(ua >= ub),
        _ => panic!("{op:?} is not known here"),
    };
    Ok(wrapped(ty, number))
}

fn float(op: Op, ty: Type, a: u64, b: u64) -> u64 {
    let (x, y) = (soft::decode(ty, a), soft::decode(ty, b));
    let sign = 1 << (width(ty) - 1);
    // Numbers in order, -0 directly below +0.
    let key = |bits: u64| match bits & sign {
        0 => i128::from(bits),
        _ => -1 - i128::from(bits & (sign - 1)),
    };
    let unordered = x == Num::Nan || y == Num::Nan;
    let both_zero = (a | b) & (sign - 1) == 0;
    let equal = !unordered && (a == b || both_zero);
    let less = !unordered && !both_zero && key(a) < key(b);
    match op {
        Op::FAdd => soft::encode(ty, soft::add(x, y)),
        Op::FSub => soft::encode(ty, soft::add(x, soft::neg(y))),
        Op::FMul => soft::encode(ty, soft::mul(x, y)),
        Op::FDiv => soft::encode(ty, soft::div(x, y)),
        Op::FMin | Op::FMax if unordered => soft::canonical_nan(ty),
        Op::FMin => {
            if key(a) <= key(b) {
                a
            } else {
                b
            }
        }
        Op::FMax => {
            if key(a) >= key(b) {
                a
            } else {
                b
            }
        }
        Op::FCopysign => (a & (sign - 1)) | (b & sign),
        Op::FEq => equal.into(),
        Op::FNe => (!equal).into(),
        Op::FLt => less.into(),
        Op::FGt => (!unordered && !equal && !less).into(),
        Op::FLe => (less || equal).into(),
        Op::FGe => (!unordered && !less).into(),
        _ => panic!("{op:?} is not known here"),
    }
}

fn ops(shape: Shape) -> impl Iterator<Item = Op> {
    let pure = |effect| matches!(effect, Effect::Pure | Effect::Trap);
    OPS.iter().filter(move |row| row.shape == shape && pure(row.effect)).map(|row| row.op)
}

fn is_float(op: Op) -> bool {
    (Op::FAdd..=Op::FGe).contains(&op)
}

/// Every binary operation of the table, on all pairs of edge values.
#[test]
fn binary_operations() {
    let mut tested = 0;
    for op in ops(Shape::Binary) {
        for ty in if is_float(op) { FLOATS } else { INTS } {
            let values = if is_float(op) { floats(ty) } else { ints(ty) };
            for &a in &values {
                for &b in &values {
                    let found = scalar::binary(op, ty, a, b);
                    let wanted =
                        if is_float(op) { Ok(float(op, ty, a, b)) } else { integer(op, ty, a, b) };
                    assert_eq!(found, wanted, "{op:?} {ty} {a:#x} {b:#x}");
                }
            }
            tested += 1;
        }
    }
    assert_eq!(tested, 2 * (17 + 10 + 13), "a new operation of this shape");
}

/// Float arithmetic where rounding is hard: operands whose exponents are close.
#[test]
fn rounding() {
    let mut rng = Rng(2024);
    for _ in 0..100_000 {
        for ty in FLOATS {
            let unit = if ty == Type::F32 { 23 } else { 52 };
            let a = cut(ty, rng.next());
            let near = (rng.next() % 64) << unit;
            let b =
                cut(ty, (rng.next() & ((1 << unit) - 1)) | (a.wrapping_add(near) >> unit << unit));
            for op in [Op::FAdd, Op::FSub, Op::FMul, Op::FDiv] {
                let found = scalar::binary(op, ty, a, b);
                assert_eq!(found, Ok(float(op, ty, a, b)), "{op:?} {ty} {a:#x} {b:#x}");
            }
            let found = scalar::unary(Op::FSqrt, ty, ty, a);
            let wanted = soft::encode(ty, soft::sqrt(soft::decode(ty, a)));
            assert_eq!(found, Ok(wanted), "sqrt {ty} {a:#x}");
        }
    }
}

/// Rounds to an integer: the integer part and whether to go one away from zero.
fn round(op: Op, ty: Type, bits: u64) -> u64 {
    let Num::Finite(sign, m, e) = soft::decode(ty, bits) else {
        return soft::encode(ty, soft::decode(ty, bits));
    };
    if e >= 0 {
        return bits;
    }
    let whole = soft::integer_part(m, e).expect("a number with a fraction is small");
    let shift = -e as u32;
    let (rest, half) = match shift {
        0..127 => (m - (whole << shift), 1 << (shift - 1)),
        // Far below one half.
        _ => (u128::from(m != 0), 2),
    };
    let away = match op {
        Op::FTrunc => false,
        Op::FCeil => !sign && rest > 0,
        Op::FFloor => sign && rest > 0,
        _ => rest > half || (rest == half && whole % 2 == 1),
    };
    soft::encode(ty, Num::Finite(sign, whole + u128::from(away), 0))
}

fn truncate(ty: Type, is_signed: bool, from: Type, bits: u64) -> Result<u64, (TrapCode, u64)> {
    let (low, high) = match is_signed {
        true => (-(1i128 << (width(ty) - 1)), (1i128 << (width(ty) - 1)) - 1),
        false => (0, (1i128 << width(ty)) - 1),
    };
    let out = |negative: bool| {
        (TrapCode::IntegerOverflow, wrapped(ty, if negative { low } else { high }))
    };
    match soft::decode(from, bits) {
        Num::Nan => Err((TrapCode::BadConversionToInteger, 0)),
        Num::Inf(sign) => Err(out(sign)),
        Num::Finite(sign, m, e) => {
            let whole = soft::integer_part(m, e).ok_or(out(sign))? as i128;
            let number = if sign { -whole } else { whole };
            let fits = (low..=high).contains(&number);
            if fits { Ok(wrapped(ty, number)) } else { Err(out(sign)) }
        }
    }
}

fn unary(op: Op, ty: Type, from: Type, a: u64) -> Result<u64, TrapCode> {
    let w = width(from);
    let bit = |at: u32| a >> at & 1 == 1;
    let extended = |bits: u32| {
        let low = i128::from(a) % (1 << bits);
        let number = if low >= 1 << (bits - 1) { low - (1 << bits) } else { low };
        wrapped(ty, number)
    };
    let sign = 1u64 << (width(ty) - 1);
    let of = |number: i128| soft::encode(ty, Num::Finite(number < 0, number.unsigned_abs(), 0));
    Ok(match op {
        Op::Clz => (0..w).rev().take_while(|&at| !bit(at)).count() as u64,
        Op::Ctz => (0..w).take_while(|&at| !bit(at)).count() as u64,
        Op::Popcnt => (0..w).filter(|&at| bit(at)).count() as u64,
        Op::Extend8S => extended(8),
        Op::Extend16S => extended(16),
        Op::Extend32S | Op::ExtendS => extended(32),
        Op::Eqz => u64::from((0..w).all(|at| !bit(at))),
        Op::Wrap => (i128::from(a) % (1 << 32)) as u64,
        Op::ExtendU | Op::Bitcast => a,
        Op::FNeg => {
            if a >= sign {
                a - sign
            } else {
                a + sign
            }
        }
        Op::FAbs => a % sign,
        Op::FSqrt => soft::encode(ty, soft::sqrt(soft::decode(ty, a))),
        Op::FCeil | Op::FFloor | Op::FTrunc | Op::FNearest => round(op, ty, a),
        Op::TruncS | Op::TruncU => {
            truncate(ty, op == Op::TruncS, from, a).map_err(|(code, _)| code)?
        }
        Op::TruncSatS | Op::TruncSatU => {
            truncate(ty, op == Op::TruncSatS, from, a).unwrap_or_else(|(_, saturated)| saturated)
        }
        Op::ConvertS => of(signed(from, a)),
        Op::ConvertU => of(a.into()),
        Op::Demote | Op::Promote => soft::encode(ty, soft::decode(from, a)),
        _ => panic!("{op:?} is not known here"),
    })
}

/// Types of result and operand that a unary operation has.
fn types(op: Op) -> Vec<(Type, Type)> {
    let pairs = |tys: [Type; 2], froms: [Type; 2]| {
        tys.iter().flat_map(|&ty| froms.map(|from| (ty, from))).collect()
    };
    match op {
        Op::Extend32S => vec![(Type::I64, Type::I64)],
        Op::Wrap => vec![(Type::I32, Type::I64)],
        Op::ExtendS | Op::ExtendU => vec![(Type::I64, Type::I32)],
        Op::TruncS | Op::TruncU | Op::TruncSatS | Op::TruncSatU => pairs(INTS, FLOATS),
        Op::ConvertS | Op::ConvertU => pairs(FLOATS, INTS),
        Op::Demote => vec![(Type::F32, Type::F64)],
        Op::Promote => vec![(Type::F64, Type::F32)],
        Op::Bitcast => vec![
            (Type::I32, Type::F32),
            (Type::F32, Type::I32),
            (Type::I64, Type::F64),
            (Type::F64, Type::I64),
        ],
        op if is_float(op) => FLOATS.map(|ty| (ty, ty)).into(),
        _ => INTS.map(|ty| (ty, ty)).into(),
    }
}

/// Every unary operation of the table, on edge values and on random ones.
#[test]
fn unary_operations() {
    let mut rng = Rng(31);
    let mut tested = 0;
    for op in ops(Shape::Unary) {
        for (ty, from) in types(op) {
            let mut values = if from.is_float() { floats(from) } else { ints(from) };
            values.extend((0..20_000).map(|_| cut(from, rng.next())));
            // Numbers of ordinary size are few among random bits.
            if from.is_float() {
                let one = soft::encode(from, Num::Finite(false, 1, 0));
                let spread = if from == Type::F32 { 1 << 30 } else { 1 << 59 };
                values.extend((0..20_000).map(|_| one + rng.next() % spread));
            }
            for a in values {
                let found = scalar::unary(op, ty, from, a);
                assert_eq!(found, unary(op, ty, from, a), "{op:?} {ty} {from} {a:#x}");
            }
            tested += 1;
        }
    }
    assert_eq!(tested, 60, "a new operation of this shape");
}

/// Sample results that are easy to check by eye.
#[test]
fn known_answers() {
    let f32 = |v: f32| u64::from(v.to_bits());
    assert_eq!(float(Op::FAdd, Type::F32, f32(1.5), f32(2.25)), f32(3.75));
    assert_eq!(float(Op::FDiv, Type::F32, f32(1.0), f32(3.0)), 0x3eaa_aaab);
    assert_eq!(float(Op::FMul, Type::F64, 1, 1f64.to_bits() + 1), 1);
    assert_eq!(soft::encode(Type::F32, soft::sqrt(soft::decode(Type::F32, f32(2.0)))), 0x3fb5_04f3);
    assert_eq!(unary(Op::Demote, Type::F32, Type::F64, 0.1f64.to_bits()), Ok(0x3dcc_cccd));
    assert_eq!(round(Op::FNearest, Type::F64, 2.5f64.to_bits()), 2f64.to_bits());
    assert_eq!(round(Op::FCeil, Type::F64, (-0.5f64).to_bits()), (-0f64).to_bits());
    assert_eq!(unary(Op::ConvertU, Type::F32, Type::I64, u64::MAX), Ok(0x5f80_0000));
    let infinite = 0x7ff0 << 48;
    assert_eq!(float(Op::FSub, Type::F64, infinite, infinite), 0x7ff8 << 48);
}
