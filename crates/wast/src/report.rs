//! What running a script gave.

use crate::script::Stop;
use runwell::StateHash;
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

    /// Counts a directive at this line and column.
    pub(crate) fn count(&mut self, result: Result<(), Stop>, (line, column): (usize, usize)) {
        match result {
            Ok(()) => self.passed += 1,
            Err(Stop::Skipped(reason)) => *self.skipped.entry(reason).or_default() += 1,
            Err(Stop::Failed(message)) => self.failed.push(Failure { line, column, message }),
        }
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

/// What one directive came to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Step {
    /// Its line, from 1.
    pub line: usize,
    /// It did what the script says.
    pub passed: bool,
    /// Values, bit by bit, and messages: all that can be seen of the guest.
    pub seen: String,
    /// The fuel left then, if the engine meters.
    pub fuel: Option<u64>,
}

/// What running a script gave, step by step: to be compared with other runs.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Trace {
    /// The outcome.
    pub report: Report,
    /// One for each directive.
    pub steps: Vec<Step>,
    /// The images of all modules that were compiled, in order.
    pub images: Vec<Vec<u8>>,
    /// The state of the store at the end, in which everything is that the script made.
    pub state: Option<StateHash>,
}
