//! `runwell run` as a person meets it: values, worlds, ends.

mod common;

use common::{Done, Person};
use std::process::Stdio;

/// Functions that give back what they get.
const SAME: &str = r#"(module
    (func (export "i32") (param i32) (result i32) local.get 0)
    (func (export "i64") (param i64) (result i64) local.get 0)
    (func (export "f32") (param f32) (result f32) local.get 0)
    (func (export "f64") (param f64) (result f64) local.get 0)
    (func (export "f32bits") (param f32) (result i32) local.get 0 i32.reinterpret_f32)
    (func (export "f64bits") (param f64) (result i64) local.get 0 i64.reinterpret_f64)
    (func (export "func") (param funcref) (result funcref) local.get 0)
    (func (export "extern") (param externref) (result externref) local.get 0)
    (func $self (export "self") (result funcref) ref.func $self)
    (func (export "none"))
    (func (export "mixed") (param i32 i64 f32 f64 externref)
        (result f64 externref i64 f32 i32)
        local.get 3 local.get 4 local.get 1 local.get 2 local.get 0))"#;

#[test]
fn values_come_out_as_they_went_in() {
    let person = Person::new();
    person.write("same.wat", SAME);
    for (func, values) in [
        ("i32", &["0", "-1", "2147483647", "-2147483648"][..]),
        ("i64", &["0", "-1", "9223372036854775807", "-9223372036854775808"]),
        ("f32", &["0.0", "-0.0", "1e-45", "-3.4028235e38", "inf", "-inf", "0.1"]),
        ("f32", &["nan:0x400000", "-nan:0x400000", "nan:0x1", "-nan:0x7fffff"]),
        ("f64", &["0.0", "-0.0", "5e-324", "1.7976931348623157e308", "inf", "-inf", "0.1"]),
        ("f64", &["nan:0x8000000000000", "-nan:0x1", "nan:0xfffffffffffff"]),
        ("func", &["null"]),
        ("extern", &["null"]),
    ] {
        for value in values {
            let done = person.run(&["run", "--invoke", func, "same.wat", value]);
            done.prints(&format!("{value}\n"));
        }
    }
    for (func, value, shown) in [
        ("i32", "0xffff_ffff", "-1"),
        ("i32", "4294967295", "-1"),
        ("i32", "-0x80000000", "-2147483648"),
        ("i64", "0x8000000000000000", "-9223372036854775808"),
        ("i64", "18446744073709551615", "-1"),
        ("f32", "16777217", "16777216.0"),
        ("f64", "1e3", "1000.0"),
        ("f32bits", "nan:0x1", "2139095041"),
        ("f32bits", "-nan", "-4194304"),
        ("f64bits", "nan:0x123", "9218868437227405603"),
    ] {
        person.run(&["run", "--invoke", func, "same.wat", value]).prints(&format!("{shown}\n"));
    }
    let args = ["run", "--invoke=mixed", "same.wat", "-7", "-8", "-nan:0x5", "-0.0", "null"];
    person.run(&args).prints("-0.0\nnull\n-8\n-nan:0x5\n-7\n");
    person.run(&["run", "--invoke=none", "same.wat"]).prints("");
    person.run(&["run", "--invoke=self", "same.wat"]).prints("funcref\n");
}

#[test]
fn wrong_values_are_named() {
    let person = Person::new();
    person.write("same.wat", SAME);
    for (func, value) in [
        ("i32", "4294967296"),
        ("i32", "-2147483649"),
        ("i32", "1.0"),
        ("i64", "18446744073709551616"),
        ("f32", "nan:0x0"),
        ("f32", "nan:0x800000"),
        ("f64", "one"),
        ("func", "0"),
        ("extern", ""),
    ] {
        let done = person.run(&["run", "--invoke", func, "same.wat", value]);
        done.fails(2, &[&format!("`{value}` is not a value of type ")]);
    }
    let none = person.run(&["run", "--invoke=i32", "same.wat"]);
    none.fails(2, &["but 0 arguments are given"]);
    person.run(&["run", "--invoke=i33", "same.wat"]).fails(2, &["did you mean `i32`?"]);
    person.run(&["run", "--invoke=zzz", "same.wat"]).fails(2, &["there are: i32, i64, "]);
}

/// Prints its arguments or its environment, each with a zero behind.
fn prints(what: &str) -> String {
    format!(
        r#"(module
            (import "wasi_snapshot_preview1" "{what}_sizes_get"
                (func $sizes (param i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "{what}_get" (func $get (param i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "fd_write"
                (func $write (param i32 i32 i32 i32) (result i32)))
            (memory (export "memory") 1)
            (func (export "_start")
                (drop (call $sizes (i32.const 0) (i32.const 20)))
                (drop (call $get (i32.const 100) (i32.const 1000)))
                (i32.store (i32.const 16) (i32.const 1000))
                (drop (call $write (i32.const 1) (i32.const 16) (i32.const 1) (i32.const 32)))))"#
    )
}

#[test]
fn the_program_sees_what_it_is_given() {
    let person = Person::new();
    person.write("args.wat", prints("args"));
    person.write("env.wat", prints("environ"));
    let args = ["args.wat", "one", "--verify", "-h", "--", "--config", ""];
    person.run(&args).prints("args.wat\0one\0--verify\0-h\0--\0--config\0\0");
    person.run(&["run", "--", "args.wat", "--"]).prints("args.wat\0--\0");
    person.run(&["--argv0=/bin/x", "args.wat", "y"]).prints("/bin/x\0y\0");
    person.run(&["env.wat"]).prints("");
    person.run(&["run", "--env=A=1=2", "--env", "B=", "env.wat"]).prints("A=1=2\0B=\0");
    let home = format!("HOME={}\0", person.path("").to_str().unwrap().trim_end_matches('/'));
    person.run(&["run", "--env=HOME", "env.wat"]).prints(&home);
    person.run(&["run", "--inherit-env", "env.wat"]).prints(&home);
    person.run(&["run", "--env=NONE", "env.wat"]).fails(2, &["--env NONE", "NAME=VALUE"]);
    person.run(&["run", "--dir=none", "env.wat"]).fails(74, &["--dir none", "`none`"]);
}

#[test]
fn modules_import_from_preloaded_ones() {
    let person = Person::new();
    person.write("lib.wat", r#"(module (func (export "six") (result i32) i32.const 6))"#);
    person.write(
        "app.wat",
        r#"(module (import "lib" "six" (func $six (result i32)))
            (func (export "get") (result i32) (i32.add (call $six) (i32.const 1))))"#,
    );
    person.run(&["run", "--preload", "lib=lib.wat", "--invoke=get", "app.wat"]).prints("7\n");
    person.run(&["compile", "lib.wat", "-o", "lib.image"]).prints("");
    person.run(&["run", "--preload=lib=lib.image", "--invoke=get", "app.wat"]).prints("7\n");
    person.run(&["run", "--invoke=get", "app.wat"]).fails(5, &["app.wat", "lib", "six"]);
    person.run(&["run", "--preload=lib", "app.wat"]).fails(2, &["expected NAME=FILE"]);
    person.run(&["run", "--preload=lib=no.wat", "app.wat"]).fails(74, &["no.wat: cannot be read"]);
}

#[test]
fn exit_codes_tell_ends_apart() {
    let person = Person::new();
    person.write(
        "exit.wat",
        r#"(module (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
            (memory (export "memory") 1)
            (func (export "_start") (call $exit (i32.const 42))))"#,
    );
    person.write("trap.wat", r#"(module (func $f unreachable) (func (export "_start") call $f))"#);
    person.write("loop.wat", r#"(module (func (export "_start") (loop $on (br $on))))"#);
    person.write("wrong.wat", "(module (func (result i32) nop))");
    person.write("text.wat", "(module (func nop)");
    person.write("simd.wat", "(module (func (drop (v128.const i64x2 0 0))))");
    person.write("import.wat", r#"(module (import "a" "b" (func)))"#);
    person.write("other", "\x7fELF");
    assert_eq!(person.run(&["exit.wat"]).code, Some(42));
    person.run(&["trap.wat"]).fails(134, &["error: wasm trap: ", "unreachable", "f"]);
    person.run(&["--fuel=1000", "loop.wat"]).fails(134, &["fuel"]);
    let charged = ["--fuel=1000", "--charge-instantiation", "large.wat"];
    person.write("large.wat", r#"(module (memory 5000) (func (export "_start")))"#);
    person.run(&charged).fails(134, &["fuel: 0 of 1000 units used", "all fuel consumed"]);
    assert_eq!(person.run(&["--fuel=6000", charged[1], charged[2]]).code, Some(0));
    let charged = ["--fuel=6000", charged[1], "--charge-compilation=1000000", charged[2]];
    person.run(&charged).fails(134, &["all fuel consumed"]);
    person.run(&["--timeout=0.1", "loop.wat"]).fails(134, &["error: "]);
    person.run(&["wrong.wat"]).fails(3, &["error: wrong.wat: "]);
    person.run(&["text.wat"]).fails(3, &["text.wat:1:19"]);
    person.run(&["other"]).fails(3, &["a native program"]);
    person.run(&["import.wat"]).fails(5, &["import.wat", "a", "b"]);
    person.run(&["missing.wasm"]).fails(74, &["missing.wasm: cannot be read"]);
    person.run(&["compil", "x.wasm"]).fails(74, &["did you mean the command `compile`?"]);
    person.run(&["--verfy", "trap.wat"]).fails(2, &["'--verify'"]);
    person.run(&["run"]).fails(2, &["<FILE>"]);
    person.run(&[]).fails(2, &["Usage"]);
}

#[test]
fn a_closed_pipe_ends_the_program_quietly() {
    let person = Person::new();
    person.write(
        "yes.wat",
        r#"(module (import "wasi_snapshot_preview1" "fd_write"
                (func $write (param i32 i32 i32 i32) (result i32)))
            (memory (export "memory") 1) (data (i32.const 100) "yes\n")
            (func (export "_start")
                (i32.store (i32.const 0) (i32.const 100))
                (i32.store (i32.const 4) (i32.const 4))
                (loop $on
                    (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
                    (br $on))))"#,
    );
    let mut command = person.command(&["yes.wat"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut start = [0; 8];
    std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut start).unwrap();
    assert_eq!(&start, b"yes\nyes\n");
    drop(child.stdout.take());
    let done = Done::from(child.wait_with_output().unwrap());
    assert_eq!((done.code, &*done.err), (Some(141), ""));
}

/// A guest that never ends does not keep the command from being interrupted.
#[test]
fn an_interrupt_ends_the_command_at_once() {
    let person = Person::new();
    person.write("loop.wat", r#"(module (func (export "_start") (loop $on (br $on))))"#);
    let mut child = person.command(&["loop.wat"]).spawn().unwrap();
    std::thread::sleep(std::time::Duration::from_millis(300));
    assert!(child.try_wait().unwrap().is_none());
    let pid = child.id().to_string();
    let sent = std::process::Command::new("kill").args(["-INT", &pid]).status().unwrap();
    assert!(sent.success());
    let status = child.wait().unwrap();
    use std::os::unix::process::ExitStatusExt;
    assert_eq!(status.signal(), Some(2));
}
