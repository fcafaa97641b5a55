//! Just as much of something as a compiler lets through: what is cut off beyond costs nothing any more.
//!
//! A compiler that gives up sharing, or values in registers, where there are too many of them, has to
//! draw a line. Here are modules that stay before such a line everywhere, and others that buy with bytes
//! that cost little what is allowed per byte, operator or function.

use crate::build::{L, P32, PF, Sink, at, base, i32s, one, use_locals};
use crate::declare;
use wasm_encoder::BlockType::Empty;
use wasm_encoder::ValType::{F64, I32, I64};

/// Conditionals in each other, a local set in both arms of each.
fn nest(f: &mut Sink<'_>, depth: u32) {
    for i in 0..depth {
        f.local_get(P32).if_(Empty);
        f.local_get(L + i).i32_const(1).i32_add().local_set(L + i);
    }
    for i in 0..depth {
        f.else_().i32_const((i & 63) as i32).local_set(L + i).end();
    }
}

/// Branch tables to blocks around them, with `ints` and `floats` in use behind each of these.
fn live((bytes, n): (usize, usize), ints: u32, floats: u32, uses: u32) -> Vec<u8> {
    let labels = (bytes / 160).clamp(4, 100) as u32;
    one(&[(ints, I32), (floats, F64)], |f| {
        let (first, last) = (L, L + ints + floats);
        for x in first..first + ints {
            f.local_get(P32).i32_load(at(u64::from(x), 0)).local_set(x);
        }
        for x in first + ints..last {
            f.local_get(P32).f64_load(at(u64::from(x), 0)).local_set(x);
        }
        (0..labels).for_each(|_| {
            f.block(Empty);
        });
        for i in 0..n as u32 {
            f.local_get(P32).if_(Empty);
            f.local_get(first + i % ints).br_table(1..labels + 1, 1).end();
        }
        for label in 0..labels {
            f.end();
            for i in 0..uses {
                f.local_get(first + (label * uses + i) % ints).global_set(0);
            }
        }
        (first..first + ints).for_each(|x| {
            f.local_get(x).global_set(0);
        });
        (first + ints..last).for_each(|x| {
            f.local_get(x).global_set(3);
        });
    })
}

declare! {
    if_nests_sets: "nests of conditionals with a local set in both arms, each just not too deep",
    |_, n| {
        let depth = 23;
        let (k, locals) = i32s(depth as usize);
        one(&locals, |f| {
            (0..n).for_each(|_| nest(f, depth));
            use_locals(f, k);
        })
    };
    if_nest_sets_many: "nested conditionals with a local set in both arms, in many functions",
    |bytes, n| {
        let depth = (bytes / 64).clamp(2, 72) as u32;
        let (k, locals) = i32s(depth as usize);
        let mut wasm = base();
        let ty = wasm.ty(&[I32, I64, F64], &[]);
        for _ in 0..n {
            wasm.func(ty, &locals, |f| {
                nest(f, depth);
                use_locals(f, k);
            });
        }
        wasm.finish()
    };
    brtable_live_uses: "branch tables to many labels, more values in use at each than fit registers",
    |bytes, n| {
        let each = (bytes / 128).clamp(4, 40) as u32;
        live((bytes, n), each, each, 8)
    };
    loop_nest_phi_ops: "nested loops, 40 locals changed innermost, beside operators of a byte each",
    |_, n| {
        let (k, locals) = i32s(40);
        one(&locals, |f| {
            for _ in 0..n {
                f.local_get(PF);
                (0..28).for_each(|_| { f.f64_sqrt(); });
                f.global_set(3).loop_(Empty);
            }
            (L..L + k).for_each(|x| { f.local_get(x).i32_const(1).i32_add().local_set(x); });
            (0..n).for_each(|_| { f.local_get(P32).br_if(0).end(); });
            use_locals(f, k);
        })
    };
}
