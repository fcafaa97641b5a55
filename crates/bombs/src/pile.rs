//! Operators of one to three bytes on a pile of values that a call of two bytes has given by the hundred.

use crate::build::{Sink, Wasm, at};
use crate::declare;
use crate::wide::source;
use wasm_encoder::BlockType::Empty;
use wasm_encoder::ValType::{self, F64, I32, I64};

/// A module with a function that gives `width` values.
struct Pile {
    wasm: Wasm,
    source: u32,
    width: usize,
}

/// Values of one call: its type takes the same small part of a module of any size from 16 KB on.
fn width(bytes: usize) -> usize {
    (bytes / 64).clamp(8, 256)
}

fn pile(bytes: usize, types: &[ValType]) -> Pile {
    let width = width(bytes) / types.len() * types.len();
    let list: Vec<_> = types.iter().copied().cycle().take(width).collect();
    let (mut wasm, _, source) = source(&list);
    wasm.table(1);
    Pile { wasm, source, width }
}

/// Piles of `types`, `each` of which one `step` takes off.
fn take(
    (bytes, n): (usize, usize),
    types: &[ValType],
    each: usize,
    step: impl Fn(&mut Sink<'_>, u32),
) -> Vec<u8> {
    let Pile { mut wasm, source, width } = pile(bytes, types);
    let ty = wasm.ty(&[I32], &[]);
    wasm.func(ty, &[(1, types[0])], |f| {
        for at in 0..n {
            let at = at % (width / each);
            if at == 0 {
                f.block(Empty).call(source);
            }
            step(f, at as u32);
            if at + 1 == width / each {
                f.br(0).end();
            }
        }
        if !n.is_multiple_of(width / each) {
            f.br(0).end();
        }
    });
    wasm.finish()
}

/// Piles of one type that a binary operator makes one value of.
fn fold((bytes, n): (usize, usize), ty: ValType, step: impl Fn(&mut Sink<'_>, u32)) -> Vec<u8> {
    let Pile { mut wasm, source, width } = pile(bytes, &[ty]);
    let nullary = wasm.ty(&[], &[]);
    let global = match ty {
        I32 => 0,
        I64 => 1,
        _ => 3,
    };
    wasm.func(nullary, &[], |f| {
        let mut left = n;
        while left > 0 {
            let now = left.min(width - 1);
            left -= now;
            f.block(Empty).call(source);
            (0..now as u32).for_each(|i| step(f, i));
            f.global_set(global).br(0).end();
        }
    });
    wasm.finish()
}

declare! {
    pile_div: "divisions of values that one call has given by the hundred",
    |bytes, n| fold((bytes, n), I64, |f, i| { if i % 2 == 0 { f.i64_div_s() } else { f.i64_rem_s() }; });
    pile_rem32: "remainders of values that one call has given by the hundred",
    |bytes, n| fold((bytes, n), I32, |f, _| { f.i32_rem_s(); });
    pile_min: "minima of floats that one call has given by the hundred",
    |bytes, n| fold((bytes, n), F64, |f, i| { if i % 2 == 0 { f.f64_min() } else { f.f64_max() }; });
    pile_copysign: "signs of floats that one call has given by the hundred",
    |bytes, n| fold((bytes, n), F64, |f, _| { f.f64_copysign(); });
    pile_add: "sums of floats that one call has given by the hundred",
    |bytes, n| fold((bytes, n), F64, |f, _| { f.f64_add(); });
    pile_rotate: "rotations by values that one call has given by the hundred",
    |bytes, n| fold((bytes, n), I64, |f, _| { f.i64_rotl(); });
    pile_compare: "comparisons of floats that one call has given by the hundred",
    |bytes, n| take((bytes, n), &[F64], 2, |f, _| { f.f64_eq().drop(); });
    pile_drop: "values that one call has given by the hundred, dropped",
    |bytes, n| take((bytes, n), &[I64], 1, |f, _| { f.drop(); });
    pile_sets: "one local set to values that one call has given by the hundred",
    |bytes, n| take((bytes, n), &[I64], 1, |f, _| { f.local_set(1); });
    pile_globals: "a global set to values that one call has given by the hundred",
    |bytes, n| take((bytes, n), &[F64], 1, |f, _| { f.global_set(3); });
    pile_stores: "stores of values that one call has given by the hundred",
    |bytes, n| take((bytes, n), &[I32, I64], 2, |f, _| { f.i64_store(at(0, 0)); });
    pile_copies: "memory.copy of what one call has given by the hundred",
    |bytes, n| take((bytes, n), &[I32], 3, |f, _| { f.memory_copy(0, 0); });
    pile_grows: "memory.grow by values that one call has given by the hundred",
    |bytes, n| take((bytes, n), &[I32], 1, |f, _| { f.memory_grow(0).drop(); });
    pile_table_sets: "elements of a table set to what one call has given by the hundred",
    |bytes, n| take((bytes, n), &[I32, ValType::FUNCREF], 2, |f, _| { f.table_set(0); });
    pile_br_ifs: "branches under conditions that one call has given by the hundred",
    |bytes, n| take((bytes, n), &[I32], 1, |f, _| { f.br_if(0); });
    pile_returns: "returns under conditions that one call has given by the hundred",
    |bytes, n| take((bytes, n), &[I32], 1, |f, _| { f.br_if(1); });
    pile_ifs: "conditionals under what one call has given by the hundred",
    |bytes, n| take((bytes, n), &[I32], 1, |f, _| { f.if_(Empty).end(); });
    pile_traps: "traps under conditions that one call has given by the hundred",
    |bytes, n| take((bytes, n), &[I32], 1, |f, _| { f.if_(Empty).unreachable().end(); });
    pile_loops: "loops under conditions that one call has given by the hundred",
    |bytes, n| take((bytes, n), &[I32], 1, |f, _| { f.if_(Empty).loop_(Empty).br(0).end().end(); });
    pile_tables: "branch tables by values that one call has given by the hundred",
    |bytes, n| take((bytes, n), &[I32], 1, |f, _| { f.if_(Empty).local_get(0).br_table([0, 1, 0], 1).end(); });
    pile_calls: "calls with values that one call has given by the hundred, in fixed registers",
    |bytes, n| {
        let types = [F64; 8];
        let Pile { mut wasm, source, width } = pile(bytes, &types);
        let sig = wasm.ty(&types, &[]);
        let callee = wasm.func(sig, &[], |f| { f.unreachable(); });
        let ty = wasm.ty(&[], &[]);
        wasm.func(ty, &[], |f| {
            for _ in 0..n {
                f.call(source);
                (0..width / 8).for_each(|_| { f.call(callee); });
            }
        });
        wasm.finish()
    };
    pile_call_indirect: "indirect calls of what one call has given by the hundred",
    |bytes, n| {
        let Pile { mut wasm, source, width } = pile(bytes, &[I32]);
        let ty = wasm.ty(&[], &[]);
        wasm.func(ty, &[], |f| {
            for _ in 0..n {
                f.call(source);
                (0..width).for_each(|_| { f.call_indirect(0, ty); });
            }
        });
        wasm.finish()
    };
}
