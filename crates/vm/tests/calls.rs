//! Calls in both directions: arguments, results, nesting, errors and panics.

mod common;

use common::{Store, call, frames, names};
use runwell_abi::{RegFile, TrapCode};
use runwell_vm::{Cause, Payload};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

#[test]
fn arguments_and_results_in_all_registers() {
    let store = Store::new();
    let lanes = |i: u64| (u128::from(100 * i) << 64) | u128::from(i);
    let mut regs =
        RegFile { float: std::array::from_fn(|i| lanes(i as u64)), int: [1, 2, 3, 4, 5, 6] };
    // SAFETY: the guest code follows the convention and all of its objects are alive.
    unsafe { store.runtime.invoke(&store.func(0, "mix"), &mut regs).unwrap() };
    assert_eq!(regs.int[..4], [6, 4, 104, 6]);
    assert_eq!(regs.float[..4], [4, 6, 8, 10].map(lanes));
}

#[test]
fn guest_state_on_entry() {
    let store = Store::new();
    let [vmctx, base, sp, mxcsr] = store.call("state", &[]).unwrap();
    let instance = &store.instances[0];
    assert_eq!(vmctx, instance.vmctx.as_ptr() as u64);
    assert_eq!(base, instance.memory.base() as u64);
    // Aligned at the call instruction, so off by the return address.
    assert_eq!(sp % 16, 8);
    assert!(sp > store.runtime.stack_limit());
    assert_eq!(mxcsr & 0xffc0, 0x1f80);
}

#[test]
fn values_beyond_the_registers_travel_in_cells() {
    let store = Store::new();
    let cells = store.runtime.cells();
    // SAFETY: the buffer is the store's and no call is under way.
    unsafe { cells.write(7) };
    let results = store.call("cells", &[1, 2, 3, 4, 5, 6]).unwrap();
    assert_eq!(results, [14, 12, 10, 8]);
    // SAFETY: as above.
    assert_eq!(unsafe { cells.read() } as u64, 2);
}

#[test]
fn a_host_function_sees_arguments_caller_and_frames() {
    let mut store = Store::new();
    let caller = store.instances[0].vmctx.as_ptr() as u64;
    store.import(0, move |call| {
        assert_eq!(call.caller_vmctx as u64, caller);
        assert_eq!(call.runtime.caller_vmctx() as u64, caller);
        // SAFETY: the caller is an instance.
        assert_eq!(unsafe { runwell_vm::InstanceData::of(call.caller_vmctx) }.owner, 0);
        assert_eq!(names(&call.runtime.backtrace()), ["import0", "outer"]);
        let sum = call.regs.int.iter().sum();
        assert_eq!(call.regs.float, std::array::from_fn(|i| i as u128));
        call.regs.int = [sum, 0, 0, 0, 0, 0];
        Ok(())
    });
    let mut regs =
        RegFile { float: std::array::from_fn(|i| i as u128), int: [1, 20, 300, 4000, 50000, 6] };
    // SAFETY: the guest code follows the convention and all of its objects are alive.
    unsafe { store.runtime.invoke(&store.func(0, "outer"), &mut regs).unwrap() };
    let instance = &store.instances[0];
    let base = instance.memory.base() as u64;
    // Callee-saved registers survived: 1 + 10·2 + 100·3 + 1000·4.
    assert_eq!(regs.int[..4], [54327, 4321, caller, base]);
    assert!(!store.runtime.is_active());
    assert_eq!(store.runtime.backtrace().pcs, []);
}

#[test]
fn the_host_calls_a_host_function() {
    let mut store = Store::new();
    store.import(0, |call| {
        assert!(call.caller_vmctx.is_null());
        call.regs.int[0] += 1;
        Ok(())
    });
    let func = store.instances[0].host.as_ref().unwrap().func_ref();
    // SAFETY: the function lives.
    let results = call(&store.runtime, unsafe { func.as_ref() }, &[41]).unwrap();
    assert_eq!(results[0], 42);
}

#[test]
fn calls_between_instances_and_tail_calls() {
    let mut store = Store::new();
    let second = store.add_instance();
    let state = store.instances[second].vmctx.escaped_func(common::index("state") as u32);
    store.instances[0].vmctx.set_imported_func(0, state);
    for name in ["import0", "tail"] {
        let [vmctx, base, ..] = store.call(name, &[]).unwrap();
        assert_eq!(vmctx, store.instances[second].vmctx.as_ptr() as u64);
        assert_eq!(base, store.instances[second].memory.base() as u64);
    }
}

/// Instance 0's import counts down by calling itself through guest and host.
fn nest(store: &mut Store, end: impl Fn() -> Result<(), Payload> + Send + Sync + 'static) {
    let func = store.func(0, "outer");
    store.import(0, move |call| {
        let n = call.regs.int[0];
        if n == 0 {
            return end();
        }
        let before = call.runtime.caller_vmctx();
        let result = common::call(call.runtime, &func, &[n - 1]);
        assert_eq!(call.runtime.caller_vmctx(), before);
        assert!(call.runtime.is_active());
        let [count, ..] = result.map_err(|exit| match exit.cause {
            Cause::Suspended(_) => unreachable!("the call cannot be suspended"),
            Cause::Error(payload) => payload,
            Cause::Trap { .. } => Box::new(exit) as Payload,
        })?;
        call.regs.int[0] = count + 1;
        Ok(())
    });
}

#[test]
fn host_and_guest_nest() {
    let mut store = Store::new();
    nest(&mut store, || Ok(()));
    for n in [0, 1, 2, 50] {
        assert_eq!(store.call("outer", &[n]).unwrap()[0], n);
    }
}

#[test]
fn endless_nesting_is_a_trap() {
    let mut store = Store::new();
    nest(&mut store, || Ok(()));
    for _ in 0..3 {
        let exit = store.call("outer", &[u64::MAX]).unwrap_err();
        // The innermost trap travels as an error.
        let Cause::Error(payload) = exit.cause else { panic!("{exit:?}") };
        let inner = payload.downcast::<Box<runwell_vm::Exit>>().unwrap();
        assert_eq!(inner.trap(), Some(TrapCode::StackOverflow));
        assert_eq!(inner.backtrace.pcs.len(), 64);
        assert!(inner.backtrace.truncated);
        assert_eq!(store.call("div", &[6, 2]).unwrap()[0], 3);
    }
}

#[test]
fn too_little_stack_of_the_host_is_no_trap() {
    let run = || {
        let mut store = Store::new();
        nest(&mut store, || Ok(()));
        let exit = store.call("outer", &[u64::MAX]).unwrap_err();
        let Cause::Error(payload) = exit.cause else { panic!("{exit:?}") };
        assert_eq!(*payload.downcast::<runwell_vm::Error>().unwrap(), runwell_vm::Error::HostStack);
        assert_eq!(store.call("div", &[6, 2]).unwrap()[0], 3);
    };
    std::thread::Builder::new().stack_size(96 << 10).spawn(run).unwrap().join().unwrap();
}

#[test]
fn errors_cross_guest_frames() {
    let mut store = Store::new();
    nest(&mut store, || Err(Box::new("no luck")));
    for n in [0, 3] {
        let exit = store.call("outer", &[n]).unwrap_err();
        assert_eq!(frames(&exit), ["import0", "outer"]);
        let Cause::Error(payload) = exit.cause else { panic!("{exit:?}") };
        assert_eq!(*payload.downcast::<&str>().unwrap(), "no luck");
        assert!(!store.runtime.is_active());
    }
    assert_eq!(store.call("div", &[6, 2]).unwrap()[0], 3);
}

#[test]
fn panics_cross_guest_frames_and_drop_host_frames() {
    struct Count(Arc<AtomicU64>);
    impl Drop for Count {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
    let mut store = Store::new();
    let dropped = Arc::new(AtomicU64::new(0));
    let func = store.func(0, "outer");
    let counter = dropped.clone();
    store.import(0, move |call| {
        let _count = Count(counter.clone());
        match call.regs.int[0] {
            0 => panic!("over the top"),
            n => common::call(call.runtime, &func, &[n - 1]).map(|_| ()).map_err(|e| e as Payload),
        }
    });
    let panic = catch_unwind(AssertUnwindSafe(|| store.call("outer", &[4]))).unwrap_err();
    assert_eq!(*panic.downcast::<&str>().unwrap(), "over the top");
    assert_eq!(dropped.load(Ordering::Relaxed), 5);
    assert!(!store.runtime.is_active());
    assert_eq!(store.call("div", &[6, 2]).unwrap()[0], 3);
}

#[test]
fn backtraces_go_through_activations() {
    let mut store = Store::new();
    let (unreachable, outer) = (store.func(0, "recurse"), store.func(0, "outer"));
    store.import(0, move |call| {
        let n = call.regs.int[0];
        let result = match n {
            0 => common::call(call.runtime, &unreachable, &[2]),
            _ => common::call(call.runtime, &outer, &[n - 1]),
        };
        let exit = result.unwrap_err();
        let mut expected = vec!["recurse"; 3];
        for _ in 0..=1 - n {
            expected.extend(["import0", "outer"]);
        }
        if n == 0 {
            assert_eq!(exit.trap(), Some(TrapCode::Unreachable));
            assert_eq!(frames(&exit), expected);
        }
        Err(exit)
    });
    let exit = store.call("outer", &[1]).unwrap_err();
    assert_eq!(frames(&exit), ["import0", "outer"]);
}

#[test]
fn stores_nest_on_a_thread() {
    let mut a = Store::new();
    let b = std::sync::Mutex::new(Store::new());
    a.import(0, move |call| {
        let b = b.lock().unwrap();
        assert_eq!(b.call("div", &[1, 0]).unwrap_err().trap().unwrap() as u8, 6);
        let exit = b.call("recurse", &[1]).unwrap_err();
        assert_eq!(frames(&exit), ["recurse", "recurse"]);
        assert_eq!(names(&call.runtime.backtrace()), ["import0"]);
        call.regs.int[0] = b.call("div", &[8, 2]).unwrap()[0];
        Ok(())
    });
    assert_eq!(a.call("import0", &[]).unwrap()[0], 4);
    assert_eq!(a.call("unreachable", &[]).unwrap_err().trap(), Some(TrapCode::Unreachable));
}

#[test]
fn a_store_moves_between_threads() {
    let mut store = Store::new();
    store.import(0, |call| {
        call.regs.int[0] *= 2;
        Ok(())
    });
    for i in 0..4 {
        store = std::thread::spawn(move || {
            assert_eq!(store.call("outer", &[i]).unwrap()[0], 2 * i);
            assert_eq!(store.call("div", &[1, 0]).unwrap_err().trap().unwrap() as u8, 6);
            store
        })
        .join()
        .unwrap();
    }
}

#[test]
fn threads_trap_independently() {
    let threads: Vec<_> = (0..4)
        .map(|_| {
            std::thread::spawn(|| {
                for i in 0..200 {
                    let code = common::publish();
                    let store = Store::with(code, Default::default());
                    let exit = store.call("recurse", &[i]).unwrap_err();
                    assert_eq!(exit.backtrace.pcs.len(), (i as usize + 1).min(64));
                    let exit = store.call("load", &[1 << 16]).unwrap_err();
                    assert_eq!(exit.trap(), Some(TrapCode::MemoryOutOfBounds));
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
}

/// Sets the control bits of MXCSR and gives the old ones.
fn swap_mxcsr(new: u32) -> u32 {
    let (mut old, new) = (0u32, new);
    // SAFETY: the tests that use it do no arithmetic with floats in between and put it back.
    unsafe {
        std::arch::asm!("stmxcsr [{}]", in(reg) &mut old, options(nostack));
        std::arch::asm!("ldmxcsr [{}]", in(reg) &new, options(nostack));
    }
    old & 0xffc0
}

#[test]
fn the_float_mode_is_the_guests_inside_and_the_hosts_outside() {
    // Flush to zero, denormals are zero, round towards zero.
    const HOSTILE: u32 = 0x1f80 | 0x8000 | 0x40 | 0x6000;
    let mut store = Store::new();
    let state = store.func(0, "state");
    store.import(0, move |call| {
        assert_eq!(swap_mxcsr(HOSTILE), HOSTILE);
        let [.., mxcsr] = common::call(call.runtime, &state, &[]).unwrap();
        assert_eq!(mxcsr & 0xffc0, 0x1f80);
        call.regs.int[0] = 1;
        Ok(())
    });
    let saved = swap_mxcsr(HOSTILE);
    let state = store.call("state", &[]);
    let trap = store.call("unreachable", &[]);
    let after_trap = swap_mxcsr(HOSTILE);
    let host = store.call("outer", &[]);
    let after = swap_mxcsr(saved);
    assert_eq!(state.unwrap()[3] & 0xffc0, 0x1f80);
    assert!(trap.is_err());
    assert_eq!(host.unwrap()[0], 1);
    assert_eq!((after_trap, after), (HOSTILE, HOSTILE));
}

/// Each other mode is noticed on the way in and on the way back from a host function.
#[test]
fn every_float_mode_of_the_host_is_noticed() {
    let modes = [0x2000, 0x4000, 0x6000, 0x8000, 0x40, 0x8040, 0xa000, 0x2040, 0xe040];
    for mode in modes.map(|bits| 0x1f80 | bits) {
        let mut store = Store::new();
        store.import(0, move |_| {
            swap_mxcsr(mode);
            Ok(())
        });
        let state = store.func(0, "state");
        let saved = swap_mxcsr(mode);
        let inside = call(&store.runtime, &state, &[]);
        let after = swap_mxcsr(saved);
        assert_eq!((inside.unwrap()[3] & 0xffc0, after), (0x1f80, mode), "{mode:#x}");
        assert_eq!(store.call("mode", &[]).unwrap()[0] & 0xffc0, 0x1f80, "{mode:#x}");
        assert_eq!(swap_mxcsr(0x1f80), 0x1f80, "{mode:#x}");
    }
}

#[test]
fn a_host_function_cannot_change_the_guests_float_mode() {
    let mut store = Store::new();
    store.import(0, |_| {
        swap_mxcsr(0x1f80 | 0x8000);
        Ok(())
    });
    assert_eq!(store.call("mode", &[]).unwrap()[0] & 0xffc0, 0x1f80);
    assert_eq!(swap_mxcsr(0x1f80), 0x1f80);
}

#[inline(never)]
fn somebody_calls_a_guest(store: &Store) -> u64 {
    std::hint::black_box(store.call("outer", &[0]).unwrap()[0])
}

#[test]
fn host_backtraces_go_on_behind_the_guest() {
    use std::backtrace::Backtrace;
    let mut store = Store::new();
    let func = store.func(0, "outer");
    store.import(0, move |call| {
        let n = call.regs.int[0];
        if n < 3 {
            common::call(call.runtime, &func, &[n + 1]).map_err(|e| e as Payload)?;
        } else {
            let trace = Backtrace::force_capture().to_string();
            assert_eq!(trace.matches("runwell_vm_host_thunk").count(), 4, "{trace}");
            assert!(trace.contains("somebody_calls_a_guest"), "{trace}");
        }
        Ok(())
    });
    somebody_calls_a_guest(&store);
}

/// A pseudo-random number below `n`.
fn random(state: &AtomicU64, n: u64) -> u64 {
    let next = |x: u64| Some(x.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407));
    let old = state.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next).unwrap();
    (old >> 33) % n
}

#[test]
fn any_mixture_of_calls_traps_errors_and_panics_keeps_the_record_straight() {
    let seed = Arc::new(AtomicU64::new(1));
    let mut stores = [Store::new(), Store::new()];
    let outers = [0, 1].map(|i: usize| stores[i].func(0, "outer"));
    let recurses = [0, 1].map(|i: usize| stores[i].func(0, "recurse"));
    let runtimes = [0, 1].map(|i: usize| stores[i].runtime.as_ptr().as_ptr() as usize);
    // How many guest frames each store has.
    let depths: Arc<[AtomicU64; 2]> = Arc::default();
    for this in 0..2 {
        let (seed, depths) = (seed.clone(), depths.clone());
        stores[this].import(0, move |call| {
            let level = call.regs.int[0];
            for _ in 0..random(&seed, 4) {
                let depth = depths[this].load(Ordering::Relaxed) as usize;
                assert_eq!(call.runtime.backtrace().pcs.len(), depth);
                assert!(!call.caller_vmctx.is_null());
                assert_eq!(call.runtime.caller_vmctx(), call.caller_vmctx);
                let other = random(&seed, 2) as usize;
                // SAFETY: the stores are on this thread's stack and alive.
                let runtime = unsafe { &*(runtimes[other] as *const runwell_vm::Runtime) };
                match random(&seed, 6) {
                    0 => return Err(Box::new(level)),
                    1 => std::panic::resume_unwind(Box::new(level)),
                    2 => {
                        let n = random(&seed, 5);
                        let exit = common::call(runtime, &recurses[other], &[n]).unwrap_err();
                        let depth = depths[other].load(Ordering::Relaxed) + n + 1;
                        assert_eq!(exit.backtrace.pcs.len() as u64, depth);
                    }
                    _ if level > 5 => {}
                    _ => {
                        depths[other].fetch_add(2, Ordering::Relaxed);
                        let next = || common::call(runtime, &outers[other], &[level + 1]);
                        let result = catch_unwind(AssertUnwindSafe(next));
                        depths[other].fetch_sub(2, Ordering::Relaxed);
                        match result {
                            Ok(Ok(results)) => assert_eq!(results[0], level + 1),
                            Ok(Err(exit)) => match exit.cause {
                                Cause::Suspended(_) => unreachable!("the call cannot be suspended"),
                                Cause::Error(payload) => assert!(payload.is::<u64>()),
                                Cause::Trap { .. } => panic!("{exit:?}"),
                            },
                            Err(payload) => {
                                assert_eq!(payload.downcast_ref::<u64>(), Some(&(level + 1)));
                            }
                        }
                    }
                }
            }
            Ok(())
        });
    }
    for _ in 0..2000 {
        depths[0].store(2, Ordering::Relaxed);
        let run = || stores[0].call("outer", &[0]);
        let _ = catch_unwind(AssertUnwindSafe(run)).map_err(|payload| {
            assert!(payload.is::<u64>(), "{payload:?}");
        });
        assert!(stores.iter().all(|store| !store.runtime.is_active()));
        assert!(stores.iter().all(|store| store.runtime.backtrace().pcs.is_empty()));
    }
}
