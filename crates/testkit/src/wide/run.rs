//! Runs programs, on nothing but a stack.

use super::{ACC, FACTOR, Op, Program, TICKS};
use crate::subject::{Outcome, Subject};
use runwell_abi::Type;
use runwell_ir::Signature;

/// Where control goes after an operator.
enum Flow {
    On,
    /// Out of so many constructs, or back to the start of the last of them. What it carries is on top.
    Branch(u32),
    Return,
    /// To this function, whose arguments are on top.
    TailCall(usize),
}

/// Too many steps.
struct Gave;

/// A program and its globals.
#[derive(Debug)]
pub struct Reference<'a> {
    program: &'a Program,
    acc: u64,
    ticks: u32,
    /// Steps that a call may take.
    limit: u64,
    left: u64,
}

/// Takes the topmost `count` of `stack` down to `height`.
fn cut(stack: &mut Vec<u64>, height: usize, count: usize) {
    let top = stack.len() - count;
    stack.drain(height..top);
}

impl Reference<'_> {
    /// An instance of `program`. Each call may take `limit` steps.
    pub fn new(program: &Program, limit: u64) -> Reference<'_> {
        Reference { program, acc: ACC, ticks: 0, limit, left: 0 }
    }

    fn run(&mut self, mut func: usize, mut args: Vec<u64>) -> Result<Vec<u64>, Gave> {
        let program = self.program;
        loop {
            let results = program.sig(func).results.len();
            let mut locals = args;
            locals.resize(program.funcs[func].locals.len(), 0);
            let mut stack = Vec::new();
            match self.ops(&program.funcs[func].body, &mut stack, &mut locals)? {
                Flow::TailCall(callee) => {
                    args = stack.split_off(stack.len() - program.sig(callee).params.len());
                    func = callee;
                }
                _ => return Ok(stack.split_off(stack.len() - results)),
            }
        }
    }

    fn ops(&mut self, ops: &[Op], stack: &mut Vec<u64>, locals: &mut [u64]) -> Result<Flow, Gave> {
        for op in ops {
            self.left = self.left.checked_sub(1).ok_or(Gave)?;
            match self.op(op, stack, locals)? {
                Flow::On => {}
                flow => return Ok(flow),
            }
        }
        Ok(Flow::On)
    }

    /// The inside of a construct, of which a branch out of it leaves `count` values.
    fn inside(
        &mut self,
        (ops, height, count): (&[Op], usize, usize),
        stack: &mut Vec<u64>,
        locals: &mut [u64],
    ) -> Result<Flow, Gave> {
        Ok(match self.ops(ops, stack, locals)? {
            Flow::Branch(0) => {
                cut(stack, height, count);
                Flow::On
            }
            Flow::Branch(depth) => Flow::Branch(depth - 1),
            flow => flow,
        })
    }

    fn op(&mut self, op: &Op, stack: &mut Vec<u64>, locals: &mut [u64]) -> Result<Flow, Gave> {
        let program = self.program;
        let pop = |stack: &mut Vec<u64>| stack.pop().expect("a valid program");
        match *op {
            Op::Const(_, bits) => stack.push(bits),
            Op::Get(local) => stack.push(locals[local as usize]),
            Op::Set(local) => locals[local as usize] = pop(stack),
            Op::Tee(local) => locals[local as usize] = stack[stack.len() - 1],
            Op::Drop => _ = pop(stack),
            Op::Select => {
                let (cond, other) = (pop(stack), pop(stack));
                if cond == 0 {
                    pop(stack);
                    stack.push(other);
                }
            }
            Op::Add(ty) => {
                let sum = pop(stack).wrapping_add(pop(stack));
                stack.push(if ty == Type::I32 { sum & 0xffff_ffff } else { sum });
            }
            Op::Mix(_) => self.acc = (self.acc ^ pop(stack)).wrapping_mul(FACTOR),
            Op::Bits(from, mask) => stack.push(u64::from((self.acc >> from) as u32 & mask as u32)),
            Op::Tick => {
                self.ticks = self.ticks.wrapping_sub(1);
                stack.push(u64::from(self.ticks as i32 > 0));
            }
            Op::Reset => self.ticks = TICKS,
            Op::Block(ty, ref body) => {
                let Signature { params, results } = &program.types[ty];
                let height = stack.len() - params.len();
                return self.inside((body, height, results.len()), stack, locals);
            }
            Op::Loop(ty, ref body) => {
                let params = program.types[ty].params.len();
                let height = stack.len() - params;
                loop {
                    match self.ops(body, stack, locals)? {
                        Flow::Branch(0) => cut(stack, height, params),
                        Flow::Branch(depth) => return Ok(Flow::Branch(depth - 1)),
                        flow => return Ok(flow),
                    }
                }
            }
            Op::If(ty, ref then, ref otherwise) => {
                let taken = pop(stack) != 0;
                let Signature { params, results } = &program.types[ty];
                let height = stack.len() - params.len();
                let body = if taken { &**then } else { otherwise.as_deref().unwrap_or(&[]) };
                return self.inside((body, height, results.len()), stack, locals);
            }
            Op::Br(depth) => return Ok(Flow::Branch(depth)),
            Op::BrIf(depth) => {
                if pop(stack) != 0 {
                    return Ok(Flow::Branch(depth));
                }
            }
            Op::BrTable(ref depths, default) => {
                let at = pop(stack) as usize;
                return Ok(Flow::Branch(depths.get(at).copied().unwrap_or(default)));
            }
            Op::Return => return Ok(Flow::Return),
            Op::Call(func) | Op::CallIndirect(func) => {
                let args = stack.split_off(stack.len() - program.sig(func).params.len());
                let results = self.run(func, args)?;
                stack.extend(results);
            }
            Op::ReturnCall(func) | Op::ReturnCallIndirect(func) => {
                return Ok(Flow::TailCall(func));
            }
        }
        Ok(Flow::On)
    }
}

impl Subject for Reference<'_> {
    fn name(&self) -> String {
        "stack machine".to_string()
    }

    fn instantiate(&mut self) -> Outcome {
        (self.acc, self.ticks) = (ACC, 0);
        Outcome::Returned(Vec::new())
    }

    fn call(&mut self, export: &str, args: &[u64], _: &Signature) -> Outcome {
        let func = export[1..].parse().expect("a function's number");
        self.left = self.limit;
        match self.run(func, args.to_vec()) {
            Ok(results) => Outcome::Returned(results),
            Err(Gave) => Outcome::Gave,
        }
    }

    fn memory(&mut self, _: &str) -> &[u8] {
        &[]
    }

    fn global(&mut self, export: &str) -> u64 {
        if export == "acc" { self.acc } else { self.ticks.into() }
    }

    fn table_nulls(&mut self, _: &str) -> Vec<bool> {
        Vec::new()
    }
}
