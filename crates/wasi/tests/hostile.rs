//! Many calls of all functions with arguments that no honest guest would pass: none may panic, and
//! nothing outside of the directory may change.

mod common;

use common::*;
use runwell_wasi::preview1::*;
use runwell_wasi::{GuestMemory, MemoryInputPipe, WasiCtx};

/// Calls per round; each round starts with a new guest.
const CALLS: u32 = 4_000;
const ROUNDS: u64 = 12;

struct Dice(u64);

impl Dice {
    /// SplitMix64.
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.roll() as usize % choices.len()]
    }

    /// A descriptor, mostly one that may be open.
    fn fd(&mut self) -> u32 {
        match self.roll() % 16 {
            0 => self.of(&[u32::MAX, 4096, 1 << 31]),
            1..=3 => 3,
            _ => self.roll() as u32 % 12,
        }
    }

    /// A pointer, mostly into the memory.
    fn at(&mut self) -> u32 {
        match self.roll() % 16 {
            0 => self.of(&[u32::MAX, 65535, 65536, 65528, 1 << 31, 0xffff_fff8]),
            1..=10 => self.of(&[0, 8, 64, 256, 0x8000]) as u32,
            _ => self.roll() as u32 % 65536,
        }
    }

    /// A length or count, mostly a small one.
    fn len(&mut self) -> u32 {
        match self.roll() % 16 {
            0 => self.of(&[u32::MAX, 65536, 1 << 31, 1 << 29, 1024, 1025]),
            _ => self.roll() as u32 % 40,
        }
    }

    fn flags(&mut self) -> u32 {
        if self.roll().is_multiple_of(16) { self.roll() as u32 } else { self.roll() as u32 % 32 }
    }

    fn long(&mut self) -> u64 {
        match self.roll() % 4 {
            0 => self.of(&[u64::MAX, 1 << 63, i64::MAX as u64, u64::MAX - 1]),
            1 => self.roll(),
            _ => self.roll() % 100,
        }
    }
}

const PATHS: &[&str] = &[
    "f",
    "g",
    "d",
    "d/e",
    "d/../f",
    "..",
    ".",
    "",
    "/",
    "/etc/passwd",
    "../secret",
    "l",
    "l/f",
    "d/",
    "f/",
    "d/./",
    "long-name",
    "//",
    "l/../..",
    "d/l",
    "../inside",
    "../inside/f",
];

/// Where a path is, among those that the memory holds.
fn path(dice: &mut Dice) -> (u32, u32) {
    if dice.roll().is_multiple_of(16) {
        return (dice.at(), dice.len());
    }
    let index = dice.roll() as usize % PATHS.len();
    (0x1000 + 32 * index as u32, PATHS[index].len() as u32)
}

fn one_call(dice: &mut Dice, ctx: &mut WasiCtx, mem: &mut GuestMemory<'_>) {
    let (fd, other) = (dice.fd(), dice.fd());
    let (a, b, c) = (dice.at(), dice.at(), dice.at());
    let (n, m) = (dice.len(), dice.len());
    let (x, y) = (dice.long(), dice.long());
    let (flags, more) = (dice.flags(), dice.flags());
    let ((p, pl), (q, ql)) = (path(dice), path(dice));
    let follow = flags & 1;
    let _ = match dice.roll() % 47 {
        0 => args_get(ctx, mem, a, b),
        1 => args_sizes_get(ctx, mem, a, b),
        2 => environ_get(ctx, mem, a, b),
        3 => environ_sizes_get(ctx, mem, a, b),
        4 => clock_res_get(ctx, mem, n, a),
        5 => clock_time_get(ctx, mem, n % 5, x, a),
        6 => fd_advise(ctx, mem, fd, x, y, n),
        // No more of the disk than this.
        7 => fd_allocate(ctx, mem, fd, x % 1000, y % 1000),
        8 if n == 0 => fd_close(ctx, mem, fd),
        9 => fd_datasync(ctx, mem, fd),
        10 => fd_fdstat_get(ctx, mem, fd, a),
        11 => fd_fdstat_set_flags(ctx, mem, fd, flags),
        12 if n == 0 => fd_fdstat_set_rights(ctx, mem, fd, x, y),
        13 => fd_filestat_get(ctx, mem, fd, a),
        14 => fd_filestat_set_size(ctx, mem, fd, x),
        15 => fd_filestat_set_times(ctx, mem, fd, x, y, flags),
        16 => fd_pread(ctx, mem, fd, a, n, x, b),
        17 => fd_prestat_get(ctx, mem, fd, a),
        18 => fd_prestat_dir_name(ctx, mem, fd, a, n),
        19 => fd_pwrite(ctx, mem, fd, a, n, x, b),
        20 => fd_read(ctx, mem, fd, a, n, b),
        21 => fd_readdir(ctx, mem, fd, a, n, x, b),
        22 if n < 4 => fd_renumber(ctx, mem, fd, other),
        23 => fd_seek(ctx, mem, fd, x as i64, n % 4, a),
        24 => fd_sync(ctx, mem, fd),
        25 => fd_tell(ctx, mem, fd, a),
        26 => fd_write(ctx, mem, fd, a, n, b),
        27 => path_create_directory(ctx, mem, fd, p, pl),
        28 => path_filestat_get(ctx, mem, fd, flags, p, pl, a),
        29 => path_filestat_set_times(ctx, mem, fd, follow, p, pl, x, y, more),
        30 => path_link(ctx, mem, fd, follow, p, pl, other, q, ql),
        31 => path_readlink(ctx, mem, fd, p, pl, a, n, b),
        32 => path_remove_directory(ctx, mem, fd, p, pl),
        33 => path_rename(ctx, mem, fd, p, pl, other, q, ql),
        34 => path_symlink(ctx, mem, p, pl, fd, q, ql),
        35 => path_unlink_file(ctx, mem, fd, p, pl),
        36 => poll_oneoff(ctx, mem, a, b, n, c),
        37 => proc_raise(ctx, mem, n),
        38 => sched_yield(ctx, mem),
        39 => random_get(ctx, mem, a, n),
        40 => sock_accept(ctx, mem, fd, flags, a),
        41 => sock_recv(ctx, mem, fd, a, n, flags, b, c),
        42 => sock_send(ctx, mem, fd, a, n, flags, b),
        43 => sock_shutdown(ctx, mem, fd, m),
        _ => path_open(ctx, mem, fd, follow, p, pl, more % 17, x | y, y, flags, a),
    };
}

#[test]
fn no_call_panics_or_reaches_outside() {
    let mut opened = 0;
    for round in 0..ROUNDS {
        let mut dice = Dice(round);
        let mut guest = Guest::with(|builder| {
            builder
                .stdin(MemoryInputPipe::new(&b"some input"[..]))
                .args(&["a", "bc"])
                .env("D", "e");
        });
        guest.outside.write("secret", "secret");
        guest.put_file("f", "0123456789");
        guest.mkdir("d").unwrap();
        guest.symlink("..", "l").unwrap();
        for _ in 0..CALLS {
            for (index, path) in PATHS.iter().enumerate() {
                guest.put(0x1000 + 32 * index as u32, path.as_bytes());
            }
            if dice.roll().is_multiple_of(4) {
                // Buffers, subscriptions and the like that are nearly right.
                let at = dice.of(&[0_u32, 8, 64, 256]);
                let (to, len) = (dice.at(), dice.len());
                guest.put(at, &to.to_le_bytes());
                guest.put(at + 4, &len.to_le_bytes());
                guest.put(at + 8, &[dice.of(&[0, 1, 2, 3]), 0, 0, 0, 0, 0, 0, 0]);
                guest.put(at + 16, &u64::from(dice.fd()).to_le_bytes());
                guest.put(at + 40, &[dice.of(&[0, 1, 2]), 0]);
            }
            guest.call(|ctx, mem| one_call(&mut dice, ctx, mem));
        }
        // Descriptors from 4 on were opened by the calls.
        opened += (4..50)
            .filter(|&fd| guest.call(|ctx, mem| fd_fdstat_get(ctx, mem, fd, OUT)).is_ok())
            .count();
        assert_eq!(guest.outside.read("secret"), "secret");
        let beside = std::fs::read_dir(guest.outside.path()).unwrap().count();
        assert_eq!(beside, 2, "only the directory and the secret");
    }
    assert!(opened > 20, "{opened}: the calls reach something");
}
