//! Values: chains to fold, keys that collide, pressure on registers, long lives.

use crate::build::{L, P32, P64, PF, Sink, at, base, i32s, one, use_locals};
use crate::declare;
use wasm_encoder::BlockType::{Empty, Result};
use wasm_encoder::ValType::{self, I32, I64};

fn times(n: usize, mut step: impl FnMut(u32)) {
    (0..n as u32).for_each(&mut step);
}

/// The inverse of an odd number modulo 2^64, by Newton's iteration.
const fn inverse(odd: u64) -> u64 {
    let mut x = odd;
    let mut round = 0;
    while round < 6 {
        x = x.wrapping_mul(2u64.wrapping_sub(odd.wrapping_mul(x)));
        round += 1;
    }
    x
}

/// The multiplier of rustc-hash 2, which Cranelift's value numbering hashes with.
const RUSTC_HASH: u64 = 0xf135_7aea_2e62_a9c5;

/// The multiplier of runwell's table of constants, which takes bits 40 to 48 of the product.
const RUNWELL_CONSTS: u64 = 0x9e37_79b9_7f4a_7c15;

/// Adds constants to a parameter, one after the other, so that each sum is a key of its own.
fn sums(n: usize, constant: impl Fn(u64) -> u64) -> Vec<u8> {
    one(&[], |f| {
        f.i64_const(0);
        times(n, |i| {
            f.local_get(P64).i64_const(constant(i.into()) as i64).i64_add().i64_xor();
        });
        f.global_set(1);
    })
}

/// A function `[i32] -> [i32]` of the caller's making and one that calls it.
fn with_callee(locals: &[(u32, ValType)], body: impl FnOnce(&mut Sink<'_>, u32)) -> Vec<u8> {
    let mut wasm = base();
    let unary = wasm.ty(&[I32], &[I32]);
    let callee = wasm.func(unary, &[], |f| {
        f.local_get(0);
    });
    let ty = wasm.ty(&[I32, I64, ValType::F64], &[]);
    let func = wasm.func(ty, locals, |f| body(f, callee));
    wasm.export_func("f", func);
    wasm.finish()
}

declare! {
    gvn_rustc_hash: "constants whose hashes collide under rustc-hash: linear look-ups",
    |_, n| {
        let twice = inverse(RUSTC_HASH).wrapping_mul(inverse(RUSTC_HASH));
        sums(n, |i| (i << 12).wrapping_mul(twice))
    };
    gvn_runwell_consts: "constants that collide in runwell's table of constants",
    |_, n| sums(n, |i| ((i & 0x7fff) << 49 | i >> 15).wrapping_mul(inverse(RUNWELL_CONSTS)));
    // A multiplication never carries downwards: offsets that differ in the upper 12 of their 32 bits
    // only have equal lower bits of the product, and those are what the table takes.
    gvn_runwell_loads: "loads whose keys collide in runwell's value numbering",
    |_, n| one(&[], |f| {
        f.i32_const(0);
        times(n, |i| {
            f.local_get(P32).i32_load(at(u64::from(i & 0x7ff) << 20, 2)).i32_xor();
        });
        f.global_set(0);
    });
    gvn_consts: "distinct constants",
    |_, n| sums(n, |i| i.wrapping_mul(0x2545_f491_4f6c_dd1d));
    gvn_same: "one expression again and again",
    |_, n| one(&[], |f| {
        f.i64_const(0);
        times(n, |_| { f.local_get(P64).i64_const(77).i64_mul().i64_xor(); });
        f.global_set(1);
    });
    gvn_scopes: "values numbered in many small scopes, each undone",
    |_, n| one(&[], |f| times(n, |i| {
        f.local_get(P32).if_(Empty).local_get(P32).i32_const(i as i32).i32_mul().global_set(0);
        f.end();
    }));
    consts_f64: "distinct floating-point constants: pools",
    |_, n| one(&[], |f| {
        f.local_get(PF);
        times(n, |i| { f.f64_const((f64::from(i) + 0.5).into()).f64_add(); });
        f.global_set(3);
    });
    chain_add: "x + 1 + 1 …: reassociation that starts over",
    |_, n| one(&[], |f| {
        f.local_get(P32);
        times(n, |_| { f.i32_const(1).i32_add(); });
        f.global_set(0);
    });
    chain_mixed: "x + 3 ^ 5 …: chains that cannot be folded",
    |_, n| one(&[], |f| {
        f.local_get(P32);
        times(n, |i| { f.i32_const(3).i32_add().i32_const(i as i32).i32_xor(); });
        f.global_set(0);
    });
    chain_local: "a local that is counted up again and again",
    |_, n| one(&[], |f| {
        times(n, |_| { f.local_get(P32).i32_const(1).i32_add().local_set(P32); });
        f.local_get(P32).global_set(0);
    });
    chain_double: "x + x, again and again: a tree of 2^n nodes",
    |_, n| one(&[], |f| {
        times(n, |_| { f.local_get(P32).local_get(P32).i32_mul().local_set(P32); });
        f.local_get(P32).global_set(0);
    });
    chain_select: "select of x and x + 1 under one condition: rewrites of rewrites",
    |_, n| one(&[], |f| {
        f.local_get(P32);
        times(n, |_| { f.local_get(P32).local_get(P32).select(); });
        times(n, |i| { f.i32_const(i as i32).local_get(P32).select(); });
        f.global_set(0);
    });
    chain_eqz: "eqz of eqz of …: selection by recursion",
    |_, n| one(&[], |f| {
        f.local_get(P32);
        times(n, |_| { f.i32_eqz(); });
        f.global_set(0);
    });
    chain_compare: "comparisons of comparisons",
    |_, n| one(&[], |f| {
        f.local_get(P32);
        times(n, |i| { f.local_get(P32); match i % 3 { 0 => f.i32_lt_s(), 1 => f.i32_eq(), _ => f.i32_gt_u() }; });
        f.global_set(0);
    });
    chain_neg: "negations of negations, and products of them",
    |_, n| one(&[], |f| {
        f.local_get(PF);
        times(n, |_| { f.f64_neg().local_get(PF).f64_mul(); });
        f.global_set(3);
    });
    chain_extend: "extensions and wraps in turn",
    |_, n| one(&[], |f| {
        f.local_get(P32);
        times(n, |i| { f.i64_extend_i32_s().i32_wrap_i64(); if i % 2 == 0 { f.i32_extend8_s(); } });
        f.global_set(0);
    });
    chain_address: "loads from the result of loads plus a constant: address modes",
    |_, n| one(&[], |f| {
        f.local_get(P32);
        times(n, |_| { f.i32_const(8).i32_add().i32_const(4).i32_add().i32_load(at(4, 2)); });
        f.global_set(0);
    });
    chain_global: "globals read and set in turn",
    |_, n| one(&[], |f| times(n, |_| {
        f.global_get(0).i32_const(1).i32_add().global_set(0);
    }));
    chain_memory: "memory read and written in turn",
    |_, n| one(&[], |f| times(n, |i| {
        f.local_get(P32).local_get(P32).i32_load(at(u64::from(i), 0)).i32_store(at(u64::from(i) + 1, 0));
    }));
    loads_then_stores: "many loads, then stores that make each of them stale",
    |_, n| one(&[], |f| {
        times(n, |i| { f.local_get(P32).i32_load(at(u64::from(i), 0)).drop(); });
        times(n, |i| { f.local_get(P32).local_get(P32).i32_store(at(u64::from(i), 0)); });
    });
    shared_subtree: "one value used by many, which each could compute it again",
    |_, n| one(&[(1, I32)], |f| {
        f.local_get(P32).i32_const(3).i32_shl().i32_const(40).i32_add().local_set(L);
        times(n, |i| { f.local_get(L).i32_load(at(u64::from(i), 0)).global_set(0); });
    });
    shared_compare: "one comparison that many branches use",
    |_, n| one(&[(1, I32)], |f| {
        f.local_get(P32).i32_const(3).i32_lt_u().local_set(L);
        times(n, |_| { f.local_get(L).if_(Empty).local_get(L).global_set(0).end(); });
    });
    deep_stack: "a deep operand stack of loads, folded at the end",
    |_, n| one(&[], |f| {
        times(n, |i| { f.local_get(P32).i32_load(at(u64::from(i), 0)); });
        times(n - 1, |_| { f.i32_sub(); });
        f.global_set(0);
    });
    deep_stack_f64: "a deep operand stack of floats",
    |_, n| one(&[], |f| {
        times(n, |i| { f.local_get(P32).f64_load(at(u64::from(i), 0)); });
        times(n - 1, |_| { f.f64_sub(); });
        f.global_set(3);
    });
    deep_nest_results: "nested blocks that each yield a value for the one around",
    |_, n| one(&[], |f| {
        times(n, |_| { f.block(Result(I32)); });
        f.local_get(P32);
        times(n, |_| { f.local_get(P32).br_if(0).i32_const(1).i32_add().end(); });
        f.global_set(0);
    });
    pressure: "200 values in use at any time: spilling",
    |_, n| {
        let (k, locals) = i32s(200.min(n));
        one(&locals, |f| {
            (L..L + k).for_each(|x| {
                f.local_get(P32).i32_load(at(x.into(), 0)).local_set(x);
            });
            times(n, |i| {
                let (a, b) = (L + (i * 61) % k, L + (i * 7 + 3) % k);
                f.local_get(a).local_get(b).i32_sub().local_set(b);
            });
            use_locals(f, k);
        })
    };
    pressure_long: "as many values in use as there are operators: long lives",
    |_, n| {
        let (k, locals) = i32s(n);
        one(&locals, |f| {
            (L..L + k).for_each(|x| {
                f.local_get(P32).i32_load(at(x.into(), 0)).local_set(x);
            });
            times(n, |i| {
                let (a, b) = (L + (i.wrapping_mul(61)) % k, L + (i.wrapping_mul(7919)) % k);
                f.local_get(a).local_get(b).i32_sub().local_set(b);
            });
            use_locals(f, k);
        })
    };
    pressure_loop: "many loops in which 40 values are in use",
    |_, n| {
        let (k, locals) = i32s(40);
        one(&locals, |f| {
            (L..L + k).for_each(|x| {
                f.local_get(P32).i32_load(at(x.into(), 0)).local_set(x);
            });
            times(n, |_| {
                f.loop_(Empty);
                (L..L + k).for_each(|x| { f.local_get(x).i32_const(3).i32_add().local_set(x); });
                f.local_get(P32).br_if(0).end();
            });
            use_locals(f, k);
        })
    };
    calls_live: "many values that live across many calls",
    |_, n| {
        let (k, locals) = i32s(n.div_ceil(4));
        with_callee(&locals, |f, callee| {
            (L..L + k).for_each(|x| {
                f.local_get(P32).i32_load(at(x.into(), 0)).local_set(x);
            });
            times(n, |i| { f.local_get(L + i % k).call(callee).drop(); });
            use_locals(f, k);
        })
    };
    calls_stacked: "calls whose results all wait on the operand stack",
    |_, n| with_callee(&[], |f, callee| {
        times(n, |_| { f.local_get(P32).call(callee); });
        times(n, |_| { f.global_set(0); });
    });
    calls_chain: "calls of calls",
    |_, n| with_callee(&[], |f, callee| {
        f.local_get(P32);
        times(n, |_| { f.call(callee); });
        f.global_set(0);
    });
    fixed_div: "divisions of divisions: fixed registers in turn",
    |_, n| one(&[], |f| {
        f.local_get(P32);
        times(n, |i| { f.local_get(P32); if i % 2 == 0 { f.i32_div_u() } else { f.i32_rem_s() }; });
        f.global_set(0);
    });
    fixed_shift: "shifts by what was shifted: one register for the count",
    |_, n| one(&[(1, I32)], |f| times(n, |i| {
        f.local_get(P32).local_get(L);
        if i % 2 == 0 { f.i32_shl() } else { f.i32_rotr() };
        f.local_get(P32).local_set(L).local_set(P32);
    }));
    fixed_mixed: "a value wanted in another fixed register each time",
    |_, n| with_callee(&[(2, I32)], |f, callee| {
        times(n, |i| {
            f.local_get(P32).local_get(L);
            match i % 4 {
                0 => f.i32_shl(),
                1 => f.i32_div_u(),
                2 => f.i32_rem_u(),
                _ => f.i32_xor().call(callee),
            };
            f.local_set(L + i % 2);
        });
        use_locals(f, 2);
    });
}
