//! How far compiling has come, on terminals, when it takes long.

use runwell::Engine;
use std::io::{IsTerminal, Write, stderr};
use std::path::Path;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

/// What takes less is not worth a look.
const PATIENCE: Duration = Duration::from_secs(1);
/// Between two pictures.
const PERIOD: Duration = Duration::from_millis(100);
/// Characters of the bar.
const BAR: usize = 16;
/// Characters of the file's name at most, so that the line fits narrow terminals.
const NAME: usize = 20;

/// Runs `compile`, which compiles the module in `file` on `engine`. Shows how far it is from a second
/// on.
pub(crate) fn watch<R>(engine: &Engine, file: &Path, compile: impl FnOnce() -> R) -> R {
    let Some(progress) = engine.config().progress() else { return compile() };
    let steps = || (progress.done(), progress.total());
    watch_steps(file, "bytes", &steps, compile)
}

/// Runs `work` on the module in `file`, of which `steps` tells how many `unit`s are done and how many
/// there are. Shows that from a second on, and leaves nothing behind.
pub(crate) fn watch_steps<R>(
    file: &Path,
    unit: &str,
    steps: &(dyn Fn() -> (u64, u64) + Sync),
    work: impl FnOnce() -> R,
) -> R {
    let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
    if dumb || !stderr().is_terminal() {
        return work();
    }
    let name = short(&file.file_name().unwrap_or_default().to_string_lossy());
    std::thread::scope(|scope| {
        let (done, end) = channel::<()>();
        scope.spawn(move || {
            let mut wait = PATIENCE;
            while let Err(RecvTimeoutError::Timeout) = end.recv_timeout(wait) {
                draw(&line(&name, unit, steps()));
                wait = PERIOD;
            }
            if wait == PERIOD {
                draw("");
            }
        });
        let result = work();
        // The thread ends when nobody can tell it anything any more.
        drop(done);
        result
    })
}

/// Replaces the line of the terminal. That this may fail is nobody's concern.
fn draw(line: &str) {
    let mut terminal = stderr().lock();
    let _ = write!(terminal, "\r\x1b[K{line}");
    let _ = terminal.flush();
}

fn line(name: &str, unit: &str, (done, total): (u64, u64)) -> String {
    // Before the first function is compiled, nothing is known.
    let share = if total == 0 { 0.0 } else { (done as f64 / total as f64).min(1.0) };
    let full = (share * BAR as f64) as usize;
    let bar = format!("{}{}", "=".repeat(full), " ".repeat(BAR - full));
    format!("compiling {name} [{bar}] {:3.0} % of {total} {unit}", share * 100.0)
}

/// A name without what a terminal might obey, cut to length.
fn short(name: &str) -> String {
    let shown: Vec<char> = name.chars().flat_map(char::escape_debug).collect();
    if shown.len() <= NAME {
        return shown.into_iter().collect();
    }
    shown[..NAME - 3].iter().collect::<String>() + "..."
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_short_and_harmless() {
        let empty = line(&short("\x1b]0;evil\x07.wasm"), "bytes", (0, 0));
        assert!(empty.chars().all(|c| !c.is_control()), "{empty:?}");
        assert!(empty.contains("]   0 % of 0 bytes"), "{empty}");
        assert!(line("x", "functions", (7, 7)).contains("] 100 % of 7 functions"));
        assert_eq!(short("module.wasm"), "module.wasm");
        assert_eq!(short(&"x".repeat(1000)), format!("{}...", "x".repeat(17)));
        assert!(line(&short(&"x".repeat(1000)), "functions", (1, 1 << 30)).len() < 80);
    }
}
