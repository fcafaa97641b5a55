//! Names for what modules import.

use crate::context::{AsContext, AsContextMut, StoreContextMut};
use crate::engine::Engine;
use crate::externs::Extern;
use crate::func::{Caller, Func, HostFunc, IntoFunc};
use crate::instance::{Instance, InstancePre};
use crate::module::Module;
use crate::types::{ExternType, FuncType, ImportType};
use crate::value::Val;
use crate::{Error, Result};
use runwell_wasm::EntityType;
use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::sync::Arc;

/// What a name stands for.
#[derive(Clone)]
pub(crate) enum Definition {
    /// Something in a store.
    Extern(Extern),
    /// A host function that is not in a store yet.
    Host(Arc<HostFunc>),
}

/// Names for what modules import.
///
/// ```
/// use runwell::{Engine, Linker, Module, Store};
///
/// # fn main() -> runwell::Result<()> {
/// let engine = Engine::default();
/// let mut linker = Linker::new(&engine);
/// linker.func_wrap("math", "add", |a: i32, b: i32| a.wrapping_add(b))?;
/// assert!(linker.func_wrap("math", "add", || {}).is_err());
///
/// let mut store = Store::new(&engine, ());
/// let library = Module::new(
///     &engine,
///     r#"(module
///         (import "math" "add" (func $add (param i32 i32) (result i32)))
///         (func (export "double") (param i32) (result i32)
///             (call $add (local.get 0) (local.get 0))))"#,
/// )?;
/// linker.module(&mut store, "library", &library)?;
/// let double = linker.get(&mut store, "library", "double")?.into_func().unwrap();
/// assert_eq!(double.typed::<i32, i32>(&store)?.call(&mut store, 21)?, 42);
/// # Ok(())
/// # }
/// ```
///
/// `T` is the data of the stores it links in.
pub struct Linker<T: 'static> {
    engine: Engine,
    names: BTreeMap<String, BTreeMap<String, Definition>>,
    shadowing: bool,
    unknown_exports: bool,
    data: PhantomData<fn(T)>,
}

impl<T: 'static> Clone for Linker<T> {
    fn clone(&self) -> Self {
        Linker {
            engine: self.engine.clone(),
            names: self.names.clone(),
            shadowing: self.shadowing,
            unknown_exports: self.unknown_exports,
            data: PhantomData,
        }
    }
}

impl<T: 'static> Linker<T> {
    /// A linker without names.
    pub fn new(engine: &Engine) -> Linker<T> {
        Linker {
            engine: engine.clone(),
            names: BTreeMap::new(),
            shadowing: false,
            unknown_exports: false,
            data: PhantomData,
        }
    }

    /// The engine it links for.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Whether a name may be defined twice, the later definition hiding the earlier one. Off by
    /// default.
    pub fn allow_shadowing(&mut self, allow: bool) -> &mut Self {
        self.shadowing = allow;
        self
    }

    /// Whether [`Linker::module`] passes over exports of a command that are no functions. Off by
    /// default: they are errors.
    pub fn allow_unknown_exports(&mut self, allow: bool) -> &mut Self {
        self.unknown_exports = allow;
        self
    }

    fn insert(&mut self, module: &str, name: &str, definition: Definition) -> Result<()> {
        let names = match self.names.get_mut(module) {
            Some(names) => names,
            None => self.names.entry(module.to_string()).or_default(),
        };
        if !self.shadowing && names.contains_key(name) {
            return Err(Error::msg(format!("import of `{module}::{name}` defined twice")));
        }
        names.insert(name.to_string(), definition);
        Ok(())
    }

    /// Names something of a store's.
    ///
    /// # Errors
    /// When the name is taken and shadowing is not allowed.
    pub fn define(
        &mut self,
        _store: impl AsContext<Data = T>,
        module: &str,
        name: &str,
        item: impl Into<Extern>,
    ) -> Result<&mut Self> {
        self.insert(module, name, Definition::Extern(item.into()))?;
        Ok(self)
    }

    /// Names something of a store's in the module without a name.
    ///
    /// # Errors
    /// As for [`Linker::define`].
    pub fn define_name(
        &mut self,
        store: impl AsContext<Data = T>,
        name: &str,
        item: impl Into<Extern>,
    ) -> Result<&mut Self> {
        self.define(store, "", name, item)
    }

    /// Names a host function whose type follows from the Rust closure.
    ///
    /// # Errors
    /// As for [`Linker::define`].
    pub fn func_wrap<Params, Args>(
        &mut self,
        module: &str,
        name: &str,
        func: impl IntoFunc<T, Params, Args>,
    ) -> Result<&mut Self> {
        let host = Arc::new(func.into_host_func(&self.engine));
        self.insert(module, name, Definition::Host(host))?;
        Ok(self)
    }

    /// Names a host function of a type that is known at run time.
    ///
    /// # Errors
    /// As for [`Linker::define`].
    pub fn func_new(
        &mut self,
        module: &str,
        name: &str,
        ty: FuncType,
        func: impl Fn(Caller<'_, T>, &[Val], &mut [Val]) -> Result<()> + Send + Sync + 'static,
    ) -> Result<&mut Self> {
        let host = Arc::new(HostFunc::dynamic(&self.engine, ty, func));
        self.insert(module, name, Definition::Host(host))?;
        Ok(self)
    }

    /// Names all exports of an instance.
    ///
    /// # Errors
    /// As for [`Linker::define`].
    pub fn instance(
        &mut self,
        mut store: impl AsContextMut<Data = T>,
        module: &str,
        instance: Instance,
    ) -> Result<&mut Self> {
        let mut store = store.as_context_mut();
        for (name, export) in instance.all_exports(store.opaque()) {
            self.insert(module, &name, Definition::Extern(export))?;
        }
        Ok(self)
    }

    /// Names the exports of a module.
    ///
    /// A module that exports `_start` is a command: each call of one of its functions runs in a
    /// fresh instance. Any other module is instantiated now, and its function `_initialize` called
    /// where there is one.
    ///
    /// # Errors
    /// When it exports both, when a command exports something other than functions, see
    /// [`Linker::allow_unknown_exports`], and as for [`Linker::instantiate`] and
    /// [`Linker::define`].
    pub fn module(
        &mut self,
        mut store: impl AsContextMut<Data = T>,
        module_name: &str,
        module: &Module,
    ) -> Result<&mut Self> {
        let mut store = store.as_context_mut();
        let function = |name: &str| match module.get_export(name) {
            None => Ok(false),
            Some(ExternType::Func(_)) => Ok(true),
            Some(_) => Err(Error::msg(format!("`{name}` must be a function"))),
        };
        match (function("_start")?, function("_initialize")?) {
            (true, true) => Err(Error::msg("a module cannot be both a command and a reactor")),
            (true, false) => self.command(store, module_name, module),
            (false, reactor) => {
                let instance = self.instantiate(&mut store, module)?;
                if reactor {
                    instance
                        .get_typed_func::<(), ()>(&mut store, "_initialize")
                        .and_then(|initialize| initialize.call(&mut store, ()))
                        .map_err(|error| error.context("calling `_initialize`"))?;
                }
                self.instance(store, module_name, instance)
            }
        }
    }

    /// Names functions that run a command's in instances of their own.
    fn command(
        &mut self,
        mut store: StoreContextMut<'_, T>,
        module_name: &str,
        module: &Module,
    ) -> Result<&mut Self> {
        /// What toolchains let commands export without meaning it.
        const IGNORED: [&str; 7] = [
            "memory",
            "table",
            "__indirect_function_table",
            "__data_end",
            "__heap_base",
            "__dso_handle",
            "__rtti_base",
        ];
        let pre = self.instantiate_pre(module)?;
        for export in module.exports() {
            let name = export.name();
            let ExternType::Func(ty) = export.ty() else {
                if !self.unknown_exports && !IGNORED.contains(&name) {
                    return Err(Error::msg(format!("command export `{name}` is not a function")));
                }
                continue;
            };
            let (pre, owned) = (pre.clone(), name.to_string());
            let func = Func::new(&mut store, ty, move |mut caller, params, results| {
                let instance = pre.instantiate(&mut caller)?;
                match instance.get_func(&mut caller, &owned) {
                    Some(func) => func.call(&mut caller, params, results),
                    None => Err(Error::msg(format!("the command lost its export `{owned}`"))),
                }
            });
            self.insert(module_name, name, Definition::Extern(func.into()))?;
        }
        Ok(self)
    }

    /// Gives a name to what another name stands for.
    ///
    /// # Errors
    /// When the other name stands for nothing, and as for [`Linker::define`].
    pub fn alias(
        &mut self,
        module: &str,
        name: &str,
        as_module: &str,
        as_name: &str,
    ) -> Result<&mut Self> {
        let Some(definition) = self.lookup(module, name).cloned() else {
            return Err(Error::msg(format!("no item named `{module}::{name}` defined")));
        };
        self.insert(as_module, as_name, definition)?;
        Ok(self)
    }

    /// Lets all names of a module also stand in another one.
    ///
    /// # Errors
    /// As for [`Linker::define`].
    pub fn alias_module(&mut self, module: &str, as_module: &str) -> Result<()> {
        for (name, definition) in self.names.get(module).cloned().unwrap_or_default() {
            self.insert(as_module, &name, definition)?;
        }
        Ok(())
    }

    /// All names with what they stand for, ascending.
    pub fn iter<'a: 'p, 'p>(
        &'a self,
        mut store: impl AsContextMut<Data = T> + 'p,
    ) -> impl Iterator<Item = (&'a str, &'a str, Extern)> + 'p {
        let names = self.names.iter().flat_map(|(module, names)| {
            names.iter().map(move |(name, definition)| (&**module, &**name, definition))
        });
        names.map(move |(module, name, definition)| {
            (module, name, place(&mut store.as_context_mut(), definition))
        })
    }

    pub(crate) fn lookup(&self, module: &str, name: &str) -> Option<&Definition> {
        self.names.get(module)?.get(name)
    }

    /// What a name stands for.
    ///
    /// # Errors
    /// When it stands for nothing.
    ///
    /// # Panics
    /// When it stands for a host function and `store` is of another engine than the linker.
    pub fn get(
        &self,
        mut store: impl AsContextMut<Data = T>,
        module: &str,
        name: &str,
    ) -> Result<Extern> {
        match self.lookup(module, name) {
            Some(definition) => Ok(place(&mut store.as_context_mut(), definition)),
            None => Err(Error::msg(format!("missing definition for `{module}::{name}`"))),
        }
    }

    /// What stands for an import of a module.
    pub fn get_by_import(
        &self,
        store: impl AsContextMut<Data = T>,
        import: &ImportType<'_>,
    ) -> Option<Extern> {
        self.get(store, import.module(), import.name()).ok()
    }

    /// The function a module's name stands for when no name in it is given: its export "", else
    /// `_start`, else a function that does nothing.
    ///
    /// # Errors
    /// When the name stands for something that is not a function.
    pub fn get_default(
        &self,
        mut store: impl AsContextMut<Data = T>,
        module: &str,
    ) -> Result<Func> {
        for name in ["", "_start"] {
            if let Ok(found) = self.get(&mut store, module, name) {
                return found.into_func().ok_or_else(|| {
                    Error::msg(format!("export `{name}` of `{module}` is not a function"))
                });
            }
        }
        Ok(Func::wrap(store, || {}))
    }

    /// Lets every function that `module` imports and no name stands for end the guest with an
    /// [`UnknownImportError`] when it is called.
    ///
    /// # Errors
    /// None today.
    pub fn define_unknown_imports_as_traps(&mut self, module: &Module) -> Result<()> {
        for import in module.imports() {
            if self.lookup(import.module(), import.name()).is_none()
                && let ExternType::Func(ty) = import.ty()
            {
                let error = UnknownImportError::new(&import);
                self.func_new(import.module(), import.name(), ty, move |_, _, _| {
                    Err(Error::new(error.clone()))
                })?;
            }
        }
        Ok(())
    }

    /// Lets every import of `module` that no name stands for be an empty memory or table of the
    /// type's least size, a global of zero or null, or a function that gives zeros and nulls.
    ///
    /// # Errors
    /// When such a type has no default value, or a memory or table cannot be had.
    pub fn define_unknown_imports_as_default_values(
        &mut self,
        mut store: impl AsContextMut<Data = T>,
        module: &Module,
    ) -> Result<()> {
        let mut store = store.as_context_mut();
        for import in module.imports() {
            if self.lookup(import.module(), import.name()).is_none() {
                let item = import.ty().default_value(&mut store).map_err(|error| {
                    error.context(format!(
                        "no default value exists for `{}::{}` of type `{}`",
                        import.module(),
                        import.name(),
                        import.ty(),
                    ))
                })?;
                self.insert(import.module(), import.name(), Definition::Extern(item))?;
            }
        }
        Ok(())
    }

    /// Looks up and checks all imports of a module, so that instantiating it does not have to.
    ///
    /// # Errors
    /// When an import is missing or of another type. An item in a store is checked when the module
    /// is instantiated in it.
    pub fn instantiate_pre(&self, module: &Module) -> Result<InstancePre<T>> {
        if !Engine::same(&self.engine, module.engine()) {
            return Err(Error::msg("a module was linked by a linker of another engine"));
        }
        let inner = module.inner();
        let mut imports = Vec::with_capacity(inner.info.imports.len());
        for (number, import) in inner.info.imports.iter().enumerate() {
            let Some(definition) = self.lookup(&import.module, &import.name) else {
                return Err(Error::new(UnknownImportError::new(&inner.import(number))));
            };
            if let Definition::Host(host) = definition {
                // Both have numbers of this engine, and a type may have two thousand parts.
                let fits = match &import.ty {
                    EntityType::Func(ty) => {
                        inner.type_ids[*ty as usize].number() == host.type_number()
                    }
                    _ => false,
                };
                if !fits {
                    let found = ExternType::Func(host.ty().clone());
                    return Err(incompatible(&inner.import(number), &found));
                }
            }
            imports.push(definition.clone());
        }
        Ok(InstancePre::new(module.clone(), imports))
    }

    /// Instantiates a module with what its imports' names stand for.
    ///
    /// # Errors
    /// When an import is missing or of another type, when memories or tables cannot be had, and when
    /// a segment is out of bounds or the start function traps.
    pub fn instantiate(
        &self,
        store: impl AsContextMut<Data = T>,
        module: &Module,
    ) -> Result<Instance> {
        self.instantiate_pre(module)?.instantiate(store)
    }
}

/// Puts what a name stands for into a store, where it is not in one yet.
pub(crate) fn place<T>(store: &mut StoreContextMut<'_, T>, definition: &Definition) -> Extern {
    match definition {
        Definition::Extern(item) => item.clone(),
        Definition::Host(host) => Extern::Func(store.opaque().add_host_func(host)),
    }
}

/// The error for an import that no name stands for.
///
/// ```
/// use runwell::{Engine, Linker, Module, UnknownImportError};
///
/// # fn main() -> runwell::Result<()> {
/// let engine = Engine::default();
/// let module = Module::new(&engine, r#"(module (import "host" "f" (func)))"#)?;
/// let error = Linker::<()>::new(&engine).instantiate_pre(&module).err().unwrap();
/// assert_eq!(error.downcast_ref::<UnknownImportError>().unwrap().name(), "f");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct UnknownImportError {
    module: String,
    name: String,
    ty: ExternType,
}

impl UnknownImportError {
    pub(crate) fn new(import: &ImportType<'_>) -> UnknownImportError {
        UnknownImportError {
            module: import.module().to_string(),
            name: import.name().to_string(),
            ty: import.ty(),
        }
    }

    /// The module it is wanted from.
    pub fn module(&self) -> &str {
        &self.module
    }

    /// Its name there.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its type.
    pub fn ty(&self) -> ExternType {
        self.ty.clone()
    }
}

impl std::fmt::Display for UnknownImportError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let UnknownImportError { module, name, ty } = self;
        write!(f, "unknown import: `{module}::{name}` has not been defined (wanted: {ty})")
    }
}

impl std::error::Error for UnknownImportError {}

/// The error for an import that is defined, but of another type.
pub(crate) fn incompatible(import: &ImportType<'_>, found: &ExternType) -> Error {
    Error::msg(format!(
        "incompatible import type for `{}::{}`: wanted {}, found {}",
        import.module(),
        import.name(),
        import.ty(),
        found,
    ))
}
