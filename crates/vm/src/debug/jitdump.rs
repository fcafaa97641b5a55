//! `jit-PID.dump`: the code of each function with its name and what it was compiled from, in the format
//! of `tools/perf/Documentation/jitdump-specification.txt` of Linux, version 1.
//!
//! `perf record -k mono` notes that the file was mapped executable, by which `perf inject --jit` finds
//! it, makes an ELF file of each function and puts them where samples point to. Times are those of the
//! monotonic clock, as the samples'. A position is the file's name with the byte offset of the operator
//! as the line.

use crate::Code;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::ptr::null_mut;
use std::sync::{Mutex, PoisonError};

const MAGIC: u32 = 0x4a69_5444;
const VERSION: u32 = 1;
const EM_X86_64: u32 = 62;
/// Bytes of the header of the file.
const HEADER_BYTES: u32 = 40;
/// Record: the code of a function.
const CODE_LOAD: u32 = 0;
/// Record: positions in sources of the function whose code is in the next record.
const DEBUG_INFO: u32 = 2;
/// Characters of a module's name, which stands in every entry.
const MODULE: usize = 32;
/// Bytes that records begin with.
const RECORD_BYTES: usize = 16;

struct Dump {
    file: File,
    /// Number of the next function.
    next: u64,
}

/// The file of this process, once there is one.
static DUMP: Mutex<Option<Dump>> = Mutex::new(None);

pub(super) fn write(code: &Code, names: &[String], module: &str) -> io::Result<()> {
    let mut dump = DUMP.lock().unwrap_or_else(PoisonError::into_inner);
    let dump = match &mut *dump {
        Some(dump) => dump,
        none => none.insert(start()?),
    };
    let module: String = module.chars().take(MODULE).collect();
    let module = module.replace(|c: char| c.is_control(), "?");
    let mut lines = code.meta().srclocs.iter().peekable();
    let mut out = Vec::new();
    for (symbol, func) in super::symbols(code, names).zip(&code.meta().funcs) {
        while lines.next_if(|&&(offset, _)| offset < func.start).is_some() {}
        let mut entries = Vec::new();
        let mut count = 0u64;
        while let Some(&(offset, from)) = lines.next_if(|&&(offset, _)| offset < func.end) {
            entries.extend_from_slice(&(code.base() + u64::from(offset)).to_le_bytes());
            entries.extend_from_slice(&from.to_le_bytes());
            entries.extend_from_slice(&0u32.to_le_bytes());
            // Not every `perf` knows the abbreviation for the name of the entry before.
            entries.extend_from_slice(module.as_bytes());
            entries.push(0);
            count += 1;
        }
        if count > 0 {
            let head = [symbol.address.to_le_bytes(), count.to_le_bytes()].concat();
            record(&mut out, DEBUG_INFO, &[&head, &entries])?;
        }
        let mut head = Vec::new();
        // SAFETY: always succeeds and touches nothing.
        let thread = unsafe { libc::gettid() };
        head.extend_from_slice(&std::process::id().to_le_bytes());
        head.extend_from_slice(&(thread as u32).to_le_bytes());
        for word in [symbol.address, symbol.address, symbol.len, dump.next] {
            head.extend_from_slice(&word.to_le_bytes());
        }
        dump.next += 1;
        // The name ends at the first zero.
        let name = symbol.name.replace('\0', "?");
        record(&mut out, CODE_LOAD, &[&head, name.as_bytes(), &[0], symbol.code])?;
    }
    dump.file.write_all(&out)
}

/// Appends a record.
fn record(out: &mut Vec<u8>, id: u32, parts: &[&[u8]]) -> io::Result<()> {
    let len: usize = parts.iter().map(|part| part.len()).sum();
    let len = u32::try_from(RECORD_BYTES + len).map_err(io::Error::other)?;
    out.extend_from_slice(&id.to_le_bytes());
    out.extend_from_slice(&len.to_le_bytes());
    out.extend_from_slice(&now().to_le_bytes());
    parts.iter().for_each(|part| out.extend_from_slice(part));
    Ok(())
}

/// Makes the file, and lets `perf` know of it.
fn start() -> io::Result<Dump> {
    let path = PathBuf::from(format!("jit-{}.dump", std::process::id()));
    let mut file = super::create(&path)?;
    let mut head = Vec::new();
    for word in [MAGIC, VERSION, HEADER_BYTES, EM_X86_64, 0, std::process::id()] {
        head.extend_from_slice(&word.to_le_bytes());
    }
    head.extend_from_slice(&now().to_le_bytes());
    head.extend_from_slice(&0u64.to_le_bytes());
    file.write_all(&head)?;
    // SAFETY: a private mapping at an address of the system's choice; nobody looks at its content. It
    // stays until the process ends, as the file does.
    let marker = unsafe {
        let access = libc::PROT_READ | libc::PROT_EXEC;
        libc::mmap(null_mut(), 4096, access, libc::MAP_PRIVATE, file.as_raw_fd(), 0)
    };
    if marker == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    Ok(Dump { file, next: 0 })
}

/// Nanoseconds by the clock that `perf record -k mono` takes.
fn now() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is valid; this clock always exists.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}
