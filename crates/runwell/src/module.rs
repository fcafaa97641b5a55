//! Compiled modules.

use crate::Result;
use crate::config::ProfilingStrategy;
use crate::engine::{Engine, compile};
use crate::registry::TypeId;
use crate::types::{
    ExportType, ExternType, FuncType, GlobalType, ImportType, MemoryType, Mutability, RefType,
    TableType, ValType,
};
use anyhow::Context;
use runwell_abi::Type;
use runwell_compiler::{CancelToken, CompiledModule, ModuleInfo, Report};
use runwell_vm::Code;
use runwell_vm::debug::{self, Profile, Registration};
use runwell_wasm::names::NameTable;
use runwell_wasm::{EntityType, Export, ExternKind};
use std::borrow::Cow;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};

/// A module, validated and compiled. Cloning gives another handle on the same one.
///
/// ```
/// use runwell::{Engine, Module};
///
/// # fn main() -> runwell::Result<()> {
/// let engine = Engine::default();
/// let module = Module::new(
///     &engine,
///     r#"(module $m (import "host" "now" (func (result i64))) (memory (export "memory") 1))"#,
/// )?;
/// assert_eq!(module.name(), Some("m"));
/// let import = module.imports().next().unwrap();
/// assert_eq!((import.module(), import.name()), ("host", "now"));
/// assert!(module.get_export("memory").unwrap().memory().is_some());
/// assert!(Module::validate(&engine, b"\0asm\x01\0\0\0").is_ok());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Module {
    inner: Arc<ModuleInner>,
}

pub(crate) struct ModuleInner {
    /// Tells modules apart.
    id: u64,
    pub(crate) engine: Engine,
    pub(crate) info: ModuleInfo,
    /// The module in the binary form: its segments and names are parts of it.
    pub(crate) wasm: Arc<[u8]>,
    pub(crate) code: Arc<Code>,
    /// The own functions that references may be made of.
    pub(crate) escapes: Box<[Escape]>,
    /// One held number per type of the module.
    pub(crate) type_ids: Vec<TypeId>,
    /// One type per type of the module.
    pub(crate) types: Vec<FuncType>,
    /// Numbers of the exports in the order of their names.
    exports_by_name: Box<[u32]>,
    names: OnceLock<Names>,
    hash: OnceLock<[u8; 32]>,
    /// Steps of work that instances are charged for.
    pub(crate) compile_work: OnceLock<u64>,
    report: Report,
    /// What debuggers know of the code.
    debug: OnceLock<Registration>,
}

/// An own function that has a record in the context of each instance.
pub(crate) struct Escape {
    /// Its number among them.
    pub(crate) index: u32,
    /// Index of the function.
    pub(crate) func: u32,
    /// Address of its code.
    pub(crate) code: u64,
    /// The engine's number of its type.
    pub(crate) type_id: u32,
}

/// Names, decoded when somebody asks.
#[derive(Default)]
struct Names {
    table: NameTable,
    /// Function index and number of an export of it, for modules without names.
    exports: Vec<(u32, u32)>,
}

/// What the registry of code knows of a module. Does not keep it alive.
#[derive(Default)]
pub(crate) struct Symbols(OnceLock<Weak<ModuleInner>>);

impl Symbols {
    pub(crate) fn module(&self) -> Option<Module> {
        Some(Module { inner: self.0.get()?.upgrade()? })
    }
}

/// An export of a module, found by name once.
///
/// ```
/// use runwell::{Engine, Instance, Module, Store};
///
/// # fn main() -> runwell::Result<()> {
/// let engine = Engine::default();
/// let module = Module::new(&engine, r#"(module (memory (export "memory") 1))"#)?;
/// let memory = module.get_export_index("memory").unwrap();
/// let mut store = Store::new(&engine, ());
/// let instance = Instance::new(&mut store, &module, &[])?;
/// let memory = instance.get_module_export(&mut store, &memory).unwrap().into_memory().unwrap();
/// assert_eq!(memory.size(&store), 1);
/// # Ok(())
/// # }
/// ```
#[derive(Copy, Clone, Debug)]
pub struct ModuleExport {
    pub(crate) module: u64,
    pub(crate) kind: ExternKind,
    pub(crate) index: u32,
}

/// An own function of a module.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct ModuleFunction {
    /// Its index, imported functions counted.
    pub index: u32,
    /// Its name: from the name section, or of an export.
    pub name: Option<String>,
    /// Where its machine code is in [`Module::text`].
    pub offset: usize,
    /// How long that is.
    pub len: usize,
}

/// What instances of a module will need.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct ResourcesRequired {
    /// How many memories.
    pub num_memories: u32,
    /// Pages at the start of the largest one.
    pub max_initial_memory_size: Option<u64>,
    /// How many tables.
    pub num_tables: u32,
    /// Elements at the start of the largest one.
    pub max_initial_table_size: Option<u64>,
}

/// The binary form of `bytes`, which may be in the text form.
pub(crate) fn binary<'a>(bytes: &'a [u8], path: Option<&Path>) -> Result<Cow<'a, [u8]>> {
    // Decimal fractions are rounded as they are read.
    runwell_vm::with_guest_floats(|| crate::text::binary(bytes, path))
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

    /// Validates and compiles a module in the binary form, or takes it from the cache of
    /// [`crate::Config::cache`].
    ///
    /// # Errors
    /// A [`crate::CompileError`]: the module is invalid, uses a feature that is not implemented or exceeds
    /// a limit. Or the operating system has no memory for the code.
    pub fn from_binary(engine: &Engine, bytes: &[u8]) -> Result<Module> {
        Module::compiled(engine, bytes, None)
    }

    /// As [`Module::new`], until another thread says to stop.
    ///
    /// Compiling looks at the token every few thousand steps of work, on each of its threads; it ends
    /// within milliseconds and gives back all that it has taken. A token can stop several modules,
    /// and those that begin later; it cannot be taken back. To give up after some time, let a timer
    /// cancel.
    ///
    /// ```
    /// use runwell::{CancelToken, CompileError, Engine, Module};
    ///
    /// # fn main() -> runwell::Result<()> {
    /// let engine = Engine::default();
    /// let token = CancelToken::new();
    /// assert!(Module::new_cancellable(&engine, "(module)", &token).is_ok());
    ///
    /// let handle = token.clone();
    /// std::thread::spawn(move || handle.cancel()).join().unwrap();
    /// let error = Module::new_cancellable(&engine, "(module)", &token).unwrap_err();
    /// assert_eq!(error.downcast_ref(), Some(&CompileError::Cancelled));
    /// assert_eq!(error.to_string(), "compilation was cancelled");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`crate::CompileError::Cancelled`], and as for [`Module::new`].
    pub fn new_cancellable(
        engine: &Engine,
        bytes: impl AsRef<[u8]>,
        cancel: &CancelToken,
    ) -> Result<Module> {
        let bytes = binary(bytes.as_ref(), None)?;
        Module::compiled(engine, &bytes, Some(cancel))
    }

    fn compiled(engine: &Engine, bytes: &[u8], cancel: Option<&CancelToken>) -> Result<Module> {
        match &engine.config().cache {
            Some(cache) => cache.module(engine, bytes, cancel),
            None => Module::load(engine, compile(engine, bytes, cancel)?, bytes.into()),
        }
    }

    /// Validates a module in the binary or the text form without keeping it.
    ///
    /// # Errors
    /// As for [`Module::new`]; a module that this accepts compiles.
    pub fn validate(engine: &Engine, bytes: impl AsRef<[u8]>) -> Result<()> {
        let bytes = binary(bytes.as_ref(), None)?;
        Ok(runwell_compiler::validate(&bytes, &engine.compile_options())?)
    }

    pub(crate) fn load(
        engine: &Engine,
        compiled: CompiledModule,
        wasm: Arc<[u8]>,
    ) -> Result<Module> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let CompiledModule { info, image, report } = compiled;
        let types: Vec<FuncType> = info.types.iter().map(func_type).collect();
        let type_ids: Vec<TypeId> = types.iter().map(|ty| engine.types().register(ty)).collect();
        let starts: Vec<u32> = image.funcs.iter().map(|func| func.start).collect();
        let symbols = Arc::new(Symbols::default());
        let code = crate::code::publish(image, symbols.clone())?;
        let imported = info.imported_funcs() as usize;
        let escapes = starts.iter().enumerate().filter_map(|(own, &start)| {
            let index = info.escaped[imported + own];
            let type_id = type_ids[info.funcs[imported + own] as usize].number();
            let code = code.base() + u64::from(start);
            let func = (imported + own) as u32;
            (index != ModuleInfo::NONE).then_some(Escape { index, func, code, type_id })
        });
        let mut exports_by_name: Box<[u32]> = (0..info.exports.len() as u32).collect();
        exports_by_name.sort_by_key(|&at| &*info.exports[at as usize].name);
        let inner = Arc::new(ModuleInner {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            engine: engine.clone(),
            escapes: escapes.collect(),
            info,
            wasm,
            code,
            type_ids,
            types,
            exports_by_name,
            names: OnceLock::new(),
            hash: OnceLock::new(),
            compile_work: OnceLock::new(),
            report,
            debug: OnceLock::new(),
        });
        let _ = symbols.0.set(Arc::downgrade(&inner));
        inner.announce()?;
        Ok(Module { inner })
    }

    /// The engine it was compiled with.
    pub fn engine(&self) -> &Engine {
        &self.inner.engine
    }

    /// Its name, from its name section.
    pub fn name(&self) -> Option<&str> {
        self.inner.names().table.module(&self.inner.wasm)
    }

    /// What compiling it did and cost.
    pub fn report(&self) -> &Report {
        &self.inner.report
    }

    /// The name of function `index`, imported ones included: from the name section, or of an export.
    pub fn function_name(&self, index: u32) -> Option<&str> {
        self.inner.func_name(index)
    }

    pub(crate) fn inner(&self) -> &Arc<ModuleInner> {
        &self.inner
    }

    /// True if both are handles on one module.
    pub fn same(a: &Module, b: &Module) -> bool {
        Arc::ptr_eq(&a.inner, &b.inner)
    }

    /// Its machine code.
    pub fn text(&self) -> &[u8] {
        self.inner.code.bytes()
    }

    /// Its own functions in ascending order, and where their machine code is.
    ///
    /// ```
    /// use runwell::{Engine, Module};
    ///
    /// # fn main() -> runwell::Result<()> {
    /// let module = Module::new(&Engine::default(), "(module (func $first) (func))")?;
    /// let first = module.functions().next().unwrap();
    /// assert_eq!((first.index, first.name.as_deref(), first.offset), (0, Some("first"), 0));
    /// assert!(first.len <= module.text().len() && module.functions().len() == 2);
    /// # Ok(())
    /// # }
    /// ```
    pub fn functions(&self) -> impl ExactSizeIterator<Item = ModuleFunction> + '_ {
        let imported = self.inner.info.imported_funcs();
        self.inner.code.meta().funcs.iter().enumerate().map(move |(own, func)| {
            let index = imported + own as u32;
            ModuleFunction {
                index,
                name: self.inner.func_name(index).map(str::to_string),
                offset: func.start as usize,
                len: (func.end - func.start) as usize,
            }
        })
    }

    /// From machine code to the module it was made of, ascending: from an offset into
    /// [`Module::text`] on, up to the next one or the end of the function, code belongs to the
    /// operator at a byte offset of the module. Always there; the `Option` is wasmtime's.
    pub fn address_map(&self) -> Option<impl Iterator<Item = (usize, Option<u32>)> + '_> {
        let map = self.inner.code.meta().srclocs.iter();
        Some(map.map(|&(at, from)| (at as usize, Some(from))))
    }

    /// What instances of it will need.
    pub fn resources_required(&self) -> ResourcesRequired {
        let info = &self.inner.info;
        let imports = info.imports.iter();
        let imported = imports.filter(|import| import.ty.kind() == ExternKind::Memory).count();
        let memories = &info.memories[imported..];
        let tables = &info.tables[info.counts().imported_tables as usize..];
        ResourcesRequired {
            num_memories: memories.len() as u32,
            max_initial_memory_size: memories.iter().map(|ty| ty.min).max(),
            num_tables: tables.len() as u32,
            max_initial_table_size: tables.iter().map(|ty| ty.min).max(),
        }
    }

    /// What it imports, in order.
    pub fn imports<'module>(
        &'module self,
    ) -> impl ExactSizeIterator<Item = ImportType<'module>> + 'module {
        (0..self.inner.info.imports.len()).map(|index| self.inner.import(index))
    }

    /// What it exports, in order.
    pub fn exports<'module>(
        &'module self,
    ) -> impl ExactSizeIterator<Item = ExportType<'module>> + 'module {
        self.inner.info.exports.iter().map(|export| ExportType {
            name: &export.name,
            ty: self.inner.export_type(export.kind, export.index),
        })
    }

    /// The type of the export called `name`.
    pub fn get_export(&self, name: &str) -> Option<ExternType> {
        let export = self.inner.export(name)?;
        Some(self.inner.export_type(export.kind, export.index))
    }

    /// The export called `name`, for looking it up in instances without its name.
    pub fn get_export_index(&self, name: &str) -> Option<ModuleExport> {
        let &Export { kind, index, .. } = self.inner.export(name)?;
        Some(ModuleExport { module: self.inner.id, kind, index })
    }
}

impl std::fmt::Debug for Module {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Module").field("name", &self.name()).finish_non_exhaustive()
    }
}

impl ModuleInner {
    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    /// The BLAKE3 hash of the module in the binary form.
    pub(crate) fn hash(&self) -> &[u8; 32] {
        self.hash.get_or_init(|| *blake3::hash(&self.wasm).as_bytes())
    }

    /// Index of the own function that has record number `number`.
    pub(crate) fn escaped_func(&self, number: u32) -> u32 {
        // Numbers are given out in the order of the functions.
        self.escapes[number as usize].func
    }

    /// Import number `index`.
    pub(crate) fn import(&self, index: usize) -> ImportType<'_> {
        let import = &self.info.imports[index];
        ImportType {
            module: &import.module,
            name: &import.name,
            ty: match &import.ty {
                EntityType::Func(ty) => ExternType::Func(self.types[*ty as usize].clone()),
                EntityType::Table(ty) => ExternType::Table(table_type(ty)),
                EntityType::Memory(ty) => ExternType::Memory(memory_type(ty)),
                EntityType::Global(ty) => ExternType::Global(global_type(ty)),
            },
        }
    }

    /// The export called `name`. O(log exports).
    pub(crate) fn export(&self, name: &str) -> Option<&Export> {
        let exports = &self.info.exports;
        let at = self
            .exports_by_name
            .binary_search_by_key(&name, |&at| &exports[at as usize].name)
            .ok()?;
        Some(&exports[self.exports_by_name[at] as usize])
    }

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

    /// Tells profilers and debuggers of the code, where the engine is configured so.
    fn announce(&self) -> Result<()> {
        let config = self.engine.config();
        let profile = match config.profiler {
            ProfilingStrategy::None => None,
            ProfilingStrategy::PerfMap => Some(Profile::PerfMap),
            ProfilingStrategy::JitDump => Some(Profile::JitDump),
        };
        if profile.is_none() && !config.debug_info {
            return Ok(());
        }
        let imported = self.info.imported_funcs();
        let name = |own: usize| {
            let index = imported + own as u32;
            match self.func_name(index) {
                Some(name) => name.to_string(),
                None => format!("wasm-function[{index}]"),
            }
        };
        let names: Vec<String> = (0..self.info.bodies.len()).map(name).collect();
        if let Some(profile) = profile {
            let module = self.names().table.module(&self.wasm).unwrap_or("module");
            debug::profile(profile, &self.code, &names, &format!("{module}.wasm"))
                .context("profilers cannot be told of the module's code")?;
        }
        if config.debug_info {
            let _ = self.debug.set(debug::register(&self.code, &names));
        }
        Ok(())
    }

    fn names(&self) -> &Names {
        self.names.get_or_init(|| {
            let exports = self.info.exports.iter().zip(0..);
            let mut exports: Vec<(u32, u32)> = exports
                .filter(|(export, _)| export.kind == ExternKind::Func)
                .map(|(export, number)| (export.index, number))
                .collect();
            exports.sort_unstable();
            exports.dedup_by_key(|&mut (index, _)| index);
            Names { table: self.info.names.decode(&self.wasm), exports }
        })
    }

    /// The name of function `index`: from the name section, or of an export.
    pub(crate) fn func_name(&self, index: u32) -> Option<&str> {
        let names = self.names();
        names.table.func(&self.wasm, index).or_else(|| {
            let at = names.exports.binary_search_by_key(&index, |&(index, _)| index).ok()?;
            Some(&*self.info.exports[names.exports[at].1 as usize].name)
        })
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
    FuncType::of(
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
