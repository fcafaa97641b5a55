//! Locals as values: what each one is now, and how that is undone.
//!
//! `Local::cur` is the value of a local at the current point. A construct that may be left by
//! branches needs to know, at each of them, which locals were set since it was entered, and has to
//! restore them when it ends. Both come from one log of old values. A local has at most one entry
//! per such construct; of several entries of one local only the newest is in a doubly linked list
//! through the log. An older one is taken out when a newer one is made and put back, into its old
//! place, when the newer one is undone; since undoing is strictly last in, first out, its
//! neighbours are then the same as before. So walking the list backwards from its end down to the
//! position where a construct was entered yields each local set inside exactly once.
//!
//! Locals are named by the numbers that [`crate::scan`] has given to those that are mentioned.
//!
//! Complexity: O(1) per set; O(distinct locals) per branch.

use crate::body::Cx;
use runwell_abi::Type;
use runwell_ir::{Slot, Value};

/// A local of the function being translated.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Local {
    /// Its value, when it has no slot.
    pub(crate) cur: Value,
    /// Its newest entry in the log, 0 when there is none.
    pub(crate) entry: u32,
    /// Its frame slot, when the budget of the scan moved it there.
    pub(crate) slot: Slot,
    /// Its type.
    pub(crate) ty: Type,
    /// The merge that has seen it, and where.
    pub(crate) merge_stamp: u32,
    pub(crate) merge_at: u32,
}

/// The value a local had before it was set. Entry 0 is the head of the list.
#[derive(Copy, Clone, Debug)]
pub(crate) struct LogEntry {
    local: u32,
    old: Value,
    prev: u32,
    next: u32,
    /// The entry of the same local that this one took out of the list, or 0.
    shadowed: u32,
}

impl LogEntry {
    pub(crate) const HEAD: LogEntry =
        LogEntry { local: 0, old: Value::NONE, prev: 0, next: 0, shadowed: 0 };
}

impl Cx {
    /// Makes the mentioned local known that has the next number: a parameter, or zero.
    pub(crate) fn declare_local(&mut self, ty: Type, param: Option<Value>) {
        let mut slot = Slot::NONE;
        let mut cur = Value::NONE;
        if self.scan.is_demoted(self.locals.len() as u32) {
            slot = self.b.func.add_slot(ty);
            // Slots start as zero.
            if let Some(param) = param {
                self.b.slot_store(ty, slot, param);
            }
        } else {
            cur = match param {
                Some(param) => param,
                None => self.zero(ty),
            };
        }
        self.locals.push(Local { cur, entry: 0, slot, ty, merge_stamp: 0, merge_at: 0 });
    }

    fn zero(&mut self, ty: Type) -> Value {
        match ty {
            Type::I32 | Type::I64 => self.b.iconst(ty, 0),
            Type::F32 => self.b.fconst32(0),
            Type::F64 => self.b.fconst64(0),
            Type::V128 | Type::FuncRef | Type::AnyRef => self.b.null(ty),
        }
    }

    /// `local.get`.
    #[inline]
    pub(crate) fn local_get(&mut self, index: u32) {
        let Local { cur, slot, ty, .. } = self.locals[self.scan.number(index) as usize];
        let value = if slot.is_none() { cur } else { self.b.slot_load(ty, slot) };
        self.push(value);
    }

    /// `local.set`.
    #[inline]
    pub(crate) fn local_set(&mut self, index: u32) {
        let value = self.pop();
        self.assign(self.scan.number(index), value);
    }

    /// `local.tee`.
    #[inline]
    pub(crate) fn local_tee(&mut self, index: u32) {
        let value = self.top();
        self.assign(self.scan.number(index), value);
    }

    #[inline]
    fn assign(&mut self, local: u32, value: Value) {
        let Local { slot, ty, .. } = self.locals[local as usize];
        if slot.is_none() {
            self.set_local(local, value);
        } else {
            self.b.slot_store(ty, slot, value);
        }
    }

    /// Gives a local without a slot a new value, and logs the old one unless the innermost undo
    /// scope has done so already.
    #[inline]
    pub(crate) fn set_local(&mut self, number: u32, value: Value) {
        let local = &mut self.locals[number as usize];
        if local.cur == value {
            return;
        }
        if local.entry < self.log_start {
            let entry = self.log.len() as u32;
            let shadowed = std::mem::replace(&mut local.entry, entry);
            let old = local.cur;
            if shadowed != 0 {
                let LogEntry { prev, next, .. } = self.log[shadowed as usize];
                self.log[prev as usize].next = next;
                self.log[next as usize].prev = prev;
            }
            let last = self.log[0].prev;
            self.log.push(LogEntry { local: number, old, prev: last, next: 0, shadowed });
            self.log[last as usize].next = entry;
            self.log[0].prev = entry;
        }
        self.locals[number as usize].cur = value;
    }

    /// Restores all locals to what they were when the log had `start` entries.
    pub(crate) fn undo_to(&mut self, start: u32) {
        while self.log.len() > start.max(1) as usize {
            let Some(LogEntry { local, old, prev, shadowed, .. }) = self.log.pop() else { return };
            self.log[prev as usize].next = 0;
            self.log[0].prev = prev;
            if shadowed != 0 {
                let LogEntry { prev, next, .. } = self.log[shadowed as usize];
                self.log[prev as usize].next = shadowed;
                self.log[next as usize].prev = shadowed;
            }
            let local = &mut self.locals[local as usize];
            local.cur = old;
            local.entry = shadowed;
            self.extra += 1;
        }
    }

    /// Appends the locals set since the log had `start` entries, and their values, to `pairs`.
    pub(crate) fn collect_set(&mut self, start: u32) {
        let first = self.pairs.len();
        let mut at = self.log[0].prev;
        while at >= start.max(1) {
            let LogEntry { local, prev, .. } = self.log[at as usize];
            self.pairs.push((local, self.locals[local as usize].cur));
            at = prev;
        }
        self.extra += self.pairs.len() - first;
    }
}
