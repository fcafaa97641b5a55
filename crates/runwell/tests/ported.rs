//! A program written for wasmtime runs after the crate's name is changed.

extern crate runwell as wasmtime;

#[path = "ported/program.rs"]
mod program;

#[test]
fn a_program_for_wasmtime_does_the_same() {
    let found = program::run().expect("the program ends well").join("\n") + "\n";
    if std::env::var_os("RUNWELL_BLESS").is_some() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/ported/expected.txt");
        std::fs::write(path, &found).expect("the expectation is written");
        return;
    }
    assert_eq!(found, include_str!("ported/expected.txt"));
}
