//! The list of all operators: what each one is translated by.
//!
//! The decoder calls one method per operator. For those of the implemented proposals the method
//! validates, then calls the verb of the same name from the list below, which dispatches to the
//! themed modules. For all others it validates, which fails because the proposal is off. The methods
//! are made from the decoder's own list, so an operator that is missing here does not compile.

use crate::body::Cx;
use crate::error::Result;
use crate::module::ModuleInfo;
use crate::section::heap_type;
use crate::validate::{Validator, off};
use runwell_abi::Type::{AnyRef, F32, F64, I32, I64};
use runwell_ir::Op::*;
use wasmparser as wp;
use wasmparser::{BlockType, BrTable, FrameKind, HeapType, Ieee32, Ieee64, MemArg, VisitOperator};

/// Validates and translates one operator.
pub(crate) struct Visitor<'v, 'm> {
    pub(crate) cx: &'v mut Cx,
    pub(crate) module: &'v ModuleInfo,
    /// Knows the byte offset of the operator.
    pub(crate) validator: &'v mut Validator<'m>,
    /// The body's operators, and where they start.
    pub(crate) code: &'v [u8],
    pub(crate) code_at: u32,
}

impl Visitor<'_, '_> {
    /// Tells the fuel plan that the operator has been reached.
    fn arrive(&mut self) {
        let at = self.validator.at as u32;
        let offset = at - self.code_at;
        let bytes = self.code.get(offset as usize..).unwrap_or_default();
        self.cx.arrive(at, offset, bytes);
    }
}

impl wp::FrameStack for Visitor<'_, '_> {
    fn current_frame(&self) -> Option<FrameKind> {
        self.validator.current_frame()
    }
}

/// True for the operators that are followed in unreachable code, too.
const fn is_structure(name: &str) -> bool {
    matches!(name.as_bytes(), b"Block" | b"Loop" | b"If" | b"Else" | b"End")
}

macro_rules! visit {
    (supported $op:ident $visit:ident ($($arg:ident: $ty:ty),*)) => {
        #[inline]
        fn $visit(&mut self $(, $arg: $ty)*) -> Result<()> {
            self.validator.$visit($($arg.clone()),*)?;
            self.cx.height = self.cx.height.max(self.validator.height());
            let metered = self.cx.scan.meter.is_on();
            if metered {
                self.arrive();
            }
            if self.cx.reachable || const { is_structure(stringify!($op)) } {
                self.cx.b.set_src(self.validator.at as u32);
                Verb::$visit(self.cx, self.module $(, $arg)*)?;
            }
            if metered {
                self.cx.depart();
            }
            Ok(())
        }
    };
    (unsupported $proposal:ident $op:ident $visit:ident ($($arg:ident: $ty:ty),*)) => {
        #[cold]
        fn $visit(&mut self $(, $arg: $ty)*) -> Result<()> {
            self.validator.$visit($($arg),*)?;
            Err(off(stringify!($proposal), stringify!($op), self.validator.at))
        }
    };
    (@mvp $($rest:tt)*) => { visit!(supported $($rest)*); };
    (@sign_extension $($rest:tt)*) => { visit!(supported $($rest)*); };
    (@saturating_float_to_int $($rest:tt)*) => { visit!(supported $($rest)*); };
    (@bulk_memory $($rest:tt)*) => { visit!(supported $($rest)*); };
    (@reference_types $($rest:tt)*) => { visit!(supported $($rest)*); };
    (@tail_call $($rest:tt)*) => { visit!(supported $($rest)*); };
    (@$proposal:ident $($rest:tt)*) => { visit!(unsupported $proposal $($rest)*); };
}

macro_rules! visit_all {
    ($(@$proposal:ident $op:ident $({ $($arg:ident: $ty:ty),* })? => $visit:ident $ann:tt)*) => {
        $(visit! { @$proposal $op $visit ($($($arg: $ty),*)?) })*
    };
}

macro_rules! visit_simd {
    ($(@$proposal:ident $op:ident $({ $($arg:ident: $ty:ty),* })? => $visit:ident $ann:tt)*) => {
        $(
            #[cold]
            fn $visit(&mut self $($(, $arg: $ty)*)?) -> Result<()> {
                self.validator.$visit($($($arg),*)?)?;
                Err(off(stringify!($proposal), stringify!($op), self.validator.at))
            }
        )*
    };
}

#[allow(clippy::clone_on_copy)]
impl<'a> VisitOperator<'a> for Visitor<'_, '_> {
    type Output = Result<()>;

    fn simd_visitor(
        &mut self,
    ) -> Option<&mut dyn wp::VisitSimdOperator<'a, Output = Self::Output>> {
        Some(self)
    }

    wp::for_each_visit_operator!(visit_all);
}

impl<'a> wp::VisitSimdOperator<'a> for Visitor<'_, '_> {
    wp::for_each_visit_simd_operator!(visit_simd);
}

/// The verbs, by the name of the operator's visit method.
struct Verb;

macro_rules! verbs {
    (|$cx:ident, $m:ident| $($visit:ident ($($arg:ident: $ty:ty),*) => $body:expr;)*) => {
        impl Verb {
            $(
                #[inline]
                #[allow(unused_variables)]
                fn $visit($cx: &mut Cx, $m: &ModuleInfo $(, $arg: $ty)*) -> Result<()> {
                    let _: () = $body;
                    Ok(())
                }
            )*
        }
    };
}

verbs! { |t, m|
    visit_unreachable() => t.unreachable();
    visit_nop() => ();
    visit_block(ty: BlockType) => t.block(m, ty);
    visit_loop(ty: BlockType) => t.loop_(m, ty);
    visit_if(ty: BlockType) => t.if_(m, ty);
    visit_else() => t.else_(m);
    visit_end() => t.end(m);
    visit_br(depth: u32) => t.br(depth);
    visit_br_if(depth: u32) => t.br_if(depth);
    visit_br_table(table: BrTable<'_>) => t.br_table(&table)?;
    visit_return() => t.return_();
    visit_call(callee: u32) => t.call(m, callee);
    visit_call_indirect(ty: u32, table: u32) => t.call_indirect(m, ty, table);
    visit_return_call(callee: u32) => t.return_call(m, callee);
    visit_return_call_indirect(ty: u32, table: u32) => t.return_call_indirect(m, ty, table);
    visit_drop() => t.drop_value();
    visit_select() => t.select();
    visit_typed_select(_ty: wp::ValType) => t.select();
    visit_typed_select_multi(_tys: Vec<wp::ValType>) => t.select();
    visit_local_get(index: u32) => t.local_get(index);
    visit_local_set(index: u32) => t.local_set(index);
    visit_local_tee(index: u32) => t.local_tee(index);
    visit_global_get(index: u32) => t.global_get(m, index);
    visit_global_set(index: u32) => t.global_set(m, index);

    visit_i32_load(arg: MemArg) => t.load(Load, I32, &arg);
    visit_i64_load(arg: MemArg) => t.load(Load, I64, &arg);
    visit_f32_load(arg: MemArg) => t.load(Load, F32, &arg);
    visit_f64_load(arg: MemArg) => t.load(Load, F64, &arg);
    visit_i32_load8_s(arg: MemArg) => t.load(Load8S, I32, &arg);
    visit_i32_load8_u(arg: MemArg) => t.load(Load8U, I32, &arg);
    visit_i32_load16_s(arg: MemArg) => t.load(Load16S, I32, &arg);
    visit_i32_load16_u(arg: MemArg) => t.load(Load16U, I32, &arg);
    visit_i64_load8_s(arg: MemArg) => t.load(Load8S, I64, &arg);
    visit_i64_load8_u(arg: MemArg) => t.load(Load8U, I64, &arg);
    visit_i64_load16_s(arg: MemArg) => t.load(Load16S, I64, &arg);
    visit_i64_load16_u(arg: MemArg) => t.load(Load16U, I64, &arg);
    visit_i64_load32_s(arg: MemArg) => t.load(Load32S, I64, &arg);
    visit_i64_load32_u(arg: MemArg) => t.load(Load32U, I64, &arg);
    visit_i32_store(arg: MemArg) => t.store(Store, I32, &arg);
    visit_i64_store(arg: MemArg) => t.store(Store, I64, &arg);
    visit_f32_store(arg: MemArg) => t.store(Store, F32, &arg);
    visit_f64_store(arg: MemArg) => t.store(Store, F64, &arg);
    visit_i32_store8(arg: MemArg) => t.store(Store8, I32, &arg);
    visit_i32_store16(arg: MemArg) => t.store(Store16, I32, &arg);
    visit_i64_store8(arg: MemArg) => t.store(Store8, I64, &arg);
    visit_i64_store16(arg: MemArg) => t.store(Store16, I64, &arg);
    visit_i64_store32(arg: MemArg) => t.store(Store32, I64, &arg);
    visit_memory_size(memory: u32) => t.memory_size(m, memory);
    visit_memory_grow(memory: u32) => t.memory_grow(m, memory);
    visit_memory_init(segment: u32, memory: u32) => t.memory_init(segment, memory);
    visit_memory_copy(to: u32, from: u32) => t.memory_copy(to, from);
    visit_memory_fill(memory: u32) => t.memory_fill(memory);
    visit_data_drop(segment: u32) => t.data_drop(segment);

    visit_table_get(table: u32) => t.table_get(m, table);
    visit_table_set(table: u32) => t.table_set(m, table);
    visit_table_size(table: u32) => t.table_size(m, table);
    visit_table_grow(table: u32) => t.table_grow(m, table);
    visit_table_fill(table: u32) => t.table_fill(table);
    visit_table_copy(to: u32, from: u32) => t.table_copy(to, from);
    visit_table_init(segment: u32, table: u32) => t.table_init(segment, table);
    visit_elem_drop(segment: u32) => t.elem_drop(segment);

    visit_ref_null(ty: HeapType) => t.ref_null(heap_type(ty).unwrap_or(AnyRef));
    visit_ref_is_null() => t.ref_is_null();
    visit_ref_func(index: u32) => t.ref_func(index);

    visit_i32_const(value: i32) => t.int(I32, u64::from(value as u32));
    visit_i64_const(value: i64) => t.int(I64, value as u64);
    visit_f32_const(value: Ieee32) => t.float32(value.bits());
    visit_f64_const(value: Ieee64) => t.float64(value.bits());

    visit_i32_eqz() => t.unary(Eqz, I32);
    visit_i32_eq() => t.binary(Eq, I32);
    visit_i32_ne() => t.binary(Ne, I32);
    visit_i32_lt_s() => t.binary(LtS, I32);
    visit_i32_lt_u() => t.binary(LtU, I32);
    visit_i32_gt_s() => t.binary(GtS, I32);
    visit_i32_gt_u() => t.binary(GtU, I32);
    visit_i32_le_s() => t.binary(LeS, I32);
    visit_i32_le_u() => t.binary(LeU, I32);
    visit_i32_ge_s() => t.binary(GeS, I32);
    visit_i32_ge_u() => t.binary(GeU, I32);
    visit_i64_eqz() => t.unary(Eqz, I64);
    visit_i64_eq() => t.binary(Eq, I64);
    visit_i64_ne() => t.binary(Ne, I64);
    visit_i64_lt_s() => t.binary(LtS, I64);
    visit_i64_lt_u() => t.binary(LtU, I64);
    visit_i64_gt_s() => t.binary(GtS, I64);
    visit_i64_gt_u() => t.binary(GtU, I64);
    visit_i64_le_s() => t.binary(LeS, I64);
    visit_i64_le_u() => t.binary(LeU, I64);
    visit_i64_ge_s() => t.binary(GeS, I64);
    visit_i64_ge_u() => t.binary(GeU, I64);
    visit_f32_eq() => t.binary(FEq, F32);
    visit_f32_ne() => t.binary(FNe, F32);
    visit_f32_lt() => t.binary(FLt, F32);
    visit_f32_gt() => t.binary(FGt, F32);
    visit_f32_le() => t.binary(FLe, F32);
    visit_f32_ge() => t.binary(FGe, F32);
    visit_f64_eq() => t.binary(FEq, F64);
    visit_f64_ne() => t.binary(FNe, F64);
    visit_f64_lt() => t.binary(FLt, F64);
    visit_f64_gt() => t.binary(FGt, F64);
    visit_f64_le() => t.binary(FLe, F64);
    visit_f64_ge() => t.binary(FGe, F64);

    visit_i32_clz() => t.unary(Clz, I32);
    visit_i32_ctz() => t.unary(Ctz, I32);
    visit_i32_popcnt() => t.unary(Popcnt, I32);
    visit_i32_add() => t.binary(Add, I32);
    visit_i32_sub() => t.binary(Sub, I32);
    visit_i32_mul() => t.binary(Mul, I32);
    visit_i32_div_s() => t.binary(DivS, I32);
    visit_i32_div_u() => t.binary(DivU, I32);
    visit_i32_rem_s() => t.binary(RemS, I32);
    visit_i32_rem_u() => t.binary(RemU, I32);
    visit_i32_and() => t.binary(And, I32);
    visit_i32_or() => t.binary(Or, I32);
    visit_i32_xor() => t.binary(Xor, I32);
    visit_i32_shl() => t.binary(Shl, I32);
    visit_i32_shr_s() => t.binary(ShrS, I32);
    visit_i32_shr_u() => t.binary(ShrU, I32);
    visit_i32_rotl() => t.binary(Rotl, I32);
    visit_i32_rotr() => t.binary(Rotr, I32);
    visit_i64_clz() => t.unary(Clz, I64);
    visit_i64_ctz() => t.unary(Ctz, I64);
    visit_i64_popcnt() => t.unary(Popcnt, I64);
    visit_i64_add() => t.binary(Add, I64);
    visit_i64_sub() => t.binary(Sub, I64);
    visit_i64_mul() => t.binary(Mul, I64);
    visit_i64_div_s() => t.binary(DivS, I64);
    visit_i64_div_u() => t.binary(DivU, I64);
    visit_i64_rem_s() => t.binary(RemS, I64);
    visit_i64_rem_u() => t.binary(RemU, I64);
    visit_i64_and() => t.binary(And, I64);
    visit_i64_or() => t.binary(Or, I64);
    visit_i64_xor() => t.binary(Xor, I64);
    visit_i64_shl() => t.binary(Shl, I64);
    visit_i64_shr_s() => t.binary(ShrS, I64);
    visit_i64_shr_u() => t.binary(ShrU, I64);
    visit_i64_rotl() => t.binary(Rotl, I64);
    visit_i64_rotr() => t.binary(Rotr, I64);

    visit_f32_abs() => t.unary(FAbs, F32);
    visit_f32_neg() => t.unary(FNeg, F32);
    visit_f32_ceil() => t.unary(FCeil, F32);
    visit_f32_floor() => t.unary(FFloor, F32);
    visit_f32_trunc() => t.unary(FTrunc, F32);
    visit_f32_nearest() => t.unary(FNearest, F32);
    visit_f32_sqrt() => t.unary(FSqrt, F32);
    visit_f32_add() => t.binary(FAdd, F32);
    visit_f32_sub() => t.binary(FSub, F32);
    visit_f32_mul() => t.binary(FMul, F32);
    visit_f32_div() => t.binary(FDiv, F32);
    visit_f32_min() => t.binary(FMin, F32);
    visit_f32_max() => t.binary(FMax, F32);
    visit_f32_copysign() => t.binary(FCopysign, F32);
    visit_f64_abs() => t.unary(FAbs, F64);
    visit_f64_neg() => t.unary(FNeg, F64);
    visit_f64_ceil() => t.unary(FCeil, F64);
    visit_f64_floor() => t.unary(FFloor, F64);
    visit_f64_trunc() => t.unary(FTrunc, F64);
    visit_f64_nearest() => t.unary(FNearest, F64);
    visit_f64_sqrt() => t.unary(FSqrt, F64);
    visit_f64_add() => t.binary(FAdd, F64);
    visit_f64_sub() => t.binary(FSub, F64);
    visit_f64_mul() => t.binary(FMul, F64);
    visit_f64_div() => t.binary(FDiv, F64);
    visit_f64_min() => t.binary(FMin, F64);
    visit_f64_max() => t.binary(FMax, F64);
    visit_f64_copysign() => t.binary(FCopysign, F64);

    visit_i32_wrap_i64() => t.unary(Wrap, I32);
    visit_i32_trunc_f32_s() => t.unary(TruncS, I32);
    visit_i32_trunc_f32_u() => t.unary(TruncU, I32);
    visit_i32_trunc_f64_s() => t.unary(TruncS, I32);
    visit_i32_trunc_f64_u() => t.unary(TruncU, I32);
    visit_i64_extend_i32_s() => t.unary(ExtendS, I64);
    visit_i64_extend_i32_u() => t.unary(ExtendU, I64);
    visit_i64_trunc_f32_s() => t.unary(TruncS, I64);
    visit_i64_trunc_f32_u() => t.unary(TruncU, I64);
    visit_i64_trunc_f64_s() => t.unary(TruncS, I64);
    visit_i64_trunc_f64_u() => t.unary(TruncU, I64);
    visit_f32_convert_i32_s() => t.unary(ConvertS, F32);
    visit_f32_convert_i32_u() => t.unary(ConvertU, F32);
    visit_f32_convert_i64_s() => t.unary(ConvertS, F32);
    visit_f32_convert_i64_u() => t.unary(ConvertU, F32);
    visit_f32_demote_f64() => t.unary(Demote, F32);
    visit_f64_convert_i32_s() => t.unary(ConvertS, F64);
    visit_f64_convert_i32_u() => t.unary(ConvertU, F64);
    visit_f64_convert_i64_s() => t.unary(ConvertS, F64);
    visit_f64_convert_i64_u() => t.unary(ConvertU, F64);
    visit_f64_promote_f32() => t.unary(Promote, F64);
    visit_i32_reinterpret_f32() => t.unary(Bitcast, I32);
    visit_i64_reinterpret_f64() => t.unary(Bitcast, I64);
    visit_f32_reinterpret_i32() => t.unary(Bitcast, F32);
    visit_f64_reinterpret_i64() => t.unary(Bitcast, F64);
    visit_i32_extend8_s() => t.unary(Extend8S, I32);
    visit_i32_extend16_s() => t.unary(Extend16S, I32);
    visit_i64_extend8_s() => t.unary(Extend8S, I64);
    visit_i64_extend16_s() => t.unary(Extend16S, I64);
    visit_i64_extend32_s() => t.unary(Extend32S, I64);
    visit_i32_trunc_sat_f32_s() => t.unary(TruncSatS, I32);
    visit_i32_trunc_sat_f32_u() => t.unary(TruncSatU, I32);
    visit_i32_trunc_sat_f64_s() => t.unary(TruncSatS, I32);
    visit_i32_trunc_sat_f64_u() => t.unary(TruncSatU, I32);
    visit_i64_trunc_sat_f32_s() => t.unary(TruncSatS, I64);
    visit_i64_trunc_sat_f32_u() => t.unary(TruncSatU, I64);
    visit_i64_trunc_sat_f64_s() => t.unary(TruncSatS, I64);
    visit_i64_trunc_sat_f64_u() => t.unary(TruncSatU, I64);
}
