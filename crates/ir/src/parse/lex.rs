//! Text to tokens.

use std::fmt;

/// Where something stands in the text.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) struct Position {
    pub(super) line: u32,
    pub(super) column: u32,
}

/// A piece of the text.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) enum Token<'a> {
    /// Letters, digits and underscores that do not begin with a digit.
    Word(&'a str),
    /// What begins with a digit, perhaps after a minus sign.
    Number(&'a str),
    /// `->`
    Arrow,
    /// Any other character.
    Punct(char),
    /// The end of a line that is not empty.
    Newline,
    /// The end of the text.
    End,
}

impl fmt::Display for Token<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Token::Word(text) | Token::Number(text) => write!(f, "`{text}`"),
            Token::Arrow => f.write_str("`->`"),
            Token::Punct(c) => write!(f, "`{c}`"),
            Token::Newline => f.write_str("the end of the line"),
            Token::End => f.write_str("the end of the text"),
        }
    }
}

/// Reads tokens from the front of a text. A semicolon begins a comment that ends with its line.
pub(super) struct Lexer<'a> {
    rest: &'a str,
    line: u32,
    column: u32,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a str) -> Lexer<'a> {
        Lexer { rest: text, line: 1, column: 1 }
    }

    /// Takes `bytes` bytes, none of which ends a line.
    fn take(&mut self, bytes: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at(bytes);
        self.rest = rest;
        self.column += taken.chars().count() as u32;
        taken
    }

    /// The next token and where it begins.
    pub(super) fn next(&mut self) -> (Token<'a>, Position) {
        let blank = |c: char| c.is_whitespace() && c != '\n';
        self.take(self.rest.find(|c| !blank(c)).unwrap_or(self.rest.len()));
        if self.rest.starts_with(';') {
            self.take(self.rest.find('\n').unwrap_or(self.rest.len()));
        }
        let position = Position { line: self.line, column: self.column };
        let mut chars = self.rest.chars();
        let (first, second) = (chars.next(), chars.next());
        let token = match first {
            None => Token::End,
            Some('\n') => {
                self.rest = &self.rest[1..];
                self.line += 1;
                self.column = 1;
                Token::Newline
            }
            Some('-') if second == Some('>') => {
                self.take(2);
                Token::Arrow
            }
            Some(c) if is_word(c) && !c.is_ascii_digit() => {
                let end = self.rest.find(|c| !is_word(c)).unwrap_or(self.rest.len());
                Token::Word(self.take(end))
            }
            Some(c) if c.is_ascii_digit() => Token::Number(self.number(0)),
            Some('-') if second.is_some_and(|c| c.is_ascii_digit()) => {
                Token::Number(self.number(1))
            }
            Some(c) => {
                self.take(c.len_utf8());
                Token::Punct(c)
            }
        };
        (token, position)
    }

    /// Takes a number, whose digits begin after `sign` bytes: also one with a point and an exponent,
    /// but not the two points of a range.
    fn number(&mut self, sign: usize) -> &'a str {
        let bytes = self.rest.as_bytes();
        let at = |i: usize| bytes.get(i).copied().unwrap_or(b' ');
        let hex = bytes[sign..].starts_with(b"0x");
        let mut end = sign;
        loop {
            let point = at(end) == b'.' && at(end + 1).is_ascii_digit();
            let signed_exponent =
                !hex && matches!(at(end), b'-' | b'+') && matches!(at(end - 1), b'e' | b'E');
            if !(is_word(at(end).into()) || point || (end > sign && signed_exponent)) {
                return self.take(end);
            }
            end += 1;
        }
    }
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}
