//! Random valid VCode with structured control, a builder for handwritten one, and an interpreter
//! that runs it before and after allocation.

#![allow(dead_code, missing_docs, unreachable_pub)]

use runwell_abi::Type;
use runwell_codegen::regalloc::{Allocation, Loc, Move, RegEnv};
use runwell_codegen::vcode::{
    Constraint, Operand, PReg, RegClass, RegSet, VBlock, VCode, VEdge, VInst, VLoop, VReg, VRegData,
};
use runwell_ir::entity::{Block, LoopId};

/// A small deterministic generator of numbers.
pub struct Rng(u64);

impl Rng {
    pub fn new(seed: u64) -> Rng {
        Rng(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0xd1b5_4a32_d192_ed03)
    }
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    pub fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }
    pub fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }
}

/// The registers of the machine, as the calling convention has them.
pub fn env() -> RegEnv {
    use runwell_abi::call;
    let mut allocatable = RegSet::EMPTY;
    for reg in 0..16 {
        let reserved = [4, call::SCRATCH_INT, call::VMCTX_REG, call::MEMORY_REG];
        if !reserved.contains(&reg) {
            allocatable = allocatable.with(PReg::int(reg));
        }
        if reg != call::SCRATCH_FLOAT {
            allocatable = allocatable.with(PReg::float(reg));
        }
    }
    let callee_saved =
        call::CALLEE_SAVED.iter().fold(RegSet::EMPTY, |set, &reg| set.with(PReg::int(reg)));
    RegEnv {
        allocatable,
        callee_saved,
        scratch: [PReg::int(call::SCRATCH_INT), PReg::float(call::SCRATCH_FLOAT)],
    }
}

/// The registers that a call destroys.
pub fn call_clobbers() -> RegSet {
    let env = env();
    RegSet(env.allocatable.0 & !env.callee_saved.0)
}

/// A block under construction.
#[derive(Default)]
struct Draft {
    params: Vec<VReg>,
    insts: Vec<(Vec<Operand>, RegSet)>,
    edges: Vec<(usize, Vec<VReg>)>,
    loop_id: u32,
    cold: bool,
}

/// Builds VCode block by block, in order.
pub struct Builder {
    vregs: Vec<VRegData>,
    drafts: Vec<Draft>,
    /// Block of each label, once placed.
    labels: Vec<usize>,
    loops: Vec<VLoop>,
    stack: Vec<u32>,
}

impl Default for Builder {
    fn default() -> Builder {
        Builder::new()
    }
}

impl Builder {
    pub fn new() -> Builder {
        let mut builder =
            Builder { vregs: vec![], drafts: vec![], labels: vec![], loops: vec![], stack: vec![] };
        let entry = builder.label();
        builder.place(entry, &[]);
        builder
    }

    pub fn vreg(&mut self, ty: Type) -> VReg {
        self.vregs.push(VRegData { ty, hint: PReg::NONE });
        VReg(self.vregs.len() as u32 - 1)
    }

    pub fn ty(&self, vreg: VReg) -> Type {
        self.vregs[vreg.index()].ty
    }

    pub fn label(&mut self) -> usize {
        self.labels.push(usize::MAX);
        self.labels.len() - 1
    }

    /// Starts the block of `label` with parameters of the given types.
    pub fn place(&mut self, label: usize, types: &[Type]) -> Vec<VReg> {
        let params: Vec<VReg> = types.iter().map(|&ty| self.vreg(ty)).collect();
        self.labels[label] = self.drafts.len();
        self.drafts.push(Draft {
            params: params.clone(),
            loop_id: self.stack.last().copied().unwrap_or(u32::MAX),
            ..Draft::default()
        });
        params
    }

    pub fn cold(&mut self) {
        self.drafts.last_mut().unwrap().cold = true;
    }

    /// The next block placed is a loop header.
    pub fn begin_loop(&mut self) {
        let parent = self.stack.last().copied().unwrap_or(u32::MAX);
        self.stack.push(self.loops.len() as u32);
        self.loops.push(VLoop {
            header: Block(self.drafts.len() as u32),
            end: Block(0),
            parent: LoopId(parent),
            depth: self.stack.len().min(255) as u8,
            has_call: false,
        });
    }

    /// The current block is the loop's last one.
    pub fn end_loop(&mut self) {
        let id = self.stack.pop().unwrap();
        self.loops[id as usize].end = Block(self.drafts.len() as u32);
    }

    pub fn inst(&mut self, ops: &[Operand], clobbers: RegSet) {
        self.drafts.last_mut().unwrap().insts.push((ops.to_vec(), clobbers));
        if clobbers != RegSet::EMPTY {
            for &id in &self.stack {
                self.loops[id as usize].has_call = true;
            }
        }
    }

    /// Ends the current block.
    pub fn terminate(&mut self, ops: &[Operand], edges: &[(usize, Vec<VReg>)]) {
        self.inst(ops, RegSet::EMPTY);
        self.drafts.last_mut().unwrap().edges = edges.to_vec();
    }

    pub fn jump(&mut self, label: usize, args: &[VReg]) {
        self.terminate(&[], &[(label, args.to_vec())]);
    }

    /// A definition in any register with uses in registers.
    pub fn op(&mut self, ty: Type, uses: &[VReg]) -> VReg {
        let def = self.vreg(ty);
        let mut ops = vec![Operand::def(def, Constraint::Reg)];
        ops.extend(uses.iter().map(|&u| Operand::used(u, Constraint::Reg)));
        self.inst(&ops, RegSet::EMPTY);
        def
    }

    /// A two-address operation.
    pub fn two(&mut self, a: VReg, b: VReg) -> VReg {
        let def = self.vreg(self.ty(a));
        self.inst(
            &[
                Operand::def(def, Constraint::Reuse(1)),
                Operand::used(a, Constraint::Reg),
                Operand::used(b, Constraint::Any),
            ],
            RegSet::EMPTY,
        );
        def
    }

    pub fn uses(&mut self, uses: &[VReg]) {
        let ops: Vec<Operand> = uses.iter().map(|&u| Operand::used(u, Constraint::Reg)).collect();
        self.inst(&ops, RegSet::EMPTY);
    }

    /// A call with integer arguments and an integer result.
    pub fn call(&mut self, args: &[VReg]) -> VReg {
        let result = self.vreg(Type::I64);
        let mut ops = vec![Operand::def(result, Constraint::Fixed(PReg::int(0)))];
        for (&arg, &reg) in args.iter().zip(&runwell_abi::call::INT_ARGS) {
            ops.push(Operand::used(arg, Constraint::Fixed(PReg::int(reg))));
        }
        self.inst(&ops, call_clobbers());
        result
    }

    pub fn finish(self) -> VCode {
        let mut code = VCode { vregs: self.vregs, loops: self.loops, ..VCode::default() };
        code.clobber_sets.push(RegSet::EMPTY);
        for draft in self.drafts {
            let first = code.insts.len() as u32;
            for (ops, clobbers) in draft.insts {
                let set = code.clobber_sets.iter().position(|&set| set == clobbers);
                let set = set.unwrap_or_else(|| {
                    code.clobber_sets.push(clobbers);
                    code.clobber_sets.len() - 1
                });
                code.insts.push(VInst {
                    op: 0,
                    operands: ops.len() as u8,
                    clobbers: set as u8,
                    first: code.operands.len() as u32,
                    aux: 0,
                    imm: 0,
                    disp: 0,
                    src: 0,
                });
                code.operands.extend(ops);
            }
            let params_first = code.params.len() as u32;
            code.params.extend(draft.params);
            let edges_first = code.edges.len() as u32;
            for (label, args) in draft.edges {
                let first = code.args.len() as u32;
                code.args.extend(args);
                assert_ne!(self.labels[label], usize::MAX, "label {label} is not placed");
                code.edges.push(VEdge {
                    target: Block(self.labels[label] as u32),
                    first,
                    end: code.args.len() as u32,
                });
            }
            code.blocks.push(VBlock {
                first,
                end: code.insts.len() as u32,
                params_first,
                params_end: code.params.len() as u32,
                edges_first,
                edges_end: code.edges.len() as u32,
                loop_id: LoopId(draft.loop_id),
                cold: draft.cold,
            });
        }
        code
    }
}

/// How random code should look.
#[derive(Copy, Clone)]
pub struct Shape {
    pub size: usize,
    /// Percent of instructions that are calls.
    pub calls: usize,
    /// Percent of instructions with fixed registers.
    pub fixed: usize,
    /// Percent that start a control structure.
    pub control: usize,
    /// How far back operands reach at most, in values.
    pub reach: usize,
    /// Number of block parameters at most.
    pub params: usize,
}

struct Gen {
    rng: Rng,
    b: Builder,
    shape: Shape,
    left: usize,
    scope: Vec<VReg>,
    /// Labels that can be branched to, with the types of their parameters and whether backward;
    /// the count of branches.
    labels: Vec<(usize, Vec<Type>, usize)>,
}

const TYPES: [Type; 7] =
    [Type::I32, Type::I64, Type::I64, Type::I32, Type::F64, Type::F32, Type::V128];

/// Random code.
pub fn random(seed: u64, shape: Shape) -> VCode {
    let mut g = Gen {
        rng: Rng::new(seed),
        b: Builder::new(),
        shape,
        left: shape.size,
        scope: vec![],
        labels: vec![],
    };
    let count = g.rng.below(7);
    for _ in 0..count {
        let ty = if g.rng.chance(50) { Type::I64 } else { Type::I32 };
        let v = g.b.vreg(ty);
        let reg = PReg::int(runwell_abi::call::INT_ARGS[g.scope.len().min(5)]);
        if g.scope.len() < 6 {
            g.b.inst(&[Operand::def(v, Constraint::Fixed(reg))], RegSet::EMPTY);
            g.scope.push(v);
        }
    }
    if g.region(0) {
        let v = g.value(Type::I64);
        let reg = Constraint::Fixed(PReg::int(0));
        g.b.terminate(&[Operand::used(v, reg)], &[]);
    }
    g.b.finish()
}

impl Gen {
    fn ty(&mut self) -> Type {
        TYPES[self.rng.below(TYPES.len())]
    }

    /// A value of type `ty` in scope, or a new one.
    fn value(&mut self, ty: Type) -> VReg {
        for _ in 0..8 {
            if self.scope.is_empty() {
                break;
            }
            let reach = if self.rng.chance(80) { self.shape.reach } else { usize::MAX };
            let reach = reach.min(self.scope.len());
            let v = self.scope[self.scope.len() - 1 - self.rng.below(reach)];
            if self.b.ty(v) == ty {
                return v;
            }
        }
        let v = self.b.op(ty, &[]);
        self.scope.push(v);
        v
    }

    fn any(&mut self) -> VReg {
        let ty = self.ty();
        self.value(ty)
    }

    fn int(&mut self) -> VReg {
        let ty = if self.rng.chance(50) { Type::I32 } else { Type::I64 };
        self.value(ty)
    }

    fn simple(&mut self) {
        let n = self.rng.below(100);
        if n < self.shape.calls {
            return self.call();
        }
        if n < self.shape.calls + self.shape.fixed {
            return self.fixed();
        }
        match self.rng.below(8) {
            0 => {
                let uses: Vec<VReg> = (0..self.rng.below(4)).map(|_| self.any()).collect();
                let ops: Vec<Operand> = uses
                    .iter()
                    .map(|&u| {
                        if self.rng.chance(20) {
                            Operand::used_late(u, Constraint::Reg)
                        } else {
                            Operand::used(u, Constraint::Reg)
                        }
                    })
                    .collect();
                self.b.inst(&ops, RegSet::EMPTY);
            }
            1..=3 => {
                let ty = self.ty();
                let (a, b) = (self.value(ty), self.value(ty));
                let def = self.b.vreg(ty);
                let second = match self.rng.below(4) {
                    0 => Operand::used(b, Constraint::Reg),
                    1 => Operand::used_late(b, Constraint::Reg),
                    _ => Operand::used(b, Constraint::Any),
                };
                self.b.inst(
                    &[
                        Operand::def(def, Constraint::Reuse(1)),
                        Operand::used(a, Constraint::Reg),
                        second,
                    ],
                    RegSet::EMPTY,
                );
                self.scope.push(def);
            }
            4 => {
                let (a, b) = (self.any(), self.any());
                let (ty, tmp) = (self.ty(), self.ty());
                let (def, tmp) = (self.b.vreg(ty), self.b.vreg(tmp));
                self.b.inst(
                    &[
                        Operand::def(def, Constraint::Reg),
                        Operand::def(tmp, Constraint::Reg),
                        Operand::used_late(a, Constraint::Reg),
                        Operand::used(b, Constraint::Any),
                    ],
                    RegSet::EMPTY,
                );
                self.scope.push(def);
                if self.rng.chance(30) {
                    self.scope.push(tmp);
                }
            }
            _ => {
                let n = self.rng.below(3);
                let uses: Vec<VReg> = (0..n).map(|_| self.any()).collect();
                let ty = self.ty();
                let v = self.b.op(ty, &uses);
                self.scope.push(v);
            }
        }
    }

    fn fixed(&mut self) {
        let (rax, rcx, rdx) = (PReg::int(0), PReg::int(1), PReg::int(2));
        let (a, b) = (self.int(), self.int());
        let (d, e) = (self.b.vreg(Type::I64), self.b.vreg(Type::I64));
        match self.rng.below(4) {
            0 => self.b.inst(
                &[
                    Operand::def(d, Constraint::Reuse(1)),
                    Operand::used(a, Constraint::Reg),
                    Operand::used(b, Constraint::Fixed(rcx)),
                ],
                RegSet::EMPTY,
            ),
            1 => self.b.inst(
                &[
                    Operand::def(d, Constraint::Fixed(rax)),
                    Operand::used(a, Constraint::Fixed(rax)),
                    Operand::used_late(b, Constraint::Reg),
                ],
                RegSet::EMPTY.with(rdx),
            ),
            2 => {
                self.b.inst(
                    &[
                        Operand::def(d, Constraint::Fixed(rdx)),
                        Operand::def(e, Constraint::Fixed(rax)),
                        Operand::used(a, Constraint::Fixed(rax)),
                        Operand::used(b, Constraint::Any),
                    ],
                    RegSet::EMPTY,
                );
                self.scope.push(e);
            }
            _ => {
                let c = self.int();
                self.b.inst(
                    &[
                        Operand::def(d, Constraint::Fixed(rax)),
                        Operand::def(e, Constraint::Reg),
                        Operand::used(a, Constraint::Fixed(rax)),
                        Operand::used_late(b, Constraint::Fixed(rcx)),
                        Operand::used(c, Constraint::Reg),
                    ],
                    RegSet::EMPTY.with(rdx).with(PReg::float(3)),
                );
            }
        }
        self.scope.push(d);
    }

    fn call(&mut self) {
        let mut ops = vec![];
        let mut defs = vec![];
        if self.rng.chance(70) {
            let v = self.b.vreg(Type::I64);
            ops.push(Operand::def(v, Constraint::Fixed(PReg::int(0))));
            defs.push(v);
        }
        if self.rng.chance(30) {
            let v = self.b.vreg(Type::F64);
            ops.push(Operand::def(v, Constraint::Fixed(PReg::float(0))));
            defs.push(v);
        }
        let ints = self.rng.below(7);
        for &reg in &runwell_abi::call::INT_ARGS[..ints] {
            let v = self.int();
            ops.push(Operand::used(v, Constraint::Fixed(PReg::int(reg))));
        }
        for reg in 0..self.rng.below(4) {
            let ty = [Type::F32, Type::F64, Type::V128][self.rng.below(3)];
            let v = self.value(ty);
            ops.push(Operand::used(v, Constraint::Fixed(PReg::float(reg as u8))));
        }
        if self.rng.chance(30) {
            let v = self.int();
            let how = if self.rng.chance(50) { Constraint::Reg } else { Constraint::Any };
            ops.push(Operand::used(v, how));
        }
        self.b.inst(&ops, call_clobbers());
        self.scope.extend(defs);
    }

    fn args(&mut self, types: &[Type]) -> Vec<VReg> {
        types.iter().map(|&ty| self.value(ty)).collect()
    }

    fn types(&mut self) -> Vec<Type> {
        (0..self.rng.below(self.shape.params + 1)).map(|_| self.ty()).collect()
    }

    /// Generates code; false if control does not reach its end.
    fn region(&mut self, depth: usize) -> bool {
        let mut here = 4 + self.rng.below(24);
        while here > 0 && self.left > 0 {
            here -= 1;
            self.left -= 1;
            if depth < 6 && self.rng.chance(self.shape.control) {
                let alive = match self.rng.below(4) {
                    0 => self.looped(depth),
                    1 => self.switch(depth),
                    2 => self.block(depth),
                    _ => self.branch(depth),
                };
                if !alive {
                    return false;
                }
            } else if depth > 0 && self.rng.chance(3) && !self.labels.is_empty() {
                if !self.exit() {
                    return false;
                }
            } else {
                self.simple();
            }
        }
        true
    }

    /// A branch to a label around, maybe conditional.
    fn exit(&mut self) -> bool {
        let index = self.rng.below(self.labels.len());
        let (label, types, _) = self.labels[index].clone();
        let args = self.args(&types);
        self.labels[index].2 += 1;
        if self.rng.chance(20) {
            self.b.jump(label, &args);
            return false;
        }
        let next = self.b.label();
        let c = self.int();
        self.b.terminate(&[Operand::used(c, Constraint::Reg)], &[(label, args), (next, vec![])]);
        self.b.place(next, &[]);
        true
    }

    fn enter_label(&mut self, label: usize, types: &[Type]) {
        let params = self.b.place(label, types);
        self.scope.extend(params);
    }

    fn branch(&mut self, depth: usize) -> bool {
        let (yes, no, end) = (self.b.label(), self.b.label(), self.b.label());
        let types = self.types();
        let c = self.int();
        let height = self.scope.len();
        let mut reached = false;
        if self.rng.chance(50) {
            self.b.terminate(&[Operand::used(c, Constraint::Reg)], &[(yes, vec![]), (no, vec![])]);
            for label in [yes, no] {
                self.b.place(label, &[]);
                if self.rng.chance(20) {
                    self.b.cold();
                }
                if self.region(depth + 1) {
                    let args = self.args(&types);
                    self.b.jump(end, &args);
                    reached = true;
                }
                self.scope.truncate(height);
            }
        } else {
            let args = self.args(&types);
            let height = self.scope.len();
            self.b.terminate(&[Operand::used(c, Constraint::Any)], &[(yes, vec![]), (end, args)]);
            self.b.place(yes, &[]);
            if self.rng.chance(30) {
                self.b.cold();
            }
            if self.region(depth + 1) {
                let args = self.args(&types);
                self.b.jump(end, &args);
            }
            reached = true;
            self.scope.truncate(height);
        }
        if reached {
            self.enter_label(end, &types);
        }
        reached
    }

    fn block(&mut self, depth: usize) -> bool {
        let end = self.b.label();
        let types = self.types();
        self.labels.push((end, types.clone(), 0));
        let height = self.scope.len();
        let mut reached = self.region(depth + 1);
        if reached {
            let args = self.args(&types);
            self.b.jump(end, &args);
        }
        self.scope.truncate(height);
        reached |= self.labels.pop().unwrap().2 > 0;
        if reached {
            self.enter_label(end, &types);
        }
        reached
    }

    fn looped(&mut self, depth: usize) -> bool {
        let head = self.b.label();
        let types = self.types();
        let args = self.args(&types);
        self.b.jump(head, &args);
        self.b.begin_loop();
        let height = self.scope.len();
        self.enter_label(head, &types);
        self.labels.push((head, types.clone(), 0));
        let mut alive = self.region(depth + 1);
        self.labels.pop();
        if alive {
            let args = self.args(&types);
            let c = self.int();
            let end = self.b.label();
            let out = if self.rng.chance(50) { self.any() } else { c };
            let ty = self.b.ty(out);
            self.b
                .terminate(&[Operand::used(c, Constraint::Reg)], &[(head, args), (end, vec![out])]);
            self.b.end_loop();
            self.scope.truncate(height);
            self.enter_label(end, &[ty]);
            alive = true;
        } else {
            self.b.end_loop();
            self.scope.truncate(height);
        }
        alive
    }

    fn switch(&mut self, depth: usize) -> bool {
        let count = 2 + self.rng.below(5);
        let arms: Vec<usize> = (0..count).map(|_| self.b.label()).collect();
        let end = self.b.label();
        let (types, arm_types) = (self.types(), self.types());
        let c = self.int();
        let mut edges = vec![];
        for &arm in &arms {
            let args = self.args(&arm_types);
            edges.push((arm, args));
        }
        let tmp = self.b.vreg(Type::I64);
        let height = self.scope.len();
        self.b.terminate(
            &[Operand::def(tmp, Constraint::Reg), Operand::used_late(c, Constraint::Reg)],
            &edges,
        );
        let mut reached = false;
        let mut pending = false;
        for &arm in &arms {
            // Falls through from the arm before.
            if pending {
                let args = self.args(&arm_types);
                self.b.jump(arm, &args);
                pending = false;
            }
            self.scope.truncate(height);
            self.enter_label(arm, &arm_types);
            if self.region(depth + 2) {
                if self.rng.chance(20) && arm != *arms.last().unwrap() {
                    pending = true;
                } else {
                    let args = self.args(&types);
                    self.b.jump(end, &args);
                    reached = true;
                }
            }
        }
        self.scope.truncate(height);
        if reached {
            self.enter_label(end, &types);
        }
        reached
    }
}

/// Runs `code` on a random path of at most `limit` instructions, on virtual registers and on
/// locations at once, and compares the two at each use.
pub fn run(code: &VCode, out: &Allocation, env: &RegEnv, seed: u64, limit: usize) -> usize {
    let mut rng = Rng::new(seed);
    let mut values = vec![0u64; code.vregs.len()];
    let mut regs = [0u64; 32];
    let mut slots = vec![0u64; out.slot_bytes.len()];
    let mut block = 0;
    let mut steps = 0;
    fn read(regs: &[u64; 32], slots: &[u64], loc: Loc) -> u64 {
        match (loc.as_reg(), loc.as_slot()) {
            (Some(reg), _) => regs[reg.index()],
            (_, Some(slot)) => slots[slot as usize],
            _ => panic!("nowhere"),
        }
    }
    let write = |regs: &mut [u64; 32], slots: &mut [u64], loc: Loc, value: u64| match (
        loc.as_reg(),
        loc.as_slot(),
    ) {
        (Some(reg), _) => regs[reg.index()] = value,
        (_, Some(slot)) => slots[slot as usize] = value,
        _ => panic!("nowhere"),
    };
    let make = |regs: &mut [u64; 32], slots: &mut [u64], m: &Move| {
        let value = read(regs, slots, m.from);
        if m.swap {
            let other = read(regs, slots, m.to);
            write(regs, slots, m.from, other);
        }
        write(regs, slots, m.to, value);
    };
    loop {
        let data = code.blocks[block];
        let mut next = out.moves.partition_point(|(at, _)| *at < data.first);
        for at in data.first..data.end {
            steps += 1;
            while let Some((_, m)) = out.moves.get(next).filter(|(i, _)| *i == at) {
                make(&mut regs, &mut slots, m);
                next += 1;
            }
            for reg in env.scratch {
                regs[reg.index()] = rng.next();
            }
            let inst = &code.insts[at as usize];
            let ops = code.operands(inst);
            let locs = &out.locs[inst.first as usize..][..ops.len()];
            for (op, &loc) in ops.iter().zip(locs).filter(|(op, _)| !op.is_def()) {
                let (is, should) = (read(&regs, &slots, loc), values[op.vreg.index()]);
                assert_eq!(is, should, "instruction {at}: {:?} in {loc:?}", op.vreg);
            }
            for reg in code.clobbers(inst).iter() {
                regs[reg.index()] = rng.next();
            }
            for (op, &loc) in ops.iter().zip(locs).filter(|(op, _)| op.is_def()) {
                let value = rng.next();
                values[op.vreg.index()] = value;
                write(&mut regs, &mut slots, loc, value);
            }
        }
        let count = (data.edges_end - data.edges_first) as usize;
        if count == 0 || steps > limit {
            return steps;
        }
        let edge = data.edges_first as usize + rng.below(count);
        let (first, end) = out.edges[edge];
        for m in &out.edge_moves[first as usize..end as usize] {
            make(&mut regs, &mut slots, m);
        }
        let data = &code.edges[edge];
        let args: Vec<u64> = code.edge_args(data).iter().map(|v| values[v.index()]).collect();
        for (param, value) in code.params(data.target).iter().zip(args) {
            values[param.index()] = value;
        }
        block = data.target.index();
    }
}

/// True if the class of `loc` suits integers.
pub fn is_int(loc: Loc) -> bool {
    loc.as_reg().is_some_and(|reg| reg.class() == RegClass::Int)
}
