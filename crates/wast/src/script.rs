//! A script, taken apart: what does not depend on an engine is done once, for any number of runs.

use crate::report::{Report, Trace};
use crate::runner::Runner;
use runwell::{Engine, Error};
use wast::lexer::Lexer;
use wast::parser::{self, ParseBuffer};
use wast::token::{Id, Span};
use wast::{QuoteWat, Wast, WastDirective, WastExecute, WastInvoke, WastRet, Wat};

/// Why a directive went no further.
#[derive(Clone)]
pub(crate) enum Stop {
    Failed(String),
    /// It needs this proposal.
    Skipped(String),
}

/// The binary form of a module, or why there is none.
type Encoded = Result<Vec<u8>, Stop>;

/// What an assertion is about.
pub(crate) enum Execute<'a> {
    Invoke(WastInvoke<'a>),
    Module(Encoded),
    Get { module: Option<Id<'a>>, global: &'a str },
}

/// A directive.
pub(crate) enum Directive<'a> {
    Module { name: Option<String>, bytes: Encoded },
    Definition { name: Option<String>, bytes: Encoded },
    Instance { instance: Option<Id<'a>>, module: Option<Id<'a>> },
    Register { name: &'a str, module: Option<Id<'a>> },
    Invoke(WastInvoke<'a>),
    AssertReturn { exec: Execute<'a>, results: Vec<WastRet<'a>> },
    AssertTrap { exec: Execute<'a>, message: &'a str },
    AssertRefused(Encoded),
    AssertUnlinkable { bytes: Encoded, message: &'a str },
    AssertException(Execute<'a>),
    Unsupported(&'static str),
}

/// A script, ready to be run.
pub struct Script<'a> {
    text: &'a str,
    directives: Vec<(Span, Directive<'a>)>,
}

impl Script<'_> {
    /// Runs it on an engine.
    ///
    /// # Errors
    /// When the engine's host cannot have what scripts import.
    pub fn run(&self, engine: &Engine) -> Result<Report, Error> {
        let mut runner = Runner::new(engine)?;
        let mut report = Report::default();
        for (span, directive) in &self.directives {
            report.count(runner.directive(directive), self.position(*span));
        }
        Ok(report)
    }

    /// Runs it on an engine, and tells what each directive came to.
    ///
    /// # Errors
    /// As for [`Script::run`].
    pub fn trace(&self, engine: &Engine) -> Result<Trace, Error> {
        let mut runner = Runner::new(engine)?;
        runner.keep_images();
        let mut trace = Trace::default();
        for (span, directive) in &self.directives {
            let result = runner.directive(directive);
            let position = self.position(*span);
            trace.steps.push(runner.step(&result, position.0));
            trace.report.count(result, position);
        }
        (trace.images, trace.state) = runner.end();
        Ok(trace)
    }

    /// Line and column, from 1.
    fn position(&self, span: Span) -> (usize, usize) {
        let (line, column) = span.linecol_in(self.text);
        (line + 1, column + 1)
    }
}

/// Takes a script apart and passes it on.
///
/// # Errors
/// When the text is not a script.
pub fn with_script<R>(text: &str, act: impl FnOnce(&Script<'_>) -> R) -> Result<R, Error> {
    let mut lexer = Lexer::new(text);
    // Scripts test names with such characters on purpose.
    lexer.allow_confusing_unicode(true);
    let buffer = ParseBuffer::new_with_lexer(lexer)?;
    // Decimal fractions are rounded as they are read.
    let directives = runwell::with_default_floats(|| {
        let script = parser::parse::<Wast<'_>>(&buffer)?;
        let directives = script.directives.into_iter();
        Ok::<_, Error>(directives.map(|found| (found.span(), directive(found))).collect())
    })?;
    Ok(act(&Script { text, directives }))
}

fn encode(module: &mut QuoteWat<'_>) -> Encoded {
    match module {
        QuoteWat::Wat(Wat::Component(_)) | QuoteWat::QuoteComponent(..) => {
            Err(Stop::Skipped("component-model".to_string()))
        }
        _ => module.encode().map_err(|error| Stop::Failed(error.message())),
    }
}

fn execute(exec: WastExecute<'_>) -> Execute<'_> {
    match exec {
        WastExecute::Invoke(invoke) => Execute::Invoke(invoke),
        WastExecute::Wat(module) => Execute::Module(encode(&mut QuoteWat::Wat(module))),
        WastExecute::Get { module, global, .. } => Execute::Get { module, global },
    }
}

fn directive(found: WastDirective<'_>) -> Directive<'_> {
    let name = |module: &QuoteWat<'_>| module.name().map(|id| id.name().to_string());
    match found {
        WastDirective::Module(mut module) => {
            Directive::Module { name: name(&module), bytes: encode(&mut module) }
        }
        WastDirective::ModuleDefinition(mut module) => {
            Directive::Definition { name: name(&module), bytes: encode(&mut module) }
        }
        WastDirective::ModuleInstance { instance, module, .. } => {
            Directive::Instance { instance, module }
        }
        WastDirective::Register { name, module, .. } => Directive::Register { name, module },
        WastDirective::Invoke(invoke) => Directive::Invoke(invoke),
        WastDirective::AssertReturn { exec, results, .. } => {
            Directive::AssertReturn { exec: execute(exec), results }
        }
        WastDirective::AssertTrap { exec, message, .. } => {
            Directive::AssertTrap { exec: execute(exec), message }
        }
        WastDirective::AssertExhaustion { call, message, .. } => {
            Directive::AssertTrap { exec: Execute::Invoke(call), message }
        }
        WastDirective::AssertInvalid { mut module, .. }
        | WastDirective::AssertMalformed { mut module, .. } => {
            Directive::AssertRefused(encode(&mut module))
        }
        WastDirective::AssertUnlinkable { module, message, .. } => {
            let bytes = encode(&mut QuoteWat::Wat(module));
            Directive::AssertUnlinkable { bytes, message }
        }
        WastDirective::AssertException { exec, .. } => Directive::AssertException(execute(exec)),
        WastDirective::AssertSuspension { .. } => Directive::Unsupported("stack-switching"),
        WastDirective::Thread(_) | WastDirective::Wait { .. } => Directive::Unsupported("threads"),
        WastDirective::AssertInvalidCustom { .. } | WastDirective::AssertMalformedCustom { .. } => {
            Directive::Unsupported("custom-annotations")
        }
    }
}
