//! The recording as a replay reads it: what is expected next, and how much fuel guests get.

use super::event::{Event, Outcome, Value, Wait};
use super::format::{LogError, LogReader};
use super::replay::{Divergence, Stop};
use crate::code::symbolize;
use crate::fuel::{Ran, Stopped};
use crate::limits::Question;
use crate::store::StoreOpaque;
use crate::types::FuncType;
use crate::{Error, Module, Result, Trap, WasmBacktrace};
use runwell_vm::runtime::MAX_FUEL;

/// The recording's side of a store.
pub(crate) struct Player {
    pub(crate) log: LogReader,
    pub(crate) modules: Vec<Module>,
    /// The hashes of those that may be in it, if it is not to be of others.
    pub(crate) expected: Option<Vec<[u8; 32]>>,
    /// What host functions are imported as.
    pub(crate) names: Vec<Option<String>>,
    /// Calls of host functions so far.
    pub(crate) calls: u64,
    pub(crate) limited: bool,
    /// The recording was metered.
    pub(crate) metered: bool,
    /// The replay is metered.
    pub(crate) metering: bool,
    /// Units until it is to stop.
    pub(crate) fuel_left: Option<u64>,
    pub(crate) fuel_used: u64,
    pub(crate) stop_at_call: Option<u64>,
    /// The fuel that there would be without `fuel_left`, and what was given of it, while guest code runs.
    pub(crate) given: (u64, u64),
    pub(crate) outcome: Option<Outcome>,
    /// The suspended call: its type, and what it waits for.
    pub(crate) suspended: Option<(FuncType, Stopped)>,
    /// Why it goes no further.
    pub(crate) stopped: Option<Stop>,
}

fn list(values: &[Value]) -> String {
    let values: Vec<String> = values.iter().map(Value::to_string).collect();
    values.join(", ")
}

/// What an outcome is, in words.
pub(crate) fn describe_outcome(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Values(values) => format!("a return of ({})", list(values)),
        Outcome::Trap(trap) => format!("the trap `{trap}`"),
        Outcome::Error(message) => format!("the error `{message}`"),
        Outcome::Suspend => "a wish to be suspended".to_string(),
    }
}

/// True for an error that ends a replay and is none of the guest's.
pub(crate) fn ends(error: &Error) -> bool {
    error.is::<Divergence>() || error.is::<Stop>() || error.is::<LogError>()
}

impl Player {
    pub(crate) fn new(log: LogReader, metered: bool, metering: bool) -> Player {
        Player {
            log,
            modules: Vec::new(),
            expected: None,
            names: Vec::new(),
            calls: 0,
            limited: false,
            metered,
            metering,
            fuel_left: None,
            fuel_used: 0,
            stop_at_call: None,
            given: (0, 0),
            outcome: None,
            suspended: None,
            stopped: None,
        }
    }

    /// The next event; a [`Stop`] when there is none.
    pub(crate) fn next(&mut self) -> Result<Event> {
        match self.log.next()? {
            Some(event) => Ok(event),
            None => Err(self.stop(Stop::Cut { torn: self.log.is_torn() })),
        }
    }

    pub(crate) fn damaged(&self, what: &'static str) -> Error {
        self.log.damaged(what).into()
    }

    pub(crate) fn differs(&self, expected: String, found: String) -> Error {
        Divergence { call: self.calls, expected, found }.into()
    }

    fn stop(&mut self, stop: Stop) -> Error {
        Error::new(*self.stopped.get_or_insert(stop))
    }

    fn name(&self, func: u32) -> String {
        match self.names.get(func as usize) {
            Some(Some(name)) => format!("`{name}`"),
            _ => format!("host function {func}"),
        }
    }

    fn describe(&self, event: &Event) -> String {
        match event {
            Event::HostCall { func, args, fuel } => {
                let fuel =
                    fuel.map_or(String::new(), |fuel| format!(" with {fuel} units of fuel left"));
                format!("a call of {}({}){fuel}", self.name(*func), list(args))
            }
            Event::Done { outcome, fuel } => {
                let fuel =
                    fuel.map_or(String::new(), |fuel| format!(" with {fuel} units of fuel left"));
                format!("{}{fuel}", describe_outcome(outcome))
            }
            Event::Suspended { wait, fuel } => {
                let fuel =
                    fuel.map_or(String::new(), |fuel| format!(" with {fuel} units of fuel left"));
                let wait = match wait {
                    Wait::Fuel => "more fuel",
                    Wait::Answer => "an answer of the host",
                };
                format!("a wait for {wait}{fuel}")
            }
            Event::Resume { answer } => {
                format!("the host going on with a suspended call by ({})", list(answer))
            }
            Event::Answer(_) => "a question to the limiter".to_string(),
            Event::Invoke { args, .. } => format!("a call by the host with ({})", list(args)),
            _ => "something else of the host's".to_string(),
        }
    }

    /// The next event is to be this one.
    fn expect(&mut self, found: &Event) -> Result<()> {
        let recorded = self.next()?;
        if recorded == *found {
            return Ok(());
        }
        Err(self.differs(self.describe(&recorded), self.describe(found)))
    }

    /// What the limiter said.
    pub(crate) fn answer(&mut self, question: &Question) -> Result<bool> {
        if !self.limited {
            return Ok(!matches!(question, Question::GrowFailed { .. }));
        }
        match self.next()? {
            Event::Answer(answer) => answer.map_err(Error::msg),
            recorded => {
                let expected = self.describe(&recorded);
                Err(self.differs(expected, "a question to the limiter".to_string()))
            }
        }
    }

    /// Control goes to a guest: by the call `event`, or back.
    pub(crate) fn enter_guest(&mut self, store: &StoreOpaque, event: Option<&Event>) -> Result<()> {
        if let Some(event) = event {
            self.expect(event)?;
        }
        match self.log.peek()? {
            None => return Err(self.stop(Stop::Cut { torn: self.log.is_torn() })),
            // Nothing would stop it there again.
            Some(Event::Done { outcome: Outcome::Trap(Trap::Interrupt), .. }) => {
                return Err(self.stop(Stop::Interrupted));
            }
            Some(_) => {}
        }
        if self.metering {
            let whole = if self.metered { store.runtime.fuel() } else { MAX_FUEL };
            let given = self.fuel_left.map_or(whole, |left| whole.min(left));
            self.given = (whole, given);
            store.runtime.set_fuel(given);
        }
        Ok(())
    }

    /// Control comes from a guest.
    pub(crate) fn leave_guest(&mut self, store: &StoreOpaque) {
        if self.metering {
            let (whole, given) = self.given;
            let used = given.saturating_sub(store.runtime.fuel());
            self.fuel_used = self.fuel_used.saturating_add(used);
            self.fuel_left = self.fuel_left.map(|left| left.saturating_sub(used));
            store.runtime.set_fuel(whole.saturating_sub(used));
        }
    }

    /// A host function is called.
    pub(crate) fn host_call(&mut self, mut event: Event) -> Result<()> {
        if let Some(stop) = self.stopped {
            return Err(Error::new(stop));
        }
        self.calls += 1;
        if self.stop_at_call == Some(self.calls) {
            return Err(self.stop(Stop::Call { number: self.calls }));
        }
        if let Event::HostCall { fuel, .. } = &mut event
            && !self.metered
        {
            *fuel = None;
        }
        self.expect(&event)
    }

    /// A call by the host has ended, or is suspended.
    pub(crate) fn done(&mut self, mut event: Event, result: Result<Ran>) -> Result<Ran> {
        let short = match &event {
            Event::Done { outcome, .. } => *outcome == Outcome::Trap(Trap::OutOfFuel),
            Event::Suspended { wait, .. } => *wait == Wait::Fuel,
            _ => false,
        };
        match result {
            Err(error) if self.stopped.is_some() || ends(&error) => return Err(error),
            _ if short && self.given.1 < self.given.0 => {
                let stop = self.stop(Stop::Fuel { used: self.fuel_used });
                let backtrace = match result {
                    Err(error) => error.downcast_ref::<WasmBacktrace>().cloned(),
                    Ok(Ran::Suspended(stopped)) => Some(symbolize(&stopped.backtrace)),
                    Ok(Ran::Finished) => None,
                };
                return Err(match backtrace {
                    Some(backtrace) => stop.context(backtrace),
                    None => stop,
                });
            }
            _ => {}
        }
        if let Event::Done { fuel, .. } | Event::Suspended { fuel, .. } = &mut event
            && !self.metered
        {
            *fuel = None;
        }
        self.expect(&event)?;
        if let Event::Done { outcome, .. } = event {
            self.outcome = Some(outcome);
        }
        result
    }
}
