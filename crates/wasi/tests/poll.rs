//! Waiting for clocks and descriptors.

mod common;

use common::*;
use runwell_wasi::{Errno, MemoryInputPipe, Result, VIRTUAL_EPOCH_NS, VIRTUAL_STEP_NS, preview1};
use std::time::{Duration, Instant};

const REALTIME: u32 = 0;
const MONOTONIC: u32 = 1;
const SECOND: u64 = 1_000_000_000;
const SUBSCRIPTIONS: u32 = 0x4000;
const EVENTS: u32 = 0x6000;

#[derive(Clone, Copy)]
enum Wait {
    In(u32, u64),
    Until(u32, u64),
    Read(u32),
    Write(u32),
}

/// Error, kind, bytes, flags.
type Event = (u16, u8, u64, u16);

/// Subscriptions whose user data are their numbers plus 100.
fn subscribe(guest: &mut Guest, waits: &[Wait]) {
    for (index, &wait) in waits.iter().enumerate() {
        let mut bytes = [0xee; 48];
        bytes[..8].copy_from_slice(&(index as u64 + 100).to_le_bytes());
        match wait {
            Wait::In(clock, timeout) | Wait::Until(clock, timeout) => {
                bytes[8] = 0;
                bytes[16..20].copy_from_slice(&clock.to_le_bytes());
                bytes[24..32].copy_from_slice(&timeout.to_le_bytes());
                let absolute = u16::from(matches!(wait, Wait::Until(..)));
                bytes[40..42].copy_from_slice(&absolute.to_le_bytes());
            }
            Wait::Read(fd) | Wait::Write(fd) => {
                bytes[8] = if matches!(wait, Wait::Read(_)) { 1 } else { 2 };
                bytes[16..20].copy_from_slice(&fd.to_le_bytes());
            }
        }
        guest.put(SUBSCRIPTIONS + 48 * index as u32, &bytes);
    }
}

fn poll(guest: &mut Guest, waits: &[Wait]) -> Result<Vec<(usize, Event)>> {
    subscribe(guest, waits);
    let count = waits.len() as u32;
    guest.call(|ctx, mem| preview1::poll_oneoff(ctx, mem, SUBSCRIPTIONS, EVENTS, count, OUT))?;
    let happened = guest.u32(OUT);
    assert!((1..=count).contains(&happened));
    Ok((0..happened)
        .map(|index| {
            let at = EVENTS + 32 * index;
            let event =
                (guest.u16(at + 8), guest.u8(at + 10), guest.u64(at + 16), guest.u16(at + 24));
            (guest.u64(at) as usize - 100, event)
        })
        .collect())
}

fn now(guest: &mut Guest, clock: u32) -> u64 {
    guest.call(|ctx, mem| preview1::clock_time_get(ctx, mem, clock, 0, OUT)).unwrap();
    guest.u64(OUT)
}

const TIME: Event = (0, 0, 0, 0);

#[test]
fn virtual_sleep_takes_no_time_and_advances_the_clock() {
    let mut guest = Guest::new();
    let start = Instant::now();
    let before = now(&mut guest, MONOTONIC);
    let slept = poll(&mut guest, &[Wait::In(MONOTONIC, 3600 * SECOND)]);
    assert_eq!(slept, Ok(vec![(0, TIME)]));
    let after = now(&mut guest, MONOTONIC);
    assert_eq!(after - before, 3600 * SECOND + VIRTUAL_STEP_NS);
    assert!(start.elapsed() < Duration::from_secs(60));
}

#[test]
fn the_first_deadline_wins() {
    let mut guest = Guest::new();
    let waits = [
        Wait::In(MONOTONIC, 30),
        Wait::In(REALTIME, 10),
        Wait::Until(REALTIME, VIRTUAL_EPOCH_NS + 20),
        Wait::In(MONOTONIC, 10),
        Wait::Until(MONOTONIC, 10),
    ];
    let first = poll(&mut guest, &waits);
    assert_eq!(first, Ok(vec![(1, TIME), (3, TIME), (4, TIME)]));
    assert_eq!(now(&mut guest, REALTIME), VIRTUAL_EPOCH_NS + 10);
    // What has passed does not turn time back.
    assert_eq!(poll(&mut guest, &[Wait::Until(MONOTONIC, 5)]), Ok(vec![(0, TIME)]));
    assert_eq!(now(&mut guest, MONOTONIC), 10 + VIRTUAL_STEP_NS);
    assert_eq!(poll(&mut guest, &[Wait::In(MONOTONIC, 0)]), Ok(vec![(0, TIME)]));
}

#[test]
fn the_end_of_time_is_reached() {
    let mut guest = Guest::new();
    for wait in [Wait::In(REALTIME, u64::MAX), Wait::Until(MONOTONIC, u64::MAX)] {
        assert_eq!(poll(&mut guest, &[wait, wait]), Ok(vec![(0, TIME), (1, TIME)]));
        assert_eq!(now(&mut guest, REALTIME), u64::MAX);
    }
}

#[test]
fn what_is_ready_at_once_lets_no_time_pass() {
    let mut guest = Guest::with(|builder| {
        builder.stdin(MemoryInputPipe::new(&b"abc"[..]));
    });
    guest.put_file("f", "0123456789");
    let fd = guest.open("f", 0, READ_WRITE).unwrap();
    guest.seek(fd, 4, 0).unwrap();
    let waits = [
        Wait::In(MONOTONIC, SECOND),
        Wait::Read(0),
        Wait::Write(1),
        Wait::Write(2),
        Wait::Read(fd),
        Wait::Write(fd),
    ];
    let ready = poll(&mut guest, &waits).unwrap();
    let expected = [
        (1, (0, 1, 1, 0)),
        (2, (0, 2, 1, 0)),
        (3, (0, 2, 1, 0)),
        (4, (0, 1, 6, 0)),
        (5, (0, 2, 1, 0)),
    ];
    assert_eq!(ready, expected);
    assert_eq!(now(&mut guest, MONOTONIC), 0);
    // A clock that is due is told beside them.
    let due = poll(&mut guest, &[Wait::Read(0), Wait::In(MONOTONIC, 0)]).unwrap();
    assert_eq!(due, [(0, (0, 1, 1, 0)), (1, TIME)]);
}

#[test]
fn the_hosts_streams_do_not_decide_with_the_virtual_clock() {
    let mut guest = Guest::with(|builder| {
        builder.inherit_stdio();
    });
    let waits = [Wait::In(MONOTONIC, 1), Wait::Read(0), Wait::Write(1)];
    let ready = poll(&mut guest, &waits).unwrap();
    assert_eq!(ready, [(1, (0, 1, 1, 0)), (2, (0, 2, 1, 0))]);
}

#[test]
fn wrong_descriptors_are_told_by_their_events() {
    let mut guest = Guest::new();
    guest.put_file("f", "abc");
    let reader = guest.open("f", 0, READ).unwrap();
    let writer = guest.open("f", 0, WRITE).unwrap();
    let wrong = [
        Wait::Read(99),
        Wait::Write(u32::MAX),
        Wait::Read(1),
        Wait::Write(0),
        Wait::Read(DIR),
        Wait::Write(reader),
        Wait::Read(writer),
    ];
    let events = poll(&mut guest, &wrong).unwrap();
    assert_eq!(events.len(), wrong.len());
    for (index, (error, ..)) in events {
        assert_eq!(error, Errno::BadF.raw(), "{index}");
    }
}

#[test]
fn malformed_calls() {
    let mut guest = Guest::new();
    let call = |guest: &mut Guest, subscriptions, events, count, happened| {
        guest.call(|ctx, mem| {
            preview1::poll_oneoff(ctx, mem, subscriptions, events, count, happened)
        })
    };
    subscribe(&mut guest, &[Wait::In(MONOTONIC, SECOND)]);
    let end = guest.bytes.len() as u32;
    assert_eq!(call(&mut guest, SUBSCRIPTIONS, EVENTS, 0, OUT), Err(Errno::Inval));
    for count in [u32::MAX, 0x0555_5556, 16_385] {
        assert_eq!(call(&mut guest, SUBSCRIPTIONS, EVENTS, count, OUT), Err(Errno::Inval));
    }
    for (subscriptions, events, count, happened) in [
        (end - 47, EVENTS, 1, OUT),
        (u32::MAX, EVENTS, 1, OUT),
        (SUBSCRIPTIONS, end - 31, 1, OUT),
        (SUBSCRIPTIONS, u32::MAX, 1, OUT),
        (SUBSCRIPTIONS, EVENTS, 1, end - 3),
        (SUBSCRIPTIONS, EVENTS, 16_384, OUT),
    ] {
        let result = call(&mut guest, subscriptions, events, count, happened);
        assert_eq!(result, Err(Errno::Fault));
    }
    assert_eq!(poll(&mut guest, &[Wait::In(4, 1)]), Err(Errno::Inval));
    guest.put(SUBSCRIPTIONS + 8, &[3]);
    assert_eq!(call(&mut guest, SUBSCRIPTIONS, EVENTS, 1, OUT), Err(Errno::Inval));
    subscribe(&mut guest, &[Wait::In(MONOTONIC, SECOND)]);
    guest.put(SUBSCRIPTIONS + 40, &[2]);
    assert_eq!(call(&mut guest, SUBSCRIPTIONS, EVENTS, 1, OUT), Err(Errno::Inval));
    assert_eq!(now(&mut guest, MONOTONIC), 0, "nobody has slept");
}

#[test]
fn events_may_lie_over_subscriptions_at_any_address() {
    let mut guest = Guest::new();
    subscribe(&mut guest, &[Wait::In(MONOTONIC, 1), Wait::In(MONOTONIC, 1)]);
    let bytes = guest.get(SUBSCRIPTIONS, 96).to_vec();
    let at = 0x5001;
    guest.put(at, &bytes);
    guest.call(|ctx, mem| preview1::poll_oneoff(ctx, mem, at, at, 2, OUT)).unwrap();
    assert_eq!((guest.u32(OUT), guest.u64(at), guest.u64(at + 32)), (2, 100, 101));
}

#[test]
fn real_sleep_takes_its_time() {
    let mut guest = Guest::with(|builder| {
        builder.real_clock();
    });
    let start = Instant::now();
    let waits = [Wait::In(MONOTONIC, SECOND / 20), Wait::In(REALTIME, 3600 * SECOND)];
    assert_eq!(poll(&mut guest, &waits), Ok(vec![(0, TIME)]));
    assert!(start.elapsed() >= Duration::from_millis(50));
    let until = now(&mut guest, MONOTONIC) + SECOND / 50;
    assert_eq!(poll(&mut guest, &[Wait::Until(MONOTONIC, until)]), Ok(vec![(0, TIME)]));
    assert!(now(&mut guest, MONOTONIC) >= until);
    // Time of a processor cannot be waited for.
    let events = poll(&mut guest, &[Wait::In(2, 1)]).unwrap();
    assert_eq!(events, [(0, (Errno::NotSup.raw(), 0, 0, 0))]);
}

#[test]
fn real_waiting_for_a_pipe() {
    let mut guest = Guest::with(|builder| {
        builder.real_clock();
    });
    let (kind, mode) = (rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU);
    rustix::fs::mknodat(rustix::fs::CWD, guest.host("p"), kind, mode, 0).unwrap();
    // Opened for reading and writing, a pipe waits for nobody.
    let fd = guest.open("p", 0, READ_WRITE).unwrap();
    let waits = [Wait::Read(fd), Wait::In(MONOTONIC, SECOND / 50)];
    assert_eq!(poll(&mut guest, &waits), Ok(vec![(1, TIME)]));
    guest.write(fd, "abc").unwrap();
    let waits = [Wait::In(MONOTONIC, 3600 * SECOND), Wait::Read(fd), Wait::Write(fd)];
    assert_eq!(poll(&mut guest, &waits), Ok(vec![(1, (0, 1, 3, 0)), (2, (0, 2, 1, 0))]));
}
