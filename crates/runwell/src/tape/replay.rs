//! Replaying: the host's side of a recording, done again.

use super::act::{player, run};
use super::event::{Event, Outcome, Setup};
use super::format::LogReader;
use super::hooks::{Mode, Tape};
use super::player::Player;
use crate::instance::Instance;
use crate::state::StateHash;
use crate::store::Store;
use crate::{
    Config, Engine, Error, Global, Memory, Module, QUOTE_VERSION, Result, Table, WasmBacktrace,
};
use runwell_abi::fuel::{OperatorClass, SCHEDULE_VERSION, Schedule};
use std::fmt;
use std::io::Read;

/// A replay that does something else than was recorded.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Divergence {
    /// Number of the call of a host function at which it was noticed, or after which: from 1 on.
    pub call: u64,
    /// What was recorded.
    pub expected: String,
    /// What happened.
    pub found: String,
}

impl fmt::Display for Divergence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Divergence { call, expected, found } = self;
        write!(f, "the replay differs at import call {call}: expected {expected}, found {found}")
    }
}

impl std::error::Error for Divergence {}

/// Why a replay stopped before its end.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Stop {
    /// It was to stop at this amount of fuel; `used` has been used, as less than one region of straight
    /// code fits in what is left.
    Fuel {
        /// Units used.
        used: u64,
    },
    /// It was to stop at the call of a host function with this number.
    Call {
        /// The number, from 1 on.
        number: u64,
    },
    /// The recording breaks off.
    Cut {
        /// Inside of what was being written.
        torn: bool,
    },
    /// Another thread interrupted the guest, at a place that no recording knows.
    Interrupted,
    /// A host function panicked.
    Panicked,
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Stop::Fuel { used } => write!(f, "stopped after {used} units of fuel"),
            Stop::Call { number } => write!(f, "stopped at import call {number}"),
            Stop::Cut { torn: false } => f.write_str("the recording breaks off here"),
            Stop::Cut { torn: true } => {
                f.write_str("the recording breaks off here, inside of what was being written")
            }
            Stop::Interrupted => {
                f.write_str("the guest was interrupted after this, at a place that is not recorded")
            }
            Stop::Panicked => f.write_str("a function of the host panicked here"),
        }
    }
}

impl std::error::Error for Stop {}

/// How a replay ended.
#[derive(Debug)]
#[non_exhaustive]
pub enum Ending {
    /// At the end of the recording, with the state it was recorded with.
    Complete {
        /// The hash of that state.
        hash: StateHash,
        /// What the embedder put there.
        note: Vec<u8>,
        /// How the host's last call of a guest ended.
        outcome: Option<Outcome>,
    },
    /// Earlier. The store is as it was then.
    Stopped {
        /// Why.
        stop: Stop,
        /// The frames that were active.
        backtrace: Option<WasmBacktrace>,
    },
}

/// A recording, and the store in which it happens again.
///
/// Everything that was made when it was recorded is made again: the modules are in the recording. Host
/// functions are not called, the recording answers for them. See [`crate::tape`] for an example.
pub struct Replay {
    store: Store<()>,
    metered: bool,
    done: bool,
}

impl fmt::Debug for Replay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Replay").field("metered", &self.metered).finish_non_exhaustive()
    }
}

/// The configuration with which a recording was made, as far as results depend on it.
fn configured(config: &Config, setup: &Setup) -> Result<Config> {
    let mut config = config.clone();
    let get = |name: &str| {
        let at = setup.settings.binary_search_by(|(found, _)| found.as_str().cmp(name)).ok()?;
        Some(setup.settings[at].1)
    };
    let other =
        || Error::msg("the recording was made with settings that this version does not have");
    let stack = get("stack").and_then(|bytes| usize::try_from(bytes).ok()).ok_or_else(other)?;
    config.max_wasm_stack(stack);
    let mut known = 1;
    config.charge_instantiation(false).charge_compilation(0);
    if let Some(version) = get("schedule") {
        let mut schedule = Schedule::default();
        for &class in OperatorClass::ALL {
            let cost = get(&format!("cost.{}", class.name())).ok_or_else(other)?;
            schedule = schedule.with(class, u16::try_from(cost).map_err(|_| other())?)?;
        }
        if version != u64::from(SCHEDULE_VERSION) {
            return Err(other());
        }
        config.fuel_schedule(schedule);
        known += 1 + OperatorClass::ALL.len();
        if get("charge.instantiation").is_some() {
            config.charge_instantiation(true);
            known += 1;
        }
        if let Some(price) = get("charge.compilation") {
            if get("quote") != Some(QUOTE_VERSION.into()) {
                return Err(other());
            }
            config.charge_compilation(price);
            known += 2;
        }
    }
    if setup.settings.len() != known || !setup.settings.is_sorted() {
        return Err(other());
    }
    Ok(config)
}

impl Replay {
    /// Reads the beginning of a recording.
    ///
    /// `config` says how modules are compiled. Settings on which results depend are the recording's: its
    /// schedule of fuel, its stack. If the recording was not metered and `config` says so, the replay is.
    ///
    /// # Errors
    /// A [`crate::tape::LogError`]; when the recording was made with settings that are not there any more; when there
    /// is no memory for a store.
    pub fn open(config: &Config, from: impl Read + Send + 'static) -> Result<Replay> {
        let mut log = LogReader::new(from)?;
        let Some(Event::Start(setup)) = log.next()? else {
            return Err(log.damaged("it does not begin with a beginning").into());
        };
        let engine = Engine::new(&configured(config, &setup)?)?;
        let metered = setup.settings.iter().any(|(name, _)| name == "schedule");
        let metering = engine.config().schedule.is_some();
        let mut store = Store::try_new(&engine, ())?;
        let player = Player::new(log, metered, metering);
        store.inner_mut().opaque.tape = Some(Tape::new(Mode::Played(Box::new(player))));
        Ok(Replay { store, metered, done: false })
    }

    fn player(&mut self) -> &mut Player {
        player(&mut self.store.inner_mut().opaque)
    }

    /// True if the guest was metered when it was recorded.
    pub fn metered(&self) -> bool {
        self.metered
    }

    /// Lets it stop when `units` of fuel have been used, counted from the start: before the first region
    /// of straight code that would use more.
    ///
    /// # Errors
    /// When the replay is not metered: neither was the recording, nor does the configuration say so.
    pub fn until_fuel(&mut self, units: u64) -> Result<()> {
        if !self.player().metering {
            return Err(Error::msg("the replay does not meter: see Config::consume_fuel"));
        }
        let left = units.saturating_sub(self.player().fuel_used);
        self.player().fuel_left = Some(left);
        Ok(())
    }

    /// Lets it stop at call number `number` of a host function, from 1 on.
    pub fn until_call(&mut self, number: u64) {
        self.player().stop_at_call = Some(number);
    }

    /// Lets it be an error when the recording is of any other module than these, in the binary form.
    pub fn expect_modules(&mut self, modules: impl IntoIterator<Item = impl AsRef<[u8]>>) {
        let hashes = modules.into_iter().map(|wasm| *blake3::hash(wasm.as_ref()).as_bytes());
        self.player().expected = Some(hashes.collect());
    }

    /// How many calls of host functions there have been.
    pub fn calls(&mut self) -> u64 {
        self.player().calls
    }

    /// The modules of the recording so far, in the order of their first use.
    pub fn modules(&mut self) -> &[Module] {
        &self.player().modules
    }

    /// The store in which it happens. What one does with it between two steps is not part of the
    /// recording and may make the replay differ.
    pub fn store(&mut self) -> &mut Store<()> {
        &mut self.store
    }

    /// The instances so far, in the order in which they were made.
    pub fn instances(&self) -> Vec<Instance> {
        let opaque = &self.store.inner().opaque;
        (0..opaque.instances.len()).map(|at| Instance::from_index(opaque, at as u32)).collect()
    }

    /// All memories of the store, in the order in which they were made.
    pub fn memories(&self) -> Vec<Memory> {
        let opaque = &self.store.inner().opaque;
        (0..opaque.memories.len()).map(|at| Memory::from_index(opaque, at as u32)).collect()
    }

    /// All tables of the store, in the order in which they were made.
    pub fn tables(&self) -> Vec<Table> {
        let opaque = &self.store.inner().opaque;
        (0..opaque.tables.len()).map(|at| Table::from_index(opaque, at as u32)).collect()
    }

    /// All globals of the store, in the order in which they were made.
    pub fn globals(&self) -> Vec<Global> {
        let opaque = &self.store.inner().opaque;
        (0..opaque.globals.len()).map(|at| Global::from_index(opaque, at as u32)).collect()
    }

    /// Does what was recorded, to its end or to where it is to stop.
    ///
    /// # Errors
    /// A [`Divergence`] with the first call of a host function that is not as recorded; a
    /// [`crate::tape::LogError`];
    /// what compiling a module in the recording gives.
    pub fn run(&mut self) -> Result<Ending> {
        if std::mem::replace(&mut self.done, true) {
            return Err(Error::msg("a recording is replayed once: open it again"));
        }
        let store = &mut self.store.inner_mut().opaque;
        match run(store) {
            Ok(ending) => Ok(ending),
            Err(error) => match error.downcast_ref::<Stop>() {
                Some(&stop) => {
                    let backtrace = error.downcast_ref::<WasmBacktrace>().cloned();
                    Ok(Ending::Stopped { stop, backtrace })
                }
                None => Err(error),
            },
        }
    }
}
