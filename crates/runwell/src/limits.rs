//! What a store's guests may use.

use crate::Result;
use crate::store::{StoreInner, StorePtr};

/// Is asked before memories and tables are made or grow.
pub trait ResourceLimiter {
    /// May a memory grow from `current` to `desired` bytes? `maximum` is what its type declares.
    ///
    /// # Errors
    /// An error ends the guest's call with it, where `Ok(false)` lets `memory.grow` give −1.
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> Result<bool>;

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
}

/// Fixed limits, a ready-made [`ResourceLimiter`].
#[derive(Clone, Debug, Default)]
pub struct StoreLimits {
    memory_size: Option<usize>,
    table_elements: Option<usize>,
    trap_on_grow_failure: bool,
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
    fn allow(&self, what: &str, desired: usize, limit: Option<usize>) -> Result<bool> {
        let allow = limit.is_none_or(|limit| desired <= limit);
        if !allow && self.trap_on_grow_failure {
            return Err(crate::Error::msg(format!(
                "forcing trap when growing {what} to {desired}"
            )));
        }
        Ok(allow)
    }
}

impl ResourceLimiter for StoreLimits {
    fn memory_growing(&mut self, _: usize, desired: usize, _: Option<usize>) -> Result<bool> {
        self.allow("memory", desired, self.memory_size)
    }

    fn table_growing(&mut self, _: usize, desired: usize, _: Option<usize>) -> Result<bool> {
        self.allow("table", desired, self.table_elements)
    }
}

/// What a limiter is asked.
pub(crate) struct Question {
    memory: bool,
    current: usize,
    desired: usize,
    maximum: Option<usize>,
}

impl Question {
    fn new(memory: bool, current: u64, desired: u64, maximum: Option<u64>) -> Question {
        let clamp = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
        let (current, desired) = (clamp(current), clamp(desired));
        Question { memory, current, desired, maximum: maximum.map(clamp) }
    }

    pub(crate) fn memory(current: u64, desired: u64, maximum: Option<u64>) -> Question {
        Question::new(true, current, desired, maximum)
    }

    pub(crate) fn table(current: u64, desired: u64, maximum: Option<u64>) -> Question {
        Question::new(false, current, desired, maximum)
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
            let Question { memory, current, desired, maximum } = question;
            let limiter = find(data);
            if memory {
                limiter.memory_growing(current, desired, maximum)
            } else {
                limiter.table_growing(current, desired, maximum)
            }
        })))
    }

    pub(crate) fn ask(&mut self, store: StorePtr, question: Question) -> Result<bool> {
        self.0.as_mut().map_or(Ok(true), |ask| ask(store, question))
    }
}
