//! Constants, arithmetic, comparisons and conversions.

use crate::body::Cx;
use runwell_abi::Type;
use runwell_ir::Op;

impl Cx {
    /// `i32.const`, `i64.const`.
    #[inline]
    pub(crate) fn int(&mut self, ty: Type, bits: u64) {
        let value = self.b.iconst(ty, bits);
        self.push(value);
    }

    /// `f32.const`.
    pub(crate) fn float32(&mut self, bits: u32) {
        let value = self.b.fconst32(bits);
        self.push(value);
    }

    /// `f64.const`.
    pub(crate) fn float64(&mut self, bits: u64) {
        let value = self.b.fconst64(bits);
        self.push(value);
    }

    /// An operator of one operand. `ty` is the controlling type of `op`.
    #[inline]
    pub(crate) fn unary(&mut self, op: Op, ty: Type) {
        let a = self.pop();
        let value = self.b.unary(op, ty, a);
        self.push(value);
    }

    /// An operator of two operands. `ty` is the controlling type of `op`.
    #[inline]
    pub(crate) fn binary(&mut self, op: Op, ty: Type) {
        let (a, b) = self.pop2();
        let value = self.b.binary(op, ty, a, b);
        self.push(value);
    }
}
