//! Where fuel is charged, and how much.
//!
//! The cost of a path is the sum of its operators' costs ([`runwell_abi::fuel`]). Charging it operator
//! by operator would double the code, so it is charged in advance: a *region* begins at the function's
//! entry, at a loop's header and behind each call, and reaches as far as the next of these or the
//! function's end. At its head the cheapest way through it is charged at once. Where the way divides,
//! the ways that cost more pay the difference. What is charged ahead is thus never more than what
//! will be executed unless the guest traps, and a path through a region has one check for fuel, one
//! more for each time it leaves the cheapest way.
//!
//! Ways that can only end in a trap (`unreachable` behind a call that does not return, usually) would
//! often be the cheapest, and everybody else would pay at each of them. They are left out of the
//! choice, and get back what was charged too much.
//!
//! At any operator the part of the charge that is for operators behind it is known: the *rest*. A trap
//! gives it back, and so does running out of fuel, which happens where something is charged and
//! before any operator that is charged there. Calls end regions, so that nothing is charged ahead
//! while other code can look.
//!
//! The plan is made from the body's text alone, by the scan and one sweep backwards over what it found.
//! No optimisation has a say in it.
//!
//! # Complexity
//! Linear: one entry per construct, branch and call, one number per entry of a branch table.

use crate::scan::Construct;
use runwell_abi::fuel::{OperatorClass, Schedule, class_of};

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
    pub(crate) at: u32,
    pub(crate) kind: Kind,
    /// Depth, construct or start in `targets`.
    arg: u32,
    /// Cost of the operators since the last entry, this one included.
    cost: u64,
    /// The way on from here: behind the operator, or in the first arm of an if.
    pub(crate) on: u64,
    /// The other way: of a taken branch, or the second arm.
    pub(crate) other: u64,
    /// What is charged at this point for what follows: the cheapest of the ways.
    pub(crate) charged: u64,
}

impl Entry {
    /// Index of the construct.
    pub(crate) fn construct(&self) -> usize {
        self.arg as usize
    }
}

struct Frame {
    after: Way,
    second: Option<Way>,
    is_loop: bool,
}

/// The plan of one body, and how far translation has come in it.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    costs: Option<Box<[u16; 256]>>,
    schedule: Schedule,
    entries: Vec<Entry>,
    targets: Vec<u32>,
    pending: u64,
    /// What is charged at the function's entry.
    pub(crate) entry: u64,
    frames: Vec<Frame>,
    next: usize,
    /// The entry of the operator that is being translated.
    pub(crate) now: Option<Entry>,
    /// What is charged ahead, of the operators behind the current one.
    pub(crate) rest: u64,
}

impl std::fmt::Debug for Frame {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Frame").field("after", &self.after).finish_non_exhaustive()
    }
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

    /// Starts a body.
    pub(crate) fn begin(&mut self) {
        self.entries.clear();
        self.targets.clear();
        self.pending = 0;
        self.next = 0;
        self.now = None;
        self.rest = 0;
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
    }

    /// The operator that the scan has just met is an entry of the plan.
    pub(crate) fn mark(&mut self, at: u32, kind: Kind, arg: u32) {
        let cost = std::mem::take(&mut self.pending);
        self.entries.push(Entry { at, kind, arg, cost, on: 0, other: 0, charged: 0 });
    }

    /// The operator that the scan has just met is a branch table with these depths.
    pub(crate) fn mark_table(&mut self, at: u32, depths: impl Iterator<Item = u32>) {
        let start = self.targets.len();
        self.targets.extend(depths);
        self.mark(at, Kind::BrTable, start as u32);
        let count = (self.targets.len() - start) as u64;
        if let Some(entry) = self.entries.last_mut() {
            entry.other = count;
        }
    }

    /// Works out all charges, backwards. On a body that the validator will refuse the outcome is
    /// anything, but there is one.
    pub(crate) fn sweep(&mut self, constructs: &mut [Construct]) {
        let mut frames = std::mem::take(&mut self.frames);
        frames.clear();
        let mut way = Way::default();
        for entry in self.entries.iter_mut().rev() {
            let label = |frames: &[Frame], depth: u32| match frames
                .len()
                .checked_sub(1 + depth as usize)
                .map(|at| &frames[at])
            {
                Some(frame) if !frame.is_loop => frame.after,
                _ => Way::default(),
            };
            entry.on = way.units;
            match entry.kind {
                Kind::End => {
                    let is_loop = match constructs.get_mut(entry.arg as usize) {
                        Some(construct) => {
                            let is_loop = construct.is_loop && construct.branches > 0;
                            construct.label = if is_loop { 0 } else { way.units };
                            is_loop
                        }
                        None => false,
                    };
                    frames.push(Frame { after: way, second: None, is_loop });
                }
                Kind::Else => {
                    if let Some(frame) = frames.last_mut() {
                        frame.second = Some(way);
                        way = frame.after;
                    }
                }
                Kind::If => {
                    let second = frames.pop().map_or(way, |f| f.second.unwrap_or(f.after));
                    entry.other = second.units;
                    way = way.min(second);
                }
                Kind::Block => _ = frames.pop(),
                Kind::Loop => {
                    if frames.pop().is_some_and(|frame| frame.is_loop) {
                        way = Way::default();
                    }
                }
                Kind::Br => way = label(&frames, entry.arg),
                Kind::BrIf => {
                    let taken = label(&frames, entry.arg);
                    entry.other = taken.units;
                    way = way.min(taken);
                }
                Kind::BrTable => {
                    let (first, count) = (entry.arg as usize, entry.other as usize);
                    way = self.targets[first..first + count]
                        .iter()
                        .map(|&depth| label(&frames, depth))
                        .min()
                        .unwrap_or_default();
                }
                Kind::Return => way = Way::default(),
                Kind::Unreachable => way = Way { doomed: true, units: 0 },
                Kind::Call => way.units = 0,
            }
            entry.charged = way.units;
            way.units += entry.cost;
        }
        self.entry = way.units + self.pending;
        self.frames = frames;
    }

    /// Steps of work done, for the work meter.
    pub(crate) fn work(&self) -> usize {
        2 * self.entries.len() + self.targets.len()
    }

    /// Translation has come to the operator at `at`, whose bytes these are. Gives what a trap in it has
    /// to give back, if it can trap.
    pub(crate) fn arrive(&mut self, at: u32, bytes: &[u8]) -> Option<u64> {
        let opcode = bytes.first().copied().unwrap_or(0);
        let sub = if opcode == 0xfc { sub_opcode(&bytes[1..]) } else { 0 };
        self.rest = self.rest.saturating_sub(self.cost(opcode, sub));
        self.now = match self.entries.get(self.next) {
            Some(entry) if entry.at == at => {
                self.next += 1;
                Some(*entry)
            }
            _ => None,
        };
        use OperatorClass::*;
        let traps = match class_of(opcode, sub) {
            Load | Store | Divide | Convert | Table | Bulk | Grow => true,
            _ => opcode == 0,
        };
        (traps && self.rest > 0).then_some(self.rest)
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
