//! What branch tables carry: cells.
//!
//! A byte of a branch table names a label, and a label that is not wide carries up to eight values as edge
//! arguments ([`crate::home`]). A thousand tables that name the same hundred labels would be eight moves
//! for each byte. They carry the same values to all of their labels, though. So where tables carry much
//! ([`crate::scan`] decides that for a function), the labels they name get values another way: in *cells*,
//! frame slots of which there is one for each position and type, for all these labels together. Who
//! branches to such a label stores what it carries before it leaves, a table once for all its labels; the
//! label loads the values and gives them numbers of their own. Cells are in use between a branch and its
//! label alone, and there is no other branch in between.
//!
//! # Complexity
//! A step per value stored or loaded, and what a cell is known to hold already is not stored again.

use crate::body::Cx;
use crate::home::NARROW_LABEL;
use runwell_abi::Type;
use runwell_ir::{Slot, Value};

/// Types of values.
const TYPES: usize = 7;

/// The cells of a function.
#[derive(Debug)]
pub(crate) struct Cells {
    /// By position and type, as far as they are in use.
    slots: [[Slot; TYPES]; NARROW_LABEL as usize],
    /// What the last cell that was written at each position holds, where that is known.
    known: [Value; NARROW_LABEL as usize],
}

impl Default for Cells {
    fn default() -> Cells {
        Cells {
            slots: [[Slot::NONE; TYPES]; NARROW_LABEL as usize],
            known: [Value::NONE; NARROW_LABEL as usize],
        }
    }
}

impl Cx {
    fn cell(&mut self, position: usize, ty: Type) -> Slot {
        let slot = &mut self.cells.slots[position][ty as usize];
        if slot.is_none() {
            *slot = self.b.func.add_slot(ty);
        }
        *slot
    }

    /// Puts the topmost `count` values into cells. They stay on the stack.
    pub(crate) fn fill_cells(&mut self, count: usize) {
        let first = self.stack.len() - count;
        self.fetch(first);
        for position in 0..count {
            let value = self.b.resolve(self.stack[first + position]);
            if self.cells.known[position] != value {
                let ty = self.b.func.value_type(value);
                let slot = self.cell(position, ty);
                self.b.cell_store(ty, slot, value);
                self.cells.known[position] = value;
            }
        }
        self.extra += count;
    }

    /// Pushes what is in the cells.
    pub(crate) fn push_cells(&mut self, types: &[Type]) {
        for (position, &ty) in types.iter().enumerate() {
            let slot = self.cell(position, ty);
            let value = self.b.cell_load(ty, slot);
            self.push(value);
        }
        self.extra += types.len();
    }

    /// From here on nothing is known of what cells hold: control comes from elsewhere, too.
    pub(crate) fn forget_cells(&mut self) {
        if self.scan.in_cells {
            self.cells.known.fill(Value::NONE);
        }
    }
}

const _: () = assert!(Type::AnyRef as usize + 1 == TYPES);
