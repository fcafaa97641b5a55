//! Reading directories.
//!
//! The host gives entries in an order of its own, which differs between file systems and runs. A
//! guest sees `.` and `..` first and then the names in the order of their bytes; where time is virtual, with
//! numbers of its own (`inodes`). A directory is
//! listed when it is read from the start, and the list is kept until it is read from the start or
//! past its end again: so a guest that removes what it reads misses nothing. The cookie of an entry
//! is the number of entries up to and including it.

use crate::abi::{DIRENT_BYTES, filetype, rights};
use crate::errno::{Errno, Result};
use crate::table::{OpenDir, filetype_of};
use crate::{GuestMemory, WasiCtx};
use rustix::fs::{AtFlags, FileType, Mode, OFlags};

/// One entry of a directory.
#[derive(Default)]
pub(crate) struct Entry {
    /// As the host has it; it need not be UTF-8.
    name: Box<[u8]>,
    /// The host's number, then the guest's.
    ino: u64,
    kind: u8,
}

/// The entries of a directory in the order in which guests see them, and the device they are on.
fn list(dir: &OpenDir) -> Result<(Vec<Entry>, u64)> {
    // The directory itself may be open as a mere place to start paths from, which cannot be read.
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let readable = rustix::fs::openat(&dir.dir, c".", flags, Mode::empty())?;
    let own = rustix::fs::fstat(&readable)?;
    let mut named = Vec::new();
    for entry in rustix::fs::Dir::read_from(&readable)? {
        let entry = entry?;
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        let kind = match entry.file_type() {
            // Some file systems do not tell. What has been removed meanwhile stays unknown.
            FileType::Unknown => rustix::fs::statat(&readable, name, AtFlags::SYMLINK_NOFOLLOW)
                .map_or(FileType::Unknown, |stat| FileType::from_raw_mode(stat.st_mode)),
            kind => kind,
        };
        let (ino, kind) = (entry.ino(), filetype_of(kind));
        named.push(Entry { name: name.to_bytes().into(), ino, kind });
    }
    named.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    // The parent may be outside of what the guest may see, so its number is not told.
    let dots = [&b"."[..], b".."].into_iter().map(|name| Entry {
        name: name.into(),
        ino: own.st_ino,
        kind: filetype::DIRECTORY,
    });
    Ok((dots.chain(named).collect(), own.st_dev))
}

/// `fd_readdir`: writes entries from a cookie on, as many as fit; the last may be cut off.
///
/// That less is used than there is room for says that the end is reached. A cookie behind the last
/// entry gives nothing.
///
/// # Errors
/// [`Errno::BadF`], [`Errno::NotDir`], [`Errno::NotCapable`] without the right, [`Errno::NoMem`]
/// when too many large directories are read in part at once, [`Errno::Fault`], or what the host
/// reports.
pub fn fd_readdir(
    ctx: &mut WasiCtx,
    mem: &mut GuestMemory<'_>,
    fd: u32,
    buffer: u32,
    buffer_len: u32,
    cookie: u64,
    used: u32,
) -> Result<()> {
    ctx.table.dir(fd)?.check_rights(rights::FD_READDIR)?;
    mem.check(used, 4)?;
    mem.check(buffer, buffer_len)?;
    let entries = match ctx.table.take_listing(fd)? {
        Some(entries) if cookie != 0 => entries,
        _ => {
            let (mut entries, dev) = list(ctx.table.dir(fd)?)?;
            entries.iter_mut().for_each(|entry| entry.ino = ctx.number((dev, entry.ino)));
            entries
        }
    };
    let mut rest = mem.slice_mut(buffer, buffer_len)?;
    let mut next = cookie;
    let start = usize::try_from(cookie).unwrap_or(usize::MAX);
    for entry in entries.get(start..).unwrap_or_default() {
        next += 1;
        let mut head = [0; DIRENT_BYTES];
        head[..8].copy_from_slice(&next.to_le_bytes());
        head[8..16].copy_from_slice(&entry.ino.to_le_bytes());
        let len = u32::try_from(entry.name.len()).map_err(|_| Errno::Overflow)?;
        head[16..20].copy_from_slice(&len.to_le_bytes());
        head[20] = entry.kind;
        for part in [&head[..], &entry.name] {
            let count = part.len().min(rest.len());
            let (to, after) = rest.split_at_mut(count);
            to.copy_from_slice(&part[..count]);
            rest = after;
        }
        if rest.is_empty() {
            break;
        }
    }
    let left = rest.len() as u32;
    if left == 0 {
        ctx.table.keep_listing(fd, entries)?;
    }
    mem.write_u32(used, buffer_len - left)
}
