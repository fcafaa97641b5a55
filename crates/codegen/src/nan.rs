//! Which values may be a NaN with the wrong bits.
//!
//! In the IR arithmetic that gives a NaN gives the positive canonical one. The machine propagates the
//! operand's payload or makes the negative one, and fixing that behind every operation would double
//! floating-point code. But most NaNs are never looked at: arithmetic and comparisons see only that a
//! value is a NaN, not which. So values are cut in two kinds. A *loose* value stands for "if it is a
//! NaN, then the canonical one", whatever its register says; an *exact* one is what its register says.
//! Where bits can be seen (stores, reinterpretation, sign operations, calls, returns, globals) and
//! where a loose value becomes an exact one (a parameter that other edges give exact values),
//! selection adds the fix-up.
//!
//! Parameters and selects of loose values are loose themselves, so that an accumulator in a loop is
//! fixed once, behind it. That they are is assumed first; an exact operand refutes it, and what was
//! refuted refutes what depends on it.
//!
//! An edge costs a byte or none, and each of its arguments may want a fix-up. So what arithmetic gives to more
//! than a few parameters that are exact, in registers or in the frame, is made exact where it is made.
//!
//! # Complexity
//! Linear, on the meter as `Pass::Optimize`: two sweeps over instructions, edges and edge arguments; each dependence
//! is followed at most once, when what it rests on is refuted, which happens once. Functions without
//! floating-point arithmetic take the sweep only. Beyond its share is an error.

use runwell_ir::scratch;
use runwell_ir::work::{Pass, Work};
use runwell_ir::{EdgeRef, Function, Inst, LoopId, Op, Type, Value};

/// The analysis and its memory, reused from function to function.
#[derive(Debug, Default)]
pub(crate) struct Nans {
    /// Loose values; empty when there are none.
    loose: Vec<u64>,
    /// `(user, next)`: values whose looseness rests on that of another one, as lists.
    users: Vec<(u32, u32)>,
    /// First of `users`, per value.
    heads: Vec<u32>,
    /// Loops that divide or take roots.
    slow: Vec<bool>,
    /// Refuted values whose users are still to be told.
    refuted: Vec<u32>,
}

const NONE: u32 = u32::MAX;

/// What wants a value exact counts so much in the innermost loop around what makes the value, and so much
/// elsewhere, where a fix-up may run less often.
const WANTED_HERE: u32 = 2;
const WANTED_ELSEWHERE: u32 = 1;
/// As long as it is no more than this, each gets its own fix-up.
const FEW_WANTED: u32 = 4;
/// Bits for the count beside the number of a loop.
const COUNT_BITS: u32 = 3;
const _: () = assert!(FEW_WANTED + WANTED_HERE < 1 << COUNT_BITS);

/// True for operations that give a canonical NaN by definition.
fn makes_nan(inst: &Inst) -> bool {
    use Op::*;
    matches!(
        inst.op,
        FAdd | FSub
            | FMul
            | FDiv
            | FMin
            | FMax
            | FSqrt
            | FCeil
            | FFloor
            | FTrunc
            | FNearest
            | Demote
            | Promote
    )
}

fn is_float(ty: Type) -> bool {
    matches!(ty, Type::F32 | Type::F64)
}

/// True if the value is no NaN, so that it may count as either kind.
fn is_number(func: &Function, value: Value) -> bool {
    match func.as_const(value) {
        Some(c) if c.ty == Type::F32 => c.bits as u32 & 0x7fff_ffff <= 0x7f80_0000,
        Some(c) => c.bits as u64 & (u64::MAX >> 1) <= 0x7ff0 << 48,
        None => func.def(value).is_some_and(|d| matches!(d.op, Op::ConvertS | Op::ConvertU)),
    }
}

impl Nans {
    /// Takes every value for exact.
    pub(crate) fn clear(&mut self) {
        self.loose.clear();
    }

    /// Analyses a function.
    pub(crate) fn run(&mut self, func: &Function, work: &mut Work) {
        self.loose.clear();
        work.charge(Pass::Optimize, func.insts.len());
        if !func.insts.iter().any(makes_nan) {
            return;
        }
        self.loose.resize(func.insts.len().div_ceil(64), 0);
        scratch::fill(&mut self.heads, func.insts.len(), NONE);
        scratch::fill(&mut self.slow, func.loops.len(), false);
        self.users.clear();
        // All candidates first: a parameter may be reached by an edge from further down.
        for (number, block) in func.blocks.iter().enumerate() {
            for index in block.first..block.end {
                let inst = &func.insts[index as usize];
                if matches!(inst.op, Op::FDiv | Op::FSqrt)
                    && let Some(slow) = self.slow.get_mut(block.loop_id.index())
                {
                    *slow = true;
                }
                let maybe = match inst.op {
                    Op::Param => number > 0,
                    Op::Select | Op::FAbs => true,
                    _ => makes_nan(inst),
                };
                if maybe && is_float(inst.ty) {
                    self.loose[index as usize / 64] |= 1 << (index % 64);
                }
            }
        }
        for index in 0..func.insts.len() as u32 {
            let inst = &func.insts[index as usize];
            match inst.op {
                Op::Select if is_float(inst.ty) => {
                    self.rests_on(func, index, inst.vb());
                    self.rests_on(func, index, inst.vc());
                }
                Op::FAbs => self.rests_on(func, index, inst.va()),
                Op::Jump => self.edge(func, EdgeRef(inst.a), work),
                Op::BrIf => {
                    self.edge(func, EdgeRef(inst.b), work);
                    self.edge(func, EdgeRef(inst.c), work);
                }
                Op::BrTable => {
                    for edge in func.table_edges(inst) {
                        self.edge(func, edge, work);
                    }
                }
                _ => {}
            }
        }
        work.charge(Pass::Optimize, self.users.len());
        while let Some(index) = self.refuted.pop() {
            let mut next = self.heads[index as usize];
            while let Some(&(user, after)) = self.users.get(next as usize) {
                self.refute(user);
                next = after;
            }
        }
        self.put_right(func, work);
    }

    /// Makes exact what many edges want exact. Nothing is refuted by that: an exact value will do where a
    /// loose one does.
    fn put_right(&mut self, func: &Function, work: &mut Work) {
        // Per value the loop that makes it, and how much it is wanted.
        for block in &func.blocks {
            self.heads[block.first as usize..block.end as usize]
                .fill(block.loop_id.0 << COUNT_BITS);
        }
        work.charge(Pass::Optimize, func.insts.len() + func.blocks.len());
        for block in &func.blocks {
            let here = block.loop_id;
            for inst in &func.insts[block.first as usize..block.end as usize] {
                match inst.op {
                    // On the way to a label that takes its values from the frame, which is exact.
                    Op::HomeStore | Op::SlotStore => self.want_one(func, inst.va(), here),
                    Op::Jump => self.want(func, EdgeRef(inst.a), here, work),
                    Op::BrIf => {
                        self.want(func, EdgeRef(inst.b), here, work);
                        self.want(func, EdgeRef(inst.c), here, work);
                    }
                    Op::BrTable => {
                        for edge in func.table_edges(inst) {
                            self.want(func, edge, here, work);
                        }
                    }
                    _ => {}
                }
            }
        }
    }

    fn want(&mut self, func: &Function, edge: EdgeRef, here: LoopId, work: &mut Work) {
        let first = func.blocks[func.edge_target(edge).index()].first;
        work.charge(Pass::Optimize, 1 + func.edge_len(edge));
        for (param, arg) in (first..).zip(func.edge_args(edge)) {
            if !self.is_set(param) {
                self.want_one(func, arg, here);
            }
        }
    }

    fn want_one(&mut self, func: &Function, value: Value, here: LoopId) {
        if !self.is_loose(value) || !makes_nan(&func.insts[value.index()]) {
            return;
        }
        let wanted = &mut self.heads[value.index()];
        let is_here = *wanted >> COUNT_BITS == here.0 << COUNT_BITS >> COUNT_BITS;
        *wanted += if is_here { WANTED_HERE } else { WANTED_ELSEWHERE };
        if *wanted & ((1 << COUNT_BITS) - 1) > FEW_WANTED {
            self.loose[value.index() / 64] &= !(1 << (value.index() % 64));
        }
    }

    /// True if instruction `index` makes a float that is exact, so that it needs the fix-up itself.
    #[inline]
    pub(crate) fn is_put_right(&self, func: &Function, index: u32) -> bool {
        let inst = &func.insts[index as usize];
        !self.loose.is_empty() && makes_nan(inst) && is_float(inst.ty) && !self.is_set(index)
    }

    fn edge(&mut self, func: &Function, edge: EdgeRef, work: &mut Work) {
        let first = func.blocks[func.edge_target(edge).index()].first;
        work.charge(Pass::Optimize, 1 + func.edge_len(edge));
        for (param, arg) in (first..).zip(func.edge_args(edge)) {
            if self.is_set(param) {
                self.rests_on(func, param, arg);
            }
        }
    }

    fn is_set(&self, index: u32) -> bool {
        self.loose[index as usize / 64] >> (index % 64) & 1 != 0
    }

    fn refute(&mut self, index: u32) {
        if self.is_set(index) {
            self.loose[index as usize / 64] &= !(1 << (index % 64));
            self.refuted.push(index);
        }
    }

    /// `user` is loose only if `value` is.
    fn rests_on(&mut self, func: &Function, user: u32, value: Value) {
        if is_number(func, value) {
            return;
        }
        if !value.is_inst() || !self.is_set(value.index() as u32) {
            return self.refute(user);
        }
        // What makes NaNs itself is loose in any case.
        if !makes_nan(&func.insts[value.index()]) {
            let head = &mut self.heads[value.index()];
            self.users.push((user, *head));
            *head = self.users.len() as u32 - 1;
        }
    }

    /// True if the innermost loop divides or takes roots: what depends on that waits for long, and
    /// while it waits takes up what other floating-point instructions need.
    ///
    /// Meaningful only where something is loose.
    pub(crate) fn is_slow(&self, innermost: LoopId) -> bool {
        self.slow.get(innermost.index()).is_some_and(|&slow| slow)
    }

    /// True if `value` needs the fix-up where its bits matter.
    #[inline]
    pub(crate) fn is_loose(&self, value: Value) -> bool {
        !self.loose.is_empty() && value.is_inst() && self.is_set(value.index() as u32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use runwell_ir::function::BlockData;
    use runwell_ir::{Block, SigRef};

    /// A function whose blocks are built by `build`.
    fn function(build: impl FnOnce(&mut Function)) -> Function {
        let mut func = Function { sig: SigRef::default(), ..Function::default() };
        build(&mut func);
        func
    }

    fn block(func: &mut Function, params: u32, insts: &[Inst]) {
        let first = func.insts.len() as u32;
        insts.iter().for_each(|&inst| _ = func.push(inst, 0));
        let end = func.insts.len() as u32;
        func.blocks.push(BlockData { first, end, params, loop_id: LoopId::NONE, cold: false });
    }

    fn inst(op: Op, a: u32, b: u32) -> Inst {
        Inst::new(op, Type::F64, 0, a, b, 0)
    }

    /// A loop that adds to its parameter; `entry` is what the parameter starts with.
    fn accumulator(entry: Value) -> Function {
        function(|f| {
            f.push_const(Type::F64, 0);
            let enter = f.push_edge(Block(1), &[entry]);
            let again = f.push_edge(Block(1), &[Value::inst(3)]);
            let leave = f.push_edge(Block(2), &[]);
            // v0: a parameter of the function, exact.
            block(f, 1, &[inst(Op::Param, 0, 0), inst(Op::Jump, enter.0, 0)]);
            let branch = Inst::new(Op::BrIf, Type::I32, 0, 0, again.0, leave.0);
            block(f, 1, &[inst(Op::Param, 0, 0), inst(Op::FAdd, 2, 0), branch]);
            block(f, 0, &[inst(Op::Return, 0, 0)]);
        })
    }

    #[test]
    fn an_accumulator_is_loose_unless_it_starts_exact() {
        let mut nans = Nans::default();
        let mut work = Work::new();
        nans.run(&accumulator(Value::constant(0)), &mut work);
        assert!(nans.is_loose(Value::inst(2)) && nans.is_loose(Value::inst(3)));
        assert!(!nans.is_loose(Value::inst(0)));
        nans.run(&accumulator(Value::inst(0)), &mut work);
        assert!(!nans.is_loose(Value::inst(2)) && nans.is_loose(Value::inst(3)));
    }

    #[test]
    fn refutation_reaches_what_depends_on_it() {
        let func = function(|f| {
            let enter = f.push_edge(Block(1), &[Value::inst(0)]);
            block(f, 1, &[inst(Op::Param, 0, 0), inst(Op::Jump, enter.0, 0)]);
            let select = Inst::new(Op::Select, Type::F64, 0, 0, 3, 4);
            block(
                f,
                1,
                &[
                    inst(Op::Param, 0, 0),
                    inst(Op::FAdd, 2, 2),
                    inst(Op::FAbs, 2, 0),
                    select,
                    inst(Op::FAbs, 3, 0),
                    inst(Op::Return, 0, 0),
                ],
            );
        });
        let mut nans = Nans::default();
        nans.run(&func, &mut Work::new());
        let loose: Vec<bool> = (2..7).map(|v| nans.is_loose(Value::inst(v))).collect();
        assert_eq!(loose, [false, true, false, false, true]);
    }

    /// A sum that so many edges give to a parameter that is exact.
    fn given(edges: u32) -> Function {
        function(|f| {
            let last = Block(edges);
            let sum = Value::inst(1);
            let branches: Vec<Inst> = (0..edges)
                .map(|number| {
                    let to_last = f.push_edge(last, &[sum]);
                    let next = if number + 1 == edges { &[Value::inst(0)][..] } else { &[] };
                    let next = f.push_edge(Block(number + 1), next);
                    Inst::new(Op::BrIf, Type::I32, 0, 0, to_last.0, next.0)
                })
                .collect();
            block(f, 1, &[inst(Op::Param, 0, 0), inst(Op::FAdd, 0, 0), branches[0]]);
            branches[1..].iter().for_each(|&branch| block(f, 0, &[branch]));
            block(f, 1, &[inst(Op::Param, 0, 0), inst(Op::Return, 0, 0)]);
        })
    }

    #[test]
    fn what_many_edges_want_exact_is_put_right_once() {
        for (edges, loose) in [(2, true), (3, false), (9, false)] {
            let (mut nans, func) = (Nans::default(), given(edges));
            nans.run(&func, &mut Work::new());
            assert_eq!(nans.is_loose(Value::inst(1)), loose, "{edges}");
            assert_eq!(nans.is_put_right(&func, 1), !loose, "{edges}");
        }
    }

    #[test]
    fn without_arithmetic_nothing_is_loose() {
        let func = function(|f| {
            block(f, 1, &[inst(Op::Param, 0, 0), inst(Op::FAbs, 0, 0), inst(Op::Return, 0, 0)]);
        });
        let mut nans = Nans::default();
        nans.run(&func, &mut Work::new());
        assert!((0..3).all(|v| !nans.is_loose(Value::inst(v))));
    }
}
