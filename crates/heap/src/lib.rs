//! Allocators that programs may install: [`Counting`] for tests and tools that want to know what
//! something takes, [`LargePages`] for what works on large arrays.
//!
//! Both pass everything on to the system's allocator.

mod counting;
mod large;

pub use counting::{Counting, blocks, now, peak};
pub use large::LargePages;
