//! More of what surrounds the bodies: items of a few bytes each, names that are shown where they are used.

use crate::build::{Wasm, base, global_type, table_type};
use crate::declare;
use wasm_encoder::ValType::{I32, I64};
use wasm_encoder::{
    ConstExpr, Elements, EntityType, ExportKind, HeapType, IndirectNameMap, NameMap, NameSection,
    RefType, ValType,
};

/// Most segments a module may have.
const SEGMENTS: usize = 99_000;
/// Most bytes of a string.
const STRING: usize = 100_000;

/// Items that a module of this size has where there may be only so many: the rest of it is data.
fn few(n: usize, most: usize) -> (usize, usize) {
    (n.min(most), n.saturating_sub(most))
}

/// A name section for the functions from `first` on.
fn named(wasm: &mut Wasm, first: u32, names: impl Iterator<Item = String>) {
    let mut map = NameMap::new();
    names.enumerate().for_each(|(i, name)| map.append(first + i as u32, &name));
    let mut section = NameSection::new();
    section.functions(&map);
    wasm.customs.push(("name".into(), section.as_custom().data.to_vec()));
}

declare! {
    imports_prefixes: "imports whose long names differ at the end only, from one module",
    |bytes, n| {
        let mut wasm = Wasm::new();
        let ty = wasm.ty(&[], &[]);
        let prefix = "a".repeat((bytes / 128).clamp(1, STRING - 16));
        (0..n).for_each(|i| { wasm.import_func(&format!("{prefix}{i:x}"), ty); });
        wasm.finish()
    };
    imports_prefixes_modules: "imports from modules whose long names differ at the end only",
    |bytes, n| {
        let mut wasm = Wasm::new();
        let ty = wasm.ty(&[], &[]);
        let prefix = "a".repeat((bytes / 128).clamp(1, STRING - 16));
        for i in 0..n {
            wasm.imports.import(&format!("{prefix}{i:x}"), "f", EntityType::Function(ty));
        }
        wasm.finish()
    };
    imports_kinds: "imports of all kinds without names",
    |_, n| {
        let mut wasm = Wasm::new();
        let ty = wasm.ty(&[], &[]);
        for i in 0..n {
            wasm.imports.import("", "", match i % 3 {
                0 => EntityType::Function(ty),
                1 => EntityType::Global(global_type(I64, true)),
                _ if i < 3000 => EntityType::Table(table_type(0)),
                _ => EntityType::Global(global_type(ValType::FUNCREF, false)),
            });
        }
        wasm.finish()
    };
    exports_kinds: "exports of one item of each kind, again and again",
    |_, n| {
        let mut wasm = base();
        wasm.table(1);
        let ty = wasm.ty(&[], &[]);
        wasm.func(ty, &[], |_| {});
        for i in 0..n {
            let kinds = [ExportKind::Func, ExportKind::Table, ExportKind::Memory, ExportKind::Global];
            wasm.exports.export(&format!("{i:x}"), kinds[i % 4], 0);
        }
        wasm.finish()
    };
    globals_null: "globals of null references",
    |_, n| {
        let mut wasm = Wasm::new();
        (0..n).for_each(|_| {
            wasm.global(ValType::FUNCREF, &ConstExpr::ref_null(HeapType::FUNC));
        });
        wasm.finish()
    };
    globals_sums: "globals that each add to an imported one",
    |_, n| {
        let mut wasm = Wasm::new();
        wasm.imports.import("m", "g", EntityType::Global(global_type(I32, false)));
        (0..n).for_each(|i| {
            let expr = ConstExpr::global_get(0).with_i32_const(i as i32 & 63).with_i32_add();
            wasm.global(I32, &expr);
        });
        wasm.finish()
    };
    elements_null: "an element segment of null references: three bytes each",
    |_, n| {
        let mut wasm = Wasm::new();
        wasm.table(1);
        let exprs = vec![ConstExpr::ref_null(HeapType::FUNC); n];
        wasm.elements.passive(Elements::Expressions(RefType::FUNCREF, exprs.into()));
        wasm.finish()
    };
    elements_externs: "a passive element segment of null references of the host's",
    |_, n| {
        let mut wasm = Wasm::new();
        let exprs = vec![ConstExpr::ref_null(HeapType::EXTERN); n];
        wasm.elements.passive(Elements::Expressions(RefType::EXTERNREF, exprs.into()));
        wasm.finish()
    };
    elements_empty: "element segments of nothing: three bytes each, as many as there may be",
    |_, n| {
        let mut wasm = base();
        let (n, rest) = few(n, SEGMENTS);
        (0..n).for_each(|_| { wasm.elements.passive(Elements::Functions([].as_slice().into())); });
        wasm.data.passive(vec![0; 3 * rest]);
        wasm.finish()
    };
    data_empty: "data segments of nothing: two bytes each, as many as there may be",
    |_, n| {
        let mut wasm = base();
        let (n, rest) = few(n, SEGMENTS);
        (0..n).for_each(|_| { wasm.data.passive([]); });
        wasm.data.passive(vec![0; 2 * rest]);
        wasm.finish()
    };
    data_empty_active: "data segments of nothing that go to a memory, by an imported global",
    |_, n| {
        let mut wasm = Wasm::new();
        wasm.imports.import("m", "g", EntityType::Global(global_type(I32, false)));
        wasm.memory(1);
        let (n, rest) = few(n, SEGMENTS);
        (0..n).for_each(|_| { wasm.data.active(0, &ConstExpr::global_get(0), []); });
        wasm.data.passive(vec![0; 5 * rest]);
        wasm.finish()
    };
    data_memories: "data segments that go to a hundred memories in turn",
    |_, n| {
        let mut wasm = Wasm::new();
        (0..90).for_each(|_| { wasm.memory(1); });
        let (n, rest) = few(n, SEGMENTS);
        for i in 0..n as u32 {
            wasm.data.active(i % 90, &ConstExpr::i32_const(i as i32 % 64), [1]);
        }
        wasm.data.passive(vec![0; 7 * rest]);
        wasm.finish()
    };
    names_called: "calls of a function whose name is as long as it may be",
    |bytes, n| {
        let mut wasm = Wasm::new();
        let ty = wasm.ty(&[], &[]);
        wasm.func(ty, &[], |f| (0..n).for_each(|_| { f.call(1); }));
        let callee = wasm.func(ty, &[], |_| {});
        let name = "n".repeat((bytes / 16).clamp(1, STRING));
        named(&mut wasm, callee, [name].into_iter());
        wasm.finish()
    };
    names_called_imports: "calls of an imported function whose name is as long as it may be",
    |bytes, n| {
        let mut wasm = Wasm::new();
        let ty = wasm.ty(&[], &[]);
        let callee = wasm.import_func(&"n".repeat((bytes / 16).clamp(1, STRING)), ty);
        wasm.func(ty, &[], |f| (0..n).for_each(|_| { f.call(callee); }));
        wasm.finish()
    };
    names_escaped: "names of characters that are shown as several",
    |_, n| {
        let mut wasm = Wasm::new();
        let ty = wasm.ty(&[], &[]);
        (0..n).for_each(|_| { wasm.func(ty, &[], |_| {}); });
        named(&mut wasm, 0, (0..n).map(|_| "<\u{1}\"\u{7f}&".to_string()));
        wasm.finish()
    };
    names_of_locals_used: "locals with a name as long as it may be, in use again and again",
    |bytes, n| {
        let mut wasm = base();
        let ty = wasm.ty(&[I32], &[]);
        let func = wasm.func(ty, &[], |f| {
            (0..n).for_each(|_| { f.local_get(0).global_set(0); });
        });
        let mut locals = IndirectNameMap::new();
        let mut map = NameMap::new();
        map.append(0, &"n".repeat((bytes / 16).clamp(1, STRING)));
        locals.append(func, &map);
        let mut section = NameSection::new();
        section.locals(&locals);
        wasm.customs.push(("name".into(), section.as_custom().data.to_vec()));
        wasm.finish()
    };
    names_of_all: "names of everything that the name section can name",
    |_, n| {
        let mut wasm = base();
        let ty = wasm.ty(&[], &[]);
        wasm.func(ty, &[], |_| {});
        let mut map = NameMap::new();
        (0..n as u32).for_each(|i| map.append(i, "a"));
        let mut section = NameSection::new();
        section.module("m");
        section.types(&map);
        section.tables(&map);
        section.memories(&map);
        section.globals(&map);
        section.elements(&map);
        section.data(&map);
        wasm.customs.push(("name".into(), section.as_custom().data.to_vec()));
        wasm.finish()
    };
}
