//! Operators that become much more code, or more work, than they have bytes.

use crate::build::{L, P32, P64, PF, Sink, at, base, in_memory, one};
use crate::declare;
use wasm_encoder::BlockType::Empty;
use wasm_encoder::ValType::{F64, I32, I64};
use wasm_encoder::{ConstExpr, Elements, HeapType, ValType};

/// `n` times the same step.
fn repeat(n: usize, mut step: impl FnMut(&mut Sink<'_>, u32)) -> Vec<u8> {
    one(&[(1, I32), (1, I64), (1, ValType::F32)], |f| {
        (0..n as u32).for_each(|i| step(f, i));
        // So that nothing of it is without use.
        f.local_get(P32).global_set(0).local_get(P64).global_set(1).local_get(PF).global_set(3);
    })
}

/// A module with 64-bit memories, whose function gets an address as parameter 1.
fn repeat64(n: usize, step: impl Fn(&mut Sink<'_>, u32)) -> Vec<u8> {
    let mut wasm = crate::build::Wasm::new();
    wasm.memory64(1);
    wasm.global(I32, &ConstExpr::i32_const(0));
    wasm.global(I64, &ConstExpr::i64_const(0));
    let ty = wasm.ty(&[I32, I64, F64], &[]);
    let func = wasm.func(ty, &[], |f| (0..n as u32).for_each(|i| step(f, i)));
    wasm.export_func("f", func);
    wasm.finish()
}

/// A module with a table and segments, for `n` operators on them.
fn repeat_table(n: usize, step: impl Fn(&mut Sink<'_>, u32)) -> Vec<u8> {
    let mut wasm = base();
    let table = wasm.table(16);
    let unary = wasm.ty(&[I32], &[I32]);
    let callee = wasm.func(unary, &[], |f| {
        f.local_get(0);
    });
    wasm.elements.active(
        Some(table),
        &ConstExpr::i32_const(0),
        Elements::Functions([callee].as_slice().into()),
    );
    wasm.elements.passive(Elements::Functions([callee].as_slice().into()));
    wasm.data.passive([1, 2, 3]);
    let ty = wasm.ty(&[I32, I64, F64], &[]);
    let func = wasm.func(ty, &[(1, I32), (1, ValType::FUNCREF)], |f| {
        (0..n as u32).for_each(|i| step(f, i));
    });
    wasm.export_func("f", func);
    wasm.finish()
}

/// `n` calls in a ring of functions that leave by tail calls.
fn tail_calls(n: usize, indirect: bool) -> Vec<u8> {
    let mut wasm = base();
    wasm.table(1);
    let ty = wasm.ty(&[I32], &[I32]);
    for i in 0..n as u32 {
        wasm.func(ty, &[], |f| {
            f.local_get(0);
            if indirect {
                f.local_get(0).return_call_indirect(0, ty);
            } else {
                f.return_call((i + 1) % n as u32);
            }
        });
    }
    wasm.finish()
}

declare! {
    op_memory_copy: "memory.copy",
    |_, n| repeat(n, |f, _| { f.local_get(P32).local_get(P32).local_get(P32).memory_copy(0, 0); });
    op_memory_copy_const: "memory.copy of 64 bytes",
    |_, n| repeat(n, |f, _| { f.local_get(P32).local_get(L).i32_const(63).memory_copy(0, 0); });
    op_memory_fill: "memory.fill",
    |_, n| repeat(n, |f, _| { f.local_get(P32).local_get(P32).local_get(P32).memory_fill(0); });
    op_memory_init: "memory.init and data.drop",
    |_, n| repeat_table(n, |f, _| {
        f.local_get(P32).local_get(P32).local_get(P32).memory_init(0, 0).data_drop(0);
    });
    op_memory_grow: "memory.grow",
    |_, n| repeat(n, |f, _| { f.local_get(P32).memory_grow(0).drop(); });
    op_memory_size: "memory.size between writes",
    |_, n| repeat(n, |f, _| { f.memory_size(0).global_set(0); });
    op_trunc_sat: "saturating truncations of all kinds",
    |_, n| repeat(n, |f, i| {
        f.local_get(PF);
        match i % 4 {
            0 => f.i64_trunc_sat_f64_u().global_set(1),
            1 => f.i64_trunc_sat_f64_s().global_set(1),
            2 => f.i32_trunc_sat_f64_u().global_set(0),
            _ => f.i32_trunc_sat_f64_s().global_set(0),
        };
        f.local_get(PF).f64_sqrt().local_set(PF);
    });
    op_trunc_sat_u64: "saturating truncations to unsigned 64-bit numbers, back and forth",
    |_, n| repeat(n, |f, _| {
        f.local_get(PF).i64_trunc_sat_f64_u().f64_convert_i64_u().local_set(PF);
    });
    op_trunc: "trapping truncations and unsigned conversions",
    |_, n| repeat(n, |f, i| {
        f.local_get(PF);
        match i % 4 {
            0 => f.i64_trunc_f64_u().f64_convert_i64_u(),
            1 => f.i64_trunc_f64_s().f64_convert_i64_s(),
            2 => f.i32_trunc_f64_u().f64_convert_i32_u(),
            _ => f.i32_trunc_f64_s().f64_convert_i32_s(),
        };
        f.local_set(PF);
    });
    op_convert_u64_f32: "unsigned 64-bit numbers to f32",
    |_, n| repeat(n, |f, _| {
        f.local_get(P64).f32_convert_i64_u().i64_trunc_sat_f32_u().local_set(P64);
    });
    op_min_max: "minimum and maximum of floats",
    |_, n| repeat(n, |f, i| {
        f.local_get(PF).local_get(PF).f64_sqrt();
        if i % 2 == 0 { f.f64_min() } else { f.f64_max() };
        f.local_set(PF);
    });
    op_copysign: "copysign",
    |_, n| repeat(n, |f, _| {
        f.local_get(PF).local_get(PF).f64_sqrt().f64_copysign().local_set(PF);
    });
    op_nan: "arithmetic whose NaN can be seen",
    |_, n| repeat(n, |f, _| {
        f.local_get(PF).local_get(PF).f64_sub().local_tee(PF).global_set(3);
    });
    op_reinterpret: "reinterpretations back and forth",
    |_, n| repeat(n, |f, _| {
        f.local_get(PF).local_get(PF).f64_mul().i64_reinterpret_f64().f64_reinterpret_i64();
        f.local_set(PF);
    });
    op_round: "nearest, ceil, floor and trunc",
    |_, n| repeat(n, |f, i| {
        f.local_get(PF);
        match i % 4 {
            0 => f.f64_nearest(),
            1 => f.f64_ceil(),
            2 => f.f64_floor(),
            _ => f.f64_trunc(),
        };
        f.local_set(PF);
    });
    op_float_compare: "comparisons of floats as values",
    |_, n| repeat(n, |f, i| {
        f.local_get(PF).global_get(3);
        match i % 4 { 0 => f.f64_eq(), 1 => f.f64_ne(), 2 => f.f64_lt(), _ => f.f64_ge() };
        f.global_set(0);
    });
    op_float_branch: "branches on comparisons of floats",
    |_, n| repeat(n, |f, i| {
        f.block(Empty).local_get(PF).global_get(3);
        if i % 2 == 0 { f.f64_eq() } else { f.f64_ne() };
        f.br_if(0).i32_const(1).global_set(0).end();
    });
    op_div: "divisions, with their checks",
    |_, n| repeat(n, |f, i| {
        f.local_get(P64).global_get(1);
        match i % 4 { 0 => f.i64_div_s(), 1 => f.i64_rem_s(), 2 => f.i64_div_u(), _ => f.i64_rem_u() };
        f.local_set(P64);
    });
    op_div_const: "divisions by constants",
    |_, n| repeat(n, |f, i| {
        f.local_get(P32).i32_const(3 + 2 * (i as i32 % 29));
        match i % 4 { 0 => f.i32_div_s(), 1 => f.i32_rem_s(), 2 => f.i32_div_u(), _ => f.i32_rem_u() };
        f.local_set(P32);
    });
    op_div_const64: "64-bit divisions by constants",
    |_, n| repeat(n, |f, i| {
        f.local_get(P64).i64_const(3 + 2 * (i64::from(i) % 29));
        match i % 4 { 0 => f.i64_div_s(), 1 => f.i64_rem_s(), 2 => f.i64_div_u(), _ => f.i64_rem_u() };
        f.local_set(P64);
    });
    op_bits: "counts of bits",
    |_, n| repeat(n, |f, i| {
        f.local_get(P64);
        match i % 3 { 0 => f.i64_clz(), 1 => f.i64_ctz(), _ => f.i64_popcnt() };
        f.local_set(P64);
    });
    op_rotate: "rotations by a variable count",
    |_, n| repeat(n, |f, _| { f.local_get(P64).local_get(P64).i64_rotl().local_set(P64); });
    op_const64: "64-bit constants",
    |_, n| repeat(n, |f, i| {
        f.local_get(P64).i64_const(-1 - i64::from(i)).i64_and().local_set(P64);
    });
    op_const_store: "stores of constants",
    |_, n| repeat(n, |f, i| {
        f.i32_const(i as i32 & 63).i64_const(-1).i64_store(at(0, 3));
    });
    op_select: "selects of several types",
    |_, n| repeat(n, |f, i| {
        if i % 2 == 0 {
            f.local_get(PF).global_get(3).local_get(P32).select().local_set(PF);
        } else {
            f.local_get(P64).global_get(1).local_get(P32).select().local_set(P64);
        }
    });
    op_load_checked: "accesses of a 64-bit memory: a check each",
    |_, n| repeat64(n, |f, i| {
        f.local_get(P64).i64_load(at(u64::from(i), 0)).local_set(P64);
    });
    op_load_checked_far: "accesses of a 64-bit memory at large offsets",
    |_, n| repeat64(n, |f, i| {
        f.local_get(P64).i64_load(at(u64::MAX - u64::from(i), 0)).local_set(P64);
    });
    op_store_checked: "stores to a 64-bit memory",
    |_, n| repeat64(n, |f, i| {
        f.local_get(P64).local_get(P32).i32_store(at(u64::from(i & 63), 0));
    });
    op_load_far: "accesses of a 32-bit memory at large offsets",
    |_, n| repeat(n, |f, i| {
        f.local_get(P32).i32_load(at(u64::from(u32::MAX - (i & 63)), 0)).local_set(P32);
    });
    op_load_plain: "accesses of a 32-bit memory: one record of a trap each",
    |_, n| repeat(n, |f, _| { f.local_get(P32).i32_load(at(0, 0)).local_set(P32); });
    op_call_indirect: "call_indirect: a check of bounds, null and type",
    |_, n| repeat_table(n, |f, _| {
        f.local_get(P32).local_get(P32).call_indirect(0, 0).local_set(P32);
    });
    op_table_get_set: "table.get and table.set",
    |_, n| repeat_table(n, |f, _| {
        f.local_get(P32).local_get(P32).table_get(0).table_set(0);
    });
    op_table_bulk: "table.copy, table.init, table.fill and table.grow",
    |_, n| repeat_table(n, |f, i| {
        f.local_get(P32).local_get(P32).local_get(P32);
        match i % 3 {
            0 => f.table_copy(0, 0),
            1 => f.table_init(0, 1).elem_drop(1),
            _ => f.drop().drop().local_set(L).ref_func(0).i32_const(1).table_grow(0).drop(),
        };
    });
    op_ref: "references to functions and null",
    |_, n| repeat_table(n, |f, i| {
        if i % 2 == 0 { f.ref_func(0) } else { f.ref_null(HeapType::FUNC) };
        f.local_set(L + 1).local_get(L + 1).ref_is_null().global_set(0);
    });
    op_call_import: "calls of an imported function",
    |_, n| {
        let mut wasm = base();
        let unary = wasm.ty(&[I32], &[I32]);
        let callee = wasm.import_func("f", unary);
        let func = wasm.func(unary, &[], |f| {
            f.local_get(0);
            (0..n).for_each(|_| { f.call(callee); });
        });
        wasm.export_func("f", func);
        wasm.finish()
    };
    op_call_void: "calls without arguments: two bytes each",
    |_, n| {
        let mut wasm = base();
        let ty = wasm.ty(&[], &[]);
        let callee = wasm.func(ty, &[], |_| {});
        let func = wasm.func(ty, &[], |f| (0..n).for_each(|_| { f.call(callee); }));
        wasm.export_func("f", func);
        wasm.finish()
    };
    op_many_memories: "accesses of a hundred memories in turn",
    |_, n| {
        let mut wasm = base();
        (1..100).for_each(|_| { wasm.memory(1); });
        let ty = wasm.ty(&[I32], &[]);
        let func = wasm.func(ty, &[], |f| {
            for i in 0..n as u32 {
                f.local_get(0).i32_load(in_memory(i % 100, 0, 0)).local_set(0);
            }
        });
        wasm.export_func("f", func);
        wasm.finish()
    };
    op_tail_call: "functions that tail-call the next one",
    |_, n| tail_calls(n, false);
    op_tail_call_indirect: "functions that leave by an indirect tail call",
    |_, n| tail_calls(n, true);
    op_globals_f64: "globals of several types in turn",
    |_, n| repeat(n, |f, _| {
        f.global_get(3).global_get(1).f64_convert_i64_s().f64_add().global_set(3);
        f.global_get(0).i64_extend_i32_u().global_set(1);
    });
    op_nop: "operators without any effect",
    |_, n| repeat(n, |f, _| { f.nop(); });
    op_drop: "values that are dropped at once",
    |_, n| repeat(n, |f, _| { f.local_get(P32).drop(); });
}
