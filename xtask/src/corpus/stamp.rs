//! Stamps: an artefact is up to date when the hash of all it was made from is the one beside it.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::process::{read, write};
use crate::{Result, root};

/// A hash under way over everything that an artefact is made from.
#[derive(Clone)]
pub(crate) struct Stamp(Sha256);

impl Stamp {
    /// An empty one.
    pub(crate) fn new() -> Stamp {
        Stamp(Sha256::new())
    }

    /// Adds bytes; their length is hashed too, so that neighbours cannot be mistaken.
    pub(crate) fn add(&mut self, bytes: &[u8]) -> &mut Stamp {
        self.0.update((bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
        self
    }

    /// Adds a file, or all files under a directory in order of their names. Where the checkout is does not
    /// count: several can share what was made.
    ///
    /// # Errors
    /// When one cannot be read.
    pub(crate) fn add_path(&mut self, path: &Path) -> Result<&mut Stamp> {
        let mut pending = vec![path.to_path_buf()];
        while let Some(path) = pending.pop() {
            if path.is_dir() {
                pending.extend(sorted(&path)?.into_iter().rev());
            } else {
                let name = path.strip_prefix(root()).unwrap_or(&path);
                self.add(name.as_os_str().as_encoded_bytes());
                self.add(&read(&path)?);
            }
        }
        Ok(self)
    }

    /// The hash in hexadecimal.
    pub(crate) fn hex(self) -> String {
        hex(&self.0.finalize())
    }
}

/// Whether `artefact` is there and was made from what `stamp` hashed.
pub(crate) fn fresh(artefact: &Path, stamp: &str) -> bool {
    artefact.exists() && std::fs::read_to_string(beside(artefact)).is_ok_and(|there| there == stamp)
}

/// Says that `artefact` was made from what `stamp` hashed.
///
/// # Errors
/// When the stamp cannot be written.
pub(crate) fn set(artefact: &Path, stamp: &str) -> Result {
    write(&beside(artefact), stamp.as_bytes())
}

fn beside(artefact: &Path) -> PathBuf {
    let mut name = artefact.as_os_str().to_owned();
    name.push(".stamp");
    PathBuf::from(name)
}

/// The entries of a directory, sorted by name.
///
/// # Errors
/// When it cannot be read.
pub(crate) fn sorted(dir: &Path) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(dir).and_then(|entries| {
        entries.map(|entry| entry.map(|e| e.path())).collect::<std::io::Result<Vec<_>>>()
    });
    let mut paths = entries.map_err(|e| format!("cannot list {}: {e}", dir.display()))?;
    paths.sort();
    Ok(paths)
}

/// The SHA-256 of bytes, in hexadecimal.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_answer() {
        assert_eq!(
            sha256(b"abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }

    #[test]
    fn neighbours_differ() {
        let (mut a, mut b) = (Stamp::new(), Stamp::new());
        a.add(b"ab").add(b"c");
        b.add(b"a").add(b"bc");
        assert_ne!(a.hex(), b.hex());
    }
}
