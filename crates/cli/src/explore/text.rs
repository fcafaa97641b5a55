//! Lines of text, each of which may belong to an operator of the module.

use std::io;
use std::ops::Range;
use wasmprinter::{Config, Print};

/// Characters of a line that are kept. A type or a call may have a thousand operands.
const LINE: usize = 240;

/// Lines of text with the Wasm byte offsets they belong to, 0 for none.
#[derive(Default, Clone, Debug)]
pub(super) struct Column {
    /// Lines, each with its end.
    pub(super) text: String,
    /// One for each line.
    pub(super) offsets: Vec<u32>,
}

impl Column {
    pub(super) fn push(&mut self, line: &str, offset: u32) {
        match line.char_indices().nth(LINE) {
            Some((end, _)) => self.text.extend([&line[..end], "…"]),
            None => self.text.push_str(line),
        }
        self.text.push('\n');
        self.offsets.push(offset);
    }
}

/// The text form of each body. Where the module cannot be written as text, of those before.
///
/// # Complexity
/// Linear in the module. What a few bytes can say of many, declared locals, is cut before it is written.
pub(super) fn of_functions(bytes: &[u8], bodies: &[Range<u32>]) -> Vec<Column> {
    let mut shorter = bytes.to_vec();
    for body in bodies {
        if let Some(body) = shorter.get_mut(body.start as usize..body.end as usize) {
            clip_locals(body);
        }
    }
    let mut sink = Sink {
        bodies,
        columns: vec![Column::default(); bodies.len()],
        current: None,
        offset: 0,
        line: String::new(),
        chars: 0,
    };
    let _ = Config::new().print(&shorter, &mut sink);
    sink.end_line();
    sink.columns
}

/// Lowers the numbers of declared locals in a body until there are no more than a line has room for. No byte
/// changes its place.
fn clip_locals(body: &mut [u8]) {
    let mut at = 0;
    let Some(runs) = read_leb(body, &mut at) else { return };
    let mut room = LINE as u32;
    for _ in 0..runs {
        let start = at;
        let Some(count) = read_leb(body, &mut at) else { return };
        let shown = count.min(room);
        room -= shown;
        // As many bytes as there were: all but the last say that there are more.
        for (place, byte) in (start..at).enumerate() {
            let more = if byte + 1 < at { 0x80 } else { 0 };
            body[byte] = (shown >> (7 * place)) as u8 & 0x7f | more;
        }
        // References to heap types have a number behind them, of which only the length matters.
        let Some(&ty) = body.get(at) else { return };
        at += 1;
        if matches!(ty, 0x63 | 0x64) && read_leb(body, &mut at).is_none() {
            return;
        }
    }
}

/// Reads a number of up to 32 bits and goes behind it.
fn read_leb(bytes: &[u8], at: &mut usize) -> Option<u32> {
    let mut value = 0;
    for place in 0..5 {
        let byte = *bytes.get(*at + place)?;
        value |= u32::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            *at += place + 1;
            return Some(value);
        }
    }
    None
}

/// Takes the text of a whole module and keeps what belongs to bodies.
struct Sink<'a> {
    bodies: &'a [Range<u32>],
    columns: Vec<Column>,
    /// The body that lines belong to.
    current: Option<usize>,
    /// Where the operator of the line is, 0 without one.
    offset: u32,
    line: String,
    chars: usize,
}

impl Sink<'_> {
    fn end_line(&mut self) {
        if let Some(body) = self.current
            && !self.line.is_empty()
        {
            let line = std::mem::take(&mut self.line);
            // Functions are two steps deep in their module.
            self.columns[body].push(line.strip_prefix("  ").unwrap_or(&line), self.offset);
        }
        self.line.clear();
        (self.offset, self.chars) = (0, 0);
    }
}

impl Print for Sink<'_> {
    fn write_str(&mut self, text: &str) -> io::Result<()> {
        // One character more than is shown says that there are more.
        let room = LINE + 4 - self.chars.min(LINE + 4);
        if room > 0 {
            let end = text.char_indices().nth(room).map_or(text.len(), |(at, _)| at);
            self.line.push_str(&text[..end]);
            self.chars += text[..end].chars().count();
        }
        Ok(())
    }

    fn newline(&mut self) -> io::Result<()> {
        self.end_line();
        Ok(())
    }

    fn start_line(&mut self, offset: Option<u64>) {
        let Some(offset) = offset.and_then(|offset| u32::try_from(offset).ok()) else { return };
        let after = self.bodies.partition_point(|body| body.start <= offset);
        self.current = after.checked_sub(1).filter(|&body| offset < self.bodies[body].end);
        self.offset = offset;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_operator_has_its_line() {
        let text = "(module (import \"a\" \"b\" (func)) (memory 1)
            (func (param i32) (local i64) (block (br_if 0 (local.get 0)) (call 0)))
            (func) (data (i32.const 0) \"x\"))";
        let bytes = wat(text);
        let bodies = bodies(&bytes);
        let columns = of_functions(&bytes, &bodies);
        let lines: Vec<&str> = columns[0].text.lines().map(str::trim).collect();
        let expected = [
            "(func (;1;) (type 1) (param i32)",
            "(local i64)",
            "block ;; label = @1",
            "local.get 0",
        ];
        assert_eq!(lines[..4], expected);
        assert_eq!(lines.len(), columns[0].offsets.len());
        for (line, &offset) in lines.iter().zip(&columns[0].offsets) {
            let opcode = |text: &str| match text.split(' ').next() {
                Some("block") => Some(0x02),
                Some("local.get") => Some(0x20),
                Some("br_if") => Some(0x0d),
                Some("call") => Some(0x10),
                Some("end") => Some(0x0b),
                _ => None,
            };
            if let Some(opcode) = opcode(line) {
                assert_eq!(bytes[offset as usize], opcode, "{line} at {offset:#x}");
            }
        }
        assert!(columns[1].text.starts_with("(func (;2;)") && !columns[1].text.contains("data"));
    }

    #[test]
    fn long_lines_are_cut() {
        let bytes = wat(&format!("(module (func (param {})))", "i32 ".repeat(900)));
        let column = &of_functions(&bytes, &bodies(&bytes))[0];
        let longest = column.text.lines().map(|line| line.chars().count()).max();
        assert_eq!(longest, Some(LINE + 1));
        assert!(column.text.contains('…'));
    }

    #[test]
    fn of_very_many_locals_a_line_is_written() {
        let locals = "i32 ".repeat(100) + &"i64 ".repeat(40_000) + "f64 funcref";
        let bytes = wat(&format!("(module (func (local {locals}) (drop (local.get 40100))))"));
        let bodies = bodies(&bytes);
        let mut body = bytes[bodies[0].start as usize..bodies[0].end as usize].to_vec();
        assert_eq!(body[..10], [4, 100, 0x7f, 0xc0, 0xb8, 2, 0x7e, 1, 0x7c, 1]);
        clip_locals(&mut body);
        assert_eq!(body[..10], [4, 100, 0x7f, 0x8c, 0x81, 0, 0x7e, 0, 0x7c, 0]);
        let column = &of_functions(&bytes, &bodies)[0];
        assert!(column.text.contains("local.get 40100\n"), "{}", column.text);
        assert!(column.text.contains("(local i32 i32 ") && column.text.contains('…'));
        // What is no body is left as it is.
        for broken in [&[][..], &[0x80], &[9, 0x80, 0x80, 0x80, 0x80, 0x80, 1], &[2, 5, 0x7f, 5]] {
            clip_locals(&mut broken.to_vec());
        }
    }

    fn wat(text: &str) -> Vec<u8> {
        runwell::text_to_binary(text.as_bytes(), None).expect("a module")
    }

    fn bodies(bytes: &[u8]) -> Vec<Range<u32>> {
        let engine = runwell::Engine::default();
        runwell::inspect::inspector(&engine, bytes).expect("a module").info().bodies.clone()
    }
}
