//! The program that runwell's own tests run as "written for wasmtime" does the same on wasmtime.

#[path = "../../crates/runwell/tests/ported/program.rs"]
mod program;

#[test]
fn wasmtime_does_what_the_program_expects() {
    let found = program::run().expect("the program ends well").join("\n") + "\n";
    let expected = include_str!("../../crates/runwell/tests/ported/expected.txt");
    assert_eq!(found, expected);
}
