//! What instances import and export.

use crate::context::AsContext;
use crate::func::Func;
use crate::global::Global;
use crate::memory::Memory;
use crate::store::StoreOpaque;
use crate::table::Table;
use crate::types::ExternType;

/// Something an instance imports or exports.
///
/// ```
/// use runwell::{Engine, Extern, Global, GlobalType, Mutability, Store, Val, ValType};
///
/// # fn main() -> runwell::Result<()> {
/// let mut store = Store::new(&Engine::default(), ());
/// let ty = GlobalType::new(ValType::I32, Mutability::Const);
/// let item = Extern::from(Global::new(&mut store, ty.clone(), Val::I32(7))?);
/// assert_eq!(item.ty(&store).global(), Some(&ty));
/// assert_eq!(item.into_global().unwrap().get(&mut store).i32(), Some(7));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Extern {
    /// A function.
    Func(Func),
    /// A global.
    Global(Global),
    /// A table.
    Table(Table),
    /// A memory.
    Memory(Memory),
}

impl Extern {
    /// The function, if it is one.
    pub fn into_func(self) -> Option<Func> {
        if let Extern::Func(func) = self { Some(func) } else { None }
    }

    /// The global, if it is one.
    pub fn into_global(self) -> Option<Global> {
        if let Extern::Global(global) = self { Some(global) } else { None }
    }

    /// The table, if it is one.
    pub fn into_table(self) -> Option<Table> {
        if let Extern::Table(table) = self { Some(table) } else { None }
    }

    /// The memory, if it is one.
    pub fn into_memory(self) -> Option<Memory> {
        if let Extern::Memory(memory) = self { Some(memory) } else { None }
    }

    /// Its type. Minimums of tables and memories are their current sizes.
    ///
    /// # Panics
    /// When it belongs to another store.
    pub fn ty(&self, store: impl AsContext) -> ExternType {
        self.ty_in(store.as_context().opaque())
    }

    pub(crate) fn ty_in(&self, store: &StoreOpaque) -> ExternType {
        match self {
            Extern::Func(func) => ExternType::Func(func.ty_in(store)),
            Extern::Global(global) => ExternType::Global(global.ty_in(store)),
            Extern::Table(table) => ExternType::Table(table.ty_in(store)),
            Extern::Memory(memory) => ExternType::Memory(memory.ty_in(store)),
        }
    }
}

macro_rules! from_item {
    ($($item:ident),*) => {$(
        impl From<$item> for Extern {
            fn from(item: $item) -> Extern {
                Extern::$item(item)
            }
        }
    )*};
}
from_item!(Func, Global, Table, Memory);

/// An export of an instance.
#[derive(Clone)]
pub struct Export<'instance> {
    pub(crate) name: &'instance str,
    pub(crate) definition: Extern,
}

impl<'instance> Export<'instance> {
    /// Its name.
    pub fn name(&self) -> &'instance str {
        self.name
    }

    /// Its type.
    ///
    /// # Panics
    /// When it belongs to another store.
    pub fn ty(&self, store: impl AsContext) -> ExternType {
        self.definition.ty(store)
    }

    /// What it is.
    pub fn into_extern(self) -> Extern {
        self.definition
    }

    /// The function, if it is one.
    pub fn into_func(self) -> Option<Func> {
        self.definition.into_func()
    }

    /// The global, if it is one.
    pub fn into_global(self) -> Option<Global> {
        self.definition.into_global()
    }

    /// The table, if it is one.
    pub fn into_table(self) -> Option<Table> {
        self.definition.into_table()
    }

    /// The memory, if it is one.
    pub fn into_memory(self) -> Option<Memory> {
        self.definition.into_memory()
    }
}
