//! Memories, globals, tables and frame slots.

use super::{Rhs, def_reg, def_tied, int_size, kind_aux, mov_kind, use_reg};
use crate::lower::Lower;
use crate::vcode::VReg;
use crate::x64::inst::{AluKind, Amode, Aux, Base, MOp, MovKind, Src, cc};
use runwell_abi::{Features, vmctx};
use runwell_ir::op::Effect;
use runwell_ir::{Inst, Op, TrapCode, Type, Value};

/// Static offsets below this need no check in a guarded memory: its guard is that large.
const GUARD: u64 = 1 << 31;

/// A home.
pub(super) fn home(cx: &Lower<'_>, number: u32) -> Amode {
    slot(cx.func.slots.len() as u32 + number)
}

/// A frame slot.
pub(super) fn slot(number: u32) -> Amode {
    Amode { base: Base::Slot, index: None, disp: number as i32, traps: false, low: 0 }
}

/// The address of global `index`.
fn global(cx: &mut Lower<'_>, index: u32) -> Amode {
    let layout = &cx.env.layout;
    let offset = layout.global(index);
    if layout.global_is_imported(index) {
        let cell = cx.load(Type::I64, MovKind::Q, Amode::vmctx(offset));
        Amode::reg(cell, 0)
    } else {
        Amode::vmctx(offset)
    }
}

/// How a load reads.
fn load_kind(op: Op, ty: Type) -> MovKind {
    let wide = ty == Type::I64;
    match op {
        Op::Load8S if wide => MovKind::S8Q,
        Op::Load8S => MovKind::S8,
        Op::Load8U => MovKind::U8,
        Op::Load16S if wide => MovKind::S16Q,
        Op::Load16S => MovKind::S16,
        Op::Load16U => MovKind::U16,
        Op::Load32S if wide => MovKind::S32Q,
        Op::Load32S | Op::Load32U => MovKind::L,
        _ => mov_kind(ty),
    }
}

/// Where a memory starts.
fn memory_base(cx: &mut Lower<'_>, memory: u32) -> Base {
    if memory == 0 {
        return Base::Memory;
    }
    let entry = cx.env.layout.memory(memory) + vmctx::MEMORY_ENTRY_BASE;
    Base::Reg(cx.load(Type::I64, MovKind::Q, Amode::vmctx(entry)))
}

/// The memory operand of an access; the checks that it needs are emitted.
fn address(cx: &mut Lower<'_>, inst: &Inst) -> Amode {
    let bytes = u64::from(inst.op.access_bytes(inst.ty));
    let memory = u32::from(inst.aux);
    let (addr, offset) = (inst.va(), u64::from(inst.c));
    let plan = cx.env.memories.get(memory as usize).copied();
    let Some(plan) = plan else {
        cx.bug("an access to a memory that does not exist");
        return Amode::vmctx(0);
    };
    let known = cx.const_bits(addr).and_then(|a| a.checked_add(offset));
    if let Some(start) = known
        && start < GUARD - 16
        && (plan.guarded || start + bytes <= plan.min_bytes)
    {
        let base = memory_base(cx, memory);
        return Amode { base, index: None, disp: start as i32, traps: true, low: 0 };
    }
    if plan.guarded && !plan.memory64 && offset < GUARD {
        let base = memory_base(cx, memory);
        let index = cx.get(addr);
        return Amode { base, index: Some((index, 0)), disp: offset as i32, traps: true, low: 0 };
    }
    checked_address(cx, memory, plan.memory64, addr, offset, bytes)
}

/// Compares the end of an access with the length of the memory.
fn checked_address(
    cx: &mut Lower<'_>,
    memory: u32,
    memory64: bool,
    addr: Value,
    offset: u64,
    bytes: u64,
) -> Amode {
    let base = memory_base(cx, memory);
    let entry = cx.env.layout.memory(memory) + vmctx::MEMORY_ENTRY_DEF;
    let def = cx.load(Type::I64, MovKind::Q, Amode::vmctx(entry));
    let index = cx.get(addr);
    let distance = offset + bytes;
    let end = cx.temp(Type::I64);
    let small = i32::try_from(distance).ok();
    match small {
        Some(disp) if !memory64 => {
            // Below 2^33: no overflow.
            let sum = Amode::reg(index, disp);
            cx.op_mem(MOp::Lea, Aux::sized(3), 0, &sum, &[def_reg(end)]);
        }
        _ => {
            let aux = Aux::sized(3).with_kind(AluKind::Add as u32);
            let rhs = match small {
                Some(imm) => Rhs::Imm(imm),
                None => Rhs::Reg(cx.imm64(Type::I64, distance)),
            };
            cx.op_rhs(MOp::Alu, aux, &[def_tied(end), use_reg(index)], rhs);
            if memory64 {
                cx.trap_if(cc::B, TrapCode::MemoryOutOfBounds);
            }
        }
    }
    let len = Amode::reg(def, vmctx::MEMORY_DEF_LEN as i32);
    cx.op_mem(MOp::Cmp, Aux::sized(3).from(Src::Mem), 0, &len, &[use_reg(end)]);
    cx.trap_if(cc::A, TrapCode::MemoryOutOfBounds);
    let (index, disp) = match i32::try_from(offset) {
        Ok(offset) => (index, offset),
        Err(_) => (end, -(bytes as i32)),
    };
    Amode { base, index: Some((index, 0)), disp, traps: true, low: 0 }
}

pub(super) fn load(cx: &mut Lower<'_>, index: u32, inst: &Inst) {
    let def = cx.result(index);
    let amode = address(cx, inst);
    cx.mov(def, load_kind(inst.op, inst.ty), Rhs::Mem(amode));
}

/// `(load, operation)` if `value` is an operation on what `same` accepts as the old content.
fn update(
    cx: &Lower<'_>,
    value: Value,
    same: impl Fn(&Inst) -> bool,
) -> Option<(u32, u32, AluKind, Value)> {
    let (operation, inst) = cx.single(value)?;
    let kind = match inst.op {
        Op::Add => AluKind::Add,
        Op::Sub => AluKind::Sub,
        Op::And => AluKind::And,
        Op::Or => AluKind::Or,
        Op::Xor => AluKind::Xor,
        _ => return None,
    };
    let pairs = [(inst.va(), inst.vb()), (inst.vb(), inst.va())];
    let ways = if inst.op == Op::Sub { 1 } else { 2 };
    for (old, other) in pairs.into_iter().take(ways) {
        if let Some((load, read)) = cx.single(old)
            && read.op.info().effect == Effect::Read
            && read.ty == inst.ty
            && same(&read)
            && cx.unordered(load)
            && !(other.is_const() && cx.imm32(other, inst.ty).is_none())
        {
            return Some((load, operation, kind, other));
        }
    }
    None
}

pub(super) fn store(cx: &mut Lower<'_>, inst: &Inst) {
    let (kind, size) = match inst.op {
        Op::Store8 => (MovKind::U8, 0),
        Op::Store16 => (MovKind::U16, 1),
        Op::Store32 => (MovKind::L, 2),
        _ => (mov_kind(inst.ty), int_size(inst.ty)),
    };
    let bytes = inst.op.access_bytes(inst.ty);
    if inst.ty.is_int() {
        let same = |read: &Inst| {
            read.op.access_bytes(read.ty) == bytes
                && (read.a, read.c, read.aux) == (inst.a, inst.c, inst.aux)
        };
        if let Some((load, operation, alu, other)) = update(cx, inst.vb(), same) {
            cx.fold(load);
            cx.fold(operation);
            let src = cx.func.src[load as usize];
            cx.set_src(src);
            let aux = Aux::sized(size).with_kind(alu as u32);
            return update_memory(cx, aux, inst.ty, other, |cx| address(cx, inst));
        }
    }
    store_to(cx, inst.vb(), kind, inst.ty, |cx| address(cx, inst));
}

/// `[amode] op= other`.
fn update_memory<'a>(
    cx: &mut Lower<'a>,
    aux: Aux,
    ty: Type,
    other: Value,
    amode: impl FnOnce(&mut Lower<'a>) -> Amode,
) {
    match cx.imm32(other, ty) {
        Some(imm) => {
            let amode = amode(cx);
            cx.op_mem(MOp::AluMem, aux.from(Src::Imm), imm, &amode, &[]);
        }
        None => {
            let value = cx.operand(other, ty);
            let amode = amode(cx);
            cx.op_mem(MOp::AluMem, aux.from(Src::Reg), 0, &amode, &[use_reg(value)]);
        }
    }
}

/// Stores `value` of type `ty`, or the low part of it that `kind` says.
pub(super) fn store_to<'a>(
    cx: &mut Lower<'a>,
    value: Value,
    kind: MovKind,
    ty: Type,
    amode: impl FnOnce(&mut Lower<'a>) -> Amode,
) {
    let imm = match cx.func.as_const(value) {
        None => None,
        Some(c) => match kind {
            MovKind::U8 => Some(i32::from(c.bits as u8 as i8)),
            MovKind::U16 => Some(i32::from(c.bits as u16 as i16)),
            MovKind::L | MovKind::F32 => Some(c.bits as u32 as i32),
            MovKind::Q | MovKind::F64 => i32::try_from(c.bits as u64 as i64).ok(),
            _ => None,
        },
    };
    if let Some(imm) = imm {
        let kind = match kind {
            MovKind::F32 => MovKind::L,
            MovKind::F64 => MovKind::Q,
            kind => kind,
        };
        let amode = amode(cx);
        return cx.op_mem(MOp::Store, kind_aux(kind).from(Src::Imm), imm, &amode, &[]);
    }
    // The bits are the same whatever type they were.
    let mut kind = kind;
    let value = match cx.single(value) {
        Some((_, inst))
            if inst.op == Op::Bitcast
                && inst.va().is_inst()
                && matches!(kind, MovKind::L | MovKind::Q | MovKind::F32 | MovKind::F64)
                && mov_kind(inst.ty) == kind =>
        {
            let source = inst.va();
            kind = mov_kind(cx.func.value_type(source));
            cx.get_exact(source)
        }
        // Two ways, each of which can double the time of a loop that suits the other: looking at the bits
        // in memory takes nothing from floating-point code that waits for divisions, and a comparison
        // with a blend is the fewest instructions in code that does not wait.
        _ if cx.is_loose(value) && cx.floats_wait() => {
            let (raw, amode) = (cx.get(value), amode(cx));
            let aux = kind_aux(kind).from(Src::Reg);
            // The upper half of a double is looked at by itself.
            if amode.disp <= i32::MAX - 4 {
                let rotate = if cx.env.target.features.has(Features::BMI2) { 31 } else { 0 };
                return cx.op_mem(MOp::StoreCanon, aux, rotate, &amode, &[use_reg(raw)]);
            }
            let value = cx.get_exact(value);
            return cx.op_mem(MOp::Store, aux, 0, &amode, &[use_reg(value)]);
        }
        _ if cx.is_loose(value) => cx.get_exact(value),
        _ => {
            let low = matches!(kind, MovKind::U8 | MovKind::U16 | MovKind::L);
            cx.stored(value, ty, low)
        }
    };
    let amode = amode(cx);
    cx.op_mem(MOp::Store, kind_aux(kind).from(Src::Reg), 0, &amode, &[use_reg(value)]);
}

pub(super) fn size(cx: &mut Lower<'_>, index: u32, inst: &Inst) {
    let def = cx.result(index);
    let entry = cx.env.layout.memory(u32::from(inst.aux)) + vmctx::MEMORY_ENTRY_DEF;
    let record = cx.load(Type::I64, MovKind::Q, Amode::vmctx(entry));
    let len = Amode::reg(record, vmctx::MEMORY_DEF_LEN as i32);
    let bytes = cx.load(Type::I64, MovKind::Q, len);
    super::int::shift_reg_imm(
        cx,
        Type::I64,
        def,
        bytes,
        crate::x64::inst::ShiftKind::Shr,
        16,
        true,
    );
}

pub(super) fn global_get(cx: &mut Lower<'_>, index: u32, inst: &Inst) {
    let def = cx.result(index);
    let amode = global(cx, inst.c);
    cx.mov(def, mov_kind(inst.ty), Rhs::Mem(amode));
}

pub(super) fn global_set(cx: &mut Lower<'_>, inst: &Inst) {
    if inst.ty.is_int() {
        let same = |read: &Inst| read.op == Op::GlobalGet && read.c == inst.c;
        if let Some((load, operation, alu, other)) = update(cx, inst.va(), same) {
            cx.fold(load);
            cx.fold(operation);
            let aux = Aux::sized(int_size(inst.ty)).with_kind(alu as u32);
            return update_memory(cx, aux, inst.ty, other, |cx| global(cx, inst.c));
        }
    }
    store_to(cx, inst.va(), mov_kind(inst.ty), inst.ty, |cx| global(cx, inst.c));
}

/// Base and length of a table.
pub(super) fn table(cx: &mut Lower<'_>, table: u32) -> (Amode, Amode) {
    let layout = &cx.env.layout;
    let offset = layout.table(table);
    if layout.table_is_imported(table) {
        let record = cx.load(Type::I64, MovKind::Q, Amode::vmctx(offset));
        (Amode::reg(record, vmctx::TABLE_BASE as i32), Amode::reg(record, vmctx::TABLE_LEN as i32))
    } else {
        (Amode::vmctx(offset + vmctx::TABLE_BASE), Amode::vmctx(offset + vmctx::TABLE_LEN))
    }
}

/// Elements below are named by displacements.
pub(super) const MAX_ELEMENT: u64 = 1 << 27;

/// The address of an element, after the bounds check.
pub(super) fn element(cx: &mut Lower<'_>, number: u32, index: Value) -> Amode {
    let (base, len) = table(cx, number);
    let checked = |cx: &mut Lower<'_>, index: VReg| {
        cx.op_mem(MOp::CmpMem, Aux::sized(3).from(Src::Reg), 0, &len, &[use_reg(index)]);
        cx.trap_if(cc::BE, TrapCode::TableOutOfBounds);
    };
    if let Some(at) = cx.const_bits(index)
        && at < MAX_ELEMENT
    {
        cx.op_mem(MOp::CmpMem, Aux::sized(3).from(Src::Imm), at as i32, &len, &[]);
        cx.trap_if(cc::BE, TrapCode::TableOutOfBounds);
        let start = cx.load(Type::I64, MovKind::Q, base);
        return Amode::reg(start, at as i32 * 8);
    }
    let index = cx.get(index);
    checked(cx, index);
    let start = cx.load(Type::I64, MovKind::Q, base);
    Amode { base: Base::Reg(start), index: Some((index, 3)), disp: 0, traps: false, low: 0 }
}

pub(super) fn table_get(cx: &mut Lower<'_>, index: u32, inst: &Inst) {
    let def = cx.result(index);
    let amode = element(cx, u32::from(inst.aux), inst.va());
    cx.mov(def, MovKind::Q, Rhs::Mem(amode));
}

pub(super) fn table_set(cx: &mut Lower<'_>, inst: &Inst) {
    store_to(cx, inst.vb(), MovKind::Q, inst.ty, |cx| element(cx, u32::from(inst.aux), inst.va()));
}

pub(super) fn table_size(cx: &mut Lower<'_>, index: u32, inst: &Inst) {
    let def = cx.result(index);
    let (_, len) = table(cx, u32::from(inst.aux));
    cx.mov(def, mov_kind(inst.ty), Rhs::Mem(len));
}

impl Lower<'_> {
    /// True if [`Self::sink`] would succeed.
    pub(super) fn can_sink(&self, value: Value, ty: Type) -> bool {
        self.single(value).is_some_and(|(index, inst)| {
            inst.ty == ty
                && matches!(inst.op, Op::Load | Op::GlobalGet | Op::SlotLoad | Op::HomeLoad)
                && self.unordered(index)
        })
    }

    /// The memory operand that replaces `value`, if it is a load of a whole `ty`, used once, that
    /// may be done at the root instead.
    pub(super) fn sink(&mut self, value: Value, ty: Type) -> Option<Amode> {
        if !self.can_sink(value, ty) {
            return None;
        }
        let index = value.index() as u32;
        let inst = self.func.insts[value.index()];
        self.fold(index);
        Some(match inst.op {
            Op::GlobalGet => global(self, inst.c),
            Op::SlotLoad => slot(inst.c),
            Op::HomeLoad => home(self, inst.c),
            _ => self.sunk_address(index, &inst),
        })
    }

    /// The home that replaces the left operand of a two-address operation, if it is loaded for that alone.
    pub(super) fn left_home(&mut self, value: Value, ty: Type) -> Option<Amode> {
        let (_, inst) = self.single(value)?;
        (inst.op == Op::HomeLoad).then(|| self.sink(value, ty)).flatten()
    }

    fn sunk_address(&mut self, index: u32, inst: &Inst) -> Amode {
        let src = self.func.src[index as usize];
        self.set_src(src);
        address(self, inst)
    }

    /// The same for a load of one zero-extended byte.
    pub(super) fn sink_byte(&mut self, value: Value) -> Option<Amode> {
        let (index, inst) = self.single(value)?;
        if inst.op != Op::Load8U || !self.unordered(index) {
            return None;
        }
        self.fold(index);
        Some(self.sunk_address(index, &inst))
    }

    /// The same for a load of at most `bytes` bytes of which only these are looked at.
    pub(super) fn sink_narrow(&mut self, value: Value, bytes: u32) -> Option<Amode> {
        let (index, inst) = self.single(value)?;
        let narrow = inst.op != Op::Load
            && inst.op.info().effect == Effect::Read
            && inst.op.access_bytes(inst.ty) == bytes;
        if !narrow || !self.unordered(index) {
            return None;
        }
        self.fold(index);
        Some(self.sunk_address(index, &inst))
    }

    /// A register from which a store takes `value`, only its low part if `low`.
    fn stored(&mut self, value: Value, ty: Type, low: bool) -> VReg {
        let mut value = value;
        // A narrow store does not see what a mask or an extension did above it.
        if low
            && ty == Type::I64
            && let Some((_, inst)) = self.nearby(value)
            && matches!(inst.op, Op::ExtendS | Op::ExtendU)
            && inst.va().is_inst()
        {
            value = inst.va();
            return self.low32(value);
        }
        self.operand(value, ty)
    }
}
