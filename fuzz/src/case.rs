//! The targets: how an input is made from a seed, and what must hold for it.

use crate::mutate;
#[cfg(feature = "peers")]
use crate::peers::Engines;
use runwell_compiler::{Error, ModuleInfo, Options};
use runwell_testkit::differential::Agreed;
use runwell_testkit::variants::{Variants, same_bytes};
use runwell_testkit::{Nans, Rng, generate, program};
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Instructions that the evaluator runs per call before a comparison is given up.
const STEPS: u64 = 400_000;

/// The most pages of a damaged module's memories for it to be run.
const MOST_PAGES: u64 = 64;
/// The most elements of its tables.
const MOST_ELEMENTS: u64 = 10_000;

/// What is attacked.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) enum Target {
    Eval,
    Engines,
    Compile,
    Wat,
}

impl Target {
    /// All that were built.
    pub(crate) const ALL: &[Target] = if cfg!(feature = "peers") {
        &[Target::Eval, Target::Engines, Target::Compile, Target::Wat]
    } else {
        &[Target::Eval, Target::Compile, Target::Wat]
    };

    pub(crate) fn name(self) -> &'static str {
        match self {
            Target::Eval => "eval",
            Target::Engines => "engines",
            Target::Compile => "compile",
            Target::Wat => "wat",
        }
    }

    pub(crate) fn named(name: &str) -> Option<Target> {
        Target::ALL.iter().copied().find(|target| target.name() == name)
    }

    /// The input that `seed` stands for.
    pub(crate) fn input(self, seed: u64) -> Option<Vec<u8>> {
        let module = |nans| match seed % 2 {
            0 => Some(program::module(seed, nans)),
            _ => generate::from_seed(seed, nans),
        };
        match self {
            Target::Eval => module(Nans::Seen),
            Target::Engines => module(Nans::Masked),
            Target::Compile => Some(mutate::bytes(&mut Rng(seed), &module(Nans::Seen)?)),
            Target::Wat => {
                let text = wasmprinter::print_bytes(module(Nans::Seen)?).ok()?;
                Some(mutate::text(&mut Rng(seed), &text))
            }
        }
    }

    /// True if inputs are modules that a smaller one can stand for.
    pub(crate) fn reduces(self) -> bool {
        matches!(self, Target::Eval | Target::Engines)
    }
}

/// What checking an input came to, if nothing was wrong.
#[derive(Copy, Clone, Debug, Default)]
pub(crate) struct Done {
    /// Calls that were compared.
    pub(crate) agreed: Agreed,
    /// True if the compiler took the input.
    pub(crate) accepted: bool,
    /// True if one peer differed, and all others agreed with runwell.
    pub(crate) outvoted: bool,
}

/// Checks inputs of one target.
pub(crate) struct Checker {
    target: Target,
    variants: Variants,
    #[cfg(feature = "peers")]
    engines: Engines,
    options: Options,
}

thread_local! {
    /// True while an input is checked.
    static CHECKING: Cell<bool> = const { Cell::new(false) };
    /// Where the last panic of this thread was, and what it said.
    static PANIC: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Panics of what is checked are caught and become findings; nothing is printed for them.
pub(crate) fn keep_panics_quiet() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if CHECKING.get() { PANIC.set(info.to_string()) } else { usual(info) }
    }));
}

/// Runs `work`; the message of its panic if it panics, which is not printed.
pub(crate) fn quietly<R>(work: impl FnOnce() -> R) -> Result<R, String> {
    CHECKING.set(true);
    let outcome = catch_unwind(AssertUnwindSafe(work));
    CHECKING.set(false);
    outcome.map_err(|_| PANIC.take())
}

impl Checker {
    pub(crate) fn new(target: Target) -> Checker {
        let mut options = Options::new(host());
        options.verify = true;
        options.jobs = 1;
        Checker {
            target,
            variants: Variants::new(),
            #[cfg(feature = "peers")]
            engines: Engines::new(),
            options,
        }
    }

    /// Checks an input, and that nothing panics.
    pub(crate) fn check(&mut self, input: &[u8], seed: u64) -> Result<Done, String> {
        let outcome = quietly(|| match self.target {
            Target::Eval => self.eval(input, seed),
            Target::Engines => self.engines(input, seed),
            Target::Compile => self.compile(input, seed),
            Target::Wat => match runwell::text_to_binary(input, None) {
                Ok(wasm) => self.compile(&wasm, seed),
                Err(_) => Ok(Done::default()),
            },
        });
        outcome.unwrap_or_else(|panic| Err(format!("panic: {panic}")))
    }

    fn eval(&self, wasm: &[u8], seed: u64) -> Result<Done, String> {
        let agreed = self.variants.compare(wasm, seed, STEPS)?;
        same_bytes(wasm, self.options.target)?;
        Ok(Done { agreed, accepted: true, outvoted: false })
    }

    #[cfg(feature = "peers")]
    fn engines(&self, wasm: &[u8], seed: u64) -> Result<Done, String> {
        let (agreed, outvoted) = self.engines.compare(wasm, seed)?;
        if let Some(difference) = &outvoted {
            println!("engines, seed {seed}, all others agree: {difference}");
        }
        Ok(Done { agreed, accepted: true, outvoted: outvoted.is_some() })
    }

    #[cfg(not(feature = "peers"))]
    fn engines(&self, _: &[u8], _: u64) -> Result<Done, String> {
        Err("the peers were not built: they are in the feature `peers`".to_string())
    }

    /// The compiler takes it or says why not, and validation says the same. What is taken must run as
    /// the evaluator says.
    fn compile(&self, wasm: &[u8], seed: u64) -> Result<Done, String> {
        let valid = runwell_compiler::validate(wasm, &self.options);
        let compiled = runwell_compiler::compile(wasm, &self.options);
        match (&valid, &compiled) {
            (_, Err(error @ Error::Bug { .. })) | (Err(error @ Error::Bug { .. }), _) => {
                Err(error.to_string())
            }
            (Ok(()), Ok(module)) if runs(&module.info) => self.eval(wasm, seed),
            (Ok(()), Ok(_)) => Ok(Done { accepted: true, ..Done::default() }),
            (Ok(()), Err(Error::Limit { .. } | Error::Unrepresentable { .. })) => {
                Ok(Done::default())
            }
            (Err(one), Err(other)) if one == other => Ok(Done::default()),
            _ => Err(format!(
                "validation says {valid:?}, compilation {:?}",
                compiled.map(|module| module.report.code_bytes)
            )),
        }
    }
}

/// True if the evaluator can run the module in reasonable memory. That a call ends is not needed: it
/// is not made once the evaluator has given up on it.
fn runs(info: &ModuleInfo) -> bool {
    let small =
        |min: u64, max: Option<u64>, most: u64| min <= most && max.is_some_and(|m| m <= most);
    info.imports.is_empty()
        && info.memories.iter().all(|ty| small(ty.min, ty.max, MOST_PAGES))
        && info.tables.iter().all(|ty| small(ty.min, ty.max, MOST_ELEMENTS))
}

/// Machine code for any processor of the supported kind.
fn host() -> runwell_compiler::Target {
    runwell_compiler::Target {
        arch: runwell_abi::Arch::X64,
        features: runwell_abi::Features::default(),
    }
}
