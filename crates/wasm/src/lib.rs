//! runwell-wasm.
