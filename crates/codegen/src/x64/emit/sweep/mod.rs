//! Every machine operation against an independent decoder.
//!
//! The assembler's own sweep shows that each encoder writes the instruction it is asked for; this one
//! that each machine operation asks for the right ones, with its operands in the right places. What
//! it has to become stands here as text in the decoder's syntax, with places for the operands, and is
//! compared for many assignments of registers. Operations that ask for a condition are run instead:
//! [`run`] follows the decoded code for every state of the flags.
//!
//! [`every_machine_operation_is_swept`] fails when one is added and not swept.

mod between;
mod branches;
mod code;
mod floats;
mod integers;
mod moves;
mod run;

use super::{Emit, Emitter};
use crate::emit::EmitInput;
use crate::env::{MemoryPlan, ModuleEnv};
use crate::lower::Facts;
use crate::regalloc::{Allocation, Loc};
use crate::vcode::{PReg, VBlock, VCode, VInst};
use crate::x64::disasm;
use crate::x64::inst::{Aux, MOp, Src};
use iced_x86::{Decoder, DecoderOptions, Formatter, Instruction, OpKind};
use runwell_abi::target::{Arch, Features, Target};
use runwell_abi::vmctx::{VmctxCounts, VmctxLayout};
use runwell_ir::{Block, Function, Work};
use std::collections::BTreeSet;

/// What a register is called by size: 64, 32, 16, 8 bits.
const NAMES: [[&str; 4]; 16] = [
    ["rax", "eax", "ax", "al"],
    ["rcx", "ecx", "cx", "cl"],
    ["rdx", "edx", "dx", "dl"],
    ["rbx", "ebx", "bx", "bl"],
    ["rsp", "esp", "sp", "spl"],
    ["rbp", "ebp", "bp", "bpl"],
    ["rsi", "esi", "si", "sil"],
    ["rdi", "edi", "di", "dil"],
    ["r8", "r8d", "r8w", "r8b"],
    ["r9", "r9d", "r9w", "r9b"],
    ["r10", "r10d", "r10w", "r10b"],
    ["r11", "r11d", "r11w", "r11b"],
    ["r12", "r12d", "r12w", "r12b"],
    ["r13", "r13d", "r13w", "r13b"],
    ["r14", "r14d", "r14w", "r14b"],
    ["r15", "r15d", "r15w", "r15b"],
];
/// The registers that operands are given: all that are ever allocated.
const INTS: [u8; 12] = [0, 1, 2, 3, 5, 6, 7, 8, 9, 10, 12, 13];
/// Offsets of the spill slots in the frame of these tests, also spelt out in [`fill`].
const SPILLS: [u32; 3] = [0x8, 0x18, 0x200];
/// Offset of the homes.
const HOMES: u32 = 0x100;
/// Offset of frame slot 1; the one of slot 0 is 0x40.
const SLOTS: [u32; 2] = [0x40, 0x90];

/// The place of one operand.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
enum Class {
    /// Any general-purpose register.
    Int,
    /// Any vector register.
    Float,
    /// The register of operand 0.
    Tied,
    /// This register.
    Fixed(u8),
    /// This spill slot.
    Spill(u32),
}

/// One form of a machine operation.
#[derive(Clone, Debug)]
struct Form {
    op: MOp,
    aux: Aux,
    imm: i32,
    disp: i32,
    operands: Vec<Class>,
}

/// The form with a memory operand of `[base + 0x10]`, the base being the last operand.
fn mem(aux: Aux) -> Aux {
    aux.with_base(1)
}

/// The aux bits of a source in memory.
fn from_mem(aux: Aux) -> Aux {
    mem(aux.from(Src::Mem))
}

fn form(op: MOp, aux: Aux, imm: i32, operands: &[Class]) -> Form {
    // Only memory operands look at the displacement.
    Form { op, aux, imm, disp: 0x10, operands: operands.to_vec() }
}

fn test_env() -> ModuleEnv {
    let counts = VmctxCounts { memories: 1, types: 4, ..VmctxCounts::default() };
    ModuleEnv {
        target: Target { arch: Arch::X64, features: Features::default() },
        layout: VmctxLayout::new(counts),
        memories: vec![MemoryPlan { memory64: false, guarded: true, min_bytes: 0 }],
        tables: Vec::new(),
        imported_funcs: 0,
        escaped: Vec::new(),
        metered: false,
        raw_nans: false,
        tail_calls_leave: false,
    }
}

/// Emits single operations and remembers which.
struct Sweep {
    emitter: Emitter,
    env: ModuleEnv,
    seen: BTreeSet<u16>,
    cases: u64,
    /// The frame.
    bytes: u32,
    checked: bool,
    excess: u32,
    saved: Vec<(PReg, u32)>,
    context: Option<u32>,
    slot_range: (u32, u32),
    /// Code is short rather than fast.
    dense: bool,
}

impl Sweep {
    fn new() -> Sweep {
        Sweep {
            emitter: Emitter::default(),
            env: test_env(),
            seen: BTreeSet::new(),
            cases: 0,
            bytes: 0,
            checked: false,
            excess: 0,
            saved: Vec::new(),
            context: None,
            slot_range: (0, 0),
            dense: false,
        }
    }

    /// The code of one operation with a `ret` behind it, then its rare paths.
    fn emit(&mut self, form: &Form, locs: &[Loc]) -> crate::CompiledFunction {
        self.seen.insert(form.op as u16);
        self.cases += 1;
        let inst = VInst {
            op: form.op as u16,
            operands: locs.len() as u8,
            clobbers: 0,
            first: 0,
            aux: form.aux.0,
            imm: form.imm,
            disp: form.disp,
            src: 0,
        };
        let code = VCode { blocks: vec![VBlock::default()], ..VCode::default() };
        self.emit_with(&code, locs, |emit| {
            emit.inst(Block(0), &inst);
            emit.asm().ret();
        })
    }

    /// The code that `body` emits, then its rare paths.
    fn emit_with(
        &mut self,
        code: &VCode,
        locs: &[Loc],
        body: impl FnOnce(&mut Emit<'_>),
    ) -> crate::CompiledFunction {
        let allocation = Allocation { locs: locs.to_vec(), ..Allocation::default() };
        self.emit_parts((code, &allocation, &Function::default()), body)
    }

    fn emit_parts(
        &mut self,
        (code, allocation, func): (&VCode, &Allocation, &Function),
        body: impl FnOnce(&mut Emit<'_>),
    ) -> crate::CompiledFunction {
        let input = EmitInput { func, env: &self.env, code, allocation, facts: Facts::default() };
        let emitter = &mut self.emitter;
        emitter.asm.clear();
        emitter.cold.clear();
        emitter.block_labels = code.blocks.iter().map(|_| emitter.asm.label()).collect();
        emitter.edge_labels = vec![None; code.edges.len()];
        let frame = &mut emitter.frame;
        frame.spills = SPILLS.to_vec();
        frame.slots = SLOTS.to_vec();
        frame.homes = HOMES;
        frame.saved.clone_from(&self.saved);
        (frame.bytes, frame.checked) = (self.bytes, self.checked);
        frame.excess = self.excess;
        (frame.context, frame.slot_range) = (self.context, self.slot_range);
        let mut emit = Emit {
            input: &input,
            mem: emitter,
            next: None,
            src: 0,
            read: 0,
            dense_from: if self.dense { 0 } else { u32::MAX },
            zero: None,
        };
        body(&mut emit);
        emit.cold(&mut Work::new());
        emitter.asm.finish().expect("finishes")
    }

    /// Checks a form against its text, for all assignments of registers that `when` lets through.
    ///
    /// In the text, `{0d}` is operand 0 as a register of 32 bits, `q` of 64, `w` of 16, `b` of 8 and
    /// `x` a vector register; `@n` is the nth instruction, where number `ret` ends the usual path.
    fn check(&mut self, form: &Form, when: impl Fn(&[u8]) -> bool, want: &[&str]) {
        let cases = self.cases;
        for numbers in assignments(&form.operands) {
            if !when(&numbers) {
                continue;
            }
            let locs = locs(&form.operands, &numbers);
            let compiled = self.emit(form, &locs);
            let got = listing(&compiled);
            let want: Vec<String> = want.iter().map(|line| fill(line, &numbers)).collect();
            assert_eq!(got, want, "{form:?} with {numbers:?}");
        }
        assert!(self.cases > cases, "no assignment for {form:?}");
    }
}

/// All numbers of registers for operands of these classes.
fn assignments(classes: &[Class]) -> Vec<Vec<u8>> {
    let mut all: Vec<Vec<u8>> = vec![Vec::new()];
    for &class in classes {
        let mut longer = Vec::new();
        for start in all {
            let choices: Vec<u8> = match class {
                Class::Int => INTS.to_vec(),
                Class::Float => (0..15).collect(),
                Class::Tied => vec![start[0]],
                Class::Fixed(number) => vec![number],
                Class::Spill(slot) => vec![slot as u8],
            };
            longer.extend(choices.into_iter().map(|number| {
                let mut numbers = start.clone();
                numbers.push(number);
                numbers
            }));
        }
        all = longer;
    }
    all
}

fn locs(classes: &[Class], numbers: &[u8]) -> Vec<Loc> {
    let float = |at: usize| match classes[at] {
        Class::Tied => classes[0] == Class::Float,
        class => class == Class::Float,
    };
    let place = |(at, &number): (usize, &u8)| match classes[at] {
        Class::Spill(slot) => Loc::slot(slot),
        _ if float(at) => Loc::reg(PReg::float(number)),
        _ => Loc::reg(PReg::int(number)),
    };
    numbers.iter().enumerate().map(place).collect()
}

/// Puts the names of operands into a line.
fn fill(line: &str, numbers: &[u8]) -> String {
    let mut out = String::new();
    let mut rest = line;
    while let Some((before, after)) = rest.split_once('{') {
        let (place, after) = after.split_once('}').expect("a closing brace");
        let (at, size) = place.split_at(place.len() - 1);
        let number = numbers[at.parse::<usize>().expect("a number")];
        out.push_str(before);
        match size {
            "x" => out.push_str(&format!("xmm{number}")),
            "m" => out.push_str(["rsp+8", "rsp+0x18", "rsp+0x200"][usize::from(number)]),
            size => {
                let column = ["q", "d", "w", "b"].iter().position(|&s| s == size).expect("a size");
                out.push_str(NAMES[usize::from(number)][column]);
            }
        }
        rest = after;
    }
    out + rest
}

fn decode(compiled: &crate::CompiledFunction) -> Vec<Instruction> {
    let code = &compiled.code[..compiled.code_bytes as usize];
    let insts: Vec<Instruction> =
        Decoder::with_ip(64, code, 0, DecoderOptions::NONE).into_iter().collect();
    assert!(insts.iter().all(|inst| !inst.is_invalid()), "{code:02x?}");
    insts
}

/// The instructions as text, jumps with the number of the instruction they lead to, constants with
/// their value.
fn listing(compiled: &crate::CompiledFunction) -> Vec<String> {
    let insts = decode(compiled);
    let mut formatter = disasm::formatter();
    formatter.options_mut().set_use_pseudo_ops(false);
    let one = |inst: &Instruction| {
        let mut text = String::new();
        formatter.format(inst, &mut text);
        if inst.op_count() > 0 && inst.op0_kind() == OpKind::NearBranch64 {
            let target = inst.near_branch64();
            let name = text.split(' ').next().unwrap_or_default().to_string();
            return match insts.iter().position(|at| at.ip() == target) {
                Some(number) => format!("{name} @{number}"),
                None => name,
            };
        }
        if inst.is_ip_rel_memory_operand() {
            let at = inst.ip_rel_memory_address() as usize;
            let bytes = &compiled.code[at..at + inst.memory_size().size()];
            let value =
                bytes.iter().rev().fold(0u128, |value, &byte| value << 8 | u128::from(byte));
            let (before, after) = text.split_once('[').expect("an address");
            let after = after.split_once(']').expect("its end").1;
            return format!("{before}[{value:#x}]{after}");
        }
        text
    };
    insts.iter().map(one).collect()
}

#[test]
fn every_machine_operation_is_swept() {
    let mut sweep = Sweep::new();
    moves::sweep(&mut sweep);
    integers::sweep(&mut sweep);
    floats::sweep(&mut sweep);
    code::sweep(&mut sweep);
    branches::sweep(&mut sweep);
    let missing: Vec<&MOp> =
        MOp::ALL.iter().filter(|&&op| !sweep.seen.contains(&(op as u16))).collect();
    assert!(missing.is_empty(), "not swept: {missing:?}");
}
