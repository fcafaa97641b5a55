//! runwell-wasi.
