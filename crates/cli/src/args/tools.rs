//! Commands that look at modules, on the command line.

use super::{Compiler, ImageKey};
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

#[derive(Args, Debug)]
pub(crate) struct Objdump {
    /// Only this function, by index or name; may be repeated
    #[arg(long = "func", value_name = "N|NAME")]
    pub(crate) funcs: Vec<String>,
    /// List the instructions that may trap, and why, instead of the code
    #[arg(long)]
    pub(crate) traps: bool,
    #[command(flatten)]
    pub(crate) image_key: ImageKey,
    #[command(flatten)]
    pub(crate) compiler: Compiler,
    /// The module: .wasm, .wat, or what `runwell compile` made
    pub(crate) file: PathBuf,
}

#[derive(Args, Debug)]
pub(crate) struct Explore {
    /// Write the page to this file; `-` is standard output
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: PathBuf,
    /// Show machine instructions before and after register allocation as well
    #[arg(long)]
    pub(crate) stages: bool,
    /// Only this function, by index or name; may be repeated
    #[arg(long = "func", value_name = "N|NAME")]
    pub(crate) funcs: Vec<String>,
    #[command(flatten)]
    pub(crate) compiler: Compiler,
    /// The module: .wasm, .wat, or what `runwell compile` made
    pub(crate) file: PathBuf,
}
