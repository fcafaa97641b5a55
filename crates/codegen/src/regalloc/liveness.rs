//! Liveness and next uses: one walk backward over the blocks.
//!
//! Blocks come in a dominance-compatible order with contiguous loops, so that one pass suffices:
//! it ignores back edges, and what a loop header needs is live in the whole loop (Boissinot et
//! al., "Computing Liveness Sets for SSA-Form Programs"). The forward walk adds the second half
//! by itself: when it meets a header it marks the values of the header's list as live until the
//! end of the loop, so no list has to be patched.
//!
//! *Keys.* A next use is an absolute position, that of an instruction as long as it lies on the
//! way straight on. A use across a jump is as far away as if the target came next; one behind the
//! exit of a loop, or in a cold block, is [`FAR`] farther. Keys are compared only with keys.
//!
//! *Bound.* A block's list has at most [`LIST_MAX`] entries per class. Of a longer one the
//! [`LIST_KEEP`] nearest uses stay; a value that is left out counts as spilled there and is stored
//! right after its definition. Since a class has fewer registers, such a value could not have
//! stayed in one.
//!
//! All lists together have at most [`ENTRIES_PER_INST`] entries per instruction, and three per byte of the
//! function. Blocks of two instructions
//! may follow each other by the thousand while more values are in use than fit a list; where the walk is
//! beyond that, a list gets an eighth of the length, until others have left room again.
//!
//! # Complexity
//! O(instructions + operands + edges · `LIST_MAX`), on the meter as `Pass::Liveness`: a step per operand, per
//! entry of a list each time it is read, filed or shortened. Shortening selects in linear time from a list
//! that has grown by a block's operands since the last time. With half of its budget spent lists get an
//! eighth of the length from there on (`Fallback::Lists`); beyond its share is an error.

use super::{Env, Loc, allowed};
use crate::lower::CHECK_EVERY;
use crate::vcode::{Constraint, RegClass, VCode, VReg};
use runwell_ir::entity::LoopId;
use runwell_ir::scratch;
use runwell_ir::work::{Fallback, Pass, Stopped, Work};

/// The key of a value that is not used again.
pub(super) const NEVER: u32 = u32::MAX;
/// How much farther a use counts beyond the exit of a loop or in a cold block.
pub(super) const FAR: u32 = 1 << 20;
/// Longest list of live values of one class at the start of a block: twice what there are
/// registers.
const LIST_MAX: usize = 32;
/// Entries that stay of a longer one, fewer so that not every block has to select again.
const LIST_KEEP: usize = 24;
/// The length of lists where they have to be short.
const LIST_SHORT: usize = LIST_MAX / 8;
/// Entries of all lists per instruction that the walk has passed, and for free. Two are usual; the most
/// that large functions of real programs have at any point is eight, and some more in the first blocks.
const ENTRIES_PER_INST: usize = 10;
const ENTRIES_FREE: usize = 512;
/// Twice the most entries per byte of the function, eight bytes of memory each.
const HALF_ENTRIES_PER_BYTE: u64 = 6;
/// "None" for registers in bytes.
pub(super) const NO_REG: u8 = 255;
/// "None" for virtual registers.
pub(super) const NO_VREG: u32 = u32::MAX;

/// The value has a spill slot.
pub(super) const HAS_SLOT: u8 = 1;
/// The value is stored right after its definition, so that its slot is valid everywhere.
pub(super) const STORED: u8 = 2;
/// The value is a block parameter.
pub(super) const PARAM: u8 = 4;
/// The value is of the class of vector registers. The highest bit.
const FLOAT: u8 = 8;

/// What is known of a virtual register, and where the walk has it now.
#[derive(Copy, Clone, Debug)]
pub(super) struct VregInfo {
    /// Position of the definition; for a parameter the first instruction of its block.
    pub def_at: u32,
    /// Last position where it is live, loops included.
    pub end: u32,
    /// Sum of the frequencies of its uses.
    pub weight: u32,
    /// Sum of the frequencies of the calls it lives across.
    pub cross: u32,
    /// A block parameter that it becomes, or [`NO_VREG`].
    pub phi: u32,
    /// Backward: index in the current list plus one. Forward: number of the last block that lists
    /// it as live, plus one.
    pub mark: u32,
    /// A register that saves a move, or [`NO_REG`].
    pub hint: u8,
    /// Forward: the register it is in now, or [`NO_REG`].
    pub reg: u8,
    /// Forward: the register it is defined in, or [`NO_REG`].
    pub def_reg: u8,
    /// Forward: for a parameter the register its arguments should be in, or [`NO_REG`].
    pub want: u8,
    /// Forward: its register at the start of the block under consideration, or [`NO_REG`].
    pub target: u8,
    /// [`HAS_SLOT`], [`STORED`], [`PARAM`], [`FLOAT`].
    pub flags: u8,
    /// Its size.
    pub bytes: u8,
    /// Logarithm of the frequency of its definition.
    pub def_exp: u8,
}

// There is one for each value, all through allocation. Half a line of the caches.
const _: () = assert!(size_of::<VregInfo>() == 32);

impl VregInfo {
    /// Its class, 0 or 1.
    #[inline]
    pub(super) const fn class(&self) -> u8 {
        self.flags / FLOAT
    }
}

/// What headers of loops know of a value that they list as live.
#[derive(Copy, Clone, Debug)]
pub(super) struct Listed {
    /// Live until here because of a back edge.
    pub live_until: u32,
    /// End of the innermost loop whose header lists it.
    pub end: u32,
    /// Distance of its first use from that header.
    pub dist: u32,
}

/// What is known of a loop.
#[derive(Copy, Clone, Debug, Default)]
pub(super) struct LoopInfo {
    /// First position.
    pub start: u32,
    /// Position after the last one.
    pub end: u32,
    /// Last position of the outermost loop around.
    pub root_end: u32,
    /// Number of the block after its last one.
    pub end_block: u32,
    /// Most values defined inside that are live at one point, per class.
    pub inside: [u32; 2],
    /// Registers that instructions of the loop ask for, calls and cold blocks aside.
    pub fixed: u32,
    /// Sum of the frequencies of its calls that are not cold.
    pub calls: u32,
    /// True if each iteration makes a call that is not cold.
    pub always_calls: bool,
    /// Edges back to the header, and for the walk how many moves are put aside for each of them.
    pub backs: u32,
    pub kept: u32,
    /// While blocks are walked: the farthest block inside and the farthest one outside that
    /// control may have gone to.
    reach: u32,
    exits: u32,
}

impl LoopInfo {
    fn goes_to(&mut self, block: u32) {
        let farthest = if block < self.end_block { &mut self.reach } else { &mut self.exits };
        *farthest = block.max(*farthest);
    }
}

/// An instruction that asks for registers.
#[derive(Copy, Clone, Debug)]
pub(super) struct Event {
    /// Its position, and in the highest bit whether its block is cold.
    at: u32,
    pub regs: u32,
}

impl Event {
    const COLD: u32 = 1 << 31;

    const fn new(at: u32, regs: u32, cold: bool) -> Event {
        Event { at: at | if cold { Event::COLD } else { 0 }, regs }
    }

    pub(super) const fn at(self) -> u32 {
        self.at & !Event::COLD
    }

    pub(super) const fn is_cold(self) -> bool {
        self.at & Event::COLD != 0
    }
}

#[derive(Copy, Clone, Debug)]
struct Live {
    vreg: u32,
    key: u32,
    calls: u32,
}

/// The result of the backward walk, and its scratch.
#[derive(Default, Debug)]
pub(super) struct Liveness {
    /// Per virtual register.
    pub vregs: Vec<VregInfo>,
    /// Values that headers of loops list, as far as the forward walk has come.
    pub listed: Vec<Listed>,
    /// Per virtual register, in functions with loops: its number in `listed` plus one, or 0.
    listed_at: Vec<u32>,
    /// Per parameter, as in `VCode::params`: key of its first use.
    pub param_key: Vec<u32>,
    /// Per block: logarithm of its frequency.
    pub exp: Vec<u8>,
    /// Per loop.
    pub loops: Vec<LoopInfo>,
    /// Instructions that ask for registers, last first.
    pub events: Vec<Event>,
    /// Edges into each block: `pred_at[b]..pred_at[b + 1]` in `preds`.
    pub pred_at: Vec<u32>,
    /// Source block and edge.
    pub preds: Vec<(u32, u32)>,
    /// Live values at the start of blocks, with keys.
    lists: Vec<(u32, u32)>,
    list_at: Vec<(u32, u32)>,
    cur: Vec<Live>,
    /// [`LIST_MAX`], or less when the budget runs low.
    list_max: usize,
    /// Entries that all lists may have when all instructions have been passed.
    allowed: usize,
    /// True once a list had to be short because there were too many entries.
    crowded: bool,
    inside: [u32; 2],
    inside_max: [u32; 2],
    loop_start: u32,
    calls: u32,
    select: Vec<(u32, u32)>,
    /// Bytes of data that are there no more.
    pub(super) given_back: usize,
    is_call: Vec<bool>,
}

impl Liveness {
    /// The values live at the start of a block, parameters aside, with the keys of their uses.
    pub(super) fn live_in(&self, block: usize) -> core::ops::Range<usize> {
        let (first, end) = self.list_at[block];
        first as usize..end as usize
    }

    /// An entry of such a list.
    pub(super) fn entry(&self, index: usize) -> (u32, u32) {
        self.lists[index]
    }

    /// Bytes of its data.
    pub(super) fn bytes(&self) -> usize {
        self.given_back
            + size_of_val(&*self.vregs)
            + size_of_val(&*self.listed)
            + size_of_val(&*self.listed_at)
            + size_of_val(&*self.param_key)
            + size_of_val(&*self.exp)
            + size_of_val(&*self.loops)
            + size_of_val(&*self.events)
            + size_of_val(&*self.pred_at)
            + size_of_val(&*self.preds)
            + size_of_val(&*self.lists)
            + size_of_val(&*self.list_at)
    }

    /// Gives back what nobody needs behind the forward walk, of a large function.
    pub(super) fn walked(&mut self) {
        self.given_back = size_of_val(&*self.listed)
            + size_of_val(&*self.listed_at)
            + size_of_val(&*self.events)
            + size_of_val(&*self.lists)
            + size_of_val(&*self.preds);
        scratch::release(&mut self.listed);
        scratch::release(&mut self.listed_at);
        scratch::release(&mut self.events);
        scratch::release(&mut self.lists);
        scratch::release(&mut self.preds);
    }

    /// What headers know of a value, if one has listed it.
    #[inline]
    pub(super) fn listed(&self, vreg: u32) -> Option<&Listed> {
        let number = *self.listed_at.get(vreg as usize)?;
        self.listed.get(number.wrapping_sub(1) as usize)
    }

    /// The same, to be changed.
    #[inline]
    pub(super) fn listed_mut(&mut self, vreg: u32) -> Option<&mut Listed> {
        let number = *self.listed_at.get(vreg as usize)?;
        self.listed.get_mut(number.wrapping_sub(1) as usize)
    }

    /// Until where a value is live because headers list it, 0 when none does.
    pub(super) fn live_until(&self, vreg: u32) -> u32 {
        self.listed(vreg).map_or(0, |listed| listed.live_until)
    }

    /// A header lists a value as live, `dist` instructions before its first use, in a loop up to `end`.
    pub(super) fn list(&mut self, vreg: u32, end: u32, dist: u32) {
        if let Some(listed) = self.listed_mut(vreg) {
            *listed = Listed { live_until: listed.live_until.max(end), end, dist };
            return;
        }
        self.listed.push(Listed { live_until: end, end, dist });
        self.listed_at[vreg as usize] = self.listed.len() as u32;
    }

    /// Computes everything for `code`. To `next` goes per operand the key of the value's next use after the
    /// instruction, of a definition that of the first use: what the forward walk knows of an operand
    /// before it has a location.
    ///
    /// # Errors
    /// When the meter says so.
    pub(super) fn run(
        &mut self,
        code: &VCode,
        env: &Env,
        next: &mut Vec<Loc>,
        work: &mut Work,
    ) -> Result<(), Stopped> {
        work.charge(Pass::Liveness, code.insts.len() + code.operands.len() + code.vregs.len());
        work.charge(Pass::Liveness, 3 * code.blocks.len() + 2 * code.edges.len());
        work.charge(Pass::Liveness, code.params.len() + code.loops.len());
        self.prepare(code, env);
        scratch::fill(next, code.operands.len(), Loc(NEVER));
        self.list_max = LIST_MAX;
        self.allowed = allowed(code.insts.len(), work, ENTRIES_PER_INST, HALF_ENTRIES_PER_BYTE);
        self.crowded = false;
        for block in (0..code.blocks.len()).rev() {
            self.live_out(code, block, work);
            self.walk(code, block, next, work)?;
            self.live_at_start(code, block, work);
            if self.list_max == LIST_MAX && work.is_spent(Pass::Liveness) {
                self.list_max = LIST_SHORT;
            }
            work.check(Pass::Liveness)?;
        }
        let short = self.crowded || self.list_max != LIST_MAX;
        work.fall_back(Fallback::Lists, u32::from(short));
        while let Some(live) = self.cur.pop() {
            self.vregs[live.vreg as usize].mark = 0;
        }
        Ok(())
    }

    fn prepare(&mut self, code: &VCode, env: &Env) {
        self.vregs.clear();
        self.vregs.extend(code.vregs.iter().map(|data| VregInfo {
            def_at: 0,
            end: 0,
            weight: 0,
            cross: 0,
            phi: NO_VREG,
            mark: 0,
            hint: NO_REG,
            reg: NO_REG,
            def_reg: NO_REG,
            want: NO_REG,
            target: NO_REG,
            flags: RegClass::of(data.ty) as u8 * FLOAT,
            bytes: data.ty.bytes() as u8,
            def_exp: 0,
        }));
        scratch::fill(&mut self.param_key, code.params.len(), NEVER);
        self.events.clear();
        self.listed.clear();
        let with_loops = if code.loops.is_empty() { 0 } else { code.vregs.len() };
        scratch::fill(&mut self.listed_at, with_loops, 0);
        self.given_back = 0;
        self.lists.clear();
        scratch::fill(&mut self.list_at, code.blocks.len(), (0, 0));
        self.cur.clear();
        self.inside = [0; 2];
        self.inside_max = [0; 2];
        self.loop_start = 0;
        self.calls = 0;
        self.is_call.clear();
        self.is_call.extend(code.clobber_sets.iter().map(|set| {
            let caller_saved = env.allocatable & !env.callee_saved & 0xffff;
            (set.0 & caller_saved).count_ones() * 2 > caller_saved.count_ones()
        }));

        self.loops.clear();
        for data in &code.loops {
            let start = code.blocks[data.header.index()].first;
            let end = code.blocks[data.end.index() - 1].end;
            let root_end =
                if data.parent.is_none() { end } else { self.loops[data.parent.index()].root_end };
            self.loops.push(LoopInfo {
                start,
                end,
                root_end,
                end_block: data.end.0,
                ..LoopInfo::default()
            });
        }
        self.exp.clear();
        scratch::fill(&mut self.pred_at, code.blocks.len() + 1, 0);
        let mut open = LoopId::NONE;
        for (number, block) in code.blocks.iter().enumerate() {
            while !open.is_none() && self.loops[open.index()].end_block as usize <= number {
                open = self.close_loop(code, open);
            }
            open = block.loop_id;
            let depth = if block.loop_id.is_none() {
                0
            } else {
                code.loops[block.loop_id.index()].depth.min(7)
            };
            // A level of nesting counts as eight iterations; a cold block runs an eighth as often
            // as the entry.
            let exp = if block.cold { 0 } else { 3 + 3 * depth };
            self.exp.push(exp);
            for &param in &code.params[block.params_first as usize..block.params_end as usize] {
                let info = &mut self.vregs[param.index()];
                (info.def_at, info.def_exp) = (block.first, exp);
                info.flags |= PARAM;
            }
            let mut calls = false;
            for at in block.first..block.end {
                let inst = &code.insts[at as usize];
                calls |= self.is_call[usize::from(inst.clobbers)];
                for op in code.operands(inst) {
                    if !op.is_def() {
                        break;
                    }
                    let info = &mut self.vregs[op.vreg.index()];
                    (info.def_at, info.def_exp) = (at, exp);
                }
            }
            if let Some(lp) = self.loops.get_mut(open.index()) {
                lp.always_calls |= calls && !block.cold && lp.reach as usize <= number;
            }
            for edge in &code.edges[block.edges_first as usize..block.edges_end as usize] {
                let target = edge.target.index();
                if target <= number {
                    if let Some(lp) = self.loops.get_mut(code.blocks[target].loop_id.index()) {
                        lp.backs += 1;
                    }
                    continue;
                }
                self.pred_at[target + 1] += 1;
                if let Some(lp) = self.loops.get_mut(open.index())
                    && !block.cold
                    && !code.blocks[target].cold
                {
                    lp.goes_to(target as u32);
                }
            }
        }
        while !open.is_none() {
            open = self.close_loop(code, open);
        }
        // Forward edges only: what a header needs on its back edges is known by then.
        for block in 0..code.blocks.len() {
            self.pred_at[block + 1] += self.pred_at[block];
        }
        scratch::fill(&mut self.preds, self.pred_at[code.blocks.len()] as usize, (0, 0));
        for (number, block) in code.blocks.iter().enumerate().rev() {
            for edge in (block.edges_first..block.edges_end).rev() {
                let target = code.edges[edge as usize].target.index();
                if target > number {
                    // Filled from the end, so that `pred_at` ends up as the starts again.
                    let at = &mut self.pred_at[target + 1];
                    *at -= 1;
                    self.preds[*at as usize] = (number as u32, edge);
                }
            }
        }
        // Each entry now holds the start of the block before: shift down.
        for block in 0..code.blocks.len() {
            self.pred_at[block] = self.pred_at[block + 1];
        }
        self.pred_at[code.blocks.len()] = self.preds.len() as u32;
    }

    /// Hands on to the loop around what its inner loop `id` has found out; that loop.
    fn close_loop(&mut self, code: &VCode, id: LoopId) -> LoopId {
        let (inner, data) = (self.loops[id.index()], &code.loops[id.index()]);
        if let Some(lp) = self.loops.get_mut(data.parent.index()) {
            lp.always_calls |= inner.always_calls && lp.reach <= data.header.0;
            lp.goes_to(inner.exits);
        }
        data.parent
    }

    /// Makes `cur` the list of values live at the end of `block`, back edges aside.
    fn live_out(&mut self, code: &VCode, block: usize, work: &mut Work) {
        let data = code.blocks[block];
        let edges = &code.edges[data.edges_first as usize..data.edges_end as usize];
        let keep = edges.iter().any(|edge| edge.target.index() == block + 1);
        if !keep {
            while let Some(live) = self.cur.pop() {
                self.vregs[live.vreg as usize].mark = 0;
            }
            self.inside = [0; 2];
        }
        let loop_start =
            if data.loop_id.is_none() { 0 } else { self.loops[data.loop_id.index()].start };
        if loop_start != self.loop_start {
            self.loop_start = loop_start;
            self.inside = [0; 2];
            for live in &self.cur {
                let info = &self.vregs[live.vreg as usize];
                self.inside[usize::from(info.class())] += u32::from(info.def_at >= loop_start);
            }
            work.charge(Pass::Liveness, self.cur.len());
        }
        self.inside_max = self.inside;
        let loop_end = if data.loop_id.is_none() {
            u32::MAX
        } else {
            self.loops[data.loop_id.index()].end_block
        };
        let freq = 1u32 << self.exp[block];
        let farther = |target: usize| {
            let leaves = if target as u32 >= loop_end { FAR } else { 0 };
            leaves + if code.blocks[target].cold && !data.cold { FAR } else { 0 }
        };
        if keep && farther(block + 1) != 0 {
            for live in &mut self.cur {
                live.key = live.key.saturating_add(farther(block + 1)).min(NEVER - 1);
            }
            work.charge(Pass::Liveness, self.cur.len());
        }
        for edge in edges {
            let target = edge.target.index();
            let mut args_key = data.end;
            if target > block {
                let farther = farther(target);
                args_key += farther;
                if target != block + 1 {
                    let start = code.blocks[target].first;
                    let (first, end) = self.list_at[target];
                    for index in first..end {
                        let (vreg, key) = self.lists[index as usize];
                        let key = (key - start).saturating_add(data.end + farther).min(NEVER - 1);
                        self.touch(vreg, key, data.end);
                    }
                    work.charge(Pass::Liveness, (end - first) as usize);
                }
            }
            let params = code.params(edge.target);
            for (&arg, &param) in code.edge_args(edge).iter().zip(params) {
                // Dead behind the jump, unless something else needs it.
                self.touch(arg.0, args_key, data.end.saturating_sub(1));
                let hint = self.vregs[param.index()].hint;
                let info = &mut self.vregs[arg.index()];
                info.weight = info.weight.saturating_add(freq);
                if target <= block || info.phi == NO_VREG {
                    info.phi = param.0;
                }
                if info.hint == NO_REG {
                    info.hint = hint;
                }
            }
            work.charge(Pass::Liveness, params.len() + 1);
        }
    }

    /// Walks the instructions of `block` backward.
    fn walk(
        &mut self,
        code: &VCode,
        block: usize,
        keys: &mut [Loc],
        work: &mut Work,
    ) -> Result<(), Stopped> {
        let data = code.blocks[block];
        let exp = self.exp[block];
        let freq = 1u32 << exp;
        let mut steps = 0;
        let mut fixed = 0;
        for at in (data.first..data.end).rev() {
            let inst = &code.insts[at as usize];
            let ops = code.operands(inst);
            let base = inst.first as usize;
            let next = &mut keys[base..base + ops.len()];
            let mut regs = 0u32;
            let defs = ops.iter().take_while(|op| op.is_def()).count();
            for (op, next) in ops[..defs].iter().zip(&mut *next) {
                let info = &mut self.vregs[op.vreg.index()];
                if info.mark != 0 {
                    let index = info.mark as usize - 1;
                    info.mark = 0;
                    if info.def_at >= self.loop_start {
                        self.inside[usize::from(info.class())] -= 1;
                    }
                    let live = self.cur.swap_remove(index);
                    info.cross = info.cross.saturating_add(self.calls - live.calls);
                    if let Some(moved) = self.cur.get(index) {
                        self.vregs[moved.vreg as usize].mark = index as u32 + 1;
                    }
                    *next = Loc(live.key);
                }
                if let Constraint::Fixed(reg) = op.constraint() {
                    regs |= 1 << reg.0;
                }
            }
            if inst.clobbers != 0 {
                let set = usize::from(inst.clobbers);
                regs |= code.clobber_sets[set].0;
                if self.is_call[set] && !data.cold {
                    self.calls = self.calls.saturating_add(freq);
                }
            }
            // Of several uses of one value the last one knows what comes after the instruction.
            for (op, next) in ops[defs..].iter().zip(&mut next[defs..]).rev() {
                let info = &mut self.vregs[op.vreg.index()];
                info.weight = info.weight.saturating_add(freq);
                if let Constraint::Fixed(reg) = op.constraint() {
                    regs |= 1 << reg.0;
                    info.hint = reg.0;
                }
                if info.mark != 0 {
                    if let Some(live) = self.cur.get_mut(info.mark as usize - 1) {
                        *next = Loc(live.key);
                        live.key = at;
                    }
                    continue;
                }
                self.cur.push(Live { vreg: op.vreg.0, key: at, calls: self.calls });
                info.mark = self.cur.len() as u32;
                info.end = info.end.max(at);
                if info.def_at >= self.loop_start {
                    let class = usize::from(info.class());
                    self.inside[class] += 1;
                    self.inside_max[class] = self.inside_max[class].max(self.inside[class]);
                }
            }
            for def in &ops[..defs] {
                if let Constraint::Reuse(index) = def.constraint() {
                    let dies = keys[base + usize::from(index)] == Loc(NEVER);
                    self.inherit_hint(def.vreg, ops[usize::from(index)].vreg, dies);
                }
            }
            if inst.clobbers == 0 || !self.is_call[usize::from(inst.clobbers)] {
                fixed |= regs;
            }
            if regs != 0 {
                scratch::push(&mut self.events, Event::new(at, regs, data.cold));
            }
            steps += ops.len() + 1;
            if at % CHECK_EVERY == 0 {
                work.charge(Pass::Liveness, core::mem::take(&mut steps));
                work.check(Pass::Liveness)?;
            }
        }
        work.charge(Pass::Liveness, steps);
        if self.calls != 0 {
            for live in &mut self.cur {
                let info = &mut self.vregs[live.vreg as usize];
                info.cross = info.cross.saturating_add(self.calls - live.calls);
                live.calls = 0;
            }
            work.charge(Pass::Liveness, self.cur.len());
        }
        if !data.loop_id.is_none() {
            let info = &mut self.loops[data.loop_id.index()];
            info.calls = info.calls.saturating_add(self.calls);
            if !data.cold {
                info.fixed |= fixed;
            }
        }
        self.calls = 0;
        Ok(())
    }

    /// What a two-address definition would like, its dying operand would like too.
    fn inherit_hint(&mut self, def: VReg, operand: VReg, dies: bool) {
        if !dies {
            return;
        }
        let (hint, phi) = (self.vregs[def.index()].hint, self.vregs[def.index()].phi);
        let info = &mut self.vregs[operand.index()];
        if info.hint == NO_REG {
            info.hint = hint;
        }
        if info.phi == NO_VREG {
            info.phi = phi;
        }
    }

    /// Turns `cur` into the list at the start of `block` and files it.
    fn live_at_start(&mut self, code: &VCode, block: usize, work: &mut Work) {
        let data = code.blocks[block];
        for index in data.params_first..data.params_end {
            let param = code.params[index as usize];
            self.param_key[index as usize] = self.remove(param.0);
        }
        let insts = code.insts.len().max(1) as u64;
        let passed = code.insts.len() as u64 - u64::from(data.first);
        let mut most = self.list_max;
        let room = passed.saturating_mul(self.allowed as u64) / insts;
        if self.lists.len() as u64 > ENTRIES_FREE as u64 + room {
            most = LIST_SHORT;
            self.crowded |= self.cur.len() > most;
        }
        if self.cur.len() > most {
            work.charge(Pass::Liveness, 2 * self.cur.len());
            for class in 0..2 {
                self.shorten(class, data.loop_id.0, most);
            }
        }
        let first = self.lists.len() as u32;
        scratch::extend(&mut self.lists, self.cur.iter().map(|live| (live.vreg, live.key)));
        self.list_at[block] = (first, self.lists.len() as u32);
        work.charge(
            Pass::Liveness,
            self.cur.len() + (data.params_end - data.params_first) as usize,
        );

        let id = data.loop_id;
        if id.is_none() {
            return;
        }
        let info = &mut self.loops[id.index()];
        for class in 0..2 {
            if !data.cold {
                info.inside[class] = info.inside[class].max(self.inside_max[class]);
            }
        }
        let lp = &code.loops[id.index()];
        if lp.header.index() != block {
            return;
        }
        let info = *info;
        let mut inside = info.inside;
        let outer = (!lp.parent.is_none()).then(|| self.loops[lp.parent.index()].start);
        for live in &self.cur {
            let vreg = &mut self.vregs[live.vreg as usize];
            vreg.end = vreg.end.max(info.end);
            vreg.cross = vreg.cross.max(info.calls);
            inside[usize::from(vreg.class())] += u32::from(Some(vreg.def_at) >= outer);
        }
        work.charge(Pass::Liveness, self.cur.len());
        if outer.is_some() {
            let parent = &mut self.loops[lp.parent.index()];
            parent.inside = [0, 1].map(|c| parent.inside[c].max(inside[c]));
            parent.fixed |= info.fixed;
            parent.calls = parent.calls.saturating_add(info.calls);
        }
    }

    /// Leaves only the nearest uses of a class in `cur`, if there are more than `most`.
    #[cold]
    fn shorten(&mut self, class: usize, loop_id: u32, most: usize) {
        let of_class = |live: &&Live, vregs: &[VregInfo]| {
            usize::from(vregs[live.vreg as usize].class()) == class
        };
        self.select.clear();
        self.select
            .extend(self.cur.iter().filter(|l| of_class(l, &self.vregs)).map(|l| (l.key, l.vreg)));
        if self.select.len() <= most {
            return;
        }
        let keep = most * LIST_KEEP / LIST_MAX;
        let (_, &mut bound, _) = self.select.select_nth_unstable(keep - 1);
        let root_end = self.loops.get(loop_id as usize).map_or(0, |info| info.root_end);
        let mut index = 0;
        while index < self.cur.len() {
            let live = self.cur[index];
            if usize::from(self.vregs[live.vreg as usize].class()) != class
                || (live.key, live.vreg) <= bound
            {
                index += 1;
                continue;
            }
            self.remove(live.vreg);
            let info = &mut self.vregs[live.vreg as usize];
            info.flags |= HAS_SLOT | STORED;
            info.end = info.end.max(root_end);
        }
    }

    /// Notes a use with key `key` at position `at`.
    #[inline]
    fn touch(&mut self, vreg: u32, key: u32, at: u32) {
        let info = &mut self.vregs[vreg as usize];
        if info.mark != 0 {
            let live = &mut self.cur[info.mark as usize - 1];
            live.key = live.key.min(key);
            return;
        }
        self.cur.push(Live { vreg, key, calls: self.calls });
        info.mark = self.cur.len() as u32;
        info.end = info.end.max(at);
        let class = usize::from(info.class());
        if info.def_at >= self.loop_start {
            self.inside[class] += 1;
            self.inside_max[class] = self.inside_max[class].max(self.inside[class]);
        }
    }

    /// Takes a value out of the list; its key, or [`NEVER`] if it was not there.
    #[inline]
    fn remove(&mut self, vreg: u32) -> u32 {
        let info = &mut self.vregs[vreg as usize];
        if info.mark == 0 {
            return NEVER;
        }
        let index = info.mark as usize - 1;
        info.mark = 0;
        let class = usize::from(info.class());
        if info.def_at >= self.loop_start {
            self.inside[class] -= 1;
        }
        let live = self.cur.swap_remove(index);
        info.cross = info.cross.saturating_add(self.calls - live.calls);
        if let Some(moved) = self.cur.get(index) {
            self.vregs[moved.vreg as usize].mark = index as u32 + 1;
        }
        live.key
    }
}
