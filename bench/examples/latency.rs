//! What `crates/runwell/examples/latency` measures, of wasmtime:
//! `cargo run --release --example latency`.

#[path = "../../crates/runwell/examples/latency/program.rs"]
mod program;

use wasmtime::{Config, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, Result};

fn main() -> Result<()> {
    let mut pooling = Config::new();
    pooling.allocation_strategy(InstanceAllocationStrategy::Pooling(PoolingAllocationConfig::new()));
    let pooled = program::measure(&Engine::new(&pooling)?)?;
    let on_demand = program::measure(&Engine::new(&Config::new())?)?;
    println!("on demand     pooling");
    for ((what, on_demand), (_, pooled)) in on_demand.into_iter().zip(pooled) {
        println!("{on_demand:>9.1} {pooled:>9.1} ns  {what}");
    }
    Ok(())
}
