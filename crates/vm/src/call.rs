//! Into guest code and out again.
//!
//! [`Runtime::invoke`] opens an *activation*: a run of guest code between one entry from the host
//! and its end. Activations nest, since a host function may call guests; those of one store share
//! one guest stack, each beginning below where the one before stopped. An activation saves the part
//! of the runtime record that an inner one overwrites and puts it back when it ends, however it
//! ends.
//!
//! Guest code that stops early leaves a reason and control arrives here, in the frame that called
//! the entry stub. The guest's frames are still intact then, which is when the backtrace is taken.

use crate::backtrace::{self, Backtrace};
use crate::runtime::{Fault, Runtime};
use crate::sys::{self, STATUS_FAULT, STATUS_LIBCALL, STATUS_PENDING};
use crate::thread::Thread;
use runwell_abi::vmctx::FuncRefDef;
use runwell_abi::{RegFile, TrapCode};
use std::any::Any;
use std::fmt;
use std::panic::resume_unwind;

/// An error value of the embedding layer, or a [`crate::Error`]; the runtime carries it unseen.
pub type Payload = Box<dyn Any + Send>;

/// Why guest code stopped early.
pub enum Cause {
    /// It trapped.
    Trap {
        /// The reason.
        code: TrapCode,
        /// The faulting instruction; `None` when a helper trapped or the call could not begin.
        pc: Option<u64>,
        /// The address that could not be accessed, for memory faults.
        fault_address: Option<u64>,
    },
    /// A host function or a limiter gave an error, or the system failed the runtime.
    Error(Payload),
}

impl fmt::Debug for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cause::Trap { code, pc, fault_address } => f
                .debug_struct("Trap")
                .field("code", code)
                .field("pc", pc)
                .field("fault_address", fault_address)
                .finish(),
            Cause::Error(payload) => match payload.downcast_ref::<crate::Error>() {
                Some(error) => f.debug_tuple("Error").field(error).finish(),
                None => f.write_str("Error(..)"),
            },
        }
    }
}

/// How guest code was left early: why, and which frames were active.
#[derive(Debug)]
pub struct Exit {
    /// Why.
    pub cause: Cause,
    /// The frames of this store, also those of outer activations.
    pub backtrace: Backtrace,
}

impl Exit {
    /// The trap code, when it was a trap.
    pub fn trap(&self) -> Option<TrapCode> {
        match self.cause {
            Cause::Trap { code, .. } => Some(code),
            Cause::Error(_) => None,
        }
    }
}

/// What left guest code through a stub, waiting in the runtime record.
pub(crate) enum Pending {
    /// An error.
    Error(Payload),
    /// A panic, to be continued on the other side.
    Panic(Payload),
}

/// A run of guest code, linked to the ones around it. Lives in the frame of `invoke`.
pub(crate) struct Activation {
    /// The store.
    pub(crate) runtime: *const Runtime,
    /// The activation around this one on the thread, of any store.
    outer: *const Activation,
    /// The activation around this one in the store.
    pub(crate) outer_in_store: *const Activation,
    /// `RT_EXIT_SP` when this one began: where the frames around it start.
    pub(crate) outer_exit_sp: u64,
    guest_sp: u64,
    host_sp: u64,
    vmctx: u64,
    host_mxcsr: u32,
}

impl Runtime {
    /// Calls a function, of an instance or of the host, with arguments in `regs` and in the
    /// transfer buffer, and leaves its results there.
    ///
    /// # Errors
    /// An [`Exit`] when the function trapped, when host code below it gave an error, when there is
    /// not enough stack, or when the system cannot make this thread fit.
    ///
    /// # Panics
    /// With the payload of a host function's panic, which has crossed the guest's frames unharmed.
    ///
    /// # Safety
    /// `func` is a complete record: its code follows the calling convention of
    /// [`runwell_abi::call`], is registered and alive, as is all code it may reach; its context and
    /// everything reachable from it belongs to this store and is alive, initialised and used by
    /// this thread only; the arguments are those of its type. No reference to anything that guest
    /// code may change is held across the call.
    #[inline]
    pub unsafe fn invoke(&self, func: &FuncRefDef, regs: &mut RegFile) -> Result<(), Box<Exit>> {
        Thread::with(|thread| {
            if let Err(error) = thread.prepare() {
                return Err(self.exit_before(Cause::Error(Box::new(error))));
            }
            let host_sp = std::ptr::from_ref(&thread).addr();
            if self.head.guest_sp.get() <= self.stack_limit() || !thread.has_host_room(host_sp) {
                let code = TrapCode::StackOverflow;
                let cause = Cause::Trap { code, pc: None, fault_address: None };
                return Err(self.exit_before(cause));
            }
            let activation = Activation {
                runtime: self,
                outer: thread.current.get(),
                outer_in_store: self.activation.get(),
                outer_exit_sp: self.head.exit_sp.get(),
                guest_sp: self.head.guest_sp.get(),
                host_sp: self.head.host_sp.get(),
                vmctx: self.head.vmctx.get(),
                host_mxcsr: self.head.host_mxcsr.get(),
            };
            thread.current.set(&activation);
            self.activation.set(&activation);
            let runtime = std::ptr::from_ref(self).cast::<u8>();
            // SAFETY: the contract; the guest stack pointer is aligned wherever guest code stopped,
            // and was checked to have room.
            let status =
                unsafe { sys::enter(func.code, func.vmctx, func.memory_base, regs, runtime) };
            if status == 0 {
                self.leave(thread, &activation);
                return Ok(());
            }
            Err(self.left_early(thread, &activation, status))
        })
    }

    #[inline]
    fn leave(&self, thread: &Thread, activation: &Activation) {
        thread.current.set(activation.outer);
        self.activation.set(activation.outer_in_store);
        self.head.exit_sp.set(activation.outer_exit_sp);
        self.head.guest_sp.set(activation.guest_sp);
        self.head.host_sp.set(activation.host_sp);
        self.head.vmctx.set(activation.vmctx);
        self.head.host_mxcsr.set(activation.host_mxcsr);
    }

    /// The exit of a call that could not begin: the frames are those around it.
    #[cold]
    fn exit_before(&self, cause: Cause) -> Box<Exit> {
        Box::new(Exit { cause, backtrace: self.backtrace() })
    }

    #[cold]
    fn left_early(&self, thread: &Thread, activation: &Activation, status: u32) -> Box<Exit> {
        let cause = match status {
            STATUS_FAULT => {
                let Fault { code, pc, sp, address } = self.fault.get();
                let cause = Cause::Trap { code, pc: Some(pc), fault_address: address };
                // SAFETY: the handler took the position from guest code of this store, whose frames
                // nothing has overwritten since.
                let backtrace = unsafe { backtrace::from_fault(self, pc, sp) };
                self.leave(thread, activation);
                return Box::new(Exit { cause, backtrace });
            }
            STATUS_PENDING => match self.pending.take() {
                Some(Pending::Panic(payload)) => {
                    self.leave(thread, activation);
                    resume_unwind(payload)
                }
                Some(Pending::Error(payload)) => Cause::Error(payload),
                None => unreachable!("who leaves guest code with this status leaves a reason"),
            },
            _ => {
                let byte = (status - STATUS_LIBCALL) as u8;
                let code = TrapCode::from_u8(byte).expect("helpers trap with a known code");
                Cause::Trap { code, pc: None, fault_address: None }
            }
        };
        let backtrace = self.backtrace();
        self.leave(thread, activation);
        Box::new(Exit { cause, backtrace })
    }

    /// The guest frames of this store that are active now, innermost first: what a host function
    /// sees below itself. Empty when no guest code is active.
    pub fn backtrace(&self) -> Backtrace {
        // SAFETY: host code runs, so whatever guest code is active has left through a stub, which
        // noted where, and its frames stay as they are meanwhile.
        unsafe { backtrace::from_host(self) }
    }
}
