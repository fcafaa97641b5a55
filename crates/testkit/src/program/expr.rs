//! Expressions: they leave one value on the stack.

use super::body::{Body, Label};
use super::{NUMBERS, ops};
use wasm_encoder::{BlockType, Instruction, MemArg, MemArgTarget, ValType};

/// Bits of interesting integers.
const INTS: &[u64] = &[
    0,
    1,
    2,
    3,
    4,
    7,
    8,
    10,
    16,
    24,
    31,
    32,
    33,
    63,
    64,
    100,
    127,
    128,
    255,
    256,
    1000,
    32767,
    65535,
    65536,
    0x7fff_ffff,
    0x8000_0000,
    0x8000_0001,
    0xffff_ffff,
    0x1_0000_0000,
    0x7fff_ffff_ffff_ffff,
    0x8000_0000_0000_0000,
];

const FLOATS: &[f64] = &[
    0.0,
    -0.0,
    1.0,
    -1.0,
    0.5,
    1.5,
    2.5,
    -2.5,
    100.25,
    3e9,
    -3e9,
    1e19,
    1e300,
    1e-310,
    16777217.0,
    f64::INFINITY,
    f64::NEG_INFINITY,
    f64::NAN,
    2147483648.0,
    9223372036854775808.0,
];

/// An access of memory `mem`.
pub(super) fn mem_arg(mem: u32, offset: u64) -> MemArg {
    MemArg { offset, align: 0, target: MemArgTarget::Memory(mem), ordering: None }
}

impl Body<'_> {
    /// Leaves a value of type `ty`.
    pub(super) fn expr(&mut self, ty: ValType, depth: u32) {
        if depth == 0 || !self.affords(12) {
            return self.leaf(ty);
        }
        let int = matches!(ty, ValType::I32 | ValType::I64);
        match self.rng.below(24) {
            0..=2 => self.leaf(ty),
            3..=8 => {
                self.expr(ty, depth - 1);
                self.expr(ty, depth - 1);
                let op = self.rng.pick(ops::binary(ty)).clone();
                self.emit(op);
            }
            9 if int => self.divide(ty, depth),
            9 => self.copysign(ty, depth),
            10 if int => self.shift(ty, depth),
            10 => self.convert(ty, depth),
            11 => {
                self.expr(ty, depth - 1);
                let op = self.rng.pick(ops::unary(ty)).clone();
                self.emit(op);
            }
            12 | 13 => self.convert(ty, depth),
            14 | 15 => self.load(ty, depth),
            16 | 17 => {
                self.expr(ty, depth - 1);
                self.expr(ty, depth - 1);
                self.condition(depth - 1);
                self.emit(Instruction::Select);
            }
            18 => self.if_else(ty, depth),
            19 => self.block(ty, depth),
            20 if ty == ValType::I32 => self.condition(depth),
            20 if int => self.reinterpret(ty, depth),
            20 | 21 => match self.settable(ty) {
                Some(local) => {
                    self.expr(ty, depth - 1);
                    self.emit(Instruction::LocalTee(local));
                }
                None => self.leaf(ty),
            },
            22 => self.call_value(ty),
            _ if int => self.truncate(ty, depth),
            _ => self.leaf(ty),
        }
    }

    /// A local, a constant or a global.
    fn leaf(&mut self, ty: ValType) {
        match self.rng.below(8) {
            0 | 1 => self.constant(ty),
            2 => match self.shape.globals.iter().position(|&global| global == ty) {
                Some(global) => self.emit(Instruction::GlobalGet(global as u32)),
                None => self.constant(ty),
            },
            _ => match self.readable(ty) {
                Some(local) => self.emit(Instruction::LocalGet(local)),
                None => self.constant(ty),
            },
        }
    }

    fn int(&mut self) -> u64 {
        let bits = *self.rng.pick(INTS);
        match self.rng.below(4) {
            0 => bits.wrapping_neg(),
            1 => self.rng.next_u64() >> self.rng.below(64),
            _ => bits,
        }
    }

    fn constant(&mut self, ty: ValType) {
        let float = *self.rng.pick(FLOATS);
        let inst = match ty {
            ValType::I32 => Instruction::I32Const(self.int() as i32),
            ValType::I64 => Instruction::I64Const(self.int() as i64),
            ValType::F32 => Instruction::F32Const((float as f32).into()),
            _ => Instruction::F64Const(float.into()),
        };
        self.emit(inst);
    }

    fn int_const(&mut self, ty: ValType, value: i64) {
        self.emit(match ty {
            ValType::I32 => Instruction::I32Const(value as i32),
            _ => Instruction::I64Const(value),
        });
    }

    fn int_op(&mut self, ty: ValType, narrow: Instruction<'static>, wide: Instruction<'static>) {
        self.emit(if ty == ValType::I32 { narrow } else { wide });
    }

    /// A division, mostly of something that can be divided by.
    fn divide(&mut self, ty: ValType, depth: u32) {
        self.expr(ty, depth - 1);
        match self.rng.below(100) {
            0 => self.expr(ty, depth - 1),
            1..=45 => {
                let value = match self.int() as i64 {
                    0 => 3,
                    // Not divisible by as an i32 when its low half is 0.
                    value if ty == ValType::I32 && value as i32 == 0 => 7,
                    value => value,
                };
                self.int_const(ty, value);
            }
            _ => {
                self.expr(ty, depth - 1);
                self.int_const(ty, 1);
                self.int_op(ty, Instruction::I32Or, Instruction::I64Or);
            }
        }
        let op = self.rng.pick(ops::divide(ty)).clone();
        self.emit(op);
    }

    fn shift(&mut self, ty: ValType, depth: u32) {
        self.expr(ty, depth - 1);
        match self.rng.below(4) {
            0 => {
                let count = self.rng.below(70) as i64;
                self.int_const(ty, count);
            }
            1 => {
                self.expr(ty, depth - 1);
                let mask = *self.rng.pick(&[31, 63, 15, 127]);
                self.int_const(ty, mask);
                self.int_op(ty, Instruction::I32And, Instruction::I64And);
            }
            _ => self.expr(ty, depth - 1),
        }
        let op = self.rng.pick(ops::shift(ty)).clone();
        self.emit(op);
    }

    fn convert(&mut self, ty: ValType, depth: u32) {
        let (from, op) = self.rng.pick(ops::convert(ty)).clone();
        self.expr(from, depth - 1);
        self.emit(op);
    }

    /// Replaces a NaN on the stack by the canonical one, if the program is to do that.
    pub(super) fn canonical(&mut self, ty: ValType) {
        if !self.masks_nans {
            return;
        }
        let local = self.reserve(ty);
        self.emit(Instruction::LocalTee(local));
        self.emit(match ty {
            ValType::F32 => Instruction::F32Const(f32::from_bits(0x7fc0_0000).into()),
            _ => Instruction::F64Const(f64::from_bits(0x7ff8 << 48).into()),
        });
        self.emit(Instruction::LocalGet(local));
        self.emit(Instruction::LocalGet(local));
        self.emit(if ty == ValType::F32 { Instruction::F32Eq } else { Instruction::F64Eq });
        self.emit(Instruction::Select);
    }

    /// The bits of a float.
    fn reinterpret(&mut self, ty: ValType, depth: u32) {
        let (from, op) = match ty {
            ValType::I32 => (ValType::F32, Instruction::I32ReinterpretF32),
            _ => (ValType::F64, Instruction::I64ReinterpretF64),
        };
        self.expr(from, depth - 1);
        self.canonical(from);
        self.emit(op);
    }

    fn copysign(&mut self, ty: ValType, depth: u32) {
        self.expr(ty, depth - 1);
        self.expr(ty, depth - 1);
        self.canonical(ty);
        self.emit(if ty == ValType::F32 {
            Instruction::F32Copysign
        } else {
            Instruction::F64Copysign
        });
    }

    /// A conversion that traps, of something that mostly fits.
    fn truncate(&mut self, ty: ValType, depth: u32) {
        let from = *self.rng.pick(&[ValType::F32, ValType::F64]);
        let fitting: Vec<_> = ops::truncate(from).iter().filter(|(to, _)| *to == ty).collect();
        let (_, op) = (*self.rng.pick(&fitting)).clone();
        if self.rng.one_in(150) {
            self.expr(from, depth - 1);
        } else {
            self.expr(ValType::I32, depth - 1);
            self.emit(Instruction::I32Const(0xffff));
            self.emit(Instruction::I32And);
            self.emit(if from == ValType::F32 {
                Instruction::F32ConvertI32S
            } else {
                Instruction::F64ConvertI32S
            });
        }
        self.emit(op);
    }

    /// Leaves an i32 that is a condition: a comparison of anything, a test of bits, or a number.
    pub(super) fn condition(&mut self, depth: u32) {
        let ty = *self.rng.pick(&NUMBERS);
        let below = depth.saturating_sub(1);
        match self.rng.below(10) {
            0 => self.expr(ValType::I32, below),
            1 => {
                let ty = if self.rng.one_in(2) { ValType::I32 } else { ValType::I64 };
                self.expr(ty, below);
                self.expr(ty, 0);
                self.int_op(ty, Instruction::I32And, Instruction::I64And);
                self.int_op(ty, Instruction::I32Eqz, Instruction::I64Eqz);
                if self.rng.one_in(2) {
                    self.emit(Instruction::I32Eqz);
                }
            }
            2 => {
                // One bit.
                let ty = if self.rng.one_in(2) { ValType::I32 } else { ValType::I64 };
                self.expr(ty, below);
                self.expr(ty, 0);
                self.int_op(ty, Instruction::I32ShrU, Instruction::I64ShrU);
                self.int_const(ty, 1);
                self.int_op(ty, Instruction::I32And, Instruction::I64And);
                if ty == ValType::I64 {
                    self.emit(Instruction::I32WrapI64);
                }
            }
            _ => {
                self.expr(ty, below);
                if self.rng.one_in(3) {
                    self.constant(ty)
                } else {
                    self.expr(ty, below)
                }
                let op = self.rng.pick(ops::compare(ty)).clone();
                self.emit(op);
            }
        }
    }

    fn if_else(&mut self, ty: ValType, depth: u32) {
        self.condition(depth - 1);
        self.emit(Instruction::If(BlockType::Result(ty)));
        self.labels.push(Label { types: vec![ty], counter: None });
        self.expr(ty, depth - 1);
        self.emit(Instruction::Else);
        self.expr(ty, depth - 1);
        self.labels.pop();
        self.emit(Instruction::End);
    }

    /// A block that may be left early with another value.
    fn block(&mut self, ty: ValType, depth: u32) {
        self.emit(Instruction::Block(BlockType::Result(ty)));
        self.labels.push(Label { types: vec![ty], counter: None });
        self.expr(ty, depth - 1);
        self.condition(depth - 1);
        self.emit(Instruction::BrIf(0));
        self.emit(Instruction::Drop);
        self.expr(ty, depth - 1);
        self.labels.pop();
        self.emit(Instruction::End);
    }

    /// A call of a function with this one result.
    fn call_value(&mut self, ty: ValType) {
        let callee = self.callee(|sig| sig.results == [ty] && sig.params.len() < 8);
        let Some((index, callee)) = callee else { return self.leaf(ty) };
        let params = &self.shape.sigs[callee.sig].params;
        self.values(params, 1);
        self.emit(Instruction::Call(index));
        self.book(callee);
    }

    /// Leaves an address in memory `mem` and says at which offset to access it: mostly inside.
    pub(super) fn address(&mut self, mem: u32, depth: u32) -> MemArg {
        let memory = self.shape.memories[mem as usize];
        let ty = if memory.memory64 { ValType::I64 } else { ValType::I32 };
        let bytes = memory.pages << 16;
        if self.rng.one_in(200) {
            let offsets = [bytes - 8, bytes - 1, bytes, 0x7fff_ffff, 0xffff_fff8, 0xffff_ffff];
            let mut offset = *self.rng.pick(&offsets);
            if memory.memory64 && self.rng.one_in(3) {
                offset = u64::MAX - self.rng.below(16);
            }
            self.expr(ty, depth.saturating_sub(1));
            return mem_arg(mem, offset);
        }
        match self.rng.below(5) {
            0 => {
                let address = self.rng.below(0x8000) as i64;
                self.int_const(ty, address);
            }
            1 => {
                // A base and a scaled index.
                let scale = self.rng.below(4) as i64;
                self.masked(ty, depth, 0xfff);
                self.masked(ty, 0, 0x3ff);
                self.int_const(ty, scale);
                self.int_op(ty, Instruction::I32Shl, Instruction::I64Shl);
                self.int_op(ty, Instruction::I32Add, Instruction::I64Add);
            }
            2 => {
                let plus = self.rng.below(0x1000) as i64;
                self.masked(ty, depth, 0x3fff);
                self.int_const(ty, plus);
                self.int_op(ty, Instruction::I32Add, Instruction::I64Add);
            }
            3 if memory.memory64 => {
                self.masked(ValType::I32, depth, 0x7fff);
                self.emit(Instruction::I64ExtendI32U);
            }
            _ => self.masked(ty, depth, 0x7fff),
        }
        let offset = match self.rng.below(3) {
            0 => 0,
            1 => self.rng.below(64),
            _ => self.rng.below(0x7ff0),
        };
        mem_arg(mem, offset)
    }

    fn masked(&mut self, ty: ValType, depth: u32, mask: i64) {
        self.expr(ty, depth.saturating_sub(1));
        self.int_const(ty, mask);
        self.int_op(ty, Instruction::I32And, Instruction::I64And);
    }

    /// A load of any width.
    fn load(&mut self, ty: ValType, depth: u32) {
        let mem = self.rng.below(self.shape.memories.len() as u64) as u32;
        let at = self.address(mem, depth);
        let choice = self.rng.below(7);
        self.emit(match (ty, choice) {
            (ValType::I32, 0) => Instruction::I32Load8S(at),
            (ValType::I32, 1) => Instruction::I32Load8U(at),
            (ValType::I32, 2) => Instruction::I32Load16S(at),
            (ValType::I32, 3) => Instruction::I32Load16U(at),
            (ValType::I32, _) => Instruction::I32Load(at),
            (ValType::I64, 0) => Instruction::I64Load8S(at),
            (ValType::I64, 1) => Instruction::I64Load8U(at),
            (ValType::I64, 2) => Instruction::I64Load16S(at),
            (ValType::I64, 3) => Instruction::I64Load16U(at),
            (ValType::I64, 4) => Instruction::I64Load32S(at),
            (ValType::I64, 5) => Instruction::I64Load32U(at),
            (ValType::I64, _) => Instruction::I64Load(at),
            (ValType::F32, _) => Instruction::F32Load(at),
            _ => Instruction::F64Load(at),
        });
    }
}
