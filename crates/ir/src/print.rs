//! The text form of a function, complete: [`crate::parse`] reads it back.
//!
//! ```text
//! func 3 sig0 (i32, i32) -> (i32) {
//!   sig2: (i32) -> ()
//!   slot s0: i64
//!   homes 12
//!   loop l0: b1..b3 depth 1 call store
//! b0:
//!   v0: i32 = param
//!   v1: i32 = param @0x51
//!   v2: i32 = add.i32 v0, 5:i32
//!   br_if v2, b1(v0), b3
//! b1 in l0:
//!   v4: i32 = param
//!   call f7 sig2(v4) @0x60
//! ...
//! }
//! ```
//!
//! A value's number is the place of its instruction, counting those that make none. Constants stand
//! where they are used, with their type: finite floats in decimal that rounds back to the same bits,
//! others as bits. A parameter of the entry is the function's of its own number, or of the one that
//! stands behind it. Of the module's signatures those are listed that calls name. `@` is the Wasm byte
//! offset, written where it changes. The order of operand lists in the pool, the numbers of constants
//! and fields that an operation does not use are no part of the form. The text depends on the
//! function alone.

use crate::function::CALL_HAS_RESULT;
use crate::op::{Op, Shape};
use crate::{Block, Const, EdgeRef, Function, Inst, LibCall, Signature, TrapCode, Type, Value};
use std::fmt::{self, Display, Write};

/// The text form of `func`.
pub fn function(func: &Function) -> String {
    let mut out = String::new();
    write_function(func, true, &mut out).expect("writing to a string");
    out
}

/// The text form of `func` without byte offsets: equal for functions that differ in nothing else.
pub fn without_offsets(func: &Function) -> String {
    let mut out = String::new();
    write_function(func, false, &mut out).expect("writing to a string");
    out
}

/// Writes `items` with `between` between them.
fn separated<T: Display>(
    f: &mut fmt::Formatter<'_>,
    between: &str,
    items: impl Iterator<Item = T>,
) -> fmt::Result {
    for (number, item) in items.enumerate() {
        write!(f, "{}{item}", if number == 0 { "" } else { between })?;
    }
    Ok(())
}

/// A signature as text.
struct Sig<'a>(&'a Signature);

impl Display for Sig<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(")?;
        separated(f, ", ", self.0.params.iter())?;
        f.write_str(") -> (")?;
        separated(f, ", ", self.0.results.iter())?;
        f.write_str(")")
    }
}

/// The text form of a signature.
pub fn signature(sig: &Signature) -> String {
    Sig(sig).to_string()
}

/// Numbers of the signatures that calls of `func` name, but not its own, ascending.
fn named_sigs(func: &Function) -> Vec<u32> {
    let calls = func.insts.iter().filter(|inst| inst.op.info().shape == Shape::Call);
    let mut sigs: Vec<u32> = calls.map(|inst| func.call_sig(inst).0).collect();
    sigs.sort_unstable();
    sigs.dedup();
    sigs.retain(|&sig| sig != func.sig.0);
    sigs
}

fn write_function(func: &Function, offsets: bool, out: &mut String) -> fmt::Result {
    writeln!(out, "func {} {} {} {{", func.index, func.sig, Sig(func.signature()))?;
    for sig in named_sigs(func) {
        writeln!(out, "  sig{sig}: {}", Sig(&func.sigs[sig as usize]))?;
    }
    if func.depth_bytes != 0 {
        writeln!(out, "  depth {}", func.depth_bytes)?;
    }
    for (i, ty) in func.slots.iter().enumerate() {
        writeln!(out, "  slot s{i}: {ty}")?;
    }
    if func.homes > 0 {
        writeln!(out, "  homes {}", func.homes)?;
    }
    for (i, data) in func.loops.iter().enumerate() {
        write!(out, "  loop l{i}: {}..{}", data.header, data.end)?;
        if !data.parent.is_none() {
            write!(out, " in {}", data.parent)?;
        }
        write!(out, " depth {}", data.depth)?;
        writeln!(
            out,
            "{}{}",
            if data.has_call { " call" } else { "" },
            if data.has_store { " store" } else { "" }
        )?;
    }
    let mut offset = 0;
    for (i, data) in func.blocks.iter().enumerate() {
        write!(out, "{}", Block(i as u32))?;
        if !data.loop_id.is_none() {
            write!(out, " in {}", data.loop_id)?;
        }
        writeln!(out, "{}:", if data.cold { " cold" } else { "" })?;
        for at in data.first as usize..data.end as usize {
            write!(out, "  {}", InstText { func, at })?;
            if offsets && func.src[at] != offset {
                offset = func.src[at];
                write!(out, " @{offset:#x}")?;
            }
            out.push('\n');
        }
    }
    writeln!(out, "}}")
}

impl Display for Const {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Const { ty, bits } = *self;
        let (narrow, wide) = (u32::try_from(bits), u64::try_from(bits));
        match ty {
            Type::I32 if let Ok(bits) = narrow => write!(f, "{}", bits as i32),
            Type::I64 if let Ok(bits) = wide => write!(f, "{}", bits as i64),
            Type::F32
                if let Ok(bits) = narrow
                    && f32::from_bits(bits).is_finite() =>
            {
                write!(f, "{:?}", f32::from_bits(bits))
            }
            Type::F64
                if let Ok(bits) = wide
                    && f64::from_bits(bits).is_finite() =>
            {
                write!(f, "{:?}", f64::from_bits(bits))
            }
            Type::FuncRef | Type::AnyRef if bits == 0 => f.write_str("null"),
            _ => write!(f, "{bits:#x}"),
        }?;
        write!(f, ":{ty}")
    }
}

/// A value where it is used.
pub(crate) struct Use<'a>(pub(crate) &'a Function, pub(crate) Value);

impl Display for Use<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Use(func, value) = *self;
        match func.consts.get(value.index()) {
            Some(constant) if value.is_const() => write!(f, "{constant}"),
            _ => write!(f, "{value}"),
        }
    }
}

struct Edge<'a>(&'a Function, EdgeRef);

impl Display for Edge<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Edge(func, edge) = *self;
        write!(f, "{}", func.edge_target(edge))?;
        if func.edge_len(edge) != 0 {
            f.write_str("(")?;
            separated(f, ", ", func.edge_args(edge).map(|value| Use(func, value)))?;
            f.write_str(")")?;
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
        f.write_str(info.name)?;
        let value = |v: Value| Use(func, v);
        let list = || func.list(inst).iter().map(|&v| Use(func, Value(v)));
        match info.shape {
            Shape::Nullary => match inst.op {
                Op::GlobalGet => write!(f, " g{}", inst.c),
                Op::RefFunc => write!(f, " f{}", inst.c),
                Op::SlotLoad => write!(f, " s{}", inst.c),
                Op::Param if inst.c != self.at as u32 && self.in_entry() => {
                    write!(f, " {}", inst.c)
                }
                Op::HomeLoad => write!(f, " h{}", inst.c),
                Op::HomeMove => write!(f, " h{}, h{}, {}", inst.a, inst.c, inst.aux),
                Op::HomePass | Op::HomeTake => write!(f, " h{}, {}", inst.c, inst.aux),
                Op::MemSize => write!(f, " m{}", inst.aux),
                Op::TableSize => write!(f, " t{}", inst.aux),
                Op::Fuel | Op::FuelBack => write!(f, " {}", inst.c),
                _ => Ok(()),
            },
            Shape::Unary => {
                write!(f, ".{}", inst.ty)?;
                match inst.op {
                    Op::GlobalSet => write!(f, " g{},", inst.c)?,
                    Op::SlotStore => write!(f, " s{},", inst.c)?,
                    Op::HomeStore | Op::HomeSelect => write!(f, " h{},", inst.c)?,
                    Op::HomeShift => write!(f, " h{}, {},", inst.c, inst.aux)?,
                    Op::TableGet => write!(f, " t{},", inst.aux)?,
                    Op::TrapIf => write!(f, " {},", TrapText(inst.aux))?,
                    Op::FuelFor => write!(f, " {},", inst.c)?,
                    _ => {}
                }
                write!(f, " {}", value(inst.va()))
            }
            Shape::Binary => {
                write!(f, ".{}", inst.ty)?;
                if inst.op == Op::TableSet {
                    write!(f, " t{},", inst.aux)?;
                }
                write!(f, " {}, {}", value(inst.va()), value(inst.vb()))
            }
            Shape::Select => {
                let (a, b, c) = (value(inst.va()), value(inst.vb()), value(inst.vc()));
                write!(f, ".{} {a}, {b}, {c}", inst.ty)
            }
            Shape::Load => {
                write!(f, ".{} m{}[{} + {}]", inst.ty, inst.aux, value(inst.va()), inst.c)
            }
            Shape::Store => {
                let (addr, stored) = (value(inst.va()), value(inst.vb()));
                write!(f, ".{} m{}[{addr} + {}], {stored}", inst.ty, inst.aux, inst.c)
            }
            Shape::Call => {
                match inst.op {
                    Op::Call | Op::ReturnCall => write!(f, " f{}", inst.c)?,
                    Op::CallIndirect | Op::ReturnCallIndirect => {
                        write!(f, " t{} type {}", inst.call_aux(), inst.c)?;
                    }
                    _ => write!(f, " type {}", inst.c)?,
                }
                write!(f, " {}(", func.call_sig(inst))?;
                separated(f, ", ", list())?;
                f.write_str(")")
            }
            Shape::LibCall => {
                let helper = LibCall::ALL.get(usize::from(inst.aux & !CALL_HAS_RESULT));
                write!(f, " {}(", helper.map_or("?", |helper| helper.name()))?;
                separated(f, ", ", list())?;
                f.write_str(")")
            }
            Shape::CallResult => write!(f, " {} of {}", inst.aux, value(inst.va())),
            Shape::Jump => write!(f, " {}", Edge(func, EdgeRef(inst.a))),
            Shape::BrIf => {
                let (yes, no) = (Edge(func, EdgeRef(inst.b)), Edge(func, EdgeRef(inst.c)));
                write!(f, " {}, {yes}, {no}", value(inst.va()))
            }
            Shape::BrTable => self.table(f, inst),
            Shape::Return => {
                f.write_str(if inst.b == 0 { "" } else { " " })?;
                separated(f, ", ", list())
            }
            Shape::Trap => write!(f, " {}", TrapText(inst.aux)),
        }
    }
}

impl InstText<'_> {
    fn in_entry(&self) -> bool {
        self.func.blocks.first().is_some_and(|entry| self.at < entry.end as usize)
    }

    fn table(&self, f: &mut fmt::Formatter<'_>, inst: &Inst) -> fmt::Result {
        let func = self.func;
        write!(f, " {}", Use(func, inst.va()))?;
        for edge in func.table_edges(inst) {
            write!(f, ", {}", Edge(func, edge))?;
        }
        f.write_str(" [")?;
        separated(f, " ", func.table_entries(inst).iter())?;
        f.write_str("]")
    }
}

/// The name of a trap code.
struct TrapText(u16);

impl Display for TrapText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match u8::try_from(self.0).ok().and_then(TrapCode::from_u8) {
            Some(code) => write!(f, "{code:?}"),
            None => write!(f, "?{}", self.0),
        }
    }
}
