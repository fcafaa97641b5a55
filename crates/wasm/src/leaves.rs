//! Whether some body leaves its instance by a tail call.
//!
//! All calls of such a module have to restore the registers that name the instance, so this must be
//! known before the first function is compiled. Two looks at the text tell. The first takes a few
//! bytes at a time and asks whether the opcode of a tail call occurs with immediates that could be its
//! own; most bodies are done with then. Only the others are read operator by operator.
//!
//! Nothing is validated: on a body that cannot be read the answer is about the part before, and the
//! module will be refused anyway.
//!
//! # Complexity
//! Linear: each byte is looked at once, and once more in bodies that may have a tail call.

use crate::module::ModuleInfo;
use crate::scan::{Cursor, skip_operator};
use runwell_ir::Work;
use runwell_ir::work::Pass;

const RETURN_CALL: u8 = 0x12;
const RETURN_CALL_INDIRECT: u8 = 0x13;

/// Bytes that the first look takes at once.
const CHUNK: usize = 32;

impl ModuleInfo {
    /// True if some body has a tail call that may end in another instance: of an imported function,
    /// or through a table. `bytes` is the binary that this was parsed from.
    ///
    /// # Complexity
    /// O(bytes of bodies), charged to [`Pass::Scan`] of `work`.
    ///
    /// # Panics
    /// When `bytes` is another binary.
    pub fn tail_calls_leave(&self, bytes: &[u8], work: &mut Work) -> bool {
        if self.tables.is_empty() && self.imported_funcs() == 0 {
            return false;
        }
        self.bodies.iter().any(|range| {
            let body = &bytes[range.start as usize..range.end as usize];
            work.charge(Pass::Scan, body.len() / CHUNK + 1);
            self.may_leave(body) && {
                work.charge(Pass::Scan, body.len());
                self.leaves(body).unwrap_or(false)
            }
        })
    }

    /// The first look.
    fn may_leave(&self, body: &[u8]) -> bool {
        let is_tail_call = |byte: u8| byte & !1 == RETURN_CALL;
        let suspect = |at: usize| {
            is_tail_call(body[at])
                && self.leaves_here(body[at], &mut Cursor { bytes: body, at: at + 1 })
        };
        (0..body.len()).step_by(CHUNK).any(|start| {
            let end = body.len().min(start + CHUNK);
            // Without a way out in between, so that it is done many bytes at a time.
            let any = body[start..end].iter().fold(false, |any, &byte| any | is_tail_call(byte));
            any && (start..end).any(suspect)
        })
    }

    /// The second look; `None` when the body cannot be read.
    fn leaves(&self, body: &[u8]) -> Option<bool> {
        let mut cursor = Cursor { bytes: body, at: 0 };
        for _ in 0..cursor.index()? {
            cursor.index()?;
            cursor.byte()?;
        }
        while cursor.at < body.len() {
            let opcode = body[cursor.at];
            let mut behind = Cursor { bytes: body, at: cursor.at + 1 };
            if self.leaves_here(opcode, &mut behind) {
                return Some(true);
            }
            skip_operator(&mut cursor)?;
        }
        Some(false)
    }

    /// True if `opcode` with the immediates at the cursor is a tail call that leaves.
    fn leaves_here(&self, opcode: u8, immediates: &mut Cursor<'_>) -> bool {
        let mut below = |count: usize| immediates.index().is_some_and(|i| (i as usize) < count);
        match opcode {
            RETURN_CALL => below(self.imported_funcs() as usize),
            RETURN_CALL_INDIRECT => below(self.types.len()) && below(self.tables.len()),
            _ => false,
        }
    }
}
