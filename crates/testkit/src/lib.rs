//! runwell-testkit.
