//! How much address space stands behind linear memories and stacks.
//!
//! A 32-bit memory is the start of a reservation of [`RESERVED_BYTES_32`] bytes whose part beyond
//! the current length is inaccessible. The effective address of an access is a zero-extended 32-bit
//! index plus a static offset; with an offset below [`GUARD_OFFSET_32`] the last byte touched lies
//! inside of the reservation whatever the index is, so the hardware does the bounds check and the
//! code generator emits none. A larger offset is checked explicitly against the current length,
//! and so is every access to a 64-bit memory.
//!
//! The fault comes before any byte is written, also for an access across the end of the memory:
//! x86-64 translates both pages of a store before it commits either.

/// Bytes of a page of linear memory.
pub const PAGE_BYTES: u64 = 1 << 16;
/// The most pages of a memory with 32-bit addresses.
pub const MAX_PAGES_32: u64 = 1 << 16;
/// Static offsets below this need no explicit bounds check in a 32-bit memory.
pub const GUARD_OFFSET_32: u64 = 2 << 30;
/// Address space behind each 32-bit memory: every index, every offset below [`GUARD_OFFSET_32`],
/// and the bytes of the widest access.
pub const RESERVED_BYTES_32: u64 = (4 << 30) + GUARD_OFFSET_32 + PAGE_BYTES;

/// The most a frame may take that is not compared with the stack's limit: this much, and room for the
/// runtime's stubs and for signal frames, lies below the lowest limit there can be.
pub const STACK_RED_ZONE_BYTES: u32 = STACK_RATIO * UNCHECKED_DEPTH_BYTES;

/// Depth that every frame costs, beside its values.
const FRAME_DEPTH_BYTES: u64 = 48;
/// Functions that call none and whose frame costs at most this are not counted: they are the last of
/// their stack.
const UNCHECKED_DEPTH_BYTES: u32 = 512;
/// Operators per byte of depth, where a function has few values for its length.
const OPERATORS_PER_DEPTH_BYTE: u64 = 8;
/// The most bytes of stack that a frame takes per byte of its depth.
pub const STACK_RATIO: u32 = 32;
/// Depth that a call from the host costs while guest code of the same store is active.
pub const ACTIVATION_DEPTH_BYTES: u64 = 1024;

/// What a frame of a function counts against the depth of the call stack, in bytes, a multiple of 16;
/// 0 for one that is not counted.
///
/// `locals` are those that the body mentions, `height` is the most operands on its stack, `operators`
/// the number of all of them, `calls` says if a call is among them (tail calls aside): all facts of the
/// text, so that the depth at which a guest runs out of stack does not depend on a compiler.
///
/// What a frame really takes does. It is made to be the same where it is not more. Where it is, the
/// function lowers the limit ([`crate::vmctx::RT_STACK_LIMIT`]) by the difference while it is active.
/// A frame holds values, and a value that waits in one has taken three operators to be made and used, so
/// a frame never takes [`STACK_RATIO`] times what it counts; stacks are made so large that the limit
/// comes first.
pub const fn frame_depth(locals: u64, height: u64, operators: u64, calls: bool) -> u64 {
    let values = FRAME_DEPTH_BYTES + 8 * (locals + height);
    let text = operators / OPERATORS_PER_DEPTH_BYTE;
    let bytes = if values < text { text } else { values }.next_multiple_of(16);
    if calls || bytes > UNCHECKED_DEPTH_BYTES as u64 { bytes } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_is_a_function_of_the_text() {
        // fib: one local, three operands at most.
        assert_eq!(frame_depth(1, 3, 20, true), 80);
        assert_eq!(frame_depth(1, 3, 20, false), 0);
        assert_eq!(frame_depth(100, 0, 20, false), 848);
        assert_eq!(frame_depth(1, 3, 16_000, false), 2000);
        assert!((0..100).all(|n| frame_depth(n, n, n * 100, true).is_multiple_of(16)));
    }
}
