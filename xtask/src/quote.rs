//! Holds the quote against what compiling the corpus costs: never exceeded, and how close it comes.

use crate::corpus::{self, manifest};
use crate::process::{cargo, finish, must};
use crate::{Result, target_dir};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// Longer than compiling any of them takes.
const LIMIT: Duration = Duration::from_secs(300);

/// Quotes of real programs should be at most so many times the truth.
const GOAL: f64 = 4.0;

/// The figures, by their names in the report.
const FIGURES: [&str; 3] = ["work", "code_bytes", "memory"];

/// `cargo xtask quote [--runwell FILE] [FILTER]`
pub(crate) fn command(args: &[String]) -> Result {
    let (mut runwell, mut filter) = (None, String::new());
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--runwell" => runwell = args.next().map(PathBuf::from),
            other if other.starts_with('-') => return Err(format!("quote: no option `{other}`")),
            other => filter = other.into(),
        }
    }
    corpus::make("")?;
    let runwell = match runwell {
        Some(file) => file,
        None => {
            must("building runwell", &mut cargo(&["build", "--release", "-p", "runwell-cli"]))?;
            target_dir().join("release/runwell")
        }
    };
    // One program may be run in several ways.
    let mut modules = BTreeMap::new();
    for run in manifest::runs()? {
        modules.insert(format!("{} {}", run.name, run.variant), run.wasm);
    }
    modules.extend(manifest::modules()?);
    modules.retain(|name, _| name.contains(&filter));

    println!(
        "{:<28} {:>8} {:>8} {:>8}  times the truth; ! is over {GOAL}",
        "", "work", "code", "memory"
    );
    let mut worst = [(0.0, String::new()), (0.0, String::new()), (0.0, String::new())];
    let (mut seen, mut failed) = (PathBuf::new(), 0);
    for (name, path) in &modules {
        if *path == seen {
            continue;
        }
        seen.clone_from(path);
        match check(&runwell, path) {
            Ok(ratios) => {
                let mut line = format!("{name:<28}");
                for (ratio, worst) in ratios.iter().zip(&mut worst) {
                    let mark = if *ratio > GOAL { '!' } else { ' ' };
                    line += &format!(" {ratio:>7.2}{mark}");
                    if *ratio > worst.0 {
                        *worst = (*ratio, name.clone());
                    }
                }
                println!("{line}");
            }
            Err(message) => {
                println!("{name:<28} FAILED: {message}");
                failed += 1;
            }
        }
    }
    for (figure, (ratio, name)) in FIGURES.iter().zip(&worst) {
        println!("{figure}: at most {ratio:.2} times the truth, for {name}");
    }
    match (failed, modules.len()) {
        (0, 0) => Err("quote: nothing matches the filter".into()),
        (0, _) => Ok(()),
        _ => Err("quote: failures above; again: cargo xtask quote NAME".into()),
    }
}

/// How many times the truth each figure of a module's quote is.
fn check(runwell: &Path, module: &Path) -> Result<[f64; 3]> {
    let mut command = Command::new(runwell);
    command.args(["quote", "--check", "--json"]).arg(module);
    let done = finish(&mut command, LIMIT)?;
    let text = String::from_utf8_lossy(&done.stdout);
    if done.code != 0 {
        return Err(format!("exit code {}: {}", done.code, String::from_utf8_lossy(&done.stderr)));
    }
    // Without memory where the kernel does not tell.
    Ok(FIGURES.map(|figure| number(&text, &format!("\"{figure}_ratio\":")).unwrap_or(0.0)))
}

/// The number behind `key`.
fn number(text: &str, key: &str) -> Option<f64> {
    let start = text.find(key)? + key.len();
    let rest = &text[start..];
    let end = rest.find([',', '}']).unwrap_or(rest.len());
    rest[..end].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_found() {
        let text = r#"{"work":5,"work_ratio":1.25,"memory_ratio":3}"#;
        assert_eq!(number(text, "\"work_ratio\":"), Some(1.25));
        assert_eq!(number(text, "\"memory_ratio\":"), Some(3.0));
        assert_eq!(number(text, "\"code_ratio\":"), None);
    }
}
