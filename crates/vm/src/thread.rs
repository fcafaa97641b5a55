//! What the runtime keeps per thread.
//!
//! The innermost activation, which the fault handler starts from; the bounds of the thread's own
//! stack, so that guest and host calling each other end in a trap before that stack ends; and an
//! alternate stack for signal handlers, because a fault of guest code may come when there is no
//! room left on the stack it runs on.

use crate::Error;
use crate::call::Activation;
use crate::mmap::{Access, Mmap, OS_PAGE_BYTES};
use std::cell::{Cell, RefCell};
use std::ptr::null;

/// Bytes of an alternate stack: our handler needs a few hundred beside the frame that the system
/// puts there, handlers that we pass faults on to may need more.
const ALTERNATE_BYTES: usize = 64 << 10;
/// Bytes of its own stack that a thread keeps free for host functions, if it is that large.
const HOST_ROOM_BYTES: usize = 128 << 10;

/// The thread's state. Without a destructor, so that the fault handler reads it by plain loads.
pub(crate) struct Thread {
    /// The innermost activation of any store.
    pub(crate) current: Cell<*const Activation>,
    prepared: Cell<bool>,
    /// Lowest address that a host frame which enters guest code may have.
    host_low: Cell<usize>,
}

thread_local! {
    static THREAD: Thread = const {
        Thread {
            current: Cell::new(null()),
            prepared: Cell::new(false),
            host_low: Cell::new(0),
        }
    };
    static ALTERNATE: RefCell<Option<AlternateStack>> = const { RefCell::new(None) };
}

impl Thread {
    /// Runs `f` with the calling thread's state.
    #[inline]
    pub(crate) fn with<R>(f: impl FnOnce(&Thread) -> R) -> R {
        THREAD.with(f)
    }

    /// Makes the thread fit to run guest code; does its work once.
    #[inline]
    pub(crate) fn prepare(&self) -> Result<(), Error> {
        if self.prepared.get() { Ok(()) } else { self.prepare_now() }
    }

    #[cold]
    fn prepare_now(&self) -> Result<(), Error> {
        crate::init()?;
        let alternate = AlternateStack::install()?;
        // A thread that is ending keeps the stack it has for its last calls.
        let _ = ALTERNATE.try_with(|slot| {
            if alternate.is_some() {
                *slot.borrow_mut() = alternate;
            }
        });
        if let Some((low, high)) = own_stack() {
            let room = HOST_ROOM_BYTES.min((high - low) / 4);
            self.host_low.set(low + room);
        }
        self.prepared.set(true);
        Ok(())
    }

    /// True when a host frame at `sp` leaves enough of the thread's stack. A stack we do not know,
    /// e.g. of a coroutine of the host, always does.
    #[inline]
    pub(crate) fn has_host_room(&self, sp: usize) -> bool {
        // Below the thread's stack lies its guard, so an address between is not on another stack.
        let low = self.host_low.get();
        !(low.saturating_sub(HOST_ROOM_BYTES)..low).contains(&sp)
    }
}

/// Lowest address of the calling thread's stack and the address after it.
fn own_stack() -> Option<(usize, usize)> {
    // SAFETY: the attributes are initialised by the first call when it succeeds, and destroyed.
    unsafe {
        let mut attr: libc::pthread_attr_t = std::mem::zeroed();
        if libc::pthread_getattr_np(libc::pthread_self(), &mut attr) != 0 {
            return None;
        }
        let (mut base, mut len, mut guard) = (std::ptr::null_mut(), 0, 0);
        let known = libc::pthread_attr_getstack(&attr, &mut base, &mut len) == 0
            && libc::pthread_attr_getguardsize(&attr, &mut guard) == 0;
        libc::pthread_attr_destroy(&mut attr);
        // Whether the guard is counted in differs between systems; leaving it out is safe.
        let low = base as usize + guard.min(len);
        known.then_some((low, base as usize + len))
    }
}

/// A stack for signal handlers that this thread owns.
struct AlternateStack {
    map: Mmap,
    previous: libc::stack_t,
}

impl AlternateStack {
    /// Installs one, unless the thread has one that is large enough.
    fn install() -> Result<Option<AlternateStack>, Error> {
        let what = "install a signal stack";
        // SAFETY: reads and sets the calling thread's signal stack; the new one is a mapping that
        // lives until it has been taken out again.
        unsafe {
            let mut previous: libc::stack_t = std::mem::zeroed();
            if libc::sigaltstack(null(), &mut previous) != 0 {
                return Err(Error::last_os(what, 0));
            }
            if previous.ss_flags & libc::SS_DISABLE == 0 && previous.ss_size >= ALTERNATE_BYTES {
                return Ok(None);
            }
            let map = Mmap::new(OS_PAGE_BYTES + ALTERNATE_BYTES, Access::None)?;
            map.protect(OS_PAGE_BYTES, ALTERNATE_BYTES, Access::ReadWrite)?;
            let new = libc::stack_t {
                ss_sp: map.base().as_ptr().add(OS_PAGE_BYTES).cast(),
                ss_flags: 0,
                ss_size: ALTERNATE_BYTES,
            };
            if libc::sigaltstack(&new, std::ptr::null_mut()) != 0 {
                return Err(Error::last_os(what, ALTERNATE_BYTES));
            }
            Ok(Some(AlternateStack { map, previous }))
        }
    }
}

impl Drop for AlternateStack {
    fn drop(&mut self) {
        // SAFETY: as in `install`. The stack is taken out only when it is still ours; the one
        // before is put back only then, since whoever owns it takes it out before freeing it.
        unsafe {
            let mut current: libc::stack_t = std::mem::zeroed();
            let ours = self.map.base().as_ptr().add(OS_PAGE_BYTES);
            if libc::sigaltstack(null(), &mut current) == 0 && current.ss_sp.cast() == ours {
                libc::sigaltstack(&self.previous, std::ptr::null_mut());
            }
        }
    }
}
