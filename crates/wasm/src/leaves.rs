//! Whether some body leaves its instance by a tail call.
//!
//! All calls of such a module have to restore the registers that name the instance, so this must be
//! known before the first function is compiled. Two looks at the text tell. The first searches for
//! bytes, many at a time, and asks whether the opcode of a tail call occurs with immediates that could be its
//! own; most bodies are done with then. Only the others are read operator by operator.
//!
//! Nothing is validated: on a body that cannot be read the answer is about the part before, and the
//! module will be refused anyway.
//!
//! # Complexity
//! Linear: each byte is looked at once, each byte of an opcode's value twice, and all once more in bodies
//! that may have a tail call.

use crate::module::ModuleInfo;
use crate::scan::{Cursor, skip_operator};
use runwell_ir::Work;
use runwell_ir::work::Pass;

const RETURN_CALL: u8 = 0x12;
const RETURN_CALL_INDIRECT: u8 = 0x13;

/// Bytes that the first look takes at once, and counts as one step.
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
            self.may_leave(body, work) && {
                work.charge(Pass::Scan, body.len());
                self.leaves(body).unwrap_or(false)
            }
        })
    }

    /// The first look.
    fn may_leave(&self, body: &[u8], work: &mut Work) -> bool {
        let mut found = memchr::memchr2_iter(RETURN_CALL, RETURN_CALL_INDIRECT, body);
        let mut steps = body.len() / CHUNK + 1;
        let may = found.any(|at| {
            steps += 1;
            self.leaves_here(body[at], &mut Cursor { bytes: body, at: at + 1 })
        });
        work.charge(Pass::Scan, steps);
        may
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
