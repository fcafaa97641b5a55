//! Edges: how control leaves a block.
//!
//! An edge is a run in the pool: target block, number of arguments, arguments. The entries of a
//! branch table share one edge per distinct target.

use crate::entity::{Block, EdgeRef, Value};
use crate::function::{Function, Inst};
use crate::op::Op;

impl Function {
    /// Where an edge goes.
    #[inline]
    pub fn edge_target(&self, edge: EdgeRef) -> Block {
        Block(self.pool[edge.index()])
    }

    /// How many arguments an edge carries.
    #[inline]
    pub fn edge_len(&self, edge: EdgeRef) -> usize {
        self.pool[edge.index() + 1] as usize
    }

    /// The arguments of an edge.
    pub fn edge_args(&self, edge: EdgeRef) -> impl ExactSizeIterator<Item = Value> + '_ {
        let start = edge.index() + 2;
        self.pool[start..start + self.edge_len(edge)].iter().map(|&v| Value(v))
    }

    /// The distinct edges of a branch table.
    pub fn table_edges(&self, inst: &Inst) -> impl ExactSizeIterator<Item = EdgeRef> + '_ {
        debug_assert_eq!(inst.op, Op::BrTable);
        let start = inst.b as usize;
        let count = self.pool[start] as usize;
        self.pool[start + 1..start + 1 + count].iter().map(|&e| EdgeRef(e))
    }

    /// The entries of a branch table as indices into its distinct edges, the default last.
    pub fn table_entries(&self, inst: &Inst) -> &[u32] {
        debug_assert_eq!(inst.op, Op::BrTable);
        let (start, len) = (inst.b as usize, inst.c as usize);
        let count = self.pool[start] as usize;
        &self.pool[start + 1 + count..start + len]
    }

    /// The last instruction of a block.
    ///
    /// # Panics
    /// When the block is empty.
    pub fn terminator(&self, block: Block) -> &Inst {
        &self.insts[self.blocks[block.index()].end as usize - 1]
    }

    /// Calls `f` on each edge that leaves through terminator `inst`, distinct ones once.
    pub fn for_each_edge(&self, inst: &Inst, mut f: impl FnMut(EdgeRef)) {
        match inst.op {
            Op::Jump => f(EdgeRef(inst.a)),
            Op::BrIf => {
                f(EdgeRef(inst.b));
                f(EdgeRef(inst.c));
            }
            Op::BrTable => self.table_edges(inst).for_each(f),
            _ => {}
        }
    }
}
