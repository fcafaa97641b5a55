//! Every step of continuous integration, and what developers do by hand, as one command each.
//!
//! `cargo xtask STEP`: the table in [`STEPS`] is the list. A step prints what it does, and on failure
//! says which part failed and how to run that part again. Nothing is installed outside of `target/`.

#![forbid(unsafe_code)]

mod architecture;
mod budgets;
mod checks;
mod ci;
mod corpus;
mod corpus_test;
mod costs;
mod iterations;
mod process;
mod quote;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// What a step returns: the text of an error says what failed and how to go on.
type Result<T = ()> = std::result::Result<T, String>;

/// A step: its name, what it takes, what it does, and the function.
struct Step {
    name: &'static str,
    takes: &'static str,
    does: &'static str,
    run: fn(&[String]) -> Result,
}

/// All steps, in the order in which `ci` would run them.
const STEPS: &[Step] = &[
    Step { name: "fmt", takes: "[--check]", does: "format, or check the format", run: checks::fmt },
    Step { name: "clippy", takes: "", does: "lints, warnings are errors", run: checks::clippy },
    Step { name: "doc", takes: "", does: "documentation, warnings are errors", run: checks::doc },
    Step {
        name: "architecture",
        takes: "[--write]",
        does: "ARCHITECTURE.md says of each file what the file says",
        run: architecture::check,
    },
    Step {
        name: "test", takes: "[ARGS…]", does: "all tests of the workspace", run: checks::test
    },
    Step {
        name: "corpus",
        takes: "[--list] [FILTER]",
        does: "fetch and build the real programs",
        run: corpus::command,
    },
    Step {
        name: "corpus-test",
        takes: "[--fast] [--jobs N] [--runwell CMD] [FILTER]",
        does: "run them, compare with their native builds",
        run: corpus_test::command,
    },
    Step {
        name: "budgets",
        takes: "[--fast] [--runwell CMD] [FILTER]",
        does: "the shares of the compiler's budgets that real functions use",
        run: budgets::command,
    },
    Step {
        name: "quote",
        takes: "[--fast] [--fuzz COUNT] [FILTER]",
        does: "compare quotes with what compiling costs",
        run: quote::command,
    },
    Step { name: "ci", takes: "", does: "all of the above", run: ci::command },
    Step {
        name: "iterations",
        takes: "",
        does: "the compiler's steps keep up with what it executes",
        run: iterations::command,
    },
    Step {
        name: "costs",
        takes: "[--compile] [--rounds N] [--instructions] [FILTER]",
        does: "what fuel and the rules for NaNs cost over the corpus",
        run: costs::command,
    },
];

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let Some((name, rest)) = args.split_first() else {
        print!("{}", usage());
        return ExitCode::SUCCESS;
    };
    if matches!(name.as_str(), "-h" | "--help" | "help") {
        print!("{}", usage());
        return ExitCode::SUCCESS;
    }
    let Some(step) = STEPS.iter().find(|step| step.name == name) else {
        eprintln!("error: no step `{name}`\n\n{}", usage());
        return ExitCode::from(2);
    };
    match (step.run)(rest) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}

fn usage() -> String {
    let mut text = String::from("usage: cargo xtask STEP\n\n");
    for step in STEPS {
        text.push_str(&format!("  {:<12} {:<46} {}\n", step.name, step.takes, step.does));
    }
    text
}

/// The root of the checkout.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask is in the checkout").to_path_buf()
}

/// Where cargo builds: `CARGO_TARGET_DIR`, or `target/` of the checkout.
fn target_dir() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(dir) => root().join(dir),
        None => root().join("target"),
    }
}
