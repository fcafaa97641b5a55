//! Keeping a guest within bounds: memory, stack, instances, and time by fuel.
//!
//! `cargo run --example limits -p runwell`

use runwell::{Config, Engine, Instance, Module, Result, Store, StoreLimitsBuilder, Trap};

const GUEST: &str = r#"
(module
    (memory 1)
    (func (export "hog") (result i32)
        (loop $again
            (br_if $again (i32.ne (memory.grow (i32.const 1)) (i32.const -1))))
        (memory.size))
    (func $deep (export "deep") (param i32) (result i32)
        (i32.add (i32.const 1) (call $deep (local.get 0))))
    (func (export "forever") (loop $again (br $again))))"#;

fn main() -> Result<()> {
    let engine = Engine::new(Config::new().max_wasm_stack(128 << 10).consume_fuel(true))?;
    let module = Module::new(&engine, GUEST)?;
    let limits = StoreLimitsBuilder::new().memory_size(16 << 16).instances(1).build();
    let mut store = Store::new(&engine, limits);
    // The limiter is found in the store's data, so it can be anything that implements the trait.
    store.limiter(|limits| limits);
    store.set_fuel(1_000_000)?;
    let instance = Instance::new(&mut store, &module, &[])?;

    let hog = instance.get_typed_func::<(), i32>(&mut store, "hog")?;
    println!("the guest got {} pages and no more", hog.call(&mut store, ())?);

    let deep = instance.get_typed_func::<i32, i32>(&mut store, "deep")?;
    let error = deep.call(&mut store, 0).unwrap_err();
    println!("recursion without end: {:?}", error.downcast_ref::<Trap>());

    store.set_fuel(100_000)?;
    let forever = instance.get_typed_func::<(), ()>(&mut store, "forever")?;
    let error = forever.call(&mut store, ()).unwrap_err();
    println!("a loop without end: {:?}", error.downcast_ref::<Trap>());

    let error = Instance::new(&mut store, &module, &[]).unwrap_err();
    println!("a second instance: {error}");
    Ok(())
}
