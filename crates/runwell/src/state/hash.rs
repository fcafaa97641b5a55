//! The hash of a store's state.

use crate::context::StoreContextMut;
use crate::func::Caller;
use crate::state::refs::RefIds;
use crate::store::{Store, StoreOpaque};
use crate::types::{HeapType, Mutability, RefType, ValType};
use blake3::Hasher;
use std::fmt;
use std::str::FromStr;

/// What hashes begin with: another order gets another line.
const DOMAIN: &[u8] = b"runwell state 2\n";

/// The hash of all that guests of a store can see of it; see [`Store::state_hash`].
#[derive(Copy, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StateHash(pub [u8; 32]);

impl fmt::Display for StateHash {
    /// As 64 hexadecimal digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for StateHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StateHash({self})")
    }
}

impl FromStr for StateHash {
    type Err = crate::Error;

    /// Reads 64 hexadecimal digits.
    fn from_str(text: &str) -> crate::Result<StateHash> {
        let mut hash = [0; 32];
        let fits = text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !fits {
            return Err(crate::Error::msg("a state hash is 64 hexadecimal digits"));
        }
        for (byte, at) in hash.iter_mut().zip((0..).step_by(2)) {
            *byte = u8::from_str_radix(&text[at..at + 2], 16)?;
        }
        Ok(StateHash(hash))
    }
}

impl<T: 'static> Store<T> {
    /// The hash of the store's state: two stores with the same hash go on alike for the same answers of
    /// the host.
    ///
    /// It is the same on every machine, in every process, for every number of threads and every option
    /// that is about how code is compiled. It is BLAKE3 over, in this order, numbers little-endian and
    /// counts before lists:
    ///
    /// 1. the fuel left, or that the engine does not meter;
    /// 2. memories, in the order in which they were made: the width of addresses, the declared maximum,
    ///    and the hash of length and content. That is BLAKE3 over the length and, for each 2 MiB that are
    ///    not all zero, its number and hash: BLAKE3 over, for each 4 KiB in it that are not all zero, its
    ///    number and BLAKE3 hash;
    /// 3. tables, likewise: type, length, and BLAKE3 over, for each element that is not null, its index
    ///    and what it refers to;
    /// 4. globals, likewise: type and value;
    /// 5. instances, likewise: the BLAKE3 hash of the module, which of the store's memories, tables and
    ///    globals are theirs by index, and which of their segments have nothing (left) in them;
    /// 6. how many host functions and host objects there are.
    ///
    /// Functions that are referred to count as the number of their instance and their index, those of the
    /// host and its objects by the order in which they were put into the store. The host's data, what a
    /// host function does, and the frames of a suspended call are not in it.
    ///
    /// # Complexity
    /// Globals and segments are read whole, of tables the pages that were ever touched. Of memories, the
    /// pages that were written since the last call are read, where Linux tracks writes (6.7 and later, if
    /// `userfaultfd` is allowed), else all pages that were ever touched. The first call is what makes the tracking begin; a store that is
    /// never hashed pays nothing.
    ///
    /// ```
    /// use runwell::{Engine, Instance, Module, Store};
    ///
    /// # fn main() -> runwell::Result<()> {
    /// let engine = Engine::default();
    /// let module = Module::new(&engine, r#"(module
    ///     (memory (export "memory") 65536)
    ///     (func (export "poke") (param i32 i32) (i32.store8 (local.get 0) (local.get 1))))"#)?;
    /// let run = |values: &[(u32, u32)]| -> runwell::Result<_> {
    ///     let mut store = Store::new(&engine, ());
    ///     let instance = Instance::new(&mut store, &module, &[])?;
    ///     let poke = instance.get_typed_func::<(u32, u32), ()>(&mut store, "poke")?;
    ///     for &value in values {
    ///         poke.call(&mut store, value)?;
    ///         store.state_hash();
    ///     }
    ///     Ok(store.state_hash())
    /// };
    /// assert_eq!(run(&[(0, 7), (0xffff_ffff, 8)])?, run(&[(0xffff_ffff, 8), (0, 1), (0, 7)])?);
    /// assert_ne!(run(&[(0, 7)])?, run(&[(0, 8)])?);
    /// // What is zero again is as if it had never been written.
    /// assert_eq!(run(&[(0, 7), (0, 0)])?, run(&[])?);
    /// # Ok(())
    /// # }
    /// ```
    pub fn state_hash(&mut self) -> StateHash {
        self.inner_mut().opaque.state_hash()
    }
}

impl<T: 'static> StoreContextMut<'_, T> {
    /// The hash of the store's state, see [`Store::state_hash`].
    pub fn state_hash(&mut self) -> StateHash {
        self.opaque().state_hash()
    }
}

impl<T: 'static> Caller<'_, T> {
    /// The hash of the store's state, see [`Store::state_hash`]: as the guest left it when it called.
    pub fn state_hash(&mut self) -> StateHash {
        self.store.opaque().state_hash()
    }
}

fn number(hasher: &mut Hasher, number: u64) {
    hasher.update(&number.to_le_bytes());
}

fn maximum(hasher: &mut Hasher, maximum: Option<u64>) {
    number(hasher, u64::from(maximum.is_some()));
    number(hasher, maximum.unwrap_or(0));
}

fn reference_type(ty: &RefType) -> u8 {
    u8::from(ty.heap_type().is_extern()) << 1 | u8::from(ty.is_nullable())
}

/// A number for each type.
pub(crate) fn type_code(ty: &ValType) -> u8 {
    match ty {
        ValType::I32 => 0,
        ValType::I64 => 1,
        ValType::F32 => 2,
        ValType::F64 => 3,
        ValType::V128 => 4,
        ValType::Ref(ty) => 8 | reference_type(ty),
    }
}

/// The type with this number.
pub(crate) fn type_of_code(code: u8) -> Option<ValType> {
    let heap_type = if code & 2 != 0 { HeapType::Extern } else { HeapType::Func };
    Some(match code {
        0 => ValType::I32,
        1 => ValType::I64,
        2 => ValType::F32,
        3 => ValType::F64,
        4 => ValType::V128,
        8..12 => ValType::Ref(RefType::new(code & 1 != 0, heap_type)),
        _ => return None,
    })
}

impl StoreOpaque {
    pub(crate) fn state_hash(&mut self) -> StateHash {
        let fuel = self.engine().config().schedule.is_some().then(|| self.runtime.fuel());
        self.state_hash_with(fuel)
    }

    /// The hash with another amount of fuel, or as if the engine did not meter.
    pub(crate) fn state_hash_with(&mut self, fuel: Option<u64>) -> StateHash {
        let mut hasher = Hasher::new();
        hasher.update(DOMAIN);
        maximum(&mut hasher, fuel);
        self.hash_memories(&mut hasher);
        let refs = RefIds::new(self);
        self.hash_tables(&mut hasher, &refs);
        self.hash_globals(&mut hasher, &refs);
        self.hash_instances(&mut hasher);
        number(&mut hasher, self.host_funcs.len() as u64);
        number(&mut hasher, self.externs.len() as u64);
        StateHash(*hasher.finalize().as_bytes())
    }

    fn hash_memories(&mut self, hasher: &mut Hasher) {
        number(hasher, self.memories.len() as u64);
        self.page_hashes.resize_with(self.memories.len(), Default::default);
        for (memory, hashes) in self.memories.iter().zip(&mut self.page_hashes) {
            number(hasher, u64::from(memory.ty().is64));
            maximum(hasher, memory.ty().max);
            // SAFETY: the store is borrowed mutably and guest code, if any, waits for the host.
            hasher.update(&unsafe { hashes.update(memory) });
        }
    }

    fn hash_tables(&self, hasher: &mut Hasher, refs: &RefIds) {
        number(hasher, self.tables.len() as u64);
        for table in &self.tables {
            let is_func = table.element.heap_type().is_func();
            hasher.update(&[reference_type(&table.element)]);
            number(hasher, u64::from(table.raw.ty().is64));
            maximum(hasher, table.raw.ty().max);
            number(hasher, table.raw.len());
            let mut elements = Hasher::new();
            for (at, bits) in table.raw.non_null() {
                number(&mut elements, at);
                // SAFETY: elements are references of this store, of the table's type.
                elements.update(&unsafe { refs.of(self, is_func, bits) }.to_bytes());
            }
            hasher.update(elements.finalize().as_bytes());
        }
    }

    fn hash_globals(&self, hasher: &mut Hasher, refs: &RefIds) {
        number(hasher, self.globals.len() as u64);
        for global in &self.globals {
            let ty = global.ty.content();
            let mutable = global.ty.mutability() == Mutability::Var;
            hasher.update(&[type_code(ty), u8::from(mutable)]);
            // SAFETY: the cell lives as long as the store.
            let bits = unsafe { global.cell.read() };
            match ty {
                ValType::Ref(ty) => {
                    // SAFETY: the cell holds a reference of this store, of the global's type.
                    let id = unsafe { refs.of(self, ty.heap_type().is_func(), bits as u64) };
                    hasher.update(&id.to_bytes());
                }
                ValType::V128 => _ = hasher.update(&bits.to_le_bytes()),
                // What is above the value in its cell is not part of it.
                ValType::I32 | ValType::F32 => number(hasher, u64::from(bits as u32)),
                ValType::I64 | ValType::F64 => number(hasher, bits as u64),
            }
        }
    }

    fn hash_instances(&self, hasher: &mut Hasher) {
        number(hasher, self.instances.len() as u64);
        for state in &self.instances {
            hasher.update(state.module.inner().hash());
            for indices in [&state.memories, &state.tables, &state.globals] {
                number(hasher, indices.len() as u64);
                indices.iter().for_each(|&index| number(hasher, u64::from(index)));
            }
            number(hasher, state.data.data.len() as u64);
            for segment in &state.data.data {
                hasher.update(&[u8::from(segment.bytes().is_empty())]);
            }
            number(hasher, state.data.elems.len() as u64);
            for segment in &state.data.elems {
                hasher.update(&[u8::from(segment.elements().is_empty())]);
            }
        }
    }
}
