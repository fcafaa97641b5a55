//! An instance as bytes.
//!
//! A snapshot holds what an instance's code can change: memories, tables, globals, which segments are
//! dropped, and the fuel left. Functions are written as their indices in the module, those it imports
//! too, so that whoever restores it supplies the imports again. Whatever else is the host's cannot be
//! carried and is refused.
//!
//! The layout: [`MAGIC`], the version of the format, the target, the module's BLAKE3 hash; fuel; memories
//! with their pages that are not zero; tables with their elements that are not null; globals; segments; and the BLAKE3 hash of all that. Nothing
//! of it is trusted when it is read back: see `restore`.

use super::pages::PAGE;
use crate::context::AsContextMut;
use crate::instance::{Instance, InstanceState};
use crate::module::ModuleInner;
use crate::state::{page_of, type_code};
use crate::store::{StoreOpaque, StoreTable};
use crate::tape::format::encode::Out;
use crate::types::ValType;
use crate::{Error, Result};
use runwell_vm::Reader;
use std::fmt;

pub(super) const MAGIC: &[u8] = b"runwell snapshot\n";
/// The version of the format.
pub(super) const VERSION: u64 = 2;
/// What a snapshot of this machine says that it is of.
pub(super) const TARGET: &str = std::env::consts::ARCH;

/// What nobody can make again.
pub(super) const OBJECT: &str = "an object of the host's";

/// Why a snapshot is not taken, or is none.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum SnapshotError {
    /// The bytes are something else.
    NotASnapshot,
    /// They are of another version of the format.
    Version(u64),
    /// They are of another target.
    Target(String),
    /// They are of another module.
    Module,
    /// They have been changed, or do not fit the module.
    Damaged(&'static str),
    /// The engine meters and the snapshot is of one that does not, or the other way round.
    Fuel,
    /// A call is under way or suspended.
    Running,
    /// The instance imports something that can change and that others may hold.
    Imports(&'static str),
    /// Something is held that cannot be carried: something of the host's, or, where a single instance is
    /// taken down, of another instance.
    Holds(&'static str),
    /// The store in which everything is to be made has something in it already.
    NotEmpty,
}

impl fmt::Display for SnapshotError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SnapshotError::NotASnapshot => f.write_str("not a snapshot"),
            SnapshotError::Version(found) => {
                write!(f, "a snapshot of format {found}, this version reads format {VERSION}")
            }
            SnapshotError::Target(found) => {
                write!(f, "a snapshot of {found}, this is {TARGET}")
            }
            SnapshotError::Module => f.write_str("a snapshot of another module"),
            SnapshotError::Damaged(what) => write!(f, "the snapshot is damaged: {what}"),
            SnapshotError::Fuel => {
                f.write_str("of snapshot and engine, one is metered and the other is not")
            }
            SnapshotError::Running => {
                f.write_str("a snapshot is taken between calls, and one is under way or suspended")
            }
            SnapshotError::Imports(what) => {
                write!(
                    f,
                    "an instance that imports a {what} cannot be taken down alone, only with its store"
                )
            }
            SnapshotError::Holds(what) => write!(f, "{what} is held and cannot be carried"),
            SnapshotError::NotEmpty => f.write_str("the store is not empty"),
        }
    }
}

impl std::error::Error for SnapshotError {}

impl Instance {
    /// The instance's state as bytes, from which [`crate::Linker::restore`] makes it again, in this
    /// process or another one.
    ///
    /// If the store has nothing else in it, the store in which it is restored has the same
    /// [`crate::Store::state_hash`]. Instances that are linked together are taken down with their store:
    /// [`crate::Store::snapshot`].
    ///
    /// # Errors
    /// A [`SnapshotError`]: a call is under way or suspended; the instance imports memories, tables or
    /// globals that can change; or it holds references to the host's objects, to functions of other
    /// instances, or to host functions that it does not import.
    ///
    /// # Complexity
    /// What is in memories and tables: pages that were never touched are not read.
    ///
    /// ```
    /// use runwell::{Engine, Linker, Module, Store};
    ///
    /// # fn main() -> runwell::Result<()> {
    /// let engine = Engine::default();
    /// let module = Module::new(&engine, r#"(module
    ///     (memory 1)
    ///     (func (export "next") (result i32)
    ///         (i32.store (i32.const 0) (i32.add (i32.load (i32.const 0)) (i32.const 1)))
    ///         (i32.load (i32.const 0))))"#)?;
    /// let linker = Linker::new(&engine);
    /// let mut store = Store::new(&engine, ());
    /// let instance = linker.instantiate(&mut store, &module)?;
    /// let next = instance.get_typed_func::<(), i32>(&mut store, "next")?;
    /// assert_eq!((next.call(&mut store, ())?, next.call(&mut store, ())?), (1, 2));
    /// let bytes = instance.snapshot(&mut store)?;
    ///
    /// let mut other = Store::new(&engine, ());
    /// let again = linker.restore(&mut other, &module, &bytes)?;
    /// assert_eq!(other.state_hash(), store.state_hash());
    /// let next = again.get_typed_func::<(), i32>(&mut other, "next")?;
    /// assert_eq!(next.call(&mut other, ())?, 3);
    /// # Ok(())
    /// # }
    /// ```
    pub fn snapshot(&self, mut store: impl AsContextMut) -> Result<Vec<u8>> {
        let mut store = store.as_context_mut();
        Ok(snapshot(store.opaque(), self)?)
    }
}

fn snapshot(store: &mut StoreOpaque, instance: &Instance) -> Result<Vec<u8>, SnapshotError> {
    between_calls(store)?;
    let state = instance.state(store);
    let module = state.module.inner();
    own_state_only(module)?;
    let mut out = Out(MAGIC.to_vec());
    out.number(VERSION);
    out.bytes(TARGET.as_bytes());
    out.0.extend_from_slice(module.hash());
    out.optional(store.fuel_left());
    memories(store, state, &mut out);
    tables(store, state, &mut out)?;
    globals(store, state, &mut out)?;
    let data = state.data.data.iter().map(|segment| segment.bytes().is_empty());
    let elems = state.data.elems.iter().map(|segment| segment.elements().is_empty());
    out.0.extend(data.chain(elems).map(u8::from));
    let hash = blake3::hash(&out.0);
    out.0.extend_from_slice(hash.as_bytes());
    Ok(out.0)
}

/// An error when a call is under way.
pub(super) fn between_calls(store: &StoreOpaque) -> Result<(), SnapshotError> {
    match store.runtime.is_active() || store.runtime.suspended().is_some() {
        true => Err(SnapshotError::Running),
        false => Ok(()),
    }
}

/// An error when the module imports what can change.
pub(super) fn own_state_only(module: &ModuleInner) -> Result<(), SnapshotError> {
    use runwell_wasm::EntityType;
    for import in &module.info.imports {
        match &import.ty {
            EntityType::Memory(_) => return Err(SnapshotError::Imports("memory")),
            EntityType::Table(_) => return Err(SnapshotError::Imports("table")),
            EntityType::Global(ty) if ty.mutable => {
                return Err(SnapshotError::Imports("global that can change"));
            }
            _ => {}
        }
    }
    Ok(())
}

fn memories(store: &StoreOpaque, state: &InstanceState, out: &mut Out) {
    for &index in &state.memories {
        out.number(store.memories[index as usize].pages());
        pages(store, index, out);
    }
}

/// The pages of a memory that are not zero.
pub(super) fn pages(store: &StoreOpaque, memory: u32, out: &mut Out) {
    let memory = &store.memories[memory as usize];
    // SAFETY: no guest code runs, and the store is borrowed.
    let bytes = unsafe { memory.data() };
    let touched = memory.written(Reader::Snapshot).into_iter().flatten();
    let pages = touched.map(|number| (number, page_of(bytes, number)));
    let pages: Vec<_> = pages.filter(|(_, page)| *page != [0; PAGE]).collect();
    out.number(pages.len() as u64);
    for (number, page) in pages {
        out.number(number);
        out.0.extend_from_slice(&page);
    }
}

/// The functions of an instance that references may be to, by their records.
struct Funcs(Vec<(u64, u32)>);

impl Funcs {
    fn new(state: &InstanceState) -> Funcs {
        let module = state.module.inner();
        let imported = 0..module.info.imported_funcs();
        let own = module.escapes.iter().map(|escape| escape.func);
        let record = |index| (state.func(index).as_ptr() as u64, index);
        let mut funcs: Vec<(u64, u32)> = imported.chain(own).map(record).collect();
        // One host function may be imported twice: the first stands for both.
        funcs.sort_unstable();
        funcs.dedup_by_key(|&mut (record, _)| record);
        Funcs(funcs)
    }

    /// A reference as a number: 0 for null, else the function's index and 1.
    fn number(&self, is_func: bool, bits: u64) -> Result<u64, SnapshotError> {
        if bits == 0 {
            return Ok(0);
        }
        if !is_func {
            return Err(SnapshotError::Holds(OBJECT));
        }
        match self.0.binary_search_by_key(&bits, |&(record, _)| record) {
            Ok(at) => Ok(u64::from(self.0[at].1) + 1),
            Err(_) => Err(SnapshotError::Holds("a function that is neither its own nor imported")),
        }
    }
}

/// The elements of a table that are not null: how many, and each with how many nulls are before it.
pub(super) fn elements(
    table: &StoreTable,
    out: &mut Out,
    mut element: impl FnMut(u64, &mut Out) -> Result<(), SnapshotError>,
) -> Result<(), SnapshotError> {
    out.number(table.raw.non_null().count() as u64);
    let mut next = 0;
    for (at, bits) in table.raw.non_null() {
        out.number(at - next);
        element(bits, out)?;
        next = at + 1;
    }
    Ok(())
}

fn tables(store: &StoreOpaque, state: &InstanceState, out: &mut Out) -> Result<(), SnapshotError> {
    let funcs = Funcs::new(state);
    for &index in &state.tables {
        let table = &store.tables[index as usize];
        let is_func = table.element.heap_type().is_func();
        out.number(table.raw.len());
        elements(table, out, |bits, out| {
            out.number(funcs.number(is_func, bits)?);
            Ok(())
        })?;
    }
    // What a segment that is not dropped has, a table may come to have.
    let own = state.data.elems.iter().zip(&state.module.inner().info.elements);
    for (segment, declared) in own {
        let is_func = declared.ty != runwell_abi::Type::AnyRef;
        for &bits in segment.elements() {
            funcs.number(is_func, bits)?;
        }
    }
    Ok(())
}

fn globals(store: &StoreOpaque, state: &InstanceState, out: &mut Out) -> Result<(), SnapshotError> {
    let funcs = Funcs::new(state);
    let imported = state.module.inner().info.counts().imported_globals as usize;
    for &index in &state.globals[imported..] {
        let global = &store.globals[index as usize];
        let ty = global.ty.content();
        // SAFETY: the cell lives as long as the store and holds a value of its type.
        let bits = unsafe { global.cell.read() };
        out.byte(type_code(ty));
        match ty {
            ValType::I32 | ValType::F32 => out.number(u64::from(bits as u32)),
            ValType::I64 | ValType::F64 => out.number(bits as u64),
            ValType::V128 => out.0.extend_from_slice(&bits.to_le_bytes()),
            ValType::Ref(ty) => {
                out.number(funcs.number(ty.heap_type().is_func(), bits as u64)?);
            }
        }
    }
    Ok(())
}

impl From<SnapshotError> for crate::state::restore::Refused {
    fn from(error: SnapshotError) -> Self {
        crate::state::restore::Refused(Error::new(error))
    }
}
