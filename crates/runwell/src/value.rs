//! Values as the host sees them.

use crate::context::AsContext;
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
///
/// ```
/// use runwell::{Engine, Store, Val, ValType};
///
/// # fn main() -> runwell::Result<()> {
/// let store = Store::new(&Engine::default(), ());
/// let half = Val::from(0.5f32);
/// assert_eq!((half.f32(), half.i32()), (Some(0.5), None));
/// assert_eq!(half.ty(&store)?, ValType::F32);
/// assert!(Val::default_for_ty(&ValType::FUNCREF).unwrap().unwrap_funcref().is_none());
/// # Ok(())
/// # }
/// ```
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
    /// Zero, or null, of type `ty`; `None` for references that are never null.
    pub fn default_for_ty(ty: &ValType) -> Option<Val> {
        match ty {
            ValType::Ref(ty) if !ty.is_nullable() => None,
            ty => Some(Val::zero(*ty)),
        }
    }

    /// The value whose bits are all zero.
    pub(crate) fn zero(ty: ValType) -> Val {
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
    pub fn null_ref(heap_type: &HeapType) -> Val {
        match heap_type {
            HeapType::Func => Val::FuncRef(None),
            HeapType::Extern => Val::ExternRef(None),
        }
    }

    /// The null reference to a function.
    pub const fn null_func_ref() -> Val {
        Val::FuncRef(None)
    }

    /// The null reference to something of the host's.
    pub const fn null_extern_ref() -> Val {
        Val::ExternRef(None)
    }

    /// Its type: `funcref` or `externref` for references, null or not.
    ///
    /// # Errors
    /// When it is a reference of another store.
    pub fn ty(&self, store: impl AsContext) -> Result<ValType> {
        self.to_raw(store.as_context().opaque())?;
        Ok(self.kind())
    }

    /// True if it may be used where a `ty` is wanted.
    ///
    /// # Errors
    /// When it is a reference of another store.
    pub fn matches_ty(&self, store: impl AsContext, ty: &ValType) -> Result<bool> {
        self.to_raw(store.as_context().opaque())?;
        Ok(self.matches(*ty))
    }

    /// Its type as far as the value alone says.
    pub(crate) fn kind(&self) -> ValType {
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
                r.heap_type().is_func() && (f.is_some() || r.is_nullable())
            }
            (Val::ExternRef(e), ValType::Ref(r)) => {
                r.heap_type().is_extern() && (e.is_some() || r.is_nullable())
            }
            _ => self.kind() == ty,
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
        self.i32().unwrap_or_else(|| panic!("expected an i32, found {}", self.kind()))
    }

    /// The `i64`.
    ///
    /// # Panics
    /// When it is of another type.
    pub fn unwrap_i64(&self) -> i64 {
        self.i64().unwrap_or_else(|| panic!("expected an i64, found {}", self.kind()))
    }

    /// The `f32`.
    ///
    /// # Panics
    /// When it is of another type.
    pub fn unwrap_f32(&self) -> f32 {
        self.f32().unwrap_or_else(|| panic!("expected an f32, found {}", self.kind()))
    }

    /// The `f64`.
    ///
    /// # Panics
    /// When it is of another type.
    pub fn unwrap_f64(&self) -> f64 {
        self.f64().unwrap_or_else(|| panic!("expected an f64, found {}", self.kind()))
    }

    /// The vector, if it is one.
    pub fn v128(&self) -> Option<V128> {
        if let Val::V128(v) = self { Some(*v) } else { None }
    }

    /// The vector.
    ///
    /// # Panics
    /// When it is of another type.
    pub fn unwrap_v128(&self) -> V128 {
        self.v128().unwrap_or_else(|| panic!("expected a v128, found {}", self.kind()))
    }

    /// The reference, if it is one.
    pub fn ref_(self) -> Option<Ref> {
        match self {
            Val::FuncRef(func) => Some(Ref::Func(func)),
            Val::ExternRef(r) => Some(Ref::Extern(r)),
            _ => None,
        }
    }

    /// The function reference, if it is one: `Some(None)` is null.
    pub fn funcref(&self) -> Option<Option<&Func>> {
        if let Val::FuncRef(func) = self { Some(func.as_ref()) } else { None }
    }

    /// The function referred to, `None` when null.
    ///
    /// # Panics
    /// When it is of another type.
    pub fn unwrap_funcref(&self) -> Option<&Func> {
        self.funcref().unwrap_or_else(|| panic!("expected a funcref, found {}", self.kind()))
    }

    /// The external reference, if it is one: `Some(None)` is null.
    pub fn externref(&self) -> Option<Option<&Rooted<ExternRef>>> {
        if let Val::ExternRef(r) = self { Some(r.as_ref()) } else { None }
    }

    /// The external reference, `None` when null.
    ///
    /// # Panics
    /// When it is of another type.
    pub fn unwrap_externref(&self) -> Option<&Rooted<ExternRef>> {
        self.externref().unwrap_or_else(|| panic!("expected an externref, found {}", self.kind()))
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
    u128, V128, v => V128(v);
    Rooted<ExternRef>, ExternRef, v => Some(v);
    Option<Rooted<ExternRef>>, ExternRef, v => v;
    Func, FuncRef, v => Some(v);
    Option<Func>, FuncRef, v => v;
}

/// A reference: what a table holds.
///
/// ```
/// use runwell::{Engine, Func, HeapType, Ref, RefType, Store};
///
/// # fn main() -> runwell::Result<()> {
/// let mut store = Store::new(&Engine::default(), ());
/// let func = Ref::from(Func::wrap(&mut store, || {}));
/// assert!(func.is_func() && func.matches_ty(&store, &RefType::FUNCREF)?);
/// assert!(Ref::null(&HeapType::Func).is_null());
/// # Ok(())
/// # }
/// ```
#[derive(Copy, Clone, Debug)]
pub enum Ref {
    /// A reference to a function, or null.
    Func(Option<Func>),
    /// A reference to something of the host's, or null.
    Extern(Option<Rooted<ExternRef>>),
}

impl Ref {
    /// The null reference.
    pub fn null(heap_type: &HeapType) -> Ref {
        match heap_type {
            HeapType::Func => Ref::Func(None),
            HeapType::Extern => Ref::Extern(None),
        }
    }

    /// True if it is null.
    pub fn is_null(&self) -> bool {
        matches!(self, Ref::Func(None) | Ref::Extern(None))
    }

    /// True if it is not null.
    pub fn is_non_null(&self) -> bool {
        !self.is_null()
    }

    /// True for references to functions.
    pub fn is_func(&self) -> bool {
        matches!(self, Ref::Func(_))
    }

    /// True for references to things of the host's.
    pub fn is_extern(&self) -> bool {
        matches!(self, Ref::Extern(_))
    }

    /// The function reference, if it is one: `Some(None)` is null.
    pub fn as_func(&self) -> Option<Option<&Func>> {
        if let Ref::Func(func) = self { Some(func.as_ref()) } else { None }
    }

    /// The function referred to, `None` when null.
    ///
    /// # Panics
    /// When it refers to something of the host's.
    pub fn unwrap_func(&self) -> Option<&Func> {
        self.as_func().expect("Ref::unwrap_func on a reference to a function")
    }

    /// The external reference, if it is one: `Some(None)` is null.
    pub fn as_extern(&self) -> Option<Option<&Rooted<ExternRef>>> {
        if let Ref::Extern(r) = self { Some(r.as_ref()) } else { None }
    }

    /// The external reference, `None` when null.
    ///
    /// # Panics
    /// When it refers to a function.
    pub fn unwrap_extern(&self) -> Option<&Rooted<ExternRef>> {
        self.as_extern().expect("Ref::unwrap_extern on a reference to something of the host's")
    }

    /// Its type.
    ///
    /// # Errors
    /// When it belongs to another store.
    pub fn ty(&self, store: impl AsContext) -> Result<RefType> {
        Val::from(*self).to_raw(store.as_context().opaque())?;
        Ok(match self {
            Ref::Func(func) => RefType::new(func.is_none(), HeapType::Func),
            Ref::Extern(r) => RefType::new(r.is_none(), HeapType::Extern),
        })
    }

    /// True if it may be used where a `ty` is wanted.
    ///
    /// # Errors
    /// When it belongs to another store.
    pub fn matches_ty(&self, store: impl AsContext, ty: &RefType) -> Result<bool> {
        Val::from(*self).matches_ty(store, &ValType::Ref(*ty))
    }

    pub(crate) fn to_raw(self, ty: RefType, store: &StoreOpaque) -> Result<u64> {
        let val = Val::from(self);
        if !val.matches(ValType::Ref(ty)) {
            return Err(Error::msg(format!("expected a {ty}, found a {}", val.kind())));
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

impl From<Option<Func>> for Ref {
    fn from(func: Option<Func>) -> Ref {
        Ref::Func(func)
    }
}

impl From<Rooted<ExternRef>> for Ref {
    fn from(r: Rooted<ExternRef>) -> Ref {
        Ref::Extern(Some(r))
    }
}

impl From<Option<Rooted<ExternRef>>> for Ref {
    fn from(r: Option<Rooted<ExternRef>>) -> Ref {
        Ref::Extern(r)
    }
}
