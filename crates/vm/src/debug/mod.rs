//! Telling profilers and debuggers of the host what guest code is called and how its frames are laid
//! out: `perf` by a map of symbols or by a dump of the code, gdb through its JIT interface.
//!
//! What is written here is read by tools outside of the process, so the files belong to the process and
//! not to an engine: all engines of a process write to the same ones.

mod elf;
mod gdb;
mod jitdump;
mod perf_map;

pub use gdb::Registration;

use crate::Code;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

/// What profilers learn of guest code.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Profile {
    /// A map from addresses to names, in `/tmp/perf-PID.map`.
    PerfMap,
    /// Names, code, and positions in modules, in `jit-PID.dump` in the current directory.
    JitDump,
}

/// A function as tools see it.
struct Symbol<'a> {
    name: &'a str,
    /// Address and length.
    address: u64,
    len: u64,
    code: &'a [u8],
    frame_bytes: u32,
}

/// The functions of `code`, named by their position in its table.
fn symbols<'a>(code: &'a Code, names: &'a [String]) -> impl Iterator<Item = Symbol<'a>> + 'a {
    code.meta().funcs.iter().zip(names).map(|(func, name)| Symbol {
        name,
        address: code.base() + u64::from(func.start),
        len: u64::from(func.end - func.start),
        code: &code.bytes()[func.start as usize..func.end as usize],
        frame_bytes: func.frame_bytes,
    })
}

/// Tells profilers of `code`, whose functions are called `names`. `module` is a name for what they were
/// compiled from.
///
/// # Errors
/// When the file cannot be made or written.
///
/// # Complexity
/// Linear in the code and its tables.
pub fn profile(profile: Profile, code: &Code, names: &[String], module: &str) -> io::Result<()> {
    match profile {
        Profile::PerfMap => perf_map::write(symbols(code, names)),
        Profile::JitDump => jitdump::write(code, names, module),
    }
}

/// Tells debuggers of `code` as long as the registration lives.
///
/// # Complexity
/// Linear in the number of functions and the lengths of their names.
pub fn register(code: &Code, names: &[String]) -> Registration {
    let functions: Vec<Symbol<'_>> = symbols(code, names).collect();
    gdb::register(elf::image(code.base(), code.len() as u64, &functions))
}

/// A new file at a path that can be guessed. One of an earlier process with our number is replaced;
/// what another user has put there is not followed.
fn create(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .mode(0o644)
        .custom_flags(libc::O_NOFOLLOW | libc::O_CLOEXEC)
        .open(path)?;
    let metadata = file.metadata()?;
    // SAFETY: always succeeds and touches nothing.
    let user = unsafe { libc::geteuid() };
    if !metadata.is_file() || metadata.uid() != user {
        return Err(io::Error::other("somebody else's file is in its place"));
    }
    file.set_len(0)?;
    Ok(file)
}
