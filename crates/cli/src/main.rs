//! The `runwell` command.
fn main() {}
