//! Functions, of guests and of the host.

use crate::code::exit_error;
use crate::context::{AsContext, AsContextMut, StoreContext, StoreContextMut};
use crate::externs::Extern;
use crate::fuel::payload;
use crate::instance::{Instance, type_of};
use crate::module::ModuleExport;
use crate::registry::TypeId;
use crate::store::{StoreId, StoreInner, StoreOpaque, StorePtr};
use crate::tape::Event;
use crate::tape::hooks::{self, Go, OnPanic};
use crate::transfer::Transfer;
use crate::typed::{
    TypedFunc, WasmParams, WasmResults, WasmRet, WasmTy, check_type, for_each_tuple, func_type,
};
use crate::types::{FuncType, ValType};
use crate::value::Val;
use crate::{Engine, Error, Result};
use runwell_abi::RegFile;
use runwell_abi::vmctx::FuncRefDef;
use runwell_vm::{HostCall, HostShape, InstanceData, Payload, Runtime};
use std::ptr::NonNull;
use std::sync::Arc;

/// A function of a store.
///
/// ```
/// use runwell::{Caller, Engine, Func, FuncType, Store, Val, ValType};
///
/// # fn main() -> runwell::Result<()> {
/// let engine = Engine::default();
/// let mut store = Store::new(&engine, 0u32);
///
/// // Its type follows from the closure …
/// let count = Func::wrap(&mut store, |mut caller: Caller<'_, u32>, by: u32| {
///     *caller.data_mut() += by;
///     *caller.data()
/// });
/// assert_eq!(count.typed::<u32, u32>(&store)?.call(&mut store, 5)?, 5);
///
/// // … or is known at run time only.
/// let ty = FuncType::new(&engine, [ValType::I32], [ValType::I32]);
/// let negate = Func::new(&mut store, ty, |_, params, results| {
///     results[0] = Val::I32(-params[0].unwrap_i32());
///     Ok(())
/// });
/// let mut results = [Val::I32(0)];
/// negate.call(&mut store, &[Val::I32(7)], &mut results)?;
/// assert_eq!(results[0].unwrap_i32(), -7);
/// # Ok(())
/// # }
/// ```
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Func {
    store: StoreId,
    def: NonNull<FuncRefDef>,
}

// SAFETY: the record is only read together with its store.
unsafe impl Send for Func {}
// SAFETY: as above.
unsafe impl Sync for Func {}

pub(crate) const EMPTY: RegFile = RegFile {
    float: [0; runwell_abi::call::FLOAT_ARGS],
    int: [0; runwell_abi::call::INT_ARGS.len()],
};

impl Func {
    /// # Safety
    /// `def` is a record of this store.
    pub(crate) unsafe fn from_def(store: &StoreOpaque, def: NonNull<FuncRefDef>) -> Func {
        Func { store: store.id(), def }
    }

    /// # Safety
    /// `bits` is null or the address of a record of this store.
    pub(crate) unsafe fn from_raw(store: &StoreOpaque, bits: u64) -> Option<Func> {
        let def = NonNull::new(bits as *mut FuncRefDef)?;
        Some(Func { store: store.id(), def })
    }

    pub(crate) fn to_raw(self, store: &StoreOpaque) -> Result<u64> {
        if self.store != store.id() {
            return Err(Error::msg("a function was used with another store than its own"));
        }
        Ok(self.def.as_ptr() as u64)
    }

    pub(crate) fn def(&self, store: &StoreOpaque) -> NonNull<FuncRefDef> {
        assert!(self.store == store.id(), "a Func was used with another store than its own");
        self.def
    }

    /// A host function whose type follows from the Rust closure.
    pub fn wrap<T: 'static, Params, Results>(
        mut store: impl AsContextMut<Data = T>,
        func: impl IntoFunc<T, Params, Results>,
    ) -> Func {
        let mut store = store.as_context_mut();
        let host = func.into_host_func(store.engine());
        store.opaque().add_host_func(&Arc::new(host))
    }

    /// A host function of a type that is known at run time.
    pub fn new<T: 'static>(
        mut store: impl AsContextMut<Data = T>,
        ty: FuncType,
        func: impl Fn(Caller<'_, T>, &[Val], &mut [Val]) -> Result<()> + Send + Sync + 'static,
    ) -> Func {
        let mut store = store.as_context_mut();
        let host = HostFunc::dynamic(store.engine(), ty, func);
        store.opaque().add_host_func(&Arc::new(host))
    }

    /// Its type.
    ///
    /// # Panics
    /// When it belongs to another store, as all methods.
    pub fn ty(&self, store: impl AsContext) -> FuncType {
        self.ty_in(store.as_context().opaque())
    }

    /// True if it can stand for a function of type `ty`.
    ///
    /// # Panics
    /// When it belongs to another store, as all methods.
    pub fn matches_ty(&self, store: impl AsContext, ty: &FuncType) -> bool {
        self.ty(store).matches(ty)
    }

    pub(crate) fn ty_in(&self, store: &StoreOpaque) -> FuncType {
        // SAFETY: the record lives as long as the store.
        type_of(store, unsafe { self.def(store).as_ref() }.type_id)
    }

    /// Calls it.
    ///
    /// # Errors
    /// When number or types of `params`, or the number of `results`, do not fit its type; else what
    /// stopped the guest: a [`crate::Trap`] or an error of a host function, with a
    /// [`crate::WasmBacktrace`].
    pub fn call(
        &self,
        mut store: impl AsContextMut,
        params: &[Val],
        results: &mut [Val],
    ) -> Result<()> {
        let mut store = store.as_context_mut();
        let store = store.opaque();
        let mut regs = EMPTY;
        let ty = self.put_args(store, params, results.len(), &mut regs)?;
        // SAFETY: the arguments are those of its type.
        unsafe { self.invoke(store, &mut regs)? };
        take_results(store, &ty, &mut regs, results);
        Ok(())
    }

    /// Checks arguments and the number of results, and puts the arguments where the call wants them.
    pub(crate) fn put_args(
        &self,
        store: &StoreOpaque,
        params: &[Val],
        results: usize,
        regs: &mut RegFile,
    ) -> Result<FuncType> {
        let ty = self.ty_in(store);
        if ty.params().len() != params.len() {
            return Err(Error::msg(format!(
                "expected {} arguments, got {}",
                ty.params().len(),
                params.len()
            )));
        }
        if ty.results().len() != results {
            return Err(Error::msg(format!(
                "expected {} results, got {results}",
                ty.results().len(),
            )));
        }
        let mut bits = Vec::with_capacity(params.len());
        for (val, ty) in params.iter().zip(ty.params()) {
            if !val.matches(ty) {
                return Err(Error::msg(format!(
                    "argument type mismatch: found {}, expected {ty}",
                    val.kind()
                )));
            }
            bits.push(val.to_raw(store)?);
        }
        // SAFETY: the buffer is this store's, and the call comes after the last argument.
        let mut args = unsafe { Transfer::args(regs, store.runtime.cells(), ty.params().len()) };
        for (bits, ty) in bits.into_iter().zip(ty.params()) {
            args.put(ty.machine(), bits);
        }
        Ok(ty)
    }

    /// # Safety
    /// `regs` and the transfer buffer hold arguments of its type.
    #[inline]
    pub(crate) unsafe fn invoke(&self, store: &mut StoreOpaque, regs: &mut RegFile) -> Result<()> {
        if store.tape.is_some() {
            // SAFETY: the contract.
            return unsafe { hooks::invoke(self, store, regs, false).map(|_| ()) };
        }
        // SAFETY: the contract.
        unsafe { self.invoke_bare(store, regs) }
    }

    /// As [`Func::invoke`], and the tape is not told.
    ///
    /// # Safety
    /// As for [`Func::invoke`].
    #[inline]
    pub(crate) unsafe fn invoke_bare(
        &self,
        store: &mut StoreOpaque,
        regs: &mut RegFile,
    ) -> Result<()> {
        // SAFETY: the record lives as long as the store.
        let def = unsafe { *self.def(store).as_ref() };
        let runtime = store.runtime.as_ptr();
        // SAFETY: everything the record leads to belongs to the store, which is borrowed mutably.
        let outcome = unsafe { runtime.as_ref().invoke(&def, regs) };
        outcome.map_err(|exit| exit_error(*exit))
    }

    /// # Safety
    /// It is of type `P -> R`.
    #[inline]
    pub(crate) unsafe fn call_typed<P: WasmParams, R: WasmResults>(
        &self,
        store: &mut StoreOpaque,
        params: P,
    ) -> Result<R> {
        let mut regs = EMPTY;
        let cells = store.runtime.cells();
        // SAFETY: the buffer is this store's, and the call comes after the last argument.
        params.put(store, &mut unsafe { Transfer::args(&mut regs, cells, P::COUNT) })?;
        // SAFETY: as demanded of the caller.
        unsafe { self.invoke(store, &mut regs)? };
        // SAFETY: nothing has been called since, and guest code gives references of its own store.
        Ok(unsafe { R::take(store, &mut Transfer::results(&mut regs, cells, R::COUNT)) })
    }

    /// The function for calls without boxing.
    ///
    /// # Errors
    /// When its type is not `Params -> Results`.
    pub fn typed<Params: WasmParams, Results: WasmResults>(
        &self,
        store: impl AsContext,
    ) -> Result<TypedFunc<Params, Results>> {
        check_type::<Params, Results>(&self.ty(store))?;
        // SAFETY: the type has just been checked.
        Ok(unsafe { TypedFunc::new_unchecked(*self) })
    }
}

/// Takes the results that a call has left.
pub(crate) fn take_results(
    store: &StoreOpaque,
    ty: &FuncType,
    regs: &mut RegFile,
    results: &mut [Val],
) {
    // SAFETY: the buffer is this store's, and nothing has been called since.
    let mut from = unsafe { Transfer::results(regs, store.runtime.cells(), ty.results().len()) };
    for (val, ty) in results.iter_mut().zip(ty.results()) {
        let bits = from.take(ty.machine());
        // SAFETY: guest code gives references of its own store only.
        *val = unsafe { Val::from_raw(store, ty, bits) };
    }
}

/// Makes the record of a host function for one store, with its number there and its type's.
type MakeHostFunc = dyn Fn(StorePtr, &Runtime, u32, u32) -> runwell_vm::HostFunc + Send + Sync;

/// A host function before it is in a store.
pub struct HostFunc {
    ty: FuncType,
    /// The engine's number of the type, held for all stores it is put into.
    type_id: TypeId,
    make: Box<MakeHostFunc>,
}

/// A host function in a store, with what it was made from.
pub(crate) struct HostSlot {
    func: runwell_vm::HostFunc,
    _host: Arc<HostFunc>,
}

impl HostSlot {
    /// What guests hold.
    pub(crate) fn func_ref(&self) -> NonNull<FuncRefDef> {
        self.func.func_ref()
    }

    /// The address by which its record is told from others.
    pub(crate) fn context(&self) -> u64 {
        // SAFETY: the record lives as long as the function.
        unsafe { self.func_ref().as_ref() }.vmctx
    }
}

impl HostFunc {
    pub(crate) fn ty(&self) -> &FuncType {
        &self.ty
    }

    /// The engine's number of its type.
    pub(crate) fn type_number(&self) -> u32 {
        self.type_id.number()
    }

    /// A function that takes its arguments as a slice.
    pub(crate) fn dynamic<T: 'static>(
        engine: &Engine,
        ty: FuncType,
        func: impl Fn(Caller<'_, T>, &[Val], &mut [Val]) -> Result<()> + Send + Sync + 'static,
    ) -> HostFunc {
        let func = Arc::new(func);
        let of = ty.clone();
        HostFunc::raw(engine, ty, move |caller: Caller<'_, T>, regs, cells| {
            // SAFETY: the buffer is this store's, and arguments are taken before anything is called.
            let mut args = unsafe { Transfer::args(regs, cells, of.params().len()) };
            let mut params = Vec::with_capacity(of.params().len());
            for ty in of.params() {
                let bits = args.take(ty.machine());
                // SAFETY: guest code passes references of its own store only.
                params.push(unsafe { Val::from_raw(&caller.store.0.opaque, ty, bits) });
            }
            let mut results: Vec<Val> = of.results().map(Val::zero).collect();
            let mut caller = caller;
            func(caller.reborrow(), &params, &mut results)?;
            // SAFETY: nothing is called any more.
            let mut to = unsafe { Transfer::results(regs, cells, of.results().len()) };
            for (val, ty) in results.into_iter().zip(of.results()) {
                if !val.matches(ty) {
                    return Err(Error::msg(format!(
                        "function attempted to return an incompatible value: {} for {ty}",
                        val.kind()
                    )));
                }
                to.put(ty.machine(), val.to_raw(&caller.store.0.opaque)?);
            }
            Ok(())
        })
    }

    fn raw<T: 'static>(
        engine: &Engine,
        ty: FuncType,
        func: impl Fn(Caller<'_, T>, &mut RegFile, *mut u128) -> Result<()> + Send + Sync + 'static,
    ) -> HostFunc {
        let func = Arc::new(func);
        let of = ty.clone();
        let machine = |ty: ValType| ty.machine();
        let shape = HostShape::new(ty.params().map(machine), ty.results().map(machine));
        let make = move |at: StorePtr, runtime: &Runtime, number: u32, type_id: u32| {
            let (func, of) = (func.clone(), of.clone());
            runwell_vm::HostFunc::new(runtime, type_id, shape, move |call: HostCall<'_>| {
                // SAFETY: the function was put into a store with this type of data, whose handle
                // is borrowed mutably by the call that is under way.
                let store = unsafe { &mut *at.get::<StoreInner<T>>() };
                if store.opaque.tape.is_some() {
                    // Apart, or each call would save more registers than it uses.
                    // SAFETY: the store is the one that the function was put into.
                    return unsafe { recorded(at, &*func, number, &of, call) };
                }
                match func(Caller::of(store, &call), call.regs, call.runtime.cells()) {
                    Ok(()) => Ok(()),
                    Err(error) => Err(payload(error, &of)),
                }
            })
        };
        let type_id = engine.types().register(&ty);
        HostFunc { ty, type_id, make: Box::new(make) }
    }
}

/// A call of a host function of a store whose tape is on.
///
/// # Safety
/// `at` is the store whose guest makes the call, with this type of data, and `of` is the function's type.
#[cold]
#[inline(never)]
unsafe fn recorded<T: 'static>(
    at: StorePtr,
    func: &(impl Fn(Caller<'_, T>, &mut RegFile, *mut u128) -> Result<()> + ?Sized),
    number: u32,
    of: &FuncType,
    call: HostCall<'_>,
) -> Result<(), Payload> {
    // SAFETY: as demanded of the caller; the store's handle is borrowed mutably by the call under way.
    let store = unsafe { &mut *at.get::<StoreInner<T>>() };
    // SAFETY: the guest has left the arguments where they belong.
    match unsafe { hooks::host_call(&mut store.opaque, number, call.regs, of) } {
        Ok(Go::On) => {}
        Ok(Go::Back) => return Ok(()),
        Err(error) => return Err(payload(error, of)),
    }
    let on_panic = OnPanic(at);
    let result = func(Caller::of(store, &call), call.regs, call.runtime.cells());
    drop(on_panic);
    // SAFETY: as above; what the function was given is not in use any more.
    let store = unsafe { &mut *at.get::<StoreInner<T>>() };
    // SAFETY: the function has left the results where they belong.
    let result = unsafe { hooks::host_done(&mut store.opaque, call.regs, of, result) };
    result.map_err(|error| payload(error, of))
}

impl StoreOpaque {
    /// Puts a host function into the store.
    ///
    /// # Panics
    /// When it was made for another engine.
    pub(crate) fn add_host_func(&mut self, host: &Arc<HostFunc>) -> Func {
        assert!(
            host.type_id.is_of(self.engine().types()),
            "a Linker was used with a store of another engine"
        );
        self.tell(|_, _| Event::NewHostFunc(host.ty.clone()));
        let number = self.host_funcs.len() as u32;
        let func = (host.make)(self.this(), &self.runtime, number, host.type_id.number());
        let def = func.func_ref();
        self.host_funcs.push(HostSlot { func, _host: host.clone() });
        // SAFETY: the record belongs to this store.
        unsafe { Func::from_def(self, def) }
    }
}

impl std::fmt::Debug for HostSlot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "HostSlot({:?})", self.func.func_ref())
    }
}

/// The store and the calling instance, as a host function sees them.
///
/// ```
/// use runwell::{Caller, Engine, Extern, Linker, Module, Store};
///
/// # fn main() -> runwell::Result<()> {
/// let engine = Engine::default();
/// let mut linker = Linker::<String>::new(&engine);
/// linker.func_wrap("host", "log", |mut caller: Caller<'_, String>, at: u32, len: u32| {
///     let Some(Extern::Memory(memory)) = caller.get_export("memory") else {
///         runwell::bail!("the caller exports no memory");
///     };
///     let (bytes, log) = memory.data_and_store_mut(&mut caller);
///     let Some(text) = bytes.get(at as usize..).and_then(|rest| rest.get(..len as usize)) else {
///         runwell::bail!("the text is outside of the memory");
///     };
///     log.push_str(&String::from_utf8_lossy(text));
///     Ok(())
/// })?;
/// let module = Module::new(
///     &engine,
///     r#"(module
///         (import "host" "log" (func $log (param i32 i32)))
///         (memory (export "memory") 1)
///         (data (i32.const 8) "hello")
///         (func (export "run") (call $log (i32.const 8) (i32.const 5))))"#,
/// )?;
/// let mut store = Store::new(&engine, String::new());
/// let instance = linker.instantiate(&mut store, &module)?;
/// instance.get_typed_func::<(), ()>(&mut store, "run")?.call(&mut store, ())?;
/// assert_eq!(store.data(), "hello");
/// # Ok(())
/// # }
/// ```
pub struct Caller<'a, T: 'static> {
    pub(crate) store: StoreContextMut<'a, T>,
    instance: Option<Instance>,
}

impl<'a, T: 'static> Caller<'a, T> {
    fn of(store: &'a mut StoreInner<T>, call: &HostCall<'_>) -> Caller<'a, T> {
        let instance = (!call.caller_vmctx.is_null()).then(|| {
            // SAFETY: the context of an instance of this store, whose data is set.
            let data = unsafe { InstanceData::of(call.caller_vmctx) };
            Instance::from_index(&store.opaque, data.owner as u32)
        });
        Caller { store: StoreContextMut(store), instance }
    }
}

impl<T: 'static> Caller<'_, T> {
    fn reborrow(&mut self) -> Caller<'_, T> {
        Caller { store: self.store.as_context_mut(), instance: self.instance }
    }

    /// True if somebody wants the guest stopped (see [`crate::Store::interrupt_handle`]) and waits for this
    /// function: whatever it returns, the guest is stopped then. Functions that take long do well to ask.
    pub fn is_interrupted(&self) -> bool {
        self.store.0.opaque.runtime.interrupt_requested()
    }

    /// The export of the calling instance called `name`; `None` also when the host is the caller.
    pub fn get_export(&mut self, name: &str) -> Option<Extern> {
        self.instance?.get_export_in(self.store.opaque(), name)
    }

    /// The export of the calling instance that [`crate::Module::get_export_index`] found; `None`
    /// also when the caller is no instance of that module.
    pub fn get_module_export(&mut self, export: &ModuleExport) -> Option<Extern> {
        self.instance?.get_module_export_in(self.store.opaque(), export)
    }

    /// The host's data.
    pub fn data(&self) -> &T {
        self.store.data()
    }

    /// The host's data.
    pub fn data_mut(&mut self) -> &mut T {
        self.store.data_mut()
    }

    /// The engine of the store.
    pub fn engine(&self) -> &Engine {
        self.store.engine()
    }
}

impl<T: 'static> AsContext for Caller<'_, T> {
    type Data = T;

    fn as_context(&self) -> StoreContext<'_, T> {
        self.store.as_context()
    }
}

impl<T: 'static> AsContextMut for Caller<'_, T> {
    fn as_context_mut(&mut self) -> StoreContextMut<'_, T> {
        self.store.as_context_mut()
    }
}

/// Closures that host functions can be made of: up to 16 [`WasmTy`] parameters, optionally behind a
/// [`Caller`], and a [`WasmRet`].
pub trait IntoFunc<T, Params, Results>: Send + Sync + 'static {
    #[doc(hidden)]
    fn into_host_func(self, engine: &Engine) -> HostFunc;
}

macro_rules! into_func {
    ($($name:ident)*) => {
        impl<T, F, $($name,)* R> IntoFunc<T, ($($name,)*), R> for F
        where
            T: 'static,
            F: Fn($($name),*) -> R + Send + Sync + 'static,
            $($name: WasmTy,)*
            R: WasmRet,
        {
            fn into_host_func(self, engine: &Engine) -> HostFunc {
                let ty = func_type::<($($name,)*), R::Results>();
                HostFunc::raw(engine, ty, move |caller: Caller<'_, T>, regs, cells| {
                    // SAFETY: the buffer is this store's, arguments are taken before and results
                    // put after everything that is called; guests pass references of their store.
                    #[allow(non_snake_case)]
                    let ($($name,)*) = unsafe {
                        <($($name,)*)>::take(
                            &caller.store.0.opaque,
                            &mut Transfer::args(regs, cells, <($($name,)*)>::COUNT),
                        )
                    };
                    let results = self($($name),*).into_result()?;
                    // SAFETY: as above.
                    let mut to = unsafe { Transfer::results(regs, cells, R::Results::COUNT) };
                    results.put(&caller.store.0.opaque, &mut to)
                })
            }
        }

        impl<T, F, $($name,)* R> IntoFunc<T, (Caller<'_, T>, $($name,)*), R> for F
        where
            T: 'static,
            F: Fn(Caller<'_, T>, $($name),*) -> R + Send + Sync + 'static,
            $($name: WasmTy,)*
            R: WasmRet,
        {
            fn into_host_func(self, engine: &Engine) -> HostFunc {
                let ty = func_type::<($($name,)*), R::Results>();
                HostFunc::raw(engine, ty, move |mut caller: Caller<'_, T>, regs, cells| {
                    // SAFETY: as for functions without a caller.
                    #[allow(non_snake_case)]
                    let ($($name,)*) = unsafe {
                        <($($name,)*)>::take(
                            &caller.store.0.opaque,
                            &mut Transfer::args(regs, cells, <($($name,)*)>::COUNT),
                        )
                    };
                    let results = self(caller.reborrow(), $($name),*).into_result()?;
                    // SAFETY: as above.
                    let mut to = unsafe { Transfer::results(regs, cells, R::Results::COUNT) };
                    results.put(&caller.store.0.opaque, &mut to)
                })
            }
        }
    };
}

for_each_tuple!(into_func);
