//! The cache of compiled modules as a person meets it: not at all, until something is wrong.

mod common;

use common::{Done, Person, entries, gives};
use std::fs;
use std::os::unix::fs::PermissionsExt;

#[test]
fn a_module_is_compiled_once() {
    let person = Person::new();
    person.write("seven.wat", gives(7));
    person.write("eight.wat", gives(8));
    let invoke = |args: &[&str]| person.run(&[&["run", "--invoke=get"], args].concat());
    invoke(&["--no-cache", "seven.wat"]).prints("7\n");
    assert!(person.cached().is_empty());
    invoke(&["seven.wat"]).prints("7\n");
    let entry = person.cached().remove(0);
    let first = fs::metadata(&entry).unwrap().modified().unwrap();
    invoke(&["seven.wat"]).prints("7\n");
    invoke(&["eight.wat"]).prints("8\n");
    assert_eq!(person.cached().len(), 2);
    assert_eq!(fs::metadata(&entry).unwrap().modified().unwrap(), first, "not written again");
    assert_eq!(fs::metadata(&entry).unwrap().permissions().mode() & 0o777, 0o600);
    // Metered code is other code.
    assert_eq!(invoke(&["--fuel=10", "seven.wat"]).out, "7\n");
    assert_eq!(person.cached().len(), 3);
    invoke(&["--cache-dir=mine", "seven.wat"]).prints("7\n");
    assert_eq!((person.cached().len(), entries(&person.path("mine")).len()), (3, 1));
    let mut elsewhere = person.command(&["run", "--invoke=get", "seven.wat"]);
    elsewhere.env("XDG_CACHE_HOME", person.path("xdg"));
    Done::of(elsewhere).prints("7\n");
    assert_eq!(entries(&person.path("xdg/runwell/modules")).len(), 1);
}

#[test]
fn a_damaged_entry_is_compiled_again_with_a_warning() {
    let person = Person::new();
    person.write("seven.wat", gives(7));
    let invoke = || person.run(&["run", "--invoke=get", "seven.wat"]);
    invoke().prints("7\n");
    let entry = person.cached().remove(0);
    let good = fs::read(&entry).unwrap();
    let mut flipped = good.clone();
    flipped[good.len() / 2] ^= 4;
    for bad in [&good[..good.len() / 2], &[], &flipped, b"something else"] {
        fs::write(&entry, bad).unwrap();
        let done = invoke();
        assert_eq!((done.code, &*done.out), (Some(0), "7\n"), "{done:?}");
        assert!(
            done.err.starts_with("warning: ") && done.err.contains("compiled again"),
            "{done:?}"
        );
        assert_eq!(fs::read(&entry).unwrap(), good);
        invoke().prints("7\n");
    }
}

/// Several processes start with nothing: all of them run, and one entry is left, whole.
#[test]
fn processes_at_once_do_not_disturb_each_other() {
    let person = Person::new();
    person.write("seven.wat", gives(7));
    for _ in 0..5 {
        let children: Vec<_> = (0..8)
            .map(|_| {
                let mut command = person.command(&["run", "--invoke=get", "seven.wat"]);
                let piped = std::process::Stdio::piped;
                command.stdout(piped()).stderr(piped()).spawn().unwrap()
            })
            .collect();
        for child in children {
            Done::from(child.wait_with_output().unwrap()).prints("7\n");
        }
        assert_eq!(person.cached().len(), 1);
        let all = fs::read_dir(person.path(".cache/runwell/modules")).unwrap();
        assert!(all.flatten().all(|entry| !entry.file_name().to_string_lossy().ends_with("tmp")));
        person.run(&["run", "--invoke=get", "seven.wat"]).prints("7\n");
        fs::remove_dir_all(person.path(".cache")).unwrap();
    }
}

#[test]
fn where_nothing_can_be_written_modules_run_all_the_same() {
    let person = Person::new();
    person.write("seven.wat", gives(7));
    // In the default place that is nobody's business; where somebody asked for it, it is said.
    person.write(".cache", "in the way");
    person.run(&["run", "--invoke=get", "seven.wat"]).prints("7\n");
    for dir in [".cache/below", "/proc/self/cache"] {
        let done = person.run(&["run", "--cache-dir", dir, "--invoke=get", "seven.wat"]);
        assert_eq!((done.code, &*done.out), (Some(0), "7\n"), "{done:?}");
        let said = "warning: compiled modules are not kept: ";
        assert!(done.err.starts_with(said), "{done:?}");
    }
    // Without a key that can be trusted nothing is kept, either.
    let key = person.path(".local/share/runwell/image.key");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    let done = person.run(&["run", "--cache-dir=mine", "--invoke=get", "seven.wat"]);
    assert_eq!((done.code, &*done.out), (Some(0), "7\n"), "{done:?}");
    assert!(done.err.contains("others may read"), "{done:?}");
    assert!(!person.path("mine").exists());
}
