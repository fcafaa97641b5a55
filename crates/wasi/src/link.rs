//! The names under which guests import the functions.

use crate::{WasiCtx, preview1};
use crate::{errno, memory::GuestMemory};
use runwell::{AsContextMut, Caller, Error, Extern, Linker, Result};

/// The module that guests import from.
pub const MODULE: &str = "wasi_snapshot_preview1";

/// Calls a function with the context and the memory that the caller exports, and gives its number
/// of error.
fn call<T: 'static>(
    caller: &mut Caller<'_, T>,
    name: &str,
    get: impl Fn(&mut T) -> &mut WasiCtx,
    function: impl FnOnce(&mut WasiCtx, &mut GuestMemory<'_>) -> errno::Result<()>,
) -> Result<i32> {
    let Some(Extern::Memory(memory)) = caller.get_export("memory") else {
        return Err(Error::msg(format!(
            "`{MODULE}::{name}` needs the caller's memory, but the caller exports none called `memory`"
        )));
    };
    // Not asked where nobody meters: the answer would be an error, which is dear to make.
    let metered = caller.engine().config().consumes_fuel();
    let fuel = if metered { Some(caller.fuel_consumed()?) } else { None };
    let mut store = caller.as_context_mut();
    let (bytes, data) = memory.data_and_store_mut(&mut store);
    let ctx = get(data);
    if let Some(fuel) = fuel {
        ctx.clock.fuel(fuel);
    }
    Ok(match function(ctx, &mut GuestMemory::new(bytes)) {
        Ok(()) => 0,
        Err(error) => i32::from(error.raw()),
    })
}

/// Bytes of random numbers that are made before somebody may stop it: whole numbers.
const RANDOM_SLICE: u32 = 1 << 20;

/// A guest can ask for four gigabytes at once, which takes seconds, and somebody may want it stopped.
fn random_get<T: 'static>(
    caller: &mut Caller<'_, T>,
    get: impl Fn(&mut T) -> &mut WasiCtx + Copy,
    buffer: u32,
    buffer_len: u32,
) -> Result<i32> {
    let mut done = 0;
    loop {
        let part = RANDOM_SLICE.min(buffer_len - done);
        let error = call(caller, "random_get", get, |ctx, mem| {
            // All or nothing.
            mem.check(buffer, buffer_len)?;
            preview1::random_get(ctx, mem, buffer + done, part)
        })?;
        done += part;
        if error != 0 || done == buffer_len {
            return Ok(error);
        }
        if caller.is_interrupted() {
            // Nobody will see it.
            return Ok(errno::Errno::Intr.raw().into());
        }
    }
}

/// One line per function: its name and its parameters after the context and the memory.
macro_rules! define {
    ($linker:ident, $get:ident; $($name:ident($($arg:ident: $ty:ty),*);)*) => {$(
        $linker.func_wrap(
            MODULE,
            stringify!($name),
            move |mut caller: Caller<'_, T>, $($arg: $ty),*| -> Result<i32> {
                call(&mut caller, stringify!($name), $get, |ctx, mem| {
                    preview1::$name(ctx, mem, $($arg),*)
                })
            },
        )?;
    )*};
}

/// Names all functions of `wasi_snapshot_preview1` in `linker`. `get` finds the context in the data
/// of a store.
///
/// A guest that calls `proc_exit` ends with [`I32Exit`](crate::I32Exit) as error.
///
/// # Errors
/// When one of the names is taken and the linker does not allow shadowing.
pub fn add_to_linker<T: 'static>(
    linker: &mut Linker<T>,
    get: impl Fn(&mut T) -> &mut WasiCtx + Copy + Send + Sync + 'static,
) -> Result<()> {
    define! { linker, get;
        args_get(array: u32, buffer: u32);
        args_sizes_get(count: u32, bytes: u32);
        environ_get(array: u32, buffer: u32);
        environ_sizes_get(count: u32, bytes: u32);
        clock_res_get(id: u32, resolution: u32);
        clock_time_get(id: u32, precision: u64, time: u32);
        fd_advise(fd: u32, offset: u64, len: u64, advice: u32);
        fd_allocate(fd: u32, offset: u64, len: u64);
        fd_close(fd: u32);
        fd_datasync(fd: u32);
        fd_fdstat_get(fd: u32, fdstat: u32);
        fd_fdstat_set_flags(fd: u32, flags: u32);
        fd_fdstat_set_rights(fd: u32, base: u64, inheriting: u64);
        fd_filestat_get(fd: u32, filestat: u32);
        fd_filestat_set_size(fd: u32, size: u64);
        fd_filestat_set_times(fd: u32, atim: u64, mtim: u64, flags: u32);
        fd_pread(fd: u32, iovs: u32, iovs_len: u32, offset: u64, nread: u32);
        fd_prestat_get(fd: u32, prestat: u32);
        fd_prestat_dir_name(fd: u32, path: u32, path_len: u32);
        fd_pwrite(fd: u32, iovs: u32, iovs_len: u32, offset: u64, nwritten: u32);
        fd_read(fd: u32, iovs: u32, iovs_len: u32, nread: u32);
        fd_readdir(fd: u32, buffer: u32, buffer_len: u32, cookie: u64, used: u32);
        fd_renumber(from: u32, to: u32);
        fd_seek(fd: u32, offset: i64, whence: u32, position: u32);
        fd_sync(fd: u32);
        fd_tell(fd: u32, position: u32);
        fd_write(fd: u32, iovs: u32, iovs_len: u32, nwritten: u32);
        path_create_directory(fd: u32, path: u32, path_len: u32);
        path_filestat_get(fd: u32, lookup: u32, path: u32, path_len: u32, filestat: u32);
        path_filestat_set_times(fd: u32, lookup: u32, path: u32, path_len: u32, atim: u64,
            mtim: u64, flags: u32);
        path_link(old_fd: u32, lookup: u32, old_path: u32, old_len: u32, new_fd: u32,
            new_path: u32, new_len: u32);
        path_open(fd: u32, lookup: u32, path: u32, path_len: u32, oflags: u32, base: u64,
            inheriting: u64, fdflags: u32, opened: u32);
        path_readlink(fd: u32, path: u32, path_len: u32, buffer: u32, buffer_len: u32, used: u32);
        path_remove_directory(fd: u32, path: u32, path_len: u32);
        path_rename(old_fd: u32, old_path: u32, old_len: u32, new_fd: u32, new_path: u32,
            new_len: u32);
        path_symlink(old_path: u32, old_len: u32, fd: u32, new_path: u32, new_len: u32);
        path_unlink_file(fd: u32, path: u32, path_len: u32);
        poll_oneoff(subscriptions: u32, events: u32, count: u32, happened: u32);
        proc_raise(signal: u32);
        sched_yield();
        sock_accept(fd: u32, flags: u32, accepted: u32);
        sock_recv(fd: u32, iovs: u32, iovs_len: u32, flags: u32, received: u32,
            received_flags: u32);
        sock_send(fd: u32, iovs: u32, iovs_len: u32, flags: u32, sent: u32);
        sock_shutdown(fd: u32, how: u32);
    }
    linker.func_wrap(
        MODULE,
        "random_get",
        move |mut caller: Caller<'_, T>, buffer: u32, buffer_len: u32| -> Result<i32> {
            random_get(&mut caller, get, buffer, buffer_len)
        },
    )?;
    // The one function that does not return, and needs no memory.
    linker.func_wrap(
        MODULE,
        "proc_exit",
        move |mut caller: Caller<'_, T>, status: u32| -> Result<()> {
            Err(Error::new(preview1::proc_exit(get(caller.data_mut()), status)))
        },
    )?;
    Ok(())
}
