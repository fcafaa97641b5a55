//! Script values against the engine's.

use runwell::{ExternRef, Store, Val};
use wast::core::{AbstractHeapType, HeapType, NanPattern, WastArgCore, WastRetCore};
use wast::{WastArg, WastRet};

/// The value an argument stands for; `None` if its type is not implemented.
pub(crate) fn argument(store: &mut Store<()>, arg: &WastArg<'_>) -> Option<Val> {
    let WastArg::Core(arg) = arg else { return None };
    Some(match arg {
        WastArgCore::I32(v) => Val::I32(*v),
        WastArgCore::I64(v) => Val::I64(*v),
        WastArgCore::F32(v) => Val::F32(v.bits),
        WastArgCore::F64(v) => Val::F64(v.bits),
        WastArgCore::RefNull(heap) => null(heap)?,
        WastArgCore::RefExtern(n) => {
            Val::ExternRef(Some(ExternRef::new(store, *n).expect("a handle is always to be had")))
        }
        WastArgCore::V128(_) | WastArgCore::RefHost(_) => return None,
    })
}

fn null(heap: &HeapType<'_>) -> Option<Val> {
    match heap {
        HeapType::Abstract { shared: false, ty: AbstractHeapType::Func } => {
            Some(Val::FuncRef(None))
        }
        HeapType::Abstract { shared: false, ty: AbstractHeapType::Extern } => {
            Some(Val::ExternRef(None))
        }
        _ => None,
    }
}

/// Whether `val` is what the script wants; `None` if the pattern's type is not implemented.
pub(crate) fn matches(store: &Store<()>, val: &Val, want: &WastRet<'_>) -> Option<bool> {
    match want {
        WastRet::Core(want) => matches_core(store, val, want),
        _ => None,
    }
}

fn matches_core(store: &Store<()>, val: &Val, want: &WastRetCore<'_>) -> Option<bool> {
    Some(match (want, val) {
        (WastRetCore::I32(want), Val::I32(v)) => want == v,
        (WastRetCore::I64(want), Val::I64(v)) => want == v,
        (WastRetCore::F32(want), Val::F32(bits)) => match want {
            NanPattern::Value(want) => want.bits == *bits,
            NanPattern::CanonicalNan => bits & 0x7fff_ffff == 0x7fc0_0000,
            NanPattern::ArithmeticNan => bits & 0x7fc0_0000 == 0x7fc0_0000,
        },
        (WastRetCore::F64(want), Val::F64(bits)) => match want {
            NanPattern::Value(want) => want.bits == *bits,
            NanPattern::CanonicalNan => bits & (u64::MAX >> 1) == 0x7ff8 << 48,
            NanPattern::ArithmeticNan => bits & (0x7ff8 << 48) == 0x7ff8 << 48,
        },
        (WastRetCore::RefNull(None), Val::FuncRef(None) | Val::ExternRef(None)) => true,
        (WastRetCore::RefNull(Some(heap)), _) => match (null(heap)?, val) {
            (Val::FuncRef(_), Val::FuncRef(found)) => found.is_none(),
            (Val::ExternRef(_), Val::ExternRef(found)) => found.is_none(),
            _ => false,
        },
        (WastRetCore::RefExtern(want), Val::ExternRef(Some(found))) => match want {
            None => true,
            Some(want) => {
                found.data(store).ok().flatten().and_then(|data| data.downcast_ref::<u32>())
                    == Some(want)
            }
        },
        (WastRetCore::RefFunc(None), Val::FuncRef(Some(_))) => true,
        (WastRetCore::Either(cases), _) => {
            let mut any = false;
            for case in cases {
                any |= matches_core(store, val, case)?;
            }
            any
        }
        (
            WastRetCore::V128(_)
            | WastRetCore::RefHost(_)
            | WastRetCore::RefAny
            | WastRetCore::RefEq
            | WastRetCore::RefArray
            | WastRetCore::RefStruct
            | WastRetCore::RefI31
            | WastRetCore::RefI31Shared
            | WastRetCore::RefFunc(Some(_)),
            _,
        ) => return None,
        _ => false,
    })
}

/// A value for a message: integers in decimal, floats with their bits.
pub(crate) fn show(val: &Val) -> String {
    match val {
        Val::I32(v) => format!("i32 {v}"),
        Val::I64(v) => format!("i64 {v}"),
        Val::F32(bits) => format!("f32 {} ({bits:#010x})", f32::from_bits(*bits)),
        Val::F64(bits) => format!("f64 {} ({bits:#018x})", f64::from_bits(*bits)),
        Val::FuncRef(None) | Val::ExternRef(None) => "null".to_string(),
        Val::FuncRef(Some(_)) => "a non-null funcref".to_string(),
        Val::ExternRef(Some(_)) => "a non-null externref".to_string(),
        Val::V128(bits) => format!("{bits:?}"),
    }
}
