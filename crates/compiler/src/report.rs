//! What a compilation did and cost.

use runwell_ir::work::{Pass, Work};
use std::time::Duration;

/// What one pass did and cost, over all functions.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct PassReport {
    /// The pass.
    pub pass: Pass,
    /// Steps it was charged for.
    pub work: u64,
    /// Time it took, summed over threads; zero unless timing was asked for.
    pub time: Duration,
    /// Bytes of the data it made for the largest function; zero where it makes none of its own.
    pub peak_bytes: u64,
}

/// What a compilation did and cost.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Report {
    /// Size of the module in bytes.
    pub module_bytes: u64,
    /// Functions compiled.
    pub functions: u32,
    /// Those of them that every checker of the compiler has passed: all with
    /// [`crate::Options::verify`], none without.
    pub checked: u32,
    /// Bytes of machine code, constants and jump tables included.
    pub code_bytes: u64,
    /// Steps, per pass.
    pub work: Work,
    /// Time per pass, summed over threads, indexed by `Pass`.
    pub times: [Duration; Pass::ALL.len()],
    /// Bytes of the data each pass made for the largest function, indexed by `Pass`.
    pub peak_bytes: [u64; Pass::ALL.len()],
    /// Time from bytes to image.
    pub elapsed: Duration,
    /// The machine code was not compiled but read from an image; `elapsed` is the time that took.
    pub loaded: bool,
}

impl Report {
    /// The figures of each pass in pipeline order.
    pub fn passes(&self) -> impl Iterator<Item = PassReport> + '_ {
        Pass::ALL.iter().map(|&pass| PassReport {
            pass,
            work: self.work.spent(pass),
            time: self.times[pass as usize],
            peak_bytes: self.peak_bytes[pass as usize],
        })
    }

    /// Notes that `pass` made `bytes` of data for one function.
    pub(crate) fn peak(&mut self, pass: Pass, bytes: usize) {
        let peak = &mut self.peak_bytes[pass as usize];
        *peak = (*peak).max(bytes as u64);
    }

    /// Adds what another thread did. Times add up; peaks are the larger of both.
    pub(crate) fn add(&mut self, other: &Report) {
        self.functions += other.functions;
        self.checked += other.checked;
        self.work.add(&other.work);
        for (mine, theirs) in self.times.iter_mut().zip(other.times) {
            *mine += theirs;
        }
        for (mine, theirs) in self.peak_bytes.iter_mut().zip(other.peak_bytes) {
            *mine = (*mine).max(theirs);
        }
    }
}
