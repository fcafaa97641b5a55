//! runwell-wast.
