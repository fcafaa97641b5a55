//! Continuous integration: every check, then the tests, whose summary comes last.

use std::time::Instant;

use crate::{Result, STEPS};

/// The steps in their order, with their arguments. Cheap checks come first; the tests come last, so
/// that the last lines are the test runner's own.
const ORDER: &[(&str, &[&str])] = &[
    ("fmt", &["--check"]),
    ("architecture", &[]),
    ("clippy", &[]),
    ("doc", &[]),
    ("corpus-test", &["--fast"]),
    ("budgets", &["--fast"]),
    ("quote", &["--fast"]),
    ("test", &[]),
];

/// `cargo xtask ci`: all steps run, also after one has failed, so that one look shows everything.
pub(crate) fn command(_: &[String]) -> Result {
    let mut failures = Vec::new();
    for (name, args) in ORDER {
        let step = STEPS.iter().find(|step| step.name == *name).ok_or(format!("no step {name}"))?;
        println!("==> {name} {}", args.join(" "));
        let args: Vec<String> = args.iter().map(|&arg| arg.into()).collect();
        let started = Instant::now();
        let result = (step.run)(&args);
        let seconds = started.elapsed().as_secs();
        match result {
            // The last lines are left to the test runner.
            Ok(()) if *name == "test" => {}
            Ok(()) => eprintln!("==> {name}: passed in {seconds} s"),
            Err(message) => {
                eprintln!("==> {name}: FAILED in {seconds} s\n{message}");
                failures.push(*name);
            }
        }
    }
    if failures.is_empty() { Ok(()) } else { Err(format!("ci: failed: {}", failures.join(", "))) }
}
