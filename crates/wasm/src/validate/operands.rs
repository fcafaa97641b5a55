//! The operand stack.
//!
//! Each way to take operands has a short part for what nearly always is, equal types that are all
//! there, and a cold part that goes by the book: in unreachable code what is missing is of any type,
//! and elsewhere it is an error, as is another type.

use super::types::{BOTTOM, Code, I32, List, all_fit, fits, is_ref, name};
use super::{Result, Validator};
use crate::error::Error;
use crate::limits::{Limits, OPERANDS};

/// Types compared or copied for one step of work, as a power of two.
const TYPES_PER_STEP: u32 = 6;

fn steps(types: usize) -> usize {
    types >> TYPES_PER_STEP
}

impl Validator<'_> {
    /// Gives an operand.
    #[inline]
    pub(super) fn push(&mut self, ty: Code) {
        self.operands.push(ty);
    }

    /// As [`Validator::push`], as a rule.
    #[inline]
    pub(super) fn give(&mut self, ty: Code) -> Result<()> {
        self.push(ty);
        Ok(())
    }

    /// Takes an operand of a type.
    #[inline]
    pub(super) fn pop(&mut self, wanted: Code) -> Result<()> {
        if self.operands.len() > self.floor && self.operands.last() == Some(&wanted) {
            self.operands.pop();
            return Ok(());
        }
        self.pop_closely(wanted)
    }

    /// Takes operands, the topmost one last in `wanted`.
    #[inline]
    pub(super) fn pop_all<const N: usize>(&mut self, wanted: [Code; N]) -> Result<()> {
        let len = self.operands.len();
        if len >= self.floor + N && self.operands.last_chunk::<N>() == Some(&wanted) {
            self.operands.truncate(len - N);
            return Ok(());
        }
        self.pop_each(&wanted)
    }

    /// Takes operands as [`Validator::pop_all`] does, at least one, and gives one.
    #[inline]
    pub(super) fn apply<const N: usize>(&mut self, wanted: [Code; N], given: Code) -> Result<()> {
        let len = self.operands.len();
        if len >= self.floor + N && self.operands.last_chunk::<N>() == Some(&wanted) {
            self.operands[len - N] = given;
            self.operands.truncate(len - N + 1);
            return Ok(());
        }
        self.pop_each(&wanted)?;
        self.push(given);
        Ok(())
    }

    #[cold]
    fn pop_each(&mut self, wanted: &[Code]) -> Result<()> {
        wanted.iter().rev().try_for_each(|&wanted| self.pop(wanted))
    }

    #[cold]
    fn pop_closely(&mut self, wanted: Code) -> Result<()> {
        if self.operands.len() == self.floor {
            return if self.is_unreachable() { Ok(()) } else { self.missing(name(wanted)) };
        }
        match self.operands.pop() {
            Some(found) if !fits(found, wanted) => self.mismatch(found, wanted),
            _ => Ok(()),
        }
    }

    /// Takes an operand of any type.
    #[inline]
    pub(super) fn pop_any(&mut self) -> Result<Code> {
        if self.operands.len() > self.floor
            && let Some(found) = self.operands.pop()
        {
            return Ok(found);
        }
        if self.is_unreachable() { Ok(BOTTOM) } else { self.missing("a type") }
    }

    /// Takes a reference.
    pub(super) fn pop_ref(&mut self) -> Result<()> {
        let found = self.pop_any()?;
        if found == BOTTOM || is_ref(found) {
            return Ok(());
        }
        self.fail(format!("type mismatch: expected ref but found {}", name(found)))
    }

    /// Takes operands of the types of `list`.
    #[inline]
    pub(super) fn pop_list(&mut self, list: List) -> Result<()> {
        match list.len {
            0 => Ok(()),
            1 => self.pop(self.types.list(list)[0]),
            _ => {
                let there = self.check(list)?;
                self.operands.truncate(self.operands.len() - there);
                Ok(())
            }
        }
    }

    /// Gives operands of the types of `list`.
    #[inline]
    pub(super) fn push_list(&mut self, list: List) -> Result<()> {
        match list.len {
            0 => Ok(()),
            1 => {
                self.push(self.types.list(list)[0]);
                Ok(())
            }
            _ => self.push_many(list),
        }
    }

    fn push_many(&mut self, list: List) -> Result<()> {
        let types = self.types.list(list);
        // Each operator that gives a single operand takes a byte, so this keeps them all.
        let most = Limits::operands(self.at - self.start);
        if (self.operands.len() + types.len()) as u64 > most {
            return Err(Error::limit(OPERANDS, most, self.at as u32));
        }
        self.operands.extend_from_slice(types);
        self.steps += steps(types.len());
        Ok(())
    }

    /// Takes operands of the types of `list` and gives as many of exactly these types.
    #[inline]
    pub(super) fn retype(&mut self, list: List) -> Result<()> {
        if self.is_on_top(list) {
            return Ok(());
        }
        let there = self.check_closely(list)?;
        self.operands.truncate(self.operands.len() - there);
        self.push_list(list)
    }

    /// Checks that operands of the types of `list` are on top, and leaves them there. Says how many
    /// there are, which is fewer than asked for only in unreachable code.
    #[inline]
    pub(super) fn check(&mut self, list: List) -> Result<usize> {
        if self.is_on_top(list) { Ok(list.len as usize) } else { self.check_closely(list) }
    }

    /// True if the operands on top are of exactly the types of `list`.
    #[inline]
    pub(super) fn is_on_top(&mut self, list: List) -> bool {
        let operands = &self.operands[self.floor..];
        match *self.types.list(list) {
            [] => true,
            [wanted] => operands.last() == Some(&wanted),
            ref wanted => {
                self.steps += steps(wanted.len());
                operands.ends_with(wanted)
            }
        }
    }

    #[cold]
    fn check_closely(&mut self, list: List) -> Result<usize> {
        let wanted = self.types.list(list);
        let operands = &self.operands[self.floor..];
        let there = operands.len().min(wanted.len());
        let missing = wanted.len() - there;
        let (absent, present) = wanted.split_at(missing);
        let found = &operands[operands.len() - there..];
        self.steps += 1 + 2 * steps(there);
        if !all_fit(found, present) {
            let mut pairs = found.iter().zip(present).rev();
            if let Some((&found, &wanted)) = pairs.find(|&(&found, &wanted)| !fits(found, wanted)) {
                return self.mismatch(found, wanted);
            }
        }
        match absent.last() {
            Some(&wanted) if !self.is_unreachable() => self.missing(name(wanted)),
            _ => Ok(there),
        }
    }

    /// `select` without a type, for numbers only.
    #[inline]
    pub(super) fn select(&mut self) -> Result<()> {
        let len = self.operands.len();
        if len >= self.floor + 3
            && let Some(&[a, b, I32]) = self.operands.last_chunk()
            && a == b
            && !is_ref(a)
        {
            self.operands.truncate(len - 2);
            return Ok(());
        }
        self.select_closely()
    }

    #[cold]
    fn select_closely(&mut self) -> Result<()> {
        self.pop(I32)?;
        let (a, b) = (self.pop_any()?, self.pop_any()?);
        if is_ref(a) || is_ref(b) {
            return self.fail("type mismatch: select only takes integral types");
        }
        if a != b && a != BOTTOM && b != BOTTOM {
            return self.fail("type mismatch: select operands have different types");
        }
        self.push(if a == BOTTOM { b } else { a });
        Ok(())
    }

    /// True if the current operator cannot be reached.
    #[inline]
    fn is_unreachable(&self) -> bool {
        self.frames.last().is_some_and(|frame| frame.unreachable)
    }

    /// What follows cannot be reached: it finds whatever operands it asks for.
    pub(super) fn unreachable(&mut self) {
        self.operands.truncate(self.floor);
        if let Some(frame) = self.frames.last_mut() {
            frame.unreachable = true;
        }
    }

    #[cold]
    fn mismatch<T>(&self, found: Code, wanted: Code) -> Result<T> {
        self.fail(format!("type mismatch: expected {}, found {}", name(wanted), name(found)))
    }

    #[cold]
    fn missing<T>(&self, wanted: &str) -> Result<T> {
        self.fail(format!("type mismatch: expected {wanted} but nothing on stack"))
    }
}
