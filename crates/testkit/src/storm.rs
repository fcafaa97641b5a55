//! Modules of a few kinds of operators each, in proportions that no compiler of C or Go would make: many
//! reads of many locals, deep stacks, chains of branches, calls without end. What a quote says of operators
//! one by one has to hold for every mixture of them, and these are the corners of the mixtures.
//!
//! They are valid and are compiled only; nobody runs them.

use crate::Rng;
use wasm_encoder::{
    BlockType, CodeSection, ConstExpr, ElementSection, Elements, EntityType, Function,
    FunctionSection, GlobalSection, GlobalType, ImportSection, Instruction as I, MemArg,
    MemArgTarget, MemorySection, MemoryType, Module, RefType, TableSection, TableType, TypeSection,
    ValType,
};

const TYPES: [ValType; 4] = [ValType::I32, ValType::I64, ValType::F32, ValType::F64];

/// How often each thing is done, out of their sum.
#[derive(Clone, Debug)]
struct Weights {
    of: [u64; Weights::COUNT],
    sum: u64,
}

impl Weights {
    const COUNT: usize = 22;

    /// A few things often, the others seldom or never.
    fn new(rng: &mut Rng) -> Weights {
        let seldom = rng.below(3);
        let mut of = [seldom; Weights::COUNT];
        for _ in 0..1 + rng.below(5) {
            of[rng.below(Weights::COUNT as u64) as usize] = 10 + rng.below(60);
        }
        // Something has to put values on the stack.
        of[0] += 1 + rng.below(40);
        Weights { of, sum: of.iter().sum() }
    }

    fn pick(&self, rng: &mut Rng) -> usize {
        let mut at = rng.below(self.sum);
        self.of
            .iter()
            .position(|&weight| {
                let here = at < weight;
                at = at.wrapping_sub(weight);
                here
            })
            .unwrap_or(0)
    }
}

struct Label {
    is_loop: bool,
    is_if: bool,
    height: usize,
    result: Option<ValType>,
}

/// A body in the making. Types of operands are known, and what is missing is pushed.
struct Maker<'a> {
    rng: &'a mut Rng,
    weights: Weights,
    locals: Vec<ValType>,
    stack: Vec<ValType>,
    labels: Vec<Label>,
    sigs: &'a [(Vec<ValType>, Vec<ValType>)],
    memories: u32,
    globals: &'a [ValType],
    depth: usize,
    body: Function,
}

impl Maker<'_> {
    fn emit(&mut self, instruction: &I<'_>) {
        self.body.instruction(instruction);
    }

    /// Pushes a value of type `ty`.
    fn leaf(&mut self, ty: ValType) {
        let own: Vec<u32> =
            (0..self.locals.len() as u32).filter(|&l| self.locals[l as usize] == ty).collect();
        if !own.is_empty() && !self.rng.one_in(6) {
            let local = *self.rng.pick(&own);
            self.emit(&I::LocalGet(local));
        } else {
            let bits = self.rng.next_u64() >> self.rng.below(64);
            match ty {
                ValType::I32 => self.emit(&I::I32Const(bits as i32)),
                ValType::I64 => self.emit(&I::I64Const(bits as i64)),
                ValType::F32 => self.emit(&I::F32Const(f32::from_bits(bits as u32).into())),
                _ => self.emit(&I::F64Const(f64::from_bits(bits).into())),
            }
        }
        self.stack.push(ty);
    }

    /// The lowest operand that may be taken.
    fn floor(&self) -> usize {
        self.labels.last().map_or(0, |label| label.height)
    }

    /// Sees to it that the topmost operands have these types.
    fn want(&mut self, types: &[ValType]) {
        let have = self.stack.len() - self.floor();
        let fits = have >= types.len() && self.stack[self.stack.len() - types.len()..] == *types;
        if !fits {
            for &ty in types {
                self.leaf(ty);
            }
        }
        self.stack.truncate(self.stack.len() - types.len());
    }

    fn op(&mut self, takes: &[ValType], instruction: &I<'_>, gives: &[ValType]) {
        self.want(takes);
        self.emit(instruction);
        self.stack.extend_from_slice(gives);
    }

    /// Takes what lies above the innermost label's floor off the stack.
    fn settle(&mut self) {
        let result = self.labels.last().and_then(|label| label.result);
        while self.stack.len() > self.floor() {
            self.stack.pop();
            self.emit(&I::Drop);
        }
        if let Some(ty) = result {
            self.leaf(ty);
            self.stack.pop();
        }
    }

    fn step(&mut self) {
        use ValType::{F32, F64, I32, I64};
        let seldom = self.rng.one_in(4);
        let pick = self.rng.below(64);
        let wide = self.rng.one_in(3);
        let memory_index = self.rng.below(self.memories.into()) as u32;
        let offset = self.rng.next_u64() >> (32 + self.rng.below(32));
        let target = MemArgTarget::Memory(memory_index);
        let memarg = MemArg { offset, align: 0, target, ordering: None };
        match self.weights.pick(self.rng) {
            0 => {
                let ty = *self.rng.pick(&self.locals.clone());
                self.leaf(ty);
            }
            1 => {
                let local = self.rng.below(self.locals.len() as u64) as u32;
                let ty = self.locals[local as usize];
                if seldom {
                    self.op(&[ty], &I::LocalTee(local), &[ty]);
                } else {
                    self.op(&[ty], &I::LocalSet(local), &[]);
                }
            }
            2 => {
                let (ty, ops) = if wide {
                    (I64, [I::I64Add, I::I64Sub, I::I64And, I::I64Or, I::I64Xor])
                } else {
                    (I32, [I::I32Add, I::I32Sub, I::I32And, I::I32Or, I::I32Xor])
                };
                self.op(&[ty, ty], &ops[pick as usize % 5], &[ty]);
            }
            3 => {
                let (ty, ops) = if wide {
                    (I64, [I::I64Shl, I::I64ShrS, I::I64ShrU, I::I64Rotl, I::I64Mul])
                } else {
                    (I32, [I::I32Shl, I::I32ShrS, I::I32ShrU, I::I32Rotr, I::I32Mul])
                };
                self.op(&[ty, ty], &ops[pick as usize % 5], &[ty]);
            }
            4 => {
                let (ty, ops) = if wide {
                    (I64, [I::I64DivS, I::I64DivU, I::I64RemS, I::I64RemU])
                } else {
                    (I32, [I::I32DivS, I::I32DivU, I::I32RemS, I::I32RemU])
                };
                self.op(&[ty, ty], &ops[pick as usize % 4], &[ty]);
            }
            5 => {
                let (ty, ops) = if wide {
                    (I64, [I::I64Eq, I::I64LtS, I::I64GeU, I::I64Ne])
                } else {
                    (I32, [I::I32Eq, I::I32LtS, I::I32GeU, I::I32Ne])
                };
                self.op(&[ty, ty], &ops[pick as usize % 4], &[I32]);
            }
            6 => {
                let (ty, ops) = if wide {
                    (F64, [I::F64Add, I::F64Mul, I::F64Sub, I::F64Div, I::F64Min, I::F64Copysign])
                } else {
                    (F32, [I::F32Add, I::F32Mul, I::F32Sub, I::F32Div, I::F32Max, I::F32Copysign])
                };
                self.op(&[ty, ty], &ops[pick as usize % 6], &[ty]);
            }
            7 => {
                let (ty, ops) = if wide {
                    (F64, [I::F64Neg, I::F64Sqrt, I::F64Floor, I::F64Abs])
                } else {
                    (F32, [I::F32Neg, I::F32Sqrt, I::F32Nearest, I::F32Abs])
                };
                self.op(&[ty], &ops[pick as usize % 4], &[ty]);
            }
            8 => match pick % 8 {
                0 => self.op(&[F64], &I::I32TruncF64S, &[I32]),
                1 => self.op(&[F32], &I::I64TruncF32U, &[I64]),
                2 => self.op(&[F64], &I::I64TruncSatF64U, &[I64]),
                3 => self.op(&[I64], &I::F64ConvertI64U, &[F64]),
                4 => self.op(&[I32], &I::F32ConvertI32U, &[F32]),
                5 => self.op(&[F64], &I::I64ReinterpretF64, &[I64]),
                6 => self.op(&[F32], &I::F64PromoteF32, &[F64]),
                _ => self.op(&[F64, F64], &I::F64Lt, &[I32]),
            },
            9 => match pick % 6 {
                0 => self.op(&[I64], &I::I32WrapI64, &[I32]),
                1 => self.op(&[I32], &I::I64ExtendI32S, &[I64]),
                2 => self.op(&[I32], &I::I32Extend8S, &[I32]),
                3 => self.op(&[I32], &I::I32Clz, &[I32]),
                4 => self.op(&[I64], &I::I64Popcnt, &[I64]),
                _ => self.op(&[I32], &I::I32Eqz, &[I32]),
            },
            10 => match pick % 4 {
                0 => self.op(&[I32], &I::I32Load(memarg), &[I32]),
                1 => self.op(&[I32], &I::I64Load(memarg), &[I64]),
                2 => self.op(&[I32], &I::F64Load(memarg), &[F64]),
                _ => self.op(&[I32], &I::I32Load8S(memarg), &[I32]),
            },
            11 => match pick % 4 {
                0 => self.op(&[I32, I32], &I::I32Store(memarg), &[]),
                1 => self.op(&[I32, I64], &I::I64Store16(memarg), &[]),
                2 => self.op(&[I32, F64], &I::F64Store(memarg), &[]),
                _ => self.op(&[I32, F32], &I::F32Store(memarg), &[]),
            },
            12 => {
                let ty = *self.rng.pick(&TYPES);
                self.op(&[ty, ty, I32], &I::Select, &[ty]);
            }
            13 => {
                let at = self.rng.below(self.globals.len() as u64);
                let ty = self.globals[at as usize];
                if seldom {
                    self.op(&[ty], &I::GlobalSet(at as u32), &[]);
                } else {
                    self.op(&[], &I::GlobalGet(at as u32), &[ty]);
                }
            }
            14 => {
                let callee = self.rng.below(self.sigs.len() as u64);
                let (params, results) = self.sigs[callee as usize].clone();
                if seldom {
                    let mut takes = params;
                    takes.push(I32);
                    let call = I::CallIndirect { type_index: callee as u32, table_index: 0 };
                    self.op(&takes, &call, &results);
                } else {
                    self.op(&params, &I::Call(callee as u32), &results);
                }
            }
            15 if self.labels.len() < self.depth => {
                let result = seldom.then(|| *self.rng.pick(&TYPES));
                let ty = result.map_or(BlockType::Empty, BlockType::Result);
                let (is_loop, is_if) = (pick.is_multiple_of(4), pick % 4 == 1);
                match pick % 4 {
                    0 => self.emit(&I::Loop(ty)),
                    1 => self.op(&[I32], &I::If(ty), &[]),
                    _ => self.emit(&I::Block(ty)),
                }
                let height = self.stack.len();
                self.labels.push(Label { is_loop, is_if, height, result });
            }
            16 if self.labels.len() > 1 => self.close(),
            17 | 15 => {
                let depth = self.rng.below(self.labels.len() as u64);
                let label = &self.labels[self.labels.len() - 1 - depth as usize];
                let carried: Vec<ValType> =
                    if label.is_loop { Vec::new() } else { label.result.into_iter().collect() };
                let mut takes = carried.clone();
                takes.push(I32);
                self.op(&takes, &I::BrIf(depth as u32), &carried);
            }
            18 => {
                let fits = |label: &Label| label.is_loop || label.result.is_none();
                let depths: Vec<u32> = (0..self.labels.len() as u32)
                    .filter(|&d| fits(&self.labels[self.labels.len() - 1 - d as usize]))
                    .collect();
                if depths.is_empty() || self.labels.len() >= self.depth {
                    return;
                }
                let count = self.rng.below(8) + if seldom { self.rng.below(60) } else { 0 };
                let targets: Vec<u32> = (0..count).map(|_| 1 + *self.rng.pick(&depths)).collect();
                self.emit(&I::Block(BlockType::Empty));
                self.labels.push(Label {
                    is_loop: false,
                    is_if: false,
                    height: self.stack.len(),
                    result: None,
                });
                self.op(&[I32], &I::BrTable(targets.into(), 0), &[]);
                self.emit(&I::End);
                self.labels.pop();
            }
            19 if self.stack.len() > self.floor() => {
                self.stack.pop();
                self.emit(&I::Drop);
            }
            20 => match pick % 3 {
                0 => self.op(&[I32, I32, I32], &I::MemoryFill(0), &[]),
                1 => self.op(&[], &I::MemorySize(memory_index), &[I32]),
                _ => self.op(&[I32], &I::MemoryGrow(0), &[I32]),
            },
            _ => {
                let ty = *self.rng.pick(&TYPES);
                self.leaf(ty);
            }
        }
    }

    fn close(&mut self) {
        self.settle();
        let Some(label) = self.labels.pop() else { return };
        if label.is_if && (label.result.is_some() || self.rng.one_in(2)) {
            self.emit(&I::Else);
            self.stack.truncate(label.height);
            if let Some(ty) = label.result {
                self.leaf(ty);
                self.stack.pop();
            }
        }
        self.emit(&I::End);
        self.stack.extend(label.result);
    }
}

fn types(rng: &mut Rng, most: u64) -> Vec<ValType> {
    let one = rng.one_in(2).then(|| *rng.pick(&TYPES));
    (0..rng.below(most + 1)).map(|_| one.unwrap_or(*rng.pick(&TYPES))).collect()
}

/// A valid module made from `seed`.
pub fn module(seed: u64) -> Vec<u8> {
    let mut rng = Rng(seed.wrapping_mul(0x2545_f491_4f6c_dd1d) ^ 0x7374_6f72);
    let long = if rng.one_in(4) { 18 } else { 4 };
    let sigs: Vec<_> = (0..4).map(|_| (types(&mut rng, long), types(&mut rng, long / 2))).collect();
    let globals: Vec<ValType> = (0..4).map(|_| *rng.pick(&TYPES)).collect();
    let memories = 1 + u32::from(rng.one_in(3));
    let mut type_section = TypeSection::new();
    let (mut imports, mut functions) = (ImportSection::new(), FunctionSection::new());
    let mut code = CodeSection::new();
    for (number, (params, results)) in sigs.iter().enumerate() {
        type_section.ty().function(params.iter().copied(), results.iter().copied());
        if number == 0 {
            imports.import("m", "f", EntityType::Function(0));
            continue;
        }
        functions.function(number as u32);
        let mut locals = params.clone();
        let mut declared = types(&mut rng, 2);
        let many = if rng.one_in(2) { 120 } else { 12 };
        declared.extend(types(&mut rng, many));
        declared.push(ValType::I32);
        locals.extend_from_slice(&declared);
        let weights = Weights::new(&mut rng);
        let most = if rng.one_in(3) { 1500 } else { 300 };
        let steps = 20 + rng.below(most);
        let most = if rng.one_in(4) { 60 } else { 6 };
        let depth = 2 + rng.below(most) as usize;
        let body = Function::new_with_locals_types(declared);
        let function = Label { is_loop: true, is_if: false, height: 0, result: None };
        let mut maker = Maker {
            rng: &mut rng,
            weights,
            locals,
            stack: Vec::new(),
            labels: vec![function],
            sigs: &sigs,
            memories,
            globals: &globals,
            depth,
            body,
        };
        // The function's own label takes what the function gives, so branches go to a loop around all.
        maker.emit(&I::Loop(BlockType::Empty));
        for _ in 0..steps {
            maker.step();
        }
        while !maker.labels.is_empty() {
            if maker.labels.len() == 1 {
                maker.settle();
                maker.labels.pop();
                maker.emit(&I::End);
            } else {
                maker.close();
            }
        }
        for &ty in results {
            maker.leaf(ty);
        }
        maker.emit(&I::End);
        code.function(&maker.body);
    }
    let mut tables = TableSection::new();
    tables.table(TableType {
        element_type: RefType::FUNCREF,
        table64: false,
        minimum: 4,
        maximum: None,
        shared: false,
    });
    let mut memory_section = MemorySection::new();
    for _ in 0..memories {
        memory_section.memory(MemoryType {
            minimum: 1,
            maximum: None,
            memory64: false,
            shared: false,
            page_size_log2: None,
        });
    }
    let mut global_section = GlobalSection::new();
    for &val_type in &globals {
        let init = match val_type {
            ValType::I32 => ConstExpr::i32_const(1),
            ValType::I64 => ConstExpr::i64_const(1),
            ValType::F32 => ConstExpr::f32_const(1f32.into()),
            _ => ConstExpr::f64_const(1f64.into()),
        };
        global_section.global(GlobalType { val_type, mutable: true, shared: false }, &init);
    }
    let mut elements = ElementSection::new();
    let all: Vec<u32> = (0..sigs.len() as u32).collect();
    elements.active(None, &ConstExpr::i32_const(0), Elements::Functions(all.into()));
    let mut module = Module::new();
    module.section(&type_section).section(&imports).section(&functions).section(&tables);
    module.section(&memory_section).section(&global_section).section(&elements).section(&code);
    module.finish()
}

#[cfg(test)]
mod tests {
    #[test]
    fn they_are_valid() {
        for seed in 0..200 {
            let module = super::module(seed);
            let fault = wasmparser::Validator::new().validate_all(&module).err();
            assert_eq!(fault.map(|fault| fault.to_string()), None, "seed {seed}");
        }
    }
}
