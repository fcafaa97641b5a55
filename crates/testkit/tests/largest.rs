//! The longest bodies there may be: what is valid is compiled, however large it becomes.

use runwell_abi::{Arch, Features, Target};
use runwell_compiler::{Budget, CompiledModule, Options, compile};
use runwell_wasm::Limits;
use wasm_encoder::{
    CodeSection, Function, FunctionSection, ImportSection, InstructionSink, Module, TypeSection,
    ValType,
};

/// Bytes of the longest bodies.
fn longest() -> u32 {
    Limits::default().body_bytes
}

fn compiled(module: &[u8]) -> CompiledModule {
    let target = Target { arch: Arch::X64, features: Features::default() };
    let compiled = compile(module, &Options { jobs: 1, ..Options::new(target) });
    let compiled = compiled.unwrap_or_else(|error| panic!("{error}"));
    let bodies = compiled.info.bodies.iter().map(|body| body.end - body.start);
    assert!(bodies.max().is_some_and(|body| body > longest() - 10_000));
    compiled
}

#[test]
fn a_body_of_the_densest_operators() {
    let module =
        (runwell_bombs::find("pile_min").expect("a family").make)(longest() as usize - 1000);
    assert!(compiled(&module).report.code_bytes > 28 * u64::from(longest()));
    // No function has more code than there is room for: the ceiling is met before.
    assert!(Budget::DEFAULT.code.of(longest().into()) < 512 << 20);
}

#[test]
fn a_body_of_as_many_operands_as_there_may_be() {
    let mut types = TypeSection::new();
    types.ty().function([], [ValType::I64; 1000]);
    types.ty().function([], []);
    let mut imports = ImportSection::new();
    imports.import("", "", wasm_encoder::EntityType::Function(0));
    let mut functions = FunctionSection::new();
    functions.function(1);
    // Each byte that came before is room for an operand.
    let operands = Limits::operands(longest().into());
    let calls = operands as usize / 1000 - 1;
    let nops = longest() as usize - 2 * calls - 100;
    let mut bytes = vec![1; nops];
    let mut sink = InstructionSink::new(&mut bytes);
    (0..calls).for_each(|_| _ = sink.call(0));
    sink.unreachable().end();
    let mut body = Function::new([]);
    body.raw(bytes);
    let mut code = CodeSection::new();
    code.function(&body);
    let mut module = Module::new();
    module.section(&types).section(&imports).section(&functions).section(&code);
    let compiled = compiled(&module.finish());
    let frame = u64::from(compiled.image.funcs[0].frame_bytes);
    assert!(frame > 16 * (operands - 10_000), "a frame of {frame} bytes");
}
