//! The guest's linear memory, as the functions of WASI see it.
//!
//! Pointers and lengths come from the guest and are never trusted: every access is checked against
//! the memory's size in 64-bit arithmetic and fails with [`Errno::Fault`], and nothing is copied to
//! the host in an amount that the guest names. Numbers are little-endian, and need no alignment.

use crate::errno::{Errno, Result};

/// Longest path that is looked at, as in POSIX on Linux.
pub(crate) const MAX_PATH_BYTES: u32 = 4096;

/// Most buffers of one scattered read or write, as in POSIX on Linux.
pub(crate) const MAX_IOVECS: u32 = 1024;

/// Bytes of one element of an `iovec` array.
const IOVEC_BYTES: u32 = 8;

/// A guest's memory, borrowed for one call.
pub struct GuestMemory<'a> {
    bytes: &'a mut [u8],
}

macro_rules! numbers {
    ($($read:ident $write:ident $ty:ident),*) => {$(
        /// Reads a number.
        ///
        /// # Errors
        /// [`Errno::Fault`] when it is not inside of the memory.
        pub fn $read(&self, at: u32) -> Result<$ty> {
            let bytes = self.slice(at, size_of::<$ty>() as u32)?;
            Ok($ty::from_le_bytes(bytes.try_into().map_err(|_| Errno::Fault)?))
        }

        /// Writes a number.
        ///
        /// # Errors
        /// [`Errno::Fault`] when it is not inside of the memory.
        pub fn $write(&mut self, at: u32, value: $ty) -> Result<()> {
            self.write(at, &value.to_le_bytes())
        }
    )*};
}

impl<'a> GuestMemory<'a> {
    /// A view of `bytes`.
    pub fn new(bytes: &'a mut [u8]) -> GuestMemory<'a> {
        GuestMemory { bytes }
    }

    numbers!(
        read_u8 write_u8 u8, read_u16 write_u16 u16, read_u32 write_u32 u32, read_u64 write_u64 u64
    );

    /// `len` bytes from `at` on.
    ///
    /// # Errors
    /// [`Errno::Fault`] when they are not inside of the memory.
    pub fn slice(&self, at: u32, len: u32) -> Result<&[u8]> {
        let (start, end) = range(at, len)?;
        self.bytes.get(start..end).ok_or(Errno::Fault)
    }

    /// `len` bytes from `at` on.
    ///
    /// # Errors
    /// [`Errno::Fault`] when they are not inside of the memory.
    pub fn slice_mut(&mut self, at: u32, len: u32) -> Result<&mut [u8]> {
        let (start, end) = range(at, len)?;
        self.bytes.get_mut(start..end).ok_or(Errno::Fault)
    }

    /// Copies `bytes` to `at`.
    ///
    /// # Errors
    /// [`Errno::Fault`] when there is no room for all of them; nothing is written then.
    pub fn write(&mut self, at: u32, bytes: &[u8]) -> Result<()> {
        let len = u32::try_from(bytes.len()).map_err(|_| Errno::Fault)?;
        self.slice_mut(at, len)?.copy_from_slice(bytes);
        Ok(())
    }

    /// Whether a result of `len` bytes can be written at `at`: asked before anything happens that
    /// could not be undone.
    ///
    /// # Errors
    /// [`Errno::Fault`] when not.
    pub fn check(&self, at: u32, len: u32) -> Result<()> {
        self.slice(at, len).map(|_| ())
    }

    /// A path.
    ///
    /// # Errors
    /// [`Errno::Fault`] outside of the memory, [`Errno::NameTooLong`], [`Errno::IlSeq`] when it is
    /// not UTF-8, and [`Errno::Inval`] when it has a NUL.
    pub fn path(&self, at: u32, len: u32) -> Result<&str> {
        let bytes = self.slice(at, len)?;
        if len > MAX_PATH_BYTES {
            return Err(Errno::NameTooLong);
        }
        if bytes.contains(&0) {
            return Err(Errno::Inval);
        }
        std::str::from_utf8(bytes).map_err(|_| Errno::IlSeq)
    }

    /// The array of `len` buffers at `at`, all of them checked.
    ///
    /// # Errors
    /// [`Errno::Fault`] when the array or a buffer is not inside of the memory, [`Errno::Inval`]
    /// when they are too many or hold more bytes together than a 32-bit count can say.
    pub(crate) fn iovecs(&self, at: u32, len: u32) -> Result<IoVecs> {
        if len > MAX_IOVECS {
            return Err(Errno::Inval);
        }
        self.check(at, len * IOVEC_BYTES)?;
        let vecs = IoVecs { at, len };
        let mut total = 0_u32;
        for index in 0..len {
            let (at, len) = vecs.get(self, index)?;
            self.check(at, len)?;
            total = total.checked_add(len).ok_or(Errno::Inval)?;
        }
        Ok(vecs)
    }
}

/// An array of `iovec` or `ciovec` in guest memory.
#[derive(Clone, Copy)]
pub(crate) struct IoVecs {
    at: u32,
    len: u32,
}

impl IoVecs {
    /// How many there are.
    pub(crate) fn len(self) -> u32 {
        self.len
    }

    /// Address and length of one buffer. It is read anew each time, as buffers may overlap the
    /// array that names them.
    pub(crate) fn get(self, mem: &GuestMemory<'_>, index: u32) -> Result<(u32, u32)> {
        let at = self.at.checked_add(index * IOVEC_BYTES).ok_or(Errno::Fault)?;
        let pair = mem.read_u64(at)?;
        Ok((pair as u32, (pair >> 32) as u32))
    }
}

fn range(at: u32, len: u32) -> Result<(usize, usize)> {
    let end = u64::from(at) + u64::from(len);
    let fault = |_| Errno::Fault;
    Ok((usize::try_from(at).map_err(fault)?, usize::try_from(end).map_err(fault)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_little_endian_and_unaligned() {
        let mut bytes = [0; 16];
        let mut mem = GuestMemory::new(&mut bytes);
        mem.write_u32(3, 0x0403_0201).unwrap();
        assert_eq!(mem.slice(3, 4).unwrap(), [1, 2, 3, 4]);
        assert_eq!(mem.read_u16(4).unwrap(), 0x0302);
        mem.write_u64(8, u64::MAX).unwrap();
        assert_eq!(mem.read_u8(15).unwrap(), 0xff);
    }

    #[test]
    fn nothing_outside_of_the_memory() {
        let mut bytes = [0; 16];
        let mut mem = GuestMemory::new(&mut bytes);
        assert_eq!(mem.slice(16, 0).unwrap(), []);
        for (at, len) in [(16, 1), (15, 2), (u32::MAX, 1), (u32::MAX, u32::MAX), (0, 17)] {
            assert_eq!(mem.slice(at, len), Err(Errno::Fault));
            assert!(mem.slice_mut(at, len).is_err());
        }
        assert_eq!(mem.read_u64(9), Err(Errno::Fault));
        assert_eq!(mem.write_u64(9, 1), Err(Errno::Fault));
        assert_eq!(mem.write(15, &[1, 2]), Err(Errno::Fault));
        assert_eq!(mem.slice(0, 16).unwrap(), [0; 16]);
    }

    #[test]
    fn paths_are_utf8_without_nul() {
        let mut bytes = *b"a/b\0\xff";
        let mem = GuestMemory::new(&mut bytes);
        assert_eq!(mem.path(0, 3), Ok("a/b"));
        assert_eq!(mem.path(0, 4), Err(Errno::Inval));
        assert_eq!(mem.path(4, 1), Err(Errno::IlSeq));
        assert_eq!(mem.path(4, 2), Err(Errno::Fault));
        let mut long = vec![b'a'; 5000];
        assert_eq!(GuestMemory::new(&mut long).path(0, 4097), Err(Errno::NameTooLong));
    }

    #[test]
    fn iovecs_are_checked_as_a_whole() {
        let mut bytes = [0; 64];
        let mut mem = GuestMemory::new(&mut bytes);
        mem.write_u32(0, 32).unwrap();
        mem.write_u32(4, 32).unwrap();
        assert_eq!(mem.iovecs(0, 1).unwrap().get(&mem, 0), Ok((32, 32)));
        mem.write_u32(8, 32).unwrap();
        mem.write_u32(12, 33).unwrap();
        assert_eq!(mem.iovecs(0, 2).err(), Some(Errno::Fault));
        assert_eq!(mem.iovecs(60, 1).err(), Some(Errno::Fault));
        assert_eq!(mem.iovecs(0, 1025).err(), Some(Errno::Inval));
        assert_eq!(mem.iovecs(u32::MAX, 1).err(), Some(Errno::Fault));
    }
}
