//! Programs that try a back end harder than wasm-smith's: many values that live long, loops that
//! carry them, calls with many arguments and results inside of loops, operations bound to registers,
//! address arithmetic, branches on every kind of comparison, and values that change places.
//!
//! They end by construction. Each loop has a counter that nothing else writes; functions call those
//! before them, or themselves to a bounded depth; and the cost of a function, iterations multiplied,
//! is kept under a budget while it is made.

mod body;
mod expr;
mod ops;
mod stmt;

use crate::{Nans, Rng};
use body::Body;
use wasm_encoder::{
    CodeSection, ConstExpr, DataSection, ElementSection, Elements, ExportKind, ExportSection,
    FunctionSection, GlobalSection, GlobalType, MemorySection, MemoryType, Module, RefType,
    TableSection, TableType, TypeSection, ValType,
};

/// The number types.
const NUMBERS: [ValType; 4] = [ValType::I32, ValType::I64, ValType::F32, ValType::F64];

/// A memory.
#[derive(Copy, Clone, Debug)]
struct Memory {
    memory64: bool,
    pages: u64,
}

#[derive(Clone, Debug)]
struct Sig {
    params: Vec<ValType>,
    results: Vec<ValType>,
}

/// A function that is complete.
#[derive(Copy, Clone, Debug)]
struct Callee {
    sig: usize,
    /// Operators that a call runs at the most.
    cost: u64,
}

/// The module so far.
#[derive(Debug)]
struct Shape {
    memories: Vec<Memory>,
    globals: Vec<ValType>,
    sigs: Vec<Sig>,
    funcs: Vec<Callee>,
}

/// A list of types, mostly short, now and then longer than there are registers.
fn types(rng: &mut Rng, short: u64, long: u64) -> Vec<ValType> {
    let len = if rng.one_in(5) { rng.below(long + 1) } else { rng.below(short + 1) };
    let single = *rng.pick(&NUMBERS);
    let uniform = rng.one_in(3);
    (0..len).map(|_| if uniform { single } else { *rng.pick(&NUMBERS) }).collect()
}

fn shape(rng: &mut Rng) -> Shape {
    let memories = (0..1 + rng.below(3))
        .map(|_| Memory { memory64: rng.one_in(3), pages: 1 + rng.below(2) })
        .collect();
    let globals = (0..1 + rng.below(6)).map(|_| *rng.pick(&NUMBERS)).collect();
    let mut sigs: Vec<Sig> = (0..4 + rng.below(4))
        .map(|_| Sig { params: types(rng, 5, 24), results: types(rng, 3, 14) })
        .collect();
    // Some to be recursive, and one that makes a single value.
    for sig in sigs.iter_mut().take(2) {
        sig.params.insert(0, ValType::I32);
    }
    let ty = *rng.pick(&NUMBERS);
    sigs.push(Sig { params: types(rng, 4, 10), results: vec![ty] });
    // What loops carry on the stack.
    for _ in 0..2 {
        let carried = types(rng, 6, 20);
        sigs.push(Sig { params: carried.clone(), results: carried });
    }
    Shape { memories, globals, sigs, funcs: Vec::new() }
}

/// A valid module without imports, made from `seed`, whose exported functions all end.
pub fn module(seed: u64, nans: Nans) -> Vec<u8> {
    let mut rng = Rng(seed.wrapping_mul(0x2545_f491_4f6c_dd1d) ^ 0x7072_6f67);
    let mut shape = shape(&mut rng);
    let mut code = CodeSection::new();
    for index in 0..2 + rng.below(6) {
        let sig = rng.below(shape.sigs.len() as u64) as usize;
        let recursive = sig < 2 && rng.one_in(2);
        let mut body = Body::new(Rng(rng.next_u64()), &shape, index as u32, sig, recursive);
        body.masks_nans = nans == Nans::Masked;
        body.make();
        let cost = body.total_cost();
        code.function(&body.finish());
        shape.funcs.push(Callee { sig, cost });
    }
    encode(&mut rng, &shape, &code)
}

fn encode(rng: &mut Rng, shape: &Shape, code: &CodeSection) -> Vec<u8> {
    let count = shape.funcs.len() as u64;
    let mut types = TypeSection::new();
    for sig in &shape.sigs {
        types.ty().function(sig.params.iter().copied(), sig.results.iter().copied());
    }
    let mut functions = FunctionSection::new();
    let mut exports = ExportSection::new();
    for (index, func) in shape.funcs.iter().enumerate() {
        functions.function(func.sig as u32);
        exports.export(&format!("f{index}"), ExportKind::Func, index as u32);
    }
    let mut tables = TableSection::new();
    tables.table(TableType {
        element_type: RefType::FUNCREF,
        table64: false,
        minimum: count + 2,
        maximum: Some(count + 2),
        shared: false,
    });
    exports.export("t", ExportKind::Table, 0);
    let mut memories = MemorySection::new();
    let mut data = DataSection::new();
    for (index, memory) in shape.memories.iter().enumerate() {
        memories.memory(MemoryType {
            minimum: memory.pages,
            maximum: Some(memory.pages + 2),
            memory64: memory.memory64,
            shared: false,
            page_size_log2: None,
        });
        exports.export(&format!("m{index}"), ExportKind::Memory, index as u32);
        let zero = if memory.memory64 { ConstExpr::i64_const(0) } else { ConstExpr::i32_const(0) };
        data.active(index as u32, &zero, rng.bytes(512));
    }
    let mut globals = GlobalSection::new();
    for (index, &val_type) in shape.globals.iter().enumerate() {
        let init = match val_type {
            ValType::I32 => ConstExpr::i32_const(rng.next_u64() as i32),
            ValType::I64 => ConstExpr::i64_const(rng.next_u64() as i64),
            ValType::F32 => ConstExpr::f32_const((rng.next_u64() as i16 as f32).into()),
            _ => ConstExpr::f64_const(f64::from(rng.next_u64() as i32).into()),
        };
        globals.global(GlobalType { val_type, mutable: true, shared: false }, &init);
        exports.export(&format!("g{index}"), ExportKind::Global, index as u32);
    }
    let mut elements = ElementSection::new();
    let funcs: Vec<u32> = (0..count as u32).collect();
    elements.active(None, &ConstExpr::i32_const(0), Elements::Functions(funcs.into()));
    let mut module = Module::new();
    module.section(&types).section(&functions).section(&tables).section(&memories);
    module.section(&globals).section(&exports).section(&elements).section(code).section(&data);
    module.finish()
}
