//! The worst modules by each figure.

use super::cost::{Board, Cost, Way};
use runwell_testkit::Rng;
use std::rc::Rc;

/// Entries of a board, and of one for a part of a figure.
const ENTRIES: usize = 32;
const ENTRIES_OF_PARTS: usize = 8;
/// Entries of a board that come from the same families.
const OF_ONE_ORIGIN: usize = 3;

/// A module and what it costs.
pub(super) struct Entry {
    pub(super) module: Rc<[u8]>,
    pub(super) way: Way,
    pub(super) cost: Cost,
    /// The families it comes from.
    pub(super) origin: String,
}

/// All boards. Each has its worst first.
pub(super) struct Boards(pub(super) Vec<(Board, Vec<Rc<Entry>>)>);

fn length(board: Board) -> usize {
    if board.is_part() { ENTRIES_OF_PARTS } else { ENTRIES }
}

/// True if a module of this cost is worse than the last one of the board.
fn enters(board: Board, entries: &[Rc<Entry>], cost: &Cost) -> bool {
    let last = entries.last().map_or(0.0, |entry| board.score(&entry.cost));
    entries.len() < length(board) || board.score(cost) > last
}

impl Boards {
    pub(super) fn new() -> Boards {
        Boards(Board::all().into_iter().map(|board| (board, Vec::new())).collect())
    }

    /// True if a module that has taken so long belongs on a board about time.
    pub(super) fn is_slow(&self, cost: &Cost) -> bool {
        self.0.iter().any(|(board, entries)| !board.counted() && enters(*board, entries, cost))
    }

    /// One entry of the boards whose figures are the same in each run: as often of a board about what is
    /// promised as of one about a part.
    pub(super) fn any(&self, rng: &mut Rng) -> Option<Rc<Entry>> {
        let parts = rng.one_in(2);
        let boards: Vec<_> = self
            .0
            .iter()
            .filter(|(board, _)| board.counted() && board.is_part() == parts)
            .collect();
        let (_, entries) = boards[rng.below(boards.len() as u64) as usize];
        // The worst more often.
        let most = entries.len().max(1) as u64;
        let at = rng.below(most).min(rng.below(most));
        entries.get(at as usize).cloned()
    }

    /// Puts an entry on the boards where it belongs.
    pub(super) fn add(&mut self, entry: &Rc<Entry>) {
        for (board, entries) in &mut self.0 {
            if enters(*board, entries, &entry.cost) {
                place(*board, entries, entry);
            }
        }
    }

    /// The worst figures, in one line.
    pub(super) fn line(&self) -> String {
        let worst = self.0.iter().filter(|(board, _)| !board.is_part());
        let words: Vec<String> = worst
            .filter_map(|(board, entries)| {
                let score = board.score(&entries.first()?.cost);
                Some(format!("{} {score:.2}", board.name()))
            })
            .collect();
        words.join(", ")
    }
}

/// Puts an entry in its place.
fn place(board: Board, entries: &mut Vec<Rc<Entry>>, entry: &Rc<Entry>) {
    let score = |entry: &Entry| board.score(&entry.cost);
    let same = |other: &Rc<Entry>| {
        other.cost.bytes == entry.cost.bytes && other.cost.work == entry.cost.work
    };
    if entries.iter().any(same) {
        return;
    }
    let at = entries.partition_point(|other| score(other) >= score(entry));
    entries.insert(at, entry.clone());
    // The last one of the same origin goes when there are too many of them.
    let of: Vec<usize> =
        (0..entries.len()).filter(|&at| entries[at].origin == entry.origin).collect();
    if of.len() > OF_ONE_ORIGIN {
        entries.remove(of[OF_ONE_ORIGIN]);
    }
    entries.truncate(length(board));
}

/// The names of both, the first ones if there are many.
pub(super) fn join(a: &str, b: &str) -> String {
    let mut names: Vec<&str> = a.split('+').chain(b.split('+')).collect();
    names.sort_unstable();
    names.dedup();
    names.truncate(3);
    names.join("+")
}
