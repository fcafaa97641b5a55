//! What fuel and the rules for NaNs cost: `cargo xtask costs`.
//!
//! Each program of the corpus is compiled three times in this process: as usual, metered, and with NaNs
//! left as the processor makes them. The three take turns, round after round, so that whatever else the
//! machine does meets all of them; the least processor time of each counts, and the median says how
//! steady it was. With `--instructions`, valgrind counts what is executed, which no neighbour disturbs.

#![forbid(unsafe_code)]

use runwell::{Config, Engine, Linker, Module, Store};
use runwell_wasi::{I32Exit, MemoryOutputPipe, WasiCtx, WasiCtxBuilder};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

const USAGE: &str = "\
usage: costs RUNS [--rounds N] [--instructions] [FILTER]   RUNS: the corpus's list of runs
       costs RUNS --once VARIANT PROGRAM                   one run, or only compiling it
";

/// Shorter runs say more of the clock than of the code.
const LEAST_SECONDS: f64 = 0.02;
/// More than any program uses.
const FUEL: u64 = 1 << 60;
/// Functions that work with floats are in these programs above all.
const FLOAT_KERNELS: [&str; 4] = ["k-mandelbrot", "k-matmul", "k-nbody", "k-spectral"];

type Result<T> = std::result::Result<T, String>;

/// How a program is compiled.
#[derive(Copy, Clone, PartialEq, Eq)]
enum Variant {
    Usual,
    Metered,
    RawNans,
}

impl Variant {
    const ALL: [Variant; 3] = [Variant::Usual, Variant::Metered, Variant::RawNans];

    fn name(self) -> &'static str {
        match self {
            Variant::Usual => "usual",
            Variant::Metered => "metered",
            Variant::RawNans => "raw-nans",
        }
    }

    fn engine(self) -> Result<Engine> {
        let mut config = Config::new();
        config.parallel_compilation(false);
        config.consume_fuel(self == Variant::Metered);
        config.measure_raw_nans(self == Variant::RawNans);
        Engine::new(&config).map_err(|error| format!("{error:#}"))
    }
}

/// A line of the list of runs.
struct Run {
    name: String,
    wasm: PathBuf,
    expect: PathBuf,
    code: i32,
    mapped: String,
    args: Vec<String>,
}

fn runs(list: &Path, filter: &str) -> Result<Vec<Run>> {
    let text = std::fs::read_to_string(list)
        .map_err(|error| format!("cannot read {}: {error}", list.display()))?;
    let mut runs = Vec::new();
    for line in text.lines() {
        let fields: Vec<&str> = line.split('\t').collect();
        let [name, variant, wasm, _, expect, code, mapped, args @ ..] = fields.as_slice() else {
            return Err(format!("{}: a line of {} fields", list.display(), fields.len()));
        };
        if *variant == "full" && name.contains(filter) {
            runs.push(Run {
                name: (*name).into(),
                wasm: wasm.into(),
                expect: expect.into(),
                code: code.parse().map_err(|error| format!("{name}: exit code: {error}"))?,
                mapped: (*mapped).into(),
                args: args.iter().map(|&arg| arg.into()).collect(),
            });
        }
    }
    if runs.is_empty() { Err(format!("no program matches `{filter}`")) } else { Ok(runs) }
}

impl Run {
    fn compile(&self, variant: Variant) -> Result<Module> {
        Module::from_file(&variant.engine()?, &self.wasm)
            .map_err(|error| format!("{}: {error:#}", self.name))
    }

    fn context(&self, output: &MemoryOutputPipe) -> Result<WasiCtx> {
        let mut builder = WasiCtxBuilder::new();
        let program = self.wasm.file_name().unwrap_or_default().to_string_lossy();
        // The virtual clock of a metered guest goes by its fuel: programs would not all do the same.
        builder.stdout(output.clone()).arg(&program).args(&self.args).real_clock();
        let scratch;
        let dir = match self.mapped.as_str() {
            "-" => return Ok(builder.build()),
            "scratch" => {
                // Empty for each run: what an earlier one left there would be found.
                scratch = scratch_dir();
                let _ = std::fs::remove_dir_all(&scratch);
                std::fs::create_dir_all(&scratch).map_err(|error| format!("scratch: {error}"))?;
                scratch.as_path()
            }
            dir => Path::new(dir),
        };
        builder.preopened_dir(dir, "/").map_err(|error| format!("{}: {error:#}", self.name))?;
        Ok(builder.build())
    }

    /// Runs the program once and says how many seconds that took by `clock`. What it prints has to be
    /// right.
    fn measure(&self, module: &Module, clock: fn() -> f64) -> Result<f64> {
        let failed = |error: runwell::Error| format!("{}: {error:#}", self.name);
        let output = MemoryOutputPipe::new(1 << 26);
        let engine = module.engine();
        let mut store = Store::new(engine, self.context(&output)?);
        // Refused where nothing is metered.
        let _ = store.set_fuel(FUEL);
        let mut linker = Linker::new(engine);
        runwell_wasi::add_to_linker(&mut linker, |ctx| ctx).map_err(failed)?;
        let instance = linker.instantiate(&mut store, module).map_err(failed)?;
        let start = instance.get_typed_func::<(), ()>(&mut store, "_start").map_err(failed)?;
        let began = clock();
        let outcome = start.call(&mut store, ());
        let seconds = clock() - began;
        let code = match outcome {
            Ok(()) => 0,
            Err(error) => match error.downcast_ref::<I32Exit>() {
                Some(I32Exit(code)) => *code,
                None => return Err(failed(error)),
            },
        };
        let expected = std::fs::read(&self.expect)
            .map_err(|error| format!("{}: {error}", self.expect.display()))?;
        if code != self.code || output.contents() != expected {
            return Err(format!("{}: wrong output, or exit code {code}", self.name));
        }
        Ok(seconds)
    }
}

/// Where programs write files.
fn scratch_dir() -> PathBuf {
    std::env::temp_dir().join(format!("costs-{}", std::process::id()))
}

/// Seconds that this thread has run.
fn processor_time() -> f64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    now.tv_sec as f64 + now.tv_nsec as f64 * 1e-9
}

/// What was measured of one program.
struct Row {
    name: String,
    /// Least and median seconds, per variant.
    seconds: [(f64, f64); 3],
    /// Instructions, per variant.
    instructions: Option<[f64; 3]>,
}

/// The two costs of a row by one figure per variant: metered, and with NaNs put right.
fn costs([usual, metered, raw]: [f64; 3]) -> [f64; 2] {
    [metered / usual, usual / raw]
}

/// Measures one program; `None` when it is too short.
fn row(run: &Run, rounds: usize) -> Result<Option<Row>> {
    let modules = Variant::ALL.map(|variant| run.compile(variant));
    let mut samples = [const { Vec::new() }; 3];
    for round in 0..rounds {
        for turn in 0..3 {
            // Nobody always comes first.
            let at = (round + turn) % 3;
            let module = modules[at].as_ref().map_err(String::clone)?;
            samples[at].push(run.measure(module, processor_time)?);
        }
        if samples.iter().any(|of| of[0] < LEAST_SECONDS) {
            return Ok(None);
        }
    }
    let seconds = samples.map(|mut of| {
        of.sort_by(f64::total_cmp);
        (of[0], of[of.len() / 2])
    });
    Ok(Some(Row { name: run.name.clone(), seconds, instructions: None }))
}

/// What valgrind counts in a run of `program`, compiling it taken off.
fn instructions(list: &Path, program: &str) -> Result<[f64; 3]> {
    let mut counts = [0.0; 3];
    for (variant, count) in Variant::ALL.into_iter().zip(&mut counts) {
        let one = |only: &str| {
            let name = format!("{}{only}", variant.name());
            count_of(list, &name, program)
        };
        *count = one("")? - one("-compile")?;
    }
    Ok(counts)
}

fn count_of(list: &Path, variant: &str, program: &str) -> Result<f64> {
    let own = std::env::current_exe().map_err(|error| error.to_string())?;
    let output = Command::new("valgrind")
        .args(["--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null"])
        .arg(own)
        .arg(list)
        .args(["--once", variant, program])
        .output()
        .map_err(|error| format!("valgrind: {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    let count = said.lines().find_map(|line| line.split_once("I refs:"));
    let count = count.and_then(|(_, count)| count.trim().replace(',', "").parse().ok());
    count.filter(|_| output.status.success()).ok_or_else(|| format!("{program}: {said}"))
}

/// Runs one program once, or with `-compile` behind the variant only compiles it.
fn once(list: &Path, variant: &str, program: &str) -> Result<()> {
    let (name, runs_it) = match variant.strip_suffix("-compile") {
        Some(name) => (name, false),
        None => (variant, true),
    };
    let find = |v: &Variant| v.name() == name;
    let variant = Variant::ALL.into_iter().find(find).ok_or(format!("no variant {name}"))?;
    let runs = runs(list, program)?;
    let run = runs.iter().find(|run| run.name == program).ok_or(format!("no {program}"))?;
    let module = run.compile(variant)?;
    if runs_it {
        // Not every tool that this runs under knows the clock.
        run.measure(&module, || 0.0)?;
    }
    Ok(())
}

fn percent(ratio: f64) -> String {
    format!("{:+.1} %", 100.0 * (ratio - 1.0))
}

/// The table: a line per program, then the geometric mean and the worst.
fn table(rows: &[Row]) -> String {
    let counted = rows.iter().any(|row| row.instructions.is_some());
    let mut text = String::from("| program | ms | fuel | median | NaN rules | median |");
    text += if counted { " fuel, instructions | NaN rules, instructions |\n" } else { "\n" };
    text += "|---|---|---|---|---|---|";
    text += if counted { "---|---|\n" } else { "\n" };
    let mut line = |name: &str, millis: &str, all: &[f64]| {
        let _ = write!(text, "| {name} | {millis} |");
        all.iter().for_each(|&ratio| _ = write!(text, " {} |", percent(ratio)));
        text.push('\n');
    };
    let ratios = |row: &Row| -> Vec<f64> {
        let [fuel, nans] = costs(row.seconds.map(|(least, _)| least));
        let [fuel_median, nans_median] = costs(row.seconds.map(|(_, median)| median));
        let mut all = vec![fuel, fuel_median, nans, nans_median];
        all.extend(row.instructions.iter().flat_map(|&counts| costs(counts)));
        all
    };
    for row in rows {
        line(&row.name, &format!("{:.1}", row.seconds[0].0 * 1e3), &ratios(row));
    }
    let means = |rows: &[&Row]| -> Vec<f64> {
        let all: Vec<Vec<f64>> = rows.iter().map(|row| ratios(row)).collect();
        let columns = all.first().map_or(0, Vec::len);
        let mean = |at: usize| {
            let logs = all.iter().filter_map(|row| row.get(at)).map(|ratio| ratio.ln());
            (logs.sum::<f64>() / all.len() as f64).exp()
        };
        (0..columns).map(mean).collect()
    };
    let floats: Vec<&Row> =
        rows.iter().filter(|row| FLOAT_KERNELS.contains(&row.name.as_str())).collect();
    line("**geometric mean**", "", &means(&rows.iter().collect::<Vec<_>>()));
    if !floats.is_empty() {
        line("**mean of float kernels**", "", &means(&floats));
    }
    let columns = rows.first().map_or(0, |row| ratios(row).len());
    let worst =
        |at: usize| rows.iter().filter_map(|row| ratios(row).get(at).copied()).fold(0.0, f64::max);
    line("**worst**", "", &(0..columns).map(worst).collect::<Vec<_>>());
    text
}

fn command(args: &[String]) -> Result<()> {
    let Some((list, rest)) = args.split_first() else { return Err(USAGE.into()) };
    let list = Path::new(list);
    if let [flag, variant, program] = rest
        && flag == "--once"
    {
        return once(list, variant, program);
    }
    let (mut rounds, mut counts, mut filter) = (7, false, "");
    let mut rest = rest.iter();
    while let Some(arg) = rest.next() {
        match arg.as_str() {
            "--rounds" => {
                let value = rest.next().and_then(|value| value.parse().ok()).filter(|&n| n > 0);
                rounds = value.ok_or("--rounds needs a number")?;
            }
            "--instructions" => counts = true,
            other if other.starts_with('-') => return Err(format!("no option `{other}`\n{USAGE}")),
            other => filter = other,
        }
    }
    let mut rows = Vec::new();
    for run in runs(list, filter)? {
        eprint!("{:<20}", run.name);
        let Some(mut row) = row(&run, rounds)? else {
            eprintln!(" too short");
            continue;
        };
        if counts {
            row.instructions = Some(instructions(list, &run.name)?);
        }
        let [fuel, nans] = costs(row.seconds.map(|(least, _)| least));
        eprintln!(" fuel {:>8}  NaN rules {:>8}", percent(fuel), percent(nans));
        rows.push(row);
    }
    print!("{}", table(&rows));
    Ok(())
}

fn main() -> ExitCode {
    let outcome = command(&std::env::args().skip(1).collect::<Vec<_>>());
    // Nothing is there unless a program wrote files.
    let _ = std::fs::remove_dir_all(scratch_dir());
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}
