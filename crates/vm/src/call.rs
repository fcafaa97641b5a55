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
use crate::stack::GuestStack;
use crate::sys::{self, STATUS_FAULT, STATUS_FUEL, STATUS_LIBCALL, STATUS_PENDING};
use crate::thread::Thread;
use crate::{Error, registry};
use runwell_abi::memory::ACTIVATION_DEPTH_BYTES;
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
    /// It did not stop for good: [`Runtime::resume`] goes on with it.
    Suspended(Reason),
}

/// What a suspended call waits for.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Reason {
    /// More fuel.
    Fuel,
    /// The answer of the host function that suspended it.
    Host,
}

/// A call that was left and can go on. Its frames are on the guest's stack, or parked elsewhere until a
/// stack is needed; so addresses are distances from the stack's top.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Suspended {
    reason: Reason,
    /// Fuel that is still to be paid: it was charged ahead and given back, or is owed at a trap. When
    /// negative, fuel that has been taken for what was owed, and belongs to the code that owes it.
    rest: i64,
    guest_sp: u64,
    exit_sp: u64,
    stack_limit: u64,
    vmctx: u64,
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
            Cause::Suspended(reason) => f.debug_tuple("Suspended").field(reason).finish(),
            Cause::Error(payload) => match payload.downcast_ref::<Error>() {
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
            Cause::Error(_) | Cause::Suspended(_) => None,
        }
    }
}

/// What left guest code through a stub, waiting in the runtime record.
pub(crate) enum Pending {
    /// An error.
    Error(Payload),
    /// A panic, to be continued on the other side.
    Panic(Payload),
    /// The call is to be suspended.
    Suspend(Payload),
    /// The trap that a suspended call ends with as soon as what came before it is paid for.
    Trap(Box<Exit>),
}

/// The error by which a host function suspends the guest that called it, if the call can be suspended;
/// the host finds what is inside when it resumes the call.
#[derive(Debug)]
pub struct Suspend(pub Payload);

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
    stack_limit: u64,
    host_mxcsr: u32,
    /// The call may be suspended.
    resumable: bool,
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
        // SAFETY: the contract is passed on.
        unsafe { self.invoke_any(func, regs, false) }
    }

    /// As [`Self::invoke`], but when fuel does not suffice, or a host function asks for it with
    /// [`Suspend`], the call is suspended: it gives an [`Exit`] with [`Cause::Suspended`], and its frames
    /// stay. Until [`Self::resume`] or [`Self::drop_suspended`], nothing else of the store can be called.
    /// A call from within a host function of the same store is never suspended.
    ///
    /// # Errors
    /// As for [`Self::invoke`].
    ///
    /// # Safety
    /// As for [`Self::invoke`].
    pub unsafe fn invoke_resumable(
        &self,
        func: &FuncRefDef,
        regs: &mut RegFile,
    ) -> Result<(), Box<Exit>> {
        // SAFETY: the contract is passed on.
        unsafe { self.invoke_any(func, regs, true) }
    }

    /// # Safety
    /// As for [`Self::invoke`].
    #[inline]
    unsafe fn invoke_any(
        &self,
        func: &FuncRefDef,
        regs: &mut RegFile,
        resumable: bool,
    ) -> Result<(), Box<Exit>> {
        if self.suspended.get().is_some() {
            return Err(self.exit_before(Cause::Error(Box::new(Error::Suspended))));
        }
        if self.head.guest_sp.get() == 0
            && let Err(error) = self.take_stack()
        {
            return Err(self.exit_before(Cause::Error(Box::new(error))));
        }
        let runtime = std::ptr::from_ref(self).cast::<u8>();
        // SAFETY: the contract; the guest stack pointer is aligned wherever guest code stopped, and was
        // checked to have room.
        self.activate_at(self.head.guest_sp.get(), resumable, || unsafe {
            sys::enter(func.code, func.vmctx, func.memory_base, regs, runtime)
        })
    }

    /// Goes on with the suspended call. Its results are left as by [`Self::invoke`]. If it waits for an
    /// answer of the host, `answer` is called with the register file that the host function's results
    /// belong in; the transfer buffer takes the others.
    ///
    /// # Errors
    /// As for [`Self::invoke_resumable`], or [`Error::NotSuspended`].
    ///
    /// # Panics
    /// With the payload of a host function's panic.
    ///
    /// # Safety
    /// As for [`Self::invoke`]; what the guest could reach when it was suspended is still alive, and the
    /// answer is of the host function's result types.
    pub unsafe fn resume(
        &self,
        regs: &mut RegFile,
        answer: impl FnOnce(&mut RegFile),
    ) -> Result<(), Box<Exit>> {
        let Some(suspended) = self.suspended.get() else {
            return Err(self.exit_before(Cause::Error(Box::new(Error::NotSuspended))));
        };
        // What was charged ahead has to be paid again first, and what was owed is owed again.
        let Some(fuel) = self.fuel().checked_sub_signed(suspended.rest) else {
            let backtrace = Backtrace::default();
            return Err(Box::new(Exit { cause: Cause::Suspended(Reason::Fuel), backtrace }));
        };
        match self.pending.take() {
            Some(Pending::Trap(exit)) => {
                self.suspended.set(None);
                self.head.fuel.set(fuel);
                return Err(exit);
            }
            other => self.pending.set(other),
        }
        let top = match self.take_stack() {
            Ok(stack) => {
                if let Some(frames) = self.parked.take() {
                    stack.put_frames(&frames);
                }
                stack.top()
            }
            Err(error) => return Err(self.exit_before(Cause::Error(Box::new(error)))),
        };
        self.suspended.set(None);
        self.head.fuel.set(fuel);
        self.head.guest_sp.set(top - suspended.guest_sp);
        self.head.exit_sp.set(top - suspended.exit_sp);
        self.head.vmctx.set(suspended.vmctx);
        if suspended.reason == Reason::Host {
            let file = self.head.guest_sp.get() as *mut RegFile;
            // SAFETY: the stub for host functions left the register file at the guest stack pointer.
            answer(unsafe { &mut *file });
            if !self.config().metered {
                // Unmetered code keeps something else in the register.
                // SAFETY: the stub put the callee-saved registers behind the register file.
                let saved = unsafe { *file.add(1).cast::<u64>().add(3) };
                self.head.fuel.set(saved);
            }
        }
        let runtime = std::ptr::from_ref(self).cast::<u8>();
        let mut begun = false;
        let result = self.activate_at(top, true, || {
            begun = true;
            self.head.stack_limit.set(top - suspended.stack_limit);
            // SAFETY: the suspended frames are where they were, or on another stack as they were: nothing
            // of the store has run since, and no frame has an address of the stack in it.
            unsafe {
                match suspended.reason {
                    Reason::Fuel => sys::resume_from_fuel(regs, runtime),
                    Reason::Host => sys::resume_from_host(regs, runtime),
                }
            }
        });
        if !begun {
            // The thread is not fit for guests, or has too little stack: another one may be.
            self.head.fuel.set(fuel.saturating_add_signed(suspended.rest));
            self.suspended.set(Some(suspended));
        }
        result
    }

    /// Gives up the suspended call, if there is one.
    pub fn drop_suspended(&self) {
        if self.suspended.take().is_some() {
            self.pending.set(None);
            self.parked.set(None);
            self.head.guest_sp.set(self.stack().map_or(0, GuestStack::top));
        }
    }

    /// What the suspended call waits for, if there is one.
    pub fn suspended(&self) -> Option<Reason> {
        self.suspended.get().map(|suspended| suspended.reason)
    }

    /// Runs guest code as an activation that begins at `guest_sp` of the guest's stack.
    #[inline]
    fn activate_at(
        &self,
        guest_sp: u64,
        resumable: bool,
        run: impl FnOnce() -> u32,
    ) -> Result<(), Box<Exit>> {
        Thread::with(|thread| {
            if let Err(error) = thread.prepare() {
                return Err(self.exit_before(Cause::Error(Box::new(error))));
            }
            let host_sp = std::ptr::from_ref(&thread).addr();
            if !thread.has_host_room(host_sp) {
                return Err(self.exit_before(Cause::Error(Box::new(Error::HostStack))));
            }
            let outer_in_store = self.activation.get();
            if !outer_in_store.is_null() {
                // An activation inside of another counts more than its frames, since it takes stack of
                // the host's thread, too. It counts from the frame that has called the host, whatever the
                // stubs between take.
                let caller = self.head.exit_sp.get() + size_of::<u64>() as u64;
                self.head.guest_sp.set(caller - ACTIVATION_DEPTH_BYTES);
                if self.head.guest_sp.get() <= self.stack_limit() {
                    self.head.guest_sp.set(guest_sp);
                    let code = TrapCode::StackOverflow;
                    let cause = Cause::Trap { code, pc: None, fault_address: None };
                    return Err(self.exit_before(cause));
                }
            }
            let activation = Activation {
                runtime: self,
                outer: thread.current.get(),
                outer_in_store,
                outer_exit_sp: self.head.exit_sp.get(),
                guest_sp,
                host_sp: self.head.host_sp.get(),
                vmctx: self.head.vmctx.get(),
                stack_limit: self.head.stack_limit.get(),
                host_mxcsr: self.head.host_mxcsr.get(),
                resumable: resumable && outer_in_store.is_null(),
            };
            thread.current.set(&activation);
            self.activation.set(&activation);
            let watched = self.interrupt.get().filter(|_| outer_in_store.is_null());
            if let Some(interrupt) = watched {
                interrupt.enter();
            }
            let status = run();
            if let Some(interrupt) = watched {
                interrupt.leave();
            }
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
        self.head.stack_limit.set(activation.stack_limit);
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
                let Fault { code, pc, sp, address, fuel } = self.fault.get();
                // SAFETY: the handler took the position from guest code of this store, which lives.
                let rest = unsafe { rest_at(pc) };
                let paid = fuel.checked_add_signed(rest);
                let cause = Cause::Trap { code, pc: Some(pc), fault_address: address };
                let backtrace = match code {
                    // The place may be inside of a prologue, from where frames cannot be walked.
                    TrapCode::Interrupt => Backtrace { pcs: vec![pc], truncated: true },
                    // SAFETY: the same; nothing has overwritten its frames since.
                    _ => unsafe { backtrace::from_fault(self, pc, sp) },
                };
                self.leave(thread, activation);
                self.head.fuel.set(paid.unwrap_or(0));
                let exit = Box::new(Exit { cause, backtrace });
                if paid.is_some() || code == TrapCode::Interrupt {
                    return exit;
                }
                return self.owes(exit, rest.saturating_add_unsigned(fuel), activation.resumable);
            }
            STATUS_FUEL if activation.resumable => {
                return self.suspend(thread, activation, Reason::Fuel);
            }
            STATUS_FUEL => Cause::Trap { code: TrapCode::OutOfFuel, pc: None, fault_address: None },
            STATUS_PENDING => match self.pending.take() {
                Some(Pending::Panic(payload)) => {
                    self.give_back();
                    self.leave(thread, activation);
                    resume_unwind(payload)
                }
                Some(Pending::Suspend(payload)) if activation.resumable => {
                    let exit = self.suspend(thread, activation, Reason::Host);
                    self.pending.set(Some(Pending::Suspend(payload)));
                    return exit;
                }
                Some(Pending::Error(payload) | Pending::Suspend(payload)) => Cause::Error(payload),
                Some(Pending::Trap(_)) | None => {
                    unreachable!("who leaves guest code with this status leaves a reason")
                }
            },
            _ => {
                let byte = (status - STATUS_LIBCALL) as u8;
                let code = TrapCode::from_u8(byte).expect("helpers trap with a known code");
                Cause::Trap { code, pc: None, fault_address: None }
            }
        };
        self.give_back();
        let backtrace = self.backtrace();
        self.leave(thread, activation);
        Box::new(Exit { cause, backtrace })
    }

    /// Guest code has trapped, but what it executed before that was not all paid for and cannot be: it
    /// is out of fuel instead, and traps when it is given more. Its frames are gone already.
    fn owes(&self, mut exit: Box<Exit>, balance: i64, resumable: bool) -> Box<Exit> {
        if !resumable {
            let code = TrapCode::OutOfFuel;
            exit.cause = Cause::Trap { code, pc: None, fault_address: None };
            return exit;
        }
        let backtrace = exit.backtrace.clone();
        // There is nothing to go back to.
        self.suspended.set(Some(Suspended {
            reason: Reason::Fuel,
            rest: balance.saturating_neg(),
            guest_sp: 0,
            exit_sp: 0,
            stack_limit: 0,
            vmctx: 0,
        }));
        self.pending.set(Some(Pending::Trap(exit)));
        Box::new(Exit { cause: Cause::Suspended(Reason::Fuel), backtrace })
    }

    /// Settles the account where guest code has called out: gives back the fuel that is charged ahead, or
    /// takes what is owed, as far as there is enough. Says how much was given back, or taken, when negative.
    fn give_back(&self) -> i64 {
        let at = self.head.exit_sp.get();
        if !self.stack().is_some_and(|stack| stack.contains(at)) {
            return 0;
        }
        // SAFETY: guest code has called out from there, and its frames are intact: the return address
        // is there, and one byte before it is inside of the call.
        let rest = unsafe { rest_at(*(at as *const u64) - 1) };
        let fuel = self.head.fuel.get();
        let settled = fuel.saturating_add_signed(rest);
        self.head.fuel.set(settled);
        // Of what is owed, the rest stays owed: the guest goes on with this amount and no other.
        settled.wrapping_sub(fuel) as i64
    }

    /// Leaves the guest's frames where they are.
    fn suspend(&self, thread: &Thread, activation: &Activation, reason: Reason) -> Box<Exit> {
        let backtrace = self.backtrace();
        let rest = self.give_back();
        let stack = self.stack().expect("the stack of the suspended call");
        let top = stack.top();
        let suspended = Suspended {
            reason,
            rest,
            guest_sp: top - self.head.guest_sp.get(),
            exit_sp: top - self.head.exit_sp.get(),
            stack_limit: top - self.head.stack_limit.get(),
            vmctx: self.head.vmctx.get(),
        };
        let frames = stack.frames_from(self.head.guest_sp.get());
        self.leave(thread, activation);
        if frames.is_some() {
            self.parked.set(frames);
            self.leave_stack();
        }
        self.suspended.set(Some(suspended));
        Box::new(Exit { cause: Cause::Suspended(reason), backtrace })
    }

    /// What a host function gave with [`Suspend`] when it suspended the call.
    pub fn take_request(&self) -> Option<Payload> {
        match self.pending.take() {
            Some(Pending::Suspend(payload)) => Some(payload),
            other => {
                self.pending.set(other);
                None
            }
        }
    }

    /// The guest frames of this store that are active now, innermost first: what a host function
    /// sees below itself. Empty when no guest code is active.
    pub fn backtrace(&self) -> Backtrace {
        // SAFETY: host code runs, so whatever guest code is active has left through a stub, which
        // noted where, and its frames stay as they are meanwhile.
        unsafe { backtrace::from_host(self) }
    }
}

/// The fuel that is charged ahead at an instruction, or owed when negative.
///
/// # Safety
/// If `pc` is in code, that code lives.
unsafe fn rest_at(pc: u64) -> i64 {
    // SAFETY: the contract.
    match unsafe { registry::executing(pc) } {
        Some(code) => code.meta().rest_at(code.offset_of(pc)),
        None => 0,
    }
}
