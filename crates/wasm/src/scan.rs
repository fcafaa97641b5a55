//! Facts about a body that translation needs before it can start.
//!
//! SSA is built in one forward walk ([`crate::body`]), so a loop header has to know which locals
//! the loop writes, and the budget of block parameters has to be settled, before the first operator
//! is translated. One pass over the undecoded bytes collects, per construct (block, loop or if, in
//! text order): how many branches target it, which locals are written inside, which kinds of state
//! are changed inside. Nothing is validated; on bytes it cannot read the scan stops, because the
//! validator will refuse the body there or earlier.
//!
//! Two things of a body are not proportional to its length, and are bounded here:
//!
//! - *Write marks.* A write marks every open construct that has no mark of that local yet; marks
//!   are pairs (construct, local). Since a construct is marked together with all around it, a walk
//!   up stops at the first mark. At [`MARKS_PER_BYTE`] marks the pass stops marking, and each local
//!   written from there on lives in a frame slot.
//! - *Merge values.* A construct of `b` incoming edges in which `k` locals are written may need
//!   `b * k` edge arguments. A branch table is one edge to each of its targets, and an end that control
//!   does not reach by falling through is none. The sum over constructs is kept per local; when the total
//!   exceeds [`PAIRS_PER_OPERATOR`] or [`PAIRS_PER_EIGHT_BYTES`], the most expensive locals, by powers of two, move to frame slots until
//!   the rest fits. `cargo xtask budgets` looks that no function of the corpus gets there.
//!
//! A third thing are the values that labels carry from branch tables: up to eight for a byte. When they are
//! more than [`CARRIED_PER_OPERATOR`], they travel in cells ([`crate::carry`]).
//!
//! # Complexity
//! O(bytes), on the meter as `Pass::Scan`: a step per byte, two per mark, three per local mentioned, and
//! those of the fuel's plan. A write walks up constructs only as far as it marks them, and marks are
//! limited; the walk over marks at the end of a construct visits each mark once. Four bytes declare fifty
//! thousand locals, so locals are numbered in the order in which they are mentioned first, and everything
//! that is known of a local is kept by that number; of those that are not mentioned nothing is kept but
//! the two bytes that say so. When marks or edge arguments run out, locals move to slots
//! (`Fallback::Slots`), at a cost of a step per local; what is left is linear, so beyond the pass's share
//! is an error.

use crate::home::NARROW_LABEL;
use crate::meter::{Kind, Meter};
use crate::module::ModuleInfo;
use crate::survey::Tally;
use runwell_ir::{Signature, scratch};

/// Marks per byte of a body before the pass gives up on precision; 0.1 is usual.
const MARKS_PER_BYTE: usize = 2;
/// Marks that even the smallest body may have.
const MARKS_BASE: usize = 64;
/// Edge arguments for locals per operator; 4.0 is the most seen in real code, 2.6 but for one function.
const PAIRS_PER_OPERATOR: u64 = 5;
/// And per eight bytes: operators of programs are two bytes long and more, those of attacks one, and what an
/// edge argument takes is memory in proportion to bytes. 15.3 is the most seen in real code.
const PAIRS_PER_EIGHT_BYTES: u64 = 17;
/// Edge arguments for locals that even the smallest body may have.
const PAIRS_BASE: u64 = 64;

/// Values that branch tables may carry as edge arguments, per operator and besides. Compilers of C and the
/// like make tables that carry none.
const CARRIED_PER_OPERATOR: u64 = 1;
const CARRIED_BASE: u64 = 64;

/// What a construct changes besides locals, as bits.
pub(crate) mod effect {
    /// A store to a memory, or a bulk operation on one.
    pub(crate) const MEMORY: u8 = 1;
    /// A global is set.
    pub(crate) const GLOBAL: u8 = 2;
    /// A table is changed.
    pub(crate) const TABLE: u8 = 4;
    /// Guest or host code is called.
    pub(crate) const CALL: u8 = 8;
    /// A runtime helper is called.
    pub(crate) const HELPER: u8 = 16;
    /// A local is written.
    pub(crate) const LOCAL: u8 = 32;
}

/// No mark, no construct.
pub(crate) const NONE: u32 = u32::MAX;

/// A block, loop or if, in text order.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Construct {
    /// Branches that target it; a branch table counts once, whatever number of its entries do.
    pub(crate) branches: u32,
    /// Head of the list of locals written inside.
    pub(crate) writes: u32,
    /// See [`effect`].
    pub(crate) effects: u8,
    /// True for a loop.
    pub(crate) is_loop: bool,
    /// True if a branch table names it.
    pub(crate) in_table: bool,
    /// How many values a branch to it carries, 255 for more.
    carries: u8,
    /// The balance of fuel where a branch to it arrives, see [`crate::meter`].
    pub(crate) label: i64,
}

impl Construct {
    /// What is assumed of a construct that the scan did not reach; the validator does not let
    /// translation get that far.
    pub(crate) const UNKNOWN: Construct = Construct {
        branches: 1,
        writes: NONE,
        effects: 0xff,
        is_loop: false,
        in_table: false,
        carries: 0,
        label: 0,
    };
}

/// A local that is written inside a construct, by its number.
#[derive(Copy, Clone, Debug)]
struct Mark {
    local: u32,
    next: u32,
}

/// What the scan knows of a local.
#[derive(Copy, Clone, Debug, Default)]
struct Local {
    /// Number of constructs opened when it was last written; 0 before the first write.
    last_write: u32,
    /// Edge arguments it may need: for each branch one at the most, and two per construct.
    pairs: u32,
    /// True if it lives in a frame slot.
    demoted: bool,
}

/// An open construct.
#[derive(Copy, Clone, Debug)]
struct Open {
    construct: u32,
    is_loop: bool,
    /// Incoming edges of its merge or header besides branches and what falls through its end: the way
    /// into a loop, past an if, from the first arm of an if with two.
    falls: u8,
    /// Values that a branch to it carries.
    carries: u32,
    /// Values that fall through its end.
    results: u32,
    /// The branch table that was the last to target it, by its number.
    table: u32,
}

/// The pass with its tables, reused from function to function.
#[derive(Debug, Default)]
pub(crate) struct Scan {
    /// Constructs in text order.
    pub(crate) constructs: Vec<Construct>,
    /// Locals mentioned, in order of first mention: the place of a local in it is its *number*.
    pub(crate) mentioned: Vec<u32>,
    bytes_read: usize,
    /// Operators read.
    pub(crate) operators: u32,
    /// Edge arguments that the locals outside of frame slots may need.
    pub(crate) pairs: u64,
    /// True if some local lives in a frame slot.
    pub(crate) any_demoted: bool,
    /// Values that narrow labels carry from branch tables, and whether these are too many for edges.
    carried: u64,
    pub(crate) in_cells: bool,
    /// Labels that branch tables name after another one has.
    repeated: u32,
    /// True if functions are called, by calls that are not in tail position.
    pub(crate) calls: bool,
    /// Where fuel is charged.
    pub(crate) meter: Meter,
    /// Depths of a branch table.
    depths: Vec<u32>,
    /// True behind an operator that control does not pass, until a construct begins or ends there. What
    /// such a construct is in does not count as dead, for simplicity.
    dead: bool,
    /// Branch tables so far, and the last of them that targets the function's own label.
    tables: u32,
    own_table: u32,
    marks: Vec<Mark>,
    open: Vec<Open>,
    /// By number.
    locals: Vec<Local>,
    /// By index the number plus one, or zero. Locals beyond its end have not been mentioned.
    numbers: Vec<u16>,
    declared: u32,
    /// Results of the function.
    results: u32,
    marks_limit: usize,
}

/// How an opcode's immediates are skipped or used.
#[derive(Copy, Clone, PartialEq, Eq)]
#[repr(u8)]
enum Class {
    Stop,
    Plain,
    Leb,
    Bytes4,
    Bytes8,
    MemArg,
    Store,
    LocalGet,
    LocalSet,
    GlobalSet,
    TableSet,
    Grow,
    Construct,
    Else,
    End,
    Branch,
    BrTable,
    Return,
    Call,
    CallIndirect,
    SelectTyped,
    Prefix,
}

static CLASSES: [Class; 256] = classes();

const fn classes() -> [Class; 256] {
    let mut table = [Class::Stop; 256];
    let mut op = 0x45;
    while op <= 0xc4 {
        table[op] = Class::Plain;
        op += 1;
    }
    op = 0x28;
    while op <= 0x3e {
        table[op] = if op < 0x36 { Class::MemArg } else { Class::Store };
        op += 1;
    }
    table[0x00] = Class::Plain;
    table[0x01] = Class::Plain;
    table[0x02] = Class::Construct;
    table[0x03] = Class::Construct;
    table[0x04] = Class::Construct;
    table[0x05] = Class::Else;
    table[0x0b] = Class::End;
    table[0x0c] = Class::Branch;
    table[0x0d] = Class::Branch;
    table[0x0e] = Class::BrTable;
    table[0x0f] = Class::Return;
    table[0x10] = Class::Call;
    table[0x11] = Class::CallIndirect;
    table[0x12] = Class::Call;
    table[0x13] = Class::CallIndirect;
    table[0x1a] = Class::Plain;
    table[0x1b] = Class::Plain;
    table[0x1c] = Class::SelectTyped;
    table[0x20] = Class::LocalGet;
    table[0x21] = Class::LocalSet;
    table[0x22] = Class::LocalSet;
    table[0x23] = Class::Leb;
    table[0x24] = Class::GlobalSet;
    table[0x25] = Class::Leb;
    table[0x26] = Class::TableSet;
    table[0x3f] = Class::Leb;
    table[0x40] = Class::Grow;
    table[0x41] = Class::Leb;
    table[0x42] = Class::Leb;
    table[0x43] = Class::Bytes4;
    table[0x44] = Class::Bytes8;
    table[0xd0] = Class::Leb;
    table[0xd1] = Class::Plain;
    table[0xd2] = Class::Leb;
    table[0xfc] = Class::Prefix;
    table
}

/// A cursor over a body; `None` at its end.
pub(crate) struct Cursor<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) at: usize,
}

impl Cursor<'_> {
    #[inline]
    pub(crate) fn byte(&mut self) -> Option<u8> {
        let byte = *self.bytes.get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    #[inline]
    fn skip(&mut self, count: usize) -> Option<()> {
        self.at += count;
        (self.at <= self.bytes.len()).then_some(())
    }

    #[inline]
    fn skip_leb(&mut self) -> Option<()> {
        while self.byte()? >= 0x80 {}
        Some(())
    }

    /// An unsigned number; what does not fit 32 bits is no valid index and ends the scan.
    #[inline]
    pub(crate) fn index(&mut self) -> Option<u32> {
        let first = self.byte()?;
        if first < 0x80 {
            return Some(first.into());
        }
        let mut value = u64::from(first & 0x7f);
        let mut shift = 7;
        loop {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return u32::try_from(value).ok();
            }
            shift += 7;
            if shift > 28 {
                let last = self.byte()?;
                value |= u64::from(last) << shift;
                return u32::try_from(value).ok();
            }
        }
    }
}

impl Scan {
    /// Scans the operators of a body of type `sig`: the bytes after its local declarations. `declared` is
    /// the number of locals, parameters included; `tally` is told what there is.
    pub(crate) fn run<T: Tally>(
        &mut self,
        module: &ModuleInfo,
        sig: &Signature,
        bytes: &[u8],
        declared: u32,
        tally: &mut T,
    ) {
        self.begin(declared, bytes.len());
        self.results = sig.results.len() as u32;
        self.meter.begin(declared.saturating_sub(sig.params.len() as u32));
        let mut cursor = Cursor { bytes, at: 0 };
        while self.step(&mut cursor, module, tally).is_some() {}
        // Some operators have lists of immediates, so not operators are counted.
        self.bytes_read = cursor.at;
        self.settle_budget();
        if self.meter.is_on() {
            self.meter.plan(&mut self.constructs, self.operators, self.repeated);
        }
    }

    /// Makes as if a body without operators had been scanned.
    pub(crate) fn nothing(&mut self) {
        self.begin(0, 0);
        self.pairs = 0;
    }

    /// The number of a local that is mentioned.
    #[inline]
    pub(crate) fn number(&self, local: u32) -> u32 {
        u32::from(self.numbers[local as usize]) - 1
    }

    /// True if the local of this number lives in a frame slot.
    pub(crate) fn is_demoted(&self, number: u32) -> bool {
        self.locals[number as usize].demoted
    }

    /// The numbers of the locals of a list of writes, newest first.
    pub(crate) fn writes(&self, head: u32) -> impl Iterator<Item = u32> + '_ {
        let mut at = head;
        std::iter::from_fn(move || {
            let mark = self.marks.get(at as usize)?;
            at = mark.next;
            Some(mark.local)
        })
    }

    /// Steps of work done, for the meter.
    pub(crate) fn work(&self) -> usize {
        self.bytes_read + 2 * self.marks.len() + 3 * self.mentioned.len() + self.meter.work()
    }

    /// Bytes of what the scan has found.
    pub(crate) fn bytes(&self) -> usize {
        size_of_val(&*self.constructs)
            + size_of_val(&*self.mentioned)
            + size_of_val(&*self.locals)
            + size_of_val(&*self.marks)
            + self.meter.bytes()
    }

    /// Bytes of memory that the tables take, whether they are in use or not.
    pub(crate) fn held(&self) -> usize {
        scratch::held(&self.constructs)
            + scratch::held(&self.mentioned)
            + scratch::held(&self.marks)
            + scratch::held(&self.open)
            + scratch::held(&self.locals)
            + scratch::held(&self.numbers)
            + self.meter.held()
    }

    /// Gives this memory back, when the body has been translated.
    pub(crate) fn trim(&mut self) {
        let mut meter = std::mem::take(&mut self.meter);
        meter.trim();
        *self = Scan { meter, operators: self.operators, ..Scan::default() };
    }

    fn begin(&mut self, declared: u32, bytes: usize) {
        self.meter.begin(0);
        self.results = 0;
        self.constructs.clear();
        for local in self.mentioned.drain(..) {
            self.numbers[local as usize] = 0;
        }
        self.locals.clear();
        self.marks.clear();
        self.open.clear();
        self.operators = 0;
        (self.tables, self.own_table, self.dead) = (0, 0, false);
        self.bytes_read = 0;
        self.any_demoted = false;
        (self.carried, self.repeated) = (0, 0);
        self.calls = false;
        self.declared = declared;
        self.marks_limit = MARKS_PER_BYTE * bytes + MARKS_BASE;
    }

    #[inline]
    fn step<T: Tally>(
        &mut self,
        cursor: &mut Cursor<'_>,
        module: &ModuleInfo,
        tally: &mut T,
    ) -> Option<()> {
        let at = cursor.at as u32;
        let opcode = cursor.byte()?;
        self.operators += 1;
        let metered = self.meter.is_on();
        if opcode != 0xfc {
            tally.operator(opcode);
            if metered {
                self.meter.operator(opcode, 0);
            }
        }
        match CLASSES[opcode as usize] {
            Class::Stop => return None,
            Class::Plain => {
                if opcode == 0 {
                    self.dead = true;
                    if metered {
                        self.meter.mark(at, Kind::Unreachable, NONE, 0);
                    }
                }
            }
            Class::Leb => cursor.skip_leb()?,
            Class::Bytes4 => cursor.skip(4)?,
            Class::Bytes8 => cursor.skip(8)?,
            Class::MemArg => {
                let (memory, bytes) = mem_arg(cursor)?;
                tally.access(memory, bytes);
            }
            Class::Store => {
                let (memory, bytes) = mem_arg(cursor)?;
                tally.access(memory, bytes);
                self.effect(effect::MEMORY);
            }
            Class::LocalGet => {
                let local = self.mention(cursor.index()?)?;
                tally.get(local);
            }
            Class::LocalSet => {
                let local = self.mention(cursor.index()?)?;
                tally.set(local);
                self.write(local);
            }
            Class::GlobalSet => {
                cursor.skip_leb()?;
                self.effect(effect::GLOBAL);
            }
            Class::TableSet => {
                cursor.skip_leb()?;
                self.effect(effect::TABLE);
            }
            Class::Grow => {
                cursor.skip_leb()?;
                self.effect(effect::HELPER | effect::MEMORY);
            }
            Class::Construct => {
                let number = self.constructs.len() as u32;
                self.construct(opcode, cursor, module, tally)?;
                if metered {
                    let (kind, moved) = match opcode {
                        0x02 => (Kind::Block, 0),
                        0x03 => (Kind::Loop, self.label(0)),
                        _ => (Kind::If, 0),
                    };
                    self.meter.mark(at, kind, number, moved);
                }
            }
            Class::Else => {
                if let Some(open) = self.open.last_mut() {
                    open.falls = u8::from(!self.dead);
                }
                self.dead = false;
                if metered {
                    let moved = self.open.last().map_or(0, |open| open.results);
                    self.meter.mark(at, Kind::Else, NONE, moved);
                }
            }
            Class::End => {
                if metered {
                    let (number, moved) = match self.open.last() {
                        Some(open) => (open.construct, open.results),
                        None => (NONE, self.results),
                    };
                    self.meter.mark(at, Kind::End, number, moved);
                }
                self.end(tally);
            }
            Class::Branch => {
                let depth = cursor.index()?;
                self.branch(depth, tally);
                self.dead |= opcode == 0x0c;
                if metered {
                    let kind = if opcode == 0x0c { Kind::Br } else { Kind::BrIf };
                    self.meter.mark(at, kind, depth, self.label(depth));
                }
            }
            Class::BrTable => {
                let count = cursor.index()?;
                tally.table(count);
                self.tables += 1;
                for _ in 0..=count {
                    let depth = cursor.index()?;
                    self.entry(depth, tally);
                    if metered {
                        self.depths.push(depth);
                    }
                }
                self.dead = true;
                if metered {
                    // All labels of a branch table carry the same.
                    let moved = self.label(self.depths.last().copied().unwrap_or(0));
                    self.meter.mark_table(at, self.depths.drain(..), moved);
                }
            }
            Class::Return => {
                tally.leave();
                self.dead = true;
                if metered {
                    self.meter.mark(at, Kind::Return, NONE, self.results);
                }
            }
            Class::Call => {
                let index = cursor.index()?;
                let ty = *module.funcs.get(index as usize)?;
                self.call(ty, module)?;
                tally.call(ty, index < module.imported_funcs());
                self.mark_call(at, opcode == 0x12, &module.types[ty as usize]);
            }
            Class::CallIndirect => {
                let ty = cursor.index()?;
                cursor.skip_leb()?;
                self.call(ty, module)?;
                tally.call(ty, false);
                self.mark_call(at, opcode == 0x13, &module.types[ty as usize]);
            }
            Class::SelectTyped => {
                for _ in 0..cursor.index()? {
                    cursor.byte()?;
                }
            }
            Class::Prefix => match self.prefixed(cursor, tally)? {
                0..=7 => {}
                8 => self.helper(cursor, 2, effect::MEMORY)?,
                9 => self.helper(cursor, 1, 0)?,
                10 => self.helper(cursor, 2, effect::MEMORY)?,
                11 => self.helper(cursor, 1, effect::MEMORY)?,
                12 => self.helper(cursor, 2, effect::TABLE)?,
                13 => self.helper(cursor, 1, 0)?,
                14 => self.helper(cursor, 2, effect::TABLE)?,
                15 => self.helper(cursor, 1, effect::TABLE)?,
                16 => cursor.skip_leb()?,
                17 => self.helper(cursor, 1, effect::TABLE)?,
                _ => return None,
            },
        }
        Some(())
    }

    fn prefixed<T: Tally>(&mut self, cursor: &mut Cursor<'_>, tally: &mut T) -> Option<u32> {
        let sub = cursor.index()?;
        tally.prefixed(sub);
        self.meter.operator(0xfc, sub);
        Some(sub)
    }

    fn mark_call(&mut self, at: u32, leaves: bool, sig: &Signature) {
        self.calls |= !leaves;
        self.dead |= leaves;
        if self.meter.is_on() {
            let params = sig.params.len() as u32;
            if leaves {
                self.meter.mark(at, Kind::Return, NONE, params);
            } else {
                self.meter.mark(at, Kind::Call, NONE, params + sig.results.len() as u32);
            }
        }
    }

    /// How many values a branch to `depth` carries.
    fn label(&self, depth: u32) -> u32 {
        let at = self.open.len().checked_sub(1 + depth as usize);
        at.map_or(self.results, |at| self.open[at].carries)
    }

    #[inline]
    fn effect(&mut self, bits: u8) {
        if let Some(open) = self.open.last() {
            self.constructs[open.construct as usize].effects |= bits;
        }
    }

    fn helper(&mut self, cursor: &mut Cursor<'_>, lebs: u32, bits: u8) -> Option<()> {
        for _ in 0..lebs {
            cursor.skip_leb()?;
        }
        self.effect(effect::HELPER | bits);
        Some(())
    }

    fn call(&mut self, ty: u32, module: &ModuleInfo) -> Option<()> {
        module.types.get(ty as usize)?;
        self.effect(effect::CALL);
        Some(())
    }

    /// The number of a local.
    #[inline]
    fn mention(&mut self, local: u32) -> Option<u32> {
        match self.numbers.get(local as usize) {
            Some(&number) if number != 0 => Some(u32::from(number) - 1),
            _ => self.mention_first(local),
        }
    }

    #[cold]
    fn mention_first(&mut self, local: u32) -> Option<u32> {
        if local >= self.declared {
            return None;
        }
        if self.numbers.len() <= local as usize {
            self.numbers.resize(local as usize + 1, 0);
        }
        self.mentioned.push(local);
        self.locals.push(Local::default());
        // There are no more than 51,000: see `body::declarations`, and the validator's limit.
        self.numbers[local as usize] = u16::try_from(self.mentioned.len()).ok()?;
        Some(self.mentioned.len() as u32 - 1)
    }

    /// Marks the open constructs that have no mark of the local of this number yet.
    #[inline]
    fn write(&mut self, local: u32) {
        let opened = self.constructs.len() as u32;
        let state = &mut self.locals[local as usize];
        let last = state.last_write;
        state.last_write = opened;
        // Construct `c` is marked when the last write came after it was opened, as number `c + 1`.
        for open in self.open.iter().rev() {
            if last > open.construct {
                break;
            }
            if self.marks.len() >= self.marks_limit {
                self.locals[local as usize].demoted = true;
                self.any_demoted = true;
                self.effect(effect::LOCAL);
                break;
            }
            let construct = &mut self.constructs[open.construct as usize];
            construct.effects |= effect::LOCAL;
            self.marks.push(Mark { local, next: construct.writes });
            construct.writes = self.marks.len() as u32 - 1;
        }
    }

    fn construct<T: Tally>(
        &mut self,
        op: u8,
        cursor: &mut Cursor<'_>,
        module: &ModuleInfo,
        tally: &mut T,
    ) -> Option<()> {
        let (params, results) = match *cursor.bytes.get(cursor.at)? {
            0x40 => {
                cursor.at += 1;
                (0, 0)
            }
            // One byte with bit 6 set is negative: a value type.
            byte if byte & 0xc0 == 0x40 => {
                cursor.at += 1;
                (0, 1)
            }
            _ => {
                let sig = module.types.get(cursor.index()? as usize)?;
                (sig.params.len() as u32, sig.results.len() as u32)
            }
        };
        tally.open(op, params, results);
        let is_loop = op == 0x03;
        self.dead = false;
        self.open.push(Open {
            construct: self.constructs.len() as u32,
            is_loop,
            falls: u8::from(op != 0x02),
            carries: if is_loop { params } else { results },
            results,
            table: 0,
        });
        self.constructs.push(Construct {
            branches: 0,
            writes: NONE,
            effects: 0,
            is_loop,
            in_table: false,
            carries: (if is_loop { params } else { results }).min(255) as u8,
            label: 0,
        });
        Some(())
    }

    /// A branch table names a label.
    #[inline]
    fn carry(&mut self, depth: u32) {
        if let Some(at) = self.open.len().checked_sub(1 + depth as usize) {
            let construct = &mut self.constructs[self.open[at].construct as usize];
            self.repeated += u32::from(std::mem::replace(&mut construct.in_table, true));
            if u32::from(construct.carries) <= NARROW_LABEL {
                self.carried += u64::from(construct.carries);
            }
        }
    }

    #[inline]
    fn branch<T: Tally>(&mut self, depth: u32, tally: &mut T) {
        tally.branch(depth);
        // Beyond is the function's own label; whether the depth is valid is not decided here.
        let at = self.open.len().wrapping_sub(1 + depth as usize);
        if let Some(open) = self.open.get(at) {
            self.constructs[open.construct as usize].branches += 1;
        }
    }

    /// An entry of the current branch table: an edge, unless an earlier entry has made it.
    fn entry<T: Tally>(&mut self, depth: u32, tally: &mut T) {
        let at = self.open.len().wrapping_sub(1 + depth as usize);
        let last = self.open.get_mut(at).map_or(&mut self.own_table, |open| &mut open.table);
        if *last != self.tables {
            *last = self.tables;
            self.branch(depth, tally);
            self.carry(depth);
        }
    }

    fn end<T: Tally>(&mut self, tally: &mut T) {
        let Some(open) = self.open.pop() else { return tally.leave() };
        let is_loop = open.is_loop;
        let Construct { branches, writes, effects, .. } = self.constructs[open.construct as usize];
        self.effect(effects);
        let end = u32::from(!is_loop && !self.dead);
        let incoming = branches.saturating_add(u32::from(open.falls) + end);
        let mut at = if incoming < 2 { NONE } else { writes };
        while let Some(&Mark { local, next }) = self.marks.get(at as usize) {
            let pairs = &mut self.locals[local as usize].pairs;
            *pairs = pairs.saturating_add(incoming);
            tally.merge(local, incoming, is_loop);
            at = next;
        }
        if !is_loop {
            self.dead = incoming == 0;
        }
        tally.close();
    }

    /// Moves the locals that would need most edge arguments to frame slots until the rest fits.
    fn settle_budget(&mut self) {
        let operators = u64::from(self.operators);
        self.in_cells = self.carried > CARRIED_PER_OPERATOR * operators + CARRIED_BASE;
        let by_bytes = PAIRS_PER_EIGHT_BYTES * self.bytes_read as u64 / 8;
        let budget = (PAIRS_PER_OPERATOR * operators).min(by_bytes) + PAIRS_BASE;
        let mut buckets = [0u64; 32];
        let mut total = 0;
        for local in &self.locals {
            if !local.demoted && local.pairs > 0 {
                buckets[local.pairs.ilog2() as usize] += u64::from(local.pairs);
                total += u64::from(local.pairs);
            }
        }
        self.pairs = total;
        if total <= budget {
            return;
        }
        let mut keep = 32;
        while total > budget {
            keep -= 1;
            total -= buckets[keep];
        }
        self.pairs = total;
        for local in &mut self.locals {
            if local.pairs > 0 && local.pairs.ilog2() as usize >= keep {
                local.demoted = true;
                self.any_demoted = true;
            }
        }
    }
}

/// Goes behind the operator at the cursor, whatever it is; `None` where the scan would stop.
pub(crate) fn skip_operator(cursor: &mut Cursor<'_>) -> Option<()> {
    match CLASSES[cursor.byte()? as usize] {
        Class::Stop => return None,
        Class::Plain | Class::Else | Class::End | Class::Return => {}
        Class::Leb
        | Class::LocalGet
        | Class::LocalSet
        | Class::GlobalSet
        | Class::TableSet
        | Class::Grow
        | Class::Branch
        | Class::Call => cursor.skip_leb()?,
        // A block type is a type's byte or an index of a type: a number either way.
        Class::Construct => cursor.skip_leb()?,
        Class::Bytes4 => cursor.skip(4)?,
        Class::Bytes8 => cursor.skip(8)?,
        Class::MemArg | Class::Store => _ = mem_arg(cursor)?,
        Class::CallIndirect => skip_lebs(cursor, 2)?,
        Class::BrTable => {
            let count = cursor.index()?;
            for _ in 0..=count {
                cursor.skip_leb()?;
            }
        }
        Class::SelectTyped => {
            for _ in 0..cursor.index()? {
                cursor.byte()?;
            }
        }
        Class::Prefix => match cursor.index()? {
            0..=7 => {}
            8 | 10 | 12 | 14 => skip_lebs(cursor, 2)?,
            9 | 11 | 13 | 15..=17 => cursor.skip_leb()?,
            _ => return None,
        },
    }
    Some(())
}

fn skip_lebs(cursor: &mut Cursor<'_>, count: u32) -> Option<()> {
    (0..count).try_for_each(|_| cursor.skip_leb())
}

/// The memory that an access names, and how many bytes its static offset has in the binary.
#[inline]
fn mem_arg(cursor: &mut Cursor<'_>) -> Option<(u32, usize)> {
    // Bit 6 of the alignment says that a memory index follows.
    let align = cursor.index()?;
    let memory = if align & 0x40 != 0 { cursor.index()? } else { 0 };
    let start = cursor.at;
    cursor.skip_leb()?;
    Some((memory, cursor.at - start))
}
