//! The machine's side: observes a store, tells the evaluator what the host does, and compares.
//!
//! - `evaluator`: the thread that follows.
//! - `host`: what the host makes and changes.
//! - `calls`: calls back and forth, and where they end or stop.

mod calls;
mod evaluator;
mod host;

use crate::compare::{Known, list};
use crate::follower::Command;
use crate::fuel::{Account, effects_cost, most_depth, schedule};
use crate::oracle::Answer;
use calls::Frame;
use evaluator::Evaluator;
use host::{Instantiation, Pending};
use runwell::tape::{Event, Observer, Outcome, View, Wait};
use runwell::{Error, Result, Store, Trap};
use runwell_abi::TrapCode;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// A difference between machine code and evaluator.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Difference {
    /// Where both had come to.
    pub at: String,
    /// What differs.
    pub what: String,
    /// The machine's state, line by line.
    pub machine: Vec<String>,
    /// The evaluator's.
    pub evaluator: Vec<String>,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "machine code and evaluator differ at {}: {}", self.at, self.what)?;
        for (side, lines) in [("machine", &self.machine), ("evaluator", &self.evaluator)] {
            for line in lines {
                write!(f, "\n  {side:<9}  {line}")?;
            }
        }
        Ok(())
    }
}

impl std::error::Error for Difference {}

/// What has been compared.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Summary {
    /// How many times both were compared: at calls of imports, at ends of calls, and where fuel ran out.
    pub compared: u64,
    /// Why the evaluator follows no further, if so. That is no difference.
    pub ended: Option<String>,
    /// The difference, if there was one.
    pub difference: Option<Difference>,
}

/// A store's crosscheck.
#[derive(Clone, Debug, Default)]
pub struct Check(Arc<Mutex<Summary>>);

impl Check {
    /// What has been compared so far.
    pub fn summary(&self) -> Summary {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn change(&self, change: impl FnOnce(&mut Summary)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// Lets the evaluator follow what happens in a store, in which nothing has been made yet.
///
/// A difference is a [`Difference`] as the error of the call that is under way. Followed are all instances,
/// with what they import from each other and from the host. The evaluator follows no further, and
/// [`Summary::ended`] says so, where another thread interrupts a guest, where the system fails the machine
/// (there is no memory, or the host's thread has no stack), where instances call each other some ten
/// thousand calls deep, which only stacks larger than usual allow, and where fuel runs out and the schedule
/// has effects for free. It is some hundred times slower than machine code, which waits for it; where it
/// does not come to an end, and is not metered, neither does the check.
///
/// # Errors
/// As for [`Store::observe`].
pub fn attach<T: 'static>(store: &mut Store<T>) -> Result<Check> {
    let (check, observer) = observer();
    store.observe(observer)?;
    Ok(check)
}

/// What [`attach`] lets observe the store, for whoever wants to observe it as well and passes every event on.
pub fn observer() -> (Check, impl Observer) {
    let check = Check::default();
    (check.clone(), Lockstep::new(check))
}

struct Lockstep {
    check: Check,
    evaluator: Option<Evaluator>,
    stack: Vec<Frame>,
    instantiations: Vec<Instantiation>,
    pending: Option<Pending>,
    /// A host function has asked for its caller to be suspended.
    asked: bool,
    /// The call that is under way ends with an error of the host's.
    failing: bool,
    /// What the limiter has said since the evaluator was let go.
    answers: Vec<Answer>,
    /// What a call waits for that is suspended.
    suspended: Option<Wait>,
    /// What there was in all where a guest has stopped for want of fuel that may go on.
    unpaid: Option<u64>,
    known: Known,
    account: Option<Account>,
    /// The fuel tells where a guest has stopped that has not enough.
    stops_tell: bool,
    /// What host functions are imported as.
    names: Vec<Option<String>>,
}

/// Why an event could not be followed: there is a difference, or it ends there without one.
pub(crate) enum Why {
    Differs { what: String, machine: Vec<String>, evaluator: Vec<String> },
    Ends(String),
}

fn ends<R>(why: impl Into<String>) -> Result<R, Why> {
    Err(Why::Ends(why.into()))
}

pub(crate) fn differs<R>(
    what: impl Into<String>,
    machine: impl Into<String>,
    evaluator: impl Into<String>,
) -> Result<R, Why> {
    let (machine, evaluator) = (vec![machine.into()], vec![evaluator.into()]);
    Err(Why::Differs { what: what.into(), machine, evaluator })
}

/// A trap's code, of those that modules can run into.
fn trap(code: TrapCode) -> Option<Trap> {
    Some(match code {
        TrapCode::Unreachable => Trap::UnreachableCodeReached,
        TrapCode::MemoryOutOfBounds => Trap::MemoryOutOfBounds,
        TrapCode::TableOutOfBounds => Trap::TableOutOfBounds,
        TrapCode::IndirectCallToNull => Trap::IndirectCallToNull,
        TrapCode::BadSignature => Trap::BadSignature,
        TrapCode::IntegerOverflow => Trap::IntegerOverflow,
        TrapCode::IntegerDivisionByZero => Trap::IntegerDivisionByZero,
        TrapCode::BadConversionToInteger => Trap::BadConversionToInteger,
        TrapCode::NullReference => Trap::NullReference,
        TrapCode::StackOverflow => Trap::StackOverflow,
        _ => return None,
    })
}

fn describe(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Values(values) => format!("returns {}", list(values)),
        Outcome::Trap(trap) => format!("{trap}"),
        Outcome::Error(message) => format!("the host's error: {message}"),
        Outcome::Suspend => "is to be suspended".to_string(),
    }
}

impl Lockstep {
    fn new(check: Check) -> Lockstep {
        Lockstep {
            check,
            evaluator: None,
            stack: Vec::new(),
            instantiations: Vec::new(),
            pending: None,
            asked: false,
            failing: false,
            answers: Vec::new(),
            suspended: None,
            unpaid: None,
            known: Known::default(),
            account: None,
            stops_tell: false,
            names: Vec::new(),
        }
    }

    fn evaluator(&mut self) -> Result<&mut Evaluator, Why> {
        self.evaluator.as_mut().ok_or_else(|| Why::Ends("the evaluator is gone".into()))
    }

    fn tell(&mut self, command: Command) -> Result<(), Why> {
        self.evaluator()?.tell(command)
    }

    /// Control goes to guests.
    fn enter(&mut self, view: &View<'_>) {
        if let Some(account) = &mut self.account {
            account.enter(view);
        }
    }

    fn follow(&mut self, event: &Event, view: &View<'_>) -> Result<(), Why> {
        if let Event::Answer(answer) = event {
            self.answered(answer);
            return Ok(());
        }
        self.settle(view)?;
        if std::mem::take(&mut self.asked) && !matches!(event, Event::Suspended { .. }) {
            // It was a call that cannot be suspended, so that is an error like any other.
            self.fails()?;
        }
        match event {
            Event::Start(setup) => {
                let schedule = schedule(setup);
                self.account = schedule.map(|_| Account::default());
                self.stops_tell = schedule.as_ref().is_some_and(effects_cost);
                let Some(depth) = most_depth(setup) else { return ends("it has no stack") };
                self.evaluator = Some(Evaluator::new(schedule, depth)?);
                Ok(())
            }
            Event::Limited => self.tell(Command::Limited),
            Event::Module(_)
            | Event::NewHostFunc(_)
            | Event::Instantiate { .. }
            | Event::NewMemory(..)
            | Event::NewTable(..)
            | Event::NewGlobal(..)
            | Event::MemoryGrow { .. }
            | Event::TableGrow { .. } => self.makes(event, view),
            Event::Instantiated(outcome) => self.instantiated(outcome),
            Event::Invoke { .. }
            | Event::HostCall { .. }
            | Event::HostDone(_)
            | Event::Done { .. }
            | Event::Suspended { .. }
            | Event::Resume { .. }
            | Event::Cancel => self.calls(event, view),
            _ => self.host_does(event),
        }
    }
}

impl Observer for Lockstep {
    fn event(&mut self, event: &Event, view: &mut View<'_>) -> Result<()> {
        if self.evaluator.is_none() && !matches!(event, Event::Start(_)) {
            return Ok(());
        }
        let compares = self.is_compared(event);
        let result = self.follow(event, view);
        let mut call = 0;
        self.check.change(|summary| {
            summary.compared += u64::from(compares && result.is_ok());
            call = summary.compared + 1;
        });
        match result {
            Ok(()) => Ok(()),
            Err(Why::Ends(why)) => {
                self.evaluator = None;
                self.check.change(|summary| summary.ended = Some(why));
                Ok(())
            }
            Err(Why::Differs { what, machine, evaluator }) => {
                self.evaluator = None;
                let at = match event {
                    Event::HostCall { .. } => format!("comparison {call}, an import call"),
                    Event::Done { .. } => format!("comparison {call}, the end of a call"),
                    Event::Suspended { .. } => format!("comparison {call}, a stop for fuel"),
                    _ => format!("comparison {call}"),
                };
                let difference = Difference { at, what, machine, evaluator };
                self.check.change(|summary| summary.difference = Some(difference.clone()));
                Err(Error::new(difference))
            }
        }
    }
}

#[cfg(test)]
mod tests;
