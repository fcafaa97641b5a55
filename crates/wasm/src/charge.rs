//! Charging fuel, as [`crate::meter`] has planned it.

use crate::body::Cx;
use crate::meter::Kind;
use runwell_abi::Type;
use runwell_abi::fuel::{BYTES_SHIFT, ELEMENTS_SHIFT};
use runwell_ir::Value;

impl Cx {
    /// Translation comes to the operator at `at` in the module, whose bytes these are, `offset` of
    /// them into the body's operators.
    pub(crate) fn arrive(&mut self, at: u32, offset: u32, bytes: &[u8]) {
        if let Some(rest) = self.scan.meter.arrive(offset, bytes)
            && self.reachable
        {
            self.b.func.rests.push((at, rest));
        }
    }

    /// The operator has been translated: charges what the plan says for the way on.
    pub(crate) fn depart(&mut self) {
        let Some(entry) = self.scan.meter.now.take() else { return };
        let charged = match entry.kind {
            Kind::Call => 0,
            Kind::Loop => {
                let is_loop =
                    self.scan.constructs.get(entry.construct()).is_some_and(|c| c.branches > 0);
                if is_loop { 0 } else { entry.on }
            }
            Kind::If | Kind::BrIf => entry.charged,
            Kind::Else if self.dead == 0 => self.frames.last().map_or(entry.on, |f| f.charged),
            _ => entry.on,
        };
        if self.reachable {
            self.charge(charged, entry.on);
        }
        self.scan.meter.rest = entry.on;
    }

    /// What is charged at the current operator for what follows it.
    pub(crate) fn charged(&self) -> u64 {
        self.scan.meter.now.map_or(0, |entry| entry.charged)
    }

    /// What the way behind the current operator costs.
    pub(crate) fn way_on(&self) -> u64 {
        self.scan.meter.now.map_or(0, |entry| entry.on)
    }

    /// Charges the difference between what is `charged` and what the way costs that is taken.
    pub(crate) fn charge(&mut self, charged: u64, way: u64) {
        if charged < way {
            let at = self.b.src();
            if charged > 0 && self.b.func.rests.last().is_none_or(|&(last, _)| last != at) {
                self.b.func.rests.push((at, charged));
            }
            self.b.fuel(way - charged, false);
        } else if way < charged {
            self.b.fuel(charged - way, true);
        }
    }

    /// Charges what a bulk operator on a memory costs by its length in bytes.
    pub(crate) fn charge_bytes(&mut self, len: Value) {
        self.charge_for(len, BYTES_SHIFT);
    }

    /// Charges what a bulk operator on a table costs by its length in elements.
    pub(crate) fn charge_elements(&mut self, len: Value) {
        self.charge_for(len, ELEMENTS_SHIFT);
    }

    /// `len` is an `I64`.
    fn charge_for(&mut self, len: Value, shift: u32) {
        debug_assert_eq!(self.b.func.value_type(len), Type::I64);
        self.b.fuel_for(len, shift);
    }
}
