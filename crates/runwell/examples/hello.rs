//! The smallest use: compile a module, instantiate it, call a function.
//!
//! `cargo run --example hello -p runwell`

use runwell::{Engine, Instance, Module, Result, Store};

fn main() -> Result<()> {
    // One engine per process: its options, and what all modules compiled with it share.
    let engine = Engine::default();
    // Text or binary; validated and compiled here, once.
    let module = Module::new(
        &engine,
        r#"(module
            (func (export "add") (param i32 i32) (result i32)
                (i32.add (local.get 0) (local.get 1))))"#,
    )?;
    // What instances live in. The second argument is the host's own data, none here.
    let mut store = Store::new(&engine, ());
    let instance = Instance::new(&mut store, &module, &[])?;
    // The type is checked here, so that calls are cheap.
    let add = instance.get_typed_func::<(i32, i32), i32>(&mut store, "add")?;
    println!("2 + 3 = {}", add.call(&mut store, (2, 3))?);
    Ok(())
}
