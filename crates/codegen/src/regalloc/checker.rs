//! Symbolic check of an allocation.
//!
//! *Lattice.* A state maps each location (register or slot) to the set of virtual registers whose
//! value it holds for certain. The top is "not reached"; the meet at a merge is the intersection
//! per location; the bottom maps everything to the empty set. The height is finite, all transfer
//! functions are monotone, so iteration over the blocks ends.
//!
//! *Transfer.* A move copies the set of its source to its destination, an exchange swaps two sets.
//! An instruction's uses must be in their sets; clobbers and the locations of definitions lose
//! theirs; a definition removes its register from all sets (an older iteration's value) and then
//! is what its location holds. On an edge the parameters of the target replace the arguments: a
//! location holds a parameter afterwards if it held the argument before.
//!
//! Beside the values, each operand's constraint is checked, and that nothing but the allocatable
//! registers and, in moves, the scratch registers is touched. Scratch registers hold nothing
//! across an instruction.
//!
//! Cost is not bounded by a constant per instruction; the checker is for tests and for `--verify`.

use super::{Allocation, Loc, Move, RegEnv};
use crate::vcode::{Constraint, Operand, PReg, RegClass, RegSet, VCode, VReg};
use runwell_ir::entity::Block;
use std::collections::BTreeMap;

/// What locations hold: sorted lists, no empty ones.
type State = BTreeMap<Loc, Vec<VReg>>;

struct Checker<'a> {
    code: &'a VCode,
    out: &'a Allocation,
    env: &'a RegEnv,
    /// Per block the state at its start, once reached.
    starts: Vec<Option<State>>,
}

/// Checks `out` against `code`.
///
/// # Errors
/// A description of the first violation found, with the number of the instruction.
pub fn check(code: &VCode, out: &Allocation, env: &RegEnv) -> Result<(), String> {
    let mut checker = Checker { code, out, env, starts: vec![None; code.blocks.len()] };
    checker.shape()?;
    checker.constraints()?;
    if code.blocks.is_empty() {
        return Ok(());
    }
    checker.starts[0] = Some(State::new());
    let mut pending = vec![false; code.blocks.len()];
    pending[0] = true;
    // Blocks in order, again as long as some start has sunk.
    while let Some(first) = pending.iter().position(|&p| p) {
        for block in first..code.blocks.len() {
            if !core::mem::take(&mut pending[block]) {
                continue;
            }
            let Some(mut state) = checker.starts[block].clone() else { continue };
            checker.block(block, &mut state, &mut pending)?;
        }
    }
    Ok(())
}

impl Checker<'_> {
    /// Sizes and order of the allocation's tables.
    fn shape(&self) -> Result<(), String> {
        if self.out.locs.len() != self.code.operands.len() {
            return Err("not one location per operand".into());
        }
        if self.out.edges.len() != self.code.edges.len() {
            return Err("not one range of moves per edge".into());
        }
        if self.out.moves.windows(2).any(|w| w[0].0 > w[1].0) {
            return Err("moves are not in order".into());
        }
        Ok(())
    }

    /// The location is a register of the right class, or a slot that is large enough.
    fn fits(&self, loc: Loc, vreg: VReg) -> Result<(), String> {
        let data = &self.code.vregs[vreg.index()];
        if let Some(reg) = loc.as_reg() {
            if reg.class() != self.code.class(vreg) {
                return Err(format!("{vreg:?} is in {reg:?}, of the wrong class"));
            }
        } else if let Some(slot) = loc.as_slot() {
            let size = self.out.slot_bytes.get(slot as usize).copied().unwrap_or(0);
            if u32::from(size) < data.ty.bytes() {
                return Err(format!("{vreg:?} is in {loc:?} of {size} bytes"));
            }
        } else {
            return Err(format!("{vreg:?} is nowhere"));
        }
        Ok(())
    }

    fn constraints(&self) -> Result<(), String> {
        for (at, inst) in self.code.insts.iter().enumerate() {
            let ops = self.code.operands(inst);
            let first = inst.first as usize;
            let locs = &self.out.locs[first..first + ops.len()];
            self.constraints_of(ops, locs, self.code.clobbers(inst))
                .map_err(|e| format!("instruction {at}: {e} ({ops:?} in {locs:?})"))?;
        }
        Ok(())
    }

    fn constraints_of(
        &self,
        ops: &[Operand],
        locs: &[Loc],
        clobbers: RegSet,
    ) -> Result<(), String> {
        for (index, (op, &loc)) in ops.iter().zip(locs).enumerate() {
            self.fits(loc, op.vreg)?;
            let reg = loc.as_reg();
            let ok = match op.constraint() {
                Constraint::Any => true,
                Constraint::Reg => reg.is_some(),
                Constraint::Fixed(fixed) => reg == Some(fixed),
                Constraint::Reuse(other) => reg.is_some() && locs[usize::from(other)] == loc,
            };
            if !ok {
                return Err(format!("operand {index} violates its constraint"));
            }
            let fixed = matches!(op.constraint(), Constraint::Fixed(_));
            if let Some(reg) = reg
                && !fixed
                && !self.env.allocatable.has(reg)
            {
                return Err(format!("operand {index} is in {reg:?}, which is reserved"));
            }
            if !op.is_def() {
                continue;
            }
            if let Some(reg) = reg
                && !fixed
                && clobbers.has(reg)
            {
                return Err(format!("definition {index} is in {reg:?}, which is clobbered"));
            }
            if let Some(reg) = reg
                && self.env.callee_saved.has(reg)
                && !self.out.used_callee_saved.has(reg)
            {
                return Err(format!("{reg:?} is not noted as used"));
            }
            for (other_index, (other, &other_loc)) in ops.iter().zip(locs).enumerate() {
                if other_index != index && other_loc == loc && (other.is_def() || other.is_late()) {
                    return Err(format!("operands {index} and {other_index} share {loc:?}"));
                }
            }
        }
        Ok(())
    }

    fn make(&self, state: &mut State, m: &Move) -> Result<(), String> {
        for loc in [m.from, m.to] {
            if let Some(reg) = loc.as_reg() {
                if !self.env.allocatable.has(reg) && !self.env.scratch.contains(&reg) {
                    return Err(format!("move {m:?} touches {reg:?}, which is reserved"));
                }
            } else if loc.as_slot().is_none_or(|s| s as usize >= self.out.slot_bytes.len()) {
                return Err(format!("move {m:?} touches no location"));
            }
        }
        if let Some(to) = m.to.as_reg()
            && self.env.callee_saved.has(to)
            && !self.out.used_callee_saved.has(to)
        {
            return Err(format!("move {m:?}: the register is not noted as used"));
        }
        // Parameters may be wider than their arguments: the upper half must be in the slot, too.
        if m.to.as_slot().is_some()
            && m.from.as_reg().is_some_and(|from| from.class() == RegClass::Int)
            && m.bytes != 8
        {
            return Err(format!("move {m:?} stores a register in part"));
        }
        let value = state.get(&m.from).cloned();
        if m.swap {
            let (Some(a), Some(b)) = (m.from.as_reg(), m.to.as_reg()) else {
                return Err(format!("exchange {m:?} of slots"));
            };
            if a.class() != b.class() {
                return Err(format!("exchange {m:?} between classes"));
            }
            let other = state.remove(&m.to);
            set(state, m.from, other);
        } else if m.from.as_slot().is_some() && m.to.as_slot().is_some() {
            return Err(format!("move {m:?} between slots"));
        }
        // A value that is moved in part is lost.
        let value = value.map(|list| {
            let whole = |v: &VReg| self.code.vregs[v.index()].ty.bytes() <= u32::from(m.bytes);
            list.into_iter().filter(whole).collect()
        });
        set(state, m.to, value);
        Ok(())
    }

    fn block(
        &mut self,
        block: usize,
        state: &mut State,
        pending: &mut [bool],
    ) -> Result<(), String> {
        let data = self.code.blocks[block];
        let mut next = self.out.moves.partition_point(|(at, _)| *at < data.first);
        for at in data.first..data.end {
            while let Some((_, m)) = self.out.moves.get(next).filter(|(i, _)| *i == at) {
                self.make(state, m).map_err(|e| format!("before instruction {at}: {e}"))?;
                next += 1;
            }
            self.inst(at, state).map_err(|e| format!("instruction {at} in b{block}: {e}"))?;
        }
        for edge in data.edges_first..data.edges_end {
            let mut after = state.clone();
            let (first, end) = self.out.edges[edge as usize];
            for m in &self.out.edge_moves[first as usize..end as usize] {
                self.make(&mut after, m).map_err(|e| format!("edge {edge}: {e}"))?;
            }
            self.edge(edge as usize, &mut after);
            let target = self.code.edges[edge as usize].target.index();
            pending[target] |= sink(&mut self.starts[target], after);
        }
        Ok(())
    }

    fn inst(&self, at: u32, state: &mut State) -> Result<(), String> {
        let inst = &self.code.insts[at as usize];
        let first = inst.first as usize;
        let ops = self.code.operands(inst);
        // Emission may use the scratch registers inside of any instruction.
        for reg in self.env.scratch {
            state.remove(&Loc::reg(reg));
        }
        for (k, op) in ops.iter().enumerate().filter(|(_, op)| !op.is_def()) {
            let loc = self.out.locs[first + k];
            if !state.get(&loc).is_some_and(|list| list.contains(&op.vreg)) {
                let held = state.get(&loc);
                return Err(format!("{:?} is not in {loc:?}, which holds {held:?}", op.vreg));
            }
        }
        for reg in self.code.clobbers(inst).iter() {
            state.remove(&Loc::reg(reg));
        }
        let defs: Vec<VReg> = ops.iter().filter(|op| op.is_def()).map(|op| op.vreg).collect();
        if !defs.is_empty() {
            forget(state, &defs);
        }
        for (k, op) in ops.iter().enumerate().filter(|(_, op)| op.is_def()) {
            state.insert(self.out.locs[first + k], vec![op.vreg]);
        }
        Ok(())
    }

    /// Arguments become parameters.
    fn edge(&self, edge: usize, state: &mut State) {
        let data = &self.code.edges[edge];
        let params: Vec<VReg> = self.code.params(Block(data.target.0)).to_vec();
        let args = self.code.edge_args(data);
        state.retain(|loc, list| {
            let scratch = |reg: PReg| self.env.scratch.contains(&reg);
            if loc.as_reg().is_some_and(scratch) {
                return false;
            }
            let mut new: Vec<VReg> =
                list.iter().copied().filter(|vreg| !params.contains(vreg)).collect();
            for (&param, arg) in params.iter().zip(args) {
                if list.contains(arg) {
                    new.push(param);
                }
            }
            new.sort_unstable();
            *list = new;
            !list.is_empty()
        });
    }
}

fn set(state: &mut State, loc: Loc, value: Option<Vec<VReg>>) {
    match value {
        Some(list) if !list.is_empty() => state.insert(loc, list),
        _ => state.remove(&loc),
    };
}

/// Removes `vregs` from all sets.
fn forget(state: &mut State, vregs: &[VReg]) {
    state.retain(|_, list| {
        list.retain(|vreg| !vregs.contains(vreg));
        !list.is_empty()
    });
}

/// Meets `state` into `start`; true if that has changed it.
fn sink(start: &mut Option<State>, state: State) -> bool {
    let Some(old) = start else {
        *start = Some(state);
        return true;
    };
    let mut changed = false;
    old.retain(|loc, list| {
        let before = list.len();
        match state.get(loc) {
            Some(other) => list.retain(|vreg| other.contains(vreg)),
            None => list.clear(),
        }
        changed |= list.len() != before;
        !list.is_empty()
    });
    changed
}
