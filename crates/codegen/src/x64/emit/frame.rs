//! Prologue and epilogue.

use super::asm::{Mem, Rm};
use super::{Emit, R11, R14, RSP, X15};
use crate::x64::inst::{AluKind, MovKind, cc};
use runwell_abi::{TrapCode, vmctx};

/// Up to this many bytes of variables are cleared without a loop.
const UNROLLED_BYTES: u32 = 128;

impl Emit<'_> {
    /// Makes the frame, checks the stack, saves registers, clears variables.
    pub(super) fn prologue(&mut self) {
        let bytes = self.mem.frame.bytes;
        if bytes != 0 {
            // Subtracting cannot wrap: frames are far smaller than the lowest stack address.
            self.asm().alu_ri(AluKind::Sub, 3, RSP, bytes as i32);
        }
        if self.mem.frame.checked {
            let limit = self.stack_limit();
            let excess = self.mem.frame.excess;
            if excess != 0 {
                self.asm().alu_mi(AluKind::Sub, 3, limit, excess as i32);
            }
            self.asm().cmp_rm(3, RSP, Rm::Mem(limit));
            let trap = self.trap(TrapCode::StackOverflow);
            self.asm().jcc(cc::B, trap);
        }
        for at in 0..self.mem.frame.saved.len() {
            let (reg, offset) = self.mem.frame.saved[at];
            self.asm().store(MovKind::Q, Mem::base(RSP, offset as i32), reg.hw());
        }
        if let Some(offset) = self.mem.frame.context {
            self.asm().store(MovKind::Q, Mem::base(RSP, offset as i32), R14);
        }
        self.clear_slots();
    }

    /// The stack's limit in memory; r11 is overwritten.
    fn stack_limit(&mut self) -> Mem {
        let runtime = Rm::Mem(Mem::base(R14, vmctx::RUNTIME as i32));
        self.asm().movx(MovKind::Q, R11, runtime);
        Mem::base(R11, vmctx::RT_STACK_LIMIT as i32)
    }

    /// Zeroes the variables outside of SSA.
    fn clear_slots(&mut self) {
        let (first, end) = self.mem.frame.slot_range;
        if first == end {
            return;
        }
        self.asm().fzero(X15);
        let mut at = first;
        let wide = (end - first) & !15;
        if wide > UNROLLED_BYTES {
            // r11 counts up to zero.
            self.asm().mov_ri(R11, i64::from(wide).wrapping_neg() as u64);
            let again = self.asm().label();
            self.asm().bind(again);
            let mem = Mem {
                base: Some(RSP),
                index: Some((R11, 0)),
                disp: (first + wide) as i32,
                label: None,
            };
            self.asm().store(MovKind::V128, mem, X15);
            self.asm().alu_ri(AluKind::Add, 3, R11, 16);
            self.asm().jcc(cc::NE, again);
            at += wide;
        }
        while at < end {
            let (kind, bytes) =
                if end - at >= 16 { (MovKind::V128, 16) } else { (MovKind::F64, 8) };
            self.asm().store(kind, Mem::base(RSP, at as i32), X15);
            at += bytes;
        }
    }

    /// Restores callee-saved registers and gives up the frame.
    pub(super) fn epilogue(&mut self) {
        for at in 0..self.mem.frame.saved.len() {
            let (reg, offset) = self.mem.frame.saved[at];
            let slot = Rm::Mem(Mem::base(RSP, offset as i32));
            self.asm().movx(MovKind::Q, reg.hw(), slot);
        }
        let excess = self.mem.frame.excess;
        if excess != 0 {
            // r14 may be another context already, of an instance or of a host function: all of them
            // begin with a pointer to the store's record.
            let limit = self.stack_limit();
            self.asm().alu_mi(AluKind::Add, 3, limit, excess as i32);
        }
        let bytes = self.mem.frame.bytes;
        if bytes != 0 {
            self.asm().alu_ri(AluKind::Add, 3, RSP, bytes as i32);
        }
    }
}
