//! A second look at what was refused: is it about a proposal, or is the module at fault anyway?
//!
//! An error is looked at with every proposal of the library's validator enabled. What is valid then was
//! refused for a proposal; what is not is invalid, whatever else it uses. That validator takes the
//! types of a wide operator one by one, which is not linear in the module, so it has a budget of
//! types: a body that spends it is not looked at any further, and the error stays what it was. The
//! budget counts types, not time, so the outcome is the same everywhere.

use crate::error::{Error, ErrorKind};
use crate::features::{EVERYTHING, proposal_in};
use wasmparser as wp;
use wasmparser::{
    BinaryReader, FrameKind, FunctionBody, Operator, Parser, ValidPayload, Validator,
};

/// Types that operators take and give, per byte. Ordinary code moves one or two.
const TYPES_PER_BYTE: usize = 8;
/// Types that even the smallest body may move: those of the widest signature.
const TYPES_BASE: usize = 2000;

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
) -> Error {
    let Some(mut func) = func else { return error };
    if is_settled(&error) {
        return error;
    }
    func.features = EVERYTHING;
    let mut budget = TYPES_BASE + TYPES_PER_BYTE * body.len();
    let reader = BinaryReader::new_features(body, at.into(), EVERYTHING);
    let mut allocations = Default::default();
    resolve(error, validate(func, FunctionBody::new(reader), &mut allocations, &mut budget))
}

/// Decides whether the error of a module outside of its bodies is about a proposal or about the
/// module.
#[cold]
pub(crate) fn look_at_module(error: Error, bytes: &[u8]) -> Error {
    if is_settled(&error) {
        return error;
    }
    let verdict = match validate_module(bytes) {
        Ok(verdict) => verdict,
        Err(error) => Verdict::Invalid(error),
    };
    resolve(error, verdict)
}

fn is_settled(error: &Error) -> bool {
    use ErrorKind::{Cancelled, Component, Limit};
    matches!(error.kind(), Limit { .. } | Component | Cancelled)
}

fn validate_module(bytes: &[u8]) -> wp::Result<Verdict> {
    let mut validator = Validator::new_with_features(EVERYTHING);
    let mut parser = Parser::new(0);
    parser.set_features(EVERYTHING);
    let mut bodies = Vec::new();
    for payload in parser.parse_all(bytes) {
        if let ValidPayload::Func(func, body) = validator.payload(&payload?)? {
            bodies.push((func, body));
        }
    }
    let mut budget = TYPES_BASE + TYPES_PER_BYTE * bytes.len();
    let mut allocations = Default::default();
    for (func, body) in bodies {
        match validate(func, body, &mut allocations, &mut budget) {
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
    budget: &mut usize,
) -> Verdict {
    let mut validator = func.into_validator(std::mem::take(allocations));
    let verdict = match walk(&mut validator, &body, budget) {
        Ok(true) => Verdict::Valid,
        Ok(false) => Verdict::Undecided,
        Err(error) => Verdict::Invalid(error),
    };
    *allocations = validator.into_allocations();
    verdict
}

/// Validates a body; false when the budget does not reach.
fn walk(
    validator: &mut wp::FuncValidator<wp::ValidatorResources>,
    body: &FunctionBody<'_>,
    budget: &mut usize,
) -> wp::Result<bool> {
    let mut reader = body.get_binary_reader();
    validator.read_locals(&mut reader)?;
    reader.set_features(*validator.features());
    while !reader.eof() {
        let at = reader.original_position();
        let operator = reader.peek_operator(&validator.visitor(at))?;
        let types = types_of(&operator, validator, at);
        match budget.checked_sub(types) {
            Some(rest) => *budget = rest,
            None => return Ok(false),
        }
        reader.visit_operator(&mut validator.visitor(at))??;
    }
    let at = reader.original_position();
    reader.finish_expression(&validator.visitor(at))?;
    Ok(true)
}

/// How many types the library's validator looks at for an operator. One that is at fault may count
/// for fewer: it is the last.
fn types_of(
    operator: &Operator<'_>,
    validator: &mut wp::FuncValidator<wp::ValidatorResources>,
    at: u64,
) -> usize {
    let module = validator.visitor(at);
    let label = |depth| {
        use wp::ModuleArity;
        let (ty, kind) = module.label_block(depth)?;
        let (params, results) = module.block_type_arity(ty)?;
        Some(if kind == FrameKind::Loop { params } else { results } as usize)
    };
    let label = |depth| label(depth).unwrap_or(0);
    let (taken, given) = operator.operator_arity(&module).unwrap_or((0, 0));
    let extra: usize = match operator {
        Operator::BrTable { targets } => {
            // All have as many types as the default one, or the operator is at fault.
            2 * targets.len() as usize * label(targets.default())
        }
        Operator::TryTable { try_table } => {
            let labels = try_table.catches.iter().map(|catch| match *catch {
                wp::Catch::One { label, .. }
                | wp::Catch::OneRef { label, .. }
                | wp::Catch::All { label }
                | wp::Catch::AllRef { label } => label,
            });
            labels.map(label).sum()
        }
        Operator::Resume { resume_table, .. }
        | Operator::ResumeThrow { resume_table, .. }
        | Operator::ResumeThrowRef { resume_table, .. } => {
            let labels = resume_table.handlers.iter().map(|handler| match *handler {
                wp::Handle::OnLabel { label: depth, .. } => label(depth),
                wp::Handle::OnSwitch { .. } => 0,
            });
            labels.sum::<usize>() + resume_table.handlers.len() * given as usize
        }
        _ => 0,
    };
    taken as usize + given as usize + extra
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
        _ => error,
    }
}
