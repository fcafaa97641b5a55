//! Stores and borrowed stores.

use crate::Engine;
use ref_cast::RefCast;
use runwell::{AsContext as _, AsContextMut as _};
use wasm_runtime_layer::backend::{
    AsContext, AsContextMut, WasmStore, WasmStoreContext, WasmStoreContextMut,
};

/// A store.
pub struct Store<T: 'static>(runwell::Store<T>);

/// A borrowed store.
pub struct StoreContext<'a, T: 'static>(pub(crate) runwell::StoreContext<'a, T>);

/// A mutably borrowed store.
pub struct StoreContextMut<'a, T: 'static>(pub(crate) runwell::StoreContextMut<'a, T>);

impl<T: 'static> WasmStore<T, Engine> for Store<T> {
    fn new(engine: &Engine, data: T) -> Self {
        Store(runwell::Store::new(engine.inner(), data))
    }

    fn engine(&self) -> &Engine {
        Engine::ref_cast(self.0.engine())
    }

    fn data(&self) -> &T {
        self.0.data()
    }

    fn data_mut(&mut self) -> &mut T {
        self.0.data_mut()
    }

    fn into_data(self) -> T {
        self.0.into_data()
    }
}

impl<T: 'static> WasmStoreContext<'_, T, Engine> for StoreContext<'_, T> {
    fn engine(&self) -> &Engine {
        Engine::ref_cast(self.0.engine())
    }

    fn data(&self) -> &T {
        self.0.data()
    }
}

impl<T: 'static> WasmStoreContext<'_, T, Engine> for StoreContextMut<'_, T> {
    fn engine(&self) -> &Engine {
        Engine::ref_cast(self.0.engine())
    }

    fn data(&self) -> &T {
        self.0.data()
    }
}

impl<T: 'static> WasmStoreContextMut<'_, T, Engine> for StoreContextMut<'_, T> {
    fn data_mut(&mut self) -> &mut T {
        self.0.data_mut()
    }
}

macro_rules! as_context {
    ($($ty:ty),*) => {$(
        impl<T: 'static> AsContext<Engine> for $ty {
            type UserState = T;

            fn as_context(&self) -> StoreContext<'_, T> {
                StoreContext(self.0.as_context())
            }
        }
    )*};
}
as_context!(Store<T>, StoreContext<'_, T>, StoreContextMut<'_, T>);

macro_rules! as_context_mut {
    ($($ty:ty),*) => {$(
        impl<T: 'static> AsContextMut<Engine> for $ty {
            fn as_context_mut(&mut self) -> StoreContextMut<'_, T> {
                StoreContextMut(self.0.as_context_mut())
            }
        }
    )*};
}
as_context_mut!(Store<T>, StoreContextMut<'_, T>);
