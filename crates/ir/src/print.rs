//! The text form of a function.
//!
//! ```text
//! func 3 (i32, i32) -> (i32) {
//!   slots s0: i64
//! b0:
//!   v0: i32 = param
//!   v1: i32 = param
//!   v2: i32 = add.i32 v0, 5:i32
//!   br_if v2, b1(v0), b2
//! b1 loop l0 depth 1:
//! ...
//! ```
//!
//! Constants stand where they are used, with their type. Calls name their signature. The text is
//! stable: it depends on the function alone.

use crate::function::CALL_HAS_RESULT;
use crate::op::{Op, Shape};
use crate::{Block, EdgeRef, Function, Inst, LibCall, Signature, TrapCode, Type, Value};
use std::fmt::{self, Display, Write};

/// The text form of `func`.
pub fn function(func: &Function) -> String {
    let mut out = String::new();
    write_function(func, &mut out).expect("writing to a string");
    out
}

struct Types<'a>(&'a [Type]);

impl Display for Types<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(")?;
        for (i, ty) in self.0.iter().enumerate() {
            write!(f, "{}{ty}", if i == 0 { "" } else { ", " })?;
        }
        f.write_str(")")
    }
}

/// The text form of a signature.
pub fn signature(sig: &Signature) -> String {
    format!("{} -> {}", Types(&sig.params), Types(&sig.results))
}

fn write_function(func: &Function, out: &mut String) -> fmt::Result {
    writeln!(out, "func {} {} {{", func.index, signature(func.signature()))?;
    for (i, ty) in func.slots.iter().enumerate() {
        writeln!(out, "  slot s{i}: {ty}")?;
    }
    for (i, data) in func.blocks.iter().enumerate() {
        write!(out, "b{i}")?;
        if !data.loop_id.is_none() {
            let of = &func.loops[data.loop_id.index()];
            let header = if of.header == Block(i as u32) { "header of " } else { "in " };
            write!(out, " {header}{} depth {}", data.loop_id, of.depth)?;
        }
        writeln!(out, "{}:", if data.cold { " cold" } else { "" })?;
        for at in data.first..data.end {
            writeln!(out, "  {}", InstText { func, at: at as usize })?;
        }
    }
    writeln!(out, "}}")
}

/// A value where it is used.
struct Use<'a>(&'a Function, Value);

impl Display for Use<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_const(self.1) {
            Some(constant) => match constant.ty {
                Type::I32 => write!(f, "{}:i32", constant.bits as i32),
                Type::I64 => write!(f, "{}:i64", constant.bits as i64),
                ty => write!(f, "{:#x}:{ty}", constant.bits),
            },
            None => write!(f, "{}", self.1),
        }
    }
}

struct Edge<'a>(&'a Function, EdgeRef);

impl Display for Edge<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Edge(func, edge) = *self;
        write!(f, "{}", func.edge_target(edge))?;
        if func.edge_len(edge) != 0 {
            let args = func.edge_args(edge).map(|v| Use(func, v).to_string());
            write!(f, "({})", args.collect::<Vec<_>>().join(", "))?;
        }
        Ok(())
    }
}

/// One instruction as text.
pub struct InstText<'a> {
    /// The function.
    pub func: &'a Function,
    /// Index of the instruction.
    pub at: usize,
}

impl Display for InstText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let func = self.func;
        let inst = &func.insts[self.at];
        let info = inst.op.info();
        if let Some(ty) = inst.result_type() {
            write!(f, "v{}: {ty} = ", self.at)?;
        }
        write!(f, "{}", info.name)?;
        let value = |v: Value| Use(func, v);
        let list = || {
            let values = func.list(inst).iter().map(|&v| Use(func, Value(v)).to_string());
            values.collect::<Vec<_>>().join(", ")
        };
        match info.shape {
            Shape::Nullary => match inst.op {
                Op::GlobalGet | Op::RefFunc => write!(f, " {}", inst.c),
                Op::SlotLoad => write!(f, " s{}", inst.c),
                Op::MemSize | Op::TableSize => write!(f, " {}", inst.aux),
                _ => Ok(()),
            },
            Shape::Unary => {
                write!(f, ".{}", inst.ty)?;
                match inst.op {
                    Op::GlobalSet => write!(f, " {},", inst.c)?,
                    Op::SlotStore => write!(f, " s{},", inst.c)?,
                    Op::TableGet => write!(f, " {},", inst.aux)?,
                    Op::TrapIf => write!(f, " {:?},", trap(inst))?,
                    _ => {}
                }
                write!(f, " {}", value(inst.va()))
            }
            Shape::Binary => {
                write!(f, ".{}", inst.ty)?;
                if inst.op == Op::TableSet {
                    write!(f, " {},", inst.aux)?;
                }
                write!(f, " {}, {}", value(inst.va()), value(inst.vb()))
            }
            Shape::Select => {
                let (a, b, c) = (value(inst.va()), value(inst.vb()), value(inst.vc()));
                write!(f, ".{} {a}, {b}, {c}", inst.ty)
            }
            Shape::Load => {
                write!(f, ".{} {}[{} + {}]", inst.ty, inst.aux, value(inst.va()), inst.c)
            }
            Shape::Store => {
                let (addr, stored) = (value(inst.va()), value(inst.vb()));
                write!(f, ".{} {}[{addr} + {}], {stored}", inst.ty, inst.aux, inst.c)
            }
            Shape::Call => {
                if matches!(inst.op, Op::CallIndirect | Op::ReturnCallIndirect) {
                    write!(f, " table {}", inst.call_aux())?;
                }
                write!(f, " {} {}({})", inst.c, func.call_sig(inst), list())
            }
            Shape::LibCall => {
                let helper = LibCall::ALL.get(usize::from(inst.aux & !CALL_HAS_RESULT));
                write!(f, " {}({})", helper.map_or("?", |h| h.name()), list())
            }
            Shape::CallResult => write!(f, " {} of {}", inst.aux, value(inst.va())),
            Shape::Jump => write!(f, " {}", Edge(func, EdgeRef(inst.a))),
            Shape::BrIf => {
                let (yes, no) = (Edge(func, EdgeRef(inst.b)), Edge(func, EdgeRef(inst.c)));
                write!(f, " {}, {yes}, {no}", value(inst.va()))
            }
            Shape::BrTable => {
                write!(f, " {}", value(inst.va()))?;
                for edge in func.table_edges(inst) {
                    write!(f, ", {}", Edge(func, edge))?;
                }
                let entries = func.table_entries(inst).iter().map(u32::to_string);
                write!(f, " [{}]", entries.collect::<Vec<_>>().join(" "))
            }
            Shape::Return => write!(f, " {}", list()),
            Shape::Trap => write!(f, " {:?}", trap(inst)),
        }
    }
}

fn trap(inst: &Inst) -> Option<TrapCode> {
    TrapCode::from_u8(inst.aux as u8)
}
