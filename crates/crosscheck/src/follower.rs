//! The evaluator's side: a thread that runs what is in a store by the meaning of the IR and is told what the
//! host does.

use crate::count::counting;
use crate::oracle::{Code, DIRTY_PAGE, Host, Import, Reference, Refused, Store};
use runwell::Schedule;
use runwell::tape::{RefId, Value};
use runwell_abi::{TrapCode, Type};
use runwell_ir::Signature;
use runwell_ir::eval::Stop;
use runwell_wasm::{EntityType, Passes};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
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
    /// It calls a function of an instance.
    Invoke(Reference, Vec<u64>),
    /// The function of the host that was called returns, or fails.
    Return(Option<Vec<u64>>),
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

/// Where guests have come to.
pub(crate) enum Report {
    /// There is an instance, or a segment was out of bounds; what it imports from the host.
    Filled(Result<(), TrapCode>, Vec<(u32, String)>),
    /// There is none.
    Refused(String),
    /// One calls a function of the host's.
    HostCall(u32, Vec<Value>, State),
    /// A call has ended.
    Done(End, State),
}

/// How a call ended.
pub(crate) enum End {
    Returned(Vec<Value>),
    /// With an error of the host's.
    Failed,
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
}

/// The ways between both sides.
pub(crate) struct Ways {
    pub(crate) from: Receiver<Command>,
    pub(crate) to: Sender<Report>,
    pub(crate) stop: Arc<AtomicBool>,
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
    /// The host has failed, and the calls that wait for it end.
    failed: Cell<bool>,
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
        let mut state = State {
            globals: values(store.global_types(), store.globals()),
            counted: store.counted(),
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

    /// Does what the host does until it returns.
    fn serve(&self, store: &mut Store) -> Result<Option<Vec<u64>>, Gone> {
        loop {
            match self.ways.from.recv().map_err(|_| Gone)? {
                Command::Return(answer) => return Ok(answer),
                Command::Invoke(func, args) => {
                    let end = match store.call(func, &args, u64::MAX) {
                        Ok(results) => {
                            End::Returned(values(&store.signature(func).results, &results))
                        }
                        Err(_) if self.failed.replace(false) => End::Failed,
                        Err(stop) => End::Stopped(stop),
                    };
                    self.report(Report::Done(end, self.state(store)))?;
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
                // What is out of bounds here is so there, and does nothing.
                Command::MemoryGrow(memory, delta) => {
                    store.memory_grow(memory as usize, delta);
                }
                Command::TableGrow(table, delta, init) => {
                    store.table_grow(table as usize, delta, init);
                }
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
                let code = Code::new(counting.as_deref().unwrap_or(&known.wasm), Passes::NONE);
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

impl Host for Channel {
    fn call(&self, store: &mut Store, number: u32, args: &[u64]) -> Result<Vec<u64>, TrapCode> {
        let args = values(&store.signature(Reference::Host(number)).params, args);
        let called = Report::HostCall(number, args, self.state(store));
        let answer = self.report(called).and_then(|()| self.serve(store));
        match answer {
            Ok(Some(results)) => Ok(results),
            _ => {
                self.failed.set(true);
                Err(TrapCode::Interrupt)
            }
        }
    }

    fn goes_on(&self) -> bool {
        !self.ways.stop.load(Ordering::Relaxed)
    }
}

/// Follows until the other side is gone. Operators are counted by `schedule`, if there is one.
pub(crate) fn follow(schedule: Option<Schedule>, ways: Ways) {
    let (modules, failed) = (RefCell::default(), Cell::new(false));
    let channel = Rc::new(Channel { ways, schedule, modules, failed });
    let mut store = Store::new(channel.clone());
    // Nobody returns outside of a call; the end is that the other side is gone.
    while channel.serve(&mut store).is_ok() {}
}
