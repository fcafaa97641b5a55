//! `runwell replay` on the command line.

use super::Compiler;
use clap::Args;
use std::path::PathBuf;
use std::str::FromStr;

#[derive(Args, Debug)]
pub(crate) struct Replay {
    /// Stop when N units of fuel have been used, metered or not when it was recorded
    #[arg(long, value_name = "N")]
    pub(crate) until_fuel: Option<u64>,
    /// Stop at the Nth call of an import
    #[arg(long, value_name = "N")]
    pub(crate) until_call: Option<u64>,
    /// Show LEN bytes (256 if not given) of memory M (0 if not given) from START on
    #[arg(long = "memory", value_name = "[M:]START[+LEN]")]
    pub(crate) memories: Vec<Range>,
    #[command(flatten)]
    pub(crate) compiler: Compiler,
    /// What `runwell run --record` wrote
    pub(crate) file: PathBuf,
}

/// A part of a memory.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) struct Range {
    pub(crate) memory: usize,
    pub(crate) start: u64,
    pub(crate) len: u64,
}

/// Bytes shown when nothing is said.
const SHOWN_BYTES: u64 = 256;

fn number(text: &str) -> Result<u64, String> {
    let parsed = match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => text.parse(),
    };
    parsed.map_err(|_| format!("`{text}` is not a number"))
}

impl FromStr for Range {
    type Err = String;

    fn from_str(text: &str) -> Result<Range, String> {
        let (memory, rest) = match text.split_once(':') {
            Some((memory, rest)) => (number(memory)?, rest),
            None => (0, text),
        };
        let (start, len) = match rest.split_once('+') {
            Some((start, len)) => (number(start)?, number(len)?),
            None => (number(rest)?, SHOWN_BYTES),
        };
        let memory = usize::try_from(memory).map_err(|_| "no such memory".to_string())?;
        Ok(Range { memory, start, len })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges() {
        let range = |memory, start, len| Ok(Range { memory, start, len });
        assert_eq!("16".parse(), range(0, 16, 256));
        assert_eq!("0x10+0x20".parse(), range(0, 16, 32));
        assert_eq!("2:0+1".parse(), range(2, 0, 1));
        for bad in ["", "x", "1:", ":1", "1+", "-1"] {
            assert!(bad.parse::<Range>().is_err(), "{bad}");
        }
    }
}
