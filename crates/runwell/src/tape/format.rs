//! Events as bytes.
//!
//! A log is [`MAGIC`], the version of the format, and events, each with its length in front. Numbers are
//! LEB128. What is read is not trusted: lengths are compared with what is there before anything is
//! allocated, and every event has to be used up to its end.

pub(crate) mod decode;
pub(crate) mod encode;
#[cfg(test)]
mod tests;

use super::event::Event;
use decode::In;
use encode::{Out, put};
use std::fmt;
use std::io::{self, BufRead, BufReader, Read};

const MAGIC: &[u8] = b"runwell log\n";
/// The version of the format.
const VERSION: u64 = 3;

/// What is wrong with a log.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum LogError {
    /// It is something else.
    NotALog,
    /// It was written by another version.
    Version(u64),
    /// It does not say what a recording says.
    Damaged {
        /// Number of the event.
        event: u64,
        /// What does not fit.
        what: &'static str,
    },
    /// It cannot be read.
    Io(io::ErrorKind, String),
}

impl fmt::Display for LogError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LogError::NotALog => f.write_str("not a recording"),
            LogError::Version(found) => {
                write!(f, "a recording of format {found}, this version reads format {VERSION}")
            }
            LogError::Damaged { event, what } => {
                write!(f, "the recording is damaged, at event {event}: {what}")
            }
            LogError::Io(_, message) => write!(f, "the recording cannot be read: {message}"),
        }
    }
}

impl std::error::Error for LogError {}

/// The first bytes of a log.
pub(crate) fn head() -> Vec<u8> {
    let mut out = Out(MAGIC.to_vec());
    out.number(VERSION);
    out.0
}

/// An event with its length in front.
pub(crate) fn encode(event: &Event) -> Vec<u8> {
    let mut out = Out::default();
    put(&mut out, event);
    let mut framed = Out::default();
    framed.number(out.0.len() as u64);
    framed.0.extend_from_slice(&out.0);
    framed.0
}

/// Reads the events of a log.
pub(crate) struct LogReader {
    from: Box<dyn BufRead + Send>,
    /// How many events have been read.
    count: u64,
    /// The one that was looked at and not taken.
    next: Option<Event>,
    /// The log ends inside of an event.
    torn: bool,
}

impl LogReader {
    /// Reads the head of a log.
    pub(crate) fn new(from: impl Read + Send + 'static) -> Result<LogReader, LogError> {
        let mut from: Box<dyn BufRead + Send> = Box::new(BufReader::new(from));
        let mut magic = vec![];
        read_up_to(&mut from, MAGIC.len() as u64, &mut magic)?;
        if magic != MAGIC {
            return Err(LogError::NotALog);
        }
        let mut reader = LogReader { from, count: 0, next: None, torn: false };
        match reader.length()? {
            Some(VERSION) => Ok(reader),
            Some(other) => Err(LogError::Version(other)),
            None => Err(LogError::NotALog),
        }
    }

    pub(crate) fn damaged(&self, what: &'static str) -> LogError {
        LogError::Damaged { event: self.count, what }
    }

    /// True if the log ended inside of an event.
    pub(crate) fn is_torn(&self) -> bool {
        self.torn
    }

    /// A number in front of something; `None` at the end.
    fn length(&mut self) -> Result<Option<u64>, LogError> {
        let mut bytes = vec![];
        loop {
            if read_up_to(&mut self.from, 1, &mut bytes)? == 0 {
                self.torn = !bytes.is_empty();
                return Ok(None);
            }
            if bytes.last().is_some_and(|byte| *byte < 0x80) || bytes.len() > 10 {
                return In(&bytes).number().map(Some).map_err(|what| self.damaged(what));
            }
        }
    }

    /// The next event, `None` at the end.
    pub(crate) fn next(&mut self) -> Result<Option<Event>, LogError> {
        if let Some(event) = self.next.take() {
            return Ok(Some(event));
        }
        let Some(len) = self.length()? else { return Ok(None) };
        let mut bytes = vec![];
        // Not allocated in advance: the length may be anything.
        if read_up_to(&mut self.from, len, &mut bytes)? as u64 != len {
            self.torn = true;
            return Ok(None);
        }
        let mut input = In(&bytes);
        let event = input.event().map_err(|what| self.damaged(what))?;
        if !input.0.is_empty() {
            return Err(self.damaged("an event with something behind it"));
        }
        self.count += 1;
        Ok(Some(event))
    }

    /// Lets an event that has been read be the next one again.
    pub(crate) fn put_back(&mut self, event: Event) {
        debug_assert!(self.next.is_none(), "one event at most");
        self.next = Some(event);
    }

    /// The next event, which stays the next.
    pub(crate) fn peek(&mut self) -> Result<Option<&Event>, LogError> {
        if self.next.is_none() {
            self.next = self.next()?;
        }
        Ok(self.next.as_ref())
    }
}

fn read_up_to(
    from: &mut Box<dyn BufRead + Send>,
    len: u64,
    into: &mut Vec<u8>,
) -> Result<usize, LogError> {
    from.take(len).read_to_end(into).map_err(|error| LogError::Io(error.kind(), error.to_string()))
}
