//! What lives in stores, and modules.

use crate::convert;
use crate::{Engine, StoreContext, StoreContextMut};
use anyhow::{Context, Result};
use runwell::AsContextMut as _;
use std::sync::Arc;
use wasm_runtime_layer as layer;
use wasm_runtime_layer::backend::{
    AsContext, AsContextMut, Export, Extern, Imports, Ref, Val, WasmExternRef, WasmFunc,
    WasmGlobal, WasmInstance, WasmMemory, WasmModule, WasmTable,
};

/// A reference to something of the host's.
#[derive(Copy, Clone, Debug)]
pub struct ExternRef(pub(crate) runwell::Rooted<runwell::ExternRef>);

/// A function.
#[derive(Copy, Clone, Debug)]
pub struct Func(pub(crate) runwell::Func);

/// A global.
#[derive(Copy, Clone, Debug)]
pub struct Global(pub(crate) runwell::Global);

/// A memory.
#[derive(Copy, Clone, Debug)]
pub struct Memory(pub(crate) runwell::Memory);

/// A table.
#[derive(Copy, Clone, Debug)]
pub struct Table(pub(crate) runwell::Table);

/// A module.
#[derive(Clone, Debug)]
pub struct Module(runwell::Module);

/// An instance. Its exports are looked up once, since that takes a store that may be changed.
#[derive(Clone, Debug)]
pub struct Instance {
    exports: Arc<[Export<Engine>]>,
    /// Numbers of the exports in the order of their names.
    by_name: Arc<[u32]>,
}

impl WasmExternRef<Engine> for ExternRef {
    /// # Panics
    /// Where [`runwell::ExternRef::new`] gives an error.
    fn new<T: 'static + Send + Sync>(mut ctx: impl AsContextMut<Engine>, object: T) -> Self {
        let object = runwell::ExternRef::new(ctx.as_context_mut().0, object);
        ExternRef(object.expect("the store takes one more reference"))
    }

    fn downcast<'a, 's: 'a, T: 'static, S: 'static>(
        &'a self,
        store: StoreContext<'s, S>,
    ) -> Result<&'a T> {
        let data =
            self.0.data(store.0)?.context("the reference refers to nothing of the host's")?;
        data.downcast_ref().context("the reference refers to something of another type")
    }
}

impl WasmFunc<Engine> for Func {
    fn new<T: 'static>(
        mut ctx: impl AsContextMut<Engine, UserState = T>,
        ty: layer::FuncType,
        func: impl Fn(StoreContextMut<'_, T>, &[Val<Engine>], &mut [Val<Engine>]) -> Result<()>
        + Send
        + Sync
        + 'static,
    ) -> Self {
        let ctx = ctx.as_context_mut().0;
        let ty = convert::to_func_type(ctx.engine(), &ty);
        Func(runwell::Func::new(ctx, ty, move |mut caller, args, results| {
            let args: Vec<Val<Engine>> = args.iter().map(convert::val).collect();
            let mut given: Vec<Val<Engine>> = results.iter().map(convert::val).collect();
            func(StoreContextMut(caller.as_context_mut()), &args, &mut given)?;
            for (to, from) in results.iter_mut().zip(&given) {
                *to = convert::to_val(from);
            }
            Ok(())
        }))
    }

    fn ty(&self, ctx: impl AsContext<Engine>) -> layer::FuncType {
        convert::func_type(&self.0.ty(ctx.as_context().0))
    }

    fn call<T>(
        &self,
        mut ctx: impl AsContextMut<Engine>,
        args: &[Val<Engine>],
        results: &mut [Val<Engine>],
    ) -> Result<()> {
        let args: Vec<runwell::Val> = args.iter().map(convert::to_val).collect();
        let mut given = vec![runwell::Val::I32(0); results.len()];
        self.0.call(ctx.as_context_mut().0, &args, &mut given)?;
        for (to, from) in results.iter_mut().zip(&given) {
            *to = convert::val(from);
        }
        Ok(())
    }
}

impl WasmGlobal<Engine> for Global {
    /// # Panics
    /// When the value is a reference of another store.
    fn new(mut ctx: impl AsContextMut<Engine>, value: Val<Engine>, mutable: bool) -> Self {
        let content = convert::to_val_type(&value.ty());
        let mutability =
            if mutable { runwell::Mutability::Var } else { runwell::Mutability::Const };
        let ty = runwell::GlobalType::new(content, mutability);
        let global = runwell::Global::new(ctx.as_context_mut().0, ty, convert::to_val(&value));
        Global(global.expect("a value of the store's"))
    }

    fn ty(&self, ctx: impl AsContext<Engine>) -> layer::GlobalType {
        convert::global_type(&self.0.ty(ctx.as_context().0))
    }

    fn set(&self, mut ctx: impl AsContextMut<Engine>, new_value: Val<Engine>) -> Result<()> {
        self.0.set(ctx.as_context_mut().0, convert::to_val(&new_value))
    }

    fn get(&self, mut ctx: impl AsContextMut<Engine>) -> Val<Engine> {
        convert::val(&self.0.get(ctx.as_context_mut().0))
    }
}

impl WasmMemory<Engine> for Memory {
    fn new(mut ctx: impl AsContextMut<Engine>, ty: layer::MemoryType) -> Result<Self> {
        let ty = runwell::MemoryType::new(ty.initial_pages(), ty.maximum_pages());
        Ok(Memory(runwell::Memory::new(ctx.as_context_mut().0, ty)?))
    }

    fn ty(&self, ctx: impl AsContext<Engine>) -> layer::MemoryType {
        convert::memory_type(&self.0.ty(ctx.as_context().0))
    }

    fn grow(&self, mut ctx: impl AsContextMut<Engine>, additional: u32) -> Result<u32> {
        let old = self.0.grow(ctx.as_context_mut().0, u64::from(additional))?;
        Ok(convert::narrow(old))
    }

    fn current_pages(&self, ctx: impl AsContext<Engine>) -> u32 {
        convert::narrow(self.0.size(ctx.as_context().0))
    }

    fn read(&self, ctx: impl AsContext<Engine>, offset: usize, buffer: &mut [u8]) -> Result<()> {
        Ok(self.0.read(ctx.as_context().0, offset, buffer)?)
    }

    fn write(&self, mut ctx: impl AsContextMut<Engine>, offset: usize, bytes: &[u8]) -> Result<()> {
        Ok(self.0.write(ctx.as_context_mut().0, offset, bytes)?)
    }
}

impl WasmTable<Engine> for Table {
    fn new(
        mut ctx: impl AsContextMut<Engine>,
        ty: layer::TableType,
        init: Ref<Engine>,
    ) -> Result<Self> {
        let element = convert::to_ref_type(ty.element());
        let ty = runwell::TableType::new(element, ty.minimum(), ty.maximum());
        let init = convert::to_reference(&init);
        Ok(Table(runwell::Table::new(ctx.as_context_mut().0, ty, init)?))
    }

    fn ty(&self, ctx: impl AsContext<Engine>) -> layer::TableType {
        convert::table_type(&self.0.ty(ctx.as_context().0))
    }

    fn size(&self, ctx: impl AsContext<Engine>) -> u32 {
        convert::narrow(self.0.size(ctx.as_context().0))
    }

    fn grow(
        &self,
        mut ctx: impl AsContextMut<Engine>,
        delta: u32,
        init: Ref<Engine>,
    ) -> Result<u32> {
        let init = convert::to_reference(&init);
        Ok(convert::narrow(self.0.grow(ctx.as_context_mut().0, u64::from(delta), init)?))
    }

    fn get(&self, mut ctx: impl AsContextMut<Engine>, index: u32) -> Option<Ref<Engine>> {
        let found = self.0.get(ctx.as_context_mut().0, u64::from(index))?;
        Some(convert::reference(&found))
    }

    fn set(&self, mut ctx: impl AsContextMut<Engine>, index: u32, elem: Ref<Engine>) -> Result<()> {
        self.0.set(ctx.as_context_mut().0, u64::from(index), convert::to_reference(&elem))
    }
}

impl WasmInstance<Engine> for Instance {
    fn new(
        mut store: impl AsContextMut<Engine>,
        module: &Module,
        imports: &Imports<Engine>,
    ) -> Result<Self> {
        let mut store = store.as_context_mut().0;
        let wanted = module.0.imports().map(|import| {
            let found = imports.get_export(import.module(), import.name()).with_context(|| {
                format!("unknown import: `{}::{}` is not defined", import.module(), import.name())
            })?;
            Ok(convert::to_item(&found))
        });
        let imports = wanted.collect::<Result<Vec<runwell::Extern>>>()?;
        let instance = runwell::Instance::new(&mut store, &module.0, &imports)?;
        let exports = instance.exports(&mut store).map(|export| {
            let name = export.name().to_string();
            Ok(Export { name, value: convert::item(export.into_extern())? })
        });
        let exports = exports.collect::<Result<Arc<[Export<Engine>]>>>()?;
        let mut by_name: Vec<u32> = (0..exports.len() as u32).collect();
        by_name.sort_by(|&a, &b| exports[a as usize].name.cmp(&exports[b as usize].name));
        Ok(Instance { exports, by_name: by_name.into() })
    }

    fn exports(&self, _store: impl AsContext<Engine>) -> Box<dyn Iterator<Item = Export<Engine>>> {
        let exports = self.exports.clone();
        Box::new((0..exports.len()).map(move |number| exports[number].clone()))
    }

    fn get_export(&self, _store: impl AsContext<Engine>, name: &str) -> Option<Extern<Engine>> {
        let name_of = |number: &u32| &*self.exports[*number as usize].name;
        let at = self.by_name.binary_search_by(|number| name_of(number).cmp(name)).ok()?;
        Some(self.exports[self.by_name[at] as usize].value.clone())
    }
}

impl WasmModule<Engine> for Module {
    fn new(engine: &Engine, bytes: &[u8]) -> Result<Self> {
        Ok(Module(runwell::Module::new(engine.inner(), bytes)?))
    }

    fn exports(&self) -> Box<dyn '_ + Iterator<Item = layer::ExportType<'_>>> {
        Box::new(self.0.exports().filter_map(|export| {
            let ty = convert::extern_type(&export.ty()).ok()?;
            Some(layer::ExportType { name: export.name(), ty })
        }))
    }

    fn get_export(&self, name: &str) -> Option<layer::ExternType> {
        convert::extern_type(&self.0.get_export(name)?).ok()
    }

    fn imports(&self) -> Box<dyn '_ + Iterator<Item = layer::ImportType<'_>>> {
        Box::new(self.0.imports().filter_map(|import| {
            let ty = convert::extern_type(&import.ty()).ok()?;
            Some(layer::ImportType { module: import.module(), name: import.name(), ty })
        }))
    }
}
