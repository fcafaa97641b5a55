//! Executes a script.

use crate::report::{Failure, Report};
use crate::{spectest, values};
use runwell::{CompileError, Engine, Error, Extern, Instance, Linker, Module, Store, Val};
use std::collections::BTreeMap;
use wast::lexer::Lexer;
use wast::parser::{self, ParseBuffer};
use wast::token::{Id, Span};
use wast::{QuoteWat, Wast, WastDirective, WastExecute, WastInvoke, Wat};

/// How a directive ended.
enum Outcome {
    Passed,
    Failed(String),
    /// It needs this proposal.
    Skipped(String),
}

impl From<Result<(), Stop>> for Outcome {
    fn from(result: Result<(), Stop>) -> Outcome {
        match result {
            Ok(()) => Outcome::Passed,
            Err(Stop::Failed(message)) => Outcome::Failed(message),
            Err(Stop::Skipped(reason)) => Outcome::Skipped(reason),
        }
    }
}

/// Why a directive went no further.
enum Stop {
    Failed(String),
    Skipped(String),
}

fn fail<T>(message: impl Into<String>) -> Result<T, Stop> {
    Err(Stop::Failed(message.into()))
}

/// The proposal that `error` says is not implemented.
fn unsupported(error: &Error) -> Option<String> {
    match error.downcast_ref::<CompileError>() {
        Some(CompileError::Unsupported { proposal, .. }) => Some((*proposal).to_string()),
        _ => None,
    }
}

fn stop(error: &Error) -> Stop {
    match unsupported(error) {
        Some(proposal) => Stop::Skipped(proposal),
        None => Stop::Failed(format!("{error:#}")),
    }
}

/// Runs the script `text` on `engine`.
///
/// # Errors
/// When the text is not a script.
pub fn run(engine: &Engine, text: &str) -> Result<Report, Error> {
    let mut lexer = Lexer::new(text);
    // Scripts test names with such characters on purpose.
    lexer.allow_confusing_unicode(true);
    let buffer = ParseBuffer::new_with_lexer(lexer)?;
    // Decimal fractions are rounded as they are read.
    let script = runwell::with_default_floats(|| parser::parse::<Wast<'_>>(&buffer))?;
    let mut runner = Runner::new(engine)?;
    let mut report = Report::default();
    for directive in script.directives {
        let span = directive.span();
        match runner.directive(directive) {
            Outcome::Passed => report.passed += 1,
            Outcome::Skipped(reason) => *report.skipped.entry(reason).or_default() += 1,
            Outcome::Failed(message) => {
                let (line, column) = position(text, span);
                report.failed.push(Failure { line, column, message });
            }
        }
    }
    Ok(report)
}

fn position(text: &str, span: Span) -> (usize, usize) {
    let (line, column) = span.linecol_in(text);
    (line + 1, column + 1)
}

/// A module or instance that a script names, or the proposal for want of which there is none.
type Named<T> = Result<T, String>;

struct Runner {
    store: Store<()>,
    linker: Linker<()>,
    current: Option<Named<Instance>>,
    instances: BTreeMap<String, Named<Instance>>,
    modules: BTreeMap<String, Named<Module>>,
    last_module: Option<Named<Module>>,
    /// Registered names behind which there is no instance, with the proposal it needs.
    missing: BTreeMap<String, String>,
}

impl Runner {
    fn new(engine: &Engine) -> Result<Runner, Error> {
        let mut store = Store::new(engine, ());
        // An engine that meters has fuel for everything; another has no use for it.
        store.set_fuel(u64::MAX).ok();
        let mut linker = Linker::new(engine);
        linker.allow_shadowing(true);
        spectest::define(&mut linker, &mut store)?;
        Ok(Runner {
            store,
            linker,
            current: None,
            instances: BTreeMap::new(),
            modules: BTreeMap::new(),
            last_module: None,
            missing: BTreeMap::new(),
        })
    }

    fn directive(&mut self, directive: WastDirective<'_>) -> Outcome {
        match directive {
            WastDirective::Module(module) => self.module(module).into(),
            WastDirective::ModuleDefinition(module) => self.definition(module).into(),
            WastDirective::ModuleInstance { instance, module, .. } => {
                self.instance_of(instance, module).into()
            }
            WastDirective::Register { name, module, .. } => self.register(name, module).into(),
            WastDirective::Invoke(invoke) => self.invoke(&invoke).map(drop).into(),
            WastDirective::AssertReturn { exec, results, .. } => {
                self.assert_return(exec, &results).into()
            }
            WastDirective::AssertTrap { exec, message, .. } => {
                self.assert_trap(exec, message).into()
            }
            WastDirective::AssertExhaustion { call, message, .. } => {
                self.assert_trap(WastExecute::Invoke(call), message).into()
            }
            WastDirective::AssertInvalid { module, .. }
            | WastDirective::AssertMalformed { module, .. } => self.assert_refused(module).into(),
            WastDirective::AssertUnlinkable { module, message, .. } => {
                self.assert_unlinkable(module, message).into()
            }
            WastDirective::AssertException { exec, .. } => self.assert_exception(exec).into(),
            WastDirective::AssertSuspension { .. } => {
                Outcome::Skipped("stack-switching".to_string())
            }
            WastDirective::Thread(_) | WastDirective::Wait { .. } => {
                Outcome::Skipped("threads".to_string())
            }
            WastDirective::AssertInvalidCustom { .. }
            | WastDirective::AssertMalformedCustom { .. } => {
                Outcome::Skipped("custom-annotations".to_string())
            }
        }
    }

    fn encode(module: &mut QuoteWat<'_>) -> Result<Vec<u8>, Stop> {
        match module {
            QuoteWat::Wat(Wat::Component(_)) | QuoteWat::QuoteComponent(..) => {
                Err(Stop::Skipped("component-model".to_string()))
            }
            _ => runwell::with_default_floats(|| module.encode())
                .map_err(|error| Stop::Failed(error.message())),
        }
    }

    fn compile(&self, bytes: &[u8]) -> Result<Module, Stop> {
        Module::from_binary(self.store.engine(), bytes).map_err(|error| stop(&error))
    }

    fn instantiate(&mut self, module: &Module) -> Result<Result<Instance, Error>, Stop> {
        for import in module.imports() {
            if let Some(reason) = self.missing.get(import.module()) {
                return Err(Stop::Skipped(reason.clone()));
            }
        }
        Ok(self.linker.instantiate(&mut self.store, module))
    }

    fn module(&mut self, mut module: QuoteWat<'_>) -> Result<(), Stop> {
        let name = module.name().map(|id| id.name().to_string());
        let outcome = Self::encode(&mut module)
            .and_then(|bytes| self.compile(&bytes))
            .and_then(|module| self.instantiate(&module)?.map_err(|error| stop(&error)));
        self.keep(name, outcome)
    }

    /// Makes the outcome of an instantiation the current instance, also under its name.
    fn keep(&mut self, name: Option<String>, outcome: Result<Instance, Stop>) -> Result<(), Stop> {
        let named = match &outcome {
            Ok(instance) => Some(Ok(*instance)),
            Err(Stop::Skipped(reason)) => Some(Err(reason.clone())),
            Err(Stop::Failed(_)) => None,
        };
        if let Some(name) = name {
            match &named {
                Some(named) => drop(self.instances.insert(name, named.clone())),
                None => drop(self.instances.remove(&name)),
            }
        }
        self.current = named;
        outcome.map(drop)
    }

    fn definition(&mut self, mut module: QuoteWat<'_>) -> Result<(), Stop> {
        let name = module.name().map(|id| id.name().to_string());
        let outcome = Self::encode(&mut module).and_then(|bytes| self.compile(&bytes));
        let named = match &outcome {
            Ok(module) => Some(Ok(module.clone())),
            Err(Stop::Skipped(reason)) => Some(Err(reason.clone())),
            Err(Stop::Failed(_)) => None,
        };
        if let (Some(name), Some(named)) = (name, &named) {
            self.modules.insert(name, named.clone());
        }
        self.last_module = named;
        outcome.map(drop)
    }

    fn instance_of(
        &mut self,
        instance: Option<Id<'_>>,
        module: Option<Id<'_>>,
    ) -> Result<(), Stop> {
        let found = match module {
            Some(id) => self.modules.get(id.name()),
            None => self.last_module.as_ref(),
        };
        let outcome = match found.cloned() {
            None => fail("there is no such module definition"),
            Some(Err(reason)) => Err(Stop::Skipped(reason)),
            Some(Ok(module)) => {
                self.instantiate(&module).and_then(|made| made.map_err(|error| stop(&error)))
            }
        };
        self.keep(instance.map(|id| id.name().to_string()), outcome)
    }

    fn instance(&self, id: Option<Id<'_>>) -> Result<Instance, Stop> {
        let found = match id {
            Some(id) => self.instances.get(id.name()),
            None => self.current.as_ref(),
        };
        match found {
            Some(Ok(instance)) => Ok(*instance),
            Some(Err(reason)) => Err(Stop::Skipped(reason.clone())),
            None => fail("there is no such instance"),
        }
    }

    fn register(&mut self, name: &str, id: Option<Id<'_>>) -> Result<(), Stop> {
        match self.instance(id) {
            Ok(instance) => {
                self.missing.remove(name);
                self.linker
                    .instance(&mut self.store, name, instance)
                    .map_err(|error| stop(&error))?;
                Ok(())
            }
            Err(Stop::Skipped(reason)) => {
                self.missing.insert(name.to_string(), reason.clone());
                Err(Stop::Skipped(reason))
            }
            Err(failed) => Err(failed),
        }
    }

    fn export(&mut self, id: Option<Id<'_>>, name: &str) -> Result<Extern, Stop> {
        let instance = self.instance(id)?;
        match instance.get_export(&mut self.store, name) {
            Some(export) => Ok(export),
            None => fail(format!("there is no export `{name}`")),
        }
    }

    /// Calls a function; the inner error is the guest's.
    fn call(&mut self, invoke: &WastInvoke<'_>) -> Result<Result<Vec<Val>, Error>, Stop> {
        let Some(func) = self.export(invoke.module, invoke.name)?.into_func() else {
            return fail(format!("export `{}` is not a function", invoke.name));
        };
        let mut args = Vec::with_capacity(invoke.args.len());
        for arg in &invoke.args {
            match values::argument(&mut self.store, arg) {
                Some(val) => args.push(val),
                None => return fail(format!("an argument that no function can take: {arg:?}")),
            }
        }
        let mut results = vec![Val::I32(0); func.ty(&self.store).results().len()];
        Ok(func.call(&mut self.store, &args, &mut results).map(|()| results))
    }

    fn invoke(&mut self, invoke: &WastInvoke<'_>) -> Result<Vec<Val>, Stop> {
        self.call(invoke)?.map_err(|error| Stop::Failed(format!("{error:#}")))
    }

    /// Does what an assertion is about; the inner error is the guest's.
    fn execute(&mut self, exec: WastExecute<'_>) -> Result<Result<Vec<Val>, Error>, Stop> {
        match exec {
            WastExecute::Invoke(invoke) => self.call(&invoke),
            WastExecute::Wat(module) => {
                let bytes = Self::encode(&mut QuoteWat::Wat(module))?;
                let module = self.compile(&bytes)?;
                Ok(self.instantiate(&module)?.map(|_| Vec::new()))
            }
            WastExecute::Get { module, global, .. } => {
                match self.export(module, global)?.into_global() {
                    Some(global) => Ok(Ok(vec![global.get(&mut self.store)])),
                    None => fail(format!("export `{global}` is not a global")),
                }
            }
        }
    }

    fn assert_return(
        &mut self,
        exec: WastExecute<'_>,
        want: &[wast::WastRet<'_>],
    ) -> Result<(), Stop> {
        let found =
            self.execute(exec)?.map_err(|error| Stop::Failed(format!("unexpected: {error:#}")))?;
        let mut same = found.len() == want.len();
        for (val, want) in found.iter().zip(want) {
            match values::matches(&self.store, val, want) {
                Some(matches) => same &= matches,
                None => return fail(format!("a result that no function can give: {want:?}")),
            }
        }
        if same {
            return Ok(());
        }
        let found: Vec<String> = found.iter().map(values::show).collect();
        fail(format!("expected {want:?}, found [{}]", found.join(", ")))
    }

    fn assert_trap(&mut self, exec: WastExecute<'_>, message: &str) -> Result<(), Stop> {
        match self.execute(exec)? {
            Ok(_) => fail(format!("expected the trap `{message}`, but there was none")),
            Err(error) => says(&error, message),
        }
    }

    fn assert_exception(&mut self, exec: WastExecute<'_>) -> Result<(), Stop> {
        match self.execute(exec)? {
            Ok(_) => fail("expected an exception, but there was none"),
            Err(error) => fail(format!("expected an exception, found: {error:#}")),
        }
    }

    fn assert_refused(&mut self, mut module: QuoteWat<'_>) -> Result<(), Stop> {
        let bytes = match Self::encode(&mut module) {
            Ok(bytes) => bytes,
            // The text itself was refused.
            Err(Stop::Failed(_)) => return Ok(()),
            Err(skipped) => return Err(skipped),
        };
        match Module::from_binary(self.store.engine(), &bytes) {
            Ok(_) => fail("expected the module to be refused, but it was accepted"),
            Err(error) => match (unsupported(&error), error.downcast_ref::<CompileError>()) {
                (Some(reason), _) => Err(Stop::Skipped(reason)),
                (None, Some(CompileError::Invalid { .. })) => Ok(()),
                _ => fail(format!("expected the module to be invalid, found: {error:#}")),
            },
        }
    }

    fn assert_unlinkable(&mut self, module: Wat<'_>, message: &str) -> Result<(), Stop> {
        let bytes = Self::encode(&mut QuoteWat::Wat(module))?;
        let module = self.compile(&bytes)?;
        match self.instantiate(&module)? {
            Ok(_) => fail(format!("expected linking to fail with `{message}`")),
            Err(error) => says(&error, message),
        }
    }
}

/// Checks that `error` is the expected one. Scripts add details that engines need not give
/// (`uninitialized element 2`).
fn says(error: &Error, message: &str) -> Result<(), Stop> {
    let found = format!("{error:#}");
    let core = message.trim_end_matches(|c: char| c.is_ascii_digit()).trim_end();
    if found.contains(core) {
        return Ok(());
    }
    fail(format!("expected `{message}`, found `{found}`"))
}
