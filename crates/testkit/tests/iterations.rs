//! Do the steps that are charged keep up with what is executed, pass by pass?
//!
//! Run by `cargo xtask iterations`, which builds everything (the libraries that the compiler uses, too)
//! with the counters of source coverage: every region of code counts how often it was entered, loop
//! bodies and closures among them. Nobody has to remember to count, so a loop that somebody forgot to
//! charge shows. A region belongs to the pass in whose module it stands. For every family of hostile
//! modules at two sizes, for the corpus and for generated modules:
//!
//! - no region is entered more often per step that its pass has charged than [`GROUPS`] says, nor are all
//!   regions of a pass together, both beside a constant for each function;
//! - from size to size of a family no region's count grows faster than the module, but for [`GROWTH`] and,
//!   once, for what settles. What is not linear is seen here whether or not it is charged.
//!
//! What this does not see: loops inside of the standard library, which comes without counters. Where
//! they call closures of ours (iterators, sorting by a key) they count, where they move bytes (copies,
//! fills, hashing, sorting of plain numbers) they do not.

mod counters;

use counters::Counts;
use runwell_abi::{Arch, Features, Schedule, Target};
use runwell_bombs::families;
use runwell_compiler::{Options, compile};
use runwell_ir::work::{Pass, Steps};
use runwell_testkit::{Nans, generate, program, storm, wide};

/// Entries of one region, and of all of a pass, for a module and for each function in it: tables that do
/// not depend on the body.
const BASE: (f64, f64) = (2_000.0, 40_000.0);
const PER_FUNCTION: (f64, f64) = (64.0, 1_000.0);
/// How much faster than the module's size a count may grow from one size to one four times as large: tables
/// fill up, so that bounded searches in them come nearer to their bounds. Squares grow by four.
const GROWTH: f64 = 1.5;
const SIZES: [usize; 2] = [16 << 10, 64 << 10];
/// Where a count grows faster, it may be on its way to a bound, in branch tables that get longer with the
/// module above all: then a third size decides, to which it must not grow faster again.
const THIRD: usize = 256 << 10;
/// Counts per byte, below which growth says nothing.
const RARE: f64 = 2.0;

/// Which regions are compared with which steps, and the entries per step: of one region, and of all. Reading
/// and validating are done by one library. A step of the allocator may look at all the registers of a
/// class.
const GROUPS: [(&str, &[Pass], [f64; 2]); 8] = [
    ("parse and translate", &[Pass::Parse, Pass::Translate], [5.0, 80.0]),
    ("scan", &[Pass::Scan], [4.0, 40.0]),
    ("optimize", &[Pass::Optimize], [4.0, 20.0]),
    ("lower", &[Pass::Lower], [4.0, 30.0]),
    ("liveness", &[Pass::Liveness], [2.0, 10.0]),
    ("allocate", &[Pass::Allocate], [8.0, 50.0]),
    ("emit", &[Pass::Emit], [3.0, 15.0]),
    ("everything else", &Pass::ALL, [4.0, 25.0]),
];

/// Paths as they stand in mangled names, and their groups: the one that comes first in a name, and of
/// several there the first of the list.
const PATHS: [(&str, usize); 17] = [
    ("12runwell_wasm4scan", 1),
    ("12runwell_wasm5meter", 1),
    ("12runwell_wasm", 0),
    ("11runwell_opt", 0),
    ("10wasmparser", 0),
    ("15runwell_codegen3nan", 2),
    ("15runwell_codegen5lower", 3),
    ("15runwell_codegen3x645lower", 3),
    ("15runwell_codegen3x644tile", 3),
    ("15runwell_codegen8regalloc8liveness", 4),
    ("15runwell_codegen8regalloc", 5),
    ("15runwell_codegen4emit", 6),
    ("15runwell_codegen3x644emit", 6),
    ("15runwell_codegen3x643asm", 6),
    ("15runwell_codegen", 7),
    ("10runwell_ir", 7),
    ("16runwell_compiler", 7),
];

/// The same for what is asked by another pass than the one in whose module it stands: selection asks for
/// each value whether its NaNs are loose.
const ASKED: [(&str, usize); 1] = [("4Nans8is_loose", 3)];

fn group(name: &str) -> Option<usize> {
    if let Some(&(_, group)) = ASKED.iter().find(|(asked, _)| name.contains(asked)) {
        return Some(group);
    }
    let found = PATHS.iter().filter_map(|&(path, group)| Some((name.find(path)?, group)));
    found.min_by_key(|&(at, _)| at).map(|(_, group)| group)
}

/// What there is to count.
struct Map {
    /// The function of each region, and its group if it is one of the compiler's.
    regions: Vec<u32>,
    groups: Vec<Option<usize>>,
    names: Vec<String>,
    verbose: bool,
    wrong: Vec<String>,
    /// The most per step, of one region and of all, and where: what the constants stand above.
    worst: [[(f64, String); 2]; GROUPS.len()],
}

/// What compiling a module was.
struct Counted {
    counts: Counts,
    steps: Steps,
    functions: f64,
    bytes: f64,
}

/// Compiles a module, once to make what is kept and once to count; none when it is refused.
fn count(module: &[u8], metered: bool) -> Option<Counted> {
    let target = Target { arch: Arch::X64, features: Features::default() };
    let schedule = metered.then(Schedule::default);
    let options = Options { jobs: 1, schedule, ..Options::new(target) };
    counters::restart();
    let outcome = compile(module, &options);
    let counts = Counts::now();
    let report = outcome.ok()?.report;
    let functions = f64::from(report.functions);
    Some(Counted { counts, steps: report.work, functions, bytes: module.len() as f64 })
}

/// Regions whose count grows faster than the module, with what it is per byte.
fn grown(small: &Counted, large: &Counted) -> impl Iterator<Item = (usize, [f64; 2])> {
    let both = small.counts.0.iter().zip(&large.counts.0).enumerate();
    both.map(|(region, (&few, &many))| {
        (region, [few as f64 / small.bytes, many as f64 / large.bytes])
    })
    .filter(|(_, [few, many])| *many > RARE && *many > GROWTH * few)
}

impl Map {
    fn new() -> Map {
        let (regions, names) = counters::functions();
        let groups: Vec<Option<usize>> = names.iter().map(|name| group(name)).collect();
        let verbose = std::env::var_os("RUNWELL_VERBOSE").is_some();
        Map { regions, groups, names, verbose, wrong: Vec::new(), worst: Default::default() }
    }

    fn name(&self, region: usize) -> &str {
        &self.names[self.regions[region] as usize]
    }

    /// Compares counts and steps.
    fn keep_up(&mut self, name: &str, counted: &Counted) {
        let Counted { counts, steps, functions, .. } = counted;
        let mut all = [0u64; GROUPS.len()];
        let mut most = [(0u64, 0usize); GROUPS.len()];
        for (region, &entries) in counts.0.iter().enumerate() {
            if let Some(group) = self.groups[self.regions[region] as usize] {
                all[group] += entries;
                most[group] = most[group].max((entries, region));
            }
        }
        for (group, (title, passes, limits)) in GROUPS.iter().enumerate() {
            let steps: u64 = passes.iter().map(|&pass| steps.spent(pass)).sum();
            let (entries, region) = most[group];
            let found = [
                (entries, BASE.0 + functions * PER_FUNCTION.0, true),
                (all[group], BASE.1 + functions * PER_FUNCTION.1, false),
            ];
            for (which, (entries, base, one)) in found.into_iter().enumerate() {
                let per_step = (entries as f64 - base).max(0.0) / steps.max(1) as f64;
                let whose = if one { self.name(region) } else { "all regions" }.to_string();
                if per_step > limits[which] {
                    let what = format!("{per_step:.1} entries of {whose} per step");
                    self.wrong.push(format!("{name}: {title}: {what}"));
                }
                if per_step > self.worst[group][which].0 {
                    self.worst[group][which] = (per_step, format!("{name}: {whose}"));
                }
            }
        }
    }

    /// Compares the counts of a family at growing sizes. Of these there are three when there is something
    /// that grew from the first to the second.
    fn linear(&mut self, name: &str, sizes: &[Counted]) {
        let [small, large, ..] = sizes else { return };
        for (region, more) in grown(small, large) {
            let (rates, still) = match sizes.get(2) {
                None => (more.to_vec(), true),
                Some(third) => {
                    let last = third.counts.0[region] as f64 / third.bytes;
                    (vec![more[0], more[1], last], last > GROWTH * more[1])
                }
            };
            if still {
                let whose = self.name(region).to_string();
                self.wrong.push(format!("{name}: {rates:.2?} entries per byte of {whose}"));
            }
        }
    }
}

#[test]
fn steps_keep_up() {
    let mut map = Map::new();
    let compilers = map.groups.iter().flatten().count();
    assert!(compilers > 1_000, "only {compilers} functions of the compiler have counters");
    for family in families() {
        for metered in [false, true] {
            let name = format!("{}{}", family.name, if metered { ", metered" } else { "" });
            let mut sizes: Vec<Counted> =
                SIZES.iter().filter_map(|&size| count(&(family.make)(size), metered)).collect();
            if let [small, large] = &*sizes
                && grown(small, large).next().is_some()
            {
                sizes.extend(count(&(family.make)(THIRD), metered));
            }
            sizes.iter().for_each(|counted| map.keep_up(&name, counted));
            map.linear(&name, &sizes);
        }
    }
    for seed in 0..200 {
        let module = match seed % 4 {
            0 => Some(program::module(seed, Nans::Seen)),
            1 => Some(storm::module(seed)),
            2 => Some(wide::Program::from_seed(seed, 1000).wasm()),
            _ => generate::from_seed(seed, Nans::Seen),
        };
        if let Some(counted) = module.and_then(|module| count(&module, seed % 8 < 4)) {
            map.keep_up(&format!("module {seed}"), &counted);
        }
    }
    // The corpus, where it is.
    let files = std::env::var("RUNWELL_MODULES").unwrap_or_default();
    for file in files.split('\n').filter(|file| !file.is_empty()) {
        let module = std::fs::read(file).expect(file);
        let counted = count(&module, false).expect(file);
        map.keep_up(file, &counted);
    }
    println!("{:<20} {:>8} {:>8}  entries per step: of one region, of all", "", "one", "all");
    for ((title, ..), [one, all]) in GROUPS.iter().zip(&map.worst) {
        println!("{title:<20} {:>8.2} {:>8.2}", one.0, all.0);
        if map.verbose {
            println!("    {}\n    {}", one.1, all.1);
        }
    }
    assert!(map.wrong.is_empty(), "\n{}", map.wrong.join("\n"));
}
