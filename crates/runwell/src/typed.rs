//! Rust types that stand for Wasm types, and calls through them.

use crate::context::{AsContextMut, StoreContextMut};
use crate::func::Func;
use crate::reference::{ExternRef, Rooted};
use crate::store::StoreOpaque;
use crate::transfer::Transfer;
use crate::types::{FuncType, HeapType, RefType, ValType};
use crate::value::{V128, Val};
use crate::{Error, Result};
use std::marker::PhantomData;

/// A Rust type that stands for a Wasm type.
///
/// Implemented for `i32`, `u32`, `i64`, `u64`, `f32`, `f64`, [`V128`], `Option<Func>`, [`Func`],
/// `Option<Rooted<ExternRef>>` and `Rooted<ExternRef>`; not meant to be implemented elsewhere.
pub trait WasmTy: Sized + Send + 'static {
    #[doc(hidden)]
    fn valtype() -> ValType;
    #[doc(hidden)]
    fn into_raw(self, store: &StoreOpaque) -> Result<u128>;
    /// # Safety
    /// A function reference must be null or point to a live record of this store.
    #[doc(hidden)]
    unsafe fn from_raw(store: &StoreOpaque, raw: u128) -> Self;
}

macro_rules! number {
    ($($ty:ty, $valtype:ident, $v:ident => $into:expr, $r:ident => $from:expr;)*) => {$(
        impl WasmTy for $ty {
            fn valtype() -> ValType {
                ValType::$valtype
            }

            #[inline]
            fn into_raw(self, _: &StoreOpaque) -> Result<u128> {
                let $v = self;
                Ok($into)
            }

            #[inline]
            unsafe fn from_raw(_: &StoreOpaque, $r: u128) -> $ty {
                $from
            }
        }
    )*};
}

number! {
    i32, I32, v => u128::from(v as u32), r => r as i32;
    u32, I32, v => u128::from(v), r => r as u32;
    i64, I64, v => u128::from(v as u64), r => r as i64;
    u64, I64, v => u128::from(v), r => r as u64;
    f32, F32, v => u128::from(v.to_bits()), r => f32::from_bits(r as u32);
    f64, F64, v => u128::from(v.to_bits()), r => f64::from_bits(r as u64);
    V128, V128, v => v.as_u128(), r => V128::from(r);
}

impl WasmTy for Option<Func> {
    fn valtype() -> ValType {
        ValType::FUNCREF
    }

    fn into_raw(self, store: &StoreOpaque) -> Result<u128> {
        Val::FuncRef(self).to_raw(store)
    }

    unsafe fn from_raw(store: &StoreOpaque, raw: u128) -> Option<Func> {
        // SAFETY: as demanded of the caller.
        unsafe { Func::from_raw(store, raw as u64) }
    }
}

impl WasmTy for Option<Rooted<ExternRef>> {
    fn valtype() -> ValType {
        ValType::EXTERNREF
    }

    fn into_raw(self, store: &StoreOpaque) -> Result<u128> {
        Val::ExternRef(self).to_raw(store)
    }

    unsafe fn from_raw(store: &StoreOpaque, raw: u128) -> Option<Rooted<ExternRef>> {
        Rooted::from_raw(store, raw as u64)
    }
}

impl WasmTy for Func {
    fn valtype() -> ValType {
        ValType::Ref(RefType::new(false, HeapType::Func))
    }

    fn into_raw(self, store: &StoreOpaque) -> Result<u128> {
        Some(self).into_raw(store)
    }

    unsafe fn from_raw(store: &StoreOpaque, raw: u128) -> Func {
        // SAFETY: as demanded of the caller.
        let func = unsafe { Func::from_raw(store, raw as u64) };
        func.expect("a value of a type without null")
    }
}

impl WasmTy for Rooted<ExternRef> {
    fn valtype() -> ValType {
        ValType::Ref(RefType::new(false, HeapType::Extern))
    }

    fn into_raw(self, store: &StoreOpaque) -> Result<u128> {
        Some(self).into_raw(store)
    }

    unsafe fn from_raw(store: &StoreOpaque, raw: u128) -> Rooted<ExternRef> {
        Rooted::from_raw(store, raw as u64).expect("a value of a type without null")
    }
}

/// Parameters: `()`, one [`WasmTy`], or a tuple of up to 16.
pub trait WasmParams: Send {
    #[doc(hidden)]
    const COUNT: usize;
    #[doc(hidden)]
    fn valtypes() -> Vec<ValType>;
    #[doc(hidden)]
    fn put(self, store: &StoreOpaque, to: &mut Transfer<'_>) -> Result<()>;
    /// # Safety
    /// As for [`WasmTy::from_raw`].
    #[doc(hidden)]
    unsafe fn take(store: &StoreOpaque, from: &mut Transfer<'_>) -> Self;
}

/// Results: `()`, one [`WasmTy`], or a tuple of up to 16.
pub trait WasmResults: WasmParams {}

impl<P: WasmParams> WasmResults for P {}

impl<A: WasmTy> WasmParams for A {
    const COUNT: usize = 1;

    fn valtypes() -> Vec<ValType> {
        vec![A::valtype()]
    }

    #[inline]
    fn put(self, store: &StoreOpaque, to: &mut Transfer<'_>) -> Result<()> {
        let raw = self.into_raw(store)?;
        to.put(A::valtype().machine(), raw);
        Ok(())
    }

    #[inline]
    unsafe fn take(store: &StoreOpaque, from: &mut Transfer<'_>) -> A {
        let raw = from.take(A::valtype().machine());
        // SAFETY: as demanded of the caller.
        unsafe { A::from_raw(store, raw) }
    }
}

macro_rules! tuple {
    ($($name:ident)*) => {
        impl<$($name: WasmTy),*> WasmParams for ($($name,)*) {
            const COUNT: usize = <[&str]>::len(&[$(stringify!($name)),*]);

            fn valtypes() -> Vec<ValType> {
                vec![$($name::valtype()),*]
            }

            #[inline]
            #[allow(non_snake_case, unused_variables)]
            fn put(self, store: &StoreOpaque, to: &mut Transfer<'_>) -> Result<()> {
                let ($($name,)*) = self;
                $(
                    let raw = $name.into_raw(store)?;
                    to.put($name::valtype().machine(), raw);
                )*
                Ok(())
            }

            #[inline]
            #[allow(non_snake_case, unused_variables, clippy::unused_unit)]
            unsafe fn take(store: &StoreOpaque, from: &mut Transfer<'_>) -> Self {
                $(
                    let raw = from.take($name::valtype().machine());
                    // SAFETY: as demanded of the caller.
                    let $name = unsafe { $name::from_raw(store, raw) };
                )*
                ($($name,)*)
            }
        }
    };
}

macro_rules! for_each_tuple {
    ($mac:ident) => {
        $mac!();
        $mac!(A1);
        $mac!(A1 A2);
        $mac!(A1 A2 A3);
        $mac!(A1 A2 A3 A4);
        $mac!(A1 A2 A3 A4 A5);
        $mac!(A1 A2 A3 A4 A5 A6);
        $mac!(A1 A2 A3 A4 A5 A6 A7);
        $mac!(A1 A2 A3 A4 A5 A6 A7 A8);
        $mac!(A1 A2 A3 A4 A5 A6 A7 A8 A9);
        $mac!(A1 A2 A3 A4 A5 A6 A7 A8 A9 A10);
        $mac!(A1 A2 A3 A4 A5 A6 A7 A8 A9 A10 A11);
        $mac!(A1 A2 A3 A4 A5 A6 A7 A8 A9 A10 A11 A12);
        $mac!(A1 A2 A3 A4 A5 A6 A7 A8 A9 A10 A11 A12 A13);
        $mac!(A1 A2 A3 A4 A5 A6 A7 A8 A9 A10 A11 A12 A13 A14);
        $mac!(A1 A2 A3 A4 A5 A6 A7 A8 A9 A10 A11 A12 A13 A14 A15);
        $mac!(A1 A2 A3 A4 A5 A6 A7 A8 A9 A10 A11 A12 A13 A14 A15 A16);
    };
}
pub(crate) use for_each_tuple;

for_each_tuple!(tuple);

/// What a host function may return: results, or a `Result` of them.
pub trait WasmRet {
    #[doc(hidden)]
    type Results: WasmResults;
    #[doc(hidden)]
    fn into_result(self) -> Result<Self::Results>;
}

impl<R: WasmResults> WasmRet for R {
    type Results = R;

    #[inline]
    fn into_result(self) -> Result<R> {
        Ok(self)
    }
}

impl<R: WasmResults, E: Into<Error>> WasmRet for core::result::Result<R, E> {
    type Results = R;

    #[inline]
    fn into_result(self) -> Result<R> {
        self.map_err(Into::into)
    }
}

/// An error unless a function of type `ty` can be called with `P` and gives `R`.
pub(crate) fn check_type<P: WasmParams, R: WasmResults>(ty: &FuncType) -> Result<()> {
    let (params, results) = (P::valtypes(), R::valtypes());
    let same_params = params.len() == ty.params().len()
        && params.iter().zip(ty.params()).all(|(host, guest)| host.matches(&guest));
    let same_results = results.len() == ty.results().len()
        && results.iter().zip(ty.results()).all(|(host, guest)| guest.matches(host));
    if same_params && same_results {
        return Ok(());
    }
    let wanted = FuncType::of(params, results);
    let what = if same_params { "results" } else { "parameters" };
    Err(Error::msg(format!("expected {wanted}, found {ty}"))
        .context(format!("type mismatch with {what}")))
}

pub(crate) fn func_type<P: WasmParams, R: WasmResults>() -> FuncType {
    FuncType::of(P::valtypes(), R::valtypes())
}

/// A function whose type has been checked once, for calls without boxing.
///
/// ```
/// use runwell::{Engine, Instance, Module, Store, TypedFunc};
///
/// # fn main() -> runwell::Result<()> {
/// let engine = Engine::default();
/// let module = Module::new(
///     &engine,
///     r#"(module (func (export "divide") (param i64 i64) (result i64 i64)
///         (i64.div_u (local.get 0) (local.get 1))
///         (i64.rem_u (local.get 0) (local.get 1))))"#,
/// )?;
/// let mut store = Store::new(&engine, ());
/// let instance = Instance::new(&mut store, &module, &[])?;
/// let divide: TypedFunc<(u64, u64), (u64, u64)> = instance.get_typed_func(&mut store, "divide")?;
/// assert_eq!(divide.call(&mut store, (17, 5))?, (3, 2));
/// assert!(instance.get_typed_func::<i32, ()>(&mut store, "divide").is_err());
/// # Ok(())
/// # }
/// ```
pub struct TypedFunc<Params, Results> {
    func: Func,
    types: PhantomData<fn(Params) -> Results>,
}

impl<P, R> Copy for TypedFunc<P, R> {}

impl<P, R> Clone for TypedFunc<P, R> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<P: WasmParams, R: WasmResults> TypedFunc<P, R> {
    /// # Safety
    /// `func` is of type `P -> R`.
    pub(crate) unsafe fn new_unchecked(func: Func) -> TypedFunc<P, R> {
        TypedFunc { func, types: PhantomData }
    }

    /// The function.
    pub fn func(&self) -> &Func {
        &self.func
    }

    /// Calls it.
    ///
    /// # Errors
    /// What stopped the guest: a [`crate::Trap`] or an error of a host function, with a
    /// [`crate::WasmBacktrace`].
    ///
    /// # Panics
    /// When the function belongs to another store.
    pub fn call(&self, mut store: impl AsContextMut, params: P) -> Result<R> {
        let mut store: StoreContextMut<'_, _> = store.as_context_mut();
        // SAFETY: the type was checked when this was made.
        unsafe { self.func.call_typed(store.opaque(), params) }
    }
}
