//! Which rewrites are made.

/// Which rewrites a [`crate::Builder`] makes. None of them changes what a function does, so that
/// leaving one out is a way to find out whether it is at fault.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Passes {
    /// Fold constants and apply algebraic rules.
    pub simplify: bool,
    /// Share equal values.
    pub number: bool,
    /// Share loads, and forward what was stored to them.
    pub forward: bool,
    /// Replace the parameters of loops that always equal another value.
    pub params: bool,
}

impl Passes {
    /// Every rewrite.
    pub const ALL: Passes = Passes { simplify: true, number: true, forward: true, params: true };
    /// No rewrite.
    pub const NONE: Passes =
        Passes { simplify: false, number: false, forward: false, params: false };
}

impl Default for Passes {
    fn default() -> Passes {
        Passes::ALL
    }
}
