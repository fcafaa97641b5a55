//! The machine's side: observes a store, tells the evaluator what the host does, and compares.

use crate::compare::{Known, list};
use crate::follower::{Command, End, Report, State, Ways, bits, follow};
use crate::fuel::{Account, schedule};
use crate::oracle::{Import, Reference};
use runwell::tape::{self, Event, Observer, Outcome, RefId, Value, View, Wait};
use runwell::{Error, FuncType, HeapType, Result, Schedule, Store, Trap, ValType};
use runwell_abi::{TrapCode, Type};
use runwell_ir::Signature;
use runwell_ir::eval::Stop;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};

/// Stack of the evaluator's thread, which recurses where host functions call back and where instances call
/// each other.
const STACK_BYTES: usize = 256 << 20;

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
    /// How many times both were compared: at calls of imports and at ends of calls.
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
/// [`Summary::ended`] says so, when a limiter decides what grows; where fuel or the stack is used up, unless
/// the call is suspended and goes on; where another thread interrupts the guest; and when the host changes
/// something, or gives the call up, while it waits for fuel. It is some hundred times slower than machine
/// code, which waits for it; where it does not come to an end, neither does the check.
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

/// What is under way.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
enum Frame {
    /// A guest that is followed.
    Guest,
    /// A host function that it called.
    Host,
    /// Calls between parts of the host, and those that fail because another one is suspended.
    Foreign,
}

/// An instantiation that is under way.
struct Instantiation {
    /// How filling the instance ended.
    filled: Result<(), TrapCode>,
    /// Its start function has been called.
    started: bool,
}

struct Lockstep {
    check: Check,
    evaluator: Option<Evaluator>,
    stack: Vec<Frame>,
    instantiations: Vec<Instantiation>,
    /// What the host was about to make, which may have failed, and how many there were before.
    pending: Option<(Command, Made, usize)>,
    /// A host function has asked for its caller to be suspended.
    asked: bool,
    /// What a call waits for that is suspended.
    suspended: Option<Wait>,
    known: Known,
    account: Option<Account>,
    /// What host functions are imported as.
    names: Vec<Option<String>>,
}

/// What the host makes.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
enum Made {
    Memory,
    Table,
    Global,
}

impl Made {
    fn count(self, view: &View<'_>) -> usize {
        match self {
            Made::Memory => view.memories() as usize,
            Made::Table => view.tables() as usize,
            Made::Global => view.globals().len(),
        }
    }
}

/// The thread that follows.
struct Evaluator {
    to: Sender<Command>,
    from: Receiver<Report>,
    stop: Arc<AtomicBool>,
    /// How many instances it has.
    instances: u32,
}

impl Drop for Evaluator {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
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

fn machine_type(ty: ValType) -> Type {
    match ty {
        ValType::I32 => Type::I32,
        ValType::I64 => Type::I64,
        ValType::F32 => Type::F32,
        ValType::F64 => Type::F64,
        ValType::V128 => Type::V128,
        ValType::Ref(ty) if matches!(ty.heap_type(), HeapType::Extern) => Type::AnyRef,
        ValType::Ref(_) => Type::FuncRef,
    }
}

fn signature(ty: &FuncType) -> Signature {
    Signature {
        params: ty.params().map(machine_type).collect(),
        results: ty.results().map(machine_type).collect(),
    }
}

fn describe(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Values(values) => format!("returns {}", list(values)),
        Outcome::Trap(trap) => format!("{trap}"),
        Outcome::Error(message) => format!("the host's error: {message}"),
        Outcome::Suspend => "is to be suspended".to_string(),
    }
}

fn ended(end: &End) -> String {
    match end {
        End::Returned(values) => format!("returns {}", list(values)),
        End::Failed => "ends by the host's error".into(),
        End::Stopped(stop) => format!("{stop:?}"),
    }
}

fn all_bits(values: &[Value]) -> Vec<u64> {
    values.iter().map(|&value| bits(value)).collect()
}

/// A function that is not null.
fn function(id: RefId) -> Result<Reference, Why> {
    match Reference::of(bits(Value::Func(id))) {
        Some(reference) => Ok(reference),
        None => ends("null in place of a function"),
    }
}

fn import(import: tape::Import) -> Result<Import, Why> {
    Ok(match import {
        tape::Import::Func(id) => Import::Func(function(id)?),
        tape::Import::Memory(number) => Import::Memory(number),
        tape::Import::Table(number) => Import::Table(number),
        tape::Import::Global(number) => Import::Global(number),
    })
}

impl Evaluator {
    fn new(schedule: Option<Schedule>) -> Result<Evaluator, Why> {
        let (to, commands) = channel();
        let (reports, from) = channel();
        let stop = Arc::new(AtomicBool::new(false));
        let ways = Ways { from: commands, to: reports, stop: stop.clone() };
        std::thread::Builder::new()
            .name("crosscheck".into())
            .stack_size(STACK_BYTES)
            .spawn(move || follow(schedule, ways))
            .map_err(|error| Why::Ends(format!("there is no thread for it: {error}")))?;
        Ok(Evaluator { to, from, stop, instances: 0 })
    }

    fn report(&self) -> Result<Report, Why> {
        self.from.recv().map_err(|_| Why::Ends("the evaluator is gone".into()))
    }

    fn tell(&self, command: Command) -> Result<(), Why> {
        self.to.send(command).map_err(|_| Why::Ends("the evaluator is gone".into()))
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
            suspended: None,
            known: Known::default(),
            account: None,
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
        if let Some((command, made, before)) = self.pending.take()
            && made.count(view) > before
        {
            self.tell(command)?;
        }
        if std::mem::take(&mut self.asked) && !matches!(event, Event::Suspended { .. }) {
            // It was a call that cannot be suspended, so that is an error like any other.
            self.tell(Command::Return(None))?;
        }
        match event {
            Event::Start(setup) => {
                let schedule = schedule(setup);
                self.account = schedule.map(|_| Account::default());
                self.evaluator = Some(Evaluator::new(schedule)?);
                Ok(())
            }
            Event::Limited => ends("a limiter decides what grows"),
            Event::Module(_) | Event::NewHostFunc(_) | Event::Instantiate { .. } => {
                self.made(event, view)
            }
            Event::NewMemory(..) | Event::NewTable(..) | Event::NewGlobal(..) => {
                self.makes(event, view)
            }
            Event::Instantiated(outcome) => self.instantiated(outcome, view),
            Event::Invoke { func, args, .. } => self.invoke(*func, args, view),
            Event::HostCall { func, args, fuel } => self.host_call(*func, args, *fuel, view),
            Event::HostDone(outcome) => self.host_done(outcome, view),
            Event::Done { outcome, fuel } => match self.stack.pop() {
                Some(Frame::Guest) => self.done(outcome, *fuel, view),
                _ => Ok(()),
            },
            Event::Suspended { wait, fuel } => {
                self.suspended = Some(*wait);
                self.known.note(view);
                if let (Some(account), Some(left)) = (&mut self.account, fuel) {
                    account.leave(*left);
                }
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
            _ => self.host_does(event),
        }
    }

    /// The host makes something that is there in any case, or tells how it went.
    fn made(&mut self, event: &Event, view: &View<'_>) -> Result<(), Why> {
        match event {
            Event::Module(wasm) => self.tell(Command::Module(wasm.clone())),
            Event::NewHostFunc(ty) => {
                self.names.push(None);
                self.tell(Command::NewHostFunc(signature(ty)))
            }
            Event::Instantiate { module, imports } => {
                if self.suspended == Some(Wait::Fuel) {
                    return ends("something is made while a call waits for fuel");
                }
                let imports = imports.iter().map(|&found| import(found));
                let imports = imports.collect::<Result<_, Why>>()?;
                self.tell(Command::Instantiate(*module, imports))?;
                let evaluator = self.evaluator()?;
                if evaluator.instances != view.instances() {
                    return ends("one of both has more instances");
                }
                let filled = match evaluator.report()? {
                    Report::Filled(filled, names) => {
                        evaluator.instances += 1;
                        for (number, name) in names {
                            if let Some(slot) = self.names.get_mut(number as usize) {
                                slot.get_or_insert(name);
                            }
                        }
                        filled
                    }
                    Report::Refused(message) => return ends(message),
                    _ => return ends("it is not in step"),
                };
                self.instantiations.push(Instantiation { filled, started: false });
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// The host is about to make something, and may fail to.
    fn makes(&mut self, event: &Event, view: &View<'_>) -> Result<(), Why> {
        if self.suspended == Some(Wait::Fuel) {
            return ends("something is made while a call waits for fuel");
        }
        let (command, made) = match event {
            Event::NewMemory(ty) => {
                (Command::NewMemory(ty.minimum(), ty.maximum(), ty.is_64()), Made::Memory)
            }
            Event::NewTable(ty, init) => {
                let element = machine_type(ValType::Ref(*ty.element()));
                let init = bits(*init);
                (Command::NewTable(element, ty.minimum(), ty.maximum(), init), Made::Table)
            }
            Event::NewGlobal(ty, value) => {
                (Command::NewGlobal(machine_type(*ty.content()), bits(*value)), Made::Global)
            }
            _ => return Ok(()),
        };
        self.pending = Some((command, made, made.count(view)));
        Ok(())
    }

    fn instantiated(&mut self, outcome: &Outcome, view: &View<'_>) -> Result<(), Why> {
        let Some(Instantiation { filled, started }) = self.instantiations.pop() else {
            return ends("it is not in step");
        };
        if self.evaluator()?.instances != view.instances() {
            return ends("an instance could not be had");
        }
        let wanted = match filled {
            // What a start function comes to has been compared.
            Ok(()) if started => return Ok(()),
            Ok(()) => Outcome::Values(Vec::new()),
            Err(code) => trap(code).map_or(Outcome::Values(Vec::new()), Outcome::Trap),
        };
        if *outcome == wanted {
            return Ok(());
        }
        differs("instantiation", describe(outcome), describe(&wanted))
    }

    fn invoke(&mut self, func: RefId, args: &[Value], view: &View<'_>) -> Result<(), Why> {
        if self.suspended.is_some() || !matches!(func, RefId::Func { .. }) {
            self.stack.push(Frame::Foreign);
            return Ok(());
        }
        if let Some(last) = self.instantiations.last_mut() {
            last.started = true;
            if let Err(code) = last.filled {
                return differs("instantiation", "has succeeded", format!("{code:?}"));
            }
        }
        self.tell(Command::Invoke(function(func)?, all_bits(args)))?;
        self.stack.push(Frame::Guest);
        self.enter(view);
        Ok(())
    }

    fn host_done(&mut self, outcome: &Outcome, view: &View<'_>) -> Result<(), Why> {
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
            _ => self.tell(Command::Return(None)),
        }
    }

    /// The suspended call is given up.
    fn cancel(&mut self) -> Result<(), Why> {
        self.stack.pop();
        match self.suspended.take() {
            Some(Wait::Answer) => {
                self.tell(Command::Return(None))?;
                match self.evaluator()?.report()? {
                    Report::Done(..) => Ok(()),
                    _ => ends("it is not in step"),
                }
            }
            _ => ends("a call is given up while it waits for fuel"),
        }
    }

    /// Tells the evaluator what the host does outside of calls.
    fn host_does(&mut self, event: &Event) -> Result<(), Why> {
        let command = match *event {
            Event::MemoryGrow { memory, delta } => Command::MemoryGrow(memory, delta),
            Event::MemoryWrite { memory, at, ref bytes } => {
                Command::Write { memory, at, bytes: bytes.clone() }
            }
            Event::TableGrow { table, delta, init } => Command::TableGrow(table, delta, bits(init)),
            Event::TableFill { table, at, value, len } => {
                Command::TableFill(table, at, bits(value), len)
            }
            Event::TableCopy { to, at, table, from, len } => {
                Command::TableCopy(to, at, table, from, len)
            }
            Event::GlobalSet { global, value } => Command::GlobalSet(global, bits(value)),
            _ => return Ok(()),
        };
        if self.suspended == Some(Wait::Fuel) {
            return ends("the host changes something while a call waits for fuel");
        }
        self.tell(command)
    }

    fn host_call(
        &mut self,
        func: u32,
        args: &[Value],
        fuel: Option<u64>,
        view: &View<'_>,
    ) -> Result<(), Why> {
        if self.stack.last() != Some(&Frame::Guest) {
            self.stack.push(Frame::Foreign);
            return Ok(());
        }
        self.stack.push(Frame::Host);
        let report = self.evaluator()?.report()?;
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
                self.compare(state, fuel, view)
            }
            Report::Done(End::Stopped(Stop::Steps | Stop::Trap(TrapCode::StackOverflow)), _) => {
                ends("the evaluator's stack is used up")
            }
            Report::Done(end, _) => differs("the call", calls(func, args), ended(&end)),
            _ => ends("it is not in step"),
        }
    }

    fn done(&mut self, outcome: &Outcome, fuel: Option<u64>, view: &View<'_>) -> Result<(), Why> {
        if let Outcome::Trap(by @ (Trap::OutOfFuel | Trap::Interrupt | Trap::StackOverflow)) =
            outcome
        {
            return ends(format!("{by}"));
        }
        let (end, state) = match self.evaluator()?.report()? {
            Report::Done(end, state) => (end, state),
            Report::HostCall(..) => {
                return differs("the end of the call", describe(outcome), "calls an import");
            }
            _ => return ends("it is not in step"),
        };
        let same = match (&end, outcome) {
            (End::Stopped(Stop::Steps | Stop::Trap(TrapCode::StackOverflow)), _) => {
                return ends("the evaluator's stack is used up");
            }
            (End::Stopped(Stop::Trap(code)), Outcome::Trap(found)) => trap(*code) == Some(*found),
            // An error of the host's may be a trap.
            (End::Failed, Outcome::Error(_) | Outcome::Trap(_)) => true,
            (End::Returned(wanted), Outcome::Values(found)) => wanted == found,
            _ => false,
        };
        if !same {
            return differs("the end of the call", describe(outcome), ended(&end));
        }
        self.compare(state, fuel, view)
    }

    /// Compares states, and what was used to get there.
    fn compare(&mut self, state: State, left: Option<u64>, view: &View<'_>) -> Result<(), Why> {
        if let (Some(account), Some(left)) = (&mut self.account, left) {
            let used = account.leave(left);
            if used != state.counted {
                let units = |units: u64| format!("{units} units, all in all");
                return differs("the fuel used", units(used), units(state.counted));
            }
        }
        self.known.compare(state, view)
    }
}

impl Observer for Lockstep {
    fn event(&mut self, event: &Event, view: &mut View<'_>) -> Result<()> {
        if self.evaluator.is_none() && !matches!(event, Event::Start(_)) {
            return Ok(());
        }
        let compares = match event {
            Event::HostCall { .. } => self.stack.last() == Some(&Frame::Guest),
            Event::Done { .. } => self.stack.last() == Some(&Frame::Guest),
            _ => false,
        };
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
