//! The calling convention between guest functions, and between guest and host.
//!
//! x86-64. `r14` holds the instance context (vmctx) and `r15` the base of memory 0 at every point
//! of guest code; `r11` and `xmm15` are scratch and never allocated; `rsp` is 16-byte aligned at
//! each call instruction.
//!
//! Integer-class arguments travel in [`INT_ARGS`], float-class ones in `xmm0..xmm7`; what does not
//! fit goes, in order, to 16-byte cells of the *transfer buffer* in the store's runtime record
//! (address at [`crate::vmctx::RUNTIME`], cells from [`crate::vmctx::RT_TRANSFER`] on). Results
//! travel the same way in [`INT_RESULTS`] and `xmm0..xmm3`. There are no stack arguments, so a tail
//! call never has to resize a frame. The buffer is live only between a call instruction and the
//! callee's prologue, and between a return and the instruction after the call.
//!
//! More than [`NARROW_PARAMS`] arguments, and more than [`NARROW_RESULTS`] results, travel in the
//! buffer alone, each in the cell of its own number: caller and callee can then move all of them by
//! one copy, whose code is as short for a thousand values as for ten.
//!
//! Callee-saved: [`CALLEE_SAVED`] and `r14`, `r15` across calls inside an instance. No vector
//! register is callee-saved.
//!
//! # Calls that may leave the instance
//!
//! Every call through a [`crate::vmctx::FuncRefDef`] (imported functions, `call_indirect`,
//! `call_ref`) may end in another instance or in a host function. The caller passes its own context
//! in [`CALLER_VMCTX_REG`], from which a host function learns who called it, and takes its own
//! registers back afterwards. With the record's address in a register `ref` that is none of r10,
//! r11, r14, r15 and the argument registers (`rax` always qualifies), the sequence is
//!
//! ```text
//! mov  r10, r14
//! mov  r14, [ref + FUNC_VMCTX]
//! mov  r15, [ref + FUNC_MEMORY]
//! call [ref + FUNC_CODE]
//! mov  r14, [rsp + the frame slot that keeps the context]
//! mov  r15, [r14 + memory(0) + MEMORY_ENTRY_BASE]     when the module has a memory
//! ```
//!
//! `r10` is an argument like the others: live up to the callee's first instruction, lost after it.
//! Calls inside an instance leave it undefined. A function of a host has the same convention; its
//! `FUNC_CODE` is a stub of the runtime and its `FUNC_VMCTX` the host function's record.
//!
//! A tail call through a `FuncRefDef` is the first three lines, the release of the frame and
//! `jmp [ref + FUNC_CODE]`. It returns to its caller's caller with the registers of another
//! instance in `r14` and `r15`. So in a module that contains such a tail call anywhere, *every*
//! call, also one inside the instance, is followed by the two restoring lines.
//!
//! # Frames
//!
//! The first instruction of a function subtracts a constant from `rsp`, the last before it leaves
//! adds it, and nothing else moves `rsp` (a function without a frame has neither). Between the two,
//! return address and frame size let the runtime walk the stack without frame pointers. Nothing
//! before the first instruction is done, and no instruction after the frame's release, may trap.
//!
//! No address of the stack is kept in a frame or in a register across a call, a helper call or a
//! charge of fuel: the frames of a suspended call may go on on another stack.

use crate::ty::Type;

/// Hardware numbers of the registers of integer-class arguments: rdi rsi rdx rcx r8 r9.
pub const INT_ARGS: [u8; 6] = [7, 6, 2, 1, 8, 9];
/// Number of float-class argument registers, from xmm0.
pub const FLOAT_ARGS: usize = 8;
/// Hardware numbers of the registers of integer-class results: rax rdx rcx rsi.
pub const INT_RESULTS: [u8; 4] = [0, 2, 1, 6];
/// Number of float-class result registers, from xmm0.
pub const FLOAT_RESULTS: usize = 4;
/// Hardware numbers of the callee-saved registers: rbx rbp r12 r13.
pub const CALLEE_SAVED: [u8; 4] = [3, 5, 12, 13];
/// Hardware number of the register that holds the instance context.
pub const VMCTX_REG: u8 = 14;
/// Hardware number of the register that holds the base of memory 0.
pub const MEMORY_REG: u8 = 15;
/// Hardware number of the register in which a call through a function reference passes the
/// caller's context.
pub const CALLER_VMCTX_REG: u8 = 10;
/// Hardware number of the integer scratch register.
pub const SCRATCH_INT: u8 = 11;
/// Hardware number of the register that holds the fuel left, an unsigned number below 2^63, in metered
/// code, where it is not callee-saved but everybody's. What cannot be paid is not charged: the code
/// puts the charge back and calls [`crate::vmctx::FUEL_STUB`], which keeps all registers but `r11` and
/// this one, and tries again when it comes back.
pub const FUEL_REG: u8 = 13;
/// Number of the vector scratch register.
pub const SCRATCH_FLOAT: u8 = 15;
/// Hardware numbers of the argument registers of a runtime helper: rsi rdx rcx r8 r9 (rdi is the
/// context, which the stub fills in).
pub const LIBCALL_ARGS: [u8; 5] = [6, 2, 1, 8, 9];
/// Cells of the transfer buffer, 16 bytes each: the most values a type may have, so that all
/// arguments or all results fit.
pub const TRANSFER_CELLS: usize = 1000;

/// The most arguments that may travel in registers. Of published functions, those with more are one
/// in a hundred; and each of these could be called by two bytes that load all of its registers.
pub const NARROW_PARAMS: usize = 8;
/// The most results that may travel in registers: as many as there are of one class.
pub const NARROW_RESULTS: usize = 4;

/// Where one argument or result travels.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum ArgLoc {
    /// In the general-purpose register with this hardware number.
    Int(u8),
    /// In the vector register with this number.
    Float(u8),
    /// In this cell of the transfer buffer.
    Cell(u16),
}

/// Hands out locations in order, for arguments or for results.
#[derive(Clone, Debug)]
pub struct CallAbi {
    int_regs: &'static [u8],
    float_regs: usize,
    ints: usize,
    floats: usize,
    cells: u16,
}

impl CallAbi {
    /// Locations of `count` arguments.
    pub fn args(count: usize) -> CallAbi {
        if count > NARROW_PARAMS {
            return CallAbi::CELLS;
        }
        CallAbi { int_regs: &INT_ARGS, float_regs: FLOAT_ARGS, ..CallAbi::CELLS }
    }

    /// Locations of `count` results.
    pub fn results(count: usize) -> CallAbi {
        if count > NARROW_RESULTS {
            return CallAbi::CELLS;
        }
        CallAbi { int_regs: &INT_RESULTS, float_regs: FLOAT_RESULTS, ..CallAbi::CELLS }
    }

    const CELLS: CallAbi = CallAbi { int_regs: &[], float_regs: 0, ints: 0, floats: 0, cells: 0 };

    /// The location of the next value.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self, ty: Type) -> ArgLoc {
        if ty.is_int_class() {
            if let Some(&reg) = self.int_regs.get(self.ints) {
                self.ints += 1;
                return ArgLoc::Int(reg);
            }
        } else if self.floats < self.float_regs {
            self.floats += 1;
            return ArgLoc::Float((self.floats - 1) as u8);
        }
        self.cells += 1;
        ArgLoc::Cell(self.cells - 1)
    }

    /// How many cells of the transfer buffer have been handed out.
    pub fn cells(&self) -> u16 {
        self.cells
    }
}

/// Where the arguments of a narrow call are among cells of 16 bytes in a row, for the stub at
/// [`crate::vmctx::SPREAD_STUB`], which puts them where [`CallAbi::args`] says.
///
/// A call of two bytes may take eight values that lie in memory, and loading each of them by an
/// instruction of its own would be much code. The stub takes the address of the first cell in `r11` and
/// this number in `r10`. Four bits each, from the lowest on: the integer-class arguments in order, of
/// which two may belong in cells of the transfer buffer, then from bit 32 on the float-class ones. The
/// upper three bits are the number of the cell, the lowest says that the value has 32 bits. Fields that
/// nobody needs are zero: the stub gives their registers the value of the first cell, and cells that are
/// nobody's argument are written to. It changes `r10`, `r11`, the scratch vector register, the flags, and
/// all argument registers, keeps the others, `rax` among them, and takes the 8 bytes of its return address
/// on the stack.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default)]
pub struct SpreadCode {
    /// The number.
    pub bits: u64,
    ints: u32,
    floats: u32,
}

impl SpreadCode {
    /// The code for arguments of these types, in the order of their cells.
    ///
    /// # Panics
    /// When there are more than [`NARROW_PARAMS`].
    pub fn new(types: &[Type]) -> SpreadCode {
        assert!(types.len() <= NARROW_PARAMS, "only narrow arguments are spread");
        let mut code = SpreadCode::default();
        for (cell, &ty) in types.iter().enumerate() {
            let field = (2 * cell as u64) | u64::from(ty == Type::I32);
            let number = if ty.is_int_class() { &mut code.ints } else { &mut code.floats };
            let at = *number + if ty.is_int_class() { 0 } else { 8 };
            *number += 1;
            code.bits |= field << (4 * at);
        }
        code
    }
}

// A field for each argument of a class.
const _: () = assert!(NARROW_PARAMS <= 8 && INT_ARGS.len() + 2 == 8 && FLOAT_ARGS == 8);

/// The registers of a call as memory: what the entry stub loads before it calls guest code and
/// what it stores afterwards, and the other way round for host functions.
///
/// On the way in `int` is indexed as [`INT_ARGS`] and `float` by register number; on the way out
/// `int` is indexed as [`INT_RESULTS`].
#[derive(Copy, Clone, Debug)]
#[repr(C, align(16))]
pub struct RegFile {
    /// Vector registers, 16 bytes each.
    pub float: [u128; FLOAT_ARGS],
    /// Integer registers.
    pub int: [u64; INT_ARGS.len()],
}

/// Byte offset of [`RegFile::float`].
pub const REGFILE_FLOAT: usize = core::mem::offset_of!(RegFile, float);
/// Byte offset of [`RegFile::int`].
pub const REGFILE_INT: usize = core::mem::offset_of!(RegFile, int);

const _: () = assert!(REGFILE_FLOAT == 0 && REGFILE_INT == 128);

#[cfg(test)]
mod tests {
    use super::*;

    /// What the stub does, in words of the convention: each argument ends up where [`CallAbi`] puts it.
    #[test]
    fn fields_name_the_cells_of_their_registers() {
        use Type::{F32, F64, FuncRef, I32, I64};
        for seed in 0..5u32.pow(8) {
            let len = 1 + seed as usize % NARROW_PARAMS;
            let digit = |at: u32| [I32, I64, F32, F64, FuncRef][(seed / 5u32.pow(at) % 5) as usize];
            let types: Vec<Type> = (0..len as u32).map(digit).collect();
            let code = SpreadCode::new(&types).bits;
            let mut abi = CallAbi::args(len);
            let mut seen = 0;
            for (cell, &ty) in types.iter().enumerate() {
                let field = match abi.next(ty) {
                    ArgLoc::Int(hw) => INT_ARGS.iter().position(|&reg| reg == hw).unwrap(),
                    ArgLoc::Float(number) => 8 + usize::from(number),
                    ArgLoc::Cell(number) => INT_ARGS.len() + usize::from(number),
                };
                let bits = 2 * cell as u64 + u64::from(ty == I32);
                assert_eq!(code >> (4 * field) & 15, bits, "{types:?}");
                seen |= 15 << (4 * field);
            }
            assert_eq!(code & !seen, 0, "{types:?}");
        }
    }
}
