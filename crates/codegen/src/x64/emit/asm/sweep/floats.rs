//! Vector registers: arithmetic, comparisons, conversions.

use super::super::super::seq::{MAX, MIN, OR};
use super::{Sweep, Want, ask, few_mems, g, grm, imm, mems, numbers, rms, x, xrm};
use crate::x64::inst::FKind;
use iced_x86::Mnemonic;

pub(super) fn sweep(s: &mut Sweep) {
    two_operands(s);
    three_operands(s);
    blends(s);
    one_operand(s);
    conversions(s);
}

/// Number, mnemonic for singles and for doubles, true if the whole vector takes part.
fn kinds() -> [(u32, Mnemonic, Mnemonic, bool); 9] {
    for kind in [FKind::Add, FKind::Sub, FKind::Mul, FKind::Div, FKind::And, FKind::Xor] {
        match kind {
            FKind::Add | FKind::Sub | FKind::Mul | FKind::Div | FKind::And | FKind::Xor => {}
        }
    }
    [
        (FKind::Add as u32, Mnemonic::Addss, Mnemonic::Addsd, false),
        (FKind::Sub as u32, Mnemonic::Subss, Mnemonic::Subsd, false),
        (FKind::Mul as u32, Mnemonic::Mulss, Mnemonic::Mulsd, false),
        (FKind::Div as u32, Mnemonic::Divss, Mnemonic::Divsd, false),
        (FKind::And as u32, Mnemonic::Andps, Mnemonic::Andps, true),
        (FKind::Xor as u32, Mnemonic::Xorps, Mnemonic::Xorps, true),
        (OR, Mnemonic::Orps, Mnemonic::Orps, true),
        (MIN, Mnemonic::Minss, Mnemonic::Minsd, false),
        (MAX, Mnemonic::Maxss, Mnemonic::Maxsd, false),
    ]
}

fn two_operands(s: &mut Sweep) {
    for (kind, single, double, whole) in kinds() {
        for (size, mnemonic) in [(2, single), (3, double)] {
            let bytes = if whole { 16 } else { 1 << size };
            for to in numbers() {
                for &from in &rms(mems()) {
                    let want = [Want::Reg(x(to)), xrm(bytes, from)];
                    ask!(s, falu(kind, size, to, from), mnemonic, [want[0], want[1]]);
                }
            }
        }
    }
    for (size, mnemonic) in [(2, Mnemonic::Ucomiss), (3, Mnemonic::Ucomisd)] {
        for left in numbers() {
            for &right in &rms(mems()) {
                let want = [Want::Reg(x(left)), xrm(1 << size, right)];
                ask!(s, ucomis(size, left, right), mnemonic, [want[0], want[1]]);
            }
        }
    }
}

/// The forms with a VEX prefix.
fn vex(mnemonic: Mnemonic) -> Option<Mnemonic> {
    Some(match mnemonic {
        Mnemonic::Addss => Mnemonic::Vaddss,
        Mnemonic::Addsd => Mnemonic::Vaddsd,
        Mnemonic::Subss => Mnemonic::Vsubss,
        Mnemonic::Subsd => Mnemonic::Vsubsd,
        Mnemonic::Mulss => Mnemonic::Vmulss,
        Mnemonic::Mulsd => Mnemonic::Vmulsd,
        Mnemonic::Divss => Mnemonic::Vdivss,
        Mnemonic::Divsd => Mnemonic::Vdivsd,
        Mnemonic::Andps => Mnemonic::Vandps,
        Mnemonic::Xorps => Mnemonic::Vxorps,
        Mnemonic::Orps => Mnemonic::Vorps,
        _ => return None,
    })
}

fn three_operands(s: &mut Sweep) {
    for (kind, single, double, whole) in kinds() {
        for (size, mnemonic) in [(2, single), (3, double)] {
            let Some(mnemonic) = vex(mnemonic) else { continue };
            let bytes = if whole { 16 } else { 1 << size };
            for to in numbers() {
                for left in [0, 7, 8, 15, to] {
                    for &from in &rms(few_mems()) {
                        let want = [Want::Reg(x(to)), Want::Reg(x(left)), xrm(bytes, from)];
                        ask!(
                            s,
                            falu3(kind, size, to, left, from),
                            mnemonic,
                            [want[0], want[1], want[2]]
                        );
                    }
                }
            }
        }
    }
}

fn blends(s: &mut Sweep) {
    for (size, compare, blend, range) in [
        (2, Mnemonic::Vcmpss, Mnemonic::Vblendvps, Mnemonic::Vrangess),
        (3, Mnemonic::Vcmpsd, Mnemonic::Vblendvpd, Mnemonic::Vrangesd),
    ] {
        for to in numbers() {
            for left in numbers() {
                for other in [0, 7, 8, 15, to] {
                    let regs = [to, left, other].map(|r| Want::Reg(x(r)));
                    let want = [regs[0], regs[1], regs[2], imm(3, 0, 1)];
                    ask!(
                        s,
                        funordered(size, to, left, other),
                        compare,
                        [want[0], want[1], want[2], want[3]]
                    );
                    // The minimum, with the sign of the outcome.
                    let want = [regs[0], regs[1], regs[2], imm(4, 0, 1)];
                    ask!(
                        s,
                        frange(size, to, left, other),
                        range,
                        [want[0], want[1], want[2], want[3]]
                    );
                }
            }
            for &set in &rms(few_mems()) {
                for mask in [0, 7, 8, 15] {
                    let (clear, want) = (15 - to, xrm(16, set));
                    let want = [Want::Reg(x(to)), Want::Reg(x(clear)), want, Want::Reg(x(mask))];
                    ask!(
                        s,
                        fblend(size, to, clear, set, mask),
                        blend,
                        [want[0], want[1], want[2], want[3]]
                    );
                }
            }
        }
    }
}

fn one_operand(s: &mut Sweep) {
    for to in numbers() {
        ask!(s, fzero(to), Mnemonic::Xorps, [Want::Reg(x(to)), Want::Reg(x(to))]);
        for (size, sqrt, round) in
            [(2, Mnemonic::Sqrtss, Mnemonic::Roundss), (3, Mnemonic::Sqrtsd, Mnemonic::Roundsd)]
        {
            for &from in &rms(mems()) {
                let want = [Want::Reg(x(to)), xrm(1 << size, from)];
                ask!(s, fsqrt(size, to, from), sqrt, [want[0], want[1]]);
            }
            for &from in &rms(few_mems()) {
                for mode in 0..16u8 {
                    let want = [Want::Reg(x(to)), xrm(1 << size, from), imm(mode.into(), 0, 1)];
                    ask!(s, fround(size, to, from, mode), round, [want[0], want[1], want[2]]);
                }
            }
        }
    }
}

fn conversions(s: &mut Sweep) {
    for to in numbers() {
        for int_size in [2, 3] {
            for (size, mnemonic) in [(2, Mnemonic::Cvtsi2ss), (3, Mnemonic::Cvtsi2sd)] {
                for &from in &rms(mems()) {
                    let want = [Want::Reg(x(to)), grm(int_size, from)];
                    ask!(s, cvt_int(size, int_size, to, from), mnemonic, [want[0], want[1]]);
                }
            }
            for (size, mnemonic) in [(2, Mnemonic::Cvttss2si), (3, Mnemonic::Cvttsd2si)] {
                for from in numbers() {
                    let want = [Want::Reg(g(int_size, to)), Want::Reg(x(from))];
                    ask!(s, cvt_trunc(size, int_size, to, from), mnemonic, [want[0], want[1]]);
                }
            }
        }
        for (demote, mnemonic, bytes) in
            [(true, Mnemonic::Cvtsd2ss, 8), (false, Mnemonic::Cvtss2sd, 4)]
        {
            for &from in &rms(mems()) {
                let want = [Want::Reg(x(to)), xrm(bytes, from)];
                ask!(s, cvt_float(demote, to, from), mnemonic, [want[0], want[1]]);
            }
        }
    }
}
