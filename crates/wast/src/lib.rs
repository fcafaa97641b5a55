//! Test scripts in the format of the WebAssembly specification's test suite.
//!
//! [`run`] executes a script directive by directive and counts every one of them: passed, failed, or
//! skipped because it needs a proposal that is not implemented. A directive is never skipped
//! silently, and nothing is skipped for another reason: the module it names, or one it links
//! against, was refused as unsupported.

#![forbid(unsafe_code)]

mod report;
mod runner;
mod spectest;
mod values;

pub use report::{Failure, Report};
pub use runner::run;
