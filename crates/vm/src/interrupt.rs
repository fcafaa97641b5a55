//! Stopping a guest from another thread.
//!
//! Guest code has no checks for this. The thread that runs it gets a signal; if the handler finds that
//! it has interrupted guest code of the store in question, it leaves that code as a trap does. When it
//! has interrupted anything else (a host function, a stub, a helper) it does nothing: host functions and
//! helpers ask when they return, and the sender tries again, until the guest has stopped or its call has
//! ended. So a guest is stopped within as many operators as a signal takes to arrive, and code of the
//! host is never stopped at all.
//!
//! This is the one thing that is not deterministic: where the guest was is up to the clock.
//!
//! The signal is SIGURG, which processes ignore unless they ask for it; what is not ours is passed on.

use crate::runtime::Fault;
use crate::thread::Thread;
use crate::trap::{call_handler, install_handler};
use crate::{Error, registry, sys};
use libc::{c_int, c_void, siginfo_t, ucontext_t};
use runwell_abi::TrapCode;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicPtr, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

const SIGNAL: c_int = libc::SIGURG;

/// What was installed before. Never freed: the handler may be reading it.
static PREVIOUS: AtomicPtr<libc::sigaction> = AtomicPtr::new(null_mut());

/// How long the sender waits before it tries again, at first and at most.
const PATIENCE: (Duration, Duration) = (Duration::from_micros(50), Duration::from_millis(1));

/// What a store and those who may stop its guests share.
#[derive(Debug, Default)]
pub(crate) struct Interrupt {
    /// Somebody wants the guest stopped. Taken back by whoever stops it.
    requested: AtomicBool,
    /// How often a guest has been stopped.
    stops: AtomicU64,
    /// The thread that runs the outermost activation of the store, or 0.
    thread: AtomicI32,
}

impl Interrupt {
    /// The calling thread begins to run guest code of the store.
    pub(crate) fn enter(&self) {
        // SAFETY: asks for a number.
        self.thread.store(unsafe { libc::gettid() }, Ordering::SeqCst);
    }

    /// True if somebody wants the guest stopped; who asks, stops it.
    pub(crate) fn take(&self) -> bool {
        // Nearly always there is no request, and then nothing is written.
        let asked = self.requested.load(Ordering::SeqCst);
        if asked {
            // Counted first: who waits looks at the count when the request is gone. Only the thread of
            // the guest takes requests.
            self.stops.fetch_add(1, Ordering::SeqCst);
            self.requested.store(false, Ordering::SeqCst);
        }
        asked
    }

    /// True if somebody wants the guest stopped; who asks, need not stop it.
    pub(crate) fn is_requested(&self) -> bool {
        self.requested.load(Ordering::SeqCst)
    }

    /// It has ended.
    pub(crate) fn leave(&self) {
        self.thread.store(0, Ordering::SeqCst);
        self.requested.store(false, Ordering::SeqCst);
    }
}

/// Stops guests of one store from any thread.
#[derive(Clone, Debug)]
pub struct InterruptHandle(pub(crate) Arc<Interrupt>);

impl InterruptHandle {
    /// Stops the guest code that the store runs now, which traps with [`TrapCode::Interrupt`]. Comes
    /// back when it has stopped, or when the call has ended in another way; while the guest waits for a
    /// host function, that is not before the function returns. True if a guest was stopped.
    ///
    /// A call that begins later is not affected.
    pub fn interrupt(&self) -> bool {
        let Interrupt { requested, stops, thread } = &*self.0;
        let before = stops.load(Ordering::SeqCst);
        requested.store(true, Ordering::SeqCst);
        let mut wait = PATIENCE.0;
        loop {
            let tid = thread.load(Ordering::SeqCst);
            if tid == 0 {
                requested.store(false, Ordering::SeqCst);
                // It may have been stopped since, where a host function returned.
                return stops.load(Ordering::SeqCst) != before;
            }
            // SAFETY: sends a signal that is handled to a thread of this process. Should the thread have
            // ended and its number be another's now, the handler there finds no request.
            unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), tid, SIGNAL) };
            std::thread::sleep(wait);
            if !requested.load(Ordering::SeqCst) {
                return stops.load(Ordering::SeqCst) != before;
            }
            wait = (wait * 2).min(PATIENCE.1);
        }
    }
}

/// Installs the handler; does its work once.
///
/// # Errors
/// When the system refuses.
pub(crate) fn init() -> Result<(), Error> {
    static DONE: OnceLock<Result<(), Error>> = OnceLock::new();
    DONE.get_or_init(|| install_handler(SIGNAL, handler, libc::SA_RESTART, &PREVIOUS)).clone()
}

/// # Safety
/// Called by the system as a handler with `SA_SIGINFO`.
unsafe extern "C" fn handler(signal: c_int, info: *mut siginfo_t, context: *mut c_void) {
    // SAFETY: the system passes a valid pointer.
    if stop_guest(unsafe { &mut *context.cast::<ucontext_t>() }) {
        return;
    }
    // SAFETY: stored before the handler was installed, never freed.
    let Some(previous) = (unsafe { PREVIOUS.load(Ordering::Acquire).as_ref() }) else { return };
    match previous.sa_sigaction {
        // By default nothing happens.
        libc::SIG_IGN | libc::SIG_DFL => {}
        // SAFETY: it is a handler's address, and the arguments are passed on.
        _ => unsafe { call_handler(previous, signal, info, context) },
    }
}

/// If guest code was interrupted that somebody wants stopped, arranges that it is left.
fn stop_guest(context: &mut ucontext_t) -> bool {
    Thread::with(|thread| {
        // SAFETY: an activation lives as long as it is current.
        let Some(activation) = (unsafe { thread.current.get().as_ref() }) else { return false };
        // SAFETY: the store lives while it is active.
        let runtime = unsafe { &*activation.runtime };
        let Some(interrupt) = runtime.interrupt.get() else { return false };
        let (pc, sp) = sys::trapped_pc_sp(context);
        // SAFETY: if `pc` is in code, this thread executes it, so it lives.
        if unsafe { registry::executing(pc) }.is_none() || !interrupt.take() {
            return false;
        }
        let fuel = sys::trapped_fuel(context);
        runtime.fault.set(Fault { code: TrapCode::Interrupt, pc, sp, address: None, fuel });
        sys::redirect(context, runtime.head.host_sp.get(), sys::STATUS_FAULT);
        true
    })
}
