//! Reading directories: order, cookies, and what fits.

mod common;

use common::*;
use runwell_wasi::{Errno, preview1};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, symlink};

#[derive(Debug, Clone, PartialEq)]
struct Entry {
    next: u64,
    ino: u64,
    kind: u8,
    name: Vec<u8>,
}

fn read_bytes(guest: &mut Guest, fd: u32, room: u32, cookie: u64) -> Vec<u8> {
    guest.call(|ctx, mem| preview1::fd_readdir(ctx, mem, fd, BUFFER, room, cookie, OUT)).unwrap();
    let used = guest.u32(OUT);
    assert!(used <= room);
    guest.get(BUFFER, used as usize).to_vec()
}

/// The whole entries that one call gives, and whether it gave all it had room for.
fn read_some(guest: &mut Guest, fd: u32, room: u32, cookie: u64) -> (Vec<Entry>, bool) {
    let bytes = read_bytes(guest, fd, room, cookie);
    let full = bytes.len() == room as usize;
    let mut rest = &bytes[..];
    let mut entries = Vec::new();
    while let Some((head, after)) = rest.split_at_checked(24) {
        let len = u32::from_le_bytes(head[16..20].try_into().unwrap()) as usize;
        let Some((name, after)) = after.split_at_checked(len) else { break };
        assert_eq!(head[21..], [0; 3]);
        entries.push(Entry {
            next: u64::from_le_bytes(head[..8].try_into().unwrap()),
            ino: u64::from_le_bytes(head[8..16].try_into().unwrap()),
            kind: head[20],
            name: name.to_vec(),
        });
        rest = after;
    }
    (entries, full)
}

/// Reads a directory as a C library does, with some room in each call.
fn read_all(guest: &mut Guest, fd: u32, room: u32) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    loop {
        let cookie = entries.last().map_or(0, |entry| entry.next);
        let (more, full) = read_some(guest, fd, room, cookie);
        assert!(!more.is_empty() || !full, "there is room for one entry at least");
        entries.extend(more);
        if !full {
            return entries;
        }
    }
}

fn names(entries: &[Entry]) -> Vec<&str> {
    entries.iter().map(|entry| std::str::from_utf8(&entry.name).unwrap()).collect()
}

#[test]
fn entries_are_in_the_order_of_their_bytes() {
    let mut guest = Guest::new();
    for name in ["b", "a", "Z", "ä", "aa", ".hidden", "-", "10", "9"] {
        guest.put_file(name, "");
    }
    let entries = read_all(&mut guest, DIR, 4096);
    let sorted = [".", "..", "-", ".hidden", "10", "9", "Z", "a", "aa", "b", "ä"];
    assert_eq!(names(&entries), sorted);
    let cookies: Vec<u64> = entries.iter().map(|entry| entry.next).collect();
    assert_eq!(cookies, (1..=11).collect::<Vec<u64>>());
}

#[test]
fn kinds_and_numbers() {
    let mut guest = Guest::with(|builder| _ = builder.real_clock());
    guest.put_file("file", "");
    guest.mkdir("dir").unwrap();
    symlink("nowhere", guest.host("link")).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(guest.host("s")).unwrap();
    let entries = read_all(&mut guest, DIR, 4096);
    let kinds: Vec<_> = entries.iter().map(|entry| entry.kind).collect();
    assert_eq!(names(&entries), [".", "..", "dir", "file", "link", "s"]);
    assert_eq!(kinds, [3, 3, 3, 4, 7, 6]);
    let own = std::fs::metadata(&guest.dir).unwrap().ino();
    assert_eq!(entries[0].ino, own);
    assert_eq!(entries[1].ino, own, "nothing of what is outside");
    assert_eq!(entries[3].ino, std::fs::metadata(guest.host("file")).unwrap().ino());
}

#[test]
fn any_room_gives_the_same() {
    let mut guest = Guest::new();
    for index in 0..20 {
        guest.put_file(&"n".repeat(index + 1), "");
    }
    let all = read_all(&mut guest, DIR, 4096);
    assert_eq!(all.len(), 22);
    for room in [44, 45, 60, 100, 101, 500] {
        assert_eq!(read_all(&mut guest, DIR, room), all, "{room}");
    }
    // Too little for anything: what there is of the first entry.
    let whole = read_bytes(&mut guest, DIR, 4096, 0);
    for room in [0, 1, 23, 24, 25] {
        assert_eq!(read_bytes(&mut guest, DIR, room, 0), whole[..room as usize], "{room}");
    }
    // Exactly enough says nothing about the end; the next call does.
    assert_eq!(read_bytes(&mut guest, DIR, whole.len() as u32, 0), whole);
    assert_eq!(read_bytes(&mut guest, DIR, 100, 22), []);
}

#[test]
fn cookies_lead_back_to_where_they_come_from() {
    let mut guest = Guest::new();
    for name in ["a", "b", "c"] {
        guest.put_file(name, "");
    }
    let all = read_all(&mut guest, DIR, 4096);
    for (index, entry) in all.iter().enumerate() {
        let (rest, _) = read_some(&mut guest, DIR, 4096, entry.next);
        assert_eq!(rest, all[index + 1..]);
    }
    for cookie in [6, 1000, u64::MAX] {
        assert_eq!(read_bytes(&mut guest, DIR, 4096, cookie), []);
    }
}

#[test]
fn removing_while_reading_misses_nothing() {
    let mut guest = Guest::new();
    for index in 0..100 {
        guest.put_file(&format!("file-{index:02}"), "");
    }
    let (mut cookie, mut seen) = (0, 0);
    loop {
        let (entries, full) = read_some(&mut guest, DIR, 150, cookie);
        for entry in &entries {
            cookie = entry.next;
            if entry.kind == 4 {
                guest.unlink(std::str::from_utf8(&entry.name).unwrap()).unwrap();
                seen += 1;
            }
        }
        if !full {
            break;
        }
    }
    assert_eq!(seen, 100);
    assert_eq!(names(&read_all(&mut guest, DIR, 4096)), [".", ".."]);
}

#[test]
fn reading_from_the_start_sees_what_is_new() {
    let mut guest = Guest::new();
    guest.put_file("b", "");
    assert_eq!(names(&read_all(&mut guest, DIR, 50)), [".", "..", "b"]);
    // Half read, then from the start again.
    read_some(&mut guest, DIR, 30, 0);
    guest.put_file("a", "");
    assert_eq!(names(&read_all(&mut guest, DIR, 50)), [".", "..", "a", "b"]);
}

#[test]
fn names_that_are_not_text_are_told_as_they_are() {
    let mut guest = Guest::new();
    std::fs::write(guest.host("x").with_file_name(OsStr::from_bytes(b"\xff")), "").unwrap();
    let entries = read_all(&mut guest, DIR, 4096);
    assert_eq!(entries[2].name, b"\xff");
}

#[test]
fn directories_opened_in_all_ways() {
    let mut guest = Guest::new();
    guest.mkdir("d").unwrap();
    guest.put_file("d/f", "");
    for oflags in [0, DIRECTORY] {
        let fd = guest.open("d", oflags, READ).unwrap();
        assert_eq!(names(&read_all(&mut guest, fd, 100)), [".", "..", "f"]);
    }
    let mut guest = Guest::read_only();
    guest.put_file("f", "");
    assert_eq!(names(&read_all(&mut guest, DIR, 100)), [".", "..", "f"]);
}

#[test]
fn what_is_no_directory_cannot_be_read() {
    let mut guest = Guest::new();
    guest.put_file("f", "");
    let fd = guest.open("f", 0, ALL & !WRITE).unwrap();
    for (fd, wrong) in [(fd, Errno::NotDir), (0, Errno::NotDir), (99, Errno::BadF)] {
        let read = guest.call(|ctx, mem| preview1::fd_readdir(ctx, mem, fd, BUFFER, 99, 0, OUT));
        assert_eq!(read, Err(wrong));
    }
    let end = guest.bytes.len() as u32;
    for (buffer, room, used) in
        [(end, 1, OUT), (end - 1, 2, OUT), (BUFFER, 99, end - 3), (0, u32::MAX, OUT)]
    {
        let read =
            guest.call(|ctx, mem| preview1::fd_readdir(ctx, mem, DIR, buffer, room, 0, used));
        assert_eq!(read, Err(Errno::Fault));
    }
    guest.call(|ctx, mem| preview1::fd_fdstat_set_rights(ctx, mem, DIR, 1 << 13, 0)).unwrap();
    let read = guest.call(|ctx, mem| preview1::fd_readdir(ctx, mem, DIR, BUFFER, 99, 0, OUT));
    assert_eq!(read, Err(Errno::NotCapable));
}
