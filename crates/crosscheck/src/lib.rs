//! Machine code beside the meaning of the IR: the same module is run by both, in step, and the first
//! difference ends the run.
//!
//! [`oracle`] runs modules by `runwell_ir::eval`, translated without any rewrite of the optimiser.
//! [`attach`] lets it follow what happens in a store, whatever instances there are and however they are
//! linked: it runs on a thread of its own while the machine code runs, and whenever control goes from
//! guests to the host both are compared: which import is called with what, or what comes back, memories,
//! globals and tables, and, where guests are metered, the fuel that was used, which here is a plain count
//! of executed operators ([`count`]). Calls that end for want of fuel or stack are no exception. The host is
//! asked once; what it answers and changes goes to both (`lockstep`).
//!
//! ```
//! use runwell::{Engine, Linker, Module, Store};
//!
//! # fn main() -> runwell::Result<()> {
//! let engine = Engine::default();
//! let module = Module::new(&engine, r#"(module
//!     (import "host" "next" (func $next (result i32)))
//!     (memory 1)
//!     (func (export "run") (param $n i32) (result i32)
//!         (loop
//!             (i32.store (i32.const 8) (i32.add (i32.load (i32.const 8)) (call $next)))
//!             (br_if 0 (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
//!         (i32.load (i32.const 8))))"#)?;
//! let mut linker = Linker::new(&engine);
//! linker.func_wrap("host", "next", || std::process::id() as i32)?;
//! let mut store = Store::new(&engine, ());
//! let check = runwell_crosscheck::attach(&mut store)?;
//! let instance = linker.instantiate(&mut store, &module)?;
//! instance.get_typed_func::<i32, i32>(&mut store, "run")?.call(&mut store, 5)?;
//! assert_eq!(check.summary().compared, 6);
//! assert_eq!(check.summary().ended, None);
//! # Ok(())
//! # }
//! ```

#![forbid(unsafe_code)]

mod compare;
pub mod count;
mod follower;
mod fuel;
mod lockstep;
pub mod oracle;

pub use lockstep::{Check, Difference, Summary, attach, observer};
