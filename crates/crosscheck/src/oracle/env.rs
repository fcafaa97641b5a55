//! What functions of an instance see around them.

use super::store::{COUNTER, MEMORY, PAGE, Reference, State, Store, TABLE, range};
use runwell_abi::{LibCall, TrapCode};
use runwell_ir::Function;
use runwell_ir::eval::Env;
use runwell_wasm::ConstEnv;
use std::rc::Rc;

/// What constant expressions of an instance refer to.
pub(super) struct Consts<'a> {
    pub(super) store: &'a Store,
    pub(super) at: usize,
}

impl ConstEnv for Consts<'_> {
    fn global(&mut self, index: u32) -> u128 {
        let number = self.store.instances[self.at].globals[index as usize];
        u128::from(self.store.globals[number])
    }

    fn func(&mut self, index: u32) -> u128 {
        self.store.instances[self.at].reference(self.at, index).bits().into()
    }
}

/// The index by which a function is called that is not of the instance and not imported.
const ELSEWHERE: u32 = u32::MAX;

/// An instance whose code runs.
pub(super) struct Running<'a> {
    store: &'a mut Store,
    at: usize,
    /// What [`ELSEWHERE`] stands for: it is called at once.
    elsewhere: Option<Reference>,
}

impl<'a> Running<'a> {
    pub(super) fn new(store: &'a mut Store, at: usize) -> Running<'a> {
        Running { store, at, elsewhere: None }
    }

    fn state(&self) -> &State {
        &self.store.instances[self.at]
    }

    /// The function that is called by an index that is none of the instance's own.
    fn imported(&mut self, index: u32) -> Reference {
        match index {
            ELSEWHERE => self.elsewhere.take().expect("it has just been looked up"),
            index => self.state().imports[index as usize],
        }
    }

    fn memory(&self, index: usize) -> usize {
        self.state().memories[index]
    }

    fn table(&self, index: usize) -> usize {
        self.state().tables[index]
    }
}

impl Env for Running<'_> {
    fn function(&self, index: u32) -> Option<Rc<Function>> {
        let state = self.state();
        let own = index.checked_sub(state.code.info.imported_funcs())?;
        state.code.funcs.get(own as usize).cloned()
    }

    fn call_import(&mut self, index: u32, args: &[u64]) -> Result<Vec<u64>, TrapCode> {
        let reference = self.imported(index);
        self.store.call_inside(reference, args)
    }

    fn enter(&mut self, index: u32, frames: usize) -> Result<(), TrapCode> {
        self.store.pace.region_end()?;
        let bytes = self.state().depth(index);
        self.store.pace.enter(bytes, frames)
    }

    fn leave(&mut self, index: u32) -> Result<(), TrapCode> {
        let bytes = self.state().depth(index);
        self.store.pace.leave(bytes);
        self.store.pace.region_end()
    }

    fn turn(&mut self) -> Result<(), TrapCode> {
        self.store.pace.region_end()
    }

    fn tail_call_import(&mut self, index: u32, args: &[u64]) -> Result<Vec<u64>, TrapCode> {
        let reference = self.imported(index);
        self.store.tail = Some((reference, args.to_vec()));
        Ok(Vec::new())
    }

    fn callee(&mut self, reference: u64, ty: u32) -> Result<u32, TrapCode> {
        let reference = Reference::of(reference).ok_or(TrapCode::IndirectCallToNull)?;
        let wanted = &self.state().code.info.types[ty as usize];
        if self.store.signature(reference) != wanted {
            return Err(TrapCode::BadSignature);
        }
        match reference {
            Reference::Func { instance, func } if instance as usize == self.at => Ok(func),
            other => {
                self.elsewhere = Some(other);
                Ok(ELSEWHERE)
            }
        }
    }

    fn load(&mut self, mem: u16, addr: u64, offset: u32, bytes: u32) -> Result<u64, TrapCode> {
        let memory = &self.store.memories[self.memory(mem.into())].bytes;
        let at = addr.checked_add(offset.into()).ok_or(MEMORY)?;
        let range = range(at, bytes.into(), memory.len()).ok_or(MEMORY)?;
        let mut value = [0; 8];
        value[..bytes as usize].copy_from_slice(&memory[range]);
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
        let memory = self.memory(mem.into());
        let memory = &mut self.store.memories[memory];
        let at = addr.checked_add(offset.into()).ok_or(MEMORY)?;
        let range = range(at, bytes.into(), memory.bytes.len()).ok_or(MEMORY)?;
        memory.write(range).copy_from_slice(&value.to_le_bytes()[..bytes as usize]);
        Ok(())
    }

    fn mem_size(&mut self, mem: u16) -> u64 {
        self.store.memory(self.memory(mem.into())).len() as u64 / PAGE
    }

    fn global_get(&mut self, index: u32) -> u64 {
        match self.state().globals[index as usize] {
            COUNTER => self.store.pace.counter,
            global => self.store.globals[global],
        }
    }

    fn global_set(&mut self, index: u32, value: u64) -> Result<(), TrapCode> {
        match self.state().globals[index as usize] {
            COUNTER => self.store.count(value)?,
            global => self.store.globals[global] = value,
        }
        Ok(())
    }

    fn table_get(&mut self, table: u16, index: u64) -> Result<u64, TrapCode> {
        let elements = self.store.table(self.table(table.into()));
        let range = range(index, 1, elements.len()).ok_or(TABLE)?;
        Ok(elements[range.start])
    }

    fn table_set(&mut self, table: u16, index: u64, value: u64) -> Result<(), TrapCode> {
        let table = self.table(table.into());
        self.store.table_fill(table, index, value, 1)
    }

    fn table_size(&mut self, table: u16) -> u64 {
        self.store.table(self.table(table.into())).len() as u64
    }

    fn ref_func(&mut self, index: u32) -> u64 {
        self.state().reference(self.at, index).bits()
    }

    fn libcall(&mut self, helper: LibCall, args: &[u64]) -> Result<u64, TrapCode> {
        let low = (args[0] & 0xffff_ffff) as usize;
        let high = (args[0] >> 32) as usize;
        match helper {
            LibCall::MemoryGrow => {
                let memory = self.memory(low);
                return self.store.grow_for_guest(memory, args[1]);
            }
            LibCall::TableGrow => {
                let table = self.table(low);
                return self.store.grow_table_for_guest(table, args[2], args[1]);
            }
            LibCall::MemoryFill => {
                let memory = self.memory(low);
                let memory = &mut self.store.memories[memory];
                let range = range(args[1], args[3], memory.bytes.len()).ok_or(MEMORY)?;
                memory.write(range).fill(args[2] as u8);
            }
            LibCall::MemoryCopy => {
                let source = self.store.memory(self.memory(high));
                let from = range(args[2], args[3], source.len()).ok_or(MEMORY)?;
                let copied = source[from].to_vec();
                let memory = self.memory(low);
                let memory = &mut self.store.memories[memory];
                let to = range(args[1], args[3], memory.bytes.len()).ok_or(MEMORY)?;
                memory.write(to).copy_from_slice(&copied);
            }
            LibCall::MemoryInit => {
                let segment = &self.state().data[high];
                let from = range(args[2], args[3], segment.len()).ok_or(MEMORY)?;
                let copied = segment[from].to_vec();
                let memory = self.memory(low);
                let memory = &mut self.store.memories[memory];
                let to = range(args[1], args[3], memory.bytes.len()).ok_or(MEMORY)?;
                memory.write(to).copy_from_slice(&copied);
            }
            LibCall::DataDrop => self.store.instances[self.at].data[low].clear(),
            LibCall::TableFill => {
                let table = self.table(low);
                self.store.table_fill(table, args[1], args[2], args[3])?;
            }
            LibCall::TableCopy => {
                let (to, from) = (self.table(low), self.table(high));
                self.store.table_copy(to, args[1], from, args[2], args[3])?;
            }
            LibCall::TableInit => {
                let segment = &self.state().elems[high];
                let from = range(args[2], args[3], segment.len()).ok_or(TABLE)?;
                let copied = segment[from].to_vec();
                let table = self.table(low);
                self.store.table_write(table, args[1], &copied)?;
            }
            LibCall::ElemDrop => self.store.instances[self.at].elems[low].clear(),
        }
        Ok(0)
    }
}
