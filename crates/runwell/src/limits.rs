//! What a store's guests may use.

use crate::store::{StoreInner, StorePtr};
use crate::{Error, Result};

/// Is asked before memories, tables and instances are made and before memories and tables grow.
///
/// When something of an instance is refused, what was made for it before is freed, and no longer counts
/// towards [`ResourceLimiter::memories`] and [`ResourceLimiter::tables`].
///
/// ```
/// use runwell::{Engine, Memory, MemoryType, ResourceLimiter, Result, Store};
///
/// /// Counts what all memories together take.
/// struct Budget {
///     bytes_left: usize,
/// }
///
/// impl ResourceLimiter for Budget {
///     fn memory_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> Result<bool> {
///         let Some(left) = self.bytes_left.checked_sub(desired - current) else { return Ok(false) };
///         self.bytes_left = left;
///         Ok(true)
///     }
///
///     fn table_growing(&mut self, _: usize, _: usize, _: Option<usize>) -> Result<bool> {
///         Ok(true)
///     }
/// }
///
/// # fn main() -> Result<()> {
/// let mut store = Store::new(&Engine::default(), Budget { bytes_left: 3 * 65536 });
/// store.limiter(|budget| budget);
/// let memory = Memory::new(&mut store, MemoryType::new(1, None))?;
/// assert!(memory.grow(&mut store, 3).is_err());
/// assert_eq!(memory.grow(&mut store, 2)?, 1);
/// assert_eq!(store.data().bytes_left, 0);
/// # Ok(())
/// # }
/// ```
pub trait ResourceLimiter: Send {
    /// May a memory grow from `current` to `desired` bytes? `maximum` is what its type declares.
    /// A memory that is made grows from 0.
    ///
    /// # Errors
    /// An error ends the guest's call with it, where `Ok(false)` lets `memory.grow` give −1.
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> Result<bool>;

    /// Is told that a memory did not grow although [`ResourceLimiter::memory_growing`] allowed it.
    ///
    /// # Errors
    /// An error ends the guest's call with it, where `Ok` lets `memory.grow` give −1.
    fn memory_grow_failed(&mut self, error: Error) -> Result<()> {
        let _ = error;
        Ok(())
    }

    /// May a table grow from `current` to `desired` elements?
    ///
    /// # Errors
    /// As for memories.
    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> Result<bool>;

    /// Is told that a table did not grow although [`ResourceLimiter::table_growing`] allowed it.
    ///
    /// # Errors
    /// As for memories.
    fn table_grow_failed(&mut self, error: Error) -> Result<()> {
        let _ = error;
        Ok(())
    }

    /// The most instances of the store; any number unless said otherwise.
    fn instances(&self) -> usize {
        usize::MAX
    }

    /// The most tables of the store; any number unless said otherwise.
    fn tables(&self) -> usize {
        usize::MAX
    }

    /// The most memories of the store; any number unless said otherwise.
    fn memories(&self) -> usize {
        usize::MAX
    }
}

/// Fixed limits, a ready-made [`ResourceLimiter`].
///
/// ```
/// use runwell::{Engine, Instance, Module, Store, StoreLimits, StoreLimitsBuilder};
///
/// # fn main() -> runwell::Result<()> {
/// let engine = Engine::default();
/// let limits = StoreLimitsBuilder::new().memory_size(2 * 65536).instances(1).build();
/// let mut store = Store::new(&engine, limits);
/// store.limiter(|limits| limits);
/// let module = Module::new(
///     &engine,
///     "(module (memory 1) (func (export \"grow\") (result i32) (memory.grow (i32.const 1))))",
/// )?;
/// let instance = Instance::new(&mut store, &module, &[])?;
/// let grow = instance.get_typed_func::<(), i32>(&mut store, "grow")?;
/// assert_eq!(grow.call(&mut store, ())?, 1);
/// assert_eq!(grow.call(&mut store, ())?, -1);
/// assert!(Instance::new(&mut store, &module, &[]).is_err());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct StoreLimits {
    memory_size: Option<usize>,
    table_elements: Option<usize>,
    instances: usize,
    tables: usize,
    memories: usize,
    trap_on_grow_failure: bool,
}

impl Default for StoreLimits {
    fn default() -> StoreLimits {
        StoreLimits {
            memory_size: None,
            table_elements: None,
            instances: usize::MAX,
            tables: usize::MAX,
            memories: usize::MAX,
            trap_on_grow_failure: false,
        }
    }
}

/// Makes [`StoreLimits`].
#[derive(Clone, Debug, Default)]
pub struct StoreLimitsBuilder(StoreLimits);

impl StoreLimitsBuilder {
    /// No limits yet.
    pub fn new() -> StoreLimitsBuilder {
        StoreLimitsBuilder::default()
    }

    /// The most bytes of each memory.
    #[must_use]
    pub fn memory_size(mut self, bytes: usize) -> StoreLimitsBuilder {
        self.0.memory_size = Some(bytes);
        self
    }

    /// The most elements of each table.
    #[must_use]
    pub fn table_elements(mut self, elements: usize) -> StoreLimitsBuilder {
        self.0.table_elements = Some(elements);
        self
    }

    /// The most instances of the store.
    #[must_use]
    pub fn instances(mut self, instances: usize) -> StoreLimitsBuilder {
        self.0.instances = instances;
        self
    }

    /// The most tables of the store.
    #[must_use]
    pub fn tables(mut self, tables: usize) -> StoreLimitsBuilder {
        self.0.tables = tables;
        self
    }

    /// The most memories of the store.
    #[must_use]
    pub fn memories(mut self, memories: usize) -> StoreLimitsBuilder {
        self.0.memories = memories;
        self
    }

    /// Whether a growth that is refused ends the guest's call.
    #[must_use]
    pub fn trap_on_grow_failure(mut self, trap: bool) -> StoreLimitsBuilder {
        self.0.trap_on_grow_failure = trap;
        self
    }

    /// The limits.
    pub fn build(self) -> StoreLimits {
        self.0
    }
}

impl StoreLimits {
    fn allow(
        &self,
        what: &str,
        desired: usize,
        limit: Option<usize>,
        maximum: Option<usize>,
    ) -> Result<bool> {
        let within = |most: Option<usize>| most.is_none_or(|most| desired <= most);
        let allow = within(limit) && within(maximum);
        if !allow && self.trap_on_grow_failure {
            return Err(Error::msg(format!("forcing trap when growing {what} to {desired}")));
        }
        Ok(allow)
    }

    fn failed(&self, what: &str, error: Error) -> Result<()> {
        if self.trap_on_grow_failure {
            return Err(error.context(format!("forcing a {what} growth failure to be a trap")));
        }
        Ok(())
    }
}

impl ResourceLimiter for StoreLimits {
    fn memory_growing(&mut self, _: usize, desired: usize, maximum: Option<usize>) -> Result<bool> {
        self.allow("memory", desired, self.memory_size, maximum)
    }

    fn memory_grow_failed(&mut self, error: Error) -> Result<()> {
        self.failed("memory", error)
    }

    fn table_growing(&mut self, _: usize, desired: usize, maximum: Option<usize>) -> Result<bool> {
        self.allow("table", desired, self.table_elements, maximum)
    }

    fn table_grow_failed(&mut self, error: Error) -> Result<()> {
        self.failed("table", error)
    }

    fn instances(&self) -> usize {
        self.instances
    }

    fn tables(&self) -> usize {
        self.tables
    }

    fn memories(&self) -> usize {
        self.memories
    }
}

/// What a store may make more of.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Instance,
    Memory,
    Table,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::Instance => "instance",
            Kind::Memory => "memory",
            Kind::Table => "table",
        }
    }
}

/// What a limiter is asked.
pub(crate) enum Question {
    /// May a memory or table grow?
    Growing { kind: Kind, current: usize, desired: usize, maximum: Option<usize> },
    /// It was allowed and came to nothing; is that an error?
    GrowFailed { kind: Kind },
    /// May a store that has `count` of a kind make one more?
    Another { kind: Kind, count: usize },
}

fn clamp(n: u64) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}

impl Question {
    pub(crate) fn growing(
        kind: Kind,
        current: u64,
        desired: u64,
        maximum: Option<u64>,
    ) -> Question {
        let (current, desired) = (clamp(current), clamp(desired));
        Question::Growing { kind, current, desired, maximum: maximum.map(clamp) }
    }

    fn put(self, limiter: &mut dyn ResourceLimiter) -> Result<bool> {
        match self {
            Question::Growing { kind: Kind::Memory, current, desired, maximum } => {
                limiter.memory_growing(current, desired, maximum)
            }
            Question::Growing { current, desired, maximum, .. } => {
                limiter.table_growing(current, desired, maximum)
            }
            Question::GrowFailed { kind: Kind::Memory } => {
                limiter.memory_grow_failed(Error::msg("Memory maximum size exceeded"))?;
                Ok(false)
            }
            Question::GrowFailed { .. } => {
                limiter.table_grow_failed(Error::msg("Table maximum size exceeded"))?;
                Ok(false)
            }
            Question::Another { kind, count } => {
                let most = match kind {
                    Kind::Instance => limiter.instances(),
                    Kind::Memory => limiter.memories(),
                    Kind::Table => limiter.tables(),
                };
                if count < most {
                    return Ok(true);
                }
                let name = kind.name();
                Err(Error::msg(format!(
                    "resource limit exceeded: {name} count too high at {}",
                    count + 1
                )))
            }
        }
    }
}

type Ask = dyn FnMut(StorePtr, Question) -> Result<bool> + Send + Sync;

/// The limiter of a store, if it has one.
#[derive(Default)]
pub(crate) struct Limiter(Option<Box<Ask>>);

impl Limiter {
    /// The limiter that `find` finds in the data of a store with data of type `T`.
    pub(crate) fn new<T: 'static>(
        mut find: impl (FnMut(&mut T) -> &mut dyn ResourceLimiter) + Send + Sync + 'static,
    ) -> Limiter {
        Limiter(Some(Box::new(move |store, question| {
            // SAFETY: the store is in use on this thread; its data and its other parts are
            // disjoint, and nobody else looks at the data while the limiter is asked.
            let data = unsafe { &mut (*store.get::<StoreInner<T>>()).data };
            question.put(find(data))
        })))
    }

    pub(crate) fn ask(&mut self, store: StorePtr, question: Question) -> Result<bool> {
        self.0.as_mut().map_or(Ok(true), |ask| ask(store, question))
    }

    /// True if there is one.
    pub(crate) fn is_set(&self) -> bool {
        self.0.is_some()
    }
}
