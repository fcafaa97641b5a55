//! Programs that move many values at a time, and a plain stack machine that says what they mean.
//!
//! Everything else that checks the front end runs on IR, which is what the front end makes. Here a
//! program exists before its binary does, as a tree of operators; [`Reference`] runs that tree with
//! nothing but a stack, and so is an independent answer to which value is where after calls, branches
//! and constructs of dozens or a thousand values.
//!
//! What a program does shows in its results and in two globals: an accumulator that values are mixed
//! into, and a count that bounds all loops together. Functions call only those before them.

mod make;
mod run;

use crate::Rng;
pub use run::Reference;
use runwell_abi::Type;
use runwell_ir::Signature;
use wasm_encoder::{
    BlockType, CodeSection, ConstExpr, ElementSection, Elements, ExportKind, ExportSection,
    Function, FunctionSection, GlobalSection, GlobalType, InstructionSink, Module, RefType,
    TableSection, TableType, TypeSection, ValType,
};

/// What the accumulator starts with.
const ACC: u64 = 0x0123_4567_89ab_cdef;
/// Turns of all loops together, from when the last function begins.
const TICKS: u32 = 24;
/// What a value that is mixed in is multiplied by.
const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

/// An operator, or a few that belong together.
#[derive(Clone, Debug)]
enum Op {
    Const(Type, u64),
    Get(u32),
    Set(u32),
    Tee(u32),
    Drop,
    /// Adds two integers.
    Add(Type),
    /// One of two values, by the condition above them.
    Select,
    /// Mixes a value into the accumulator.
    Mix(Type),
    /// Some bits of the accumulator, from this one on: an `i32` that the mask bounds.
    Bits(u32, i32),
    /// 1 for a limited number of times, then 0.
    Tick,
    /// Allows more ticks.
    Reset,
    Block(usize, Vec<Op>),
    Loop(usize, Vec<Op>),
    If(usize, Vec<Op>, Option<Vec<Op>>),
    Br(u32),
    BrIf(u32),
    BrTable(Vec<u32>, u32),
    Return,
    Call(usize),
    CallIndirect(usize),
    ReturnCall(usize),
    ReturnCallIndirect(usize),
}

#[derive(Clone, Debug)]
struct Func {
    ty: usize,
    /// Types of its locals, parameters included.
    locals: Vec<Type>,
    body: Vec<Op>,
}

/// A program.
#[derive(Clone, Debug)]
pub struct Program {
    types: Vec<Signature>,
    funcs: Vec<Func>,
}

impl Program {
    /// The program made from `seed`. Its longest lists have up to `most` values.
    pub fn from_seed(seed: u64, most: u64) -> Program {
        make::program(Rng(seed.wrapping_mul(0x2545_f491_4f6c_dd1d) ^ 0x7769_6465), most)
    }

    fn sig(&self, func: usize) -> &Signature {
        &self.types[self.funcs[func].ty]
    }

    /// Its binary: function number n is exported as `fn`, the globals as `acc` and `ticks`.
    pub fn wasm(&self) -> Vec<u8> {
        let mut types = TypeSection::new();
        for sig in &self.types {
            let list = |types: &[Type]| types.iter().map(|&ty| val(ty)).collect::<Vec<_>>();
            types.ty().function(list(&sig.params), list(&sig.results));
        }
        let (mut functions, mut exports) = (FunctionSection::new(), ExportSection::new());
        let mut code = CodeSection::new();
        for (index, func) in self.funcs.iter().enumerate() {
            functions.function(func.ty as u32);
            exports.export(&format!("f{index}"), ExportKind::Func, index as u32);
            let own = &func.locals[self.sig(index).params.len()..];
            let mut body = Function::new(own.iter().map(|&ty| (1, val(ty))));
            let mut sink = body.instructions();
            self.encode(&mut sink, &func.body);
            sink.end();
            code.function(&body);
        }
        let count = self.funcs.len() as u64;
        let mut tables = TableSection::new();
        tables.table(TableType {
            element_type: RefType::FUNCREF,
            table64: false,
            minimum: count,
            maximum: Some(count),
            shared: false,
        });
        let mut globals = GlobalSection::new();
        let mutable = |val_type| GlobalType { val_type, mutable: true, shared: false };
        globals.global(mutable(ValType::I64), &ConstExpr::i64_const(ACC as i64));
        globals.global(mutable(ValType::I32), &ConstExpr::i32_const(0));
        exports.export("acc", ExportKind::Global, 0).export("ticks", ExportKind::Global, 1);
        let mut elements = ElementSection::new();
        let all: Vec<u32> = (0..count as u32).collect();
        elements.active(None, &ConstExpr::i32_const(0), Elements::Functions(all.into()));
        let mut module = Module::new();
        module.section(&types).section(&functions).section(&tables).section(&globals);
        module.section(&exports).section(&elements).section(&code);
        module.finish()
    }

    fn encode(&self, f: &mut InstructionSink<'_>, ops: &[Op]) {
        for op in ops {
            match *op {
                Op::Const(Type::I32, bits) => _ = f.i32_const(bits as i32),
                Op::Const(Type::I64, bits) => _ = f.i64_const(bits as i64),
                Op::Const(Type::F32, bits) => _ = f.f32_const(f32::from_bits(bits as u32).into()),
                Op::Const(_, bits) => _ = f.f64_const(f64::from_bits(bits).into()),
                Op::Get(local) => _ = f.local_get(local),
                Op::Set(local) => _ = f.local_set(local),
                Op::Tee(local) => _ = f.local_tee(local),
                Op::Drop => _ = f.drop(),
                Op::Select => _ = f.select(),
                Op::Add(Type::I32) => _ = f.i32_add(),
                Op::Add(_) => _ = f.i64_add(),
                Op::Mix(ty) => {
                    match ty {
                        Type::I32 => f.i64_extend_i32_u(),
                        Type::F32 => f.i32_reinterpret_f32().i64_extend_i32_u(),
                        Type::F64 => f.i64_reinterpret_f64(),
                        _ => f,
                    };
                    f.global_get(0).i64_xor().i64_const(FACTOR as i64).i64_mul().global_set(0);
                }
                Op::Bits(from, mask) => {
                    f.global_get(0).i64_const(from.into()).i64_shr_u().i32_wrap_i64();
                    f.i32_const(mask).i32_and();
                }
                Op::Tick => {
                    f.global_get(1).i32_const(1).i32_sub().global_set(1);
                    f.global_get(1).i32_const(0).i32_gt_s();
                }
                Op::Reset => _ = f.i32_const(TICKS as i32).global_set(1),
                Op::Block(ty, ref body) => {
                    f.block(BlockType::FunctionType(ty as u32));
                    self.encode(f, body);
                    f.end();
                }
                Op::Loop(ty, ref body) => {
                    f.loop_(BlockType::FunctionType(ty as u32));
                    self.encode(f, body);
                    f.end();
                }
                Op::If(ty, ref then, ref otherwise) => {
                    f.if_(BlockType::FunctionType(ty as u32));
                    self.encode(f, then);
                    if let Some(otherwise) = otherwise {
                        f.else_();
                        self.encode(f, otherwise);
                    }
                    f.end();
                }
                Op::Br(depth) => _ = f.br(depth),
                Op::BrIf(depth) => _ = f.br_if(depth),
                Op::BrTable(ref depths, default) => _ = f.br_table(depths.clone(), default),
                Op::Return => _ = f.return_(),
                Op::Call(func) => _ = f.call(func as u32),
                Op::CallIndirect(func) => {
                    f.i32_const(func as i32).call_indirect(0, self.funcs[func].ty as u32);
                }
                Op::ReturnCall(func) => _ = f.return_call(func as u32),
                Op::ReturnCallIndirect(func) => {
                    f.i32_const(func as i32).return_call_indirect(0, self.funcs[func].ty as u32);
                }
            }
        }
    }
}

fn val(ty: Type) -> ValType {
    match ty {
        Type::I32 => ValType::I32,
        Type::I64 => ValType::I64,
        Type::F32 => ValType::F32,
        _ => ValType::F64,
    }
}
