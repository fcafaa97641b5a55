//! Moves, loads, stores, addresses, conditional moves.

use super::{IMMS, Mem, Rm, Sweep, Want, ask, few_mems, g, grm, imm, mems, numbers, rms, x, xrm};
use crate::x64::inst::MovKind;
use iced_x86::{Mnemonic, OpKind};

pub(super) fn sweep(s: &mut Sweep) {
    registers(s);
    constants(s);
    loads(s);
    stores(s);
    addresses(s);
    conditions(s);
    let (to, from) = (Want::Implied(OpKind::MemoryESRDI), Want::Implied(OpKind::MemorySegRSI));
    ask!(s, rep_movsq(), Mnemonic::Movsq, [to, from]);
    ask!(s, rep_movsd(), Mnemonic::Movsd, [to, from]);
}

fn registers(s: &mut Sweep) {
    for to in numbers() {
        ask!(s, zero(to), Mnemonic::Xor, [Want::Reg(g(2, to)), Want::Reg(g(2, to))]);
        for from in numbers() {
            for size in 0..4 {
                let want = [Want::Reg(g(size, to)), Want::Reg(g(size, from))];
                ask!(s, mov_rr(size, to, from), Mnemonic::Mov, [want[0], want[1]]);
            }
            ask!(s, xchg(to, from), Mnemonic::Xchg, [Want::Reg(g(3, from)), Want::Reg(g(3, to))]);
            ask!(s, fmov(to, from), Mnemonic::Movaps, [Want::Reg(x(to)), Want::Reg(x(from))]);
            for size in [2, 3] {
                let mnemonic = if size == 2 { Mnemonic::Movd } else { Mnemonic::Movq };
                let (int, float) = (Want::Reg(g(size, from)), Want::Reg(x(to)));
                ask!(s, mov_to_f(size, to, from), mnemonic, [float, int]);
                let (int, float) = (Want::Reg(g(size, to)), Want::Reg(x(from)));
                ask!(s, mov_from_f(size, to, from), mnemonic, [int, float]);
            }
        }
    }
}

fn constants(s: &mut Sweep) {
    let mut values: Vec<u64> = Vec::new();
    for bit in [0, 7, 8, 15, 16, 31, 32, 33, 63] {
        let power = 1u64 << bit;
        values.extend([power, power - 1, power + 1, power.wrapping_neg(), !power]);
    }
    for to in numbers() {
        for &value in &values {
            // Writing 32 bits clears the upper half, so all of these have the asked-for value.
            let (size, field) = match value {
                0..=0xffff_ffff => (2, 4),
                0xffff_ffff_8000_0000.. => (3, 4),
                _ => (3, 8),
            };
            let want = Want::Imm { value: value as i64, bits: 8 << size, field };
            ask!(s, mov_ri(to, value), Mnemonic::Mov, [Want::Reg(g(size, to)), want]);
            if value != 0 {
                ask!(s, mov_ri_flags(to, value), Mnemonic::Mov, [Want::Reg(g(size, to)), want]);
            }
        }
        let reg = Want::Reg(g(2, to));
        ask!(s, mov_ri_flags(to, 0), Mnemonic::Xor, [reg, reg]);
    }
}

/// Per kind of move: mnemonic, size of the register (none for vectors), log2 of the bytes read.
fn kinds() -> [(MovKind, Mnemonic, Option<u32>, u32); 12] {
    [
        (MovKind::U8, Mnemonic::Movzx, Some(2), 0),
        (MovKind::S8, Mnemonic::Movsx, Some(2), 0),
        (MovKind::S8Q, Mnemonic::Movsx, Some(3), 0),
        (MovKind::U16, Mnemonic::Movzx, Some(2), 1),
        (MovKind::S16, Mnemonic::Movsx, Some(2), 1),
        (MovKind::S16Q, Mnemonic::Movsx, Some(3), 1),
        (MovKind::L, Mnemonic::Mov, Some(2), 2),
        (MovKind::S32Q, Mnemonic::Movsxd, Some(3), 2),
        (MovKind::Q, Mnemonic::Mov, Some(3), 3),
        (MovKind::F32, Mnemonic::Movss, None, 2),
        (MovKind::F64, Mnemonic::Movsd, None, 3),
        (MovKind::V128, Mnemonic::Movups, None, 4),
    ]
}

fn loads(s: &mut Sweep) {
    for (number, (kind, mnemonic, size, read)) in kinds().into_iter().enumerate() {
        assert_eq!(kind as usize, number, "the list is that of MovKind");
        for to in numbers() {
            for &from in &rms(mems()) {
                match size {
                    Some(size) => {
                        let to_reg = Want::Reg(g(size, to));
                        ask!(s, movx(kind, to, from), mnemonic, [to_reg, grm(read, from)]);
                    }
                    None => {
                        let to_reg = Want::Reg(x(to));
                        ask!(s, movx(kind, to, from), mnemonic, [to_reg, xrm(1 << read, from)]);
                    }
                }
            }
        }
    }
}

fn stores(s: &mut Sweep) {
    for (kind, load, size, written) in kinds() {
        let mnemonic = if size.is_some() { Mnemonic::Mov } else { load };
        for from in numbers() {
            let reg = Want::Reg(if size.is_some() { g(written, from) } else { x(from) });
            for mem in mems() {
                ask!(s, store(kind, mem, from), mnemonic, [Want::Mem(mem, 1 << written), reg]);
            }
        }
        if matches!(kind, MovKind::V128) {
            // No instruction stores so wide an immediate.
            continue;
        }
        for mem in few_mems() {
            for value in IMMS {
                let field = (1 << written).min(4);
                let want = [Want::Mem(mem, 1 << written), imm(value, written, field)];
                ask!(s, store_i(kind, mem, value), Mnemonic::Mov, [want[0], want[1]]);
            }
        }
    }
}

fn addresses(s: &mut Sweep) {
    for to in numbers() {
        for size in [2, 3] {
            for mem in mems() {
                let to_reg = Want::Reg(g(size, to));
                ask!(s, lea(size, to, mem), Mnemonic::Lea, [to_reg, Want::Mem(mem, 0)]);
            }
        }
    }
}

/// Names of the condition codes, by number.
pub(super) const JUMPS: [Mnemonic; 16] = [
    Mnemonic::Jo,
    Mnemonic::Jno,
    Mnemonic::Jb,
    Mnemonic::Jae,
    Mnemonic::Je,
    Mnemonic::Jne,
    Mnemonic::Jbe,
    Mnemonic::Ja,
    Mnemonic::Js,
    Mnemonic::Jns,
    Mnemonic::Jp,
    Mnemonic::Jnp,
    Mnemonic::Jl,
    Mnemonic::Jge,
    Mnemonic::Jle,
    Mnemonic::Jg,
];
const SETS: [Mnemonic; 16] = [
    Mnemonic::Seto,
    Mnemonic::Setno,
    Mnemonic::Setb,
    Mnemonic::Setae,
    Mnemonic::Sete,
    Mnemonic::Setne,
    Mnemonic::Setbe,
    Mnemonic::Seta,
    Mnemonic::Sets,
    Mnemonic::Setns,
    Mnemonic::Setp,
    Mnemonic::Setnp,
    Mnemonic::Setl,
    Mnemonic::Setge,
    Mnemonic::Setle,
    Mnemonic::Setg,
];
const CMOVS: [Mnemonic; 16] = [
    Mnemonic::Cmovo,
    Mnemonic::Cmovno,
    Mnemonic::Cmovb,
    Mnemonic::Cmovae,
    Mnemonic::Cmove,
    Mnemonic::Cmovne,
    Mnemonic::Cmovbe,
    Mnemonic::Cmova,
    Mnemonic::Cmovs,
    Mnemonic::Cmovns,
    Mnemonic::Cmovp,
    Mnemonic::Cmovnp,
    Mnemonic::Cmovl,
    Mnemonic::Cmovge,
    Mnemonic::Cmovle,
    Mnemonic::Cmovg,
];

fn conditions(s: &mut Sweep) {
    for code in 0..16 {
        let (set, cmov) = (SETS[code as usize], CMOVS[code as usize]);
        for to in numbers() {
            ask!(s, setcc(code, to), set, [Want::Reg(g(0, to))]);
            for size in [2, 3] {
                let mems = if code == 0 { mems() } else { few_mems() };
                for &from in &rms(mems) {
                    let to_reg = Want::Reg(g(size, to));
                    ask!(s, cmov(code, size, to, from), cmov, [to_reg, grm(size, from)]);
                }
            }
        }
    }
}

/// A byte register above `bl` needs a prefix or it is another register: worth a case of its own.
#[test]
fn byte_registers() {
    let s = &mut Sweep::new();
    let sil = Rm::Reg(6);
    ask!(s, movx(MovKind::U8, 0, sil), Mnemonic::Movzx, [Want::Reg(g(2, 0)), grm(0, sil)]);
    assert_eq!(s.asm.code, [0x40, 0x0f, 0xb6, 0xc6]);
    // The register of the address is no byte register.
    let mem = Mem::base(6, 0);
    ask!(s, store(MovKind::U8, mem, 1), Mnemonic::Mov, [Want::Mem(mem, 1), Want::Reg(g(0, 1))]);
    assert_eq!(s.asm.code, [0x88, 0x0e]);
}
