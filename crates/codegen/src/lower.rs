//! Selection: from SSA to machine instructions over virtual registers.
//!
//! Two walks over the function, both backwards.
//!
//! The first ([`Scratch::count`]) finds what is needed and how often: an instruction without effect
//! and without uses counts nothing for its operands, and an edge argument counts only once the
//! parameter it feeds is known to be used. Parameters that feed each other around loops and nothing
//! else thus stay at zero; a work list on which each instruction stands at most once sees to the
//! ones that are found late. The same walk numbers the *barriers* (writes and whatever may trap), so that
//! "nothing between here and there forbids to move this load" is one subtraction.
//!
//! The second selects. The root of each tile is an instruction that somebody asked for (its virtual
//! register exists) or that has an effect; the architecture's rules look at most a few levels into
//! single-use producers and fold them. What was folded is asked for by nobody and vanishes. Tiles
//! are emitted forwards, the sequence of tiles backwards; one reversal at the end puts it right. What lies
//! behind the current block is not looked at again, but for the uses of block parameters: of a large
//! function, instructions are given back while others are selected ([`PARTS`]).
//!
//! Constants have no instruction: each use makes its own copy directly before its tile, so they
//! never occupy a register for longer than needed.
//!
//! # Complexity
//! Linear, on the meter as `Pass::Lower`: each instruction is counted once and selected at most once, each
//! edge argument is visited at most once per walk and once more when its parameter comes alive late, rules
//! look at a bounded number of producers and write a bounded number of instructions. Beyond its share is
//! an error.

use crate::Error;
use crate::env::ModuleEnv;
use crate::mach::Machine;
use crate::nan::Nans;
use crate::vcode::{
    Constraint, Operand, PReg, RegClass, RegSet, VBlock, VCode, VEdge, VInst, VLoop, VReg, VRegData,
};
use runwell_abi::Type;
use runwell_ir::op::Effect;
use runwell_ir::scratch;
use runwell_ir::work::{Pass, Stopped};
use runwell_ir::{Block, EdgeRef, Function, Inst, LoopId, Op, Value, Work};

/// Instructions of one block from one look at the meter to the next.
pub(crate) const CHECK_EVERY: u32 = 1 << 12;

/// Parts in which the instructions of a large function are given back.
const PARTS: usize = 8;

/// A function to be compiled, and whether its instructions are needed afterwards.
pub(crate) enum Source<'a> {
    /// They are.
    Kept(&'a Function),
    /// They are not.
    Given(&'a mut Function),
}

impl Source<'_> {
    /// Its balances of fuel. Those of a large function that is given are handed over.
    pub(crate) fn rests(&mut self) -> Vec<(u32, i64)> {
        match self {
            Source::Given(func) if func.rests.len() >= scratch::LARGE => {
                core::mem::take(&mut func.rests)
            }
            _ => self.func().rests.clone(),
        }
    }

    /// The function.
    pub(crate) fn func(&self) -> &Function {
        match self {
            Source::Kept(func) => func,
            Source::Given(func) => func,
        }
    }
}

/// Marks an instruction that was folded into another and must not be selected by itself.
const FOLDED: VReg = VReg(u32::MAX - 1);

/// What selection found out about the function as a whole, for the frame.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default)]
pub struct Facts {
    /// True if it calls anything, helpers included, but by a tail call.
    pub calls: bool,
    /// True if it calls guest or host functions, but by a tail call.
    pub calls_guest: bool,
    /// True if it calls through function references and has to restore its own context.
    pub switches: bool,
    /// Wasm byte offset of its first instruction.
    pub start: u32,
}

/// Reusable memory of selection.
#[derive(Debug, Default)]
pub struct Scratch {
    /// Number of uses, per instruction, as far as a byte tells: nobody asks but for none and one.
    uses: Vec<u8>,
    /// Number of barriers behind the instruction; for parameters the number of their block.
    order: Vec<u32>,
    /// The virtual register of each value that was asked for.
    vreg_of: Vec<VReg>,
    /// Instructions of the current tile, in order.
    tile: Vec<VInst>,
    /// Instructions and parameters that came alive late.
    worklist: Vec<u32>,
    /// Per block the first of the edges with arguments to unused parameters.
    pending_head: Vec<u32>,
    /// Such edges: the edge, the next one.
    pending: Vec<(EdgeRef, u32)>,
    nans: Nans,
    /// Bytes of the pending edges when uses were counted, and of the other arrays when selection was done.
    bytes: usize,
}

/// True if the instruction stays whether or not its result is used.
pub fn is_root(func: &Function, inst: &Inst) -> bool {
    match inst.op.info().effect {
        Effect::Write | Effect::Terminator => true,
        Effect::Trap => may_trap(func, inst),
        Effect::Read => inst.op == Op::TableGet || inst.op.access_bytes(inst.ty) != 0,
        Effect::Pure | Effect::Pinned => false,
    }
}

/// False for divisions by a constant that exclude a trap.
fn may_trap(func: &Function, inst: &Inst) -> bool {
    match inst.op {
        Op::DivU | Op::RemU | Op::RemS => func.as_const(inst.vb()).is_none_or(|c| c.bits == 0),
        Op::DivS => func.as_const(inst.vb()).is_none_or(|c| {
            let all_ones = if inst.ty == Type::I32 { u32::MAX as u128 } else { u64::MAX as u128 };
            c.bits == 0 || c.bits == all_ones
        }),
        _ => true,
    }
}

impl Scratch {
    /// Bytes of the data of the last selection.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Gives back what is known of instructions from number `from` on, but for their uses: those of
    /// parameters say which arguments edges have.
    fn forget(&mut self, from: usize) {
        self.bytes += size_of_val(&self.order[from..]) + size_of_val(&self.vreg_of[from..]);
        scratch::cut(&mut self.order, from);
        scratch::cut(&mut self.vreg_of, from);
    }

    /// Gives back what nobody needs after selection, of a large function.
    fn release(&mut self) {
        self.bytes +=
            size_of_val(&*self.uses) + size_of_val(&*self.order) + size_of_val(&*self.vreg_of);
        scratch::release(&mut self.uses);
        scratch::release(&mut self.order);
        scratch::release(&mut self.worklist);
        scratch::release(&mut self.vreg_of);
    }

    /// Counts uses and numbers barriers.
    fn count(&mut self, func: &Function, work: &mut Work) -> Result<(), Stopped> {
        const NONE: u32 = u32::MAX;
        scratch::fill(&mut self.uses, func.insts.len(), 0);
        scratch::fill(&mut self.order, func.insts.len(), 0);
        self.pending.clear();
        scratch::fill(&mut self.pending_head, func.blocks.len(), NONE);
        for (number, block) in func.blocks.iter().enumerate() {
            for param in block.first..block.first + block.params {
                self.order[param as usize] = number as u32;
            }
        }
        let mut barriers = 0;
        for block in func.blocks.iter().rev() {
            work.charge(Pass::Lower, (block.end - block.first) as usize);
            work.check(Pass::Lower)?;
            for index in (block.first + block.params..block.end).rev() {
                let inst = &func.insts[index as usize];
                self.order[index as usize] = barriers;
                let root = is_root(func, inst);
                barriers += u32::from(root);
                if root || self.uses[index as usize] != 0 {
                    self.count_operands(func, inst, index, work);
                    while let Some(late) = self.worklist.pop() {
                        let inst = &func.insts[late as usize];
                        if inst.op == Op::Param {
                            self.count_param(func, late, index, work);
                        } else {
                            self.count_operands(func, inst, index, work);
                        }
                    }
                }
            }
        }
        self.bytes = size_of_val(&*self.pending_head) + size_of_val(&*self.pending);
        scratch::release(&mut self.pending_head);
        scratch::release(&mut self.pending);
        Ok(())
    }

    /// One more use of `value`. `at` is the position that the walk has reached: what lies behind it
    /// was passed over as unused and is made up for.
    fn count_use(&mut self, func: &Function, value: Value, at: u32) {
        if !value.is_inst() {
            return;
        }
        let index = value.index();
        self.uses[index] = self.uses[index].saturating_add(1);
        if self.uses[index] == 1 {
            let inst = &func.insts[index];
            if inst.op == Op::Param || (index as u32 > at && !is_root(func, inst)) {
                self.worklist.push(index as u32);
            }
        }
    }

    fn count_operands(&mut self, func: &Function, inst: &Inst, at: u32, work: &mut Work) {
        match inst.op {
            Op::Jump => self.count_edge(func, EdgeRef(inst.a), at, work),
            Op::BrIf => {
                self.count_use(func, inst.va(), at);
                self.count_edge(func, EdgeRef(inst.b), at, work);
                self.count_edge(func, EdgeRef(inst.c), at, work);
            }
            Op::BrTable => {
                self.count_use(func, inst.va(), at);
                for edge in func.table_edges(inst) {
                    self.count_edge(func, edge, at, work);
                }
            }
            _ => {
                let mut operands = 0;
                func.for_each_use(inst, |value| {
                    operands += 1;
                    self.count_use(func, value, at);
                });
                work.charge(Pass::Lower, operands);
            }
        }
    }

    /// Counts the arguments of an edge whose parameters are in use; the edge waits for the others.
    fn count_edge(&mut self, func: &Function, edge: EdgeRef, at: u32, work: &mut Work) {
        let target = func.edge_target(edge).index();
        let first = func.blocks[target].first as usize;
        let mut waits = false;
        work.charge(Pass::Lower, 1 + func.edge_len(edge));
        for (number, arg) in func.edge_args(edge).enumerate() {
            if self.uses[first + number] != 0 {
                self.count_use(func, arg, at);
            } else {
                waits = true;
            }
        }
        if waits {
            self.pending.push((edge, self.pending_head[target]));
            self.pending_head[target] = self.pending.len() as u32 - 1;
        }
    }

    /// A parameter came alive: counts its argument on each edge that waits.
    fn count_param(&mut self, func: &Function, param: u32, at: u32, work: &mut Work) {
        let target = self.order[param as usize] as usize;
        let number = (param - func.blocks[target].first) as usize;
        let mut next = self.pending_head[target];
        while let Some(&(edge, after)) = self.pending.get(next as usize) {
            work.charge(Pass::Lower, 1);
            let arg = Value(func.pool[edge.index() + 2 + number]);
            self.count_use(func, arg, at);
            next = after;
        }
    }
}

/// Selection in progress: what the rules of an architecture see and do.
pub struct Lower<'a> {
    /// The function.
    pub func: &'a Function,
    /// The module around it.
    pub env: &'a ModuleEnv,
    /// What came out for the frame.
    pub facts: Facts,
    code: &'a mut VCode,
    scratch: &'a mut Scratch,
    /// Index of the root of the tile.
    root: u32,
    /// First instruction of the current block.
    block_first: u32,
    /// First instruction of the innermost loop around the current block.
    loop_first: u32,
    /// That loop.
    loop_id: LoopId,
    /// Wasm offset that instructions get.
    src: u32,
    /// Registers that hold the canonical NaN of `F32` and of `F64` in the whole function, once somebody
    /// asked for them.
    canonical: [VReg; 2],
    /// True while the tile repeats work that others may ask for as well: nothing is folded then.
    shared: bool,
    bug: Option<&'static str>,
}

/// Selects machine code for a function into `code`. Of a large function that is given, nothing is left
/// afterwards but what emission needs.
///
/// # Errors
/// When the function breaks an invariant of the IR, or the meter says so.
pub(crate) fn lower<M: Machine>(
    source: &mut Source<'_>,
    env: &ModuleEnv,
    code: &mut VCode,
    scratch: &mut Scratch,
    work: &mut Work,
) -> Result<Facts, Error> {
    let func = source.func();
    code.clear();
    // What selection usually makes; it may be more. The checks of an indirect call take one instruction, so
    // does the condition of a branch, what is loaded from a home is part of another one, and what charges
    // fuel or goes elsewhere has no operands. Parameters of blocks are registers without an instruction.
    // What is loaded before fuel is charged is an instruction by itself: nothing moves across that.
    let (mut calls, mut branches, mut jumps, mut bare, mut params) = (0, 0, 0, 0, 0);
    let (mut tables, mut loaded) = (false, false);
    let mut values = func.insts.len();
    let gives = !func.signature().results.is_empty();
    for inst in &func.insts {
        calls += usize::from(inst.op == Op::CallIndirect);
        branches += usize::from(inst.op == Op::BrIf);
        jumps += usize::from(inst.op == Op::Jump);
        tables |= inst.op == Op::BrTable;
        params += usize::from(inst.op == Op::Param);
        bare += usize::from(match inst.op {
            Op::Fuel | Op::FuelBack => true,
            Op::Return => !gives,
            _ => false,
        });
        let charges = matches!(inst.op, Op::Fuel | Op::FuelBack);
        values += usize::from(charges && loaded);
        loaded = inst.op == Op::HomeLoad;
        values -= usize::from(loaded);
    }
    bare += branches + jumps;
    work.charge(Pass::Lower, func.insts.len() / 16);
    // Usually enough. What stays comes before what goes, which would leave a hole in the heap.
    scratch::room(&mut code.vregs, func.insts.len() - bare);
    scratch.count(func, work)?;
    if env.raw_nans {
        scratch.nans.clear();
    } else {
        scratch.nans.run(func, work);
    }
    work.check(Pass::Optimize)?;
    scratch::fill(&mut scratch.vreg_of, func.insts.len(), VReg::NONE);
    scratch.tile.clear();
    // One more defines the arguments.
    let insts = values - params;
    let large = func.insts.len() >= scratch::LARGE;
    // What a large function leaves on the way makes room for the second half.
    let ahead = if large { 2 } else { 1 };
    scratch::room(&mut code.insts, (1 + insts + calls + branches) / ahead);
    scratch::room(&mut code.operands, (2 * (insts + calls - bare) + branches) / ahead);
    scratch::room(&mut code.edges, 2 * branches + jumps);
    code.clobber_sets.push(RegSet::EMPTY);
    code.blocks.resize(func.blocks.len(), VBlock::default());
    code.loops.extend(func.loops.iter().map(|l| VLoop {
        header: l.header,
        end: l.end,
        parent: l.parent,
        depth: l.depth,
        has_call: l.has_call,
    }));
    let part = func.insts.len() / PARTS;
    let (mut blocks, mut insts) = (func.blocks.len(), func.insts.len());
    let mut facts = Facts { start: func.src.first().copied().unwrap_or(0), ..Facts::default() };
    let mut canonical = [VReg::NONE; 2];
    while blocks > 0 {
        let func = source.func();
        let mut cx = Lower {
            func,
            env,
            facts,
            code,
            scratch,
            root: 0,
            block_first: 0,
            loop_first: 0,
            loop_id: LoopId::NONE,
            src: 0,
            canonical,
            shared: false,
            bug: None,
        };
        let goal = if large { insts.saturating_sub(part) } else { 0 };
        while blocks > 0 && (insts > goal || goal == 0) {
            blocks -= 1;
            insts = func.blocks[blocks].first as usize;
            work.charge(Pass::Lower, 1);
            cx.block::<M>(Block(blocks as u32), work)?;
        }
        (facts, canonical) = (cx.facts, cx.canonical);
        if let Some(what) = cx.bug {
            return Err(Error::Bug(what.into()));
        }
        if let (Source::Given(func), true) = (&mut *source, large) {
            func.forget(insts);
            scratch.forget(insts);
        }
    }
    if let (Source::Given(func), true) = (source, large) {
        func.release(tables);
    }
    scratch.release();
    code.trim();
    let total = code.insts.len() as u32;
    code.insts.reverse();
    for block in &mut code.blocks {
        (block.first, block.end) = (total - block.end, total - block.first);
    }
    Ok(facts)
}

impl Lower<'_> {
    fn block<M: Machine>(&mut self, number: Block, work: &mut Work) -> Result<(), Stopped> {
        let func = self.func;
        let block = func.blocks[number.index()];
        let first = self.code.insts.len() as u32;
        let (edges_first, params_first) = (self.code.edges.len(), self.code.params.len());
        let operands = self.code.operands.len();
        self.block_first = block.first;
        self.loop_id = block.loop_id;
        self.loop_first = match func.loops.get(block.loop_id.index()) {
            Some(l) => func.blocks[l.header.index()].first,
            None => 0,
        };
        for index in (block.first + block.params..block.end).rev() {
            if index % CHECK_EVERY == 0 {
                work.check(Pass::Lower)?;
            }
            let inst = &func.insts[index as usize];
            let asked = self.scratch.vreg_of[index as usize];
            if asked == FOLDED || inst.op == Op::CallResult {
                continue;
            }
            if asked == VReg::NONE && !is_root(func, inst) {
                continue;
            }
            self.root = index;
            self.src = func.src[index as usize];
            if inst.op.is_terminator() {
                M::lower_terminator(self, inst);
            } else if asked != VReg::NONE && self.scratch.nans.is_put_right(func, index) {
                self.scratch.vreg_of[index as usize] = VReg::NONE;
                M::lower_inst(self, index, inst);
                let made = std::mem::replace(&mut self.scratch.vreg_of[index as usize], asked);
                M::lower_canon(self, asked, made, inst.ty);
            } else {
                M::lower_inst(self, index, inst);
            }
            self.end_tile();
        }
        if number.0 == 0 {
            self.root = block.first;
            self.src = func.src.get(block.first as usize).copied().unwrap_or(0);
            M::lower_entry(self, block.params);
            self.end_tile();
        } else {
            for param in block.first..block.first + block.params {
                if self.scratch.uses[param as usize] != 0 {
                    let vreg = self.result(param);
                    self.code.params.push(vreg);
                }
            }
        }
        let code = &mut *self.code;
        work.charge(
            Pass::Lower,
            code.operands.len() - operands
                + (code.insts.len() - first as usize)
                + block.params as usize,
        );
        code.blocks[number.index()] = VBlock {
            first,
            end: code.insts.len() as u32,
            params_first: params_first as u32,
            params_end: code.params.len() as u32,
            edges_first: edges_first as u32,
            edges_end: code.edges.len() as u32,
            loop_id: block.loop_id,
            cold: block.cold,
        };
        work.check(Pass::Lower)
    }

    fn end_tile(&mut self) {
        self.shared = false;
        scratch::extend(&mut self.code.insts, self.scratch.tile.drain(..).rev());
    }

    /// Adds an outgoing edge of the current block. Constants among its arguments are made in the
    /// current tile.
    pub fn edge<M: Machine>(&mut self, edge: EdgeRef) {
        let func = self.func;
        let target = func.edge_target(edge);
        let params = func.blocks[target.index()].first as usize;
        let args_first = self.code.args.len() as u32;
        for (number, arg) in func.edge_args(edge).enumerate() {
            if self.scratch.uses[params + number] != 0 {
                let param = Value::inst(params + number);
                let vreg = if self.scratch.nans.is_loose(param) {
                    self.reg::<M>(arg)
                } else {
                    self.exact::<M>(arg)
                };
                self.code.args.push(vreg);
            }
        }
        let end = self.code.args.len() as u32;
        scratch::push(&mut self.code.edges, VEdge { target, first: args_first, end });
    }

    /// A new virtual register.
    pub fn temp(&mut self, ty: Type) -> VReg {
        scratch::push(&mut self.code.vregs, VRegData { ty, hint: PReg::NONE });
        VReg(self.code.vregs.len() as u32 - 1)
    }

    /// The register that instruction `index` has to define.
    pub fn result(&mut self, index: u32) -> VReg {
        let vreg = self.scratch.vreg_of[index as usize];
        debug_assert_ne!(vreg, FOLDED, "{index} was folded into another tile than {}", self.root);
        if vreg != VReg::NONE {
            return vreg;
        }
        let ty = self.func.insts[index as usize].result_type().unwrap_or(Type::I64);
        let vreg = self.temp(ty);
        self.scratch.vreg_of[index as usize] = vreg;
        vreg
    }

    /// The register of the result of instruction `index` if anybody asked for it.
    pub fn wanted(&self, index: u32) -> Option<VReg> {
        let vreg = self.scratch.vreg_of[index as usize];
        (vreg != VReg::NONE && vreg != FOLDED).then_some(vreg)
    }

    /// The register that holds `value`; a constant is made in the current tile.
    pub fn reg<M: Machine>(&mut self, value: Value) -> VReg {
        if let Some(c) = self.func.as_const(value) {
            return M::lower_const(self, c);
        }
        if value.is_none() {
            // Malformed input; the verifier reports it.
            return self.temp(Type::I64);
        }
        let inst = &self.func.insts[value.index()];
        // An I32 has a zero upper half, so its extension is itself.
        if inst.op == Op::ExtendU && inst.va().is_inst() {
            let vreg = self.reg::<M>(inst.va());
            self.widen(vreg);
            return vreg;
        }
        self.result(value.index() as u32)
    }

    /// The register that holds `value` as it is to be seen: a NaN that arithmetic made is put right in
    /// the current tile.
    pub fn exact<M: Machine>(&mut self, value: Value) -> VReg {
        let vreg = self.reg::<M>(value);
        if !self.is_loose(value) {
            return vreg;
        }
        let ty = self.func.value_type(value);
        let def = self.temp(ty);
        M::lower_canon(self, def, vreg, ty);
        def
    }

    /// A register that holds the canonical NaN of `ty`, as a vector, for the innermost loop. Outside of
    /// loops, and where calls would take the register away, there is none: it is read from memory.
    pub fn canonical(&mut self, ty: Type) -> Option<VReg> {
        let kept = self.func.loops.get(self.loop_id.index()).is_some_and(|l| !l.has_call);
        if !kept {
            return None;
        }
        let at = usize::from(ty == Type::F64);
        if self.canonical[at] == VReg::NONE {
            self.canonical[at] = self.temp(Type::V128);
        }
        Some(self.canonical[at])
    }

    /// What [`Self::canonical`] has given for `ty`, for the function's entry to make.
    pub fn wanted_canonical(&self, ty: Type) -> Option<VReg> {
        Some(self.canonical[usize::from(ty == Type::F64)]).filter(|&vreg| vreg != VReg::NONE)
    }

    /// True in a loop whose floating-point instructions often wait for each other.
    pub fn floats_wait(&self) -> bool {
        self.scratch.nans.is_slow(self.loop_id)
    }

    /// True if [`Self::exact`] adds instructions for `value`.
    pub fn is_loose(&self, value: Value) -> bool {
        self.scratch.nans.is_loose(value)
    }

    /// The instruction that makes `value`, if it lies in the current block before the root and is
    /// used once: a candidate for folding.
    pub fn single(&self, value: Value) -> Option<(u32, Inst)> {
        let (index, inst) = self.nearby(value)?;
        (self.scratch.uses[index as usize] == 1 && !self.shared).then_some((index, inst))
    }

    /// The instruction that makes `value`, if it lies in the current block before the root and was
    /// not asked for yet.
    pub fn nearby(&self, value: Value) -> Option<(u32, Inst)> {
        if !value.is_inst() {
            return None;
        }
        let index = value.index() as u32;
        (index >= self.block_first
            && index < self.root
            && self.scratch.vreg_of[index as usize] == VReg::NONE)
            .then(|| (index, self.func.insts[index as usize]))
    }

    /// The tile is about to do the work of instruction `index`. If that has other uses, it will be done
    /// again for them, so what it depends on must not be folded.
    pub fn repeat(&mut self, index: u32) {
        self.shared |= self.scratch.uses[index as usize] != 1;
    }

    /// True if nothing between instruction `index` and the root writes or traps. Two loads keep their
    /// order as well: which of them traps says where the guest was and how much fuel it had.
    pub fn unordered(&self, index: u32) -> bool {
        let (before, after) =
            (self.scratch.order[index as usize], self.scratch.order[self.root as usize]);
        let root = &self.func.insts[self.root as usize];
        before == after + u32::from(is_root(self.func, root))
    }

    /// Declares that the tile does the work of instruction `index`.
    pub fn fold(&mut self, index: u32) {
        debug_assert_eq!(self.scratch.vreg_of[index as usize], VReg::NONE);
        self.scratch.vreg_of[index as usize] = FOLDED;
    }

    /// True if `value` is not needed behind the root, as far as the walk can tell.
    pub fn dies(&self, value: Value) -> bool {
        let mut value = value;
        // Extensions are names for their operand, and so are truncations nobody asked for.
        for _ in 0..2 {
            let Some(inst) = self.func.def(value) else { return true };
            let wanted = self.scratch.vreg_of[value.index()] != VReg::NONE;
            if !matches!(inst.op, Op::ExtendU | Op::Wrap) || wanted {
                break;
            }
            value = inst.va();
        }
        value.is_const()
            || (self.scratch.vreg_of[value.index()] == VReg::NONE
                && value.index() as u32 >= self.loop_first)
    }

    /// True if parameter or instruction `index` is used at all.
    pub fn used(&self, index: u32) -> bool {
        self.scratch.uses[index as usize] != 0
    }

    /// Wasm offset of the instructions that follow.
    pub fn set_src(&mut self, src: u32) {
        self.src = src;
    }

    /// Makes sure that a spilled `vreg` keeps its upper half.
    pub fn widen(&mut self, vreg: VReg) {
        let ty = &mut self.code.vregs[vreg.index()].ty;
        if *ty == Type::I32 {
            *ty = Type::I64;
        }
    }

    /// Reports input that the verifier would have refused.
    pub fn bug(&mut self, what: &'static str) {
        self.bug = Some(what);
    }

    /// The root of the tile.
    pub fn root(&self) -> u32 {
        self.root
    }

    /// Number of the set of registers that an instruction destroys.
    pub fn clobbers(&mut self, set: RegSet) -> u8 {
        // Calls differ in their results only, so the list stays short.
        let sets = &mut self.code.clobber_sets;
        let at = sets.iter().position(|&s| s == set).unwrap_or_else(|| {
            sets.push(set);
            sets.len() - 1
        });
        debug_assert!(at < 256);
        at as u8
    }

    /// Appends an instruction to the tile. Its source position and operands are filled in.
    pub fn push(&mut self, mut inst: VInst, operands: &[Operand], more: &[Operand]) {
        inst.first = self.code.operands.len() as u32;
        inst.operands = (operands.len() + more.len()) as u8;
        inst.src = self.src;
        for &operand in operands.iter().chain(more) {
            if let Constraint::Fixed(reg) = operand.constraint() {
                let data = &mut self.code.vregs[operand.vreg.index()];
                if data.hint == PReg::NONE && RegClass::of(data.ty) == reg.class() {
                    data.hint = reg;
                }
            }
            scratch::push(&mut self.code.operands, operand);
        }
        self.scratch.tile.push(inst);
    }
}
