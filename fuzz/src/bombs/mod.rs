//! The target `bombs`: a search for modules that cost the compiler more than the known attacks do.
//!
//! The search starts with all families of hostile modules and goes on with what [`mutate`] makes of
//! the worst it has met: parts repeated, nested, moved from one family to another. Each module that is
//! valid is compiled, and what that cost per byte of module decides whether it is kept, on one board
//! each for work, memory, machine code, time, and time per unit of work. The last one is about the
//! meter itself: what takes long and counts little is not charged.
//!
//! One child in five is not a child: [`grammar`] makes it from nothing, a sequence of random operators that
//! comes again and again. And each module goes one way of several through the compiler, metered or not;
//! its children mostly go the same.
//!
//! A family that is over a bound already is named and not searched further: its children would be over
//! it as well, and nothing else would ever be on the boards.
//!
//! Modules are children of those on the boards of counted figures alone, so the search takes the same
//! way on each machine for the same seed; how far it comes depends on the time it is given. At the
//! end the worst of each board is made smaller, as long as it stays as bad, and also grown to four
//! times its size, which shows whether its cost is out of proportion.

mod cost;
mod genome;
mod grammar;
mod merge;
mod mutate;

use cost::{Board, Cost, Outcome, Way, is_of_cost, measure, measure_again};
use genome::{Genome, Point, points, valid};
use mutate::Parent;
use runwell_testkit::Rng;
use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// Entries of a board.
const ENTRIES: usize = 32;
/// One module in so many is made from nothing, and one in so many goes another way than its parent.
const NEW: u64 = 5;
const OTHER_WAY: u64 = 8;
/// Entries of a board that come from the same families.
const OF_ONE_ORIGIN: usize = 3;
/// Sizes of the families at the start, as fractions of the largest size.
const PARTS: [usize; 3] = [8, 3, 1];
/// Changes of a module in one step, at the most.
const CHANGES: u64 = 3;
/// Attempts to make a module smaller, or to grow it.
const ATTEMPTS: usize = 300;
/// How much less bad a smaller module may be.
const AS_BAD: f64 = 0.99;
/// Compilations whose shortest time counts.
const ROUNDS: usize = 4;

/// A valid module.
struct Candidate {
    genome: Genome,
    module: Vec<u8>,
    points: Vec<Vec<Point>>,
}

impl Candidate {
    /// None if the module is not valid.
    fn of(genome: Genome) -> Option<Candidate> {
        let module = genome.encode();
        let points = points(&module)?;
        Some(Candidate { genome, module, points })
    }

    fn parent(&self) -> Parent<'_> {
        Parent { genome: &self.genome, points: &self.points, module: &self.module }
    }
}

/// A module and what it costs.
struct Entry {
    candidate: Rc<Candidate>,
    way: Way,
    cost: Cost,
    /// The families it comes from.
    origin: String,
}

impl Entry {
    fn parent(&self) -> Parent<'_> {
        self.candidate.parent()
    }
}

struct Search {
    rng: Rng,
    boards: Vec<(Board, Vec<Rc<Entry>>)>,
    /// The worst family of each board.
    families: Vec<(f64, String)>,
    /// How often each limit was met, and the first module that did.
    refused: BTreeMap<&'static str, (u64, Vec<u8>)>,
    faults: Vec<(Vec<u8>, String)>,
    tried: u64,
    compiled: u64,
}

/// Searches for `time`, after the families; how many faults and broken promises were found. The worst modules are written
/// to `out`.
pub(crate) fn search(
    time: Duration,
    (seed, size): (u64, usize),
    chosen: &[String],
    out: &Path,
) -> std::io::Result<u32> {
    std::fs::create_dir_all(out)?;
    let mut search = Search {
        rng: Rng(seed),
        boards: Board::ALL.iter().map(|&board| (board, Vec::new())).collect(),
        families: vec![(0.0, String::new()); Board::ALL.len()],
        refused: BTreeMap::new(),
        faults: Vec::new(),
        tried: 0,
        compiled: 0,
    };
    let is_chosen =
        |name: &str| chosen.is_empty() || chosen.iter().any(|one| name.contains(&**one));
    for family in runwell_bombs::families().filter(|family| is_chosen(family.name)) {
        for part in PARTS {
            if let Some(genome) = Genome::parse(&(family.make)(size / part))
                && let Some(candidate) = Candidate::of(genome)
            {
                let candidate = Rc::new(candidate);
                for way in Way::ALL {
                    search.consider(&candidate, way, family.name, true);
                }
            }
        }
    }
    let seeds = search.compiled;
    let start = Instant::now();
    while start.elapsed() < time {
        search.step(size);
    }
    println!(
        "seed {seed}: {seeds} modules of families, then {} tried and {} compiled in {:.0} s",
        search.tried,
        search.compiled - seeds,
        start.elapsed().as_secs_f64()
    );
    search.report(size, out)
}

impl Search {
    /// One child of what is on the boards, or a module from nothing.
    fn step(&mut self, size: usize) {
        let most = size >> self.rng.below(4);
        if self.rng.one_in(NEW) {
            self.tried += 1;
            let way = *self.rng.pick(&Way::ALL);
            let genome = grammar::module(&mut self.rng, most);
            if let Some(new) = genome.filter(|new| new.size() <= 2 * size).and_then(Candidate::of) {
                self.consider(&Rc::new(new), way, "grammar", false);
            }
            return;
        }
        let (Some(first), Some(second)) = (self.any(), self.any()) else { return };
        let way = if self.rng.one_in(OTHER_WAY) { *self.rng.pick(&Way::ALL) } else { first.way };
        let mut origin = first.origin.clone();
        let mut next: Option<Candidate> = None;
        for _ in 0..1 + self.rng.below(CHANGES) {
            let parent = next.as_ref().map_or_else(|| first.parent(), Candidate::parent);
            let room = most.max(parent.module.len());
            self.tried += 1;
            let child = mutate::child(&mut self.rng, &parent, &second.parent(), room);
            let Some(child) = child.filter(|child| child.size() <= 2 * size) else { continue };
            next = Candidate::of(child).or(next);
        }
        let Some(next) = next else { return };
        if first.origin != second.origin && next.points.len() > first.candidate.points.len() {
            origin = join(&first.origin, &second.origin);
        }
        self.consider(&Rc::new(next), way, &origin, false);
    }

    /// One entry of the boards whose figures are the same in each run.
    fn any(&mut self) -> Option<Rc<Entry>> {
        let counted: Vec<_> = self.boards.iter().filter(|board| board.0.counted()).collect();
        let (_, entries) = counted[self.rng.below(counted.len() as u64) as usize];
        // The worst more often.
        let at = self.rng.below(ENTRIES as u64).min(self.rng.below(ENTRIES as u64));
        entries.get(at as usize % entries.len().max(1)).cloned()
    }

    /// Compiles a module and puts it on the boards where it belongs.
    fn consider(&mut self, candidate: &Rc<Candidate>, way: Way, origin: &str, family: bool) {
        let module = &candidate.module;
        self.compiled += 1;
        let mut cost = match measure(module, way) {
            Outcome::Cost(cost) => cost,
            Outcome::Limit(name) => {
                self.refused.entry(name).or_insert_with(|| (0, module.clone())).0 += 1;
                return;
            }
            Outcome::Fault(fault) => {
                println!("{origin}, {}: {fault}", way.name());
                self.faults.push((module.clone(), fault));
                return;
            }
        };
        // What the boards of counted figures decide may not depend on the time.
        let timed = self
            .boards
            .iter()
            .any(|(board, entries)| !board.counted() && enters(*board, entries, &cost));
        if timed {
            cost = measure_again(module, way, cost, ROUNDS - 1);
        }
        if family
            && let Some(over) = Board::ALL.iter().find(|board| board.score(&cost) > board.bound())
        {
            let (name, score) = (over.name(), over.score(&cost));
            let (unit, way) = (over.unit(), way.name());
            println!("{origin}, {way}, is over the bound: {score:.2} {unit} ({name})");
            return;
        }
        let entry =
            Rc::new(Entry { candidate: candidate.clone(), way, cost, origin: origin.to_string() });
        for (at, (board, entries)) in self.boards.iter_mut().enumerate() {
            let score = board.score(&cost);
            if family && score > self.families[at].0 {
                self.families[at] = (score, origin.to_string());
            }
            if enters(*board, entries, &cost) {
                place(*board, entries, &entry);
            }
        }
    }

    /// Prints and keeps the worst of each board; how many faults and broken promises there are.
    fn report(mut self, size: usize, out: &Path) -> std::io::Result<u32> {
        let mut bad = self.faults.len() as u32;
        for (at, (name, (count, module))) in self.refused.iter().enumerate() {
            let mark = if is_of_cost(name) { " !" } else { "" };
            bad += u32::from(is_of_cost(name));
            println!("refused {count} times: {name}{mark}  refused-{at}.wasm");
            std::fs::write(out.join(format!("refused-{at}.wasm")), module)?;
        }
        for (at, (module, fault)) in self.faults.iter().enumerate() {
            std::fs::write(out.join(format!("fault-{at}.wasm")), module)?;
            std::fs::write(out.join(format!("fault-{at}.txt")), format!("{fault}\n"))?;
        }
        let boards = std::mem::take(&mut self.boards);
        for (at, (board, entries)) in boards.iter().enumerate() {
            let (best, family) = &self.families[at];
            println!("\n{}, {}: {best:.2} of {family}", board.name(), board.unit());
            let mut origins: Vec<&str> = Vec::new();
            for entry in entries {
                if origins.contains(&&*entry.origin) || origins.len() == 5 {
                    continue;
                }
                origins.push(&entry.origin);
                let small = self.reduced(*board, entry);
                let cost = small.as_ref().map_or(entry.cost, |small| small.cost);
                let Candidate { module, .. } =
                    &**small.as_ref().map_or(&entry.candidate, |small| &small.candidate);
                let small = small.as_ref().map_or(entry.parent(), Entry::parent);
                let (grown_score, grown) =
                    self.grown(*board, &small, entry.way, 4 * module.len().min(size));
                let file = format!("{}-{}.wasm", board.name(), origins.len());
                std::fs::write(out.join(&file), module)?;
                std::fs::write(out.join(format!("grown-{file}")), &grown)?;
                let score = board.score(&cost);
                let over = score.max(grown_score) > board.bound();
                bad += u32::from(over);
                println!(
                    "  {score:9.2} at {:6} bytes, {grown_score:9.2} at {:6}{}  {}, {}  {file}",
                    module.len(),
                    grown.len(),
                    if over { " !" } else { "  " },
                    entry.origin,
                    entry.way.name(),
                );
            }
        }
        Ok(bad)
    }

    /// A smaller module that is about as bad.
    fn reduced(&mut self, board: Board, entry: &Entry) -> Option<Entry> {
        let wanted = board.score(&entry.cost) * AS_BAD;
        let mut best: Option<Entry> = None;
        for step in 0..ATTEMPTS {
            let parent = best.as_ref().map_or_else(|| entry.parent(), Entry::parent);
            let Some(genome) = mutate::without(&mut self.rng, &parent, step) else { continue };
            if genome.size() >= parent.genome.size() {
                continue;
            }
            let Some(candidate) = Candidate::of(genome) else { continue };
            let way = entry.way;
            let Outcome::Cost(mut cost) = measure(&candidate.module, way) else { continue };
            if !board.counted() {
                cost = measure_again(&candidate.module, way, cost, ROUNDS - 1);
            }
            if board.score(&cost) >= wanted {
                let candidate = Rc::new(candidate);
                best = Some(Entry { candidate, way, cost, origin: String::new() });
            }
        }
        best
    }

    /// The worst module of about `size` bytes that repeating parts of one gives, and its score.
    fn grown(
        &mut self,
        board: Board,
        parent: &Parent<'_>,
        way: Way,
        size: usize,
    ) -> (f64, Vec<u8>) {
        let mut worst = (0.0, parent.module.to_vec());
        for _ in 0..ATTEMPTS / 10 {
            let Some(child) = mutate::grow(&mut self.rng, parent, size) else { continue };
            let module = child.encode();
            if module.len() < size / 2 || module.len() > 2 * size || !valid(&module) {
                continue;
            }
            let Outcome::Cost(mut cost) = measure(&module, way) else { continue };
            if !board.counted() {
                cost = measure_again(&module, way, cost, 1);
            }
            if board.score(&cost) > worst.0 {
                worst = (board.score(&cost), module);
            }
        }
        worst
    }
}

/// Prints what compiling a module costs, on each board, in each way.
pub(crate) fn replay(module: &[u8]) -> Result<(), String> {
    println!("{} bytes", module.len());
    for way in Way::ALL {
        println!("{}:", way.name());
        match measure(module, way) {
            Outcome::Cost(cost) => {
                let cost = measure_again(module, way, cost, ROUNDS);
                for board in Board::ALL {
                    let over = if board.score(&cost) > board.bound() { " !" } else { "" };
                    println!("{:9.2} {}{over}", board.score(&cost), board.unit());
                }
            }
            Outcome::Limit(name) => return Err(format!("refused: {name}")),
            Outcome::Fault(fault) => return Err(fault),
        }
    }
    Ok(())
}

/// The names of both, the first ones if there are many.
fn join(a: &str, b: &str) -> String {
    let mut names: Vec<&str> = a.split('+').chain(b.split('+')).collect();
    names.sort_unstable();
    names.dedup();
    names.truncate(3);
    names.join("+")
}

/// True if a module of this cost is worse than the last one of the board.
fn enters(board: Board, entries: &[Rc<Entry>], cost: &Cost) -> bool {
    let last = entries.last().map_or(0.0, |entry| board.score(&entry.cost));
    entries.len() < ENTRIES || board.score(cost) > last
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
    entries.truncate(ENTRIES);
}
