//! Declared locals: up to 50,000 for a few bytes.

use crate::build::{L, P32, base, one};
use crate::declare;
use wasm_encoder::BlockType::Empty;
use wasm_encoder::ValType::{self, F32, F64, I32, I64};

/// Most locals a function may declare.
const MOST: u32 = 50_000;

/// `n` functions that each declare as many locals of one type as there may be.
fn rle(n: usize, ty: ValType) -> Vec<u8> {
    let mut wasm = base();
    let sig = wasm.ty(&[], &[]);
    for _ in 0..n {
        wasm.func(sig, &[(MOST, ty)], |_| {});
    }
    wasm.finish()
}

/// Declarations of one local each, of alternating types, and how many functions they fill.
fn runs(n: usize, each: usize, used: bool) -> Vec<u8> {
    let mut wasm = base();
    let sig = wasm.ty(&[], &[]);
    let mut left = n;
    while left > 0 {
        let count = left.min(each);
        left -= count;
        let types = [I32, F64, I64, F32];
        let locals: Vec<_> = types.into_iter().cycle().take(count).map(|ty| (1, ty)).collect();
        wasm.func(sig, &locals, |f| {
            if used {
                for x in 0..count as u32 {
                    f.local_get(x).global_set([0, 3, 1, 2][x as usize % 4]);
                }
            }
        });
    }
    wasm.finish()
}

declare! {
    locals_rle_i32: "50,000 locals in each function: tables, zeroing, frames",
    |_, n| rle(n, I32);
    locals_rle_i64: "50,000 locals of 64 bits in each function",
    |_, n| rle(n, I64);
    locals_rle_f64: "50,000 floats in each function",
    |_, n| rle(n, F64);
    locals_rle_ref: "50,000 references in each function",
    |_, n| rle(n, ValType::FUNCREF);
    locals_rle_last: "50,000 locals in each function, the last one used",
    |_, n| {
        let mut wasm = base();
        let sig = wasm.ty(&[], &[]);
        for _ in 0..n {
            wasm.func(sig, &[(MOST, I32)], |f| { f.local_get(MOST - 1).global_set(0); });
        }
        wasm.finish()
    };
    locals_rle_calls: "calls of an imported function in one that declares 50,000 locals besides",
    |_, n| {
        let mut wasm = base();
        let unary = wasm.ty(&[I32], &[I32]);
        let callee = wasm.import_func("f", unary);
        wasm.func(unary, &[(MOST - 1, I32)], |f| {
            f.local_get(0);
            (0..n).for_each(|_| { f.call(callee); });
        });
        wasm.finish()
    };
    locals_rle_ifs: "nested conditionals in a function that declares 50,000 locals besides",
    |_, n| one(&[(MOST - 3, I32)], |f| {
        (0..n).for_each(|_| { f.local_get(P32).if_(Empty); });
        (0..n).for_each(|_| { f.end(); });
    });
    locals_sparse: "50,000 locals of which a few that lie far apart are used",
    |_, n| one(&[(MOST - 3, I32)], |f| {
        for i in 0..n as u32 {
            f.local_get(i.wrapping_mul(7919) % (MOST - 3) + 3).drop();
        }
    });
    locals_runs: "declarations of one local each, of alternating types",
    |_, n| runs(n, MOST as usize, false);
    locals_runs_used: "declarations of one local each, all used",
    |_, n| runs(n, MOST as usize, true);
    locals_runs_small: "functions of 8 declarations of one local each",
    |_, n| runs(n, 8, false);
    tee_chain: "one value copied to many locals and the stack",
    |_, n| {
        let k = n.clamp(1, 40_000) as u32;
        one(&[(k, I32)], |f| {
            f.local_get(P32);
            for i in 0..n as u32 {
                f.local_tee(L + i % k);
            }
            f.global_set(0);
        })
    };
    get_copies: "copies of one local on the stack, which is set again after each",
    |_, n| one(&[(1, I32)], |f| {
        for _ in 0..n {
            f.local_get(L).local_get(P32).local_set(L);
        }
        for _ in 0..n {
            f.global_set(0);
        }
    });
    set_dead: "locals set again and again without a use",
    |_, n| one(&[(1, I32)], |f| {
        for i in 0..n {
            f.i32_const(i as i32).local_set(L);
        }
    });
    swap_chain: "two locals that change places again and again",
    |_, n| one(&[(2, I32)], |f| {
        for _ in 0..n {
            f.local_get(L).local_get(L + 1).local_set(L).local_set(L + 1);
        }
        f.local_get(L).global_set(0);
    });
}
