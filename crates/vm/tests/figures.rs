//! What the primitives cost: `cargo test --release -p runwell-vm --test figures -- --ignored
//! --nocapture`.

mod common;

use common::Store;
use runwell_abi::RegFile;
use std::hint::black_box;
use std::time::Instant;

/// Prints the least time of one of `n` runs of `f`, over five rounds.
fn figure(name: &str, n: u32, mut f: impl FnMut()) {
    let round = |_| {
        let start = Instant::now();
        (0..n).for_each(|_| f());
        start.elapsed() / n
    };
    let least = (0..5).map(round).min().unwrap();
    println!("{name:32} {least:>10.1?}");
}

#[test]
#[ignore = "a measurement"]
fn figures() {
    let mut store = Store::new();
    store.import(0, |call| {
        call.regs.int[0] += 1;
        Ok(())
    });
    let mut regs = RegFile { float: [0; 8], int: [1; 6] };
    let (state, import0) = (store.func(0, "mix"), store.func(0, "import0"));
    let runtime = &store.runtime;
    figure("host calls guest", 1_000_000, || {
        // SAFETY: the guest code follows the convention and all of its objects are alive.
        unsafe { black_box(runtime.invoke(black_box(&state), &mut regs)).unwrap() };
    });
    figure("host calls guest calls host", 1_000_000, || {
        // SAFETY: as above.
        unsafe { black_box(runtime.invoke(black_box(&import0), &mut regs)).unwrap() };
    });
    figure("trap by a fault", 20_000, || drop(store.call("unreachable", &[])));
    figure("trap below 63 frames", 20_000, || drop(store.call("recurse", &[62])));
    figure("store with instance and memory", 20_000, || drop(Store::new()));
    figure("instance with memory", 20_000, || {
        store.add_instance();
        store.instances.truncate(1);
    });
    figure("instance, memory touched", 20_000, || {
        let at = store.add_instance();
        store.instances[at].memory.write(100, b"x").unwrap();
        store.instances.truncate(1);
    });
    figure("code published and dropped", 20_000, || drop(common::publish()));
    let kept: Vec<_> = (0..10_000).map(|_| common::publish()).collect();
    figure("the same beside 10,000 others", 20_000, || drop(common::publish()));
    drop(kept);
}
