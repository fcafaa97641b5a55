//! What goes wrong outside of guest code.

use std::fmt;

/// A failure of the operating system, or a limit of the runtime.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused.
    Os {
        /// What was tried.
        what: &'static str,
        /// How many bytes it was about, 0 when that does not apply.
        bytes: u64,
        /// The system's error number.
        errno: i32,
    },
    /// The store has a suspended call, which has to be resumed or dropped first.
    Suspended,
    /// The host's own thread has too little stack left for another call into a guest: host functions
    /// and guests call each other too deeply for it.
    HostStack,
    /// There is no suspended call.
    NotSuspended,
    /// More was asked for than the runtime gives.
    Limit {
        /// What is limited.
        what: &'static str,
        /// What was asked for.
        wanted: u64,
        /// The most there is.
        limit: u64,
    },
}

impl Error {
    /// The calling thread's last system error.
    pub(crate) fn last_os(what: &'static str, bytes: usize) -> Error {
        let errno = std::io::Error::last_os_error().raw_os_error().unwrap_or(0);
        Error::Os { what, bytes: bytes as u64, errno }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Error::Os { what, bytes, errno } => {
                write!(f, "cannot {what}")?;
                if bytes != 0 {
                    write!(f, " ({bytes} bytes)")?;
                }
                write!(f, ": {}", std::io::Error::from_raw_os_error(errno))
            }
            Error::Suspended => f.write_str(
                "a call of the store is suspended: go on with it or cancel it before calling anything else",
            ),
            Error::HostStack => f.write_str(
                "the host's thread has too little stack left for another call into a guest: give the \
                 thread a larger stack, or stores less (Config::max_wasm_stack)",
            ),
            Error::NotSuspended => f.write_str("the call is not suspended in this store: it was cancelled, or is of another one"),
            Error::Limit { what, wanted, limit } => {
                write!(f, "{what}: {wanted} wanted, the limit is {limit}")
            }
        }
    }
}

impl std::error::Error for Error {}
