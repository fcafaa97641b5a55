//! The hash of a memory, kept up to date by what changed.
//!
//! A memory is hashed as a tree: pages of 4 KiB, groups of [`GROUP_PAGES`] of them, the memory. Pages of
//! zeros have no hash and no place in it, so that the hash is a function of the content alone while a
//! large memory costs what is in it. The tree is kept; which pages have to be hashed again, the memory
//! knows (`runwell_vm::watch`).
//!
//! # Complexity
//! The pages that may have been written since the last time are read, their groups' hashes (36 bytes for
//! each page that is not zero) are hashed again, and so are the groups' of the whole memory (40 bytes for
//! each 2 MiB that are not all zero). Where the kernel does not track writes, all pages that were ever
//! touched are read.

use runwell_vm::{Memory, Reader};
use std::collections::BTreeMap;

/// Bytes of a page, of the hash and of the machine.
pub(crate) const PAGE: usize = 4096;
/// Pages whose hashes are hashed together: it bounds what one changed page costs.
const GROUP_PAGES: u64 = 512;

pub(crate) type Hash = [u8; blake3::OUT_LEN];

#[derive(Default)]
struct Group {
    /// By number in the group.
    pages: BTreeMap<u16, Hash>,
    hash: Hash,
}

/// The hashes of one memory's pages.
#[derive(Default)]
pub(crate) struct PageHashes {
    groups: BTreeMap<u64, Group>,
}

/// Page `number` of a memory's content, filled up with zeros at the end.
pub(crate) fn page_of(bytes: &[u8], number: u64) -> [u8; PAGE] {
    let mut page = [0; PAGE];
    let start = (number as usize).saturating_mul(PAGE).min(bytes.len());
    let part = &bytes[start..bytes.len().min(start.saturating_add(PAGE))];
    page[..part.len()].copy_from_slice(part);
    page
}

impl PageHashes {
    /// The hash of the memory's length and content.
    ///
    /// # Safety
    /// No guest code runs on the memory meanwhile, and nobody writes to it.
    pub(crate) unsafe fn update(&mut self, memory: &Memory) -> Hash {
        // SAFETY: the contract.
        let bytes = unsafe { memory.data() };
        let written = memory.written(Reader::Hash);
        let mut stale = None;
        for number in written.into_iter().flatten() {
            let group = number / GROUP_PAGES;
            if stale.is_some_and(|stale| stale != group) {
                self.close(stale.take());
            }
            stale = Some(group);
            let page = page_of(bytes, number);
            let pages = &mut self.groups.entry(group).or_default().pages;
            let within = (number % GROUP_PAGES) as u16;
            if page == [0; PAGE] {
                pages.remove(&within);
            } else {
                pages.insert(within, *blake3::hash(&page).as_bytes());
            }
        }
        self.close(stale);
        self.root(bytes.len() as u64)
    }

    /// Hashes a group whose pages have changed.
    fn close(&mut self, group: Option<u64>) {
        let Some(number) = group else { return };
        let Some(group) = self.groups.get_mut(&number) else { return };
        if group.pages.is_empty() {
            self.groups.remove(&number);
            return;
        }
        let mut hasher = blake3::Hasher::new();
        for (&within, hash) in &group.pages {
            hasher.update(&u32::from(within).to_le_bytes());
            hasher.update(hash);
        }
        group.hash = *hasher.finalize().as_bytes();
    }

    fn root(&self, len: u64) -> Hash {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&len.to_le_bytes());
        for (number, group) in &self.groups {
            hasher.update(&number.to_le_bytes());
            hasher.update(&group.hash);
        }
        *hasher.finalize().as_bytes()
    }
}
