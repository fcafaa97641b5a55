//! Many joins times many locals: what SSA pays for with block parameters and edge moves.

use crate::build::{L, P32, Sink, i32s, one, use_locals};
use crate::declare;
use wasm_encoder::BlockType::Empty;

/// Adds one to a local.
fn bump(f: &mut Sink<'_>, local: u32) {
    f.local_get(local).i32_const(1).i32_add().local_set(local);
}

declare! {
    loop_nest_phi: "nested loops, locals changed innermost: a parameter per loop and local",
    |_, n| {
        let (k, locals) = i32s(n);
        one(&locals, |f| {
            (0..n).for_each(|_| { f.loop_(Empty); });
            (L..L + k).for_each(|x| bump(f, x));
            (0..n).for_each(|_| { f.local_get(P32).br_if(0).end(); });
            use_locals(f, k);
        })
    };
    loop_nest_phi_few: "nested loops, 40 locals changed innermost: parameters per loop",
    |_, n| {
        let (k, locals) = i32s(40);
        one(&locals, |f| {
            (0..n).for_each(|_| { f.loop_(Empty); });
            (L..L + k).for_each(|x| bump(f, x));
            (0..n).for_each(|_| { f.local_get(P32).br_if(0).end(); });
            use_locals(f, k);
        })
    };
    loop_nest_trivial_phi: "nested loops that set locals to themselves: parameters to remove again",
    |_, n| {
        let (k, locals) = i32s(n);
        one(&locals, |f| {
            (0..n).for_each(|_| { f.loop_(Empty); });
            (L..L + k).for_each(|x| { f.local_get(x).local_set(x); });
            (0..n).for_each(|_| { f.local_get(P32).br_if(0).end(); });
            use_locals(f, k);
        })
    };
    loop_continues_phi: "many back edges to one loop that changes many locals",
    |_, n| {
        let (k, locals) = i32s(n);
        one(&locals, |f| {
            f.loop_(Empty);
            for i in 0..n as u32 {
                bump(f, L + i % k);
                f.local_get(P32).br_if(0);
            }
            f.end();
            use_locals(f, k);
        })
    };
    manypreds_phi: "a join of many branches with a local changed before each: moves on all edges",
    |_, n| {
        let (k, locals) = i32s(n);
        one(&locals, |f| {
            f.block(Empty);
            for i in 0..n as u32 {
                bump(f, L + i % k);
                f.local_get(P32).br_if(0);
            }
            f.end();
            use_locals(f, k);
        })
    };
    manypreds_phi_few: "a join of many branches with 40 locals changed: moves on all edges",
    |_, n| {
        let (k, locals) = i32s(40);
        one(&locals, |f| {
            f.block(Empty);
            for i in 0..n as u32 {
                bump(f, L + i % k);
                f.local_get(P32).br_if(0);
            }
            f.end();
            use_locals(f, k);
        })
    };
    brtable_phi: "one branch table of many entries to two joins with many locals changed",
    |_, n| {
        let (k, locals) = i32s(n);
        one(&locals, |f| {
            f.block(Empty).block(Empty);
            (L..L + k).for_each(|x| bump(f, x));
            f.local_get(P32).br_table((0..n as u32).map(|i| u32::from(i % 3 == 0)), 0);
            f.end();
            (L..L + k).for_each(|x| bump(f, x));
            f.end();
            use_locals(f, k);
        })
    };
    brtables_phi: "many small branch tables between joins with many locals changed",
    |_, n| {
        let (k, locals) = i32s(n);
        one(&locals, |f| {
            f.block(Empty).block(Empty);
            for i in 0..n as u32 {
                bump(f, L + i % k);
                f.block(Empty).local_get(P32).br_table([2, 0, 1, 2], 0).end();
            }
            f.end().end();
            use_locals(f, k);
        })
    };
    block_nest_phi: "nested blocks, locals set innermost, a branch at each end",
    |_, n| {
        let (k, locals) = i32s(n);
        one(&locals, |f| {
            (0..n).for_each(|_| { f.block(Empty); });
            (L..L + k).for_each(|x| bump(f, x));
            (0..n).for_each(|_| { f.local_get(P32).br_if(0).end(); });
            use_locals(f, k);
        })
    };
    block_nest_sets: "nested blocks that each set one local, left by branches to the outermost",
    |_, n| {
        let (k, locals) = i32s(n);
        one(&locals, |f| {
            (0..n as u32).for_each(|i| { f.block(Empty).i32_const(i as i32).local_set(L + i % k); });
            (0..n as u32).for_each(|i| { f.local_get(P32).br_if(n as u32 - 1 - i).end(); });
            use_locals(f, k);
        })
    };
    block_nest_one_local: "nested blocks that set one local, left by branches to the outermost",
    |_, n| one(&[(1, wasm_encoder::ValType::I32)], |f| {
        (0..n).for_each(|i| { f.block(Empty).i32_const(i as i32).local_set(L); });
        (0..n as u32).for_each(|i| { f.local_get(P32).br_if(n as u32 - 1 - i).end(); });
        use_locals(f, 1);
    });
    dead_scopes: "nested blocks whose branches are dead: what was set inside is handed outwards",
    |_, n| {
        let (k, locals) = i32s(n);
        one(&locals, |f| {
            (0..n).for_each(|_| { f.block(Empty); });
            (L..L + k).for_each(|x| bump(f, x));
            (0..n).for_each(|_| { f.i32_const(0).br_if(0).end(); });
            use_locals(f, k);
        })
    };
    if_nest_sets: "nested conditionals with a local set in both arms",
    |_, n| {
        let (k, locals) = i32s(n);
        one(&locals, |f| {
            for i in 0..n as u32 {
                f.local_get(P32).if_(Empty);
                bump(f, L + i % k);
            }
            for i in 0..n as u32 {
                f.else_().i32_const(i as i32).local_set(L + i % k).end();
            }
            use_locals(f, k);
        })
    };
    if_chain_sets: "conditionals one after the other with a local set in both arms",
    |_, n| {
        let (k, locals) = i32s(n);
        one(&locals, |f| {
            for i in 0..n as u32 {
                f.local_get(P32).if_(Empty);
                bump(f, L + i % k);
                f.else_().i32_const(i as i32).local_set(L + (i + 7) % k).end();
            }
            use_locals(f, k);
        })
    };
    diamonds_one_local: "conditionals one after the other that change the same local",
    |_, n| one(&[(1, wasm_encoder::ValType::I32)], |f| {
        for _ in 0..n {
            f.local_get(L).if_(Empty);
            bump(f, L);
            f.else_().local_get(P32).local_set(L).end();
        }
        use_locals(f, 1);
    });
    blocks_x_vars: "many joins, then many locals set: a table of locals times blocks",
    |_, n| {
        let (k, locals) = i32s(n);
        one(&locals, |f| {
            (0..n).for_each(|_| { f.block(Empty).local_get(P32).br_if(0).end(); });
            (L..L + k).for_each(|x| { f.local_get(P32).local_set(x); });
            use_locals(f, k);
        })
    };
    chain_read_k: "a chain of blocks, then many locals read: a walk up for each of them",
    |_, n| {
        let (k, locals) = i32s(n);
        one(&locals, |f| {
            (L..L + k).for_each(|x| { f.local_get(P32).i32_load(crate::build::at(x.into(), 0))
                .local_set(x); });
            (0..n).for_each(|_| { f.local_get(P32).if_(Empty); });
            use_locals(f, k);
            (0..n).for_each(|_| { f.end(); });
        })
    };
    loop_exits: "a loop left from many places with locals changed",
    |_, n| {
        let (k, locals) = i32s(n);
        one(&locals, |f| {
            f.block(Empty).loop_(Empty);
            for i in 0..n as u32 {
                bump(f, L + i % k);
                f.local_get(P32).br_if(1);
            }
            f.br(0).end().end();
            use_locals(f, k);
        })
    };
    loop_nest_exits: "nested loops, each left to the outside with a local changed",
    |_, n| {
        let (k, locals) = i32s(n);
        one(&locals, |f| {
            f.block(Empty);
            for i in 0..n as u32 {
                f.loop_(Empty);
                bump(f, L + i % k);
                f.local_get(P32).br_if(i + 1);
            }
            (0..n).for_each(|_| { f.local_get(P32).br_if(0).end(); });
            f.end();
            use_locals(f, k);
        })
    };
    merges_both_ends: "blocks nested and left from every depth with every local changed once",
    |_, n| {
        let (k, locals) = i32s(n);
        one(&locals, |f| {
            (0..n).for_each(|_| { f.block(Empty); });
            for i in 0..n as u32 {
                bump(f, L + i % k);
                f.local_get(P32).br_if((n as u32 - 1 - i) / 2);
                f.local_get(P32).br_if(0).end();
            }
            use_locals(f, k);
        })
    };
}
