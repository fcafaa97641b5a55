//! x86-64.

mod describe;
pub mod disasm;
pub mod emit;
pub mod inst;
mod lower;

use crate::CompiledFunction;
use crate::emit::EmitInput;
use crate::lower::Lower;
use crate::mach::Machine;
use crate::regalloc::RegEnv;
use crate::vcode::{PReg, RegSet, VCode, VInst, VReg};
use runwell_abi::{Type, call};
use runwell_ir::{Const, Inst, Work};

/// The architecture x86-64.
#[derive(Copy, Clone, Debug)]
pub struct X64;

/// All registers but rsp, the scratch registers and the two pinned ones.
pub const ALLOCATABLE: RegSet = RegSet(
    !(1 << 4
        | 1 << call::SCRATCH_INT
        | 1 << call::VMCTX_REG
        | 1 << call::MEMORY_REG
        | 1 << (16 + call::SCRATCH_FLOAT)),
);

/// The callee-saved registers.
pub const fn callee_saved() -> RegSet {
    let mut set = RegSet::EMPTY;
    let mut at = 0;
    while at < call::CALLEE_SAVED.len() {
        set = set.with(PReg::int(call::CALLEE_SAVED[at]));
        at += 1;
    }
    set
}

impl Machine for X64 {
    type Emitter = emit::Emitter;

    fn reg_env(metered: bool) -> RegEnv {
        let fuel = PReg::int(call::FUEL_REG);
        RegEnv {
            allocatable: if metered { ALLOCATABLE.without(fuel) } else { ALLOCATABLE },
            callee_saved: callee_saved(),
            scratch: [PReg::int(call::SCRATCH_INT), PReg::float(call::SCRATCH_FLOAT)],
        }
    }

    fn lower_const(cx: &mut Lower<'_>, value: Const) -> VReg {
        lower::constant(cx, value)
    }

    fn lower_canon(cx: &mut Lower<'_>, def: VReg, vreg: VReg, ty: Type) {
        lower::float::canon(cx, def, vreg, ty);
    }

    fn lower_inst(cx: &mut Lower<'_>, index: u32, inst: &Inst) {
        lower::inst(cx, index, inst);
    }

    fn lower_terminator(cx: &mut Lower<'_>, inst: &Inst) {
        lower::terminator(cx, inst);
    }

    fn lower_entry(cx: &mut Lower<'_>, params: u32) {
        lower::entry(cx, params);
        lower::float::canonical(cx);
    }

    fn emit(
        emitter: &mut emit::Emitter,
        input: &EmitInput<'_>,
        work: &mut Work,
    ) -> Result<CompiledFunction, crate::Error> {
        emitter.run(input, work)
    }

    fn describe(_code: &VCode, inst: &VInst) -> String {
        describe::describe(inst)
    }

    fn disassemble(code: &CompiledFunction) -> String {
        disasm::disassemble(code)
    }
}
