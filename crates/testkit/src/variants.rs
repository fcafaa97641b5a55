//! Every way in which runwell compiles: one engine each.

use crate::Nans;
use crate::differential::{Agreed, compare};
use crate::reduce::reduce;
use crate::subject::{Interface, Machine, Oracle, Subject};
use runwell::{Config, Engine};
use runwell_compiler::{Budget, Options, Target};
use runwell_wasm::Passes;
use std::ops::Range;

/// Bytes of native stack, so that all depths which the evaluator follows have room.
const STACK: usize = 64 << 20;

/// How the report of a module starts that is not even accepted.
const REFUSED: &str = "the module is refused";

/// Engines with every checker on, that differ in optimisation, memory checks, processor, metering and
/// fallbacks.
pub struct Variants {
    engines: Vec<(&'static str, Engine)>,
}

impl Default for Variants {
    fn default() -> Variants {
        Variants::new()
    }
}

impl Variants {
    /// All of them.
    ///
    /// # Panics
    /// When this machine is not supported.
    pub fn new() -> Variants {
        let engine = |name, optimize, guards, baseline| {
            let mut config = Config::new();
            config.max_wasm_stack(STACK).verify(true).compile_jobs(1);
            config.optimize(optimize).guarded_memories(guards).baseline_cpu(baseline);
            (name, Engine::new(&config).expect("an engine"))
        };
        let metered = {
            let mut config = Config::new();
            config.max_wasm_stack(STACK).verify(true).compile_jobs(1).consume_fuel(true);
            ("metered", Engine::new(&config).expect("an engine"))
        };
        let thrifty = {
            let mut config = Config::new();
            config.max_wasm_stack(STACK).verify(true).compile_jobs(1);
            // Each pass takes its cheaper way from its first step on.
            let mut budget = Budget::DEFAULT;
            budget.passes.cheaper_at = 0;
            config.compile_ceilings(budget);
            ("every fallback taken", Engine::new(&config).expect("an engine"))
        };
        Variants {
            engines: vec![
                metered,
                thrifty,
                engine("optimised, guard pages", true, true, false),
                engine("optimised, explicit checks, baseline processor", true, false, true),
                engine("not optimised, explicit checks", false, false, false),
                engine("not optimised, guard pages, baseline processor", false, true, true),
            ],
        }
    }

    /// Compares the meaning of the IR of `wasm`, a module without imports, with the machine code
    /// that every variant makes. Each call may take `steps` instructions.
    ///
    /// # Errors
    /// The first difference, or the reason why somebody refuses the module.
    pub fn compare(&self, wasm: &[u8], seed: u64, steps: u64) -> Result<Agreed, String> {
        self.compare_some(wasm, seed, steps, 0..self.engines.len())
            .map_err(|error| blame(wasm, seed, steps, error))
    }

    /// The same for a module whose meaning `reference` knows: that of the IR, with and without the
    /// optimiser, is compared with it as well.
    ///
    /// # Errors
    /// As for [`Variants::compare`].
    pub fn compare_with(
        &self,
        reference: &mut dyn Subject,
        wasm: &[u8],
        seed: u64,
        steps: u64,
    ) -> Result<Agreed, String> {
        let refused = |error: String| format!("{REFUSED}: {error}");
        let interface = Interface::of(wasm).ok_or(REFUSED)?;
        let mut plain = Oracle::new(wasm, steps).map_err(refused)?;
        let optimised = "evaluator after the optimiser";
        let mut optimised =
            Oracle::with_passes(optimised, wasm, Passes::ALL, steps).map_err(refused)?;
        let engines = self.engines.iter();
        let machines: Result<Vec<Machine>, String> =
            engines.map(|(name, engine)| Machine::new(name, engine, wasm)).collect();
        let mut machines = machines.map_err(refused)?;
        let mut subjects: Vec<&mut dyn Subject> = vec![reference, &mut plain, &mut optimised];
        subjects.extend(machines.iter_mut().map(|machine| machine as &mut dyn Subject));
        compare(&interface, &mut subjects, seed, Nans::Seen)
    }

    fn compare_some(
        &self,
        wasm: &[u8],
        seed: u64,
        steps: u64,
        some: Range<usize>,
    ) -> Result<Agreed, String> {
        let refused = |error: String| format!("{REFUSED}: {error}");
        let interface = Interface::of(wasm).ok_or(REFUSED)?;
        let mut oracle = Oracle::new(wasm, steps).map_err(refused)?;
        let engines = self.engines[some].iter();
        let machines: Result<Vec<Machine>, String> =
            engines.map(|(name, engine)| Machine::new(name, engine, wasm)).collect();
        let mut machines = machines.map_err(refused)?;
        let mut subjects: Vec<&mut dyn Subject> = vec![&mut oracle];
        subjects.extend(machines.iter_mut().map(|machine| machine as &mut dyn Subject));
        compare(&interface, &mut subjects, seed, Nans::Seen)
    }

    /// A smaller module that shows a difference as `wasm` does.
    pub fn reduce(&self, wasm: &[u8], seed: u64, steps: u64) -> Vec<u8> {
        for one in 0..self.engines.len() {
            let error = |wasm: &[u8]| self.compare_some(wasm, seed, steps, one..one + 1).err();
            if let Some(before) = error(wasm) {
                let refused = before.starts_with(REFUSED);
                return reduce(wasm, ATTEMPTS, |candidate| {
                    error(candidate).is_some_and(|error| error.starts_with(REFUSED) == refused)
                });
            }
        }
        wasm.to_vec()
    }
}

/// Attempts that making a module small may take.
const ATTEMPTS: usize = 4_000;

/// Adds to a difference whether the optimiser is at fault: then the meaning of what it makes differs.
fn blame(wasm: &[u8], seed: u64, steps: u64, error: String) -> String {
    let Some(interface) = Interface::of(wasm) else { return error };
    let only = |passes: fn(&mut Passes)| {
        let mut some = Passes::NONE;
        passes(&mut some);
        some
    };
    let suspects = [
        ("simplification", only(|p| p.simplify = true)),
        ("value numbering", only(|p| p.number = true)),
        ("forwarding", only(|p| p.forward = true)),
        ("redundant parameters", only(|p| p.params = true)),
        ("the optimiser as a whole", Passes::ALL),
    ];
    for (name, passes) in suspects {
        let pair = (
            Oracle::new(wasm, steps),
            Oracle::with_passes("evaluator after the optimiser", wasm, passes, steps),
        );
        if let (Ok(mut a), Ok(mut b)) = pair
            && let Err(other) = compare(&interface, &mut [&mut a, &mut b], seed, Nans::Seen)
        {
            return format!("{error}; {name} is at fault: {other}");
        }
    }
    format!("{error}; the optimiser is not at fault")
}

/// Compiles `wasm` on one and on several threads.
///
/// # Errors
/// When the bytes differ, or only one of them refuses the module.
pub fn same_bytes(wasm: &[u8], target: Target) -> Result<(), String> {
    let mut options = Options::new(target);
    options.jobs = 1;
    let one = runwell_compiler::compile(wasm, &options);
    options.jobs = 3;
    let several = runwell_compiler::compile(wasm, &options);
    match (one, several) {
        (Ok(one), Ok(several)) if one.image == several.image => Ok(()),
        (Err(one), Err(several)) if one == several => Ok(()),
        (one, several) => Err(format!(
            "on one and on several threads: {:?} and {:?}",
            one.map(|module| module.report.code_bytes),
            several.map(|module| module.report.code_bytes)
        )),
    }
}
