//! An ELF file in memory that says what functions at given addresses are called and how to unwind their
//! frames: symbols and call frame information, no code.
//!
//! A function's frame is known from its first instruction, `sub rsp, N`: before it the return address is
//! at `[rsp]`, behind it at `[rsp + N]` ([`runwell_abi::call`]). That is what the call frame information
//! says. It does not say where registers are saved, nor that the frame is gone at the last instruction,
//! so a debugger shows the right functions and callers, and variables of the host's callers of guests
//! perhaps not.

use super::Symbol;

/// Sizes of the structures of 64-bit ELF.
const HEADER: usize = 64;
const SECTION: usize = 64;
const SYMBOL: usize = 24;

const SHT_PROGBITS: u32 = 1;
const SHT_SYMTAB: u32 = 2;
const SHT_STRTAB: u32 = 3;
const SHT_NOBITS: u32 = 8;
const SHF_ALLOC_EXEC: u64 = 2 | 4;

/// Names of sections, each ended by a zero, and where each begins.
const NAMES: &[u8] = b"\0.text\0.debug_frame\0.symtab\0.strtab\0.shstrtab\0";
const NAME_TEXT: u32 = 1;
const NAME_FRAME: u32 = 7;
const NAME_SYMTAB: u32 = 20;
const NAME_STRTAB: u32 = 28;
const NAME_NAMES: u32 = 36;

/// The file for `functions`, whose code is at `base`, `len` bytes long.
pub(super) fn image(base: u64, len: u64, functions: &[Symbol<'_>]) -> Vec<u8> {
    let frames = frames(functions);
    let mut strings = vec![0];
    // The first symbol is none.
    let mut symbols = vec![0; SYMBOL];
    for function in functions {
        symbols.extend_from_slice(&(strings.len() as u32).to_le_bytes());
        // A global function in section 1.
        symbols.extend_from_slice(&[0x12, 0, 1, 0]);
        symbols.extend_from_slice(&function.address.to_le_bytes());
        symbols.extend_from_slice(&function.len.to_le_bytes());
        strings.extend(function.name.bytes().map(|byte| if byte == 0 { b'?' } else { byte }));
        strings.push(0);
    }
    let mut out = Vec::new();
    // Magic, 64 bits, little-endian, version 1, System V.
    out.extend_from_slice(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0");
    let contents = [&frames, &symbols, &strings, NAMES];
    let mut places = Vec::new();
    let mut at = HEADER;
    for content in contents {
        places.push((at as u64, content.len() as u64));
        at = (at + content.len()).next_multiple_of(8);
    }
    // An executable for x86-64, of which only the sections matter.
    out.extend_from_slice(&[2, 0, 62, 0, 1, 0, 0, 0]);
    for word in [base, 0, at as u64] {
        out.extend_from_slice(&word.to_le_bytes());
    }
    out.extend_from_slice(&0u32.to_le_bytes());
    for half in [HEADER as u16, 0, 0, SECTION as u16, 6, 5] {
        out.extend_from_slice(&half.to_le_bytes());
    }
    debug_assert_eq!(out.len(), HEADER);
    for content in contents {
        out.extend_from_slice(content);
        out.resize(out.len().next_multiple_of(8), 0);
    }
    let mut section = |name: u32,
                       kind: u32,
                       flags: u64,
                       address: u64,
                       place: (u64, u64),
                       link: [u32; 2],
                       align: u64,
                       entry: u64| {
        out.extend_from_slice(&name.to_le_bytes());
        out.extend_from_slice(&kind.to_le_bytes());
        for word in [flags, address, place.0, place.1] {
            out.extend_from_slice(&word.to_le_bytes());
        }
        link.iter().for_each(|word| out.extend_from_slice(&word.to_le_bytes()));
        out.extend_from_slice(&align.to_le_bytes());
        out.extend_from_slice(&entry.to_le_bytes());
    };
    section(0, 0, 0, 0, (0, 0), [0; 2], 0, 0);
    section(NAME_TEXT, SHT_NOBITS, SHF_ALLOC_EXEC, base, (at as u64, len), [0; 2], 16, 0);
    section(NAME_FRAME, SHT_PROGBITS, 0, 0, places[0], [0; 2], 8, 0);
    // Linked with the section of strings; of the symbols only the first is local.
    section(NAME_SYMTAB, SHT_SYMTAB, 0, 0, places[1], [4, 1], 8, SYMBOL as u64);
    section(NAME_STRTAB, SHT_STRTAB, 0, 0, places[2], [0; 2], 1, 0);
    section(NAME_NAMES, SHT_STRTAB, 0, 0, places[3], [0; 2], 1, 0);
    out
}

/// The content of `.debug_frame` (DWARF 4, section 6.4.1).
fn frames(functions: &[Symbol<'_>]) -> Vec<u8> {
    const NOP: u8 = 0;
    const ADVANCE: u8 = 0x40;
    const DEF_CFA: u8 = 0x0c;
    const DEF_CFA_OFFSET: u8 = 0x0e;
    const OFFSET: u8 = 0x80;
    const RSP: u8 = 7;
    const RIP: u8 = 16;
    let mut out = Vec::new();
    let entry = |out: &mut Vec<u8>, content: &[u8]| {
        let len = (4 + content.len()).next_multiple_of(8) - 4;
        out.extend_from_slice(&(len as u32).to_le_bytes());
        out.extend_from_slice(content);
        out.resize(out.len() + len - content.len(), NOP);
    };
    // What is common: no augmentation, factors 1 and -8; the frame begins behind the return address.
    let common = [0xff, 0xff, 0xff, 0xff, 1, 0, 1, 0x78, RIP, DEF_CFA, RSP, 8, OFFSET | RIP, 1];
    entry(&mut out, &common);
    for function in functions {
        // Number of the common entry.
        let mut content = vec![0; 4];
        content.extend_from_slice(&function.address.to_le_bytes());
        content.extend_from_slice(&function.len.to_le_bytes());
        if let Some(first) = subtraction(function.code)
            && function.frame_bytes > 0
        {
            content.extend_from_slice(&[ADVANCE | first, DEF_CFA_OFFSET]);
            uleb(&mut content, function.frame_bytes + 8);
        }
        entry(&mut out, &content);
    }
    out
}

/// Bytes of the instruction `sub rsp, N` that code begins with.
fn subtraction(code: &[u8]) -> Option<u8> {
    match code {
        [0x48, 0x83, 0xec, ..] => Some(4),
        [0x48, 0x81, 0xec, ..] => Some(7),
        _ => None,
    }
}

fn uleb(out: &mut Vec<u8>, mut value: u32) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_sections_are_where_they_should_be() {
        for (at, name) in [
            (NAME_TEXT, ".text"),
            (NAME_FRAME, ".debug_frame"),
            (NAME_SYMTAB, ".symtab"),
            (NAME_STRTAB, ".strtab"),
            (NAME_NAMES, ".shstrtab"),
        ] {
            assert!(NAMES[at as usize..].starts_with(name.as_bytes()));
            assert_eq!(NAMES[at as usize + name.len()], 0);
        }
    }

    #[test]
    fn sections_and_symbols_are_where_the_header_says() {
        let code = [0x48, 0x83, 0xec, 0x18, 0xc3];
        let function =
            |name, address| Symbol { name, address, len: 5, code: &code, frame_bytes: 24 };
        let functions = [function("a", 0x1000), function("b\0c", 0x1010)];
        let file = image(0x1000, 0x15, &functions);
        let half = |at: usize| u16::from_le_bytes(file[at..at + 2].try_into().unwrap());
        let word = |at: usize| u32::from_le_bytes(file[at..at + 4].try_into().unwrap());
        let long = |at: usize| u64::from_le_bytes(file[at..at + 8].try_into().unwrap()) as usize;
        let headers = long(40);
        assert_eq!((half(58), half(60), half(62)), (64, 6, 5));
        assert_eq!(headers + 6 * SECTION, file.len());
        let place = |index: usize| {
            let at = headers + index * SECTION;
            (long(at + 24), long(at + 32))
        };
        let text = |at: usize| {
            let end = file[at..].iter().position(|&byte| byte == 0).unwrap();
            std::str::from_utf8(&file[at..at + end]).unwrap()
        };
        let names: Vec<&str> = (0..6)
            .map(|index| text(place(5).0 + word(headers + index * SECTION) as usize))
            .collect();
        assert_eq!(names, ["", ".text", ".debug_frame", ".symtab", ".strtab", ".shstrtab"]);
        assert_eq!(long(headers + SECTION + 16), 0x1000);
        let (symbols, len) = place(3);
        assert_eq!(len, 3 * SYMBOL);
        for (at, name, address) in [(1, "a", 0x1000), (2, "b?c", 0x1010)] {
            let at = symbols + at * SYMBOL;
            assert_eq!(text(place(4).0 + word(at) as usize), name);
            assert_eq!((long(at + 8), long(at + 16)), (address, 5));
        }
        let (mut at, len) = place(2);
        let end = at + len;
        let mut entries = Vec::new();
        while at < end {
            entries.push(at);
            at += 4 + word(at) as usize;
        }
        assert_eq!((at, entries.len()), (end, 3));
        // Behind four bytes, the frame begins 32 above the stack pointer.
        assert_eq!(file[entries[2] + 24..entries[2] + 27], [0x44, 0x0e, 32]);
    }

    #[test]
    fn numbers_of_variable_length() {
        for (value, bytes) in [(8, &[8][..]), (127, &[127]), (128, &[0x80, 1]), (300, &[0xac, 2])] {
            let mut out = Vec::new();
            uleb(&mut out, value);
            assert_eq!(out, bytes);
        }
    }
}
