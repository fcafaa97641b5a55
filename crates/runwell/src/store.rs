//! Stores: what instances live in, and the host's data beside them.

use crate::context::{StoreContext, StoreContextMut};
use crate::engine::Engine;
use crate::func::HostSlot;
use crate::instance::InstanceState;
use crate::limits::{Kind, Limiter, Question, ResourceLimiter};
use crate::state::PageHashes;
use crate::tape::Event;
use crate::tape::hooks::Tape;
use crate::types::{GlobalType, MemoryType, RefType, TableType};
use crate::{Error, Result};
use runwell_vm::{ExternRefs, GlobalCell, InterruptHandle, Owned, Payload, Runtime, RuntimeConfig};
use std::num::NonZeroU64;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};

/// Tells stores apart.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Hash)]
pub(crate) struct StoreId(NonZeroU64);

impl StoreId {
    fn new() -> StoreId {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        StoreId(NonZeroU64::new(id).expect("there are not 2^64 stores"))
    }
}

/// What instances live in, with the host's data of type `T` beside them.
///
/// Everything that is made in a store lives as long as the store. A store belongs to one thread at a
/// time and may move between threads between calls.
///
/// ```
/// use runwell::{Engine, Store};
///
/// let mut store = Store::new(&Engine::default(), Vec::new());
/// store.data_mut().push("the host's data");
/// assert_eq!(store.into_data(), ["the host's data"]);
/// ```
///
/// # Panics
/// Functions, memories, tables, globals and instances are names within their store. Every method
/// that is given one together with another store panics and says which kind of thing it was.
pub struct Store<T: 'static> {
    inner: Box<StoreInner<T>>,
}

/// The store behind its handle; never moves.
#[repr(C)]
pub(crate) struct StoreInner<T: 'static> {
    pub(crate) opaque: StoreOpaque,
    pub(crate) data: T,
}

/// Where a store is, for host code that generated code calls.
#[derive(Copy, Clone)]
pub(crate) struct StorePtr(NonNull<()>);

// SAFETY: the pointer is only used while its store is in use on the same thread.
unsafe impl Send for StorePtr {}
// SAFETY: as above.
unsafe impl Sync for StorePtr {}

impl StorePtr {
    pub(crate) fn get<S>(self) -> *mut S {
        self.0.as_ptr().cast()
    }
}

pub(crate) struct StoreGlobal {
    pub(crate) ty: GlobalType,
    pub(crate) cell: NonNull<u128>,
    _own: Option<Owned<GlobalCell>>,
}

pub(crate) struct StoreTable {
    pub(crate) raw: Owned<runwell_vm::Table>,
    pub(crate) element: RefType,
}

/// How many objects a store has.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Counts {
    memories: usize,
    tables: usize,
    globals: usize,
}

/// The part of a store that does not depend on the type of its data.
pub struct StoreOpaque {
    engine: Engine,
    id: StoreId,
    /// The [`StoreInner`] this is in.
    this: StorePtr,
    // Instances point to everything below, so they are dropped first.
    pub(crate) instances: Vec<InstanceState>,
    pub(crate) globals: Vec<StoreGlobal>,
    pub(crate) tables: Vec<StoreTable>,
    pub(crate) memories: Vec<Owned<runwell_vm::Memory>>,
    /// The hashes of their pages, for those of which somebody has asked for a hash.
    pub(crate) page_hashes: Vec<PageHashes>,
    pub(crate) host_funcs: Vec<HostSlot>,
    pub(crate) externs: ExternRefs,
    pub(crate) limiter: Limiter,
    /// How many calls have been suspended: the number of the last one.
    pub(crate) suspensions: u64,
    /// The host has had a memory for writing while the last one waited for fuel.
    pub(crate) touched: bool,
    /// The fuel that had been used when it was set the last time, and what it was set to.
    pub(crate) fuel_mark: (u64, u64),
    /// Who is told, or says, what the host does.
    pub(crate) tape: Option<Box<Tape>>,
    pub(crate) runtime: Owned<Runtime>,
}

// SAFETY: the pointers of a store lead into objects that it owns, which move between threads with it.
unsafe impl Send for StoreOpaque {}
// SAFETY: a shared reference to a store gives no way to change it.
unsafe impl Sync for StoreOpaque {}

impl<T: 'static> Store<T> {
    /// An empty store.
    ///
    /// # Panics
    /// When the operating system has no address space for the guest's stack; see
    /// [`Store::try_new`].
    pub fn new(engine: &Engine, data: T) -> Store<T> {
        Store::try_new(engine, data).expect("there is address space for a stack")
    }

    /// As [`Store::new`], with an error in place of a panic.
    ///
    /// # Errors
    /// When the operating system has no address space for the guest's stack.
    pub fn try_new(engine: &Engine, data: T) -> Result<Store<T>> {
        let config = engine.config();
        let runtime = Runtime::new(RuntimeConfig {
            stack_bytes: config.max_wasm_stack,
            backtrace_frames: config.backtrace_frames,
            metered: config.schedule.is_some(),
        })?;
        let opaque = StoreOpaque {
            engine: engine.clone(),
            id: StoreId::new(),
            this: StorePtr(NonNull::dangling()),
            instances: Vec::new(),
            globals: Vec::new(),
            tables: Vec::new(),
            memories: Vec::new(),
            page_hashes: Vec::new(),
            host_funcs: Vec::new(),
            externs: ExternRefs::default(),
            limiter: Limiter::default(),
            suspensions: 0,
            touched: false,
            fuel_mark: (0, 0),
            tape: None,
            runtime,
        };
        let mut inner = Box::new(StoreInner { opaque, data });
        inner.opaque.this = StorePtr(NonNull::from(&mut *inner).cast());
        Ok(Store { inner })
    }

    pub(crate) fn inner(&self) -> &StoreInner<T> {
        &self.inner
    }

    pub(crate) fn inner_mut(&mut self) -> &mut StoreInner<T> {
        &mut self.inner
    }

    /// The host's data.
    pub fn data(&self) -> &T {
        &self.inner.data
    }

    /// The host's data.
    pub fn data_mut(&mut self) -> &mut T {
        &mut self.inner.data
    }

    /// Ends the store and gives back the host's data.
    pub fn into_data(self) -> T {
        self.inner.data
    }

    /// The engine it belongs to.
    pub fn engine(&self) -> &Engine {
        self.inner.opaque.engine()
    }

    /// What stops the guests of this store from another thread, e.g. when they take too long.
    ///
    /// A guest that is stopped traps with [`crate::Trap::Interrupt`]. Guest code has no checks for this
    /// and is as fast as without; the thread that runs it gets a SIGURG, which the handler of the
    /// process passes on when it is not for a guest. Where the guest is stopped is up to the clock, so
    /// this is not deterministic: fuel is.
    ///
    /// # Errors
    /// When the system does not let a signal handler be installed.
    ///
    /// ```
    /// use runwell::{Engine, Instance, Module, Store, Trap};
    ///
    /// let engine = Engine::default();
    /// let module = Module::new(&engine, r#"(module (func (export "spin") (loop (br 0))))"#)?;
    /// let mut store = Store::new(&engine, ());
    /// let handle = store.interrupt_handle()?;
    /// std::thread::spawn(move || while !handle.interrupt() {});
    /// let instance = Instance::new(&mut store, &module, &[])?;
    /// let spin = instance.get_typed_func::<(), ()>(&mut store, "spin")?;
    /// let error = spin.call(&mut store, ()).unwrap_err();
    /// assert_eq!(error.downcast_ref::<Trap>(), Some(&Trap::Interrupt));
    /// # Ok::<(), runwell::Error>(())
    /// ```
    pub fn interrupt_handle(&mut self) -> Result<InterruptHandle> {
        Ok(self.inner.opaque.runtime.interrupt_handle()?)
    }

    /// Asks the limiter that `limiter` finds in the data before memories and tables are made or
    /// grow.
    pub fn limiter(
        &mut self,
        limiter: impl (FnMut(&mut T) -> &mut dyn ResourceLimiter) + Send + Sync + 'static,
    ) {
        let opaque = &mut self.inner.opaque;
        opaque.tell(|_, _| Event::Limited);
        opaque.limiter = Limiter::new(limiter);
        opaque.ask_from_guests();
    }
}

impl<T: std::fmt::Debug + 'static> std::fmt::Debug for Store<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("data", self.data()).finish_non_exhaustive()
    }
}

impl<'a, T: 'static> From<StoreContextMut<'a, T>> for StoreContext<'a, T> {
    fn from(store: StoreContextMut<'a, T>) -> StoreContext<'a, T> {
        StoreContext(store.0)
    }
}

impl StoreOpaque {
    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    pub(crate) fn id(&self) -> StoreId {
        self.id
    }

    pub(crate) fn this(&self) -> StorePtr {
        self.this
    }

    /// Asks the limiter, which is not set while it runs.
    fn ask(&mut self, question: Question) -> Result<bool> {
        if let Some(answer) = self.recorded_answer(&question) {
            return answer;
        }
        if !self.limiter.is_set() {
            return Ok(!matches!(question, Question::GrowFailed { .. }));
        }
        let mut limiter = std::mem::take(&mut self.limiter);
        let answer = limiter.ask(self.this, question);
        self.limiter = limiter;
        self.tell(|_, _| Event::Answer(answer.as_ref().map_err(Error::to_string).copied()));
        answer
    }

    /// Lets guests' questions come here.
    pub(crate) fn ask_from_guests(&mut self) {
        self.runtime.set_limiter(Some(Box::new(GuestLimiter(self.this))));
    }

    /// Asks whether there may be one more instance.
    pub(crate) fn may_instantiate(&mut self) -> Result<()> {
        let count = self.instances.len();
        self.ask(Question::Another { kind: Kind::Instance, count }).map(|_| ())
    }

    pub(crate) fn add_memory(&mut self, ty: &MemoryType) -> Result<u32> {
        ty.check()?;
        self.ask(Question::Another { kind: Kind::Memory, count: self.memories.len() })?;
        let bytes = ty.minimum().saturating_mul(65536);
        let maximum = ty.maximum().map(|pages| pages.saturating_mul(65536));
        if !self.ask(Question::growing(Kind::Memory, 0, bytes, maximum))? {
            return Err(Error::msg(format!(
                "memory minimum size of {} pages exceeds memory limits",
                ty.minimum()
            )));
        }
        let raw = runwell_vm::MemoryType { min: ty.minimum(), max: ty.maximum(), is64: ty.is_64() };
        let memory = runwell_vm::Memory::new(raw, runwell_vm::memory::DEFAULT_QUOTA_64_BYTES)?;
        self.memories.push(Owned::new(memory));
        Ok(self.memories.len() as u32 - 1)
    }

    pub(crate) fn grow_memory(&mut self, index: u32, delta: u64) -> Result<Option<u64>> {
        let memory = &self.memories[index as usize];
        let current = memory.len();
        let desired = current.saturating_add(delta.saturating_mul(65536));
        let maximum = memory.ty().max.map(|pages| pages.saturating_mul(65536));
        if !self.ask(Question::growing(Kind::Memory, current, desired, maximum))? {
            return Ok(None);
        }
        let old = self.memories[index as usize].grow(delta)?;
        if old.is_none() {
            self.ask(Question::GrowFailed { kind: Kind::Memory })?;
        }
        Ok(old)
    }

    pub(crate) fn add_table(&mut self, ty: &TableType, init: u64) -> Result<u32> {
        self.ask(Question::Another { kind: Kind::Table, count: self.tables.len() })?;
        if !self.ask(Question::growing(Kind::Table, 0, ty.minimum(), ty.maximum()))? {
            return Err(Error::msg(format!(
                "table minimum size of {} elements exceeds table limits",
                ty.minimum()
            )));
        }
        let raw = runwell_vm::TableType { min: ty.minimum(), max: ty.maximum(), is64: ty.is_64() };
        let table = runwell_vm::Table::new(raw, init, runwell_vm::table::DEFAULT_QUOTA_ELEMENTS)?;
        self.tables.push(StoreTable { raw: Owned::new(table), element: *ty.element() });
        Ok(self.tables.len() as u32 - 1)
    }

    pub(crate) fn grow_table(&mut self, index: u32, delta: u64, init: u64) -> Result<Option<u64>> {
        let table = &self.tables[index as usize].raw;
        let (current, maximum) = (table.len(), table.ty().max);
        if !self.ask(Question::growing(
            Kind::Table,
            current,
            current.saturating_add(delta),
            maximum,
        ))? {
            return Ok(None);
        }
        let old = self.tables[index as usize].raw.grow(delta, init);
        if old.is_none() {
            self.ask(Question::GrowFailed { kind: Kind::Table })?;
        }
        Ok(old)
    }

    /// How many objects there are.
    pub(crate) fn counts(&self) -> Counts {
        let (memories, tables) = (self.memories.len(), self.tables.len());
        Counts { memories, tables, globals: self.globals.len() }
    }

    /// Frees the objects that have been made since, of which nobody has heard: those of an instance that
    /// could not be made in full. Their numbers are given again.
    pub(crate) fn undo(&mut self, since: Counts) {
        self.globals.truncate(since.globals);
        self.tables.truncate(since.tables);
        self.memories.truncate(since.memories);
        // An observer that was told of the limiter's answers may have asked for a hash.
        self.page_hashes.truncate(since.memories);
    }

    /// A global that the host makes.
    pub(crate) fn add_global(&mut self, ty: GlobalType, bits: u128) -> u32 {
        let own = Owned::new(GlobalCell::new(bits));
        let cell = own.value_ptr();
        self.globals.push(StoreGlobal { ty, cell, _own: Some(own) });
        self.globals.len() as u32 - 1
    }

    /// A global whose cell is in the context of an instance of this store.
    pub(crate) fn add_global_at(&mut self, ty: GlobalType, cell: NonNull<u128>) -> u32 {
        self.globals.push(StoreGlobal { ty, cell, _own: None });
        self.globals.len() as u32 - 1
    }
}

/// Hands a guest's questions to the limiter of its store.
struct GuestLimiter(StorePtr);

impl GuestLimiter {
    fn ask(&self, question: Question) -> Result<bool, Payload> {
        // SAFETY: the store is in use by the call that is under way, on this thread; its other
        // parts are not looked at while the limiter runs.
        let store = unsafe { &mut *self.0.get::<StoreOpaque>() };
        store.ask(question).map_err(|error| Box::new(error) as Payload)
    }
}

impl runwell_vm::ResourceLimiter for GuestLimiter {
    fn memory_growing(
        &mut self,
        current: u64,
        desired: u64,
        maximum: Option<u64>,
    ) -> Result<bool, Payload> {
        self.ask(Question::growing(Kind::Memory, current, desired, maximum))
    }

    fn table_growing(
        &mut self,
        current: u64,
        desired: u64,
        maximum: Option<u64>,
    ) -> Result<bool, Payload> {
        self.ask(Question::growing(Kind::Table, current, desired, maximum))
    }

    fn memory_grow_failed(&mut self) -> Result<(), Payload> {
        self.ask(Question::GrowFailed { kind: Kind::Memory }).map(|_| ())
    }

    fn table_grow_failed(&mut self) -> Result<(), Payload> {
        self.ask(Question::GrowFailed { kind: Kind::Table }).map(|_| ())
    }
}
