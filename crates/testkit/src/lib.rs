//! How we know: generated modules, an oracle that runs them by the meaning of the IR, and the
//! comparison with machine code.
//!
//! [`generate`] makes modules by wasm-smith, [`program`] modules that try the back end harder, [`wide`]
//! modules that move many values at a time, with a meaning of their own. A [`subject::Subject`] runs one, [`differential`] compares several of them, [`variants`] are all
//! ways in which runwell compiles, and [`reduce`] makes a module that shows a difference small.

#![forbid(unsafe_code)]

pub mod chains;
pub mod differential;
pub mod filetest;
pub mod generate;
pub mod linked;
pub mod program;
pub mod quotes;
pub mod reduce;
pub mod storm;
pub mod subject;
pub mod sweep;
pub mod variants;

pub mod wide;
pub use runwell_crosscheck::{count, oracle};

/// Whether what a module does may depend on the bits of the NaNs that its operations make.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Nans {
    /// It may: they are the same on all of runwell's ways.
    Seen,
    /// It replaces them where their bits can be seen, so that other engines can be compared with.
    Masked,
}

/// A small deterministic generator of pseudo-random numbers (splitmix64; Steele et al. 2014).
#[derive(Clone, Debug)]
pub struct Rng(pub u64);

impl Rng {
    /// The next number.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `n`, which is not 0.
    pub fn below(&mut self, n: u64) -> u64 {
        self.next_u64() % n
    }

    /// True once in `n` times.
    pub fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    /// One of `items`, of which there is one.
    pub fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len() as u64) as usize]
    }

    /// Pseudo-random bytes.
    pub fn bytes(&mut self, len: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(len + 8);
        while bytes.len() < len {
            bytes.extend_from_slice(&self.next_u64().to_le_bytes());
        }
        bytes.truncate(len);
        bytes
    }
}
