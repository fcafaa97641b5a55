//! Operators by what they take and make.

use wasm_encoder::Instruction::{self, *};
use wasm_encoder::ValType;

/// Two operands and a result of one type, without traps.
pub(super) fn binary(ty: ValType) -> &'static [Instruction<'static>] {
    match ty {
        ValType::I32 => &[
            I32Add, I32Add, I32Sub, I32Sub, I32Mul, I32And, I32Or, I32Xor, I32Shl, I32ShrS,
            I32ShrU, I32Rotl, I32Rotr,
        ],
        ValType::I64 => &[
            I64Add, I64Add, I64Sub, I64Sub, I64Mul, I64And, I64Or, I64Xor, I64Shl, I64ShrS,
            I64ShrU, I64Rotl, I64Rotr,
        ],
        ValType::F32 => &[F32Add, F32Sub, F32Mul, F32Div, F32Min, F32Max],
        _ => &[F64Add, F64Sub, F64Mul, F64Div, F64Min, F64Max],
    }
}

/// Divisions and remainders.
pub(super) fn divide(ty: ValType) -> &'static [Instruction<'static>] {
    match ty {
        ValType::I32 => &[I32DivS, I32DivU, I32RemS, I32RemU],
        _ => &[I64DivS, I64DivU, I64RemS, I64RemU],
    }
}

/// Shifts and rotations.
pub(super) fn shift(ty: ValType) -> &'static [Instruction<'static>] {
    match ty {
        ValType::I32 => &[I32Shl, I32ShrS, I32ShrU, I32Rotl, I32Rotr],
        _ => &[I64Shl, I64ShrS, I64ShrU, I64Rotl, I64Rotr],
    }
}

/// An operand and a result of one type.
pub(super) fn unary(ty: ValType) -> &'static [Instruction<'static>] {
    match ty {
        ValType::I32 => &[I32Clz, I32Ctz, I32Popcnt, I32Extend8S, I32Extend16S],
        ValType::I64 => &[I64Clz, I64Ctz, I64Popcnt, I64Extend8S, I64Extend16S, I64Extend32S],
        ValType::F32 => &[F32Neg, F32Abs, F32Sqrt, F32Ceil, F32Floor, F32Trunc, F32Nearest],
        _ => &[F64Neg, F64Abs, F64Sqrt, F64Ceil, F64Floor, F64Trunc, F64Nearest],
    }
}

/// Comparisons of two values of a type.
pub(super) fn compare(ty: ValType) -> &'static [Instruction<'static>] {
    match ty {
        ValType::I32 => {
            &[I32Eq, I32Ne, I32LtS, I32LtU, I32GtS, I32GtU, I32LeS, I32LeU, I32GeS, I32GeU]
        }
        ValType::I64 => {
            &[I64Eq, I64Ne, I64LtS, I64LtU, I64GtS, I64GtU, I64LeS, I64LeU, I64GeS, I64GeU]
        }
        ValType::F32 => &[F32Eq, F32Ne, F32Lt, F32Gt, F32Le, F32Ge],
        _ => &[F64Eq, F64Ne, F64Lt, F64Gt, F64Le, F64Ge],
    }
}

/// Conversions to a type that do not trap and do not show the bits of a float, with where from.
pub(super) fn convert(ty: ValType) -> &'static [(ValType, Instruction<'static>)] {
    match ty {
        ValType::I32 => &[
            (ValType::I64, I32WrapI64),
            (ValType::I64, I32WrapI64),
            (ValType::I64, I64Eqz),
            (ValType::I32, I32Eqz),
            (ValType::F32, I32TruncSatF32S),
            (ValType::F32, I32TruncSatF32U),
            (ValType::F64, I32TruncSatF64S),
            (ValType::F64, I32TruncSatF64U),
        ],
        ValType::I64 => &[
            (ValType::I32, I64ExtendI32S),
            (ValType::I32, I64ExtendI32S),
            (ValType::I32, I64ExtendI32U),
            (ValType::I32, I64ExtendI32U),
            (ValType::F32, I64TruncSatF32S),
            (ValType::F32, I64TruncSatF32U),
            (ValType::F64, I64TruncSatF64S),
            (ValType::F64, I64TruncSatF64U),
        ],
        ValType::F32 => &[
            (ValType::I32, F32ConvertI32S),
            (ValType::I32, F32ConvertI32U),
            (ValType::I64, F32ConvertI64S),
            (ValType::I64, F32ConvertI64U),
            (ValType::F64, F32DemoteF64),
            (ValType::I32, F32ReinterpretI32),
        ],
        _ => &[
            (ValType::I32, F64ConvertI32S),
            (ValType::I32, F64ConvertI32U),
            (ValType::I64, F64ConvertI64S),
            (ValType::I64, F64ConvertI64U),
            (ValType::F32, F64PromoteF32),
            (ValType::I64, F64ReinterpretI64),
        ],
    }
}

/// Conversions of a float that trap when it does not fit, with the type they make.
pub(super) fn truncate(from: ValType) -> &'static [(ValType, Instruction<'static>)] {
    match from {
        ValType::F32 => &[
            (ValType::I32, I32TruncF32S),
            (ValType::I32, I32TruncF32U),
            (ValType::I64, I64TruncF32S),
            (ValType::I64, I64TruncF32U),
        ],
        _ => &[
            (ValType::I32, I32TruncF64S),
            (ValType::I32, I32TruncF64U),
            (ValType::I64, I64TruncF64S),
            (ValType::I64, I64TruncF64U),
        ],
    }
}
