//! The functions that come nearest to their quotes.

use super::{Sample, Tables};
use runwell_compiler::quote::table;
use runwell_testkit::Rng;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;
use std::rc::Rc;

/// Samples of a place, and those of which the module is kept.
const SAMPLES: usize = 200;
const ELITES: usize = 8;
/// What is less of its quote than this is not kept.
const LEAST: f64 = 0.5;
/// A row has a part in a quote if it is so much of it.
const PART: f64 = 0.15;

/// What is quoted of a function: the columns of the tables that the search is about.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[repr(u8)]
pub(super) enum Figure {
    Work,
    Code,
    Memory,
}

impl Figure {
    /// The column of the tables: they have one more, of bytes of a function's tables.
    pub(super) fn column(self) -> usize {
        match self {
            Figure::Work => 0,
            Figure::Code => 1,
            Figure::Memory => 3,
        }
    }

    pub(super) const COUNT: usize = 3;
    pub(super) const ALL: [Figure; Figure::COUNT] = [Figure::Work, Figure::Code, Figure::Memory];

    pub(super) fn name(self) -> &'static str {
        match self {
            Figure::Work => "work",
            Figure::Code => "code",
            Figure::Memory => "memory",
        }
    }
}

/// A module to go on with.
#[derive(Clone)]
pub(super) struct Elite {
    pub(super) module: Rc<[u8]>,
    pub(super) way: u64,
}

/// A row that has a part in a quote: of code that is metered or not, and of which figure.
type Place = (bool, Figure, usize);

/// A sample, what part of its quote it costs, and its module if it is one of the first.
struct Entry {
    share: f64,
    sample: Rc<Sample>,
    elite: Option<Elite>,
}

#[derive(Default)]
pub(super) struct Archive {
    /// The nearest first.
    places: BTreeMap<Place, Vec<Entry>>,
    /// Hashes of the samples that were looked at: many functions are the same.
    seen: BTreeSet<u64>,
}

/// Where a sample belongs, and its part of the quote.
fn judge(tables: &Tables, sample: &Sample, figure: Figure) -> (Vec<Place>, f64) {
    let quoted = sample.quoted(tables, figure).max(1.0);
    let rows = tables.rows(sample.metered, figure);
    let places = rows.iter().zip(sample.counts.iter()).enumerate();
    let places = places
        .filter(|&(_, (row, &count))| row * f64::from(count) / 10.0 > PART * quoted)
        .map(|(at, _)| (sample.metered, figure, at));
    (places.collect(), sample.cost[figure as usize] / quoted)
}

impl Archive {
    /// Keeps a sample where it is near to its quote.
    pub(super) fn add(&mut self, tables: &Tables, sample: Rc<Sample>, elite: impl Fn() -> Elite) {
        let mut hasher = DefaultHasher::new();
        sample.metered.hash(&mut hasher);
        sample
            .counts
            .iter()
            .chain(&sample.cost.map(|cost| cost as f32))
            .for_each(|count| count.to_bits().hash(&mut hasher));
        if !self.seen.insert(hasher.finish()) {
            return;
        }
        for figure in Figure::ALL {
            let (places, share) = judge(tables, &sample, figure);
            if share < LEAST {
                continue;
            }
            for place in places {
                let (sample, elite) = (sample.clone(), Some(elite()));
                self.place(place, Entry { share, sample, elite });
            }
        }
    }

    fn place(&mut self, place: Place, mut entry: Entry) {
        let entries = self.places.entry(place).or_default();
        let at = entries.partition_point(|other| other.share >= entry.share);
        if at == SAMPLES {
            return;
        }
        if at >= ELITES {
            entry.elite = None;
        }
        entries.insert(at, entry);
        entries.truncate(SAMPLES);
        if let Some(entry) = entries.get_mut(ELITES) {
            entry.elite = None;
        }
    }

    /// The same with other tables.
    pub(super) fn judge_again(&mut self, tables: &Tables) {
        for ((_, figure, row), entries) in std::mem::take(&mut self.places) {
            for entry in entries {
                // In the places that it was in; others come with the search.
                let (_, share) = judge(tables, &entry.sample, figure);
                self.place((entry.sample.metered, figure, row), Entry { share, ..entry });
            }
        }
    }

    /// A module of some place.
    pub(super) fn any(&self, rng: &mut Rng) -> Option<Elite> {
        let places: Vec<&Vec<Entry>> = self.places.values().collect();
        let entries = places.get(rng.below(places.len().max(1) as u64) as usize)?;
        let elites: Vec<&Elite> = entries.iter().filter_map(|entry| entry.elite.as_ref()).collect();
        elites.get(rng.below(elites.len().max(1) as u64) as usize).map(|&elite| elite.clone())
    }

    pub(super) fn samples(&self) -> impl Iterator<Item = &Sample> {
        self.places.values().flatten().map(|entry| &*entry.sample)
    }

    /// How near the nearest comes, in one line.
    pub(super) fn line(&self) -> String {
        let mut words = Vec::new();
        for (metered, word) in [(false, "plain"), (true, "metered")] {
            for figure in Figure::ALL {
                let of =
                    |(place, _): &(&Place, &Vec<Entry>)| place.0 == metered && place.1 == figure;
                let nearest = self.places.iter().filter(of).map(|(_, entries)| entries[0].share);
                let nearest: Vec<f64> = nearest.collect();
                let most = nearest.iter().copied().fold(0.0, f64::max);
                let over = nearest.iter().filter(|&&share| share > 1.0).count();
                words.push(format!(
                    "{word} {} {most:.3} ({over} of {} over)",
                    figure.name(),
                    nearest.len()
                ));
            }
        }
        words.join(", ")
    }

    /// Writes the modules to go on with to a directory, instead of what is there.
    pub(super) fn keep(&self, near: &Path) -> std::io::Result<()> {
        for file in std::fs::read_dir(near)? {
            std::fs::remove_file(file?.path())?;
        }
        let mut kept = BTreeSet::new();
        for elite in self.places.values().flatten().filter_map(|entry| entry.elite.as_ref()) {
            let mut hasher = DefaultHasher::new();
            (elite.way, &elite.module).hash(&mut hasher);
            let hash = hasher.finish();
            if kept.insert(hash) {
                std::fs::write(
                    near.join(format!("{}-{hash:016x}.wasm", elite.way)),
                    &elite.module,
                )?;
            }
        }
        Ok(())
    }

    /// Prints the nearest of each place and writes the modules of those that exceed their quotes; how many do.
    pub(super) fn report(&self, out: &Path) -> std::io::Result<u32> {
        let mut over = 0;
        for ((metered, figure, row), entries) in &self.places {
            let entry = &entries[0];
            let word = if *metered { "metered" } else { "plain" };
            let (figure, row) = (figure.name(), table::name(*row));
            print!("{:7.3} {word:<8} {figure:<5} {row}", entry.share);
            if entry.share > 1.0 {
                over += 1;
                if let Some(elite) = &entry.elite {
                    let file = format!("over-{over}.wasm");
                    std::fs::write(out.join(&file), &elite.module)?;
                    print!("  way {}, {file}", elite.way);
                }
            }
            println!();
        }
        Ok(over)
    }
}
