//! The fuel schedule: what an operator costs.
//!
//! The schedule is versioned so that an embedder can pin it; generated code for metering reads it
//! from here and so does the evaluator, which makes the two agree by construction.

/// The version of the schedule that this build implements. 0: no schedule is published yet and
/// metering cannot be switched on.
pub const SCHEDULE_VERSION: u32 = 0;
