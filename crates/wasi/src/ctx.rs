//! All that one guest has of the world.

use crate::clock::{Clock, VIRTUAL_EPOCH_NS, VIRTUAL_STEP_NS};
use crate::inodes::Inodes;
use crate::random::{DEFAULT_SEED, Random};
use crate::stream::Stream;
use crate::table::{Descriptor, OpenDir, Table};
use cap_std::ambient_authority;
use cap_std::fs::Dir;
use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStringExt;
use std::path::Path;

/// The world of one guest: arguments, environment, descriptors, clocks and randomness.
pub struct WasiCtx {
    pub(crate) args: Vec<Vec<u8>>,
    /// `NAME=value` each.
    pub(crate) env: Vec<Vec<u8>>,
    pub(crate) table: Table,
    pub(crate) clock: Clock,
    pub(crate) random: Random,
    pub(crate) inodes: Inodes,
}

impl WasiCtx {
    /// Starts with a world that has nothing in it; see [`WasiCtxBuilder::new`].
    pub fn builder() -> WasiCtxBuilder {
        WasiCtxBuilder::new()
    }
}

impl std::fmt::Debug for WasiCtx {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WasiCtx").field("clock", &self.clock).finish_non_exhaustive()
    }
}

/// Puts the world of a guest together.
///
/// What it starts with is the same on every machine and in every run: no arguments, an empty
/// environment, an empty standard input, output that goes nowhere, no directories, a virtual clock
/// and a seeded random generator. Everything of the host's has to be asked for.
///
/// ```
/// use runwell_wasi::{MemoryOutputPipe, WasiCtxBuilder};
///
/// let output = MemoryOutputPipe::new(1 << 20);
/// let ctx = WasiCtxBuilder::new()
///     .args(&["program", "argument"])
///     .env("LANG", "C")
///     .stdout(output.clone())
///     .inherit_stderr()
///     .build();
/// ```
pub struct WasiCtxBuilder {
    args: Vec<Vec<u8>>,
    env: Vec<Vec<u8>>,
    stdin: Stream,
    stdout: Stream,
    stderr: Stream,
    dirs: Vec<OpenDir>,
    clock: Clock,
    random: Random,
}

impl Default for WasiCtxBuilder {
    fn default() -> WasiCtxBuilder {
        WasiCtxBuilder {
            args: Vec::new(),
            env: Vec::new(),
            stdin: Stream::Input(Box::new(io::empty())),
            stdout: Stream::Output(Box::new(io::sink())),
            stderr: Stream::Output(Box::new(io::sink())),
            dirs: Vec::new(),
            clock: Clock::new_virtual(VIRTUAL_EPOCH_NS, VIRTUAL_STEP_NS),
            random: Random::seeded(DEFAULT_SEED),
        }
    }
}

impl WasiCtxBuilder {
    /// A world with nothing of the host's in it.
    pub fn new() -> WasiCtxBuilder {
        WasiCtxBuilder::default()
    }

    /// Adds an argument; the first is the program's name by custom.
    pub fn arg(&mut self, arg: impl AsRef<str>) -> &mut Self {
        self.args.push(arg.as_ref().as_bytes().to_vec());
        self
    }

    /// Adds arguments.
    pub fn args(&mut self, args: &[impl AsRef<str>]) -> &mut Self {
        for arg in args {
            self.arg(arg);
        }
        self
    }

    /// Adds the host process's arguments.
    pub fn inherit_args(&mut self) -> &mut Self {
        self.args.extend(std::env::args_os().map(OsString::into_vec));
        self
    }

    /// Adds a variable to the environment.
    pub fn env(&mut self, name: impl AsRef<str>, value: impl AsRef<str>) -> &mut Self {
        self.env.push(format!("{}={}", name.as_ref(), value.as_ref()).into_bytes());
        self
    }

    /// Adds variables to the environment.
    pub fn envs(&mut self, variables: &[(impl AsRef<str>, impl AsRef<str>)]) -> &mut Self {
        for (name, value) in variables {
            self.env(name, value);
        }
        self
    }

    /// Adds the host process's environment.
    pub fn inherit_env(&mut self) -> &mut Self {
        for (name, value) in std::env::vars_os() {
            let mut variable = name.into_vec();
            variable.push(b'=');
            variable.extend(value.into_vec());
            self.env.push(variable);
        }
        self
    }

    /// Standard input comes from `input`.
    pub fn stdin(&mut self, input: impl Read + Send + 'static) -> &mut Self {
        self.stdin = Stream::Input(Box::new(input));
        self
    }

    /// Standard output goes to `output`, which is flushed after each write.
    pub fn stdout(&mut self, output: impl Write + Send + 'static) -> &mut Self {
        self.stdout = Stream::Output(Box::new(output));
        self
    }

    /// Standard error goes to `output`, which is flushed after each write.
    pub fn stderr(&mut self, output: impl Write + Send + 'static) -> &mut Self {
        self.stderr = Stream::Output(Box::new(output));
        self
    }

    /// Standard input is the host's.
    pub fn inherit_stdin(&mut self) -> &mut Self {
        self.stdin = Stream::Stdin;
        self
    }

    /// Standard output is the host's.
    pub fn inherit_stdout(&mut self) -> &mut Self {
        self.stdout = Stream::Stdout;
        self
    }

    /// Standard error is the host's.
    pub fn inherit_stderr(&mut self) -> &mut Self {
        self.stderr = Stream::Stderr;
        self
    }

    /// All three standard streams are the host's.
    pub fn inherit_stdio(&mut self) -> &mut Self {
        self.inherit_stdin().inherit_stdout().inherit_stderr()
    }

    /// Opens the directory `host_path`, which the guest finds as `guest_path`.
    ///
    /// The guest can reach nothing outside of it, whatever paths and symbolic links it makes.
    ///
    /// # Errors
    /// When it cannot be opened as a directory.
    pub fn preopened_dir(
        &mut self,
        host_path: impl AsRef<Path>,
        guest_path: impl Into<String>,
    ) -> io::Result<&mut Self> {
        self.preopen(host_path.as_ref(), guest_path.into(), false)
    }

    /// As [`WasiCtxBuilder::preopened_dir`], but the guest can change nothing in it.
    ///
    /// # Errors
    /// When it cannot be opened as a directory.
    pub fn preopened_dir_read_only(
        &mut self,
        host_path: impl AsRef<Path>,
        guest_path: impl Into<String>,
    ) -> io::Result<&mut Self> {
        self.preopen(host_path.as_ref(), guest_path.into(), true)
    }

    fn preopen(&mut self, host: &Path, guest: String, read_only: bool) -> io::Result<&mut Self> {
        if self.dirs.len() + 3 >= crate::MAX_DESCRIPTORS as usize {
            return Err(io::Error::other("too many preopened directories"));
        }
        let dir = Dir::open_ambient_dir(host, ambient_authority())?;
        self.dirs.push(OpenDir::new(dir, Some(guest), read_only));
        Ok(self)
    }

    /// Sets where the virtual clock starts, in nanoseconds since 1970, and by how many nanoseconds
    /// each reading advances it.
    pub fn virtual_clock(&mut self, epoch_ns: u64, step_ns: u64) -> &mut Self {
        self.clock = Clock::new_virtual(epoch_ns, step_ns);
        self
    }

    /// Sets by how many nanoseconds each unit of fuel advances the virtual clock of a metered guest, after
    /// [`WasiCtxBuilder::virtual_clock`] if that is called; 1 unless said otherwise. With 0 it goes on at
    /// each reading, as without fuel.
    ///
    /// ```
    /// use runwell::{Config, Engine, Linker, Module, Store};
    /// use runwell_wasi::{WasiCtx, WasiCtxBuilder};
    ///
    /// # fn main() -> runwell::Result<()> {
    /// let engine = Engine::new(Config::new().consume_fuel(true))?;
    /// let mut linker = Linker::<WasiCtx>::new(&engine);
    /// runwell_wasi::add_to_linker(&mut linker, |ctx| ctx)?;
    /// let module = Module::new(&engine, r#"(module
    ///     (import "wasi_snapshot_preview1" "clock_time_get"
    ///         (func $time (param i32 i64 i32) (result i32)))
    ///     (memory (export "memory") 1)
    ///     (func (export "now") (result i64)
    ///         (drop (call $time (i32.const 1) (i64.const 0) (i32.const 0)))
    ///         (i64.load (i32.const 0))))"#)?;
    /// let mut store = Store::new(&engine, WasiCtxBuilder::new().virtual_ns_per_fuel(10).build());
    /// store.set_fuel(1_000_000)?;
    /// let instance = linker.instantiate(&mut store, &module)?;
    /// let now = instance.get_typed_func::<(), u64>(&mut store, "now")?;
    /// // Each call: four operators up to the clock, and two after it that cost.
    /// assert_eq!(now.call(&mut store, ())?, 40);
    /// assert_eq!(now.call(&mut store, ())?, 40 + 10 * store.fuel_consumed()? / 2);
    /// # Ok(())
    /// # }
    /// ```
    pub fn virtual_ns_per_fuel(&mut self, nanoseconds: u64) -> &mut Self {
        if let Clock::Virtual { per_fuel, .. } = &mut self.clock {
            *per_fuel = nanoseconds;
        }
        self
    }

    /// Clocks are the host's, and sleeping takes time.
    pub fn real_clock(&mut self) -> &mut Self {
        self.clock = Clock::new_real();
        self
    }

    /// Sets the seed of the repeatable random generator.
    pub fn random_seed(&mut self, seed: u64) -> &mut Self {
        self.random = Random::seeded(seed);
        self
    }

    /// Random numbers are the operating system's.
    pub fn real_random(&mut self) -> &mut Self {
        self.random = Random::Real;
        self
    }

    /// The world as put together; the builder starts anew.
    pub fn build(&mut self) -> WasiCtx {
        let WasiCtxBuilder { args, env, stdin, stdout, stderr, dirs, clock, random } =
            std::mem::take(self);
        let mut table = Table::default();
        let streams = [stdin, stdout, stderr].into_iter().map(Descriptor::Stream);
        for descriptor in streams.chain(dirs.into_iter().map(Descriptor::Dir)) {
            // There is room: `preopen` counts.
            let pushed = table.push(descriptor);
            debug_assert!(pushed.is_ok());
        }
        WasiCtx { args, env, table, clock, random, inodes: Inodes::default() }
    }
}

impl WasiCtxBuilder {
    /// As [`WasiCtxBuilder::build`], by the name that `wasmtime-wasi` has for it.
    pub fn build_p1(&mut self) -> WasiCtx {
        self.build()
    }
}

impl std::fmt::Debug for WasiCtxBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WasiCtxBuilder").field("clock", &self.clock).finish_non_exhaustive()
    }
}
