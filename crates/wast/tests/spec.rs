//! The specification's test suite: every directive counted.
//!
//! What is out of scope yet stands in `skips.txt`: script, proposal, number of directives. The table
//! can only shrink: a directive that is skipped and not in it is a failure, and so is an entry that
//! is no longer needed. `RUNWELL_BLESS=1` writes the table.
//!
//! The suite carries snapshots of version 2.0 and of proposals as they were. Where they assert what
//! version 3.0 has revoked (several memories are valid now, a table index may take several bytes),
//! the directive stands in `superseded.txt` with its script and line; nothing else may fail.
//!
//! `matrix.rs` runs the suite in all ways that may make no difference.

mod common;

use common::scripts;
use runwell::{Config, Engine};
use runwell_wast::Report;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::Path;

fn run_all(engine: &Engine) -> (Report, BTreeMap<(String, String), usize>, String) {
    let mut total = Report::default();
    let mut skips = BTreeMap::new();
    let mut failures = String::new();
    let mut superseded: BTreeSet<String> =
        include_str!("superseded.txt").lines().map(str::to_string).collect();
    for (name, file) in scripts() {
        match runwell_wast::run(engine, file.raw()) {
            Err(error) => {
                let _ = writeln!(failures, "{name}: {error:#}");
            }
            Ok(report) => {
                for failure in &report.failed {
                    if superseded.remove(&format!("{name}:{}", failure.line)) {
                        continue;
                    }
                    let _ = writeln!(
                        failures,
                        "{name}:{}:{}: {}",
                        failure.line, failure.column, failure.message
                    );
                }
                for (reason, count) in &report.skipped {
                    skips.insert((name.clone(), reason.clone()), *count);
                }
                total.add(&report);
            }
        }
    }
    for stale in superseded {
        let _ = writeln!(failures, "{stale} passes and need not be in superseded.txt");
    }
    (total, skips, failures)
}

#[test]
fn every_directive_passes_or_is_in_the_table() {
    let engine = Engine::new(Config::new().verify(true)).expect("an engine");
    let (total, skips, failures) = run_all(&engine);
    println!(
        "{} directives passed, {} superseded, {} skipped",
        total.passed,
        total.failed.len(),
        total.skipped_total()
    );
    assert!(failures.is_empty(), "{failures}");
    let table: String =
        skips.iter().map(|((name, why), count)| format!("{name}\t{why}\t{count}\n")).collect();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/skips.txt");
    if std::env::var_os("RUNWELL_BLESS").is_some() {
        std::fs::write(&path, &table).expect("the table can be written");
    }
    let known = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(table, known, "the table of skipped directives is not as it was");
}
