//! Stacks for guest code.
//!
//! From low to high addresses: an inaccessible guard, room that guest code does not count on, the
//! usable part. Guest code checks the stack pointer against a limit that begins at
//! [`GuestStack::limit`] and is lowered by frames that take more than they count
//! ([`runwell_abi::memory::frame_depth`]): [`STACK_RATIO`] times as much at worst, so the usable part
//! is that many times larger than what frames may count. It is address space; memory is only what
//! frames touch. The room is for frames that are not compared with the limit
//! ([`STACK_RED_ZONE_BYTES`]), for the runtime's stubs, and for the frames of signals that the host
//! handles without a stack of their own. The guard turns what should not happen into a fault.
//!
//! Stacks of equal size are recycled through a bounded pool. Their memory, which nobody reads before
//! writing, is given back only every few times, since that is a system call.

use crate::Error;
use crate::mmap::{Access, Mmap, OS_PAGE_BYTES};
use runwell_abi::memory::{STACK_RATIO, STACK_RED_ZONE_BYTES};
use std::sync::{Mutex, PoisonError};

/// What frames may count, in bytes, when nothing else is said.
pub const DEFAULT_STACK_BYTES: usize = 1 << 20;
/// The most that frames may count.
const MAX_DEPTH_BYTES: usize = 1 << 40;
/// A suspended call with at most this many bytes of frames takes them with it and gives its stack back.
const PARKED_BYTES: u64 = 64 << 10;
/// Inaccessible bytes below a stack.
const GUARD_BYTES: usize = 256 << 10;
/// Bytes below the limit.
const ROOM_BYTES: usize = 64 << 10;
/// The most stacks kept.
const POOLED_STACKS: usize = 32;
/// Bytes at the top of a pooled stack whose memory is kept.
const WARM_BYTES: usize = 64 << 10;

/// How often a stack is used before the memory of its cold part is given back.
const USES_UNTIL_COLD: u32 = 16;

const _: () = assert!(ROOM_BYTES > 2 * STACK_RED_ZONE_BYTES as usize);

static POOL: Mutex<Vec<Pooled>> = Mutex::new(Vec::new());

struct Pooled {
    map: Mmap,
    /// How often it has been used since its memory was given back.
    uses: u32,
}

/// A stack that one store's guest code runs on.
pub struct GuestStack {
    /// Always present but during drop.
    map: Option<Pooled>,
    base: u64,
    len: u64,
    depth: u64,
}

impl GuestStack {
    /// A stack on which frames can count `depth` bytes, rounded up to whole pages.
    ///
    /// # Errors
    /// When the system gives no memory.
    pub fn new(depth: usize) -> Result<GuestStack, Error> {
        GuestStack::check(depth)?;
        let depth = depth.max(1).next_multiple_of(OS_PAGE_BYTES);
        let len = GUARD_BYTES + ROOM_BYTES + depth * STACK_RATIO as usize;
        let pooled = {
            let mut pool = POOL.lock().unwrap_or_else(PoisonError::into_inner);
            pool.iter().rposition(|pooled| pooled.map.len() == len).map(|at| pool.swap_remove(at))
        };
        let map = match pooled {
            Some(map) => map,
            None => {
                let map = Mmap::new(len, Access::None)?;
                // SAFETY: nobody uses the fresh mapping.
                unsafe { map.protect(GUARD_BYTES, len - GUARD_BYTES, Access::ReadWrite)? };
                Pooled { map, uses: 0 }
            }
        };
        let base = map.map.base().as_ptr() as u64;
        Ok(GuestStack { map: Some(map), base, len: len as u64, depth: depth as u64 })
    }

    /// Whether there can be such a stack.
    ///
    /// # Errors
    /// When it would be larger than anybody needs.
    pub(crate) fn check(depth: usize) -> Result<(), Error> {
        let what = "bytes of a guest stack";
        if depth > MAX_DEPTH_BYTES {
            return Err(Error::Limit { what, wanted: depth as u64, limit: MAX_DEPTH_BYTES as u64 });
        }
        Ok(())
    }

    /// A copy of the bytes from `at` on, if it is on the stack and they are not too many.
    pub(crate) fn frames_from(&self, at: u64) -> Option<Box<[u8]>> {
        let bytes = self.top().checked_sub(at).filter(|&bytes| bytes <= PARKED_BYTES)?;
        if !self.contains(at) {
            return None;
        }
        // SAFETY: this part of the mapping is readable, and nobody else knows the stack.
        Some(unsafe { std::slice::from_raw_parts(at as *const u8, bytes as usize) }.into())
    }

    /// Puts frames at the top of a stack on which nothing is active.
    ///
    /// # Panics
    /// When they do not fit.
    pub(crate) fn put_frames(&self, frames: &[u8]) {
        let at = self.top() - frames.len() as u64;
        assert!(self.contains(at) || frames.is_empty(), "frames of a stack as large");
        // SAFETY: this part of the mapping is writable, and nobody else knows the stack.
        unsafe { std::ptr::copy_nonoverlapping(frames.as_ptr(), at as *mut u8, frames.len()) };
    }

    /// The address after the highest byte, a multiple of 16.
    pub fn top(&self) -> u64 {
        self.base + self.len
    }

    /// The lowest address the stack pointer may take in guest code, while all frames take what they
    /// count.
    pub fn limit(&self) -> u64 {
        self.top() - self.depth
    }

    /// True for addresses of the accessible part.
    pub(crate) fn contains(&self, address: u64) -> bool {
        (self.base + GUARD_BYTES as u64..self.top()).contains(&address)
    }

    /// True for addresses of the guard.
    pub(crate) fn guard_contains(&self, address: u64) -> bool {
        (self.base..self.base + GUARD_BYTES as u64).contains(&address)
    }
}

impl Drop for GuestStack {
    fn drop(&mut self) {
        let Some(mut stack) = self.map.take() else { return };
        stack.uses += 1;
        if stack.uses >= USES_UNTIL_COLD {
            let usable = stack.map.len() - GUARD_BYTES;
            let cold = usable - WARM_BYTES.min(usable);
            // SAFETY: nothing runs on the stack any more.
            if unsafe { stack.map.discard(GUARD_BYTES, cold) }.is_err() {
                return;
            }
            stack.uses = 0;
        }
        let mut pool = POOL.lock().unwrap_or_else(PoisonError::into_inner);
        if pool.len() < POOLED_STACKS {
            pool.push(stack);
        } else {
            drop(pool);
            drop(stack);
        }
    }
}
