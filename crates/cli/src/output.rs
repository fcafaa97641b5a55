//! Where results go: standard output, or a file that appears complete or not at all.

use crate::fail::{Code, Failure};
use runwell::Result;
use std::fmt::Write as _;
use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, IsTerminal, Write};
use std::path::{Path, PathBuf};

/// Prints to standard output. A reader that has gone away ends the command quietly.
pub(crate) fn print(text: &str) -> Result<()> {
    print_bytes(text.as_bytes())
}

fn print_bytes(bytes: &[u8]) -> Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => std::process::exit(0),
        done => Ok(done?),
    }
}

/// Writes a result to a file, or to standard output for `-`.
///
/// The file is written beside and renamed, so that nobody ever sees half of it, and what was there
/// stays when something goes wrong. What is no regular file, as `/dev/null` or a pipe, is written to.
pub(crate) fn write(to: &Path, bytes: &[u8]) -> Result<()> {
    if to.as_os_str() == "-" {
        if io::stdout().is_terminal() && bytes.contains(&0) {
            let message = "-o -: standard output is a terminal; redirect it or name a file";
            return Err(Failure::error(Code::Usage, message));
        }
        return print_bytes(bytes);
    }
    let failed = |error: io::Error| {
        Failure::error(Code::Io, format!("{}: cannot be written: {error}", to.display()))
    };
    match fs::metadata(to) {
        Ok(metadata) if !metadata.is_file() => OpenOptions::new()
            .write(true)
            .open(to)
            .and_then(|mut file| file.write_all(bytes))
            .map_err(failed),
        // Behind links there is the file to be replaced, not in their place.
        Ok(_) => fs::canonicalize(to).and_then(|to| replace(&to, bytes)).map_err(failed),
        Err(_) => replace(to, bytes).map_err(failed),
    }
}

fn replace(to: &Path, bytes: &[u8]) -> io::Result<()> {
    let name = to.file_name().ok_or(ErrorKind::InvalidInput)?;
    let mut beside = PathBuf::from(to);
    // Two processes have two numbers, and one process writes one file at a time.
    beside.set_file_name(format!(".{}.{}.tmp", name.to_string_lossy(), std::process::id()));
    let written = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .open(&beside)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .and_then(|()| fs::rename(&beside, to));
    if written.is_err() {
        let _ = fs::remove_file(&beside);
    }
    written
}

/// Text as JSON writes it.
pub(crate) fn json_string(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    push_json_string(&mut out, text);
    out
}

/// Appends text as JSON writes it.
pub(crate) fn push_json_string(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\u{0}'..='\u{1f}' | '\u{7f}' | '\u{2028}' | '\u{2029}' => {
                let _ = write!(out, "\\u{:04x}", c as u32);
            }
            _ => out.push(c),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_strings_are_escaped() {
        assert_eq!(json_string("a\"b\\c\nd\u{2028}é"), r#""a\"b\\c\u000ad\u2028é""#);
    }
}
