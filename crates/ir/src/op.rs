//! The op table: everything that is known of an operation, in one place.
//!
//! Printer, parser, verifier, evaluator and value numbering read this table; none keeps a list of
//! its own. `Inst::ty` is the *controlling type* of an operation, the column "ty" says of what.

use runwell_abi::Type;

/// Which fields of an instruction are in use, and how.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Shape {
    /// No operands; `ty` is the result type. `c` is an immediate where the op has one.
    Nullary,
    /// `a` is a value.
    Unary,
    /// `a` and `b` are values.
    Binary,
    /// `a`, `b`, `c` are values: condition, value if non-zero, value if zero.
    Select,
    /// `a` is an address, `c` a static offset, `aux` a memory index.
    Load,
    /// `a` is an address, `b` a value, `c` a static offset, `aux` a memory index.
    Store,
    /// `a..a+b` in the pool is a signature, then arguments.
    Call,
    /// `a..a+b` in the pool are arguments, `aux` is a [`runwell_abi::LibCall`].
    LibCall,
    /// `a` is the call, `aux` the number of the result.
    CallResult,
    /// `a` is an edge.
    Jump,
    /// `a` is a condition, `b` the edge if non-zero, `c` the edge if zero.
    BrIf,
    /// `a` is an index, `b..b+c` in the pool: number of distinct edges, the distinct edges, then one
    /// index into them per table entry, the default last.
    BrTable,
    /// `a..a+b` in the pool are values.
    Return,
    /// `aux` is a trap code.
    Trap,
}

/// What the result's type is.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum ResultType {
    /// Nothing is made.
    None,
    /// `Inst::ty`.
    Ty,
    /// `I32`, whatever `Inst::ty` is.
    I32,
    /// `Inst::ty` is the first result of the call; calls without results have `Inst::has_result`
    /// false.
    Call,
}

/// What an operation does besides making its result.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Effect {
    /// Nothing: may be removed, repeated and moved freely.
    Pure,
    /// Pure but for a trap: may be removed only if it cannot trap, merged with a dominating equal.
    Trap,
    /// Reads memory, a table, a global or a slot; loads and table reads may trap as well.
    Read,
    /// Writes memory, a table, a global or a slot, or calls: stays where it is.
    Write,
    /// Ends a block.
    Terminator,
    /// A pseudo-instruction bound to its position.
    Pinned,
}

/// One row of the table.
#[derive(Copy, Clone, Debug)]
pub struct OpInfo {
    /// The operation.
    pub op: Op,
    /// Its name in the text form.
    pub name: &'static str,
    /// How its fields are used.
    pub shape: Shape,
    /// What it makes.
    pub result: ResultType,
    /// What it does.
    pub effect: Effect,
    /// True if the operands of a binary operation may change places.
    pub commutative: bool,
}

const fn comm(_: &str) -> bool {
    true
}

macro_rules! ops {
    ($($(#[$doc:meta])* $name:ident $text:literal $shape:ident $result:ident $effect:ident $($comm:ident)?;)*) => {
        /// An operation.
        #[derive(Copy, Clone, PartialEq, Eq, Debug, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum Op { $($(#[$doc])* $name),* }

        /// The table, indexed by operation.
        pub static OPS: &[OpInfo] = &[$(OpInfo {
            op: Op::$name,
            name: $text,
            shape: Shape::$shape,
            result: ResultType::$result,
            effect: Effect::$effect,
            commutative: false $(|| comm(stringify!($comm)))?,
        }),*];
    };
}

ops! {
    /// A removed instruction.
    Nop "nop" Nullary None Pinned;
    /// A parameter of the block it is in; of the entry, parameter `c` of the function.
    Param "param" Nullary Ty Pinned;
    /// Result `aux` (1 or more) of call `a`; directly after it, in order.
    CallResult "result" CallResult Ty Pinned;
    /// The same value as `a`. Left behind where a parameter turned out to be redundant; no operand
    /// names one in a finished function.
    Copy "copy" Unary Ty Pinned;

    /// Integer addition.
    Add "add" Binary Ty Pure COMM;
    /// Integer subtraction.
    Sub "sub" Binary Ty Pure;
    /// Integer multiplication.
    Mul "mul" Binary Ty Pure COMM;
    /// High half of the signed 2n-bit product.
    MulHiS "mulhi_s" Binary Ty Pure COMM;
    /// High half of the unsigned 2n-bit product.
    MulHiU "mulhi_u" Binary Ty Pure COMM;
    /// Signed division; traps on zero and on overflow.
    DivS "div_s" Binary Ty Trap;
    /// Unsigned division; traps on zero.
    DivU "div_u" Binary Ty Trap;
    /// Signed remainder; traps on zero.
    RemS "rem_s" Binary Ty Trap;
    /// Unsigned remainder; traps on zero.
    RemU "rem_u" Binary Ty Trap;
    /// Bitwise and.
    And "and" Binary Ty Pure COMM;
    /// Bitwise or.
    Or "or" Binary Ty Pure COMM;
    /// Bitwise exclusive or.
    Xor "xor" Binary Ty Pure COMM;
    /// Shift left, the count modulo the width.
    Shl "shl" Binary Ty Pure;
    /// Arithmetic shift right, the count modulo the width.
    ShrS "shr_s" Binary Ty Pure;
    /// Logical shift right, the count modulo the width.
    ShrU "shr_u" Binary Ty Pure;
    /// Rotate left, the count modulo the width.
    Rotl "rotl" Binary Ty Pure;
    /// Rotate right, the count modulo the width.
    Rotr "rotr" Binary Ty Pure;
    /// Leading zeros.
    Clz "clz" Unary Ty Pure;
    /// Trailing zeros.
    Ctz "ctz" Unary Ty Pure;
    /// Number of ones.
    Popcnt "popcnt" Unary Ty Pure;
    /// Sign extension of the low 8 bits.
    Extend8S "extend8_s" Unary Ty Pure;
    /// Sign extension of the low 16 bits.
    Extend16S "extend16_s" Unary Ty Pure;
    /// Sign extension of the low 32 bits of an `I64`.
    Extend32S "extend32_s" Unary Ty Pure;

    /// 1 if `a` (of type `ty`, integer or reference) is zero or null.
    Eqz "eqz" Unary I32 Pure;
    /// Equal (`ty`: the operands' type, as for all comparisons).
    Eq "eq" Binary I32 Pure COMM;
    /// Not equal.
    Ne "ne" Binary I32 Pure COMM;
    /// Signed less than.
    LtS "lt_s" Binary I32 Pure;
    /// Unsigned less than.
    LtU "lt_u" Binary I32 Pure;
    /// Signed greater than.
    GtS "gt_s" Binary I32 Pure;
    /// Unsigned greater than.
    GtU "gt_u" Binary I32 Pure;
    /// Signed less or equal.
    LeS "le_s" Binary I32 Pure;
    /// Unsigned less or equal.
    LeU "le_u" Binary I32 Pure;
    /// Signed greater or equal.
    GeS "ge_s" Binary I32 Pure;
    /// Unsigned greater or equal.
    GeU "ge_u" Binary I32 Pure;

    /// Float addition.
    FAdd "fadd" Binary Ty Pure COMM;
    /// Float subtraction.
    FSub "fsub" Binary Ty Pure;
    /// Float multiplication.
    FMul "fmul" Binary Ty Pure COMM;
    /// Float division.
    FDiv "fdiv" Binary Ty Pure;
    /// Wasm minimum: NaN if either is, -0 below +0.
    FMin "fmin" Binary Ty Pure COMM;
    /// Wasm maximum: NaN if either is, +0 above -0.
    FMax "fmax" Binary Ty Pure COMM;
    /// `a` with the sign of `b`.
    FCopysign "fcopysign" Binary Ty Pure;
    /// Sign flipped, NaNs included.
    FNeg "fneg" Unary Ty Pure;
    /// Sign cleared, NaNs included.
    FAbs "fabs" Unary Ty Pure;
    /// Square root.
    FSqrt "fsqrt" Unary Ty Pure;
    /// Round up.
    FCeil "fceil" Unary Ty Pure;
    /// Round down.
    FFloor "ffloor" Unary Ty Pure;
    /// Round towards zero.
    FTrunc "ftrunc" Unary Ty Pure;
    /// Round to nearest, ties to even.
    FNearest "fnearest" Unary Ty Pure;
    /// Ordered and equal (`ty`: the operands' type).
    FEq "feq" Binary I32 Pure COMM;
    /// Unordered or not equal.
    FNe "fne" Binary I32 Pure COMM;
    /// Ordered and less.
    FLt "flt" Binary I32 Pure;
    /// Ordered and greater.
    FGt "fgt" Binary I32 Pure;
    /// Ordered and less or equal.
    FLe "fle" Binary I32 Pure;
    /// Ordered and greater or equal.
    FGe "fge" Binary I32 Pure;

    /// Low half of an `I64` as `I32` (`ty`: the result's type, as for all conversions).
    Wrap "wrap" Unary Ty Pure;
    /// Sign extension of an `I32` to `I64`.
    ExtendS "extend_s" Unary Ty Pure;
    /// Zero extension of an `I32` to `I64`.
    ExtendU "extend_u" Unary Ty Pure;
    /// Float to signed integer; traps on NaN and out of range.
    TruncS "trunc_s" Unary Ty Trap;
    /// Float to unsigned integer; traps on NaN and out of range.
    TruncU "trunc_u" Unary Ty Trap;
    /// Float to signed integer, saturating; NaN gives 0.
    TruncSatS "trunc_sat_s" Unary Ty Pure;
    /// Float to unsigned integer, saturating; NaN gives 0.
    TruncSatU "trunc_sat_u" Unary Ty Pure;
    /// Signed integer to float.
    ConvertS "convert_s" Unary Ty Pure;
    /// Unsigned integer to float.
    ConvertU "convert_u" Unary Ty Pure;
    /// `F64` to `F32`.
    Demote "demote" Unary Ty Pure;
    /// `F32` to `F64`.
    Promote "promote" Unary Ty Pure;
    /// The same bits as another type of the same size.
    Bitcast "bitcast" Unary Ty Pure;

    /// `b` if `a` is non-zero, else `c`.
    Select "select" Select Ty Pure;

    /// Memory load of a whole `ty`.
    Load "load" Load Ty Read;
    /// Load of 8 bits, sign-extended.
    Load8S "load8_s" Load Ty Read;
    /// Load of 8 bits, zero-extended.
    Load8U "load8_u" Load Ty Read;
    /// Load of 16 bits, sign-extended.
    Load16S "load16_s" Load Ty Read;
    /// Load of 16 bits, zero-extended.
    Load16U "load16_u" Load Ty Read;
    /// Load of 32 bits, sign-extended.
    Load32S "load32_s" Load Ty Read;
    /// Load of 32 bits, zero-extended.
    Load32U "load32_u" Load Ty Read;
    /// Memory store of a whole value (`ty`: the value's type, as for all stores).
    Store "store" Store None Write;
    /// Store of the low 8 bits.
    Store8 "store8" Store None Write;
    /// Store of the low 16 bits.
    Store16 "store16" Store None Write;
    /// Store of the low 32 bits.
    Store32 "store32" Store None Write;
    /// Size of memory `aux` in pages; `ty` is its index type.
    MemSize "mem_size" Nullary Ty Read;

    /// Value of global `c`.
    GlobalGet "global_get" Nullary Ty Read;
    /// Sets global `c` to `a`, a `ty`.
    GlobalSet "global_set" Unary None Write;
    /// Element `a` of table `aux`; `a` has the table's index type.
    TableGet "table_get" Unary Ty Read;
    /// Sets element `a` of table `aux` to `b`, a `ty`.
    TableSet "table_set" Binary None Write;
    /// Length of table `aux`; `ty` is its index type.
    TableSize "table_size" Nullary Ty Read;
    /// A reference to function `c`.
    RefFunc "ref_func" Nullary Ty Pure;
    /// Content of frame slot `c`; zero before the first store.
    SlotLoad "slot_load" Nullary Ty Read;
    /// Sets frame slot `c` to `a`, a `ty`.
    SlotStore "slot_store" Unary None Write;

    /// Content of home `c`, the cell of the operand at that height of the stack.
    HomeLoad "home_load" Nullary Ty Read;
    /// Content of home `c` if `a`, an `I32`, is non-zero, else of the home behind it.
    HomeSelect "home_select" Unary Ty Read;
    /// Sets home `c` to `a`, a `ty`.
    HomeStore "home_store" Unary None Write;
    /// Copies `aux` homes from `c` on to those from `a` on, which is below.
    HomeMove "home_move" Nullary None Write;
    /// Copies the `aux` homes below the one whose number is `a`, an `I32`, to those from `c` on, which is
    /// further down.
    HomeShift "home_shift" Unary None Write;
    /// Passes `aux` homes from `c` on to the call or return directly behind it: to the transfer buffer,
    /// or, to a call of narrow arguments, to where these travel.
    HomePass "home_pass" Nullary None Write;
    /// Copies the transfer buffer to `aux` homes from `c` on; directly after the call that left its
    /// results there.
    HomeTake "home_take" Nullary None Write;

    /// Traps with code `aux` if `a`, an `I32`, is non-zero.
    TrapIf "trap_if" Unary None Write;

    /// Charges `c` units of fuel.
    Fuel "fuel" Nullary None Write;
    /// Gives back `c` units of fuel that were charged for another way than the one taken.
    FuelBack "fuel_back" Nullary None Write;
    /// Charges `a`, an `I64`, shifted right by `c` bits, units of fuel.
    FuelFor "fuel_for" Unary None Write;

    /// Calls function `c`.
    Call "call" Call Call Write;
    /// Calls through element (first argument) of table `aux`, of type `c`.
    CallIndirect "call_indirect" Call Call Write;
    /// Calls the function reference in the first argument, of type `c`.
    CallRef "call_ref" Call Call Write;
    /// Calls a runtime helper.
    LibCall "libcall" LibCall Call Write;

    /// Goes to an edge.
    Jump "jump" Jump None Terminator;
    /// Goes to one of two edges.
    BrIf "br_if" BrIf None Terminator;
    /// Goes to an edge by index; an index out of range takes the last entry.
    BrTable "br_table" BrTable None Terminator;
    /// Returns values.
    Return "return" Return None Terminator;
    /// Replaces the frame by a call of function `c`.
    ReturnCall "return_call" Call None Terminator;
    /// Replaces the frame by a call through element (first argument) of table `aux`, of type `c`.
    ReturnCallIndirect "return_call_indirect" Call None Terminator;
    /// Replaces the frame by a call of the reference in the first argument, of type `c`.
    ReturnCallRef "return_call_ref" Call None Terminator;
    /// Traps with code `aux`.
    Trap "trap" Trap None Terminator;
}

impl Op {
    /// Its row of the table.
    #[inline]
    pub fn info(self) -> &'static OpInfo {
        &OPS[self as usize]
    }

    /// The operation called `name` in the text form.
    pub fn from_name(name: &str) -> Option<Op> {
        OPS.iter().find(|row| row.name == name).map(|row| row.op)
    }

    /// True if it ends a block.
    #[inline]
    pub fn is_terminator(self) -> bool {
        self as u8 >= Op::Jump as u8
    }

    /// True for integer comparisons, [`Op::Eqz`] included.
    pub fn is_int_compare(self) -> bool {
        (Op::Eqz as u8..=Op::GeU as u8).contains(&(self as u8))
    }

    /// True for float comparisons.
    pub fn is_float_compare(self) -> bool {
        (Op::FEq as u8..=Op::FGe as u8).contains(&(self as u8))
    }

    /// True for `call`, `call_indirect` and `call_ref`.
    pub fn is_call(self) -> bool {
        matches!(self, Op::Call | Op::CallIndirect | Op::CallRef)
    }

    /// True for the tail calls.
    pub fn is_return_call(self) -> bool {
        matches!(self, Op::ReturnCall | Op::ReturnCallIndirect | Op::ReturnCallRef)
    }

    /// Bytes a load or store accesses, of a value of type `ty`; 0 for all other operations.
    pub fn access_bytes(self, ty: Type) -> u32 {
        match self {
            Op::Load | Op::Store => ty.bytes(),
            Op::Load8S | Op::Load8U | Op::Store8 => 1,
            Op::Load16S | Op::Load16U | Op::Store16 => 2,
            Op::Load32S | Op::Load32U | Op::Store32 => 4,
            _ => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_is_in_order_and_names_are_unique() {
        for (index, row) in OPS.iter().enumerate() {
            assert_eq!(row.op as usize, index);
            assert_eq!(Op::from_name(row.name), Some(row.op), "{}", row.name);
            assert_eq!(row.op.is_terminator(), row.effect == Effect::Terminator);
        }
    }
}
