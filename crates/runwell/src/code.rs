//! Compiled code in executable memory, and what its addresses mean.

use crate::module::Symbols;
use crate::trap::{FrameInfo, Trap, WasmBacktrace};
use crate::{Error, Result};
use runwell_abi::TrapCode;
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
    let at_entry =
        matches!(exit.cause, Cause::Trap { code: TrapCode::StackOverflow, pc: Some(_), .. });
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
    let mut backtrace = symbolize(&exit.backtrace);
    if at_entry && let Some(frame) = backtrace.frames.first_mut() {
        // Where the stack is compared, no operator has been reached, whatever comes first in the code.
        frame.module_offset = Some(frame.func_start);
    }
    if backtrace.frames.is_empty() { error } else { error.context(backtrace) }
}

/// The frames of a backtrace whose modules are alive; of guest code that is active all are.
pub(crate) fn symbolize(backtrace: &Backtrace) -> WasmBacktrace {
    let frames = backtrace.pcs.iter().filter_map(|&pc| {
        let position = registry::lookup(pc)?;
        let symbols = position.code.owner().downcast_ref::<Symbols>()?;
        let module = symbols.module()?;
        let own = position.func?;
        let func_index = module.inner().info.imported_funcs() + own as u32;
        let body = module.inner().info.bodies.get(own)?;
        Some(FrameInfo {
            func_index,
            module_offset: position.srcloc.map(|offset| offset as usize),
            func_start: body.start as usize,
            module,
        })
    });
    WasmBacktrace { frames: frames.collect(), truncated: backtrace.truncated }
}
