//! Functions of paths, each against what the specification says of it.

mod common;

use common::*;
use runwell_wasi::{Errno, VIRTUAL_EPOCH_NS, preview1};
use std::os::unix::fs::{MetadataExt, symlink};

#[test]
fn opening_existing_files() {
    let mut guest = Guest::new();
    guest.put_file("f", "abc");
    let fd = guest.open("f", 0, READ).unwrap();
    assert_eq!(fd, 4);
    assert_eq!(guest.read(fd, 9), Ok("abc".into()));
    assert_eq!(guest.open("missing", 0, READ), Err(Errno::NoEnt));
    assert_eq!(guest.open("f/below", 0, READ), Err(Errno::NotDir));
    assert_eq!(guest.open("", 0, READ), Err(Errno::NoEnt));
    // Neither right: it can be looked at, and nothing else.
    let fd = guest.open("f", 0, 0).unwrap();
    assert_eq!(guest.read(fd, 1), Err(Errno::BadF));
    assert_eq!(guest.write(fd, "x"), Err(Errno::BadF));
    guest.call(|ctx, mem| preview1::fd_filestat_get(ctx, mem, fd, BUFFER)).unwrap();
    assert_eq!(guest.u64(BUFFER + 32), 3);
}

#[test]
fn creating_and_cutting_files() {
    let mut guest = Guest::new();
    let fd = guest.open("new", CREAT | EXCL, READ_WRITE).unwrap();
    guest.write(fd, "abc").unwrap();
    assert_eq!(guest.open("new", CREAT | EXCL, WRITE), Err(Errno::Exist));
    let fd = guest.open("new", CREAT, READ).unwrap();
    assert_eq!(guest.read(fd, 9), Ok("abc".into()));
    assert_eq!(guest.write(fd, "x"), Err(Errno::BadF));
    let fd = guest.open("new", TRUNC, READ).unwrap();
    assert_eq!((guest.file("new"), guest.read(fd, 9)), (String::new(), Ok(String::new())));
    assert_eq!(guest.open("missing", TRUNC, WRITE), Err(Errno::NoEnt));
    assert_eq!(guest.open("missing/new", CREAT, WRITE), Err(Errno::NoEnt));
    for (oflags, fdflags) in [(16, 0), (0, 32), (u32::MAX, 0), (DIRECTORY | CREAT, 0)] {
        let opened = guest.open_with(DIR, FOLLOW, "new", oflags, READ, fdflags);
        assert_eq!(opened, Err(Errno::Inval));
    }
    assert_eq!(guest.open_with(DIR, 2, "new", 0, READ, 0), Err(Errno::Inval));
}

#[test]
fn flags_of_opened_files() {
    let mut guest = Guest::new();
    guest.put_file("f", "abc");
    for flags in [1, 2, 4, 16 | 8, 1 | 2 | 4] {
        let fd = guest.open_with(DIR, FOLLOW, "f", 0, READ_WRITE, flags).unwrap();
        guest.call(|ctx, mem| preview1::fd_fdstat_get(ctx, mem, fd, BUFFER)).unwrap();
        // Syncing both is more than syncing the data.
        assert_eq!(u32::from(guest.u16(BUFFER + 2)) & flags, flags);
        guest.write(fd, "d").unwrap();
        guest.close(fd).unwrap();
    }
    assert_eq!(guest.file("f"), "dbcdd");
    let fd = guest.open_with(DIR, FOLLOW, "f", TRUNC, WRITE, 1).unwrap();
    guest.write(fd, "x").unwrap();
    assert_eq!(guest.file("f"), "x");
}

#[test]
fn opening_directories() {
    let mut guest = Guest::new();
    guest.mkdir("d").unwrap();
    guest.mkdir("d/e").unwrap();
    guest.put_file("d/f", "abc");
    for (path, oflags) in [("d", DIRECTORY), ("d", 0), ("d/", 0), (".", 0), ("d/e/..", DIRECTORY)] {
        let fd = guest.open(path, oflags, READ).unwrap();
        guest.call(|ctx, mem| preview1::fd_fdstat_get(ctx, mem, fd, BUFFER)).unwrap();
        assert_eq!(guest.u8(BUFFER), 3, "{path}");
    }
    let dir = guest.open("d", DIRECTORY, 0).unwrap();
    let fd = guest.open_with(dir, FOLLOW, "f", 0, READ, 0).unwrap();
    assert_eq!(guest.read(fd, 9), Ok("abc".into()));
    assert_eq!(guest.open_with(fd, FOLLOW, "f", 0, READ, 0), Err(Errno::NotDir));
    assert_eq!(guest.open_with(1, FOLLOW, "f", 0, READ, 0), Err(Errno::NotDir));
    assert_eq!(guest.open_with(99, FOLLOW, "f", 0, READ, 0), Err(Errno::BadF));
    assert_eq!(guest.open("d/f", DIRECTORY, READ), Err(Errno::NotDir));
    assert_eq!(guest.open("d", 0, WRITE), Err(Errno::IsDir));
    assert_eq!(guest.open("d", DIRECTORY, READ_WRITE), Err(Errno::IsDir));
    assert_eq!(guest.open("d/f", DIRECTORY, READ_WRITE), Err(Errno::NotDir));
    assert_eq!(guest.open("d", CREAT, READ), Err(Errno::IsDir));
    assert_eq!(guest.read(dir, 1), Err(Errno::BadF));
    assert_eq!(guest.write(dir, "x"), Err(Errno::BadF));
}

#[test]
fn slashes_at_the_end_want_a_directory() {
    let mut guest = Guest::new();
    guest.put_file("f", "abc");
    guest.mkdir("d/").unwrap();
    all_fail(
        Errno::NotDir,
        [
            ("stat", guest.stat(FOLLOW, "f/")),
            ("unlink", guest.unlink("f/")),
            ("rename from", guest.rename("f/", "g")),
            ("rename to", guest.rename("f", "g/")),
            ("link", guest.link(0, "f/", "g")),
            ("times", guest.set_path_times(FOLLOW, "f/", (0, 0, 2))),
        ],
    );
    assert_eq!(guest.open("f/", 0, READ), Err(Errno::NotDir));
    assert_eq!(guest.open("g/", CREAT, WRITE), Err(Errno::IsDir));
    assert_eq!(guest.symlink("f", "g/"), Err(Errno::NoEnt));
    assert_eq!(guest.link(0, "f", "g/"), Err(Errno::NoEnt));
    assert_eq!(guest.file("f"), "abc");
    assert!(!guest.host("g").exists());
    guest.stat(FOLLOW, "d/").unwrap();
    assert_eq!(guest.u8(BUFFER + 16), 3);
    guest.rename("d/", "e/").unwrap();
    guest.rmdir("e///").unwrap();
    assert!(!guest.host("e").exists());
}

#[test]
fn directories_are_made_and_removed() {
    let mut guest = Guest::new();
    guest.mkdir("d").unwrap();
    assert!(guest.host("d").is_dir());
    assert_eq!(guest.mkdir("d"), Err(Errno::Exist));
    assert_eq!(guest.mkdir("e/f"), Err(Errno::NoEnt));
    guest.put_file("d/f", "");
    assert_eq!(guest.mkdir("d/f/g"), Err(Errno::NotDir));
    assert_eq!(guest.rmdir("d"), Err(Errno::NotEmpty));
    assert_eq!(guest.rmdir("d/f"), Err(Errno::NotDir));
    assert_eq!(guest.unlink("d"), Err(Errno::IsDir));
    assert_eq!(guest.unlink("d/g"), Err(Errno::NoEnt));
    guest.unlink("d/f").unwrap();
    guest.rmdir("d").unwrap();
    assert!(!guest.host("d").exists());
    assert_eq!(guest.rmdir("d"), Err(Errno::NoEnt));
}

#[test]
fn unlinking_takes_the_link_not_what_it_leads_to() {
    let mut guest = Guest::new();
    guest.put_file("f", "abc");
    guest.mkdir("d").unwrap();
    guest.symlink("f", "to-file").unwrap();
    guest.symlink("d", "to-dir").unwrap();
    assert_eq!(guest.rmdir("to-dir"), Err(Errno::NotDir));
    guest.unlink("to-file").unwrap();
    guest.unlink("to-dir").unwrap();
    assert_eq!(guest.file("f"), "abc");
    assert!(guest.host("d").is_dir());
}

#[test]
fn what_is_known_of_a_path() {
    // What the host knows, that is: see `inodes.rs` for what guests are told otherwise.
    let mut guest = Guest::with(|builder| _ = builder.real_clock());
    guest.put_file("f", "abc");
    guest.symlink("f", "l").unwrap();
    let host = std::fs::metadata(guest.host("f")).unwrap();
    guest.stat(FOLLOW, "l").unwrap();
    assert_eq!((guest.u64(BUFFER), guest.u64(BUFFER + 8)), (host.dev(), host.ino()));
    assert_eq!((guest.u64(BUFFER + 16), guest.u64(BUFFER + 32)), (4, 3));
    let modified = host.mtime() as u64 * 1_000_000_000 + host.mtime_nsec() as u64;
    assert_eq!(guest.u64(BUFFER + 48), modified);
    guest.stat(NO_FOLLOW, "l").unwrap();
    assert_eq!((guest.u64(BUFFER + 16), guest.u64(BUFFER + 32)), (7, 1));
    guest.stat(NO_FOLLOW, "f").unwrap();
    assert_eq!(guest.u8(BUFFER + 16), 4);
    assert_eq!(guest.stat(2, "f"), Err(Errno::Inval));
    assert_eq!(guest.stat(FOLLOW, "missing"), Err(Errno::NoEnt));
}

#[test]
fn times_of_paths() {
    let mut guest = Guest::new();
    guest.put_file("f", "abc");
    guest.mkdir("d").unwrap();
    guest.symlink("f", "l").unwrap();
    let times = |guest: &Guest, name: &str| {
        let metadata = std::fs::symlink_metadata(guest.host(name)).unwrap();
        ((metadata.atime(), metadata.atime_nsec()), (metadata.mtime(), metadata.mtime_nsec()))
    };
    let both = (5_000_000_006, 7_000_000_008, 1 | 4);
    for lookup in [FOLLOW, NO_FOLLOW] {
        for name in ["f", "d"] {
            guest.set_path_times(lookup, name, both).unwrap();
            assert_eq!(times(&guest, name), ((5, 6), (7, 8)));
            guest.set_path_times(lookup, name, (0, 0, 8)).unwrap();
            let (kept, (now, _)) = times(&guest, name);
            assert_eq!((kept, now as u64), ((5, 6), VIRTUAL_EPOCH_NS / 1_000_000_000));
        }
    }
    let before = times(&guest, "f");
    guest.set_path_times(NO_FOLLOW, "l", both).unwrap();
    assert_eq!((times(&guest, "l").1, times(&guest, "f")), ((7, 8), before));
    guest.set_path_times(FOLLOW, "l", (0, 1_000_000_002, 4)).unwrap();
    assert_eq!((times(&guest, "l").1, times(&guest, "f").1), ((7, 8), (1, 2)));
    // The furthest time is either taken or refused.
    let _ = guest.set_path_times(FOLLOW, "f", (u64::MAX, u64::MAX, 1 | 4));
    all_fail(
        Errno::Inval,
        [
            ("both", guest.set_path_times(FOLLOW, "f", (0, 0, 1 | 2))),
            ("unknown", guest.set_path_times(FOLLOW, "f", (0, 0, 16))),
            ("lookup", guest.set_path_times(2, "f", (0, 0, 2))),
        ],
    );
    assert_eq!(guest.set_path_times(FOLLOW, "missing", both), Err(Errno::NoEnt));
}

#[test]
fn links() {
    let mut guest = Guest::new();
    guest.put_file("f", "abc");
    guest.symlink("f", "l").unwrap();
    guest.link(NO_FOLLOW, "f", "g").unwrap();
    assert_eq!(std::fs::metadata(guest.host("g")).unwrap().nlink(), 2);
    guest.link(NO_FOLLOW, "l", "same-link").unwrap();
    assert!(guest.host("same-link").is_symlink());
    guest.link(FOLLOW, "l", "target").unwrap();
    assert_eq!(std::fs::symlink_metadata(guest.host("target")).unwrap().nlink(), 3);
    guest.mkdir("d").unwrap();
    assert_eq!(guest.link(NO_FOLLOW, "f", "g"), Err(Errno::Exist));
    assert_eq!(guest.link(NO_FOLLOW, "missing", "h"), Err(Errno::NoEnt));
    assert_eq!(guest.link(NO_FOLLOW, "d", "h"), Err(Errno::Perm));
    assert_eq!(guest.link(2, "f", "h"), Err(Errno::Inval));
}

#[test]
fn symbolic_links() {
    let mut guest = Guest::new();
    guest.put_file("f", "abc");
    guest.symlink("f", "l").unwrap();
    assert_eq!(guest.readlink("l", 100), Ok("f".into()));
    guest.symlink("nowhere/at/all", "dangling").unwrap();
    assert_eq!(guest.readlink("dangling", 100), Ok("nowhere/at/all".into()));
    assert_eq!(guest.readlink("dangling", 7), Ok("nowhere".into()));
    assert_eq!(guest.readlink("dangling", 0), Ok(String::new()));
    assert_eq!(guest.open("dangling", 0, READ), Err(Errno::NoEnt));
    assert_eq!(guest.symlink("f", "l"), Err(Errno::Exist));
    assert_eq!(guest.symlink("", "m"), Err(Errno::NoEnt));
    assert_eq!(guest.readlink("f", 100), Err(Errno::Inval));
    assert_eq!(guest.readlink("missing", 100), Err(Errno::NoEnt));
    let fd = guest.open("l", 0, READ).unwrap();
    assert_eq!(guest.read(fd, 9), Ok("abc".into()));
    assert_eq!(guest.open_with(DIR, NO_FOLLOW, "l", 0, READ, 0), Err(Errno::Loop));
    guest.mkdir("d").unwrap();
    guest.symlink("d", "to-dir").unwrap();
    guest.open("to-dir", DIRECTORY, READ).unwrap();
    let refused = guest.open_with(DIR, NO_FOLLOW, "to-dir", DIRECTORY, READ, 0);
    assert_eq!(refused, Err(Errno::NotDir));
    guest.symlink("loop", "loop").unwrap();
    assert_eq!(guest.open("loop", 0, READ), Err(Errno::Loop));
    assert_eq!(guest.stat(FOLLOW, "loop"), Err(Errno::Loop));
}

#[test]
fn renaming() {
    let mut guest = Guest::new();
    guest.put_file("f", "f");
    guest.put_file("g", "g");
    guest.rename("f", "g").unwrap();
    assert_eq!((guest.file("g"), guest.host("f").exists()), ("f".into(), false));
    guest.mkdir("d").unwrap();
    guest.mkdir("e").unwrap();
    guest.rename("g", "d/g").unwrap();
    assert_eq!(guest.rename("d", "d/below"), Err(Errno::Inval));
    assert_eq!(guest.rename("e", "d"), Err(Errno::NotEmpty));
    guest.rename("d", "e").unwrap();
    assert_eq!(guest.file("e/g"), "f");
    assert_eq!(guest.rename("e", "e/g"), Err(Errno::Inval));
    assert_eq!(guest.rename("e/g", "e"), Err(Errno::NotEmpty));
    assert_eq!(guest.rename("missing", "x"), Err(Errno::NoEnt));
    guest.rename("e/g", "e/g").unwrap();
}

#[test]
fn renaming_between_directories() {
    let mut guest = Guest::new();
    guest.mkdir("a").unwrap();
    guest.mkdir("b").unwrap();
    guest.put_file("a/f", "abc");
    let a = guest.open("a", DIRECTORY, ALL & !WRITE).unwrap();
    let b = guest.open("b", DIRECTORY, ALL & !WRITE).unwrap();
    let (old, old_len) = guest.path("f");
    let (new, new_len) = guest.second("g");
    guest
        .call(|ctx, mem| preview1::path_rename(ctx, mem, a, old, old_len, b, new, new_len))
        .unwrap();
    assert_eq!(guest.file("b/g"), "abc");
    let bad =
        guest.call(|ctx, mem| preview1::path_rename(ctx, mem, a, old, old_len, 1, new, new_len));
    assert_eq!(bad, Err(Errno::NotDir));
}

#[test]
fn nothing_changes_in_a_read_only_directory() {
    let mut guest = Guest::read_only();
    guest.put_file("f", "abc");
    std::fs::create_dir(guest.host("d")).unwrap();
    symlink("f", guest.host("l")).unwrap();
    let before = std::fs::metadata(guest.host("f")).unwrap().mtime_nsec();
    all_fail(
        Errno::RoFs,
        [
            ("create", guest.open("g", CREAT, READ)),
            ("truncate", guest.open("f", TRUNC, READ)),
            ("write", guest.open("f", 0, WRITE)),
        ],
    );
    let sub = guest.open("d", DIRECTORY, ALL & !WRITE).unwrap();
    assert_eq!(guest.open_with(sub, FOLLOW, "g", CREAT, WRITE, 0), Err(Errno::RoFs));
    all_fail(
        Errno::RoFs,
        [
            ("mkdir", guest.mkdir("e")),
            ("rmdir", guest.rmdir("d")),
            ("unlink", guest.unlink("f")),
            ("rename", guest.rename("f", "g")),
            ("link", guest.link(0, "f", "g")),
            ("symlink", guest.symlink("f", "g")),
            ("times", guest.set_path_times(FOLLOW, "f", (0, 0, 1 | 4))),
            (
                "times of the directory",
                guest.call(|ctx, mem| preview1::fd_filestat_set_times(ctx, mem, DIR, 0, 0, 5)),
            ),
        ],
    );
    let fd = guest.open("f", 0, READ | 1 << 23 | 1 << 22 | 1 << 8).unwrap();
    assert_eq!(guest.read(fd, 9), Ok("abc".into()));
    for (what, result) in [
        ("times", guest.call(|ctx, mem| preview1::fd_filestat_set_times(ctx, mem, fd, 0, 0, 5))),
        ("size", guest.call(|ctx, mem| preview1::fd_filestat_set_size(ctx, mem, fd, 0))),
        ("allocate", guest.call(|ctx, mem| preview1::fd_allocate(ctx, mem, fd, 0, 100))),
        ("write", guest.write(fd, "x").map(drop)),
    ] {
        assert!(result.is_err(), "{what}");
    }
    guest.stat(FOLLOW, "l").unwrap();
    assert_eq!(guest.readlink("l", 9), Ok("f".into()));
    assert_eq!(guest.file("f"), "abc");
    assert_eq!(std::fs::metadata(guest.host("f")).unwrap().mtime_nsec(), before);
}

#[test]
fn paths_are_text_of_bounded_length() {
    let mut guest = Guest::new();
    assert_eq!(guest.open("a\0b", 0, READ), Err(Errno::Inval));
    let long = "x".repeat(4097);
    assert_eq!(guest.open(&long, 0, READ), Err(Errno::NameTooLong));
    let name = "y".repeat(300);
    assert_eq!(guest.mkdir(&name), Err(Errno::NameTooLong));
    guest.put(BUFFER, b"\xff\xfe");
    let bytes = guest.call(|ctx, mem| preview1::path_create_directory(ctx, mem, DIR, BUFFER, 2));
    assert_eq!(bytes, Err(Errno::IlSeq));
    guest.mkdir("größe").unwrap();
    assert!(guest.host("größe").is_dir());
}

#[test]
fn no_more_descriptors_than_there_is_room_for() {
    let mut guest = Guest::new();
    guest.mkdir("d").unwrap();
    let mut opened = 4;
    let error = loop {
        match guest.open(".", DIRECTORY, READ) {
            Ok(_) => opened += 1,
            Err(error) => break error,
        }
    };
    // The host may have fewer to give.
    assert!(matches!(error, Errno::MFile | Errno::NFile), "{error}");
    assert!(opened <= runwell_wasi::MAX_DESCRIPTORS);
    assert_eq!(guest.open("new", CREAT, WRITE), Err(error));
    guest.close(10).unwrap();
    assert_eq!(guest.open(".", DIRECTORY, READ), Ok(10));
}
