//! What a survey counts of a body.

use runwell_wasm::survey::{BodyFacts, Survey};
use runwell_wasm::{Limits, Parsed};

/// The facts of the first function of a module.
fn facts(body: &str) -> BodyFacts {
    let text = format!("(module (func (param i32) (local i32) {body} (drop (local.get 1))))");
    let module = wat::parse_str(&text).unwrap();
    let parsed = Parsed::parse(&module, &Limits::default()).unwrap();
    Survey::new(&parsed.info).body(&parsed.info, &module, 0)
}

#[test]
fn a_branch_table_is_one_edge_to_each_target() {
    let facts = facts(
        "(block (block (local.set 1 (i32.const 1)) (br_table 0 1 1 1 1 0 1 (local.get 0)))
           (local.set 1 (i32.const 2)))",
    );
    // The inner block has one way to its end, the outer one two: the table, and what falls through.
    assert_eq!((facts.pairs, facts.edges, facts.entries), (2, 2, 6));
}

#[test]
fn tables_are_told_apart() {
    let facts = facts(
        "(block (local.set 1 (i32.const 1))
           (block (br_table 1 0 1 (local.get 0))) (br_table 0 0 0 (local.get 0)))",
    );
    assert_eq!((facts.pairs, facts.edges), (2, 3));
}

#[test]
fn an_end_that_control_does_not_reach_is_no_way_in() {
    let set = "(local.set 1 (i32.const 1))";
    for (stop, pairs) in [
        ("(br 0)", 2),
        ("(br_table 0 0 (local.get 0))", 2),
        ("(nop)", 2),
        ("(return)", 0),
        ("(unreachable)", 0),
        ("(return_call 0 (i32.const 1))", 0),
    ] {
        let facts = facts(&format!("(block (br_if 0 (local.get 0)) {set} {stop})"));
        assert_eq!(facts.pairs, pairs, "{stop}");
    }
}

#[test]
fn arms_of_an_if_are_ways_in_when_their_ends_are_reached() {
    let set = "(local.set 1 (i32.const 1))";
    for (arms, pairs) in [
        (format!("(then {set})"), 2),
        (format!("(then {set} (return))"), 0),
        (format!("(then {set}) (else {set})"), 2),
        (format!("(then {set} (return)) (else {set})"), 0),
        (format!("(then {set}) (else {set} (unreachable))"), 0),
        (format!("(then {set} (br 0)) (else {set})"), 2),
        (format!("(then {set} (br_if 0 (local.get 0))) (else {set})"), 3),
    ] {
        assert_eq!(facts(&format!("(if (local.get 0) {arms})")).pairs, pairs, "{arms}");
    }
}

#[test]
fn behind_what_ends_nowhere_nothing_falls_through() {
    // Neither end of the inner block nor that of the outer one is reached.
    let dead = "(block (br_if 0 (local.get 0)) (local.set 1 (i32.const 1)) (block (return)))";
    assert_eq!(facts(dead).pairs, 0);
    // An inner block that is branched to goes on.
    let live = "(block (br_if 0 (local.get 0)) (local.set 1 (i32.const 1))
                  (block (br_if 0 (local.get 0)) (return)))";
    assert_eq!(facts(live).pairs, 2);
}

#[test]
fn a_loop_is_entered_from_before_it() {
    let body = "(loop (local.set 1 (i32.const 1)) (br_if 0 (local.get 0)) (return))";
    assert_eq!(facts(body).pairs, 2);
}
