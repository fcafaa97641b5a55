//! Locals, globals, memories, tables, segments and references.

use super::types::{Code, FUNC_REF, I32, I64, code};
use super::{Result, Validator};
use crate::section::heap_type;
use wasmparser::{HeapType, MemArg, MemArgTarget, RefType, ValType, WasmModuleResources};

/// The type of addresses or indices.
fn index_type(is_64: bool) -> Code {
    if is_64 { I64 } else { I32 }
}

/// The type of lengths where two index types meet: the narrower one.
fn length_type(a: Code, b: Code) -> Code {
    if a == I32 { I32 } else { b }
}

impl Validator<'_> {
    #[inline]
    fn local(&self, index: u32) -> Result<Code> {
        match self.locals.get(index, self.types) {
            Some(ty) => Ok(ty),
            None => self.fail(format!("unknown local {index}: local index out of bounds")),
        }
    }

    /// `local.get`.
    #[inline]
    pub(super) fn local_get(&mut self, index: u32) -> Result<()> {
        let ty = self.local(index)?;
        self.give(ty)
    }

    /// `local.set`.
    #[inline]
    pub(super) fn local_set(&mut self, index: u32) -> Result<()> {
        let ty = self.local(index)?;
        self.pop(ty)
    }

    /// `local.tee`.
    #[inline]
    pub(super) fn local_tee(&mut self, index: u32) -> Result<()> {
        let ty = self.local(index)?;
        self.apply([ty], ty)
    }

    /// `global.get`.
    #[inline]
    pub(super) fn global_get(&mut self, index: u32) -> Result<()> {
        match self.module.globals.get(index as usize) {
            Some(global) => self.give(code(global.ty)),
            None => self.fail("unknown global: global index out of bounds"),
        }
    }

    /// `global.set`.
    #[inline]
    pub(super) fn global_set(&mut self, index: u32) -> Result<()> {
        match self.module.globals.get(index as usize) {
            Some(global) if global.mutable => self.pop(code(global.ty)),
            Some(_) => self.fail("global is immutable: cannot modify it with `global.set`"),
            None => self.fail("unknown global: global index out of bounds"),
        }
    }

    /// The type of the addresses of a memory.
    #[inline]
    fn memory(&self, index: u32) -> Result<Code> {
        match self.module.memories.get(index as usize) {
            Some(memory) => Ok(index_type(memory.memory64)),
            None => self.fail(format!("unknown memory {index}")),
        }
    }

    /// The type of the address of an access.
    #[inline]
    fn address(&self, arg: &MemArg) -> Result<Code> {
        if arg.align > arg.max_align {
            return self.fail("invalid memop alignment: alignment must not be larger than natural");
        }
        // Accesses to arrays are not decoded while their proposal is off.
        let (MemArgTarget::Memory(index) | MemArgTarget::Array(index)) = arg.target;
        let address = self.memory(index)?;
        if arg.offset > u64::from(u32::MAX) && address == I32 {
            return self.fail("offset out of range: must be <= 2**32");
        }
        Ok(address)
    }

    /// A load of a `ty`.
    #[inline]
    pub(super) fn load(&mut self, arg: &MemArg, ty: Code) -> Result<()> {
        let address = self.address(arg)?;
        self.apply([address], ty)
    }

    /// A store of a `ty`.
    #[inline]
    pub(super) fn store(&mut self, arg: &MemArg, ty: Code) -> Result<()> {
        let address = self.address(arg)?;
        self.pop_all([address, ty])
    }

    /// `memory.size`.
    pub(super) fn memory_size(&mut self, memory: u32) -> Result<()> {
        let address = self.memory(memory)?;
        self.give(address)
    }

    /// `memory.grow`.
    pub(super) fn memory_grow(&mut self, memory: u32) -> Result<()> {
        let address = self.memory(memory)?;
        self.apply([address], address)
    }

    /// `memory.init`.
    pub(super) fn memory_init(&mut self, segment: u32, memory: u32) -> Result<()> {
        let address = self.memory(memory)?;
        self.data_segment(segment)?;
        self.pop_all([address, I32, I32])
    }

    /// `memory.copy`.
    pub(super) fn memory_copy(&mut self, to: u32, from: u32) -> Result<()> {
        let to = self.memory(to)?;
        let from = self.memory(from)?;
        self.pop_all([to, from, length_type(from, to)])
    }

    /// `memory.fill`.
    pub(super) fn memory_fill(&mut self, memory: u32) -> Result<()> {
        let address = self.memory(memory)?;
        self.pop_all([address, I32, address])
    }

    /// `data.drop`, and what else names a data segment. There may be more of them only behind the
    /// code, so a section in front of it says how many there are.
    pub(super) fn data_segment(&self, index: u32) -> Result<()> {
        match self.validation.resources().and_then(WasmModuleResources::data_count) {
            None => self.fail("data count section required"),
            Some(count) if index < count => Ok(()),
            Some(_) => self.fail(format!("unknown data segment {index}")),
        }
    }

    /// The types of the elements and of the indices of a table.
    #[inline]
    pub(super) fn table(&self, index: u32) -> Result<(Code, Code)> {
        match self.module.tables.get(index as usize) {
            Some(table) => Ok((code(table.element), index_type(table.table64))),
            None => self.fail(format!("unknown table {index}: table index out of bounds")),
        }
    }

    /// The type of the items of an element segment.
    fn element_segment(&self, index: u32) -> Result<Code> {
        match self.module.elements.get(index as usize) {
            Some(segment) => Ok(code(segment.ty)),
            None => self.fail(format!("unknown elem segment {index}: segment index out of bounds")),
        }
    }

    /// `table.get`.
    pub(super) fn table_get(&mut self, table: u32) -> Result<()> {
        let (element, index) = self.table(table)?;
        self.apply([index], element)
    }

    /// `table.set`.
    pub(super) fn table_set(&mut self, table: u32) -> Result<()> {
        let (element, index) = self.table(table)?;
        self.pop_all([index, element])
    }

    /// `table.size`.
    pub(super) fn table_size(&mut self, table: u32) -> Result<()> {
        let (_, index) = self.table(table)?;
        self.give(index)
    }

    /// `table.grow`.
    pub(super) fn table_grow(&mut self, table: u32) -> Result<()> {
        let (element, index) = self.table(table)?;
        self.apply([element, index], index)
    }

    /// `table.fill`.
    pub(super) fn table_fill(&mut self, table: u32) -> Result<()> {
        let (element, index) = self.table(table)?;
        self.pop_all([index, element, index])
    }

    /// `table.copy`.
    pub(super) fn table_copy(&mut self, to: u32, from: u32) -> Result<()> {
        let (from_element, from) = self.table(from)?;
        let (to_element, to) = self.table(to)?;
        if from_element != to_element {
            return self.fail("type mismatch");
        }
        self.pop_all([to, from, length_type(from, to)])
    }

    /// `table.init`.
    pub(super) fn table_init(&mut self, segment: u32, table: u32) -> Result<()> {
        let (element, index) = self.table(table)?;
        if self.element_segment(segment)? != element {
            return self.fail("type mismatch");
        }
        self.pop_all([index, I32, I32])
    }

    /// `elem.drop`.
    pub(super) fn elem_drop(&mut self, segment: u32) -> Result<()> {
        self.element_segment(segment).map(|_| ())
    }

    /// `ref.null`.
    pub(super) fn ref_null(&mut self, heap: HeapType) -> Result<()> {
        match heap_type(heap) {
            Some(ty) => self.give(code(ty)),
            None => self.foreign(ValType::Ref(RefType::new(true, heap).unwrap_or(RefType::ANYREF))),
        }
    }

    /// `ref.is_null`.
    pub(super) fn ref_is_null(&mut self) -> Result<()> {
        self.pop_ref()?;
        self.give(I32)
    }

    /// `ref.func`. The module has to name the function outside of bodies as well.
    pub(super) fn ref_func(&mut self, index: u32) -> Result<()> {
        if index as usize >= self.module.funcs.len() {
            return self.fail(format!("unknown function {index}: function index out of bounds"));
        }
        let resources = self.validation.resources();
        if !resources.is_some_and(|resources| resources.is_function_referenced(index)) {
            return self.fail("undeclared function reference");
        }
        self.give(FUNC_REF)
    }

    /// `select` with a type.
    pub(super) fn typed_select(&mut self, ty: ValType) -> Result<()> {
        let ty = self.value(ty)?;
        self.apply([ty, ty, I32], ty)
    }
}
