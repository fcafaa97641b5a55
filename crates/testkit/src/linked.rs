//! Modules above generated ones, which share all that those have.

use wasm_encoder::reencode::{Reencode, RoundtripReencoder};
use wasm_encoder::{
    CodeSection, EntityType, ExportKind, ExportSection, Function, FunctionSection, ImportSection,
    Instruction, MemArg, MemArgTarget, TypeSection,
};
use wasmparser::types;

/// A module that imports all that `wasm`, a valid one, exports, from a module `below`: each function is called
/// by an exported one that writes into each memory first, and the others are there to be shared.
///
/// # Panics
/// When `wasm` is not valid.
pub fn above(wasm: &[u8]) -> Vec<u8> {
    let mut types = TypeSection::new();
    let mut imports = ImportSection::new();
    let mut funcs = FunctionSection::new();
    let mut exports = ExportSection::new();
    let mut code = CodeSection::new();
    let mut validator = wasmparser::Validator::new_with_features(wasmparser::WasmFeatures::all());
    let known = validator.validate_all(wasm).expect("a valid module");
    let (mut memories, mut callees) = (Vec::new(), Vec::new());
    let known = known.as_ref();
    for (name, ty) in known.core_exports().expect("a module") {
        let ty = match ty {
            types::EntityType::Func(id) => {
                let ty = known[id].unwrap_func().clone();
                let ty = RoundtripReencoder.func_type(ty).expect("a type of functions");
                callees.push(ty.clone());
                types.ty().func_type(&ty);
                EntityType::Function(types.len() - 1)
            }
            types::EntityType::Memory(ty) => {
                memories.push(ty.memory64);
                EntityType::Memory(RoundtripReencoder.memory_type(ty).expect("a type"))
            }
            types::EntityType::Table(ty) => {
                EntityType::Table(RoundtripReencoder.table_type(ty).expect("a type"))
            }
            types::EntityType::Global(ty) => {
                EntityType::Global(RoundtripReencoder.global_type(ty).expect("a type"))
            }
            _ => continue,
        };
        imports.import("below", name, ty);
    }
    let imported = callees.len() as u32;
    for (index, ty) in (0..).zip(&callees) {
        let mut body = Function::new([]);
        for (memory, &is64) in (0..).zip(&memories) {
            let at = 8 * index;
            let address = match is64 {
                true => Instruction::I64Const(at),
                false => Instruction::I32Const(at as i32),
            };
            let memarg = MemArg {
                offset: 0,
                align: 0,
                target: MemArgTarget::Memory(memory),
                ordering: None,
            };
            body.instruction(&address).instruction(&address);
            body.instruction(&Instruction::I32Load(memarg)).instruction(&Instruction::I32Const(1));
            body.instruction(&Instruction::I32Add).instruction(&Instruction::I32Store(memarg));
        }
        (0..ty.params().len() as u32)
            .for_each(|at| _ = body.instruction(&Instruction::LocalGet(at)));
        // Called, and half of them in place of the caller.
        if index % 2 == 0 {
            body.instruction(&Instruction::Call(index as u32));
        } else {
            body.instruction(&Instruction::ReturnCall(index as u32));
        }
        body.instruction(&Instruction::End);
        code.function(&body);
        funcs.function(index as u32);
        exports.export(&index.to_string(), ExportKind::Func, imported + index as u32);
    }
    let mut module = wasm_encoder::Module::new();
    module.section(&types).section(&imports).section(&funcs).section(&exports).section(&code);
    module.finish()
}
