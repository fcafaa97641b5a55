//! Tables: elements, sizes, bulk operations.

use crate::body::Cx;
use crate::module::ModuleInfo;
use runwell_abi::{LibCall, Type};

/// The type of indices and sizes of a table.
fn index_type(module: &ModuleInfo, table: u32) -> Type {
    if module.tables[table as usize].table64 { Type::I64 } else { Type::I32 }
}

impl Cx {
    /// `table.get`.
    pub(crate) fn table_get(&mut self, module: &ModuleInfo, table: u32) {
        let index = self.pop();
        let ty = module.tables[table as usize].element;
        let value = self.b.table_get(ty, table as u16, index);
        self.push(value);
    }

    /// `table.set`.
    pub(crate) fn table_set(&mut self, module: &ModuleInfo, table: u32) {
        let (index, value) = self.pop2();
        let ty = module.tables[table as usize].element;
        self.b.table_set(ty, table as u16, index, value);
    }

    /// `table.size`.
    pub(crate) fn table_size(&mut self, module: &ModuleInfo, table: u32) {
        let value = self.b.table_size(index_type(module, table), table as u16);
        self.push(value);
    }

    /// `table.grow`.
    pub(crate) fn table_grow(&mut self, module: &ModuleInfo, table: u32) {
        let (init, delta) = self.pop2();
        if self.scan.meter.is_on() {
            let len = self.widened(delta);
            self.charge_elements(len);
        }
        let index = self.number(table.into());
        let ty = index_type(module, table);
        let value = self.b.libcall(LibCall::TableGrow, Some(ty), &[index, init, delta]);
        self.push(value.expect("a helper with a result"));
    }

    /// `table.fill`.
    pub(crate) fn table_fill(&mut self, table: u32) {
        self.bulk(LibCall::TableFill, table.into());
    }

    /// `table.copy`.
    pub(crate) fn table_copy(&mut self, to: u32, from: u32) {
        self.bulk(LibCall::TableCopy, u64::from(to) | u64::from(from) << 32);
    }

    /// `table.init`.
    pub(crate) fn table_init(&mut self, segment: u32, table: u32) {
        self.bulk(LibCall::TableInit, u64::from(table) | u64::from(segment) << 32);
    }

    /// `elem.drop`.
    pub(crate) fn elem_drop(&mut self, segment: u32) {
        let index = self.number(segment.into());
        self.b.libcall(LibCall::ElemDrop, None, &[index]);
    }
}
