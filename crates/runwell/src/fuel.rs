//! Fuel, and calls that stop and go on.
//!
//! With [`crate::Config::consume_fuel`], each operator that a guest executes costs fuel, by a
//! [`Schedule`] with a version. What is left is exact whenever the host can look: in host functions,
//! when the guest returns, when it traps. A guest that cannot pay stops before the operators it cannot
//! pay for. By [`Func::call`] that is the end of the call ([`crate::Trap::OutOfFuel`]); by
//! [`Func::call_resumable`] the call is suspended and goes on when there is more. Host functions suspend
//! their callers in the same way, by the error [`Suspend`].

use crate::context::{AsContextMut, StoreContext, StoreContextMut};
use crate::func::{Caller, EMPTY, Func, take_results};
use crate::store::{Store, StoreId, StoreOpaque};
use crate::tape::hooks;
use crate::tape::{Event, Wait};
use crate::transfer::Transfer;
use crate::types::FuncType;
use crate::value::Val;
use crate::{Error, Result};
use runwell_abi::RegFile;
use runwell_vm::{Backtrace, Cause, Exit, Payload, Reason};
use std::any::Any;
use std::fmt;

pub use runwell_abi::fuel::{FreeLoop, OperatorClass, SCHEDULE_VERSION, Schedule};

impl StoreOpaque {
    fn metered(&self) -> Result<()> {
        match self.engine().config().schedule {
            Some(_) => Ok(()),
            None => {
                Err(Error::msg("fuel is not configured in this store: see Config::consume_fuel"))
            }
        }
    }

    fn get_fuel(&self) -> Result<u64> {
        self.metered()?;
        Ok(self.runtime.fuel())
    }

    fn set_fuel(&mut self, fuel: u64) -> Result<()> {
        self.metered()?;
        self.tell(|_, _| Event::SetFuel(fuel));
        self.put_fuel(fuel);
        Ok(())
    }

    /// Sets the fuel left, and goes on counting what was used.
    pub(crate) fn put_fuel(&mut self, fuel: u64) {
        let used = self.fuel_used();
        self.runtime.set_fuel(fuel);
        self.fuel_mark = (used, self.runtime.fuel());
    }

    /// What guests have used so far.
    fn fuel_used(&self) -> u64 {
        let (used, then) = self.fuel_mark;
        used.saturating_add(then.saturating_sub(self.runtime.fuel()))
    }

    fn fuel_consumed(&self) -> Result<u64> {
        self.metered()?;
        Ok(self.fuel_used())
    }

    fn cancel_suspended(&mut self) {
        if self.runtime.suspended().is_some() {
            self.tell(|_, _| Event::Cancel);
            self.runtime.drop_suspended();
        }
    }
}

/// What the host is told that would change what a guest may have read.
const WAITS: &str = "a call of this store waits for fuel: until it has gone on or is given up, nothing \
    can be changed that it may have read";

impl StoreOpaque {
    fn waits_for_fuel(&self) -> bool {
        self.runtime.suspended() == Some(Reason::Fuel)
    }

    /// The host wants to change what guests can look at.
    ///
    /// # Errors
    /// When a call waits for fuel: it has stopped between any two operators, and whether it has read
    /// something already that it reads behind them depends on how it was compiled.
    pub(crate) fn may_change(&self) -> Result<()> {
        if self.waits_for_fuel() { Err(Error::msg(WAITS)) } else { Ok(()) }
    }

    /// The host has a memory for writing, and nobody knows what it does there: a call that waits for fuel
    /// does not go on.
    pub(crate) fn touch(&mut self) {
        self.touched |= self.waits_for_fuel();
    }
}

impl<T: 'static> Store<T> {
    /// The fuel left.
    ///
    /// # Errors
    /// When the engine does not meter.
    ///
    /// ```
    /// use runwell::{Config, Engine, Instance, Module, Store};
    ///
    /// let engine = Engine::new(Config::new().consume_fuel(true))?;
    /// let module = Module::new(&engine, r#"(module (func (export "f") (drop (i32.const 1))))"#)?;
    /// let mut store = Store::new(&engine, ());
    /// store.set_fuel(10)?;
    /// let instance = Instance::new(&mut store, &module, &[])?;
    /// instance.get_typed_func::<(), ()>(&mut store, "f")?.call(&mut store, ())?;
    /// assert_eq!(store.get_fuel()?, 9);
    /// # Ok::<(), runwell::Error>(())
    /// ```
    pub fn get_fuel(&self) -> Result<u64> {
        self.inner().opaque.get_fuel()
    }

    /// Sets the fuel left, which is 0 at first. More than 2^63 - 1 units count as that many.
    ///
    /// # Errors
    /// When the engine does not meter.
    pub fn set_fuel(&mut self, fuel: u64) -> Result<()> {
        self.inner_mut().opaque.set_fuel(fuel)
    }

    /// The fuel that guests of this store have used so far, however it was given to them.
    ///
    /// ```
    /// use runwell::{Config, Engine, Instance, Module, Store};
    ///
    /// let engine = Engine::new(Config::new().consume_fuel(true))?;
    /// let module = Module::new(&engine, r#"(module (func (export "f") (drop (i32.const 1))))"#)?;
    /// let mut store = Store::new(&engine, ());
    /// let instance = Instance::new(&mut store, &module, &[])?;
    /// let f = instance.get_typed_func::<(), ()>(&mut store, "f")?;
    /// for _ in 0..5 {
    ///     store.set_fuel(1000)?;
    ///     f.call(&mut store, ())?;
    /// }
    /// assert_eq!(store.fuel_consumed()?, 5);
    /// # Ok::<(), runwell::Error>(())
    /// ```
    ///
    /// # Errors
    /// When the engine does not meter.
    pub fn fuel_consumed(&self) -> Result<u64> {
        self.inner().opaque.fuel_consumed()
    }

    /// Gives up the suspended call of this store, if there is one: its frames are dropped.
    pub fn cancel_suspended(&mut self) {
        self.inner_mut().opaque.cancel_suspended();
    }
}

impl<T: 'static> StoreContext<'_, T> {
    /// The fuel left, see [`Store::get_fuel`].
    ///
    /// # Errors
    /// When the engine does not meter.
    pub fn get_fuel(&self) -> Result<u64> {
        self.0.opaque.get_fuel()
    }
}

impl<T: 'static> StoreContextMut<'_, T> {
    /// The fuel left, see [`Store::get_fuel`].
    ///
    /// # Errors
    /// When the engine does not meter.
    pub fn get_fuel(&self) -> Result<u64> {
        self.0.opaque.get_fuel()
    }

    /// Sets the fuel left, see [`Store::set_fuel`].
    ///
    /// # Errors
    /// When the engine does not meter.
    pub fn set_fuel(&mut self, fuel: u64) -> Result<()> {
        self.0.opaque.set_fuel(fuel)
    }
}

impl<T: 'static> Caller<'_, T> {
    /// The fuel left, see [`Store::get_fuel`].
    ///
    /// # Errors
    /// When the engine does not meter.
    pub fn get_fuel(&self) -> Result<u64> {
        self.store.0.opaque.get_fuel()
    }

    /// The fuel that guests of the store have used so far, see [`Store::fuel_consumed`].
    ///
    /// # Errors
    /// When the engine does not meter.
    pub fn fuel_consumed(&self) -> Result<u64> {
        self.store.0.opaque.fuel_consumed()
    }

    /// Sets the fuel left, see [`Store::set_fuel`]. The guest goes on with it.
    ///
    /// # Errors
    /// When the engine does not meter.
    pub fn set_fuel(&mut self, fuel: u64) -> Result<()> {
        self.store.0.opaque.set_fuel(fuel)
    }
}

/// The error by which a host function suspends the guest that called it.
///
/// The call that the host began with [`Func::call_resumable`] gives [`ResumableCall::Suspended`], whose
/// [`SuspendedCall::request`] is what was put in here; [`SuspendedCall::answer`] goes on as if the host
/// function had returned then. In a call that cannot be suspended it is an error like any other.
#[derive(Debug)]
pub struct Suspend(Option<Box<dyn Any + Send + Sync>>);

impl Suspend {
    /// Suspends, and lets whoever resumes the call find `request`.
    pub fn new(request: impl Any + Send + Sync) -> Suspend {
        Suspend(Some(Box::new(request)))
    }

    /// True until a call has been suspended by it.
    pub(crate) fn is_asked(&self) -> bool {
        self.0.is_some()
    }
}

impl fmt::Display for Suspend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a host function suspended a call that cannot be suspended")
    }
}

impl std::error::Error for Suspend {}

/// What a host function asked for when it suspended, and what it has to return.
pub(crate) struct Request {
    what: Box<dyn Any + Send + Sync>,
    /// The type of the host function.
    pub(crate) ty: FuncType,
}

/// What a host function returns at last, in place of suspending its caller.
pub(crate) struct Answer {
    /// The type of the host function.
    pub(crate) ty: FuncType,
    /// The bits of its results.
    pub(crate) bits: Vec<u128>,
}

/// A call that does not run and can go on.
pub(crate) struct Stopped {
    /// What it waits for, if that is not fuel.
    pub(crate) request: Option<Request>,
    /// Its frames.
    pub(crate) backtrace: Backtrace,
}

impl Stopped {
    pub(crate) fn wait(&self) -> Wait {
        if self.request.is_some() { Wait::Answer } else { Wait::Fuel }
    }
}

/// What a call has come to that may be suspended.
pub(crate) enum Ran {
    /// Its results are where results belong.
    Finished,
    /// It can go on.
    Suspended(Stopped),
}

/// The error of a host function of type `ty` as the runtime carries it.
pub(crate) fn payload(mut error: Error, ty: &FuncType) -> Payload {
    match error.downcast_mut::<Suspend>().and_then(|suspend| suspend.0.take()) {
        Some(what) => {
            let request = Request { what, ty: ty.clone() };
            Box::new(runwell_vm::Suspend(Box::new(request)))
        }
        None => Box::new(error),
    }
}

/// What came of a call that may be suspended.
#[derive(Debug)]
#[must_use = "a call that is suspended goes on or has to be cancelled"]
pub enum ResumableCall {
    /// It returned; the results are where the caller wanted them.
    Finished,
    /// It stopped and can go on. Until then, or until it is cancelled, the store runs nothing else.
    Suspended(SuspendedCall),
}

/// A call that stopped and can go on: with [`SuspendedCall::resume`] or [`SuspendedCall::answer`], by
/// [`SuspendedCall::needs_fuel`].
///
/// Until then the store runs nothing else. Where this is lost, [`Store::cancel_suspended`] gives the call up.
#[must_use = "a call that is suspended goes on or has to be cancelled"]
pub struct SuspendedCall {
    /// The store and the number of the suspension in it: results are read by `ty`, so this must not go
    /// on with any other call.
    store: StoreId,
    number: u64,
    ty: FuncType,
    request: Option<Request>,
}

impl fmt::Debug for SuspendedCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SuspendedCall")
            .field("ty", &self.ty)
            .field("needs_fuel", &self.needs_fuel())
            .finish()
    }
}

impl Func {
    /// Calls it like [`Func::call`], but when fuel runs out, or a host function returns [`Suspend`], the
    /// call is suspended instead of ended.
    ///
    /// A call that a host function makes while the guest waits for it is never suspended.
    ///
    /// # Errors
    /// As for [`Func::call`].
    ///
    /// ```
    /// use runwell::{Config, Engine, Instance, Module, ResumableCall, Store, Val};
    ///
    /// let engine = Engine::new(Config::new().consume_fuel(true))?;
    /// let module = Module::new(&engine, r#"(module (func (export "count") (param $n i32) (result i32)
    ///     (local $i i32)
    ///     (loop (br_if 0 (i32.lt_u
    ///         (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $n))))
    ///     (local.get $i)))"#)?;
    /// let mut store = Store::new(&engine, ());
    /// let count = Instance::new(&mut store, &module, &[])?.get_func(&mut store, "count").unwrap();
    /// let (mut results, mut slices) = ([Val::I32(0)], 0);
    /// let mut call = count.call_resumable(&mut store, &[Val::I32(1000)], &mut results)?;
    /// while let ResumableCall::Suspended(suspended) = call {
    ///     let fuel = store.get_fuel()?;
    ///     store.set_fuel(fuel + 100)?;
    ///     slices += 1;
    ///     call = suspended.resume(&mut store, &mut results)?;
    /// }
    /// assert!(results[0].unwrap_i32() == 1000 && slices > 50);
    /// # Ok::<(), runwell::Error>(())
    /// ```
    pub fn call_resumable(
        &self,
        mut store: impl AsContextMut,
        params: &[Val],
        results: &mut [Val],
    ) -> Result<ResumableCall> {
        let mut store = store.as_context_mut();
        let store = store.opaque();
        let mut regs = EMPTY;
        let ty = self.put_args(store, params, results.len(), &mut regs)?;
        // SAFETY: the arguments are those of its type.
        let ran = unsafe { self.invoke_resumable(store, &mut regs)? };
        Ok(settle(store, ty, ran, &mut regs, results))
    }

    /// # Safety
    /// As for [`Func::invoke`].
    unsafe fn invoke_resumable(&self, store: &mut StoreOpaque, regs: &mut RegFile) -> Result<Ran> {
        // SAFETY: the contract.
        unsafe {
            match store.tape {
                Some(_) => hooks::invoke(self, store, regs, true),
                None => self.invoke_resumable_bare(store, regs),
            }
        }
    }

    /// As [`Func::invoke_bare`], for a call that may be suspended.
    ///
    /// # Safety
    /// As for [`Func::invoke`].
    pub(crate) unsafe fn invoke_resumable_bare(
        &self,
        store: &mut StoreOpaque,
        regs: &mut RegFile,
    ) -> Result<Ran> {
        // SAFETY: the record lives as long as the store.
        let def = unsafe { *self.def(store).as_ref() };
        let runtime = store.runtime.as_ptr();
        // SAFETY: everything the record leads to belongs to the store, which is borrowed mutably; the
        // arguments are those of its type.
        ran(store, unsafe { runtime.as_ref().invoke_resumable(&def, regs) })
    }
}

/// Goes on with the suspended call, and the tape is not told.
///
/// # Safety
/// The answer is of the types of the host function that the call waits for, if it waits for one.
pub(crate) unsafe fn resume_bare(
    store: &mut StoreOpaque,
    answer: Option<&Answer>,
    regs: &mut RegFile,
) -> Result<Ran> {
    let runtime = store.runtime.as_ptr();
    let cells = store.runtime.cells();
    // SAFETY: the store is borrowed mutably, and everything the guest could reach lives as long as it; the
    // answer is of the right types.
    let outcome = unsafe {
        runtime.as_ref().resume(regs, |regs| {
            let Some(Answer { ty, bits }) = answer else { return };
            let mut to = Transfer::results(regs, cells, ty.results().len());
            for (&bits, ty) in bits.iter().zip(ty.results()) {
                to.put(ty.machine(), bits);
            }
        })
    };
    ran(store, outcome)
}

/// What guest code has come to.
fn ran(store: &StoreOpaque, outcome: Result<(), Box<Exit>>) -> Result<Ran> {
    match outcome {
        Ok(()) => Ok(Ran::Finished),
        Err(exit) if matches!(exit.cause, Cause::Suspended(_)) => {
            let request = store.runtime.take_request();
            let request = request.and_then(|request| request.downcast::<Request>().ok());
            let request = request.map(|request| *request);
            Ok(Ran::Suspended(Stopped { request, backtrace: exit.backtrace }))
        }
        Err(exit) => Err(crate::code::exit_error(*exit)),
    }
}

/// What a resumable call has come to, for whoever made it.
fn settle(
    store: &mut StoreOpaque,
    ty: FuncType,
    ran: Ran,
    regs: &mut RegFile,
    results: &mut [Val],
) -> ResumableCall {
    match ran {
        Ran::Finished => {
            take_results(store, &ty, regs, results);
            ResumableCall::Finished
        }
        Ran::Suspended(Stopped { request, .. }) => {
            store.suspensions += 1;
            store.touched = false;
            let (store, number) = (store.id(), store.suspensions);
            ResumableCall::Suspended(SuspendedCall { store, number, ty, request })
        }
    }
}

impl SuspendedCall {
    /// True if it waits for fuel, false if it waits for the answer of a host function.
    pub fn needs_fuel(&self) -> bool {
        self.request.is_none()
    }

    /// What the host function that suspended the call has put into [`Suspend`].
    pub fn request<R: Any>(&self) -> Option<&R> {
        self.request.as_ref()?.what.downcast_ref()
    }

    /// Goes on with a call that waits for fuel, of which there should be more now: set it before.
    ///
    /// The host may look at the store meanwhile: what the guest has paid for has happened, and nothing else.
    /// It cannot *change* memories, tables or globals, for the guest has stopped between any two operators
    /// and may have read them already: whether it has, depends on how it was compiled. Setting globals and
    /// elements, growing, and instantiating what fills the memories and tables of others are errors until
    /// then. Memories are handed out as slices, so the error comes here for those, and the call is given up,
    /// if [`crate::Memory::data_mut`], [`crate::Memory::data_and_store_mut`] or [`crate::Memory::write`] was
    /// used meanwhile; [`crate::Memory::data`] and [`crate::Memory::read`] are for looking. (A call that
    /// waits for an answer has stopped at a call, where everything may change: that is the place to hand
    /// something to a guest.)
    ///
    /// # Errors
    /// As for [`Func::call`]; when the call waits for an answer, is another store's, or has been given up;
    /// when the host has had a memory for writing.
    ///
    /// ```
    /// use runwell::{Config, Engine, Instance, Module, ResumableCall, Store, Val};
    ///
    /// let engine = Engine::new(Config::new().consume_fuel(true))?;
    /// let module = Module::new(&engine, r#"(module
    ///     (memory (export "memory") 1) (global (export "stop") (mut i32) (i32.const 0))
    ///     (func (export "wait") (loop (br_if 0 (i32.eqz (global.get 0))))))"#)?;
    /// let mut store = Store::new(&engine, ());
    /// let instance = Instance::new(&mut store, &module, &[])?;
    /// let stop = instance.get_global(&mut store, "stop").unwrap();
    /// let memory = instance.get_memory(&mut store, "memory").unwrap();
    /// let wait = instance.get_func(&mut store, "wait").unwrap();
    /// let ResumableCall::Suspended(call) = wait.call_resumable(&mut store, &[], &mut [])? else {
    ///     panic!("there is no fuel")
    /// };
    /// // The loop may well have read it once and for all.
    /// assert!(stop.set(&mut store, Val::I32(1)).is_err());
    /// assert_eq!(memory.data(&store)[0], 0);
    /// store.set_fuel(100)?;
    /// let ResumableCall::Suspended(call) = call.resume(&mut store, &mut [])? else {
    ///     panic!("it waits still")
    /// };
    /// memory.write(&mut store, 0, b"1")?;
    /// assert!(call.resume(&mut store, &mut []).is_err());
    /// # Ok::<(), runwell::Error>(())
    /// ```
    pub fn resume(self, store: impl AsContextMut, results: &mut [Val]) -> Result<ResumableCall> {
        if !self.needs_fuel() {
            return Err(Error::msg(
                "the call waits for the answer of a host function, not for fuel",
            ));
        }
        self.go_on(store, &[], results)
    }

    /// Goes on with a call that waits for the answer of a host function: as if that had returned
    /// `answer`.
    ///
    /// Where the host function fails after all, [`SuspendedCall::cancel`] the call: its error would have
    /// ended the call as well, and no guest sees errors of the host.
    ///
    /// ```
    /// use runwell::{Engine, Linker, Module, ResumableCall, Store, Suspend, Val};
    ///
    /// # fn main() -> runwell::Result<()> {
    /// let engine = Engine::default();
    /// let mut linker = Linker::<()>::new(&engine);
    /// linker.func_wrap("net", "size_of", |page: i32| -> runwell::Result<i64> {
    ///     Err(Suspend::new(page).into())
    /// })?;
    /// let module = Module::new(&engine, r#"(module
    ///     (import "net" "size_of" (func $size_of (param i32) (result i64)))
    ///     (func (export "sum") (result i64)
    ///         (i64.add (call $size_of (i32.const 7)) (call $size_of (i32.const 8)))))"#)?;
    /// let mut store = Store::new(&engine, ());
    /// let instance = linker.instantiate(&mut store, &module)?;
    /// let sum = instance.get_func(&mut store, "sum").unwrap();
    /// let mut results = [Val::I64(0)];
    /// let mut call = sum.call_resumable(&mut store, &[], &mut results)?;
    /// while let ResumableCall::Suspended(suspended) = call {
    ///     // Whenever the answer is there, on whatever thread.
    ///     let size = i64::from(*suspended.request::<i32>().unwrap()) * 1000;
    ///     call = suspended.answer(&mut store, &[Val::I64(size)], &mut results)?;
    /// }
    /// assert_eq!(results[0].unwrap_i64(), 15_000);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As for [`Func::call`]; when the answer has other types than the host function's results.
    pub fn answer(
        self,
        store: impl AsContextMut,
        answer: &[Val],
        results: &mut [Val],
    ) -> Result<ResumableCall> {
        if self.needs_fuel() {
            return Err(Error::msg("the call waits for fuel, not for an answer"));
        }
        self.go_on(store, answer, results)
    }

    /// Gives the call up. Does nothing when it has been given up already or is another store's.
    pub fn cancel(self, mut store: impl AsContextMut) {
        let mut store = store.as_context_mut();
        let store = store.opaque();
        if self.is_of(store) {
            store.cancel_suspended();
        }
    }

    /// True if this is the last call that was suspended in `store`.
    fn is_of(&self, store: &StoreOpaque) -> bool {
        (self.store, self.number) == (store.id(), store.suspensions)
    }

    fn go_on(
        self,
        mut store: impl AsContextMut,
        answer: &[Val],
        results: &mut [Val],
    ) -> Result<ResumableCall> {
        let mut store = store.as_context_mut();
        let store = store.opaque();
        if results.len() != self.ty.results().len() {
            return Err(Error::msg(format!(
                "expected {} results, got {}",
                self.ty.results().len(),
                results.len()
            )));
        }
        let wanted = self.request.as_ref().map(|request| request.ty.clone());
        let reason = if wanted.is_some() { Reason::Host } else { Reason::Fuel };
        if !self.is_of(store) || store.runtime.suspended() != Some(reason) {
            return Err(Error::new(runwell_vm::Error::NotSuspended));
        }
        if reason == Reason::Fuel && store.touched {
            store.cancel_suspended();
            return Err(Error::msg(
                "the host has had a memory for writing while the call waited for fuel: it is given up",
            ));
        }
        let answer = match wanted {
            None => None,
            Some(ty) => {
                let fits = answer.len() == ty.results().len()
                    && answer.iter().zip(ty.results()).all(|(val, ty)| val.matches(ty));
                if !fits {
                    return Err(Error::msg(format!("the answer does not fit the type {ty}")));
                }
                let bits = answer.iter().map(|val| val.to_raw(store)).collect::<Result<_>>()?;
                Some(Answer { ty, bits })
            }
        };
        let mut regs = EMPTY;
        // SAFETY: the call is suspended and is this one; the answer's types have been checked.
        let ran = unsafe {
            match store.tape {
                Some(_) => hooks::resume(store, &self.ty, answer.as_ref(), &mut regs)?,
                None => resume_bare(store, answer.as_ref(), &mut regs)?,
            }
        };
        Ok(settle(store, self.ty, ran, &mut regs, results))
    }
}
