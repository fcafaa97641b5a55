//! One machine operation after the other.

use super::asm::{Mem, Rm};
use super::{Emit, R13, RDX};
use crate::vcode::VInst;
use crate::x64::inst::{AluKind, Aux, MOp, MovKind, Src, cc};
use runwell_ir::{Block, TrapCode};

impl AluKind {
    fn from_u32(kind: u32) -> AluKind {
        match kind {
            0 => AluKind::Add,
            1 => AluKind::Or,
            4 => AluKind::And,
            5 => AluKind::Sub,
            _ => AluKind::Xor,
        }
    }
}

impl Emit<'_> {
    /// Encodes one instruction.
    pub(super) fn inst(&mut self, block: Block, inst: &VInst) {
        let aux = Aux(inst.aux);
        let (size, imm) = (aux.size(), inst.imm);
        let from_imm = aux.src() == Src::Imm as u32;
        let zero = self.zero.take();
        match MOp::from_u16(inst.op) {
            MOp::Args => {}
            MOp::MovImm => {
                let bits = u64::from(imm as u32) | u64::from(inst.disp as u32) << 32;
                let def = self.reg(inst, 0);
                self.asm().mov_ri_flags(def, bits);
            }
            MOp::MovX => self.movx(inst),
            MOp::Store => {
                let kind = MovKind::from_u32(aux.kind());
                let mem = self.access(inst);
                if from_imm {
                    self.asm().store_i(kind, mem, imm);
                } else {
                    let value = self.reg(inst, 0);
                    self.asm().store(kind, mem, value);
                }
            }
            MOp::StoreCanon => self.store_canon(inst),
            MOp::Alu => self.alu(inst),
            MOp::Add3 => self.add3(inst),
            MOp::AluMem => {
                let kind = AluKind::from_u32(aux.kind());
                let mem = self.access(inst);
                if from_imm {
                    self.asm().alu_mi(kind, size, mem, imm);
                } else {
                    let value = self.reg(inst, 0);
                    self.asm().alu_mr(kind, size, mem, value);
                }
            }
            MOp::Cmp if from_imm => {
                let left = self.rm(inst, 0);
                self.asm().cmp_i(size, left, imm);
            }
            MOp::Cmp => {
                let right = self.source(inst, 1);
                let left = self.reg(inst, 0);
                self.asm().cmp_rm(size, left, right);
            }
            MOp::CmpMem => {
                let mem = self.access(inst);
                if from_imm {
                    self.asm().cmp_i(size, Rm::Mem(mem), imm);
                } else {
                    let right = self.reg(inst, 0);
                    self.asm().cmp_mr(size, mem, right);
                }
            }
            MOp::Test if from_imm => {
                let left = self.reg(inst, 0);
                self.asm().test_i(size, Rm::Reg(left), imm);
            }
            MOp::Test => {
                let (left, right) = (self.reg(inst, 0), self.reg(inst, 1));
                // The operation before may have said it already.
                if aux.zero_only() == 0 || zero != Some((left, size)) {
                    self.asm().test_rr(size, left, right);
                }
            }
            MOp::TestMem => {
                let mem = self.access(inst);
                self.asm().test_i(size, Rm::Mem(mem), imm);
            }
            MOp::Bt => {
                let left = self.reg(inst, 0);
                if from_imm {
                    self.asm().bt_i(size, left, imm);
                } else {
                    let right = self.reg(inst, 1);
                    self.asm().bt_rr(size, left, right);
                }
            }
            MOp::Imul if from_imm => {
                let (def, source) = (self.reg(inst, 0), self.reg(inst, 1));
                self.asm().imul_i(size, def, Rm::Reg(source), imm);
            }
            MOp::Imul => {
                let source = self.source(inst, 2);
                let def = self.reg(inst, 0);
                self.asm().imul(size, def, source);
            }
            MOp::ImulImm => {
                let (def, source) = (self.reg(inst, 0), self.rm(inst, 1));
                self.asm().imul_i(size, def, source, imm);
            }
            MOp::MulWide => {
                let source = self.rm(inst, 3);
                self.asm().group3(if aux.kind() == 1 { 5 } else { 4 }, size, source);
            }
            MOp::Div => self.div(inst),
            MOp::Shift => {
                self.left(inst, true);
                let def = self.reg(inst, 0);
                if from_imm {
                    self.asm().shift_i(aux.kind(), size, def, imm);
                } else {
                    self.asm().shift_cl(aux.kind(), size, def);
                }
            }
            MOp::Shift3 => {
                let (def, source, count) = (self.reg(inst, 0), self.rm(inst, 1), self.reg(inst, 2));
                self.asm().shift3(aux.kind(), size, def, source, count);
            }
            MOp::Rorx => {
                let (def, source) = (self.reg(inst, 0), self.rm(inst, 1));
                self.asm().rorx(size, def, source, imm);
            }
            MOp::Neg => {
                let def = self.reg(inst, 0);
                self.asm().group3(3, size, Rm::Reg(def));
                self.zero = Some((def, size));
            }
            MOp::Not => {
                let def = self.reg(inst, 0);
                self.asm().group3(2, size, Rm::Reg(def));
            }
            MOp::Bits => self.bits(inst),
            MOp::Lea => {
                let mem = self.amode(inst);
                let def = self.reg(inst, 0);
                self.asm().lea(size, def, mem);
            }
            MOp::SetCc => {
                let def = self.reg(inst, 0);
                self.set_cc(aux.cc(), def);
            }
            MOp::Cmov => {
                let source = self.source(inst, 2);
                let def = self.reg(inst, 0);
                if aux.cc() == cc::FNE {
                    self.asm().cmov(cc::NE, size, def, source);
                    self.asm().cmov(cc::P, size, def, source);
                } else {
                    self.asm().cmov(aux.cc(), size, def, source);
                }
            }
            MOp::FSelect => {
                let (def, other) = (self.reg(inst, 0), self.reg(inst, 2));
                let skip = self.asm().label();
                self.jump_if(aux.cc(), skip);
                self.asm().fmov(def, other);
                self.asm().bind(skip);
            }
            MOp::FZero => {
                let def = self.reg(inst, 0);
                self.asm().fzero(def);
            }
            MOp::FAlu => {
                let source = self.source(inst, 2);
                let def = self.reg(inst, 0);
                self.asm().falu(aux.kind(), size, def, source);
            }
            MOp::FAlu3 => {
                let source = self.source(inst, 2);
                let (def, left) = (self.reg(inst, 0), self.reg(inst, 1));
                self.asm().falu3(aux.kind(), size, def, left, source);
            }
            MOp::FSqrt | MOp::FRound => {
                let (def, source) = self.fresh(inst);
                if MOp::from_u16(inst.op) == MOp::FSqrt {
                    self.asm().fsqrt(size, def, source);
                } else {
                    self.asm().fround(size, def, source, aux.kind() as u8);
                }
            }
            MOp::FCmp => {
                let right = self.source(inst, 1);
                let left = self.reg(inst, 0);
                self.asm().ucomis(size, left, right);
            }
            MOp::FMinMax => self.min_max(inst),
            MOp::FCopysign => self.copysign(inst),
            MOp::FCanon => self.canon(inst),
            MOp::FCanon3 => self.canon3(inst),
            MOp::CvtInt => {
                let (def, source) = self.fresh(inst);
                self.asm().cvt_int(size, aux.kind(), def, source);
            }
            MOp::CvtU64 => self.convert_u64(inst),
            MOp::Trunc => self.truncate(inst),
            MOp::Demote | MOp::Promote => {
                let (def, source) = self.fresh(inst);
                let demote = MOp::from_u16(inst.op) == MOp::Demote;
                self.asm().cvt_float(demote, def, source);
            }
            MOp::MovFromF => {
                let (def, source) = (self.reg(inst, 0), self.reg(inst, 1));
                self.asm().mov_from_f(size, def, source);
            }
            MOp::MovToF => {
                let (def, source) = (self.reg(inst, 0), self.reg(inst, 1));
                self.asm().mov_to_f(size, def, source);
            }
            MOp::TrapCc => {
                let trap = self.trap(trap_code(aux.kind()));
                self.jump_if(aux.cc(), trap);
            }
            MOp::Fuel => self.charge(imm),
            MOp::FuelBack => self.asm().alu_ri(AluKind::Add, 3, R13, imm),
            MOp::FuelFor => self.charge_for(inst),
            MOp::Ud2 => self.trap_here(trap_code(aux.kind())),
            MOp::HomeSelect => self.select_home(inst),
            MOp::HomeMove | MOp::HomeShift | MOp::HomePass | MOp::HomeTake => {
                self.copy_homes(inst);
            }
            MOp::Jmp => self.jump(block, imm as u32),
            MOp::Jcc => self.branch(block, aux.cc()),
            MOp::Switch => self.switch(block, inst),
            MOp::TableAddr => self.table_address(block, inst),
            MOp::JmpTable => {
                let address = self.reg(inst, 0);
                self.asm().jmp_r(address);
            }
            MOp::Ret => {
                self.epilogue();
                self.asm().ret();
            }
            MOp::Callee => self.callee(inst),
            MOp::Call => {
                self.spread(inst);
                self.call(imm as u32);
            }
            MOp::CallImport => {
                self.spread(inst);
                self.call_import();
            }
            MOp::CallRef => {
                self.spread(inst);
                self.call_ref();
            }
            MOp::CallLib => self.call_lib(imm),
            MOp::TailCall => {
                self.spread(inst);
                self.epilogue();
                self.asm().jmp_function(imm as u32);
            }
            MOp::TailRef => {
                self.spread(inst);
                self.tail_ref();
            }
        }
    }

    fn movx(&mut self, inst: &VInst) {
        let kind = MovKind::from_u32(Aux(inst.aux).kind());
        let source = self.source(inst, 1);
        let def = self.reg(inst, 0);
        match (kind, source) {
            (MovKind::Q, Rm::Reg(r)) if r == def => {}
            (MovKind::F32 | MovKind::F64 | MovKind::V128, Rm::Reg(r)) => {
                if r != def {
                    self.asm().fmov(def, r);
                }
            }
            _ => self.asm().movx(kind, def, source),
        }
    }

    fn alu(&mut self, inst: &VInst) {
        let aux = Aux(inst.aux);
        let kind = AluKind::from_u32(aux.kind());
        if aux.src() == Src::Imm as u32 {
            let def = self.reg(inst, 0);
            self.asm().alu_ri(kind, aux.size(), def, inst.imm);
        } else {
            let source = self.source(inst, 2);
            let def = self.reg(inst, 0);
            self.asm().alu_rm(kind, aux.size(), def, source);
        }
        self.zero = Some((self.reg(inst, 0), aux.size()));
    }

    /// Addition where the left operand lives on: in place if the registers happen to allow it.
    fn add3(&mut self, inst: &VInst) {
        let size = Aux(inst.aux).size();
        let (def, left) = (self.reg(inst, 0), self.reg(inst, 1));
        if Aux(inst.aux).src() == Src::Imm as u32 {
            if def == left {
                self.asm().alu_ri(AluKind::Add, size, def, inst.imm);
                self.zero = Some((def, size));
            } else {
                self.asm().lea(size, def, Mem::base(left, inst.imm));
            }
            return;
        }
        let right = self.reg(inst, 2);
        if def == left {
            self.asm().alu_rm(AluKind::Add, size, def, Rm::Reg(right));
            self.zero = Some((def, size));
        } else if def == right {
            self.asm().alu_rm(AluKind::Add, size, def, Rm::Reg(left));
            self.zero = Some((def, size));
        } else {
            let mem = Mem { base: Some(left), index: Some((right, 0)), disp: 0, label: None };
            self.asm().lea(size, def, mem);
        }
    }

    /// Definition and source of a scalar operation that keeps the upper part of its target: cuts the
    /// wait for the target's old value.
    fn fresh(&mut self, inst: &VInst) -> (u8, Rm) {
        let def = self.reg(inst, 0);
        let same_class = MOp::from_u16(inst.op) != MOp::CvtInt;
        let in_place = same_class
            && Aux(inst.aux).src() != Src::Mem as u32
            && self.rm(inst, 1) == Rm::Reg(def);
        if !in_place {
            self.asm().fzero(def);
        }
        (def, self.source(inst, 1))
    }

    /// `rdx` = sign of `rax`, or zero.
    pub(super) fn widen_dividend(&mut self, signed: bool, size: u32) {
        if signed {
            self.asm().cdq(size);
        } else {
            self.asm().zero(RDX);
        }
    }
}

/// The trap code with this number; an unknown number can only come from a broken function.
fn trap_code(kind: u32) -> TrapCode {
    TrapCode::from_u8(kind as u8).unwrap_or(TrapCode::Unreachable)
}
