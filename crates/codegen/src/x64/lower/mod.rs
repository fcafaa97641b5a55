//! Selection rules of x86-64: helpers that all of them use, and the dispatch.

mod call;
pub(super) use call::entry;
mod compare;
mod divide;
pub(super) mod float;
mod int;
mod memory;

use crate::lower::Lower;
use crate::vcode::{Constraint, Operand, PReg, VInst, VReg};
use crate::x64::X64;
use crate::x64::inst::{Amode, Aux, Base, MOp, MovKind, Src};
use runwell_ir::{Const, EdgeRef, Inst, Op, TrapCode, Type, Value};

/// The right-hand side of an operation.
#[derive(Copy, Clone, Debug)]
enum Rhs {
    Reg(VReg),
    Imm(i32),
    Mem(Amode),
}

const RAX: PReg = PReg::int(0);
const RCX: PReg = PReg::int(1);
const RDX: PReg = PReg::int(2);
const RSI: PReg = PReg::int(6);
const RDI: PReg = PReg::int(7);

fn use_reg(vreg: VReg) -> Operand {
    Operand::used(vreg, Constraint::Reg)
}

fn use_any(vreg: VReg) -> Operand {
    Operand::used(vreg, Constraint::Any)
}

fn use_late(vreg: VReg) -> Operand {
    Operand::used_late(vreg, Constraint::Reg)
}

fn use_fixed(vreg: VReg, reg: PReg) -> Operand {
    Operand::used(vreg, Constraint::Fixed(reg))
}

fn def_reg(vreg: VReg) -> Operand {
    Operand::def(vreg, Constraint::Reg)
}

fn def_fixed(vreg: VReg, reg: PReg) -> Operand {
    Operand::def(vreg, Constraint::Fixed(reg))
}

/// A definition in the register of operand 1, the first use.
fn def_tied(vreg: VReg) -> Operand {
    Operand::def(vreg, Constraint::Reuse(1))
}

/// Size number of an integer-class type.
fn int_size(ty: Type) -> u32 {
    if ty == Type::I32 { 2 } else { 3 }
}

/// Size number of a float type.
fn float_size(ty: Type) -> u32 {
    if ty == Type::F32 { 2 } else { 3 }
}

/// How a whole value of a type is moved.
fn mov_kind(ty: Type) -> MovKind {
    match ty {
        Type::I32 => MovKind::L,
        Type::I64 | Type::FuncRef | Type::AnyRef => MovKind::Q,
        Type::F32 => MovKind::F32,
        Type::F64 => MovKind::F64,
        Type::V128 => MovKind::V128,
    }
}

fn kind_aux(kind: MovKind) -> Aux {
    Aux::default().with_kind(kind as u32)
}

impl Lower<'_> {
    /// Appends an instruction without memory operand.
    fn op(&mut self, op: MOp, aux: Aux, imm: i32, operands: &[Operand]) {
        self.op_full(op, aux, imm, 0, 0, operands);
    }

    fn op_full(
        &mut self,
        op: MOp,
        aux: Aux,
        imm: i32,
        disp: i32,
        clobbers: u8,
        operands: &[Operand],
    ) {
        let inst =
            VInst { op: op as u16, operands: 0, clobbers, first: 0, aux: aux.0, imm, disp, src: 0 };
        self.push(inst, operands, &[]);
    }

    /// Appends an instruction with a memory operand.
    fn op_mem(&mut self, op: MOp, aux: Aux, imm: i32, amode: &Amode, operands: &[Operand]) {
        let imm = match amode.base {
            Base::Pool4 | Base::Pool8 | Base::Pool16 => amode.low,
            _ => imm,
        };
        let inst = VInst {
            op: op as u16,
            operands: 0,
            clobbers: 0,
            first: 0,
            aux: aux.mem(amode).0,
            imm,
            disp: amode.disp,
            src: 0,
        };
        let base = match amode.base {
            Base::Reg(vreg) => Some(use_reg(vreg)),
            _ => None,
        };
        let index = amode.index.map(|(vreg, _)| use_reg(vreg));
        match (base, index) {
            (Some(a), Some(b)) => self.push(inst, operands, &[a, b]),
            (Some(a), None) | (None, Some(a)) => self.push(inst, operands, &[a]),
            (None, None) => self.push(inst, operands, &[]),
        }
    }

    /// Appends an instruction whose last operand is `rhs`.
    fn op_rhs(&mut self, op: MOp, aux: Aux, operands: &[Operand], rhs: Rhs) {
        match rhs {
            Rhs::Imm(imm) => self.op(op, aux.from(Src::Imm), imm, operands),
            Rhs::Mem(amode) => self.op_mem(op, aux.from(Src::Mem), 0, &amode, operands),
            Rhs::Reg(vreg) => {
                let mut all = [use_any(vreg); 4];
                all[..operands.len()].copy_from_slice(operands);
                self.op(op, aux.from(Src::Reg), 0, &all[..=operands.len()]);
            }
        }
    }

    /// `def = kind(source)`.
    fn mov(&mut self, def: VReg, kind: MovKind, source: Rhs) {
        self.op_rhs(MOp::MovX, kind_aux(kind), &[def_reg(def)], source);
    }

    /// Loads `kind` into a new register of type `ty`.
    fn load(&mut self, ty: Type, kind: MovKind, amode: Amode) -> VReg {
        let vreg = self.temp(ty);
        self.mov(vreg, kind, Rhs::Mem(amode));
        vreg
    }

    /// A 64-bit constant in a new register.
    fn imm64(&mut self, ty: Type, bits: u64) -> VReg {
        let vreg = self.temp(ty);
        self.op_full(
            MOp::MovImm,
            Aux::default(),
            bits as u32 as i32,
            (bits >> 32) as u32 as i32,
            0,
            &[def_reg(vreg)],
        );
        vreg
    }

    /// The register of a value.
    fn get(&mut self, value: Value) -> VReg {
        self.reg::<X64>(value)
    }

    /// The register of a value with the bits that it is to be seen with.
    fn get_exact(&mut self, value: Value) -> VReg {
        self.exact::<X64>(value)
    }

    /// A register whose low 32 bits are those of `value`, an `I32`; the upper half is anything.
    fn low32(&mut self, value: Value) -> VReg {
        if let Some(inst) = self.func.def(value)
            && inst.op == Op::Wrap
            && inst.va().is_inst()
            && self.wanted(value.index() as u32).is_none()
        {
            return self.get(inst.va());
        }
        self.get(value)
    }

    /// A register that holds an operand of an operation on `ty`.
    fn operand(&mut self, value: Value, ty: Type) -> VReg {
        if ty == Type::I32 { self.low32(value) } else { self.get(value) }
    }

    /// The value as a sign-extended 32-bit immediate of an operation on `ty`.
    fn imm32(&self, value: Value, ty: Type) -> Option<i32> {
        let bits = self.func.as_const(value)?.bits as u64;
        if ty == Type::I32 { Some(bits as u32 as i32) } else { i32::try_from(bits as i64).ok() }
    }

    /// The bits of an integer constant.
    fn const_bits(&self, value: Value) -> Option<u64> {
        Some(self.func.as_const(value)?.bits as u64)
    }

    /// The right-hand side of an integer operation on `ty`.
    fn rhs(&mut self, value: Value, ty: Type) -> Rhs {
        if let Some(imm) = self.imm32(value, ty) {
            return Rhs::Imm(imm);
        }
        match self.sink(value, ty) {
            Some(amode) => Rhs::Mem(amode),
            None => Rhs::Reg(self.operand(value, ty)),
        }
    }

    /// Appends a trap that is taken under a condition.
    fn trap_if(&mut self, cc: u32, code: TrapCode) {
        self.op(MOp::TrapCc, Aux::default().with_cc(cc).with_kind(code as u32), 0, &[]);
    }
}

/// Makes a constant in a new register.
pub(super) fn constant(cx: &mut Lower<'_>, value: Const) -> VReg {
    match value.ty {
        Type::F32 | Type::F64 | Type::V128 => {
            let vreg = cx.temp(value.ty);
            if value.bits == 0 {
                cx.op(MOp::FZero, Aux::default(), 0, &[def_reg(vreg)]);
            } else {
                let amode = float::pool(value);
                cx.mov(vreg, mov_kind(value.ty), Rhs::Mem(amode));
            }
            vreg
        }
        Type::I32 => cx.imm64(Type::I32, u64::from(value.bits as u32)),
        ty => cx.imm64(ty, value.bits as u64),
    }
}

/// Selects the tile of a non-terminator.
pub(super) fn inst(cx: &mut Lower<'_>, index: u32, inst: &Inst) {
    use Op::*;
    match inst.op {
        Nop | Param | CallResult => {}
        Copy => {
            let def = cx.result(index);
            let source = cx.get(inst.va());
            cx.mov(def, mov_kind(inst.ty), Rhs::Reg(source));
        }
        Add => int::add(cx, index, inst),
        Sub => int::sub(cx, index, inst),
        And => int::and(cx, index, inst),
        Or | Xor => int::or_xor(cx, index, inst),
        Mul => int::mul(cx, index, inst),
        MulHiS | MulHiU => int::mul_high(cx, index, inst),
        DivS | DivU | RemS | RemU => divide::divide(cx, index, inst),
        Shl | ShrS | ShrU | Rotl | Rotr => int::shift(cx, index, inst),
        Clz | Ctz | Popcnt => int::bits(cx, index, inst),
        Extend8S | Extend16S | Extend32S | ExtendS | ExtendU | Wrap => int::extend(cx, index, inst),
        Eqz | Eq | Ne | LtS | LtU | GtS | GtU | LeS | LeU | GeS | GeU | FEq | FNe | FLt | FGt
        | FLe | FGe => {
            let def = cx.result(index);
            let cc = compare::compare(cx, inst);
            cx.op(MOp::SetCc, Aux::default().with_cc(cc), 0, &[def_reg(def)]);
        }
        Select => compare::select(cx, index, inst),
        FAdd | FSub | FMul | FDiv => float::binary(cx, index, inst),
        FMin | FMax => float::min_max(cx, index, inst),
        FCopysign => float::copysign(cx, index, inst),
        FNeg | FAbs => float::sign(cx, index, inst),
        FSqrt | FCeil | FFloor | FTrunc | FNearest => float::unary(cx, index, inst),
        TruncS | TruncU | TruncSatS | TruncSatU => float::truncate(cx, index, inst),
        ConvertS | ConvertU => float::convert(cx, index, inst),
        Demote | Promote => float::resize(cx, index, inst),
        Bitcast => float::bitcast(cx, index, inst),
        Load | Load8S | Load8U | Load16S | Load16U | Load32S | Load32U => {
            memory::load(cx, index, inst);
        }
        Store | Store8 | Store16 | Store32 => memory::store(cx, inst),
        MemSize => memory::size(cx, index, inst),
        GlobalGet => memory::global_get(cx, index, inst),
        GlobalSet => memory::global_set(cx, inst),
        TableGet => memory::table_get(cx, index, inst),
        TableSet => memory::table_set(cx, inst),
        TableSize => memory::table_size(cx, index, inst),
        RefFunc => call::ref_func(cx, index, inst),
        SlotLoad => {
            let def = cx.result(index);
            cx.mov(def, mov_kind(inst.ty), Rhs::Mem(memory::slot(inst.c)));
        }
        SlotStore => {
            memory::store_to(cx, inst.va(), mov_kind(inst.ty), inst.ty, |_| memory::slot(inst.c))
        }
        HomeLoad => {
            let def = cx.result(index);
            let home = memory::home(cx, inst.c);
            cx.mov(def, mov_kind(inst.ty), Rhs::Mem(home));
        }
        HomeSelect => {
            let def = cx.result(index);
            let cond = cx.low32(inst.va());
            let operands = [def_reg(def), use_reg(cond)];
            cx.op_full(
                MOp::HomeSelect,
                kind_aux(mov_kind(inst.ty)),
                0,
                inst.c as i32,
                0,
                &operands,
            );
        }
        HomeStore => {
            let home = memory::home(cx, inst.c);
            memory::store_to(cx, inst.va(), mov_kind(inst.ty), inst.ty, |_| home);
        }
        HomeMove => call::copy_homes(cx, MOp::HomeMove, inst),
        HomeShift => call::shift_homes(cx, inst),
        HomePass => call::copy_homes(cx, MOp::HomePass, inst),
        HomeTake => call::copy_homes(cx, MOp::HomeTake, inst),
        TrapIf => {
            let cc = compare::condition(cx, inst.va());
            cx.op(MOp::TrapCc, Aux::default().with_cc(cc).with_kind(u32::from(inst.aux)), 0, &[]);
        }
        Fuel => cx.op(MOp::Fuel, Aux::default(), inst.c as i32, &[]),
        FuelBack => cx.op(MOp::FuelBack, Aux::default(), inst.c as i32, &[]),
        FuelFor => {
            let len = cx.get(inst.va());
            cx.op(MOp::FuelFor, Aux::default(), inst.c as i32, &[use_reg(len)]);
        }
        Call | CallIndirect | CallRef => call::call(cx, index, inst),
        LibCall => call::libcall(cx, index, inst),
        Jump | BrIf | BrTable | Return | ReturnCall | ReturnCallIndirect | ReturnCallRef | Trap => {
        }
    }
}

/// Selects the end of a block.
pub(super) fn terminator(cx: &mut Lower<'_>, inst: &Inst) {
    match inst.op {
        Op::Jump => {
            cx.edge::<X64>(EdgeRef(inst.a));
            cx.op(MOp::Jmp, Aux::default(), 0, &[]);
        }
        Op::BrIf => {
            cx.edge::<X64>(EdgeRef(inst.b));
            cx.edge::<X64>(EdgeRef(inst.c));
            let cc = compare::condition(cx, inst.va());
            cx.op(MOp::Jcc, Aux::default().with_cc(cc), 0, &[]);
        }
        Op::BrTable => branch_table(cx, inst),
        Op::Return => call::ret(cx, inst),
        Op::ReturnCall | Op::ReturnCallIndirect | Op::ReturnCallRef => call::tail_call(cx, inst),
        _ => cx.op(MOp::Ud2, Aux::default().with_kind(u32::from(inst.aux)), 0, &[]),
    }
}

/// A table of up to this many entries besides the default becomes a chain of comparisons.
pub(super) const CHAIN_ENTRIES: usize = 4;

fn branch_table(cx: &mut Lower<'_>, inst: &Inst) {
    let func = cx.func;
    for edge in func.table_edges(inst) {
        cx.edge::<X64>(edge);
    }
    let entries = func.table_entries(inst);
    let end = inst.b + inst.c;
    let (at, len) = ((end as usize - entries.len()) as i32, entries.len() as i32);
    let table = |cx: &mut Lower<'_>, op, operands: &[Operand]| {
        cx.op_full(op, Aux::default(), at, len, 0, operands);
    };
    let first = entries.first().copied().unwrap_or(0);
    if entries.iter().all(|&e| e == first) {
        // One edge is taken whatever the index is, but all of them must have been announced.
        cx.op(MOp::Jmp, Aux::default(), first as i32, &[]);
        return;
    }
    if entries.len() <= CHAIN_ENTRIES + 1 {
        let index = cx.low32(inst.va());
        table(cx, MOp::Switch, &[use_reg(index)]);
        return;
    }
    let index = cx.low32(inst.va());
    let address = cx.temp(Type::I64);
    table(cx, MOp::TableAddr, &[def_reg(address), use_late(index)]);
    table(cx, MOp::JmpTable, &[use_reg(address)]);
}
