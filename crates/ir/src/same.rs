//! Whether two functions are the same but for how their arrays are laid out.

use crate::op::Shape;
use crate::{EdgeRef, Function, Inst, Op, Value};

/// What first tells `a` from `b`, if anything does.
///
/// Not compared is what carries no meaning: the numbers of constants, the order of lists in the pool,
/// fields that an operation does not use, and signatures of the module that neither function names.
pub fn difference(a: &Function, b: &Function) -> Option<String> {
    let parts = [
        ("indices", a.index == b.index),
        ("signatures", a.sig == b.sig && a.signature() == b.signature()),
        ("depths", a.depth_bytes == b.depth_bytes),
        ("slots", a.slots == b.slots),
        ("homes", a.homes == b.homes),
        ("loops", a.loops == b.loops),
        ("blocks", a.blocks == b.blocks),
        ("numbers of instructions", a.insts.len() == b.insts.len()),
        ("byte offsets", a.src == b.src),
    ];
    if let Some((what, _)) = parts.iter().find(|(_, same)| !same) {
        return Some(format!("other {what}"));
    }
    let differs = |&at: &usize| !same_inst(a, &a.insts[at], b, &b.insts[at]);
    let at = (0..a.insts.len()).find(differs)?;
    Some(format!("v{at}: {:?} and {:?}", a.insts[at], b.insts[at]))
}

fn same_value(a: &Function, x: Value, b: &Function, y: Value) -> bool {
    match (a.as_const(x), b.as_const(y)) {
        (Some(x), Some(y)) => x == y,
        (None, None) => x == y,
        _ => false,
    }
}

fn same_edge(a: &Function, x: u32, b: &Function, y: u32) -> bool {
    let (x, y) = (EdgeRef(x), EdgeRef(y));
    a.edge_target(x) == b.edge_target(y)
        && a.edge_len(x) == b.edge_len(y)
        && a.edge_args(x).zip(b.edge_args(y)).all(|(v, w)| same_value(a, v, b, w))
}

fn same_inst(a: &Function, x: &Inst, b: &Function, y: &Inst) -> bool {
    if x.op != y.op || x.result_type() != y.result_type() {
        return false;
    }
    let value = |v: Value, w: Value| same_value(a, v, b, w);
    let list = || {
        let (v, w) = (a.list(x), b.list(y));
        v.len() == w.len() && v.iter().zip(w).all(|(&v, &w)| value(Value(v), Value(w)))
    };
    match x.op.info().shape {
        Shape::Nullary => {
            let to = x.op != Op::HomeMove || x.a == y.a;
            x.op == Op::Nop || (x.aux == y.aux && x.c == y.c && to)
        }
        // Of these the unused fields are few, and zero.
        Shape::Unary => (x.ty, x.aux, x.b, x.c) == (y.ty, y.aux, y.b, y.c) && value(x.va(), y.va()),
        Shape::Binary | Shape::Load | Shape::Store => {
            let rest = (x.ty, x.aux, x.c) == (y.ty, y.aux, y.c);
            let second = x.op.info().shape == Shape::Load || value(x.vb(), y.vb());
            rest && second && value(x.va(), y.va())
        }
        Shape::Select => {
            x.ty == y.ty && value(x.va(), y.va()) && value(x.vb(), y.vb()) && value(x.vc(), y.vc())
        }
        Shape::Call => {
            let (s, t) = (a.call_sig(x), b.call_sig(y));
            let sig = s == t && a.sigs[s.index()] == b.sigs[t.index()];
            sig && x.aux == y.aux && x.c == y.c && list()
        }
        Shape::LibCall => x.aux == y.aux && list(),
        Shape::CallResult => x.aux == y.aux && value(x.va(), y.va()),
        Shape::Jump => same_edge(a, x.a, b, y.a),
        Shape::BrIf => {
            value(x.va(), y.va()) && same_edge(a, x.b, b, y.b) && same_edge(a, x.c, b, y.c)
        }
        Shape::BrTable => {
            let mut edges = a.table_edges(x).zip(b.table_edges(y));
            value(x.va(), y.va())
                && a.table_edges(x).len() == b.table_edges(y).len()
                && edges.all(|(v, w)| same_edge(a, v.0, b, w.0))
                && a.table_entries(x) == b.table_entries(y)
        }
        Shape::Return => list(),
        Shape::Trap => x.aux == y.aux,
    }
}
