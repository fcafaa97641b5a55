//! Clocks: virtual until the embedder asks for real ones.
//!
//! The virtual clock makes runs repeatable. It starts at a fixed moment and jumps to the deadline when
//! the guest sleeps, so that nobody waits. In between it goes on with the fuel that a metered guest uses:
//! what takes longer takes more time, in proportion, and the same on every machine and in every slicing
//! of the fuel. Where nothing is metered it goes on by a fixed step at each reading, so that loops that
//! wait for time to pass end. All four clocks of WASI count the same time; the real-time clock adds the
//! moment of the start.

use crate::errno::{Errno, Result};
use rustix::time::{ClockId, clock_getres, clock_gettime};

/// When the virtual clock starts, in nanoseconds since 1970: 2025-01-01 00:00:00 UTC.
pub const VIRTUAL_EPOCH_NS: u64 = 1_735_689_600_000_000_000;

/// By how much a reading advances the virtual clock, in nanoseconds.
pub const VIRTUAL_STEP_NS: u64 = 1_000;

/// By how much a unit of fuel advances the virtual clock of a metered guest, in nanoseconds: about what an
/// operator takes.
pub const VIRTUAL_NS_PER_FUEL: u64 = 1;

pub(crate) const REALTIME: u32 = 0;
pub(crate) const MONOTONIC: u32 = 1;
const PROCESS_CPUTIME: u32 = 2;
const THREAD_CPUTIME: u32 = 3;

/// What the guest's clocks read.
#[derive(Debug, Clone)]
pub(crate) enum Clock {
    /// Counts fuel, or its own readings.
    Virtual {
        /// Real time at the start.
        epoch: u64,
        /// Nanoseconds per reading.
        step: u64,
        /// Nanoseconds since the start.
        elapsed: u64,
        /// Nanoseconds per unit of fuel; 0 when readings are counted all the same.
        per_fuel: u64,
        /// The fuel that had been used when it was last told, if the guest is metered.
        fuel: Option<u64>,
    },
    /// Asks the host. Monotonic time counts from `start`, so that it tells nothing about the host.
    Real {
        /// The host's monotonic clock when the context was made.
        start: u64,
    },
}

impl Clock {
    /// A virtual clock.
    pub(crate) fn new_virtual(epoch: u64, step: u64) -> Clock {
        Clock::Virtual { epoch, step, elapsed: 0, per_fuel: VIRTUAL_NS_PER_FUEL, fuel: None }
    }

    /// The host's.
    pub(crate) fn new_real() -> Clock {
        Clock::Real { start: host_now(ClockId::Monotonic) }
    }

    /// Whether time is virtual.
    pub(crate) fn is_virtual(&self) -> bool {
        matches!(self, Clock::Virtual { .. })
    }

    /// When it starts, if it is virtual.
    pub(crate) fn epoch(&self) -> Option<u64> {
        match self {
            Clock::Virtual { epoch, .. } => Some(*epoch),
            Clock::Real { .. } => None,
        }
    }

    /// Reads a clock without advancing it.
    pub(crate) fn peek(&self, id: u32) -> Result<u64> {
        match self {
            Clock::Virtual { epoch, elapsed, .. } => match id {
                REALTIME => Ok(epoch.saturating_add(*elapsed)),
                MONOTONIC | PROCESS_CPUTIME | THREAD_CPUTIME => Ok(*elapsed),
                _ => Err(Errno::Inval),
            },
            Clock::Real { start } => match id {
                MONOTONIC => Ok(host_now(ClockId::Monotonic).saturating_sub(*start)),
                id => Ok(host_now(host_id(id)?)),
            },
        }
    }

    /// Reads a clock.
    pub(crate) fn read(&mut self, id: u32) -> Result<u64> {
        let now = self.peek(id)?;
        if let Clock::Virtual { step, elapsed, fuel: None, .. } = self {
            *elapsed = elapsed.saturating_add(*step);
        }
        Ok(now)
    }

    /// The smallest difference that a clock shows.
    pub(crate) fn resolution(&self, id: u32) -> Result<u64> {
        match self {
            Clock::Virtual { per_fuel, fuel: Some(_), .. } if id <= THREAD_CPUTIME => {
                Ok((*per_fuel).max(1))
            }
            Clock::Virtual { step, .. } if id <= THREAD_CPUTIME => Ok((*step).max(1)),
            Clock::Virtual { .. } => Err(Errno::Inval),
            Clock::Real { .. } => Ok(nanoseconds(clock_getres(host_id(id)?)).max(1)),
        }
    }

    /// Lets the time pass that a metered guest has taken, which has used `consumed` units of fuel in all.
    pub(crate) fn fuel(&mut self, consumed: u64) {
        let Clock::Virtual { elapsed, per_fuel, fuel, .. } = self else { return };
        if *per_fuel == 0 {
            return;
        }
        // A count that starts anew is that of another store.
        let since = consumed.checked_sub(fuel.unwrap_or(0)).unwrap_or(consumed);
        *elapsed = elapsed.saturating_add(since.saturating_mul(*per_fuel));
        *fuel = Some(consumed);
    }

    /// Lets `nanoseconds` of virtual time pass; real time passes by itself.
    pub(crate) fn advance(&mut self, nanoseconds: u64) {
        if let Clock::Virtual { elapsed, .. } = self {
            *elapsed = elapsed.saturating_add(nanoseconds);
        }
    }
}

fn host_id(id: u32) -> Result<ClockId> {
    match id {
        REALTIME => Ok(ClockId::Realtime),
        MONOTONIC => Ok(ClockId::Monotonic),
        PROCESS_CPUTIME => Ok(ClockId::ProcessCPUTime),
        THREAD_CPUTIME => Ok(ClockId::ThreadCPUTime),
        _ => Err(Errno::Inval),
    }
}

fn host_now(id: ClockId) -> u64 {
    nanoseconds(clock_gettime(id))
}

fn nanoseconds(time: rustix::time::Timespec) -> u64 {
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    seconds.saturating_mul(1_000_000_000).saturating_add(time.tv_nsec as u64)
}

/// `clock_res_get`: writes the resolution of a clock.
///
/// # Errors
/// [`Errno::Inval`] for an unknown clock, [`Errno::Fault`].
pub fn clock_res_get(
    ctx: &mut crate::WasiCtx,
    mem: &mut crate::GuestMemory<'_>,
    id: u32,
    resolution: u32,
) -> Result<()> {
    mem.write_u64(resolution, ctx.clock.resolution(id)?)
}

/// `clock_time_get`: writes the time of a clock. The precision asked for is not needed.
///
/// # Errors
/// [`Errno::Inval`] for an unknown clock, [`Errno::Fault`].
pub fn clock_time_get(
    ctx: &mut crate::WasiCtx,
    mem: &mut crate::GuestMemory<'_>,
    id: u32,
    _precision: u64,
    time: u32,
) -> Result<()> {
    mem.write_u64(time, ctx.clock.read(id)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{GuestMemory, WasiCtxBuilder};

    #[test]
    fn virtual_time_starts_at_the_epoch_and_steps() {
        let mut ctx = WasiCtxBuilder::new().build();
        let mut bytes = [0; 8];
        let mut mem = GuestMemory::new(&mut bytes);
        for reading in 0..3 {
            clock_time_get(&mut ctx, &mut mem, REALTIME, 0, 0).unwrap();
            assert_eq!(mem.read_u64(0), Ok(VIRTUAL_EPOCH_NS + reading * VIRTUAL_STEP_NS));
        }
        clock_time_get(&mut ctx, &mut mem, MONOTONIC, 0, 0).unwrap();
        assert_eq!(mem.read_u64(0), Ok(3 * VIRTUAL_STEP_NS));
        clock_res_get(&mut ctx, &mut mem, MONOTONIC, 0).unwrap();
        assert_eq!(mem.read_u64(0), Ok(VIRTUAL_STEP_NS));
    }

    #[test]
    fn virtual_time_goes_on_with_fuel() {
        let mut clock = Clock::new_virtual(1000, 7);
        if let Clock::Virtual { per_fuel, .. } = &mut clock {
            *per_fuel = 3;
        }
        clock.fuel(10);
        assert_eq!((clock.read(MONOTONIC), clock.read(REALTIME)), (Ok(30), Ok(1030)));
        assert_eq!(clock.resolution(MONOTONIC), Ok(3));
        clock.advance(100);
        clock.fuel(11);
        assert_eq!(clock.read(MONOTONIC), Ok(133));
        // Another store.
        clock.fuel(5);
        assert_eq!(clock.read(MONOTONIC), Ok(148));
        clock.fuel(u64::MAX);
        assert_eq!(clock.read(MONOTONIC), Ok(u64::MAX));
    }

    #[test]
    fn virtual_time_saturates() {
        let mut clock = Clock::new_virtual(5, 1);
        clock.advance(u64::MAX);
        clock.advance(1);
        assert_eq!(clock.read(REALTIME), Ok(u64::MAX));
        assert_eq!(clock.read(MONOTONIC), Ok(u64::MAX));
    }

    #[test]
    fn real_time_is_the_hosts() {
        let mut ctx = WasiCtxBuilder::new().real_clock().build();
        let mut bytes = [0; 8];
        let mut mem = GuestMemory::new(&mut bytes);
        let host = host_now(ClockId::Realtime);
        clock_time_get(&mut ctx, &mut mem, REALTIME, 0, 0).unwrap();
        let guest = mem.read_u64(0).unwrap();
        assert!(guest.abs_diff(host) < 60_000_000_000, "{guest} {host}");
        for id in 0..4 {
            clock_time_get(&mut ctx, &mut mem, id, 0, 0).unwrap();
            clock_res_get(&mut ctx, &mut mem, id, 0).unwrap();
            assert!(mem.read_u64(0).unwrap() > 0);
        }
    }

    #[test]
    fn unknown_clocks_and_bad_pointers() {
        for mut ctx in [WasiCtxBuilder::new().build(), WasiCtxBuilder::new().real_clock().build()] {
            let mut bytes = [0; 8];
            let mut mem = GuestMemory::new(&mut bytes);
            assert_eq!(clock_time_get(&mut ctx, &mut mem, 4, 0, 0), Err(Errno::Inval));
            assert_eq!(clock_res_get(&mut ctx, &mut mem, u32::MAX, 0), Err(Errno::Inval));
            assert_eq!(clock_time_get(&mut ctx, &mut mem, 0, 0, 1), Err(Errno::Fault));
        }
    }
}
