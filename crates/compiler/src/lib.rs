//! The pipeline: bytes in, an [`Image`] of machine code out. Nothing here executes.
//!
//! [`compile`] parses and validates the module, compiles its functions in batches on as many threads
//! as asked for and links them in index order, so that the bytes of the image depend on the module,
//! the options and the target alone.

#![forbid(unsafe_code)]

pub mod budget;
pub mod error;
pub mod image;
pub mod inspect;
pub mod options;
pub mod pipeline;
pub mod quote;
pub mod report;
pub mod schedule;
pub mod serialize;

pub use budget::Budget;
pub use error::Error;
pub use image::{FuncRange, Image};
pub use inspect::{
    Costs, InspectError, Inspection, Inspector, Section, Which, WhichError, inspect,
};
pub use options::Options;
pub use pipeline::{CompiledModule, Progress, Watch, compile, compile_watched, validate};
pub use quote::{Calibration, CompileBudget, FunctionQuote, InstantiationCost, Quote, quote};
pub use report::{FunctionCost, PassReport, Report, Resource, Use};
pub use runwell_abi::Target;
pub use runwell_codegen::x64::disasm::{Line, linked as disassemble};
pub use runwell_ir::work::{CancelToken, Fallback, Pass, Steps};
pub use runwell_opt::Passes;
pub use runwell_wasm::ModuleInfo;
pub use serialize::{ImageError, Key};
