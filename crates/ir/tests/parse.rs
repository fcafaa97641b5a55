//! The text form: what people may write, and what they are told.

use runwell_ir::op::OPS;
use runwell_ir::{Block, Inst, Op, Shape, Type, Value, parse, print, same};

/// A function with `body` in its one block, from line 4 and column 3 on.
fn with(body: &str) -> String {
    format!("func 0 sig0 (i32) -> (i32) {{\nb0:\n  v0: i32 = param\n  {body}\n}}\n")
}

#[track_caller]
fn refused(text: &str, wanted: &str) {
    let error = parse::functions(text).expect_err("a mistake");
    assert_eq!(error.to_string(), wanted);
}

const EVERYTHING: &str = "\
func 3 sig0 (i32, i64, f32, f64, funcref, anyref) -> (i32, i64) {
  sig2: (i32) -> (i64, i32)
  sig5: () -> ()
  slot s0: i64
  slot s1: v128
  loop l0: b1..b5 depth 1 call store
  loop l1: b2..b4 in l0 depth 2 store
b0:
  v0: i32 = param
  v1: i64 = param
  v2: f32 = param
  v3: f64 = param
  v4: funcref = param
  v5: anyref = param
  v6: i64 = slot_load s0 @0x20
  slot_store.v128 s1, 0x1ffffffffffffffff:v128
  global_set.f32 g4, 0x7fc00000:f32
  v9: f32 = global_get g5
  v10: funcref = ref_func f9
  v11: funcref = table_get.funcref t1, -1:i32
  table_set.funcref t2, 4:i64, null:funcref
  v13: i64 = table_size t65535
  v14: i64 = mem_size m3
  v15: f64 = load.f64 m1[v1 + 4294967295]
  store8.i64 m0[3:i32 + 0], -9223372036854775808:i64
  trap_if.i32 IntegerOverflow, v0
  v18: i64 = call f1 sig2(v0) @0x40
  v19: i32 = result 1 of v18
  call_ref type 5 sig5(v4)
  v21: i64 = call_indirect t32767 type 2 sig2(v19, 7:i32)
  v22: i32 = result 1 of v21
  v23: i64 = libcall memory_grow(1:i64, v18)
  libcall data_drop(0:i64)
  nop
  v26: i32 = eq.i64 v1, v18
  v27: f64 = select.f64 v26, 1.5:f64, -0.0:f64
  v28: f64 = fcopysign.f64 v27, 1e-300:f64
  jump b1(v28, v3)
b1 in l0:
  v30: f64 = param
  v31: f64 = copy.f64 v3
  br_if v0, b2, b4
b2 in l1:
  br_table v0, b2, b3, b7(0x7ff0000000000000:f64) [0 1 1 0 2]
b3 in l1 cold:
  jump b2
b4 in l0:
  br_if v26, b1(v30, v31), b5
b5:
  br_if v0, b6, b7(v3)
b6:
  return_call_indirect t0 type 5 sig5(v1)
b7 cold:
  v38: f64 = param
  return v0, v1
}
";

#[test]
fn everything_is_printed_as_it_was_read() {
    let func = parse::function(EVERYTHING).unwrap();
    assert_eq!(print::function(&func), EVERYTHING);
    assert_eq!(func.blocks[1].params, 2);
    assert_eq!((func.src[5], func.src[6], func.src[19]), (0, 0x20, 0x40));
    assert_eq!(func.sigs.len(), 6);
}

#[test]
fn every_operation_has_a_text() {
    let text = "func 0 sig0 () -> () {\nb0:\n  trap Unreachable\n}\n";
    let mut func = parse::function(text).unwrap();
    let one = func.push_const(Type::I32, 1).0;
    let edge = func.push_edge(Block(0), &[]).0;
    let table = func.pool.len() as u32;
    func.pool.extend([1, edge, 0]);
    for row in OPS {
        let (a, b, c) = match row.shape {
            Shape::Unary | Shape::Load | Shape::CallResult => (one, 0, 0),
            Shape::Binary | Shape::Store => (one, one, 0),
            Shape::Select => (one, one, one),
            // The pool's first word, a block, is signature 0 as well.
            Shape::Call => (0, 1, 0),
            Shape::Jump => (edge, 0, 0),
            Shape::BrIf => (one, edge, edge),
            Shape::BrTable => (one, table, 3),
            Shape::LibCall | Shape::Return | Shape::Nullary | Shape::Trap => (0, 0, 0),
        };
        func.insts[0] = Inst::new(row.op, Type::I32, 0, a, b, c);
        func.blocks[0].params = u32::from(matches!(row.op, Op::Param | Op::Copy));
        let text = print::function(&func);
        let back = parse::function(&text).unwrap_or_else(|error| panic!("{error}, in\n{text}"));
        assert_eq!(same::difference(&func, &back), None, "{text}");
    }
}

#[test]
fn people_may_number_values_as_they_like() {
    let text = "
        ; a comment
        func 7 sig1 (i32) -> (i32) {   ; and one here
          loop l0: b1..b2
          loop l1: b1..b2 in l0

        b0:
          v100: i32 = param
          store.i32 m0[v100 + 0x10], 0xff:i32
          v2: i32 = add.i32 v100, 4294967295:i32
          jump b1(v2)

        b1 in l0:
          v50: i32 = param
          v51: i32 = add.i32 v100, v50
          return v51
        }";
    let func = parse::function(text).unwrap();
    assert_eq!((func.index, func.sig.0), (7, 1));
    assert_eq!(func.insts[2].va(), Value::inst(0));
    assert_eq!(func.as_const(func.insts[2].vb()).unwrap().bits, 0xffff_ffff);
    assert_eq!(func.insts[1].c, 16);
    assert_eq!((func.loops[0].depth, func.loops[1].depth), (1, 2));
    assert!(print::function(&func).contains("  v5: i32 = add.i32 v0, v4\n"));
}

#[test]
fn constants_keep_their_bits() {
    let bits = |text: &str| {
        let func = parse::function(&with(&format!("return {text}"))).unwrap();
        let constant = func.consts[0];
        let printed = constant.to_string();
        let again = parse::function(&with(&format!("return {printed}"))).unwrap();
        assert_eq!(again.consts[0], constant, "{text} as {printed}");
        constant.bits
    };
    assert_eq!(bits("-1:i32"), 0xffff_ffff);
    assert_eq!(bits("4294967295:i32"), 0xffff_ffff);
    assert_eq!(bits("-1:i64"), u64::MAX.into());
    assert_eq!(bits("0x1ffffffff:i32"), 0x1_ffff_ffff);
    assert_eq!(bits("-0.0:f32"), 0x8000_0000);
    assert_eq!(bits("1:f32"), 0x3f80_0000);
    assert_eq!(bits("5e-324:f64"), 1);
    assert_eq!(bits("1.7976931348623157e308:f64"), 0x7fef_ffff_ffff_ffff);
    assert_eq!(bits("1e+2:f64"), 100f64.to_bits().into());
    assert_eq!(bits("0xffc00001:f32"), 0xffc0_0001);
    assert_eq!(bits("0x7ff0000000000000:f64"), 0x7ff0 << 48);
    assert_eq!(bits("null:anyref"), 0);
    assert_eq!(bits("0xffffffffffffffffffffffffffffffff:v128"), u128::MAX);
}

#[test]
fn constants_alone_are_a_list() {
    let all = parse::constants("1:i32, null:funcref , 0x10:i64").unwrap();
    let shown: Vec<String> = all.iter().map(|constant| constant.to_string()).collect();
    assert_eq!(shown, ["1:i32", "null:funcref", "16:i64"]);
    assert_eq!(parse::constants("").unwrap(), []);
    let error = parse::constants("1:i32 2:i32").unwrap_err();
    assert_eq!(error.to_string(), "1:7: expected `,`, found `2`");
    assert!(parse::constants("1:i32,").is_err());
}

#[test]
fn several_functions_share_signatures() {
    let text = "func 0 sig0 () -> () {\n  sig1: (i32) -> ()\nb0:\n  return\n}\n\
                func 1 sig1 (i32) -> () {\nb0:\n  v0: i32 = param\n  call f0 sig0()\n  return\n}\n";
    let funcs = parse::functions(text).unwrap();
    assert_eq!(funcs.len(), 2);
    assert!(std::sync::Arc::ptr_eq(&funcs[0].sigs, &funcs[1].sigs));
    assert_eq!(*funcs[1].signature().params, [Type::I32]);
    assert_eq!(parse::functions("\n ; nothing\n").unwrap(), []);
}

#[test]
fn mistakes_are_named_with_their_place() {
    let in_body = |body: &str, wanted: &str| refused(&with(body), wanted);
    in_body("ret v0", "4:3: expected an operation, found `ret`");
    in_body("return v0 v0", "4:13: expected the end of the line, found `v0`");
    in_body("return v7", "4:10: v7 is made nowhere");
    in_body("v0: i32 = add.i32 v0, v0", "4:3: v0 is made twice");
    in_body("v1: i32 add.i32 v0, v0", "4:11: expected `=`, found `add`");
    in_body("v1: i32 = add v0, v0", "4:17: expected `.`, found `v0`");
    in_body("v1: i32 = add.i33 v0, v0", "4:17: expected a type, found `i33`");
    in_body("v1: i32 = add.i64 v0, v0", "4:13: this `add` does not make i32");
    in_body("add.i32 v0, v0", "4:3: expected `vN: TYPE =` in front of `add`");
    in_body("v1: i32 = store.i32 m0[v0 + 0], v0", "4:13: `store` makes no value");
    in_body("v1: i32 = add.i32 v0", "4:23: expected `,`, found the end of the line");
    in_body("v1: i32 = add.i32 v0, 5", "4:26: expected `:`, found the end of the line");
    in_body("return 1.5:i32", "4:10: `1.5` is no constant of type i32");
    in_body("return 4294967296:i32", "4:10: `4294967296` is no constant of type i32");
    in_body("return é", "4:10: expected a value, `vN` or a constant such as `5:i32`, found `é`");
    in_body("trap Bad", "4:8: expected a trap code, found `Bad`");
    in_body("jump 3", "4:8: expected a block (`b` and a number up to 4294967294), found `3`");
    in_body("libcall nothing()", "4:11: expected a helper, found `nothing`");
    in_body("call f0 sig9()", "4:11: sig9 is declared nowhere");
    in_body(
        "v1: i32 = load.i32 m70000[v0 + 0]",
        "4:22: expected a memory (`m` and a number up to 65535), found `m70000`",
    );
    in_body(
        "v1: i32 = load.i32 m0[v0 + 4294967296]",
        "4:30: expected a static offset, a number up to 4294967295, found `4294967296`",
    );
    refused("fun 0", "1:1: expected `func`, found `fun`");
    refused(
        "func",
        "1:5: expected the function's index, a number up to 4294967295, found the end of the text",
    );
    refused("func 0 sig0 (i32 -> ()", "1:18: expected `)`, found `->`");
    refused(
        "func 0 sig1000000 () -> ()",
        "1:8: expected a signature (`sig` and a number up to 999999), found `sig1000000`",
    );
    let in_func = |line: &str, wanted: &str| {
        refused(&format!("func 0 sig0 () -> () {{\n{line}"), wanted);
    };
    in_func("b1:", "2:1: expected `b0`, the next in order, found `b1`");
    in_func("slot s1: i32", "2:6: expected `s0`, the next in order, found `s1`");
    in_func("b0:\nreturn", "3:7: expected an operation, found the end of the text");
    in_func("}\nfunc 1 sig0 (i32) -> () {\n}", "3:8: sig0 has been another signature before");
    let two = "func 0 sig0 () -> () {\n}\nfunc 1 sig0 () -> () {\n}\n";
    assert_eq!(parse::function(two).unwrap_err().to_string(), "5:1: more than one function");
    assert!(parse::function("").is_err());
}
