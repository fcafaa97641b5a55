//! From one body to one SSA function, in one forward walk.
//!
//! Each operator is validated and then translated at once; values exist as soon as they are made
//! ([`runwell_opt::Builder`] folds and numbers them), so there is no second look at the text. What
//! makes SSA possible in one walk is that control is structured:
//!
//! - *locals* ([`crate::locals`]) have a current value; each construct that is branched to undoes
//!   what was set inside of it when it ends, and block parameters are made for the locals whose
//!   values differ at its incoming edges;
//! - *loop headers* ([`crate::control`]) get parameters for the locals that [`crate::scan`] has seen
//!   written in the loop; those that turn out to be the same on all edges become aliases when the
//!   loop closes.
//!
//! Blocks come out in text order, which is a reverse post-order in which loops are contiguous.
//! Unreachable code is validated but yields nothing.
//!
//! # Complexity
//! O(operators + edge arguments), the latter bounded by the scan; on the meter as `Pass::Translate`. A step
//! is an operator, a value made or found, a value moved by an operator (32 of them where many are moved at
//! once), a local declared, set inside of a construct or undone at its end, an argument of an edge. The
//! type of a local is searched among runs of declarations, of which a body has room for 2^22, so in 22
//! steps at most. With half of its budget spent the [`Builder`] makes values as they are asked for
//! (`Fallback::Plain`); beyond its share is an error.

use crate::carry::Cells;
use crate::control::{Edge, Frame, LoopParam, MergeLocal};
use crate::error::{Error, Result};
use crate::features;
use crate::locals::{Local, LogEntry};
use crate::module::{ModuleInfo, Validation};
use crate::operator::Visitor;
use crate::scan::Scan;
use crate::second;
use crate::section;
use crate::validate::{Scratch, Validator};
use runwell_abi::Type;
use runwell_abi::fuel::Schedule;
use runwell_abi::memory::frame_depth;
use runwell_ir::work::{CancelToken, Fallback, Pass, Shares};
use runwell_ir::{Function, LoopId, SigRef, Signature, Slot, Value, Work, scratch};
use runwell_opt::{Builder, Passes};
use wasmparser as wp;
use wasmparser::BinaryReader;

/// Operators from one look at the meter to the next.
const CHECK_EVERY: usize = 1 << 12;

/// Memory that translating may keep for the next body, per byte of this one and besides. Large bodies of
/// real programs take less than that.
const HELD_PER_BYTE: usize = 10;
const HELD: usize = 64 << 10;
/// Bodies of fewer bytes do not take much in any case: what they leave is of use to the next one.
const LARGE: usize = 4096;

/// Translates bodies to SSA: a reusable context, one per thread. What it yields for a body does not
/// depend on what it did before.
#[derive(Default)]
pub struct Translator {
    scratch: Scratch,
    cx: Cx,
}

/// A body to be validated or translated.
#[derive(Copy, Clone)]
struct Body<'b> {
    module: &'b ModuleInfo,
    bytes: &'b [u8],
    /// Its byte offset in the module.
    at: u32,
    /// The function and its type.
    index: u32,
    ty: u32,
}

/// The state of translating one function.
#[derive(Default)]
pub(crate) struct Cx {
    pub(crate) b: Builder,
    pub(crate) scan: Scan,
    /// The most operands there have been on the validator's stack: in unreachable code, too.
    pub(crate) height: u32,
    /// The operand stack.
    pub(crate) stack: Vec<Value>,
    /// Height up to which the operands of the innermost construct are at home. See [`crate::home`].
    pub(crate) home: u32,
    /// Types of operands that are at home only, by height.
    pub(crate) home_types: Vec<Type>,
    /// Slots for what branch tables carry, see [`crate::carry`].
    pub(crate) cells: Cells,
    /// Open constructs, the function first. Constructs opened in unreachable code are only counted.
    pub(crate) frames: Vec<Frame>,
    /// True while the current operator can be reached.
    pub(crate) reachable: bool,
    /// Constructs opened since code became unreachable.
    pub(crate) dead: u32,
    /// Constructs met so far.
    pub(crate) constructs: usize,
    /// The innermost loop that the current block lies in.
    pub(crate) loop_id: LoopId,
    /// Locals that are mentioned, by the numbers that the scan has given them. Everything else here
    /// names locals by these numbers, too.
    pub(crate) locals: Vec<Local>,
    /// What the locals set since the open constructs were entered were before. See `locals`.
    pub(crate) log: Vec<LogEntry>,
    /// Length of the log when the innermost construct with its own undo scope was entered.
    pub(crate) log_start: u32,
    /// Edges to the ends of open constructs, as lists.
    pub(crate) edges: Vec<Edge>,
    /// Locals and their values on these edges.
    pub(crate) pairs: Vec<(u32, Value)>,
    /// Results on these edges.
    pub(crate) vals: Vec<Value>,
    /// Parameters of the headers of open loops.
    pub(crate) loop_params: Vec<LoopParam>,
    /// Parameters of open ifs, for the other arm.
    pub(crate) saved: Vec<Value>,
    /// Scratch of merges: the locals that come in.
    pub(crate) merge: Vec<MergeLocal>,
    /// Scratch of merges: the number of the current one, for stamps.
    pub(crate) merge_stamp: u32,
    /// The slot in which branches say at what height they have left their operands, once there is one.
    pub(crate) aim: Slot,
    /// Scratch: arguments.
    pub(crate) args: Vec<Value>,
    /// Scratch: results.
    pub(crate) results: Vec<Value>,
    /// Scratch: targets of a branch table.
    pub(crate) targets: Vec<u32>,
    /// Scratch: entries of a branch table.
    pub(crate) table: Vec<u32>,
    /// Scratch: distinct edges of a branch table.
    pub(crate) edge_numbers: Vec<u32>,
    /// Branch tables met so far, for stamps.
    pub(crate) table_stamp: u32,
    /// Steps beyond one per operator, and operators, that have not been charged yet.
    pub(crate) extra: usize,
    since: usize,
    /// What each body may cost, when there is a limit.
    shares: Option<Shares>,
    /// Declared locals as runs: index after the last one, type.
    runs: Vec<(u32, Type)>,
}

impl Translator {
    /// A fresh context.
    pub fn new() -> Translator {
        Translator::default()
    }

    /// Meters fuel by `schedule` from the next body on, or does not.
    pub fn set_schedule(&mut self, schedule: Option<Schedule>) {
        self.cx.scan.meter.set(schedule);
    }

    /// A fresh context that makes these rewrites only.
    pub fn with_passes(passes: Passes) -> Translator {
        let mut translator = Translator::default();
        translator.cx.b.passes = passes;
        translator
    }

    /// From the next body on, each is metered by itself: it may cost what these shares allow, and
    /// stops when `cancel` says so.
    pub fn set_budget(&mut self, shares: Shares, cancel: Option<CancelToken>) {
        self.cx.shares = Some(shares);
        self.cx.b.work = Work::watching(cancel);
    }

    /// Steps of work done: for the last body when there is a budget, else since the context was made,
    /// all functions together.
    pub fn work(&self) -> &Work {
        &self.cx.b.work
    }

    /// The last function, and its meter for the passes to come.
    pub fn parts(&mut self) -> (&mut Function, &mut Work) {
        (&mut self.cx.b.func, &mut self.cx.b.work)
    }

    /// Bytes of the data that translating the last body made, the function included.
    pub fn bytes(&self) -> usize {
        self.cx.bytes()
    }

    /// Gives back the memory that translating took besides the last function, a body of so many bytes,
    /// if it is out of proportion to these: what comes now needs memory of its own, and nothing of this.
    pub fn trim(&mut self, bytes: usize) {
        if bytes >= LARGE && self.scratch.held() + self.cx.held() > HELD + HELD_PER_BYTE * bytes {
            self.scratch = Scratch::default();
            let Cx { mut b, mut scan, shares, .. } = std::mem::take(&mut self.cx);
            b.trim();
            scan.trim();
            self.cx = Cx { b, scan, shares, ..Cx::default() };
        }
    }

    /// Operators of the last body.
    pub fn operators(&self) -> u32 {
        self.cx.scan.operators
    }

    /// Validates and translates own function number `own` of `module`. `bytes` is the binary that
    /// `module` and `validation` were parsed from. The function stays valid until the next call.
    ///
    /// # Errors
    /// When the body is invalid, uses an unsupported proposal or exceeds a limit.
    ///
    /// # Panics
    /// When `own` is out of range or `bytes` is another binary.
    pub fn translate(
        &mut self,
        module: &ModuleInfo,
        validation: &Validation,
        bytes: &[u8],
        own: usize,
    ) -> Result<&mut Function> {
        self.walk(module, validation, bytes, own, Cx::translate)?;
        Ok(&mut self.cx.b.func)
    }

    /// Validates own function number `own` of `module` as [`Translator::translate`] does, and no more.
    ///
    /// # Errors
    /// The same as those of translation.
    ///
    /// # Panics
    /// When `own` is out of range or `bytes` is another binary.
    ///
    /// # Complexity
    /// O(operators + types moved / 64); no operator moves more than 3,000 types.
    pub fn validate(
        &mut self,
        module: &ModuleInfo,
        validation: &Validation,
        bytes: &[u8],
        own: usize,
    ) -> Result<()> {
        self.walk(module, validation, bytes, own, Cx::validate)
    }

    fn walk(
        &mut self,
        module: &ModuleInfo,
        validation: &Validation,
        bytes: &[u8],
        own: usize,
        walk: impl FnOnce(&mut Cx, &Body<'_>, &mut Validator<'_>) -> Result<()>,
    ) -> Result<()> {
        let index = module.imported_funcs() + own as u32;
        let range = module.bodies[own].clone();
        let ty = module.funcs[index as usize];
        let (bytes, at) = (&bytes[range.start as usize..range.end as usize], range.start);
        let body = Body { module, bytes, at, index, ty };
        let scratch = std::mem::take(&mut self.scratch);
        let mut validator = Validator::begin(scratch, module, validation, at, index, ty);
        if self.cx.shares.is_some() {
            self.cx.b.work.reset();
        }
        let result = walk(&mut self.cx, &body, &mut validator);
        self.scratch = validator.into_scratch();
        result.map_err(|error| {
            let func = validation.func(index, ty);
            second::look_at_body(error, func, bytes, at, &self.cx.b.work).in_func(index)
        })
    }
}

/// More locals than the validator admits, parameters included.
const MAX_LOCALS: u32 = 51_000;

/// Reads the declarations of locals of a body that starts at `at`, without validating them: how many
/// locals there are, parameters included, and where the operators start. The types go to `runs`, with the
/// index after the last local of each run. `None` when there are more locals than the validator admits.
pub(crate) fn declarations(
    body: &[u8],
    at: u32,
    params: u32,
    runs: &mut Vec<(u32, Type)>,
) -> Result<Option<(u32, usize)>> {
    let mut reader = BinaryReader::new_features(body, at.into(), features::SUPPORTED);
    runs.clear();
    let mut declared = params;
    for _ in 0..reader.read_var_u32()? {
        declared = declared.saturating_add(reader.read_var_u32()?);
        let ty = reader.read::<wp::ValType>()?;
        if declared > MAX_LOCALS {
            return Ok(None);
        }
        runs.push((declared, section::value_type(ty).unwrap_or(Type::V128)));
    }
    Ok(Some((declared, reader.current_position())))
}

impl Cx {
    /// Reads what comes before the operators and scans these. The reader is then at the first one.
    fn open<'b>(
        &mut self,
        body: &Body<'b>,
        validator: &mut Validator<'_>,
    ) -> Result<BinaryReader<'b>> {
        let Body { module, bytes, at, ty, .. } = *body;
        self.scan.operators = 0;
        self.extra = 0;
        self.since = 0;
        let mut reader = BinaryReader::new_features(bytes, at.into(), features::SUPPORTED);
        self.declare(module, validator, &mut reader, ty)?;
        let code = &bytes[reader.current_position()..];
        let sig = &module.types[ty as usize];
        self.scan.run(module, sig, code, validator.len_locals(), &mut ());
        self.start_meter(bytes.len(), at)?;
        Ok(reader)
    }

    fn translate(&mut self, body: &Body<'_>, validator: &mut Validator<'_>) -> Result<()> {
        let mut reader = self.open(body, validator)?;
        let code = &body.bytes[reader.current_position()..];
        let code_at = reader.original_position() as u32;
        self.begin(body.module, body.index, body.ty, code_at);
        let mut visitor = Visitor { cx: self, module: body.module, validator, code, code_at };
        while !reader.eof() {
            visitor.validator.at = reader.original_position();
            reader.visit_operator(&mut visitor)??;
            visitor.cx.since += 1;
            if visitor.cx.since == CHECK_EVERY {
                visitor.cx.check(visitor.validator, body.at)?;
            }
        }
        reader.finish_expression(visitor.validator)?;
        self.finish();
        self.check(validator, body.at)
    }

    fn validate(&mut self, body: &Body<'_>, validator: &mut Validator<'_>) -> Result<()> {
        let mut reader = self.open(body, validator)?;
        while !reader.eof() {
            validator.at = reader.original_position();
            reader.visit_operator(validator)??;
            self.since += 1;
            if self.since == CHECK_EVERY {
                self.check(validator, body.at)?;
            }
        }
        reader.finish_expression(validator)?;
        self.check(validator, body.at)
    }

    /// Charges the scan, and sets the ceilings of the body that has just been scanned.
    fn start_meter(&mut self, bytes: usize, at: u32) -> Result<()> {
        let work = &mut self.b.work;
        if let Some(shares) = &self.shares {
            work.limit(shares, bytes as u64);
        }
        work.charge(Pass::Scan, self.scan.work());
        work.fall_back(Fallback::Slots, u32::from(self.scan.any_demoted));
        work.check(Pass::Scan).map_err(|why| Error::stopped(why, at))
    }

    /// Charges what was done since the last time. When the budget runs low, values are made plainly
    /// from here on; when it has run out, this is an error.
    #[cold]
    fn check(&mut self, validator: &mut Validator<'_>, at: u32) -> Result<()> {
        let take = |steps: &mut usize| std::mem::take(steps);
        let steps = take(&mut self.since) + take(&mut self.extra) + take(&mut validator.steps);
        let work = &mut self.b.work;
        work.charge(Pass::Translate, steps);
        if work.is_spent(Pass::Translate) && self.b.economize() {
            self.b.work.fall_back(Fallback::Plain, 1);
        }
        self.b.work.check(Pass::Translate).map_err(|why| Error::stopped(why, at))
    }

    /// Bytes of memory besides the function, whether they are in use or not: of the tables that may be
    /// large.
    fn held(&self) -> usize {
        self.scan.held()
            + self.b.held()
            + scratch::held(&self.stack)
            + scratch::held(&self.home_types)
            + scratch::held(&self.frames)
            + scratch::held(&self.locals)
            + scratch::held(&self.log)
            + scratch::held(&self.edges)
            + scratch::held(&self.pairs)
            + scratch::held(&self.vals)
            + scratch::held(&self.loop_params)
            + scratch::held(&self.saved)
            + scratch::held(&self.merge)
            + scratch::held(&self.table)
            + scratch::held(&self.runs)
    }

    /// Bytes of what was made.
    fn bytes(&self) -> usize {
        self.b.func.bytes()
            + self.scan.bytes()
            + size_of_val(&*self.locals)
            + size_of_val(&*self.log)
            + size_of_val(&*self.edges)
            + size_of_val(&*self.pairs)
            + size_of_val(&*self.vals)
    }

    /// Reads the declarations of locals, as runs.
    fn declare(
        &mut self,
        module: &ModuleInfo,
        validator: &mut Validator<'_>,
        reader: &mut BinaryReader<'_>,
        ty: u32,
    ) -> Result<()> {
        self.runs.clear();
        let mut end = module.types[ty as usize].params.len() as u32;
        for _ in 0..reader.read_var_u32()? {
            let at = reader.original_position();
            let count = reader.read_var_u32()?;
            let ty: wp::ValType = reader.read()?;
            validator.define_locals(at, count, ty)?;
            end += count;
            if let Some(ty) = section::value_type(ty) {
                self.runs.push((end, ty));
            }
            self.extra += 1;
        }
        Ok(())
    }

    /// Starts the function: its entry block and the locals that are mentioned.
    fn begin(&mut self, module: &ModuleInfo, index: u32, ty: u32, at: u32) {
        self.height = 0;
        self.stack.clear();
        self.home = 0;
        self.cells = Cells::default();
        self.frames.clear();
        self.reachable = true;
        self.dead = 0;
        self.constructs = 0;
        self.loop_id = LoopId::NONE;
        self.log.clear();
        self.log.push(LogEntry::HEAD);
        self.log_start = 0;
        self.edges.clear();
        self.pairs.clear();
        self.vals.clear();
        self.loop_params.clear();
        self.saved.clear();
        self.merge_stamp = 0;
        self.aim = Slot::NONE;
        self.table_stamp = 0;
        self.args.clear();

        let sig = &module.types[ty as usize];
        self.b.begin(index, SigRef(ty), module.types.clone());
        // Few functions have more instructions than that.
        self.b.expect(self.scan.operators as usize / 2);
        self.b.set_src(at);
        self.b.start_block(LoopId::NONE);
        let locals = self.scan.mentioned.iter().max().map_or(0, |&most| most + 1);
        self.locals.clear();
        self.take_params(sig, locals);
        self.extra += 2 * self.scan.mentioned.len();
        // Those of wide functions come in the order in which they are mentioned.
        let mut next = 0;
        for at in 0..self.scan.mentioned.len() {
            let local = self.scan.mentioned[at];
            let (ty, param) = match sig.params.get(local as usize) {
                Some(&ty) => {
                    let number = if sig.wide_params() { next } else { local as usize };
                    next += 1;
                    (ty, Some(self.args[number]))
                }
                None => (self.declared_type(local), None),
            };
            self.declare_local(ty, param);
        }
        self.args.clear();
        self.frames.push(Frame::function(sig.results.len()));
        // What is charged before the first operator belongs to the declarations before it.
        self.b.set_src(at - 1);
    }

    /// What the function's frame counts, from facts of the text alone.
    fn depth_bytes(&self) -> u32 {
        let locals = self.scan.mentioned.len() as u64;
        let operators = u64::from(self.scan.operators);
        // Bodies and their numbers of locals are limited, so that this is far below the type's range.
        frame_depth(locals, self.height.into(), operators, self.scan.calls) as u32
    }

    /// Makes the parameters, into `args`: of a narrow function all up to the last one in use. A type of a
    /// thousand costs two bytes in each function, so of a wide one only those in use.
    fn take_params(&mut self, sig: &Signature, locals: u32) {
        let params = sig.params.len() as u32;
        if sig.wide_params() {
            for at in 0..self.scan.mentioned.len() {
                let local = self.scan.mentioned[at];
                if local < params {
                    let value = self.b.argument(sig.params[local as usize], local);
                    self.args.push(value);
                }
            }
        } else {
            for number in 0..params.min(locals) {
                let value = self.b.argument(sig.params[number as usize], number);
                self.args.push(value);
            }
        }
        self.extra += self.args.len();
    }

    fn declared_type(&self, local: u32) -> Type {
        let run = self.runs.partition_point(|&(end, _)| end <= local);
        self.runs[run].1
    }

    fn finish(&mut self) {
        self.drop_dead_loops();
        self.mark_cold();
        self.b.func.depth_bytes = self.depth_bytes();
        // Each was walked through once more where it arrived.
        self.extra += self.edges.len() + self.pairs.len() + self.vals.len();
        self.b.finish();
    }
}

const _: () = {
    const fn is_send<T: Send>() {}
    is_send::<Translator>();
};
