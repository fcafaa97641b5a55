//! Many functions on several threads, with the same outcome on any number of them.
//!
//! Bodies are cut into batches of consecutive functions by their sizes alone. Workers take batches
//! in order from a counter, each with a context of its own, and the outcomes are put back in order.
//! When several functions are at fault, the one with the lowest index is reported: a worker stops
//! taking batches behind a known fault, and all batches before it have been taken.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes of bodies in one batch: large enough to pay for the hand-over, small enough to share the
/// work evenly.
const BATCH_BYTES: usize = 32 << 10;

/// Functions in one batch at the most, for modules of tiny functions.
const BATCH_FUNCS: usize = 1024;

/// Cuts `sizes.len()` functions into batches `(first, end)`.
pub fn batches(sizes: impl Iterator<Item = usize>) -> Vec<(usize, usize)> {
    let mut batches = Vec::new();
    let (mut first, mut bytes, mut at) = (0, 0, 0);
    for size in sizes {
        at += 1;
        bytes += size;
        if bytes >= BATCH_BYTES || at - first >= BATCH_FUNCS {
            batches.push((first, at));
            (first, bytes) = (at, 0);
        }
    }
    if first < at {
        batches.push((first, at));
    }
    batches
}

/// Bytes of stack of each thread. The compiler does not recurse over its input, so this is enough for
/// any: tests compile every family of hostile modules with it.
pub const STACK_BYTES: usize = 256 << 10;

/// A batch's number and what came of it.
type Outcome<R, E> = (usize, Result<R, E>);

/// Runs `work` on each of `count` batches with a context made by `context`, on `jobs` threads, and
/// returns the outcomes in order and the contexts.
///
/// # Errors
/// The fault of the batch with the lowest number.
pub fn run<C: Send, R: Send, E: Send>(
    count: usize,
    jobs: usize,
    context: impl Fn() -> C + Sync,
    work: impl Fn(&mut C, usize) -> Result<R, E> + Sync,
) -> Result<(Vec<R>, Vec<C>), E> {
    let jobs = match jobs {
        0 => std::thread::available_parallelism().map_or(1, |n| n.get()),
        n => n,
    }
    .min(count.max(1));
    let next = AtomicUsize::new(0);
    let fault = AtomicUsize::new(usize::MAX);
    let worker = || {
        let mut context = context();
        let mut done = Vec::new();
        loop {
            let batch = next.fetch_add(1, Ordering::Relaxed);
            if batch >= count || batch > fault.load(Ordering::Relaxed) {
                return (context, done);
            }
            let outcome = work(&mut context, batch);
            if outcome.is_err() {
                fault.fetch_min(batch, Ordering::Relaxed);
            }
            done.push((batch, outcome));
        }
    };
    let mut slots: Vec<Option<Result<R, E>>> = (0..count).map(|_| None).collect();
    let mut contexts = Vec::with_capacity(jobs);
    let mut collect = |(context, done): (C, Vec<Outcome<R, E>>)| {
        contexts.push(context);
        for (batch, outcome) in done {
            slots[batch] = Some(outcome);
        }
    };
    if jobs == 1 {
        collect(worker());
    } else {
        let results = Mutex::new(Vec::with_capacity(jobs));
        std::thread::scope(|scope| {
            let run = || {
                let outcome = worker();
                results.lock().expect("no worker panics while it holds the lock").push(outcome);
            };
            // This thread is one of them, so that there is one when the system gives no more.
            for _ in 1..jobs {
                let thread = std::thread::Builder::new().stack_size(STACK_BYTES);
                if thread.spawn_scoped(scope, run).is_err() {
                    break;
                }
            }
            run();
        });
        results.into_inner().expect("all workers have ended").into_iter().for_each(&mut collect);
    }
    // A missing slot lies behind a fault, which is met first.
    let outcomes = slots.into_iter().map_while(|slot| slot).collect::<Result<Vec<R>, E>>()?;
    Ok((outcomes, contexts))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_does_not_depend_on_threads() {
        for jobs in 1..5 {
            let (done, contexts) = run(
                100,
                jobs,
                || 0usize,
                |sum, i| {
                    *sum += i;
                    Ok::<_, ()>(i * i)
                },
            )
            .unwrap();
            assert_eq!(done, (0..100).map(|i| i * i).collect::<Vec<_>>());
            assert_eq!(contexts.iter().sum::<usize>(), 99 * 100 / 2);
        }
    }

    #[test]
    fn the_first_fault_is_reported() {
        for jobs in 1..5 {
            let fault = run(100, jobs, || (), |(), i| if i % 7 == 5 { Err(i) } else { Ok(i) });
            assert_eq!(fault.unwrap_err(), 5);
        }
    }

    #[test]
    fn batches_cover_everything_once() {
        let sizes: Vec<usize> = (0..5000).map(|i| (i * 7919) % 5000).collect();
        let batches = batches(sizes.iter().copied());
        let mut at = 0;
        for (first, end) in batches {
            assert!(first == at && end > first);
            at = end;
        }
        assert_eq!(at, sizes.len());
    }
}
