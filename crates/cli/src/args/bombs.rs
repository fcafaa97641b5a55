//! `runwell bombs` on the command line.

use clap::Args;
use std::path::PathBuf;

#[derive(Args, Debug)]
pub(crate) struct Bombs {
    /// Sizes of the modules, in bytes, or with k or m behind the number
    #[arg(long, value_name = "SIZE", value_delimiter = ',', value_parser = size,
        default_value = "16k,64k,256k,1m")]
    pub(crate) sizes: Vec<usize>,
    /// Measure time in this many processes for each module, and show the least; up to five times as
    /// many where it is over a bound
    #[arg(long, value_name = "N", default_value = "3",
        value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) runs: u32,
    /// Show the least time of eight compilations in the same process, which finds memory and caches
    /// that are warm, and not that of the first
    #[arg(long)]
    pub(crate) warm: bool,
    /// Compile with metering by fuel
    #[arg(long)]
    pub(crate) metered: bool,
    /// Say what there is and what it attacks
    #[arg(long)]
    pub(crate) list: bool,
    /// Print one line of JSON for each family
    #[arg(long)]
    pub(crate) json: bool,
    /// Write the modules to this directory, as FAMILY-SIZE.wasm, instead of compiling them
    #[arg(long, value_name = "DIR", conflicts_with = "list")]
    pub(crate) emit: Option<PathBuf>,
    /// Compile the module on standard input and print its figures
    #[arg(long, hide = true)]
    pub(crate) measure: bool,
    /// Families; all, if none is named
    #[arg(value_name = "FAMILY")]
    pub(crate) families: Vec<String>,
}

/// A number of bytes: `100`, `16k` or `1m`.
fn size(text: &str) -> Result<usize, String> {
    let lower = text.to_ascii_lowercase();
    let (digits, shift) = match lower.strip_suffix(['k', 'm']) {
        Some(digits) => (digits, if lower.ends_with('k') { 10 } else { 20 }),
        None => (lower.as_str(), 0),
    };
    let number: usize = digits.parse().map_err(|_| "expected a number such as 16k".to_string())?;
    number.checked_mul(1 << shift).filter(|&n| n <= 1 << 30).ok_or("at most 1024m".to_string())
}
