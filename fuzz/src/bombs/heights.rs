//! Where a body can be cut: the places between its operators, with what is on the stacks there.

use super::genome::Point;
use wasmparser::{
    BlockType, ContType, FrameKind, FuncType, FunctionBody, ModuleArity, Operator, Parser, Payload,
    RefType, SubType, TypeRef,
};

/// What tells how many values an operator takes and gives.
#[derive(Default)]
struct Arity {
    types: Vec<SubType>,
    /// Type indices of all functions, imported ones first.
    funcs: Vec<u32>,
    /// The open constructs, the function itself first.
    open: Vec<Open>,
}

struct Open {
    ty: BlockType,
    kind: FrameKind,
    /// Height of the operand stack below what it takes.
    floor: u32,
}

impl ModuleArity for Arity {
    fn sub_type_at(&self, index: u32) -> Option<&SubType> {
        self.types.get(index as usize)
    }

    fn tag_type_arity(&self, _: u32) -> Option<(u32, u32)> {
        None
    }

    fn type_index_of_function(&self, index: u32) -> Option<u32> {
        self.funcs.get(index as usize).copied()
    }

    fn func_type_of_cont_type(&self, _: &ContType) -> Option<&FuncType> {
        None
    }

    fn sub_type_of_ref_type(&self, _: &RefType) -> Option<&SubType> {
        None
    }

    fn control_stack_height(&self) -> u32 {
        self.open.len() as u32
    }

    fn label_block(&self, depth: u32) -> Option<(BlockType, FrameKind)> {
        let at = self.open.len().checked_sub(1 + depth as usize)?;
        Some((self.open[at].ty, self.open[at].kind))
    }
}

/// The places between the operators of each body of a module. They are as the validator would say if it
/// is valid, but the types of operands are not looked at: what a call takes a thousand values for costs
/// no more than another operator. None for what is certainly not valid.
///
/// # Complexity
/// O(bytes).
pub(super) fn points(module: &[u8]) -> Option<Vec<Vec<Point>>> {
    let mut arity = Arity::default();
    let mut imported = 0;
    let mut all = Vec::new();
    for payload in Parser::new(0).parse_all(module) {
        match payload.ok()? {
            Payload::TypeSection(section) => {
                for group in section {
                    arity.types.extend(group.ok()?.into_types());
                }
            }
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    if let TypeRef::Func(ty) = import.ok()?.ty {
                        arity.funcs.push(ty);
                    }
                }
                imported = arity.funcs.len();
            }
            Payload::FunctionSection(section) => {
                for ty in section {
                    arity.funcs.push(ty.ok()?);
                }
            }
            Payload::CodeSectionEntry(body) => {
                let ty = *arity.funcs.get(imported + all.len())?;
                all.push(arity.body(ty, &body)?);
            }
            _ => {}
        }
    }
    Some(all)
}

impl Arity {
    fn body(&mut self, ty: u32, body: &FunctionBody<'_>) -> Option<Vec<Point>> {
        let ty = BlockType::FuncType(ty);
        self.open.clear();
        self.open.push(Open { ty, kind: FrameKind::Block, floor: 0 });
        let mut ops = body.get_operators_reader().ok()?;
        let start = ops.original_position();
        let (mut points, mut height) = (Vec::new(), 0u32);
        while !ops.eof() {
            let (op, at) = ops.read_with_offset().ok()?;
            let at = (at - start) as usize;
            points.push(Point { at, height, depth: self.open.len() as u32 });
            let (takes, gives) = op.operator_arity(self)?;
            let floor = self.open.last()?.floor;
            // Behind what control does not pass there are as many operands as anybody wants.
            let left = height.saturating_sub(takes).max(floor);
            height = left.checked_add(gives)?;
            match op {
                Operator::Block { blockty: ty } => self.enter(ty, FrameKind::Block, left),
                Operator::Loop { blockty: ty } => self.enter(ty, FrameKind::Loop, left),
                Operator::If { blockty: ty } => self.enter(ty, FrameKind::If, left),
                Operator::Else => {
                    self.open.last_mut()?.kind = FrameKind::Else;
                    height = floor.checked_add(gives)?;
                }
                Operator::End => {
                    self.open.pop();
                    height = floor.checked_add(gives)?;
                }
                Operator::Unreachable
                | Operator::Br { .. }
                | Operator::BrTable { .. }
                | Operator::Return
                | Operator::ReturnCall { .. }
                | Operator::ReturnCallIndirect { .. } => height = floor,
                _ => {}
            }
        }
        let at = (ops.original_position() - start) as usize;
        points.push(Point { at, height: 0, depth: 0 });
        self.open.is_empty().then_some(points)
    }

    fn enter(&mut self, ty: BlockType, kind: FrameKind, floor: u32) {
        self.open.push(Open { ty, kind, floor });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bombs::grammar;
    use runwell_testkit::Rng;
    use runwell_wasm::features::SUPPORTED;
    use wasmparser::{FuncValidatorAllocations, ValidPayload, Validator};

    /// What the validator says.
    fn validated(module: &[u8]) -> Vec<Vec<Point>> {
        let mut validator = Validator::new_with_features(SUPPORTED);
        let mut all = Vec::new();
        for payload in Parser::new(0).parse_all(module) {
            let payload = payload.unwrap();
            let ValidPayload::Func(func, body) = validator.payload(&payload).unwrap() else {
                continue;
            };
            let mut validator = func.into_validator(FuncValidatorAllocations::default());
            let mut reader = body.get_binary_reader();
            validator.read_locals(&mut reader).unwrap();
            let mut ops = wasmparser::OperatorsReader::new(reader);
            let start = ops.original_position();
            let mut points = Vec::new();
            while !ops.eof() {
                let (op, at) = ops.read_with_offset().unwrap();
                points.push(Point {
                    at: (at - start) as usize,
                    height: validator.operand_stack_height(),
                    depth: validator.control_stack_height(),
                });
                validator.op(at, &op).unwrap();
            }
            let at = (ops.original_position() - start) as usize;
            points.push(Point { at, height: 0, depth: 0 });
            all.push(points);
        }
        all
    }

    #[test]
    fn places_are_where_the_validator_says() {
        let families = runwell_bombs::families().map(|family| (family.make)(3000));
        let grammar = (0..300).filter_map(|seed| grammar::module(&mut Rng(seed), 2000));
        let grammar = grammar.map(|genome| genome.encode()).filter(|m| super::super::valid(m));
        for (i, module) in families.chain(grammar).enumerate() {
            assert!(points(&module).unwrap() == validated(&module), "{i}");
        }
    }
}
