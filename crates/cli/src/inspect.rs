//! `runwell inspect`.

use crate::args::Inspect;
use crate::fail::{Code, Failure, in_file, plain};
use crate::load;
use crate::output::print;
use runwell::Result;
use runwell::inspect::{Which, WhichError};
use std::process::ExitCode;

pub(crate) fn inspect(options: &Inspect) -> Result<ExitCode> {
    let engine = load::engine(&options.compiler, |_| {})?;
    let bytes = load::binary(&options.file)?;
    let which = match options.func.parse() {
        Ok(index) => Which::Index(index),
        Err(_) => Which::Name(&options.func),
    };
    let inspection = runwell::inspect::inspect(&engine, &bytes, which).map_err(|error| {
        match error.downcast_ref::<WhichError>() {
            Some(which) => {
                Failure::error(Code::Usage, format!("{}: {which}", options.file.display()))
            }
            None => in_file(error, &options.file),
        }
    })?;
    let name =
        inspection.name.as_deref().map_or_else(String::new, |name| format!(" ({})", plain(name)));
    let (start, end) = (inspection.body.start, inspection.body.end);
    let bytes = end - start;
    print(&format!(
        "function {}{name}, {bytes} bytes of Wasm at {start:#x}..{end:#x}\n",
        inspection.func
    ))?;
    for section in inspection.sections {
        print(&format!("\n== {} ==\n{}", section.title, section.text))?;
    }
    Ok(ExitCode::SUCCESS)
}
