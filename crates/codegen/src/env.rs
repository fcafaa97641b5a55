//! What code generation knows of the module around a function.

use runwell_abi::{Target, Type, VmctxLayout};

/// How the accesses to one memory are checked.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct MemoryPlan {
    /// True if addresses are 64 bits wide.
    pub memory64: bool,
    /// True if the memory lies in a reservation that makes every 32-bit address plus a static
    /// offset below the guard size fault by itself. Otherwise each access is compared with the
    /// current length.
    pub guarded: bool,
    /// Bytes that are always there: the declared minimum.
    pub min_bytes: u64,
}

/// What is known of one table.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct TablePlan {
    /// True if indices are 64 bits wide.
    pub table64: bool,
    /// The type of its elements.
    pub element: Type,
}

/// The module as code generation sees it.
#[derive(Clone, Debug)]
pub struct ModuleEnv {
    /// For which machine.
    pub target: Target,
    /// Offsets in the instance context.
    pub layout: VmctxLayout,
    /// Memories, imported ones first.
    pub memories: Vec<MemoryPlan>,
    /// Tables, imported ones first.
    pub tables: Vec<TablePlan>,
    /// Number of imported functions; lower function indices are imports.
    pub imported_funcs: u32,
    /// For each function its number among the escaped ones (see `VmctxCounts::escaped_funcs`), or
    /// `u32::MAX`; imported functions have none.
    pub escaped: Vec<u32>,
    /// True if the code charges fuel.
    pub metered: bool,
    /// True if NaNs are left as the processor makes them, to measure what it costs not to.
    pub raw_nans: bool,
    /// True if any function of the module has a tail call through an import, a table or a
    /// reference: a callee may then return with the registers of another instance, and every call
    /// restores the caller's.
    pub tail_calls_leave: bool,
}
