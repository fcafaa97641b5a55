//! Operations on vector registers.

use super::Class::{Float, Int, Spill, Tied};
use super::{Form, Sweep, form, from_mem};
use crate::x64::inst::{Aux, FKind, MOp, TRUNC_64, TRUNC_SAT, TRUNC_SIGNED};

pub(super) fn sweep(s: &mut Sweep) {
    for size in [2, 3] {
        let mut sized = Sized { s, size };
        sized.two_operands();
        sized.min_max();
        sized.signs();
        sized.one_operand();
        sized.of_int();
        sized.truncate_signed();
        sized.truncate_u32();
        sized.truncate_u64();
    }
    resize(s);
}

/// Operations of one size; in texts, `ss` is the suffix of scalar instructions, also of doubles.
struct Sized<'a> {
    s: &'a mut Sweep,
    size: u32,
}

impl Sized<'_> {
    fn check(&mut self, form: &Form, when: impl Fn(&[u8]) -> bool, want: &[&str]) {
        let scalar = |line: &&str| {
            if self.size == 2 { (*line).to_string() } else { self.double(line) }
        };
        let want: Vec<String> = want.iter().map(scalar).collect();
        let want: Vec<&str> = want.iter().map(String::as_str).collect();
        self.s.check(form, when, &want);
    }

    fn double(&self, line: &str) -> String {
        let (name, rest) = line.split_once(' ').unwrap_or((line, ""));
        let name = match name {
            "ucomiss" => "ucomisd".to_string(),
            "cvttss2si" => "cvttsd2si".to_string(),
            name => match name.strip_suffix("ss") {
                Some(stem) => format!("{stem}sd"),
                None => name.to_string(),
            },
        };
        if rest.is_empty() { name } else { format!("{name} {rest}") }
    }

    fn aux(&self, kind: u32) -> Aux {
        Aux::sized(self.size).with_kind(kind)
    }

    /// One of two texts, by size.
    fn by_size<'t>(&self, single: &'t str, double: &'t str) -> &'t str {
        if self.size == 2 { single } else { double }
    }

    fn two_operands(&mut self) {
        for (kind, name) in [
            (FKind::Add, "addss"),
            (FKind::Sub, "subss"),
            (FKind::Mul, "mulss"),
            (FKind::Div, "divss"),
            (FKind::And, "andps"),
            (FKind::Xor, "xorps"),
        ] {
            let aux = self.aux(kind as u32);
            for (aux, last, text) in [
                (aux, Float, "{2x}"),
                (aux, Spill(1), "[{2m}]"),
                (from_mem(aux), Int, "[{2q}+0x10]"),
            ] {
                let text = format!("{name} {{0x}}, {text}");
                let form = form(MOp::FAlu, aux, 0, &[Float, Tied, last]);
                self.check(&form, |_| true, &[&text, "ret"]);
                let right =
                    if last == Float { "{2x}" } else { text.split_once(", ").expect("two").1 };
                let three = format!("v{name} {{0x}}, {{1x}}, {right}");
                let form = super::form(MOp::FAlu3, aux, 0, &[Float, Float, last]);
                self.check(&form, |_| true, &[&three, "ret"]);
            }
        }
        let aux = self.aux(0);
        for (aux, right, text) in [
            (aux, Float, "ucomiss {0x}, {1x}"),
            (aux, Spill(0), "ucomiss {0x}, [{1m}]"),
            (from_mem(aux), Int, "ucomiss {0x}, [{1q}+0x10]"),
        ] {
            self.check(&form(MOp::FCmp, aux, 0, &[Float, right]), |_| true, &[text, "ret"]);
        }
    }

    fn min_max(&mut self) {
        let (min, max) = ("minss {0x}, {2x}", "maxss {0x}, {2x}");
        let (or, and, add) = ("orps {0x}, {2x}", "andps {0x}, {2x}", "addss {0x}, {2x}");
        let compare = "ucomiss {0x}, {2x}";
        let operands = [Float, Tied, Float];
        // Equal or unordered, out of the way or in it.
        let aux = self.aux(0);
        self.left();
        let of = |aux| form(MOp::FMinMax, aux, 0, &operands);
        let away = |r: &[u8]| r[0] != r[2];
        let want = [compare, "je @4", min, "ret", "jp @7", or, "jmp @8", add, "jmp @3"];
        self.check(&of(aux), away, &want);
        let want = [compare, "jne @7", "jp @5", or, "jmp @6", add, "jmp @8", min, "ret"];
        self.check(&of(aux.with_compact(1)), away, &want);
        let aux = self.aux(1);
        let want = [compare, "je @4", max, "ret", "jp @7", and, "jmp @8", add, "jmp @3"];
        self.check(&of(aux), away, &want);
        let want = [compare, "jne @7", "jp @5", and, "jmp @6", add, "jmp @8", max, "ret"];
        self.check(&of(aux.with_compact(1)), away, &want);
    }

    /// Left operands that come from homes.
    fn left(&mut self) {
        let at_home = |aux: Aux| aux.with_left(1).with_base(7);
        let away = |r: &[u8]| r[0] != r[1];
        let load = "movss {0x}, [rsp+0x120]";
        let least = form(MOp::FMinMax, at_home(self.aux(0)).with_compact(1), 0, &[Float, Float]);
        let (min, or, add) = ("minss {0x}, {1x}", "orps {0x}, {1x}", "addss {0x}, {1x}");
        let compare = "ucomiss {0x}, {1x}";
        let want = [load, compare, "jne @8", "jp @6", or, "jmp @7", add, "jmp @9", min, "ret"];
        self.check(&Form { disp: 4, ..least }, away, &want);
        let sign = form(MOp::FCopysign, at_home(self.aux(0)), 0, &[Float, Float]);
        let mask = self.by_size(
            "andps xmm15, [0x80000000800000008000000080000000]",
            "andps xmm15, [0x80000000000000008000000000000000]",
        );
        let copy = "movaps xmm15, {0x}";
        let want = [load, copy, "xorps xmm15, {1x}", mask, "xorps {0x}, xmm15", "ret"];
        self.check(&Form { disp: 4, ..sign }, away, &want);
    }

    fn signs(&mut self) {
        let sign = self.by_size(
            "andps xmm15, [0x80000000800000008000000080000000]",
            "andps xmm15, [0x80000000000000008000000000000000]",
        );
        let form = form(MOp::FCopysign, self.aux(0), 0, &[Float, Tied, Float]);
        let want = ["movaps xmm15, {0x}", "xorps xmm15, {2x}", sign, "xorps {0x}, xmm15", "ret"];
        self.check(&form, |r| r[0] != r[2], &want);
        let nan = self.by_size("movss {0x}, [0x7fc00000]", "movss {0x}, [0x7ff8000000000000]");
        let blend = self.by_size(
            "vblendvps {0x}, {1x}, [0x7fc00000], xmm15",
            "vblendvpd {0x}, {1x}, [0x7ff8000000000000], xmm15",
        );
        let form = super::form(MOp::FCanon3, self.aux(0), 0, &[Float, Float]);
        self.check(&form, |_| true, &["vcmpss xmm15, {1x}, {1x}, 3", blend, "ret"]);
        let unordered = "vcmpss xmm15, {1x}, {1x}, 3";
        let blend =
            self.by_size("vblendvps {0x}, {1x}, {2x}, xmm15", "vblendvpd {0x}, {1x}, {2x}, xmm15");
        let form = super::form(MOp::FCanon3, self.aux(0), 0, &[Float, Float, Float]);
        self.check(&form, |_| true, &[unordered, blend, "ret"]);
        let blend = self
            .by_size("vblendvps {0x}, {1x}, [{2m}], xmm15", "vblendvpd {0x}, {1x}, [{2m}], xmm15");
        let form = super::form(MOp::FCanon3, self.aux(0), 0, &[Float, Float, Spill(0)]);
        self.check(&form, |_| true, &[unordered, blend, "ret"]);
        let ranges = [
            (
                &[Float, Float][..],
                self.by_size("movss xmm15, [0x7fc00000]", "movss xmm15, [0x7ff8000000000000]"),
            ),
            (&[Float, Float, Spill(0)][..], "movss xmm15, [{2m}]"),
        ];
        for (operands, load) in ranges {
            let form = super::form(MOp::FCanon3, self.aux(1), 0, operands);
            self.check(&form, |_| true, &[load, "vrangess {0x}, xmm15, {1x}, 4", "ret"]);
        }
        let form = super::form(MOp::FCanon3, self.aux(1), 0, &[Float, Float, Float]);
        self.check(&form, |_| true, &["vrangess {0x}, {2x}, {1x}, 4", "ret"]);
        let form = super::form(MOp::FCanon, self.aux(0), 0, &[Float, Tied]);
        self.check(&form, |_| true, &["ucomiss {0x}, {0x}", "jp @3", "ret", nan, "jmp @2"]);
    }

    /// Instructions that keep the upper part of their target: it is cleared first, unless it is read.
    fn fresh(&mut self, op: MOp, aux: Aux, last: &str, name: &str) {
        let line = |source: &str| format!("{name} {{0x}}, {source}{last}");
        let clear = "xorps {0x}, {0x}";
        let registers = form(op, aux, 0, &[Float, Float]);
        self.check(&registers, |r| r[0] != r[1], &[clear, &line("{1x}"), "ret"]);
        self.check(&registers, |r| r[0] == r[1], &[&line("{1x}"), "ret"]);
        let spilled = form(op, aux, 0, &[Float, Spill(0)]);
        self.check(&spilled, |_| true, &[clear, &line("[{1m}]"), "ret"]);
        let memory = form(op, from_mem(aux), 0, &[Float, Int]);
        self.check(&memory, |_| true, &[clear, &line("[{1q}+0x10]"), "ret"]);
    }

    fn one_operand(&mut self) {
        self.fresh(MOp::FSqrt, self.aux(0), "", "sqrtss");
        for mode in [8, 9, 10, 11] {
            let last = format!(", {}", ["8", "9", "0xa", "0xb"][mode as usize - 8]);
            self.fresh(MOp::FRound, self.aux(mode), &last, "roundss");
        }
    }

    fn of_int(&mut self) {
        let convert = self.by_size("cvtsi2ss", "cvtsi2sd");
        let clear = "xorps {0x}, {0x}";
        for (int_size, letter, pointer) in [(2, "d", "dword"), (3, "q", "qword")] {
            let aux = self.aux(int_size);
            for (aux, operand, text) in [
                (aux, Int, format!("{{1{letter}}}")),
                (aux, Spill(2), format!("{pointer} ptr [{{1m}}]")),
                (from_mem(aux), Int, format!("{pointer} ptr [{{1q}}+0x10]")),
            ] {
                let line = format!("{convert} {{0x}}, {text}");
                let form = form(MOp::CvtInt, aux, 0, &[Float, operand]);
                self.s.check(&form, |_| true, &[clear, &line, "ret"]);
            }
        }
        // With the top bit set: halved, the lost bit kept for rounding, converted, doubled.
        let want = [
            clear,
            "test {1q}, {1q}",
            "js @5",
            &format!("{convert} {{0x}}, {{1q}}"),
            "ret",
            "mov r11, {1q}",
            "shr r11, 1",
            "jae @9",
            "or r11, 1",
            &format!("{convert} {{0x}}, r11"),
            "addss {0x}, {0x}",
            "jmp @4",
        ];
        let form = form(MOp::CvtU64, self.aux(0), 0, &[Float, Int]);
        self.check(&form, |_| true, &want);
        // Where code is dense all of it is elsewhere.
        let stub = self.by_size("call qword ptr [r14+0x30]", "call qword ptr [r14+0x38]");
        let want = ["mov r11, {1q}", stub, "movaps {0x}, xmm15", "ret"];
        self.s.dense = true;
        self.check(&form, |_| true, &want);
        self.s.dense = false;
    }

    fn truncation(&self, kind: u32) -> Form {
        form(MOp::Trunc, self.aux(kind), 0, &[Int, Float])
    }

    fn truncate_signed(&mut self) {
        for wide in [false, true] {
            let letter = if wide { "q" } else { "d" };
            let convert = format!("cvttss2si {{0{letter}}}, {{1x}}");
            let compare = format!("cmp {{0{letter}}}, 1");
            let kind = TRUNC_SIGNED | if wide { TRUNC_64 } else { 0 };
            let usual = [&*convert, &compare, "jo @4", "ret"];
            // The smallest integer is right for one number, but for many doubles that of 32 bits.
            let rare: &[&str] = match (self.size, wide) {
                (2, false) => &["ucomiss {1x}, [0xcf000000]", "jp @7", "je @3", "ud2"],
                (2, true) => &["ucomiss {1x}, [0xdf000000]", "jp @7", "je @3", "ud2"],
                (_, false) => &[
                    "cvttss2si r11, {1x}",
                    "cmp r11, -0x80000000",
                    "je @3",
                    "ucomiss {1x}, {1x}",
                    "ud2",
                ],
                (_, true) => &["ucomiss {1x}, [0xc3e0000000000000]", "jp @7", "je @3", "ud2"],
            };
            let checked = [&usual, rare].concat();
            self.check(&self.truncation(kind), |_| true, &checked);
            let largest =
                if wide { "mov {0q}, 0x7fffffffffffffff" } else { "mov {0d}, 0x7fffffff" };
            let saturating = [
                &convert,
                &compare,
                "jo @4",
                "ret",
                "xorps xmm15, xmm15",
                "ucomiss {1x}, xmm15",
                "jp @10",
                "jb @3",
                largest,
                "jmp @3",
                "xor {0d}, {0d}",
                "jmp @3",
            ];
            self.check(&self.truncation(kind | TRUNC_SAT), |_| true, &saturating);
        }
    }

    fn truncate_u32(&mut self) {
        let usual = ["cvttss2si {0q}, {1x}", "mov r11d, {0d}", "cmp r11, {0q}", "jne @5", "ret"];
        let rare = ["ucomiss {1x}, {1x}", "ud2"];
        self.check(&self.truncation(0), |_| true, &[&usual[..], &rare].concat());
        let rare = [
            "xorps xmm15, xmm15",
            "ucomiss {1x}, xmm15",
            "jbe @10",
            "mov {0d}, -1",
            "jmp @4",
            "xor {0d}, {0d}",
            "jmp @4",
        ];
        self.check(&self.truncation(TRUNC_SAT), |_| true, &[&usual[..], &rare].concat());
    }

    fn truncate_u64(&mut self) {
        let convert = self.by_size("cvttss2si {0q}, {1x}", "cvttsd2si {0q}, {1x}");
        let usual = [convert, "test {0q}, {0q}", "js @4", "ret"];
        // What does not fit a signed integer is converted by a stub.
        let widen = self.by_size("cvtss2sd xmm15, {1x}", "movaps xmm15, {1x}");
        let stub = [widen, "call qword ptr [r14+0x28]"];
        let rest = ["mov {0q}, r11", "jae @3", "ud2"];
        let checked = [&usual[..], &stub, &rest].concat();
        let saturating = [&usual[..], &stub, &["mov {0q}, r11", "jmp @3"]].concat();
        let forms = [TRUNC_64, TRUNC_64 | TRUNC_SAT].map(|kind| self.truncation(kind));
        self.s.check(&forms[0], |_| true, &checked);
        self.s.check(&forms[1], |_| true, &saturating);
        // Where code is dense all is.
        self.s.dense = true;
        let checked = [&stub[..], &["jae @4", "ud2", "mov {0q}, r11", "ret"]].concat();
        self.s.check(&forms[0], |_| true, &checked);
        let saturating = [&stub[..], &["mov {0q}, r11", "ret"]].concat();
        self.s.check(&forms[1], |_| true, &saturating);
        self.s.dense = false;
    }
}

fn resize(s: &mut Sweep) {
    let mut sized = Sized { s, size: 2 };
    sized.fresh(MOp::Demote, Aux::sized(2), "", "cvtsd2ss");
    sized.fresh(MOp::Promote, Aux::sized(2), "", "cvtss2sd");
}
