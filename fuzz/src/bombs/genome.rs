//! A module as lists of items, which can be repeated, left out and moved about.

use runwell_wasm::features::SUPPORTED;
use wasmparser::{
    BinaryReader, FromReader, FunctionBody, Parser, Payload, SectionLimited, Validator,
};

/// Sections whose items are kept as bytes, by their number in the binary form.
pub(super) const TYPES: u8 = 1;
pub(super) const FUNCS: u8 = 3;
pub(super) const EXPORTS: u8 = 7;
const START: u8 = 8;
const DATA_COUNT: u8 = 12;
const DATA: u8 = 11;
const CODE: u8 = 10;
/// The order of sections in a module; custom ones come last.
const ORDER: [u8; 12] = [1, 2, 3, 4, 5, 6, 7, START, 9, DATA_COUNT, CODE, DATA];

/// A function's body.
#[derive(Clone, Default, Debug)]
pub(super) struct Body {
    /// Runs of locals: how many, and the bytes of the type.
    pub(super) locals: Vec<(u32, Vec<u8>)>,
    /// The operators, the last `end` included.
    pub(super) ops: Vec<u8>,
}

impl Body {
    /// How many bytes it takes, about, its function's type included.
    pub(super) fn size(&self) -> usize {
        self.ops.len() + 3 * self.locals.len() + 4
    }
}

/// A module.
#[derive(Clone, Default, Debug)]
pub(super) struct Genome {
    /// Items by the number of the section; the start section has its function's index.
    pub(super) items: [Vec<Vec<u8>>; 13],
    pub(super) bodies: Vec<Body>,
    /// Contents of custom sections.
    pub(super) customs: Vec<Vec<u8>>,
}

/// A place between two operators.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) struct Point {
    /// Offset in the operators.
    pub(super) at: usize,
    /// Height of the operand stack.
    pub(super) height: u32,
    /// Constructs that are open.
    pub(super) depth: u32,
}

pub(super) fn leb(out: &mut Vec<u8>, mut value: u32) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// A number and how many bytes it takes.
pub(super) fn read_leb(bytes: &[u8]) -> Option<(u32, usize)> {
    let mut value = 0u64;
    for (i, &byte) in bytes.iter().take(5).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * i);
        if byte < 0x80 {
            return Some((u32::try_from(value).ok()?, i + 1));
        }
    }
    None
}

/// The items of a section as bytes.
fn items<'a, T: FromReader<'a>>(
    bytes: &[u8],
    section: SectionLimited<'a, T>,
) -> Option<Vec<Vec<u8>>> {
    let end = section.range().end as usize;
    let mut starts = Vec::new();
    for item in section.into_iter_with_offsets() {
        starts.push(item.ok()?.0 as usize);
    }
    starts.push(end);
    Some(starts.windows(2).map(|pair| bytes[pair[0]..pair[1]].to_vec()).collect())
}

fn body(body: &FunctionBody<'_>) -> Option<Body> {
    let bytes = body.as_bytes();
    let (runs, mut at) = read_leb(bytes)?;
    let mut locals = Vec::new();
    for _ in 0..runs {
        let (count, len) = read_leb(&bytes[at..])?;
        at += len;
        let mut reader = BinaryReader::new(&bytes[at..], 0);
        reader.read::<wasmparser::ValType>().ok()?;
        let len = reader.original_position() as usize;
        locals.push((count, bytes[at..at + len].to_vec()));
        at += len;
    }
    Some(Body { locals, ops: bytes[at..].to_vec() })
}

impl Genome {
    /// Takes a valid module apart. None for what is not made of core sections alone.
    pub(super) fn parse(bytes: &[u8]) -> Option<Genome> {
        let mut genome = Genome::default();
        for payload in Parser::new(0).parse_all(bytes) {
            let (section, found) = match payload.ok()? {
                Payload::TypeSection(section) => (TYPES, items(bytes, section)?),
                Payload::ImportSection(section) => (2, items(bytes, section)?),
                Payload::FunctionSection(section) => (FUNCS, items(bytes, section)?),
                Payload::TableSection(section) => (4, items(bytes, section)?),
                Payload::MemorySection(section) => (5, items(bytes, section)?),
                Payload::GlobalSection(section) => (6, items(bytes, section)?),
                Payload::ExportSection(section) => (EXPORTS, items(bytes, section)?),
                Payload::StartSection { func, .. } => {
                    let mut index = Vec::new();
                    leb(&mut index, func);
                    (START, vec![index])
                }
                Payload::ElementSection(section) => (9, items(bytes, section)?),
                Payload::DataSection(section) => (DATA, items(bytes, section)?),
                Payload::CodeSectionEntry(code) => {
                    genome.bodies.push(body(&code)?);
                    continue;
                }
                Payload::CustomSection(section) => {
                    let mut content = Vec::new();
                    leb(&mut content, section.name().len() as u32);
                    content.extend_from_slice(section.name().as_bytes());
                    content.extend_from_slice(section.data());
                    genome.customs.push(content);
                    continue;
                }
                Payload::Version { .. }
                | Payload::DataCountSection { .. }
                | Payload::CodeSectionStart { .. }
                | Payload::End(_) => continue,
                _ => return None,
            };
            genome.items[usize::from(section)] = found;
        }
        Some(genome)
    }

    /// The module's bytes.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = b"\0asm\x01\0\0\0".to_vec();
        let mut content = Vec::new();
        let mut section = |number: u8, content: &mut Vec<u8>| {
            out.push(number);
            leb(&mut out, content.len() as u32);
            out.append(content);
        };
        for number in ORDER {
            let items = &self.items[usize::from(number)];
            match number {
                START if !items.is_empty() => content.extend_from_slice(&items[0]),
                DATA_COUNT if !self.items[usize::from(DATA)].is_empty() => {
                    leb(&mut content, self.items[usize::from(DATA)].len() as u32);
                }
                CODE if !self.bodies.is_empty() => {
                    leb(&mut content, self.bodies.len() as u32);
                    for body in &self.bodies {
                        let mut bytes = Vec::with_capacity(body.ops.len() + 8);
                        leb(&mut bytes, body.locals.len() as u32);
                        for (count, ty) in &body.locals {
                            leb(&mut bytes, *count);
                            bytes.extend_from_slice(ty);
                        }
                        bytes.extend_from_slice(&body.ops);
                        leb(&mut content, bytes.len() as u32);
                        content.append(&mut bytes);
                    }
                }
                _ if !items.is_empty() => {
                    leb(&mut content, items.len() as u32);
                    items.iter().for_each(|item| content.extend_from_slice(item));
                }
                _ => continue,
            }
            section(number, &mut content);
        }
        for custom in &self.customs {
            content.extend_from_slice(custom);
            section(0, &mut content);
        }
        out
    }

    /// How many bytes it will take, about.
    pub(super) fn size(&self) -> usize {
        let items: usize = self.items.iter().flatten().map(Vec::len).sum();
        let bodies: usize = self.bodies.iter().map(Body::size).sum();
        8 + items + bodies + self.customs.iter().map(Vec::len).sum::<usize>()
    }

    /// Bytes of the types of a function's parameters.
    pub(super) fn params(&self, body: usize) -> Vec<Vec<u8>> {
        let ty = self.items[usize::from(FUNCS)].get(body).and_then(|ty| read_leb(ty));
        let Some((ty, _)) = ty else { return Vec::new() };
        let Some(ty) = self.items[usize::from(TYPES)].get(ty as usize) else { return Vec::new() };
        let mut params = Vec::new();
        // Function types alone: 0x60, parameters, results.
        if ty.first() != Some(&0x60) {
            return params;
        }
        let Some((count, len)) = read_leb(&ty[1..]) else { return params };
        let mut at = 1 + len;
        for _ in 0..count {
            let mut reader = BinaryReader::new(&ty[at..], 0);
            if reader.read::<wasmparser::ValType>().is_err() {
                break;
            }
            let len = reader.original_position() as usize;
            params.push(ty[at..at + len].to_vec());
            at += len;
        }
        params
    }
}

/// True if the module is valid in the language that runwell takes.
pub(super) fn valid(module: &[u8]) -> bool {
    Validator::new_with_features(SUPPORTED).validate_all(module).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_come_back_as_they_were() {
        for family in runwell_bombs::families() {
            let module = (family.make)(3000);
            let genome = Genome::parse(&module).expect(family.name);
            let again = genome.encode();
            assert!(valid(&again), "{}", family.name);
            // The encoder writes empty sections that parsing leaves out.
            let twice = Genome::parse(&again).expect(family.name).encode();
            assert_eq!(again, twice, "{}", family.name);
        }
    }
}
