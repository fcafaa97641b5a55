//! Allocators that programs may install: [`Counting`] for tests and tools that want to know what
//! something takes, [`LargePages`] for what works on large arrays.
//!
//! Both leave the work to the system.

mod counting;
mod large;

pub use counting::{Counting, blocks, now, peak};
pub use large::LargePages;
