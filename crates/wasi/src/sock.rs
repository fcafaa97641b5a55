//! Sockets: preview 1 can only use such that the embedder opened, and there is no way to do so
//! here. So every open descriptor is something else.

use crate::errno::{Errno, Result};
use crate::{GuestMemory, WasiCtx};

fn not_a_socket(ctx: &WasiCtx, fd: u32) -> Result<()> {
    ctx.table.get(fd)?;
    Err(Errno::NotSock)
}

/// `sock_accept`.
///
/// # Errors
/// [`Errno::BadF`], or [`Errno::NotSock`] when open.
pub fn sock_accept(
    ctx: &mut WasiCtx,
    _mem: &mut GuestMemory<'_>,
    fd: u32,
    _flags: u32,
    _accepted: u32,
) -> Result<()> {
    not_a_socket(ctx, fd)
}

/// `sock_recv`.
///
/// # Errors
/// [`Errno::BadF`], or [`Errno::NotSock`] when open.
#[allow(clippy::too_many_arguments)]
pub fn sock_recv(
    ctx: &mut WasiCtx,
    _mem: &mut GuestMemory<'_>,
    fd: u32,
    _iovs: u32,
    _iovs_len: u32,
    _flags: u32,
    _received: u32,
    _received_flags: u32,
) -> Result<()> {
    not_a_socket(ctx, fd)
}

/// `sock_send`.
///
/// # Errors
/// [`Errno::BadF`], or [`Errno::NotSock`] when open.
pub fn sock_send(
    ctx: &mut WasiCtx,
    _mem: &mut GuestMemory<'_>,
    fd: u32,
    _iovs: u32,
    _iovs_len: u32,
    _flags: u32,
    _sent: u32,
) -> Result<()> {
    not_a_socket(ctx, fd)
}

/// `sock_shutdown`.
///
/// # Errors
/// [`Errno::BadF`], or [`Errno::NotSock`] when open.
pub fn sock_shutdown(
    ctx: &mut WasiCtx,
    _mem: &mut GuestMemory<'_>,
    fd: u32,
    _how: u32,
) -> Result<()> {
    not_a_socket(ctx, fd)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_a_socket() {
        let mut ctx = WasiCtx::builder().build();
        let mut mem = GuestMemory::new(&mut []);
        assert_eq!(sock_accept(&mut ctx, &mut mem, 0, 0, 0), Err(Errno::NotSock));
        assert_eq!(sock_recv(&mut ctx, &mut mem, 1, 0, 0, 0, 0, 0), Err(Errno::NotSock));
        assert_eq!(sock_send(&mut ctx, &mut mem, 9, 0, 0, 0, 0), Err(Errno::BadF));
        assert_eq!(sock_shutdown(&mut ctx, &mut mem, u32::MAX, 0), Err(Errno::BadF));
    }
}
