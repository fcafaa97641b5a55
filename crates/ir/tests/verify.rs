//! What the verifier refuses and the text form cannot say: arrays that do not fit together. Each
//! test breaks one thing of a sound function. (The other refusals are file tests.)

use runwell_ir::verify::verify;
use runwell_ir::{Function, Inst, LoopId, Op, SigRef, Type, Value, parse};

const SOUND: &str = "
func 0 sig0 (i32) -> (i32) {
  sig1: (i32) -> (i32, i32)
  loop l0: b1..b3 depth 1 call store
b0:
  v0: i32 = param
  v1: i32 = call f1 sig1(v0)
  v2: i32 = result 1 of v1
  jump b1(v1)
b1 in l0:
  v4: i32 = param
  br_table v4, b2, b3(5:i32) [0 1 0]
b2 in l0:
  libcall data_drop(0:i64)
  trap_if.i32 Unreachable, v2
  br_if v4, b1(v2), b3(v2)
b3:
  v9: i32 = param
  store.i32 m0[v9 + 0], 9:i32
  return v9
}";

#[track_caller]
fn refused(change: impl FnOnce(&mut Function), wanted: &str) {
    let mut func = parse::function(SOUND).unwrap();
    assert_eq!(verify(&func), Ok(()));
    change(&mut func);
    let error = verify(&func).expect_err("a broken function");
    assert!(error.contains(wanted), "{error}");
}

#[test]
fn lists_that_leave_the_pool() {
    for value in [u32::MAX, u32::MAX - 1, 1 << 20] {
        refused(|func| func.insts[1].a = value, "v1: a list of `call` leaves the pool");
        refused(|func| func.insts[1].b = value, "v1: a list of `call` leaves the pool");
        refused(|func| func.insts[3].a = value, "v3: a list of `jump` leaves the pool");
        refused(|func| func.insts[5].b = value, "v5: a list of `br_table` leaves the pool");
        refused(|func| func.insts[5].c = value, "v5: a list of `br_table` leaves the pool");
        refused(|func| func.insts[6].a = value, "v6: a list of `libcall` leaves the pool");
        refused(|func| func.insts[8].b = value, "v8: a list of `br_if` leaves the pool");
        refused(|func| func.insts[8].c = value, "v8: a list of `br_if` leaves the pool");
        refused(|func| func.insts[11].b = value, "v11: a list of `return` leaves the pool");
        // The number of distinct edges, one of them, and the number of arguments on an edge.
        let table = parse::function(SOUND).unwrap().insts[5].b as usize;
        refused(|func| func.pool[table] = value, "v5: a list of");
        refused(|func| func.pool[table + 1] = value, "v5: a list of");
        refused(|func| func.pool[func.insts[3].a as usize + 1] = value, "v3: a list of");
    }
    // A call has its signature in front, a table its number of edges.
    refused(|func| func.insts[1].b = 0, "v1: a list of `call` leaves the pool");
    refused(|func| func.insts[5].c = 0, "v5: a list of `br_table` leaves the pool");
}

#[test]
fn blocks_that_do_not_follow_each_other() {
    refused(|func| func.blocks[1].first = 5, "b1 is not where it should be");
    refused(|func| func.blocks[3].end = 13, "b3 is not where it should be");
    refused(|func| func.blocks[1].end = 4, "b1 is not where it should be");
    refused(|func| func.blocks[1].params = 2, "b1 has no room for its parameters");
    refused(|func| func.blocks[1].params = u32::MAX, "b1 has no room for its parameters");
    refused(|func| func.blocks[2].params = 1, "v6: parameters do not come first in b2");
    refused(|func| func.blocks[1].params = 0, "v4: parameters do not come first in b1");
    refused(|func| func.src.truncate(11), "instructions outside of blocks");
    refused(
        |func| {
            func.push(Inst::NOP, 0);
        },
        "instructions outside of blocks",
    );
    refused(|func| func.blocks.clear(), "there is no block");
    refused(|func| func.sig = SigRef(2), "the function has no signature");
}

#[test]
fn loops_that_there_are_not() {
    refused(|func| func.blocks[2].loop_id = LoopId(1), "b2 names another loop");
    refused(|func| func.loops[0].parent = LoopId(0), "l0 comes before its parent");
    refused(|func| func.loops[0].parent = LoopId(7), "l0 comes before its parent");
    refused(|func| func.loops[0].end.0 = 9, "l0 is not a range of blocks");
    refused(|func| func.loops.clear(), "names another loop");
    refused(|func| func.loops[0].has_call = false, "l0 has a call or a store");
}

#[test]
fn operands_that_there_are_not() {
    let set = |value: Value| move |func: &mut Function| func.insts[10].a = value.0;
    refused(set(Value::NONE), "an operand is missing: `store.i32 m0[v? + 0], 9:i32` in b3");
    refused(set(Value::constant(99)), "there is no c99: `store.i32 m0[c99 + 0], 9:i32` in b3");
    refused(set(Value::inst(99)), "there is no v99");
    refused(set(Value::inst(7)), "v7 makes no value");
    refused(
        |func| {
            func.insts[9].op = Op::Copy;
        },
        "v9 is a copy",
    );
    refused(
        |func| {
            func.insts[7] = Inst::NOP;
            func.insts[10].a = 7;
        },
        "v7 is a nop",
    );
}

#[test]
fn codes_helpers_and_results_that_there_are_not() {
    refused(|func| func.insts[7].aux = 200, "there is no trap code 200");
    refused(|func| func.insts[7].aux = 0x100, "there is no trap code 256");
    refused(|func| func.insts[6].aux = 77, "there is no such helper");
    refused(|func| func.insts[2].aux = 0, "result 1 does not follow");
    refused(|func| func.insts[2].a = Value::constant(0).0, "no result of the call before it");
    refused(|func| func.insts[2].a = 77, "no result of the call before it");
    refused(|func| func.insts[1].aux = 0, "a call with or without a result");
    refused(
        |func| {
            let sig = func.insts[1].a as usize;
            func.pool[sig] = 3;
        },
        "there is no such signature",
    );
    refused(
        |func| func.insts[5] = Inst::new(Op::Trap, Type::I32, 99, 0, 0, 0),
        "b2 is not reached",
    );
}

/// Any field of any instruction with any value: refused or not, nothing panics.
#[test]
fn noise_does_no_harm() {
    let sound = parse::function(SOUND).unwrap();
    let mut state = 0x1234_5678_9abc_def1u64;
    let mut next = |below: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) % below
    };
    let (mut refused, mut accepted) = (0, 0);
    for _ in 0..100_000 {
        let mut func = sound.clone();
        for _ in 0..1 + next(3) {
            let value = match next(4) {
                0 => next(16) as u32,
                1 => u32::MAX - next(4) as u32,
                2 => 1 << 31 | next(4) as u32,
                _ => next(1 << 32) as u32,
            };
            let inst = next(func.insts.len() as u64) as usize;
            match next(8) {
                0 => func.insts[inst].a = value,
                1 => func.insts[inst].b = value,
                2 => func.insts[inst].c = value,
                3 => func.insts[inst].aux = value as u16,
                4 => {
                    let row = &runwell_ir::op::OPS[value as usize % runwell_ir::op::OPS.len()];
                    func.insts[inst].op = row.op;
                }
                5 => func.insts[inst].ty = Type::ALL[value as usize % Type::ALL.len()],
                6 => {
                    let at = next(func.pool.len() as u64) as usize;
                    func.pool[at] = value;
                }
                _ => {
                    let block = next(func.blocks.len() as u64) as usize;
                    let data = &mut func.blocks[block];
                    match value % 5 {
                        0 => data.first = next(20) as u32,
                        1 => data.end = next(20) as u32,
                        2 => data.params = next(4) as u32,
                        3 => data.loop_id = LoopId(next(3) as u32),
                        _ => func.loops[0].header.0 = next(6) as u32,
                    }
                }
            }
        }
        match verify(&func) {
            Ok(()) => accepted += 1,
            Err(_) => refused += 1,
        }
    }
    assert!(refused > 10_000 && accepted > 1_000, "{refused} {accepted}");
}
