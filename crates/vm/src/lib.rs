//! The runtime's primitives: memory, code, stacks, calls and traps.
//!
//! Everything here is a building block that knows nothing of WebAssembly modules: the API above
//! decides what is instantiated and this crate makes it run. It is the only room of the project
//! with deep `unsafe`, so each file states the invariant it lives by.
//!
//! - [`Code`] is sealed machine code in a process-wide [`registry`] that a fault handler can read.
//! - [`Memory`], [`Table`], [`GlobalCell`], [`Vmctx`], [`InstanceData`] are what generated code
//!   addresses and what its helpers ([`mod@libcalls`]) work on.
//! - [`Runtime`] is the record of one store: guest stack, transfer buffer, limits. Its method
//!   [`Runtime::invoke`] is the only door into guest code, and [`HostFunc`] the only door out.
//! - An [`Exit`] says why guest code stopped early. Nothing ever unwinds through a guest frame: a
//!   trap, an error or a panic of a host function leaves by one jump to the entry stub.
//!
//! Objects that generated code points to are held by [`Owned`], a box that may be aliased. They
//! use interior mutability and are `Send` but not `Sync`: a store belongs to one thread at a time.

#[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
compile_error!("runwell-vm supports x86-64 Linux only");

pub mod backtrace;
pub mod call;
pub mod code;
pub mod debug;
pub mod error;
pub mod externref;
pub mod global;
pub mod host;
pub mod instance;
pub mod interrupt;
pub mod libcalls;
pub mod memory;
pub mod mmap;
pub mod owned;
pub mod registry;
mod reservation;
pub mod runtime;
pub mod stack;
mod sys;
pub mod table;
mod thread;
pub mod trap;
pub mod vmctx;
pub mod watch;

pub use backtrace::Backtrace;
pub use call::{Cause, Exit, Payload, Reason, Suspend};
pub use code::{Code, CodeMeta, FuncMeta};
pub use error::Error;
pub use externref::ExternRefs;
pub use global::GlobalCell;
pub use host::{HostCall, HostFunc, HostShape};
pub use instance::{DataSegment, ElemSegment, InstanceData};
pub use interrupt::InterruptHandle;
pub use memory::{Memory, MemoryType};
pub use owned::Owned;
pub use registry::CodePos;
pub use runtime::{ResourceLimiter, Runtime, RuntimeConfig};
pub use sys::with_guest_floats;
pub use table::{Table, TableType};
pub use trap::init;
pub use vmctx::Vmctx;
pub use watch::Reader;
