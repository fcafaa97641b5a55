//! Test scripts in the format of the WebAssembly specification's test suite.
//!
//! [`run`] executes a script directive by directive and counts every one of them: passed, failed, or
//! skipped because it needs a proposal that is not implemented. [`Script::trace`] tells what each of them
//! came to, for runs in several ways that must not differ. A directive is never skipped
//! silently, and nothing is skipped for another reason: the module it names, or one it links
//! against, was refused as unsupported.

#![forbid(unsafe_code)]

mod report;
mod runner;
mod script;
mod spectest;
mod values;

pub use report::{Failure, Report, Step, Trace};
pub use script::{Script, with_script};

/// Runs the script `text` on `engine`.
///
/// # Errors
/// When the text is not a script.
pub fn run(engine: &runwell::Engine, text: &str) -> Result<Report, runwell::Error> {
    with_script(text, |script| script.run(engine))?
}
