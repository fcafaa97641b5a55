//! The types of values, functions and everything a module imports or exports.

use crate::context::AsContextMut;
use crate::engine::Engine;
use crate::externs::Extern;
use crate::func::Func;
use crate::global::Global;
use crate::memory::Memory;
use crate::table::Table;
use crate::value::{Ref, Val};
use crate::{Error, Result};
use core::fmt;
use core::hash::{Hash, Hasher};
use std::sync::Arc;

/// Bytes of a page of a memory, as a power of two.
const PAGE_SIZE_LOG2: u8 = 16;

/// The type of a value.
///
/// ```
/// use runwell::{HeapType, RefType, ValType};
///
/// let never_null = ValType::Ref(RefType::new(false, HeapType::Func));
/// assert!(never_null.matches(&ValType::FUNCREF) && !ValType::FUNCREF.matches(&never_null));
/// assert_eq!(ValType::V128.to_string(), "v128");
/// ```
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

    /// True for `i32`.
    pub fn is_i32(&self) -> bool {
        *self == ValType::I32
    }

    /// True for `i64`.
    pub fn is_i64(&self) -> bool {
        *self == ValType::I64
    }

    /// True for `f32`.
    pub fn is_f32(&self) -> bool {
        *self == ValType::F32
    }

    /// True for `f64`.
    pub fn is_f64(&self) -> bool {
        *self == ValType::F64
    }

    /// True for `v128`.
    pub fn is_v128(&self) -> bool {
        *self == ValType::V128
    }

    /// True for references.
    pub fn is_ref(&self) -> bool {
        matches!(self, ValType::Ref(_))
    }

    /// True for `funcref`.
    pub fn is_funcref(&self) -> bool {
        *self == ValType::FUNCREF
    }

    /// True for `externref`.
    pub fn is_externref(&self) -> bool {
        *self == ValType::EXTERNREF
    }

    /// True for numbers.
    pub fn is_num(&self) -> bool {
        matches!(self, ValType::I32 | ValType::I64 | ValType::F32 | ValType::F64)
    }

    /// The reference type, if it is one.
    pub fn as_ref(&self) -> Option<&RefType> {
        if let ValType::Ref(ty) = self { Some(ty) } else { None }
    }

    /// The reference type.
    ///
    /// # Panics
    /// When it is of another kind.
    pub fn unwrap_ref(&self) -> &RefType {
        self.as_ref().unwrap_or_else(|| panic!("ValType::unwrap_ref on {self}"))
    }

    /// True if every value of this type is one of `other`.
    pub fn matches(&self, other: &ValType) -> bool {
        match (self, other) {
            (ValType::Ref(a), ValType::Ref(b)) => a.matches(b),
            (a, b) => a == b,
        }
    }

    /// Zero, or null; `None` for references that are never null.
    pub fn default_value(&self) -> Option<Val> {
        Val::default_for_ty(self)
    }

    /// A byte that no other type has.
    fn code(self) -> u8 {
        match self {
            ValType::I32 => 0,
            ValType::I64 => 1,
            ValType::F32 => 2,
            ValType::F64 => 3,
            ValType::V128 => 4,
            ValType::Ref(RefType { nullable, heap_type: HeapType::Func }) => 5 + u8::from(nullable),
            ValType::Ref(RefType { nullable, heap_type: HeapType::Extern }) => {
                7 + u8::from(nullable)
            }
        }
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
#[non_exhaustive]
pub enum HeapType {
    /// A function.
    Func,
    /// Something of the host's.
    Extern,
}

impl HeapType {
    /// True for functions.
    pub fn is_func(&self) -> bool {
        *self == HeapType::Func
    }

    /// True for things of the host's.
    pub fn is_extern(&self) -> bool {
        *self == HeapType::Extern
    }

    /// True if everything of this type is of type `other`.
    pub fn matches(&self, other: &HeapType) -> bool {
        self == other
    }
}

impl fmt::Display for HeapType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            HeapType::Func => "func",
            HeapType::Extern => "extern",
        })
    }
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
    pub fn new(is_nullable: bool, heap_type: HeapType) -> RefType {
        RefType { nullable: is_nullable, heap_type }
    }

    /// True if null is among its values.
    pub fn is_nullable(&self) -> bool {
        self.nullable
    }

    /// What it refers to.
    pub fn heap_type(&self) -> &HeapType {
        &self.heap_type
    }

    /// True if every value of this type is one of `other`.
    pub fn matches(&self, other: &RefType) -> bool {
        self.heap_type == other.heap_type && (other.nullable || !self.nullable)
    }

    pub(crate) fn machine(self) -> runwell_abi::Type {
        match self.heap_type {
            HeapType::Func => runwell_abi::Type::FuncRef,
            HeapType::Extern => runwell_abi::Type::AnyRef,
        }
    }
}

impl From<RefType> for ValType {
    fn from(ty: RefType) -> ValType {
        ValType::Ref(ty)
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
#[derive(Clone, PartialEq, Eq)]
pub struct FuncType {
    // Parameters, then results.
    types: Arc<[ValType]>,
    params: usize,
}

impl Hash for FuncType {
    /// Types are hashed as strings of bytes: there can be two thousand.
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.params.hash(state);
        let mut codes = [0; 256];
        for types in self.types.chunks(codes.len()) {
            codes.iter_mut().zip(types).for_each(|(code, ty)| *code = ty.code());
            state.write(&codes[..types.len()]);
        }
    }
}

impl FuncType {
    /// A function type.
    ///
    /// ```
    /// use runwell::{Engine, FuncType, ValType};
    ///
    /// let ty = FuncType::new(&Engine::default(), [ValType::I32, ValType::I64], [ValType::F32]);
    /// assert_eq!(ty.to_string(), "(func (param i32 i64) (result f32))");
    /// ```
    ///
    /// Function types are compared by their parts here, so the engine is not looked at; it is a
    /// parameter because wasmtime's is.
    pub fn new(
        _engine: &Engine,
        params: impl IntoIterator<Item = ValType>,
        results: impl IntoIterator<Item = ValType>,
    ) -> FuncType {
        FuncType::of(params, results)
    }

    pub(crate) fn of(
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

    /// True if a function of this type can stand for one of type `other`. Without subtypes of
    /// functions that is equality.
    pub fn matches(&self, other: &FuncType) -> bool {
        self == other
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

impl Mutability {
    /// True if it cannot be set.
    pub fn is_const(&self) -> bool {
        *self == Mutability::Const
    }

    /// True if it can be set.
    pub fn is_var(&self) -> bool {
        *self == Mutability::Var
    }
}

/// The type of a global.
///
/// ```
/// use runwell::{GlobalType, Mutability, ValType};
///
/// let ty = GlobalType::new(ValType::F64, Mutability::Var);
/// assert!(ty.content().is_f64() && ty.mutability().is_var());
/// assert_eq!(ty.to_string(), "(global (mut f64))");
/// ```
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
///
/// ```
/// use runwell::{RefType, TableType};
///
/// let ty = TableType::new(RefType::EXTERNREF, 10, Some(20));
/// assert!(ty.element().heap_type().is_extern());
/// assert_eq!((ty.minimum(), ty.maximum()), (10, Some(20)));
/// ```
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
    pub fn element(&self) -> &RefType {
        &self.element
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
///
/// ```
/// use runwell::MemoryType;
///
/// let ty = MemoryType::new(1, Some(4));
/// assert_eq!(ty.minimum() * ty.page_size(), 65536);
/// assert!(!ty.is_64());
/// ```
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

    /// What describes a memory type step by step.
    pub fn builder() -> MemoryTypeBuilder {
        MemoryTypeBuilder::new()
    }

    /// True if several threads may use it, which is not supported yet.
    pub fn is_shared(&self) -> bool {
        false
    }

    /// Bytes of a page.
    pub fn page_size(&self) -> u64 {
        1 << PAGE_SIZE_LOG2
    }

    /// Bytes of a page, as a power of two.
    pub fn page_size_log2(&self) -> u8 {
        PAGE_SIZE_LOG2
    }
}

/// Makes a [`MemoryType`] step by step.
///
/// ```
/// use runwell::MemoryType;
///
/// # fn main() -> runwell::Result<()> {
/// let ty = MemoryType::builder().memory64(true).min(1).max(Some(1 << 20)).build()?;
/// assert!(ty.is_64());
/// assert!(MemoryType::builder().min(2).max(Some(1)).build().is_err());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct MemoryTypeBuilder {
    minimum: u64,
    maximum: Option<u64>,
    memory64: bool,
    shared: bool,
    page_size_log2: Option<u8>,
}

impl MemoryTypeBuilder {
    /// An empty memory with 32-bit addresses and no maximum.
    pub fn new() -> MemoryTypeBuilder {
        MemoryTypeBuilder::default()
    }

    /// Pages it has at least.
    pub fn min(&mut self, minimum: u64) -> &mut MemoryTypeBuilder {
        self.minimum = minimum;
        self
    }

    /// Pages it has at most.
    pub fn max(&mut self, maximum: Option<u64>) -> &mut MemoryTypeBuilder {
        self.maximum = maximum;
        self
    }

    /// Whether its addresses are 64 bits wide.
    pub fn memory64(&mut self, memory64: bool) -> &mut MemoryTypeBuilder {
        self.memory64 = memory64;
        self
    }

    /// Whether several threads may use it.
    pub fn shared(&mut self, shared: bool) -> &mut MemoryTypeBuilder {
        self.shared = shared;
        self
    }

    /// Bytes of a page, as a power of two.
    pub fn page_size_log2(&mut self, page_size_log2: u8) -> &mut MemoryTypeBuilder {
        self.page_size_log2 = Some(page_size_log2);
        self
    }

    /// The type.
    ///
    /// # Errors
    /// When the minimum exceeds the maximum, either exceeds what addresses of that width reach, the
    /// memory is to be shared or its pages are not 64 KiB long.
    pub fn build(&self) -> Result<MemoryType> {
        if self.shared {
            return Err(Error::msg("shared memories are not supported yet"));
        }
        if self.page_size_log2.is_some_and(|log2| log2 != PAGE_SIZE_LOG2) {
            return Err(Error::msg("pages of other sizes than 64 KiB are not supported yet"));
        }
        let ty = MemoryType::raw(self.minimum, self.maximum, self.memory64);
        ty.check()?;
        Ok(ty)
    }
}

impl MemoryType {
    /// An error unless the limits are in order and in reach of the addresses.
    pub(crate) fn check(&self) -> Result<()> {
        if self.maximum.is_some_and(|maximum| maximum < self.minimum) {
            return Err(Error::msg("a memory's minimum exceeds its maximum"));
        }
        let most = if self.memory64 { 1 << 48 } else { 1 << 16 };
        if self.maximum.unwrap_or(self.minimum) > most {
            return Err(Error::msg(format!("a memory of this type has at most {most} pages")));
        }
        Ok(())
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
///
/// ```
/// use runwell::{Engine, ExternType, Module};
///
/// # fn main() -> runwell::Result<()> {
/// let module = Module::new(
///     &Engine::default(),
///     r#"(module (import "host" "table" (table 3 funcref)) (func (export "f") (param i32)))"#,
/// )?;
/// let import = module.imports().next().unwrap();
/// assert_eq!(import.ty().unwrap_table().minimum(), 3);
/// let export = module.exports().next().unwrap();
/// assert!(matches!(export.ty(), ExternType::Func(ty) if ty.params().len() == 1));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
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

    /// The function type.
    ///
    /// # Panics
    /// When it is of another kind.
    pub fn unwrap_func(&self) -> &FuncType {
        self.func().unwrap_or_else(|| panic!("ExternType::unwrap_func on {self}"))
    }

    /// The global type, if it is one.
    pub fn global(&self) -> Option<&GlobalType> {
        if let ExternType::Global(ty) = self { Some(ty) } else { None }
    }

    /// The global type.
    ///
    /// # Panics
    /// When it is of another kind.
    pub fn unwrap_global(&self) -> &GlobalType {
        self.global().unwrap_or_else(|| panic!("ExternType::unwrap_global on {self}"))
    }

    /// The table type, if it is one.
    pub fn table(&self) -> Option<&TableType> {
        if let ExternType::Table(ty) = self { Some(ty) } else { None }
    }

    /// The table type.
    ///
    /// # Panics
    /// When it is of another kind.
    pub fn unwrap_table(&self) -> &TableType {
        self.table().unwrap_or_else(|| panic!("ExternType::unwrap_table on {self}"))
    }

    /// The memory type, if it is one.
    pub fn memory(&self) -> Option<&MemoryType> {
        if let ExternType::Memory(ty) = self { Some(ty) } else { None }
    }

    /// The memory type.
    ///
    /// # Panics
    /// When it is of another kind.
    pub fn unwrap_memory(&self) -> &MemoryType {
        self.memory().unwrap_or_else(|| panic!("ExternType::unwrap_memory on {self}"))
    }
}

impl ExternType {
    /// Something of this type: an empty memory or table of the least size, a global of zero or
    /// null, a function that gives zeros and nulls.
    ///
    /// # Errors
    /// When the type has no such value, or a memory or table cannot be had.
    pub fn default_value(&self, mut store: impl AsContextMut) -> Result<Extern> {
        let value = |ty: &ValType| {
            ty.default_value().ok_or_else(|| Error::msg(format!("a {ty} has no default value")))
        };
        Ok(match self {
            ExternType::Func(ty) => {
                ty.results().try_for_each(|ty| value(&ty).map(|_| ()))?;
                // Results are zero and null unless somebody sets them.
                Extern::Func(Func::new(&mut store, ty.clone(), |_, _, _| Ok(())))
            }
            ExternType::Global(ty) => {
                let zero = value(ty.content())?;
                Extern::Global(Global::new(&mut store, ty.clone(), zero)?)
            }
            ExternType::Table(ty) => {
                let null = value(&ValType::Ref(*ty.element()))?.ref_();
                let null = null.unwrap_or_else(|| Ref::null(ty.element().heap_type()));
                Extern::Table(Table::new(&mut store, ty.clone(), null)?)
            }
            ExternType::Memory(ty) => Extern::Memory(Memory::new(&mut store, ty.clone())?),
        })
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
