//! Machine-independent optimisation.
//!
//! Most of it happens while values are made: the front end asks a [`Builder`] for each value, and the
//! builder folds constants, applies algebraic rules, finds an equal value that dominates, and
//! forwards loads, before it emits an instruction. One result per rewrite, bounded depth, no fixed
//! point: the cost is constant per value.

#![forbid(unsafe_code)]

mod alias;
mod builder;
mod fold;
mod gvn;
mod memory;
mod passes;
mod simplify;

pub use builder::Builder;
pub use memory::{Epochs, Region};
pub use passes::Passes;
