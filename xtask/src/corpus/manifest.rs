//! What the corpus consists of, as tab-separated text that other programs read: the test and the
//! benchmarks.
//!
//! `runs.tsv`, a line per run and variant: name, variant, module, native build, expected output,
//! expected exit code, mapped directory (`-` for none, `scratch` for an empty one), arguments.
//! `published.tsv`, a line per module: name, module. Paths are absolute.

use std::path::PathBuf;

use super::build::{Kind, artefact, expected};
use super::programs::{Mapped, Program};
use super::{dir, published};
use crate::process::{read, write};
use crate::{Result, root};

/// One line of `runs.tsv`.
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) variant: String,
    pub(crate) wasm: PathBuf,
    pub(crate) expect: PathBuf,
    pub(crate) code: i32,
    pub(crate) mapped: String,
    pub(crate) args: Vec<String>,
}

/// Writes both files, of what is there.
///
/// # Errors
/// When they cannot be written.
pub(crate) fn write_all(programs: &[Program]) -> Result {
    let mut runs = String::new();
    for program in programs {
        for run in &program.runs {
            let expect = expected(program, run);
            let Ok(code) = std::fs::read_to_string(expect.with_extension("code")) else { continue };
            let mapped = match run.mapped {
                Mapped::Nothing => "-".into(),
                Mapped::Scratch => "scratch".into(),
                Mapped::Scripts(s) => root().join("corpus").join(s).display().to_string(),
            };
            for kind in Kind::WASM {
                let wasm = artefact(program, *kind);
                if !wasm.exists() {
                    continue;
                }
                let native = artefact(program, Kind::Native);
                let mut line = vec![
                    program.run_name(run),
                    kind.name().into(),
                    wasm.display().to_string(),
                    native.display().to_string(),
                    expect.display().to_string(),
                    code.clone(),
                    mapped.clone(),
                ];
                line.extend(run.args.iter().map(|&arg| arg.into()));
                runs.push_str(&line.join("\t"));
                runs.push('\n');
            }
        }
    }
    write(&dir().join("runs.tsv"), runs.as_bytes())?;
    let mut modules = String::new();
    for module in published::ALL {
        let path = published::path(module);
        if path.exists() {
            modules.push_str(&format!("{}\t{}\n", module.name, path.display()));
        }
    }
    write(&dir().join("published.tsv"), modules.as_bytes())
}

/// Reads `runs.tsv`.
///
/// # Errors
/// When there is none, or a line is damaged.
pub(crate) fn runs() -> Result<Vec<Entry>> {
    let path = dir().join("runs.tsv");
    let text = String::from_utf8_lossy(&read(&path)?).into_owned();
    text.lines()
        .map(|line| {
            let mut fields = line.split('\t').map(String::from);
            let mut next = || fields.next().ok_or_else(|| format!("{}: {line}", path.display()));
            let (name, variant, wasm) = (next()?, next()?, next()?.into());
            let (_native, expect) = (next()?, next()?.into());
            let code = next()?.parse().map_err(|e| format!("{}: {line}: {e}", path.display()))?;
            let mapped = next()?;
            Ok(Entry { name, variant, wasm, expect, code, mapped, args: fields.collect() })
        })
        .collect()
}

/// Reads `published.tsv`: names and paths.
///
/// # Errors
/// When there is none.
pub(crate) fn modules() -> Result<Vec<(String, PathBuf)>> {
    let text = String::from_utf8_lossy(&read(&dir().join("published.tsv"))?).into_owned();
    Ok(text
        .lines()
        .filter_map(|line| line.split_once('\t'))
        .map(|(name, path)| (name.into(), path.into()))
        .collect())
}
