//! Reading and writing through descriptors.
//!
//! Bytes go straight between the host and the guest's memory. Writes hand the kernel up to
//! [`BATCH`] buffers at once; reads fill one buffer after the other. A call that has moved
//! something reports that and leaves an error for the next call to find, as in POSIX.

use crate::abi::rights;
use crate::errno::{Errno, Result};
use crate::memory::IoVecs;
use crate::table::Descriptor;
use crate::{GuestMemory, WasiCtx};
use rustix::io::retry_on_intr;
use std::io::IoSlice;

/// Buffers per system call of a scattered write.
const BATCH: usize = 16;

/// Reads into the buffers one after the other until one is not filled.
///
/// With `once` only the first buffer with room is used, for sources where waiting for more could
/// take forever.
fn read_into(
    mem: &mut GuestMemory<'_>,
    iovecs: IoVecs,
    once: bool,
    mut read: impl FnMut(&mut [u8], u64) -> Result<usize>,
) -> Result<u32> {
    let mut total = 0_u32;
    for index in 0..iovecs.len() {
        // What has been read may lie over the array itself, hence the checks anew.
        let next = iovecs.get(mem, index).and_then(|(at, len)| mem.slice_mut(at, len));
        let got = match next {
            Ok([]) => continue,
            Ok(buffer) => read(buffer, u64::from(total)).map(|got| (got, buffer.len())),
            Err(error) => Err(error),
        };
        match got {
            Ok((got, len)) => {
                total = total.checked_add(got as u32).ok_or(Errno::Overflow)?;
                if once || got < len {
                    break;
                }
            }
            Err(error) if total == 0 => return Err(error),
            Err(_) => break,
        }
    }
    Ok(total)
}

/// Writes the buffers one after the other until the host takes less than it is given.
fn write_from(
    mem: &GuestMemory<'_>,
    iovecs: IoVecs,
    mut write: impl FnMut(&[IoSlice<'_>], u64) -> Result<usize>,
) -> Result<u32> {
    let (mut total, mut index) = (0_u32, 0);
    // An empty write is one system call as well, as it may find the stream closed.
    loop {
        let mut batch = [IoSlice::new(&[]); BATCH];
        let (mut used, mut len) = (0, 0);
        while used < BATCH && index < iovecs.len() {
            let (at, bytes) = iovecs.get(mem, index)?;
            batch[used] = IoSlice::new(mem.slice(at, bytes)?);
            len += bytes as usize;
            index += 1;
            used += usize::from(bytes != 0);
        }
        match write(&batch[..used], u64::from(total)) {
            Ok(written) => {
                total = total.checked_add(written as u32).ok_or(Errno::Overflow)?;
                if written < len || index == iovecs.len() {
                    return Ok(total);
                }
            }
            Err(error) if total == 0 => return Err(error),
            Err(_) => return Ok(total),
        }
    }
}

/// `fd_read`: reads at the position and moves it.
///
/// # Errors
/// [`Errno::BadF`], [`Errno::Fault`], or what the host reports.
pub fn fd_read(
    ctx: &mut WasiCtx,
    mem: &mut GuestMemory<'_>,
    fd: u32,
    iovs: u32,
    iovs_len: u32,
    nread: u32,
) -> Result<()> {
    let descriptor = ctx.table.get_mut(fd)?;
    let iovecs = mem.iovecs(iovs, iovs_len)?;
    mem.check(nread, 4)?;
    let total = match descriptor {
        Descriptor::Stream(stream) if stream.is_input() => {
            read_into(mem, iovecs, true, |buffer, _| stream.read(buffer))?
        }
        Descriptor::File(file) if file.rights & rights::FD_READ != 0 => {
            read_into(mem, iovecs, false, |buffer, _| {
                Ok(retry_on_intr(|| rustix::io::read(&file.file, &mut *buffer))?)
            })?
        }
        _ => return Err(Errno::BadF),
    };
    mem.write_u32(nread, total)
}

/// `fd_pread`: reads at an offset; the position stays.
///
/// # Errors
/// [`Errno::BadF`], [`Errno::SPipe`] for streams, [`Errno::Fault`], or what the host reports.
pub fn fd_pread(
    ctx: &mut WasiCtx,
    mem: &mut GuestMemory<'_>,
    fd: u32,
    iovs: u32,
    iovs_len: u32,
    offset: u64,
    nread: u32,
) -> Result<()> {
    let file = ctx.table.file(fd)?;
    let iovecs = mem.iovecs(iovs, iovs_len)?;
    mem.check(nread, 4)?;
    if file.rights & rights::FD_READ == 0 {
        return Err(Errno::BadF);
    }
    let total = read_into(mem, iovecs, false, |buffer, done| {
        let at = offset.checked_add(done).ok_or(Errno::Inval)?;
        Ok(retry_on_intr(|| rustix::io::pread(&file.file, &mut *buffer, at))?)
    })?;
    mem.write_u32(nread, total)
}

/// `fd_write`: writes at the position and moves it.
///
/// # Errors
/// [`Errno::BadF`], [`Errno::Fault`], [`Errno::Pipe`] when nobody reads any more, or what the host
/// reports.
pub fn fd_write(
    ctx: &mut WasiCtx,
    mem: &mut GuestMemory<'_>,
    fd: u32,
    iovs: u32,
    iovs_len: u32,
    nwritten: u32,
) -> Result<()> {
    let descriptor = ctx.table.get_mut(fd)?;
    let iovecs = mem.iovecs(iovs, iovs_len)?;
    mem.check(nwritten, 4)?;
    let total = match descriptor {
        Descriptor::Stream(stream) if !stream.is_input() => {
            write_from(mem, iovecs, |batch, _| stream.write(batch))?
        }
        Descriptor::File(file) if file.rights & rights::FD_WRITE != 0 => {
            write_from(mem, iovecs, |batch, _| {
                Ok(retry_on_intr(|| rustix::io::writev(&file.file, batch))?)
            })?
        }
        _ => return Err(Errno::BadF),
    };
    ctx.written(fd);
    mem.write_u32(nwritten, total)
}

/// `fd_pwrite`: writes at an offset; the position stays.
///
/// # Errors
/// [`Errno::BadF`], [`Errno::SPipe`] for streams, [`Errno::Fault`], or what the host reports.
pub fn fd_pwrite(
    ctx: &mut WasiCtx,
    mem: &mut GuestMemory<'_>,
    fd: u32,
    iovs: u32,
    iovs_len: u32,
    offset: u64,
    nwritten: u32,
) -> Result<()> {
    let file = ctx.table.file(fd)?;
    let iovecs = mem.iovecs(iovs, iovs_len)?;
    mem.check(nwritten, 4)?;
    if file.rights & rights::FD_WRITE == 0 {
        return Err(Errno::BadF);
    }
    let total = write_from(mem, iovecs, |batch, done| {
        let at = offset.checked_add(done).ok_or(Errno::Inval)?;
        Ok(retry_on_intr(|| rustix::io::pwritev(&file.file, batch, at))?)
    })?;
    ctx.written(fd);
    mem.write_u32(nwritten, total)
}
