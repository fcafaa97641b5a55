//! What is in registers at the start of a block.
//!
//! All forward predecessors have been visited by then, their registers saved. A block with one way
//! in goes on with them. At a merge the registers follow the most frequent predecessor. At a loop
//! header they are planned: what the loop uses stays in registers as far as the greatest pressure
//! inside permits, the heaviest users first; what it does not use goes to memory before the loop
//! and comes back after it, unless there is room. A value in memory here is stored on the edges
//! where it is not yet, or at its definition.
//!
//! The other edges get the moves that lead to this state, at most one per register and parameter.
//! All edges together have a budget of moves, those for parameters aside, which is known before the
//! function is walked. A loop header puts aside what the edges that lead back to it may need, and keeps no
//! more in registers than it can put aside. A merge whose edges would need more than there is starts with
//! everything in memory, and every such value is stored at its definition, so that no edge to it needs a
//! move but for parameters.

use super::Loc;
use super::liveness::{FAR, HAS_SLOT, NEVER, NO_REG, NO_VREG, STORED};
use super::state::{Walk, bit, bits, ix, reg_loc};
use runwell_ir::scratch;
use runwell_ir::work::Pass;

/// A value that may be in a register at the start of a block.
#[derive(Copy, Clone, Debug)]
pub(super) struct Cand {
    pub vreg: u32,
    pub key: u32,
    /// Order in which values leave for memory, the greatest first.
    pub rank: u64,
    /// Index of the parameter, or [`NO_VREG`].
    pub param: u32,
    pub class: u8,
    /// Its register in the most important predecessor, or [`NO_REG`].
    pub old: u8,
    /// Its register here, or [`NO_REG`].
    pub new: u8,
    pub keep: bool,
}

/// Moves on an edge at the most, those for parameters aside: one out of each register and one into it.
const MOST_MOVES: usize = 64;

/// A parameter that leaves for memory needs a store on each edge as well.
const PARAM_WEIGHT: u64 = 2;

impl Walk<'_> {
    /// Sets the state at the start of `block`.
    pub(super) fn enter(&mut self, block: usize) {
        let data = self.code.blocks[block];
        self.exp = self.s.live.exp[block];
        self.cold = data.cold;
        while self.event > 0 && self.s.live.events[self.event - 1].at() < data.first {
            self.event -= 1;
        }
        let preds = self.s.live.pred_at[block]..self.s.live.pred_at[block + 1];
        if preds.is_empty() {
            self.clear();
        } else if self.is_plain(block) {
            let source = self.s.live.preds[preds.start as usize].0 as usize;
            if source + 1 != block {
                self.restore(source);
            }
            self.refresh(block);
        } else {
            self.merge(block);
        }
    }

    /// True if `block` has one way in and no parameters.
    fn is_plain(&self, block: usize) -> bool {
        let data = &self.code.blocks[block];
        self.s.live.pred_at[block + 1] - self.s.live.pred_at[block] == 1
            && data.params_first == data.params_end
            && !self.is_header(block)
    }

    fn is_header(&self, block: usize) -> bool {
        let id = self.code.blocks[block].loop_id;
        !id.is_none() && self.code.loops[id.index()].header.index() == block
    }

    /// Saves the registers at the end of `block` and moves to loop headers.
    pub(super) fn leave(&mut self, block: usize) {
        let data = self.code.blocks[block];
        let mut save = false;
        for edge in data.edges_first..data.edges_end {
            let target = self.code.edges[edge as usize].target.index();
            if target <= block {
                self.edge_moves(edge as usize, target, true, self.exp);
            } else {
                save |= target != block + 1 || !self.is_plain(target);
            }
        }
        self.work.charge(Pass::Allocate, (data.edges_end - data.edges_first) as usize);
        if save {
            self.save(block);
        }
    }

    /// Drops what is dead at the start of `block` and sets the keys of the rest.
    fn refresh(&mut self, block: usize) {
        let start = self.code.blocks[block].first;
        let mut live = 0;
        let range = self.s.live.live_in(block);
        self.work.charge(Pass::Allocate, range.len());
        for index in range {
            let (vreg, key) = self.s.live.entry(index);
            let reg = self.s.live.vregs[vreg as usize].reg;
            if reg != NO_REG {
                live |= bit(reg);
                self.st.key[ix(reg)] = self.after(vreg, key, start);
            }
        }
        for reg in bits(self.st.occupied & !live) {
            let vreg = self.st.val[ix(reg)];
            match self.after(vreg, NEVER, start) {
                NEVER => self.unbind(reg),
                key => self.st.key[ix(reg)] = key,
            }
        }
    }

    /// Decides the state at the start of a merge or loop header and the moves on the edges to it.
    fn merge(&mut self, block: usize) {
        if self.work.is_spent(Pass::Allocate) {
            self.budget = 0;
        }
        let preds = self.s.live.pred_at[block] as usize..self.s.live.pred_at[block + 1] as usize;
        let header = self.is_header(block);
        // The most frequent predecessor; among equals the one with most in registers, and then one
        // whose edge is critical, since moves on such an edge cost a jump.
        let main = self.s.live.preds[preds.clone()]
            .iter()
            .max_by_key(|&&(source, edge)| {
                let data = &self.code.blocks[source as usize];
                let (first, end) = self.s.snap_at[source as usize];
                (
                    self.s.live.exp[source as usize],
                    end - first,
                    data.edges_end - data.edges_first > 1,
                    core::cmp::Reverse(edge),
                )
            })
            .map_or((0, 0), |&pred| pred);
        self.work.charge(Pass::Allocate, preds.len());
        // The walk comes from the end of the block before.
        let mut here = block as u32 - 1;
        if here != main.0 {
            here = main.0;
            self.restore(here as usize);
        }
        self.candidates(block, header);
        if !header {
            self.second_opinions(block, preds.clone(), main.0);
        }
        self.choose(block, header);
        self.place(block, header, main.1 as usize);
        if header {
            self.put_aside(block);
        }
        let first = self.s.entries.len() as u32;
        self.decide(block, header);
        self.s.entry_at[block] = (first, self.s.entries.len() as u32);
        if self.exceeds(block, preds.clone()) {
            self.in_memory = true;
            self.forget();
            self.s.entries.truncate(first as usize);
            self.decide(block, header);
            self.s.entry_at[block] = (first, first);
        }

        let mut valid = !0;
        for index in preds {
            let (source, edge) = self.s.live.preds[index];
            if here != source {
                here = source;
                self.restore(here as usize);
            }
            let exp = self.s.live.exp[source as usize];
            valid &= self.edge_moves(edge as usize, block, false, exp);
        }
        self.clear();
        for index in 0..self.s.cands.len() {
            let cand = self.s.cands[index];
            self.s.live.vregs[cand.vreg as usize].target = NO_REG;
            if cand.keep {
                let is_valid = cand.param == NO_VREG && valid & bit(cand.new) != 0;
                self.bind(cand.new, cand.vreg, cand.key, is_valid);
            }
        }
    }

    /// Writes down where the candidates are at the start of `block`.
    fn decide(&mut self, block: usize, header: bool) {
        let mark = block as u32 + 1;
        for index in 0..self.s.cands.len() {
            let cand = self.s.cands[index];
            if cand.param == NO_VREG {
                if cand.keep {
                    scratch::push(&mut self.s.entries, (cand.vreg, cand.new));
                }
                self.s.live.vregs[cand.vreg as usize].target =
                    if cand.keep { cand.new } else { NO_REG };
                if header
                    && !cand.keep
                    && self.s.live.vregs[cand.vreg as usize].mark == mark
                    && let Some(listed) = self.s.live.listed_mut(cand.vreg)
                {
                    listed.dist = NEVER;
                }
            } else {
                let info = &mut self.s.live.vregs[cand.vreg as usize];
                let loc = if cand.keep {
                    info.def_reg = cand.new;
                    info.want = cand.new;
                    reg_loc(cand.new)
                } else {
                    info.flags |= HAS_SLOT;
                    Loc::slot(cand.vreg)
                };
                self.s.param_loc[cand.param as usize] = loc;
            }
        }
        self.work.charge(Pass::Allocate, 2 * self.s.cands.len());
    }

    /// Puts everything in memory that is chosen for a register.
    fn forget(&mut self) {
        for cand in &mut self.s.cands {
            let info = &mut self.s.live.vregs[cand.vreg as usize];
            cand.keep = false;
            if cand.param == NO_VREG {
                info.flags |= HAS_SLOT | STORED;
            } else {
                info.def_reg = NO_REG;
                info.want = NO_REG;
            }
        }
    }

    /// Takes off the budget what the edges back to a loop header may need.
    fn put_aside(&mut self, block: usize) {
        let kept = self.s.cands.iter().filter(|cand| cand.keep && cand.param == NO_VREG).count();
        let lp = &mut self.s.live.loops[self.code.blocks[block].loop_id.index()];
        lp.kept = kept as u32;
        debug_assert!(kept * lp.backs as usize <= self.budget, "more put aside than there is");
        self.budget = self.budget.saturating_sub(kept * lp.backs as usize);
    }

    /// True if the edges from `preds` to `block` need more moves than there are left, those for parameters
    /// aside.
    fn exceeds(&mut self, block: usize, preds: core::ops::Range<usize>) -> bool {
        let (first, end) = self.s.entry_at[block];
        let at = self.code.blocks[block].first;
        let mut count = 0;
        for index in preds.clone() {
            if self.budget == 0 || count + (preds.end - index) * MOST_MOVES <= self.budget {
                return false;
            }
            let source = self.s.live.preds[index].0 as usize;
            let exp = self.exp.min(self.s.live.exp[source]);
            let (from, to) = self.s.snap_at[source];
            let mut elsewhere = (end - first) as usize;
            for &(vreg, reg, valid) in &self.s.snaps[from as usize..to as usize] {
                let info = &self.s.live.vregs[vreg as usize];
                if info.target != NO_REG {
                    elsewhere -= 1;
                    count += usize::from(info.target != reg);
                } else if !valid && exp <= info.def_exp {
                    count += usize::from(self.leaves(vreg, block, at));
                }
            }
            count += elsewhere;
            self.work.charge(Pass::Allocate, (to - from) as usize + 1);
            if count > self.budget {
                return true;
            }
        }
        false
    }

    /// True if a value in a register that its slot does not hold has to be stored on an edge to `block`, which
    /// starts at `at`.
    fn leaves(&self, vreg: u32, block: usize, at: u32) -> bool {
        let info = &self.s.live.vregs[vreg as usize];
        info.target == NO_REG
            && info.flags & STORED == 0
            && (info.mark == block as u32 + 1 || self.s.live.live_until(vreg) > at)
    }

    /// Collects the values live at the start of `block`.
    fn candidates(&mut self, block: usize, header: bool) {
        let data = self.code.blocks[block];
        self.s.cands.clear();
        let mut cand = Cand {
            vreg: 0,
            key: 0,
            rank: 0,
            param: NO_VREG,
            class: 0,
            old: NO_REG,
            new: NO_REG,
            keep: false,
        };
        for index in self.s.live.live_in(block) {
            let (vreg, mut key) = self.s.live.entry(index);
            self.s.live.vregs[vreg as usize].mark = block as u32 + 1;
            if header {
                let end = self.s.live.loops[data.loop_id.index()].end;
                self.s.live.list(vreg, end, key - data.first);
            } else {
                key = self.after(vreg, key, data.first);
            }
            let info = &self.s.live.vregs[vreg as usize];
            let keep = info.reg != NO_REG;
            self.s.cands.push(Cand { vreg, key, class: info.class(), old: info.reg, keep, ..cand });
        }
        // Values that are only needed in the next iteration of a loop around.
        for reg in bits(self.st.occupied) {
            let vreg = self.st.val[ix(reg)];
            let info = &self.s.live.vregs[vreg as usize];
            if info.mark != block as u32 + 1 {
                let mut key = self.after(vreg, NEVER, data.first);
                if key != NEVER {
                    if header {
                        key = key.saturating_add(FAR).min(NEVER - 1);
                    }
                    let class = info.class();
                    self.s.cands.push(Cand { vreg, key, class, old: reg, keep: true, ..cand });
                }
            }
        }
        for index in data.params_first..data.params_end {
            let vreg = self.code.params[index as usize].0;
            let key = self.s.live.param_key[index as usize];
            let info = &mut self.s.live.vregs[vreg as usize];
            if key != NEVER {
                cand.param = index;
                self.s.cands.push(Cand { vreg, key, class: info.class(), keep: true, ..cand });
            } else if info.flags & STORED != 0 {
                info.flags |= HAS_SLOT;
                self.s.param_loc[index as usize] = Loc::slot(vreg);
            }
        }
        self.work.charge(Pass::Allocate, self.s.cands.len() + 1);
    }

    /// Values that the main predecessor has in memory, but another one as frequent only in a
    /// register, are better loaded on the former's edge than stored on the latter's.
    fn second_opinions(&mut self, block: usize, preds: core::ops::Range<usize>, main: u32) {
        let mut any = false;
        for index in preds {
            let (source, _) = self.s.live.preds[index];
            if source == main || self.s.live.exp[source as usize] != self.s.live.exp[main as usize]
            {
                continue;
            }
            let (first, end) = self.s.snap_at[source as usize];
            self.work.charge(Pass::Allocate, (end - first) as usize);
            for index in first..end {
                let (vreg, reg, valid) = self.s.snaps[index as usize];
                let info = &mut self.s.live.vregs[vreg as usize];
                if info.mark == block as u32 + 1
                    && info.reg == NO_REG
                    && !valid
                    && info.flags & STORED == 0
                {
                    info.target = reg;
                    any = true;
                }
            }
        }
        if any {
            for cand in &mut self.s.cands {
                let info = &self.s.live.vregs[cand.vreg as usize];
                if cand.param == NO_VREG && info.reg == NO_REG && info.target != NO_REG {
                    cand.keep = cand.key < self.code.blocks[block].first.saturating_add(FAR);
                }
            }
        }
    }

    /// Decides which candidates are in registers.
    fn choose(&mut self, block: usize, header: bool) {
        if self.budget == 0 {
            self.in_memory = true;
            for cand in &mut self.s.cands {
                cand.keep = false;
                if cand.param == NO_VREG {
                    self.s.live.vregs[cand.vreg as usize].flags |= HAS_SLOT | STORED;
                }
            }
            return;
        }
        let start = self.code.blocks[block].first;
        let loop_info = header.then(|| self.s.live.loops[self.code.blocks[block].loop_id.index()]);
        let mut wanting = [0usize; 2];
        let mut kept = [0usize; 2];
        for cand in &mut self.s.cands {
            let info = &self.s.live.vregs[cand.vreg as usize];
            let near = cand.key < start.saturating_add(FAR);
            cand.rank = u64::from(cand.key);
            if let Some(lp) = &loop_info {
                if cand.param != NO_VREG {
                    cand.rank = (1 << 40) - u64::from(info.weight) * PARAM_WEIGHT;
                } else if near {
                    cand.keep = true;
                    cand.rank = (1 << 40) - u64::from(info.weight);
                } else {
                    cand.rank += 1 << 41;
                }
                // What a call drives out in each iteration starts in memory; callee-saved registers
                // are dealt out below.
                cand.keep &= !lp.always_calls || cand.param != NO_VREG;
            }
            wanting[usize::from(cand.class)] += usize::from(cand.keep);
            kept[usize::from(cand.class)] += usize::from(cand.keep && cand.param == NO_VREG);
        }
        if let Some(lp) = &loop_info
            && lp.calls > 0
        {
            self.choose_saved(&mut wanting);
        }
        for class in 0..2 {
            let registers = self.env.class[class].count_ones() as usize;
            let mut over = wanting[class].saturating_sub(registers);
            if let Some(lp) = &loop_info
                && !lp.always_calls
            {
                // Parameters count as inside. Half of the registers are given in any case.
                let pressure = kept[class] + lp.inside[class] as usize;
                let most = wanting[class].saturating_sub(registers / 2);
                let excess = pressure.saturating_sub(registers);
                // What leaves needs a register now and then.
                over = over.max((excess + usize::from(excess > 0)).min(most));
            }
            if over == 0 {
                continue;
            }
            let mut ranks = core::mem::take(&mut self.s.ranks);
            ranks.clear();
            ranks.extend(
                (self.s.cands.iter().enumerate())
                    .filter(|(_, c)| c.keep && usize::from(c.class) == class)
                    .map(|(index, c)| (c.rank, index as u32)),
            );
            let cut = ranks.len() - over;
            ranks.select_nth_unstable(cut);
            for &(_, index) in &ranks[cut..] {
                self.s.cands[index as usize].keep = false;
            }
            self.work.charge(Pass::Allocate, ranks.len());
            self.s.ranks = ranks;
        }
        if let Some(lp) = &loop_info {
            self.choose_payable(self.budget / 2 / lp.backs.max(1) as usize);
        }
    }

    /// Keeps no more than `most` values in registers, parameters aside.
    fn choose_payable(&mut self, most: usize) {
        let of = |cand: &Cand| cand.keep && cand.param == NO_VREG;
        if self.s.cands.iter().filter(|cand| of(cand)).count() <= most {
            return;
        }
        let mut ranks = core::mem::take(&mut self.s.ranks);
        ranks.clear();
        let kept = self.s.cands.iter().enumerate().filter(|(_, cand)| of(cand));
        ranks.extend(kept.map(|(index, cand)| (cand.rank, index as u32)));
        ranks.select_nth_unstable(most);
        for &(_, index) in &ranks[most..] {
            self.s.cands[index as usize].keep = false;
        }
        self.work.charge(Pass::Allocate, ranks.len());
        self.s.ranks = ranks;
    }

    /// In a loop with calls the heaviest values get the callee-saved registers.
    fn choose_saved(&mut self, wanting: &mut [usize; 2]) {
        let mut left = (self.env.callee_saved & self.env.class[0]).count_ones() as usize;
        let mut ranks = core::mem::take(&mut self.s.ranks);
        ranks.clear();
        ranks.extend((self.s.cands.iter().enumerate()).filter(|(_, c)| c.class == 0).filter_map(
            |(index, c)| {
                let info = &self.s.live.vregs[c.vreg as usize];
                let used = c.rank <= 1 << 40;
                let there = c.old < 32 && self.env.callee_saved & bit(c.old) != 0;
                (info.cross > 0 && (used || there)).then_some((c.rank, index as u32))
            },
        ));
        left = left.min(ranks.len());
        if left > 0 && left < ranks.len() {
            ranks.select_nth_unstable(left - 1);
        }
        for &(_, index) in &ranks[..left] {
            let cand = &mut self.s.cands[index as usize];
            wanting[0] += usize::from(!cand.keep);
            cand.keep = true;
            // A mark for `place`.
            cand.rank = 0;
        }
        self.s.ranks = ranks;
    }

    /// Gives registers to the candidates that stay.
    fn place(&mut self, block: usize, header: bool, main_edge: usize) {
        let at = self.code.blocks[block].first;
        let loop_info = header.then(|| self.s.live.loops[self.code.blocks[block].loop_id.index()]);
        let shunned = loop_info.map_or(0, |lp| lp.fixed);
        let saved = self.env.callee_saved;
        let mut free = self.env.class[0] | self.env.class[1];
        // Values that cross calls in the loop first take the registers that survive them.
        let count = self.s.cands.len();
        let calls = loop_info.is_some_and(|lp| lp.calls > 0);
        if calls {
            for index in 0..count {
                let cand = self.s.cands[index];
                if cand.keep && cand.rank == 0 && cand.old < 32 && saved & bit(cand.old) != 0 {
                    self.s.cands[index].new = cand.old;
                    free &= !bit(cand.old);
                }
            }
            for index in 0..count {
                let cand = self.s.cands[index];
                if cand.keep && cand.rank == 0 && cand.new == NO_REG {
                    let reg = self.pick(cand.vreg, free & saved & self.env.class[0], at);
                    if let Some(reg) = reg {
                        self.s.cands[index].new = reg;
                        free &= !bit(reg);
                        self.used_saved |= bit(reg) & saved;
                    }
                }
            }
        }
        // What is in a register stays there, unless the loop asks for that very register.
        for index in 0..count {
            let cand = &mut self.s.cands[index];
            if cand.keep
                && cand.new == NO_REG
                && cand.old < 32
                && free & bit(cand.old) != 0
                && shunned & bit(cand.old) == 0
            {
                cand.new = cand.old;
                free &= !bit(cand.old);
            }
        }
        let args_first = self.code.edges[main_edge].first;
        let params_first = self.code.blocks[block].params_first;
        for index in 0..count {
            let cand = self.s.cands[index];
            if !cand.keep || cand.param == NO_VREG || cand.new != NO_REG {
                continue;
            }
            let class = self.env.class[usize::from(cand.class)];
            let arg = self.code.args[(args_first + cand.param - params_first) as usize];
            let info = &self.s.live.vregs[cand.vreg as usize];
            let there = self.s.live.vregs[arg.index()].reg;
            let good = free & class & !shunned;
            let suits = |reg: u8| reg < 32 && good & bit(reg) != 0;
            let crosses = info.cross > 0 && cand.class == 0 && good & saved != 0;
            let reg = if crosses || !(suits(info.want) || suits(there)) {
                let set = if good != 0 { good } else { free & class };
                self.pick(cand.vreg, set, at)
            } else if suits(info.want) {
                Some(info.want)
            } else {
                Some(there)
            };
            self.settle_cand(index, reg, &mut free);
        }
        for index in 0..count {
            let cand = self.s.cands[index];
            if !cand.keep || cand.new != NO_REG {
                continue;
            }
            let set = free & self.env.class[usize::from(cand.class)];
            let other = self.s.live.vregs[cand.vreg as usize].target;
            let reg = if other < 32 && set & bit(other) != 0 {
                Some(other)
            } else {
                let good = set & !shunned;
                self.pick(cand.vreg, if good != 0 { good } else { set }, at)
            };
            self.settle_cand(index, reg, &mut free);
        }
    }

    fn settle_cand(&mut self, index: usize, reg: Option<u8>, free: &mut u32) {
        let cand = &mut self.s.cands[index];
        match reg {
            Some(reg) => {
                cand.new = reg;
                *free &= !bit(reg);
            }
            None => cand.keep = false,
        }
    }

    /// The moves on `edge` from the current state to that at the start of `target`; the registers
    /// there whose slot is valid by this way.
    fn edge_moves(&mut self, edge: usize, target: usize, back: bool, from_exp: u8) -> u32 {
        let start = self.s.edge_edits.len();
        let at = self.code.blocks[target].first;
        let mut valid = !0;
        let (first, end) = self.s.entry_at[target];
        for index in first..end {
            let (vreg, reg) = self.s.entries[index as usize];
            let now = self.s.live.vregs[vreg as usize].reg;
            if now != NO_REG && !self.is_valid(now) {
                valid &= !bit(reg);
            }
            if now != reg {
                let from = self.whereabouts(vreg);
                let edit = self.edit(at, vreg, from, reg_loc(reg));
                scratch::push(&mut self.s.edge_edits, (&edit).into());
            }
        }
        let data = self.code.edges[edge];
        let params = self.code.blocks[target].params_first;
        let moves = self.s.edge_edits.len();
        for index in 0..data.end - data.first {
            let to = self.s.param_loc[(params + index) as usize];
            if to == Loc::NONE {
                continue;
            }
            let arg = self.code.args[(data.first + index) as usize].0;
            let from = self.whereabouts(arg);
            if from != to {
                let edit = self.edit(at, arg, from, to);
                scratch::push(&mut self.s.edge_edits, (&edit).into());
            }
        }
        let for_params = self.s.edge_edits.len() - moves;
        if back {
            // What was put aside.
            let id = self.code.blocks[target].loop_id;
            self.budget += self.s.live.loops[id.index()].kept as usize;
        } else {
            let exp = self.exp.min(from_exp);
            for reg in bits(self.st.occupied & !self.st.valid) {
                let vreg = self.st.val[ix(reg)];
                if !self.leaves(vreg, target, at) {
                    continue;
                }
                let info = &mut self.s.live.vregs[vreg as usize];
                info.flags |= HAS_SLOT;
                if exp > info.def_exp {
                    info.flags |= STORED;
                } else {
                    let edit = self.edit(at, vreg, reg_loc(reg), Loc::slot(vreg));
                    scratch::push(&mut self.s.edge_edits, (&edit).into());
                }
            }
        }
        let count = self.s.edge_edits.len() - start;
        self.s.edge_ranges[edge] = (start as u32, self.s.edge_edits.len() as u32);
        self.work.charge(
            Pass::Allocate,
            (end - first) as usize + (data.end - data.first) as usize + count + 1,
        );
        debug_assert!(count - for_params <= self.budget, "moves beyond the budget");
        self.budget = self.budget.saturating_sub(count - for_params);
        valid
    }

    /// Where a live value is: its home or its slot.
    fn whereabouts(&mut self, vreg: u32) -> Loc {
        let info = &mut self.s.live.vregs[vreg as usize];
        if info.reg != NO_REG {
            return reg_loc(info.reg);
        }
        info.flags |= HAS_SLOT;
        Loc::slot(vreg)
    }
}
