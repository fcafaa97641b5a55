//! Machine code in executable memory.
//!
//! Code is written once into fresh pages, which are then sealed: readable and executable, never
//! writable again. Sealed code is entered in the process-wide [`registry`] together with what
//! a fault handler needs: which instructions may trap and why, and how large frames are.
//!
//! Invariant of every function's code (see [`runwell_abi::call`]): from its second instruction on,
//! the return address is at `[rsp + frame_bytes]`.

use crate::mmap::{Access, Mmap};
use crate::{Error, registry};
use runwell_abi::TrapCode;
use std::any::Any;
use std::fmt;
use std::sync::{Arc, Weak};

/// Where one function's code is and how large its frame.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default)]
pub struct FuncMeta {
    /// Offset of its first byte.
    pub start: u32,
    /// Offset after its last byte.
    pub end: u32,
    /// Bytes its first instruction subtracts from the stack pointer.
    pub frame_bytes: u32,
}

/// What is known about code besides its bytes. All offsets are from the start of the code, all
/// tables ascend by offset.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct CodeMeta {
    /// Functions; their ranges do not overlap.
    pub funcs: Box<[FuncMeta]>,
    /// Instructions that may trap, and the reason.
    pub traps: Box<[(u32, TrapCode)]>,
    /// Source positions: from this offset on to the next entry, code stems from this position.
    pub srclocs: Box<[(u32, u32)]>,
    /// In metered code, by source position: how much more fuel has been charged where code stops there
    /// than was used, or less when negative. Positions without an entry have no difference.
    pub rests: Box<[(u32, i64)]>,
}

impl CodeMeta {
    /// The index in `funcs` of the function with the byte at `offset`.
    ///
    /// # Complexity
    /// Logarithmic, like all look-ups here.
    pub fn func_at(&self, offset: u32) -> Option<usize> {
        let after = self.funcs.partition_point(|func| func.start <= offset);
        let index = after.checked_sub(1)?;
        (offset < self.funcs[index].end).then_some(index)
    }

    /// Why the instruction at exactly `offset` may trap.
    pub fn trap_at(&self, offset: u32) -> Option<TrapCode> {
        let index = self.traps.binary_search_by_key(&offset, |trap| trap.0).ok()?;
        Some(self.traps[index].1)
    }

    /// The source position of the code at `offset`.
    pub fn srcloc_at(&self, offset: u32) -> Option<u32> {
        let after = self.srclocs.partition_point(|entry| entry.0 <= offset);
        let (at, position) = self.srclocs[after.checked_sub(1)?];
        // An entry does not reach into the next function.
        let func = self.funcs.get(self.func_at(offset)?)?;
        (at >= func.start).then_some(position)
    }

    /// The fuel that has been charged and not used where the code at `offset` stops; what was used and
    /// not charged, when negative.
    pub fn rest_at(&self, offset: u32) -> i64 {
        let rest = self.srcloc_at(offset).and_then(|position| {
            let at = self.rests.binary_search_by_key(&position, |rest| rest.0).ok()?;
            Some(self.rests[at].1)
        });
        rest.unwrap_or(0)
    }

    fn is_sorted(&self) -> bool {
        self.funcs.is_sorted_by(|a, b| a.start <= a.end && a.end <= b.start)
            && self.traps.is_sorted_by(|a, b| a.0 < b.0)
            && self.srclocs.is_sorted_by_key(|entry| entry.0)
            && self.rests.is_sorted_by(|a, b| a.0 < b.0)
    }
}

/// Sealed machine code, registered while it lives.
pub struct Code {
    map: Mmap,
    len: usize,
    meta: CodeMeta,
    owner: Arc<dyn Any + Send + Sync>,
    this: Weak<Code>,
}

impl Code {
    /// Copies position-independent `bytes` to executable memory and registers them. `owner` is
    /// whatever the embedding layer wants to find by an address in the code.
    ///
    /// # Errors
    /// When the system gives no memory or forbids executable pages.
    ///
    /// # Panics
    /// When a table of `meta` does not ascend: such code could not be walked safely.
    pub fn publish(
        bytes: &[u8],
        meta: CodeMeta,
        owner: Arc<dyn Any + Send + Sync>,
    ) -> Result<Arc<Code>, Error> {
        assert!(meta.is_sorted(), "the tables of code ascend");
        let map = Mmap::new(bytes.len(), Access::ReadWrite)?;
        // SAFETY: the mapping is fresh, writable and at least as long; afterwards nobody writes.
        unsafe {
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), map.base().as_ptr(), bytes.len());
            map.protect(0, map.len(), Access::ReadExecute)?;
        }
        let code =
            Arc::new_cyclic(|this| Code { map, len: bytes.len(), meta, owner, this: this.clone() });
        registry::register(&code);
        Ok(code)
    }

    /// Address of the first byte.
    pub fn base(&self) -> u64 {
        self.map.base().as_ptr() as u64
    }

    /// Length of the code in bytes.
    pub fn len(&self) -> usize {
        self.len
    }

    /// True when there is no code.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The address of the byte at `offset`.
    ///
    /// # Panics
    /// When it is outside.
    pub fn address(&self, offset: u32) -> u64 {
        assert!((offset as usize) < self.len, "an offset inside of the code");
        self.base() + u64::from(offset)
    }

    /// The code.
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: the pages are readable, at least `len` long and never written again.
        unsafe { std::slice::from_raw_parts(self.map.base().as_ptr(), self.len) }
    }

    /// Its tables.
    pub fn meta(&self) -> &CodeMeta {
        &self.meta
    }

    /// What the embedding layer attached.
    pub fn owner(&self) -> &Arc<dyn Any + Send + Sync> {
        &self.owner
    }

    /// A new owner of this code, unless its last one is being dropped.
    pub(crate) fn upgrade(&self) -> Option<Arc<Code>> {
        self.this.upgrade()
    }

    /// Length of the pages the code occupies.
    pub(crate) fn mapped_bytes(&self) -> usize {
        self.map.len()
    }

    /// The offset of `pc`, which is inside.
    pub(crate) fn offset_of(&self, pc: u64) -> u32 {
        // Code is shorter than 2 GiB, the reach of its calls.
        (pc - self.base()) as u32
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Code").field("base", &self.base()).field("len", &self.len).finish()
    }
}

impl Drop for Code {
    fn drop(&mut self) {
        registry::unregister(self);
    }
}
