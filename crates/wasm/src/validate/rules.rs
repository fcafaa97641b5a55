//! The list of all operators: which rule each one is validated by.
//!
//! The decoder calls one method per operator. For those of the implemented proposals it applies the
//! rule of the same name from the lists below. For all others the library words the error, which says
//! that their proposal is off. The methods are made from the decoder's own list, so an operator that
//! is missing here does not compile.

use super::types::{F32, F64, I32, I64};
use super::{Result, Validator};
use crate::error::Error;
use wasmparser as wp;
use wasmparser::{BlockType, BrTable, FrameKind, HeapType, Ieee32, Ieee64, MemArg, VisitOperator};

/// The rules, by the name of the operator's visit method.
struct Rule;

/// Operators that take and give numbers.
macro_rules! numeric {
    ($($taken:tt -> $given:ident { $($visit:ident)* })*) => {
        impl Rule {
            $($(
                #[inline]
                fn $visit(v: &mut Validator<'_>) -> Result<()> {
                    v.apply($taken, $given)
                }
            )*)*
        }
    };
}

/// Accesses to memories.
macro_rules! accesses {
    ($($access:ident $ty:ident { $($visit:ident)* })*) => {
        impl Rule {
            $($(
                #[inline]
                fn $visit(v: &mut Validator<'_>, arg: MemArg) -> Result<()> {
                    v.$access(&arg, $ty)
                }
            )*)*
        }
    };
}

/// All others.
macro_rules! rules {
    (|$v:ident| $($visit:ident ($($arg:ident: $ty:ty),*) => $body:expr;)*) => {
        impl Rule {
            $(
                #[inline]
                #[allow(unused_variables)]
                fn $visit($v: &mut Validator<'_> $(, $arg: $ty)*) -> Result<()> {
                    $body
                }
            )*
        }
    };
}

rules! { |v|
    visit_unreachable() => v.trap();
    visit_nop() => Ok(());
    visit_block(ty: BlockType) => v.construct(FrameKind::Block, ty);
    visit_loop(ty: BlockType) => v.construct(FrameKind::Loop, ty);
    visit_if(ty: BlockType) => v.if_(ty);
    visit_else() => v.else_();
    visit_end() => v.end();
    visit_br(depth: u32) => v.br(depth);
    visit_br_if(depth: u32) => v.br_if(depth);
    visit_br_table(table: BrTable<'_>) => v.br_table(&table);
    visit_return() => v.return_();
    visit_call(callee: u32) => v.call(callee);
    visit_call_indirect(ty: u32, table: u32) => v.call_indirect(ty, table);
    visit_return_call(callee: u32) => v.return_call(callee);
    visit_return_call_indirect(ty: u32, table: u32) => v.return_call_indirect(ty, table);

    visit_drop() => v.pop_any().map(|_| ());
    visit_select() => v.select();
    visit_typed_select(ty: wp::ValType) => v.typed_select(ty);
    visit_typed_select_multi(tys: Vec<wp::ValType>) => v.fail("invalid result arity");
    visit_local_get(index: u32) => v.local_get(index);
    visit_local_set(index: u32) => v.local_set(index);
    visit_local_tee(index: u32) => v.local_tee(index);
    visit_global_get(index: u32) => v.global_get(index);
    visit_global_set(index: u32) => v.global_set(index);
    visit_i32_const(value: i32) => v.give(I32);
    visit_i64_const(value: i64) => v.give(I64);
    visit_f32_const(value: Ieee32) => v.give(F32);
    visit_f64_const(value: Ieee64) => v.give(F64);

    visit_memory_size(memory: u32) => v.memory_size(memory);
    visit_memory_grow(memory: u32) => v.memory_grow(memory);
    visit_memory_init(segment: u32, memory: u32) => v.memory_init(segment, memory);
    visit_memory_copy(to: u32, from: u32) => v.memory_copy(to, from);
    visit_memory_fill(memory: u32) => v.memory_fill(memory);
    visit_data_drop(segment: u32) => v.data_segment(segment);
    visit_table_get(table: u32) => v.table_get(table);
    visit_table_set(table: u32) => v.table_set(table);
    visit_table_size(table: u32) => v.table_size(table);
    visit_table_grow(table: u32) => v.table_grow(table);
    visit_table_fill(table: u32) => v.table_fill(table);
    visit_table_copy(to: u32, from: u32) => v.table_copy(to, from);
    visit_table_init(segment: u32, table: u32) => v.table_init(segment, table);
    visit_elem_drop(segment: u32) => v.elem_drop(segment);
    visit_ref_null(ty: HeapType) => v.ref_null(ty);
    visit_ref_is_null() => v.ref_is_null();
    visit_ref_func(index: u32) => v.ref_func(index);
}

accesses! {
    load I32 {
        visit_i32_load visit_i32_load8_s visit_i32_load8_u visit_i32_load16_s visit_i32_load16_u
    }
    load I64 {
        visit_i64_load visit_i64_load8_s visit_i64_load8_u visit_i64_load16_s visit_i64_load16_u
        visit_i64_load32_s visit_i64_load32_u
    }
    load F32 {
        visit_f32_load
    }
    load F64 {
        visit_f64_load
    }
    store I32 {
        visit_i32_store visit_i32_store8 visit_i32_store16
    }
    store I64 {
        visit_i64_store visit_i64_store8 visit_i64_store16 visit_i64_store32
    }
    store F32 {
        visit_f32_store
    }
    store F64 {
        visit_f64_store
    }
}

numeric! {
    [I32] -> I32 {
        visit_i32_eqz visit_i32_clz visit_i32_ctz visit_i32_popcnt visit_i32_extend8_s
        visit_i32_extend16_s
    }
    [I32] -> I64 {
        visit_i64_extend_i32_s visit_i64_extend_i32_u
    }
    [I32] -> F32 {
        visit_f32_convert_i32_s visit_f32_convert_i32_u visit_f32_reinterpret_i32
    }
    [I32] -> F64 {
        visit_f64_convert_i32_s visit_f64_convert_i32_u
    }
    [I64] -> I32 {
        visit_i64_eqz visit_i32_wrap_i64
    }
    [I64] -> I64 {
        visit_i64_clz visit_i64_ctz visit_i64_popcnt visit_i64_extend8_s visit_i64_extend16_s
        visit_i64_extend32_s
    }
    [I64] -> F32 {
        visit_f32_convert_i64_s visit_f32_convert_i64_u
    }
    [I64] -> F64 {
        visit_f64_convert_i64_s visit_f64_convert_i64_u visit_f64_reinterpret_i64
    }
    [F32] -> I32 {
        visit_i32_trunc_f32_s visit_i32_trunc_f32_u visit_i32_reinterpret_f32
        visit_i32_trunc_sat_f32_s visit_i32_trunc_sat_f32_u
    }
    [F32] -> I64 {
        visit_i64_trunc_f32_s visit_i64_trunc_f32_u visit_i64_trunc_sat_f32_s
        visit_i64_trunc_sat_f32_u
    }
    [F32] -> F32 {
        visit_f32_abs visit_f32_neg visit_f32_ceil visit_f32_floor visit_f32_trunc
        visit_f32_nearest visit_f32_sqrt
    }
    [F32] -> F64 {
        visit_f64_promote_f32
    }
    [F64] -> I32 {
        visit_i32_trunc_f64_s visit_i32_trunc_f64_u visit_i32_trunc_sat_f64_s
        visit_i32_trunc_sat_f64_u
    }
    [F64] -> I64 {
        visit_i64_trunc_f64_s visit_i64_trunc_f64_u visit_i64_reinterpret_f64
        visit_i64_trunc_sat_f64_s visit_i64_trunc_sat_f64_u
    }
    [F64] -> F32 {
        visit_f32_demote_f64
    }
    [F64] -> F64 {
        visit_f64_abs visit_f64_neg visit_f64_ceil visit_f64_floor visit_f64_trunc
        visit_f64_nearest visit_f64_sqrt
    }
    [I32, I32] -> I32 {
        visit_i32_eq visit_i32_ne visit_i32_lt_s visit_i32_lt_u visit_i32_gt_s visit_i32_gt_u
        visit_i32_le_s visit_i32_le_u visit_i32_ge_s visit_i32_ge_u visit_i32_add visit_i32_sub
        visit_i32_mul visit_i32_div_s visit_i32_div_u visit_i32_rem_s visit_i32_rem_u
        visit_i32_and visit_i32_or visit_i32_xor visit_i32_shl visit_i32_shr_s visit_i32_shr_u
        visit_i32_rotl visit_i32_rotr
    }
    [I64, I64] -> I32 {
        visit_i64_eq visit_i64_ne visit_i64_lt_s visit_i64_lt_u visit_i64_gt_s visit_i64_gt_u
        visit_i64_le_s visit_i64_le_u visit_i64_ge_s visit_i64_ge_u
    }
    [I64, I64] -> I64 {
        visit_i64_add visit_i64_sub visit_i64_mul visit_i64_div_s visit_i64_div_u visit_i64_rem_s
        visit_i64_rem_u visit_i64_and visit_i64_or visit_i64_xor visit_i64_shl visit_i64_shr_s
        visit_i64_shr_u visit_i64_rotl visit_i64_rotr
    }
    [F32, F32] -> I32 {
        visit_f32_eq visit_f32_ne visit_f32_lt visit_f32_gt visit_f32_le visit_f32_ge
    }
    [F32, F32] -> F32 {
        visit_f32_add visit_f32_sub visit_f32_mul visit_f32_div visit_f32_min visit_f32_max
        visit_f32_copysign
    }
    [F64, F64] -> I32 {
        visit_f64_eq visit_f64_ne visit_f64_lt visit_f64_gt visit_f64_le visit_f64_ge
    }
    [F64, F64] -> F64 {
        visit_f64_add visit_f64_sub visit_f64_mul visit_f64_div visit_f64_min visit_f64_max
        visit_f64_copysign
    }
}

/// The error about an operator of a proposal that is off.
#[cold]
pub(crate) fn off(proposal: &'static str, operator: &'static str, at: u64) -> Error {
    Error::unsupported(proposal, operator, at as u32)
}

macro_rules! visit {
    (supported $op:ident $visit:ident ($($arg:ident: $ty:ty),*)) => {
        #[inline]
        fn $visit(&mut self $(, $arg: $ty)*) -> Result<()> {
            Rule::$visit(self $(, $arg)*)
        }
    };
    (unsupported $proposal:ident $op:ident $visit:ident ($($arg:ident: $ty:ty),*)) => {
        #[cold]
        fn $visit(&mut self $(, $arg: $ty)*) -> Result<()> {
            if let Some(mut library) = self.library() {
                library.visitor(self.at).$visit($($arg),*)?;
            }
            Err(off(stringify!($proposal), stringify!($op), self.at))
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
                if let Some(mut library) = self.library() {
                    library.simd_visitor(self.at).$visit($($($arg),*)?)?;
                }
                Err(off(stringify!($proposal), stringify!($op), self.at))
            }
        )*
    };
}

impl<'a> VisitOperator<'a> for Validator<'_> {
    type Output = Result<()>;

    fn simd_visitor(
        &mut self,
    ) -> Option<&mut dyn wp::VisitSimdOperator<'a, Output = Self::Output>> {
        Some(self)
    }

    wp::for_each_visit_operator!(visit_all);
}

impl<'a> wp::VisitSimdOperator<'a> for Validator<'_> {
    wp::for_each_visit_simd_operator!(visit_simd);
}
