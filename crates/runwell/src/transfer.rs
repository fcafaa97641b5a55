//! Values on their way into and out of machine registers.
//!
//! The host side of the calling convention of `runwell_abi::call`: integer-class values take the
//! next integer register, float-class ones the next vector register, what does not fit the next
//! cell of the transfer buffer. Of more than [`NARROW_PARAMS`] arguments and [`NARROW_RESULTS`]
//! results, none is in a register.

use runwell_abi::call::{
    FLOAT_ARGS, FLOAT_RESULTS, INT_ARGS, INT_RESULTS, NARROW_PARAMS, NARROW_RESULTS,
};
use runwell_abi::{RegFile, Type};

/// Hands out places in order, for the arguments or for the results of one call.
pub struct Transfer<'a> {
    regs: &'a mut RegFile,
    cells: *mut u128,
    int_regs: usize,
    float_regs: usize,
    ints: usize,
    floats: usize,
    cell: usize,
}

impl<'a> Transfer<'a> {
    /// Places of `count` arguments.
    ///
    /// # Safety
    /// `cells` is the transfer buffer of the store the call happens in, and no call happens while
    /// the result is in use.
    #[inline]
    pub(crate) unsafe fn args(
        regs: &'a mut RegFile,
        cells: *mut u128,
        count: usize,
    ) -> Transfer<'a> {
        let regs_of = |regs| if count > NARROW_PARAMS { 0 } else { regs };
        let (int_regs, float_regs) = (regs_of(INT_ARGS.len()), regs_of(FLOAT_ARGS));
        Transfer { regs, cells, int_regs, float_regs, ints: 0, floats: 0, cell: 0 }
    }

    /// Places of `count` results.
    ///
    /// # Safety
    /// As for [`Transfer::args`].
    #[inline]
    pub(crate) unsafe fn results(
        regs: &'a mut RegFile,
        cells: *mut u128,
        count: usize,
    ) -> Transfer<'a> {
        let regs_of = |regs| if count > NARROW_RESULTS { 0 } else { regs };
        let (int_regs, float_regs) = (regs_of(INT_RESULTS.len()), regs_of(FLOAT_RESULTS));
        Transfer { regs, cells, int_regs, float_regs, ints: 0, floats: 0, cell: 0 }
    }

    #[inline]
    fn place(&mut self, ty: Type) -> Place<'_> {
        if ty.is_int_class() {
            if self.ints < self.int_regs {
                self.ints += 1;
                return Place::Int(&mut self.regs.int[self.ints - 1]);
            }
        } else if self.floats < self.float_regs {
            self.floats += 1;
            return Place::Float(&mut self.regs.float[self.floats - 1]);
        }
        self.cell += 1;
        assert!(self.cell <= runwell_abi::call::TRANSFER_CELLS, "a type has at most 1000 values");
        // SAFETY: the index is inside of the buffer, which nobody else uses meanwhile.
        Place::Float(unsafe { &mut *self.cells.add(self.cell - 1) })
    }

    /// Writes the next value.
    #[inline]
    pub(crate) fn put(&mut self, ty: Type, bits: u128) {
        match self.place(ty) {
            Place::Int(int) => *int = bits as u64,
            Place::Float(float) => *float = bits,
        }
    }

    /// Reads the next value; bits above its type's size are cleared.
    #[inline]
    pub(crate) fn take(&mut self, ty: Type) -> u128 {
        let bits = match self.place(ty) {
            Place::Int(int) => u128::from(*int),
            Place::Float(float) => *float,
        };
        match ty.bytes() {
            4 => bits & 0xffff_ffff,
            8 => bits & 0xffff_ffff_ffff_ffff,
            _ => bits,
        }
    }
}

enum Place<'a> {
    Int(&'a mut u64),
    Float(&'a mut u128),
}
