//! Why a module is refused.
//!
//! A module is *invalid* when no WebAssembly engine may accept it, *unsupported* when it is valid
//! but for proposals this engine does not implement, *limited* when it exceeds a documented bound.
//! All three name a byte offset in the module and, inside a body, the function.

use runwell_ir::work::Stopped;
use std::fmt;

/// Name of the limit on the steps that a function or the module's sections may cost.
pub const WORK: &str = "steps of work";

/// The result of reading or translating a module.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a module is refused; one word, so that results of hot functions stay in registers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Error(Box<ErrorKind>);

/// The kinds of [`Error`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ErrorKind {
    /// Not a valid module under any set of proposals.
    Invalid {
        /// What is wrong.
        message: String,
        /// Byte offset in the module.
        offset: u32,
        /// The function whose body it is in.
        func: Option<u32>,
    },
    /// Valid, but it uses a proposal that is not implemented.
    Unsupported {
        /// The proposal.
        proposal: &'static str,
        /// What of it was met.
        what: String,
        /// Byte offset in the module.
        offset: u32,
        /// The function whose body it is in.
        func: Option<u32>,
    },
    /// Larger than the engine is set up for.
    Limit {
        /// What there is too much of.
        what: &'static str,
        /// The bound.
        limit: u64,
        /// Byte offset in the module.
        offset: u32,
        /// The function whose body it is in.
        func: Option<u32>,
    },
    /// A component instead of a module.
    Component,
    /// Nothing is wrong with the module: somebody did not want to wait any longer.
    Cancelled,
}

impl Error {
    /// What kind of error it is, and its particulars.
    pub fn kind(&self) -> &ErrorKind {
        &self.0
    }

    /// Byte offset in the module.
    pub fn offset(&self) -> u32 {
        match *self.0 {
            ErrorKind::Invalid { offset, .. }
            | ErrorKind::Unsupported { offset, .. }
            | ErrorKind::Limit { offset, .. } => offset,
            ErrorKind::Component => 4,
            ErrorKind::Cancelled => 0,
        }
    }

    /// The function whose body it is in.
    pub fn func(&self) -> Option<u32> {
        match *self.0 {
            ErrorKind::Invalid { func, .. }
            | ErrorKind::Unsupported { func, .. }
            | ErrorKind::Limit { func, .. } => func,
            ErrorKind::Component | ErrorKind::Cancelled => None,
        }
    }

    #[cold]
    pub(crate) fn invalid(message: impl Into<String>, offset: u32) -> Error {
        Error(Box::new(ErrorKind::Invalid { message: message.into(), offset, func: None }))
    }

    #[cold]
    pub(crate) fn unsupported(
        proposal: &'static str,
        what: impl Into<String>,
        offset: u32,
    ) -> Error {
        let what = what.into();
        Error(Box::new(ErrorKind::Unsupported { proposal, what, offset, func: None }))
    }

    #[cold]
    pub(crate) fn limit(what: &'static str, limit: u64, offset: u32) -> Error {
        Error(Box::new(ErrorKind::Limit { what, limit, offset, func: None }))
    }

    #[cold]
    pub(crate) fn component() -> Error {
        Error(Box::new(ErrorKind::Component))
    }

    /// The meter lets a pass go no further, at `offset`.
    #[cold]
    pub(crate) fn stopped(why: Stopped, offset: u32) -> Error {
        match why {
            Stopped::Cancelled => Error(Box::new(ErrorKind::Cancelled)),
            Stopped::Spent { limit, .. } => Error::limit(WORK, limit, offset),
        }
    }

    /// Names the function whose body the error is in.
    #[cold]
    pub(crate) fn in_func(mut self, index: u32) -> Error {
        match &mut *self.0 {
            ErrorKind::Invalid { func, .. }
            | ErrorKind::Unsupported { func, .. }
            | ErrorKind::Limit { func, .. } => *func = Some(index),
            ErrorKind::Component | ErrorKind::Cancelled => {}
        }
        self
    }
}

/// An error of the validator, before it is known whether some proposal would make the module valid.
impl From<wasmparser::Error> for Error {
    #[cold]
    fn from(error: wasmparser::Error) -> Error {
        let offset = u32::try_from(error.offset()).unwrap_or(u32::MAX);
        match error.missing_wasm_feature().map(crate::features::proposal) {
            Some(proposal) => Error::unsupported(proposal, error.message(), offset),
            None => match limit_in(error.message()) {
                Some((what, limit)) => Error::limit(what, limit, offset),
                None => Error::invalid(error.message(), offset),
            },
        }
    }
}

/// The limit of the library's that a message speaks of: what is beyond is valid, but not accepted.
fn limit_in(message: &str) -> Option<(&'static str, u64)> {
    const COUNTED: [&str; 9] = [
        "types",
        "functions",
        "imports",
        "exports",
        "tables",
        "memories",
        "globals",
        "element segments",
        "data segments",
    ];
    let (what, limit) = match message.split_once(" count exceeds limit of ") {
        Some((what, limit)) => (COUNTED.into_iter().find(|&counted| counted == what)?, limit),
        None => {
            let limit = message.strip_prefix("effective type size exceeds the limit of ")?;
            ("types of all imports and exports together", limit)
        }
    };
    Some((what, limit.parse().ok()?))
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.0 {
            ErrorKind::Invalid { message, .. } => write!(f, "invalid module: {message}")?,
            ErrorKind::Unsupported { proposal, what, .. } => {
                write!(f, "unsupported proposal {proposal}: {what}")?;
            }
            ErrorKind::Limit { what, limit, .. } => write!(f, "{what} exceeds the limit {limit}")?,
            ErrorKind::Component => {
                return f.write_str("this is a component, not a core module (at offset 0x4)");
            }
            ErrorKind::Cancelled => return f.write_str("cancelled"),
        }
        write!(f, " (at offset 0x{:x}", self.offset())?;
        if let Some(func) = self.func() {
            write!(f, ", in function {func}")?;
        }
        f.write_str(")")
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_of_the_library_are_told_apart() {
        assert_eq!(limit_in("memories count exceeds limit of 100"), Some(("memories", 100)));
        assert_eq!(
            limit_in("effective type size exceeds the limit of 1000000"),
            Some(("types of all imports and exports together", 1_000_000))
        );
        for message in ["modules count exceeds limit of 1", "types count exceeds limit of", "types"]
        {
            assert_eq!(limit_in(message), None);
        }
    }

    #[test]
    fn an_error_is_one_word() {
        assert_eq!(size_of::<Result<()>>(), size_of::<usize>());
    }
}
