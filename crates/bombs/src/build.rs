//! Modules section by section, and modules of a given size.

use wasm_encoder::{
    CodeSection, ConstExpr, CustomSection, DataCountSection, DataSection, ElementSection,
    EntityType, ExportKind, ExportSection, Function, FunctionSection, GlobalSection, GlobalType,
    ImportSection, InstructionSink, MemArg, MemArgTarget, MemorySection, MemoryType, Module,
    RefType, StartSection, TableSection, TableType, TypeSection, ValType,
};

pub(crate) type Sink<'a> = InstructionSink<'a>;

#[cfg(test)]
thread_local! {
    /// Bytes of all modules built, the ones of other sizes on the way included.
    static WRITTEN: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

/// How far from the size asked for is near enough, as a fraction of it.
const NEAR: usize = 64;

/// Builds the module whose size comes nearest to `bytes`. `build` takes a scale, in which sizes
/// grow about linearly.
///
/// # Complexity
/// A bounded number of modules of at most about `bytes` each: the next scale is where a straight
/// line through the sizes seen so far reaches the target, or half-way when that leads nowhere.
pub(crate) fn fit(bytes: usize, build: impl Fn(usize) -> Vec<u8>) -> Vec<u8> {
    let mut best = build(1);
    let base = best.len();
    if base >= bytes {
        return best;
    }
    let (mut low, mut high) = (1, usize::MAX);
    let mut n = 4;
    for _ in 0..40 {
        let module = build(n);
        #[cfg(test)]
        WRITTEN.with(|written| written.set(written.get() + module.len()));
        let size = module.len();
        if size < bytes {
            low = n;
        } else {
            high = n;
        }
        let near = size.abs_diff(bytes) * NEAR <= bytes;
        if size.abs_diff(bytes) < best.len().abs_diff(bytes) {
            best = module;
        }
        if near || high - low <= 1 {
            break;
        }
        let line = 1 + (n - 1) * (bytes - base) / (size - base).max(1);
        // Far from the target the line is a guess that must not overshoot by much.
        n = line.clamp(low + 1, (high - 1).min(n * 64));
        if high != usize::MAX && (line <= low || line >= high) {
            n = low + (high - low) / 2;
        }
    }
    best
}

/// A module under construction. Indices are given out in the order of the calls.
#[derive(Default)]
pub(crate) struct Wasm {
    pub(crate) types: TypeSection,
    pub(crate) imports: ImportSection,
    pub(crate) funcs: FunctionSection,
    pub(crate) tables: TableSection,
    pub(crate) memories: MemorySection,
    pub(crate) globals: GlobalSection,
    pub(crate) exports: ExportSection,
    pub(crate) start: Option<u32>,
    pub(crate) elements: ElementSection,
    pub(crate) code: CodeSection,
    pub(crate) data: DataSection,
    pub(crate) customs: Vec<(String, Vec<u8>)>,
    pub(crate) imported_funcs: u32,
}

impl Wasm {
    pub(crate) fn new() -> Wasm {
        Wasm::default()
    }

    pub(crate) fn ty(&mut self, params: &[ValType], results: &[ValType]) -> u32 {
        let index = self.types.len();
        self.types.ty().function(params.iter().copied(), results.iter().copied());
        index
    }

    pub(crate) fn import_func(&mut self, name: &str, ty: u32) -> u32 {
        self.imports.import("m", name, EntityType::Function(ty));
        self.imported_funcs += 1;
        self.imported_funcs - 1
    }

    pub(crate) fn memory(&mut self, pages: u64) -> u32 {
        let index = self.memories.len();
        self.memories.memory(memory_type(pages, false));
        index
    }

    pub(crate) fn memory64(&mut self, pages: u64) -> u32 {
        let index = self.memories.len();
        self.memories.memory(memory_type(pages, true));
        index
    }

    pub(crate) fn table(&mut self, minimum: u64) -> u32 {
        let index = self.tables.len();
        self.tables.table(table_type(minimum));
        index
    }

    pub(crate) fn global(&mut self, ty: ValType, init: &ConstExpr) -> u32 {
        let index = self.globals.len();
        self.globals.global(global_type(ty, true), init);
        index
    }

    /// A function; the closure writes its body without the last `end`.
    pub(crate) fn func(
        &mut self,
        ty: u32,
        locals: &[(u32, ValType)],
        body: impl FnOnce(&mut Sink<'_>),
    ) -> u32 {
        let index = self.imported_funcs + self.funcs.len();
        self.funcs.function(ty);
        let mut func = Function::new(locals.iter().copied());
        let mut sink = func.instructions();
        body(&mut sink);
        sink.end();
        self.code.function(&func);
        index
    }

    pub(crate) fn export_func(&mut self, name: &str, func: u32) {
        self.exports.export(name, ExportKind::Func, func);
    }

    pub(crate) fn finish(self) -> Vec<u8> {
        let mut module = Module::new();
        module.section(&self.types);
        if !self.imports.is_empty() {
            module.section(&self.imports);
        }
        module.section(&self.funcs);
        if !self.tables.is_empty() {
            module.section(&self.tables);
        }
        if !self.memories.is_empty() {
            module.section(&self.memories);
        }
        if !self.globals.is_empty() {
            module.section(&self.globals);
        }
        if !self.exports.is_empty() {
            module.section(&self.exports);
        }
        if let Some(function_index) = self.start {
            module.section(&StartSection { function_index });
        }
        if !self.elements.is_empty() {
            module.section(&self.elements);
        }
        if !self.data.is_empty() {
            module.section(&DataCountSection { count: self.data.len() });
        }
        module.section(&self.code);
        if !self.data.is_empty() {
            module.section(&self.data);
        }
        for (name, data) in &self.customs {
            module.section(&CustomSection { name: name.into(), data: data.into() });
        }
        module.finish()
    }
}

pub(crate) fn memory_type(minimum: u64, memory64: bool) -> MemoryType {
    MemoryType { minimum, maximum: None, memory64, shared: false, page_size_log2: None }
}

pub(crate) fn table_type(minimum: u64) -> TableType {
    TableType {
        element_type: RefType::FUNCREF,
        table64: false,
        minimum,
        maximum: None,
        shared: false,
    }
}

pub(crate) fn global_type(val_type: ValType, mutable: bool) -> GlobalType {
    GlobalType { val_type, mutable, shared: false }
}

/// An access of memory 0, aligned to `2^align` bytes.
pub(crate) fn at(offset: u64, align: u32) -> MemArg {
    in_memory(0, offset, align)
}

/// An access of some memory.
pub(crate) fn in_memory(memory: u32, offset: u64, align: u32) -> MemArg {
    MemArg { offset, align, target: MemArgTarget::Memory(memory), ordering: None }
}

/// A module of one exported function `[i32 i64 f64] -> []` with a memory and four globals: 0 of
/// `i32`, 1 of `i64`, 2 of `f32` and 3 of `f64`. Declared locals come after the three parameters.
pub(crate) fn one(locals: &[(u32, ValType)], body: impl FnOnce(&mut Sink<'_>)) -> Vec<u8> {
    let mut wasm = base();
    let ty = wasm.ty(&[ValType::I32, ValType::I64, ValType::F64], &[]);
    let func = wasm.func(ty, locals, body);
    wasm.export_func("f", func);
    wasm.finish()
}

/// A module with a memory and four globals, as of [`one`], and no function yet.
pub(crate) fn base() -> Wasm {
    let mut wasm = Wasm::new();
    wasm.memory(1);
    wasm.global(ValType::I32, &ConstExpr::i32_const(0));
    wasm.global(ValType::I64, &ConstExpr::i64_const(0));
    wasm.global(ValType::F32, &ConstExpr::f32_const(0.0.into()));
    wasm.global(ValType::F64, &ConstExpr::f64_const(0.0.into()));
    wasm
}

/// The parameters of [`one`], and its first declared local.
pub(crate) const P32: u32 = 0;
pub(crate) const P64: u32 = 1;
pub(crate) const PF: u32 = 2;
pub(crate) const L: u32 = 3;

/// Most locals a function may declare, less the parameters.
pub(crate) const MAX_LOCALS: usize = 49_990;

/// `count` `i32` locals, and their number.
pub(crate) fn i32s(count: usize) -> (u32, [(u32, ValType); 1]) {
    let count = count.clamp(1, MAX_LOCALS) as u32;
    (count, [(count, ValType::I32)])
}

/// Folds locals `L..L + count` into global 0, so that all of them are used.
pub(crate) fn use_locals(f: &mut Sink<'_>, count: u32) {
    f.i32_const(0);
    for local in L..L + count {
        f.local_get(local).i32_xor();
    }
    f.global_set(0);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    #[test]
    fn making_a_module_is_linear() {
        for family in crate::families() {
            for bytes in [8 << 10, 256 << 10] {
                WRITTEN.with(|written| written.set(0));
                (family.make)(bytes);
                let written = WRITTEN.with(Cell::get);
                assert!(written < 10 * bytes, "{} of {bytes}: {written} written", family.name);
            }
        }
    }
}
