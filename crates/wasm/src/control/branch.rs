//! Branches: `br`, `br_if`, `br_table`, `return`, `unreachable`. What they lead to is in
//! [`super`].
//!
//! # Complexity
//! O(values that the labels carry), each distinct label of a branch table once.

use super::{Frame, Kind, NONE, Patch};
use crate::body::Cx;
use crate::error::Result;
use runwell_abi::{TrapCode, Type};
use runwell_ir::{Inst, Op, Value};
use wasmparser::BrTable;

impl Cx {
    /// `br`.
    pub(crate) fn br(&mut self, depth: u32) {
        let at = self.frame_of(depth);
        match self.frames[at].kind {
            Kind::Function => self.return_(),
            Kind::Loop => {
                self.carry(at);
                let edge = self.back_edge(at);
                self.terminate(Op::Jump, edge.0, 0, 0);
                self.reachable = false;
            }
            _ => self.jump_to_end(at),
        }
    }

    /// `br_if`.
    pub(crate) fn br_if(&mut self, depth: u32) {
        let cond = self.pop();
        if let Some(constant) = self.b.func.as_const(cond) {
            if constant.bits != 0 {
                self.br_charged(depth);
            }
            return;
        }
        self.branch(cond, depth);
    }

    /// Charges what the way past the if at frame `at`, which has no second arm, owes at its end.
    pub(super) fn charge_past_if(&mut self, at: usize) {
        let Frame { label, balance, at, .. } = self.frames[at];
        let end = self.b.src();
        self.b.set_src(at);
        self.charge_at(balance, label - balance);
        self.b.set_src(end);
    }

    /// `br`, after bringing the balance of fuel to what it has to be there.
    fn br_charged(&mut self, depth: u32) {
        let label = self.frames[self.frame_of(depth)].label;
        self.charge(label);
        self.br(depth);
    }

    /// Goes to a label if `cond` is not zero, else on.
    fn branch(&mut self, cond: Value, depth: u32) {
        let at = self.frame_of(depth);
        self.ready(at);
        let lands = self.lands(at);
        if self.frames[at].label != self.balance() || self.shifts(at) && !lands {
            // The way to the label has something to do of its own: it gets a block.
            let (taken, other) = (self.plain_edge(0), self.plain_edge(1));
            self.terminate(Op::BrIf, cond.0, taken, other);
            let epochs = self.b.epochs();
            let own = self.b.start_block(self.loop_id);
            // A loop is left once, however often it goes around.
            let frame = &self.frames[at];
            let goes_to = if frame.is_loop() { frame.loop_id } else { frame.around };
            self.b.func.blocks[own.index()].cold = goes_to != self.loop_id;
            self.br_charged(depth);
            self.b.start_block(self.loop_id);
            self.b.set_epochs(epochs);
            self.forget_cells();
            self.reachable = true;
            return;
        }
        match self.frames[at].kind {
            Kind::Function => {
                let taken = self.plain_edge(0);
                let other = self.plain_edge(1);
                self.terminate(Op::BrIf, cond.0, taken, other);
                let epochs = self.b.epochs();
                self.b.start_block(self.loop_id);
                self.return_();
                self.b.start_block(self.loop_id);
                self.b.set_epochs(epochs);
                self.reachable = true;
            }
            Kind::Loop => {
                let taken = self.back_edge(at).0;
                let other = self.plain_edge(0);
                self.terminate(Op::BrIf, cond.0, taken, other);
                self.b.start_block(self.loop_id);
            }
            _ => {
                if lands {
                    self.aim();
                }
                let epochs = self.b.epochs();
                let other = self.plain_edge(0);
                let branch = self.terminate(Op::BrIf, cond.0, NONE, other);
                self.pend(at, Patch::B(branch), epochs, lands);
                self.b.start_block(self.loop_id);
            }
        }
    }

    /// `br_table`.
    pub(crate) fn br_table(&mut self, table: &BrTable<'_>) -> Result<()> {
        let index = self.pop();
        if let Some(constant) = self.b.func.as_const(index) {
            let chosen = (constant.bits as u64).min(u64::from(table.len())) as usize;
            let depth = match table.targets().nth(chosen).filter(|_| chosen < table.len() as usize)
            {
                Some(depth) => depth?,
                None => table.default(),
            };
            self.br_charged(depth);
            return Ok(());
        }
        // Number the distinct targets in order of first mention.
        self.targets.clear();
        self.table_stamp += 1;
        let stamp = self.table_stamp;
        let mut entries = std::mem::take(&mut self.table);
        entries.clear();
        for depth in table.targets().chain(std::iter::once(Ok(table.default()))) {
            let at = self.frame_of(depth?);
            let frame = &mut self.frames[at];
            if frame.table_stamp != stamp {
                frame.table_stamp = stamp;
                frame.table_edge = self.targets.len() as u32;
                self.targets.push(at as u32);
            }
            entries.push(frame.table_edge);
        }
        self.extra += entries.len();
        self.emit_table(index, &entries);
        self.table = entries;
        Ok(())
    }

    fn emit_table(&mut self, index: Value, entries: &[u32]) {
        let depth_of =
            |cx: &Cx, edge: u32| (cx.frames.len() - 1) as u32 - cx.targets[edge as usize];
        if self.targets.len() == 1 {
            let depth = depth_of(self, 0);
            return self.br_charged(depth);
        }
        if let [zero, other] = *entries {
            // A table of one entry is a test for zero.
            let (zero, other) = (depth_of(self, zero), depth_of(self, other));
            self.branch(index, other);
            return self.br_charged(zero);
        }
        let targets = std::mem::take(&mut self.targets);
        let mut edges = std::mem::take(&mut self.edge_numbers);
        edges.clear();
        // All labels carry the same values, so that those in cells want them there once.
        let mut in_cells = false;
        for &at in &targets {
            let already = in_cells && self.frames[at as usize].in_cells;
            in_cells |= self.frames[at as usize].in_cells;
            if !already {
                self.ready(at as usize);
            }
        }
        // Ways that return or have something to do of their own get blocks, in order.
        let own_block = |cx: &Cx, at: u32| {
            let frame = &cx.frames[at as usize];
            let shifts = frame.is_loop() && cx.shifts(at as usize);
            frame.kind == Kind::Function || frame.label != cx.balance() || shifts
        };
        let mut blocks = 0;
        for &at in &targets {
            edges.push(match self.frames[at as usize].kind {
                _ if own_block(self, at) => {
                    blocks += 1;
                    self.plain_edge(blocks - 1)
                }
                Kind::Loop => self.back_edge(at as usize).0,
                _ => NONE,
            });
        }
        let pool = &mut self.b.func.pool;
        let start = pool.len() as u32;
        pool.push(edges.len() as u32);
        pool.extend_from_slice(&edges);
        pool.extend_from_slice(entries);
        let len = pool.len() as u32 - start;
        if (0..targets.len()).any(|n| edges[n] == NONE && self.lands(targets[n] as usize)) {
            self.aim();
        }
        let epochs = self.b.epochs();
        self.terminate(Op::BrTable, index.0, start, len);
        for (number, &at) in targets.iter().enumerate() {
            if edges[number] == NONE {
                let lands = self.lands(at as usize);
                self.pend(at as usize, Patch::Pool(start + 1 + number as u32), epochs, lands);
            }
        }
        for &at in &targets {
            if own_block(self, at) {
                let depth = self.frames.len() as u32 - 1 - at;
                self.b.start_block(self.loop_id);
                self.b.set_epochs(epochs);
                self.forget_cells();
                self.br_charged(depth);
            }
        }
        self.targets = targets;
        self.edge_numbers = edges;
        self.reachable = false;
    }

    /// `return`.
    pub(crate) fn return_(&mut self) {
        let results = self.frames[0].results as usize;
        let first = self.stack.len() - results;
        if self.frames[0].wide && self.at_home(first) {
            self.bring_home();
            self.b.home_pass(first as u32, results);
            self.terminate(Op::Return, 0, 0, 0);
        } else {
            self.fetch(first);
            let start = self.b.func.push_list(&self.stack[first..]);
            self.terminate(Op::Return, start, results as u32, 0);
            self.extra += results;
        }
        self.reachable = false;
    }

    /// `unreachable`.
    pub(crate) fn unreachable(&mut self) {
        let code = TrapCode::Unreachable as u16;
        self.b.end_block(Inst::new(Op::Trap, Type::I32, code, 0, 0, 0));
        self.reachable = false;
    }
}
