//! runwell-ir.
