//! One function in the making.

use super::{Callee, Shape, Sig};
use crate::Rng;
use wasm_encoder::{BlockType, Function, Instruction, ValType};

/// Operators that one call of the first function may run; those after it, which may call the ones
/// before, as much more each.
const FUNCTION_COST: u64 = 2_500;
/// Operators in one function at the most, so that single modules stay quick to compile.
const FUNCTION_SIZE: usize = 2_000;
/// With more locals than this, a function gets a loop around which not all of them fit.
const MANY_LOCALS: usize = 90;
/// How deep a recursive function goes at the most; the mask of its depth.
const DEPTH_MASK: i32 = 3;
/// Calls that a recursive function makes for one call from outside: two of itself per level.
const RECURSIVE_CALLS: u64 = 15;

/// Something to branch to.
#[derive(Clone, Debug)]
pub(super) struct Label {
    /// Types of the values a branch takes along.
    pub(super) types: Vec<ValType>,
    /// Of a loop, the local that counts down at its start.
    pub(super) counter: Option<u32>,
}

/// One function in the making.
pub(super) struct Body<'a> {
    pub(super) rng: Rng,
    pub(super) shape: &'a Shape,
    /// NaNs are made canonical where their bits can be seen.
    pub(super) masks_nans: bool,
    index: u32,
    pub(super) sig: &'a Sig,
    recursive: bool,
    /// Calls of itself that are still to be made.
    pub(super) self_calls: u32,
    /// Types of parameters and locals.
    pub(super) locals: Vec<ValType>,
    /// Locals that statements may set.
    writable: Vec<u32>,
    pub(super) code: Vec<Instruction<'static>>,
    pub(super) labels: Vec<Label>,
    /// How often the code being made runs at the most.
    pub(super) times: u64,
    cost: u64,
    limit: u64,
}

impl<'a> Body<'a> {
    pub(super) fn new(
        mut rng: Rng,
        shape: &'a Shape,
        index: u32,
        sig: usize,
        recursive: bool,
    ) -> Body<'a> {
        let sig = &shape.sigs[sig];
        let mut locals = sig.params.clone();
        // Few locals, as many as usual, or more than the front end keeps as values at each merge.
        let sizes = [(0, 3), (0, 3), (0, 3), (12, 50)];
        let (least, more) = *sizes.get(rng.below(16) as usize).unwrap_or(&(2, 12));
        for &ty in &super::NUMBERS {
            let count = least + rng.below(more);
            locals.extend((0..count).map(|_| ty));
        }
        let writable = (u32::from(recursive)..locals.len() as u32).collect();
        let limit = FUNCTION_COST * (1 + u64::from(index));
        let limit = if recursive { limit / RECURSIVE_CALLS } else { limit };
        Body {
            shape,
            masks_nans: false,
            index,
            sig,
            recursive,
            self_calls: if recursive { 2 } else { 0 },
            locals,
            writable,
            code: Vec::new(),
            labels: vec![Label { types: sig.results.clone(), counter: None }],
            times: 1,
            cost: 0,
            limit,
            rng,
        }
    }

    /// Operators that a call runs at the most.
    pub(super) fn total_cost(&self) -> u64 {
        if self.recursive { self.cost * RECURSIVE_CALLS } else { self.cost }
    }

    /// The function as it goes into the code section.
    pub(super) fn finish(self) -> Function {
        let declared = self.locals[self.sig.params.len()..].iter().map(|&ty| (1, ty));
        let mut function = Function::new(declared);
        for inst in &self.code {
            function.instruction(inst);
        }
        function.instruction(&Instruction::End);
        function
    }

    pub(super) fn emit(&mut self, inst: Instruction<'static>) {
        self.cost += self.times;
        self.code.push(inst);
    }

    /// True if code that costs `more` in one run may still be made.
    pub(super) fn affords(&self, more: u64) -> bool {
        let room = self.limit.saturating_sub(self.cost);
        more.saturating_mul(self.times) <= room && self.code.len() < FUNCTION_SIZE
    }

    /// Makes everything.
    pub(super) fn make(&mut self) {
        if self.recursive {
            self.emit(Instruction::LocalGet(0));
            self.emit(Instruction::I32Const(DEPTH_MASK));
            self.emit(Instruction::I32And);
            self.emit(Instruction::LocalSet(0));
        }
        // Locals start with something else than zero.
        for local in self.sig.params.len() as u32..self.locals.len() as u32 {
            if !self.rng.one_in(3) {
                self.expr(self.locals[local as usize], 1);
                self.emit(Instruction::LocalSet(local));
            }
        }
        if self.locals.len() > MANY_LOCALS {
            self.storm();
        }
        let statements = 4 + self.rng.below(20);
        for _ in 0..statements {
            self.statement(3);
        }
        self.dump();
        if self.rng.one_in(4) && self.tail_call() {
            return;
        }
        self.values(&self.sig.results, 2);
    }

    /// Stores some locals where they stay to be compared.
    fn dump(&mut self) {
        let base = 1024 + 256 * self.index as i32;
        for at in 0..self.writable.len().min(16) {
            let local = *self.rng.pick(&self.writable);
            self.store_local(local, base + 8 * at as i32);
        }
    }

    /// A new local that only its maker sets.
    pub(super) fn reserve(&mut self, ty: ValType) -> u32 {
        self.locals.push(ty);
        self.locals.len() as u32 - 1
    }

    /// A local of type `ty` to read.
    pub(super) fn readable(&mut self, ty: ValType) -> Option<u32> {
        let first = self.rng.below(self.locals.len().max(1) as u64) as usize;
        let len = self.locals.len();
        (0..len).map(|at| (first + at) % len).find(|&at| self.locals[at] == ty).map(|at| at as u32)
    }

    /// A local of type `ty` to set.
    pub(super) fn settable(&mut self, ty: ValType) -> Option<u32> {
        let len = self.writable.len();
        let first = self.rng.below(len.max(1) as u64) as usize;
        (0..len)
            .map(|at| self.writable[(first + at) % len])
            .find(|&local| self.locals[local as usize] == ty)
    }

    /// Any local to set.
    pub(super) fn any_settable(&mut self) -> Option<u32> {
        (!self.writable.is_empty()).then(|| *self.rng.pick(&self.writable))
    }

    /// Takes values of these types off the stack, into locals where there are some.
    pub(super) fn take(&mut self, types: &[ValType]) {
        for &ty in types.iter().rev() {
            match self.settable(ty) {
                Some(local) if !self.rng.one_in(8) => self.emit(Instruction::LocalSet(local)),
                _ => self.emit(Instruction::Drop),
            }
        }
    }

    /// Puts values of these types onto the stack.
    pub(super) fn values(&mut self, types: &[ValType], depth: u32) {
        for &ty in types {
            self.expr(ty, depth);
        }
    }

    /// A function type as a block type, entered in the module when it is one of its signatures, else
    /// one of the short forms.
    pub(super) fn block_type(&self, params: &[ValType], results: &[ValType]) -> Option<BlockType> {
        match (params, results) {
            ([], []) => Some(BlockType::Empty),
            ([], [ty]) => Some(BlockType::Result(*ty)),
            _ => {
                let sigs = &self.shape.sigs;
                let at = sigs.iter().position(|s| s.params == params && s.results == results)?;
                Some(BlockType::FunctionType(at as u32))
            }
        }
    }

    /// A function before this one that may be called here, with its index; `fits` chooses.
    pub(super) fn callee(&mut self, fits: impl Fn(&Sig) -> bool) -> Option<(u32, Callee)> {
        let len = self.shape.funcs.len();
        let first = self.rng.below(len.max(1) as u64) as usize;
        (0..len).map(|at| (first + at) % len).find_map(|at| {
            let callee = self.shape.funcs[at];
            let sig = &self.shape.sigs[callee.sig];
            let cost = callee.cost + 10 * sig.params.len() as u64 + 10;
            (fits(sig) && self.affords(cost)).then_some((at as u32, callee))
        })
    }

    /// Books a call.
    pub(super) fn book(&mut self, callee: Callee) {
        self.cost += self.times * callee.cost;
    }

    /// This function's index.
    pub(super) fn index(&self) -> u32 {
        self.index
    }
}
