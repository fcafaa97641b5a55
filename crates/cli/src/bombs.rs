//! `runwell bombs`: what hostile modules cost.

mod measure;
mod report;

use crate::args::Bombs;
use crate::fail::{Code, Failure};
use crate::output::print;
use measure::{Figures, Way};
use report::Worst;
use runwell::Result;
use runwell_bombs::{Family, families, find};
use std::path::Path;
use std::process::ExitCode;

/// The size of the module that is compiled before time is measured.
const SMALL: usize = 4096;
/// How often a row is measured again whose time is over a bound: times as often as it was asked for.
const AGAIN: u32 = 4;

/// The command.
pub(crate) fn bombs(options: &Bombs) -> Result<ExitCode> {
    if options.measure {
        return measure::child(way(options));
    }
    let chosen = chosen(&options.families)?;
    if options.list {
        let width = chosen.iter().map(|family| family.name.len()).max().unwrap_or(0);
        for family in chosen {
            print(&format!("{:width$}  {}\n", family.name, family.attacks))?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(directory) = &options.emit {
        return emit(&chosen, &options.sizes, directory);
    }
    if !options.json {
        print(&format!(
            "{:<24} {:>8}  {:>8}  {:>9}  {:>9}  {:>8}  per byte of module; ! is over the bound\n",
            "family", "bytes", "µs", "work", "memory", "code"
        ))?;
    }
    let mut over = 0;
    let mut worst = Worst::default();
    for family in chosen {
        let row = row(family, options)?;
        let text =
            if options.json { report::json(family, &row) } else { report::text(family, &row) };
        print(&text)?;
        over += u32::from(report::is_over(&row));
        row.iter().for_each(|figures| worst.add(family.name, figures));
    }
    if !options.json {
        print(&worst.text())?;
    }
    Ok(if over == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn way(options: &Bombs) -> Way {
    Way { metered: options.metered, warm: options.warm }
}

/// The family at all sizes: the least time of as many processes as were asked for, and more while it
/// seems to be over a bound. Whatever else happens on a machine makes a compilation longer, never
/// shorter, so that more of them say more; sizes take turns, so that each meets the same.
fn row(family: &Family, options: &Bombs) -> Result<Vec<Figures>> {
    let small = (family.make)(SMALL);
    let modules: Vec<Vec<u8>> = options.sizes.iter().map(|&size| (family.make)(size)).collect();
    let mut row = Vec::new();
    for module in &modules {
        let figures = measure::alone(module, way(options))?;
        let micros = if figures.refused.is_none() { f64::INFINITY } else { figures.micros };
        row.push(Figures { micros, ..figures });
    }
    for run in 0..options.runs * (1 + AGAIN) {
        if run >= options.runs && !report::is_slow(&row) {
            break;
        }
        for (module, figures) in modules.iter().zip(&mut row) {
            if figures.refused.is_none() {
                let again = measure::after(&small, module, way(options))?;
                figures.micros = figures.micros.min(again.micros);
                figures.refused = again.refused;
            }
        }
    }
    Ok(row)
}

/// Writes the modules to files.
fn emit(families: &[&Family], sizes: &[usize], directory: &Path) -> Result<ExitCode> {
    for family in families {
        for &size in sizes {
            let file = directory.join(format!("{}-{size}.wasm", family.name));
            std::fs::write(&file, (family.make)(size)).map_err(|error| {
                let what = format!("{}: cannot be written: {error}", file.display());
                Failure::error(Code::Io, what)
            })?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The families asked for, or all.
fn chosen(names: &[String]) -> Result<Vec<&'static Family>> {
    if names.is_empty() {
        return Ok(families().collect());
    }
    let find = |name: &String| {
        find(name).ok_or_else(|| {
            let hint = match nearest(name) {
                Some(near) => format!("did you mean {near}?"),
                None => "`runwell bombs --list` names them".to_string(),
            };
            Failure::error(Code::Usage, format!("there is no family {name:?}; {hint}"))
        })
    };
    names.iter().map(find).collect()
}

/// The family whose name is most like `name`, if one is.
fn nearest(name: &str) -> Option<&'static str> {
    let rank = |family: &Family| {
        let contained = !name.is_empty() && family.name.contains(name);
        if contained { 0 } else { distance(name, family.name) }
    };
    let near = families().min_by_key(|family| rank(family))?;
    (rank(near) <= 1 + name.len() / 3).then_some(near.name)
}

/// Insertions, deletions and replacements from one word to another.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_nearly_right() {
        assert_eq!(nearest("loop_nest_phy"), Some("loop_nest_phi"));
        assert_eq!(nearest("manypreds"), Some("manypreds_phi"));
        assert_eq!(nearest("zzzzzzzzzzzz"), None);
        assert_eq!(distance("kitten", "sitting"), 3);
    }
}
