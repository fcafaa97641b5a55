//! runwell-abi.
