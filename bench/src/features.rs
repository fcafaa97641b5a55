//! What a module needs of an engine: the proposals without which it does not validate.

use anyhow::{Context, Result};
use wasmparser::{Validator, WasmFeatures};

/// `bench features FILE…`
///
/// # Errors
/// When a file cannot be read.
pub fn command(files: &[String]) -> Result<()> {
    for file in files {
        let bytes = std::fs::read(file).with_context(|| format!("cannot read {file}"))?;
        let all = WasmFeatures::all();
        let valid = |features| Validator::new_with_features(features).validate_all(&bytes).is_ok();
        if !valid(all) {
            println!("{file}: not valid with every feature on");
            continue;
        }
        // A feature is needed if the module is not valid without it. Some imply others and
        // cannot be told apart this way, so they are taken off one at a time from the full set.
        let needed: Vec<String> = all
            .iter_names()
            .filter(|(_, feature)| !valid(all.difference(*feature)))
            .map(|(name, _)| name.to_lowercase())
            .collect();
        println!("{file}: {}", needed.join(", "));
    }
    Ok(())
}
