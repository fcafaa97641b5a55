//! gdb's JIT interface ("JIT Compilation Interface" in its manual): a list of ELF files in memory,
//! and a function that gdb has a breakpoint on, called when the list has changed.
//!
//! Other libraries in the process may have the interface too, under the same names, since gdb looks for
//! those. Ours are weak symbols, so that such a program links; then all use one list. Whether they keep
//! out of each other's way is up to them: each can only lock for itself.

use std::arch::global_asm;
use std::ptr::{addr_of_mut, null_mut};
use std::sync::{Mutex, PoisonError};

/// One file.
#[repr(C)]
struct Entry {
    next: *mut Entry,
    prev: *mut Entry,
    file: *const u8,
    len: u64,
}

/// What gdb reads.
#[repr(C)]
struct Descriptor {
    version: u32,
    /// What has happened to `relevant`.
    action: u32,
    relevant: *mut Entry,
    first: *mut Entry,
}

const REGISTER: u32 = 1;
const UNREGISTER: u32 = 2;

global_asm!(
    ".pushsection .text.runwell_vm_gdb, \"ax\", @progbits",
    ".weak __jit_debug_register_code",
    ".type __jit_debug_register_code, @function",
    "__jit_debug_register_code:",
    "ret",
    ".size __jit_debug_register_code, . - __jit_debug_register_code",
    ".popsection",
    ".pushsection .data.runwell_vm_gdb, \"aw\", @progbits",
    ".balign 8",
    ".weak __jit_debug_descriptor",
    ".type __jit_debug_descriptor, @object",
    "__jit_debug_descriptor:",
    ".long 1, 0",
    ".quad 0, 0",
    ".size __jit_debug_descriptor, . - __jit_debug_descriptor",
    ".popsection",
);

unsafe extern "C" {
    fn __jit_debug_register_code();
    static mut __jit_debug_descriptor: Descriptor;
}

/// Held while the list is looked at or changed.
static LIST: Mutex<()> = Mutex::new(());

/// A file that debuggers know of while this lives.
pub struct Registration {
    entry: *mut Entry,
    _file: Box<[u8]>,
}

// SAFETY: the entry is owned by the registration, and touched under the lock only.
unsafe impl Send for Registration {}
// SAFETY: there are no methods.
unsafe impl Sync for Registration {}

impl std::fmt::Debug for Registration {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Registration").finish_non_exhaustive()
    }
}

/// Puts a file at the front of the list.
pub(super) fn register(file: Vec<u8>) -> Registration {
    let file = file.into_boxed_slice();
    let (start, len) = (file.as_ptr(), file.len() as u64);
    let _locked = LIST.lock().unwrap_or_else(PoisonError::into_inner);
    let descriptor = addr_of_mut!(__jit_debug_descriptor);
    // SAFETY: the lock is held; entries of the list are live, since each leaves it before it is freed.
    let entry = unsafe {
        let first = (*descriptor).first;
        let entry = Entry { next: first, prev: null_mut(), file: start, len };
        let entry = Box::into_raw(Box::new(entry));
        if let Some(first) = first.as_mut() {
            first.prev = entry;
        }
        (*descriptor).first = entry;
        tell(descriptor, REGISTER, entry);
        entry
    };
    Registration { entry, _file: file }
}

/// Lets a debugger look.
///
/// # Safety
/// The lock is held, and the list is sound.
unsafe fn tell(descriptor: *mut Descriptor, action: u32, entry: *mut Entry) {
    // SAFETY: the contract. The function does nothing, unless a debugger has stopped at it.
    unsafe {
        (*descriptor).action = action;
        (*descriptor).relevant = entry;
        __jit_debug_register_code();
        (*descriptor).action = 0;
        (*descriptor).relevant = null_mut();
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        let _locked = LIST.lock().unwrap_or_else(PoisonError::into_inner);
        let descriptor = addr_of_mut!(__jit_debug_descriptor);
        // SAFETY: the lock is held, the entry is in the list, and so its neighbours are live.
        unsafe {
            let Entry { next, prev, .. } = *self.entry;
            match prev.as_mut() {
                Some(prev) => prev.next = next,
                None => (*descriptor).first = next,
            }
            if let Some(next) = next.as_mut() {
                next.prev = prev;
            }
            tell(descriptor, UNREGISTER, self.entry);
            drop(Box::from_raw(self.entry));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed() -> Vec<u64> {
        let _locked = LIST.lock().unwrap_or_else(PoisonError::into_inner);
        let mut lens = Vec::new();
        // SAFETY: the lock is held, so entries are live.
        unsafe {
            let mut entry = (*addr_of_mut!(__jit_debug_descriptor)).first;
            while let Some(this) = entry.as_ref() {
                lens.push(this.len);
                entry = this.next;
            }
        }
        lens
    }

    #[test]
    fn what_lives_is_listed() {
        let first = register(vec![0; 1]);
        let second = register(vec![0; 2]);
        let third = register(vec![0; 3]);
        assert_eq!(listed(), [3, 2, 1]);
        drop(second);
        assert_eq!(listed(), [3, 1]);
        drop(third);
        assert_eq!(listed(), [1]);
        drop(first);
        assert_eq!(listed(), [0; 0]);
    }
}
