//! Standard input, output and error.

mod common;

use common::*;
use runwell_wasi::{Errno, MemoryInputPipe, MemoryOutputPipe, preview1};
use std::io::{self, IoSlice, Read, Write};
use std::process::{Command, Stdio};

#[test]
fn nothing_by_default() {
    let mut guest = Guest::new();
    assert_eq!(guest.read(0, 9), Ok(String::new()));
    assert_eq!(guest.write(1, "abc"), Ok(3));
    assert_eq!(guest.write(2, "abc"), Ok(3));
    assert_eq!(guest.write(0, "abc"), Err(Errno::BadF));
    assert_eq!(guest.read(1, 9), Err(Errno::BadF));
    assert_eq!(guest.read(2, 9), Err(Errno::BadF));
}

#[test]
fn pipes_in_memory() {
    let (output, error) = (MemoryOutputPipe::new(100), MemoryOutputPipe::new(100));
    let mut guest = Guest::with(|builder| {
        builder.stdin(MemoryInputPipe::new(&b"abcdef"[..]));
        builder.stdout(output.clone()).stderr(error.clone());
    });
    assert_eq!(guest.read(0, 4), Ok("abcd".into()));
    assert_eq!(guest.read(0, 4), Ok("ef".into()));
    assert_eq!(guest.read(0, 4), Ok(String::new()));
    guest.write(1, "out").unwrap();
    guest.write(2, "error").unwrap();
    guest.put(BUFFER, b" more");
    let (iovs, count) = guest.iovecs(&[0, 2, 3]);
    let written = {
        // A writer takes as much of several buffers as it likes; the guest goes on from there.
        guest.call(|ctx, mem| preview1::fd_write(ctx, mem, 1, iovs, count, OUT)).unwrap();
        guest.u32(OUT) as usize
    };
    assert!((1..=5).contains(&written));
    assert_eq!(output.contents(), [b"out", &b" more"[..written]].concat());
    assert_eq!(error.contents(), b"error");
}

#[test]
fn a_full_pipe_says_so() {
    let output = MemoryOutputPipe::new(5);
    let mut guest = Guest::with(|builder| {
        builder.stdout(output.clone());
    });
    assert_eq!(guest.write(1, "abc"), Ok(3));
    assert_eq!(guest.write(1, "defg"), Ok(2));
    assert_eq!(guest.write(1, ""), Ok(0));
    assert_eq!(guest.write(1, "h"), Err(Errno::NoSpc));
    assert_eq!(output.contents(), b"abcde");
}

#[test]
fn reading_takes_what_is_there_and_does_not_wait_for_more() {
    struct Pieces(Vec<io::Result<&'static [u8]>>);
    impl Read for Pieces {
        fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
            match self.0.pop().unwrap_or(Ok(b""))? {
                mut piece if piece.len() <= to.len() => piece.read(to),
                // A lie.
                piece => Ok(piece.len()),
            }
        }
    }
    let mut guest = Guest::with(|builder| {
        builder.stdin(Pieces(vec![
            Ok(b"much too long"),
            Err(io::ErrorKind::ConnectionReset.into()),
            Err(io::ErrorKind::WouldBlock.into()),
            Ok(b"b"),
            Err(io::ErrorKind::Interrupted.into()),
            Ok(b"a"),
        ]));
    });
    let (iovs, count) = guest.iovecs(&[0, 4, 4]);
    for piece in [b"a", b"b"] {
        guest.call(|ctx, mem| preview1::fd_read(ctx, mem, 0, iovs, count, OUT)).unwrap();
        assert_eq!((guest.u32(OUT), guest.get(BUFFER, 1)), (1, &piece[..]));
    }
    assert_eq!(guest.read(0, 4), Err(Errno::Again));
    assert_eq!(guest.read(0, 4), Err(Errno::Io));
    guest.call(|ctx, mem| preview1::fd_read(ctx, mem, 0, iovs, count, OUT)).unwrap();
    assert_eq!(guest.u32(OUT), 4, "no more than there is room for");
}

#[test]
fn writers_that_fail_or_lie() {
    struct Writer(Vec<io::Result<usize>>);
    impl Write for Writer {
        fn write(&mut self, from: &[u8]) -> io::Result<usize> {
            self.write_vectored(&[IoSlice::new(from)])
        }
        fn write_vectored(&mut self, _: &[IoSlice<'_>]) -> io::Result<usize> {
            self.0.pop().unwrap_or(Ok(0))
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut guest = Guest::with(|builder| {
        builder.stdout(Writer(vec![
            Ok(usize::MAX),
            Err(io::ErrorKind::BrokenPipe.into()),
            Ok(1),
            Err(io::ErrorKind::Interrupted.into()),
        ]));
    });
    assert_eq!(guest.write(1, "abc"), Ok(1));
    assert_eq!(guest.write(1, "abc"), Err(Errno::Pipe));
    assert_eq!(guest.write(1, "abc"), Ok(3));
    assert_eq!(guest.write(1, "abc"), Ok(0));
}

#[test]
fn streams_move_by_renumbering() {
    let output = MemoryOutputPipe::new(100);
    let mut guest = Guest::with(|builder| {
        builder.stdout(output.clone());
    });
    guest.call(|ctx, mem| preview1::fd_renumber(ctx, mem, 1, 2)).unwrap();
    assert_eq!(guest.write(1, "abc"), Err(Errno::BadF));
    assert_eq!(guest.write(2, "abc"), Ok(3));
    assert_eq!(output.contents(), b"abc");
}

const CHILD: &str = "RUNWELL_WASI_TEST_CHILD";
const READY: &[u8; 1] = b"\x01";

/// Runs as a process of its own, whose standard output and error nobody reads any more once a byte
/// comes from its standard input.
#[test]
fn child_whose_output_is_closed() {
    if std::env::var_os(CHILD).is_none() {
        return;
    }
    let mut guest = Guest::with(|builder| {
        builder.inherit_stdio();
    });
    // All that the test harness says before is said then.
    let mut stdout = io::stdout();
    stdout.write_all(READY).and_then(|()| stdout.flush()).unwrap();
    assert_eq!(guest.read(0, 1), Ok("x".into()));
    let results = [guest.write(1, "abc"), guest.write(2, "abc"), guest.write(1, "again")];
    let all = results.iter().all(|result| *result == Err(Errno::Pipe));
    drop(guest);
    std::process::exit(if all { 42 } else { 43 });
}

#[test]
fn closed_output_is_an_error_and_no_panic() {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child_whose_output_is_closed"])
        .env(CHILD, "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = [0; 1];
    let mut output = child.stdout.take().unwrap();
    while said != *READY {
        output.read_exact(&mut said).unwrap();
    }
    drop((output, child.stderr.take()));
    child.stdin.take().unwrap().write_all(b"x").unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(42));
}
