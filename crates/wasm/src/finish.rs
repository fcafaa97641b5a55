//! What is left to do when a body has been walked: loops that turned out to be none, and which
//! blocks are rarely executed.

use crate::body::Cx;
use runwell_ir::{EdgeRef, LoopId, Op};

impl Cx {
    /// Removes loops without a back edge, which [`Cx::end`] has left without a header: all branches
    /// to them were unreachable. O(blocks + loops), and only when there are any.
    pub(crate) fn drop_dead_loops(&mut self) {
        let func = &mut self.b.func;
        if func.loops.iter().all(|data| !data.header.is_none()) {
            return;
        }
        self.extra += func.loops.len() + func.blocks.len();
        // Parents come first, so theirs are renumbered already.
        let numbers = &mut self.targets;
        numbers.clear();
        let mut kept = 0;
        for at in 0..func.loops.len() {
            let mut data = func.loops[at];
            let parent = numbers.get(data.parent.index()).copied().unwrap_or(LoopId::NONE.0);
            data.parent = LoopId(parent);
            if data.header.is_none() {
                numbers.push(parent);
                continue;
            }
            data.depth = match func.loops.get(parent as usize) {
                Some(around) => around.depth.saturating_add(1),
                None => 1,
            };
            func.loops[kept] = data;
            numbers.push(kept as u32);
            kept += 1;
        }
        func.loops.truncate(kept);
        for block in &mut func.blocks {
            if let Some(&number) = numbers.get(block.loop_id.index()) {
                block.loop_id = LoopId(number);
            }
        }
    }

    /// Marks blocks that can only lead to a trap of `unreachable`. One walk backwards: all targets
    /// but those of back edges have been decided, and a loop's header is taken for hot.
    pub(crate) fn mark_cold(&mut self) {
        let func = &mut self.b.func;
        let mut entries = 0;
        for at in (1..func.blocks.len()).rev() {
            let inst = func.insts[func.blocks[at].end as usize - 1];
            let cold = |edge: u32| {
                let target = func.edge_target(EdgeRef(edge)).index();
                target > at && func.blocks[target].cold
            };
            func.blocks[at].cold |= match inst.op {
                Op::Trap => true,
                Op::Jump => cold(inst.a),
                Op::BrIf => cold(inst.b) && cold(inst.c),
                Op::BrTable => {
                    entries += func.table_edges(&inst).len();
                    func.table_edges(&inst).all(|edge| cold(edge.0))
                }
                _ => false,
            };
        }
        self.extra += func.blocks.len() + entries;
    }
}
