//! What surrounds the bodies: types, functions, imports, exports, segments, names.

use crate::build::{Wasm, base, global_type, memory_type, table_type};
use crate::declare;
use wasm_encoder::ValType::{F32, F64, I32, I64};
use wasm_encoder::{
    ConstExpr, Elements, EntityType, ExportKind, IndirectNameMap, NameMap, NameSection, RefType,
    ValType,
};

/// Most segments a module may have.
const SEGMENTS: usize = 99_000;
/// Most tables a module may have, with an engine that does not go to the limit of 100,000.
const TABLES: usize = 10_000;
/// Most bytes of a string.
const STRING: usize = 100_000;

/// Bytes of content for each segment, so that a module of `bytes` needs no more than there may be: as
/// many for every size up to a megabyte, so that modules of several sizes compare.
fn content(bytes: usize) -> usize {
    1 + bytes.max(1 << 20) / SEGMENTS
}

/// The parameters of type number `number`: its digits to the base 4.
fn params(mut number: usize) -> Vec<ValType> {
    let mut params = Vec::new();
    while number > 0 {
        params.push([I32, I64, F32, F64][number % 4]);
        number /= 4;
    }
    params
}

/// A constant expression that adds `n` numbers.
fn sum(n: usize) -> ConstExpr {
    (0..n)
        .fold(ConstExpr::i32_const(1), |expr, i| expr.with_i32_const(i as i32 & 63).with_i32_add())
}

fn names(count: usize, name: impl Fn(usize) -> String) -> NameMap {
    let mut map = NameMap::new();
    (0..count).for_each(|i| map.append(i as u32, &name(i)));
    map
}

declare! {
    tiny_funcs: "empty functions: four bytes each",
    |_, n| {
        let mut wasm = Wasm::new();
        let ty = wasm.ty(&[], &[]);
        (0..n).for_each(|_| { wasm.func(ty, &[], |_| {}); });
        wasm.finish()
    };
    tiny_funcs_exported: "empty functions that are all exported",
    |_, n| {
        let mut wasm = Wasm::new();
        let ty = wasm.ty(&[], &[]);
        for i in 0..n {
            let func = wasm.func(ty, &[], |_| {});
            wasm.export_func(&format!("{i:x}"), func);
        }
        wasm.finish()
    };
    tiny_funcs_calling: "functions that call another one",
    |_, n| {
        let mut wasm = Wasm::new();
        let ty = wasm.ty(&[], &[]);
        (0..n).for_each(|i| { wasm.func(ty, &[], |f| { f.call((n - 1 - i) as u32); }); });
        wasm.finish()
    };
    tiny_funcs_constant: "functions that return a constant",
    |_, n| {
        let mut wasm = Wasm::new();
        let ty = wasm.ty(&[], &[I32]);
        (0..n).for_each(|i| { wasm.func(ty, &[], |f| { f.i32_const(i as i32 & 63); }); });
        wasm.finish()
    };
    distinct_types: "functions that are exported, each of a type of its own",
    |_, n| {
        let mut wasm = Wasm::new();
        for i in 0..n {
            let ty = wasm.ty(&params(i), &[]);
            let func = wasm.func(ty, &[], |_| {});
            wasm.export_func(&format!("{i:x}"), func);
        }
        wasm.finish()
    };
    types_same: "types that are all the same: interning",
    |_, n| {
        let mut wasm = Wasm::new();
        (0..n).for_each(|_| { wasm.ty(&[I32, I64], &[F32]); });
        wasm.finish()
    };
    types_distinct: "types that are all different",
    |_, n| {
        let mut wasm = Wasm::new();
        (0..n).for_each(|i| { wasm.ty(&params(i), &[]); });
        wasm.finish()
    };
    types_wide: "types of many parameters that differ in the last one only",
    |bytes, n| {
        let mut wasm = Wasm::new();
        let mut types = vec![I32; (bytes / 64).clamp(2, 990)];
        for i in 0..n {
            types.extend(params(i + 1));
            wasm.ty(&types, &[]);
            types.truncate(types.len() - params(i + 1).len());
        }
        wasm.finish()
    };
    imports_funcs: "imported functions",
    |_, n| {
        let mut wasm = Wasm::new();
        let ty = wasm.ty(&[I32], &[]);
        (0..n).for_each(|_| { wasm.import_func("f", ty); });
        wasm.finish()
    };
    imports_globals: "imported globals",
    |_, n| {
        let mut wasm = Wasm::new();
        for _ in 0..n {
            wasm.imports.import("m", "g", EntityType::Global(global_type(I32, false)));
        }
        wasm.finish()
    };
    imports_tables: "imported tables and memories, as many as there may be, and functions",
    |_, n| {
        let mut wasm = Wasm::new();
        let ty = wasm.ty(&[I32], &[]);
        for _ in 0..n.min(90) {
            wasm.imports.import("m", "t", EntityType::Table(table_type(1)));
            wasm.imports.import("m", "m", EntityType::Memory(memory_type(1, false)));
        }
        (0..n).for_each(|_| { wasm.import_func("f", ty); });
        wasm.finish()
    };
    imports_long_names: "imports with names as long as they may be",
    |bytes, n| {
        let mut wasm = Wasm::new();
        let ty = wasm.ty(&[], &[]);
        let name = "a".repeat((bytes / 16).clamp(1, STRING));
        (0..n).for_each(|_| { wasm.import_func(&name, ty); });
        wasm.finish()
    };
    exports: "exports of one function under many names",
    |_, n| {
        let mut wasm = Wasm::new();
        let ty = wasm.ty(&[], &[]);
        let func = wasm.func(ty, &[], |_| {});
        (0..n).for_each(|i| wasm.export_func(&format!("{i:x}"), func));
        wasm.finish()
    };
    exports_long_names: "exports whose long names differ at the end only",
    |bytes, n| {
        let mut wasm = Wasm::new();
        let ty = wasm.ty(&[], &[]);
        let func = wasm.func(ty, &[], |_| {});
        let name = "a".repeat((bytes / 64).clamp(1, STRING - 16));
        (0..n).for_each(|i| wasm.export_func(&format!("{name}{i:x}"), func));
        wasm.finish()
    };
    globals: "globals with a constant each",
    |_, n| {
        let mut wasm = Wasm::new();
        (0..n).for_each(|_| { wasm.global(I64, &ConstExpr::i64_const(0)); });
        wasm.finish()
    };
    globals_exported: "globals that are all exported",
    |_, n| {
        let mut wasm = Wasm::new();
        for i in 0..n {
            let global = wasm.global(I32, &ConstExpr::i32_const(0));
            wasm.exports.export(&format!("{i:x}"), ExportKind::Global, global);
        }
        wasm.finish()
    };
    globals_imported: "globals that take the value of an imported one",
    |_, n| {
        let mut wasm = Wasm::new();
        wasm.imports.import("m", "g", EntityType::Global(global_type(I32, false)));
        (0..n).for_each(|_| {
            wasm.global(I32, &ConstExpr::global_get(0));
        });
        wasm.finish()
    };
    globals_ref_func: "globals that refer to one function: what may be called from outside",
    |_, n| {
        let mut wasm = Wasm::new();
        let ty = wasm.ty(&[], &[]);
        let func = wasm.func(ty, &[], |_| {});
        (0..n).for_each(|_| { wasm.global(ValType::FUNCREF, &ConstExpr::ref_func(func)); });
        wasm.finish()
    };
    const_expr: "one long constant expression",
    |_, n| {
        let mut wasm = Wasm::new();
        wasm.global(I32, &sum(n));
        wasm.finish()
    };
    const_expr_deep: "a constant expression of a deep operand stack",
    |_, n| {
        let mut wasm = Wasm::new();
        let expr = (0..n).fold(ConstExpr::i32_const(1), |expr, i| expr.with_i32_const(i as i32 & 63));
        wasm.global(I32, &(0..n).fold(expr, |expr, _| expr.with_i32_sub()));
        wasm.finish()
    };
    const_exprs: "constant expressions as offsets of segments",
    |bytes, n| {
        let mut wasm = base();
        let data = vec![0; content(bytes)];
        (0..n).for_each(|_| { wasm.data.active(0, &sum(3), data.iter().copied()); });
        wasm.finish()
    };
    elements_active: "element segments of one function each",
    |bytes, n| {
        let mut wasm = base();
        let ty = wasm.ty(&[], &[]);
        let func = wasm.func(ty, &[], |_| {});
        wasm.table(10_000);
        let funcs = vec![func; content(bytes)];
        for _ in 0..n {
            let offset = ConstExpr::i32_const(5);
            wasm.elements.active(None, &offset, Elements::Functions(funcs.as_slice().into()));
        }
        wasm.finish()
    };
    elements_passive: "passive element segments, dropped by code",
    |bytes, n| {
        let mut wasm = base();
        let ty = wasm.ty(&[], &[]);
        let func = wasm.func(ty, &[], |f| {
            (0..n as u32).for_each(|i| { f.elem_drop(i); });
        });
        let funcs = vec![func; content(bytes)];
        for _ in 0..n {
            wasm.elements.passive(Elements::Functions(funcs.as_slice().into()));
        }
        wasm.finish()
    };
    elements_large: "one element segment of many functions",
    |_, n| {
        let mut wasm = base();
        let ty = wasm.ty(&[], &[]);
        let func = wasm.func(ty, &[], |_| {});
        wasm.table(n as u64 % 10_000_000);
        let funcs = vec![func; n];
        let offset = ConstExpr::i32_const(0);
        wasm.elements.active(None, &offset, Elements::Functions(funcs.into()));
        wasm.finish()
    };
    elements_exprs: "an element segment of expressions",
    |_, n| {
        let mut wasm = Wasm::new();
        let global = global_type(ValType::FUNCREF, false);
        wasm.imports.import("m", "g", EntityType::Global(global));
        let ty = wasm.ty(&[], &[]);
        let func = wasm.func(ty, &[], |_| {});
        let exprs: Vec<_> = (0..n)
            .map(|i| if i % 2 == 0 { ConstExpr::global_get(0) } else { ConstExpr::ref_func(func) })
            .collect();
        wasm.elements.passive(Elements::Expressions(RefType::FUNCREF, exprs.into()));
        wasm.finish()
    };
    data_active: "data segments of one byte each",
    |bytes, n| {
        let mut wasm = base();
        let data = vec![1; content(bytes)];
        for i in 0..n {
            wasm.data.active(0, &ConstExpr::i32_const(i as i32 & 63), data.iter().copied());
        }
        wasm.finish()
    };
    data_passive: "passive data segments, dropped by code",
    |bytes, n| {
        let mut wasm = base();
        let ty = wasm.ty(&[], &[]);
        wasm.func(ty, &[], |f| (0..n as u32).for_each(|i| { f.data_drop(i); }));
        let data = vec![1; content(bytes)];
        (0..n).for_each(|_| { wasm.data.passive(data.iter().copied()); });
        wasm.finish()
    };
    data_sparse: "a segment at each end of a memory as large as it may be: dense images",
    |_, n| {
        let mut wasm = Wasm::new();
        wasm.memory(65536);
        wasm.data.active(0, &ConstExpr::i32_const(0), vec![1; n]);
        wasm.data.active(0, &ConstExpr::i32_const(-8), vec![1; 8]);
        wasm.finish()
    };
    data_large: "one large data segment",
    |_, n| {
        let mut wasm = base();
        wasm.data.active(0, &ConstExpr::i32_const(0), vec![1; n]);
        wasm.finish()
    };
    huge_minimums: "tables and memories that start as large as they may be",
    |_, n| {
        let mut wasm = Wasm::new();
        (0..n.min(90)).for_each(|_| { wasm.memory(65536); });
        (0..n.min(TABLES)).for_each(|_| { wasm.table(10_000_000); });
        // Where there may be no more tables, data makes up the size.
        let rest = vec![1; 7 * n.saturating_sub(TABLES)];
        wasm.data.active(0, &ConstExpr::i32_const(0), rest);
        wasm.finish()
    };
    tables: "tables, as many as there may be, and imports of more",
    |_, n| {
        let mut wasm = Wasm::new();
        let ty = wasm.ty(&[], &[]);
        (0..n.min(TABLES)).for_each(|_| { wasm.table(0); });
        (0..n.saturating_sub(TABLES)).for_each(|_| { wasm.import_func("f", ty); });
        wasm.finish()
    };
    name_section: "a name for each function and local",
    |_, n| {
        let mut wasm = Wasm::new();
        let ty = wasm.ty(&[], &[]);
        (0..n).for_each(|_| { wasm.func(ty, &[], |_| {}); });
        let mut section = NameSection::new();
        section.functions(&names(n, |i| format!("f{i}")));
        wasm.customs.push(("name".into(), section.as_custom().data.to_vec()));
        wasm.finish()
    };
    name_section_long: "names of functions as long as they may be",
    |bytes, n| {
        let mut wasm = Wasm::new();
        let ty = wasm.ty(&[], &[]);
        (0..n).for_each(|_| { wasm.func(ty, &[], |_| {}); });
        let mut section = NameSection::new();
        let long = "x".repeat((bytes / 16).clamp(1, STRING));
        section.functions(&names(n, |_| long.clone()));
        wasm.customs.push(("name".into(), section.as_custom().data.to_vec()));
        wasm.finish()
    };
    custom_sections: "custom sections of a few bytes each",
    |_, n| {
        let mut wasm = Wasm::new();
        (0..n).for_each(|_| wasm.customs.push(("a".into(), vec![0; 2])));
        wasm.finish()
    };
    custom_section_large: "one large custom section",
    |_, n| {
        let mut wasm = Wasm::new();
        wasm.customs.push(("a".into(), vec![0xff; n]));
        wasm.finish()
    };
    name_section_garbage: "a name section that is none",
    |_, n| {
        let mut wasm = Wasm::new();
        wasm.customs.push(("name".into(), vec![0xff; n]));
        wasm.finish()
    };
    elements_declared: "declarations of one function each",
    |bytes, n| {
        let mut wasm = Wasm::new();
        let ty = wasm.ty(&[], &[]);
        let func = wasm.func(ty, &[], |_| {});
        let funcs = vec![func; content(bytes)];
        (0..n).for_each(|_| {
            wasm.elements.declared(Elements::Functions(funcs.as_slice().into()));
        });
        wasm.finish()
    };
    elements_exprs_active: "element segments of a few expressions each",
    |bytes, n| {
        let mut wasm = Wasm::new();
        let ty = wasm.ty(&[], &[]);
        let func = wasm.func(ty, &[], |_| {});
        wasm.table(10_000);
        let exprs = vec![ConstExpr::ref_func(func); content(bytes)];
        for _ in 0..n {
            let items = Elements::Expressions(RefType::FUNCREF, exprs.as_slice().into());
            wasm.elements.active(Some(0), &ConstExpr::i32_const(9), items);
        }
        wasm.finish()
    };
    elements_tables: "as many tables as there may be, each filled by segments",
    |bytes, n| {
        let mut wasm = Wasm::new();
        let ty = wasm.ty(&[], &[]);
        let func = wasm.func(ty, &[], |_| {});
        let tables = n.clamp(1, TABLES / 10);
        let funcs = vec![func; content(bytes)];
        (0..tables).for_each(|_| { wasm.table(funcs.len() as u64); });
        for i in 0..n {
            let items = Elements::Functions(funcs.as_slice().into());
            let table = Some((i % tables) as u32);
            wasm.elements.active(table, &ConstExpr::i32_const(0), items);
        }
        wasm.finish()
    };
    funcs_escaping: "functions that can all be called from outside: a record in each instance",
    |_, n| {
        let mut wasm = Wasm::new();
        let ty = wasm.ty(&[], &[]);
        let funcs: Vec<u32> = (0..n).map(|_| wasm.func(ty, &[], |_| {})).collect();
        wasm.elements.passive(Elements::Functions(funcs.into()));
        wasm.finish()
    };
    funcs_typed: "functions in turn of two types, called through a table: a check of the type each",
    |_, n| {
        let mut wasm = Wasm::new();
        let types = [wasm.ty(&[I32], &[I32]), wasm.ty(&[I64], &[I64])];
        wasm.table(1);
        for i in 0..n {
            wasm.func(types[i % 2], &[], |f| {
                f.local_get(0).i32_const(0).call_indirect(0, types[i % 2]);
            });
        }
        wasm.finish()
    };
    start_calls: "a start function that calls many others, of two bytes each",
    |_, n| {
        let mut wasm = Wasm::new();
        let ty = wasm.ty(&[], &[]);
        (0..n).for_each(|_| { wasm.func(ty, &[], |_| {}); });
        wasm.start = Some(wasm.func(ty, &[], |f| { (0..n as u32).for_each(|i| { f.call(i); }); }));
        wasm.finish()
    };
    imports_reexported: "imported functions that are exported again",
    |_, n| {
        let mut wasm = Wasm::new();
        let ty = wasm.ty(&[I32], &[]);
        for i in 0..n {
            let func = wasm.import_func("f", ty);
            wasm.export_func(&format!("{i:x}"), func);
        }
        wasm.finish()
    };
    imports_distinct: "imported functions, each of a name of its own",
    |_, n| {
        let mut wasm = Wasm::new();
        let ty = wasm.ty(&[I32], &[]);
        (0..n).for_each(|i| { wasm.import_func(&format!("{i:x}"), ty); });
        wasm.finish()
    };
    imports_modules: "imports that are each from a module of its own",
    |_, n| {
        let mut wasm = Wasm::new();
        let ty = wasm.ty(&[I32], &[]);
        for i in 0..n {
            wasm.imports.import(&format!("{i:x}"), "f", EntityType::Function(ty));
        }
        wasm.finish()
    };
    name_section_locals: "names of locals, many for each function",
    |_, n| {
        let mut wasm = Wasm::new();
        let ty = wasm.ty(&[], &[]);
        let each = 64.min(n.max(1));
        let mut locals = IndirectNameMap::new();
        for i in 0..n.div_ceil(each) {
            wasm.func(ty, &[], |_| {});
            locals.append(i as u32, &names(each, |_| "x".to_string()));
        }
        let mut section = NameSection::new();
        section.locals(&locals);
        wasm.customs.push(("name".into(), section.as_custom().data.to_vec()));
        wasm.finish()
    };
    name_subsections: "a name section of many subsections",
    |_, n| {
        let mut wasm = Wasm::new();
        let ty = wasm.ty(&[], &[]);
        wasm.func(ty, &[], |_| {});
        // Names of functions, four bytes: a count of one, function 0, a name of one byte.
        let data = [1, 4, 1, 0, 1, b'x'].repeat(n);
        wasm.customs.push(("name".into(), data));
        wasm.finish()
    };
    name_sections: "many name sections",
    |_, n| {
        let mut wasm = Wasm::new();
        let ty = wasm.ty(&[], &[]);
        wasm.func(ty, &[], |_| {});
        (0..n).for_each(|_| wasm.customs.push(("name".into(), vec![1, 4, 1, 0, 1, b'x'])));
        wasm.finish()
    };
}
