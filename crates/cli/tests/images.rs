//! `runwell compile -o` and what it makes, as a person meets them.

mod common;

use common::{Person, gives};
use std::fs;
use std::os::unix::fs::symlink;
use std::process::Stdio;

#[test]
fn what_compile_makes_runs() {
    let person = Person::new();
    person.write("seven.wat", gives(7));
    person.run(&["compile", "seven.wat", "-o", "seven.image"]).prints("");
    assert!(person.path("seven.image").exists());
    // Whatever it is called, and without the source.
    fs::remove_file(person.path("seven.wat")).unwrap();
    fs::rename(person.path("seven.image"), person.path("seven.wasm")).unwrap();
    person.run(&["run", "--invoke", "get", "seven.wasm"]).prints("7\n");
    person.run(&["--invoke", "get", "seven.wasm"]).prints("7\n");
    person.run(&["seven.wasm"]).prints("");
    person.run(&["validate", "seven.wasm"]).prints("");
    let text = person.run(&["inspect", "--func", "get", "seven.wasm"]);
    assert!(text.out.contains("IR after translation") && text.err.is_empty(), "{text:?}");
    assert!(person.cached().is_empty(), "an image needs no cache");
    // Nobody but the owner can make images that run.
    use std::os::unix::fs::PermissionsExt;
    let key = person.path(".local/share/runwell/image.key");
    assert_eq!(fs::metadata(key).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn images_go_through_pipes() {
    let person = Person::new();
    person.write("seven.wat", gives(7));
    let mut compile = person.command(&["compile", "-", "-o", "-", "--stats=text"]);
    compile.stdin(fs::File::open(person.path("seven.wat")).unwrap());
    let done = common::Done::of(compile);
    assert!(done.code == Some(0) && done.err.contains("1 functions"), "{done:?}");
    person.write("seven.image", done.stdout);
    let mut run = person.command(&["run", "--invoke=get", "-"]);
    run.stdin(fs::File::open(person.path("seven.image")).unwrap());
    common::Done::of(run).prints("7\n");
    // A reader that goes away is no error.
    let mut compile = person.command(&["compile", "seven.image", "-o-"]);
    let mut child = compile.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let done: common::Done = child.wait_with_output().unwrap().into();
    assert_eq!((done.code, &*done.err), (Some(0), ""));
}

#[test]
fn foreign_and_damaged_images_are_compiled_again_or_refused() {
    let person = Person::new();
    person.write("seven.wat", gives(7));
    person.run(&["compile", "seven.wat", "-o", "image"]).prints("");
    let good = fs::read(person.path("image")).unwrap();
    let invoke = |file: &str| person.run(&["run", "--no-cache", "--invoke=get", file]);
    let again = |done: common::Done, why: &str| {
        assert_eq!((done.code, &*done.out), (Some(0), "7\n"), "{done:?}");
        assert!(done.err.starts_with("warning: ") && done.err.contains(why), "{done:?}");
        assert!(done.err.ends_with("the module in it is compiled again\n"), "{done:?}");
        assert_eq!(done.err.lines().count(), 1, "{done:?}");
    };
    let mut damaged = good.clone();
    *damaged.last_mut().unwrap() ^= 1;
    person.write("damaged", &damaged);
    again(invoke("damaged"), "damaged");
    person.write("cut", &good[..good.len() - 5]);
    again(invoke("cut"), "damaged");
    // The number that 7 is in the module.
    let at = good.windows(3).position(|bytes| bytes == [0x41, 7, 0x0b]).unwrap();
    let mut other = good.clone();
    other[at + 1] = 8;
    person.write("other", &other);
    invoke("other").fails(3, &["error: other: ", "damaged, and so is the module in it"]);
    person.write("short", &good[..40]);
    invoke("short").fails(3, &["error: short: ", "damaged"]);
    again(
        person.run(&["run", "--no-cache", "--fuel=9", "--invoke=get", "image"]).without_fuel(),
        "--fuel",
    );
    let stranger = Person::new();
    stranger.write("image", &good);
    again(stranger.run(&["run", "--no-cache", "--invoke=get", "image"]), "--image-key");
}

#[test]
fn a_shared_key_makes_images_run_elsewhere() {
    let (person, friend) = (Person::new(), Person::new());
    person.write("seven.wat", gives(7));
    person.run(&["compile", "seven.wat", "-o", "image", "--image-key", "key"]).prints("");
    assert!(!person.path(".local").exists());
    fs::rename(person.path("image"), friend.path("image")).unwrap();
    fs::rename(person.path("key"), friend.path("key")).unwrap();
    friend.run(&["run", "--image-key=key", "--invoke=get", "image"]).prints("7\n");
    friend.write("short", "no key");
    let refused = friend.run(&["run", "--image-key=short", "--invoke=get", "image"]);
    refused.fails(74, &["--image-key short: "]);
}

#[test]
fn outputs_appear_complete_or_not_at_all() {
    let person = Person::new();
    person.write("seven.wat", gives(7));
    person.write("wrong.wat", "(module (func (result i32)))");
    person.write("kept", "kept");
    person.run(&["compile", "wrong.wat", "-o", "kept"]).fails(3, &["error: wrong.wat: "]);
    assert_eq!(fs::read(person.path("kept")).unwrap(), b"kept");
    // Behind a link its target is replaced.
    symlink("kept", person.path("link")).unwrap();
    person.run(&["compile", "seven.wat", "-o", "link"]).prints("");
    assert!(fs::symlink_metadata(person.path("link")).unwrap().is_symlink());
    person.run(&["run", "--invoke=get", "kept"]).prints("7\n");
    person.run(&["compile", "seven.wat", "-o", "/dev/null"]).prints("");
    for (to, why) in
        [("missing/out", "missing/out: cannot be written"), (".", ".: cannot be written")]
    {
        person.run(&["compile", "seven.wat", "-o", to]).fails(74, &[why]);
    }
    person.run(&["compile", "seven.wat", "-o", "/dev/full"]).fails(74, &["No space left"]);
    let left: Vec<_> =
        fs::read_dir(person.path("")).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().contains("tmp")), "{left:?}");
}

#[test]
fn without_a_home_there_is_no_key() {
    let person = Person::new();
    person.write("seven.wat", gives(7));
    let mut compile = person.command(&["compile", "seven.wat", "-o", "image"]);
    compile.env_clear();
    common::Done::of(compile).fails(74, &["neither HOME nor XDG_DATA_HOME", "--image-key"]);
    assert!(!person.path("image").exists());
    // Running needs neither key nor cache.
    let mut run = person.command(&["run", "--invoke=get", "seven.wat"]);
    run.env_clear();
    common::Done::of(run).prints("7\n");
}
