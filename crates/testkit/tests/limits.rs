//! What exceeds a limit is refused with the same words, however many threads compile.

use runwell_abi::{Arch, Features, Target};
use runwell_bombs::find;
use runwell_compiler::{Options, compile, validate};

fn options(jobs: usize) -> Options {
    Options { jobs, ..Options::new(Target { arch: Arch::X64, features: Features::default() }) }
}

#[test]
fn moved_values_are_counted_over_all_functions() {
    for name in ["wide_relays", "wide_calls_small", "call_multi"] {
        let module = (find(name).unwrap().make)(300_000);
        let refusal = compile(&module, &options(1)).unwrap_err().to_string();
        assert!(
            refusal.contains("values moved by wide calls and branches is at most"),
            "{refusal}"
        );
        for jobs in [1, 2, 4] {
            assert_eq!(compile(&module, &options(jobs)).unwrap_err().to_string(), refusal);
            assert_eq!(validate(&module, &options(jobs)).unwrap_err().to_string(), refusal);
        }
    }
}

#[test]
fn moved_values_come_before_a_fault_of_a_function() {
    let mut module = (find("wide_relays").unwrap().make)(300_000);
    let refusal = compile(&module, &options(1)).unwrap_err().to_string();
    // The last function of the module calls one that there is not.
    let at = module.len() - 3;
    assert_eq!(module[at..], [0x10, 0, 0x0b]);
    module[at + 1] = 0x7f;
    let faulty = compile(&module, &options(4)).unwrap_err().to_string();
    assert_eq!(faulty, refusal);
}

#[test]
fn a_few_relays_are_fine() {
    let module = (find("wide_relays").unwrap().make)(800);
    compile(&module, &options(1)).unwrap();
}
