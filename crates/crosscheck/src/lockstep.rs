//! The machine's side: observes a store, tells the evaluator what the host does, and compares.

use crate::follower::{Command, End, Report, State, Ways, follow};
use crate::oracle::DIRTY_PAGE;
use runwell::tape::{Event, Import, Observer, Outcome, RefId, Value, View};
use runwell::{Error, Result, Store, Trap};
use runwell_abi::{LibCall, TrapCode, Type};
use runwell_ir::eval::Stop;
use runwell_wasm::{Limits, ModuleInfo, Parsed};
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};

/// Stack of the evaluator's thread, which recurses where host functions call back.
const STACK_BYTES: usize = 256 << 20;
/// Bytes shown of memories that differ.
const SHOWN_BYTES: usize = 16;

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
/// A difference is a [`Difference`] as the error of the call that is under way. Followed is the first
/// instance of the store. The evaluator follows no further, and [`Summary::ended`] says so, when there is a
/// second one, when memories or tables are imported, when a limiter decides what grows, where fuel or the
/// stack is used up (it counts neither) or another thread interrupts the guest. It is some hundred times
/// slower than machine code, which waits for it; where it does not come to an end, neither does the check.
///
/// # Errors
/// As for [`Store::observe`].
pub fn attach<T: 'static>(store: &mut Store<T>) -> Result<Check> {
    let check = Check::default();
    let (shared, modules) = (check.clone(), Vec::new());
    store.observe(Lockstep {
        check: shared,
        modules,
        followed: None,
        began: false,
        stack: Vec::new(),
    })?;
    Ok(check)
}

/// What is under way, as far as it matters who follows.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
enum Frame {
    /// A guest that is followed.
    Guest,
    /// A host function that it called.
    Host,
    /// Calls between parts of the host.
    Foreign,
}

struct Lockstep {
    check: Check,
    modules: Vec<Arc<[u8]>>,
    followed: Option<Followed>,
    began: bool,
    stack: Vec<Frame>,
}

/// The instance that is followed.
struct Followed {
    info: ModuleInfo,
    to: Sender<Command>,
    from: Receiver<Report>,
    stop: Arc<AtomicBool>,
    /// What stands for the imported functions.
    funcs: Vec<RefId>,
    /// Numbers in the store: of its first memory and table, and of all globals.
    first_memory: u32,
    first_table: u32,
    globals: Vec<u32>,
    /// The elements that tables should have.
    tables: Vec<Vec<Value>>,
    /// How filling the instance ended.
    filled: Result<(), TrapCode>,
}

impl Drop for Followed {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// Why an event could not be followed: there is a difference, or it ends there without one.
enum Why {
    Differs { what: String, machine: Vec<String>, evaluator: Vec<String> },
    Ends(String),
}

fn ends<R>(why: impl Into<String>) -> Result<R, Why> {
    Err(Why::Ends(why.into()))
}

fn differs<R>(
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

fn list(values: &[Value]) -> String {
    let values: Vec<String> = values.iter().map(Value::to_string).collect();
    format!("({})", values.join(", "))
}

fn describe(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Values(values) => format!("returns {}", list(values)),
        Outcome::Trap(trap) => format!("{trap}"),
        Outcome::Error(message) => format!("the host's error: {message}"),
        Outcome::Suspend => "a call to suspend".into(),
    }
}

impl Followed {
    /// Begins to follow an instance of a module.
    fn new(wasm: &Arc<[u8]>, imports: &[Import], view: &View<'_>) -> Result<Followed, Why> {
        let parsed = Parsed::parse(wasm, &Limits::default());
        let info = parsed.map_err(|error| Why::Ends(error.to_string()))?.info;
        let (mut funcs, mut globals) = (Vec::new(), Vec::new());
        for import in imports {
            match *import {
                Import::Func(id) => funcs.push(id),
                Import::Global(number) => globals.push(number),
                _ => return ends("it imports memories or tables"),
            }
        }
        let values = view.globals();
        let own = values.len() as u32..;
        let (to, commands) = channel();
        let (reports, from) = channel();
        let stop = Arc::new(AtomicBool::new(false));
        let mut followed = Followed {
            to,
            from,
            stop: stop.clone(),
            funcs,
            first_memory: view.memories(),
            first_table: view.tables(),
            tables: vec![Vec::new(); info.tables.len()],
            globals: globals.into_iter().chain(own).take(info.globals.len()).collect(),
            info,
            filled: Ok(()),
        };
        let imported = followed.info.counts().imported_globals as usize;
        let imported = followed.globals[..imported].iter();
        let imported = imported.map(|&number| followed.bits(values[number as usize]));
        let imported = imported.collect::<Result<Vec<u64>, Why>>()?;
        let (wasm, ways) = (wasm.clone(), Ways { from: commands, to: reports, stop });
        std::thread::Builder::new()
            .name("crosscheck".into())
            .stack_size(STACK_BYTES)
            .spawn(move || follow(&wasm, imported, ways))
            .map_err(|error| Why::Ends(format!("there is no thread for it: {error}")))?;
        followed.filled = match followed.report()? {
            Report::Filled(filled) => filled,
            Report::Refused(message) => return ends(message),
            _ => return ends("it is not in step"),
        };
        Ok(followed)
    }

    fn report(&self) -> Result<Report, Why> {
        self.from.recv().map_err(|_| Why::Ends("the evaluator is gone".into()))
    }

    fn tell(&self, command: Command) -> Result<(), Why> {
        self.to.send(command).map_err(|_| Why::Ends("the evaluator is gone".into()))
    }

    /// A value as the evaluator has it.
    fn bits(&self, value: Value) -> Result<u64, Why> {
        Ok(match value {
            Value::I32(v) | Value::F32(v) => v.into(),
            Value::I64(v) | Value::F64(v) => v,
            Value::Func(RefId::Null) | Value::Extern(RefId::Null) => 0,
            Value::Extern(RefId::Object(number)) => number + 1,
            Value::Func(RefId::Func { instance: 0, func }) => u64::from(func) + 1,
            Value::Func(id) => match self.funcs.iter().position(|&import| import == id) {
                Some(index) => index as u64 + 1,
                None => return ends("it is given a function that is neither its own nor imported"),
            },
            other => return ends(format!("it is given {other}")),
        })
    }

    fn all_bits(&self, values: &[Value]) -> Result<Vec<u64>, Why> {
        values.iter().map(|&value| self.bits(value)).collect()
    }

    /// A value that the evaluator has.
    fn value(&self, ty: Type, bits: u64) -> Value {
        match ty {
            Type::I32 => Value::I32(bits as u32),
            Type::I64 => Value::I64(bits),
            Type::F32 => Value::F32(bits as u32),
            Type::F64 => Value::F64(bits),
            Type::V128 => Value::V128(bits.into()),
            Type::FuncRef => Value::Func(match bits.checked_sub(1) {
                None => RefId::Null,
                Some(index) => match self.funcs.get(index as usize) {
                    Some(&import) => import,
                    None => RefId::Func { instance: 0, func: index as u32 },
                },
            }),
            Type::AnyRef => Value::Extern(bits.checked_sub(1).map_or(RefId::Null, RefId::Object)),
        }
    }

    fn values<'a>(&self, types: impl IntoIterator<Item = &'a Type>, bits: &[u64]) -> Vec<Value> {
        types.into_iter().zip(bits).map(|(&ty, &bits)| self.value(ty, bits)).collect()
    }

    /// Compares the states.
    fn compare(&mut self, state: &State, view: &View<'_>) -> Result<(), Why> {
        for (at, &wanted) in state.lengths.iter().enumerate() {
            let found = view.memory(self.first_memory + at as u32).len();
            if found != wanted {
                let what = format!("the length of memory {at}");
                return differs(what, format!("{found} bytes"), format!("{wanted} bytes"));
            }
        }
        self.compare_pages(state, view)?;
        let all = view.globals();
        let found: Vec<Value> = self.globals.iter().map(|&at| all[at as usize]).collect();
        let wanted = self.values(self.info.globals.iter().map(|global| &global.ty), &state.globals);
        if found != wanted {
            return differs("globals", list(&found), list(&wanted));
        }
        for (at, elements) in &state.tables {
            let ty = self.info.tables[*at].element;
            self.tables[*at] = elements.iter().map(|&bits| self.value(ty, bits)).collect();
        }
        for (at, wanted) in self.tables.iter().enumerate() {
            let found = view.table(self.first_table + at as u32);
            if found.len() != wanted.len() {
                let what = format!("the length of table {at}");
                return differs(what, found.len().to_string(), wanted.len().to_string());
            }
            if let Some(index) = (0..found.len()).find(|&index| found[index] != wanted[index]) {
                let what = format!("element {index} of table {at}");
                return differs(what, found[index].to_string(), wanted[index].to_string());
            }
        }
        Ok(())
    }

    fn compare_pages(&self, state: &State, view: &View<'_>) -> Result<(), Why> {
        for (memory, page, wanted) in &state.pages {
            let start = (page * DIRTY_PAGE) as usize;
            let found = view.memory(self.first_memory + *memory as u32);
            let found = &found[start..start + wanted.len()];
            if let Some(at) = (0..wanted.len()).find(|&at| found[at] != wanted[at]) {
                return bytes_differ(*memory, start + at, &found[at..], &wanted[at..]);
            }
        }
        // What only the machine wrote.
        for &(memory, page) in view.written() {
            let own = memory.checked_sub(self.first_memory).map(|memory| memory as usize);
            let Some(own) = own.filter(|&own| own < state.lengths.len()) else { continue };
            let both = state.pages.iter().any(|&(memory, at, _)| (memory, at) == (own, page));
            if !both {
                let start = (page * DIRTY_PAGE) as usize;
                let found = &view.memory(memory)[start..];
                return Err(Why::Differs {
                    what: format!(
                        "memory {own} between {start:#x} and {:#x}",
                        start as u64 + DIRTY_PAGE
                    ),
                    machine: vec![hex(found), "has changed it".into()],
                    evaluator: vec!["has not written there".into()],
                });
            }
        }
        Ok(())
    }
}

fn hex(bytes: &[u8]) -> String {
    let shown = bytes.iter().take(SHOWN_BYTES).map(|byte| format!("{byte:02x}"));
    shown.collect::<Vec<_>>().join(" ")
}

fn bytes_differ(memory: usize, at: usize, found: &[u8], wanted: &[u8]) -> Result<(), Why> {
    differs(format!("memory {memory} from {at:#x} on"), hex(found), hex(wanted))
}

impl Lockstep {
    fn followed(&mut self) -> Option<&mut Followed> {
        self.followed.as_mut()
    }

    /// What a number of the store's is in the instance.
    fn own(first: u32, count: usize, number: u32) -> Option<u64> {
        number.checked_sub(first).filter(|&own| (own as usize) < count).map(u64::from)
    }

    fn follow(&mut self, event: &Event, view: &View<'_>) -> Result<(), Why> {
        match event {
            Event::Module(wasm) => self.modules.push(wasm.clone()),
            Event::Limited => return ends("a limiter decides what grows"),
            Event::Suspended { .. } => return ends("a call is suspended"),
            Event::Instantiate { module, imports } => {
                if std::mem::replace(&mut self.began, true) {
                    return ends("there is a second instance");
                }
                let Some(wasm) = self.modules.get(*module as usize) else {
                    return ends("no module");
                };
                self.followed = Some(Followed::new(wasm, imports, view)?);
            }
            Event::Instantiated(outcome) => {
                let Some(followed) = self.followed() else { return Ok(()) };
                if let Err(code) = followed.filled
                    && *outcome != trap(code).map_or(Outcome::Values(Vec::new()), Outcome::Trap)
                {
                    return differs("instantiation", describe(outcome), format!("{code:?}"));
                }
            }
            Event::Invoke { func: RefId::Func { instance: 0, func }, args, .. }
                if self.followed.is_some() =>
            {
                let Some(followed) = self.followed() else { return Ok(()) };
                if let Err(code) = followed.filled {
                    return differs("instantiation", "has succeeded", format!("{code:?}"));
                }
                followed.tell(Command::Invoke(*func, followed.all_bits(args)?))?;
                self.stack.push(Frame::Guest);
            }
            Event::Invoke { .. } => self.stack.push(Frame::Foreign),
            Event::HostCall { func, args, .. } => return self.host_call(*func, args, view),
            Event::HostDone(outcome) => {
                if self.stack.pop() == Some(Frame::Host)
                    && let Some(followed) = self.followed()
                {
                    let answer = match outcome {
                        Outcome::Values(values) => Some(followed.all_bits(values)?),
                        _ => None,
                    };
                    followed.tell(Command::Return(answer))?;
                }
            }
            Event::Done { outcome, .. } => {
                if self.stack.pop() == Some(Frame::Guest) {
                    return self.done(outcome, view);
                }
            }
            _ => return self.host_does(event),
        }
        Ok(())
    }

    /// Tells the evaluator what the host does outside of calls.
    fn host_does(&mut self, event: &Event) -> Result<(), Why> {
        let Some(followed) = self.followed() else { return Ok(()) };
        let memories = followed.info.memories.len();
        let memory = |number| Lockstep::own(followed.first_memory, memories, number);
        let tables = followed.info.tables.len();
        let table = |number| Lockstep::own(followed.first_table, tables, number);
        let command = match *event {
            Event::MemoryGrow { memory: number, delta } => memory(number)
                .map(|memory| Command::Help(LibCall::MemoryGrow, [memory, delta, 0, 0])),
            Event::MemoryWrite { memory: number, at, ref bytes } => memory(number)
                .map(|memory| Command::Write { memory: memory as usize, at, bytes: bytes.clone() }),
            Event::TableGrow { table: number, delta, init } => match table(number) {
                Some(table) => {
                    let init = followed.bits(init)?;
                    Some(Command::Help(LibCall::TableGrow, [table, init, delta, 0]))
                }
                None => None,
            },
            Event::TableFill { table: number, at, value, len } => match table(number) {
                Some(table) => {
                    let value = followed.bits(value)?;
                    Some(Command::Help(LibCall::TableFill, [table, at, value, len]))
                }
                None => None,
            },
            Event::TableCopy { to, at, table: source, from, len } => {
                match (table(to), table(source)) {
                    (Some(to), Some(source)) => {
                        Some(Command::Help(LibCall::TableCopy, [to | source << 32, at, from, len]))
                    }
                    (None, _) => None,
                    (Some(_), None) => {
                        return ends("a table is filled from one that is not its own");
                    }
                }
            }
            Event::GlobalSet { global, value } => {
                let index = followed.globals.iter().position(|&number| number == global);
                match index {
                    Some(index) => Some(Command::GlobalSet(index as u32, followed.bits(value)?)),
                    None => None,
                }
            }
            _ => None,
        };
        command.map_or(Ok(()), |command| followed.tell(command))
    }

    fn host_call(&mut self, func: u32, args: &[Value], view: &View<'_>) -> Result<(), Why> {
        let from_guest = self.stack.last() == Some(&Frame::Guest);
        self.stack.push(if from_guest { Frame::Host } else { Frame::Foreign });
        let Some(followed) = self.followed().filter(|_| from_guest) else { return Ok(()) };
        let name = |index: u32| {
            let mut funcs = followed.info.imports.iter();
            let func = |import: &&_| {
                matches!(import, runwell_wasm::Import { ty: runwell_wasm::EntityType::Func(_), .. })
            };
            let import = funcs.by_ref().filter(func).nth(index as usize);
            import.map_or(String::new(), |import| format!("`{}::{}`", import.module, import.name))
        };
        let machine = || {
            let index = followed.funcs.iter().position(|&id| id == RefId::Host(func));
            format!(
                "calls {}{}",
                index.map_or(String::new(), |index| name(index as u32)),
                list(args)
            )
        };
        match followed.report()? {
            Report::HostCall(index, bits, state) => {
                let wanted = followed.values(&followed.info.signature(index).params, &bits);
                if followed.funcs[index as usize] != RefId::Host(func) || wanted != args {
                    let evaluator = format!("calls {}{}", name(index), list(&wanted));
                    return differs("the call", machine(), evaluator);
                }
                followed.compare(&state, view)
            }
            Report::Done(End::Stopped(Stop::Steps | Stop::Trap(TrapCode::StackOverflow)), _) => {
                ends("the evaluator's stack is used up")
            }
            Report::Done(end, _) => differs("the call", machine(), ended(&end)),
            _ => ends("it is not in step"),
        }
    }

    fn done(&mut self, outcome: &Outcome, view: &View<'_>) -> Result<(), Why> {
        let Some(followed) = self.followed() else { return Ok(()) };
        if let Outcome::Trap(by @ (Trap::OutOfFuel | Trap::Interrupt | Trap::StackOverflow)) =
            outcome
        {
            return ends(format!("{by}"));
        }
        let (end, state) = match followed.report()? {
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
            (End::Returned(bits), Outcome::Values(found)) => {
                let types: Vec<Type> = found.iter().map(type_of).collect();
                bits.len() == found.len() && followed.values(&types, bits) == *found
            }
            _ => false,
        };
        if !same {
            return differs("the end of the call", describe(outcome), ended(&end));
        }
        followed.compare(&state, view)
    }
}

fn type_of(value: &Value) -> Type {
    match value {
        Value::I32(_) => Type::I32,
        Value::I64(_) => Type::I64,
        Value::F32(_) => Type::F32,
        Value::F64(_) => Type::F64,
        Value::V128(_) => Type::V128,
        Value::Func(_) => Type::FuncRef,
        Value::Extern(_) => Type::AnyRef,
    }
}

fn ended(end: &End) -> String {
    match end {
        End::Returned(bits) => format!("returns {bits:#x?}"),
        End::Failed => "ends by the host's error".into(),
        End::Stopped(stop) => format!("{stop:?}"),
    }
}

impl Observer for Lockstep {
    fn event(&mut self, event: &Event, view: &mut View<'_>) -> Result<()> {
        if self.began && self.followed.is_none() {
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
                self.end();
                self.check.change(|summary| summary.ended = Some(why));
                Ok(())
            }
            Err(Why::Differs { what, machine, evaluator }) => {
                self.end();
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

impl Lockstep {
    fn end(&mut self) {
        self.began = true;
        self.followed = None;
    }
}

#[cfg(test)]
mod tests;
