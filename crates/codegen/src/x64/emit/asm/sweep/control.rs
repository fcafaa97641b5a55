//! Jumps, calls, traps, and what stands behind the code.

use super::moves::JUMPS;
use super::{Mem, Sweep, Want, ask, g, mems, numbers};
use crate::Error;
use crate::x64::emit::asm::{Asm, CONSTANT_PROBES, MAX_CODE};
use iced_x86::{Decoder, DecoderOptions, Mnemonic};
use runwell_abi::TrapCode;

pub(super) fn sweep(s: &mut Sweep) {
    ask!(s, ret(), Mnemonic::Ret, []);
    ask!(s, trap(TrapCode::Unreachable), Mnemonic::Ud2, []);
    for reg in numbers() {
        ask!(s, jmp_r(reg), Mnemonic::Jmp, [Want::Reg(g(3, reg))]);
    }
    for mem in mems() {
        ask!(s, jmp_m(mem), Mnemonic::Jmp, [Want::Mem(mem, 8)]);
        ask!(s, call_m(mem), Mnemonic::Call, [Want::Mem(mem, 8)]);
    }
    for function in [0, 1, 77, u32::MAX] {
        // The distance is zero until linking.
        ask!(s, call_function(function), Mnemonic::Call, [Want::To(5)]);
        assert_eq!(s.asm.relocs, [(1, function)]);
        ask!(s, jmp_function(function), Mnemonic::Jmp, [Want::To(5)]);
        assert_eq!(s.asm.relocs, [(1, function)]);
    }
    jumps(s);
    skips(s);
}

/// A jump over or behind `gap` bytes, decoded at its place.
fn jump(s: &mut Sweep, forward: bool, gap: usize, cc: Option<u32>) {
    let asm = &mut s.asm;
    asm.clear();
    let target = asm.label();
    if !forward {
        asm.bind(target);
        asm.bytes(&vec![0x90; gap]);
    }
    let start = asm.code.len();
    match cc {
        None => asm.jmp(target),
        Some(code) => asm.jcc(code, target),
    }
    if forward {
        asm.bytes(&vec![0x90; gap]);
        asm.bind(target);
    }
    let bound = asm.offset();
    let done = asm.finish().expect("finishes");
    let mut decoder = Decoder::with_ip(64, &done.code[start..], start as u64, DecoderOptions::NONE);
    let inst = decoder.decode();
    let mnemonic = cc.map_or(Mnemonic::Jmp, |code| JUMPS[code as usize]);
    let wanted = if forward { u64::from(bound) } else { 0 };
    assert_eq!(inst.mnemonic(), mnemonic, "{inst} over {gap}");
    assert_eq!(inst.near_branch64(), wanted, "{inst} over {gap}");
    assert_eq!(done.code.len(), gap + inst.len());
    // Back over 126 bytes is the longest distance of a byte: 128 with the jump itself.
    let short = gap <= if forward { 127 } else { 126 };
    let long = if cc.is_some() { 6 } else { 5 };
    assert_eq!(inst.len(), if short { 2 } else { long }, "{inst} over {gap}");
    s.seen.insert(if cc.is_some() { "jcc" } else { "jmp" });
    s.cases += 1;
}

fn jumps(s: &mut Sweep) {
    for forward in [false, true] {
        for gap in (0..140).chain([1 << 10, 1 << 16, 1 << 20]) {
            jump(s, forward, gap, None);
            for code in 0..16 {
                jump(s, forward, gap, Some(code));
            }
        }
    }
}

/// Short jumps over what comes next.
fn skips(s: &mut Sweep) {
    for gap in 0..128usize {
        for cc in (0..16).map(Some).chain([None]) {
            let asm = &mut s.asm;
            asm.clear();
            let skip = match cc {
                Some(code) => asm.skip_if(code),
                None => asm.skip(),
            };
            asm.bytes(&vec![0x90; gap]);
            asm.land(skip);
            let done = asm.finish().expect("finishes");
            let mut decoder = Decoder::with_ip(64, &done.code, 0, DecoderOptions::NONE);
            let inst = decoder.decode();
            let mnemonic = cc.map_or(Mnemonic::Jmp, |code| JUMPS[code as usize]);
            assert_eq!((inst.mnemonic(), inst.len()), (mnemonic, 2));
            assert_eq!(inst.near_branch64(), 2 + gap as u64, "{inst} over {gap}");
            s.cases += 1;
        }
    }
    s.seen.extend(["skip", "skip_if", "land"]);
}

#[test]
fn jumps_are_patched_when_somebody_asks_for_it() {
    let mut asm = Asm::default();
    let (near, far) = (asm.label(), asm.label());
    asm.jmp(far);
    asm.jmp(near);
    asm.bind(near);
    asm.settle();
    assert_eq!(asm.labels.waiting(), (1, 1));
    asm.jmp(far);
    asm.settle();
    assert_eq!(asm.labels.waiting(), (2, 2));
    asm.ret();
    asm.bind(far);
    asm.settle();
    assert_eq!(asm.labels.waiting(), (2, 2), "what is left over waits for the end");
    asm.trap(TrapCode::Unreachable);
    let done = asm.finish().expect("finishes");
    // What was settled did not become short any more.
    let targets: Vec<(usize, u64)> =
        Decoder::with_ip(64, &done.code[..12], 0, DecoderOptions::NONE)
            .iter()
            .map(|inst| (inst.len(), inst.near_branch64()))
            .collect();
    assert_eq!(targets, [(5, 13), (2, 7), (5, 13)]);
    asm.clear();
    let nowhere = asm.label();
    asm.jmp(nowhere);
    assert!(matches!(asm.finish(), Err(Error::Bug(_))));
}

/// What is noted of code that moves, moves with it: random jumps, traps, calls, source positions and tables,
/// against what the decoder finds.
#[test]
fn what_is_behind_a_jump_that_becomes_short_moves() {
    let mut seed = 1u64;
    let mut random = |below: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % below
    };
    let (mut short, mut long) = (0, 0);
    for round in 0..3000 {
        let mut asm = Asm::default();
        let labels: Vec<_> = (0..40).map(|_| asm.label()).collect();
        // What was written, each with a number that the decoder can see, and where it should lead.
        let mut jumps = Vec::new();
        let (mut order, mut traps, mut calls) = (Vec::new(), Vec::new(), Vec::new());
        let mut next = 0;
        let mut number = 0u32;
        while next < labels.len() {
            match random(if round % 3 == 0 { 6 } else { 12 }) {
                0 | 1 => {
                    asm.bind(labels[next]);
                    next += 1;
                    // A label is known by the instruction behind it.
                    number += 1;
                    asm.mov_ri(0, u64::from(number));
                    order.push(number);
                }
                2 | 3 => {
                    let to = random(labels.len() as u64) as usize;
                    match random(3) {
                        0 => asm.jmp(labels[to]),
                        _ => asm.jcc(random(16) as u32, labels[to]),
                    }
                    jumps.push(to);
                }
                4 => {
                    number += 1;
                    asm.at_src(number);
                    asm.may_trap(TrapCode::MemoryOutOfBounds);
                    asm.mov_ri(1, u64::from(number));
                    traps.push(number);
                }
                5 => {
                    number += 1;
                    asm.call_function(number);
                    calls.push(number);
                }
                6 if random(50) == 0 => asm.settle(),
                7 if random(50) == 0 => asm.align_code(64),
                8 => {
                    let skip = asm.skip_if(random(16) as u32);
                    asm.ret();
                    asm.land(skip);
                }
                _ => asm.falu(0, 2, 3, super::Rm::Reg(4)),
            }
        }
        let table = asm.jump_table(&labels);
        asm.lea(3, 11, table);
        let done = asm.finish().expect("finishes");
        let code = &done.code[..done.code_bytes as usize];
        let insts: Vec<_> = Decoder::with_ip(64, code, 0, DecoderOptions::NONE).iter().collect();
        // The number that is loaded at an offset.
        let at = |offset: u64| {
            let inst = insts.iter().find(|inst| inst.ip() == offset).expect("an instruction");
            assert_eq!(inst.mnemonic(), Mnemonic::Mov, "{inst}");
            inst.immediate32()
        };
        let mut wanted = jumps.iter();
        for inst in insts.iter().filter(|inst| inst.op0_kind() == iced_x86::OpKind::NearBranch64) {
            if inst.mnemonic() == Mnemonic::Call {
                continue;
            }
            let target = inst.near_branch64();
            if target == inst.next_ip() + 1 && code[inst.next_ip() as usize] == 0xc3 {
                continue;
            }
            let &to = wanted.next().expect("no more jumps than were written");
            assert_eq!(at(target), order[to]);
            if inst.len() == 2 { short += 1 } else { long += 1 }
        }
        assert!(wanted.next().is_none());
        let found: Vec<u32> = done.traps.iter().map(|&(offset, _)| at(offset.into())).collect();
        assert_eq!(found, traps);
        let sources: Vec<u32> = done.srclocs.iter().map(|&(offset, _)| at(offset.into())).collect();
        assert_eq!(sources, done.srclocs.iter().map(|&(_, src)| src).collect::<Vec<_>>());
        assert_eq!(sources, traps);
        let called: Vec<u32> = done.relocs.iter().map(|&(_, callee)| callee).collect();
        assert_eq!(called, calls);
        for &(field, _) in &done.relocs {
            let call = insts.iter().find(|inst| inst.ip() == u64::from(field) - 1);
            assert_eq!(call.map(|inst| inst.mnemonic()), Some(Mnemonic::Call));
        }
        let start = done.code.len() - 4 * labels.len();
        for (entry, &number) in done.code[start..].chunks(4).zip(&order) {
            let distance = i32::from_le_bytes(entry.try_into().expect("four bytes"));
            assert_eq!(at((start as i64 + i64::from(distance)) as u64), number);
        }
    }
    assert!(short > 10_000 && long > 10_000, "{short} short, {long} long");
}

#[test]
fn traps_are_recorded_where_they_are() {
    let mut asm = Asm::default();
    asm.ret();
    asm.trap(TrapCode::Unreachable);
    asm.may_trap(TrapCode::MemoryOutOfBounds);
    asm.mov_rr(3, 0, 1);
    let done = asm.finish().expect("finishes");
    assert_eq!(done.traps, [(1, TrapCode::Unreachable), (3, TrapCode::MemoryOutOfBounds)]);
    assert_eq!((done.code_bytes, done.code.len()), (6, 6));
}

#[test]
fn tables_hold_distances_from_their_start() {
    let mut asm = Asm::default();
    let labels: Vec<_> = (0..3).map(|_| asm.label()).collect();
    let first = asm.jump_table(&[labels[2], labels[0], labels[1], labels[2]]);
    let second = asm.jump_table(&[labels[1]]);
    for &label in &labels {
        asm.bind(label);
        asm.bytes(&[0x90; 7]);
    }
    for table in [first, second] {
        asm.lea(3, 11, table);
    }
    let done = asm.finish().expect("finishes");
    let bytes = &done.code[21..done.code_bytes as usize];
    let tables: Vec<u64> = Decoder::with_ip(64, bytes, 21, DecoderOptions::NONE)
        .iter()
        .map(|inst| {
            assert_eq!(inst.mnemonic(), Mnemonic::Lea);
            inst.ip_rel_memory_address()
        })
        .collect();
    let targets = |table: u64, entries: u64| -> Vec<i64> {
        (0..entries)
            .map(|entry| {
                let at = (table + 4 * entry) as usize;
                let field = done.code[at..at + 4].try_into().expect("four bytes");
                table as i64 + i64::from(i32::from_le_bytes(field))
            })
            .collect()
    };
    assert_eq!(tables.len(), 2);
    assert!(tables.iter().all(|&table| table % 4 == 0 && table >= u64::from(done.code_bytes)));
    assert_eq!(targets(tables[0], 4), [14, 0, 7, 14]);
    assert_eq!(targets(tables[1], 1), [7]);
}

/// Equal constants share a place as long as they are near, each is aligned to its size.
#[test]
fn constants_are_shared_and_aligned() {
    let mut asm = Asm::default();
    let sizes = [4, 16, 8];
    let mut wanted = Vec::new();
    for number in 0..60u32 {
        let bytes = sizes[number as usize % 3];
        let bits = u128::from(number / 2 * 2) + 1;
        let mem = asm.constant(bits, bytes);
        assert_eq!(asm.constant(bits, bytes), mem, "the same constant twice");
        wanted.push((bits, bytes));
        asm.movx(crate::x64::inst::MovKind::F64, 3, super::Rm::Mem(mem));
    }
    assert_eq!(asm.constants.len(), 60, "a constant of another size is another one");
    let late = asm.constant(wanted[0].0, wanted[0].1);
    assert_eq!(asm.constants.len(), 61, "only {CONSTANT_PROBES} are looked at");
    assert_eq!((late.base, late.index, late.disp), (None, None, 0));
    let done = asm.finish().expect("finishes");
    let code = &done.code[..done.code_bytes as usize];
    let decoded: Vec<u64> = Decoder::with_ip(64, code, 0, DecoderOptions::NONE)
        .iter()
        .map(|inst| inst.ip_rel_memory_address())
        .collect();
    assert_eq!(decoded.len(), wanted.len());
    for (&at, &(bits, bytes)) in decoded.iter().zip(&wanted) {
        let (at, bytes) = (at as usize, bytes as usize);
        assert_eq!(at % bytes, 0);
        assert_eq!(done.code[at..at + bytes], bits.to_le_bytes()[..bytes]);
    }
}

#[test]
fn refuses_what_it_cannot_patch() {
    let mut asm = Asm::default();
    let nowhere = asm.label();
    asm.jmp(nowhere);
    assert!(matches!(asm.finish(), Err(Error::Bug(_))));
    asm.clear();
    asm.code.resize(MAX_CODE + 1, 0x90);
    assert!(matches!(asm.finish(), Err(Error::Limit(_))));
}

/// A cleared assembler has forgotten everything.
#[test]
fn clear_starts_anew() {
    let encode = |asm: &mut Asm| {
        let (before, after) = (asm.label(), asm.label());
        asm.bind(before);
        asm.call_function(3);
        asm.jcc(4, after);
        let table = asm.jump_table(&[before, after]);
        asm.lea(3, 0, table);
        let constant = asm.constant(5, 8);
        asm.movx(crate::x64::inst::MovKind::Q, 0, super::Rm::Mem(constant));
        asm.store_i(crate::x64::inst::MovKind::L, Mem::base(0, 0), 1);
        asm.bind(after);
        asm.trap(TrapCode::Unreachable);
        asm.finish().expect("finishes")
    };
    let mut asm = Asm::default();
    let first = encode(&mut asm);
    asm.clear();
    assert_eq!(encode(&mut asm), first);
}
