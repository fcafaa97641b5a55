//! Error numbers of WASI preview 1, and how errors of the host become them.
//!
//! Numbers and names are those of the `errno` type of `wasi_snapshot_preview1`. Errors of the host
//! are translated by their operating-system number where they have one. Where they have none they
//! come from cap-std or the standard library itself: a path that leads out of its directory is
//! refused by cap-std with a bare "permission denied", which becomes [`Errno::NotCapable`].

use std::io;

/// Why a WASI function failed, by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u16)]
#[non_exhaustive]
pub enum Errno {
    /// No error.
    Success = 0,
    /// Argument list too long.
    TooBig = 1,
    /// Permission denied.
    Access = 2,
    /// Address in use.
    AddrInUse = 3,
    /// Address not available.
    AddrNotAvail = 4,
    /// Address family not supported.
    AfNoSupport = 5,
    /// The resource is unavailable for now, or the operation would block.
    Again = 6,
    /// Connection already in progress.
    Already = 7,
    /// Bad file descriptor.
    BadF = 8,
    /// Bad message.
    BadMsg = 9,
    /// Device or resource busy.
    Busy = 10,
    /// Operation canceled.
    Canceled = 11,
    /// No child processes.
    Child = 12,
    /// Connection aborted.
    ConnAborted = 13,
    /// Connection refused.
    ConnRefused = 14,
    /// Connection reset.
    ConnReset = 15,
    /// Resource deadlock would occur.
    Deadlk = 16,
    /// Destination address required.
    DestAddrReq = 17,
    /// Argument out of the domain of a function.
    Dom = 18,
    /// Disk quota exceeded.
    DQuot = 19,
    /// File exists.
    Exist = 20,
    /// Bad address.
    Fault = 21,
    /// File too large.
    FBig = 22,
    /// Host is unreachable.
    HostUnreach = 23,
    /// Identifier removed.
    Idrm = 24,
    /// Illegal byte sequence.
    IlSeq = 25,
    /// Operation in progress.
    InProgress = 26,
    /// Interrupted function.
    Intr = 27,
    /// Invalid argument.
    Inval = 28,
    /// Input/output error.
    Io = 29,
    /// Socket is connected.
    IsConn = 30,
    /// Is a directory.
    IsDir = 31,
    /// Too many levels of symbolic links.
    Loop = 32,
    /// Too many open descriptors of the process.
    MFile = 33,
    /// Too many links.
    MLink = 34,
    /// Message too large.
    MsgSize = 35,
    /// Reserved.
    MultiHop = 36,
    /// File name too long.
    NameTooLong = 37,
    /// Network is down.
    NetDown = 38,
    /// Connection aborted by the network.
    NetReset = 39,
    /// Network unreachable.
    NetUnreach = 40,
    /// Too many files open in the system.
    NFile = 41,
    /// No buffer space available.
    NoBufs = 42,
    /// No such device.
    NoDev = 43,
    /// No such file or directory.
    NoEnt = 44,
    /// Executable file format error.
    NoExec = 45,
    /// No locks available.
    NoLck = 46,
    /// Reserved.
    NoLink = 47,
    /// Not enough memory.
    NoMem = 48,
    /// No message of the wanted type.
    NoMsg = 49,
    /// Protocol not available.
    NoProtoOpt = 50,
    /// No space left on device.
    NoSpc = 51,
    /// Function not supported.
    NoSys = 52,
    /// The socket is not connected.
    NotConn = 53,
    /// Not a directory or a symbolic link to one.
    NotDir = 54,
    /// Directory not empty.
    NotEmpty = 55,
    /// State not recoverable.
    NotRecoverable = 56,
    /// Not a socket.
    NotSock = 57,
    /// Not supported, or operation not supported on socket.
    NotSup = 58,
    /// Inappropriate control operation.
    NoTty = 59,
    /// No such device or address.
    NxIo = 60,
    /// Value too large for its type.
    Overflow = 61,
    /// Previous owner died.
    OwnerDead = 62,
    /// Operation not permitted.
    Perm = 63,
    /// Broken pipe.
    Pipe = 64,
    /// Protocol error.
    Proto = 65,
    /// Protocol not supported.
    ProtoNoSupport = 66,
    /// Protocol wrong type for socket.
    Prototype = 67,
    /// Result too large.
    Range = 68,
    /// Read-only file system.
    RoFs = 69,
    /// Invalid seek.
    SPipe = 70,
    /// No such process.
    Srch = 71,
    /// Reserved.
    Stale = 72,
    /// Connection timed out.
    TimedOut = 73,
    /// Text file busy.
    TxtBsy = 74,
    /// Cross-device link.
    XDev = 75,
    /// The capabilities of the descriptor do not suffice.
    NotCapable = 76,
}

impl Errno {
    /// The number as guests see it.
    pub fn raw(self) -> u16 {
        self as u16
    }
}

impl std::fmt::Display for Errno {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self:?} (WASI errno {})", self.raw())
    }
}

impl std::error::Error for Errno {}

impl From<rustix::io::Errno> for Errno {
    fn from(error: rustix::io::Errno) -> Errno {
        use rustix::io::Errno as Host;
        match error {
            Host::TOOBIG => Errno::TooBig,
            Host::ACCESS => Errno::Access,
            Host::AGAIN => Errno::Again,
            Host::BADF => Errno::BadF,
            Host::BUSY => Errno::Busy,
            Host::CANCELED => Errno::Canceled,
            Host::DQUOT => Errno::DQuot,
            Host::EXIST => Errno::Exist,
            Host::FAULT => Errno::Fault,
            Host::FBIG => Errno::FBig,
            Host::ILSEQ => Errno::IlSeq,
            Host::INPROGRESS => Errno::InProgress,
            Host::INTR => Errno::Intr,
            Host::INVAL => Errno::Inval,
            Host::IO => Errno::Io,
            Host::ISDIR => Errno::IsDir,
            Host::LOOP => Errno::Loop,
            Host::MFILE => Errno::MFile,
            Host::MLINK => Errno::MLink,
            Host::NAMETOOLONG => Errno::NameTooLong,
            Host::NFILE => Errno::NFile,
            Host::NOBUFS => Errno::NoBufs,
            Host::NODEV => Errno::NoDev,
            Host::NOENT => Errno::NoEnt,
            Host::NOLCK => Errno::NoLck,
            Host::NOMEM => Errno::NoMem,
            Host::NOSPC => Errno::NoSpc,
            Host::NOSYS => Errno::NoSys,
            Host::NOTDIR => Errno::NotDir,
            Host::NOTEMPTY => Errno::NotEmpty,
            Host::NOTSOCK => Errno::NotSock,
            Host::NOTSUP => Errno::NotSup,
            Host::NOTTY => Errno::NoTty,
            Host::NXIO => Errno::NxIo,
            Host::OVERFLOW => Errno::Overflow,
            Host::PERM => Errno::Perm,
            Host::PIPE => Errno::Pipe,
            Host::RANGE => Errno::Range,
            Host::ROFS => Errno::RoFs,
            Host::SPIPE => Errno::SPipe,
            Host::STALE => Errno::Stale,
            Host::TIMEDOUT => Errno::TimedOut,
            Host::TXTBSY => Errno::TxtBsy,
            Host::XDEV => Errno::XDev,
            Host::CONNRESET => Errno::ConnReset,
            Host::CONNABORTED => Errno::ConnAborted,
            Host::CONNREFUSED => Errno::ConnRefused,
            Host::NOTCONN => Errno::NotConn,
            Host::DEADLK => Errno::Deadlk,
            _ => Errno::Io,
        }
    }
}

impl From<io::Error> for Errno {
    fn from(error: io::Error) -> Errno {
        if let Some(host) = rustix::io::Errno::from_io_error(&error) {
            return Errno::from(host);
        }
        match error.kind() {
            io::ErrorKind::PermissionDenied => Errno::NotCapable,
            io::ErrorKind::NotFound => Errno::NoEnt,
            io::ErrorKind::AlreadyExists => Errno::Exist,
            io::ErrorKind::InvalidInput => Errno::Inval,
            io::ErrorKind::InvalidData => Errno::IlSeq,
            io::ErrorKind::BrokenPipe => Errno::Pipe,
            io::ErrorKind::WouldBlock => Errno::Again,
            io::ErrorKind::Interrupted => Errno::Intr,
            io::ErrorKind::TimedOut => Errno::TimedOut,
            io::ErrorKind::StorageFull => Errno::NoSpc,
            io::ErrorKind::OutOfMemory => Errno::NoMem,
            io::ErrorKind::NotADirectory => Errno::NotDir,
            io::ErrorKind::IsADirectory => Errno::IsDir,
            io::ErrorKind::Unsupported => Errno::NotSup,
            _ => Errno::Io,
        }
    }
}

/// What the functions of WASI return.
pub type Result<T> = std::result::Result<T, Errno>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_the_specification() {
        let known = [
            (Errno::Success, 0),
            (Errno::Again, 6),
            (Errno::BadF, 8),
            (Errno::Exist, 20),
            (Errno::Fault, 21),
            (Errno::Inval, 28),
            (Errno::NoEnt, 44),
            (Errno::NoSys, 52),
            (Errno::NotDir, 54),
            (Errno::NotSup, 58),
            (Errno::Pipe, 64),
            (Errno::SPipe, 70),
            (Errno::NotCapable, 76),
        ];
        for (errno, number) in known {
            assert_eq!(errno.raw(), number, "{errno}");
        }
    }

    #[test]
    fn host_errors_keep_their_meaning() {
        let of = |raw| Errno::from(io::Error::from_raw_os_error(raw));
        assert_eq!(of(rustix::io::Errno::NOENT.raw_os_error()), Errno::NoEnt);
        assert_eq!(of(rustix::io::Errno::ACCESS.raw_os_error()), Errno::Access);
        let escape = io::Error::new(io::ErrorKind::PermissionDenied, "a path led outside");
        assert_eq!(Errno::from(escape), Errno::NotCapable);
    }
}
