//! Prints what instantiating and calling cost: `cargo run --release --example latency -p runwell`.

extern crate runwell as wasmtime;

mod program;

fn main() -> wasmtime::Result<()> {
    for (what, nanoseconds) in program::measure(&wasmtime::Engine::default())? {
        println!("{nanoseconds:>9.1} ns  {what}");
    }
    Ok(())
}
