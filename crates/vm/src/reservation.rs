//! The address space behind one linear memory, recycled.
//!
//! Mapping and unmapping gigabytes costs system calls, page-table teardown and TLB flushes, which
//! dominates the life of a small instance. So reservations of the one size that 32-bit memories
//! have go back to a bounded pool with the accessible prefix kept: the next memory of the same size
//! needs no call at all. The first pages, which almost every instance writes, are zeroed and kept, so
//! that they need not be faulted in again; all others are given back. Invariant: a pooled reservation's prefix
//! reads as zero and everything behind it is inaccessible.

use crate::Error;
use crate::mmap::{Access, Mmap, OS_PAGE_BYTES};
use runwell_abi::memory::RESERVED_BYTES_32;
use std::ptr::NonNull;
use std::sync::{Mutex, PoisonError};

/// The most reservations kept. They hold address space, page tables and [`WARM_BYTES`] of pages.
const POOLED_RESERVATIONS: usize = 64;
/// Bytes from the start that are zeroed and kept: about what zeroing costs less than a page fault.
const WARM_BYTES: usize = 2 * OS_PAGE_BYTES;

static POOL: Mutex<Vec<Parts>> = Mutex::new(Vec::new());

struct Parts {
    map: Mmap,
    /// Length of the accessible prefix.
    committed: usize,
}

/// Address space whose first part is accessible.
pub(crate) struct Reservation {
    /// Always present but during drop.
    parts: Option<Parts>,
}

impl Reservation {
    /// `reserved` bytes of address space, of which the first `committed` are accessible.
    pub(crate) fn new(reserved: u64, committed: u64) -> Result<Reservation, Error> {
        let reserved = usize_of(reserved)?;
        let committed = usize_of(committed)?.next_multiple_of(OS_PAGE_BYTES);
        let pooled =
            if reserved as u64 == RESERVED_BYTES_32 { take_pooled(committed) } else { None };
        let parts = match pooled {
            Some(parts) => parts,
            None => Parts { map: Mmap::new(reserved, Access::None)?, committed: 0 },
        };
        let mut this = Reservation { parts: Some(parts) };
        let parts = this.parts_mut();
        if parts.committed > committed {
            // SAFETY: the reservation has no users yet.
            unsafe { parts.map.protect(committed, parts.committed - committed, Access::None)? };
            parts.committed = committed;
        }
        this.commit(committed as u64)?;
        Ok(this)
    }

    fn parts_mut(&mut self) -> &mut Parts {
        self.parts.as_mut().expect("taken only by drop")
    }

    /// Address of the first byte.
    pub(crate) fn base(&self) -> NonNull<u8> {
        self.parts.as_ref().expect("taken only by drop").map.base()
    }

    /// Bytes of address space.
    pub(crate) fn len(&self) -> usize {
        self.parts.as_ref().expect("taken only by drop").map.len()
    }

    /// Makes the first `len` bytes accessible. Never makes any inaccessible.
    pub(crate) fn commit(&mut self, len: u64) -> Result<(), Error> {
        let len = usize_of(len)?.next_multiple_of(OS_PAGE_BYTES);
        let parts = self.parts_mut();
        if len > parts.committed {
            // SAFETY: the pages become accessible, which takes nothing away from anybody.
            unsafe {
                parts.map.protect(parts.committed, len - parts.committed, Access::ReadWrite)?;
            };
            parts.committed = len;
        }
        Ok(())
    }
}

fn usize_of(bytes: u64) -> Result<usize, Error> {
    usize::try_from(bytes).ok().filter(|&bytes| bytes <= usize::MAX / 2).ok_or(Error::Os {
        what: "reserve address space",
        bytes,
        errno: libc::ENOMEM,
    })
}

/// A pooled reservation, if possible one that already has the wanted prefix.
fn take_pooled(committed: usize) -> Option<Parts> {
    let mut pool = POOL.lock().unwrap_or_else(PoisonError::into_inner);
    let same = pool.iter().rposition(|parts| parts.committed == committed);
    match same {
        Some(at) => Some(pool.swap_remove(at)),
        None => pool.pop(),
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let Some(parts) = self.parts.take() else { return };
        if parts.map.len() as u64 != RESERVED_BYTES_32 {
            return;
        }
        let warm = WARM_BYTES.min(parts.committed);
        // SAFETY: the owner is being dropped, so nobody relies on the contents; the first `warm` bytes
        // are accessible.
        let discarded = unsafe {
            std::ptr::write_bytes(parts.map.base().as_ptr(), 0, warm);
            parts.map.discard(warm, parts.committed - warm)
        };
        if discarded.is_err() {
            return;
        }
        let mut pool = POOL.lock().unwrap_or_else(PoisonError::into_inner);
        if pool.len() < POOLED_RESERVATIONS {
            pool.push(parts);
        } else {
            // Unmapping takes long; others should not wait for it.
            drop(pool);
            drop(parts);
        }
    }
}
