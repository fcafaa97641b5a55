//! Operators that take values and give at most one.

use super::{Body, Case, Locals, Make, TYPES, func};
use wasm_encoder::ValType::{self, F32, F64, I32, I64};

const FUNCREF: ValType = ValType::FUNCREF;

/// What the operators of a range of opcodes take and give.
type Range = (std::ops::RangeInclusive<u8>, &'static [ValType], ValType);

const RANGES: &[Range] = &[
    (0x45..=0x45, &[I32], I32),
    (0x46..=0x4f, &[I32, I32], I32),
    (0x50..=0x50, &[I64], I32),
    (0x51..=0x5a, &[I64, I64], I32),
    (0x5b..=0x60, &[F32, F32], I32),
    (0x61..=0x66, &[F64, F64], I32),
    (0x67..=0x69, &[I32], I32),
    (0x6a..=0x78, &[I32, I32], I32),
    (0x79..=0x7b, &[I64], I64),
    (0x7c..=0x8a, &[I64, I64], I64),
    (0x8b..=0x91, &[F32], F32),
    (0x92..=0x98, &[F32, F32], F32),
    (0x99..=0x9f, &[F64], F64),
    (0xa0..=0xa6, &[F64, F64], F64),
    (0xa7..=0xa7, &[I64], I32),
    (0xa8..=0xa9, &[F32], I32),
    (0xaa..=0xab, &[F64], I32),
    (0xac..=0xad, &[I32], I64),
    (0xae..=0xaf, &[F32], I64),
    (0xb0..=0xb1, &[F64], I64),
    (0xb2..=0xb3, &[I32], F32),
    (0xb4..=0xb5, &[I64], F32),
    (0xb6..=0xb6, &[F64], F32),
    (0xb7..=0xb8, &[I32], F64),
    (0xb9..=0xba, &[I64], F64),
    (0xbb..=0xbb, &[F32], F64),
    (0xbc..=0xbc, &[F32], I32),
    (0xbd..=0xbd, &[F64], I64),
    (0xbe..=0xbe, &[I32], F32),
    (0xbf..=0xbf, &[I64], F64),
    (0xc0..=0xc1, &[I32], I32),
    (0xc2..=0xc4, &[I64], I64),
];

/// Loads and stores: opcodes, and the type of the value.
const LOADS: &[(std::ops::RangeInclusive<u8>, ValType)] = &[
    (0x28..=0x28, I32),
    (0x29..=0x29, I64),
    (0x2a..=0x2a, F32),
    (0x2b..=0x2b, F64),
    (0x2c..=0x2f, I32),
    (0x30..=0x35, I64),
];
const STORES: &[(std::ops::RangeInclusive<u8>, ValType)] = &[
    (0x36..=0x36, I32),
    (0x37..=0x37, I64),
    (0x38..=0x38, F32),
    (0x39..=0x39, F64),
    (0x3a..=0x3b, I32),
    (0x3c..=0x3e, I64),
];

/// Static offsets: none, one that the processor adds, and one that it does not.
const OFFSETS: [u64; 3] = [0, 0x1234, 0xfedc_ba98];

/// An operator with its immediates.
#[derive(Clone)]
struct Operator {
    name: String,
    covers: u16,
    bytes: Vec<u8>,
    takes: Vec<ValType>,
    gives: Option<ValType>,
}

fn operators() -> Vec<Operator> {
    let mut all = Vec::new();
    let mut add = |name: String, covers: u16, bytes: Vec<u8>, takes: &[ValType], gives| {
        all.push(Operator { name, covers, bytes, takes: takes.to_vec(), gives });
    };
    for (opcodes, takes, gives) in RANGES {
        for opcode in opcodes.clone() {
            add(format!("{opcode:#x}"), opcode.into(), vec![opcode], takes, Some(*gives));
        }
    }
    for sub in 0..8u8 {
        let takes = [[F32], [F32], [F64], [F64]][usize::from(sub) % 4];
        let gives = if sub < 4 { I32 } else { I64 };
        add(format!("0xfc {sub}"), 0x100 + u16::from(sub), vec![0xfc, sub], &takes, Some(gives));
    }
    for (list, stores) in [(LOADS, false), (STORES, true)] {
        for (opcodes, ty) in list {
            for opcode in opcodes.clone() {
                for memory in 0..3u8 {
                    for offset in OFFSETS {
                        let mut body = Body::new(Locals::Many);
                        match memory {
                            0 => body.raw(&[opcode, 0]),
                            _ => body.raw(&[opcode, 0x40, memory]),
                        };
                        body.leb(offset);
                        let address = if memory == 2 { I64 } else { I32 };
                        let name = format!("{opcode:#x} memory {memory} at {offset:#x}");
                        let (takes, gives): (&[ValType], _) = match stores {
                            true => (&[address, *ty], None),
                            false => (&[address], Some(*ty)),
                        };
                        add(name, opcode.into(), body.bytes, takes, gives);
                    }
                }
            }
        }
    }
    for ty in TYPES {
        let number = super::number(ty);
        let select = [ty, ty, I32];
        add(format!("select {ty:?}"), 0x1b, vec![0x1b], &select, Some(ty));
        let code = [0x7f, 0x7e, 0x7d, 0x7c][number as usize];
        add(format!("select t {ty:?}"), 0x1c, vec![0x1c, 1, code], &select, Some(ty));
        add(format!("global.get {ty:?}"), 0x23, vec![0x23, number as u8], &[], Some(ty));
        add(format!("global.set {ty:?}"), 0x24, vec![0x24, number as u8], &[ty], None);
        add(format!("drop {ty:?}"), 0x1a, vec![0x1a], &[ty], None);
    }
    let three = &[I32, I32, I32];
    for memory in 0..3u8 {
        let address = if memory == 2 { I64 } else { I32 };
        let name = |what: &str| format!("{what} {memory}");
        add(name("memory.size"), 0x3f, vec![0x3f, memory], &[], Some(address));
        add(name("memory.grow"), 0x40, vec![0x40, memory], &[address], Some(address));
        add(name("memory.init"), 0x108, vec![0xfc, 8, 0, memory], &[address, I32, I32], None);
        add(name("memory.copy"), 0x10a, vec![0xfc, 10, memory, memory], &[address; 3], None);
        let fill = [address, I32, address];
        add(name("memory.fill"), 0x10b, vec![0xfc, 11, memory], &fill, None);
    }
    add("data.drop".into(), 0x109, vec![0xfc, 9, 0], &[], None);
    add("table.init".into(), 0x10c, vec![0xfc, 12, 0, 1], three, None);
    add("elem.drop".into(), 0x10d, vec![0xfc, 13, 0], &[], None);
    add("table.copy".into(), 0x10e, vec![0xfc, 14, 0, 1], three, None);
    add("table.grow".into(), 0x10f, vec![0xfc, 15, 1], &[FUNCREF, I32], Some(I32));
    add("table.size".into(), 0x110, vec![0xfc, 16, 1], &[], Some(I32));
    add("table.fill".into(), 0x111, vec![0xfc, 17, 1], &[I32, FUNCREF, I32], None);
    add("table.get".into(), 0x25, vec![0x25, 1], &[I32], Some(FUNCREF));
    add("table.set".into(), 0x26, vec![0x26, 1], &[I32, FUNCREF], None);
    add("ref.is_null".into(), 0xd1, vec![0xd1], &[FUNCREF], Some(I32));
    add("ref.func".into(), 0xd2, vec![0xd2, func::OWN as u8], &[], Some(FUNCREF));
    add("ref.null".into(), 0xd0, vec![0xd0, 0x70], &[], Some(FUNCREF));
    all
}

/// Where operands come from.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
enum From {
    /// Locals, more than there are registers.
    Locals,
    /// The first one is a constant, or all but the first are.
    FirstConstant,
    OtherConstants,
    /// The memory.
    Memory,
}

/// Where results go.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
enum To {
    /// Locals, more than there are registers.
    Locals,
    /// Globals, at once.
    Globals,
    /// They stay on the stack, up to the end.
    Stack,
}

fn feed(body: &mut Body, takes: &[ValType], from: From, i: u32) {
    for (at, &ty) in takes.iter().enumerate() {
        let constant = match from {
            From::Locals => false,
            From::FirstConstant => at == 0,
            From::OtherConstants => at > 0,
            From::Memory => {
                if ty == FUNCREF {
                    body.raw(&[0x41, 0]).at(0x25, 1);
                } else {
                    body.load(ty, 3 * i + at as u32);
                }
                continue;
            }
        };
        if constant {
            body.constant(ty, i);
        } else {
            body.get(ty, i + 37 * at as u32);
        }
    }
}

/// Puts one value into what can be seen.
fn keep(body: &mut Body, ty: ValType) {
    match ty {
        // Null or not is as much as a global of numbers holds of a reference.
        FUNCREF => _ = body.op(0xd1).keep(I32),
        _ => _ = body.keep(ty),
    }
}

fn case(operator: &Operator, from: From, to: To) -> Case {
    let Operator { name, covers, bytes, takes, gives } = operator.clone();
    let mut live: Vec<ValType> = if from == From::Memory { Vec::new() } else { takes.clone() };
    if to == To::Locals {
        live.extend(gives);
    }
    live.retain(|ty| TYPES.contains(ty));
    live.sort_by_key(|&ty| super::number(ty));
    live.dedup();
    Case {
        name: format!("{name}, {from:?} to {to:?}"),
        covers: vec![covers],
        live,
        copy: Box::new(move |body, i| {
            feed(body, &takes, from, i);
            body.raw(&bytes);
            match (gives, to) {
                (Some(ty), To::Locals) => _ = body.set(ty, i + 91),
                (Some(ty), To::Globals) => keep(body, ty),
                _ => {}
            }
        }),
        last: Box::new(move |body, copies| {
            if let (Some(ty), To::Stack) = (gives, to) {
                (0..copies).for_each(|_| keep(body, ty));
            }
        }),
    }
}

/// Reading and writing locals, and constants.
fn leaves() -> Vec<Case> {
    let mut cases = Vec::new();
    for ty in TYPES {
        let mut add = |name: &str, covers: &[u16], copy: Make| {
            cases.push(Case {
                name: format!("{name} {ty:?}"),
                covers: covers.to_vec(),
                copy,
                last: Box::new(|_, _| {}),
                live: vec![ty],
            });
        };
        add(
            "local.get, local.set",
            &[0x20, 0x21],
            Box::new(move |body, i| {
                body.get(ty, i).set(ty, i + 91);
            }),
        );
        add(
            "local.tee",
            &[0x22],
            Box::new(move |body, i| {
                let other = body.local(ty, i + 91);
                body.get(ty, i).at(0x22, other).set(ty, i + 13);
            }),
        );
        add(
            "constant to a local",
            &[0x41, 0x42, 0x43, 0x44],
            Box::new(move |body, i| {
                body.constant(ty, i).set(ty, i);
            }),
        );
        add(
            "constant to a global",
            &[0x41, 0x42, 0x43, 0x44],
            Box::new(move |body, i| {
                body.constant(ty, i).keep(ty);
            }),
        );
        add("nop", &[0x01], Box::new(|body, _| _ = body.op(0x01)));
    }
    cases
}

pub(super) fn cases() -> Vec<Case> {
    let mut cases = leaves();
    for operator in operators() {
        let references = operator.gives == Some(FUNCREF);
        let mut add = |from, to| {
            // There are few locals that hold references.
            if !(references && to == To::Locals) {
                cases.push(case(&operator, from, to));
            }
        };
        add(From::Locals, To::Locals);
        add(From::Locals, To::Globals);
        if !operator.takes.is_empty() {
            add(From::FirstConstant, To::Locals);
            add(From::Memory, To::Globals);
        }
        if operator.takes.len() > 1 {
            add(From::OtherConstants, To::Locals);
        }
        if operator.gives.is_some() {
            add(From::Memory, To::Stack);
            add(From::Locals, To::Stack);
        }
    }
    cases
}
