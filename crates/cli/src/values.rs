//! Values on the command line, without loss.

use crate::fail::{Code, Failure};
use runwell::{Result, Val, ValType};

fn bad(text: &str, ty: ValType) -> runwell::Error {
    Failure::error(Code::Usage, format!("`{text}` is not a value of type {ty}"))
}

/// Reads an integer, decimal or hexadecimal, signed or unsigned, of this many bits.
fn integer(text: &str, bits: u32) -> Option<u64> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let digits = digits.replace('_', "");
    let magnitude = match digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        Some(hex) => u128::from_str_radix(hex, 16).ok()?,
        None => digits.parse::<u128>().ok()?,
    };
    let limit = if negative { 1u128 << (bits - 1) } else { (1u128 << bits) - 1 };
    if magnitude > limit {
        return None;
    }
    let value = magnitude as u64;
    Some(if negative { value.wrapping_neg() } else { value })
}

/// Reads the 128 bits of a vector as one number, decimal or hexadecimal.
fn vector(text: &str) -> Option<u128> {
    let digits = text.replace('_', "");
    match digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        Some(hex) => u128::from_str_radix(hex, 16).ok(),
        None => digits.parse().ok(),
    }
}

/// Reads the payload of `nan`, `-nan`, `nan:0x…`; exponent bits as given.
fn nan(text: &str, exponent: u64, quiet: u64, sign: u64) -> Option<u64> {
    let (negative, rest) = match text.strip_prefix('-') {
        Some(rest) => (sign, rest),
        None => (0, text),
    };
    let payload = match rest.strip_prefix("nan")? {
        "" => quiet,
        tail => u64::from_str_radix(tail.strip_prefix(":0x")?, 16).ok()?,
    };
    (payload != 0 && payload < quiet << 1).then_some(negative | exponent | payload)
}

/// Reads a value of type `ty`.
pub(crate) fn parse(text: &str, ty: ValType) -> Result<Val> {
    let val = match ty {
        ValType::I32 => integer(text, 32).map(|v| Val::I32(v as u32 as i32)),
        ValType::I64 => integer(text, 64).map(|v| Val::I64(v as i64)),
        ValType::F32 => nan(text, 0x7f80_0000, 0x40_0000, 1 << 31)
            .map(|bits| bits as u32)
            .or_else(|| text.parse::<f32>().ok().map(f32::to_bits))
            .map(Val::F32),
        ValType::F64 => nan(text, 0x7ff << 52, 1 << 51, 1 << 63)
            .or_else(|| text.parse::<f64>().ok().map(f64::to_bits))
            .map(Val::F64),
        ValType::V128 => vector(text).map(|v| Val::V128(v.into())),
        ValType::Ref(_) if text == "null" => Val::default_for_ty(&ty),
        _ => None,
    };
    val.ok_or_else(|| bad(text, ty))
}

/// Writes a value so that [`parse`] reads the same.
pub(crate) fn show(val: &Val) -> String {
    match val {
        Val::I32(v) => v.to_string(),
        Val::I64(v) => v.to_string(),
        Val::F32(bits) => {
            let v = f32::from_bits(*bits);
            if v.is_nan() { show_nan(u64::from(*bits), 31, 0x7f_ffff) } else { format!("{v:?}") }
        }
        Val::F64(bits) => {
            let v = f64::from_bits(*bits);
            if v.is_nan() { show_nan(*bits, 63, (1 << 52) - 1) } else { format!("{v:?}") }
        }
        Val::FuncRef(None) | Val::ExternRef(None) => "null".to_string(),
        Val::FuncRef(Some(_)) => "funcref".to_string(),
        Val::ExternRef(Some(_)) => "externref".to_string(),
        Val::V128(v) => format!("{:#034x}", v.as_u128()),
    }
}

fn show_nan(bits: u64, sign: u32, mantissa: u64) -> String {
    let minus = if bits >> sign & 1 != 0 { "-" } else { "" };
    format!("{minus}nan:{:#x}", bits & mantissa)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_survive_the_round_trip() {
        for bits in [0u64, 1 << 63, 0x7ff8 << 48, 0xfff0_0000_0000_0001, 0x3ff0 << 48, 1, !0] {
            let val = Val::F64(bits);
            let again = parse(&show(&val), ValType::F64).expect("what was shown");
            assert!(matches!(again, Val::F64(b) if b == bits), "{bits:#x}");
        }
        for bits in [0u32, 1 << 31, 0x7fc0_0000, 0xff80_0001, 1, 0x7f7f_ffff, !0] {
            let again = parse(&show(&Val::F32(bits)), ValType::F32).expect("what was shown");
            assert!(matches!(again, Val::F32(b) if b == bits), "{bits:#x}");
        }
        for bits in [0, 1, u128::MAX, 0x0123 << 112] {
            let again = parse(&show(&Val::V128(bits.into())), ValType::V128).expect("a vector");
            assert!(matches!(again, Val::V128(b) if b.as_u128() == bits), "{bits:#x}");
        }
        for value in [0, -1, i64::MIN, i64::MAX] {
            let again = parse(&show(&Val::I64(value)), ValType::I64).expect("an i64");
            assert_eq!(again.i64(), Some(value));
        }
        for (text, value) in [("-1", -1), ("0xffffffff", -1), ("-0x80000000", i32::MIN)] {
            assert_eq!(parse(text, ValType::I32).expect("an i32").i32(), Some(value));
        }
        for text in ["4294967296", "-2147483649", "", "x", "0x", "1.5"] {
            assert!(parse(text, ValType::I32).is_err(), "{text}");
        }
    }
}
