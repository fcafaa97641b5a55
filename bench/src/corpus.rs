//! What `cargo xtask corpus` made, as its manifests tell.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// The root of the checkout.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("bench is in the checkout").into()
}

/// A program, and one way to run it.
#[derive(Clone)]
pub struct Run {
    pub name: String,
    pub wasm: PathBuf,
    pub native: PathBuf,
    /// What it is to print, in a file.
    pub expect: PathBuf,
    pub code: i32,
    /// `-`, `scratch`, or a directory of the host that it finds as its root.
    pub mapped: String,
    pub args: Vec<String>,
}

/// A module to compile.
pub struct Module {
    pub name: String,
    pub path: PathBuf,
}

fn manifest(name: &str) -> Result<String> {
    let path = root().join("target/corpus").join(name);
    std::fs::read_to_string(&path)
        .with_context(|| format!("cannot read {}; run `cargo xtask corpus`", path.display()))
}

/// The runs of one variant whose names contain `filter`.
///
/// # Errors
/// When there is no corpus.
pub fn runs(variant: &str, filter: &str) -> Result<Vec<Run>> {
    let text = manifest("runs.tsv")?;
    text.lines()
        .map(|line| line.split('\t').collect::<Vec<_>>())
        .filter(|fields| fields.len() >= 7 && fields[1] == variant && fields[0].contains(filter))
        .map(|fields| {
            Ok(Run {
                name: fields[0].into(),
                wasm: fields[2].into(),
                native: fields[3].into(),
                expect: fields[4].into(),
                code: fields[5].parse()?,
                mapped: fields[6].into(),
                args: fields[7..].iter().map(|&arg| arg.into()).collect(),
            })
        })
        .collect()
}

/// The modules of one variant, and of others when `published`, whose names contain `filter`, each once.
///
/// # Errors
/// When there is no corpus.
pub fn modules(variant: &str, filter: &str, published: bool) -> Result<Vec<Module>> {
    let mut modules: Vec<Module> = Vec::new();
    for run in runs(variant, "")? {
        let name = run.name.split('/').next().unwrap_or_default().to_owned();
        if name.contains(filter) && !modules.iter().any(|module| module.name == name) {
            modules.push(Module { name, path: run.wasm });
        }
    }
    if !published {
        return Ok(modules);
    }
    for line in manifest("published.tsv")?.lines() {
        if let Some((name, path)) = line.split_once('\t') {
            let name = format!("{name} (published)");
            if name.contains(filter) {
                modules.push(Module { name, path: path.into() });
            }
        }
    }
    Ok(modules)
}
