//! Random expressions, made again by the builder, which folds, numbers and forwards: the evaluator
//! must give the same results before and after.

use runwell_ir::op::{Effect, OPS};
use runwell_ir::{Function, Inst, Op, Shape, Signature, Type, Value, parse, print};
use runwell_testkit::Rng;
use runwell_testkit::filetest::{Case, kinds};

const TYPES: [Type; 4] = [Type::I32, Type::I64, Type::F32, Type::F64];

/// Expressions per function.
const LEN: usize = 24;

struct Made {
    func: Function,
    /// Values of each type, in the order of `TYPES`.
    values: [Vec<Value>; 4],
    rng: Rng,
}

impl Made {
    fn below(&mut self, bound: usize) -> usize {
        self.rng.next_u64() as usize % bound
    }

    fn ty(&mut self) -> Type {
        TYPES[self.below(4)]
    }

    fn of(&mut self, ty: Type) -> &mut Vec<Value> {
        &mut self.values[TYPES.iter().position(|&t| t == ty).expect("one of the four")]
    }

    /// A constant that rules look at: small, a power of two, a mask, all ones, any.
    fn constant(&mut self, ty: Type) -> Value {
        let bit = self.below(64);
        let bits = match self.below(8) {
            0 => 0,
            1 => 1,
            2 => u64::MAX,
            3 => 1 << bit,
            4 => (1u64 << bit) - 1,
            5 => !(1 << bit),
            6 => self.rng.next_u64() % 70,
            _ => self.rng.next_u64(),
        };
        let bits = if ty.bytes() == 4 { bits & 0xffff_ffff } else { bits };
        self.func.push_const(ty, bits.into())
    }

    /// An operand, most often a recent one, so that rules find what they combine.
    fn operand(&mut self, ty: Type) -> Value {
        if self.below(3) == 0 {
            return self.constant(ty);
        }
        let back = 1 + if self.below(2) == 0 { 0 } else { self.below(8) };
        let values = self.of(ty);
        values[values.len().saturating_sub(back)]
    }

    fn push(&mut self, inst: Inst) {
        let value = self.func.push(inst, 0);
        let ty = inst.result_type().expect("an expression");
        self.of(ty).push(value);
    }

    fn expression(&mut self) {
        // Often the last one again: rules combine operations of one kind.
        let last = self.func.insts.last().map_or(Op::Nop, |inst| inst.op);
        let row = if self.below(4) == 0 { last.info() } else { &OPS[self.below(OPS.len())] };
        let (op, float) = (row.op, self.below(2));
        let wanted = match row.effect {
            Effect::Pure => true,
            // What traps ends the run, so there are few.
            Effect::Trap => self.below(8) == 0,
            _ => false,
        };
        if !wanted {
            return;
        }
        let ints = [Type::I32, Type::I64];
        let floats = [Type::F32, Type::F64];
        let any_int = ints[self.below(2)];
        match row.shape {
            Shape::Select => {
                let ty = self.ty();
                let cond = self.operand(Type::I32);
                let (a, b) = (self.operand(ty), self.operand(ty));
                self.push(Inst::new(op, ty, 0, cond.0, a.0, b.0));
            }
            Shape::Binary => {
                let is_float = (Op::FAdd..=Op::FGe).contains(&op);
                let ty = if is_float { floats[float] } else { any_int };
                let (a, b) = (self.operand(ty), self.operand(ty));
                self.push(Inst::new(op, ty, 0, a.0, b.0, 0));
            }
            Shape::Unary => {
                let (ty, from) = match op {
                    Op::Extend32S => (Type::I64, Type::I64),
                    Op::Wrap => (Type::I32, Type::I64),
                    Op::ExtendS | Op::ExtendU => (Type::I64, Type::I32),
                    Op::TruncS | Op::TruncU | Op::TruncSatS | Op::TruncSatU => {
                        (any_int, floats[float])
                    }
                    Op::ConvertS | Op::ConvertU => (floats[float], any_int),
                    Op::Demote => (Type::F32, Type::F64),
                    Op::Promote => (Type::F64, Type::F32),
                    Op::Bitcast => {
                        let at = self.below(4);
                        (TYPES[at], TYPES[(at + 2) % 4])
                    }
                    op if (Op::FAdd..=Op::FGe).contains(&op) => (floats[float], floats[float]),
                    _ => (any_int, any_int),
                };
                let a = self.operand(from);
                self.push(Inst::new(op, ty, 0, a.0, 0, 0));
            }
            _ => {}
        }
    }
}

/// A function of one block that returns all that it computes.
fn random(seed: u64) -> Function {
    let rng = Rng(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let mut made = Made { func: Function::default(), values: Default::default(), rng };
    for ty in TYPES {
        for _ in 0..2 {
            let number = made.func.insts.len() as u32;
            made.push(Inst::new(Op::Param, ty, 0, 0, 0, number));
        }
    }
    let params = made.func.insts.len();
    while made.func.insts.len() < params + LEN {
        made.expression();
    }
    let mut func = made.func;
    let values: Vec<Value> = (params..func.insts.len()).map(Value::inst).collect();
    let sig = Signature {
        params: func.insts[..params].iter().map(|inst| inst.ty).collect(),
        results: values.iter().map(|&value| func.value_type(value)).collect(),
    };
    func.sigs = [sig].into();
    let (start, len) = (func.push_list(&values), values.len() as u32);
    func.push(Inst::new(Op::Return, Type::I32, 0, start, len, 0), 0);
    func.blocks.push(runwell_ir::BlockData {
        first: 0,
        end: func.insts.len() as u32,
        params: params as u32,
        loop_id: runwell_ir::LoopId::NONE,
        cold: false,
    });
    func
}

/// As file tests of kind `opt`, which run functions on sample arguments before and after.
#[test]
fn rules_change_nothing() {
    let (mut before, mut after) = (0, 0);
    for seed in 0..1500 {
        let func = random(seed);
        let text = format!("; test: opt\n{}", print::function(&func));
        let case = Case::parse(&text, false).expect("a test");
        let made = kinds::run(&case).unwrap_or_else(|error| panic!("seed {seed}: {error}\n{text}"));
        before += func.insts.len();
        after += parse::function(&made).expect("a function").insts.len();
    }
    // The rules find something to do, or this would say nothing of them.
    assert!(after * 10 < before * 9, "{after} of {before} instructions");
}
