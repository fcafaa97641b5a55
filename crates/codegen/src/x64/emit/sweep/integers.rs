//! Integer operations.

use super::Class::{Fixed, Int, Spill, Tied};
use super::{Sweep, form, from_mem, mem};
use crate::regalloc::Loc;
use crate::vcode::PReg;
use crate::x64::inst::{
    AluKind, Aux, BitKind, DIV_OVERFLOW, DIV_REM, DIV_SIGNED, DIV_ZERO, MOp, ShiftKind, Src,
};
use runwell_abi::TrapCode;

pub(super) fn sweep(s: &mut Sweep) {
    for (size, letter) in [(2, "d"), (3, "q")] {
        let mut sized = Sized { s, size, letter };
        sized.two_operands();
        sized.add3();
        sized.compare();
        sized.multiply();
        sized.divide();
        sized.shifts();
        sized.bits();
    }
    narrow(s);
}

/// Operations of one size; in texts, `$` stands for its letter.
struct Sized<'a> {
    s: &'a mut Sweep,
    size: u32,
    letter: &'static str,
}

impl Sized<'_> {
    fn check(&mut self, form: &super::Form, when: impl Fn(&[u8]) -> bool, want: &[&str]) {
        let pointer = if self.size == 2 { "dword" } else { "qword" };
        let text = |line: &&str| line.replace('$', self.letter).replace("PTR", pointer);
        let want: Vec<String> = want.iter().map(text).collect();
        let want: Vec<&str> = want.iter().map(String::as_str).collect();
        self.s.check(form, when, &want);
    }

    fn aux(&self, kind: u32) -> Aux {
        Aux::sized(self.size).with_kind(kind)
    }

    fn two_operands(&mut self) {
        for (kind, name) in [
            (AluKind::Add, "add"),
            (AluKind::Or, "or"),
            (AluKind::And, "and"),
            (AluKind::Sub, "sub"),
            (AluKind::Xor, "xor"),
        ] {
            let aux = self.aux(kind as u32);
            let any = |_: &[u8]| true;
            let line = |text: &str| format!("{name} {text}");
            let both = line("{0$}, {2$}");
            self.check(&form(MOp::Alu, aux, 0, &[Int, Tied, Int]), any, &[&both, "ret"]);
            let spilled = line("{0$}, [{2m}]");
            self.check(&form(MOp::Alu, aux, 0, &[Int, Tied, Spill(1)]), any, &[&spilled, "ret"]);
            let memory = line("{0$}, [{2q}+0x10]");
            let memory_form = form(MOp::Alu, from_mem(aux), 0, &[Int, Tied, Int]);
            self.check(&memory_form, any, &[&memory, "ret"]);
            for (imm, text) in [(1, "1"), (-129, "-0x81"), (i32::MIN, "-0x80000000")] {
                let aux = aux.from(Src::Imm);
                let value = line(&format!("{{0$}}, {text}"));
                self.check(&form(MOp::Alu, aux, imm, &[Int, Tied]), any, &[&value, "ret"]);
                let value = line(&format!("PTR ptr [{{0q}}+0x10], {text}"));
                self.check(&form(MOp::AluMem, mem(aux), imm, &[Int]), any, &[&value, "ret"]);
            }
            let update = line("[{1q}+0x10], {0$}");
            self.check(&form(MOp::AluMem, mem(aux), 0, &[Int, Int]), any, &[&update, "ret"]);
        }
        let aux = self.aux(0);
        let any = |_: &[u8]| true;
        self.check(&form(MOp::Neg, aux, 0, &[Int, Tied]), any, &["neg {0$}", "ret"]);
        self.check(&form(MOp::Not, aux, 0, &[Int, Tied]), any, &["not {0$}", "ret"]);
        let lea = form(MOp::Lea, mem(aux), 0, &[Int, Int]);
        self.check(&lea, any, &["lea {0$}, [{1q}+0x10]", "ret"]);
    }

    fn add3(&mut self) {
        let aux = self.aux(0);
        let sum = form(MOp::Add3, aux, 0, &[Int, Int, Int]);
        self.check(&sum, |r| r[0] == r[1], &["add {0$}, {2$}", "ret"]);
        self.check(&sum, |r| r[0] == r[2] && r[0] != r[1], &["add {0$}, {1$}", "ret"]);
        // rbp and r13 as a base need a displacement.
        let apart = |r: &[u8]| r[0] != r[1] && r[0] != r[2];
        let plain = move |r: &[u8]| apart(r) && r[1] & 7 != 5;
        self.check(&sum, plain, &["lea {0$}, [{1q}+{2q}]", "ret"]);
        let displaced = move |r: &[u8]| apart(r) && r[1] & 7 == 5;
        self.check(&sum, displaced, &["lea {0$}, [{1q}+{2q}]", "ret"]);
        let constant = form(MOp::Add3, aux.from(Src::Imm), -5, &[Int, Int]);
        self.check(&constant, |r| r[0] == r[1], &["add {0$}, -5", "ret"]);
        self.check(&constant, |r| r[0] != r[1], &["lea {0$}, [{1q}-5]", "ret"]);
    }

    fn compare(&mut self) {
        let (aux, any) = (self.aux(0), |_: &[u8]| true);
        let imm = aux.from(Src::Imm);
        let cases: &[(MOp, Aux, i32, &[super::Class], &str)] = &[
            (MOp::Cmp, aux, 0, &[Int, Int], "cmp {0$}, {1$}"),
            (MOp::Cmp, aux, 0, &[Int, Spill(0)], "cmp {0$}, [{1m}]"),
            (MOp::Cmp, from_mem(aux), 0, &[Int, Int], "cmp {0$}, [{1q}+0x10]"),
            (MOp::Cmp, imm, -300, &[Int], "cmp {0$}, -0x12c"),
            (MOp::Cmp, imm, 0, &[Int], "test {0$}, {0$}"),
            (MOp::Cmp, imm, 0, &[Spill(2)], "cmp PTR ptr [{0m}], 0"),
            (MOp::CmpMem, mem(aux), 0, &[Int, Int], "cmp [{1q}+0x10], {0$}"),
            (MOp::CmpMem, mem(imm), 9, &[Int], "cmp PTR ptr [{0q}+0x10], 9"),
            (MOp::Test, aux, 0, &[Int, Int], "test {0$}, {1$}"),
            (MOp::Test, imm, 127, &[Int], "test {0b}, 0x7f"),
            (MOp::Test, imm, 128, &[Int], "test {0$}, 0x80"),
            (MOp::TestMem, mem(imm), 5, &[Int], "test PTR ptr [{0q}+0x10], 5"),
            (MOp::Bt, aux, 0, &[Int, Int], "bt {0$}, {1$}"),
            (MOp::Bt, imm, 31, &[Int], "bt {0$}, 0x1f"),
        ];
        for &(op, aux, imm, operands, text) in cases {
            self.check(&form(op, aux, imm, operands), any, &[text, "ret"]);
        }
    }

    fn multiply(&mut self) {
        let (aux, any) = (self.aux(0), |_: &[u8]| true);
        let imm = aux.from(Src::Imm);
        let product = [Fixed(0), Fixed(2), Fixed(0)];
        let wide = |last| [&product[..], &[last]].concat();
        let cases: &[(MOp, Aux, i32, &[super::Class], &str)] = &[
            (MOp::Imul, aux, 0, &[Int, Tied, Int], "imul {0$}, {2$}"),
            (MOp::Imul, aux, 0, &[Int, Tied, Spill(1)], "imul {0$}, [{2m}]"),
            (MOp::Imul, from_mem(aux), 0, &[Int, Tied, Int], "imul {0$}, [{2q}+0x10]"),
            (MOp::Imul, imm, 1000, &[Int, Int], "imul {0$}, {1$}, 0x3e8"),
            (MOp::ImulImm, aux, 7, &[Int, Int], "imul {0$}, {1$}, 7"),
            (MOp::ImulImm, aux, -200, &[Int, Spill(0)], "imul {0$}, [{1m}], -0xc8"),
            (MOp::MulWide, self.aux(1), 0, &wide(Int), "imul {3$}"),
            (MOp::MulWide, aux, 0, &wide(Int), "mul {3$}"),
            (MOp::MulWide, aux, 0, &wide(Spill(1)), "mul PTR ptr [{3m}]"),
        ];
        for &(op, aux, imm, operands, text) in cases {
            self.check(&form(op, aux, imm, operands), any, &[text, "ret"]);
        }
    }

    fn divide(&mut self) {
        let convert = if self.size == 2 { "cdq" } else { "cqo" };
        let operands = [Fixed(0), Fixed(2), Fixed(0), Int];
        // The divisor is late, so it is neither of the results.
        let when = |r: &[u8]| r[3] != 0 && r[3] != 2;
        let plain = form(MOp::Div, self.aux(0), 0, &operands);
        self.check(&plain, when, &["xor edx, edx", "div {3$}", "ret"]);
        let plain = form(MOp::Div, self.aux(DIV_SIGNED), 0, &operands);
        self.check(&plain, when, &[convert, "idiv {3$}", "ret"]);
        // The instruction traps by itself; what it is for, the runtime finds out.
        let zero = form(MOp::Div, self.aux(DIV_ZERO), 0, &operands);
        self.check(&zero, when, &["xor edx, edx", "div {3$}", "ret"]);
        self.divides(&zero, 2);
        let quotient = form(MOp::Div, self.aux(DIV_ZERO | DIV_OVERFLOW | DIV_SIGNED), 0, &operands);
        self.check(&quotient, when, &[convert, "idiv {3$}", "ret"]);
        self.divides(&quotient, 1 + u32::from(self.size == 3));
        // The remainder by -1 is zero.
        let remainder = form(MOp::Div, self.aux(DIV_OVERFLOW | DIV_SIGNED | DIV_REM), 0, &operands);
        let want =
            ["cmp {3$}, -1", "jne @4", "xor edx, edx", "jmp @6", convert, "idiv {3$}", "ret"];
        self.check(&remainder, when, &want);
        let check = if self.size == 3 { 4 + 2 + 2 + 2 + 2 } else { 3 + 2 + 2 + 2 + 1 };
        self.divides(&remainder, check);
        // The dividend comes from a home.
        let aux = self.aux(DIV_ZERO | DIV_SIGNED).with_left(1).with_base(7);
        let left = form(MOp::Div, aux, 0, &[Fixed(0), Fixed(2), Int]);
        let when = |r: &[u8]| r[2] != 0 && r[2] != 2;
        let want = ["mov {0$}, [rsp+0x120]", convert, "idiv {2$}", "ret"];
        self.check(&super::Form { disp: 4, ..left }, when, &want);
    }

    /// The division stands behind `at` bytes and may trap, with the divisor in rbx.
    fn divides(&mut self, form: &super::Form, at: u32) {
        let locs = [0, 2, 0, 3].map(|number| Loc::reg(PReg::int(number)));
        assert_eq!(self.s.emit(form, &locs).traps, [(at, TrapCode::IntegerDivisionByZero)]);
    }

    fn shifts(&mut self) {
        let any = |_: &[u8]| true;
        for (kind, name, three) in [
            (ShiftKind::Rol, "rol", None),
            (ShiftKind::Ror, "ror", None),
            (ShiftKind::Shl, "shl", Some("shlx")),
            (ShiftKind::Shr, "shr", Some("shrx")),
            (ShiftKind::Sar, "sar", Some("sarx")),
        ] {
            let aux = self.aux(kind as u32);
            let left = form(MOp::Shift, aux.with_left(1).with_base(7), 0, &[Int, Fixed(1)]);
            let want = ["mov {0$}, [rsp+0x120]", &format!("{name} {{0$}}, cl"), "ret"];
            self.check(&super::Form { disp: 4, ..left }, |r| r[0] != 1, &want);
            for (count, text) in [(1, "1"), (31, "0x1f")] {
                let text = format!("{name} {{0$}}, {text}");
                let by = form(MOp::Shift, aux.from(Src::Imm), count, &[Int, Tied]);
                self.check(&by, any, &[&text, "ret"]);
            }
            let text = format!("{name} {{0$}}, cl");
            let by = form(MOp::Shift, aux, 0, &[Int, Tied, Fixed(1)]);
            self.check(&by, any, &[&text, "ret"]);
            let Some(three) = three else { continue };
            let text = format!("{three} {{0$}}, {{1$}}, {{2$}}");
            self.check(&form(MOp::Shift3, aux, 0, &[Int, Int, Int]), any, &[&text, "ret"]);
            let text = format!("{three} {{0$}}, [{{1m}}], {{2$}}");
            self.check(&form(MOp::Shift3, aux, 0, &[Int, Spill(0), Int]), any, &[&text, "ret"]);
        }
        let aux = self.aux(0);
        let rotate = form(MOp::Rorx, aux, 9, &[Int, Int]);
        self.check(&rotate, any, &["rorx {0$}, {1$}, 9", "ret"]);
        let rotate = form(MOp::Rorx, aux, 9, &[Int, Spill(2)]);
        self.check(&rotate, any, &["rorx {0$}, [{1m}], 9", "ret"]);
    }

    fn bits(&mut self) {
        let (apart, same) = (|r: &[u8]| r[0] != r[1], |r: &[u8]| r[0] == r[1]);
        for (kind, name) in
            [(BitKind::Lzcnt, "lzcnt"), (BitKind::Tzcnt, "tzcnt"), (BitKind::Popcnt, "popcnt")]
        {
            let aux = self.aux(kind as u32);
            let count = form(MOp::Bits, aux, 0, &[Int, Int]);
            let text = format!("{name} {{0$}}, {{1$}}");
            // Clearing a register that is not read cuts a false dependency.
            self.check(&count, apart, &["xor {0d}, {0d}", &text, "ret"]);
            self.check(&count, same, &[&text, "ret"]);
            let text = format!("{name} {{0$}}, [{{1q}}+0x10]");
            let memory = form(MOp::Bits, from_mem(aux), 0, &[Int, Int]);
            self.check(&memory, |_| true, &[&text, "ret"]);
        }
        let (zero_first, zero_last, last) = match self.size {
            2 => ("mov r11d, 0x3f", "mov r11d, 0x20", "xor {0$}, 0x1f"),
            _ => ("mov r11d, 0x7f", "mov r11d, 0x40", "xor {0$}, 0x3f"),
        };
        let r11 = if self.size == 2 { "r11d" } else { "r11" };
        let answer = format!("cmove {{0$}}, {r11}");
        for (operand, text) in [(Int, "{1$}"), (Spill(1), "[{1m}]")] {
            let first = form(MOp::Bits, self.aux(BitKind::Bsr as u32), 0, &[Int, operand]);
            let scan = format!("bsr {{0$}}, {text}");
            self.check(&first, |_| true, &[zero_first, &scan, &answer, last, "ret"]);
            let first = form(MOp::Bits, self.aux(BitKind::Bsf as u32), 0, &[Int, operand]);
            let scan = format!("bsf {{0$}}, {text}");
            self.check(&first, |_| true, &[zero_last, &scan, &answer, "ret"]);
        }
    }
}

/// Updates and comparisons of bytes and words in memory.
fn narrow(s: &mut Sweep) {
    for (size, letter, pointer) in [(0, "b", "byte"), (1, "w", "word")] {
        let aux = Aux::sized(size).with_kind(AluKind::Xor as u32);
        let any = |_: &[u8]| true;
        let text = format!("xor [{{1q}}+0x10], {{0{letter}}}");
        s.check(&form(MOp::AluMem, mem(aux), 0, &[Int, Int]), any, &[&text, "ret"]);
        let text = format!("xor {pointer} ptr [{{0q}}+0x10], -2");
        s.check(&form(MOp::AluMem, mem(aux.from(Src::Imm)), -2, &[Int]), any, &[&text, "ret"]);
        let text = format!("cmp {pointer} ptr [{{0q}}+0x10], 0x41");
        let aux = Aux::sized(size).from(Src::Imm);
        s.check(&form(MOp::CmpMem, mem(aux), 0x41, &[Int]), any, &[&text, "ret"]);
        let text = format!("test {pointer} ptr [{{0q}}+0x10], 4");
        s.check(&form(MOp::TestMem, mem(aux), 4, &[Int]), any, &[&text, "ret"]);
    }
}
