//! Register allocation where the right answer is known, and inputs made to be expensive.

mod regalloc_gen;

use regalloc_gen::{Builder, call_clobbers, env, run};
use runwell_abi::Type;
use runwell_codegen::regalloc::{Allocation, Allocator, checker};
use runwell_codegen::vcode::{Constraint, Operand, PReg, RegSet, VCode, VReg};
use runwell_ir::work::{Pass, Work};

fn allocate(code: &VCode) -> (Allocation, Work) {
    let mut allocator = Allocator::new();
    let mut work = Work::new();
    let out = allocator.run(code, &env(), &mut work).unwrap().clone();
    if let Err(error) = checker::check(code, &out, &env()) {
        panic!("{error}");
    }
    for seed in 0..8 {
        run(code, &out, &env(), seed, 3000);
    }
    // A used allocator decides the same.
    assert_eq!(allocator.run(code, &env(), &mut Work::new()).unwrap(), &out);
    (out, work)
}

/// Moves within the blocks, by kind: copies, loads, stores.
fn kinds(code: &VCode, out: &Allocation, blocks: core::ops::Range<usize>) -> (usize, usize, usize) {
    let mut counts = (0, 0, 0);
    let (first, end) = (code.blocks[blocks.start].first, code.blocks[blocks.end - 1].end);
    let inside = out.moves.iter().filter(|(at, _)| (first..end).contains(at)).map(|(_, m)| *m);
    let edges = code.blocks[blocks].iter().flat_map(|b| {
        let ranges = &out.edges[b.edges_first as usize..b.edges_end as usize];
        ranges.iter().flat_map(|&(a, z)| out.edge_moves[a as usize..z as usize].to_vec())
    });
    for m in inside.chain(edges.collect::<Vec<_>>()) {
        if m.from.as_slot().is_some() {
            counts.1 += 1;
        } else if m.to.as_slot().is_some() {
            counts.2 += 1;
        } else {
            counts.0 += 1;
        }
    }
    counts
}

fn ret(b: &mut Builder, v: VReg) {
    b.terminate(&[Operand::used(v, Constraint::Fixed(PReg::int(0)))], &[]);
}

fn branch(b: &mut Builder, c: VReg, yes: (usize, &[VReg]), no: (usize, &[VReg])) {
    let edges = [(yes.0, yes.1.to_vec()), (no.0, no.1.to_vec())];
    b.terminate(&[Operand::used(c, Constraint::Reg)], &edges);
}

/// A counting loop around `body`, which gets the counter; the values it returns are carried.
fn counting(
    b: &mut Builder,
    carried: &[VReg],
    body: impl FnOnce(&mut Builder, &[VReg]) -> Vec<VReg>,
) -> Vec<VReg> {
    let (head, end) = (b.label(), b.label());
    let types: Vec<Type> = carried.iter().map(|&v| b.ty(v)).collect();
    b.jump(head, carried);
    b.begin_loop();
    let params = b.place(head, &types);
    let next = body(b, &params);
    branch(b, next[0], (head, &next), (end, &next));
    b.end_loop();
    b.place(end, &types)
}

#[test]
fn two_address_of_dying_operand_needs_no_copy() {
    let mut b = Builder::new();
    let (x, y) = (b.op(Type::I64, &[]), b.op(Type::I64, &[]));
    let z = b.two(x, y);
    let w = b.two(z, y);
    ret(&mut b, w);
    let code = b.finish();
    let (out, _) = allocate(&code);
    assert_eq!(out.moves, []);
}

#[test]
fn two_address_of_living_operand_needs_one_copy() {
    let mut b = Builder::new();
    let (x, y) = (b.op(Type::I64, &[]), b.op(Type::I64, &[]));
    let z = b.two(x, y);
    let w = b.two(z, x);
    ret(&mut b, w);
    let code = b.finish();
    let (out, _) = allocate(&code);
    assert_eq!(kinds(&code, &out, 0..1), (1, 0, 0));
}

#[test]
fn arguments_are_computed_where_the_call_wants_them() {
    let mut b = Builder::new();
    let x = b.op(Type::I64, &[]);
    let y = b.op(Type::I64, &[x]);
    let z = b.two(y, x);
    let r = b.call(&[x, z]);
    let s = b.call(&[r]);
    ret(&mut b, s);
    let code = b.finish();
    let (out, _) = allocate(&code);
    // The result of the first call moves from rax to rdi.
    assert_eq!(kinds(&code, &out, 0..1), (1, 0, 0));
}

#[test]
fn arguments_trade_places_by_an_exchange() {
    let mut b = Builder::new();
    let (rdi, rsi) = (PReg::int(7), PReg::int(6));
    let (x, y) = (b.vreg(Type::I64), b.vreg(Type::I64));
    b.inst(
        &[Operand::def(x, Constraint::Fixed(rsi)), Operand::def(y, Constraint::Fixed(rdi))],
        RegSet::EMPTY,
    );
    let r = b.call(&[x, y]);
    ret(&mut b, r);
    let (out, _) = allocate(&b.finish());
    assert_eq!(out.moves.len(), 1);
    assert!(out.moves[0].1.swap);
}

#[test]
fn simple_loop_has_no_moves() {
    let mut b = Builder::new();
    let (i, sum, n) = (b.op(Type::I64, &[]), b.op(Type::I64, &[]), b.op(Type::I64, &[]));
    let out = counting(&mut b, &[i, sum], |b, p| {
        let sum = b.two(p[1], p[0]);
        let i = b.two(p[0], n);
        vec![i, sum]
    });
    ret(&mut b, out[1]);
    let code = b.finish();
    let (out, _) = allocate(&code);
    assert_eq!(kinds(&code, &out, 1..2), (0, 0, 0), "{out:?}");
    assert_eq!(out.slot_bytes, []);
    assert_eq!(out.used_callee_saved, RegSet::EMPTY);
}

#[test]
fn increment_before_last_use_needs_one_copy() {
    let mut b = Builder::new();
    let (i, one) = (b.op(Type::I64, &[]), b.op(Type::I64, &[]));
    let out = counting(&mut b, &[i], |b, p| {
        let next = b.two(p[0], one);
        b.uses(&[p[0], next]);
        vec![next]
    });
    ret(&mut b, out[0]);
    let code = b.finish();
    let (out, _) = allocate(&code);
    assert_eq!(kinds(&code, &out, 1..2), (1, 0, 0), "{out:?}");
}

/// A loop that uses `inside` values from before it, in a function with `through` more that it
/// does not touch.
fn pressure_loop(inside: usize, through: usize, ty: Type) -> VCode {
    let mut b = Builder::new();
    let i = b.op(Type::I64, &[]);
    let used: Vec<VReg> = (0..inside).map(|_| b.op(ty, &[])).collect();
    let other: Vec<VReg> = (0..through).map(|_| b.op(ty, &[])).collect();
    let out = counting(&mut b, &[i], |b, p| {
        for pair in used.windows(2) {
            b.uses(pair);
        }
        vec![b.two(p[0], p[0])]
    });
    for &v in other.iter().chain(&used) {
        b.uses(&[v]);
    }
    ret(&mut b, out[0]);
    b.finish()
}

#[test]
fn no_reload_in_a_loop_with_room() {
    for through in [0, 3, 8, 20] {
        let code = pressure_loop(10, through, Type::I64);
        let (out, _) = allocate(&code);
        assert_eq!(kinds(&code, &out, 1..2), (0, 0, 0), "{through} live through: {out:?}");
        let code = pressure_loop(14, through, Type::F64);
        let (out, _) = allocate(&code);
        assert_eq!(kinds(&code, &out, 1..2), (0, 0, 0), "{through} live through: {out:?}");
    }
}

#[test]
fn live_through_is_spilled_once_outside() {
    let code = pressure_loop(8, 12, Type::I64);
    let (out, _) = allocate(&code);
    let (_, loads, stores) = kinds(&code, &out, 0..code.blocks.len());
    assert!(loads <= 12 && stores <= 12, "{loads} loads, {stores} stores");
    assert_eq!(kinds(&code, &out, 1..2), (0, 0, 0));
}

#[test]
fn too_much_pressure_costs_what_it_must() {
    // 16 values, each read twice per iteration in neighbouring instructions, in 12 registers.
    let code = pressure_loop(16, 0, Type::I64);
    let (out, _) = allocate(&code);
    let (copies, loads, stores) = kinds(&code, &out, 1..2);
    assert!(copies <= 1 && loads <= 7 && stores == 0, "{copies} {loads} {stores}");
}

#[test]
fn values_across_calls_in_loops_are_callee_saved() {
    let mut b = Builder::new();
    let i = b.op(Type::I64, &[]);
    let kept: Vec<VReg> = (0..3).map(|_| b.op(Type::I64, &[])).collect();
    let out = counting(&mut b, &[i], |b, p| {
        b.uses(&kept);
        b.call(&[]);
        vec![b.two(p[0], p[0])]
    });
    ret(&mut b, out[0]);
    let code = b.finish();
    let (out, _) = allocate(&code);
    assert_eq!(kinds(&code, &out, 1..2), (0, 0, 0), "{out:?}");
    assert_eq!(out.used_callee_saved, env().callee_saved);
}

#[test]
fn cold_call_costs_nothing_on_the_hot_path() {
    let mut b = Builder::new();
    let i = b.op(Type::I64, &[]);
    let kept: Vec<VReg> = (0..6).map(|_| b.op(Type::I64, &[])).collect();
    let (rare, join) = (b.label(), b.label());
    let out = counting(&mut b, &[i], |b, p| {
        b.uses(&kept);
        branch(b, p[0], (rare, &[]), (join, &[]));
        b.place(rare, &[]);
        b.cold();
        b.inst(&[], call_clobbers());
        b.jump(join, &[]);
        b.place(join, &[]);
        vec![b.two(p[0], p[0])]
    });
    ret(&mut b, out[0]);
    let code = b.finish();
    let (out, _) = allocate(&code);
    assert_eq!(kinds(&code, &out, 1..2), (0, 0, 0), "{out:?}");
    assert_eq!(kinds(&code, &out, 3..4), (0, 0, 0), "{out:?}");
}

/// A switch with `n` arms, each of which uses some values and calls; all meet again.
fn switch(n: usize) -> VCode {
    let mut b = Builder::new();
    let values: Vec<VReg> = (0..8).map(|_| b.op(Type::I64, &[])).collect();
    let arms: Vec<usize> = (0..n).map(|_| b.label()).collect();
    let end = b.label();
    let edges: Vec<(usize, Vec<VReg>)> = arms.iter().map(|&l| (l, vec![])).collect();
    b.terminate(&[Operand::used(values[0], Constraint::Reg)], &edges);
    for (k, &arm) in arms.iter().enumerate() {
        b.place(arm, &[]);
        let v = b.two(values[k % 8], values[(k + 3) % 8]);
        if k % 3 == 0 {
            b.call(&[v]);
        }
        b.jump(end, &[v]);
    }
    let p = b.place(end, &[Type::I64]);
    b.uses(&values);
    ret(&mut b, p[0]);
    b.finish()
}

/// `n` small blocks in a row, each of which can leave for the end; `n / 8` values live through all
/// of them.
fn chain(n: usize) -> VCode {
    let mut b = Builder::new();
    let values: Vec<VReg> = (0..n / 8).map(|_| b.op(Type::I64, &[])).collect();
    let end = b.label();
    for k in 0..n {
        let c = values[k % values.len()];
        let next = b.label();
        branch(&mut b, c, (end, &[]), (next, &[]));
        b.place(next, &[]);
    }
    b.jump(end, &[]);
    b.place(end, &[]);
    for &v in &values {
        b.uses(&[v]);
    }
    ret(&mut b, values[0]);
    b.finish()
}

/// `n` values live across `n` calls, with arguments that alternate between two registers.
fn calls(n: usize) -> VCode {
    let mut b = Builder::new();
    let values: Vec<VReg> = (0..n).map(|_| b.op(Type::I64, &[])).collect();
    for k in 0..n {
        b.call(&[values[0], values[k], values[1]]);
        b.call(&[values[k], values[0], values[1]]);
    }
    for &v in &values {
        b.uses(&[v]);
    }
    ret(&mut b, values[0]);
    b.finish()
}

/// `n` loops one in the other, each with a value of its own that the innermost one uses.
fn nest(n: usize) -> VCode {
    let mut b = Builder::new();
    let mut values = vec![];
    let (mut heads, mut ends) = (vec![], vec![]);
    let c = b.op(Type::I64, &[]);
    for _ in 0..n {
        values.push(b.op(Type::I64, &[]));
        let head = b.label();
        b.jump(head, &[]);
        b.begin_loop();
        b.place(head, &[]);
        heads.push(head);
        ends.push(b.label());
    }
    for &v in &values {
        b.uses(&[v]);
    }
    for k in (0..n).rev() {
        branch(&mut b, c, (heads[k], &[]), (ends[k], &[]));
        b.end_loop();
        b.place(ends[k], &[]);
    }
    ret(&mut b, c);
    b.finish()
}

/// `n` blocks that branch to each other's successors with 8 parameters that rotate.
fn rotations(n: usize) -> VCode {
    let mut b = Builder::new();
    let mut values: Vec<VReg> = (0..8).map(|_| b.op(Type::I64, &[])).collect();
    for _ in 0..n {
        let (left, right, join) = (b.label(), b.label(), b.label());
        branch(&mut b, values[0], (left, &[]), (right, &[]));
        b.place(left, &[]);
        b.jump(join, &values);
        b.place(right, &[]);
        values.rotate_left(3);
        b.jump(join, &values);
        values = b.place(join, &[Type::I64; 8]);
    }
    ret(&mut b, values[0]);
    b.finish()
}

/// A branch table with `n` targets that all lead into one block with many values in registers.
fn wide(n: usize) -> VCode {
    let mut b = Builder::new();
    let values: Vec<VReg> = (0..n).map(|_| b.op(Type::I64, &[])).collect();
    let arms: Vec<usize> = (0..n).map(|_| b.label()).collect();
    let end = b.label();
    let edges: Vec<(usize, Vec<VReg>)> = arms.iter().map(|&l| (l, vec![])).collect();
    b.terminate(&[Operand::used(values[0], Constraint::Reg)], &edges);
    for (k, &arm) in arms.iter().enumerate() {
        b.place(arm, &[]);
        let edges = [(end, vec![]), (arms.get(k + 1).copied().unwrap_or(end), vec![])];
        b.terminate(&[Operand::used(values[k], Constraint::Reg)], &edges);
    }
    b.place(end, &[]);
    for &v in &values {
        b.uses(&[v]);
    }
    ret(&mut b, values[0]);
    b.finish()
}

#[test]
fn work_is_linear() {
    type Family = (&'static str, fn(usize) -> VCode);
    let families: [Family; 6] = [
        ("switch", switch),
        ("chain", chain),
        ("calls", calls),
        ("nest", nest),
        ("rotations", rotations),
        ("wide", wide),
    ];
    for (name, family) in families {
        let per_unit = |n: usize| {
            let code = family(n);
            let mut work = Work::new();
            let mut allocator = Allocator::new();
            let out = allocator.run(&code, &env(), &mut work).unwrap();
            let size = code.insts.len() + code.operands.len() + code.args.len() + code.edges.len();
            let moves = out.moves.len() + out.edge_moves.len();
            let spent = work.spent(Pass::Liveness) + work.spent(Pass::Allocate);
            (spent as f64 / size as f64, moves as f64 / size as f64)
        };
        let (small, large) = (per_unit(2000), per_unit(8000));
        assert!(large.0 < small.0 * 1.05, "{name}: {small:?} {large:?}");
        assert!(large.1 < small.1 * 1.05 + 0.01, "{name}: {small:?} {large:?}");
        assert!(large.0 < 120.0, "{name}: {large:?}");
    }
}

#[test]
fn expensive_shapes_are_right() {
    let limit = 300;
    for family in [switch, chain, calls, nest, rotations, wide] {
        allocate(&family(limit));
    }
    allocate(&pressure_loop(60, 60, Type::V128));
}
