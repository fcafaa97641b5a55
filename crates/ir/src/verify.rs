//! Checks a function's invariants.
//!
//! 1. Operand lists and edges lie inside of the pool.
//! 2. Block 0 exists, has parameters of the function, each at most once, and no predecessors.
//! 3. Blocks are contiguous and in order; parameters (or the copies that replaced them) come first,
//!    the one terminator last.
//! 4. A loop is a range of blocks inside of its parent's, comes after it and is one deeper; its
//!    header is the first block and no other loop's; each block names the innermost loop around it.
//! 5. A loop that calls says so, and so does one that stores.
//! 6. Every edge goes to an existing block other than the entry, and its arguments fit the target's
//!    parameters in number and type.
//! 7. Each block is reached from one before it. An edge backwards goes to the header of a loop that
//!    contains its source, and a loop is entered through its header.
//! 8. Every operand is a constant that fits its type or an instruction that makes a value, of the
//!    type its place wants, and its definition dominates the use: in the same block before it, or in
//!    a block on the path of immediate dominators.
//! 9. No operand names a `copy` or a removed instruction.
//! 10. Operations have types they are made for; slots, homes, trap codes and helpers exist.
//! 11. Results of a call directly follow it, in order; wide ones are taken from the transfer buffer
//!     there, all together.
//! 12. Calls and returns fit their signatures. Those that name no values where wide ones are wanted
//!     directly follow what puts as many into the transfer buffer, or takes as many from it.
//!
//! Nothing that breaks them makes the verifier panic.
//!
//! # Complexity
//! O(n log n): linear but for dominance, see [`dom`].

mod dom;
mod inst;

use crate::op::{Op, Shape};
use crate::print::InstText;
use crate::{Block, Function, Inst, LoopId};
use dom::Dominators;
use inst::Check;

/// Checks the invariants of `func`.
///
/// # Errors
/// The first that is broken, with the instruction.
pub fn verify(func: &Function) -> Result<(), String> {
    lists(func)?;
    blocks(func)?;
    loops(func)?;
    effects(func)?;
    let dominators = dominators(func)?;
    let block_of = block_of(func);
    for (index, data) in func.blocks.iter().enumerate() {
        for at in data.first..data.end {
            let (dominators, block_of) = (&dominators, &*block_of);
            let check = Check { func, dominators, block_of, at, block: index as u32 };
            check.inst().map_err(|what| {
                format!("{what}: `{}` in b{index}", InstText { func, at: at as usize })
            })?;
        }
    }
    Ok(())
}

/// Whatever reads an operand list or an edge after this finds it in the pool.
fn lists(func: &Function) -> Result<(), String> {
    for (at, inst) in func.insts.iter().enumerate() {
        if !has_lists(func, inst) {
            return Err(format!("v{at}: a list of `{}` leaves the pool", inst.op.info().name));
        }
    }
    Ok(())
}

fn has_lists(func: &Function, inst: &Inst) -> bool {
    let list = |start: u32, len: u32| {
        let (start, len) = (start as usize, len as usize);
        func.pool.get(start..start.saturating_add(len))
    };
    let edge = |edge: u32| {
        let head = list(edge, 2);
        head.is_some_and(|head| edge <= u32::MAX - 2 && list(edge + 2, head[1]).is_some())
    };
    match inst.op.info().shape {
        Shape::Call => inst.b > 0 && list(inst.a, inst.b).is_some(),
        Shape::LibCall | Shape::Return => list(inst.a, inst.b).is_some(),
        Shape::Jump => edge(inst.a),
        Shape::BrIf => edge(inst.b) && edge(inst.c),
        Shape::BrTable => list(inst.b, inst.c).is_some_and(|table| {
            let edges = table.first().and_then(|&count| table[1..].get(..count as usize));
            edges.is_some_and(|edges| edges.iter().all(|&at| edge(at)))
        }),
        _ => true,
    }
}

fn blocks(func: &Function) -> Result<(), String> {
    let Some(entry) = func.blocks.first() else { return Err("there is no block".to_string()) };
    let Some(sig) = func.sigs.get(func.sig.index()) else {
        return Err("the function has no signature".to_string());
    };
    if entry.params as usize > sig.params.len() {
        return Err("the entry has more parameters than the function".to_string());
    }
    let mut next = 0;
    for (index, data) in func.blocks.iter().enumerate() {
        if data.first != next || data.end <= data.first || data.end as usize > func.insts.len() {
            return Err(format!("b{index} is not where it should be"));
        }
        next = data.end;
        if data.params >= data.end - data.first {
            return Err(format!("b{index} has no room for its parameters"));
        }
        for at in data.first..data.end {
            let op = func.insts[at as usize].op;
            // A parameter of the entry is the caller's to give, so nothing stands for it.
            let param = op == Op::Param || (op == Op::Copy && index > 0);
            if param != (at - data.first < data.params) {
                return Err(format!("v{at}: parameters do not come first in b{index}"));
            }
            if op.is_terminator() != (at + 1 == data.end) {
                return Err(format!("v{at}: a terminator not at the end of b{index}, or none"));
            }
        }
    }
    if next as usize != func.insts.len() || func.src.len() != func.insts.len() {
        return Err("instructions outside of blocks".to_string());
    }
    let mut taken = vec![false; sig.params.len()];
    for inst in &func.insts[..entry.params as usize] {
        let Some(taken) = taken.get_mut(inst.c as usize) else {
            return Err(format!("the function has no parameter {}", inst.c));
        };
        if std::mem::replace(taken, true) {
            return Err(format!("parameter {} is made twice", inst.c));
        }
        if inst.ty != sig.params[inst.c as usize] {
            return Err("an entry parameter is of another type than the function's".to_string());
        }
    }
    Ok(())
}

fn block_of(func: &Function) -> Vec<u32> {
    let mut of = vec![0; func.insts.len()];
    for (index, data) in func.blocks.iter().enumerate() {
        of[data.first as usize..data.end as usize].fill(index as u32);
    }
    of
}

/// What dominates what, from edges that lead where they may.
fn dominators(func: &Function) -> Result<Dominators, String> {
    let mut tree = dom::Growing::new(func.blocks.len());
    let mut bad = None;
    for source in 0..func.blocks.len() as u32 {
        if !tree.settle(source) {
            return Err(format!("b{source} is not reached from a block before it"));
        }
        func.for_each_edge(func.terminator(Block(source)), |edge| {
            let target = func.edge_target(edge).0;
            if target == 0 || target as usize >= func.blocks.len() {
                bad = Some(format!("an edge of b{source} goes to b{target}"));
                return;
            }
            let of = func.loops.get(func.blocks[target as usize].loop_id.index());
            let contains = |id: LoopId| {
                let data = func.loops.get(id.index());
                data.is_none_or(|data| (data.header.0..data.end.0).contains(&source))
            };
            if target <= source {
                if of.is_none_or(|data| data.header.0 != target || source >= data.end.0) {
                    bad = Some(format!("the edge from b{source} back to b{target} is no loop's"));
                }
                return;
            }
            let target_loop = func.blocks[target as usize].loop_id;
            let enters = !contains(target_loop);
            if let Some(data) = of
                && enters
                && (data.header.0 != target || !contains(data.parent))
            {
                bad = Some(format!("the edge from b{source} to b{target} enters past a header"));
                return;
            }
            // All forward predecessors come before, and a header dominates what comes back to it, so
            // one pass is exact.
            tree.edge(source, target);
        });
        if let Some(bad) = bad {
            return Err(bad);
        }
    }
    Ok(tree.finish())
}

fn loops(func: &Function) -> Result<(), String> {
    let mut headed_by = vec![LoopId::NONE; func.blocks.len()];
    for (index, data) in func.loops.iter().enumerate() {
        let id = LoopId(index as u32);
        if data.header.0 >= data.end.0 || data.end.index() > func.blocks.len() {
            return Err(format!("{id} is not a range of blocks"));
        }
        if !headed_by[data.header.index()].is_none() {
            return Err(format!("{id} shares its header with another loop"));
        }
        headed_by[data.header.index()] = id;
        let around = match func.loops[..index].get(data.parent.index()) {
            Some(parent) => Some(parent),
            None if data.parent.is_none() => None,
            None => return Err(format!("{id} comes before its parent")),
        };
        if around.is_some_and(|p| data.header.0 < p.header.0 || data.end.0 > p.end.0) {
            return Err(format!("{id} is not inside of its parent"));
        }
        if data.depth != around.map_or(1, |parent| parent.depth.saturating_add(1)) {
            return Err(format!("the depth of {id} is not {}", data.depth));
        }
    }
    // Blocks in order, with the innermost loop around each.
    let mut innermost = LoopId::NONE;
    for (index, data) in func.blocks.iter().enumerate() {
        while let Some(around) = func.loops.get(innermost.index())
            && around.end.index() <= index
        {
            innermost = around.parent;
        }
        let id = headed_by[index];
        if !id.is_none() {
            let parent = func.loops[id.index()].parent;
            if parent != innermost {
                return Err(format!("{id} is in {innermost}, which is not its parent"));
            }
            innermost = id;
        }
        if data.loop_id != innermost {
            return Err(format!("b{index} names another loop than the innermost around it"));
        }
    }
    Ok(())
}

/// What loops say of their effects covers what is in them.
fn effects(func: &Function) -> Result<(), String> {
    let mut found = vec![(false, false); func.loops.len()];
    for data in &func.blocks {
        let Some((call, store)) = found.get_mut(data.loop_id.index()) else { continue };
        for inst in &func.insts[data.first as usize..data.end as usize] {
            let calls = inst.op.is_call() || inst.op == Op::LibCall;
            *call |= calls;
            *store |= calls || inst.op.info().shape == Shape::Store;
        }
    }
    // Parents come first, so backwards each loop is complete before its parent asks.
    for (index, data) in func.loops.iter().enumerate().rev() {
        let (call, store) = found[index];
        if (call && !data.has_call) || (store && !data.has_store) {
            return Err(format!("l{index} has a call or a store that it does not announce"));
        }
        if let Some((outer_call, outer_store)) = found.get_mut(data.parent.index()) {
            *outer_call |= call;
            *outer_store |= store;
        }
    }
    Ok(())
}
