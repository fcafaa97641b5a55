//! Running other programs: a command that must succeed, and a command whose output and exit code
//! are compared.

use std::io::Read;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::{Result, root};

/// Starts a `cargo` command in the root of the checkout, with the cargo that runs this program.
pub(crate) fn cargo(args: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root()).args(args);
    command
}

/// Runs a command whose output goes to the terminal.
///
/// # Errors
/// When it cannot be started or fails: `what` names it in the message.
pub(crate) fn must(what: &str, command: &mut Command) -> Result {
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{what} failed ({status})")),
        Err(e) => Err(format!("{what}: cannot start {:?}: {e}", command.get_program())),
    }
}

/// Runs a command quietly and returns what it wrote to standard output.
///
/// # Errors
/// When it cannot be started or fails; the message ends with what it said.
pub(crate) fn output(what: &str, command: &mut Command) -> Result<Vec<u8>> {
    let out = command
        .stdin(Stdio::null())
        .output()
        .map_err(|e| format!("{what}: cannot start {:?}: {e}", command.get_program()))?;
    if out.status.success() {
        return Ok(out.stdout);
    }
    let said = String::from_utf8_lossy(&out.stderr);
    let lines: Vec<&str> = said.lines().collect();
    let last = lines[lines.len().saturating_sub(30)..].join("\n");
    Err(format!("{what} failed ({}):\n{last}", out.status))
}

/// What a finished program left behind.
pub(crate) struct Finished {
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
    /// The exit code; 128 and the signal's number after a signal, as shells have it.
    pub(crate) code: i32,
    pub(crate) seconds: f64,
}

/// Runs a program to its end, or kills it after `limit`.
///
/// # Errors
/// When it cannot be started or has to be killed.
pub(crate) fn finish(command: &mut Command, limit: Duration) -> Result<Finished> {
    let start = Instant::now();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|e| format!("cannot start {:?}: {e}", command.get_program()))?;
    let out = child.stdout.take().map(|pipe| thread::spawn(move || drain(pipe)));
    let err = child.stderr.take().map(|pipe| thread::spawn(move || drain(pipe)));
    let mut pause = Duration::from_micros(200);
    let status = loop {
        match child.try_wait().map_err(|e| format!("cannot wait: {e}"))? {
            Some(status) => break status,
            None if start.elapsed() > limit => {
                // It may have ended by itself in this moment, which is as good.
                let _ = child.kill();
                let _ = child.wait();
                return Err(format!("killed after {} s", limit.as_secs()));
            }
            None => thread::sleep(pause),
        }
        pause = (pause * 2).min(Duration::from_millis(5));
    };
    let seconds = start.elapsed().as_secs_f64();
    let join = |reader: Option<thread::JoinHandle<Vec<u8>>>| {
        reader.and_then(|reader| reader.join().ok()).unwrap_or_default()
    };
    Ok(Finished { stdout: join(out), stderr: join(err), code: code(status), seconds })
}

fn drain(mut pipe: impl Read) -> Vec<u8> {
    let mut bytes = Vec::new();
    // What arrived before an error is what the program said.
    let _ = pipe.read_to_end(&mut bytes);
    bytes
}

fn code(status: ExitStatus) -> i32 {
    use std::os::unix::process::ExitStatusExt;
    status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0))
}

/// Reads a file.
///
/// # Errors
/// With the file's name.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|e| format!("cannot read {}: {e}", path.display()))
}

/// Writes a file, and the directories above it.
///
/// # Errors
/// With the file's name.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result {
    let made = path.parent().map_or(Ok(()), std::fs::create_dir_all);
    made.and_then(|()| std::fs::write(path, bytes))
        .map_err(|e| format!("cannot write {}: {e}", path.display()))
}

/// How many jobs to run at once.
pub(crate) fn jobs() -> usize {
    thread::available_parallelism().map_or(2, usize::from)
}

/// Does `work` for every item on `jobs` threads; results come back in the items' order.
pub(crate) fn parallel<T: Sync, R: Send>(
    items: &[T],
    jobs: usize,
    work: impl Fn(&T) -> R + Sync,
) -> Vec<R> {
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicUsize, Ordering};
    let next = AtomicUsize::new(0);
    let results: Vec<Mutex<Option<R>>> = items.iter().map(|_| Mutex::new(None)).collect();
    thread::scope(|scope| {
        for _ in 0..jobs.clamp(1, items.len().max(1)) {
            scope.spawn(|| {
                while let Some(i) = Some(next.fetch_add(1, Ordering::Relaxed)) {
                    let (Some(item), Some(slot)) = (items.get(i), results.get(i)) else { break };
                    let result = work(item);
                    *slot.lock().expect("no thread panics while it holds this") = Some(result);
                }
            });
        }
    });
    results
        .into_iter()
        .filter_map(|slot| slot.into_inner().expect("no thread panics while it holds this"))
        .collect()
}
