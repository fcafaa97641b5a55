//! For which machine code is made.

/// An instruction set architecture.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Hash)]
#[repr(u8)]
#[non_exhaustive]
pub enum Arch {
    /// x86-64, from the level x86-64-v2 on (SSE4.2, POPCNT).
    X64,
}

/// Optional instruction set extensions. They change speed, never results.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Hash, Default)]
pub struct Features(pub u32);

impl Features {
    /// Three-operand vector encodings.
    pub const AVX: Features = Features(1);
    /// `andn`, `blsr`, `blsi`, `blsmsk`, `bextr`, `tzcnt`.
    pub const BMI1: Features = Features(2);
    /// `shlx`, `shrx`, `sarx`, `rorx`, `mulx`, `bzhi`.
    pub const BMI2: Features = Features(4);
    /// `lzcnt`.
    pub const LZCNT: Features = Features(8);
    /// `vrangess`, `vrangesd`.
    pub const AVX512DQ: Features = Features(16);

    /// True when all of `other`'s extensions are in `self`.
    pub const fn has(self, other: Features) -> bool {
        self.0 & other.0 == other.0
    }

    /// Both sets together.
    #[must_use]
    pub const fn with(self, other: Features) -> Features {
        Features(self.0 | other.0)
    }

    /// Those that are not in `other`.
    #[must_use]
    pub const fn without(self, other: Features) -> Features {
        Features(self.0 & !other.0)
    }
}

/// An architecture with its extensions.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Hash)]
pub struct Target {
    /// The architecture.
    pub arch: Arch,
    /// Its extensions that generated code may use.
    pub features: Features,
}
