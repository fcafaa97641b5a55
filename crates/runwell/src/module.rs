//! Compiled modules.

use crate::engine::Engine;
use crate::registry::TypeId;
use crate::types::{
    ExportType, ExternType, FuncType, GlobalType, ImportType, MemoryType, Mutability, RefType,
    TableType, ValType,
};
use crate::{Error, Result};
use anyhow::Context;
use runwell_abi::Type;
use runwell_compiler::{CompiledModule, ModuleInfo, Report};
use runwell_vm::Code;
use runwell_wasm::{EntityType, ExternKind};
use std::borrow::Cow;
use std::path::Path;
use std::sync::{Arc, OnceLock};

/// A module, validated and compiled. Cloning gives another handle on the same one.
#[derive(Clone)]
pub struct Module {
    inner: Arc<ModuleInner>,
}

pub(crate) struct ModuleInner {
    pub(crate) engine: Engine,
    pub(crate) info: ModuleInfo,
    pub(crate) code: Arc<Code>,
    /// Where each own function starts in the code.
    pub(crate) starts: Vec<u32>,
    /// One held number per type of the module.
    pub(crate) type_ids: Vec<TypeId>,
    /// One type per type of the module.
    pub(crate) types: Vec<FuncType>,
    /// The content of each data segment.
    pub(crate) data: Vec<Arc<[u8]>>,
    pub(crate) symbols: Arc<Symbols>,
    report: Report,
}

/// What a backtrace needs of a module; outlives it in the registry of code.
pub(crate) struct Symbols {
    name_section: Vec<u8>,
    names: runwell_wasm::names::Names,
    decoded: OnceLock<DecodedNames>,
    /// Function index and name of the functions that are exported, for modules without names.
    exports: Vec<(u32, String)>,
    pub(crate) imported_funcs: u32,
    /// Where each own function's body starts in the module.
    pub(crate) bodies: Vec<u32>,
}

#[derive(Default)]
struct DecodedNames {
    module: Option<String>,
    funcs: Vec<(u32, String)>,
}

impl Symbols {
    fn new(info: &ModuleInfo, bytes: &[u8]) -> Symbols {
        let mut exports: Vec<(u32, String)> = info
            .exports
            .iter()
            .filter(|export| export.kind == ExternKind::Func)
            .map(|export| (export.index, export.name.to_string()))
            .collect();
        exports.sort();
        exports.dedup_by_key(|(index, _)| *index);
        let (name_section, names) = info.names.detach(bytes);
        Symbols {
            name_section,
            names,
            decoded: OnceLock::new(),
            exports,
            imported_funcs: info.imported_funcs(),
            bodies: info.bodies.iter().map(|body| body.start).collect(),
        }
    }

    fn names(&self) -> &DecodedNames {
        self.decoded.get_or_init(|| {
            let table = self.names.decode(&self.name_section);
            DecodedNames {
                module: table.module(&self.name_section).map(str::to_string),
                funcs: table
                    .funcs()
                    .iter()
                    .filter_map(|&(index, _)| {
                        Some((index, table.func(&self.name_section, index)?.to_string()))
                    })
                    .collect(),
            }
        })
    }

    pub(crate) fn module_name(&self) -> Option<&str> {
        self.names().module.as_deref()
    }

    pub(crate) fn func_name(&self, index: u32) -> Option<&str> {
        let find = |table: &'_ [(u32, String)]| {
            table.binary_search_by_key(&index, |&(index, _)| index).ok()
        };
        let names = self.names();
        match find(&names.funcs) {
            Some(at) => Some(&names.funcs[at].1),
            None => find(&self.exports).map(|at| &*self.exports[at].1),
        }
    }
}

/// The binary form of `bytes`, which may be in the text form.
pub(crate) fn binary<'a>(bytes: &'a [u8], path: Option<&Path>) -> Result<Cow<'a, [u8]>> {
    wat::parse_bytes(bytes).map_err(|mut error| {
        if let Some(path) = path {
            error.set_path(path);
        }
        Error::new(error)
    })
}

impl Module {
    /// Validates and compiles a module in the binary or the text form.
    ///
    /// # Errors
    /// When the text is not a module, and as for [`Module::from_binary`].
    pub fn new(engine: &Engine, bytes: impl AsRef<[u8]>) -> Result<Module> {
        Module::from_binary(engine, &binary(bytes.as_ref(), None)?)
    }

    /// Reads a file, then as [`Module::new`].
    ///
    /// # Errors
    /// When the file cannot be read, and as for [`Module::new`].
    pub fn from_file(engine: &Engine, file: impl AsRef<Path>) -> Result<Module> {
        let path = file.as_ref();
        let bytes = std::fs::read(path)
            .with_context(|| format!("failed to read input file: {}", path.display()))?;
        Module::from_binary(engine, &binary(&bytes, Some(path))?)
    }

    /// Validates and compiles a module in the binary form.
    ///
    /// # Errors
    /// A [`crate::CompileError`]: the module is invalid, uses a feature that is not implemented or exceeds
    /// a limit. Or the operating system has no memory for the code.
    pub fn from_binary(engine: &Engine, bytes: &[u8]) -> Result<Module> {
        let compiled = runwell_compiler::compile(bytes, &engine.compile_options())?;
        Module::load(engine, compiled, bytes)
    }

    /// Validates a module in the binary or the text form without keeping it.
    ///
    /// # Errors
    /// As for [`Module::new`]; a module that this accepts compiles.
    pub fn validate(engine: &Engine, bytes: impl AsRef<[u8]>) -> Result<()> {
        let bytes = binary(bytes.as_ref(), None)?;
        Ok(runwell_compiler::validate(&bytes, &engine.compile_options())?)
    }

    fn load(engine: &Engine, compiled: CompiledModule, bytes: &[u8]) -> Result<Module> {
        let CompiledModule { info, image, report } = compiled;
        let types: Vec<FuncType> = info.types.iter().map(func_type).collect();
        let type_ids = types.iter().map(|ty| engine.types().register(ty)).collect();
        let data = info
            .data
            .iter()
            .map(|segment| {
                Arc::from(&bytes[segment.bytes.start as usize..segment.bytes.end as usize])
            })
            .collect();
        let symbols = Arc::new(Symbols::new(&info, bytes));
        let starts = image.funcs.iter().map(|func| func.start).collect();
        let code = crate::code::publish(image, symbols.clone())?;
        Ok(Module {
            inner: Arc::new(ModuleInner {
                engine: engine.clone(),
                info,
                code,
                starts,
                type_ids,
                types,
                data,
                symbols,
                report,
            }),
        })
    }

    /// The engine it was compiled with.
    pub fn engine(&self) -> &Engine {
        &self.inner.engine
    }

    /// Its name, from its name section.
    pub fn name(&self) -> Option<&str> {
        self.inner.symbols.module_name()
    }

    /// What compiling it did and cost.
    pub fn report(&self) -> &Report {
        &self.inner.report
    }

    pub(crate) fn from_inner(inner: Arc<ModuleInner>) -> Module {
        Module { inner }
    }

    pub(crate) fn inner(&self) -> &Arc<ModuleInner> {
        &self.inner
    }

    /// What it imports, in order.
    pub fn imports(&self) -> impl ExactSizeIterator<Item = ImportType<'_>> + '_ {
        self.inner.info.imports.iter().map(|import| ImportType {
            module: &import.module,
            name: &import.name,
            ty: match &import.ty {
                EntityType::Func(ty) => ExternType::Func(self.inner.types[*ty as usize].clone()),
                EntityType::Table(ty) => ExternType::Table(table_type(ty)),
                EntityType::Memory(ty) => ExternType::Memory(memory_type(ty)),
                EntityType::Global(ty) => ExternType::Global(global_type(ty)),
            },
        })
    }

    /// What it exports, in order.
    pub fn exports(&self) -> impl ExactSizeIterator<Item = ExportType<'_>> + '_ {
        self.inner.info.exports.iter().map(|export| ExportType {
            name: &export.name,
            ty: self.inner.export_type(export.kind, export.index),
        })
    }

    /// The type of the export called `name`.
    pub fn get_export(&self, name: &str) -> Option<ExternType> {
        let export = self.inner.info.export(name)?;
        Some(self.inner.export_type(export.kind, export.index))
    }
}

impl ModuleInner {
    fn export_type(&self, kind: ExternKind, index: u32) -> ExternType {
        let index = index as usize;
        match kind {
            ExternKind::Func => {
                ExternType::Func(self.types[self.info.funcs[index] as usize].clone())
            }
            ExternKind::Table => ExternType::Table(table_type(&self.info.tables[index])),
            ExternKind::Memory => ExternType::Memory(memory_type(&self.info.memories[index])),
            ExternKind::Global => ExternType::Global(global_type(&self.info.globals[index])),
        }
    }
}

pub(crate) fn val_type(ty: Type) -> ValType {
    match ty {
        Type::I32 => ValType::I32,
        Type::I64 => ValType::I64,
        Type::F32 => ValType::F32,
        Type::F64 => ValType::F64,
        Type::V128 => ValType::V128,
        Type::FuncRef => ValType::FUNCREF,
        Type::AnyRef => ValType::EXTERNREF,
    }
}

fn ref_type(ty: Type) -> RefType {
    match ty {
        Type::AnyRef => RefType::EXTERNREF,
        _ => RefType::FUNCREF,
    }
}

fn func_type(sig: &runwell_ir::Signature) -> FuncType {
    FuncType::new(
        sig.params.iter().map(|&ty| val_type(ty)),
        sig.results.iter().map(|&ty| val_type(ty)),
    )
}

pub(crate) fn table_type(ty: &runwell_wasm::TableType) -> TableType {
    TableType::raw(ref_type(ty.element), ty.min, ty.max, ty.table64)
}

pub(crate) fn memory_type(ty: &runwell_wasm::MemoryType) -> MemoryType {
    MemoryType::raw(ty.min, ty.max, ty.memory64)
}

pub(crate) fn global_type(ty: &runwell_wasm::GlobalType) -> GlobalType {
    let mutability = if ty.mutable { Mutability::Var } else { Mutability::Const };
    GlobalType::new(val_type(ty.ty), mutability)
}
