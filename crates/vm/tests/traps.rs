//! Faults of guest code, and faults that are not.

mod common;

use common::{Store, call, frames, helper};
use runwell_abi::{LibCall, RegFile, TrapCode};
use runwell_vm::{Cause, RuntimeConfig, registry};
use std::process::Command;

/// Runs the test `name` of this binary in a process of its own where `RUNWELL_VM_CHILD` is set.
fn child(name: &str) -> std::process::Output {
    Command::new(std::env::current_exe().unwrap())
        .args([name, "--exact", "--nocapture", "--test-threads=1"])
        .env("RUNWELL_VM_CHILD", "1")
        .output()
        .unwrap()
}

fn is_child() -> bool {
    std::env::var_os("RUNWELL_VM_CHILD").is_some()
}

#[test]
fn ud2_and_division() {
    let store = Store::new();
    for _ in 0..3 {
        let exit = store.call("unreachable", &[]).unwrap_err();
        assert_eq!(exit.trap(), Some(TrapCode::Unreachable));
        assert_eq!(frames(&exit), ["unreachable"]);
        let exit = store.call("div", &[1, 0]).unwrap_err();
        assert_eq!(exit.trap(), Some(TrapCode::IntegerDivisionByZero));
        assert_eq!(store.call("div", &[42, 6]).unwrap()[0], 7);
        assert!(!store.runtime.is_active());
    }
}

#[test]
fn positions_of_traps() {
    let store = Store::new();
    let exit = store.call("recurse", &[2]).unwrap_err();
    let Cause::Trap { pc: Some(pc), .. } = exit.cause else { panic!("{exit:?}") };
    assert_eq!(exit.backtrace.pcs[0], pc);
    assert_eq!(frames(&exit), ["recurse"; 3]);
    let at = registry::lookup(pc).unwrap();
    let func = store.code.meta().funcs[at.func.unwrap()];
    assert_eq!(at.srcloc, Some(10 * func.start + 1));
    assert_eq!(at.code.owner().downcast_ref::<&str>(), Some(&"the guest"));
    // The bytes there are `ud2`, and before a return address there is a call.
    let bytes = |pc: u64, n: i64| {
        let offset = (pc - store.code.base()) as i64;
        let (from, to) = if n < 0 { (offset + 1 + n, offset + 1) } else { (offset, offset + n) };
        &store.code.bytes()[from as usize..to as usize]
    };
    assert_eq!(bytes(pc, 2), [0x0f, 0x0b]);
    assert_eq!(bytes(exit.backtrace.pcs[1], -5)[0], 0xe8);
}

#[test]
fn accesses_outside_of_a_memory() {
    let store = Store::new();
    let memory = &store.instances[0].memory;
    assert_eq!(store.call("load", &[0xffff]).unwrap()[0], 0);
    for at in [0x10000u64, 0x7fff_ffff, 0xffff_ffff] {
        let exit = store.call("load", &[at]).unwrap_err();
        let Cause::Trap { code, fault_address, .. } = exit.cause else { panic!("{exit:?}") };
        assert_eq!(code, TrapCode::MemoryOutOfBounds);
        assert_eq!(fault_address, Some(memory.base() as u64 + at));
    }
    // A store across the end writes nothing.
    assert!(store.call("store", &[0xffff - 3, u64::MAX]).is_err());
    assert_eq!(store.call("load", &[0xfffc]).unwrap()[0], 0);
    store.call("store", &[0xffff - 7, u64::MAX]).unwrap();
    assert_eq!(store.call("load", &[0xfffc]).unwrap()[0], 0xff);
    // What was outside is inside after growth.
    assert_eq!(helper_call(&store, LibCall::MemoryGrow, &[0, 1]).unwrap(), 1);
    assert_eq!(store.call("load", &[0x10000]).unwrap()[0], 0);
}

/// Calls a helper from guest code.
fn helper_call(store: &Store, which: LibCall, args: &[u64]) -> Result<u64, Box<runwell_vm::Exit>> {
    // The guest function takes the helper's number in the register before the helper's arguments.
    let mut all = vec![helper(which)];
    all.extend(args);
    let [value, vmctx, base, _] = store.call("helper", &all)?;
    let instance = &store.instances[0];
    assert_eq!(vmctx, instance.vmctx.as_ptr() as u64);
    assert_eq!(base, instance.memory.base() as u64);
    Ok(value)
}

#[test]
fn helpers_from_guest_code() {
    let store = Store::new();
    let instance = &store.instances[0];
    let run = |which, args: &[u64]| helper_call(&store, which, args);
    let trap = |which, args: &[u64]| {
        let exit = helper_call(&store, which, args).unwrap_err();
        assert_eq!(frames(&exit), ["helper"]);
        exit.trap().unwrap()
    };
    let mut bytes = [0; 8];

    assert_eq!(run(LibCall::MemoryGrow, &[0, 2]).unwrap(), 1);
    assert_eq!(run(LibCall::MemoryGrow, &[0, 8]).unwrap(), u64::MAX);
    assert_eq!(run(LibCall::MemoryGrow, &[0, 0]).unwrap(), 3);
    run(LibCall::MemoryFill, &[0, 0, 0x1ab, 3]).unwrap();
    run(LibCall::MemoryInit, &[0, 3, 1, 4]).unwrap();
    run(LibCall::MemoryCopy, &[0, 1, 0, 7]).unwrap();
    instance.memory.read(0, &mut bytes).unwrap();
    assert_eq!(&bytes, b"\xab\xab\xab\xabello");
    let oob = TrapCode::MemoryOutOfBounds;
    assert_eq!(trap(LibCall::MemoryFill, &[0, 3 << 16, 0, 1]), oob);
    assert_eq!(trap(LibCall::MemoryFill, &[0, u64::MAX, 0, 2]), oob);
    assert_eq!(trap(LibCall::MemoryInit, &[0, 0, 4, 2]), oob);
    assert_eq!(trap(LibCall::MemoryCopy, &[0, 0, (3 << 16) - 1, 2]), oob);
    run(LibCall::MemoryFill, &[0, 3 << 16, 0, 0]).unwrap();
    run(LibCall::DataDrop, &[0]).unwrap();
    run(LibCall::MemoryInit, &[0, 0, 0, 0]).unwrap();
    assert_eq!(trap(LibCall::MemoryInit, &[0, 0, 0, 1]), oob);

    assert_eq!(run(LibCall::TableGrow, &[0, 5, 2]).unwrap(), 4);
    assert_eq!(run(LibCall::TableGrow, &[0, 5, 3]).unwrap(), u64::MAX);
    run(LibCall::TableInit, &[0, 1, 0, 3]).unwrap();
    run(LibCall::TableCopy, &[0, 2, 1, 2]).unwrap();
    run(LibCall::TableFill, &[0, 4, 9, 1]).unwrap();
    let elements: Vec<_> = (0..7).map(|i| instance.table.get(i)).collect();
    assert_eq!(elements, [Some(0), Some(11), Some(11), Some(22), Some(9), Some(5), None]);
    let oob = TrapCode::TableOutOfBounds;
    assert_eq!(trap(LibCall::TableFill, &[0, 6, 9, 1]), oob);
    assert_eq!(trap(LibCall::TableInit, &[0, 4, 0, 3]), oob);
    assert_eq!(trap(LibCall::TableCopy, &[0, 0, 5, 2]), oob);
    run(LibCall::ElemDrop, &[0]).unwrap();
    assert_eq!(trap(LibCall::TableInit, &[0, 0, 0, 1]), oob);
}

struct Limiter(u64);

impl runwell_vm::ResourceLimiter for Limiter {
    fn memory_growing(
        &mut self,
        current: u64,
        desired: u64,
        maximum: Option<u64>,
    ) -> Result<bool, runwell_vm::Payload> {
        assert_eq!((current, maximum), (1 << 16, Some(10 << 16)));
        self.0 += 1;
        match self.0 {
            1 => Ok(desired < 3 << 16),
            2 => Err(Box::new("quota")),
            _ => panic!("asked too often"),
        }
    }

    fn table_growing(
        &mut self,
        current: u64,
        desired: u64,
        _: Option<u64>,
    ) -> Result<bool, runwell_vm::Payload> {
        Ok((current, desired) == (4, 5))
    }
}

#[test]
fn a_limiter_refuses_fails_and_panics() {
    let store = Store::new();
    store.runtime.set_limiter(Some(Box::new(Limiter(0))));
    assert_eq!(helper_call(&store, LibCall::TableGrow, &[0, 0, 2]).unwrap(), u64::MAX);
    assert_eq!(helper_call(&store, LibCall::TableGrow, &[0, 0, 1]).unwrap(), 4);
    assert_eq!(helper_call(&store, LibCall::MemoryGrow, &[0, 2]).unwrap(), u64::MAX);
    let exit = helper_call(&store, LibCall::MemoryGrow, &[0, 2]).unwrap_err();
    let Cause::Error(payload) = exit.cause else { panic!("{exit:?}") };
    assert_eq!(*payload.downcast::<&str>().unwrap(), "quota");
    let grow = || helper_call(&store, LibCall::MemoryGrow, &[0, 2]);
    assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(grow)).is_err());
    assert!(!store.runtime.is_active());
    // It stays in force.
    assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(grow)).is_err());
    store.runtime.set_limiter(None);
    assert_eq!(grow().unwrap(), 1);
}

#[test]
fn stack_overflow_by_check_and_by_guard() {
    for stack_bytes in [10_000, 100_000, 1 << 20] {
        let config = RuntimeConfig { stack_bytes, backtrace_frames: 5, metered: false };
        let store = Store::with(common::shared_code(), config);
        for name in ["overflow", "unchecked"] {
            let exit = store.call(name, &[]).unwrap_err();
            assert_eq!(exit.trap(), Some(TrapCode::StackOverflow));
            assert_eq!(frames(&exit), [name; 5]);
            assert!(exit.backtrace.truncated);
        }
    }
}

#[test]
fn traps_on_a_thread_with_a_small_stack() {
    std::thread::Builder::new()
        .stack_size(32 << 10)
        .spawn(|| {
            let store = Store::new();
            assert!(store.call("overflow", &[]).is_err());
            assert_eq!(store.call("div", &[4, 2]).unwrap()[0], 2);
        })
        .unwrap()
        .join()
        .unwrap();
}

#[test]
fn unknown_faults_of_guest_code_are_passed_on() {
    if is_child() {
        let store = Store::new();
        assert!(store.call("unreachable", &[]).is_err());
        let _ = store.call("bad_load", &[8]);
        unreachable!("the process has died");
    }
    assert_signal(&child("unknown_faults_of_guest_code_are_passed_on"), libc::SIGSEGV);
}

#[test]
fn faults_of_the_host_are_passed_on() {
    if is_child() {
        let mut store = Store::new();
        store.import(0, |_| {
            // SAFETY: none; this is meant to fault.
            unsafe { std::ptr::without_provenance_mut::<u8>(16).write_volatile(1) };
            Ok(())
        });
        let _ = store.call("import0", &[]);
        unreachable!("the process has died");
    }
    assert_signal(&child("faults_of_the_host_are_passed_on"), libc::SIGSEGV);
}

fn assert_signal(output: &std::process::Output, signal: i32) {
    use std::os::unix::process::ExitStatusExt;
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.signal(), Some(signal), "{:?} {stderr}", output.status);
}

#[test]
fn signals_sent_to_a_guest_are_passed_on() {
    if is_child() {
        let mut store = Store::new();
        store.import(0, |_| {
            // SAFETY: sends a signal to this process.
            unsafe { libc::raise(libc::SIGFPE) };
            Ok(())
        });
        let _ = store.call("import0", &[]);
        unreachable!("the process has died");
    }
    assert_signal(&child("signals_sent_to_a_guest_are_passed_on"), libc::SIGFPE);
}

/// A page of a guest's memory that the system cannot deliver is the system's failure, and no trap.
#[test]
fn pages_that_cannot_be_had_end_the_process() {
    if is_child() {
        let store = Store::new();
        let memory = &store.instances[0].memory;
        assert_eq!(store.call("load", &[0x2000]).unwrap()[0], 0);
        // A page of a file that has none.
        let path = std::env::temp_dir().join(format!("runwell-empty-{}", std::process::id()));
        let file = std::fs::File::create_new(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        // SAFETY: the page is the memory's, which is used by nobody now.
        let page = unsafe {
            libc::mmap(
                memory.base().add(0x2000).cast(),
                4096,
                libc::PROT_READ,
                libc::MAP_PRIVATE | libc::MAP_FIXED,
                std::os::fd::AsRawFd::as_raw_fd(&file),
                0,
            )
        };
        assert_ne!(page, libc::MAP_FAILED);
        assert!(store.call("load", &[1 << 20]).is_err());
        let _ = store.call("load", &[0x2000]);
        unreachable!("the process has died");
    }
    assert_signal(&child("pages_that_cannot_be_had_end_the_process"), libc::SIGBUS);
}

#[test]
fn a_hosts_own_stack_overflow_is_reported_as_ever() {
    #[allow(unconditional_recursion)]
    fn forever(n: u64) -> u64 {
        std::hint::black_box([n; 100])[99] + forever(std::hint::black_box(n) + 1)
    }
    if is_child() {
        let store = Store::new();
        assert!(store.call("unreachable", &[]).is_err());
        println!("{}", forever(0));
        unreachable!("the process has died");
    }
    let output = child("a_hosts_own_stack_overflow_is_reported_as_ever");
    assert_signal(&output, libc::SIGABRT);
    assert!(String::from_utf8_lossy(&output.stderr).contains("has overflowed its stack"));
}

/// Installs `handler` for SIGSEGV or SIGILL before the runtime does, and faults beside a guest.
fn with_handler(signal: i32, handler: usize, flags: i32) -> ! {
    // SAFETY: installs a handler that fits the flags, and faults on purpose.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = handler;
        action.sa_flags = flags;
        libc::sigaction(signal, &action, std::ptr::null_mut());
        let store = Store::new();
        assert!(store.call("unreachable", &[]).is_err());
        assert!(store.call("load", &[1 << 20]).is_err());
        if signal == libc::SIGSEGV {
            std::ptr::without_provenance_mut::<u8>(16).write_volatile(1);
        } else {
            std::arch::asm!("ud2");
        }
    }
    unreachable!("the handler has ended the process");
}

#[test]
fn handlers_installed_before_get_what_is_theirs() {
    extern "C" fn new_style(signal: i32, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
        // SAFETY: the system's pointers; `_exit` may be called in a handler.
        unsafe {
            let right = (*info).si_addr() as usize == 16 && !context.is_null();
            libc::_exit(if right && signal == libc::SIGSEGV { 41 } else { 1 });
        }
    }
    extern "C" fn old_style(signal: i32) {
        // SAFETY: `_exit` may be called in a handler.
        unsafe { libc::_exit(if signal == libc::SIGILL { 42 } else { 1 }) };
    }
    match std::env::var("RUNWELL_VM_CHILD").as_deref() {
        Ok("1") => {
            let action = new_style as *const () as usize;
            with_handler(libc::SIGSEGV, action, libc::SA_SIGINFO | libc::SA_ONSTACK)
        }
        Ok(_) => with_handler(libc::SIGILL, old_style as *const () as usize, 0),
        Err(_) => {}
    }
    let name = "handlers_installed_before_get_what_is_theirs";
    assert_eq!(child(name).status.code(), Some(41));
    let old = Command::new(std::env::current_exe().unwrap())
        .args([name, "--exact", "--nocapture"])
        .env("RUNWELL_VM_CHILD", "2")
        .status()
        .unwrap();
    assert_eq!(old.code(), Some(42));
}

#[test]
fn ignored_faults_still_end_the_process() {
    if is_child() {
        with_handler(libc::SIGSEGV, libc::SIG_IGN, 0);
    }
    assert_signal(&child("ignored_faults_still_end_the_process"), libc::SIGSEGV);
}

#[test]
fn registers_of_the_host_survive_traps() {
    let store = Store::new();
    let mut regs = RegFile { float: [0; 8], int: [1; 6] };
    let values: [u64; 5] = std::hint::black_box([1, 2, 3, 4, 5]);
    let mut sum = 0;
    for i in 0..1000 {
        // SAFETY: the guest code follows the convention and all of its objects are alive.
        let result = unsafe { store.runtime.invoke(&store.func(0, "mix"), &mut regs) };
        assert!(result.is_ok());
        assert!(call(&store.runtime, &store.func(0, "unreachable"), &[]).is_err());
        sum += values[i % 5];
    }
    assert_eq!(sum, 3000);
}

#[test]
fn signals_of_the_host_may_come_at_any_time() {
    use std::sync::atomic::{AtomicU64, Ordering};
    static TICKS: AtomicU64 = AtomicU64::new(0);
    extern "C" fn tick(_: i32) {
        TICKS.fetch_add(1, Ordering::Relaxed);
    }
    if !is_child() {
        let output = child("signals_of_the_host_may_come_at_any_time");
        assert!(output.status.success(), "{output:?}");
        return;
    }
    // Without a stack of its own: the handler runs on whatever stack is in use.
    // SAFETY: the handler only counts.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = tick as *const () as usize;
        action.sa_flags = libc::SA_RESTART;
        libc::sigaction(libc::SIGPROF, &action, std::ptr::null_mut());
        let every = libc::timeval { tv_sec: 0, tv_usec: 50 };
        let timer = libc::itimerval { it_interval: every, it_value: every };
        libc::setitimer(libc::ITIMER_PROF, &timer, std::ptr::null_mut());
    }
    let mut store = Store::new();
    store.import(0, |call| {
        call.regs.int[0] += 1;
        Ok(())
    });
    let mut n = 0;
    while TICKS.load(Ordering::Relaxed) < 30 {
        assert_eq!(store.call("outer", &[n]).unwrap()[..2], [n + 1, 4321]);
        assert!(store.call("overflow", &[]).is_err());
        assert_eq!(store.call("recurse", &[60]).unwrap_err().backtrace.pcs.len(), 61);
        n += 1;
    }
}
