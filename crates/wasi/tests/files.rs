//! Functions of open files, each against what the specification says of it.

mod common;

use common::*;
use runwell_wasi::{Errno, VIRTUAL_EPOCH_NS, preview1};
use std::os::unix::fs::MetadataExt;

#[test]
fn reading_fills_buffers_in_order_and_moves_the_position() {
    let mut guest = Guest::new();
    guest.put_file("f", "0123456789");
    let fd = guest.open("f", 0, READ).unwrap();
    let (iovs, count) = guest.iovecs(&[3, 0, 4]);
    guest.call(|ctx, mem| preview1::fd_read(ctx, mem, fd, iovs, count, OUT)).unwrap();
    assert_eq!((guest.u32(OUT), guest.get(BUFFER, 8)), (7, &b"0123456\0"[..]));
    assert_eq!(guest.read(fd, 9), Ok("789".into()));
    assert_eq!(guest.read(fd, 9), Ok(String::new()));
    assert_eq!(guest.read(fd, 0), Ok(String::new()));
    assert_eq!(guest.write(fd, "x"), Err(Errno::BadF));
}

#[test]
fn writing_takes_buffers_in_order_and_moves_the_position() {
    let mut guest = Guest::new();
    let fd = guest.open("f", CREAT, WRITE).unwrap();
    guest.put(BUFFER, b"abcdef");
    let (iovs, count) = guest.iovecs(&[2, 0, 4]);
    guest.call(|ctx, mem| preview1::fd_write(ctx, mem, fd, iovs, count, OUT)).unwrap();
    assert_eq!(guest.u32(OUT), 6);
    assert_eq!(guest.write(fd, "gh"), Ok(2));
    assert_eq!(guest.write(fd, ""), Ok(0));
    assert_eq!(guest.file("f"), "abcdefgh");
    assert_eq!(guest.read(fd, 1), Err(Errno::BadF));
}

#[test]
fn more_buffers_than_one_system_call_takes() {
    let mut guest = Guest::new();
    let fd = guest.open("f", CREAT, READ_WRITE).unwrap();
    let text: String = ('a'..='z').cycle().take(1024).collect();
    guest.put(BUFFER, text.as_bytes());
    // The array of a thousand buffers, one byte each, lies behind them.
    let array = BUFFER + 0x1000;
    for index in 0..1025 {
        guest.put(array + 8 * index, &(BUFFER + index).to_le_bytes());
        guest.put(array + 8 * index + 4, &1_u32.to_le_bytes());
    }
    guest.call(|ctx, mem| preview1::fd_write(ctx, mem, fd, array, 1024, OUT)).unwrap();
    assert_eq!((guest.u32(OUT), guest.file("f")), (1024, text.clone()));
    guest.put(BUFFER, &[0; 1024]);
    guest.seek(fd, 0, 0).unwrap();
    guest.call(|ctx, mem| preview1::fd_read(ctx, mem, fd, array, 1024, OUT)).unwrap();
    assert_eq!((guest.u32(OUT), guest.get(BUFFER, 1024)), (1024, text.as_bytes()));
    for count in [1025, 0x2000_0000, 0x2000_0001, u32::MAX] {
        let read = guest.call(|ctx, mem| preview1::fd_read(ctx, mem, fd, array, count, OUT));
        assert_eq!(read, Err(Errno::Inval));
        let write = guest.call(|ctx, mem| preview1::fd_write(ctx, mem, fd, array, count, OUT));
        assert_eq!(write, Err(Errno::Inval));
    }
}

#[test]
fn buffers_may_lie_over_their_own_array() {
    let mut guest = Guest::new();
    // What is read first replaces the second buffer by one outside of the memory.
    let mut content = 0xffff_fff0_u32.to_le_bytes().to_vec();
    content.extend(0x10_u32.to_le_bytes());
    content.extend([7; 16]);
    std::fs::write(guest.host("f"), &content).unwrap();
    let fd = guest.open("f", 0, READ).unwrap();
    guest.put(256, &264_u32.to_le_bytes());
    guest.put(260, &8_u32.to_le_bytes());
    guest.put(264, &BUFFER.to_le_bytes());
    guest.put(268, &16_u32.to_le_bytes());
    guest.call(|ctx, mem| preview1::fd_read(ctx, mem, fd, 256, 2, OUT)).unwrap();
    assert_eq!((guest.u32(OUT), guest.u32(264)), (8, 0xffff_fff0));
    let again = guest.call(|ctx, mem| preview1::fd_read(ctx, mem, fd, 264, 1, OUT));
    assert_eq!(again, Err(Errno::Fault));
}

#[test]
fn reading_and_writing_at_an_offset_leave_the_position() {
    let mut guest = Guest::new();
    let fd = guest.open("f", CREAT, READ_WRITE).unwrap();
    guest.write(fd, "0123456789").unwrap();
    guest.put(BUFFER, b"XY");
    let (iovs, count) = guest.iovecs(&[1, 1]);
    guest.call(|ctx, mem| preview1::fd_pwrite(ctx, mem, fd, iovs, count, 12, OUT)).unwrap();
    assert_eq!((guest.u32(OUT), guest.file("f")), (2, "0123456789\0\0XY".into()));
    let (iovs, count) = guest.iovecs(&[2, 2]);
    guest.call(|ctx, mem| preview1::fd_pread(ctx, mem, fd, iovs, count, 7, OUT)).unwrap();
    assert_eq!((guest.u32(OUT), guest.get(BUFFER, 4)), (4, &b"789\0"[..]));
    guest.call(|ctx, mem| preview1::fd_tell(ctx, mem, fd, OUT)).unwrap();
    assert_eq!(guest.u64(OUT), 10);
    let far = guest.call(|ctx, mem| preview1::fd_pread(ctx, mem, fd, iovs, count, u64::MAX, OUT));
    assert_eq!(far, Err(Errno::Inval));
    let far = guest.call(|ctx, mem| preview1::fd_pwrite(ctx, mem, fd, iovs, count, u64::MAX, OUT));
    assert_eq!(far, Err(Errno::Inval));

    let reader = guest.open("f", 0, READ).unwrap();
    let writer = guest.open("f", 0, WRITE).unwrap();
    for (fd, wrong) in [(writer, Errno::BadF), (0, Errno::SPipe), (DIR, Errno::BadF)] {
        let read = guest.call(|ctx, mem| preview1::fd_pread(ctx, mem, fd, iovs, count, 0, OUT));
        assert_eq!(read, Err(wrong));
    }
    for (fd, wrong) in [(reader, Errno::BadF), (1, Errno::SPipe), (DIR, Errno::BadF)] {
        let write = guest.call(|ctx, mem| preview1::fd_pwrite(ctx, mem, fd, iovs, count, 0, OUT));
        assert_eq!(write, Err(wrong));
    }
}

#[test]
fn seeking() {
    let mut guest = Guest::new();
    guest.put_file("f", "0123456789");
    let fd = guest.open("f", 0, READ).unwrap();
    assert_eq!(guest.seek(fd, 4, 0), Ok(4));
    assert_eq!(guest.seek(fd, -1, 1), Ok(3));
    assert_eq!(guest.read(fd, 2), Ok("34".into()));
    assert_eq!(guest.seek(fd, -1, 2), Ok(9));
    assert_eq!(guest.seek(fd, 5, 2), Ok(15));
    assert_eq!(guest.read(fd, 2), Ok(String::new()));
    all_fail(
        Errno::Inval,
        [
            ("before the start", guest.seek(fd, -11, 2)),
            ("negative", guest.seek(fd, -1, 0)),
            ("unknown whence", guest.seek(fd, 0, 3)),
        ],
    );
    guest.call(|ctx, mem| preview1::fd_tell(ctx, mem, fd, OUT)).unwrap();
    assert_eq!(guest.u64(OUT), 15);
    for stream in 0..3 {
        assert_eq!(guest.seek(stream, 0, 1), Err(Errno::SPipe));
        let tell = guest.call(|ctx, mem| preview1::fd_tell(ctx, mem, stream, OUT));
        assert_eq!(tell, Err(Errno::SPipe));
    }
    assert_eq!(guest.seek(DIR, 0, 0), Err(Errno::BadF));
    assert_eq!(guest.seek(99, 0, 0), Err(Errno::BadF));
}

#[test]
fn sizes() {
    let mut guest = Guest::new();
    let fd = guest.open("f", CREAT, WRITE).unwrap();
    guest.write(fd, "0123456789").unwrap();
    guest.call(|ctx, mem| preview1::fd_filestat_set_size(ctx, mem, fd, 4)).unwrap();
    assert_eq!(guest.file("f"), "0123");
    guest.call(|ctx, mem| preview1::fd_filestat_set_size(ctx, mem, fd, 6)).unwrap();
    assert_eq!(guest.file("f"), "0123\0\0");
    guest.call(|ctx, mem| preview1::fd_allocate(ctx, mem, fd, 2, 7)).unwrap();
    assert_eq!(guest.file("f"), "0123\0\0\0\0\0");
    let reader = guest.open("f", 0, READ).unwrap();
    for (fd, wrong) in [(reader, Errno::Inval), (1, Errno::Inval), (DIR, Errno::BadF)] {
        let set = guest.call(|ctx, mem| preview1::fd_filestat_set_size(ctx, mem, fd, 0));
        assert_eq!(set, Err(wrong));
    }
    let huge = guest.call(|ctx, mem| preview1::fd_filestat_set_size(ctx, mem, fd, u64::MAX));
    assert!(huge.is_err());
    for fd in [reader, 1, DIR] {
        let allocate = guest.call(|ctx, mem| preview1::fd_allocate(ctx, mem, fd, 0, 100));
        assert!(allocate.is_err(), "{fd}");
    }
    assert_eq!(guest.file("f").len(), 9);
}

#[test]
fn advice_and_syncing() {
    let mut guest = Guest::new();
    let fd = guest.open("f", CREAT, READ_WRITE).unwrap();
    for advice in 0..6 {
        guest.call(|ctx, mem| preview1::fd_advise(ctx, mem, fd, 0, 10, advice)).unwrap();
    }
    let unknown = guest.call(|ctx, mem| preview1::fd_advise(ctx, mem, fd, 0, 0, 6));
    assert_eq!(unknown, Err(Errno::Inval));
    let stream = guest.call(|ctx, mem| preview1::fd_advise(ctx, mem, 0, 0, 0, 0));
    assert_eq!(stream, Err(Errno::SPipe));
    let dir = guest.call(|ctx, mem| preview1::fd_advise(ctx, mem, DIR, 0, 0, 0));
    assert_eq!(dir, Err(Errno::BadF));
    for fd in [fd, DIR] {
        guest.call(|ctx, mem| preview1::fd_sync(ctx, mem, fd)).unwrap();
        guest.call(|ctx, mem| preview1::fd_datasync(ctx, mem, fd)).unwrap();
    }
    for (fd, wrong) in [(1, Errno::Inval), (99, Errno::BadF)] {
        assert_eq!(guest.call(|ctx, mem| preview1::fd_sync(ctx, mem, fd)), Err(wrong));
        assert_eq!(guest.call(|ctx, mem| preview1::fd_datasync(ctx, mem, fd)), Err(wrong));
    }
}

/// Kind, flags, rights and inherited rights.
fn fdstat(guest: &mut Guest, fd: u32) -> (u8, u16, u64, u64) {
    guest.call(|ctx, mem| preview1::fd_fdstat_get(ctx, mem, fd, BUFFER)).unwrap();
    (guest.u8(BUFFER), guest.u16(BUFFER + 2), guest.u64(BUFFER + 8), guest.u64(BUFFER + 16))
}

#[test]
fn what_a_descriptor_is() {
    let mut guest = Guest::new();
    let (kind, flags, base, inheriting) = fdstat(&mut guest, DIR);
    assert_eq!((kind, flags), (3, 0));
    // A C library computes what it may pass on from these.
    assert_eq!(base & (1 << 13 | 1 << 14 | 1 << 26), 1 << 13 | 1 << 14 | 1 << 26);
    assert_eq!(base & (READ | WRITE | SEEK), 0);
    assert_eq!(inheriting & base, base);
    assert_eq!(inheriting & (READ | WRITE | SEEK), READ | WRITE | SEEK);
    let fd = guest.open("f", CREAT, READ | SEEK | 1 << 13).unwrap();
    assert_eq!(fdstat(&mut guest, fd), (4, 0, READ | SEEK, 0));
    let (kind, _, base, _) = fdstat(&mut guest, 0);
    assert_eq!((kind, base & (READ_WRITE | SEEK)), (0, READ));
    let (_, _, base, _) = fdstat(&mut guest, 1);
    assert_eq!(base & (READ_WRITE | SEEK), WRITE);
    let closed = guest.call(|ctx, mem| preview1::fd_fdstat_get(ctx, mem, 99, BUFFER));
    assert_eq!(closed, Err(Errno::BadF));
}

#[test]
fn appending_can_be_set_later() {
    let mut guest = Guest::new();
    let fd = guest.open("f", CREAT, READ_WRITE).unwrap();
    guest.write(fd, "abc").unwrap();
    guest.call(|ctx, mem| preview1::fd_fdstat_set_flags(ctx, mem, fd, 1 | 4)).unwrap();
    assert_eq!(fdstat(&mut guest, fd).1, 1 | 4);
    guest.seek(fd, 0, 0).unwrap();
    guest.write(fd, "d").unwrap();
    guest.call(|ctx, mem| preview1::fd_fdstat_set_flags(ctx, mem, fd, 0)).unwrap();
    assert_eq!(fdstat(&mut guest, fd).1, 0);
    guest.seek(fd, 0, 0).unwrap();
    guest.write(fd, "x").unwrap();
    assert_eq!(guest.file("f"), "xbcd");
    let set = |guest: &mut Guest, fd, flags| {
        guest.call(|ctx, mem| preview1::fd_fdstat_set_flags(ctx, mem, fd, flags))
    };
    assert_eq!(set(&mut guest, fd, 32), Err(Errno::Inval));
    assert_eq!(set(&mut guest, fd, 2), Err(Errno::NotSup));
    assert_eq!(set(&mut guest, 1, 1), Ok(()));
    assert_eq!(set(&mut guest, 1, 4), Err(Errno::NotSup));
    assert_eq!(set(&mut guest, 99, 0), Err(Errno::BadF));
}

#[test]
fn rights_can_only_be_given_up() {
    let mut guest = Guest::new();
    let narrow = |guest: &mut Guest, fd, base, inheriting| {
        guest.call(|ctx, mem| preview1::fd_fdstat_set_rights(ctx, mem, fd, base, inheriting))
    };
    let fd = guest.open("f", CREAT, READ_WRITE).unwrap();
    narrow(&mut guest, fd, WRITE, 0).unwrap();
    assert_eq!(narrow(&mut guest, fd, READ_WRITE, 0), Err(Errno::NotCapable));
    assert_eq!(narrow(&mut guest, fd, WRITE, WRITE), Err(Errno::NotCapable));
    assert_eq!(guest.read(fd, 1), Err(Errno::BadF));
    guest.write(fd, "abc").unwrap();
    narrow(&mut guest, fd, 0, 0).unwrap();
    assert_eq!(guest.write(fd, "abc"), Err(Errno::BadF));

    // Only opening for reading, and what is opened can only be read.
    narrow(&mut guest, DIR, 1 << 13 | 1 << 9, READ | 1 << 13).unwrap();
    assert_eq!(narrow(&mut guest, DIR, 1 << 14, 0), Err(Errno::NotCapable));
    all_fail(
        Errno::NotCapable,
        [("write", guest.open("f", 0, WRITE)), ("create", guest.open("g", CREAT, READ))],
    );
    all_fail(
        Errno::NotCapable,
        [
            ("rename", guest.rename("f", "g")),
            ("unlink", guest.unlink("f")),
            ("rmdir", guest.rmdir("f")),
            ("link", guest.link(0, "f", "g")),
            ("symlink", guest.symlink("f", "g")),
            ("stat", guest.stat(FOLLOW, "f")),
            ("times", guest.set_path_times(FOLLOW, "f", (0, 0, 0))),
            ("readlink", guest.readlink("f", 1).map(drop)),
        ],
    );
    assert_eq!(guest.mkdir("d"), Ok(()));
    let sub = guest.open("d", DIRECTORY, ALL & !WRITE).unwrap();
    assert_eq!(fdstat(&mut guest, sub), (3, 0, 1 << 13, READ | 1 << 13));
    let fd = guest.open("f", 0, READ).unwrap();
    assert_eq!(guest.read(fd, 9), Ok("abc".into()));
    assert_eq!(narrow(&mut guest, 1, 0, 0), Err(Errno::NotSup));
}

#[test]
fn what_is_known_of_an_open_file() {
    // What the host knows, that is: see `inodes.rs` for what guests are told otherwise.
    let mut guest = Guest::with(|builder| _ = builder.real_clock());
    guest.put_file("f", "abc");
    std::fs::hard_link(guest.host("f"), guest.host("g")).unwrap();
    let fd = guest.open("f", 0, READ).unwrap();
    guest.call(|ctx, mem| preview1::fd_filestat_get(ctx, mem, fd, BUFFER)).unwrap();
    let host = std::fs::metadata(guest.host("f")).unwrap();
    assert_eq!(guest.u64(BUFFER), host.dev());
    assert_eq!(guest.u64(BUFFER + 8), host.ino());
    assert_eq!(guest.u64(BUFFER + 16), 4, "a regular file, and seven bytes of nothing");
    assert_eq!((guest.u64(BUFFER + 24), guest.u64(BUFFER + 32)), (2, 3));
    let modified = host.mtime() as u64 * 1_000_000_000 + host.mtime_nsec() as u64;
    assert_eq!(guest.u64(BUFFER + 48), modified);
    guest.call(|ctx, mem| preview1::fd_filestat_get(ctx, mem, DIR, BUFFER)).unwrap();
    assert_eq!(guest.u8(BUFFER + 16), 3);
    guest.call(|ctx, mem| preview1::fd_filestat_get(ctx, mem, 1, BUFFER)).unwrap();
    assert_eq!(guest.get(BUFFER, 64), [0; 64]);
}

#[test]
fn times_of_open_files_and_directories() {
    let mut guest = Guest::new();
    let fd = guest.open("f", CREAT, ALL).unwrap();
    let set = |guest: &mut Guest, fd, atim, mtim, flags| {
        guest.call(|ctx, mem| preview1::fd_filestat_set_times(ctx, mem, fd, atim, mtim, flags))
    };
    let times = |guest: &Guest, name: &str| {
        let metadata = std::fs::metadata(guest.host(name)).unwrap();
        ((metadata.atime(), metadata.atime_nsec()), (metadata.mtime(), metadata.mtime_nsec()))
    };
    for (fd, name) in [(fd, "f"), (DIR, ".")] {
        set(&mut guest, fd, 5_000_000_006, 7_000_000_008, 1 | 4).unwrap();
        assert_eq!(times(&guest, name), ((5, 6), (7, 8)));
        set(&mut guest, fd, 9, 1_000_000_002, 4).unwrap();
        assert_eq!(times(&guest, name), ((5, 6), (1, 2)));
        set(&mut guest, fd, 9, 9, 0).unwrap();
        assert_eq!(times(&guest, name), ((5, 6), (1, 2)));
        set(&mut guest, fd, 0, 0, 2).unwrap();
        let ((now, _), kept) = times(&guest, name);
        assert_eq!((now as u64, kept), (VIRTUAL_EPOCH_NS / 1_000_000_000, (1, 2)));
        all_fail(
            Errno::Inval,
            [
                ("both", set(&mut guest, fd, 0, 0, 1 | 2)),
                ("both", set(&mut guest, fd, 0, 0, 4 | 8)),
                ("unknown", set(&mut guest, fd, 0, 0, 16)),
            ],
        );
    }
    assert_eq!(set(&mut guest, 1, 0, 0, 2), Err(Errno::Inval));
    assert_eq!(set(&mut guest, 99, 0, 0, 2), Err(Errno::BadF));
    let plain = guest.open("f", 0, READ).unwrap();
    assert_eq!(set(&mut guest, plain, 0, 0, 2), Err(Errno::NotCapable));
}

#[test]
fn preopened_directories_have_names() {
    let mut guest = Guest::with(|builder| {
        builder.preopened_dir("/", "long/name").unwrap();
    });
    guest.put(BUFFER, &[0xff; 32]);
    guest.call(|ctx, mem| preview1::fd_prestat_get(ctx, mem, 4, BUFFER)).unwrap();
    assert_eq!((guest.u32(BUFFER), guest.u32(BUFFER + 4)), (0, 9));
    guest.call(|ctx, mem| preview1::fd_prestat_dir_name(ctx, mem, 4, BUFFER, 9)).unwrap();
    assert_eq!(guest.get(BUFFER, 10), b"long/name\xff");
    let short = guest.call(|ctx, mem| preview1::fd_prestat_dir_name(ctx, mem, 4, BUFFER, 8));
    assert_eq!(short, Err(Errno::NameTooLong));
    guest.mkdir("d").unwrap();
    let opened = guest.open("d", DIRECTORY, ALL & !WRITE).unwrap();
    for fd in [0, 1, 2, opened, 6, u32::MAX] {
        let get = guest.call(|ctx, mem| preview1::fd_prestat_get(ctx, mem, fd, BUFFER));
        assert_eq!(get, Err(Errno::BadF));
        let name = guest.call(|ctx, mem| preview1::fd_prestat_dir_name(ctx, mem, fd, BUFFER, 9));
        assert_eq!(name, Err(Errno::BadF));
    }
}

#[test]
fn closing_and_renumbering() {
    let mut guest = Guest::new();
    guest.put_file("f", "f");
    guest.put_file("g", "g");
    let f = guest.open("f", 0, READ).unwrap();
    let g = guest.open("g", 0, READ).unwrap();
    guest.call(|ctx, mem| preview1::fd_renumber(ctx, mem, g, f)).unwrap();
    assert_eq!(guest.read(f, 9), Ok("g".into()));
    assert_eq!(guest.read(g, 9), Err(Errno::BadF));
    let closed = guest.call(|ctx, mem| preview1::fd_renumber(ctx, mem, f, g));
    assert_eq!(closed, Err(Errno::BadF));
    guest.close(f).unwrap();
    assert_eq!(guest.close(f), Err(Errno::BadF));
    assert_eq!(guest.open("f", 0, READ), Ok(f), "the lowest free number");
    guest.close(DIR).unwrap();
    assert_eq!(guest.open("f", 0, READ), Err(Errno::BadF));
}
