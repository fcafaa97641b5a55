//! `runwell inspect` as a person meets it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples").join(name)
}

fn inspect(func: &str, file: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_runwell"));
    command.arg("inspect").arg(format!("--func={func}")).arg(file);
    command.output().expect("the command starts")
}

#[test]
fn prints_every_stage() {
    for (func, file, name) in [
        ("fib", "fib.wat", " (fib)"),
        ("1", "fib.wat", " (fib_loop)"),
        ("$fib", "fib.wat", " (fib)"),
    ] {
        let output = inspect(func, &example(file));
        assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
        let text = String::from_utf8(output.stdout).expect("text");
        let first = text.lines().next().expect("a line");
        assert!(first.contains(name) && first.contains(" bytes of Wasm at 0x"), "{first}");
        let titles: Vec<&str> = text.lines().filter(|line| line.starts_with("== ")).collect();
        let stages = [
            "== IR after translation ==",
            "== machine instructions ==",
            "== after register allocation ==",
            "== machine code ==",
        ];
        assert_eq!(titles, stages);
        assert!(text.trim_end().lines().any(|line| line.ends_with(" ret")), "{text}");
    }
}

#[test]
fn says_which_function_there_is_not() {
    for (func, file, message) in [
        ("nope", "fib.wat", "there is no function `nope`; there is `fib`, `fib_loop`"),
        ("2", "fib.wat", "there is no function 2: the last one is 1"),
        ("-1", "fib.wat", "there is no function `-1`; there is `fib`, `fib_loop`"),
        ("memory", "hello.wat", "`memory` is no function but a memory"),
        (
            "fd_write",
            "hello.wat",
            "function 0 is imported (`fd_write` from `wasi_snapshot_preview1`), its code is not in \
             this module",
        ),
    ] {
        let file = example(file);
        let output = inspect(func, &file);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        assert!(output.stdout.is_empty(), "{output:?}");
        let wanted = format!("error: {}: {message}\n", file.display());
        assert_eq!(String::from_utf8_lossy(&output.stderr), wanted);
    }
}

#[test]
fn says_what_is_no_module() {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
    for (file, code) in [(manifest, 3), (example(""), 74), (example("missing.wasm"), 74)] {
        let output = inspect("0", &file);
        assert_eq!(output.status.code(), Some(code), "{output:?}");
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(error.starts_with(&format!("error: {}: ", file.display())), "{error}");
        assert_eq!(error.lines().count(), 1, "{error}");
    }
}
