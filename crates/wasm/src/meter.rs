//! Where fuel is charged, and how much.
//!
//! The cost of a path is the sum of its operators' costs ([`runwell_abi::fuel`]). Charging it operator
//! by operator would double the code, so it is charged in sums. At each point of a body it is known how
//! far payment is ahead of execution, or behind it: the *balance*, what has been paid less what the
//! operators up to here cost. Two rules say what it may be.
//!
//! - An operator whose effect others can see (a store, a global or table that is set, a helper) is paid
//!   for before it acts, and so is all before it: the balance behind it is not below zero.
//! - A *region* begins at the function's entry, at a loop's header and behind each call, and reaches as
//!   far as the next of these or the function's end. At its ends the balance is zero; but a loop whose
//!   every way back comes from a call, without an effect in between, owes at its header what has come
//!   since the call. Its next charge, before the call, pays for that too, and is the only one of a turn.
//!
//! So nothing is charged until one of the two asks for it; operators without effect run on credit. When
//! something has to be charged, then at once the cheapest way from there to the end of the region; a
//! way that costs more falls behind and pays the difference when it is asked in turn. What is charged
//! ahead is thus never more than what will be executed unless the guest traps, a path through a region
//! checks once for fuel, and once more each time it has left the cheapest way and is asked again. An
//! effect asks where the straight piece of code that it stands in begins: a charge between a load and a
//! store would keep selection from making one instruction of them.
//!
//! Where paths meet, their balances have to be one. That of the branches under a condition is taken,
//! since only they would need a block of their own to change it, and of those the ones that leave no loop
//! on their way, if there are any, since the others are taken once per loop. If they differ, it is the
//! highest, or the lowest if all owe: then something will be charged soon anyway, and giving back is
//! cheaper than charging, which looks whether there is enough. Where all that comes is unconditional,
//! each pays the cheapest way on.
//!
//! A branch table is a way to each of its labels, and where their balances are not the table's, each way
//! needs a block of its own to charge or give back in. In a body with few tables for its length that is
//! what it is. Where tables name labels again and again that other tables have named, a byte each, that
//! would be a block for each byte: then branch tables end regions too, and all labels they name have a
//! balance of zero, so that there is nothing to do on the way ([`EACH_REPEATED`]).
//!
//! Ways that can only end in a trap (`unreachable` behind a call that does not return, usually) would
//! often be the cheapest, and everybody else would pay at each of them. They are left out of the
//! choice, and get back what was charged too much.
//!
//! A trap settles the balance: what was paid for operators behind it is given back, what is owed for
//! operators up to it is taken. A guest that owes more than it has is out of fuel where it would have
//! trapped. When fuel runs out, operators that ran on credit count as not executed: nobody can tell.
//!
//! The plan is made from the body's text alone, by the scan, one sweep backwards over what it found
//! (the cheapest ways) and one forwards (the balances). No optimisation has a say in it.
//!
//! # Complexity
//! Linear: one entry per construct, branch and call, one number per entry of a branch table.

use crate::scan::Construct;
use runwell_abi::fuel::{OperatorClass, Schedule, VALUES_SHIFT, class_of};
use runwell_ir::scratch;

/// Labels that a branch table names after another one has, per operators: from then on all of them settle,
/// and this many besides may always be named. In a program that has such tables from nested `switch`es they
/// are few.
const EACH_REPEATED: u32 = 8;
const REPEATED_BASE: u32 = 64;

/// What happens at an entry of the plan.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Block,
    Loop,
    If,
    Else,
    End,
    Br,
    BrIf,
    /// The depths are `arg..` in `targets`, their number is in `other`.
    BrTable,
    /// `return`, and tail calls.
    Return,
    Unreachable,
    Call,
}

/// The cost of the way to the end of a region.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub(crate) struct Way {
    /// True if it can only end in a trap. Compared first.
    doomed: bool,
    /// Units.
    pub(crate) units: u64,
}

/// A place where costs change course.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Entry {
    /// Byte offset of the operator in the body.
    at: u32,
    pub(crate) kind: Kind,
    /// Units for the values that the operator hands on.
    moved: u8,
    /// Depth, construct or start in `targets`; number of entries in `targets` of a branch table.
    arg: u32,
    count: u32,
    /// Cost of the operators since the last entry, this one included.
    cost: u64,
    /// Cost of them up to the last one with an effect, or [`NO_EFFECT`].
    effect: u64,
    /// The cheapest way on from behind the operator, whichever it takes.
    cheapest: u64,
    /// The way on behind the operator, in the first arm of an if, in the second one behind an else.
    on: u64,
    /// The balance there.
    balance: i64,
}

/// No operator with an effect. No sum of costs comes near.
const NO_EFFECT: u64 = u64::MAX;

impl Entry {
    /// True if there is an operator with an effect that wants more than `balance`.
    fn asks(&self, balance: i64) -> bool {
        self.effect != NO_EFFECT && balance < self.effect as i64
    }
}

const _: () = assert!(size_of::<Entry>() == 56);

/// An open construct in the sweep backwards.
struct Frame {
    after: Way,
    second: Option<Way>,
    is_loop: bool,
    /// The least that a way back to the loop owes since a call; 0 when some way owes nothing that way.
    credit: u64,
}

/// A way back to a loop that is being followed backwards, to the call that it comes from.
struct Back {
    /// The loop, among the open constructs.
    frame: usize,
    /// What the operators behind the way back cost, counted from the end.
    behind: u64,
}

/// An open construct in the sweep forwards.
struct Meeting {
    construct: u32,
    is_loop: bool,
    /// Loops around it.
    loops: u32,
    /// The highest and the lowest balance of branches under a condition.
    conditional: Option<(i64, i64)>,
    /// All of these leave a loop.
    leaving: bool,
    /// A balance of what comes without one.
    other: Option<i64>,
    /// There are several.
    differ: bool,
    /// The balance at the start of the second arm, while that is to come.
    second: Option<i64>,
}

impl Meeting {
    /// A branch under a condition comes, from within so many loops.
    fn branch(&mut self, balance: i64, loops: u32) {
        let leaves = loops > self.loops;
        let (most, least) = match self.conditional {
            Some(_) if leaves && !self.leaving => return,
            Some(seen) if leaves == self.leaving => seen,
            _ => (balance, balance),
        };
        self.leaving = leaves;
        self.conditional = Some((most.max(balance), least.min(balance)));
    }

    fn fall(&mut self, balance: Option<i64>) {
        self.differ |= self.other.is_some() && balance.is_some() && self.other != balance;
        self.other = self.other.or(balance);
    }

    /// The balance that all are brought to; `None` if nothing comes.
    fn settle(&self, way: u64) -> Option<i64> {
        match (self.conditional, self.other) {
            (Some((most, least)), _) => Some(if most < 0 { least } else { most }),
            (None, Some(_)) if self.differ => Some(way as i64),
            (None, other) => other,
        }
    }
}

/// The plan of one body, and how far translation has come in it.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    costs: Option<Box<[u16; 256]>>,
    schedule: Schedule,
    entries: Vec<Entry>,
    targets: Vec<u32>,
    pending: u64,
    effect: u64,
    /// Branch tables, and the labels they name, have a balance of zero.
    settled_tables: bool,
    /// The way from the function's entry.
    entry: u64,
    frames: Vec<Frame>,
    backs: Vec<Back>,
    meetings: Vec<Meeting>,
    next: usize,
    /// Translation comes to the first operator of a straight piece of code.
    fresh: bool,
    /// The entry of the operator that is being translated.
    now: Option<Entry>,
    /// The cheapest way from the current point to the end of the region.
    way: u64,
    /// What has been paid less what was executed.
    pub(crate) balance: i64,
}

macro_rules! opaque {
    ($($name:ident)*) => {$(
        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_struct(stringify!($name)).finish_non_exhaustive()
            }
        }
    )*};
}
opaque!(Frame Back Meeting);

/// What an operator asks for before it is executed.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) struct Arrival {
    /// What is to be charged, or given back when negative.
    pub(crate) charge: i64,
    /// The balance before that.
    pub(crate) before: i64,
    /// The balance behind the operator, if it may trap or stop in another way.
    pub(crate) stops: Option<i64>,
}

impl Meter {
    /// Switches metering on, with the costs of `schedule`, or off.
    pub(crate) fn set(&mut self, schedule: Option<Schedule>) {
        self.schedule = schedule.unwrap_or_default();
        self.costs = schedule.map(|schedule| {
            Box::new(std::array::from_fn(|op| schedule.cost(class_of(op as u8, u32::MAX))))
        });
    }

    #[inline]
    pub(crate) fn is_on(&self) -> bool {
        self.costs.is_some()
    }

    /// Starts a body that declares so many locals besides its parameters.
    pub(crate) fn begin(&mut self, locals: u32) {
        self.entries.clear();
        self.targets.clear();
        self.pending = if self.is_on() { u64::from(locals >> VALUES_SHIFT) } else { 0 };
        self.effect = NO_EFFECT;
        self.settled_tables = false;
        self.next = 0;
        self.fresh = true;
        self.now = None;
        // Entering the function is the first thing that is executed.
        self.balance = -(self.pending as i64);
    }

    /// Bytes of memory that plans take, whether they are in use or not.
    pub(crate) fn held(&self) -> usize {
        scratch::held(&self.entries)
            + scratch::held(&self.targets)
            + scratch::held(&self.frames)
            + scratch::held(&self.backs)
            + scratch::held(&self.meetings)
    }

    /// Gives this memory back, when the body has been translated.
    pub(crate) fn trim(&mut self) {
        (self.entries, self.targets) = (Vec::new(), Vec::new());
        (self.frames, self.backs, self.meetings) = (Vec::new(), Vec::new(), Vec::new());
    }

    fn cost(&self, opcode: u8, sub: u32) -> u64 {
        match &self.costs {
            Some(costs) if opcode != 0xfc => u64::from(costs[opcode as usize]),
            Some(_) => u64::from(self.schedule.cost(class_of(opcode, sub))),
            None => 0,
        }
    }

    /// The scan has met an operator.
    #[inline]
    pub(crate) fn operator(&mut self, opcode: u8, sub: u32) {
        self.pending += self.cost(opcode, sub);
        if has_effect(opcode, sub) {
            self.effect = self.pending;
        }
    }

    /// The operator that the scan has just met is an entry of the plan, and hands on so many values.
    pub(crate) fn mark(&mut self, at: u32, kind: Kind, arg: u32, values: u32) {
        // Types are limited, and so is this.
        let moved = u8::try_from(values >> VALUES_SHIFT).unwrap_or(u8::MAX);
        self.pending += u64::from(moved);
        let cost = std::mem::take(&mut self.pending);
        let effect = std::mem::replace(&mut self.effect, NO_EFFECT);
        let count = 0;
        let entry =
            Entry { at, kind, moved, arg, count, cost, effect, cheapest: 0, on: 0, balance: 0 };
        scratch::push(&mut self.entries, entry);
    }

    /// The operator that the scan has just met is a branch table with these depths.
    pub(crate) fn mark_table(&mut self, at: u32, depths: impl Iterator<Item = u32>, values: u32) {
        let start = self.targets.len();
        self.targets.extend(depths);
        self.mark(at, Kind::BrTable, start as u32, values);
        let count = self.targets.len() - start;
        if let Some(entry) = self.entries.last_mut() {
            entry.count = count as u32;
        }
    }

    /// Works out the plan of a body of so many operators, in which branch tables name labels again that
    /// others have named so many times. On a body that the validator will refuse the outcome is anything,
    /// but there is one.
    pub(crate) fn plan(&mut self, constructs: &mut [Construct], operators: u32, repeated: u32) {
        self.settled_tables = repeated > operators / EACH_REPEATED + REPEATED_BASE;
        self.find_ways(constructs);
        self.find_balances(constructs);
        // What entering cost is behind.
        self.way = self.entry.saturating_sub(self.balance.unsigned_abs());
    }

    /// The cheapest ways, and what loops owe at their headers, backwards.
    fn find_ways(&mut self, constructs: &mut [Construct]) {
        let mut frames = std::mem::take(&mut self.frames);
        let mut backs = std::mem::take(&mut self.backs);
        frames.clear();
        backs.clear();
        let mut way = Way::default();
        // The cost of the operators behind, from the end.
        let mut behind = 0u64;
        for entry in self.entries.iter_mut().rev() {
            let label = |frames: &[Frame], depth: u32| match frames
                .len()
                .checked_sub(1 + depth as usize)
                .map(|at| &frames[at])
            {
                Some(frame) if !frame.is_loop => frame.after,
                _ => Way::default(),
            };
            let loop_at = |frames: &[Frame], depth: u32| {
                let at = frames.len().checked_sub(1 + depth as usize)?;
                frames[at].is_loop.then_some(at)
            };
            match entry.kind {
                Kind::Call => {
                    for Back { frame, behind: from } in backs.drain(..) {
                        let frame = &mut frames[frame];
                        frame.credit = frame.credit.min(behind - from);
                    }
                }
                // A block's start leaves the constructs around it where they are.
                Kind::Block | Kind::BrIf => {}
                _ => backs.drain(..).for_each(|back| frames[back.frame].credit = 0),
            }
            if let Kind::Br | Kind::BrIf = entry.kind
                && let Some(frame) = loop_at(&frames, entry.arg)
            {
                backs.push(Back { frame, behind });
            }
            behind = behind.saturating_add(entry.cost);
            if entry.effect != NO_EFFECT {
                backs.drain(..).for_each(|back| frames[back.frame].credit = 0);
            }
            entry.on = way.units;
            match entry.kind {
                Kind::End => {
                    let is_loop = constructs
                        .get(entry.arg as usize)
                        .is_some_and(|construct| construct.is_loop && construct.branches > 0);
                    frames.push(Frame { after: way, second: None, is_loop, credit: u64::MAX });
                }
                Kind::Else => {
                    if let Some(frame) = frames.last_mut() {
                        frame.second = Some(way);
                        way = frame.after;
                    }
                }
                Kind::If => {
                    way = way.min(frames.pop().map_or(way, |f| f.second.unwrap_or(f.after)));
                }
                Kind::Block => _ = frames.pop(),
                Kind::Loop => {
                    if let Some(Frame { is_loop: true, credit, .. }) = frames.pop() {
                        way = Way::default();
                        if let Some(construct) = constructs.get_mut(entry.arg as usize)
                            && let Ok(credit) = i64::try_from(credit)
                        {
                            construct.label = -credit;
                        }
                    }
                }
                Kind::Br => way = label(&frames, entry.arg),
                Kind::BrIf => way = way.min(label(&frames, entry.arg)),
                Kind::BrTable => {
                    let (first, count) = (entry.arg as usize, entry.count as usize);
                    for &depth in &self.targets[first..first + count] {
                        if let Some(at) = loop_at(&frames, depth) {
                            frames[at].credit = 0;
                        }
                    }
                    way = match self.settled_tables {
                        true => Way::default(),
                        false => self.targets[first..first + count]
                            .iter()
                            .map(|&depth| label(&frames, depth))
                            .min()
                            .unwrap_or_default(),
                    };
                }
                Kind::Return => way = Way::default(),
                Kind::Unreachable => way = Way { doomed: true, units: 0 },
                Kind::Call => way.units = 0,
            }
            entry.cheapest = way.units;
            way.units += entry.cost;
        }
        self.entry = way.units + self.pending;
        (self.frames, self.backs) = (kept(frames), kept(backs));
    }

    /// The balances, forwards.
    fn find_balances(&mut self, constructs: &mut [Construct]) {
        let mut meetings = std::mem::take(&mut self.meetings);
        meetings.clear();
        // `None` where nothing comes.
        let mut now = Some(0);
        for entry in &mut self.entries {
            // Behind the operator.
            let mut balance = now.map(|balance: i64| match entry.asks(balance) {
                true => entry.cheapest as i64,
                false => balance - entry.cost as i64,
            });
            let depth = |depth: u32, len: usize| len.checked_sub(1 + depth as usize);
            match entry.kind {
                Kind::Block | Kind::Loop | Kind::If => {
                    let header = constructs
                        .get(entry.arg as usize)
                        .filter(|construct| construct.is_loop && construct.branches > 0);
                    let is_loop = header.is_some();
                    if let Some(header) = header {
                        balance = balance.map(|_| header.label);
                    }
                    let around = meetings.last().map_or(0, |meeting: &Meeting| meeting.loops);
                    meetings.push(Meeting {
                        construct: entry.arg,
                        is_loop,
                        loops: around + u32::from(is_loop),
                        conditional: None,
                        leaving: false,
                        other: None,
                        differ: false,
                        second: balance.filter(|_| entry.kind == Kind::If),
                    });
                }
                Kind::Else => {
                    if let Some(meeting) = meetings.last_mut() {
                        meeting.fall(balance);
                        balance = meeting.second.take();
                    }
                }
                Kind::End => match meetings.pop() {
                    Some(meeting) if meeting.is_loop => {}
                    Some(mut meeting) => {
                        meeting.fall(balance);
                        if let Some(second) = meeting.second {
                            meeting.branch(second, meeting.loops);
                        }
                        balance = meeting.settle(entry.on);
                        if let Some(construct) = constructs.get_mut(meeting.construct as usize) {
                            if self.settled_tables && construct.in_table {
                                balance = balance.map(|_| 0);
                            }
                            construct.label = balance.unwrap_or(0);
                        }
                    }
                    None => balance = Some(0),
                },
                Kind::Br => {
                    if let Some(at) = depth(entry.arg, meetings.len()) {
                        meetings[at].fall(balance);
                    }
                    balance = None;
                }
                Kind::BrIf => {
                    let loops = meetings.last().map_or(0, |meeting| meeting.loops);
                    if let Some(at) = depth(entry.arg, meetings.len()) {
                        if meetings[at].is_loop {
                            // A block on the way back would be a jump more in each iteration.
                            let header = constructs.get(meetings[at].construct as usize);
                            let label = header.map_or(0, |header| header.label);
                            balance = balance.map(|_| back_balance(label, entry.cheapest));
                        }
                        if let Some(balance) = balance {
                            meetings[at].branch(balance, loops);
                        }
                    }
                }
                Kind::BrTable => {
                    let (first, count) = (entry.arg as usize, entry.count as usize);
                    let loops = meetings.last().map_or(0, |meeting| meeting.loops);
                    if self.settled_tables {
                        balance = balance.map(|_| 0);
                    }
                    for &target in &self.targets[first..first + count] {
                        if let (Some(at), Some(balance)) = (depth(target, meetings.len()), balance)
                        {
                            meetings[at].branch(balance, loops);
                        }
                    }
                }
                Kind::Call => balance = balance.map(|_| 0),
                Kind::Return | Kind::Unreachable => {}
            }
            // What was behind a branch table, a return or a trap comes from nowhere.
            now = match entry.kind {
                Kind::BrTable | Kind::Return | Kind::Unreachable => None,
                _ => balance,
            };
            entry.balance = balance.unwrap_or(0);
        }
        self.meetings = kept(meetings);
    }

    /// Bytes of the plan.
    pub(crate) fn bytes(&self) -> usize {
        size_of_val(&*self.entries) + size_of_val(&*self.targets)
    }

    /// Steps of work done, for the work meter.
    pub(crate) fn work(&self) -> usize {
        3 * self.entries.len() + 2 * self.targets.len()
    }

    /// Translation has come to the operator at `at`, whose bytes these are. `label` is the balance at
    /// the end of the innermost open construct, `back` says of a depth whether it is a loop's.
    pub(crate) fn arrive(
        &mut self,
        at: u32,
        bytes: &[u8],
        label: i64,
        target: impl Fn(u32) -> Option<(bool, i64)>,
    ) -> Arrival {
        let opcode = bytes.first().copied().unwrap_or(0);
        let sub = if opcode == 0xfc { sub_opcode(&bytes[1..]) } else { 0 };
        let mut cost = self.cost(opcode, sub) as i64;
        let before = self.balance;
        let mut balance = before;
        let entry = self.entries.get(self.next);
        if std::mem::take(&mut self.fresh) && entry.is_some_and(|entry| entry.asks(balance)) {
            balance = self.way as i64;
        }
        self.now = match entry {
            Some(entry) if entry.at == at => {
                self.next += 1;
                cost += i64::from(entry.moved);
                Some(*entry)
            }
            _ => None,
        };
        // What the balance has to be before the operator.
        let wanted = match self.now {
            None => balance,
            Some(entry) => match entry.kind {
                Kind::Call | Kind::Return => cost,
                Kind::End => entry.balance + cost,
                Kind::Else => label + cost,
                Kind::Loop => entry.balance + cost,
                Kind::Br => target(entry.arg).map_or(0, |(_, label)| label) + cost,
                Kind::BrIf => match target(entry.arg) {
                    Some((true, label)) => back_balance(label, entry.cheapest) + cost,
                    _ => balance,
                },
                Kind::BrTable if self.settled_tables => cost,
                Kind::Block | Kind::If | Kind::BrTable | Kind::Unreachable => balance,
            },
        };
        self.balance = wanted - cost;
        self.way = self.way.saturating_sub(cost as u64);
        use OperatorClass::*;
        let stops = match class_of(opcode, sub) {
            Load | Store | Divide | Convert | Table | Bulk | Grow => true,
            // The way past an if without a second arm may pay there.
            _ => opcode == 0 || opcode == 0x04,
        };
        Arrival { charge: wanted - before, before, stops: stops.then_some(self.balance) }
    }

    /// The operator has been translated.
    pub(crate) fn depart(&mut self) {
        if let Some(entry) = self.now.take() {
            self.balance = entry.balance;
            self.way = entry.on;
            self.fresh = true;
        }
    }
}

/// The list for the next body, unless it is large: what comes now needs the memory more.
fn kept<T>(list: Vec<T>) -> Vec<T> {
    const LARGE: usize = 512;
    if list.capacity() > LARGE { Vec::new() } else { list }
}

/// The balance of a branch under a condition to a loop's header, where `label` is wanted, if from there on
/// the cheapest way costs that much.
fn back_balance(label: i64, cheapest: u64) -> i64 {
    if label < 0 { label } else { cheapest as i64 }
}

/// True for operators, calls apart, that others can see the effect of.
fn has_effect(opcode: u8, sub: u32) -> bool {
    match opcode {
        0x24 | 0x26 | 0x36..=0x3e | 0x40 => true,
        // Conversions, and the size of a table.
        0xfc => sub > 7 && sub != 16,
        _ => false,
    }
}

/// The number behind the prefix byte.
fn sub_opcode(bytes: &[u8]) -> u32 {
    let mut value = 0u32;
    for (position, &byte) in bytes.iter().enumerate().take(5) {
        value |= u32::from(byte & 0x7f).checked_shl(7 * position as u32).unwrap_or(0);
        if byte < 0x80 {
            break;
        }
    }
    value
}
