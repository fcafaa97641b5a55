//! Machine instructions over virtual registers: what selection makes and allocation reads.
//!
//! VCode is SSA: each [`VReg`] has one definition, an operand of an instruction or a block
//! parameter. Blocks are those of the IR function, in the same order (dominance-compatible, loops
//! contiguous). Selection never mutates it afterwards; allocation yields a separate value
//! ([`crate::regalloc::Allocation`]) that emission reads beside it.
//!
//! # What the allocator may assume and must keep
//!
//! - *Positions.* Within an instruction, uses are read before definitions are written, unless a
//!   use says [`Operand::is_late`]: then it must not share a register with any definition.
//!   Definitions never share a register with each other.
//! - *Constraints* ([`Constraint`]): `Reg`, `Any` (uses only: a register, or the spill slot as a
//!   memory operand), `Fixed(p)`, `Reuse(i)` (a definition in the same register as use operand `i`
//!   of the instruction; the operand is `Reg`). If the value of operand `i` lives on, the allocator
//!   copies it first. At most one operand of an instruction is `Any`.
//! - *Clobbers.* [`VInst::clobbers`] names registers that the instruction destroys besides its
//!   definitions: no value may live in them across it. A use may be read from one.
//! - *Dead definitions* are allowed and need a register all the same (temporaries are such).
//! - *Flags.* Between any two instructions the allocator may insert moves, loads and stores; they
//!   must not change flags.
//! - The reserved registers of `abi::call` (vmctx, memory base, both scratch registers, rsp) are
//!   never allocated. Scratch registers may be used by inserted moves (memory to memory, cycles)
//!   and inside the emission of one instruction, never across instructions.
//! - *Edges.* A terminator's edges carry arguments to the target's parameters. Moves on an edge are
//!   a parallel move. They are reported per edge; emission decides where to put them (before a
//!   jump, or in a block of their own on a critical edge).

use core::fmt;
use runwell_abi::Type;
use runwell_ir::entity::{Block, LoopId};
use runwell_ir::scratch;

/// A virtual register.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VReg(pub u32);

impl VReg {
    /// No register.
    pub const NONE: VReg = VReg(u32::MAX);

    /// The index as `usize`.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

impl fmt::Debug for VReg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "%{}", self.0)
    }
}

/// The register file a value lives in.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum RegClass {
    /// General-purpose registers.
    Int = 0,
    /// Vector registers.
    Float = 1,
}

impl RegClass {
    /// The class of values of type `ty`.
    pub const fn of(ty: Type) -> RegClass {
        if ty.is_int_class() { RegClass::Int } else { RegClass::Float }
    }
}

/// A physical register: 0..16 the general-purpose ones by hardware number, 16..32 the vector ones.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PReg(pub u8);

impl PReg {
    /// No register.
    pub const NONE: PReg = PReg(255);

    /// The general-purpose register with hardware number `n`.
    pub const fn int(n: u8) -> PReg {
        PReg(n)
    }

    /// The vector register with number `n`.
    pub const fn float(n: u8) -> PReg {
        PReg(16 + n)
    }

    /// Its register file.
    pub const fn class(self) -> RegClass {
        if self.0 < 16 { RegClass::Int } else { RegClass::Float }
    }

    /// Its hardware number within its class.
    pub const fn hw(self) -> u8 {
        self.0 & 15
    }

    /// Its index, 0..32.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

impl fmt::Debug for PReg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const INT: [&str; 16] = [
            "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11",
            "r12", "r13", "r14", "r15",
        ];
        match self.class() {
            _ if self.0 >= 32 => f.write_str("?"),
            RegClass::Int => f.write_str(INT[self.index()]),
            RegClass::Float => write!(f, "xmm{}", self.hw()),
        }
    }
}

/// A set of physical registers, bit `PReg::index()` each.
#[derive(Copy, Clone, PartialEq, Eq, Default)]
pub struct RegSet(pub u32);

impl RegSet {
    /// No registers.
    pub const EMPTY: RegSet = RegSet(0);

    /// True if `reg` is in the set.
    pub const fn has(self, reg: PReg) -> bool {
        self.0 >> reg.0 & 1 != 0
    }

    /// The set with `reg`.
    #[must_use]
    pub const fn with(self, reg: PReg) -> RegSet {
        RegSet(self.0 | 1 << reg.0)
    }

    /// The set without `reg`.
    #[must_use]
    pub const fn without(self, reg: PReg) -> RegSet {
        RegSet(self.0 & !(1 << reg.0))
    }

    /// Its registers in ascending order.
    pub fn iter(self) -> impl Iterator<Item = PReg> {
        let mut bits = self.0;
        core::iter::from_fn(move || {
            (bits != 0).then(|| {
                let reg = bits.trailing_zeros();
                bits &= bits - 1;
                PReg(reg as u8)
            })
        })
    }
}

impl fmt::Debug for RegSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

/// Where an operand has to be.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Constraint {
    /// A register or a spill slot. Uses only.
    Any,
    /// A register.
    Reg,
    /// This register.
    Fixed(PReg),
    /// The register of the instruction's operand with this number, a use. Definitions only.
    Reuse(u8),
}

/// One operand of an instruction, 8 bytes: the register, whether it is a definition, its
/// constraint.
#[derive(Copy, Clone, PartialEq, Eq)]
pub struct Operand {
    /// The virtual register.
    pub vreg: VReg,
    // kind (2 bits: any, reg, fixed, reuse) | def << 2 | late << 3
    bits: u8,
    arg: u8,
}

impl Operand {
    const DEF: u8 = 4;
    const LATE: u8 = 8;

    const fn make(vreg: VReg, constraint: Constraint, flags: u8) -> Operand {
        let (kind, arg) = match constraint {
            Constraint::Any => (0, 0),
            Constraint::Reg => (1, 0),
            Constraint::Fixed(reg) => (2, reg.0),
            Constraint::Reuse(index) => (3, index),
        };
        Operand { vreg, bits: kind | flags, arg }
    }

    /// A use, read before definitions are written.
    pub const fn used(vreg: VReg, constraint: Constraint) -> Operand {
        Self::make(vreg, constraint, 0)
    }

    /// A use that must not share a register with a definition of the instruction.
    pub const fn used_late(vreg: VReg, constraint: Constraint) -> Operand {
        Self::make(vreg, constraint, Self::LATE)
    }

    /// A definition.
    pub const fn def(vreg: VReg, constraint: Constraint) -> Operand {
        Self::make(vreg, constraint, Self::DEF)
    }

    /// True for a definition.
    pub const fn is_def(self) -> bool {
        self.bits & Self::DEF != 0
    }

    /// True for a use that outlives the instruction's definitions.
    pub const fn is_late(self) -> bool {
        self.bits & Self::LATE != 0
    }

    /// Where it has to be.
    pub const fn constraint(self) -> Constraint {
        match self.bits & 3 {
            0 => Constraint::Any,
            1 => Constraint::Reg,
            2 => Constraint::Fixed(PReg(self.arg)),
            _ => Constraint::Reuse(self.arg),
        }
    }
}

impl fmt::Debug for Operand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.is_def() { "def" } else { "use" };
        let late = if self.is_late() { " late" } else { "" };
        write!(f, "{kind}{late} {:?} {:?}", self.vreg, self.constraint())
    }
}

/// One machine instruction.
///
/// `op`, `aux`, `imm` and `disp` belong to the architecture; the allocator reads only the operands,
/// `clobbers` and the flags.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct VInst {
    /// Architecture-specific operation.
    pub op: u16,
    /// Number of operands, definitions first.
    pub operands: u8,
    /// Index into [`VCode::clobber_sets`].
    pub clobbers: u8,
    /// Start of the operands in [`VCode::operands`].
    pub first: u32,
    /// Architecture-specific: condition, size, scale.
    pub aux: u32,
    /// Architecture-specific: immediate.
    pub imm: i32,
    /// Architecture-specific: displacement.
    pub disp: i32,
    /// Wasm byte offset.
    pub src: u32,
}

/// One virtual register's facts.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct VRegData {
    /// Its type; the class follows from it.
    pub ty: Type,
    /// A register that would save a move (a block parameter of the entry, a call argument), or
    /// [`PReg::NONE`].
    pub hint: PReg,
}

/// A block of machine instructions.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default)]
pub struct VBlock {
    /// Its instructions `first..end`; the last one is the terminator.
    pub first: u32,
    /// After its last instruction.
    pub end: u32,
    /// Its parameters `params_first..params_end` in [`VCode::params`].
    pub params_first: u32,
    /// After its last parameter.
    pub params_end: u32,
    /// Its outgoing edges `edges_first..edges_end` in [`VCode::edges`].
    pub edges_first: u32,
    /// After its last outgoing edge.
    pub edges_end: u32,
    /// Innermost loop.
    pub loop_id: LoopId,
    /// True if rarely executed.
    pub cold: bool,
}

/// An edge.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct VEdge {
    /// Where it goes.
    pub target: Block,
    /// Arguments `first..end` in [`VCode::args`], one per parameter of the target.
    pub first: u32,
    /// After the last argument.
    pub end: u32,
}

/// A loop, `header..end` in block numbers.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct VLoop {
    /// Its first block.
    pub header: Block,
    /// The block after its last one.
    pub end: Block,
    /// The loop around it.
    pub parent: LoopId,
    /// Nesting depth, from 1.
    pub depth: u8,
    /// True if it contains an instruction with clobbers (a call).
    pub has_call: bool,
}

/// A function as machine instructions.
///
/// The entry's parameters are defined by instructions with `Fixed` definitions at its start, so
/// block 0 has no parameters here.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct VCode {
    /// Instructions in order.
    pub insts: Vec<VInst>,
    /// Operand lists.
    pub operands: Vec<Operand>,
    /// Distinct sets of clobbered registers; number 0 is empty.
    pub clobber_sets: Vec<RegSet>,
    /// Virtual registers.
    pub vregs: Vec<VRegData>,
    /// Blocks in order.
    pub blocks: Vec<VBlock>,
    /// Edges.
    pub edges: Vec<VEdge>,
    /// Block parameters.
    pub params: Vec<VReg>,
    /// Edge arguments.
    pub args: Vec<VReg>,
    /// Loops, outer ones first.
    pub loops: Vec<VLoop>,
}

impl VCode {
    /// Bytes of its data.
    pub fn bytes(&self) -> usize {
        size_of_val(&*self.insts)
            + size_of_val(&*self.operands)
            + size_of_val(&*self.vregs)
            + size_of_val(&*self.blocks)
            + size_of_val(&*self.edges)
            + size_of_val(&*self.params)
            + size_of_val(&*self.args)
            + size_of_val(&*self.loops)
    }

    /// Gives back memory that it has no use for, when it is complete and large.
    pub(crate) fn trim(&mut self) {
        scratch::trim(&mut self.insts);
        scratch::trim(&mut self.operands);
        scratch::trim(&mut self.vregs);
        scratch::trim(&mut self.edges);
        scratch::trim(&mut self.params);
        scratch::trim(&mut self.args);
    }

    /// Empties it, when nobody will look at it any more, and gives back what is large.
    pub(crate) fn release(&mut self) {
        scratch::release(&mut self.insts);
        scratch::release(&mut self.operands);
        scratch::release(&mut self.vregs);
        scratch::release(&mut self.blocks);
        scratch::release(&mut self.edges);
        scratch::release(&mut self.params);
        scratch::release(&mut self.args);
        self.clear();
    }

    /// Empties it, keeping its allocations.
    pub fn clear(&mut self) {
        self.insts.clear();
        self.operands.clear();
        self.clobber_sets.clear();
        self.vregs.clear();
        self.blocks.clear();
        self.edges.clear();
        self.params.clear();
        self.args.clear();
        self.loops.clear();
    }

    /// The operands of an instruction, definitions first.
    #[inline]
    pub fn operands(&self, inst: &VInst) -> &[Operand] {
        let first = inst.first as usize;
        &self.operands[first..first + usize::from(inst.operands)]
    }

    /// The registers an instruction destroys.
    #[inline]
    pub fn clobbers(&self, inst: &VInst) -> RegSet {
        self.clobber_sets[usize::from(inst.clobbers)]
    }

    /// The parameters of a block.
    pub fn params(&self, block: Block) -> &[VReg] {
        let data = &self.blocks[block.index()];
        &self.params[data.params_first as usize..data.params_end as usize]
    }

    /// The outgoing edges of a block.
    pub fn edges(&self, block: Block) -> &[VEdge] {
        let data = &self.blocks[block.index()];
        &self.edges[data.edges_first as usize..data.edges_end as usize]
    }

    /// The arguments of an edge.
    pub fn edge_args(&self, edge: &VEdge) -> &[VReg] {
        &self.args[edge.first as usize..edge.end as usize]
    }

    /// The class of a virtual register.
    #[inline]
    pub fn class(&self, vreg: VReg) -> RegClass {
        RegClass::of(self.vregs[vreg.index()].ty)
    }
}
