//! Runs a module by the meaning of the IR alone.
//!
//! [`Code`] is a module as IR, by default without any rewrite of the optimiser; an [`Instance`] runs
//! it. Functions that are imported are a [`Host`]'s.

use runwell_abi::{LibCall, TrapCode, Type};
use runwell_ir::Function;
use runwell_ir::eval::{self, Env, Stop};
use runwell_wasm::{
    ConstEnv, ConstExpr, ElementItems, ExternKind, Limits, ModuleInfo, Parsed, Passes, SegmentMode,
    Translator, const_expr,
};
use std::rc::Rc;

const PAGE: u64 = 1 << 16;
/// The most pages of a memory with 64-bit addresses: what the runtime gives.
const MAX_PAGES_64: u64 = 1 << 18;
/// Bytes of the pages of which it is known whether they have been written.
pub const DIRTY_PAGE: u64 = 4096;

/// What an instance asks of its host.
pub trait Host {
    /// Calls imported function `index`.
    ///
    /// # Errors
    /// When it traps.
    fn call(&self, instance: &mut Instance, index: u32, args: &[u64])
    -> Result<Vec<u64>, TrapCode>;

    /// Whether to go on; asked now and then.
    fn goes_on(&self) -> bool {
        true
    }
}

struct Table {
    elements: Vec<u64>,
    max: u64,
    changed: bool,
}

struct Memory {
    bytes: Vec<u8>,
    max_pages: u64,
    /// Pages that have been written, each once.
    dirty: Vec<u64>,
    is_dirty: Vec<bool>,
}

impl Memory {
    /// The bytes at `range`, which are about to be written.
    fn write(&mut self, range: std::ops::Range<usize>) -> &mut [u8] {
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

/// A module as IR.
pub struct Code {
    info: ModuleInfo,
    funcs: Vec<Rc<Function>>,
    /// Contents of the data segments.
    data: Vec<Vec<u8>>,
}

impl Code {
    /// Translates a module with these rewrites of the optimiser.
    ///
    /// # Errors
    /// When it is invalid, unsupported, too large or has imports.
    pub fn new(bytes: &[u8], passes: Passes) -> Result<Code, Refused> {
        let code = Code::with_imports(bytes, passes)?;
        if !code.info.imports.is_empty() {
            return Err(Refused::Module("the oracle has nothing to import".to_string()));
        }
        Ok(code)
    }

    /// Translates a module that may import functions and globals.
    ///
    /// # Errors
    /// When it is invalid, unsupported, too large or imports memories or tables.
    pub fn with_imports(bytes: &[u8], passes: Passes) -> Result<Code, Refused> {
        let parsed = Parsed::parse(bytes, &Limits::default())?;
        let mut translator = Translator::with_passes(passes);
        let mut funcs = Vec::new();
        for own in 0..parsed.info.bodies.len() {
            let func = translator.translate(&parsed.info, &parsed.validation, bytes, own)?;
            runwell_ir::verify::verify(func).map_err(Refused::Module)?;
            funcs.push(Rc::new(func.clone()));
        }
        let info = parsed.info;
        let imported = |kind| info.imports.iter().any(|import| import.ty.kind() == kind);
        if imported(ExternKind::Memory) || imported(ExternKind::Table) {
            let message = "the oracle has no memories and tables to import";
            return Err(Refused::Module(message.to_string()));
        }
        let content = |range: &std::ops::Range<u32>| range.start as usize..range.end as usize;
        let data = info.data.iter().map(|d| bytes[content(&d.bytes)].to_vec()).collect();
        Ok(Code { info, funcs, data })
    }

    /// What is known of the module.
    pub fn info(&self) -> &ModuleInfo {
        &self.info
    }
}

/// An instance of a module.
pub struct Instance {
    code: Rc<Code>,
    memories: Vec<Memory>,
    tables: Vec<Table>,
    globals: Vec<u64>,
    data: Vec<Vec<u8>>,
    elems: Vec<Vec<u64>>,
    host: Option<Rc<dyn Host>>,
}

/// Why there is no instance.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Refused {
    /// The module is invalid, unsupported or too large.
    Module(String),
    /// A segment is out of bounds or the start function stopped.
    Start(Stop),
}

impl From<runwell_wasm::Error> for Refused {
    fn from(error: runwell_wasm::Error) -> Refused {
        Refused::Module(error.to_string())
    }
}

impl From<TrapCode> for Refused {
    fn from(code: TrapCode) -> Refused {
        Refused::Start(Stop::Trap(code))
    }
}

/// A reference to function `index`: not null, told apart from other numbers.
fn reference(index: u32) -> u64 {
    u64::from(index) + 1
}

struct Consts<'a>(&'a [u64]);

impl ConstEnv for Consts<'_> {
    fn global(&mut self, index: u32) -> u128 {
        u128::from(self.0[index as usize])
    }

    fn func(&mut self, index: u32) -> u128 {
        u128::from(reference(index))
    }
}

impl Instance {
    /// Instantiates a module without imports, translated without rewrites. `steps` bounds its start
    /// function.
    ///
    /// # Errors
    /// When the module is refused, a segment is out of bounds or the start function stops.
    pub fn new(bytes: &[u8], steps: u64) -> Result<Instance, Refused> {
        Instance::of(&Rc::new(Code::new(bytes, Passes::NONE)?), steps)
    }

    /// Instantiates a translated module. `steps` bounds its start function.
    ///
    /// # Errors
    /// When a segment is out of bounds or the start function stops.
    pub fn of(code: &Rc<Code>, steps: u64) -> Result<Instance, Refused> {
        let mut instance = Instance::filled(code, Vec::new(), None)?;
        if let Some(start) = code.info.start {
            eval::run(&mut instance, start, &[], steps).map_err(Refused::Start)?;
        }
        Ok(instance)
    }

    /// Makes an instance without running its start function. `globals` are the values of those that it
    /// imports, `host` has the functions.
    ///
    /// # Errors
    /// When a segment is out of bounds.
    pub fn filled(
        code: &Rc<Code>,
        globals: Vec<u64>,
        host: Option<Rc<dyn Host>>,
    ) -> Result<Instance, Refused> {
        let info = &code.info;
        let mut instance = Instance {
            memories: info
                .memories
                .iter()
                .map(|ty| Memory {
                    bytes: vec![0; (ty.min * PAGE) as usize],
                    max_pages: {
                        let most = if ty.memory64 { MAX_PAGES_64 } else { PAGE };
                        ty.max.unwrap_or(most).min(most)
                    },
                    dirty: Vec::new(),
                    is_dirty: Vec::new(),
                })
                .collect(),
            tables: info
                .tables
                .iter()
                .map(|ty| Table {
                    elements: vec![0; ty.min as usize],
                    max: ty.max.unwrap_or(10_000_000).min(10_000_000),
                    changed: true,
                })
                .collect(),
            globals,
            host,
            data: code.data.clone(),
            elems: Vec::new(),
            code: code.clone(),
        };
        instance.fill()?;
        Ok(instance)
    }

    fn constant(&self, expr: ConstExpr) -> u64 {
        let ops = self.code.info.const_ops(expr);
        const_expr::eval(ops, &mut Vec::new(), &mut Consts(&self.globals)) as u64
    }

    fn fill(&mut self) -> Result<(), Refused> {
        let code = self.code.clone();
        let info = &code.info;
        for at in 0..info.global_inits.len() {
            let value = self.constant(info.global_inits[at]);
            self.globals.push(value);
        }
        for at in 0..info.table_inits.len() {
            if let Some(init) = info.table_inits[at] {
                let value = self.constant(init);
                self.tables[at].elements.fill(value);
            }
        }
        for segment in &info.elements {
            let elements = match (&segment.mode, &segment.items) {
                (SegmentMode::Declared, _) => Vec::new(),
                (_, ElementItems::Funcs(funcs)) => funcs
                    .iter()
                    .map(|&index| match index {
                        ElementItems::NULL => 0,
                        index => reference(index),
                    })
                    .collect(),
                (_, ElementItems::Exprs(exprs)) => {
                    exprs.iter().map(|&expr| self.constant(expr)).collect()
                }
            };
            self.elems.push(elements);
        }
        for at in 0..info.elements.len() {
            if let SegmentMode::Active { target, offset } = info.elements[at].mode {
                let (to, len) = (self.constant(offset), self.elems[at].len() as u64);
                let what = u64::from(target) | (at as u64) << 32;
                self.libcall(LibCall::TableInit, &[what, to, 0, len])?;
                self.elems[at].clear();
            }
        }
        for at in 0..info.data.len() {
            if let SegmentMode::Active { target, offset } = info.data[at].mode {
                let (to, len) = (self.constant(offset), self.data[at].len() as u64);
                let what = u64::from(target) | (at as u64) << 32;
                self.libcall(LibCall::MemoryInit, &[what, to, 0, len])?;
                self.data[at].clear();
            }
        }
        Ok(())
    }

    /// Calls an exported function.
    ///
    /// # Errors
    /// When it traps or the steps are used up.
    ///
    /// # Panics
    /// When there is no such function.
    pub fn call(&mut self, export: &str, args: &[u64], steps: u64) -> Result<Vec<u64>, Stop> {
        let export = self.code.info.export(export).expect("an export");
        assert_eq!(export.kind, ExternKind::Func);
        let index = export.index;
        eval::run(self, index, args, steps)
    }

    /// Calls function `index`.
    ///
    /// # Errors
    /// When it traps, the steps are used up or the host does not want it to go on.
    ///
    /// # Panics
    /// When there is no such function.
    pub fn call_index(&mut self, index: u32, args: &[u64], steps: u64) -> Result<Vec<u64>, Stop> {
        eval::run(self, index, args, steps)
    }

    /// Writes into memory `index` on behalf of the host, where it is long enough.
    pub fn write(&mut self, index: usize, at: u64, bytes: &[u8]) {
        let memory = &mut self.memories[index].bytes;
        if let Some(range) = range(at, bytes.len() as u64, memory.len()) {
            memory[range].copy_from_slice(bytes);
        }
    }

    /// The pages of [`DIRTY_PAGE`] bytes of memory `index` that have been written since this was asked
    /// last, ascending.
    pub fn take_dirty(&mut self, index: usize) -> Vec<u64> {
        let memory = &mut self.memories[index];
        memory.is_dirty.clear();
        let mut dirty = std::mem::take(&mut memory.dirty);
        dirty.sort_unstable();
        dirty
    }

    /// The elements of table `index`, if any has been set since this was asked last: numbers of functions
    /// and one, or what the host has given out.
    pub fn take_changed(&mut self, index: usize) -> Option<&[u64]> {
        let table = &mut self.tables[index];
        std::mem::take(&mut table.changed).then_some(&table.elements[..])
    }

    /// The bits of all globals.
    pub fn globals(&self) -> &[u64] {
        &self.globals
    }

    /// The content of memory `index`.
    pub fn memory(&self, index: usize) -> &[u8] {
        &self.memories[index].bytes
    }

    /// The bits of global `index`, unless it is a reference.
    pub fn global(&self, index: usize) -> Option<u64> {
        (!self.code.info.globals[index].ty.is_ref()).then(|| self.globals[index])
    }

    /// The bits of global `index`; of a reference only whether it is null are to be relied on.
    pub fn raw_global(&self, index: usize) -> u64 {
        self.globals[index]
    }

    /// For each element of table `index`, whether it is null.
    pub fn table_nulls(&self, index: usize) -> Vec<bool> {
        self.tables[index].elements.iter().map(|&element| element == 0).collect()
    }

    /// What is known of the module.
    pub fn info(&self) -> &ModuleInfo {
        &self.code.info
    }
}

/// The range `at..at + len` if it is inside of `size`.
fn range(at: u64, len: u64, size: usize) -> Option<std::ops::Range<usize>> {
    let end = at.checked_add(len)?;
    (end <= size as u64).then_some(at as usize..end as usize)
}

const MEMORY: TrapCode = TrapCode::MemoryOutOfBounds;
const TABLE: TrapCode = TrapCode::TableOutOfBounds;

impl Env for Instance {
    fn function(&self, index: u32) -> Option<Rc<Function>> {
        let own = index.checked_sub(self.code.info.imported_funcs())?;
        self.code.funcs.get(own as usize).cloned()
    }

    fn call_import(&mut self, index: u32, args: &[u64]) -> Result<Vec<u64>, TrapCode> {
        let host = self.host.clone().expect("only a module without imports does without a host");
        host.call(self, index, args)
    }

    fn goes_on(&self) -> bool {
        self.host.as_ref().is_none_or(|host| host.goes_on())
    }

    fn callee(&mut self, reference: u64, ty: u32) -> Result<u32, TrapCode> {
        let index = reference.checked_sub(1).ok_or(TrapCode::IndirectCallToNull)? as u32;
        let same = *self.code.info.signature(index) == self.code.info.types[ty as usize];
        if same { Ok(index) } else { Err(TrapCode::BadSignature) }
    }

    fn load(&mut self, mem: u16, addr: u64, offset: u32, bytes: u32) -> Result<u64, TrapCode> {
        let memory = &self.memories[usize::from(mem)].bytes;
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
        let memory = &mut self.memories[usize::from(mem)];
        let at = addr.checked_add(offset.into()).ok_or(MEMORY)?;
        let range = range(at, bytes.into(), memory.bytes.len()).ok_or(MEMORY)?;
        memory.write(range).copy_from_slice(&value.to_le_bytes()[..bytes as usize]);
        Ok(())
    }

    fn mem_size(&mut self, mem: u16) -> u64 {
        self.memories[usize::from(mem)].bytes.len() as u64 / PAGE
    }

    fn global_get(&mut self, index: u32) -> u64 {
        self.globals[index as usize]
    }

    fn global_set(&mut self, index: u32, value: u64) {
        self.globals[index as usize] = value;
    }

    fn table_get(&mut self, table: u16, index: u64) -> Result<u64, TrapCode> {
        let elements = &self.tables[usize::from(table)].elements;
        let range = range(index, 1, elements.len()).ok_or(TABLE)?;
        Ok(elements[range.start])
    }

    fn table_set(&mut self, table: u16, index: u64, value: u64) -> Result<(), TrapCode> {
        let table = &mut self.tables[usize::from(table)];
        let range = range(index, 1, table.elements.len()).ok_or(TABLE)?;
        table.changed = true;
        table.elements[range.start] = value;
        Ok(())
    }

    fn table_size(&mut self, table: u16) -> u64 {
        self.tables[usize::from(table)].elements.len() as u64
    }

    fn ref_func(&mut self, index: u32) -> u64 {
        reference(index)
    }

    fn libcall(&mut self, helper: LibCall, args: &[u64]) -> Result<u64, TrapCode> {
        let low = (args[0] & 0xffff_ffff) as usize;
        let high = (args[0] >> 32) as usize;
        match helper {
            LibCall::MemoryGrow => {
                let memory = &mut self.memories[low];
                let old = memory.bytes.len() as u64 / PAGE;
                let new = old.saturating_add(args[1]);
                if new > memory.max_pages {
                    return Ok(u64::MAX);
                }
                memory.bytes.resize((new * PAGE) as usize, 0);
                Ok(old)
            }
            LibCall::MemoryFill => {
                let memory = &mut self.memories[low];
                let range = range(args[1], args[3], memory.bytes.len()).ok_or(MEMORY)?;
                memory.write(range).fill(args[2] as u8);
                Ok(0)
            }
            LibCall::MemoryCopy => {
                let source = &self.memories[high].bytes;
                let from = range(args[2], args[3], source.len()).ok_or(MEMORY)?;
                let copied = source[from].to_vec();
                let memory = &mut self.memories[low];
                let to = range(args[1], args[3], memory.bytes.len()).ok_or(MEMORY)?;
                memory.write(to).copy_from_slice(&copied);
                Ok(0)
            }
            LibCall::MemoryInit => {
                let segment = &self.data[high];
                let from = range(args[2], args[3], segment.len()).ok_or(MEMORY)?;
                let memory = &mut self.memories[low];
                let to = range(args[1], args[3], memory.bytes.len()).ok_or(MEMORY)?;
                memory.write(to).copy_from_slice(&segment[from]);
                Ok(0)
            }
            LibCall::DataDrop => {
                self.data[low].clear();
                Ok(0)
            }
            LibCall::TableGrow => {
                let table = &mut self.tables[low];
                let old = table.elements.len() as u64;
                let new = old.saturating_add(args[2]);
                if new > table.max {
                    return Ok(u64::MAX);
                }
                table.changed = true;
                table.elements.resize(new as usize, args[1]);
                Ok(old)
            }
            LibCall::TableFill => {
                self.tables[low].changed = true;
                let elements = &mut self.tables[low].elements;
                let range = range(args[1], args[3], elements.len()).ok_or(TABLE)?;
                elements[range].fill(args[2]);
                Ok(0)
            }
            LibCall::TableCopy => {
                let source = &self.tables[high].elements;
                let from = range(args[2], args[3], source.len()).ok_or(TABLE)?;
                let copied = source[from].to_vec();
                self.tables[low].changed = true;
                let elements = &mut self.tables[low].elements;
                let to = range(args[1], args[3], elements.len()).ok_or(TABLE)?;
                elements[to].copy_from_slice(&copied);
                Ok(0)
            }
            LibCall::TableInit => {
                let segment = &self.elems[high];
                let from = range(args[2], args[3], segment.len()).ok_or(TABLE)?;
                self.tables[low].changed = true;
                let elements = &mut self.tables[low].elements;
                let to = range(args[1], args[3], elements.len()).ok_or(TABLE)?;
                elements[to].copy_from_slice(&segment[from]);
                Ok(0)
            }
            LibCall::ElemDrop => {
                self.elems[low].clear();
                Ok(0)
            }
        }
    }
}

/// True if values of this type can be passed in and compared.
pub fn is_plain(ty: Type) -> bool {
    ty.is_int() || ty.is_float()
}
