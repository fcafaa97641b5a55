//! What exceeds a limit is refused with the same words, however many threads compile.

use runwell_abi::{Arch, Features, Target};
use runwell_bombs::find;
use runwell_compiler::{Options, compile, validate};

fn options(jobs: usize) -> Options {
    Options { jobs, ..Options::new(Target { arch: Arch::X64, features: Features::default() }) }
}

#[test]
fn operands_that_pile_up_are_refused_alike() {
    let gives = format!("(func $gives (result {}) unreachable)", "i64 ".repeat(1000));
    let piles = format!("(func {} unreachable)", "call $gives ".repeat(70));
    let text = format!("(module {gives} {} {piles} {piles})", "(func)".repeat(5000));
    let module = wat::parse_str(text).unwrap();
    let refusal = compile(&module, &options(1)).unwrap_err().to_string();
    assert!(refusal.contains("height of the operand stack is at most"), "{refusal}");
    for jobs in [1, 2, 4] {
        assert_eq!(compile(&module, &options(jobs)).unwrap_err().to_string(), refusal);
        assert_eq!(validate(&module, &options(jobs)).unwrap_err().to_string(), refusal);
    }
}

/// Two bytes, or the seven of a function, can move two thousand values: that is none of the things
/// that are limited.
#[test]
fn values_moved_by_the_thousand_are_fine() {
    for name in ["wide_relays", "wide_calls_small", "call_multi", "loop_shift", "wide_br_if_out"] {
        let module = (find(name).unwrap().make)(300_000);
        for jobs in [1, 4] {
            validate(&module, &options(jobs)).unwrap();
            compile(&module, &options(jobs)).unwrap();
        }
    }
}

#[test]
fn the_first_faulty_function_is_named() {
    let mut module = (find("wide_relays").unwrap().make)(300_000);
    // The last function of the module reads a local where it should make a call: it has none.
    let at = module.len() - 3;
    assert_eq!(module[at..], [0x10, 0, 0x0b]);
    module[at] = 0x20;
    let fault = compile(&module, &options(1)).unwrap_err().to_string();
    assert!(fault.contains("unknown local"), "{fault}");
    assert_eq!(compile(&module, &options(4)).unwrap_err().to_string(), fault);
}
