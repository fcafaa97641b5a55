//! Long chains of a few operators, whose quotes have no room elsewhere: a few locals, and each value in its
//! register all the time, so that a row that is too small shows.
//!
//! The [sweep](crate::sweep) has operators one by one, with what their operands and results cost in the worst
//! place. Mixtures of programs hide what one operator costs. Here are a handful of them, again and again.

use crate::Rng;
use std::fmt::Write;

/// Entities, for offsets from the context that need four bytes.
const ENTITIES: usize = 500;

/// What stands before the function: nothing, globals of each type of either kind, a memory and so on. `@` is a
/// number.
const NONE: &str = "";
const GLOBALS: &str = "(global $i@ (mut i32) (i32.const 0))(global $l@ (mut i64) (i64.const 0))\
                       (global $d@ (mut f64) (f64.const 0))";
const IMPORTED: &str = "(import \"\" \"i@\" (global $I@ (mut i32)))(import \"\" \"l@\" (global $L@ (mut i64)))\
                        (import \"\" \"d@\" (global $D@ (mut f64)))";
const MEMORY: &str = "(memory 1)";
const TABLE: &str = "(table 10 funcref)";
const CALLEE: &str = "(func $own (param i32 i64 f64) (result i32) local.get 0)";
const IMPORT: &str = "(import \"\" \"f@\" (func $f@))";
const FIELDS: [&str; 6] = [IMPORTED, IMPORT, GLOBALS, MEMORY, TABLE, CALLEE];

/// Links by the type of the value that they take and give, and what they need. Parameters are `$a`, `$b` of
/// the type, `$n` an `i32`; `#` is a number of three digits, `@` an entity, `%` another one.
const LINKS: &[(&str, &str, &str)] = &[
    ("i32", "global.get $i@ i32.xor", GLOBALS),
    ("i32", "global.get $I@ i32.xor", IMPORTED),
    ("i32", "global.set $i@ local.get $b", GLOBALS),
    ("i32", "global.set $I@ local.get $b", IMPORTED),
    ("i64", "global.get $l@ i64.add", GLOBALS),
    ("i64", "global.get $L@ global.set $L% local.get $b i64.add", IMPORTED),
    ("f64", "global.get $d@ f64.add", GLOBALS),
    ("f64", "global.set $D@ local.get $a", IMPORTED),
    ("i32", "local.get $n i32.shl local.get $b i32.add", NONE),
    ("i32", "local.get $b i32.shr_s", NONE),
    ("i32", "i32.const 7 i32.rotl local.get $b i32.sub", NONE),
    ("i64", "local.get $b i64.shr_u", NONE),
    ("i64", "local.get $b i64.rotl local.get $a i64.xor", NONE),
    ("i64", "i64.const 9 i64.shl local.get $a i64.add", NONE),
    ("i64", "i32.wrap_i64 i64.extend_i32_s local.get $a i64.add", NONE),
    ("i64", "i64.extend8_s local.get $a i64.add", NONE),
    ("i64", "i64.extend16_s i64.extend32_s local.get $b i64.or", NONE),
    ("i32", "i32.extend8_s local.get $b i32.and i32.extend16_s", NONE),
    ("i32", "i32.clz local.get $b i32.add", NONE),
    ("i64", "i64.ctz local.get $b i64.add", NONE),
    ("i64", "i64.popcnt local.get $b i64.sub", NONE),
    ("i32", "local.get $b i32.mul", NONE),
    ("i64", "local.get $b i64.mul", NONE),
    ("i32", "i32.const 1#57 i32.mul", NONE),
    ("i64", "i64.const 12345678#57 i64.mul", NONE),
    ("i64", "local.get $b i64.div_s local.get $a i64.xor", NONE),
    ("i32", "local.get $b i32.rem_s local.get $a i32.xor", NONE),
    ("i32", "local.get $b i32.div_u local.get $a i32.xor", NONE),
    ("i64", "i64.const 1#67 i64.div_u local.get $a i64.xor", NONE),
    ("i32", "i32.const #9 i32.rem_s local.get $a i32.xor", NONE),
    ("i32", "i32.const 2#99 i32.add i32.const 3#77 i32.xor", NONE),
    ("i32", "i32.const #77 local.set $b local.get $b i32.add", NONE),
    ("i64", "i64.const 0x12345678ab#def i64.add local.get $a i64.xor", NONE),
    ("i64", "i64.const #5 i64.and local.get $a i64.add", NONE),
    ("f64", "f64.const #.25 f64.add", NONE),
    ("i64", "local.get $n i64.const 0x12345678ab#def i64.store offset=#8", MEMORY),
    ("i32", "local.get $b i32.const 0x123#ab i32.store offset=#8", MEMORY),
    ("i32", "i32.load offset=#8", MEMORY),
    ("i32", "i32.load16_u offset=#8 local.get $b i32.add", MEMORY),
    ("i64", "i32.wrap_i64 i64.load8_s offset=#8", MEMORY),
    ("i64", "local.set $a local.get $n local.get $a i64.store8 offset=#8 local.get $b", MEMORY),
    (
        "i64",
        "local.set $a local.get $n local.get $n i64.load offset=#8 i64.store offset=2#8 local.get $b",
        MEMORY,
    ),
    ("f64", "local.get $n f64.load offset=#8 f64.add", MEMORY),
    ("f64", "local.set $a local.get $n local.get $a f64.store offset=#8 local.get $b", MEMORY),
    (
        "f64",
        "local.set $a local.get $n local.get $a local.get $b f64.mul f64.store offset=#8 local.get $b",
        MEMORY,
    ),
    ("i32", "local.get $b i32.lt_s local.get $a i32.add", NONE),
    ("i32", "i32.const 5 i32.gt_u local.get $a i32.sub", NONE),
    ("i32", "i32.eqz local.get $b i32.add", NONE),
    ("i64", "local.get $b i64.ge_u i64.extend_i32_u local.get $a i64.add", NONE),
    ("i64", "i64.eqz i64.extend_i32_s local.get $a i64.sub", NONE),
    ("f64", "local.get $b f64.lt f64.convert_i32_u local.get $a f64.add", NONE),
    ("f64", "local.get $b f64.eq f64.convert_i32_s local.get $a f64.sub", NONE),
    ("i32", "local.get $b local.get $n select local.get $b i32.add", NONE),
    ("i64", "local.get $b local.get $n select local.get $a i64.xor", NONE),
    ("i64", "local.get $b local.get $a local.get $b i64.lt_u select local.get $a i64.xor", NONE),
    ("f64", "local.get $b local.get $n select local.get $a f64.add", NONE),
    (
        "i32",
        "local.tee $a local.get $b i32.add local.set $b local.get $a local.get $b i32.xor",
        NONE,
    ),
    ("i64", "local.tee $a local.get $b i64.add local.set $b local.get $a", NONE),
    ("f64", "local.tee $a local.get $b f64.sub local.set $b local.get $a", NONE),
    ("f64", "local.get $b f64.add", NONE),
    ("f64", "local.get $b f64.div f64.sqrt", NONE),
    ("f64", "local.get $b f64.min local.get $a f64.max", NONE),
    ("f64", "f64.neg local.get $b f64.add f64.abs", NONE),
    ("f64", "local.get $b f64.copysign local.get $a f64.add", NONE),
    ("f64", "f64.floor local.get $b f64.add f64.nearest", NONE),
    ("f64", "i64.trunc_sat_f64_s f64.convert_i64_s local.get $b f64.add", NONE),
    ("f64", "i64.trunc_f64_u f64.convert_i64_u local.get $b f64.add", NONE),
    ("f64", "i32.trunc_f64_s f64.convert_i32_u local.get $b f64.sub", NONE),
    ("f64", "i64.reinterpret_f64 f64.reinterpret_i64 local.get $b f64.add", NONE),
    ("f64", "f32.demote_f64 f32.sqrt f64.promote_f32 local.get $b f64.add", NONE),
    ("i64", "f64.reinterpret_i64 i64.reinterpret_f64 local.get $b i64.add", NONE),
    ("i32", "local.get $b i64.extend_i32_u local.get $b f64.convert_i32_s call $own", CALLEE),
    ("i32", "call $f@", IMPORT),
    ("i32", "local.get $b local.get $b call_indirect (param i32) (result i32) i32.add", TABLE),
    ("i64", "call $f@ call $f%", IMPORT),
    ("i32", "local.get $b br_if 0", NONE),
    ("i64", "local.get $n br_if 0", NONE),
    ("i32", "block local.get $b br_if 0 local.get $a br 1 end", NONE),
    ("i32", "if local.get $b return end local.get $a", NONE),
    ("i64", "local.get $n if local.get $b return end", NONE),
    ("i32", "if (result i32) local.get $b else i32.const 5 end", NONE),
    (
        "i64",
        "local.get $n if local.get $b local.set $a else local.get $a local.set $b end local.get $a i64.add",
        NONE,
    ),
    ("i32", "loop local.get $n br_if 0 end", NONE),
    ("i64", "loop local.get $a i64.const 1 i64.sub local.tee $a i64.eqz br_if 0 end", NONE),
    ("i32", "block block block local.get $b br_table 0 1 2 end end end", NONE),
    ("i32", "memory.grow memory.size i32.add", MEMORY),
    ("i32", "local.get $b local.get $b table.get 0 table.set 0", TABLE),
    ("i32", "table.get 0 ref.is_null", TABLE),
    ("i32", "ref.null func local.get $b table.grow 0 i32.add table.size 0 i32.sub", TABLE),
    ("i64", "local.get $n local.get $n local.get $n memory.fill", MEMORY),
];

/// A tail call that may leave the instance: then all calls of the module have to find it again.
const LEAVES: &str = "(type $none (func)) (table $leave 1 funcref)\
                      (func (param i32) local.get 0 return_call_indirect $leave (type $none))";

/// A chain of the links of these numbers, again and again, by itself in a module, or with a function that
/// [`LEAVES`].
fn module(links: &[usize], copies: usize, leaves: bool) -> Vec<u8> {
    let ty = LINKS[links[0]].0;
    let mut text = "(module ".to_string();
    // Imports come first.
    for field in FIELDS {
        if links.iter().any(|&link| LINKS[link].2 == field) {
            let count = if field.contains('@') { ENTITIES } else { 1 };
            (0..count).for_each(|at| text += &field.replace('@', &at.to_string()));
        }
    }
    if leaves {
        text += LEAVES;
    }
    let _ = write!(
        text,
        "(func (param $a {ty}) (param $b {ty}) (param $n i32) (result {ty}) local.get $a "
    );
    for copy in 0..copies {
        for &link in links {
            let (at, other) = (copy % ENTITIES, (copy + ENTITIES / 2) % ENTITIES);
            let link = LINKS[link].1.replace('#', &(100 + copy % 900).to_string());
            text += &link.replace('@', &at.to_string()).replace('%', &other.to_string());
            text.push(' ');
        }
    }
    text += "))";
    wat::parse_str(&text).unwrap_or_else(|error| panic!("{links:?}: {error}"))
}

/// Chains of one link each, and nests of constructs, by what they are.
///
/// # Panics
/// When one is no module.
pub fn singles() -> Vec<(String, Vec<u8>)> {
    let chain = |leaves: bool| {
        move |link: usize| {
            let name = if leaves { ", beside a tail call" } else { "" };
            (format!("a chain of {}{name}", LINKS[link].1), module(&[link], 1000, leaves))
        }
    };
    let calls = (0..LINKS.len()).filter(|&link| LINKS[link].1.contains("call"));
    let chains = (0..LINKS.len()).map(chain(false)).chain(calls.map(chain(true)));
    chains.chain(["block", "loop"].map(nest)).collect()
}

/// Constructs in each other, of which nothing comes but the memory for what is open: one more than lists hold
/// that grow by doubling, so that they have just grown.
fn nest(construct: &str) -> (String, Vec<u8>) {
    const DEPTH: usize = (1 << 12) + 1;
    let text = format!(
        "(module (func (result i64) {} {} i64.const 5))",
        format!("{construct} ").repeat(DEPTH),
        "end ".repeat(DEPTH)
    );
    let module = wat::parse_str(&text).unwrap_or_else(|error| panic!("{construct}: {error}"));
    (format!("a nest of {construct}s"), module)
}

/// A chain of two to six links of one type.
///
/// # Panics
/// When it is no module.
pub fn from_seed(seed: u64) -> (String, Vec<u8>) {
    let mut rng = Rng(seed);
    let ty = ["i32", "i64", "f64"][rng.below(3) as usize];
    let of_type: Vec<usize> = (0..LINKS.len()).filter(|&link| LINKS[link].0 == ty).collect();
    let count = 2 + rng.below(5) as usize;
    let links: Vec<usize> =
        (0..count).map(|_| of_type[rng.below(of_type.len() as u64) as usize]).collect();
    let copies = [10, 100, 400][rng.below(3) as usize];
    (format!("chain {seed}"), module(&links, copies, rng.one_in(4)))
}
