//! Up to 1,000 values for the two bytes of a type's index.

use crate::build::{P32, Sink, Wasm};
use crate::declare;
use wasm_encoder::BlockType::{Empty, FunctionType};
use wasm_encoder::ValType::{self, F64, I32, I64};

/// Width of the types of a module of this size: a sixth of it is spent on making such values.
fn width(bytes: usize) -> usize {
    (bytes / 48).clamp(4, 1000)
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

/// One function `[i32 f64] -> []` around `k` values on the stack.
fn around(k: usize, body: impl FnOnce(&mut Sink<'_>, u32)) -> Vec<u8> {
    let Wide { mut wasm, types, same, .. } = wide(k);
    let ty = wasm.ty(&[I32, F64], &[]);
    let func = wasm.func(ty, &[], |f| {
        push(f, &types);
        body(f, same);
        pop(f, &types);
    });
    wasm.export_func("f", func);
    wasm.finish()
}

/// As [`around`], with a function `types -> types` that ends in a trap, of index 0.
fn around_call(k: usize, body: impl FnOnce(&mut Sink<'_>, u32)) -> Vec<u8> {
    let Wide { mut wasm, types, same, .. } = wide(k);
    wasm.table(1);
    wasm.func(same, &[], |f| {
        f.unreachable();
    });
    let ty = wasm.ty(&[I32, F64], &[]);
    let func = wasm.func(ty, &[], |f| {
        push(f, &types);
        body(f, same);
        pop(f, &types);
    });
    wasm.export_func("f", func);
    wasm.finish()
}

declare! {
    block_params: "blocks of many values: three bytes each",
    |bytes, n| around(width(bytes), |f, same| {
        (0..n).for_each(|_| { f.block(FunctionType(same)).end(); });
    });
    block_params_left: "blocks of many values that are branched out of",
    |bytes, n| around(width(bytes), |f, same| {
        (0..n).for_each(|_| { f.block(FunctionType(same)).local_get(P32).br_if(0).end(); });
    });
    block_params_nest: "nested blocks of many values",
    |bytes, n| around(width(bytes), |f, same| {
        (0..n).for_each(|_| { f.block(FunctionType(same)); });
        (0..n).for_each(|_| { f.local_get(P32).br_if(0).end(); });
    });
    loop_params: "loops of many values: a parameter for each",
    |bytes, n| around(width(bytes), |f, same| {
        (0..n).for_each(|_| { f.loop_(FunctionType(same)).local_get(P32).br_if(0).end(); });
    });
    loop_params_nest: "nested loops of many values",
    |bytes, n| around(width(bytes), |f, same| {
        (0..n).for_each(|_| { f.loop_(FunctionType(same)); });
        (0..n).for_each(|_| { f.local_get(P32).br_if(0).end(); });
    });
    if_params: "conditionals of many values",
    |bytes, n| around(width(bytes), |f, same| {
        (0..n).for_each(|_| { f.local_get(P32).if_(FunctionType(same)).else_().end(); });
    });
    call_multi: "calls that take and give many values: two bytes each",
    |bytes, n| around_call(width(bytes), |f, _| {
        (0..n).for_each(|_| { f.call(0); });
    });
    call_multi_few: "calls that take and give 24 values",
    |_, n| around_call(24, |f, _| {
        (0..n).for_each(|_| { f.call(0); });
    });
    call_indirect_multi: "indirect calls that take and give many values",
    |bytes, n| around_call(width(bytes), |f, same| {
        (0..n).for_each(|_| { f.local_get(P32).call_indirect(0, same); });
    });
    call_multi_dead: "calls of many values in unreachable code: validation alone",
    |bytes, n| around_call(width(bytes), |f, _| {
        f.unreachable();
        (0..n).for_each(|_| { f.call(0); });
    });
    call_results_dropped: "calls that give many values, which are never popped",
    |bytes, n| {
        let Wide { mut wasm, yields, .. } = wide(width(bytes));
        wasm.func(yields, &[], |f| { f.unreachable(); });
        let ty = wasm.ty(&[I32, F64], &[]);
        let func = wasm.func(ty, &[], |f| {
            (0..n).for_each(|_| { f.block(Empty).call(0).br(0).end(); });
        });
        wasm.export_func("f", func);
        wasm.finish()
    };
    call_results_stacked: "calls that give many values, which pile up on the operand stack",
    |bytes, n| {
        let Wide { mut wasm, yields, .. } = wide(width(bytes));
        wasm.func(yields, &[], |f| { f.unreachable(); });
        let ty = wasm.ty(&[I32, F64], &[]);
        let func = wasm.func(ty, &[], |f| {
            (0..n).for_each(|_| { f.call(0); });
            f.unreachable();
        });
        wasm.export_func("f", func);
        wasm.finish()
    };
    wide_br_if: "branches that carry many values to one label",
    |bytes, n| around(width(bytes), |f, same| {
        f.block(FunctionType(same));
        (0..n).for_each(|_| { f.local_get(P32).br_if(0); });
        f.end();
    });
    wide_br_if_out: "branches that carry many values to labels in turn",
    |bytes, n| around(width(bytes), |f, same| {
        (0..16).for_each(|_| { f.block(FunctionType(same)); });
        (0..n as u32).for_each(|i| { f.local_get(P32).br_if(i % 16); });
        (0..16).for_each(|_| { f.end(); });
    });
    wide_return: "conditional returns of many values",
    |bytes, n| {
        let Wide { mut wasm, types, same, .. } = wide(width(bytes));
        let func = wasm.func(same, &[], |f| {
            (0..types.len() as u32).for_each(|x| { f.local_get(x); });
            (0..n).for_each(|_| { f.local_get(P32).br_if(0); });
        });
        wasm.export_func("f", func);
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
    |bytes, n| around(width(bytes), |f, same| {
        f.block(FunctionType(same)).block(FunctionType(same)).local_get(P32);
        f.br_table((0..n as u32).map(|i| i & 1), 0);
        f.end().end();
    });
    brtables_arity: "many branch tables to labels of many values",
    |bytes, n| around(width(bytes), |f, same| {
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
        let func = wasm.func(ty, &[], |f| {
            f.block(FunctionType(yields));
            f.i32_const(1).local_get(1);
            push(f, &types);
            (0..n).for_each(|_| { f.local_get(P32).br_if(0); });
            f.br(0).end();
            pop(f, &types);
        });
        wasm.export_func("f", func);
        wasm.finish()
    };
    loop_shift: "loops of many values whose back edge moves all of them by one place",
    |bytes, n| {
        let k = width(bytes);
        let mut wasm = crate::build::base();
        let types = vec![I32; k];
        let same = wasm.ty(&types, &types);
        let ty = wasm.ty(&[I32], &[]);
        let func = wasm.func(ty, &[], |f| {
            (0..k).for_each(|i| { f.i32_const(i as i32 & 63); });
            for _ in 0..n {
                // The branch takes what lies on top: all but the lowest, and the new one.
                f.loop_(FunctionType(same)).local_get(P32).local_get(P32).br_if(0).drop().end();
            }
            (0..k).for_each(|_| { f.global_set(0); });
        });
        wasm.export_func("f", func);
        wasm.finish()
    };
    tail_calls_multi: "functions that tail-call with many values",
    |bytes, n| {
        let Wide { mut wasm, types, same, .. } = wide(width(bytes));
        wasm.func(same, &[], |f| { f.unreachable(); });
        let ty = wasm.ty(&[I32, F64], &types);
        let func = wasm.func(ty, &[], |f| {
            push(f, &types);
            (0..n).for_each(|_| { f.local_get(P32).if_(FunctionType(same)).return_call(0).end(); });
        });
        wasm.export_func("f", func);
        wasm.finish()
    };
    call_multi_diluted: "calls of many values, each with a hundred operators of a byte each",
    |bytes, n| around_call(width(bytes), |f, _| {
        (0..n).for_each(|_| {
            f.call(0);
            (0..120).for_each(|_| { f.nop(); });
        });
    });
    wide_relays: "functions of a few bytes that pass on what another one gives",
    |bytes, n| {
        let Wide { mut wasm, yields, .. } = wide(width(bytes));
        let source = wasm.func(yields, &[], |f| { f.unreachable(); });
        (0..n).for_each(|_| { wasm.func(yields, &[], |f| { f.call(source); }); });
        wasm.finish()
    };
    wide_calls_small: "functions of a few bytes that call another one that gives many values",
    |bytes, n| {
        let Wide { mut wasm, yields, .. } = wide(width(bytes));
        let source = wasm.func(yields, &[], |f| { f.unreachable(); });
        let ty = wasm.ty(&[], &[]);
        (0..n).for_each(|_| { wasm.func(ty, &[], |f| { f.call(source).unreachable(); }); });
        wasm.finish()
    };
    sig_funcs_last: "functions of a type of many parameters that use the last one",
    |bytes, n| {
        let mut wasm = crate::build::base();
        let types = vec![I32; width(bytes)];
        let ty = wasm.ty(&types, &[I32]);
        let last = types.len() as u32 - 1;
        (0..n).for_each(|_| { wasm.func(ty, &[], |f| { f.local_get(last); }); });
        wasm.finish()
    };
    sig_funcs: "functions of a type of many parameters, each of a few bytes",
    |bytes, n| {
        let mut wasm = crate::build::base();
        let ty = wasm.ty(&list(width(bytes)), &[]);
        for _ in 0..n {
            wasm.func(ty, &[], |f| { f.unreachable(); });
        }
        wasm.finish()
    };
    sig_funcs_returns: "functions of a type of many parameters that return at once",
    |bytes, n| {
        let mut wasm = crate::build::base();
        let ty = wasm.ty(&list(width(bytes)), &[]);
        for _ in 0..n {
            wasm.func(ty, &[], |_| {});
        }
        wasm.finish()
    };
    sig_imports: "imports of functions of a type of many values, which are all exported",
    |bytes, n| {
        let mut wasm = crate::build::base();
        // The validator adds up the sizes of the types of imports and exports.
        let k = width(bytes).min(2_000_000 / bytes.max(1)).max(1);
        let types = list(k);
        let ty = wasm.ty(&types, &types);
        for i in 0..n {
            let func = wasm.import_func("f", ty);
            wasm.export_func(&format!("{i}"), func);
        }
        wasm.finish()
    };
}
