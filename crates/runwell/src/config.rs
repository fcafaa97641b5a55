//! What can be chosen about an engine.

use crate::cache::Cache;
use crate::key::Key;
use crate::{Progress, Result};
use runwell_abi::Schedule;
use runwell_compiler::{Budget, CompileBudget, Passes};
use std::fmt;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What can be chosen about an engine.
///
/// ```
/// use runwell::{Config, Engine};
///
/// # fn main() -> runwell::Result<()> {
/// let engine = Engine::new(Config::new().max_wasm_stack(256 << 10).parallel_compilation(false))?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Config {
    pub(crate) max_wasm_stack: usize,
    pub(crate) jobs: usize,
    pub(crate) verify: bool,
    pub(crate) guarded_memories: bool,
    pub(crate) passes: Passes,
    pub(crate) baseline_cpu: bool,
    pub(crate) narrow_cpu: bool,
    pub(crate) backtrace_frames: usize,
    pub(crate) timing: bool,
    pub(crate) schedule: Option<Schedule>,
    pub(crate) charge_instantiation: bool,
    pub(crate) charge_compilation: u64,
    pub(crate) raw_nans: bool,
    pub(crate) compile_budget: CompileBudget,
    pub(crate) image_key: Option<Key>,
    pub(crate) cache: Option<Cache>,
    pub(crate) progress: Option<Arc<Progress>>,
    pub(crate) profiler: ProfilingStrategy,
    pub(crate) debug_info: bool,
    pub(crate) budget: Budget,
}

/// What profilers of the host are told of guest code.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub enum ProfilingStrategy {
    /// Nothing.
    #[default]
    None,
    /// A map from addresses to names, `/tmp/perf-PID.map`, which `perf report` reads by itself.
    PerfMap,
    /// Code, names and positions, `jit-PID.dump` in the current directory: `perf record -k mono`, then
    /// `perf inject --jit -i perf.data -o jit.data`, then `perf report -i jit.data` or `perf annotate`.
    JitDump,
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without the key, since logs are read by many.
        f.debug_struct("Config")
            .field("max_wasm_stack", &self.max_wasm_stack)
            .field("jobs", &self.jobs)
            .field("verify", &self.verify)
            .field("guarded_memories", &self.guarded_memories)
            .field("backtrace_frames", &self.backtrace_frames)
            .field("timing", &self.timing)
            .field("schedule", &self.schedule)
            .field("charge_instantiation", &self.charge_instantiation)
            .field("charge_compilation", &self.charge_compilation)
            .field("compile_budget", &self.compile_budget)
            .field("cache", &self.cache)
            .finish_non_exhaustive()
    }
}

impl Default for Config {
    fn default() -> Config {
        Config::new()
    }
}

impl Config {
    /// The defaults.
    pub fn new() -> Config {
        Config {
            max_wasm_stack: 1 << 20,
            jobs: 0,
            verify: false,
            guarded_memories: true,
            passes: Passes::ALL,
            baseline_cpu: false,
            narrow_cpu: false,
            backtrace_frames: 64,
            timing: false,
            schedule: None,
            charge_instantiation: false,
            charge_compilation: 0,
            raw_nans: false,
            compile_budget: CompileBudget::UNLIMITED,
            image_key: None,
            cache: None,
            progress: None,
            profiler: ProfilingStrategy::None,
            debug_info: false,
            budget: Budget::DEFAULT,
        }
    }

    /// How deep calls of guest code may be in one store, in bytes; 1 MiB by default.
    ///
    /// An active call counts 48 bytes and 8 for each local that its function mentions and for each
    /// operand that its stack may hold, or a byte per 8 operators of the function if that is more,
    /// rounded up to 16. Functions that call none and would count at most 512 bytes count nothing. A
    /// call from the host counts 1,024 bytes in addition, while a guest of the same store is active. So
    /// [`Trap::StackOverflow`](crate::Trap::StackOverflow) comes at the same depth on every machine and
    /// with every version of the compiler.
    ///
    /// The native stack takes about as many bytes of memory; code that is made to can take up to 32
    /// times as many. Address space of that size is reserved.
    pub fn max_wasm_stack(&mut self, bytes: usize) -> &mut Config {
        self.max_wasm_stack = bytes;
        self
    }

    /// Bytes of native stack that guest code may use in one store.
    pub fn get_max_wasm_stack(&self) -> usize {
        self.max_wasm_stack
    }

    /// True if guests are metered, see [`Config::consume_fuel`].
    pub fn consumes_fuel(&self) -> bool {
        self.schedule.is_some()
    }

    /// Compile on all processors (the default), or on the calling thread only.
    pub fn parallel_compilation(&mut self, parallel: bool) -> &mut Config {
        self.jobs = usize::from(!parallel);
        self
    }

    /// Compile on this many threads; 0 means all processors.
    pub fn compile_jobs(&mut self, jobs: usize) -> &mut Config {
        self.jobs = jobs;
        self
    }

    /// Run every checker of the compiler on every function. A failure is an error that says it is
    /// the compiler's fault. Compilation takes several times as long.
    pub fn verify(&mut self, verify: bool) -> &mut Config {
        self.verify = verify;
        self
    }

    /// Lay 32-bit memories into 4 GiB reservations so that accesses need no check (the default).
    /// Without, each access is compared with the memory's length.
    pub fn guarded_memories(&mut self, guarded: bool) -> &mut Config {
        self.guarded_memories = guarded;
        self
    }

    /// Simplify, share and forward values (the default). Without, code is slower and does the same:
    /// a way to find out whether the optimiser is at fault.
    pub fn optimize(&mut self, optimize: bool) -> &mut Config {
        self.passes = if optimize { Passes::ALL } else { Passes::NONE };
        self
    }

    /// Make these rewrites and no others, to find out which one is at fault.
    #[doc(hidden)]
    pub fn optimizer_passes(&mut self, passes: Passes) -> &mut Config {
        self.passes = passes;
        self
    }

    /// Use no instructions but those every supported processor has; by default code is made for the
    /// one it runs on. The results are the same.
    pub fn baseline_cpu(&mut self, baseline: bool) -> &mut Config {
        self.baseline_cpu = baseline;
        self
    }

    /// How many frames a backtrace holds at most; 64 by default, `None` for no backtraces.
    pub fn wasm_backtrace_max_frames(&mut self, limit: Option<NonZeroUsize>) -> &mut Config {
        self.backtrace_frames = limit.map_or(0, NonZeroUsize::get);
        self
    }

    /// Meter guest code: each operator costs fuel, and a guest without fuel stops. Off by default.
    ///
    /// Costs are those of the default [`Schedule`], unless [`Config::fuel_schedule`] says otherwise.
    pub fn consume_fuel(&mut self, consume: bool) -> &mut Config {
        self.schedule = consume.then(|| self.schedule.unwrap_or_default());
        self
    }

    /// Meter guest code by this schedule.
    pub fn fuel_schedule(&mut self, schedule: Schedule) -> &mut Config {
        self.schedule = Some(schedule);
        self
    }

    /// Charge for instances, where guests are metered: what making one does costs the fuel of its store
    /// what [`crate::InstantiationCost::fuel`] says, before anything of it is made; memory, tables and
    /// segments are in that. Without enough fuel that is [`crate::Trap::OutOfFuel`], and nothing was taken. Off by
    /// default.
    ///
    /// Instances that are restored from snapshots cost nothing: they have been paid for.
    ///
    /// ```
    /// use runwell::{Config, Engine, Instance, Module, Store, Trap};
    ///
    /// let engine = Engine::new(Config::new().consume_fuel(true).charge_instantiation(true))?;
    /// let module = Module::new(&engine, "(module (memory 1000))")?;
    /// let mut store = Store::new(&engine, ());
    /// store.set_fuel(1500)?;
    /// Instance::new(&mut store, &module, &[])?;
    /// assert_eq!(store.get_fuel()?, 499);
    /// let error = Instance::new(&mut store, &module, &[]).unwrap_err();
    /// assert_eq!(error.downcast_ref(), Some(&Trap::OutOfFuel));
    /// # Ok::<(), runwell::Error>(())
    /// ```
    pub fn charge_instantiation(&mut self, charge: bool) -> &mut Config {
        self.charge_instantiation = charge;
        self
    }

    /// Charge for what compiling a module took whenever an instance of it is made, where guests are
    /// metered: `price` units for each 1,024 steps of its quote, as [`crate::Module::admission_fuel`] has
    /// them, whether it was compiled now or before. The quote is that for guarded memories, so that the
    /// charge is the same without them. Nothing by default.
    pub fn charge_compilation(&mut self, price: u64) -> &mut Config {
        self.charge_compilation = price;
        self
    }

    /// Leave NaNs as the processor makes them, to measure what it costs not to. What guests compute is
    /// no longer the same everywhere, so this is nothing to run anything else with.
    #[doc(hidden)]
    pub fn measure_raw_nans(&mut self, raw: bool) -> &mut Config {
        self.raw_nans = raw;
        self
    }

    /// Use no AVX-512, to measure what it is good for.
    #[doc(hidden)]
    pub fn measure_narrow_cpu(&mut self, narrow: bool) -> &mut Config {
        self.narrow_cpu = narrow;
        self
    }

    /// The key of compiled modules: [`crate::Module::serialize`] marks them with it, and
    /// [`crate::Module::deserialize`] takes those that are marked with it.
    ///
    /// Machine code cannot be checked for being harmless, so keep the key as you would keep the
    /// right to run programs: whoever has it can make images that do anything. Without this, each
    /// user has a key of their own, in a file that only they can read.
    pub fn image_key(&mut self, key: [u8; 32]) -> &mut Config {
        self.image_key = Some(key);
        self
    }

    /// The key of compiled modules from a file of 32 bytes, which only its owner may be able to read
    /// or change; a missing file is made with a key at random.
    ///
    /// # Errors
    /// When the file is anything else or cannot be read or made.
    pub fn image_key_file(&mut self, path: impl AsRef<Path>) -> Result<&mut Config> {
        self.image_key = Some(crate::key::in_file(path.as_ref())?);
        Ok(self)
    }

    /// Where the user's own key of compiled modules is, if there is a place for one.
    pub fn users_image_key() -> Option<PathBuf> {
        crate::key::users_path().ok()
    }

    /// Look for compiled modules in this cache, and keep them there. `None`, the default, compiles
    /// each time.
    pub fn cache(&mut self, cache: Option<Cache>) -> &mut Config {
        self.cache = cache;
        self
    }

    /// Tell through `progress` how far the compilations of this engine have come.
    pub fn compile_progress(&mut self, progress: Arc<Progress>) -> &mut Config {
        self.progress = Some(progress);
        self
    }

    /// What tells how far the compilations of this engine have come, if anything does.
    pub fn progress(&self) -> Option<&Arc<Progress>> {
        self.progress.as_ref()
    }

    /// Tell profilers of the host what guest code is called. A file that cannot be written is an error
    /// of [`crate::Module::new`].
    pub fn profiler(&mut self, profiler: ProfilingStrategy) -> &mut Config {
        self.profiler = profiler;
        self
    }

    /// Tell debuggers of the host, through gdb's JIT interface, what guest code is called and how to
    /// find the callers of its frames.
    pub fn debug_info(&mut self, enable: bool) -> &mut Config {
        self.debug_info = enable;
        self
    }

    /// What compiling may cost, for tests of what happens at the ceilings.
    #[doc(hidden)]
    pub fn compile_ceilings(&mut self, budget: Budget) -> &mut Config {
        self.budget = budget;
        self
    }

    /// Refuse modules whose compilation is quoted above this, before anything is compiled: see
    /// [`crate::Module::quote`]. The error is a [`crate::CompileError::Limit`] with the name of what is
    /// over the budget, the budget, and the function with which the sum goes over it. What is refused
    /// does not depend on the machine, on threads, or on whether the module was compiled before.
    ///
    /// ```
    /// use runwell::{CompileBudget, CompileError, Config, Engine, Module};
    ///
    /// # fn main() -> runwell::Result<()> {
    /// let budget = CompileBudget { work: 100_000, ..CompileBudget::UNLIMITED };
    /// let engine = Engine::new(Config::new().compile_budget(budget))?;
    /// let small = "(module (func (result i32) (i32.const 1)))";
    /// assert!(Module::new(&engine, small).is_ok());
    ///
    /// let large = format!("(module {})", "(func (result i32) (i32.const 1))".repeat(10_000));
    /// let error = Module::new(&engine, large).unwrap_err();
    /// let Some(CompileError::Limit { name, limit, func, .. }) = error.downcast_ref() else {
    ///     panic!("{error}");
    /// };
    /// assert_eq!((*name, *limit), ("quoted compile work", 100_000));
    /// assert!(func.is_some());
    /// # Ok(())
    /// # }
    /// ```
    pub fn compile_budget(&mut self, budget: CompileBudget) -> &mut Config {
        self.compile_budget = budget;
        self
    }

    /// Measure the time of each pass of the compiler, for [`crate::Module::report`].
    pub fn compile_timing(&mut self, timing: bool) -> &mut Config {
        self.timing = timing;
        self
    }
}
