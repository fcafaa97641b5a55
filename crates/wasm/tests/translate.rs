//! Structured control to SSA: blocks, parameters, loops.

mod common;

use common::{count, first, translate, translate_bytes};
use runwell_ir::{Block, Op, Type};
use runwell_wasm::{ErrorKind, Limits, Parsed, Translator};

#[test]
fn straight_line_code_is_one_block() {
    let func = first(
        "(module (func (param i32 i32) (result i32) (local i32)
            (local.set 2 (i32.add (local.get 0) (local.get 1)))
            (block (block (local.set 2 (i32.mul (local.get 2) (local.get 0)))))
            (local.get 2)))",
    );
    assert_eq!(func.blocks.len(), 1);
    assert_eq!(count(&func, Op::Param), 2);
}

#[test]
fn a_diamond_has_a_parameter_for_what_differs() {
    let func = first(
        "(module (func (param i32 i32) (result i32) (local i32)
            (if (local.get 0)
                (then (local.set 2 (i32.add (local.get 1) (i32.const 3))))
                (else (local.set 2 (i32.mul (local.get 1) (i32.const 5)))))
            (local.get 2)))",
    );
    assert_eq!(func.blocks.len(), 4);
    assert_eq!(func.blocks[3].params, 1);
}

#[test]
fn an_if_without_else_goes_straight_to_its_end() {
    let func = first(
        "(module (func (param i32 i32) (result i32)
            (if (local.get 0) (then (local.set 1 (i32.const 3))))
            (local.get 1)))",
    );
    assert_eq!(func.blocks.len(), 3);
    assert_eq!(func.blocks[2].params, 1);
}

#[test]
fn a_merge_of_equal_values_has_no_parameter() {
    let func = first(
        "(module (func (param i32 i32) (result i32) (local i32)
            (if (local.get 0)
                (then (local.set 2 (local.get 1)))
                (else (local.set 2 (local.get 1))))
            (local.get 2)))",
    );
    assert_eq!(func.blocks[3].params, 0);
}

#[test]
fn a_loop_has_parameters_for_what_it_writes() {
    let func = first(
        "(module (func (param i32) (result i32) (local i32 i32)
            (local.set 2 (i32.const 7))
            (loop
                (local.set 1 (i32.add (local.get 1) (local.get 2)))
                (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
            (local.get 1)))",
    );
    assert_eq!(func.loops.len(), 1);
    assert_eq!(func.loops[0].header, Block(1));
    assert_eq!(func.blocks[1].params, 2);
    assert_eq!(func.blocks.len(), 3);
}

#[test]
fn a_loop_nobody_repeats_is_none() {
    let func = first("(module (func (param i32) (loop (local.set 0 (i32.const 1)))))");
    assert!(func.loops.is_empty());
    assert_eq!(func.blocks.len(), 1);
}

#[test]
fn a_loop_whose_branches_are_dead_is_none() {
    let func = first(
        "(module (func (param i32) (result i32)
            (loop (loop (result i32)
                (local.set 0 (i32.add (local.get 0) (i32.const 1)))
                (br_if 1 (local.get 0))
                (if (i32.const 0) (then (br 1)))
                (local.get 0)) (drop))
            (local.get 0)))",
    );
    assert_eq!(func.loops.len(), 1);
    assert_eq!(func.loops[0].depth, 1);
}

#[test]
fn an_unchanged_loop_parameter_is_an_alias() {
    let func = first(
        "(module (func (param i32 i32) (result i32)
            (loop
                (if (i32.eqz (local.get 0)) (then (unreachable) (local.set 1 (i32.const 4))))
                (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
            (local.get 1)))",
    );
    assert_eq!(count(&func, Op::Param), 3);
}

#[test]
fn unreachable_code_yields_nothing() {
    let func = first(
        "(module (func (result i32)
            (block (result i32)
                (br 0 (i32.const 1))
                (loop (br 0)) (if (then (nop)) (else (br 1 (i32.const 3))))
                (i32.add) (drop) (block (br_table 0 0 0 (i32.const 0))))
            (return) (i32.const 2) (drop)))",
    );
    assert!(func.insts.len() <= 4, "{:?}", func.insts);
}

#[test]
fn a_table_has_one_edge_per_target() {
    let func = first(
        "(module (func (param i32) (result i32)
            (block (block (block
                (br_table 0 1 0 2 1 0 2 2 1 (local.get 0)))
                (return (i32.const 10)))
                (return (i32.const 20)))
            (i32.const 30)))",
    );
    let table = func.terminator(Block(0));
    assert_eq!(table.op, Op::BrTable);
    assert_eq!(func.table_edges(table).len(), 3);
    assert_eq!(func.table_entries(table), [0, 1, 0, 2, 1, 0, 2, 2, 1]);
}

#[test]
fn a_table_may_return_and_repeat() {
    let func = first(
        "(module (func (param i32 i32) (result i32)
            (local.get 1)
            (loop (param i32) (result i32)
                (i32.add (i32.const 1))
                (br_table 0 1 0 1 (local.get 0)))))",
    );
    assert_eq!(count(&func, Op::Return), 1);
    assert_eq!(func.loops.len(), 1);
}

#[test]
fn small_tables_are_branches() {
    let func = first("(module (func (param i32) (block (br_table 0 1 (local.get 0))) (nop)))");
    assert_eq!(count(&func, Op::BrTable), 0);
    let func = first("(module (func (param i32) (block (br_table 0 0 0 (local.get 0))) (nop)))");
    assert_eq!(count(&func, Op::BrIf) + count(&func, Op::BrTable), 0);
    let func = first("(module (func (block (br_table 0 1 0 1 (i32.const 2))) (unreachable)))");
    assert_eq!(count(&func, Op::Trap), 1);
}

#[test]
fn conditions_known_when_translated_leave_one_arm() {
    let func = first(
        "(module (func (param i32) (result i32)
            (if (result i32) (i32.const 0)
                (then (block (br 0)) (local.set 0 (i32.const 9)) (i32.const 1))
                (else (i32.const 2)))
            (if (param i32) (result i32) (i32.const 1) (then (drop) (i32.const 5)))
            (if (param i32) (result i32) (i32.const 0) (then (drop) (i32.const 6)))
            (if (result i32) (i32.const 1) (then (i32.const 3)) (else (i32.const 4)))
            (i32.add) (br_if 0 (i32.const 0)) (br_if 0 (i32.const 1))))",
    );
    assert_eq!(count(&func, Op::BrIf), 0);
}

#[test]
fn values_cross_multi_value_blocks() {
    translate(
        "(module
            (type $t (func (param i32 i64) (result i64 i32)))
            (func (param i32 i64 i32) (result i64 i32)
                (local.get 0) (local.get 1)
                (block (type $t)
                    (br_if 0 (i64.const 1) (i32.const 2) (local.get 2)) (drop) (drop)
                    (if (type $t) (local.get 2)
                        (then (drop) (drop) (i64.const 3) (i32.const 4))
                        (else (drop) (i64.const 7) (local.set 1) (i64.extend_i32_u) (i32.const 1))))
                (if (result i64 i32) (local.get 2)
                    (then (local.get 1) (local.get 2)) (else (br 1 (local.get 1) (i32.const 5))))
                (drop) (drop)))",
    );
}

#[test]
fn locals_are_undone_in_nested_scopes() {
    // The same local, set at several depths, with branches to several of them.
    let func = first(
        "(module (func (param i32 i32) (result i32)
            (block (block (block
                (local.set 1 (i32.const 1)) (br_if 2 (local.get 0))
                (block (local.set 1 (i32.const 2)) (br_if 0 (local.get 0)) (br_if 3 (local.get 0))
                    (local.set 1 (i32.const 3)) (br_if 1 (local.get 0)))
                (local.set 1 (i32.add (local.get 1) (i32.const 4))) (br_if 1 (local.get 0)))
                (local.set 1 (i32.add (local.get 1) (i32.const 5))))
                (local.set 1 (i32.add (local.get 1) (i32.const 6))))
            (local.get 1)))",
    );
    assert!(func.blocks.iter().skip(1).filter(|block| block.params == 1).count() >= 4);
}

#[test]
fn every_operator_translates() {
    let mut text = String::from(
        "(module (type $t (func (param i32) (result i64))) (memory 1) (memory $m64 i64 1)
        (table $t1 4 funcref) (table $t2 i64 4 externref) (table $t3 2 funcref)
        (global $g (mut i32) (i32.const 1)) (global $h f64 (f64.const 1))
        (elem $e funcref (ref.func $f)) (data $d \"abc\")
        (func $f (type $t) (i64.extend_i32_u (local.get 0)))
        (func (param i32 i64 f32 f64 funcref externref)\n",
    );
    let param = |ty: &str| match ty {
        "i32" => 0,
        "i64" => 1,
        "f32" => 2,
        _ => 3,
    };
    for ty in ["i32", "i64"] {
        let get = format!("(local.get {})", param(ty));
        for op in
            "eq ne lt_s lt_u gt_s gt_u le_s le_u ge_s ge_u add sub mul div_s div_u rem_s rem_u \
                   and or xor shl shr_s shr_u rotl rotr"
                .split(' ')
        {
            text += &format!("(drop ({ty}.{op} {get} {get}))\n");
        }
        for op in "eqz clz ctz popcnt extend8_s extend16_s".split(' ') {
            text += &format!("(drop ({ty}.{op} {get}))\n");
        }
    }
    for ty in ["f32", "f64"] {
        let get = format!("(local.get {})", param(ty));
        for op in "eq ne lt gt le ge add sub mul div min max copysign".split(' ') {
            text += &format!("(drop ({ty}.{op} {get} {get}))\n");
        }
        for op in "abs neg ceil floor trunc nearest sqrt".split(' ') {
            text += &format!("(drop ({ty}.{op} {get}))\n");
        }
        for int in ["i32", "i64"] {
            for sign in ["s", "u"] {
                text += &format!("(drop ({int}.trunc_{ty}_{sign} {get}))");
                text += &format!("(drop ({int}.trunc_sat_{ty}_{sign} {get}))");
                text += &format!("(drop ({ty}.convert_{int}_{sign} (local.get {})))", param(int));
            }
        }
    }
    for memory in ["0", "$m64"] {
        let addr = if memory == "0" { "(local.get 0)" } else { "(local.get 1)" };
        for load in "i32.load i64.load f32.load f64.load i32.load8_s i32.load8_u i32.load16_s \
                     i32.load16_u i64.load8_s i64.load8_u i64.load16_s i64.load16_u i64.load32_s \
                     i64.load32_u"
            .split(' ')
        {
            text += &format!("(drop ({load} {memory} offset=9 {addr}))\n");
        }
        for store in "i32.store i64.store f32.store f64.store i32.store8 i32.store16 i64.store8 \
                      i64.store16 i64.store32"
            .split(' ')
        {
            let value = param(&store[..3]);
            text += &format!("({store} {memory} offset=9 {addr} (local.get {value}))\n");
        }
        text += &format!("(drop (memory.size {memory})) (drop (memory.grow {memory} {addr}))");
        text += &format!("(memory.fill {memory} {addr} (local.get 0) {addr})");
        text += &format!("(memory.copy {memory} {memory} {addr} {addr} {addr})");
        text += &format!("(memory.init {memory} $d {addr} (local.get 0) (local.get 0))");
    }
    text += "(drop (i64.load $m64 offset=0x1_0000_0001 (local.get 1)))
        (memory.copy 0 $m64 (local.get 0) (local.get 1) (local.get 0)) (data.drop $d)
        (table.set $t1 (local.get 0) (local.get 4)) (drop (table.get $t1 (local.get 0)))
        (table.set $t2 (local.get 1) (local.get 5)) (drop (table.get $t2 (local.get 1)))
        (drop (table.size $t1)) (drop (table.size $t2))
        (drop (table.grow $t2 (local.get 5) (local.get 1)))
        (table.fill $t1 (local.get 0) (local.get 4) (local.get 0))
        (table.copy $t1 $t3 (local.get 0) (local.get 0) (local.get 0))
        (table.init $t1 $e (local.get 0) (local.get 0) (local.get 0)) (elem.drop $e)
        (drop (ref.is_null (local.get 4))) (drop (ref.is_null (local.get 5)))
        (drop (ref.null func)) (drop (ref.null extern)) (drop (ref.func $f))
        (global.set $g (global.get $g)) (drop (global.get $h))
        (drop (select (local.get 2) (f32.const 2) (local.get 0)))
        (drop (select (result externref) (local.get 5) (ref.null extern) (local.get 0)))
        (drop (i32.wrap_i64 (local.get 1))) (drop (i64.extend_i32_s (local.get 0)))
        (drop (i64.extend_i32_u (local.get 0))) (drop (i64.extend32_s (local.get 1)))
        (drop (f32.demote_f64 (local.get 3))) (drop (f64.promote_f32 (local.get 2)))
        (drop (i32.reinterpret_f32 (local.get 2))) (drop (i64.reinterpret_f64 (local.get 3)))
        (drop (f32.reinterpret_i32 (local.get 0))) (drop (f64.reinterpret_i64 (local.get 1)))
        (drop (call $f (local.get 0)))
        (drop (call_indirect $t1 (type $t) (local.get 0) (local.get 0)))
        (nop) (drop (local.tee 0 (i32.const 4))) (return))
        (func (param i32) (result i64) (return_call $f (local.get 0)))
        (func (param i32) (result i64)
            (return_call_indirect $t1 (type $t) (local.get 0) (local.get 0)))
        (func (result i32) (unreachable)))";
    let funcs = translate(&text);
    assert_eq!(count(&funcs[2], Op::ReturnCall), 1);
    assert_eq!(count(&funcs[3], Op::ReturnCallIndirect), 1);
    assert!(funcs[4].blocks.len() == 1 && count(&funcs[4], Op::Trap) == 1);
    assert_eq!(count(&funcs[1], Op::TrapIf), 1);
    assert_eq!(count(&funcs[1], Op::LibCall), 15);
}

#[test]
fn paths_to_traps_are_cold() {
    let func = first(
        "(module (import \"\" \"panic\" (func $panic))
          (func (param i32 i32) (result i32)
            (block $bad
                (br_if $bad (i32.gt_u (local.get 0) (i32.const 10)))
                (if (local.get 1) (then (call $panic) (unreachable)))
                (return (local.get 0)))
            (call $panic) (unreachable)))",
    );
    let cold = func.blocks.iter().filter(|block| block.cold).count();
    assert_eq!(cold, 2);
    assert!(!func.blocks[0].cold);
}

#[test]
fn many_declared_locals_cost_nothing() {
    let bytes =
        wat::parse_str("(module (func) (func (local i32 i32 i32) (local.set 2 (i32.const 1))))")
            .unwrap();
    let mut encoded = wasm_encoder::Module::new();
    let mut types = wasm_encoder::TypeSection::new();
    types.ty().function([], [wasm_encoder::ValType::I64]);
    let mut functions = wasm_encoder::FunctionSection::new();
    let mut code = wasm_encoder::CodeSection::new();
    for _ in 0..100 {
        functions.function(0);
        let mut body = wasm_encoder::Function::new([
            (49_000, wasm_encoder::ValType::I32),
            (1000, wasm_encoder::ValType::I64),
        ]);
        body.instructions().local_get(49_999).end();
        code.function(&body);
    }
    encoded.section(&types).section(&functions).section(&code);
    let big = encoded.finish();
    for (bytes, most) in [(&bytes, 100), (&big, 100 * 20)] {
        let parsed = Parsed::parse(bytes, &Limits::default()).unwrap();
        let mut translator = Translator::new();
        for own in 0..parsed.info.bodies.len() {
            translator.translate(&parsed.info, &parsed.validation, bytes, own).unwrap();
        }
        assert!(translator.work().total() < most, "{}", translator.work().total());
    }
    let funcs = translate_bytes(&big).unwrap();
    assert_eq!(funcs[99].consts[0].ty, Type::I64);
}

#[test]
fn a_reused_context_gives_the_same() {
    let bytes = wat::parse_str(
        "(module (memory 1)
            (func (param i32) (result i32) (loop (i32.store (local.get 0) (local.get 0))
                (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))) (local.get 0))
            (func (param f64 i32) (local i64 f32)
                (block (br_if 0 (local.get 1)) (local.set 2 (i64.const 4)))
                (i64.store (local.get 1) (local.get 2)))
            (func (param i32 i32) (local i32)
                (block (block (br_table 0 1 2 (local.get 0))) (local.set 2 (i32.const 1)))
                (i32.store (local.get 2) (local.get 1))))",
    )
    .unwrap();
    let parsed = Parsed::parse(&bytes, &Limits::default()).unwrap();
    let mut reused = Translator::new();
    for own in [2, 1, 0, 1, 2, 0, 0] {
        let again = reused.translate(&parsed.info, &parsed.validation, &bytes, own).unwrap();
        let mut fresh = Translator::new();
        let once = fresh.translate(&parsed.info, &parsed.validation, &bytes, own).unwrap();
        assert_eq!(once, again);
    }
}

#[track_caller]
fn error_of(wat: &str) -> runwell_wasm::Error {
    translate_bytes(&wat::parse_str(wat).unwrap()).unwrap_err()
}

#[test]
fn errors_in_bodies_name_the_function() {
    let error = error_of("(module (func) (func (result i32) (i64.const 1)))");
    assert!(matches!(error.kind(), ErrorKind::Invalid { .. }), "{error}");
    assert_eq!(error.func(), Some(1));
    assert!(error.offset() > 8);
    for (body, wanted) in [
        ("(drop (v128.const i64x2 0 1))", "simd"),
        ("(local v128)", "simd"),
        ("(drop (struct.new 1))", "gc"),
        ("(drop (i32.atomic.load (i32.const 0)))", "threads"),
        ("(throw 0)", "exception-handling"),
        ("(try_table)", "exception-handling"),
        ("(call_ref 0 (ref.null 0))", "function-references"),
        (
            "(i64.add128 (i64.const 0) (i64.const 0) (i64.const 0) (i64.const 0)) (drop) (drop)",
            "wide-arithmetic",
        ),
    ] {
        let text = format!("(module (type (func)) (memory 1) (func {body}))");
        // Some of these are valid only with more around them; both answers are then fine.
        let error = error_of(&text);
        match error.kind() {
            ErrorKind::Unsupported { proposal, .. } => assert_eq!(*proposal, wanted, "{text}"),
            ErrorKind::Invalid { .. } => assert!(matches!(wanted, "gc" | "exception-handling")),
            other => panic!("{other:?}"),
        }
        assert_eq!(error.func(), Some(0));
    }
}
