//! What is known of descriptors, and what else is done with them than reading and writing.

use crate::abi::{
    FDSTAT_BYTES, FILESTAT_BYTES, PRESTAT_BYTES, fdflags, filetype, fstflags, rights,
};
use crate::errno::{Errno, Result};
use crate::table::{Descriptor, filetype_of};
use crate::{GuestMemory, WasiCtx, clock};
use cap_std::fs::{Metadata, MetadataExt};
use rustix::fs::{Advice, AtFlags, FallocateFlags, OFlags, SeekFrom, Stat, Timespec, Timestamps};
use std::num::NonZeroU64;

/// `fd_close`: closes a descriptor.
///
/// # Errors
/// [`Errno::BadF`].
pub fn fd_close(ctx: &mut WasiCtx, _mem: &mut GuestMemory<'_>, fd: u32) -> Result<()> {
    ctx.note_written();
    ctx.table.remove(fd).map(drop)
}

/// `fd_renumber`: moves the descriptor `from` over the open descriptor `to`.
///
/// # Errors
/// [`Errno::BadF`].
pub fn fd_renumber(
    ctx: &mut WasiCtx,
    _mem: &mut GuestMemory<'_>,
    from: u32,
    to: u32,
) -> Result<()> {
    ctx.note_written();
    ctx.table.renumber(from, to)
}

/// `fd_seek`: moves the position and writes the new one.
///
/// # Errors
/// [`Errno::BadF`], [`Errno::SPipe`] for streams, [`Errno::Inval`] for an unknown `whence` or a
/// position before the start, [`Errno::Fault`].
pub fn fd_seek(
    ctx: &mut WasiCtx,
    mem: &mut GuestMemory<'_>,
    fd: u32,
    offset: i64,
    whence: u32,
    position: u32,
) -> Result<()> {
    let file = ctx.table.file(fd)?;
    mem.check(position, 8)?;
    let to = match whence {
        0 => SeekFrom::Start(u64::try_from(offset).map_err(|_| Errno::Inval)?),
        1 => SeekFrom::Current(offset),
        2 => SeekFrom::End(offset),
        _ => return Err(Errno::Inval),
    };
    mem.write_u64(position, rustix::fs::seek(&file.file, to)?)
}

/// `fd_tell`: writes the position.
///
/// # Errors
/// [`Errno::BadF`], [`Errno::SPipe`] for streams, [`Errno::Fault`].
pub fn fd_tell(ctx: &mut WasiCtx, mem: &mut GuestMemory<'_>, fd: u32, position: u32) -> Result<()> {
    mem.write_u64(position, rustix::fs::tell(&ctx.table.file(fd)?.file)?)
}

/// `fd_advise`: tells the host how a part of a file will be used.
///
/// # Errors
/// [`Errno::BadF`], [`Errno::SPipe`] for streams, [`Errno::Inval`].
pub fn fd_advise(
    ctx: &mut WasiCtx,
    _mem: &mut GuestMemory<'_>,
    fd: u32,
    offset: u64,
    len: u64,
    advice: u32,
) -> Result<()> {
    let file = ctx.table.file(fd)?;
    let advice = match advice {
        0 => Advice::Normal,
        1 => Advice::Sequential,
        2 => Advice::Random,
        3 => Advice::WillNeed,
        4 => Advice::DontNeed,
        5 => Advice::NoReuse,
        _ => return Err(Errno::Inval),
    };
    Ok(rustix::fs::fadvise(&file.file, offset, NonZeroU64::new(len), advice)?)
}

/// `fd_allocate`: makes sure that the disk has room for a part of a file.
///
/// # Errors
/// [`Errno::BadF`], [`Errno::SPipe`] for streams, [`Errno::Inval`], or what the host reports.
pub fn fd_allocate(
    ctx: &mut WasiCtx,
    _mem: &mut GuestMemory<'_>,
    fd: u32,
    offset: u64,
    len: u64,
) -> Result<()> {
    let file = ctx.table.file(fd)?;
    rustix::fs::fallocate(&file.file, FallocateFlags::empty(), offset, len)?;
    ctx.written(fd);
    Ok(())
}

/// `fd_sync`: brings content and metadata to disk.
///
/// # Errors
/// [`Errno::BadF`], [`Errno::Inval`] for streams, or what the host reports.
pub fn fd_sync(ctx: &mut WasiCtx, _mem: &mut GuestMemory<'_>, fd: u32) -> Result<()> {
    match ctx.table.get(fd)? {
        Descriptor::File(file) => Ok(rustix::fs::fsync(&file.file)?),
        Descriptor::Dir(_) => Ok(()),
        Descriptor::Stream(_) => Err(Errno::Inval),
    }
}

/// `fd_datasync`: brings content to disk.
///
/// # Errors
/// [`Errno::BadF`], [`Errno::Inval`] for streams, or what the host reports.
pub fn fd_datasync(ctx: &mut WasiCtx, _mem: &mut GuestMemory<'_>, fd: u32) -> Result<()> {
    match ctx.table.get(fd)? {
        Descriptor::File(file) => Ok(rustix::fs::fdatasync(&file.file)?),
        Descriptor::Dir(_) => Ok(()),
        Descriptor::Stream(_) => Err(Errno::Inval),
    }
}

/// `fd_fdstat_get`: writes kind, flags and rights of a descriptor.
///
/// # Errors
/// [`Errno::BadF`], [`Errno::Fault`].
pub fn fd_fdstat_get(
    ctx: &mut WasiCtx,
    mem: &mut GuestMemory<'_>,
    fd: u32,
    fdstat: u32,
) -> Result<()> {
    let (kind, flags, base, inheriting) = match ctx.table.get(fd)? {
        Descriptor::Stream(stream) => {
            let base = if stream.is_input() { rights::INPUT } else { rights::OUTPUT };
            (stream.filetype(), 0, base, 0)
        }
        Descriptor::File(file) => {
            let kind = filetype_of(kind_of(&rustix::fs::fstat(&file.file)?));
            (kind, flags_of(rustix::fs::fcntl_getfl(&file.file)?), file.rights, 0)
        }
        Descriptor::Dir(dir) => (filetype::DIRECTORY, 0, dir.rights, dir.inheriting),
    };
    let mut bytes = [0; FDSTAT_BYTES as usize];
    bytes[0] = kind;
    bytes[2..4].copy_from_slice(&(flags as u16).to_le_bytes());
    bytes[8..16].copy_from_slice(&base.to_le_bytes());
    bytes[16..24].copy_from_slice(&inheriting.to_le_bytes());
    mem.write(fdstat, &bytes)
}

fn flags_of(host: OFlags) -> u32 {
    let mut flags = 0;
    for (bit, flag) in [
        (OFlags::APPEND, fdflags::APPEND),
        (OFlags::NONBLOCK, fdflags::NONBLOCK),
        (OFlags::DSYNC, fdflags::DSYNC),
        (OFlags::SYNC, fdflags::SYNC | fdflags::RSYNC),
    ] {
        if host.contains(bit) {
            flags |= flag;
        }
    }
    flags
}

/// `fd_fdstat_set_flags`: sets whether writes append and whether calls block.
///
/// # Errors
/// [`Errno::BadF`], [`Errno::Inval`] for unknown flags, [`Errno::NotSup`] for those that can only
/// be chosen when opening.
pub fn fd_fdstat_set_flags(
    ctx: &mut WasiCtx,
    _mem: &mut GuestMemory<'_>,
    fd: u32,
    flags: u32,
) -> Result<()> {
    let descriptor = ctx.table.get(fd)?;
    if flags & !fdflags::ALL != 0 {
        return Err(Errno::Inval);
    }
    match descriptor {
        Descriptor::File(file) => {
            let settable = fdflags::APPEND | fdflags::NONBLOCK;
            let old = rustix::fs::fcntl_getfl(&file.file)?;
            if (flags_of(old) ^ flags) & !settable & !fdflags::RSYNC != 0 {
                return Err(Errno::NotSup);
            }
            let mut new = old;
            new.set(OFlags::APPEND, flags & fdflags::APPEND != 0);
            new.set(OFlags::NONBLOCK, flags & fdflags::NONBLOCK != 0);
            Ok(rustix::fs::fcntl_setfl(&file.file, new)?)
        }
        // Streams of the host belong to others too: their flags stay.
        Descriptor::Stream(_) | Descriptor::Dir(_) if flags & !fdflags::APPEND == 0 => Ok(()),
        Descriptor::Stream(_) | Descriptor::Dir(_) => Err(Errno::NotSup),
    }
}

/// `fd_fdstat_set_rights`: gives rights up.
///
/// # Errors
/// [`Errno::BadF`], [`Errno::NotCapable`] for rights that the descriptor does not have.
pub fn fd_fdstat_set_rights(
    ctx: &mut WasiCtx,
    _mem: &mut GuestMemory<'_>,
    fd: u32,
    base: u64,
    inheriting: u64,
) -> Result<()> {
    let narrow = |have: &mut u64, want: u64| {
        if want & !*have != 0 {
            return Err(Errno::NotCapable);
        }
        *have = want;
        Ok(())
    };
    match ctx.table.get_mut(fd)? {
        Descriptor::Stream(_) => Err(Errno::NotSup),
        Descriptor::File(file) if inheriting == 0 => narrow(&mut file.rights, base),
        Descriptor::File(_) => Err(Errno::NotCapable),
        Descriptor::Dir(dir) => {
            let (mut new_base, mut new_inheriting) = (dir.rights, dir.inheriting);
            narrow(&mut new_base, base)?;
            narrow(&mut new_inheriting, inheriting)?;
            (dir.rights, dir.inheriting) = (new_base, new_inheriting);
            Ok(())
        }
    }
}

/// What `filestat` tells.
#[derive(Debug, Default)]
pub(crate) struct FileStat {
    pub(crate) dev: u64,
    pub(crate) ino: u64,
    pub(crate) kind: u8,
    pub(crate) nlink: u64,
    pub(crate) size: u64,
    pub(crate) atim: u64,
    pub(crate) mtim: u64,
    pub(crate) ctim: u64,
}

impl FileStat {
    /// What the host tells of a descriptor.
    fn of_host(stat: &Stat) -> FileStat {
        FileStat {
            dev: stat.st_dev,
            ino: stat.st_ino,
            kind: filetype_of(kind_of(stat)),
            nlink: stat.st_nlink,
            size: u64::try_from(stat.st_size).unwrap_or(0),
            atim: timestamp(stat.st_atime, stat.st_atime_nsec as i64),
            mtim: timestamp(stat.st_mtime, stat.st_mtime_nsec as i64),
            ctim: timestamp(stat.st_ctime, stat.st_ctime_nsec as i64),
        }
    }

    /// What cap-std tells of a path.
    pub(crate) fn of_metadata(metadata: &Metadata) -> FileStat {
        FileStat {
            dev: metadata.dev(),
            ino: metadata.ino(),
            kind: filetype_of(rustix::fs::FileType::from_raw_mode(metadata.mode())),
            nlink: metadata.nlink(),
            size: metadata.size(),
            atim: timestamp(metadata.atime(), metadata.atime_nsec()),
            mtim: timestamp(metadata.mtime(), metadata.mtime_nsec()),
            ctim: timestamp(metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    /// Writes it as guests read it.
    pub(crate) fn write(&self, mem: &mut GuestMemory<'_>, at: u32) -> Result<()> {
        let mut bytes = [0; FILESTAT_BYTES as usize];
        let FileStat { dev, ino, kind, nlink, size, atim, mtim, ctim } = *self;
        let fields = [dev, ino, u64::from(kind), nlink, size, atim, mtim, ctim];
        for (to, field) in bytes.chunks_exact_mut(8).zip(fields) {
            to.copy_from_slice(&field.to_le_bytes());
        }
        mem.write(at, &bytes)
    }
}

fn kind_of(stat: &Stat) -> rustix::fs::FileType {
    rustix::fs::FileType::from_raw_mode(stat.st_mode)
}

/// Nanoseconds since 1970; what was before, or is too far ahead, counts as the nearest.
fn timestamp(seconds: i64, nanoseconds: i64) -> u64 {
    let total = i128::from(seconds) * 1_000_000_000 + i128::from(nanoseconds);
    u64::try_from(total.max(0)).unwrap_or(u64::MAX)
}

/// `fd_filestat_get`: writes what is known of an open file.
///
/// Of a stream only the kind is told; the rest is zero. Where time is virtual, numbers and times are the
/// guest's own: see `inodes`.
///
/// # Errors
/// [`Errno::BadF`], [`Errno::Fault`].
pub fn fd_filestat_get(
    ctx: &mut WasiCtx,
    mem: &mut GuestMemory<'_>,
    fd: u32,
    filestat: u32,
) -> Result<()> {
    let stat = match ctx.table.get(fd)? {
        Descriptor::Stream(stream) => {
            return FileStat { kind: stream.filetype(), ..FileStat::default() }
                .write(mem, filestat);
        }
        Descriptor::File(file) => FileStat::of_host(&rustix::fs::fstat(&file.file)?),
        Descriptor::Dir(dir) => FileStat::of_host(&rustix::fs::fstat(&dir.dir)?),
    };
    ctx.told(stat).write(mem, filestat)
}

/// `fd_filestat_set_size`: cuts or extends a file.
///
/// # Errors
/// [`Errno::BadF`], [`Errno::Inval`] for what is not open for writing, or what the host reports.
pub fn fd_filestat_set_size(
    ctx: &mut WasiCtx,
    _mem: &mut GuestMemory<'_>,
    fd: u32,
    size: u64,
) -> Result<()> {
    match ctx.table.get(fd)? {
        Descriptor::File(file) if file.rights & rights::FD_WRITE != 0 => {
            rustix::fs::ftruncate(&file.file, size)?;
        }
        Descriptor::File(_) | Descriptor::Stream(_) => return Err(Errno::Inval),
        Descriptor::Dir(_) => return Err(Errno::BadF),
    }
    ctx.written(fd);
    Ok(())
}

/// What becomes of one timestamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SetTime {
    /// It stays.
    Keep,
    /// It becomes this, in nanoseconds since 1970.
    To(u64),
}

/// Access and modification time that the flags ask for. "Now" is the guest's own clock.
pub(crate) fn set_times(
    ctx: &mut WasiCtx,
    atim: u64,
    mtim: u64,
    flags: u32,
) -> Result<(SetTime, SetTime)> {
    if flags & !fstflags::ALL != 0 {
        return Err(Errno::Inval);
    }
    let now = ctx.clock.read(clock::REALTIME)?;
    let choose = |time: u64, given: u32, now_flag: u32| match (flags & given, flags & now_flag) {
        (0, 0) => Ok(SetTime::Keep),
        (_, 0) => Ok(SetTime::To(time)),
        (0, _) => Ok(SetTime::To(now)),
        _ => Err(Errno::Inval),
    };
    Ok((
        choose(atim, fstflags::ATIM, fstflags::ATIM_NOW)?,
        choose(mtim, fstflags::MTIM, fstflags::MTIM_NOW)?,
    ))
}

fn host_time(time: SetTime) -> Timespec {
    match time {
        SetTime::Keep => Timespec { tv_sec: 0, tv_nsec: rustix::fs::UTIME_OMIT },
        SetTime::To(time) => Timespec {
            tv_sec: (time / 1_000_000_000) as i64,
            tv_nsec: (time % 1_000_000_000) as i64,
        },
    }
}

/// `fd_filestat_set_times`: sets access and modification time.
///
/// # Errors
/// [`Errno::BadF`], [`Errno::Inval`] for contradicting flags and for streams, [`Errno::RoFs`] in a
/// read-only directory, or what the host reports.
pub fn fd_filestat_set_times(
    ctx: &mut WasiCtx,
    _mem: &mut GuestMemory<'_>,
    fd: u32,
    atim: u64,
    mtim: u64,
    flags: u32,
) -> Result<()> {
    ctx.table.get(fd)?;
    let (access, modification) = set_times(ctx, atim, mtim, flags)?;
    let times =
        Timestamps { last_access: host_time(access), last_modification: host_time(modification) };
    let stat = match ctx.table.get(fd)? {
        Descriptor::Stream(_) => return Err(Errno::Inval),
        Descriptor::File(file) if file.rights & rights::FD_FILESTAT_SET_TIMES == 0 => {
            return Err(Errno::NotCapable);
        }
        Descriptor::File(file) => {
            rustix::fs::futimens(&file.file, &times)?;
            rustix::fs::fstat(&file.file)?
        }
        Descriptor::Dir(dir) => {
            dir.check_writable()?;
            dir.check_rights(rights::FD_FILESTAT_SET_TIMES)?;
            // It may be open as a mere place to start paths from, of which no times can be set.
            rustix::fs::utimensat(&dir.dir, c".", &times, AtFlags::empty())?;
            rustix::fs::fstat(&dir.dir)?
        }
    };
    ctx.set_times(Some((stat.st_dev, stat.st_ino)), access, modification);
    Ok(())
}

/// `fd_prestat_get`: writes the length of the name of a preopened directory.
///
/// # Errors
/// [`Errno::BadF`] for everything else, by which guests find the end of the list; [`Errno::Fault`].
pub fn fd_prestat_get(
    ctx: &mut WasiCtx,
    mem: &mut GuestMemory<'_>,
    fd: u32,
    prestat: u32,
) -> Result<()> {
    let len = u32::try_from(preopen(ctx, fd)?.len()).map_err(|_| Errno::NameTooLong)?;
    // The first word is the kind of what was opened: 0, a directory.
    mem.check(prestat, PRESTAT_BYTES)?;
    mem.write_u64(prestat, u64::from(len) << 32)
}

/// `fd_prestat_dir_name`: writes the name of a preopened directory, without a NUL.
///
/// # Errors
/// [`Errno::BadF`] for everything else, [`Errno::NameTooLong`] when there is too little room,
/// [`Errno::Fault`].
pub fn fd_prestat_dir_name(
    ctx: &mut WasiCtx,
    mem: &mut GuestMemory<'_>,
    fd: u32,
    at: u32,
    len: u32,
) -> Result<()> {
    let name = preopen(ctx, fd)?;
    if name.len() > len as usize {
        return Err(Errno::NameTooLong);
    }
    mem.write(at, name.as_bytes())
}

fn preopen(ctx: &WasiCtx, fd: u32) -> Result<&str> {
    match ctx.table.get(fd)? {
        Descriptor::Dir(dir) => dir.preopen.as_deref().ok_or(Errno::BadF),
        _ => Err(Errno::BadF),
    }
}
