//! Why a module was not compiled.

use core::fmt;

/// The reason a module was not compiled.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Error {
    /// The module is not valid WebAssembly.
    Invalid {
        /// What is wrong.
        message: String,
        /// Byte offset in the module.
        offset: usize,
        /// The function it is in.
        func: Option<u32>,
    },
    /// The module is valid, but uses a feature that is not implemented.
    Unsupported {
        /// The proposal it comes from.
        proposal: &'static str,
        /// What was met.
        what: String,
        /// Byte offset in the module.
        offset: usize,
        /// The function it is in.
        func: Option<u32>,
    },
    /// The module exceeds a documented limit.
    Limit {
        /// Name of the limit.
        name: &'static str,
        /// Its figure.
        limit: u64,
        /// Byte offset in the module.
        offset: usize,
        /// The function it is in.
        func: Option<u32>,
    },
    /// A function's frame or code exceeds what the code generator can address.
    Unrepresentable {
        /// What is too large, with its figure.
        what: String,
        /// The function.
        func: Option<u32>,
    },
    /// The module is a component.
    Component,
    /// Somebody has cancelled the compilation.
    Cancelled,
    /// The compiler is at fault: one of its own checkers refused what it made.
    Bug {
        /// What the checker said.
        message: String,
        /// The function it was about.
        func: Option<u32>,
    },
}

impl Error {
    /// The error of code generation for function `func`, whose body is at `offset`.
    pub(crate) fn codegen(error: runwell_codegen::Error, func: u32, offset: u32) -> Error {
        match error {
            runwell_codegen::Error::Limit(what) => {
                Error::Unrepresentable { what, func: Some(func) }
            }
            runwell_codegen::Error::Bug(message) => Error::Bug { message, func: Some(func) },
            runwell_codegen::Error::Stopped(why) => {
                crate::pipeline::stopped(why, Some(func), offset)
            }
        }
    }

    /// The byte offset in the module, where there is one.
    pub fn offset(&self) -> Option<usize> {
        match *self {
            Error::Invalid { offset, .. }
            | Error::Unsupported { offset, .. }
            | Error::Limit { offset, .. } => Some(offset),
            Error::Bug { .. }
            | Error::Unrepresentable { .. }
            | Error::Component
            | Error::Cancelled => None,
        }
    }

    /// The index of the function it was met in, where there is one.
    pub fn func(&self) -> Option<u32> {
        match *self {
            Error::Invalid { func, .. }
            | Error::Unsupported { func, .. }
            | Error::Limit { func, .. }
            | Error::Unrepresentable { func, .. }
            | Error::Bug { func, .. } => func,
            Error::Component | Error::Cancelled => None,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Invalid { message, .. } => write!(f, "invalid module: {message}")?,
            Error::Unsupported { proposal, what, .. } => {
                write!(f, "unsupported: {what} (proposal: {proposal})")?;
            }
            Error::Limit { name, limit, .. } => {
                write!(f, "limit exceeded: {name} is at most {limit}")?;
            }
            Error::Unrepresentable { what, .. } => write!(f, "limit exceeded: {what}")?,
            Error::Component => {
                f.write_str("this is a component; only core modules can be run")?;
            }
            Error::Cancelled => f.write_str("compilation was cancelled")?,
            Error::Bug { message, .. } => write!(f, "internal error: {message}")?,
        }
        if let Some(func) = self.func() {
            write!(f, ", in function {func}")?;
        }
        if let Some(offset) = self.offset() {
            write!(f, ", at byte {offset:#x}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}

impl From<runwell_wasm::Error> for Error {
    fn from(error: runwell_wasm::Error) -> Error {
        use runwell_wasm::ErrorKind;
        match error.kind().clone() {
            ErrorKind::Invalid { message, offset, func } => {
                Error::Invalid { message, offset: offset as usize, func }
            }
            ErrorKind::Unsupported { proposal, what, offset, func } => {
                Error::Unsupported { proposal, what, offset: offset as usize, func }
            }
            ErrorKind::Limit { what, limit, offset, func } => {
                Error::Limit { name: what, limit, offset: offset as usize, func }
            }
            ErrorKind::Component => Error::Component,
            ErrorKind::Cancelled => Error::Cancelled,
        }
    }
}
