//! Globals.

use crate::context::{AsContext, AsContextMut};
use crate::store::{StoreId, StoreOpaque};
use crate::tape::{self, Event};
use crate::types::{GlobalType, Mutability};
use crate::value::Val;
use crate::{Error, Result};

/// A global of a store.
///
/// ```
/// use runwell::{Engine, Global, GlobalType, Mutability, Store, Val, ValType};
///
/// # fn main() -> runwell::Result<()> {
/// let mut store = Store::new(&Engine::default(), ());
/// let ty = GlobalType::new(ValType::I64, Mutability::Var);
/// let counter = Global::new(&mut store, ty, Val::I64(1))?;
/// counter.set(&mut store, Val::I64(2))?;
/// assert_eq!(counter.get(&mut store).unwrap_i64(), 2);
/// assert!(counter.set(&mut store, Val::I32(3)).is_err());
/// # Ok(())
/// # }
/// ```
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Global {
    store: StoreId,
    index: u32,
}

impl Global {
    pub(crate) fn from_index(store: &StoreOpaque, index: u32) -> Global {
        Global { store: store.id(), index }
    }

    /// A new global.
    ///
    /// # Errors
    /// When `value` is of another type, or a reference of another store.
    pub fn new(mut store: impl AsContextMut, ty: GlobalType, value: Val) -> Result<Global> {
        let mut store = store.as_context_mut();
        let store = store.opaque();
        let bits = check(store, &ty, value)?;
        store.tell(|store, refs| {
            // SAFETY: the bits are those of a value of this type and store.
            let value = unsafe { tape::Value::new(store, refs, *ty.content(), bits) };
            Event::NewGlobal(ty.clone(), value)
        });
        let index = store.add_global(ty, bits);
        Ok(Global::from_index(store, index))
    }

    pub(crate) fn index(&self, store: &StoreOpaque) -> u32 {
        assert!(self.store == store.id(), "a Global was used with another store than its own");
        self.index
    }

    /// Its type.
    ///
    /// # Panics
    /// When it belongs to another store, as all methods.
    pub fn ty(&self, store: impl AsContext) -> GlobalType {
        self.ty_in(store.as_context().opaque())
    }

    pub(crate) fn ty_in(&self, store: &StoreOpaque) -> GlobalType {
        store.globals[self.index(store) as usize].ty.clone()
    }

    /// Its value.
    pub fn get(&self, mut store: impl AsContextMut) -> Val {
        let mut store = store.as_context_mut();
        let store = store.opaque();
        let global = &store.globals[self.index(store) as usize];
        // SAFETY: the cell lives as long as the store and holds a value of its type, of this store.
        unsafe { Val::from_raw(store, *global.ty.content(), global.cell.read()) }
    }

    /// Sets its value.
    ///
    /// # Errors
    /// When it is not mutable, or `value` is of another type or a reference of another store; while a call
    /// waits for fuel ([`crate::SuspendedCall::resume`]).
    pub fn set(&self, mut store: impl AsContextMut, value: Val) -> Result<()> {
        let mut store = store.as_context_mut();
        let store = store.opaque();
        let global = &store.globals[self.index(store) as usize];
        store.may_change()?;
        if global.ty.mutability() == Mutability::Const {
            return Err(Error::msg("immutable global cannot be set"));
        }
        let bits = check(store, &global.ty, value)?;
        let (ty, cell, global) = (*global.ty.content(), global.cell, self.index(store));
        store.tell(|store, refs| {
            // SAFETY: the bits are those of a value of this type and store.
            let value = unsafe { tape::Value::new(store, refs, ty, bits) };
            Event::GlobalSet { global, value }
        });
        // SAFETY: the cell lives as long as the store, which is borrowed mutably.
        unsafe { cell.write(bits) };
        Ok(())
    }
}

fn check(store: &StoreOpaque, ty: &GlobalType, value: Val) -> Result<u128> {
    if !value.matches(*ty.content()) {
        return Err(Error::msg(format!(
            "type mismatch: expected {}, found {}",
            ty.content(),
            value.kind()
        )));
    }
    value.to_raw(store)
}
