//! Statements: they leave the stack as it was.

use super::NUMBERS;
use super::body::{Body, Label};
use super::expr::mem_arg;
use super::ops;
use wasm_encoder::{BlockType, Instruction, MemArg, ValType};

/// The most iterations of one loop.
const ITERATIONS: u64 = 12;
/// The most values that statements put onto the stack at once to press on the registers.
const PRESSURE: u64 = 24;

impl Body<'_> {
    /// A statement with others nested in it up to `depth`.
    pub(super) fn statement(&mut self, depth: u32) {
        if !self.affords(30) {
            return;
        }
        match self.rng.below(32) {
            0..=6 => self.assign(),
            7..=9 => self.store(),
            10 => self.set_global(),
            11 | 12 if depth > 0 => self.conditional(depth),
            13..=17 if depth > 0 => self.counted_loop(depth),
            18 if depth > 0 => self.switch(depth),
            19 if depth > 0 => self.escape(depth),
            20 | 21 => self.call(),
            22 => self.call_indirect(),
            23 => self.exchange(),
            24 => self.pressure(),
            25 => self.branch(),
            26 => self.select_chain(),
            27 => self.divide_and_rest(),
            28 if self.times <= 16 => self.bulk(),
            29 => self.call_itself(),
            30 => self.flurry(6),
            _ => self.assign(),
        }
    }

    fn statements(&mut self, most: u64, depth: u32) {
        for _ in 0..1 + self.rng.below(most) {
            self.statement(depth);
        }
    }

    fn assign(&mut self) {
        if let Some(local) = self.any_settable() {
            let ty = self.locals[local as usize];
            self.expr(ty, 3);
            self.emit(Instruction::LocalSet(local));
        }
    }

    fn set_global(&mut self) {
        let global = self.rng.below(self.shape.globals.len() as u64);
        self.expr(self.shape.globals[global as usize], 3);
        self.emit(Instruction::GlobalSet(global as u32));
    }

    /// Stores a local at `address` of the first memory.
    pub(super) fn store_local(&mut self, local: u32, address: i32) {
        let ty = self.locals[local as usize];
        let at = mem_arg(0, 0);
        self.emit(if self.shape.memories[0].memory64 {
            Instruction::I64Const(address.into())
        } else {
            Instruction::I32Const(address)
        });
        self.emit(Instruction::LocalGet(local));
        self.store_value(ty, 3, at);
    }

    /// Stores a value of type `ty` that is on the stack; `choice` is how wide.
    fn store_value(&mut self, ty: ValType, choice: u64, at: MemArg) {
        if matches!(ty, ValType::F32 | ValType::F64) {
            self.canonical(ty);
        }
        self.emit(match (ty, choice) {
            (ValType::I32, 0) => Instruction::I32Store8(at),
            (ValType::I32, 1) => Instruction::I32Store16(at),
            (ValType::I32, _) => Instruction::I32Store(at),
            (ValType::I64, 0) => Instruction::I64Store8(at),
            (ValType::I64, 1) => Instruction::I64Store16(at),
            (ValType::I64, 2) => Instruction::I64Store32(at),
            (ValType::I64, _) => Instruction::I64Store(at),
            (ValType::F32, _) => Instruction::F32Store(at),
            _ => Instruction::F64Store(at),
        });
    }

    /// A store, or an operation on what is in memory.
    fn store(&mut self) {
        let mem = self.rng.below(self.shape.memories.len() as u64) as u32;
        let ty = *self.rng.pick(&NUMBERS);
        let choice = self.rng.below(5);
        if self.rng.one_in(3) {
            return self.update(mem, ty);
        }
        let at = self.address(mem, 2);
        self.expr(ty, 2);
        self.store_value(ty, choice, at);
    }

    /// `memory[a] = memory[a] op x`, with the address computed once or twice.
    fn update(&mut self, mem: u32, ty: ValType) {
        let at = self.address(mem, 2);
        let address_type =
            if self.shape.memories[mem as usize].memory64 { ValType::I64 } else { ValType::I32 };
        let local = self.reserve(address_type);
        self.emit(Instruction::LocalTee(local));
        self.emit(Instruction::LocalGet(local));
        self.emit(match ty {
            ValType::I32 => Instruction::I32Load(at),
            ValType::I64 => Instruction::I64Load(at),
            ValType::F32 => Instruction::F32Load(at),
            _ => Instruction::F64Load(at),
        });
        self.expr(ty, 1);
        let op = self.rng.pick(ops::binary(ty)).clone();
        self.emit(op);
        let choice = self.rng.below(6);
        self.store_value(ty, choice, at);
    }

    fn conditional(&mut self, depth: u32) {
        self.condition(2);
        self.emit(Instruction::If(BlockType::Empty));
        self.labels.push(Label { types: Vec::new(), counter: None });
        self.statements(4, depth - 1);
        if self.rng.one_in(2) {
            self.emit(Instruction::Else);
            self.statements(4, depth - 1);
        }
        self.labels.pop();
        self.emit(Instruction::End);
    }

    /// A loop that counts down and may carry values on the stack as well.
    fn counted_loop(&mut self, depth: u32) {
        let most = 1 + self.rng.below(ITERATIONS);
        if !self.affords(most * 60) {
            return;
        }
        // Values are carried on the stack when there is a signature from some types to the same.
        let carried: Vec<ValType> = match self.rng.below(3) {
            0 => self.carried(),
            _ => Vec::new(),
        };
        let (block, carried) = match self.block_type(&carried, &carried) {
            Some(block) => (block, carried),
            None => (BlockType::Empty, Vec::new()),
        };
        let counter = self.reserve(ValType::I32);
        if self.rng.one_in(2) {
            self.emit(Instruction::I32Const(most as i32));
        } else {
            self.expr(ValType::I32, 1);
            self.emit(Instruction::I32Const(most as i32));
            self.emit(Instruction::I32RemU);
            self.emit(Instruction::I32Const(1));
            self.emit(Instruction::I32Add);
        }
        self.emit(Instruction::LocalSet(counter));
        self.values(&carried, 1);
        let times = self.times;
        self.times *= most;
        self.emit(Instruction::Loop(block));
        self.labels.push(Label { types: carried.clone(), counter: Some(counter) });
        self.emit(Instruction::LocalGet(counter));
        self.emit(Instruction::I32Const(1));
        self.emit(Instruction::I32Sub);
        self.emit(Instruction::LocalSet(counter));
        self.statements(6, depth - 1);
        if !carried.is_empty() {
            self.take(&carried);
            self.values(&carried, 2);
        }
        if self.rng.one_in(3) {
            self.condition(2);
            self.while_counting(counter);
        } else {
            self.emit(Instruction::LocalGet(counter));
        }
        self.emit(Instruction::BrIf(0));
        self.labels.pop();
        self.emit(Instruction::End);
        self.times = times;
        self.take(&carried);
    }

    /// Makes the condition on the stack zero once `counter` is.
    fn while_counting(&mut self, counter: u32) {
        self.emit(Instruction::I32Const(0));
        self.emit(Instruction::I32Ne);
        self.emit(Instruction::LocalGet(counter));
        self.emit(Instruction::I32Const(0));
        self.emit(Instruction::I32GtS);
        self.emit(Instruction::I32And);
    }

    /// A loop in which most locals change places and which is entered again from many places: their
    /// values on all of these edges are more than the front end keeps apart.
    pub(super) fn storm(&mut self) {
        let counter = self.reserve(ValType::I32);
        self.emit(Instruction::I32Const(2));
        self.emit(Instruction::LocalSet(counter));
        let times = self.times;
        self.times *= 2;
        self.emit(Instruction::Loop(BlockType::Empty));
        self.labels.push(Label { types: Vec::new(), counter: Some(counter) });
        self.emit(Instruction::LocalGet(counter));
        self.emit(Instruction::I32Const(1));
        self.emit(Instruction::I32Sub);
        self.emit(Instruction::LocalSet(counter));
        for ty in NUMBERS {
            self.exchange_some(ty, 100);
        }
        self.flurry(100);
        self.statements(3, 1);
        self.emit(Instruction::LocalGet(counter));
        self.emit(Instruction::BrIf(0));
        self.labels.pop();
        self.emit(Instruction::End);
        self.times = times;
    }

    /// Branches to one place, with little between them but locals that change places.
    fn flurry(&mut self, least: u64) {
        let plain = |label: &Label| label.types.is_empty();
        let looped = self.labels.iter().rposition(|l| plain(l) && l.counter.is_some());
        let Some(at) = looped.or(self.labels.iter().rposition(plain)) else { return };
        let number = (self.labels.len() - 1 - at) as u32;
        for _ in 0..least + self.rng.below(24) {
            if !self.affords(20) {
                return;
            }
            let ty = *self.rng.pick(&NUMBERS);
            let (from, to) = (self.readable(ty), self.settable(ty));
            if let (Some(from), Some(to)) = (from, to) {
                self.emit(Instruction::LocalGet(from));
                self.emit(Instruction::LocalSet(to));
            }
            match self.readable(ValType::I32) {
                Some(local) if !self.rng.one_in(10) => self.emit(Instruction::LocalGet(local)),
                _ => self.condition(1),
            }
            match self.labels[at].counter {
                // Zero once the counter is, and less often than it otherwise.
                Some(counter) => {
                    self.emit(Instruction::LocalGet(counter));
                    self.emit(Instruction::I32And);
                }
                None => {
                    self.emit(Instruction::I32Const(15));
                    self.emit(Instruction::I32And);
                    self.emit(Instruction::I32Eqz);
                }
            }
            self.emit(Instruction::BrIf(number));
        }
    }

    /// Types that some signature both takes and makes.
    fn carried(&mut self) -> Vec<ValType> {
        let sigs = &self.shape.sigs;
        let first = self.rng.below(sigs.len() as u64) as usize;
        (0..sigs.len())
            .map(|at| &sigs[(first + at) % sigs.len()])
            .find(|sig| sig.params == sig.results)
            .map(|sig| sig.params.clone())
            .unwrap_or_default()
    }

    /// A branch table over a nest of blocks, and sometimes to loops around.
    fn switch(&mut self, depth: u32) {
        let arms = 1 + self.rng.below(9) as u32;
        for _ in 0..=arms {
            self.emit(Instruction::Block(BlockType::Empty));
            self.labels.push(Label { types: Vec::new(), counter: None });
        }
        self.expr(ValType::I32, 2);
        if self.rng.one_in(2) {
            let mask = i32::try_from(arms.next_power_of_two() * 2 - 1).unwrap_or(0);
            self.emit(Instruction::I32Const(mask));
            self.emit(Instruction::I32And);
        }
        let mut targets: Vec<u32> =
            (0..self.rng.below(14)).map(|_| self.rng.below(u64::from(arms) + 1) as u32).collect();
        let around = self.labels.iter().rev().position(|l| l.counter.is_some());
        if let Some(around) = around
            && self.labels[self.labels.len() - 1 - around].types.is_empty()
            && self.rng.one_in(2)
        {
            // Not once the loop has counted down: then the index is that of the default.
            let counter = self.labels[self.labels.len() - 1 - around].counter;
            targets.push(around as u32);
            self.emit(Instruction::I32Const(-1));
            self.emit(Instruction::LocalGet(counter.unwrap_or(0)));
            self.emit(Instruction::I32Const(0));
            self.emit(Instruction::I32GtS);
            self.emit(Instruction::Select);
        }
        let default = self.rng.below(u64::from(arms) + 1) as u32;
        self.emit(Instruction::BrTable(targets.into(), default));
        for arm in 0..=arms {
            self.labels.pop();
            self.emit(Instruction::End);
            if self.affords(60) {
                self.statements(2, depth - 1);
            }
            if arm < arms && self.rng.one_in(2) {
                let out = self.rng.below(u64::from(arms - arm)) as u32;
                self.emit(Instruction::Br(out));
            }
        }
    }

    /// A block with ways out in the middle.
    fn escape(&mut self, depth: u32) {
        self.emit(Instruction::Block(BlockType::Empty));
        self.labels.push(Label { types: Vec::new(), counter: None });
        for _ in 0..1 + self.rng.below(3) {
            self.statements(2, depth - 1);
            self.condition(2);
            self.emit(Instruction::BrIf(0));
        }
        self.labels.pop();
        self.emit(Instruction::End);
    }

    /// A conditional branch to any label around, with the values it takes.
    fn branch(&mut self) {
        let at = self.rng.below(self.labels.len() as u64) as usize;
        let number = (self.labels.len() - 1 - at) as u32;
        // Away from the function only now and then, so that something is left to run.
        if at == 0 && !self.rng.one_in(6) {
            return;
        }
        let Label { types, counter } = self.labels[at].clone();
        if !self.affords(8 * types.len() as u64 + 20) {
            return;
        }
        self.values(&types, 1);
        self.condition(2);
        if at == 0 {
            self.emit(Instruction::I32Const(7));
            self.emit(Instruction::I32And);
            self.emit(Instruction::I32Const(7));
            self.emit(Instruction::I32Eq);
        }
        if let Some(counter) = counter {
            self.while_counting(counter);
        }
        self.emit(Instruction::BrIf(number));
        for &ty in types.iter().rev() {
            match self.settable(ty) {
                Some(local) if self.rng.one_in(2) => self.emit(Instruction::LocalSet(local)),
                _ => self.emit(Instruction::Drop),
            }
        }
    }

    fn call(&mut self) {
        let Some((index, callee)) = self.callee(|_| true) else { return self.assign() };
        let sig = &self.shape.sigs[callee.sig];
        self.values(&sig.params, 1);
        self.emit(Instruction::Call(index));
        self.book(callee);
        self.take(&sig.results);
    }

    /// A call through the table, with an index known or computed.
    fn call_indirect(&mut self) {
        let Some((index, callee)) = self.callee(|_| true) else { return self.assign() };
        let sig = &self.shape.sigs[callee.sig];
        // A computed index may name any function of this type.
        let funcs = &self.shape.funcs;
        let alike = funcs.iter().filter(|func| func.sig == callee.sig);
        let worst = *alike.max_by_key(|func| func.cost).unwrap_or(&callee);
        if !self.affords(worst.cost + 10 * sig.params.len() as u64 + 10) {
            return self.assign();
        }
        self.values(&sig.params, 1);
        if self.rng.one_in(100) {
            self.expr(ValType::I32, 1);
            // Not this function nor one that calls it.
            self.emit(Instruction::I32Const(index as i32 + 1));
            self.emit(Instruction::I32RemU);
        } else {
            self.emit(Instruction::I32Const(index as i32));
            if let Some((other, _)) = self.callee(|candidate| std::ptr::eq(candidate, sig)) {
                self.emit(Instruction::I32Const(other as i32));
                self.condition(1);
                self.emit(Instruction::Select);
            }
        }
        self.emit(Instruction::CallIndirect { type_index: callee.sig as u32, table_index: 0 });
        self.book(worst);
        self.take(&sig.results);
    }

    /// A call of itself, less deep.
    fn call_itself(&mut self) {
        if self.self_calls == 0 || self.times != 1 {
            return self.assign();
        }
        self.self_calls -= 1;
        self.emit(Instruction::LocalGet(0));
        self.emit(Instruction::If(BlockType::Empty));
        self.labels.push(Label { types: Vec::new(), counter: None });
        self.arguments_less_deep();
        let index = self.index();
        self.emit(Instruction::Call(index));
        self.take(&self.sig.results);
        self.labels.pop();
        self.emit(Instruction::End);
    }

    fn arguments_less_deep(&mut self) {
        self.emit(Instruction::LocalGet(0));
        self.emit(Instruction::I32Const(1));
        self.emit(Instruction::I32Sub);
        self.values(&self.sig.params[1..], 1);
    }

    /// Ends the function by a tail call, if there is something to call; else false.
    pub(super) fn tail_call(&mut self) -> bool {
        let results = &self.sig.results;
        if self.self_calls > 0 {
            self.emit(Instruction::LocalGet(0));
            self.emit(Instruction::If(BlockType::Empty));
            self.arguments_less_deep();
            let index = self.index();
            self.emit(Instruction::ReturnCall(index));
            self.emit(Instruction::End);
            return false;
        }
        let Some((index, callee)) = self.callee(|sig| sig.results == *results) else {
            return false;
        };
        let sig = &self.shape.sigs[callee.sig];
        self.values(&sig.params, 2);
        if self.rng.one_in(2) {
            self.emit(Instruction::ReturnCall(index));
        } else {
            self.emit(Instruction::I32Const(index as i32));
            self.emit(Instruction::ReturnCallIndirect {
                type_index: callee.sig as u32,
                table_index: 0,
            });
        }
        self.book(callee);
        true
    }

    /// How many locals change places: a few, or most there are.
    fn width(&mut self) -> u64 {
        if self.rng.one_in(4) { 10 + self.rng.below(40) } else { 2 + self.rng.below(5) }
    }

    /// Locals change places, all at once.
    fn exchange(&mut self) {
        let ty = *self.rng.pick(&NUMBERS);
        let width = self.width();
        self.exchange_some(ty, width);
    }

    fn exchange_some(&mut self, ty: ValType, width: u64) {
        let locals: Vec<u32> = (0..width).filter_map(|_| self.settable(ty)).collect();
        for &local in &locals {
            self.emit(Instruction::LocalGet(local));
        }
        let shift = 1 + self.rng.below(locals.len().max(1) as u64) as usize;
        for at in (0..locals.len()).rev() {
            self.emit(Instruction::LocalSet(locals[(at + shift) % locals.len()]));
        }
    }

    /// Many values at once, of one type or of several.
    fn pressure(&mut self) {
        let ty = *self.rng.pick(&NUMBERS);
        let count = 6 + self.rng.below(PRESSURE - 6);
        if !self.affords(count * 12) {
            return self.assign();
        }
        for _ in 0..count {
            self.expr(ty, 1);
        }
        for _ in 1..count {
            let op = self.rng.pick(ops::binary(ty)).clone();
            self.emit(op);
        }
        self.take(&[ty]);
    }

    fn select_chain(&mut self) {
        let ty = *self.rng.pick(&NUMBERS);
        self.expr(ty, 1);
        for _ in 0..2 + self.rng.below(5) {
            self.expr(ty, 1);
            self.condition(1);
            self.emit(Instruction::Select);
        }
        self.take(&[ty]);
    }

    /// Quotient and remainder of the same operands.
    fn divide_and_rest(&mut self) {
        let ty = if self.rng.one_in(2) { ValType::I32 } else { ValType::I64 };
        let (a, b) = (self.reserve(ty), self.reserve(ty));
        let (or, one) = match ty {
            ValType::I32 => (Instruction::I32Or, Instruction::I32Const(1)),
            _ => (Instruction::I64Or, Instruction::I64Const(1)),
        };
        self.expr(ty, 2);
        self.emit(Instruction::LocalSet(a));
        self.expr(ty, 2);
        self.emit(one);
        self.emit(or);
        self.emit(Instruction::LocalSet(b));
        let unsigned = usize::from(self.rng.one_in(2));
        for at in [unsigned, 2 + unsigned] {
            let op = ops::divide(ty)[at].clone();
            self.emit(Instruction::LocalGet(a));
            self.emit(Instruction::LocalGet(b));
            self.emit(op);
        }
        self.take(&[ty, ty]);
    }

    /// Growth, and operations on many bytes at once.
    fn bulk(&mut self) {
        let mem = self.rng.below(self.shape.memories.len() as u64) as u32;
        let wide = self.shape.memories[mem as usize].memory64;
        let size = |value: i64| match wide {
            true => Instruction::I64Const(value),
            false => Instruction::I32Const(value as i32),
        };
        match self.rng.below(4) {
            0 => {
                self.emit(size(1));
                self.emit(Instruction::MemoryGrow(mem));
                self.take(&[if wide { ValType::I64 } else { ValType::I32 }]);
            }
            1 => {
                self.emit(Instruction::MemorySize(mem));
                self.take(&[if wide { ValType::I64 } else { ValType::I32 }]);
            }
            2 => {
                let to = self.rng.below(0x8000) as i64;
                let len = self.rng.below(300) as i64;
                self.emit(size(to));
                self.expr(ValType::I32, 1);
                self.emit(size(len));
                self.emit(Instruction::MemoryFill(mem));
            }
            _ => {
                let (to, from) = (self.rng.below(0x8000) as i64, self.rng.below(0x8000) as i64);
                let len = self.rng.below(300) as i64;
                self.emit(size(to));
                self.emit(size(from));
                self.emit(size(len));
                self.emit(Instruction::MemoryCopy { src_mem: mem, dst_mem: mem });
            }
        }
    }
}
