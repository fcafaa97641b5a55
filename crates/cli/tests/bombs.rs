//! `runwell bombs` as a person meets it.

use std::process::{Command, Output};

fn bombs(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_runwell"));
    command.arg("bombs").args(args).output().expect("the command starts")
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("text")
}

#[test]
fn lists_the_families() {
    let output = bombs(&["--list"]);
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    let list = text(&output.stdout);
    assert!(list.lines().count() > 150);
    assert!(list.lines().any(|line| line.starts_with("loop_nest_phi ")), "{list}");
}

#[test]
fn measures_a_family() {
    let output = bombs(&["--json", "--runs=2", "--sizes", "2k,4k", "data_large"]);
    let line = text(&output.stdout);
    assert!(line.starts_with("{\"family\":\"data_large\",\"slope\":"), "{line}");
    assert_eq!(line.matches("\"accepted\":true").count(), 2, "{line}");
    assert_eq!(line.lines().count(), 1, "{line}");
}

#[test]
fn a_refused_module_is_over_the_bound() {
    // More functions than a module may have.
    let output = bombs(&["--sizes=8m", "tiny_funcs"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(text(&output.stdout).contains("! refused: limit exceeded"), "{output:?}");
}

#[test]
fn says_which_family_may_be_meant() {
    let output = bombs(&["loop_nest_phy"]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let error = text(&output.stderr);
    assert_eq!(error, "error: there is no family \"loop_nest_phy\"; did you mean loop_nest_phi?\n");
}

#[test]
fn sizes_are_numbers() {
    let output = bombs(&["--sizes", "1k,many"]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(text(&output.stderr).contains("expected a number such as 16k"), "{output:?}");
}

#[test]
fn writes_the_modules_it_would_compile() {
    let directory = std::env::temp_dir().join(format!("runwell-bombs-{}", std::process::id()));
    std::fs::create_dir_all(&directory).expect("a directory");
    let output = bombs(&["--sizes=1k", "--emit", directory.to_str().expect("text"), "tiny_funcs"]);
    let module = std::fs::read(directory.join("tiny_funcs-1024.wasm"));
    std::fs::remove_dir_all(&directory).expect("a directory");
    assert!(output.status.success(), "{output:?}");
    assert!(module.expect("a module").starts_with(b"\0asm"));
}
