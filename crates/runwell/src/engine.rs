//! The engine: options, and what all modules compiled with them share.

use crate::config::Config;
use crate::key::Key;
use crate::registry::TypeRegistry;
use crate::{Error, Result};
use runwell_abi::{Features, Target};
use runwell_compiler::{CancelToken, Watch};
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::{Arc, OnceLock, Weak};

/// The options of compilation and execution, and what all modules compiled with them share.
///
/// Cloning gives another handle on the same engine.
///
/// ```
/// use runwell::{Config, Engine, Module};
///
/// # fn main() -> runwell::Result<()> {
/// let engine = Engine::new(&Config::new())?;
/// let module = Module::new(&engine, "(module)")?;
/// assert!(Engine::same(&engine, module.engine()));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Engine {
    inner: Arc<EngineInner>,
}

struct EngineInner {
    config: Config,
    types: TypeRegistry,
    target: Target,
    key: OnceLock<Key>,
}

impl Default for Engine {
    /// An engine with the default options.
    ///
    /// # Panics
    /// Where [`Engine::new`] gives an error.
    fn default() -> Engine {
        Engine::new(&Config::default()).expect("the default options fit this machine")
    }
}

impl Engine {
    /// An engine with these options.
    ///
    /// # Errors
    /// When this machine's processor lacks what generated code needs, or the operating system does
    /// not let the fault handlers be installed.
    pub fn new(config: &Config) -> Result<Engine> {
        let target = host_target()?;
        runwell_vm::init()?;
        Ok(Engine {
            inner: Arc::new(EngineInner {
                config: config.clone(),
                types: TypeRegistry::default(),
                target,
                key: OnceLock::new(),
            }),
        })
    }

    /// Its options.
    pub fn config(&self) -> &Config {
        &self.inner.config
    }

    /// True if both are handles on one engine.
    pub fn same(a: &Engine, b: &Engine) -> bool {
        Arc::ptr_eq(&a.inner, &b.inner)
    }

    /// Compiles a module in the binary or the text form for [`crate::Module::deserialize`].
    ///
    /// # Errors
    /// As for [`crate::Module::new`] and [`crate::Module::serialize`].
    pub fn precompile_module(&self, bytes: &[u8]) -> Result<Vec<u8>> {
        let wasm = crate::module::binary(bytes, None)?;
        let options = self.compile_options();
        let compiled = compile(self, &wasm, None)?;
        let key = self.image_key()?;
        Ok(runwell_compiler::serialize::serialize(&wasm, &compiled.image, &options, &key))
    }

    /// Whether bytes look like a compiled module. It may still be damaged or of another version.
    pub fn detect_precompiled(bytes: &[u8]) -> Option<Precompiled> {
        runwell_compiler::serialize::is_image(bytes).then_some(Precompiled::Module)
    }

    /// Whether the content of a file looks like a compiled module.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn detect_precompiled_file(path: impl AsRef<Path>) -> Result<Option<Precompiled>> {
        let mut start = Vec::new();
        File::open(path)?.take(64).read_to_end(&mut start)?;
        Ok(Engine::detect_precompiled(&start))
    }

    /// The key of compiled modules.
    pub(crate) fn image_key(&self) -> Result<Key> {
        if let Some(key) = self.inner.config.image_key {
            return Ok(key);
        }
        if let Some(key) = self.inner.key.get() {
            return Ok(*key);
        }
        let key = crate::key::of_user()?;
        Ok(*self.inner.key.get_or_init(|| key))
    }

    /// For which machine it compiles, and with which extensions.
    pub fn target(&self) -> Target {
        self.compile_options().target
    }

    /// A handle that does not keep the engine alive.
    pub fn weak(&self) -> EngineWeak {
        EngineWeak { inner: Arc::downgrade(&self.inner) }
    }

    pub(crate) fn types(&self) -> &TypeRegistry {
        &self.inner.types
    }

    pub(crate) fn compile_options(&self) -> runwell_compiler::Options {
        let config = &self.inner.config;
        let mut target = self.inner.target;
        if config.baseline_cpu {
            target.features = Features::default();
        } else if config.narrow_cpu {
            target.features = target.features.without(Features::AVX512DQ);
        }
        runwell_compiler::Options {
            target,
            verify: config.verify,
            guarded_memories: config.guarded_memories,
            budget: config.budget,
            passes: config.passes,
            jobs: config.jobs,
            timing: config.timing,
            costs: false,
            schedule: config.schedule,
            raw_nans: config.raw_nans,
            compile_budget: config.compile_budget,
        }
    }
}

/// What kind of compiled thing bytes are.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Hash)]
#[non_exhaustive]
pub enum Precompiled {
    /// A module.
    Module,
}

/// A handle on an engine that does not keep it alive.
#[derive(Clone)]
pub struct EngineWeak {
    inner: Weak<EngineInner>,
}

impl EngineWeak {
    /// The engine, unless it is gone.
    pub fn upgrade(&self) -> Option<Engine> {
        self.inner.upgrade().map(|inner| Engine { inner })
    }
}

/// Compiles a module. Folding of float constants must not depend on how the calling thread rounds.
pub(crate) fn compile(
    engine: &Engine,
    wasm: &[u8],
    cancel: Option<&CancelToken>,
) -> Result<runwell_compiler::CompiledModule, runwell_compiler::Error> {
    let options = engine.compile_options();
    let progress = engine.config().progress.as_deref();
    let watch = Watch { progress, cancel };
    runwell_vm::with_guest_floats(|| runwell_compiler::compile_watched(wasm, &options, watch))
}

/// The machine this process runs on.
#[cfg(target_arch = "x86_64")]
fn host_target() -> Result<Target> {
    use runwell_abi::Arch;
    if !(is_x86_feature_detected!("sse4.2") && is_x86_feature_detected!("popcnt")) {
        return Err(Error::msg(
            "this processor is below x86-64-v2 (SSE4.2, POPCNT), which generated code needs",
        ));
    }
    let mut features = Features::default();
    for (present, feature) in [
        (is_x86_feature_detected!("avx"), Features::AVX),
        (is_x86_feature_detected!("bmi1"), Features::BMI1),
        (is_x86_feature_detected!("bmi2"), Features::BMI2),
        (is_x86_feature_detected!("lzcnt"), Features::LZCNT),
        (is_x86_feature_detected!("avx512dq"), Features::AVX512DQ),
    ] {
        if present {
            features = features.with(feature);
        }
    }
    Ok(Target { arch: Arch::X64, features })
}

/// The machine this process runs on.
#[cfg(not(target_arch = "x86_64"))]
fn host_target() -> Result<Target> {
    Err(Error::msg("this processor's architecture is not supported yet; x86-64 is"))
}
