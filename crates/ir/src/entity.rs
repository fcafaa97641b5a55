//! Indices with a type.

use core::fmt;

macro_rules! entity {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        pub struct $name(pub u32);

        impl $name {
            /// No entity.
            pub const NONE: $name = $name(u32::MAX);

            /// The index as `usize`.
            pub const fn index(self) -> usize {
                self.0 as usize
            }

            /// True for [`Self::NONE`].
            pub const fn is_none(self) -> bool {
                self.0 == u32::MAX
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "{}"), self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    };
}

entity!(
    /// A basic block.
    Block, "b"
);
entity!(
    /// A loop.
    LoopId, "l"
);
entity!(
    /// An edge of the control-flow graph: a position in the pool, see [`crate::cfg`].
    EdgeRef, "e"
);
entity!(
    /// A function signature, an index into [`crate::Function::sigs`].
    SigRef, "sig"
);
entity!(
    /// A frame slot that holds a variable outside of SSA.
    Slot, "s"
);

/// An SSA value: the instruction with this index, or, when bit 31 is set, a constant.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Value(pub u32);

impl Value {
    /// No value.
    pub const NONE: Value = Value(u32::MAX);
    const CONST: u32 = 1 << 31;

    /// The value made by instruction `index`.
    pub const fn inst(index: usize) -> Value {
        Value(index as u32)
    }

    /// Constant number `index`.
    pub const fn constant(index: usize) -> Value {
        Value(index as u32 | Self::CONST)
    }

    /// True for [`Value::NONE`].
    pub const fn is_none(self) -> bool {
        self.0 == u32::MAX
    }

    /// True for a constant.
    pub const fn is_const(self) -> bool {
        self.0 & Self::CONST != 0 && !self.is_none()
    }

    /// True for the result of an instruction.
    pub const fn is_inst(self) -> bool {
        self.0 & Self::CONST == 0
    }

    /// The index into the instructions or into the constants, whichever it is.
    pub const fn index(self) -> usize {
        (self.0 & !Self::CONST) as usize
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Value::NONE => f.write_str("v?"),
            v if v.is_const() => write!(f, "c{}", v.index()),
            v => write!(f, "v{}", v.index()),
        }
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
