//! WASI preview 1 for runwell: the functions of `wasi_snapshot_preview1` over what a [`WasiCtx`]
//! holds.
//!
//! A guest has what its context was given and nothing else. Directories are capabilities: cap-std
//! resolves every path below the directory it starts from, so neither `..` nor absolute paths nor
//! symbolic links lead out. Clocks, random numbers and the order of directory entries are the same
//! in every run until the embedder asks for the host's; see [`WasiCtxBuilder`].
//!
//! Each function takes the context, the guest's memory and the arguments of its WebAssembly type,
//! and is written against the text of the specification (`witx/wasi_snapshot_preview1.witx`). They
//! are public in [`preview1`] for embedders that call them by other ways than
//! [`add_to_linker`].
//!
//! What a guest passes is checked before anything happens: bad pointers give `fault`, and nothing
//! is allocated in an amount that the guest merely names.
//!
//! ```
//! use runwell::{Engine, Linker, Module, Store};
//! use runwell_wasi::{MemoryOutputPipe, WasiCtx, WasiCtxBuilder};
//!
//! # fn main() -> runwell::Result<()> {
//! let engine = Engine::default();
//! let module = Module::new(
//!     &engine,
//!     r#"(module
//!         (import "wasi_snapshot_preview1" "fd_write"
//!             (func $fd_write (param i32 i32 i32 i32) (result i32)))
//!         (memory (export "memory") 1)
//!         (data (i32.const 0) "\08\00\00\00\03\00\00\00hi\n")
//!         (func (export "_start")
//!             (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 32)))))"#,
//! )?;
//! let output = MemoryOutputPipe::new(1 << 20);
//! let ctx = WasiCtxBuilder::new().stdout(output.clone()).build();
//! let mut linker: Linker<WasiCtx> = Linker::new(&engine);
//! runwell_wasi::add_to_linker(&mut linker, |ctx| ctx)?;
//! let mut store = Store::new(&engine, ctx);
//! let instance = linker.instantiate(&mut store, &module)?;
//! instance.get_typed_func::<(), ()>(&mut store, "_start")?.call(&mut store, ())?;
//! assert_eq!(output.contents(), b"hi\n");
//! # Ok(())
//! # }
//! ```

#![forbid(unsafe_code)]

mod abi;
mod args;
mod clock;
mod ctx;
mod dir;
mod errno;
mod fd;
mod inodes;
mod io;
mod link;
mod memory;
mod path;
mod poll;
mod random;
mod sock;
mod stream;
mod table;

pub use args::I32Exit;
pub use clock::{VIRTUAL_EPOCH_NS, VIRTUAL_NS_PER_FUEL, VIRTUAL_STEP_NS};
pub use ctx::{WasiCtx, WasiCtxBuilder};
pub use errno::{Errno, Result};
pub use link::{MODULE, add_to_linker};
pub use memory::GuestMemory;
pub use random::DEFAULT_SEED;
pub use stream::{MemoryInputPipe, MemoryOutputPipe};
pub use table::MAX_DESCRIPTORS;

/// Preview 1 under the names of the crate `wasmtime-wasi`.
pub mod p1 {
    pub use crate::WasiCtx as WasiP1Ctx;
    pub use crate::add_to_linker as add_to_linker_sync;
}

/// Streams in memory under the names of the crate `wasmtime-wasi`.
pub mod p2 {
    /// Streams in memory.
    pub mod pipe {
        pub use crate::{MemoryInputPipe, MemoryOutputPipe};
    }
}

/// The functions themselves, by their names in the specification.
pub mod preview1 {
    pub use crate::args::{
        args_get, args_sizes_get, environ_get, environ_sizes_get, proc_exit, proc_raise,
        sched_yield,
    };
    pub use crate::clock::{clock_res_get, clock_time_get};
    pub use crate::dir::fd_readdir;
    pub use crate::fd::{
        fd_advise, fd_allocate, fd_close, fd_datasync, fd_fdstat_get, fd_fdstat_set_flags,
        fd_fdstat_set_rights, fd_filestat_get, fd_filestat_set_size, fd_filestat_set_times,
        fd_prestat_dir_name, fd_prestat_get, fd_renumber, fd_seek, fd_sync, fd_tell,
    };
    pub use crate::io::{fd_pread, fd_pwrite, fd_read, fd_write};
    pub use crate::path::{
        path_create_directory, path_filestat_get, path_filestat_set_times, path_link, path_open,
        path_readlink, path_remove_directory, path_rename, path_symlink, path_unlink_file,
    };
    pub use crate::poll::poll_oneoff;
    pub use crate::random::random_get;
    pub use crate::sock::{sock_accept, sock_recv, sock_send, sock_shutdown};
}

/// The code of the guide, as tests.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/guide.md")]
struct Guide;
