//! Which pages of a memory have been written.
//!
//! Hashing a memory again, recording what the host wrote into it, and comparing it with another one all
//! ask the same question. A memory that nobody asks about pays nothing. Once somebody has asked, the
//! answer comes from the best source there is:
//!
//! 1. **Write tracking by the kernel** (`PAGEMAP_SCAN` over a range that is registered with
//!    `userfaultfd` for asynchronous write protection, Linux 6.7 and later): the pages written since the
//!    last question, whoever wrote them, system calls included. It costs a page fault for the first
//!    write to a page after a question.
//! 2. **The page table** (`PAGEMAP_SCAN` or, before Linux 6.7, `/proc/self/pagemap`): the pages that were
//!    ever touched. Everybody is told all of them each time and has to look himself.
//! 3. Otherwise all pages.
//!
//! What is answered is always a superset of what was written: a page that is left out has not changed.
//! There are several readers, each with answers of its own, because the kernel forgets what it has told.

use crate::mmap::OS_PAGE_BYTES;
use std::ops::Range;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::OnceLock;

/// Who asks.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Reader {
    /// Who hashes states.
    Hash,
    /// Who observes what the host does between two runs of guest code.
    Tape,
    /// Who wants all pages that may be anything but zero, each time.
    Snapshot,
}

const READERS: usize = 2;
/// Ranges asked for at once.
const BATCH: usize = 128;

// From <linux/userfaultfd.h> and <linux/fs.h>, which the libc crate does not have.
const UFFD_USER_MODE_ONLY: libc::c_int = 1;
const UFFD_API: u64 = 0xaa;
const UFFD_FEATURE_WP_UNPOPULATED: u64 = 1 << 13;
const UFFD_FEATURE_WP_ASYNC: u64 = 1 << 15;
const UFFDIO_REGISTER_MODE_WP: u64 = 1 << 1;
const UFFDIO_API: libc::c_ulong = 0xc018_aa3f;
const UFFDIO_REGISTER: libc::c_ulong = 0xc020_aa00;
const UFFDIO_UNREGISTER: libc::c_ulong = 0x8010_aa01;
const PAGEMAP_SCAN: libc::c_ulong = 0xc060_6610;
const PM_SCAN_WP_MATCHING: u64 = 1 << 0;
const PM_SCAN_CHECK_WPASYNC: u64 = 1 << 1;
const PAGE_IS_WRITTEN: u64 = 1 << 1;
const PAGE_IS_PRESENT: u64 = 1 << 3;
const PAGE_IS_SWAPPED: u64 = 1 << 4;
/// Bits of an entry of `/proc/self/pagemap`: the page is in memory, or swapped out.
const PAGEMAP_THERE: u64 = 1 << 63 | 1 << 62;

#[repr(C)]
struct UffdioApi {
    api: u64,
    features: u64,
    ioctls: u64,
}

#[repr(C)]
struct UffdioRange {
    start: u64,
    len: u64,
}

#[repr(C)]
struct UffdioRegister {
    range: UffdioRange,
    mode: u64,
    ioctls: u64,
}

#[repr(C)]
#[derive(Copy, Clone)]
struct PageRegion {
    start: u64,
    end: u64,
    categories: u64,
}

#[repr(C)]
struct PmScanArg {
    size: u64,
    flags: u64,
    start: u64,
    end: u64,
    walk_end: u64,
    vec: u64,
    vec_len: u64,
    max_pages: u64,
    category_inverted: u64,
    category_mask: u64,
    category_anyof_mask: u64,
    return_mask: u64,
}

const _: () = assert!(
    size_of::<PmScanArg>() == 0x60
        && size_of::<UffdioRegister>() == 0x20
        && size_of::<UffdioApi>() == 0x18
        && size_of::<UffdioRange>() == 0x10
);

/// What the process has to ask with, opened when it is first needed.
struct Sources {
    /// Present if the kernel tracks writes.
    tracking: Option<OwnedFd>,
    pagemap: Option<OwnedFd>,
}

fn sources() -> &'static Sources {
    static SOURCES: OnceLock<Sources> = OnceLock::new();
    SOURCES.get_or_init(|| {
        let pagemap = std::fs::File::open("/proc/self/pagemap").ok().map(OwnedFd::from);
        let tracking = if pagemap.is_some() { open_userfaultfd() } else { None };
        Sources { tracking, pagemap }
    })
}

fn open_userfaultfd() -> Option<OwnedFd> {
    // SAFETY: the call takes flags and gives a descriptor or -1.
    let fd = unsafe { libc::syscall(libc::SYS_userfaultfd, libc::O_CLOEXEC | UFFD_USER_MODE_ONLY) };
    if fd < 0 {
        return None;
    }
    // SAFETY: the descriptor is fresh and ours.
    let fd = unsafe { OwnedFd::from_raw_fd(fd as i32) };
    let features = UFFD_FEATURE_WP_ASYNC | UFFD_FEATURE_WP_UNPOPULATED;
    let mut api = UffdioApi { api: UFFD_API, features, ioctls: 0 };
    // SAFETY: the argument is the structure that the request takes.
    let status = unsafe { libc::ioctl(fd.as_raw_fd(), UFFDIO_API, &raw mut api) };
    (status == 0 && api.features & features == features).then_some(fd)
}

/// Ranges of pages, by number.
pub type Pages = Vec<Range<u64>>;

/// The pages of one memory that have been written. It must be dropped before the memory is unmapped.
pub(crate) struct Watch {
    base: u64,
    /// Bytes that are registered with the kernel, if it tracks writes.
    registered: Option<u64>,
    /// What each reader has not been told yet; `None` as long as he has not asked.
    pending: [Option<Pages>; READERS],
}

impl Watch {
    /// Begins to watch `reserved` bytes at `base`, whole pages.
    pub(crate) fn new(base: *mut u8, reserved: usize) -> Watch {
        Watch::with(base, reserved, sources().tracking.is_some())
    }

    fn with(base: *mut u8, reserved: usize, tracking: bool) -> Watch {
        let base = base as u64;
        let registered = (tracking && register(base, reserved as u64)).then_some(reserved as u64);
        Watch { base, registered, pending: [const { None }; READERS] }
    }

    /// The pages below `len` bytes that have been written since `reader` asked last; at first those
    /// that may be anything but zero.
    pub(crate) fn written(&mut self, reader: Reader, len: u64) -> Pages {
        let end = self.base + len.next_multiple_of(OS_PAGE_BYTES as u64);
        if reader == Reader::Snapshot {
            return self.touched(end);
        }
        let found = self.registered.and_then(|_| self.scan(end, true));
        let Some(found) = found else { return self.touched(end) };
        for pending in self.pending.iter_mut().flatten() {
            pending.extend(found.iter().cloned());
        }
        match &mut self.pending[reader as usize] {
            Some(pending) => join(std::mem::take(pending)),
            first => {
                *first = Some(Vec::new());
                self.touched(end)
            }
        }
    }

    /// As [`scan`], below `end`.
    fn scan(&self, end: u64, written: bool) -> Option<Pages> {
        scan(self.base, end, written)
    }

    fn touched(&self, end: u64) -> Pages {
        touched(self.base, end)
    }
}

/// Asks the kernel for the pages from `base` to `end` that are there or, of these, in a range that is
/// registered, for those that were written since it was asked the last time. `None` when it refuses.
///
/// # Complexity
/// What was never touched is passed over by the gigabyte.
fn scan(base: u64, end: u64, written: bool) -> Option<Pages> {
    let fd = sources().pagemap.as_ref()?.as_raw_fd();
    let mut regions = [PageRegion { start: 0, end: 0, categories: 0 }; BATCH];
    let mut pages = Vec::new();
    let mut at = base;
    while at < end {
        let mut arg = PmScanArg {
            size: size_of::<PmScanArg>() as u64,
            flags: if written { PM_SCAN_WP_MATCHING | PM_SCAN_CHECK_WPASYNC } else { 0 },
            start: at,
            end,
            walk_end: 0,
            vec: regions.as_mut_ptr() as u64,
            vec_len: BATCH as u64,
            max_pages: 0,
            category_inverted: 0,
            category_mask: if written { PAGE_IS_WRITTEN } else { 0 },
            category_anyof_mask: PAGE_IS_PRESENT | PAGE_IS_SWAPPED,
            return_mask: PAGE_IS_PRESENT,
        };
        // SAFETY: the argument is the structure that the request takes; it points to room for
        // `BATCH` regions. The kernel changes nothing of the pages but when it is told of a write.
        let count = unsafe { libc::ioctl(fd, PAGEMAP_SCAN, &raw mut arg) };
        let count = usize::try_from(count).ok()?;
        let page = |address: u64| (address - base) / OS_PAGE_BYTES as u64;
        let found = regions[..count.min(BATCH)].iter();
        pages.extend(found.map(|region| page(region.start)..page(region.end)));
        if arg.walk_end <= at {
            return None;
        }
        at = arg.walk_end;
    }
    Some(pages)
}

/// The pages from `base` to `end` that were ever touched; those that are left out read as zero.
pub(crate) fn touched(base: u64, end: u64) -> Pages {
    scan(base, end, false).unwrap_or_else(|| in_page_table(base, end))
}

/// The pages from `base` to `end` that are there, by the page table; all when it cannot be read. Those that
/// are not read as zero.
fn in_page_table(base: u64, end: u64) -> Pages {
    let count = (end - base) / OS_PAGE_BYTES as u64;
    let mut pages: Pages = Vec::new();
    let mut entries = [0u64; 4096];
    let mut at = 0;
    while at < count {
        let wanted = (count - at).min(entries.len() as u64);
        let bytes = wanted as usize * 8;
        let offset = (base / OS_PAGE_BYTES as u64 + at) * 8;
        let read = sources().pagemap.as_ref().map(|pagemap| {
            let into = entries.as_mut_ptr().cast();
            // SAFETY: there is room for `bytes` bytes, and any bits are numbers.
            unsafe { libc::pread(pagemap.as_raw_fd(), into, bytes, offset as libc::off_t) }
        });
        if read != Some(bytes as isize) {
            pages.push(at..count);
            break;
        }
        for (entry, page) in entries[..wanted as usize].iter().zip(at..) {
            if entry & PAGEMAP_THERE != 0 {
                match pages.last_mut() {
                    Some(last) if last.end == page => last.end += 1,
                    _ => pages.push(page..page + 1),
                }
            }
        }
        at += wanted;
    }
    pages
}

/// Lets the kernel track writes to a range; false when it does not want to.
fn register(start: u64, len: u64) -> bool {
    let Some(fd) = &sources().tracking else { return false };
    let range = UffdioRange { start, len };
    let mut arg = UffdioRegister { range, mode: UFFDIO_REGISTER_MODE_WP, ioctls: 0 };
    // SAFETY: the argument is the structure that the request takes. Asynchronous protection changes
    // nothing of what accesses to the range do.
    unsafe { libc::ioctl(fd.as_raw_fd(), UFFDIO_REGISTER, &raw mut arg) == 0 }
}

/// Ascending ranges without overlaps.
fn join(mut pages: Pages) -> Pages {
    pages.sort_unstable_by_key(|range| range.start);
    let mut joined: Pages = Vec::with_capacity(pages.len());
    for range in pages {
        match joined.last_mut() {
            Some(last) if last.end >= range.start => last.end = last.end.max(range.end),
            _ => joined.push(range),
        }
    }
    joined
}

impl Drop for Watch {
    fn drop(&mut self) {
        let (Some(len), Some(fd)) = (self.registered, &sources().tracking) else { return };
        let mut range = UffdioRange { start: self.base, len };
        // SAFETY: the argument is the structure that the request takes. If it fails, pages stay
        // protected, which costs their next writer a fault and nothing else.
        unsafe { libc::ioctl(fd.as_raw_fd(), UFFDIO_UNREGISTER, &raw mut range) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mmap::{Access, Mmap};
    use std::io::Read as _;

    const PAGES: usize = 1 << 20;

    fn map() -> Mmap {
        Mmap::new(PAGES * OS_PAGE_BYTES, Access::ReadWrite).expect("address space")
    }

    fn touch(map: &Mmap, page: usize) {
        // SAFETY: the page is inside of the mapping, which is accessible.
        unsafe { *map.base().as_ptr().add(page * OS_PAGE_BYTES + 5) ^= 1 };
    }

    fn holds(pages: &Pages, page: u64) -> bool {
        pages.iter().any(|range| range.contains(&page))
    }

    #[test]
    fn what_was_touched_is_told_by_each_source() {
        let map = map();
        touch(&map, 3);
        touch(&map, 70_000);
        let end = map.base().as_ptr() as u64 + map.len() as u64;
        let listed = in_page_table(map.base().as_ptr() as u64, end);
        let found = touched(map.base().as_ptr() as u64, end);
        for pages in [&listed, &found] {
            assert!(holds(pages, 3) && holds(pages, 70_000) && !holds(pages, 600_000), "{pages:?}");
        }
        drop(map);
        for tracking in [true, false] {
            let map = self::map();
            touch(&map, 3);
            touch(&map, PAGES - 1);
            let mut watch = Watch::with(map.base().as_ptr(), map.len(), tracking);
            let first = watch.written(Reader::Hash, map.len() as u64);
            assert!(holds(&first, 3) && holds(&first, PAGES as u64 - 1), "{first:?}");
            // What was not touched is not to be read: a huge page is the most that may come along.
            let count: u64 = first.iter().map(|range| range.end - range.start).sum();
            assert!(count <= 1024, "{count} pages");
            touch(&map, 700_000);
            let second = watch.written(Reader::Hash, map.len() as u64);
            assert!(holds(&second, 700_000), "{second:?}");
            assert!(watch.registered.is_none() || !holds(&second, 3), "{second:?}");
            drop(watch);
        }
    }

    #[test]
    fn each_reader_is_told_everything() {
        let map = map();
        touch(&map, 1);
        let mut watch = Watch::new(map.base().as_ptr(), map.len());
        let len = map.len() as u64;
        assert!(holds(&watch.written(Reader::Hash, len), 1));
        touch(&map, 9000);
        let tape = watch.written(Reader::Tape, len);
        assert!(holds(&tape, 1) && holds(&tape, 9000), "{tape:?}");
        assert!(holds(&watch.written(Reader::Hash, len), 9000));
        touch(&map, 1);
        assert!(holds(&watch.written(Reader::Tape, len), 1));
        assert!(holds(&watch.written(Reader::Hash, len), 1));
        if watch.registered.is_some() {
            assert_eq!(watch.written(Reader::Tape, len), []);
            assert_eq!(watch.written(Reader::Hash, len), []);
        }
        drop(watch);
    }

    #[test]
    fn writes_of_the_system_are_told() {
        let map = map();
        touch(&map, 2);
        let mut watch = Watch::new(map.base().as_ptr(), map.len());
        let len = map.len() as u64;
        watch.written(Reader::Tape, len);
        watch.written(Reader::Tape, len);
        // SAFETY: two pages inside of the mapping, which nobody else uses.
        let bytes = unsafe {
            let at = map.base().as_ptr().add(2 * OS_PAGE_BYTES);
            std::slice::from_raw_parts_mut(at, 2 * OS_PAGE_BYTES)
        };
        let mut zero = std::fs::File::open("/dev/urandom").expect("a device");
        zero.read_exact(bytes).expect("a protected page is written to all the same");
        let pages = watch.written(Reader::Tape, len);
        assert!(holds(&pages, 2) && holds(&pages, 3), "{pages:?}");
        drop(watch);
    }

    #[test]
    fn overlapping_ranges_are_joined() {
        assert_eq!(join(vec![5..7, 1..2, 2..3, 6..9, 20..21]), [1..3, 5..9, 20..21]);
    }
}
