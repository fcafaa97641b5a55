//! What can happen between guests and host, without addresses.

use crate::state::StateHash;
use crate::state::refs::{RefId, RefIds};
use crate::store::StoreOpaque;
use crate::types::{FuncType, GlobalType, MemoryType, RefType, TableType, ValType};
use crate::{Error, Suspend, Trap};
use std::fmt;
use std::sync::Arc;

/// A value, with what references refer to.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Value {
    /// An `i32`.
    I32(u32),
    /// An `i64`.
    I64(u64),
    /// The bits of an `f32`.
    F32(u32),
    /// The bits of an `f64`.
    F64(u64),
    /// The bits of a `v128`.
    V128(u128),
    /// A reference to a function, or null.
    Func(RefId),
    /// A reference to something of the host's, or null.
    Extern(RefId),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Value::I32(v) => write!(f, "{}", v as i32),
            Value::I64(v) => write!(f, "{}", v as i64),
            Value::F32(v) => write!(f, "{:?}", f32::from_bits(v)),
            Value::F64(v) => write!(f, "{:?}", f64::from_bits(v)),
            Value::V128(v) => write!(f, "{v:#034x}"),
            Value::Func(RefId::Null) | Value::Extern(RefId::Null) => f.write_str("null"),
            Value::Func(RefId::Func { instance, func }) => {
                write!(f, "function {func} of instance {instance}")
            }
            Value::Func(id) => write!(f, "{id:?}"),
            Value::Extern(RefId::Object(number)) => write!(f, "object {number}"),
            Value::Extern(id) => write!(f, "{id:?}"),
        }
    }
}

impl Value {
    /// The value of type `ty` with these bits.
    ///
    /// # Safety
    /// References are of `store`, of which `refs` was made.
    pub(crate) unsafe fn new(store: &StoreOpaque, refs: &RefIds, ty: ValType, bits: u128) -> Value {
        match ty {
            ValType::I32 => Value::I32(bits as u32),
            ValType::I64 => Value::I64(bits as u64),
            ValType::F32 => Value::F32(bits as u32),
            ValType::F64 => Value::F64(bits as u64),
            ValType::V128 => Value::V128(bits),
            ValType::Ref(ty) => {
                let is_func = ty.heap_type().is_func();
                // SAFETY: the contract.
                let id = unsafe { refs.of(store, is_func, bits as u64) };
                if is_func { Value::Func(id) } else { Value::Extern(id) }
            }
        }
    }

    /// The bits of this value in `store`, if it is one of type `ty` and what it refers to is there.
    pub(crate) fn bits(self, store: &StoreOpaque, ty: ValType) -> Option<u128> {
        Some(match (self, ty) {
            (Value::I32(v), ValType::I32) | (Value::F32(v), ValType::F32) => v.into(),
            (Value::I64(v), ValType::I64) | (Value::F64(v), ValType::F64) => v.into(),
            (Value::V128(v), ValType::V128) => v,
            (Value::Func(id), ValType::Ref(ty)) if ty.heap_type().is_func() => {
                reference(store, id, ty)?
            }
            (Value::Extern(id), ValType::Ref(ty)) if ty.heap_type().is_extern() => {
                reference(store, id, ty)?
            }
            _ => return None,
        })
    }
}

fn reference(store: &StoreOpaque, id: RefId, ty: RefType) -> Option<u128> {
    let fits = match id {
        RefId::Null => ty.is_nullable(),
        RefId::Func { .. } | RefId::Host(_) => ty.heap_type().is_func(),
        RefId::Object(_) => ty.heap_type().is_extern(),
    };
    if fits { id.bits(store).map(u128::from) } else { None }
}

/// How a call ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// It returned these results.
    Values(Vec<Value>),
    /// It trapped.
    Trap(Trap),
    /// A host function gave an error, which says this.
    Error(String),
    /// A host function asks for its caller to be suspended, with [`crate::Suspend`]. How calls of guests
    /// end it never is: they are suspended ([`Event::Suspended`]), or it is an error like any other.
    Suspend,
}

impl Outcome {
    /// The outcome that an error is.
    pub(crate) fn of_error(error: &Error) -> Outcome {
        match error.downcast_ref::<Trap>() {
            Some(&trap) => Outcome::Trap(trap),
            None => Outcome::Error(error.root_cause().to_string()),
        }
    }

    /// The outcome of a host function that an error is.
    pub(crate) fn of_host_error(error: &Error) -> Outcome {
        match error.downcast_ref::<Suspend>() {
            Some(suspend) if suspend.is_asked() => Outcome::Suspend,
            _ => Outcome::of_error(error),
        }
    }
}

/// What a suspended call waits for.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Wait {
    /// More fuel.
    Fuel,
    /// The answer of the host function that suspended it.
    Answer,
}

/// What stands for an import.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Import {
    /// A function.
    Func(RefId),
    /// A memory of the store, by the order in which they were made; tables and globals likewise.
    Memory(u32),
    /// A table.
    Table(u32),
    /// A global.
    Global(u32),
}

/// Settings of the engine and the store on which results depend.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Setup {
    /// Names and values, ascending.
    pub settings: Vec<(String, u64)>,
}

/// Something that happened. What is made in a store is numbered in the order in which it was made, each
/// kind for itself.
///
/// Whatever the host does is told before it is done and has the outcome that it has by the state of the
/// store.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub enum Event {
    /// The recording begins, in an empty store.
    Start(Setup),
    /// A module that is used for the first time, in the binary form. Modules are numbered, too.
    Module(Arc<[u8]>),
    /// The host makes a memory.
    NewMemory(MemoryType),
    /// The host makes a table with this in all elements.
    NewTable(TableType, Value),
    /// The host makes a global.
    NewGlobal(GlobalType, Value),
    /// The host puts a function into the store.
    NewHostFunc(FuncType),
    /// The host puts an object into the store.
    NewObject,
    /// The host sets a limiter.
    Limited,
    /// The host instantiates a module.
    Instantiate {
        /// Its number.
        module: u32,
        /// What stands for its imports.
        imports: Vec<Import>,
    },
    /// That is done, start function included.
    Instantiated(Outcome),
    /// The host grows a memory by this many pages.
    MemoryGrow {
        /// Which one.
        memory: u32,
        /// By how much.
        delta: u64,
    },
    /// The host has written into a memory.
    MemoryWrite {
        /// Which one.
        memory: u32,
        /// Where.
        at: u64,
        /// What.
        bytes: Vec<u8>,
    },
    /// The host grows a table.
    TableGrow {
        /// Which one.
        table: u32,
        /// By how many elements.
        delta: u64,
        /// What they are.
        init: Value,
    },
    /// The host sets elements of a table.
    TableFill {
        /// Which one.
        table: u32,
        /// From which element on.
        at: u64,
        /// To what.
        value: Value,
        /// How many.
        len: u64,
    },
    /// The host copies elements between tables.
    TableCopy {
        /// Which one is written to.
        to: u32,
        /// From which element on.
        at: u64,
        /// Which one is read.
        table: u32,
        /// From which element on.
        from: u64,
        /// How many.
        len: u64,
    },
    /// The host sets a global.
    GlobalSet {
        /// Which one.
        global: u32,
        /// To what.
        value: Value,
    },
    /// The host sets the fuel left.
    SetFuel(u64),
    /// The limiter was asked and gave this answer: yes, no, or an error.
    Answer(Result<bool, String>),
    /// The host calls a function.
    Invoke {
        /// Which one.
        func: RefId,
        /// With what.
        args: Vec<Value>,
        /// The call may be suspended ([`crate::Func::call_resumable`]).
        resumable: bool,
    },
    /// That call has ended.
    Done {
        /// How.
        outcome: Outcome,
        /// The fuel left then, if it is metered.
        fuel: Option<u64>,
    },
    /// A guest, or the host itself, calls a host function.
    HostCall {
        /// Which one.
        func: u32,
        /// With what.
        args: Vec<Value>,
        /// The fuel left then, if it is metered.
        fuel: Option<u64>,
    },
    /// That call has ended.
    HostDone(Outcome),
    /// The call that the host began is suspended.
    Suspended {
        /// Until when.
        wait: Wait,
        /// The fuel left then, if it is metered.
        fuel: Option<u64>,
    },
    /// The host goes on with it.
    Resume {
        /// What the host function that suspended it returns, if it waits for that.
        answer: Vec<Value>,
    },
    /// The host gives the suspended call up.
    Cancel,
    /// A host function panicked; nothing was recorded after that.
    Panicked,
    /// The recording was ended.
    End {
        /// The hash of the store's state then.
        hash: StateHash,
        /// What the embedder wants to find there.
        note: Vec<u8>,
    },
}
