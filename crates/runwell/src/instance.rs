//! Instances: modules with memories, tables and globals of their own.

use crate::context::{AsContext, AsContextMut};
use crate::externs::{Export, Extern};
use crate::func::Func;
use crate::global::Global;
use crate::linker::{Definition, incompatible, place};
use crate::memory::Memory;
use crate::module::{Module, ModuleInner, global_type, memory_type, table_type};
use crate::store::{StoreId, StoreOpaque, StoreTable};
use crate::table::Table;
use crate::typed::{TypedFunc, WasmParams, WasmResults};
use crate::types::{ExternType, FuncType, ImportType};
use crate::{Error, Result, Trap};
use runwell_abi::TrapCode;
use runwell_abi::vmctx::FuncRefDef;
use runwell_vm::{DataSegment, ElemSegment, InstanceData, Owned, Vmctx};
use runwell_wasm::{
    ConstEnv, ConstExpr, ElementItems, EntityType, ExternKind, SegmentMode, const_expr,
};
use std::marker::PhantomData;
use std::ptr::NonNull;
use std::sync::Arc;

/// An instance of a module in a store.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Instance {
    store: StoreId,
    index: u32,
}

/// What a store keeps of an instance.
///
/// Fields are dropped in order; nothing runs in the instance any more by then.
pub(crate) struct InstanceState {
    pub(crate) module: Arc<ModuleInner>,
    vmctx: Vmctx,
    data: Owned<InstanceData>,
    /// Store indices of its memories, tables and globals, imported ones first.
    memories: Box<[u32]>,
    tables: Box<[u32]>,
    globals: Box<[u32]>,
}

impl InstanceState {
    /// The record of function `index`.
    fn func(&self, index: u32) -> NonNull<FuncRefDef> {
        let info = &self.module.info;
        if index < info.imported_funcs() {
            self.vmctx.imported_func(index)
        } else {
            self.vmctx.escaped_func(info.escaped[index as usize])
        }
    }

    fn export(&self, store: &StoreOpaque, kind: ExternKind, index: u32) -> Extern {
        let at = index as usize;
        match kind {
            // SAFETY: the record belongs to an instance of this store.
            ExternKind::Func => Extern::Func(unsafe { Func::from_def(store, self.func(index)) }),
            ExternKind::Table => Extern::Table(Table::from_index(store, self.tables[at])),
            ExternKind::Memory => Extern::Memory(Memory::from_index(store, self.memories[at])),
            ExternKind::Global => Extern::Global(Global::from_index(store, self.globals[at])),
        }
    }
}

impl Instance {
    pub(crate) fn from_index(store: &StoreOpaque, index: u32) -> Instance {
        Instance { store: store.id(), index }
    }

    /// Instantiates a module with these imports, in the module's order, and runs its start function.
    ///
    /// # Errors
    /// When their number or a type does not fit, when memories or tables cannot be had, and when a
    /// segment is out of bounds or the start function traps.
    ///
    /// # Panics
    /// When an import belongs to another store.
    pub fn new(
        mut store: impl AsContextMut,
        module: &Module,
        imports: &[Extern],
    ) -> Result<Instance> {
        instantiate(store.as_context_mut().opaque(), module, imports)
    }

    fn state<'a>(&self, store: &'a StoreOpaque) -> &'a InstanceState {
        assert!(self.store == store.id(), "an Instance was used with another store than its own");
        &store.instances[self.index as usize]
    }

    /// The module it is an instance of.
    pub fn module(&self, store: impl AsContext) -> Module {
        Module::from_inner(self.state(store.as_context().opaque()).module.clone())
    }

    /// The export called `name`.
    ///
    /// # Panics
    /// When it belongs to another store, as all methods.
    pub fn get_export(&self, mut store: impl AsContextMut, name: &str) -> Option<Extern> {
        let mut store = store.as_context_mut();
        self.get_export_in(store.opaque(), name)
    }

    pub(crate) fn get_export_in(&self, store: &StoreOpaque, name: &str) -> Option<Extern> {
        let state = self.state(store);
        let export = state.module.info.export(name)?;
        Some(state.export(store, export.kind, export.index))
    }

    pub(crate) fn all_exports(&self, store: &StoreOpaque) -> Vec<(String, Extern)> {
        let state = self.state(store);
        let exports = state.module.info.exports.iter();
        exports
            .map(|export| (export.name.to_string(), state.export(store, export.kind, export.index)))
            .collect()
    }

    /// All exports in the module's order.
    pub fn exports<'a, T: 'static>(
        &'a self,
        store: impl Into<crate::StoreContextMut<'a, T>>,
    ) -> impl ExactSizeIterator<Item = Export<'a>> + 'a {
        let store: &'a StoreOpaque = &store.into().0.opaque;
        let state = self.state(store);
        state.module.info.exports.iter().map(move |export| Export {
            name: &export.name,
            definition: state.export(store, export.kind, export.index),
        })
    }

    /// The exported function called `name`.
    pub fn get_func(&self, store: impl AsContextMut, name: &str) -> Option<Func> {
        self.get_export(store, name)?.into_func()
    }

    /// The exported function called `name`, whose type must be `Params -> Results`.
    ///
    /// # Errors
    /// When there is none, or its type is another.
    pub fn get_typed_func<Params: WasmParams, Results: WasmResults>(
        &self,
        mut store: impl AsContextMut,
        name: &str,
    ) -> Result<TypedFunc<Params, Results>> {
        let func = self
            .get_export(store.as_context_mut(), name)
            .and_then(Extern::into_func)
            .ok_or_else(|| Error::msg(format!("failed to find function export `{name}`")))?;
        func.typed::<Params, Results>(store.as_context()).map_err(|error| {
            error.context(format!("failed to convert function `{name}` to given type"))
        })
    }

    /// The exported memory called `name`.
    pub fn get_memory(&self, store: impl AsContextMut, name: &str) -> Option<Memory> {
        self.get_export(store, name)?.into_memory()
    }

    /// The exported table called `name`.
    pub fn get_table(&self, store: impl AsContextMut, name: &str) -> Option<Table> {
        self.get_export(store, name)?.into_table()
    }

    /// The exported global called `name`.
    pub fn get_global(&self, store: impl AsContextMut, name: &str) -> Option<Global> {
        self.get_export(store, name)?.into_global()
    }
}

/// A module whose imports have been looked up.
pub struct InstancePre<T: 'static> {
    module: Module,
    imports: Vec<Definition>,
    data: PhantomData<fn(T)>,
}

impl<T: 'static> Clone for InstancePre<T> {
    fn clone(&self) -> Self {
        InstancePre {
            module: self.module.clone(),
            imports: self.imports.clone(),
            data: PhantomData,
        }
    }
}

impl<T: 'static> InstancePre<T> {
    pub(crate) fn new(module: Module, imports: Vec<Definition>) -> InstancePre<T> {
        InstancePre { module, imports, data: PhantomData }
    }

    /// The module.
    pub fn module(&self) -> &Module {
        &self.module
    }

    /// Instantiates the module and runs its start function.
    ///
    /// # Errors
    /// As for [`Instance::new`].
    pub fn instantiate(&self, mut store: impl AsContextMut<Data = T>) -> Result<Instance> {
        let mut store = store.as_context_mut();
        let imports: Vec<Extern> =
            self.imports.iter().map(|definition| place(&mut store, definition)).collect();
        instantiate(store.opaque(), &self.module, &imports)
    }
}

/// The imports by kind, as store indices or records.
#[derive(Default)]
struct Imported {
    funcs: Vec<NonNull<FuncRefDef>>,
    memories: Vec<u32>,
    tables: Vec<u32>,
    globals: Vec<u32>,
}

fn instantiate(store: &mut StoreOpaque, module: &Module, imports: &[Extern]) -> Result<Instance> {
    let inner = module.inner();
    if !crate::Engine::same(store.engine(), &inner.engine) {
        return Err(Error::msg("a module was instantiated in a store of another engine"));
    }
    let imported = check_imports(store, module, imports)?;
    let state = build(store, inner, imported)?;
    let (info, start) = (&inner.info, inner.info.start);
    let index = store.instances.len() as u32;
    store.instances.push(state);
    fill_tables(store, inner, index)?;
    fill_memories(store, inner, index)?;
    let instance = Instance::from_index(store, index);
    if let Some(start) = start {
        debug_assert!((start as usize) < info.funcs.len());
        let def = store.instances[index as usize].func(start);
        // SAFETY: the record belongs to the new instance; a start function is of type [] -> [].
        unsafe { Func::from_def(store, def).call_typed::<(), ()>(store, ()) }?;
    }
    Ok(instance)
}

fn check_imports(store: &StoreOpaque, module: &Module, imports: &[Extern]) -> Result<Imported> {
    let wanted = module.imports();
    if wanted.len() != imports.len() {
        return Err(Error::msg(format!(
            "expected {} imports, found {}",
            wanted.len(),
            imports.len()
        )));
    }
    let mut imported = Imported::default();
    let inner = module.inner();
    for ((import, raw), found) in wanted.zip(&inner.info.imports).zip(imports) {
        let refuse = |found: ExternType, import: &ImportType<'_>| Err(incompatible(import, &found));
        match (&raw.ty, found) {
            (EntityType::Func(ty), Extern::Func(func)) => {
                let def = func.def(store);
                // SAFETY: the record lives as long as the store.
                let found = unsafe { def.as_ref() }.type_id;
                if found != inner.type_ids[*ty as usize].number() {
                    return refuse(ExternType::Func(func.ty_in(store)), &import);
                }
                imported.funcs.push(def);
            }
            (EntityType::Memory(ty), Extern::Memory(memory)) => {
                let index = memory.index(store);
                let raw = &store.memories[index as usize];
                let of = raw.ty();
                let wanted = memory_type(ty);
                if of.is64 != wanted.is_64()
                    || !limits_fit(raw.pages(), of.max, wanted.minimum(), wanted.maximum())
                {
                    let found = crate::MemoryType::raw(raw.pages(), of.max, of.is64);
                    return refuse(ExternType::Memory(found), &import);
                }
                imported.memories.push(index);
            }
            (EntityType::Table(ty), Extern::Table(table)) => {
                let index = table.index(store);
                let StoreTable { raw, element } = &store.tables[index as usize];
                let of = raw.ty();
                let wanted = table_type(ty);
                if *element != wanted.element()
                    || of.is64 != wanted.is_64()
                    || !limits_fit(raw.len(), of.max, wanted.minimum(), wanted.maximum())
                {
                    let found = crate::TableType::raw(*element, raw.len(), of.max, of.is64);
                    return refuse(ExternType::Table(found), &import);
                }
                imported.tables.push(index);
            }
            (EntityType::Global(ty), Extern::Global(global)) => {
                let index = global.index(store);
                let found = &store.globals[index as usize].ty;
                if *found != global_type(ty) {
                    return refuse(ExternType::Global(found.clone()), &import);
                }
                imported.globals.push(index);
            }
            (_, found) => return refuse(found.ty_in(store), &import),
        }
    }
    Ok(imported)
}

/// Whether limits `min..max` fit where `wanted_min..wanted_max` are wanted (spec 3.3.13).
fn limits_fit(min: u64, max: Option<u64>, wanted_min: u64, wanted_max: Option<u64>) -> bool {
    min >= wanted_min
        && match (max, wanted_max) {
            (_, None) => true,
            (None, Some(_)) => false,
            (Some(max), Some(wanted)) => max <= wanted,
        }
}

/// Makes the instance's own objects and its context. Nothing of it runs yet.
fn build(
    store: &mut StoreOpaque,
    module: &Arc<ModuleInner>,
    imported: Imported,
) -> Result<InstanceState> {
    let info = &module.info;
    let Imported { funcs, mut memories, mut tables, mut globals } = imported;
    for ty in &info.memories[memories.len()..] {
        memories.push(store.add_memory(&memory_type(ty))?);
    }
    let own_tables = tables.len();
    for ty in &info.tables[own_tables..] {
        tables.push(store.add_table(&table_type(ty), 0)?);
    }
    let vmctx = Vmctx::new(&info.layout, &store.runtime);
    for (index, &memory) in memories.iter().enumerate() {
        vmctx.set_memory(index as u32, &store.memories[memory as usize]);
    }
    for (index, &table) in tables.iter().enumerate() {
        // SAFETY: the context and the table are freed together, with the store; the definition of
        // an own table has just been made.
        unsafe { vmctx.set_table(index as u32, &store.tables[table as usize].raw) };
    }
    for (index, &func) in funcs.iter().enumerate() {
        vmctx.set_imported_func(index as u32, func);
    }
    for (index, id) in module.type_ids.iter().enumerate() {
        vmctx.set_type_id(index as u32, id.number());
    }
    let code = module.code.base();
    for (own, &start) in module.starts.iter().enumerate() {
        let index = funcs.len() + own;
        let escaped = info.escaped[index];
        if escaped != runwell_wasm::ModuleInfo::NONE {
            let type_id = module.type_ids[info.funcs[index] as usize].number();
            vmctx.set_escaped_func(escaped, code + u64::from(start), type_id);
        }
    }
    for (index, &global) in globals.iter().enumerate() {
        vmctx.set_imported_global(index as u32, store.globals[global as usize].cell);
    }
    let mut stack = Vec::new();
    for (own, init) in info.global_inits.iter().enumerate() {
        let index = info.counts().imported_globals as usize + own;
        let bits = Env { vmctx: &vmctx, module }.eval(*init, &mut stack);
        let cell = vmctx.global(index as u32);
        // SAFETY: the cell is in the context, which nobody else uses yet.
        unsafe { cell.write(bits) };
        globals.push(store.add_global_at(global_type(&info.globals[index]), cell));
    }
    for (own, init) in info.table_inits.iter().enumerate() {
        if let Some(init) = init {
            let bits = Env { vmctx: &vmctx, module }.eval(*init, &mut stack) as u64;
            let table = &store.tables[tables[own_tables + own] as usize].raw;
            table.fill(0, bits, table.len()).map_err(trap)?;
        }
    }
    let data = Owned::new(InstanceData {
        memories: memories.iter().map(|&i| store.memories[i as usize].as_ptr()).collect(),
        tables: tables.iter().map(|&i| store.tables[i as usize].raw.as_ptr()).collect(),
        data: module
            .data
            .iter()
            .map(|bytes| DataSegment::new(bytes.clone(), 0..bytes.len()))
            .collect(),
        elems: elements(module, &vmctx, &mut stack),
        owner: store.instances.len() as u64,
    });
    vmctx.set_instance(&data);
    Ok(InstanceState {
        module: module.clone(),
        vmctx,
        data,
        memories: memories.into(),
        tables: tables.into(),
        globals: globals.into(),
    })
}

/// The elements of every segment. Declared segments have none.
fn elements(module: &ModuleInner, vmctx: &Vmctx, stack: &mut Vec<u128>) -> Box<[ElemSegment]> {
    let mut env = Env { vmctx, module };
    let segments = module.info.elements.iter();
    segments
        .map(|segment| {
            let elements: Box<[u64]> = match (&segment.mode, &segment.items) {
                (SegmentMode::Declared, _) => Box::default(),
                (_, ElementItems::Funcs(funcs)) => funcs
                    .iter()
                    .map(|&index| match index {
                        ElementItems::NULL => 0,
                        index => env.func(index) as u64,
                    })
                    .collect(),
                (_, ElementItems::Exprs(exprs)) => {
                    exprs.iter().map(|&expr| env.eval(expr, stack) as u64).collect()
                }
            };
            ElemSegment::new(elements)
        })
        .collect()
}

/// What constant expressions of an instance refer to.
struct Env<'a> {
    vmctx: &'a Vmctx,
    module: &'a ModuleInner,
}

impl Env<'_> {
    fn eval(&mut self, expr: ConstExpr, stack: &mut Vec<u128>) -> u128 {
        const_expr::eval(self.module.info.const_ops(expr), stack, self)
    }
}

impl ConstEnv for Env<'_> {
    fn global(&mut self, index: u32) -> u128 {
        // SAFETY: validation lets expressions name imported globals, which are set, and own ones
        // before themselves, which have been initialised.
        unsafe { self.vmctx.global(index).read() }
    }

    fn func(&mut self, index: u32) -> u128 {
        let info = &self.module.info;
        let def = if index < info.imported_funcs() {
            self.vmctx.imported_func(index)
        } else {
            self.vmctx.escaped_func(info.escaped[index as usize])
        };
        def.as_ptr() as u128
    }
}

fn trap(code: TrapCode) -> Error {
    Error::new(Trap::from_code(code))
}

/// Copies the active element segments into their tables, in order, and drops them.
fn fill_tables(store: &StoreOpaque, module: &ModuleInner, index: u32) -> Result<()> {
    let state = &store.instances[index as usize];
    let mut stack = Vec::new();
    for (segment, elems) in module.info.elements.iter().zip(&state.data.elems) {
        if let SegmentMode::Active { target, offset } = segment.mode {
            let at = Env { vmctx: &state.vmctx, module }.eval(offset, &mut stack) as u64;
            let table = &store.tables[state.tables[target as usize] as usize].raw;
            let elements = elems.elements();
            table.init(at, elements, 0, elements.len() as u64).map_err(trap)?;
        }
        if !matches!(segment.mode, SegmentMode::Passive) {
            elems.drop_elements();
        }
    }
    Ok(())
}

/// Copies the active data segments into their memories, in order, and drops them.
fn fill_memories(store: &StoreOpaque, module: &ModuleInner, index: u32) -> Result<()> {
    let state = &store.instances[index as usize];
    let mut stack = Vec::new();
    for (segment, data) in module.info.data.iter().zip(&state.data.data) {
        if let SegmentMode::Active { target, offset } = segment.mode {
            let at = Env { vmctx: &state.vmctx, module }.eval(offset, &mut stack) as u64;
            let memory = &store.memories[state.memories[target as usize] as usize];
            let bytes = data.bytes();
            memory.init(at, bytes, 0, bytes.len() as u64).map_err(trap)?;
            data.drop_bytes();
        }
    }
    Ok(())
}

/// A function type for messages, when a record's number is all that is known.
pub(crate) fn type_of(store: &StoreOpaque, type_id: u32) -> FuncType {
    store.engine().types().get(type_id).unwrap_or_else(|| FuncType::new([], []))
}
