//! How the command ends when something went wrong.

use anstyle::AnsiColor;
use runwell::{CompileError, Error, Trap, WasmBacktrace};
use runwell_crosscheck::Difference;
use std::borrow::Cow;
use std::fmt;
use std::path::Path;
use std::process::ExitCode;

/// Exit codes besides the guest's own.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) enum Code {
    /// The command line is wrong.
    Usage = 2,
    /// The input is not a valid module.
    Invalid = 3,
    /// The module is valid, but uses what is not implemented or exceeds a limit.
    Unsupported = 4,
    /// Imports are missing or of another type, or instantiation failed.
    Link = 5,
    /// runwell is at fault.
    Bug = 70,
    /// A file cannot be read or output not be written.
    Io = 74,
    /// Somebody did not want to wait any longer.
    Cancelled = 130,
    /// The guest trapped.
    Trap = 134,
}

/// An error whose exit code is known.
#[derive(Debug)]
pub(crate) struct Failure {
    code: Code,
    message: String,
}

impl Failure {
    pub(crate) fn error(code: Code, message: impl Into<String>) -> Error {
        Error::new(Failure { code, message: message.into() })
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

/// Says which file an error of the compiler is about, and what to do.
pub(crate) fn in_file(error: Error, file: &Path) -> Error {
    let file = file.display();
    let Some(compile) = error.downcast_ref::<CompileError>() else {
        return error.context(format!("{file}"));
    };
    let (code, hint) = match compile {
        CompileError::Invalid { .. } => (Code::Invalid, ""),
        CompileError::Unsupported { .. } => {
            (Code::Unsupported, "; build the program without this feature")
        }
        CompileError::Component => {
            (Code::Unsupported, "; extract or build the core module instead")
        }
        CompileError::Limit { .. } | CompileError::Unrepresentable { .. } => {
            (Code::Unsupported, "; split the module or the function")
        }
        CompileError::Cancelled => (Code::Cancelled, ""),
        CompileError::Bug { .. } => (Code::Bug, "; please report it with the module"),
    };
    Failure::error(code, format!("{file}: {compile}{hint}"))
}

/// Says what is wrong and yet no reason to stop.
pub(crate) fn warn(message: &str) {
    let style = AnsiColor::Yellow.on_default().bold();
    anstream::eprintln!("{style}warning:{style:#} {}", plain(message));
}

/// The one of `names` that `name` may have been meant as.
pub(crate) fn near<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    // Names may be as long as a module; nobody mistypes long ones.
    let short = |name: &str| name.len() <= 64;
    if !short(name) {
        return None;
    }
    let allowed = 1 + name.len() / 4;
    names
        .filter(|known| short(known))
        .map(|known| (strsim::damerau_levenshtein(name, known), known))
        .filter(|&(distance, known)| distance <= allowed && distance < known.chars().count())
        .min_by_key(|&(distance, _)| distance)
        .map(|(_, known)| known)
}

/// Text without what a terminal might obey: names in modules are whatever their maker likes.
pub(crate) fn plain(text: &str) -> Cow<'_, str> {
    let harmful = |c: char| c.is_control() && c != '\n' && c != '\t';
    if !text.contains(harmful) {
        return Cow::Borrowed(text);
    }
    let mut out = String::new();
    for c in text.chars() {
        if harmful(c) { out.extend(c.escape_default()) } else { out.push(c) }
    }
    Cow::Owned(out)
}

/// The exit code for an error.
pub(crate) fn code(error: &Error) -> Code {
    if let Some(failure) = error.downcast_ref::<Failure>() {
        failure.code
    } else if error.is::<Difference>() {
        Code::Bug
    } else if error.downcast_ref::<Trap>().is_some()
        || error.downcast_ref::<WasmBacktrace>().is_some()
    {
        Code::Trap
    } else if error.downcast_ref::<std::io::Error>().is_some() {
        Code::Io
    } else {
        Code::Link
    }
}

/// Prints an error and gives the exit code.
pub(crate) fn report(error: &Error) -> ExitCode {
    let code = code(error);
    if code == Code::Trap || error.is::<Difference>() {
        let cause = error.root_cause();
        eprint_error(&cause.to_string());
        if let Some(backtrace) = error.downcast_ref::<WasmBacktrace>() {
            eprintln!("{}", plain(&backtrace.to_string()));
        }
    } else {
        eprint_error(&format!("{error:#}"));
    }
    ExitCode::from(code as u8)
}

fn eprint_error(message: &str) {
    let style = AnsiColor::Red.on_default().bold();
    anstream::eprintln!("{style}error:{style:#} {}", plain(message));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_nearly_right() {
        let near = |name| near(name, ["run", "fuel", "compile", "i32", "x"].into_iter());
        assert_eq!(near("fule"), Some("fuel"));
        assert_eq!(near("compil"), Some("compile"));
        assert_eq!(near("i33"), Some("i32"));
        for far in ["zzz", "", "y", &"r".repeat(1000)] {
            assert_eq!(near(far), None, "{far}");
        }
    }

    #[test]
    fn terminals_obey_nothing() {
        assert_eq!(plain("a\nb\té"), "a\nb\té");
        assert_eq!(plain("\u{1b}]0;x\u{7}\u{9b}"), "\\u{1b}]0;x\\u{7}\\u{9b}");
    }
}
