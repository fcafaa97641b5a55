//! Bytes to events.

use crate::Trap;
use crate::state::refs::RefId;
use crate::state::{StateHash, type_of_code};
use crate::tape::event::{Event, Import, Outcome, Setup, Value, Wait};
use crate::types::{FuncType, GlobalType, MemoryType, Mutability, RefType, TableType, ValType};

/// Why an event's bytes are none.
pub(crate) type Bad = &'static str;

/// Takes an event apart.
pub(crate) struct In<'a>(pub(crate) &'a [u8]);

impl<'a> In<'a> {
    pub(crate) fn take(&mut self, len: usize) -> Result<&'a [u8], Bad> {
        let (taken, rest) = self.0.split_at_checked(len).ok_or("it ends too early")?;
        self.0 = rest;
        Ok(taken)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], Bad> {
        Ok(self.take(N)?.try_into().expect("as many bytes as were asked for"))
    }

    pub(crate) fn byte(&mut self) -> Result<u8, Bad> {
        Ok(self.array::<1>()?[0])
    }

    pub(crate) fn flag(&mut self) -> Result<bool, Bad> {
        match self.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err("neither yes nor no"),
        }
    }

    pub(crate) fn number(&mut self) -> Result<u64, Bad> {
        let mut number = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                break;
            }
            number |= bits << shift;
            // The shortest form is the only one.
            if byte == 0 && shift > 0 {
                break;
            }
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err("no number of 64 bits")
    }

    pub(crate) fn index(&mut self) -> Result<u32, Bad> {
        u32::try_from(self.number()?).map_err(|_| "a number of more than 32 bits")
    }

    /// A number of things that take at least a byte each.
    pub(crate) fn count(&mut self) -> Result<usize, Bad> {
        let count = self.number()?;
        usize::try_from(count)
            .ok()
            .filter(|&count| count <= self.0.len())
            .ok_or("more things than bytes")
    }

    pub(crate) fn bytes(&mut self) -> Result<&'a [u8], Bad> {
        let len = self.count()?;
        self.take(len)
    }

    pub(crate) fn text(&mut self) -> Result<String, Bad> {
        let bytes = self.bytes()?;
        std::str::from_utf8(bytes).map(str::to_string).map_err(|_| "text that is not UTF-8")
    }

    pub(crate) fn optional(&mut self) -> Result<Option<u64>, Bad> {
        Ok(if self.flag()? { Some(self.number()?) } else { None })
    }

    fn reference(&mut self) -> Result<RefId, Bad> {
        RefId::from_bytes(self.array()?).ok_or("no reference")
    }

    pub(crate) fn ty(&mut self) -> Result<ValType, Bad> {
        type_of_code(self.byte()?).ok_or("no type")
    }

    pub(crate) fn ref_type(&mut self) -> Result<RefType, Bad> {
        match self.ty()? {
            ValType::Ref(ty) => Ok(ty),
            _ => Err("no type of references"),
        }
    }

    fn value(&mut self) -> Result<Value, Bad> {
        Ok(match self.byte()? {
            0 => Value::I32(self.index()?),
            1 => Value::I64(self.number()?),
            2 => Value::F32(u32::from_le_bytes(self.array()?)),
            3 => Value::F64(u64::from_le_bytes(self.array()?)),
            4 => Value::V128(u128::from_le_bytes(self.array()?)),
            5 => Value::Func(self.reference()?),
            6 => Value::Extern(self.reference()?),
            _ => return Err("no value"),
        })
    }

    fn values(&mut self) -> Result<Vec<Value>, Bad> {
        let count = self.count()?;
        (0..count).map(|_| self.value()).collect()
    }

    fn outcome(&mut self) -> Result<Outcome, Bad> {
        Ok(match self.byte()? {
            0 => Outcome::Values(self.values()?),
            1 => {
                let code = runwell_abi::TrapCode::from_u8(self.byte()?).ok_or("no trap")?;
                Outcome::Trap(Trap::from_code(code))
            }
            2 => Outcome::Error(self.text()?),
            3 => Outcome::Suspend,
            _ => return Err("no outcome"),
        })
    }

    pub(crate) fn limits(&mut self) -> Result<(bool, u64, Option<u64>), Bad> {
        Ok((self.flag()?, self.number()?, self.optional()?))
    }

    pub(crate) fn import(&mut self) -> Result<Import, Bad> {
        Ok(match self.byte()? {
            0 => Import::Func(self.reference()?),
            1 => Import::Memory(self.index()?),
            2 => Import::Table(self.index()?),
            3 => Import::Global(self.index()?),
            _ => return Err("no import"),
        })
    }

    pub(super) fn event(&mut self) -> Result<Event, Bad> {
        Ok(match self.byte()? {
            0 => {
                let count = self.count()?;
                let settings = (0..count).map(|_| Ok((self.text()?, self.number()?)));
                Event::Start(Setup { settings: settings.collect::<Result<_, Bad>>()? })
            }
            1 => Event::Module(std::mem::take(&mut self.0).into()),
            2 => {
                let (is64, min, max) = self.limits()?;
                Event::NewMemory(MemoryType::raw(min, max, is64))
            }
            3 => {
                let element = self.ref_type()?;
                let (is64, min, max) = self.limits()?;
                Event::NewTable(TableType::raw(element, min, max, is64), self.value()?)
            }
            4 => {
                let ty = self.ty()?;
                let mutability = if self.flag()? { Mutability::Var } else { Mutability::Const };
                Event::NewGlobal(GlobalType::new(ty, mutability), self.value()?)
            }
            5 => {
                let params = self.count()?;
                let params = (0..params).map(|_| self.ty()).collect::<Result<Vec<_>, Bad>>()?;
                let mut results = Vec::new();
                while !self.0.is_empty() {
                    results.push(self.ty()?);
                }
                if params.len().max(results.len()) > runwell_abi::call::TRANSFER_CELLS {
                    return Err("a type of too many values");
                }
                Event::NewHostFunc(FuncType::of(params, results))
            }
            6 => Event::NewObject,
            7 => Event::Limited,
            8 => {
                let module = self.index()?;
                let count = self.count()?;
                let imports = (0..count).map(|_| self.import()).collect::<Result<_, Bad>>()?;
                Event::Instantiate { module, imports }
            }
            9 => Event::Instantiated(self.outcome()?),
            10 => Event::MemoryGrow { memory: self.index()?, delta: self.number()? },
            11 => {
                let (memory, at) = (self.index()?, self.number()?);
                Event::MemoryWrite { memory, at, bytes: std::mem::take(&mut self.0).to_vec() }
            }
            12 => {
                let (table, delta) = (self.index()?, self.number()?);
                Event::TableGrow { table, delta, init: self.value()? }
            }
            13 => {
                let (table, at) = (self.index()?, self.number()?);
                Event::TableFill { table, at, value: self.value()?, len: self.number()? }
            }
            14 => {
                let (to, at) = (self.index()?, self.number()?);
                let (table, from) = (self.index()?, self.number()?);
                Event::TableCopy { to, at, table, from, len: self.number()? }
            }
            15 => Event::GlobalSet { global: self.index()?, value: self.value()? },
            16 => Event::SetFuel(self.number()?),
            17 => Event::Answer(match self.byte()? {
                0 => Ok(false),
                1 => Ok(true),
                2 => Err(self.text()?),
                _ => return Err("no answer"),
            }),
            18 => {
                let (func, args) = (self.reference()?, self.values()?);
                Event::Invoke { func, args, resumable: self.flag()? }
            }
            19 => Event::Done { outcome: self.outcome()?, fuel: self.optional()? },
            20 => {
                let (func, args) = (self.index()?, self.values()?);
                Event::HostCall { func, args, fuel: self.optional()? }
            }
            21 => Event::HostDone(self.outcome()?),
            22 => Event::Panicked,
            23 => {
                let hash = StateHash(self.array()?);
                Event::End { hash, note: self.bytes()?.to_vec() }
            }
            24 => {
                let wait = if self.flag()? { Wait::Answer } else { Wait::Fuel };
                Event::Suspended { wait, fuel: self.optional()? }
            }
            25 => Event::Resume { answer: self.values()? },
            26 => Event::Cancel,
            _ => return Err("no event"),
        })
    }
}
