//! The record of one store that all of its instances point to.

use crate::call::{Activation, Payload, Pending, Suspended};
use crate::interrupt::{self, Interrupt, InterruptHandle};
use crate::stack::{DEFAULT_STACK_BYTES, GuestStack};
use crate::{Error, Memory, Owned, Table, libcalls};
use runwell_abi::TrapCode;
use runwell_abi::call::TRANSFER_CELLS;
use runwell_abi::memory::PAGE_BYTES;
use runwell_abi::vmctx::{
    RT_EXIT_SP, RT_FUEL, RT_GUEST_SP, RT_HOST_MXCSR, RT_HOST_SP, RT_LIBCALLS, RT_STACK_LIMIT,
    RT_TRANSFER, RT_VMCTX,
};
use std::cell::{Cell, OnceCell, UnsafeCell};
use std::mem::{MaybeUninit, offset_of};
use std::ptr::null;
use std::sync::Arc;

/// Frames of a backtrace when nothing else is said.
pub const DEFAULT_BACKTRACE_FRAMES: usize = 64;

/// The most fuel there is: metered code compares it as an unsigned number that must not wrap.
pub const MAX_FUEL: u64 = i64::MAX as u64;

/// What a store's runtime record is made with.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct RuntimeConfig {
    /// How deep calls of guest code may be: what the active frames may count together, in bytes (see
    /// [`runwell_abi::memory::frame_depth`]).
    pub stack_bytes: usize,
    /// The most frames a backtrace lists.
    pub backtrace_frames: usize,
    /// The guest code of the store is metered.
    pub metered: bool,
}

impl Default for RuntimeConfig {
    fn default() -> RuntimeConfig {
        RuntimeConfig {
            stack_bytes: DEFAULT_STACK_BYTES,
            backtrace_frames: DEFAULT_BACKTRACE_FRAMES,
            metered: false,
        }
    }
}

/// Is asked before guest code makes something larger.
pub trait ResourceLimiter: Send {
    /// May a memory grow from `current` to `desired` bytes? `maximum` is what its type declares.
    ///
    /// # Errors
    /// An error ends the guest's call with it.
    fn memory_growing(
        &mut self,
        current: u64,
        desired: u64,
        maximum: Option<u64>,
    ) -> Result<bool, Payload>;

    /// May a table grow from `current` to `desired` elements?
    ///
    /// # Errors
    /// An error ends the guest's call with it.
    fn table_growing(
        &mut self,
        current: u64,
        desired: u64,
        maximum: Option<u64>,
    ) -> Result<bool, Payload>;

    /// Is told that a memory could not do what was allowed.
    ///
    /// # Errors
    /// An error ends the guest's call with it.
    fn memory_grow_failed(&mut self) -> Result<(), Payload> {
        Ok(())
    }

    /// Is told that a table could not do what was allowed.
    ///
    /// # Errors
    /// An error ends the guest's call with it.
    fn table_grow_failed(&mut self) -> Result<(), Payload> {
        Ok(())
    }
}

/// Who is asked before something grows.
enum Limiter {
    Nobody,
    Ready(Box<dyn ResourceLimiter>),
    /// Being asked.
    Busy,
}

/// The part that stubs address.
#[repr(C)]
pub(crate) struct Head {
    /// Where the next activation begins, and where the guest goes on after a host call.
    pub(crate) guest_sp: Cell<u64>,
    /// The frame of the entry stub of the innermost activation.
    pub(crate) host_sp: Cell<u64>,
    libcalls: *const libcalls::Helper,
    /// The context of the instance that called out, 0 when the host called a host function.
    pub(crate) vmctx: Cell<u64>,
    /// Where the return address into the innermost guest frame is.
    pub(crate) exit_sp: Cell<u64>,
    pub(crate) host_mxcsr: Cell<u32>,
    /// The fuel left, while guest code does not run.
    pub(crate) fuel: Cell<u64>,
    /// The lowest address the stack pointer may take, lowered by frames that take more than they count.
    pub(crate) stack_limit: Cell<u64>,
}

/// Where guest code faulted, as the handler noted it.
#[derive(Copy, Clone)]
pub(crate) struct Fault {
    pub(crate) code: TrapCode,
    pub(crate) pc: u64,
    pub(crate) sp: u64,
    pub(crate) address: Option<u64>,
    pub(crate) fuel: u64,
}

/// The record of one store: what its contexts' `RUNTIME` points to.
///
/// Lives behind [`Owned`] and is used by one thread at a time. Between calls it is not tied to a
/// thread.
#[repr(C, align(16))]
pub struct Runtime {
    pub(crate) head: Head,
    transfer: UnsafeCell<[MaybeUninit<u128>; TRANSFER_CELLS]>,
    /// The innermost activation of this store, null between calls.
    pub(crate) activation: Cell<*const Activation>,
    /// Written by the fault handler while guest code is interrupted.
    pub(crate) fault: Cell<Fault>,
    /// Why host code wants guest code to be left.
    pub(crate) pending: Cell<Option<Pending>>,
    /// A call that was left and can go on.
    pub(crate) suspended: Cell<Option<Suspended>>,
    /// Shared with those who may stop the guest, if there are any.
    pub(crate) interrupt: OnceCell<Arc<Interrupt>>,
    limiter: Cell<Limiter>,
    /// The frames of the suspended call, if it has given its stack back.
    pub(crate) parked: Cell<Option<Box<[u8]>>>,
    /// Taken when it is needed first, and again after a suspended call has given it back.
    stack: UnsafeCell<Option<GuestStack>>,
    config: RuntimeConfig,
}

// SAFETY: the raw pointers are static, or null between calls, when a store may change threads.
unsafe impl Send for Runtime {}

const _: () = {
    assert!(offset_of!(Runtime, head) == 0);
    assert!(offset_of!(Head, guest_sp) == RT_GUEST_SP as usize);
    assert!(offset_of!(Head, host_sp) == RT_HOST_SP as usize);
    assert!(offset_of!(Head, libcalls) == RT_LIBCALLS as usize);
    assert!(offset_of!(Head, vmctx) == RT_VMCTX as usize);
    assert!(offset_of!(Head, exit_sp) == RT_EXIT_SP as usize);
    assert!(offset_of!(Head, host_mxcsr) == RT_HOST_MXCSR as usize);
    assert!(offset_of!(Head, fuel) == RT_FUEL as usize);
    assert!(offset_of!(Head, stack_limit) == RT_STACK_LIMIT as usize);
    assert!(offset_of!(Runtime, transfer) == RT_TRANSFER as usize);
};

impl Runtime {
    /// A store's record. It takes a guest stack of its own when it calls guest code first.
    ///
    /// # Errors
    /// When the system gives no memory or does not let the fault handlers be installed.
    pub fn new(config: RuntimeConfig) -> Result<Owned<Runtime>, Error> {
        crate::init()?;
        GuestStack::check(config.stack_bytes)?;
        let head = Head {
            guest_sp: Cell::new(0),
            host_sp: Cell::new(0),
            libcalls: libcalls::table().as_ptr(),
            vmctx: Cell::new(0),
            exit_sp: Cell::new(0),
            host_mxcsr: Cell::new(0),
            fuel: Cell::new(0),
            stack_limit: Cell::new(0),
        };
        let fault = Fault { code: TrapCode::Unreachable, pc: 0, sp: 0, address: None, fuel: 0 };
        let mut record = Box::<Runtime>::new_uninit();
        let at = record.as_mut_ptr();
        // Field by field, because the transfer buffer is large and would be copied for nothing.
        // SAFETY: the pointer is to fresh memory for a record; every field is written but the
        // buffer, whose cells may be uninitialised.
        let record = unsafe {
            (&raw mut (*at).head).write(head);
            (&raw mut (*at).activation).write(Cell::new(null()));
            (&raw mut (*at).fault).write(Cell::new(fault));
            (&raw mut (*at).pending).write(Cell::new(None));
            (&raw mut (*at).suspended).write(Cell::new(None));
            (&raw mut (*at).interrupt).write(OnceCell::new());
            (&raw mut (*at).limiter).write(Cell::new(Limiter::Nobody));
            (&raw mut (*at).parked).write(Cell::new(None));
            (&raw mut (*at).stack).write(UnsafeCell::new(None));
            (&raw mut (*at).config).write(config);
            record.assume_init()
        };
        // Does not compile when there is a field that is not thought of above.
        let _ = |record: Runtime| {
            let Runtime {
                head: _,
                transfer: _,
                activation: _,
                fault: _,
                pending: _,
                suspended: _,
                interrupt: _,
                limiter: _,
                parked: _,
                stack: _,
                config: _,
            } = record;
        };
        Ok(Owned::from_box(record))
    }

    /// What it was made with.
    pub fn config(&self) -> &RuntimeConfig {
        &self.config
    }

    /// The stack, if there is one now.
    pub(crate) fn stack(&self) -> Option<&GuestStack> {
        // SAFETY: it is changed by `take_stack` and `leave_stack` only, which nobody calls who has a
        // reference.
        unsafe { (*self.stack.get()).as_ref() }
    }

    /// Sees to it that there is a stack.
    ///
    /// # Errors
    /// When the system gives no memory.
    #[cold]
    pub(crate) fn take_stack(&self) -> Result<&GuestStack, Error> {
        if self.stack().is_none() {
            let stack = GuestStack::new(self.config.stack_bytes)?;
            self.head.guest_sp.set(stack.top());
            self.head.stack_limit.set(stack.limit());
            // SAFETY: the store belongs to one thread, and there was nothing that anybody could refer to.
            unsafe { *self.stack.get() = Some(stack) };
        }
        Ok(self.stack().expect("a stack"))
    }

    /// Gives the stack back. Nothing may be active on it.
    pub(crate) fn leave_stack(&self) {
        self.head.guest_sp.set(0);
        self.head.stack_limit.set(0);
        // SAFETY: the store belongs to one thread, which has no reference now: whoever gets one uses it
        // at once.
        unsafe { *self.stack.get() = None };
    }

    /// The lowest address the stack pointer may take in guest code, now; 0 before the first call.
    pub fn stack_limit(&self) -> u64 {
        self.head.stack_limit.get()
    }

    /// First cell of the transfer buffer, of [`TRANSFER_CELLS`].
    pub fn cells(&self) -> *mut u128 {
        self.transfer.get().cast()
    }

    /// The fuel left, while no metered guest code runs.
    pub fn fuel(&self) -> u64 {
        self.head.fuel.get()
    }

    /// Sets the fuel left, at most [`MAX_FUEL`].
    pub fn set_fuel(&self, fuel: u64) {
        self.head.fuel.set(fuel.min(MAX_FUEL));
    }

    /// What stops guest code of this store from another thread.
    ///
    /// # Errors
    /// When the system does not let a signal handler be installed.
    pub fn interrupt_handle(&self) -> Result<InterruptHandle, Error> {
        interrupt::init()?;
        Ok(InterruptHandle(self.interrupt.get_or_init(Arc::default).clone()))
    }

    /// True if somebody wants the guest stopped, who counts it as stopped then.
    #[inline]
    pub(crate) fn is_to_stop(&self) -> bool {
        self.interrupt.get().is_some_and(|interrupt| interrupt.take())
    }

    /// True if somebody wants the guest stopped that waits for a host function: whatever that gives, the
    /// guest is stopped when it returns.
    pub fn interrupt_requested(&self) -> bool {
        self.interrupt.get().is_some_and(|interrupt| interrupt.is_requested())
    }

    /// True while guest code of this store is active, also while it waits for a host function.
    pub fn is_active(&self) -> bool {
        !self.activation.get().is_null()
    }

    /// The context of the instance that called the running host function; null when the host did,
    /// or when nothing is active.
    pub fn caller_vmctx(&self) -> *mut u8 {
        self.head.vmctx.get() as *mut u8
    }

    /// Sets who is asked before guest code makes something larger. Nobody at first.
    pub fn set_limiter(&self, limiter: Option<Box<dyn ResourceLimiter>>) {
        self.limiter.set(limiter.map_or(Limiter::Nobody, Limiter::Ready));
    }

    /// Asks the limiter. It stays in force when it panics.
    fn ask(
        &self,
        question: impl FnOnce(&mut dyn ResourceLimiter) -> Result<bool, Payload>,
    ) -> Result<bool, Payload> {
        struct PutBack<'a>(&'a Cell<Limiter>, Limiter);
        impl Drop for PutBack<'_> {
            fn drop(&mut self) {
                self.0.swap(Cell::from_mut(&mut self.1));
            }
        }
        let mut taken = PutBack(&self.limiter, self.limiter.replace(Limiter::Busy));
        match &mut taken.1 {
            Limiter::Nobody => Ok(true),
            Limiter::Ready(limiter) => {
                // It is code of the host, and what it leaves behind in the float mode is not the guest's.
                crate::sys::with_host_floats(self.head.host_mxcsr.get(), || {
                    question(&mut **limiter)
                })
            }
            // The limiter itself makes something grow: nobody can say that it may.
            Limiter::Busy => Ok(false),
        }
    }

    /// Grows a memory of this store by `delta` pages as `memory.grow` does: the old size in pages,
    /// or `None` when its limits or the limiter exclude it.
    ///
    /// # Errors
    /// The limiter's, or a [`crate::Error`] when the system cannot give what limits allow.
    pub fn grow_memory(&self, memory: &Memory, delta: u64) -> Result<Option<u64>, Payload> {
        let desired = memory.pages().saturating_add(delta).saturating_mul(PAGE_BYTES);
        let maximum = memory.ty().max.map(|max| max.saturating_mul(PAGE_BYTES));
        if !self.ask(|limiter| limiter.memory_growing(memory.len(), desired, maximum))? {
            return Ok(None);
        }
        let old = memory.grow(delta).map_err(|error| Box::new(error) as Payload)?;
        if old.is_none() {
            self.ask(|limiter| limiter.memory_grow_failed().map(|()| true))?;
        }
        Ok(old)
    }

    /// Grows a table of this store by `delta` elements `init` as `table.grow` does: the old size,
    /// or `None` when its limits or the limiter exclude it.
    ///
    /// # Errors
    /// The limiter's.
    pub fn grow_table(&self, table: &Table, delta: u64, init: u64) -> Result<Option<u64>, Payload> {
        let desired = table.len().saturating_add(delta);
        let maximum = table.ty().max;
        if !self.ask(|limiter| limiter.table_growing(table.len(), desired, maximum))? {
            return Ok(None);
        }
        let old = table.grow(delta, init);
        if old.is_none() {
            self.ask(|limiter| limiter.table_grow_failed().map(|()| true))?;
        }
        Ok(old)
    }
}
