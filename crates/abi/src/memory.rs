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

/// A function whose frame is at most this large and that calls nothing (helpers apart) may leave
/// out the stack check: this much, and room for the runtime's stubs and for signal frames, lies
/// below [`crate::vmctx::STACK_LIMIT`].
pub const STACK_RED_ZONE_BYTES: u32 = 16 << 10;
