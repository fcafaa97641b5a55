//! Hardware faults of guest code.
//!
//! An access outside of a memory, a division by zero and `ud2` reach the process as signals. The
//! handler looks the interrupted instruction up in the tables of registered code. If it may trap,
//! the handler notes position and reason in the store's record and lets the thread continue at the
//! entry stub's exit, on the host's stack. The handler takes no lock, allocates nothing and calls
//! nothing that does.
//!
//! Every other fault is not ours: a host's own, one in a thread that runs no guest, a signal sent
//! by somebody. It is passed on to whatever was installed before, as if we were not there.
//! Handlers are installed once and stay; one that is installed later by somebody else gets faults
//! first and has to pass on those it does not know, as this one does.

use crate::runtime::Fault;
use crate::thread::Thread;
use crate::{Error, registry, sys};
use libc::{c_int, c_void, siginfo_t, ucontext_t};
use runwell_abi::TrapCode;
use std::ptr::{null, null_mut};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicPtr, Ordering};

/// The signals that faults of guest code arrive as.
const SIGNALS: [c_int; 4] = [libc::SIGSEGV, libc::SIGBUS, libc::SIGILL, libc::SIGFPE];

/// What was installed before, for each of [`SIGNALS`]. Never freed: a handler may be reading it.
static PREVIOUS: [AtomicPtr<libc::sigaction>; SIGNALS.len()] =
    [const { AtomicPtr::new(null_mut()) }; SIGNALS.len()];

/// Installs the fault handlers; does its work once. Everything that runs guest code calls it.
///
/// # Errors
/// When the system refuses.
pub fn init() -> Result<(), Error> {
    static DONE: OnceLock<Result<(), Error>> = OnceLock::new();
    DONE.get_or_init(|| {
        SIGNALS
            .iter()
            .zip(&PREVIOUS)
            .try_for_each(|(&sig, slot)| install_handler(sig, handler, libc::SA_NODEFER, slot))
    })
    .clone()
}

/// Installs `handler` for `signal` and notes what was installed before, which is never freed: a handler
/// may be reading it.
///
/// # Errors
/// When the system refuses.
pub(crate) fn install_handler(
    signal: c_int,
    handler: unsafe extern "C" fn(c_int, *mut siginfo_t, *mut c_void),
    flags: c_int,
    previous: &AtomicPtr<libc::sigaction>,
) -> Result<(), Error> {
    let what = "install a signal handler";
    // SAFETY: all zeroes is a valid `sigaction`.
    let mut old: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: reads the present action into a place of the right type.
    if unsafe { libc::sigaction(signal, null(), &mut old) } != 0 {
        return Err(Error::last_os(what, 0));
    }
    // The handler needs the present action from its first call on.
    previous.store(Box::leak(Box::new(old)), Ordering::Release);
    // SAFETY: as above.
    let mut new: libc::sigaction = unsafe { std::mem::zeroed() };
    new.sa_sigaction = handler as *const () as usize;
    new.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | flags;
    // SAFETY: the mask is a place of the right type, the handler fits the flags and is
    // async-signal-safe.
    let status = unsafe {
        libc::sigemptyset(&mut new.sa_mask);
        libc::sigaction(signal, &new, null_mut())
    };
    if status == 0 { Ok(()) } else { Err(Error::last_os(what, 0)) }
}

/// Calls a handler that was installed before.
///
/// # Safety
/// `previous` is an action with a handler; the other arguments are those of one.
pub(crate) unsafe fn call_handler(
    previous: &libc::sigaction,
    signal: c_int,
    info: *mut siginfo_t,
    context: *mut c_void,
) {
    // SAFETY: whoever installed the handler said by the flag which of the two it is.
    unsafe {
        if previous.sa_flags & libc::SA_SIGINFO != 0 {
            let handler: extern "C" fn(c_int, *mut siginfo_t, *mut c_void) =
                std::mem::transmute(previous.sa_sigaction);
            handler(signal, info, context);
        } else {
            let handler: extern "C" fn(c_int) = std::mem::transmute(previous.sa_sigaction);
            handler(signal);
        }
    }
}

/// # Safety
/// Called by the system as a handler with `SA_SIGINFO`.
unsafe extern "C" fn handler(signal: c_int, info: *mut siginfo_t, context: *mut c_void) {
    // SAFETY: the system passes valid pointers.
    unsafe {
        if !guest_fault(signal, &*info, &mut *context.cast::<ucontext_t>()) {
            pass_on(signal, info, context);
        }
    }
}

/// True for signals that the processor caused, not a sender.
fn is_fault(info: &siginfo_t) -> bool {
    info.si_code > 0
}

/// If guest code of this thread faulted where it may, arranges that it is left.
fn guest_fault(signal: c_int, info: &siginfo_t, context: &mut ucontext_t) -> bool {
    if !is_fault(info) {
        return false;
    }
    Thread::with(|thread| {
        // SAFETY: an activation lives as long as it is current.
        let Some(activation) = (unsafe { thread.current.get().as_ref() }) else { return false };
        // SAFETY: the store lives while it is active.
        let runtime = unsafe { &*activation.runtime };
        let (pc, sp) = sys::trapped_pc_sp(context);
        // SAFETY: if `pc` is in code, this thread executes it, so it lives.
        let code = unsafe { registry::executing(pc) };
        if signal == libc::SIGFPE
            && let Some(mode) = sys::mask_exceptions(context, info, code.is_some())
        {
            runtime.head.host_mxcsr.set(mode);
            // SAFETY: the innermost activation has got as far as its stub.
            unsafe { sys::set_host_mode(runtime.head.host_sp.get(), mode) };
            return true;
        }
        let Some(code) = code else { return false };
        // Linux answers with this where a page should be there and cannot be had, because its memory is broken
        // for instance. That must not look like an access outside.
        if signal == libc::SIGBUS && cfg!(target_os = "linux") {
            return false;
        }
        let is_access = signal == libc::SIGSEGV || signal == libc::SIGBUS;
        // SAFETY: these signals carry an address.
        let address = is_access.then(|| unsafe { info.si_addr() } as u64);
        let guard = runtime.stack().zip(address);
        let trap = if guard.is_some_and(|(stack, address)| stack.guard_contains(address)) {
            TrapCode::StackOverflow
        } else {
            match code.meta().trap_at(code.offset_of(pc)) {
                // The processor says only that it cannot divide.
                Some(TrapCode::IntegerDivisionByZero)
                    // SAFETY: the instruction is being executed, and it is a division.
                    if signal == libc::SIGFPE && unsafe { sys::trapped_divisor(context) } != 0 =>
                {
                    TrapCode::IntegerOverflow
                }
                // What was compared before says whether there was a number at all.
                Some(TrapCode::BadConversionToInteger) if !sys::trapped_parity(context) => {
                    TrapCode::IntegerOverflow
                }
                Some(trap) => trap,
                None => return false,
            }
        };
        let fuel = sys::trapped_fuel(context);
        runtime.fault.set(Fault { code: trap, pc, sp, address, fuel });
        sys::redirect(context, runtime.head.host_sp.get(), sys::STATUS_FAULT);
        true
    })
}

/// Does what would have happened without this handler.
///
/// # Safety
/// The arguments are those of a handler.
unsafe fn pass_on(signal: c_int, info: *mut siginfo_t, context: *mut c_void) {
    let Some(index) = SIGNALS.iter().position(|&other| other == signal) else { return };
    // SAFETY: the action was stored before the handler was installed and is never freed.
    let Some(previous) = (unsafe { PREVIOUS[index].load(Ordering::Acquire).as_ref() }) else {
        return;
    };
    // SAFETY: the system passes a valid pointer.
    let fault = is_fault(unsafe { &*info });
    match previous.sa_sigaction {
        // The system does not let faults be ignored either.
        libc::SIG_IGN if !fault => {}
        // SAFETY: restores the default action. A fault happens again when the handler returns; a
        // signal that was sent is sent again.
        libc::SIG_DFL | libc::SIG_IGN => unsafe {
            let mut default: libc::sigaction = std::mem::zeroed();
            default.sa_sigaction = libc::SIG_DFL;
            libc::sigemptyset(&mut default.sa_mask);
            libc::sigaction(signal, &default, null_mut());
            if !fault {
                libc::raise(signal);
            }
        },
        // SAFETY: it is a handler's address, and the arguments are passed on.
        _ => unsafe { call_handler(previous, signal, info, context) },
    }
}
