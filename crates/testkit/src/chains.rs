//! Long chains of a few operators each, whose quotes have no room elsewhere: nothing in them is cheaper than
//! its row says, so that a row that is too small shows.
//!
//! The [sweep](crate::sweep) has operators one by one, with what their operands and results cost in the worst
//! place. That leaves room where they are in the best place: a value that is in its register all the time is
//! quoted what moving it might cost.

/// So many copies of a unit.
const COPIES: usize = 1000;
/// So many entities, for offsets from the context that need four bytes.
const ENTITIES: usize = 500;

/// Names, what stands before the function, its signature, and a unit of its body, which comes again and again
/// behind `local.get 0`. `#` is a number of its own, `@` an entity, `%` another one.
const CHAINS: &[(&str, &str, &str, &str)] = &[
    (
        "global.get",
        "(global (mut i32) (i32.const 0))",
        "(param i32) (result i32)",
        "global.get @ i32.xor",
    ),
    (
        "global.get, 64 bits",
        "(global (mut i64) (i64.const 0))",
        "(param i64) (result i64)",
        "global.get @ i64.xor",
    ),
    (
        "global.get, imported",
        "(import \"\" \"@\" (global (mut i32)))",
        "(param i32) (result i32)",
        "global.get @ i32.xor",
    ),
    (
        "global.set",
        "(global (mut i32) (i32.const 0))",
        "(param i32) (result i32)",
        "local.get 0 global.set @",
    ),
    (
        "global.set, imported",
        "(import \"\" \"@\" (global (mut i32)))",
        "(param i32) (result i32)",
        "local.get 0 global.set @",
    ),
    (
        "global to global",
        "(import \"\" \"@\" (global (mut i64)))",
        "(param i32) (result i32)",
        "global.get @ global.set %",
    ),
    ("shl", "", "(param i32 i32) (result i32)", "local.get 1 i32.shl local.get 0 i32.add"),
    ("shr_s", "", "(param i64 i64) (result i64)", "local.get 1 i64.shr_s"),
    ("rotl", "", "(param i64 i64) (result i64)", "local.get 1 i64.rotl local.get 0 i64.xor"),
    (
        "rotr by a constant",
        "",
        "(param i64 i64) (result i64)",
        "i64.const 7 i64.rotr local.get 1 i64.add",
    ),
    ("extend", "", "(param i64) (result i64)", "i32.wrap_i64 i64.extend_i32_s local.get 0 i64.add"),
    ("extend8_s", "", "(param i64) (result i64)", "i64.extend8_s local.get 0 i64.add"),
    (
        "extend16_s and extend32_s",
        "",
        "(param i64) (result i64)",
        "i64.extend16_s i64.extend32_s local.get 0 i64.add",
    ),
    ("clz", "", "(param i64) (result i64)", "i64.clz local.get 0 i64.add"),
    ("popcnt", "", "(param i64) (result i64)", "i64.popcnt local.get 0 i64.sub"),
    ("mul", "", "(param i64 i64) (result i64)", "local.get 1 i64.mul"),
    ("mul by a constant", "", "(param i32) (result i32)", "i32.const 123457 i32.mul"),
    ("div_s", "", "(param i64 i64) (result i64)", "local.get 1 i64.div_s local.get 0 i64.xor"),
    ("rem_s", "", "(param i64 i64) (result i64)", "local.get 1 i64.rem_s local.get 0 i64.xor"),
    (
        "div_u by a constant",
        "",
        "(param i64) (result i64)",
        "i64.const 1234567 i64.div_u local.get 0 i64.xor",
    ),
    ("i32.const", "", "(param i32) (result i32)", "i32.const 2#99 i32.add i32.const 3#77 i32.xor"),
    (
        "i64.const",
        "",
        "(param i64) (result i64)",
        "i64.const 0x12345678ab#def i64.add local.get 0 i64.xor",
    ),
    (
        "i64.const, stored",
        "(memory 1)",
        "(param i32) (result i32)",
        "local.get 0 i64.const 0x12345678ab#def i64.store offset=#8",
    ),
    (
        "i32.const, stored",
        "(memory 1)",
        "(param i32) (result i32)",
        "local.get 0 i32.const 0x123#ab i32.store offset=#8",
    ),
    ("f64.const", "", "(param f64) (result f64)", "f64.const #.25 f64.add"),
    ("load", "(memory 1)", "(param i32) (result i32)", "i32.load offset=#8"),
    ("load8_s", "(memory 1)", "(param i64) (result i64)", "i32.wrap_i64 i64.load8_s offset=#8"),
    (
        "store",
        "(memory 1)",
        "(param i32 i64) (result i32)",
        "local.get 0 local.get 1 i64.store offset=#8",
    ),
    (
        "f64.load and f64.store",
        "(memory 1)",
        "(param i32) (result i32)",
        "local.get 0 local.get 0 f64.load offset=#8 f64.store offset=1#8",
    ),
    (
        "compare",
        "",
        "(param i64 i64) (result i64)",
        "local.get 1 i64.lt_s i64.extend_i32_u local.get 0 i64.add",
    ),
    ("eqz", "", "(param i32) (result i32)", "i32.eqz local.get 0 i32.add"),
    (
        "f64.lt",
        "",
        "(param f64 f64) (result f64)",
        "local.get 1 f64.lt f64.convert_i32_u local.get 0 f64.add",
    ),
    (
        "select",
        "",
        "(param i32 i32) (result i32)",
        "local.get 1 local.get 0 select local.get 1 i32.add",
    ),
    ("f64.add", "", "(param f64 f64) (result f64)", "local.get 1 f64.add"),
    ("f32.sqrt", "", "(param f32 f32) (result f32)", "f32.sqrt local.get 1 f32.mul"),
    ("f64.min", "", "(param f64 f64) (result f64)", "local.get 1 f64.min local.get 0 f64.add"),
    ("f64.neg", "", "(param f64 f64) (result f64)", "f64.neg local.get 1 f64.add"),
    (
        "f64.abs and copysign",
        "",
        "(param f64 f64) (result f64)",
        "f64.abs local.get 1 f64.copysign local.get 0 f64.add",
    ),
    ("f64.floor", "", "(param f64 f64) (result f64)", "f64.floor local.get 1 f64.add"),
    (
        "truncate and convert",
        "",
        "(param f64) (result f64)",
        "i64.trunc_sat_f64_s f64.convert_i64_s local.get 0 f64.add",
    ),
    (
        "truncate and convert, unsigned",
        "",
        "(param f64) (result f64)",
        "i64.trunc_f64_u f64.convert_i64_u local.get 0 f64.add",
    ),
    (
        "reinterpret",
        "",
        "(param f64) (result f64)",
        "i64.reinterpret_f64 f64.reinterpret_i64 local.get 0 f64.add",
    ),
    (
        "demote and promote",
        "",
        "(param f64) (result f64)",
        "f32.demote_f64 f64.promote_f32 local.get 0 f64.add",
    ),
    (
        "call",
        "(func $h (param i32 i32 i32) (result i32) local.get 0)",
        "(param i32) (result i32)",
        "local.get 0 local.get 0 call $h",
    ),
    ("call of an import", "(import \"\" \"@\" (func))", "(param i32) (result i32)", "call @"),
    ("br_if out", "", "(param i32) (result i32)", "local.get 0 br_if 0"),
    ("br out", "", "(param i32) (result i32)", "block local.get 0 br_if 0 local.get 0 br 1 end"),
    ("if", "", "(param i32) (result i32)", "local.get 0 if local.get 0 return end"),
    (
        "if else",
        "",
        "(param i32) (result i32)",
        "local.get 0 if (result i32) local.get 0 else i32.const 5 end i32.add",
    ),
    ("loop", "", "(param i32) (result i32)", "loop local.get 0 br_if 0 end"),
    (
        "memory.size and memory.grow",
        "(memory 1)",
        "(param i32) (result i32)",
        "memory.grow memory.size i32.add",
    ),
    (
        "table.get and table.set",
        "(table 10 funcref)",
        "(param i32) (result i32)",
        "local.get 0 local.get 0 table.get 0 table.set 0",
    ),
    (
        "call_indirect",
        "(type $t (func)) (table 10 funcref)",
        "(param i32) (result i32)",
        "local.get 0 call_indirect (type $t)",
    ),
];

/// All chains, by name.
///
/// # Panics
/// When one is no module.
pub fn chains() -> Vec<(String, Vec<u8>)> {
    let module = |&(name, field, signature, unit): &(&str, &str, &str, &str)| {
        let count = if field.contains('@') || field.contains("global") { ENTITIES } else { 1 };
        let fields: String = (0..count).map(|at| field.replace('@', &at.to_string())).collect();
        let mut body = String::new();
        for copy in 0..COPIES {
            let (at, other) = (copy % ENTITIES, (copy + ENTITIES / 2) % ENTITIES);
            let unit = unit.replace('#', &(100 + copy % 900).to_string());
            body += &unit.replace('@', &at.to_string()).replace('%', &other.to_string());
            body.push(' ');
        }
        let text = format!("(module {fields} (func {signature} local.get 0 {body}))");
        let bytes = wat::parse_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        (name.to_string(), bytes)
    };
    CHAINS.iter().map(module).collect()
}
