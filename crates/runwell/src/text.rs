//! The text form.
//!
//! The library that reads it looks for the name of a label among all constructs around, one by one, so
//! that a nest of blocks and branches out of it would take time by the product of both. Here labels become
//! numbers first, by a table of names, and it finds nothing left to look for.
//!
//! Components are not read: they are refused by their first word, as those in the binary form are.
//!
//! # Complexity
//! Linear in the text, but for names that collide, which are hashed with a random key.

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::Path;
use wast::core::{
    DataKind, ElemKind, ElemPayload, Expression, FuncKind, GlobalKind, Handle, Instruction, Module,
    ModuleField, ModuleKind, TableKind,
};
use wast::parser::{self, ParseBuffer};
use wast::token::{Id, Index};
use wast::{Error, Wat};

/// How a component begins.
const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";

/// The binary form of a module in either form. `path` is where it comes from, for errors.
///
/// # Errors
/// When it is in neither form.
pub(crate) fn binary<'a>(bytes: &'a [u8], path: Option<&Path>) -> crate::Result<Cow<'a, [u8]>> {
    if bytes.starts_with(b"\0asm") {
        return Ok(bytes.into());
    }
    let Ok(text) = std::str::from_utf8(bytes) else {
        let what = "input bytes aren't valid utf-8";
        return Err(match path {
            Some(path) => {
                crate::Error::msg(format!("failed to parse `{}`: {what}", path.display()))
            }
            None => crate::Error::msg(what),
        });
    };
    let encoded = encode(text).map_err(|mut error| {
        if let Some(path) = path {
            error.set_path(path);
        }
        error.set_text(text);
        error
    })?;
    Ok(encoded.into())
}

fn encode(text: &str) -> Result<Vec<u8>, Error> {
    let buffer = ParseBuffer::new(text)?;
    match parser::parse::<Wat<'_>>(&buffer)? {
        Wat::Module(mut module) => {
            number_labels(&mut module);
            module.encode()
        }
        Wat::Component(_) => Ok(COMPONENT.to_vec()),
    }
}

/// Makes numbers of the names of labels. Names that stand for nothing stay, and are errors later.
fn number_labels(module: &mut Module<'_>) {
    let ModuleKind::Text(fields) = &mut module.kind else { return };
    let mut labels = Labels::default();
    for field in fields {
        for_each_expression(field, |expression| labels.expression(expression));
    }
}

/// Calls `act` with the expressions of a field, validated or not.
fn for_each_expression<'a>(field: &mut ModuleField<'a>, mut act: impl FnMut(&mut Expression<'a>)) {
    let payload = |payload: &mut ElemPayload<'a>, act: &mut dyn FnMut(&mut Expression<'a>)| {
        if let ElemPayload::Exprs { exprs, .. } = payload {
            exprs.iter_mut().for_each(act);
        }
    };
    match field {
        ModuleField::Func(func) => {
            if let FuncKind::Inline { expression, .. } = &mut func.kind {
                act(expression);
            }
        }
        ModuleField::Global(global) => {
            if let GlobalKind::Inline(expression) = &mut global.kind {
                act(expression);
            }
        }
        ModuleField::Table(table) => match &mut table.kind {
            TableKind::Normal { init_expr, .. } => init_expr.iter_mut().for_each(act),
            TableKind::Inline { payload: items, .. } => payload(items, &mut act),
            TableKind::Import { .. } => {}
        },
        ModuleField::Elem(elem) => {
            if let ElemKind::Active { offset, .. } = &mut elem.kind {
                act(offset);
            }
            payload(&mut elem.payload, &mut act);
        }
        ModuleField::Data(data) => {
            if let DataKind::Active { offset, .. } = &mut data.kind {
                act(offset);
            }
        }
        ModuleField::Type(_)
        | ModuleField::Rec(_)
        | ModuleField::Import(_)
        | ModuleField::Memory(_)
        | ModuleField::Export(_)
        | ModuleField::Start(_)
        | ModuleField::Tag(_)
        | ModuleField::Custom(_) => {}
    }
}

/// The labels in scope.
#[derive(Default)]
struct Labels<'a> {
    /// The open constructs, each with its name.
    open: Vec<Option<&'a str>>,
    /// By name, the heights of the open constructs that have it, the innermost one last.
    heights: HashMap<&'a str, Vec<usize>>,
}

impl<'a> Labels<'a> {
    fn expression(&mut self, expression: &mut Expression<'a>) {
        for instruction in &mut expression.instrs {
            self.instruction(instruction);
        }
        // What is left open is an error that somebody else reports.
        while !self.open.is_empty() {
            self.close();
        }
    }

    fn instruction(&mut self, instruction: &mut Instruction<'a>) {
        use Instruction as I;
        match instruction {
            I::block(ty) | I::loop_(ty) | I::if_(ty) | I::try_(ty) => self.enter(ty.label),
            I::try_table(table) => {
                table.catches.iter_mut().for_each(|catch| self.number(&mut catch.label));
                self.enter(table.block.label);
            }
            I::end(_) => self.close(),
            I::delegate(label) => {
                self.close();
                self.number(label);
            }
            I::br(label)
            | I::br_if(label)
            | I::br_on_null(label)
            | I::br_on_non_null(label)
            | I::rethrow(label) => self.number(label),
            I::br_table(table) => {
                table.labels.iter_mut().for_each(|label| self.number(label));
                self.number(&mut table.default);
            }
            I::br_on_cast(cast) => self.number(&mut cast.label),
            I::br_on_cast_fail(cast) => self.number(&mut cast.label),
            I::br_on_cast_desc_eq(cast) => self.number(&mut cast.label),
            I::br_on_cast_desc_eq_fail(cast) => self.number(&mut cast.label),
            I::resume(resume) => self.handlers(&mut resume.table.handlers),
            I::resume_throw(resume) => self.handlers(&mut resume.table.handlers),
            I::resume_throw_ref(resume) => self.handlers(&mut resume.table.handlers),
            _ => {}
        }
    }

    fn handlers(&mut self, handlers: &mut [Handle<'a>]) {
        for handler in handlers {
            if let Handle::OnLabel { label, .. } = handler {
                self.number(label);
            }
        }
    }

    fn enter(&mut self, name: Option<Id<'a>>) {
        let name = name.map(|name| name.name());
        if let Some(name) = name {
            self.heights.entry(name).or_default().push(self.open.len());
        }
        self.open.push(name);
    }

    fn close(&mut self) {
        let Some(Some(name)) = self.open.pop() else { return };
        if let Some(heights) = self.heights.get_mut(name) {
            heights.pop();
        }
    }

    fn number(&self, label: &mut Index<'a>) {
        let Index::Id(name) = *label else { return };
        let innermost = self.heights.get(name.name()).and_then(|heights| heights.last());
        if let Some(height) = innermost {
            let depth = self.open.len() - 1 - height;
            *label = Index::Num(depth as u32, name.span());
        }
    }
}
