//! Up to 1,000 values for the two bytes of a type's index.

use crate::build::{P32, Sink, Wasm};
use crate::declare;
use wasm_encoder::BlockType::{Empty, FunctionType};
use wasm_encoder::ValType::{self, F64, I32, I64};

/// Bytes of which each has a function of its own around it, so that pushing and popping the values is
/// the same part of a module of any size.
const UNIT: usize = 16 << 10;

/// Width of the types of a module of this size: a sixth of a unit is spent on making such values.
fn width(bytes: usize) -> usize {
    (bytes / 48).clamp(4, UNIT / 48)
}

/// Width of types that only their declaration spends bytes on: the most there may be.
fn widest(bytes: usize) -> usize {
    if bytes < UNIT { width(bytes) } else { 1000 }
}

/// `n` things over the functions of a module of this size.
fn parts(bytes: usize, n: usize) -> impl Iterator<Item = usize> {
    let units = (bytes / UNIT).max(1);
    (0..units).map(move |unit| n / units + usize::from(unit < n % units))
}

/// `count` types, of several kinds in turn.
fn list(count: usize) -> Vec<ValType> {
    [I32, I32, I64, F64].into_iter().cycle().take(count).collect()
}

/// Pushes a constant of each type.
fn push(f: &mut Sink<'_>, types: &[ValType]) {
    for (i, ty) in types.iter().enumerate() {
        match ty {
            I32 => f.i32_const(i as i32 & 63),
            I64 => f.i64_const(i as i64 & 63),
            _ => f.local_get(1),
        };
    }
}

/// Stores the values that [`push`] has pushed.
fn pop(f: &mut Sink<'_>, types: &[ValType]) {
    for ty in types.iter().rev() {
        f.global_set(match ty {
            I32 => 0,
            I64 => 1,
            _ => 3,
        });
    }
}

/// Calls that give a thousand values each, in one function.
const PILE: usize = 60;

/// A module with a function that gives `types`, and their type.
pub(crate) fn source(types: &[ValType]) -> (Wasm, u32, u32) {
    let mut wasm = crate::build::base();
    let yields = wasm.ty(&[], types);
    let source = wasm.func(yields, &[], |f| {
        f.unreachable();
    });
    (wasm, yields, source)
}

struct Wide {
    wasm: Wasm,
    types: Vec<ValType>,
    /// `types -> types`.
    same: u32,
    /// `-> types`.
    yields: u32,
}

/// A module with types of `k` values.
fn wide(k: usize) -> Wide {
    let mut wasm = crate::build::base();
    let types = list(k);
    let same = wasm.ty(&types, &types);
    let yields = wasm.ty(&[], &types);
    Wide { wasm, types, same, yields }
}

/// Functions `[i32 f64] -> []` around `k` values on the stack, which share `n` of something.
fn around(k: usize, bytes: usize, n: usize, body: impl Fn(&mut Sink<'_>, u32, usize)) -> Vec<u8> {
    let Wide { mut wasm, types, same, .. } = wide(k);
    let ty = wasm.ty(&[I32, F64], &[]);
    for (unit, n) in parts(bytes, n).enumerate() {
        let func = wasm.func(ty, &[], |f| {
            push(f, &types);
            body(f, same, n);
            pop(f, &types);
        });
        wasm.export_func(&format!("f{unit}"), func);
    }
    wasm.finish()
}

/// As [`around`], with a function `types -> types` that ends in a trap, of index 0.
fn around_call(
    k: usize,
    bytes: usize,
    n: usize,
    body: impl Fn(&mut Sink<'_>, u32, usize),
) -> Vec<u8> {
    let Wide { mut wasm, types, same, .. } = wide(k);
    wasm.table(1);
    wasm.func(same, &[], |f| {
        f.unreachable();
    });
    let ty = wasm.ty(&[I32, F64], &[]);
    for (unit, n) in parts(bytes, n).enumerate() {
        let func = wasm.func(ty, &[], |f| {
            push(f, &types);
            body(f, same, n);
            pop(f, &types);
        });
        wasm.export_func(&format!("f{unit}"), func);
    }
    wasm.finish()
}

declare! {
    block_params: "blocks of many values: three bytes each",
    |bytes, n| around(width(bytes), bytes, n, |f, same, n| {
        (0..n).for_each(|_| { f.block(FunctionType(same)).end(); });
    });
    block_params_left: "blocks of many values that are branched out of",
    |bytes, n| around(width(bytes), bytes, n, |f, same, n| {
        (0..n).for_each(|_| { f.block(FunctionType(same)).local_get(P32).br_if(0).end(); });
    });
    block_params_nest: "nested blocks of many values",
    |bytes, n| around(width(bytes), bytes, n, |f, same, n| {
        (0..n).for_each(|_| { f.block(FunctionType(same)); });
        (0..n).for_each(|_| { f.local_get(P32).br_if(0).end(); });
    });
    loop_params: "loops of many values: a parameter for each",
    |bytes, n| around(width(bytes), bytes, n, |f, same, n| {
        (0..n).for_each(|_| { f.loop_(FunctionType(same)).local_get(P32).br_if(0).end(); });
    });
    loop_params_nest: "nested loops of many values",
    |bytes, n| around(width(bytes), bytes, n, |f, same, n| {
        (0..n).for_each(|_| { f.loop_(FunctionType(same)); });
        (0..n).for_each(|_| { f.local_get(P32).br_if(0).end(); });
    });
    if_params: "conditionals of many values",
    |bytes, n| around(width(bytes), bytes, n, |f, same, n| {
        (0..n).for_each(|_| { f.local_get(P32).if_(FunctionType(same)).else_().end(); });
    });
    call_multi: "calls that take and give many values: two bytes each",
    |bytes, n| around_call(width(bytes), bytes, n, |f, _, n| {
        (0..n).for_each(|_| { f.call(0); });
    });
    call_multi_few: "calls that take and give 24 values",
    |bytes, n| around_call(24, bytes, n, |f, _, n| {
        (0..n).for_each(|_| { f.call(0); });
    });
    call_indirect_multi: "indirect calls that take and give many values",
    |bytes, n| around_call(width(bytes), bytes, n, |f, same, n| {
        (0..n).for_each(|_| { f.local_get(P32).call_indirect(0, same); });
    });
    call_multi_dead: "calls of many values in unreachable code: validation alone",
    |bytes, n| around_call(width(bytes), bytes, n, |f, _, n| {
        f.unreachable();
        (0..n).for_each(|_| { f.call(0); });
    });
    call_results_dropped: "calls that give many values, which are never popped",
    |bytes, n| {
        let (mut wasm, _, source) = source(&list(widest(bytes)));
        let ty = wasm.ty(&[I32, F64], &[]);
        let func = wasm.func(ty, &[], |f| {
            (0..n).for_each(|_| { f.block(Empty).call(source).br(0).end(); });
        });
        wasm.export_func("f", func);
        wasm.finish()
    };
    call_results_stacked: "calls that give many values, which pile up on the operand stack",
    |bytes, n| {
        let (mut wasm, _, source) = source(&list(widest(bytes)));
        let ty = wasm.ty(&[I32, F64], &[]);
        // As many as may pile up in one function.
        for first in (0..n).step_by(PILE) {
            wasm.func(ty, &[], |f| {
                (first..n.min(first + PILE)).for_each(|_| { f.call(source); });
                f.unreachable();
            });
        }
        wasm.finish()
    };
    call_multi_widest: "calls that take and give as many values as there may be",
    |bytes, n| {
        let mut wasm = crate::build::base();
        let ty = wasm.ty(&[I32, F64], &[]);
        for (unit, n) in parts(bytes, n).enumerate() {
            // Types of its own for each function, which are the same part of any module.
            let types = list(if bytes < UNIT { width(bytes) } else { 1000 - unit % 512 });
            let same = wasm.ty(&types, &types);
            let callee = wasm.func(same, &[], |f| { f.unreachable(); });
            wasm.func(ty, &[], |f| {
                push(f, &types);
                (0..n).for_each(|_| { f.call(callee); });
                pop(f, &types);
            });
        }
        wasm.finish()
    };
    wide_to_narrow: "calls of eight values each, which one call has given by the hundred",
    |bytes, n| {
        let k = width(bytes).next_multiple_of(8);
        let (mut wasm, _, source) = source(&vec![I64; k]);
        let eight = wasm.ty(&[I64; 8], &[]);
        let narrow = wasm.func(eight, &[], |f| { f.unreachable(); });
        let ty = wasm.ty(&[], &[]);
        wasm.func(ty, &[], |f| {
            for _ in 0..n {
                f.call(source);
                (0..k / 8).for_each(|_| { f.call(narrow); });
            }
        });
        wasm.finish()
    };
    wide_selects: "selections among values that one call has given by the hundred",
    |bytes, n| {
        let k = width(bytes) | 1;
        let (mut wasm, _, source) = source(&vec![I32; k]);
        let ty = wasm.ty(&[], &[]);
        wasm.func(ty, &[], |f| {
            for _ in 0..n {
                f.call(source);
                (0..k / 2).for_each(|_| { f.select(); });
                f.global_set(0);
            }
        });
        wasm.finish()
    };
    brtable_shifts: "branch tables to many labels, each of which wants many values at another height",
    |bytes, n| {
        let Wide { mut wasm, types, same, yields } = wide(24);
        let ty = wasm.ty(&[I32, F64], &[]);
        let labels = (bytes / 160).clamp(4, 100) as u32;
        for n in parts(bytes, n) {
            wasm.func(ty, &[], |f| {
                (0..labels).for_each(|_| { f.i32_const(0).block(FunctionType(yields)); });
                push(f, &types);
                for _ in 0..n {
                    f.local_get(P32).if_(FunctionType(same));
                    f.local_get(P32).br_table(0..labels, 0).end();
                }
                f.end();
                (1..labels).for_each(|_| { f.br(0).end(); });
                pop(f, &types);
                f.drop();
            });
        }
        wasm.finish()
    };
    wide_br_if: "branches that carry many values to one label",
    |bytes, n| around(width(bytes), bytes, n, |f, same, n| {
        f.block(FunctionType(same));
        (0..n).for_each(|_| { f.local_get(P32).br_if(0); });
        f.end();
    });
    wide_br_if_out: "branches that carry many values to labels in turn",
    |bytes, n| around(width(bytes), bytes, n, |f, same, n| {
        (0..16).for_each(|_| { f.block(FunctionType(same)); });
        (0..n as u32).for_each(|i| { f.local_get(P32).br_if(i % 16); });
        (0..16).for_each(|_| { f.end(); });
    });
    wide_return: "conditional returns of many values",
    |bytes, n| {
        let Wide { mut wasm, types, same, .. } = wide(width(bytes));
        for n in parts(bytes, n) {
            wasm.func(same, &[], |f| {
                (0..types.len() as u32).for_each(|x| { f.local_get(x); });
                (0..n).for_each(|_| { f.local_get(P32).br_if(0); });
            });
        }
        wasm.finish()
    };
    wide_funcs: "functions that take and give many values and pass them on",
    |bytes, n| {
        let Wide { mut wasm, types, same, .. } = wide(width(bytes));
        for _ in 0..n {
            wasm.func(same, &[], |f| {
                (0..types.len() as u32).for_each(|x| { f.local_get(x); });
            });
        }
        wasm.finish()
    };
    brtable_arity: "a branch table to a label of many values: a check per entry",
    |bytes, n| around(width(bytes), bytes, n, |f, same, n| {
        f.block(FunctionType(same)).block(FunctionType(same)).local_get(P32);
        f.br_table((0..n as u32).map(|i| i & 1), 0);
        f.end().end();
    });
    brtables_arity: "many branch tables to labels of many values",
    |bytes, n| around(width(bytes), bytes, n, |f, same, n| {
        f.block(FunctionType(same));
        for _ in 0..n {
            f.block(FunctionType(same)).local_get(P32).br_table([0, 1, 0], 1).end();
        }
        f.end();
    });
    shift_branches: "branches that carry many values over others: all of them move",
    |bytes, n| {
        let Wide { mut wasm, types, yields, .. } = wide(width(bytes));
        let ty = wasm.ty(&[I32, F64], &[]);
        for n in parts(bytes, n) {
            wasm.func(ty, &[], |f| {
                f.block(FunctionType(yields));
                f.i32_const(1).local_get(1);
                push(f, &types);
                (0..n).for_each(|_| { f.local_get(P32).br_if(0); });
                f.br(0).end();
                pop(f, &types);
            });
        }
        wasm.finish()
    };
    loop_shift: "loops of many values whose back edge moves all of them by one place",
    |bytes, n| {
        let k = width(bytes);
        let mut wasm = crate::build::base();
        let types = vec![I32; k];
        let same = wasm.ty(&types, &types);
        let ty = wasm.ty(&[I32], &[]);
        for n in parts(bytes, n) {
            wasm.func(ty, &[], |f| {
                (0..k).for_each(|i| { f.i32_const(i as i32 & 63); });
                for _ in 0..n {
                    // The branch takes what lies on top: all but the lowest, and the new one.
                    f.loop_(FunctionType(same)).local_get(P32).local_get(P32).br_if(0).drop();
                    f.end();
                }
                (0..k).for_each(|_| { f.global_set(0); });
            });
        }
        wasm.finish()
    };
    tail_calls_multi: "functions that tail-call with many values",
    |bytes, n| {
        let Wide { mut wasm, types, same, .. } = wide(width(bytes));
        wasm.func(same, &[], |f| { f.unreachable(); });
        let ty = wasm.ty(&[I32, F64], &types);
        for n in parts(bytes, n) {
            wasm.func(ty, &[], |f| {
                push(f, &types);
                for _ in 0..n {
                    f.local_get(P32).if_(FunctionType(same)).return_call(0).end();
                }
            });
        }
        wasm.finish()
    };
    call_multi_diluted: "calls of many values, each with a hundred operators of a byte each",
    |bytes, n| around_call(width(bytes), bytes, n, |f, _, n| {
        (0..n).for_each(|_| {
            f.call(0);
            (0..120).for_each(|_| { f.nop(); });
        });
    });
    wide_relays: "functions of a few bytes that pass on what another one gives",
    |bytes, n| {
        let (mut wasm, yields, source) = source(&list(widest(bytes)));
        (0..n).for_each(|_| { wasm.func(yields, &[], |f| { f.call(source); }); });
        wasm.finish()
    };
    wide_calls_small: "functions of a few bytes that call another one that gives many values",
    |bytes, n| {
        let (mut wasm, _, source) = source(&list(widest(bytes)));
        let ty = wasm.ty(&[], &[]);
        (0..n).for_each(|_| { wasm.func(ty, &[], |f| { f.call(source).unreachable(); }); });
        wasm.finish()
    };
    sig_funcs_last: "functions of a type of many parameters that use the last one",
    |bytes, n| {
        let mut wasm = crate::build::base();
        let types = vec![I32; widest(bytes)];
        let ty = wasm.ty(&types, &[I32]);
        let last = types.len() as u32 - 1;
        (0..n).for_each(|_| { wasm.func(ty, &[], |f| { f.local_get(last); }); });
        wasm.finish()
    };
    sig_funcs: "functions of a type of many parameters, each of a few bytes",
    |bytes, n| {
        let mut wasm = crate::build::base();
        let ty = wasm.ty(&list(widest(bytes)), &[]);
        for _ in 0..n {
            wasm.func(ty, &[], |f| { f.unreachable(); });
        }
        wasm.finish()
    };
    sig_funcs_returns: "functions of a type of many parameters that return at once",
    |bytes, n| {
        let mut wasm = crate::build::base();
        let ty = wasm.ty(&list(widest(bytes)), &[]);
        for _ in 0..n {
            wasm.func(ty, &[], |_| {});
        }
        wasm.finish()
    };
    sig_imports: "imports of functions of a type of many values, which are all exported",
    |bytes, n| {
        let mut wasm = crate::build::base();
        // The validator adds up the sizes of the types of imports and exports.
        let k = (bytes / 48).clamp(4, 1000).min(2_000_000 / bytes.max(1)).max(1);
        let types = list(k);
        let ty = wasm.ty(&types, &types);
        for i in 0..n {
            let func = wasm.import_func("f", ty);
            wasm.export_func(&format!("{i}"), func);
        }
        wasm.finish()
    };
}
