//! Runs the few instructions that branches and conditions consist of.

use super::decode;
use crate::CompiledFunction;
use iced_x86::{ConditionCode, FlowControl, Instruction, Mnemonic, OpKind, Register};

/// The flags that conditions read.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) struct Flags {
    pub(super) carry: bool,
    pub(super) parity: bool,
    pub(super) zero: bool,
    pub(super) sign: bool,
    pub(super) overflow: bool,
}

impl Flags {
    /// All states.
    pub(super) fn all() -> impl Iterator<Item = Flags> {
        (0..32u32).map(|bits| Flags {
            carry: bits & 1 != 0,
            parity: bits & 2 != 0,
            zero: bits & 4 != 0,
            sign: bits & 8 != 0,
            overflow: bits & 16 != 0,
        })
    }

    fn meets(self, condition: ConditionCode) -> bool {
        let less = self.sign != self.overflow;
        match condition {
            ConditionCode::o => self.overflow,
            ConditionCode::no => !self.overflow,
            ConditionCode::b => self.carry,
            ConditionCode::ae => !self.carry,
            ConditionCode::e => self.zero,
            ConditionCode::ne => !self.zero,
            ConditionCode::be => self.carry || self.zero,
            ConditionCode::a => !(self.carry || self.zero),
            ConditionCode::s => self.sign,
            ConditionCode::ns => !self.sign,
            ConditionCode::p => self.parity,
            ConditionCode::np => !self.parity,
            ConditionCode::l => less,
            ConditionCode::ge => !less,
            ConditionCode::le => self.zero || less,
            ConditionCode::g => !(self.zero || less),
            ConditionCode::None => panic!("no condition"),
        }
    }
}

/// A machine without memory but for the code and its data.
#[derive(Clone, Debug)]
pub(super) struct Machine {
    pub(super) ints: [u64; 16],
    pub(super) floats: [u64; 16],
    /// None once they are unspecified.
    pub(super) flags: Option<Flags>,
}

/// Where a run ended: the offset of its last instruction, and which that was.
pub(super) type End = (u32, Mnemonic);

impl Machine {
    /// All registers different, and none like a register number or a truth value.
    pub(super) fn new(flags: Flags) -> Machine {
        let pattern =
            |seed: u64| core::array::from_fn(|at| seed.wrapping_mul(at as u64 + 3) | 1 << 63);
        let ints = pattern(0x9e37_79b9_7f4a_7c15);
        Machine { ints, floats: pattern(0xc2b2_ae3d_27d4_eb4f), flags: Some(flags) }
    }

    /// Runs to a `ret` or `ud2`.
    pub(super) fn run(&mut self, compiled: &CompiledFunction) -> End {
        let insts = decode(compiled);
        let mut at = 0;
        for _ in 0..1000 {
            let find = |ip| insts.binary_search_by_key(&ip, Instruction::ip);
            let inst = &insts[find(at).expect("an instruction")];
            at = inst.next_ip();
            let condition = inst.condition_code();
            let meets = || self.flags.expect("flags that are known").meets(condition);
            match (inst.mnemonic(), inst.flow_control()) {
                (end @ (Mnemonic::Ret | Mnemonic::Ud2), _) => return (inst.ip() as u32, end),
                (_, FlowControl::ConditionalBranch) => {
                    if meets() {
                        at = inst.near_branch64();
                    }
                }
                (_, FlowControl::UnconditionalBranch) => at = inst.near_branch64(),
                (_, FlowControl::IndirectBranch) => at = self.get(inst.op0_register()),
                (Mnemonic::Cmp | Mnemonic::Test, _) => self.compare(inst),
                _ if condition != ConditionCode::None => {
                    let meets = meets();
                    self.conditional(inst, meets);
                }
                _ => self.plain(inst, compiled),
            }
        }
        panic!("runs for ever: {insts:?}");
    }

    fn conditional(&mut self, inst: &Instruction, meets: bool) {
        let to = inst.op0_register();
        if inst.op_count() == 1 {
            assert_eq!(to.size(), 1, "{inst}");
            self.set(to, u64::from(meets));
        } else {
            // A conditional move of 32 bits clears the upper half in any case.
            let from = if meets { inst.op1_register() } else { to };
            let value = self.get(from);
            self.set(to, value);
        }
    }

    fn plain(&mut self, inst: &Instruction, compiled: &CompiledFunction) {
        let to = inst.op0_register();
        let source = |machine: &Machine| match inst.op1_kind() {
            OpKind::Register => machine.get(inst.op1_register()),
            OpKind::Memory => {
                let base = machine.get(inst.memory_base());
                let index = machine.get(inst.memory_index()) * u64::from(inst.memory_index_scale());
                let at = (base + index + inst.memory_displacement64()) as usize;
                let field = compiled.code[at..at + 4].try_into().expect("four bytes");
                i64::from(i32::from_le_bytes(field)) as u64
            }
            _ => inst.immediate(1),
        };
        match inst.mnemonic() {
            Mnemonic::Mov | Mnemonic::Movzx | Mnemonic::Movsxd | Mnemonic::Movaps => {
                let value = source(self);
                self.set(to, value);
            }
            Mnemonic::Xchg => {
                let other = inst.op1_register();
                let (a, b) = (self.get(to), self.get(other));
                self.set(to, b);
                self.set(other, a);
            }
            Mnemonic::Lea => self.set(to, inst.ip_rel_memory_address()),
            Mnemonic::And | Mnemonic::Or | Mnemonic::Add | Mnemonic::Xor => {
                let (a, b) = (self.get(to), source(self));
                let value = match inst.mnemonic() {
                    Mnemonic::And => a & b,
                    Mnemonic::Or => a | b,
                    Mnemonic::Xor => a ^ b,
                    _ => a.wrapping_add(b),
                };
                self.set(to, value);
                self.flags = None;
            }
            _ => panic!("cannot run {inst}"),
        }
    }

    /// Comparisons of 32 bits.
    fn compare(&mut self, inst: &Instruction) {
        let left = inst.op0_register();
        assert_eq!(left.size(), 4, "{inst}");
        let a = self.get(left) as u32;
        let b = match inst.op1_kind() {
            OpKind::Register => self.get(inst.op1_register()) as u32,
            _ => inst.immediate(1) as u32,
        };
        let (result, carry, overflow) = if inst.mnemonic() == Mnemonic::Cmp {
            (a.wrapping_sub(b), a < b, (a as i32).overflowing_sub(b as i32).1)
        } else {
            (a & b, false, false)
        };
        self.flags = Some(Flags {
            carry,
            parity: (result as u8).count_ones().is_multiple_of(2),
            zero: result == 0,
            sign: (result as i32) < 0,
            overflow,
        });
    }

    fn get(&self, reg: Register) -> u64 {
        if reg == Register::None {
            return 0;
        }
        let number = reg.full_register().number();
        match reg.size() {
            16 => self.floats[number],
            8 => self.ints[number],
            bytes => self.ints[number] & (u64::MAX >> (64 - 8 * bytes)),
        }
    }

    fn set(&mut self, reg: Register, value: u64) {
        let number = reg.full_register().number();
        match reg.size() {
            16 => self.floats[number] = value,
            8 => self.ints[number] = value,
            4 => self.ints[number] = value & 0xffff_ffff,
            1 => {
                assert!(!matches!(reg, Register::AH | Register::BH | Register::CH | Register::DH));
                self.ints[number] = self.ints[number] & !0xff | value & 0xff;
            }
            bytes => panic!("a register of {bytes} bytes"),
        }
    }
}
