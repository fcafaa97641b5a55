//! The thread that follows, as the machine's side has it.

use super::Why;
use crate::follower::{Command, Report, Ways, follow};
use runwell::Schedule;
use std::sync::mpsc::{Receiver, Sender, channel};

/// Stack of the evaluator's thread, which recurses where host functions call back and where instances call
/// each other.
const STACK_BYTES: usize = 256 << 20;

/// The thread that follows.
pub(super) struct Evaluator {
    to: Sender<Command>,
    from: Receiver<Report>,
    /// How many instances it has.
    pub(super) instances: u32,
}

impl Evaluator {
    pub(super) fn new(schedule: Option<Schedule>, depth: u64) -> Result<Evaluator, Why> {
        let (to, commands) = channel();
        let (reports, from) = channel();
        let ways = Ways { from: commands, to: reports };
        std::thread::Builder::new()
            .name("crosscheck".into())
            .stack_size(STACK_BYTES)
            .spawn(move || follow(schedule, depth, ways))
            .map_err(|error| Why::Ends(format!("there is no thread for it: {error}")))?;
        Ok(Evaluator { to, from, instances: 0 })
    }

    pub(super) fn report(&self) -> Result<Report, Why> {
        self.from.recv().map_err(|_| Why::Ends("the evaluator is gone".into()))
    }

    pub(super) fn tell(&self, command: Command) -> Result<(), Why> {
        self.to.send(command).map_err(|_| Why::Ends("the evaluator is gone".into()))
    }
}
