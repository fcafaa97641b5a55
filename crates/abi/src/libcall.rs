//! The one list of runtime helpers that generated code may call.
//!
//! A helper takes the instance context and up to five integer arguments and returns an integer and
//! a trap flag. Generated code puts the arguments into [`crate::call::LIBCALL_ARGS`], the index of
//! the helper into `rax`, and calls the stub whose address is at [`crate::vmctx::LIBCALL_STUB`];
//! the stub changes to the host's stack, puts the context in front of the arguments and calls.
//! On return the result is in `rax`; callee-saved registers of [`crate::call`] are kept, all others
//! are lost. `-1` is all 64 bits set, so a caller that wants 32 bits truncates. When a helper traps, the stub does not return.

macro_rules! libcalls {
    ($($(#[$doc:meta])* $name:ident / $text:literal ($args:literal -> $results:literal)),* $(,)?) => {
        /// A runtime helper.
        #[derive(Copy, Clone, PartialEq, Eq, Debug, Hash)]
        #[repr(u8)]
        pub enum LibCall { $($(#[$doc])* $name),* }

        impl LibCall {
            /// All helpers, indexed by their discriminants.
            pub const ALL: &'static [LibCall] = &[$(LibCall::$name),*];

            /// The name in listings.
            pub const fn name(self) -> &'static str {
                match self { $(LibCall::$name => $text),* }
            }

            /// The number of integer arguments after the context.
            pub const fn args(self) -> usize {
                match self { $(LibCall::$name => $args),* }
            }

            /// The number of results that mean something: an integer or none.
            pub const fn results(self) -> usize {
                match self { $(LibCall::$name => $results),* }
            }
        }
    };
}

libcalls! {
    /// `(memory, delta) -> old size in pages or -1`.
    MemoryGrow / "memory_grow" (2 -> 1),
    /// `(memory, dst, value, len)`; traps when out of bounds.
    MemoryFill / "memory_fill" (4 -> 0),
    /// `(dst_memory | src_memory << 32, dst, src, len)`; traps when out of bounds.
    MemoryCopy / "memory_copy" (4 -> 0),
    /// `(memory | segment << 32, dst, src, len)`; traps when out of bounds.
    MemoryInit / "memory_init" (4 -> 0),
    /// `(segment)`.
    DataDrop / "data_drop" (1 -> 0),
    /// `(table, init, delta) -> old size or -1`.
    TableGrow / "table_grow" (3 -> 1),
    /// `(table, dst, value, len)`; traps when out of bounds.
    TableFill / "table_fill" (4 -> 0),
    /// `(dst_table | src_table << 32, dst, src, len)`; traps when out of bounds.
    TableCopy / "table_copy" (4 -> 0),
    /// `(table | segment << 32, dst, src, len)`; traps when out of bounds.
    TableInit / "table_init" (4 -> 0),
    /// `(segment)`.
    ElemDrop / "elem_drop" (1 -> 0),
}
