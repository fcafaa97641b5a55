//! A function made again, value by value, as the front end makes it.

use runwell_ir::{EdgeRef, Function, Inst, LibCall, Op, Shape, Slot, TrapCode, Type, Value};
use runwell_opt::Builder;

/// Makes `func` again through a [`Builder`], which folds, numbers and forwards. Each block stands
/// alone: what is shared between blocks is the front end's to know.
pub(super) fn rebuild(func: &Function) -> Function {
    let mut again = Again { old: func, new: Builder::new(), values: Vec::new() };
    again.values.resize(func.insts.len(), Value::NONE);
    again.new.begin(func.index, func.sig, func.sigs.clone());
    again.new.expect(func.insts.len());
    again.new.func.slots.extend_from_slice(&func.slots);
    again.new.func.homes = func.homes;
    again.new.func.loops.extend_from_slice(&func.loops);
    for (index, data) in func.blocks.iter().enumerate() {
        again.new.start_block(data.loop_id);
        again.new.func.blocks[index].cold = data.cold;
        again.new.push_scope();
        again.new.fresh_epochs(u32::MAX);
        for at in data.first as usize..data.end as usize {
            again.inst(at);
        }
        again.new.pop_scope();
    }
    again.new.finish();
    again.new.func
}

struct Again<'a> {
    old: &'a Function,
    new: Builder,
    /// What each value of the old function is in the new one.
    values: Vec<Value>,
}

impl Again<'_> {
    fn value(&mut self, value: Value) -> Value {
        match self.old.as_const(value) {
            Some(constant) => match constant.ty {
                Type::F32 => self.new.fconst32(constant.bits as u32),
                Type::F64 => self.new.fconst64(constant.bits as u64),
                Type::V128 => self.new.func.push_const(constant.ty, constant.bits),
                ty => self.new.iconst(ty, constant.bits as u64),
            },
            None => self.values[value.index()],
        }
    }

    fn list(&mut self, values: &[u32]) -> Vec<Value> {
        values.iter().map(|&value| self.value(Value(value))).collect()
    }

    fn edge(&mut self, edge: u32) -> u32 {
        let (old, edge) = (self.old, EdgeRef(edge));
        let args: Vec<Value> = old.edge_args(edge).map(|value| self.value(value)).collect();
        self.new.func.push_edge(old.edge_target(edge), &args).0
    }

    fn inst(&mut self, at: usize) {
        let inst = &self.old.insts[at];
        if inst.op.is_terminator() {
            return self.terminator(inst);
        }
        let (op, ty) = (inst.op, inst.ty);
        let made = match op.info().shape {
            Shape::Nullary => match op {
                Op::Param if self.new.func.blocks.len() == 1 => self.new.argument(ty, inst.c),
                Op::Param => self.new.param(ty),
                Op::HomeLoad => self.new.home_load(ty, inst.c),
                Op::HomeMove => return self.new.home_move(inst.a, inst.c, inst.aux.into()),
                Op::HomePass => return self.new.home_pass(inst.c, inst.aux.into()),
                Op::HomeTake => return self.new.home_take(inst.c, inst.aux.into()),
                Op::GlobalGet => self.new.global_get(ty, inst.c),
                Op::SlotLoad => self.new.slot_load(ty, Slot(inst.c)),
                Op::TableSize => self.new.table_size(ty, inst.aux),
                Op::MemSize => self.new.mem_size(ty, inst.aux),
                Op::RefFunc => self.new.ref_func(inst.c),
                _ => return,
            },
            Shape::Unary => {
                let a = self.value(inst.va());
                match op {
                    Op::GlobalSet => return self.new.global_set(ty, inst.c, a),
                    Op::SlotStore => return self.new.slot_store(ty, Slot(inst.c), a),
                    Op::HomeStore => return self.new.home_store(inst.c, a),
                    Op::HomeSelect => self.new.home_select(ty, a, inst.c),
                    Op::HomeShift => return self.new.home_shift(inst.c, a, inst.aux.into()),
                    Op::TrapIf => {
                        let code = TrapCode::from_u8(inst.aux as u8).expect("a verified function");
                        return self.new.trap_if(code, a);
                    }
                    Op::TableGet => self.new.table_get(ty, inst.aux, a),
                    // A parameter that stands for another value keeps its place.
                    Op::Copy => {
                        let param = self.new.param(ty);
                        self.new.make_alias(param, a);
                        a
                    }
                    _ => self.new.unary(op, ty, a),
                }
            }
            Shape::Binary => {
                let (a, b) = (self.value(inst.va()), self.value(inst.vb()));
                if op == Op::TableSet {
                    return self.new.table_set(ty, inst.aux, a, b);
                }
                self.new.binary(op, ty, a, b)
            }
            Shape::Select => {
                let (a, b) = (self.value(inst.va()), self.value(inst.vb()));
                let c = self.value(inst.vc());
                self.new.select(ty, a, b, c)
            }
            Shape::Load => {
                let addr = self.value(inst.va());
                self.new.load(op, ty, inst.aux, addr, inst.c)
            }
            Shape::Store => {
                let (addr, value) = (self.value(inst.va()), self.value(inst.vb()));
                return self.new.store(op, ty, inst.aux, addr, inst.c, value);
            }
            Shape::Call => return self.call(at, inst),
            Shape::LibCall => {
                let args = self.list(self.old.list(inst));
                let helper = LibCall::ALL[usize::from(inst.call_aux())];
                match self.new.libcall(helper, inst.result_type(), &args) {
                    Some(value) => value,
                    None => return,
                }
            }
            // Made with the call.
            _ => return,
        };
        self.values[at] = made;
    }

    fn call(&mut self, at: usize, inst: &Inst) {
        let args = self.list(self.old.list(inst));
        let sig = self.old.call_sig(inst);
        let mut results = Vec::new();
        self.new.call(inst.op, inst.c, inst.call_aux(), sig, &args, &mut results);
        self.values[at..at + results.len()].copy_from_slice(&results);
    }

    fn terminator(&mut self, inst: &Inst) {
        let old = self.old;
        let mut made = *inst;
        match inst.op.info().shape {
            Shape::Jump => made.a = self.edge(inst.a),
            Shape::BrIf => {
                made.a = self.value(inst.va()).0;
                (made.b, made.c) = (self.edge(inst.b), self.edge(inst.c));
            }
            Shape::BrTable => {
                made.a = self.value(inst.va()).0;
                let edges: Vec<u32> = old.table_edges(inst).map(|edge| self.edge(edge.0)).collect();
                let pool = &mut self.new.func.pool;
                made.b = pool.len() as u32;
                pool.push(edges.len() as u32);
                pool.extend(edges);
                pool.extend(old.table_entries(inst));
                made.c = pool.len() as u32 - made.b;
            }
            Shape::Call => {
                let args = self.list(old.list(inst));
                (made.a, made.b) = self.new.func.push_call(old.call_sig(inst), &args);
            }
            Shape::Return => {
                let values = self.list(old.list(inst));
                made.a = self.new.func.push_list(&values);
            }
            _ => {}
        }
        self.new.end_block(made);
    }
}
