//! Linear memories.

use crate::context::{AsContext, AsContextMut, StoreContext, StoreContextMut};
use crate::store::{StoreId, StoreOpaque};
use crate::tape::Event;
use crate::types::MemoryType;
use crate::{Error, Result};
use core::fmt;

/// A linear memory of a store.
///
/// ```
/// use runwell::{Engine, Memory, MemoryType, Store};
///
/// # fn main() -> runwell::Result<()> {
/// let mut store = Store::new(&Engine::default(), "the host's data".to_string());
/// let memory = Memory::new(&mut store, MemoryType::new(1, Some(2)))?;
///
/// memory.write(&mut store, 100, b"hello")?;
/// let mut buffer = [0; 5];
/// memory.read(&store, 100, &mut buffer)?;
/// assert_eq!(&buffer, b"hello");
/// assert!(memory.write(&mut store, 65536, b"x").is_err());
///
/// let (bytes, data) = memory.data_and_store_mut(&mut store);
/// bytes[..data.len()].copy_from_slice(data.as_bytes());
/// assert!(memory.data(&store).starts_with(b"the host's"));
///
/// assert_eq!(memory.grow(&mut store, 1)?, 1);
/// assert!(memory.grow(&mut store, 1).is_err());
/// # Ok(())
/// # }
/// ```
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Memory {
    store: StoreId,
    index: u32,
}

/// An access outside of a memory.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct MemoryAccessError(());

impl fmt::Display for MemoryAccessError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("out of bounds memory access")
    }
}

impl std::error::Error for MemoryAccessError {}

impl Memory {
    pub(crate) fn from_index(store: &StoreOpaque, index: u32) -> Memory {
        Memory { store: store.id(), index }
    }

    /// A new memory.
    ///
    /// # Errors
    /// When the minimum exceeds the maximum or what the store allows, or there is no address space.
    pub fn new(mut store: impl AsContextMut, ty: MemoryType) -> Result<Memory> {
        let mut store = store.as_context_mut();
        store.opaque().tell(|_, _| Event::NewMemory(ty.clone()));
        let index = store.opaque().add_memory(&ty)?;
        Ok(Memory::from_index(store.opaque(), index))
    }

    pub(crate) fn index(&self, store: &StoreOpaque) -> u32 {
        assert!(self.store == store.id(), "a Memory was used with another store than its own");
        self.index
    }

    fn raw<'a>(&self, store: &'a StoreOpaque) -> &'a runwell_vm::Memory {
        &store.memories[self.index(store) as usize]
    }

    /// Its type; the minimum is its current size.
    ///
    /// # Panics
    /// When it belongs to another store, as all methods.
    pub fn ty(&self, store: impl AsContext) -> MemoryType {
        self.ty_in(store.as_context().opaque())
    }

    pub(crate) fn ty_in(&self, store: &StoreOpaque) -> MemoryType {
        let raw = self.raw(store);
        let ty = raw.ty();
        MemoryType::raw(raw.pages(), ty.max, ty.is64)
    }

    /// Its content.
    pub fn data<'a, T: 'static>(&self, store: impl Into<StoreContext<'a, T>>) -> &'a [u8] {
        let raw = self.raw(store.into().opaque());
        // SAFETY: the memory stays where it is, the store is borrowed for `'a`, and only calls that
        // borrow it mutably change the content.
        unsafe { std::slice::from_raw_parts(raw.base(), raw.len() as usize) }
    }

    /// Its content. A call that waits for fuel does not go on after this
    /// ([`crate::SuspendedCall::resume`]).
    pub fn data_mut<'a, T: 'static>(
        &self,
        store: impl Into<StoreContextMut<'a, T>>,
    ) -> &'a mut [u8] {
        self.data_and_store_mut(store).0
    }

    /// Its content, and the data of the store beside it; as [`Memory::data_mut`].
    pub fn data_and_store_mut<'a, T: 'static>(
        &self,
        store: impl Into<StoreContextMut<'a, T>>,
    ) -> (&'a mut [u8], &'a mut T) {
        let inner = store.into().0;
        inner.opaque.touch();
        let raw = self.raw(&inner.opaque);
        // SAFETY: as for `data`, and the store is borrowed mutably for `'a`; the content lies
        // outside of everything that is borrowed beside it.
        let bytes = unsafe { std::slice::from_raw_parts_mut(raw.base(), raw.len() as usize) };
        (bytes, &mut inner.data)
    }

    /// Copies from the memory into `buffer`.
    ///
    /// # Errors
    /// When `offset..offset + buffer.len()` is not inside of it; nothing is copied then.
    pub fn read(
        &self,
        store: impl AsContext,
        offset: usize,
        buffer: &mut [u8],
    ) -> Result<(), MemoryAccessError> {
        self.raw(store.as_context().opaque())
            .read(offset as u64, buffer)
            .map_err(|_| MemoryAccessError(()))
    }

    /// Copies `bytes` into the memory. A call that waits for fuel does not go on after this
    /// ([`crate::SuspendedCall::resume`]).
    ///
    /// # Errors
    /// When `offset..offset + bytes.len()` is not inside of it; nothing is copied then.
    pub fn write(
        &self,
        mut store: impl AsContextMut,
        offset: usize,
        bytes: &[u8],
    ) -> Result<(), MemoryAccessError> {
        let mut store = store.as_context_mut();
        let store = store.opaque();
        store.touch();
        self.raw(store).write(offset as u64, bytes).map_err(|_| MemoryAccessError(()))
    }

    /// Its size in pages.
    pub fn size(&self, store: impl AsContext) -> u64 {
        self.raw(store.as_context().opaque()).pages()
    }

    /// Its size in bytes.
    pub fn data_size(&self, store: impl AsContext) -> usize {
        self.raw(store.as_context().opaque()).len() as usize
    }

    /// Bytes of its pages.
    pub fn page_size(&self, _store: impl AsContext) -> u64 {
        65536
    }

    /// Bytes of its pages, as a power of two.
    pub fn page_size_log2(&self, _store: impl AsContext) -> u8 {
        16
    }

    /// Where its content is. It stays there while the store lives. Nobody knows what is written there: not
    /// while a call waits for fuel ([`crate::SuspendedCall::resume`]).
    pub fn data_ptr(&self, store: impl AsContext) -> *mut u8 {
        self.raw(store.as_context().opaque()).base()
    }

    /// Grows by `delta` pages and returns the former size in pages.
    ///
    /// # Errors
    /// When it would exceed its maximum or what the store allows, or the operating system has no
    /// memory; while a call waits for fuel ([`crate::SuspendedCall::resume`]).
    pub fn grow(&self, mut store: impl AsContextMut, delta: u64) -> Result<u64> {
        let mut store = store.as_context_mut();
        let memory = self.index(store.opaque());
        store.opaque().may_change()?;
        store.opaque().tell(|_, _| Event::MemoryGrow { memory, delta });
        store
            .opaque()
            .grow_memory(memory, delta)?
            .ok_or_else(|| Error::msg(format!("failed to grow memory by `{delta}` pages")))
    }
}
