//! What the library's validator looks at, counted beforehand.
//!
//! A *look* is at one type: a value's, a field's, or one supertype on the way from a type to the one
//! that is asked for. Two bytes can ask for a thousand types with up to 63 supertypes each, so looks are
//! what a budget has to be of. Operators that name no type of the module look at as many types as they
//! take and give, and that is how the library counts them, too ([`Operator::operator_arity`]); what it
//! leaves out is added here.

use wasmparser as wp;
use wasmparser::{
    Catch, CompositeInnerType, ConstExpr, DataKind, ElementItems, ElementKind, FrameKind, Handle,
    ModuleArity, Operator, Payload, ResumeTable, TableInit, WasmModuleResources,
};

/// Looks per byte. Ordinary code takes four where types have ten supertypes, else one or two.
const LOOKS_PER_BYTE: usize = 16;
/// Looks that even the smallest body may take: at some thousand types.
const LOOKS_BASE: usize = 1 << 14;

/// Looks that are left.
pub(super) struct Budget(usize);

impl Budget {
    /// For so many bytes.
    pub(super) fn of(bytes: usize) -> Budget {
        Budget(LOOKS_BASE + LOOKS_PER_BYTE * bytes)
    }

    /// Takes `looks` off; false when there are not as many.
    pub(super) fn spend(&mut self, looks: usize) -> bool {
        match self.0.checked_sub(looks) {
            Some(rest) => self.0 = rest,
            None => return false,
        }
        true
    }
}

/// What counts of the types of a module. They are known before they are validated, so nothing is taken
/// for granted.
#[derive(Default)]
pub(super) struct Types {
    /// By index: how many fields, parameters or results there are.
    widths: Vec<u32>,
    /// By index: how many supertypes there are above.
    depths: Vec<u8>,
    widest: usize,
    deepest: usize,
}

impl Types {
    /// Adds the types of a section, if the payload is one.
    pub(super) fn add(&mut self, payload: &Payload<'_>) {
        let Payload::TypeSection(section) = payload else { return };
        // What cannot be read the validator will refuse.
        for group in section.clone().into_iter().map_while(Result::ok) {
            group.types().for_each(|ty| self.push(ty));
        }
    }

    fn push(&mut self, ty: &wp::SubType) {
        let width = match &ty.composite_type.inner {
            CompositeInnerType::Func(func) => func.params().len() + func.results().len(),
            CompositeInnerType::Struct(fields) => fields.fields.len(),
            CompositeInnerType::Array(_) | CompositeInnerType::Cont(_) => 1,
        };
        let above = ty.supertype_idxs.iter().filter_map(|index| {
            let index = index.as_module_index()?;
            self.depths.get(index as usize).map(|depth| depth.saturating_add(1))
        });
        let depth = above.max().unwrap_or(0);
        self.deepest = self.deepest.max(depth.into());
        self.widest = self.widest.max(width);
        self.depths.push(depth);
        self.widths.push(u32::try_from(width).unwrap_or(u32::MAX));
    }

    fn width(&self, index: u32) -> usize {
        self.widths.get(index as usize).map_or(0, |&width| width as usize)
    }

    /// Looks that the constant expressions of a section take besides those that are proportional to it.
    pub(super) fn looks_at(&self, payload: &Payload<'_>) -> usize {
        // A new structure of default values has no operands that would have been paid for.
        if self.widest == 0 {
            return 0;
        }
        let expr = |expr: &ConstExpr<'_>| self.fields_of(expr);
        match payload {
            Payload::TableSection(section) => sum(section.clone(), |table: wp::Table<'_>| {
                if let TableInit::Expr(init) = &table.init { expr(init) } else { 0 }
            }),
            Payload::GlobalSection(section) => {
                sum(section.clone(), |global: wp::Global<'_>| expr(&global.init_expr))
            }
            Payload::ElementSection(section) => sum(section.clone(), |segment: wp::Element<'_>| {
                let offset = match &segment.kind {
                    ElementKind::Active { offset_expr, .. } => expr(offset_expr),
                    ElementKind::Passive | ElementKind::Declared => 0,
                };
                let items = match segment.items {
                    ElementItems::Expressions(_, items) => sum(items, |item| expr(&item)),
                    ElementItems::Functions(_) => 0,
                };
                offset.saturating_add(items)
            }),
            Payload::DataSection(section) => {
                sum(section.clone(), |segment: wp::Data<'_>| match &segment.kind {
                    DataKind::Active { offset_expr, .. } => expr(offset_expr),
                    DataKind::Passive => 0,
                })
            }
            _ => 0,
        }
    }

    /// Fields that a constant expression sets to their default values.
    fn fields_of(&self, expr: &ConstExpr<'_>) -> usize {
        let operators = expr.get_operators_reader().into_iter().map_while(Result::ok);
        operators.map(|operator| self.defaults_of(&operator)).fold(0, usize::saturating_add)
    }

    fn defaults_of(&self, operator: &Operator<'_>) -> usize {
        match *operator {
            Operator::StructNewDefault { struct_type_index }
            | Operator::StructNewDefaultDesc { struct_type_index } => self.width(struct_type_index),
            _ => 0,
        }
    }
}

/// The sum over the items of a section, as far as they can be read.
fn sum<'a, T: wp::FromReader<'a>>(
    items: wp::SectionLimited<'a, T>,
    of: impl Fn(T) -> usize,
) -> usize {
    items.into_iter().map_while(Result::ok).map(of).fold(0, usize::saturating_add)
}

/// What counts of the function whose body is looked at.
pub(super) struct Function<'a> {
    types: &'a Types,
    /// How many parameters it has.
    pub(super) params: usize,
    results: usize,
}

impl Function<'_> {
    pub(super) fn new<'a>(
        func: &wp::FuncToValidate<wp::ValidatorResources>,
        types: &'a Types,
    ) -> Function<'a> {
        let (params, results) = match func.resources.sub_type_at(func.ty) {
            Some(ty) => match &ty.composite_type.inner {
                CompositeInnerType::Func(ty) => (ty.params().len(), ty.results().len()),
                _ => (0, 0),
            },
            None => (0, 0),
        };
        Function { types, params, results }
    }

    /// How many looks an operator takes. One that is at fault may count for fewer: it is the last.
    pub(super) fn looks_at(
        &self,
        operator: &Operator<'_>,
        validator: &mut wp::FuncValidator<wp::ValidatorResources>,
        at: u64,
    ) -> usize {
        let module = validator.visitor(at);
        let label = |depth| {
            let (ty, kind) = module.label_block(depth)?;
            let (params, results) = module.block_type_arity(ty)?;
            Some(if kind == FrameKind::Loop { params } else { results } as usize)
        };
        let label = |depth| label(depth).unwrap_or(0);
        let (taken, given) = operator.operator_arity(&module).unwrap_or((0, 0));
        let widest = self.types.widest;
        let handlers = |table: &ResumeTable| {
            let labels = table.handlers.iter().map(|handler| match *handler {
                Handle::OnLabel { label: depth, .. } => label(depth) + widest,
                Handle::OnSwitch { .. } => 2 * widest,
            });
            labels.sum::<usize>() + widest
        };
        // Types that are compared without being operands.
        let compared: usize = match operator {
            Operator::BrTable { targets } => {
                // All have as many types as the default one, or the operator is at fault.
                2 * targets.len() as usize * label(targets.default())
            }
            Operator::TryTable { try_table } => {
                let labels = try_table.catches.iter().map(|catch| match *catch {
                    Catch::One { label, .. }
                    | Catch::OneRef { label, .. }
                    | Catch::All { label }
                    | Catch::AllRef { label } => label,
                });
                labels.map(label).sum()
            }
            // The callee's results are compared with the function's own.
            Operator::ReturnCall { .. }
            | Operator::ReturnCallIndirect { .. }
            | Operator::ReturnCallRef { .. } => self.results,
            Operator::Resume { resume_table, .. }
            | Operator::ResumeThrow { resume_table, .. }
            | Operator::ResumeThrowRef { resume_table, .. } => handlers(resume_table),
            Operator::ContBind { .. } | Operator::Switch { .. } => 4 * widest,
            _ => 0,
        };
        let fields = self.types.defaults_of(operator);
        (taken as usize + compared) * (1 + self.types.deepest) + given as usize + fields
    }
}
