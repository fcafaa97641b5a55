//! Labels that carry a few values each, as edge arguments: up to eight for the byte that names one in a
//! branch table.

use crate::build::{L, P32, Sink, base, i32s, one, use_locals};
use crate::declare;
use wasm_encoder::BlockType::{self, Empty, FunctionType};
use wasm_encoder::ValType::{self, F64, I32};

/// Values that a label carries.
const CARRIED: usize = 8;
/// Labels that a byte each names in a branch table, in a module of this size.
fn labels(bytes: usize) -> u32 {
    (bytes / 160).clamp(4, 100) as u32
}

/// Labels around `tables` branch tables to all of them. Each label carries [`CARRIED`] values of type
/// `ty`, which `push` pushes for the table of that number. With `heights`, each wants them at another
/// height of the stack.
fn tables(
    (bytes, tables): (usize, usize),
    ty: ValType,
    heights: bool,
    push: impl Fn(&mut Sink<'_>, u32, u32),
) -> Vec<u8> {
    let labels = labels(bytes);
    let mut wasm = base();
    let types = vec![ty; CARRIED];
    let yields = wasm.ty(&[], &types);
    let own = wasm.ty(&[I32, F64], &[]);
    wasm.func(own, &[(CARRIED as u32, ty)], |f| {
        let global = if ty == I32 { 0 } else { 3 };
        for _ in 0..labels {
            if heights {
                f.local_get(P32);
            }
            f.block(FunctionType(yields));
        }
        for table in 0..tables as u32 {
            f.local_get(P32).if_(Empty);
            (0..CARRIED as u32).for_each(|at| push(f, table, at));
            f.local_get(P32).br_table(1..labels + 1, 1).end();
        }
        f.unreachable();
        for _ in 0..labels {
            f.end();
            (0..CARRIED).for_each(|_| {
                f.global_set(global);
            });
            f.unreachable();
        }
    });
    wasm.finish()
}

/// Blocks around branch tables to all of them, with `live` in use.
fn live((bytes, n): (usize, usize), ints: u32, floats: u32) -> Vec<u8> {
    let labels = labels(bytes);
    one(&[(ints, I32), (floats, F64)], |f| {
        let (first, last) = (L, L + ints + floats);
        for x in first..first + ints {
            f.local_get(P32).i32_load(crate::build::at(u64::from(x), 0)).local_set(x);
        }
        for x in first + ints..last {
            f.local_get(P32).f64_load(crate::build::at(u64::from(x), 0)).local_set(x);
        }
        (0..labels).for_each(|_| {
            f.block(Empty);
        });
        for i in 0..n as u32 {
            f.local_get(P32)
                .if_(Empty)
                .local_get(first + i % ints)
                .br_table(1..labels + 1, 1)
                .end();
        }
        (0..labels).for_each(|_| {
            f.end();
        });
        (first..first + ints).for_each(|x| {
            f.local_get(x).global_set(0);
        });
        (first + ints..last).for_each(|x| {
            f.local_get(x).global_set(3);
        });
    })
}

declare! {
    brtable_carries: "branch tables whose labels carry eight locals each",
    |bytes, n| tables((bytes, n), I32, false, |f, _, at| { f.local_get(2 + at); });
    brtable_carries_new: "branch tables whose labels carry eight new values each",
    |bytes, n| tables((bytes, n), I32, false, |f, table, at| {
        f.local_get(2 + at).i32_const((table & 63) as i32).i32_add();
    });
    brtable_carries_consts: "branch tables whose labels carry eight constants each",
    |bytes, n| tables((bytes, n), I32, false, |f, table, at| { f.i32_const(((table + at) & 63) as i32); });
    brtable_carries_floats: "branch tables whose labels carry eight floats each that may be NaNs",
    |bytes, n| tables((bytes, n), F64, false, |f, _, at| { f.local_get(2 + at).f64_sqrt(); });
    brtable_carries_roots: "branch tables to five labels that carry one float eight times, in many functions",
    |_, tables| {
        let mut wasm = base();
        let yields = wasm.ty(&[], &[F64; CARRIED]);
        let own = wasm.ty(&[I32, F64], &[]);
        const LABELS: u32 = 5;
        const TABLES: usize = 24;
        for first in (0..tables).step_by(TABLES) {
            wasm.func(own, &[(CARRIED as u32, F64)], |f| {
                (0..LABELS).for_each(|_| { f.block(FunctionType(yields)); });
                for _ in first..tables.min(first + TABLES) {
                    f.local_get(P32).if_(Empty);
                    (0..CARRIED as u32).for_each(|at| { f.local_get(2 + at).f64_sqrt(); });
                    f.local_get(P32).br_table(1..LABELS + 1, 1).end();
                }
                f.unreachable();
                for _ in 0..LABELS {
                    f.end();
                    (0..CARRIED).for_each(|_| { f.global_set(3); });
                    f.unreachable();
                }
            });
        }
        wasm.finish()
    };
    brtable_carries_down: "branch tables whose labels carry eight values, each to another height",
    |bytes, n| tables((bytes, n), I32, true, |f, table, at| { f.i32_const(((table + at) & 63) as i32); });
    brtable_live: "branch tables to many labels while more values are in use than fit registers",
    |bytes, n| live((bytes, n), 40, 40);
    brtable_live_few: "branch tables to many labels while as many values are in use as fit registers",
    |bytes, n| live((bytes, n), 10, 10);
    brtable_loops: "branch tables to many loops while locals change",
    |bytes, n| {
        let labels = labels(bytes);
        let (k, locals) = i32s(8);
        one(&locals, |f| {
            (0..labels).for_each(|_| { f.loop_(Empty); });
            for i in 0..n as u32 {
                f.local_get(P32).if_(Empty);
                f.local_get(L + i % k).i32_const(1).i32_add().local_set(L + i % k);
                f.local_get(P32).br_table(1..labels + 1, 1).end();
            }
            (0..labels).for_each(|_| { f.end(); });
            use_locals(f, k);
        })
    };
    brtable_returns: "branch tables of which every other entry returns",
    |_, n| one(&[], |f| {
        for _ in 0..n {
            f.block(Empty).local_get(P32).br_table([0, 1, 0, 1, 0, 1], 1).end();
        }
    });
    br_if_carries: "branches that carry eight constants",
    |_, n| {
        let mut wasm = base();
        let yields = wasm.ty(&[], &[I32; CARRIED]);
        let ty = wasm.ty(&[I32], &[]);
        wasm.func(ty, &[], |f| {
            f.block(FunctionType(yields));
            for i in 0..n as i32 {
                (0..CARRIED).for_each(|at| { f.i32_const((i + at as i32) & 63); });
                f.local_get(0).br_if(0);
            }
            f.unreachable().end();
            (0..CARRIED).for_each(|_| { f.global_set(0); });
        });
        wasm.finish()
    };
    br_if_carries_same: "branches that carry the same eight values, and one by one others",
    |_, n| {
        let mut wasm = base();
        let yields = wasm.ty(&[], &[I32; CARRIED]);
        let ty = wasm.ty(&[I32], &[]);
        wasm.func(ty, &[(CARRIED as u32, I32)], |f| {
            f.block(FunctionType(yields));
            (1..=CARRIED as u32).for_each(|x| { f.local_get(x).i32_ctz(); });
            for i in 0..n as i32 {
                f.local_get(0).br_if(0);
                if i % 8 == 7 {
                    f.drop().i32_const(i & 63);
                }
            }
            f.br(0).end();
            (0..CARRIED).for_each(|_| { f.global_set(0); });
        });
        wasm.finish()
    };
    br_if_returns: "conditional returns of eight values in registers",
    |_, n| {
        let mut wasm = base();
        let types = [I32, F64, I32, F64, I32, F64, I32, F64];
        let ty = wasm.ty(&types, &types);
        wasm.func(ty, &[], |f| {
            (0..8).for_each(|x| { f.local_get(x); });
            (0..n).for_each(|_| { f.local_get(0).br_if(0); });
        });
        wasm.finish()
    };
    loops_carry: "loops that take eight values and hand them on in another order",
    |_, n| {
        let mut wasm = base();
        let same = wasm.ty(&[I32; CARRIED], &[I32; CARRIED]);
        let ty = wasm.ty(&[I32], &[]);
        wasm.func(ty, &[], |f| {
            (0..CARRIED).for_each(|_| { f.local_get(0).i32_ctz(); });
            for _ in 0..n {
                f.loop_(FunctionType(same)).local_get(0).local_get(0).br_if(0).drop().end();
            }
            (0..CARRIED).for_each(|_| { f.global_set(0); });
        });
        wasm.finish()
    };
    ifs_carry: "conditionals that yield a value each, from two constants",
    |_, n| one(&[], |f| {
        (0..n).for_each(|_| {
            f.local_get(P32).if_(BlockType::Result(I32)).i32_const(1).else_().i32_const(2).end();
            f.global_set(0);
        });
    });
}
