//! Makes a function value by value.

use crate::alias;
use crate::gvn::Gvn;
use crate::memory::{Epochs, Region};
use crate::passes::Passes;
use crate::simplify::{self, RETRIES, Step};
use runwell_abi::call::NARROW_PARAMS;
use runwell_ir::function::{BlockData, CALL_HAS_RESULT};
use runwell_ir::op::Effect;
use runwell_ir::scratch;
use runwell_ir::work::{Pass, Work};
use runwell_ir::{
    Block, Function, Inst, LibCall, LoopId, Op, SigRef, Signature, Slot, TrapCode, Type, Value,
};
use std::sync::Arc;

/// Makes a function value by value, folding, numbering and forwarding as it goes.
///
/// Reusable: after [`Builder::begin`] nothing of an earlier function is left, and no memory is
/// allocated once it has grown to the size of the largest.
#[derive(Debug, Default)]
pub struct Builder {
    /// The function so far.
    pub func: Function,
    /// Steps done since somebody took them.
    pub work: Work,
    /// Which rewrites are made.
    pub passes: Passes,
    src: u32,
    gvn: Gvn,
    consts: ConstTable,
    epochs: Epochs,
    next_epoch: u32,
    aliases: bool,
    /// The rewrites of other functions, when this one makes none any more.
    plain: Option<Passes>,
}

/// The most units of fuel that one instruction charges: what fits the immediate of one.
const FUEL_AT_ONCE: u64 = i32::MAX as u64;

/// Places of the table that finds equal constants.
const CONST_SLOTS: usize = 1 << 9;
/// Places a constant may be in; when all are taken it is entered twice.
const CONST_WAYS: usize = 4;

#[derive(Debug)]
struct ConstTable {
    /// Function stamp and index.
    slots: Vec<(u32, u32)>,
    stamp: u32,
}

impl Default for ConstTable {
    fn default() -> ConstTable {
        ConstTable { slots: vec![(0, 0); CONST_SLOTS], stamp: 0 }
    }
}

impl Builder {
    /// A fresh builder.
    pub fn new() -> Builder {
        Builder::default()
    }

    /// Starts a function.
    pub fn begin(&mut self, index: u32, sig: SigRef, sigs: Arc<[Signature]>) {
        self.func.clear();
        self.func.index = index;
        self.func.sig = sig;
        self.func.sigs = sigs;
        self.src = 0;
        self.gvn.begin();
        self.consts.stamp = match self.consts.stamp.checked_add(1) {
            Some(stamp) => stamp,
            None => {
                self.consts.slots.fill((0, 0));
                1
            }
        };
        self.epochs = Epochs::default();
        self.next_epoch = 0;
        self.aliases = false;
        if let Some(passes) = self.plain.take() {
            self.passes = passes;
        }
    }

    /// Bytes of memory that undoing what was numbered takes, whether it is in use or not.
    pub fn held(&self) -> usize {
        self.gvn.held()
    }

    /// Gives this memory back, when the function is complete.
    pub fn trim(&mut self) {
        self.gvn.trim();
    }

    /// For the rest of the function values are made as they are asked for: the cheaper way, when the
    /// budget runs low. False if that is so already.
    ///
    /// Constants are still found again, and parameters known to be redundant resolved.
    pub fn economize(&mut self) -> bool {
        if self.plain.is_some() {
            return false;
        }
        self.plain = Some(std::mem::replace(&mut self.passes, Passes::NONE));
        true
    }

    /// Makes room for this many instructions of the function that has just begun. There may be more.
    pub fn expect(&mut self, insts: usize) {
        scratch::room(&mut self.func.insts, insts);
        scratch::room(&mut self.func.src, insts);
        self.gvn.expect(insts);
    }

    /// Sets the Wasm byte offset of the instructions to come.
    #[inline]
    pub fn set_src(&mut self, wasm_offset: u32) {
        self.src = wasm_offset;
    }

    /// The Wasm byte offset of the instructions to come.
    pub fn src(&self) -> u32 {
        self.src
    }

    /// Starts the next block. Blocks are numbered in the order they start.
    pub fn start_block(&mut self, loop_id: LoopId) -> Block {
        let first = self.func.insts.len() as u32;
        self.func.blocks.push(BlockData { first, end: first, params: 0, loop_id, cold: false });
        Block(self.func.blocks.len() as u32 - 1)
    }

    /// Adds a parameter to the block that has just started.
    ///
    /// One of the entry is the function's of the same number.
    pub fn param(&mut self, ty: Type) -> Value {
        let number = match &*self.func.blocks {
            [entry] => entry.params,
            _ => 0,
        };
        self.argument(ty, number)
    }

    /// Adds parameter `number` of the function to the entry, which has just started.
    pub fn argument(&mut self, ty: Type, number: u32) -> Value {
        if let Some(block) = self.func.blocks.last_mut() {
            block.params += 1;
        }
        self.push(Inst::new(Op::Param, ty, 0, 0, 0, number))
    }

    /// Ends the block.
    pub fn end_block(&mut self, terminator: Inst) {
        self.push(terminator);
        let end = self.func.insts.len() as u32;
        if let Some(block) = self.func.blocks.last_mut() {
            block.end = end;
        }
    }

    /// Opens a scope of the dominator tree: values made in it are not in reach after it.
    pub fn push_scope(&mut self) {
        self.gvn.push_scope();
    }

    /// Closes the innermost scope.
    ///
    /// # Panics
    /// When none is open.
    pub fn pop_scope(&mut self) {
        self.gvn.pop_scope();
    }

    #[inline]
    fn push(&mut self, inst: Inst) -> Value {
        self.work.charge(Pass::Translate, 1);
        self.func.push(inst, self.src)
    }

    fn constant(&mut self, ty: Type, bits: u64) -> Value {
        let hash = (bits ^ (ty as u64) << 59).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
        for way in 0..CONST_WAYS {
            let at = (hash as usize + way) & (CONST_SLOTS - 1);
            let (stamp, index) = self.consts.slots[at];
            if stamp != self.consts.stamp {
                let value = self.func.push_const(ty, u128::from(bits));
                self.consts.slots[at] = (self.consts.stamp, value.index() as u32);
                return value;
            }
            let found = &self.func.consts[index as usize];
            if found.ty == ty && found.bits == u128::from(bits) {
                return Value::constant(index as usize);
            }
        }
        self.func.push_const(ty, u128::from(bits))
    }

    /// An integer constant; bits above the type's width are ignored.
    pub fn iconst(&mut self, ty: Type, value: u64) -> Value {
        self.constant(ty, if ty == Type::I32 { value & 0xffff_ffff } else { value })
    }

    /// An `F32` constant with these bits.
    pub fn fconst32(&mut self, bits: u32) -> Value {
        self.constant(Type::F32, u64::from(bits))
    }

    /// An `F64` constant with these bits.
    pub fn fconst64(&mut self, bits: u64) -> Value {
        self.constant(Type::F64, bits)
    }

    /// The null reference.
    pub fn null(&mut self, ty: Type) -> Value {
        self.constant(ty, 0)
    }

    /// What `value` stands for: itself unless it is a redundant parameter.
    #[inline]
    pub fn resolve(&mut self, value: Value) -> Value {
        if self.aliases { alias::resolve(&mut self.func, value) } else { value }
    }

    /// Emits a pure instruction, or finds an equal one.
    fn number(&mut self, inst: Inst) -> Value {
        if !self.passes.number {
            return self.push(inst);
        }
        if let Some(value) = self.gvn.find(&inst, 0) {
            self.work.charge(Pass::Translate, 1);
            return value;
        }
        let value = self.push(inst);
        self.gvn.insert(inst, 0, value);
        value
    }

    /// Applies rules until none answers, then emits.
    fn settle(&mut self, mut step: Step, mut inst: Inst) -> Value {
        for _ in 0..RETRIES {
            step = match step {
                Step::Keep => break,
                Step::Value(value) => return value,
                Step::Const(ty, bits) => return self.constant(ty, bits),
                Step::Unary(op, ty, a) => {
                    inst = Inst::new(op, ty, 0, a.0, 0, 0);
                    simplify::unary(&self.func, op, ty, a)
                }
                Step::Binary(op, ty, a, b) => {
                    inst = Inst::new(op, ty, 0, a.0, b.0, 0);
                    simplify::binary(&self.func, op, ty, a, b)
                }
                Step::BinaryConst(op, ty, a, bits) => {
                    let b = self.constant(ty, bits);
                    inst = Inst::new(op, ty, 0, a.0, b.0, 0);
                    simplify::binary(&self.func, op, ty, a, b)
                }
                Step::Select(ty, cond, a, b) => {
                    inst = Inst::new(Op::Select, ty, 0, cond.0, a.0, b.0);
                    simplify::select(&self.func, ty, cond, a, b)
                }
            };
        }
        match step {
            Step::Value(value) => value,
            Step::Const(ty, bits) => self.constant(ty, bits),
            _ => self.number(inst),
        }
    }

    /// A unary operation. `ty` is its controlling type.
    pub fn unary(&mut self, op: Op, ty: Type, a: Value) -> Value {
        let a = self.resolve(a);
        let inst = Inst::new(op, ty, 0, a.0, 0, 0);
        if !self.passes.simplify {
            return self.number(inst);
        }
        let step = simplify::unary(&self.func, op, ty, a);
        self.settle(step, inst)
    }

    /// A binary operation. `ty` is its controlling type.
    pub fn binary(&mut self, op: Op, ty: Type, a: Value, b: Value) -> Value {
        let (mut a, mut b) = (self.resolve(a), self.resolve(b));
        debug_assert!(matches!(op.info().effect, Effect::Pure | Effect::Trap));
        // One order for operands that may change places, so that equal values are found.
        if op.info().commutative && !b.is_const() && (a.is_const() || b < a) {
            (a, b) = (b, a);
        }
        let inst = Inst::new(op, ty, 0, a.0, b.0, 0);
        if !self.passes.simplify {
            return self.number(inst);
        }
        let step = simplify::binary(&self.func, op, ty, a, b);
        self.settle(step, inst)
    }

    /// `a` if `cond` is non-zero, else `b`.
    pub fn select(&mut self, ty: Type, cond: Value, a: Value, b: Value) -> Value {
        let (cond, a, b) = (self.resolve(cond), self.resolve(a), self.resolve(b));
        let inst = Inst::new(Op::Select, ty, 0, cond.0, a.0, b.0);
        if !self.passes.simplify {
            return self.number(inst);
        }
        let step = simplify::select(&self.func, ty, cond, a, b);
        self.settle(step, inst)
    }

    /// Emits a read of a region, or finds the value it must give.
    fn read(&mut self, region: Region, inst: Inst) -> Value {
        if !self.passes.forward {
            return self.push(inst);
        }
        let epoch = self.epochs.of(region);
        if let Some(value) = self.gvn.find(&inst, epoch) {
            self.work.charge(Pass::Translate, 1);
            return value;
        }
        let value = self.push(inst);
        self.gvn.insert(inst, epoch, value);
        value
    }

    /// Emits a write of a region; `forward` is the read that from now on gives `value`.
    fn write(&mut self, region: Region, inst: Inst, forward: Option<(Inst, Value)>) {
        self.push(inst);
        self.fresh_epochs(region.bit());
        if let Some((read, value)) = forward
            && self.passes.forward
        {
            self.gvn.insert(read, self.epochs.of(region), value);
        }
    }

    /// A load from memory `mem`.
    pub fn load(&mut self, op: Op, ty: Type, mem: u16, addr: Value, offset: u32) -> Value {
        let addr = self.resolve(addr);
        self.read(Region::Memory, Inst::new(op, ty, mem, addr.0, 0, offset))
    }

    /// A store to memory `mem`.
    pub fn store(&mut self, op: Op, ty: Type, mem: u16, addr: Value, offset: u32, value: Value) {
        let (addr, value) = (self.resolve(addr), self.resolve(value));
        let read = Inst::new(Op::Load, ty, mem, addr.0, 0, offset);
        let forward = (op == Op::Store).then_some((read, value));
        self.write(Region::Memory, Inst::new(op, ty, mem, addr.0, value.0, offset), forward);
    }

    /// The value of a global.
    pub fn global_get(&mut self, ty: Type, index: u32) -> Value {
        self.read(Region::Globals, Inst::new(Op::GlobalGet, ty, 0, 0, 0, index))
    }

    /// Sets a global.
    pub fn global_set(&mut self, ty: Type, index: u32, value: Value) {
        let value = self.resolve(value);
        let read = Inst::new(Op::GlobalGet, ty, 0, 0, 0, index);
        let write = Inst::new(Op::GlobalSet, ty, 0, value.0, 0, index);
        self.write(Region::Globals, write, Some((read, value)));
    }

    /// An element of a table.
    pub fn table_get(&mut self, ty: Type, table: u16, index: Value) -> Value {
        let index = self.resolve(index);
        self.read(Region::Tables, Inst::new(Op::TableGet, ty, table, index.0, 0, 0))
    }

    /// Sets an element of a table.
    pub fn table_set(&mut self, ty: Type, table: u16, index: Value, value: Value) {
        let (index, value) = (self.resolve(index), self.resolve(value));
        let read = Inst::new(Op::TableGet, ty, table, index.0, 0, 0);
        let write = Inst::new(Op::TableSet, ty, table, index.0, value.0, 0);
        self.write(Region::Tables, write, Some((read, value)));
    }

    /// The length of a table.
    pub fn table_size(&mut self, ty: Type, table: u16) -> Value {
        self.read(Region::Sizes, Inst::new(Op::TableSize, ty, table, 0, 0, 0))
    }

    /// The size of a memory in pages.
    pub fn mem_size(&mut self, ty: Type, mem: u16) -> Value {
        self.read(Region::Sizes, Inst::new(Op::MemSize, ty, mem, 0, 0, 0))
    }

    /// A reference to a function.
    pub fn ref_func(&mut self, index: u32) -> Value {
        self.number(Inst::new(Op::RefFunc, Type::FuncRef, 0, 0, 0, index))
    }

    /// The content of a frame slot.
    pub fn slot_load(&mut self, ty: Type, slot: Slot) -> Value {
        self.read(Region::Slots, Inst::new(Op::SlotLoad, ty, 0, 0, 0, slot.0))
    }

    /// Sets a frame slot.
    pub fn slot_store(&mut self, ty: Type, slot: Slot, value: Value) {
        let value = self.resolve(value);
        let read = Inst::new(Op::SlotLoad, ty, 0, 0, 0, slot.0);
        let write = Inst::new(Op::SlotStore, ty, 0, value.0, 0, slot.0);
        self.write(Region::Slots, write, Some((read, value)));
    }

    /// The content of a frame slot that only [`Builder::cell_store`] sets. Whoever asks twice gets two
    /// loads.
    pub fn cell_load(&mut self, ty: Type, slot: Slot) -> Value {
        self.push(Inst::new(Op::SlotLoad, ty, 0, 0, 0, slot.0))
    }

    /// Sets a frame slot that only [`Builder::cell_load`] reads.
    pub fn cell_store(&mut self, ty: Type, slot: Slot, value: Value) {
        self.push(Inst::new(Op::SlotStore, ty, 0, value.0, 0, slot.0));
    }

    /// The content of a home. Whoever asks twice gets two loads.
    pub fn home_load(&mut self, ty: Type, home: u32) -> Value {
        self.push(Inst::new(Op::HomeLoad, ty, 0, 0, 0, home))
    }

    /// The content of a home if `cond` is non-zero, else that of the one behind it.
    pub fn home_select(&mut self, ty: Type, cond: Value, home: u32) -> Value {
        let cond = self.resolve(cond);
        match self.func.as_const(cond) {
            Some(known) => self.home_load(ty, home + u32::from(known.bits == 0)),
            None => self.push(Inst::new(Op::HomeSelect, ty, 0, cond.0, 0, home)),
        }
    }

    /// Sets a home.
    pub fn home_store(&mut self, home: u32, value: Value) {
        let value = self.resolve(value);
        let ty = self.func.value_type(value);
        self.push(Inst::new(Op::HomeStore, ty, 0, value.0, 0, home));
    }

    /// Copies `count` homes from `from` on down to those from `to` on.
    pub fn home_move(&mut self, to: u32, from: u32, count: usize) {
        self.push(Inst::new(Op::HomeMove, Type::I32, count as u16, to, 0, from));
    }

    /// Copies `count` homes, those below number `end`, an `I32`, down to those from `to` on.
    pub fn home_shift(&mut self, to: u32, end: Value, count: usize) {
        let end = self.resolve(end);
        self.push(Inst::new(Op::HomeShift, Type::I32, count as u16, end.0, 0, to));
    }

    /// Passes `count` homes on to the call or return that comes next. Those that have just come from the
    /// transfer buffer are there still, for whoever takes them from there.
    pub fn home_pass(&mut self, from: u32, count: usize) {
        let block = self.func.blocks.last().map_or(0, |block| block.first as usize);
        // Fewer may be arguments in registers.
        if count > NARROW_PARAMS
            && let Some(last) = self.func.insts[block..].last()
            && (last.op, last.c, usize::from(last.aux)) == (Op::HomeTake, from, count)
        {
            return;
        }
        self.push(Inst::new(Op::HomePass, Type::I32, count as u16, 0, 0, from));
    }

    /// Copies the transfer buffer to `count` homes. The call that has left its results there comes
    /// before.
    pub fn home_take(&mut self, to: u32, count: usize) {
        self.push(Inst::new(Op::HomeTake, Type::I32, count as u16, 0, 0, to));
    }

    /// Traps if `cond` is non-zero; nothing if it is known to be zero.
    pub fn trap_if(&mut self, code: TrapCode, cond: Value) {
        let cond = self.resolve(cond);
        let never = self.func.as_const(cond).is_some_and(|constant| constant.bits == 0);
        if never && self.passes.simplify {
            return;
        }
        self.push(Inst::new(Op::TrapIf, Type::I32, code as u16, cond.0, 0, 0));
    }

    /// Charges fuel, or gives it back.
    pub fn fuel(&mut self, mut units: u64, back: bool) {
        let op = if back { Op::FuelBack } else { Op::Fuel };
        while units > 0 {
            let part = units.min(FUEL_AT_ONCE);
            self.push(Inst::new(op, Type::I32, 0, 0, 0, part as u32));
            units -= part;
        }
    }

    /// Charges fuel for `len`, an `I64`: a unit per 2^`shift`.
    pub fn fuel_for(&mut self, len: Value, shift: u32) {
        let len = self.resolve(len);
        self.push(Inst::new(Op::FuelFor, Type::I64, 0, len.0, 0, shift));
    }

    /// A call, whose results are appended to `results`, unless they are wide: then
    /// [`Builder::home_take`] has to come next. `args` may leave out the arguments, which
    /// [`Builder::home_pass`] has passed. `table` matters to `call_indirect` only.
    pub fn call(
        &mut self,
        op: Op,
        callee: u32,
        table: u16,
        sig: SigRef,
        args: &[Value],
        results: &mut Vec<Value>,
    ) {
        let (start, len) = self.func.push_call(sig, args);
        self.resolve_list(start as usize + 1);
        self.work.charge(Pass::Translate, args.len());
        let sigs = self.func.sigs.clone();
        let sig = &sigs[sig.index()];
        let types = if sig.wide_results() { &[] } else { &*sig.results };
        let has_result = if types.is_empty() { 0 } else { CALL_HAS_RESULT };
        let ty = types.first().copied().unwrap_or(Type::I32);
        let call = self.push(Inst::new(op, ty, table | has_result, start, len, callee));
        if !types.is_empty() {
            results.push(call);
        }
        for (number, &ty) in types.iter().enumerate().skip(1) {
            let result = Inst::new(Op::CallResult, ty, number as u16, call.0, 0, 0);
            results.push(self.push(result));
        }
        self.fresh_epochs(Region::CALL);
    }

    /// A call of a runtime helper.
    pub fn libcall(&mut self, helper: LibCall, ty: Option<Type>, args: &[Value]) -> Option<Value> {
        let start = self.func.push_list(args);
        self.resolve_list(start as usize);
        let aux = helper as u16 | if ty.is_some() { CALL_HAS_RESULT } else { 0 };
        let inst =
            Inst::new(Op::LibCall, ty.unwrap_or(Type::I32), aux, start, args.len() as u32, 0);
        let value = self.push(inst);
        self.fresh_epochs(Region::CALL & !Region::Globals.bit());
        ty.map(|_| value)
    }

    /// Resolves the pool from `start` to its end.
    fn resolve_list(&mut self, start: usize) {
        if self.aliases {
            for at in start..self.func.pool.len() {
                let value = Value(self.func.pool[at]);
                self.func.pool[at] = alias::resolve(&mut self.func, value).0;
            }
        }
    }

    /// The current epochs.
    pub fn epochs(&self) -> Epochs {
        self.epochs
    }

    /// Goes back to epochs that held at a dominating point of all that follows.
    pub fn set_epochs(&mut self, epochs: Epochs) {
        self.epochs = epochs;
    }

    /// Joins the epochs of two paths that meet: new ones where they differ.
    pub fn join_epochs(&mut self, acc: &mut Epochs, other: Epochs) {
        acc.renew(acc.differ(other), &mut self.next_epoch);
    }

    /// Begins new epochs in the regions of `mask` (bits of [`Region`]).
    pub fn fresh_epochs(&mut self, mask: u32) {
        self.epochs.renew(mask, &mut self.next_epoch);
    }

    /// Says that block parameter `param` always equals `to`.
    pub fn make_alias(&mut self, param: Value, to: Value) {
        if !self.passes.params {
            return;
        }
        let to = self.resolve(to);
        let ty = self.func.value_type(param);
        self.func.insts[param.index()] = Inst::new(Op::Copy, ty, 0, to.0, 0, 0);
        self.aliases = true;
    }

    /// Completes the function: no operand names a redundant parameter any more.
    pub fn finish(&mut self) {
        if self.aliases {
            alias::rewrite(&mut self.func, &mut self.work);
        }
        self.func.trim();
    }
}
