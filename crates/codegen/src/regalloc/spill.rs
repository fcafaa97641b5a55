//! After the walk: slots, stores at definitions, and the final order of all moves.
//!
//! Slots are coloured by intervals: a value's slot is its own from the definition to the last
//! position where it is live, loops included, and then goes to the next value of its size.
//! Positions are taken in chunks of [`CHUNK`] instructions, so that sorting is filing. A value that a
//! parameter takes over, and a parameter from a value that ends there, get the same slot if they can:
//! then the edge moves nothing. Only then are
//! the moves on edges made sequential, since two slots may turn out to be one.

use super::liveness::{HAS_SLOT, NO_REG, PARAM, STORED, VregInfo};
use super::state::{Edit, Scratch, reg_loc};
use super::{Allocation, Env, Loc, Move, moves};
use runwell_ir::scratch;
use runwell_ir::work::{Pass, Work};

/// Instructions per step of the interval clock.
const CHUNK: u32 = 16;

const END: u32 = u32::MAX;

/// Scratch of the colouring.
#[derive(Default, Debug)]
pub(super) struct Slots {
    /// Per virtual register its slot.
    slot_of: Vec<u32>,
    /// Per chunk the first virtual register that starts in it, then a list through `next`.
    starts: Vec<u32>,
    /// Likewise for those that end in it.
    ends: Vec<u32>,
    next_start: Vec<u32>,
    next_end: Vec<u32>,
    /// Free slots of 8 and of 16 bytes, and some that were taken since.
    free: [Vec<u32>; 2],
    /// Per slot the value that has it, or [`END`].
    owner: Vec<u32>,
    /// Per virtual register the slot of the first value that it takes over as a parameter.
    wanted: Vec<u32>,
    /// Values stored at their definition: per position the first one, then a list.
    stores: Vec<u32>,
}

impl Slots {
    /// Forgets what the function before needed.
    fn clear(&mut self) {
        let Slots { slot_of, starts, ends, next_start, next_end, free: _, owner, wanted, stores } =
            self;
        let lists = [slot_of, starts, ends, next_start, next_end, owner, wanted, stores];
        lists.into_iter().for_each(Vec::clear);
    }

    /// Bytes of its data.
    pub(super) fn bytes(&self) -> usize {
        let (starts, ends) = ([&self.starts, &self.next_start], [&self.ends, &self.next_end]);
        let slots = [&self.slot_of, &self.owner, &self.wanted, &self.stores];
        let lists = starts.into_iter().chain(ends).chain(slots);
        lists.map(|list| size_of_val(&**list)).sum()
    }
}

/// Fills `out` from what the walk has left in `s`.
pub(super) fn finish(
    s: &mut Scratch,
    env: &Env,
    out: &mut Allocation,
    insts: usize,
    work: &mut Work,
) {
    let any = s.live.vregs.iter().any(|info| info.flags & HAS_SLOT != 0);
    work.charge(Pass::Allocate, s.live.vregs.len() + s.edits.len() + s.edge_edits.len());
    if any {
        colour(s, out, insts, work);
    } else {
        s.slots.clear();
    }
    for &operand in &s.slot_operands {
        let loc = &mut out.locs[operand as usize];
        *loc = place(&s.slots, *loc);
    }
    work.charge(Pass::Allocate, s.slot_operands.len());
    if any {
        stores(s, insts);
        work.charge(Pass::Allocate, 2 * insts + s.live.vregs.len());
    }
    // Each move is one of the walk's or stores a value at its definition.
    let stored = |info: &&VregInfo| info.flags & STORED != 0;
    let most = s.edits.len() + s.live.vregs.iter().filter(stored).count();
    scratch::room(&mut out.moves, most);
    let emit = |out: &mut Allocation, s: &Scratch, edit: &Edit| {
        let (from, to) = (place(&s.slots, edit.from), place(&s.slots, edit.to));
        let bytes = moves::written(to, edit.bytes, edit.class);
        out.moves.push((edit.at, Move { from, to, bytes, swap: edit.swap }));
    };
    let mut position = 0;
    let definitions = |out: &mut Allocation, s: &Scratch, from: usize, to: usize| {
        if !any {
            return;
        }
        for at in from..to {
            let mut vreg = s.slots.stores[at];
            while vreg != END {
                let info = &s.live.vregs[vreg as usize];
                let (from, to) = (reg_loc(info.def_reg), Loc::slot(vreg));
                let (bytes, class) = (info.bytes, info.class());
                emit(out, s, &Edit { at: at as u32, from, to, bytes, class, swap: false });
                vreg = s.slots.next_start[vreg as usize];
            }
        }
    };
    for edit in &s.edits {
        if is_redundant(s, edit.to) {
            continue;
        }
        let next = edit.at as usize + 1;
        definitions(out, s, position, next);
        position = position.max(next);
        emit(out, s, edit);
    }
    definitions(out, s, position, insts);

    let mut resolver = core::mem::take(&mut s.resolver);
    resolver.reserve(out.slot_bytes.len() + 1);
    let mut spare = None;
    scratch::room(&mut out.edges, s.edge_ranges.len());
    for &(first, end) in &s.edge_ranges {
        let start = out.edge_moves.len() as u32;
        for edit in &s.edge_edits[first as usize..end as usize] {
            if !is_redundant(s, edit.to) {
                let (from, to) = (place(&s.slots, edit.from), place(&s.slots, edit.to));
                resolver.pending.push(moves::Pending { from, to, ..*edit });
            }
        }
        let slots = &mut out.slot_bytes;
        let moves = &mut out.edge_moves;
        resolver.resolve(
            env,
            || {
                *spare.get_or_insert_with(|| {
                    slots.push(16);
                    Loc::slot(slots.len() as u32 - 1)
                })
            },
            |m| scratch::push(moves, m),
        );
        out.edges.push((start, out.edge_moves.len() as u32));
    }
    work.charge(Pass::Allocate, s.edge_ranges.len() + out.edge_moves.len() + out.moves.len());
    s.resolver = resolver;
}

/// True for a spill to the slot of a value that is stored at its definition anyway.
fn is_redundant(s: &Scratch, to: Loc) -> bool {
    to.as_slot().is_some_and(|vreg| {
        let info = &s.live.vregs[vreg as usize];
        info.flags & STORED != 0 && info.def_reg != NO_REG
    })
}

/// The location with the value's final slot.
fn place(slots: &Slots, loc: Loc) -> Loc {
    loc.as_slot().map_or(loc, |vreg| Loc::slot(slots.slot_of[vreg as usize]))
}

/// Gives slots to all values that need one.
fn colour(s: &mut Scratch, out: &mut Allocation, insts: usize, work: &mut Work) {
    let Scratch { live, slots, .. } = s;
    let chunks = insts / CHUNK as usize + 2;
    let vregs = live.vregs.len();
    for list in [&mut slots.starts, &mut slots.ends] {
        scratch::fill(list, chunks, END);
    }
    let lists = [&mut slots.slot_of, &mut slots.next_start, &mut slots.next_end, &mut slots.wanted];
    for list in lists {
        scratch::fill(list, vregs, END);
    }
    slots.free.iter_mut().for_each(Vec::clear);
    slots.owner.clear();
    for (vreg, info) in live.vregs.iter().enumerate().rev() {
        if info.flags & HAS_SLOT != 0 {
            let chunk = (info.def_at / CHUNK) as usize;
            slots.next_start[vreg] = slots.starts[chunk];
            slots.starts[chunk] = vreg as u32;
        }
    }
    for chunk in 0..chunks {
        let mut vreg = slots.starts[chunk];
        while vreg != END {
            let info = &live.vregs[vreg as usize];
            let wide = usize::from(info.bytes > 8);
            let bytes = if wide == 1 { 16 } else { 8 };
            // The parameter that it becomes, then what becomes it.
            let of_phi = slots.slot_of.get(info.phi as usize).copied().unwrap_or(END);
            let shared = [of_phi, slots.wanted[vreg as usize]].into_iter().find(|&slot| {
                slot != END && out.slot_bytes[slot as usize] == bytes && {
                    let owner = slots.owner[slot as usize];
                    let ended = |owner: &VregInfo| owner.end.max(owner.def_at) < info.def_at;
                    owner == END || ended(&live.vregs[owner as usize])
                }
            });
            let slot = shared.unwrap_or_else(|| {
                while let Some(slot) = slots.free[wide].pop() {
                    if slots.owner[slot as usize] == END {
                        return slot;
                    }
                }
                out.slot_bytes.push(bytes);
                slots.owner.push(END);
                out.slot_bytes.len() as u32 - 1
            });
            slots.owner[slot as usize] = vreg;
            slots.slot_of[vreg as usize] = slot;
            if let Some(wanted) = slots.wanted.get_mut(info.phi as usize)
                && *wanted == END
            {
                *wanted = slot;
            }
            let end = (info.end.max(info.def_at) / CHUNK) as usize;
            slots.next_end[vreg as usize] = slots.ends[end];
            slots.ends[end] = vreg;
            vreg = slots.next_start[vreg as usize];
        }
        let mut vreg = slots.ends[chunk];
        while vreg != END {
            let wide = usize::from(live.vregs[vreg as usize].bytes > 8);
            let slot = slots.slot_of[vreg as usize];
            // Unless another one has taken it over.
            if slots.owner[slot as usize] == vreg {
                slots.owner[slot as usize] = END;
                slots.free[wide].push(slot);
            }
            vreg = slots.next_end[vreg as usize];
        }
    }
    // A slot is freed at most once per value, and found no longer free at most as often.
    work.charge(Pass::Allocate, 3 * (chunks + vregs));
}

/// Files the values that are stored at their definition by the position of the store.
fn stores(s: &mut Scratch, insts: usize) {
    let Scratch { live, slots, .. } = s;
    scratch::fill(&mut slots.stores, insts + 1, END);
    for (vreg, info) in live.vregs.iter().enumerate().rev() {
        if info.flags & STORED != 0 && info.def_reg != NO_REG {
            let at = info.def_at as usize + usize::from(info.flags & PARAM == 0);
            slots.next_start[vreg] = slots.stores[at];
            slots.stores[at] = vreg as u32;
        }
    }
}
