//! A guest in the hands of a test: a context, some memory, and a directory of the host's.

// Each test binary uses some of this.
#![allow(dead_code)]

use runwell_wasi::{Errno, GuestMemory, Result, WasiCtx, WasiCtxBuilder, preview1};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

pub(crate) const READ: u64 = 1 << 1;
pub(crate) const SEEK: u64 = 1 << 2;
pub(crate) const WRITE: u64 = 1 << 6;
pub(crate) const READ_WRITE: u64 = READ | WRITE;
pub(crate) const ALL: u64 = (1 << 30) - 1;
pub(crate) const CREAT: u32 = 1;
pub(crate) const DIRECTORY: u32 = 2;
pub(crate) const EXCL: u32 = 4;
pub(crate) const TRUNC: u32 = 8;
pub(crate) const FOLLOW: u32 = 1;
pub(crate) const NO_FOLLOW: u32 = 0;

/// The preopened directory.
pub(crate) const DIR: u32 = 3;

/// Where results go.
pub(crate) const OUT: u32 = 0;
/// Where buffers are.
pub(crate) const BUFFER: u32 = 0x8000;
const IOVECS: u32 = 0x100;
const FIRST_PATH: u32 = 0x1000;
const SECOND_PATH: u32 = 0x3000;

/// A directory of the host's that is removed again.
pub(crate) struct TempDir(PathBuf);

impl TempDir {
    pub(crate) fn new() -> TempDir {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("wasi-{}-{number}", std::process::id());
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::create_dir_all(&path).unwrap();
        TempDir(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub(crate) fn write(&self, name: &str, content: &str) {
        std::fs::write(self.join(name), content).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.join(name)).unwrap()
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub(crate) struct Guest {
    pub(crate) ctx: WasiCtx,
    pub(crate) bytes: Vec<u8>,
    /// What the guest finds as `/` with the number [`DIR`]; it lies in `outside`.
    pub(crate) dir: PathBuf,
    pub(crate) outside: TempDir,
}

impl Guest {
    pub(crate) fn new() -> Guest {
        Guest::with(|_| {})
    }

    pub(crate) fn with(set: impl FnOnce(&mut WasiCtxBuilder)) -> Guest {
        let outside = TempDir::new();
        let dir = outside.join("inside");
        std::fs::create_dir(&dir).unwrap();
        let mut builder = WasiCtxBuilder::new();
        builder.preopened_dir(&dir, "/").unwrap();
        set(&mut builder);
        Guest { ctx: builder.build(), bytes: vec![0; 0x1_0000], dir, outside }
    }

    pub(crate) fn read_only() -> Guest {
        let mut guest = Guest::new();
        let mut builder = WasiCtxBuilder::new();
        builder.preopened_dir_read_only(&guest.dir, "/").unwrap();
        guest.ctx = builder.build();
        guest
    }

    pub(crate) fn host(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    pub(crate) fn put_file(&self, name: &str, content: &str) {
        std::fs::write(self.host(name), content).unwrap();
    }

    pub(crate) fn file(&self, name: &str) -> String {
        std::fs::read_to_string(self.host(name)).unwrap()
    }

    pub(crate) fn call<R>(
        &mut self,
        with: impl FnOnce(&mut WasiCtx, &mut GuestMemory<'_>) -> R,
    ) -> R {
        with(&mut self.ctx, &mut GuestMemory::new(&mut self.bytes))
    }

    pub(crate) fn put(&mut self, at: u32, bytes: &[u8]) {
        GuestMemory::new(&mut self.bytes).write(at, bytes).unwrap();
    }

    pub(crate) fn get(&self, at: u32, len: usize) -> &[u8] {
        &self.bytes[at as usize..][..len]
    }

    pub(crate) fn u8(&self, at: u32) -> u8 {
        self.get(at, 1)[0]
    }

    pub(crate) fn u16(&self, at: u32) -> u16 {
        u16::from_le_bytes(self.get(at, 2).try_into().unwrap())
    }

    pub(crate) fn u32(&self, at: u32) -> u32 {
        u32::from_le_bytes(self.get(at, 4).try_into().unwrap())
    }

    pub(crate) fn u64(&self, at: u32) -> u64 {
        u64::from_le_bytes(self.get(at, 8).try_into().unwrap())
    }

    /// Writes a path, and gives its address and length.
    pub(crate) fn path(&mut self, text: &str) -> (u32, u32) {
        self.put(FIRST_PATH, text.as_bytes());
        (FIRST_PATH, text.len() as u32)
    }

    /// Writes another path.
    pub(crate) fn second(&mut self, text: &str) -> (u32, u32) {
        self.put(SECOND_PATH, text.as_bytes());
        (SECOND_PATH, text.len() as u32)
    }

    /// An array of buffers of some lengths, one behind the other at [`BUFFER`].
    pub(crate) fn iovecs(&mut self, lens: &[usize]) -> (u32, u32) {
        let mut at = BUFFER;
        for (index, &len) in lens.iter().enumerate() {
            let slot = IOVECS + 8 * index as u32;
            self.put(slot, &at.to_le_bytes());
            self.put(slot + 4, &(len as u32).to_le_bytes());
            at += len as u32;
        }
        (IOVECS, lens.len() as u32)
    }

    pub(crate) fn open_with(
        &mut self,
        dir: u32,
        lookup: u32,
        path: &str,
        oflags: u32,
        base: u64,
        fdflags: u32,
    ) -> Result<u32> {
        let (at, len) = self.path(path);
        self.call(|ctx, mem| {
            preview1::path_open(ctx, mem, dir, lookup, at, len, oflags, base, ALL, fdflags, OUT)
        })?;
        Ok(self.u32(OUT))
    }

    pub(crate) fn open(&mut self, path: &str, oflags: u32, base: u64) -> Result<u32> {
        self.open_with(DIR, FOLLOW, path, oflags, base, 0)
    }

    pub(crate) fn write(&mut self, fd: u32, content: &str) -> Result<u32> {
        self.put(BUFFER, content.as_bytes());
        let (iovs, count) = self.iovecs(&[content.len()]);
        self.call(|ctx, mem| preview1::fd_write(ctx, mem, fd, iovs, count, OUT))?;
        Ok(self.u32(OUT))
    }

    pub(crate) fn read(&mut self, fd: u32, len: usize) -> Result<String> {
        let (iovs, count) = self.iovecs(&[len]);
        self.call(|ctx, mem| preview1::fd_read(ctx, mem, fd, iovs, count, OUT))?;
        let got = self.get(BUFFER, self.u32(OUT) as usize);
        Ok(String::from_utf8(got.to_vec()).unwrap())
    }

    pub(crate) fn close(&mut self, fd: u32) -> Result<()> {
        self.call(|ctx, mem| preview1::fd_close(ctx, mem, fd))
    }

    pub(crate) fn seek(&mut self, fd: u32, offset: i64, whence: u32) -> Result<u64> {
        self.call(|ctx, mem| preview1::fd_seek(ctx, mem, fd, offset, whence, OUT))?;
        Ok(self.u64(OUT))
    }

    /// Calls a function of a directory and one path.
    pub(crate) fn on_path(
        &mut self,
        path: &str,
        function: impl Fn(&mut WasiCtx, &mut GuestMemory<'_>, u32, u32, u32) -> Result<()>,
    ) -> Result<()> {
        let (at, len) = self.path(path);
        self.call(|ctx, mem| function(ctx, mem, DIR, at, len))
    }

    pub(crate) fn mkdir(&mut self, path: &str) -> Result<()> {
        self.on_path(path, preview1::path_create_directory)
    }

    pub(crate) fn rmdir(&mut self, path: &str) -> Result<()> {
        self.on_path(path, preview1::path_remove_directory)
    }

    pub(crate) fn unlink(&mut self, path: &str) -> Result<()> {
        self.on_path(path, preview1::path_unlink_file)
    }

    pub(crate) fn rename(&mut self, old: &str, new: &str) -> Result<()> {
        let (old, old_len) = self.path(old);
        let (new, new_len) = self.second(new);
        self.call(|ctx, mem| preview1::path_rename(ctx, mem, DIR, old, old_len, DIR, new, new_len))
    }

    pub(crate) fn link(&mut self, lookup: u32, old: &str, new: &str) -> Result<()> {
        let (old, old_len) = self.path(old);
        let (new, new_len) = self.second(new);
        self.call(|ctx, mem| {
            preview1::path_link(ctx, mem, DIR, lookup, old, old_len, DIR, new, new_len)
        })
    }

    pub(crate) fn symlink(&mut self, target: &str, link: &str) -> Result<()> {
        let (old, old_len) = self.path(target);
        let (new, new_len) = self.second(link);
        self.call(|ctx, mem| preview1::path_symlink(ctx, mem, old, old_len, DIR, new, new_len))
    }

    pub(crate) fn readlink(&mut self, path: &str, room: u32) -> Result<String> {
        let (at, len) = self.path(path);
        self.call(|ctx, mem| preview1::path_readlink(ctx, mem, DIR, at, len, BUFFER, room, OUT))?;
        let got = self.get(BUFFER, self.u32(OUT) as usize);
        Ok(String::from_utf8(got.to_vec()).unwrap())
    }

    /// Writes what is known of a path to [`BUFFER`].
    pub(crate) fn stat(&mut self, lookup: u32, path: &str) -> Result<()> {
        let (at, len) = self.path(path);
        self.call(|ctx, mem| preview1::path_filestat_get(ctx, mem, DIR, lookup, at, len, BUFFER))
    }

    pub(crate) fn set_path_times(
        &mut self,
        lookup: u32,
        path: &str,
        (atim, mtim, flags): (u64, u64, u32),
    ) -> Result<()> {
        let (at, len) = self.path(path);
        self.call(|ctx, mem| {
            preview1::path_filestat_set_times(ctx, mem, DIR, lookup, at, len, atim, mtim, flags)
        })
    }
}

/// Asserts that each of some calls fails with `errno`, and says which did not.
#[track_caller]
pub(crate) fn all_fail<'a, T: std::fmt::Debug>(
    errno: Errno,
    calls: impl IntoIterator<Item = (&'a str, Result<T>)>,
) {
    for (name, result) in calls {
        match result {
            Err(error) if error == errno => {}
            other => panic!("{name}: {other:?} instead of {errno}"),
        }
    }
}
