//! Calls of all kinds.
//!
//! Indirect calls take the table index as their first argument. Tail calls end a block. Wide arguments
//! are values, or all at home and copied from there, see [`crate::home`]; wide results are at home. Narrow
//! arguments are values, unless most of them are at home only: then all are loaded from there at once.

use crate::body::Cx;
use crate::module::ModuleInfo;
use runwell_ir::{Inst, Op, SigRef, Signature};

/// The most narrow arguments that are loaded from their homes one by one: a call is two bytes.
const LOADED_ARGS: usize = 1;

impl Cx {
    /// `call`.
    pub(crate) fn call(&mut self, module: &ModuleInfo, callee: u32) {
        let ty = module.funcs[callee as usize];
        let passed = self.take_args(&module.types[ty as usize]);
        self.emit_call(module, Op::Call, callee, 0, ty, passed);
    }

    /// `call_indirect`.
    pub(crate) fn call_indirect(&mut self, module: &ModuleInfo, ty: u32, table: u32) {
        let passed = self.take_indirect(module, ty);
        self.emit_call(module, Op::CallIndirect, ty, table, ty, passed);
    }

    /// `return_call`.
    pub(crate) fn return_call(&mut self, module: &ModuleInfo, callee: u32) {
        let ty = module.funcs[callee as usize];
        let passed = self.take_args(&module.types[ty as usize]);
        self.emit_return_call(module, Op::ReturnCall, callee, 0, ty, passed);
    }

    /// `return_call_indirect`.
    pub(crate) fn return_call_indirect(&mut self, module: &ModuleInfo, ty: u32, table: u32) {
        let passed = self.take_indirect(module, ty);
        self.emit_return_call(module, Op::ReturnCallIndirect, ty, table, ty, passed);
    }

    /// Takes arguments off the stack: values to `args`, or, where wide ones or most of the narrow ones
    /// are at home, nothing but the number of their first home.
    fn take_args(&mut self, sig: &Signature) -> Option<u32> {
        let start = self.stack.len() - sig.params.len();
        let spread = || Cx::only_home(&self.stack[start..]) > LOADED_ARGS;
        if !(self.at_home(start) && (sig.wide_params() || spread())) {
            self.pop_args(sig.params.len());
            return None;
        }
        self.bring_home();
        self.cut(start as u32);
        self.args.clear();
        Some(start as u32)
    }

    /// Takes the index into the table and the arguments, which lie below it.
    fn take_indirect(&mut self, module: &ModuleInfo, ty: u32) -> Option<u32> {
        let index = self.pop();
        let passed = self.take_args(&module.types[ty as usize]);
        self.args.insert(0, index);
        passed
    }

    /// Passes the arguments that are at home.
    fn pass(&mut self, module: &ModuleInfo, ty: u32, passed: Option<u32>) {
        if let Some(from) = passed {
            self.b.home_pass(from, module.types[ty as usize].params.len());
        }
    }

    fn emit_call(
        &mut self,
        module: &ModuleInfo,
        op: Op,
        callee: u32,
        table: u32,
        ty: u32,
        passed: Option<u32>,
    ) {
        let sig = &module.types[ty as usize];
        if sig.wide_results() {
            self.bring_home();
        }
        self.pass(module, ty, passed);
        self.results.clear();
        self.b.call(op, callee, table as u16, SigRef(ty), &self.args, &mut self.results);
        if sig.wide_results() {
            self.b.home_take(self.stack.len() as u32, sig.results.len());
            self.push_home(&sig.results);
        } else {
            self.stack.extend_from_slice(&self.results);
        }
        self.extra += self.results.len();
    }

    fn emit_return_call(
        &mut self,
        module: &ModuleInfo,
        op: Op,
        callee: u32,
        table: u32,
        ty: u32,
        passed: Option<u32>,
    ) {
        self.pass(module, ty, passed);
        let (start, len) = self.b.func.push_call(SigRef(ty), &self.args);
        let ty = runwell_abi::Type::I32;
        self.b.end_block(Inst::new(op, ty, table as u16, start, len, callee));
        self.reachable = false;
    }
}
