//! The types of values, functions and everything a module imports or exports.

use core::fmt;
use std::sync::Arc;

/// The type of a value.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Hash)]
pub enum ValType {
    /// A 32-bit integer.
    I32,
    /// A 64-bit integer.
    I64,
    /// An IEEE 754 binary32 number.
    F32,
    /// An IEEE 754 binary64 number.
    F64,
    /// A 128-bit vector.
    V128,
    /// A reference.
    Ref(RefType),
}

impl ValType {
    /// `funcref`.
    pub const FUNCREF: ValType = ValType::Ref(RefType::FUNCREF);
    /// `externref`.
    pub const EXTERNREF: ValType = ValType::Ref(RefType::EXTERNREF);

    /// True for references.
    pub fn is_ref(self) -> bool {
        matches!(self, ValType::Ref(_))
    }

    /// True for numbers.
    pub fn is_num(self) -> bool {
        matches!(self, ValType::I32 | ValType::I64 | ValType::F32 | ValType::F64)
    }

    pub(crate) fn machine(self) -> runwell_abi::Type {
        match self {
            ValType::I32 => runwell_abi::Type::I32,
            ValType::I64 => runwell_abi::Type::I64,
            ValType::F32 => runwell_abi::Type::F32,
            ValType::F64 => runwell_abi::Type::F64,
            ValType::V128 => runwell_abi::Type::V128,
            ValType::Ref(r) => r.machine(),
        }
    }
}

impl fmt::Display for ValType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ValType::I32 => f.write_str("i32"),
            ValType::I64 => f.write_str("i64"),
            ValType::F32 => f.write_str("f32"),
            ValType::F64 => f.write_str("f64"),
            ValType::V128 => f.write_str("v128"),
            ValType::Ref(r) => r.fmt(f),
        }
    }
}

/// What a reference refers to.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Hash)]
pub enum HeapType {
    /// A function.
    Func,
    /// Something of the host's.
    Extern,
}

/// The type of a reference.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Hash)]
pub struct RefType {
    nullable: bool,
    heap_type: HeapType,
}

impl RefType {
    /// A nullable reference to a function.
    pub const FUNCREF: RefType = RefType { nullable: true, heap_type: HeapType::Func };
    /// A nullable reference to something of the host's.
    pub const EXTERNREF: RefType = RefType { nullable: true, heap_type: HeapType::Extern };

    /// A reference type.
    pub fn new(nullable: bool, heap_type: HeapType) -> RefType {
        RefType { nullable, heap_type }
    }

    /// True if null is among its values.
    pub fn is_nullable(self) -> bool {
        self.nullable
    }

    /// What it refers to.
    pub fn heap_type(self) -> HeapType {
        self.heap_type
    }

    pub(crate) fn machine(self) -> runwell_abi::Type {
        match self.heap_type {
            HeapType::Func => runwell_abi::Type::FuncRef,
            HeapType::Extern => runwell_abi::Type::AnyRef,
        }
    }
}

impl fmt::Display for RefType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.nullable, self.heap_type) {
            (true, HeapType::Func) => f.write_str("funcref"),
            (true, HeapType::Extern) => f.write_str("externref"),
            (false, HeapType::Func) => f.write_str("(ref func)"),
            (false, HeapType::Extern) => f.write_str("(ref extern)"),
        }
    }
}

/// The type of a function.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct FuncType {
    // Parameters, then results.
    types: Arc<[ValType]>,
    params: usize,
}

impl FuncType {
    /// A function type. Unlike in wasmtime, no engine is needed to make one.
    pub fn new(
        params: impl IntoIterator<Item = ValType>,
        results: impl IntoIterator<Item = ValType>,
    ) -> FuncType {
        let mut types: Vec<ValType> = params.into_iter().collect();
        let params = types.len();
        types.extend(results);
        FuncType { types: types.into(), params }
    }

    /// Its parameters.
    pub fn params(&self) -> impl ExactSizeIterator<Item = ValType> + '_ {
        self.types[..self.params].iter().copied()
    }

    /// Its results.
    pub fn results(&self) -> impl ExactSizeIterator<Item = ValType> + '_ {
        self.types[self.params..].iter().copied()
    }

    /// Parameter number `index`.
    pub fn param(&self, index: usize) -> Option<ValType> {
        self.types[..self.params].get(index).copied()
    }

    /// Result number `index`.
    pub fn result(&self, index: usize) -> Option<ValType> {
        self.types[self.params..].get(index).copied()
    }
}

impl fmt::Display for FuncType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(func")?;
        for (word, types) in
            [("param", &self.types[..self.params]), ("result", &self.types[self.params..])]
        {
            if !types.is_empty() {
                write!(f, " ({word}")?;
                for ty in types {
                    write!(f, " {ty}")?;
                }
                f.write_str(")")?;
            }
        }
        f.write_str(")")
    }
}

impl fmt::Debug for FuncType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Whether a global can be set.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Hash)]
pub enum Mutability {
    /// It cannot.
    Const,
    /// It can.
    Var,
}

/// The type of a global.
#[derive(Clone, PartialEq, Eq, Debug, Hash)]
pub struct GlobalType {
    content: ValType,
    mutability: Mutability,
}

impl GlobalType {
    /// A global type.
    pub fn new(content: ValType, mutability: Mutability) -> GlobalType {
        GlobalType { content, mutability }
    }

    /// The type of its value.
    pub fn content(&self) -> &ValType {
        &self.content
    }

    /// Whether it can be set.
    pub fn mutability(&self) -> Mutability {
        self.mutability
    }
}

impl fmt::Display for GlobalType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.mutability {
            Mutability::Const => write!(f, "(global {})", self.content),
            Mutability::Var => write!(f, "(global (mut {}))", self.content),
        }
    }
}

/// The type of a table.
#[derive(Clone, PartialEq, Eq, Debug, Hash)]
pub struct TableType {
    element: RefType,
    minimum: u64,
    maximum: Option<u64>,
    table64: bool,
}

impl TableType {
    /// A table type with 32-bit indices.
    pub fn new(element: RefType, minimum: u32, maximum: Option<u32>) -> TableType {
        TableType {
            element,
            minimum: u64::from(minimum),
            maximum: maximum.map(u64::from),
            table64: false,
        }
    }

    /// A table type with 64-bit indices.
    pub fn new64(element: RefType, minimum: u64, maximum: Option<u64>) -> TableType {
        TableType { element, minimum, maximum, table64: true }
    }

    pub(crate) fn raw(
        element: RefType,
        minimum: u64,
        maximum: Option<u64>,
        table64: bool,
    ) -> TableType {
        TableType { element, minimum, maximum, table64 }
    }

    /// The type of its elements.
    pub fn element(&self) -> RefType {
        self.element
    }

    /// Elements it has at least.
    pub fn minimum(&self) -> u64 {
        self.minimum
    }

    /// Elements it has at most.
    pub fn maximum(&self) -> Option<u64> {
        self.maximum
    }

    /// True if its indices are 64 bits wide.
    pub fn is_64(&self) -> bool {
        self.table64
    }
}

impl fmt::Display for TableType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.table64 { "(table i64 " } else { "(table " })?;
        write!(f, "{}", self.minimum)?;
        if let Some(maximum) = self.maximum {
            write!(f, " {maximum}")?;
        }
        write!(f, " {})", self.element)
    }
}

/// The type of a memory.
#[derive(Clone, PartialEq, Eq, Debug, Hash)]
pub struct MemoryType {
    minimum: u64,
    maximum: Option<u64>,
    memory64: bool,
}

impl MemoryType {
    /// A memory type with 32-bit addresses; sizes in pages of 64 KiB.
    pub fn new(minimum: u32, maximum: Option<u32>) -> MemoryType {
        MemoryType { minimum: u64::from(minimum), maximum: maximum.map(u64::from), memory64: false }
    }

    /// A memory type with 64-bit addresses; sizes in pages of 64 KiB.
    pub fn new64(minimum: u64, maximum: Option<u64>) -> MemoryType {
        MemoryType { minimum, maximum, memory64: true }
    }

    pub(crate) fn raw(minimum: u64, maximum: Option<u64>, memory64: bool) -> MemoryType {
        MemoryType { minimum, maximum, memory64 }
    }

    /// Pages it has at least.
    pub fn minimum(&self) -> u64 {
        self.minimum
    }

    /// Pages it has at most.
    pub fn maximum(&self) -> Option<u64> {
        self.maximum
    }

    /// True if its addresses are 64 bits wide.
    pub fn is_64(&self) -> bool {
        self.memory64
    }

    /// Bytes of a page.
    pub fn page_size(&self) -> u64 {
        65536
    }
}

impl fmt::Display for MemoryType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.memory64 { "(memory i64 " } else { "(memory " })?;
        write!(f, "{}", self.minimum)?;
        if let Some(maximum) = self.maximum {
            write!(f, " {maximum}")?;
        }
        f.write_str(")")
    }
}

/// The type of something a module imports or exports.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ExternType {
    /// A function.
    Func(FuncType),
    /// A global.
    Global(GlobalType),
    /// A table.
    Table(TableType),
    /// A memory.
    Memory(MemoryType),
}

impl ExternType {
    /// The function type, if it is one.
    pub fn func(&self) -> Option<&FuncType> {
        if let ExternType::Func(ty) = self { Some(ty) } else { None }
    }

    /// The global type, if it is one.
    pub fn global(&self) -> Option<&GlobalType> {
        if let ExternType::Global(ty) = self { Some(ty) } else { None }
    }

    /// The table type, if it is one.
    pub fn table(&self) -> Option<&TableType> {
        if let ExternType::Table(ty) = self { Some(ty) } else { None }
    }

    /// The memory type, if it is one.
    pub fn memory(&self) -> Option<&MemoryType> {
        if let ExternType::Memory(ty) = self { Some(ty) } else { None }
    }
}

impl fmt::Display for ExternType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ExternType::Func(ty) => ty.fmt(f),
            ExternType::Global(ty) => ty.fmt(f),
            ExternType::Table(ty) => ty.fmt(f),
            ExternType::Memory(ty) => ty.fmt(f),
        }
    }
}

macro_rules! from_type {
    ($($ty:ident $variant:ident),*) => {$(
        impl From<$ty> for ExternType {
            fn from(ty: $ty) -> ExternType {
                ExternType::$variant(ty)
            }
        }
    )*};
}
from_type!(FuncType Func, GlobalType Global, TableType Table, MemoryType Memory);

/// An import of a module.
#[derive(Clone, Debug)]
pub struct ImportType<'module> {
    pub(crate) module: &'module str,
    pub(crate) name: &'module str,
    pub(crate) ty: ExternType,
}

impl<'module> ImportType<'module> {
    /// The module it is wanted from.
    pub fn module(&self) -> &'module str {
        self.module
    }

    /// Its name there.
    pub fn name(&self) -> &'module str {
        self.name
    }

    /// Its type.
    pub fn ty(&self) -> ExternType {
        self.ty.clone()
    }
}

/// An export of a module.
#[derive(Clone, Debug)]
pub struct ExportType<'module> {
    pub(crate) name: &'module str,
    pub(crate) ty: ExternType,
}

impl<'module> ExportType<'module> {
    /// Its name.
    pub fn name(&self) -> &'module str {
        self.name
    }

    /// Its type.
    pub fn ty(&self) -> ExternType {
        self.ty.clone()
    }
}
