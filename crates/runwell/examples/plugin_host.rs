//! A host that loads plug-ins from people it does not know.
//!
//! Each plug-in is compiled once, at a cost that its size bounds, and runs with its own store, so
//! that nothing of one request or one plug-in is left for another. Whatever a plug-in does — loops
//! without end, takes memory, traps, is no module at all — the host gets an error and goes on.
//!
//! `cargo run --example plugin_host -p runwell [PLUG-IN.wasm …]`

use runwell::error::Context as _;
use runwell::{
    Caller, Config, Engine, Extern, InstancePre, Linker, Module, Result, Store, StoreLimits,
    StoreLimitsBuilder, bail,
};

/// Fuel for one request.
const FUEL: u64 = 5_000_000;
/// Bytes of memory for one request.
const MEMORY: usize = 4 << 20;

/// What belongs to one request.
struct Request {
    input: String,
    output: Vec<u8>,
    limits: StoreLimits,
}

/// All that plug-ins can reach: the text of the request, and a place to write to.
fn interface(engine: &Engine) -> Result<Linker<Request>> {
    let mut linker = Linker::new(engine);
    linker.func_wrap("host", "input_len", |caller: Caller<'_, Request>| {
        caller.data().input.len() as u32
    })?;
    linker.func_wrap(
        "host",
        "input",
        |mut caller: Caller<'_, Request>, at: u32| -> Result<()> {
            let memory = memory_of(&mut caller)?;
            let (bytes, request) = memory.data_and_store_mut(&mut caller);
            let to =
                bytes.get_mut(at as usize..).and_then(|rest| rest.get_mut(..request.input.len()));
            to.context("the plug-in wants its input outside of its memory")?
                .copy_from_slice(request.input.as_bytes());
            Ok(())
        },
    )?;
    linker.func_wrap(
        "host",
        "output",
        |mut caller: Caller<'_, Request>, at: u32, len: u32| -> Result<()> {
            let memory = memory_of(&mut caller)?;
            let (bytes, request) = memory.data_and_store_mut(&mut caller);
            let from = bytes.get(at as usize..).and_then(|rest| rest.get(..len as usize));
            let from = from.context("the plug-in's output is outside of its memory")?;
            if request.output.len() + from.len() > MEMORY {
                bail!("the plug-in's output is too long");
            }
            request.output.extend_from_slice(from);
            Ok(())
        },
    )?;
    Ok(linker)
}

fn memory_of(caller: &mut Caller<'_, Request>) -> Result<runwell::Memory> {
    match caller.get_export("memory") {
        Some(Extern::Memory(memory)) => Ok(memory),
        _ => bail!("the plug-in exports no memory"),
    }
}

/// Compiles a plug-in. Its imports are looked up here, once.
fn load(linker: &Linker<Request>, bytes: &[u8]) -> Result<InstancePre<Request>> {
    let module = Module::new(linker.engine(), bytes)?;
    if module.get_export("handle").is_none_or(|export| export.func().is_none()) {
        bail!("the plug-in exports no function `handle`");
    }
    linker.instantiate_pre(&module)
}

/// Answers one request, in a fresh instance.
fn handle(plugin: &InstancePre<Request>, input: &str) -> Result<String> {
    let limits = StoreLimitsBuilder::new().memory_size(MEMORY).table_elements(1000).build();
    let request = Request { input: input.to_string(), output: Vec::new(), limits };
    let mut store = Store::new(plugin.module().engine(), request);
    store.limiter(|request| &mut request.limits);
    store.set_fuel(FUEL)?;
    let instance = plugin.instantiate(&mut store)?;
    instance.get_typed_func::<(), ()>(&mut store, "handle")?.call(&mut store, ())?;
    String::from_utf8(store.into_data().output).context("the plug-in's answer is no text")
}

fn main() -> Result<()> {
    let mut config = Config::new();
    config.consume_fuel(true).max_wasm_stack(256 << 10);
    let engine = Engine::new(&config)?;
    let linker = interface(&engine)?;
    let mut plugins: Vec<(String, Vec<u8>)> = Vec::new();
    for path in std::env::args().skip(1) {
        let bytes = std::fs::read(&path).with_context(|| format!("{path} cannot be read"))?;
        plugins.push((path, bytes));
    }
    if plugins.is_empty() {
        let built_in = BUILT_IN.iter();
        plugins.extend(built_in.map(|(name, text)| (name.to_string(), text.as_bytes().to_vec())));
    }
    for (name, bytes) in &plugins {
        match load(&linker, bytes).and_then(|plugin| handle(&plugin, "a request")) {
            Ok(answer) => println!("{name}: {answer}"),
            Err(error) => println!("{name}: failed: {}", error.root_cause()),
        }
    }
    Ok(())
}

/// A good plug-in and some that are not.
const BUILT_IN: [(&str, &str); 6] = [
    (
        "echo",
        r#"(module
            (import "host" "input_len" (func $len (result i32)))
            (import "host" "input" (func $input (param i32)))
            (import "host" "output" (func $output (param i32 i32)))
            (memory (export "memory") 1)
            (data (i32.const 0) "you said: ")
            (func (export "handle")
                (call $input (i32.const 10))
                (call $output (i32.const 0) (i32.add (i32.const 10) (call $len)))))"#,
    ),
    ("loops", r#"(module (func (export "handle") (loop $again (br $again))))"#),
    (
        "hoards",
        r#"(module (memory 1) (func (export "handle")
            (loop $again
                (br_if $again (i32.ne (memory.grow (i32.const 1)) (i32.const -1))))
            unreachable))"#,
    ),
    (
        "peeks",
        r#"(module
            (import "host" "output" (func $output (param i32 i32)))
            (memory (export "memory") 1)
            (func (export "handle") (call $output (i32.const 65000) (i32.const 65000))))"#,
    ),
    ("reaches", r#"(module (import "env" "system" (func)) (func (export "handle")))"#),
    ("nonsense", "this is no module"),
];
