//! One instruction of the forward walk: uses, then definitions.
//!
//! Most instructions ask for no particular register ([`Walk::plain`]); their reloads, evictions
//! and copies are emitted as they are decided. The others, calls above all, decide everything
//! first and then make one parallel move ([`Walk::special`]), so that arguments that have to trade
//! places do so without detours. Either way the work is bounded by operands times registers, and the
//! registers that an instruction of the second kind finds in use are charged.

use super::liveness::{HAS_SLOT, NEVER, NO_REG};
use super::moves::Pending;
use super::state::{Edit, Walk, bit, bits, ix, reg_loc};
use super::{Loc, Move};
use crate::vcode::{Constraint, Operand};
use runwell_ir::scratch;
use runwell_ir::work::Pass;

/// A spilled operand that may stay in memory is loaded all the same if it is used again within
/// this many instructions.
const RELOAD_WITHIN: u32 = 24;

/// Registers in use that an instruction with fixed registers looks at for a step: a few times each, for a
/// call may drive all of them out.
const REGISTERS_PER_STEP: u32 = 4;

impl Walk<'_> {
    /// Allocates instruction `at`.
    pub(super) fn inst(&mut self, at: u32) {
        let code = self.code;
        let inst = &code.insts[at as usize];
        let ops = code.operands(inst);
        let base = inst.first as usize;
        let locs = &mut self.locs[base..base + ops.len()];
        for (next, loc) in self.next.iter_mut().zip(locs) {
            *next = core::mem::replace(loc, Loc::NONE).0;
        }
        // Instructions with fixed registers or clobbers are just the events.
        let event = self.event.checked_sub(1).map(|last| self.s.live.events[last].at());
        if event == Some(at) {
            self.special(at, ops, base, code.clobbers(inst).0);
            self.event -= 1;
        } else {
            self.plain(at, ops, base);
        }
    }

    fn reg_of(&self, op: Operand) -> u8 {
        self.s.live.vregs[op.vreg.index()].reg
    }

    fn class_of(&self, op: Operand) -> u32 {
        self.env.class[usize::from(self.s.live.vregs[op.vreg.index()].class())]
    }

    fn set_slot(&mut self, operand: usize, op: Operand) {
        self.locs[operand] = Loc::slot(op.vreg.0);
        self.s.live.vregs[op.vreg.index()].flags |= HAS_SLOT;
        self.s.slot_operands.push(operand as u32);
    }

    /// True if a spilled `Any` operand is better off in a register.
    fn worth_reload(&self, op: Operand, next: u32, at: u32) -> bool {
        next != NEVER
            && next - at <= RELOAD_WITHIN
            && self.class_of(op) & !self.st.occupied & !self.env.callee_saved != 0
    }

    fn plain(&mut self, at: u32, ops: &[Operand], base: usize) {
        let defs = ops.iter().take_while(|op| op.is_def()).count();
        let (mut pinned, mut late) = (0u32, 0u32);
        for (k, &op) in ops.iter().enumerate().skip(defs) {
            let next = self.after(op.vreg.0, self.next[k], at);
            let mut reg = self.reg_of(op);
            if reg == NO_REG {
                if op.constraint() == Constraint::Any && !self.worth_reload(op, next, at) {
                    self.set_slot(base + k, op);
                    continue;
                }
                reg = self.take(op.vreg.0, pinned, at);
                self.s.live.vregs[op.vreg.index()].flags |= HAS_SLOT;
                let load = self.edit(at, op.vreg.0, Loc::slot(op.vreg.0), reg_loc(reg));
                scratch::push(&mut self.s.edits, load);
                self.bind(reg, op.vreg.0, next, true);
            }
            pinned |= bit(reg);
            self.st.key[ix(reg)] = next;
            self.locs[base + k] = reg_loc(reg);
            if op.is_late() {
                late |= bit(reg);
            }
        }
        if defs == 0 {
            for reg in bits(pinned) {
                if self.st.key[ix(reg)] == NEVER {
                    self.unbind(reg);
                }
            }
            return;
        }

        let mut defined = 0u32;
        for (k, &op) in ops[..defs].iter().enumerate() {
            if let Constraint::Reuse(index) = op.constraint() {
                let operand = base + usize::from(index);
                let reg = self.reuse(at, op, operand, ops, base, pinned, &mut late, defined);
                defined |= bit(reg);
                self.locs[base + k] = reg_loc(reg);
            }
        }
        for reg in bits(pinned & self.st.occupied) {
            if self.st.key[ix(reg)] == NEVER {
                self.unbind(reg);
            }
        }
        for (k, &op) in ops[..defs].iter().enumerate() {
            if !matches!(op.constraint(), Constraint::Reuse(_)) {
                let reg = self.take(op.vreg.0, late | defined, at);
                defined |= bit(reg);
                self.locs[base + k] = reg_loc(reg);
            }
        }
        self.define(ops, base, defs);
    }

    /// Makes the locations of the definitions the homes of their values.
    fn define(&mut self, ops: &[Operand], base: usize, defs: usize) {
        for (k, op) in ops[..defs].iter().enumerate() {
            let Some(reg) = self.locs[base + k].as_reg() else { continue };
            let reg = reg.0;
            self.s.live.vregs[op.vreg.index()].def_reg = reg;
            self.used_saved |= bit(reg) & self.env.callee_saved;
            let next = self.next[k];
            if next != NEVER {
                self.bind(reg, op.vreg.0, next, false);
                self.settle(op.vreg.0, reg);
            }
        }
    }

    /// The register of a two-address definition `op` tied to the operand at index `operand`.
    #[allow(clippy::too_many_arguments)]
    fn reuse(
        &mut self,
        at: u32,
        op: Operand,
        operand: usize,
        ops: &[Operand],
        base: usize,
        pinned: u32,
        late: &mut u32,
        defined: u32,
    ) -> u8 {
        let Some(reg) = self.locs[operand].as_reg() else {
            unreachable!("a tied operand is `Reg`")
        };
        let reg = reg.0;
        let value = ops[operand - base].vreg.0;
        let home = self.s.live.vregs[value as usize].reg;
        let key = if home == reg { self.st.key[ix(reg)] } else { NEVER };
        if key == NEVER && *late & bit(reg) == 0 && defined & bit(reg) == 0 {
            return reg;
        }
        let class = self.class_of(op);
        // If the value lives on, either it or the definition gets another register.
        let free = class & !self.st.occupied & !pinned & !defined;
        let wanted = self.wanted(op.vreg.0).or({
            let hint = self.s.live.vregs[op.vreg.index()].hint;
            (hint < 32).then_some(hint)
        });
        let stay = wanted == Some(reg) && defined & bit(reg) == 0 && key != NEVER;
        let target = self.pick(if stay { value } else { op.vreg.0 }, free, at).or_else(|| {
            let others = class & self.st.occupied & !pinned & !defined;
            let own = if *late & bit(reg) == 0 && defined & bit(reg) == 0 { bit(reg) } else { 0 };
            self.farthest(others | own, at)
        });
        let Some(to) = target else { unreachable!("no register for a two-address definition") };
        if to == reg {
            // The value itself is needed last of all: it goes on in its slot.
            self.evict(reg, reg_loc(reg), at);
            return reg;
        }
        if self.st.occupied & bit(to) != 0 {
            self.evict(to, reg_loc(to), at);
        }
        let copy = self.edit(at, value, reg_loc(reg), reg_loc(to));
        scratch::push(&mut self.s.edits, copy);
        if !stay {
            self.locs[operand] = reg_loc(to);
            return to;
        }
        // The value moves, the definition takes its place. Early uses read the old register, which
        // holds the value as well.
        let valid = self.is_valid(reg);
        self.unbind(reg);
        self.bind(to, value, key, valid);
        if *late & bit(reg) != 0 {
            *late = *late & !bit(reg) | bit(to);
            for (k, other) in ops.iter().enumerate() {
                if other.is_late() && other.vreg.0 == value && base + k != operand {
                    self.locs[base + k] = reg_loc(to);
                }
            }
        }
        reg
    }

    /// An instruction with fixed registers or clobbers.
    fn special(&mut self, at: u32, ops: &[Operand], base: usize, clobbers: u32) {
        let defs = ops.iter().take_while(|op| op.is_def()).count();
        self.s.copies.clear();
        // Registers read by fixed uses and their values; registers that nothing may live in
        // across the instruction; registers that other uses read, which no copy may overwrite.
        let (mut fixed, mut barred, mut read, mut late) = (0u32, clobbers, 0u32, 0u32);
        let mut fixed_defs = 0u32;
        let mut owner = [u32::MAX; 32];
        for op in &ops[..defs] {
            if let Constraint::Fixed(reg) = op.constraint() {
                barred |= bit(reg.0);
                fixed_defs |= bit(reg.0);
            }
        }
        for op in &ops[defs..] {
            if let Constraint::Fixed(reg) = op.constraint() {
                fixed |= bit(reg.0);
                owner[reg.index()] = op.vreg.0;
            }
        }
        // Where a home's value was before the instruction.
        let mut source = Sources::UNMOVED;
        let looks = self.st.occupied.count_ones() / REGISTERS_PER_STEP;
        self.work.charge(Pass::Allocate, looks as usize);
        // Uses that have to leave their register because a fixed operand takes it.
        let mut displaced = 0u32;
        for (k, &op) in ops.iter().enumerate().skip(defs) {
            let next = self.after(op.vreg.0, self.next[k], at);
            let reg = self.reg_of(op);
            if reg != NO_REG {
                self.st.key[ix(reg)] = next;
            }
            if let Constraint::Fixed(to) = op.constraint() {
                self.locs[base + k] = reg_loc(to.0);
                if op.is_late() {
                    late |= bit(to.0);
                }
                let from = if reg != NO_REG { reg_loc(reg) } else { Loc::slot(op.vreg.0) };
                if reg == NO_REG {
                    self.s.live.vregs[op.vreg.index()].flags |= HAS_SLOT;
                }
                let copy = self.edit(at, op.vreg.0, from, reg_loc(to.0));
                self.s.copies.push(copy);
            } else if reg != NO_REG {
                let taken = fixed & bit(reg) != 0 && owner[ix(reg)] != op.vreg.0;
                if taken || op.is_late() && fixed_defs & bit(reg) != 0 {
                    displaced |= bit(reg);
                } else {
                    read |= bit(reg);
                    self.locs[base + k] = reg_loc(reg);
                    if op.is_late() {
                        late |= bit(reg);
                    }
                }
            }
        }

        // Values whose use is displaced get a register that can be read at the instruction.
        for reg in bits(displaced) {
            let (vreg, key) = (self.st.val[ix(reg)], self.st.key[ix(reg)]);
            let valid = self.is_valid(reg);
            let is_late = ops[defs..].iter().any(|op| op.vreg.0 == vreg && op.is_late());
            let off = if key != NEVER || is_late { barred } else { 0 };
            let to = self.take_special(vreg, fixed | read | off, displaced, at, &source);
            source.set(to, reg_loc(reg));
            self.unbind(reg);
            self.bind(to, vreg, key, valid);
            read |= bit(to);
            if is_late {
                late |= bit(to);
            }
            for (k, op) in ops.iter().enumerate().skip(defs) {
                if op.vreg.0 == vreg && !matches!(op.constraint(), Constraint::Fixed(_)) {
                    self.locs[base + k] = reg_loc(to);
                }
            }
        }
        // Others that cannot stay where they are.
        let mut leaving = 0u32;
        for reg in bits(self.st.occupied & (fixed | barred) & !source.moved) {
            let vreg = self.st.val[ix(reg)];
            let kept = fixed & bit(reg) == 0 || owner[ix(reg)] == vreg;
            let lives = self.st.key[ix(reg)] != NEVER;
            if lives && (!kept || barred & bit(reg) != 0) {
                leaving |= bit(reg);
            } else if !kept {
                // Only read by a fixed use elsewhere, which knows where it is.
                self.unbind(reg);
            }
        }
        // The nearest uses choose first.
        let mut order = [(NEVER, NO_REG); 32];
        let count = leaving.count_ones() as usize;
        for (place, reg) in order.iter_mut().zip(bits(leaving)) {
            *place = (self.st.key[ix(reg)], reg);
        }
        order[..count].sort_unstable();
        for &(_, reg) in &order[..count] {
            self.relocate(at, reg, fixed | barred | read, &mut source);
        }

        // Uses of values in slots.
        for (k, &op) in ops.iter().enumerate().skip(defs) {
            if matches!(op.constraint(), Constraint::Fixed(_)) || self.locs[base + k] != Loc::NONE {
                continue;
            }
            let reg = self.reg_of(op);
            if reg != NO_REG {
                // Loaded for another operand of this instruction.
                self.locs[base + k] = reg_loc(reg);
            } else if op.constraint() == Constraint::Any {
                self.set_slot(base + k, op);
            } else {
                // The last operand with this value knows what comes after.
                let last = ops.iter().rposition(|other| other.vreg == op.vreg).unwrap_or(k);
                let next = self.after(op.vreg.0, self.next[last], at);
                let lives = next != NEVER || op.is_late();
                let off = if lives { barred } else { 0 };
                let to = self.take_special(op.vreg.0, fixed | read | off, 0, at, &source);
                source.set(to, Loc::slot(op.vreg.0));
                self.s.live.vregs[op.vreg.index()].flags |= HAS_SLOT;
                self.bind(to, op.vreg.0, next, true);
                read |= bit(to);
                self.locs[base + k] = reg_loc(to);
            }
            if op.is_late()
                && let Some(reg) = self.locs[base + k].as_reg()
            {
                late |= bit(reg.0);
            }
        }

        // Two-address definitions.
        let mut defined = 0u32;
        for (k, &op) in ops[..defs].iter().enumerate() {
            match op.constraint() {
                Constraint::Fixed(reg) => {
                    defined |= bit(reg.0);
                    self.locs[base + k] = reg_loc(reg.0);
                }
                Constraint::Reuse(index) => {
                    let operand = usize::from(index);
                    let reg = self.reuse_special(
                        at,
                        op,
                        (ops[operand], base + operand),
                        fixed | read,
                        barred | defined,
                        late,
                        &mut source,
                    );
                    read |= bit(reg);
                    defined |= bit(reg);
                    self.locs[base + k] = reg_loc(reg);
                }
                _ => {}
            }
        }
        let mut homes = self.st.occupied;
        for reg in bits(self.st.occupied) {
            if self.st.key[ix(reg)] == NEVER {
                homes &= !bit(reg);
            }
        }
        // The other definitions. What dies here is still a home, so that its copy is made below.
        for (k, &op) in ops[..defs].iter().enumerate() {
            if matches!(op.constraint(), Constraint::Reg | Constraint::Any) {
                let off = barred | late | defined;
                let free = self.class_of(op) & !homes & !off;
                let reg = match self.pick(op.vreg.0, free, at) {
                    Some(reg) => reg,
                    None => {
                        let among = self.class_of(op) & homes & !off & !source.moved;
                        let Some(reg) = self.farthest(among, at) else {
                            unreachable!("no register for a definition")
                        };
                        self.evict(reg, reg_loc(reg), at);
                        homes &= !bit(reg);
                        reg
                    }
                };
                defined |= bit(reg);
                self.locs[base + k] = reg_loc(reg);
            }
        }

        for reg in bits(self.st.occupied & source.moved) {
            let vreg = self.st.val[ix(reg)];
            let copy = self.edit(at, vreg, source.of(reg), reg_loc(reg));
            self.s.copies.push(copy);
        }
        self.emit_copies(at);
        for reg in bits(self.st.occupied & !homes) {
            self.unbind(reg);
        }
        self.define(ops, base, defs);
    }

    /// As [`Walk::take`] in the middle of a special instruction.
    fn take_special(
        &mut self,
        vreg: u32,
        taken: u32,
        displaced: u32,
        at: u32,
        source: &Sources,
    ) -> u8 {
        let class = usize::from(self.s.live.vregs[vreg as usize].class());
        let all = self.env.class[class] & !taken;
        if let Some(reg) = self.pick(vreg, all & !self.st.occupied, at) {
            return reg;
        }
        let among = all & self.st.occupied & !displaced & !source.moved;
        match self.farthest(among, at) {
            Some(reg) => {
                self.evict(reg, reg_loc(reg), at);
                reg
            }
            None => unreachable!("an instruction asks for more registers than there are"),
        }
    }

    /// Finds a place outside of `off` for a value that lives on, or spills it.
    fn relocate(&mut self, at: u32, reg: u8, off: u32, source: &mut Sources) {
        let vreg = self.st.val[ix(reg)];
        let key = self.st.key[ix(reg)];
        let valid = self.is_valid(reg);
        let from = source.of(reg);
        let class = usize::from(self.s.live.vregs[vreg as usize].class());
        let mut free = self.env.class[class] & !self.st.occupied & !off;
        if valid || self.cold || !self.worth_saving(vreg) {
            free &= !self.env.callee_saved | self.used_saved;
        }
        if let Some(to) = self.pick(vreg, free, at) {
            // A second register is better than memory, unless the slot is valid and the use far.
            if !valid || key - at <= RELOAD_WITHIN {
                self.unbind(reg);
                source.set(to, from);
                self.bind(to, vreg, key, valid);
                return;
            }
        }
        self.evict(reg, from, at);
    }

    /// The register of a two-address definition in a special instruction.
    #[allow(clippy::too_many_arguments)]
    fn reuse_special(
        &mut self,
        at: u32,
        op: Operand,
        (tied, operand): (Operand, usize),
        read: u32,
        barred: u32,
        late: u32,
        source: &mut Sources,
    ) -> u8 {
        let Some(reg) = self.locs[operand].as_reg() else {
            unreachable!("a tied operand is `Reg`")
        };
        let reg = reg.0;
        let home = self.st.occupied & bit(reg) != 0;
        let lives = home && self.st.key[ix(reg)] != NEVER;
        if !lives && (barred | late) & bit(reg) == 0 {
            return reg;
        }
        let moved = home && self.st.val[ix(reg)] == tied.vreg.0;
        let from = if moved { source.of(reg) } else { reg_loc(reg) };
        let free = self.class_of(op) & !self.st.occupied & !read & !barred & !late;
        let to = match self.pick(op.vreg.0, free, at) {
            Some(to) => to,
            None => {
                let among = self.class_of(op) & self.st.occupied & !read & !barred & !late;
                let Some(to) = self.farthest(among & !source.moved, at) else {
                    unreachable!("no register for a two-address definition")
                };
                self.evict(to, reg_loc(to), at);
                to
            }
        };
        let copy = self.edit(at, tied.vreg.0, from, reg_loc(to));
        self.s.copies.push(copy);
        self.locs[operand] = reg_loc(to);
        to
    }

    /// Emits the parallel copies of an instruction in order.
    fn emit_copies(&mut self, at: u32) {
        let s = &mut *self.s;
        s.resolver.pending.clear();
        // Slots are read only. By the number of the copy instead of that of the value they are few.
        s.resolver.pending.extend(s.copies.iter().zip(0..).map(|(copy, number)| {
            let slot = copy.from.as_slot().map(|_| Loc::slot(number));
            Pending { from: slot.unwrap_or(copy.from), ..Pending::from(copy) }
        }));
        s.resolver.pending.retain(|m| m.from != m.to);
        if s.resolver.pending.is_empty() {
            return;
        }
        s.resolver.reserve(s.copies.len());
        let (copies, edits) = (&s.copies, &mut s.edits);
        s.resolver.resolve(
            &self.env,
            || unreachable!("copies of an instruction go to registers"),
            |m| {
                let Move { from, to, bytes, swap } = m;
                let slot = from.as_slot().and_then(|number| copies.get(number as usize));
                let from = slot.map_or(from, |copy| copy.from);
                scratch::push(edits, Edit { at, from, to, bytes, class: 0, swap });
            },
        );
    }
}

/// Where the values of homes were before the current instruction.
struct Sources {
    locs: [Loc; 32],
    /// Homes whose value arrives with the instruction's parallel copy.
    moved: u32,
}

impl Sources {
    /// Each where it is now.
    const UNMOVED: Sources = {
        let mut locs = [Loc::NONE; 32];
        let mut reg = 0;
        while reg < 32 {
            locs[reg as usize] = reg_loc(reg);
            reg += 1;
        }
        Sources { locs, moved: 0 }
    };

    fn of(&self, reg: u8) -> Loc {
        self.locs[ix(reg)]
    }

    fn set(&mut self, reg: u8, from: Loc) {
        self.locs[ix(reg)] = from;
        self.moved = self.moved & !bit(reg) | u32::from(from != reg_loc(reg)) << (reg & 31);
    }
}
