//! What loads may be shared and forwarded: epochs.
//!
//! State that instructions read and write is cut into a few regions. A region's epoch is the number
//! of a moment since which it has not been written; two loads of one address in one epoch give the
//! same value. A write begins a new epoch; where paths with different epochs meet, and at the header
//! of a loop that writes, a new one begins too. There are no sets and there is no iteration.

/// A part of the state.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Region {
    /// All linear memories: two imported ones may be the same.
    Memory = 0,
    /// All globals, for the same reason.
    Globals = 1,
    /// All tables' elements.
    Tables = 2,
    /// Frame slots.
    Slots = 3,
    /// Sizes of memories and tables.
    Sizes = 4,
}

const REGIONS: usize = 5;

impl Region {
    /// Its bit in a mask.
    pub const fn bit(self) -> u32 {
        1 << self as u32
    }

    /// What a call may write: everything but frame slots.
    pub const CALL: u32 = !Region::Slots.bit();
}

/// The current epoch of each region.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default)]
pub struct Epochs([u32; REGIONS]);

impl Epochs {
    /// Those at the start of a function.
    pub const START: Epochs = Epochs([0; REGIONS]);

    pub(crate) fn of(self, region: Region) -> u32 {
        self.0[region as usize]
    }

    /// Begins a new epoch in each region of `mask`, numbered from `next`.
    pub(crate) fn renew(&mut self, mask: u32, next: &mut u32) {
        for (region, epoch) in self.0.iter_mut().enumerate() {
            if mask >> region & 1 != 0 {
                *next += 1;
                *epoch = *next;
            }
        }
    }

    /// The regions in which two moments differ, as a mask.
    pub(crate) fn differ(self, other: Epochs) -> u32 {
        (0..REGIONS).map(|r| u32::from(self.0[r] != other.0[r]) << r).sum()
    }
}
