//! What surrounds functions that stand alone in a file.

use runwell_ir::eval::Env;
use runwell_ir::{Function, LibCall, TrapCode};
use std::collections::BTreeMap;
use std::rc::Rc;

/// Bytes of each memory: one page.
const MEMORY_BYTES: usize = 1 << 16;
/// Memories that there are.
const MEMORIES: usize = 2;
/// Elements of each table.
const TABLE_LEN: usize = 8;

/// Two memories of one page that begin with a pattern, globals that begin at zero, and two tables of
/// eight elements that begin with references to the functions of the text, in order.
pub(super) struct Surroundings {
    funcs: BTreeMap<u32, Rc<Function>>,
    memories: Vec<Vec<u8>>,
    globals: BTreeMap<u32, u64>,
    tables: Vec<Vec<u64>>,
}

impl Surroundings {
    pub(super) fn new(funcs: impl IntoIterator<Item = Function>) -> Surroundings {
        let funcs: BTreeMap<u32, Rc<Function>> =
            funcs.into_iter().map(|func| (func.index, Rc::new(func))).collect();
        let mut table: Vec<u64> = funcs.keys().map(|&index| u64::from(index) + 1).collect();
        table.resize(TABLE_LEN, 0);
        let memory: Vec<u8> = (0..MEMORY_BYTES).map(|at| (at * 37 + 11) as u8).collect();
        Surroundings {
            funcs,
            memories: vec![memory; MEMORIES],
            globals: BTreeMap::new(),
            tables: vec![table; 2],
        }
    }

    /// Whether all that running may change is as in `other`; the functions do not count.
    pub(super) fn same_state(&self, other: &Surroundings) -> bool {
        (&self.memories, &self.globals, &self.tables)
            == (&other.memories, &other.globals, &other.tables)
    }

    fn bytes(
        &mut self,
        mem: u16,
        addr: u64,
        offset: u32,
        bytes: u32,
    ) -> Result<&mut [u8], TrapCode> {
        let memory = self.memories.get_mut(usize::from(mem)).ok_or(TrapCode::MemoryOutOfBounds)?;
        let at = addr.checked_add(offset.into()).and_then(|at| usize::try_from(at).ok());
        let range = at.and_then(|at| Some(at..at.checked_add(bytes as usize)?));
        range.and_then(|range| memory.get_mut(range)).ok_or(TrapCode::MemoryOutOfBounds)
    }

    fn element(&mut self, table: u16, index: u64) -> Result<&mut u64, TrapCode> {
        let table = self.tables.get_mut(usize::from(table));
        let index = usize::try_from(index).ok();
        let element = table.zip(index).and_then(|(table, index)| table.get_mut(index));
        element.ok_or(TrapCode::TableOutOfBounds)
    }
}

impl Env for Surroundings {
    fn function(&self, index: u32) -> Option<Rc<Function>> {
        self.funcs.get(&index).cloned()
    }

    /// There is nothing to import.
    fn call_import(&mut self, _: u32, _: &[u64]) -> Result<Vec<u64>, TrapCode> {
        Err(TrapCode::Unreachable)
    }

    fn callee(&mut self, reference: u64, ty: u32) -> Result<u32, TrapCode> {
        let index = reference.checked_sub(1).ok_or(TrapCode::IndirectCallToNull)?;
        let index = u32::try_from(index).map_err(|_| TrapCode::BadSignature)?;
        let func = self.funcs.get(&index).ok_or(TrapCode::BadSignature)?;
        let same = func.sigs.get(ty as usize) == Some(func.signature());
        if same { Ok(index) } else { Err(TrapCode::BadSignature) }
    }

    fn load(&mut self, mem: u16, addr: u64, offset: u32, bytes: u32) -> Result<u64, TrapCode> {
        let mut value = [0; 8];
        value[..bytes as usize].copy_from_slice(self.bytes(mem, addr, offset, bytes)?);
        Ok(u64::from_le_bytes(value))
    }

    fn store(
        &mut self,
        mem: u16,
        addr: u64,
        offset: u32,
        bytes: u32,
        value: u64,
    ) -> Result<(), TrapCode> {
        let place = self.bytes(mem, addr, offset, bytes)?;
        place.copy_from_slice(&value.to_le_bytes()[..bytes as usize]);
        Ok(())
    }

    fn mem_size(&mut self, _: u16) -> u64 {
        1
    }

    fn global_get(&mut self, index: u32) -> u64 {
        self.globals.get(&index).copied().unwrap_or(0)
    }

    fn global_set(&mut self, index: u32, value: u64) -> Result<(), TrapCode> {
        self.globals.insert(index, value);
        Ok(())
    }

    fn table_get(&mut self, table: u16, index: u64) -> Result<u64, TrapCode> {
        self.element(table, index).copied()
    }

    fn table_set(&mut self, table: u16, index: u64, value: u64) -> Result<(), TrapCode> {
        *self.element(table, index)? = value;
        Ok(())
    }

    fn table_size(&mut self, _: u16) -> u64 {
        TABLE_LEN as u64
    }

    fn ref_func(&mut self, index: u32) -> u64 {
        u64::from(index) + 1
    }

    /// Nothing grows; other helpers do nothing.
    fn libcall(&mut self, _: LibCall, _: &[u64]) -> Result<u64, TrapCode> {
        Ok(u64::MAX)
    }
}
