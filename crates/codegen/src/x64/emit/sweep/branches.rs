//! Conditions and branches, run for every state of the flags.

use super::run::{Flags, Machine};
use super::{INTS, Loc, Sweep, assignments, form, from_mem, locs};
use crate::regalloc::{Allocation, Move};
use crate::vcode::{PReg, VBlock, VCode, VEdge, VInst};
use crate::x64::emit::sweep::Class::{Float, Int, Tied};
use crate::x64::inst::{Aux, MOp, cc};
use iced_x86::{Decoder, DecoderOptions, Mnemonic};
use runwell_abi::TrapCode;
use runwell_ir::{Block, Function};

pub(super) fn sweep(s: &mut Sweep) {
    values(s);
    traps(s);
    two_ways(s);
    one_way(s);
    for entries in [&[0, 1][..], &[0, 1, 2], &[1, 0, 1, 2, 0], &[2, 2, 0, 1]] {
        switches(s, MOp::Switch, entries);
        switches(s, MOp::TableAddr, entries);
    }
}

/// What a condition of this number means.
fn holds(code: u32, flags: Flags) -> bool {
    let Flags { carry, parity, zero, sign, overflow } = flags;
    let truth = match code & !1 {
        cc::O => overflow,
        cc::B => carry,
        cc::E => zero,
        cc::BE => carry || zero,
        cc::S => sign,
        cc::P => parity,
        cc::L => sign != overflow,
        cc::LE => zero || sign != overflow,
        // Equal and ordered: an unordered comparison sets all of zero, parity and carry.
        cc::FEQ => zero && !parity,
        _ => panic!("condition {code}"),
    };
    // Odd numbers are the opposites.
    truth != (code & 1 == 1)
}

#[test]
fn conditions_have_their_meaning() {
    for flags in Flags::all() {
        for (code, opposite) in [
            (cc::AE, cc::B),
            (cc::NE, cc::E),
            (cc::A, cc::BE),
            (cc::NS, cc::S),
            (cc::NP, cc::P),
            (cc::GE, cc::L),
            (cc::G, cc::LE),
            (cc::FNE, cc::FEQ),
        ] {
            assert_eq!(holds(code, flags), !holds(opposite, flags));
            assert_eq!((cc::invert(code), cc::invert(opposite)), (opposite, code));
        }
    }
}

/// Values that depend on a condition.
fn values(s: &mut Sweep) {
    for code in 0..18 {
        for &def in &INTS {
            let set = form(MOp::SetCc, Aux::default().with_cc(code), 0, &[]);
            let compiled = s.emit(&set, &[Loc::reg(PReg::int(def))]);
            for flags in Flags::all() {
                let mut machine = Machine::new(flags);
                machine.run(&compiled);
                let wanted = u64::from(holds(code, flags));
                assert_eq!(machine.ints[usize::from(def)], wanted, "{code} {flags:?}");
            }
        }
        let select = form(MOp::FSelect, Aux::default().with_cc(code), 0, &[Float, Tied, Float]);
        for numbers in assignments(&select.operands) {
            let compiled = s.emit(&select, &locs(&select.operands, &numbers));
            let [def, other] = [numbers[0], numbers[2]].map(usize::from);
            for flags in Flags::all() {
                let mut machine = Machine::new(flags);
                let mut wanted = machine.floats;
                wanted[def] = wanted[if holds(code, flags) { def } else { other }];
                machine.run(&compiled);
                assert_eq!(machine.floats, wanted, "{code} {flags:?} {numbers:?}");
            }
        }
        // Equal and ordered takes its other operand under the opposite condition.
        if code == cc::FEQ {
            continue;
        }
        for size in [2, 3] {
            let aux = Aux::sized(size).with_cc(code);
            let select = form(MOp::Cmov, aux, 0, &[Int, Tied, Int]);
            for numbers in assignments(&select.operands) {
                let compiled = s.emit(&select, &locs(&select.operands, &numbers));
                let [def, other] = [numbers[0], numbers[2]].map(usize::from);
                for flags in Flags::all() {
                    let mut machine = Machine::new(flags);
                    let mut wanted = machine.ints;
                    let value = wanted[if holds(code, flags) { other } else { def }];
                    wanted[def] = if size == 2 { value & 0xffff_ffff } else { value };
                    machine.run(&compiled);
                    assert_eq!(machine.ints, wanted, "{code} {flags:?} {numbers:?}");
                }
            }
        }
    }
    let memory = form(MOp::Cmov, from_mem(Aux::sized(3).with_cc(cc::G)), 0, &[Int, Tied, Int]);
    s.check(&memory, |_| true, &["cmovg {0q}, [{2q}+0x10]", "ret"]);
    let memory = form(MOp::Cmov, from_mem(Aux::sized(2).with_cc(cc::FNE)), 0, &[Int, Tied, Int]);
    let want = ["cmovne {0d}, [{2q}+0x10]", "cmovp {0d}, [{2q}+0x10]", "ret"];
    s.check(&memory, |r| r[0] != r[2], &want);
}

fn traps(s: &mut Sweep) {
    for code in 0..18 {
        for trap in TrapCode::ALL {
            let aux = Aux::default().with_cc(code).with_kind(trap as u32);
            let compiled = s.emit(&form(MOp::TrapCc, aux, 0, &[]), &[]);
            assert_eq!(compiled.traps.len(), 1);
            for flags in Flags::all() {
                let (at, end) = Machine::new(flags).run(&compiled);
                assert_eq!(end == Mnemonic::Ud2, holds(code, flags), "{code} {flags:?}");
                assert!(end == Mnemonic::Ret || compiled.traps == [(at, trap)]);
            }
        }
    }
}

/// A block with edges to blocks 1, 2 and so on, each of which ends with its own instruction.
struct Scene {
    code: VCode,
    allocation: Allocation,
    func: Function,
}

impl Scene {
    /// `moves(n)` are those of edge n, a permutation of registers.
    fn new(targets: &[u32], moves: impl Fn(usize) -> Vec<Move>) -> Scene {
        let mut code = VCode::default();
        let mut allocation = Allocation::default();
        let blocks = targets.iter().max().map_or(1, |max| *max as usize + 1);
        code.blocks.resize(blocks, VBlock::default());
        code.blocks[0].edges_end = targets.len() as u32;
        for (edge, &target) in targets.iter().enumerate() {
            code.edges.push(VEdge { target: Block(target), first: 0, end: 0 });
            let first = allocation.edge_moves.len() as u32;
            allocation.edge_moves.extend(moves(edge));
            allocation.edges.push((first, allocation.edge_moves.len() as u32));
        }
        Scene { code, allocation, func: Function::default() }
    }

    /// Emits `insts` as block 0, then the others in this order; returns the code and where each
    /// block is.
    fn emit(
        &self,
        s: &mut Sweep,
        insts: &[VInst],
        order: &[u32],
    ) -> (crate::CompiledFunction, Vec<u32>) {
        for inst in insts {
            s.seen.insert(inst.op);
        }
        s.cases += 1;
        let mut starts = vec![0; self.code.blocks.len()];
        let parts = (&self.code, &self.allocation, &self.func);
        let compiled = s.emit_parts(parts, |emit| {
            emit.next = order.first().map(|&block| Block(block));
            for inst in insts {
                emit.inst(Block(0), inst);
            }
            emit.next = None;
            for &block in order {
                let label = emit.mem.block_labels[block as usize];
                emit.asm().bind(label);
                emit.asm().ret();
            }
        });
        // What comes behind the blocks may have moved them.
        let code = &compiled.code[..compiled.code_bytes as usize];
        let rets = Decoder::with_ip(64, code, 0, DecoderOptions::NONE)
            .into_iter()
            .filter(|inst| inst.mnemonic() == Mnemonic::Ret);
        for (&block, ret) in order.iter().zip(rets) {
            starts[block as usize] = ret.ip() as u32;
        }
        (compiled, starts)
    }
}

fn inst(op: MOp, aux: Aux, imm: i32, operands: u8) -> VInst {
    VInst { op: op as u16, operands, clobbers: 0, first: 0, aux: aux.0, imm, disp: 0, src: 0 }
}

fn copy(to: u8, from: u8) -> Move {
    let reg = |number| Loc::reg(PReg::int(number));
    Move { from: reg(from), to: reg(to), bytes: 8, swap: false }
}

fn swap(a: u8, b: u8) -> Move {
    Move { swap: true, ..copy(a, b) }
}

/// What moves do to registers.
fn moved(mut ints: [u64; 16], moves: &[Move]) -> [u64; 16] {
    for mv in moves {
        let number = |loc: Loc| usize::from(loc.as_reg().expect("a register").hw());
        let (to, from) = (number(mv.to), number(mv.from));
        if mv.swap {
            ints.swap(to, from);
        } else {
            ints[to] = ints[from];
        }
    }
    ints
}

/// Conditional branches: every condition, with and without moves on each edge, to cold and usual
/// blocks, one of which may follow.
fn two_ways(s: &mut Sweep) {
    let moves = [vec![copy(3, 5), swap(0, 8)], vec![copy(8, 3), copy(12, 0)]];
    for shape in 0..16u32 {
        for targets in [[1, 2], [1, 1]] {
            for order in [&[1, 2][..], &[2, 1]] {
                let some = |edge: usize| {
                    if shape >> edge & 1 != 0 { moves[edge].clone() } else { Vec::new() }
                };
                let mut scene = Scene::new(&targets, some);
                scene.code.blocks.resize(3, VBlock::default());
                scene.code.blocks[1].cold = shape & 4 != 0;
                scene.code.blocks[2].cold = shape & 8 != 0;
                for code in 0..18 {
                    let branch = inst(MOp::Jcc, Aux::default().with_cc(code), 0, 0);
                    let (compiled, starts) = scene.emit(s, &[branch], order);
                    for flags in Flags::all() {
                        let edge = usize::from(!holds(code, flags));
                        let mut machine = Machine::new(flags);
                        let wanted = moved(machine.ints, &some(edge));
                        let (end, _) = machine.run(&compiled);
                        assert_eq!(end, starts[targets[edge] as usize], "{code} {flags:?}");
                        assert_eq!(machine.ints, wanted, "{code} {flags:?}");
                    }
                }
            }
        }
    }
}

fn one_way(s: &mut Sweep) {
    for moves in [vec![], vec![swap(1, 2), copy(9, 1)]] {
        for which in 0..2 {
            let mut scene = Scene::new(&[1, 2], |_| moves.clone());
            scene.code.blocks.resize(3, VBlock::default());
            for order in [&[1, 2][..], &[2, 1]] {
                let jump = inst(MOp::Jmp, Aux::default(), which, 0);
                let (compiled, starts) = scene.emit(s, &[jump], order);
                let flags = Flags::all().next().expect("flags");
                let mut machine = Machine::new(flags);
                let wanted = moved(machine.ints, &moves);
                let (end, _) = machine.run(&compiled);
                assert_eq!(end, starts[1 + which as usize]);
                assert_eq!(machine.ints, wanted);
            }
        }
    }
}

/// Branches by a table, as comparisons or through a table of addresses: `entries` are edges, the
/// last one is for all other values.
fn switches(s: &mut Sweep, op: MOp, entries: &[u32]) {
    let edges = entries.iter().max().map_or(0, |max| max + 1);
    let targets: Vec<u32> = (1..=edges).collect();
    let list: Vec<String> = targets.iter().map(|block| format!("b{block}")).collect();
    let numbers: Vec<String> = entries.iter().map(u32::to_string).collect();
    let mut text = format!(
        "func 0 sig0 (i32) -> () {{\nb0:\nv0: i32 = param\nbr_table v0, {} [{}]\n",
        list.join(", "),
        numbers.join(" ")
    );
    for block in &targets {
        text += &format!("b{block}:\nreturn\n");
    }
    let func = runwell_ir::parse::function(&(text + "}")).expect("a function");
    for some_moves in [false, true] {
        // Edge 1 carries moves, one of which changes the index.
        let moves = |edge: usize| {
            if some_moves && edge == 1 { vec![copy(6, 3), swap(6, 7)] } else { Vec::new() }
        };
        let mut scene = Scene::new(&targets, moves);
        scene.func = func.clone();
        let table = func.insts[1];
        let first = (table.b + table.c) as i32 - entries.len() as i32;
        let with = |op, operands| {
            let len = entries.len() as i32;
            VInst { imm: first, disp: len, ..inst(op, Aux::default(), 0, operands) }
        };
        for (def, index) in [(0, 6), (6, 6), (13, 12)] {
            let reg = |number| Loc::reg(PReg::int(number));
            let insts = if op == MOp::Switch {
                scene.allocation.locs = vec![reg(index)];
                vec![with(MOp::Switch, 1)]
            } else {
                scene.allocation.locs = vec![reg(def), reg(index)];
                // The index is read after the address was begun: never the same register.
                if def == index {
                    continue;
                }
                let jump = with(MOp::JmpTable, 1);
                vec![with(MOp::TableAddr, 2), jump]
            };
            let order: Vec<u32> = targets.iter().rev().copied().collect();
            let (compiled, starts) = scene.emit(s, &insts, &order);
            let last = entries.len() as u64 - 1;
            for value in [0, 1, 2, 3, 4, 5, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff] {
                for flags in [Flags::all().next(), Flags::all().last()] {
                    let mut machine = Machine::new(flags.expect("flags"));
                    // What is above the 32 bits of an index does not count.
                    machine.ints[usize::from(index)] = value | 0xdead_beef << 32;
                    let edge = entries[value.min(last) as usize] as usize;
                    let before = machine.ints;
                    let (end, _) = machine.run(&compiled);
                    assert_eq!(end, starts[targets[edge] as usize], "{entries:?} {value}");
                    let wanted = moved(before, &moves(edge));
                    for register in [1, 2, 3, 5, 6, 7, 12] {
                        let got = machine.ints[register];
                        assert!(register == usize::from(def) || got == wanted[register]);
                    }
                }
            }
        }
    }
}
