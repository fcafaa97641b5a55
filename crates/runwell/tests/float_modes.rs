//! Hosts that let float exceptions trap: neither guest nor host notices the other.
#![cfg(target_arch = "x86_64")]

use runwell::{Caller, Engine, Instance, Linker, Module, Store};

const GUEST: &str = r#"(module
    (import "host" "again" (func $again (param i32)))
    (func $all (export "all") (param f64 f32) (result i64 i64 i64 i32)
        (i64.reinterpret_f64 (f64.div (local.get 0) (local.get 0)))
        (i64.reinterpret_f64 (f64.sqrt (f64.const -1)))
        (i64.reinterpret_f64 (f64.div (f64.const 1) (local.get 0)))
        (i32.reinterpret_f32 (f32.mul (local.get 1) (local.get 1))))
    (func (export "nested") (param i32) (result i64 i64 i64 i32)
        (call $again (local.get 0))
        (call $all (f64.const 0) (f32.const 1e-21))))"#;

type All = (i64, i64, i64, i32);

/// Sets MXCSR and gives the old control bits.
fn swap_mxcsr(new: u32) -> u32 {
    let (mut old, new) = (0u32, new);
    // SAFETY: no float is computed with until it is put back.
    unsafe {
        std::arch::asm!("stmxcsr [{}]", in(reg) &mut old, options(nostack));
        std::arch::asm!("ldmxcsr [{}]", in(reg) &new, options(nostack));
    }
    old & 0xffc0
}

fn store(mode: u32) -> (Store<()>, Instance) {
    let engine = Engine::default();
    let module = Module::new(&engine, GUEST).unwrap();
    let mut store = Store::new(&engine, ());
    let mut linker = Linker::new(&engine);
    let again = move |mut caller: Caller<'_, ()>, depth: i32| -> runwell::Result<()> {
        if depth > 0 {
            let nested = caller.get_export("nested").and_then(|e| e.into_func()).unwrap();
            let all: All = nested.typed::<i32, All>(&caller)?.call(&mut caller, depth - 1)?;
            assert_eq!(all, EXPECTED);
        }
        // What a host function leaves behind is not the guest's.
        swap_mxcsr(mode);
        Ok(())
    };
    linker.func_wrap("host", "again", again).unwrap();
    let instance = linker.instantiate(&mut store, &module).unwrap();
    (store, instance)
}

const EXPECTED: All = (0x7ff8_0000_0000_0000, 0x7ff8_0000_0000_0000, 0x7ff0_0000_0000_0000, 714);

#[test]
fn unmasked_exceptions_stay_with_the_host() {
    // Invalid, division by zero and overflow; all; all, with another rounding; inexact ones only.
    for mode in [0x1f80 & !0x680, 0, 0x6000, 0x1f80 & !0x1000, 0x1f80] {
        let (mut store, instance) = store(mode);
        let all = instance.get_typed_func::<(f64, f32), All>(&mut store, "all").unwrap();
        let nested = instance.get_typed_func::<i32, All>(&mut store, "nested").unwrap();
        let (zero, small) = (std::hint::black_box(0.0), std::hint::black_box(1e-21));
        let saved = swap_mxcsr(mode);
        let first = all.call(&mut store, (zero, small));
        let between = swap_mxcsr(mode);
        let second = nested.call(&mut store, 3);
        let after = swap_mxcsr(saved);
        assert_eq!((first.unwrap(), second.unwrap()), (EXPECTED, EXPECTED), "{mode:#x}");
        assert_eq!((between, after), (mode, mode), "{mode:#x}");
    }
}

/// A limiter is code of the host in the middle of guest code.
#[test]
fn limiters_have_the_modes_of_the_host() {
    use runwell::{ResourceLimiter, Result};

    /// Sees the mode, and leaves another one behind.
    struct Limiter {
        seen: Vec<u32>,
        leaves: u32,
    }
    impl ResourceLimiter for Limiter {
        fn memory_growing(&mut self, _: usize, _: usize, _: Option<usize>) -> Result<bool> {
            self.seen.push(swap_mxcsr(self.leaves));
            Ok(self.seen.len() != 3)
        }
        fn table_growing(&mut self, old: usize, new: usize, max: Option<usize>) -> Result<bool> {
            self.memory_growing(old, new, max)
        }
    }
    const GROWS: &str = r#"(module (memory 0) (table 0 funcref)
        (func (export "run") (param f32 f64) (result i32 i64 i32)
            (drop (memory.grow (i32.const 1)))
            (drop (table.grow (ref.null func) (i32.const 1)))
            (drop (memory.grow (i32.const 1)))
            (i32.reinterpret_f32 (f32.mul (local.get 0) (local.get 0)))
            (i64.reinterpret_f64 (f64.div (f64.const 1) (local.get 1)))
            (memory.size)))"#;
    let engine = Engine::default();
    let module = Module::new(&engine, GROWS).unwrap();
    // To nearest and as the guest has it, upwards, towards zero with flushing.
    for mode in [0x1f80, 0x1f80 | 0x4000, 0x1f80 | 0xe000] {
        for leaves in [0x1f80, 0x1f80 | 0x2000, 0x1f80 | 0x8040] {
            let mut store = Store::new(&engine, Limiter { seen: Vec::new(), leaves });
            let instance = Instance::new(&mut store, &module, &[]).unwrap();
            store.limiter(|limiter| limiter);
            let run = instance.get_typed_func::<(f32, f64), (i32, i64, i32)>(&mut store, "run");
            let run = run.unwrap();
            let args = (std::hint::black_box(1e-21), std::hint::black_box(3.0));
            let saved = swap_mxcsr(mode);
            let result = run.call(&mut store, args);
            let after = swap_mxcsr(saved);
            // The product is a denormal; a third is rounded down; the last growth was refused.
            assert_eq!(result.unwrap(), (714, 0x3fd5_5555_5555_5555, 1), "{mode:#x} {leaves:#x}");
            assert_eq!((after, &*store.data().seen), (mode, &[mode; 3][..]), "{leaves:#x}");
        }
    }
}
