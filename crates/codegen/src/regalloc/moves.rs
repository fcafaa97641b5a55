//! Parallel moves made sequential.
//!
//! A set of moves with distinct destinations, all of which read before any writes, is a graph in
//! which each location has at most one incoming edge: trees hanging off cycles. Trees are emitted
//! from the leaves; what remains are cycles, which need an exchange, the scratch register or a
//! temporary slot. O(moves), whatever the permutation (Boissinot et al., "Revisiting Out-of-SSA
//! Translation", algorithm 1, is the same idea).

use super::state::Edit;
use super::{Env, Loc, Move};

/// One move of the set.
#[derive(Copy, Clone, Debug)]
pub(super) struct Pending {
    pub from: Loc,
    pub to: Loc,
    pub bytes: u8,
    pub class: u8,
}

impl From<&Edit> for Pending {
    fn from(edit: &Edit) -> Pending {
        Pending { from: edit.from, to: edit.to, bytes: edit.bytes, class: edit.class }
    }
}

/// Scratch of the resolution.
#[derive(Default, Debug)]
pub(super) struct Resolver {
    /// The moves to resolve.
    pub pending: Vec<Pending>,
    /// Per location: number of open moves that read it.
    reads: Vec<u32>,
    /// Per location: the open move that writes it, plus one.
    writer: Vec<u32>,
    ready: Vec<u32>,
}

const NONE: u32 = 0;

fn index(loc: Loc) -> usize {
    match (loc.as_reg(), loc.as_slot()) {
        (Some(reg), _) => reg.index(),
        (_, Some(slot)) => 32 + slot as usize,
        _ => unreachable!("a move from or to nowhere"),
    }
}

impl Resolver {
    /// Makes room for `slots` slots.
    pub(super) fn reserve(&mut self, slots: usize) {
        let size = (32 + slots).max(self.reads.len());
        self.reads.resize(size, 0);
        self.writer.resize(size, NONE);
    }

    /// Emits the pending moves in an order that respects their parallel meaning, and forgets them.
    /// `spare` yields a temporary slot of 16 bytes.
    pub(super) fn resolve(
        &mut self,
        env: &Env,
        mut spare: impl FnMut() -> Loc,
        mut emit: impl FnMut(Move),
    ) {
        self.pending.retain(|m| m.from != m.to);
        if let [m] = self.pending[..] {
            one(env, m, &mut emit);
            self.pending.clear();
            return;
        }
        self.ready.clear();
        for (number, m) in self.pending.iter().enumerate() {
            debug_assert_eq!(self.writer[index(m.to)], NONE, "two moves to {:?}", m.to);
            self.writer[index(m.to)] = number as u32 + 1;
            self.reads[index(m.from)] += 1;
        }
        for (number, m) in self.pending.iter().enumerate() {
            if self.reads[index(m.to)] == 0 {
                self.ready.push(number as u32);
            }
        }
        while let Some(number) = self.ready.pop() {
            let m = self.pending[number as usize];
            one(env, m, &mut emit);
            self.writer[index(m.to)] = NONE;
            let from = index(m.from);
            self.reads[from] -= 1;
            if self.reads[from] == 0 && self.writer[from] != NONE {
                self.ready.push(self.writer[from] - 1);
            }
        }
        for number in 0..self.pending.len() {
            let first = self.pending[number];
            if self.writer[index(first.to)] == NONE {
                continue;
            }
            // A cycle: first.to <- first.from <- ... <- last.to <- first.to.
            let (mut ints, mut memory) = (true, false);
            let mut classes = [false; 2];
            let mut last = first;
            loop {
                ints &= last.to.as_reg().is_some() && last.class == 0;
                memory |= last.to.as_slot().is_some();
                classes[usize::from(last.class)] = true;
                if last.from == first.to {
                    break;
                }
                last = self.pending[self.writer[index(last.from)] as usize - 1];
            }
            let mut m = first;
            if ints {
                while m.from != first.to {
                    emit(Move { from: m.from, to: m.to, bytes: 8, swap: true });
                    m = self.close(m);
                }
                self.close(m);
                continue;
            }
            // Slots need the scratch register of their class for each step, so that the saved value goes
            // elsewhere: that of integers, whole, to the scratch register of floats, which makes two moves
            // for each one of the cycle.
            let saved = if memory && classes[1] { spare() } else { Loc::reg(env.scratch[1]) };
            if last.class == 0 {
                last.bytes = last.bytes.max(8);
            }
            one(env, Pending { from: first.to, to: saved, ..last }, &mut emit);
            while m.from != first.to {
                one(env, m, &mut emit);
                m = self.close(m);
            }
            one(env, Pending { from: saved, ..last }, &mut emit);
            self.close(m);
        }
        self.pending.clear();
    }

    /// Marks a move of a cycle as done; the move that writes its source.
    fn close(&mut self, m: Pending) -> Pending {
        self.writer[index(m.to)] = NONE;
        self.reads[index(m.from)] = 0;
        match self.writer[index(m.from)] {
            NONE => m,
            next => self.pending[next as usize - 1],
        }
    }
}

/// How many bytes a move to `to` of a value of `bytes` bytes writes.
///
/// Integer registers are stored whole. The upper half of a 32-bit value's register is zero, and a
/// parameter that such a value becomes may be looked at as 64 bits: the extension is the value
/// itself. Its slot may be the argument's own, so that every store has to keep the upper half.
pub(super) fn written(to: Loc, bytes: u8, class: u8) -> u8 {
    if to.as_slot().is_some() && class == 0 { bytes.max(8) } else { bytes }
}

/// Emits one move, between slots by way of the scratch register.
fn one(env: &Env, m: Pending, emit: &mut impl FnMut(Move)) {
    let (from, to, bytes) = (m.from, m.to, m.bytes);
    let store = written(to, bytes, m.class);
    if from.as_slot().is_some() && to.as_slot().is_some() {
        let scratch = Loc::reg(env.scratch[usize::from(m.class)]);
        emit(Move { from, to: scratch, bytes, swap: false });
        emit(Move { from: scratch, to, bytes: store, swap: false });
    } else {
        emit(Move { from, to, bytes: store, swap: false });
    }
}
