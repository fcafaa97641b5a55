//! Compiling ahead of time: a module as a file that loads without compiling, and what that saves.
//!
//! `cargo run --release --example precompile -p runwell [MODULE.wasm]`

use runwell::error::Context as _;
use runwell::{Config, Engine, Module, Result};
use std::time::Instant;

fn main() -> Result<()> {
    let wasm = match std::env::args().nth(1) {
        Some(path) => std::fs::read(&path).with_context(|| format!("{path} cannot be read"))?,
        None => br#"(module (func (export "f") (result i32) (i32.const 7)))"#.to_vec(),
    };
    // Without a key of its own the engine takes the user's, from a file that only they can read.
    let engine = Engine::new(Config::new().image_key(*b"a key for an example, not secret"))?;

    let start = Instant::now();
    let image = engine.precompile_module(&wasm)?;
    println!("compiled in   {:>10.3?}, {} bytes of {}", start.elapsed(), image.len(), wasm.len());

    let file = std::env::temp_dir().join(format!("runwell-example-{}.image", std::process::id()));
    std::fs::write(&file, &image)?;
    let start = Instant::now();
    let loaded = Module::deserialize_file(&engine, &file);
    let elapsed = start.elapsed();
    std::fs::remove_file(&file)?;
    let module = loaded?;
    println!("loaded in     {elapsed:>10.3?}, {} exports", module.exports().len());

    // A file that somebody else made, or changed, does not load; what is in it can be compiled.
    let mut changed = image;
    let middle = changed.len() / 2;
    changed[middle] ^= 1;
    match Module::deserialize(&engine, &changed) {
        Ok(_) => runwell::bail!("a changed image was loaded"),
        Err(error) => println!("refused:      {error}"),
    }
    Ok(())
}
