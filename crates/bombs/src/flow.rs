//! Shapes of control: nesting, many blocks, labels, branch tables, values that live through them.

use crate::build::{L, P32, Sink, at, i32s, one, use_locals};
use crate::declare;
use wasm_encoder::BlockType::{self, Empty};
use wasm_encoder::ValType::{F64, I32};

fn times(n: usize, mut step: impl FnMut(u32)) {
    (0..n as u32).for_each(&mut step);
}

/// Loads each local from memory, so that nothing is known of its value.
fn load_locals(f: &mut Sink<'_>, count: u32) {
    for x in L..L + count {
        f.local_get(P32).i32_load(at(u64::from(x) * 4, 2)).local_set(x);
    }
}

declare! {
    block_nest: "nested blocks that nobody branches to: depth alone",
    |_, n| one(&[], |f| {
        times(n, |_| { f.block(Empty); });
        times(n, |_| { f.end(); });
    });
    block_nest_left: "nested blocks with a branch each",
    |_, n| one(&[], |f| {
        times(n, |_| { f.block(Empty); });
        times(n, |_| { f.local_get(P32).br_if(0).end(); });
    });
    loop_nest_plain: "nested loops: dominators, loop trees, liveness by walks",
    |_, n| one(&[], |f| {
        times(n, |_| { f.loop_(Empty); });
        times(n, |_| { f.local_get(P32).br_if(0).end(); });
    });
    loop_nest_uses: "nested loops around uses of many values from outside: live-in lists per loop",
    |_, n| {
        let (k, locals) = i32s(n);
        one(&locals, |f| {
            load_locals(f, k);
            times(n, |_| { f.loop_(Empty); });
            use_locals(f, k);
            times(n, |_| { f.local_get(P32).br_if(0).end(); });
            use_locals(f, k);
        })
    };
    loop_nest_one_use_each: "nested loops that each use one value from outside",
    |_, n| {
        let (k, locals) = i32s(n);
        one(&locals, |f| {
            load_locals(f, k);
            times(n, |i| { f.loop_(Empty).local_get(L + i % k).global_set(0); });
            times(n, |_| { f.local_get(P32).br_if(0).end(); });
            use_locals(f, k);
        })
    };
    if_nest: "nested conditionals",
    |_, n| one(&[], |f| {
        times(n, |_| { f.local_get(P32).if_(Empty); });
        times(n, |_| { f.end(); });
    });
    if_nest_results: "nested conditionals that yield a value",
    |_, n| one(&[], |f| {
        times(n, |_| { f.local_get(P32).if_(BlockType::Result(I32)); });
        f.i32_const(7);
        times(n, |i| { f.else_().i32_const(i as i32).end(); });
        f.global_set(0);
    });
    brtable_nest: "nested blocks and one branch table to all of them",
    |_, n| one(&[], |f| {
        times(n, |_| { f.block(Empty); });
        f.local_get(P32).br_table(0..n as u32, 0);
        times(n, |_| { f.end(); });
    });
    brtable_nest_each: "nested blocks with a branch table to three of them at each end",
    |_, n| one(&[], |f| {
        times(n + 2, |_| { f.block(Empty); });
        times(n, |_| { f.local_get(P32).br_table([0, 1, 2, 0, 1], 1).end(); });
        f.end().end();
    });
    brtable_large: "one branch table of many entries to two labels",
    |_, n| one(&[], |f| {
        f.block(Empty).block(Empty);
        f.local_get(P32).br_table((0..n as u32).map(|i| i & 1), 0);
        f.end().end();
    });
    brtables_small: "many small branch tables: a check, a table and edges for six bytes",
    |_, n| one(&[], |f| {
        f.block(Empty);
        times(n, |_| { f.block(Empty).local_get(P32).br_table([0, 1], 0).end(); });
        f.end();
    });
    brtables_dead: "branch tables in unreachable code",
    |_, n| one(&[], |f| {
        f.block(Empty).unreachable();
        times(n, |_| { f.br_table([0, 1, 0], 0); });
        f.end();
    });
    blocks_empty: "empty blocks one after the other",
    |_, n| one(&[], |f| times(n, |_| { f.block(Empty).end(); }));
    loops_empty: "empty loops one after the other",
    |_, n| one(&[], |f| times(n, |_| { f.loop_(Empty).end(); }));
    loops_small: "loops without a body but a branch back: labels at one place",
    |_, n| one(&[], |f| times(n, |_| { f.loop_(Empty).local_get(P32).br_if(0).end(); }));
    loops_endless: "a branch around each of many endless loops",
    |_, n| one(&[], |f| times(n, |_| {
        f.block(Empty).local_get(P32).br_if(0).loop_(Empty).br(0).end().end();
    }));
    blocks_left: "blocks with nothing but a branch to their end",
    |_, n| one(&[], |f| times(n, |_| { f.block(Empty).local_get(P32).br_if(0).end(); }));
    ifs_empty: "conditionals with empty arms",
    |_, n| one(&[], |f| times(n, |_| { f.local_get(P32).if_(Empty).else_().end(); }));
    ifs_trap: "conditional traps: cold paths",
    |_, n| one(&[], |f| times(n, |_| { f.local_get(P32).if_(Empty).unreachable().end(); }));
    ifs_return: "conditional returns: epilogues",
    |_, n| one(&[], |f| times(n, |_| { f.local_get(P32).if_(Empty).return_().end(); }));
    br_ifs_out: "conditional branches out of the function: a return each",
    |_, n| one(&[], |f| times(n, |_| { f.local_get(P32).br_if(0); }));
    far_branches: "branches to one label far away: fixups",
    |_, n| one(&[], |f| {
        f.block(Empty);
        times(n, |_| { f.local_get(P32).br_if(0); });
        f.end().i32_const(1).global_set(0);
    });
    unreachable_tail: "operators that cannot be reached",
    |_, n| one(&[], |f| {
        f.unreachable();
        times(n, |i| { f.i32_const(i as i32).drop(); });
    });
    unreachable_blocks: "blocks and loops that cannot be reached",
    |_, n| one(&[], |f| {
        f.block(Empty).br(0);
        times(n, |_| { f.block(Empty).loop_(Empty).br(1).end().end(); });
        f.end();
    });
    unreachable_nest: "a nest of blocks that cannot be reached",
    |_, n| one(&[], |f| {
        f.unreachable();
        times(n, |_| { f.block(Empty).loop_(Empty); });
        times(n, |_| { f.br(0).end().end(); });
    });
    returns: "blocks left by an unconditional branch, with dead code behind it",
    |_, n| one(&[], |f| times(n, |_| {
        f.block(Empty).br(0).local_get(P32).drop().end();
    }));
    stack_x_blocks: "many values on the operand stack, then many blocks: state per block",
    |_, n| one(&[], |f| {
        times(n, |i| { f.local_get(P32).i32_load(at(u64::from(i), 0)); });
        times(n, |_| { f.block(Empty).local_get(P32).br_if(0).end(); });
        times(n, |_| { f.global_set(0); });
    });
    stack_x_blocks_const: "many constants on the operand stack, then many blocks",
    |_, n| one(&[], |f| {
        times(n, |i| { f.i32_const(i as i32); });
        times(n, |_| { f.block(Empty).local_get(P32).br_if(0).end(); });
        times(n, |_| { f.global_set(0); });
    });
    stack_x_loops: "many values on the operand stack, then many loops",
    |_, n| one(&[], |f| {
        times(n, |i| { f.local_get(P32).i32_load(at(u64::from(i), 0)); });
        times(n, |_| { f.loop_(Empty).local_get(P32).br_if(0).end(); });
        times(n, |_| { f.global_set(0); });
    });
    stack_x_localset: "many values of one local on the stack, then it is set many times",
    |_, n| one(&[(1, I32)], |f| {
        f.local_get(P32).local_set(L);
        times(n, |_| { f.local_get(L); });
        times(n, |i| { f.i32_const(i as i32).local_set(L); });
        times(n, |_| { f.global_set(0); });
    });
    seq_loops_livethrough: "many values that live through many loops: live sets per block",
    |_, n| {
        let (k, locals) = i32s(n.div_ceil(4));
        one(&locals, |f| {
            load_locals(f, k);
            times(n, |_| { f.loop_(Empty).local_get(P32).br_if(0).end(); });
            use_locals(f, k);
        })
    };
    seq_loops_few: "forty values of each kind that live through many loops: lists of live values per block",
    |_, n| one(&[(40, I32), (40, F64)], |f| {
        load_locals(f, 40);
        (L + 40..L + 80).for_each(|x| {
            f.local_get(P32).f64_load(at(u64::from(x) * 8, 3)).local_set(x);
        });
        times(n, |_| { f.loop_(Empty).local_get(P32).br_if(0).end(); });
        use_locals(f, 40);
        (L + 40..L + 80).for_each(|x| { f.local_get(x).global_set(3); });
    });
    seq_ifs_livethrough: "many values that live through many conditionals",
    |_, n| {
        let (k, locals) = i32s(n.div_ceil(4));
        one(&locals, |f| {
            load_locals(f, k);
            times(n, |i| {
                f.local_get(P32).if_(Empty).local_get(L + (i * 7919) % k).global_set(0).end();
            });
            use_locals(f, k);
        })
    };
    loops_rotate: "loops in which each iteration moves 16 values by one place: permutations",
    |_, n| {
        let (k, locals) = i32s(16);
        one(&locals, |f| {
            times(n, |_| {
                f.loop_(Empty);
                (L..L + k).for_each(|x| { f.local_get(x); });
                (L..L + k - 1).for_each(|x| { f.local_set(x); });
                f.local_set(L + k - 1).local_get(P32).br_if(0).end();
            });
            use_locals(f, k);
        })
    };
}
