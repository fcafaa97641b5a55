//! Value numbering: an equal value that dominates, if there is one in reach.
//!
//! A table of a size that is fixed when a function begins holds keys and values of the scopes that are
//! open; scopes are those of the dominator tree, which structured control gives for free. Leaving a
//! scope undoes its entries. A look-up probes [`WAYS`] neighbouring places and gives up, and an entry
//! without a free place overwrites: collisions cost sharing, never time, so that an attacker who knows
//! the hash gains nothing.
//!
//! # Complexity
//! Constant per look-up, entry and undone entry.

use runwell_ir::scratch;
use runwell_ir::{Inst, Value};

/// Places a key may be in.
const WAYS: usize = 4;

/// Places of the table, at the least and at the most: more than the values in reach of most functions.
/// A small function gets a small table, which stays in the nearest cache and, in a small module, on few
/// fresh pages.
const SLOTS: core::ops::RangeInclusive<usize> = 1 << 7..=1 << 12;

#[derive(Copy, Clone, Debug)]
struct Entry {
    key: Inst,
    epoch: u32,
    value: Value,
    /// The function this is of.
    stamp: u32,
}

const EMPTY: Entry = Entry { key: Inst::NOP, epoch: 0, value: Value::NONE, stamp: 0 };

/// The table of values in reach.
#[derive(Debug)]
pub(crate) struct Gvn {
    slots: Vec<Entry>,
    /// Places in use by the function, less one. The others are of functions that were larger.
    mask: usize,
    stamp: u32,
    /// What entries of open scopes have overwritten.
    undo: Vec<(u32, Entry)>,
    /// Length of `undo` at the start of each open scope.
    scopes: Vec<u32>,
}

impl Default for Gvn {
    fn default() -> Gvn {
        let slots = vec![EMPTY; *SLOTS.start()];
        Gvn { mask: slots.len() - 1, slots, stamp: 0, undo: Vec::new(), scopes: Vec::new() }
    }
}

fn hash(key: &Inst, epoch: u32) -> usize {
    // Fixed odd constants, one multiplication per word: fast and the same everywhere.
    let head = u64::from(key.op as u8) | u64::from(key.ty as u8) << 8 | u64::from(key.aux) << 16;
    let mut h = (head | u64::from(key.a) << 32).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    h = (h ^ (h >> 29) ^ (u64::from(key.b) | u64::from(key.c) << 32))
        .wrapping_mul(0xbf58_476d_1ce4_e5b9);
    h ^= u64::from(epoch).wrapping_mul(0x94d0_49bb_1331_11eb);
    (h >> 40) as usize
}

impl Gvn {
    /// Forgets everything, in constant time but for one clearing every 2^32 functions. The table is of
    /// the least size, until [`Gvn::expect`] says otherwise.
    pub(crate) fn begin(&mut self) {
        self.mask = SLOTS.start() - 1;
        self.undo.clear();
        self.scopes.clear();
        self.stamp = match self.stamp.checked_add(1) {
            Some(stamp) => stamp,
            None => {
                self.slots.fill(EMPTY);
                1
            }
        };
    }

    /// Makes the table as large as suits a function of so many instructions, of which few are in reach
    /// at one time. Nothing has been entered yet, and what is found depends on this number only, not on
    /// functions before.
    pub(crate) fn expect(&mut self, insts: usize) {
        let slots = (insts / 2).clamp(*SLOTS.start(), *SLOTS.end()).next_power_of_two();
        if self.slots.len() < slots {
            self.slots = vec![EMPTY; slots];
        }
        self.mask = slots - 1;
    }

    /// Bytes of memory that undoing takes, whether it is in use or not.
    pub(crate) fn held(&self) -> usize {
        scratch::held(&self.undo) + scratch::held(&self.scopes)
    }

    /// Gives this memory back, when no scope is open.
    pub(crate) fn trim(&mut self) {
        (self.undo, self.scopes) = (Vec::new(), Vec::new());
    }

    pub(crate) fn push_scope(&mut self) {
        self.scopes.push(self.undo.len() as u32);
    }

    pub(crate) fn pop_scope(&mut self) {
        let start = self.scopes.pop().expect("a scope is open") as usize;
        for (slot, entry) in self.undo.drain(start..).rev() {
            self.slots[slot as usize] = entry;
        }
    }

    /// The value of an equal key in an open scope.
    pub(crate) fn find(&self, key: &Inst, epoch: u32) -> Option<Value> {
        let home = hash(key, epoch);
        (0..WAYS).find_map(|way| {
            let entry = &self.slots[(home + way) & self.mask];
            (entry.stamp == self.stamp && entry.key == *key && entry.epoch == epoch)
                .then_some(entry.value)
        })
    }

    /// Enters a key, over an equal one or where there is room, else over the one at home.
    pub(crate) fn insert(&mut self, key: Inst, epoch: u32, value: Value) {
        let home = hash(&key, epoch) & self.mask;
        let mut slot = home;
        for way in 0..WAYS {
            let at = (home + way) & self.mask;
            let entry = &self.slots[at];
            if entry.stamp != self.stamp || (entry.key == key && entry.epoch == epoch) {
                slot = at;
                break;
            }
        }
        if !self.scopes.is_empty() {
            self.undo.push((slot as u32, self.slots[slot]));
        }
        self.slots[slot] = Entry { key, epoch, value, stamp: self.stamp };
    }
}
