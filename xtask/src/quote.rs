//! Holds the quote against what compiling costs: the corpus, or generated modules.

use crate::corpus::{self, manifest};
use crate::process::{cargo, must};
use crate::{Result, root};
use std::collections::BTreeSet;
use std::path::PathBuf;

/// Modules above this size are left out where time is short.
const SMALL_BYTES: u64 = 2 << 20;

/// Real modules: full variants of programs, and the published ones.
pub(crate) fn modules(fast: bool, filter: &str) -> Result<Vec<PathBuf>> {
    let full = |run: &manifest::Entry| run.variant == "full";
    let mut files: BTreeSet<PathBuf> =
        manifest::runs()?.into_iter().filter(full).map(|run| run.wasm).collect();
    files.extend(manifest::modules()?.into_iter().map(|(_, path)| path));
    files.retain(|path| path.display().to_string().contains(filter));
    files.retain(|path| {
        !fast || std::fs::metadata(path).is_ok_and(|about| about.len() < SMALL_BYTES)
    });
    if files.is_empty() {
        Err("no module matches the filter".into())
    } else {
        Ok(files.into_iter().collect())
    }
}

/// `cargo xtask quote [--fast] [--fuzz COUNT] [FILTER]`
pub(crate) fn command(args: &[String]) -> Result {
    let (mut fast, mut filter, mut fuzz) = (false, String::new(), None);
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--fast" => fast = true,
            "--fuzz" => fuzz = Some(args.next().ok_or("quote: --fuzz needs a number of modules")?),
            other if other.starts_with('-') => return Err(format!("quote: no option `{other}`")),
            other => filter = other.into(),
        }
    }
    // What is built for tests is there anyway, but too slow to compare times.
    let profile = if fast { "test" } else { "release" };
    let mut tool =
        cargo(&["run", "--quiet", "--profile", profile, "-p", "runwell-testkit", "--bin", "quote"]);
    tool.arg("--").current_dir(root());
    if let Some(count) = fuzz {
        return must("quotes of generated modules", tool.args(["fuzz", count]));
    }
    corpus::make("")?;
    let what = if fast { "check-untimed" } else { "check" };
    must("quotes of the corpus", tool.arg(what).args(modules(fast, &filter)?))
}
