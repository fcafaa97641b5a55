//! Compiled code in executable memory, and what its addresses mean.

use crate::module::Symbols;
use crate::trap::{FrameInfo, Trap, WasmBacktrace};
use crate::{Error, Result};
use runwell_compiler::Image;
use runwell_vm::{Backtrace, Cause, Code, CodeMeta, Exit, FuncMeta, registry};
use std::sync::Arc;

/// Makes an image executable.
pub(crate) fn publish(image: Image, symbols: Arc<Symbols>) -> Result<Arc<Code>> {
    let meta = CodeMeta {
        funcs: image
            .funcs
            .iter()
            .map(|func| FuncMeta {
                start: func.start,
                end: func.end,
                frame_bytes: func.frame_bytes,
            })
            .collect(),
        traps: image.traps.into(),
        srclocs: image.srclocs.into(),
        rests: image.rests.into(),
    };
    Ok(Code::publish(&image.text, meta, symbols)?)
}

/// The error that a guest's early end is.
#[cold]
pub(crate) fn exit_error(exit: Exit) -> Error {
    let error = match exit.cause {
        Cause::Trap { code, .. } => Error::new(Trap::from_code(code)),
        Cause::Suspended(_) => Error::new(runwell_vm::Error::Suspended),
        Cause::Error(payload) => match payload.downcast::<Error>() {
            Ok(error) => *error,
            Err(payload) => match payload.downcast::<runwell_vm::Error>() {
                Ok(error) => Error::new(*error),
                Err(_) => Error::msg("a host function failed without saying why"),
            },
        },
    };
    // An error that has crossed an inner call already has the whole backtrace.
    if error.downcast_ref::<WasmBacktrace>().is_some() {
        return error;
    }
    let backtrace = symbolize(&exit.backtrace);
    if backtrace.frames.is_empty() { error } else { error.context(backtrace) }
}

fn symbolize(backtrace: &Backtrace) -> WasmBacktrace {
    let frames = backtrace.pcs.iter().filter_map(|&pc| {
        let position = registry::lookup(pc)?;
        let symbols = position.code.owner().downcast_ref::<Symbols>()?;
        let own = position.func? as u32;
        let func_index = symbols.imported_funcs + own;
        Some(FrameInfo {
            module_name: symbols.module_name().map(str::to_string),
            func_index,
            func_name: symbols.func_name(func_index).map(str::to_string),
            module_offset: position.srcloc.map(|offset| offset as usize),
            func_start: symbols.bodies.get(own as usize).map_or(0, |&start| start as usize),
        })
    });
    WasmBacktrace { frames: frames.collect(), truncated: backtrace.truncated }
}
