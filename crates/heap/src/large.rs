//! Large pages for large blocks.
//!
//! Memory that a program gets from the system is handed over page by page, when each is touched first,
//! and each page costs a fault of a microsecond or two. A compiler of large functions works on arrays of
//! many megabytes that it writes once and reads a few times, so a third of its time and more may be
//! spent on faults, where pages have 4 KiB; with pages of 2 MiB there are 512 times fewer, and the
//! processor finds them without looking them up again and again. Systems that do not use them unless
//! asked are asked here.
//!
//! A large page needs 2 MiB that are aligned and belong together, which blocks on a heap are not. So
//! large blocks are mappings of their own that begin where a large page may. They end where the block does:
//! what is behind the last whole large page is on small ones, or a block would take up to 2 MiB that nobody
//! uses. They grow by being moved in the address space, without a copy.
//!
//! Blocks that are smaller than a large page, but not small, are mappings, too. On a heap they would leave
//! holes where they have grown, and what is given back would stay with the process while something small lies
//! behind it.

use std::alloc::{GlobalAlloc, Layout, System};

/// The system's allocator, but for large blocks, which are on large pages where there are some.
///
/// It changes nothing but time.
#[derive(Copy, Clone, Default, Debug)]
pub struct LargePages;

/// A large page.
const LARGE_PAGE_BYTES: usize = 2 << 20;
/// The smallest block that gets a mapping: the kernel is asked for few of these, beside the time it takes to
/// fill them.
const MAPPING_BYTES: usize = 256 << 10;
/// A page that every processor of this kind has: mappings are aligned by no less.
const PAGE_BYTES: usize = 4096;

/// True if a block of this layout is a mapping of its own.
fn is_mapping(layout: Layout) -> bool {
    cfg!(target_os = "linux") && layout.size() >= MAPPING_BYTES && layout.align() <= PAGE_BYTES
}

#[cfg(target_os = "linux")]
mod mapping {
    use super::{LARGE_PAGE_BYTES, PAGE_BYTES};
    use rustix::mm::{Advice, MapFlags, MremapFlags, ProtFlags};
    use std::ffi::c_void;
    use std::ptr::null_mut;

    /// The length of the mapping for a block of `bytes`; 0 if there can be none.
    fn len(bytes: usize) -> usize {
        bytes.checked_next_multiple_of(PAGE_BYTES).unwrap_or(0)
    }

    /// A new mapping of `len` bytes, a multiple of a page, that begins where a large page may if one fits.
    fn map(len: usize, access: ProtFlags) -> Option<*mut c_void> {
        if len < LARGE_PAGE_BYTES {
            // SAFETY: a private mapping at an address that the system chooses touches nothing that is there.
            let small =
                unsafe { rustix::mm::mmap_anonymous(null_mut(), len, access, MapFlags::PRIVATE) };
            return small.ok();
        }
        let room = len.checked_add(LARGE_PAGE_BYTES)?;
        // SAFETY: a private mapping at an address that the system chooses touches nothing that is there.
        let all =
            unsafe { rustix::mm::mmap_anonymous(null_mut(), room, access, MapFlags::PRIVATE) };
        let all = all.ok()?;
        let before = all.cast::<u8>().align_offset(LARGE_PAGE_BYTES);
        let start = all.wrapping_byte_add(before);
        for (from, bytes) in [(all, before), (start.wrapping_byte_add(len), room - before - len)] {
            if bytes > 0 {
                // SAFETY: a part of the mapping that has just been made, and that nobody knows. If it
                // stays, no memory is lost: nobody touches it.
                let _ = unsafe { rustix::mm::munmap(from, bytes) };
            }
        }
        Some(start)
    }

    /// Asks for large pages, if one fits. That the system has none, or does not want to, is no error.
    ///
    /// # Safety
    /// The range is a mapping of this allocator.
    unsafe fn advise(start: *mut c_void, len: usize) {
        if len < LARGE_PAGE_BYTES {
            return;
        }
        // SAFETY: the advice does not change what the mapping holds.
        let _ = unsafe { rustix::mm::madvise(start, len, Advice::LinuxHugepage) };
    }

    /// A mapping of zeros for a block of `bytes`, or null.
    pub(super) fn new(bytes: usize) -> *mut u8 {
        let len = len(bytes);
        let Some(start) = map(len, ProtFlags::READ | ProtFlags::WRITE) else { return null_mut() };
        // SAFETY: it has just been made.
        unsafe { advise(start, len) };
        start.cast()
    }

    /// Gives back the mapping of a block of `bytes`.
    ///
    /// # Safety
    /// `start` is from [`new`] or [`resize`] for a block of that size, and nobody uses it any more.
    pub(super) unsafe fn delete(start: *mut u8, bytes: usize) {
        // SAFETY: the caller's promise. It cannot fail but for want of memory for splitting a mapping,
        // and then the mapping stays, which is no worse than a leak.
        let _ = unsafe { rustix::mm::munmap(start.cast(), len(bytes)) };
    }

    /// The mapping of a block of `bytes` for one of `wanted`, perhaps elsewhere; null, and nothing has
    /// changed, if there is no room.
    ///
    /// # Safety
    /// `start` is from [`new`] or [`resize`] for a block of `bytes`; it is used no more when this gives
    /// another address.
    pub(super) unsafe fn resize(start: *mut u8, bytes: usize, wanted: usize) -> *mut u8 {
        let (old, new) = (len(bytes), len(wanted));
        if old == new {
            return start;
        }
        // Where it is, if there is room behind it. What is new has the advice of what was there. One that
        // becomes large begins elsewhere.
        let becomes_large = old < LARGE_PAGE_BYTES && new >= LARGE_PAGE_BYTES;
        if !becomes_large {
            // SAFETY: the caller's promise: the range is this mapping.
            let here = unsafe { rustix::mm::mremap(start.cast(), old, new, MremapFlags::empty()) };
            if here.is_ok() {
                return start;
            }
        }
        let Some(place) = map(new, ProtFlags::empty()) else { return null_mut() };
        let moving = MremapFlags::MAYMOVE;
        // SAFETY: the caller's promise: the range is this mapping, and its address may change. Where it
        // goes is a mapping that has just been made, which nobody else knows.
        let moved = unsafe { rustix::mm::mremap_fixed(start.cast(), old, new, moving, place) };
        // If that fails, the place may be somebody else's already: it is left alone. What is lost of it is
        // address space.
        if moved.is_err() {
            return null_mut();
        }
        if becomes_large {
            // SAFETY: the mapping is there now.
            unsafe { advise(place, new) };
        }
        place.cast()
    }
}

#[cfg(not(target_os = "linux"))]
mod mapping {
    pub(super) fn new(_: usize) -> *mut u8 {
        std::ptr::null_mut()
    }

    pub(super) unsafe fn delete(_: *mut u8, _: usize) {}

    pub(super) unsafe fn resize(_: *mut u8, _: usize, _: usize) -> *mut u8 {
        std::ptr::null_mut()
    }
}

// SAFETY: whether a block is a mapping follows from its layout, which the caller states alike for each
// call about it. Mappings are as large as the layout asks and aligned by a page, which is all that
// `is_mapping` lets in; nobody else knows them. All others are the system allocator's, which is passed
// every call about them unchanged.
unsafe impl GlobalAlloc for LargePages {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if is_mapping(layout) {
            return mapping::new(layout.size());
        }
        // SAFETY: the caller's promise is the one asked for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if is_mapping(layout) {
            return mapping::new(layout.size());
        }
        // SAFETY: the caller's promise is the one asked for.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if is_mapping(layout) {
            // SAFETY: the block is a mapping for this size, which the caller gives back.
            return unsafe { mapping::delete(block, layout.size()) };
        }
        // SAFETY: the caller's promise is the one asked for.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        // SAFETY: the caller promises that `bytes`, rounded up to the alignment, does not overflow.
        let wanted = unsafe { Layout::from_size_align_unchecked(bytes, layout.align()) };
        match (is_mapping(layout), is_mapping(wanted)) {
            // SAFETY: the caller's promise is the one asked for.
            (false, false) => unsafe { System.realloc(block, layout, bytes) },
            // SAFETY: the block is a mapping for the old size.
            (true, true) => unsafe { mapping::resize(block, layout.size(), bytes) },
            _ => {
                // SAFETY: `wanted` has a size, as the caller promises.
                let moved = unsafe { self.alloc(wanted) };
                if !moved.is_null() {
                    let kept = layout.size().min(bytes);
                    // SAFETY: both blocks have that many bytes and do not overlap; the old one is given
                    // back as what it was allocated as.
                    unsafe {
                        std::ptr::copy_nonoverlapping(block, moved, kept);
                        self.dealloc(block, layout);
                    }
                }
                moved
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sizes around where a block becomes a mapping, and where a mapping gets longer.
    const SIZES: [usize; 11] = [
        1,
        PAGE_BYTES,
        MAPPING_BYTES - 1,
        MAPPING_BYTES,
        MAPPING_BYTES + PAGE_BYTES + 1,
        LARGE_PAGE_BYTES - 1,
        LARGE_PAGE_BYTES,
        LARGE_PAGE_BYTES + 1,
        3 * LARGE_PAGE_BYTES,
        3 * LARGE_PAGE_BYTES + 5,
        40 * LARGE_PAGE_BYTES,
    ];

    fn layout(bytes: usize, align: usize) -> Layout {
        Layout::from_size_align(bytes, align).expect("a layout")
    }

    #[test]
    fn blocks_keep_what_they_hold_when_they_change_their_size() {
        for align in [1, 64, PAGE_BYTES, 2 * PAGE_BYTES] {
            for (&from, &to) in SIZES.iter().flat_map(|a| SIZES.iter().map(move |b| (a, b))) {
                // SAFETY: sizes are not 0, layouts are those of the blocks, and all that is read or
                // written lies inside of them.
                unsafe {
                    let block = LargePages.alloc(layout(from, align));
                    assert!(!block.is_null() && block.align_offset(align) == 0);
                    for at in (0..from).step_by(997).chain([from - 1]) {
                        block.add(at).write(at as u8 ^ 0x5a);
                    }
                    let block = LargePages.realloc(block, layout(from, align), to);
                    assert!(!block.is_null() && block.align_offset(align) == 0);
                    for at in (0..from.min(to)).step_by(997) {
                        assert_eq!(block.add(at).read(), at as u8 ^ 0x5a, "{from} to {to} at {at}");
                    }
                    block.add(to - 1).write(1);
                    LargePages.dealloc(block, layout(to, align));
                }
            }
        }
    }

    #[test]
    fn zeroed_blocks_are() {
        for bytes in SIZES {
            // SAFETY: as above.
            unsafe {
                let block = LargePages.alloc_zeroed(layout(bytes, 8));
                assert!((0..bytes).all(|at| block.add(at).read() == 0));
                block.write_bytes(0xff, bytes);
                LargePages.dealloc(block, layout(bytes, 8));
            }
        }
    }

    #[test]
    fn what_cannot_be_had_is_null() {
        let bytes = isize::MAX as usize - LARGE_PAGE_BYTES;
        // SAFETY: as above; nothing is read.
        unsafe {
            assert!(LargePages.alloc(layout(bytes, 1)).is_null());
            let block = LargePages.alloc(layout(LARGE_PAGE_BYTES, 1));
            assert!(LargePages.realloc(block, layout(LARGE_PAGE_BYTES, 1), bytes).is_null());
            block.write(1);
            LargePages.dealloc(block, layout(LARGE_PAGE_BYTES, 1));
        }
    }
}
