//! The symbolic checker of register allocation refuses what is wrong: an allocation that it accepts
//! is damaged in one place, and an interpreter that really moves values must not find a difference
//! that the checker missed.

mod regalloc_gen;

use regalloc_gen::{Shape, env, random, run};
use runwell_codegen::regalloc::{Allocation, Allocator, checker};
use runwell_codegen::vcode::VCode;
use runwell_ir::work::Work;

const SHAPE: Shape = Shape { size: 80, calls: 3, fixed: 6, control: 8, reach: 15, params: 4 };

fn next(state: &mut u64) -> usize {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    (*state >> 20) as usize
}

/// Damages `out` in one place in each of `count` ways and counts the refusals.
fn refusals(damage: impl Fn(&VCode, &mut Allocation, usize) -> bool, count: u64) -> (usize, usize) {
    let mut allocator = Allocator::new();
    let mut state = 0x9e37_79b9_7f4a_7c15;
    let (mut refused, mut tried) = (0, 0);
    for seed in 0..count {
        let code = random(seed, SHAPE);
        let sound = allocator.run(&code, &env(), &mut Work::new()).unwrap().clone();
        assert_eq!(checker::check(&code, &sound, &env()), Ok(()));
        for _ in 0..10 {
            let mut broken = sound.clone();
            if damage(&code, &mut broken, next(&mut state)) && broken != sound {
                tried += 1;
                match checker::check(&code, &broken, &env()) {
                    Err(_) => refused += 1,
                    // Harmless, then: what it should have moved is read by nobody.
                    Ok(()) => {
                        (0..4).for_each(|path| assert!(run(&code, &broken, &env(), path, 2000) > 0))
                    }
                }
            }
        }
    }
    (refused, tried)
}

#[test]
fn a_move_left_out() {
    let (refused, tried) = refusals(
        |_, out, at| {
            let inserted = !out.moves.is_empty();
            if inserted {
                let at = at % out.moves.len();
                out.moves.remove(at);
            }
            inserted
        },
        200,
    );
    assert!(tried > 1000);
    assert!(refused * 100 > tried * 90, "{refused} of {tried}");
}

#[test]
fn a_move_on_an_edge_turned_round() {
    let (refused, tried) = refusals(
        |_, out, at| {
            let moves: Vec<_> =
                (0..out.edge_moves.len()).filter(|&m| !out.edge_moves[m].swap).collect();
            if moves.is_empty() {
                return false;
            }
            let mv = &mut out.edge_moves[moves[at % moves.len()]];
            (mv.from, mv.to) = (mv.to, mv.from);
            true
        },
        200,
    );
    assert!(tried > 500);
    assert!(refused * 100 > tried * 70, "{refused} of {tried}");
}

#[test]
fn an_operand_in_the_place_of_another() {
    let (refused, tried) = refusals(
        |_, out, at| {
            let other = out.locs[(at >> 16) % out.locs.len()];
            let len = out.locs.len();
            out.locs[at % len] = other;
            true
        },
        200,
    );
    // A definition may well go elsewhere when nobody reads it.
    assert!(tried > 1000);
    assert!(refused * 100 > tried * 95, "{refused} of {tried}");
}
