//! The front end: a WebAssembly binary in, facts and SSA out.
//!
//! [`Parsed::parse`] reads and validates everything of a module but the function bodies and yields
//! a [`ModuleInfo`], which owns no part of the input but strings. A [`Translator`] then validates
//! one body and translates it to an [`runwell_ir::Function`], in one walk over its operators after
//! a cheap scan; bodies are independent of each other, so each thread may have its own translator.
//!
//! Cost is linear in the input: what a short input could blow up (declared locals, arities, values
//! carried along branches) is charged against budgets, see [`limits`] and [`scan`].

#![forbid(unsafe_code)]

pub mod body;
mod call;
mod carry;
mod charge;
pub mod const_expr;
mod control;
pub mod error;
pub mod features;
mod finish;
mod home;
mod leaves;
pub mod limits;
mod locals;
mod memory;
mod meter;
pub mod module;
pub mod names;
mod numeric;
mod operator;
mod reference;
pub mod scan;
mod second;
mod section;
mod stack;
pub mod survey;
mod table;
mod validate;

pub use body::Translator;
pub use const_expr::{ConstEnv, ConstExpr, ConstOp};
pub use error::{Error, ErrorKind, Result, WORK};
pub use limits::Limits;
pub use module::{
    DataSegment, ElementItems, ElementSegment, EntityType, Export, ExternKind, GlobalType, Import,
    MemoryType, ModuleInfo, Parsed, SegmentMode, TableType, Validation,
};
pub use runwell_opt::Passes;
