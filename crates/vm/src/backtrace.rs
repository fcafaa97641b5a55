//! Which guest frames are active.
//!
//! Generated code has no frame pointers. The walk knows the function of each address and the size
//! of its frame, and so finds the return address above the frame. It ends an activation at the
//! return address of the entry stub and goes on with the one around it, where that one's guest code
//! called out to the host. Frames of the host are not listed.
//!
//! # Complexity
//! One logarithmic look-up per frame, and at most as many frames as the store's configuration says.

use crate::call::Activation;
use crate::{Runtime, registry, sys};

/// Addresses in guest code, innermost frame first.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Backtrace {
    /// For each frame an address inside of the instruction it is at: the one that trapped or, in
    /// the others, the call. See [`registry::lookup`].
    pub pcs: Vec<u64>,
    /// There were more frames than wanted.
    pub truncated: bool,
}

/// The frames from an instruction that faulted on.
///
/// # Safety
/// Guest code of the innermost activation of `runtime` was interrupted at `pc` with stack pointer
/// `sp`, and its frames and code are intact.
pub(crate) unsafe fn from_fault(runtime: &Runtime, pc: u64, sp: u64) -> Backtrace {
    let mut walk = Walk::new(runtime);
    // SAFETY: the contract.
    unsafe {
        if let Some(above) = walk.frame(pc, sp) {
            walk.activations(above);
        }
    }
    walk.trace
}

/// The frames from the place where guest code called out to the host.
///
/// # Safety
/// The calling thread runs host code of this store, or `runtime` has no activation; frames and code
/// of its activations are intact.
pub(crate) unsafe fn from_host(runtime: &Runtime) -> Backtrace {
    let mut walk = Walk::new(runtime);
    // SAFETY: the contract.
    unsafe { walk.activations(runtime.head.exit_sp.get()) };
    walk.trace
}

struct Walk<'a> {
    runtime: &'a Runtime,
    /// The activation that frames are being read of.
    activation: *const Activation,
    trace: Backtrace,
}

impl Walk<'_> {
    fn new(runtime: &Runtime) -> Walk<'_> {
        Walk { runtime, activation: runtime.activation.get(), trace: Backtrace::default() }
    }

    /// Lists the frame of `pc` whose stack pointer is `sp`, and gives the address of its return
    /// address. `None` ends the walk.
    ///
    /// # Safety
    /// `pc` is in code that lives, if in code at all.
    unsafe fn frame(&mut self, pc: u64, sp: u64) -> Option<u64> {
        if self.trace.pcs.len() >= self.runtime.config().backtrace_frames {
            self.trace.truncated = true;
            return None;
        }
        // SAFETY: the contract.
        let code = unsafe { registry::executing(pc)? };
        let func = code.meta().func_at(code.offset_of(pc))?;
        self.trace.pcs.push(pc);
        Some(sp + u64::from(code.meta().funcs[func].frame_bytes))
    }

    /// Lists frames from the one whose return address is at `at`, through all activations.
    ///
    /// # Safety
    /// The activations of the runtime from `self.activation` on are live and their frames intact.
    unsafe fn activations(&mut self, mut at: u64) {
        while !self.activation.is_null() {
            let on_stack = self.runtime.stack().is_some_and(|stack| stack.contains(at));
            if !(on_stack && at.is_multiple_of(8)) {
                return;
            }
            // SAFETY: `at` is on the accessible part of the store's guest stack.
            let back = unsafe { *(at as *const u64) };
            if back == sys::enter_return_address() {
                // SAFETY: the contract.
                let activation = unsafe { &*self.activation };
                self.activation = activation.outer_in_store;
                at = activation.outer_exit_sp;
                continue;
            }
            // One byte before the return address is inside of the call.
            // SAFETY: the contract: code with active frames lives.
            match unsafe { self.frame(back - 1, at + 8) } {
                Some(above) => at = above,
                None => return,
            }
        }
    }
}
