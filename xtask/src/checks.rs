//! The steps that are cargo's: format, lints, documentation, tests.

use std::process::{Command, Stdio};

use crate::Result;
use crate::process::{cargo, must};

/// `cargo xtask fmt [--check]`
pub(crate) fn fmt(args: &[String]) -> Result {
    let mut command = cargo(&["fmt", "--all"]);
    if args.iter().any(|arg| arg == "--check") {
        command.arg("--check");
    }
    must("cargo fmt", &mut command)
}

/// `cargo xtask clippy`
pub(crate) fn clippy(_: &[String]) -> Result {
    let args =
        ["clippy", "--workspace", "--all-targets", "--locked", "--quiet", "--", "-Dwarnings"];
    must("cargo clippy", &mut cargo(&args))
}

/// `cargo xtask doc`
pub(crate) fn doc(_: &[String]) -> Result {
    let args =
        ["doc", "--workspace", "--no-deps", "--document-private-items", "--locked", "--quiet"];
    must(
        "cargo doc",
        cargo(&args).env("RUSTDOCFLAGS", "-Dwarnings -Arustdoc::private-intra-doc-links"),
    )
}

/// `cargo xtask test [ARGS…]`: with `cargo nextest` where it is installed, else with `cargo test`;
/// the examples in the documentation after them.
pub(crate) fn test(args: &[String]) -> Result {
    let nextest = cargo(&["nextest", "--version"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    // What a filter chose is not in the documentation's examples.
    if args.is_empty() {
        must("cargo test --doc", &mut with(&["test", "--workspace", "--doc", "--quiet"], args))?;
    }
    if nextest {
        must("cargo nextest", &mut with(&["nextest", "run", "--workspace", "--no-fail-fast"], args))
    } else {
        let step = ["test", "--workspace", "--all-targets", "--no-fail-fast"];
        must("cargo test", &mut with(&step, args))
    }
}

fn with(step: &[&str], args: &[String]) -> Command {
    let mut command = cargo(step);
    command.arg("--locked").args(args);
    command
}
