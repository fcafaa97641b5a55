//! runwell: a WebAssembly virtual machine for code that its host does not trust.
//!
//! The API uses the names and shapes of wasmtime's. An [`Engine`] compiles [`Module`]s; a [`Store`]
//! holds [`Instance`]s of them with the host's own data; a [`Linker`] gives names to what modules
//! import.
//!
//! ```
//! use runwell::{Engine, Linker, Module, Store};
//!
//! # fn main() -> runwell::Result<()> {
//! let engine = Engine::default();
//! let module = Module::new(
//!     &engine,
//!     r#"(module
//!         (import "host" "double" (func $double (param i32) (result i32)))
//!         (func (export "quadruple") (param i32) (result i32)
//!             local.get 0 call $double call $double))"#,
//! )?;
//! let mut linker = Linker::new(&engine);
//! linker.func_wrap("host", "double", |x: i32| x * 2)?;
//! let mut store = Store::new(&engine, ());
//! let instance = linker.instantiate(&mut store, &module)?;
//! let quadruple = instance.get_typed_func::<i32, i32>(&mut store, "quadruple")?;
//! assert_eq!(quadruple.call(&mut store, 3)?, 12);
//! # Ok(())
//! # }
//! ```

// The API is outside of the compiler: iteration order of its tables reaches no output.
#![allow(clippy::disallowed_types)]

mod cache;
mod code;
mod config;
mod context;
mod engine;
mod externs;
mod fuel;
mod func;
mod global;
pub mod inspect;
mod instance;
mod key;
mod limits;
mod linker;
mod memory;
mod module;
mod precompiled;
mod quote;
mod reference;
mod registry;
mod state;
mod store;
mod table;
pub mod tape;
mod text;
mod transfer;
mod trap;
mod typed;
mod types;
mod value;

pub use anyhow::{
    Context as ErrorContext, Error, Result, anyhow, anyhow as format_err, bail, ensure,
};
pub use cache::{Cache, CacheConfig, CacheWarning};
pub use config::{Config, ProfilingStrategy};
pub use context::{AsContext, AsContextMut, StoreContext, StoreContextMut};
pub use engine::{Engine, EngineWeak, Precompiled};
pub use externs::{Export, Extern};
pub use fuel::{
    FreeLoop, OperatorClass, ResumableCall, SCHEDULE_VERSION, Schedule, Suspend, SuspendedCall,
};
pub use func::{Caller, Func, IntoFunc};
pub use global::Global;
pub use instance::{Instance, InstancePre};
pub use limits::{ResourceLimiter, StoreLimits, StoreLimitsBuilder};
pub use linker::{Linker, UnknownImportError};
pub use memory::{Memory, MemoryAccessError};
pub use module::{Module, ModuleExport, ModuleFunction, ResourcesRequired};
pub use quote::{
    Calibration, CompileBudget, FunctionQuote, InstantiationCost, QUOTE_VERSION, Quote,
};
pub use reference::{ExternRef, Rooted};
#[doc(hidden)]
pub use runwell_compiler::Passes;
pub use runwell_compiler::{
    CancelToken, Error as CompileError, Fallback, ImageError, Pass, PassReport, Progress, Report,
    Resource, Steps, Use,
};
pub use runwell_vm::InterruptHandle;
pub use state::{Restored, SnapshotError, StateHash};
pub use store::Store;
pub use table::Table;
pub use trap::{FrameInfo, Trap, WasmBacktrace};
pub use typed::{TypedFunc, WasmParams, WasmResults, WasmRet, WasmTy};
pub use types::{
    ExportType, ExternType, FuncType, GlobalType, HeapType, ImportType, MemoryType,
    MemoryTypeBuilder, Mutability, RefType, TableType, ValType,
};
pub use value::{Ref, V128, Val};

/// Errors: the size of a pointer, with a chain of reasons and whatever type is at its end.
///
/// ```
/// use runwell::error::Context as _;
/// use runwell::{Engine, Error, Module, Result, Trap, bail, ensure, format_err};
///
/// fn open(size: u64) -> Result<u64> {
///     ensure!(size < 100, "{size} is too large");
///     if size == 0 {
///         bail!(Trap::MemoryOutOfBounds);
///     }
///     Ok(size)
/// }
///
/// let error = open(0).context("while opening").unwrap_err();
/// assert_eq!(error.to_string(), "while opening");
/// assert!(error.is::<Trap>());
/// assert_eq!(error.root_cause().to_string(), "wasm trap: out of bounds memory access");
/// assert_eq!(error.downcast_ref::<Trap>(), Some(&Trap::MemoryOutOfBounds));
/// assert_eq!(open(200).unwrap_err().to_string(), "200 is too large");
/// assert_eq!(size_of::<Error>(), size_of::<usize>());
/// let _: Error = format_err!("made of {}", "parts");
/// ```
pub mod error {
    pub use anyhow::{Chain, Context, Error, Ok, Result, anyhow as format_err, bail, ensure};
}

/// The binary form of a module in the text form; binary modules are passed through.
///
/// # Errors
/// When it is neither, with line, column and `path`.
pub fn text_to_binary(bytes: &[u8], path: Option<&std::path::Path>) -> Result<Vec<u8>> {
    Ok(module::binary(bytes, path)?.into_owned())
}

/// Runs `f` with the processor's default floating-point modes (round to nearest, denormals kept), which
/// guest code always runs with, and puts the calling thread's own modes back, also when `f` panics.
///
/// For host code that has to round as guests do whatever its thread was set to.
pub fn with_default_floats<R>(f: impl FnOnce() -> R) -> R {
    runwell_vm::with_guest_floats(f)
}
