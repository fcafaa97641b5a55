//! Recording.

use super::event::{Event, Setup};
use super::format;
use super::hooks::{Mode, Observer, Tape, View};
use super::shadow::Shadows;
use crate::engine::Engine;
use crate::state::StateHash;
use crate::store::{Store, StoreOpaque};
use crate::{Error, QUOTE_VERSION, Result};
use anyhow::Context as _;
use runwell_abi::fuel::{OperatorClass, SCHEDULE_VERSION};
use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

/// Bytes of a log in memory, in as many hands as want it.
#[derive(Clone, Default, Debug)]
pub struct SharedLog(Arc<Mutex<Vec<u8>>>);

impl SharedLog {
    /// What has been written so far.
    pub fn bytes(&self) -> Vec<u8> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Write for SharedLog {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes events down.
struct Recorder {
    to: Box<dyn Write + Send>,
    /// What has not been written yet.
    buffer: Vec<u8>,
}

/// Buffered bytes that are written without waiting for control to go to a guest.
const BUFFER_BYTES: usize = 1 << 16;

impl Recorder {
    fn write(&mut self) -> Result<()> {
        self.to
            .write_all(&self.buffer)
            .and_then(|()| self.to.flush())
            .context("the recording cannot be written")?;
        self.buffer.clear();
        Ok(())
    }
}

impl Observer for Recorder {
    fn event(&mut self, event: &Event, _: &mut View<'_>) -> Result<()> {
        self.buffer.extend(format::encode(event));
        // A guest may take the process with it: what led there is to be found afterwards.
        let gives_control = matches!(
            event,
            Event::Invoke { .. }
                | Event::Resume { .. }
                | Event::HostDone(_)
                | Event::Panicked
                | Event::End { .. }
        );
        if gives_control || self.buffer.len() >= BUFFER_BYTES {
            return self.write();
        }
        Ok(())
    }
}

/// The settings of an engine on which results depend.
fn setup(engine: &Engine) -> Setup {
    let config = engine.config();
    let mut settings = vec![("stack".to_string(), config.max_wasm_stack as u64)];
    if let Some(schedule) = &config.schedule {
        settings.push(("schedule".to_string(), SCHEDULE_VERSION.into()));
        for &class in OperatorClass::ALL {
            settings.push((format!("cost.{}", class.name()), schedule.cost(class).into()));
        }
        if config.charge_instantiation {
            settings.push(("charge.instantiation".to_string(), 1));
        }
        if config.charge_compilation > 0 {
            settings.push(("charge.compilation".to_string(), config.charge_compilation));
            settings.push(("quote".to_string(), QUOTE_VERSION.into()));
        }
    }
    settings.sort();
    Setup { settings }
}

impl StoreOpaque {
    fn observe(&mut self, observer: impl Observer) -> Result<()> {
        if self.tape.is_some() {
            return Err(Error::msg("the store is being observed already"));
        }
        let made = self.instances.len()
            + self.memories.len()
            + self.tables.len()
            + self.globals.len()
            + self.host_funcs.len()
            + self.externs.len();
        if made != 0 {
            return Err(Error::msg(
                "only an empty store can be observed: begin before anything is made in it",
            ));
        }
        let shadows = Shadows::default();
        let observer = Box::new(observer);
        self.tape = Some(Tape::new(Mode::Observed { observer, modules: Vec::new(), shadows }));
        let setup = setup(self.engine());
        self.tell(|_, _| Event::Start(setup));
        if let Some(fuel) = self.fuel_left().filter(|&fuel| fuel > 0) {
            self.tell(|_, _| Event::SetFuel(fuel));
        }
        if self.limiter.is_set() {
            self.tell(|_, _| Event::Limited);
        }
        Ok(())
    }
}

impl<T: 'static> Store<T> {
    /// Tells `observer` everything that happens between the guests of this store and the host.
    ///
    /// Host functions may be of any kind and use every part of the API, also to suspend their callers. What
    /// they write into memories is found by comparing, so that slices can be used as always. It
    /// costs: each call from a guest to the host takes some microseconds more, and the store holds a copy
    /// of its memories; where the kernel does not track writes (see [`Store::state_hash`]), each call
    /// reads all of them.
    ///
    /// # Errors
    /// When something has been made in the store already, or it is being observed.
    pub fn observe(&mut self, observer: impl Observer) -> Result<()> {
        self.inner_mut().opaque.observe(observer)
    }

    /// Records everything the host does to this store, so that a [`crate::tape::Replay`] can do it again.
    ///
    /// What is written is complete whenever control goes to a guest: a recording that breaks off can be
    /// replayed up to there. See [`Store::observe`] for what is recorded and what it costs.
    ///
    /// # Errors
    /// As for [`Store::observe`], and when `to` cannot be written to. If that happens later, the call that
    /// is under way ends with the error.
    pub fn record(&mut self, to: impl Write + Send + 'static) -> Result<()> {
        let mut recorder = Recorder { to: Box::new(to), buffer: format::head() };
        recorder.write()?;
        self.observe(recorder)
    }

    /// Ends a recording with the hash of the state and with `note`, in which the embedder finds again what
    /// he puts there.
    ///
    /// # Errors
    /// When nothing is being recorded, not everything could be written, or a host function panicked.
    pub fn finish_recording(&mut self, note: &[u8]) -> Result<StateHash> {
        let opaque = &mut self.inner_mut().opaque;
        if !opaque.tape.as_ref().is_some_and(|tape| matches!(tape.mode, Mode::Observed { .. })) {
            return Err(Error::msg("nothing is being recorded"));
        }
        let hash = opaque.state_hash();
        let note = note.to_vec();
        let ended = opaque.with_tape(|tape, store| tape.end(store, &Event::End { hash, note }));
        opaque.tape = None;
        ended.unwrap_or(Ok(()))?;
        Ok(hash)
    }
}
