//! Emission for x86-64: walks instructions, places and moves, and encodes.
//!
//! Hot blocks come in the order of the function, then the cold ones, then what was put off: trap
//! stubs, moves on critical edges, rare paths inside of instructions. In large functions what was put off
//! also comes in between, when it has become much ([`COLD_AT_ONCE`]), and is jumped over: until then
//! each piece of it takes memory, and so do the jumps there and back.
//!
//! # Complexity
//! Linear, on the meter as `Pass::Emit`: a step per block, edge, slot, instruction, move and byte of code. An
//! instruction becomes a bounded number of bytes; what is put off is queued at most once per instruction
//! or edge. Jumps are patched once, and looked at twice when their target comes late, or made short when it
//! comes soon (`asm/jumps.rs`); an equal constant is looked for among the last 16. The first move of
//! a block is found by a binary search among fewer than 2^26. Beyond its share is an error.

mod asm;
mod control;
mod frame;
mod ops;
mod seq;
#[cfg(test)]
mod sweep;

use self::asm::{Asm, Label, Mem, Rm};
use crate::emit::{EmitInput, block_order};
use crate::frame::Frame;
use crate::lower::CHECK_EVERY;
use crate::regalloc::{Loc, Move};
use crate::vcode::{PReg, RegClass, VInst};
use crate::x64::inst::{Aux, MOp, MovKind};
use crate::{CompiledFunction, Error};
use runwell_ir::scratch;
use runwell_ir::work::{Pass, Stopped};
use runwell_ir::{Block, TrapCode, Work};

/// A line of the caches, in bytes. A loop that jumps through a table each time starts with one: how far it
/// is from the start of a line to that jump may decide over half of its time.
const LINE_BYTES: usize = 64;

/// `rsp`.
const RSP: u8 = 4;
/// The integer scratch register.
const R11: u8 = runwell_abi::call::SCRATCH_INT;
/// Where a call through a reference passes the caller's context.
const R10: u8 = runwell_abi::call::CALLER_VMCTX_REG;
const R13: u8 = runwell_abi::call::FUEL_REG;
/// The vector scratch register.
const X15: u8 = runwell_abi::call::SCRATCH_FLOAT;
/// The instance context.
const R14: u8 = runwell_abi::call::VMCTX_REG;
/// The base of memory 0.
const R15: u8 = runwell_abi::call::MEMORY_REG;
const RAX: u8 = 0;
const RCX: u8 = 1;
const RDX: u8 = 2;
const RSI: u8 = 6;
const RDI: u8 = 7;

/// Pieces of code that are put off at the most, until they are emitted together.
const COLD_AT_ONCE: usize = 2048;

/// Where a function has become more than so many bytes of code per byte of Wasm, and so many besides, what
/// is still to come is made short rather than fast. Real code is far from it.
const DENSE: u32 = 16;
const DENSE_BASE: u32 = 256;
/// What a piece that is put off is taken for.
const COLD_BYTES: u32 = 24;

/// Code that is put off behind the blocks.
#[derive(Copy, Clone, Debug)]
enum Cold {
    /// Traps.
    Trap(TrapCode),
    /// The moves of an edge, then its target.
    Edge(u32),
    /// The rare part of an instruction; jumps back.
    Rest(seq::Rest, Label),
}

/// Reusable memory of emission.
#[derive(Debug, Default)]
pub struct Emitter {
    asm: Asm,
    frame: Frame,
    order: Vec<Block>,
    block_labels: Vec<Label>,
    edge_labels: Vec<Option<Label>>,
    cold: Vec<(Label, u32, Cold)>,
}

/// Emission of one function.
struct Emit<'a> {
    input: &'a EmitInput<'a>,
    mem: &'a mut Emitter,
    /// The block after the current one in layout order.
    next: Option<Block>,
    /// Wasm offset of the current instruction.
    src: u32,
    /// The largest so far.
    read: u32,
    /// [`DENSE_BASE`].
    dense_from: u32,
    /// The register and size whose value the zero flag describes.
    zero: Option<(u8, u32)>,
}

impl Emitter {
    /// Encodes a function.
    ///
    /// # Errors
    /// When the frame or the code grows too large, or the meter says so.
    pub fn run(
        &mut self,
        input: &EmitInput<'_>,
        work: &mut Work,
    ) -> Result<CompiledFunction, Error> {
        let code = input.code;
        self.asm.clear();
        // Four to five bytes each.
        self.asm.expect(5 * code.insts.len());
        self.frame.lay_out(input)?;
        block_order(code, &mut self.order);
        scratch::room(&mut self.block_labels, code.blocks.len());
        for _ in &code.blocks {
            let label = self.asm.label();
            self.block_labels.push(label);
        }
        scratch::fill(&mut self.edge_labels, code.edges.len(), None);
        self.cold.clear();
        let slots = input.allocation.slot_bytes.len() + input.func.slots.len();
        work.charge(Pass::Emit, 3 * code.blocks.len() + code.edges.len() + slots);
        work.charge(Pass::Emit, input.allocation.moves.len() + input.allocation.edge_moves.len());
        let order = core::mem::take(&mut self.order);
        let mut emit = Emit {
            input,
            mem: self,
            next: None,
            src: 0,
            read: 0,
            dense_from: DENSE_BASE,
            zero: None,
        };
        emit.at_src(input.facts.start);
        emit.prologue();
        for (at, &block) in order.iter().enumerate() {
            emit.next = order.get(at + 1).copied();
            emit.block(block, work)?;
        }
        emit.cold(work);
        self.order = order;
        work.check(Pass::Emit)?;
        let mut compiled = self.asm.finish()?;
        work.charge(Pass::Emit, compiled.code.len() + input.func.rests.len());
        work.check(Pass::Emit)?;
        compiled.frame_bytes = self.frame.bytes;
        Ok(compiled)
    }
}

impl Emit<'_> {
    fn asm(&mut self) -> &mut Asm {
        &mut self.mem.asm
    }

    /// Code from here on belongs to the operator at `src`.
    fn at_src(&mut self, src: u32) {
        self.src = src;
        self.read = self.read.max(src);
        self.asm().at_src(src);
    }

    /// True where code is short rather than fast, see [`DENSE`].
    fn dense(&self) -> bool {
        let read = self.read.saturating_sub(self.input.facts.start);
        let cold = COLD_BYTES * self.mem.cold.len() as u32;
        self.mem.asm.offset() + cold >= self.dense_from.saturating_add(DENSE.saturating_mul(read))
    }

    /// True for the header of a loop that ends in a jump through a table: the heart of an interpreter.
    fn dispatches(&self, block: Block) -> bool {
        let code = self.input.code;
        let data = &code.blocks[block.index()];
        let loops = &self.input.func.loops;
        loops.get(data.loop_id.index()).is_some_and(|around| around.header == block)
            && code.insts[data.first as usize..data.end as usize]
                .last()
                .is_some_and(|last| MOp::from_u16(last.op) == MOp::JmpTable)
    }

    fn block(&mut self, block: Block, work: &mut Work) -> Result<(), Stopped> {
        let input = self.input;
        let label = self.mem.block_labels[block.index()];
        if self.dispatches(block) {
            self.asm().align_code(LINE_BYTES);
        }
        self.asm().bind(label);
        self.zero = None;
        let data = &input.code.blocks[block.index()];
        let moves = &input.allocation.moves;
        let mut next_move = moves.partition_point(|&(at, _)| at < data.first);
        let insts = &input.code.insts[data.first as usize..data.end as usize];
        for (index, inst) in (data.first..).zip(insts) {
            if self.mem.cold.len() >= COLD_AT_ONCE {
                self.cold_between(work);
            }
            self.at_src(inst.src);
            while let Some((_, mv)) = moves.get(next_move).filter(|&&(at, _)| at == index) {
                self.emit_move(mv);
                next_move += 1;
            }
            self.mem.asm.grow();
            self.inst(block, inst);
            if index % CHECK_EVERY == 0 {
                work.check(Pass::Emit)?;
            }
        }
        work.charge(Pass::Emit, insts.len());
        work.check(Pass::Emit)
    }

    /// Emits what was put off before the next instruction, which is reached by a jump over it.
    #[cold]
    fn cold_between(&mut self, work: &mut Work) {
        let next = self.next;
        let over = self.asm().label();
        self.asm().jmp(over);
        self.cold(work);
        self.asm().bind(over);
        self.asm().settle();
        (self.next, self.zero) = (next, None);
    }

    /// Emits what was put off. Nothing of it puts off more than traps.
    fn cold(&mut self, work: &mut Work) {
        let mut at = 0;
        while let Some(&(label, src, cold)) = self.mem.cold.get(at) {
            at += 1;
            self.next = None;
            self.zero = None;
            self.asm().bind(label);
            self.at_src(src);
            match cold {
                Cold::Trap(code) => self.trap_here(code),
                Cold::Edge(edge) => {
                    self.edge_moves(edge);
                    let target = self.input.code.edges[edge as usize].target;
                    let target = self.mem.block_labels[target.index()];
                    self.asm().jmp(target);
                }
                Cold::Rest(rest, back) => self.rest(rest, back),
            }
        }
        self.mem.cold.clear();
        work.charge(Pass::Emit, at);
    }

    /// Queues code for later.
    fn put_off(&mut self, cold: Cold) -> Label {
        let label = self.asm().label();
        let src = self.src;
        self.mem.cold.push((label, src, cold));
        label
    }

    /// A trap for this reason. What the runtime tells conversions apart by says so.
    fn trap_here(&mut self, code: TrapCode) {
        if code == TrapCode::BadConversionToInteger {
            self.asm().zero(R11);
        }
        self.asm().trap(code);
    }

    /// The label of a trap of the current instruction.
    fn trap(&mut self, code: TrapCode) -> Label {
        if let Some(&(label, src, Cold::Trap(last))) = self.mem.cold.last()
            && (src, last) == (self.src, code)
        {
            return label;
        }
        self.put_off(Cold::Trap(code))
    }

    /// The place of operand `at`.
    fn loc(&self, inst: &VInst, at: usize) -> Loc {
        self.input.allocation.locs[inst.first as usize + at]
    }

    /// The register of operand `at`.
    fn reg(&self, inst: &VInst, at: usize) -> u8 {
        match self.loc(inst, at).as_reg() {
            Some(reg) => reg.hw(),
            None => {
                debug_assert!(false, "operand {at} of {inst:?} is not in a register");
                0
            }
        }
    }

    fn spill(&self, slot: u32) -> Mem {
        Mem::base(RSP, self.mem.frame.spills[slot as usize] as i32)
    }

    /// Operand `at` as register or spill slot.
    fn rm(&self, inst: &VInst, at: usize) -> Rm {
        let loc = self.loc(inst, at);
        match (loc.as_reg(), loc.as_slot()) {
            (Some(reg), _) => Rm::Reg(reg.hw()),
            (_, Some(slot)) => Rm::Mem(self.spill(slot)),
            _ => {
                debug_assert!(false, "operand {at} of {inst:?} is nowhere");
                Rm::Reg(0)
            }
        }
    }

    /// The memory operand; its registers are the last operands.
    fn amode(&mut self, inst: &VInst) -> Mem {
        let aux = Aux(inst.aux);
        let mut at = usize::from(inst.operands);
        let index = (aux.index() != 0).then(|| {
            at -= 1;
            (self.reg(inst, at), aux.scale() as u8)
        });
        let pool = |low: i32, high: i32| u64::from(low as u32) | u64::from(high as u32) << 32;
        match aux.base() {
            1 => Mem { base: Some(self.reg(inst, at - 1)), index, disp: inst.disp, label: None },
            2 => Mem { base: Some(R14), index, disp: inst.disp, label: None },
            3 => Mem { base: Some(R15), index, disp: inst.disp, label: None },
            4 => self.asm().constant(u128::from(inst.imm as u32), 4),
            5 => self.asm().constant(u128::from(pool(inst.imm, inst.disp)), 8),
            6 => {
                let half = u128::from(pool(inst.imm, inst.disp));
                self.asm().constant(half | half << 64, 16)
            }
            7 => Mem::base(RSP, self.mem.frame.slot(inst.disp as u32) as i32),
            _ => Mem { base: None, index, disp: inst.disp, label: None },
        }
    }

    /// The memory operand of an access, which is recorded if it may trap.
    fn access(&mut self, inst: &VInst) -> Mem {
        let mem = self.amode(inst);
        if Aux(inst.aux).traps() != 0 {
            self.asm().may_trap(TrapCode::MemoryOutOfBounds);
        }
        mem
    }

    /// Loads the left operand into the register of the result, if that is where it comes from. How many
    /// registers the operation has less for it.
    fn left(&mut self, inst: &VInst, ints: bool) -> usize {
        let aux = Aux(inst.aux);
        if aux.left() == 0 {
            return 0;
        }
        let kind = match (ints, aux.size()) {
            (true, 2) => MovKind::L,
            (true, _) => MovKind::Q,
            (false, 2) => MovKind::F32,
            (false, _) => MovKind::F64,
        };
        let (def, mem) = (self.reg(inst, 0), self.amode(inst));
        self.asm().movx(kind, def, Rm::Mem(mem));
        1
    }

    /// The last operand of an operation with `at` operands before it.
    fn source(&mut self, inst: &VInst, at: usize) -> Rm {
        if Aux(inst.aux).src() == 2 { Rm::Mem(self.access(inst)) } else { self.rm(inst, at) }
    }

    fn emit_move(&mut self, mv: &Move) {
        let bytes = mv.bytes;
        if let (Some(from), Some(to)) = (mv.from.as_reg(), mv.to.as_reg()) {
            if from == to {
                return;
            }
            self.written(to);
            if mv.swap {
                self.written(from);
                return self.swap(from, to);
            }
            let (f, t) = (from.hw(), to.hw());
            return match (from.class(), to.class()) {
                (RegClass::Int, RegClass::Int) => {
                    self.asm().mov_rr(if bytes == 4 { 2 } else { 3 }, t, f);
                }
                (RegClass::Float, RegClass::Float) => self.asm().fmov(t, f),
                (RegClass::Int, RegClass::Float) => self.asm().mov_to_f(3, t, f),
                (RegClass::Float, RegClass::Int) => self.asm().mov_from_f(3, t, f),
            };
        }
        match (mv.from.as_reg(), mv.from.as_slot(), mv.to.as_reg(), mv.to.as_slot()) {
            (Some(from), _, _, Some(slot)) => {
                let mem = self.spill(slot);
                self.asm().store(Self::slot_kind(from.class(), bytes), mem, from.hw());
            }
            (_, Some(slot), Some(to), _) => {
                let mem = Rm::Mem(self.spill(slot));
                self.written(to);
                self.asm().movx(Self::slot_kind(to.class(), bytes), to.hw(), mem);
            }
            (_, Some(from), _, Some(to)) if from != to => {
                let (from, to) = (self.spill(from), self.spill(to));
                let (class, scratch) =
                    if bytes == 16 { (RegClass::Float, X15) } else { (RegClass::Int, R11) };
                let kind = Self::slot_kind(class, bytes);
                self.asm().movx(kind, scratch, Rm::Mem(from));
                self.asm().store(kind, to, scratch);
            }
            _ => {}
        }
    }

    /// A register has a new value: what the flags said of it is over.
    fn written(&mut self, reg: PReg) {
        if self.zero.is_some_and(|(r, _)| reg == PReg::int(r)) {
            self.zero = None;
        }
    }

    fn slot_kind(class: RegClass, bytes: u8) -> MovKind {
        match (class, bytes) {
            (RegClass::Int, 4) => MovKind::L,
            (RegClass::Int, _) => MovKind::Q,
            (RegClass::Float, 4) => MovKind::F32,
            (RegClass::Float, 8) => MovKind::F64,
            (RegClass::Float, _) => MovKind::V128,
        }
    }

    fn swap(&mut self, a: PReg, b: PReg) {
        if a.class() == RegClass::Int {
            return self.asm().xchg(a.hw(), b.hw());
        }
        self.asm().fmov(X15, a.hw());
        self.asm().fmov(a.hw(), b.hw());
        self.asm().fmov(b.hw(), X15);
    }

    fn edge_moves(&mut self, edge: u32) {
        let input = self.input;
        let (first, end) = input.allocation.edges[edge as usize];
        for mv in &input.allocation.edge_moves[first as usize..end as usize] {
            self.emit_move(mv);
        }
    }
}
