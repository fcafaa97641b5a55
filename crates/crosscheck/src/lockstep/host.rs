//! What the host makes and changes: the evaluator is told when it is known how that went.

use super::{Lockstep, Why, describe, differs, ends, trap};
use crate::follower::{Command, Report, bits};
use crate::oracle::{Import, Reference};
use runwell::tape::{self, Event, Outcome, RefId, Value, View};
use runwell::{FuncType, HeapType, ValType};
use runwell_abi::{TrapCode, Type};
use runwell_ir::Signature;

/// An instantiation that is under way.
pub(super) struct Instantiation {
    /// How filling the instance ended, if there is one.
    pub(super) filled: Option<Result<(), TrapCode>>,
    /// Its start function has been called.
    pub(super) started: bool,
}

/// What the host was about to make, which may have failed, and what there was before.
pub(super) struct Pending {
    command: Command,
    made: Made,
    before: usize,
    /// Memories and tables.
    others: [u32; 2],
}

/// What the host makes.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
enum Made {
    Instance,
    Memory,
    Table,
    Global,
    /// More of a memory.
    Pages(u32),
    /// More of a table.
    Elements(u32),
}

impl Made {
    fn count(self, view: &View<'_>) -> usize {
        match self {
            Made::Instance => view.instances() as usize,
            Made::Memory => view.memories() as usize,
            Made::Table => view.tables() as usize,
            Made::Global => view.globals().len(),
            Made::Pages(memory) => view.memory(memory).len(),
            Made::Elements(table) => view.table(table).len(),
        }
    }
}

fn machine_type(ty: ValType) -> Type {
    match ty {
        ValType::I32 => Type::I32,
        ValType::I64 => Type::I64,
        ValType::F32 => Type::F32,
        ValType::F64 => Type::F64,
        ValType::V128 => Type::V128,
        ValType::Ref(ty) if matches!(ty.heap_type(), HeapType::Extern) => Type::AnyRef,
        ValType::Ref(_) => Type::FuncRef,
    }
}

fn signature(ty: &FuncType) -> Signature {
    Signature {
        params: ty.params().map(machine_type).collect(),
        results: ty.results().map(machine_type).collect(),
    }
}

/// A function that is not null.
pub(super) fn function(id: RefId) -> Result<Reference, Why> {
    match Reference::of(bits(Value::Func(id))) {
        Some(reference) => Ok(reference),
        None => ends("null in place of a function"),
    }
}

fn import(import: tape::Import) -> Result<Import, Why> {
    Ok(match import {
        tape::Import::Func(id) => Import::Func(function(id)?),
        tape::Import::Memory(number) => Import::Memory(number),
        tape::Import::Table(number) => Import::Table(number),
        tape::Import::Global(number) => Import::Global(number),
    })
}

impl Lockstep {
    /// Tells the evaluator what the host was about to make, if that was made.
    pub(super) fn settle(&mut self, view: &View<'_>) -> Result<(), Why> {
        let Some(Pending { command, made, before, others }) = self.pending.take() else {
            return Ok(());
        };
        let is_made = made.count(view) > before;
        if made != Made::Instance {
            return if is_made { self.tell(command) } else { Ok(()) };
        }
        if !is_made {
            if others != [view.memories(), view.tables()] {
                return ends("an instance could not be had, but part of it");
            }
            self.instantiations.push(Instantiation { filled: None, started: false });
            return Ok(());
        }
        self.tell(command)?;
        let evaluator = self.evaluator()?;
        let filled = match evaluator.report()? {
            Report::Filled(filled, names) => {
                evaluator.instances += 1;
                if evaluator.instances != view.instances() {
                    return ends("one of both has more instances");
                }
                for (number, name) in names {
                    if let Some(slot) = self.names.get_mut(number as usize) {
                        slot.get_or_insert(name);
                    }
                }
                filled
            }
            Report::Refused(message) => return ends(message),
            _ => return ends("it is not in step"),
        };
        self.instantiations.push(Instantiation { filled: Some(filled), started: false });
        Ok(())
    }

    /// The host makes something, or is about to.
    pub(super) fn makes(&mut self, event: &Event, view: &View<'_>) -> Result<(), Why> {
        let (command, made) = match event {
            Event::Module(wasm) => return self.tell(Command::Module(wasm.clone())),
            Event::NewHostFunc(ty) => {
                self.names.push(None);
                return self.tell(Command::NewHostFunc(signature(ty)));
            }
            Event::Instantiate { module, imports } => {
                let imports = imports.iter().map(|&found| import(found));
                let imports = imports.collect::<Result<_, Why>>()?;
                (Command::Instantiate(*module, imports), Made::Instance)
            }
            Event::NewMemory(ty) => {
                (Command::NewMemory(ty.minimum(), ty.maximum(), ty.is_64()), Made::Memory)
            }
            Event::NewTable(ty, init) => {
                let element = machine_type(ValType::Ref(*ty.element()));
                let init = bits(*init);
                (Command::NewTable(element, ty.minimum(), ty.maximum(), init), Made::Table)
            }
            Event::NewGlobal(ty, value) => {
                (Command::NewGlobal(machine_type(*ty.content()), bits(*value)), Made::Global)
            }
            Event::MemoryGrow { memory, delta } => {
                (Command::MemoryGrow(*memory, *delta), Made::Pages(*memory))
            }
            Event::TableGrow { table, delta, init } => {
                (Command::TableGrow(*table, *delta, bits(*init)), Made::Elements(*table))
            }
            _ => return Ok(()),
        };
        let others = [view.memories(), view.tables()];
        self.pending = Some(Pending { command, made, before: made.count(view), others });
        Ok(())
    }

    pub(super) fn instantiated(&mut self, outcome: &Outcome) -> Result<(), Why> {
        let Some(Instantiation { filled, started }) = self.instantiations.pop() else {
            return ends("it is not in step");
        };
        let wanted = match filled {
            // What a start function comes to has been compared, and who could not make an instance knows why.
            None => return Ok(()),
            Some(Ok(())) if started => return Ok(()),
            Some(Ok(())) => Outcome::Values(Vec::new()),
            Some(Err(code)) => trap(code).map_or(Outcome::Values(Vec::new()), Outcome::Trap),
        };
        if *outcome == wanted {
            return Ok(());
        }
        differs("instantiation", describe(outcome), describe(&wanted))
    }

    /// Tells the evaluator what the host does outside of calls.
    pub(super) fn host_does(&mut self, event: &Event) -> Result<(), Why> {
        let command = match *event {
            Event::MemoryWrite { memory, at, ref bytes } => {
                Command::Write { memory, at, bytes: bytes.clone() }
            }
            Event::TableFill { table, at, value, len } => {
                Command::TableFill(table, at, bits(value), len)
            }
            Event::TableCopy { to, at, table, from, len } => {
                Command::TableCopy(to, at, table, from, len)
            }
            Event::GlobalSet { global, value } => Command::GlobalSet(global, bits(value)),
            _ => return Ok(()),
        };
        self.tell(command)
    }
}
