//! Verdicts on bodies, ours beside those of the library's validator.

use runwell_wasm::features::{EVERYTHING, SUPPORTED};
use runwell_wasm::{Error, ErrorKind, Limits, Parsed, Translator};
use wasmparser as wp;

/// A body with what the library needs to validate it.
type Func<'w> = (wp::FuncToValidate<wp::ValidatorResources>, wp::FunctionBody<'w>);

/// The bodies of a module that is valid but for these.
fn bodies(wasm: &[u8], features: wp::WasmFeatures) -> Vec<Func<'_>> {
    let mut validator = wp::Validator::new_with_features(features);
    let mut parser = wp::Parser::new(0);
    parser.set_features(features);
    let mut bodies = Vec::new();
    for payload in parser.parse_all(wasm) {
        if let wp::ValidPayload::Func(func, body) = validator.payload(&payload.unwrap()).unwrap() {
            bodies.push((func, body));
        }
    }
    bodies
}

/// What the library says about a body.
fn oracle((func, body): Func<'_>) -> wp::Result<()> {
    func.into_validator(Default::default()).validate(&body)
}

/// Compares the verdicts on one body: whether it is valid, or how they differ.
pub(crate) fn compare(
    translator: &mut Translator,
    parsed: &Parsed,
    wasm: &[u8],
    own: usize,
) -> Result<bool, String> {
    let ours = translator.validate(&parsed.info, &parsed.validation, wasm, own);
    let theirs = oracle(bodies(wasm, SUPPORTED).swap_remove(own));
    let translated = translator.translate(&parsed.info, &parsed.validation, wasm, own).map(|_| ());
    if ours != translated {
        return Err(format!("validation says {ours:?}, translation {translated:?}"));
    }
    judge(ours, theirs, || oracle(bodies(wasm, EVERYTHING).swap_remove(own)))
}

/// Compares the verdicts on all bodies of a module, without translating them: how many are valid.
pub(crate) fn compare_all(wasm: &[u8]) -> Result<usize, String> {
    let parsed = Parsed::parse(wasm, &Limits::default()).unwrap();
    let mut translator = Translator::new();
    let mut valid = 0;
    for (own, func) in bodies(wasm, SUPPORTED).into_iter().enumerate() {
        let ours = translator.validate(&parsed.info, &parsed.validation, wasm, own);
        let range = parsed.info.bodies[own].clone();
        let everything = || oracle(bodies(wasm, EVERYTHING).swap_remove(own));
        valid += usize::from(judge(ours, oracle(func), everything).map_err(|what| {
            format!("{:02x?}: {what}", &wasm[range.start as usize..range.end as usize])
        })?);
    }
    Ok(valid)
}

fn judge(
    ours: Result<(), Error>,
    theirs: wp::Result<()>,
    everything: impl Fn() -> wp::Result<()>,
) -> Result<bool, String> {
    let agree = match (&ours, &theirs) {
        (Ok(()), Ok(())) => true,
        (Err(ours), Err(theirs)) => agree(ours, theirs, everything),
        _ => false,
    };
    if agree { Ok(ours.is_ok()) } else { Err(format!("{ours:?}, but the library: {theirs:?}")) }
}

/// True if the errors are about the same thing at the same place. `everything` is what the library
/// says with all proposals.
fn agree(ours: &Error, theirs: &wp::Error, everything: impl Fn() -> wp::Result<()>) -> bool {
    let at = u64::from(ours.offset());
    match ours.kind() {
        // With an operator of a proposal that is off, what counts is what is wrong besides.
        ErrorKind::Invalid { message, .. } if theirs.missing_wasm_feature().is_some() => {
            let Err(theirs) = everything() else { return false };
            at == theirs.offset() && message == theirs.message()
        }
        ErrorKind::Invalid { message, .. } => {
            at == theirs.offset() && words(message) == words(theirs.message())
        }
        ErrorKind::Unsupported { what, proposal, .. } => {
            let same = at == theirs.offset() && what == theirs.message();
            same && *proposal != "unknown" && everything().is_ok()
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
