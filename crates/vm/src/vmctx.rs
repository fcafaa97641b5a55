//! The instance context: the record that generated code addresses through `r14`.

use crate::{InstanceData, Memory, Runtime, Table, libcalls, sys};
use runwell_abi::VmctxLayout;
use runwell_abi::vmctx::{
    CONVERT_STUBS, FUEL_STUB, FuncRefDef, HOST_DATA, LIBCALL_STUB, MemoryEntry, RUNTIME,
    SPREAD_STUB, TRUNCATE_STUB, TableDef,
};
use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::ptr::NonNull;

/// One instance's context, zeroed at first and never moved.
///
/// The setters write what generated code will trust, so entering guest code is what carries the
/// safety contract ([`Runtime::invoke`]); writing alone cannot go out of the record.
pub struct Vmctx {
    ptr: NonNull<u8>,
    layout: VmctxLayout,
}

// SAFETY: the record is plain memory owned by this object.
unsafe impl Send for Vmctx {}

impl Vmctx {
    /// A context of this layout for a store; its head is filled in but for the instance.
    pub fn new(layout: &VmctxLayout, runtime: &Runtime) -> Vmctx {
        let bytes = alloc_layout(layout);
        // SAFETY: the size is not zero, since every context has a head.
        let Some(ptr) = NonNull::new(unsafe { alloc_zeroed(bytes) }) else {
            handle_alloc_error(bytes)
        };
        let this = Vmctx { ptr, layout: *layout };
        this.write(RUNTIME, std::ptr::from_ref(runtime));
        this.write(LIBCALL_STUB, libcalls::stub_address());
        this.write(FUEL_STUB, sys::fuel_stub_address());
        this.write(SPREAD_STUB, sys::spread_stub_address());
        this.write(TRUNCATE_STUB, sys::truncate_stub_address());
        for (offset, stub) in CONVERT_STUBS.into_iter().zip(sys::convert_stub_addresses()) {
            this.write(offset, stub);
        }
        this
    }

    /// Its address.
    pub fn as_ptr(&self) -> *mut u8 {
        self.ptr.as_ptr()
    }

    /// Its layout.
    pub fn layout(&self) -> &VmctxLayout {
        &self.layout
    }

    fn at<T>(&self, offset: u32) -> NonNull<T> {
        let end = offset as usize + size_of::<T>();
        assert!(end <= self.layout.size() as usize, "inside of the context");
        // SAFETY: the offset is inside of the allocation.
        unsafe { self.ptr.add(offset as usize).cast() }
    }

    fn write<T>(&self, offset: u32, value: T) {
        let at = self.at::<T>(offset);
        debug_assert!(at.is_aligned());
        // SAFETY: `at` is inside of the record, aligned by the layout; nobody holds references.
        unsafe { at.write(value) };
    }

    /// Sets what helpers find the instance's objects by.
    pub fn set_instance(&self, data: &InstanceData) {
        self.write(HOST_DATA, std::ptr::from_ref(data));
    }

    /// Sets memory `index`, imported or owned.
    pub fn set_memory(&self, index: u32, memory: &Memory) {
        assert!(index < self.layout.counts.memories, "a memory of the context");
        let entry = MemoryEntry { base: memory.base() as u64, def: memory.def().as_ptr() as u64 };
        self.write(self.layout.memory(index), entry);
    }

    /// Base of memory 0, or 0 when there is none: what function references of this context carry.
    pub fn memory_base(&self) -> u64 {
        match self.layout.counts.memories {
            0 => 0,
            // SAFETY: the entry is inside of the record and initialised.
            _ => unsafe { self.at::<MemoryEntry>(self.layout.memory(0)).read().base },
        }
    }

    /// Sets table `index`. An imported one is pointed to; the definition of an own one moves into
    /// the context.
    ///
    /// # Safety
    /// The context outlives every use of an own table, and nobody points to the table's definition
    /// yet.
    pub unsafe fn set_table(&self, index: u32, table: &Table) {
        let counts = &self.layout.counts;
        assert!(index < counts.imported_tables + counts.own_tables, "a table of the context");
        let offset = self.layout.table(index);
        if self.layout.table_is_imported(index) {
            self.write(offset, table.def().as_ptr());
        } else {
            // SAFETY: the contract; the slot is inside of the record.
            unsafe { table.place_def(self.at::<TableDef>(offset)) };
        }
    }

    /// Points imported global `index` to its cell.
    pub fn set_imported_global(&self, index: u32, cell: NonNull<u128>) {
        assert!(self.layout.global_is_imported(index), "an imported global");
        self.write(self.layout.global(index), cell);
    }

    /// The 16-byte cell of global `index`, wherever it is.
    ///
    /// # Panics
    /// When there is no such global, or it is imported and not set.
    pub fn global(&self, index: u32) -> NonNull<u128> {
        let counts = &self.layout.counts;
        assert!(index < counts.imported_globals + counts.own_globals, "a global of the context");
        let offset = self.layout.global(index);
        if self.layout.global_is_imported(index) {
            // SAFETY: the slot is inside of the record and holds zero or a pointer.
            let cell = unsafe { self.at::<Option<NonNull<u128>>>(offset).read() };
            cell.expect("the import is set")
        } else {
            self.at(offset)
        }
    }

    /// Points imported function `index` to its record.
    pub fn set_imported_func(&self, index: u32, func: NonNull<FuncRefDef>) {
        assert!(index < self.layout.counts.imported_funcs, "an imported function");
        self.write(self.layout.imported_func(index), func);
    }

    /// The record that imported function `index` points to.
    ///
    /// # Panics
    /// When there is no such function, or it is not set.
    pub fn imported_func(&self, index: u32) -> NonNull<FuncRefDef> {
        assert!(index < self.layout.counts.imported_funcs, "an imported function");
        let at = self.at::<Option<NonNull<FuncRefDef>>>(self.layout.imported_func(index));
        // SAFETY: the slot is inside of the record and holds zero or a pointer.
        unsafe { at.read() }.expect("the import is set")
    }

    /// Sets the record of escaped function number `escaped`: its code and type. Call it after
    /// memory 0 is set.
    pub fn set_escaped_func(&self, escaped: u32, code: u64, type_id: u32) {
        let def = FuncRefDef {
            code,
            vmctx: self.as_ptr() as u64,
            memory_base: self.memory_base(),
            type_id,
            pad: 0,
        };
        // SAFETY: the slot is inside of the record and nobody holds references.
        unsafe { self.escaped_func(escaped).write(def) };
    }

    /// The record of escaped function number `escaped`.
    pub fn escaped_func(&self, escaped: u32) -> NonNull<FuncRefDef> {
        assert!(escaped < self.layout.counts.escaped_funcs, "an escaped function");
        self.at(self.layout.escaped_func(escaped))
    }

    /// Sets the engine-wide number of type `index`.
    pub fn set_type_id(&self, index: u32, id: u32) {
        assert!(index < self.layout.counts.types, "a type of the context");
        self.write(self.layout.type_id(index), id);
    }
}

fn alloc_layout(layout: &VmctxLayout) -> Layout {
    Layout::from_size_align(layout.size() as usize, 16).expect("below 2 GiB")
}

impl Drop for Vmctx {
    fn drop(&mut self) {
        // SAFETY: allocated with the same layout, freed once.
        unsafe { dealloc(self.ptr.as_ptr(), alloc_layout(&self.layout)) };
    }
}
