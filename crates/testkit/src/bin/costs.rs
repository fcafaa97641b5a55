//! What fuel and the rules for NaNs cost: `cargo xtask costs`.
//!
//! Each program of the corpus is compiled several times in this process: as usual, metered, and with NaNs
//! left as the processor makes them; float kernels with NaNs put right and not without AVX-512, too. They
//! take turns, round after round, so that whatever else the machine does meets all of them; the least
//! processor time of each counts, and the median says how steady it was.
//!
//! With `--instructions`, valgrind counts what is executed, which no neighbour disturbs: by a processor
//! without AVX-512, which valgrind does not know. With `--compile`, it counts what compiling takes, metered
//! and not.

#![forbid(unsafe_code)]

use runwell::{Config, Engine, Linker, Module, Store};
use runwell_wasi::{I32Exit, MemoryOutputPipe, WasiCtx, WasiCtxBuilder};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

const USAGE: &str = "\
usage: costs RUNS [--rounds N] [--instructions] [FILTER]   RUNS: the corpus's list of runs
       costs RUNS --compile [FILTER]                       instructions to compile, metered and not
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
    /// Without AVX-512.
    Narrow,
    NarrowRawNans,
}

impl Variant {
    const ALL: [Variant; 5] = [
        Variant::Usual,
        Variant::Metered,
        Variant::RawNans,
        Variant::Narrow,
        Variant::NarrowRawNans,
    ];
    /// Those that all programs are compiled as; float kernels are as all of them.
    const COMMON: usize = 3;

    fn name(self) -> &'static str {
        match self {
            Variant::Usual => "usual",
            Variant::Metered => "metered",
            Variant::RawNans => "raw-nans",
            Variant::Narrow => "narrow",
            Variant::NarrowRawNans => "narrow-raw-nans",
        }
    }

    fn engine(self) -> Result<Engine> {
        let mut config = Config::new();
        config.parallel_compilation(false);
        config.consume_fuel(self == Variant::Metered);
        config.measure_raw_nans(matches!(self, Variant::RawNans | Variant::NarrowRawNans));
        config.measure_narrow_cpu(matches!(self, Variant::Narrow | Variant::NarrowRawNans));
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
        // By its readings in any case: if it went by the fuel of a metered guest, programs would not all do
        // the same. Valgrind does not get along with reading the real one.
        builder.stdout(output.clone()).arg(&program).args(&self.args).virtual_ns_per_fuel(0);
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
    /// Least seconds, per variant.
    least: Vec<f64>,
    /// Median seconds.
    median: Vec<f64>,
    /// Instructions, of the common variants.
    instructions: Option<Vec<f64>>,
}

/// The costs by one figure per variant: of being metered, of putting NaNs right, and of the latter without
/// AVX-512.
fn costs(of: &[f64]) -> [Option<f64>; 3] {
    let ratio = |a: usize, b: usize| Some(of.get(a)? / of.get(b)?);
    [ratio(1, 0), ratio(0, 2), ratio(3, 4)]
}

/// Measures one program; `None` when it is too short.
fn row(run: &Run, rounds: usize) -> Result<Option<Row>> {
    let is_float = FLOAT_KERNELS.contains(&&*run.name);
    let variants = &Variant::ALL[..if is_float { Variant::ALL.len() } else { Variant::COMMON }];
    let modules = variants.iter().map(|&variant| run.compile(variant));
    let modules = modules.collect::<Result<Vec<_>>>()?;
    let mut samples = vec![Vec::new(); modules.len()];
    for round in 0..rounds {
        for turn in 0..modules.len() {
            // Nobody always comes first.
            let at = (round + turn) % modules.len();
            samples[at].push(run.measure(&modules[at], processor_time)?);
        }
        if samples.iter().any(|of| of[0] < LEAST_SECONDS) {
            return Ok(None);
        }
    }
    samples.iter_mut().for_each(|of| of.sort_by(f64::total_cmp));
    let least = samples.iter().map(|of| of[0]).collect();
    let median = samples.iter().map(|of| of[of.len() / 2]).collect();
    Ok(Some(Row { name: run.name.clone(), least, median, instructions: None }))
}

/// What valgrind counts in a run of `program`, compiling it taken off.
fn instructions(list: &Path, program: &str) -> Result<Vec<f64>> {
    let counts = Variant::ALL[..Variant::COMMON].iter().map(|variant| {
        let one = |only: &str| count_of(list, &format!("{}{only}", variant.name()), program);
        Ok(one("")? - one("-compile")?)
    });
    counts.collect()
}

/// A table of what it takes to compile each program, and of how much code there is, metered and not.
fn compile_costs(list: &Path, filter: &str) -> Result<String> {
    let mut text = String::from(
        "| program | million instructions to compile | metered | KiB of code | metered |\n\
         |---|---|---|---|---|\n",
    );
    let mut all: [Vec<f64>; 2] = Default::default();
    let mut done: Vec<PathBuf> = Vec::new();
    for run in runs(list, filter)? {
        // One program may run in many ways.
        if done.contains(&run.wasm) {
            continue;
        }
        let start = count_of(list, "none", &run.name)?;
        let of = |variant: Variant| -> Result<[f64; 2]> {
            let count = count_of(list, &format!("{}-compile", variant.name()), &run.name)?;
            Ok([count - start, run.compile(variant)?.text().len() as f64])
        };
        let (usual, metered) = (of(Variant::Usual)?, of(Variant::Metered)?);
        let ratios = [0, 1].map(|at| metered[at] / usual[at]);
        let [work, code] = ratios.map(percent);
        eprintln!("{:<20} instructions {work:>8}  code {code:>8}", run.name);
        let (millions, kib) = (usual[0] / 1e6, usual[1] / 1024.0);
        let _ = writeln!(text, "| {} | {millions:.1} | {work} | {kib:.0} | {code} |", run.name);
        all.iter_mut().zip(ratios).for_each(|(all, ratio)| all.push(ratio));
        done.push(run.wasm);
    }
    let [work, code] = all.map(|all| percent(mean(&all)));
    let _ = writeln!(text, "| **geometric mean** | | {work} | | {code} |");
    Ok(text)
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
    let count = said.lines().find_map(|line| {
        let (before, count) = line.split_once(" refs:")?;
        before.trim_end().ends_with(" I").then(|| count.trim().replace(',', ""))
    });
    let count = count.and_then(|count| count.parse().ok());
    count.filter(|_| output.status.success()).ok_or_else(|| format!("{program}: {said}"))
}

/// Runs one program once, or with `-compile` behind the variant only compiles it, or does nothing.
fn once(list: &Path, variant: &str, program: &str) -> Result<()> {
    let runs = runs(list, program)?;
    let run = runs.iter().find(|run| run.name == program).ok_or(format!("no {program}"))?;
    if variant == "none" {
        return Ok(());
    }
    let (name, runs_it) = match variant.strip_suffix("-compile") {
        Some(name) => (name, false),
        None => (variant, true),
    };
    let find = |v: &Variant| v.name() == name;
    let variant = Variant::ALL.into_iter().find(find).ok_or(format!("no variant {name}"))?;
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

fn mean(ratios: &[f64]) -> f64 {
    (ratios.iter().map(|ratio| ratio.ln()).sum::<f64>() / ratios.len() as f64).exp()
}

/// The table: a line per program, then the geometric mean and the worst.
fn table(rows: &[Row]) -> String {
    let counted = rows.iter().any(|row| row.instructions.is_some());
    let mut titles =
        vec!["fuel", "median", "NaN rules", "median", "NaN rules without AVX-512", "median"];
    if counted {
        titles.extend(["fuel, instructions", "NaN rules, instructions without AVX-512"]);
    }
    let mut text = format!("| program | ms | {} |\n", titles.join(" | "));
    text += &format!("|---|---|{}\n", "---|".repeat(titles.len()));
    let mut line = |name: &str, millis: &str, all: &[Option<f64>]| {
        let _ = write!(text, "| {name} | {millis} |");
        all.iter().for_each(|&ratio| {
            _ = write!(text, " {} |", ratio.map_or(String::new(), percent));
        });
        text.push('\n');
    };
    let ratios = |row: &Row| -> Vec<Option<f64>> {
        let (least, median) = (costs(&row.least), costs(&row.median));
        let mut all: Vec<_> = least.into_iter().zip(median).flat_map(|(a, b)| [a, b]).collect();
        if counted {
            let counts = row.instructions.as_deref().map(costs).unwrap_or_default();
            all.extend(&counts[..2]);
        }
        all
    };
    for row in rows {
        line(&row.name, &format!("{:.1}", row.least[0] * 1e3), &ratios(row));
    }
    let columns = |rows: &[&Row], join: fn(&[f64]) -> f64| -> Vec<Option<f64>> {
        let all: Vec<_> = rows.iter().map(|row| ratios(row)).collect();
        let column = |at: usize| {
            let column: Vec<f64> = all.iter().filter_map(|row| row[at]).collect();
            (!column.is_empty()).then(|| join(&column))
        };
        (0..titles.len()).map(column).collect()
    };
    let mean =
        |of: &[f64]| (of.iter().map(|ratio| ratio.ln()).sum::<f64>() / of.len() as f64).exp();
    let all: Vec<&Row> = rows.iter().collect();
    let floats: Vec<&Row> =
        rows.iter().filter(|row| FLOAT_KERNELS.contains(&row.name.as_str())).collect();
    line("**geometric mean**", "", &columns(&all, mean));
    if !floats.is_empty() {
        line("**mean of float kernels**", "", &columns(&floats, mean));
    }
    line("**worst**", "", &columns(&all, |of| of.iter().copied().fold(0.0, f64::max)));
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
    let (mut rounds, mut counts, mut compiles, mut filter) = (7, false, false, "");
    let mut rest = rest.iter();
    while let Some(arg) = rest.next() {
        match arg.as_str() {
            "--rounds" => {
                let value = rest.next().and_then(|value| value.parse().ok()).filter(|&n| n > 0);
                rounds = value.ok_or("--rounds needs a number")?;
            }
            "--instructions" => counts = true,
            "--compile" => compiles = true,
            other if other.starts_with('-') => return Err(format!("no option `{other}`\n{USAGE}")),
            other => filter = other,
        }
    }
    if compiles {
        print!("{}", compile_costs(list, filter)?);
        return Ok(());
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
        let [fuel, nans, _] = costs(&row.least).map(|ratio| percent(ratio.unwrap_or(1.0)));
        eprintln!(" fuel {fuel:>8}  NaN rules {nans:>8}");
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
