//! The key that makes images of compiled modules ours.
//!
//! Unless [`crate::Config::image_key`] gives one, each user has one in a file that only they can
//! read, made at random when it is first needed. Whoever can read it can already do what the user
//! can; for everybody else it is as unknown as any 256 random bits.

use crate::{Error, Result};
use anyhow::Context as _;
use rustix::process::geteuid;
use rustix::rand::{GetRandomFlags, getrandom};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

pub(crate) type Key = runwell_compiler::Key;

/// Bits of the mode that let others read or change a file.
const OTHERS: u32 = 0o077;

/// The user's key.
pub(crate) fn of_user() -> Result<Key> {
    let path = users_path()?;
    in_file(&path).with_context(|| {
        format!(
            "no key for compiled modules in {} (Config::image_key takes one from elsewhere)",
            path.display()
        )
    })
}

/// Where the user's key is.
pub(crate) fn users_path() -> Result<PathBuf> {
    path(std::env::var_os("XDG_DATA_HOME"), std::env::var_os("HOME"))
}

fn path(data: Option<std::ffi::OsString>, home: Option<std::ffi::OsString>) -> Result<PathBuf> {
    let absolute = |dir: std::ffi::OsString| Some(PathBuf::from(dir)).filter(|p| p.is_absolute());
    let data = data
        .and_then(absolute)
        .or_else(|| Some(home.and_then(absolute)?.join(".local/share")))
        .ok_or_else(|| {
            Error::msg(
                "no place for the key of compiled modules: neither HOME nor XDG_DATA_HOME is set; \
                 Config::image_key takes one from elsewhere",
            )
        })?;
    Ok(data.join("runwell/image.key"))
}

/// The key in a file, which is made when it is missing.
pub(crate) fn in_file(path: &Path) -> Result<Key> {
    match read(path)? {
        Some(key) => Ok(key),
        None => {
            make(path)?;
            read(path)?.ok_or_else(|| Error::msg("the file vanished"))
        }
    }
}

fn read(path: &Path) -> Result<Option<Key>> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    // Of the open file, so that nobody can put another one in its place in between.
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(Error::msg("it is not a file"));
    }
    if metadata.uid() != geteuid().as_raw() {
        return Err(Error::msg("the file belongs to another user"));
    }
    if metadata.mode() & OTHERS != 0 {
        return Err(Error::msg(
            "others may read or change the file, so the key may be known; delete it",
        ));
    }
    let mut key = [0; size_of::<Key>()];
    if metadata.len() != key.len() as u64 {
        return Err(Error::msg("the file is damaged; delete it"));
    }
    file.read_exact(&mut key)?;
    Ok(Some(key))
}

/// Puts a new key at `path`, unless somebody else is quicker.
fn make(path: &Path) -> Result<()> {
    if let Some(dir) = path.parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    }
    let mut random = [0; size_of::<Key>() + 8];
    fill(&mut random)?;
    let (key, name) = random.split_at(size_of::<Key>());
    let name: String = name.iter().map(|byte| format!("{byte:02x}")).collect();
    let beside = path.with_extension(name);
    // A link appears at once and complete, and never replaces what is there.
    let made = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&beside)
        .and_then(|mut file| file.write_all(key).and_then(|()| file.sync_all()))
        .and_then(|()| fs::hard_link(&beside, path));
    let removed = fs::remove_file(&beside);
    match made {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error.into()),
        _ => Ok(removed?),
    }
}

fn fill(mut to: &mut [u8]) -> Result<()> {
    while !to.is_empty() {
        match getrandom(&mut *to, GetRandomFlags::empty()) {
            Ok(count) => to = &mut to[count..],
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    /// A directory that goes away with the test.
    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str) -> Scratch {
            let dir = std::env::temp_dir().join(format!("runwell-{name}-{}", std::process::id()));
            fs::create_dir_all(&dir).unwrap();
            Scratch(dir)
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn all_who_ask_get_one_key() {
        let scratch = Scratch::new("key-race");
        let path = scratch.0.join("a/b/image.key");
        let keys: Vec<Key> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| in_file(&path).unwrap())).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(keys.iter().all(|key| *key == keys[0]));
        assert_ne!(keys[0], [0; 32]);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "nothing left over");
        let other = in_file(&scratch.0.join("other/image.key")).unwrap();
        assert_ne!(other, keys[0]);
    }

    #[test]
    fn a_key_that_others_may_know_is_none() {
        let scratch = Scratch::new("key-mode");
        let path = scratch.0.join("image.key");
        in_file(&path).unwrap();
        for mode in [0o640, 0o604, 0o622] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            assert!(in_file(&path).unwrap_err().to_string().contains("delete it"), "{mode:o}");
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        in_file(&path).unwrap();
        fs::write(&path, b"short").unwrap();
        assert!(in_file(&path).unwrap_err().to_string().contains("damaged"));
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert!(in_file(&path).unwrap_err().to_string().contains("not a file"));
    }

    #[test]
    fn the_place_follows_the_environment() {
        let some = |text: &str| Some(text.into());
        let found = |data, home| Some(path(data, home).ok()?.into_os_string());
        assert_eq!(found(some("/data"), some("/home")), some("/data/runwell/image.key"));
        let at_home = some("/home/.local/share/runwell/image.key");
        assert_eq!(found(None, some("/home")), at_home);
        assert_eq!(found(some("relative"), some("/home")), at_home);
        assert_eq!(found(None, some("")), None);
        assert!(path(None, None).unwrap_err().to_string().contains("Config::image_key"));
    }
}
