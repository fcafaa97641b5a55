//! Machine code for one function: selection, register allocation, emission.

#![forbid(unsafe_code)]

pub mod env;
pub mod regalloc;
pub mod vcode;

/// Machine code of one function with its tables. Offsets are relative to its first byte.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct CompiledFunction {
    /// Code, followed by its constants and jump tables.
    pub code: Vec<u8>,
    /// Calls to functions of the module: offset of the 4-byte field, function index. The value to
    /// write is the callee's address minus that of the end of the field.
    pub relocs: Vec<(u32, u32)>,
    /// Instructions that may trap, ascending: offset of the instruction, reason.
    pub traps: Vec<(u32, runwell_abi::TrapCode)>,
    /// Source positions, ascending: from this offset on, instructions belong to the operator at
    /// this Wasm byte offset. Return addresses are looked up one byte before.
    pub srclocs: Vec<(u32, u32)>,
    /// Size of the frame: from the second instruction on, the return address is at
    /// `[rsp + frame_bytes]`.
    pub frame_bytes: u32,
}
