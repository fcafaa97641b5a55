//! What differs between architectures: the one seam inside code generation.

use crate::CompiledFunction;
use crate::emit::EmitInput;
use crate::lower::Lower;
use crate::regalloc::RegEnv;
use crate::vcode::{VCode, VInst, VReg};
use runwell_abi::Type;
use runwell_ir::{Const, Inst, Work};

/// An architecture.
pub trait Machine {
    /// Reusable memory of emission.
    type Emitter: Default;

    /// The registers it offers, in metered code or in other.
    fn reg_env(metered: bool) -> RegEnv;

    /// Makes a constant in a new register.
    fn lower_const(cx: &mut Lower<'_>, value: Const) -> VReg;

    /// Defines `def` as the canonical NaN if the float in `vreg` is a NaN, else as the float itself.
    fn lower_canon(cx: &mut Lower<'_>, def: VReg, vreg: VReg, ty: Type);

    /// Selects instructions for the tile whose root is instruction `index`.
    fn lower_inst(cx: &mut Lower<'_>, index: u32, inst: &Inst);

    /// Selects the end of a block and adds its edges.
    fn lower_terminator(cx: &mut Lower<'_>, inst: &Inst);

    /// Selects the start of the function, which brings the first `params` values to life.
    fn lower_entry(cx: &mut Lower<'_>, params: u32);

    /// Encodes an allocated function.
    ///
    /// # Errors
    /// When a size limit of the architecture is exceeded.
    fn emit(
        emitter: &mut Self::Emitter,
        input: &EmitInput<'_>,
        work: &mut Work,
    ) -> Result<CompiledFunction, crate::Error>;

    /// The text of an instruction, without its operands.
    fn describe(code: &VCode, inst: &VInst) -> String;

    /// A listing of the code with Wasm offsets.
    fn disassemble(code: &CompiledFunction) -> String;
}
