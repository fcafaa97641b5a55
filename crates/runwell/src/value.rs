//! Values as the host sees them.

use crate::func::Func;
use crate::reference::{ExternRef, Rooted};
use crate::store::StoreOpaque;
use crate::types::{HeapType, RefType, ValType};
use crate::{Error, Result};
use core::fmt;

/// A 128-bit vector.
#[derive(Copy, Clone, PartialEq, Eq, Hash)]
pub struct V128(u128);

impl V128 {
    /// The value as an integer, lane 0 lowest.
    pub fn as_u128(self) -> u128 {
        self.0
    }
}

impl From<u128> for V128 {
    fn from(bits: u128) -> V128 {
        V128(bits)
    }
}

impl From<V128> for u128 {
    fn from(v: V128) -> u128 {
        v.0
    }
}

impl fmt::Debug for V128 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#034x}", self.0)
    }
}

/// A value. Floats are held as their bits, so that NaN payloads survive.
#[derive(Copy, Clone, Debug)]
pub enum Val {
    /// A 32-bit integer.
    I32(i32),
    /// A 64-bit integer.
    I64(i64),
    /// The bits of a binary32 number.
    F32(u32),
    /// The bits of a binary64 number.
    F64(u64),
    /// A 128-bit vector.
    V128(V128),
    /// A reference to a function, or null.
    FuncRef(Option<Func>),
    /// A reference to something of the host's, or null.
    ExternRef(Option<Rooted<ExternRef>>),
}

impl Val {
    /// Zero, or null, of type `ty`.
    pub fn default_for_ty(ty: ValType) -> Val {
        match ty {
            ValType::I32 => Val::I32(0),
            ValType::I64 => Val::I64(0),
            ValType::F32 => Val::F32(0),
            ValType::F64 => Val::F64(0),
            ValType::V128 => Val::V128(V128(0)),
            ValType::Ref(ty) => Val::null_ref(ty.heap_type()),
        }
    }

    /// The null reference.
    pub fn null_ref(heap_type: HeapType) -> Val {
        match heap_type {
            HeapType::Func => Val::FuncRef(None),
            HeapType::Extern => Val::ExternRef(None),
        }
    }

    /// Its type.
    pub fn ty(&self) -> ValType {
        match self {
            Val::I32(_) => ValType::I32,
            Val::I64(_) => ValType::I64,
            Val::F32(_) => ValType::F32,
            Val::F64(_) => ValType::F64,
            Val::V128(_) => ValType::V128,
            Val::FuncRef(_) => ValType::FUNCREF,
            Val::ExternRef(_) => ValType::EXTERNREF,
        }
    }

    /// True if it may be used where a `ty` is wanted.
    pub(crate) fn matches(&self, ty: ValType) -> bool {
        match (self, ty) {
            (Val::FuncRef(f), ValType::Ref(r)) => {
                r.heap_type() == HeapType::Func && (f.is_some() || r.is_nullable())
            }
            (Val::ExternRef(e), ValType::Ref(r)) => {
                r.heap_type() == HeapType::Extern && (e.is_some() || r.is_nullable())
            }
            _ => self.ty() == ty,
        }
    }

    /// Its bits as generated code holds them.
    pub(crate) fn to_raw(self, store: &StoreOpaque) -> Result<u128> {
        Ok(match self {
            Val::I32(v) => u128::from(v as u32),
            Val::I64(v) => u128::from(v as u64),
            Val::F32(v) => u128::from(v),
            Val::F64(v) => u128::from(v),
            Val::V128(v) => v.0,
            Val::FuncRef(None) | Val::ExternRef(None) => 0,
            Val::FuncRef(Some(func)) => u128::from(func.to_raw(store)?),
            Val::ExternRef(Some(r)) => u128::from(r.to_raw(store)?),
        })
    }

    /// The value with these bits.
    ///
    /// # Safety
    /// A function reference must be null or point to a live record of this store.
    pub(crate) unsafe fn from_raw(store: &StoreOpaque, ty: ValType, bits: u128) -> Val {
        match ty {
            ValType::I32 => Val::I32(bits as i32),
            ValType::I64 => Val::I64(bits as i64),
            ValType::F32 => Val::F32(bits as u32),
            ValType::F64 => Val::F64(bits as u64),
            ValType::V128 => Val::V128(V128(bits)),
            ValType::Ref(r) => match r.heap_type() {
                // SAFETY: as demanded of the caller.
                HeapType::Func => Val::FuncRef(unsafe { Func::from_raw(store, bits as u64) }),
                HeapType::Extern => Val::ExternRef(Rooted::from_raw(store, bits as u64)),
            },
        }
    }

    /// The `i32`, if it is one.
    pub fn i32(&self) -> Option<i32> {
        if let Val::I32(v) = self { Some(*v) } else { None }
    }

    /// The `i64`, if it is one.
    pub fn i64(&self) -> Option<i64> {
        if let Val::I64(v) = self { Some(*v) } else { None }
    }

    /// The `f32`, if it is one.
    pub fn f32(&self) -> Option<f32> {
        if let Val::F32(v) = self { Some(f32::from_bits(*v)) } else { None }
    }

    /// The `f64`, if it is one.
    pub fn f64(&self) -> Option<f64> {
        if let Val::F64(v) = self { Some(f64::from_bits(*v)) } else { None }
    }

    /// The `i32`.
    ///
    /// # Panics
    /// When it is of another type.
    pub fn unwrap_i32(&self) -> i32 {
        self.i32().unwrap_or_else(|| panic!("expected an i32, found {}", self.ty()))
    }

    /// The `i64`.
    ///
    /// # Panics
    /// When it is of another type.
    pub fn unwrap_i64(&self) -> i64 {
        self.i64().unwrap_or_else(|| panic!("expected an i64, found {}", self.ty()))
    }

    /// The `f32`.
    ///
    /// # Panics
    /// When it is of another type.
    pub fn unwrap_f32(&self) -> f32 {
        self.f32().unwrap_or_else(|| panic!("expected an f32, found {}", self.ty()))
    }

    /// The `f64`.
    ///
    /// # Panics
    /// When it is of another type.
    pub fn unwrap_f64(&self) -> f64 {
        self.f64().unwrap_or_else(|| panic!("expected an f64, found {}", self.ty()))
    }
}

macro_rules! from_number {
    ($($ty:ty, $variant:ident, $v:ident => $e:expr;)*) => {$(
        impl From<$ty> for Val {
            fn from($v: $ty) -> Val {
                Val::$variant($e)
            }
        }
    )*};
}

from_number! {
    i32, I32, v => v;
    u32, I32, v => v as i32;
    i64, I64, v => v;
    u64, I64, v => v as i64;
    f32, F32, v => v.to_bits();
    f64, F64, v => v.to_bits();
    V128, V128, v => v;
    Func, FuncRef, v => Some(v);
    Option<Func>, FuncRef, v => v;
}

/// A reference: what a table holds.
#[derive(Copy, Clone, Debug)]
pub enum Ref {
    /// A reference to a function, or null.
    Func(Option<Func>),
    /// A reference to something of the host's, or null.
    Extern(Option<Rooted<ExternRef>>),
}

impl Ref {
    /// True if it is null.
    pub fn is_null(&self) -> bool {
        matches!(self, Ref::Func(None) | Ref::Extern(None))
    }

    pub(crate) fn to_raw(self, ty: RefType, store: &StoreOpaque) -> Result<u64> {
        let val = Val::from(self);
        if !val.matches(ValType::Ref(ty)) {
            return Err(Error::msg(format!("expected a {ty}, found a {}", val.ty())));
        }
        Ok(val.to_raw(store)? as u64)
    }

    /// # Safety
    /// As for [`Val::from_raw`].
    pub(crate) unsafe fn from_raw(store: &StoreOpaque, ty: RefType, bits: u64) -> Ref {
        // SAFETY: as demanded of the caller.
        match unsafe { Val::from_raw(store, ValType::Ref(ty), u128::from(bits)) } {
            Val::ExternRef(r) => Ref::Extern(r),
            Val::FuncRef(f) => Ref::Func(f),
            _ => unreachable!("a reference type gives a reference"),
        }
    }
}

impl From<Ref> for Val {
    fn from(r: Ref) -> Val {
        match r {
            Ref::Func(f) => Val::FuncRef(f),
            Ref::Extern(e) => Val::ExternRef(e),
        }
    }
}

impl From<Func> for Ref {
    fn from(func: Func) -> Ref {
        Ref::Func(Some(func))
    }
}
