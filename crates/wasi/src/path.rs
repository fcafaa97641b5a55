//! What is done with paths.
//!
//! A path starts at an open directory and cap-std walks it: absolute paths, `..` that lead above
//! the start, and symbolic links that do either are refused, which guests see as `notcapable`. Only
//! what is given to the host after that walk is a name in a directory that the guest may use.
//!
//! A directory needs the right that belongs to a function, as the guest may have given it up with
//! `fd_fdstat_set_rights`. In a read-only directory everything that would change something fails
//! with `rofs`, whatever the rights.

use crate::abi::{fdflags, lookupflags, oflags, rights};
use crate::errno::{Errno, Result};
use crate::fd::{FileStat, SetTime, set_times};
use crate::inodes::{self, HostId};
use crate::table::{Descriptor, OpenDir, OpenFile};
use crate::{GuestMemory, WasiCtx};
use cap_fs_ext::{DirExt, FollowSymlinks, OpenOptionsFollowExt, SystemTimeSpec};
use cap_std::fs::{Dir, MetadataExt, OpenOptions, OpenOptionsExt};
use rustix::fs::OFlags;
use std::os::unix::ffi::OsStrExt;
use std::time::{Duration, UNIX_EPOCH};

/// What `find` finds, where guests have files of their own numbers and times.
fn if_virtual(ctx: &WasiCtx, find: impl FnOnce() -> Option<HostId>) -> Option<HostId> {
    if ctx.clock.is_virtual() { find() } else { None }
}

/// Whether the last component of a path is followed when it is a symbolic link.
fn follows(lookup: u32) -> Result<bool> {
    if lookup & !lookupflags::SYMLINK_FOLLOW != 0 {
        return Err(Errno::Inval);
    }
    Ok(lookup & lookupflags::SYMLINK_FOLLOW != 0)
}

/// The directory with a number, for something that changes what is in it.
fn changing(ctx: &WasiCtx, fd: u32, rights: u64) -> Result<&OpenDir> {
    let dir = ctx.table.dir(fd)?;
    dir.check_writable()?;
    dir.check_rights(rights)?;
    Ok(dir)
}

/// `path_create_directory`: makes a directory.
///
/// # Errors
/// [`Errno::BadF`], [`Errno::NotDir`], [`Errno::NotCapable`], [`Errno::RoFs`], [`Errno::Fault`], or
/// what the host reports.
pub fn path_create_directory(
    ctx: &mut WasiCtx,
    mem: &mut GuestMemory<'_>,
    fd: u32,
    path: u32,
    path_len: u32,
) -> Result<()> {
    let dir = changing(ctx, fd, rights::PATH_CREATE_DIRECTORY)?;
    let path = mem.path(path, path_len)?;
    dir.dir.create_dir(path)?;
    let made = if_virtual(ctx, || inodes::at(&dir.dir, path));
    ctx.forget(made);
    Ok(())
}

/// `path_filestat_get`: writes what is known of a file.
///
/// # Errors
/// [`Errno::BadF`], [`Errno::NotDir`], [`Errno::NotCapable`], [`Errno::Inval`] for unknown flags,
/// [`Errno::Fault`], or what the host reports.
pub fn path_filestat_get(
    ctx: &mut WasiCtx,
    mem: &mut GuestMemory<'_>,
    fd: u32,
    lookup: u32,
    path: u32,
    path_len: u32,
    filestat: u32,
) -> Result<()> {
    let dir = ctx.table.dir(fd)?;
    dir.check_rights(rights::PATH_FILESTAT_GET)?;
    let path = mem.path(path, path_len)?;
    let metadata =
        if follows(lookup)? { dir.dir.metadata(path)? } else { dir.dir.symlink_metadata(path)? };
    ctx.told(FileStat::of_metadata(&metadata)).write(mem, filestat)
}

fn time_spec(time: SetTime) -> Option<SystemTimeSpec> {
    match time {
        SetTime::Keep => None,
        SetTime::To(time) => {
            let time = UNIX_EPOCH + Duration::from_nanos(time);
            Some(SystemTimeSpec::Absolute(cap_std::time::SystemTime::from_std(time)))
        }
    }
}

/// `path_filestat_set_times`: sets access and modification time of a file.
///
/// # Errors
/// [`Errno::BadF`], [`Errno::NotDir`], [`Errno::NotCapable`], [`Errno::RoFs`], [`Errno::Inval`] for
/// unknown or contradicting flags, [`Errno::Fault`], or what the host reports.
#[allow(clippy::too_many_arguments)]
pub fn path_filestat_set_times(
    ctx: &mut WasiCtx,
    mem: &mut GuestMemory<'_>,
    fd: u32,
    lookup: u32,
    path: u32,
    path_len: u32,
    atim: u64,
    mtim: u64,
    flags: u32,
) -> Result<()> {
    changing(ctx, fd, rights::PATH_FILESTAT_SET_TIMES)?;
    let path = mem.path(path, path_len)?;
    let follow = follows(lookup)?;
    let (atim, mtim) = set_times(ctx, atim, mtim, flags)?;
    let dir = &ctx.table.dir(fd)?.dir;
    if follow {
        DirExt::set_times(dir, path, time_spec(atim), time_spec(mtim))?;
    } else {
        dir.set_symlink_times(path, time_spec(atim), time_spec(mtim))?;
    }
    let id = if_virtual(ctx, || {
        let found = if follow { dir.metadata(path) } else { dir.symlink_metadata(path) };
        found.ok().map(|metadata| (metadata.dev(), metadata.ino()))
    });
    ctx.set_times(id, atim, mtim);
    Ok(())
}

/// `path_link`: gives a file another name.
///
/// # Errors
/// [`Errno::BadF`], [`Errno::NotDir`], [`Errno::NotCapable`], [`Errno::RoFs`], [`Errno::Inval`] for
/// unknown flags, [`Errno::Fault`], or what the host reports.
#[allow(clippy::too_many_arguments)]
pub fn path_link(
    ctx: &mut WasiCtx,
    mem: &mut GuestMemory<'_>,
    old_fd: u32,
    lookup: u32,
    old_path: u32,
    old_len: u32,
    new_fd: u32,
    new_path: u32,
    new_len: u32,
) -> Result<()> {
    // The file itself can be written through its new name, so both ends must be writable.
    let old = changing(ctx, old_fd, rights::PATH_LINK_SOURCE)?;
    let new = changing(ctx, new_fd, rights::PATH_LINK_TARGET)?;
    let (old_path, new_path) = (mem.path(old_path, old_len)?, mem.path(new_path, new_len)?);
    if follows(lookup)? {
        let target = old.dir.canonicalize(old_path)?;
        return Ok(old.dir.hard_link(target, &new.dir, new_path)?);
    }
    Ok(old.dir.hard_link(old_path, &new.dir, new_path)?)
}

/// How the host opens a file for a guest.
fn open_options(follow: bool, oflags: u32, base: u64, flags: u32) -> OpenOptions {
    let mut options = OpenOptions::new();
    let changes = oflags & (oflags::CREAT | oflags::TRUNC) != 0;
    // Making and cutting files needs writing at the host, but gives the guest no right to write. A
    // descriptor without either right still has to be opened for something.
    let write = base & rights::FD_WRITE != 0 || changes;
    options.read(base & rights::FD_READ != 0 || !write).write(write);
    options.truncate(oflags & oflags::TRUNC != 0);
    if oflags & oflags::CREAT != 0 {
        options.create(true).create_new(oflags & oflags::EXCL != 0);
    }
    options.follow(if follow { FollowSymlinks::Yes } else { FollowSymlinks::No });
    // A terminal in a directory must not become the one that sends signals to the host.
    let mut host = OFlags::NOCTTY;
    for (flag, bit) in [
        (fdflags::APPEND, OFlags::APPEND),
        (fdflags::DSYNC, OFlags::DSYNC),
        (fdflags::NONBLOCK, OFlags::NONBLOCK),
        (fdflags::RSYNC, OFlags::RSYNC),
        (fdflags::SYNC, OFlags::SYNC),
    ] {
        if flags & flag != 0 {
            host |= bit;
        }
    }
    options.custom_flags(host.bits() as i32);
    options
}

/// `path_open`: opens a file or directory and writes the number of its descriptor.
///
/// A file gets those of the wanted rights that make sense for it and that `fd` passes on. A
/// directory gets all that `fd` passes on, as guests are used to: what they ask for is often made
/// for files, before they know what they open.
///
/// # Errors
/// [`Errno::BadF`], [`Errno::NotDir`], [`Errno::MFile`], [`Errno::Inval`] for flags that are unknown
/// or contradict each other, [`Errno::NotCapable`] when the path leads out or reading or writing is
/// not passed on, [`Errno::IsDir`] for a directory that is to be written, [`Errno::RoFs`],
/// [`Errno::Fault`], or what the host reports.
#[allow(clippy::too_many_arguments)]
pub fn path_open(
    ctx: &mut WasiCtx,
    mem: &mut GuestMemory<'_>,
    fd: u32,
    lookup: u32,
    path: u32,
    path_len: u32,
    oflags: u32,
    base: u64,
    _inheriting: u64,
    fdflags: u32,
    opened: u32,
) -> Result<()> {
    let dir = ctx.table.dir(fd)?;
    dir.check_rights(rights::PATH_OPEN)?;
    mem.check(opened, 4)?;
    let path = mem.path(path, path_len)?;
    let follow = follows(lookup)?;
    if oflags & !oflags::ALL != 0 || fdflags & !fdflags::ALL != 0 {
        return Err(Errno::Inval);
    }
    ctx.table.check_room()?;
    let creates = oflags & oflags::CREAT != 0;
    let was_there = !(creates && ctx.clock.is_virtual())
        || if follow { dir.dir.metadata(path) } else { dir.dir.symlink_metadata(path) }.is_ok();
    let (file, is_dir) = if oflags & oflags::DIRECTORY != 0 {
        if oflags != oflags::DIRECTORY {
            return Err(Errno::Inval);
        }
        let found =
            if follow { dir.dir.open_dir(path)? } else { dir.dir.open_dir_nofollow(path)? };
        if base & rights::FD_WRITE != 0 {
            return Err(Errno::IsDir);
        }
        (found.into_std_file(), true)
    } else {
        let changes = [
            (oflags::CREAT, rights::PATH_CREATE_FILE),
            (oflags::TRUNC, rights::PATH_FILESTAT_SET_SIZE),
        ];
        for (_, right) in changes.into_iter().filter(|(flag, _)| oflags & flag != 0) {
            dir.check_writable()?;
            dir.check_rights(right)?;
        }
        if base & rights::FD_WRITE != 0 {
            dir.check_writable()?;
        }
        if base & (rights::FD_READ | rights::FD_WRITE) & !dir.inheriting != 0 {
            return Err(Errno::NotCapable);
        }
        let file = dir.dir.open_with(path, &open_options(follow, oflags, base, fdflags))?;
        let file = file.into_std();
        let is_dir = file.metadata()?.is_dir();
        (file, is_dir)
    };
    let descriptor = if is_dir {
        let mut new = OpenDir::new(Dir::from_std_file(file), None, dir.read_only);
        new.rights &= dir.inheriting;
        new.inheriting &= dir.inheriting;
        Descriptor::Dir(new)
    } else {
        let rights = rights::FILE & base & dir.inheriting;
        let file = cap_std::fs::File::from_std(file);
        Descriptor::File(OpenFile { file, rights, written: None })
    };
    if !was_there && let Descriptor::File(file) = &descriptor {
        let stat = rustix::fs::fstat(&file.file)?;
        ctx.forget(Some((stat.st_dev, stat.st_ino)));
    }
    let number = ctx.table.push(descriptor)?;
    if !was_there || oflags & oflags::TRUNC != 0 {
        ctx.written(number);
    }
    mem.write_u32(opened, number)
}

/// `path_readlink`: writes where a symbolic link leads, as much of it as fits.
///
/// A link to an absolute path is refused: it cannot be followed, and would tell about the host.
///
/// # Errors
/// [`Errno::BadF`], [`Errno::NotDir`], [`Errno::NotCapable`], [`Errno::Inval`] for what is not a
/// link, [`Errno::Fault`], or what the host reports.
#[allow(clippy::too_many_arguments)]
pub fn path_readlink(
    ctx: &mut WasiCtx,
    mem: &mut GuestMemory<'_>,
    fd: u32,
    path: u32,
    path_len: u32,
    buffer: u32,
    buffer_len: u32,
    used: u32,
) -> Result<()> {
    let dir = ctx.table.dir(fd)?;
    dir.check_rights(rights::PATH_READLINK)?;
    mem.check(used, 4)?;
    let target = dir.dir.read_link(mem.path(path, path_len)?)?;
    let target = target.as_os_str().as_bytes();
    let count = target.len().min(buffer_len as usize);
    mem.check(buffer, buffer_len)?;
    mem.write(buffer, &target[..count])?;
    mem.write_u32(used, count as u32)
}

/// `path_remove_directory`: removes an empty directory.
///
/// # Errors
/// [`Errno::BadF`], [`Errno::NotDir`], [`Errno::NotCapable`], [`Errno::RoFs`], [`Errno::Fault`], or
/// what the host reports.
pub fn path_remove_directory(
    ctx: &mut WasiCtx,
    mem: &mut GuestMemory<'_>,
    fd: u32,
    path: u32,
    path_len: u32,
) -> Result<()> {
    let dir = changing(ctx, fd, rights::PATH_REMOVE_DIRECTORY)?;
    let path = mem.path(path, path_len)?;
    // The walk takes slashes at the end for another component, `.`, which cannot be removed.
    let name = path.trim_end_matches('/');
    let name = if name.is_empty() { path } else { name };
    let gone = if_virtual(ctx, || inodes::last_name(&dir.dir, name));
    dir.dir.remove_dir(name)?;
    ctx.forget(gone);
    Ok(())
}

/// `path_rename`: gives a file or directory another name, and takes the place of what had it.
///
/// # Errors
/// [`Errno::BadF`], [`Errno::NotDir`], [`Errno::NotCapable`], [`Errno::RoFs`], [`Errno::Fault`], or
/// what the host reports.
#[allow(clippy::too_many_arguments)]
pub fn path_rename(
    ctx: &mut WasiCtx,
    mem: &mut GuestMemory<'_>,
    old_fd: u32,
    old_path: u32,
    old_len: u32,
    new_fd: u32,
    new_path: u32,
    new_len: u32,
) -> Result<()> {
    let old = changing(ctx, old_fd, rights::PATH_RENAME_SOURCE)?;
    let new = changing(ctx, new_fd, rights::PATH_RENAME_TARGET)?;
    let (old_path, new_path) = (mem.path(old_path, old_len)?, mem.path(new_path, new_len)?);
    // The walk drops slashes at the end of the new name, which only a directory may have.
    if new_path.ends_with('/') && !old.dir.symlink_metadata(old_path)?.is_dir() {
        return Err(Errno::NotDir);
    }
    // Whose place it takes, if that is not its own.
    let gone = if_virtual(ctx, || {
        inodes::last_name(&new.dir, new_path)
            .filter(|&id| inodes::at(&old.dir, old_path) != Some(id))
    });
    old.dir.rename(old_path, &new.dir, new_path)?;
    ctx.forget(gone);
    Ok(())
}

/// `path_symlink`: makes a symbolic link. It may not lead to an absolute path, so that it misleads
/// nobody outside either.
///
/// # Errors
/// [`Errno::BadF`], [`Errno::NotDir`], [`Errno::NotCapable`], [`Errno::RoFs`], [`Errno::Fault`], or
/// what the host reports.
pub fn path_symlink(
    ctx: &mut WasiCtx,
    mem: &mut GuestMemory<'_>,
    old_path: u32,
    old_len: u32,
    fd: u32,
    new_path: u32,
    new_len: u32,
) -> Result<()> {
    let dir = changing(ctx, fd, rights::PATH_SYMLINK)?;
    let (old_path, new_path) = (mem.path(old_path, old_len)?, mem.path(new_path, new_len)?);
    dir.dir.symlink(old_path, new_path)?;
    let made = if_virtual(ctx, || inodes::at(&dir.dir, new_path));
    ctx.forget(made);
    Ok(())
}

/// `path_unlink_file`: removes a file or symbolic link.
///
/// # Errors
/// [`Errno::BadF`], [`Errno::NotDir`], [`Errno::NotCapable`], [`Errno::RoFs`], [`Errno::IsDir`],
/// [`Errno::Fault`], or what the host reports.
pub fn path_unlink_file(
    ctx: &mut WasiCtx,
    mem: &mut GuestMemory<'_>,
    fd: u32,
    path: u32,
    path_len: u32,
) -> Result<()> {
    let dir = changing(ctx, fd, rights::PATH_UNLINK_FILE)?;
    let path = mem.path(path, path_len)?;
    let gone = if_virtual(ctx, || inodes::last_name(&dir.dir, path));
    dir.dir.remove_file_or_symlink(path)?;
    ctx.forget(gone);
    Ok(())
}
