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

/// Names for what modules import. `T` is the data of the stores it links in.
pub struct Linker<T: 'static> {
    engine: Engine,
    names: BTreeMap<String, BTreeMap<String, Definition>>,
    shadowing: bool,
    data: PhantomData<fn(T)>,
}

impl<T: 'static> Clone for Linker<T> {
    fn clone(&self) -> Self {
        Linker {
            engine: self.engine.clone(),
            names: self.names.clone(),
            shadowing: self.shadowing,
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
        let host = Arc::new(func.into_host_func());
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
        let host = Arc::new(HostFunc::dynamic(ty, func));
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

    /// Instantiates a module and names its exports. A WASI command's `_initialize` is called where
    /// there is one.
    ///
    /// # Errors
    /// As for [`Linker::instantiate`] and [`Linker::define`].
    pub fn module(
        &mut self,
        mut store: impl AsContextMut<Data = T>,
        module_name: &str,
        module: &Module,
    ) -> Result<&mut Self> {
        let mut store = store.as_context_mut();
        let instance = self.instantiate(&mut store, module)?;
        if let Some(initialize) = instance.get_func(&mut store, "_initialize") {
            initialize.typed::<(), ()>(&store)?.call(&mut store, ())?;
        }
        self.instance(store, module_name, instance)
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

    pub(crate) fn lookup(&self, module: &str, name: &str) -> Option<&Definition> {
        self.names.get(module)?.get(name)
    }

    /// What a name stands for.
    pub fn get(
        &self,
        mut store: impl AsContextMut<Data = T>,
        module: &str,
        name: &str,
    ) -> Option<Extern> {
        let mut store = store.as_context_mut();
        Some(place(&mut store, self.lookup(module, name)?))
    }

    /// What stands for an import of a module.
    pub fn get_by_import(
        &self,
        store: impl AsContextMut<Data = T>,
        import: &ImportType<'_>,
    ) -> Option<Extern> {
        self.get(store, import.module(), import.name())
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
            if let Some(found) = self.get(&mut store, module, name) {
                return found.into_func().ok_or_else(|| {
                    Error::msg(format!("export `{name}` of `{module}` is not a function"))
                });
            }
        }
        Ok(Func::wrap(store, || {}))
    }

    /// Lets every import of `module` that no name stands for trap when it is called.
    ///
    /// # Errors
    /// When such an import is not a function.
    pub fn define_unknown_imports_as_traps(&mut self, module: &Module) -> Result<()> {
        for import in module.imports() {
            if self.lookup(import.module(), import.name()).is_some() {
                continue;
            }
            let ExternType::Func(ty) = import.ty() else {
                return Err(unknown(&import));
            };
            let message =
                format!("unknown import: `{}::{}` was called", import.module(), import.name());
            self.func_new(import.module(), import.name(), ty, move |_, _, _| {
                Err(Error::msg(message.clone()))
            })?;
        }
        Ok(())
    }

    /// Looks up and checks all imports of a module, so that instantiating it does not have to.
    ///
    /// # Errors
    /// When an import is missing or of another type. An item in a store is checked when the module
    /// is instantiated in it.
    pub fn instantiate_pre(&self, module: &Module) -> Result<InstancePre<T>> {
        let mut imports = Vec::new();
        for import in module.imports() {
            let Some(definition) = self.lookup(import.module(), import.name()) else {
                return Err(unknown(&import));
            };
            if let Definition::Host(host) = definition {
                let wanted = import.ty();
                let found = ExternType::Func(host.ty().clone());
                if wanted != found {
                    return Err(incompatible(&import, &found));
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
        Definition::Host(host) => Extern::Func(store.opaque().add_host_func(host.clone())),
    }
}

fn unknown(import: &ImportType<'_>) -> Error {
    Error::msg(format!(
        "unknown import: `{}::{}` has not been defined (wanted: {})",
        import.module(),
        import.name(),
        import.ty(),
    ))
}

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
