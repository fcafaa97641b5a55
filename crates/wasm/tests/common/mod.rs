//! What the tests share: translating text, and checking the shape of the outcome.

#![allow(dead_code)]

pub(crate) mod damage;
pub(crate) mod verdict;

use runwell_abi::call::{NARROW_PARAMS, NARROW_RESULTS};
use runwell_ir::{Block, EdgeRef, Function, Op, Type, Value};
use runwell_wasm::{Error, Limits, Parsed, Translator};
use wasm_smith::Config;

/// A deterministic stream of bytes.
pub(crate) fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..len)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 32) as u8
        })
        .collect()
}

/// Modules of the implemented proposals.
pub(crate) fn supported() -> Config {
    Config {
        simd_enabled: false,
        relaxed_simd_enabled: false,
        exceptions_enabled: false,
        gc_enabled: false,
        reference_types_enabled: true,
        tail_call_enabled: true,
        memory64_enabled: true,
        extended_const_enabled: true,
        compact_imports_enabled: false,
        custom_page_sizes_enabled: false,
        wide_arithmetic_enabled: false,
        threads_enabled: false,
        shared_everything_threads_enabled: false,
        max_memories: 3,
        max_tables: 3,
        min_funcs: 3,
        max_instructions: 300,
        ..Config::default()
    }
}

/// Translates all functions of a binary, checking each.
pub(crate) fn translate_bytes(bytes: &[u8]) -> Result<Vec<Function>, Error> {
    let parsed = Parsed::parse(bytes, &Limits::default())?;
    let mut translator = Translator::new();
    let mut out = Vec::new();
    for own in 0..parsed.info.bodies.len() {
        let func = translator.translate(&parsed.info, &parsed.validation, bytes, own)?;
        check(func);
        out.push(func.clone());
    }
    Ok(out)
}

/// Translates all functions of a module in text form, checking each.
#[track_caller]
pub(crate) fn translate(wat: &str) -> Vec<Function> {
    let bytes = wat::parse_str(wat).unwrap();
    translate_bytes(&bytes).unwrap()
}

/// The first function of a module in text form.
#[track_caller]
pub(crate) fn first(wat: &str) -> Function {
    translate(wat).remove(0)
}

/// How many instructions of a function have operation `op`.
pub(crate) fn count(func: &Function, op: Op) -> usize {
    func.insts.iter().filter(|inst| inst.op == op).count()
}

/// The edges that leave a block.
pub(crate) fn edges(func: &Function, block: usize) -> Vec<EdgeRef> {
    let mut edges = Vec::new();
    func.for_each_edge(func.terminator(Block(block as u32)), |edge| edges.push(edge));
    edges
}

/// Checks order, edges, loops, types and dominance by the book, slowly.
#[track_caller]
pub(crate) fn check(func: &Function) {
    let blocks = &func.blocks;
    assert!(!blocks.is_empty());
    let mut at = 0;
    let mut block_of = vec![usize::MAX; func.insts.len()];
    for (index, block) in blocks.iter().enumerate() {
        assert_eq!(block.first, at, "block {index} does not follow its predecessor");
        assert!(block.end > block.first, "block {index} is empty");
        at = block.end;
        for inst in block.first..block.end {
            let op = func.insts[inst as usize].op;
            assert_eq!(op.is_terminator(), inst + 1 == block.end, "b{index}: {op:?} at {inst}");
            block_of[inst as usize] = index;
        }
        for inst in block.first..block.first + block.params {
            assert!(matches!(func.insts[inst as usize].op, Op::Param | Op::Copy));
        }
    }
    assert_eq!(at as usize, func.insts.len());
    assert!(blocks[0].params as usize <= func.signature().params.len());

    let mut preds = vec![Vec::new(); blocks.len()];
    for source in 0..blocks.len() {
        for edge in edges(func, source) {
            let target = func.edge_target(edge).index();
            assert!(target > 0 && target < blocks.len(), "b{source} goes to b{target}");
            preds[target].push(source);
            let data = &blocks[target];
            assert_eq!(func.edge_len(edge), data.params as usize, "b{source} -> b{target}");
            for (position, value) in func.edge_args(edge).enumerate() {
                let param = func.insts[data.first as usize + position];
                assert_eq!(func.value_type(value), param.ty, "b{source} -> b{target}");
            }
            if target <= source {
                let header = Block(target as u32);
                let back = func.loops.iter().find(|data| data.header == header);
                let end = back.expect("a back edge to a loop header").end.index();
                assert!(source < end, "a back edge from behind the loop");
            }
        }
    }
    for (index, preds) in preds.iter().enumerate().skip(1) {
        assert!(!preds.is_empty(), "b{index} is unreachable");
    }

    for (index, data) in func.loops.iter().enumerate() {
        let (header, end) = (data.header.index(), data.end.index());
        assert!(header < end && end <= blocks.len(), "loop {index}: {header}..{end}");
        assert!(preds[header].iter().any(|&pred| (header..end).contains(&pred)));
        for (inner, preds) in preds.iter().enumerate().take(end).skip(header + 1) {
            let outside = preds.iter().find(|&pred| !(header..end).contains(pred));
            assert_eq!(outside, None, "b{inner} of loop {index} is entered from outside");
        }
        if let Some(parent) = func.loops.get(data.parent.index()) {
            assert!(parent.header <= data.header && data.end <= parent.end);
            assert_eq!(data.depth, parent.depth.saturating_add(1));
        } else {
            assert_eq!(data.depth, 1);
        }
    }
    for (index, block) in blocks.iter().enumerate() {
        let around = func
            .loops
            .iter()
            .rposition(|data| (data.header.index()..data.end.index()).contains(&index));
        let named = func.loops.get(block.loop_id.index()).map(|_| block.loop_id.index());
        assert_eq!(named, around, "the loop of b{index}");
    }

    check_dominance(func, &preds, &block_of);
    check_types(func);
}

fn check_dominance(func: &Function, preds: &[Vec<usize>], block_of: &[usize]) {
    // Immediate dominators after Cooper, Harvey and Kennedy; block order is a reverse post-order.
    let mut idom = vec![usize::MAX; preds.len()];
    idom[0] = 0;
    let mut changed = true;
    while changed {
        changed = false;
        for block in 1..preds.len() {
            let mut new = usize::MAX;
            for &pred in preds[block].iter().filter(|&&pred| idom[pred] != usize::MAX) {
                if new == usize::MAX {
                    new = pred;
                }
                let mut other = pred;
                while new != other {
                    if new > other {
                        new = idom[new];
                    } else {
                        other = idom[other];
                    }
                }
            }
            changed |= idom[block] != new;
            idom[block] = new;
        }
    }
    let dominates = |a: usize, mut b: usize| {
        while b > a {
            b = idom[b];
        }
        a == b
    };
    for (index, inst) in func.insts.iter().enumerate() {
        if inst.op == Op::Copy {
            continue;
        }
        func.for_each_use(inst, |value| {
            if value.is_const() {
                assert!(value.index() < func.consts.len());
                return;
            }
            let def = value.index();
            assert!(def < func.insts.len(), "v{index} uses {value}");
            assert_ne!(func.insts[def].op, Op::Copy, "v{index} uses an alias");
            let (from, to) = (block_of[def], block_of[index]);
            assert!(dominates(from, to) && (from != to || def < index), "v{index} uses {value}");
        });
    }
}

fn check_types(func: &Function) {
    let types = |values: &[u32]| {
        values.iter().map(|&value| func.value_type(Value(value))).collect::<Vec<Type>>()
    };
    for (at, inst) in func.insts.iter().enumerate() {
        let list = func.list(inst);
        // Wide lists may be in the transfer buffer instead.
        let fits = |list: &[u32], wanted: &[Type], narrow: usize| {
            if list.is_empty() && wanted.len() > narrow {
                let pass = func.insts[at - 1];
                assert!(matches!(pass.op, Op::HomePass | Op::HomeTake));
                assert_eq!(usize::from(pass.aux), wanted.len());
            } else {
                assert_eq!(types(list), wanted);
            }
        };
        let params = || &*func.sigs[func.call_sig(inst).index()].params;
        match inst.op {
            Op::Return => fits(list, &func.signature().results, NARROW_RESULTS),
            Op::Call | Op::ReturnCall => fits(list, params(), NARROW_PARAMS),
            Op::CallIndirect | Op::ReturnCallIndirect => fits(&list[1..], params(), NARROW_PARAMS),
            Op::BrIf => assert_eq!(func.value_type(inst.va()), Type::I32),
            _ => {}
        }
    }
}
