//! runwell-opt.
