//! `runwell compile` and `runwell validate` on the command line.

use super::{Compiler, ImageKey, Stats};
use clap::Args;
use std::path::PathBuf;

#[derive(Args, Debug)]
pub(crate) struct Compile {
    /// Write the compiled module to this file, which `runwell FILE` runs; `-` is standard output
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Print what compiling did and cost
    #[arg(long, value_enum, value_name = "FORMAT", require_equals = true)]
    pub(crate) stats: Option<Stats>,
    #[command(flatten)]
    pub(crate) image_key: ImageKey,
    #[command(flatten)]
    pub(crate) compiler: Compiler,
    /// The module, .wasm or .wat; `-` is standard input
    pub(crate) file: PathBuf,
}

#[derive(Args, Debug)]
pub(crate) struct Validate {
    #[command(flatten)]
    pub(crate) compiler: Compiler,
    /// The modules, .wasm or .wat
    #[arg(required = true)]
    pub(crate) files: Vec<PathBuf>,
}
