//! Tables of references.
//!
//! Elements are 8 bytes: the address of a function reference record or the handle of an external
//! reference, 0 when null. The elements never move: a table has the address space of its largest
//! size from the start, which costs nothing until it is touched. System calls for each would be
//! most of the cost of a small instance, though, so small tables live on the heap, and the address
//! space of tables without a declared maximum, whose size is always the same, is recycled through a
//! bounded pool. Invariant: pooled address space reads as zero.
//!
//! The definition that generated code reads is inside of the context of the instance that owns the
//! table, so [`Table::place_def`] can move it there.

use crate::Error;
use crate::memory::part;
use crate::mmap::{Access, Mmap, OS_PAGE_BYTES};
use crate::watch::touched;
use runwell_abi::TrapCode;
use runwell_abi::vmctx::TableDef;
use std::cell::{Cell, UnsafeCell};
use std::ptr::NonNull;
use std::sync::{Mutex, PoisonError};

/// The most elements a table may have when nothing else is said.
pub const DEFAULT_QUOTA_ELEMENTS: u64 = 10_000_000;
/// Tables that cannot get larger than this live on the heap.
const HEAP_ELEMENTS: u64 = 1024;

/// The type of a table: its limits in elements and the width of its indices.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default)]
pub struct TableType {
    /// Elements at the start.
    pub min: u64,
    /// The most elements, as declared.
    pub max: Option<u64>,
    /// Indices have 64 bits.
    pub is64: bool,
}

/// The most mappings kept.
const POOLED_MAPS: usize = 64;
/// Up to this many bytes of a table are zeroed by writing, which keeps their memory; of larger ones
/// the memory is given back.
const WARM_BYTES: usize = 32 << 10;
/// Length of the mappings that are recycled.
const POOLED_MAP_BYTES: usize =
    (DEFAULT_QUOTA_ELEMENTS as usize * 8).next_multiple_of(OS_PAGE_BYTES);

static POOL: Mutex<Vec<Mmap>> = Mutex::new(Vec::new());

enum Backing {
    Heap(Box<[UnsafeCell<u64>]>),
    Map(Mmap),
}

/// A table. Lives behind [`crate::Owned`] because contexts point to its definition.
pub struct Table {
    own_def: UnsafeCell<TableDef>,
    /// Where the definition is: `own_def`, or in the owner's context.
    def: Cell<*mut TableDef>,
    ty: TableType,
    /// The most elements it can have here.
    limit: u64,
    /// Its length so far: elements behind have never been written.
    written: Cell<u64>,
    backing: Backing,
}

// SAFETY: the raw pointers lead into what the table owns, or into the context of its owner, which
// moves between threads together with the table.
unsafe impl Send for Table {}

/// A mapping that reads as zero, recycled if there is one.
fn take_map(bytes: usize) -> Result<Mmap, Error> {
    let pooled = if bytes.checked_next_multiple_of(OS_PAGE_BYTES) == Some(POOLED_MAP_BYTES) {
        POOL.lock().unwrap_or_else(PoisonError::into_inner).pop()
    } else {
        None
    };
    pooled.map_or_else(|| Mmap::new(bytes, Access::ReadWrite), Ok)
}

impl Drop for Table {
    fn drop(&mut self) {
        // The definition may be in a context that is gone; the length here is what counts.
        let written = self.written.get() as usize * 8;
        let Backing::Map(map) = std::mem::replace(&mut self.backing, Backing::Heap(Box::default()))
        else {
            return;
        };
        if map.len() != POOLED_MAP_BYTES {
            return;
        }
        if written <= WARM_BYTES {
            // SAFETY: the bytes are inside of the mapping, which nobody uses any more.
            unsafe { std::ptr::write_bytes(map.base().as_ptr(), 0, written) };
        } else {
            let touched = written.next_multiple_of(OS_PAGE_BYTES);
            // SAFETY: as above.
            if unsafe { map.discard(0, touched) }.is_err() {
                return;
            }
        }
        let mut pool = POOL.lock().unwrap_or_else(PoisonError::into_inner);
        if pool.len() < POOLED_MAPS {
            pool.push(map);
        } else {
            // Unmapping takes long; others should not wait for it.
            drop(pool);
            drop(map);
        }
    }
}

impl Table {
    /// A table of `ty.min` elements `init` which never gets larger than `quota` elements.
    ///
    /// # Errors
    /// When the minimum exceeds the quota, or the system gives no address space.
    pub fn new(ty: TableType, init: u64, quota: u64) -> Result<Table, Error> {
        let limit = ty.max.unwrap_or(u64::MAX).min(quota);
        if ty.min > limit {
            return Err(Error::Limit { what: "elements of a table", wanted: ty.min, limit });
        }
        let (backing, base) = if limit <= HEAP_ELEMENTS {
            let elements: Box<[UnsafeCell<u64>]> = (0..limit).map(|_| UnsafeCell::new(0)).collect();
            let base = elements.as_ptr() as u64;
            (Backing::Heap(elements), base)
        } else {
            let bytes = usize::try_from(limit).ok().and_then(|limit| limit.checked_mul(8));
            let map = take_map(bytes.unwrap_or(usize::MAX))?;
            let base = map.base().as_ptr() as u64;
            (Backing::Map(map), base)
        };
        let table = Table {
            own_def: UnsafeCell::new(TableDef { base, len: ty.min }),
            def: Cell::new(std::ptr::null_mut()),
            ty,
            limit,
            written: Cell::new(ty.min),
            backing,
        };
        if init != 0 {
            table.write_run(0, init, ty.min);
        }
        Ok(table)
    }

    /// Its type as declared.
    pub fn ty(&self) -> TableType {
        self.ty
    }

    fn def_ptr(&self) -> *mut TableDef {
        // `own_def` moves with the table until it is put behind `Owned`, so it has no fixed address
        // to be stored before.
        if self.def.get().is_null() { self.own_def.get() } else { self.def.get() }
    }

    /// What generated code reads. Stays where it is until [`Table::place_def`].
    pub fn def(&self) -> NonNull<TableDef> {
        // SAFETY: neither case of `def_ptr` is null.
        unsafe { NonNull::new_unchecked(self.def_ptr()) }
    }

    /// Moves the definition to `slot`, the table's place in the context of its owner.
    ///
    /// # Safety
    /// `slot` is writable and outlives every use of the table; nobody else has used [`Table::def`]
    /// yet.
    pub unsafe fn place_def(&self, slot: NonNull<TableDef>) {
        // SAFETY: the definition is valid, and the slot is by contract.
        unsafe { slot.write(*self.def_ptr()) };
        self.def.set(slot.as_ptr());
    }

    fn elements(&self) -> *mut u64 {
        match &self.backing {
            Backing::Heap(elements) => UnsafeCell::raw_get(elements.as_ptr()),
            Backing::Map(map) => map.base().as_ptr().cast(),
        }
    }

    /// Length in elements.
    pub fn len(&self) -> u64 {
        // SAFETY: the definition is valid, and only this table's thread uses it.
        unsafe { (*self.def_ptr()).len }
    }

    /// True when it has no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The element at `index`.
    pub fn get(&self, index: u64) -> Option<u64> {
        // SAFETY: the index is inside.
        (index < self.len()).then(|| unsafe { *self.elements().add(index as usize) })
    }

    /// The elements that are not null, ascending, each behind its index. No element may be written
    /// meanwhile.
    ///
    /// # Complexity
    /// Of a large table the pages that were ever touched are read, where the kernel tells which these are.
    pub fn non_null(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        const PER_PAGE: u64 = OS_PAGE_BYTES as u64 / 8;
        let pages = match &self.backing {
            Backing::Heap(_) => std::iter::once(0..self.len().div_ceil(PER_PAGE)).collect(),
            Backing::Map(map) => {
                let base = map.base().as_ptr() as u64;
                touched(base, base + (self.len() * 8).next_multiple_of(OS_PAGE_BYTES as u64))
            }
        };
        let elements =
            pages.into_iter().flat_map(|pages| pages.start * PER_PAGE..pages.end * PER_PAGE);
        // Behind the end there is nothing.
        elements.filter_map(|at| Some((at, self.get(at)?))).filter(|&(_, element)| element != 0)
    }

    /// Writes an element.
    ///
    /// # Errors
    /// `TableOutOfBounds`.
    pub fn set(&self, index: u64, value: u64) -> Result<(), TrapCode> {
        self.fill(index, value, 1)
    }

    /// Writes `value` to elements that are inside of the backing.
    fn write_run(&self, at: u64, value: u64, len: u64) {
        for i in at..at + len {
            // SAFETY: callers checked the range.
            unsafe { *self.elements().add(i as usize) = value };
        }
    }

    /// Whether `len` elements at `at` are inside.
    ///
    /// # Errors
    /// `TableOutOfBounds` if not.
    pub fn check(&self, at: u64, len: u64) -> Result<(), TrapCode> {
        match at.checked_add(len) {
            Some(end) if end <= self.len() => Ok(()),
            _ => Err(TrapCode::TableOutOfBounds),
        }
    }

    /// Grows by `delta` elements `init` and gives the old size, or `None` when limits exclude it.
    pub fn grow(&self, delta: u64, init: u64) -> Option<u64> {
        let old = self.len();
        let new = old.checked_add(delta).filter(|&new| new <= self.limit)?;
        self.written.set(new);
        if init != 0 {
            self.write_run(old, init, delta);
        }
        // SAFETY: as in `len`.
        unsafe { (*self.def_ptr()).len = new };
        Some(old)
    }

    /// `table.fill`.
    ///
    /// # Errors
    /// `TableOutOfBounds`, and nothing is written.
    pub fn fill(&self, at: u64, value: u64, len: u64) -> Result<(), TrapCode> {
        self.check(at, len)?;
        self.write_run(at, value, len);
        Ok(())
    }

    /// `table.copy` from `src`, which may be the same table.
    ///
    /// # Errors
    /// `TableOutOfBounds`, and nothing is written.
    pub fn copy_from(&self, at: u64, src: &Table, from: u64, len: u64) -> Result<(), TrapCode> {
        src.check(from, len)?;
        self.check(at, len)?;
        // SAFETY: both ranges were checked; `copy` allows overlap.
        unsafe {
            let from = src.elements().add(from as usize);
            std::ptr::copy(from, self.elements().add(at as usize), len as usize);
        }
        Ok(())
    }

    /// `table.init` from a segment's elements.
    ///
    /// # Errors
    /// `TableOutOfBounds` when either range is, and nothing is written.
    pub fn init(&self, at: u64, segment: &[u64], from: u64, len: u64) -> Result<(), TrapCode> {
        let values = part(segment, from, len).ok_or(TrapCode::TableOutOfBounds)?;
        self.check(at, len)?;
        // SAFETY: the destination was checked.
        unsafe {
            let to = self.elements().add(at as usize);
            std::ptr::copy_nonoverlapping(values.as_ptr(), to, values.len());
        }
        Ok(())
    }
}
