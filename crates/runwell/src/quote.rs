//! What modules cost before they run: the quote of their compilation, and what making an instance takes.

use crate::engine::Engine;
use crate::module::{Module, ModuleInner, binary};
use crate::store::StoreOpaque;
use crate::{Result, Schedule, Trap};
use runwell_compiler::Options;

pub use runwell_compiler::quote::table::VERSION as QUOTE_VERSION;
pub use runwell_compiler::{Calibration, CompileBudget, FunctionQuote, InstantiationCost, Quote};

impl Module {
    /// Upper bounds on what compiling a module in the binary or the text form costs: work, memory and
    /// machine code, of the module and of each function. Nothing is compiled; it takes a small fraction
    /// of the time that compiling takes.
    ///
    /// The figures depend on the module and on two options of the engine, metering and guard pages, and
    /// are the same on every machine. Function bodies are not validated: of one that is invalid, what
    /// compiling costs until that is found is quoted.
    ///
    /// ```
    /// use runwell::{Calibration, Engine, Module};
    ///
    /// # fn main() -> runwell::Result<()> {
    /// let engine = Engine::default();
    /// let wat = r#"(module (func (export "add") (param i32 i32) (result i32)
    ///     (i32.add (local.get 0) (local.get 1))))"#;
    /// let quote = Module::quote(&engine, wat)?;
    /// let module = Module::new(&engine, wat)?;
    /// assert!(module.report().work.total() <= quote.work);
    /// assert!(module.text().len() as u64 <= quote.code_bytes);
    /// assert_eq!(module.compile_work(), quote.work);
    ///
    /// // An estimate, on this machine.
    /// let time = Calibration::of_this_machine().duration(quote.work);
    /// assert!(time.as_secs_f64() < 1.0);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When the text is not a module, or the module is invalid in what stands outside of function bodies.
    pub fn quote(engine: &Engine, bytes: impl AsRef<[u8]>) -> Result<Quote> {
        let bytes = binary(bytes.as_ref(), None)?;
        Ok(runwell_compiler::quote(&bytes, &engine.compile_options())?)
    }

    /// Steps of work by which compiling this module may be charged: [`Quote::work`], and so the same
    /// whether it was compiled now or before, on whatever machine and number of threads.
    ///
    /// [`QUOTE_VERSION`] numbers what it is computed by. Whoever charges steps, as fuel or otherwise,
    /// should keep that number with the price: another version may give another figure.
    ///
    /// # Complexity
    /// One scan over the module.
    pub fn compile_work(&self) -> u64 {
        let inner = self.inner();
        let options = inner.engine.compile_options();
        // The module was compiled, so it can be quoted.
        runwell_compiler::quote(&inner.wasm, &options).map_or(0, |quote| quote.work)
    }

    /// What making an instance of it does, for whoever charges for that: by
    /// [`InstantiationCost::fuel`], or by a price of their own for each part.
    ///
    /// ```
    /// use runwell::{Engine, Module, Schedule};
    ///
    /// # fn main() -> runwell::Result<()> {
    /// let engine = Engine::default();
    /// let module = Module::new(&engine, r#"(module (memory 16) (data (i32.const 0) "hello"))"#)?;
    /// let cost = module.instantiation_cost();
    /// assert_eq!((cost.pages, cost.active, cost.data_bytes), (16, 1, 5));
    /// assert_eq!(cost.fuel(&Schedule::default()), 20);
    /// # Ok(())
    /// # }
    /// ```
    pub fn instantiation_cost(&self) -> InstantiationCost {
        InstantiationCost::of(&self.inner().info)
    }

    /// Fuel for everything that happens before the module runs: `compile_price` units for each 1,024
    /// steps of [`Module::compile_work`], begun ones too, and what an instance costs by `schedule`.
    /// Saturates.
    pub fn admission_fuel(&self, schedule: &Schedule, compile_price: u64) -> u64 {
        let compile = self.compile_work().div_ceil(1024).saturating_mul(compile_price);
        compile.saturating_add(self.instantiation_cost().fuel(schedule))
    }
}

impl ModuleInner {
    /// What making an instance costs, by the engine's configuration.
    fn charge(&self) -> u64 {
        let config = self.engine.config();
        let Some(schedule) = &config.schedule else { return 0 };
        let compiled = match config.charge_compilation {
            0 => 0,
            price => price.saturating_mul(self.charged_work().div_ceil(1024)),
        };
        let made = match config.charge_instantiation {
            true => InstantiationCost::of(&self.info).fuel(schedule),
            false => 0,
        };
        made.saturating_add(compiled)
    }

    /// The quote's work, whatever memories are like.
    fn charged_work(&self) -> u64 {
        *self.compile_work.get_or_init(|| {
            let options = Options { guarded_memories: true, ..self.engine.compile_options() };
            // The module was compiled, so it can be quoted.
            runwell_compiler::quote(&self.wasm, &options).map_or(0, |quote| quote.work)
        })
    }
}

impl StoreOpaque {
    /// Charges for an instance that is about to be made.
    pub(crate) fn charge_instance(&mut self, module: &ModuleInner) -> Result<()> {
        let charge = module.charge();
        if charge > 0 {
            let left = self.runtime.fuel().checked_sub(charge).ok_or(Trap::OutOfFuel)?;
            self.runtime.set_fuel(left);
        }
        Ok(())
    }
}

/// The examples of the documentation.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/quote.md")]
struct Documentation;
