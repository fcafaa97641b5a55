//! The text form: what it says, and that a long text takes no longer per byte than a short one.

use runwell::{Config, Engine, Module};
use std::fmt::Write as _;
use std::time::{Duration, Instant};

/// A module's binary form, through runwell's own reading of the text.
fn encoded(text: &str) -> Result<Vec<u8>, String> {
    let engine = Engine::new(Config::new().image_key([1; 32])).unwrap();
    let image = engine.precompile_module(text.as_bytes()).map_err(|error| error.to_string())?;
    Ok(Module::wasm_in_image(&image).unwrap().to_vec())
}

#[test]
fn names_of_labels_are_those_of_the_innermost_construct() {
    for body in [
        "block $a block $b br $a end br $a end",
        "block $a block $a br $a end br $a end",
        "block $a loop $a i32.const 0 br_if $a end end",
        "block $a end block $a br $a end",
        "block $a i32.const 0 if $b br $b else br $a end end",
        "block $a block $b block $c i32.const 0 br_table $c $a $b $a $c end $c end $b end $a",
        "(block $x (br_if $x (i32.const 1)) (loop $y (br_if $y (i32.const 0)) (br $x)))",
        "block $a block br 0 end br $a end br 0",
    ] {
        let text = format!("(module (func {body}))");
        assert_eq!(encoded(&text).unwrap(), wat::parse_str(&text).unwrap(), "{body}");
    }
}

#[test]
fn labels_that_are_none_are_told_of_as_ever() {
    for body in [
        "br $a",
        "block $a end br $a",
        "block $a end $b",
        "block $a block $b end br $b end",
        "end br $a block $a",
        "block $a i32.const 0 br_table $a $b end",
    ] {
        for text in
            [format!("(module (func {body}))"), format!("(module (func {body}) (func br $a))")]
        {
            let wanted = wat::parse_str(&text).unwrap_err().to_string();
            assert_eq!(encoded(&text).unwrap_err(), wanted, "{body}");
        }
    }
}

#[test]
fn what_is_neither_form_is_refused() {
    assert!(encoded("(component)").unwrap_err().contains("this is a component"));
    let engine = Engine::default();
    let error = Module::new(&engine, [0xff]).unwrap_err().to_string();
    assert_eq!(error, "input bytes aren't valid utf-8");
    let error = Module::new(&engine, "(modul)").unwrap_err().to_string();
    assert_eq!(error, wat::parse_str("(modul)").unwrap_err().to_string());
}

#[test]
fn labels_of_a_deep_nest_are_not_searched_for() {
    // A search by turns would make ten thousand million steps of this: minutes.
    const COUNT: usize = 100_000;
    let in_every_place: [fn(&str) -> String; 3] = [
        |nest| format!("(module (func block $out {nest}))"),
        |nest| format!("(module (global i32 block $out {nest}))"),
        |nest| format!("(module (table 1 funcref) (elem (offset block $out {nest}) func))"),
    ];
    for module in in_every_place {
        let mut nest = "block $in ".repeat(COUNT);
        for branch in ["br $out ", "br_on_null $out ", "rethrow $out "] {
            for _ in 0..COUNT / 3 {
                nest.write_str(branch).unwrap();
            }
        }
        nest += &"end ".repeat(COUNT + 1);
        let start = Instant::now();
        // Valid or not, it is read.
        let _ = Module::new(&Engine::default(), module(&nest));
        assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
    }
}
