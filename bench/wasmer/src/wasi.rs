//! runwell's WASI as imports of wasmer.

use runwell_wasi::{GuestMemory, MODULE, WasiCtx, preview1};
use wasmer::{Function, FunctionEnv, FunctionEnvMut, Imports, Memory, RuntimeError, Store};

/// What the functions work on.
pub struct Env {
    pub ctx: WasiCtx,
    /// The instance's, once there is one.
    pub memory: Option<Memory>,
}

/// Calls a function with the context and the memory, and gives its number of error.
fn call(
    mut env: FunctionEnvMut<'_, Env>,
    function: impl FnOnce(&mut WasiCtx, &mut GuestMemory<'_>) -> runwell_wasi::Result<()>,
) -> Result<i32, RuntimeError> {
    let (env, store) = env.data_and_store_mut();
    let Some(memory) = &env.memory else {
        return Err(RuntimeError::new("the program exports no memory"));
    };
    let view = memory.view(&store);
    // SAFETY: the guest waits for this call and has one thread, so nobody else reads or writes its
    // memory, or grows it, while the slice is there.
    let bytes = unsafe { view.data_unchecked_mut() };
    Ok(match function(&mut env.ctx, &mut GuestMemory::new(bytes)) {
        Ok(()) => 0,
        Err(error) => i32::from(error.raw()),
    })
}

/// One line per function: its name and its parameters after the context and the memory.
macro_rules! define {
    ($store:ident, $env:ident, $imports:ident; $($name:ident($($arg:ident: $ty:ty),*);)*) => {$(
        let function = Function::new_typed_with_env(
            $store,
            $env,
            |env: FunctionEnvMut<'_, Env>, $($arg: $ty),*| -> Result<i32, RuntimeError> {
                call(env, |ctx, memory| preview1::$name(ctx, memory, $($arg),*))
            },
        );
        $imports.define(MODULE, stringify!($name), function);
    )*};
}

/// The functions that C programs use, by their names.
pub fn imports(store: &mut Store, env: &FunctionEnv<Env>) -> Imports {
    let mut imports = Imports::new();
    define! { store, env, imports;
        args_get(array: u32, buffer: u32);
        args_sizes_get(count: u32, bytes: u32);
        environ_get(array: u32, buffer: u32);
        environ_sizes_get(count: u32, bytes: u32);
        clock_res_get(id: u32, resolution: u32);
        clock_time_get(id: u32, precision: u64, time: u32);
        fd_advise(fd: u32, offset: u64, len: u64, advice: u32);
        fd_close(fd: u32);
        fd_datasync(fd: u32);
        fd_fdstat_get(fd: u32, fdstat: u32);
        fd_fdstat_set_flags(fd: u32, flags: u32);
        fd_filestat_get(fd: u32, filestat: u32);
        fd_filestat_set_size(fd: u32, size: u64);
        fd_filestat_set_times(fd: u32, atim: u64, mtim: u64, flags: u32);
        fd_pread(fd: u32, iovs: u32, iovs_len: u32, offset: u64, nread: u32);
        fd_prestat_get(fd: u32, prestat: u32);
        fd_prestat_dir_name(fd: u32, path: u32, path_len: u32);
        fd_pwrite(fd: u32, iovs: u32, iovs_len: u32, offset: u64, nwritten: u32);
        fd_read(fd: u32, iovs: u32, iovs_len: u32, nread: u32);
        fd_readdir(fd: u32, buffer: u32, buffer_len: u32, cookie: u64, used: u32);
        fd_seek(fd: u32, offset: i64, whence: u32, position: u32);
        fd_sync(fd: u32);
        fd_tell(fd: u32, position: u32);
        fd_write(fd: u32, iovs: u32, iovs_len: u32, nwritten: u32);
        path_create_directory(fd: u32, path: u32, path_len: u32);
        path_filestat_get(fd: u32, lookup: u32, path: u32, path_len: u32, filestat: u32);
        path_filestat_set_times(fd: u32, lookup: u32, path: u32, path_len: u32, atim: u64,
            mtim: u64, flags: u32);
        path_open(fd: u32, lookup: u32, path: u32, path_len: u32, oflags: u32, base: u64,
            inheriting: u64, fdflags: u32, opened: u32);
        path_readlink(fd: u32, path: u32, path_len: u32, buffer: u32, buffer_len: u32, used: u32);
        path_remove_directory(fd: u32, path: u32, path_len: u32);
        path_rename(old_fd: u32, old_path: u32, old_len: u32, new_fd: u32, new_path: u32,
            new_len: u32);
        path_symlink(old_path: u32, old_len: u32, fd: u32, new_path: u32, new_len: u32);
        path_unlink_file(fd: u32, path: u32, path_len: u32);
        poll_oneoff(subscriptions: u32, events: u32, count: u32, happened: u32);
        sched_yield();
        random_get(buffer: u32, buffer_len: u32);
    }
    let exit = Function::new_typed_with_env(
        store,
        env,
        |mut env: FunctionEnvMut<'_, Env>, status: u32| -> Result<(), RuntimeError> {
            let exit = preview1::proc_exit(&mut env.data_mut().ctx, status);
            Err(RuntimeError::user(Box::new(exit)))
        },
    );
    imports.define(MODULE, "proc_exit", exit);
    imports
}
