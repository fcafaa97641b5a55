//! What one instruction has to fulfil.

use super::dom::Dominators;
use crate::function::CALL_HAS_RESULT;
use crate::op::{Op, Shape};
use crate::print::Use;
use crate::{EdgeRef, Function, Inst, LibCall, TrapCode, Type, Value};
use runwell_abi::call::TRANSFER_CELLS;

/// An instruction in its surroundings, whose blocks, lists and edges are known to be sound.
pub(super) struct Check<'a> {
    pub(super) func: &'a Function,
    pub(super) dominators: &'a Dominators,
    pub(super) block_of: &'a [u32],
    pub(super) at: u32,
    pub(super) block: u32,
}

fn ensure(holds: bool, what: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(what()) }
}

impl Check<'_> {
    /// The type of an operand, once it is known to be in reach.
    fn value(&self, value: Value) -> Result<Type, String> {
        if value.is_none() {
            return Err("an operand is missing".to_string());
        }
        if value.is_const() {
            let constant = self.func.consts.get(value.index());
            let constant = constant.ok_or_else(|| format!("there is no {value}"))?;
            let spare = u128::BITS - constant.ty.bytes() * 8;
            ensure(constant.bits << spare >> spare == constant.bits, || {
                format!("{constant} has more bits than its type")
            })?;
            return Ok(constant.ty);
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
            self.dominators.dominates(from, self.block)
        };
        ensure(dominates, || format!("{value} does not dominate its use"))?;
        Ok(ty)
    }

    fn expect(&self, value: Value, ty: Type) -> Result<(), String> {
        let found = self.value(value)?;
        ensure(found == ty, || format!("{} is {found}, expected {ty}", Use(self.func, value)))
    }

    fn edge(&self, edge: EdgeRef) -> Result<(), String> {
        let target = self.func.edge_target(edge);
        let data = &self.func.blocks[target.index()];
        ensure(self.func.edge_len(edge) == data.params as usize, || {
            format!("the edge to {target} has the wrong number of arguments")
        })?;
        for (number, value) in self.func.edge_args(edge).enumerate() {
            let param = &self.func.insts[data.first as usize + number];
            self.expect(value, param.ty)?;
        }
        Ok(())
    }

    /// Checks that the operation is made for its controlling type.
    fn suits(&self, inst: &Inst, suits: bool) -> Result<(), String> {
        ensure(suits, || format!("`{}` is not for {}", inst.op.info().name, inst.ty))
    }

    pub(super) fn inst(&self) -> Result<(), String> {
        let func = self.func;
        let inst = &func.insts[self.at as usize];
        match inst.op.info().shape {
            Shape::Nullary => self.nullary(inst),
            Shape::Trap => self.trap(inst),
            Shape::Unary => self.unary(inst),
            Shape::Binary if inst.op == Op::TableSet => {
                self.suits(inst, inst.ty.is_ref())?;
                self.integer(inst.va())?;
                self.expect(inst.vb(), inst.ty)
            }
            Shape::Binary => {
                let float = inst.op.is_float_compare() || is_float_arithmetic(inst.op);
                self.suits(inst, if float { inst.ty.is_float() } else { inst.ty.is_int() })?;
                self.expect(inst.va(), inst.ty)?;
                self.expect(inst.vb(), inst.ty)
            }
            Shape::Select => {
                self.expect(inst.va(), Type::I32)?;
                self.expect(inst.vb(), inst.ty)?;
                self.expect(inst.vc(), inst.ty)
            }
            Shape::Load => self.access(inst),
            Shape::Store => {
                self.access(inst)?;
                self.expect(inst.vb(), inst.ty)
            }
            Shape::Call => self.call(inst),
            Shape::LibCall => self.libcall(inst),
            Shape::CallResult => self.call_result(inst),
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
                ensure(!entries.is_empty() && entries.iter().all(|&entry| entry < count), || {
                    "an entry names no edge, or there is none".to_string()
                })?;
                func.table_edges(inst).try_for_each(|edge| self.edge(edge))
            }
            Shape::Return => {
                let (values, types) = (func.list(inst), &func.signature().results);
                if values.is_empty() && func.signature().wide_results() {
                    return self.passed(types.len(), true);
                }
                ensure(values.len() == types.len(), || {
                    format!("{} values, expected {}", values.len(), types.len())
                })?;
                let mut pairs = values.iter().zip(types);
                pairs.try_for_each(|(&value, &ty)| self.expect(Value(value), ty))
            }
        }
    }

    fn nullary(&self, inst: &Inst) -> Result<(), String> {
        match inst.op {
            Op::SlotLoad => self.slot(inst),
            Op::HomeLoad => self.homes(inst.c, 1),
            Op::HomePass | Op::HomeTake => self.homes(inst.c, inst.aux),
            Op::HomeMove => {
                ensure(inst.a < inst.c, || "homes move up".to_string())?;
                self.homes(inst.c, inst.aux)
            }
            Op::RefFunc => self.suits(inst, inst.ty == Type::FuncRef),
            Op::MemSize | Op::TableSize => self.suits(inst, inst.ty.is_int()),
            _ => Ok(()),
        }
    }

    fn slot(&self, inst: &Inst) -> Result<(), String> {
        ensure(self.func.slots.get(inst.c as usize) == Some(&inst.ty), || {
            "no such slot of this type".to_string()
        })
    }

    fn homes(&self, first: u32, count: u16) -> Result<(), String> {
        let inside = first.checked_add(count.into()).is_some_and(|end| end <= self.func.homes);
        ensure(inside && count > 0 && usize::from(count) <= TRANSFER_CELLS, || {
            "no such homes, or too many".to_string()
        })
    }

    /// Checks that the instruction before passes `count` values. Those that are in the transfer buffer
    /// anyway (`taken`) need nobody to put them there.
    fn passed(&self, count: usize, taken: bool) -> Result<(), String> {
        let first = self.func.blocks[self.block as usize].first;
        let before = self.at.checked_sub(1).filter(|&at| at >= first);
        let before = before.map(|at| &self.func.insts[at as usize]);
        let passes = |b: &Inst| {
            (b.op == Op::HomePass || taken && b.op == Op::HomeTake) && usize::from(b.aux) == count
        };
        ensure(before.is_some_and(passes), || format!("nothing passes {count} values"))
    }

    fn trap(&self, inst: &Inst) -> Result<(), String> {
        let code = u8::try_from(inst.aux).ok().and_then(TrapCode::from_u8);
        ensure(code.is_some(), || format!("there is no trap code {}", inst.aux))
    }

    fn integer(&self, value: Value) -> Result<(), String> {
        let ty = self.value(value)?;
        ensure(ty.is_int(), || format!("an address or index of type {ty}"))
    }

    fn access(&self, inst: &Inst) -> Result<(), String> {
        let suits = match inst.op {
            Op::Load | Op::Store => !inst.ty.is_ref(),
            Op::Load32S | Op::Load32U | Op::Store32 => inst.ty == Type::I64,
            _ => inst.ty.is_int(),
        };
        self.suits(inst, suits)?;
        self.integer(inst.va())
    }

    fn unary(&self, inst: &Inst) -> Result<(), String> {
        if inst.op == Op::Copy {
            // Nobody reads it, so what it names need not be in reach.
            return Ok(());
        }
        let (ty, found) = (inst.ty, self.value(inst.va())?);
        let (suits, fits) = match inst.op {
            Op::Clz | Op::Ctz | Op::Popcnt | Op::Extend8S | Op::Extend16S => {
                (ty.is_int(), found == ty)
            }
            Op::Extend32S => (ty == Type::I64, found == ty),
            Op::Eqz => (ty.is_int() || ty.is_ref(), found == ty),
            Op::Wrap => (ty == Type::I32, found == Type::I64),
            Op::ExtendS | Op::ExtendU => (ty == Type::I64, found == Type::I32),
            Op::TruncS | Op::TruncU | Op::TruncSatS | Op::TruncSatU => {
                (ty.is_int(), found.is_float())
            }
            Op::ConvertS | Op::ConvertU => (ty.is_float(), found.is_int()),
            Op::Demote => (ty == Type::F32, found == Type::F64),
            Op::Promote => (ty == Type::F64, found == Type::F32),
            Op::Bitcast => (!ty.is_ref(), !found.is_ref() && found.bytes() == ty.bytes()),
            Op::TableGet => (ty.is_ref(), found.is_int()),
            Op::TrapIf => {
                self.trap(inst)?;
                (ty == Type::I32, found == ty)
            }
            Op::FuelFor => {
                ensure(inst.c < 64, || format!("a shift by {} bits", inst.c))?;
                (ty == Type::I64, found == ty)
            }
            Op::SlotStore => {
                self.slot(inst)?;
                (true, found == ty)
            }
            Op::HomeStore => {
                self.homes(inst.c, 1)?;
                (true, found == ty)
            }
            Op::HomeSelect => {
                self.homes(inst.c, 2)?;
                (true, found == Type::I32)
            }
            Op::HomeShift => {
                self.homes(inst.c, inst.aux)?;
                (ty == Type::I32, found == ty)
            }
            Op::GlobalSet => (true, found == ty),
            _ => (ty.is_float(), found == ty),
        };
        self.suits(inst, suits)?;
        ensure(fits, || format!("an operand of type {found}"))
    }

    fn libcall(&self, inst: &Inst) -> Result<(), String> {
        let helper = LibCall::ALL.get(usize::from(inst.call_aux()));
        let helper = helper.ok_or_else(|| "there is no such helper".to_string())?;
        ensure(helper.args() == inst.b as usize, || {
            format!("the helper takes {} arguments", helper.args())
        })?;
        if let Some(ty) = inst.result_type() {
            ensure(helper.results() == 1 && ty.is_int(), || format!("the helper makes no {ty}"))?;
        }
        self.func.list(inst).iter().try_for_each(|&value| {
            let ty = self.value(Value(value))?;
            ensure(ty.is_int_class(), || format!("a helper's argument of type {ty}"))
        })
    }

    fn call_result(&self, inst: &Inst) -> Result<(), String> {
        let (call, number) = (inst.va(), u32::from(inst.aux));
        let of = self.func.insts.get(call.index()).filter(|of| call.is_inst() && of.op.is_call());
        let sig = of.and_then(|of| self.func.sigs.get(self.func.call_sig(of).index()));
        let makes =
            sig.is_some_and(|sig| (number as usize) < sig.results.len() && !sig.wide_results());
        ensure(makes && number > 0 && call.0 + number == self.at, || {
            "no result of the call before it".to_string()
        })
    }

    fn call(&self, inst: &Inst) -> Result<(), String> {
        let func = self.func;
        let Some(sig) = func.sigs.get(func.call_sig(inst).index()) else {
            return Err("there is no such signature".to_string());
        };
        let values = func.list(inst);
        let direct = matches!(inst.op, Op::Call | Op::ReturnCall);
        let extra = usize::from(!direct);
        if values.len() == extra && !sig.params.is_empty() {
            self.passed(sig.params.len(), sig.wide_params())?;
        } else {
            ensure(values.len() == sig.params.len() + extra, || {
                format!("{} arguments, expected {}", values.len(), sig.params.len() + extra)
            })?;
        }
        if !direct {
            ensure(func.sigs.get(inst.c as usize) == Some(sig), || {
                format!("type {} is another signature", inst.c)
            })?;
            match inst.op {
                Op::CallIndirect | Op::ReturnCallIndirect => self.integer(Value(values[0]))?,
                _ => self.expect(Value(values[0]), Type::FuncRef)?,
            }
        }
        for (&value, &ty) in values[extra..].iter().zip(&sig.params) {
            self.expect(Value(value), ty)?;
        }
        if inst.op.is_return_call() {
            return ensure(sig.results == func.signature().results, || {
                "other results than the caller's".to_string()
            });
        }
        if sig.wide_results() {
            let takes =
                |next: &Inst| next.op == Op::HomeTake && usize::from(next.aux) == sig.results.len();
            return ensure(
                inst.aux & CALL_HAS_RESULT == 0
                    && func.insts.get(self.at as usize + 1).is_some_and(takes),
                || format!("nothing takes {} results", sig.results.len()),
            );
        }
        ensure((inst.aux & CALL_HAS_RESULT != 0) != sig.results.is_empty(), || {
            "a call with or without a result against its signature".to_string()
        })?;
        for (number, &ty) in sig.results.iter().enumerate() {
            let result = func.insts.get(self.at as usize + number);
            let sound = result.is_some_and(|result| {
                let follows = number == 0
                    || (result.op == Op::CallResult && usize::from(result.aux) == number);
                result.ty == ty && follows
            });
            ensure(sound, || format!("result {number} does not follow"))?;
        }
        Ok(())
    }
}

fn is_float_arithmetic(op: Op) -> bool {
    (Op::FAdd as u8..=Op::FCopysign as u8).contains(&(op as u8))
}
