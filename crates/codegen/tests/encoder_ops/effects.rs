//! Cases with effects: memory, variables, tables, calls, control.

use crate::cases::{FLOATS, INTS, NUMBERS, SCALARS, func, with};
use runwell_abi::call::NARROW_RESULTS;
use runwell_abi::{LibCall, TrapCode};

pub(crate) fn add(cases: &mut Vec<String>) {
    memory(cases);
    variables(cases);
    tables(cases);
    calls(cases);
    control(cases);
    bookkeeping(cases);
}

fn memory(cases: &mut Vec<String>) {
    let accesses: [(&str, &[&str]); 11] = [
        ("load", &["i32", "i64", "f32", "f64", "v128"]),
        ("load8_s", &INTS),
        ("load8_u", &INTS),
        ("load16_s", &INTS),
        ("load16_u", &INTS),
        ("load32_s", &["i64"]),
        ("load32_u", &["i64"]),
        ("store", &["i32", "i64", "f32", "f64"]),
        ("store8", &INTS),
        ("store16", &INTS),
        ("store32", &["i64"]),
    ];
    for (op, types) in accesses {
        for ty in types {
            for memory in 0..3 {
                for (before, address) in addresses(if memory == 2 { "i64" } else { "i32" }) {
                    for offset in [0u32, 1, 127, 128, 0x7fff_ffff, 0x8000_0000, u32::MAX] {
                        access(cases, op, ty, memory, &before, &address, offset);
                    }
                }
            }
        }
    }
    for ty in INTS {
        for memory in 0..3 {
            let lines = format!("v10: {ty} = mem_size m{memory}\nreturn v10");
            cases.push(func(&[], &[ty], &lines));
        }
    }
    updates(cases);
}

/// Ways to make an address from `v0` and `v1`: lines and the value.
fn addresses(ty: &str) -> Vec<(String, String)> {
    vec![
        (String::new(), "v0".into()),
        (String::new(), format!("256:{ty}")),
        (String::new(), format!("-4:{ty}")),
        (format!("v5: {ty} = add.{ty} v0, 12:{ty}"), "v5".into()),
        (format!("v4: {ty} = shl.{ty} v1, 3:{ty}\nv5: {ty} = add.{ty} v0, v4"), "v5".into()),
    ]
}

fn access(
    cases: &mut Vec<String>,
    op: &str,
    ty: &str,
    memory: u32,
    before: &str,
    address: &str,
    offset: u32,
) {
    let at = if memory == 2 { "i64" } else { "i32" };
    let place = format!("m{memory}[{address} + {offset}]");
    if op.starts_with("load") {
        let lines = format!("{before}\nv10: {ty} = {op}.{ty} {place}\n");
        let case = if ty == "v128" {
            func(&[at, at], &[], &format!("{lines}global_set.v128 g5, v10\nreturn"))
        } else {
            func(&[at, at], &[ty], &format!("{lines}return v10"))
        };
        cases.push(case);
        return;
    }
    let values: &[String] = &[
        "v2".to_string(),
        if FLOATS.contains(&ty) { format!("1.5:{ty}") } else { format!("-2:{ty}") },
        if FLOATS.contains(&ty) { format!("0.0:{ty}") } else { format!("{}:{ty}", i32::MAX) },
    ];
    for value in values {
        let lines = format!("{before}\n{op}.{ty} {place}, {value}\nreturn");
        cases.push(func(&[at, at, ty], &[], &lines));
    }
}

/// Operations on what is in memory, in a global, in a slot.
fn updates(cases: &mut Vec<String>) {
    let sizes = [
        ("load", "store", "i32"),
        ("load", "store", "i64"),
        ("load8_u", "store8", "i32"),
        ("load16_u", "store16", "i32"),
        ("load8_u", "store8", "i64"),
        ("load32_u", "store32", "i64"),
    ];
    for (load, store, ty) in sizes {
        for op in ["add", "sub", "and", "or", "xor"] {
            for other in
                ["v1".to_string(), format!("1:{ty}"), format!("-128:{ty}"), format!("200:{ty}")]
            {
                for place in ["m0[v0 + 40]", "m1[v0 + 40]"] {
                    let lines = format!(
                        "v9: {ty} = {load}.{ty} {place}\nv10: {ty} = {op}.{ty} v9, {other}
                         {store}.{ty} {place}, v10\nreturn"
                    );
                    cases.push(func(&["i32", ty], &[], &lines));
                }
                let lines = format!(
                    "v9: {ty} = global_get g4\nv10: {ty} = {op}.{ty} v9, {other}
                     global_set.{ty} g4, v10\nreturn"
                );
                cases.push(func(&["i32", ty], &[], &lines));
            }
        }
    }
    // Narrow stores of what was extended or masked.
    for line in [
        "v10: i64 = extend_u.i64 v1\nstore8.i64 m0[v0 + 0], v10",
        "v10: i64 = extend_s.i64 v1\nstore32.i64 m0[v0 + 0], v10",
        "v10: i32 = and.i32 v1, 255:i32\nstore8.i32 m0[v0 + 0], v10",
        "v10: f32 = bitcast.f32 v1\nstore.f32 m0[v0 + 0], v10",
    ] {
        cases.push(func(&["i32", "i32"], &[], &format!("{line}\nreturn")));
    }
}

fn variables(cases: &mut Vec<String>) {
    for ty in SCALARS {
        for global in ["g0", "g6"] {
            cases.push(func(&[], &[ty], &format!("v10: {ty} = global_get {global}\nreturn v10")));
            cases.push(func(&[ty], &[], &format!("global_set.{ty} {global}, v0\nreturn")));
        }
        for slots in [1, 3, 40] {
            let declarations: String =
                (0..slots).map(|slot| format!("  slot s{slot}: {ty}\n")).collect();
            let last = slots - 1;
            let lines =
                format!("v10: {ty} = slot_load s{last}\nslot_store.{ty} s0, v0\nreturn v10");
            cases.push(with(&[ty], &[ty], &declarations, &lines));
        }
    }
    for ty in NUMBERS {
        let constant = if FLOATS.contains(&ty) { "2.5" } else { "25" };
        cases.push(func(&[], &[], &format!("global_set.{ty} g6, {constant}:{ty}\nreturn")));
    }
    let lines = "v10: v128 = slot_load s1\nslot_store.v128 s1, 0x10000000000000002:v128
        global_set.v128 g5, v10\nreturn";
    cases.push(with(&[], &[], "  slot s0: i32\n  slot s1: v128\n", lines));
    cases.push(func(&[], &[], "global_set.v128 g5, 0x0:v128\nreturn"));
}

fn tables(cases: &mut Vec<String>) {
    for (table, index, element) in
        [(0, "i32", "funcref"), (1, "i32", "funcref"), (2, "i64", "anyref")]
    {
        for at in ["v0".to_string(), format!("5:{index}"), format!("-1:{index}")] {
            let get = format!("v10: {element} = table_get.{element} t{table}, {at}\nreturn v10");
            cases.push(func(&[index], &[element], &get));
            for value in ["v1".to_string(), format!("null:{element}")] {
                let set = format!("table_set.{element} t{table}, {at}, {value}\nreturn");
                cases.push(func(&[index, element], &[], &set));
            }
        }
        let size = format!("v10: {index} = table_size t{table}\nreturn v10");
        cases.push(func(&[], &[index], &size));
    }
    for function in 0..4 {
        let lines = format!("v10: funcref = ref_func f{function}\nreturn v10");
        cases.push(func(&[], &["funcref"], &lines));
    }
    cases.push(func(&[], &["funcref"], "return null:funcref"));
}

/// A call and what brings its results to life as `v100` and so on.
fn call_lines(call: &str, results: &[&str]) -> String {
    let many = results.len() > NARROW_RESULTS;
    let mut lines = if many {
        format!("{call}\nhome_take h3, {}\n", results.len())
    } else if results.is_empty() {
        format!("{call}\n")
    } else {
        String::new()
    };
    for (number, ty) in results.iter().enumerate() {
        let made = match number {
            _ if many => format!("home_load h{}", 3 + number),
            0 => call.to_string(),
            _ => format!("result {number} of v100"),
        };
        lines += &format!("v{}: {ty} = {made}\n", 100 + number);
    }
    lines
}

/// Copies of homes, and calls and returns that find what they take in the transfer buffer.
fn homes(cases: &mut Vec<String>) {
    let many: Vec<&str> = NUMBERS.into_iter().cycle().take(20).collect();
    let list = many.join(", ");
    let head = format!("  sig1: ({list}) -> ({list})\n  slot s0: i64\n  homes 4000\n");
    for first in [0, 3, 40, 3000] {
        let pass = format!("home_pass h{first}, 20\n");
        for (call, before) in [
            ("call f3 sig1()", ""),
            ("call f0 sig1()", ""),
            ("call_indirect t0 type 1 sig1(v0)", ""),
            ("call_indirect t0 type 1 sig1(v9)", "v9: i32 = load.i32 m0[v0 + 8]\n"),
            ("call_ref type 1 sig1(v2)", ""),
        ] {
            let lines = format!(
                "{before}{pass}{call}\nhome_take h{first}, 20\nhome_pass h{first}, 20\nreturn"
            );
            cases.push(with(&["i32", "i64", "funcref"], &many, &head, &lines));
            let lines = format!("{before}{pass}return_{call}");
            cases.push(with(&["i32", "i64", "funcref"], &many, &head, &lines));
        }
        for count in [1, 2, 100, 1000] {
            // Values live through the copy, in the registers that it needs as well.
            let lines = format!(
                "home_move h0, h{}, {count}\nv20: i64 = slot_load s0\nreturn v20, v0, v1, v2",
                first.max(1)
            );
            cases.push(with(&["i64"; 8], &["i64"; 4], &head, &lines));
        }
    }
    for (number, load) in [("v0", ""), ("7:i32", ""), ("v9", "v9: i32 = load.i32 m0[v0 + 8]\n")] {
        let lines = format!("{load}home_shift.i32 h5, 20, {number}\nreturn v0, v1, v2");
        cases.push(with(&["i32", "i64", "i64"], &["i32", "i64", "i64"], &head, &lines));
    }
    for (at, ty) in SCALARS.iter().enumerate() {
        let lines = format!(
            "home_store.{ty} h{at}, v0\nv1: {ty} = home_load h{at}\nhome_store.{ty} h2000, v1\n\
             v2: {ty} = home_load h2000\nreturn v2, v1"
        );
        cases.push(with(&[ty], &[ty, ty], &head, &lines));
    }
    for ty in NUMBERS {
        let op = if INTS.contains(&ty) { "add" } else { "fadd" };
        let lines = format!(
            "v1: {ty} = home_load h9\nv2: {ty} = {op}.{ty} v0, v1\nhome_store.{ty} h9, v2\n\
             home_store.{ty} h10, 7:{ty}\nreturn v2"
        );
        cases.push(with(&[ty], &[ty], &head, &lines));
    }
    for ty in SCALARS {
        for cond in ["v1", "v9"] {
            let lines = format!(
                "v9: i32 = lt_s.i64 v2, v2\nv10: {ty} = home_select.{ty} h9, {cond}\n\
                 v11: {ty} = home_select.{ty} h2000, v1\nreturn v10, v11, v0"
            );
            cases.push(with(&[ty, "i32", "i64"], &[ty, ty, ty], &head, &lines));
        }
    }
    // Operators whose left or right operand lies at home.
    for (ty, ops) in [
        ("i32", &["div_s", "div_u", "rem_s", "rem_u", "shl", "rotl", "sub", "mul"][..]),
        ("i64", &["div_s", "div_u", "rem_s", "rem_u", "shr_s", "rotr", "sub", "mul"]),
        ("f32", &["fmin", "fmax", "fcopysign", "fsub", "fdiv"]),
        ("f64", &["fmin", "fmax", "fcopysign", "fsub", "fdiv"]),
    ] {
        for op in ops {
            for (a, b) in [("v10", "v0"), ("v0", "v10"), ("v10", "v11"), ("v10", "v10")] {
                let lines = format!(
                    "v10: {ty} = home_load h9\nv11: {ty} = home_load h10\n\
                     v12: {ty} = {op}.{ty} {a}, {b}\nreturn v12, v0"
                );
                cases.push(with(&[ty], &[ty, ty], &head, &lines));
            }
        }
    }
    // Narrow arguments that come from homes, with values that live through the call or wait for it.
    for types in [&["i64"; 8][..], &NUMBERS, &["f64"; 8], &["i32", "f32", "funcref"], &["f32"]] {
        let (count, list) = (types.len(), types.join(", "));
        let head = format!("  sig1: ({list}) -> (i64)\n  sig2: ({list}) -> ()\n  homes 4000\n");
        for (call, list) in [("call f3", ""), ("call f0", ""), ("call_indirect t0 type N", "v1")] {
            let call = |sig: &str| format!("{} sig{sig}({list})", call.replace('N', sig));
            let (makes, ends) = (call("1"), call("2"));
            let lines = format!(
                "home_pass h3000, {count}\nv9: i64 = {makes}\nv10: i64 = add.i64 v9, v0\n\
                 home_store.i64 h5, v10\nhome_pass h4, {count}\nreturn_{ends}"
            );
            cases.push(with(&["i64", "i32"], &[], &head, &lines));
        }
    }
    // Parameters of a wide function, those in use alone.
    let text = format!(
        "func 5 sig0 ({list}) -> (i64, f64) {{\nb0:\n  v0: i64 = param 17 @0x10\n  \
         v1: f64 = param 3\n  v2: i32 = param 8\n  v3: i64 = extend_u.i64 v2\n  \
         v4: i64 = add.i64 v3, v0\n  return v4, v1\n}}\n"
    );
    cases.push(text);
}

fn calls(cases: &mut Vec<String>) {
    homes(cases);
    let many: Vec<&str> = NUMBERS.into_iter().cycle().take(30).collect();
    let signatures: [(&[&str], &[&str]); 6] = [
        (&[], &[]),
        (&["i32"], &["i32"]),
        (&["i64", "f64", "i32", "f32"], &["f64", "i64"]),
        (&["funcref", "anyref"], &["anyref", "funcref", "f32"]),
        (&many, &many),
        (&["i64"], &many),
    ];
    for (params, results) in signatures {
        let sig = format!("  sig1: ({}) -> ({})\n", params.join(", "), results.join(", "));
        let declaration = format!("{sig}  homes 40\n");
        // The arguments come in the other order, so that all have to move.
        let mut own: Vec<&str> = params.iter().rev().copied().collect();
        let args: Vec<String> = (0..params.len()).rev().map(|at| format!("v{at}")).collect();
        own.extend(["i32", "i64", "funcref"]);
        let [narrow, wide, reference] = [0, 1, 2].map(|at| format!("v{}", params.len() + at));
        let targets = [
            ("call f0 sig1", None),
            ("call f3 sig1", None),
            ("call_indirect t0 type 1 sig1", Some(narrow.clone())),
            ("call_indirect t1 type 1 sig1", Some("3:i32".to_string())),
            ("call_indirect t2 type 1 sig1", Some(wide)),
            ("call_ref type 1 sig1", Some(reference)),
        ];
        for (call, first) in targets {
            let mut list: Vec<String> = first.into_iter().collect();
            list.extend(args.iter().cloned());
            let list = list.join(", ");
            let lines = call_lines(&format!("{call}({list})"), results);
            let made: Vec<String> = (0..results.len()).map(|at| format!("v{}", 100 + at)).collect();
            let all = format!("{lines}return {}", made.join(", "));
            cases.push(with(&own, results, &declaration, &all));
            // Something lives across the call, and the results are not used.
            let kept = format!("{lines}return {narrow}");
            cases.push(with(&own, &["i32"], &declaration, &kept));
            let tail = format!("return_{call}({list})");
            cases.push(with(&own, results, &declaration, &tail));
        }
    }
    for helper in LibCall::ALL {
        let args: Vec<String> = (0..helper.args()).map(|at| format!("v{at}")).collect();
        let call = format!("libcall {}({})", helper.name(), args.join(", "));
        let params = ["i64"; 5];
        cases.push(func(&params, &[], &format!("{call}\nreturn")));
        for ty in INTS.iter().take(2 * helper.results()) {
            let lines = format!("v10: {ty} = {call}\nreturn v10, v0");
            cases.push(func(&params, &[*ty, "i64"], &lines));
        }
        let constants: Vec<String> = (0..helper.args()).map(|at| format!("{at}:i64")).collect();
        let lines = format!("libcall {}({})\nreturn", helper.name(), constants.join(", "));
        cases.push(func(&[], &[], &lines));
    }
}

fn control(cases: &mut Vec<String>) {
    for ty in SCALARS {
        cases.push(func(&[ty], &[ty], &format!("jump b1(v0)\nb1:\nv10: {ty} = param\nreturn v10")));
        // Both edges carry something, one of them a swap.
        let lines = format!(
            "br_if v2, b1(v0, v1), b1(v1, v0)
             b1:
             v10: {ty} = param
             v11: {ty} = param
             return v11, v10"
        );
        cases.push(func(&[ty, ty, "i32"], &[ty, ty], &lines));
    }
    cases.push(func(&[], &[], "fuel 3\nfuel_back 2\nreturn"));
    cases.push(func(&["i64"], &["i64"], "fuel_for.i64 6, v0\nreturn v0"));
    for code in TrapCode::ALL {
        cases.push(func(&[], &[], &format!("trap {code:?}")));
        cases.push(func(&["i32"], &[], &format!("trap_if.i32 {code:?}, v0\nreturn")));
    }
    for entries in [1, 2, 3, 5, 6, 20] {
        for distinct in [1, 2, entries] {
            tables_of_branches(cases, entries, distinct.min(entries));
        }
    }
    // In a loop that divides, floats are stored in another way.
    for ty in FLOATS {
        let lines = format!(
            "jump b1(v0)
             b1 in l0:
             v10: {ty} = param
             v11: {ty} = fdiv.{ty} v10, v10
             store.{ty} m0[v1 + 8], v11
             br_if v1, b1(v11), b2
             b2:
             return"
        );
        let loops = "  loop l0: b1..b2 depth 1 store\n";
        cases.push(with(&[ty, "i32"], &[], loops, &lines));
    }
    for body in ["", "call f3 sig1()\n", "call f0 sig1()\n"] {
        let call = if body.is_empty() { "" } else { " call store" };
        let declarations = format!("  sig1: () -> ()\n  loop l0: b1..b2 depth 1{call}\n");
        let lines = format!(
            "jump b1(v0, v1)
             b1 in l0:
             v10: i32 = param
             v11: f64 = param
             {body}v12: i32 = add.i32 v10, -1:i32
             v13: f64 = fmul.f64 v11, v11
             br_if v12, b1(v12, v13), b2
             b2:
             return v13"
        );
        let sigs = if body.is_empty() {
            declarations.replace("  sig1: () -> ()\n", "")
        } else {
            declarations
        };
        cases.push(with(&["i32", "f64"], &["f64"], &sigs, &lines));
    }
    // More values than registers, in both classes and across a call.
    for ty in ["i64", "f64"] {
        let (op, count) = if ty == "i64" { ("add", 30) } else { ("fadd", 40) };
        let mut lines = String::new();
        for number in 0..count {
            lines += &format!(
                "v{}: {ty} = {op}.{ty} v{}, v0\n",
                10 + number,
                if number == 0 { 0 } else { 9 + number }
            );
        }
        lines += "call f3 sig1()\n";
        let mut sum = "v0".to_string();
        for number in 0..count {
            lines += &format!("v{}: {ty} = {op}.{ty} {sum}, v{}\n", 100 + number, 10 + number);
            sum = format!("v{}", 100 + number);
        }
        lines += &format!("return {sum}");
        cases.push(with(&[ty], &[ty], "  sig1: () -> ()\n", &lines));
        cases.push(func(&[ty], &[ty], &lines.replace("call f3 sig1()\n", "")));
    }
}

fn tables_of_branches(cases: &mut Vec<String>, entries: usize, distinct: usize) {
    let edges: Vec<String> =
        (0..distinct).map(|edge| format!("b1({}:i32, v0)", 100 + edge)).collect();
    let list: Vec<String> = (0..entries).map(|entry| (entry % distinct).to_string()).collect();
    let lines = format!(
        "br_table v0, {} [{}]
         b1:
         v10: i32 = param
         v11: i32 = param
         return v10, v11",
        edges.join(", "),
        list.join(" ")
    );
    cases.push(func(&["i32"], &["i32", "i32"], &lines));
    let edges: Vec<String> = (0..distinct).map(|edge| format!("b{}", 1 + edge)).collect();
    let mut lines = format!("br_table v0, {} [{}]\n", edges.join(", "), list.join(" "));
    for edge in 0..distinct {
        lines += &format!("b{}:\nreturn {}:i32\n", 1 + edge, 100 + edge);
    }
    cases.push(func(&["i32"], &["i32"], &lines));
}

/// Removed instructions and redundant parameters.
fn bookkeeping(cases: &mut Vec<String>) {
    cases.push(func(&["i32"], &["i32"], "nop\nnop\nreturn v0"));
    for ty in SCALARS {
        let lines = format!(
            "jump b1(v0, v1)\nb1:\nv10: {ty} = copy.{ty} v0\nv11: {ty} = param\nreturn v11, v0"
        );
        cases.push(func(&[ty, ty], &[ty, ty], &lines));
    }
}
