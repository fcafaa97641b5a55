//! Constructs, branches and calls.

use super::{Body, Case, TYPES, func, ty};
use wasm_encoder::ValType::{self, F64, I32, I64};

/// A block type without values.
const EMPTY: u8 = 0x40;

struct List(Vec<Case>);

impl List {
    fn add(
        &mut self,
        name: &str,
        covers: &[u16],
        live: &[ValType],
        copy: impl Fn(&mut Body, u32) + 'static,
    ) {
        self.closed(name, covers, live, copy, |_, _| {});
    }

    fn closed(
        &mut self,
        name: &str,
        covers: &[u16],
        live: &[ValType],
        copy: impl Fn(&mut Body, u32) + 'static,
        last: impl Fn(&mut Body, u32) + 'static,
    ) {
        let (copy, last) = (Box::new(copy), Box::new(last));
        let name = format!("{name}, {} live", live.len());
        self.0.push(Case { name, covers: covers.to_vec(), copy, last, live: live.to_vec() });
    }
}

pub(super) fn cases() -> Vec<Case> {
    let mut list = List(Vec::new());
    for live in [&[][..], &[I32], &[I32, F64], &TYPES] {
        blocks(&mut list, live);
        branches(&mut list, live);
        calls(&mut list, live);
    }
    list.0
}

/// A condition, another one each time.
fn condition(body: &mut Body, i: u32) {
    body.load(I32, i);
}

/// Writes a local, so that merges have something to merge.
fn write(body: &mut Body, live: &[ValType], i: u32) {
    for &ty in live {
        body.load(ty, i + 7).set(ty, i);
    }
}

fn blocks(list: &mut List, live: &'static [ValType]) {
    list.add("block", &[0x02, 0x0b], live, |body, _| _ = body.raw(&[0x02, EMPTY, 0x0b]));
    list.add("loop", &[0x03, 0x0b], live, |body, _| _ = body.raw(&[0x03, EMPTY, 0x0b]));
    list.add("loop again", &[0x03, 0x0d], live, move |body, i| {
        body.raw(&[0x03, EMPTY]);
        write(body, live, i);
        condition(body, i);
        body.raw(&[0x0d, 0, 0x0b]);
    });
    list.add("loop of values", &[0x03, 0x0d], live, |body, i| {
        body.load(I32, i).load(I64, i).at(0x03, ty::PAIR);
        condition(body, i + 1);
        body.raw(&[0x0d, 0, 0x0b]).keep(I64).keep(I32);
    });
    list.add("if", &[0x04], live, move |body, i| {
        condition(body, i);
        body.raw(&[0x04, EMPTY]);
        write(body, live, i);
        body.op(0x0b);
    });
    list.add("if else", &[0x04, 0x05], live, move |body, i| {
        condition(body, i);
        body.raw(&[0x04, EMPTY]);
        write(body, live, i);
        body.op(0x05);
        write(body, live, i + 1);
        body.op(0x0b);
    });
    list.add("if else of nothing", &[0x04, 0x05], live, move |body, i| {
        condition(body, i);
        body.raw(&[0x04, EMPTY, 0x05, 0x0b]);
    });
    list.add("if with a value", &[0x04, 0x05], live, |body, i| {
        condition(body, i);
        body.raw(&[0x04, 0x7c]).load(F64, i).op(0x05).constant(F64, i).op(0x0b).keep(F64);
    });
    list.add("unreachable", &[0x00], live, |body, i| {
        condition(body, i);
        body.raw(&[0x04, EMPTY, 0x00, 0x0b]);
    });
    list.add("unreachable after another", &[0x00], live, |body, _| {
        body.raw(&[0x02, EMPTY, 0x00, 0x0b]);
    });
    list.closed(
        "nest of blocks",
        &[0x02],
        live,
        |body, i| {
            body.raw(&[0x02, EMPTY]);
            condition(body, i);
            body.raw(&[0x0d, 0]);
        },
        |body, copies| (0..copies).for_each(|_| _ = body.op(0x0b)),
    );
    list.closed(
        "nest of loops",
        &[0x03],
        live,
        move |body, _| {
            body.raw(&[0x03, EMPTY]);
            // The same ones in each: others would be a product of loops and locals.
            write(body, live, 0);
        },
        |body, copies| {
            for i in 0..copies {
                condition(body, i);
                body.raw(&[0x0d, 0, 0x0b]);
            }
        },
    );
}

fn branches(list: &mut List, live: &'static [ValType]) {
    list.add("br", &[0x0c], live, |body, i| {
        body.raw(&[0x02, EMPTY]);
        condition(body, i);
        body.raw(&[0x04, EMPTY, 0x0c, 1, 0x0b, 0x01, 0x0b]);
    });
    list.add("br_if", &[0x0d], live, move |body, i| {
        body.raw(&[0x02, EMPTY]);
        condition(body, i);
        body.raw(&[0x0d, 0]);
        write(body, live, i);
        body.op(0x0b);
    });
    list.add("br_if by a comparison", &[0x0d], live, move |body, i| {
        body.raw(&[0x02, EMPTY]).load(F64, i).load(F64, i + 1).raw(&[0x61, 0x0d, 0]);
        write(body, live, i);
        body.op(0x0b);
    });
    list.add("br_if with a value", &[0x0d], live, move |body, i| {
        body.raw(&[0x02, 0x7c]).load(F64, i);
        condition(body, i);
        body.raw(&[0x0d, 0]);
        write(body, live, i);
        body.op(0x0b).keep(F64);
    });
    for targets in [1u32, 3, 12] {
        let name = format!("br_table to {targets}");
        list.add(&name, &[0x0e], live, move |body, i| {
            (0..targets).for_each(|_| _ = body.raw(&[0x02, EMPTY]));
            condition(body, i);
            body.at(0x0e, 2 * targets);
            (0..=2 * targets).for_each(|target| _ = body.leb((target % targets).into()));
            for target in 0..targets {
                body.op(0x0b);
                write(body, live, i + target);
            }
        });
    }
    list.add("return", &[0x0f], live, |body, i| {
        condition(body, i);
        body.raw(&[0x04, EMPTY, 0x0f, 0x0b]);
    });
    list.add("return by br_if", &[0x0d], live, |body, i| {
        condition(body, i);
        body.raw(&[0x0d, 0]);
    });
    // All to one end, each with other values in the locals.
    list.closed(
        "br_if to one end",
        &[0x0d],
        live,
        move |body, i| {
            if i == 0 {
                body.raw(&[0x02, EMPTY]);
            }
            write(body, live, i % 20);
            condition(body, i);
            body.raw(&[0x0d, 0]);
        },
        |body, copies| {
            if copies > 0 {
                body.op(0x0b);
            }
        },
    );
}

/// Arguments of a call of `count`.
fn arguments(body: &mut Body, live: &[ValType], count: u32, i: u32) {
    for at in 0..count {
        let ty = TYPES[at as usize % 4];
        if live.contains(&ty) {
            body.get(ty, i + at);
        } else {
            body.constant(ty, i + at);
        }
    }
}

fn results(body: &mut Body, live: &[ValType], count: u32, i: u32) {
    for at in (0..count).rev() {
        let ty = TYPES[at as usize % 4];
        if live.contains(&ty) {
            body.set(ty, i + at);
        } else {
            body.keep(ty);
        }
    }
}

fn calls(list: &mut List, live: &'static [ValType]) {
    let callees = [
        ("imported", func::IMPORTED, 4, 1),
        ("imported, wide", func::IMPORTED_WIDE, 20, 10),
        ("own", func::OWN, 4, 1),
        ("own, wide", func::OWN_WIDE, 20, 10),
        ("own, without arguments", func::OWN_PLAIN, 0, 0),
    ];
    for (name, callee, params, gives) in callees {
        list.add(&format!("call: {name}"), &[0x10], live, move |body, i| {
            arguments(body, live, params, i);
            body.at(0x10, callee);
            results(body, live, gives, i);
        });
        if gives == 0 {
            list.add(&format!("return_call: {name}"), &[0x12], live, move |body, i| {
                condition(body, i);
                body.raw(&[0x04, EMPTY]).at(0x12, callee).op(0x0b);
            });
        }
    }
    let types =
        [("plain", ty::PLAIN, 0, 0), ("narrow", ty::NARROW, 4, 1), ("wide", ty::WIDE, 20, 10)];
    for (name, ty, params, gives) in types {
        list.add(&format!("call_indirect: {name}"), &[0x11], live, move |body, i| {
            arguments(body, live, params, i);
            condition(body, i);
            body.at(0x11, ty).op(1);
            results(body, live, gives, i);
        });
        if gives == 0 {
            list.add(&format!("return_call_indirect: {name}"), &[0x13], live, move |body, i| {
                condition(body, i);
                body.raw(&[0x04, EMPTY]);
                condition(body, i + 1);
                body.at(0x13, ty).raw(&[1, 0x0b]);
            });
        }
    }
}
