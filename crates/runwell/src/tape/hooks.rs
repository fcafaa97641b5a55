//! The places in the rest of the crate that tell the tape.
//!
//! A store without a tape pays a look at a field for each call; everything else is out of the way here.

use super::event::{Event, Import, Outcome, Value};
use super::player::Player;
use super::shadow::{PageId, Shadows};
use crate::fuel::{Answer, Ran, resume_bare};
use crate::func::Func;
use crate::limits::Question;
use crate::module::Module;
use crate::state::StateHash;
use crate::state::refs::{RefId, RefIds};
use crate::store::{StoreOpaque, StorePtr};
use crate::transfer::Transfer;
use crate::types::{FuncType, ValType};
use crate::{Error, Result};
use runwell_abi::RegFile;
use runwell_abi::vmctx::FuncRefDef;
use std::ptr::NonNull;

/// Is told what happens between a store's guests and its host, in order.
///
/// ```
/// use runwell::tape::{Event, Observer, View};
/// use runwell::{Engine, Instance, Module, Result, Store};
/// use std::sync::{Arc, Mutex};
///
/// /// Counts the pages that guests wrote in each call.
/// struct Pages(Arc<Mutex<Vec<usize>>>);
///
/// impl Observer for Pages {
///     fn event(&mut self, event: &Event, view: &mut View<'_>) -> Result<()> {
///         if matches!(event, Event::Done { .. }) {
///             self.0.lock().unwrap().push(view.written().len());
///         }
///         Ok(())
///     }
/// }
///
/// # fn main() -> Result<()> {
/// let engine = Engine::default();
/// let module = Module::new(&engine, r#"(module (memory 10)
///     (func (export "f") (param i32) (i32.store (local.get 0) (i32.const -1))))"#)?;
/// let pages = Arc::new(Mutex::new(Vec::new()));
/// let mut store = Store::new(&engine, ());
/// store.observe(Pages(pages.clone()))?;
/// let instance = Instance::new(&mut store, &module, &[])?;
/// let f = instance.get_typed_func::<u32, ()>(&mut store, "f")?;
/// f.call(&mut store, 5)?;
/// f.call(&mut store, 4094)?;
/// assert_eq!(*pages.lock().unwrap(), [1, 2]);
/// # Ok(())
/// # }
/// ```
pub trait Observer: Send + 'static {
    /// Is told that `event` happens.
    ///
    /// # Errors
    /// The call that is under way, or the next one, ends with the error.
    fn event(&mut self, event: &Event, view: &mut View<'_>) -> Result<()>;
}

/// A store, as an [`Observer`] sees it.
pub struct View<'a> {
    store: &'a mut StoreOpaque,
    refs: &'a RefIds,
    written: &'a [PageId],
}

impl View<'_> {
    /// The pages of 4 KiB that guests have changed since control was last theirs, as numbers of memory
    /// and page, ascending; for events by which it goes to the host.
    pub fn written(&self) -> &[(u32, u64)] {
        self.written
    }

    /// How many instances there are.
    pub fn instances(&self) -> u32 {
        self.store.instances.len() as u32
    }

    /// The fuel left, if it is metered: as [`crate::Store::get_fuel`] gives it.
    pub fn fuel(&self) -> Option<u64> {
        self.store.fuel_left()
    }

    /// How many memories there are.
    pub fn memories(&self) -> u32 {
        self.store.memories.len() as u32
    }

    /// How many tables there are.
    pub fn tables(&self) -> u32 {
        self.store.tables.len() as u32
    }

    /// The content of a memory; nothing when there is none of this number.
    pub fn memory(&self, number: u32) -> &[u8] {
        match self.store.memories.get(number as usize) {
            // SAFETY: guest code waits while the observer is told, and the store is borrowed.
            Some(memory) => unsafe { memory.data() },
            None => &[],
        }
    }

    /// The values of all globals.
    pub fn globals(&self) -> Vec<Value> {
        let globals = self.store.globals.iter();
        globals
            .map(|global| {
                // SAFETY: the cell lives as long as the store and holds a value of its type.
                unsafe {
                    let bits = global.cell.read();
                    Value::new(self.store, self.refs, *global.ty.content(), bits)
                }
            })
            .collect()
    }

    /// The elements of a table; nothing when there is none of this number.
    pub fn table(&self, number: u32) -> Vec<Value> {
        let Some(table) = self.store.tables.get(number as usize) else { return Vec::new() };
        let elements = (0..table.raw.len()).filter_map(|at| table.raw.get(at));
        let ty = ValType::Ref(table.element);
        // SAFETY: elements are references of this store, of the table's type.
        elements.map(|bits| unsafe { Value::new(self.store, self.refs, ty, bits.into()) }).collect()
    }

    /// The hash of the state, see [`crate::Store::state_hash`].
    pub fn state_hash(&mut self) -> StateHash {
        self.store.state_hash()
    }
}

/// What is told, or asked.
pub(crate) enum Mode {
    Observed {
        observer: Box<dyn Observer>,
        /// Numbers of modules that have been told.
        modules: Vec<u64>,
        shadows: Shadows,
    },
    Played(Box<Player>),
}

/// A store's tape.
pub(crate) struct Tape {
    pub(crate) mode: Mode,
    /// Of so many instances and host functions.
    refs: Option<(usize, usize, RefIds)>,
    /// What went wrong where nobody could be told.
    failed: Option<Error>,
    /// A host function has panicked.
    panicked: bool,
}

impl Tape {
    pub(crate) fn new(mode: Mode) -> Box<Tape> {
        Box::new(Tape { mode, refs: None, failed: None, panicked: false })
    }

    /// The names of functions, made anew when there are more of them.
    pub(crate) fn refs(&mut self, store: &StoreOpaque) -> &RefIds {
        let (instances, hosts) = (store.instances.len(), store.host_funcs.len());
        let current = self.refs.take().filter(|refs| (refs.0, refs.1) == (instances, hosts));
        let current = current.unwrap_or_else(|| (instances, hosts, RefIds::new(store)));
        &self.refs.insert(current).2
    }

    fn tell(&mut self, store: &mut StoreOpaque, event: &Event, written: &[PageId]) -> Result<()> {
        self.refs(store);
        let (Some((_, _, refs)), Mode::Observed { observer, .. }) = (&self.refs, &mut self.mode)
        else {
            return Ok(());
        };
        if self.panicked {
            return Err(Error::msg("a host function panicked, which ended the recording"));
        }
        observer.event(event, &mut View { store, refs, written })
    }

    /// Tells what the host wrote before control goes to guests.
    fn host_lets_go(&mut self, store: &mut StoreOpaque) -> Result<()> {
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        let Mode::Observed { shadows, .. } = &mut self.mode else { return Ok(()) };
        // SAFETY: the host has control, and the store is borrowed.
        let writes = unsafe { shadows.host_wrote(&store.memories) };
        writes.iter().try_for_each(|write| self.tell(store, write, &[]))
    }

    /// Tells the end, and what the host wrote before.
    pub(crate) fn end(&mut self, store: &mut StoreOpaque, event: &Event) -> Result<()> {
        self.host_lets_go(store)?;
        self.tell(store, event, &[])
    }

    /// Notes what guests wrote before control goes to the host.
    fn guest_lets_go(&mut self, store: &StoreOpaque) -> Vec<PageId> {
        match &mut self.mode {
            // SAFETY: guest code waits, and the store is borrowed.
            Mode::Observed { shadows, .. } => unsafe { shadows.guest_wrote(&store.memories) },
            Mode::Played(_) => Vec::new(),
        }
    }
}

/// The values in the places of arguments or results.
///
/// # Safety
/// `from` gives values of these types, and references are of `store`, of which `refs` was made.
unsafe fn values(
    store: &StoreOpaque,
    refs: &RefIds,
    types: impl Iterator<Item = ValType>,
    mut from: Transfer<'_>,
) -> Vec<Value> {
    types
        .map(|ty| {
            let bits = from.take(ty.machine());
            // SAFETY: the contract.
            unsafe { Value::new(store, refs, ty, bits) }
        })
        .collect()
}

impl StoreOpaque {
    /// The fuel left, if it is metered.
    pub(crate) fn fuel_left(&self) -> Option<u64> {
        self.engine().config().schedule.is_some().then(|| self.runtime.fuel())
    }

    /// Does something with the tape, which the store does not have meanwhile.
    pub(crate) fn with_tape<R>(
        &mut self,
        act: impl FnOnce(&mut Tape, &mut StoreOpaque) -> R,
    ) -> Option<R> {
        let mut tape = self.tape.take()?;
        let outcome = act(&mut tape, self);
        self.tape = Some(tape);
        Some(outcome)
    }

    /// Tells an observer, if there is one, what the host does outside of calls.
    #[inline]
    pub(crate) fn tell(&mut self, event: impl FnOnce(&StoreOpaque, &RefIds) -> Event) {
        if self.tape.is_some() {
            self.tell_tape(event);
        }
    }

    #[cold]
    fn tell_tape(&mut self, event: impl FnOnce(&StoreOpaque, &RefIds) -> Event) {
        self.with_tape(|tape, store| {
            if let Mode::Observed { .. } = tape.mode {
                let event = event(store, tape.refs(store));
                if let Err(error) = tape.tell(store, &event, &[]) {
                    tape.failed.get_or_insert(error);
                }
            }
        });
    }

    /// Answers a question to the limiter as recorded; `None` when it is to be asked.
    pub(crate) fn recorded_answer(&mut self, question: &Question) -> Option<Result<bool>> {
        match &mut self.tape.as_mut()?.mode {
            Mode::Played(player) => Some(player.answer(question)),
            Mode::Observed { .. } => None,
        }
    }
}

/// The value of a reference of type `ty`.
///
/// # Safety
/// The bits are those of such a reference in `store`, of which `refs` was made.
pub(crate) unsafe fn reference(
    store: &StoreOpaque,
    refs: &RefIds,
    ty: crate::RefType,
    bits: u64,
) -> Value {
    // SAFETY: the contract.
    unsafe { Value::new(store, refs, ValType::Ref(ty), bits.into()) }
}

/// Tells that a module is instantiated. `imports` gives what stands for its imports.
pub(crate) fn instantiate(
    store: &mut StoreOpaque,
    module: &Module,
    imports: impl FnOnce(&StoreOpaque, &RefIds) -> Vec<Import>,
) -> Result<()> {
    let told = store.with_tape(|tape, store| {
        tape.host_lets_go(store)?;
        let inner = module.inner();
        let Mode::Observed { modules, .. } = &mut tape.mode else { return Ok(()) };
        let known = modules.iter().position(|&id| id == inner.id());
        let number = known.unwrap_or(modules.len()) as u32;
        if known.is_none() {
            modules.push(inner.id());
            tape.tell(store, &Event::Module(inner.wasm.clone()), &[])?;
        }
        let imports = imports(store, tape.refs(store));
        tape.tell(store, &Event::Instantiate { module: number, imports }, &[])
    });
    told.unwrap_or(Ok(()))
}

/// Notes that an instance has been filled; what comes is its start function.
pub(crate) fn filled(store: &mut StoreOpaque) {
    store.with_tape(|tape, store| drop(tape.guest_lets_go(store)));
}

/// Tells that a module has been instantiated, or not.
pub(crate) fn instantiated<R>(store: &mut StoreOpaque, result: Result<R>) -> Result<R> {
    if store.tape.is_none() {
        return result;
    }
    let outcome = match &result {
        Ok(_) => Outcome::Values(Vec::new()),
        Err(error) => Outcome::of_error(error),
    };
    store.tell(|_, _| Event::Instantiated(outcome));
    result
}

/// A call by the host in a store with a tape; `resumable` says whether it may be suspended.
///
/// # Safety
/// As for [`Func::invoke_bare`].
#[cold]
pub(crate) unsafe fn invoke(
    func: &Func,
    store: &mut StoreOpaque,
    regs: &mut RegFile,
    resumable: bool,
) -> Result<Ran> {
    let ty = func.ty_in(store);
    let cells = store.runtime.cells();
    let event = |store: &StoreOpaque, refs: &RefIds, regs: &mut RegFile| {
        // SAFETY: the arguments are there, as the caller says, and of this store.
        let (func, args) = unsafe {
            let bits = func.def(store).as_ptr() as u64;
            let args = Transfer::args(regs, cells, ty.params().len());
            (refs.func(store, bits), values(store, refs, ty.params(), args))
        };
        Event::Invoke { func, args, resumable }
    };
    let run = |store: &mut StoreOpaque, regs: &mut RegFile| {
        // SAFETY: the contract.
        unsafe {
            match resumable {
                true => func.invoke_resumable_bare(store, regs),
                false => func.invoke_bare(store, regs).map(|()| Ran::Finished),
            }
        }
    };
    // SAFETY: `run` runs a function of type `ty`.
    unsafe { stretch(store, &ty, regs, event, run) }
}

/// [`resume_bare`] in a store with a tape. `ty` is the type of the function that was called.
///
/// # Safety
/// As for [`resume_bare`].
#[cold]
pub(crate) unsafe fn resume(
    store: &mut StoreOpaque,
    ty: &FuncType,
    answer: Option<&Answer>,
    regs: &mut RegFile,
) -> Result<Ran> {
    let event = |store: &StoreOpaque, refs: &RefIds, _: &mut RegFile| {
        let types = answer.iter().flat_map(|answer| answer.ty.results());
        let bits = answer.iter().flat_map(|answer| &answer.bits);
        // SAFETY: the answer is of these types, and of this store.
        let value = |(ty, &bits): (ValType, &u128)| unsafe { Value::new(store, refs, ty, bits) };
        Event::Resume { answer: types.zip(bits).map(value).collect() }
    };
    // SAFETY: the contract.
    let run =
        |store: &mut StoreOpaque, regs: &mut RegFile| unsafe { resume_bare(store, answer, regs) };
    // SAFETY: what goes on is a call of a function of type `ty`.
    let result = unsafe { stretch(store, ty, regs, event, run) };
    if result.is_err() {
        // Nobody has a handle to go on with any more.
        store.runtime.drop_suspended();
    }
    result
}

/// Guest code runs, from where the host gives it control to where the host has it again: `event` says how
/// it gets it.
///
/// # Safety
/// When `run` gives [`Ran::Finished`], there are results of type `ty`.
unsafe fn stretch(
    store: &mut StoreOpaque,
    ty: &FuncType,
    regs: &mut RegFile,
    event: impl FnOnce(&StoreOpaque, &RefIds, &mut RegFile) -> Event,
    run: impl FnOnce(&mut StoreOpaque, &mut RegFile) -> Result<Ran>,
) -> Result<Ran> {
    let cells = store.runtime.cells();
    let begun = store.with_tape(|tape, store| {
        tape.host_lets_go(store)?;
        let event = event(store, tape.refs(store), regs);
        match &mut tape.mode {
            Mode::Observed { .. } => tape.tell(store, &event, &[]),
            Mode::Played(player) => player.enter_guest(store, Some(&event)),
        }
    });
    begun.unwrap_or(Ok(()))?;
    let result = run(store, regs);
    let suspended = matches!(result, Ok(Ran::Suspended(_)));
    let ended = store.with_tape(|tape, store| {
        let written = tape.guest_lets_go(store);
        if let Mode::Played(player) = &mut tape.mode {
            player.leave_guest(store);
        }
        let fuel = store.fuel_left();
        let refs = tape.refs(store);
        let event = match &result {
            Ok(Ran::Finished) => {
                // SAFETY: the results are there, as the caller says, and of this store.
                let values = unsafe {
                    let from = Transfer::results(regs, cells, ty.results().len());
                    values(store, refs, ty.results(), from)
                };
                Event::Done { outcome: Outcome::Values(values), fuel }
            }
            Ok(Ran::Suspended(stopped)) => Event::Suspended { wait: stopped.wait(), fuel },
            Err(error) => Event::Done { outcome: Outcome::of_error(error), fuel },
        };
        match &mut tape.mode {
            Mode::Observed { .. } => tape.tell(store, &event, &written).and(result),
            Mode::Played(player) => player.done(event, result),
        }
    });
    let ended = ended.expect("nobody takes a tape away in a call");
    if ended.is_err() && suspended {
        // Whoever made the call gets an error and no handle.
        store.runtime.drop_suspended();
    }
    ended
}

/// What a host function has to do.
pub(crate) enum Go {
    /// What it does.
    On,
    /// Nothing: its results are where they belong.
    Back,
}

/// A host function of a store with a tape is called.
///
/// # Safety
/// `regs` and the transfer buffer hold arguments of type `ty`.
#[cold]
pub(crate) unsafe fn host_call(
    store: &mut StoreOpaque,
    func: u32,
    regs: &mut RegFile,
    ty: &FuncType,
) -> Result<Go> {
    let cells = store.runtime.cells();
    let told = store.with_tape(|tape, store| {
        let written = tape.guest_lets_go(store);
        if let Mode::Played(player) = &mut tape.mode {
            player.leave_guest(store);
        }
        let fuel = store.fuel_left();
        let refs = tape.refs(store);
        // SAFETY: the contract; guests pass references of their store.
        let args = unsafe {
            values(store, refs, ty.params(), Transfer::args(regs, cells, ty.params().len()))
        };
        let event = Event::HostCall { func, args, fuel };
        match &mut tape.mode {
            Mode::Observed { .. } => tape.tell(store, &event, &written).map(|()| Go::On),
            Mode::Played(player) => player.host_call(event).map(|()| Go::Back),
        }
    });
    let go = told.unwrap_or(Ok(Go::On))?;
    if let Go::Back = go {
        let results = super::act::host_side(store, ty)?;
        // SAFETY: nothing is called any more.
        let mut to = unsafe { Transfer::results(regs, cells, ty.results().len()) };
        results.into_iter().zip(ty.results()).for_each(|(bits, ty)| to.put(ty.machine(), bits));
    }
    Ok(go)
}

/// A host function of a store with a tape has returned `result`.
///
/// # Safety
/// If it has returned, `regs` and the transfer buffer hold results of type `ty`.
#[cold]
pub(crate) unsafe fn host_done(
    store: &mut StoreOpaque,
    regs: &mut RegFile,
    ty: &FuncType,
    result: Result<()>,
) -> Result<()> {
    let cells = store.runtime.cells();
    let told = store.with_tape(|tape, store| {
        tape.host_lets_go(store)?;
        let refs = tape.refs(store);
        let outcome = match &result {
            // SAFETY: the contract; host functions give references of their store.
            Ok(()) => Outcome::Values(unsafe {
                values(
                    store,
                    refs,
                    ty.results(),
                    Transfer::results(regs, cells, ty.results().len()),
                )
            }),
            Err(error) => Outcome::of_host_error(error),
        };
        tape.tell(store, &Event::HostDone(outcome), &[])
    });
    told.unwrap_or(Ok(())).and(result)
}

/// Tells, when it is dropped by a panic, that there was one.
pub(crate) struct OnPanic(pub(crate) StorePtr);

impl Drop for OnPanic {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        // SAFETY: the store is in use by the call that the panic leaves, on this thread, and nobody
        // looks at it before the panic has left.
        let store = unsafe { &mut *self.0.get::<StoreOpaque>() };
        store.tell(|_, _| Event::Panicked);
        if let Some(tape) = &mut store.tape {
            tape.panicked = true;
        }
    }
}

/// The imports of a module by what stands for them.
///
/// # Safety
/// The records are of `store`, of which `refs` was made.
pub(crate) unsafe fn imports(
    store: &StoreOpaque,
    refs: &RefIds,
    module: &Module,
    funcs: &[NonNull<FuncRefDef>],
    [memories, tables, globals]: [&[u32]; 3],
) -> Vec<Import> {
    use runwell_wasm::ExternKind;
    let (mut funcs, mut memories) = (funcs.iter(), memories.iter());
    let (mut tables, mut globals) = (tables.iter(), globals.iter());
    let imports = module.inner().info.imports.iter();
    let found = imports.map(|import| match import.ty.kind() {
        ExternKind::Func => {
            let def = funcs.next()?;
            // SAFETY: the contract.
            Some(Import::Func(unsafe { refs.func(store, def.as_ptr() as u64) }))
        }
        ExternKind::Memory => memories.next().copied().map(Import::Memory),
        ExternKind::Table => tables.next().copied().map(Import::Table),
        ExternKind::Global => globals.next().copied().map(Import::Global),
    });
    found.map(|import| import.unwrap_or(Import::Func(RefId::Null))).collect()
}
