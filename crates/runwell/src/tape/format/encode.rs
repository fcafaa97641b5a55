//! Events to bytes.

use crate::state::refs::RefId;
use crate::state::type_code;
use crate::tape::event::{Event, Import, Outcome, Setup, Value, Wait};
use crate::types::{Mutability, ValType};

/// Puts an event together.
#[derive(Default)]
pub(crate) struct Out(pub(crate) Vec<u8>);

impl Out {
    pub(crate) fn byte(&mut self, byte: u8) {
        self.0.push(byte);
    }

    pub(crate) fn number(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.0.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.0.push(number as u8);
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    pub(crate) fn optional(&mut self, number: Option<u64>) {
        self.byte(number.is_some().into());
        if let Some(number) = number {
            self.number(number);
        }
    }

    fn reference(&mut self, id: RefId) {
        self.0.extend_from_slice(&id.to_bytes());
    }

    fn value(&mut self, value: &Value) {
        match *value {
            Value::I32(v) => {
                self.byte(0);
                self.number(v.into());
            }
            Value::I64(v) => {
                self.byte(1);
                self.number(v);
            }
            Value::F32(v) => {
                self.byte(2);
                self.0.extend_from_slice(&v.to_le_bytes());
            }
            Value::F64(v) => {
                self.byte(3);
                self.0.extend_from_slice(&v.to_le_bytes());
            }
            Value::V128(v) => {
                self.byte(4);
                self.0.extend_from_slice(&v.to_le_bytes());
            }
            Value::Func(id) => {
                self.byte(5);
                self.reference(id);
            }
            Value::Extern(id) => {
                self.byte(6);
                self.reference(id);
            }
        }
    }

    fn values(&mut self, values: &[Value]) {
        self.number(values.len() as u64);
        values.iter().for_each(|value| self.value(value));
    }

    fn outcome(&mut self, outcome: &Outcome) {
        match outcome {
            Outcome::Values(values) => {
                self.byte(0);
                self.values(values);
            }
            Outcome::Trap(trap) => {
                self.byte(1);
                self.byte(trap.code() as u8);
            }
            Outcome::Error(message) => {
                self.byte(2);
                self.bytes(message.as_bytes());
            }
            Outcome::Suspend => self.byte(3),
        }
    }

    pub(crate) fn import(&mut self, import: &Import) {
        match *import {
            Import::Func(id) => {
                self.byte(0);
                self.reference(id);
            }
            Import::Memory(index) => {
                self.byte(1);
                self.number(index.into());
            }
            Import::Table(index) => {
                self.byte(2);
                self.number(index.into());
            }
            Import::Global(index) => {
                self.byte(3);
                self.number(index.into());
            }
        }
    }

    pub(crate) fn limits(&mut self, is64: bool, min: u64, max: Option<u64>) {
        self.byte(is64.into());
        self.number(min);
        self.optional(max);
    }
}

/// Adds an event.
pub(super) fn put(out: &mut Out, event: &Event) {
    match event {
        Event::Start(Setup { settings }) => {
            out.byte(0);
            out.number(settings.len() as u64);
            for (name, value) in settings {
                out.bytes(name.as_bytes());
                out.number(*value);
            }
        }
        Event::Module(wasm) => {
            out.byte(1);
            out.0.extend_from_slice(wasm);
        }
        Event::NewMemory(ty) => {
            out.byte(2);
            out.limits(ty.is_64(), ty.minimum(), ty.maximum());
        }
        Event::NewTable(ty, init) => {
            out.byte(3);
            out.byte(type_code(&ValType::Ref(*ty.element())));
            out.limits(ty.is_64(), ty.minimum(), ty.maximum());
            out.value(init);
        }
        Event::NewGlobal(ty, value) => {
            out.byte(4);
            out.byte(type_code(ty.content()));
            out.byte((ty.mutability() == Mutability::Var).into());
            out.value(value);
        }
        Event::NewHostFunc(ty) => {
            out.byte(5);
            out.number(ty.params().len() as u64);
            ty.params().for_each(|ty| out.byte(type_code(&ty)));
            ty.results().for_each(|ty| out.byte(type_code(&ty)));
        }
        Event::NewObject => out.byte(6),
        Event::Limited => out.byte(7),
        Event::Instantiate { module, imports } => {
            out.byte(8);
            out.number((*module).into());
            out.number(imports.len() as u64);
            imports.iter().for_each(|import| out.import(import));
        }
        Event::Instantiated(outcome) => {
            out.byte(9);
            out.outcome(outcome);
        }
        Event::MemoryGrow { memory, delta } => {
            out.byte(10);
            out.number((*memory).into());
            out.number(*delta);
        }
        Event::MemoryWrite { memory, at, bytes } => {
            out.byte(11);
            out.number((*memory).into());
            out.number(*at);
            out.0.extend_from_slice(bytes);
        }
        Event::TableGrow { table, delta, init } => {
            out.byte(12);
            out.number((*table).into());
            out.number(*delta);
            out.value(init);
        }
        Event::TableFill { table, at, value, len } => {
            out.byte(13);
            out.number((*table).into());
            out.number(*at);
            out.value(value);
            out.number(*len);
        }
        Event::TableCopy { to, at, table, from, len } => {
            out.byte(14);
            [u64::from(*to), *at, u64::from(*table), *from, *len]
                .into_iter()
                .for_each(|number| out.number(number));
        }
        Event::GlobalSet { global, value } => {
            out.byte(15);
            out.number((*global).into());
            out.value(value);
        }
        Event::SetFuel(fuel) => {
            out.byte(16);
            out.number(*fuel);
        }
        Event::Answer(answer) => {
            out.byte(17);
            match answer {
                Ok(allowed) => out.byte((*allowed).into()),
                Err(message) => {
                    out.byte(2);
                    out.bytes(message.as_bytes());
                }
            }
        }
        Event::Invoke { func, args, resumable } => {
            out.byte(18);
            out.reference(*func);
            out.values(args);
            out.byte((*resumable).into());
        }
        Event::Done { outcome, fuel } => {
            out.byte(19);
            out.outcome(outcome);
            out.optional(*fuel);
        }
        Event::HostCall { func, args, fuel } => {
            out.byte(20);
            out.number((*func).into());
            out.values(args);
            out.optional(*fuel);
        }
        Event::HostDone(outcome) => {
            out.byte(21);
            out.outcome(outcome);
        }
        Event::Panicked => out.byte(22),
        Event::End { hash, note } => {
            out.byte(23);
            out.0.extend_from_slice(&hash.0);
            out.bytes(note);
        }
        Event::Suspended { wait, fuel } => {
            out.byte(24);
            out.byte(match wait {
                Wait::Fuel => 0,
                Wait::Answer => 1,
            });
            out.optional(*fuel);
        }
        Event::Resume { answer } => {
            out.byte(25);
            out.values(answer);
        }
        Event::Cancel => out.byte(26),
    }
}
