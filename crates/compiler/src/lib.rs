//! runwell-compiler.
