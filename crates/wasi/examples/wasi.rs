//! A WASI program with arguments, one directory and its output in memory.
//!
//! `cargo run --example wasi -p runwell-wasi [PROGRAM.wasm [ARGUMENTS…]]`

use runwell::{Engine, Linker, Module, Result, Store};
use runwell_wasi::{I32Exit, MemoryOutputPipe, WasiCtx, WasiCtxBuilder, add_to_linker};

/// Writes a line, then exits with the number of its arguments.
const PROGRAM: &str = r#"
(module
    (import "wasi_snapshot_preview1" "fd_write"
        (func $fd_write (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "args_sizes_get"
        (func $args_sizes_get (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
    (memory (export "memory") 1)
    (data (i32.const 16) "hello from a sandbox\n")
    (func (export "_start")
        (i32.store (i32.const 0) (i32.const 16))
        (i32.store (i32.const 4) (i32.const 21))
        (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
        (drop (call $args_sizes_get (i32.const 0) (i32.const 4)))
        (call $proc_exit (i32.load (i32.const 0)))))
"#;

fn main() -> Result<()> {
    let mut args: Vec<String> = std::env::args().skip(1).collect();
    let program = match args.first() {
        Some(path) => std::fs::read(path)?,
        None => {
            args = vec!["hello".to_string(), "one".to_string(), "two".to_string()];
            PROGRAM.as_bytes().to_vec()
        }
    };
    let engine = Engine::default();
    let module = Module::new(&engine, program)?;
    let mut linker = Linker::<WasiCtx>::new(&engine);
    add_to_linker(&mut linker, |ctx| ctx)?;

    // A world with nothing in it but what is put there.
    let output = MemoryOutputPipe::new(1 << 20);
    let scratch = std::env::temp_dir();
    let ctx = WasiCtxBuilder::new()
        .args(&args)
        .env("LANG", "C")
        .stdout(output.clone())
        .inherit_stderr()
        .preopened_dir_read_only(&scratch, "/tmp")?
        .build();
    let mut store = Store::new(&engine, ctx);
    let instance = linker.instantiate(&mut store, &module)?;
    let start = instance.get_typed_func::<(), ()>(&mut store, "_start")?;
    let status = match start.call(&mut store, ()) {
        Ok(()) => 0,
        // `proc_exit` comes out as an error, since it does not return.
        Err(error) => error.downcast::<I32Exit>()?.0,
    };
    print!("it wrote: {}", String::from_utf8_lossy(&output.contents()));
    println!("it exited with {status}");
    Ok(())
}
