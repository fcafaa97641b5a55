//! What the host wrote into memories.
//!
//! The host gets memories as slices, and system calls write to them as well, so that nobody can be asked
//! what was written. A copy of each memory is kept as the guest left it. When the host is done, pages that
//! have been written since (`runwell_vm::watch`) are compared with the copy.
//!
//! # Complexity
//! At each crossing, the pages that were written since the one before; or, where the kernel does not
//! track writes, all pages that were ever touched. The copy takes as much memory as these.

use super::event::Event;
use crate::state::{PAGE, page_of};
use runwell_vm::{Memory, Owned, Reader};
use std::collections::BTreeMap;

/// Bytes alike that are recorded with what is different on both sides, as they cost less than an event.
const GAP: usize = 16;
const ZERO: [u8; PAGE] = [0; PAGE];

/// A page of a memory: the numbers of both.
pub(crate) type PageId = (u32, u64);

/// Copies of a store's memories, without the pages of zeros.
#[derive(Default)]
pub(crate) struct Shadows(Vec<BTreeMap<u64, Box<[u8; PAGE]>>>);

impl Shadows {
    /// Calls `changed` with every page that is not as in the copy, before and now, and copies it.
    ///
    /// # Safety
    /// No guest code runs on the memories meanwhile, and nobody writes to them.
    unsafe fn update(
        &mut self,
        memories: &[Owned<Memory>],
        mut changed: impl FnMut(PageId, &[u8; PAGE], &[u8; PAGE]),
    ) {
        self.0.resize_with(memories.len(), BTreeMap::new);
        for ((memory, copy), number) in memories.iter().zip(&mut self.0).zip(0..) {
            // SAFETY: the contract.
            let bytes = unsafe { memory.data() };
            for page in memory.written(Reader::Tape).into_iter().flatten() {
                let now = page_of(bytes, page);
                let before = copy.get(&page).map_or(&ZERO, |copy| copy);
                if *before == now {
                    continue;
                }
                changed((number, page), before, &now);
                if now == ZERO {
                    copy.remove(&page);
                } else {
                    copy.insert(page, Box::new(now));
                }
            }
        }
    }

    /// Copies what the guest wrote, and says which pages that is, ascending.
    ///
    /// # Safety
    /// As for [`Shadows::update`].
    pub(crate) unsafe fn guest_wrote(&mut self, memories: &[Owned<Memory>]) -> Vec<PageId> {
        let mut pages = Vec::new();
        // SAFETY: the contract.
        unsafe { self.update(memories, |page, _, _| pages.push(page)) };
        pages
    }

    /// Copies what the host wrote, and says what that is.
    ///
    /// # Safety
    /// As for [`Shadows::update`].
    pub(crate) unsafe fn host_wrote(&mut self, memories: &[Owned<Memory>]) -> Vec<Event> {
        let mut writes = Vec::new();
        // SAFETY: the contract.
        unsafe {
            self.update(memories, |(memory, page), before, now| {
                for (start, end) in differences(before, now) {
                    let at = page * PAGE as u64 + start as u64;
                    writes.push(Event::MemoryWrite { memory, at, bytes: now[start..end].to_vec() });
                }
            });
        }
        writes
    }
}

/// The parts in which two pages differ, ascending.
fn differences(before: &[u8; PAGE], now: &[u8; PAGE]) -> Vec<(usize, usize)> {
    let mut parts: Vec<(usize, usize)> = Vec::new();
    for at in (0..PAGE).filter(|&at| before[at] != now[at]) {
        match parts.last_mut() {
            Some((_, end)) if at - *end < GAP => *end = at + 1,
            _ => parts.push((at, at + 1)),
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_that_differ() {
        let mut now = ZERO;
        assert_eq!(differences(&ZERO, &now), []);
        for at in [0, 5, 100, 4095] {
            now[at] = 1;
        }
        assert_eq!(differences(&ZERO, &now), [(0, 6), (100, 101), (4095, 4096)]);
    }
}
