//! References to things of the host's.

use crate::context::{AsContext, AsContextMut};
use crate::store::{StoreId, StoreOpaque};
use crate::tape::Event;
use crate::{Error, Result};
use std::any::Any;
use std::marker::PhantomData;

/// A reference that belongs to a store. Copying it is free; what it refers to lives as long as the
/// store.
pub struct Rooted<T> {
    store: StoreId,
    handle: u64,
    referent: PhantomData<fn() -> T>,
}

impl<T> Copy for Rooted<T> {}

impl<T> Clone for Rooted<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> std::fmt::Debug for Rooted<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Rooted({})", self.handle)
    }
}

/// Something of the host's that guests pass around and cannot look into.
///
/// ```
/// use runwell::{Engine, ExternRef, Store};
///
/// # fn main() -> runwell::Result<()> {
/// let mut store = Store::new(&Engine::default(), ());
/// let name = ExternRef::new(&mut store, String::from("a name"))?;
/// let data = name.data(&store)?.expect("only a converted integer has no data");
/// assert_eq!(data.downcast_ref::<String>().unwrap(), "a name");
/// # Ok(())
/// # }
/// ```
pub struct ExternRef(());

impl ExternRef {
    /// Puts `value` into the store and refers to it.
    ///
    /// # Errors
    /// None today; a store may come to limit its references.
    pub fn new<D: Any + Send + Sync>(
        mut store: impl AsContextMut,
        value: D,
    ) -> Result<Rooted<ExternRef>> {
        let mut store = store.as_context_mut();
        let opaque = store.opaque();
        opaque.tell(|_, _| Event::NewObject);
        let handle = opaque.externs.insert(Box::new(value));
        Ok(Rooted { store: opaque.id(), handle, referent: PhantomData })
    }
}

impl Rooted<ExternRef> {
    /// What it refers to.
    ///
    /// # Errors
    /// When it belongs to another store.
    pub fn data<'a, D: 'static>(
        &self,
        store: impl Into<crate::StoreContext<'a, D>>,
    ) -> Result<Option<&'a (dyn Any + Send + Sync)>> {
        let store = store.into();
        self.check(store.opaque())?;
        Ok(store.opaque().externs.get(self.handle))
    }

    /// What it refers to, for changing it.
    ///
    /// # Errors
    /// When it belongs to another store.
    pub fn data_mut<'a, D: 'static>(
        &self,
        store: impl Into<crate::StoreContextMut<'a, D>>,
    ) -> Result<Option<&'a mut (dyn Any + Send + Sync)>> {
        let store = store.into();
        self.check(&store.0.opaque)?;
        Ok(store.0.opaque.externs.get_mut(self.handle))
    }

    fn check(&self, store: &StoreOpaque) -> Result<()> {
        if self.store != store.id() {
            return Err(Error::msg("a reference was used with another store than its own"));
        }
        Ok(())
    }

    pub(crate) fn to_raw(self, store: &StoreOpaque) -> Result<u64> {
        self.check(store)?;
        Ok(self.handle)
    }

    pub(crate) fn from_raw(store: &StoreOpaque, handle: u64) -> Option<Rooted<ExternRef>> {
        (handle != 0).then_some(Rooted { store: store.id(), handle, referent: PhantomData })
    }

    /// True if both refer to the same thing.
    ///
    /// # Errors
    /// When one of them belongs to another store.
    pub fn ref_eq(store: impl AsContext, a: &Self, b: &Self) -> Result<bool> {
        let store = store.as_context();
        a.check(store.opaque())?;
        b.check(store.opaque())?;
        Ok(a.handle == b.handle)
    }
}
