//! `/tmp/perf-PID.map`: a line `START LENGTH NAME` for each function, which `perf report` looks up
//! addresses in that belong to no file (`tools/perf/Documentation/jit-interface.txt` of Linux).

use super::Symbol;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};

/// The file of this process, once there is one.
static MAP: Mutex<Option<File>> = Mutex::new(None);

pub(super) fn write<'a>(symbols: impl Iterator<Item = Symbol<'a>>) -> io::Result<()> {
    let mut lines = String::new();
    for Symbol { name, address, len, .. } in symbols {
        let name = name.replace(|c: char| c.is_control(), "?");
        let _ = writeln!(lines, "{address:x} {len:x} {name}");
    }
    let mut map = MAP.lock().unwrap_or_else(PoisonError::into_inner);
    let file = match &mut *map {
        Some(file) => file,
        none => {
            let path = format!("/tmp/perf-{}.map", std::process::id());
            none.insert(super::create(path.as_ref())?)
        }
    };
    file.write_all(lines.as_bytes())
}
