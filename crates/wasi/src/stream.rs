//! What stands behind standard input, output and error.
//!
//! The host's own streams are used by their descriptors, so that what the guest writes is written
//! when the call returns: there is no buffer here, and the order between standard output and error
//! stays. Anything that implements [`Read`] or [`Write`] can stand in, and two pipes in memory are
//! at hand for it.

use crate::abi::filetype;
use crate::errno::{Errno, Result};
use rustix::io::retry_on_intr;
use std::io::{self, IoSlice, IsTerminal, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, Mutex, PoisonError};

/// A source or sink of bytes without a position.
pub(crate) enum Stream {
    /// The host's standard input.
    Stdin,
    /// The host's standard output.
    Stdout,
    /// The host's standard error.
    Stderr,
    /// A source that the embedder gave.
    Input(Box<dyn Read + Send>),
    /// A sink that the embedder gave.
    Output(Box<dyn Write + Send>),
}

impl Stream {
    /// Whether it is read from; else it is written to.
    pub(crate) fn is_input(&self) -> bool {
        matches!(self, Stream::Stdin | Stream::Input(_))
    }

    /// Calls `with` with the descriptor of a stream of the host.
    pub(crate) fn with_host<R>(&self, with: impl FnOnce(BorrowedFd<'_>) -> R) -> Option<R> {
        match self {
            Stream::Stdin => Some(with(io::stdin().as_fd())),
            Stream::Stdout => Some(with(io::stdout().as_fd())),
            Stream::Stderr => Some(with(io::stderr().as_fd())),
            Stream::Input(_) | Stream::Output(_) => None,
        }
    }

    /// A character device if it is a terminal. Nothing else about a stream of the host is told, so
    /// that a guest does the same whatever its output is redirected to.
    pub(crate) fn filetype(&self) -> u8 {
        match self.with_host(|fd| fd.is_terminal()) {
            Some(true) => filetype::CHARACTER_DEVICE,
            _ => filetype::UNKNOWN,
        }
    }

    /// Reads what is there, at least one byte unless the stream has ended.
    pub(crate) fn read(&mut self, to: &mut [u8]) -> Result<usize> {
        match self {
            Stream::Stdin => Ok(retry_on_intr(|| rustix::io::read(io::stdin().as_fd(), &mut *to))?),
            Stream::Input(input) => loop {
                match input.read(to) {
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    // A reader that claims more than there was room for is not believed.
                    result => return Ok(result?.min(to.len())),
                }
            },
            _ => Err(Errno::BadF),
        }
    }

    /// Writes a part of `from`, and says how much.
    pub(crate) fn write(&mut self, from: &[IoSlice<'_>]) -> Result<usize> {
        match self {
            Stream::Stdout => {
                // What the embedder itself wrote before comes first.
                io::stdout().flush()?;
                Ok(retry_on_intr(|| rustix::io::writev(io::stdout().as_fd(), from))?)
            }
            Stream::Stderr => Ok(retry_on_intr(|| rustix::io::writev(io::stderr().as_fd(), from))?),
            Stream::Output(output) => loop {
                match output.write_vectored(from) {
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(error.into()),
                    Ok(count) => {
                        output.flush()?;
                        // A writer that claims more than it was given is not believed.
                        return Ok(count.min(from.iter().map(|part| part.len()).sum()));
                    }
                }
            },
            _ => Err(Errno::BadF),
        }
    }
}

/// Standard input from bytes in memory.
#[derive(Clone, Debug, Default)]
pub struct MemoryInputPipe {
    bytes: Arc<[u8]>,
    at: usize,
}

impl MemoryInputPipe {
    /// A pipe that holds `bytes` and then ends.
    pub fn new(bytes: impl Into<Arc<[u8]>>) -> MemoryInputPipe {
        MemoryInputPipe { bytes: bytes.into(), at: 0 }
    }
}

impl Read for MemoryInputPipe {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let mut rest = self.bytes.get(self.at..).unwrap_or_default();
        let count = rest.read(to)?;
        self.at += count;
        Ok(count)
    }
}

/// Standard output or error into memory, up to a capacity; clones share what was written.
#[derive(Clone, Debug)]
pub struct MemoryOutputPipe {
    bytes: Arc<Mutex<Vec<u8>>>,
    capacity: usize,
}

impl MemoryOutputPipe {
    /// An empty pipe for up to `capacity` bytes.
    pub fn new(capacity: usize) -> MemoryOutputPipe {
        MemoryOutputPipe { bytes: Arc::default(), capacity }
    }

    /// A copy of what has been written.
    pub fn contents(&self) -> Vec<u8> {
        self.bytes.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Write for MemoryOutputPipe {
    /// Takes as much as there is room for, and fails with "no space" when there is none.
    fn write(&mut self, from: &[u8]) -> io::Result<usize> {
        let mut bytes = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        let count = from.len().min(self.capacity.saturating_sub(bytes.len()));
        if count == 0 && !from.is_empty() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        bytes.extend_from_slice(&from[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
