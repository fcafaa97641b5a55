//! Globals that belong to no instance: those that the host makes.

use std::cell::UnsafeCell;
use std::ptr::NonNull;

/// A 16-byte cell for a global's value, which importing instances point to.
///
/// Globals of an instance are cells inside of its context ([`crate::Vmctx::global`]).
#[repr(C, align(16))]
pub struct GlobalCell(UnsafeCell<u128>);

impl GlobalCell {
    /// A cell that holds `bits`. Live behind [`crate::Owned`] once a context points to it.
    pub fn new(bits: u128) -> GlobalCell {
        GlobalCell(UnsafeCell::new(bits))
    }

    /// Its address.
    pub fn value_ptr(&self) -> NonNull<u128> {
        // SAFETY: the address of a field is not null.
        unsafe { NonNull::new_unchecked(self.0.get()) }
    }
}
