//! Whether the steps that the compiler charges keep up with what it executes, by the counters of
//! source coverage. The build is one of its own, in `target/iterations`.

use crate::process::{cargo, must};
use crate::{Result, corpus, quote, target_dir};

/// The machine to build for is named, so that build scripts and macros are built without counters.
const TARGET: &str = "x86_64-unknown-linux-gnu";

/// `cargo xtask iterations`
pub(crate) fn command(args: &[String]) -> Result {
    if let Some(arg) = args.first() {
        return Err(format!("iterations: takes no `{arg}`"));
    }
    corpus::make("")?;
    let files: Vec<String> =
        quote::modules(true, "")?.iter().map(|file| file.display().to_string()).collect();
    let directory = target_dir().join("iterations").display().to_string();
    let mut command = cargo(&["test", "-p", "runwell-testkit", "--test", "iterations"]);
    command.args(["--features", "iterations", "--target", TARGET, "--target-dir", &directory]);
    command.args(["--", "--nocapture"]);
    // Names as they are, so that the test can say which function is at fault.
    let flags = "-Cinstrument-coverage -Cllvm-args=-enable-name-compression=false";
    command.env("RUSTFLAGS", flags).env("LLVM_PROFILE_FILE", "/dev/null");
    command.env("RUNWELL_MODULES", files.join("\n"));
    must("counting iterations", &mut command)
}
