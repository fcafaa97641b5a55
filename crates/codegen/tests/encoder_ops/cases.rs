//! Small functions, in the text form of the IR, that bring each operation to the back end in all of
//! its types and with all kinds of operands.

use crate::effects;

pub(crate) const INTS: [&str; 2] = ["i32", "i64"];
pub(crate) const FLOATS: [&str; 2] = ["f32", "f64"];
pub(crate) const NUMBERS: [&str; 4] = ["i32", "i64", "f32", "f64"];
pub(crate) const SCALARS: [&str; 6] = ["i32", "i64", "f32", "f64", "funcref", "anyref"];

/// All cases.
pub(crate) fn all() -> Vec<String> {
    let mut cases = Vec::new();
    int_binary(&mut cases);
    compare(&mut cases);
    unary(&mut cases);
    float_binary(&mut cases);
    conversions(&mut cases);
    select(&mut cases);
    effects::add(&mut cases);
    cases
}

/// A function with these parameters, `v0` and so on, and lines behind them.
pub(crate) fn func(params: &[&str], results: &[&str], lines: &str) -> String {
    with(params, results, "", lines)
}

/// The same with declarations.
pub(crate) fn with(params: &[&str], results: &[&str], declarations: &str, lines: &str) -> String {
    let (list, out) = (params.join(", "), results.join(", "));
    let mut text = format!("func 5 sig0 ({list}) -> ({out}) {{\n{declarations}b0:\n");
    for (number, ty) in params.iter().enumerate() {
        text.push_str(&format!("  v{number}: {ty} = param @0x10\n"));
    }
    for (number, line) in lines.lines().map(str::trim).filter(|line| !line.is_empty()).enumerate() {
        let offset =
            if line.ends_with(':') { String::new() } else { format!(" @{:#x}", 0x20 + number) };
        text.push_str(&format!("  {line}{offset}\n"));
    }
    text + "}\n"
}

/// Constants around the edges of encodings and of special cases of selection.
fn constants(ty: &str) -> Vec<String> {
    let narrow = [
        0,
        1,
        -1,
        2,
        3,
        4,
        5,
        7,
        8,
        9,
        10,
        16,
        31,
        32,
        63,
        64,
        100,
        127,
        128,
        -127,
        -128,
        -129,
        255,
        256,
        641,
        65535,
        65536,
        0x7fff_ffff,
        -0x7fff_ffff,
        -0x8000_0000,
    ];
    let wide = [
        0x8000_0000,
        0xffff_ffff,
        0x1_0000_0000,
        0x1_0000_0001,
        -0x8000_0001,
        i64::MAX,
        i64::MIN,
        i64::MIN + 1,
    ];
    let list = narrow.into_iter().chain(wide.into_iter().filter(|_| ty == "i64"));
    list.map(|value| format!("{value}:{ty}")).collect()
}

/// Lines that make `v{number}` of a type from memory, given the address in `v2`.
fn sources(ty: &str, number: u32) -> Vec<String> {
    vec![
        format!("v{number}: {ty} = load.{ty} m0[v2 + 16]"),
        format!("v{number}: {ty} = global_get g3"),
        format!("v{number}: {ty} = global_get g0"),
    ]
}

/// The lines of a binary operation on all kinds of operands. The result is `v10`; `v0` and `v1` are
/// of the operands' type, `v2` is an address.
fn operand_forms(op: &str, ty: &str, result: &str) -> Vec<String> {
    let line = |a: &str, b: &str| format!("v10: {result} = {op}.{ty} {a}, {b}");
    let mut forms = vec![line("v0", "v1"), line("v0", "v0")];
    let constants = if INTS.contains(&ty) { constants(ty) } else { float_constants(ty) };
    for constant in constants {
        forms.push(line("v0", &constant));
        forms.push(line(&constant, "v0"));
    }
    for source in sources(ty, 8) {
        forms.push(format!("{source}\n{}", line("v0", "v8")));
        forms.push(format!("{source}\n{}", line("v8", "v0")));
        forms.push(format!("{source}\n{}", line("v8", "v8")));
        let constant = if INTS.contains(&ty) { format!("77:{ty}") } else { format!("1.5:{ty}") };
        forms.push(format!("{source}\n{}", line("v8", &constant)));
    }
    forms
}

fn float_constants(ty: &str) -> Vec<String> {
    ["0.0", "-0.0", "1.0", "-1.5"].map(|value| format!("{value}:{ty}")).to_vec()
}

fn int_binary(cases: &mut Vec<String>) {
    const OPS: [&str; 17] = [
        "add", "sub", "mul", "mulhi_s", "mulhi_u", "div_s", "div_u", "rem_s", "rem_u", "and", "or",
        "xor", "shl", "shr_s", "shr_u", "rotl", "rotr",
    ];
    for ty in INTS {
        for op in OPS {
            for form in operand_forms(op, ty, ty) {
                cases.push(func(&[ty, ty, "i32"], &[ty], &format!("{form}\nreturn v10")));
                // The operands live on.
                let keep = format!("{form}\nreturn v10, v0, v1");
                cases.push(func(&[ty, ty, "i32"], &[ty, ty, ty], &keep));
            }
        }
        // Addresses: sums with factors.
        for shift in 0..5 {
            let lines = format!(
                "v10: {ty} = shl.{ty} v0, {shift}:{ty}
                 v11: {ty} = add.{ty} v10, v1
                 v12: {ty} = add.{ty} v11, 100:{ty}
                 return v12, v0"
            );
            cases.push(func(&[ty, ty], &[ty, ty], &lines));
        }
        // Both halves of a rotation, a mask before a shift, a negation.
        let lines = format!(
            "v10: {ty} = sub.{ty} 0:{ty}, v0
             v11: {ty} = xor.{ty} v1, -1:{ty}
             v12: {ty} = and.{ty} v0, v11
             v13: {ty} = and.{ty} v1, 31:{ty}
             v14: {ty} = shl.{ty} v12, v13
             return v14, v10"
        );
        cases.push(func(&[ty, ty], &[ty, ty], &lines));
        // A result of which only the zero flag matters.
        for op in ["add", "sub", "and", "or", "xor"] {
            let lines = format!(
                "v10: {ty} = {op}.{ty} v0, v1
                 v11: i32 = eqz.{ty} v10
                 br_if v11, b1, b2
                 b1:
                 return v10
                 b2:
                 return v0"
            );
            cases.push(func(&[ty, ty], &[ty], &lines));
        }
    }
}

/// What may be done with a condition in `v10`, of operands `v0` and `v1`.
fn consumers(ty: &str) -> Vec<(String, Vec<&str>)> {
    vec![
        ("return v10".into(), vec!["i32"]),
        ("v11: i32 = eqz.i32 v10\nreturn v11".into(), vec!["i32"]),
        ("br_if v10, b1, b2\nb1:\nreturn 1:i32\nb2:\nreturn 2:i32".into(), vec!["i32"]),
        (
            "v11: i32 = eqz.i32 v10\nbr_if v11, b1, b2\nb1 cold:\nreturn 1:i32\nb2:\nreturn 2:i32"
                .into(),
            vec!["i32"],
        ),
        (format!("br_if v10, b1(v0), b1(v1)\nb1:\nv12: {ty} = param\nreturn v12"), vec![ty]),
        (format!("v11: {ty} = select.{ty} v10, v0, v1\nreturn v11"), vec![ty]),
        (format!("v11: {ty} = select.{ty} v10, v1, v0\nreturn v11, v0, v1"), vec![ty, ty, ty]),
        (
            "v11: i32 = select.i32 v10, 7:i32, 9:i32\nv12: f64 = select.f64 v10, 1.0:f64, 2.0:f64
             return v11, v12"
                .into(),
            vec!["i32", "f64"],
        ),
        (
            "v7: i64 = load.i64 m0[v2 + 8]\nv11: i64 = select.i64 v10, v7, 3:i64\nreturn v11"
                .into(),
            vec!["i64"],
        ),
        ("trap_if.i32 IntegerOverflow, v10\nreturn".into(), vec![]),
        ("v11: i32 = and.i32 v10, v2\nreturn v11".into(), vec!["i32"]),
    ]
}

fn compare(cases: &mut Vec<String>) {
    const INT: [&str; 10] =
        ["eq", "ne", "lt_s", "lt_u", "gt_s", "gt_u", "le_s", "le_u", "ge_s", "ge_u"];
    const FLOAT: [&str; 6] = ["feq", "fne", "flt", "fgt", "fle", "fge"];
    for (types, ops) in [(INTS, &INT[..]), (FLOATS, &FLOAT[..])] {
        for ty in types {
            for op in ops {
                let forms = operand_forms(op, ty, "i32");
                for (number, form) in forms.iter().enumerate() {
                    for (which, (lines, results)) in consumers(ty).into_iter().enumerate() {
                        // Each form and each consumer, not each pair.
                        if number > 1 && which > 0 && (number + which) % 5 != 0 {
                            continue;
                        }
                        cases.push(func(&[ty, ty, "i32"], &results, &format!("{form}\n{lines}")));
                    }
                }
            }
        }
    }
    for ty in ["i32", "i64", "funcref", "anyref"] {
        for (lines, results) in consumers(ty) {
            let text = format!("v10: i32 = eqz.{ty} v0\n{lines}");
            cases.push(func(&[ty, ty, "i32"], &results, &text));
        }
    }
    // Bits, masks, narrow loads and what is in memory.
    for ty in INTS {
        let tests = [
            format!("v9: {ty} = and.{ty} v0, v1\nv10: i32 = eqz.{ty} v9"),
            format!("v9: {ty} = and.{ty} v0, 64:{ty}\nv10: i32 = eqz.{ty} v9"),
            format!("v9: {ty} = and.{ty} v0, 4096:{ty}\nv10: i32 = ne.{ty} v9, 0:{ty}"),
            format!(
                "v8: {ty} = shl.{ty} 1:{ty}, v1\nv9: {ty} = and.{ty} v0, v8\nv10: i32 = eqz.{ty} v9"
            ),
            format!(
                "v8: {ty} = shr_u.{ty} v0, v1\nv9: {ty} = and.{ty} v8, 1:{ty}\nv10: i32 = eqz.{ty} v9"
            ),
            format!(
                "v8: {ty} = load.{ty} m0[v2 + 4]\nv9: {ty} = and.{ty} v8, 15:{ty}\nv10: i32 = eqz.{ty} v9"
            ),
            format!("v8: {ty} = load8_u.{ty} m0[v2 + 4]\nv10: i32 = eq.{ty} v8, 65:{ty}"),
            format!("v8: {ty} = load8_s.{ty} m0[v2 + 4]\nv10: i32 = lt_s.{ty} v8, -1:{ty}"),
            format!("v8: {ty} = load16_u.{ty} m0[v2 + 4]\nv10: i32 = gt_u.{ty} v8, 40000:{ty}"),
            format!(
                "v8: {ty} = load8_u.{ty} m0[v2 + 4]\nv9: {ty} = and.{ty} v8, 8:{ty}\nv10: i32 = eqz.{ty} v9"
            ),
            format!("v8: {ty} = sub.{ty} v0, v1\nv10: i32 = eqz.{ty} v8"),
        ];
        for test in tests {
            for (lines, results) in consumers(ty) {
                cases.push(func(&[ty, ty, "i32"], &results, &format!("{test}\n{lines}")));
            }
        }
        if ty == "i64" {
            let test = "v8: i64 = load.i64 m0[v2 + 4]\nv9: i64 = and.i64 v8, 1099511627776:i64
                v10: i32 = eqz.i64 v9\nreturn v10";
            cases.push(func(&["i64", "i64", "i32"], &["i32"], test));
            let test = "v9: i64 = and.i64 v0, 1099511627776:i64\nv10: i32 = eqz.i64 v9\nreturn v10";
            cases.push(func(&["i64"], &["i32"], test));
        }
    }
}

fn unary(cases: &mut Vec<String>) {
    let int = ["clz", "ctz", "popcnt", "extend8_s", "extend16_s", "extend32_s"];
    let float = ["fneg", "fabs", "fsqrt", "fceil", "ffloor", "ftrunc", "fnearest"];
    for (types, ops) in [(INTS, &int[..]), (FLOATS, &float[..])] {
        for ty in types {
            for op in ops.iter().filter(|op| **op != "extend32_s" || ty == "i64") {
                one_operand(cases, op, ty, ty);
            }
        }
    }
}

/// An operation on one value of type `from`, in a register, in memory and kept.
fn one_operand(cases: &mut Vec<String>, op: &str, ty: &str, from: &str) {
    let line = |a: &str| format!("v10: {ty} = {op}.{ty} {a}");
    let params = [from, from, "i32"];
    cases.push(func(&params, &[ty], &format!("{}\nreturn v10", line("v0"))));
    cases.push(func(&params, &[ty, from], &format!("{}\nreturn v10, v0", line("v0"))));
    for source in sources(from, 8) {
        cases.push(func(&params, &[ty], &format!("{source}\n{}\nreturn v10", line("v8"))));
        let both = format!("{source}\n{}\nreturn v10, v8", line("v8"));
        cases.push(func(&params, &[ty, from], &both));
    }
    let stored = format!("{}\nstore.{ty} m0[v2 + 8], v10\nreturn", line("v0"));
    cases.push(func(&params, &[], &stored));
}

fn float_binary(cases: &mut Vec<String>) {
    for ty in FLOATS {
        for op in ["fadd", "fsub", "fmul", "fdiv", "fmin", "fmax", "fcopysign"] {
            for form in operand_forms(op, ty, ty) {
                cases.push(func(&[ty, ty, "i32"], &[ty], &format!("{form}\nreturn v10")));
                let keep = format!("{form}\nreturn v10, v0, v1");
                cases.push(func(&[ty, ty, "i32"], &[ty, ty, ty], &keep));
                // Bits that are seen.
                let seen = format!("{form}\nstore.{ty} m0[v2 + 8], v10\nreturn");
                cases.push(func(&[ty, ty, "i32"], &[], &seen));
                let bits = if ty == "f32" { "i32" } else { "i64" };
                let seen = format!("{form}\nv11: {bits} = bitcast.{bits} v10\nreturn v11");
                cases.push(func(&[ty, ty, "i32"], &[bits], &seen));
            }
        }
    }
}

fn conversions(cases: &mut Vec<String>) {
    for (op, ty, from) in [
        ("wrap", "i32", "i64"),
        ("extend_s", "i64", "i32"),
        ("extend_u", "i64", "i32"),
        ("demote", "f32", "f64"),
        ("promote", "f64", "f32"),
        ("bitcast", "i32", "f32"),
        ("bitcast", "f32", "i32"),
        ("bitcast", "i64", "f64"),
        ("bitcast", "f64", "i64"),
    ] {
        one_operand(cases, op, ty, from);
    }
    for int in INTS {
        for float in FLOATS {
            for op in ["trunc_s", "trunc_u", "trunc_sat_s", "trunc_sat_u"] {
                one_operand(cases, op, int, float);
            }
            for op in ["convert_s", "convert_u"] {
                one_operand(cases, op, float, int);
            }
        }
    }
    // Extensions that loads and masks make unnecessary.
    for (load, ty) in [("load8_u", "i32"), ("load16_s", "i32"), ("load", "i32")] {
        for extend in ["extend_s", "extend_u"] {
            let lines = format!(
                "v8: {ty} = {load}.{ty} m0[v2 + 3]\nv10: i64 = {extend}.i64 v8\nreturn v10"
            );
            cases.push(func(&["i32", "i32", "i32"], &["i64"], &lines));
        }
    }
}

fn select(cases: &mut Vec<String>) {
    for ty in SCALARS.into_iter().chain(["v128"]) {
        for condition in ["v2", "1:i32", "v10"] {
            for (a, b) in [("v0", "v1"), ("v1", "v0"), ("v0", "v0")] {
                let lines = format!(
                    "v10: i32 = lt_u.i32 v2, 7:i32\nv11: {ty} = select.{ty} {condition}, {a}, {b}
                     global_set.{ty} g4, v11\nreturn"
                );
                // Vectors are no parameters yet.
                if ty == "v128" {
                    let lines =
                        format!("v0: v128 = global_get g5\nv1: v128 = global_get g0\n{lines}")
                            .replace("v2", "v3");
                    cases.push(func(
                        &[],
                        &[],
                        &lines.replace("v3", "v9").replacen(
                            "v0:",
                            "v9: i32 = global_get g7\nv0:",
                            1,
                        ),
                    ));
                } else {
                    cases.push(func(&[ty, ty, "i32"], &[], &lines));
                }
            }
        }
    }
}
