//! `runwell quote` on the command line, and the budget of all commands that compile.

use super::Compiler;
use clap::Args;
use runwell::CompileBudget;
use std::path::PathBuf;

#[derive(Args, Debug)]
pub(crate) struct Quote {
    /// Print one line of JSON
    #[arg(long)]
    pub(crate) json: bool,
    /// Print the N functions that are quoted the most work, too
    #[arg(long, value_name = "N", num_args = 0..=1, default_missing_value = "20",
        require_equals = true)]
    pub(crate) functions: Option<usize>,
    /// Compile the module, too, and compare
    #[arg(long)]
    pub(crate) check: bool,
    #[command(flatten)]
    pub(crate) compiler: Compiler,
    /// The module, .wasm or .wat; `-` is standard input
    pub(crate) file: PathBuf,
}

/// `work=N,memory=N,code=N`, some of them.
pub(crate) fn budget(text: &str) -> Result<CompileBudget, String> {
    let mut budget = CompileBudget::UNLIMITED;
    for part in text.split(',') {
        let (name, number) = part.split_once('=').unwrap_or((part, ""));
        let limit = match name {
            "work" => &mut budget.work,
            "memory" => &mut budget.memory,
            "code" => &mut budget.code_bytes,
            _ => return Err(format!("expected work=N, memory=N or code=N, not {part:?}")),
        };
        *limit = amount(number).ok_or(format!("expected a number such as 16k after {name}="))?;
    }
    Ok(budget)
}

/// A number, with k, m or g behind it for powers of 1,024.
fn amount(text: &str) -> Option<u64> {
    let lower = text.to_ascii_lowercase();
    let (digits, shift) = match lower.strip_suffix(['k', 'm', 'g']) {
        Some(digits) => (
            digits,
            match lower.as_bytes()[digits.len()] {
                b'k' => 10,
                b'm' => 20,
                _ => 30,
            },
        ),
        None => (lower.as_str(), 0),
    };
    digits.parse::<u64>().ok()?.checked_mul(1 << shift)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn budgets_are_read() {
        let some = CompileBudget { work: 5 << 20, code_bytes: 100, ..CompileBudget::UNLIMITED };
        assert_eq!(budget("work=5m,code=100"), Ok(some));
        assert_eq!(budget("memory=2g").unwrap().memory, 2 << 30);
        for wrong in ["", "work", "work=", "work=x", "steps=5", "work=1,", "work=99999999999g"] {
            assert!(budget(wrong).is_err(), "{wrong}");
        }
    }
}
