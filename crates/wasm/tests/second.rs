//! What a module costs that is refused: the second look at it has a budget, of everything that the
//! library's validator does more than once per byte.
//!
//! Each module is refused at its first type, for a proposal, and is at fault in its last function as
//! well, which makes it invalid. Only whoever has gone through everything between them can say so.

use runwell_wasm::{ErrorKind, Limits, Parsed};

/// How a module is refused: its proposal, or "invalid".
fn refusal(text: &str) -> String {
    let bytes = wat::parse_str(text).unwrap();
    match Parsed::parse(&bytes, &Limits::default()).unwrap_err().kind() {
        ErrorKind::Unsupported { proposal, .. } => proposal.to_string(),
        ErrorKind::Invalid { .. } => "invalid".to_string(),
        other => panic!("{other:?}"),
    }
}

/// Types that each have the ones before as supertypes.
fn chain(count: usize) -> String {
    let above = |i: usize| format!("(type $t{i} (sub $t{} (struct)))", i - 1);
    "(type $t0 (sub (struct)))".to_string() + &(1..count).map(above).collect::<String>()
}

/// A module of these fields whose last function is at fault.
fn faulty(fields: &str) -> String {
    format!("(module {fields} (func i32.add))")
}

/// Checks that a few of something are gone through, and that many are not.
fn check(few: usize, many: usize, module: impl Fn(usize) -> String) {
    assert_eq!(refusal(&faulty(&module(few))), "invalid");
    assert_eq!(refusal(&faulty(&module(many))), "gc");
}

/// As many as a list of types.
fn list(of: &str) -> String {
    of.repeat(1000)
}

#[test]
fn results_of_tail_calls() {
    check(1, 100, |calls| {
        let (sub, top) = (list("(ref null $t9) "), list("(ref null $t0) "));
        let calls = "return_call $sub ".repeat(calls);
        chain(10)
            + &format!("(type $sub (func (result {sub})))")
            + &format!("(type $top (func (result {top})))")
            + "(import \"\" \"\" (func $sub (type $sub)))"
            + &format!("(func (type $top) {calls} unreachable)")
    });
}

#[test]
fn supertypes_of_arguments() {
    for (depth, many) in [(2, 2000), (63, 20)] {
        check(0, many, |calls| {
            let sub = list(&format!("(ref null $t{}) ", depth - 1));
            let top = list("(ref null $t0) ");
            let calls = "call $through ".repeat(calls);
            chain(depth)
                + &format!("(type $through (func (param {top}) (result {sub})))")
                + &format!("(type $gives (func (result {sub})))")
                + "(import \"\" \"\" (func $through (type $through)))"
                + "(import \"\" \"\" (func $gives (type $gives)))"
                + &format!("(func call $gives {calls} unreachable)")
        });
    }
}

#[test]
fn fields_with_default_values() {
    let wide = format!("(type $wide (struct {}))", "(field i32)".repeat(10_000));
    check(1, 100, |news| {
        let news = "struct.new_default $wide drop ".repeat(news);
        format!("{wide} (func {news})")
    });
    // In constant expressions, wherever they are.
    check(1, 100, |items| {
        let items = "(item struct.new_default $wide)".repeat(items);
        format!("{wide} (elem (ref $wide) {items})")
    });
    check(1, 100, |globals| {
        wide.clone() + &"(global (ref $wide) (struct.new_default $wide))".repeat(globals)
    });
    check(1, 100, |tables| {
        wide.clone() + &"(table 1 (ref $wide) (struct.new_default $wide))".repeat(tables.min(90))
    });
}

#[test]
fn types_of_continuations() {
    let (taken, given) = (list("i32 "), list("i64 "));
    let types = format!(
        "(type $s (struct)) (type $f (func (param {taken}) (result {given}))) (type $c (cont $f))"
    );
    check(1, 100, |binds| {
        let binds = "cont.bind $c $c ".repeat(binds);
        format!("{types} (func (param (ref $c)) local.get 0 {binds} drop)")
    });
}

#[test]
fn parameters_of_functions() {
    check(1, 20_000, |funcs| {
        let wide = format!("(type $s (struct)) (type $wide (func (param {})))", list("i32 "));
        wide + &"(func (type $wide))".repeat(funcs)
    });
}

#[test]
fn ordinary_code_is_gone_through() {
    // Ten supertypes, fields and calls of such types: nothing that would be too much, however long.
    let body = "local.get 0 struct.get $pair 0 drop \
        local.get 0 struct.get $pair 0 call $top drop \
        (local.set 0 (struct.new $pair (local.get 1) (i32.const 1)))"
        .repeat(20_000);
    let module = chain(10)
        + "(type $pair (struct (field (mut (ref null $t9))) (field i32)))"
        + "(func $top (param (ref null $t0)) (result (ref null $t0)) local.get 0)"
        + &format!("(func (param (ref null $pair) (ref null $t9)) {body})");
    assert_eq!(refusal(&faulty(&module)), "invalid");
    assert_eq!(refusal(&format!("(module {module})")), "gc");
}
