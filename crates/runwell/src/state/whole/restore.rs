//! Bytes to a store.
//!
//! As for single instances (`state::restore`), nothing is believed: objects are made through the functions
//! that check types and limits, imports are compared with what modules want, and references name functions
//! that are there and can be referred to.
//!
//! Everything gets the number it had. What the host made is made when it is needed: before the first
//! instance that imports it or has an object of its own behind it. All that a value can refer to is there
//! by then, as it was at first.

use super::{MAGIC, Restored, imported};
use crate::context::AsContextMut;
use crate::externs::Extern;
use crate::instance::{Instance, build, check_store, checked_imports};
use crate::linker::{Definition, Linker};
use crate::module::Module;
use crate::state::refs::RefId;
use crate::state::restore::{Refused, content, elements, grow_memory, grow_table, head, pages};
use crate::state::snapshot::SnapshotError;
use crate::store::StoreOpaque;
use crate::tape::Import;
use crate::tape::format::decode::{Bad, In};
use crate::types::{GlobalType, MemoryType, Mutability, RefType, TableType, ValType};
use crate::{Error, Func, Global, Memory, Result, Table};
use std::collections::VecDeque;

impl<T: 'static> Linker<T> {
    /// Makes everything again that [`crate::Store::snapshot`] wrote, in an empty store. Start functions do
    /// not run: they have.
    ///
    /// `modules` are those of which there are instances, in any order, others may be among them; this linker
    /// has the host functions, under the names by which they are imported. What a restored instance exports
    /// can be named in a linker again with [`Linker::instance`]. When this fails, the store has something in
    /// it and is good for nothing.
    ///
    /// # Errors
    /// A [`SnapshotError`] when the bytes are no snapshot of a store, or of another version or target, or of
    /// modules that are not there, or damaged, or when the store is not empty; when a host function is
    /// missing or of another type; when limits of the store exclude what is to be made; when the store is
    /// being recorded.
    pub fn restore_store(
        &self,
        mut store: impl AsContextMut<Data = T>,
        modules: &[Module],
        bytes: &[u8],
    ) -> Result<Restored> {
        let mut store = store.as_context_mut();
        let store = store.opaque();
        if store.tape.is_some() {
            return Err(Error::msg("nothing can be restored in a store that is recorded"));
        }
        let empty = store.instances.is_empty()
            && store.memories.is_empty()
            && store.tables.is_empty()
            && store.globals.is_empty()
            && store.host_funcs.is_empty()
            && store.externs.is_empty();
        if !empty {
            return Err(Error::new(SnapshotError::NotEmpty));
        }
        restore(self, store, modules, bytes).map_err(|refused| refused.0)?;
        let numbers = |len: usize| 0..len as u32;
        let opaque = &*store;
        Ok(Restored {
            instances: numbers(opaque.instances.len())
                .map(|at| Instance::from_index(opaque, at))
                .collect(),
            memories: numbers(opaque.memories.len())
                .map(|at| Memory::from_index(opaque, at))
                .collect(),
            tables: numbers(opaque.tables.len()).map(|at| Table::from_index(opaque, at)).collect(),
            globals: numbers(opaque.globals.len())
                .map(|at| Global::from_index(opaque, at))
                .collect(),
        })
    }
}

/// An instance as it is written.
struct Written {
    module: Module,
    imports: Vec<Import>,
    /// Numbers of its own first memory, table and global, if there is one.
    first: [Option<u64>; 3],
    /// Sizes of its own memories.
    pages: Vec<u64>,
    /// Lengths of its own tables.
    lengths: Vec<u64>,
}

/// What the host had made and is not made yet, ascending, with numbers.
#[derive(Default)]
struct Hosts {
    memories: VecDeque<(u64, MemoryType)>,
    tables: VecDeque<(u64, TableType)>,
    globals: VecDeque<(u64, GlobalType, Unresolved)>,
    /// Values of globals that can change, which may refer to what was made later.
    late: Vec<(usize, Unresolved)>,
}

/// A value whose references are not looked up yet.
enum Unresolved {
    Bits(u128),
    Ref(RefType, RefId),
}

fn restore<T: 'static>(
    linker: &Linker<T>,
    store: &mut StoreOpaque,
    modules: &[Module],
    bytes: &[u8],
) -> Result<(), Refused> {
    let mut from = content(bytes, head(MAGIC, bytes)?)?;
    let fuel = from.optional()?;
    if fuel.is_some() != store.fuel_left().is_some() {
        return Err(SnapshotError::Fuel.into());
    }
    let mut used = Vec::new();
    for _ in 0..from.count()? {
        let hash = from.array::<32>()?;
        let module = modules.iter().find(|module| *module.inner().hash() == hash);
        used.push(module.ok_or(SnapshotError::Module)?);
    }
    let mut hosts = hosts(&mut from)?;
    let funcs = from.count()?;
    let mut instances = Vec::new();
    for _ in 0..from.count()? {
        let module = used.get(from.index()? as usize).ok_or("a module that is not there")?;
        instances.push(instance(module, &mut from)?);
    }
    host_funcs(linker, store, funcs, &instances)?;
    for instance in &instances {
        make(store, &mut hosts, instance)?;
    }
    let end = [
        (store.memories.len() + hosts.memories.len()) as u64,
        (store.tables.len() + hosts.tables.len()) as u64,
        (store.globals.len() + hosts.globals.len()) as u64,
    ];
    hosts.make(store, end)?;
    for (index, value) in &hosts.late {
        let bits = value.bits(store)?;
        // SAFETY: the cell lives as long as the store, which nobody else uses; the bits are of its type.
        unsafe { store.globals[*index].cell.write(bits) };
    }
    contents(store, &mut from)?;
    if !from.0.is_empty() {
        return Err("something behind the end".into());
    }
    if let Some(fuel) = fuel {
        store.put_fuel(fuel);
    }
    Ok(())
}

fn hosts(from: &mut In<'_>) -> Result<Hosts, Refused> {
    let mut hosts = Hosts::default();
    for _ in 0..from.count()? {
        let number = from.number()?;
        let (is64, pages, max) = from.limits()?;
        hosts.memories.push_back((number, MemoryType::raw(pages, max, is64)));
    }
    for _ in 0..from.count()? {
        let number = from.number()?;
        let element = from.ref_type()?;
        let (is64, len, max) = from.limits()?;
        hosts.tables.push_back((number, TableType::raw(element, len, max, is64)));
    }
    for _ in 0..from.count()? {
        let number = from.number()?;
        let ty = from.ty()?;
        let mutability = if from.flag()? { Mutability::Var } else { Mutability::Const };
        hosts.globals.push_back((number, GlobalType::new(ty, mutability), value(from, ty)?));
    }
    Ok(hosts)
}

fn instance(module: &Module, from: &mut In<'_>) -> Result<Written, Refused> {
    let info = &module.inner().info;
    let imported = imported(module.inner());
    let imports = info.imports.iter().map(|_| from.import()).collect::<Result<_, Bad>>()?;
    let first = [from.optional()?, from.optional()?, from.optional()?];
    let own = [
        info.memories.len() - imported[0],
        info.tables.len() - imported[1],
        info.globals.len() - imported[2],
    ];
    if first.iter().zip(own).any(|(first, own)| first.is_some() != (own > 0)) {
        return Err("an instance with other objects than its module's".into());
    }
    let pages = (0..own[0]).map(|_| from.number()).collect::<Result<_, Bad>>()?;
    let lengths = (0..own[1]).map(|_| from.number()).collect::<Result<_, Bad>>()?;
    Ok(Written { module: module.clone(), imports, first, pages, lengths })
}

/// Puts the host functions into the store, by the first name that an instance has for each.
fn host_funcs<T: 'static>(
    linker: &Linker<T>,
    store: &mut StoreOpaque,
    count: usize,
    instances: &[Written],
) -> Result<(), Refused> {
    let mut names = vec![None; count];
    for instance in instances {
        for (at, import) in instance.imports.iter().enumerate() {
            if let Import::Func(RefId::Host(number)) = import {
                let name = names.get_mut(*number as usize);
                let name = name.ok_or("a host function that is not there")?;
                name.get_or_insert((&instance.module, at));
            }
        }
    }
    for name in names {
        let (module, at) = name.ok_or("a host function without a name")?;
        let import = module.inner().import(at);
        match linker.lookup(import.module(), import.name()) {
            Some(Definition::Host(host)) => _ = store.add_host_func(host),
            Some(Definition::Extern(_)) => {
                let (module, name) = (import.module(), import.name());
                let message = format!(
                    "`{module}::{name}` has to be a host function that the linker defines, and is \
                     something of a store"
                );
                return Err(Error::msg(message).into());
            }
            None => return Err(Error::new(crate::UnknownImportError::new(&import)).into()),
        }
    }
    Ok(())
}

impl Hosts {
    /// Makes what the host had made with numbers below `end`, which has to follow what is there.
    fn make(&mut self, store: &mut StoreOpaque, end: [u64; 3]) -> Result<(), Refused> {
        const GAP: &str = "objects with gaps between them";
        while (store.memories.len() as u64) < end[0] {
            let next = self.memories.pop_front();
            let (number, ty) = next.ok_or(GAP)?;
            if store.add_memory(&ty).map(u64::from)? != number {
                return Err(GAP.into());
            }
        }
        while (store.tables.len() as u64) < end[1] {
            let (number, ty) = self.tables.pop_front().ok_or(GAP)?;
            if store.add_table(&ty, 0).map(u64::from)? != number {
                return Err(GAP.into());
            }
        }
        while (store.globals.len() as u64) < end[2] {
            let (number, ty, value) = self.globals.pop_front().ok_or(GAP)?;
            // Constant expressions read those that cannot change.
            let late = ty.mutability() == Mutability::Var;
            let bits = if late { 0 } else { value.bits(store)? };
            let index = store.add_global(ty, bits);
            if u64::from(index) != number {
                return Err(GAP.into());
            }
            if late {
                self.late.push((index as usize, value));
            }
        }
        Ok(())
    }
}

/// Makes an instance, with its sizes and without its contents.
fn make(store: &mut StoreOpaque, hosts: &mut Hosts, written: &Written) -> Result<(), Refused> {
    let mut end = [0; 3];
    for import in &written.imports {
        let (kind, number) = match *import {
            Import::Func(_) => continue,
            Import::Memory(number) => (0, number),
            Import::Table(number) => (1, number),
            Import::Global(number) => (2, number),
        };
        end[kind] = u64::max(end[kind], u64::from(number) + 1);
    }
    for (end, first) in end.iter_mut().zip(written.first) {
        *end = first.unwrap_or(*end);
    }
    hosts.make(store, end)?;
    let module = written.module.inner();
    check_store(store, module)?;
    let mut imports = Vec::with_capacity(written.imports.len());
    for import in &written.imports {
        imports.push(external(store, *import).ok_or("an import that is not there")?);
    }
    let imported = checked_imports(store, module, &imports)?;
    let found = [store.memories.len(), store.tables.len(), store.globals.len()];
    if written.first.iter().zip(found).any(|(first, len)| first.is_some_and(|at| at != len as u64))
    {
        return Err("an instance that is not where it was".into());
    }
    let state = build(store, &written.module, imported)?;
    store.instances.push(state);
    for (&pages, index) in written.pages.iter().zip(found[0] as u32..) {
        grow_memory(store, index, pages)?;
    }
    for (&len, index) in written.lengths.iter().zip(found[1] as u32..) {
        grow_table(store, index, len)?;
    }
    Ok(())
}

fn external(store: &StoreOpaque, import: Import) -> Option<Extern> {
    let there = |index: u32, len: usize| (index as usize) < len;
    match import {
        Import::Func(id) => {
            // SAFETY: these are the bits of a function of this store, or null.
            unsafe { Func::from_raw(store, id.bits(store)?) }.map(Extern::Func)
        }
        Import::Memory(index) => there(index, store.memories.len())
            .then(|| Extern::Memory(Memory::from_index(store, index))),
        Import::Table(index) => {
            there(index, store.tables.len()).then(|| Extern::Table(Table::from_index(store, index)))
        }
        Import::Global(index) => there(index, store.globals.len())
            .then(|| Extern::Global(Global::from_index(store, index))),
    }
}

/// A reference that is written, which is one to a function or null.
fn reference(from: &mut In<'_>) -> Result<RefId, Bad> {
    Ok(match from.byte()? {
        0 => RefId::Null,
        1 => RefId::Func { instance: from.index()?, func: from.index()? },
        2 => RefId::Host(from.index()?),
        _ => return Err("no reference"),
    })
}

/// The bits of a reference of this type.
fn reference_bits(store: &StoreOpaque, ty: RefType, id: RefId) -> Result<u64, Bad> {
    match id {
        RefId::Null if ty.is_nullable() => Ok(0),
        RefId::Null => Err("null where there is none"),
        _ if !ty.heap_type().is_func() => Err("a function among objects"),
        _ => id.bits(store).ok_or("a function that is not there"),
    }
}

fn value(from: &mut In<'_>, ty: ValType) -> Result<Unresolved, Bad> {
    Ok(match ty {
        ValType::I32 | ValType::F32 => Unresolved::Bits(from.index()?.into()),
        ValType::I64 | ValType::F64 => Unresolved::Bits(from.number()?.into()),
        ValType::V128 => Unresolved::Bits(u128::from_le_bytes(from.array()?)),
        ValType::Ref(ty) => Unresolved::Ref(ty, reference(from)?),
    })
}

impl Unresolved {
    fn bits(&self, store: &StoreOpaque) -> Result<u128, Bad> {
        match *self {
            Unresolved::Bits(bits) => Ok(bits),
            Unresolved::Ref(ty, id) => reference_bits(store, ty, id).map(u128::from),
        }
    }
}

fn contents(store: &StoreOpaque, from: &mut In<'_>) -> Result<(), Refused> {
    (0..store.memories.len() as u32).try_for_each(|memory| pages(store, memory, from))?;
    for table in &store.tables {
        elements(table, from, |from| reference_bits(store, table.element, reference(from)?))?;
    }
    for state in &store.instances {
        let [.., imported] = imported(state.module.inner());
        for &index in &state.globals[imported..] {
            let global = &store.globals[index as usize];
            if global.ty.mutability() == Mutability::Var {
                let bits = value(from, *global.ty.content())?.bits(store)?;
                // SAFETY: the cell lives as long as the store, which nobody else uses; the bits are of its
                // type.
                unsafe { global.cell.write(bits) };
            }
        }
        for segment in &state.data.data {
            if from.flag()? {
                segment.drop_bytes();
            }
        }
        for segment in &state.data.elems {
            if from.flag()? {
                segment.drop_elements();
            }
        }
    }
    Ok(())
}
