//! Where time is virtual, guests are told the same of files on every host: nothing of when and how these came
//! to be there.

mod common;

use common::*;
use runwell_wasi::{VIRTUAL_EPOCH_NS, preview1};
use std::fs::FileTimes;
use std::time::{Duration, SystemTime};

/// What is told of a path: device, number, kind, names, size, and three times.
fn stat(guest: &mut Guest, path: &str) -> [u64; 8] {
    guest.stat(NO_FOLLOW, path).unwrap();
    std::array::from_fn(|at| guest.u64(BUFFER + 8 * at as u32))
}

/// The same of an open file.
fn fd_stat(guest: &mut Guest, fd: u32) -> [u64; 8] {
    guest.call(|ctx, mem| preview1::fd_filestat_get(ctx, mem, fd, BUFFER)).unwrap();
    std::array::from_fn(|at| guest.u64(BUFFER + 8 * at as u32))
}

fn number(stat: [u64; 8]) -> u64 {
    stat[1]
}

/// Access, modification, and change of what is known, since the start of the virtual clock.
fn times(stat: [u64; 8]) -> [u64; 3] {
    [5, 6, 7].map(|at| stat[at] - VIRTUAL_EPOCH_NS)
}

/// The bytes that reading a directory gives.
fn list(guest: &mut Guest, fd: u32) -> Vec<u8> {
    guest.call(|ctx, mem| preview1::fd_readdir(ctx, mem, fd, BUFFER, 4096, 0, OUT)).unwrap();
    let used = guest.u32(OUT);
    guest.get(BUFFER, used as usize).to_vec()
}

/// A guest with files that were made in this order, some of them much earlier than others.
fn prepared(order: &[&str]) -> Guest {
    let guest = Guest::new();
    // Other files use up numbers and go.
    for (at, name) in order.iter().enumerate() {
        std::fs::write(guest.host("other"), "x").unwrap();
        if *name == "dir" {
            std::fs::create_dir(guest.host("dir")).unwrap();
            // A directory that has had more in it may be larger.
            for n in 0..at * 200 {
                std::fs::write(guest.host(&format!("dir/{n}")), "").unwrap();
            }
            for n in 0..at * 200 {
                std::fs::remove_file(guest.host(&format!("dir/{n}"))).unwrap();
            }
        } else {
            guest.put_file(name, name);
            let when = SystemTime::UNIX_EPOCH + Duration::from_secs(1000 * (at as u64 + 1));
            let file = std::fs::File::options().write(true).open(guest.host(name)).unwrap();
            file.set_times(FileTimes::new().set_accessed(when).set_modified(when)).unwrap();
        }
        std::fs::remove_file(guest.host("other")).unwrap();
    }
    guest
}

/// All that a guest learns while it does this and that.
fn story(guest: &mut Guest) -> Vec<Vec<u8>> {
    let mut told = Vec::new();
    let mut look = |guest: &mut Guest, paths: &[&str]| {
        for path in paths {
            told.push(stat(guest, path).iter().flat_map(|field| field.to_le_bytes()).collect());
        }
        told.push(list(guest, DIR));
    };
    look(guest, &["b", "dir", "."]);
    let fd = guest.open("b", 0, ALL).unwrap();
    guest.write(fd, "more").unwrap();
    let new = guest.open("new", CREAT, ALL).unwrap();
    look(guest, &["a", "b", "new"]);
    guest.close(fd).unwrap();
    guest.mkdir("made").unwrap();
    guest.symlink("b", "link").unwrap();
    guest.link(0, "b", "again").unwrap();
    look(guest, &["made", "link", "again", "dir"]);
    guest.rename("new", "a").unwrap();
    guest.unlink("b").unwrap();
    guest.rmdir("made").unwrap();
    guest.set_path_times(FOLLOW, "c", (0, 7_000_000_008, 1 | 4)).unwrap();
    guest.set_path_times(FOLLOW, "dir", (0, 0, 2 | 8)).unwrap();
    look(guest, &["a", "again", "c", "dir", "link"]);
    told.push(fd_stat(guest, new).iter().flat_map(|field| field.to_le_bytes()).collect());
    told
}

#[test]
fn hosts_do_not_show() {
    let mut one = prepared(&["a", "b", "c", "dir"]);
    let mut other = prepared(&["dir", "c", "b", "a"]);
    let story_of_one = story(&mut one);
    assert_eq!(story_of_one, story(&mut other));
    assert!(story_of_one.len() > 15);
}

#[test]
fn times_are_the_guests_own() {
    let mut guest = Guest::with(|builder| _ = builder.virtual_clock(VIRTUAL_EPOCH_NS, 10));
    guest.put_file("f", "abc");
    let read_clock = |guest: &mut Guest| {
        guest.call(|ctx, mem| preview1::clock_time_get(ctx, mem, 0, 1, OUT)).unwrap();
    };
    assert_eq!(times(stat(&mut guest, "f")), [0; 3]);
    read_clock(&mut guest);
    let fd = guest.open("f", 0, ALL).unwrap();
    assert_eq!(guest.read(fd, 9), Ok("abc".into()));
    assert_eq!(times(fd_stat(&mut guest, fd)), [0; 3]);
    guest.write(fd, "d").unwrap();
    read_clock(&mut guest);
    // By the descriptor or by the path, and also when it has been closed.
    assert_eq!(times(stat(&mut guest, "f")), [0, 10, 10]);
    guest.call(|ctx, mem| preview1::fd_filestat_set_size(ctx, mem, fd, 2)).unwrap();
    read_clock(&mut guest);
    guest.close(fd).unwrap();
    assert_eq!(times(stat(&mut guest, "f")), [0, 20, 20]);
    // Set, which is a change as well.
    guest.set_path_times(FOLLOW, "f", (VIRTUAL_EPOCH_NS + 5, VIRTUAL_EPOCH_NS + 6, 1 | 4)).unwrap();
    let [atim, mtim, ctim] = times(stat(&mut guest, "f"));
    assert!((atim, mtim) == (5, 6) && ctim >= 30, "{ctim}");
    // Made, and cut.
    let new = guest.open("new", CREAT, ALL).unwrap();
    let made = times(stat(&mut guest, "new"));
    assert!(made[1] >= 30, "{made:?}");
    read_clock(&mut guest);
    guest.open("f", TRUNC, ALL).unwrap();
    assert!(times(stat(&mut guest, "f"))[1] > made[1]);
    assert_eq!(times(fd_stat(&mut guest, new)), made);
}

#[test]
fn numbers_are_of_what_is_there() {
    let mut guest = Guest::new();
    let mut seen = Vec::new();
    for _ in 0..50 {
        // The host may well give the same number again and again.
        let fd = guest.open("f", CREAT, ALL).unwrap();
        let of_file = number(stat(&mut guest, "f"));
        assert_eq!(number(fd_stat(&mut guest, fd)), of_file);
        guest.link(0, "f", "g").unwrap();
        guest.rename("f", "h").unwrap();
        assert_eq!([number(stat(&mut guest, "g")), number(stat(&mut guest, "h"))], [of_file; 2]);
        guest.rename("g", "g").unwrap();
        guest.unlink("g").unwrap();
        guest.rename("h", "h").unwrap();
        assert_eq!(number(stat(&mut guest, "h")), of_file);
        guest.close(fd).unwrap();
        guest.unlink("h").unwrap();
        guest.mkdir("d").unwrap();
        let of_dir = number(stat(&mut guest, "d"));
        guest.rmdir("d").unwrap();
        guest.symlink("nowhere", "l").unwrap();
        let of_link = number(stat(&mut guest, "l"));
        guest.unlink("l").unwrap();
        seen.extend([of_file, of_dir, of_link]);
    }
    assert_eq!(seen, (1..=150).collect::<Vec<u64>>());
}
