//! The machine instructions that selection makes, and how they are packed into [`VInst`](crate::vcode::VInst).
//!
//! Most are one x86 instruction; those whose meaning needs several (a remainder, a
//! conversion with its range check, a call that changes contexts) are expanded by emission, so that
//! no block has to be split for them.
//!
//! `VInst::aux` is a bit field, see [`Aux`]. The registers of a memory operand come last in the
//! operand list, base before index. `imm` and `disp` hold what their names say, or the two halves of
//! a 64-bit constant.

use crate::vcode::VReg;
use runwell_abi::Type;
use runwell_abi::call::{NARROW_PARAMS, SpreadCode};

macro_rules! mops {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {
        /// A machine operation.
        #[derive(Copy, Clone, PartialEq, Eq, Debug)]
        #[repr(u16)]
        pub enum MOp { $($(#[$doc])* $name),* }

        impl MOp {
            /// All operations, by number.
            pub const ALL: &'static [MOp] = &[$(MOp::$name),*];

            /// The operation with this number.
            #[inline]
            pub fn from_u16(op: u16) -> MOp {
                Self::ALL[usize::from(op)]
            }
        }
    };
}

mops! {
    /// Start of the function: defines the arguments that come in registers.
    Args,
    /// `def = imm:disp`; may destroy the flags.
    MovImm,
    /// `def = kind(rm)`: register move, load, extension. Kind: [`MovKind`].
    MovX,
    /// `mem = reg` or `mem = imm`. Kind: [`MovKind`].
    Store,
    /// `def = a op rm|imm`, def in a's register. Kind: [`AluKind`].
    Alu,
    /// `def = a + b|imm`, in any register.
    Add3,
    /// `mem op= reg|imm`. Kind: [`AluKind`].
    AluMem,
    /// Flags of `a - rm|imm`.
    Cmp,
    /// Flags of `mem - reg|imm`.
    CmpMem,
    /// Flags of `a & b|imm`.
    Test,
    /// Flags of `mem & imm`.
    TestMem,
    /// Carry = bit `b` of `a`.
    Bt,
    /// `def = a * rm`, def in a's register.
    Imul,
    /// `def = rm * imm`.
    ImulImm,
    /// `rax, rdx = rax * rm`; kind 1 if signed.
    MulWide,
    /// Division that traps: `rax, rdx = rax / late`. Kind: `DIV_*` bits.
    Div,
    /// `def = a shift cl|imm`, def in a's register. Kind: [`ShiftKind`].
    Shift,
    /// `def = rm shift reg`, flags kept. Kind: [`ShiftKind`].
    Shift3,
    /// `def = rm rotated right by imm`, flags kept.
    Rorx,
    /// `def = -a`, def in a's register.
    Neg,
    /// `def = !a`, def in a's register.
    Not,
    /// Bit counts. Kind: [`BitKind`].
    Bits,
    /// `def = address`.
    Lea,
    /// `def = cc`.
    SetCc,
    /// `def = cc ? rm : a`, def in a's register.
    Cmov,
    /// `def = cc ? a : b`, both vectors, def in a's register.
    FSelect,
    /// `def = 0`, a vector.
    FZero,
    /// `def = a op rm`, vectors, def in a's register. Kind: [`FKind`].
    FAlu,
    /// `def = a op rm`, vectors. Kind: [`FKind`]. Needs AVX.
    FAlu3,
    /// `def = sqrt(rm)`.
    FSqrt,
    /// `def = round(rm)`. Kind: the mode.
    FRound,
    /// Flags of `ucomis a, rm`.
    FCmp,
    /// `def = min or max`, def in a's register, b late. Kind: 0 min, 1 max.
    FMinMax,
    /// `def = a with the sign of b`, def in a's register, b late.
    FCopysign,
    /// `def = a, NaN made canonical`, def in a's register.
    FCanon,
    /// `def = a, NaN made canonical`, without a branch; b, if there, holds the canonical one. Kind 0 needs
    /// AVX, kind 1 AVX512DQ.
    FCanon3,
    /// `address = a, NaN made canonical`. Kind: [`MovKind`], of a float. What was stored is looked at by
    /// `rorx`, which is BMI2, if `imm` is 31, else 0.
    StoreCanon,
    /// `def = float of rm`, an integer of size `kind` (2 or 3); size is the float's.
    CvtInt,
    /// `def = float of a`, an unsigned 64-bit integer; size is the float's.
    CvtU64,
    /// `def = integer of a`; size is the float's. Kind: `TRUNC_*` bits.
    Trunc,
    /// `def = f32 of rm`, a double.
    Demote,
    /// `def = f64 of rm`, a single.
    Promote,
    /// Vector register to general-purpose register.
    MovFromF,
    /// General-purpose register to vector register.
    MovToF,
    /// Trap with the kind as code, if cc.
    TrapCc,
    /// Charges `imm` units of fuel.
    Fuel,
    /// Gives back `imm` units of fuel.
    FuelBack,
    /// Charges `a` shifted right by `imm` units of fuel.
    FuelFor,
    /// `def = a != 0 ? home disp : the home behind it`. Kind: [`MovKind`].
    HomeSelect,
    /// Copies `count` homes from home `disp` on down to those from `imm` on.
    HomeMove,
    /// Copies the `count` homes below the one whose number is in rsi down to those from `imm` on.
    HomeShift,
    /// Copies `count` homes from `disp` on to the transfer buffer.
    HomePass,
    /// Copies the transfer buffer to `count` homes from `disp` on.
    HomeTake,
    /// Go to the edge.
    Jmp,
    /// Go to edge 0 if cc, else to edge 1.
    Jcc,
    /// Branch by a chain of comparisons; the `disp` entries begin at `imm` in the function's pool.
    Switch,
    /// `def = address of the entry of the table`; entries as for [`MOp::Switch`].
    TableAddr,
    /// Go to an address that [`MOp::TableAddr`] made; `imm` as there.
    JmpTable,
    /// Return.
    Ret,
    /// Trap with the kind as code.
    Ud2,
    /// `def = the function in element a|disp|mem of a table`, if there is one and it has type `imm`; size is
    /// the index's.
    Callee,
    /// Call of a function of the module; `imm` is its index.
    Call,
    /// Call through the record in rax, of another instance.
    CallImport,
    /// Call through the record in rax, probably of the same instance.
    CallRef,
    /// Call of the runtime; `imm` is the helper.
    CallLib,
    /// Tail call of a function of the module; `imm` is its index.
    TailCall,
    /// Tail call through the record in rax.
    TailRef,
}

/// The divisor may be zero.
pub const DIV_ZERO: u32 = 1;
/// The quotient may overflow (of a remainder this is avoided).
pub const DIV_OVERFLOW: u32 = 2;
/// A signed division.
pub const DIV_SIGNED: u32 = 4;
/// The remainder is wanted.
pub const DIV_REM: u32 = 8;

/// A signed conversion.
pub const TRUNC_SIGNED: u32 = 1;
/// To 64 bits.
pub const TRUNC_64: u32 = 2;
/// Saturating instead of trapping.
pub const TRUNC_SAT: u32 = 4;

/// Moves, loads, stores and extensions.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum MovKind {
    /// 8 bits, zero-extended.
    U8,
    /// 8 bits, sign-extended to 32.
    S8,
    /// 8 bits, sign-extended to 64.
    S8Q,
    /// 16 bits, zero-extended.
    U16,
    /// 16 bits, sign-extended to 32.
    S16,
    /// 16 bits, sign-extended to 64.
    S16Q,
    /// 32 bits, zero-extended.
    L,
    /// 32 bits, sign-extended to 64.
    S32Q,
    /// 64 bits.
    Q,
    /// Single.
    F32,
    /// Double.
    F64,
    /// Whole vector.
    V128,
}

impl MovKind {
    const ALL: [MovKind; 12] = [
        MovKind::U8,
        MovKind::S8,
        MovKind::S8Q,
        MovKind::U16,
        MovKind::S16,
        MovKind::S16Q,
        MovKind::L,
        MovKind::S32Q,
        MovKind::Q,
        MovKind::F32,
        MovKind::F64,
        MovKind::V128,
    ];

    /// The kind with this number.
    pub fn from_u32(kind: u32) -> MovKind {
        Self::ALL[kind as usize]
    }
}

/// Two-operand integer operations, by their number in the instruction set.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum AluKind {
    /// Addition.
    Add = 0,
    /// Bitwise or.
    Or = 1,
    /// Bitwise and.
    And = 4,
    /// Subtraction.
    Sub = 5,
    /// Bitwise exclusive or.
    Xor = 6,
}

/// Shifts and rotations, by their number in the instruction set.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum ShiftKind {
    /// Rotate left.
    Rol = 0,
    /// Rotate right.
    Ror = 1,
    /// Shift left.
    Shl = 4,
    /// Logical shift right.
    Shr = 5,
    /// Arithmetic shift right.
    Sar = 7,
}

/// Bit counts.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum BitKind {
    /// Leading zeros.
    Lzcnt,
    /// Trailing zeros.
    Tzcnt,
    /// Ones.
    Popcnt,
    /// Leading zeros without the instruction for it.
    Bsr,
    /// Trailing zeros without the instruction for it.
    Bsf,
}

/// Vector operations with two operands.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum FKind {
    /// Addition.
    Add,
    /// Subtraction.
    Sub,
    /// Multiplication.
    Mul,
    /// Division.
    Div,
    /// Bitwise and.
    And,
    /// Bitwise exclusive or.
    Xor,
}

/// Where a memory operand starts.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Base {
    /// At zero.
    None,
    /// A register.
    Reg(VReg),
    /// The instance context.
    Vmctx,
    /// Memory 0.
    Memory,
    /// The 4-byte constant in `imm`.
    Pool4,
    /// The 8-byte constant in `disp:imm`.
    Pool8,
    /// The 16-byte constant both halves of which are `disp:imm`.
    Pool16,
    /// Frame slot `disp`, or the home that is numbered on from the last slot.
    Slot,
}

impl Base {
    /// The number in [`Aux`].
    pub const fn number(self) -> u32 {
        match self {
            Base::None => 0,
            Base::Reg(_) => 1,
            Base::Vmctx => 2,
            Base::Memory => 3,
            Base::Pool4 => 4,
            Base::Pool8 => 5,
            Base::Pool16 => 6,
            Base::Slot => 7,
        }
    }
}

/// A memory operand during selection.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Amode {
    /// Where it starts.
    pub base: Base,
    /// An index, multiplied by 2^scale.
    pub index: Option<(VReg, u8)>,
    /// Displacement.
    pub disp: i32,
    /// True if the access may lie outside of the memory.
    pub traps: bool,
    /// Low half of a pool constant.
    pub low: i32,
}

impl Amode {
    /// An address relative to the instance context.
    pub const fn vmctx(offset: u32) -> Amode {
        Amode { base: Base::Vmctx, index: None, disp: offset as i32, traps: false, low: 0 }
    }

    /// An address relative to a register.
    pub const fn reg(base: VReg, disp: i32) -> Amode {
        Amode { base: Base::Reg(base), index: None, disp, traps: false, low: 0 }
    }
}

/// Where the last operand comes from.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Src {
    /// A register or spill slot.
    Reg = 0,
    /// `imm`.
    Imm = 1,
    /// The memory operand.
    Mem = 2,
}

/// Condition codes: the 16 of the instruction set, then two that need two flags.
pub mod cc {
    /// Overflow.
    pub const O: u32 = 0;
    /// Below.
    pub const B: u32 = 2;
    /// Above or equal.
    pub const AE: u32 = 3;
    /// Equal.
    pub const E: u32 = 4;
    /// Not equal.
    pub const NE: u32 = 5;
    /// Below or equal.
    pub const BE: u32 = 6;
    /// Above.
    pub const A: u32 = 7;
    /// Negative.
    pub const S: u32 = 8;
    /// Not negative.
    pub const NS: u32 = 9;
    /// Unordered.
    pub const P: u32 = 10;
    /// Ordered.
    pub const NP: u32 = 11;
    /// Less.
    pub const L: u32 = 12;
    /// Greater or equal.
    pub const GE: u32 = 13;
    /// Less or equal.
    pub const LE: u32 = 14;
    /// Greater.
    pub const G: u32 = 15;
    /// Floats: ordered and equal.
    pub const FEQ: u32 = 16;
    /// Floats: unordered or not equal.
    pub const FNE: u32 = 17;

    /// The opposite condition.
    pub const fn invert(cc: u32) -> u32 {
        cc ^ 1
    }

    /// The condition after the compared integers have changed places.
    pub const fn swap(cc: u32) -> u32 {
        match cc {
            B => A,
            A => B,
            AE => BE,
            BE => AE,
            L => G,
            G => L,
            LE => GE,
            GE => LE,
            other => other,
        }
    }
}

/// The fields of `VInst::aux`.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default)]
pub struct Aux(pub u32);

macro_rules! fields {
    ($($(#[$doc:meta])* $get:ident $with:ident $at:literal $bits:literal;)*) => {
        impl Aux {
            $(
                $(#[$doc])*
                #[inline]
                pub const fn $get(self) -> u32 {
                    self.0 >> $at & ((1 << $bits) - 1)
                }

                /// Sets the field of this name.
                #[inline]
                #[must_use]
                pub const fn $with(self, value: u32) -> Aux {
                    Aux(self.0 & !(((1 << $bits) - 1) << $at) | value << $at)
                }
            )*
        }
    };
}

fields! {
    /// Operand size: 0 to 3 for 8 to 64 bits.
    size with_size 0 2;
    /// [`Src`] as number.
    src with_src 2 2;
    /// [`Base::number`].
    base with_base 4 3;
    /// 1 if there is an index register.
    index with_index 7 1;
    /// log2 of the index's factor.
    scale with_scale 8 2;
    /// Condition, see [`cc`].
    cc with_cc 10 5;
    /// What the operation says.
    kind with_kind 15 8;
    /// How many homes are copied.
    count with_count 15 10;
    /// Calls that load their arguments from homes, number `disp` on: [`spread_types`], else 0.
    spread with_spread 15 17;
    /// Which table.
    table with_table 15 16;
    /// 1 if the memory access may trap.
    traps with_traps 23 1;
    /// 1 if only the zero flag of the result is looked at.
    zero_only with_zero_only 24 1;
    /// 1 if short code matters more than a jump on the usual way.
    compact with_compact 25 1;
    /// 1 if the left operand is no register but the memory operand, which is loaded into the register of the
    /// result first.
    left with_left 26 1;
}

/// Types of arguments as a number that is not zero.
pub fn spread_types(types: &[Type]) -> u32 {
    let number = |ty: Type| match ty {
        Type::I32 => 0,
        _ if ty.is_int_class() => 1,
        _ => 2,
    };
    types.iter().rev().fold(1, |code, &ty| code << 2 | number(ty))
}

/// What the runtime's stub has to know to load arguments of these types, see [`spread_types`].
pub fn spread_code(mut types: u32) -> SpreadCode {
    const TYPES: [Type; 3] = [Type::I32, Type::I64, Type::F64];
    let mut list = [Type::I32; NARROW_PARAMS];
    let mut len = 0;
    while types > 1 && len < NARROW_PARAMS {
        list[len] = TYPES[(types & 3) as usize % TYPES.len()];
        types >>= 2;
        len += 1;
    }
    SpreadCode::new(&list[..len])
}

impl Aux {
    /// An operand size and nothing else.
    pub const fn sized(size: u32) -> Aux {
        Aux(size)
    }

    /// With the source.
    #[must_use]
    pub const fn from(self, src: Src) -> Aux {
        self.with_src(src as u32)
    }

    /// With the memory operand.
    #[must_use]
    pub const fn mem(self, amode: &Amode) -> Aux {
        let aux = self.with_base(amode.base.number()).with_traps(amode.traps as u32);
        match amode.index {
            Some((_, scale)) => aux.with_index(1).with_scale(scale as u32),
            None => aux,
        }
    }
}
