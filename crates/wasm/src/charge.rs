//! Charging fuel, as [`crate::meter`] has planned it.
//!
//! What is charged for an operator is charged before it, and belongs to the operator before that: there
//! the balance behind the operator is the balance before the charge. So one number per operator says
//! what stopping there has to settle.

use crate::body::Cx;
use runwell_abi::Type;
use runwell_abi::fuel::{BYTES_SHIFT, ELEMENTS_SHIFT};
use runwell_ir::Value;

impl Cx {
    /// Translation comes to the operator at `at` in the module, whose bytes these are, `offset` of
    /// them into the body's operators.
    pub(crate) fn arrive(&mut self, at: u32, offset: u32, bytes: &[u8]) {
        let label = self.frames.last().map_or(0, |frame| frame.label);
        let frames = &self.frames;
        let dead = self.dead;
        let target = |depth: u32| {
            let at = (frames.len() + dead as usize).checked_sub(1 + depth as usize)?;
            frames.get(at).map(|frame| (frame.is_loop(), frame.label))
        };
        let arrival = self.scan.meter.arrive(offset, bytes, label, target);
        if !self.reachable {
            return;
        }
        // The source position is still that of the operator before.
        self.charge_at(arrival.before, arrival.charge);
        if let Some(balance) = arrival.stops.filter(|&balance| balance != 0) {
            self.b.func.rests.push((at, balance));
        }
    }

    /// The operator has been translated.
    pub(crate) fn depart(&mut self) {
        self.scan.meter.depart();
    }

    /// The balance behind the current operator.
    pub(crate) fn balance(&self) -> i64 {
        self.scan.meter.balance
    }

    /// Brings the balance behind the current operator to `wanted`.
    pub(crate) fn charge(&mut self, wanted: i64) {
        let balance = self.balance();
        self.charge_at(balance, wanted - balance);
    }

    /// Charges, or gives back when negative, where the balance is `before` and the source position that
    /// of the operator before which it became that.
    pub(crate) fn charge_at(&mut self, before: i64, charge: i64) {
        if charge > 0 && before != 0 {
            let at = self.b.src();
            if self.b.func.rests.last().is_none_or(|&(last, _)| last < at) {
                self.b.func.rests.push((at, before));
            }
        }
        if charge != 0 {
            self.b.fuel(charge.unsigned_abs(), charge < 0);
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
