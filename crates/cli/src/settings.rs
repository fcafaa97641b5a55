//! `runwell settings` and `runwell completions`.

use crate::args::{self, Completions, Options, Settings};
use crate::load;
use crate::options_file::OptionsFile;
use crate::output::{json_string, print};
use clap::CommandFactory;
use runwell::inspect::{Arch, Features, Target};
use runwell::{Cache, CacheConfig, Config, OperatorClass, Result, SCHEDULE_VERSION, Schedule};
use std::fmt::Write as _;
use std::process::ExitCode;

/// What is in effect, in groups, each a title and pairs of name and value.
type Groups = Vec<(&'static str, Vec<(String, String)>)>;

pub(crate) fn settings(options: &Settings, file: Option<&OptionsFile>) -> Result<ExitCode> {
    let engine = load::engine(&options.compiler, |config| load::cache(config, &options.cache))?;
    let groups = groups(options, file, engine.target());
    print(&if options.json { json(&groups) } else { text(&groups) })?;
    Ok(ExitCode::SUCCESS)
}

fn groups(options: &Settings, file: Option<&OptionsFile>, target: Target) -> Groups {
    let pair = |name: &str, value: String| (name.to_string(), value);
    let path = |path: Option<std::path::PathBuf>| {
        path.map_or_else(|| "none".to_string(), |path| path.display().to_string())
    };
    let cpus = std::thread::available_parallelism().map_or(1, |n| n.get());
    let compiler = &options.compiler;
    let jobs = match compiler.jobs {
        0 => format!("{cpus}, one for each processor"),
        jobs => jobs.to_string(),
    };
    let cache = match (&options.cache.cache_dir, options.cache.no_cache) {
        (_, true) => None,
        (Some(dir), false) => Some(dir.clone()),
        (None, false) => {
            Cache::new(CacheConfig::new()).ok().map(|cache| cache.directory().to_path_buf())
        }
    };
    let engine = vec![
        pair("version", env!("CARGO_PKG_VERSION").to_string()),
        pair("processor", processor(target.arch)),
        pair("extensions used", extensions(target.features)),
        pair("compiling threads", jobs),
        pair("checkers", if compiler.verify { "all" } else { "none" }.to_string()),
        pair(
            "memory checks",
            if compiler.no_guards { "explicit" } else { "guard pages" }.to_string(),
        ),
        pair("fuel", compiler.fuel.map_or("not metered".to_string(), |fuel| fuel.to_string())),
        pair("guest's stack", format!("{} bytes", Config::new().get_max_wasm_stack())),
        pair("cache", path(cache)),
        pair("key of images", path(options.key.image_key.clone().or_else(Config::users_image_key))),
    ];
    let mut flags = vec![pair("file", path(file.map(|file| file.path.clone())))];
    for command in args::commands() {
        let set: Vec<&str> = file.map_or_else(Vec::new, |file| file.flags(&command).collect());
        if !set.is_empty() {
            flags.push((format!("runwell {command}"), set.join(" ")));
        }
    }
    let names = |features: runwell_wasm::features::WasmFeatures| {
        let names = features.iter_names().map(|(name, _)| name.to_lowercase().replace('_', "-"));
        // Of components nothing is implemented, which the first of these says.
        let names = names.filter(|name| !name.starts_with("cm-") && name != "cm64");
        names.collect::<Vec<String>>().join(" ")
    };
    let supported = runwell_wasm::features::SUPPORTED;
    let language = vec![
        pair("proposals", names(supported)),
        pair("not implemented", names(runwell_wasm::features::EVERYTHING.difference(supported))),
    ];
    let limits = runwell_wasm::Limits::default();
    let limits = vec![
        pair("bytes of a module", limits.module_bytes.to_string()),
        pair("bytes of a function body", limits.body_bytes.to_string()),
        pair("functions", limits.functions.to_string()),
        pair("tables", limits.tables.to_string()),
        pair("memories", limits.memories.to_string()),
    ];
    let costs = Schedule::default();
    let mut schedule = vec![pair("version", SCHEDULE_VERSION.to_string())];
    let classes = OperatorClass::ALL.iter();
    schedule.extend(classes.map(|&class| pair(class.name(), costs.cost(class).to_string())));
    vec![
        ("engine", engine),
        ("options", flags),
        ("language", language),
        ("limits", limits),
        ("fuel schedule", schedule),
    ]
}

fn processor(arch: Arch) -> String {
    match arch {
        Arch::X64 => "x86-64".to_string(),
        other => format!("{other:?}"),
    }
}

fn extensions(features: Features) -> String {
    let known = [
        (Features::AVX, "avx"),
        (Features::BMI1, "bmi1"),
        (Features::BMI2, "bmi2"),
        (Features::LZCNT, "lzcnt"),
        (Features::AVX512DQ, "avx512dq"),
    ];
    let present = known.iter().filter(|(feature, _)| features.has(*feature));
    let names: Vec<&str> =
        ["sse4.2", "popcnt"].into_iter().chain(present.map(|&(_, name)| name)).collect();
    names.join(" ")
}

fn text(groups: &Groups) -> String {
    let mut out = String::new();
    for (number, (title, pairs)) in groups.iter().enumerate() {
        let _ = writeln!(out, "{}{title}", if number == 0 { "" } else { "\n" });
        let width = pairs.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        for (name, value) in pairs {
            let _ = writeln!(out, "  {name:width$}  {value}");
        }
    }
    out
}

fn json(groups: &Groups) -> String {
    let group = |(title, pairs): &(&str, Vec<(String, String)>)| {
        let pairs: Vec<String> = pairs
            .iter()
            .map(|(name, value)| format!("{}:{}", json_string(name), json_string(value)))
            .collect();
        format!("{}:{{{}}}", json_string(title), pairs.join(","))
    };
    format!("{{{}}}\n", groups.iter().map(group).collect::<Vec<_>>().join(","))
}

pub(crate) fn completions(options: &Completions) -> Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(options.shell, &mut Options::command(), "runwell", &mut script);
    print(&String::from_utf8_lossy(&script))?;
    Ok(ExitCode::SUCCESS)
}
