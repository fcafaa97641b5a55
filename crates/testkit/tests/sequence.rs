//! Hostile modules one after the other, and many at once: what a compilation takes, it gives back.
//!
//! An engine that has compiled a module of each kind must not be larger after it has compiled
//! thousands of them. What the allocator has handed out is counted and the same to the byte; machine
//! code and stacks are mapped and show in the size of the process.

use runwell::{Config, Engine, Module};
use runwell_bombs::families;
use runwell_testkit::Rng;
use std::sync::{Mutex, MutexGuard, PoisonError};

#[global_allocator]
static ALLOCATOR: runwell_heap::Counting = runwell_heap::Counting;

/// Sizes of the modules.
const SIZES: [usize; 2] = [300, 1200];
/// Growth of the process that is no leak: the system's allocator keeps pages, and not always the same.
const SLACK_BYTES: usize = 8 << 20;
/// Threads of the test of many at once.
const THREADS: usize = 16;

/// Each test measures the process, so only one runs at a time.
static ALONE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Memory that this process has in use and address space that it has, in bytes.
fn process() -> [usize; 2] {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    let mut pages = statm.split_whitespace().map(|field| field.parse::<usize>().unwrap() * 4096);
    let space = pages.next().unwrap();
    [pages.next().unwrap(), space]
}

/// One of each family and size, and as many that are damaged: cut off, or with a byte changed.
fn modules() -> Vec<Vec<u8>> {
    let mut rng = Rng(1);
    let mut modules = Vec::new();
    for family in families() {
        for bytes in SIZES {
            let module = (family.make)(bytes);
            let mut damaged = module.clone();
            let at = 8 + rng.below(module.len() as u64 - 8) as usize;
            if rng.one_in(3) {
                damaged.truncate(at)
            } else {
                damaged[at] ^= 1 << rng.below(8)
            }
            modules.extend([module, damaged]);
        }
    }
    modules
}

fn engine() -> Engine {
    Engine::new(Config::new().compile_jobs(1)).unwrap()
}

/// Compiles `count` modules from `first` on and drops them; how many were accepted.
fn compile(engine: &Engine, modules: &[Vec<u8>], first: usize, count: usize) -> usize {
    let turn = modules.iter().cycle().skip(first % modules.len()).take(count);
    turn.filter(|module| Module::from_binary(engine, module).is_ok()).count()
}

fn in_turn(count: usize) {
    let _alone = alone();
    let (engine, modules) = (engine(), modules());
    let round = compile(&engine, &modules, 0, modules.len());
    assert!(round > modules.len() / 2, "{round} of {} accepted", modules.len());
    assert!(round < modules.len() - modules.len() / 10, "{round} of {} accepted", modules.len());
    let before = (runwell_heap::now(), runwell_heap::blocks());
    let [resident, space] = process();
    for done in (0..count).step_by(1000) {
        compile(&engine, &modules, done, 1000.min(count - done));
        let after = (runwell_heap::now(), runwell_heap::blocks());
        assert_eq!(after, before, "bytes and blocks, after {done} modules and a thousand more");
    }
    let [resident_after, space_after] = process();
    let grown = [resident_after.saturating_sub(resident), space_after.saturating_sub(space)];
    println!("{count} modules: {grown:?} bytes resident and reserved");
    assert!(grown[0] < SLACK_BYTES, "{} bytes more in use after {count} modules", grown[0]);
    assert!(grown[1] < 8 * SLACK_BYTES, "{} bytes more reserved", grown[1]);
}

#[test]
fn ten_thousand_in_turn_leave_memory_where_it_was() {
    in_turn(10_000);
}

fn at_once(count: usize) {
    let _alone = alone();
    let (engine, modules) = (engine(), modules());
    let run = |count: usize| {
        std::thread::scope(|scope| {
            let (engine, modules) = (&engine, &modules);
            let start = |thread| {
                scope.spawn(move || compile(engine, modules, thread * 97, count / THREADS))
            };
            let threads: Vec<_> = (0..THREADS).map(start).collect();
            // The scope's end waits for what they do; until they have been joined, what belongs to the
            // threads themselves may still be there.
            for thread in threads {
                thread.join().expect("no thread panics");
            }
        });
    };
    // Lists that all threads share get as long as they were at the fullest moment and stay so.
    run(count / 2);
    let before = (runwell_heap::now(), runwell_heap::blocks());
    let [resident, _] = process();
    run(count);
    let after = (runwell_heap::now(), runwell_heap::blocks());
    // A fuller moment may come in the second run. What is lost with each module, or with each hundredth,
    // is far more than that.
    let more = after.1.saturating_sub(before.1);
    assert!(more <= THREADS, "{more} blocks more after {count} modules");
    let grown = after.0.saturating_sub(before.0);
    assert!(grown < 64 << 10, "{grown} bytes more are allocated");
    let [resident_after, _] = process();
    let grown = resident_after.saturating_sub(resident);
    println!("{count} modules on {THREADS} threads: {grown} bytes resident");
    // Each thread that compiles at a time has memory of its own in the system's allocator.
    assert!(grown < 2 * SLACK_BYTES, "{grown} bytes more in use after {count} modules");
}

#[test]
fn ten_thousand_by_sixteen_at_once_leave_memory_where_it_was() {
    at_once(10_000);
}
