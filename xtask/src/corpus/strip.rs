//! Takes debug information out of a module and leaves everything else, names above all, as it is.

use crate::Result;

/// The bytes of a module without its custom sections whose names start with `.debug`.
///
/// # Errors
/// When the bytes are not a module.
pub(crate) fn debug(module: &[u8]) -> Result<Vec<u8>> {
    let damaged = || String::from("the linker made something that is not a module");
    let (header, mut rest) = module.split_at_checked(8).ok_or_else(damaged)?;
    let mut out = header.to_vec();
    while let [id, after @ ..] = rest {
        let (size, after) = leb(after).ok_or_else(damaged)?;
        let (content, next) = after.split_at_checked(size).ok_or_else(damaged)?;
        let name = || leb(content).and_then(|(length, text)| text.get(..length));
        if *id != 0 || !name().is_some_and(|name| name.starts_with(b".debug")) {
            out.extend_from_slice(&rest[..rest.len() - next.len()]);
        }
        rest = next;
    }
    Ok(out)
}

/// An unsigned LEB128 of 32 bits, and what follows it.
fn leb(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut value = 0usize;
    for (i, byte) in bytes.iter().take(5).enumerate() {
        value |= usize::from(byte & 0x7f) << (7 * i);
        if byte & 0x80 == 0 {
            return Some((value, &bytes[i + 1..]));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drops_debug_sections_only() {
        let module = b"\0asm\x01\0\0\0\x00\x07\x06.debug\x00\x05\x04name\x01\x01\x00";
        let stripped = debug(module).expect("a module");
        assert_eq!(stripped, b"\0asm\x01\0\0\0\x00\x05\x04name\x01\x01\x00");
        assert!(debug(b"\0asm").is_err());
        assert!(debug(b"\0asm\x01\0\0\0\x00\x09").is_err());
    }
}
