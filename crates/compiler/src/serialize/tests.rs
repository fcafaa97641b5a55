//! Images survive the round trip, and nothing else passes.

use super::*;
use runwell_abi::{Arch, Features, Schedule, Target};

const KEY: Key = [7; 32];

fn options() -> Options {
    let target = Target { arch: Arch::X64, features: Features::AVX.with(Features::BMI1) };
    Options { schedule: Some(Schedule::default()), ..Options::new(target) }
}

fn example() -> (Vec<u8>, Image) {
    let wasm = wat::parse_str(
        r#"(module $example
            (import "host" "f" (func $f (param i32) (result i32)))
            (memory (export "memory") 1)
            (data (i32.const 8) "some data")
            (table 3 funcref) (elem (i32.const 0) $load $f)
            (func $load (export "load") (param i32) (result i32)
                (i32.add (i32.load (local.get 0)) (i32.const 3)))
            (func (export "divide") (param i32 i32) (result i32)
                (i32.div_s (call $f (local.get 0)) (call $load (local.get 1)))))"#,
    )
    .unwrap();
    let compiled = crate::compile(&wasm, &options()).unwrap();
    (wasm, compiled.image)
}

fn error(bytes: &[u8]) -> Option<ImageError> {
    deserialize(bytes, &options(), &KEY).err()
}

/// Replaces the hash by the right one for the rest.
fn seal_again(bytes: &mut Vec<u8>) {
    bytes.truncate(bytes.len() - HASH_BYTES);
    seal(bytes, &KEY);
}

/// A generator of numbers (xorshift64*), since a test has to do the same each time.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }
}

#[test]
fn an_image_is_read_as_it_was_written() {
    let (wasm, image) = example();
    let bytes = serialize(&wasm, &image, &options(), &KEY);
    let (module, contained) = deserialize(&bytes, &options(), &KEY).unwrap();
    assert_eq!(module.image, image);
    assert_eq!(contained, wasm);
    assert_eq!(module.info, crate::compile(&wasm, &options()).unwrap().info);
    assert_eq!(module_in(&bytes), Some(&*wasm));
    assert!(is_image(&bytes) && !is_image(&wasm));
    assert_eq!(bytes, serialize(&wasm, &image, &options(), &KEY));
}

#[test]
fn what_does_not_fit_is_refused_and_says_why() {
    let (wasm, image) = example();
    let bytes = serialize(&wasm, &image, &options(), &KEY);
    assert_eq!(error(&wasm), Some(ImageError::NotAnImage));
    assert_eq!(error(&[]), Some(ImageError::NotAnImage));
    let with = |change: fn(&mut Options), expected| {
        let mut other = options();
        change(&mut other);
        assert_eq!(deserialize(&bytes, &other, &KEY).err(), expected);
    };
    with(|o| o.guarded_memories = false, Some(ImageError::Options));
    with(|o| o.schedule = None, Some(ImageError::Options));
    with(
        |o| o.schedule = Schedule::default().with(OperatorClass::Load, 2).ok(),
        Some(ImageError::Options),
    );
    with(|o| o.target.features = Features::AVX, Some(ImageError::Target));
    with(|o| o.target.features = o.target.features.with(Features::LZCNT), None);
    with(|o| o.jobs = 3, None);
    with(|o| o.verify = true, None);
    assert_eq!(deserialize(&bytes, &options(), &[8; 32]).err(), Some(ImageError::Key));
    for at in [8, 56, 71] {
        let mut other = bytes.clone();
        other[at] ^= 1;
        seal_again(&mut other);
        assert_eq!(error(&other), Some(ImageError::Version));
    }
    for len in 0..bytes.len() {
        let expected = if len < 8 { ImageError::NotAnImage } else { ImageError::Damaged };
        assert_eq!(error(&bytes[..len]), Some(expected), "{len}");
    }
    let longer = [&*bytes, &[0]].concat();
    assert_eq!(error(&longer), Some(ImageError::Damaged));
}

#[test]
fn every_single_bit_counts() {
    let (wasm, image) = example();
    let mut bytes = serialize(&wasm, &image, &options(), &KEY);
    for bit in 0..bytes.len() * 8 {
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert!(error(&bytes).is_some(), "bit {bit}");
        bytes[bit / 8] ^= 1 << (bit % 8);
    }
    assert_eq!(error(&bytes), None);
}

/// The second line of defence: even bytes that carry the right hash are consistent or refused.
#[test]
fn sealed_nonsense_is_refused_or_consistent() {
    let (wasm, image) = example();
    let good = serialize(&wasm, &image, &options(), &KEY);
    let mut random = Random(0x1234_5678_9abc_def1);
    let (mut passed, mut refused) = (0, 0);
    for _ in 0..50_000 {
        let mut bytes = good.clone();
        for _ in 0..1 + random.below(3) {
            let at = random.below(bytes.len() - HASH_BYTES);
            bytes[at] = match random.below(4) {
                0 => 0,
                1 => 0xff,
                2 => bytes[at] ^ (1 << random.below(8)),
                _ => random.next() as u8,
            };
        }
        seal_again(&mut bytes);
        match deserialize(&bytes, &options(), &KEY) {
            Err(_) => refused += 1,
            Ok((module, wasm)) => {
                passed += 1;
                assert!(is_consistent(&module.image, &module.info, wasm.len()));
            }
        }
        // Whatever it says, looking for the module inside is harmless.
        let _ = module_in(&bytes);
    }
    // Most of an image is machine code and text, about which nothing can be said.
    assert!(passed > 1000 && refused > 1000, "{passed} passed, {refused} refused");
}

/// A module that is not whole is never taken for the one that was compiled.
#[test]
fn the_module_inside_is_whole_or_not_found() {
    let (wasm, image) = example();
    let bytes = serialize(&wasm, &image, &options(), &KEY);
    let inside = HEADER_BYTES..HEADER_BYTES + wasm.len();
    for at in 0..bytes.len() {
        let mut other = bytes.clone();
        other[at] ^= 0x20;
        let found = module_in(&other);
        assert!(found.is_none_or(|found| found == wasm), "byte {at}");
        // What follows the hash has no say.
        assert_eq!(found.is_some(), at >= 56 && !inside.contains(&at) || (8..12).contains(&at));
    }
}

#[test]
fn names_differ_with_whatever_an_image_depends_on() {
    let (wasm, _) = example();
    let name = image_name(&wasm, &options(), &KEY);
    let mut others = [
        image_name(&wasm[1..], &options(), &KEY),
        image_name(&wasm, &options(), &[8; 32]),
        image_name(&wasm, &Options { guarded_memories: false, ..options() }, &KEY),
        image_name(&wasm, &Options { schedule: None, ..options() }, &KEY),
        image_name(
            &wasm,
            &Options::new(Target { features: Features::AVX, ..options().target }),
            &KEY,
        ),
        name,
    ];
    others.sort_unstable();
    assert!(others.is_sorted_by(|a, b| a < b), "all differ");
    assert_eq!(name, image_name(&wasm, &Options { jobs: 3, verify: true, ..options() }, &KEY));
}

#[test]
fn tables_out_of_order_are_refused() {
    let (wasm, image) = example();
    let with = |change: fn(&mut Image)| {
        let mut image = image.clone();
        change(&mut image);
        error(&serialize(&wasm, &image, &options(), &KEY))
    };
    assert_eq!(with(|_| {}), None);
    assert!(image.traps.len() > 1 && image.srclocs.len() > 1 && !image.rests.is_empty());
    let changes: [fn(&mut Image); 14] = [
        |image| image.funcs.swap(0, 1),
        |image| image.funcs[0].end = image.funcs[1].start + 1,
        |image| image.funcs[1].end = image.text.len() as u32 + 1,
        |image| image.funcs[1].start += 1,
        |image| image.funcs[1].end = image.funcs[1].start,
        |image| image.funcs.truncate(1),
        |image| image.funcs.push(image.funcs[1]),
        |image| image.traps.reverse(),
        |image| image.traps.insert(0, image.traps[0]),
        |image| image.traps[0].0 = u32::MAX,
        |image| image.srclocs.reverse(),
        |image| image.srclocs.last_mut().unwrap().1 = 1 << 20,
        |image| image.rests.push(image.rests[0]),
        |image| image.rests[0].0 = 1 << 20,
    ];
    for (number, change) in changes.into_iter().enumerate() {
        assert_eq!(with(change), Some(ImageError::Damaged), "change {number}");
    }
}
