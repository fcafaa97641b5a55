//! The engines, and the commands that start them.

use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;
use std::str::FromStr;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use crate::{Options, corpus, v8};

/// What is measured.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Engine {
    Runwell,
    Cranelift,
    Winch,
    WasmerCranelift,
    WasmerSinglepass,
    Turbofan,
    Liftoff,
    Wasmi,
    Native,
}

impl Engine {
    pub const ALL: [Engine; 9] = [
        Engine::Runwell,
        Engine::Cranelift,
        Engine::Winch,
        Engine::WasmerCranelift,
        Engine::WasmerSinglepass,
        Engine::Turbofan,
        Engine::Liftoff,
        Engine::Wasmi,
        Engine::Native,
    ];

    /// Its name on the command line and in tables.
    pub fn name(self) -> &'static str {
        match self {
            Engine::Runwell => "runwell",
            Engine::Cranelift => "cranelift",
            Engine::Winch => "winch",
            Engine::WasmerCranelift => "wasmer-cranelift",
            Engine::WasmerSinglepass => "wasmer-singlepass",
            Engine::Turbofan => "turbofan",
            Engine::Liftoff => "liftoff",
            Engine::Wasmi => "wasmi",
            Engine::Native => "native",
        }
    }

    /// Its name in the picture.
    pub fn label(self) -> &'static str {
        match self {
            Engine::Runwell => "runwell",
            Engine::Cranelift => "wasmtime Cranelift",
            Engine::Winch => "wasmtime Winch",
            Engine::WasmerCranelift => "wasmer Cranelift",
            Engine::WasmerSinglepass => "wasmer Singlepass",
            Engine::Turbofan => "V8 TurboFan",
            Engine::Liftoff => "V8 Liftoff",
            Engine::Wasmi => "wasmi",
            Engine::Native => "native code",
        }
    }

    fn is_v8(self) -> bool {
        matches!(self, Engine::Turbofan | Engine::Liftoff)
    }

    fn is_wasmer(self) -> bool {
        matches!(self, Engine::WasmerCranelift | Engine::WasmerSinglepass)
    }

    /// The command that starts it; all have the command line that [`crate::job`] describes. The native
    /// build's is the program itself and not from here.
    ///
    /// # Errors
    /// When this program does not know where it is.
    pub fn command(self, options: &Options) -> Result<Command> {
        if self == Engine::Runwell {
            return Ok(Command::new(&options.runwell));
        }
        if self.is_v8() {
            return Ok(v8_command(self));
        }
        let mut command = if self.is_wasmer() {
            Command::new(WASMER.path())
        } else {
            let mut command = Command::new(std::env::current_exe()?);
            command.arg("peer");
            command
        };
        command.arg(self.name());
        Ok(command)
    }
}

impl FromStr for Engine {
    type Err = anyhow::Error;

    fn from_str(name: &str) -> Result<Engine> {
        Engine::ALL
            .into_iter()
            .find(|engine| engine.name() == name)
            .with_context(|| format!("no engine `{name}`"))
    }
}

/// Stack of the other engines' programs, in kibibytes; V8 is told to stay below it.
const V8_STACK_KB: u64 = 64 << 10;

fn v8_command(engine: Engine) -> Command {
    let mut command = Command::new(v8::path());
    command.args(v8::flags(engine));
    command.arg(format!("--stack-size={}", V8_STACK_KB - 2048));
    command.arg(v8::driver());
    // SAFETY: between fork and exec nothing but setrlimit is called, which is safe to call there.
    unsafe {
        command.pre_exec(|| {
            let bytes = (V8_STACK_KB * 1024) as libc::rlim_t;
            let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
            if libc::getrlimit(libc::RLIMIT_STACK, &mut limit) != 0 {
                return Err(std::io::Error::last_os_error());
            }
            limit.rlim_cur = bytes.min(limit.rlim_max);
            if libc::setrlimit(libc::RLIMIT_STACK, &limit) != 0 {
                return Err(std::io::Error::last_os_error());
            }
            Ok(())
        });
    }
    command
}

/// A program of its own, which is built when it is first needed.
pub struct Companion {
    /// Its directory in `bench/`, and in `target/bench/`.
    dir: &'static str,
    program: &'static str,
    /// What the reader of a terminal waits for.
    what: &'static str,
}

/// wasmer: nothing else depends on it, and it takes minutes to build once.
const WASMER: Companion =
    Companion { dir: "wasmer", program: "runwell-bench-wasmer", what: "wasmer, for some minutes" };

/// What [`crate::latency`] measures of runwell.
pub const RUNWELL_SUBJECT: Companion =
    Companion { dir: "runwell", program: "runwell-bench-latency", what: "runwell as a library" };

impl Companion {
    fn target(&self) -> PathBuf {
        corpus::root().join("target/bench").join(self.dir)
    }

    /// Where it is, once built.
    pub fn path(&self) -> PathBuf {
        self.target().join("release").join(self.program)
    }

    /// Builds it, which takes no time when it is there and nothing changed.
    ///
    /// # Errors
    /// When it does not build.
    pub fn build(&self) -> Result<()> {
        eprintln!("bench: building {}", self.what);
        let status = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
            .args(["build", "--quiet", "--release", "--manifest-path"])
            .arg(corpus::root().join("bench").join(self.dir).join("Cargo.toml"))
            .arg("--target-dir")
            .arg(self.target())
            .status()
            .context("cannot start cargo")?;
        if !status.success() {
            bail!("{} does not build", self.program);
        }
        Ok(())
    }
}

/// Makes sure that the engines that are not in this program are there: fetches node, builds wasmer.
///
/// # Errors
/// When one cannot be had; the message says how to go on without it.
pub fn prepare(options: &Options) -> Result<()> {
    let without = |what: fn(Engine) -> bool| {
        let rest: Vec<&str> =
            options.engines.iter().filter(|&&e| !what(e)).map(|e| e.name()).collect();
        format!("to go on without it: --engines {}", rest.join(","))
    };
    if options.engines.iter().any(|engine| engine.is_v8()) {
        v8::fetch().with_context(|| without(Engine::is_v8))?;
    }
    if options.engines.iter().any(|engine| engine.is_wasmer()) {
        WASMER.build().with_context(|| without(Engine::is_wasmer))?;
    }
    if options.engines.contains(&Engine::Runwell) && !options.runwell.is_file() {
        bail!("{} is not there: cargo build --release", options.runwell.display());
    }
    Ok(())
}
