//! Register allocation: interface.

use crate::vcode::{PReg, RegSet};

/// Where a value is: a register, or a spill slot of the frame (bit 31).
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Loc(u32);

impl Loc {
    /// Nowhere.
    pub const NONE: Loc = Loc(u32::MAX);

    /// A register.
    pub const fn reg(reg: PReg) -> Loc {
        Loc(reg.0 as u32)
    }

    /// A spill slot; [`Allocation::slot_bytes`] tells its size.
    pub const fn slot(slot: u32) -> Loc {
        Loc(slot | 1 << 31)
    }

    /// The register, if it is one.
    pub const fn as_reg(self) -> Option<PReg> {
        if self.0 < 32 { Some(PReg(self.0 as u8)) } else { None }
    }

    /// The spill slot, if it is one.
    pub const fn as_slot(self) -> Option<u32> {
        if self.0 >> 31 != 0 && self.0 != u32::MAX { Some(self.0 & !(1 << 31)) } else { None }
    }
}

impl core::fmt::Debug for Loc {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match (self.as_reg(), self.as_slot()) {
            (Some(reg), _) => write!(f, "{reg:?}"),
            (_, Some(slot)) => write!(f, "slot{slot}"),
            _ => f.write_str("nowhere"),
        }
    }
}

/// One inserted move.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Move {
    /// From.
    pub from: Loc,
    /// To.
    pub to: Loc,
    /// Bytes to move: 4, 8 or 16.
    pub bytes: u8,
    /// True to exchange two registers of one class instead (cycles).
    pub swap: bool,
}

/// The registers a machine offers.
#[derive(Copy, Clone, Debug)]
pub struct RegEnv {
    /// Registers that may be allocated, both classes.
    pub allocatable: RegSet,
    /// Those of them that a callee keeps; using one costs a save and a restore per call of the
    /// function.
    pub callee_saved: RegSet,
    /// Scratch registers by class, for moves between slots.
    pub scratch: [PReg; 2],
}

/// What the allocator decides. Emission reads it beside the VCode.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Allocation {
    /// One location per entry of `VCode::operands`.
    pub locs: Vec<Loc>,
    /// Moves in order of their instruction: `(i, m)` goes directly before instruction `i`. Moves
    /// before one instruction are sequential, not parallel.
    pub moves: Vec<(u32, Move)>,
    /// Per edge of `VCode::edges` the range of its moves in `edge_moves`, sequential as well.
    pub edges: Vec<(u32, u32)>,
    /// Moves on edges.
    pub edge_moves: Vec<Move>,
    /// Size of each spill slot: 8 or 16 bytes.
    pub slot_bytes: Vec<u8>,
    /// Callee-saved registers in use.
    pub used_callee_saved: RegSet,
}
