//! What running a script gave.

use std::collections::BTreeMap;

/// A directive that did not do what the script says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Failure {
    /// Line of the directive, from 1.
    pub line: usize,
    /// Column of the directive, from 1.
    pub column: usize,
    /// What was expected and what was found.
    pub message: String,
}

/// What running a script gave. Every directive is counted once.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Report {
    /// Directives that did what the script says.
    pub passed: usize,
    /// Directives that did not.
    pub failed: Vec<Failure>,
    /// Directives that were not tried, by the proposal they need.
    pub skipped: BTreeMap<String, usize>,
}

impl Report {
    /// Directives that were not tried.
    pub fn skipped_total(&self) -> usize {
        self.skipped.values().sum()
    }

    /// Adds the outcome of another script.
    pub fn add(&mut self, other: &Report) {
        self.passed += other.passed;
        self.failed.extend(other.failed.iter().cloned());
        for (reason, count) in &other.skipped {
            *self.skipped.entry(reason.clone()).or_default() += count;
        }
    }
}
