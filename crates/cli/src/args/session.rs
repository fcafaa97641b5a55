//! Commands about the command itself, on the command line.

use super::{CacheArgs, Compiler, ImageKey};
use clap::Args;

#[derive(Args, Debug)]
pub(crate) struct Settings {
    /// Print one line of JSON
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) cache: CacheArgs,
    #[command(flatten)]
    pub(crate) key: ImageKey,
    #[command(flatten)]
    pub(crate) compiler: Compiler,
}

#[derive(Args, Debug)]
pub(crate) struct Completions {
    /// The shell
    #[arg(value_enum)]
    pub(crate) shell: clap_complete::Shell,
}
