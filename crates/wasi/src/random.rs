//! Random numbers: repeatable until the embedder asks for real ones.
//!
//! The virtual generator is xoshiro256++ (Blackman and Vigna, "Scrambled Linear Pseudorandom Number
//! Generators", 2021) whose state is filled by SplitMix64 from one 64-bit seed. It is no source of
//! secrets: who knows the seed knows everything. Each call takes whole 64-bit words, least
//! significant byte first, and drops what is left of the last.

use crate::errno::{Errno, Result};
use rustix::rand::{GetRandomFlags, getrandom};

/// The seed of the virtual generator when the embedder names none.
pub const DEFAULT_SEED: u64 = 0;

/// Where `random_get` takes its bytes.
pub(crate) enum Random {
    /// A generator with this state.
    Virtual([u64; 4]),
    /// The operating system.
    Real,
}

impl Random {
    /// A generator that always gives the same for the same seed.
    pub(crate) fn seeded(seed: u64) -> Random {
        let mut counter = seed;
        Random::Virtual(std::array::from_fn(|_| {
            counter = counter.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = counter;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^ (z >> 31)
        }))
    }

    fn fill(&mut self, mut to: &mut [u8]) -> Result<()> {
        match self {
            Random::Virtual(state) => {
                let (words, rest) = to.as_chunks_mut();
                words.iter_mut().for_each(|word| *word = next(state).to_le_bytes());
                if !rest.is_empty() {
                    rest.copy_from_slice(&next(state).to_le_bytes()[..rest.len()]);
                }
            }
            Random::Real => {
                while !to.is_empty() {
                    match getrandom(&mut *to, GetRandomFlags::empty()) {
                        Ok(0) => return Err(Errno::Io),
                        Ok(count) => to = to.get_mut(count..).unwrap_or_default(),
                        Err(rustix::io::Errno::INTR) => {}
                        Err(error) => return Err(error.into()),
                    }
                }
            }
        }
        Ok(())
    }
}

fn next(state: &mut [u64; 4]) -> u64 {
    let [a, b, c, d] = *state;
    let result = a.wrapping_add(d).rotate_left(23).wrapping_add(a);
    let (c, d) = (c ^ a, d ^ b);
    *state = [a ^ d, b ^ c, c ^ (b << 17), d.rotate_left(45)];
    result
}

/// `random_get`: fills a buffer with random bytes.
///
/// # Errors
/// [`Errno::Fault`], or what the host's source reports.
pub fn random_get(
    ctx: &mut crate::WasiCtx,
    mem: &mut crate::GuestMemory<'_>,
    at: u32,
    len: u32,
) -> Result<()> {
    ctx.random.fill(mem.slice_mut(at, len)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{GuestMemory, WasiCtxBuilder};

    #[test]
    fn generator_has_its_published_values() {
        // First outputs of xoshiro256++ from the state 1, 2, 3, 4.
        let mut state = [1, 2, 3, 4];
        let got: [u64; 4] = std::array::from_fn(|_| next(&mut state));
        assert_eq!(got, [41_943_041, 58_720_359, 3_588_806_011_781_223, 3_591_011_842_654_386]);
        // First outputs of SplitMix64 from 0.
        let Random::Virtual(state) = Random::seeded(0) else { unreachable!() };
        assert_eq!(state[..2], [0xe220_a839_7b1d_cdaf, 0x6e78_9e6a_a1b9_65f4]);
    }

    #[test]
    fn same_seed_same_bytes() {
        let run = |seed: Option<u64>| {
            let mut builder = WasiCtxBuilder::new();
            if let Some(seed) = seed {
                builder.random_seed(seed);
            }
            let mut ctx = builder.build();
            let mut bytes = [0; 32];
            random_get(&mut ctx, &mut GuestMemory::new(&mut bytes), 1, 29).unwrap();
            assert_eq!((bytes[0], bytes[30], bytes[31]), (0, 0, 0));
            bytes
        };
        assert_eq!(run(None), run(None));
        assert_eq!(run(None), run(Some(DEFAULT_SEED)));
        assert_ne!(run(None), run(Some(1)));
    }

    #[test]
    fn real_bytes_differ() {
        let mut ctx = WasiCtxBuilder::new().real_random().build();
        let mut bytes = [0; 64];
        let mut mem = GuestMemory::new(&mut bytes);
        random_get(&mut ctx, &mut mem, 0, 32).unwrap();
        random_get(&mut ctx, &mut mem, 32, 32).unwrap();
        assert_ne!(bytes[..32], bytes[32..]);
    }

    #[test]
    fn bad_pointers() {
        let mut ctx = WasiCtxBuilder::new().build();
        let mut bytes = [0; 8];
        let mut mem = GuestMemory::new(&mut bytes);
        assert_eq!(random_get(&mut ctx, &mut mem, 0, 9), Err(Errno::Fault));
        assert_eq!(random_get(&mut ctx, &mut mem, u32::MAX, u32::MAX), Err(Errno::Fault));
        random_get(&mut ctx, &mut mem, 8, 0).unwrap();
    }
}
