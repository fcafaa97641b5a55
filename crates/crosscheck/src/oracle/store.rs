//! What instances share.

use super::env::{Consts, Running};
use super::pace::{ENDS, Pace};
use super::{Code, Refused};
use runwell_abi::{TrapCode, Type};
use runwell_ir::Signature;
use runwell_ir::eval::{self, Stop};
use runwell_wasm::{ConstExpr, ElementItems, SegmentMode, const_expr};
use std::ops::Range;
use std::rc::Rc;

pub(super) const PAGE: u64 = 1 << 16;
/// The most pages of a memory with 64-bit addresses: what the runtime gives.
const MAX_PAGES_64: u64 = 1 << 18;
/// The most elements of a table: what the runtime gives.
const MAX_ELEMENTS: u64 = 10_000_000;
/// Bytes of the pages of which it is known whether they have been written.
pub const DIRTY_PAGE: u64 = 4096;
/// Calls of other instances, and by the host, inside of each other: each takes stack of the thread. More
/// than guests can have where their stack is as large as it is by default.
const MAX_NESTED: u32 = 24_000;

/// What has the functions that belong to no instance.
pub trait Host {
    /// Calls host function `number`.
    ///
    /// # Errors
    /// When it traps.
    fn call(&self, store: &mut Store, number: u32, args: &[u64]) -> Result<Vec<u64>, TrapCode>;

    /// A guest is about to execute what [`Pace::limit`] does not let it: it is asked again when the limit is
    /// another one.
    ///
    /// # Errors
    /// When the run is to end there.
    fn pause(&self, store: &mut Store) -> Result<(), TrapCode>;
}

/// What a reference to a function that is not null refers to.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Reference {
    /// A function of an instance, by the numbers of both.
    Func {
        /// Number of the instance.
        instance: u32,
        /// Index in it.
        func: u32,
    },
    /// A function of the host's.
    Host(u32),
}

const HOST: u64 = 1 << 63;

impl Reference {
    /// As the bits that guests have: neither null nor another one's.
    pub fn bits(self) -> u64 {
        match self {
            Reference::Func { instance, func } => (u64::from(instance) + 1) << 32 | u64::from(func),
            Reference::Host(number) => HOST | u64::from(number),
        }
    }

    /// What [`Reference::bits`] has made; `None` for null.
    pub fn of(bits: u64) -> Option<Reference> {
        match bits {
            0 => None,
            _ if bits & HOST != 0 => Some(Reference::Host(bits as u32)),
            _ => Some(Reference::Func { instance: (bits >> 32) as u32 - 1, func: bits as u32 }),
        }
    }
}

/// What stands for an import: a function, or something of the store by its number.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Import {
    /// A function.
    Func(Reference),
    /// A memory.
    Memory(u32),
    /// A table.
    Table(u32),
    /// A global.
    Global(u32),
}

#[derive(Clone)]
pub(super) struct Table {
    element: Type,
    pub(super) elements: Vec<u64>,
    max: u64,
    changed: bool,
}

#[derive(Clone)]
pub(super) struct Memory {
    pub(super) bytes: Vec<u8>,
    max_pages: u64,
    /// Pages that have been written, each once.
    dirty: Vec<u64>,
    is_dirty: Vec<bool>,
}

impl Table {
    fn grow(&mut self, delta: u64, init: u64) -> Option<u64> {
        let old = self.elements.len() as u64;
        let new = old.checked_add(delta).filter(|&new| new <= self.max)?;
        self.changed = true;
        self.elements.resize(new as usize, init);
        Some(old)
    }
}

impl Memory {
    fn grow(&mut self, delta: u64) -> Option<u64> {
        let old = self.bytes.len() as u64 / PAGE;
        let new = old.checked_add(delta).filter(|&new| new <= self.max_pages)?;
        self.bytes.resize((new * PAGE) as usize, 0);
        Some(old)
    }

    /// The bytes at `range`, which are about to be written.
    pub(super) fn write(&mut self, range: Range<usize>) -> &mut [u8] {
        if !range.is_empty() {
            let last = (range.end - 1) as u64 / DIRTY_PAGE;
            for page in range.start as u64 / DIRTY_PAGE..=last {
                if self.is_dirty.len() as u64 <= page {
                    self.is_dirty.resize(page as usize + 1, false);
                }
                if !std::mem::replace(&mut self.is_dirty[page as usize], true) {
                    self.dirty.push(page);
                }
            }
        }
        &mut self.bytes[range]
    }
}

/// An instance: what its indices stand for.
pub(super) struct State {
    pub(super) code: Rc<Code>,
    pub(super) imports: Vec<Reference>,
    pub(super) memories: Vec<usize>,
    pub(super) tables: Vec<usize>,
    pub(super) globals: Vec<usize>,
    pub(super) data: Vec<Vec<u8>>,
    pub(super) elems: Vec<Vec<u64>>,
}

/// The global that counts executed operators is no global of the store: all instances have one counter.
pub(super) const COUNTER: usize = usize::MAX;

/// Instances with what they share.
#[derive(Default)]
pub struct Store {
    pub(super) instances: Vec<State>,
    pub(super) memories: Vec<Memory>,
    pub(super) tables: Vec<Table>,
    pub(super) globals: Vec<u64>,
    global_types: Vec<Type>,
    /// How far guests may go.
    pub pace: Pace,
    /// Types of the host's functions.
    hosts: Vec<Signature>,
    host: Option<Rc<dyn Host>>,
    nested: u32,
    /// There was no room for a call inside of another one, which is no guest's affair.
    exhausted: bool,
    /// The last frame of a run has called this and left.
    pub(super) tail: Option<(Reference, Vec<u64>)>,
}

/// What guests can change.
pub struct Saved {
    memories: Vec<Memory>,
    tables: Vec<Table>,
    globals: Vec<u64>,
    /// Per instance.
    data: Vec<Vec<Vec<u8>>>,
    elems: Vec<Vec<Vec<u64>>>,
}

/// The range `at..at + len` if it is inside of `size`.
pub(super) fn range(at: u64, len: u64, size: usize) -> Option<Range<usize>> {
    let end = at.checked_add(len)?;
    (end <= size as u64).then_some(at as usize..end as usize)
}

pub(super) const MEMORY: TrapCode = TrapCode::MemoryOutOfBounds;
pub(super) const TABLE: TrapCode = TrapCode::TableOutOfBounds;

impl Store {
    /// An empty store with the functions of a host.
    pub fn new(host: Rc<dyn Host>) -> Store {
        Store { host: Some(host), ..Store::default() }
    }

    /// Adds a function of the host's.
    pub fn add_host(&mut self, ty: Signature) {
        self.hosts.push(ty);
    }

    /// Adds a memory of `min` pages.
    pub fn add_memory(&mut self, min: u64, max: Option<u64>, is64: bool) {
        let most = if is64 { MAX_PAGES_64 } else { PAGE };
        self.memories.push(Memory {
            bytes: vec![0; (min * PAGE) as usize],
            max_pages: max.unwrap_or(most).min(most),
            dirty: Vec::new(),
            is_dirty: Vec::new(),
        });
    }

    /// Adds a table of `min` elements, which are `init`.
    pub fn add_table(&mut self, element: Type, min: u64, max: Option<u64>, init: u64) {
        self.tables.push(Table {
            element,
            elements: vec![init; min as usize],
            max: max.unwrap_or(MAX_ELEMENTS).min(MAX_ELEMENTS),
            changed: true,
        });
    }

    /// Adds a global.
    pub fn add_global(&mut self, ty: Type, bits: u64) {
        self.globals.push(bits);
        self.global_types.push(ty);
    }

    /// Makes an instance without running its start function. It is there, too, where a segment is out of
    /// bounds.
    ///
    /// # Errors
    /// When a segment is out of bounds.
    pub fn instantiate(&mut self, code: &Rc<Code>, imports: &[Import]) -> Result<(), Refused> {
        self.instantiate_counting(code, imports, None)
    }

    /// The same for a module of which global `counter` counts executed operators, see [`crate::count`].
    ///
    /// # Errors
    /// When a segment is out of bounds.
    pub fn instantiate_counting(
        &mut self,
        code: &Rc<Code>,
        imports: &[Import],
        counter: Option<usize>,
    ) -> Result<(), Refused> {
        let info = &code.info;
        let mut state = State {
            code: code.clone(),
            imports: Vec::new(),
            memories: Vec::new(),
            tables: Vec::new(),
            globals: Vec::new(),
            data: code.data.clone(),
            elems: Vec::new(),
        };
        for import in imports {
            match *import {
                Import::Func(reference) => state.imports.push(reference),
                Import::Memory(number) => state.memories.push(number as usize),
                Import::Table(number) => state.tables.push(number as usize),
                Import::Global(number) => state.globals.push(number as usize),
            }
        }
        for ty in &info.memories[state.memories.len()..] {
            state.memories.push(self.memories.len());
            self.add_memory(ty.min, ty.max, ty.memory64);
        }
        let own_tables = state.tables.len();
        for ty in &info.tables[own_tables..] {
            state.tables.push(self.tables.len());
            self.add_table(ty.element, ty.min, ty.max, 0);
        }
        let at = self.instances.len();
        self.instances.push(state);
        for init in &info.global_inits {
            let bits = self.constant(at, *init);
            let index = self.instances[at].globals.len();
            if counter == Some(index) {
                self.instances[at].globals.push(COUNTER);
                continue;
            }
            self.instances[at].globals.push(self.globals.len());
            self.add_global(info.globals[index].ty, bits);
        }
        for (own, init) in info.table_inits.iter().enumerate() {
            if let Some(init) = init {
                let value = self.constant(at, *init);
                let table = self.instances[at].tables[own_tables + own];
                self.tables[table].elements.fill(value);
            }
        }
        self.fill(at)
    }

    fn constant(&self, at: usize, expr: ConstExpr) -> u64 {
        let ops = self.instances[at].code.info.const_ops(expr);
        const_expr::eval(ops, &mut Vec::new(), &mut Consts { store: self, at }) as u64
    }

    /// The elements of every segment, and what the active ones do, in order.
    fn fill(&mut self, at: usize) -> Result<(), Refused> {
        let code = self.instances[at].code.clone();
        let info = &code.info;
        for segment in &info.elements {
            let state = &self.instances[at];
            let elements = match (&segment.mode, &segment.items) {
                (SegmentMode::Declared, _) => Vec::new(),
                (_, ElementItems::Funcs(funcs)) => funcs
                    .iter()
                    .map(|&index| match index {
                        ElementItems::NULL => 0,
                        index => state.reference(at, index).bits(),
                    })
                    .collect(),
                (_, ElementItems::Exprs(exprs)) => {
                    exprs.iter().map(|&expr| self.constant(at, expr)).collect()
                }
            };
            self.instances[at].elems.push(elements);
        }
        for number in 0..info.elements.len() {
            if let SegmentMode::Active { target, offset } = info.elements[number].mode {
                let to = self.constant(at, offset);
                let elements = std::mem::take(&mut self.instances[at].elems[number]);
                let table = self.instances[at].tables[target as usize];
                self.table_write(table, to, &elements)?;
            }
        }
        for number in 0..info.data.len() {
            if let SegmentMode::Active { target, offset } = info.data[number].mode {
                let to = self.constant(at, offset);
                let memory = self.instances[at].memories[target as usize];
                let memory = &mut self.memories[memory];
                let bytes = std::mem::take(&mut self.instances[at].data[number]);
                let to = range(to, bytes.len() as u64, memory.bytes.len()).ok_or(MEMORY)?;
                memory.write(to).copy_from_slice(&bytes);
            }
        }
        Ok(())
    }

    /// Calls a function.
    ///
    /// # Errors
    /// When it traps or the steps are used up, which are those of the function's own instance, or when there
    /// is no room for calls inside of each other ([`Store::take_exhausted`]).
    ///
    /// # Panics
    /// When there is no such function.
    pub fn call(
        &mut self,
        reference: Reference,
        args: &[u64],
        steps: u64,
    ) -> Result<Vec<u64>, Stop> {
        if self.nested >= MAX_NESTED {
            self.exhausted = true;
            return Err(Stop::Trap(ENDS));
        }
        self.nested += 1;
        let depth = self.pace.depth;
        let mut result = self.call_here(reference, args, steps);
        while let (Ok(_), Some((reference, args))) = (&result, self.tail.take()) {
            result = self.call_here(reference, &args, steps);
        }
        self.pace.depth = depth;
        self.nested -= 1;
        result
    }

    fn call_here(
        &mut self,
        reference: Reference,
        args: &[u64],
        steps: u64,
    ) -> Result<Vec<u64>, Stop> {
        match reference {
            Reference::Host(number) => {
                self.pace.region_end()?;
                let host = self.host.clone().expect("who has functions of a host has a host");
                Ok(host.call(self, number, args)?)
            }
            Reference::Func { instance, func } => {
                eval::run(&mut Running::new(self, instance as usize), func, args, steps)
            }
        }
    }

    /// [`Store::call`] from inside of another one.
    pub(super) fn call_inside(
        &mut self,
        reference: Reference,
        args: &[u64],
    ) -> Result<Vec<u64>, TrapCode> {
        self.call(reference, args, u64::MAX).map_err(|stop| match stop {
            Stop::Trap(code) => code,
            Stop::Steps => ENDS,
        })
    }

    /// Whether a call has failed, since this was asked last, because there was no room for it.
    pub fn take_exhausted(&mut self) -> bool {
        std::mem::take(&mut self.exhausted)
    }

    /// Counts, unless that would be more than is allowed.
    ///
    /// # Errors
    /// When the run is to end there.
    pub(super) fn count(&mut self, counter: u64) -> Result<(), TrapCode> {
        while counter > self.pace.limit {
            match &self.host {
                Some(host) if !self.pace.probes => host.clone().pause(self)?,
                _ => return Err(ENDS),
            }
        }
        self.pace.counter = counter;
        Ok(())
    }

    /// A copy of what guests can change.
    pub fn save(&self) -> Saved {
        Saved {
            memories: self.memories.clone(),
            tables: self.tables.clone(),
            globals: self.globals.clone(),
            data: self.instances.iter().map(|state| state.data.clone()).collect(),
            elems: self.instances.iter().map(|state| state.elems.clone()).collect(),
        }
    }

    /// Undoes what guests have done since.
    pub fn restore(&mut self, saved: Saved) {
        self.memories = saved.memories;
        self.tables = saved.tables;
        self.globals = saved.globals;
        let segments = saved.data.into_iter().zip(saved.elems);
        for (state, segments) in self.instances.iter_mut().zip(segments) {
            (state.data, state.elems) = segments;
        }
    }

    /// The type of a function.
    ///
    /// # Panics
    /// When there is no such function.
    pub fn signature(&self, reference: Reference) -> &Signature {
        match reference {
            Reference::Host(number) => &self.hosts[number as usize],
            Reference::Func { instance, func } => {
                self.instances[instance as usize].code.info.signature(func)
            }
        }
    }

    /// Writes into a memory on behalf of the host, where it is long enough.
    pub fn write(&mut self, memory: usize, at: u64, bytes: &[u8]) {
        let memory = &mut self.memories[memory].bytes;
        if let Some(range) = range(at, bytes.len() as u64, memory.len()) {
            memory[range].copy_from_slice(bytes);
        }
    }

    /// Sets a global.
    pub fn global_set(&mut self, global: usize, bits: u64) {
        self.globals[global] = bits;
    }

    /// Grows a memory by `delta` pages: the pages before, or nothing where limits exclude it.
    pub fn memory_grow(&mut self, memory: usize, delta: u64) -> Option<u64> {
        self.memories[memory].grow(delta)
    }

    /// The same for a guest: `u64::MAX` where limits, or the limiter, exclude it.
    ///
    /// # Errors
    /// When the limiter fails.
    pub(super) fn grow_for_guest(&mut self, memory: usize, delta: u64) -> Result<u64, TrapCode> {
        let memory = &mut self.memories[memory];
        self.pace.limited(|| memory.grow(delta))
    }

    /// Grows a table by `delta` elements, which are `init`: the elements before, or nothing where limits
    /// exclude it.
    pub fn table_grow(&mut self, table: usize, delta: u64, init: u64) -> Option<u64> {
        self.tables[table].grow(delta, init)
    }

    /// The same for a guest, as for memories.
    ///
    /// # Errors
    /// When the limiter fails.
    pub(super) fn grow_table_for_guest(
        &mut self,
        table: usize,
        delta: u64,
        init: u64,
    ) -> Result<u64, TrapCode> {
        let table = &mut self.tables[table];
        self.pace.limited(|| table.grow(delta, init))
    }

    /// Sets `len` elements of a table.
    ///
    /// # Errors
    /// When they are not all there.
    pub fn table_fill(
        &mut self,
        table: usize,
        at: u64,
        value: u64,
        len: u64,
    ) -> Result<(), TrapCode> {
        self.elements(table, at, len)?.fill(value);
        Ok(())
    }

    /// Copies elements between tables, or within one.
    ///
    /// # Errors
    /// When they are not all there.
    pub fn table_copy(
        &mut self,
        to: usize,
        at: u64,
        table: usize,
        from: u64,
        len: u64,
    ) -> Result<(), TrapCode> {
        let source = &self.tables[table].elements;
        let copied = source[range(from, len, source.len()).ok_or(TABLE)?].to_vec();
        self.table_write(to, at, &copied)
    }

    pub(super) fn table_write(
        &mut self,
        table: usize,
        at: u64,
        elements: &[u64],
    ) -> Result<(), TrapCode> {
        self.elements(table, at, elements.len() as u64)?.copy_from_slice(elements);
        Ok(())
    }

    /// Elements that are about to be set.
    fn elements(&mut self, table: usize, at: u64, len: u64) -> Result<&mut [u64], TrapCode> {
        let table = &mut self.tables[table];
        let range = range(at, len, table.elements.len()).ok_or(TABLE)?;
        table.changed = true;
        Ok(&mut table.elements[range])
    }

    /// The pages of [`DIRTY_PAGE`] bytes of a memory that guests have written since this was asked last,
    /// ascending.
    pub fn take_dirty(&mut self, memory: usize) -> Vec<u64> {
        let memory = &mut self.memories[memory];
        memory.is_dirty.clear();
        let mut dirty = std::mem::take(&mut memory.dirty);
        dirty.sort_unstable();
        dirty
    }

    /// The elements of a table, if any has been set since this was asked last.
    pub fn take_changed(&mut self, table: usize) -> Option<&[u64]> {
        let table = &mut self.tables[table];
        std::mem::take(&mut table.changed).then_some(&table.elements[..])
    }

    /// How many memories there are.
    pub fn memories(&self) -> usize {
        self.memories.len()
    }

    /// How many tables there are.
    pub fn tables(&self) -> usize {
        self.tables.len()
    }

    /// The content of a memory.
    pub fn memory(&self, memory: usize) -> &[u8] {
        &self.memories[memory].bytes
    }

    /// The elements of a table.
    pub fn table(&self, table: usize) -> &[u64] {
        &self.tables[table].elements
    }

    /// The type of the elements of a table.
    pub fn element_type(&self, table: usize) -> Type {
        self.tables[table].element
    }

    /// The bits of all globals.
    pub fn globals(&self) -> &[u64] {
        &self.globals
    }

    /// The types of all globals.
    pub fn global_types(&self) -> &[Type] {
        &self.global_types
    }

    /// How many instances there are.
    pub fn instances(&self) -> usize {
        self.instances.len()
    }
}

impl State {
    /// What a frame of function `index` counts, which is its own.
    pub(super) fn depth(&self, index: u32) -> u32 {
        self.code.depths[(index - self.code.info.imported_funcs()) as usize]
    }

    /// Function `index` of this instance, which is number `at`.
    pub(super) fn reference(&self, at: usize, index: u32) -> Reference {
        match self.imports.get(index as usize) {
            Some(&import) => import,
            None => Reference::Func { instance: at as u32, func: index },
        }
    }
}
