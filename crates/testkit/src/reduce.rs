//! Makes a module that shows something smaller, as long as it still shows it.
//!
//! Functions become `unreachable`, then runs of operators are cut out of bodies or replaced by
//! `unreachable`, the runs ever shorter. A candidate counts only if it is valid.

use std::ops::Range;
use wasm_encoder::{CodeSection, Module, RawSection};
use wasmparser::{Parser, Payload, Validator, WasmFeatures};

/// A module cut at its bodies.
struct Cut {
    /// Sections before the code, by number.
    before: Vec<(u8, Vec<u8>)>,
    bodies: Vec<Vec<u8>>,
    /// Sections after the code.
    after: Vec<(u8, Vec<u8>)>,
}

impl Cut {
    fn of(wasm: &[u8]) -> Option<Cut> {
        let mut cut = Cut { before: Vec::new(), bodies: Vec::new(), after: Vec::new() };
        for payload in Parser::new(0).parse_all(wasm) {
            let payload = payload.ok()?;
            if let Payload::CodeSectionEntry(body) = &payload {
                let range = body.range();
                cut.bodies.push(wasm[range.start as usize..range.end as usize].to_vec());
            } else if let Payload::CodeSectionStart { .. } = payload {
            } else if let Some((id, range)) = payload.as_section() {
                let content = wasm[range.start as usize..range.end as usize].to_vec();
                let list = if cut.bodies.is_empty() { &mut cut.before } else { &mut cut.after };
                list.push((id, content));
            }
        }
        Some(cut)
    }

    fn join(&self) -> Vec<u8> {
        let mut module = Module::new();
        for (id, data) in &self.before {
            module.section(&RawSection { id: *id, data });
        }
        let mut code = CodeSection::new();
        for body in &self.bodies {
            code.raw(body);
        }
        module.section(&code);
        for (id, data) in &self.after {
            module.section(&RawSection { id: *id, data });
        }
        module.finish()
    }
}

/// Where the operators of a body start, and where the last one ends.
fn operators(body: &[u8]) -> Option<Vec<usize>> {
    let body = wasmparser::FunctionBody::new(wasmparser::BinaryReader::new(body, 0));
    let mut reader = body.get_operators_reader().ok()?;
    let mut starts = Vec::new();
    while !reader.eof() {
        starts.push(reader.original_position() as usize);
        reader.read().ok()?;
    }
    starts.push(reader.original_position() as usize);
    Some(starts)
}

const UNREACHABLE: u8 = 0x00;
const END: u8 = 0x0b;

fn valid(wasm: &[u8]) -> bool {
    Validator::new_with_features(WasmFeatures::all()).validate_all(wasm).is_ok()
}

/// A smaller valid module for which `shows` still holds; it is asked at most `attempts` times.
pub fn reduce(wasm: &[u8], attempts: usize, mut shows: impl FnMut(&[u8]) -> bool) -> Vec<u8> {
    let Some(mut cut) = Cut::of(wasm) else { return wasm.to_vec() };
    let mut left = attempts;
    let mut keeps = |cut: &Cut| {
        let candidate = cut.join();
        valid(&candidate) && left > 0 && {
            left -= 1;
            shows(&candidate)
        }
    };
    if !keeps(&cut) {
        return wasm.to_vec();
    }
    for at in 0..cut.bodies.len() {
        let whole = std::mem::replace(&mut cut.bodies[at], vec![0, UNREACHABLE, END]);
        if !keeps(&cut) {
            cut.bodies[at] = whole;
        }
    }
    loop {
        let before = cut.join().len();
        for at in 0..cut.bodies.len() {
            shorten(&mut cut, at, &mut keeps);
        }
        if cut.join().len() == before {
            return cut.join();
        }
    }
}

/// Cuts runs out of body `at`, from half of it down to single operators.
fn shorten(cut: &mut Cut, at: usize, keeps: &mut impl FnMut(&Cut) -> bool) {
    let Some(starts) = operators(&cut.bodies[at]) else { return };
    let mut len = starts.len() / 2;
    while len > 0 {
        let mut from = 0;
        while let Some(starts) = operators(&cut.bodies[at])
            && from + len < starts.len()
        {
            let range = starts[from]..starts[from + len];
            if !(replaced(cut, at, range.clone(), &[], keeps)
                || (len > 1 && replaced(cut, at, range, &[UNREACHABLE], keeps)))
            {
                from += len.div_ceil(2);
            }
        }
        len /= 2;
    }
}

fn replaced(
    cut: &mut Cut,
    at: usize,
    range: Range<usize>,
    by: &[u8],
    keeps: &mut impl FnMut(&Cut) -> bool,
) -> bool {
    let whole = cut.bodies[at].clone();
    cut.bodies[at].splice(range, by.iter().copied());
    let kept = cut.bodies[at].len() < whole.len() && keeps(cut);
    if !kept {
        cut.bodies[at] = whole;
    }
    kept
}
