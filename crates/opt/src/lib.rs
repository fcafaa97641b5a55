//! Machine-independent optimisation.
//!
//! Most of it happens while values are made: the front end asks a [`Builder`] for each value, and the
//! builder folds constants, applies algebraic rules, finds an equal value that dominates, and
//! forwards loads, before it emits an instruction. One result per rewrite, bounded depth, no fixed
//! point: the cost is constant per value.
//!
//! # Complexity
//! Constant per value, a step of `Pass::Translate` each: rules look at operands and their operands and
//! are tried again four times at most; tables of values and constants are probed at a fixed number of
//! places, so that keys that collide are missed instead of searched; leaving a scope undoes what was
//! entered in it. Redundant parameters are resolved by halving paths, in one sweep at the end.
//! [`Builder::economize`] is the cheaper way: nothing of this is tried any more.

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
