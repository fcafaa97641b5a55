//! Waiting: `poll_oneoff`.
//!
//! With the host's clock, waiting is the host's `poll` over the descriptors that the host can make
//! wait, until the first deadline. With the virtual clock nothing may depend on when something
//! happens outside. So every descriptor counts as ready at once, and the guest waits in the read or
//! write that follows; and if the guest waits for clocks only, the clock jumps to the first
//! deadline.

use crate::abi::{EVENT_BYTES, SUBSCRIPTION_BYTES, rights};
use crate::clock::{Clock, MONOTONIC, REALTIME};
use crate::errno::{Errno, Result};
use crate::stream::Stream;
use crate::table::{Descriptor, Table};
use crate::{GuestMemory, WasiCtx};
use rustix::event::{PollFd, PollFlags, Timespec};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

/// Most subscriptions of one call, far more than there can be descriptors: the host keeps a record
/// of each while it waits.
const MAX_SUBSCRIPTIONS: u32 = 16_384;

/// What kind of event: the tag of a subscription and the type of an event.
const CLOCK: u8 = 0;
const FD_READ: u8 = 1;
const FD_WRITE: u8 = 2;

/// The timeout of a clock subscription is a moment, not a duration.
const ABSTIME: u16 = 1;
/// The flag of an event that says that the other end is closed.
const HANGUP: u16 = 1;

/// What a guest waits for.
struct Subscription {
    userdata: u64,
    kind: u8,
    what: What,
}

enum What {
    /// Until a moment of a clock, which is so far away from now at the start of the call. The
    /// clock's number says which.
    Clock { id: u32, deadline: u64 },
    /// Until a descriptor is ready.
    Fd(u32),
    /// Nothing: it is wrong.
    Error(Errno),
}

/// What has happened.
#[derive(Clone, Copy, Default)]
struct Event {
    error: Option<Errno>,
    nbytes: u64,
    flags: u16,
}

impl Subscription {
    fn read(mem: &GuestMemory<'_>, at: u32, clock: &Clock) -> Result<Subscription> {
        let field = |offset: u32| at.checked_add(offset).ok_or(Errno::Fault);
        let kind = mem.read_u8(field(8)?)?;
        let what = match kind {
            CLOCK => {
                let (id, timeout) = (mem.read_u32(field(16)?)?, mem.read_u64(field(24)?)?);
                let flags = mem.read_u16(field(40)?)?;
                if flags & !ABSTIME != 0 {
                    return Err(Errno::Inval);
                }
                match clock.peek(id)? {
                    // Time of a processor does not pass while waiting.
                    _ if id != MONOTONIC && id != REALTIME && !clock.is_virtual() => {
                        What::Error(Errno::NotSup)
                    }
                    _ if flags & ABSTIME != 0 => What::Clock { id, deadline: timeout },
                    now => What::Clock { id, deadline: now.saturating_add(timeout) },
                }
            }
            FD_READ | FD_WRITE => What::Fd(mem.read_u32(field(16)?)?),
            _ => return Err(Errno::Inval),
        };
        Ok(Subscription { userdata: mem.read_u64(at)?, kind, what })
    }

    /// How long until the deadline of a clock.
    fn remaining(&self, clock: &Clock) -> Result<Option<u64>> {
        match self.what {
            What::Clock { id, deadline } => Ok(Some(deadline.saturating_sub(clock.peek(id)?))),
            _ => Ok(None),
        }
    }
}

/// The host's standard streams, to borrow descriptors from.
struct Stdio(io::Stdin, io::Stdout, io::Stderr);

/// How a descriptor is waited for.
enum Ready<'a> {
    /// Not at all.
    Now(Event),
    /// At the host.
    Host(BorrowedFd<'a>),
}

/// Whether a descriptor is ready, or where to wait for it.
fn ready<'a>(table: &'a Table, stdio: &'a Stdio, fd: u32, kind: u8) -> Ready<'a> {
    let input = kind == FD_READ;
    let error = |error| Ready::Now(Event { error: Some(error), ..Event::default() });
    match table.get(fd) {
        Err(errno) => error(errno),
        Ok(Descriptor::Dir(_)) => error(Errno::BadF),
        Ok(Descriptor::Stream(stream)) if stream.is_input() != input => error(Errno::BadF),
        Ok(Descriptor::Stream(stream)) => match stream {
            Stream::Stdin => Ready::Host(stdio.0.as_fd()),
            Stream::Stdout => Ready::Host(stdio.1.as_fd()),
            Stream::Stderr => Ready::Host(stdio.2.as_fd()),
            // How much there is to read or room to write is not known: at least a byte.
            Stream::Input(_) | Stream::Output(_) => Ready::Now(AT_ONCE),
        },
        Ok(Descriptor::File(file)) => {
            let right = if input { rights::FD_READ } else { rights::FD_WRITE };
            if file.rights & right == 0 {
                return error(Errno::BadF);
            }
            match rustix::fs::fstat(&file.file) {
                Ok(stat) if rustix::fs::FileType::from_raw_mode(stat.st_mode).is_file() => {
                    let size = u64::try_from(stat.st_size).unwrap_or(0);
                    let at = rustix::fs::tell(&file.file).unwrap_or(0);
                    let nbytes = if input { size.saturating_sub(at) } else { 1 };
                    Ready::Now(Event { nbytes, ..Event::default() })
                }
                Ok(_) => Ready::Host(file.file.as_fd()),
                Err(errno) => error(errno.into()),
            }
        }
    }
}

/// A descriptor that takes or gives at least one byte.
const AT_ONCE: Event = Event { error: None, nbytes: 1, flags: 0 };

/// What the host says about a descriptor it has waited for.
fn host_event(fd: BorrowedFd<'_>, got: PollFlags, input: bool) -> Event {
    if got.contains(PollFlags::NVAL) {
        return Event { error: Some(Errno::BadF), ..Event::default() };
    }
    let nbytes = if input { rustix::io::ioctl_fionread(fd).unwrap_or(0) } else { 1 };
    let closed = got.intersects(PollFlags::HUP | PollFlags::ERR);
    Event { error: None, nbytes, flags: if closed { HANGUP } else { 0 } }
}

/// Waits until there is something to report for each subscription in `events`.
fn wait(
    table: &Table,
    clock: &mut Clock,
    subscriptions: &[Subscription],
    events: &mut [Option<Event>],
) -> Result<()> {
    let stdio = Stdio(io::stdin(), io::stdout(), io::stderr());
    let mut at_host = Vec::new();
    let mut polled = Vec::new();
    for (index, subscription) in subscriptions.iter().enumerate() {
        events[index] = match subscription.what {
            What::Clock { .. } => None,
            What::Error(error) => Some(Event { error: Some(error), ..Event::default() }),
            What::Fd(fd) => match ready(table, &stdio, fd, subscription.kind) {
                Ready::Now(event) => Some(event),
                Ready::Host(_) if clock.is_virtual() => Some(AT_ONCE),
                Ready::Host(fd) => {
                    let input = subscription.kind == FD_READ;
                    let flags = if input { PollFlags::IN } else { PollFlags::OUT };
                    at_host.push((index, fd, input));
                    polled.push(PollFd::from_borrowed_fd(fd, flags));
                    None
                }
            },
        };
    }
    loop {
        let mut first: Option<u64> = None;
        for subscription in subscriptions {
            if let Some(remaining) = subscription.remaining(clock)? {
                first = Some(first.map_or(remaining, |first| first.min(remaining)));
            }
        }
        let timeout = if events.iter().any(Option::is_some) { Some(0) } else { first };
        if clock.is_virtual() {
            clock.advance(timeout.unwrap_or(0));
        } else if !(polled.is_empty() && timeout == Some(0)) {
            let timeout = timeout.map(|nanoseconds| Timespec {
                tv_sec: (nanoseconds / 1_000_000_000) as i64,
                tv_nsec: (nanoseconds % 1_000_000_000) as i64,
            });
            match rustix::event::poll(&mut polled, timeout.as_ref()) {
                Ok(_) => {
                    for (poll, &(index, fd, input)) in polled.iter().zip(&at_host) {
                        if !poll.revents().is_empty() {
                            events[index] = Some(host_event(fd, poll.revents(), input));
                        }
                    }
                }
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        for (event, subscription) in events.iter_mut().zip(subscriptions) {
            if subscription.remaining(clock)? == Some(0) {
                *event = Some(Event::default());
            }
        }
        if events.iter().any(Option::is_some) {
            return Ok(());
        }
    }
}

/// `poll_oneoff`: waits for the first of several events and writes all that have happened, in the
/// order of their subscriptions.
///
/// What is wrong with a single descriptor is told by its event.
///
/// # Errors
/// [`Errno::Inval`] when there are no subscriptions or too many, or when one is malformed;
/// [`Errno::Fault`].
pub fn poll_oneoff(
    ctx: &mut WasiCtx,
    mem: &mut GuestMemory<'_>,
    subscriptions: u32,
    events: u32,
    count: u32,
    happened: u32,
) -> Result<()> {
    if count == 0 || count > MAX_SUBSCRIPTIONS {
        return Err(Errno::Inval);
    }
    mem.check(subscriptions, count * SUBSCRIPTION_BYTES)?;
    mem.check(events, count * EVENT_BYTES)?;
    mem.check(happened, 4)?;
    let wanted = (0..count)
        .map(|index| {
            Subscription::read(mem, subscriptions + index * SUBSCRIPTION_BYTES, &ctx.clock)
        })
        .collect::<Result<Vec<Subscription>>>()?;
    let mut found = vec![None; wanted.len()];
    wait(&ctx.table, &mut ctx.clock, &wanted, &mut found)?;
    let mut written = 0;
    for (event, subscription) in found.iter().zip(&wanted) {
        let Some(event) = event else { continue };
        let mut bytes = [0; EVENT_BYTES as usize];
        bytes[..8].copy_from_slice(&subscription.userdata.to_le_bytes());
        let error = event.error.map_or(0, Errno::raw);
        bytes[8..10].copy_from_slice(&error.to_le_bytes());
        bytes[10] = subscription.kind;
        bytes[16..24].copy_from_slice(&event.nbytes.to_le_bytes());
        bytes[24..26].copy_from_slice(&event.flags.to_le_bytes());
        mem.write(events + written * EVENT_BYTES, &bytes)?;
        written += 1;
    }
    mem.write_u32(happened, written)
}
