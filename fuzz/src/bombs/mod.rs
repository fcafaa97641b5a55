//! The target `bombs`: a search for modules that cost the compiler more than the known attacks do.
//!
//! The search starts with all families of hostile modules and goes on with what [`mutate`] makes of
//! the worst it has met: parts repeated, nested, moved from one family to another. Each module that is
//! valid is compiled, and what that cost per byte of module decides whether it is kept, on one board
//! each for work, memory, machine code, time, and time per unit of work. The last one is about the
//! meter itself: what takes long and counts little is not charged. Besides there are shorter boards, for the
//! work of each pass and for the part of each budget that a function uses.
//!
//! One child in five is not a child: [`grammar`] makes it from nothing, a sequence of random operators that
//! comes again and again. One in twelve is a family whose function is small and comes as often as there is
//! room for it. And each module goes one way of several through the compiler, metered or not;
//! its children mostly go the same.
//!
//! A family that is over a counted bound already is named and not searched further: its children would be over
//! it as well, and nothing else would ever be on the boards.
//!
//! Modules are children of those on the boards of counted figures alone, so the search takes the same
//! way on each machine for the same seed; how far it comes depends on the time it is given. At the
//! end the worst of each board is printed and written, then made smaller, as long as it stays as bad, and also
//! grown to four times its size, which shows whether its cost is out of proportion.

mod boards;
mod cost;
mod ending;
mod genome;
mod grammar;
mod heights;
mod merge;
mod mutate;
pub(crate) mod quote;

use boards::{Boards, Entry, join};
use cost::{Board, Outcome, Way, measure, measure_again, thread_nanos};
pub(crate) use ending::replay;
use genome::{Genome, valid};
use mutate::Parent;
use runwell_bombs::Family;
use runwell_testkit::Rng;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Write;
use std::path::Path;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// One module in so many is made from nothing, one in so many of a family with many small functions, and one
/// in so many goes another way than its parent.
const NEW: u64 = 5;
const PACKED: u64 = 12;
const OTHER_WAY: u64 = 8;
/// Sizes of the families at the start, as fractions of the largest size. The smaller ones are for families
/// that are on a board with the largest.
const PARTS: [usize; 2] = [3, 8];
/// Changes of a module in one step, at the most.
const CHANGES: u64 = 3;
/// Compilations whose shortest time counts.
const ROUNDS: usize = 4;
/// How often is said how far it is.
const EVERY: Duration = Duration::from_secs(60);

struct Search {
    rng: Rng,
    boards: Boards,
    /// The worst family of each board.
    families: Vec<(f64, &'static str)>,
    /// Hashes of the modules that were compiled, with the way.
    seen: BTreeSet<u64>,
    /// How often each limit was met, and the first module that did.
    refused: BTreeMap<&'static str, (u64, Vec<u8>)>,
    faults: Vec<(Vec<u8>, String)>,
    tried: u64,
    compiled: u64,
    bytes: u64,
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
        boards: Boards::new(),
        families: vec![(0.0, ""); Board::all().len()],
        seen: BTreeSet::new(),
        refused: BTreeMap::new(),
        faults: Vec::new(),
        tried: 0,
        compiled: 0,
        bytes: 0,
    };
    let is_chosen =
        |name: &str| chosen.is_empty() || chosen.iter().any(|one| name.contains(&**one));
    let families: Vec<&Family> =
        runwell_bombs::families().filter(|family| is_chosen(family.name)).collect();
    for family in &families {
        search.family(family, size);
    }
    for family in &families {
        let on = |(_, entries): &(_, Vec<Rc<Entry>>)| {
            entries.iter().any(|entry| entry.origin == family.name)
        };
        if search.boards.0.iter().filter(|(board, _)| board.counted()).any(on) {
            PARTS.iter().for_each(|part| search.family(family, size / part));
        }
    }
    let seeds = search.compiled;
    println!("seed {seed}, {size} bytes: {seeds} modules of families compiled");
    let (start, clock) = (Instant::now(), thread_nanos());
    let mut said = start;
    search.bytes = 0;
    while start.elapsed() < time {
        search.step(size, &families);
        if said.elapsed() >= EVERY {
            said = Instant::now();
            let seconds = start.elapsed().as_secs();
            println!("{seconds} s, {}: {}", search.compiled - seeds, search.boards.line());
            std::io::stdout().flush()?;
        }
    }
    println!(
        "{} tried and {} compiled, {:.1} MB, in {:.0} s, {:.0} s of them on a processor",
        search.tried,
        search.compiled - seeds,
        search.bytes as f64 / 1e6,
        start.elapsed().as_secs_f64(),
        (thread_nanos() - clock) / 1e9
    );
    ending::report(search, size, out)
}

impl Search {
    /// A family at about this size, in each way.
    fn family(&mut self, family: &Family, size: usize) {
        // As the encoder of this search writes it.
        let Some(genome) = Genome::parse(&(family.make)(size)) else { return };
        let module: Rc<[u8]> = genome.encode().into();
        for way in Way::ALL {
            self.consider(&module, way, family.name, Some(family.name));
        }
    }

    /// One child of what is on the boards, or a module from nothing.
    fn step(&mut self, size: usize, families: &[&Family]) {
        let most = size >> self.rng.below(4);
        if self.rng.one_in(NEW) {
            self.tried += 1;
            let way = *self.rng.pick(&Way::ALL);
            let Some(genome) = grammar::module(&mut self.rng, most) else { return };
            return self.child(&genome, way, "grammar", size);
        }
        if !families.is_empty() && self.rng.one_in(PACKED) {
            self.tried += 1;
            let way = *self.rng.pick(&Way::ALL);
            let family = *self.rng.pick(families);
            let octave = 64 << self.rng.below(8);
            let small = (octave + self.rng.below(octave)).min(most as u64 / 2);
            let genome = Genome::parse(&(family.make)(small as usize));
            let Some(genome) = genome.and_then(|genome| mutate::packed(genome, most)) else {
                return;
            };
            return self.child(&genome, way, family.name, size);
        }
        let (Some(first), Some(second)) =
            (self.boards.any(&mut self.rng), self.boards.any(&mut self.rng))
        else {
            return;
        };
        let way = if self.rng.one_in(OTHER_WAY) { *self.rng.pick(&Way::ALL) } else { first.way };
        let (Some(mut parent), Some(other)) =
            (Parent::of(first.module.clone()), Parent::of(second.module.clone()))
        else {
            return;
        };
        let bodies = parent.points.len();
        let changes = 1 + self.rng.below(CHANGES);
        for change in 1..=changes {
            self.tried += 1;
            let room = most.max(parent.module.len());
            let child = mutate::child(&mut self.rng, &parent, &other, room);
            let child = child.filter(|child| child.size() <= 2 * size);
            if change == changes {
                // Compiling it will say whether it is valid.
                let genome = child.as_ref().unwrap_or(&parent.genome);
                let merged = genome.bodies.len() > bodies && first.origin != second.origin;
                let origin =
                    if merged { join(&first.origin, &second.origin) } else { first.origin.clone() };
                return self.child(genome, way, &origin, size);
            }
            let next = child.map(|child| child.encode()).filter(|module| valid(module));
            parent = next.and_then(|module| Parent::of(module.into())).unwrap_or(parent);
        }
    }

    fn child(&mut self, genome: &Genome, way: Way, origin: &str, size: usize) {
        if genome.size() <= 2 * size {
            self.consider(&genome.encode().into(), way, origin, None);
        }
    }

    /// Compiles a module and puts it on the boards where it belongs. `family` is its name if it is one.
    fn consider(
        &mut self,
        module: &Rc<[u8]>,
        way: Way,
        origin: &str,
        family: Option<&'static str>,
    ) {
        let mut hasher = DefaultHasher::new();
        (way.name(), module).hash(&mut hasher);
        if !self.seen.insert(hasher.finish()) {
            return;
        }
        let outcome = measure(module, way);
        let mut fault = |fault: String| {
            println!("{origin}, {}: {fault}", way.name());
            self.faults.push((module.to_vec(), fault));
        };
        let mut cost = match outcome {
            Outcome::Cost(cost) => cost,
            Outcome::Limit(name) => {
                self.refused.entry(name).or_insert_with(|| (0, module.to_vec())).0 += 1;
                return;
            }
            Outcome::Refused(error) => {
                if valid(module) {
                    fault(error);
                }
                return;
            }
            Outcome::Fault(error) => return fault(error),
        };
        self.compiled += 1;
        self.bytes += module.len() as u64;
        // What the boards of counted figures decide may not depend on the time.
        let boards = &self.boards;
        cost = measure_again(module, way, cost, ROUNDS - 1, |cost| boards.is_slow(cost));
        if let Some(name) = family {
            if let Some(over) = Board::all().iter().find(|board| board.score(&cost) > board.bound())
            {
                let (board, score, unit) = (over.name(), over.score(&cost), over.unit());
                println!("{name}, {}, is over the bound: {score:.2} {unit} ({board})", way.name());
                if over.counted() {
                    return;
                }
            }
            for ((board, _), best) in self.boards.0.iter().zip(&mut self.families) {
                let score = board.score(&cost);
                if score > best.0 {
                    *best = (score, name);
                }
            }
        }
        let (module, origin) = (module.clone(), origin.to_string());
        self.boards.add(&Rc::new(Entry { module, way, cost, origin }));
    }
}
