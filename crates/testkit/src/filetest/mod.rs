//! Tests in files that carry their expectation.
//!
//! ```text
//! ; test: eval
//! ; run: f0(7:i32, 0:i32)
//! func 0 sig0 (i32, i32) -> (i32) {
//! ...
//! }
//! ; ----
//! f0(7:i32, 0:i32): trap IntegerDivisionByZero
//! ```
//!
//! The first line names the kind of test ([`kinds`]), comments of the form `; key: value` give it
//! options, the line `; ----` ends the input, and what follows is the outcome. A name that ends in
//! `.wat` says that the input is a module in text form, `.ir` the text form of the IR.
//! `RUNWELL_BLESS=1` writes the outcome of today into the files.

mod diff;
mod env;
pub mod kinds;
mod rebuild;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// The line between input and expectation.
const SEPARATOR: &str = "; ----";

/// The input of a test.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Case {
    /// The kind of test that the header names.
    pub kind: String,
    /// Options: keys and values, in order.
    pub options: Vec<(String, String)>,
    /// The text up to the separator, header included.
    pub input: String,
    /// True if it is a module in text form, false if it is IR.
    pub wat: bool,
    /// What is expected.
    pub expected: String,
}

/// `; key: value` with a key of one word.
fn option(line: &str) -> Option<(String, String)> {
    let text = line.trim_start().strip_prefix(';')?.trim_start_matches(';').trim();
    let (key, value) = text.split_once(": ")?;
    let word = !key.is_empty() && key.bytes().all(|b| b.is_ascii_lowercase() || b == b'-');
    word.then(|| (key.to_string(), value.trim().to_string()))
}

impl Case {
    /// Splits the text of a test file.
    ///
    /// # Errors
    /// When there is no header.
    pub fn parse(text: &str, wat: bool) -> Result<Case, String> {
        let mut lines = text.lines();
        let header = lines.next().and_then(option).filter(|(key, _)| key == "test");
        let Some((_, kind)) = header else {
            return Err("the first line is not `; test: KIND`".to_string());
        };
        let mut input = String::new();
        let mut expected = String::new();
        let mut behind = false;
        for line in text.lines() {
            if !behind && line == SEPARATOR {
                behind = true;
            } else {
                let part = if behind { &mut expected } else { &mut input };
                part.push_str(line.trim_end());
                part.push('\n');
            }
        }
        let options = input.lines().skip(1).filter_map(option).collect();
        Ok(Case { kind, options, input, wat, expected })
    }

    /// The values given for `key`, in order.
    pub fn values<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a str> {
        self.options.iter().filter(move |(k, _)| k == key).map(|(_, value)| value.as_str())
    }

    /// The file's text with `outcome` as the expectation.
    fn with(&self, outcome: &str) -> String {
        format!("{}{SEPARATOR}\n{outcome}", self.input)
    }
}

/// An outcome as it stands in a file: no trailing blanks, a newline at its end.
fn tidy(outcome: &str) -> String {
    let mut text = String::new();
    for line in outcome.trim_end().lines() {
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// Runs the test in one file. With `bless` the file gets today's outcome.
///
/// # Errors
/// When the test cannot be run, or with a difference when the outcome is another.
pub fn run_file(path: &Path, bless: bool) -> Result<(), String> {
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
    let case = Case::parse(&text, path.extension().is_some_and(|ext| ext == "wat"))?;
    let outcome = tidy(&kinds::run(&case)?);
    if outcome == case.expected {
        return Ok(());
    }
    if bless {
        return std::fs::write(path, case.with(&outcome)).map_err(|error| error.to_string());
    }
    Err(diff::lines(&case.expected, &outcome))
}

/// The test files below `dir`, in order.
///
/// # Errors
/// When a directory cannot be read.
pub fn files(dir: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut todo = vec![dir.to_path_buf()];
    while let Some(dir) = todo.pop() {
        for entry in std::fs::read_dir(dir)? {
            let path = entry?.path();
            if path.is_dir() {
                todo.push(path);
            } else if path.extension().is_some_and(|ext| ext == "wat" || ext == "ir") {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

/// Runs all tests below `dir`; how many there are.
///
/// # Errors
/// With the name and the difference of each that failed.
pub fn run_all(dir: &Path, bless: bool) -> Result<usize, String> {
    let files = files(dir).map_err(|error| format!("{}: {error}", dir.display()))?;
    let mut failures = String::new();
    let mut failed = 0;
    for file in &files {
        if let Err(error) = run_file(file, bless) {
            failed += 1;
            let name = file.strip_prefix(dir).unwrap_or(file);
            let _ = writeln!(failures, "{}:\n{error}", name.display());
        }
    }
    if failed == 0 {
        return Ok(files.len());
    }
    Err(format!("{failed} of {} tests failed\n\n{failures}", files.len()))
}

/// Whether `RUNWELL_BLESS` asks for today's outcomes.
pub fn bless() -> bool {
    std::env::var("RUNWELL_BLESS").is_ok_and(|value| value == "1")
}
