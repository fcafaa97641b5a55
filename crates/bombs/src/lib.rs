//! Modules made to blow up a compiler: slow, large or deep out of proportion to their size.
//!
//! Each [`Family`] makes valid modules of any size that all attack one thing: a representation that
//! is a product of two lists, a search that starts over, a count that costs nothing to write. What a
//! compiler spends on a family per byte of input, at growing sizes, shows whether it falls for it.
//!
//! A module depends on nothing but the family and the size, and is made in time proportional to it.

#![forbid(unsafe_code)]

mod allowed;
mod build;
mod dense;
mod flow;
mod joins;
mod labels;
mod locals;
mod module;
mod ops;
mod pile;
mod refused;
mod sections;
mod sites;
mod values;
mod wide;

/// Modules that attack the same thing.
#[derive(Copy, Clone, Debug)]
pub struct Family {
    /// The name, in lower case and without blanks.
    pub name: &'static str,
    /// What it attacks, and how, in one line.
    pub attacks: &'static str,
    /// Makes the module whose size comes nearest to this number of bytes.
    pub make: fn(usize) -> Vec<u8>,
}

/// Declares the families of a file: name, what is attacked, and the module for a scale.
macro_rules! declare {
    ($($name:ident: $attacks:literal, |$bytes:pat_param, $n:ident| $build:expr;)*) => {
        pub(crate) const FAMILIES: &[crate::Family] = &[$(crate::Family {
            name: stringify!($name),
            attacks: $attacks,
            make: |bytes| {
                let $bytes = bytes;
                crate::build::fit(bytes, |$n: usize| $build)
            },
        }),*];
    };
}
pub(crate) use declare;

const ALL: [&[Family]; 13] = [
    joins::FAMILIES,
    flow::FAMILIES,
    labels::FAMILIES,
    wide::FAMILIES,
    locals::FAMILIES,
    values::FAMILIES,
    ops::FAMILIES,
    dense::FAMILIES,
    pile::FAMILIES,
    allowed::FAMILIES,
    sites::FAMILIES,
    module::FAMILIES,
    sections::FAMILIES,
];

/// All families.
pub fn families() -> impl Iterator<Item = &'static Family> {
    ALL.into_iter().flatten()
}

/// Families of modules that are refused for a proposal; all others are valid.
pub fn refused() -> impl Iterator<Item = &'static Family> {
    refused::FAMILIES.iter()
}

/// The family of this name.
pub fn find(name: &str) -> Option<&'static Family> {
    families().find(|family| family.name == name)
}
