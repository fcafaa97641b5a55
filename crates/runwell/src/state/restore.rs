//! Instances made of snapshots.
//!
//! The bytes may come from anywhere. Before anything is made their hash is checked, which finds damage;
//! since anybody can make a hash, everything is checked against the module as well: numbers, lengths,
//! types, limits. Only functions of the module can be named, so that no bytes lead to an address.

use super::pages::PAGE;
use super::snapshot::{MAGIC, SnapshotError, TARGET, VERSION, own_state_only};
use crate::context::AsContextMut;
use crate::instance::{Instance, InstancePre, build, check_store};
use crate::linker::Linker;
use crate::module::{Module, ModuleInner};
use crate::state::type_of_code;
use crate::store::{StoreOpaque, StoreTable};
use crate::tape::format::decode::{Bad, In};
use crate::types::ValType;
use crate::{Error, Result};
use runwell_wasm::ModuleInfo;

/// An error of any kind, made of those that snapshots have.
pub(crate) struct Refused(pub(crate) Error);

impl From<Bad> for Refused {
    fn from(what: Bad) -> Refused {
        SnapshotError::Damaged(what).into()
    }
}

impl From<Error> for Refused {
    fn from(error: Error) -> Refused {
        Refused(error)
    }
}

impl<T: 'static> Linker<T> {
    /// Makes an instance with the state that [`Instance::snapshot`] wrote. Its start function does not
    /// run: it has.
    ///
    /// What the instance imports has to be the same as it was; the host's data is the host's business.
    ///
    /// # Errors
    /// A [`SnapshotError`] when the bytes are no snapshot of this module, or of another version or
    /// target, or damaged; as for [`Linker::instantiate`]; when limits of the store exclude the sizes of
    /// memories and tables; when the store is being recorded.
    pub fn restore(
        &self,
        store: impl AsContextMut<Data = T>,
        module: &Module,
        bytes: &[u8],
    ) -> Result<Instance> {
        self.instantiate_pre(module)?.restore(store, bytes)
    }
}

impl<T: 'static> InstancePre<T> {
    /// Makes an instance with the state that [`Instance::snapshot`] wrote, see [`Linker::restore`].
    ///
    /// # Errors
    /// As for [`Linker::restore`].
    pub fn restore(
        &self,
        mut store: impl AsContextMut<Data = T>,
        bytes: &[u8],
    ) -> Result<Instance> {
        let mut store = store.as_context_mut();
        let store = store.opaque();
        if store.tape.is_some() {
            return Err(Error::msg("an instance cannot be restored in a store that is recorded"));
        }
        let module = self.module();
        check_store(store, module.inner())?;
        let content = checked(module.inner(), bytes).map_err(|refused| refused.0)?;
        let imported = self.imported(store)?;
        let state = build(store, module, imported)?;
        let index = store.instances.len() as u32;
        store.instances.push(state);
        fill(store, index, content).map_err(|refused| refused.0)?;
        Ok(Instance::from_index(store, index))
    }
}

/// What is behind the head of a snapshot of this module.
fn checked<'a>(module: &ModuleInner, bytes: &'a [u8]) -> Result<In<'a>, Refused> {
    let mut head = head(MAGIC, bytes)?;
    if head.array::<32>()? != *module.hash() {
        return Err(SnapshotError::Module.into());
    }
    own_state_only(module)?;
    content(bytes, head)
}

/// What is behind magic, version and target.
pub(super) fn head<'a>(magic: &[u8], bytes: &'a [u8]) -> Result<In<'a>, Refused> {
    let Some(rest) = bytes.strip_prefix(magic) else {
        return Err(SnapshotError::NotASnapshot.into());
    };
    let mut head = In(rest);
    let version = head.number()?;
    if version != VERSION {
        return Err(SnapshotError::Version(version).into());
    }
    let target = head.text()?;
    if target != TARGET {
        return Err(SnapshotError::Target(target).into());
    }
    Ok(head)
}

/// What is between the head and the hash of all `bytes`.
pub(super) fn content<'a>(bytes: &'a [u8], head: In<'a>) -> Result<In<'a>, Refused> {
    let content = head.0.len().checked_sub(blake3::OUT_LEN).ok_or("it ends too early")?;
    let (hashed, hash) = bytes.split_at(bytes.len() - blake3::OUT_LEN);
    if blake3::hash(hashed).as_bytes() != hash {
        return Err(SnapshotError::Damaged("its hash is another one").into());
    }
    Ok(In(&head.0[..content]))
}

fn fill(store: &mut StoreOpaque, instance: u32, mut from: In<'_>) -> Result<(), Refused> {
    let fuel = from.optional()?;
    if fuel.is_some() != store.fuel_left().is_some() {
        return Err(SnapshotError::Fuel.into());
    }
    let state = &store.instances[instance as usize];
    let (memories, tables) = (state.memories.clone(), state.tables.clone());
    memories.iter().try_for_each(|&index| memory(store, index, &mut from))?;
    tables.iter().try_for_each(|&index| table(store, instance, index, &mut from))?;
    globals(store, instance, &mut from)?;
    let state = &store.instances[instance as usize];
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
    if !from.0.is_empty() {
        return Err("something behind the end".into());
    }
    if let Some(fuel) = fuel {
        store.put_fuel(fuel);
    }
    Ok(())
}

fn memory(store: &mut StoreOpaque, index: u32, from: &mut In<'_>) -> Result<(), Refused> {
    grow_memory(store, index, from.number()?)?;
    pages(store, index, from)
}

/// Lets a memory have as many pages as it had.
pub(super) fn grow_memory(store: &mut StoreOpaque, index: u32, pages: u64) -> Result<(), Refused> {
    let has = store.memories[index as usize].pages();
    let more = pages.checked_sub(has).ok_or("a memory below its minimum")?;
    if more > 0 && store.grow_memory(index, more)?.is_none() {
        return Err(Error::msg(format!("a memory of {pages} pages exceeds limits")).into());
    }
    Ok(())
}

/// Lets a table have as many elements as it had; what it did not have before is null.
pub(super) fn grow_table(store: &mut StoreOpaque, index: u32, len: u64) -> Result<(), Refused> {
    let has = store.tables[index as usize].raw.len();
    let more = len.checked_sub(has).ok_or("a table below its minimum")?;
    if more > 0 && store.grow_table(index, more, 0)?.is_none() {
        return Err(Error::msg(format!("a table of {len} elements exceeds limits")).into());
    }
    Ok(())
}

/// The content of a memory that is large enough.
pub(super) fn pages(store: &StoreOpaque, index: u32, from: &mut In<'_>) -> Result<(), Refused> {
    let memory = &store.memories[index as usize];
    for _ in 0..from.count()? {
        let number = from.number()?;
        let page = from.take(PAGE)?;
        let at = number.checked_mul(PAGE as u64).ok_or("a page outside of its memory")?;
        // The last page of a memory may be a part of one.
        let inside = memory.len().saturating_sub(at).min(PAGE as u64) as usize;
        memory.write(at, &page[..inside]).map_err(|_| "a page outside of its memory")?;
    }
    Ok(())
}

/// The bits of a reference that is written as `number`.
fn reference(store: &StoreOpaque, instance: u32, is_func: bool, number: u64) -> Result<u64, Bad> {
    let Some(index) = number.checked_sub(1) else { return Ok(0) };
    if !is_func {
        return Err("a reference to what is not there");
    }
    let state = &store.instances[instance as usize];
    let info = &state.module.inner().info;
    let index = u32::try_from(index).ok().filter(|&index| (index as usize) < info.funcs.len());
    let index = index.ok_or("a function that is not there")?;
    if index >= info.imported_funcs() && info.escaped[index as usize] == ModuleInfo::NONE {
        return Err("a function that cannot be referred to");
    }
    Ok(state.func(index).as_ptr() as u64)
}

fn table(
    store: &mut StoreOpaque,
    instance: u32,
    index: u32,
    from: &mut In<'_>,
) -> Result<(), Refused> {
    let len = from.number()?;
    grow_table(store, index, len)?;
    let table = &store.tables[index as usize];
    let is_func = table.element.heap_type().is_func();
    elements(table, from, |from| reference(store, instance, is_func, from.number()?))
}

/// The elements of a table that is large enough; `element` reads one as its bits.
pub(super) fn elements(
    table: &StoreTable,
    from: &mut In<'_>,
    mut element: impl FnMut(&mut In<'_>) -> Result<u64, Bad>,
) -> Result<(), Refused> {
    // Initial values are written as well, if they are still there.
    let initial: Vec<u64> = table.raw.non_null().map(|(at, _)| at).collect();
    initial.into_iter().try_for_each(|at| table.raw.set(at, 0)).map_err(|_| OUTSIDE)?;
    let count = from.count()? as u64;
    if count != table.raw.len() && !table.element.is_nullable() {
        return Err("null in a table without it".into());
    }
    let mut next = 0u64;
    for _ in 0..count {
        let at = next.checked_add(from.number()?).ok_or(OUTSIDE)?;
        let bits = element(from)?;
        if bits == 0 {
            return Err("null among what is not".into());
        }
        table.raw.set(at, bits).map_err(|_| OUTSIDE)?;
        next = at + 1;
    }
    Ok(())
}

const OUTSIDE: &str = "an element outside of its table";

fn globals(store: &StoreOpaque, instance: u32, from: &mut In<'_>) -> Result<(), Refused> {
    let state = &store.instances[instance as usize];
    let imported = state.module.inner().info.counts().imported_globals as usize;
    for &index in &state.globals[imported..] {
        let global = &store.globals[index as usize];
        let ty = *global.ty.content();
        if type_of_code(from.byte()?) != Some(ty) {
            return Err("a global of another type".into());
        }
        let bits = match ty {
            ValType::I32 | ValType::F32 => u128::from(from.index()?),
            ValType::I64 | ValType::F64 => u128::from(from.number()?),
            ValType::V128 => u128::from_le_bytes(from.array()?),
            ValType::Ref(ty) => {
                let number = from.number()?;
                if number == 0 && !ty.is_nullable() {
                    return Err("null in a global without it".into());
                }
                reference(store, instance, ty.heap_type().is_func(), number)?.into()
            }
        };
        // SAFETY: the cell lives as long as the store, which nobody else uses; the bits are of its type.
        unsafe { global.cell.write(bits) };
    }
    Ok(())
}
