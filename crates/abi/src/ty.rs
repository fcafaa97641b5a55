//! The machine-level value types shared by IR, calling convention and runtime.

use core::fmt;

/// The type of an SSA value, an argument or a result.
#[derive(Copy, Clone, PartialEq, Eq, Debug, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Type {
    /// A 32-bit integer. In a 64-bit register its upper half is always zero.
    I32,
    /// A 64-bit integer.
    I64,
    /// An IEEE 754 binary32 number.
    F32,
    /// An IEEE 754 binary64 number.
    F64,
    /// A 128-bit vector, whatever its lanes.
    V128,
    /// A pointer to a function reference record, 0 when null. Not traced.
    FuncRef,
    /// A reference that a collector traces (today: an external reference handle), 0 when null.
    AnyRef,
}

impl Type {
    /// All types, in the order of their discriminants.
    pub const ALL: [Type; 7] =
        [Type::I32, Type::I64, Type::F32, Type::F64, Type::V128, Type::FuncRef, Type::AnyRef];

    /// Size in bytes.
    pub const fn bytes(self) -> u32 {
        match self {
            Type::I32 | Type::F32 => 4,
            Type::I64 | Type::F64 | Type::FuncRef | Type::AnyRef => 8,
            Type::V128 => 16,
        }
    }

    /// True for values that live in general-purpose registers.
    pub const fn is_int_class(self) -> bool {
        matches!(self, Type::I32 | Type::I64 | Type::FuncRef | Type::AnyRef)
    }

    /// True for values that live in vector registers.
    pub const fn is_float_class(self) -> bool {
        !self.is_int_class()
    }

    /// True for `I32` and `I64`.
    pub const fn is_int(self) -> bool {
        matches!(self, Type::I32 | Type::I64)
    }

    /// True for `F32` and `F64`.
    pub const fn is_float(self) -> bool {
        matches!(self, Type::F32 | Type::F64)
    }

    /// True for references of either kind.
    pub const fn is_ref(self) -> bool {
        matches!(self, Type::FuncRef | Type::AnyRef)
    }

    /// The name in the text form of the IR.
    pub const fn name(self) -> &'static str {
        match self {
            Type::I32 => "i32",
            Type::I64 => "i64",
            Type::F32 => "f32",
            Type::F64 => "f64",
            Type::V128 => "v128",
            Type::FuncRef => "funcref",
            Type::AnyRef => "anyref",
        }
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
