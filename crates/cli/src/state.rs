//! The state of what ran: hashes.

use clap::Args;
use runwell::Store;

/// Options of `run` that are about the guest's state.
#[derive(Args, Debug)]
pub(crate) struct StateOptions {
    /// Print the hash of memories, tables, globals, segments and fuel to standard error at the end
    #[arg(long)]
    pub(crate) hash: bool,
}

/// Prints what was asked for when the guest has ended, however it did.
pub(crate) fn ended<T>(options: &StateOptions, store: &mut Store<T>) {
    if options.hash {
        eprintln!("state: {}", store.state_hash());
    }
}
