//! Runs a target for a while, on several threads, and keeps what was found.

use crate::case::{Checker, Done, Target};
use runwell_testkit::reduce::reduce;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// An input that takes longer hangs.
const HANG: Duration = Duration::from_secs(30);
/// Attempts to make an input smaller.
const ATTEMPTS: usize = 2_000;
/// Findings after which a run ends.
const ENOUGH: u64 = 20;

#[derive(Default)]
struct Totals {
    inputs: u64,
    accepted: u64,
    gave: u64,
    outvoted: u64,
    done: Done,
}

struct Run<'a> {
    target: Target,
    out: &'a Path,
    end: Instant,
    next: AtomicU64,
    found: AtomicU64,
    totals: Mutex<Totals>,
    /// Per thread the input it is at.
    at: Vec<Mutex<Option<(u64, Instant)>>>,
}

/// Runs `target` for `time` on `jobs` threads, with seeds from `seed` on; how much was found.
pub(crate) fn run(target: Target, time: Duration, seed: u64, jobs: usize, out: &Path) -> u64 {
    let start = Instant::now();
    let run = Run {
        target,
        out,
        end: start + time,
        next: AtomicU64::new(seed),
        found: AtomicU64::new(0),
        totals: Mutex::default(),
        at: (0..jobs).map(|_| Mutex::new(None)).collect(),
    };
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let run = &run;
        let workers: Vec<_> = (0..jobs).map(|job| scope.spawn(move || run.work(job))).collect();
        let over = &over;
        scope.spawn(move || {
            while !over.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(200));
                run.watch();
            }
        });
        let ended: Vec<_> = workers.into_iter().map(|worker| worker.join()).collect();
        over.store(true, Ordering::Relaxed);
        assert!(ended.iter().all(Result::is_ok), "a thread could not do its work");
    });
    let found = run.found.into_inner();
    let totals = run.totals.into_inner().expect("nobody panics with it");
    let end = run.next.into_inner();
    println!(
        "{}: seeds {seed} to {end} in {:.0} s: {} inputs, {} accepted, {} calls returned alike, \
         {} trapped alike, {} inputs given up, {} where a peer was outvoted, {found} found",
        target.name(),
        start.elapsed().as_secs_f64(),
        totals.inputs,
        totals.accepted,
        totals.done.agreed.returned,
        totals.done.agreed.trapped,
        totals.gave,
        totals.outvoted,
    );
    found
}

impl Run<'_> {
    fn work(&self, job: usize) {
        let mut checker = Checker::new(self.target);
        let current = self.out.join(format!("current-{}-{job}", self.target.name()));
        while Instant::now() < self.end && self.found.load(Ordering::Relaxed) < ENOUGH {
            let seed = self.next.fetch_add(1, Ordering::Relaxed);
            // Should the process die, this names the input.
            let _ = std::fs::write(&current, format!("{seed}\n"));
            self.set(job, Some((seed, Instant::now())));
            let Some(input) = self.target.input(seed) else { continue };
            let outcome = checker.check(&input, seed);
            self.set(job, None);
            match outcome {
                Ok(done) => self.count(done),
                Err(error) => self.keep(&mut checker, &input, seed, &error),
            }
        }
        let _ = std::fs::remove_file(&current);
    }

    fn set(&self, job: usize, at: Option<(u64, Instant)>) {
        *self.at[job].lock().expect("nobody panics with it") = at;
    }

    fn count(&self, done: Done) {
        let mut totals = self.totals.lock().expect("nobody panics with it");
        totals.inputs += 1;
        totals.accepted += u64::from(done.accepted);
        totals.gave += u64::from(done.agreed.gave);
        totals.outvoted += u64::from(done.outvoted);
        totals.done.agreed += done.agreed;
    }

    /// Keeps an input, a smaller one that shows something too, and what was said.
    fn keep(&self, checker: &mut Checker, input: &[u8], seed: u64, error: &str) {
        self.found.fetch_add(1, Ordering::Relaxed);
        let path =
            |extension: &str| self.out.join(format!("{}-{seed}.{extension}", self.target.name()));
        println!("{}, seed {seed}: {error}", self.target.name());
        let text = self.target == Target::Wat;
        let mut kept = std::fs::write(path(if text { "txt" } else { "wasm" }), input);
        kept = kept.and_then(|()| std::fs::write(path("error"), error));
        if self.target.reduces() {
            let small =
                reduce(input, ATTEMPTS, |candidate| checker.check(candidate, seed).is_err());
            if let Ok(small) = wasmprinter::print_bytes(&small) {
                kept = kept.and_then(|()| std::fs::write(path("wat"), small));
            }
        }
        if let Err(error) = kept {
            eprintln!("{}: {error}", self.out.display());
        }
    }

    /// Ends the process when an input hangs.
    fn watch(&self) {
        for at in &self.at {
            let at = *at.lock().expect("nobody panics with it");
            if let Some((seed, since)) = at
                && since.elapsed() > HANG
            {
                println!("{}, seed {seed}: takes more than {HANG:?}", self.target.name());
                if let Some(input) = self.target.input(seed) {
                    let path = self.out.join(format!("{}-{seed}.hang", self.target.name()));
                    let _ = std::fs::write(path, input);
                }
                std::process::exit(3);
            }
        }
    }
}
