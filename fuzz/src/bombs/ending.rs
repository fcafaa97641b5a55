//! What a search has found: printed and written as it is, then made smaller, and grown.

use super::boards::{Boards, Entry};
use super::cost::{Board, Outcome, Way, is_of_cost, measure, measure_again};
use super::mutate::{self, Parent};
use super::{ROUNDS, Search};
use runwell_testkit::Rng;
use std::io::Write;
use std::path::Path;
use std::rc::Rc;

/// Attempts to make a module smaller, or to grow it.
const ATTEMPTS: usize = 300;
const ATTEMPTS_TO_GROW: usize = 30;
/// How much less bad a smaller module may be.
const AS_BAD: f64 = 0.99;
/// Entries of a board that are shown, each of other families, and of one about a part of a figure.
const SHOWN: usize = 5;
const SHOWN_OF_PARTS: usize = 1;

/// Prints and keeps the worst of each board; how many faults and broken promises there are.
pub(super) fn report(search: Search, size: usize, out: &Path) -> std::io::Result<u32> {
    let Search { mut rng, boards, families, refused, faults, .. } = search;
    let mut bad = faults.len() as u32;
    for (at, (name, (count, module))) in refused.iter().enumerate() {
        let mark = if is_of_cost(name) { " !" } else { "" };
        bad += u32::from(is_of_cost(name));
        println!("refused {count} times: {name}{mark}  refused-{at}.wasm");
        std::fs::write(out.join(format!("refused-{at}.wasm")), module)?;
    }
    for (at, (module, fault)) in faults.iter().enumerate() {
        std::fs::write(out.join(format!("fault-{at}.wasm")), module)?;
        std::fs::write(out.join(format!("fault-{at}.txt")), format!("{fault}\n"))?;
    }
    let shown = shown(&boards);
    for ((board, entries), (best, family)) in shown.iter().zip(&families) {
        println!("\n{}, {}: {best:.2} of {family}", board.name(), board.unit());
        for (at, entry) in entries.iter().enumerate() {
            let file = format!("{}-{}.wasm", board.name(), 1 + at);
            std::fs::write(out.join(&file), &entry.module)?;
            let score = board.score(&entry.cost);
            let over = if score > board.bound() { " !" } else { "  " };
            let (bytes, origin, way) = (entry.module.len(), &entry.origin, entry.way.name());
            println!("  {score:9.2} at {bytes:6} bytes{over}  {origin}, {way}  {file}");
        }
    }
    println!("\nmade smaller, and grown:");
    std::io::stdout().flush()?;
    for (board, entries) in &shown {
        for (at, entry) in entries.iter().enumerate() {
            let small = reduced(&mut rng, *board, entry);
            let small = small.as_ref().unwrap_or(entry);
            let file = format!("{}-{}.wasm", board.name(), 1 + at);
            std::fs::write(out.join(&file), &small.module)?;
            let score = board.score(&small.cost);
            let mut worst = score;
            print!("  {score:9.2} at {:6} bytes", small.module.len());
            if !board.is_part() {
                let target = 4 * small.module.len().min(size);
                let (grown_score, grown) = grown(&mut rng, *board, small, target);
                std::fs::write(out.join(format!("grown-{file}")), &grown)?;
                print!(", {grown_score:9.2} at {:6}", grown.len());
                worst = worst.max(grown_score);
            }
            let over = worst > board.bound();
            bad += u32::from(over);
            println!("{}  {file}", if over { " !" } else { "  " });
            std::io::stdout().flush()?;
        }
    }
    Ok(bad)
}

/// The first of each origin.
fn shown(boards: &Boards) -> Vec<(Board, Vec<Rc<Entry>>)> {
    let first = |board: Board, entries: &[Rc<Entry>]| {
        let mut some: Vec<Rc<Entry>> = Vec::new();
        for entry in entries {
            if some.iter().all(|other| other.origin != entry.origin) {
                some.push(entry.clone());
            }
        }
        some.truncate(if board.is_part() { SHOWN_OF_PARTS } else { SHOWN });
        some
    };
    boards.0.iter().map(|(board, entries)| (*board, first(*board, entries))).collect()
}

/// A smaller module that is about as bad.
fn reduced(rng: &mut Rng, board: Board, entry: &Entry) -> Option<Entry> {
    let wanted = board.score(&entry.cost) * AS_BAD;
    let mut parent = Parent::of(entry.module.clone())?;
    let mut best: Option<Entry> = None;
    for step in 0..ATTEMPTS {
        let Some(genome) = mutate::without(rng, &parent, step) else { continue };
        let module: Rc<[u8]> = genome.encode().into();
        if module.len() >= parent.module.len() {
            continue;
        }
        let way = entry.way;
        let Outcome::Cost(mut cost) = measure(&module, way) else { continue };
        if !board.counted() {
            let is_bad = |cost: &_| board.score(cost) >= wanted;
            cost = measure_again(&module, way, cost, ROUNDS - 1, is_bad);
        }
        if board.score(&cost) >= wanted
            && let Some(next) = Parent::of(module.clone())
        {
            parent = next;
            best = Some(Entry { module, way, cost, origin: entry.origin.clone() });
        }
    }
    best
}

/// The worst module of about `size` bytes that repeating parts of one gives, and its score.
fn grown(rng: &mut Rng, board: Board, entry: &Entry, size: usize) -> (f64, Rc<[u8]>) {
    let mut worst = (0.0, entry.module.clone());
    let Some(parent) = Parent::of(entry.module.clone()) else { return worst };
    for _ in 0..ATTEMPTS_TO_GROW {
        let Some(child) = mutate::grow(rng, &parent, size) else { continue };
        let module = child.encode();
        if module.len() < size / 2 || module.len() > 2 * size {
            continue;
        }
        let Some(score) = score(&module, entry.way, board, worst.0) else { continue };
        if score > worst.0 {
            worst = (score, module.into());
        }
    }
    worst
}

/// The score of a module, the shorter of two times if it may be worse than `least`.
fn score(module: &[u8], way: Way, board: Board, least: f64) -> Option<f64> {
    let Outcome::Cost(mut cost) = measure(module, way) else { return None };
    if !board.counted() {
        cost = measure_again(module, way, cost, 1, |cost| board.score(cost) > least);
    }
    Some(board.score(&cost))
}

/// Prints what compiling a module costs, on each board, in each way.
pub(crate) fn replay(module: &[u8]) -> Result<(), String> {
    println!("{} bytes", module.len());
    for way in Way::ALL {
        println!("{}:", way.name());
        match measure(module, way) {
            Outcome::Cost(cost) => {
                let cost = measure_again(module, way, cost, 2 * ROUNDS, |_| true);
                for board in Board::all() {
                    let over = if board.score(&cost) > board.bound() { " !" } else { "" };
                    println!(
                        "{:9.2} {} ({}){over}",
                        board.score(&cost),
                        board.unit(),
                        board.name()
                    );
                }
            }
            Outcome::Limit(name) => return Err(format!("refused: {name}")),
            Outcome::Refused(fault) | Outcome::Fault(fault) => return Err(fault),
        }
    }
    Ok(())
}
