//! From the bytes of a module to its image, on one screen.

use crate::budget::{self, Figures, Ledger};
use crate::error::Error;
use crate::image::{FuncRange, Image, MAX_TEXT_BYTES, func_align};
use crate::options::Options;
use crate::quote;
use crate::report::{FunctionCost, Report, Resource, Use};
use crate::schedule;
use runwell_codegen::env::{MemoryPlan, ModuleEnv, TablePlan};
use runwell_codegen::{Codegen, CompiledFunction};
use runwell_ir::work::{CancelToken, Pass, Shares, Steps, Stopped, Work};
use runwell_ir::{Function, Op};
use runwell_wasm::{Limits, ModuleInfo, Parsed, Translator};
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// A compiled module.
#[derive(Clone, Debug)]
pub struct CompiledModule {
    /// What is known of the module without its bodies.
    pub info: ModuleInfo,
    /// Its machine code.
    pub image: Image,
    /// What compiling it did and cost.
    pub report: Report,
}

/// Validates and compiles a module.
///
/// # Errors
/// When the module is invalid, uses a feature that is not implemented or exceeds a limit. Of several
/// faulty functions the one with the lowest index is reported, on any number of threads.
///
/// # Complexity
/// Linear in `bytes`, with the ceilings of [`crate::budget`].
pub fn compile(bytes: &[u8], options: &Options) -> Result<CompiledModule, Error> {
    compile_watched(bytes, options, Watch::default())
}

/// Who looks on while a module is compiled.
#[derive(Copy, Clone, Default, Debug)]
pub struct Watch<'a> {
    /// Is told how far it has come.
    pub progress: Option<&'a Progress>,
    /// Says when to stop.
    pub cancel: Option<&'a CancelToken>,
}

/// As [`compile`], says how far it has come while it runs, and stops when it is told to.
///
/// # Errors
/// As for [`compile`], and [`Error::Cancelled`]: soon after the token was used, when the module was
/// not done before. Nothing is left of it then.
///
/// # Complexity
/// As [`compile`].
pub fn compile_watched(
    bytes: &[u8],
    options: &Options,
    watch: Watch<'_>,
) -> Result<CompiledModule, Error> {
    let cancelled = || watch.cancel.is_some_and(CancelToken::is_cancelled);
    // What else went wrong then depends on how far threads have come.
    let outcome = compile_all(bytes, options, watch);
    outcome.map_err(|error| if cancelled() { Error::Cancelled } else { error })
}

fn compile_all(bytes: &[u8], options: &Options, watch: Watch<'_>) -> Result<CompiledModule, Error> {
    let start = Instant::now();
    let mut work = Work::watching(watch.cancel.cloned());
    let parsed = parse(bytes, options, &mut work)?;
    quote::check(bytes, &parsed, options)?;
    let parsing = start.elapsed();
    let leaves = parsed.info.tail_calls_leave(bytes, &mut work);
    let env = module_env(&parsed.info, options, leaves);
    let job = Job { bytes, parsed: &parsed, env: &env, options, watch };
    let (mut parts, workers) = job.run(work.steps())?;
    let mut report = Report { module_bytes: bytes.len() as u64, ..Report::default() };
    report.work = *work.steps();
    workers.iter().for_each(|worker| report.add(&worker.report));
    parts.iter_mut().for_each(|part| report.costs.append(&mut part.costs));
    // Linking needs memory of its own; what the passes held goes first.
    drop(workers);
    // The last look at the token.
    work.check(Pass::Link).map_err(|why| stopped(why, None, 0))?;
    let linking = Instant::now();
    let image = link(parts, &parsed.info, &mut report.work)?;
    report.times[Pass::Parse as usize] = parsing;
    report.times[Pass::Link as usize] = linking.elapsed();
    report.code_bytes = image.text.len() as u64;
    report.elapsed = start.elapsed();
    Ok(CompiledModule { info: parsed.info, image, report })
}

/// Everything but the bodies.
fn parse(bytes: &[u8], options: &Options, work: &mut Work) -> Result<Parsed, Error> {
    let ceiling = options.budget.module_parse.of(bytes.len() as u64);
    let mut shares = Shares::NONE;
    shares.base[Pass::Parse as usize] = u32::try_from(ceiling).unwrap_or(u32::MAX);
    work.limit(&shares, 1);
    let parsed = Parsed::parse_metered(bytes, &Limits::default(), work)?;
    work.check(Pass::Parse).map_err(|why| stopped(why, None, 0))?;
    work.limit(&Shares::UNLIMITED, 1);
    Ok(parsed)
}

/// The error for what a meter has stopped, at `offset`.
pub(crate) fn stopped(why: Stopped, func: Option<u32>, offset: u32) -> Error {
    match why {
        Stopped::Cancelled => Error::Cancelled,
        Stopped::Spent { limit, .. } => {
            Error::Limit { name: runwell_wasm::WORK, limit, offset: offset as usize, func }
        }
    }
}

/// What all threads read.
#[derive(Copy, Clone)]
struct Job<'a> {
    bytes: &'a [u8],
    parsed: &'a Parsed,
    env: &'a ModuleEnv,
    options: &'a Options,
    watch: Watch<'a>,
}

impl Job<'_> {
    /// Compiles all functions. `before` is what has been spent on the module.
    fn run(&self, before: &Steps) -> Result<(Vec<Part>, Vec<Worker>), Error> {
        let Job { bytes, parsed, options, watch, .. } = *self;
        let bodies = &parsed.info.bodies;
        let size = |bodies: &[Range<u32>]| bodies.iter().map(|body| body.len() as u64).sum();
        let tell = |of: fn(&Progress) -> &AtomicU64, bodies| {
            if let Some(progress) = watch.progress {
                of(progress).fetch_add(size(bodies), Ordering::Relaxed);
            }
        };
        tell(|progress| &progress.total, bodies);
        let batches = schedule::batches(bodies.iter().map(|body| body.len()));
        let worker = || Worker::new(options, watch.cancel);
        let ledger = Ledger::new(&options.budget, bytes.len() as u64, before);
        let done = schedule::run(batches.len(), options.jobs, worker, |worker, batch| {
            if ledger.is_over() {
                return Err(Stop::Over);
            }
            let (first, end) = batches[batch];
            let (part, figures) = worker.batch(self, (first, end))?;
            tell(|progress| &progress.done, &bodies[first..end]);
            ledger.add(batch, figures);
            Ok(part)
        });
        // What went over a ceiling lies before any fault: the ledger has no gaps.
        match (ledger.over(), done) {
            (Some(over), _) => Err(Error::Limit {
                name: over.name,
                limit: over.limit,
                offset: parsed.info.bodies[over.own].start as usize,
                func: Some(parsed.info.imported_funcs() + over.own as u32),
            }),
            (None, done) => done.map_err(Stop::into_error),
        }
    }
}

/// How far compiling has come, for whoever watches it from another thread. Several compilations may
/// share one: then it tells of all of them together.
#[derive(Default, Debug)]
pub struct Progress {
    done: AtomicU64,
    total: AtomicU64,
}

impl Progress {
    /// Bytes of function bodies that have been compiled.
    pub fn done(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }

    /// Bytes of function bodies there are to compile, as far as is known.
    pub fn total(&self) -> u64 {
        self.total.load(Ordering::Relaxed)
    }
}

/// Why compiling functions went no further.
enum Stop {
    /// A function is at fault.
    Error(Error),
    /// The functions together exceed a ceiling.
    Over,
}

impl Stop {
    fn into_error(self) -> Error {
        match self {
            Stop::Error(error) => error,
            Stop::Over => {
                Error::Bug { message: "a ceiling is exceeded that is not".to_string(), func: None }
            }
        }
    }
}

impl<E: Into<Error>> From<E> for Stop {
    fn from(error: E) -> Stop {
        Stop::Error(error.into())
    }
}

/// True if a function has a tail call that may end in another instance.
fn leaves(func: &Function, imported_funcs: u32) -> bool {
    func.blocks.iter().any(|block| {
        let inst = &func.insts[block.end as usize - 1];
        match inst.op {
            Op::ReturnCallIndirect | Op::ReturnCallRef => true,
            Op::ReturnCall => inst.c < imported_funcs,
            _ => false,
        }
    })
}

/// Validates a module without compiling it. What this accepts, [`compile`] accepts unless the code
/// generator's own limits are exceeded.
///
/// # Errors
/// As for [`compile`].
pub fn validate(bytes: &[u8], options: &Options) -> Result<(), Error> {
    let parsed = parse(bytes, options, &mut Work::new())?;
    let batches = schedule::batches(parsed.info.bodies.iter().map(|body| body.len()));
    let translator = || {
        let mut translator = Translator::new();
        translator.set_budget(options.budget.passes, None);
        translator
    };
    schedule::run(batches.len(), options.jobs, translator, |translator, batch| {
        let (first, end) = batches[batch];
        (first..end).try_for_each(|own| {
            Ok(translator.validate(&parsed.info, &parsed.validation, bytes, own)?)
        })
    })
    .map_err(Stop::into_error)?;
    Ok(())
}

/// What code generation needs to know of a module.
pub(crate) fn module_env(
    info: &ModuleInfo,
    options: &Options,
    tail_calls_leave: bool,
) -> ModuleEnv {
    ModuleEnv {
        target: options.target,
        layout: info.layout,
        memories: info
            .memories
            .iter()
            .map(|ty| MemoryPlan {
                memory64: ty.memory64,
                guarded: options.guarded_memories && !ty.memory64,
                min_bytes: ty.min_bytes(),
            })
            .collect(),
        tables: info
            .tables
            .iter()
            .map(|ty| TablePlan { table64: ty.table64, element: ty.element })
            .collect(),
        imported_funcs: info.imported_funcs(),
        escaped: info.escaped.clone(),
        metered: options.schedule.is_some(),
        raw_nans: options.raw_nans,
        tail_calls_leave,
    }
}

/// The context of one thread.
#[derive(Default)]
struct Worker {
    translator: Translator,
    codegen: Codegen,
    report: Report,
}

/// Machine code of consecutive functions; offsets are relative to its start.
#[derive(Default)]
struct Part {
    image: Image,
    relocs: Vec<(u32, u32)>,
    /// What each of them cost, if anybody asks.
    costs: Vec<FunctionCost>,
}

impl Worker {
    fn new(options: &Options, cancel: Option<&CancelToken>) -> Worker {
        let mut translator = Translator::with_passes(options.passes);
        translator.set_schedule(options.schedule);
        translator.set_budget(options.budget.passes, cancel.cloned());
        Worker { translator, ..Worker::default() }
    }

    fn batch(
        &mut self,
        job: &Job<'_>,
        (first, end): (usize, usize),
    ) -> Result<(Part, Vec<Figures>), Stop> {
        let mut part = Part::default();
        let mut figures = Vec::with_capacity(end - first);
        for own in first..end {
            figures.push(self.function(job, own, &mut part)?);
        }
        part.shrink();
        if job.options.costs {
            let cost =
                |f: &Figures| FunctionCost { work: f.work, code: f.code, tables: f.image - f.code };
            part.costs = figures.iter().map(cost).collect();
        }
        Ok((part, figures))
    }

    fn function(&mut self, job: &Job<'_>, own: usize, part: &mut Part) -> Result<Figures, Error> {
        let Job { bytes, parsed, env, options, .. } = *job;
        let index = parsed.info.imported_funcs() + own as u32;
        let at = parsed.info.bodies[own].start;
        let clock = options.timing.then(Instant::now);
        self.translator.translate(&parsed.info, &parsed.validation, bytes, own)?;
        let size = parsed.info.bodies[own].len() as u64;
        let front = self.translator.bytes() as u64;
        self.translator.trim(size as usize);
        let (func, work) = self.translator.parts();
        #[cfg(test)]
        let func = &mut tests::damaged(func);
        debug_assert!(env.tail_calls_leave || !leaves(func, env.imported_funcs));
        if options.verify {
            runwell_ir::verify::verify(func).map_err(|message| Error::Bug {
                message: message.to_string(),
                func: Some(index),
            })?;
        }
        self.report.peak(Pass::Translate, func.bytes());
        if let Some(clock) = clock {
            self.report.times[Pass::Translate as usize] += clock.elapsed();
        }
        let over =
            |name, limit| Error::Limit { name, limit, offset: at as usize, func: Some(index) };
        let memory_limit = options.budget.memory.of(size);
        if front > memory_limit {
            return Err(over(budget::name::MEMORY, memory_limit));
        }
        let compiled = self
            .codegen
            .compile_last(func, env, work, options.verify)
            .map_err(|error| Error::codegen(error, index, at))?;
        let memory = front + self.codegen.bytes() as u64 + compiled.bytes() as u64;
        if memory > memory_limit {
            return Err(over(budget::name::MEMORY, memory_limit));
        }
        let (code, code_limit) = (compiled.code.len() as u64, options.budget.code.of(size));
        if code > code_limit {
            return Err(over(budget::name::CODE, code_limit));
        }
        let image = compiled.bytes() as u64;
        // It is copied twice, and its calls are patched.
        work.charge(Pass::Link, image as usize / (STEP_BYTES / 2) + compiled.relocs.len() + 2);
        self.report.function(index, work, &options.budget.passes, size);
        self.report.used(Resource::Memory, Use { func: index, used: memory, limit: memory_limit });
        self.report.used(Resource::Code, Use { func: index, used: code, limit: code_limit });
        self.report.checked += u32::from(options.verify);
        let figures = Figures { work: work.total(), code, image };
        part.append(compiled)?;
        Ok(figures)
    }
}

impl Part {
    /// Gives back what lists have room for beyond what is in them: parts wait until all are done.
    fn shrink(&mut self) {
        let Image { text, funcs, traps, srclocs, rests } = &mut self.image;
        text.shrink_to_fit();
        funcs.shrink_to_fit();
        traps.shrink_to_fit();
        srclocs.shrink_to_fit();
        rests.shrink_to_fit();
        self.relocs.shrink_to_fit();
    }

    fn append(&mut self, compiled: CompiledFunction) -> Result<(), Error> {
        let image = &mut self.image;
        if image.funcs.is_empty() {
            // The first function needs no copy, which tells when it is a large one.
            check_text(compiled.code.len() as u64)?;
            let end = compiled.code.len() as u32;
            image.funcs.push(FuncRange { start: 0, end, frame_bytes: compiled.frame_bytes });
            image.text = compiled.code;
            image.traps = compiled.traps;
            image.srclocs = compiled.srclocs;
            image.rests = compiled.rests;
            self.relocs = compiled.relocs;
            return Ok(());
        }
        let start = image.text.len().next_multiple_of(func_align(compiled.code.len()));
        check_text((start + compiled.code.len()) as u64)?;
        image.text.resize(start, PADDING);
        let start = start as u32;
        let at = |offset: u32| start + offset;
        image.text.extend_from_slice(&compiled.code);
        image.funcs.push(FuncRange {
            start,
            end: image.text.len() as u32,
            frame_bytes: compiled.frame_bytes,
        });
        image.traps.extend(compiled.traps.iter().map(|&(offset, code)| (at(offset), code)));
        image.srclocs.extend(compiled.srclocs.iter().map(|&(offset, src)| (at(offset), src)));
        image.rests.extend_from_slice(&compiled.rests);
        self.relocs.extend(compiled.relocs.iter().map(|&(offset, callee)| (at(offset), callee)));
        Ok(())
    }
}

/// Bytes that copying counts as one step.
const STEP_BYTES: usize = 16;

/// Alignment of parts: that of the functions that are aligned most.
const PART_ALIGN: usize = func_align(usize::MAX);

/// Fills gaps between functions: `int3`.
const PADDING: u8 = 0xcc;

fn check_text(bytes: u64) -> Result<(), Error> {
    if bytes > MAX_TEXT_BYTES {
        return Err(Error::Limit {
            name: "bytes of machine code",
            limit: MAX_TEXT_BYTES,
            offset: 0,
            func: None,
        });
    }
    Ok(())
}

/// Puts parts one behind the other and patches calls between functions.
///
/// # Complexity
/// Linear: everything is copied once, and each call to a function of the module patched once. Each
/// function has been charged for that, at a step per [`STEP_BYTES`], where functions are added up.
fn link(parts: Vec<Part>, info: &ModuleInfo, work: &mut Steps) -> Result<Image, Error> {
    let sum = |of: fn(&Part) -> usize| parts.iter().map(of).sum::<usize>();
    let text_bytes = sum(|part| part.image.text.len().next_multiple_of(PART_ALIGN));
    check_text(text_bytes as u64)?;
    let mut image = Image {
        text: Vec::with_capacity(text_bytes),
        funcs: Vec::with_capacity(info.bodies.len()),
        traps: Vec::with_capacity(sum(|part| part.image.traps.len())),
        srclocs: Vec::with_capacity(sum(|part| part.image.srclocs.len())),
        rests: Vec::with_capacity(sum(|part| part.image.rests.len())),
    };
    let mut relocs = Vec::with_capacity(sum(|part| part.relocs.len()));
    work.charge(Pass::Link, parts.len());
    for part in parts {
        let base = image.text.len().next_multiple_of(PART_ALIGN);
        image.text.resize(base, PADDING);
        let base = base as u32;
        let from = part.image;
        image.text.extend_from_slice(&from.text);
        image.funcs.extend(from.funcs.iter().map(|func| FuncRange {
            start: base + func.start,
            end: base + func.end,
            frame_bytes: func.frame_bytes,
        }));
        image.traps.extend(from.traps.iter().map(|&(offset, code)| (base + offset, code)));
        image.srclocs.extend(from.srclocs.iter().map(|&(offset, src)| (base + offset, src)));
        image.rests.extend_from_slice(&from.rests);
        relocs.extend(part.relocs.iter().map(|&(offset, callee)| (base + offset, callee)));
    }
    for (offset, callee) in relocs {
        let own = callee.checked_sub(info.imported_funcs()).map(|own| own as usize);
        let Some(target) = own.and_then(|own| image.funcs.get(own)) else {
            let message = format!("a call to function {callee}, which has no code");
            return Err(Error::Bug { message, func: None });
        };
        let relative = target.start.wrapping_sub(offset + 4);
        let field = offset as usize..offset as usize + 4;
        image.text[field].copy_from_slice(&relative.to_le_bytes());
    }
    Ok(image)
}

#[cfg(test)]
mod tests {
    use super::*;
    use runwell_abi::{Arch, Features, Target};
    use std::cell::Cell;

    thread_local! {
        /// What the front end is made to do wrong on this thread.
        static DAMAGE: Cell<Option<fn(&mut Function)>> = const { Cell::new(None) };
    }

    pub(super) fn damaged(func: &Function) -> Function {
        let mut func = func.clone();
        if let Some(damage) = DAMAGE.get() {
            damage(&mut func);
        }
        func
    }

    fn options(verify: bool, jobs: usize) -> Options {
        let target = Target { arch: Arch::X64, features: Features::default() };
        Options { verify, jobs, ..Options::new(target) }
    }

    /// A module with two functions, `(func (param i32) (result i32))` each: the parameter plus 1,
    /// and the parameter times 3.
    const MODULE: &[u8] = b"\0asm\x01\0\0\0\
        \x01\x06\x01\x60\x01\x7f\x01\x7f\
        \x03\x03\x02\0\0\
        \x0a\x11\x02\x07\0\x20\0\x41\x01\x6a\x0b\x07\0\x20\0\x41\x03\x6c\x0b";

    #[test]
    fn checkers_run_when_asked_and_change_nothing() {
        let plain = compile(MODULE, &options(false, 1)).unwrap();
        assert_eq!((plain.report.functions, plain.report.checked), (2, 0));
        for jobs in [1, 2] {
            let checked = compile(MODULE, &options(true, jobs)).unwrap();
            assert_eq!((checked.report.functions, checked.report.checked), (2, 2));
            assert_eq!(checked.image, plain.image);
        }
    }

    #[test]
    fn progress_ends_at_the_total() {
        let progress = Progress::default();
        let watch = Watch { progress: Some(&progress), cancel: None };
        compile_watched(MODULE, &options(false, 1), watch).unwrap();
        let total = progress.total();
        assert!(total > 0 && progress.done() == total, "{progress:?}");
        compile_watched(MODULE, &options(false, 2), watch).unwrap();
        assert!(progress.total() == 2 * total && progress.done() == 2 * total, "{progress:?}");
    }

    #[test]
    fn a_broken_function_is_a_bug_that_verification_finds() {
        // The second function's product is of another type than what it returns.
        DAMAGE.set(Some(|func| {
            if func.index == 1 {
                func.insts[0].ty = runwell_ir::Type::I64;
            }
        }));
        let found = compile(MODULE, &options(true, 1));
        let unchecked = compile(MODULE, &options(false, 1));
        DAMAGE.set(None);
        match found.expect_err("a bug") {
            Error::Bug { message, func } => {
                assert_eq!(func, Some(1));
                assert!(message.contains("entry parameter"), "{message}");
            }
            other => panic!("{other}"),
        }
        assert_eq!(unchecked.unwrap().report.checked, 0);
    }
}
