//! Register allocation: every operand gets a register or a spill slot, and values move between
//! them where they have to.
//!
//! Two walks over the VCode. [`liveness`] goes backward and computes next uses, bounded lists of
//! live values at block starts, pressure in loops and hints. The second goes forward with the
//! state of the registers ([`state`]): at the start of each block it is inherited, merged or
//! planned ([`plan`]), then the instructions are taken one by one ([`assign`]) and values leave
//! their registers by the distance of their next use. Nothing is ever revised but one thing: a
//! value spilled in a place more frequent than its definition is stored there instead, which SSA
//! makes right for all places at once. Finally [`spill`] colours the slots and puts all moves in
//! order, those on edges with the help of [`moves`]. [`checker`] proves the outcome.
//!
//! The ideas are those of Braun and Hack, "Register Spilling and Live-Range Splitting for
//! SSA-Form Programs" (2009), with allocation and assignment in one scan as in Wimmer and Franz,
//! "Linear Scan Register Allocation on SSA Form" (2010).
//!
//! # Complexity
//! With R registers and L entries in a block's list, both constants, time and memory are
//! O((instructions + operands) · R + edges · (R + L) + edge arguments), on the meter as `Pass::Allocate`: a
//! step per instruction, operand, candidate of a block, entry of a saved state, move. The moves on edges,
//! parameters aside, are limited to 8 per instruction and to 2.5 per byte less what parameters and jumps may
//! take, but a quarter per byte. Loop headers pay ahead for the edges back to them. Beyond that, and with half of the
//! budget spent, merges start with everything in memory (`Fallback::Merges`), so that an edge moves its
//! parameters and nothing else. Beyond its share is an error.

mod assign;
pub mod checker;
mod liveness;
mod moves;
mod plan;
mod spill;
mod state;

use crate::lower::CHECK_EVERY;
use crate::vcode::{PReg, RegSet, VCode};
use liveness::NEVER;
use runwell_ir::scratch;
use runwell_ir::work::{Fallback, Pass, Stopped, Work};
use state::{MAX_OPERANDS, Regs, Scratch, Walk};

/// Where a value is: a register, or a spill slot of the frame (bit 31).
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Loc(u32);

impl Loc {
    /// Nowhere.
    pub const NONE: Loc = Loc(u32::MAX);

    /// A register.
    pub const fn reg(reg: PReg) -> Loc {
        Loc(reg.0 as u32)
    }

    /// A spill slot; [`Allocation::slot_bytes`] tells its size.
    pub const fn slot(slot: u32) -> Loc {
        Loc(slot | 1 << 31)
    }

    /// The register, if it is one.
    pub const fn as_reg(self) -> Option<PReg> {
        if self.0 < 32 { Some(PReg(self.0 as u8)) } else { None }
    }

    /// The spill slot, if it is one.
    pub const fn as_slot(self) -> Option<u32> {
        if self.0 >> 31 != 0 && self.0 != u32::MAX { Some(self.0 & !(1 << 31)) } else { None }
    }
}

impl core::fmt::Debug for Loc {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match (self.as_reg(), self.as_slot()) {
            (Some(reg), _) => write!(f, "{reg:?}"),
            (_, Some(slot)) => write!(f, "slot{slot}"),
            _ => f.write_str("nowhere"),
        }
    }
}

/// One inserted move.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Move {
    /// From.
    pub from: Loc,
    /// To.
    pub to: Loc,
    /// Bytes to move: 4, 8 or 16.
    pub bytes: u8,
    /// True to exchange two registers of one class instead (cycles).
    pub swap: bool,
}

/// The registers a machine offers.
#[derive(Copy, Clone, Debug)]
pub struct RegEnv {
    /// Registers that may be allocated, both classes.
    pub allocatable: RegSet,
    /// Those of them that a callee keeps; using one costs a save and a restore per call of the
    /// function.
    pub callee_saved: RegSet,
    /// Scratch registers by class, for moves between slots.
    pub scratch: [PReg; 2],
}

/// What the allocator decides. Emission reads it beside the VCode.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Allocation {
    /// One location per entry of `VCode::operands`.
    pub locs: Vec<Loc>,
    /// Moves in order of their instruction: `(i, m)` goes directly before instruction `i`. Moves
    /// before one instruction are sequential, not parallel.
    pub moves: Vec<(u32, Move)>,
    /// Per edge of `VCode::edges` the range of its moves in `edge_moves`, sequential as well.
    pub edges: Vec<(u32, u32)>,
    /// Moves on edges.
    pub edge_moves: Vec<Move>,
    /// Size of each spill slot: 8 or 16 bytes.
    pub slot_bytes: Vec<u8>,
    /// Callee-saved registers in use.
    pub used_callee_saved: RegSet,
}

impl Allocation {
    /// Bytes of its data.
    pub fn bytes(&self) -> usize {
        size_of_val(&*self.locs)
            + size_of_val(&*self.moves)
            + size_of_val(&*self.edges)
            + size_of_val(&*self.edge_moves)
            + size_of_val(&*self.slot_bytes)
    }

    /// Empties it, when nobody will look at it any more, and gives back what is large.
    fn release(&mut self) {
        scratch::release(&mut self.locs);
        scratch::release(&mut self.moves);
        scratch::release(&mut self.edges);
        scratch::release(&mut self.edge_moves);
        scratch::release(&mut self.slot_bytes);
        self.clear();
    }

    /// Empties it, keeping its allocations.
    pub fn clear(&mut self) {
        self.locs.clear();
        self.moves.clear();
        self.edges.clear();
        self.edge_moves.clear();
        self.slot_bytes.clear();
        self.used_callee_saved = RegSet::EMPTY;
    }

    /// Counts the moves, weighting each by eight to the power of its loop depth; cold blocks are
    /// left out.
    pub fn stats(&self, code: &VCode) -> Stats {
        let mut stats = Stats::default();
        let mut moves = self.moves.iter().peekable();
        for block in &code.blocks {
            let depth = match block.loop_id {
                id if id.is_none() => 0,
                id => code.loops[id.index()].depth,
            };
            let weight = if block.cold { 0 } else { 1 << (3 * depth.min(7)) };
            while let Some((_, m)) = moves.next_if(|(at, _)| *at < block.end) {
                stats.count(m, weight);
            }
            for edge in block.edges_first..block.edges_end {
                let (first, end) = self.edges[edge as usize];
                for m in &self.edge_moves[first as usize..end as usize] {
                    stats.count(m, weight);
                }
            }
        }
        stats
    }
}

/// How many moves an allocation has, and how many weighted by frequency.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default)]
pub struct Stats {
    /// Register to register.
    pub copies: [u64; 2],
    /// Slot to register.
    pub loads: [u64; 2],
    /// Register to slot.
    pub stores: [u64; 2],
    /// Exchanges of two registers.
    pub swaps: [u64; 2],
}

impl Stats {
    fn count(&mut self, m: &Move, weight: u64) {
        let counter = if m.swap {
            &mut self.swaps
        } else if m.from.as_slot().is_some() {
            &mut self.loads
        } else if m.to.as_slot().is_some() {
            &mut self.stores
        } else {
            &mut self.copies
        };
        counter[0] += 1;
        counter[1] += weight;
    }

    /// Adds what `other` counts.
    pub fn add(&mut self, other: &Stats) {
        for i in 0..2 {
            self.copies[i] += other.copies[i];
            self.loads[i] += other.loads[i];
            self.stores[i] += other.stores[i];
            self.swaps[i] += other.swaps[i];
        }
    }
}

/// [`RegEnv`] as masks.
#[derive(Copy, Clone, Debug)]
struct Env {
    allocatable: u32,
    callee_saved: u32,
    /// The allocatable registers of each class.
    class: [u32; 2],
    scratch: [PReg; 2],
}

/// Moves on edges that are allowed per instruction, and for free, those for parameters aside: real code needs less
/// than one, but for loops of interpreters.
const EDGE_MOVES_PER_INST: usize = 8;
const EDGE_MOVES_FREE: usize = 256;
/// Half moves on edges that are allowed per byte of the function: twelve bytes of memory each, and up to ten
/// of code. An instruction may come of a byte, but those of programs come of four.
const HALF_EDGE_MOVES_PER_BYTE: u64 = 5;
/// What is made however much of the budget is left takes its part of what is allowed per byte before: an argument
/// of an edge as much as two moves, since it may go from slot to slot, and two edges as much as one, for
/// jumps.
const MOVES_PER_ARG: usize = 2;
const EDGES_PER_MOVE: usize = 2;
/// But one in so many of these moves is left in any case.
const LEFT_IN_ANY_CASE: usize = 10;

/// How many of something may be made of a function of `insts` instructions, on a meter: `per_inst`, and
/// `half_per_byte` by twos.
fn allowed(insts: usize, work: &Work, per_inst: usize, half_per_byte: u64) -> usize {
    (per_inst * insts).min(by_bytes(work, half_per_byte))
}

/// How many of something may be made of a function on a meter: `half_per_byte` by twos.
fn by_bytes(work: &Work, half_per_byte: u64) -> usize {
    usize::try_from((work.units() / 2).saturating_mul(half_per_byte)).unwrap_or(usize::MAX)
}

/// Instructions, and bytes, from which on scratch memory is given back before code is emitted, which lowers
/// the peak; for smaller functions it is worth more kept.
const LARGE: usize = 1 << 12;
const LARGE_BYTES: usize = 1 << 19;

/// The allocator with its scratch memory, to be used for one function after the other.
#[derive(Default, Debug)]
pub struct Allocator {
    scratch: Scratch,
    out: Allocation,
}

impl Allocator {
    /// An allocator.
    pub fn new() -> Allocator {
        Allocator::default()
    }

    /// Gives back what the last run made of a large function.
    pub(crate) fn release(&mut self) {
        self.out.release();
    }

    /// Bytes of the data that the last run made.
    pub fn bytes(&self) -> usize {
        self.scratch.bytes() + self.out.bytes()
    }

    /// Allocates registers for `code`. The result is a function of the arguments alone.
    ///
    /// # Errors
    /// When the meter says so.
    pub fn run(
        &mut self,
        code: &VCode,
        env: &RegEnv,
        work: &mut Work,
    ) -> Result<&Allocation, Stopped> {
        let env = Env {
            allocatable: env.allocatable.0,
            callee_saved: env.callee_saved.0 & env.allocatable.0,
            class: [env.allocatable.0 & 0xffff, env.allocatable.0 & 0xffff_0000],
            scratch: env.scratch,
        };
        let s = &mut self.scratch;
        let out = &mut self.out;
        out.clear();
        s.live.run(code, &env, &mut out.locs, work)?;
        s.reset(code);
        work.charge(Pass::Allocate, code.insts.len() + code.operands.len());
        let event = s.live.events.len();
        let by_bytes = by_bytes(work, HALF_EDGE_MOVES_PER_BYTE);
        let edge_moves = by_bytes
            .saturating_sub(MOVES_PER_ARG * code.args.len() + code.edges.len() / EDGES_PER_MOVE)
            .max(by_bytes / LEFT_IN_ANY_CASE)
            .min(EDGE_MOVES_PER_INST * code.insts.len());
        let mut walk = Walk {
            code,
            env,
            s,
            locs: &mut out.locs,
            next: [NEVER; MAX_OPERANDS],
            work,
            st: Regs::new(),
            exp: 0,
            cold: false,
            event,
            used_saved: 0,
            budget: EDGE_MOVES_FREE + edge_moves,
            in_memory: false,
        };
        for (number, block) in code.blocks.iter().enumerate() {
            walk.enter(number);
            for at in block.first..block.end {
                walk.inst(at);
                if at % CHECK_EVERY == 0 {
                    walk.work.check(Pass::Allocate)?;
                }
            }
            walk.leave(number);
            walk.work.check(Pass::Allocate)?;
        }
        out.used_callee_saved = RegSet(walk.used_saved);
        let merges_in_memory = walk.in_memory;
        work.fall_back(Fallback::Merges, u32::from(merges_in_memory));
        self.scratch.walked();
        spill::finish(&mut self.scratch, &env, &mut self.out, code.insts.len(), work);
        if code.insts.len() > LARGE || self.scratch.bytes() > LARGE_BYTES {
            self.scratch = Scratch::default();
        }
        Ok(&self.out)
    }
}
