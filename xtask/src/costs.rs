//! What fuel and the rules for NaNs cost, side by side over the corpus.

use crate::process::{cargo, must};
use crate::{Result, corpus};

/// `cargo xtask costs [--rounds N] [--instructions] [FILTER]`, `cargo xtask costs --compile [FILTER]`
pub(crate) fn command(args: &[String]) -> Result {
    corpus::make("")?;
    let list = corpus::dir().join("runs.tsv");
    let run = ["run", "--release", "--quiet", "-p", "runwell-testkit", "--bin", "costs", "--"];
    must("costs", cargo(&run).arg(list).args(args))
}
