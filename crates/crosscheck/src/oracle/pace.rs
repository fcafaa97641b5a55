//! How far guests may go: in operators, in depth, and where somebody is asked before something grows.

use runwell_abi::TrapCode;
use runwell_abi::memory::ACTIVATION_DEPTH_BYTES;
use std::collections::VecDeque;

/// A limiter's answer: yes, no, or an error of the host's.
pub type Answer = Result<bool, ()>;

/// How far guests may go, and how far they have come.
///
/// Operators are counted by modules that do so themselves ([`crate::count`]): each adds what it costs before
/// it acts. Fuel, however, is charged by regions: straight code up to the next call, return or turn of a
/// loop. A guest is out of fuel where it cannot pay for a way to the end of its region, so that it stops
/// between any two operators of a region that would take it beyond, or would trap. Where it has stopped
/// has to be told ([`Pace::limit`]); that it had to is known behind it ([`Pace::unpaid`]).
#[derive(Clone, Debug)]
pub struct Pace {
    /// What operators have cost that were executed.
    pub counter: u64,
    /// The operator is not executed that would take the counter beyond this.
    pub limit: u64,
    /// A guest has stopped for want of fuel, with so much in all, by the counter, and has yet to come to
    /// the end of its region.
    pub unpaid: Option<u64>,
    /// It could have paid: what it had in all, and what the counter said at the end of its region.
    pub early: Option<(u64, u64)>,
    /// The run ends with its region, or where there is no fuel for more.
    pub probes: bool,
    /// What all frames count, see [`runwell_abi::memory::frame_depth`].
    pub depth: u64,
    /// Activations around the one that runs.
    pub activations: u64,
    /// The most that frames and activations may count; unless it is given, evaluation's own limit holds.
    pub most_depth: Option<u64>,
    /// What a limiter has said to the questions that will be asked, if there is one.
    pub answers: Option<VecDeque<Answer>>,
    /// A question was asked that the limiter has not been asked.
    pub unanswered: bool,
}

impl Default for Pace {
    fn default() -> Pace {
        Pace {
            counter: 0,
            limit: u64::MAX,
            unpaid: None,
            early: None,
            probes: false,
            depth: 0,
            activations: 0,
            most_depth: None,
            answers: None,
            unanswered: false,
        }
    }
}

/// How [`Pace`] ends a run that is not to go on; whoever asked for that knows why.
pub(super) const ENDS: TrapCode = TrapCode::Interrupt;

impl Pace {
    /// A region ends.
    ///
    /// # Errors
    /// When the run ends with it.
    pub(super) fn region_end(&mut self) -> Result<(), TrapCode> {
        if let Some(had) = self.unpaid.take()
            && self.counter <= had
        {
            self.early = Some((had, self.counter));
        }
        if self.probes { Err(ENDS) } else { Ok(()) }
    }

    /// A frame is made that counts `bytes`; `frames` is how many there are in this run.
    ///
    /// # Errors
    /// When that is too deep.
    pub(super) fn enter(&mut self, bytes: u32, frames: usize) -> Result<(), TrapCode> {
        let depth = self.depth + u64::from(bytes);
        let fits = match self.most_depth {
            Some(most) => bytes == 0 || depth + self.activations * ACTIVATION_DEPTH_BYTES <= most,
            None => frames < runwell_ir::eval::MAX_FRAMES,
        };
        if !fits {
            return Err(TrapCode::StackOverflow);
        }
        self.depth = depth;
        Ok(())
    }

    /// The frame is gone.
    pub(super) fn leave(&mut self, bytes: u32) {
        self.depth -= u64::from(bytes);
    }

    /// The host calls a guest, with so many activations around.
    ///
    /// # Errors
    /// When that is too deep.
    pub(crate) fn activate(&mut self, around: u64) -> Result<(), TrapCode> {
        let depth = self.depth + around * ACTIVATION_DEPTH_BYTES;
        // There has to be room for something.
        if around > 0 && self.most_depth.is_some_and(|most| depth >= most) {
            return Err(TrapCode::StackOverflow);
        }
        self.activations = around;
        Ok(())
    }

    /// What the limiter says when something is about to grow, or has not grown although it said yes.
    ///
    /// # Errors
    /// When it fails, or is asked what it has not been asked.
    fn ask(&mut self) -> Result<bool, TrapCode> {
        let Some(answers) = &mut self.answers else { return Ok(true) };
        match answers.pop_front() {
            Some(answer) => answer.map_err(|()| ENDS),
            None => {
                self.unanswered = !self.probes;
                Err(ENDS)
            }
        }
    }

    /// Grows something by `grow`, if the limiter lets it: what it gives, or `u64::MAX`.
    ///
    /// # Errors
    /// When the limiter fails.
    pub(super) fn limited(&mut self, grow: impl FnOnce() -> Option<u64>) -> Result<u64, TrapCode> {
        if !self.ask()? {
            return Ok(u64::MAX);
        }
        match grow() {
            Some(old) => Ok(old),
            None => {
                self.ask()?;
                Ok(u64::MAX)
            }
        }
    }
}
