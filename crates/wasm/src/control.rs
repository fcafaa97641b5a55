//! Structured control to blocks, edges and loops.
//!
//! A branch to the end of an open construct is emitted before its target exists, so it is kept as a
//! pending [`Edge`]: where in the terminator (or table) the edge number belongs, the results it
//! carries, and the locals set since the construct was entered. When the construct ends, [`Cx::merge`]
//! makes the block: a parameter for each result and local that is not the same value on all edges,
//! and the edges with their arguments. A single edge needs no parameters; code that just falls
//! through the end of a construct needs no block.
//!
//! Back edges know their target's parameters and are complete at once.
//!
//! # Complexity
//! O(values and locals on edges): both lists of an edge are made when it is, read once for the parameters and
//! once for the arguments. How long they are is limited by the scan ([`crate::scan`]).
//!
//! What wide labels carry is at home and no edge argument, see [`crate::home`]: a branch brings it
//! there, and copies it down if the label wants it at another height.

mod branch;

use crate::body::Cx;
use crate::home::NARROW_LABEL;
use crate::module::ModuleInfo;
use crate::scan::effect;
use crate::section;
use runwell_abi::Type;
use runwell_abi::call::NARROW_RESULTS;
use runwell_ir::{Block, EdgeRef, Inst, LoopData, LoopId, Op, Signature, Value, scratch};
use runwell_opt::{Epochs, Region};
use wasmparser::BlockType;

/// No edge, no local.
const NONE: u32 = u32::MAX;

/// What an open construct is.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// The function; branches to it return.
    Function,
    /// A block, or a loop nobody branches to.
    Block,
    /// A loop.
    Loop,
    /// The first arm of an if.
    If(Else),
    /// The second arm.
    Else,
}

/// How control gets to the second arm of an if.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) enum Else {
    /// By the edge `c` of this `br_if`.
    Edge(u32),
    /// By falling into it: the condition is the constant 0, the first arm unreachable.
    Fall,
    /// Not at all: the condition is another constant.
    Never,
}

/// Pending edges, as a list.
#[derive(Copy, Clone, Debug)]
struct Pending {
    first: u32,
    last: u32,
    count: u32,
    /// What memory looks like after these edges.
    epochs: Epochs,
}

impl Pending {
    const NONE: Pending = Pending { first: NONE, last: NONE, count: 0, epochs: Epochs::START };
}

/// An open construct.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Frame {
    kind: Kind,
    /// True if it has its own undo scope: its end or its second arm may be reached by an edge.
    scoped: bool,
    /// Height of the operand stack below its parameters.
    pub(crate) height: u32,
    /// Height up to which operands were at home when it was entered.
    home: u32,
    params: u32,
    results: u32,
    /// How many values a branch to it carries.
    carries: u32,
    /// True if these are at home, or in the transfer buffer.
    wide: bool,
    /// True if these are in cells.
    in_cells: bool,
    ty: BlockType,
    /// Length of the log when it was entered.
    log_start: u32,
    /// `log_start` of the scope around it.
    outer_log_start: u32,
    /// Pending edges to its end.
    edges: Pending,
    /// Those of them that come by way of [`Cx::land`].
    shifted: Pending,
    /// What memory looks like at the start of the second arm.
    else_epochs: Epochs,
    /// Start of its parameters in `saved`.
    saved: u32,
    /// The innermost loop around it.
    around: LoopId,
    /// The loop, its header and its parameters in `loop_params`.
    loop_id: LoopId,
    header: Block,
    loop_params: u32,
    loop_params_end: u32,
    back_edges: u32,
    /// The balance of fuel where a branch to it arrives, and behind an if.
    pub(crate) label: i64,
    balance: i64,
    /// Where in the module an if is.
    at: u32,
    /// Branch table that has an edge to it, and the number of that edge.
    table_stamp: u32,
    table_edge: u32,
}

impl Frame {
    fn new(
        kind: Kind,
        ty: BlockType,
        (height, home): (u32, u32),
        params: u32,
        results: u32,
    ) -> Frame {
        Frame {
            kind,
            scoped: false,
            height,
            home,
            params,
            results,
            carries: results,
            wide: results > NARROW_LABEL,
            in_cells: false,
            ty,
            log_start: 0,
            outer_log_start: 0,
            edges: Pending::NONE,
            shifted: Pending::NONE,
            else_epochs: Epochs::default(),
            saved: 0,
            around: LoopId::NONE,
            loop_id: LoopId::NONE,
            header: Block::NONE,
            loop_params: 0,
            loop_params_end: 0,
            back_edges: 0,
            label: 0,
            balance: 0,
            at: 0,
            table_stamp: 0,
            table_edge: 0,
        }
    }

    /// The frame of a whole function.
    pub(crate) fn function(results: usize) -> Frame {
        let wide = results > NARROW_RESULTS;
        let frame = Frame::new(Kind::Function, BlockType::Empty, (0, 0), 0, results as u32);
        Frame { wide, ..frame }
    }

    /// True for a loop that is branched to.
    pub(crate) fn is_loop(&self) -> bool {
        self.kind == Kind::Loop
    }

    /// True if edges wait for its end.
    fn is_branched_to(&self) -> bool {
        self.edges.count + self.shifted.count > 0
    }
}

/// Where the number of an edge belongs.
#[derive(Copy, Clone, Debug)]
pub(crate) enum Patch {
    /// Field `a` of an instruction.
    A(u32),
    /// Field `b`.
    B(u32),
    /// Field `c`.
    C(u32),
    /// An entry of the pool.
    Pool(u32),
}

/// An edge whose target does not exist yet.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Edge {
    next: u32,
    patch: Patch,
    /// Start of the results in `vals`.
    vals: u32,
    /// Range of the locals in `pairs`.
    pairs: u32,
    pairs_end: u32,
}

/// A parameter of a loop header.
#[derive(Copy, Clone, Debug)]
pub(crate) struct LoopParam {
    /// The local, or [`NONE`] for an operand.
    local: u32,
    param: Value,
    /// The value on entry.
    entry: Value,
    /// True once a back edge carries another value.
    varies: bool,
}

/// A local at a merge.
#[derive(Copy, Clone, Debug)]
pub(crate) struct MergeLocal {
    local: u32,
    value: Value,
    /// Edges on which it was set.
    count: u32,
    differs: bool,
    /// Its argument's position among those of the locals, when it differs.
    arg: u32,
}

/// The signature of a construct that has parameters, or several results.
fn func_type(module: &ModuleInfo, ty: BlockType) -> &Signature {
    match ty {
        BlockType::FuncType(index) => &module.types[index as usize],
        _ => unreachable!("a construct of many values that names no type"),
    }
}

impl Cx {
    fn next_block(&self) -> Block {
        Block(self.b.func.blocks.len() as u32)
    }

    /// An edge without arguments to the block that starts next but `ahead`.
    fn plain_edge(&mut self, ahead: u32) -> u32 {
        let target = Block(self.next_block().0 + ahead);
        self.b.func.push_edge(target, &[]).0
    }

    /// Memory at the head of a loop: whatever the loop changes may have been changed.
    fn enter_loop_epochs(&mut self, effects: u8) {
        let mut mask = 0;
        for (bit, regions) in [
            (effect::MEMORY, Region::Memory.bit()),
            (effect::GLOBAL, Region::Globals.bit()),
            (effect::TABLE, Region::Tables.bit()),
            (effect::CALL, Region::CALL),
            (effect::HELPER, Region::CALL & !Region::Globals.bit()),
        ] {
            if effects & bit != 0 {
                mask |= regions;
            }
        }
        if effects & effect::LOCAL != 0 && self.scan.any_demoted {
            mask |= Region::Slots.bit();
        }
        self.b.fresh_epochs(mask);
    }

    /// Ends the block and returns the index of its terminator.
    fn terminate(&mut self, op: Op, a: u32, b: u32, c: u32) -> u32 {
        self.b.end_block(Inst::new(op, Type::I32, 0, a, b, c));
        self.b.func.insts.len() as u32 - 1
    }

    fn construct(&mut self) -> crate::scan::Construct {
        let construct = self.scan.constructs.get(self.constructs).copied();
        self.constructs += 1;
        construct.unwrap_or(crate::scan::Construct::UNKNOWN)
    }

    fn frame_of(&self, depth: u32) -> usize {
        self.frames.len() - 1 - depth as usize
    }

    fn open_frame(&mut self, module: &ModuleInfo, kind: Kind, ty: BlockType) -> Frame {
        let (params, results) = match ty {
            BlockType::Empty => (0, 0),
            BlockType::Type(_) => (0, 1),
            BlockType::FuncType(index) => {
                let sig = &module.types[index as usize];
                (sig.params.len() as u32, sig.results.len() as u32)
            }
        };
        if params > NARROW_LABEL || results > NARROW_LABEL {
            self.bring_home();
        }
        let height = self.stack.len() as u32 - params;
        let mut frame = Frame::new(kind, ty, (height, self.home), params, results);
        frame.around = self.loop_id;
        frame
    }

    /// Gives a frame its own scope of locals and value numbers.
    fn open_scope(&mut self, frame: &mut Frame) {
        frame.scoped = true;
        frame.outer_log_start = self.log_start;
        self.log_start = self.log.len() as u32;
        frame.log_start = self.log_start;
        self.b.push_scope();
    }

    /// `block`.
    pub(crate) fn block(&mut self, module: &ModuleInfo, ty: BlockType) {
        let construct = self.construct();
        if !self.reachable {
            self.dead += 1;
            return;
        }
        let mut frame = self.open_frame(module, Kind::Block, ty);
        frame.label = construct.label;
        self.choose_cells(&mut frame, construct.in_table);
        if construct.branches > 0 {
            self.open_scope(&mut frame);
        }
        scratch::push(&mut self.frames, frame);
    }

    /// Decides whether what branches carry to the construct's label goes by cells.
    fn choose_cells(&self, frame: &mut Frame, in_table: bool) {
        frame.in_cells = in_table && self.scan.in_cells && frame.carries > 0 && !frame.wide;
    }

    /// `loop`.
    pub(crate) fn loop_(&mut self, module: &ModuleInfo, ty: BlockType) {
        let construct = self.construct();
        if !self.reachable {
            self.dead += 1;
            return;
        }
        let mut frame = self.open_frame(module, Kind::Block, ty);
        frame.label = construct.label;
        if construct.branches == 0 {
            scratch::push(&mut self.frames, frame);
            return;
        }
        frame.kind = Kind::Loop;
        frame.carries = frame.params;
        frame.wide = frame.params > NARROW_LABEL;
        self.choose_cells(&mut frame, construct.in_table);
        frame.header = self.next_block();
        frame.loop_id = LoopId(self.b.func.loops.len() as u32);
        frame.loop_params = self.loop_params.len() as u32;

        let first = frame.height as usize;
        let mut operands = first..first;
        if frame.in_cells {
            self.fill_cells(frame.params as usize);
        } else if !frame.wide {
            self.fetch(first);
            operands.end = self.stack.len();
        }
        for at in operands {
            let entry = self.stack[at];
            let param = LoopParam { local: NONE, param: Value::NONE, entry, varies: false };
            self.loop_params.push(param);
        }
        for local in self.scan.writes(construct.writes) {
            let state = &self.locals[local as usize];
            if state.slot.is_none() {
                let entry = state.cur;
                self.loop_params.push(LoopParam {
                    local,
                    param: Value::NONE,
                    entry,
                    varies: false,
                });
            }
        }
        frame.loop_params_end = self.loop_params.len() as u32;
        let mine = frame.loop_params as usize..self.loop_params.len();
        self.args.clear();
        self.args.extend(self.loop_params[mine.clone()].iter().map(|param| param.entry));
        self.extra += mine.len();
        let edge = self.b.func.push_edge(frame.header, &self.args);
        self.terminate(Op::Jump, edge.0, 0, 0);

        let parent = self.loop_id;
        let depth = match self.b.func.loops.get(parent.index()) {
            Some(around) => around.depth.saturating_add(1),
            None => 1,
        };
        let has = |bits: u8| construct.effects & bits != 0;
        self.b.func.loops.push(LoopData {
            header: frame.header,
            end: Block::NONE,
            parent,
            depth,
            has_call: has(effect::CALL | effect::HELPER),
            has_store: has(effect::CALL | effect::HELPER | effect::MEMORY),
        });
        self.loop_id = frame.loop_id;
        self.b.start_block(self.loop_id);
        for at in mine {
            let LoopParam { local, entry, .. } = self.loop_params[at];
            let ty = match self.locals.get(local as usize) {
                Some(local) => local.ty,
                None => self.b.func.value_type(entry),
            };
            let param = self.b.param(ty);
            self.loop_params[at].param = param;
            if local == NONE {
                self.stack[first + at - frame.loop_params as usize] = param;
            } else {
                self.set_local(local, param);
            }
        }
        self.enter_loop_epochs(construct.effects);
        scratch::push(&mut self.frames, frame);
        // The parameters are not at home, or they are and nothing is known of them.
        self.home = self.home.min(frame.height);
        if frame.wide {
            self.cut(frame.height);
            self.push_home(&func_type(module, frame.ty).params);
        }
        self.forget_cells();
        if frame.in_cells {
            self.cut(frame.height);
            self.push_cells(&func_type(module, frame.ty).params);
        }
    }

    /// `if`.
    pub(crate) fn if_(&mut self, module: &ModuleInfo, ty: BlockType) {
        let construct = self.construct();
        if !self.reachable {
            self.dead += 1;
            return;
        }
        let cond = self.pop();
        let mut frame = self.open_frame(module, Kind::Block, ty);
        frame.label = construct.label;
        self.choose_cells(&mut frame, construct.in_table);
        frame.balance = self.balance();
        frame.at = self.b.src();
        frame.saved = self.saved.len() as u32;
        if frame.params <= NARROW_LABEL {
            self.saved.extend_from_slice(&self.stack[frame.height as usize..]);
        }
        self.open_scope(&mut frame);
        frame.else_epochs = self.b.epochs();
        frame.kind = Kind::If(match self.b.func.as_const(cond) {
            Some(constant) if constant.bits == 0 => {
                self.reachable = false;
                Else::Fall
            }
            Some(_) => Else::Never,
            None => {
                let then = self.plain_edge(0);
                let branch = self.terminate(Op::BrIf, cond.0, then, NONE);
                self.b.start_block(self.loop_id);
                Else::Edge(branch)
            }
        });
        scratch::push(&mut self.frames, frame);
    }

    /// `else`.
    pub(crate) fn else_(&mut self, module: &ModuleInfo) {
        if self.dead > 0 {
            return;
        }
        let at = self.frames.len() - 1;
        let Kind::If(second) = self.frames[at].kind else { return };
        if self.reachable {
            self.jump_to_end(at);
        }
        let frame = &mut self.frames[at];
        frame.kind = Kind::Else;
        let Frame { log_start, saved, else_epochs, .. } = *frame;
        self.undo_to(log_start);
        self.restore_params(module, at);
        self.saved.truncate(saved as usize);
        self.b.pop_scope();
        self.b.push_scope();
        self.reachable = second != Else::Never;
        if let Else::Edge(branch) = second {
            self.start_second_arm(branch, else_epochs);
        }
    }

    fn start_second_arm(&mut self, branch: u32, epochs: Epochs) {
        let edge = self.plain_edge(0);
        self.b.func.insts[branch as usize].c = edge;
        self.b.start_block(self.loop_id);
        self.b.set_epochs(epochs);
        self.forget_cells();
    }

    /// Puts the parameters of an if back on the stack.
    fn restore_params(&mut self, module: &ModuleInfo, at: usize) {
        let Frame { height, home, params, saved, ty, .. } = self.frames[at];
        self.stack.truncate(height as usize);
        if params > NARROW_LABEL {
            return self.push_home(&func_type(module, ty).params);
        }
        let saved = saved as usize..(saved + params) as usize;
        self.stack.extend_from_slice(&self.saved[saved]);
        self.extra += params as usize;
        self.home = home;
        if home > height {
            self.name_home_types(height as usize, &func_type(module, ty).params);
        }
    }

    /// True if parameters of the if at frame `at` have to be loaded before an edge can carry them, or
    /// stored.
    fn has_params_elsewhere(&self, at: usize) -> bool {
        let Frame { params, saved, in_cells, .. } = self.frames[at];
        in_cells
            || params <= NARROW_LABEL
                && Cx::only_home(&self.saved[saved as usize..(saved + params) as usize]) > 0
    }

    /// `end`.
    pub(crate) fn end(&mut self, module: &ModuleInfo) {
        if self.dead > 0 {
            self.dead -= 1;
            return;
        }
        let at = self.frames.len() - 1;
        match self.frames[at].kind {
            Kind::Function => {
                if self.reachable {
                    self.return_();
                }
                self.frames.pop();
            }
            Kind::Block | Kind::Else => self.end_frame(module, at),
            Kind::If(second) => {
                let has_edges = self.frames[at].is_branched_to();
                if self.reachable && (has_edges || matches!(second, Else::Edge(_))) {
                    self.jump_to_end(at);
                }
                let Frame { log_start, saved, else_epochs, label, balance, .. } = self.frames[at];
                match second {
                    Else::Edge(branch) if balance != label || self.has_params_elsewhere(at) => {
                        // The way past the if has something to do of its own: it gets a block.
                        self.undo_to(log_start);
                        self.restore_params(module, at);
                        self.b.pop_scope();
                        self.b.push_scope();
                        self.start_second_arm(branch, else_epochs);
                        self.charge_past_if(at);
                        self.jump_to_end(at);
                    }
                    Else::Edge(branch) => {
                        self.undo_to(log_start);
                        self.restore_params(module, at);
                        self.pend(at, Patch::C(branch), else_epochs, false);
                        self.reachable = false;
                    }
                    Else::Fall => {
                        self.undo_to(log_start);
                        self.restore_params(module, at);
                        self.reachable = true;
                        self.charge_past_if(at);
                    }
                    Else::Never => {}
                }
                self.saved.truncate(saved as usize);
                self.end_frame(module, at);
            }
            Kind::Loop => self.end_loop(at),
        }
    }

    /// Ends the construct at the top, if control falls through, or reaches its end by edges.
    fn end_frame(&mut self, module: &ModuleInfo, at: usize) {
        let frame = self.frames[at];
        if self.reachable && frame.is_branched_to() {
            self.jump_to_end(at);
        }
        if frame.is_branched_to() {
            self.merge(module, at);
        } else if frame.scoped {
            self.b.pop_scope();
            // Nothing comes in but what falls through, if even that: what was set stays set, as
            // the outer scope's doing.
            let first = self.pairs.len();
            if self.reachable {
                self.collect_set(frame.log_start);
            }
            self.undo_to(frame.log_start);
            self.log_start = frame.outer_log_start;
            while self.pairs.len() > first {
                if let Some((local, value)) = self.pairs.pop() {
                    self.set_local(local, value);
                }
            }
        }
        if !frame.is_branched_to() {
            self.settle_home(&frame);
        }
        self.frames.pop();
    }

    /// What a construct leaves on the stack when control falls out of it, if it does: operands of the
    /// construct around it. Those stay at home that join on to others at home.
    fn settle_home(&mut self, frame: &Frame) {
        if !self.reachable {
            self.stack.truncate(frame.height as usize);
            self.home = frame.home.min(frame.height);
        } else if frame.home < frame.height {
            self.fetch(frame.height as usize);
            self.home = frame.home;
        }
    }

    fn end_loop(&mut self, at: usize) {
        let frame = self.frames[at];
        let parent = self.b.func.loops[frame.loop_id.index()].parent;
        self.loop_id = parent;
        let mut end = self.next_block();
        if self.reachable {
            let block = self.b.func.blocks.last().copied();
            let last = Block(end.0 - 1);
            // A block that has only parameters so far may as well lie behind the loop.
            match block {
                Some(block)
                    if last != frame.header
                        && block.loop_id == frame.loop_id
                        && (block.first + block.params) as usize == self.b.func.insts.len() =>
                {
                    end = last;
                    self.b.func.blocks[last.index()].loop_id = parent;
                }
                _ => {
                    let edge = self.plain_edge(0);
                    self.terminate(Op::Jump, edge, 0, 0);
                    self.b.start_block(parent);
                }
            }
        }
        self.settle_home(&frame);
        self.b.func.loops[frame.loop_id.index()].end = end;
        if frame.back_edges == 0 {
            // Its branches turned out to be unreachable. See `drop_dead_loops`.
            self.b.func.loops[frame.loop_id.index()].header = Block::NONE;
        }
        for at in frame.loop_params as usize..self.loop_params.len() {
            let LoopParam { local, param, entry, varies } = self.loop_params[at];
            if !varies {
                self.b.make_alias(param, entry);
                if let Some(local) = self.locals.get_mut(local as usize)
                    && local.cur == param
                {
                    local.cur = entry;
                }
            }
        }
        self.loop_params.truncate(frame.loop_params as usize);
        self.frames.pop();
    }

    /// Keeps an edge to the end of frame `at`: with the values on top of the stack and the current
    /// locals. `epochs` is what memory looks like, `shifted` says that the operands are at another height
    /// than the label wants them at.
    fn pend(&mut self, at: usize, patch: Patch, epochs: Epochs, shifted: bool) {
        let Frame { results, log_start, .. } = self.frames[at];
        debug_assert!(self.frames[at].scoped);
        let vals = self.vals.len() as u32;
        if !self.frames[at].wide && !self.frames[at].in_cells {
            let first = self.stack.len() - results as usize;
            self.vals.extend_from_slice(&self.stack[first..]);
        }
        let pairs = self.pairs.len() as u32;
        self.collect_set(log_start);
        let pairs_end = self.pairs.len() as u32;
        let edge = Edge { next: NONE, patch, vals, pairs, pairs_end };
        let frame = &self.frames[at];
        let mut list = if shifted { frame.shifted } else { frame.edges };
        self.enter(&mut list, edge, epochs);
        let frame = &mut self.frames[at];
        *(if shifted { &mut frame.shifted } else { &mut frame.edges }) = list;
    }

    /// Adds an edge to a list.
    fn enter(&mut self, list: &mut Pending, edge: Edge, epochs: Epochs) {
        let number = self.edges.len() as u32;
        scratch::push(&mut self.edges, edge);
        if list.count == 0 {
            (list.first, list.epochs) = (number, epochs);
        } else {
            self.edges[list.last as usize].next = number;
            self.b.join_epochs(&mut list.epochs, epochs);
        }
        list.last = number;
        list.count += 1;
    }

    /// Makes ready what a branch to frame `at` carries, before the block ends: values, or homes that
    /// are up to date.
    fn ready(&mut self, at: usize) {
        let Frame { wide, in_cells, carries, .. } = self.frames[at];
        if in_cells {
            self.fill_cells(carries as usize);
        } else if wide {
            self.bring_home();
        } else {
            self.fetch(self.stack.len() - carries as usize);
        }
    }

    /// True if a branch to frame `at` is given way by [`Cx::land`].
    fn lands(&self, at: usize) -> bool {
        !self.frames[at].is_loop() && self.shifts(at)
    }

    /// True if what a branch to frame `at` carries has to be copied to the height where the label wants
    /// it.
    fn shifts(&self, at: usize) -> bool {
        let frame = &self.frames[at];
        frame.kind != Kind::Function
            && frame.wide
            && frame.height + frame.carries != self.stack.len() as u32
    }

    /// Makes ready what a branch to frame `at` carries, and puts it where the label wants it.
    fn carry(&mut self, at: usize) {
        self.ready(at);
        if self.shifts(at) {
            let (to, count) = (self.frames[at].height, self.frames[at].carries);
            self.b.home_move(to, self.stack.len() as u32 - count, count as usize);
        }
    }

    /// Leaves word of the height below which the operands are that the branch to come carries.
    fn aim(&mut self) {
        if self.aim.is_none() {
            self.aim = self.b.func.add_slot(Type::I32);
        }
        let height = self.b.iconst(Type::I32, self.stack.len() as u64);
        self.b.slot_store(Type::I32, self.aim, height);
    }

    /// Leaves to the end of frame `at`.
    fn jump_to_end(&mut self, at: usize) {
        self.carry(at);
        let epochs = self.b.epochs();
        let jump = self.terminate(Op::Jump, NONE, 0, 0);
        self.pend(at, Patch::A(jump), epochs, false);
        self.reachable = false;
    }

    /// Makes a back edge to the loop at frame `at`.
    fn back_edge(&mut self, at: usize) -> EdgeRef {
        let Frame { params, header, loop_params, loop_params_end, .. } = self.frames[at];
        let first = self.stack.len() - params as usize;
        self.args.clear();
        let mine = loop_params as usize..loop_params_end as usize;
        for (position, index) in mine.enumerate() {
            let LoopParam { local, param, entry, .. } = self.loop_params[index];
            let value = match self.locals.get(local as usize) {
                Some(local) => local.cur,
                None => self.stack[first + position],
            };
            let value = self.b.resolve(value);
            if value != param && value != entry {
                self.loop_params[index].varies = true;
            }
            self.args.push(value);
        }
        self.extra += self.args.len();
        self.frames[at].back_edges += 1;
        self.b.func.push_edge(header, &self.args)
    }

    /// Makes the block at the end of frame `at`, which has at least one edge. Goes on in it.
    fn merge(&mut self, module: &ModuleInfo, at: usize) {
        let frame = self.frames[at];
        self.undo_to(frame.log_start);
        self.log_start = frame.outer_log_start;
        self.stack.truncate(frame.height as usize);
        self.home = frame.home.min(frame.height);
        self.b.pop_scope();
        let mut edges = frame.edges;
        if frame.shifted.count > 0 {
            self.land(&frame, &mut edges);
        }
        let target = self.next_block();
        self.b.start_block(self.loop_id);
        self.b.set_epochs(edges.epochs);
        self.merge_results(module, &frame, &edges);
        let locals = self.merge_locals(&edges);
        if frame.in_cells {
            match frame.ty {
                BlockType::FuncType(_) => self.push_cells(&func_type(module, frame.ty).results),
                BlockType::Type(ty) => self.push_cells(section::value_type(ty).as_slice()),
                BlockType::Empty => {}
            }
        }
        self.fill_edges(&edges, target, locals);
        for at in 0..self.merge.len() {
            let MergeLocal { local, value, .. } = self.merge[at];
            self.set_local(local, value);
        }
        self.reachable = true;
    }

    /// The block in which edges from other heights meet on their way to the end of a frame: one copy brings
    /// the operands down from where the branch that was taken has left word they are ([`Cx::aim`]). From
    /// there one edge more goes to the frame's end, `edges`.
    fn land(&mut self, frame: &Frame, edges: &mut Pending) {
        let target = self.next_block();
        self.b.push_scope();
        self.b.start_block(self.loop_id);
        self.b.set_epochs(frame.shifted.epochs);
        self.targets.clear();
        let locals = self.merge_locals(&frame.shifted);
        self.fill_edges(&frame.shifted, target, locals);
        let height = self.b.slot_load(Type::I32, self.aim);
        self.b.home_shift(frame.height, height, frame.carries as usize);
        let jump = self.terminate(Op::Jump, NONE, 0, 0);
        let pairs = self.pairs.len() as u32;
        self.pairs.extend(self.merge.iter().map(|seen| (seen.local, seen.value)));
        let edge = Edge {
            next: NONE,
            patch: Patch::A(jump),
            vals: self.vals.len() as u32,
            pairs,
            pairs_end: self.pairs.len() as u32,
        };
        self.extra += self.merge.len();
        let epochs = self.b.epochs();
        self.enter(edges, edge, epochs);
        self.b.pop_scope();
    }

    /// Pushes the results of a merge, parameters where the edges differ; the positions of those
    /// go to `targets`. What is in cells is loaded later, behind all parameters.
    fn merge_results(&mut self, module: &ModuleInfo, frame: &Frame, edges: &Pending) {
        self.targets.clear();
        self.forget_cells();
        if frame.wide {
            return self.push_home(&func_type(module, frame.ty).results);
        }
        if frame.in_cells {
            return;
        }
        for position in 0..frame.results {
            let Edge { next, vals, .. } = self.edges[edges.first as usize];
            let value = self.b.resolve(self.vals[(vals + position) as usize]);
            let mut at = next;
            while at != NONE {
                let Edge { next, vals, .. } = self.edges[at as usize];
                if self.b.resolve(self.vals[(vals + position) as usize]) != value {
                    break;
                }
                at = next;
            }
            let merged = if at == NONE {
                value
            } else {
                self.targets.push(position);
                let ty = match frame.ty {
                    BlockType::FuncType(index) => {
                        module.types[index as usize].results[position as usize]
                    }
                    _ => self.b.func.value_type(value),
                };
                self.b.param(ty)
            };
            self.stack.push(merged);
        }
        self.extra += (frame.results * edges.count) as usize;
    }

    /// Finds the locals that come into a merge, makes parameters for those that differ, and returns
    /// the number of these.
    fn merge_locals(&mut self, edges: &Pending) -> u32 {
        self.merge_stamp += 1;
        self.merge.clear();
        let mut at = edges.first;
        while at != NONE {
            let Edge { next, pairs, pairs_end, .. } = self.edges[at as usize];
            for pair in pairs..pairs_end {
                let (local, value) = self.pairs[pair as usize];
                let value = self.b.resolve(value);
                self.pairs[pair as usize].1 = value;
                let state = &mut self.locals[local as usize];
                if state.merge_stamp == self.merge_stamp {
                    let seen = &mut self.merge[state.merge_at as usize];
                    seen.count += 1;
                    seen.differs |= seen.value != value;
                } else {
                    state.merge_stamp = self.merge_stamp;
                    state.merge_at = self.merge.len() as u32;
                    self.merge.push(MergeLocal { local, value, count: 1, differs: false, arg: 0 });
                }
            }
            at = next;
        }
        let mut args = 0;
        for seen in &mut self.merge {
            let state = &self.locals[seen.local as usize];
            if seen.count < edges.count && self.b.resolve(state.cur) != seen.value {
                seen.differs = true;
            }
            if seen.differs {
                seen.value = self.b.param(state.ty);
                seen.arg = args;
                args += 1;
            }
        }
        args
    }

    /// Makes the edges into a merge block.
    fn fill_edges(&mut self, edges: &Pending, target: Block, locals: u32) {
        let mut at = edges.first;
        let results = self.targets.len();
        while at != NONE {
            let Edge { next, patch, vals, pairs, pairs_end } = self.edges[at as usize];
            self.args.clear();
            for &position in &self.targets {
                self.args.push(self.vals[(vals + position) as usize]);
            }
            if locals > 0 {
                for seen in self.merge.iter().filter(|seen| seen.differs) {
                    self.args.push(self.locals[seen.local as usize].cur);
                }
                for &(local, value) in &self.pairs[pairs as usize..pairs_end as usize] {
                    let seen = &self.merge[self.locals[local as usize].merge_at as usize];
                    if seen.differs {
                        self.args[results + seen.arg as usize] = value;
                    }
                }
            }
            if locals > 0 {
                self.extra += self.merge.len() + (pairs_end - pairs) as usize;
            }
            self.extra += self.args.len();
            let edge = self.b.func.push_edge(target, &self.args).0;
            match patch {
                Patch::A(inst) => self.b.func.insts[inst as usize].a = edge,
                Patch::B(inst) => self.b.func.insts[inst as usize].b = edge,
                Patch::C(inst) => self.b.func.insts[inst as usize].c = edge,
                Patch::Pool(entry) => self.b.func.pool[entry as usize] = edge,
            }
            at = next;
        }
    }
}
