//! Calls of guests by the host and of the host by guests, and where these end or stop.

use super::host::function;
use super::{Lockstep, Why, describe, differs, ends, trap};
use crate::compare::list;
use crate::follower::{Command, End, Report, Run, State, bits};
use runwell::Trap;
use runwell::tape::{Event, Outcome, RefId, Value, View, Wait};
use runwell_ir::eval::Stop;

/// What is under way.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) enum Frame {
    /// A guest that is followed.
    Guest,
    /// A host function that it called.
    Host,
    /// A function of the host's that the host called, or a call that fails because another one is suspended.
    Foreign,
    /// A host function that neither was called by a guest.
    ForeignHost,
}

fn ended(end: &End) -> String {
    match end {
        End::Returned(values) => format!("returns {}", list(values)),
        End::Failed => "ends by the host's error".into(),
        End::Exhausted => "has no room for more calls".into(),
        End::Stopped(Stop::Trap(code)) => match trap(*code) {
            Some(trap) => trap.to_string(),
            None => format!("{code:?}"),
        },
        End::Stopped(stop) => format!("{stop:?}"),
    }
}

fn units(units: u64) -> String {
    format!("{units} units, all in all")
}

pub(super) fn all_bits(values: &[Value]) -> Vec<u64> {
    values.iter().map(|&value| bits(value)).collect()
}

/// There is no room, which is nobody's difference.
fn exhausted<R>() -> Result<R, Why> {
    ends("the evaluator's stack is used up")
}

/// The machine has come further than its fuel says.
fn beyond<R>(used: Option<u64>) -> Result<R, Why> {
    differs("the fuel used", units(used.unwrap_or(0)), "an operator more than that pays for")
}

impl Lockstep {
    /// What is used where guests leave control with so much left, if they are metered.
    fn leave(&mut self, left: Option<u64>) -> Option<u64> {
        let (account, left) = (self.account.as_mut()?, left?);
        Some(account.leave(left))
    }

    /// Lets the evaluator come to where the machine is, and says where it has come.
    fn run(&mut self, used: Option<u64>) -> Result<Report, Why> {
        let (unpaid, answers) = (self.unpaid.take(), std::mem::take(&mut self.answers));
        self.tell(Command::Run(Run { used, unpaid, answers }))?;
        self.evaluator()?.report()
    }

    pub(super) fn invoke(
        &mut self,
        func: RefId,
        args: &[Value],
        view: &View<'_>,
    ) -> Result<(), Why> {
        if self.suspended.is_some() || !matches!(func, RefId::Func { .. }) {
            self.stack.push(Frame::Foreign);
            return Ok(());
        }
        if let Some(last) = self.instantiations.last_mut() {
            last.started = true;
            if let Some(Err(code)) = last.filled {
                return differs("instantiation", "has succeeded", format!("{code:?}"));
            }
        }
        let around = self.stack.iter();
        let around = around.filter(|frame| matches!(frame, Frame::Guest | Frame::Foreign)).count();
        self.tell(Command::Invoke(function(func)?, all_bits(args), around as u64))?;
        self.stack.push(Frame::Guest);
        self.enter(view);
        Ok(())
    }

    pub(super) fn host_call(
        &mut self,
        func: u32,
        args: &[Value],
        fuel: Option<u64>,
        view: &View<'_>,
    ) -> Result<(), Why> {
        if self.stack.last() != Some(&Frame::Guest) {
            self.stack.push(Frame::ForeignHost);
            return Ok(());
        }
        self.stack.push(Frame::Host);
        let used = self.leave(fuel);
        let report = self.run(used)?;
        let calls = |func: u32, args: &[Value]| {
            let name = match self.names.get(func as usize) {
                Some(Some(name)) => format!("`{name}`"),
                _ => format!("host function {func}"),
            };
            format!("calls {name}{}", list(args))
        };
        match report {
            Report::HostCall(wanted, bits, state) => {
                if wanted != func || bits != args {
                    return differs("the call", calls(func, args), calls(wanted, &bits));
                }
                self.compare(state, used, view)
            }
            Report::Stopped(_) => beyond(used),
            Report::Done(End::Exhausted, _) => exhausted(),
            Report::Done(end, _) => differs("the call", calls(func, args), ended(&end)),
            _ => ends("it is not in step"),
        }
    }

    pub(super) fn host_done(&mut self, outcome: &Outcome, view: &View<'_>) -> Result<(), Why> {
        if self.stack.pop() != Some(Frame::Host) {
            return Ok(());
        }
        self.enter(view);
        match outcome {
            Outcome::Values(values) => self.tell(Command::Return(Some(all_bits(values)))),
            Outcome::Suspend => {
                // What becomes of it the next event says.
                self.asked = true;
                Ok(())
            }
            _ => self.fails(),
        }
    }

    /// The guest's call ends with an error of the host's.
    pub(super) fn fails(&mut self) -> Result<(), Why> {
        self.failing = true;
        self.tell(Command::Return(None))
    }

    pub(super) fn done(
        &mut self,
        outcome: &Outcome,
        fuel: Option<u64>,
        view: &View<'_>,
    ) -> Result<(), Why> {
        if self.stack.pop() != Some(Frame::Guest) {
            return Ok(());
        }
        let failing = std::mem::take(&mut self.failing);
        match outcome {
            Outcome::Trap(by @ Trap::Interrupt) if !failing => return ends(by.to_string()),
            Outcome::Trap(Trap::OutOfFuel) if !failing => return self.stops(fuel, view, true),
            // The system, which is not the evaluator's.
            Outcome::Error(message) if !failing => return ends(message),
            _ => {}
        }
        let used = self.leave(fuel);
        let (end, state) = match self.run(used)? {
            Report::Done(end, state) => (end, state),
            Report::HostCall(..) => {
                return differs("the end of the call", describe(outcome), "calls an import");
            }
            Report::Stopped(_) => return beyond(used),
            _ => return ends("it is not in step"),
        };
        let same = match (&end, outcome) {
            (End::Exhausted, _) => return exhausted(),
            (End::Stopped(Stop::Trap(code)), Outcome::Trap(found)) => trap(*code) == Some(*found),
            // An error of the host's may be a trap.
            (End::Failed, Outcome::Error(_) | Outcome::Trap(_)) => failing,
            (End::Returned(wanted), Outcome::Values(found)) => wanted == found,
            _ => false,
        };
        if !same {
            self.asked_alike(&state)?;
            return differs("the end of the call", describe(outcome), ended(&end));
        }
        self.compare(state, used, view)
    }

    /// A guest has stopped because its fuel does not suffice; for good, or it may go on.
    pub(super) fn stops(
        &mut self,
        fuel: Option<u64>,
        view: &View<'_>,
        for_good: bool,
    ) -> Result<(), Why> {
        let used = self.leave(fuel);
        if !self.stops_tell {
            self.known.note(view);
            return if for_good { ends("out of fuel, and effects cost nothing") } else { Ok(()) };
        }
        let (Some(used), Some(left)) = (used, fuel) else {
            return ends("out of fuel, and there is no account");
        };
        let stopped = describe(&Outcome::Trap(Trap::OutOfFuel));
        let state = match self.run(Some(used))? {
            Report::Stopped(state) => state,
            Report::HostCall(..) => {
                return differs("the end of the call", stopped, "calls an import");
            }
            Report::Done(End::Exhausted, _) => return exhausted(),
            Report::Done(end, _) => return differs("the end of the call", stopped, ended(&end)),
            _ => return ends("it is not in step"),
        };
        // What was executed on credit may be more than there was.
        let wanted = if left > 0 { state.counted } else { used };
        if used != wanted {
            return differs("the fuel used", units(used), units(wanted));
        }
        self.compare(state, None, view)?;
        let had = used.saturating_add(left);
        if !for_good {
            self.unpaid = Some(had);
            return Ok(());
        }
        self.tell(Command::Give { used, up: Some(had) })?;
        match self.evaluator()?.report()? {
            Report::Done(_, state) => self.asked_alike(&state),
            _ => ends("it is not in step"),
        }
    }

    /// The suspended call is given up.
    pub(super) fn cancel(&mut self) -> Result<(), Why> {
        self.stack.pop();
        self.unpaid = None;
        match self.suspended.take() {
            Some(Wait::Answer) => {
                self.tell(Command::Return(None))?;
                self.tell(Command::Run(Run::default()))?;
            }
            Some(Wait::Fuel) if self.stops_tell => {
                let used = self.account.as_ref().map_or(0, |account| account.used());
                self.tell(Command::Give { used, up: None })?;
            }
            _ => {
                return ends(
                    "a call is given up while it waits for fuel, and effects cost nothing",
                );
            }
        }
        match self.evaluator()?.report()? {
            Report::Done(..) => Ok(()),
            _ => ends("it is not in step"),
        }
    }

    /// Whether the limiter was asked as often, and guests have stopped where they had to.
    fn asked_alike(&self, state: &State) -> Result<(), Why> {
        if let Some((had, end)) = state.early {
            let machine = format!("has stopped with {}", units(had));
            let evaluator = format!("the end of the way is at {}", units(end));
            return differs("where fuel does not suffice", machine, evaluator);
        }
        match (state.unanswered, state.unasked) {
            (false, 0) => Ok(()),
            (true, _) => differs("the limiter", "is not asked", "is asked"),
            (_, more) => differs("the limiter", format!("is asked {more} more times"), "is not"),
        }
    }

    /// Compares states, and what was used to get there.
    fn compare(&mut self, state: State, used: Option<u64>, view: &View<'_>) -> Result<(), Why> {
        self.asked_alike(&state)?;
        if let Some(used) = used
            && used != state.counted
        {
            return differs("the fuel used", units(used), units(state.counted));
        }
        self.known.compare(state, view)
    }

    /// Calls, and where they end or stop.
    pub(super) fn calls(&mut self, event: &Event, view: &View<'_>) -> Result<(), Why> {
        match event {
            Event::Invoke { func, args, .. } => self.invoke(*func, args, view),
            Event::HostCall { func, args, fuel } => self.host_call(*func, args, *fuel, view),
            Event::HostDone(outcome) => self.host_done(outcome, view),
            Event::Done { outcome, fuel } => self.done(outcome, *fuel, view),
            Event::Suspended { wait, fuel } => {
                self.suspended = Some(*wait);
                if *wait == Wait::Fuel {
                    return self.stops(*fuel, view, false);
                }
                self.known.note(view);
                self.leave(*fuel);
                Ok(())
            }
            Event::Resume { answer } => {
                self.enter(view);
                match self.suspended.take() {
                    Some(Wait::Answer) => self.tell(Command::Return(Some(all_bits(answer)))),
                    _ => Ok(()),
                }
            }
            Event::Cancel => self.cancel(),
            _ => Ok(()),
        }
    }

    /// The limiter of guests was asked.
    pub(super) fn answered(&mut self, answer: &Result<bool, String>) {
        // What the host asks it for itself shows in what it makes.
        if self.stack.last() == Some(&Frame::Guest) && self.suspended.is_none() {
            self.failing |= answer.is_err();
            self.answers.push(answer.as_ref().map_err(|_| ()).copied());
        }
    }

    /// Whether both are compared at an event.
    pub(super) fn is_compared(&self, event: &Event) -> bool {
        let followed = self.stack.last() == Some(&Frame::Guest);
        match event {
            Event::HostCall { .. } | Event::Done { .. } => followed,
            Event::Suspended { wait: Wait::Fuel, .. } => followed && self.stops_tell,
            _ => false,
        }
    }
}
