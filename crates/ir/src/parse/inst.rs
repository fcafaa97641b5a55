//! One instruction.

use super::lex::{Position, Token};
use super::{Parser, Place, Result, error_at};
use crate::function::CALL_HAS_RESULT;
use crate::op::{ResultType, Shape};
use crate::{Const, EdgeRef, Inst, LibCall, Op, TrapCode, Type, Value};

/// A value as it is used: a constant, or an instruction by its number.
enum Operand {
    Const(u32),
    Value(u32, Position),
}

/// Which memory, table or helper: the bits of `Inst::aux` that calls leave free.
const MAX_CALL_AUX: u32 = CALL_HAS_RESULT as u32 - 1;

impl Parser<'_> {
    pub(super) fn inst(&mut self) -> Result<()> {
        let result = self.result()?;
        let at = self.position;
        let op = match self.token {
            Token::Word(word) => Op::from_name(word),
            _ => None,
        };
        let Some(op) = op else { return Err(self.expected("an operation")) };
        self.advance();
        let info = op.info();
        let mut inst = Inst::new(op, Type::I32, 0, 0, 0, 0);
        let typed = matches!(
            info.shape,
            Shape::Unary | Shape::Binary | Shape::Select | Shape::Load | Shape::Store
        );
        if typed {
            self.punct('.')?;
            inst.ty = self.ty()?;
        }
        match (info.result, result) {
            (ResultType::None, Some(_)) => {
                return Err(error_at(at, format!("`{}` makes no value", info.name)));
            }
            (ResultType::Ty | ResultType::I32, None) => {
                let message = format!("expected `vN: TYPE =` in front of `{}`", info.name);
                return Err(error_at(at, message));
            }
            (ResultType::Ty | ResultType::I32, Some(ty)) => {
                if !typed {
                    inst.ty = ty;
                }
                if inst.result_type() != Some(ty) {
                    return Err(error_at(at, format!("this `{}` does not make {ty}", info.name)));
                }
            }
            (ResultType::Call, Some(ty)) => {
                inst.ty = ty;
                inst.aux = CALL_HAS_RESULT;
            }
            (ResultType::None | ResultType::Call, None) => {}
        }
        self.fields(&mut inst)?;
        if self.accept_punct('@') {
            self.offset = self.number("a byte offset", u32::MAX)?;
        }
        self.func.push(inst, self.offset);
        Ok(())
    }

    /// `vN: TYPE =`, or nothing.
    fn result(&mut self) -> Result<Option<Type>> {
        let at = self.position;
        let Some(number) = self.peek_entity("v") else { return Ok(None) };
        self.advance();
        if self.values.insert(number, self.func.insts.len() as u32).is_some() {
            return Err(error_at(at, format!("v{number} is made twice")));
        }
        self.punct(':')?;
        let ty = self.ty()?;
        self.punct('=')?;
        Ok(Some(ty))
    }

    /// The fields of `inst`, whose operation, type and result are known.
    fn fields(&mut self, inst: &mut Inst) -> Result<()> {
        match inst.op.info().shape {
            Shape::Nullary => self.nullary(inst)?,
            Shape::Unary => {
                match inst.op {
                    Op::GlobalSet => inst.c = self.entity("g", "a global", u32::MAX)?,
                    Op::SlotStore => inst.c = self.entity("s", "a slot", u32::MAX)?,
                    Op::HomeStore | Op::HomeSelect => inst.c = self.home()?,
                    Op::HomeShift => self.homes(inst)?,
                    Op::TableGet => inst.aux = self.table(u16::MAX.into())?,
                    Op::TrapIf => inst.aux = self.trap()?,
                    Op::FuelFor => inst.c = self.number("a number of bits", 63)?,
                    _ => {}
                }
                if matches!(
                    inst.op,
                    Op::GlobalSet
                        | Op::SlotStore
                        | Op::HomeStore
                        | Op::HomeSelect
                        | Op::HomeShift
                        | Op::TableGet
                        | Op::TrapIf
                        | Op::FuelFor
                ) {
                    self.punct(',')?;
                }
                inst.a = self.operand(Place::A)?;
            }
            Shape::Binary => {
                if inst.op == Op::TableSet {
                    inst.aux = self.table(u16::MAX.into())?;
                    self.punct(',')?;
                }
                inst.a = self.operand(Place::A)?;
                self.punct(',')?;
                inst.b = self.operand(Place::B)?;
            }
            Shape::Select => {
                inst.a = self.operand(Place::A)?;
                self.punct(',')?;
                inst.b = self.operand(Place::B)?;
                self.punct(',')?;
                inst.c = self.operand(Place::C)?;
            }
            Shape::Load => self.address(inst)?,
            Shape::Store => {
                self.address(inst)?;
                self.punct(',')?;
                inst.b = self.operand(Place::B)?;
            }
            Shape::Call => self.call(inst)?,
            Shape::LibCall => {
                let helper = match self.token {
                    Token::Word(word) => LibCall::ALL.iter().find(|h| h.name() == word),
                    _ => None,
                };
                let Some(&helper) = helper else { return Err(self.expected("a helper")) };
                self.advance();
                inst.aux |= helper as u16;
                (inst.a, inst.b) = self.list(None)?;
            }
            Shape::CallResult => {
                inst.aux = self.number("the result's number", u16::MAX.into())? as u16;
                self.word("of")?;
                inst.a = self.operand(Place::A)?;
            }
            Shape::Jump => inst.a = self.edge()?.0,
            Shape::BrIf => {
                inst.a = self.operand(Place::A)?;
                self.punct(',')?;
                inst.b = self.edge()?.0;
                self.punct(',')?;
                inst.c = self.edge()?.0;
            }
            Shape::BrTable => self.br_table(inst)?,
            Shape::Return => {
                let mut values = Vec::new();
                if !matches!(self.token, Token::Newline | Token::End | Token::Punct('@')) {
                    values.push(self.value()?);
                    while self.accept_punct(',') {
                        values.push(self.value()?);
                    }
                }
                inst.a = self.func.pool.len() as u32;
                inst.b = values.len() as u32;
                self.push_values(values);
            }
            Shape::Trap => inst.aux = self.trap()?,
        }
        Ok(())
    }

    fn nullary(&mut self, inst: &mut Inst) -> Result<()> {
        match inst.op {
            Op::GlobalGet => inst.c = self.entity("g", "a global", u32::MAX)?,
            Op::RefFunc => inst.c = self.entity("f", "a function", u32::MAX)?,
            Op::SlotLoad => inst.c = self.entity("s", "a slot", u32::MAX)?,
            Op::Param if self.func.blocks.is_empty() => {
                inst.c = match self.token {
                    Token::Number(_) => self.number("a parameter's number", u32::MAX)?,
                    _ => self.func.insts.len() as u32,
                };
            }
            Op::HomeLoad => inst.c = self.home()?,
            Op::HomeMove => {
                inst.a = self.home()?;
                self.punct(',')?;
                self.homes(inst)?;
            }
            Op::HomePass | Op::HomeTake => self.homes(inst)?,
            Op::MemSize => inst.aux = self.entity("m", "a memory", u16::MAX.into())? as u16,
            Op::TableSize => inst.aux = self.table(u16::MAX.into())?,
            Op::Fuel | Op::FuelBack => inst.c = self.number("units of fuel", u32::MAX)?,
            _ => {}
        }
        Ok(())
    }

    fn home(&mut self) -> Result<u32> {
        self.entity("h", "a home", u32::MAX)
    }

    /// `hN, COUNT`.
    fn homes(&mut self, inst: &mut Inst) -> Result<()> {
        inst.c = self.home()?;
        self.punct(',')?;
        inst.aux = self.number("a number of homes", u16::MAX.into())? as u16;
        Ok(())
    }

    fn table(&mut self, max: u32) -> Result<u16> {
        Ok(self.entity("t", "a table", max)? as u16)
    }

    fn trap(&mut self) -> Result<u16> {
        let code = match self.token {
            Token::Word(word) => TrapCode::ALL.into_iter().find(|code| format!("{code:?}") == word),
            _ => None,
        };
        let Some(code) = code else { return Err(self.expected("a trap code")) };
        self.advance();
        Ok(code as u16)
    }

    /// `mN[VALUE + OFFSET]`.
    fn address(&mut self, inst: &mut Inst) -> Result<()> {
        inst.aux = self.entity("m", "a memory", u16::MAX.into())? as u16;
        self.punct('[')?;
        inst.a = self.operand(Place::A)?;
        self.punct('+')?;
        inst.c = self.number("a static offset", u32::MAX)?;
        self.punct(']')
    }

    fn call(&mut self, inst: &mut Inst) -> Result<()> {
        match inst.op {
            Op::Call | Op::ReturnCall => inst.c = self.entity("f", "a function", u32::MAX)?,
            op => {
                if matches!(op, Op::CallIndirect | Op::ReturnCallIndirect) {
                    inst.aux |= self.table(MAX_CALL_AUX)?;
                }
                self.word("type")?;
                inst.c = self.number("a type's index", u32::MAX)?;
            }
        }
        let at = self.position;
        let sig = self.entity("sig", "a signature", super::MAX_SIGS - 1)?;
        self.sig_uses.push((sig, at));
        (inst.a, inst.b) = self.list(Some(sig))?;
        Ok(())
    }

    fn br_table(&mut self, inst: &mut Inst) -> Result<()> {
        inst.a = self.operand(Place::A)?;
        let mut edges = Vec::new();
        while self.accept_punct(',') {
            edges.push(self.edge()?.0);
        }
        self.punct('[')?;
        let mut entries = Vec::new();
        while !self.accept_punct(']') {
            entries.push(self.number("the number of an edge", u32::MAX)?);
        }
        let pool = &mut self.func.pool;
        inst.b = pool.len() as u32;
        pool.push(edges.len() as u32);
        pool.extend(edges);
        pool.extend(entries);
        inst.c = pool.len() as u32 - inst.b;
        Ok(())
    }

    fn edge(&mut self) -> Result<EdgeRef> {
        let target = self.block_ref()?;
        let args = if self.token == Token::Punct('(') { self.values()? } else { Vec::new() };
        let edge = EdgeRef(self.func.pool.len() as u32);
        self.func.pool.push(target.0);
        self.func.pool.push(args.len() as u32);
        self.push_values(args);
        Ok(edge)
    }

    /// Arguments in parentheses, put into the pool behind `head`; start and length.
    fn list(&mut self, head: Option<u32>) -> Result<(u32, u32)> {
        let values = self.values()?;
        let start = self.func.pool.len() as u32;
        self.func.pool.extend(head);
        self.push_values(values);
        Ok((start, self.func.pool.len() as u32 - start))
    }

    fn values(&mut self) -> Result<Vec<Operand>> {
        let mut values = Vec::new();
        self.punct('(')?;
        if !self.accept_punct(')') {
            values.push(self.value()?);
            while self.accept_punct(',') {
                values.push(self.value()?);
            }
            self.punct(')')?;
        }
        Ok(values)
    }

    fn push_values(&mut self, values: Vec<Operand>) {
        for value in values {
            let at = self.func.pool.len();
            let field = self.enter(value, Place::Pool(at));
            self.func.pool.push(field);
        }
    }

    /// An operand for a field of the instruction being read.
    fn operand(&mut self, place: fn(usize) -> Place) -> Result<u32> {
        let value = self.value()?;
        Ok(self.enter(value, place(self.func.insts.len())))
    }

    /// What to write into `place` for now.
    fn enter(&mut self, value: Operand, place: Place) -> u32 {
        match value {
            Operand::Const(field) => field,
            Operand::Value(number, at) => {
                self.uses.push((place, number, at));
                Value::NONE.0
            }
        }
    }

    fn value(&mut self) -> Result<Operand> {
        let at = self.position;
        if let Some(number) = self.peek_entity("v") {
            self.advance();
            return Ok(Operand::Value(number, at));
        }
        let Const { ty, bits } = self.constant()?;
        let func = &mut self.func;
        let field = *self.consts.entry((ty, bits)).or_insert_with(|| func.push_const(ty, bits).0);
        Ok(Operand::Const(field))
    }
}

impl Parser<'_> {
    /// A constant with its type.
    pub(super) fn constant(&mut self) -> Result<Const> {
        let at = self.position;
        let text = match self.token {
            Token::Number(text) => text,
            Token::Word("null") => "0",
            _ => return Err(self.expected("a value, `vN` or a constant such as `5:i32`")),
        };
        self.advance();
        self.punct(':')?;
        let ty = self.ty()?;
        match constant_bits(text, ty) {
            Some(bits) => Ok(Const { ty, bits }),
            None => Err(error_at(at, format!("`{text}` is no constant of type {ty}"))),
        }
    }
}

/// The bits of a constant: after `0x` as they are, else a number of its type.
fn constant_bits(text: &str, ty: Type) -> Option<u128> {
    if let Some(digits) = text.strip_prefix("0x") {
        return u128::from_str_radix(digits, 16).ok();
    }
    match ty {
        Type::I32 => {
            let number = text.parse::<i64>().ok()?;
            let fits = (i32::MIN.into()..=u32::MAX.into()).contains(&number);
            fits.then_some((number as u32).into())
        }
        Type::I64 => {
            let number = text.parse::<i128>().ok()?;
            let fits = (i64::MIN.into()..=u64::MAX.into()).contains(&number);
            fits.then_some((number as u64).into())
        }
        Type::F32 => text.parse::<f32>().ok().map(|number| number.to_bits().into()),
        Type::F64 => text.parse::<f64>().ok().map(|number| number.to_bits().into()),
        Type::V128 | Type::FuncRef | Type::AnyRef => text.parse().ok(),
    }
}
