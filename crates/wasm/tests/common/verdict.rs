//! Verdicts on bodies, ours beside those of the library's validator.

use runwell_wasm::features::{EVERYTHING, SUPPORTED};
use runwell_wasm::{Error, ErrorKind, Parsed, Translator};
use wasmparser as wp;

/// What the library says about own function number `own`.
fn oracle(wasm: &[u8], own: usize, features: wp::WasmFeatures) -> wp::Result<()> {
    let mut validator = wp::Validator::new_with_features(features);
    let mut parser = wp::Parser::new(0);
    parser.set_features(features);
    let mut next = 0;
    for payload in parser.parse_all(wasm) {
        if let wp::ValidPayload::Func(func, body) = validator.payload(&payload?)? {
            if next == own {
                return func.into_validator(Default::default()).validate(&body);
            }
            next += 1;
        }
    }
    panic!("no function {own}")
}

/// Compares the verdicts on one body: whether it is valid, or how they differ.
pub(crate) fn compare(
    translator: &mut Translator,
    parsed: &Parsed,
    wasm: &[u8],
    own: usize,
) -> Result<bool, String> {
    let ours = translator.validate(&parsed.info, &parsed.validation, wasm, own);
    let theirs = oracle(wasm, own, SUPPORTED);
    let translated = translator.translate(&parsed.info, &parsed.validation, wasm, own).map(|_| ());
    if ours != translated {
        return Err(format!("validation says {ours:?}, translation {translated:?}"));
    }
    let agree = match (&ours, &theirs) {
        (Ok(()), Ok(())) => true,
        (Err(ours), Err(theirs)) => agree(ours, theirs, || oracle(wasm, own, EVERYTHING)),
        _ => false,
    };
    if agree { Ok(ours.is_ok()) } else { Err(format!("{ours:?}, but the library: {theirs:?}")) }
}

/// True if the errors are about the same thing at the same place. `everything` is what the library
/// says with all proposals.
fn agree(ours: &Error, theirs: &wp::Error, everything: impl Fn() -> wp::Result<()>) -> bool {
    let at = u64::from(ours.offset());
    match (ours.kind(), everything()) {
        (ErrorKind::Invalid { message, .. }, Err(everything)) => {
            // With an operator of a proposal that is off, what counts is what is wrong besides.
            let missing = theirs.missing_wasm_feature().is_some();
            let theirs = if missing { &everything } else { theirs };
            at == theirs.offset() && words(message) == words(theirs.message())
        }
        (ErrorKind::Unsupported { what, proposal, .. }, Ok(())) => {
            at == theirs.offset() && what == theirs.message() && *proposal != "unknown"
        }
        _ => false,
    }
}

/// A message, but for how the library calls the type of `ref.func`.
fn words(message: &str) -> String {
    match message.split_once("found (ref ") {
        Some((start, _)) => format!("{start}found funcref"),
        None => message.to_string(),
    }
}
