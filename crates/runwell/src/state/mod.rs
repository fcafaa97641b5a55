//! The state of a store as something to hold in one's hand: hashed, and written down.
//!
//! - `refs` names functions and host objects without addresses.
//! - `pages` hashes memories by what changed.
//! - `hash` puts the hash of a whole store together.
//! - `snapshot` writes instances down, `restore` makes them again; `whole/save` and `whole/restore` do the
//!   same for everything that is in a store.

mod hash;
mod pages;
pub(crate) mod refs;
mod restore;
mod snapshot;
mod whole;

pub use hash::StateHash;
pub(crate) use hash::{type_code, type_of_code};
pub(crate) use pages::{PAGE, PageHashes, page_of};
pub use snapshot::SnapshotError;
pub use whole::Restored;
