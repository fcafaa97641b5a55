//! Compiled modules as bytes, and back.
//!
//! Machine code cannot be checked for being harmless, so the question on reading is not "is this
//! well-formed?" but "did we make this?". An image ends in a keyed hash (BLAKE3) of everything
//! before it, under a key that only the owner of the images has. Bytes that somebody else made or
//! changed are refused whatever they are. What passes is still checked in full: every offset, range
//! and order that reaches the runtime.
//!
//! The module itself is part of its image: what is known of it is parsed anew by the parser that
//! all modules go through, which is cheap beside compiling, and an image that is refused for its
//! version, target or key, or for damage elsewhere, can be compiled again from what it contains
//! ([`module_in`]): a hash of the module alone tells whether that is whole.
//!
//! ```text
//!  0  magic                      8 bytes
//!  8  format                     u32      the next three are the same in all formats from 2 on:
//! 12  start of the module        u32
//! 16  length of the module       u64
//! 24  hash of the module         32 bytes
//! 56  compiler                   16 bytes of a hash of version and sources
//! 72  architecture               u32
//! 76  features                   u32
//! 80  options                    16 bytes of a hash
//! 96  functions                  u32
//! 100 trapping instructions      u32
//! 104 source positions           u32
//! 108 balances of fuel           u32
//! 112 length of the machine code u64
//! 120 name of the key            8 bytes
//! 128 module · machine code · functions · traps · source positions · fuel
//!     keyed hash                 32 bytes
//! ```
//!
//! All numbers are little-endian.

use crate::image::{FUNC_ALIGN, FuncRange, Image, MAX_TEXT_BYTES};
use crate::options::Options;
use crate::pipeline::CompiledModule;
use crate::quote;
use crate::report::Report;
use core::fmt;
use runwell_abi::TrapCode;
use runwell_abi::fuel::OperatorClass;
use runwell_ir::work::Shares;
use runwell_opt::Passes;
use runwell_wasm::{Limits, ModuleInfo, Parsed};
use std::time::Instant;

/// What makes an image ours: whoever has it can make images that will be run.
pub type Key = [u8; 32];

const MAGIC: &[u8; 8] = b"\x7frunwell";
/// Number of the layout. Changes with it.
const FORMAT: u32 = 2;
const HEADER_BYTES: usize = 128;
const HASH_BYTES: usize = blake3::OUT_LEN;
const FUNC_BYTES: usize = 12;
const TRAP_BYTES: usize = 5;
const SRCLOC_BYTES: usize = 8;
const REST_BYTES: usize = 12;

/// Why bytes are not an image that can be run here.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum ImageError {
    /// They are something else.
    NotAnImage,
    /// The image was made by another version of the compiler.
    Version,
    /// It was made for another machine.
    Target,
    /// It was made with other options.
    Options,
    /// It was made with another key.
    Key,
    /// It is not as it was made.
    Damaged,
}

impl fmt::Display for ImageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ImageError::NotAnImage => "not a compiled module",
            ImageError::Version => "the compiled module is of another version of runwell",
            ImageError::Target => "the compiled module is for another kind of processor",
            ImageError::Options => "the compiled module was made with other options",
            ImageError::Key => {
                "the compiled module was made with another key, so it is not trusted"
            }
            ImageError::Damaged => "the compiled module is damaged",
        })
    }
}

impl std::error::Error for ImageError {}

/// True if bytes begin as an image does. Says nothing about the rest of them.
pub fn is_image(bytes: &[u8]) -> bool {
    bytes.starts_with(MAGIC)
}

/// The module in an image, whoever made it and whenever, if it is as it was put there. Nothing else
/// is known about its bytes: compile it as any other.
pub fn module_in(image: &[u8]) -> Option<&[u8]> {
    let mut head = Reader(image);
    if head.take(MAGIC.len())? != MAGIC || head.u32()? < 2 {
        return None;
    }
    let start = head.u32()? as usize;
    let len = usize::try_from(head.u64()?).ok()?;
    let hash = head.array()?;
    let module = image.get(start..start.checked_add(len)?)?;
    (blake3::hash(module) == blake3::Hash::from_bytes(hash)).then_some(module)
}

/// A name for what compiling the module `wasm` with these options gives under a key: equal for equal
/// images, and different for different ones.
///
/// # Complexity
/// Linear in the module.
pub fn image_name(wasm: &[u8], options: &Options, key: &Key) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(blake3::hash(wasm).as_bytes());
    hasher.update(&FORMAT.to_le_bytes());
    hasher.update(&compiler());
    hasher.update(&(options.target.arch as u32).to_le_bytes());
    hasher.update(&options.target.features.0.to_le_bytes());
    hasher.update(&options_hash(options));
    hasher.update(&key_name(key));
    *hasher.finalize().as_bytes()
}

/// Writes what compiling the module `wasm` with these options gave.
///
/// # Complexity
/// Linear in the module and its machine code.
pub fn serialize(wasm: &[u8], image: &Image, options: &Options, key: &Key) -> Vec<u8> {
    let tables = image.funcs.len() * FUNC_BYTES
        + image.traps.len() * TRAP_BYTES
        + image.srclocs.len() * SRCLOC_BYTES
        + image.rests.len() * REST_BYTES;
    let mut out =
        Vec::with_capacity(HEADER_BYTES + wasm.len() + image.text.len() + tables + HASH_BYTES);
    let word = |out: &mut Vec<u8>, word: u32| out.extend_from_slice(&word.to_le_bytes());
    let long = |out: &mut Vec<u8>, len: usize| out.extend_from_slice(&(len as u64).to_le_bytes());
    out.extend_from_slice(MAGIC);
    word(&mut out, FORMAT);
    word(&mut out, HEADER_BYTES as u32);
    long(&mut out, wasm.len());
    out.extend_from_slice(blake3::hash(wasm).as_bytes());
    out.extend_from_slice(&compiler());
    word(&mut out, options.target.arch as u32);
    word(&mut out, options.target.features.0);
    out.extend_from_slice(&options_hash(options));
    // Counts are at most the length of the machine code or of the module, which are below 2^31.
    word(&mut out, image.funcs.len() as u32);
    word(&mut out, image.traps.len() as u32);
    word(&mut out, image.srclocs.len() as u32);
    word(&mut out, image.rests.len() as u32);
    long(&mut out, image.text.len());
    out.extend_from_slice(&key_name(key));
    debug_assert_eq!(out.len(), HEADER_BYTES);
    out.extend_from_slice(wasm);
    out.extend_from_slice(&image.text);
    for func in &image.funcs {
        word(&mut out, func.start);
        word(&mut out, func.end);
        word(&mut out, func.frame_bytes);
    }
    for &(offset, code) in &image.traps {
        word(&mut out, offset);
        out.push(code as u8);
    }
    for &(offset, position) in &image.srclocs {
        word(&mut out, offset);
        word(&mut out, position);
    }
    for &(position, fuel) in &image.rests {
        word(&mut out, position);
        out.extend_from_slice(&fuel.to_le_bytes());
    }
    seal(&mut out, key);
    out
}

/// Appends the keyed hash.
fn seal(out: &mut Vec<u8>, key: &Key) {
    let hash = blake3::keyed_hash(key, out);
    out.extend_from_slice(hash.as_bytes());
}

/// Reads what [`serialize`] wrote with the same options and key.
///
/// # Errors
/// When it did not, or with another version of the compiler.
///
/// # Complexity
/// Linear in `bytes`.
pub fn deserialize<'a>(
    bytes: &'a [u8],
    options: &Options,
    key: &Key,
) -> Result<(CompiledModule, &'a [u8]), ImageError> {
    let start = Instant::now();
    let header = Header::read(bytes)?;
    header.fits(options)?;
    if header.key != key_name(key) {
        return Err(ImageError::Key);
    }
    let (content, hash) = bytes.split_at_checked(header.total()?).ok_or(ImageError::Damaged)?;
    let Ok(hash) = <[u8; HASH_BYTES]>::try_from(hash) else { return Err(ImageError::Damaged) };
    // The comparison takes the same time wherever the hashes differ.
    if blake3::keyed_hash(key, content) != blake3::Hash::from_bytes(hash) {
        return Err(ImageError::Damaged);
    }
    let (wasm, image) = header.content(content).ok_or(ImageError::Damaged)?;
    let Ok(parsed) = Parsed::parse(wasm, &Limits::default()) else {
        return Err(ImageError::Damaged);
    };
    if !is_consistent(&image, &parsed.info, wasm.len()) {
        return Err(ImageError::Damaged);
    }
    // What would not be compiled is not loaded either: whether there is an image must not matter.
    if quote::check(wasm, &parsed, options).is_err() {
        return Err(ImageError::Options);
    }
    let report = Report {
        module_bytes: wasm.len() as u64,
        functions: image.funcs.len() as u32,
        code_bytes: image.text.len() as u64,
        elapsed: start.elapsed(),
        loaded: true,
        ..Report::default()
    };
    Ok((CompiledModule { info: parsed.info, image, report }, wasm))
}

/// What the header says, unchecked.
struct Header {
    format: u32,
    module_start: u32,
    module_len: u64,
    /// Covered by the keyed hash, so of use only where that does not fit.
    #[expect(dead_code)]
    module_hash: [u8; HASH_BYTES],
    compiler: [u8; 16],
    arch: u32,
    features: u32,
    options: [u8; 16],
    funcs: u32,
    traps: u32,
    srclocs: u32,
    rests: u32,
    text_len: u64,
    key: [u8; 8],
}

impl Header {
    fn read(bytes: &[u8]) -> Result<Header, ImageError> {
        if !is_image(bytes) {
            return Err(ImageError::NotAnImage);
        }
        let parse = |from: &mut Reader<'_>| {
            from.take(MAGIC.len())?;
            Some(Header {
                format: from.u32()?,
                module_start: from.u32()?,
                module_len: from.u64()?,
                module_hash: from.array()?,
                compiler: from.array()?,
                arch: from.u32()?,
                features: from.u32()?,
                options: from.array()?,
                funcs: from.u32()?,
                traps: from.u32()?,
                srclocs: from.u32()?,
                rests: from.u32()?,
                text_len: from.u64()?,
                key: from.array()?,
            })
        };
        parse(&mut Reader(bytes)).ok_or(ImageError::Damaged)
    }

    fn fits(&self, options: &Options) -> Result<(), ImageError> {
        let target = options.target;
        if self.format != FORMAT || self.compiler != compiler() {
            return Err(ImageError::Version);
        }
        // Extensions that this machine has beyond the image's do no harm.
        if self.arch != target.arch as u32 || self.features & !target.features.0 != 0 {
            return Err(ImageError::Target);
        }
        if self.options != options_hash(options) {
            return Err(ImageError::Options);
        }
        Ok(())
    }

    /// Bytes of everything before the hash.
    fn total(&self) -> Result<usize, ImageError> {
        if self.module_start as usize != HEADER_BYTES || self.text_len > MAX_TEXT_BYTES {
            return Err(ImageError::Damaged);
        }
        let tables = u64::from(self.funcs) * FUNC_BYTES as u64
            + u64::from(self.traps) * TRAP_BYTES as u64
            + u64::from(self.srclocs) * SRCLOC_BYTES as u64
            + u64::from(self.rests) * REST_BYTES as u64;
        let total = self.module_len.checked_add(HEADER_BYTES as u64 + self.text_len + tables);
        total.and_then(|total| usize::try_from(total).ok()).ok_or(ImageError::Damaged)
    }

    /// The module and the machine code with its tables, from as many bytes as there are.
    fn content<'a>(&self, bytes: &'a [u8]) -> Option<(&'a [u8], Image)> {
        let mut from = Reader(bytes.get(HEADER_BYTES..)?);
        let wasm = from.take(usize::try_from(self.module_len).ok()?)?;
        let text = from.take(usize::try_from(self.text_len).ok()?)?.to_vec();
        let mut table = |count: u32, bytes: usize| {
            Some(Reader(from.take((count as usize).checked_mul(bytes)?)?))
        };
        let mut funcs = table(self.funcs, FUNC_BYTES)?;
        let mut traps = table(self.traps, TRAP_BYTES)?;
        let mut srclocs = table(self.srclocs, SRCLOC_BYTES)?;
        let mut rests = table(self.rests, REST_BYTES)?;
        if !from.0.is_empty() {
            return None;
        }
        let mut image = Image {
            text,
            funcs: Vec::with_capacity(self.funcs as usize),
            traps: Vec::with_capacity(self.traps as usize),
            srclocs: Vec::with_capacity(self.srclocs as usize),
            rests: Vec::with_capacity(self.rests as usize),
        };
        while !funcs.0.is_empty() {
            let (start, end, frame_bytes) = (funcs.u32()?, funcs.u32()?, funcs.u32()?);
            image.funcs.push(FuncRange { start, end, frame_bytes });
        }
        while !traps.0.is_empty() {
            let offset = traps.u32()?;
            let [code] = traps.array()?;
            image.traps.push((offset, TrapCode::from_u8(code)?));
        }
        while !srclocs.0.is_empty() {
            image.srclocs.push((srclocs.u32()?, srclocs.u32()?));
        }
        while !rests.0.is_empty() {
            image.rests.push((rests.u32()?, rests.u64()? as i64));
        }
        Some((wasm, image))
    }
}

/// True if everything that the runtime looks up lies where it may.
fn is_consistent(image: &Image, info: &ModuleInfo, module_len: usize) -> bool {
    let text_len = image.text.len() as u64;
    let inside = |offset: u32| u64::from(offset) < text_len;
    image.funcs.len() == info.bodies.len()
        && image.funcs.iter().all(|func| {
            func.start.is_multiple_of(FUNC_ALIGN as u32)
                && func.start < func.end
                && u64::from(func.end) <= text_len
        })
        && image.funcs.is_sorted_by(|a, b| a.end <= b.start)
        && image.traps.iter().all(|&(offset, _)| inside(offset))
        && image.traps.is_sorted_by(|a, b| a.0 < b.0)
        && image.srclocs.iter().all(|&(at, from)| inside(at) && (from as usize) < module_len)
        && image.srclocs.is_sorted_by(|a, b| a.0 <= b.0)
        && image.rests.iter().all(|&(from, _)| (from as usize) < module_len)
        && image.rests.is_sorted_by(|a, b| a.0 < b.0)
}

/// A number for everything about options, the target apart, that an image depends on.
fn options_hash(options: &Options) -> [u8; 16] {
    // Spelled out, so that a new option has to be thought about here.
    let Options {
        target: _,
        verify: _,
        guarded_memories,
        schedule,
        passes,
        raw_nans,
        budget,
        compile_budget: _,
        jobs: _,
        timing: _,
        costs: _,
    } = options;
    let Passes { simplify, number, forward, params } = *passes;
    let mut hasher = blake3::Hasher::new();
    hasher.update(&[u8::from(*guarded_memories), u8::from(schedule.is_some())]);
    hasher.update(&[simplify, number, forward, params, *raw_nans].map(u8::from));
    // What fallbacks depend on. Other ceilings decide whether there is an image, not which.
    let Shares { per_unit, base, cheaper_at } = &budget.passes;
    for number in per_unit.iter().chain(base).chain([cheaper_at]) {
        hasher.update(&number.to_le_bytes());
    }
    if let Some(schedule) = schedule {
        for &class in OperatorClass::ALL {
            hasher.update(&schedule.cost(class).to_le_bytes());
        }
    }
    first(hasher.finalize())
}

/// Tells compilers apart.
fn compiler() -> [u8; 16] {
    let identity = concat!(env!("CARGO_PKG_VERSION"), " ", env!("RUNWELL_SOURCES"));
    first(blake3::hash(identity.as_bytes()))
}

/// Tells keys apart without telling what they are.
fn key_name(key: &Key) -> [u8; 8] {
    first(blake3::keyed_hash(key, b"the name of this key"))
}

fn first<const N: usize>(hash: blake3::Hash) -> [u8; N] {
    core::array::from_fn(|i| hash.as_bytes()[i])
}

/// Takes numbers off the front of bytes.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (front, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(front)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }
}

#[cfg(test)]
#[path = "serialize/tests.rs"]
mod tests;
