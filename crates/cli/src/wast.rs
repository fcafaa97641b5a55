//! `runwell wast`.

use crate::args::Wast;
use crate::fail::{Code, Failure};
use crate::load;
use crate::output::print;
use runwell::Result;
use runwell_wast::Report;
use std::process::ExitCode;

pub(crate) fn wast(options: &Wast) -> Result<ExitCode> {
    let engine = load::engine(&options.compiler, |_| {})?;
    let mut total = Report::default();
    let mut broken = 0;
    for file in &options.files {
        let name = file.display();
        let bytes = load::bytes(file)?;
        let text = String::from_utf8(bytes).map_err(|error| {
            let at = error.utf8_error().valid_up_to();
            Failure::error(Code::Invalid, format!("{name}: not UTF-8 text at byte {at:#x}"))
        })?;
        match runwell_wast::run(&engine, &text) {
            Ok(report) => {
                for failure in &report.failed {
                    let (line, column) = (failure.line, failure.column);
                    print(&format!("{name}:{line}:{column}: {}\n", failure.message))?;
                }
                print(&format!("{name}: {}\n", summary(&report)))?;
                total.add(&report);
            }
            Err(error) => {
                broken += 1;
                print(&format!("{name}: not a script: {error:#}\n"))?;
            }
        }
    }
    print(&format!("total: {}\n", summary(&total)))?;
    let failed = broken != 0 || !total.failed.is_empty();
    Ok(ExitCode::from(u8::from(failed)))
}

fn summary(report: &Report) -> String {
    let mut text = format!(
        "{} passed, {} failed, {} skipped",
        report.passed,
        report.failed.len(),
        report.skipped_total()
    );
    if !report.skipped.is_empty() {
        let reasons: Vec<String> =
            report.skipped.iter().map(|(why, count)| format!("{why} {count}")).collect();
        text += &format!(" ({})", reasons.join(", "));
    }
    text
}
