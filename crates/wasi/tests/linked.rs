//! The functions as modules import them.

use runwell::{Engine, Extern, Func, Linker, Module, Store, Val};
use runwell_wasi::{Errno, I32Exit, MemoryInputPipe, MemoryOutputPipe, WasiCtx, WasiCtxBuilder};
use std::fmt::Write;

/// Names and types, from the specification's text: pointers, sizes, handles, flags and numbers of
/// up to 32 bits are `i32`; `filesize`, `filedelta`, `timestamp`, `rights` and `dircookie` are
/// `i64`.
const FUNCTIONS: &[(&str, &str)] = &[
    ("args_get", "ii"),
    ("args_sizes_get", "ii"),
    ("environ_get", "ii"),
    ("environ_sizes_get", "ii"),
    ("clock_res_get", "ii"),
    ("clock_time_get", "iIi"),
    ("fd_advise", "iIIi"),
    ("fd_allocate", "iII"),
    ("fd_close", "i"),
    ("fd_datasync", "i"),
    ("fd_fdstat_get", "ii"),
    ("fd_fdstat_set_flags", "ii"),
    ("fd_fdstat_set_rights", "iII"),
    ("fd_filestat_get", "ii"),
    ("fd_filestat_set_size", "iI"),
    ("fd_filestat_set_times", "iIIi"),
    ("fd_pread", "iiiIi"),
    ("fd_prestat_get", "ii"),
    ("fd_prestat_dir_name", "iii"),
    ("fd_pwrite", "iiiIi"),
    ("fd_read", "iiii"),
    ("fd_readdir", "iiiIi"),
    ("fd_renumber", "ii"),
    ("fd_seek", "iIii"),
    ("fd_sync", "i"),
    ("fd_tell", "ii"),
    ("fd_write", "iiii"),
    ("path_create_directory", "iii"),
    ("path_filestat_get", "iiiii"),
    ("path_filestat_set_times", "iiiiIIi"),
    ("path_link", "iiiiiii"),
    ("path_open", "iiiiiIIii"),
    ("path_readlink", "iiiiii"),
    ("path_remove_directory", "iii"),
    ("path_rename", "iiiiii"),
    ("path_symlink", "iiiii"),
    ("path_unlink_file", "iii"),
    ("poll_oneoff", "iiii"),
    ("proc_raise", "i"),
    ("sched_yield", ""),
    ("random_get", "ii"),
    ("sock_accept", "iii"),
    ("sock_recv", "iiiiii"),
    ("sock_send", "iiiii"),
    ("sock_shutdown", "ii"),
];

/// A module that imports everything and exports it again, each behind a function of its own, with
/// a memory of so many pages.
fn everything(pages: u32) -> String {
    let mut imports = String::new();
    let mut funcs = format!("(memory (export \"memory\") {pages})");
    for (name, params) in FUNCTIONS {
        let types: Vec<&str> =
            params.chars().map(|c| if c == 'i' { "i32" } else { "i64" }).collect();
        let types = format!("(param {}) (result i32)", types.join(" "));
        let gets: String = (0..params.len()).map(|index| format!(" local.get {index}")).collect();
        writeln!(imports, "(import \"wasi_snapshot_preview1\" \"{name}\" (func ${name} {types}))")
            .unwrap();
        writeln!(funcs, "(func (export \"{name}\") {types}{gets} call ${name})").unwrap();
    }
    format!(
        "(module {imports}
            (import \"wasi_snapshot_preview1\" \"proc_exit\" (func $exit (param i32)))
            {funcs}
            (func (export \"proc_exit\") (param i32) local.get 0 call $exit))"
    )
}

struct Host {
    calls: u32,
    wasi: WasiCtx,
}

fn instantiate(text: &str, wasi: WasiCtx) -> (Store<Host>, runwell::Instance) {
    let engine = Engine::default();
    let module = Module::new(&engine, text).unwrap();
    let mut linker = Linker::new(&engine);
    runwell_wasi::add_to_linker(&mut linker, |host: &mut Host| {
        host.calls += 1;
        &mut host.wasi
    })
    .unwrap();
    let mut store = Store::new(&engine, Host { calls: 0, wasi });
    let instance = linker.instantiate(&mut store, &module).unwrap();
    (store, instance)
}

fn export(store: &mut Store<Host>, instance: runwell::Instance, name: &str) -> Func {
    instance.get_func(store, name).unwrap()
}

#[test]
fn every_function_has_its_type_and_takes_any_argument() {
    assert_eq!(FUNCTIONS.len() + 1, 46);
    for pages in [0, 1] {
        let wasi = WasiCtxBuilder::new().build();
        let (mut store, instance) = instantiate(&everything(pages), wasi);
        for (name, params) in FUNCTIONS {
            let func = export(&mut store, instance, name);
            for bits in [u64::MAX, i64::MAX as u64, 1 << 31, 65535, 65536, 8, 1, 0] {
                // Closing things would spare what follows.
                if *name == "fd_close" || *name == "fd_renumber" {
                    continue;
                }
                let args: Vec<Val> = params
                    .chars()
                    .map(|c| if c == 'i' { Val::I32(bits as i32) } else { Val::I64(bits as i64) })
                    .collect();
                let mut results = [Val::I32(-1)];
                func.call(&mut store, &args, &mut results).unwrap();
                let Val::I32(errno) = results[0] else { panic!("{name}") };
                assert!((0..=76).contains(&errno), "{name}({bits:#x}): {errno}");
            }
        }
        assert_eq!(store.data().calls, (FUNCTIONS.len() as u32 - 2) * 8);
    }
}

#[test]
fn pointers_outside_of_the_memory_are_faults() {
    let wasi = WasiCtxBuilder::new().args(&["a"]).env("B", "c").build();
    let (mut store, instance) = instantiate(&everything(1), wasi);
    let last = 65536;
    for (name, args) in [
        ("args_get", vec![last, 0]),
        ("args_get", vec![0, last - 1]),
        ("args_sizes_get", vec![0, last - 3]),
        ("environ_get", vec![last - 3, 0]),
        ("environ_sizes_get", vec![-1, 0]),
        ("clock_res_get", vec![0, last - 7]),
        ("random_get", vec![last - 8, 9]),
        ("random_get", vec![-1, 1]),
        ("random_get", vec![0, -1]),
        ("fd_write", vec![1, last - 7, 1, 0]),
        ("fd_write", vec![1, 0, 0, last - 3]),
        ("fd_write", vec![1, -8, 1, 0]),
        ("fd_read", vec![0, last, 1, 0]),
        ("fd_fdstat_get", vec![0, last - 23]),
        ("fd_filestat_get", vec![0, last - 63]),
        ("poll_oneoff", vec![last - 47, 0, 1, 0]),
    ] {
        let args: Vec<Val> = args.into_iter().map(Val::I32).collect();
        let mut results = [Val::I32(-1)];
        export(&mut store, instance, name).call(&mut store, &args, &mut results).unwrap();
        let Val::I32(errno) = results[0] else { panic!("{name}") };
        assert_eq!(errno, i32::from(Errno::Fault.raw()), "{name}({args:?})");
    }
}

#[test]
fn exit_ends_the_guest_with_its_status() {
    let wasi = WasiCtxBuilder::new().build();
    let (mut store, instance) = instantiate(&everything(1), wasi);
    let exit = instance.get_typed_func::<u32, ()>(&mut store, "proc_exit").unwrap();
    for status in [0, 1, 255, 256, u32::MAX] {
        let error = exit.call(&mut store, status).unwrap_err();
        assert_eq!(error.downcast_ref::<I32Exit>(), Some(&I32Exit(status as i32)));
    }
    // The store is as good as before.
    let (mut results, yielding) = ([Val::I32(-1)], export(&mut store, instance, "sched_yield"));
    yielding.call(&mut store, &[], &mut results).unwrap();
    assert!(matches!(results[0], Val::I32(0)));
}

#[test]
fn exit_needs_no_memory_and_the_rest_says_that_it_does() {
    let text = r#"(module
        (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
        (import "wasi_snapshot_preview1" "fd_close" (func $close (param i32) (result i32)))
        (func (export "exit") i32.const 3 call $exit)
        (func (export "close") i32.const 3 call $close drop))"#;
    let (mut store, instance) = instantiate(text, WasiCtxBuilder::new().build());
    let call = |store: &mut Store<Host>, name| {
        instance.get_typed_func::<(), ()>(&mut *store, name).unwrap().call(store, ()).unwrap_err()
    };
    assert_eq!(call(&mut store, "exit").downcast_ref::<I32Exit>(), Some(&I32Exit(3)));
    let error = call(&mut store, "close");
    let message = format!("{error:#} {:#}", error.root_cause());
    assert!(message.contains("fd_close") && message.contains("`memory`"), "{message}");
}

#[test]
fn an_export_called_memory_must_be_one() {
    let text = r#"(module
        (import "wasi_snapshot_preview1" "sched_yield" (func $yield (result i32)))
        (func (export "memory"))
        (func (export "go") call $yield drop))"#;
    let (mut store, instance) = instantiate(text, WasiCtxBuilder::new().build());
    let go = instance.get_typed_func::<(), ()>(&mut store, "go").unwrap();
    assert!(go.call(&mut store, ()).is_err());
}

#[test]
fn names_are_taken_once() {
    let engine = Engine::default();
    let mut linker: Linker<WasiCtx> = Linker::new(&engine);
    runwell_wasi::add_to_linker(&mut linker, |ctx| ctx).unwrap();
    assert!(runwell_wasi::add_to_linker(&mut linker, |ctx| ctx).is_err());
    linker.allow_shadowing(true);
    runwell_wasi::add_to_linker(&mut linker, |ctx| ctx).unwrap();
}

#[test]
fn a_program_that_copies_its_input_through_grown_memory() {
    let text = r#"(module
        (import "wasi_snapshot_preview1" "fd_read"
            (func $read (param i32 i32 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "fd_write"
            (func $write (param i32 i32 i32 i32) (result i32)))
        (memory (export "memory") 1)
        (func (export "_start")
            ;; The buffer lies in a page that is new.
            (drop (memory.grow (i32.const 1)))
            (i32.store (i32.const 0) (i32.const 65530))
            (loop $again
                (i32.store (i32.const 4) (i32.const 13))
                (if (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8))
                    (then unreachable))
                (i32.store (i32.const 4) (i32.load (i32.const 8)))
                (if (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 12))
                    (then unreachable))
                (br_if $again (i32.load (i32.const 8))))))"#;
    let input = "the quick brown fox jumps over the lazy dog".repeat(10);
    let output = MemoryOutputPipe::new(1 << 20);
    let wasi = WasiCtxBuilder::new()
        .stdin(MemoryInputPipe::new(input.as_bytes()))
        .stdout(output.clone())
        .build();
    let (mut store, instance) = instantiate(text, wasi);
    let start = instance.get_typed_func::<(), ()>(&mut store, "_start").unwrap();
    start.call(&mut store, ()).unwrap();
    assert_eq!(output.contents(), input.as_bytes());
}

#[test]
fn a_64_bit_memory_is_used_as_far_as_pointers_reach() {
    let text = r#"(module
        (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
        (memory (export "memory") i64 1)
        (func (export "go") (param i32 i32) (result i32)
            local.get 0 local.get 1 call $random))"#;
    let (mut store, instance) = instantiate(text, WasiCtxBuilder::new().build());
    let go = instance.get_typed_func::<(u32, u32), u32>(&mut store, "go").unwrap();
    assert_eq!(go.call(&mut store, (65528, 8)).unwrap(), 0);
    assert_eq!(go.call(&mut store, (65529, 8)).unwrap(), u32::from(Errno::Fault.raw()));
    let Some(Extern::Memory(memory)) = instance.get_export(&mut store, "memory") else { panic!() };
    assert_ne!(memory.data(&store)[65528..], [0; 8]);
}

#[test]
fn random_numbers_by_the_gigabyte_can_be_stopped() {
    let engine = Engine::default();
    let module = r#"(module
        (import "wasi_snapshot_preview1" "random_get" (func $get (param i32 i32) (result i32)))
        (memory (export "memory") 65536)
        (func (export "fill") (param i32 i32) (result i32) (call $get (local.get 0) (local.get 1))))"#;
    let module = Module::new(&engine, module).unwrap();
    let mut linker = Linker::new(&engine);
    runwell_wasi::add_to_linker(&mut linker, |ctx: &mut WasiCtx| ctx).unwrap();
    let mut store = Store::new(&engine, WasiCtxBuilder::new().build());
    let instance = linker.instantiate(&mut store, &module).unwrap();
    let fill = instance.get_typed_func::<(i32, i32), i32>(&mut store, "fill").unwrap();
    // Several slices are one sequence of numbers.
    let len = (3 << 20) + 5;
    assert_eq!(fill.call(&mut store, (8, len)).unwrap(), 0);
    let memory = instance.get_memory(&mut store, "memory").unwrap();
    let mut ctx = WasiCtxBuilder::new().build();
    let mut wanted = vec![0; 8 + len as usize];
    let mut mem = runwell_wasi::GuestMemory::new(&mut wanted);
    runwell_wasi::preview1::random_get(&mut ctx, &mut mem, 8, len as u32).unwrap();
    assert!(memory.data(&store)[..wanted.len()] == wanted);

    let handle = store.interrupt_handle().unwrap();
    let stopper = std::thread::spawn(move || while !handle.interrupt() {});
    let error = fill.call(&mut store, (0, -1)).unwrap_err();
    stopper.join().unwrap();
    assert_eq!(error.downcast_ref(), Some(&runwell::Trap::Interrupt));
    // It did not come to the last gigabyte.
    let last = &memory.data(&store)[3 << 30..];
    assert!(last.chunks(1 << 20).all(|part| part[..4096] == [0; 4096]));
}
