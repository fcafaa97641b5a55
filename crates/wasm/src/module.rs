//! What is known of a module without its bodies.
//!
//! A [`ModuleInfo`] is plain data: index spaces with imports first, segments and bodies as byte
//! ranges of the binary, constant expressions as runs of one pool. The engine instantiates from it,
//! the back end takes the layout of the instance context from it, the translator its types.
//!
//! Function types are IR signatures: with two kinds of references, machine-level types tell apart
//! everything that the language does (`FuncRef` is `funcref`, `AnyRef` is `externref`). They are
//! structural; the engine numbers equal ones alike across modules.

use crate::const_expr::{ConstExpr, ConstOp};
use crate::error::{Error, Result};
use crate::features;
use crate::limits::Limits;
use crate::names::Names;
use crate::section;
use crate::validate::types::Types;
use runwell_abi::{Type, VmctxCounts, VmctxLayout};
use runwell_ir::{Signature, Work};
use std::ops::Range;
use std::sync::Arc;
use wasmparser::{FuncToValidate, ValidatorResources};

/// The type of a table.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct TableType {
    /// The type of its elements, a reference type.
    pub element: Type,
    /// True if indices are 64 bits wide.
    pub table64: bool,
    /// Elements at the start.
    pub min: u64,
    /// Most elements it may grow to.
    pub max: Option<u64>,
}

/// The type of a memory. Pages are [`MemoryType::PAGE_BYTES`] long.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct MemoryType {
    /// True if addresses are 64 bits wide.
    pub memory64: bool,
    /// Pages at the start.
    pub min: u64,
    /// Most pages it may grow to.
    pub max: Option<u64>,
}

impl MemoryType {
    /// Bytes of a page.
    pub const PAGE_BYTES: u64 = 1 << 16;

    /// Bytes at the start, saturating.
    pub fn min_bytes(&self) -> u64 {
        self.min.saturating_mul(Self::PAGE_BYTES)
    }
}

/// The type of a global.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct GlobalType {
    /// The type of its value.
    pub ty: Type,
    /// True if it may be set.
    pub mutable: bool,
}

/// The type of an import.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum EntityType {
    /// A function of this type, an index into [`ModuleInfo::types`].
    Func(u32),
    /// A table.
    Table(TableType),
    /// A memory.
    Memory(MemoryType),
    /// A global.
    Global(GlobalType),
}

impl EntityType {
    /// The kind of entity.
    pub fn kind(&self) -> ExternKind {
        match self {
            EntityType::Func(_) => ExternKind::Func,
            EntityType::Table(_) => ExternKind::Table,
            EntityType::Memory(_) => ExternKind::Memory,
            EntityType::Global(_) => ExternKind::Global,
        }
    }
}

/// The kinds of things that modules import and export.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum ExternKind {
    /// A function.
    Func,
    /// A table.
    Table,
    /// A memory.
    Memory,
    /// A global.
    Global,
}

/// Something a module wants.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Import {
    /// Name of the module it comes from.
    pub module: Box<str>,
    /// Its name there.
    pub name: Box<str>,
    /// What it has to be.
    pub ty: EntityType,
}

/// Something a module offers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Export {
    /// Its name.
    pub name: Box<str>,
    /// What it is.
    pub kind: ExternKind,
    /// Its index among its kind.
    pub index: u32,
}

/// How a segment is used.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum SegmentMode {
    /// Copied by instructions.
    Passive,
    /// Copied when the module is instantiated.
    Active {
        /// The memory or table.
        target: u32,
        /// Where to.
        offset: ConstExpr,
    },
    /// An element segment that only declares functions whose references bodies may take.
    Declared,
}

/// The items of an element segment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ElementItems {
    /// Function indices; [`ElementItems::NULL`] stands for the null reference.
    Funcs(Box<[u32]>),
    /// Expressions, when at least one is neither `ref.func` nor `ref.null`, or not of functions.
    Exprs(Box<[ConstExpr]>),
}

impl ElementItems {
    /// The null reference among function indices.
    pub const NULL: u32 = u32::MAX;

    /// The number of items.
    pub fn len(&self) -> usize {
        match self {
            ElementItems::Funcs(items) => items.len(),
            ElementItems::Exprs(items) => items.len(),
        }
    }

    /// True if there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Initial content of tables.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ElementSegment {
    /// How it is used.
    pub mode: SegmentMode,
    /// The type of its items.
    pub ty: Type,
    /// Its items.
    pub items: ElementItems,
}

/// Initial content of memories.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DataSegment {
    /// How it is used.
    pub mode: SegmentMode,
    /// Its bytes, as a range of the binary.
    pub bytes: Range<u32>,
}

/// What is known of a module without its bodies.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ModuleInfo {
    /// Function types, as signatures. `SigRef` of its functions' IR are indices into it.
    pub types: Arc<[Signature]>,
    /// Imports in order.
    pub imports: Vec<Import>,
    /// Type index of each function, imported ones first.
    pub funcs: Vec<u32>,
    /// Tables, imported ones first.
    pub tables: Vec<TableType>,
    /// Initial value of each own table's elements; null when absent.
    pub table_inits: Vec<Option<ConstExpr>>,
    /// Memories, imported ones first.
    pub memories: Vec<MemoryType>,
    /// Globals, imported ones first.
    pub globals: Vec<GlobalType>,
    /// Initial value of each own global.
    pub global_inits: Vec<ConstExpr>,
    /// Exports in order.
    pub exports: Vec<Export>,
    /// The function that runs at the end of instantiation.
    pub start: Option<u32>,
    /// Element segments.
    pub elements: Vec<ElementSegment>,
    /// Data segments.
    pub data: Vec<DataSegment>,
    /// Body of each own function, locals included, as a range of the binary.
    pub bodies: Vec<Range<u32>>,
    /// Where its names are.
    pub names: Names,
    /// For each function its number among the own functions that escape, or [`ModuleInfo::NONE`].
    pub escaped: Vec<u32>,
    /// The layout of its instance context.
    pub layout: VmctxLayout,
    pub(crate) const_pool: Vec<ConstOp>,
}

impl ModuleInfo {
    /// No number, in [`ModuleInfo::escaped`].
    pub const NONE: u32 = u32::MAX;

    /// The numbers the context's layout follows from.
    pub fn counts(&self) -> &VmctxCounts {
        &self.layout.counts
    }

    /// How many functions are imported; they have the lowest indices.
    pub fn imported_funcs(&self) -> u32 {
        self.layout.counts.imported_funcs
    }

    /// The signature of function `index`.
    pub fn signature(&self, index: u32) -> &Signature {
        &self.types[self.funcs[index as usize] as usize]
    }

    /// The number of operators of all constant expressions.
    pub fn const_op_count(&self) -> usize {
        self.const_pool.len()
    }

    /// The operations of an expression.
    pub fn const_ops(&self, expr: ConstExpr) -> &[ConstOp] {
        &self.const_pool[expr.start as usize..(expr.start + expr.len) as usize]
    }

    /// The export called `name`. O(exports).
    pub fn export(&self, name: &str) -> Option<&Export> {
        self.exports.iter().find(|export| &*export.name == name)
    }

    /// The module's bytes of code: the sum of its bodies.
    pub fn code_bytes(&self) -> u64 {
        self.bodies.iter().map(|body| u64::from(body.end - body.start)).sum()
    }
}

/// What validating a body needs of its module. Cheap to clone, shared between threads.
#[derive(Clone, Debug)]
pub struct Validation {
    resources: Option<ValidatorResources>,
    /// Types of the module as the validator compares them.
    pub(crate) types: Arc<Types>,
}

impl Validation {
    /// What the validator needs for the body of function `index` of type `ty`; none when the module
    /// has no bodies.
    pub(crate) fn func(&self, index: u32, ty: u32) -> Option<FuncToValidate<ValidatorResources>> {
        let resources = self.resources.clone()?;
        Some(FuncToValidate { resources, index, ty, features: features::SUPPORTED })
    }

    /// What the library's validator knows of the module; none when it has no bodies.
    pub(crate) fn resources(&self) -> Option<&ValidatorResources> {
        self.resources.as_ref()
    }

    pub(crate) fn new(resources: Option<ValidatorResources>, types: &[Signature]) -> Validation {
        Validation { resources, types: Arc::new(Types::new(types)) }
    }
}

/// A module whose bodies have not been looked at yet.
#[derive(Clone, Debug)]
pub struct Parsed {
    /// Its facts.
    pub info: ModuleInfo,
    /// What validating its bodies needs.
    pub validation: Validation,
}

impl Parsed {
    /// Reads and validates a binary, except for function bodies.
    ///
    /// # Errors
    /// When `bytes` is not a module, is invalid, uses an unsupported proposal or exceeds `limits`.
    ///
    /// # Complexity
    /// O(bytes outside of bodies), see [`Parsed::parse_metered`].
    pub fn parse(bytes: &[u8], limits: &Limits) -> Result<Parsed> {
        Parsed::parse_metered(bytes, limits, &mut Work::new())
    }

    /// The same on a meter: what it cost is charged to [`runwell_ir::work::Pass::Parse`].
    ///
    /// # Errors
    /// As [`Parsed::parse`], and when the meter says so.
    ///
    /// # Complexity
    /// Linear: every section but code, data and custom ones is walked twice, by the validator and for
    /// its facts, at a step per byte each time; an entry takes at least a byte. What is owned of the
    /// input are strings and lists of it. One sweep over functions, exports and elements numbers the
    /// functions that escape. Names, contents of segments and of custom sections are not looked at.
    pub fn parse_metered(bytes: &[u8], limits: &Limits, work: &mut Work) -> Result<Parsed> {
        if bytes.len() as u64 > u64::from(limits.module_bytes) {
            return Err(Error::limit("size of the module", limits.module_bytes.into(), 0));
        }
        if wasmparser::Parser::is_component(bytes) {
            return Err(Error::component());
        }
        section::parse(bytes, limits, work)
    }
}

impl ModuleInfo {
    /// Same as [`Parsed::parse`].
    ///
    /// # Errors
    /// See [`Parsed::parse`].
    pub fn parse(bytes: &[u8], limits: &Limits) -> Result<Parsed> {
        Parsed::parse(bytes, limits)
    }
}
