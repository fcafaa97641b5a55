//! `runwell objdump`: the machine code that runs, of a module or of a compiled one.

use crate::args::Objdump;
use crate::fail::{Code, Failure, near, plain};
use crate::load;
use crate::output::print;
use runwell::inspect::{self, Arch};
use runwell::{Module, ModuleFunction, Result};
use std::fmt::Write as _;
use std::process::ExitCode;

pub(crate) fn objdump(options: &Objdump) -> Result<ExitCode> {
    let mut key = Ok(());
    let engine = load::engine(&options.compiler, |config| {
        key = load::image_key(config, &options.image_key);
    })?;
    key?;
    let module = load::module(&engine, &options.file)?;
    let wanted = wanted(&module, options)?;
    let arch = match engine.target().arch {
        Arch::X64 => "x86-64".to_string(),
        other => format!("{other:?}"),
    };
    print(&format!(
        "{}: {arch}, {} functions, {} bytes of machine code, {} instructions that may trap\n",
        options.file.display(),
        module.functions().len(),
        module.text().len(),
        inspect::traps(&module).count(),
    ))?;
    let list = if options.traps { traps } else { code };
    list(&module, &wanted, &mut print)?;
    Ok(ExitCode::SUCCESS)
}

/// Bytes of text that are printed at once.
const PIECE: usize = 64 << 10;

/// Is given a listing piece by piece.
type Print<'a> = &'a mut dyn FnMut(&str) -> Result<()>;

/// For each function whether it was asked for.
fn wanted(module: &Module, options: &Objdump) -> Result<Vec<bool>> {
    let mut wanted = vec![options.funcs.is_empty(); module.functions().len()];
    for name in &options.funcs {
        let index = name.parse::<u32>().ok();
        let bare = name.strip_prefix('$').unwrap_or(name);
        let named = |func: &ModuleFunction| match index {
            Some(index) => func.index == index,
            None => func.name.as_deref().is_some_and(|known| known == name || known == bare),
        };
        let mut found = false;
        for (func, wanted) in module.functions().zip(&mut wanted) {
            if named(&func) {
                (found, *wanted) = (true, true);
            }
        }
        if !found {
            let names: Vec<String> = module.functions().filter_map(|func| func.name).collect();
            let hint = near(name, names.iter().map(|name| &**name))
                .map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
            let file = options.file.display();
            let message = format!("{file}: there is no function `{name}` with machine code{hint}");
            return Err(Failure::error(Code::Usage, message));
        }
    }
    Ok(wanted)
}

/// The name of a function, cut where it is too long to be read: it may stand in each line of a list.
fn title(func: &ModuleFunction) -> String {
    const SHOWN: usize = 256;
    match &func.name {
        Some(name) => match name.char_indices().nth(SHOWN) {
            None => plain(name).into_owned(),
            Some((end, _)) => format!("{}…", plain(&name[..end])),
        },
        None => format!("function {}", func.index),
    }
}

/// The machine code of the functions that are wanted.
///
/// # Complexity
/// Linear in code and tables: positions and traps are gone through once, beside the functions.
fn code(module: &Module, wanted: &[bool], print: Print<'_>) -> Result<()> {
    let text = module.text();
    let mut traps = inspect::traps(module).peekable();
    let mut map = module.address_map().into_iter().flatten().peekable();
    for ((func, frame), wanted) in module.functions().zip(inspect::frame_bytes(module)).zip(wanted)
    {
        if !wanted {
            continue;
        }
        let (start, end) = (func.offset, func.offset + func.len);
        while traps.next_if(|&(offset, _)| offset < start).is_some() {}
        while map.next_if(|&(offset, _)| offset < start).is_some() {}
        let mut out = format!(
            "\n{start:016x} <{}>: function {}, {} bytes, frame of {frame} bytes\n",
            title(&func),
            func.index,
            func.len
        );
        for line in inspect::disassemble(module, start..end) {
            let (at, after) = (line.offset as usize, (line.offset + line.len) as usize);
            let _ = write!(out, "{at:8x}:  ");
            let bytes: Vec<String> = text[at..after].iter().map(|b| format!("{b:02x}")).collect();
            let Some(inst) = line.text else {
                let _ = writeln!(out, "{}", bytes.join(" "));
                continue;
            };
            let _ = write!(out, "{:<30}  {}", bytes.join(" "), plain(&inst));
            let mut from = None;
            while let Some((_, source)) = map.next_if(|&(offset, _)| offset <= at) {
                from = source;
            }
            if let Some(from) = from {
                let _ = write!(out, "  ; {from:#x}");
            }
            while let Some((_, trap)) = traps.next_if(|&(offset, _)| offset < after) {
                let _ = write!(out, "  ; may trap: {}", reason(trap));
            }
            out.push('\n');
            if out.len() > PIECE {
                print(&out)?;
                out.clear();
            }
        }
        print(&out)?;
    }
    Ok(())
}

/// The instructions of the functions that are wanted that may trap.
///
/// # Complexity
/// As of [`code`].
fn traps(module: &Module, wanted: &[bool], print: Print<'_>) -> Result<()> {
    let mut out = format!("\n{:>8}  {:>8}  {:<32}  function\n", "code", "wasm", "reason");
    let mut traps = inspect::traps(module).peekable();
    let mut map = module.address_map().into_iter().flatten().peekable();
    for (func, wanted) in module.functions().zip(wanted) {
        let end = func.offset + func.len;
        let name = title(&func);
        let mut from = None;
        while let Some((at, trap)) = traps.next_if(|&(offset, _)| offset < end) {
            while let Some((_, source)) = map.next_if(|&(offset, _)| offset <= at) {
                from = source;
            }
            if *wanted {
                let from = from.map_or_else(String::new, |from| format!("{from:#x}"));
                let _ = writeln!(out, "{at:8x}  {from:>8}  {:<32}  {name}", reason(trap));
            }
        }
        while map.next_if(|&(offset, _)| offset < end).is_some() {}
        if out.len() > PIECE {
            print(&out)?;
            out.clear();
        }
    }
    print(&out)
}

/// Why, without the words that all messages begin with.
fn reason(trap: runwell::Trap) -> String {
    let text = trap.to_string();
    text.strip_prefix("wasm trap: ").map_or(text.clone(), str::to_string)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hostile::{self, Amounts};
    use runwell::Engine;

    /// Bytes of text per byte of module, and of memory.
    const MOST: Amounts = Amounts { text: 600.0, memory: 800.0 };

    fn listing(engine: &Engine, bytes: &[u8]) -> Result<usize> {
        let module = Module::from_binary(engine, bytes)?;
        let wanted = vec![true; module.functions().len()];
        let mut bytes = 0;
        for list in [code, traps] {
            list(&module, &wanted, &mut |text| {
                bytes += text.len();
                Ok(())
            })?;
        }
        Ok(bytes)
    }

    #[test]
    fn listings_of_hostile_modules_are_in_proportion() {
        hostile::in_proportion(MOST, listing);
    }

    #[test]
    fn damaged_modules_are_listed_or_refused() {
        hostile::damaged(listing);
    }
}
