//! External references: host values that guests pass around.
//!
//! A guest holds a handle, a number without meaning outside of its store; 0 is null. Nothing traces
//! handles yet, so a value lives as long as its store.

use std::any::Any;

/// The host values that a store's guests may refer to.
#[derive(Default)]
pub struct ExternRefs {
    values: Vec<Box<dyn Any + Send + Sync>>,
}

impl ExternRefs {
    /// Keeps `value` and gives its handle, which is not 0.
    pub fn insert(&mut self, value: Box<dyn Any + Send + Sync>) -> u64 {
        self.values.push(value);
        self.values.len() as u64
    }

    /// The value behind `handle`; `None` for null and for what was never a handle of this store.
    pub fn get(&self, handle: u64) -> Option<&(dyn Any + Send + Sync)> {
        let index = usize::try_from(handle.checked_sub(1)?).ok()?;
        self.values.get(index).map(|value| &**value)
    }

    /// The value behind `handle`, for changing it.
    pub fn get_mut(&mut self, handle: u64) -> Option<&mut (dyn Any + Send + Sync)> {
        let index = usize::try_from(handle.checked_sub(1)?).ok()?;
        self.values.get_mut(index).map(|value| &mut **value)
    }

    /// How many values there are.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// True when there are none.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }
}
