//! The C compiler and the C sources.
//!
//! The compiler is the `ziglang` wheel: clang, a linker, and C libraries for WASI and this machine in
//! one package. It goes into a Python environment under `target/`. The sources come with crates that
//! cargo fetches and checks against a lock file; they are compiled where cargo unpacked them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::dir;
use super::stamp::{self, Stamp};
use crate::process::{cargo, output, read};
use crate::{Result, root};

/// The installed compiler.
pub(crate) struct Zig {
    python: PathBuf,
    cache: PathBuf,
    /// Names the compiler in the stamps of what it builds.
    pub(crate) identity: String,
}

impl Zig {
    /// A `zig cc` command.
    pub(crate) fn cc(&self) -> Command {
        let mut command = Command::new(&self.python);
        command.args(["-m", "ziglang", "cc"]);
        command.env("ZIG_GLOBAL_CACHE_DIR", &self.cache);
        command.env("ZIG_LOCAL_CACHE_DIR", &self.cache);
        command
    }
}

/// Installs the compiler, or finds it installed.
///
/// # Errors
/// When there is no Python, or the wheel cannot be had or has another hash.
pub(crate) fn install() -> Result<Zig> {
    let requirements = root().join("corpus/requirements.txt");
    let pinned = read(&requirements)?;
    let mut stamp = Stamp::new();
    stamp.add(&pinned);
    let identity = stamp.hex();
    let home = dir().join("tool");
    let venv = home.join("venv");
    let zig = Zig {
        python: venv.join("bin/python"),
        cache: home.join("cache"),
        identity: identity.clone(),
    };
    if stamp::fresh(&venv, &identity) && zig.python.exists() {
        return Ok(zig);
    }
    println!("corpus: installing the C compiler (about 90 MB to download)");
    let retry = "Python 3 with its venv module is needed; then run `cargo xtask corpus` again";
    output(
        "making a Python environment",
        Command::new("python3").args(["-m", "venv", "--clear"]).arg(&venv),
    )
    .and_then(|_| {
        output(
            "installing the C compiler with pip",
            Command::new(&zig.python)
                .args([
                    "-m",
                    "pip",
                    "install",
                    "--quiet",
                    "--require-hashes",
                    "--only-binary=:all:",
                ])
                .arg("-r")
                .arg(&requirements),
        )
    })
    .map_err(|e| format!("{e}\n{retry}"))?;
    stamp::set(&venv, &identity)?;
    Ok(zig)
}

/// Where the crates with C sources are, by name.
pub(crate) struct Sources {
    crates: BTreeMap<String, PathBuf>,
    /// Names all versions and checksums in the stamps of what is built from them.
    pub(crate) identity: String,
}

impl Sources {
    /// The directory of a crate.
    ///
    /// # Errors
    /// When `corpus/sources/Cargo.toml` does not name it.
    pub(crate) fn of(&self, package: &str) -> Result<&Path> {
        self.crates
            .get(package)
            .map(PathBuf::as_path)
            .ok_or_else(|| format!("corpus/sources/Cargo.toml does not name the crate {package}"))
    }
}

/// Has cargo fetch the crates, and asks it where they are.
///
/// # Errors
/// When cargo cannot fetch them, or their checksums are not the lock file's.
pub(crate) fn sources() -> Result<Sources> {
    let manifest = root().join("corpus/sources/Cargo.toml");
    let lock = read(&root().join("corpus/sources/Cargo.lock"))?;
    let metadata = |offline: &[&str]| {
        let mut command = cargo(&["metadata", "--locked", "--format-version=1", "--quiet"]);
        command.args(["--filter-platform", "x86_64-unknown-linux-gnu"]);
        command.args(offline).arg("--manifest-path").arg(&manifest);
        output("fetching the C sources with cargo", &mut command)
    };
    // Off line first: a corpus that is there must not need a registry.
    let json = metadata(&["--offline"]).or_else(|_| metadata(&[]))?;
    let json = String::from_utf8_lossy(&json);
    let mut crates = BTreeMap::new();
    for path in strings_after(&json, "\"manifest_path\":\"") {
        let Some(package) = Path::new(path).parent() else { continue };
        let folder = package.file_name().map(|n| n.to_string_lossy()).unwrap_or_default();
        // A folder is called NAME-VERSION, and a version starts with a digit.
        let name = folder.rsplit_once('-').map_or(folder.as_ref(), |_| {
            let cut = folder
                .match_indices('-')
                .find(|(i, _)| folder[i + 1..].starts_with(|c: char| c.is_ascii_digit()));
            cut.map_or(folder.as_ref(), |(i, _)| &folder[..i])
        });
        crates.insert(name.to_owned(), package.to_path_buf());
    }
    let mut stamp = Stamp::new();
    stamp.add(&lock);
    Ok(Sources { crates, identity: stamp.hex() })
}

/// The string values that follow a key in JSON whose strings have no escapes.
fn strings_after<'a>(json: &'a str, key: &'a str) -> impl Iterator<Item = &'a str> {
    json.split(key).skip(1).filter_map(|rest| rest.split('"').next())
}
