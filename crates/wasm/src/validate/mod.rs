//! Validation of function bodies.
//!
//! The algorithm is the one of the specification's appendix (7.3, "Validation Algorithm"): a stack of
//! the types of operands, a stack of open constructs, and for unreachable code a stack that yields
//! whatever is asked for once it is empty. What differs is how lists of types are handled, because a
//! call of two bytes may take a thousand values and give a thousand. A type is one byte ([`types`]),
//! the types of all signatures lie in one string per module, and the operands are a string as well, so
//! that taking and giving values is comparing and copying bytes, some 25 ns per thousand. Only where
//! the strings differ is a list looked at type by type, which ends in an error or, in unreachable
//! code, in a few operands of unknown type replaced by known ones ([`operands`]).
//!
//! What a byte of a body may cost is thus bounded, and how high operands may pile up is as well, by
//! [`crate::Limits::operands`].
//!
//! Whatever comes after trusts this: the translator takes operands off its own stack unchecked. The
//! library's validator, which still does sections and constant expressions, is the oracle in the
//! tests; errors are worded as it words them, and come at the same places.
//!
//! | module | theme |
//! |---|---|
//! | [`types`] | types as bytes, lists of types, the signatures of a module |
//! | [`operands`] | the operand stack: taking, giving, what is wrong with it |
//! | [`control`] | constructs, branches, calls |
//! | [`locals`] | the types of locals |
//! | [`entities`] | memories, tables, globals, segments, references |
//! | [`rules`] | the list of all operators |
//!
//! # Complexity
//! O(operators + types moved / 64) steps, see [`Validator::steps`]; one operator moves at most 3,000
//! types. A branch table checks each distinct label once.

mod control;
mod entities;
mod locals;
mod operands;
mod rules;
pub(crate) mod types;

use crate::error::{Error, Result};
use crate::features;
use crate::module::{ModuleInfo, Validation};
use crate::section::value_type;
use control::Frame;
use locals::Locals;
pub(crate) use rules::off;
use runwell_ir::scratch;
use types::{Code, Types, code};
use wasmparser as wp;
use wasmparser::{FrameKind, WasmModuleResources};

/// The tables of a validator, reused from body to body.
#[derive(Default)]
pub(crate) struct Scratch {
    operands: Vec<Code>,
    frames: Vec<Frame>,
    locals: Locals,
}

impl Scratch {
    /// Bytes of memory, whether they are in use or not.
    pub(crate) fn held(&self) -> usize {
        scratch::held(&self.operands) + scratch::held(&self.frames) + self.locals.held()
    }
}

/// Validates one body: [`Validator::define_locals`] for its declarations, then one call of a visit
/// method per operator, with [`Validator::at`] set.
pub(crate) struct Validator<'m> {
    /// Byte offset of the current operator in the module.
    pub(crate) at: u64,
    /// Steps beyond one per operator.
    pub(crate) steps: usize,
    /// Types of the operands.
    operands: Vec<Code>,
    /// Height of the operand stack below the innermost construct.
    floor: usize,
    /// Open constructs, the function first.
    frames: Vec<Frame>,
    locals: Locals,
    /// Branch tables met so far, for stamps.
    tables: u32,
    /// Byte offset of the body.
    start: u64,
    /// The function and its type.
    index: u32,
    ty: u32,
    module: &'m ModuleInfo,
    types: &'m Types,
    validation: &'m Validation,
}

impl<'m> Validator<'m> {
    /// Starts on the body at offset `start` of function `index` of type `ty`.
    pub(crate) fn begin(
        scratch: Scratch,
        module: &'m ModuleInfo,
        validation: &'m Validation,
        start: u32,
        index: u32,
        ty: u32,
    ) -> Validator<'m> {
        let Scratch { mut operands, mut frames, mut locals } = scratch;
        let types = &*validation.types;
        let sig = types.signature(ty).expect("the type of a function");
        operands.clear();
        frames.clear();
        frames.push(Frame::function(sig.results()));
        locals.begin(sig.params(), types);
        Validator {
            at: start.into(),
            steps: 0,
            operands,
            floor: 0,
            frames,
            locals,
            tables: 0,
            start: start.into(),
            index,
            ty,
            module,
            types,
            validation,
        }
    }

    /// Gives the tables back, to be used again.
    pub(crate) fn into_scratch(self) -> Scratch {
        Scratch { operands: self.operands, frames: self.frames, locals: self.locals }
    }

    /// Declares `count` locals of a type, at byte offset `at`.
    ///
    /// # Errors
    /// When there are too many, or the type is not in the language.
    pub(crate) fn define_locals(&mut self, at: u64, count: u32, ty: wp::ValType) -> Result<()> {
        self.at = at;
        let ty = self.value(ty)?;
        if self.locals.define(count, ty) {
            return Ok(());
        }
        self.fail("too many locals: locals exceed maximum")
    }

    /// The number of locals, parameters included.
    pub(crate) fn len_locals(&self) -> u32 {
        self.locals.len()
    }

    /// The number of operands on the stack.
    #[inline]
    pub(crate) fn height(&self) -> u32 {
        self.operands.len() as u32
    }

    /// The byte that stands for a type that the body names.
    #[inline]
    fn value(&self, ty: wp::ValType) -> Result<Code> {
        match value_type(ty) {
            Some(ty) => Ok(code(ty)),
            None => self.foreign(ty),
        }
    }

    /// The error about a type that is not in the language: the library knows why it is not.
    #[cold]
    fn foreign<T>(&self, mut ty: wp::ValType) -> Result<T> {
        if let Some(resources) = self.validation.resources() {
            resources.check_value_type(&mut ty, &features::SUPPORTED, self.at)?;
        }
        Err(Error::unsupported("unknown", "a type of an unsupported proposal", self.at as u32))
    }

    /// The library's validator, for the words of an error about an operator whose proposal is off. It
    /// says so before it looks at operands, so it need not know any.
    #[cold]
    fn library(&self) -> Option<wp::FuncValidator<wp::ValidatorResources>> {
        let func = self.validation.func(self.index, self.ty)?;
        Some(func.into_validator(Default::default()))
    }

    /// The error that `message` describes.
    #[cold]
    fn fail<T>(&self, message: impl Into<String>) -> Result<T> {
        Err(Error::invalid(message, self.at as u32))
    }
}

impl wp::FrameStack for Validator<'_> {
    fn current_frame(&self) -> Option<FrameKind> {
        self.frames.last().map(|frame| frame.kind)
    }
}
