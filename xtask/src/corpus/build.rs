//! Compiling a program three ways, and asking its native build what a run should print.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use super::dir;
use super::programs::{Mapped, Program, Run};
use super::stamp::{self, Stamp};
use super::strip;
use super::toolchain::{Sources, Zig};
use crate::process::{finish, output, read, write};
use crate::{Result, root};

/// What a program is compiled to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// WebAssembly as of its first version: the target's optional features off.
    Base,
    /// With the features on that do not change the program's types: all but SIMD, threads, exceptions.
    Full,
    /// This machine.
    Native,
}

impl Kind {
    pub(crate) const ALL: &[Kind] = &[Kind::Base, Kind::Full, Kind::Native];
    /// The two that are WebAssembly.
    pub(crate) const WASM: &[Kind] = &[Kind::Base, Kind::Full];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Base => "base",
            Kind::Full => "full",
            Kind::Native => "native",
        }
    }

    /// Eight megabytes for the stack in linear memory is what native programs get. Names stay in,
    /// for backtraces and profiles; debug information goes.
    fn flags(self) -> &'static [&'static str] {
        match self {
            Kind::Base => &["-target", "wasm32-wasi", "-mcpu=mvp"],
            Kind::Full => &[
                "-target",
                "wasm32-wasi",
                "-mcpu=mvp+bulk_memory+extended_const+multivalue+mutable_globals\
                 +nontrapping_fptoint+reference_types+sign_ext+tail_call",
            ],
            // The baseline processor: no fused multiply-add, which would change results.
            Kind::Native => &["-target", "x86_64-linux-gnu.2.28", "-lm"],
        }
    }
}

const WASI: &[&str] = &[
    "-D_WASI_EMULATED_SIGNAL",
    "-D_WASI_EMULATED_PROCESS_CLOCKS",
    "-D_WASI_EMULATED_GETPID",
    "-D_WASI_EMULATED_MMAN",
    "-lwasi-emulated-signal",
    "-lwasi-emulated-process-clocks",
    "-lwasi-emulated-getpid",
    "-lwasi-emulated-mman",
    "-Wl,-z,stack-size=8388608",
];

/// Where a build of a program is.
pub(crate) fn artefact(program: &Program, kind: Kind) -> PathBuf {
    match kind {
        Kind::Native => dir().join("native").join(&program.name),
        _ => dir().join("wasm").join(format!("{}.{}.wasm", program.name, kind.name())),
    }
}

/// Compiles a program, if it is not there already.
///
/// # Errors
/// With what the compiler said.
pub(crate) fn build(program: &Program, kind: Kind, zig: &Zig, sources: &Sources) -> Result {
    let package = program.package.map(|name| sources.of(name)).transpose()?;
    let drivers = root().join("corpus/drivers");
    let mut flags: Vec<String> = kind.flags().iter().map(|&f| f.into()).collect();
    flags.extend(["-O2", "-w"].map(String::from));
    for flag in &program.flags {
        // What is named in such options is a file of ours.
        flags.push(match flag.split_at(2) {
            ("-I", path) => format!("-I{}", drivers.join(path).display()),
            _ => (*flag).into(),
        });
    }
    flags.push(format!("-I{}", drivers.display()));
    if let Some(package) = package {
        flags.extend(program.includes.iter().map(|i| format!("-I{}", package.join(i).display())));
    }
    if kind != Kind::Native {
        flags.extend(WASI.iter().map(|&f| f.into()));
    }

    let out = artefact(program, kind);
    let mut stamp = Stamp::new();
    stamp.add(zig.identity.as_bytes());
    if package.is_some() {
        stamp.add(sources.identity.as_bytes());
        // Headers of ours bear the name of the program they are for, but for the shared one.
        for file in stamp::sorted(&drivers)? {
            let name = file.file_name().unwrap_or_default().to_string_lossy();
            if name.starts_with(&program.name) || name == "data.h" {
                stamp.add_path(&file)?;
            }
        }
    }
    for file in &program.drivers {
        stamp.add_path(&root().join("corpus").join(file))?;
    }
    let checkout = root().display().to_string();
    for flag in flags.iter().chain(&program.sources.iter().map(|&s| s.into()).collect::<Vec<_>>()) {
        stamp.add(flag.replace(&checkout, "").as_bytes());
    }
    let stamp = stamp.hex();
    if stamp::fresh(&out, &stamp) {
        return Ok(());
    }

    let what = format!("building {} ({})", program.name, kind.name());
    let started = Instant::now();
    make_parent(&out)?;
    let mut command = zig.cc();
    command.args(program.files(package)?).args(&flags).arg("-o").arg(&out);
    output(&what, &mut command)
        .map_err(|e| format!("{e}\nagain: cargo xtask corpus {}", program.name))?;
    if kind != Kind::Native {
        // The compiler's own option would take the names of functions too.
        write(&out, &strip::debug(&read(&out)?).map_err(|e| format!("{what}: {e}"))?)?;
    }
    println!("corpus: {what}, {:.1} s", started.elapsed().as_secs_f64());
    stamp::set(&out, &stamp)
}

fn make_parent(path: &Path) -> Result {
    let Some(parent) = path.parent() else { return Ok(()) };
    std::fs::create_dir_all(parent).map_err(|e| format!("cannot make {}: {e}", parent.display()))
}

/// Where the expected output of a run is; the exit code is in a file beside it, ending in `.code`.
pub(crate) fn expected(program: &Program, run: &Run) -> PathBuf {
    dir().join("expect").join(format!("{}.out", program.run_name(run).replace('/', "-")))
}

/// Runs the native build and keeps what it printed, if that is not known already.
///
/// # Errors
/// When there is no native build, or it does not end.
pub(crate) fn expect(program: &Program, run: &Run) -> Result {
    let native = artefact(program, Kind::Native);
    let out = expected(program, run);
    let mut stamp = Stamp::new();
    stamp.add(&read(&native)?);
    run.args.iter().for_each(|arg| _ = stamp.add(arg.as_bytes()));
    if let Mapped::Scripts(scripts) = run.mapped {
        stamp.add_path(&root().join("corpus").join(scripts))?;
    }
    let stamp = stamp.hex();
    if stamp::fresh(&out, &stamp) {
        return Ok(());
    }
    let mut command = Command::new(&native);
    command.args(run.args);
    match run.mapped {
        Mapped::Nothing => {}
        Mapped::Scripts(scripts) => _ = command.current_dir(root().join("corpus").join(scripts)),
        Mapped::Scratch => {
            let scratch = dir().join("scratch").join("native");
            make_parent(&scratch.join("file"))?;
            command.current_dir(scratch);
        }
    }
    let name = program.run_name(run);
    let done = finish(&mut command, Duration::from_secs(120))
        .map_err(|e| format!("running {name} natively: {e}"))?;
    println!("corpus: ran {name} natively, exit code {}, {:.2} s", done.code, done.seconds);
    write(&out, &done.stdout)?;
    write(&out.with_extension("code"), done.code.to_string().as_bytes())?;
    stamp::set(&out, &stamp)
}
