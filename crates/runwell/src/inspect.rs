//! What the compiler makes of functions, and what machine code modules have, for tools.

use crate::trap::Shown;
use crate::{Engine, Error, Module, Result, Trap};
use runwell_compiler::InspectError;

pub use runwell_abi::{Arch, Features, Target};
pub use runwell_compiler::{Costs, Inspection, Inspector, Line, Section, Which, WhichError};

/// Compiles one function of a module in the binary form and describes each stage.
///
/// # Errors
/// [`WhichError`] when there is no such function, several are meant or it is imported; else as for
/// [`crate::Module::from_binary`].
pub fn inspect(engine: &Engine, bytes: &[u8], which: Which<'_>) -> Result<Inspection> {
    runwell_compiler::inspect(bytes, which, &engine.compile_options()).map_err(error)
}

/// What describes one function of a module in the binary form after the other.
///
/// # Errors
/// As for [`crate::Module::from_binary`], but functions may be faulty.
pub fn inspector<'a>(engine: &Engine, bytes: &'a [u8]) -> Result<Inspector<'a>> {
    Ok(Inspector::new(bytes, &engine.compile_options())?)
}

/// The error that one of an [`Inspector`] is.
pub fn error(error: InspectError) -> Error {
    match error {
        InspectError::Which(error) => Error::new(error),
        InspectError::Compile(error) => Error::new(error),
    }
}

/// Bytes of the frames of a module's functions, in the order of [`Module::functions`].
pub fn frame_bytes(module: &Module) -> impl Iterator<Item = u32> + '_ {
    module.inner().code.meta().funcs.iter().map(|func| func.frame_bytes)
}

/// Instructions of a module that may trap, ascending: where in [`Module::text`], and why.
pub fn traps(module: &Module) -> impl Iterator<Item = (usize, Trap)> + '_ {
    let traps = module.inner().code.meta().traps.iter();
    traps.map(|&(offset, code)| (offset as usize, Trap::from_code(code)))
}

/// Lists a part of the machine code of a module, which belongs to one function, as text. Names of functions
/// that are called are cut where they are longer than a few hundred characters: a call of two bytes may be
/// of one whose name has a hundred thousand.
///
/// # Panics
/// When `range` is not a part of [`Module::text`].
pub fn disassemble(module: &Module, range: std::ops::Range<usize>) -> Vec<Line> {
    let inner = module.inner();
    let funcs = &inner.code.meta().funcs;
    let symbol = |offset: u32| {
        let own = funcs.binary_search_by_key(&offset, |func| func.start).ok()? as u32;
        let index = inner.info.imported_funcs() + own;
        Some(match inner.func_name(index) {
            Some(name) => Shown(name).to_string(),
            None => format!("function {index}"),
        })
    };
    let start = range.start as u32;
    runwell_compiler::disassemble(&module.text()[range], start, &symbol)
}
