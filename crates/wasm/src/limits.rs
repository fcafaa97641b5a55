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
}

/// Name of the limit on the height of the operand stack.
pub const OPERANDS: &str = "height of the operand stack";

impl Limits {
    /// Values that may lie on the operand stack behind an operator that has `bytes` of its function's
    /// body before it. An operator of two bytes can give a thousand values, so a short body could pile
    /// up hundreds of millions; where each byte gives one value at most, none comes near.
    pub const fn operands(bytes: u64) -> u64 {
        Limits::OPERANDS_BASE + bytes
    }

    /// Values that may lie on the operand stack of every function, however short: 65 times as many as
    /// the widest type gives.
    pub const OPERANDS_BASE: u64 = 65_536;
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            module_bytes: 1 << 30,
            body_bytes: 7_654_321,
            functions: 1_000_000,
            tables: 10_000,
            memories: 100,
        }
    }
}
