//! runwell behind the interface of [`wasm_runtime_layer`], so that what is written against that
//! interface runs on it.
//!
//! ```
//! use wasm_runtime_layer::{Engine, Imports, Instance, Module, Store, Val};
//!
//! # fn main() -> anyhow::Result<()> {
//! let engine = Engine::new(runwell_runtime_layer::Engine::default());
//! let binary = wat::parse_str(
//!     r#"(module (func (export "twice") (param i64) (result i64)
//!         (i64.mul (local.get 0) (i64.const 2))))"#,
//! )?;
//! let module = Module::new(&engine, &binary)?;
//! let mut store = Store::new(&engine, ());
//! let instance = Instance::new(&mut store, &module, &Imports::default())?;
//! let twice = instance.get_export(&store, "twice").and_then(|item| item.into_func()).unwrap();
//! let mut results = [Val::I64(0)];
//! twice.call(&mut store, &[Val::I64(21)], &mut results)?;
//! assert_eq!(results, [Val::I64(42)]);
//! # Ok(())
//! # }
//! ```
//!
//! The interface knows sizes of 32 bits only. Where a 64-bit memory or table exceeds them, its limits
//! are reported as the largest number there is.
//!
//! `wasm_component_layer`, which runs components on whatever has this interface, asks in its latest
//! release, 0.1.18, for any version from 0.4 on, but builds with 0.4 alone. That version wants stores of
//! data that may borrow, which runwell's are not; components have to wait for a release that follows.

#![forbid(unsafe_code)]

mod convert;
mod objects;
mod store;

pub use objects::{ExternRef, Func, Global, Instance, Memory, Module, Table};
pub use store::{Store, StoreContext, StoreContextMut};

use ref_cast::RefCast;
use wasm_runtime_layer::backend::WasmEngine;

/// A runwell engine.
#[derive(Clone, Default, RefCast)]
#[repr(transparent)]
pub struct Engine(runwell::Engine);

impl Engine {
    /// The engine as the interface wants it.
    pub fn new(engine: runwell::Engine) -> Engine {
        Engine(engine)
    }

    /// The engine.
    pub fn into_inner(self) -> runwell::Engine {
        self.0
    }

    pub(crate) fn inner(&self) -> &runwell::Engine {
        &self.0
    }
}

impl WasmEngine for Engine {
    type ExternRef = ExternRef;
    type Func = Func;
    type Global = Global;
    type Instance = Instance;
    type Memory = Memory;
    type Module = Module;
    type Store<T: 'static> = Store<T>;
    type StoreContext<'a, T: 'static> = StoreContext<'a, T>;
    type StoreContextMut<'a, T: 'static> = StoreContextMut<'a, T>;
    type Table = Table;
}
