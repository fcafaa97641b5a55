//! The command line.

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::ffi::OsString;
use std::path::PathBuf;

/// A WebAssembly virtual machine for code you do not trust.
#[derive(Parser, Debug)]
#[command(
    name = "runwell",
    version,
    after_help = "`runwell FILE [ARGS]...` is short for `runwell run FILE [ARGS]...`.\n\n\
        Examples:\n  \
        runwell app.wasm one two\n  \
        runwell run --dir ./data::/data app.wasm\n  \
        runwell run --invoke fib fib.wat 30\n  \
        runwell compile app.wasm --stats=text\n\n\
        Exit codes: the guest's own; 2 usage, 3 invalid input, 4 unsupported or over a limit,\n\
        5 linking, 70 a bug in runwell, 74 input or output, 134 trap."
)]
pub(crate) struct Options {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Runs a program, or one function of a module
    Run(Run),
    /// Compiles a module in full and says what it cost
    Compile(Compile),
    /// Checks whether a module is valid and can be compiled
    Validate(Validate),
    /// Runs scripts in the format of the specification's tests
    Wast(Wast),
    /// Prints what the compiler makes of one function
    Inspect(Inspect),
    /// Compiles hostile modules and compares what they cost with what runwell promises
    Bombs(Bombs),
}

/// Format of figures.
#[derive(ValueEnum, Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) enum Stats {
    /// One line of JSON.
    Json,
    /// For people.
    Text,
}

/// Where time or randomness comes from.
#[derive(ValueEnum, Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) enum Source {
    /// The same in every run.
    Virtual,
    /// The machine's.
    Real,
}

/// Options of all commands that compile.
#[derive(Args, Clone, Debug)]
pub(crate) struct Compiler {
    /// Compile on N threads; 0 means as many as there are processors
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) jobs: usize,
    /// Run all checkers of the compiler on every function
    #[arg(long)]
    pub(crate) verify: bool,
    /// Meter the guest: each operator costs fuel, and it stops when N units are used up
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(..1 << 63))]
    pub(crate) fuel: Option<u64>,
    /// Compare each memory access with the memory's length instead of relying on guard pages
    #[arg(long)]
    pub(crate) no_guards: bool,
}

#[derive(Args, Debug)]
pub(crate) struct Run {
    /// Call this export instead of the program's start, with ARGS as its arguments
    #[arg(long, value_name = "NAME")]
    pub(crate) invoke: Option<String>,
    /// Let the program see a directory of the host, under the same or another name
    #[arg(long = "dir", value_name = "HOST[::GUEST]")]
    pub(crate) dirs: Vec<String>,
    /// Set an environment variable, or pass the host's of this name
    #[arg(long = "env", value_name = "NAME[=VALUE]")]
    pub(crate) env: Vec<String>,
    /// Pass the host's whole environment
    #[arg(long)]
    pub(crate) inherit_env: bool,
    /// The name the program is told it was started by
    #[arg(long, value_name = "NAME")]
    pub(crate) argv0: Option<String>,
    /// Let modules import from another one by this name
    #[arg(long, value_name = "NAME=FILE")]
    pub(crate) preload: Vec<String>,
    /// Clocks
    #[arg(long, value_enum, default_value = "virtual")]
    pub(crate) clock: Source,
    /// Randomness
    #[arg(long, value_enum, default_value = "virtual")]
    pub(crate) random: Source,
    /// Real clocks, randomness and environment
    #[arg(long)]
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
    #[command(flatten)]
    pub(crate) compiler: Compiler,
    /// The module, .wasm or .wat
    pub(crate) file: PathBuf,
    /// Arguments of the program
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub(crate) args: Vec<String>,
}

#[derive(Args, Debug)]
pub(crate) struct Compile {
    /// Print what compiling did and cost
    #[arg(long, value_enum, value_name = "FORMAT", require_equals = true)]
    pub(crate) stats: Option<Stats>,
    #[command(flatten)]
    pub(crate) compiler: Compiler,
    /// The module, .wasm or .wat
    pub(crate) file: PathBuf,
}

#[derive(Args, Debug)]
pub(crate) struct Validate {
    #[command(flatten)]
    pub(crate) compiler: Compiler,
    /// The modules, .wasm or .wat
    #[arg(required = true)]
    pub(crate) files: Vec<PathBuf>,
}

#[derive(Args, Debug)]
pub(crate) struct Wast {
    #[command(flatten)]
    pub(crate) compiler: Compiler,
    /// The scripts
    #[arg(required = true)]
    pub(crate) files: Vec<PathBuf>,
}

#[derive(Args, Debug)]
pub(crate) struct Inspect {
    /// Index or name of the function
    #[arg(long, value_name = "N|NAME")]
    pub(crate) func: String,
    #[command(flatten)]
    pub(crate) compiler: Compiler,
    /// The module, .wasm or .wat
    pub(crate) file: PathBuf,
}

#[derive(Args, Debug)]
pub(crate) struct Bombs {
    /// Sizes of the modules, in bytes, or with k or m behind the number
    #[arg(long, value_name = "SIZE", value_delimiter = ',', value_parser = size,
        default_value = "16k,64k,256k,1m")]
    pub(crate) sizes: Vec<usize>,
    /// Say what there is and what it attacks
    #[arg(long)]
    pub(crate) list: bool,
    /// Print one line of JSON for each family
    #[arg(long)]
    pub(crate) json: bool,
    /// Write the modules to this directory, as FAMILY-SIZE.wasm, instead of compiling them
    #[arg(long, value_name = "DIR", conflicts_with = "list")]
    pub(crate) emit: Option<PathBuf>,
    /// Compile the module on standard input and print its figures
    #[arg(long, hide = true)]
    pub(crate) measure: bool,
    /// Families; all, if none is named
    #[arg(value_name = "FAMILY")]
    pub(crate) families: Vec<String>,
}

/// A number of bytes: `100`, `16k` or `1m`.
fn size(text: &str) -> Result<usize, String> {
    let lower = text.to_ascii_lowercase();
    let (digits, shift) = match lower.strip_suffix(['k', 'm']) {
        Some(digits) => (digits, if lower.ends_with('k') { 10 } else { 20 }),
        None => (lower.as_str(), 0),
    };
    let number: usize = digits.parse().map_err(|_| "expected a number such as 16k".to_string())?;
    number.checked_mul(1 << shift).filter(|&n| n <= 1 << 30).ok_or("at most 1024m".to_string())
}

/// Puts `run` in front of arguments that name no command, so that a bare file is run.
pub(crate) fn with_default_command(args: impl Iterator<Item = OsString>) -> Vec<OsString> {
    const COMMANDS: [&str; 7] = ["run", "compile", "validate", "wast", "inspect", "bombs", "help"];
    const OWN_FLAGS: [&str; 4] = ["-h", "--help", "-V", "--version"];
    let mut args: Vec<OsString> = args.collect();
    if let Some(first) = args.get(1).and_then(|first| first.to_str()) {
        let is_file = std::path::Path::new(first).exists();
        let known = COMMANDS.contains(&first) && !(is_file && args.len() == 2);
        if !known && !OWN_FLAGS.contains(&first) {
            args.insert(1, "run".into());
        }
    }
    args
}
