//! Types and values of one side as those of the other.

use crate::{Engine, ExternRef, Func, Global, Memory, Table};
use anyhow::{Result, bail};
use wasm_runtime_layer as layer;
use wasm_runtime_layer::backend::{Extern, Ref, Val};

/// A size, or the largest that the interface has.
pub(crate) fn narrow(size: u64) -> u32 {
    u32::try_from(size).unwrap_or(u32::MAX)
}

pub(crate) fn val_type(ty: &runwell::ValType) -> layer::ValType {
    match ty {
        runwell::ValType::I32 => layer::ValType::I32,
        runwell::ValType::I64 => layer::ValType::I64,
        runwell::ValType::F32 => layer::ValType::F32,
        runwell::ValType::F64 => layer::ValType::F64,
        runwell::ValType::V128 => layer::ValType::V128,
        runwell::ValType::Ref(ty) => ref_type(ty).into(),
    }
}

fn ref_type(ty: &runwell::RefType) -> layer::RefType {
    if ty.heap_type().is_func() { layer::RefType::FuncRef } else { layer::RefType::ExternRef }
}

pub(crate) fn to_val_type(ty: &layer::ValType) -> runwell::ValType {
    match ty {
        layer::ValType::I32 => runwell::ValType::I32,
        layer::ValType::I64 => runwell::ValType::I64,
        layer::ValType::F32 => runwell::ValType::F32,
        layer::ValType::F64 => runwell::ValType::F64,
        layer::ValType::V128 => runwell::ValType::V128,
        layer::ValType::FuncRef => runwell::ValType::FUNCREF,
        layer::ValType::ExternRef => runwell::ValType::EXTERNREF,
    }
}

pub(crate) fn to_ref_type(ty: layer::RefType) -> runwell::RefType {
    match ty {
        layer::RefType::FuncRef => runwell::RefType::FUNCREF,
        layer::RefType::ExternRef => runwell::RefType::EXTERNREF,
    }
}

pub(crate) fn func_type(ty: &runwell::FuncType) -> layer::FuncType {
    layer::FuncType::new(ty.params().map(|ty| val_type(&ty)), ty.results().map(|ty| val_type(&ty)))
}

pub(crate) fn to_func_type(engine: &runwell::Engine, ty: &layer::FuncType) -> runwell::FuncType {
    let (params, results) = (ty.params().iter(), ty.results().iter());
    runwell::FuncType::new(engine, params.map(to_val_type), results.map(to_val_type))
}

pub(crate) fn global_type(ty: &runwell::GlobalType) -> layer::GlobalType {
    layer::GlobalType::new(val_type(ty.content()), ty.mutability().is_var())
}

pub(crate) fn memory_type(ty: &runwell::MemoryType) -> layer::MemoryType {
    layer::MemoryType::new(narrow(ty.minimum()), ty.maximum().map(narrow))
}

pub(crate) fn table_type(ty: &runwell::TableType) -> layer::TableType {
    let minimum = narrow(ty.minimum());
    layer::TableType::new(ref_type(ty.element()), minimum, ty.maximum().map(narrow))
}

pub(crate) fn extern_type(ty: &runwell::ExternType) -> Result<layer::ExternType> {
    Ok(match ty {
        runwell::ExternType::Func(ty) => layer::ExternType::Func(func_type(ty)),
        runwell::ExternType::Global(ty) => layer::ExternType::Global(global_type(ty)),
        runwell::ExternType::Memory(ty) => layer::ExternType::Memory(memory_type(ty)),
        runwell::ExternType::Table(ty) => layer::ExternType::Table(table_type(ty)),
        other => bail!("wasm_runtime_layer has no type for {other}"),
    })
}

pub(crate) fn val(val: &runwell::Val) -> Val<Engine> {
    match *val {
        runwell::Val::I32(v) => Val::I32(v),
        runwell::Val::I64(v) => Val::I64(v),
        runwell::Val::F32(bits) => Val::F32(f32::from_bits(bits)),
        runwell::Val::F64(bits) => Val::F64(f64::from_bits(bits)),
        runwell::Val::V128(v) => Val::V128(v.as_u128()),
        runwell::Val::FuncRef(func) => Val::FuncRef(func.map(Func)),
        runwell::Val::ExternRef(r) => Val::ExternRef(r.map(ExternRef)),
    }
}

pub(crate) fn to_val(val: &Val<Engine>) -> runwell::Val {
    match val {
        Val::I32(v) => runwell::Val::I32(*v),
        Val::I64(v) => runwell::Val::I64(*v),
        Val::F32(v) => runwell::Val::F32(v.to_bits()),
        Val::F64(v) => runwell::Val::F64(v.to_bits()),
        Val::V128(v) => runwell::Val::V128((*v).into()),
        Val::FuncRef(func) => runwell::Val::FuncRef(func.as_ref().map(|func| func.0)),
        Val::ExternRef(r) => runwell::Val::ExternRef(r.as_ref().map(|r| r.0)),
    }
}

pub(crate) fn reference(r: &runwell::Ref) -> Ref<Engine> {
    match *r {
        runwell::Ref::Func(func) => Ref::FuncRef(func.map(Func)),
        runwell::Ref::Extern(r) => Ref::ExternRef(r.map(ExternRef)),
    }
}

pub(crate) fn to_reference(r: &Ref<Engine>) -> runwell::Ref {
    match r {
        Ref::FuncRef(func) => runwell::Ref::Func(func.as_ref().map(|func| func.0)),
        Ref::ExternRef(r) => runwell::Ref::Extern(r.as_ref().map(|r| r.0)),
    }
}

pub(crate) fn item(item: runwell::Extern) -> Result<Extern<Engine>> {
    Ok(match item {
        runwell::Extern::Func(func) => Extern::Func(Func(func)),
        runwell::Extern::Global(global) => Extern::Global(Global(global)),
        runwell::Extern::Memory(memory) => Extern::Memory(Memory(memory)),
        runwell::Extern::Table(table) => Extern::Table(Table(table)),
        other => bail!("wasm_runtime_layer has no name for {other:?}"),
    })
}

pub(crate) fn to_item(item: &Extern<Engine>) -> runwell::Extern {
    match item {
        Extern::Func(func) => func.0.into(),
        Extern::Global(global) => global.0.into(),
        Extern::Memory(memory) => memory.0.into(),
        Extern::Table(table) => table.0.into(),
    }
}
