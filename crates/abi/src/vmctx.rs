//! The layout of the instance context (vmctx), the record that `r14` points to.
//!
//! A fixed head is followed by arrays whose lengths follow from the module. Offsets are `u32` and
//! relative to the head. Everything an instance *owns* is inline, so that the most frequent
//! accesses (a module's own globals and tables) take one instruction; everything *imported* is one
//! pointer to the owner's inline record. A context never moves while its store lives.
//!
//! | array | entry |
//! |---|---|
//! | memories | [`MemoryEntry`]: base, pointer to [`MemoryDef`]; owned and imported alike, since a base never changes |
//! | imported tables | pointer to [`TableDef`] |
//! | own tables | [`TableDef`] |
//! | imported globals | pointer to the 16-byte cell |
//! | own globals | 16-byte cell |
//! | imported functions | pointer to [`FuncRefDef`] |
//! | own functions that escape | [`FuncRefDef`] |
//! | types | `u32`, the engine-wide number of the canonical type |

/// Pointer to the store's runtime record.
pub const RUNTIME: u32 = 0;
/// Address of the stub that code goes to when its fuel does not suffice.
pub const FUEL_STUB: u32 = 8;
/// Address of the helper stub, see [`crate::libcall`].
pub const LIBCALL_STUB: u32 = 16;
/// Pointer that belongs to the runtime: the instance, opaque to generated code.
pub const HOST_DATA: u32 = 24;
/// Address of the stub that loads a call's arguments, see [`SpreadCode`](crate::call::SpreadCode).
pub const SPREAD_STUB: u32 = 32;
/// Address of the stub that converts a double in the scratch register for floats to an unsigned 64-bit
/// integer in the one for integers, saturating. It changes nothing else but flags: the carry flag says that
/// the number is out of range, and then the parity flag that it is none.
pub const TRUNCATE_STUB: u32 = 40;
/// Addresses of the stubs that convert an unsigned 64-bit integer in the scratch register for integers to a
/// single and to a double in the one for floats. The integer is lost, and so are flags.
pub const CONVERT_STUBS: [u32; 2] = [48, 56];
/// Size of the fixed head.
pub const HEAD_BYTES: u32 = 64;

/// Runtime record: guest stack pointer, saved while host code runs.
pub const RT_GUEST_SP: u32 = 0;
/// Runtime record: host stack pointer to change to when guest code calls out.
pub const RT_HOST_SP: u32 = 8;
/// Runtime record: pointer to the table of helpers, indexed by [`crate::LibCall`].
pub const RT_LIBCALLS: u32 = 16;
/// Runtime record: the context of the innermost guest frame below a host call.
pub const RT_VMCTX: u32 = 24;
/// Runtime record: while host code runs, the guest stack address that holds the return address
/// into the innermost guest frame.
pub const RT_EXIT_SP: u32 = 32;
/// Runtime record: the host's MXCSR (32 bits), in force while host code runs.
pub const RT_HOST_MXCSR: u32 = 40;
/// Runtime record: the fuel left, while guest code does not run.
pub const RT_FUEL: u32 = 48;
/// Runtime record: the lowest address the stack pointer may take in a function that is counted.
/// Functions whose frame takes more than it counts (see [`crate::memory::frame_depth`]) subtract the
/// difference when they are entered and add it when they are left; the runtime puts the limit back when
/// an activation ends early.
pub const RT_STACK_LIMIT: u32 = 56;
/// Runtime record: first byte of the transfer buffer, cells of 16 bytes.
pub const RT_TRANSFER: u32 = 64;

/// Record of a host function: pointer to the store's runtime record, as in a context.
pub const HOST_FUNC_RUNTIME: u32 = RUNTIME;
/// Record of a host function: address of the host code that the runtime's stub calls.
pub const HOST_FUNC_DISPATCH: u32 = 8;

/// One memory as a context sees it.
#[derive(Copy, Clone, Debug)]
#[repr(C)]
pub struct MemoryEntry {
    /// Address of its first byte. Never changes, also when the memory grows.
    pub base: u64,
    /// Address of its [`MemoryDef`].
    pub def: u64,
}

/// The part of a memory that generated code reads.
#[derive(Copy, Clone, Debug)]
#[repr(C)]
pub struct MemoryDef {
    /// Address of its first byte.
    pub base: u64,
    /// Current length in bytes.
    pub len: u64,
}

/// The part of a table that generated code reads.
#[derive(Copy, Clone, Debug)]
#[repr(C)]
pub struct TableDef {
    /// Address of the first element; elements are 8 bytes. Never changes, also when the table grows.
    pub base: u64,
    /// Current length in elements.
    pub len: u64,
}

/// What a function reference points to.
#[derive(Copy, Clone, Debug)]
#[repr(C)]
pub struct FuncRefDef {
    /// Address of the code.
    pub code: u64,
    /// The context the code runs with: an instance's, or a host function's record.
    pub vmctx: u64,
    /// Base of memory 0 of that context, 0 when it has none.
    pub memory_base: u64,
    /// The engine-wide number of the canonical type.
    pub type_id: u32,
    /// Zero.
    pub pad: u32,
}

/// Offset of [`MemoryEntry::base`].
pub const MEMORY_ENTRY_BASE: u32 = 0;
/// Offset of [`MemoryEntry::def`].
pub const MEMORY_ENTRY_DEF: u32 = 8;
/// Offset of [`MemoryDef::len`].
pub const MEMORY_DEF_LEN: u32 = 8;
/// Offset of [`TableDef::base`].
pub const TABLE_BASE: u32 = 0;
/// Offset of [`TableDef::len`].
pub const TABLE_LEN: u32 = 8;
/// Offset of [`FuncRefDef::code`].
pub const FUNC_CODE: u32 = 0;
/// Offset of [`FuncRefDef::vmctx`].
pub const FUNC_VMCTX: u32 = 8;
/// Offset of [`FuncRefDef::memory_base`].
pub const FUNC_MEMORY: u32 = 16;
/// Offset of [`FuncRefDef::type_id`].
pub const FUNC_TYPE: u32 = 24;
/// Size of [`FuncRefDef`].
pub const FUNC_BYTES: u32 = 32;

const _: () = {
    use core::mem::{offset_of, size_of};
    assert!(offset_of!(MemoryEntry, base) == MEMORY_ENTRY_BASE as usize);
    assert!(offset_of!(MemoryEntry, def) == MEMORY_ENTRY_DEF as usize);
    assert!(offset_of!(MemoryDef, len) == MEMORY_DEF_LEN as usize);
    assert!(offset_of!(TableDef, base) == TABLE_BASE as usize);
    assert!(offset_of!(TableDef, len) == TABLE_LEN as usize);
    assert!(offset_of!(FuncRefDef, code) == FUNC_CODE as usize);
    assert!(offset_of!(FuncRefDef, vmctx) == FUNC_VMCTX as usize);
    assert!(offset_of!(FuncRefDef, memory_base) == FUNC_MEMORY as usize);
    assert!(offset_of!(FuncRefDef, type_id) == FUNC_TYPE as usize);
    assert!(size_of::<FuncRefDef>() == FUNC_BYTES as usize);
    assert!(size_of::<MemoryEntry>() == 16 && size_of::<TableDef>() == 16);
};

/// The numbers a context's layout follows from.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default)]
pub struct VmctxCounts {
    /// Memories, imported ones first.
    pub memories: u32,
    /// Imported tables.
    pub imported_tables: u32,
    /// Tables the module defines.
    pub own_tables: u32,
    /// Imported globals.
    pub imported_globals: u32,
    /// Globals the module defines.
    pub own_globals: u32,
    /// Imported functions.
    pub imported_funcs: u32,
    /// Functions the module defines that escape: exported, in an element segment or named by
    /// `ref.func`.
    pub escaped_funcs: u32,
    /// Function types.
    pub types: u32,
}

/// Where each array of a context starts, in bytes from the head.
///
/// Module limits keep every count below 2^24, so offsets fit `u32` and, as signed displacements,
/// `i32`.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default)]
pub struct VmctxLayout {
    /// The numbers it follows from.
    pub counts: VmctxCounts,
    memories: u32,
    imported_tables: u32,
    own_tables: u32,
    imported_globals: u32,
    own_globals: u32,
    imported_funcs: u32,
    escaped_funcs: u32,
    types: u32,
    size: u32,
}

impl VmctxLayout {
    /// Lays out a context.
    ///
    /// # Panics
    /// When the arrays exceed 2^31 bytes, which module limits exclude.
    pub fn new(counts: VmctxCounts) -> VmctxLayout {
        let mut at = u64::from(HEAD_BYTES);
        let mut array = |count: u32, bytes: u64| {
            let start = at;
            at += u64::from(count) * bytes;
            assert!(at < 1 << 31, "the instance context exceeds 2 GiB");
            start as u32
        };
        let memories = array(counts.memories, 16);
        let own_tables = array(counts.own_tables, 16);
        let own_globals = array(counts.own_globals, 16);
        let imported_tables = array(counts.imported_tables, 8);
        let imported_globals = array(counts.imported_globals, 8);
        let imported_funcs = array(counts.imported_funcs, 8);
        let escaped_funcs = array(counts.escaped_funcs, u64::from(FUNC_BYTES));
        let types = array(counts.types, 4);
        let size = array(0, 0).next_multiple_of(16);
        VmctxLayout {
            counts,
            memories,
            imported_tables,
            own_tables,
            imported_globals,
            own_globals,
            imported_funcs,
            escaped_funcs,
            types,
            size,
        }
    }

    /// Size of the context in bytes, a multiple of 16.
    pub fn size(&self) -> u32 {
        self.size
    }

    /// Offset of the [`MemoryEntry`] of memory `index`.
    pub fn memory(&self, index: u32) -> u32 {
        self.memories + 16 * index
    }

    /// True when table `index` is imported: its offset then holds a pointer to the [`TableDef`].
    pub fn table_is_imported(&self, index: u32) -> bool {
        index < self.counts.imported_tables
    }

    /// Offset of table `index`: of the [`TableDef`], or of the pointer to it when imported.
    pub fn table(&self, index: u32) -> u32 {
        match index.checked_sub(self.counts.imported_tables) {
            None => self.imported_tables + 8 * index,
            Some(own) => self.own_tables + 16 * own,
        }
    }

    /// True when global `index` is imported: its offset then holds a pointer to the cell.
    pub fn global_is_imported(&self, index: u32) -> bool {
        index < self.counts.imported_globals
    }

    /// Offset of global `index`: of the cell, or of the pointer to it when imported.
    pub fn global(&self, index: u32) -> u32 {
        match index.checked_sub(self.counts.imported_globals) {
            None => self.imported_globals + 8 * index,
            Some(own) => self.own_globals + 16 * own,
        }
    }

    /// Offset of the pointer to the [`FuncRefDef`] of imported function `index`.
    pub fn imported_func(&self, index: u32) -> u32 {
        self.imported_funcs + 8 * index
    }

    /// Offset of the [`FuncRefDef`] of escaped function number `escaped`.
    pub fn escaped_func(&self, escaped: u32) -> u32 {
        self.escaped_funcs + FUNC_BYTES * escaped
    }

    /// Offset of the canonical number of type `index`.
    pub fn type_id(&self, index: u32) -> u32 {
        self.types + 4 * index
    }
}
