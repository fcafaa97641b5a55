//! What machine code and the runtime agree on: definitions only.
//!
//! The code generator and the runtime never see each other. Both read this crate: the layout of
//! the instance context that generated code addresses ([`vmctx`]), where arguments and results
//! travel ([`call`]), why code traps ([`trap`]), which helpers it may call ([`libcall`]), what an
//! operator costs ([`fuel`]), how much address space stands behind a memory and a stack
//! ([`memory`]) and for which machine code is made ([`target`]).

#![forbid(unsafe_code)]

pub mod call;
pub mod fuel;
pub mod libcall;
pub mod memory;
pub mod target;
pub mod trap;
pub mod ty;
pub mod vmctx;

pub use call::{ArgLoc, CallAbi, RegFile};
pub use fuel::Schedule;
pub use libcall::LibCall;
pub use target::{Arch, Features, Target};
pub use trap::TrapCode;
pub use ty::Type;
pub use vmctx::{VmctxCounts, VmctxLayout};
