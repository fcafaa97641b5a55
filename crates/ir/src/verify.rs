//! Checks a function's invariants.
//!
//! 1. Block 0 exists, has the function's parameters and no predecessors.
//! 2. Blocks are contiguous and in order; parameters come first, the one terminator last.
//! 3. Every edge goes to an existing block other than the entry, and its arguments fit the target's
//!    parameters in number and type.
//! 4. Every operand is a constant or an instruction that makes a value, of the type its place wants,
//!    and its definition dominates the use: in the same block before it, or in a block on the path
//!    of immediate dominators.
//! 5. No operand names a `copy` or a removed instruction.
//! 6. Blocks are in an order compatible with dominance; an edge backwards goes to the header of a
//!    loop that contains its source.
//! 7. A loop is a range of blocks inside of its parent's; each block names the innermost loop
//!    around it.
//! 8. Results of a call directly follow it, in order.
//! 9. Calls and returns fit their signatures; loads, stores and slots fit their types.
//!
//! # Complexity
//! Linear but for dominance, which walks dominator chains (Cooper, Harvey and Kennedy 2001) and can
//! be quadratic in nesting depth. The verifier is for tests and `--verify`.

use crate::function::CALL_HAS_RESULT;
use crate::op::{Op, Shape};
use crate::print::InstText;
use crate::{Block, EdgeRef, Function, Inst, LibCall, LoopId, Type, Value};

/// Checks the invariants of `func`.
///
/// # Errors
/// The first that is broken, with the instruction.
pub fn verify(func: &Function) -> Result<(), String> {
    blocks(func)?;
    let idom = dominators(func)?;
    loops(func)?;
    let block_of = block_of(func);
    for (index, data) in func.blocks.iter().enumerate() {
        for at in data.first..data.end {
            let check = Check { func, idom: &idom, block_of: &block_of, at, block: index as u32 };
            check.inst().map_err(|what| {
                format!("{what}: `{}` in b{index}", InstText { func, at: at as usize })
            })?;
        }
    }
    Ok(())
}

fn blocks(func: &Function) -> Result<(), String> {
    let Some(entry) = func.blocks.first() else { return Err("there is no block".to_string()) };
    let params = &func.signature().params;
    if entry.params as usize != params.len() {
        return Err("the entry's parameters are not the function's".to_string());
    }
    for (inst, ty) in func.insts.iter().zip(params) {
        if inst.ty != *ty {
            return Err("an entry parameter is of another type than the function's".to_string());
        }
    }
    let mut next = 0;
    for (index, data) in func.blocks.iter().enumerate() {
        if data.first != next || data.end <= data.first || data.end as usize > func.insts.len() {
            return Err(format!("b{index} is not where it should be"));
        }
        next = data.end;
        for at in data.first..data.end {
            let op = func.insts[at as usize].op;
            let is_param = at - data.first < data.params;
            if (op == Op::Param) != is_param && !(is_param && op == Op::Copy) {
                return Err(format!("v{at}: parameters do not come first in b{index}"));
            }
            if op.is_terminator() != (at + 1 == data.end) {
                return Err(format!("v{at}: a terminator not at the end of b{index}, or none"));
            }
        }
    }
    if next as usize != func.insts.len() || func.src.len() != func.insts.len() {
        return Err("instructions outside of blocks".to_string());
    }
    Ok(())
}

fn block_of(func: &Function) -> Vec<u32> {
    let mut of = vec![0; func.insts.len()];
    for (index, data) in func.blocks.iter().enumerate() {
        of[data.first as usize..data.end as usize].fill(index as u32);
    }
    of
}

/// The immediate dominator of each block; the entry is its own.
fn dominators(func: &Function) -> Result<Vec<u32>, String> {
    const UNREACHED: u32 = u32::MAX;
    let mut idom = vec![UNREACHED; func.blocks.len()];
    idom[0] = 0;
    let mut bad = None;
    for source in 0..func.blocks.len() as u32 {
        if idom[source as usize] == UNREACHED {
            return Err(format!("b{source} is not reached from a block before it"));
        }
        func.for_each_edge(func.terminator(Block(source)), |edge| {
            let target = func.edge_target(edge).0;
            if target == 0 || target as usize >= func.blocks.len() {
                bad = Some(format!("an edge of b{source} goes to b{target}"));
                return;
            }
            if target <= source {
                let of = func.blocks[target as usize].loop_id;
                let inside = !of.is_none() && {
                    let data = &func.loops[of.index()];
                    data.header.0 == target && source < data.end.0
                };
                if !inside {
                    bad = Some(format!("the edge from b{source} back to b{target} is no loop's"));
                }
                return;
            }
            // All forward predecessors come before, so one pass is exact for reducible graphs.
            idom[target as usize] = match idom[target as usize] {
                UNREACHED => source,
                other => intersect(&idom, other, source),
            };
        });
        if let Some(bad) = bad {
            return Err(bad);
        }
    }
    Ok(idom)
}

fn intersect(idom: &[u32], mut a: u32, mut b: u32) -> u32 {
    while a != b {
        if a > b {
            a = idom[a as usize];
        } else {
            b = idom[b as usize];
        }
    }
    a
}

fn loops(func: &Function) -> Result<(), String> {
    for (index, data) in func.loops.iter().enumerate() {
        let id = LoopId(index as u32);
        if data.header.0 >= data.end.0 || data.end.index() > func.blocks.len() {
            return Err(format!("{id} is not a range of blocks"));
        }
        if func.blocks[data.header.index()].loop_id != id {
            return Err(format!("the header of {id} is in another loop"));
        }
        if !data.parent.is_none() {
            if data.parent.index() >= index {
                return Err(format!("{id} comes before its parent"));
            }
            let parent = &func.loops[data.parent.index()];
            if data.header.0 < parent.header.0 || data.end.0 > parent.end.0 {
                return Err(format!("{id} is not inside of its parent"));
            }
        }
    }
    for (index, data) in func.blocks.iter().enumerate() {
        if let Some(of) = func.loops.get(data.loop_id.index()) {
            let inside = (of.header.0..of.end.0).contains(&(index as u32));
            if !inside {
                return Err(format!("b{index} is not inside of {}", data.loop_id));
            }
        } else if !data.loop_id.is_none() {
            return Err(format!("b{index} names a loop that there is not"));
        }
    }
    Ok(())
}

struct Check<'a> {
    func: &'a Function,
    idom: &'a [u32],
    block_of: &'a [u32],
    at: u32,
    block: u32,
}

impl Check<'_> {
    /// The type of an operand, once it is known to be in reach.
    fn value(&self, value: Value) -> Result<Type, String> {
        if value.is_none() {
            return Err("an operand is missing".to_string());
        }
        if value.is_const() {
            let constant = self.func.consts.get(value.index());
            return constant.map(|c| c.ty).ok_or_else(|| format!("there is no {value}"));
        }
        let Some(inst) = self.func.insts.get(value.index()) else {
            return Err(format!("there is no {value}"));
        };
        if matches!(inst.op, Op::Copy | Op::Nop) {
            return Err(format!("{value} is a {}", inst.op.info().name));
        }
        let Some(ty) = inst.result_type() else {
            return Err(format!("{value} makes no value"));
        };
        let from = self.block_of[value.index()];
        let dominates = if from == self.block {
            value.0 < self.at
        } else {
            let mut block = self.block;
            while block > from {
                block = self.idom[block as usize];
            }
            block == from
        };
        if dominates { Ok(ty) } else { Err(format!("{value} does not dominate its use")) }
    }

    fn expect(&self, value: Value, ty: Type) -> Result<(), String> {
        let found = self.value(value)?;
        if found == ty { Ok(()) } else { Err(format!("{value} is {found}, expected {ty}")) }
    }

    fn edge(&self, edge: EdgeRef) -> Result<(), String> {
        let target = self.func.edge_target(edge);
        let data = &self.func.blocks[target.index()];
        if self.func.edge_len(edge) != data.params as usize {
            return Err(format!("the edge to {target} has the wrong number of arguments"));
        }
        for (number, value) in self.func.edge_args(edge).enumerate() {
            let param = &self.func.insts[data.first as usize + number];
            self.expect(value, param.ty)?;
        }
        Ok(())
    }

    fn list(&self, inst: &Inst, types: impl ExactSizeIterator<Item = Type>) -> Result<(), String> {
        let values = self.func.list(inst);
        if values.len() != types.len() {
            return Err(format!("{} values, expected {}", values.len(), types.len()));
        }
        values.iter().zip(types).try_for_each(|(&value, ty)| self.expect(Value(value), ty))
    }

    fn inst(&self) -> Result<(), String> {
        let func = self.func;
        let inst = &func.insts[self.at as usize];
        match inst.op.info().shape {
            Shape::Nullary if inst.op == Op::SlotLoad => self.slot(inst),
            Shape::Nullary | Shape::Trap => Ok(()),
            Shape::Unary if inst.op == Op::Copy => Ok(()),
            Shape::Unary => self.unary(inst),
            Shape::Binary if inst.op == Op::TableSet => {
                self.value(inst.va())?;
                self.expect(inst.vb(), inst.ty)
            }
            Shape::Binary => {
                self.expect(inst.va(), inst.ty)?;
                self.expect(inst.vb(), inst.ty)?;
                let float = inst.op.is_float_compare() || is_float_arithmetic(inst.op);
                if float == inst.ty.is_float() { Ok(()) } else { Err("a wrong type".to_string()) }
            }
            Shape::Select => {
                self.expect(inst.va(), Type::I32)?;
                self.expect(inst.vb(), inst.ty)?;
                self.expect(inst.vc(), inst.ty)
            }
            Shape::Load => self.address(inst.va()),
            Shape::Store => {
                self.address(inst.va())?;
                self.expect(inst.vb(), inst.ty)
            }
            Shape::Call => self.call(inst),
            Shape::LibCall => {
                let helper = LibCall::ALL.get(usize::from(inst.call_aux()));
                if helper.is_none_or(|helper| helper.args() != inst.b as usize) {
                    return Err("the helper takes another number of arguments".to_string());
                }
                func.list(inst).iter().try_for_each(|&v| self.value(Value(v)).map(drop))
            }
            Shape::CallResult => {
                let call = inst.va();
                let follows = call.0 + u32::from(inst.aux) == self.at;
                let sound = func.def(call).is_some_and(|of| of.op.is_call());
                if follows && sound { Ok(()) } else { Err("no result of a call".to_string()) }
            }
            Shape::Jump => self.edge(EdgeRef(inst.a)),
            Shape::BrIf => {
                self.expect(inst.va(), Type::I32)?;
                self.edge(EdgeRef(inst.b))?;
                self.edge(EdgeRef(inst.c))
            }
            Shape::BrTable => {
                self.expect(inst.va(), Type::I32)?;
                let count = func.table_edges(inst).len() as u32;
                let entries = func.table_entries(inst);
                if entries.is_empty() || entries.iter().any(|&entry| entry >= count) {
                    return Err("an entry names no edge".to_string());
                }
                func.table_edges(inst).try_for_each(|edge| self.edge(edge))
            }
            Shape::Return => self.list(inst, func.signature().results.iter().copied()),
        }
    }

    fn slot(&self, inst: &Inst) -> Result<(), String> {
        match self.func.slots.get(inst.c as usize) {
            Some(&ty) if ty == inst.ty => Ok(()),
            _ => Err("no such slot of this type".to_string()),
        }
    }

    fn address(&self, value: Value) -> Result<(), String> {
        let ty = self.value(value)?;
        if ty.is_int() { Ok(()) } else { Err(format!("an address of type {ty}")) }
    }

    fn unary(&self, inst: &Inst) -> Result<(), String> {
        let found = self.value(inst.va())?;
        let fits = match inst.op {
            Op::Wrap => found == Type::I64,
            Op::ExtendS | Op::ExtendU => found == Type::I32,
            Op::TruncS | Op::TruncU | Op::TruncSatS | Op::TruncSatU => found.is_float(),
            Op::ConvertS | Op::ConvertU => found.is_int() && inst.ty.is_float(),
            Op::Demote => found == Type::F64,
            Op::Promote => found == Type::F32,
            Op::Bitcast => found.bytes() == inst.ty.bytes(),
            Op::TableGet => found.is_int(),
            Op::TrapIf => found == Type::I32,
            Op::SlotStore => {
                self.slot(inst)?;
                found == inst.ty
            }
            _ => found == inst.ty,
        };
        if fits { Ok(()) } else { Err(format!("an operand of type {found}")) }
    }

    fn call(&self, inst: &Inst) -> Result<(), String> {
        let func = self.func;
        let Some(sig) = func.sigs.get(func.call_sig(inst).index()) else {
            return Err("there is no such signature".to_string());
        };
        let values = func.list(inst);
        let extra = usize::from(!matches!(inst.op, Op::Call | Op::ReturnCall));
        if values.len() != sig.params.len() + extra {
            return Err(format!("{} arguments", values.len()));
        }
        if extra == 1 {
            self.value(Value(values[0]))?;
        }
        for (&value, &ty) in values[extra..].iter().zip(&sig.params) {
            self.expect(Value(value), ty)?;
        }
        if inst.op.is_return_call() {
            let same = sig.results == func.signature().results;
            return if same { Ok(()) } else { Err("other results than the caller's".to_string()) };
        }
        if (inst.aux & CALL_HAS_RESULT != 0) == sig.results.is_empty() {
            return Err("a call with or without a result against its signature".to_string());
        }
        for (number, &ty) in sig.results.iter().enumerate() {
            let at = self.at as usize + number;
            let sound = func.insts.get(at).is_some_and(|result| {
                result.ty == ty && (number == 0 || result.op == Op::CallResult)
            });
            if !sound {
                return Err(format!("result {number} does not follow"));
            }
        }
        Ok(())
    }
}

fn is_float_arithmetic(op: Op) -> bool {
    (Op::FAdd as u8..=Op::FCopysign as u8).contains(&(op as u8))
}
