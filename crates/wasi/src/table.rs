//! Descriptors, and the table that numbers them.
//!
//! A new descriptor gets the lowest free number, as in POSIX, so numbers depend on nothing but what
//! the guest did. Free numbers below the highest used one wait in a heap: taking and giving back
//! costs a logarithm. The number of open descriptors is bounded, which bounds what a guest can make
//! the host hold.

use crate::abi::{filetype, rights};
use crate::dir::Entry;
use crate::errno::{Errno, Result};
use crate::stream::Stream;
use cap_std::fs::{Dir, File};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Most descriptors that can be open at once.
pub const MAX_DESCRIPTORS: u32 = 4096;

/// Most entries that directories which are read in part hold together, about a hundred megabytes. A
/// single directory may have more, so what this refuses is to start on many large ones at once.
const MAX_LISTED: usize = 1 << 20;

/// What a descriptor stands for.
pub(crate) enum Descriptor {
    /// A stream.
    Stream(Stream),
    /// A file, whose position is the host's.
    File(OpenFile),
    /// A directory.
    Dir(OpenDir),
}

/// An open file.
pub(crate) struct OpenFile {
    pub(crate) file: File,
    /// What `fd_fdstat_get` reports; reading and writing also need theirs.
    pub(crate) rights: u64,
    /// When it was last written through this descriptor, until that is noted (`inodes`).
    pub(crate) written: Option<u64>,
}

/// An open directory.
pub(crate) struct OpenDir {
    pub(crate) dir: Dir,
    /// The name under which the embedder opened it.
    pub(crate) preopen: Option<String>,
    /// Whether nothing below it may be changed.
    pub(crate) read_only: bool,
    /// What `fd_fdstat_get` reports.
    pub(crate) rights: u64,
    /// What descriptors opened through it may have.
    pub(crate) inheriting: u64,
    /// Its entries, in the order and with the cookies that `fd_readdir` gave out.
    listing: Option<Vec<Entry>>,
}

impl OpenDir {
    /// An open directory with all rights that it can have.
    pub(crate) fn new(dir: Dir, preopen: Option<String>, read_only: bool) -> OpenDir {
        let (rights, inheriting) = if read_only {
            (rights::DIR_READ, rights::DIR_READ | (rights::FILE & !rights::FILE_CHANGE))
        } else {
            (rights::DIR, rights::DIR | rights::FILE)
        };
        OpenDir { dir, preopen, read_only, rights, inheriting, listing: None }
    }

    /// Fails unless it has all of some rights.
    pub(crate) fn check_rights(&self, rights: u64) -> Result<()> {
        if self.rights & rights == rights { Ok(()) } else { Err(Errno::NotCapable) }
    }

    /// Fails unless things in it may be changed.
    pub(crate) fn check_writable(&self) -> Result<()> {
        if self.read_only { Err(Errno::RoFs) } else { Ok(()) }
    }
}

/// The descriptors of one guest, by number.
#[derive(Default)]
pub(crate) struct Table {
    slots: Vec<Option<Descriptor>>,
    free: BinaryHeap<Reverse<u32>>,
    /// Entries in all listings.
    listed: usize,
}

impl Table {
    /// Gives `descriptor` the lowest free number.
    ///
    /// # Errors
    /// [`Errno::MFile`] when too many are open.
    pub(crate) fn push(&mut self, descriptor: Descriptor) -> Result<u32> {
        self.check_room()?;
        if let Some(Reverse(fd)) = self.free.pop() {
            *self.slots.get_mut(fd as usize).ok_or(Errno::NFile)? = Some(descriptor);
            return Ok(fd);
        }
        let fd = self.slots.len() as u32;
        self.slots.push(Some(descriptor));
        Ok(fd)
    }

    /// Fails when no further descriptor can be opened: asked before anything happens on disk.
    ///
    /// # Errors
    /// [`Errno::MFile`].
    pub(crate) fn check_room(&self) -> Result<()> {
        if self.free.is_empty() && self.slots.len() >= MAX_DESCRIPTORS as usize {
            return Err(Errno::MFile);
        }
        Ok(())
    }

    /// The descriptor with a number.
    ///
    /// # Errors
    /// [`Errno::BadF`] when there is none, as for all look-ups here.
    pub(crate) fn get(&self, fd: u32) -> Result<&Descriptor> {
        self.slots.get(fd as usize).and_then(Option::as_ref).ok_or(Errno::BadF)
    }

    /// The descriptor with a number.
    pub(crate) fn get_mut(&mut self, fd: u32) -> Result<&mut Descriptor> {
        self.slots.get_mut(fd as usize).and_then(Option::as_mut).ok_or(Errno::BadF)
    }

    /// All open files.
    pub(crate) fn files_mut(&mut self) -> impl Iterator<Item = &mut OpenFile> {
        self.slots.iter_mut().flatten().filter_map(|descriptor| match descriptor {
            Descriptor::File(file) => Some(file),
            Descriptor::Stream(_) | Descriptor::Dir(_) => None,
        })
    }

    /// Takes the descriptor with a number out; the number is free then.
    pub(crate) fn remove(&mut self, fd: u32) -> Result<Descriptor> {
        let slot = self.slots.get_mut(fd as usize).ok_or(Errno::BadF)?;
        let mut descriptor = slot.take().ok_or(Errno::BadF)?;
        self.free.push(Reverse(fd));
        if let Descriptor::Dir(dir) = &mut descriptor {
            self.listed -= dir.listing.take().map_or(0, |listing| listing.len());
        }
        Ok(descriptor)
    }

    /// Moves the descriptor `from` to the number `to`, whose own is closed. Both must be open, so
    /// that no guest can make the table sparse.
    pub(crate) fn renumber(&mut self, from: u32, to: u32) -> Result<()> {
        self.get(from)?;
        self.get(to)?;
        if from != to {
            let listing = self.take_listing(from).unwrap_or_default();
            self.take_listing(to).ok();
            let descriptor = self.remove(from)?;
            *self.get_mut(to)? = descriptor;
            if let Some(listing) = listing {
                self.keep_listing(to, listing)?;
            }
        }
        Ok(())
    }

    /// Takes out the entries that a directory holds, if it does.
    ///
    /// # Errors
    /// [`Errno::NotDir`] for something else.
    pub(crate) fn take_listing(&mut self, fd: u32) -> Result<Option<Vec<Entry>>> {
        let listing = self.dir_mut(fd)?.listing.take();
        self.listed -= listing.as_ref().map_or(0, Vec::len);
        Ok(listing)
    }

    /// Lets a directory without entries hold some.
    ///
    /// # Errors
    /// [`Errno::NoMem`] when other directories hold so many that these are too many;
    /// [`Errno::NotDir`] for something else.
    pub(crate) fn keep_listing(&mut self, fd: u32, listing: Vec<Entry>) -> Result<()> {
        let total = self.listed + listing.len();
        if self.listed > 0 && total > MAX_LISTED {
            return Err(Errno::NoMem);
        }
        self.dir_mut(fd)?.listing = Some(listing);
        self.listed = total;
        Ok(())
    }

    /// The file with a number. What has no position, such as a stream, is refused as a pipe is.
    pub(crate) fn file(&self, fd: u32) -> Result<&OpenFile> {
        match self.get(fd)? {
            Descriptor::File(file) => Ok(file),
            Descriptor::Stream(_) => Err(Errno::SPipe),
            Descriptor::Dir(_) => Err(Errno::BadF),
        }
    }

    /// The directory with a number.
    pub(crate) fn dir(&self, fd: u32) -> Result<&OpenDir> {
        match self.get(fd)? {
            Descriptor::Dir(dir) => Ok(dir),
            Descriptor::Stream(_) | Descriptor::File(_) => Err(Errno::NotDir),
        }
    }

    fn dir_mut(&mut self, fd: u32) -> Result<&mut OpenDir> {
        match self.get_mut(fd)? {
            Descriptor::Dir(dir) => Ok(dir),
            Descriptor::Stream(_) | Descriptor::File(_) => Err(Errno::NotDir),
        }
    }
}

/// The kind of a file by its mode.
pub(crate) fn filetype_of(kind: rustix::fs::FileType) -> u8 {
    use rustix::fs::FileType;
    match kind {
        FileType::RegularFile => filetype::REGULAR_FILE,
        FileType::Directory => filetype::DIRECTORY,
        FileType::Symlink => filetype::SYMBOLIC_LINK,
        FileType::CharacterDevice => filetype::CHARACTER_DEVICE,
        FileType::BlockDevice => filetype::BLOCK_DEVICE,
        FileType::Socket => filetype::SOCKET_STREAM,
        _ => filetype::UNKNOWN,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream() -> Descriptor {
        Descriptor::Stream(Stream::Input(Box::new(std::io::empty())))
    }

    #[test]
    fn lowest_free_number_first() {
        let mut table = Table::default();
        for fd in 0..6 {
            assert_eq!(table.push(stream()), Ok(fd));
        }
        for fd in [4, 1, 3] {
            table.remove(fd).unwrap();
        }
        assert_eq!(table.remove(3).err(), Some(Errno::BadF));
        for fd in [1, 3, 4, 6] {
            assert_eq!(table.push(stream()), Ok(fd));
        }
    }

    #[test]
    fn renumbering_frees_the_old_number() {
        let mut table = Table::default();
        for _ in 0..4 {
            table.push(stream()).unwrap();
        }
        table.renumber(3, 1).unwrap();
        assert_eq!(table.get(3).err(), Some(Errno::BadF));
        table.renumber(1, 1).unwrap();
        assert_eq!(table.renumber(3, 1), Err(Errno::BadF));
        assert_eq!(table.renumber(1, 3), Err(Errno::BadF));
        assert_eq!(table.renumber(1, u32::MAX), Err(Errno::BadF));
        assert_eq!(table.push(stream()), Ok(3));
    }

    #[test]
    fn entries_that_are_held_are_counted() {
        let some = |count| (0..count).map(|_| Entry::default()).collect::<Vec<_>>();
        let mut table = Table::default();
        table.push(stream()).unwrap();
        for _ in 1..4 {
            let dir = Dir::open_ambient_dir(".", cap_std::ambient_authority()).unwrap();
            table.push(Descriptor::Dir(OpenDir::new(dir, None, false))).unwrap();
        }
        // One may hold any number, and others as many as fit beside it.
        table.keep_listing(1, some(MAX_LISTED + 1)).unwrap();
        assert_eq!(table.keep_listing(2, some(1)), Err(Errno::NoMem));
        assert_eq!(table.take_listing(1).unwrap().unwrap().len(), MAX_LISTED + 1);
        table.keep_listing(1, some(MAX_LISTED - 5)).unwrap();
        table.keep_listing(2, some(5)).unwrap();
        assert_eq!(table.keep_listing(3, some(1)), Err(Errno::NoMem));
        // They go with a directory that moves, and away with one that is closed or replaced.
        table.renumber(2, 3).unwrap();
        assert_eq!(table.listed, MAX_LISTED);
        table.renumber(3, 1).unwrap();
        assert_eq!((table.listed, table.take_listing(1).unwrap().unwrap().len()), (5, 5));
        table.keep_listing(1, some(7)).unwrap();
        table.remove(1).unwrap();
        assert_eq!(table.listed, 0);
        assert_eq!(table.keep_listing(0, some(1)), Err(Errno::NotDir));
    }

    #[test]
    fn the_number_of_descriptors_is_bounded() {
        let mut table = Table::default();
        for _ in 0..MAX_DESCRIPTORS {
            table.push(stream()).unwrap();
        }
        assert_eq!(table.push(stream()), Err(Errno::MFile));
        table.remove(17).unwrap();
        assert_eq!(table.push(stream()), Ok(17));
    }
}
