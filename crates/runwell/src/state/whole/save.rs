//! A store to bytes.

use super::{MAGIC, imported};
use crate::Result;
use crate::instance::InstanceState;
use crate::state::refs::{RefId, RefIds};
use crate::state::snapshot::{
    OBJECT, SnapshotError, TARGET, VERSION, between_calls, elements, pages,
};
use crate::state::type_code;
use crate::store::{Store, StoreOpaque};
use crate::tape::Import;
use crate::tape::format::encode::Out;
use crate::tape::hooks;
use crate::types::{Mutability, ValType};

impl<T: 'static> Store<T> {
    /// Everything that is in the store as bytes, from which [`crate::Linker::restore_store`] makes it again,
    /// in this process or another one, with the same [`Store::state_hash`]: instances with all that they
    /// import from each other, and the memories, tables and globals that the host has made.
    ///
    /// The host's data is the host's business, and so are host functions: they are written as the names under
    /// which they are imported.
    ///
    /// # Errors
    /// A [`SnapshotError`]: a call is under way or suspended; the host has put objects into the store
    /// ([`crate::ExternRef`]), or functions that no instance imports.
    ///
    /// # Complexity
    /// As for [`crate::Instance::snapshot`], for all instances together.
    ///
    /// ```
    /// use runwell::{Engine, Linker, Module, Store};
    ///
    /// # fn main() -> runwell::Result<()> {
    /// let engine = Engine::default();
    /// let library = Module::new(&engine, r#"(module
    ///     (memory (export "memory") 1)
    ///     (func (export "next") (result i32)
    ///         (i32.store (i32.const 0) (i32.add (i32.load (i32.const 0)) (i32.const 1)))
    ///         (i32.load (i32.const 0))))"#)?;
    /// let program = Module::new(&engine, r#"(module
    ///     (import "library" "memory" (memory 1))
    ///     (import "library" "next" (func $next (result i32)))
    ///     (func (export "run") (result i32)
    ///         (i32.mul (call $next) (i32.load (i32.const 0)))))"#)?;
    /// let mut store = Store::new(&engine, ());
    /// let mut linker = Linker::new(&engine);
    /// linker.module(&mut store, "library", &library)?;
    /// let instance = linker.instantiate(&mut store, &program)?;
    /// let run = instance.get_typed_func::<(), i32>(&mut store, "run")?;
    /// assert_eq!((run.call(&mut store, ())?, run.call(&mut store, ())?), (1, 4));
    /// let bytes = store.snapshot()?;
    ///
    /// let mut other = Store::new(&engine, ());
    /// let host = Linker::new(&engine);
    /// let restored = host.restore_store(&mut other, &[library, program], &bytes)?;
    /// assert_eq!(other.state_hash(), store.state_hash());
    /// let run = restored.instances[1].get_typed_func::<(), i32>(&mut other, "run")?;
    /// assert_eq!(run.call(&mut other, ())?, 9);
    /// # Ok(())
    /// # }
    /// ```
    pub fn snapshot(&mut self) -> Result<Vec<u8>> {
        Ok(save(&self.inner().opaque)?)
    }
}

/// Which of a store's objects of one kind belong to instances.
fn owned(store: &StoreOpaque, count: usize, own: impl Fn(&InstanceState) -> &[u32]) -> Vec<bool> {
    let mut owned = vec![false; count];
    for state in &store.instances {
        own(state).iter().for_each(|&number| owned[number as usize] = true);
    }
    owned
}

fn own_memories(state: &InstanceState) -> &[u32] {
    &state.memories[imported(state.module.inner())[0]..]
}

fn own_tables(state: &InstanceState) -> &[u32] {
    &state.tables[imported(state.module.inner())[1]..]
}

fn own_globals(state: &InstanceState) -> &[u32] {
    &state.globals[imported(state.module.inner())[2]..]
}

fn save(store: &StoreOpaque) -> Result<Vec<u8>, SnapshotError> {
    between_calls(store)?;
    if !store.externs.is_empty() {
        return Err(SnapshotError::Holds(OBJECT));
    }
    let refs = RefIds::new(store);
    let mut out = Out(MAGIC.to_vec());
    out.number(VERSION);
    out.bytes(TARGET.as_bytes());
    out.optional(store.fuel_left());
    let numbers = modules(store, &mut out);
    made_by_host(store, &refs, &mut out);
    out.number(store.host_funcs.len() as u64);
    let mut named = vec![false; store.host_funcs.len()];
    out.number(store.instances.len() as u64);
    for (state, number) in store.instances.iter().zip(numbers) {
        out.number(number);
        let imports = imports(store, &refs, state);
        for import in &imports {
            if let Import::Func(RefId::Host(number)) = import {
                named[*number as usize] = true;
            }
            out.import(import);
        }
        for own in [own_memories(state), own_tables(state), own_globals(state)] {
            out.optional(own.first().map(|&number| number.into()));
        }
        for &memory in own_memories(state) {
            out.number(store.memories[memory as usize].pages());
        }
        for &table in own_tables(state) {
            out.number(store.tables[table as usize].raw.len());
        }
    }
    if named.contains(&false) {
        return Err(SnapshotError::Holds("a host function that no instance imports"));
    }
    contents(store, &refs, &mut out)?;
    let hash = blake3::hash(&out.0);
    out.0.extend_from_slice(hash.as_bytes());
    Ok(out.0)
}

/// Writes the hashes of the modules, each once; gives the number of each instance's.
fn modules(store: &StoreOpaque, out: &mut Out) -> Vec<u64> {
    let mut hashes: Vec<&[u8; 32]> =
        store.instances.iter().map(|state| state.module.inner().hash()).collect();
    let all = hashes.clone();
    hashes.sort_unstable();
    hashes.dedup();
    out.number(hashes.len() as u64);
    hashes.iter().for_each(|hash| out.0.extend_from_slice(&hash[..]));
    let number = |hash| hashes.binary_search(&hash).expect("all are in it") as u64;
    all.into_iter().map(number).collect()
}

/// Memories, tables and globals that belong to no instance: numbers, types, sizes and values.
fn made_by_host(store: &StoreOpaque, refs: &RefIds, out: &mut Out) {
    let others = |owned: Vec<bool>, out: &mut Out| {
        let others: Vec<usize> = (0..owned.len()).filter(|&number| !owned[number]).collect();
        out.number(others.len() as u64);
        others
    };
    for number in others(owned(store, store.memories.len(), own_memories), out) {
        let memory = &store.memories[number];
        out.number(number as u64);
        out.limits(memory.ty().is64, memory.pages(), memory.ty().max);
    }
    for number in others(owned(store, store.tables.len(), own_tables), out) {
        let table = &store.tables[number];
        out.number(number as u64);
        out.byte(type_code(&ValType::Ref(table.element)));
        out.limits(table.raw.ty().is64, table.raw.len(), table.raw.ty().max);
    }
    for number in others(owned(store, store.globals.len(), own_globals), out) {
        let ty = &store.globals[number].ty;
        out.number(number as u64);
        out.byte(type_code(ty.content()));
        out.byte((ty.mutability() == Mutability::Var).into());
        value(store, refs, number, out);
    }
}

/// What stands for an instance's imports.
fn imports(store: &StoreOpaque, refs: &RefIds, state: &InstanceState) -> Vec<Import> {
    let funcs = 0..state.module.inner().info.imported_funcs();
    let funcs: Vec<_> = funcs.map(|index| state.vmctx.imported_func(index)).collect();
    let others = [&state.memories[..], &state.tables[..], &state.globals[..]];
    // SAFETY: the records are of this store.
    unsafe { hooks::imports(store, refs, &state.module, &funcs, others) }
}

fn reference(out: &mut Out, id: RefId) {
    match id {
        RefId::Null => out.byte(0),
        RefId::Func { instance, func } => {
            out.byte(1);
            out.number(instance.into());
            out.number(func.into());
        }
        RefId::Host(number) => {
            out.byte(2);
            out.number(number.into());
        }
        RefId::Object(_) => unreachable!("a store with objects is refused"),
    }
}

/// The value of a global.
fn value(store: &StoreOpaque, refs: &RefIds, global: usize, out: &mut Out) {
    let global = &store.globals[global];
    // SAFETY: the cell lives as long as the store and holds a value of its type.
    let bits = unsafe { global.cell.read() };
    match global.ty.content() {
        ValType::I32 | ValType::F32 => out.number(u64::from(bits as u32)),
        ValType::I64 | ValType::F64 => out.number(bits as u64),
        ValType::V128 => out.0.extend_from_slice(&bits.to_le_bytes()),
        ValType::Ref(ty) => {
            // SAFETY: as above.
            let id = unsafe { refs.of(store, ty.heap_type().is_func(), bits as u64) };
            reference(out, id);
        }
    }
}

fn contents(store: &StoreOpaque, refs: &RefIds, out: &mut Out) -> Result<(), SnapshotError> {
    (0..store.memories.len() as u32).for_each(|memory| pages(store, memory, out));
    for table in &store.tables {
        let is_func = table.element.heap_type().is_func();
        elements(table, out, |bits, out| {
            // SAFETY: elements are references of this store, of the table's type.
            reference(out, unsafe { refs.of(store, is_func, bits) });
            Ok(())
        })?;
    }
    for state in &store.instances {
        for &global in own_globals(state) {
            if store.globals[global as usize].ty.mutability() == Mutability::Var {
                value(store, refs, global as usize, out);
            }
        }
        let data = state.data.data.iter().map(|segment| segment.bytes().is_empty());
        let elems = state.data.elems.iter().map(|segment| segment.elements().is_empty());
        out.0.extend(data.chain(elems).map(u8::from));
    }
    Ok(())
}
