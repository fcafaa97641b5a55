//! Redundant block parameters: what they stand for.
//!
//! A parameter that turned out to equal another value becomes a `copy` of it. Look-ups halve the
//! paths they walk; when the function is complete, one sweep replaces every operand that names a
//! copy.
//!
//! # Complexity
//! The sweep is linear in instructions and pool. Path halving makes look-ups near-constant,
//! amortised (Tarjan and van Leeuwen 1984).

use runwell_ir::work::{Pass, Work};
use runwell_ir::{EdgeRef, Function, Inst, Op, Shape, Value};

/// The value that `value` stands for.
pub(crate) fn resolve(func: &mut Function, mut value: Value) -> Value {
    while value.is_inst() && func.insts[value.index()].op == Op::Copy {
        let next = func.insts[value.index()].va();
        if next.is_inst() && func.insts[next.index()].op == Op::Copy {
            let skip = func.insts[next.index()].a;
            func.insts[value.index()].a = skip;
            value = Value(skip);
        } else {
            return next;
        }
    }
    value
}

/// Replaces every operand that names a copy by what the copy stands for.
pub(crate) fn rewrite(func: &mut Function, work: &mut Work) {
    work.charge(Pass::Translate, func.insts.len() + func.pool.len());
    for index in 0..func.insts.len() {
        let inst = func.insts[index];
        let mut fix = |field: u32| resolve(func, Value(field)).0;
        let fixed = match inst.op.info().shape {
            Shape::Nullary | Shape::Trap => continue,
            Shape::Unary | Shape::Load | Shape::CallResult => Inst { a: fix(inst.a), ..inst },
            Shape::Binary | Shape::Store => Inst { a: fix(inst.a), b: fix(inst.b), ..inst },
            Shape::Select => Inst { a: fix(inst.a), b: fix(inst.b), c: fix(inst.c), ..inst },
            Shape::Call => {
                rewrite_pool(func, inst.a as usize + 1, (inst.a + inst.b) as usize);
                continue;
            }
            Shape::LibCall | Shape::Return => {
                rewrite_pool(func, inst.a as usize, (inst.a + inst.b) as usize);
                continue;
            }
            Shape::Jump => {
                rewrite_edge(func, EdgeRef(inst.a));
                continue;
            }
            Shape::BrIf => {
                let a = fix(inst.a);
                rewrite_edge(func, EdgeRef(inst.b));
                rewrite_edge(func, EdgeRef(inst.c));
                Inst { a, ..inst }
            }
            Shape::BrTable => {
                let a = fix(inst.a);
                let start = inst.b as usize;
                for at in start + 1..start + 1 + func.pool[start] as usize {
                    rewrite_edge(func, EdgeRef(func.pool[at]));
                }
                Inst { a, ..inst }
            }
        };
        func.insts[index] = fixed;
    }
}

fn rewrite_edge(func: &mut Function, edge: EdgeRef) {
    let start = edge.index() + 2;
    let len = func.edge_len(edge);
    rewrite_pool(func, start, start + len);
}

fn rewrite_pool(func: &mut Function, start: usize, end: usize) {
    for at in start..end {
        let value = Value(func.pool[at]);
        func.pool[at] = resolve(func, value).0;
    }
}
