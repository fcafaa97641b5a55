//! The corpus: real programs, built from published sources or taken as published, pinned by version
//! and checksum, in `target/corpus/`.
//!
//! | directory | holds |
//! |---|---|
//! | `tool/` | the C compiler, in a Python environment of its own, and its caches |
//! | `wasm/` | `NAME.base.wasm`, the target's optional features off; `NAME.full.wasm`, on; `published/` |
//! | `native/` | the same programs for this machine |
//! | `expect/` | what each run writes to standard output natively, and its exit code |
//! | `src/` | packages as they were downloaded |
//! | `runs.tsv`, `published.tsv` | what there is, for the tests and the benchmarks ([`manifest`]) |
//!
//! Every artefact has a stamp that hashes all that it was made from; what is up to date is not made
//! again. Nothing of other people's is kept in the repository: C sources come with crates, whose
//! checksums `corpus/sources/Cargo.lock` pins, the compiler's wheel is pinned by hash in
//! `corpus/requirements.txt`, and published modules in [`published`].

mod build;
pub(crate) mod manifest;
mod programs;
mod published;
mod stamp;
mod strip;
mod toolchain;

use std::path::PathBuf;

use crate::process;
use crate::{Result, root};

/// Where the corpus is, whatever cargo's target directory.
pub(crate) fn dir() -> PathBuf {
    root().join("target").join("corpus")
}

/// `cargo xtask corpus [--list] [FILTER]`
pub(crate) fn command(args: &[String]) -> Result {
    let mut list = false;
    let mut filter = "";
    for arg in args {
        match arg.as_str() {
            "--list" => list = true,
            other if other.starts_with('-') => return Err(format!("corpus: no option `{other}`")),
            other => filter = other,
        }
    }
    if list { show(filter) } else { make(filter) }
}

fn show(filter: &str) -> Result {
    println!("programs, built in two variants and natively:");
    for program in programs::all()?.iter().filter(|p| p.name.contains(filter)) {
        let from = program.package.map_or("corpus/", |p| p);
        println!("  {:<14} from {from}", program.name);
        for run in &program.runs {
            println!("    {:<20} {}", program.run_name(run), run.args.join(" "));
        }
    }
    println!("published modules, compiled only:");
    for module in published::ALL.iter().filter(|m| m.name.contains(filter)) {
        println!("  {:<14} {} {}, {}", module.name, module.package, module.version, module.member);
        println!("    {}", module.note);
    }
    Ok(())
}

/// Makes everything whose name contains `filter`, and the manifests of all that is there.
///
/// # Errors
/// All that failed, after everything else was made.
pub(crate) fn make(filter: &str) -> Result {
    let programs = programs::all()?;
    let wanted: Vec<_> = programs.iter().filter(|p| p.name.contains(filter)).collect();
    let mut failures = Vec::new();
    if !wanted.is_empty() {
        let zig = toolchain::install()?;
        let sources = toolchain::sources()?;
        let jobs: Vec<_> = wanted
            .iter()
            .flat_map(|program| build::Kind::ALL.iter().map(move |kind| (*program, *kind)))
            .collect();
        let built = process::parallel(&jobs, process::jobs(), |(program, kind)| {
            build::build(program, *kind, &zig, &sources)
        });
        failures.extend(built.into_iter().filter_map(Result::err));
        // One at a time: these are also the machine's first impression of how long they take.
        for program in &wanted {
            failures
                .extend(program.runs.iter().filter_map(|run| build::expect(program, run).err()));
        }
    }
    for module in published::ALL.iter().filter(|m| m.name.contains(filter)) {
        failures.extend(published::fetch(module).err());
    }
    manifest::write_all(&programs)?;
    if failures.is_empty() {
        println!("corpus: complete in {}", dir().display());
        return Ok(());
    }
    Err(format!(
        "{} steps of the corpus failed; what is done stays done, `cargo xtask corpus` goes on:\n\n{}",
        failures.len(),
        failures.join("\n\n")
    ))
}
