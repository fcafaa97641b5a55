//! Calls, returns, and the arguments of the function itself.

use super::memory::MAX_ELEMENT;
use super::{RAX, RCX, RDI, RSI, Rhs, def_fixed, def_reg, int_size, mov_kind, use_fixed, use_reg};
use crate::lower::Lower;
use crate::vcode::{Operand, PReg, RegSet, VReg};
use crate::x64::inst::{Amode, Aux, MOp, MovKind, Src, cc, spread_types};
use crate::x64::{ALLOCATABLE, callee_saved};
use runwell_abi::call::{FLOAT_ARGS, INT_ARGS, LIBCALL_ARGS, NARROW_PARAMS, NARROW_RESULTS};
use runwell_abi::{ArgLoc, CallAbi, vmctx};
use runwell_ir::{Inst, Op, TrapCode, Type, Value};

/// The operands of a call: results and arguments in registers, and the record.
struct Operands {
    items: [Operand; Self::MAX],
    len: usize,
}

impl Operands {
    const MAX: usize = 24;

    fn new() -> Operands {
        let none = Operand::used(VReg::NONE, crate::vcode::Constraint::Any);
        Operands { items: [none; Self::MAX], len: 0 }
    }

    fn push(&mut self, operand: Operand) {
        self.items[self.len] = operand;
        self.len += 1;
    }

    fn as_slice(&self) -> &[Operand] {
        &self.items[..self.len]
    }
}

/// A cell of the transfer buffer.
fn cell(runtime: VReg, number: u16) -> Amode {
    Amode::reg(runtime, (vmctx::RT_TRANSFER + 16 * u32::from(number)) as i32)
}

fn runtime(cx: &mut Lower<'_>) -> VReg {
    cx.load(Type::I64, MovKind::Q, Amode::vmctx(vmctx::RUNTIME))
}

/// Copies homes, or homes and the transfer buffer.
pub(super) fn copy_homes(cx: &mut Lower<'_>, op: MOp, inst: &Inst) {
    let clobbers = cx.clobbers(RegSet::EMPTY.with(RSI).with(RDI).with(RCX));
    let aux = Aux::default().with_count(inst.aux.into());
    cx.op_full(op, aux, inst.a as i32, inst.c as i32, clobbers, &[]);
}

/// Copies homes down from where a value says.
pub(super) fn shift_homes(cx: &mut Lower<'_>, inst: &Inst) {
    let clobbers = cx.clobbers(RegSet::EMPTY.with(RSI).with(RDI).with(RCX));
    let end = cx.get(inst.va());
    let aux = Aux::default().with_count(inst.aux.into());
    cx.op_full(MOp::HomeShift, aux, inst.c as i32, 0, clobbers, &[use_fixed(end, RSI)]);
}

/// What a call that names no arguments, but has narrow ones, has to load from homes; the instruction before
/// it says from which.
fn spread(cx: &mut Lower<'_>, index: u32, types: &[Type], args: &[u32]) -> Spread {
    if !args.is_empty() || types.is_empty() || types.len() > NARROW_PARAMS {
        return Spread::default();
    }
    let before = index.wrapping_sub(1);
    match cx.func.insts.get(before as usize) {
        Some(pass) if pass.op == Op::HomePass => {
            cx.fold(before);
            // The stub that does it is called.
            cx.facts.calls = true;
            Spread { aux: Aux::default().with_spread(spread_types(types)), home: pass.c as i32 }
        }
        _ => {
            cx.bug("a call without arguments");
            Spread::default()
        }
    }
}

/// `VInst::aux` and `VInst::disp` of a call.
#[derive(Copy, Clone, Default)]
struct Spread {
    aux: Aux,
    home: i32,
}

/// Puts values where `abi` wants them: cells are stored, registers become operands. There may be none,
/// when all of them are in the transfer buffer already.
fn pass(
    cx: &mut Lower<'_>,
    mut abi: CallAbi,
    types: &[Type],
    values: &[u32],
    operands: &mut Operands,
) {
    let mut record = None;
    let mut locate = abi.clone();
    // Cells first: a store needs registers for its own.
    for (&value, &ty) in values.iter().zip(types) {
        if let ArgLoc::Cell(number) = locate.next(ty) {
            let record = *record.get_or_insert_with(|| runtime(cx));
            super::memory::store_to(cx, Value(value), mov_kind(ty), ty, |_| cell(record, number));
        }
    }
    for (&value, &ty) in values.iter().zip(types) {
        let reg = match abi.next(ty) {
            ArgLoc::Int(hw) => PReg::int(hw),
            ArgLoc::Float(number) => PReg::float(number),
            ArgLoc::Cell(_) => continue,
        };
        let vreg = cx.get_exact(Value(value));
        operands.push(use_fixed(vreg, reg));
    }
}

/// Defines what comes in registers and returns what has to be loaded from cells.
///
/// `wanted(n)` is the register that result or parameter `n` has to define. With `gaps`, a register
/// between wanted ones is defined as well, which keeps the number of clobber sets small.
fn receive(
    cx: &mut Lower<'_>,
    mut abi: CallAbi,
    types: &[Type],
    wanted: &[Option<VReg>],
    gaps: bool,
    operands: &mut Operands,
    cells: &mut Vec<(VReg, u16, Type)>,
) {
    let mut locate = abi.clone();
    let mut last = [0; 2];
    for (number, (&ty, vreg)) in types.iter().zip(wanted).enumerate() {
        let loc = locate.next(ty);
        if vreg.is_some() && !matches!(loc, ArgLoc::Cell(_)) {
            last[usize::from(ty.is_float_class())] = number + 1;
        }
    }
    for (number, (&ty, &vreg)) in types.iter().zip(wanted).enumerate() {
        let reg = match abi.next(ty) {
            ArgLoc::Int(hw) => PReg::int(hw),
            ArgLoc::Float(number) => PReg::float(number),
            ArgLoc::Cell(at) => {
                if let Some(vreg) = vreg {
                    cells.push((vreg, at, ty));
                }
                continue;
            }
        };
        match vreg {
            Some(vreg) => operands.push(def_fixed(vreg, reg)),
            None if gaps && number < last[usize::from(ty.is_float_class())] => {
                let dead = cx.temp(ty);
                operands.push(def_fixed(dead, reg));
            }
            None => {}
        }
    }
}

fn load_cells(cx: &mut Lower<'_>, cells: &[(VReg, u16, Type)]) {
    if cells.is_empty() {
        return;
    }
    let record = runtime(cx);
    for &(vreg, number, ty) in cells {
        cx.mov(vreg, mov_kind(ty), Rhs::Mem(cell(record, number)));
    }
}

/// The start of the function: defines the parameters that are used.
pub(in crate::x64) fn entry(cx: &mut Lower<'_>, params: u32) {
    let func = cx.func;
    let (mut operands, mut cells) = (Operands::new(), Vec::new());
    let types = &func.signature().params;
    let mut wanted = [None; NARROW_PARAMS];
    for at in 0..params {
        if !cx.used(at) {
            continue;
        }
        let (vreg, inst) = (cx.result(at), &func.insts[at as usize]);
        match wanted.get_mut(inst.c as usize) {
            Some(wanted) if !func.signature().wide_params() => *wanted = Some(vreg),
            _ => cells.push((vreg, inst.c as u16, inst.ty)),
        }
    }
    if !func.signature().wide_params() {
        let abi = CallAbi::args(types.len());
        receive(cx, abi, types, &wanted, false, &mut operands, &mut cells);
    }
    cx.op(MOp::Args, Aux::default(), 0, operands.as_slice());
    load_cells(cx, &cells);
}

pub(super) fn ret(cx: &mut Lower<'_>, inst: &Inst) {
    let func = cx.func;
    let mut operands = Operands::new();
    let types = &func.signature().results;
    pass(cx, CallAbi::results(types.len()), types, func.list(inst), &mut operands);
    cx.op(MOp::Ret, Aux::default(), 0, operands.as_slice());
}

/// The record that a call goes through.
enum Target {
    Direct(u32),
    Import(VReg),
    Reference(VReg),
}

/// Finds out what is called, with all checks; the arguments are what remains of the list.
fn target<'f>(cx: &mut Lower<'f>, inst: &Inst) -> (Target, &'f [u32]) {
    let func = cx.func;
    let list = func.list(inst);
    match inst.op {
        Op::Call | Op::ReturnCall => {
            if inst.c >= cx.env.imported_funcs {
                return (Target::Direct(inst.c), list);
            }
            let at = Amode::vmctx(cx.env.layout.imported_func(inst.c));
            (Target::Import(cx.load(Type::FuncRef, MovKind::Q, at)), list)
        }
        Op::CallIndirect | Op::ReturnCallIndirect => {
            let Some((&index, args)) = list.split_first() else {
                cx.bug("an indirect call without index");
                return (Target::Direct(0), list);
            };
            (Target::Reference(callee(cx, inst, Value(index))), args)
        }
        _ => {
            let Some((&reference, args)) = list.split_first() else {
                cx.bug("a call without reference");
                return (Target::Direct(0), list);
            };
            let record = cx.get(Value(reference));
            let aux = Aux::sized(3).from(Src::Reg);
            cx.op(MOp::Test, aux, 0, &[use_reg(record), use_reg(record)]);
            cx.trap_if(cc::E, TrapCode::NullReference);
            (Target::Reference(record), args)
        }
    }
}

/// The function that an indirect call is to, with all checks: one operation, since three bytes of Wasm ask
/// for it.
fn callee(cx: &mut Lower<'_>, inst: &Inst, index: Value) -> VReg {
    let record = cx.temp(Type::FuncRef);
    let ty = cx.func.value_type(index);
    let aux = Aux::sized(int_size(ty)).with_table(u32::from(inst.call_aux()));
    let (wanted, def) = (inst.c as i32, def_reg(record));
    match cx.const_bits(index) {
        Some(at) if at < MAX_ELEMENT => {
            cx.op_full(MOp::Callee, aux.from(Src::Imm), wanted, at as i32, 0, &[def]);
        }
        _ => match cx.left_home(index, ty) {
            Some(home) => cx.op_mem(MOp::Callee, aux.from(Src::Mem), wanted, &home, &[def]),
            None => {
                let index = cx.get(index);
                cx.op(MOp::Callee, aux.from(Src::Reg), wanted, &[def, use_reg(index)]);
            }
        },
    }
    record
}

/// What a call destroys besides what it defines.
fn clobbers(cx: &mut Lower<'_>, defs: &Operands) -> u8 {
    let mut set = RegSet(ALLOCATABLE.0 & !callee_saved().0);
    for operand in defs.as_slice() {
        if let crate::vcode::Constraint::Fixed(reg) = operand.constraint() {
            set = set.without(reg);
        }
    }
    cx.clobbers(set)
}

pub(super) fn call(cx: &mut Lower<'_>, index: u32, inst: &Inst) {
    let func = cx.func;
    let (params, results) = {
        let sig = &func.sigs[func.call_sig(inst).index()];
        (&sig.params, &sig.results)
    };
    // Results beyond the first are made by the instructions behind the call.
    let results = if results.len() > NARROW_RESULTS { &[] } else { &**results };
    let mut wanted = [None; NARROW_RESULTS];
    let wanted = &mut wanted[..results.len()];
    if let Some(first) = wanted.first_mut() {
        *first = cx.wanted(index);
    }
    for at in index + 1..func.insts.len().min(index as usize + results.len()) as u32 {
        let result = &func.insts[at as usize];
        if result.op == Op::CallResult
            && result.a == index
            && let Some(slot) = wanted.get_mut(usize::from(result.aux))
        {
            *slot = cx.wanted(at);
        }
    }
    let (target, args) = target(cx, inst);
    let (mut operands, mut cells) = (Operands::new(), Vec::new());
    receive(cx, CallAbi::results(results.len()), results, wanted, true, &mut operands, &mut cells);
    let clobbers = clobbers(cx, &operands);
    let spread = spread(cx, index, params, args);
    pass(cx, CallAbi::args(params.len()), params, args, &mut operands);
    let (op, imm) = match target {
        Target::Direct(callee) => {
            cx.facts.switches |= cx.env.tail_calls_leave;
            (MOp::Call, callee as i32)
        }
        Target::Import(record) | Target::Reference(record) => {
            cx.facts.switches = true;
            operands.push(use_fixed(record, RAX));
            // What is short rather than fast is the way for all: an index that lies in the frame has cost no
            // byte of Wasm.
            let home =
                |&index: &u32| cx.func.def(Value(index)).is_some_and(|d| d.op == Op::HomeLoad);
            let short = func.list(inst).first().is_some_and(home);
            let import =
                matches!(target, Target::Import(_)) || inst.op == Op::CallIndirect && short;
            (if import { MOp::CallImport } else { MOp::CallRef }, 0)
        }
    };
    cx.facts.calls = true;
    cx.facts.calls_guest = true;
    cx.op_full(op, spread.aux, imm, spread.home, clobbers, operands.as_slice());
    load_cells(cx, &cells);
}

pub(super) fn tail_call(cx: &mut Lower<'_>, inst: &Inst) {
    let func = cx.func;
    let params = &func.sigs[func.call_sig(inst).index()].params;
    let (target, args) = target(cx, inst);
    let mut operands = Operands::new();
    let spread = spread(cx, cx.root(), params, args);
    pass(cx, CallAbi::args(params.len()), params, args, &mut operands);
    let (op, imm) = match target {
        Target::Direct(callee) => (MOp::TailCall, callee as i32),
        Target::Import(record) | Target::Reference(record) => {
            operands.push(use_fixed(record, RAX));
            (MOp::TailRef, 0)
        }
    };
    cx.op_full(op, spread.aux, imm, spread.home, 0, operands.as_slice());
}

pub(super) fn libcall(cx: &mut Lower<'_>, index: u32, inst: &Inst) {
    let func = cx.func;
    let mut operands = Operands::new();
    let result = cx.wanted(index);
    // A 32-bit result comes with anything in its upper half.
    let narrow = result.filter(|_| inst.ty == Type::I32);
    let raw = if narrow.is_some() { Some(cx.temp(Type::I64)) } else { result };
    if let Some(raw) = raw {
        operands.push(def_fixed(raw, RAX));
    }
    let clobbers = clobbers(cx, &operands);
    for (&value, &hw) in func.list(inst).iter().zip(&LIBCALL_ARGS) {
        let vreg = cx.get(Value(value));
        operands.push(use_fixed(vreg, PReg::int(hw)));
    }
    cx.facts.calls = true;
    let helper = i32::from(inst.call_aux());
    cx.op_full(MOp::CallLib, Aux::default(), helper, 0, clobbers, operands.as_slice());
    if let (Some(def), Some(raw)) = (narrow, raw) {
        cx.mov(def, MovKind::L, Rhs::Reg(raw));
    }
}

pub(super) fn ref_func(cx: &mut Lower<'_>, index: u32, inst: &Inst) {
    let def = cx.result(index);
    if inst.c < cx.env.imported_funcs {
        let at = Amode::vmctx(cx.env.layout.imported_func(inst.c));
        return cx.mov(def, MovKind::Q, Rhs::Mem(at));
    }
    let escaped = cx.env.escaped.get(inst.c as usize).copied().unwrap_or(u32::MAX);
    if escaped == u32::MAX {
        return cx.bug("a reference to a function that does not escape");
    }
    let at = Amode::vmctx(cx.env.layout.escaped_func(escaped));
    cx.op_mem(MOp::Lea, Aux::sized(3), 0, &at, &[def_reg(def)]);
}

const _: () = assert!(NARROW_RESULTS + INT_ARGS.len() + FLOAT_ARGS < Operands::MAX);
