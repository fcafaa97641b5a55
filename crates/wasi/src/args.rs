//! Arguments, environment, and the end of the process.
//!
//! Arguments and environment have one layout: an array of pointers, and a buffer of strings that
//! end with a NUL. The guest asks for the sizes first and then gives room for both.

use crate::errno::{Errno, Result};
use crate::{GuestMemory, WasiCtx};

/// How a guest ends when it calls `proc_exit`: as an error that carries its status.
///
/// The embedder finds it with `error.downcast_ref::<I32Exit>()`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct I32Exit(pub i32);

impl std::fmt::Display for I32Exit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "exited with status {}", self.0)
    }
}

impl std::error::Error for I32Exit {}

fn sizes(strings: &[Vec<u8>], mem: &mut GuestMemory<'_>, count: u32, bytes: u32) -> Result<()> {
    let total: usize = strings.iter().map(|string| string.len() + 1).sum();
    let number = u32::try_from(strings.len()).map_err(|_| Errno::Overflow)?;
    let total = u32::try_from(total).map_err(|_| Errno::Overflow)?;
    mem.write_u32(count, number)?;
    mem.write_u32(bytes, total)
}

fn copy(strings: &[Vec<u8>], mem: &mut GuestMemory<'_>, array: u32, buffer: u32) -> Result<()> {
    let (mut slot, mut at) = (array, buffer);
    for string in strings {
        mem.write_u32(slot, at)?;
        mem.write(at, string)?;
        // What was written lies inside of the memory, so these end in it or just behind, where only
        // an address of 2³² does not fit. Nothing can be written there.
        let end = at.checked_add(string.len() as u32).ok_or(Errno::Fault)?;
        mem.write_u8(end, 0)?;
        at = end.wrapping_add(1);
        slot = slot.wrapping_add(4);
    }
    Ok(())
}

/// `args_sizes_get`: writes how many arguments there are and how many bytes they need.
///
/// # Errors
/// [`Errno::Fault`].
pub fn args_sizes_get(
    ctx: &mut WasiCtx,
    mem: &mut GuestMemory<'_>,
    count: u32,
    bytes: u32,
) -> Result<()> {
    sizes(&ctx.args, mem, count, bytes)
}

/// `args_get`: writes the arguments.
///
/// # Errors
/// [`Errno::Fault`].
pub fn args_get(
    ctx: &mut WasiCtx,
    mem: &mut GuestMemory<'_>,
    array: u32,
    buffer: u32,
) -> Result<()> {
    copy(&ctx.args, mem, array, buffer)
}

/// `environ_sizes_get`: writes how many variables there are and how many bytes they need.
///
/// # Errors
/// [`Errno::Fault`].
pub fn environ_sizes_get(
    ctx: &mut WasiCtx,
    mem: &mut GuestMemory<'_>,
    count: u32,
    bytes: u32,
) -> Result<()> {
    sizes(&ctx.env, mem, count, bytes)
}

/// `environ_get`: writes the environment.
///
/// # Errors
/// [`Errno::Fault`].
pub fn environ_get(
    ctx: &mut WasiCtx,
    mem: &mut GuestMemory<'_>,
    array: u32,
    buffer: u32,
) -> Result<()> {
    copy(&ctx.env, mem, array, buffer)
}

/// `proc_exit`: the end of the guest, as an error value.
pub fn proc_exit(_ctx: &mut WasiCtx, status: u32) -> I32Exit {
    I32Exit(status as i32)
}

/// `proc_raise`: there are no signals.
///
/// # Errors
/// [`Errno::NotSup`], always.
pub fn proc_raise(_ctx: &mut WasiCtx, _mem: &mut GuestMemory<'_>, _signal: u32) -> Result<()> {
    Err(Errno::NotSup)
}

/// `sched_yield`: lets others run; with a virtual clock nobody could tell.
///
/// # Errors
/// None.
pub fn sched_yield(ctx: &mut WasiCtx, _mem: &mut GuestMemory<'_>) -> Result<()> {
    if !ctx.clock.is_virtual() {
        std::thread::yield_now();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::WasiCtxBuilder;

    #[test]
    fn arguments_and_environment() {
        let mut ctx =
            WasiCtxBuilder::new().args(&["p", "two"]).env("A", "b=c").envs(&[("X", "")]).build();
        let mut bytes = [0xee; 64];
        let mut mem = GuestMemory::new(&mut bytes);
        args_sizes_get(&mut ctx, &mut mem, 0, 4).unwrap();
        assert_eq!((mem.read_u32(0), mem.read_u32(4)), (Ok(2), Ok(6)));
        args_get(&mut ctx, &mut mem, 0, 8).unwrap();
        assert_eq!((mem.read_u32(0), mem.read_u32(4)), (Ok(8), Ok(10)));
        assert_eq!(mem.slice(8, 7).unwrap(), b"p\0two\0\xee");
        environ_sizes_get(&mut ctx, &mut mem, 0, 4).unwrap();
        assert_eq!((mem.read_u32(0), mem.read_u32(4)), (Ok(2), Ok(9)));
        environ_get(&mut ctx, &mut mem, 16, 30).unwrap();
        assert_eq!(mem.slice(30, 10).unwrap(), b"A=b=c\0X=\0\xee");
    }

    #[test]
    fn nothing_by_default() {
        let mut ctx = WasiCtxBuilder::new().build();
        let mut bytes = [1; 8];
        let mut mem = GuestMemory::new(&mut bytes);
        environ_sizes_get(&mut ctx, &mut mem, 0, 4).unwrap();
        assert_eq!(mem.read_u64(0), Ok(0));
        environ_get(&mut ctx, &mut mem, u32::MAX, u32::MAX).unwrap();
    }

    #[test]
    fn bad_pointers() {
        let mut ctx = WasiCtxBuilder::new().args(&["abc"]).build();
        let mut bytes = [0; 16];
        let mut mem = GuestMemory::new(&mut bytes);
        assert_eq!(args_sizes_get(&mut ctx, &mut mem, 13, 0), Err(Errno::Fault));
        assert_eq!(args_sizes_get(&mut ctx, &mut mem, 0, u32::MAX), Err(Errno::Fault));
        assert_eq!(args_get(&mut ctx, &mut mem, 13, 0), Err(Errno::Fault));
        assert_eq!(args_get(&mut ctx, &mut mem, 0, 13), Err(Errno::Fault));
        args_get(&mut ctx, &mut mem, 0, 12).unwrap();
    }

    #[test]
    fn exit_is_an_error_with_the_status() {
        let mut ctx = WasiCtxBuilder::new().build();
        let exit = proc_exit(&mut ctx, u32::MAX);
        assert_eq!(exit, I32Exit(-1));
        assert_eq!(exit.to_string(), "exited with status -1");
    }
}
