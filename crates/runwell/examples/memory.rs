//! Passing a text to a guest and back through its memory.
//!
//! `cargo run --example memory -p runwell`

use runwell::error::Context as _;
use runwell::{Engine, Instance, Module, Result, Store};

/// Turns a text into capitals, in place, and hands out memory from one end.
const GUEST: &str = r#"
(module
    (memory (export "memory") 1)
    (global $free (mut i32) (i32.const 1024))
    (func (export "alloc") (param $bytes i32) (result i32)
        (global.get $free)
        (global.set $free (i32.add (global.get $free) (local.get $bytes))))
    (func (export "shout") (param $at i32) (param $len i32)
        (local $end i32) (local $c i32)
        (local.set $end (i32.add (local.get $at) (local.get $len)))
        (block $done
            (loop $next
                (br_if $done (i32.ge_u (local.get $at) (local.get $end)))
                (local.set $c (i32.load8_u (local.get $at)))
                (if (i32.lt_u (i32.sub (local.get $c) (i32.const 97)) (i32.const 26))
                    (then (i32.store8 (local.get $at) (i32.sub (local.get $c) (i32.const 32)))))
                (local.set $at (i32.add (local.get $at) (i32.const 1)))
                (br $next)))))
"#;

fn main() -> Result<()> {
    let engine = Engine::default();
    let module = Module::new(&engine, GUEST)?;
    let mut store = Store::new(&engine, ());
    let instance = Instance::new(&mut store, &module, &[])?;
    let memory = instance.get_memory(&mut store, "memory").context("the guest has no memory")?;
    let alloc = instance.get_typed_func::<u32, u32>(&mut store, "alloc")?;
    let shout = instance.get_typed_func::<(u32, u32), ()>(&mut store, "shout")?;

    let text = "hello from the host";
    let (len, at) = (text.len() as u32, alloc.call(&mut store, text.len() as u32)?);
    // Checked: outside of the memory this is an error, and nothing is written.
    memory.write(&mut store, at as usize, text.as_bytes())?;
    shout.call(&mut store, (at, len))?;

    // The same bytes without a copy, while the store is borrowed.
    let bytes = &memory.data(&store)[at as usize..][..len as usize];
    println!("{}", String::from_utf8_lossy(bytes));

    println!("{} pages; {} more: {:?}", memory.size(&store), 2, memory.grow(&mut store, 2)?);
    println!("{} pages of {} bytes", memory.size(&store), memory.page_size(&store));
    Ok(())
}
