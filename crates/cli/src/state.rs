//! The state of what ran: hashes and recordings.

use crate::fail::{Code, Failure};
use clap::Args;
use runwell::{Result, Store};
use runwell_crosscheck::Check;
use std::fs::File;
use std::path::{Path, PathBuf};

/// Options of `run` that are about the guest's state.
#[derive(Args, Debug)]
pub(crate) struct StateOptions {
    /// Print the hash of memories, tables, globals, segments and fuel to standard error at the end
    #[arg(long)]
    pub(crate) hash: bool,
    /// Record what the host answers, for `--replay` and `runwell replay`
    #[arg(long, value_name = "FILE", conflicts_with = "replay")]
    pub(crate) record: Option<PathBuf>,
    /// Let a recording answer instead of the host; the outcome must be the same
    #[arg(long, value_name = "FILE")]
    pub(crate) replay: Option<PathBuf>,
    /// Run the module by the meaning of its operators as well, some hundred times slower, and stop at the
    /// first difference to the machine code
    #[arg(long, conflicts_with_all = ["record", "replay"])]
    pub(crate) crosscheck: bool,
}

/// Begins what was asked for in a store in which nothing has been made yet.
pub(crate) fn begin<T: 'static>(
    options: &StateOptions,
    store: &mut Store<T>,
) -> Result<Option<Check>> {
    if let Some(path) = &options.record {
        let file = File::create(path).map_err(|error| io_error(path, &error))?;
        store.record(file)?;
    }
    if options.crosscheck { runwell_crosscheck::attach(store).map(Some) } else { Ok(None) }
}

/// Says how far the evaluator has followed.
pub(crate) fn checked(check: &Check) {
    let summary = check.summary();
    let ended = summary.ended.map_or(String::new(), |why| format!(", then no further: {why}"));
    let count = summary.compared;
    match summary.difference {
        Some(_) => eprintln!("crosscheck: a difference after {count} comparisons"),
        None => eprintln!("crosscheck: {count} comparisons, no difference{ended}"),
    }
}

/// Prints what was asked for when the guest has ended with this exit code.
pub(crate) fn ended<T>(options: &StateOptions, store: &mut Store<T>, code: u8) -> Result<()> {
    let recorded = match &options.record {
        Some(_) => store.finish_recording(&[code]).map(|_| ()),
        None => Ok(()),
    };
    if options.hash {
        eprintln!("state: {}", store.state_hash());
    }
    recorded
}

/// The error that a file cannot be opened.
pub(crate) fn io_error(path: &Path, error: &std::io::Error) -> runwell::Error {
    Failure::error(Code::Io, format!("{}: {error}", path.display()))
}
