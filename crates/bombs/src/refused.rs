//! Modules that are refused for a proposal, in their first type, and keep whoever wants to know whether
//! they are valid with it busy.

use crate::build::{Sink, Wasm};
use crate::declare;
use wasm_encoder::{
    CompositeInnerType, CompositeType, ConstExpr, ContType, Elements, FieldType, HeapType, RefType,
    StorageType, StructType, SubType, ValType,
};

/// The longest chain of supertypes there may be.
const DEEPEST: u32 = 63;

/// As many types as an operator of two bytes may have, in a module of so many bytes.
fn wide(bytes: usize) -> usize {
    (bytes / 32).clamp(1, 1000)
}

fn to(index: u32) -> RefType {
    RefType { nullable: true, heap_type: HeapType::Concrete(index) }
}

fn structure(fields: &[ValType], above: Option<u32>) -> SubType {
    let field = |&ty: &ValType| FieldType { element_type: StorageType::Val(ty), mutable: false };
    let fields = fields.iter().map(field).collect();
    let inner = CompositeInnerType::Struct(StructType { fields });
    sub(inner, above)
}

fn sub(inner: CompositeInnerType, above: Option<u32>) -> SubType {
    let composite_type = CompositeType { inner, shared: false, descriptor: None, describes: None };
    SubType { is_final: false, supertype_idxs: above.into_iter().collect(), composite_type }
}

/// A module whose types 0 to 62 each have the ones before as supertypes.
fn chain() -> Wasm {
    let mut wasm = Wasm::new();
    for index in 0..DEEPEST {
        wasm.types.ty().subtype(&structure(&[], index.checked_sub(1)));
    }
    wasm
}

/// The last of them, and the first.
const LOWEST: ValType =
    ValType::Ref(RefType { nullable: true, heap_type: HeapType::Concrete(DEEPEST - 1) });
const TOP: ValType = ValType::Ref(RefType { nullable: true, heap_type: HeapType::Concrete(0) });

/// Adds a function without parameters and results.
fn func(mut wasm: Wasm, body: impl FnOnce(&mut Sink<'_>)) -> Vec<u8> {
    let ty = wasm.ty(&[], &[]);
    wasm.func(ty, &[], body);
    wasm.finish()
}

declare! {
    refused_supertypes: "arguments that each have 62 supertypes, of calls of two bytes", |bytes, n| {
        let (lowest, top) = (vec![LOWEST; wide(bytes)], vec![TOP; wide(bytes)]);
        let mut wasm = chain();
        let (gives, same) = (wasm.ty(&[], &lowest), wasm.ty(&top, &lowest));
        let (gives, same) = (wasm.import_func("g", gives), wasm.import_func("s", same));
        func(wasm, |f| {
            f.call(gives);
            (0..n).for_each(|_| _ = f.call(same));
            f.unreachable();
        })
    };
    refused_tail_calls: "results that each have 62 supertypes, of tail calls of two bytes", |bytes, n| {
        let (lowest, top) = (vec![LOWEST; wide(bytes)], vec![TOP; wide(bytes)]);
        let mut wasm = chain();
        let (gives, mine) = (wasm.ty(&[], &lowest), wasm.ty(&[], &top));
        let gives = wasm.import_func("g", gives);
        wasm.func(mine, &[], |f| (0..n).for_each(|_| _ = f.return_call(gives)));
        wasm.finish()
    };
    refused_fields: "structures of many fields with their default values, of three bytes", |bytes, n| {
        let mut wasm = Wasm::new();
        wasm.types.ty().subtype(&structure(&vec![ValType::I32; 10 * wide(bytes)], None));
        func(wasm, |f| (0..n).for_each(|_| _ = f.struct_new_default(0).drop()))
    };
    refused_items: "such structures as elements of a segment", |bytes, n| {
        let mut wasm = Wasm::new();
        wasm.types.ty().subtype(&structure(&vec![ValType::I32; 10 * wide(bytes)], None));
        // The opcode of `struct.new_default`.
        let items = vec![ConstExpr::raw([0xfb, 0x01, 0x00]); n];
        wasm.elements.passive(Elements::Expressions(to(0), items.into()));
        wasm.finish()
    };
    refused_continuations: "continuations of many parameters, bound again and again", |bytes, n| {
        let mut wasm = Wasm::new();
        let types = vec![ValType::I64; wide(bytes)];
        let of = wasm.ty(&types, &types);
        wasm.types.ty().subtype(&sub(CompositeInnerType::Cont(ContType(of)), None));
        let takes = wasm.ty(&[ValType::Ref(to(1))], &[]);
        wasm.func(takes, &[], |f| {
            f.local_get(0);
            (0..n).for_each(|_| _ = f.cont_bind(1, 1));
            f.drop();
        });
        wasm.finish()
    };
    refused_funcs: "functions of a type of many parameters, of four bytes", |bytes, n| {
        let mut wasm = Wasm::new();
        wasm.types.ty().subtype(&structure(&[], None));
        let ty = wasm.ty(&vec![ValType::I32; wide(bytes)], &[]);
        (0..n.min(900_000)).for_each(|_| _ = wasm.func(ty, &[], |_| {}));
        wasm.finish()
    };
    refused_types: "one group of types of two bytes each", |_, n| {
        let mut wasm = Wasm::new();
        let final_ = SubType { is_final: true, ..structure(&[], None) };
        wasm.types.ty().rec(vec![final_; n.min(900_000)]);
        wasm.finish()
    };
    refused_subtypes: "fields that each have 62 supertypes, of types below another one", |bytes, n| {
        let mut wasm = chain();
        let fields = wide(bytes) / 4 + 1;
        wasm.types.ty().subtype(&structure(&vec![TOP; fields], None));
        let below = structure(&vec![LOWEST; fields], Some(DEEPEST));
        (0..n).for_each(|_| wasm.types.ty().subtype(&below));
        wasm.finish()
    };
    refused_bodies: "a vector, then calls of many values of two bytes each", |bytes, n| {
        let mut wasm = Wasm::new();
        let types = vec![ValType::I32; wide(bytes)];
        let (gives, same) = (wasm.ty(&[], &types), wasm.ty(&types, &types));
        let (gives, same) = (wasm.import_func("g", gives), wasm.import_func("s", same));
        func(wasm, |f| {
            f.v128_const(0).drop().call(gives);
            (0..n).for_each(|_| _ = f.call(same));
            f.unreachable();
        })
    };
}
