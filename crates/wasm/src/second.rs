//! A second look at what was refused: is it about a proposal, or is the module at fault anyway?
//!
//! An error is looked at with every proposal of the library's validator enabled. What is valid then was
//! refused for a proposal; what is not is invalid, whatever else it uses. That validator takes the
//! types of a wide operator one by one, and compares each with its supertypes one by one, which is not
//! linear in the module. So it has a budget of such *looks*: when it is spent, nothing is looked at any
//! further, and the error stays what it was. The budget counts looks, not time, so the outcome is the
//! same everywhere; what takes how many of them is in [`looks`].
//!
//! # Complexity
//! Linear, by the budget. It is not on the meter: there is no result that could tell of it. Whoever
//! cancels is heard.

mod looks;

use crate::error::{Error, ErrorKind};
use crate::features::{EVERYTHING, proposal_in};
use looks::{Budget, Function, Types};
use runwell_ir::Work;
use runwell_ir::work::Pass;
use wasmparser as wp;
use wasmparser::{BinaryReader, FunctionBody, Parser, ValidPayload, Validator};

/// Operators between two questions whether to stop.
const OPERATORS_PER_QUESTION: u32 = 1024;

/// What a second look has found.
enum Verdict {
    /// It is valid with every proposal.
    Valid,
    /// It is not.
    Invalid(wp::Error),
    /// It takes too long to tell.
    Undecided,
}

/// Decides whether the error of a body, at `at` in its module, is about a proposal or about the body.
/// `func` is what the library's validator needs for it.
#[cold]
pub(crate) fn look_at_body(
    error: Error,
    func: Option<wp::FuncToValidate<wp::ValidatorResources>>,
    body: &[u8],
    at: u32,
    work: &Work,
) -> Error {
    let Some(mut func) = func else { return error };
    if is_settled(&error) {
        return error;
    }
    func.features = EVERYTHING;
    let mut budget = Budget::of(body.len());
    let reader = BinaryReader::new_features(body, at.into(), EVERYTHING);
    let mut allocations = Default::default();
    let body = FunctionBody::new(reader);
    // What the module has no types for is invalid at once.
    let types = Types::default();
    resolve(error, validate(func, body, &mut allocations, &types, &mut budget, work))
}

/// Decides whether the error of a module outside of its bodies is about a proposal or about the
/// module.
#[cold]
pub(crate) fn look_at_module(error: Error, bytes: &[u8], work: &Work) -> Error {
    if is_settled(&error) {
        return error;
    }
    let verdict = match validate_module(bytes, work) {
        Ok(verdict) => verdict,
        Err(error) => Verdict::Invalid(error),
    };
    resolve(error, verdict)
}

fn is_settled(error: &Error) -> bool {
    use ErrorKind::{Cancelled, Component, Limit};
    matches!(error.kind(), Limit { .. } | Component | Cancelled)
}

fn validate_module(bytes: &[u8], work: &Work) -> wp::Result<Verdict> {
    let mut validator = Validator::new_with_features(EVERYTHING);
    let mut parser = Parser::new(0);
    parser.set_features(EVERYTHING);
    let mut types = Types::default();
    let mut budget = Budget::of(bytes.len());
    let mut bodies = Vec::new();
    for payload in parser.parse_all(bytes) {
        let payload = payload?;
        types.add(&payload);
        if !budget.spend(types.looks_at(&payload)) || work.check(Pass::Parse).is_err() {
            return Ok(Verdict::Undecided);
        }
        if let ValidPayload::Func(func, body) = validator.payload(&payload)? {
            bodies.push((func, body));
        }
    }
    let mut allocations = Default::default();
    for (func, body) in bodies {
        match validate(func, body, &mut allocations, &types, &mut budget, work) {
            Verdict::Valid => {}
            other => return Ok(other),
        }
    }
    Ok(Verdict::Valid)
}

fn validate(
    func: wp::FuncToValidate<wp::ValidatorResources>,
    body: FunctionBody<'_>,
    allocations: &mut wp::FuncValidatorAllocations,
    types: &Types,
    budget: &mut Budget,
    work: &Work,
) -> Verdict {
    let function = Function::new(&func, types);
    // Parameters are declared one by one.
    if !budget.spend(function.params) {
        return Verdict::Undecided;
    }
    let mut validator = func.into_validator(std::mem::take(allocations));
    let verdict = match walk(&mut validator, &body, &function, budget, work) {
        Ok(true) => Verdict::Valid,
        Ok(false) => Verdict::Undecided,
        Err(error) => Verdict::Invalid(error),
    };
    *allocations = validator.into_allocations();
    verdict
}

/// Validates a body; false when the budget does not reach, or somebody says so.
fn walk(
    validator: &mut wp::FuncValidator<wp::ValidatorResources>,
    body: &FunctionBody<'_>,
    function: &Function<'_>,
    budget: &mut Budget,
    work: &Work,
) -> wp::Result<bool> {
    let mut reader = body.get_binary_reader();
    validator.read_locals(&mut reader)?;
    reader.set_features(*validator.features());
    let mut operators = 0;
    while !reader.eof() {
        let at = reader.original_position();
        let operator = reader.peek_operator(&validator.visitor(at))?;
        if !budget.spend(function.looks_at(&operator, validator, at)) {
            return Ok(false);
        }
        operators += 1;
        if operators % OPERATORS_PER_QUESTION == 0 && work.check(Pass::Parse).is_err() {
            return Ok(false);
        }
        reader.visit_operator(&mut validator.visitor(at))??;
    }
    let at = reader.original_position();
    reader.finish_expression(&validator.visitor(at))?;
    Ok(true)
}

/// Combines the error with the supported proposals and what is so with all of them.
fn resolve(error: Error, verdict: Verdict) -> Error {
    match (error.kind(), verdict) {
        (ErrorKind::Unsupported { .. }, Verdict::Invalid(other)) => {
            Error::invalid(other.message(), u32::try_from(other.offset()).unwrap_or(u32::MAX))
        }
        (ErrorKind::Invalid { message, offset, .. }, Verdict::Valid) => {
            Error::unsupported(proposal_in(message), message.clone(), *offset)
        }
        // The message itself says that it is about a proposal.
        (ErrorKind::Invalid { message, offset, .. }, Verdict::Undecided)
            if message.contains("must be enabled") =>
        {
            Error::unsupported(proposal_in(message), message.clone(), *offset)
        }
        _ => error,
    }
}
