//! Host functions as guests call them.
//!
//! A [`HostFunc`] is a record on the heap: first what the stub reads (store, code), then the
//! function reference that guests hold, then the closure. The code is a function compiled for the
//! closure's type, so a call from a guest reaches the closure without a further indirection.
//!
//! An error or a panic of the closure is put aside in the store's record and a status given to the
//! stub, which leaves guest code for good. Nothing unwinds through guest frames.

use crate::call::{Payload, Pending, Suspend};
use crate::{Runtime, sys};
use runwell_abi::vmctx::{FuncRefDef, HOST_FUNC_DISPATCH, HOST_FUNC_RUNTIME};
use runwell_abi::{RegFile, TrapCode, Type};
use std::marker::PhantomData;
use std::mem::offset_of;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::NonNull;

/// One call of a host function.
pub struct HostCall<'a> {
    /// The arguments in registers; where results go.
    pub regs: &'a mut RegFile,
    /// The store. Its transfer buffer has the other arguments until it makes the next call.
    pub runtime: &'a Runtime,
    /// The calling instance's context; null when the host calls.
    pub caller_vmctx: *mut u8,
}

type Dispatch = unsafe extern "C" fn(*const Head, *mut RegFile, *mut u8) -> u32;

/// What all records begin with.
#[repr(C)]
struct Head {
    runtime: *const Runtime,
    dispatch: Dispatch,
    func_ref: FuncRefDef,
    drop: unsafe fn(NonNull<Head>),
}

#[repr(C)]
struct Record<F> {
    head: Head,
    func: F,
}

const _: () = assert!(
    offset_of!(Head, runtime) == HOST_FUNC_RUNTIME as usize
        && offset_of!(Head, dispatch) == HOST_FUNC_DISPATCH as usize
);

/// What of a host function's type decides how guests reach it: the registers that it may use.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct HostShape {
    params: [usize; 2],
    results: [usize; 2],
}

impl HostShape {
    /// Of a function that takes `params` and gives `results`.
    pub fn new(
        params: impl IntoIterator<Item = Type>,
        results: impl IntoIterator<Item = Type>,
    ) -> HostShape {
        HostShape { params: by_class(params), results: by_class(results) }
    }
}

/// How many values there are of the integer and of the float class.
fn by_class(types: impl IntoIterator<Item = Type>) -> [usize; 2] {
    types.into_iter().fold([0; 2], |[ints, floats], ty| {
        if ty.is_int_class() { [ints + 1, floats] } else { [ints, floats + 1] }
    })
}

/// A host function in one store.
pub struct HostFunc {
    record: NonNull<Head>,
    /// Owns a closure that is `Send` and `Sync`.
    owns: PhantomData<Box<dyn Send + Sync>>,
}

// SAFETY: the closure is `Send`, and the pointer to the store moves between threads with it.
unsafe impl Send for HostFunc {}

impl HostFunc {
    /// Makes `func` callable by guests of a store as a function of type `type_id`, which `shape` is made
    /// from. The store must outlive it.
    pub fn new<F>(runtime: &Runtime, type_id: u32, shape: HostShape, func: F) -> HostFunc
    where
        F: Fn(HostCall<'_>) -> Result<(), Payload> + Send + Sync + 'static,
    {
        let code = sys::host_thunk_address(shape.params, shape.results);
        let func_ref = FuncRefDef { code, vmctx: 0, memory_base: 0, type_id, pad: 0 };
        let head = Head { runtime, dispatch: dispatch::<F>, func_ref, drop: drop_record::<F> };
        let record = NonNull::from(Box::leak(Box::new(Record { head, func }))).cast::<Head>();
        // SAFETY: the record is fresh, and nobody else knows it.
        unsafe { (*record.as_ptr()).func_ref.vmctx = record.as_ptr() as u64 };
        HostFunc { record, owns: PhantomData }
    }

    /// What guests hold. Valid until `self` is dropped.
    pub fn func_ref(&self) -> NonNull<FuncRefDef> {
        // SAFETY: the record lives as long as `self`.
        unsafe { NonNull::new_unchecked(&raw mut (*self.record.as_ptr()).func_ref) }
    }
}

impl Drop for HostFunc {
    fn drop(&mut self) {
        // SAFETY: `drop` frees a record of this type, once.
        unsafe { (self.record.as_ref().drop)(self.record) };
    }
}

/// # Safety
/// `record` is a `Record<F>` that nobody uses any more.
unsafe fn drop_record<F>(record: NonNull<Head>) {
    // SAFETY: the contract; the record was made by `Box`.
    drop(unsafe { Box::from_raw(record.as_ptr().cast::<Record<F>>()) });
}

/// Called by the stub on the host's stack.
///
/// # Safety
/// `record` is a `Record<F>` of the store whose guest code is waiting, and `regs` its arguments.
unsafe extern "C" fn dispatch<F>(
    record: *const Head,
    regs: *mut RegFile,
    caller_vmctx: *mut u8,
) -> u32
where
    F: Fn(HostCall<'_>) -> Result<(), Payload>,
{
    // SAFETY: the contract; the register file is on the guest's stack and nobody else's.
    let (record, regs) = unsafe { (&*record.cast::<Record<F>>(), &mut *regs) };
    // SAFETY: the store is active.
    let runtime = unsafe { &*record.head.runtime };
    let call = HostCall { regs, runtime, caller_vmctx };
    match catch_unwind(AssertUnwindSafe(|| (record.func)(call))) {
        Ok(Ok(())) if runtime.is_to_stop() => sys::STATUS_LIBCALL + TrapCode::Interrupt as u32,
        Ok(Ok(())) => 0,
        Ok(Err(payload)) => failed(runtime, payload),
        Err(payload) => panicked(runtime, payload),
    }
}

/// Puts an error aside.
#[cold]
fn failed(runtime: &Runtime, payload: Payload) -> u32 {
    runtime.pending.set(Some(match payload.downcast::<Suspend>() {
        Ok(suspend) => Pending::Suspend(suspend.0),
        Err(payload) => Pending::Error(payload),
    }));
    sys::STATUS_PENDING
}

/// Puts a panic aside.
#[cold]
fn panicked(runtime: &Runtime, payload: Payload) -> u32 {
    runtime.pending.set(Some(Pending::Panic(payload)));
    sys::STATUS_PENDING
}
