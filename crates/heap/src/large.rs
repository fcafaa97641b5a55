//! Large pages for large blocks.
//!
//! Memory that a program gets from the system is handed over page by page, when each is touched first,
//! and each page costs a fault of a microsecond or two. A compiler of large functions works on arrays of
//! many megabytes that it writes once and reads a few times, so a third of its time and more may be
//! spent on faults, where pages have 4 KiB; with pages of 2 MiB there are 512 times fewer, and the
//! processor finds them without looking them up again and again. Systems that do not use them unless
//! asked are asked here.

use std::alloc::{GlobalAlloc, Layout, System};

/// The system's allocator, which is asked for large pages where a block is large.
///
/// It changes nothing but time, and the memory in use by less than a large page for each large block.
#[derive(Copy, Clone, Default, Debug)]
pub struct LargePages;

/// The smallest block for which it may help. Arrays grow, and what they have been given already stays on
/// the pages it is on, so it is not too early when a block is as large as one large page.
const LARGE_BLOCK_BYTES: usize = 2 << 20;
/// A page that every processor of this kind has.
const PAGE_BYTES: usize = 4096;

/// Asks for large pages. That the system has none, or does not want to, is no error.
fn advise(block: *mut u8, bytes: usize) {
    #[cfg(target_os = "linux")]
    if bytes >= LARGE_BLOCK_BYTES && !block.is_null() {
        let start = block.align_offset(PAGE_BYTES);
        let len = (bytes - start) & !(PAGE_BYTES - 1);
        // SAFETY: the range lies inside of the block; the advice does not change its content.
        let _ = unsafe {
            rustix::mm::madvise(block.add(start).cast(), len, rustix::mm::Advice::LinuxHugepage)
        };
    }
    #[cfg(not(target_os = "linux"))]
    let _ = (block, bytes, LARGE_BLOCK_BYTES, PAGE_BYTES);
}

// SAFETY: every call is passed on unchanged to the system's allocator, which keeps the contract.
unsafe impl GlobalAlloc for LargePages {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise is the one asked for.
        let block = unsafe { System.alloc(layout) };
        advise(block, layout.size());
        block
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise is the one asked for.
        let block = unsafe { System.alloc_zeroed(layout) };
        advise(block, layout.size());
        block
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise is the one asked for.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        // SAFETY: the caller's promise is the one asked for.
        let block = unsafe { System.realloc(block, layout, bytes) };
        advise(block, bytes);
        block
    }
}
