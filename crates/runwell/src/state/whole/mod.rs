//! Everything that is in a store as bytes.
//!
//! What instances share, memories, tables, globals and functions of each other, cannot be taken down with
//! one of them, but with all of them it can. Everything keeps its number, so the state hash is the same.
//! What remains outside are host functions: they are known by the names under which instances import them,
//! and a linker supplies them again.
//!
//! The layout: [`MAGIC`], version and target as in snapshots of instances; fuel; the hashes of the modules;
//! what the host made, by number and with its size; how many host functions there are; the instances, each
//! with what stands for its imports, the numbers of its own first memory, table and global, and the sizes
//! of those; then the contents of all memories, tables and globals that can change, and which segments are
//! dropped; and the BLAKE3 hash of all that.

mod restore;
mod save;

use crate::module::ModuleInner;
use crate::{Global, Instance, Memory, Table};
use runwell_wasm::ExternKind;

const MAGIC: &[u8] = b"runwell store\n";

/// What [`crate::Linker::restore_store`] has made: everything that was in the store, by kind and in the order
/// in which it was made at first.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Restored {
    /// Instances, with those whose instantiation failed when they already could be referred to.
    pub instances: Vec<Instance>,
    /// Memories, those of instances and of the host.
    pub memories: Vec<Memory>,
    /// Tables, likewise.
    pub tables: Vec<Table>,
    /// Globals, likewise.
    pub globals: Vec<Global>,
}

/// How many memories, tables and globals instances of a module import.
fn imported(module: &ModuleInner) -> [usize; 3] {
    let of = |kind| module.info.imports.iter().filter(|import| import.ty.kind() == kind).count();
    [of(ExternKind::Memory), of(ExternKind::Table), of(ExternKind::Global)]
}
