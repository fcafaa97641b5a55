//! Address space from the operating system.
//!
//! A [`Mmap`] is one private anonymous mapping. It starts inaccessible and its owner gives parts of
//! it protections. Mappings are made without swap reservation, so that address space is free and
//! only touched pages cost memory. Every failure is a value with the system's error number.

use crate::Error;
use std::ptr::NonNull;

/// Size of a page of the machine. x86-64 has no other base size.
pub const OS_PAGE_BYTES: usize = 4096;

/// What may be done with a range of pages.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Access {
    /// Nothing.
    None,
    /// Reading and writing.
    ReadWrite,
    /// Reading and executing.
    ReadExecute,
}

impl Access {
    fn prot(self) -> libc::c_int {
        match self {
            Access::None => libc::PROT_NONE,
            Access::ReadWrite => libc::PROT_READ | libc::PROT_WRITE,
            Access::ReadExecute => libc::PROT_READ | libc::PROT_EXEC,
        }
    }
}

/// A private anonymous mapping, unmapped when dropped.
#[derive(Debug)]
pub struct Mmap {
    base: NonNull<u8>,
    len: usize,
}

// SAFETY: a mapping is not tied to a thread, and `Mmap` itself only changes protections.
unsafe impl Send for Mmap {}
// SAFETY: as above; all methods on `&self` are system calls.
unsafe impl Sync for Mmap {}

impl Mmap {
    /// Maps at least `len` bytes with `access`; the length is rounded up to whole pages.
    ///
    /// # Errors
    /// When the system refuses, e.g. because the address space is used up.
    pub fn new(len: usize, access: Access) -> Result<Mmap, Error> {
        let what = "reserve address space";
        let Some(rounded) = len.max(1).checked_next_multiple_of(OS_PAGE_BYTES) else {
            return Err(Error::Os { what, bytes: len as u64, errno: libc::ENOMEM });
        };
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        // SAFETY: a fresh anonymous mapping touches no memory that exists.
        let at = unsafe { libc::mmap(std::ptr::null_mut(), rounded, access.prot(), flags, -1, 0) };
        match NonNull::new(at.cast::<u8>()) {
            Some(base) if at != libc::MAP_FAILED => Ok(Mmap { base, len: rounded }),
            _ => Err(Error::last_os(what, rounded)),
        }
    }

    /// Address of the first byte.
    pub fn base(&self) -> NonNull<u8> {
        self.base
    }

    /// Length in bytes, whole pages.
    pub fn len(&self) -> usize {
        self.len
    }

    /// True when there are no bytes, which never happens.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    fn check(&self, start: usize, len: usize) {
        assert!(
            start.is_multiple_of(OS_PAGE_BYTES)
                && len.is_multiple_of(OS_PAGE_BYTES)
                && start.checked_add(len).is_some_and(|end| end <= self.len),
            "a range of whole pages inside of the mapping"
        );
    }

    /// Gives the pages from `start` on `access`.
    ///
    /// # Errors
    /// When the system refuses.
    ///
    /// # Panics
    /// When the range is not one of whole pages inside of the mapping.
    ///
    /// # Safety
    /// Nobody uses the pages in a way that `access` excludes.
    pub unsafe fn protect(&self, start: usize, len: usize, access: Access) -> Result<(), Error> {
        self.check(start, len);
        if len == 0 {
            return Ok(());
        }
        // SAFETY: the range is inside of the mapping, and the caller vouches for its users.
        let status =
            unsafe { libc::mprotect(self.base.as_ptr().add(start).cast(), len, access.prot()) };
        if status == 0 { Ok(()) } else { Err(Error::last_os("change page protection", len)) }
    }

    /// Gives the pages' memory back; they read as zero afterwards.
    ///
    /// # Errors
    /// When the system refuses.
    ///
    /// # Panics
    /// When the range is not one of whole pages inside of the mapping.
    ///
    /// # Safety
    /// Nobody holds references into the pages or relies on their contents.
    pub unsafe fn discard(&self, start: usize, len: usize) -> Result<(), Error> {
        self.check(start, len);
        if len == 0 {
            return Ok(());
        }
        // SAFETY: the range is inside of the mapping, and the caller vouches for its users.
        let status = unsafe {
            libc::madvise(self.base.as_ptr().add(start).cast(), len, libc::MADV_DONTNEED)
        };
        if status == 0 { Ok(()) } else { Err(Error::last_os("give memory back", len)) }
    }
}

impl Drop for Mmap {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours and its users are gone.
        let status = unsafe { libc::munmap(self.base.as_ptr().cast(), self.len) };
        debug_assert_eq!(status, 0, "munmap of a whole mapping");
    }
}
