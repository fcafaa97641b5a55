//! Hashes and recordings as a person meets them.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const PROGRAM: &str = r#"(module
    (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
    (memory (export "memory") 1)
    (global (export "count") (mut i32) (i32.const 0))
    (func (export "_start")
        (loop
            (drop (call $random (i32.mul (global.get 0) (i32.const 16)) (i32.const 16)))
            (global.set 0 (i32.add (global.get 0) (i32.const 1)))
            (br_if 0 (i32.lt_u (global.get 0) (i32.const 50))))
        (call $exit (i32.const 7))))"#;

fn scratch(name: &str) -> PathBuf {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    _ = std::fs::remove_dir_all(&dir);
    std::fs::create_dir_all(&dir).expect("a directory");
    std::fs::write(dir.join("program.wat"), PROGRAM).expect("a file");
    dir
}

fn runwell(dir: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_runwell"));
    command.current_dir(dir).args(args).output().expect("the command starts")
}

fn state(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr);
    let state = text.lines().find_map(|line| line.strip_prefix("state: "));
    state.unwrap_or_else(|| panic!("no state: {output:?}")).to_string()
}

#[test]
fn the_hash_is_the_states() {
    let dir = scratch("hash");
    let run = |options: &[&str]| {
        let output = runwell(&dir, &[&["run", "--hash"], options, &["program.wat"]].concat());
        assert_eq!(output.status.code(), Some(7), "{output:?}");
        state(&output)
    };
    assert_eq!(run(&[]), run(&["--jobs=1", "--no-guards"]));
    assert_ne!(run(&[]), run(&["--random=real"]));
    assert_ne!(run(&[]), run(&["--fuel=100000"]));
}

#[test]
fn a_recording_runs_without_the_host() {
    let dir = scratch("replay");
    let options = ["run", "--real", "--hash", "--record=a.log", "program.wat"];
    let recorded = runwell(&dir, &options);
    assert_eq!(recorded.status.code(), Some(7), "{recorded:?}");
    let replayed = runwell(&dir, &["run", "--hash", "--replay=a.log", "program.wat"]);
    assert_eq!(replayed.status.code(), Some(7), "{replayed:?}");
    assert_eq!(state(&recorded), state(&replayed));
    let end = runwell(&dir, &["replay", "a.log"]);
    assert!(String::from_utf8_lossy(&end.stdout).contains(&state(&recorded)), "{end:?}");

    let other = runwell(&dir, &["run", "--replay=a.log", "other.wat"]);
    assert_eq!(other.status.code(), Some(74), "{other:?}");
    std::fs::write(dir.join("other.wat"), "(module (memory 1))").expect("a file");
    let other = runwell(&dir, &["run", "--replay=a.log", "other.wat"]);
    assert_eq!(other.status.code(), Some(5), "{other:?}");
    assert!(String::from_utf8_lossy(&other.stderr).contains("of another module"), "{other:?}");
}

#[test]
fn a_replay_stops_and_shows() {
    let dir = scratch("stops");
    runwell(&dir, &["run", "--record=a.log", "program.wat"]);
    let shown = runwell(&dir, &["replay", "a.log", "--until-call=11", "--memory=0xa0+32"]);
    assert!(shown.status.success(), "{shown:?}");
    let text = String::from_utf8(shown.stdout).expect("text");
    assert!(text.starts_with("stopped at import call 11\n"), "{text}");
    assert!(text.contains("global 0 count: i32 = 10\n"), "{text}");
    assert!(text.contains("memory 0: 1 pages\n000000a0  00 00 00 00"), "{text}");
    let shown = runwell(&dir, &["replay", "a.log", "--until-fuel=100"]);
    let text = String::from_utf8(shown.stdout).expect("text");
    assert!(text.starts_with("stopped after ") && text.contains("_start"), "{text}");

    let log = std::fs::read(dir.join("a.log")).expect("a log");
    std::fs::write(dir.join("torn.log"), &log[..log.len() / 2]).expect("a file");
    let torn = runwell(&dir, &["replay", "torn.log"]);
    assert_eq!(torn.status.code(), Some(3), "{torn:?}");
    assert!(String::from_utf8_lossy(&torn.stdout).contains("breaks off here"), "{torn:?}");
}

#[test]
fn a_crosscheck_says_how_far_it_went() {
    let dir = scratch("crosscheck");
    let output = runwell(&dir, &["run", "--real", "--crosscheck", "program.wat"]);
    assert_eq!(output.status.code(), Some(7), "{output:?}");
    let text = String::from_utf8_lossy(&output.stderr);
    // Fifty calls and the one that ends the program, then the end.
    assert!(text.contains("crosscheck: 52 comparisons, no difference\n"), "{text}");
}

/// With a library that shares its memory, and metered: fuel is compared as well.
#[test]
fn a_crosscheck_follows_preloaded_modules_and_fuel() {
    let dir = scratch("crosscheck-linked");
    let library = r#"(module
        (memory (export "memory") 1)
        (global $calls (mut i32) (i32.const 0))
        (func (export "note") (param i32)
            (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
            (i32.store (i32.mul (global.get $calls) (i32.const 4)) (local.get 0))))"#;
    let program = r#"(module
        (import "library" "memory" (memory 1))
        (import "library" "note" (func $note (param i32)))
        (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
        (export "memory" (memory 0))
        (func (export "_start") (local $n i32)
            (loop
                (call $note (i32.add (local.get $n) (i32.load (i32.const 4))))
                (br_if 0 (i32.lt_u
                    (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const 30))))
            (call $exit (i32.load (i32.const 40)))))"#;
    std::fs::write(dir.join("library.wat"), library).expect("a file");
    std::fs::write(dir.join("linked.wat"), program).expect("a file");
    for fuel in [&[][..], &["--fuel=100000"]] {
        let options = ["run", "--crosscheck", "--preload=library=library.wat"];
        let output = runwell(&dir, &[&options[..], fuel, &["linked.wat"]].concat());
        assert_eq!(output.status.code(), Some(9), "{output:?}");
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(text.contains("crosscheck: 2 comparisons, no difference\n"), "{text}");
    }
    // Where fuel runs out both have come to the same place.
    let options = ["run", "--crosscheck", "--preload=library=library.wat", "--fuel=100"];
    let output = runwell(&dir, &[&options[..], &["linked.wat"]].concat());
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("crosscheck: 1 comparisons, no difference\n"), "{text}");
    assert!(text.contains("all fuel consumed"), "{text}");
}
