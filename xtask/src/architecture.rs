//! Keeps ARCHITECTURE.md true: every file that it names is there, and every source file is named.
//!
//! A name is text between backquotes that ends in `.rs` and stands under the last path in a heading
//! or is a path from the root itself. The document gives files as `crates/ir/src/entity.rs`, or as
//! `entity.rs` under a heading that contains `crates/ir`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::{Result, root};

/// `cargo xtask architecture`
pub(crate) fn check(_: &[String]) -> Result {
    let root = root();
    let text = std::fs::read_to_string(root.join("ARCHITECTURE.md"))
        .map_err(|e| format!("cannot read ARCHITECTURE.md: {e}"))?;
    let there = sources(&root)?;
    let named = named(&text, &there);

    let mut problems: Vec<String> = Vec::new();
    for name in &named.unknown {
        problems.push(format!("ARCHITECTURE.md names `{name}`, and there is no such file"));
    }
    for path in there.difference(&named.known) {
        problems.push(format!("{path} is not in ARCHITECTURE.md"));
    }
    if problems.is_empty() {
        println!("ARCHITECTURE.md: {} files, each named", there.len());
        return Ok(());
    }
    Err(problems.join("\n"))
}

/// The source files, as paths from the root.
fn sources(root: &Path) -> Result<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    let mut pending: Vec<PathBuf> = ["crates", "xtask"].map(|dir| root.join(dir)).into();
    while let Some(dir) = pending.pop() {
        let entries = std::fs::read_dir(&dir).map_err(|e| format!("{}: {e}", dir.display()))?;
        for entry in entries {
            let path = entry.map_err(|e| format!("{}: {e}", dir.display()))?.path();
            if path.is_dir() {
                pending.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let relative = path.strip_prefix(root).unwrap_or(&path);
                found.insert(relative.to_string_lossy().into_owned());
            }
        }
    }
    Ok(found)
}

#[derive(Default)]
struct Named {
    known: BTreeSet<String>,
    unknown: BTreeSet<String>,
}

fn named(text: &str, there: &BTreeSet<String>) -> Named {
    let mut named = Named::default();
    let mut heading = String::new();
    let mut fenced = false;
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        }
        if fenced {
            continue;
        }
        let quoted: Vec<&str> = line.split('`').skip(1).step_by(2).collect();
        if line.starts_with('#') {
            let dir = quoted.iter().find(|q| there.iter().any(|p| under(p, q)));
            if let Some(dir) = dir {
                heading = dir.trim_end_matches('/').to_owned();
            }
        }
        for name in quoted {
            for name in expand(name) {
                if !name.ends_with(".rs") {
                    continue;
                }
                let candidates =
                    [name.clone(), format!("{heading}/{name}"), format!("{heading}/src/{name}")];
                match candidates.iter().find(|path| there.contains(*path)) {
                    Some(path) => named.known.insert(path.clone()),
                    None => named.unknown.insert(name),
                };
            }
        }
    }
    named
}

fn under(path: &str, dir: &str) -> bool {
    let dir = dir.trim_end_matches('/');
    !dir.is_empty() && path.strip_prefix(dir).is_some_and(|rest| rest.starts_with('/'))
}

/// `a/{b,c}.rs` is two names.
fn expand(name: &str) -> Vec<String> {
    let braces = name.split_once('{').and_then(|(before, rest)| {
        rest.split_once('}').map(|(inside, after)| (before, inside, after))
    });
    match braces {
        Some((before, inside, after)) => {
            inside.split(',').map(|part| format!("{before}{}{after}", part.trim())).collect()
        }
        None => vec![name.to_owned()],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_under_headings() {
        let there = ["crates/ir/src/a.rs", "crates/ir/src/b/c.rs", "xtask/src/main.rs"];
        let there: BTreeSet<String> = there.map(String::from).into();
        let text = "## The IR: `crates/ir`\n- `a.rs` does\n- `b/{c,d}.rs`\n```\n`no.rs`\n```\n\
                    # else\n`xtask/src/main.rs`";
        let named = named(text, &there);
        assert_eq!(named.known, there);
        assert_eq!(named.unknown, ["b/d.rs".to_owned()].into());
    }
}
