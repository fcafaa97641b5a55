//! Globals and references.

use crate::body::Cx;
use crate::module::ModuleInfo;
use runwell_abi::Type;
use runwell_ir::Op;

impl Cx {
    /// `global.get`.
    #[inline]
    pub(crate) fn global_get(&mut self, module: &ModuleInfo, index: u32) {
        let value = self.b.global_get(module.globals[index as usize].ty, index);
        self.push(value);
    }

    /// `global.set`.
    #[inline]
    pub(crate) fn global_set(&mut self, module: &ModuleInfo, index: u32) {
        let value = self.pop();
        self.b.global_set(module.globals[index as usize].ty, index, value);
    }

    /// `ref.null`.
    pub(crate) fn ref_null(&mut self, ty: Type) {
        let value = self.b.null(ty);
        self.push(value);
    }

    /// `ref.is_null`.
    pub(crate) fn ref_is_null(&mut self) {
        let value = self.pop();
        let ty = self.b.func.value_type(value);
        let value = self.b.unary(Op::Eqz, ty, value);
        self.push(value);
    }

    /// `ref.func`.
    pub(crate) fn ref_func(&mut self, index: u32) {
        let value = self.b.ref_func(index);
        self.push(value);
    }
}
