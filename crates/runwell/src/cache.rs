//! Compiled modules kept on disk, so that nobody compiles a module twice.
//!
//! An entry is an image ([`crate::Module::serialize`]) in a file of its own. Its name is a hash of all
//! that the image depends on: the module's bytes, the options, the processor, the compiler's version
//! and sources, the key. So nothing is ever out of date: what changes has another name.
//!
//! What is read is checked like any image from anywhere: it carries a hash under the engine's key, and
//! the module in it has to be the one that is asked for, byte for byte. A file that is torn, damaged,
//! exchanged or forged is at worst compiled again. What is written appears complete under its name or
//! not at all (written beside, renamed), so any number of processes may read, write and evict at
//! once without a lock. Nothing is forced to disk: after a loss of power an entry may be torn, which
//! is noticed.
//!
//! Trouble with files never keeps a module from being compiled; [`CacheConfig::with_warnings`] tells.

use crate::engine::{Engine, compile};
use crate::module::Module;
use crate::{Error, ImageError, Result};
use runwell_compiler::{CancelToken, Key, Options, serialize};
use rustix::rand::{GetRandomFlags, getrandom};
use std::ffi::OsStr;
use std::fmt;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

/// What names of entries end in.
const ENTRY: &str = "image";
/// What names of files end in that are still being written.
const UNFINISHED: &str = "tmp";
/// The file whose time says when the directory was cleaned up.
const CLEANED: &str = "cleaned";
/// Unfinished files that are older belong to processes that died.
const ABANDONED: Duration = Duration::from_secs(3600);
/// How exactly the time of an entry's last use is known. Each update costs a write.
const USE_KNOWN_TO: Duration = Duration::from_secs(600);
/// Entries that take more than this part of the room do not wait for the next clean-up.
const LARGE: u64 = 64;
/// Clean-ups go down to this share of the limits, in percent, so that the next one is not at once.
const AFTER_CLEANUP: u64 = 70;

/// Where compiled modules are kept, and how many.
///
/// The limits are soft: they are looked after when an entry is written, once in the interval and for
/// every large entry. Entries that were not used for longest go first.
#[derive(Clone)]
pub struct CacheConfig {
    directory: Option<PathBuf>,
    files: u64,
    bytes: u64,
    interval: Duration,
    warn: Option<Arc<Warn>>,
}

type Warn = dyn Fn(&CacheWarning) + Send + Sync;

impl Default for CacheConfig {
    fn default() -> CacheConfig {
        CacheConfig::new()
    }
}

impl fmt::Debug for CacheConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CacheConfig")
            .field("directory", &self.directory)
            .field("files", &self.files)
            .field("bytes", &self.bytes)
            .field("interval", &self.interval)
            .finish_non_exhaustive()
    }
}

impl CacheConfig {
    /// The defaults: the user's directory for caches, 512 MiB, 65,536 files, a minute between
    /// clean-ups.
    pub fn new() -> CacheConfig {
        CacheConfig {
            directory: None,
            files: 65_536,
            bytes: 512 << 20,
            interval: Duration::from_secs(60),
            warn: None,
        }
    }

    /// Keep entries in this directory, which is made when it is missing. By default it is
    /// `$XDG_CACHE_HOME/runwell/modules`, or `~/.cache/runwell/modules`.
    pub fn with_directory(&mut self, directory: impl Into<PathBuf>) -> &mut CacheConfig {
        self.directory = Some(directory.into());
        self
    }

    /// Keep about this many entries at most.
    pub fn with_file_count_soft_limit(&mut self, files: u64) -> &mut CacheConfig {
        self.files = files;
        self
    }

    /// Keep about this many bytes at most. Images larger than most of it are not kept at all.
    pub fn with_files_total_size_soft_limit(&mut self, bytes: u64) -> &mut CacheConfig {
        self.bytes = bytes;
        self
    }

    /// Look at the limits no more often than once in this time, but for large entries.
    pub fn with_cleanup_interval(&mut self, interval: Duration) -> &mut CacheConfig {
        self.interval = interval;
        self
    }

    /// Call `warn` with whatever keeps the cache from being used. Modules are compiled all the same.
    pub fn with_warnings(
        &mut self,
        warn: impl Fn(&CacheWarning) + Send + Sync + 'static,
    ) -> &mut CacheConfig {
        self.warn = Some(Arc::new(warn));
        self
    }
}

/// What kept a cache from being used.
#[derive(Debug)]
#[non_exhaustive]
pub enum CacheWarning {
    /// An entry is not what was written there. It is replaced.
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        error: ImageError,
    },
    /// A file or directory cannot be read, written or removed.
    Unusable {
        /// The file or directory.
        path: PathBuf,
        /// Why not.
        error: io::Error,
    },
    /// There is no key for compiled modules, see [`crate::Config::image_key`].
    NoKey {
        /// Why not.
        error: Error,
    },
}

impl fmt::Display for CacheWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CacheWarning::Damaged { path, error } => {
                write!(f, "{}: {error}; it is compiled again", path.display())
            }
            CacheWarning::Unusable { path, error } => {
                write!(f, "compiled modules are not kept: {}: {error}", path.display())
            }
            CacheWarning::NoKey { error } => {
                write!(f, "compiled modules are not kept: {error:#}")
            }
        }
    }
}

/// Compiled modules kept on disk: [`crate::Config::cache`] makes an engine use it. Cloning gives
/// another handle on the same cache; any number of processes may share its directory.
///
/// ```
/// use runwell::{Cache, CacheConfig, Config, Engine, Module};
///
/// # fn main() -> runwell::Result<()> {
/// # let dir = std::env::temp_dir().join(format!("runwell-cache-doc-{}", std::process::id()));
/// let cache = Cache::new(CacheConfig::new().with_directory(&dir).clone())?;
/// let engine = Engine::new(Config::new().cache(Some(cache.clone())).image_key([1; 32]))?;
/// Module::new(&engine, "(module (func))")?;
/// Module::new(&engine, "(module (func))")?;
/// assert_eq!((cache.cache_misses(), cache.cache_hits()), (1, 1));
/// # std::fs::remove_dir_all(&dir)?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Cache {
    inner: Arc<CacheInner>,
}

struct CacheInner {
    config: CacheConfig,
    directory: PathBuf,
    hits: AtomicUsize,
    misses: AtomicUsize,
}

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache").field("directory", &self.inner.directory).finish_non_exhaustive()
    }
}

impl Cache {
    /// A cache with these options. Files are touched when a module is compiled, not before.
    ///
    /// # Errors
    /// When no directory is given and the user's cannot be told: neither `XDG_CACHE_HOME` nor `HOME`
    /// is set.
    pub fn new(config: CacheConfig) -> Result<Cache> {
        let directory = match &config.directory {
            Some(directory) => directory.clone(),
            None => users_directory(std::env::var_os("XDG_CACHE_HOME"), std::env::var_os("HOME"))
                .ok_or_else(|| {
                Error::msg(
                    "no place for the cache of compiled modules: neither HOME nor \
                         XDG_CACHE_HOME is set; CacheConfig::with_directory names one",
                )
            })?,
        };
        let (hits, misses) = (AtomicUsize::new(0), AtomicUsize::new(0));
        Ok(Cache { inner: Arc::new(CacheInner { config, directory, hits, misses }) })
    }

    /// Where entries are kept.
    pub fn directory(&self) -> &Path {
        &self.inner.directory
    }

    /// How many modules this handle and its clones have found.
    pub fn cache_hits(&self) -> usize {
        self.inner.hits.load(Ordering::Relaxed)
    }

    /// How many modules this handle and its clones have not found, and so compiled.
    pub fn cache_misses(&self) -> usize {
        self.inner.misses.load(Ordering::Relaxed)
    }

    fn warn(&self, warning: CacheWarning) {
        if let Some(warn) = &self.inner.config.warn {
            warn(&warning);
        }
    }

    fn unusable(&self, path: &Path, error: io::Error) {
        self.warn(CacheWarning::Unusable { path: path.to_path_buf(), error });
    }

    /// The module `wasm`, in the binary form, as kept or compiled, unless that is cancelled.
    pub(crate) fn module(
        &self,
        engine: &Engine,
        wasm: &[u8],
        cancel: Option<&CancelToken>,
    ) -> Result<Module> {
        let options = engine.compile_options();
        let key = match engine.image_key() {
            Ok(key) => Some(key),
            Err(error) => {
                self.warn(CacheWarning::NoKey { error });
                None
            }
        };
        let place = key.map(|key| {
            let name = serialize::image_name(wasm, &options, &key);
            let name: String = name.iter().map(|byte| format!("{byte:02x}")).collect();
            (self.directory().join(name).with_extension(ENTRY), key)
        });
        // Who asks for all checkers wants to see the compiler work.
        if let (Some((path, key)), false) = (&place, options.verify) {
            match self.read(path, wasm, &options, key) {
                Ok(Some(compiled)) => {
                    self.inner.hits.fetch_add(1, Ordering::Relaxed);
                    return Module::load(engine, compiled, wasm.into());
                }
                Ok(None) => {}
                Err(error) => self.warn(CacheWarning::Damaged { path: path.clone(), error }),
            }
        }
        self.inner.misses.fetch_add(1, Ordering::Relaxed);
        let compiled = compile(engine, wasm, cancel)?;
        if let Some((path, key)) = &place {
            self.write(path, &serialize::serialize(wasm, &compiled.image, &options, key));
        }
        Module::load(engine, compiled, wasm.into())
    }

    /// The entry at `path`, if there is one.
    fn read(
        &self,
        path: &Path,
        wasm: &[u8],
        options: &Options,
        key: &Key,
    ) -> Result<Option<runwell_compiler::CompiledModule>, ImageError> {
        let bytes = match read(path) {
            Ok(bytes) => bytes,
            Err(error) => {
                if error.kind() != ErrorKind::NotFound {
                    self.unusable(path, error);
                }
                return Ok(None);
            }
        };
        let (compiled, contained) = serialize::deserialize(&bytes, options, key)?;
        // Somebody may have exchanged two sound entries.
        if contained != wasm {
            return Err(ImageError::Damaged);
        }
        Ok(Some(compiled))
    }

    /// Keeps an image, unless it cannot be.
    fn write(&self, path: &Path, image: &[u8]) {
        if image.len() as u64 > share(self.inner.config.bytes) || self.inner.config.files == 0 {
            return;
        }
        let directory = self.directory();
        if let Err(error) = DirBuilder::new().recursive(true).mode(0o700).create(directory) {
            return self.unusable(directory, error);
        }
        let written = replace(path, image, 0o600);
        match written {
            Ok(()) => self.clean_up(image.len() as u64),
            Err(error) => self.unusable(path, error),
        }
    }

    /// Looks after the limits when the time has come, or when the entry that was written is a large one.
    fn clean_up(&self, written: u64) {
        let CacheConfig { files, bytes, interval, .. } = self.inner.config;
        let stamp = self.directory().join(CLEANED);
        let age = |time: io::Result<SystemTime>| time.ok().and_then(|time| time.elapsed().ok());
        let cleaned = fs::metadata(&stamp).and_then(|metadata| metadata.modified());
        let large = written > bytes / LARGE;
        if !large && age(cleaned).is_some_and(|age| age < interval) {
            return;
        }
        // First of all, so that others do not begin as well.
        if let Err(error) = fs::write(&stamp, "") {
            return self.unusable(&stamp, error);
        }
        let listed = match fs::read_dir(self.directory()) {
            Ok(listed) => listed,
            Err(error) => return self.unusable(self.directory(), error),
        };
        let mut entries = Vec::new();
        // What vanishes under way was removed by another process.
        for (path, metadata) in listed.flatten().flat_map(|e| Some((e.path(), e.metadata().ok()?)))
        {
            let extension = path.extension().and_then(OsStr::to_str);
            if extension == Some(ENTRY) && metadata.is_file() {
                let used = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
                entries.push((used, metadata.len(), path));
            } else if extension == Some(UNFINISHED)
                && age(metadata.modified()).is_some_and(|age| age > ABANDONED)
            {
                let _ = fs::remove_file(path);
            }
        }
        let mut count = entries.len() as u64;
        let mut sum: u64 = entries.iter().map(|&(_, len, _)| len).sum();
        if count <= files && sum <= bytes {
            return;
        }
        entries.sort_unstable();
        for (_, len, path) in entries {
            if count <= share(files) && sum <= share(bytes) {
                break;
            }
            // Whoever is reading it goes on reading: the file is gone when the last one has closed it.
            match fs::remove_file(&path) {
                Err(error) if error.kind() != ErrorKind::NotFound => self.unusable(&path, error),
                _ => (count, sum) = (count - 1, sum - len),
            }
        }
    }
}

/// What is left of a limit after a clean-up.
fn share(limit: u64) -> u64 {
    (u128::from(limit) * u128::from(AFTER_CLEANUP) / 100) as u64
}

fn users_directory(
    cache: Option<std::ffi::OsString>,
    home: Option<std::ffi::OsString>,
) -> Option<PathBuf> {
    let absolute = |dir: std::ffi::OsString| Some(PathBuf::from(dir)).filter(|p| p.is_absolute());
    let base =
        cache.and_then(absolute).or_else(|| Some(home.and_then(absolute)?.join(".cache")))?;
    Some(base.join("runwell/modules"))
}

/// The content of an entry; notes that it was used.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    // Without waiting for somebody to write into it, should it be a pipe.
    let flags = rustix::fs::OFlags::NONBLOCK.bits() as i32;
    let mut file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::other("not a file"));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or(0));
    file.read_to_end(&mut bytes)?;
    let used = metadata.modified().ok().and_then(|time| time.elapsed().ok());
    if used.is_none_or(|ago| ago > USE_KNOWN_TO) {
        // If it cannot be noted, the entry goes earlier than it might.
        let _ = file.set_modified(SystemTime::now());
    }
    Ok(bytes)
}

/// Puts a file with this content and mode at `path`, at once: whoever opens it sees what was there
/// before or all of the new content.
fn replace(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let mut random = [0; 8];
    getrandom(&mut random, GetRandomFlags::empty())?;
    let random = u64::from_ne_bytes(random);
    let beside = path.with_extension(format!("{random:016x}.{UNFINISHED}"));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&beside)?;
    let done = file.write_all(content).and_then(|()| fs::rename(&beside, path));
    if done.is_err() {
        let _ = fs::remove_file(&beside);
    }
    done
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_follows_the_environment() {
        let some = |text: &str| Some(text.into());
        let found = |cache, home| Some(users_directory(cache, home)?.into_os_string());
        assert_eq!(found(some("/cache"), some("/home")), some("/cache/runwell/modules"));
        assert_eq!(found(None, some("/home")), some("/home/.cache/runwell/modules"));
        assert_eq!(found(some("relative"), some("/home")), some("/home/.cache/runwell/modules"));
        assert_eq!(found(None, some("")), None);
        assert_eq!(found(None, None), None);
    }
}
