//! An allocator that counts: how much memory a piece of code asks for, the same on each machine.
//!
//! For tests and tools. A program that wants to know installs it, and everything is passed on to the
//! system's allocator. Counts are those of the whole process.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// The system's allocator, counted.
///
/// ```
/// #[global_allocator]
/// static ALLOCATOR: runwell_heap::Counting = runwell_heap::Counting;
///
/// let (list, peak) = runwell_heap::peak(|| vec![0u8; 5000]);
/// assert!(peak >= 5000 && runwell_heap::now() >= list.len());
/// ```
#[derive(Copy, Clone, Default, Debug)]
pub struct Counting;

static NOW: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);
static BLOCKS: AtomicUsize = AtomicUsize::new(0);

/// Bytes that are allocated; 0 where [`Counting`] is not installed.
pub fn now() -> usize {
    NOW.load(Relaxed)
}

/// Blocks that are allocated.
pub fn blocks() -> usize {
    BLOCKS.load(Relaxed)
}

/// Runs `work`; its result, and how many more bytes than at the start were allocated at the most while
/// it ran. Other threads should allocate nothing meanwhile.
pub fn peak<R>(work: impl FnOnce() -> R) -> (R, usize) {
    let start = now();
    PEAK.store(start, Relaxed);
    let result = work();
    (result, PEAK.load(Relaxed).saturating_sub(start))
}

fn grown(bytes: usize) {
    let now = NOW.fetch_add(bytes, Relaxed) + bytes;
    PEAK.fetch_max(now, Relaxed);
}

// SAFETY: every call is passed on unchanged to the system's allocator, which keeps the contract.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        grown(layout.size());
        BLOCKS.fetch_add(1, Relaxed);
        // SAFETY: the caller's promise is the one asked for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        grown(layout.size());
        BLOCKS.fetch_add(1, Relaxed);
        // SAFETY: the caller's promise is the one asked for.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        NOW.fetch_sub(layout.size(), Relaxed);
        BLOCKS.fetch_sub(1, Relaxed);
        // SAFETY: the caller's promise is the one asked for.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        NOW.fetch_sub(layout.size(), Relaxed);
        grown(bytes);
        // SAFETY: the caller's promise is the one asked for.
        unsafe { System.realloc(block, layout, bytes) }
    }
}
