//! Sites that tables of the runtime know: calls with what lives across them, traps, source positions.

use crate::build::{Sink, Wasm, at, base, i32s, one};
use crate::declare;
use crate::wide::source;
use wasm_encoder::BlockType::Empty;
use wasm_encoder::ValType::{self, F64, I32, I64};
use wasm_encoder::{ConstExpr, Elements, Ieee64};

/// Values that live across each call, of which a byte or two name one.
const LIVE: u32 = 60;

/// `n` calls that each give a value of type `ty` to one of many locals, and take another one's. `give` is
/// the call of a function of type 0, `[] -> [ty]`.
fn calls((n, ty): (usize, ValType), give: impl Fn(&mut Sink<'_>)) -> Vec<u8> {
    let mut wasm = Wasm::new();
    let source = wasm.ty(&[], &[ty]);
    let sink = wasm.ty(&[ty], &[]);
    wasm.import_func("f", source);
    let take = wasm.import_func("g", sink);
    wasm.table(1);
    let void = wasm.ty(&[], &[]);
    wasm.func(void, &[(LIVE, ty)], |f| {
        for i in 0..n as u32 {
            give(f);
            f.local_set(i % LIVE);
            f.local_get((i + LIVE / 2) % LIVE).call(take);
        }
    });
    wasm.finish()
}

/// Piles of values of which each `step` takes `each` and may trap.
fn traps(
    (bytes, n): (usize, usize),
    types: &[ValType],
    step: impl Fn(&mut Sink<'_>, u32),
) -> Vec<u8> {
    let width = (bytes / 64).clamp(8, 252) / types.len() * types.len();
    let list: Vec<_> = types.iter().copied().cycle().take(width).collect();
    let (mut wasm, _, source) = source(&list);
    wasm.table(1);
    let void = wasm.ty(&[], &[]);
    wasm.func(void, &[], |f| {
        let mut left = n;
        while left > 0 {
            let now = left.min(width / types.len());
            left -= now;
            f.block(Empty).call(source);
            (0..now as u32).for_each(|i| step(f, i));
            f.br(0).end();
        }
    });
    wasm.finish()
}

declare! {
    sites_refs: "calls across which sixty references live",
    |_, n| calls((n, ValType::FUNCREF), |f| { f.call(0); });
    sites_externrefs: "calls across which sixty references of the host's live",
    |_, n| calls((n, ValType::EXTERNREF), |f| { f.call(0); });
    sites_floats: "calls across which sixty floats live",
    |_, n| calls((n, F64), |f| { f.call(0); });
    sites_indirect: "indirect calls across which sixty numbers live",
    |_, n| calls((n, I64), |f| { f.i32_const(0).call_indirect(0, 0); });
    sites_traps: "loads, each of them a trap, of what one call has given by the hundred",
    |bytes, n| traps((bytes, n), &[I32], |f, i| { f.i32_load(at(u64::from(i), 0)).drop(); });
    sites_traps_bytes: "loads and stores of bytes of what one call has given by the hundred",
    |bytes, n| traps((bytes, n), &[I32, I32], |f, _| { f.i32_store8(at(0, 0)); });
    sites_truncs: "conversions, each of them a trap, of floats that one call has given by the hundred",
    |bytes, n| traps((bytes, n), &[F64], |f, _| { f.i32_trunc_f64_s().drop(); });
    sites_tables: "elements by what one call has given by the hundred",
    |bytes, n| traps((bytes, n), &[I32], |f, _| { f.table_get(0).drop(); });
    sites_divs_dropped: "divisions that are dropped, by what one call has given by the hundred",
    |bytes, n| traps((bytes, n), &[I64, I64], |f, _| { f.i64_div_s().drop(); });
    sites_unreachable: "functions that trap at once: five bytes each",
    |_, n| {
        let mut wasm = Wasm::new();
        let ty = wasm.ty(&[], &[]);
        (0..n).for_each(|_| { wasm.func(ty, &[], |f| { f.unreachable(); }); });
        wasm.finish()
    };
    sites_loops: "functions that loop for ever: seven bytes each",
    |_, n| {
        let mut wasm = Wasm::new();
        let ty = wasm.ty(&[], &[]);
        (0..n).for_each(|_| { wasm.func(ty, &[], |f| { f.loop_(Empty).br(0).end(); }); });
        wasm.finish()
    };
    sites_loops_inside: "loops that are left at once, with an exit and a way back each",
    |_, n| {
        let (_, locals) = i32s(1);
        one(&locals, |f| {
            (0..n).for_each(|_| { f.loop_(Empty).local_get(0).br_if(0).end(); });
        })
    };
    sites_divided_locals: "divisions of locals: a position, a check and a trap for four bytes",
    |_, n| {
        let (k, locals) = i32s(8);
        one(&locals, |f| {
            (0..n as u32).for_each(|i| {
                f.local_get(3 + i % k).local_get(3 + (i + 1) % k).i32_div_s().local_set(3 + i % k);
            });
            f.local_get(3).global_set(0);
        })
    };
    ifs_wide: "conditionals whose arms each give many constants",
    |bytes, n| {
        let width = (bytes / 128).clamp(4, 100);
        let mut wasm = base();
        let yields = wasm.ty(&[], &vec![F64; width]);
        let ty = wasm.ty(&[I32], &[]);
        wasm.func(ty, &[], |f| {
            let push = |f: &mut Sink<'_>, from: usize| {
                (0..width).for_each(|at| {
                    f.f64_const(Ieee64::from((from * width + at) as f64 + 0.5));
                });
            };
            for i in 0..n.div_ceil(width) {
                f.local_get(0).if_(wasm_encoder::BlockType::FunctionType(yields));
                push(f, 2 * i);
                f.else_();
                push(f, 2 * i + 1);
                f.end();
                (0..width).for_each(|_| { f.global_set(3); });
            }
        });
        wasm.finish()
    };
    tables_called: "functions in a table, each called through it with another list of types",
    |_, n| {
        let mut wasm = base();
        wasm.table(n as u64);
        let mut funcs = Vec::new();
        for i in 0..n as u32 {
            let kind = |bit: u32| if i >> bit & 1 == 0 { I32 } else { I64 };
            let params: Vec<ValType> = (0..3).map(kind).collect();
            let ty = wasm.ty(&params, &[]);
            funcs.push(wasm.func(ty, &[], |f| {
                (0..3).for_each(|x| { f.local_get(x); });
                f.i32_const(i as i32).call_indirect(0, ty);
            }));
        }
        let offset = ConstExpr::i32_const(0);
        wasm.elements.active(None, &offset, Elements::Functions(funcs.into()));
        wasm.finish()
    };
}
