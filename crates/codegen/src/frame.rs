//! The stack frame.
//!
//! ```text
//! [rsp + bytes]      return address
//!                    homes of operands
//!                    context of the instance, if calls may lose it
//!                    callee-saved registers
//!                    variables outside of SSA
//! [rsp]              spill slots
//! ```
//!
//! The prologue subtracts `bytes` once and nothing else moves the stack pointer, so the frame can be
//! walked with that one number. `bytes` is 8 modulo 16, which aligns the stack pointer at calls; a
//! function that calls nothing and keeps nothing has no frame.
//!
//! The stack's limit is met at a depth that the text of the functions decides
//! ([`runwell_abi::memory::frame_depth`]): a frame is made as large as what it counts, at no cost but
//! for addresses. One that needs more lowers the limit by the excess while it is active.

use crate::emit::EmitInput;
use crate::vcode::PReg;
use runwell_abi::Type;
use runwell_abi::memory::{STACK_RATIO, STACK_RED_ZONE_BYTES};

/// Bytes of a home: as many as of a cell of the transfer buffer.
const HOME_BYTES: u64 = 16;

/// Larger frames are refused. Displacements have 31 bits.
const MAX_BYTES: u64 = 1 << 28;

/// Where everything is in the frame, relative to the stack pointer.
#[derive(Debug, Default)]
pub(crate) struct Frame {
    /// Its size without the return address.
    pub(crate) bytes: u32,
    /// Offset of each spill slot.
    pub(crate) spills: Vec<u32>,
    /// Offset of each variable.
    pub(crate) slots: Vec<u32>,
    /// Offset of the first home. The others follow, 16 bytes each.
    pub(crate) homes: u32,
    /// First byte of the variables and the byte after the last.
    pub(crate) slot_range: (u32, u32),
    /// Callee-saved registers in use, with the offset each is saved at.
    pub(crate) saved: Vec<(PReg, u32)>,
    /// Where the context is saved.
    pub(crate) context: Option<u32>,
    /// True if the prologue has to compare with the stack limit.
    pub(crate) checked: bool,
    /// Bytes that it takes beyond what it counts.
    pub(crate) excess: u32,
}

impl Frame {
    /// Offset of variable `number`. The homes are numbered on from the last variable.
    pub(crate) fn slot(&self, number: u32) -> u32 {
        match self.slots.get(number as usize) {
            Some(&offset) => offset,
            None => self.homes + HOME_BYTES as u32 * (number - self.slots.len() as u32),
        }
    }

    /// Offset of home `number`.
    pub(crate) fn home(&self, number: u32) -> u32 {
        self.homes + HOME_BYTES as u32 * number
    }

    /// Lays out the frame.
    pub(crate) fn lay_out(&mut self, input: &EmitInput<'_>) -> Result<(), crate::Error> {
        // Bytes taken so far; everything is as aligned as it is large.
        let mut at = 0u64;
        let mut take = |bytes: u8| {
            let start = at.next_multiple_of(u64::from(bytes));
            at = start + u64::from(bytes);
            start as u32
        };
        self.spills.clear();
        self.spills.extend(input.allocation.slot_bytes.iter().map(|&b| take(b.max(8))));
        self.slots.clear();
        let size = |ty: Type| if ty == Type::V128 { 16 } else { 8 };
        self.slots.extend(input.func.slots.iter().map(|&ty| take(size(ty))));
        self.slot_range = match (self.slots.first(), self.slots.last(), input.func.slots.last()) {
            (Some(&first), Some(&last), Some(&ty)) => (first, last + u32::from(size(ty))),
            _ => (0, 0),
        };
        self.saved.clear();
        for reg in input.allocation.used_callee_saved.iter() {
            self.saved.push((reg, take(8)));
        }
        self.context = input.facts.switches.then(|| take(8));
        // Last, so that the others keep their short displacements.
        let homes = HOME_BYTES * u64::from(input.func.homes);
        if homes != 0 {
            at = at.next_multiple_of(HOME_BYTES);
        }
        self.homes = at as u32;
        let needed = at + homes;
        if needed > MAX_BYTES {
            return Err(crate::Error::Limit(format!("a frame of {needed} bytes")));
        }
        // With the return address.
        let depth = input.func.depth_bytes;
        let taken = if needed == 0 && !input.facts.calls && depth == 0 {
            8
        } else {
            ((needed + 8).next_multiple_of(16) as u32).max(depth)
        };
        self.bytes = taken - 8;
        self.excess = if depth == 0 { 0 } else { taken - depth };
        self.checked = depth != 0 || input.facts.calls_guest || taken > STACK_RED_ZONE_BYTES;
        // See `frame_depth` for why this does not happen to a function that comes from WebAssembly.
        if depth != 0 && self.excess / STACK_RATIO >= depth {
            return Err(crate::Error::Limit(format!(
                "a frame of {taken} bytes that counts {depth}"
            )));
        }
        Ok(())
    }
}
