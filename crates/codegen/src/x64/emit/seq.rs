//! Operations that take several instructions. What rarely runs is put off behind the function.

use super::asm::{Label, Mem, Rm};
use super::{Cold, Emit, R11, R13, R14, RAX, RDX, X15};
use crate::vcode::VInst;
use crate::x64::inst::{
    AluKind, Aux, BitKind, DIV_OVERFLOW, DIV_REM, DIV_SIGNED, DIV_ZERO, FKind, MovKind, TRUNC_64,
    TRUNC_SAT, TRUNC_SIGNED, cc,
};
use runwell_abi::{TrapCode, vmctx};

/// A rare path, with what it needs to know.
#[derive(Copy, Clone, Debug)]
pub(super) enum Rest {
    /// A call that changes contexts.
    CallOther,
    /// Minimum or maximum of equal or unordered floats.
    MinMax { max: bool, size: u32, def: u8, other: u8 },
    /// Replaces a NaN by the canonical one.
    Canon { size: u32, def: u8 },
    /// Replaces a NaN in memory by the canonical one.
    CanonAt { double: bool, at: Mem },
    /// A conversion to an integer whose outcome is the one for "out of range".
    Truncate { kind: u32, size: u32, def: u8, source: u8 },
    /// Fuel does not suffice: `units` of it have been taken, or what is in r11.
    Fuel { units: Option<i32> },
    /// An unsigned 64-bit integer with its top bit set, to float.
    ConvertU64 { size: u32, def: u8, source: u8 },
}

impl Emit<'_> {
    /// Emits a rare path and the jump back.
    pub(super) fn rest(&mut self, rest: Rest, back: Label) {
        match rest {
            Rest::CallOther => self.call_import(),
            Rest::MinMax { max, size, def, other } => self.same_or_nan(max, size, def, other),
            Rest::Canon { size, def } => {
                let (bits, kind) = match size {
                    2 => (0x7fc0_0000, MovKind::F32),
                    _ => (0x7ff8_0000_0000_0000u64, MovKind::F64),
                };
                let mem = self.asm().constant(u128::from(bits), if size == 2 { 4 } else { 8 });
                self.asm().movx(kind, def, Rm::Mem(mem));
            }
            Rest::CanonAt { double, at } => {
                if double {
                    self.asm().store_i(MovKind::L, at, 0);
                    self.asm().store_i(MovKind::L, at.behind(4), 0x7ff8_0000);
                } else {
                    self.asm().store_i(MovKind::L, at, 0x7fc0_0000);
                }
            }
            Rest::Truncate { kind, size, def, source } => {
                let saturating = kind & TRUNC_SAT != 0;
                if kind & (TRUNC_64 | TRUNC_SIGNED) == TRUNC_64 {
                    return self.truncate_u64(saturating, size, def, source, back);
                } else if saturating {
                    self.truncate_saturating(kind, size, def, source, back);
                } else if kind & TRUNC_SIGNED != 0 {
                    return self.truncate_signed(kind & TRUNC_64 != 0, size, source, back);
                } else {
                    self.asm().ucomis(size, source, Rm::Reg(source));
                    return self.asm().trap(TrapCode::BadConversionToInteger);
                }
            }
            Rest::Fuel { units } => {
                match units {
                    Some(units) => self.asm().alu_ri(AluKind::Add, 3, R13, units),
                    None => self.asm().alu_rm(AluKind::Add, 3, R13, Rm::Reg(R11)),
                }
                self.asm().call_m(Mem::base(R14, vmctx::FUEL_STUB as i32));
            }
            Rest::ConvertU64 { size, def, source } => {
                // Half of it, with the bit that is lost kept sticky for the rounding; then doubled.
                self.asm().mov_rr(3, R11, source);
                self.asm().shift_i(5, 3, R11, 1);
                let even = self.asm().skip_if(cc::AE);
                self.asm().alu_ri(AluKind::Or, 3, R11, 1);
                self.asm().land(even);
                self.asm().cvt_int(size, 3, def, Rm::Reg(R11));
                self.asm().falu(FKind::Add as u32, size, def, Rm::Reg(def));
            }
        }
        self.asm().jmp(back);
    }

    fn put_off_rest(&mut self, rest: Rest) -> (Label, Label) {
        let back = self.asm().label();
        (self.put_off(Cold::Rest(rest, back)), back)
    }

    /// Takes fuel; goes on only if there was enough.
    pub(super) fn charge(&mut self, units: i32) {
        let again = self.asm().label();
        self.asm().bind(again);
        let dense = self.dense();
        // A number of more than a byte that is written twice takes more than a register that has it.
        let by_register = dense && i8::try_from(units).is_err();
        if by_register {
            self.asm().mov_ri_flags(R11, u64::from(units.unsigned_abs()));
            self.asm().alu_rm(AluKind::Sub, 3, R13, Rm::Reg(R11));
        } else {
            self.asm().alu_ri(AluKind::Sub, 3, R13, units);
        }
        if dense {
            let enough = self.asm().skip_if(cc::AE);
            self.rest(Rest::Fuel { units: (!by_register).then_some(units) }, again);
            return self.asm().land(enough);
        }
        let short = self.put_off(Cold::Rest(Rest::Fuel { units: Some(units) }, again));
        self.asm().jcc(cc::B, short);
    }

    /// Takes fuel by a register.
    pub(super) fn charge_for(&mut self, inst: &VInst) {
        let again = self.asm().label();
        self.asm().bind(again);
        let len = self.reg(inst, 0);
        self.asm().mov_rr(3, R11, len);
        self.asm().shift_i(5, 3, R11, inst.imm);
        self.asm().alu_rm(AluKind::Sub, 3, R13, Rm::Reg(R11));
        let short = self.put_off(Cold::Rest(Rest::Fuel { units: None }, again));
        self.asm().jcc(cc::B, short);
    }

    /// Sets a register to 0 or 1.
    pub(super) fn set_cc(&mut self, code: u32, def: u8) {
        match code {
            cc::FEQ => {
                self.asm().setcc(cc::NP, R11);
                self.asm().setcc(cc::E, def);
                self.asm().alu_rm(AluKind::And, 2, def, Rm::Reg(R11));
            }
            cc::FNE => {
                self.asm().setcc(cc::P, R11);
                self.asm().setcc(cc::NE, def);
                self.asm().alu_rm(AluKind::Or, 2, def, Rm::Reg(R11));
            }
            code => self.asm().setcc(code, def),
        }
        self.asm().movx(MovKind::U8, def, Rm::Reg(def));
    }

    /// Counts bits; without the exact instruction, zero needs its own answer.
    pub(super) fn bits(&mut self, inst: &VInst) {
        let aux = Aux(inst.aux);
        let (kind, size) = (aux.kind(), aux.size());
        let width = 8 << size;
        let def = self.reg(inst, 0);
        if kind == BitKind::Bsr as u32 {
            self.asm().mov_ri(R11, 2 * width - 1);
        } else if kind == BitKind::Bsf as u32 {
            self.asm().mov_ri(R11, width);
        }
        let source = self.source(inst, 1);
        if kind <= BitKind::Popcnt as u32 && !matches!(source, Rm::Mem(_)) {
            self.clear_for(def, source);
        }
        self.asm().bit_scan(kind, size, def, source);
        if kind > BitKind::Popcnt as u32 {
            self.asm().cmov(cc::E, size, def, Rm::Reg(R11));
        }
        if kind == BitKind::Bsr as u32 {
            self.asm().alu_ri(AluKind::Xor, size, def, width as i32 - 1);
        }
    }

    /// Bit counts wait for the old value of their target on some processors.
    fn clear_for(&mut self, def: u8, source: Rm) {
        if source != Rm::Reg(def) {
            self.asm().zero(def);
        }
    }

    /// A division. What it cannot divide by it traps on by itself, and the runtime tells from the divisor
    /// whether that was zero or the quotient has no room: the instruction is shorter than any check.
    pub(super) fn div(&mut self, inst: &VInst) {
        let aux = Aux(inst.aux);
        let (size, kind) = (aux.size(), aux.kind());
        let divisor = 3 - self.left(inst, true);
        let divisor = self.reg(inst, divisor);
        debug_assert!(divisor != RAX && divisor != RDX);
        let signed = kind & DIV_SIGNED != 0;
        // The remainder by -1 is zero also where the quotient has no room.
        let rare = (kind & DIV_OVERFLOW != 0 && kind & DIV_REM != 0).then(|| {
            self.asm().cmp_i(size, Rm::Reg(divisor), -1);
            let usual = self.asm().skip_if(cc::NE);
            self.asm().zero(RDX);
            let rare = self.asm().skip();
            self.asm().land(usual);
            rare
        });
        self.widen_dividend(signed, size);
        if kind & (DIV_ZERO | DIV_OVERFLOW) != 0 {
            self.asm().may_trap(TrapCode::IntegerDivisionByZero);
        }
        self.asm().group3(if signed { 7 } else { 6 }, size, Rm::Reg(divisor));
        if let Some(rare) = rare {
            self.asm().land(rare);
        }
    }

    /// Minimum or maximum: the hardware's is right for ordered operands that differ.
    pub(super) fn min_max(&mut self, inst: &VInst) {
        let aux = Aux(inst.aux);
        let (size, max) = (aux.size(), aux.kind() == 1);
        let other = 2 - self.left(inst, false);
        let (def, other) = (self.reg(inst, 0), self.reg(inst, other));
        self.asm().ucomis(size, def, Rm::Reg(other));
        let kind = if max { MAX } else { MIN };
        if aux.compact() != 0 {
            let usual = self.asm().skip_if(cc::NE);
            self.same_or_nan(max, size, def, other);
            let rare = self.asm().skip();
            self.asm().land(usual);
            self.asm().falu(kind, size, def, Rm::Reg(other));
            return self.asm().land(rare);
        }
        let (rare, back) = self.put_off_rest(Rest::MinMax { max, size, def, other });
        self.asm().jcc(cc::E, rare);
        self.asm().falu(kind, size, def, Rm::Reg(other));
        self.asm().bind(back);
    }

    /// Minimum or maximum of equal or unordered floats. Of equal ones only the signs of zeros may differ. A
    /// NaN comes of arithmetic, which leaves no signalling one.
    fn same_or_nan(&mut self, max: bool, size: u32, def: u8, other: u8) {
        let nan = self.asm().skip_if(cc::P);
        self.asm().falu(if max { FKind::And as u32 } else { OR }, 2, def, Rm::Reg(other));
        let same = self.asm().skip();
        self.asm().land(nan);
        self.asm().falu(FKind::Add as u32, size, def, Rm::Reg(other));
        self.asm().land(same);
    }

    /// `def ^ (def ^ other) & sign`: one constant, and bits of singles and doubles are the same.
    pub(super) fn copysign(&mut self, inst: &VInst) {
        let size = Aux(inst.aux).size();
        let other = 2 - self.left(inst, false);
        let (def, other) = (self.reg(inst, 0), self.reg(inst, other));
        let sign: u64 = if size == 2 { 0x8000_0000_8000_0000 } else { 1 << 63 };
        let mask = self.asm().constant(u128::from(sign) | u128::from(sign) << 64, 16);
        self.asm().fmov(X15, def);
        self.asm().falu(FKind::Xor as u32, 2, X15, Rm::Reg(other));
        self.asm().falu(FKind::And as u32, 2, X15, Rm::Mem(mask));
        self.asm().falu(FKind::Xor as u32, 2, def, Rm::Reg(X15));
    }

    pub(super) fn canon(&mut self, inst: &VInst) {
        let size = Aux(inst.aux).size();
        let def = self.reg(inst, 0);
        self.asm().ucomis(size, def, Rm::Reg(def));
        let (rare, back) = self.put_off_rest(Rest::Canon { size, def });
        self.asm().jcc(cc::P, rare);
        self.asm().bind(back);
    }

    /// A branch on every float that is stored would be cheaper where they are few, but floating-point
    /// code has many, and comparing into the flags costs more than into a register.
    ///
    /// The minimum of `vrange` takes the other operand if one is a quiet NaN, and the first one if both
    /// are: with the canonical NaN first it does all at once. What arithmetic makes is no signalling NaN.
    pub(super) fn canon3(&mut self, inst: &VInst) {
        let aux = Aux(inst.aux);
        let size = aux.size();
        let (def, source) = (self.reg(inst, 0), self.reg(inst, 1));
        let canonical = if inst.operands > 2 {
            self.rm(inst, 2)
        } else {
            let bits = if size == 2 { 0x7fc0_0000 } else { 0x7ff8 << 48 };
            Rm::Mem(self.asm().constant(bits, 16))
        };
        if aux.kind() == 1 {
            let canonical = match canonical {
                Rm::Reg(reg) => reg,
                Rm::Mem(_) => {
                    let kind = if size == 2 { MovKind::F32 } else { MovKind::F64 };
                    self.asm().movx(kind, X15, canonical);
                    X15
                }
            };
            return self.asm().frange(size, def, canonical, source);
        }
        self.asm().funordered(size, X15, source, source);
        self.asm().fblend(size, def, source, canonical, X15);
    }

    /// Stores first and looks at the bits in memory then: comparing floats would take up what
    /// floating-point code is short of, and a store is where most floats end up. A NaN that the
    /// processor made or passed on has all bits of the exponent and the one below them set.
    pub(super) fn store_canon(&mut self, inst: &VInst) {
        let kind = MovKind::from_u32(Aux(inst.aux).kind());
        let double = kind == MovKind::F64;
        let at = self.access(inst);
        let value = self.reg(inst, 0);
        self.asm().store(kind, at, value);
        let (high, least) = if double { (at.behind(4), -0x10_0000) } else { (at, -0x80_0000) };
        // The sign moves to the other end: what is above infinity then is a NaN of either sign.
        if inst.imm != 0 {
            self.asm().rorx(2, R11, Rm::Mem(high), inst.imm);
        } else {
            self.asm().movx(MovKind::L, R11, Rm::Mem(high));
            self.asm().alu_rm(AluKind::Add, 2, R11, Rm::Reg(R11));
        }
        self.asm().cmp_i(2, Rm::Reg(R11), least);
        let (rare, back) = self.put_off_rest(Rest::CanonAt { double, at });
        self.asm().jcc(cc::AE, rare);
        self.asm().bind(back);
    }

    pub(super) fn convert_u64(&mut self, inst: &VInst) {
        let size = Aux(inst.aux).size();
        let (def, source) = (self.reg(inst, 0), self.reg(inst, 1));
        if self.dense() {
            let stub = vmctx::CONVERT_STUBS[usize::from(size == 3)];
            self.asm().mov_rr(3, R11, source);
            self.asm().call_m(Mem::base(R14, stub as i32));
            return self.asm().fmov(def, X15);
        }
        self.asm().fzero(def);
        self.asm().test_rr(3, source, source);
        let (rare, back) = self.put_off_rest(Rest::ConvertU64 { size, def, source });
        self.asm().jcc(cc::S, rare);
        self.asm().cvt_int(size, 3, def, Rm::Reg(source));
        self.asm().bind(back);
    }

    /// Float to integer: the hardware answers with the smallest integer when the value does not fit.
    pub(super) fn truncate(&mut self, inst: &VInst) {
        let aux = Aux(inst.aux);
        let (size, kind) = (aux.size(), aux.kind());
        let (def, source) = (self.reg(inst, 0), self.reg(inst, 1));
        let wide = kind & TRUNC_64 != 0;
        let signed = kind & TRUNC_SIGNED != 0;
        if wide && !signed && self.dense() {
            return self.truncate_u64_elsewhere(kind & TRUNC_SAT != 0, size, def, source);
        }
        // An unsigned 32-bit integer is a 64-bit one with a zero upper half.
        let int_size = if wide || !signed { 3 } else { 2 };
        self.asm().cvt_trunc(size, int_size, def, source);
        let (rare, back) = self.put_off_rest(Rest::Truncate { kind, size, def, source });
        match (wide, signed) {
            (_, true) => {
                // Only the smallest integer overflows when one is subtracted.
                self.asm().cmp_i(int_size, Rm::Reg(def), 1);
                self.asm().jcc(cc::O, rare);
            }
            (false, false) => {
                self.asm().mov_rr(2, R11, def);
                self.asm().cmp_rm(3, R11, Rm::Reg(def));
                self.asm().jcc(cc::NE, rare);
            }
            (true, false) => {
                self.asm().test_rr(3, def, def);
                self.asm().jcc(cc::S, rare);
            }
        }
        self.asm().bind(back);
    }

    /// The constant 2^exponent of a float size.
    fn power(&mut self, size: u32, exponent: u64, negative: bool) -> Mem {
        let sign = u64::from(negative);
        if size == 2 {
            self.asm().constant(u128::from(sign << 31 | (127 + exponent) << 23), 4)
        } else {
            self.asm().constant(u128::from(sign << 63 | (1023 + exponent) << 52), 8)
        }
    }

    /// Converts an unsigned 64-bit integer's float to it, in the scratch register: the carry flag says
    /// that it is out of range, and then the parity flag that it is a NaN.
    fn call_truncate(&mut self, size: u32, source: u8) {
        if size == 3 {
            self.asm().fmov(X15, source);
        } else {
            self.asm().cvt_float(false, X15, Rm::Reg(source));
        }
        self.asm().call_m(Mem::base(R14, vmctx::TRUNCATE_STUB as i32));
    }

    /// The rare part of a trapping conversion to a signed integer, of which the smallest has come out: right
    /// for what comes nearest to it, else a trap.
    fn truncate_signed(&mut self, wide: bool, size: u32, source: u8, back: Label) {
        if size == 3 && !wide {
            // Numbers between -2^31 and the next smaller integer, of which there are many.
            self.asm().cvt_trunc(size, 3, R11, source);
            self.asm().cmp_i(3, Rm::Reg(R11), i32::MIN);
            self.asm().jcc(cc::E, back);
            self.asm().ucomis(size, source, Rm::Reg(source));
        } else {
            // One number.
            let least = self.power(size, if wide { 63 } else { 31 }, true);
            self.asm().ucomis(size, source, Rm::Mem(least));
            let nan = self.asm().skip_if(cc::P);
            self.asm().jcc(cc::E, back);
            self.asm().land(nan);
        }
        self.asm().trap(TrapCode::BadConversionToInteger);
    }

    /// The rare part of a conversion to an unsigned 64-bit integer: above the signed ones, or out of range.
    fn truncate_u64(&mut self, saturating: bool, size: u32, def: u8, source: u8, back: Label) {
        self.call_truncate(size, source);
        self.asm().mov_rr(3, def, R11);
        if saturating {
            return self.asm().jmp(back);
        }
        self.asm().jcc(cc::AE, back);
        self.asm().trap(TrapCode::BadConversionToInteger);
    }

    /// The same conversion where code is dense: all of it is elsewhere.
    fn truncate_u64_elsewhere(&mut self, saturating: bool, size: u32, def: u8, source: u8) {
        self.call_truncate(size, source);
        if !saturating {
            let fits = self.asm().skip_if(cc::AE);
            self.asm().trap(TrapCode::BadConversionToInteger);
            self.asm().land(fits);
        }
        self.asm().mov_rr(3, def, R11);
    }

    /// The rare part of a saturating conversion to other integers.
    fn truncate_saturating(&mut self, kind: u32, size: u32, def: u8, source: u8, back: Label) {
        let wide = kind & TRUNC_64 != 0;
        let zero = self.asm().label();
        self.asm().fzero(X15);
        self.asm().ucomis(size, source, Rm::Reg(X15));
        if kind & TRUNC_SIGNED != 0 {
            self.asm().jcc(cc::P, zero);
            // A negative value has the smallest integer already.
            self.asm().jcc(cc::B, back);
            let largest = if wide { i64::MAX as u64 } else { i32::MAX as u64 };
            self.asm().mov_ri(def, largest);
        } else {
            // Not above zero, or unordered.
            self.asm().jcc(cc::BE, zero);
            self.asm().mov_ri(def, u64::from(u32::MAX));
        }
        self.asm().jmp(back);
        self.asm().bind(zero);
        self.asm().zero(def);
    }
}

/// Numbers of vector operations that selection does not make, after those of [`FKind`].
pub(super) const OR: u32 = 6;
pub(super) const MIN: u32 = 7;
pub(super) const MAX: u32 = 8;
