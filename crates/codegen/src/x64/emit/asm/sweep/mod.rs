//! Every encoder against an independent decoder (iced-x86).
//!
//! Each case asks the assembler for one instruction and says, in the decoder's terms and without
//! looking at the encoder's tables, what that has to be: mnemonic, registers by name, memory operand
//! with its size, immediate. The decoder must then see exactly that, and exactly one instruction; the
//! displacement must have its shortest form, the immediate the expected one; and the bytes must be
//! those that the decoder's own encoder makes of the instruction, so no prefix is superfluous.
//!
//! Which encoders there are is read from the source of the assembler: one that nobody sweeps fails
//! [`every_encoder_is_swept`].

mod control;
mod floats;
mod integers;
mod moves;
mod registers;

use self::registers::{G8, G16, G32, G64, XMM};
use super::{Asm, Label, Mem, Rm};
use iced_x86::{Decoder, DecoderOptions, Encoder, Instruction, Mnemonic, OpKind, Register};
use std::collections::BTreeSet;

/// Displacements around the edges of their forms.
const DISPS: [i32; 9] = [0, 1, -1, 127, 128, -128, -129, i32::MAX, i32::MIN];
/// 32-bit immediates around the edges of their forms.
const IMMS: [i32; 13] =
    [0, 1, -1, 2, 127, 128, -128, -129, 255, 256, 0x7fff_ffff, i32::MIN, -0x8000];
/// The constant that a memory operand with a label stands for.
const CONSTANT: u128 = 0x0123_4567_89ab_cdef_fedc_ba98_7654_3210;

fn g(size: u32, number: u8) -> Register {
    [G8, G16, G32, G64][size as usize][usize::from(number)]
}

fn x(number: u8) -> Register {
    XMM[usize::from(number)]
}

/// An expected operand.
#[derive(Copy, Clone, Debug)]
enum Want {
    Reg(Register),
    /// A memory operand of so many bytes.
    Mem(Mem, u32),
    /// The low `bits` bits of a value, of which `field` bytes are encoded.
    Imm {
        value: i64,
        bits: u32,
        field: usize,
    },
    /// A jump to this offset.
    To(u64),
    /// Memory at a register that the instruction does not name.
    Implied(OpKind),
}

/// Register `number` of a size, or memory of that size.
fn grm(size: u32, rm: Rm) -> Want {
    match rm {
        Rm::Reg(number) => Want::Reg(g(size, number)),
        Rm::Mem(mem) => Want::Mem(mem, 1 << size),
    }
}

/// A vector register or memory of so many bytes.
fn xrm(bytes: u32, rm: Rm) -> Want {
    match rm {
        Rm::Reg(number) => Want::Reg(x(number)),
        Rm::Mem(mem) => Want::Mem(mem, bytes),
    }
}

fn imm(value: i32, size: u32, field: usize) -> Want {
    Want::Imm { value: i64::from(value), bits: 8 << size, field }
}

fn numbers() -> impl Iterator<Item = u8> + Clone {
    0..16
}

/// Memory operands: every base with every displacement; every pair of base and index with every
/// factor; no base; a constant.
fn mems() -> Vec<Mem> {
    let bases = || core::iter::once(None).chain(numbers().map(Some));
    let mut mems = Vec::new();
    for base in bases() {
        for disp in DISPS {
            mems.push(Mem { base, index: None, disp, label: None });
        }
        // rsp is no index.
        for index in numbers().filter(|&index| index != 4) {
            for scale in 0..4 {
                // One of each form.
                for disp in [0, -128, i32::MAX] {
                    mems.push(Mem { base, index: Some((index, scale)), disp, label: None });
                }
            }
        }
    }
    mems.push(Mem { base: None, index: None, disp: 0, label: Some(Label(0)) });
    mems
}

/// Memory operands that show each way to encode one: for cases that differ in something else.
fn few_mems() -> Vec<Mem> {
    let mut mems: Vec<Mem> = numbers().map(|base| Mem::base(base, 0)).collect();
    for (base, index) in [(0, 0), (4, 5), (12, 13), (5, 12), (13, 15), (7, 8), (15, 1)] {
        for (scale, disp) in [(0, 0), (1, 100), (2, -1000), (3, i32::MIN)] {
            mems.push(Mem { base: Some(base), index: Some((index, scale)), disp, label: None });
        }
    }
    mems.push(Mem { base: None, index: None, disp: 0x1234_5678, label: None });
    mems.push(Mem { base: None, index: Some((9, 3)), disp: -1, label: None });
    mems.push(Mem { base: None, index: None, disp: 0, label: Some(Label(0)) });
    mems
}

/// All registers, then memory operands.
fn rms(mems: Vec<Mem>) -> Vec<Rm> {
    numbers().map(Rm::Reg).chain(mems.into_iter().map(Rm::Mem)).collect()
}

/// Checks cases and remembers which encoders it has seen.
struct Sweep {
    asm: Asm,
    encoder: Encoder,
    seen: BTreeSet<&'static str>,
    cases: u64,
}

/// Asks for one instruction by the encoder's name.
macro_rules! ask {
    ($sweep:expr, $name:ident($($arg:expr),*), $mnemonic:expr, [$($want:expr),*]) => {
        $sweep.case(
            stringify!($name),
            |asm| asm.$name($($arg),*),
            $mnemonic,
            &[$($want),*],
            format_args!("{:?}", ($($arg,)*)),
        )
    };
}
use ask;

impl Sweep {
    fn new() -> Sweep {
        let encoder = Encoder::new(64);
        Sweep { asm: Asm::default(), encoder, seen: BTreeSet::new(), cases: 0 }
    }

    fn case(
        &mut self,
        name: &'static str,
        encode: impl FnOnce(&mut Asm),
        mnemonic: Mnemonic,
        want: &[Want],
        args: core::fmt::Arguments<'_>,
    ) {
        self.seen.insert(name);
        self.cases += 1;
        self.asm.clear();
        let has_label =
            want.iter().any(|want| matches!(want, Want::Mem(Mem { label: Some(_), .. }, _)));
        if has_label {
            // Takes label 0.
            self.asm.constant(CONSTANT, 16);
        }
        encode(&mut self.asm);
        let len = self.asm.code.len();
        let whole = has_label.then(|| self.asm.finish().expect("finishes").code);
        let code = &whole.as_deref().unwrap_or(&self.asm.code)[..len];
        let fail = |what: String| -> ! { panic!("{name}{args}: {what}; bytes {code:02x?}") };
        let mut decoder = Decoder::with_ip(64, code, 0, DecoderOptions::NONE);
        let inst = decoder.decode();
        if inst.is_invalid() || inst.len() != len {
            fail(format!("decoded {} of {len} bytes, {inst:?}", inst.len()));
        }
        if inst.mnemonic() != mnemonic {
            fail(format!("wanted {mnemonic:?}, got {inst}"));
        }
        // There is a move of floats of the same name.
        let repeats = matches!(want[..], [Want::Implied(OpKind::MemoryESRDI), _]);
        if inst.has_lock_prefix() || inst.has_rep_prefix() != repeats || inst.has_repne_prefix() {
            fail(format!("prefixes of {inst}"));
        }
        if inst.op_count() as usize != want.len() {
            fail(format!("wanted {want:?}, got {inst}"));
        }
        let fields = decoder.get_constant_offsets(&inst);
        let mut immediate_bytes = 0;
        for (at, want) in want.iter().enumerate() {
            let at = at as u32;
            let good = match *want {
                Want::Reg(reg) => {
                    inst.op_kind(at) == OpKind::Register && inst.op_register(at) == reg
                }
                Want::To(target) => {
                    inst.op_kind(at) == OpKind::NearBranch64 && inst.near_branch64() == target
                }
                Want::Implied(kind) => inst.op_kind(at) == kind,
                Want::Imm { value, bits, field } => {
                    immediate_bytes = field;
                    let mask = u64::MAX >> (64 - bits);
                    inst.try_immediate(at).is_ok_and(|got| (got ^ value as u64) & mask == 0)
                }
                Want::Mem(mem, bytes) => {
                    let target = whole.as_ref().map(|_| self.asm.labels.first());
                    inst.op_kind(at) == OpKind::Memory
                        && same_memory(&inst, &mem, bytes, target)
                        && fields.displacement_size() == displacement_bytes(&mem)
                }
            };
            if !good {
                fail(format!("operand {at}: wanted {want:?}, got {inst}"));
            }
        }
        // Branches have their distance where others have an immediate.
        let branch = want.iter().any(|want| matches!(want, Want::To(_)));
        if !branch && fields.immediate_size() != immediate_bytes {
            fail(format!("immediate of {} bytes in {inst}", fields.immediate_size()));
        }
        if let Err(error) = self.encoder.encode(&inst, 0) {
            fail(format!("{inst}: {error}"));
        }
        let again = self.encoder.take_buffer();
        if again != code {
            fail(format!("{inst} is {again:02x?}"));
        }
        if let Some(whole) = &whole {
            let at = self.asm.labels.first() as usize;
            assert_eq!(at % 16, 0, "the constant is aligned");
            assert_eq!(&whole[at..], CONSTANT.to_le_bytes(), "the constant is where it belongs");
        }
        let mut buffer = again;
        buffer.clear();
        self.encoder.set_buffer(buffer);
    }
}

/// True if the memory operand is the one that was asked for.
fn same_memory(inst: &Instruction, mem: &Mem, bytes: u32, target: Option<u32>) -> bool {
    let by_number = |number: Option<u8>| number.map_or(Register::None, |n| G64[usize::from(n)]);
    if inst.memory_size().size() != bytes as usize || inst.segment_prefix() != Register::None {
        return false;
    }
    if mem.label.is_some() {
        return inst.is_ip_rel_memory_operand()
            && target.is_some_and(|at| inst.ip_rel_memory_address() == u64::from(at));
    }
    inst.memory_base() == by_number(mem.base)
        && inst.memory_index() == by_number(mem.index.map(|(index, _)| index))
        && mem.index.is_none_or(|(_, scale)| inst.memory_index_scale() == 1 << scale)
        && inst.memory_displacement64() as i64 == i64::from(mem.disp)
}

/// The fewest bytes a displacement takes: absolute and rip-relative addresses have all four, and a
/// base of rbp or r13 has at least one.
fn displacement_bytes(mem: &Mem) -> usize {
    match mem.base {
        None => 4,
        Some(5 | 13) if mem.disp == 0 => 1,
        Some(_) if mem.disp == 0 => 0,
        Some(_) if (-128..128).contains(&mem.disp) => 1,
        Some(_) => 4,
    }
}

/// Methods of the assembler that write no instruction, or several that do nothing.
const NO_INSTRUCTIONS: [&str; 17] = [
    "grow",
    "expect",
    "clear",
    "label",
    "bind",
    "bind_data",
    "keep",
    "refer",
    "settle_all",
    "offset",
    "at_src",
    "may_trap",
    "constant",
    "jump_table",
    "settle",
    "align_code",
    "finish",
];

#[test]
fn gaps_are_filled_with_few_instructions_that_do_nothing() {
    for before in 0..=64 {
        let mut asm = Asm { code: vec![0xc3; before], ..Asm::default() };
        asm.align_code(64);
        assert!(asm.code.len().is_multiple_of(64) && asm.code.len() < before + 64);
        let gap = &asm.code[before..];
        let mut decoder = Decoder::new(64, gap, DecoderOptions::NONE);
        let mut count = 0;
        for inst in &mut decoder {
            assert_eq!(inst.mnemonic(), Mnemonic::Nop, "{gap:02x?}");
            count += 1;
        }
        assert!(count <= gap.len().div_ceil(11), "{gap:02x?}");
    }
}

#[test]
fn every_encoder_is_swept() {
    let mut sweep = Sweep::new();
    moves::sweep(&mut sweep);
    integers::sweep(&mut sweep);
    floats::sweep(&mut sweep);
    control::sweep(&mut sweep);
    let sources = [include_str!("../../asm.rs"), include_str!("../jumps.rs")];
    let encoders: BTreeSet<&str> = sources
        .iter()
        .flat_map(|source| source.split_once("\nimpl Asm {\n").expect("the assembler").1.lines())
        .filter_map(|line| {
            let line = line.trim_start();
            line.strip_prefix("pub(super) fn ")
                .or_else(|| line.strip_prefix("pub(in super::super) fn "))
        })
        .filter_map(|line| line.split_once('(').map(|(name, _)| name))
        .filter(|name| !NO_INSTRUCTIONS.contains(name))
        .collect();
    assert_eq!(sweep.seen, encoders, "left: swept; right: encoders of the assembler");
    assert!(sweep.cases > 1_000_000, "only {} cases", sweep.cases);
}
