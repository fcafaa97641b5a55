//! Compilation that is cancelled: it ends soon, leaves nothing, and the next module is compiled as ever.

use runwell_abi::{Arch, Features, Target};
use runwell_bombs::find;
use runwell_compiler::{
    CancelToken, CompiledModule, Error, Options, Watch, compile, compile_watched,
};
use runwell_testkit::{Nans, program};
use std::time::{Duration, Instant};

#[global_allocator]
static ALLOCATOR: runwell_heap::Counting = runwell_heap::Counting;

fn options(jobs: usize) -> Options {
    Options { jobs, ..Options::new(Target { arch: Arch::X64, features: Features::default() }) }
}

/// Bytes that threads take besides, at the most: far less than what compiling a function takes.
const HANDLES: usize = 4096;

/// Modules of a megabyte and more: one function, and many.
fn large() -> [Vec<u8>; 2] {
    ["pressure_loop", "tiny_funcs"].map(|name| (find(name).expect("a family").make)(2 << 20))
}

fn compile_cancellable(
    module: &[u8],
    options: &Options,
    token: &CancelToken,
) -> Result<CompiledModule, Error> {
    compile_watched(module, options, Watch { cancel: Some(token), progress: None })
}

/// Cancels after `delay`; how long that takes to have an effect, unless the compiler was done before.
fn cancelled(module: &[u8], jobs: usize, delay: Duration) -> Option<Duration> {
    let token = CancelToken::new();
    std::thread::scope(|scope| {
        let handle = token.clone();
        let canceller = scope.spawn(move || {
            std::thread::sleep(delay);
            let now = Instant::now();
            handle.cancel();
            now
        });
        let outcome = compile_cancellable(module, &options(jobs), &token);
        let end = Instant::now();
        let start = canceller.join().unwrap();
        match outcome {
            Ok(_) => None,
            Err(error) => {
                assert_eq!(error, Error::Cancelled);
                Some(end.saturating_duration_since(start))
            }
        }
    })
}

/// One test, since memory is counted for the whole process.
#[test]
fn it_ends_soon_and_leaves_nothing() {
    let ordinary = program::module(7, Nans::Seen);
    let expected = compile(&ordinary, &options(1)).unwrap().image;
    for module in large() {
        let start = Instant::now();
        drop(compile(&module, &options(1)).unwrap());
        let whole = start.elapsed();
        for jobs in [1, 2] {
            // Threads and their standard library have memory of their own, once.
            let _ = cancelled(&module, jobs, whole / 10);
            let before = runwell_heap::now();
            let mut soon = 0;
            // Other processes may hold this one up now and then, but not each time.
            for part in [2, 3, 4, 5, 6, 7, 8, 9] {
                let took = cancelled(&module, jobs, whole / part / jobs as u32);
                soon += u32::from(took.is_some_and(|took| took < whole / 4));
            }
            assert!(soon >= 3, "cancelled {soon} times, {jobs} threads, {whole:?}");
            // A thread that has just ended may still hold its own name and handle.
            let left = runwell_heap::now().saturating_sub(before);
            assert!(left < HANDLES, "{left} bytes are left, {jobs} threads");
            assert_eq!(compile(&ordinary, &options(jobs)).unwrap().image, expected);
        }
    }
}

#[test]
fn a_token_that_was_used_stops_everything() {
    let token = CancelToken::new();
    token.cancel();
    for module in [program::module(7, Nans::Seen), b"\0asm\x01\0\0\0".to_vec(), b"garbage".to_vec()]
    {
        for jobs in [1, 3] {
            let error = compile_cancellable(&module, &options(jobs), &token).unwrap_err();
            assert_eq!(error, Error::Cancelled);
            assert_eq!(error.to_string(), "compilation was cancelled");
        }
    }
}
