//! Operands at home: what keeps wide transfers short.
//!
//! Two bytes can call a function of a thousand arguments and a thousand results, three can open a loop
//! of as many parameters. If each of these were a value of its own, with an instruction that moves it,
//! such a module would become large and slow out of proportion. So every operand has a *home*: a cell
//! in the frame, numbered by its height on the stack. What is made by an operator is a value in SSA,
//! as ever. What is given by the dozen, the results of a wide call and the parameters and results of
//! wide constructs, is at home and nothing else: pushing a thousand of them is filling an array, and
//! calls and branches that carry many move all of them by one copy ([`runwell_ir::Op::HomePass`],
//! [`runwell_ir::Op::HomeTake`], [`runwell_ir::Op::HomeMove`]). An operand that is used by itself is
//! loaded from its home; a value that is carried away among many is stored to it, once, and for that
//! the operator that made it has paid.
//!
//! Invariant: of the operands of the innermost construct, those below [`Cx::home`] are at home, and
//! those from there on are values. Among the former, too, values may be known: what was brought home
//! stays known where it was. Operands of the constructs around it are out of reach, and how many of
//! them are at home is kept in their frames: nothing inside may bring them home, since not every way
//! comes past there. A wide construct brings home what lies below it before it begins, so that what
//! it leaves there joins on.
//!
//! Narrow labels, of up to [`NARROW_LABEL`] values, work on values alone: what they take is loaded first.
//! So do narrow calls, unless several of their arguments are at home only: then the others are brought
//! home, and one instruction loads all of them from there. A selection between two operands at home is
//! one instruction as well. Conditional branches to wide labels leave word of the height of their operands,
//! and the label fetches them from there, once for all branches ([`Cx::lands`]).
//!
//! # Complexity
//! An operand is brought home and loaded at most once after it was pushed; what is pushed many at a
//! time costs a step per [`OPERANDS_PER_STEP`].

use crate::body::Cx;
use runwell_abi::Type;
use runwell_ir::Value;

/// The most values that a label carries as edge arguments.
pub(crate) const NARROW_LABEL: u32 = 8;

/// Operands that are filled in or compared in the time of other steps.
const OPERANDS_PER_STEP: usize = 32;

/// An operand that is at home only.
const HOME: Value = Value(u32::MAX - 1);

impl Cx {
    /// Height of the stack below the operands of the innermost construct.
    fn floor(&self) -> usize {
        self.frames.last().map_or(0, |frame| frame.height as usize)
    }

    /// Brings home all operands of the innermost construct.
    pub(crate) fn bring_home(&mut self) {
        let start = self.floor().max(self.home as usize);
        for at in start..self.stack.len() {
            self.b.home_store(at as u32, self.stack[at]);
        }
        self.home = self.stack.len() as u32;
        self.b.func.homes = self.b.func.homes.max(self.home);
    }

    /// True if some operand from height `start` on is at home.
    pub(crate) fn at_home(&self, start: usize) -> bool {
        start < self.home as usize
    }

    /// Makes values of all operands from height `start` on.
    #[inline]
    pub(crate) fn fetch(&mut self, start: usize) {
        if self.at_home(start) {
            self.fetch_from_home(start);
        }
    }

    #[cold]
    fn fetch_from_home(&mut self, start: usize) {
        for at in start..self.home as usize {
            if self.stack[at] == HOME {
                self.stack[at] = self.b.home_load(self.home_types[at], at as u32);
            }
        }
    }

    /// The operand that was at height `at`, on top, has been taken.
    #[cold]
    pub(crate) fn taken_from_home(&mut self, at: usize, value: Value) -> Value {
        self.home = at as u32;
        if value == HOME { self.b.home_load(self.home_types[at], at as u32) } else { value }
    }

    /// Takes the topmost two operands, if they are at home only: the lower one if `cond` is non-zero,
    /// else the upper one. One byte asks for it, so that it is one instruction.
    pub(crate) fn select_at_home(&mut self, cond: Value) -> Option<Value> {
        let at = self.stack.len() - 2;
        if !self.at_home(at + 1) || Cx::only_home(&self.stack[at..]) < 2 {
            return None;
        }
        self.cut(at as u32);
        Some(self.b.home_select(self.home_types[at], cond, at as u32))
    }

    /// Drops all operands from height `height` on.
    pub(crate) fn cut(&mut self, height: u32) {
        self.stack.truncate(height as usize);
        self.home = self.home.min(height);
    }

    /// Pushes operands that are at home, as are all of the construct below them.
    pub(crate) fn push_home(&mut self, types: &[Type]) {
        let (start, end) = (self.stack.len(), self.stack.len() + types.len());
        debug_assert!(start == self.floor() || start == self.home as usize);
        self.stack.resize(end, HOME);
        self.name_home_types(start, types);
        self.home = end as u32;
        self.b.func.homes = self.b.func.homes.max(self.home);
        self.extra += 1 + types.len() / OPERANDS_PER_STEP;
    }

    /// Says of which types the operands from height `start` on are.
    pub(crate) fn name_home_types(&mut self, start: usize, types: &[Type]) {
        let end = start + types.len();
        if self.home_types.len() < end {
            self.home_types.resize(end, Type::I32);
        }
        self.home_types[start..end].copy_from_slice(types);
    }

    /// How many of these operands are no values.
    pub(crate) fn only_home(operands: &[Value]) -> usize {
        operands.iter().filter(|&&operand| operand == HOME).count()
    }
}
