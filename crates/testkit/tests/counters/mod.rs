//! The counters of source coverage (`-Cinstrument-coverage`), read while the program runs.
//!
//! The layout of the records is that of LLVM's `InstrProfData.inc`.

use std::collections::HashMap;

unsafe extern "C" {
    fn __llvm_profile_begin_counters() -> *const u64;
    fn __llvm_profile_end_counters() -> *const u64;
    fn __llvm_profile_reset_counters();
    fn __llvm_profile_begin_data() -> *const Record;
    fn __llvm_profile_end_data() -> *const Record;
    fn __llvm_profile_begin_names() -> *const u8;
    fn __llvm_profile_end_names() -> *const u8;
}

/// What there is of each function.
#[repr(C)]
struct Record {
    /// MD5 of its name, the first eight bytes.
    name: u64,
    hash: u64,
    /// Address of its counters, relative to this record.
    counters: u64,
    bitmap: u64,
    function: u64,
    values: u64,
    count: u32,
    sites: [u16; 3],
    bitmap_bytes: u32,
}

/// How often each region was entered.
pub(crate) struct Counts(pub(crate) Vec<u64>);

impl Counts {
    pub(crate) fn now() -> Counts {
        // SAFETY: the two ends of one array of counters, which only code of this program adds to, on
        // this thread.
        let counters = unsafe {
            let start = __llvm_profile_begin_counters();
            let len = __llvm_profile_end_counters().offset_from(start) as usize;
            std::slice::from_raw_parts(start, len)
        };
        Counts(counters.to_vec())
    }
}

/// Sets all counters to zero.
pub(crate) fn restart() {
    // SAFETY: takes no arguments; nobody else counts at this time.
    unsafe { __llvm_profile_reset_counters() }
}

/// For each region the function that it is in, by its number in the list of names, which comes second.
pub(crate) fn functions() -> (Vec<u32>, Vec<String>) {
    let known = names();
    // SAFETY: the two ends of the array of records, which does not change.
    let records = unsafe {
        let start = __llvm_profile_begin_data();
        let len = __llvm_profile_end_data().offset_from(start) as usize;
        std::slice::from_raw_parts(start, len)
    };
    // SAFETY: takes no arguments.
    let base = unsafe { __llvm_profile_begin_counters() } as u64;
    let (mut regions, mut list) = (vec![0; Counts::now().0.len()], vec!["?".to_string()]);
    for record in records {
        let start = (record as *const Record as u64).wrapping_add(record.counters);
        let first = (start.wrapping_sub(base) / 8) as usize;
        let unknown = || format!("{:#018x}", record.name);
        list.push(known.get(&record.name).cloned().unwrap_or_else(unknown));
        let number = list.len() as u32 - 1;
        regions[first..first + record.count as usize].fill(number);
    }
    (regions, list)
}

/// Names of functions by their hash. They are not compressed (`-enable-name-compression=false`).
fn names() -> HashMap<u64, String> {
    // SAFETY: the two ends of the array of names, which does not change.
    let bytes = unsafe {
        let start = __llvm_profile_begin_names();
        let len = __llvm_profile_end_names().offset_from(start) as usize;
        std::slice::from_raw_parts(start, len)
    };
    let mut names = HashMap::new();
    let mut at = 0;
    let number = |at: &mut usize| {
        let (mut value, mut shift) = (0usize, 0);
        while let Some(&byte) = bytes.get(*at) {
            *at += 1;
            value |= usize::from(byte & 0x7f) << shift;
            shift += 7;
            if byte < 0x80 {
                break;
            }
        }
        value
    };
    while at < bytes.len() {
        // Gaps between what several libraries bring are zero.
        if bytes[at] == 0 {
            at += 1;
            continue;
        }
        let (len, compressed) = (number(&mut at), number(&mut at));
        let end = (at + if compressed == 0 { len } else { compressed }).min(bytes.len());
        if compressed == 0 {
            for name in bytes[at..end].split(|&byte| byte == 1) {
                names.insert(md5(name), String::from_utf8_lossy(name).into_owned());
            }
        }
        at = end;
    }
    names
}

/// The first eight bytes of the MD5 hash (RFC 1321), little-endian.
fn md5(message: &[u8]) -> u64 {
    const SHIFTS: [[u32; 4]; 4] =
        [[7, 12, 17, 22], [5, 9, 14, 20], [4, 11, 16, 23], [6, 10, 15, 21]];
    let mut state = [0x6745_2301u32, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476];
    let mut padded = message.to_vec();
    padded.push(0x80);
    padded.resize((padded.len() + 8).next_multiple_of(64) - 8, 0);
    padded.extend_from_slice(&(8 * message.len() as u64).to_le_bytes());
    for block in padded.chunks_exact(64) {
        let word = |i: usize| {
            let bytes = block[4 * i..4 * i + 4].try_into().expect("four bytes");
            u32::from_le_bytes(bytes)
        };
        let [mut a, mut b, mut c, mut d] = state;
        for i in 0..64 {
            let (f, g) = match i / 16 {
                0 => (b & c | !b & d, i),
                1 => (d & b | !d & c, 5 * i + 1),
                2 => (b ^ c ^ d, 3 * i + 5),
                _ => (c ^ (b | !d), 7 * i),
            };
            let constant = ((i as f64 + 1.0).sin().abs() * 4_294_967_296.0) as u32;
            let sum = a.wrapping_add(f).wrapping_add(constant).wrapping_add(word(g % 16));
            (a, d, c) = (d, c, b);
            b = b.wrapping_add(sum.rotate_left(SHIFTS[i / 16][i % 4]));
        }
        for (mine, new) in state.iter_mut().zip([a, b, c, d]) {
            *mine = mine.wrapping_add(new);
        }
    }
    u64::from(state[0]) | u64::from(state[1]) << 32
}

#[test]
fn md5_of_known_messages() {
    assert_eq!(md5(b"").to_le_bytes(), [0xd4, 0x1d, 0x8c, 0xd9, 0x8f, 0x00, 0xb2, 0x04]);
    assert_eq!(md5(b"abc").to_le_bytes(), [0x90, 0x01, 0x50, 0x98, 0x3c, 0xd2, 0x4f, 0xb0]);
}
