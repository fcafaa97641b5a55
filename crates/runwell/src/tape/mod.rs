//! What passes between a store's guests and its host: recorded, and played back.
//!
//! Guest code is a function of what its host answers. So whoever knows the answers can run it again,
//! anywhere, without the host. [`Store::record`] writes down everything the host does to a store as a
//! sequence of [`Event`]s; [`Replay`] does the same again and stands in for the host functions.
//!
//! Control is always on one side, the guests' or the host's. At each *crossing* the hooks here look at
//! what has changed on the side that is left. What guests do needs no record. Of what the host does,
//! most goes through calls (functions, tables, globals, fuel), which tell the tape themselves; only
//! memories are handed out as slices, so their pages are compared with copies (`shadow`).
//!
//! - `event`: what can happen, and values without addresses.
//! - `format`: events as bytes.
//! - `shadow`: what the host wrote into memories.
//! - `hooks`: the places in the rest of the crate that tell the tape.
//! - `record`, `replay`: the two sides; `act` and `player` are inside of the latter.
//!
//! ```
//! use runwell::tape::{Ending, Replay};
//! use runwell::{Caller, Config, Engine, Extern, Linker, Module, Store};
//!
//! # fn main() -> runwell::Result<()> {
//! let engine = Engine::default();
//! let module = Module::new(&engine, r#"(module
//!     (import "host" "read" (func $read (param i32) (result i32)))
//!     (memory (export "memory") 1)
//!     (func (export "run") (result i32)
//!         (i32.add (call $read (i32.const 16)) (i32.load8_u (i32.const 16)))))"#)?;
//! let mut linker = Linker::new(&engine);
//! linker.func_wrap("host", "read", |mut caller: Caller<'_, ()>, at: u32| {
//!     let Some(Extern::Memory(memory)) = caller.get_export("memory") else { return 0 };
//!     memory.data_mut(&mut caller)[at as usize] = std::process::id() as u8;
//!     1
//! })?;
//!
//! let log = runwell::tape::SharedLog::default();
//! let mut store = Store::new(&engine, ());
//! store.record(log.clone())?;
//! let instance = linker.instantiate(&mut store, &module)?;
//! let run = instance.get_typed_func::<(), i32>(&mut store, "run")?;
//! run.call(&mut store, ())?;
//! let hash = store.finish_recording(b"")?;
//!
//! // In any other process, on any other machine:
//! let mut replay = Replay::open(&Config::new(), std::io::Cursor::new(log.bytes()))?;
//! assert!(matches!(replay.run()?, Ending::Complete { hash: again, .. } if again == hash));
//! # Ok(())
//! # }
//! ```

mod act;
mod event;
pub(crate) mod format;
pub(crate) mod hooks;
mod player;
mod record;
mod replay;
mod shadow;

pub use crate::state::refs::RefId;
pub use event::{Event, Import, Outcome, Setup, Value, Wait};
pub use format::LogError;
pub use hooks::{Observer, View};
pub use record::SharedLog;
pub use replay::{Divergence, Ending, Replay, Stop};

#[allow(unused_imports)] // for the links above
use crate::Store;
