//! Memories: accesses, sizes, bulk operations.

use crate::body::Cx;
use crate::module::ModuleInfo;
use runwell_abi::{LibCall, TrapCode, Type};
use runwell_ir::{Op, Value};
use wasmparser::{MemArg, MemArgTarget};

/// The memory that an access names. Accesses to arrays do not pass validation.
fn target(arg: &MemArg) -> u32 {
    match arg.target {
        MemArgTarget::Memory(index) | MemArgTarget::Array(index) => index,
    }
}

/// The type of addresses and sizes of a memory.
fn address_type(module: &ModuleInfo, memory: u32) -> Type {
    if module.memories[memory as usize].memory64 { Type::I64 } else { Type::I32 }
}

impl Cx {
    /// A load of a `ty`.
    #[inline]
    pub(crate) fn load(&mut self, op: Op, ty: Type, arg: &MemArg) {
        let address = self.pop();
        let (address, offset) = self.address(address, arg);
        let value = self.b.load(op, ty, target(arg) as u16, address, offset);
        self.push(value);
    }

    /// A store of a `ty`.
    #[inline]
    pub(crate) fn store(&mut self, op: Op, ty: Type, arg: &MemArg) {
        let (address, value) = self.pop2();
        let (address, offset) = self.address(address, arg);
        self.b.store(op, ty, target(arg) as u16, address, offset, value);
    }

    /// Splits an address so that its static part fits 32 bits. A larger one, which only 64-bit
    /// memories can have, is added here; a sum beyond 2^64 is out of any bounds.
    #[inline]
    fn address(&mut self, address: Value, arg: &MemArg) -> (Value, u32) {
        match u32::try_from(arg.offset) {
            Ok(offset) => (address, offset),
            Err(_) => {
                let offset = self.b.iconst(Type::I64, arg.offset);
                let sum = self.b.binary(Op::Add, Type::I64, address, offset);
                let overflow = self.b.binary(Op::LtU, Type::I64, sum, offset);
                self.b.trap_if(TrapCode::MemoryOutOfBounds, overflow);
                (sum, 0)
            }
        }
    }

    /// `memory.size`.
    pub(crate) fn memory_size(&mut self, module: &ModuleInfo, memory: u32) {
        let value = self.b.mem_size(address_type(module, memory), memory as u16);
        self.push(value);
    }

    /// `memory.grow`.
    pub(crate) fn memory_grow(&mut self, module: &ModuleInfo, memory: u32) {
        let ty = address_type(module, memory);
        let delta = self.pop();
        let index = self.number(memory.into());
        let value = self.b.libcall(LibCall::MemoryGrow, Some(ty), &[index, delta]);
        self.push(value.expect("a helper with a result"));
    }

    /// `memory.fill`.
    pub(crate) fn memory_fill(&mut self, memory: u32) {
        self.bulk(LibCall::MemoryFill, memory.into());
    }

    /// `memory.copy`.
    pub(crate) fn memory_copy(&mut self, to: u32, from: u32) {
        self.bulk(LibCall::MemoryCopy, u64::from(to) | u64::from(from) << 32);
    }

    /// `memory.init`.
    pub(crate) fn memory_init(&mut self, segment: u32, memory: u32) {
        self.bulk(LibCall::MemoryInit, u64::from(memory) | u64::from(segment) << 32);
    }

    /// `data.drop`.
    pub(crate) fn data_drop(&mut self, segment: u32) {
        let index = self.number(segment.into());
        self.b.libcall(LibCall::DataDrop, None, &[index]);
    }

    /// A helper whose first argument says what it works on and whose others are three operands.
    pub(crate) fn bulk(&mut self, helper: LibCall, what: u64) {
        let len = self.pop();
        let (a, b) = self.pop2();
        if self.scan.meter.is_on() {
            let len = self.widened(len);
            match helper {
                LibCall::MemoryFill | LibCall::MemoryCopy | LibCall::MemoryInit => {
                    self.charge_bytes(len);
                }
                _ => self.charge_elements(len),
            }
        }
        let what = self.number(what);
        self.b.libcall(helper, None, &[what, a, b, len]);
    }

    /// A length as an `I64`.
    pub(crate) fn widened(&mut self, len: Value) -> Value {
        match self.b.func.value_type(len) {
            Type::I32 => self.b.unary(Op::ExtendU, Type::I64, len),
            _ => len,
        }
    }

    /// A number among the arguments of a helper.
    pub(crate) fn number(&mut self, number: u64) -> Value {
        self.b.iconst(Type::I64, number)
    }
}
