//! The cache of compiled modules: what is found there runs as compiled, and nothing that can be wrong
//! with its files keeps a module from running.

use runwell::*;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};
use std::{fs, io};

/// A directory that goes away with the test.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Scratch {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let dir = std::env::temp_dir();
        let dir = dir.join(format!("runwell-cache-{}-{number}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        Scratch(dir)
    }

    fn entries(&self) -> Vec<PathBuf> {
        let mut entries: Vec<PathBuf> = fs::read_dir(&self.0)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "image"))
            .collect();
        entries.sort();
        entries
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// An engine with a cache, and what the cache has warned of.
struct Cached {
    engine: Engine,
    cache: Cache,
    warnings: Arc<Mutex<Vec<String>>>,
}

impl Cached {
    fn new(dir: &Path) -> Cached {
        Cached::with(dir, |_| {}, |_| {})
    }

    fn with(
        dir: &Path,
        files: impl FnOnce(&mut CacheConfig),
        options: impl FnOnce(&mut Config),
    ) -> Cached {
        let warnings = Arc::new(Mutex::new(Vec::new()));
        let heard = warnings.clone();
        let mut config = CacheConfig::new();
        config
            .with_directory(dir)
            .with_cleanup_interval(Duration::ZERO)
            .with_warnings(move |warning| heard.lock().unwrap().push(warning.to_string()));
        files(&mut config);
        let cache = Cache::new(config).unwrap();
        let mut config = Config::new();
        config.image_key([5; 32]).cache(Some(cache.clone()));
        options(&mut config);
        let engine = Engine::new(&config).unwrap();
        Cached { engine, cache, warnings }
    }

    /// Runs the module that gives `number`.
    fn run(&self, number: i32) {
        let module = Module::new(&self.engine, text(number)).unwrap();
        let mut store = Store::new(&self.engine, ());
        let instance = Instance::new(&mut store, &module, &[]).unwrap();
        let get = instance.get_typed_func::<(), i32>(&mut store, "get").unwrap();
        assert_eq!(get.call(&mut store, ()).unwrap(), number);
    }

    fn counts(&self) -> (usize, usize) {
        (self.cache.cache_hits(), self.cache.cache_misses())
    }

    fn warned(&self) -> Vec<String> {
        std::mem::take(&mut self.warnings.lock().unwrap())
    }
}

fn text(number: i32) -> String {
    format!(r#"(module (func (export "get") (result i32) i32.const {number}))"#)
}

#[test]
fn a_module_is_compiled_once() {
    let scratch = Scratch::new();
    let first = Cached::new(&scratch.0);
    first.run(1);
    first.run(1);
    first.run(2);
    assert_eq!(first.counts(), (1, 2));
    assert_eq!(scratch.entries().len(), 2);
    let second = Cached::new(&scratch.0);
    second.run(1);
    second.run(2);
    assert_eq!(second.counts(), (2, 0));
    let loaded = |cached: &Cached| Module::new(&cached.engine, text(1)).unwrap().report().loaded;
    assert!(loaded(&second));
    assert!(first.warned().is_empty() && second.warned().is_empty());

    // What changes the machine code, or who may have made it, is another entry.
    let changes: [fn(&mut Config); 4] = [
        |config| _ = config.consume_fuel(true),
        |config| _ = config.guarded_memories(false),
        |config| _ = config.optimize(false),
        |config| _ = config.image_key([6; 32]),
    ];
    for change in changes {
        let other = Cached::with(&scratch.0, |_| {}, change);
        assert!(!loaded(&other) && loaded(&other));
        assert!(other.warned().is_empty());
    }
    assert_eq!(scratch.entries().len(), 6);

    // Who asks for the checkers gets them.
    let verified = Cached::with(&scratch.0, |_| {}, |config| _ = config.verify(true));
    assert_eq!(Module::new(&verified.engine, text(1)).unwrap().report().checked, 1);
}

#[test]
fn files_are_for_their_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let scratch = Scratch::new();
    let dir = scratch.0.join("made/when/needed");
    Cached::new(&dir).run(1);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&dir), 0o700);
    let mut all = fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().path());
    let entry = all.find(|path| path.extension().is_some()).unwrap();
    assert_eq!(mode(&entry), 0o600);
}

#[test]
fn damaged_entries_are_compiled_again() {
    let scratch = Scratch::new();
    Cached::new(&scratch.0).run(1);
    let path = scratch.entries().remove(0);
    let good = fs::read(&path).unwrap();
    let check = |bytes: &[u8], what: &str| {
        fs::write(&path, bytes).unwrap();
        let cached = Cached::new(&scratch.0);
        cached.run(1);
        assert_eq!(cached.counts(), (0, 1), "{what}");
        let warned = cached.warned();
        assert!(warned.len() == 1 && warned[0].contains("compiled again"), "{what}: {warned:?}");
        assert!(warned[0].contains(path.to_str().unwrap()), "{what}: {warned:?}");
        cached.run(1);
        assert_eq!(cached.counts(), (1, 1), "{what}");
        assert_eq!(fs::read(&path).unwrap(), good, "{what}");
    };
    for len in [0, 1, 7, 8, 127, 128, 129, good.len() / 2, good.len() - 1] {
        check(&good[..len], &format!("torn at {len}"));
    }
    for at in (0..good.len()).step_by(7) {
        let mut bytes = good.clone();
        bytes[at] ^= 1 << (at % 8);
        check(&bytes, &format!("byte {at}"));
    }
    check(&[&*good, &[0]].concat(), "longer");
    check(b"something else", "something else");

    // A sound entry under the name of another.
    Cached::new(&scratch.0).run(2);
    let other = scratch.entries().into_iter().find(|entry| *entry != path).unwrap();
    check(&fs::read(other).unwrap(), "another module's");
}

#[test]
fn what_cannot_be_written_or_read_is_only_a_warning() {
    let scratch = Scratch::new();
    let file = scratch.0.join("file");
    fs::write(&file, "").unwrap();
    let mut places = vec![file.join("below"), "/proc/self/cache".into(), "/dev/null".into()];
    let read_only = scratch.0.join("read-only");
    fs::create_dir(&read_only).unwrap();
    let mut permissions = fs::metadata(&read_only).unwrap().permissions();
    permissions.set_readonly(true);
    fs::set_permissions(&read_only, permissions).unwrap();
    // Whoever may do everything may write there, too.
    if fs::write(read_only.join("trial"), "").is_err() {
        places.push(read_only);
    }
    for place in places {
        let cached = Cached::new(&place);
        cached.run(1);
        assert_eq!(cached.counts(), (0, 1));
        let warned = cached.warned();
        assert!(!warned.is_empty(), "{}", place.display());
        assert!(warned.iter().all(|text| text.starts_with("compiled modules are not kept: ")));
    }
    // Something else in an entry's place.
    let dir = scratch.0.join("cache");
    Cached::new(&dir).run(1);
    let mut all = fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().path());
    let entry = all.find(|path| path.extension().is_some()).unwrap();
    fs::remove_file(&entry).unwrap();
    fs::create_dir(&entry).unwrap();
    let cached = Cached::new(&dir);
    cached.run(1);
    assert!(cached.warned()[0].contains("not a file"));
}

#[test]
fn a_key_file_is_made_and_has_to_be_private() {
    use std::os::unix::fs::PermissionsExt;
    let scratch = Scratch::new();
    let key = scratch.0.join("key");
    let mut config = Config::new();
    config.image_key_file(&key).unwrap();
    assert_eq!(fs::read(&key).unwrap().len(), 32);
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    let error = Config::new().image_key_file(&key).unwrap_err().to_string();
    assert!(error.contains("others may read"), "{error}");
}

/// Entries go when there are too many, those first that were not used for longest; who has one open
/// goes on reading.
#[test]
fn the_number_and_size_of_entries_stay_below_their_limits() {
    let scratch = Scratch::new();
    let few = |config: &mut CacheConfig| _ = config.with_file_count_soft_limit(10);
    let cached = Cached::with(&scratch.0, few, |_| {});
    let age = |path: &Path, seconds| {
        let file = fs::File::options().write(true).open(path).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(seconds)).unwrap();
    };
    cached.run(0);
    let first = scratch.entries().remove(0);
    age(&first, 1_000_000);
    let mut open = fs::File::open(&first).unwrap();
    for number in 1..=9 {
        cached.run(number);
    }
    assert_eq!(scratch.entries().len(), 10);
    for path in scratch.entries().iter().filter(|path| **path != first) {
        age(path, 10_000);
    }
    // Using the oldest one makes it the youngest.
    cached.run(0);
    cached.run(10);
    assert_eq!(scratch.entries().len(), 7);
    assert!(scratch.entries().contains(&first));
    let bytes = fs::metadata(&first).unwrap().len();

    let small = |config: &mut CacheConfig| _ = config.with_files_total_size_soft_limit(4 * bytes);
    let cached = Cached::with(&scratch.0, small, |_| {});
    cached.run(11);
    assert_eq!(scratch.entries().len(), 2);
    let tiny = |config: &mut CacheConfig| _ = config.with_files_total_size_soft_limit(bytes);
    let cached = Cached::with(&scratch.0, tiny, |_| {});
    cached.run(12);
    assert_eq!(scratch.entries().len(), 2, "too large to be kept");
    assert!(cached.warned().is_empty());
    let mut all = Vec::new();
    assert_eq!(io::Read::read_to_end(&mut open, &mut all).unwrap() as u64, bytes);

    // What processes that died have left goes, what others are writing stays.
    let (old, new) = (scratch.0.join("old.tmp"), scratch.0.join("new.tmp"));
    fs::write(&old, "").unwrap();
    fs::write(&new, "").unwrap();
    age(&old, 10_000);
    Cached::new(&scratch.0).run(13);
    assert!(!old.exists() && new.exists());
}

#[test]
fn large_entries_do_not_wait_for_the_next_clean_up() {
    let scratch = Scratch::new();
    let seldom = |config: &mut CacheConfig| {
        config.with_cleanup_interval(Duration::from_secs(3600)).with_file_count_soft_limit(3);
    };
    let cached = Cached::with(&scratch.0, seldom, |_| {});
    for number in 0..6 {
        cached.run(number);
    }
    assert_eq!(scratch.entries().len(), 6);
    let bytes = fs::metadata(scratch.entries().remove(0)).unwrap().len();
    let tight = |config: &mut CacheConfig| {
        seldom(config);
        config.with_files_total_size_soft_limit(63 * bytes);
    };
    Cached::with(&scratch.0, tight, |_| {}).run(6);
    assert_eq!(scratch.entries().len(), 2);
}

/// Readers, writers and evictions at once, on few modules in little room.
#[test]
fn many_at_once() {
    let scratch = Scratch::new();
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let dir = &scratch.0;
            scope.spawn(move || {
                let few = |config: &mut CacheConfig| _ = config.with_file_count_soft_limit(3);
                let cached = Cached::with(dir, few, |_| {});
                for round in 0..50 {
                    cached.run((thread + round * 3) % 7);
                }
                assert_eq!(cached.warned(), Vec::<String>::new());
            });
        }
    });
    assert!(scratch.entries().len() <= 3 + 8);
    let left = fs::read_dir(&scratch.0).unwrap().map(|entry| entry.unwrap().path());
    assert!(!left.into_iter().any(|path| path.extension().is_some_and(|it| it == "tmp")));
}
