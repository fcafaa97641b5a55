//! Machine code of a whole module with the tables the runtime reads.

use runwell_abi::TrapCode;

/// Where one function's code is.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct FuncRange {
    /// Offset of its first byte in the text.
    pub start: u32,
    /// Offset after its last byte, constants and jump tables included.
    pub end: u32,
    /// Size of its frame: from its second instruction on, the return address is at
    /// `[rsp + frame_bytes]`.
    pub frame_bytes: u32,
}

/// A module's machine code, position-independent, and its tables. Offsets are into `text`.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Image {
    /// Code of all functions in index order, each aligned as [`func_align`] says.
    pub text: Vec<u8>,
    /// One range per function the module defines, ascending.
    pub funcs: Vec<FuncRange>,
    /// Instructions that may trap, ascending.
    pub traps: Vec<(u32, TrapCode)>,
    /// Source positions, ascending: code offset, Wasm byte offset.
    pub srclocs: Vec<(u32, u32)>,
    /// In metered code: Wasm byte offset, ascending, and the balance of fuel there.
    pub rests: Vec<(u32, i64)>,
}

/// The least alignment of functions in the text, in bytes.
pub const FUNC_ALIGN: usize = 16;

/// A line of the caches, in bytes.
const LINE_BYTES: usize = 64;

/// How a function of so many bytes is aligned in the text: so that it lies in as few lines as it can,
/// and how its loops and branches lie in them does not depend on the functions before it. How fast a
/// loop is may depend on that by a quarter and more.
///
/// What is lost to that is less than the function has bytes, and less than a line.
pub const fn func_align(bytes: usize) -> usize {
    if bytes >= LINE_BYTES {
        LINE_BYTES
    } else if bytes > FUNC_ALIGN {
        2 * FUNC_ALIGN
    } else {
        FUNC_ALIGN
    }
}

/// The most bytes the text may have: calls reach 2 GiB either way.
pub const MAX_TEXT_BYTES: u64 = i32::MAX as u64;
