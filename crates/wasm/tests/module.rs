//! Modules as facts: what is kept of each section, and which error a bad one gets.

use runwell_abi::Type;
use runwell_wasm::{
    ConstOp, ElementItems, EntityType, Error, ErrorKind, ExternKind, Limits, ModuleInfo, Parsed,
    SegmentMode,
};

fn parse(wat: &str) -> Parsed {
    let bytes = wat::parse_str(wat).unwrap();
    Parsed::parse(&bytes, &Limits::default()).unwrap()
}

fn error(wat: &str) -> Error {
    let bytes = wat::parse_str(wat).unwrap();
    Parsed::parse(&bytes, &Limits::default()).unwrap_err()
}

#[test]
fn every_section_is_kept() {
    let text = r#"(module $mod
        (type $t (func (param i32 f64) (result i64)))
        (import "env" "f" (func $imp (type $t)))
        (import "env" "g" (global $ig i32))
        (import "env" "t" (table 1 2 externref))
        (import "env" "m" (memory i64 1 3))
        (memory 2)
        (table $tab i64 5 funcref)
        (table 3 funcref)
        (global $own (mut i64) (i64.add (i64.const 4) (i64.const 5)))
        (global funcref (ref.func $a))
        (export "a" (func $a)) (export "mem" (memory 1)) (export "g" (global $own))
        (start $s)
        (elem (table $tab) (i64.const 1) func $a $imp)
        (elem $pas funcref (ref.null func) (ref.func $b))
        (elem declare func $c)
        (elem externref (ref.null extern))
        (data (memory 0) (i64.const 7) "abc")
        (data $d "defg")
        (func $a) (func $b) (func $c) (func $d (drop (i32.const 1))) (func $s))"#;
    let bytes = wat::parse_str(text).unwrap();
    let parsed = Parsed::parse(&bytes, &Limits::default()).unwrap();
    let info = &parsed.info;
    assert_eq!(&*info.types[0].params, &[Type::I32, Type::F64]);
    assert_eq!(&*info.types[0].results, &[Type::I64]);
    assert_eq!(info.imports.len(), 4);
    assert_eq!(info.imports[0].ty, EntityType::Func(0));
    assert_eq!(&*info.imports[3].module, "env");
    assert_eq!(info.funcs, [0, 1, 1, 1, 1, 1]);
    assert_eq!(info.imported_funcs(), 1);
    assert_eq!(info.tables.len(), 3);
    assert_eq!(info.tables[0].element, Type::AnyRef);
    assert!(info.tables[1].table64);
    assert_eq!(info.table_inits.len(), 2);
    assert_eq!(info.table_inits, [None, None]);
    assert!(info.memories[0].memory64 && !info.memories[1].memory64);
    assert_eq!((info.memories[0].min, info.memories[0].max), (1, Some(3)));
    assert_eq!(info.globals.len(), 3);
    let own = info.const_ops(info.global_inits[0]);
    assert_eq!(own, [ConstOp::I64(4), ConstOp::I64(5), ConstOp::I64Add]);
    assert_eq!(info.exports.len(), 3);
    assert_eq!(info.export("mem").unwrap().kind, ExternKind::Memory);
    assert_eq!(info.start, Some(5));
    assert_eq!(info.elements.len(), 4);
    assert_eq!(info.elements[0].items, ElementItems::Funcs([1, 0].into()));
    assert!(matches!(info.elements[0].mode, SegmentMode::Active { target: 1, .. }));
    assert_eq!(info.elements[1].items, ElementItems::Funcs([ElementItems::NULL, 2].into()));
    assert_eq!(info.elements[2].mode, SegmentMode::Declared);
    assert!(matches!(info.elements[3].items, ElementItems::Exprs(_)));
    let bytes_of = |n: usize| {
        let range = info.data[n].bytes.clone();
        &bytes[range.start as usize..range.end as usize]
    };
    assert_eq!((bytes_of(0), bytes_of(1)), (&b"abc"[..], &b"defg"[..]));
    assert_eq!(info.bodies.len(), 5);
    let none = ModuleInfo::NONE;
    assert_eq!(info.escaped, [none, 0, 1, 2, none, 3]);
    assert_eq!(info.counts().escaped_funcs, 4);
    assert_eq!(info.counts().memories, 2);
    assert_eq!((info.counts().imported_tables, info.counts().own_tables), (1, 2));
    let names = info.names.decode(&bytes);
    assert_eq!(names.module(&bytes), Some("mod"));
    assert_eq!(names.func(&bytes, 4), Some("d"));
    assert_eq!(names.func(&bytes, 6), None);
}

#[test]
fn an_empty_module_is_one() {
    let parsed = parse("(module)");
    assert!(parsed.info.bodies.is_empty() && parsed.info.exports.is_empty());
}

#[track_caller]
fn unsupported(wat: &str, wanted: &str) {
    match error(wat).kind() {
        ErrorKind::Unsupported { proposal, .. } => assert_eq!(*proposal, wanted, "{wat}"),
        other => panic!("{wat}: {other:?}"),
    }
}

#[test]
fn proposals_are_named() {
    unsupported("(module (type (func (param v128))))", "simd");
    unsupported("(module (type (struct)))", "gc");
    unsupported("(module (memory 1 1 shared))", "threads");
    unsupported("(module (tag))", "exception-handling");
    unsupported("(module (global (ref func) (ref.func 0)) (func))", "function-references");
    unsupported("(module (memory 1 (pagesize 1)))", "custom-page-sizes");
}

#[test]
fn invalid_wins_over_unsupported() {
    let error = error("(module (type (func (param v128))) (export \"x\" (func 9)))");
    assert!(matches!(error.kind(), ErrorKind::Invalid { .. }), "{error}");
}

#[test]
fn bytes_that_are_no_module() {
    let parse = |bytes: &[u8]| Parsed::parse(bytes, &Limits::default()).unwrap_err();
    for bytes in [&b""[..], b"\0as", b"\0asm", b"(module)", b"\0asm\x02\0\0\0", b"\x7fELF...."] {
        assert!(matches!(parse(bytes).kind(), ErrorKind::Invalid { .. }), "{}", parse(bytes));
    }
    assert_eq!(*parse(b"\0asm\x0d\0\x01\0").kind(), ErrorKind::Component);
    let whole = wat::parse_str("(module (func) (func) (export \"a\" (func 1)))").unwrap();
    for end in 9..whole.len() {
        // Some prefixes end between sections and are modules of their own.
        if let Err(error) = Parsed::parse(&whole[..end], &Limits::default()) {
            assert!(matches!(error.kind(), ErrorKind::Invalid { .. }), "{error}");
            assert!(error.offset() as usize <= end);
        }
    }
}

#[test]
fn limits_hold() {
    let bytes = wat::parse_str("(module (func) (func) (table 1 funcref))").unwrap();
    let refused = |limits: Limits| {
        let error = Parsed::parse(&bytes, &limits).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Limit { .. }), "{error}");
    };
    refused(Limits { functions: 1, ..Limits::default() });
    refused(Limits { tables: 0, ..Limits::default() });
    refused(Limits { module_bytes: 10, ..Limits::default() });
    refused(Limits { body_bytes: 1, ..Limits::default() });
}

#[test]
fn limits_of_the_library_are_limits() {
    let memories = "(memory 1)".repeat(101);
    let wide = format!("(type $wide (func (param {})))", "i32 ".repeat(1000));
    let imports = "(import \"\" \"\" (func (type $wide)))".repeat(1000);
    for (fields, limit) in [(memories, 100), (wide + &imports, 1_000_000)] {
        let bytes = wat::parse_str(format!("(module {fields})")).unwrap();
        let error = Parsed::parse(&bytes, &Limits::default()).unwrap_err();
        let ErrorKind::Limit { limit: found, offset, .. } = error.kind() else { panic!("{error}") };
        assert!(*found == limit && *offset > 8, "{error}");
    }
}

#[test]
fn tail_calls_that_leave_are_found_in_the_text() {
    let leaves = |text: &str| {
        let bytes = wat::parse_str(text).unwrap();
        let parsed = Parsed::parse(&bytes, &Limits::default()).unwrap();
        let mut work = runwell_ir::Work::new();
        parsed.info.tail_calls_leave(&bytes, &mut work)
    };
    let module = |body: &str| {
        format!(
            "(module (import \"\" \"f\" (func $imported)) (func $own) (table 2 funcref) (memory 1)
               {} (func (local i32 i64) {body}))",
            "(func (nop))".repeat(100)
        )
    };
    assert!(leaves(&module("(return_call $imported)")));
    assert!(leaves(&module("(return_call_indirect (i32.const 0))")));
    assert!(leaves(&module("(block (return_call $imported))")));
    // Unreachable ones count, since nothing but the text is looked at.
    assert!(leaves(&module("unreachable (return_call $imported)")));
    assert!(!leaves(&module("(return_call $own)")));
    assert!(!leaves(&module("(call $imported)")));
    // The same bytes as immediates of something else.
    assert!(!leaves(&module("(drop (i32.const 18)) (drop (i32.const 19)) (nop)")));
    assert!(!leaves(&module("(drop (i32.load offset=18 (i32.const 0)))")));
    assert!(!leaves(&module("(drop (f32.const 0x1.2400p-90)) (drop (i64.const 0x13001312))")));
    assert!(!leaves(&module("(block (br_table 0 0 0 (i32.const 19)))")));
    let every =
        "(drop (i64.const 0x12001300)) (memory.fill (i32.const 0) (i32.const 18) (i32.const 0))
        (drop (select (result i32) (i32.const 18) (i32.const 19) (i32.const 0)))
        (if (i32.const 19) (then (drop (ref.null func))) (else (local.set 0 (i32.const 18))))
        (table.set (i32.const 19) (ref.func 1)) (drop (i32.trunc_sat_f32_s (f32.const 0)))
        (call_indirect (i32.const 19)) (drop (memory.grow (i32.const 18)))";
    assert!(!leaves(&module(&format!("{every} (ref.func 1) drop"))));
    assert!(leaves(&module(&format!("{every} (return_call_indirect (i32.const 1))"))));
    // Without a table and imports there is nowhere to go.
    assert!(!leaves("(module (func (return_call 0)))"));
}
