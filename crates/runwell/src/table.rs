//! Tables.

use crate::context::{AsContext, AsContextMut};
use crate::store::{StoreId, StoreOpaque};
use crate::tape::Event;
use crate::tape::hooks::reference;
use crate::types::{RefType, TableType};
use crate::value::Ref;
use crate::{Error, Result, Trap};

/// A table of a store.
///
/// ```
/// use runwell::{Engine, Func, Ref, RefType, Store, Table, TableType};
///
/// # fn main() -> runwell::Result<()> {
/// let mut store = Store::new(&Engine::default(), ());
/// let ty = TableType::new(RefType::FUNCREF, 2, None);
/// let table = Table::new(&mut store, ty, Ref::Func(None))?;
/// let double = Func::wrap(&mut store, |x: i32| x * 2);
/// table.set(&mut store, 1, double.into())?;
/// assert!(table.get(&mut store, 0).unwrap().is_null());
/// let found = table.get(&mut store, 1).unwrap();
/// let double = found.unwrap_func().unwrap().typed::<i32, i32>(&store)?;
/// assert_eq!(double.call(&mut store, 4)?, 8);
/// assert!(table.get(&mut store, 2).is_none());
/// # Ok(())
/// # }
/// ```
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Table {
    store: StoreId,
    index: u32,
}

impl Table {
    pub(crate) fn from_index(store: &StoreOpaque, index: u32) -> Table {
        Table { store: store.id(), index }
    }

    /// A new table whose elements are all `init`.
    ///
    /// # Errors
    /// When the minimum exceeds the maximum or what the store allows, `init` is of another type, or
    /// there is no address space.
    pub fn new(mut store: impl AsContextMut, ty: TableType, init: Ref) -> Result<Table> {
        if ty.maximum().is_some_and(|maximum| maximum < ty.minimum()) {
            return Err(Error::msg("a table's minimum exceeds its maximum"));
        }
        let mut store = store.as_context_mut();
        let init = init.to_raw(*ty.element(), store.opaque())?;
        store.opaque().tell(|store, refs| {
            // SAFETY: the bits are those of a reference of this type and store.
            let init = unsafe { reference(store, refs, *ty.element(), init) };
            Event::NewTable(ty.clone(), init)
        });
        let index = store.opaque().add_table(&ty, init)?;
        Ok(Table::from_index(store.opaque(), index))
    }

    pub(crate) fn index(&self, store: &StoreOpaque) -> u32 {
        assert!(self.store == store.id(), "a Table was used with another store than its own");
        self.index
    }

    fn raw<'a>(&self, store: &'a StoreOpaque) -> &'a runwell_vm::Table {
        &store.tables[self.index(store) as usize].raw
    }

    fn element(&self, store: &StoreOpaque) -> RefType {
        store.tables[self.index(store) as usize].element
    }

    /// Tells the tape that elements are set.
    fn tell_fill(&self, store: &mut StoreOpaque, at: u64, bits: u64, len: u64) {
        let (table, element) = (self.index(store), self.element(store));
        store.tell(|store, refs| {
            // SAFETY: the bits are those of a reference of this type and store.
            let value = unsafe { reference(store, refs, element, bits) };
            Event::TableFill { table, at, value, len }
        });
    }

    /// Its type; the minimum is its current size.
    ///
    /// # Panics
    /// When it belongs to another store, as all methods.
    pub fn ty(&self, store: impl AsContext) -> TableType {
        self.ty_in(store.as_context().opaque())
    }

    pub(crate) fn ty_in(&self, store: &StoreOpaque) -> TableType {
        let raw = self.raw(store);
        let ty = raw.ty();
        TableType::raw(self.element(store), raw.len(), ty.max, ty.is64)
    }

    /// Its length.
    pub fn size(&self, store: impl AsContext) -> u64 {
        self.raw(store.as_context().opaque()).len()
    }

    /// Element `index`, `None` when there is none.
    pub fn get(&self, mut store: impl AsContextMut, index: u64) -> Option<Ref> {
        let mut store = store.as_context_mut();
        let store = store.opaque();
        let raw = self.raw(store);
        let bits = raw.get(index)?;
        // SAFETY: elements are null or references of this store.
        Some(unsafe { Ref::from_raw(store, self.element(store), bits) })
    }

    /// Sets element `index`.
    ///
    /// # Errors
    /// When there is no such element or `value` is of another type; while a call waits for fuel
    /// ([`crate::SuspendedCall::resume`]), as for everything that changes a table.
    pub fn set(&self, mut store: impl AsContextMut, index: u64, value: Ref) -> Result<()> {
        let mut store = store.as_context_mut();
        let store = store.opaque();
        let bits = value.to_raw(self.element(store), store)?;
        store.may_change()?;
        self.tell_fill(store, index, bits, 1);
        self.raw(store).set(index, bits).map_err(|code| Error::new(Trap::from_code(code)))
    }

    /// Grows by `delta` elements, all `init`, and returns the former length.
    ///
    /// # Errors
    /// When it would exceed its maximum or what the store allows, or `init` is of another type.
    pub fn grow(&self, mut store: impl AsContextMut, delta: u64, init: Ref) -> Result<u64> {
        let mut store = store.as_context_mut();
        let store = store.opaque();
        let index = self.index(store);
        let element = self.element(store);
        let bits = init.to_raw(element, store)?;
        store.may_change()?;
        store.tell(|store, refs| {
            // SAFETY: the bits are those of a reference of this type and store.
            let init = unsafe { reference(store, refs, element, bits) };
            Event::TableGrow { table: index, delta, init }
        });
        store
            .grow_table(index, delta, bits)?
            .ok_or_else(|| Error::msg(format!("failed to grow table by `{delta}`")))
    }

    /// Sets elements `dst..dst + len` to `value`.
    ///
    /// # Errors
    /// When they are not inside of it, nothing is set then, or `value` is of another type.
    pub fn fill(&self, mut store: impl AsContextMut, dst: u64, value: Ref, len: u64) -> Result<()> {
        let mut store = store.as_context_mut();
        let store = store.opaque();
        let bits = value.to_raw(self.element(store), store)?;
        store.may_change()?;
        self.tell_fill(store, dst, bits, len);
        self.raw(store).fill(dst, bits, len).map_err(|code| Error::new(Trap::from_code(code)))
    }

    /// Copies elements between tables of one store.
    ///
    /// # Errors
    /// When the elements are not inside of both or the types differ; nothing is copied then.
    pub fn copy(
        mut store: impl AsContextMut,
        dst_table: &Table,
        dst_index: u64,
        src_table: &Table,
        src_index: u64,
        len: u64,
    ) -> Result<()> {
        let mut store = store.as_context_mut();
        let store = store.opaque();
        if dst_table.element(store) != src_table.element(store) {
            return Err(Error::msg("the tables' element types differ"));
        }
        let (to, table) = (dst_table.index(store), src_table.index(store));
        store.may_change()?;
        store.tell(|_, _| Event::TableCopy { to, at: dst_index, table, from: src_index, len });
        let (dst, src) = (dst_table.raw(store), src_table.raw(store));
        dst.copy_from(dst_index, src, src_index, len)
            .map_err(|code| Error::new(Trap::from_code(code)))
    }
}
