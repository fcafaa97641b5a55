//! SSA, the language of the middle.
//!
//! A [`Function`] is a set of flat arrays: 16-byte instructions, blocks that are contiguous runs of
//! them in reverse post-order, a pool of operand lists, a table of constants. A [`Value`] is the
//! index of the instruction that makes it, or a tagged index into the constant table, so that a
//! constant costs no instruction and is seen without a look-up. Blocks take parameters; edges carry
//! arguments.
//!
//! Invariants, all checked by the verifier:
//! - blocks are in an order compatible with dominance and every loop is a contiguous range of them;
//! - a block's parameters come first, its one terminator last;
//! - each operand is a constant or a value whose definition dominates the use;
//! - memory, table and global accesses keep their Wasm meaning (bounds checks included); how they
//!   are checked is the back end's business.

#![forbid(unsafe_code)]

pub mod cfg;
pub mod entity;
pub mod eval;
pub mod function;
pub mod op;
pub mod parse;
pub mod print;
pub mod same;
pub mod scratch;
pub mod verify;
pub mod work;

pub use entity::{Block, EdgeRef, LoopId, SigRef, Slot, Value};
pub use function::{BlockData, Const, Function, Inst, LoopData, Signature};
pub use op::{Op, OpInfo, Shape};
pub use runwell_abi::{LibCall, TrapCode, Type};
pub use work::Work;
