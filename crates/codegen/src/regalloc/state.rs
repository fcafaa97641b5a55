//! The forward walk: its state, and the elementary steps on it.
//!
//! At every point at most one register is the *home* of a value. A live value without a home is in
//! its spill slot. A register's value may be in the slot as well (`valid`); then it can be dropped
//! without a store. Since VCode is SSA, a slot that has become valid on a path stays so.

use super::liveness::{HAS_SLOT, STORED};
use super::liveness::{Listed, Liveness, NEVER, NO_REG, NO_VREG};
use super::{Env, Loc};
use crate::vcode::{PReg, VCode};
use runwell_ir::scratch;
use runwell_ir::work::Work;

/// The registers at one point.
#[derive(Copy, Clone, Debug)]
pub(super) struct Regs {
    /// The value whose home the register is, where `occupied`.
    pub val: [u32; 32],
    /// Key of the value's next use.
    pub key: [u32; 32],
    /// Registers that are homes.
    pub occupied: u32,
    /// Those of them whose value is in its slot too.
    pub valid: u32,
}

impl Regs {
    pub(super) const fn new() -> Regs {
        Regs { val: [NO_VREG; 32], key: [NEVER; 32], occupied: 0, valid: 0 }
    }
}

/// The registers of `mask` in ascending order.
pub(super) fn bits(mut mask: u32) -> impl Iterator<Item = u8> {
    core::iter::from_fn(move || {
        (mask != 0).then(|| {
            let reg = mask.trailing_zeros() as u8;
            mask &= mask - 1;
            reg
        })
    })
}

/// A register as an index into arrays of 32.
#[inline]
pub(super) const fn ix(reg: u8) -> usize {
    (reg & 31) as usize
}

/// The set of one register.
pub(super) const fn bit(reg: u8) -> u32 {
    1 << reg
}

/// The location of a register by number.
pub(super) const fn reg_loc(reg: u8) -> Loc {
    Loc::reg(PReg(reg))
}

/// A move that the walk wants. Slots are still named by the value they hold.
#[derive(Copy, Clone, Debug)]
pub(super) struct Edit {
    /// The instruction it goes before.
    pub at: u32,
    pub from: Loc,
    pub to: Loc,
    pub bytes: u8,
    pub class: u8,
    pub swap: bool,
}

/// What outlives the walk of one block.
#[derive(Default, Debug)]
pub(super) struct Scratch {
    pub live: Liveness,
    /// Moves before instructions, in order.
    pub edits: Vec<Edit>,
    /// Moves on edges, parallel ones.
    pub edge_edits: Vec<super::moves::Pending>,
    /// Per edge its range in `edge_edits`.
    pub edge_ranges: Vec<(u32, u32)>,
    /// Operands in slots.
    pub slot_operands: Vec<u32>,
    /// Register states at the ends of blocks: value, register, valid.
    pub snaps: Vec<(u32, u8, bool)>,
    /// Per block its range in `snaps`.
    pub snap_at: Vec<(u32, u32)>,
    /// Values in registers at the start of blocks with several ways in, parameters aside.
    pub entries: Vec<(u32, u8)>,
    /// Per block its range in `entries`.
    pub entry_at: Vec<(u32, u32)>,
    /// Where each parameter is at the start of its block.
    pub param_loc: Vec<Loc>,
    pub cands: Vec<super::plan::Cand>,
    pub ranks: Vec<(u64, u32)>,
    /// Parallel copies of one instruction.
    pub copies: Vec<Edit>,
    pub resolver: super::moves::Resolver,
    pub slots: super::spill::Slots,
}

impl Scratch {
    /// Bytes of its data.
    pub(super) fn bytes(&self) -> usize {
        self.live.bytes()
            + size_of_val(&*self.edits)
            + size_of_val(&*self.edge_edits)
            + size_of_val(&*self.edge_ranges)
            + size_of_val(&*self.slot_operands)
            + size_of_val(&*self.snaps)
            + size_of_val(&*self.snap_at)
            + size_of_val(&*self.entries)
            + size_of_val(&*self.entry_at)
            + size_of_val(&*self.param_loc)
            + self.slots.bytes()
    }

    /// Gives back what nobody needs behind the walk, of a large function.
    pub(super) fn walked(&mut self) {
        self.live.walked();
        self.live.given_back += size_of_val(&*self.snaps) + size_of_val(&*self.entries);
        scratch::release(&mut self.snaps);
        scratch::release(&mut self.entries);
    }

    /// Makes ready for `code`.
    pub(super) fn reset(&mut self, code: &VCode) {
        self.edits.clear();
        self.edge_edits.clear();
        scratch::fill(&mut self.edge_ranges, code.edges.len(), (0, 0));
        self.slot_operands.clear();
        self.snaps.clear();
        scratch::fill(&mut self.snap_at, code.blocks.len(), (0, 0));
        self.entries.clear();
        scratch::fill(&mut self.entry_at, code.blocks.len(), (0, 0));
        scratch::fill(&mut self.param_loc, code.params.len(), Loc::NONE);
    }
}

/// Operands that an instruction has at the most: their number is a byte.
pub(super) const MAX_OPERANDS: usize = 256;

/// The walk over one function.
pub(super) struct Walk<'a> {
    pub code: &'a VCode,
    pub env: Env,
    pub s: &'a mut Scratch,
    /// Per operand its location; of instructions that the walk has not come to, the key of the value's next
    /// use, as [`Liveness::run`] leaves it.
    pub locs: &'a mut [Loc],
    /// These keys, of the operands of the current instruction.
    pub next: [u32; MAX_OPERANDS],
    pub work: &'a mut Work,
    pub st: Regs,
    pub exp: u8,
    pub cold: bool,
    /// The next event, counted from the end of `live.events`.
    pub event: usize,
    /// Callee-saved registers in use.
    pub used_saved: u32,
    /// Edge moves that may still be made before merges take the canonical state.
    pub budget: usize,
    /// True when one has.
    pub in_memory: bool,
}

/// How many of the next instructions with fixed registers a choice looks at.
const LOOKAHEAD: usize = 8;

/// Key of the next use of a value that a header lists, after position `at`, if going straight on it is
/// `key`.
fn again(listed: &Listed, key: u32, at: u32) -> u32 {
    if listed.live_until <= at {
        return key;
    }
    let end = if listed.end <= at {
        listed.live_until
    } else if listed.dist != NEVER {
        listed.end
    } else {
        // The header has it in memory: a register would not help the next iteration.
        return key;
    };
    key.min(end.saturating_add(listed.dist).min(NEVER - 1))
}

impl Walk<'_> {
    /// Key of the next use of `vreg` after position `at`, if going straight on it is `key`.
    #[inline]
    pub(super) fn after(&self, vreg: u32, key: u32, at: u32) -> u32 {
        self.s.live.listed(vreg).map_or(key, |listed| again(listed, key, at))
    }

    /// Makes `reg` the home of `vreg`.
    #[inline]
    pub(super) fn bind(&mut self, reg: u8, vreg: u32, key: u32, valid: bool) {
        self.st.val[ix(reg)] = vreg;
        self.st.key[ix(reg)] = key;
        self.st.occupied |= bit(reg);
        self.st.valid = self.st.valid & !bit(reg) | u32::from(valid) << reg;
        self.used_saved |= bit(reg) & self.env.callee_saved;
        self.s.live.vregs[vreg as usize].reg = reg;
    }

    /// The value in `reg` has no home any more.
    #[inline]
    pub(super) fn unbind(&mut self, reg: u8) {
        debug_assert!(self.st.occupied & bit(reg) != 0);
        self.st.occupied &= !bit(reg);
        let vreg = self.st.val[ix(reg)] as usize;
        self.s.live.vregs[vreg].reg = NO_REG;
    }

    /// True if the slot of the value in `reg` is valid.
    #[inline]
    pub(super) fn is_valid(&self, reg: u8) -> bool {
        self.st.valid & bit(reg) != 0
            || self.s.live.vregs[self.st.val[ix(reg)] as usize].flags & STORED != 0
    }

    /// Sees to it that the slot of `vreg`, now in `from`, is valid from here on.
    ///
    /// The store goes here, or, if this place runs more often than the definition, there.
    pub(super) fn store(&mut self, vreg: u32, from: Loc, at: u32) {
        let exp = self.exp;
        let info = &mut self.s.live.vregs[vreg as usize];
        info.flags |= HAS_SLOT;
        if exp > info.def_exp {
            info.flags |= STORED;
        } else {
            let edit = self.edit(at, vreg, from, Loc::slot(vreg));
            scratch::push(&mut self.s.edits, edit);
        }
    }

    /// A move of `vreg`.
    #[inline]
    pub(super) fn edit(&self, at: u32, vreg: u32, from: Loc, to: Loc) -> Edit {
        let info = &self.s.live.vregs[vreg as usize];
        Edit { at, from, to, bytes: info.bytes, class: info.class(), swap: false }
    }

    /// Ends the home of the value in `reg`, which lives on in its slot.
    pub(super) fn evict(&mut self, reg: u8, from: Loc, at: u32) {
        let vreg = self.st.val[ix(reg)];
        if !self.is_valid(reg) {
            self.store(vreg, from, at);
        }
        self.s.live.vregs[vreg as usize].flags |= HAS_SLOT;
        self.unbind(reg);
    }

    /// The register of `among`, all homes, whose value is needed last.
    pub(super) fn farthest(&self, among: u32, at: u32) -> Option<u8> {
        bits(among).max_by_key(|&reg| {
            let key = self.st.key[ix(reg)];
            // A value that needs no store may be half as far away.
            let distance = u64::from(key - at.min(key));
            (distance * if self.is_valid(reg) { 3 } else { 2 }, core::cmp::Reverse(reg))
        })
    }

    /// True if a value gains by a callee-saved register that is not in use yet.
    pub(super) fn worth_saving(&self, vreg: u32) -> bool {
        let info = &self.s.live.vregs[vreg as usize];
        let gain = (1 << info.def_exp) + u64::from(info.cross.min(info.weight));
        // One store and one load per call of the function, at the entry's frequency.
        !self.cold && gain >= 2 << 3
    }

    /// The best register for `vreg` among the free ones in `free`, if there is any.
    pub(super) fn pick(&self, vreg: u32, free: u32, at: u32) -> Option<u8> {
        if free & (free.wrapping_sub(1)) == 0 {
            return (free != 0).then(|| free.trailing_zeros() as u8);
        }
        let info = &self.s.live.vregs[vreg as usize];
        let mut avoid = 0;
        let events = &self.s.live.events;
        let mut left = LOOKAHEAD;
        let mut index = self.event;
        while index > 0 && left > 0 {
            let event = events[index - 1];
            let position = event.at();
            if position > info.end {
                break;
            }
            if position > at && (self.cold || !event.is_cold()) {
                let own = if position == info.end && info.hint < 32 { bit(info.hint) } else { 0 };
                avoid |= event.regs & !own;
            }
            index -= 1;
            left -= 1;
        }
        let good = free & !avoid;
        if let Some(reg) = self.wanted(vreg)
            && good & bit(reg) != 0
        {
            return Some(reg);
        }
        if info.hint < 32 && good & bit(info.hint) != 0 {
            return Some(info.hint);
        }
        let saved = self.env.callee_saved;
        let lowest = |set: u32| (set != 0).then(|| set.trailing_zeros() as u8);
        let for_calls = if info.cross > 0 && !self.cold {
            lowest(good & saved & self.used_saved)
                .or_else(|| if self.worth_saving(vreg) { lowest(good & saved) } else { None })
        } else {
            None
        };
        for_calls
            .or_else(|| lowest(good & !saved))
            .or_else(|| lowest(good & self.used_saved))
            .or_else(|| lowest(free & !saved))
            .or_else(|| lowest(free))
    }

    /// The register of the block parameter that `vreg` becomes.
    pub(super) fn wanted(&self, vreg: u32) -> Option<u8> {
        let vregs = &self.s.live.vregs;
        let mut phi = vregs[vreg as usize].phi;
        for _ in 0..2 {
            if phi == NO_VREG {
                return None;
            }
            let info = &vregs[phi as usize];
            if info.want < 32 {
                return Some(info.want);
            }
            phi = info.phi;
        }
        None
    }

    /// A value has come into `reg`: the others that become the same parameter should be there too.
    #[inline]
    pub(super) fn settle(&mut self, vreg: u32, reg: u8) {
        let phi = self.s.live.vregs[vreg as usize].phi;
        if phi != NO_VREG {
            let info = &mut self.s.live.vregs[phi as usize];
            if info.want == NO_REG {
                info.want = reg;
            }
        }
    }

    /// A register of `class` outside of `taken`, free or made so by eviction.
    ///
    /// `taken` never covers the class: an instruction has fewer operands than registers.
    pub(super) fn take(&mut self, vreg: u32, taken: u32, at: u32) -> u8 {
        let class = usize::from(self.s.live.vregs[vreg as usize].class());
        let all = self.env.class[class] & !taken;
        if let Some(reg) = self.pick(vreg, all & !self.st.occupied, at) {
            return reg;
        }
        match self.farthest(all & self.st.occupied, at) {
            Some(reg) => {
                self.evict(reg, reg_loc(reg), at);
                reg
            }
            None => unreachable!("an instruction asks for more registers than there are"),
        }
    }

    /// Saves the registers at the end of `block`.
    pub(super) fn save(&mut self, block: usize) {
        let first = self.s.snaps.len() as u32;
        for reg in bits(self.st.occupied) {
            let valid = self.st.valid & bit(reg) != 0;
            scratch::push(&mut self.s.snaps, (self.st.val[ix(reg)], reg, valid));
        }
        self.s.snap_at[block] = (first, self.s.snaps.len() as u32);
    }

    /// Forgets all homes.
    pub(super) fn clear(&mut self) {
        for reg in bits(self.st.occupied) {
            self.s.live.vregs[self.st.val[ix(reg)] as usize].reg = NO_REG;
        }
        self.st.occupied = 0;
        self.st.valid = 0;
    }

    /// Restores the registers at the end of `block`; keys are left open.
    pub(super) fn restore(&mut self, block: usize) {
        self.clear();
        let (first, end) = self.s.snap_at[block];
        let Scratch { snaps, live, .. } = &mut *self.s;
        for &(vreg, reg, valid) in &snaps[first as usize..end as usize] {
            self.st.val[ix(reg)] = vreg;
            self.st.occupied |= bit(reg);
            self.st.valid |= u32::from(valid) << (reg & 31);
            live.vregs[vreg as usize].reg = reg;
        }
        self.work.charge(runwell_ir::work::Pass::Allocate, (end - first) as usize);
    }
}
