//! What machine code of one function has to fulfil, whatever it does.

use iced_x86::{
    CpuidFeature, Decoder, DecoderOptions, FlowControl, Instruction, InstructionInfoFactory,
    Mnemonic, OpAccess, OpKind, Register,
};
use runwell_abi::target::Features;
use runwell_abi::{TrapCode, vmctx};
use runwell_codegen::CompiledFunction;

/// Checks that
///
/// - the instructions decode without gaps and need nothing that the target lacks,
/// - branches go to instructions, and the last instruction does not run into the data,
/// - calls of functions are the relocations and the other way around,
/// - addresses of constants lie behind the instructions, aligned, and table entries are instructions,
/// - positions of traps and of the source are instructions, ascending; every `ud2` is a trap,
/// - the stack pointer changes by the frame in the first instruction and at each end,
/// - it is aligned at calls,
/// - callee-saved registers are saved before they change and restored from the same place at each
///   end, and the pinned registers are only loaded, that of the fuel only counted up and down.
pub(crate) fn check(
    compiled: &CompiledFunction,
    features: Features,
    metered: bool,
) -> Result<(), String> {
    let end = compiled.code_bytes;
    let code = &compiled.code[..end as usize];
    let mut insts: Vec<Instruction> = Vec::new();
    for inst in &mut Decoder::with_ip(64, code, 0, DecoderOptions::NONE) {
        ensure(!inst.is_invalid(), || format!("undecodable at {:#x}", inst.ip()))?;
        insts.push(inst);
    }
    let last = insts.last().ok_or("no instructions")?;
    ensure(last.next_ip() == u64::from(end), || "a cut-off instruction".to_string())?;
    ensure(ends(last), || format!("runs into the data: {last}"))?;
    let starts: Vec<u32> = insts.iter().map(|inst| inst.ip() as u32).collect();
    let is_start = |at: u64| starts.binary_search(&(at as u32)).is_ok() && at < u64::from(end);
    let mut relocs = compiled.relocs.iter().peekable();
    for (at, inst) in insts.iter().enumerate() {
        supported(inst, features)?;
        if inst.op_count() > 0 && inst.op0_kind() == OpKind::NearBranch64 {
            if relocs.next_if(|&&(field, _)| u64::from(field) + 4 == inst.next_ip()).is_some() {
                let direct = matches!(inst.mnemonic(), Mnemonic::Call | Mnemonic::Jmp);
                ensure(direct && inst.len() == 5, || format!("a relocation in {inst}"))?;
            } else {
                ensure(inst.mnemonic() != Mnemonic::Call, || format!("calls itself: {inst}"))?;
                ensure(is_start(inst.near_branch64()), || format!("{inst} goes nowhere"))?;
            }
        }
        if inst.is_ip_rel_memory_operand() {
            let target = inst.ip_rel_memory_address();
            if inst.mnemonic() == Mnemonic::Lea {
                table(compiled, &insts[..at], target, &is_start)?;
            } else {
                let bytes = inst.memory_size().size() as u64;
                let inside = target >= u64::from(end)
                    && target + bytes <= compiled.code.len() as u64
                    && target.is_multiple_of(bytes);
                ensure(inside, || format!("no constant for {inst}"))?;
            }
        }
    }
    ensure(relocs.next().is_none(), || "a relocation outside of a call".to_string())?;
    positions(compiled, &insts, &is_start)?;
    registers(compiled, &insts, metered)
}

fn ensure(holds: bool, what: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(what()) }
}

/// True if nothing after the instruction is reached from it.
fn ends(inst: &Instruction) -> bool {
    inst.mnemonic() == Mnemonic::Ud2
        || matches!(
            inst.flow_control(),
            FlowControl::Return | FlowControl::UnconditionalBranch | FlowControl::IndirectBranch
        )
}

fn supported(inst: &Instruction, features: Features) -> Result<(), String> {
    for &feature in inst.cpuid_features() {
        let wanted = match feature {
            CpuidFeature::BMI1 => Features::BMI1,
            CpuidFeature::BMI2 => Features::BMI2,
            CpuidFeature::LZCNT => Features::LZCNT,
            CpuidFeature::AVX => Features::AVX,
            CpuidFeature::AVX512DQ => Features::AVX512DQ,
            // The level x86-64-v2.
            CpuidFeature::INTEL8086
            | CpuidFeature::INTEL186
            | CpuidFeature::INTEL286
            | CpuidFeature::INTEL386
            | CpuidFeature::INTEL486
            | CpuidFeature::X64
            | CpuidFeature::CMOV
            | CpuidFeature::SSE
            | CpuidFeature::SSE2
            | CpuidFeature::SSE3
            | CpuidFeature::SSSE3
            | CpuidFeature::SSE4_1
            | CpuidFeature::SSE4_2
            | CpuidFeature::POPCNT => Features::default(),
            other => return Err(format!("{inst} needs {other:?}")),
        };
        ensure(features.has(wanted), || format!("{inst} needs {feature:?}"))?;
    }
    Ok(())
}

/// A jump table, whose last entry the code before its use has put into a register.
fn table(
    compiled: &CompiledFunction,
    before: &[Instruction],
    target: u64,
    is_start: &dyn Fn(u64) -> bool,
) -> Result<(), String> {
    let bound = before.iter().rev().take(3).find(|inst| inst.mnemonic() == Mnemonic::Mov);
    let bound = bound.and_then(|inst| inst.try_immediate(1).ok()).ok_or("a table without bound")?;
    ensure(target >= u64::from(compiled.code_bytes) && target.is_multiple_of(4), || {
        format!("a table at {target:#x}")
    })?;
    for entry in 0..=bound {
        let at = (target + 4 * entry) as usize;
        let field = compiled.code.get(at..at + 4).ok_or("a table that ends too early")?;
        let distance = i32::from_le_bytes(field.try_into().map_err(|_| "four bytes")?);
        let goes_to = target.wrapping_add_signed(distance.into());
        ensure(is_start(goes_to), || format!("entry {entry} goes to {goes_to:#x}"))?;
    }
    Ok(())
}

fn positions(
    compiled: &CompiledFunction,
    insts: &[Instruction],
    is_start: &dyn Fn(u64) -> bool,
) -> Result<(), String> {
    let traps = &compiled.traps;
    ensure(traps.is_sorted_by(|a, b| a.0 < b.0), || format!("traps {traps:?}"))?;
    ensure(compiled.srclocs.is_sorted_by(|a, b| a.0 < b.0), || "source positions".to_string())?;
    for &(at, _) in &compiled.srclocs {
        ensure(is_start(at.into()), || format!("a source position at {at:#x}"))?;
    }
    ensure(compiled.srclocs.first().is_some_and(|&(at, _)| at == 0), || "no source".to_string())?;
    let mut left = traps.iter().peekable();
    // Whether the flags are those of a comparison of floats, or of the stub that says the same: the runtime
    // looks at them to tell a NaN from a number out of range.
    let mut compared = false;
    for inst in insts {
        let trap = left.next_if(|&&(at, _)| u64::from(at) == inst.ip()).map(|&(_, code)| code);
        let explicit = inst.mnemonic() == Mnemonic::Ud2;
        ensure(trap.is_some() || !explicit, || format!("a trap without code at {:#x}", inst.ip()))?;
        if trap == Some(TrapCode::BadConversionToInteger) {
            ensure(explicit && compared, || format!("{inst} at {:#x} without flags", inst.ip()))?;
        }
        compared = match inst.mnemonic() {
            Mnemonic::Ucomiss | Mnemonic::Ucomisd => true,
            Mnemonic::Xor => inst.op0_register() == inst.op1_register(),
            Mnemonic::Call => {
                inst.memory_base() == Register::R14
                    && inst.memory_displacement64() == u64::from(vmctx::TRUNCATE_STUB)
            }
            Mnemonic::Mov => compared,
            _ => compared && inst.flow_control() == FlowControl::ConditionalBranch,
        };
        let Some(code) = trap.filter(|_| !explicit) else { continue };
        let operands = (0..inst.op_count()).any(|at| inst.op_kind(at) == OpKind::Memory);
        let faults = match code {
            TrapCode::MemoryOutOfBounds => operands,
            // By a register, which the runtime looks at to tell a zero from a quotient without room.
            TrapCode::IntegerDivisionByZero => {
                matches!(inst.mnemonic(), Mnemonic::Div | Mnemonic::Idiv) && !operands
            }
            // The type of the function that there is not.
            TrapCode::IndirectCallToNull => operands && inst.mnemonic() == Mnemonic::Cmp,
            _ => false,
        };
        ensure(faults, || format!("{inst} does not trap with {code:?}"))?;
    }
    ensure(left.next().is_none(), || "a trap inside of an instruction".to_string())
}

fn registers(
    compiled: &CompiledFunction,
    insts: &[Instruction],
    metered: bool,
) -> Result<(), String> {
    use Register::{R12, R13, R14, R15, RBP, RBX, RSP};
    let mut factory = InstructionInfoFactory::new();
    // Each register with the place of its first store, which comes before it changes.
    let mut saved: Vec<(Register, u64)> = Vec::new();
    for (at, inst) in insts.iter().enumerate() {
        let to_stack = inst.op0_kind() == OpKind::Memory && inst.memory_base() == RSP;
        if inst.mnemonic() == Mnemonic::Mov && to_stack && inst.op1_kind() == OpKind::Register {
            let reg = inst.op1_register();
            if matches!(reg, RBX | RBP | R12 | R13) && !saved.iter().any(|&(known, _)| known == reg)
            {
                saved.push((reg, inst.memory_displacement64()));
            }
        }
        let plain_load = inst.mnemonic() == Mnemonic::Mov && inst.op1_kind() == OpKind::Memory;
        let mut written: Vec<Register> = Vec::new();
        for used in factory.info(inst).used_registers() {
            let writes = matches!(
                used.access(),
                OpAccess::Write
                    | OpAccess::ReadWrite
                    | OpAccess::CondWrite
                    | OpAccess::ReadCondWrite
            );
            if writes {
                written.push(used.register().full_register());
            }
        }
        for reg in written {
            let fine = match reg {
                RSP if matches!(inst.mnemonic(), Mnemonic::Call | Mnemonic::Ret) => true,
                RSP => {
                    let frame =
                        inst.try_immediate(1).is_ok_and(|by| by == u64::from(compiled.frame_bytes));
                    frame
                        && match inst.mnemonic() {
                            Mnemonic::Sub => at == 0,
                            Mnemonic::Add => insts.get(at + 1).is_some_and(ends),
                            _ => false,
                        }
                }
                R13 if metered => matches!(inst.mnemonic(), Mnemonic::Sub | Mnemonic::Add),
                RBX | RBP | R12 | R13 => saved.iter().any(|&(known, _)| known == reg),
                R14 | R15 => plain_load,
                _ => true,
            };
            ensure(fine, || format!("{inst} at {:#x} changes {reg:?}", inst.ip()))?;
        }
        let leaves = matches!(inst.flow_control(), FlowControl::Return);
        let released = at > 0 && insts[at - 1].mnemonic() == Mnemonic::Add;
        ensure(!leaves || compiled.frame_bytes == 0 || released, || "keeps its frame".to_string())?;
        // The stub for fuel aligns the stack itself, and those for conversions take none.
        let [single, double] = vmctx::CONVERT_STUBS;
        let anyhow = [vmctx::FUEL_STUB, vmctx::TRUNCATE_STUB, single, double].map(u64::from);
        let anyhow = inst.memory_base() == R14 && anyhow.contains(&inst.memory_displacement64());
        if inst.mnemonic() == Mnemonic::Call && !anyhow {
            let frame = compiled.frame_bytes;
            ensure(frame % 16 == 8, || format!("a call from a frame of {frame} bytes"))?;
        }
        if inst.mnemonic() == Mnemonic::Add && inst.op0_register() == RSP {
            restored(&insts[..at], &saved)?;
        }
    }
    Ok(())
}

/// True if the instructions end with loads of what was saved.
fn restored(before: &[Instruction], saved: &[(Register, u64)]) -> Result<(), String> {
    let loads: Vec<(Register, u64)> = before
        .iter()
        .rev()
        .take_while(|inst| inst.mnemonic() == Mnemonic::Mov && inst.op1_kind() == OpKind::Memory)
        .filter(|inst| inst.memory_base() == Register::RSP)
        .map(|inst| (inst.op0_register(), inst.memory_displacement64()))
        .collect();
    let missing = saved.iter().find(|place| !loads.contains(place));
    ensure(missing.is_none(), || format!("{missing:?} is not restored"))
}
