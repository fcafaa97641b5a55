//! A function as flat arrays.

use crate::entity::{Block, EdgeRef, LoopId, SigRef, Slot, Value};
use crate::op::{Op, ResultType, Shape};
use crate::scratch;
use runwell_abi::Type;
use runwell_abi::call::{NARROW_PARAMS, NARROW_RESULTS};
use std::sync::Arc;

/// One instruction, 16 bytes. What the fields mean is in the op table ([`crate::op`]).
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
#[repr(C)]
pub struct Inst {
    /// What it does.
    pub op: Op,
    /// Its controlling type.
    pub ty: Type,
    /// A small immediate.
    pub aux: u16,
    /// First field.
    pub a: u32,
    /// Second field.
    pub b: u32,
    /// Third field.
    pub c: u32,
}

const _: () = assert!(size_of::<Inst>() == 16);

/// Bit of `Inst::aux` that marks a call with a result. Calls use `aux` for a table index below it.
pub const CALL_HAS_RESULT: u16 = 1 << 15;

impl Inst {
    /// A removed instruction.
    pub const NOP: Inst = Inst { op: Op::Nop, ty: Type::I32, aux: 0, a: 0, b: 0, c: 0 };

    /// An instruction with up to three operands or immediates.
    pub const fn new(op: Op, ty: Type, aux: u16, a: u32, b: u32, c: u32) -> Inst {
        Inst { op, ty, aux, a, b, c }
    }

    /// Field `a` as a value.
    pub const fn va(&self) -> Value {
        Value(self.a)
    }

    /// Field `b` as a value.
    pub const fn vb(&self) -> Value {
        Value(self.b)
    }

    /// Field `c` as a value.
    pub const fn vc(&self) -> Value {
        Value(self.c)
    }

    /// The type of what it makes, if it makes anything.
    pub fn result_type(&self) -> Option<Type> {
        match self.op.info().result {
            ResultType::None => None,
            ResultType::Ty => Some(self.ty),
            ResultType::I32 => Some(Type::I32),
            ResultType::Call => (self.aux & CALL_HAS_RESULT != 0).then_some(self.ty),
        }
    }

    /// The table of a `call_indirect` or `return_call_indirect`, the helper of a `libcall`.
    pub const fn call_aux(&self) -> u16 {
        self.aux & !CALL_HAS_RESULT
    }
}

/// A constant: its bits, zero-extended.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Const {
    /// Its type.
    pub ty: Type,
    /// Its bits.
    pub bits: u128,
}

/// Parameter and result types.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Signature {
    /// Parameters.
    pub params: Box<[Type]>,
    /// Results.
    pub results: Box<[Type]>,
}

impl Signature {
    /// True if its arguments travel in the transfer buffer, all of them.
    pub fn wide_params(&self) -> bool {
        self.params.len() > NARROW_PARAMS
    }

    /// True if its results travel in the transfer buffer, all of them.
    pub fn wide_results(&self) -> bool {
        self.results.len() > NARROW_RESULTS
    }
}

/// A run of instructions with parameters in front and a terminator at the end.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct BlockData {
    /// Index of its first instruction.
    pub first: u32,
    /// Index after its last instruction.
    pub end: u32,
    /// Number of parameters; they are its first instructions.
    pub params: u32,
    /// Innermost loop it lies in.
    pub loop_id: LoopId,
    /// True if it is rarely executed: leads to a trap, or the program said so.
    pub cold: bool,
}

/// A natural loop: the blocks `header..end`.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct LoopData {
    /// Its header, the first of its blocks.
    pub header: Block,
    /// The block after its last one.
    pub end: Block,
    /// The loop around it.
    pub parent: LoopId,
    /// Nesting depth, 1 for an outermost loop; saturates at 255.
    pub depth: u8,
    /// True if it contains a call or a helper call.
    pub has_call: bool,
    /// True if it contains a store to a memory, or a call.
    pub has_store: bool,
}

/// A function in SSA form.
///
/// Block 0 is the entry; its parameters are those of the function's that are in use. Blocks are stored
/// in order.
///
/// Arguments and results of wide signatures ([`Signature::wide_params`], [`Signature::wide_results`])
/// travel in the transfer buffer. A call or return may name each of the values it puts there, or none
/// of them: then a [`Op::HomePass`] before it has put them all there, or a [`Op::HomeTake`] has left
/// them there. Wide results of a call are never
/// values: a [`Op::HomeTake`] behind the call fetches them. A call with a narrow signature may name none
/// of its arguments as well, if a [`Op::HomePass`] before it says from which homes they come.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Function {
    /// Index in the module's function index space.
    pub index: u32,
    /// Its own signature, an index into `sigs`.
    pub sig: SigRef,
    /// What its frame counts against the depth of the call stack, 0 if it is not counted; see
    /// [`runwell_abi::memory::frame_depth`].
    pub depth_bytes: u32,
    /// Signatures that calls name, shared by all functions of a module: its types, in order.
    pub sigs: Arc<[Signature]>,
    /// Instructions; the index is the value.
    pub insts: Vec<Inst>,
    /// Wasm byte offset of each instruction, in the module.
    pub src: Vec<u32>,
    /// Constants that tagged values index.
    pub consts: Vec<Const>,
    /// Operand lists and edges.
    pub pool: Vec<u32>,
    /// Blocks in order.
    pub blocks: Vec<BlockData>,
    /// Loops, outer ones before inner ones.
    pub loops: Vec<LoopData>,
    /// Types of the frame slots.
    pub slots: Vec<Type>,
    /// Number of homes: untyped cells in the frame, 16 bytes each and in a row, where operands wait
    /// that are moved many at a time.
    pub homes: u32,
    /// With metering: by Wasm byte offset, ascending, how much more fuel has been charged where the
    /// operator there stops than was used, or less when negative. What has no entry is even.
    pub rests: Vec<(u32, i64)>,
}

impl Function {
    /// Empties it, keeping its allocations.
    pub fn clear(&mut self) {
        self.index = 0;
        self.sig = SigRef::default();
        self.depth_bytes = 0;
        self.insts.clear();
        self.src.clear();
        self.consts.clear();
        self.pool.clear();
        self.blocks.clear();
        self.loops.clear();
        self.slots.clear();
        self.homes = 0;
        self.rests.clear();
    }

    /// Gives back memory that it has no use for, when it is complete and large.
    pub fn trim(&mut self) {
        scratch::trim(&mut self.insts);
        scratch::trim(&mut self.src);
        scratch::trim(&mut self.consts);
        scratch::trim(&mut self.pool);
        scratch::trim(&mut self.blocks);
        scratch::trim(&mut self.loops);
        scratch::trim(&mut self.rests);
    }

    /// Gives back the instructions from number `from` on, when nobody will look at them any more.
    pub fn forget(&mut self, from: usize) {
        scratch::cut(&mut self.insts, from);
        scratch::cut(&mut self.src, from);
    }

    /// Gives back what a large function consists of, when nobody will look at it any more: all but what
    /// its frame needs and, with `tables`, the entries of branch tables.
    pub fn release(&mut self, tables: bool) {
        self.forget(0);
        scratch::release(&mut self.consts);
        scratch::release(&mut self.blocks);
        if !tables {
            scratch::release(&mut self.pool);
        }
    }

    /// Bytes of its data, without unused capacity.
    pub fn bytes(&self) -> usize {
        size_of_val(&*self.insts)
            + size_of_val(&*self.src)
            + size_of_val(&*self.consts)
            + size_of_val(&*self.pool)
            + size_of_val(&*self.blocks)
            + size_of_val(&*self.loops)
            + size_of_val(&*self.slots)
            + size_of_val(&*self.rests)
    }

    /// The instruction that makes `value`, unless it is a constant.
    #[inline]
    pub fn def(&self, value: Value) -> Option<&Inst> {
        value.is_inst().then(|| &self.insts[value.index()])
    }

    /// The constant that `value` is, if it is one.
    #[inline]
    pub fn as_const(&self, value: Value) -> Option<Const> {
        value.is_const().then(|| self.consts[value.index()])
    }

    /// The type of `value`.
    ///
    /// # Panics
    /// When `value` is an instruction that makes nothing.
    pub fn value_type(&self, value: Value) -> Type {
        if value.is_const() {
            self.consts[value.index()].ty
        } else {
            self.insts[value.index()].result_type().expect("an operand that makes no value")
        }
    }

    /// Appends an instruction to the last block and returns its value.
    #[inline]
    pub fn push(&mut self, inst: Inst, src: u32) -> Value {
        self.insts.push(inst);
        self.src.push(src);
        Value::inst(self.insts.len() - 1)
    }

    /// Appends a constant to the table, without looking for an equal one.
    pub fn push_const(&mut self, ty: Type, bits: u128) -> Value {
        self.consts.push(Const { ty, bits });
        Value::constant(self.consts.len() - 1)
    }

    /// Appends an operand list and returns its start.
    pub fn push_list(&mut self, values: &[Value]) -> u32 {
        let start = self.pool.len() as u32;
        self.pool.extend(values.iter().map(|v| v.0));
        start
    }

    /// Appends an edge.
    pub fn push_edge(&mut self, target: Block, args: &[Value]) -> EdgeRef {
        let start = self.pool.len() as u32;
        scratch::push(&mut self.pool, target.0);
        scratch::push(&mut self.pool, args.len() as u32);
        scratch::extend(&mut self.pool, args.iter().map(|v| v.0));
        EdgeRef(start)
    }

    /// Appends a call's operand list: its signature, then its arguments.
    pub fn push_call(&mut self, sig: SigRef, args: &[Value]) -> (u32, u32) {
        let start = self.pool.len() as u32;
        self.pool.push(sig.0);
        self.pool.extend(args.iter().map(|v| v.0));
        (start, args.len() as u32 + 1)
    }

    /// Its own signature.
    pub fn signature(&self) -> &Signature {
        &self.sigs[self.sig.index()]
    }

    /// The signature that a call names.
    pub fn call_sig(&self, inst: &Inst) -> SigRef {
        debug_assert_eq!(inst.op.info().shape, Shape::Call);
        SigRef(self.pool[inst.a as usize])
    }

    /// Adds a frame slot.
    pub fn add_slot(&mut self, ty: Type) -> Slot {
        self.slots.push(ty);
        Slot(self.slots.len() as u32 - 1)
    }

    /// The values in the pool that instruction `inst` uses as an operand list (arguments of calls
    /// and helpers, returned values), without edges.
    pub fn list(&self, inst: &Inst) -> &[u32] {
        let (start, len) = (inst.a as usize, inst.b as usize);
        match inst.op.info().shape {
            Shape::Call => &self.pool[start + 1..start + len],
            Shape::LibCall | Shape::Return => &self.pool[start..start + len],
            _ => &[],
        }
    }

    /// Calls `f` on each value that `inst` uses, edge arguments included.
    pub fn for_each_use(&self, inst: &Inst, mut f: impl FnMut(Value)) {
        match inst.op.info().shape {
            Shape::Nullary | Shape::Trap => {}
            Shape::Unary | Shape::Load | Shape::CallResult => f(inst.va()),
            Shape::Binary | Shape::Store => {
                f(inst.va());
                f(inst.vb());
            }
            Shape::Select => {
                f(inst.va());
                f(inst.vb());
                f(inst.vc());
            }
            Shape::Call | Shape::LibCall | Shape::Return => {
                self.list(inst).iter().for_each(|&v| f(Value(v)));
            }
            Shape::Jump => self.edge_args(EdgeRef(inst.a)).for_each(f),
            Shape::BrIf => {
                f(inst.va());
                self.edge_args(EdgeRef(inst.b)).for_each(&mut f);
                self.edge_args(EdgeRef(inst.c)).for_each(f);
            }
            Shape::BrTable => {
                f(inst.va());
                for edge in self.table_edges(inst) {
                    self.edge_args(edge).for_each(&mut f);
                }
            }
        }
    }
}
