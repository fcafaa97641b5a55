//! Operators of one to three bytes, one on the result of the other: nothing stands between them that
//! would thin out what they cost.

use crate::build::{L, P32, P64, PF, Sink, Wasm, at, base, in_memory, one};
use crate::declare;
use wasm_encoder::ValType::{F64, I32, I64};
use wasm_encoder::{ConstExpr, Elements, ValType};

/// `n` steps that each take an `i32` and leave one.
fn on_i32(n: usize, mut step: impl FnMut(&mut Sink<'_>, u32)) -> Vec<u8> {
    one(&[(1, I32)], |f| {
        f.local_get(P32);
        (0..n as u32).for_each(|i| step(f, i));
        f.global_set(0);
    })
}

/// `n` steps that each take an `i64` and leave one.
fn on_i64(n: usize, mut step: impl FnMut(&mut Sink<'_>, u32)) -> Vec<u8> {
    one(&[(1, I64)], |f| {
        f.local_get(P64);
        (0..n as u32).for_each(|i| step(f, i));
        f.global_set(1);
    })
}

/// `n` steps that each take an `f64` and leave one.
fn on_f64(n: usize, mut step: impl FnMut(&mut Sink<'_>, u32)) -> Vec<u8> {
    one(&[(1, F64)], |f| {
        f.local_get(PF);
        (0..n as u32).for_each(|i| step(f, i));
        f.global_set(3);
    })
}

/// Operators of functions that are many rather than large.
const SMALL: usize = 12;

/// A module with tables of functions and a function `[] -> [i32]` in them, of type 0.
fn with_table() -> Wasm {
    let mut wasm = base();
    let table = wasm.table(16);
    let nullary = wasm.ty(&[], &[I32]);
    let callee = wasm.func(nullary, &[], |f| {
        f.i32_const(0);
    });
    let funcs = [callee];
    let offset = ConstExpr::i32_const(0);
    wasm.elements.active(Some(table), &offset, Elements::Functions(funcs.as_slice().into()));
    wasm
}

declare! {
    dense_sqrt: "roots of roots",
    |_, n| on_f64(n, |f, _| { f.f64_sqrt(); });
    dense_round: "rounding of what was rounded, in all directions",
    |_, n| on_f64(n, |f, i| match i % 4 {
        0 => _ = f.f64_nearest(),
        1 => _ = f.f64_ceil(),
        2 => _ = f.f64_floor(),
        _ => _ = f.f64_trunc(),
    });
    dense_popcnt: "counts of the bits of counts",
    |_, n| on_i64(n, |f, _| { f.i64_popcnt(); });
    dense_clz: "leading and trailing zeros of such counts",
    |_, n| on_i64(n, |f, i| { if i % 2 == 0 { f.i64_clz() } else { f.i64_ctz() }; });
    dense_clz32: "leading and trailing zeros of such counts, of 32 bits",
    |_, n| on_i32(n, |f, i| { if i % 2 == 0 { f.i32_clz() } else { f.i32_ctz() }; });
    dense_extend: "extensions of counts of bits",
    |_, n| on_i64(n, |f, _| { f.i32_wrap_i64().i32_ctz().i64_extend_i32_s().i64_ctz(); });
    dense_trunc_u64: "floats to unsigned 64-bit numbers, with a trap, and back",
    |_, n| on_f64(n, |f, _| { f.i64_trunc_f64_u().f64_convert_i64_u(); });
    dense_trunc_u64_f32: "singles to unsigned 64-bit numbers, with a trap, and back",
    |_, n| on_i64(n, |f, _| { f.f32_convert_i64_u().i64_trunc_f32_u(); });
    dense_trunc_small: "small functions of floats to unsigned 64-bit numbers and back",
    |_, n| {
        let mut wasm = base();
        let unary = wasm.ty(&[F64], &[F64]);
        for _ in 0..n.div_ceil(SMALL) {
            wasm.func(unary, &[], |f| {
                f.local_get(0);
                (0..SMALL).for_each(|_| { f.i64_trunc_f64_u().f64_convert_i64_u(); });
            });
        }
        wasm.finish()
    };
    dense_trunc_s64: "floats to signed 64-bit numbers, with a trap, and back",
    |_, n| on_f64(n, |f, _| { f.i64_trunc_f64_s().f64_convert_i64_s(); });
    dense_trunc_s32: "floats to signed 32-bit numbers, with a trap, and back",
    |_, n| on_f64(n, |f, _| { f.i32_trunc_f64_s().f64_convert_i32_s(); });
    dense_trunc_u32: "floats to unsigned 32-bit numbers, with a trap, and back",
    |_, n| on_f64(n, |f, _| { f.i32_trunc_f64_u().f64_convert_i32_u(); });
    dense_sat_u64: "saturating floats to unsigned 64-bit numbers, and back",
    |_, n| on_f64(n, |f, _| { f.i64_trunc_sat_f64_u().f64_convert_i64_u(); });
    dense_sat_s64: "saturating floats to signed 64-bit numbers, and back",
    |_, n| on_f64(n, |f, _| { f.i64_trunc_sat_f64_s().f64_convert_i64_s(); });
    dense_convert_u64: "unsigned 64-bit numbers to floats, read as numbers again",
    |_, n| on_i64(n, |f, _| { f.f64_convert_i64_u().i64_reinterpret_f64(); });
    dense_resize: "doubles to singles and back",
    |_, n| on_f64(n, |f, _| { f.f32_demote_f64().f64_promote_f32(); });
    dense_bitcast: "roots read as numbers, and these as floats",
    |_, n| on_f64(n, |f, _| { f.f64_sqrt().i64_reinterpret_f64().f64_reinterpret_i64(); });
    dense_sign: "negated roots: each NaN is put right",
    |_, n| on_f64(n, |f, _| { f.f64_sqrt().f64_neg(); });
    dense_nan_stores: "one float that may be a NaN, seen again and again",
    |_, n| one(&[(1, F64)], |f| {
        f.local_get(PF).f64_sqrt().local_set(L);
        (0..n).for_each(|_| { f.local_get(L).i64_reinterpret_f64().global_set(1); });
    });
    dense_call_float: "calls with roots: each NaN is put right",
    |_, n| {
        let mut wasm = base();
        let unary = wasm.ty(&[F64], &[F64]);
        let callee = wasm.func(unary, &[], |f| { f.local_get(0); });
        wasm.func(unary, &[], |f| {
            f.local_get(0);
            (0..n).for_each(|_| { f.f64_sqrt().call(callee); });
        });
        wasm.finish()
    };
    dense_call_results: "calls that give as many values as registers hold, and are given them",
    |_, n| {
        let mut wasm = base();
        let types = [I32, F64, I32, F64, I32, F64, I32, F64];
        let same = wasm.ty(&types, &types);
        let callee = wasm.func(same, &[], |f| { f.unreachable(); });
        wasm.func(same, &[], |f| {
            (0..8).for_each(|x| { f.local_get(x); });
            (0..n).for_each(|_| { f.call(callee); });
        });
        wasm.finish()
    };
    dense_call_patterns: "calls that each give another list of results",
    |bytes, n| {
        let mut wasm = base();
        let callees: Vec<(u32, usize)> = (0..(bytes / 128).clamp(4, 120))
            .map(|bits| {
                let kind = |at: usize| if bits >> at & 1 == 0 { I32 } else { F64 };
                let results: Vec<_> = (0..1 + bits % 8).map(kind).collect();
                let ty = wasm.ty(&[], &results);
                (wasm.func(ty, &[], |f| { f.unreachable(); }), results.len())
            })
            .collect();
        let ty = wasm.ty(&[], &[]);
        wasm.func(ty, &[], |f| {
            for i in 0..n {
                let (callee, results) = callees[i % callees.len()];
                f.call(callee);
                (0..results).for_each(|_| { f.drop(); });
            }
        });
        wasm.finish()
    };
    dense_load: "loads from what was loaded",
    |_, n| on_i32(n, |f, _| { f.i32_load(at(0, 0)); });
    dense_load_bytes: "loads of bytes from what was loaded",
    |_, n| on_i32(n, |f, i| { if i % 2 == 0 { f.i32_load8_s(at(0, 0)) } else { f.i32_load16_s(at(0, 0)) }; });
    dense_load_checked: "loads from a 64-bit memory, from what was loaded",
    |_, n| {
        let mut wasm = Wasm::new();
        wasm.memory64(1);
        let ty = wasm.ty(&[I64], &[I64]);
        wasm.func(ty, &[], |f| {
            f.local_get(0);
            (0..n).for_each(|_| { f.i64_load(at(0, 0)); });
        });
        wasm.finish()
    };
    dense_load_second: "loads from the second of two 64-bit memories",
    |_, n| {
        let mut wasm = Wasm::new();
        wasm.memory64(1);
        wasm.memory64(1);
        let ty = wasm.ty(&[I64], &[I64]);
        wasm.func(ty, &[], |f| {
            f.local_get(0);
            (0..n).for_each(|_| { f.i64_load(in_memory(1, 0, 0)); });
        });
        wasm.finish()
    };
    dense_grow: "memories that grow by what they had",
    |_, n| on_i32(n, |f, _| { f.memory_grow(0); });
    dense_call_indirect: "indirect calls by what the last one gave",
    |_, n| {
        let mut wasm = with_table();
        wasm.func(0, &[], |f| {
            f.i32_const(0);
            (0..n).for_each(|_| { f.call_indirect(0, 0); });
        });
        wasm.finish()
    };
    dense_table_get: "elements of tables by whether the last one was null",
    |_, n| {
        let mut wasm = with_table();
        wasm.func(0, &[], |f| {
            f.i32_const(0);
            (0..n).for_each(|_| { f.table_get(0).ref_is_null(); });
        });
        wasm.finish()
    };
    dense_table_set: "elements of tables, set to one reference",
    |_, n| {
        let mut wasm = with_table();
        let ty = wasm.ty(&[I32], &[]);
        wasm.func(ty, &[(1, ValType::FUNCREF)], |f| {
            (0..n).for_each(|_| { f.local_get(0).local_get(1).table_set(0); });
        });
        wasm.finish()
    };
    dense_globals: "globals of several types, copied",
    |_, n| one(&[], |f| {
        (0..n).for_each(|_| {
            f.global_get(1).global_set(1).memory_size(0).global_set(0);
        });
    });
}
