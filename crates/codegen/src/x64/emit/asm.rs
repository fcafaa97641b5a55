//! The assembler: encodings, labels, constants and jump tables of one function.
//!
//! Registers are hardware numbers; sizes are 0 to 3 for 8 to 64 bits (2 and 3 for singles and
//! doubles). Every method writes one instruction.

use crate::x64::inst::{AluKind, MovKind};
use crate::{CompiledFunction, Error};
use runwell_abi::TrapCode;
use runwell_ir::scratch;

mod jumps;
#[cfg(test)]
mod sweep;

pub(super) use self::jumps::Label;
use self::jumps::{Labels, nowhere};

/// A memory operand.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) struct Mem {
    /// A general-purpose register.
    pub(super) base: Option<u8>,
    /// An index and the logarithm of its factor.
    pub(super) index: Option<(u8, u8)>,
    /// Displacement.
    pub(super) disp: i32,
    /// Relative to this label instead.
    pub(super) label: Option<Label>,
}

impl Mem {
    /// The place `bytes` behind; the displacement has room for them.
    pub(super) fn behind(self, bytes: i32) -> Mem {
        Mem { disp: self.disp + bytes, ..self }
    }

    /// `[base + disp]`.
    pub(super) fn base(base: u8, disp: i32) -> Mem {
        Mem { base: Some(base), index: None, disp, label: None }
    }

    fn label(label: Label) -> Mem {
        Mem { base: None, index: None, disp: 0, label: Some(label) }
    }
}

/// A register or memory.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) enum Rm {
    /// A register of the class that the instruction takes.
    Reg(u8),
    /// Memory.
    Mem(Mem),
}

/// Code beyond this size is refused: offsets and displacements have 31 bits. It is more than the ceiling on
/// the code of the longest body that may be compiled, so that no function gets there.
const MAX_CODE: usize = 512 << 20;
/// How many of the latest constants are looked at for an equal one.
const CONSTANT_PROBES: usize = 16;

/// Elements from which on a list is handed over instead of copied: for large functions the copy
/// would count twice at the peak of memory, for small ones the reused memory is worth more.
const LARGE: usize = 1 << 16;

/// What most machine operations are shorter than.
const LONGEST: usize = 256;

/// What was collected in `list`, which is cleared before it is used again.
pub(super) fn hand_over<T: Clone>(list: &mut Vec<T>) -> Vec<T> {
    if list.len() < LARGE { list.clone() } else { core::mem::take(list) }
}

/// Machine code under construction.
#[derive(Debug, Default)]
pub(super) struct Asm {
    code: Vec<u8>,
    labels: Labels,
    relocs: Vec<(u32, u32)>,
    traps: Vec<(u32, TrapCode)>,
    /// From which offset on code belongs to which offset of Wasm.
    srclocs: Vec<(u32, u32)>,
    constants: Vec<(u128, u32, Label)>,
    tables: Vec<(Label, u32, u32)>,
    entries: Vec<Label>,
}

/// An instruction before its operands: mandatory prefix, operand-size facts, opcode.
#[derive(Copy, Clone)]
struct Op {
    /// 0x66, 0xf2, 0xf3 or none.
    prefix: u8,
    wide: bool,
    /// Opcode bytes after REX, most significant first, 0-padded in front.
    opcode: u32,
    /// The register field names a byte register.
    byte_reg: bool,
    /// The other operand, if a register, is a byte register.
    byte_rm: bool,
    /// Bytes of immediate behind the operand.
    imm: u8,
}

impl Op {
    const fn new(opcode: u32) -> Op {
        Op { prefix: 0, wide: false, opcode, byte_reg: false, byte_rm: false, imm: 0 }
    }

    const fn prefix(mut self, prefix: u8) -> Op {
        self.prefix = prefix;
        self
    }

    const fn wide(mut self, size: u32) -> Op {
        self.wide = size == 3;
        self
    }

    /// An integer operation of a size whose byte form has the opcode below.
    const fn sized(mut self, size: u32) -> Op {
        match size {
            0 => {
                self.opcode -= 1;
                self.byte_reg = true;
                self.byte_rm = true;
            }
            1 => self.prefix = 0x66,
            2 => {}
            _ => self.wide = true,
        }
        self
    }

    const fn imm(mut self, bytes: u8) -> Op {
        self.imm = bytes;
        self
    }

    /// The register field is an extension of the opcode.
    const fn group(mut self) -> Op {
        self.byte_reg = false;
        self
    }
}

/// An instruction with a VEX prefix: opcode map, implied prefix (0 none, 1 66, 2 f3, 3 f2), opcode,
/// bytes of immediate.
#[derive(Copy, Clone)]
struct Vex {
    map: u8,
    pp: u8,
    opcode: u32,
    imm: u8,
}

impl Asm {
    /// Makes room for about `bytes` of code. Nothing has been encoded yet.
    pub(super) fn expect(&mut self, bytes: usize) {
        scratch::room(&mut self.code, bytes);
    }

    /// Sees to it that code that is large already grows by a quarter at a time.
    #[inline]
    pub(super) fn grow(&mut self) {
        let (len, room) = (self.code.len(), self.code.capacity());
        if room - len < LONGEST && len >= LARGE {
            self.code.reserve_exact(len / 4);
        }
    }

    pub(super) fn clear(&mut self) {
        self.code.clear();
        self.labels.clear();
        self.srclocs.clear();
        self.relocs.clear();
        self.traps.clear();
        self.constants.clear();
        self.tables.clear();
        self.entries.clear();
    }

    pub(super) fn offset(&self) -> u32 {
        self.code.len() as u32
    }

    /// Code from here on belongs to the operator at `src`.
    pub(super) fn at_src(&mut self, src: u32) {
        let offset = self.offset();
        match self.srclocs.last_mut() {
            Some(&mut (_, last)) if last == src => {}
            Some(last) if last.0 == offset => last.1 = src,
            _ => scratch::push(&mut self.srclocs, (offset, src)),
        }
    }

    /// The next instruction may trap.
    pub(super) fn may_trap(&mut self, code: TrapCode) {
        let at = self.offset();
        scratch::push(&mut self.traps, (at, code));
    }

    /// A constant behind the code.
    pub(super) fn constant(&mut self, bits: u128, bytes: u32) -> Mem {
        let recent = self.constants.iter().rev().take(CONSTANT_PROBES);
        for &(other, size, label) in recent {
            if (other, size) == (bits, bytes) {
                return Mem::label(label);
            }
        }
        let label = self.label();
        self.constants.push((bits, bytes, label));
        Mem::label(label)
    }

    /// A table of 32-bit distances from its start to the labels.
    pub(super) fn jump_table(&mut self, labels: &[Label]) -> Mem {
        let label = self.label();
        let first = self.entries.len() as u32;
        self.entries.extend_from_slice(labels);
        self.tables.push((label, first, self.entries.len() as u32));
        Mem::label(label)
    }

    /// Patches everything and yields the function; its frame size is missing.
    pub(super) fn finish(&mut self) -> Result<CompiledFunction, Error> {
        let code_bytes = self.code.len();
        // Widest first: each constant is aligned as its size asks.
        for wanted in [16, 8, 4] {
            for at in 0..self.constants.len() {
                let (bits, bytes, label) = self.constants[at];
                if bytes == wanted {
                    self.align(bytes as usize);
                    self.bind_data(label);
                    self.code.extend_from_slice(&bits.to_le_bytes()[..bytes as usize]);
                }
            }
        }
        if !self.tables.is_empty() {
            self.align(4);
        }
        for at in 0..self.tables.len() {
            let (label, first, end) = self.tables[at];
            self.bind_data(label);
            let start = self.offset();
            for entry in first..end {
                let target = self.labels.at(self.entries[entry as usize]).ok_or_else(nowhere)?;
                let distance = target.wrapping_sub(start);
                self.code.extend_from_slice(&distance.to_le_bytes());
            }
        }
        if self.code.len() > MAX_CODE {
            let bytes = self.code.len();
            return Err(Error::Limit(format!("a function of {bytes} bytes of machine code")));
        }
        self.settle_all()?;
        debug_assert!(self.traps.is_sorted_by_key(|&(at, _)| at));
        Ok(CompiledFunction {
            code: hand_over(&mut self.code),
            code_bytes: code_bytes as u32,
            relocs: hand_over(&mut self.relocs),
            traps: hand_over(&mut self.traps),
            srclocs: hand_over(&mut self.srclocs),
            rests: Vec::new(),
            frame_bytes: 0,
        })
    }

    /// Goes to the next multiple of `bytes` from the function's start by instructions that do nothing.
    pub(super) fn align_code(&mut self, bytes: usize) {
        /// The longest one: a multi-byte `nop` with three more prefixes.
        const NOP: [u8; 11] = [0x66, 0x66, 0x2e, 0x0f, 0x1f, 0x84, 0, 0, 0, 0, 0];
        /// The shorter ones, by their length.
        const SHORT: [&[u8]; 11] = [
            &[],
            &[0x90],
            &[0x66, 0x90],
            &[0x0f, 0x1f, 0],
            &[0x0f, 0x1f, 0x40, 0],
            &[0x0f, 0x1f, 0x44, 0, 0],
            &[0x66, 0x0f, 0x1f, 0x44, 0, 0],
            &[0x0f, 0x1f, 0x80, 0, 0, 0, 0],
            &[0x0f, 0x1f, 0x84, 0, 0, 0, 0, 0],
            &[0x66, 0x0f, 0x1f, 0x84, 0, 0, 0, 0, 0],
            &[0x66, 0x2e, 0x0f, 0x1f, 0x84, 0, 0, 0, 0, 0],
        ];
        let mut gap = self.code.len().next_multiple_of(bytes) - self.code.len();
        while gap > 0 {
            let nop = SHORT.get(gap).copied().unwrap_or(&NOP);
            self.code.extend_from_slice(nop);
            gap -= nop.len();
        }
        self.keep();
    }

    fn align(&mut self, bytes: usize) {
        while !self.code.len().is_multiple_of(bytes) {
            self.code.push(0xcc);
        }
    }

    #[inline]
    fn bytes(&mut self, bytes: &[u8]) {
        self.code.extend_from_slice(bytes);
    }

    fn imm32(&mut self, imm: i32) {
        self.bytes(&imm.to_le_bytes());
    }

    /// Appends the first `bytes` bytes of `word`, at most eight.
    #[inline]
    fn word(&mut self, word: u64, bytes: usize) {
        // A store of fixed size, of which what is too much is taken back, is cheaper than a copy of any
        // size.
        let len = self.code.len() + bytes;
        self.code.extend_from_slice(&word.to_le_bytes());
        self.code.truncate(len);
    }

    /// Prefixes, opcode, ModRM with its operand; immediates follow.
    fn op(&mut self, op: Op, reg: u8, rm: Rm) {
        // Everything before the displacement, the first byte lowest: at most a prefix, REX, four bytes
        // of opcode, ModRM and SIB.
        let (mut head, mut len) = (u64::from(op.prefix), usize::from(op.prefix != 0));
        let (base, index) = match rm {
            Rm::Reg(r) => (r, 0),
            Rm::Mem(mem) => (mem.base.unwrap_or(0), mem.index.map_or(0, |(i, _)| i)),
        };
        let mut rex = u8::from(op.wide) << 3 | (reg >> 3) << 2 | (index >> 3) << 1 | base >> 3;
        let byte = |r: u8| (4..8).contains(&r);
        if (op.byte_reg && byte(reg)) || (op.byte_rm && matches!(rm, Rm::Reg(r) if byte(r))) {
            rex |= 0x40;
        }
        let mut put = |bytes: u32, count: usize| {
            head |= u64::from(bytes) << (8 * len);
            len += count;
        };
        if rex != 0 {
            put(u32::from(0x40 | rex), 1);
        }
        let leading = (op.opcode.leading_zeros() / 8).min(3);
        put(op.opcode.swap_bytes() >> (8 * leading), 4 - leading as usize);
        let reg = (reg & 7) << 3;
        let (disp, disp_bytes, fixup) = match rm {
            Rm::Reg(r) => {
                put(u32::from(0xc0 | reg | r & 7), 1);
                (0, 0, None)
            }
            Rm::Mem(Mem { label: Some(label), .. }) => {
                put(u32::from(reg | 5), 1);
                (0, 4, Some(label))
            }
            Rm::Mem(Mem { base, index, disp, .. }) => {
                // rsp and r12 as base need an index byte; rbp and r13 a displacement.
                let (mode, bytes) = match base {
                    None => (0, 4),
                    Some(b) if disp == 0 && b & 7 != 5 => (0, 0),
                    Some(_) if i8::try_from(disp).is_ok() => (0x40, 1),
                    Some(_) => (0x80, 4),
                };
                match (base, index) {
                    (Some(b), None) if b & 7 != 4 => put(u32::from(mode | reg | b & 7), 1),
                    (b, i) => {
                        let (i, scale) = i.unwrap_or((4, 0));
                        let sib = scale << 6 | (i & 7) << 3 | b.map_or(5, |b| b & 7);
                        put(u32::from(mode | reg | 4) | u32::from(sib) << 8, 2);
                    }
                }
                (disp, bytes, None)
            }
        };
        self.word(head, len);
        if disp_bytes != 0 {
            self.word(u64::from(disp as u32), disp_bytes);
        }
        if let Some(label) = fixup {
            let end = self.offset();
            self.refer(end - 4, op.imm.into(), label);
        }
    }

    // Control.

    pub(super) fn trap(&mut self, code: TrapCode) {
        self.may_trap(code);
        self.bytes(&[0x0f, 0x0b]);
    }

    pub(super) fn jmp_r(&mut self, reg: u8) {
        self.op(Op::new(0xff), 4, Rm::Reg(reg));
    }

    pub(super) fn jmp_m(&mut self, mem: Mem) {
        self.op(Op::new(0xff), 4, Rm::Mem(mem));
    }

    pub(super) fn call_m(&mut self, mem: Mem) {
        self.op(Op::new(0xff), 2, Rm::Mem(mem));
    }

    fn function(&mut self, opcode: u8, function: u32) {
        self.bytes(&[opcode]);
        let at = self.offset();
        scratch::push(&mut self.relocs, (at, function));
        self.imm32(0);
    }

    pub(super) fn call_function(&mut self, function: u32) {
        self.function(0xe8, function);
    }

    pub(super) fn jmp_function(&mut self, function: u32) {
        self.function(0xe9, function);
    }

    pub(super) fn ret(&mut self) {
        self.bytes(&[0xc3]);
    }

    // Moves.

    pub(super) fn mov_rr(&mut self, size: u32, to: u8, from: u8) {
        self.op(Op::new(0x8b).sized(size), to, Rm::Reg(from));
    }

    /// A constant; flags are kept.
    pub(super) fn mov_ri(&mut self, to: u8, bits: u64) {
        if let Ok(imm) = u32::try_from(bits) {
            if to >= 8 {
                self.bytes(&[0x41]);
            }
            self.bytes(&[0xb8 | to & 7]);
            self.imm32(imm as i32);
        } else if let Ok(imm) = i32::try_from(bits as i64) {
            self.op(Op::new(0xc7).wide(3).imm(4), 0, Rm::Reg(to));
            self.imm32(imm);
        } else {
            self.bytes(&[0x48 | to >> 3, 0xb8 | to & 7]);
            self.bytes(&bits.to_le_bytes());
        }
    }

    /// A constant; flags may be lost.
    pub(super) fn mov_ri_flags(&mut self, to: u8, bits: u64) {
        if bits == 0 { self.zero(to) } else { self.mov_ri(to, bits) }
    }

    pub(super) fn zero(&mut self, reg: u8) {
        self.op(Op::new(0x33), reg, Rm::Reg(reg));
    }

    pub(super) fn xchg(&mut self, a: u8, b: u8) {
        self.op(Op::new(0x87).sized(3), a, Rm::Reg(b));
    }

    /// Loads, extensions and moves.
    pub(super) fn movx(&mut self, kind: MovKind, to: u8, from: Rm) {
        let mut op = match kind {
            MovKind::U8 => Op::new(0x0fb6),
            MovKind::S8 => Op::new(0x0fbe),
            MovKind::S8Q => Op::new(0x0fbe).wide(3),
            MovKind::U16 => Op::new(0x0fb7),
            MovKind::S16 => Op::new(0x0fbf),
            MovKind::S16Q => Op::new(0x0fbf).wide(3),
            MovKind::L => Op::new(0x8b),
            MovKind::S32Q => Op::new(0x63).wide(3),
            MovKind::Q => Op::new(0x8b).wide(3),
            MovKind::F32 => Op::new(0x0f10).prefix(0xf3),
            MovKind::F64 => Op::new(0x0f10).prefix(0xf2),
            MovKind::V128 => Op::new(0x0f10),
        };
        op.byte_rm = matches!(kind, MovKind::U8 | MovKind::S8 | MovKind::S8Q);
        self.op(op, to, from);
    }

    /// Stores the low part of a register.
    pub(super) fn store(&mut self, kind: MovKind, to: Mem, from: u8) {
        let op = match kind {
            MovKind::U8 | MovKind::S8 | MovKind::S8Q => Op::new(0x89).sized(0),
            MovKind::U16 | MovKind::S16 | MovKind::S16Q => Op::new(0x89).sized(1),
            MovKind::L | MovKind::S32Q => Op::new(0x89),
            MovKind::Q => Op::new(0x89).wide(3),
            MovKind::F32 => Op::new(0x0f11).prefix(0xf3),
            MovKind::F64 => Op::new(0x0f11).prefix(0xf2),
            MovKind::V128 => Op::new(0x0f11),
        };
        self.op(op, from, Rm::Mem(to));
    }

    /// Stores an immediate.
    pub(super) fn store_i(&mut self, kind: MovKind, to: Mem, imm: i32) {
        debug_assert!(kind != MovKind::V128, "no instruction stores so wide an immediate");
        let size = match kind {
            MovKind::U8 | MovKind::S8 | MovKind::S8Q => 0,
            MovKind::U16 | MovKind::S16 | MovKind::S16Q => 1,
            MovKind::L | MovKind::S32Q | MovKind::F32 => 2,
            MovKind::Q | MovKind::F64 | MovKind::V128 => 3,
        };
        let bytes = (1usize << size).min(4);
        self.op(Op::new(0xc7).sized(size).imm(bytes as u8), 0, Rm::Mem(to));
        self.bytes(&imm.to_le_bytes()[..bytes]);
    }

    pub(super) fn lea(&mut self, size: u32, to: u8, mem: Mem) {
        self.op(Op::new(0x8d).wide(size), to, Rm::Mem(mem));
    }

    pub(super) fn setcc(&mut self, cc: u32, to: u8) {
        debug_assert!(cc < 16, "a condition of two flags");
        let mut op = Op::new(0x0f90 | cc);
        op.byte_rm = true;
        self.op(op, 0, Rm::Reg(to));
    }

    pub(super) fn cmov(&mut self, cc: u32, size: u32, to: u8, from: Rm) {
        debug_assert!(cc < 16, "a condition of two flags");
        self.op(Op::new(0x0f40 | cc).wide(size), to, from);
    }

    // Integers.

    fn alu_imm(&mut self, number: u32, size: u32, rm: Rm, imm: i32) {
        if size == 0 {
            self.op(Op::new(0x81).sized(0).group().imm(1), number as u8, rm);
            return self.bytes(&[imm as u8]);
        }
        if let Ok(short) = i8::try_from(imm) {
            self.op(Op::new(0x83).sized(size).imm(1), number as u8, rm);
            return self.bytes(&[short as u8]);
        }
        let bytes = if size == 1 { 2 } else { 4 };
        if rm == Rm::Reg(0) && size >= 2 {
            // The accumulator has a form without ModRM.
            if size == 3 {
                self.bytes(&[0x48]);
            }
            self.bytes(&[(number << 3 | 5) as u8]);
        } else {
            self.op(Op::new(0x81).sized(size).imm(bytes as u8), number as u8, rm);
        }
        self.bytes(&imm.to_le_bytes()[..bytes]);
    }

    pub(super) fn alu_ri(&mut self, kind: AluKind, size: u32, to: u8, imm: i32) {
        self.alu_imm(kind as u32, size, Rm::Reg(to), imm);
    }

    pub(super) fn alu_mi(&mut self, kind: AluKind, size: u32, to: Mem, imm: i32) {
        self.alu_imm(kind as u32, size, Rm::Mem(to), imm);
    }

    pub(super) fn alu_rm(&mut self, kind: AluKind, size: u32, to: u8, from: Rm) {
        self.op(Op::new((kind as u32) << 3 | 3).sized(size), to, from);
    }

    pub(super) fn alu_mr(&mut self, kind: AluKind, size: u32, to: Mem, from: u8) {
        self.op(Op::new((kind as u32) << 3 | 1).sized(size), from, Rm::Mem(to));
    }

    pub(super) fn cmp_i(&mut self, size: u32, left: Rm, imm: i32) {
        if imm == 0
            && let Rm::Reg(r) = left
        {
            return self.test_rr(size, r, r);
        }
        self.alu_imm(7, size, left, imm);
    }

    pub(super) fn cmp_rm(&mut self, size: u32, left: u8, right: Rm) {
        self.op(Op::new(0x3b).sized(size), left, right);
    }

    pub(super) fn cmp_mr(&mut self, size: u32, left: Mem, right: u8) {
        self.op(Op::new(0x39).sized(size), right, Rm::Mem(left));
    }

    pub(super) fn test_rr(&mut self, size: u32, left: u8, right: u8) {
        self.op(Op::new(0x85).sized(size), right, Rm::Reg(left));
    }

    pub(super) fn test_i(&mut self, size: u32, left: Rm, imm: i32) {
        // A small mask without its sign bit says the same of the lowest byte alone.
        let size = match left {
            Rm::Reg(_) if (0..128).contains(&imm) => 0,
            _ => size,
        };
        let bytes = (1usize << size).min(4);
        self.op(Op::new(0xf7).sized(size).group().imm(bytes as u8), 0, left);
        self.bytes(&imm.to_le_bytes()[..bytes]);
    }

    pub(super) fn bt_i(&mut self, size: u32, reg: u8, bit: i32) {
        self.op(Op::new(0x0fba).wide(size).imm(1), 4, Rm::Reg(reg));
        self.bytes(&[bit as u8]);
    }

    pub(super) fn bt_rr(&mut self, size: u32, reg: u8, bit: u8) {
        self.op(Op::new(0x0fa3).wide(size), bit, Rm::Reg(reg));
    }

    pub(super) fn imul(&mut self, size: u32, to: u8, from: Rm) {
        self.op(Op::new(0x0faf).wide(size), to, from);
    }

    pub(super) fn imul_i(&mut self, size: u32, to: u8, from: Rm, imm: i32) {
        if let Ok(short) = i8::try_from(imm) {
            self.op(Op::new(0x6b).wide(size).imm(1), to, from);
            return self.bytes(&[short as u8]);
        }
        self.op(Op::new(0x69).wide(size).imm(4), to, from);
        self.imm32(imm);
    }

    /// `not` 2, `neg` 3, `mul` 4, `imul` 5, `div` 6, `idiv` 7.
    pub(super) fn group3(&mut self, number: u32, size: u32, rm: Rm) {
        self.op(Op::new(0xf7).wide(size), number as u8, rm);
    }

    /// Copies rcx quadwords from rsi to rdi, upwards.
    pub(super) fn rep_movsq(&mut self) {
        self.bytes(&[0xf3, 0x48, 0xa5]);
    }

    /// Copies rcx doublewords from rsi to rdi, upwards.
    pub(super) fn rep_movsd(&mut self) {
        self.bytes(&[0xf3, 0xa5]);
    }

    pub(super) fn cdq(&mut self, size: u32) {
        if size == 3 {
            self.bytes(&[0x48]);
        }
        self.bytes(&[0x99]);
    }

    pub(super) fn shift_i(&mut self, kind: u32, size: u32, reg: u8, count: i32) {
        if count == 1 {
            return self.op(Op::new(0xd1).wide(size), kind as u8, Rm::Reg(reg));
        }
        self.op(Op::new(0xc1).wide(size).imm(1), kind as u8, Rm::Reg(reg));
        self.bytes(&[count as u8]);
    }

    pub(super) fn shift_cl(&mut self, kind: u32, size: u32, reg: u8) {
        self.op(Op::new(0xd3).wide(size), kind as u8, Rm::Reg(reg));
    }

    /// A three-byte VEX prefix, the opcode and its operand.
    fn vex(&mut self, form: Vex, wide: bool, reg: u8, vvvv: u8, rm: Rm) {
        let Vex { map, pp, opcode, imm } = form;
        let (base, index) = match rm {
            Rm::Reg(r) => (r, 0),
            Rm::Mem(mem) => (mem.base.unwrap_or(0), mem.index.map_or(0, |(i, _)| i)),
        };
        let not = |r: u8| u8::from(r < 8);
        let last = u8::from(wide) << 7 | (!vvvv & 15) << 3 | pp;
        if map == 1 && !wide && base < 8 && index < 8 {
            self.bytes(&[0xc5, not(reg) << 7 | last]);
        } else {
            self.bytes(&[0xc4, not(reg) << 7 | not(index) << 6 | not(base) << 5 | map, last]);
        }
        // The extension bits are in the prefix; what remains needs no REX.
        let low = match rm {
            Rm::Reg(r) => Rm::Reg(r & 7),
            Rm::Mem(mem) => Rm::Mem(Mem {
                base: mem.base.map(|b| b & 7),
                index: mem.index.map(|(i, scale)| (i & 7, scale)),
                ..mem
            }),
        };
        self.op(Op::new(opcode).imm(imm), reg & 7, low);
    }

    /// Shifts that keep their operand and the flags.
    pub(super) fn shift3(&mut self, kind: u32, size: u32, to: u8, from: Rm, count: u8) {
        let pp = match kind {
            4 => 1,
            5 => 3,
            _ => 2,
        };
        self.vex(Vex { map: 2, pp, opcode: 0xf7, imm: 0 }, size == 3, to, count, from);
    }

    pub(super) fn rorx(&mut self, size: u32, to: u8, from: Rm, count: i32) {
        self.vex(Vex { map: 3, pp: 3, opcode: 0xf0, imm: 1 }, size == 3, to, 0, from);
        self.bytes(&[count as u8]);
    }

    /// `lzcnt`, `tzcnt`, `popcnt`, `bsr`, `bsf` by the number of their [`super::super::inst::BitKind`].
    pub(super) fn bit_scan(&mut self, kind: u32, size: u32, to: u8, from: Rm) {
        let op = match kind {
            0 => Op::new(0x0fbd).prefix(0xf3),
            1 => Op::new(0x0fbc).prefix(0xf3),
            2 => Op::new(0x0fb8).prefix(0xf3),
            3 => Op::new(0x0fbd),
            _ => Op::new(0x0fbc),
        };
        self.op(op.wide(size), to, from);
    }

    // Floats.

    fn scalar(size: u32) -> u8 {
        if size == 2 { 0xf3 } else { 0xf2 }
    }

    fn packed(size: u32) -> u8 {
        if size == 2 { 0 } else { 0x66 }
    }

    pub(super) fn fzero(&mut self, reg: u8) {
        self.op(Op::new(0x0f57), reg, Rm::Reg(reg));
    }

    pub(super) fn fmov(&mut self, to: u8, from: u8) {
        self.op(Op::new(0x0f28), to, Rm::Reg(from));
    }

    pub(super) fn mov_to_f(&mut self, size: u32, to: u8, from: u8) {
        self.op(Op::new(0x0f6e).prefix(0x66).wide(size), to, Rm::Reg(from));
    }

    pub(super) fn mov_from_f(&mut self, size: u32, to: u8, from: u8) {
        self.op(Op::new(0x0f7e).prefix(0x66).wide(size), from, Rm::Reg(to));
    }

    /// Two-operand vector operations, by number: those of `FKind`, then or, min, max.
    pub(super) fn falu(&mut self, kind: u32, size: u32, to: u8, from: Rm) {
        let (opcode, prefix) = match kind {
            0 => (0x0f58, Self::scalar(size)),
            1 => (0x0f5c, Self::scalar(size)),
            2 => (0x0f59, Self::scalar(size)),
            3 => (0x0f5e, Self::scalar(size)),
            4 => (0x0f54, Self::packed(2)),
            5 => (0x0f57, Self::packed(2)),
            6 => (0x0f56, Self::packed(2)),
            7 => (0x0f5d, Self::scalar(size)),
            _ => (0x0f5f, Self::scalar(size)),
        };
        self.op(Op::new(opcode).prefix(prefix), to, from);
    }

    /// The same, but min and max, with a first operand that is kept. Needs AVX.
    pub(super) fn falu3(&mut self, kind: u32, size: u32, to: u8, left: u8, right: Rm) {
        let (opcode, packed) = match kind {
            0 => (0x58, false),
            1 => (0x5c, false),
            2 => (0x59, false),
            3 => (0x5e, false),
            4 => (0x54, true),
            5 => (0x57, true),
            _ => (0x56, true),
        };
        let pp = match (packed, size) {
            (true, _) => 0,
            (false, 2) => 2,
            (false, _) => 3,
        };
        self.vex(Vex { map: 1, pp, opcode, imm: 0 }, false, to, left, right);
    }

    /// All ones where either scalar is a NaN, else zeros. Needs AVX.
    pub(super) fn funordered(&mut self, size: u32, to: u8, left: u8, right: u8) {
        let pp = if size == 2 { 2 } else { 3 };
        self.vex(Vex { map: 1, pp, opcode: 0xc2, imm: 1 }, false, to, left, Rm::Reg(right));
        self.bytes(&[3]);
    }

    /// The lesser of two floats by `vrange`, with its sign. Needs AVX512DQ.
    pub(super) fn frange(&mut self, size: u32, to: u8, left: u8, right: u8) {
        // EVEX, no mask: what extends registers is inverted, and there are none beyond 15.
        let not = |r: u8| u8::from(r < 8);
        let wide = u8::from(size == 3);
        self.bytes(&[
            0x62,
            not(to) << 7 | 0x40 | not(right) << 5 | 0x10 | 3,
            wide << 7 | (!left & 15) << 3 | 4 | 1,
            8,
            0x51,
            0xc0 | (to & 7) << 3 | right & 7,
            4,
        ]);
    }

    /// Per lane, `set` where the top bit of `mask` is set, else `clear`. Needs AVX.
    pub(super) fn fblend(&mut self, size: u32, to: u8, clear: u8, set: Rm, mask: u8) {
        let opcode = if size == 2 { 0x4a } else { 0x4b };
        self.vex(Vex { map: 3, pp: 1, opcode, imm: 1 }, false, to, clear, set);
        self.bytes(&[mask << 4]);
    }

    pub(super) fn fsqrt(&mut self, size: u32, to: u8, from: Rm) {
        self.op(Op::new(0x0f51).prefix(Self::scalar(size)), to, from);
    }

    pub(super) fn fround(&mut self, size: u32, to: u8, from: Rm, mode: u8) {
        let opcode = if size == 2 { 0x0f_3a0a } else { 0x0f_3a0b };
        self.op(Op::new(opcode).prefix(0x66).imm(1), to, from);
        self.bytes(&[mode]);
    }

    pub(super) fn ucomis(&mut self, size: u32, left: u8, right: Rm) {
        self.op(Op::new(0x0f2e).prefix(Self::packed(size)), left, right);
    }

    /// Integer of `int_size` to float.
    pub(super) fn cvt_int(&mut self, size: u32, int_size: u32, to: u8, from: Rm) {
        self.op(Op::new(0x0f2a).prefix(Self::scalar(size)).wide(int_size), to, from);
    }

    /// Float to integer of `int_size`, rounding towards zero.
    pub(super) fn cvt_trunc(&mut self, size: u32, int_size: u32, to: u8, from: u8) {
        self.op(Op::new(0x0f2c).prefix(Self::scalar(size)).wide(int_size), to, Rm::Reg(from));
    }

    /// Double to single or single to double.
    pub(super) fn cvt_float(&mut self, demote: bool, to: u8, from: Rm) {
        let prefix = if demote { 0xf2 } else { 0xf3 };
        self.op(Op::new(0x0f5a).prefix(prefix), to, from);
    }
}
