//! Texts of functions, compressed, some functions to a piece.

use super::text::Column;
use crate::output::push_json_string;
use miniz_oxide::deflate::compress_to_vec;
use std::fmt::Write as _;

/// Bytes of text in a piece: enough to compress well, little enough to be unpacked at once.
const PIECE: usize = 256 << 10;
/// How hard to compress, up to 10.
const LEVEL: u8 = 6;

/// Pieces that are full, and the one that is being filled.
#[derive(Default)]
pub(super) struct Pieces {
    /// Elements of the page.
    done: String,
    count: usize,
    /// Functions of the next one, as the beginning of a list in JSON.
    open: String,
    in_open: usize,
}

impl Pieces {
    /// Adds the texts of one function, of which each is asked for when the one before is no longer needed:
    /// they may be long. Gives the number of the piece and the place in it.
    pub(super) fn add(&mut self, columns: impl IntoIterator<Item = Column>) -> (usize, usize) {
        if self.open.len() >= PIECE {
            self.close();
        }
        let place = (self.count, self.in_open);
        self.in_open += 1;
        self.open.push_str(if place.1 == 0 { "[[" } else { ",[" });
        for (number, each) in columns.into_iter().enumerate() {
            if number > 0 {
                self.open.push(',');
            }
            column(&mut self.open, &each);
        }
        self.open.push(']');
        place
    }

    fn close(&mut self) {
        self.open.push(']');
        let packed = compress_to_vec(self.open.as_bytes(), LEVEL);
        let _ = writeln!(
            self.done,
            "<script type=\"text/plain\" id=\"piece{}\">{}</script>",
            self.count,
            base64(&packed)
        );
        self.count += 1;
        // Not cleared: one of a large function is seldom followed by another.
        self.open = String::new();
        self.in_open = 0;
    }

    /// The elements of the page that hold them.
    pub(super) fn elements(mut self) -> String {
        if self.in_open > 0 {
            self.close();
        }
        self.done
    }
}

/// Appends a column as JSON: its text, and its offsets as pairs of a number of lines and how much further their
/// offset is than that of the lines before, lines without one left out.
fn column(out: &mut String, column: &Column) {
    out.push('[');
    push_json_string(out, column.text.trim_end_matches('\n'));
    out.push_str(",[");
    let mut last = 0;
    for (number, run) in column.offsets.chunk_by(|a, b| a == b).enumerate() {
        let comma = if number == 0 { "" } else { "," };
        match i64::from(run[0]) {
            // No step for lines of no operator: a number of its own kind.
            0 => _ = write!(out, "{comma}{},null", run.len()),
            offset => {
                let _ = write!(out, "{comma}{},{}", run.len(), offset - last);
                last = offset;
            }
        }
    }
    out.push_str("]]");
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let word = chunk.iter().fold(0u32, |word, &byte| word << 8 | u32::from(byte));
        let word = word << (8 * (3 - chunk.len()));
        for digit in 0..4 {
            let value = word >> (18 - 6 * digit) & 63;
            out.push(if digit <= chunk.len() { char::from(DIGITS[value as usize]) } else { '=' });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_as_in_its_rfc() {
        for (plain, coded) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(plain.as_bytes()), coded);
        }
    }

    #[test]
    fn columns_are_json() {
        let mut lines = Column::default();
        for (line, offset) in [("a\"", 0), ("b", 5), ("c", 5), ("d", 0)] {
            lines.push(line, offset);
        }
        let json = |lines: &Column| {
            let mut out = String::new();
            column(&mut out, lines);
            out
        };
        assert_eq!(json(&lines), r#"["a\"\u000ab\u000ac\u000ad",[1,null,2,5,1,null]]"#);
        lines.push("e", 3);
        assert!(json(&lines).ends_with("[1,null,2,5,1,null,1,-2]]"));
        let mut pieces = Pieces::default();
        assert_eq!(pieces.add([lines.clone()]), (0, 0));
        assert_eq!(pieces.add([lines.clone(), lines.clone()]), (0, 1));
        let [one, two] = [json(&lines), format!("{},{}", json(&lines), json(&lines))];
        assert_eq!(pieces.open, format!("[[{one}],[{two}]"));
        lines.push(&"x".repeat(200), 1);
        lines.text = lines.text.repeat(PIECE / 100);
        assert_eq!(pieces.add([lines.clone()]), (0, 2));
        assert_eq!(pieces.add([lines]), (1, 0));
        assert_eq!(pieces.elements().matches("<script").count(), 2);
    }
}
