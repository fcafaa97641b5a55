//! Reads the text form of functions, see [`crate::print`].
//!
//! What the printer writes is read back as the same function, and printing that gives the same text.
//! For people the form is laxer: values may have any numbers as long as each is given once, a loop's
//! depth may be left out, and a semicolon begins a comment. Blocks, slots and loops are numbered in
//! order. All functions of a text belong to one module and share its signatures.
//!
//! The parser knows the form, not its meaning: what it returns may still break an invariant that
//! [`crate::verify`] checks, such as a branch to a block that there is not.
//!
//! # Complexity
//! O(n log n) in the length of the text; no recursion.

mod inst;
mod lex;

use crate::function::{BlockData, LoopData};
use crate::{Block, Const, Function, LoopId, Op, SigRef, Signature, Type};
use lex::{Lexer, Position, Token};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// Signature numbers are below this, as the types of a module are.
const MAX_SIGS: u32 = 1_000_000;

/// What is wrong with a text, and where.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ParseError {
    /// Line, counted from 1.
    pub line: u32,
    /// Column in characters, counted from 1.
    pub column: u32,
    /// What was expected and what was found.
    pub message: String,
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.line, self.column, self.message)
    }
}

impl std::error::Error for ParseError {}

type Result<T> = std::result::Result<T, ParseError>;

/// Reads the one function that `text` holds.
///
/// # Errors
/// The first mistake in the text.
pub fn function(text: &str) -> Result<Function> {
    let mut parser = Parser::new(text);
    let mut functions = parser.functions()?;
    match functions.pop() {
        Some(function) if functions.is_empty() => Ok(function),
        None => Err(parser.expected("a function")),
        Some(_) => Err(parser.error("more than one function".to_string())),
    }
}

/// Reads all functions that `text` holds.
///
/// # Errors
/// The first mistake in the text.
pub fn functions(text: &str) -> Result<Vec<Function>> {
    Parser::new(text).functions()
}

/// Reads constants such as `5:i32, -0.5:f64`.
///
/// # Errors
/// The first mistake in the text.
pub fn constants(text: &str) -> Result<Vec<Const>> {
    let mut parser = Parser::new(text);
    let mut constants = Vec::new();
    while parser.token != Token::End {
        if !constants.is_empty() {
            parser.punct(',')?;
        }
        constants.push(parser.constant()?);
    }
    Ok(constants)
}

/// A field that names a value whose instruction may not have been read yet.
enum Place {
    A(usize),
    B(usize),
    C(usize),
    Pool(usize),
}

struct Parser<'a> {
    lexer: Lexer<'a>,
    token: Token<'a>,
    position: Position,
    /// Signatures of all functions so far.
    sigs: BTreeMap<u32, Signature>,
    /// The function being read.
    func: Function,
    /// Its constants by type and bits.
    consts: BTreeMap<(Type, u128), u32>,
    /// Instructions by the number of the value they make.
    values: BTreeMap<u32, u32>,
    /// Operands to fill in: where, the value's number, its position in the text.
    uses: Vec<(Place, u32, Position)>,
    /// Signatures that calls name, and where.
    sig_uses: Vec<(u32, Position)>,
    /// Byte offset of the instructions to come.
    offset: u32,
}

impl<'a> Parser<'a> {
    fn new(text: &'a str) -> Parser<'a> {
        let mut lexer = Lexer::new(text);
        let (token, position) = lexer.next();
        Parser {
            lexer,
            token,
            position,
            sigs: BTreeMap::new(),
            func: Function::default(),
            consts: BTreeMap::new(),
            values: BTreeMap::new(),
            uses: Vec::new(),
            sig_uses: Vec::new(),
            offset: 0,
        }
    }

    fn error(&self, message: String) -> ParseError {
        error_at(self.position, message)
    }

    fn expected(&self, what: &str) -> ParseError {
        self.error(format!("expected {what}, found {}", self.token))
    }

    fn advance(&mut self) {
        (self.token, self.position) = self.lexer.next();
    }

    /// Takes `token` if it is next.
    fn accept(&mut self, token: Token<'_>) -> bool {
        let found = self.token == token;
        if found {
            self.advance();
        }
        found
    }

    fn accept_punct(&mut self, c: char) -> bool {
        self.accept(Token::Punct(c))
    }

    fn accept_word(&mut self, word: &str) -> bool {
        self.accept(Token::Word(word))
    }

    fn punct(&mut self, c: char) -> Result<()> {
        if self.accept_punct(c) { Ok(()) } else { Err(self.expected(&format!("`{c}`"))) }
    }

    fn word(&mut self, word: &str) -> Result<()> {
        if self.accept_word(word) { Ok(()) } else { Err(self.expected(&format!("`{word}`"))) }
    }

    fn newline(&mut self) -> Result<()> {
        if self.token == Token::End || self.accept(Token::Newline) {
            return Ok(());
        }
        Err(self.expected("the end of the line"))
    }

    fn skip_newlines(&mut self) {
        while self.accept(Token::Newline) {}
    }

    /// A whole number, decimal or after `0x`, up to `max`.
    fn number(&mut self, what: &str, max: u32) -> Result<u32> {
        let parsed = match self.token {
            Token::Number(text) => match text.strip_prefix("0x") {
                Some(digits) => u32::from_str_radix(digits, 16).ok(),
                None => text.parse().ok(),
            },
            _ => None,
        };
        match parsed.filter(|&number| number <= max) {
            Some(number) => {
                self.advance();
                Ok(number)
            }
            None => Err(self.expected(&format!("{what}, a number up to {max}"))),
        }
    }

    /// The number of the entity that is next, if it is one with this prefix.
    fn peek_entity(&self, prefix: &str) -> Option<u32> {
        match self.token {
            Token::Word(word) => entity_number(word, prefix),
            _ => None,
        }
    }

    /// An entity: a prefix and a number up to `max`.
    fn entity(&mut self, prefix: &str, what: &str, max: u32) -> Result<u32> {
        match self.peek_entity(prefix).filter(|&number| number <= max) {
            Some(number) => {
                self.advance();
                Ok(number)
            }
            None => Err(self.expected(&format!("{what} (`{prefix}` and a number up to {max})"))),
        }
    }

    /// An entity that has to be number `next`.
    fn entity_in_order(&mut self, prefix: &str, next: usize) -> Result<()> {
        if self.peek_entity(prefix).map(|number| number as usize) == Some(next) {
            self.advance();
            return Ok(());
        }
        Err(self.expected(&format!("`{prefix}{next}`, the next in order")))
    }

    fn ty(&mut self) -> Result<Type> {
        let found = match self.token {
            Token::Word(word) => Type::ALL.into_iter().find(|ty| ty.name() == word),
            _ => None,
        };
        let Some(ty) = found else { return Err(self.expected("a type")) };
        self.advance();
        Ok(ty)
    }

    fn types(&mut self) -> Result<Box<[Type]>> {
        let mut types = Vec::new();
        self.punct('(')?;
        if !self.accept_punct(')') {
            types.push(self.ty()?);
            while self.accept_punct(',') {
                types.push(self.ty()?);
            }
            self.punct(')')?;
        }
        Ok(types.into())
    }

    /// Reads a signature and enters it under `number`.
    fn signature(&mut self, number: u32, at: Position) -> Result<()> {
        let params = self.types()?;
        if !self.accept(Token::Arrow) {
            return Err(self.expected("`->`"));
        }
        let sig = Signature { params, results: self.types()? };
        match self.sigs.insert(number, sig.clone()) {
            Some(other) if other != sig => {
                Err(error_at(at, format!("sig{number} has been another signature before")))
            }
            _ => Ok(()),
        }
    }

    fn functions(&mut self) -> Result<Vec<Function>> {
        let mut functions = Vec::new();
        self.skip_newlines();
        while self.token != Token::End {
            functions.push(self.func()?);
            self.skip_newlines();
        }
        for &(number, at) in &self.sig_uses {
            if !self.sigs.contains_key(&number) {
                return Err(error_at(at, format!("sig{number} is declared nowhere")));
            }
        }
        let len = self.sigs.last_key_value().map_or(0, |(&last, _)| last as usize + 1);
        let mut sigs = vec![Signature::default(); len];
        for (number, sig) in std::mem::take(&mut self.sigs) {
            sigs[number as usize] = sig;
        }
        let sigs: Arc<[Signature]> = sigs.into();
        for function in &mut functions {
            function.sigs = sigs.clone();
        }
        Ok(functions)
    }

    fn func(&mut self) -> Result<Function> {
        self.word("func")?;
        self.func.index = self.number("the function's index", u32::MAX)?;
        let at = self.position;
        self.func.sig = SigRef(self.entity("sig", "a signature", MAX_SIGS - 1)?);
        self.signature(self.func.sig.0, at)?;
        self.punct('{')?;
        self.newline()?;
        self.skip_newlines();
        self.head()?;
        while !self.accept_punct('}') {
            self.block()?;
        }
        self.newline()?;
        self.fill_in()?;
        self.consts.clear();
        self.values.clear();
        self.offset = 0;
        Ok(std::mem::take(&mut self.func))
    }

    /// Declarations in front of the first block.
    fn head(&mut self) -> Result<()> {
        loop {
            let at = self.position;
            if self.accept_word("depth") {
                self.func.depth_bytes = self.number("bytes of depth", u32::MAX)?;
            } else if self.accept_word("slot") {
                self.entity_in_order("s", self.func.slots.len())?;
                self.punct(':')?;
                let ty = self.ty()?;
                self.func.slots.push(ty);
            } else if self.accept_word("homes") {
                self.func.homes = self.number("a number of homes", u32::MAX)?;
            } else if self.accept_word("loop") {
                self.loop_()?;
            } else if self.peek_entity("sig").is_some() {
                let number = self.entity("sig", "a signature", MAX_SIGS - 1)?;
                self.punct(':')?;
                self.signature(number, at)?;
            } else if self.peek_entity("b").is_some() || self.token == Token::Punct('}') {
                return Ok(());
            } else {
                let what = "`depth`, `slot`, `homes`, `loop`, a signature, a block or `}`";
                return Err(self.expected(what));
            }
            self.newline()?;
            self.skip_newlines();
        }
    }

    fn loop_(&mut self) -> Result<()> {
        self.entity_in_order("l", self.func.loops.len())?;
        self.punct(':')?;
        let header = self.block_ref()?;
        self.punct('.')?;
        self.punct('.')?;
        let end = self.block_ref()?;
        let parent = self.in_loop()?;
        let depth = if self.accept_word("depth") {
            self.number("a depth", u8::MAX.into())? as u8
        } else {
            match self.func.loops.get(parent.index()) {
                Some(around) => around.depth.saturating_add(1),
                None => 1,
            }
        };
        let has_call = self.accept_word("call");
        let has_store = self.accept_word("store");
        self.func.loops.push(LoopData { header, end, parent, depth, has_call, has_store });
        Ok(())
    }

    fn block_ref(&mut self) -> Result<Block> {
        Ok(Block(self.entity("b", "a block", u32::MAX - 1)?))
    }

    /// `in lN`, or nothing.
    fn in_loop(&mut self) -> Result<LoopId> {
        if !self.accept_word("in") {
            return Ok(LoopId::NONE);
        }
        Ok(LoopId(self.entity("l", "a loop", u32::MAX - 1)?))
    }

    fn block(&mut self) -> Result<()> {
        self.entity_in_order("b", self.func.blocks.len())?;
        let loop_id = self.in_loop()?;
        let cold = self.accept_word("cold");
        self.punct(':')?;
        self.newline()?;
        self.skip_newlines();
        let first = self.func.insts.len() as u32;
        while self.peek_entity("b").is_none() && self.token != Token::Punct('}') {
            self.inst()?;
            self.newline()?;
            self.skip_newlines();
        }
        let insts = &self.func.insts[first as usize..];
        let is_param = |op| matches!(op, Op::Param | Op::Copy);
        let params = insts.iter().take_while(|inst| is_param(inst.op)).count() as u32;
        let end = self.func.insts.len() as u32;
        self.func.blocks.push(BlockData { first, end, params, loop_id, cold });
        Ok(())
    }

    /// Replaces the numbers of values by the instructions that make them.
    fn fill_in(&mut self) -> Result<()> {
        for (place, number, at) in self.uses.drain(..) {
            let Some(&value) = self.values.get(&number) else {
                return Err(error_at(at, format!("v{number} is made nowhere")));
            };
            match place {
                Place::A(inst) => self.func.insts[inst].a = value,
                Place::B(inst) => self.func.insts[inst].b = value,
                Place::C(inst) => self.func.insts[inst].c = value,
                Place::Pool(at) => self.func.pool[at] = value,
            }
        }
        Ok(())
    }
}

fn error_at(position: Position, message: String) -> ParseError {
    ParseError { line: position.line, column: position.column, message }
}

/// The number in an entity's name: digits without superfluous zeros.
fn entity_number(word: &str, prefix: &str) -> Option<u32> {
    let digits = word.strip_prefix(prefix)?;
    let plain =
        digits == "0" || digits.bytes().next().is_some_and(|b| b.is_ascii_digit() && b != b'0');
    plain.then(|| digits.parse().ok()).flatten()
}
