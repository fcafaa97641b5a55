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
    /// Open blocks, loops and conditionals at one point of a body.
    pub nesting: u32,
    /// Values that operators move per operator (parameters, results and arguments of calls, blocks
    /// and branches), summed over a body; [`Limits::ARITY_BASE`] come on top.
    pub arity_per_operator: u32,
}

impl Limits {
    /// Moved values that every body may have, however small: two calls of the widest type.
    pub const ARITY_BASE: u64 = 4096;
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            module_bytes: 1 << 30,
            body_bytes: 7_654_321,
            functions: 1_000_000,
            tables: 10_000,
            memories: 100,
            nesting: 1 << 16,
            arity_per_operator: 16,
        }
    }
}
