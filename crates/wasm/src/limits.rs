//! How large a module may be.
//!
//! The validator already enforces the limits that the JavaScript API prescribes for counts. What is
//! added here bounds what the machine-level representation can number, and the work that a few
//! bytes may cause.

/// Bounds on a module. What exceeds one is refused with a `Limit` error.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Bytes of a module; offsets are 32 bits wide.
    pub module_bytes: u32,
    /// Bytes of one function body.
    pub body_bytes: u32,
    /// Functions, imported ones included.
    pub functions: u32,
    /// Tables, imported ones included; instructions have 15 bits for the index.
    pub tables: u32,
    /// Memories, imported ones included.
    pub memories: u32,
    /// Values that operators move per operator (parameters, results and arguments of calls, blocks
    /// and branches), on the average of a body. What a body moves beyond that counts against
    /// [`Limits::moved_values`] of the module. Ordinary bodies move half a value per operator.
    pub arity_per_operator: u32,
}

/// Name of the limit on the height of the operand stack.
pub const OPERANDS: &str = "height of the operand stack";

impl Limits {
    /// Values that the bodies of a module of `bytes` may move together, beyond
    /// [`Limits::arity_per_operator`]. Two bytes can move two thousand values, and a function of
    /// seven bytes a thousand, each of which costs time and machine code; so the bound is one of the
    /// whole module, in proportion to its size.
    pub const fn moved_values(bytes: usize) -> u64 {
        Limits::MOVED_VALUES_BASE + bytes as u64 / 2
    }

    /// Values that may lie on the operand stack behind an operator that has `bytes` of its function's
    /// body before it. An operator of two bytes can give a thousand values, so a short body could pile
    /// up hundreds of millions; where each byte gives one value at most, none comes near.
    pub const fn operands(bytes: u64) -> u64 {
        Limits::OPERANDS_BASE + bytes
    }

    /// Values that may lie on the operand stack of every function, however short: 65 times as many as
    /// the widest type gives.
    pub const OPERANDS_BASE: u64 = 65_536;

    /// Moved values that every module may have, however small: four calls of the widest type.
    pub const MOVED_VALUES_BASE: u64 = 8192;
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            module_bytes: 1 << 30,
            body_bytes: 7_654_321,
            functions: 1_000_000,
            tables: 10_000,
            memories: 100,
            arity_per_operator: 2,
        }
    }
}
