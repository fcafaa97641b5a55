//! Executes a script.

use crate::report::Step;
use crate::script::{Directive, Execute, Stop};
use crate::{spectest, values};
use runwell::{
    CompileError, Engine, Error, Extern, Instance, Linker, Module, StateHash, Store, Val,
};
use std::collections::BTreeMap;
use wast::WastInvoke;
use wast::token::Id;

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

/// A module or instance that a script names, or the proposal for want of which there is none.
type Named<T> = Result<T, String>;

pub(crate) struct Runner {
    store: Store<()>,
    linker: Linker<()>,
    current: Option<Named<Instance>>,
    instances: BTreeMap<String, Named<Instance>>,
    modules: BTreeMap<String, Named<Module>>,
    last_module: Option<Named<Module>>,
    /// Registered names behind which there is no instance, with the proposal it needs.
    missing: BTreeMap<String, String>,
    /// What the directive at hand has come to, as far as anything of the guest's can be seen.
    seen: String,
    /// The images of all modules, if they are kept.
    images: Option<Vec<Vec<u8>>>,
}

impl Runner {
    pub(crate) fn new(engine: &Engine) -> Result<Runner, Error> {
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
            seen: String::new(),
            images: None,
        })
    }

    /// Keeps the images of all modules.
    pub(crate) fn keep_images(&mut self) {
        self.images = Some(Vec::new());
    }

    /// What the last directive, on this line, came to.
    pub(crate) fn step(&mut self, result: &Result<(), Stop>, line: usize) -> Step {
        let mut seen = std::mem::take(&mut self.seen);
        if let Err(Stop::Failed(why) | Stop::Skipped(why)) = result {
            seen.push_str(why);
        }
        Step { line, passed: result.is_ok(), seen, fuel: self.store.get_fuel().ok() }
    }

    /// The images, and the state of the store.
    pub(crate) fn end(mut self) -> (Vec<Vec<u8>>, Option<StateHash>) {
        (self.images.take().unwrap_or_default(), Some(self.store.state_hash()))
    }

    fn see(&mut self, result: &Result<Vec<Val>, Error>) {
        match result {
            Ok(values) => {
                for value in values {
                    self.seen.push_str(&values::show(value));
                    self.seen.push(';');
                }
            }
            Err(error) => self.seen.push_str(&format!("{error:#}")),
        }
    }

    pub(crate) fn directive(&mut self, directive: &Directive<'_>) -> Result<(), Stop> {
        match directive {
            Directive::Module { name, bytes } => self.module(name.clone(), bytes),
            Directive::Definition { name, bytes } => self.definition(name.clone(), bytes),
            Directive::Instance { instance, module } => self.instance_of(*instance, *module),
            Directive::Register { name, module } => self.register(name, *module),
            Directive::Invoke(invoke) => self.invoke(invoke).map(drop),
            Directive::AssertReturn { exec, results } => self.assert_return(exec, results),
            Directive::AssertTrap { exec, message } => self.assert_trap(exec, message),
            Directive::AssertRefused(bytes) => self.assert_refused(bytes),
            Directive::AssertUnlinkable { bytes, message } => {
                self.assert_unlinkable(bytes, message)
            }
            Directive::AssertException(exec) => self.assert_exception(exec),
            Directive::Unsupported(proposal) => Err(Stop::Skipped((*proposal).to_string())),
        }
    }

    fn compile(&mut self, bytes: &Result<Vec<u8>, Stop>) -> Result<Module, Stop> {
        let bytes = bytes.as_ref().map_err(Stop::clone)?;
        let module =
            Module::from_binary(self.store.engine(), bytes).map_err(|error| stop(&error))?;
        if let Some(images) = &mut self.images {
            images.push(module.serialize().map_err(|error| stop(&error))?);
        }
        Ok(module)
    }

    fn instantiate(&mut self, module: &Module) -> Result<Result<Instance, Error>, Stop> {
        for import in module.imports() {
            if let Some(reason) = self.missing.get(import.module()) {
                return Err(Stop::Skipped(reason.clone()));
            }
        }
        let made = self.linker.instantiate(&mut self.store, module);
        if let Err(error) = &made {
            self.seen.push_str(&format!("{error:#}"));
        }
        Ok(made)
    }

    fn module(&mut self, name: Option<String>, bytes: &Result<Vec<u8>, Stop>) -> Result<(), Stop> {
        let outcome = self
            .compile(bytes)
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

    fn definition(
        &mut self,
        name: Option<String>,
        bytes: &Result<Vec<u8>, Stop>,
    ) -> Result<(), Stop> {
        let outcome = self.compile(bytes);
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
        let result = func.call(&mut self.store, &args, &mut results).map(|()| results);
        self.see(&result);
        Ok(result)
    }

    fn invoke(&mut self, invoke: &WastInvoke<'_>) -> Result<Vec<Val>, Stop> {
        self.call(invoke)?.map_err(|error| Stop::Failed(format!("{error:#}")))
    }

    /// Does what an assertion is about; the inner error is the guest's.
    fn execute(&mut self, exec: &Execute<'_>) -> Result<Result<Vec<Val>, Error>, Stop> {
        match exec {
            Execute::Invoke(invoke) => self.call(invoke),
            Execute::Module(bytes) => {
                let module = self.compile(bytes)?;
                Ok(self.instantiate(&module)?.map(|_| Vec::new()))
            }
            Execute::Get { module, global } => match self.export(*module, global)?.into_global() {
                Some(global) => {
                    let result = Ok(vec![global.get(&mut self.store)]);
                    self.see(&result);
                    Ok(result)
                }
                None => fail(format!("export `{global}` is not a global")),
            },
        }
    }

    fn assert_return(
        &mut self,
        exec: &Execute<'_>,
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

    fn assert_trap(&mut self, exec: &Execute<'_>, message: &str) -> Result<(), Stop> {
        match self.execute(exec)? {
            Ok(_) => fail(format!("expected the trap `{message}`, but there was none")),
            Err(error) => says(&error, message),
        }
    }

    fn assert_exception(&mut self, exec: &Execute<'_>) -> Result<(), Stop> {
        match self.execute(exec)? {
            Ok(_) => fail("expected an exception, but there was none"),
            Err(error) => fail(format!("expected an exception, found: {error:#}")),
        }
    }

    fn assert_refused(&mut self, bytes: &Result<Vec<u8>, Stop>) -> Result<(), Stop> {
        let bytes = match bytes {
            Ok(bytes) => bytes,
            // The text itself was refused.
            Err(Stop::Failed(_)) => return Ok(()),
            Err(skipped) => return Err(skipped.clone()),
        };
        match Module::from_binary(self.store.engine(), bytes) {
            Ok(_) => fail("expected the module to be refused, but it was accepted"),
            Err(error) => match (unsupported(&error), error.downcast_ref::<CompileError>()) {
                (Some(reason), _) => Err(Stop::Skipped(reason)),
                (None, Some(CompileError::Invalid { .. })) => {
                    self.seen.push_str(&format!("{error:#}"));
                    Ok(())
                }
                _ => fail(format!("expected the module to be invalid, found: {error:#}")),
            },
        }
    }

    fn assert_unlinkable(
        &mut self,
        bytes: &Result<Vec<u8>, Stop>,
        message: &str,
    ) -> Result<(), Stop> {
        let module = self.compile(bytes)?;
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
