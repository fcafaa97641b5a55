//! Labels, the jumps to them, and the other references that code makes to places in itself.
//!
//! A jump back takes its short form if that reaches. A jump forward is written in its long form, for nobody
//! knows yet how far it goes; when its label is bound within reach of the short form, it becomes that, and
//! the code between them, fewer than 130 bytes, moves up. With the code move what was noted of it: labels,
//! references, calls, traps and source positions. Distances only get shorter by that, so that what was short
//! stays so; they are written into the code when somebody asks for it, and at the end.
//!
//! # Complexity
//! Linear. Jumps to a label that is not bound are a list, whose latest are looked at when it is, while they are
//! near. A jump becomes short once, and what is noted within those bytes moves then; so does a label, no more
//! often than there are jumps so near before it, however many labels there are at one place.

use super::Asm;
use crate::Error;
use runwell_ir::scratch;

/// A position in the code, known once bound.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(in super::super) struct Label(pub(super) u32);

/// A short jump forward, by the label behind what it jumps over.
#[must_use]
#[derive(Debug)]
pub(in super::super) struct Skip(Label);

/// A label that is not bound: this bit, and below it one more than the number of the last reference to it,
/// or nothing.
const UNBOUND: u32 = 1 << 31;
/// What a short jump reaches.
const REACH: u32 = 127;
/// The bytes of a short jump, and of the distances of both forms.
const SHORT: u32 = 2;
const DISTANCE: u32 = 4;
/// Code that is further than this from the end does not move any more: of the bytes between a jump and its
/// label, jumps that become short themselves lose at most two thirds.
const MAY_MOVE: u32 = 3 * (REACH + SHORT + DISTANCE);
/// Labels in a list that are few enough.
const BOUND_ROOM: usize = 64;

/// A place in the code that holds the distance to a label. Until that is known, four bytes hold what the label
/// was before instead, which makes a list of the references to a label.
#[derive(Copy, Clone, Debug)]
struct Reference {
    /// Its offset, and above [`PLACE_BITS`] what kind it is: one byte, or four with so many bytes of the
    /// instruction behind.
    place: u32,
    label: Label,
}

/// Code has no more bytes than these can tell apart.
const PLACE_BITS: u32 = 29;
const _: () = assert!(super::MAX_CODE <= 1 << PLACE_BITS);
/// The kind of reference that is one byte.
const BYTE: u32 = 7;

impl Reference {
    fn field(self) -> u32 {
        self.place & ((1 << PLACE_BITS) - 1)
    }

    fn kind(self) -> u32 {
        self.place >> PLACE_BITS
    }

    /// What the distance is counted from.
    fn end(self) -> u32 {
        self.field() + if self.kind() == BYTE { 1 } else { DISTANCE + self.kind() }
    }
}

/// All labels, and the references to them.
#[derive(Debug, Default)]
pub(super) struct Labels {
    offsets: Vec<u32>,
    /// Those that are bound and may move, in the order of their offsets.
    bound: Vec<Label>,
    /// How long that list is when those are left out that do not move any more.
    bound_room: usize,
    /// In the order of their fields.
    references: Vec<Reference>,
    /// How many of them [`Asm::settle`] has left over: they lead to labels that were not bound then.
    open: usize,
    /// Code before this offset does not move any more.
    kept: u32,
}

impl Labels {
    pub(super) fn clear(&mut self) {
        self.offsets.clear();
        self.bound.clear();
        self.references.clear();
        (self.open, self.kept, self.bound_room) = (0, 0, BOUND_ROOM);
    }

    /// Where the label is.
    pub(super) fn at(&self, label: Label) -> Option<u32> {
        let offset = self.offsets[label.0 as usize];
        (offset & UNBOUND == 0).then_some(offset)
    }

    /// Notes a label that is bound at `offset`, the end of the code.
    fn bind(&mut self, label: Label, offset: u32) {
        if self.bound.len() >= self.bound_room {
            let still = self
                .bound
                .partition_point(|&label| self.offsets[label.0 as usize] + MAY_MOVE < offset);
            self.bound.drain(..still);
            self.bound_room = BOUND_ROOM.max(2 * self.bound.len());
        }
        self.offsets[label.0 as usize] = offset;
        self.bound.push(label);
    }

    /// References that wait for being written, and how many of them have been looked at in vain.
    #[cfg(test)]
    pub(super) fn waiting(&self) -> (usize, usize) {
        (self.references.len(), self.open)
    }

    /// Where the first label is.
    #[cfg(test)]
    pub(super) fn first(&self) -> u32 {
        self.at(Label(0)).expect("it is bound")
    }
}

/// A label that something refers to is not bound.
pub(super) fn nowhere() -> Error {
    Error::Bug("a jump to nowhere".into())
}

/// Moves offsets from `from` on, at the end of a sorted list, up by `bytes`.
fn move_up<T>(list: &mut [T], from: u32, bytes: u32, offset: impl Fn(&mut T) -> &mut u32) {
    for item in list.iter_mut().rev() {
        let offset = offset(item);
        if *offset < from {
            break;
        }
        *offset -= bytes;
    }
}

impl Asm {
    pub(in super::super) fn label(&mut self) -> Label {
        scratch::push(&mut self.labels.offsets, UNBOUND);
        Label(self.labels.offsets.len() as u32 - 1)
    }

    /// The label is here. Jumps to it that are near become short.
    pub(in super::super) fn bind(&mut self, label: Label) {
        let last = self.labels.offsets[label.0 as usize];
        let offset = self.offset();
        self.labels.bind(label, offset);
        self.shorten(label, last);
    }

    /// The label is here, where no jump leads.
    pub(super) fn bind_data(&mut self, label: Label) {
        self.labels.offsets[label.0 as usize] = self.offset();
    }

    /// What has been written so far stays where it is.
    pub(super) fn keep(&mut self) {
        self.labels.kept = self.offset();
        self.labels.bound.clear();
    }

    /// At `field` belongs the distance to the label from `behind` bytes behind the field.
    pub(super) fn refer(&mut self, field: u32, behind: u32, label: Label) {
        debug_assert!(behind < BYTE);
        if field >> PLACE_BITS != 0 {
            // The function is refused at its end.
            return;
        }
        scratch::push(
            &mut self.labels.references,
            Reference { place: field | behind << PLACE_BITS, label },
        );
        let offset = &mut self.labels.offsets[label.0 as usize];
        if *offset & UNBOUND != 0 {
            self.code[field as usize..][..4].copy_from_slice(&offset.to_le_bytes());
            *offset = UNBOUND | self.labels.references.len() as u32;
        }
    }

    /// The same in the one byte before the end of the code.
    fn refer_short(&mut self, label: Label) {
        let field = self.offset() - 1;
        if field >> PLACE_BITS == 0 {
            scratch::push(
                &mut self.labels.references,
                Reference { place: field | BYTE << PLACE_BITS, label },
            );
        }
    }

    fn field(&self, field: u32) -> u32 {
        let bytes = self.code[field as usize..].first_chunk();
        bytes.map_or(0, |&bytes| u32::from_le_bytes(bytes))
    }

    /// Gives the near ones of the jumps to a label that has just been bound here their short form, the last one
    /// first: then the others have less to go. The label was `last` until then.
    fn shorten(&mut self, label: Label, mut last: u32) {
        while let Some(at) = (last & !UNBOUND).checked_sub(1) {
            let at = at as usize;
            let Some(&reference) = self.labels.references.get(at) else { return };
            // What has been settled is gone, and its number may be another's.
            let is_kept = reference.field() <= self.labels.kept;
            if reference.label != label || is_kept || self.offset() - reference.end() > REACH {
                return;
            }
            let before = self.field(reference.field());
            if reference.kind() == 0 {
                self.shorten_one(at);
            }
            if before >= last {
                return;
            }
            last = before;
        }
    }

    /// Gives jump number `at` of the references, which leads to here, its short form.
    fn shorten_one(&mut self, at: usize) {
        let Reference { place, label } = self.labels.references[at];
        let (field, end) = (place, place + DISTANCE);
        // `e9` or `0f 80` and a condition.
        let (start, opcode) = match self.code[field as usize - 1] {
            0xe9 => (field - 1, 0xeb),
            conditional => (field - 2, conditional - 0x10),
        };
        let bytes = end - start - SHORT;
        self.code[start as usize] = opcode;
        self.code.copy_within(end as usize.., (start + SHORT) as usize);
        self.code.truncate(self.code.len() - bytes as usize);
        let labels = &mut self.labels;
        labels.references[at] = Reference { place: (start + 1) | BYTE << PLACE_BITS, label };
        for reference in &mut labels.references[at + 1..] {
            reference.place -= bytes;
        }
        for &label in labels.bound.iter().rev() {
            let offset = &mut labels.offsets[label.0 as usize];
            if *offset < end {
                break;
            }
            *offset -= bytes;
        }
        move_up(&mut self.relocs, end, bytes, |(offset, _)| offset);
        move_up(&mut self.traps, end, bytes, |(offset, _)| offset);
        move_up(&mut self.srclocs, end, bytes, |(offset, _)| offset);
    }

    /// Writes the distances of what has come since the last time and leads to labels that are bound, and
    /// forgets it.
    pub(in super::super) fn settle(&mut self) {
        self.keep();
        let labels = &mut self.labels;
        for at in labels.open..labels.references.len() {
            let reference = labels.references[at];
            let Some(target) = labels.at(reference.label) else {
                labels.references[labels.open] = reference;
                labels.open += 1;
                continue;
            };
            let field = reference.field() as usize;
            let distance = target.wrapping_sub(reference.end());
            if reference.kind() == BYTE {
                debug_assert!(i8::try_from(distance as i32).is_ok(), "{distance} is not short");
                self.code[field] = distance as u8;
            } else {
                self.code[field..field + 4].copy_from_slice(&distance.to_le_bytes());
            }
        }
        labels.references.truncate(labels.open);
    }

    /// Writes the distances of everything.
    ///
    /// # Errors
    /// A label that was referred to is nowhere.
    pub(super) fn settle_all(&mut self) -> Result<(), Error> {
        self.labels.open = 0;
        self.settle();
        if self.labels.open > 0 {
            return Err(nowhere());
        }
        Ok(())
    }

    /// Writes a jump: its short form if it leads back and reaches.
    fn jump(&mut self, short: u8, long: &[u8], target: Label) {
        let end = self.offset() + SHORT;
        // One more than forward: a distance has a sign.
        if self.labels.at(target).is_some_and(|to| end - to <= REACH + 1) {
            self.bytes(&[short, 0]);
            return self.refer_short(target);
        }
        self.bytes(long);
        let field = self.offset();
        self.imm32(0);
        self.refer(field, 0, target);
    }

    pub(in super::super) fn jmp(&mut self, target: Label) {
        self.jump(0xeb, &[0xe9], target);
    }

    pub(in super::super) fn jcc(&mut self, cc: u32, target: Label) {
        debug_assert!(cc < 16, "a condition of two flags");
        self.jump(0x70 | cc as u8, &[0x0f, 0x80 | cc as u8], target);
    }

    /// Jumps over what comes next, up to 127 bytes, until [`Asm::land`].
    pub(in super::super) fn skip(&mut self) -> Skip {
        self.short_forward(0xeb)
    }

    /// The same under a condition.
    pub(in super::super) fn skip_if(&mut self, cc: u32) -> Skip {
        debug_assert!(cc < 16, "a condition of two flags");
        self.short_forward(0x70 | cc as u8)
    }

    fn short_forward(&mut self, opcode: u8) -> Skip {
        self.bytes(&[opcode, 0]);
        let label = self.label();
        self.refer_short(label);
        Skip(label)
    }

    /// The end of what is jumped over.
    pub(in super::super) fn land(&mut self, skip: Skip) {
        self.bind(skip.0);
    }
}
