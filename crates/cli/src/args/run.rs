//! `runwell run` on the command line.

use super::{CacheArgs, Compiler, ImageKey, Source, Stats};
use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// Files for profilers.
#[derive(ValueEnum, Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) enum Profile {
    /// Names, in /tmp/perf-PID.map.
    Perfmap,
    /// Names, code and positions, in jit-PID.dump.
    Jitdump,
}

/// Heading of the flags that open the host to the program.
const SEES: &str = "What the program sees";

#[derive(Args, Debug)]
pub(crate) struct Run {
    /// Call this export instead of the program's start, with ARGS as its arguments
    #[arg(long, value_name = "NAME")]
    pub(crate) invoke: Option<String>,
    /// Let the program see a directory of the host, under the same or another name
    #[arg(long = "dir", value_name = "HOST[::GUEST]", help_heading = SEES)]
    pub(crate) dirs: Vec<String>,
    /// Set an environment variable, or pass the host's of this name
    #[arg(long = "env", value_name = "NAME[=VALUE]", help_heading = SEES)]
    pub(crate) env: Vec<String>,
    /// Pass the host's whole environment
    #[arg(long, help_heading = SEES)]
    pub(crate) inherit_env: bool,
    /// The name the program is told it was started by
    #[arg(long, value_name = "NAME", help_heading = SEES)]
    pub(crate) argv0: Option<String>,
    /// Let modules import from another one by this name
    #[arg(long, value_name = "NAME=FILE")]
    pub(crate) preload: Vec<String>,
    /// Clocks
    #[arg(long, value_enum, default_value = "virtual", help_heading = SEES)]
    pub(crate) clock: Source,
    /// Nanoseconds of virtual time for each unit of fuel, with --fuel; 0 counts readings instead
    #[arg(long, value_name = "NS", default_value_t = runwell_wasi::VIRTUAL_NS_PER_FUEL)]
    pub(crate) clock_rate: u64,
    /// Randomness
    #[arg(long, value_enum, default_value = "virtual", help_heading = SEES)]
    pub(crate) random: Source,
    /// Real clocks, randomness and environment
    #[arg(long, help_heading = SEES)]
    pub(crate) real: bool,
    /// Stop the guest after this many seconds
    #[arg(long, value_name = "SECONDS")]
    pub(crate) timeout: Option<f64>,
    /// Bytes of stack for the guest
    #[arg(long, value_name = "BYTES")]
    pub(crate) max_wasm_stack: Option<usize>,
    /// Print times to standard error at the end
    #[arg(long, value_enum, value_name = "FORMAT", require_equals = true)]
    pub(crate) stats: Option<Stats>,
    /// Tell profilers what guest code is called: `perfmap` for `perf record`, `jitdump` for
    /// `perf record -k mono` and `perf inject --jit`
    #[arg(long, value_enum, value_name = "FORMAT", require_equals = true)]
    pub(crate) profile: Option<Profile>,
    /// Tell debuggers what guest code is called, through gdb's JIT interface
    #[arg(short = 'g', long)]
    pub(crate) debug_info: bool,
    #[command(flatten)]
    pub(crate) state: crate::state::StateOptions,
    #[command(flatten)]
    pub(crate) cache: CacheArgs,
    #[command(flatten)]
    pub(crate) image_key: ImageKey,
    #[command(flatten)]
    pub(crate) compiler: Compiler,
    /// The module: .wasm, .wat, or what `runwell compile` made; `-` is standard input
    pub(crate) file: PathBuf,
    /// Arguments of the program
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub(crate) args: Vec<String>,
}
