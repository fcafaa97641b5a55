//! Puts a number for the sources of the compiler into it, so that an image can say which compiler
//! made it. The version alone does not: between releases every build has the same one.

use std::path::{Path, PathBuf};
use std::{env, fs, io};

/// The crates that decide what machine code looks like and what it expects of its surroundings.
const CRATES: [&str; 6] = ["abi", "ir", "opt", "wasm", "codegen", "compiler"];

fn main() -> io::Result<()> {
    let here = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    let mut hash = Fnv(0xcbf2_9ce4_8422_2325);
    for name in CRATES {
        // A published crate stands alone; there the versions of its dependencies are exact.
        let sources = here.with_file_name(name).join("src");
        if sources.is_dir() {
            println!("cargo::rerun-if-changed={}", sources.display());
            add(&sources, &mut hash)?;
        }
    }
    println!("cargo::rustc-env=RUNWELL_SOURCES={:016x}", hash.0);
    Ok(())
}

fn add(dir: &Path, hash: &mut Fnv) -> io::Result<()> {
    let entries = fs::read_dir(dir)?.collect::<io::Result<Vec<fs::DirEntry>>>()?;
    let mut paths: Vec<PathBuf> = entries.iter().map(fs::DirEntry::path).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            add(&path, hash)?;
        } else {
            hash.add(path.file_name().unwrap_or_default().as_encoded_bytes());
            hash.add(&fs::read(&path)?);
        }
    }
    Ok(())
}

/// FNV-1a, since nobody is meant to be kept out by this number.
struct Fnv(u64);

impl Fnv {
    fn add(&mut self, bytes: &[u8]) {
        for &byte in bytes.iter().chain(&(bytes.len() as u64).to_le_bytes()) {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
        }
    }
}
