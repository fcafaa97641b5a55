//! Makes programs.
//!
//! What an operator needs on the stack is completed, not made anew: of the types wanted, as many as
//! lie there already are left where they are. So lists travel from call to branch to call without
//! anybody looking at their values.

use super::{Func, Op, Program};
use crate::Rng;
use runwell_abi::Type;
use runwell_ir::Signature;

const NUMBERS: [Type; 4] = [Type::I32, Type::I64, Type::F32, Type::F64];
/// How deep constructs nest.
const DEPTH: usize = 4;

/// A construct that can be branched to.
struct Label {
    types: Vec<Type>,
    is_loop: bool,
}

struct Make<'a> {
    rng: &'a mut Rng,
    program: &'a Program,
    results: Vec<Type>,
    locals: Vec<Type>,
    /// The whole operand stack.
    stack: Vec<Type>,
    /// Height below the operands of the innermost construct.
    floor: usize,
    labels: Vec<Label>,
    /// Statements that may still be made.
    left: usize,
}

fn list(rng: &mut Rng, len: u64) -> Vec<Type> {
    let single = *rng.pick(&NUMBERS);
    let uniform = rng.one_in(3);
    (0..len).map(|_| if uniform { single } else { *rng.pick(&NUMBERS) }).collect()
}

/// Types that share their lists, or parts of them.
fn types(rng: &mut Rng, most: u64) -> Vec<Signature> {
    let mut types = Vec::new();
    let mut add = |params: &[Type], results: &[Type]| {
        types.push(Signature { params: params.into(), results: results.into() });
    };
    add(&[], &[]);
    for _ in 0..2 {
        // Around the places where something changes, or anything.
        let len = match rng.below(4) {
            0 => 4 + rng.below(3),
            1 => 7 + rng.below(4),
            _ => 1 + rng.below(most),
        };
        let many = list(rng, len);
        let other = 1 + rng.below(most.min(12));
        let other = list(rng, other);
        let cut = rng.below(len) as usize;
        add(&many, &many);
        add(&[], &many);
        add(&many, &[]);
        add(&many[..cut], &many);
        add(&many, &many[cut..]);
        add(&many, &other);
        add(&other, &many);
        // All of them move by one place.
        let mut shifted = many[1..].to_vec();
        shifted.push(*rng.pick(&NUMBERS));
        add(&many, &shifted);
        let few = rng.below(5);
        let few = list(rng, few);
        add(&few, &few);
    }
    types
}

pub(super) fn program(mut rng: Rng, most: u64) -> Program {
    let mut program = Program { types: types(&mut rng, most), funcs: Vec::new() };
    let count = 3 + rng.below(4);
    for number in 0..count {
        let ty = rng.below(program.types.len() as u64) as usize;
        let sig = program.types[ty].clone();
        let mut locals = sig.params.to_vec();
        locals.extend(NUMBERS);
        let mut make = Make {
            rng: &mut rng,
            program: &program,
            results: sig.results.to_vec(),
            locals: locals.clone(),
            stack: Vec::new(),
            floor: 0,
            labels: Vec::new(),
            left: 30,
        };
        let mut body = Vec::new();
        if number == count - 1 {
            body.push(Op::Reset);
        }
        make.body(&mut body, 0, &sig.results, false, &sig.results);
        program.funcs.push(Func { ty, locals, body });
    }
    program
}

impl Make<'_> {
    /// The inside of a construct that takes `params` operands. Afterwards its results are on the
    /// stack.
    fn body(
        &mut self,
        ops: &mut Vec<Op>,
        params: usize,
        results: &[Type],
        is_loop: bool,
        label: &[Type],
    ) {
        let outer = std::mem::replace(&mut self.floor, self.stack.len() - params);
        self.labels.push(Label { types: label.to_vec(), is_loop });
        let mut ended = false;
        for _ in 0..2 + self.rng.below(6) {
            if self.left == 0 {
                break;
            }
            self.left -= 1;
            ended = self.statement(ops);
            if ended {
                break;
            }
        }
        if !ended {
            if !is_loop && self.rng.one_in(3) {
                // Over whatever lies below.
                self.complete(ops, results);
                ops.push(Op::Br(0));
            } else {
                self.leave_exactly(ops, results);
            }
        }
        self.stack.truncate(self.floor);
        self.stack.extend_from_slice(results);
        self.labels.pop();
        self.floor = outer;
    }

    fn own(&self) -> &[Type] {
        &self.stack[self.floor..]
    }

    fn push(&mut self, ops: &mut Vec<Op>, ty: Type) {
        let same: Vec<u32> =
            (0..self.locals.len() as u32).filter(|&at| self.locals[at as usize] == ty).collect();
        if !same.is_empty() && self.rng.one_in(2) {
            ops.push(Op::Get(*self.rng.pick(&same)));
        } else {
            let bits = match ty {
                Type::I32 => self.rng.next_u64() & 0xffff_ffff,
                Type::F32 => u64::from((self.rng.next_u64() as i16 as f32).to_bits()),
                Type::F64 => f64::from(self.rng.next_u64() as i32).to_bits(),
                _ => self.rng.next_u64() >> self.rng.below(64),
            };
            ops.push(Op::Const(ty, bits));
        }
        self.stack.push(ty);
    }

    /// Makes `wanted` the topmost operands.
    fn complete(&mut self, ops: &mut Vec<Op>, wanted: &[Type]) {
        let own = self.own();
        let most = own.len().min(wanted.len());
        let there = (0..=most).rev().find(|&n| own[own.len() - n..] == wanted[..n]).unwrap_or(0);
        for &ty in &wanted[there..] {
            self.push(ops, ty);
        }
    }

    /// Makes `wanted` the only operands.
    fn leave_exactly(&mut self, ops: &mut Vec<Op>, wanted: &[Type]) {
        let keep = self.own().iter().zip(wanted).take_while(|(a, b)| a == b).count();
        while self.own().len() > keep {
            self.take(ops);
        }
        for &ty in &wanted[keep..] {
            self.push(ops, ty);
        }
    }

    /// Takes the topmost operand, and mostly looks at it.
    fn take(&mut self, ops: &mut Vec<Op>) {
        let Some(ty) = self.stack.pop() else { return };
        ops.push(if self.rng.one_in(4) { Op::Drop } else { Op::Mix(ty) });
    }

    fn condition(&mut self) -> Op {
        if self.rng.one_in(4) { Op::Tick } else { Op::Bits(self.rng.below(60) as u32, 1) }
    }

    /// A label, as its depth, and what a branch to it carries.
    fn label(&mut self) -> (u32, Vec<Type>, bool) {
        let depth = self.rng.below(self.labels.len() as u64) as usize;
        let label = &self.labels[self.labels.len() - 1 - depth];
        (depth as u32, label.types.clone(), label.is_loop)
    }

    /// True if control does not go on behind it.
    fn statement(&mut self, ops: &mut Vec<Op>) -> bool {
        match self.rng.below(20) {
            0..3 => {
                for _ in 0..1 + self.rng.below(3) {
                    let ty = *self.rng.pick(&NUMBERS);
                    self.push(ops, ty);
                }
            }
            3..5 => {
                for _ in 0..(1 + self.rng.below(4)).min(self.own().len() as u64) {
                    self.take(ops);
                }
            }
            5 => {
                if let [.., a, b] = *self.own()
                    && a == b
                {
                    self.stack.pop();
                    if a.is_int() && self.rng.one_in(2) {
                        ops.push(Op::Add(a));
                    } else {
                        ops.push(self.condition());
                        ops.push(Op::Select);
                    }
                }
            }
            6..8 => self.set_local(ops),
            8..13 => self.construct(ops),
            13..16 => self.call(ops),
            16..18 => {
                let (depth, types, is_loop) = self.label();
                self.complete(ops, &types);
                ops.push(if is_loop { Op::Tick } else { self.condition() });
                ops.push(Op::BrIf(depth));
            }
            18 => return self.rng.one_in(2) && self.table(ops),
            _ => return self.rng.one_in(2) && self.leave(ops),
        }
        false
    }

    fn set_local(&mut self, ops: &mut Vec<Op>) {
        let Some(&ty) = self.own().last() else { return };
        let same: Vec<u32> =
            (0..self.locals.len() as u32).filter(|&at| self.locals[at as usize] == ty).collect();
        let local = *self.rng.pick(&same);
        if self.rng.one_in(2) {
            ops.push(Op::Tee(local));
        } else {
            ops.push(Op::Set(local));
            self.stack.pop();
        }
    }

    fn construct(&mut self, ops: &mut Vec<Op>) {
        if self.labels.len() > DEPTH {
            return;
        }
        let ty = self.rng.below(self.program.types.len() as u64) as usize;
        let Signature { params, results } = self.program.types[ty].clone();
        self.complete(ops, &params);
        let mut inside = Vec::new();
        match self.rng.below(4) {
            0 => {
                self.body(&mut inside, params.len(), &results, false, &results);
                ops.push(Op::Block(ty, inside));
            }
            1 => {
                self.body(&mut inside, params.len(), &results, true, &params);
                ops.push(Op::Loop(ty, inside));
            }
            _ => {
                ops.push(self.condition());
                let stack = self.stack.clone();
                self.body(&mut inside, params.len(), &results, false, &results);
                let otherwise = (params != results || self.rng.one_in(2)).then(|| {
                    let mut otherwise = Vec::new();
                    self.stack = stack;
                    self.body(&mut otherwise, params.len(), &results, false, &results);
                    otherwise
                });
                ops.push(Op::If(ty, inside, otherwise));
            }
        }
    }

    fn call(&mut self, ops: &mut Vec<Op>) {
        if self.program.funcs.is_empty() {
            return;
        }
        let func = self.rng.below(self.program.funcs.len() as u64) as usize;
        let Signature { params, results } = self.program.sig(func).clone();
        self.complete(ops, &params);
        self.stack.truncate(self.stack.len() - params.len());
        self.stack.extend_from_slice(&results);
        ops.push(if self.rng.one_in(3) { Op::CallIndirect(func) } else { Op::Call(func) });
    }

    /// A branch table over labels of the same types. One that leads back into a loop takes a tick.
    fn table(&mut self, ops: &mut Vec<Op>) -> bool {
        let (first, types, is_loop) = self.label();
        if is_loop {
            return false;
        }
        let depths = 0..self.labels.len() as u32;
        let of = |depth: u32| &self.labels[self.labels.len() - 1 - depth as usize];
        let same: Vec<u32> = depths.filter(|&depth| of(depth).types == types).collect();
        let (loops, others): (Vec<u32>, Vec<u32>) =
            same.into_iter().partition(|&depth| of(depth).is_loop);
        self.complete(ops, &types);
        if !loops.is_empty() && self.rng.one_in(2) {
            ops.push(Op::Tick);
            ops.push(Op::BrTable(vec![first], *self.rng.pick(&loops)));
        } else {
            // Long ones carry so much that it goes by cells.
            let most = if self.rng.one_in(3) { 200 } else { 12 };
            let count = self.rng.below(most);
            let depths = (0..count).map(|_| *self.rng.pick(&others)).collect();
            ops.push(Op::Bits(self.rng.below(60) as u32, 7));
            ops.push(Op::BrTable(depths, first));
        }
        true
    }

    /// Leaves the construct, or the function.
    fn leave(&mut self, ops: &mut Vec<Op>) -> bool {
        let results = self.results.clone();
        let tail: Vec<usize> = (0..self.program.funcs.len())
            .filter(|&func| *self.program.sig(func).results == *results)
            .collect();
        if !tail.is_empty() && self.rng.one_in(2) {
            let func = *self.rng.pick(&tail);
            let params = self.program.sig(func).params.clone();
            self.complete(ops, &params);
            let direct = self.rng.one_in(2);
            ops.push(if direct { Op::ReturnCall(func) } else { Op::ReturnCallIndirect(func) });
            return true;
        }
        let (depth, types, is_loop) = self.label();
        if is_loop || self.rng.one_in(3) {
            self.complete(ops, &results);
            ops.push(Op::Return);
        } else {
            self.complete(ops, &types);
            ops.push(Op::Br(depth));
        }
        true
    }
}
