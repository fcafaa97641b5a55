//! The compiler's own stack does not grow with its input: every family of hostile modules is compiled
//! and described on a small one, and so are ordinary modules.

use runwell_abi::{Arch, Features, Target};
use runwell_bombs::families;
use runwell_compiler::schedule::STACK_BYTES;
use runwell_compiler::{Error, InspectError, Options, Which, compile, inspect, validate};
use runwell_testkit::{Nans, generate, program};

const SIZE: usize = 64 << 10;

fn check(name: &str, module: &[u8]) {
    let target = Target { arch: Arch::X64, features: Features::default() };
    for jobs in [1, 3] {
        let options = Options { jobs, ..Options::new(target) };
        match compile(module, &options) {
            Ok(_) | Err(Error::Limit { .. }) => {}
            Err(error) => panic!("{name}: {error}"),
        }
        let _ = validate(module, &options);
    }
    // The first function with a body, wherever it is.
    let options = Options { jobs: 1, ..Options::new(target) };
    for index in 0..4 {
        match inspect(module, Which::Index(index), &options) {
            Ok(_) => break,
            Err(InspectError::Which(_) | InspectError::Compile(Error::Limit { .. })) => {}
            Err(error) => panic!("{name}: {error}"),
        }
    }
}

#[test]
fn a_small_stack_is_enough() {
    let thread = std::thread::Builder::new().stack_size(STACK_BYTES);
    let all = || {
        for family in families() {
            check(family.name, &(family.make)(SIZE));
        }
        for seed in 0..20 {
            check("a program", &program::module(seed, Nans::Seen));
            if let Some(module) = generate::from_seed(seed, Nans::Seen) {
                check("a generated module", &module);
            }
        }
    };
    thread.spawn(all).expect("a thread").join().expect("a stack that is large enough");
    assert_eq!(STACK_BYTES, 256 << 10, "what is promised");
}
