//! The command in the hands of a test: a home of its own, files, and what came of it.

#![allow(dead_code, reason = "not every test needs everything")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};

/// A person with a home directory, which goes away with the test.
pub(crate) struct Person {
    home: PathBuf,
}

impl Person {
    pub(crate) fn new() -> Person {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let home = std::env::temp_dir();
        let home = home.join(format!("runwell-cli-{}-{number}", std::process::id()));
        fs::create_dir_all(&home).expect("a directory");
        Person { home: fs::canonicalize(home).expect("its name") }
    }

    /// A path in the home directory, where commands are started.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.home.join(name)
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, content).expect("a file");
        path
    }

    /// The command `runwell`, about to be started.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_runwell"));
        command.args(args).current_dir(&self.home).env_clear().env("HOME", &self.home);
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Done {
        Done::of(self.command(args))
    }

    /// Compiled modules in the cache.
    pub(crate) fn cached(&self) -> Vec<PathBuf> {
        entries(&self.path(".cache/runwell/modules"))
    }
}

impl Drop for Person {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.home);
    }
}

/// Compiled modules in a directory.
pub(crate) fn entries(dir: &Path) -> Vec<PathBuf> {
    let Ok(dir) = fs::read_dir(dir) else { return Vec::new() };
    let paths = dir.map(|entry| entry.expect("an entry").path());
    paths.filter(|path| path.extension().is_some_and(|extension| extension == "image")).collect()
}

/// What came of a command.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: Vec<u8>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Done {
    pub(crate) fn of(mut command: Command) -> Done {
        command.output().expect("the command starts").into()
    }

    /// All went well, this was printed, and nothing was complained about.
    #[track_caller]
    pub(crate) fn prints(&self, out: &str) {
        assert_eq!((self.code, &*self.out, &*self.err), (Some(0), out, ""));
    }

    /// It failed with this code and a message that contains all of `parts`.
    #[track_caller]
    pub(crate) fn fails(&self, code: i32, parts: &[&str]) {
        assert_eq!(self.code, Some(code), "{self:?}");
        for part in parts {
            assert!(self.err.contains(part), "no `{part}` in {self:?}");
        }
    }
}

impl Done {
    /// Without the line on the fuel that was used.
    pub(crate) fn without_fuel(mut self) -> Done {
        let lines = self.err.split_inclusive('\n');
        self.err = lines.filter(|line| !line.starts_with("fuel: ")).collect();
        self
    }
}

impl From<Output> for Done {
    fn from(output: Output) -> Done {
        Done {
            code: output.status.code(),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
            stdout: output.stdout,
        }
    }
}

/// A module whose export `get` gives `number`.
pub(crate) fn gives(number: i32) -> String {
    format!(r#"(module (func (export "get") (result i32) i32.const {number}))"#)
}
