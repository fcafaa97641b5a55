//! The quote beside the truth: `cargo xtask quote`.
//!
//! - `quote check FILES`: for real modules, how many times the truth each figure is, of the module and of
//!   its functions, and what quoting takes in parts of compiling. Fails when a quote is exceeded, or above
//!   what is promised. `quote check-untimed` leaves out the last.
//! - `quote fuzz COUNT [SEED]`: quotes of so many generated modules, of all hostile families, of chains of
//!   operators, and of each operator in each of its shapes. Fails when one is exceeded, and writes the first few modules for which
//!   that is so to the current directory.

#![forbid(unsafe_code)]

use runwell_bombs::families;
use runwell_compiler::compile;
use runwell_compiler::quote::quote;
use runwell_testkit::chains;
use runwell_testkit::quotes::{Closest, FIGURES, Measured, WAYS, generated, measure, options};
use runwell_testkit::sweep::cases;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

#[global_allocator]
static ALLOCATOR: runwell_heap::Counting = runwell_heap::Counting;

const USAGE: &str =
    "usage: quote check FILES | quote check-untimed FILES | quote fuzz COUNT [SEED]";

/// Quotes of real modules are at most so many times the truth: of work, code, memory.
const TIMES: [f64; 3] = [4.0; 3];
/// What quoting takes at most, in parts of compiling.
const COST: f64 = 0.1;
/// How often times are taken; the least counts.
const ROUNDS: usize = 2;
/// Bodies below this are said nothing of one by one: what a function costs at least is most of them.
const SMALL: u32 = 256;

type Result<T = ()> = std::result::Result<T, String>;

/// The least seconds that something takes.
fn seconds(mut work: impl FnMut()) -> f64 {
    let once = |_| {
        let start = Instant::now();
        work();
        start.elapsed().as_secs_f64()
    };
    (0..ROUNDS).map(once).fold(f64::INFINITY, f64::min)
}

/// The most of each figure over all modules, and where.
type Worst = [(f64, String); 4];

fn check(file: &Path, way: u64, timed: bool, worst: &mut Worst) -> Result<bool> {
    let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let module = std::fs::read(file).map_err(|error| format!("{}: {error}", file.display()))?;
    let measured = measure(&name, &module, way);
    let Some(Measured { quote: quoted, compiled: Some(compiled), memory }) = measured else {
        return Err(format!("{name}: refused"));
    };
    let report = compiled.report;
    let pairs = [
        (quoted.work, report.work.total()),
        (quoted.code_bytes, report.code_bytes),
        (quoted.memory, memory),
    ];
    let mut line = format!("{name:<20} {:<8}", if way & 1 == 0 { "plain" } else { "metered" });
    let mut good = true;
    for (at, (quoted, actual)) in pairs.into_iter().enumerate() {
        let times = quoted as f64 / actual.max(1) as f64;
        let mark = if !(1.0..=TIMES[at]).contains(&times) { '!' } else { ' ' };
        good &= mark == ' ';
        line += &format!(" {times:>7.2}{mark}");
        if times > worst[at].0 {
            worst[at] = (times, name.clone());
        }
    }
    let mut exceeded = 0;
    for (func, cost) in quoted.functions.iter().zip(&report.costs) {
        let whose = func.func;
        for (what, quoted, actual) in
            [("steps", func.work, cost.work), ("bytes of code", func.code_bytes, cost.code)]
        {
            if actual > quoted {
                exceeded += 1;
                good = false;
            }
            // The first few say what there is to say.
            if actual > quoted && exceeded < 10 {
                println!("{name}, function {whose}: {actual} {what}, quoted {quoted}");
            }
        }
    }
    // Of functions the middle and the most; all quartiles would say little more.
    for figure in 0..2 {
        let mut times: Vec<f64> = quoted
            .functions
            .iter()
            .zip(&report.costs)
            .filter(|(func, _)| func.body_bytes >= SMALL)
            .map(|(func, cost)| match figure {
                0 => func.work as f64 / cost.work.max(1) as f64,
                _ => func.code_bytes as f64 / cost.code.max(1) as f64,
            })
            .collect();
        times.sort_by(f64::total_cmp);
        let at = |share: f64| times.get((times.len() as f64 * share) as usize).copied();
        let (middle, most) = (at(0.5).unwrap_or(0.0), times.last().copied().unwrap_or(0.0));
        line += &format!("  {middle:>5.2} {most:>6.2}");
    }
    if timed {
        let mut options = options(way);
        options.costs = false;
        let compiling = seconds(|| drop(compile(&module, &options)));
        let share = seconds(|| drop(quote(&module, &options))) / compiling;
        let mark = if share > COST { '!' } else { ' ' };
        good &= mark == ' ';
        line += &format!(" {:>6.1} %{mark}", 100.0 * share);
        if share > worst[3].0 {
            worst[3] = (share, name);
        }
    }
    println!("{line}");
    Ok(good)
}

fn check_all(files: &[PathBuf], timed: bool) -> Result {
    println!("times the truth: module by module, then the middle and the most of functions of");
    println!(
        "{SMALL} bytes or more; ! is over {TIMES:?}, below 1, or over {} % of the time\n",
        100.0 * COST
    );
    println!(
        "{:<29} {:>7} {:>8} {:>8} {:>14} {:>13} {:>9}",
        "", "work", "code", "memory", "work, each", "code, each", "time"
    );
    let mut worst = Worst::default();
    let mut good = true;
    for file in files {
        for way in [0, 1] {
            good &= check(file, way, timed && way == 0, &mut worst)?;
        }
    }
    for (figure, (times, name)) in FIGURES.iter().zip(&worst) {
        println!("{figure}: at most {times:.2} times the truth, for {name}");
    }
    if timed {
        println!("time: at most {:.1} % of compiling, for {}", 100.0 * worst[3].0, worst[3].1);
    }
    if good { Ok(()) } else { Err("quotes are not as good as promised, see above".into()) }
}

fn fuzz(count: u64, first: u64) -> Result {
    let mut closest = Closest::default();
    for family in families() {
        for (size, ways) in [(200, WAYS), (3 << 10, WAYS), (16 << 10, 4), (100_000, 2)] {
            let module = (family.make)(size);
            for way in 0..ways {
                closest.module(&format!("{} of {size}", family.name), &module, way);
            }
        }
    }
    println!("families: {}", closest.summary());
    for (name, module) in chains::singles() {
        (0..WAYS).for_each(|way| closest.module(&name, &module, way));
    }
    println!("chains: {}", closest.summary());
    for case in cases() {
        (0..WAYS).for_each(|way| closest.case(&case, way));
    }
    println!("operators: {}", closest.summary());
    let start = closest.modules;
    let mut seed = first;
    while closest.modules - start < count {
        for (name, module, way) in generated(seed) {
            closest.module(&name, &module, way);
        }
        seed += 1;
        if seed.is_multiple_of(5_000) {
            eprintln!("{} of {count} modules", closest.modules - start);
        }
    }
    println!("generated, {} of them: {}", closest.modules - start, closest.summary());
    for (at, module) in closest.modules_wrong.iter().enumerate() {
        let file = format!("quote-exceeded-{at}.wasm");
        std::fs::write(&file, module).map_err(|error| format!("{file}: {error}"))?;
    }
    match closest.wrong.is_empty() {
        true => Ok(()),
        false => Err(format!("quotes were exceeded\n{}", closest.wrong.join("\n"))),
    }
}

fn command(args: &[String]) -> Result {
    let paths = |args: &[String]| args.iter().map(PathBuf::from).collect::<Vec<_>>();
    let number = |text: &String| text.parse().map_err(|_| format!("`{text}` is no number"));
    match args {
        [what, files @ ..] if what == "check" => check_all(&paths(files), true),
        [what, files @ ..] if what == "check-untimed" => check_all(&paths(files), false),
        [what, count] if what == "fuzz" => fuzz(number(count)?, 0),
        [what, count, seed] if what == "fuzz" => fuzz(number(count)?, number(seed)?),
        _ => Err(USAGE.into()),
    }
}

fn main() -> ExitCode {
    match command(&std::env::args().skip(1).collect::<Vec<_>>()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}
