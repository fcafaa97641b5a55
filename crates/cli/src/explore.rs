//! `runwell explore`: a module's Wasm text, IR and machine code side by side, as one page.
//!
//! The page needs nothing but itself. Texts are kept compressed, some functions to a piece, and a piece
//! is unpacked when one of its functions is looked at; of a function only the lines in sight become
//! elements. So a module of thousands of functions opens at once.
//!
//! # Complexity
//! The page is linear in the module, as IR and machine code are: lines are cut at a length, of which
//! a module can make one with few bytes. Writing Wasm as text may take a thousand times as long as
//! the module is large, where thousands of functions have types of a thousand parameters.
//!
//! Whatever names a module brings, the page shows them and does not obey them: all text is put into
//! it as JSON without `<`, and from there into text nodes.

mod pack;
mod text;

use crate::args::Explore;
use crate::fail::{Code, Failure, in_file};
use crate::output::{self, json_string};
use crate::{load, progress};
use pack::Pieces;
use runwell::inspect::{self, Inspection, Inspector, Section, Which};
use runwell::{Error, Result};
use std::fmt::Write as _;
use std::iter;
use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use text::Column;

const PAGE: &str = include_str!("explore/page.html");
const STYLE: &str = include_str!("explore/page.css");
const SCRIPT: &str = include_str!("explore/page.js");

/// Characters of a name that the page shows.
const NAME: usize = 200;

pub(crate) fn explore(options: &Explore) -> Result<ExitCode> {
    let engine = load::engine(&options.compiler, |_| {})?;
    let bytes = load::binary(&options.file)?;
    let about = |error: Error| in_file(error, &options.file);
    let mut inspector = inspect::inspector(&engine, &bytes).map_err(about)?;
    let wanted = wanted(&inspector, options)?;
    let page = page(&mut inspector, &bytes, &wanted, options.stages, &options.file)?;
    output::write(&options.output, page.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

/// Indices of the functions that are asked for, ascending.
fn wanted(inspector: &Inspector<'_>, options: &Explore) -> Result<Vec<u32>> {
    let info = inspector.info();
    let mut wanted: Vec<u32> = (info.imported_funcs()..info.funcs.len() as u32).collect();
    if !options.funcs.is_empty() {
        let find = |name: &String| {
            let which = name.parse().map_or(Which::Name(name), Which::Index);
            let file = options.file.display();
            inspector
                .find(which)
                .map_err(|error| Failure::error(Code::Usage, format!("{file}: {error}")))
        };
        let named = options.funcs.iter().map(find).collect::<Result<Vec<u32>>>()?;
        wanted.retain(|index| named.contains(index));
    }
    Ok(wanted)
}

fn page(
    inspector: &mut Inspector<'_>,
    bytes: &[u8],
    wanted: &[u32],
    stages: bool,
    file: &Path,
) -> Result<String> {
    let bodies = inspector.info().bodies.clone();
    let imported = inspector.info().imported_funcs();
    let mut wasm = text::of_functions(bytes, &bodies);
    let mut pieces = Pieces::default();
    let mut list = String::new();
    let done = AtomicU64::new(0);
    let of = || (done.load(Ordering::Relaxed), wanted.len() as u64);
    progress::watch_steps(file, "functions", &of, || {
        for &index in wanted {
            let inspection =
                inspector.function(index).map_err(|error| in_file(inspect::error(error), file))?;
            let body = &mut wasm[(index - imported) as usize];
            let (facts, start) = (facts(&inspection), inspection.body.start);
            let texts = columns(std::mem::take(body), inspection.sections, stages);
            let (piece, place) = pieces.add(texts);
            let comma = if list.is_empty() { "" } else { "," };
            let _ = write!(list, "{comma}[{facts},{piece},{place},{start}]");
            done.fetch_add(1, Ordering::Relaxed);
        }
        Ok::<(), Error>(())
    })?;
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let titles = if stages { "\"selected\",\"allocated\"," } else { "" };
    let meta = format!(
        "{{\"file\":{},\"bytes\":{},\"columns\":[\"Wasm\",\"IR\",{titles}\"machine code\"],\
         \"funcs\":[{list}]}}",
        json_string(&name),
        bytes.len(),
    );
    // In a script element only `<` can end it.
    let meta = meta.replace('<', "\\u003c");
    let holes = [
        ("/*STYLE*/", STYLE.to_string()),
        ("/*META*/", meta),
        ("<!--PIECES-->", pieces.elements()),
        ("/*SCRIPT*/", SCRIPT.to_string()),
    ];
    let mut out = String::new();
    let mut rest = PAGE;
    for (hole, filling) in holes {
        let (before, after) = rest.split_once(hole).expect("the page has this hole");
        out.push_str(before);
        out.push_str(&filling);
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}

/// What the list of functions shows of one.
fn facts(inspection: &Inspection) -> String {
    let costs = &inspection.costs;
    let name: String = inspection.name.iter().flat_map(|name| name.chars()).take(NAME).collect();
    format!(
        "{},{},{},{},{},{},{}",
        inspection.func,
        json_string(&name),
        inspection.body.len(),
        costs.work,
        costs.code_bytes,
        costs.frame_bytes,
        costs.traps,
    )
}

/// The texts of one function in the order of their titles. Offsets are left out: pointing shows them.
fn columns(wasm: Column, sections: Vec<Section>, stages: bool) -> impl Iterator<Item = Column> {
    let last = sections.len() - 1;
    let sections = sections.into_iter().enumerate();
    let wanted = sections.filter(move |&(at, _)| at == 0 || at == last || stages);
    iter::once(wasm).chain(wanted.map(move |(number, section)| {
        let mut column = Column::default();
        let lines = section.text.lines().zip(&section.offsets);
        if number == 0 {
            lines.for_each(|(line, &from)| {
                column.push(line.rsplit_once(" @0x").map_or(line, |(line, _)| line), from);
            });
        } else if number == last {
            // The first two lines are a summary and a heading.
            lines.enumerate().filter(|&(at, _)| at != 1).for_each(|(at, (line, &from))| match at {
                0 => column.push(line, from),
                _ => column.push(&instruction(line.get(11..).unwrap_or_default()), from),
            });
        } else {
            lines.for_each(|(line, &from)| column.push(line, from));
        }
        column
    }))
}

/// A line of a listing, `offset  bytes  instruction`, with its bytes last, and tabs for the page to tell
/// the parts apart.
fn instruction(line: &str) -> String {
    let (offset, rest) = line.split_at_checked(8).unwrap_or((line, ""));
    let (bytes, text) = rest.split_once("  ").unwrap_or((rest, ""));
    format!("{}\t  {:<34}\t  {bytes}", offset.trim_end(), text.trim_start())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hostile::{self, Amounts};
    use runwell::Engine;

    fn page_of(text: &str) -> String {
        let engine = Engine::default();
        let bytes = runwell::text_to_binary(text.as_bytes(), None).expect("a module");
        let mut inspector = inspect::inspector(&engine, &bytes).expect("a module");
        let info = inspector.info();
        let wanted: Vec<u32> = (info.imported_funcs()..info.funcs.len() as u32).collect();
        page(&mut inspector, &bytes, &wanted, true, Path::new("x</script>.wasm")).expect("a page")
    }

    /// Bytes of the page per byte of module, and of memory.
    const MOST: Amounts = Amounts { text: 200.0, memory: 3000.0 };

    /// The length of the page with everything in it.
    fn whole(engine: &Engine, bytes: &[u8]) -> Result<usize> {
        let mut inspector = inspect::inspector(engine, bytes)?;
        let info = inspector.info();
        let wanted: Vec<u32> = (info.imported_funcs()..info.funcs.len() as u32).collect();
        Ok(page(&mut inspector, bytes, &wanted, true, Path::new("x.wasm"))?.len())
    }

    #[test]
    fn pages_of_hostile_modules_are_in_proportion() {
        hostile::in_proportion(MOST, whole);
    }

    #[test]
    fn damaged_modules_have_a_page_or_are_refused() {
        hostile::damaged(whole);
    }

    #[test]
    fn bytes_of_instructions_come_last() {
        let line = instruction("     e  c5 db 58 e4                    add eax, 1  ; traps: x");
        assert_eq!(line, format!("     e\t  {:<34}\t  c5 db 58 e4", "add eax, 1  ; traps: x"));
        assert_eq!(instruction("    52  cc cc"), format!("    52\t  {:<34}\t  cc cc", ""));
        assert_eq!(instruction(""), format!("\t  {:<34}\t  ", ""));
    }

    #[test]
    fn hostile_names_stay_text() {
        let name = r"</script><script>alert(1)</script><!--\u{2028}";
        let page = page_of(&format!(r#"(module (func (export "{name}")))"#));
        let plain = page_of(r#"(module (func (export "f")))"#);
        for text in ["<script", "</script", "<!--", "alert(1)"] {
            let expected = plain.matches(text).count() + usize::from(text == "alert(1)");
            assert_eq!(page.matches(text).count(), expected, "{text}");
        }
        assert!(page.contains(r"\u003c/script>\u003cscript>alert(1)"));
    }

    #[test]
    fn the_page_grows_with_the_module_and_no_faster() {
        let module = |count: usize, params: usize| {
            let func = format!("(func (param {}))", "i64 ".repeat(params));
            page_of(&format!("(module {})", func.repeat(count))).len() as f64
        };
        let empty = module(0, 0);
        let slope = |params| (module(2000, params) - empty) / (module(1000, params) - empty);
        assert!(slope(0) < 2.1, "{}", slope(0));
        // The type is stated once, and shown by each function.
        let wide = (module(1000, 900) - module(1000, 0)) / 1000.0;
        assert!(wide < 400.0, "{wide} bytes more per function");
    }
}
