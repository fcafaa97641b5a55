//! The evaluator's side: a thread that runs what is in a store by the meaning of the IR and is told what the
//! host does.

use crate::count::counting;
use crate::oracle::{Answer, Code, DIRTY_PAGE, Host, Import, Reference, Refused, Saved, Store};
use runwell::Schedule;
use runwell::tape::{RefId, Value};
use runwell_abi::{TrapCode, Type};
use runwell_ir::Signature;
use runwell_ir::eval::Stop;
use runwell_wasm::{EntityType, Passes};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender};

/// What the host does. Everything in the store has the number there.
pub(crate) enum Command {
    /// It uses a module for the first time.
    Module(Arc<[u8]>),
    /// It makes a memory, with this minimum and maximum, addressed by 64 bits or not.
    NewMemory(u64, Option<u64>, bool),
    /// It makes a table of this type, with this minimum, maximum and these elements.
    NewTable(Type, u64, Option<u64>, u64),
    /// It makes a global.
    NewGlobal(Type, u64),
    /// It puts a function of its own into the store.
    NewHostFunc(Signature),
    /// It instantiates a module.
    Instantiate(u32, Vec<Import>),
    /// It calls a function of an instance, with so many activations around, and what this one does is told
    /// next.
    Invoke(Reference, Vec<u64>, u64),
    /// The function of the host that was called returns, or fails, and what its caller does is told next.
    Return(Option<Vec<u64>>),
    /// A guest that was called, returned to or stopped has come somewhere, and the evaluator is to go there.
    Run(Run),
    /// A guest that has stopped does not go on, and has used so much so far. If it has used it up, with so
    /// much in all, it is tried whether it had to stop.
    Give { used: u64, up: Option<u64> },
    /// It sets a limiter.
    Limited,
    /// It writes into a memory.
    Write { memory: u32, at: u64, bytes: Vec<u8> },
    /// It sets a global.
    GlobalSet(u32, u64),
    /// It grows a memory.
    MemoryGrow(u32, u64),
    /// It grows a table by so many elements, which are these.
    TableGrow(u32, u64, u64),
    /// It sets elements, from here on, to this, so many.
    TableFill(u32, u64, u64, u64),
    /// It copies elements to a table, from here on, of another one, from here on, so many.
    TableCopy(u32, u64, u32, u64, u64),
}

/// How guests get to where they have come.
#[derive(Default)]
pub(crate) struct Run {
    /// What they have used there, if they are metered.
    pub(crate) used: Option<u64>,
    /// What there was in all where a guest stopped that goes on now.
    pub(crate) unpaid: Option<u64>,
    /// What the limiter says on the way.
    pub(crate) answers: Vec<Answer>,
}

/// Where guests have come to.
pub(crate) enum Report {
    /// There is an instance, or a segment was out of bounds; what it imports from the host.
    Filled(Result<(), TrapCode>, Vec<(u32, String)>),
    /// There is none.
    Refused(String),
    /// One calls a function of the host's.
    HostCall(u32, Vec<Value>, State),
    /// One would use more than it is to.
    Stopped(State),
    /// A call has ended.
    Done(End, State),
}

/// How a call ended.
pub(crate) enum End {
    Returned(Vec<Value>),
    /// With an error of the host's.
    Failed,
    /// There is no room for calls inside of each other.
    Exhausted,
    Stopped(Stop),
}

/// The state of the store: of memories and tables what has changed since the last time.
#[derive(Default)]
pub(crate) struct State {
    /// Lengths in bytes.
    pub(crate) lengths: Vec<usize>,
    /// Memory, number and content of pages that were written.
    pub(crate) pages: Vec<(usize, u64, Vec<u8>)>,
    pub(crate) globals: Vec<Value>,
    /// Number and elements of tables that were written.
    pub(crate) tables: Vec<(usize, Vec<Value>)>,
    /// The cost of all operators that were executed, if they are counted.
    pub(crate) counted: u64,
    /// What a guest had in all that has stopped for want of fuel, and what it could have paid for.
    pub(crate) early: Option<(u64, u64)>,
    /// How many questions the limiter has been asked that nobody asked here.
    pub(crate) unasked: usize,
    /// There was one more.
    pub(crate) unanswered: bool,
}

/// The ways between both sides.
pub(crate) struct Ways {
    pub(crate) from: Receiver<Command>,
    pub(crate) to: Sender<Report>,
}

/// A module, translated when it is instantiated first.
struct Known {
    wasm: Arc<[u8]>,
    code: Option<Rc<Code>>,
}

struct Channel {
    ways: Ways,
    /// What operators cost, if that is counted.
    schedule: Option<Schedule>,
    modules: RefCell<Vec<Known>>,
    /// The host has failed, or gives up, and the calls that wait for it end.
    failed: Cell<bool>,
    /// The state where a guest stopped of which it is tried whether it had to, and what it had used.
    tried: RefCell<Option<(Saved, u64)>>,
}

/// What the host does at last.
enum Served {
    Returns(Option<Vec<u64>>),
    Runs(Run),
    Gives { used: u64, up: Option<u64> },
}

/// Nobody listens any more.
struct Gone;

/// How an instance was filled, and what host functions are imported as.
type Filled = (Result<(), TrapCode>, Vec<(u32, String)>);

/// A value as the tape has it.
fn value(ty: Type, bits: u64) -> Value {
    match ty {
        Type::I32 => Value::I32(bits as u32),
        Type::I64 => Value::I64(bits),
        Type::F32 => Value::F32(bits as u32),
        Type::F64 => Value::F64(bits),
        Type::V128 => Value::V128(bits.into()),
        Type::FuncRef => Value::Func(match Reference::of(bits) {
            None => RefId::Null,
            Some(Reference::Func { instance, func }) => RefId::Func { instance, func },
            Some(Reference::Host(number)) => RefId::Host(number),
        }),
        Type::AnyRef => Value::Extern(bits.checked_sub(1).map_or(RefId::Null, RefId::Object)),
    }
}

/// A value of the tape as bits.
pub(crate) fn bits(value: Value) -> u64 {
    match value {
        Value::I32(v) | Value::F32(v) => v.into(),
        Value::I64(v) | Value::F64(v) => v,
        Value::V128(v) => v as u64,
        Value::Func(id) | Value::Extern(id) => match id {
            RefId::Null => 0,
            RefId::Func { instance, func } => Reference::Func { instance, func }.bits(),
            RefId::Host(number) => Reference::Host(number).bits(),
            RefId::Object(number) => number + 1,
        },
    }
}

fn values(types: &[Type], bits: &[u64]) -> Vec<Value> {
    types.iter().zip(bits).map(|(&ty, &bits)| value(ty, bits)).collect()
}

impl Channel {
    fn report(&self, report: Report) -> Result<(), Gone> {
        self.ways.to.send(report).map_err(|_| Gone)
    }

    fn state(&self, store: &mut Store) -> State {
        let pace = &mut store.pace;
        let mut state = State {
            counted: pace.counter,
            early: pace.early.take(),
            unasked: pace.answers.as_mut().map_or(0, |answers| answers.drain(..).count()),
            unanswered: std::mem::take(&mut pace.unanswered),
            globals: values(store.global_types(), store.globals()),
            ..State::default()
        };
        for memory in 0..store.memories() {
            let dirty = store.take_dirty(memory);
            let bytes = store.memory(memory);
            state.lengths.push(bytes.len());
            state.pages.extend(dirty.into_iter().map(|page| {
                let start = (page * DIRTY_PAGE) as usize;
                let end = bytes.len().min(start + DIRTY_PAGE as usize);
                (memory, page, bytes[start..end].to_vec())
            }));
        }
        for table in 0..store.tables() {
            let ty = store.element_type(table);
            if let Some(elements) = store.take_changed(table) {
                let elements = elements.iter().map(|&bits| value(ty, bits)).collect();
                state.tables.push((table, elements));
            }
        }
        state
    }

    /// Waits for where the guest goes that has control.
    fn run(&self, store: &mut Store) -> Result<(), Gone> {
        match self.serve(store)? {
            Served::Runs(run) => {
                self.go(store, run);
                Ok(())
            }
            _ => Err(Gone),
        }
    }

    fn go(&self, store: &mut Store, run: Run) {
        let pace = &mut store.pace;
        pace.limit = run.used.unwrap_or(u64::MAX);
        pace.unpaid = run.unpaid.or(pace.unpaid);
        if let Some(answers) = &mut pace.answers {
            answers.extend(run.answers);
        }
    }

    /// Calls a function for the host.
    fn invoke(
        &self,
        store: &mut Store,
        func: Reference,
        args: &[u64],
        around: u64,
    ) -> Result<(), Gone> {
        self.run(store)?;
        let outer = store.pace.activations;
        let result = match store.pace.activate(around) {
            Ok(()) => store.call(func, args, u64::MAX),
            Err(code) => Err(code.into()),
        };
        store.pace.activations = outer;
        if result.is_err() {
            // Who traps may stop before he has to.
            store.pace.unpaid = None;
        }
        let exhausted = store.take_exhausted();
        let end = match result {
            Ok(results) => End::Returned(values(&store.signature(func).results, &results)),
            Err(_) if self.failed.take() => End::Failed,
            Err(_) if exhausted => End::Exhausted,
            // The limiter has failed.
            Err(Stop::Trap(TrapCode::Interrupt)) => End::Failed,
            Err(stop) => End::Stopped(stop),
        };
        if let Some((saved, used)) = self.tried.take() {
            store.restore(saved);
            store.pace.probes = false;
            store.pace.counter = used;
        }
        let state = self.state(store);
        self.report(Report::Done(end, state))
    }

    /// Does what the host does until it gives control to the guest that waits.
    fn serve(&self, store: &mut Store) -> Result<Served, Gone> {
        loop {
            match self.ways.from.recv().map_err(|_| Gone)? {
                Command::Return(answer) => return Ok(Served::Returns(answer)),
                Command::Run(run) => return Ok(Served::Runs(run)),
                Command::Give { used, up } => return Ok(Served::Gives { used, up }),
                Command::Invoke(func, args, around) => self.invoke(store, func, &args, around)?,
                Command::Limited => {
                    store.pace.answers.get_or_insert_default();
                }
                Command::Instantiate(module, imports) => {
                    let report = match self.instantiate(store, module, &imports) {
                        Ok((filled, names)) => Report::Filled(filled, names),
                        Err(message) => Report::Refused(message),
                    };
                    self.report(report)?;
                }
                Command::Module(wasm) => {
                    self.modules.borrow_mut().push(Known { wasm, code: None });
                }
                Command::NewMemory(min, max, is64) => store.add_memory(min, max, is64),
                Command::NewTable(element, min, max, init) => {
                    store.add_table(element, min, max, init);
                }
                Command::NewGlobal(ty, bits) => store.add_global(ty, bits),
                Command::NewHostFunc(ty) => store.add_host(ty),
                Command::Write { memory, at, bytes } => store.write(memory as usize, at, &bytes),
                Command::GlobalSet(global, value) => store.global_set(global as usize, value),
                Command::MemoryGrow(memory, delta) => {
                    store.memory_grow(memory as usize, delta);
                }
                Command::TableGrow(table, delta, init) => {
                    store.table_grow(table as usize, delta, init);
                }
                // What is out of bounds here is so there, and does nothing.
                Command::TableFill(table, at, value, len) => {
                    _ = store.table_fill(table as usize, at, value, len);
                }
                Command::TableCopy(to, at, table, from, len) => {
                    _ = store.table_copy(to as usize, at, table as usize, from, len);
                }
            }
        }
    }

    /// The code of a module, and which of its globals counts.
    fn code(&self, module: u32) -> Result<(Rc<Code>, Option<usize>), String> {
        let mut modules = self.modules.borrow_mut();
        let known = modules.get_mut(module as usize).ok_or("a module that nobody has told")?;
        let code = match &known.code {
            Some(code) => code.clone(),
            None => {
                let counting = match self.schedule {
                    Some(schedule) => Some(counting(&known.wasm, schedule)?),
                    None => None,
                };
                let code = match counting {
                    Some(counting) => Code::counting(&known.wasm, &counting),
                    None => Code::new(&known.wasm, Passes::NONE),
                };
                known.code.insert(Rc::new(code.map_err(refused)?)).clone()
            }
        };
        let counter = self.schedule.map(|_| code.info().globals.len() - 1);
        Ok((code, counter))
    }

    /// Makes an instance; whether a segment was out of bounds, and what host functions it calls what.
    fn instantiate(
        &self,
        store: &mut Store,
        module: u32,
        imports: &[Import],
    ) -> Result<Filled, String> {
        let (code, counter) = self.code(module)?;
        let mut names = Vec::new();
        for (import, found) in code.info().imports.iter().zip(imports) {
            if let (EntityType::Func(_), Import::Func(Reference::Host(number))) =
                (&import.ty, found)
            {
                names.push((*number, format!("{}::{}", import.module, import.name)));
            }
        }
        let filled = match store.instantiate_counting(&code, imports, counter) {
            Ok(()) => Ok(()),
            Err(Refused::Start(Stop::Trap(code))) => Err(code),
            Err(other) => return Err(refused(other)),
        };
        Ok((filled, names))
    }
}

fn refused(refused: Refused) -> String {
    match refused {
        Refused::Module(message) => message,
        Refused::Start(stop) => format!("{stop:?}"),
    }
}

impl Channel {
    /// The call ends that waits.
    fn fail(&self) -> TrapCode {
        self.failed.set(true);
        TrapCode::Interrupt
    }
}

impl Host for Channel {
    fn call(&self, store: &mut Store, number: u32, args: &[u64]) -> Result<Vec<u64>, TrapCode> {
        let args = values(&store.signature(Reference::Host(number)).params, args);
        let called = Report::HostCall(number, args, self.state(store));
        let answer = self.report(called).and_then(|()| self.serve(store));
        match answer.and_then(|answer| self.run(store).map(|()| answer)) {
            Ok(Served::Returns(Some(results))) => Ok(results),
            _ => Err(self.fail()),
        }
    }

    fn pause(&self, store: &mut Store) -> Result<(), TrapCode> {
        let state = self.state(store);
        match self.report(Report::Stopped(state)).and_then(|()| self.serve(store)) {
            Ok(Served::Runs(run)) => self.go(store, run),
            Ok(Served::Gives { used, up: Some(had) }) => {
                self.tried.replace(Some((store.save(), used)));
                self.failed.set(true);
                let pace = &mut store.pace;
                (pace.probes, pace.unpaid, pace.limit) = (true, Some(had), had);
            }
            Ok(Served::Gives { used, up: None }) => {
                store.pace.counter = used;
                return Err(self.fail());
            }
            Ok(Served::Returns(_)) | Err(Gone) => return Err(self.fail()),
        }
        Ok(())
    }
}

/// Follows until the other side is gone. Operators are counted by `schedule`, if there is one; frames count
/// at most `depth`.
pub(crate) fn follow(schedule: Option<Schedule>, depth: u64, ways: Ways) {
    let (modules, failed, tried) = (RefCell::default(), Cell::new(false), RefCell::default());
    let channel = Rc::new(Channel { ways, schedule, modules, failed, tried });
    let mut store = Store::new(channel.clone());
    store.pace.most_depth = Some(depth);
    // Nobody gives control outside of a call; the end is that the other side is gone.
    while channel.serve(&mut store).is_ok() {}
}
