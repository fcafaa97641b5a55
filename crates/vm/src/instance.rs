//! What the helpers of generated code need to know of an instance.

use crate::{Memory, Table};
use runwell_abi::vmctx::HOST_DATA;
use std::cell::Cell;
use std::ops::Range;
use std::ptr::NonNull;
use std::sync::Arc;

/// A data segment: a part of bytes that all instances of a module share.
pub struct DataSegment {
    bytes: Arc<[u8]>,
    start: usize,
    len: Cell<usize>,
}

impl DataSegment {
    /// The segment of `bytes` at `range`.
    ///
    /// # Panics
    /// When the range is not inside.
    pub fn new(bytes: Arc<[u8]>, range: Range<usize>) -> DataSegment {
        let len = bytes[range.clone()].len();
        DataSegment { bytes, start: range.start, len: Cell::new(len) }
    }

    /// Its bytes; none once dropped.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[self.start..self.start + self.len.get()]
    }

    /// `data.drop`.
    pub fn drop_bytes(&self) {
        self.len.set(0);
    }
}

/// An element segment: its elements as a table of this store holds them.
pub struct ElemSegment {
    elements: Box<[u64]>,
    dropped: Cell<bool>,
}

impl ElemSegment {
    /// A segment with these elements.
    pub fn new(elements: Box<[u64]>) -> ElemSegment {
        ElemSegment { elements, dropped: Cell::new(false) }
    }

    /// Its elements; none once dropped.
    pub fn elements(&self) -> &[u64] {
        if self.dropped.get() { &[] } else { &self.elements }
    }

    /// `elem.drop`.
    pub fn drop_elements(&self) {
        self.dropped.set(true);
    }
}

/// What a context's `HOST_DATA` points to. Lives behind [`crate::Owned`].
///
/// Invariant: the memories and tables live at least as long as guest code of the instance may run.
pub struct InstanceData {
    /// Memories by index, imported ones first.
    pub memories: Box<[NonNull<Memory>]>,
    /// Tables by index, imported ones first.
    pub tables: Box<[NonNull<Table>]>,
    /// Data segments by index.
    pub data: Box<[DataSegment]>,
    /// Element segments by index.
    pub elems: Box<[ElemSegment]>,
    /// Whatever the embedding layer wants to find by a context, e.g. the instance's index.
    pub owner: u64,
}

// SAFETY: the pointers lead to objects of the same store, which moves between threads as a whole.
unsafe impl Send for InstanceData {}

impl InstanceData {
    /// The data of the instance that `vmctx` belongs to.
    ///
    /// # Safety
    /// `vmctx` is a context on which [`crate::Vmctx::set_instance`] was called with data that lives
    /// for `'a`.
    pub unsafe fn of<'a>(vmctx: *mut u8) -> &'a InstanceData {
        // SAFETY: the contract.
        unsafe { &**vmctx.add(HOST_DATA as usize).cast::<*const InstanceData>() }
    }

    /// Memory `index`.
    ///
    /// # Safety
    /// The invariant of [`InstanceData`] holds for `self`.
    ///
    /// # Panics
    /// When there is no such memory.
    pub unsafe fn memory(&self, index: usize) -> &Memory {
        // SAFETY: the contract; memories are only ever shared.
        unsafe { self.memories[index].as_ref() }
    }

    /// Table `index`.
    ///
    /// # Safety
    /// The invariant of [`InstanceData`] holds for `self`.
    ///
    /// # Panics
    /// When there is no such table.
    pub unsafe fn table(&self, index: usize) -> &Table {
        // SAFETY: the contract; tables are only ever shared.
        unsafe { self.tables[index].as_ref() }
    }
}
