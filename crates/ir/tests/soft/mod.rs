//! IEEE 754 arithmetic on integers, written from the standard's definitions: the exact result, then
//! one rounding to nearest, ties to even. Nothing here uses the machine's floats.

use runwell_ir::Type;

/// A number as sign and magnitude: `mantissa * 2^exponent`.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) enum Num {
    Nan,
    Inf(bool),
    Finite(bool, u128, i32),
}

use Num::{Finite, Inf, Nan};

/// Bits of precision with the hidden one, and the exponent of the smallest normal number.
fn format(ty: Type) -> (i32, i32) {
    if ty == Type::F32 { (24, -126) } else { (53, -1022) }
}

fn sign_bit(ty: Type) -> u64 {
    1 << (ty.bytes() * 8 - 1)
}

pub(crate) fn canonical_nan(ty: Type) -> u64 {
    let (precision, _) = format(ty);
    // All ones in the exponent, one in the first bit of the fraction.
    sign_bit(ty) - (1 << (precision - 2))
}

fn infinity(ty: Type) -> u64 {
    sign_bit(ty) - (1 << (format(ty).0 - 1))
}

pub(crate) fn decode(ty: Type, bits: u64) -> Num {
    let (precision, smallest) = format(ty);
    let sign = bits & sign_bit(ty) != 0;
    let magnitude = bits & (sign_bit(ty) - 1);
    if magnitude > infinity(ty) {
        return Nan;
    }
    if magnitude == infinity(ty) {
        return Inf(sign);
    }
    let fraction = u128::from(magnitude) & ((1 << (precision - 1)) - 1);
    let field = (magnitude >> (precision - 1)) as i32;
    let least = smallest - (precision - 1);
    if field == 0 {
        Finite(sign, fraction, least)
    } else {
        Finite(sign, fraction | 1 << (precision - 1), least + field - 1)
    }
}

/// Rounds to nearest, ties to even. The lowest bit of a mantissa longer than 60 bits may stand for
/// any rest below it.
pub(crate) fn encode(ty: Type, num: Num) -> u64 {
    let (precision, smallest) = format(ty);
    let (sign, mantissa, exponent) = match num {
        Nan => return canonical_nan(ty),
        Inf(sign) => return infinity(ty) | if sign { sign_bit(ty) } else { 0 },
        Finite(sign, mantissa, exponent) => (sign, mantissa, exponent),
    };
    let sign = if sign { sign_bit(ty) } else { 0 };
    if mantissa == 0 {
        return sign;
    }
    let top = 127 - mantissa.leading_zeros() as i32 + exponent;
    let unit = (top - (precision - 1)).max(smallest - (precision - 1));
    let shift = unit - exponent;
    let rounded = if shift <= 0 {
        mantissa << -shift
    } else if shift > 127 {
        0
    } else {
        let rest = mantissa & ((1 << shift) - 1);
        let half = 1 << (shift - 1);
        let kept = mantissa >> shift;
        kept + u128::from(rest > half || (rest == half && kept & 1 == 1))
    };
    // The hidden bit, or a carry out of the fraction, adds one to the exponent's field.
    let field = (unit - (smallest - (precision - 1))) as u128;
    let bits = (field << (precision - 1)) + rounded;
    sign | u64::try_from(bits).map_or(infinity(ty), |bits| bits.min(infinity(ty)))
}

/// A mantissa with its top bit at 52, as all that are not zero can have.
fn normal(mantissa: u128, exponent: i32) -> (u128, i32) {
    let shift = mantissa.leading_zeros() as i32 - (127 - 52);
    (mantissa << shift, exponent - shift)
}

pub(crate) fn add(a: Num, b: Num) -> Num {
    match (a, b) {
        (Nan, _) | (_, Nan) => Nan,
        (Inf(s), Inf(t)) => {
            if s == t {
                a
            } else {
                Nan
            }
        }
        (Inf(_), _) => a,
        (_, Inf(_)) => b,
        (Finite(s, 0, e), Finite(t, 0, _)) => Finite(s && t, 0, e),
        (Finite(_, 0, _), _) => b,
        (_, Finite(_, 0, _)) => a,
        (Finite(s, m, e), Finite(t, n, f)) => {
            let ((m, e), (n, f)) = (normal(m, e), normal(n, f));
            let (s, m, e, t, n, f) =
                if (e, m) >= (f, n) { (s, m, e, t, n, f) } else { (t, n, f, s, m, e) };
            let far = (e - f).min(126);
            let shifted = (n << 64) >> far;
            let lost = u128::from(shifted << far != n << 64);
            let (large, small) = (m << 64, shifted | lost);
            let sum = if s == t { large + small } else { large - small };
            Finite(s && sum != 0, sum, e - 64)
        }
    }
}

pub(crate) fn neg(a: Num) -> Num {
    match a {
        Nan => Nan,
        Inf(s) => Inf(!s),
        Finite(s, m, e) => Finite(!s, m, e),
    }
}

pub(crate) fn mul(a: Num, b: Num) -> Num {
    match (a, b) {
        (Nan, _) | (_, Nan) | (Inf(_), Finite(_, 0, _)) | (Finite(_, 0, _), Inf(_)) => Nan,
        (Inf(s), Inf(t) | Finite(t, ..)) | (Finite(s, ..), Inf(t)) => Inf(s != t),
        (Finite(s, m, e), Finite(t, n, f)) => Finite(s != t, m * n, e + f),
    }
}

pub(crate) fn div(a: Num, b: Num) -> Num {
    match (a, b) {
        (Nan, _) | (_, Nan) | (Inf(_), Inf(_)) | (Finite(_, 0, _), Finite(_, 0, _)) => Nan,
        (Inf(s), Finite(t, ..)) | (Finite(s, ..), Finite(t, 0, _)) => Inf(s != t),
        (Finite(s, _, e), Inf(t)) | (Finite(s, 0, e), Finite(t, ..)) => Finite(s != t, 0, e),
        (Finite(s, m, e), Finite(t, n, f)) => {
            let ((m, e), (n, f)) = (normal(m, e), normal(n, f));
            let wide = m << 70;
            Finite(s != t, (wide / n) | u128::from(wide % n != 0), e - 70 - f)
        }
    }
}

pub(crate) fn sqrt(a: Num) -> Num {
    match a {
        Nan | Inf(true) => Nan,
        Inf(false) | Finite(_, 0, _) => a,
        Finite(true, ..) => Nan,
        Finite(false, m, e) => {
            let (m, e) = normal(m, e);
            // An even exponent, and enough bits for a root of 60.
            let odd = e.rem_euclid(2);
            let (wide, e) = (m << (70 + odd), e - 70 - odd);
            let mut root = 0u128;
            for bit in (0..64).rev() {
                let next = root | 1 << bit;
                if next * next <= wide {
                    root = next;
                }
            }
            // One more bit for the rest.
            Finite(false, root << 1 | u128::from(root * root != wide), e / 2 - 1)
        }
    }
}

/// The integer part, towards zero, as sign and magnitude; `None` from 2^100 on.
pub(crate) fn integer_part(m: u128, e: i32) -> Option<u128> {
    match e {
        0.. if m == 0 => Some(0),
        0..47 => Some(m << e),
        47.. => None,
        -127..0 => Some(m >> -e),
        _ => Some(0),
    }
}
