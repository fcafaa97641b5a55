//! The helpers of generated code, see [`runwell_abi::libcall`].
//!
//! Each finds the instance through its context and does one operation of the specification, whole
//! or not at all, unless it is interrupted: long ones are done in slices, and ask in between. What ends the guest's call instead of returning is a status in the second result
//! register, which the stub takes to the entry stub's exit.

use crate::call::{Payload, Pending};
use crate::memory::part;
use crate::{InstanceData, Runtime, sys};
use runwell_abi::vmctx::RUNTIME;
use runwell_abi::{LibCall, TrapCode};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What a helper gives back, in two registers.
#[derive(Copy, Clone, Debug)]
#[repr(C)]
pub(crate) struct LibRet {
    value: u64,
    /// 0, or the status with which guest code is left.
    status: u64,
}

/// A helper: the context and the arguments that the list says, the rest undefined.
pub(crate) type Helper = unsafe extern "C" fn(*mut u8, u64, u64, u64, u64, u64) -> LibRet;

/// Address of the stub by which generated code calls helpers.
pub(crate) fn stub_address() -> u64 {
    sys::libcall_stub_address()
}

/// The helpers, indexed by [`LibCall`].
pub(crate) fn table() -> &'static [Helper; LibCall::ALL.len()] {
    const TABLE: [Helper; LibCall::ALL.len()] = {
        let mut table = [memory_grow as Helper; LibCall::ALL.len()];
        let mut i = 0;
        while i < table.len() {
            table[i] = helper(LibCall::ALL[i]);
            i += 1;
        }
        table
    };
    &TABLE
}

const fn helper(call: LibCall) -> Helper {
    match call {
        LibCall::MemoryGrow => memory_grow,
        LibCall::MemoryFill => memory_fill,
        LibCall::MemoryCopy => memory_copy,
        LibCall::MemoryInit => memory_init,
        LibCall::DataDrop => data_drop,
        LibCall::TableGrow => table_grow,
        LibCall::TableFill => table_fill,
        LibCall::TableCopy => table_copy,
        LibCall::TableInit => table_init,
        LibCall::ElemDrop => elem_drop,
    }
}

/// Ends a helper of the guest code of `vmctx`.
fn done(vmctx: *mut u8, result: Result<(), TrapCode>) -> LibRet {
    // SAFETY: the contract of all helpers.
    let stop = unsafe { runtime(vmctx) }.is_to_stop();
    match result.and(if stop { Err(TrapCode::Interrupt) } else { Ok(()) }) {
        Ok(()) => LibRet { value: 0, status: 0 },
        Err(code) => leave(code),
    }
}

/// Bytes that a bulk operation works on before it asks whether it is to stop: about a millisecond, when
/// all pages are fresh.
const SLICE_BYTES: u64 = 1 << 20;

/// Does a bulk operation on `len` items of `size` bytes, whose bounds have been checked, slice by slice:
/// `act` is given the first item of each and their number. Backwards the slices come in reverse order.
fn sliced(
    vmctx: *mut u8,
    (len, size): (u64, u64),
    backwards: bool,
    mut act: impl FnMut(u64, u64) -> Result<(), TrapCode>,
) -> LibRet {
    let slice = SLICE_BYTES / size;
    let mut left = len;
    while left > slice {
        let start = if backwards { left - slice } else { len - left };
        left -= slice;
        let result = act(start, slice);
        // SAFETY: the contract of all helpers.
        if result.is_err() || unsafe { runtime(vmctx) }.is_to_stop() {
            return leave(result.err().unwrap_or(TrapCode::Interrupt));
        }
    }
    done(vmctx, act(if backwards { 0 } else { len - left }, left))
}

/// The end of guest code by a trap.
fn leave(code: TrapCode) -> LibRet {
    LibRet { value: 0, status: u64::from(sys::STATUS_LIBCALL) + u64::from(code as u8) }
}

/// Ends `grow`, which may have run code of the host.
fn grown(runtime: &Runtime, grow: impl FnOnce() -> Result<Option<u64>, Payload>) -> LibRet {
    let pending = match catch_unwind(AssertUnwindSafe(grow)) {
        Ok(Ok(old)) => return LibRet { value: old.unwrap_or(u64::MAX), status: 0 },
        Ok(Err(payload)) => Pending::Error(payload),
        Err(payload) => Pending::Panic(payload),
    };
    runtime.pending.set(Some(pending));
    LibRet { value: 0, status: u64::from(sys::STATUS_PENDING) }
}

/// The two halves of an argument that names two things.
fn pair(both: u64) -> (usize, usize) {
    (both as u32 as usize, (both >> 32) as usize)
}

/// The instance of a context.
///
/// # Safety
/// A helper's: `vmctx` is the context of live guest code that waits.
unsafe fn instance<'a>(vmctx: *mut u8) -> &'a InstanceData {
    // SAFETY: the contract; whoever runs guest code has set the instance.
    unsafe { InstanceData::of(vmctx) }
}

/// The store of a context.
///
/// # Safety
/// As for [`instance`].
unsafe fn runtime<'a>(vmctx: *mut u8) -> &'a Runtime {
    // SAFETY: the contract; the head of a context points to its store's record.
    unsafe { &**vmctx.add(RUNTIME as usize).cast::<*const Runtime>() }
}

// The contract of all helpers: generated code calls them through the stub, so the context is that
// of live guest code that waits, whose objects nobody else uses; indices exist in its module.

unsafe extern "C" fn memory_grow(
    vmctx: *mut u8,
    memory: u64,
    delta: u64,
    _: u64,
    _: u64,
    _: u64,
) -> LibRet {
    // SAFETY: the contract of all helpers.
    let (runtime, memory) = unsafe { (runtime(vmctx), instance(vmctx).memory(memory as usize)) };
    grown(runtime, || runtime.grow_memory(memory, delta))
}

unsafe extern "C" fn memory_fill(
    vmctx: *mut u8,
    memory: u64,
    at: u64,
    value: u64,
    len: u64,
    _: u64,
) -> LibRet {
    // SAFETY: the contract of all helpers.
    let memory = unsafe { instance(vmctx).memory(memory as usize) };
    if let Err(code) = memory.check(at, len) {
        return leave(code);
    }
    sliced(vmctx, (len, 1), false, |start, len| memory.fill(at + start, value as u8, len))
}

unsafe extern "C" fn memory_copy(
    vmctx: *mut u8,
    memories: u64,
    at: u64,
    from: u64,
    len: u64,
    _: u64,
) -> LibRet {
    let (to, src) = pair(memories);
    // SAFETY: the contract of all helpers.
    let (to, src) = unsafe { (instance(vmctx).memory(to), instance(vmctx).memory(src)) };
    if let Err(code) = src.check(from, len).and_then(|()| to.check(at, len)) {
        return leave(code);
    }
    sliced(vmctx, (len, 1), at > from, |start, len| {
        to.copy_from(at + start, src, from + start, len)
    })
}

unsafe extern "C" fn memory_init(
    vmctx: *mut u8,
    memory_segment: u64,
    at: u64,
    from: u64,
    len: u64,
    _: u64,
) -> LibRet {
    let (memory, segment) = pair(memory_segment);
    // SAFETY: the contract of all helpers.
    let instance = unsafe { instance(vmctx) };
    // SAFETY: the same.
    let memory = unsafe { instance.memory(memory) };
    let Some(bytes) = part(instance.data[segment].bytes(), from, len) else {
        return leave(TrapCode::MemoryOutOfBounds);
    };
    if let Err(code) = memory.check(at, len) {
        return leave(code);
    }
    sliced(vmctx, (len, 1), false, |start, len| memory.init(at + start, bytes, start, len))
}

unsafe extern "C" fn data_drop(
    vmctx: *mut u8,
    segment: u64,
    _: u64,
    _: u64,
    _: u64,
    _: u64,
) -> LibRet {
    // SAFETY: the contract of all helpers.
    unsafe { instance(vmctx) }.data[segment as usize].drop_bytes();
    done(vmctx, Ok(()))
}

unsafe extern "C" fn table_grow(
    vmctx: *mut u8,
    table: u64,
    init: u64,
    delta: u64,
    _: u64,
    _: u64,
) -> LibRet {
    // SAFETY: the contract of all helpers.
    let (runtime, table) = unsafe { (runtime(vmctx), instance(vmctx).table(table as usize)) };
    // New elements are null, and filled like any others.
    let grown = grown(runtime, || runtime.grow_table(table, delta, 0));
    let old = grown.value;
    if init == 0 || grown.status != 0 || old == u64::MAX {
        return grown;
    }
    let filled = sliced(vmctx, (delta, 8), false, |start, len| table.fill(old + start, init, len));
    LibRet { value: old, ..filled }
}

unsafe extern "C" fn table_fill(
    vmctx: *mut u8,
    table: u64,
    at: u64,
    value: u64,
    len: u64,
    _: u64,
) -> LibRet {
    // SAFETY: the contract of all helpers.
    let table = unsafe { instance(vmctx).table(table as usize) };
    if let Err(code) = table.check(at, len) {
        return leave(code);
    }
    sliced(vmctx, (len, 8), false, |start, len| table.fill(at + start, value, len))
}

unsafe extern "C" fn table_copy(
    vmctx: *mut u8,
    tables: u64,
    at: u64,
    from: u64,
    len: u64,
    _: u64,
) -> LibRet {
    let (to, src) = pair(tables);
    // SAFETY: the contract of all helpers.
    let (to, src) = unsafe { (instance(vmctx).table(to), instance(vmctx).table(src)) };
    if let Err(code) = src.check(from, len).and_then(|()| to.check(at, len)) {
        return leave(code);
    }
    sliced(vmctx, (len, 8), at > from, |start, len| {
        to.copy_from(at + start, src, from + start, len)
    })
}

unsafe extern "C" fn table_init(
    vmctx: *mut u8,
    table_segment: u64,
    at: u64,
    from: u64,
    len: u64,
    _: u64,
) -> LibRet {
    let (table, segment) = pair(table_segment);
    // SAFETY: the contract of all helpers.
    let instance = unsafe { instance(vmctx) };
    // SAFETY: the same.
    let table = unsafe { instance.table(table) };
    let Some(elements) = part(instance.elems[segment].elements(), from, len) else {
        return leave(TrapCode::TableOutOfBounds);
    };
    if let Err(code) = table.check(at, len) {
        return leave(code);
    }
    sliced(vmctx, (len, 8), false, |start, len| table.init(at + start, elements, start, len))
}

unsafe extern "C" fn elem_drop(
    vmctx: *mut u8,
    segment: u64,
    _: u64,
    _: u64,
    _: u64,
    _: u64,
) -> LibRet {
    // SAFETY: the contract of all helpers.
    unsafe { instance(vmctx) }.elems[segment as usize].drop_elements();
    done(vmctx, Ok(()))
}
