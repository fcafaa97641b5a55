//! Linear memories.
//!
//! A memory is a reservation whose base never moves. A 32-bit memory has the whole range of its
//! addresses and a guard behind it ([`runwell_abi::memory`]), so that its accesses need no checks.
//! A 64-bit memory reserves what it may grow to, at most a quota. Growth only changes page
//! protections and the length in the [`MemoryDef`], which generated code reads.
//!
//! Invariant: the first `len` bytes are accessible, everything behind them in the reservation is
//! not.

use crate::Error;
use crate::reservation::Reservation;
use crate::watch::{Pages, Reader, Watch};
use runwell_abi::TrapCode;
use runwell_abi::memory::{MAX_PAGES_32, PAGE_BYTES, RESERVED_BYTES_32};
use runwell_abi::vmctx::MemoryDef;
use std::cell::{RefCell, UnsafeCell};
use std::ptr::NonNull;

/// The bytes a 64-bit memory may have when nothing else is said.
pub const DEFAULT_QUOTA_64_BYTES: u64 = 16 << 30;

/// The type of a memory: its limits in pages of 64 KiB and the width of its addresses.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default)]
pub struct MemoryType {
    /// Pages at the start.
    pub min: u64,
    /// The most pages, as declared.
    pub max: Option<u64>,
    /// Addresses have 64 bits.
    pub is64: bool,
}

/// A linear memory. Lives behind [`crate::Owned`] because contexts point to its definition.
pub struct Memory {
    def: UnsafeCell<MemoryDef>,
    ty: MemoryType,
    /// The most pages it can have here.
    limit_pages: u64,
    /// Which pages have been written, once somebody has asked. Dropped before the reservation.
    watch: RefCell<Option<Watch>>,
    reservation: RefCell<Reservation>,
}

// SAFETY: the raw base pointer leads into the reservation that the memory owns.
unsafe impl Send for Memory {}

impl Memory {
    /// A zeroed memory of `ty.min` pages which never gets larger than `quota_bytes`.
    ///
    /// # Errors
    /// When the minimum exceeds the quota, or the system gives no address space.
    pub fn new(ty: MemoryType, quota_bytes: u64) -> Result<Memory, Error> {
        let declared = ty.max.unwrap_or(u64::MAX);
        let widest = if ty.is64 { u64::MAX } else { MAX_PAGES_32 };
        let limit_pages = declared.min(widest).min(quota_bytes / PAGE_BYTES);
        if ty.min > limit_pages {
            return Err(Error::Limit {
                what: "pages of a memory",
                wanted: ty.min,
                limit: limit_pages,
            });
        }
        // An inaccessible page behind a 64-bit memory catches what checks should have caught.
        let reserved =
            if ty.is64 { (limit_pages + 1).saturating_mul(PAGE_BYTES) } else { RESERVED_BYTES_32 };
        let len = ty.min * PAGE_BYTES;
        let reservation = Reservation::new(reserved, len)?;
        let base = reservation.base().as_ptr() as u64;
        Ok(Memory {
            def: UnsafeCell::new(MemoryDef { base, len }),
            ty,
            limit_pages,
            watch: RefCell::new(None),
            reservation: RefCell::new(reservation),
        })
    }

    /// Its type as declared.
    pub fn ty(&self) -> MemoryType {
        self.ty
    }

    /// What generated code reads.
    pub fn def(&self) -> NonNull<MemoryDef> {
        // SAFETY: the address of a field is not null.
        unsafe { NonNull::new_unchecked(self.def.get()) }
    }

    /// Address of the first byte; it never changes.
    pub fn base(&self) -> *mut u8 {
        // SAFETY: only this memory's thread reads and writes the definition, by value.
        unsafe { (*self.def.get()).base as *mut u8 }
    }

    /// Length in bytes.
    pub fn len(&self) -> u64 {
        // SAFETY: as in `base`.
        unsafe { (*self.def.get()).len }
    }

    /// True when it has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Length in pages.
    pub fn pages(&self) -> u64 {
        self.len() / PAGE_BYTES
    }

    /// Grows by `delta` pages and gives the old size, or `None` when limits exclude it.
    ///
    /// # Errors
    /// When limits allow it but the system does not; the size is then unchanged.
    pub fn grow(&self, delta: u64) -> Result<Option<u64>, Error> {
        let old = self.pages();
        let Some(new) = old.checked_add(delta).filter(|&new| new <= self.limit_pages) else {
            return Ok(None);
        };
        let len = new * PAGE_BYTES;
        self.reservation.borrow_mut().commit(len)?;
        // SAFETY: as in `base`; the bytes below `len` are accessible now.
        unsafe { (*self.def.get()).len = len };
        Ok(Some(old))
    }

    /// The pages of 4 KiB that may have been written since `reader` asked last, ascending; at first those
    /// that may be anything but zero. See [`crate::watch`].
    pub fn written(&self, reader: Reader) -> Pages {
        let mut watch = self.watch.borrow_mut();
        let watch =
            watch.get_or_insert_with(|| Watch::new(self.base(), self.reservation.borrow().len()));
        watch.written(reader, self.len())
    }

    /// The contents.
    ///
    /// # Safety
    /// While the slice lives, no guest code runs on this memory and nobody writes to it.
    pub unsafe fn data(&self) -> &[u8] {
        // SAFETY: the first `len` bytes are accessible; the caller excludes writers.
        unsafe { std::slice::from_raw_parts(self.base(), self.len() as usize) }
    }

    /// The contents, writable.
    ///
    /// # Safety
    /// While the slice lives, no guest code runs on this memory and nobody else accesses it.
    #[allow(clippy::mut_from_ref)]
    pub unsafe fn data_mut(&self) -> &mut [u8] {
        // SAFETY: the first `len` bytes are accessible; the caller excludes everybody else.
        unsafe { std::slice::from_raw_parts_mut(self.base(), self.len() as usize) }
    }

    /// The address of `len` bytes at `at`, if all of them are inside.
    fn range(&self, at: u64, len: u64) -> Result<*mut u8, TrapCode> {
        match at.checked_add(len) {
            // SAFETY: `at` is at most the length.
            Some(end) if end <= self.len() => Ok(unsafe { self.base().add(at as usize) }),
            _ => Err(TrapCode::MemoryOutOfBounds),
        }
    }

    /// Whether `len` bytes at `at` are inside.
    ///
    /// # Errors
    /// `MemoryOutOfBounds` if not.
    pub fn check(&self, at: u64, len: u64) -> Result<(), TrapCode> {
        self.range(at, len).map(|_| ())
    }

    /// Copies `into.len()` bytes out of the memory.
    ///
    /// # Errors
    /// `MemoryOutOfBounds`, and nothing is copied.
    pub fn read(&self, at: u64, into: &mut [u8]) -> Result<(), TrapCode> {
        let from = self.range(at, into.len() as u64)?;
        // SAFETY: the source was checked; `copy` allows any overlap.
        unsafe { std::ptr::copy(from, into.as_mut_ptr(), into.len()) };
        Ok(())
    }

    /// Copies `bytes` into the memory.
    ///
    /// # Errors
    /// `MemoryOutOfBounds`, and nothing is copied.
    pub fn write(&self, at: u64, bytes: &[u8]) -> Result<(), TrapCode> {
        let to = self.range(at, bytes.len() as u64)?;
        // SAFETY: the destination was checked.
        unsafe { std::ptr::copy(bytes.as_ptr(), to, bytes.len()) };
        Ok(())
    }

    /// `memory.fill`.
    ///
    /// # Errors
    /// `MemoryOutOfBounds`, and nothing is written.
    pub fn fill(&self, at: u64, value: u8, len: u64) -> Result<(), TrapCode> {
        let to = self.range(at, len)?;
        // SAFETY: the range was checked.
        unsafe { std::ptr::write_bytes(to, value, len as usize) };
        Ok(())
    }

    /// `memory.copy` from `src`, which may be the same memory.
    ///
    /// # Errors
    /// `MemoryOutOfBounds`, and nothing is written.
    pub fn copy_from(&self, at: u64, src: &Memory, from: u64, len: u64) -> Result<(), TrapCode> {
        let from = src.range(from, len)?;
        let to = self.range(at, len)?;
        // SAFETY: both ranges were checked; `copy` allows overlap.
        unsafe { std::ptr::copy(from, to, len as usize) };
        Ok(())
    }

    /// `memory.init` from a segment's bytes.
    ///
    /// # Errors
    /// `MemoryOutOfBounds` when either range is, and nothing is written.
    pub fn init(&self, at: u64, segment: &[u8], from: u64, len: u64) -> Result<(), TrapCode> {
        let bytes = part(segment, from, len).ok_or(TrapCode::MemoryOutOfBounds)?;
        self.write(at, bytes)
    }
}

/// `len` items from `from` on, if there are as many.
pub(crate) fn part<T>(items: &[T], from: u64, len: u64) -> Option<&[T]> {
    let end = from.checked_add(len)?;
    items.get(usize::try_from(from).ok()?..usize::try_from(end).ok()?)
}
