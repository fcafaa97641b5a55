//! What a module costs that is refused: memory and stack in proportion, and an error that names the
//! proposal, as for any other. That the time is in proportion as well, `crates/wasm/tests/second.rs` holds
//! by what is not looked at any more.

use runwell_abi::{Arch, Features, Target};
use runwell_compiler::schedule::STACK_BYTES;
use runwell_compiler::{CancelToken, Error, Options, Watch, compile, compile_watched, quote};

#[global_allocator]
static ALLOCATOR: runwell_heap::Counting = runwell_heap::Counting;

/// Bytes of memory per byte of module, and what a small module may take besides.
const MEMORY: f64 = 200.0;
const MEMORY_BASE: f64 = 512.0 * 1024.0;

fn options() -> Options {
    let target = Target { arch: Arch::X64, features: Features::default() };
    Options { jobs: 1, ..Options::new(target) }
}

fn check(name: &str, module: &[u8]) {
    let (outcome, memory) = runwell_heap::peak(|| compile(module, &options()));
    let error = outcome.expect_err("not a module of this language");
    let proposal = if name == "refused_bodies" { "simd" } else { "gc" };
    assert!(error.to_string().contains(&format!("proposal: {proposal}")), "{name}: {error}");
    let most = MEMORY * module.len() as f64 + MEMORY_BASE;
    assert!(memory as f64 <= most, "{name}: {memory} bytes for {} of module", module.len());
    if name != "refused_bodies" {
        let quoted = quote(module, &options()).expect_err("not a module of this language");
        assert_eq!(quoted.to_string(), error.to_string(), "{name}");
    }
    let token = CancelToken::new();
    token.cancel();
    let watch = Watch { cancel: Some(&token), ..Watch::default() };
    let cancelled = compile_watched(module, &options(), watch);
    assert_eq!(cancelled.expect_err("a token that was used"), Error::Cancelled, "{name}");
}

#[test]
fn refused_modules_cost_little() {
    let all = || {
        for family in runwell_bombs::refused() {
            for size in [16 << 10, 64 << 10, 1 << 20] {
                let module = (family.make)(size);
                let off = module.len().abs_diff(size);
                assert!(off < size / 10, "{}: {} bytes of {size}", family.name, module.len());
                check(family.name, &module);
            }
        }
    };
    let thread = std::thread::Builder::new().stack_size(STACK_BYTES);
    thread.spawn(all).expect("a thread").join().expect("a stack that is large enough");
}
