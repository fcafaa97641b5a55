//! Calls, returns, traps, and the frame.

use super::Class::{Fixed, Float, Int};
use super::{Form, Sweep, form, listing};
use crate::regalloc::Loc;
use crate::vcode::PReg;
use crate::x64::inst::{Aux, MOp, MovKind, Src, spread_types};
use runwell_abi::{LibCall, TrapCode, VmctxCounts, VmctxLayout};

pub(super) fn sweep(s: &mut Sweep) {
    let aux = Aux::default();
    for code in TrapCode::ALL {
        let trap = form(MOp::Ud2, aux.with_kind(code as u32), 0, &[]);
        // Parity says that it was no number.
        let flags: &[&str] = match code {
            TrapCode::BadConversionToInteger => &["xor r11d, r11d"],
            _ => &[],
        };
        s.check(&trap, |_| true, &[flags, &["ud2", "ret"]].concat());
        assert_eq!(s.emit(&trap, &[]).traps, [(3 * flags.len() as u32, code)]);
    }
    for helper in LibCall::ALL {
        // Zero is no special case: flags may be lost, but the encoder keeps them.
        let number = *helper as i32;
        let line = format!("mov eax, {number}");
        let call = form(MOp::CallLib, aux, number, &[]);
        s.check(&call, |_| true, &[&line, "call qword ptr [r14+0x10]", "ret"]);
    }
    fuel(s);
    copies(s);
    calls(s);
    callees(s);
    spread(s);
    leaving(s);
}

/// Homes are 16 bytes each, from 0x100 on.
fn copies(s: &mut Sweep) {
    const COPY: [&str; 3] = ["mov ecx, 0x14", "rep movsq [rdi], [rsi]", "ret"];
    let copy = |op, to| Form { disp: 3, ..form(op, Aux::default().with_count(10), to, &[]) };
    let down = ["lea rsi, [rsp+0x130]", "lea rdi, [rsp+0x110]"];
    s.check(&copy(MOp::HomeMove, 1), |_| true, &[&down[..], &COPY].concat());
    s.dense = true;
    let short = ["mov ecx, 0x28", "rep movsd [rdi], [rsi]", "ret"];
    s.check(&copy(MOp::HomeMove, 1), |_| true, &[&down[..], &short].concat());
    s.dense = false;
    let shift = form(MOp::HomeShift, Aux::default().with_count(10), 1, &[Fixed(6)]);
    let shift = Form { disp: 0, ..shift };
    let from = ["shl rsi, 4", "lea rsi, [rsp+rsi+0x60]", "lea rdi, [rsp+0x110]"];
    s.check(&shift, |_| true, &[&from[..], &COPY].concat());
    let out = ["lea rsi, [rsp+0x130]", "mov rdi, [r14]", "add rdi, 0x40"];
    s.check(&copy(MOp::HomePass, 0), |_| true, &[&out[..], &COPY].concat());
    let into = ["lea rdi, [rsp+0x130]", "mov rsi, [r14]", "add rsi, 0x40"];
    s.check(&copy(MOp::HomeTake, 0), |_| true, &[&into[..], &COPY].concat());
    for (kind, class, load, other) in [
        (MovKind::L, Int, "mov {0d}, [rsp+0x140]", "cmovne {0d}, [rsp+0x130]"),
        (MovKind::Q, Int, "mov {0q}, [rsp+0x140]", "cmovne {0q}, [rsp+0x130]"),
    ] {
        let select = form(MOp::HomeSelect, Aux::default().with_kind(kind as u32), 0, &[class, Int]);
        let select = Form { disp: 3, ..select };
        s.check(&select, |_| true, &["test {1d}, {1d}", load, other, "ret"]);
    }
    for (kind, mov) in [(MovKind::F32, "movss"), (MovKind::F64, "movsd")] {
        let select = form(MOp::HomeSelect, Aux::default().with_kind(kind as u32), 0, &[Float, Int]);
        let select = Form { disp: 3, ..select };
        let (no, yes) =
            (format!("{mov} {{0x}}, [rsp+0x140]"), format!("{mov} {{0x}}, [rsp+0x130]"));
        s.check(&select, |_| true, &["test {1d}, {1d}", &no, "je @4", &yes, "ret"]);
    }
    // A single home of a variable's kind: number 2 behind the two variables is home 0.
    let load = Aux::default().with_kind(MovKind::L as u32).from(Src::Mem).with_base(7);
    let load = Form { disp: 4, ..form(MOp::MovX, load, 0, &[Int]) };
    s.check(&load, |_| true, &["mov {0d}, [rsp+0x120]", "ret"]);
}

fn fuel(s: &mut Sweep) {
    let aux = Aux::default();
    const STUB: &str = "call qword ptr [r14+8]";
    for units in [5, i32::MAX] {
        let text = if units == 5 { "5".to_string() } else { format!("{units:#x}") };
        let (take, put) = (format!("sub r13, {text}"), format!("add r13, {text}"));
        let charge = form(MOp::Fuel, aux, units, &[]);
        s.check(&charge, |_| true, &[&take, "jb @3", "ret", &put, STUB, "jmp @0"]);
        s.dense = true;
        if units == 5 {
            s.check(&charge, |_| true, &[&take, "jae @5", &put, STUB, "jmp @0", "ret"]);
        } else {
            let number = format!("mov r11d, {text}");
            let (take, put) = ("sub r13, r11", "add r13, r11");
            let lines = [&number, take, "jae @6", put, STUB, "jmp @0", "ret"];
            s.check(&charge, |_| true, &lines);
        }
        s.dense = false;
        s.check(&form(MOp::FuelBack, aux, units, &[]), |_| true, &[&put, "ret"]);
    }
    let by_length = form(MOp::FuelFor, aux, 6, &[Int]);
    let lines = [
        "mov r11, {0q}",
        "shr r11, 6",
        "sub r13, r11",
        "jb @5",
        "ret",
        "add r13, r11",
        STUB,
        "jmp @0",
    ];
    // The register of the fuel is not allocated in metered code.
    s.check(&by_length, |numbers| numbers[0] != 13, &lines);
}

const ENTER: [&str; 3] = ["mov r10, r14", "mov r14, [rax+8]", "mov r15, [rax+0x10]"];
/// The base of memory 0, behind the fixed head of the context.
const RELOAD: &str = "mov r15, [r14+0x40]";

fn calls(s: &mut Sweep) {
    let aux = Aux::default();
    for (op, name) in [(MOp::Call, "call @1"), (MOp::TailCall, "jmp @1")] {
        let call = form(op, aux, 77, &[]);
        s.check(&call, |_| true, &[name, "ret"]);
        assert_eq!(s.emit(&call, &[]).relocs, [(1, 77)]);
    }
    let record = [Fixed(0)];
    let import = form(MOp::CallImport, aux, 0, &record);
    let reference = form(MOp::CallRef, aux, 0, &record);
    let call = "call qword ptr [rax]";
    s.check(&import, |_| true, &[&ENTER[..], &[call, RELOAD, "ret"]].concat());
    let usual = ["cmp [rax+8], r14", "jne @4", call, "ret"];
    s.check(&reference, |_| true, &[&usual[..], &ENTER, &[call, RELOAD, "jmp @3"]].concat());
    let tail = form(MOp::TailRef, aux, 0, &record);
    s.check(&tail, |_| true, &[&ENTER[..], &["jmp qword ptr [rax]", "ret"]].concat());
    // With the own context in the frame.
    s.context = Some(0x58);
    let back = ["mov r14, [rsp+0x58]", RELOAD];
    s.check(&import, |_| true, &[&ENTER[..], &[call], &back, &["ret"]].concat());
    s.check(&reference, |_| true, &[&usual[..], &ENTER, &[call], &back, &["jmp @3"]].concat());
    // A callee may return with the registers of another instance: every call takes its own back.
    s.env.tail_calls_leave = true;
    let own = form(MOp::Call, aux, 77, &[]);
    s.check(&own, |_| true, &[&["call @1"][..], &back, &["ret"]].concat());
    s.check(&reference, |_| true, &[&ENTER[..], &[call], &back, &["ret"]].concat());
    let memories = core::mem::take(&mut s.env.memories);
    s.check(&own, |_| true, &["call @1", back[0], "ret"]);
    s.env.memories = memories;
    s.env.tail_calls_leave = false;
    s.context = None;
}

/// Functions in tables: table 1 is the module's own, table 0 is imported. Home number 2 behind the two
/// variables of the frame is home 0.
fn callees(s: &mut Sweep) {
    let layout = s.env.layout;
    let counts = VmctxCounts { imported_tables: 1, own_tables: 1, ..layout.counts };
    s.env.layout = VmctxLayout::new(counts);
    // A memory, the own table, the imported one, four types.
    let find = ["mov r11, [r14+0x60]", "cmp [r11+8], {1q}", "jbe @9", "mov r11, [r11]"];
    let check = ["mov r11d, [r14+0x6c]", "cmp r11d, [{0q}+0x18]", "jne @10", "ret", "ud2", "ud2"];
    let load = "mov {0q}, [r11+{1q}*8]";
    let aux = Aux::sized(3);
    let imported = form(MOp::Callee, aux.from(Src::Reg), 1, &[Int, Int]);
    s.check(&imported, |_| true, &[&find[..], &[load], &check].concat());
    let own = form(MOp::Callee, aux.from(Src::Reg).with_table(1), 1, &[Int, Int]);
    let find = ["cmp [r14+0x58], {1q}", "jbe @8", "mov r11, [r14+0x50]"];
    let check = ["mov r11d, [r14+0x6c]", "cmp r11d, [{0q}+0x18]", "jne @9", "ret", "ud2", "ud2"];
    s.check(&own, |_| true, &[&find[..], &[load], &check].concat());
    // The index is known.
    let fixed = form(MOp::Callee, aux.from(Src::Imm).with_table(1), 1, &[Int]);
    let fixed = Form { disp: 0x100, ..fixed };
    let find = ["cmp qword ptr [r14+0x58], 0x100", "jbe @8", "mov r11, [r14+0x50]"];
    let element = "mov {0q}, [r11+0x800]";
    s.check(&fixed, |_| true, &[&find[..], &[element], &check].concat());
    // It is at home.
    let check = ["mov r11d, [r14+0x6c]", "cmp r11d, [{0q}+0x18]", "jne @10", "ret", "ud2", "ud2"];
    let load = "mov {0q}, [r11+{0q}*8]";
    for (size, index) in [(2, "mov {0d}, [rsp+0x120]"), (3, "mov {0q}, [rsp+0x120]")] {
        let aux = Aux::sized(size).from(Src::Mem).with_base(7).with_table(1);
        let home = Form { disp: 4, ..form(MOp::Callee, aux, 1, &[Int]) };
        let find = [index, "cmp [r14+0x58], {0q}", "jbe @9", "mov r11, [r14+0x50]", load];
        s.check(&home, |_| true, &[&find[..], &check].concat());
        let traps = s.emit(&home, &[Loc::reg(PReg::int(0))]).traps;
        let traps: Vec<TrapCode> = traps.iter().map(|&(_, code)| code).collect();
        use TrapCode::{BadSignature, IndirectCallToNull, TableOutOfBounds};
        assert_eq!(traps, [IndirectCallToNull, TableOutOfBounds, BadSignature]);
    }
    s.env.layout = layout;
}

/// Calls that load their arguments from homes, 16 bytes each from 0x100 on, first of all.
fn spread(s: &mut Sweep) {
    use runwell_abi::Type::{F32, F64, FuncRef, I32, I64};
    let with = |op, imm, types: &[runwell_abi::Type], operands: &[super::Class]| {
        let aux = Aux::default().with_spread(spread_types(types));
        Form { disp: 3, ..form(op, aux, imm, operands) }
    };
    let stub = "call qword ptr [r14+0x20]";
    let ints = [I64, I32, FuncRef];
    let few = ["lea r11, [rsp+0x130]", "mov r10d, 0x430", stub];
    s.check(&with(MOp::Call, 7, &ints, &[]), |_| true, &[&few[..], &["call @4", "ret"]].concat());
    s.check(
        &with(MOp::TailCall, 7, &ints, &[]),
        |_| true,
        &[&few[..], &["jmp @4", "ret"]].concat(),
    );
    let mixed = [F64, I32, F32, I64];
    let lines = ["lea r11, [rsp+0x130]", "mov r10, 0x4000000063", stub];
    let record = [Fixed(0)];
    let call = "call qword ptr [rax]";
    let import = with(MOp::CallImport, 0, &mixed, &record);
    s.check(&import, |_| true, &[&lines[..], &ENTER, &[call, RELOAD, "ret"]].concat());
    let reference = with(MOp::CallRef, 0, &mixed, &record);
    let usual = ["cmp [rax+8], r14", "jne @7", call, "ret"];
    let other = [&ENTER[..], &[call, RELOAD, "jmp @6"]].concat();
    s.check(&reference, |_| true, &[&lines[..], &usual, &other].concat());
    let tail = with(MOp::TailRef, 0, &mixed, &record);
    s.check(&tail, |_| true, &[&lines[..], &ENTER, &["jmp qword ptr [rax]", "ret"]].concat());
}

/// What leaves the function gives up the frame first.
fn leaving(s: &mut Sweep) {
    let aux = Aux::default();
    s.check(&form(MOp::Ret, aux, 0, &[]), |_| true, &["ret", "ret"]);
    s.bytes = 0x128;
    s.saved = vec![(PReg::int(3), 0x100), (PReg::int(13), 0x108)];
    let release = ["mov rbx, [rsp+0x100]", "mov r13, [rsp+0x108]", "add rsp, 0x128"];
    s.check(&form(MOp::Ret, aux, 0, &[]), |_| true, &[&release[..], &["ret", "ret"]].concat());
    let tail = form(MOp::TailCall, aux, 5, &[]);
    s.check(&tail, |_| true, &[&release[..], &["jmp @4", "ret"]].concat());
    let tail = form(MOp::TailRef, aux, 0, &[Fixed(0)]);
    let want = [&ENTER[..], &release, &["jmp qword ptr [rax]", "ret"]].concat();
    s.check(&tail, |_| true, &want);
    s.saved.clear();
    s.bytes = 0;
}

#[test]
fn prologues() {
    let mut s = Sweep::new();
    let mut prologue = |bytes, checked, range: (u32, u32), want: &[&str]| {
        s.bytes = bytes;
        s.excess = 0;
        s.checked = checked;
        s.slot_range = range;
        let compiled = s.emit_with(&crate::vcode::VCode::default(), &[], |emit| {
            emit.prologue();
            emit.asm().ret();
        });
        assert_eq!(listing(&compiled), want);
    };
    prologue(0, false, (0, 0), &["ret"]);
    prologue(0x18, false, (0, 0), &["sub rsp, 0x18", "ret"]);
    let limit = "mov r11, [r14]";
    let compare = "cmp rsp, [r11+0x38]";
    prologue(0x1008, true, (0, 0), &["sub rsp, 0x1008", limit, compare, "jb @5", "ret", "ud2"]);
    // Variables start as zero: one by one, or in a loop and what remains.
    let clear = "xorps xmm15, xmm15";
    let few =
        ["sub rsp, 0x48", clear, "movups [rsp+0x10], xmm15", "movsd [rsp+0x20], xmm15", "ret"];
    prologue(0x48, false, (0x10, 0x28), &few);
    let many = [
        "sub rsp, 0x208",
        clear,
        "mov r11, -0x90",
        "movups [rsp+r11+0x98], xmm15",
        "add r11, 0x10",
        "jne @3",
        "movsd [rsp+0x98], xmm15",
        "ret",
    ];
    prologue(0x208, false, (0x8, 0xa0), &many);
    s.context = Some(0x20);
    s.saved = vec![(PReg::int(5), 0x10)];
    let mut prologue = |want: &[&str]| {
        (s.bytes, s.checked, s.excess, s.slot_range) = (0x28, true, 0x10, (0, 0));
        let compiled = s.emit_with(&crate::vcode::VCode::default(), &[], |emit| {
            emit.prologue();
            emit.asm().ret();
        });
        assert_eq!(listing(&compiled), want);
        assert_eq!(compiled.traps.len(), 1);
        assert_eq!(compiled.traps[0].1, TrapCode::StackOverflow);
    };
    prologue(&[
        "sub rsp, 0x28",
        limit,
        "sub qword ptr [r11+0x38], 0x10",
        compare,
        "jb @8",
        "mov [rsp+0x10], rbp",
        "mov [rsp+0x20], r14",
        "ret",
        "ud2",
    ]);
}
