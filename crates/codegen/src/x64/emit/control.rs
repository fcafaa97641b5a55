//! Jumps, calls and the moves on edges.

use super::asm::{Label, Mem, Rm};
use super::{Cold, Emit, R10, R11, R14, R15, RAX, RCX, RDI, RSI, RSP, seq};
use crate::vcode::VInst;
use crate::x64::inst::{AluKind, Aux, MOp, MovKind, ShiftKind, Src, cc, spread_code};
use runwell_abi::{TrapCode, call, vmctx};
use runwell_ir::Block;

impl Emit<'_> {
    /// Jumps under a condition, also one that needs two flags.
    pub(super) fn jump_if(&mut self, code: u32, target: Label) {
        match code {
            cc::FNE => {
                self.asm().jcc(cc::P, target);
                self.asm().jcc(cc::NE, target);
            }
            cc::FEQ => {
                let skip = self.asm().label();
                self.asm().jcc(cc::P, skip);
                self.asm().jcc(cc::E, target);
                self.asm().bind(skip);
            }
            code => self.asm().jcc(code, target),
        }
    }

    fn has_moves(&self, edge: u32) -> bool {
        let (first, end) = self.input.allocation.edges[edge as usize];
        first != end
    }

    fn target(&self, edge: u32) -> Block {
        self.input.code.edges[edge as usize].target
    }

    fn is_cold(&self, block: Block) -> bool {
        self.input.code.blocks[block.index()].cold
    }

    /// A label that leads to the target of an edge by way of its moves.
    fn edge_label(&mut self, edge: u32) -> Label {
        if !self.has_moves(edge) {
            return self.mem.block_labels[self.target(edge).index()];
        }
        if let Some(label) = self.mem.edge_labels[edge as usize] {
            return label;
        }
        let label = self.put_off(Cold::Edge(edge));
        self.mem.edge_labels[edge as usize] = Some(label);
        label
    }

    /// Takes an edge here: its moves, then a jump unless the target follows.
    fn take_edge(&mut self, edge: u32) {
        self.edge_moves(edge);
        let target = self.target(edge);
        if self.next != Some(target) {
            let label = self.mem.block_labels[target.index()];
            self.asm().jmp(label);
        }
    }

    /// An unconditional jump by edge number `which` of the block.
    pub(super) fn jump(&mut self, block: Block, which: u32) {
        let edge = self.input.code.blocks[block.index()].edges_first + which;
        self.take_edge(edge);
    }

    /// A conditional branch: one edge is a jump, the other is taken in line. A jump cannot carry
    /// moves, so an edge with moves is in line if possible; with moves on both, or on one that leads
    /// to cold code, a block of its own carries them.
    pub(super) fn branch(&mut self, block: Block, code: u32) {
        let first = self.input.code.blocks[block.index()].edges_first;
        let (yes, no) = (first, first + 1);
        let (yes_target, no_target) = (self.target(yes), self.target(no));
        let inline_yes = match (self.has_moves(yes), self.has_moves(no)) {
            (false, false) => self.next == Some(yes_target),
            (true, false) => !(self.next == Some(no_target) && self.is_cold(yes_target)),
            (false, true) => self.next == Some(yes_target) && self.is_cold(no_target),
            (true, true) => self.next == Some(yes_target) || self.is_cold(no_target),
        };
        let (jump, inline, code) =
            if inline_yes { (no, yes, cc::invert(code)) } else { (yes, no, code) };
        let label = self.edge_label(jump);
        self.jump_if(code, label);
        self.take_edge(inline);
    }

    /// A short table as a chain of comparisons.
    pub(super) fn switch(&mut self, block: Block, inst: &VInst) {
        let input = self.input;
        let first = input.code.blocks[block.index()].edges_first;
        let entries = input.entries(inst);
        let Some((&default, entries)) = entries.split_last() else { return };
        let index = self.reg(inst, 0);
        for (value, &edge) in entries.iter().enumerate() {
            if edge == default {
                continue;
            }
            let label = self.edge_label(first + edge);
            if value == 0 {
                self.asm().test_rr(2, index, index);
            } else {
                self.asm().cmp_i(2, Rm::Reg(index), value as i32);
            }
            self.asm().jcc(cc::E, label);
        }
        self.take_edge(first + default);
    }

    /// The address that an entry of a table stands for; an index out of range takes the last entry.
    pub(super) fn table_address(&mut self, block: Block, inst: &VInst) {
        let input = self.input;
        let first = input.code.blocks[block.index()].edges_first;
        let entries = input.entries(inst);
        let (def, index) = (self.reg(inst, 0), self.reg(inst, 1));
        let labels: Vec<Label> =
            entries.iter().map(|&edge| self.edge_label(first + edge)).collect();
        let last = labels.len() as i32 - 1;
        self.asm().mov_ri(def, last as u64);
        self.asm().cmp_i(2, Rm::Reg(index), last);
        self.asm().cmov(cc::B, 2, def, Rm::Reg(index));
        let base = self.asm().jump_table(&labels);
        self.asm().lea(3, R11, base);
        let entry = Mem { base: Some(R11), index: Some((def, 2)), disp: 0, label: None };
        self.asm().movx(MovKind::S32Q, def, Rm::Mem(entry));
        self.asm().alu_rm(AluKind::Add, 3, def, Rm::Reg(R11));
    }

    /// Copies homes, or homes and the transfer buffer: upwards from the first one, so that those that
    /// move down may overlap. Of the same length however many there are.
    pub(super) fn copy_homes(&mut self, inst: &VInst) {
        let op = MOp::from_u16(inst.op);
        let home =
            |emit: &Self, number: i32| Mem::base(RSP, emit.mem.frame.home(number as u32) as i32);
        let (listed, other) = if op == MOp::HomeTake { (RDI, RSI) } else { (RSI, RDI) };
        let mut first = home(self, inst.disp);
        if op == MOp::HomeShift {
            // 16 bytes each.
            self.asm().shift_i(ShiftKind::Shl as u32, 3, RSI, 4);
            first.index = Some((RSI, 0));
            first.disp -= 16 * Aux(inst.aux).count() as i32;
        }
        self.asm().lea(3, listed, first);
        if matches!(op, MOp::HomeMove | MOp::HomeShift) {
            let to = home(self, inst.imm);
            self.asm().lea(3, other, to);
        } else {
            let runtime = Rm::Mem(Mem::base(R14, vmctx::RUNTIME as i32));
            self.asm().movx(MovKind::Q, other, runtime);
            self.asm().alu_ri(AluKind::Add, 3, other, vmctx::RT_TRANSFER as i32);
        }
        // Two quadwords each, or four halves of them, which is a byte less to say.
        let count = u64::from(Aux(inst.aux).count());
        if self.dense() {
            self.asm().mov_ri_flags(RCX, 4 * count);
            self.asm().rep_movsd();
        } else {
            self.asm().mov_ri_flags(RCX, 2 * count);
            self.asm().rep_movsq();
        }
    }

    /// Loads one of two homes.
    pub(super) fn select_home(&mut self, inst: &VInst) {
        let kind = MovKind::from_u32(Aux(inst.aux).kind());
        let (def, cond) = (self.reg(inst, 0), self.reg(inst, 1));
        let home = |emit: &Self, at: i32| {
            Rm::Mem(Mem::base(RSP, emit.mem.frame.home((inst.disp + at) as u32) as i32))
        };
        let (yes, no) = (home(self, 0), home(self, 1));
        self.asm().test_rr(2, cond, cond);
        self.asm().movx(kind, def, no);
        match kind {
            MovKind::L => self.asm().cmov(cc::NE, 2, def, yes),
            MovKind::Q => self.asm().cmov(cc::NE, 3, def, yes),
            _ => {
                let skip = self.asm().label();
                self.asm().jcc(cc::E, skip);
                self.asm().movx(kind, def, yes);
                self.asm().bind(skip);
            }
        }
    }

    /// Loads the arguments of a call that takes them from homes.
    pub(super) fn spread(&mut self, inst: &VInst) {
        let types = Aux(inst.aux).spread();
        if types == 0 {
            return;
        }
        let first = Mem::base(RSP, self.mem.frame.home(inst.disp as u32) as i32);
        self.asm().lea(3, R11, first);
        self.asm().mov_ri(R10, spread_code(types).bits);
        self.asm().call_m(Mem::base(R14, vmctx::SPREAD_STUB as i32));
    }

    /// Finds the function that an indirect call is to, with all checks. That there is none shows when its
    /// type is read: nothing is mapped at address zero.
    pub(super) fn callee(&mut self, inst: &VInst) {
        let aux = Aux(inst.aux);
        let layout = self.input.env.layout;
        let table = layout.table(aux.table());
        let def = self.reg(inst, 0);
        let index = match aux.src() {
            src if src == Src::Imm as u32 => None,
            src if src == Src::Mem as u32 => {
                let home = self.amode(inst);
                let kind = if aux.size() == 2 { MovKind::L } else { MovKind::Q };
                self.asm().movx(kind, def, Rm::Mem(home));
                Some(def)
            }
            _ => Some(self.reg(inst, 1)),
        };
        let (record, at) = if layout.table_is_imported(aux.table()) {
            self.asm().movx(MovKind::Q, R11, Rm::Mem(Mem::base(R14, table as i32)));
            (R11, 0)
        } else {
            (R14, table)
        };
        let len = Mem::base(record, (at + vmctx::TABLE_LEN) as i32);
        match index {
            Some(index) => self.asm().cmp_mr(3, len, index),
            None => self.asm().cmp_i(3, Rm::Mem(len), inst.disp),
        }
        let outside = self.trap(TrapCode::TableOutOfBounds);
        self.asm().jcc(cc::BE, outside);
        let base = Mem::base(record, (at + vmctx::TABLE_BASE) as i32);
        self.asm().movx(MovKind::Q, R11, Rm::Mem(base));
        let element = match index {
            Some(index) => Mem { index: Some((index, 3)), ..Mem::base(R11, 0) },
            None => Mem::base(R11, 8 * inst.disp),
        };
        self.asm().movx(MovKind::Q, def, Rm::Mem(element));
        let wanted = Mem::base(R14, layout.type_id(inst.imm as u32) as i32);
        self.asm().movx(MovKind::L, R11, Rm::Mem(wanted));
        self.asm().may_trap(TrapCode::IndirectCallToNull);
        self.asm().cmp_rm(2, R11, Rm::Mem(Mem::base(def, vmctx::FUNC_TYPE as i32)));
        let other = self.trap(TrapCode::BadSignature);
        self.asm().jcc(cc::NE, other);
    }

    /// Calls a function of the module.
    pub(super) fn call(&mut self, callee: u32) {
        self.asm().call_function(callee);
        if self.input.env.tail_calls_leave {
            self.restore_context();
        }
    }

    /// Calls through the record in rax with the context it names.
    pub(super) fn call_import(&mut self) {
        self.enter_record();
        self.asm().call_m(Mem::base(RAX, vmctx::FUNC_CODE as i32));
        self.restore_context();
    }

    fn enter_record(&mut self) {
        self.asm().mov_rr(3, call::CALLER_VMCTX_REG, R14);
        let record = |offset: u32| Rm::Mem(Mem::base(RAX, offset as i32));
        self.asm().movx(MovKind::Q, R14, record(vmctx::FUNC_VMCTX));
        self.asm().movx(MovKind::Q, R15, record(vmctx::FUNC_MEMORY));
    }

    fn restore_context(&mut self) {
        if let Some(offset) = self.mem.frame.context {
            let slot = Rm::Mem(Mem::base(RSP, offset as i32));
            self.asm().movx(MovKind::Q, R14, slot);
        }
        if !self.input.env.memories.is_empty() {
            let base = self.input.env.layout.memory(0) + vmctx::MEMORY_ENTRY_BASE;
            self.asm().movx(MovKind::Q, R15, Rm::Mem(Mem::base(R14, base as i32)));
        }
    }

    /// Calls through the record in rax, which usually belongs to the same instance: then nothing has
    /// to be changed. Where code is dense, looking whether it does would be longer than changing it.
    pub(super) fn call_ref(&mut self) {
        if self.input.env.tail_calls_leave || self.dense() {
            return self.call_import();
        }
        self.asm().cmp_mr(3, Mem::base(RAX, vmctx::FUNC_VMCTX as i32), R14);
        let back = self.asm().label();
        let other = self.put_off(Cold::Rest(seq::Rest::CallOther, back));
        self.asm().jcc(cc::NE, other);
        self.asm().call_m(Mem::base(RAX, vmctx::FUNC_CODE as i32));
        self.asm().bind(back);
    }

    /// Calls a helper of the runtime.
    pub(super) fn call_lib(&mut self, helper: i32) {
        self.asm().mov_ri(RAX, helper as u64);
        self.asm().call_m(Mem::base(R14, vmctx::LIBCALL_STUB as i32));
    }

    /// Replaces the frame by a call through the record in rax.
    pub(super) fn tail_ref(&mut self) {
        self.enter_record();
        self.epilogue();
        self.asm().jmp_m(Mem::base(RAX, vmctx::FUNC_CODE as i32));
    }
}
