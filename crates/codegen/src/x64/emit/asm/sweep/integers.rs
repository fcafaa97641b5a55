//! Integer arithmetic, comparisons, bits, shifts.

use super::{IMMS, Rm, Sweep, Want, ask, few_mems, g, grm, imm, mems, numbers, rms};
use crate::x64::inst::{AluKind, BitKind, ShiftKind};
use iced_x86::Mnemonic;

pub(super) fn sweep(s: &mut Sweep) {
    two_operands(s);
    compare(s);
    test(s);
    multiply_and_divide(s);
    bits(s);
    shifts(s);
}

/// Bytes of the immediate of an operation of a size: one if it fits sign-extended.
fn field(size: u32, value: i32) -> usize {
    match size {
        _ if (-128..128).contains(&value) => 1,
        0 => 1,
        1 => 2,
        _ => 4,
    }
}

fn alus() -> [(AluKind, Mnemonic); 5] {
    let list = [
        (AluKind::Add, Mnemonic::Add),
        (AluKind::Or, Mnemonic::Or),
        (AluKind::And, Mnemonic::And),
        (AluKind::Sub, Mnemonic::Sub),
        (AluKind::Xor, Mnemonic::Xor),
    ];
    for (kind, _) in list {
        // A new kind does not compile here before it is in the list.
        match kind {
            AluKind::Add | AluKind::Or | AluKind::And | AluKind::Sub | AluKind::Xor => {}
        }
    }
    list
}

fn two_operands(s: &mut Sweep) {
    for (kind, mnemonic) in alus() {
        for size in 0..4 {
            for reg in numbers() {
                let to = Want::Reg(g(size, reg));
                for &from in &rms(mems()) {
                    ask!(s, alu_rm(kind, size, reg, from), mnemonic, [to, grm(size, from)]);
                }
                for mem in mems() {
                    let to = Want::Mem(mem, 1 << size);
                    let from = Want::Reg(g(size, reg));
                    ask!(s, alu_mr(kind, size, mem, reg), mnemonic, [to, from]);
                }
                for value in IMMS {
                    let from = imm(value, size, field(size, value));
                    ask!(s, alu_ri(kind, size, reg, value), mnemonic, [to, from]);
                }
            }
            for mem in few_mems() {
                for value in IMMS {
                    let (to, from) =
                        (Want::Mem(mem, 1 << size), imm(value, size, field(size, value)));
                    ask!(s, alu_mi(kind, size, mem, value), mnemonic, [to, from]);
                }
            }
        }
    }
}

fn compare(s: &mut Sweep) {
    for size in 0..4 {
        for reg in numbers() {
            let left = Want::Reg(g(size, reg));
            for &right in &rms(mems()) {
                ask!(s, cmp_rm(size, reg, right), Mnemonic::Cmp, [left, grm(size, right)]);
            }
            for mem in mems() {
                let right = Want::Reg(g(size, reg));
                ask!(s, cmp_mr(size, mem, reg), Mnemonic::Cmp, [Want::Mem(mem, 1 << size), right]);
            }
        }
        for &left in &rms(few_mems()) {
            for value in IMMS {
                if value == 0 && matches!(left, Rm::Reg(_)) {
                    // The same flags from a shorter instruction.
                    let both = grm(size, left);
                    ask!(s, cmp_i(size, left, 0), Mnemonic::Test, [both, both]);
                } else {
                    let right = imm(value, size, field(size, value));
                    ask!(s, cmp_i(size, left, value), Mnemonic::Cmp, [grm(size, left), right]);
                }
            }
        }
    }
}

fn test(s: &mut Sweep) {
    for size in 0..4 {
        for left in numbers() {
            for right in numbers() {
                let want = [Want::Reg(g(size, left)), Want::Reg(g(size, right))];
                ask!(s, test_rr(size, left, right), Mnemonic::Test, [want[0], want[1]]);
            }
        }
        for &left in &rms(mems()) {
            for value in IMMS {
                // Of a register, a mask of seven bits needs only the lowest byte.
                let narrow = matches!(left, Rm::Reg(_)) && (0..128).contains(&value);
                let size_used = if narrow { 0 } else { size };
                let right = imm(value, size_used, [1, 2, 4, 4][size_used as usize]);
                ask!(s, test_i(size, left, value), Mnemonic::Test, [grm(size_used, left), right]);
            }
        }
    }
}

fn multiply_and_divide(s: &mut Sweep) {
    for size in [2, 3] {
        let convert = if size == 2 { Mnemonic::Cdq } else { Mnemonic::Cqo };
        ask!(s, cdq(size), convert, []);
        for to in numbers() {
            let def = Want::Reg(g(size, to));
            for &from in &rms(mems()) {
                ask!(s, imul(size, to, from), Mnemonic::Imul, [def, grm(size, from)]);
            }
            for &from in &rms(few_mems()) {
                for value in IMMS {
                    let right = imm(value, size, field(size, value));
                    let want = [def, grm(size, from), right];
                    ask!(
                        s,
                        imul_i(size, to, from, value),
                        Mnemonic::Imul,
                        [want[0], want[1], want[2]]
                    );
                }
            }
        }
        let group = [
            (2, Mnemonic::Not),
            (3, Mnemonic::Neg),
            (4, Mnemonic::Mul),
            (5, Mnemonic::Imul),
            (6, Mnemonic::Div),
            (7, Mnemonic::Idiv),
        ];
        for (number, mnemonic) in group {
            for &rm in &rms(mems()) {
                ask!(s, group3(number, size, rm), mnemonic, [grm(size, rm)]);
            }
        }
    }
}

fn bits(s: &mut Sweep) {
    let scans = [
        (BitKind::Lzcnt, Mnemonic::Lzcnt),
        (BitKind::Tzcnt, Mnemonic::Tzcnt),
        (BitKind::Popcnt, Mnemonic::Popcnt),
        (BitKind::Bsr, Mnemonic::Bsr),
        (BitKind::Bsf, Mnemonic::Bsf),
    ];
    for size in [2, 3] {
        for reg in numbers() {
            let wanted = Want::Reg(g(size, reg));
            for bit in [0, 1, 31, 32, 63] {
                ask!(s, bt_i(size, reg, bit), Mnemonic::Bt, [wanted, imm(bit, 0, 1)]);
            }
            for bit in numbers() {
                ask!(s, bt_rr(size, reg, bit), Mnemonic::Bt, [wanted, Want::Reg(g(size, bit))]);
            }
            for (kind, mnemonic) in scans {
                match kind {
                    BitKind::Lzcnt
                    | BitKind::Tzcnt
                    | BitKind::Popcnt
                    | BitKind::Bsr
                    | BitKind::Bsf => {}
                }
                for &from in &rms(mems()) {
                    let kind = kind as u32;
                    ask!(s, bit_scan(kind, size, reg, from), mnemonic, [wanted, grm(size, from)]);
                }
            }
        }
    }
}

fn shifts(s: &mut Sweep) {
    let kinds = [
        (ShiftKind::Rol, Mnemonic::Rol, None),
        (ShiftKind::Ror, Mnemonic::Ror, None),
        (ShiftKind::Shl, Mnemonic::Shl, Some(Mnemonic::Shlx)),
        (ShiftKind::Shr, Mnemonic::Shr, Some(Mnemonic::Shrx)),
        (ShiftKind::Sar, Mnemonic::Sar, Some(Mnemonic::Sarx)),
    ];
    for (kind, mnemonic, three) in kinds {
        match kind {
            ShiftKind::Rol | ShiftKind::Ror | ShiftKind::Shl | ShiftKind::Shr | ShiftKind::Sar => {}
        }
        let kind = kind as u32;
        for size in [2, 3] {
            for reg in numbers() {
                let wanted = Want::Reg(g(size, reg));
                for count in 0..64 {
                    let by = imm(count, 0, usize::from(count != 1));
                    ask!(s, shift_i(kind, size, reg, count), mnemonic, [wanted, by]);
                }
                let cl = Want::Reg(g(0, 1));
                ask!(s, shift_cl(kind, size, reg), mnemonic, [wanted, cl]);
                let Some(three) = three else { continue };
                for count in numbers() {
                    let mems = if count == 3 || count == 12 { mems() } else { few_mems() };
                    for &from in &rms(mems) {
                        let want = [wanted, grm(size, from), Want::Reg(g(size, count))];
                        ask!(
                            s,
                            shift3(kind, size, reg, from, count),
                            three,
                            [want[0], want[1], want[2]]
                        );
                    }
                }
            }
        }
    }
    for size in [2, 3] {
        for reg in numbers() {
            for &from in &rms(mems()) {
                for count in [0, 1, 31, 63] {
                    let want = [Want::Reg(g(size, reg)), grm(size, from), imm(count, 0, 1)];
                    ask!(
                        s,
                        rorx(size, reg, from, count),
                        Mnemonic::Rorx,
                        [want[0], want[1], want[2]]
                    );
                }
            }
        }
    }
}
