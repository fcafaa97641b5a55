//! Calls of all kinds.
//!
//! Indirect calls take the table index as their first argument. Tail calls end a block.

use crate::body::Cx;
use crate::module::ModuleInfo;
use runwell_ir::{Inst, Op, SigRef};

impl Cx {
    /// `call`.
    pub(crate) fn call(&mut self, module: &ModuleInfo, callee: u32) {
        let ty = module.funcs[callee as usize];
        self.pop_args(module.types[ty as usize].params.len());
        self.emit_call(Op::Call, callee, 0, ty);
    }

    /// `call_indirect`.
    pub(crate) fn call_indirect(&mut self, module: &ModuleInfo, ty: u32, table: u32) {
        self.pop_indirect(module, ty);
        self.emit_call(Op::CallIndirect, ty, table, ty);
    }

    /// `return_call`.
    pub(crate) fn return_call(&mut self, module: &ModuleInfo, callee: u32) {
        let ty = module.funcs[callee as usize];
        self.pop_args(module.types[ty as usize].params.len());
        self.emit_return_call(Op::ReturnCall, callee, 0, ty);
    }

    /// `return_call_indirect`.
    pub(crate) fn return_call_indirect(&mut self, module: &ModuleInfo, ty: u32, table: u32) {
        self.pop_indirect(module, ty);
        self.emit_return_call(Op::ReturnCallIndirect, ty, table, ty);
    }

    /// Takes the index into the table and the arguments, which lie below it.
    fn pop_indirect(&mut self, module: &ModuleInfo, ty: u32) {
        let index = self.pop();
        self.pop_args(module.types[ty as usize].params.len());
        self.args.insert(0, index);
    }

    fn emit_call(&mut self, op: Op, callee: u32, table: u32, ty: u32) {
        self.results.clear();
        self.b.call(op, callee, table as u16, SigRef(ty), &self.args, &mut self.results);
        self.stack.extend_from_slice(&self.results);
        self.extra += self.results.len();
    }

    fn emit_return_call(&mut self, op: Op, callee: u32, table: u32, ty: u32) {
        let (start, len) = self.b.func.push_call(SigRef(ty), &self.args);
        let ty = runwell_abi::Type::I32;
        self.b.end_block(Inst::new(op, ty, table as u16, start, len, callee));
        self.reachable = false;
    }
}
