//! Moves, stores, addresses.

use super::Class::{Fixed, Float, Int, Spill, Tied};
use super::{Form, Loc, SLOTS, Sweep, decode, form, from_mem, mem};
use crate::vcode::PReg;
use crate::x64::inst::{Aux, MOp, MovKind, Src};
use iced_x86::Register;

pub(super) fn sweep(s: &mut Sweep) {
    constants(s);
    loads(s);
    stores(s);
    addresses(s);
    let (single, double) = (Aux::sized(2), Aux::sized(3));
    s.check(&form(MOp::MovToF, single, 0, &[Float, Int]), |_| true, &["movd {0x}, {1d}", "ret"]);
    s.check(&form(MOp::MovToF, double, 0, &[Float, Int]), |_| true, &["movq {0x}, {1q}", "ret"]);
    s.check(&form(MOp::MovFromF, single, 0, &[Int, Float]), |_| true, &["movd {0d}, {1x}", "ret"]);
    s.check(&form(MOp::MovFromF, double, 0, &[Int, Float]), |_| true, &["movq {0q}, {1x}", "ret"]);
    s.check(&form(MOp::FZero, single, 0, &[Float]), |_| true, &["xorps {0x}, {0x}", "ret"]);
    // Arguments are in place, whatever they are.
    s.check(&form(MOp::Args, single, 0, &[Fixed(7), Float]), |_| true, &["ret"]);
}

fn constants(s: &mut Sweep) {
    for (bits, text) in [
        (0u64, "xor {0d}, {0d}"),
        (1, "mov {0d}, 1"),
        (0xffff_ffff, "mov {0d}, 0xffffffff"),
        (0x1_2345_6789, "mov {0q}, 0x123456789"),
        (u64::MAX - 1, "mov {0q}, -2"),
        (0x8000_0000_0000_0001, "mov {0q}, 0x8000000000000001"),
    ] {
        let text =
            text.replace("0xffffffff", "-1").replace("0x8000000000000001", "-0x7fffffffffffffff");
        let mut form = form(MOp::MovImm, Aux::default(), bits as u32 as i32, &[Int]);
        form.disp = (bits >> 32) as u32 as i32;
        s.check(&form, |_| true, &[&text, "ret"]);
    }
}

fn kind(kind: MovKind) -> Aux {
    Aux::default().with_kind(kind as u32)
}

fn loads(s: &mut Sweep) {
    for (mov, register, memory) in [
        (MovKind::U8, "movzx {0d}, {1b}", "movzx {0d}, byte ptr [{m}]"),
        (MovKind::S8, "movsx {0d}, {1b}", "movsx {0d}, byte ptr [{m}]"),
        (MovKind::S8Q, "movsx {0q}, {1b}", "movsx {0q}, byte ptr [{m}]"),
        (MovKind::U16, "movzx {0d}, {1w}", "movzx {0d}, word ptr [{m}]"),
        (MovKind::S16, "movsx {0d}, {1w}", "movsx {0d}, word ptr [{m}]"),
        (MovKind::S16Q, "movsx {0q}, {1w}", "movsx {0q}, word ptr [{m}]"),
        (MovKind::L, "mov {0d}, {1d}", "mov {0d}, [{m}]"),
        (MovKind::S32Q, "movsxd {0q}, {1d}", "movsxd {0q}, [{m}]"),
        (MovKind::Q, "mov {0q}, {1q}", "mov {0q}, [{m}]"),
        (MovKind::F32, "movaps {0x}, {1x}", "movss {0x}, [{m}]"),
        (MovKind::F64, "movaps {0x}, {1x}", "movsd {0x}, [{m}]"),
        (MovKind::V128, "movaps {0x}, {1x}", "movups {0x}, [{m}]"),
    ] {
        let class = if mov as u32 >= MovKind::F32 as u32 { Float } else { Int };
        let forms = form(MOp::MovX, kind(mov), 0, &[class, class]);
        s.check(&forms, |r| r[0] != r[1], &[register, "ret"]);
        // Into itself: nothing to do where nothing is cut off or extended.
        if class == Float || mov == MovKind::Q {
            s.check(&forms, |r| r[0] == r[1], &["ret"]);
        } else {
            s.check(&forms, |r| r[0] == r[1], &[register, "ret"]);
        }
        let memory_form = form(MOp::MovX, from_mem(kind(mov)), 0, &[class, Int]);
        s.check(&memory_form, |_| true, &[&memory.replace("{m}", "{1q}+0x10"), "ret"]);
        for slot in 0..3 {
            let spilled = form(MOp::MovX, kind(mov), 0, &[class, Spill(slot)]);
            s.check(&spilled, |_| true, &[&memory.replace("{m}", "{1m}"), "ret"]);
        }
    }
}

fn stores(s: &mut Sweep) {
    for (mov, value, immediate) in [
        (MovKind::U8, "mov [{1q}+0x10], {0b}", Some("mov byte ptr [{0q}+0x10], -7")),
        (MovKind::U16, "mov [{1q}+0x10], {0w}", Some("mov word ptr [{0q}+0x10], -7")),
        (MovKind::L, "mov [{1q}+0x10], {0d}", Some("mov dword ptr [{0q}+0x10], -7")),
        (MovKind::Q, "mov [{1q}+0x10], {0q}", Some("mov qword ptr [{0q}+0x10], -7")),
        (MovKind::F32, "movss [{1q}+0x10], {0x}", None),
        (MovKind::F64, "movsd [{1q}+0x10], {0x}", None),
        (MovKind::V128, "movups [{1q}+0x10], {0x}", None),
    ] {
        let class = if immediate.is_none() { Float } else { Int };
        s.check(&form(MOp::Store, mem(kind(mov)), 0, &[class, Int]), |_| true, &[value, "ret"]);
        if let Some(text) = immediate {
            let aux = mem(kind(mov).from(Src::Imm));
            s.check(&form(MOp::Store, aux, -7, &[Int]), |_| true, &[text, "ret"]);
        }
    }
    for (mov, store, high, least, rest) in [
        (
            MovKind::F32,
            "movss [{1q}+0x10], {0x}",
            "[{1q}+0x10]",
            "cmp r11d, -0x800000",
            &["mov dword ptr [{1q}+0x10], 0x7fc00000"][..],
        ),
        (
            MovKind::F64,
            "movsd [{1q}+0x10], {0x}",
            "[{1q}+0x14]",
            "cmp r11d, -0x100000",
            &["mov dword ptr [{1q}+0x10], 0", "mov dword ptr [{1q}+0x14], 0x7ff80000"],
        ),
    ] {
        let (load, rotate) = (format!("mov r11d, {high}"), format!("rorx r11d, {high}, 0x1f"));
        let ways = [
            (0, &[&load[..], "add r11d, r11d"][..], "jae @6", "jmp @5"),
            (31, &[&rotate[..]], "jae @5", "jmp @4"),
        ];
        for (imm, look, rare, back) in ways {
            let mut want = vec![store];
            want.extend(look);
            want.extend([least, rare, "ret"]);
            want.extend(rest);
            want.push(back);
            s.check(&form(MOp::StoreCanon, mem(kind(mov)), imm, &[Float, Int]), |_| true, &want);
        }
    }
    // Tied operands share a register.
    s.check(
        &form(MOp::MovX, kind(MovKind::L), 0, &[Int, Tied]),
        |_| true,
        &["mov {0d}, {0d}", "ret"],
    );
}

/// Each kind of base with and without index, each factor.
fn addresses(s: &mut Sweep) {
    const BASES: [(u32, Register); 5] = [
        (0, Register::None),
        (1, Register::RBX),
        (2, Register::R14),
        (3, Register::R15),
        (7, Register::RSP),
    ];
    for (base, wanted) in BASES {
        for index in [false, true] {
            for scale in 0..4 {
                for disp in [0, 1, -128, 128, i32::MAX, i32::MIN] {
                    // Frame slots have a number instead, and no index.
                    if base == 7 && (index || !(0..2).contains(&disp)) {
                        continue;
                    }
                    let mut aux = Aux::sized(3).with_base(base);
                    let mut locs = vec![Loc::reg(PReg::int(8))];
                    if base == 1 {
                        locs.push(Loc::reg(PReg::int(3)));
                    }
                    if index {
                        aux = aux.with_index(1).with_scale(scale);
                        locs.push(Loc::reg(PReg::int(12)));
                    }
                    let form = Form { disp, ..form(MOp::Lea, aux, 0, &[]) };
                    let compiled = s.emit(&form, &locs);
                    let inst = decode(&compiled)[0];
                    assert_eq!(inst.op0_register(), Register::R8, "{inst}");
                    assert_eq!(inst.memory_base(), wanted, "{inst}");
                    let at = if base == 7 { SLOTS[disp as usize] as i32 } else { disp };
                    assert_eq!(inst.memory_displacement64() as i64, i64::from(at), "{inst}");
                    let registers = (inst.memory_index(), inst.memory_index_scale());
                    let wanted =
                        if index { (Register::R12, 1 << scale) } else { (Register::None, 1) };
                    assert_eq!(registers, wanted, "{inst}");
                }
            }
        }
    }
    // Constants: of 4 and 8 bytes, and 8 bytes twice.
    let (low, high) = (0x1122_3344, 0x5566_7788);
    for (base, mov, text) in [
        (4, MovKind::F32, "movss {0x}, [0x11223344]"),
        (5, MovKind::F64, "movsd {0x}, [0x5566778811223344]"),
        (6, MovKind::V128, "movups {0x}, [0x55667788112233445566778811223344]"),
    ] {
        let aux = kind(mov).from(Src::Mem).with_base(base);
        let form = Form { disp: high, ..form(MOp::MovX, aux, low, &[Float]) };
        s.check(&form, |_| true, &[text, "ret"]);
    }
    traps(s);
}

/// Accesses that may trap are recorded where they are, others are not.
fn traps(s: &mut Sweep) {
    use runwell_abi::TrapCode::MemoryOutOfBounds;
    let sized = Aux::sized(2);
    for (op, aux, count) in [
        (MOp::MovX, from_mem(kind(MovKind::L)), 2),
        (MOp::Store, mem(kind(MovKind::L)), 2),
        (MOp::Store, mem(kind(MovKind::L).from(Src::Imm)), 1),
        (MOp::Alu, from_mem(sized), 3),
        (MOp::AluMem, mem(sized), 2),
        (MOp::Cmp, from_mem(sized), 2),
        (MOp::CmpMem, mem(sized), 2),
        (MOp::TestMem, mem(sized), 1),
        (MOp::Imul, from_mem(sized), 3),
        (MOp::Cmov, from_mem(sized), 3),
        (MOp::CvtInt, from_mem(sized.with_kind(2)), 2),
    ] {
        let locs = vec![Loc::reg(PReg::int(3)); count];
        for traps in [0, 1] {
            let form = form(op, aux.with_traps(traps), 77, &[]);
            let compiled = s.emit(&form, &locs);
            let insts = decode(&compiled);
            let access = insts.iter().find(|inst| inst.memory_base() == Register::RBX);
            let at = access.expect("an access").ip() as u32;
            let wanted = if traps == 1 { vec![(at, MemoryOutOfBounds)] } else { Vec::new() };
            assert_eq!(compiled.traps, wanted, "{form:?}");
        }
    }
}
