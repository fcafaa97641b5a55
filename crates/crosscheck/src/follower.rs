//! The evaluator's side: a thread that runs the module by the meaning of the IR and is told what the host
//! does.

use crate::oracle::{Code, DIRTY_PAGE, Host, Instance, Refused};
use runwell_abi::{LibCall, TrapCode};
use runwell_ir::eval::{Env as _, Stop};
use runwell_wasm::Passes;
use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender};

/// What the host does.
pub(crate) enum Command {
    /// It calls a function of the instance.
    Invoke(u32, Vec<u64>),
    /// The imported function returns, or fails.
    Return(Option<Vec<u64>>),
    /// It writes into a memory.
    Write { memory: usize, at: u64, bytes: Vec<u8> },
    /// It sets a global.
    GlobalSet(u32, u64),
    /// It does what a helper of the runtime does.
    Help(LibCall, [u64; 4]),
}

/// Where the guest has come to.
pub(crate) enum Report {
    /// There is an instance, or a segment was out of bounds.
    Filled(Result<(), TrapCode>),
    /// There is none.
    Refused(String),
    /// It calls an imported function.
    HostCall(u32, Vec<u64>, State),
    /// A call has ended.
    Done(End, State),
}

/// How a call ended.
pub(crate) enum End {
    Returned(Vec<u64>),
    /// With an error of the host's.
    Failed,
    Stopped(Stop),
}

/// The state of the instance: of memories and tables what has changed since the last time.
#[derive(Default)]
pub(crate) struct State {
    /// Lengths in bytes.
    pub(crate) lengths: Vec<usize>,
    /// Memory, number and content of pages that were written.
    pub(crate) pages: Vec<(usize, u64, Vec<u8>)>,
    pub(crate) globals: Vec<u64>,
    /// Number and elements of tables that were written.
    pub(crate) tables: Vec<(usize, Vec<u64>)>,
}

impl State {
    fn take(instance: &mut Instance) -> State {
        let mut state = State { globals: instance.globals().to_vec(), ..State::default() };
        for memory in 0..instance.info().memories.len() {
            let dirty = instance.take_dirty(memory);
            let bytes = instance.memory(memory);
            state.lengths.push(bytes.len());
            state.pages.extend(dirty.into_iter().map(|page| {
                let start = (page * DIRTY_PAGE) as usize;
                let end = bytes.len().min(start + DIRTY_PAGE as usize);
                (memory, page, bytes[start..end].to_vec())
            }));
        }
        for table in 0..instance.info().tables.len() {
            if let Some(elements) = instance.take_changed(table) {
                state.tables.push((table, elements.to_vec()));
            }
        }
        state
    }
}

/// The ways between both sides.
pub(crate) struct Ways {
    pub(crate) from: Receiver<Command>,
    pub(crate) to: Sender<Report>,
    pub(crate) stop: Arc<AtomicBool>,
}

struct Channel {
    ways: Ways,
    /// The host has failed, and the calls that wait for it end.
    failed: Cell<bool>,
}

/// Nobody listens any more.
struct Gone;

impl Channel {
    fn report(&self, report: Report) -> Result<(), Gone> {
        self.ways.to.send(report).map_err(|_| Gone)
    }

    /// Does what the host does until it returns.
    fn serve(&self, instance: &mut Instance) -> Result<Option<Vec<u64>>, Gone> {
        loop {
            match self.ways.from.recv().map_err(|_| Gone)? {
                Command::Return(answer) => return Ok(answer),
                Command::Invoke(func, args) => {
                    let end = match instance.call_index(func, &args, u64::MAX) {
                        Ok(results) => End::Returned(results),
                        Err(_) if self.failed.replace(false) => End::Failed,
                        Err(stop) => End::Stopped(stop),
                    };
                    self.report(Report::Done(end, State::take(instance)))?;
                }
                Command::Write { memory, at, bytes } => instance.write(memory, at, &bytes),
                Command::GlobalSet(global, value) => instance.global_set(global, value),
                // What is out of bounds here is so there, and does nothing.
                Command::Help(helper, args) => _ = instance.libcall(helper, &args),
            }
        }
    }
}

impl Host for Channel {
    fn call(
        &self,
        instance: &mut Instance,
        index: u32,
        args: &[u64],
    ) -> Result<Vec<u64>, TrapCode> {
        let called = Report::HostCall(index, args.to_vec(), State::take(instance));
        let answer = self.report(called).and_then(|()| self.serve(instance));
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

/// Follows until the other side is gone. `globals` are the values of the imported ones.
pub(crate) fn follow(wasm: &[u8], globals: Vec<u64>, ways: Ways) {
    let channel = Rc::new(Channel { ways, failed: Cell::new(false) });
    let made = Code::with_imports(wasm, Passes::NONE)
        .and_then(|code| Instance::filled(&Rc::new(code), globals, Some(channel.clone())));
    let (report, instance) = match made {
        Ok(instance) => (Report::Filled(Ok(())), Some(instance)),
        Err(Refused::Module(message)) => (Report::Refused(message), None),
        Err(Refused::Start(Stop::Trap(code))) => (Report::Filled(Err(code)), None),
        Err(Refused::Start(Stop::Steps)) => (Report::Refused("it takes too long".into()), None),
    };
    if let (Ok(()), Some(mut instance)) = (channel.report(report), instance) {
        // Nobody returns outside of a call; the end is that the other side is gone.
        while channel.serve(&mut instance).is_ok() {}
    }
}
