//! Engine-wide numbers of function types.
//!
//! Two types have one number if and only if they are equal, so that generated code compares
//! numbers. A number lives as long as somebody holds its [`TypeId`] and is used again afterwards,
//! so that an engine does not grow with the modules it has seen.

use crate::types::FuncType;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

#[derive(Default)]
struct Types {
    numbers: HashMap<FuncType, u32>,
    // Type and number of holders.
    types: Vec<Option<(FuncType, usize)>>,
    free: Vec<u32>,
}

/// The numbers in use.
#[derive(Clone, Default)]
pub(crate) struct TypeRegistry(Arc<Mutex<Types>>);

impl TypeRegistry {
    fn lock(&self) -> MutexGuard<'_, Types> {
        // The table is consistent between any two statements that may panic.
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// The number of `ty`, held until the result is dropped.
    pub(crate) fn register(&self, ty: &FuncType) -> TypeId {
        let mut types = self.lock();
        let number = match types.numbers.get(ty) {
            Some(&number) => number,
            None => {
                let number = types.free.pop().unwrap_or(types.types.len() as u32);
                if number as usize == types.types.len() {
                    types.types.push(None);
                }
                types.numbers.insert(ty.clone(), number);
                types.types[number as usize] = Some((ty.clone(), 0));
                number
            }
        };
        if let Some((_, holders)) = &mut types.types[number as usize] {
            *holders += 1;
        }
        TypeId { registry: self.clone(), number }
    }

    /// The type with this number.
    pub(crate) fn get(&self, number: u32) -> Option<FuncType> {
        self.lock().types.get(number as usize)?.as_ref().map(|(ty, _)| ty.clone())
    }
}

/// A held number.
pub(crate) struct TypeId {
    registry: TypeRegistry,
    number: u32,
}

impl TypeId {
    pub(crate) fn number(&self) -> u32 {
        self.number
    }

    /// True if it is a number of this registry.
    pub(crate) fn is_of(&self, registry: &TypeRegistry) -> bool {
        Arc::ptr_eq(&self.registry.0, &registry.0)
    }
}

impl Drop for TypeId {
    fn drop(&mut self) {
        let mut types = self.registry.lock();
        let slot = &mut types.types[self.number as usize];
        if let Some((_, holders)) = slot {
            *holders -= 1;
            if *holders == 0
                && let Some((ty, _)) = slot.take()
            {
                types.numbers.remove(&ty);
                types.free.push(self.number);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::ValType;

    #[test]
    fn numbers_are_shared_and_recycled() {
        let registry = TypeRegistry::default();
        let unary = FuncType::of([ValType::I32], []);
        let nullary = FuncType::of([], []);
        let a = registry.register(&unary);
        let b = registry.register(&unary);
        let c = registry.register(&nullary);
        assert_eq!(a.number(), b.number());
        assert_ne!(a.number(), c.number());
        let number = a.number();
        drop((a, b));
        assert!(registry.get(number).is_none());
        assert_eq!(registry.register(&FuncType::of([], [ValType::I64])).number(), number);
        assert_eq!(registry.get(c.number()), Some(nullary));
    }
}
