//! Why guest code stops.

use core::fmt;

/// The reason of a trap, as stored in the trap table of an image.
#[derive(Copy, Clone, PartialEq, Eq, Debug, PartialOrd, Ord, Hash)]
#[repr(u8)]
#[non_exhaustive]
pub enum TrapCode {
    /// `unreachable` was executed.
    Unreachable = 0,
    /// A linear memory access outside of the memory.
    MemoryOutOfBounds = 1,
    /// A table access outside of the table.
    TableOutOfBounds = 2,
    /// An indirect call through a null table element.
    IndirectCallToNull = 3,
    /// An indirect call to a function of another type.
    BadSignature = 4,
    /// Signed division overflow, or a conversion result out of range.
    IntegerOverflow = 5,
    /// Integer division by zero. In the trap table of an image: a division, and its divisor says why it
    /// traps.
    IntegerDivisionByZero = 6,
    /// A NaN converted to an integer. In the trap table of an image: a conversion whose number is not
    /// in range, and the parity flag says if it is a NaN.
    BadConversionToInteger = 7,
    /// The call stack is exhausted.
    StackOverflow = 8,
    /// A null reference was dereferenced.
    NullReference = 9,
    /// The fuel is used up.
    OutOfFuel = 10,
    /// Another thread asked the guest to stop.
    Interrupt = 11,
    /// An atomic access that is not aligned.
    UnalignedAtomic = 12,
    /// A cast to a type that the reference does not have.
    CastFailure = 13,
    /// An array access outside of the array.
    ArrayOutOfBounds = 14,
}

impl TrapCode {
    /// All codes, indexed by their discriminants.
    pub const ALL: [TrapCode; 15] = [
        TrapCode::Unreachable,
        TrapCode::MemoryOutOfBounds,
        TrapCode::TableOutOfBounds,
        TrapCode::IndirectCallToNull,
        TrapCode::BadSignature,
        TrapCode::IntegerOverflow,
        TrapCode::IntegerDivisionByZero,
        TrapCode::BadConversionToInteger,
        TrapCode::StackOverflow,
        TrapCode::NullReference,
        TrapCode::OutOfFuel,
        TrapCode::Interrupt,
        TrapCode::UnalignedAtomic,
        TrapCode::CastFailure,
        TrapCode::ArrayOutOfBounds,
    ];

    /// The code with discriminant `byte`, if there is one.
    pub fn from_u8(byte: u8) -> Option<TrapCode> {
        Self::ALL.get(usize::from(byte)).copied()
    }

    /// The message, in the words that the specification's test suite uses.
    pub const fn message(self) -> &'static str {
        match self {
            TrapCode::Unreachable => "unreachable",
            TrapCode::MemoryOutOfBounds => "out of bounds memory access",
            TrapCode::TableOutOfBounds => "out of bounds table access",
            TrapCode::IndirectCallToNull => "uninitialized element",
            TrapCode::BadSignature => "indirect call type mismatch",
            TrapCode::IntegerOverflow => "integer overflow",
            TrapCode::IntegerDivisionByZero => "integer divide by zero",
            TrapCode::BadConversionToInteger => "invalid conversion to integer",
            TrapCode::StackOverflow => "call stack exhausted",
            TrapCode::NullReference => "null reference",
            TrapCode::OutOfFuel => "all fuel consumed",
            TrapCode::Interrupt => "interrupted",
            TrapCode::UnalignedAtomic => "unaligned atomic",
            TrapCode::CastFailure => "cast failure",
            TrapCode::ArrayOutOfBounds => "out of bounds array access",
        }
    }
}

impl fmt::Display for TrapCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message())
    }
}
