//! Commands that look at modules, on the command line.

use super::Compiler;
use clap::Args;
use std::path::PathBuf;

#[derive(Args, Debug)]
pub(crate) struct Wast {
    #[command(flatten)]
    pub(crate) compiler: Compiler,
    /// The scripts
    #[arg(required = true)]
    pub(crate) files: Vec<PathBuf>,
}

#[derive(Args, Debug)]
pub(crate) struct Inspect {
    /// Index or name of the function
    #[arg(long, value_name = "N|NAME")]
    pub(crate) func: String,
    #[command(flatten)]
    pub(crate) compiler: Compiler,
    /// The module, .wasm or .wat
    pub(crate) file: PathBuf,
}
