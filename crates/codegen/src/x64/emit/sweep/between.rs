//! What stands between operations: moves of the allocator, and what the flags still say.

use super::{Form, Loc, Sweep, form, listing};
use crate::regalloc::Move;
use crate::vcode::{PReg, VCode, VInst};
use crate::x64::emit::sweep::Class::{Int, Tied};
use crate::x64::inst::{AluKind, Aux, MOp, Src};
use runwell_ir::Block;

fn int(number: u8) -> Loc {
    Loc::reg(PReg::int(number))
}

fn float(number: u8) -> Loc {
    Loc::reg(PReg::float(number))
}

#[test]
fn moves_of_the_allocator() {
    let mut s = Sweep::new();
    let mut check = |from, to, bytes, swap, want: &[&str]| {
        let mv = Move { from, to, bytes, swap };
        let compiled = s.emit_with(&VCode::default(), &[], |emit| emit.emit_move(&mv));
        assert_eq!(listing(&compiled), want, "{mv:?}");
    };
    let slot = Loc::slot;
    // Between registers; into itself there is nothing to do.
    check(int(6), int(9), 4, false, &["mov r9d, esi"]);
    check(int(6), int(9), 8, false, &["mov r9, rsi"]);
    check(int(6), int(6), 8, false, &[]);
    check(int(6), int(6), 8, true, &[]);
    check(float(3), float(12), 4, false, &["movaps xmm12, xmm3"]);
    check(float(3), float(12), 16, false, &["movaps xmm12, xmm3"]);
    check(int(6), float(9), 8, false, &["movq xmm9, rsi"]);
    check(float(6), int(9), 8, false, &["movq r9, xmm6"]);
    check(int(1), int(13), 8, true, &["xchg r13, rcx"]);
    let three = ["movaps xmm15, xmm8", "movaps xmm8, xmm2", "movaps xmm2, xmm15"];
    check(float(8), float(2), 8, true, &three);
    // To and from memory, as wide as the value.
    check(int(5), slot(0), 4, false, &["mov [rsp+8], ebp"]);
    check(int(5), slot(1), 8, false, &["mov [rsp+0x18], rbp"]);
    check(float(5), slot(2), 4, false, &["movss [rsp+0x200], xmm5"]);
    check(float(5), slot(2), 8, false, &["movsd [rsp+0x200], xmm5"]);
    check(float(5), slot(2), 16, false, &["movups [rsp+0x200], xmm5"]);
    check(slot(0), int(5), 4, false, &["mov ebp, [rsp+8]"]);
    check(slot(1), int(5), 8, false, &["mov rbp, [rsp+0x18]"]);
    check(slot(2), float(5), 4, false, &["movss xmm5, [rsp+0x200]"]);
    check(slot(2), float(5), 8, false, &["movsd xmm5, [rsp+0x200]"]);
    check(slot(2), float(5), 16, false, &["movups xmm5, [rsp+0x200]"]);
    // Between two slots, through a scratch register.
    check(slot(0), slot(1), 4, false, &["mov r11d, [rsp+8]", "mov [rsp+0x18], r11d"]);
    check(slot(0), slot(1), 8, false, &["mov r11, [rsp+8]", "mov [rsp+0x18], r11"]);
    check(slot(0), slot(1), 16, false, &["movups xmm15, [rsp+8]", "movups [rsp+0x18], xmm15"]);
    check(slot(1), slot(1), 8, false, &[]);
}

fn vinst(form: &Form, first: u32) -> VInst {
    VInst {
        op: form.op as u16,
        operands: form.operands.len() as u8,
        clobbers: 0,
        first,
        aux: form.aux.0,
        imm: form.imm,
        disp: form.disp,
        src: 0,
    }
}

/// A test for zero directly after the operation that made the value is left out, but only if nothing
/// else is asked of the flags and nothing has changed them or the register.
#[test]
fn tests_that_say_nothing_new() {
    let mut s = Sweep::new();
    let add = |size| {
        form(MOp::Alu, Aux::sized(size).with_kind(AluKind::Add as u32), 0, &[Int, Tied, Int])
    };
    let test = |size, zero_only| {
        form(MOp::Test, Aux::sized(size).with_zero_only(zero_only), 0, &[Int, Int])
    };
    let mut tested = |first: &Form, locs: [u8; 5], between: &[Move], second: &Form| {
        let locs: Vec<Loc> = locs.into_iter().map(int).collect();
        let compiled = s.emit_with(&VCode::default(), &locs, |emit| {
            emit.inst(Block(0), &vinst(first, 0));
            between.iter().for_each(|mv| emit.emit_move(mv));
            emit.inst(Block(0), &vinst(second, 3));
        });
        listing(&compiled).iter().any(|line| line.starts_with("test"))
    };
    let own = [3, 3, 1, 3, 3];
    let copy = |to, from| Move { from: int(from), to: int(to), bytes: 8, swap: false };
    for size in [2, 3] {
        assert!(!tested(&add(size), own, &[], &test(size, 1)));
        assert!(tested(&add(size), own, &[], &test(size, 0)), "other flags are asked for");
        assert!(tested(&add(size), own, &[], &test(5 - size, 1)), "of another size");
        assert!(tested(&add(size), [3, 3, 1, 6, 6], &[], &test(size, 1)), "another register");
        // Moves change no flags.
        assert!(!tested(&add(size), own, &[copy(6, 3)], &test(size, 1)));
        assert!(tested(&add(size), own, &[copy(3, 6)], &test(size, 1)), "another value");
        let swap = Move { swap: true, ..copy(6, 3) };
        assert!(tested(&add(size), own, &[swap], &test(size, 1)), "another value");
        let reload = Move { from: Loc::slot(0), ..copy(3, 6) };
        assert!(tested(&add(size), own, &[reload], &test(size, 1)), "another value");
        // In place an addition sets flags, as an address it does not.
        let sum = form(MOp::Add3, Aux::sized(size), 0, &[Int, Int, Int]);
        assert!(!tested(&sum, own, &[], &test(size, 1)));
        assert!(!tested(&sum, [3, 1, 3, 3, 3], &[], &test(size, 1)));
        assert!(tested(&sum, [3, 1, 6, 3, 3], &[], &test(size, 1)));
        let sum = form(MOp::Add3, Aux::sized(size).from(Src::Imm), 4, &[Int, Int]);
        assert!(!tested(&sum, [3, 3, 0, 3, 3], &[], &test(size, 1)));
        assert!(tested(&sum, [3, 1, 0, 3, 3], &[], &test(size, 1)));
        let negate = form(MOp::Neg, Aux::sized(size), 0, &[Int, Tied]);
        assert!(!tested(&negate, [3, 3, 0, 3, 3], &[], &test(size, 1)));
        // `not` and shifts by a register keep flags, or may.
        let not = form(MOp::Not, Aux::sized(size), 0, &[Int, Tied]);
        assert!(tested(&not, [3, 3, 0, 3, 3], &[], &test(size, 1)));
        let shift = form(MOp::Shift, Aux::sized(size).with_kind(4), 0, &[Int, Tied, Int]);
        assert!(tested(&shift, own, &[], &test(size, 1)));
    }
}
