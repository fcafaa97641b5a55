//! Machine instructions as text, for listings.

use crate::mach::Machine;
use crate::regalloc::{Allocation, Loc, Move};
use crate::vcode::{Constraint, Operand, VCode, VEdge};
use core::fmt::Write;
use runwell_ir::Block;

/// Lists `code`; with `allocation` the places of the operands and the inserted moves as well.
pub fn vcode<M: Machine>(code: &VCode, allocation: Option<&Allocation>) -> String {
    vcode_with_offsets::<M>(code, allocation).0
}

/// As [`vcode`], and for each line the Wasm byte offset it belongs to, 0 for none.
pub fn vcode_with_offsets<M: Machine>(
    code: &VCode,
    allocation: Option<&Allocation>,
) -> (String, Vec<u32>) {
    let mut out = String::new();
    let mut offsets = Vec::new();
    let mut moves = allocation.map_or(&[][..], |a| &a.moves);
    for (number, block) in code.blocks.iter().enumerate() {
        let params: Vec<String> =
            code.params(Block(number as u32)).iter().map(|p| format!("{p:?}")).collect();
        let cold = if block.cold { " cold" } else { "" };
        let _ = writeln!(out, "b{number}({}):{cold}", params.join(", "));
        offsets.push(0);
        for index in block.first..block.end {
            while let Some((&(_, mv), rest)) =
                moves.split_first().filter(|((at, _), _)| *at <= index)
            {
                moves = rest;
                let _ = writeln!(out, "    {}", text_of_move(&mv));
                offsets.push(code.insts[index as usize].src);
            }
            let inst = &code.insts[index as usize];
            offsets.push(inst.src);
            let operands: Vec<String> = code
                .operands(inst)
                .iter()
                .enumerate()
                .map(|(at, operand)| {
                    let loc = allocation.map(|a| a.locs[inst.first as usize + at]);
                    text_of_operand(operand, loc)
                })
                .collect();
            let _ = write!(out, "    {}", M::describe(code, inst));
            if !operands.is_empty() {
                let _ = write!(out, " {}", operands.join(", "));
            }
            let clobbers = code.clobbers(inst);
            if clobbers.0 != 0 {
                let _ = write!(out, " clobbers {clobbers:?}");
            }
            out.push('\n');
        }
        for at in block.edges_first..block.edges_end {
            let edge = &code.edges[at as usize];
            let moves = allocation.map_or(&[][..], |a| {
                let (first, end) = a.edges[at as usize];
                &a.edge_moves[first as usize..end as usize]
            });
            let _ = writeln!(out, "    {}", text_of_edge(code, edge, moves));
            // Edges belong to the instruction that ends the block.
            offsets.push(offsets.last().copied().unwrap_or(0));
        }
    }
    (out, offsets)
}

fn text_of_edge(code: &VCode, edge: &VEdge, moves: &[Move]) -> String {
    let args: Vec<String> = code.edge_args(edge).iter().map(|a| format!("{a:?}")).collect();
    let mut text = format!("-> {}({})", edge.target, args.join(", "));
    for mv in moves {
        let _ = write!(text, "; {}", text_of_move(mv));
    }
    text
}

fn text_of_move(mv: &Move) -> String {
    let arrow = if mv.swap { "<->" } else { "<-" };
    format!("{:?} {arrow} {:?} ({})", mv.to, mv.from, mv.bytes)
}

fn text_of_operand(operand: &Operand, loc: Option<Loc>) -> String {
    let mut text = String::new();
    if operand.is_def() {
        text.push_str("def ");
    }
    let _ = write!(text, "{:?}", operand.vreg);
    if operand.is_late() {
        text.push('!');
    }
    if let Some(loc) = loc {
        let _ = write!(text, "={loc:?}");
        return text;
    }
    match operand.constraint() {
        Constraint::Any => text.push('*'),
        Constraint::Reg => {}
        Constraint::Fixed(reg) => {
            let _ = write!(text, "={reg:?}");
        }
        Constraint::Reuse(index) => {
            let _ = write!(text, "=#{index}");
        }
    }
    text
}
