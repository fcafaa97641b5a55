//! The target `quote`: a search for functions that cost more than they are quoted, and a fit of the tables that
//! quotes are computed from.
//!
//! A quote is a sum of counts, each times a row of a table, and a row that is too small shows where it is much of
//! the sum. So the [`Archive`] has a place for each row of each table and each figure, and keeps there the
//! functions of whose quote that row is a good part, those that come nearest to it. The search goes on with what [`mutate`](super::mutate) makes of these, with units from nothing
//! ([`grammar`](super::grammar)) and with generated modules.
//!
//! With real modules to fit to, what it has met becomes the constraints of a linear program ([`fit`]): of all
//! tables that quote each of them as many times as can be, and the real modules no more than is promised, the
//! one nearest to the present one. The search then goes on against the new table, and so on in rounds; the
//! tables of each are written as source text.
//!
//! How far a round comes depends on the time, so two runs do not give the same tables.

mod archive;
mod fit;

use super::genome::{Genome, valid};
use super::grammar;
use super::mutate::{self, Parent};
use archive::{Archive, Elite, Figure};
use runwell_compiler::CompiledModule;
use runwell_compiler::quote::table::{self, COUNTS};
use runwell_compiler::quote::{Quote, counts};
use runwell_testkit::Rng;
use runwell_testkit::quotes::{self, WAYS, generated, options};
use runwell_testkit::sweep::{self, Locals, MOST_COPIES};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, Instant};

/// Of so many modules one is generated, and of the same number so many are made of a unit.
const KINDS_OF_NEW: u64 = 4;
const UNITS: u64 = 1;
/// Changes of a module in one step, at the most.
const CHANGES: u64 = 3;
/// Sizes of the families that the search starts with.
const FAMILY_BYTES: [usize; 2] = [800, 6000];
/// The directory below the output with the modules that come nearest to their quotes, with which the next search
/// goes on.
const NEAR: &str = "near";
/// Modules are of at most so many bytes, more often of less.
const MOST_BYTES: usize = 16 << 10;

/// A function, or a part of one, as the tables see it, and what it costs.
#[derive(Clone)]
pub(super) struct Sample {
    pub(super) metered: bool,
    pub(super) counts: Box<[f32; COUNTS]>,
    /// Steps, bytes of code, bytes of memory; zero what is not compared.
    pub(super) cost: [f64; Figure::COUNT],
}

impl Sample {
    /// What the tables say that it costs.
    fn quoted(&self, tables: &Tables, figure: Figure) -> f64 {
        let rows = tables.rows(self.metered, figure);
        rows.iter().zip(self.counts.iter()).map(|(row, &count)| row * f64::from(count)).sum::<f64>()
            / 10.0
    }
}

/// The rows of each figure, in tenths, of unmetered and of metered code.
#[derive(Clone)]
pub(super) struct Tables([[Vec<f64>; Figure::COUNT]; 2]);

impl Tables {
    /// Those of the compiler.
    fn present() -> Tables {
        let of = |metered| {
            let rows = table::rows(metered);
            Figure::ALL.map(|figure| rows.iter().map(|row| row[figure.column()].into()).collect())
        };
        Tables([of(false), of(true)])
    }

    fn rows(&self, metered: bool, figure: Figure) -> &[f64] {
        &self.0[usize::from(metered)][figure as usize]
    }
}

/// What is asked of a run.
pub(crate) struct Plan {
    /// How long each round searches.
    pub(crate) time: Duration,
    pub(crate) seed: u64,
    pub(crate) rounds: u64,
    /// Real modules, to fit to; without, there is nothing but the search.
    pub(crate) corpus: Vec<PathBuf>,
}

struct Search {
    rng: Rng,
    tables: Tables,
    archive: Archive,
    /// What no search need find again: operators one by one, hostile families.
    known: Vec<Sample>,
    compiled: u64,
    faults: u32,
}

/// Runs the plan; how many bugs and places with a quote that is exceeded there are at the end.
pub(crate) fn run(plan: &Plan, out: &Path) -> std::io::Result<u32> {
    let near = out.join(NEAR);
    std::fs::create_dir_all(&near)?;
    let mut search = Search {
        rng: Rng(plan.seed),
        tables: Tables::present(),
        archive: Archive::default(),
        known: Vec::new(),
        compiled: 0,
        faults: 0,
    };
    let mut real = Vec::new();
    for file in &plan.corpus {
        let module = std::fs::read(file)?;
        let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        for way in [0, 1] {
            real.extend(fit::Real::of(&name, &module, way, &mut search.known));
        }
    }
    search.start();
    search.resume(&near)?;
    for round in 0..plan.rounds {
        let start = Instant::now();
        while start.elapsed() < plan.time {
            search.step();
        }
        println!("round {round}, {} compiled: {}", search.compiled, search.archive.line());
        if !real.is_empty() {
            let samples: Vec<&Sample> =
                search.known.iter().chain(search.archive.samples()).collect();
            search.tables = fit::fit(&samples, &real, &search.tables, round + 1 == plan.rounds);
            search.archive.judge_again(&search.tables);
            std::fs::write(out.join("rows.txt"), fit::text(&search.tables))?;
        }
        search.archive.keep(&near)?;
        std::io::stdout().flush()?;
    }
    let over = search.archive.report(out)?;
    Ok(search.faults + over)
}

/// The cost of a module by functions, and its counts.
struct Measured {
    compiled: CompiledModule,
    quote: Quote,
    counts: Vec<table::Counts>,
    memory: u64,
}

/// None for what is invalid or refused.
fn measure(module: &[u8], way: u64) -> Result<Option<Measured>, String> {
    if !valid(module) {
        return Ok(None);
    }
    let measured = crate::case::quietly(|| quotes::measure("a module", module, way));
    let measured = measured.map_err(|panic| format!("panic: {panic}"))?;
    let Some(quotes::Measured { quote, compiled: Some(compiled), memory }) = measured else {
        return Ok(None);
    };
    let counts = counts(module, &options(way)).map_err(|error| error.to_string())?;
    Ok(Some(Measured { compiled, quote, counts, memory }))
}

impl Measured {
    fn samples(&self, way: u64) -> impl Iterator<Item = Sample> {
        self.counts.iter().zip(&self.compiled.report.costs).map(move |(counts, cost)| Sample {
            metered: way & 1 != 0,
            counts: Box::new(counts.as_array().map(|count| count as f32)),
            cost: [cost.work as f64, cost.code as f64, 0.0],
        })
    }

    /// What the memory of the whole module is computed from. Everything in its quote that does not come of
    /// the rows of memory is taken off.
    fn memory(&self, way: u64) -> Sample {
        let metered = way & 1 != 0;
        let mut counts = Box::new([0f32; COUNTS]);
        for of_one in &self.counts {
            let both = counts.iter_mut().zip(of_one.as_array());
            both.for_each(|(most, &count)| *most = most.max(count as f32));
        }
        let mut sample = Sample { metered, counts, cost: [0.0; Figure::COUNT] };
        let rest = self.quote.memory as f64 - sample.quoted(&Tables::present(), Figure::Memory);
        sample.cost[Figure::Memory as usize] = self.memory as f64 - rest;
        sample
    }
}

impl Search {
    /// What is known to cost much: each operator in each of its shapes, and hostile families.
    fn start(&mut self) {
        for case in sweep::cases() {
            for (locals, way) in
                [Locals::Many, Locals::Few].into_iter().flat_map(|l| (0..WAYS).map(move |w| (l, w)))
            {
                let guards_matter = case.is_access() || way & 2 == 0;
                let of = |copies| measure(&case.module(copies, locals), way).ok().flatten();
                if let (true, Some(few), Some(many)) =
                    (guards_matter, of(MOST_COPIES / 2), of(MOST_COPIES))
                {
                    self.known.extend(difference(&few, &many, way));
                }
            }
        }
        for family in runwell_bombs::families() {
            for size in FAMILY_BYTES {
                // As the encoder of this search writes it.
                if let Some(genome) = Genome::parse(&(family.make)(size)) {
                    let module: Rc<[u8]> = genome.encode().into();
                    (0..WAYS).for_each(|way| self.consider(&module, way));
                }
            }
        }
        for (_, chain) in runwell_testkit::chains::singles() {
            let chain: Rc<[u8]> = chain.into();
            (0..WAYS).for_each(|way| self.consider(&chain, way));
        }
        println!(
            "start, {} compiled, {} known: {}",
            self.compiled,
            self.known.len(),
            self.archive.line()
        );
    }

    /// The modules that an earlier search has kept, with a way before the first `-` of their names.
    fn resume(&mut self, near: &Path) -> std::io::Result<()> {
        let mut files: Vec<PathBuf> = std::fs::read_dir(near)?
            .map(|file| Ok(file?.path()))
            .collect::<std::io::Result<_>>()?;
        files.sort();
        for file in &files {
            let name = file.file_name().unwrap_or_default().to_string_lossy();
            if let Some(way) = name.split('-').next().and_then(|way| way.parse().ok()) {
                self.consider(&std::fs::read(file)?.into(), way);
            }
        }
        println!("{} modules of an earlier search: {}", files.len(), self.archive.line());
        Ok(())
    }

    /// One module more.
    fn step(&mut self) {
        let way = self.rng.below(WAYS);
        let most = MOST_BYTES >> self.rng.below(6);
        let new = self.rng.below(KINDS_OF_NEW);
        if new == 0 {
            let modules = generated(self.rng.next_u64() >> 16);
            for (_, module, way) in modules {
                if module.len() <= 4 * MOST_BYTES {
                    self.consider(&module.into(), way);
                }
            }
            return;
        }
        if new <= UNITS {
            let Some(genome) = grammar::module(&mut self.rng, most) else { return };
            return self.consider(&genome.encode().into(), way);
        }
        let (Some(first), Some(second)) =
            (self.archive.any(&mut self.rng), self.archive.any(&mut self.rng))
        else {
            return;
        };
        let way = if self.rng.one_in(8) { way } else { first.way };
        let (Some(mut parent), Some(other)) =
            (Parent::of(first.module.clone()), Parent::of(second.module.clone()))
        else {
            return;
        };
        for _ in 0..1 + self.rng.below(CHANGES) {
            let room = most.max(parent.module.len());
            let child = mutate::child(&mut self.rng, &parent, &other, room);
            let child = child.filter(|child| child.size() <= MOST_BYTES);
            let next = child.map(|child| child.encode()).filter(|module| valid(module));
            parent = next.and_then(|module| Parent::of(module.into())).unwrap_or(parent);
        }
        self.consider(&parent.module, way);
    }

    /// Compiles a module and keeps the functions that come near to their quotes.
    fn consider(&mut self, module: &Rc<[u8]>, way: u64) {
        let measured = match measure(module, way) {
            Ok(Some(measured)) => measured,
            Ok(None) => return,
            Err(fault) => {
                println!("way {way}: {fault}");
                self.faults += 1;
                return;
            }
        };
        self.compiled += 1;
        let memory = measured.memory(way);
        for sample in measured.samples(way).chain([memory]) {
            self.archive
                .add(&self.tables, Rc::new(sample), || Elite { module: module.clone(), way });
        }
    }
}

/// What the second half of the copies of an operator costs.
fn difference(few: &Measured, many: &Measured, way: u64) -> Option<Sample> {
    let last = |measured: &Measured| measured.samples(way).last();
    let (few, many) = (last(few)?, last(many)?);
    let mut counts = many.counts;
    counts.iter_mut().zip(few.counts.iter()).for_each(|(many, few)| *many -= few);
    let cost = [many.cost[0] - few.cost[0], many.cost[1] - few.cost[1], 0.0];
    // Where more copies are quoted less, locals have moved to slots, and only wholes can be compared.
    let compares =
        counts.iter().all(|&count| count >= 0.0) && cost[..2].iter().all(|&cost| cost > 0.0);
    compares.then_some(Sample { counts, cost, ..many })
}
