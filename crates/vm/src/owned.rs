//! A box whose contents may be aliased.

use std::ops::Deref;
use std::ptr::NonNull;

/// Owns a `T` on the heap that others point to as well.
///
/// A `Box` promises that nobody else has a live pointer to its contents, also while it is moved.
/// What generated code and other instances point to cannot promise that. Only shared references
/// are handed out, so `T` uses cells for what changes.
pub struct Owned<T: ?Sized>(NonNull<T>);

// SAFETY: an `Owned` is the owner of its contents; others only have raw pointers, whose use is
// governed by the contracts of unsafe functions.
unsafe impl<T: ?Sized + Send> Send for Owned<T> {}
// SAFETY: only shared references to the contents are given out.
unsafe impl<T: ?Sized + Sync> Sync for Owned<T> {}

impl<T> Owned<T> {
    /// Moves `value` to the heap, where it stays.
    pub fn new(value: T) -> Owned<T> {
        Owned::from_box(Box::new(value))
    }

    /// Takes over a box.
    pub fn from_box(value: Box<T>) -> Owned<T> {
        Owned(NonNull::from(Box::leak(value)))
    }
}

impl<T: ?Sized> Owned<T> {
    /// The address, valid until `self` is dropped.
    pub fn as_ptr(&self) -> NonNull<T> {
        self.0
    }
}

impl<T: ?Sized> Deref for Owned<T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: the pointer came from a box and lives until drop; nobody makes a unique reference.
        unsafe { self.0.as_ref() }
    }
}

impl<T: ?Sized> Drop for Owned<T> {
    fn drop(&mut self) {
        // SAFETY: the pointer came from `Box::leak` and is freed once.
        drop(unsafe { Box::from_raw(self.0.as_ptr()) });
    }
}
