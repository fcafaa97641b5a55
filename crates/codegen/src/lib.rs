//! runwell-codegen.
