//! Nothing outside of a preopened directory can be reached, whatever the path.

mod common;

use common::*;
use runwell_wasi::{Errno, Result, preview1};
use std::os::unix::fs::symlink;

/// A directory with ways out of all kinds, and a secret beside it.
fn guest() -> Guest {
    let guest = Guest::new();
    guest.outside.write("secret", "secret");
    std::fs::create_dir(guest.outside.join("dir")).unwrap();
    guest.outside.write("dir/secret", "secret");
    guest.put_file("f", "abc");
    std::fs::create_dir(guest.host("d")).unwrap();
    let absolute = guest.outside.join("secret");
    for (target, link) in [
        ("..", "up"),
        ("../secret", "to-secret"),
        ("../../secret", "d/to-secret"),
        ("../dir", "to-dir"),
        ("/", "root"),
        (absolute.to_str().unwrap(), "absolute"),
        ("up", "up-twice"),
        // Up and down again: outside all the same.
        ("../inside/f", "out-and-in"),
        ("/proc/self/cwd", "magic"),
    ] {
        symlink(target, guest.host(link)).unwrap();
    }
    guest
}

const OUTSIDE: &[&str] = &[
    "..",
    "../",
    "../secret",
    "d/../../secret",
    "./../secret",
    "d/./..//../secret",
    "../inside/f",
    "/",
    "/etc/passwd",
    "//etc/passwd",
    "up",
    "up/secret",
    "up-twice/secret",
    "to-secret",
    "d/to-secret",
    "to-dir",
    "to-dir/secret",
    "root/etc/passwd",
    "absolute",
    "out-and-in",
    "magic/x",
];

fn everywhere(guest: &mut Guest, call: impl Fn(&mut Guest, &str) -> Result<()>) {
    let absolute = guest.outside.join("secret").to_str().unwrap().to_string();
    for path in OUTSIDE.iter().copied().chain([&absolute[..]]) {
        assert_eq!(call(guest, path), Err(Errno::NotCapable), "{path}");
    }
    assert_unharmed(guest);
}

fn assert_unharmed(guest: &Guest) {
    assert_eq!(guest.outside.read("secret"), "secret");
    assert_eq!(guest.outside.read("dir/secret"), "secret");
    let mut names: Vec<_> = std::fs::read_dir(guest.outside.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["dir", "inside", "secret"]);
    assert_eq!(guest.file("f"), "abc");
}

#[test]
fn opening() {
    let mut guest = guest();
    everywhere(&mut guest, |guest, path| guest.open(path, 0, READ).map(drop));
    everywhere(&mut guest, |guest, path| guest.open(path, 0, WRITE).map(drop));
    everywhere(&mut guest, |guest, path| guest.open(path, DIRECTORY, READ).map(drop));
    everywhere(&mut guest, |guest, path| guest.open(path, TRUNC, READ_WRITE).map(drop));
}

#[test]
fn looking() {
    let mut guest = guest();
    everywhere(&mut guest, |guest, path| guest.stat(FOLLOW, path));
    everywhere(&mut guest, |guest, path| guest.set_path_times(FOLLOW, path, (0, 0, 5)));
    // A host's name for something is not told either.
    assert_eq!(guest.readlink("absolute", 100), Err(Errno::NotCapable));
    assert_eq!(guest.readlink("root", 100), Err(Errno::NotCapable));
    assert_eq!(guest.readlink("to-dir/secret", 100), Err(Errno::NotCapable));
    assert_eq!(guest.readlink("up", 100), Ok("..".into()));
}

/// Below what leads out, where the last component is not followed.
const BELOW: &[&str] =
    &["../new", "/new", "up/new", "to-dir/new", "root/tmp/new", "d/../../new", "magic/new"];

#[test]
fn making() {
    let mut guest = guest();
    for path in BELOW {
        all_fail(
            Errno::NotCapable,
            [
                ("open", guest.open(path, CREAT, WRITE).map(drop)),
                ("open", guest.open(path, CREAT | EXCL, WRITE).map(drop)),
                ("mkdir", guest.mkdir(path)),
                ("symlink", guest.symlink("f", path)),
                ("link", guest.link(NO_FOLLOW, "f", path)),
                ("rename", guest.rename("f", path)),
                ("rename", guest.rename("d", path)),
            ],
        );
    }
    assert_unharmed(&guest);
}

#[test]
fn making_through_a_link() {
    let mut guest = guest();
    symlink("../new", guest.host("to-new")).unwrap();
    assert_eq!(guest.open("to-new", CREAT, WRITE), Err(Errno::NotCapable));
    assert_eq!(guest.open("to-new", CREAT | EXCL, WRITE), Err(Errno::Exist));
    assert_eq!(guest.mkdir("to-new"), Err(Errno::Exist));
    assert_unharmed(&guest);
}

#[test]
fn taking() {
    let mut guest = guest();
    for path in ["../secret", "up/secret", "to-dir/secret", "d/../../secret", "../dir/secret"] {
        all_fail(
            Errno::NotCapable,
            [
                ("unlink", guest.unlink(path)),
                ("rmdir", guest.rmdir(path)),
                ("link", guest.link(NO_FOLLOW, path, "mine")),
                ("link", guest.link(FOLLOW, path, "mine")),
                ("rename", guest.rename(path, "mine")),
                ("rename onto", guest.rename("f", path)),
            ],
        );
    }
    assert_eq!(guest.link(FOLLOW, "to-secret", "mine"), Err(Errno::NotCapable));
    assert_eq!(guest.link(FOLLOW, "absolute", "mine"), Err(Errno::NotCapable));
    all_fail(
        Errno::NotCapable,
        [
            ("rmdir", guest.rmdir("../dir")),
            ("rmdir", guest.rmdir("..")),
            ("rmdir", guest.rmdir("/")),
            ("rename", guest.rename("..", "mine")),
            ("rename", guest.rename("../dir", "mine")),
        ],
    );
    assert!(!guest.host("mine").exists());
    assert_unharmed(&guest);
}

#[test]
fn links_made_by_guests() {
    let mut guest = guest();
    assert_eq!(guest.symlink("/etc/passwd", "mine"), Err(Errno::NotCapable));
    assert_eq!(guest.symlink("/", "mine"), Err(Errno::NotCapable));
    // It can be made, and leads nowhere.
    guest.symlink("../secret", "mine").unwrap();
    assert_eq!(guest.open("mine", 0, READ), Err(Errno::NotCapable));
    guest.mkdir("deep").unwrap();
    guest.symlink("../f", "deep/l").unwrap();
    let fd = guest.open("deep/l", 0, READ).unwrap();
    assert_eq!(guest.read(fd, 9), Ok("abc".into()));
    // Moved up, the same link would lead out.
    guest.rename("deep/l", "l").unwrap();
    assert_eq!(guest.open("l", 0, READ), Err(Errno::NotCapable));
}

#[test]
fn a_directory_that_was_moved_away_leads_nowhere_new() {
    let mut guest = guest();
    let d = guest.open("d", DIRECTORY, ALL & !WRITE).unwrap();
    assert_eq!(guest.open_with(d, FOLLOW, "../f", 0, READ, 0), Err(Errno::NotCapable));
    std::fs::rename(guest.host("d"), guest.outside.join("moved")).unwrap();
    assert_eq!(guest.open_with(d, FOLLOW, "../secret", 0, READ, 0), Err(Errno::NotCapable));
    assert_eq!(guest.open_with(d, FOLLOW, "..", DIRECTORY, READ, 0), Err(Errno::NotCapable));
    std::fs::rename(guest.outside.join("moved"), guest.host("d")).unwrap();
    assert_unharmed(&guest);
}

#[test]
fn inside_everything_goes() {
    let mut guest = guest();
    for path in ["f", "./f", "d/../f", "d/.././f", ".//f"] {
        let fd = guest.open(path, 0, READ).unwrap();
        assert_eq!(guest.read(fd, 9), Ok("abc".into()), "{path}");
    }
    let (at, len) = guest.path("d/..");
    guest
        .call(|ctx, mem| preview1::path_filestat_get(ctx, mem, DIR, FOLLOW, at, len, BUFFER))
        .unwrap();
    assert_eq!(guest.u8(BUFFER + 16), 3);
}
