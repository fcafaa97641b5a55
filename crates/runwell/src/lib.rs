//! runwell-runwell.
