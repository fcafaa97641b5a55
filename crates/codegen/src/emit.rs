//! Emission: what is the same on all architectures. Order of blocks and what emission reads.

use crate::env::ModuleEnv;
use crate::lower::Facts;
use crate::regalloc::Allocation;
use crate::vcode::{VCode, VInst};
use runwell_ir::scratch;
use runwell_ir::{Block, Function};

/// What emission reads.
#[derive(Copy, Clone, Debug)]
pub struct EmitInput<'a> {
    /// The function. Its instructions may be gone.
    pub func: &'a Function,
    /// The module around it.
    pub env: &'a ModuleEnv,
    /// Its machine instructions.
    pub code: &'a VCode,
    /// Where their operands are.
    pub allocation: &'a Allocation,
    /// What selection found out.
    pub facts: Facts,
}

impl<'a> EmitInput<'a> {
    /// The entries of a branch table, which begin at `imm` in the function's pool and are `disp`.
    pub(crate) fn entries(&self, inst: &VInst) -> &'a [u32] {
        let first = inst.imm as usize;
        &self.func.pool[first..first + inst.disp as usize]
    }
}

/// The order in which blocks are laid out: as given, the cold ones behind the others.
///
/// The entry stays first whatever it is.
pub fn block_order(code: &VCode, order: &mut Vec<Block>) {
    scratch::room(order, code.blocks.len());
    let blocks = || (0..code.blocks.len() as u32).map(Block);
    let late = |b: &Block| b.0 != 0 && code.blocks[b.index()].cold;
    order.extend(blocks().filter(|b| !late(b)));
    order.extend(blocks().filter(late));
}
