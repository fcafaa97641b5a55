//! Machine code as text, beside the Wasm bytes it was made of.
//!
//! ```text
//!     wasm  offset  bytes                          instruction
//!     0x47      1b  41 f7 f9                       idiv r9d  ; traps: integer divide by zero
//!     0x4a      1e  c3                             ret
//!     0x32      1f  0f 0b                          ud2  ; traps: call stack exhausted
//! ```
//!
//! An offset in the first column holds until the next one. Jumps and constants are named by their
//! offset in the second. What follows the instructions, constants and jump tables, is shown as bytes.
//! [`linked`] lists functions of finished images. Linear in the code; for listings only.

use crate::CompiledFunction;
use core::fmt::Write;
use iced_x86::{Decoder, DecoderOptions, Formatter, Instruction, IntelFormatter, Mnemonic, OpKind};

/// Bytes of data in a line.
const DATA_LINE: usize = 16;

/// Lists `code`.
pub(super) fn disassemble(code: &CompiledFunction) -> String {
    let mut out = String::new();
    let instructions = (code.code_bytes as usize).min(code.code.len());
    let (text, data) = code.code.split_at(instructions);
    let _ = writeln!(
        out,
        "; {} bytes of instructions, {} of constants and tables, frame of {} bytes",
        text.len(),
        data.len(),
        code.frame_bytes
    );
    let _ = writeln!(out, "{:>9}  {:>6}  {:<29}  instruction", "wasm", "offset", "bytes");
    let mut formatter = formatter();
    let mut decoder = Decoder::with_ip(64, text, 0, DecoderOptions::NONE);
    let mut inst = Instruction::default();
    let mut srclocs = code.srclocs.iter().peekable();
    let mut traps = code.traps.iter().peekable();
    let mut relocs = code.relocs.iter().peekable();
    while decoder.can_decode() {
        decoder.decode_out(&mut inst);
        let (start, end) = (inst.ip() as u32, inst.next_ip() as u32);
        let mut src = None;
        while let Some(&(_, at)) = srclocs.next_if(|&&(offset, _)| offset <= start) {
            src = Some(at);
        }
        let src = src.map_or_else(String::new, |src| format!("{src:#x}"));
        let bytes = hex(&text[start as usize..end as usize]);
        let _ = write!(out, "{src:>9}  {start:>6x}  {bytes:<29}  ");
        match relocs.next_if(|&&(field, _)| field < end) {
            Some(&(_, function)) => {
                let name = if inst.mnemonic() == Mnemonic::Call { "call" } else { "jmp" };
                let _ = write!(out, "{name} function {function}");
            }
            None => formatter.format(&inst, &mut out),
        }
        if jumps_out(&inst, instructions) {
            out.push_str("  ; out of the function");
        }
        while let Some((_, trap)) = traps.next_if(|&&(offset, _)| offset < end) {
            let _ = write!(out, "  ; traps: {trap}");
        }
        out.push('\n');
    }
    for (line, bytes) in data.chunks(DATA_LINE).enumerate() {
        let offset = instructions + line * DATA_LINE;
        let _ = writeln!(out, "{:>9}  {offset:>6x}  {}", "", hex(bytes));
    }
    out
}

/// One line of a listing of linked code.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Line {
    /// Offset of its first byte in the image.
    pub offset: u32,
    /// How many bytes it shows.
    pub len: u32,
    /// The instruction; `None` for data.
    pub text: Option<String>,
}

/// Lists one function of an image, whose code and data, `bytes`, lie at `offset`. Branches to other
/// functions are written with what `symbol` says of their target's offset.
///
/// Where instructions end and constants begin is not recorded in images. It is where the first datum
/// lies that an instruction refers to: all data are referred to relative to the instruction, and lie
/// behind the last one.
pub fn linked(bytes: &[u8], offset: u32, symbol: &dyn Fn(u32) -> Option<String>) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut formatter = formatter();
    let mut decoder = Decoder::with_ip(64, bytes, u64::from(offset), DecoderOptions::NONE);
    let mut inst = Instruction::default();
    let end = u64::from(offset) + bytes.len() as u64;
    let mut data = end;
    while decoder.can_decode() && decoder.ip() < data {
        decoder.decode_out(&mut inst);
        if inst.is_ip_rel_memory_operand() && inst.ip_rel_memory_address() >= inst.next_ip() {
            data = data.min(inst.ip_rel_memory_address());
        }
        let mut text = String::new();
        let near = inst.op0_kind() == OpKind::NearBranch64;
        let inside = |to: u64| (u64::from(offset)..end).contains(&to);
        // A call to the function's own start is one of the function.
        let named = |&to: &u64| inst.mnemonic() == Mnemonic::Call || !inside(to);
        match near.then(|| inst.near_branch64()).filter(named) {
            Some(to) => {
                let name = if inst.mnemonic() == Mnemonic::Call { "call" } else { "jmp" };
                let known = u32::try_from(to).ok().and_then(symbol);
                let known = known.unwrap_or_else(|| "?".to_string());
                let _ = write!(text, "{name} {to:#x} <{known}>");
            }
            None => formatter.format(&inst, &mut text),
        }
        lines.push(Line { offset: inst.ip() as u32, len: inst.len() as u32, text: Some(text) });
    }
    let mut at = decoder.ip().min(end);
    while at < end {
        let len = (end - at).min(DATA_LINE as u64);
        lines.push(Line { offset: at as u32, len: len as u32, text: None });
        at += len;
    }
    lines
}

/// True for a branch that leads behind the instructions: the sign of a broken listing.
fn jumps_out(inst: &Instruction, instructions: usize) -> bool {
    inst.op0_kind() == OpKind::NearBranch64 && inst.near_branch64() > instructions as u64
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 3);
    for (at, byte) in bytes.iter().enumerate() {
        let gap = if at == 0 { "" } else { " " };
        let _ = write!(text, "{gap}{byte:02x}");
    }
    text
}

/// How instructions are written.
pub(super) fn formatter() -> IntelFormatter {
    let mut formatter = IntelFormatter::new();
    let options = formatter.options_mut();
    options.set_hex_prefix("0x");
    options.set_hex_suffix("");
    options.set_uppercase_hex(false);
    options.set_space_after_operand_separator(true);
    options.set_branch_leading_zeros(false);
    options.set_displacement_leading_zeros(false);
    options.set_show_branch_size(false);
    options.set_signed_immediate_operands(true);
    options.set_rip_relative_addresses(false);
    formatter
}
