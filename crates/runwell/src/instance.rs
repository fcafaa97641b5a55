//! Instances: modules with memories, tables and globals of their own.

use crate::context::{AsContextMut, StoreContext};
use crate::externs::{Export, Extern};
use crate::func::Func;
use crate::global::Global;
use crate::linker::{Definition, incompatible};
use crate::memory::Memory;
use crate::module::{Module, ModuleExport, ModuleInner, global_type, memory_type, table_type};
use crate::store::{StoreId, StoreOpaque, StoreTable};
use crate::table::Table;
use crate::tape::hooks;
use crate::typed::{TypedFunc, WasmParams, WasmResults};
use crate::types::{ExternType, FuncType};
use crate::{Error, Result, Trap};
use runwell_abi::TrapCode;
use runwell_abi::vmctx::FuncRefDef;
use runwell_vm::{DataSegment, ElemSegment, InstanceData, Owned, Vmctx};
use runwell_wasm::{
    ConstEnv, ConstExpr, ElementItems, EntityType, ExternKind, SegmentMode, const_expr,
};
use std::marker::PhantomData;
use std::ptr::NonNull;

/// An instance of a module in a store.
///
/// ```
/// use runwell::{Engine, Func, Instance, Module, Store};
///
/// # fn main() -> runwell::Result<()> {
/// let engine = Engine::default();
/// let module = Module::new(
///     &engine,
///     r#"(module
///         (import "" "" (func $next (result i32)))
///         (global $last (export "last") (mut i32) (i32.const 0))
///         (func (export "step") (global.set $last (call $next))))"#,
/// )?;
/// let mut store = Store::new(&engine, 41);
/// let next = Func::wrap(&mut store, |mut caller: runwell::Caller<'_, i32>| {
///     *caller.data_mut() += 1;
///     *caller.data()
/// });
/// let instance = Instance::new(&mut store, &module, &[next.into()])?;
/// instance.get_func(&mut store, "step").unwrap().call(&mut store, &[], &mut [])?;
/// let last = instance.get_global(&mut store, "last").unwrap();
/// assert_eq!(last.get(&mut store).i32(), Some(42));
/// assert_eq!(instance.exports(&mut store).count(), 2);
/// # Ok(())
/// # }
/// ```
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Instance {
    store: StoreId,
    index: u32,
}

/// What a store keeps of an instance.
///
/// Fields are dropped in order; nothing runs in the instance any more by then.
pub(crate) struct InstanceState {
    pub(crate) module: Module,
    pub(crate) vmctx: Vmctx,
    pub(crate) data: Owned<InstanceData>,
    /// Store indices of its memories, tables and globals, imported ones first.
    pub(crate) memories: Box<[u32]>,
    pub(crate) tables: Box<[u32]>,
    pub(crate) globals: Box<[u32]>,
}

impl InstanceState {
    /// The record of function `index`, which is imported or can be referred to.
    pub(crate) fn func(&self, index: u32) -> NonNull<FuncRefDef> {
        let info = &self.module.inner().info;
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
        let mut store = store.as_context_mut();
        let (store, of, module) = (store.opaque(), module, module.inner());
        check_store(store, module)?;
        let imported = checked_imports(store, module, imports)?;
        instantiate(store, of, imported)
    }

    pub(crate) fn state<'a>(&self, store: &'a StoreOpaque) -> &'a InstanceState {
        assert!(self.store == store.id(), "an Instance was used with another store than its own");
        &store.instances[self.index as usize]
    }

    /// The module it is an instance of.
    pub fn module<'a, T: 'static>(&self, store: impl Into<StoreContext<'a, T>>) -> &'a Module {
        &self.state(store.into().opaque()).module
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
        let export = state.module.inner().export(name)?;
        Some(state.export(store, export.kind, export.index))
    }

    /// The export that [`Module::get_export_index`] found; `None` when this is no instance of that
    /// module.
    pub fn get_module_export(
        &self,
        mut store: impl AsContextMut,
        export: &ModuleExport,
    ) -> Option<Extern> {
        let mut store = store.as_context_mut();
        self.get_module_export_in(store.opaque(), export)
    }

    pub(crate) fn get_module_export_in(
        &self,
        store: &StoreOpaque,
        export: &ModuleExport,
    ) -> Option<Extern> {
        let state = self.state(store);
        let same = state.module.inner().id() == export.module;
        same.then(|| state.export(store, export.kind, export.index))
    }

    pub(crate) fn all_exports(&self, store: &StoreOpaque) -> Vec<(String, Extern)> {
        let state = self.state(store);
        let exports = state.module.inner().info.exports.iter();
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
        state.module.inner().info.exports.iter().map(move |export| Export {
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
///
/// ```
/// use runwell::{Engine, Linker, Module, Store};
///
/// # fn main() -> runwell::Result<()> {
/// let engine = Engine::default();
/// let module = Module::new(&engine, r#"(module (memory (export "memory") 1))"#)?;
/// let pre = Linker::new(&engine).instantiate_pre(&module)?;
/// for request in 0..100u32 {
///     let mut store = Store::new(&engine, request);
///     pre.instantiate(&mut store)?;
/// }
/// # Ok(())
/// # }
/// ```
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
        let store = store.opaque();
        check_store(store, self.module.inner())?;
        let imported = self.imported(store)?;
        instantiate(store, &self.module, imported)
    }

    /// Puts what is imported into the store.
    pub(crate) fn imported(&self, store: &mut StoreOpaque) -> Result<Imported> {
        let module = self.module.inner();
        let mut imported = Imported::of(module);
        for (number, definition) in self.imports.iter().enumerate() {
            match definition {
                // Its type was compared when this was made.
                Definition::Host(host) => {
                    imported.funcs.push(store.add_host_func(host).def(store));
                }
                Definition::Extern(found) => {
                    import(store, module, number, found, &mut imported)?;
                }
            }
        }
        Ok(imported)
    }
}

/// The imports by kind, as store indices or records.
#[derive(Default)]
pub(crate) struct Imported {
    funcs: Vec<NonNull<FuncRefDef>>,
    memories: Vec<u32>,
    tables: Vec<u32>,
    globals: Vec<u32>,
}

impl Imported {
    /// With room for the imports of a module.
    fn of(module: &ModuleInner) -> Imported {
        let counts = module.info.counts();
        Imported {
            funcs: Vec::with_capacity(counts.imported_funcs as usize),
            memories: Vec::with_capacity(module.info.memories.len()),
            tables: Vec::with_capacity(module.info.tables.len()),
            globals: Vec::with_capacity(module.info.globals.len()),
        }
    }
}

/// Whether an instance fills memories or tables that it imports.
fn fills_others(module: &ModuleInner) -> bool {
    let info = &module.info;
    let imported = |is_it: fn(&EntityType) -> bool| {
        info.imports.iter().filter(|import| is_it(&import.ty)).count()
    };
    let memories = imported(|ty| matches!(ty, EntityType::Memory(_)));
    let tables = imported(|ty| matches!(ty, EntityType::Table(_)));
    let fills = |mode: &SegmentMode, imported: usize| match *mode {
        SegmentMode::Active { target, .. } => (target as usize) < imported,
        _ => false,
    };
    info.data.iter().any(|segment| fills(&segment.mode, memories))
        || info.elements.iter().any(|segment| fills(&segment.mode, tables))
}

/// An error unless instances of the module may be made in the store.
pub(crate) fn check_store(store: &mut StoreOpaque, module: &ModuleInner) -> Result<()> {
    store.may_change().or_else(|error| if fills_others(module) { Err(error) } else { Ok(()) })?;
    if !crate::Engine::same(store.engine(), &module.engine) {
        return Err(Error::msg("a module was instantiated in a store of another engine"));
    }
    store.may_instantiate()
}

fn instantiate(store: &mut StoreOpaque, of: &Module, imported: Imported) -> Result<Instance> {
    if store.tape.is_some() {
        hooks::instantiate(store, of, |store, refs| {
            let Imported { funcs, memories, tables, globals } = &imported;
            // SAFETY: what is imported is of this store.
            unsafe { hooks::imports(store, refs, of, funcs, [memories, tables, globals]) }
        })?;
    }
    let result = instantiate_bare(store, of, imported);
    hooks::instantiated(store, result)
}

/// Instantiates a module with these imports, in its order, where nobody asks whether it may.
pub(crate) fn instantiate_checked(
    store: &mut StoreOpaque,
    of: &Module,
    imports: &[Extern],
) -> Result<()> {
    let imported = checked_imports(store, of.inner(), imports)?;
    instantiate_bare(store, of, imported).map(|_| ())
}

/// The imports of a module, in its order.
///
/// # Errors
/// When their number or a type does not fit.
pub(crate) fn checked_imports(
    store: &StoreOpaque,
    module: &ModuleInner,
    imports: &[Extern],
) -> Result<Imported> {
    let wanted = module.info.imports.len();
    if wanted != imports.len() {
        return Err(Error::msg(format!("expected {wanted} imports, found {}", imports.len())));
    }
    let mut imported = Imported::of(module);
    for (number, found) in imports.iter().enumerate() {
        import(store, module, number, found, &mut imported)?;
    }
    Ok(imported)
}

fn instantiate_bare(store: &mut StoreOpaque, of: &Module, imported: Imported) -> Result<Instance> {
    store.charge_instance(of.inner())?;
    let state = build(store, of, imported)?;
    let module = of.inner();
    let (info, start) = (&module.info, module.info.start);
    let index = store.instances.len() as u32;
    store.instances.push(state);
    let filled =
        fill_tables(store, module, index).and_then(|()| fill_memories(store, module, index));
    hooks::filled(store);
    filled?;
    let instance = Instance::from_index(store, index);
    if let Some(start) = start {
        debug_assert!((start as usize) < info.funcs.len());
        let def = store.instances[index as usize].func(start);
        // SAFETY: the record belongs to the new instance; a start function is of type [] -> [].
        unsafe { Func::from_def(store, def).call_typed::<(), ()>(store, ()) }?;
    }
    Ok(instance)
}

/// Adds import number `number` if it is of the type the module wants.
fn import(
    store: &StoreOpaque,
    module: &ModuleInner,
    number: usize,
    found: &Extern,
    imported: &mut Imported,
) -> Result<()> {
    let refuse = |found: ExternType| Err(incompatible(&module.import(number), &found));
    match (&module.info.imports[number].ty, found) {
        (EntityType::Func(ty), Extern::Func(func)) => {
            let def = func.def(store);
            // SAFETY: the record lives as long as the store.
            let found = unsafe { def.as_ref() }.type_id;
            if found != module.type_ids[*ty as usize].number() {
                return refuse(ExternType::Func(func.ty_in(store)));
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
                return refuse(ExternType::Memory(found));
            }
            imported.memories.push(index);
        }
        (EntityType::Table(ty), Extern::Table(table)) => {
            let index = table.index(store);
            let StoreTable { raw, element } = &store.tables[index as usize];
            let of = raw.ty();
            let wanted = table_type(ty);
            if element != wanted.element()
                || of.is64 != wanted.is_64()
                || !limits_fit(raw.len(), of.max, wanted.minimum(), wanted.maximum())
            {
                let found = crate::TableType::raw(*element, raw.len(), of.max, of.is64);
                return refuse(ExternType::Table(found));
            }
            imported.tables.push(index);
        }
        (EntityType::Global(ty), Extern::Global(global)) => {
            let index = global.index(store);
            let found = &store.globals[index as usize].ty;
            if *found != global_type(ty) {
                return refuse(ExternType::Global(found.clone()));
            }
            imported.globals.push(index);
        }
        (_, found) => return refuse(found.ty_in(store)),
    }
    Ok(())
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
///
/// # Errors
/// When the limiter or the system refuses one of them. Those made before are gone again then, and the store
/// is as it was.
pub(crate) fn build(
    store: &mut StoreOpaque,
    of: &Module,
    imported: Imported,
) -> Result<InstanceState> {
    let before = store.counts();
    let built = build_objects(store, of, imported);
    if built.is_err() {
        store.undo(before);
    }
    built
}

fn build_objects(
    store: &mut StoreOpaque,
    of: &Module,
    imported: Imported,
) -> Result<InstanceState> {
    let module = of.inner();
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
    for escape in &module.escapes {
        vmctx.set_escaped_func(escape.index, escape.code, escape.type_id);
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
        data: info
            .data
            .iter()
            .map(|segment| {
                let bytes = segment.bytes.start as usize..segment.bytes.end as usize;
                DataSegment::new(module.wasm.clone(), bytes)
            })
            .collect(),
        elems: elements(module, &vmctx, &mut stack),
        owner: store.instances.len() as u64,
    });
    vmctx.set_instance(&data);
    Ok(InstanceState {
        module: of.clone(),
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
    store.engine().types().get(type_id).unwrap_or_else(|| FuncType::of([], []))
}
