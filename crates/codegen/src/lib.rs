//! Machine code for one function: selection, register allocation, emission.
//!
//! [`Codegen`] runs the three over one `ir::Function` after another and keeps their memory in
//! between. Each stage yields a value that the next one reads and nobody changes:
//! `ir::Function`, [`vcode::VCode`], [`regalloc::Allocation`], [`CompiledFunction`].

#![forbid(unsafe_code)]

pub mod emit;
pub mod env;
mod frame;
pub mod lower;
pub mod mach;
mod nan;
pub mod print;
pub mod regalloc;
pub mod vcode;
pub mod x64;

use crate::emit::EmitInput;
use crate::env::ModuleEnv;
use crate::lower::Source;
use crate::mach::Machine;
use crate::vcode::VCode;
use crate::x64::X64;
use core::fmt;
use runwell_ir::work::Stopped;
use runwell_ir::{Function, Work};

/// Machine code of one function with its tables. Offsets are relative to its first byte.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct CompiledFunction {
    /// Code, followed by its constants and jump tables.
    pub code: Vec<u8>,
    /// Bytes of `code` that are instructions.
    pub code_bytes: u32,
    /// Calls to functions of the module: offset of the 4-byte field, function index. The value to
    /// write is the callee's address minus that of the end of the field.
    pub relocs: Vec<(u32, u32)>,
    /// Instructions that may trap, ascending: offset of the instruction, reason.
    pub traps: Vec<(u32, runwell_abi::TrapCode)>,
    /// Source positions, ascending: from this offset on, instructions belong to the operator at
    /// this Wasm byte offset. Return addresses are looked up one byte before.
    pub srclocs: Vec<(u32, u32)>,
    /// With metering: the balance of fuel, by Wasm byte offset, see `ir::Function::rests`.
    pub rests: Vec<(u32, i64)>,
    /// Size of the frame: from the second instruction on, the return address is at
    /// `[rsp + frame_bytes]`.
    pub frame_bytes: u32,
}

impl CompiledFunction {
    /// Bytes of its code and its tables.
    pub fn bytes(&self) -> usize {
        self.code.len()
            + size_of_val(&*self.relocs)
            + size_of_val(&*self.traps)
            + size_of_val(&*self.srclocs)
            + size_of_val(&*self.rests)
    }
}

/// Why a function could not be compiled.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Error {
    /// It exceeds a limit of the code generator.
    Limit(String),
    /// The compiler is wrong.
    Bug(String),
    /// The meter let it go no further.
    Stopped(Stopped),
}

impl From<Stopped> for Error {
    #[cold]
    fn from(why: Stopped) -> Error {
        Error::Stopped(why)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Limit(what) => write!(f, "limit exceeded: {what}"),
            Error::Bug(what) => write!(f, "bug in the compiler: {what}"),
            Error::Stopped(Stopped::Cancelled) => f.write_str("cancelled"),
            Error::Stopped(Stopped::Spent { limit, .. }) => {
                write!(f, "limit exceeded: {limit} steps of work")
            }
        }
    }
}

impl std::error::Error for Error {}

/// What happened to a function on its way, as text.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Listing {
    /// Machine instructions over virtual registers.
    pub selected: String,
    /// For each line of them the Wasm byte offset, 0 for none.
    pub selected_from: Vec<u32>,
    /// The same with registers, spill slots and moves.
    pub allocated: String,
    /// For each line of them the Wasm byte offset, 0 for none.
    pub allocated_from: Vec<u32>,
    /// Machine code with Wasm offsets.
    pub machine: String,
}

/// Reusable context: compiles one function after another.
#[derive(Default)]
pub struct Codegen {
    code: VCode,
    selection: lower::Scratch,
    allocator: regalloc::Allocator,
    emitter: <X64 as Machine>::Emitter,
    /// Bytes of the data that compiling the last function made.
    bytes: usize,
}

impl fmt::Debug for Codegen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Codegen").finish_non_exhaustive()
    }
}

impl Codegen {
    /// A context without memory of its own yet.
    pub fn new() -> Codegen {
        Codegen::default()
    }

    /// Compiles a function. With `verify`, the checker of the register allocator proves its outcome.
    ///
    /// # Errors
    /// [`Error::Limit`] when the frame or the code grows too large, [`Error::Bug`] when `func` breaks
    /// an invariant of the IR or the checker disagrees, [`Error::Stopped`] when the meter says so.
    ///
    /// # Complexity
    /// Linear in instructions, operands and edge arguments; see [`lower`], [`regalloc`] and
    /// [`x64`]'s emission for the reasons.
    pub fn compile(
        &mut self,
        func: &Function,
        env: &ModuleEnv,
        work: &mut Work,
        verify: bool,
    ) -> Result<CompiledFunction, Error> {
        self.run(Source::Kept(func), env, work, verify, None)
    }

    /// Compiles a function that nobody will look at afterwards: the instructions of a large one are given
    /// back while they are selected, which lowers the peak of memory.
    ///
    /// # Errors
    /// As [`Self::compile`].
    pub fn compile_last(
        &mut self,
        func: &mut Function,
        env: &ModuleEnv,
        work: &mut Work,
        verify: bool,
    ) -> Result<CompiledFunction, Error> {
        self.run(Source::Given(func), env, work, verify, None)
    }

    /// Compiles a function and describes each stage. The checker, when asked for, is linear in nothing:
    /// it follows every value through every block.
    ///
    /// # Errors
    /// As [`Self::compile`].
    pub fn inspect(
        &mut self,
        func: &Function,
        env: &ModuleEnv,
        work: &mut Work,
        verify: bool,
    ) -> Result<(CompiledFunction, Listing), Error> {
        let mut listing = Listing::default();
        let source = Source::Kept(func);
        let compiled = self.run(source, env, work, verify, Some(&mut listing))?;
        Ok((compiled, listing))
    }

    /// Bytes of the data that compiling the last function made, its machine code aside.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    fn run(
        &mut self,
        mut source: Source<'_>,
        env: &ModuleEnv,
        work: &mut Work,
        verify: bool,
        mut listing: Option<&mut Listing>,
    ) -> Result<CompiledFunction, Error> {
        let facts =
            lower::lower::<X64>(&mut source, env, &mut self.code, &mut self.selection, work)?;
        let func = source.func();
        if let Some(listing) = &mut listing {
            (listing.selected, listing.selected_from) =
                print::vcode_with_offsets::<X64>(&self.code, None);
        }
        let registers = X64::reg_env(env.metered);
        let allocation = self.allocator.run(&self.code, &registers, work)?;
        #[cfg(test)]
        let allocation = &tests::damaged(allocation);
        if let Some(listing) = &mut listing {
            (listing.allocated, listing.allocated_from) =
                print::vcode_with_offsets::<X64>(&self.code, Some(allocation));
        }
        if verify {
            regalloc::checker::check(&self.code, allocation, &registers).map_err(Error::Bug)?;
        }
        let input = EmitInput { func, env, code: &self.code, allocation, facts };
        let mut compiled = X64::emit(&mut self.emitter, &input, work)?;
        compiled.rests = source.rests();
        if let Some(listing) = &mut listing {
            listing.machine = X64::disassemble(&compiled);
        }
        self.bytes = self.code.bytes() + self.selection.bytes() + self.allocator.bytes();
        // The code of a large function is copied next.
        self.code.release();
        self.allocator.release();
        Ok(compiled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::regalloc::Allocation;
    use runwell_abi::{Arch, Features, Target, VmctxCounts, VmctxLayout};
    use std::cell::Cell;

    thread_local! {
        /// What the allocator is made to do wrong on this thread.
        static DAMAGE: Cell<Option<fn(&mut Allocation)>> = const { Cell::new(None) };
    }

    pub(super) fn damaged(allocation: &Allocation) -> Allocation {
        let mut allocation = allocation.clone();
        if let Some(damage) = DAMAGE.get() {
            damage(&mut allocation);
        }
        allocation
    }

    #[test]
    fn a_broken_allocation_is_a_bug_that_verification_finds() {
        let text = "func 0 sig0 (i32, i32) -> (i32) {\nb0:\n  v0: i32 = param\n  \
                    v1: i32 = param\n  v2: i32 = mul.i32 v0, v1\n  v3: i32 = sub.i32 v2, v1\n  \
                    return v3\n}";
        let func = runwell_ir::parse::function(text).unwrap();
        let env = ModuleEnv {
            target: Target { arch: Arch::X64, features: Features::default() },
            layout: VmctxLayout::new(VmctxCounts::default()),
            memories: Vec::new(),
            tables: Vec::new(),
            imported_funcs: 0,
            escaped: vec![u32::MAX],
            metered: false,
            raw_nans: false,
            tail_calls_leave: false,
        };
        let mut codegen = Codegen::new();
        let mut compile = |verify| codegen.compile(&func, &env, &mut Work::new(), verify);
        let right = compile(true).unwrap();
        // Both arguments in one register.
        DAMAGE.set(Some(|allocation| {
            let first = allocation.locs[0];
            allocation.locs.fill(first);
        }));
        let (found, unchecked) = (compile(true), compile(false));
        DAMAGE.set(None);
        assert!(matches!(found, Err(Error::Bug(_))), "{found:?}");
        assert_ne!(unchecked.unwrap().code, right.code);
        assert_eq!(compile(true).unwrap(), right);
    }
}
