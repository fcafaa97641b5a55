//! What guests are told of files beside their content, where time is virtual.
//!
//! Two directories with the same content are not the same to the host: files have other numbers and times
//! on every machine, and directories other sizes on every kind of file system. None of that is told to a
//! guest whose clock is virtual. Its files have the numbers in the order in which it first asked about them,
//! and the times at which it wrote them itself, by its own clock; what it has not written was there when that
//! clock started. Directories have no size, and one name.
//!
//! What was made anew has a number of its own, also where the host gives it that of something that is gone.
//! Guests with a real clock are told what the host says.
//!
//! # Complexity
//! An entry for each file that was asked about and is there; a logarithm for each question. Files that were
//! written since the last question are looked for among the open ones.

use crate::WasiCtx;
use crate::abi::filetype;
use crate::clock::REALTIME;
use crate::fd::{FileStat, SetTime};
use crate::table::Descriptor;
use cap_std::fs::{Dir, MetadataExt};
use std::collections::BTreeMap;

/// A file as the host knows it: device and number.
pub(crate) type HostId = (u64, u64);

/// A file as guests know it.
struct Inode {
    number: u64,
    atim: u64,
    mtim: u64,
    ctim: u64,
}

/// The files that a guest has asked about.
#[derive(Default)]
pub(crate) struct Inodes {
    known: BTreeMap<HostId, Inode>,
    /// How many there have been.
    count: u64,
    /// An open file has been written since times were told.
    written: bool,
}

impl Inodes {
    fn get(&mut self, id: HostId, epoch: u64) -> &mut Inode {
        self.known.entry(id).or_insert_with(|| {
            self.count += 1;
            Inode { number: self.count, atim: epoch, mtim: epoch, ctim: epoch }
        })
    }
}

/// What is gone for good when the file at `path` loses this name.
pub(crate) fn last_name(dir: &Dir, path: &str) -> Option<HostId> {
    let metadata = dir.symlink_metadata(path).ok()?;
    let last = metadata.is_dir() || metadata.nlink() <= 1;
    last.then(|| (metadata.dev(), metadata.ino()))
}

/// What is at `path`, links not followed.
pub(crate) fn at(dir: &Dir, path: &str) -> Option<HostId> {
    let metadata = dir.symlink_metadata(path).ok()?;
    Some((metadata.dev(), metadata.ino()))
}

impl WasiCtx {
    fn now(&self) -> u64 {
        self.clock.peek(REALTIME).unwrap_or(0)
    }

    /// What the guest is told where the host says `stat`.
    pub(crate) fn told(&mut self, stat: FileStat) -> FileStat {
        let Some(epoch) = self.clock.epoch() else { return stat };
        self.note_written();
        let is_dir = stat.kind == filetype::DIRECTORY;
        let Inode { number, atim, mtim, ctim } = *self.inodes.get((stat.dev, stat.ino), epoch);
        FileStat {
            dev: 1,
            ino: number,
            kind: stat.kind,
            nlink: if is_dir { 1 } else { stat.nlink },
            size: if is_dir { 0 } else { stat.size },
            atim,
            mtim,
            ctim,
        }
    }

    /// The number that the guest knows a file by.
    pub(crate) fn number(&mut self, id: HostId) -> u64 {
        match self.clock.epoch() {
            Some(epoch) => self.inodes.get(id, epoch).number,
            None => id.1,
        }
    }

    /// The guest has written to an open file, or made it.
    pub(crate) fn written(&mut self, fd: u32) {
        if !self.clock.is_virtual() {
            return;
        }
        let now = self.now();
        if let Ok(Descriptor::File(file)) = self.table.get_mut(fd) {
            file.written = Some(now);
            self.inodes.written = true;
        }
    }

    /// Notes when open files were written, before somebody asks or one is closed.
    pub(crate) fn note_written(&mut self) {
        let Some(epoch) = self.clock.epoch() else { return };
        if !std::mem::take(&mut self.inodes.written) {
            return;
        }
        for file in self.table.files_mut() {
            if let Some(at) = file.written.take()
                && let Ok(stat) = rustix::fs::fstat(&file.file)
            {
                let inode = self.inodes.get((stat.st_dev, stat.st_ino), epoch);
                (inode.mtim, inode.ctim) = (inode.mtim.max(at), inode.ctim.max(at));
            }
        }
    }

    /// The guest has set the times of a file.
    pub(crate) fn set_times(&mut self, id: Option<HostId>, atim: SetTime, mtim: SetTime) {
        let (Some(epoch), Some(id)) = (self.clock.epoch(), id) else { return };
        self.note_written();
        let now = self.now();
        let inode = self.inodes.get(id, epoch);
        for (time, to) in [(&mut inode.atim, atim), (&mut inode.mtim, mtim)] {
            if let SetTime::To(to) = to {
                *time = to;
            }
        }
        inode.ctim = now;
    }

    /// What the host knows by this is gone, or has just been made.
    pub(crate) fn forget(&mut self, id: Option<HostId>) {
        if let Some(id) = id {
            self.inodes.known.remove(&id);
        }
    }
}
