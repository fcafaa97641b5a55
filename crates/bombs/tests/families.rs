//! Every family makes valid modules of the sizes asked for, in proportionate time.

use runwell_bombs::{families, find};
use runwell_wasm::features::SUPPORTED;
use runwell_wasm::{Error, Limits, Parsed, Translator};

/// Sizes from which on a family has to come near what was asked for.
const SIZES: [usize; 4] = [1 << 10, 8 << 10, 64 << 10, 1 << 20];

/// Families that make the reference validator take seconds for a megabyte, but not ours.
const SLOW_TO_VALIDATE: [&str; 28] = [
    "call_multi_widest",
    "wide_to_narrow",
    "brtable_shifts",
    "wide_relays",
    "wide_calls_small",
    "sig_funcs_last",
    "block_params",
    "block_params_left",
    "block_params_nest",
    "loop_params",
    "loop_params_nest",
    "if_params",
    "call_multi",
    "call_multi_few",
    "call_indirect_multi",
    "call_multi_dead",
    "call_results_dropped",
    "call_results_stacked",
    "wide_br_if",
    "wide_br_if_out",
    "wide_return",
    "brtable_arity",
    "brtables_arity",
    "shift_branches",
    "loop_shift",
    "tail_calls_multi",
    "sig_funcs",
    "sig_funcs_returns",
];

/// Validates a module as the engine does.
fn validate(module: &[u8]) -> Result<(), Error> {
    let parsed = Parsed::parse(module, &Limits::default())?;
    let mut translator = Translator::new();
    (0..parsed.info.bodies.len())
        .try_for_each(|own| translator.validate(&parsed.info, &parsed.validation, module, own))
}

#[test]
fn modules_are_valid_and_of_the_size_asked_for() {
    let mut faults = Vec::new();
    for family in families() {
        for bytes in SIZES {
            let module = (family.make)(bytes);
            let off = module.len().abs_diff(bytes) as f64 / bytes as f64;
            if off > 0.1 {
                faults.push(format!("{} of {bytes}: {} bytes", family.name, module.len()));
            }
            if bytes > 64 << 10 && SLOW_TO_VALIDATE.contains(&family.name) {
                if let Err(error) = validate(&module) {
                    faults.push(format!("{} of {bytes}: {error}", family.name));
                }
                continue;
            }
            let mut validator = wasmparser::Validator::new_with_features(SUPPORTED);
            if let Err(error) = validator.validate_all(&module) {
                faults.push(format!("{} of {bytes}: {error}", family.name));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn modules_depend_on_nothing_but_the_size() {
    for family in families() {
        for bytes in [1500, 20_000] {
            assert_eq!((family.make)(bytes), (family.make)(bytes), "{}", family.name);
        }
    }
}

#[test]
fn small_sizes_make_small_modules() {
    for family in families() {
        for bytes in [0, 1, 100] {
            let module = (family.make)(bytes);
            assert!(module.len() < 1000, "{} of {bytes}: {} bytes", family.name, module.len());
        }
    }
}

#[test]
fn names_are_distinct_and_found() {
    let mut names: Vec<_> = families().map(|family| family.name).collect();
    for name in &names {
        assert_eq!(find(name).unwrap().name, *name);
        assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_'));
    }
    assert!(find("no_such_family").is_none());
    let count = names.len();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), count);
}
