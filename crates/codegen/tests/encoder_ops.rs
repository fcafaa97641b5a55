//! Every operation of the IR through selection, allocation and emission, checked with what did not
//! make it: the symbolic checker of the allocator and a decoder.
//!
//! Each case is a small function in the text form. It is compiled for several targets and module
//! surroundings; [`code::check`] lists what its machine code has to fulfil. Operations are counted
//! against the op table and machine operations against the list of the architecture, so that a new
//! one without a case fails.

#[path = "encoder_ops/cases.rs"]
mod cases;
#[path = "encoder_ops/code.rs"]
mod code;
#[path = "encoder_ops/effects.rs"]
mod effects;

use runwell_abi::target::{Arch, Features, Target};
use runwell_abi::vmctx::{VmctxCounts, VmctxLayout};
use runwell_abi::{TrapCode, Type};
use runwell_codegen::Codegen;
use runwell_codegen::env::{MemoryPlan, ModuleEnv, TablePlan};
use runwell_codegen::x64::inst::MOp;
use runwell_ir::op::OPS;
use runwell_ir::{Function, Inst, Op, Work, parse, verify};
use std::collections::BTreeSet;

const ALL: Features = Features::AVX
    .with(Features::BMI1)
    .with(Features::BMI2)
    .with(Features::LZCNT)
    .with(Features::AVX512DQ);

/// Functions 0 and 1 are imported, all others escape. Memories: 0 plain, 1 always checked, 2 with
/// 64-bit addresses. Tables: 0 imported, 1 own, 2 own with 64-bit indices. Global 0 is imported.
fn env(features: Features, guarded: bool, tail_calls_leave: bool) -> ModuleEnv {
    let memory = |memory64, guarded| MemoryPlan { memory64, guarded, min_bytes: 1 << 16 };
    let table = |table64, element| TablePlan { table64, element };
    ModuleEnv {
        target: Target { arch: Arch::X64, features },
        layout: VmctxLayout::new(VmctxCounts {
            memories: 3,
            imported_tables: 1,
            own_tables: 2,
            imported_globals: 1,
            own_globals: 9,
            imported_funcs: 2,
            escaped_funcs: 8,
            types: 8,
        }),
        memories: vec![memory(false, guarded), memory(false, false), memory(true, false)],
        tables: vec![
            table(false, Type::FuncRef),
            table(false, Type::FuncRef),
            table(true, Type::AnyRef),
        ],
        imported_funcs: 2,
        escaped: (0..10).map(|index: u32| index.checked_sub(2).unwrap_or(u32::MAX)).collect(),
        metered: false,
        raw_nans: false,
        tail_calls_leave,
    }
}

fn envs() -> Vec<(ModuleEnv, Features)> {
    let list = [
        (Features::default(), true, false),
        (ALL, true, false),
        (ALL, false, true),
        (Features::default().with(Features::LZCNT), false, false),
        (Features::AVX, true, false),
    ];
    let one = |(features, guarded, leave)| (env(features, guarded, leave), features);
    list.into_iter().map(one).collect()
}

/// The machine operations that a listing names.
fn selected(listing: &str, into: &mut BTreeSet<String>) {
    for line in listing.lines() {
        let Some(line) = line.strip_prefix("    ") else { continue };
        let name: String = line.chars().take_while(char::is_ascii_alphanumeric).collect();
        if !name.is_empty() {
            into.insert(name);
        }
    }
}

#[test]
fn every_operation() {
    let mut codegen = Codegen::new();
    let (mut ops, mut mops) = (BTreeSet::new(), BTreeSet::new());
    let mut traps = BTreeSet::new();
    let envs = envs();
    let cases = cases::all();
    for text in &cases {
        let func = parse::function(text).unwrap_or_else(|error| panic!("{error} in\n{text}"));
        verify::verify(&func).unwrap_or_else(|error| panic!("{error} in\n{text}"));
        ops.extend(func.insts.iter().map(|inst| inst.op));
        let fuel = |inst: &Inst| matches!(inst.op, Op::Fuel | Op::FuelBack | Op::FuelFor);
        let metered = func.insts.iter().any(fuel);
        for (env, features) in &envs {
            let env = ModuleEnv { metered, ..env.clone() };
            let (compiled, listing) = codegen
                .inspect(&func, &env, &mut Work::new(), true)
                .unwrap_or_else(|error| panic!("{error} in\n{text}"));
            if let Err(error) = code::check(&compiled, *features, metered) {
                panic!("{error}\n{text}\n{}\n{}", listing.allocated, listing.machine);
            }
            selected(&listing.selected, &mut mops);
            traps.extend(compiled.traps.iter().map(|&(_, code)| code as u8));
        }
    }
    let all: BTreeSet<Op> = OPS.iter().map(|row| row.op).collect();
    let missing: Vec<_> = all.difference(&ops).collect();
    assert!(missing.is_empty(), "operations without a case: {missing:?}");
    let all: BTreeSet<String> = MOp::ALL.iter().map(|op| format!("{op:?}")).collect();
    let missing: Vec<_> = all.difference(&mops).collect();
    assert!(missing.is_empty(), "machine operations that no case selects: {missing:?}");
    assert_eq!(traps.len(), TrapCode::ALL.len(), "each trap code is in some case");
}

/// The same code whatever was compiled before, and with or without a listing.
#[test]
fn reuse_changes_nothing() {
    let mut used = Codegen::new();
    let env = env(ALL, true, false);
    let cases = cases::all();
    for text in cases.iter().step_by(7) {
        let func: Function = parse::function(text).expect("parsed before");
        let fresh = Codegen::new().compile(&func, &env, &mut Work::new(), false);
        let again = used.compile(&func, &env, &mut Work::new(), false);
        assert_eq!(fresh, again, "{text}");
        let (inspected, _) = used.inspect(&func, &env, &mut Work::new(), true).expect("compiles");
        assert_eq!(fresh, Ok(inspected), "{text}");
    }
}
