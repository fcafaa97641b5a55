//! Inputs that are damaged.

use runwell_testkit::Rng;

/// Numbers that LEB128 decoders, counts and limits meet at their edges.
const EDGES: &[&[u8]] = &[
    &[0xff, 0xff, 0xff, 0xff, 0x0f],
    &[0xff, 0xff, 0xff, 0xff, 0x7f],
    &[0x80, 0x80, 0x80, 0x80, 0x10],
    &[0x80, 0x80, 0x80, 0x80, 0x00],
    &[0xff, 0xff, 0x03],
    &[0x80, 0x80, 0x04],
    &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f],
    &[0x7f],
    &[0x00],
];

fn index(rng: &mut Rng, len: usize) -> usize {
    rng.below(len.max(1) as u64) as usize
}

/// How many changes: mostly one, so that much of what comes out is still valid.
fn changes(rng: &mut Rng) -> u64 {
    if rng.one_in(3) { 2 + rng.below(4) } else { 1 }
}

/// Changes a module in a few places, or makes bytes of nothing but its head.
pub(crate) fn bytes(rng: &mut Rng, wasm: &[u8]) -> Vec<u8> {
    let mut bytes = wasm.to_vec();
    if rng.one_in(16) {
        bytes.truncate(8);
        let section = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 0][index(rng, 13)];
        let len = rng.below(120) as usize;
        bytes.push(section);
        bytes.push(len as u8);
        bytes.extend(rng.bytes(len));
        return bytes;
    }
    for _ in 0..changes(rng) {
        let at = index(rng, bytes.len());
        let end = (at + 1 + rng.below(8) as usize).min(bytes.len());
        match rng.below(8) {
            0 | 1 => bytes[at] ^= 1 << rng.below(8),
            2 => bytes[at] = rng.next_u64() as u8,
            3 => drop(bytes.drain(at..end)),
            4 => {
                let copy = bytes[at..end].to_vec();
                let to = index(rng, bytes.len());
                bytes.splice(to..to, copy);
            }
            5 => {
                let edge = EDGES[index(rng, EDGES.len())];
                bytes.splice(at..(at + 1).min(bytes.len()), edge.iter().copied());
            }
            6 if rng.one_in(6) => bytes.truncate(at.max(9)),
            _ => {
                let fresh = 1 + rng.below(4) as usize;
                let fresh = rng.bytes(fresh);
                bytes.splice(at..at, fresh);
            }
        }
        if bytes.is_empty() {
            return bytes;
        }
    }
    bytes
}

/// Words and signs that the text format gives a meaning.
const WORDS: &[&str] = &[
    "(",
    ")",
    "((",
    "))",
    ";;",
    "(;",
    ";)",
    "\"",
    "\\",
    "$",
    "@",
    "i32.const",
    "block",
    "loop",
    "if",
    "else",
    "end",
    "(module",
    "(func",
    "(param",
    "(result",
    "(type 0)",
    "(memory 1)",
    "i64",
    "nan:0x1",
    "0x",
    "-",
    "18446744073709551616",
    "4294967295",
    "1e99999",
    "\u{202e}",
    "br_table",
    "call_indirect",
    "offset=4294967296",
    "align=3",
    "v128.const",
    "(export \"",
    "(import \"a\" \"b\"",
    "(;;",
];

/// Changes words of a text.
pub(crate) fn text(rng: &mut Rng, text: &str) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    for _ in 0..changes(rng) {
        // A word, from its first byte to the blank after it.
        let near = index(rng, bytes.len());
        let blank = |byte: &u8| byte.is_ascii_whitespace();
        let at = bytes[..near].iter().rposition(blank).map_or(0, |blank| blank + 1);
        let end = bytes[near..].iter().position(blank).map_or(bytes.len(), |blank| near + blank);
        match rng.below(6) {
            0 => drop(bytes.drain(at..end)),
            1 | 2 => {
                let word = WORDS[index(rng, WORDS.len())];
                bytes.splice(at..end, word.bytes());
            }
            3 => {
                let word = bytes[at..end].to_vec();
                let to = index(rng, bytes.len());
                bytes.splice(to..to, word);
            }
            4 => {
                if let Some(byte) = bytes.get_mut(near) {
                    *byte = rng.next_u64() as u8;
                }
            }
            _ => {
                let word = WORDS[index(rng, WORDS.len())];
                bytes.splice(at..at, word.bytes());
            }
        }
    }
    bytes
}
