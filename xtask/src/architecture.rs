//! Keeps ARCHITECTURE.md true: its lists of files are the first paragraphs of the files' own module
//! documentation, and every source file is in one of them.
//!
//! A list stands between the lines `<!-- files: crates/ir -->` and `<!-- end -->`. What a file is
//! for is thus said in one place, in the file; `cargo xtask architecture --write` copies it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::{Result, root};

const OPEN: &str = "<!-- files: ";
const CLOSE: &str = "<!-- end -->";

/// `cargo xtask architecture [--write]`
pub(crate) fn check(args: &[String]) -> Result {
    let root = root();
    let path = root.join("ARCHITECTURE.md");
    let text =
        std::fs::read_to_string(&path).map_err(|e| format!("cannot read ARCHITECTURE.md: {e}"))?;
    let there = sources(&root)?;
    let (wanted, listed) = fill(&text, &there, &|file| {
        let source = std::fs::read_to_string(root.join(file));
        purpose(&source.map_err(|e| format!("cannot read {file}: {e}"))?)
            .ok_or(format!("{file} does not say what it is for: it has no module documentation"))
    })?;
    if let Some(file) = there.difference(&listed).next() {
        return Err(format!("ARCHITECTURE.md has no list for the directory of {file}"));
    }
    if wanted != text {
        if !args.iter().any(|arg| arg == "--write") {
            return Err("ARCHITECTURE.md is not what the files say of themselves; \
                        mend it by: cargo xtask architecture --write"
                .into());
        }
        std::fs::write(&path, wanted).map_err(|e| format!("cannot write ARCHITECTURE.md: {e}"))?;
    }
    println!("ARCHITECTURE.md: {} files", there.len());
    Ok(())
}

/// The source files, as paths from the root.
fn sources(root: &Path) -> Result<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    let mut pending: Vec<PathBuf> =
        ["crates", "xtask", "bench", "fuzz"].map(|dir| root.join(dir)).into();
    while let Some(dir) = pending.pop() {
        // What builds leave behind is no source, and a room may not be there.
        if dir.ends_with("target") || !dir.exists() {
            continue;
        }
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

/// The first paragraph of a file's module documentation, on one line.
fn purpose(source: &str) -> Option<String> {
    let lines = source.lines().map_while(|line| line.strip_prefix("//!"));
    let words: Vec<&str> = lines.map(str::trim).take_while(|line| !line.is_empty()).collect();
    (!words.is_empty()).then(|| words.join(" "))
}

/// The document with its lists filled in, and the files in them. A file belongs to the list with the
/// longest directory above it.
fn fill(
    text: &str,
    there: &BTreeSet<String>,
    purpose: &dyn Fn(&str) -> Result<String>,
) -> Result<(String, BTreeSet<String>)> {
    let dir_of = |line: &str| {
        let dir = line.strip_prefix(OPEN)?.strip_suffix("-->")?;
        Some(dir.trim().trim_end_matches('/').to_owned())
    };
    let dirs: Vec<String> = text.lines().filter_map(dir_of).collect();
    let owner = |file: &str| {
        let above = dirs.iter().filter(|dir| {
            file.strip_prefix(dir.as_str()).is_some_and(|rest| rest.starts_with('/'))
        });
        above.max_by_key(|dir| dir.len()).cloned()
    };
    let (mut out, mut listed) = (String::new(), BTreeSet::new());
    let mut inside = false;
    for line in text.lines() {
        inside &= line != CLOSE;
        if !inside {
            out.push_str(line);
            out.push('\n');
        }
        let Some(dir) = dir_of(line) else { continue };
        inside = true;
        for file in there.iter().filter(|file| owner(file).as_ref() == Some(&dir)) {
            let name = file[dir.len() + 1..].trim_start_matches("src/");
            out.push_str(&format!("- `{name}`: {}\n", purpose(file)?));
            listed.insert(file.clone());
        }
    }
    if inside {
        Err(format!("a list in ARCHITECTURE.md has no `{CLOSE}`"))
    } else {
        Ok((out, listed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_filled_by_the_nearest_directory() {
        let there = ["crates/a/src/x.rs", "crates/a/src/sub/y.rs", "crates/a/tests/z.rs"];
        let there: BTreeSet<String> = there.map(String::from).into();
        let text = "one\n<!-- files: crates/a -->\n- stale\n<!-- end -->\ntwo\n\
                    <!-- files: crates/a/src/sub -->\n<!-- end -->\n";
        let (filled, listed) = fill(text, &there, &|file| Ok(file.to_uppercase())).unwrap();
        assert_eq!(
            filled,
            "one\n<!-- files: crates/a -->\n- `x.rs`: CRATES/A/SRC/X.RS\n\
             - `tests/z.rs`: CRATES/A/TESTS/Z.RS\n<!-- end -->\ntwo\n\
             <!-- files: crates/a/src/sub -->\n- `y.rs`: CRATES/A/SRC/SUB/Y.RS\n<!-- end -->\n"
        );
        assert_eq!(listed, there);
        assert!(fill("<!-- files: crates/a -->\n", &there, &|_| Ok("".into())).is_err());
    }

    #[test]
    fn the_purpose_is_the_first_paragraph() {
        assert_eq!(purpose("//! One\n//! two.\n//!\n//! Three.\n").as_deref(), Some("One two."));
        assert_eq!(purpose("fn main() {}\n"), None);
    }
}
